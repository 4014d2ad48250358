#!/usr/bin/env python3
"""Times disk images beside QEMU's tools, where they are installed.

    images.py [--rounds N] [--requests N] [--copies N] [--size MIB] [--folder F] [--cache MODE]

4K requests all over a raw image, a qcow2 image and an overlay over one, by io_uring, with 1, 32 and 64 at once:
thousands of requests a second, reads and writes. All clusters of the qcow2 image are allocated; every other one of the
overlay, and all of them before it is written to. What it costs to write where nothing was allocated yet is measured
apart, each time in a new image: without a base, and over one.

Disks and neighbours are noisy, so runs are short and go in turns: in each round every program does the same to every
image, forwards in one round and backwards in the next. Numbers are medians of the rounds; a ratio is the median of the
ratios within each round. Where on the disk a file lies makes more of a difference than its format: "raw there" is the
same bytes of the disk as the data of the qcow2 image, read and written as raw ones, and what the qcow2 image is
compared with; the overlay is compared with the raw file.

Then whole images in turns, the best and the median of some rounds: raw to qcow2 and back beside cp, as they were made
and after the writes have left 4K of zeroes all over them; and compressed. QEMU is looked for in $QEMU_BIN (a folder),
then in PATH.
"""
import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from compare import OURS, qemu

STEP = (1 << 20) + 4096  # from one request to the next: it comes by everywhere
CLUSTER = 64 << 10
DEPTHS = (1, 32, 64)
COMPARED_WITH = {'qcow2': 'raw there'}  # else with raw


def run(*command):
    begin = time.perf_counter()
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return time.perf_counter() - begin, output


def make_images(img, folder, size):
    """name -> what the tools are given to open it; a third of the data is zeroes, as disks have them."""
    raw = os.path.join(folder, 'raw')
    with open(raw, 'wb') as file:
        for _ in range(size):
            file.write(os.urandom(340 << 10) + (b'The same words. ' * (22 << 10))[:344 << 10] + bytes(340 << 10))
    for name in ('base', 'qcow2'):
        path = os.path.join(folder, name)
        run(img, 'convert', '-q', '-f', 'raw', '-O', 'qcow2', '-S', '0', raw, path)
    make_overlay(img, folder, 'overlay')
    fill_clusters(img, folder, size, 2)
    for name in ('raw', 'qcow2'):
        shutil.copyfile(os.path.join(folder, name), os.path.join(folder, name + ' as made'))
    images = {name: ('-f', form, os.path.join(folder, name))
              for name, form in (('raw', 'raw'), ('qcow2', 'qcow2'), ('overlay', 'qcow2'))}
    extents = json.loads(run(img, 'map', '-f', 'qcow2', '--output=json', os.path.join(folder, 'qcow2'))[1])
    if len(extents) == 1:
        images['raw there'] = ('--image-opts', f"driver=raw,offset={extents[0]['offset']},size={size << 20},"
                               f"file.driver=file,file.filename={os.path.join(folder, 'qcow2')}")
    return images


def make_overlay(img, folder, name):
    run(img, 'create', '-q', '-f', 'qcow2', '-b', 'base', '-F', 'qcow2', os.path.join(folder, name))


