#!/usr/bin/env python3
"""Checks that what translated code calls leaves the host's floating point alone.

    check_float.py BUILD SOURCE_ROOT [--objdump OBJDUMP]

Objects as in check_symbols.py; x86-64 alone. Two rules, since the guest's numbers, modes and flags are in the host's
registers meanwhile:

- fpu/ and jit/fp_exact.c use no vector registers: they are called without these being saved;
- cpu/, guest/ and jit/ compute nothing in floating point: helpers run under the guest's MXCSR, and its flags are the
  guest's.
"""
import re
import subprocess

from check_symbols import read_arguments, report

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
    objdump, pairs = read_arguments(lambda path: without_vectors(path) or without_arithmetic(path))
    report([problem for path, file in pairs for problem in problems_of(objdump, path, file)], pairs)


if __name__ == '__main__':
    main()
