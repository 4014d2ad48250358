#!/usr/bin/env python3
"""Checks that what translated code calls leaves the host's floating point alone.

    check_float.py BUILD SOURCE_ROOT [--objdump OBJDUMP]

Objects as in check_symbols.py; x86-64 alone. Two rules, since the guest's numbers, modes and flags are in the host's
registers meanwhile:

- fpu/ and jit/fp_exact.c use no vector registers: they are called without these being saved;
- cpu/, guest/ and jit/ compute nothing in floating point: helpers run under the guest's MXCSR, and its flags are the
  guest's.
"""
import argparse
import re
import subprocess
import sys

from check_symbols import objects_of

# What runs on other threads than vCPUs' alone.
EXCEPTIONS = {'cpu/code_report.c'}

VECTORS = re.compile(r'%[xyz]mm\d+|%k[0-7]|%st\b')
# Moves, logic and integers in vector registers are fine.
ARITHMETIC = re.compile(r'^v?(add|sub|mul|div|sqrt|min|max|round|cmp|u?comi|rcp|rsqrt|h(add|sub)|addsub|dp)[sp][sd]$|'
                        r'^v?(add|sub|mul|div|sqrt|min|max|cmp\w*|u?comi|round)[sp][sd]$|^v?cvt|^vfn?m(add|sub)|'
                        r'^f(ld|st|add|sub|mul|div|com|ucom|sqrt)')
INSTRUCTION = re.compile(r'^ +[0-9a-f]+:\t(?:lock |rep[nz]* |notrack )*(\S+) *(.*)$')
FUNCTION = re.compile(r'^[0-9a-f]+ <(.*)>:$')


def without_vectors(path):
    return path.startswith('fpu/') or path == 'jit/fp_exact.c'


def without_arithmetic(path):
    return path.startswith(('cpu/', 'guest/', 'jit/')) and path not in EXCEPTIONS


def problems_of(objdump, path, file):
    listing = subprocess.run([objdump, '-d', '--no-show-raw-insn', file], capture_output=True, text=True, check=True)
    function = '?'
    for line in listing.stdout.splitlines():
        named, match = FUNCTION.match(line), INSTRUCTION.match(line)
        if named:
            function = named.group(1)
        elif match and without_vectors(path) and VECTORS.search(match.group(2)):
            yield f'{path}: {function} uses vector registers: {match.group(1)} {match.group(2)}'
        elif match and without_arithmetic(path) and ARITHMETIC.match(match.group(1)):
            yield f'{path}: {function} computes in floating point: {match.group(1)} {match.group(2)}'


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('build')
    parser.add_argument('source_root')
    parser.add_argument('--objdump', default='objdump')
    arguments = parser.parse_args()
    pairs = [(path, file) for path, file in objects_of(arguments.build, arguments.source_root)
             if without_vectors(path) or without_arithmetic(path)]
    if not pairs:
        sys.exit(f'no objects of {arguments.source_root} in {arguments.build}')
    problems = [problem for path, file in pairs for problem in problems_of(arguments.objdump, path, file)]
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems:
        sys.exit(f'{len(problems)} instructions against the rules')
    print(f'{len(pairs)} objects keep to the rules')


if __name__ == '__main__':
    main()