def fill_clusters(img, folder, size, every):
    run(img, 'bench', '-w', '-f', 'qcow2', '-s', str(CLUSTER), '-S', str(every * CLUSTER),
        '-c', str((size << 20) // CLUSTER // every), os.path.join(folder, 'overlay'))


def one_rate(program, image, depth, write, options, step=STEP, requests=None):
    flags = ['-w'] if write else []
    count = requests or options.requests * (1 if depth == 1 else 5)
    _, output = run(program, 'bench', *flags, '-c', str(count), '-d', str(depth), '-s', '4096', '-S', str(step),
                    '-t', options.cache, '-i', 'io_uring', *image)
    return count / max(float(re.search(r'completed in ([0-9.]+) s', output)[1]), 0.001) / 1000


def in_turns(programs, names, rounds, rate):
    """(name, who) -> a rate for each round."""
    rates = {(name, who): [] for name in names for who in programs}
    for turn in range(rounds):
        for name, who in list(rates) if turn % 2 == 0 else reversed(list(rates)):
            rates[name, who].append(rate(name, programs[who]))
    return rates


def ratio(rates, other):
    return f'{statistics.median(a / b for a, b in zip(rates, other)):10.2f}' if other else f"{'-':>10}"


def print_row(title, programs, name, rates):
    print(f'{title:24}' + ''.join(f'{statistics.median(rates[name, who]):12.1f}' for who in programs) +
          ratio(rates[name, 'myna'], rates.get((name, 'QEMU'))) +
          ratio(rates[name, 'myna'], rates.get((COMPARED_WITH.get(name), 'myna')) or rates.get(('raw', 'myna'))),
          flush=True)


def print_heading(title, programs):
    print(f'{title:24}' + ''.join(f'{name:>12}' for name in programs) + f"{'of QEMU':>10}{'of raw':>10}", flush=True)


def print_rates(programs, images, options):
    print_heading('1000 requests/s, ' + options.cache, programs)
    for write in (False, True):
        if write:
            fill_clusters(programs['myna'], os.path.dirname(images['overlay'][-1]), options.size, 1)
        for depth in DEPTHS:
            rates = in_turns(programs, images, options.rounds, lambda name, program: one_rate(
                program, images[name], depth, write, options))
            for name in images:
                print_row(f"{'write' if write else 'read'} {depth:2} {name}", programs, name, rates)


def print_first_writes(programs, folder, options):
    """Each request takes a cluster."""
    img = programs['myna']
    requests = min(options.requests, (options.size << 20) // CLUSTER)

    def rate(name, program):
        path = os.path.join(folder, 'new')
        if name == 'overlay':
            make_overlay(img, folder, 'new')
        else:
            run(img, 'create', '-q', '-f', 'qcow2', path, f'{options.size}M')
        result = one_rate(program, ('-f', 'qcow2', path), depth, True, options, CLUSTER + 4096, requests)
        os.unlink(path)
        return result

    print_heading('\nfirst writes', programs)
    for depth in DEPTHS:
        rates = in_turns(programs, ('qcow2', 'overlay'), max(options.rounds // 2, 1), rate)
        for name in ('qcow2', 'overlay'):
            print_row(f'write {depth:2} {name}', programs, name, rates)


def copy_jobs():
    """title -> source, its format, how it is converted"""
    jobs = {}
    for made in (' as made', ''):
        note = made or ', zeroes all over'
        jobs['raw to qcow2' + note] = ('raw' + made, 'raw', ('-O', 'qcow2'))
        jobs['qcow2 to raw' + note] = ('qcow2' + made, 'qcow2', ('-O', 'raw'))
        jobs['zlib' + note] = ('raw' + made, 'raw', ('-c', '-O', 'qcow2'))
        jobs['zstd' + note] = ('raw' + made, 'raw', ('-c', '-O', 'qcow2', '-o', 'compression_type=zstd'))
    return jobs


def time_copies(commands, target, rounds):
    """who -> a time for each round."""
    times = {who: [] for who in commands}
    for turn in range(rounds):
        for who in list(commands) if turn % 2 == 0 else reversed(list(commands)):
            if os.path.exists(target):
                os.unlink(target)
            times[who].append(run(*commands[who])[0])
    return times


def print_copies(programs, folder, options):
    target = os.path.join(folder, 'copy')
    print(f"\n{'seconds: best, median':28}{'cp':>14}" + ''.join(f'{name:>14}' for name in programs), flush=True)
    os.sync()
    for name, (source, form, more) in copy_jobs().items():
        path = os.path.join(folder, source)
        commands = {'cp': ('cp', '--sparse=never', '--reflink=never', path, target)}
        for who, program in programs.items():
            commands[who] = (program, 'convert', '-f', form, *more, path, target)
        times = time_copies(commands, target, options.copies)
        print(f'{name:28}' + ''.join(f'{min(some):8.2f}{statistics.median(some):6.2f}' for some in times.values()),
              flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--rounds', type=int, default=11)
    parser.add_argument('--requests', type=int, default=2000, help='of a run; five times as many with some at once')
    parser.add_argument('--copies', type=int, default=5, help='rounds of whole images')
    parser.add_argument('--size', type=int, default=512)
    parser.add_argument('--folder', default='/var/tmp')
    parser.add_argument('--cache', default='none')
    options = parser.parse_args()
    programs = {'myna': os.path.join(OURS, 'myna-img')}
    if qemu('qemu-img'):
        programs['QEMU'] = qemu('qemu-img')
    folder = tempfile.mkdtemp(dir=options.folder)
    try:
        images = make_images(programs['myna'], folder, options.size)
        print_rates(programs, images, options)
        print_first_writes(programs, folder, options)
        print_copies(programs, folder, options)
    finally:
        shutil.rmtree(folder)
    return 0


if __name__ == '__main__':
    sys.exit(main())
