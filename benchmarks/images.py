#!/usr/bin/env python3
"""Times disk images beside QEMU's tools, where they are installed.

    images.py [--rounds N] [--requests N] [--size MIB] [--folder F] [--cache MODE]

4K requests all over a raw image, a qcow2 image and an overlay over one, by io_uring, with 1, 32 and 64 at once:
thousands of requests a second, reads and writes. Then whole images: raw to qcow2 and back beside cp, and compressed.
Each number is the best of the rounds, which are run in turns. QEMU is looked for in $QEMU_BIN (a folder), then in PATH.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

from compare import OURS, qemu

STEP = (1 << 20) + 4096  # from one request to the next: it comes by everywhere
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
    for name, more in (('base', ()), ('qcow2', ())):
        run(img, 'convert', '-q', '-f', 'raw', '-O', 'qcow2', *more, raw, os.path.join(folder, name))
    run(img, 'create', '-q', '-f', 'qcow2', '-b', 'base', '-F', 'qcow2', os.path.join(folder, 'overlay'))
    return {'raw': 'raw', 'qcow2': 'qcow2', 'overlay': 'qcow2'}


def one_rate(program, path, form, depth, write, options):
    flags = ['-w'] if write else []
    _, output = run(program, 'bench', *flags, '-c', str(options.requests), '-d', str(depth), '-s', '4096', '-S',
                    str(STEP), '-f', form, '-t', options.cache, '-i', 'io_uring', path)
    return options.requests / float(re.search(r'completed in ([0-9.]+) s', output)[1]) / 1000


def print_rates(programs, folder, images, options):
    print(f"{'1000 requests/s, ' + options.cache:24}" + ''.join(f'{name:>12}' for name in programs) +
          f"{'of QEMU':>10}{'of raw':>10}", flush=True)
    for write in (False, True):
        for depth in DEPTHS:
            of_raw = None
            for name, form in images.items():
                best = dict.fromkeys(programs, 0.0)
                for _ in range(options.rounds):
                    for who, program in programs.items():
                        rate = one_rate(program, os.path.join(folder, name), form, depth, write, options)
                        best[who] = max(best[who], rate)
                of_raw = of_raw or best['myna']
                against = f"{best['myna'] / best['QEMU']:10.2f}" if 'QEMU' in best else f"{'-':>10}"
                print(f"{('write' if write else 'read') + f' {depth:2} {name}':24}" +
                      ''.join(f'{rate:12.1f}' for rate in best.values()) + against +
                      f"{best['myna'] / of_raw:10.2f}", flush=True)


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
        for _ in range(options.rounds):
            for who, command in commands.items():
                if os.path.exists(target):
                    os.unlink(target)
                best[who] = min(best[who], run(*command)[0])
        print(f'{name:24}' + ''.join(f'{seconds:12.2f}' for seconds in best.values()), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--requests', type=int, default=100000)
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
        print_copies(programs, folder, options)
    finally:
        shutil.rmtree(folder)
    return 0


if __name__ == '__main__':
    sys.exit(main())
