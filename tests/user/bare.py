#!/usr/bin/env python3
"""Compiles bare.c for 32-bit and 64-bit RISC-V and compares what the two print, the
latter also with its memory elsewhere than the host's.

    bare.py MYNA_USER GUEST_COMPILER SOURCE

Exit status 77 (skipped) where there is no compiler.
"""
import os
import shutil
import subprocess
import sys
import tempfile

import surroundings

FLAGS = ['-O1', '-nostdlib', '-static', '-ffreestanding', '-fno-builtin', '-fno-stack-protector',
         '-fno-strict-aliasing',
         '-Wl,--no-relax']
LINES = 48


def main():
    surroundings.settle()
    emulator, compiler, source = sys.argv[1:4]
    if not shutil.which(compiler):
        sys.exit(77)
    results = []
    with tempfile.TemporaryDirectory() as folder:
        program = os.path.join(folder, 'program')
        for arch, abi in ('rv32gc', 'ilp32d'), ('rv64gc', 'lp64d'):
            subprocess.run([compiler, f'-march={arch}', f'-mabi={abi}', *FLAGS, source, '-o', program], check=True)
            done = subprocess.run([emulator, program], stdout=subprocess.PIPE, check=False, timeout=60)
            results.append((done.returncode, done.stdout.decode()))
        done = subprocess.run([emulator, '-B', '0x300000000000', program], stdout=subprocess.PIPE, check=False,
                              timeout=60)
        results.append((done.returncode, done.stdout.decode()))
    lines = len(results[0][1].splitlines())
    if results[0] != results[1] or results[1] != results[2] or results[0][0] != 3 or lines != LINES:
        sys.exit(f'32 bits: {results[0]}\n64 bits: {results[1]}\nat a base: {results[2]}')


if __name__ == '__main__':
    main()
