#!/usr/bin/env python3
"""Compiles a program for the host and for a guest, runs both, and compares what they print and how they end.

    same.py MYNA_USER GUEST_COMPILER PREFIX SOURCE static|dynamic [VARIABLE=VALUE...]
    same.py MYNA_USER riscv32 - SOURCE static|dynamic [VARIABLE=VALUE...]

Exit status 77 (skipped) where there is no compiler for the guest. That of 32-bit RISC-V is what tools/guest-riscv32
prepares, in MYNA_GUEST_RISCV32 or else in .cache of the source; its libc has words of its own for errors.
"""
import difflib
import os
import re
import shutil
import subprocess
import sys
import tempfile

import surroundings

# What a sanitizer has to say, once, of a child of vfork that ends on a stack of its own.
NOTICE = re.compile(rb'==\d+==WARNING: ASan is ignoring requested __asan_handle_no_return.*\n'
                    rb'False positive.*\nFor details.*\n')
SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def run(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300, check=False)
    return done.returncode, NOTICE.sub(b'', done.stdout)


def main():
    emulator, compiler, prefix, source, kind = sys.argv[1:6]
    surroundings.settle(*sys.argv[6:])
    link = ['-static'] if kind == 'static' else []
    flags = ['-O1', '-w', '-D_GNU_SOURCE', '-pthread']
    if compiler == 'riscv32':
        prefix = os.environ.get('MYNA_GUEST_RISCV32') or f'{SOURCE}/.cache/guest-riscv32'
        compiler = f'{prefix}/bin/cc'
        flags += ['-include', f'{os.path.dirname(source)}/plain.h']
    if not shutil.which(compiler):
        sys.exit(77)
    with tempfile.TemporaryDirectory() as folder:
        host, guest = os.path.join(folder, 'host'), os.path.join(folder, 'guest')
        for cc, output in ('cc', host), (compiler, guest):
            subprocess.run([cc, *flags, *link, source, '-o', output, '-lm'], check=True)
        wanted = run([host, 'one', 'two'])
        got = run([emulator, '-L', prefix, guest, 'one', 'two'])
    if wanted != got:
        lines = [text.decode(errors='backslashreplace').splitlines() for _, text in (wanted, got)]
        print('\n'.join(difflib.unified_diff(*lines, 'the host', 'the guest', lineterm='')))
        sys.exit(f'the host ends with {wanted[0]}, the guest with {got[0]}')


if __name__ == '__main__':
    main()
