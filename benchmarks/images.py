#!/usr/bin/env python3
"""Times disk images beside QEMU's tools, where they are installed.

    images.py [--rounds N] [--requests N] [--copies N] [--size MIB] [--folder F] [--cache MODE]

4K requests all over a raw image, a qcow2 image and an overlay over one, by io_uring, with 1, 32 and 64 at once:
thousands of requests a second, reads and writes. All clusters of the qcow2 image are allocated; every other one of the
overlay, and all of them before it is written to. What it costs to write where nothing was allocated yet is measured
apart, each time in a new image: without a base, and over one.

Disks and neighbours are noisy, so runs are short and go in turns: in each round every program does the same to every
image, forwards in one round and backwards in the next. Numbers are medians of the rounds; a ratio is the median of the
ratios within each round.

Then whole images, the best of some rounds: raw to qcow2 and back beside cp, and compressed. QEMU is looked for in
$QEMU_BIN (a folder), then in PATH.
"""
import argparse
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


def run(*command):
    begin = time.perf_counter()
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return time.perf_counter() - begin, output


def make_images(img, folder, size):
    """name -> format; a third of the data is zeroes, as disks have them."""
    raw = os.path.join(folder, 'raw')
    with open(raw, 'wb') as file:
        for _ in range(size):
            file.write(os.urandom(340 << 10) + (b'The same words. ' * (22 << 10))[:344 << 10] + bytes(340 << 10))
    for name in ('base', 'qcow2'):
        path = os.path.join(folder, name)
        run(img, 'convert', '-q', '-f', 'raw', '-O', 'qcow2', '-S', '0', raw, path)
    make_overlay(img, folder, 'overlay')
    fill_clusters(img, folder, size, 2)
    return {'raw': 'raw', 'qcow2': 'qcow2', 'overlay': 'qcow2'}


def make_overlay(img, folder, name):
    run(img, 'create', '-q', '-f', 'qcow2', '-b', 'base', '-F', 'qcow2', os.path.join(folder, name))


def fill_clusters(img, folder, size, every):
    run(img, 'bench', '-w', '-f', 'qcow2', '-s', str(CLUSTER), '-S', str(every * CLUSTER),
        '-c', str((size << 20) // CLUSTER // every), os.path.join(folder, 'overlay'))


def one_rate(program, path, form, depth, write, options, step=STEP, requests=None):
    flags = ['-w'] if write else []
    count = requests or options.requests * (1 if depth == 1 else 5)
    _, output = run(program, 'bench', *flags, '-c', str(count), '-d', str(depth), '-s', '4096', '-S', str(step),
                    '-f', form, '-t', options.cache, '-i', 'io_uring', path)
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
          ratio(rates[name, 'myna'], rates.get(('raw', 'myna'))), flush=True)


def print_heading(title, programs):
    print(f'{title:24}' + ''.join(f'{name:>12}' for name in programs) + f"{'of QEMU':>10}{'of raw':>10}", flush=True)


def print_rates(programs, folder, images, options):
    print_heading('1000 requests/s, ' + options.cache, programs)
    for write in (False, True):
        if write:
            fill_clusters(programs['myna'], folder, options.size, 1)
        for depth in DEPTHS:
            rates = in_turns(programs, images, options.rounds, lambda name, program: one_rate(
                program, os.path.join(folder, name), images[name], depth, write, options))
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
        result = one_rate(program, path, 'qcow2', depth, True, options, CLUSTER + 4096, requests)
        os.unlink(path)
        return result

    print_heading('\nfirst writes', programs)
    for depth in DEPTHS:
        rates = in_turns(programs, ('qcow2', 'overlay'), max(options.rounds // 2, 1), rate)
        for name in ('qcow2', 'overlay'):
            print_row(f'write {depth:2} {name}', programs, name, rates)


def print_copies(programs, folder, options):
    jobs = {
        'raw to qcow2': ('raw', 'raw', ('-O', 'qcow2')),
        'qcow2 to raw': ('qcow2', 'qcow2', ('-O', 'raw')),
        'raw to qcow2, zlib': ('raw', 'raw', ('-c', '-O', 'qcow2')),
        'raw to qcow2, zstd': ('raw', 'raw', ('-c', '-O', 'qcow2', '-o', 'compression_type=zstd')),
    }
    target = os.path.join(folder, 'copy')
    print(f"\n{'seconds':24}{'cp':>12}" + ''.join(f'{name:>12}' for name in programs), flush=True)
    for name, (source, form, more) in jobs.items():
        path = os.path.join(folder, source)
        commands = {'cp': ('cp', '--sparse=never', '--reflink=never', path, target)}
        for who, program in programs.items():
            commands[who] = (program, 'convert', '-f', form, *more, path, target)
        best = dict.fromkeys(commands, float('inf'))
        for _ in range(options.copies):
            for who, command in commands.items():
                if os.path.exists(target):
                    os.unlink(target)
                best[who] = min(best[who], run(*command)[0])
        print(f'{name:24}' + ''.join(f'{seconds:12.2f}' for seconds in best.values()), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--rounds', type=int, default=11)
    parser.add_argument('--requests', type=int, default=2000, help='of a run; five times as many with some at once')
    parser.add_argument('--copies', type=int, default=3, help='rounds of whole images')
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
        print_rates(programs, folder, images, options)
        print_first_writes(programs, folder, options)
        print_copies(programs, folder, options)
    finally:
        shutil.rmtree(folder)
    return 0


if __name__ == '__main__':
    sys.exit(main())
