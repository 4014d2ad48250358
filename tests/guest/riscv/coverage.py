#!/usr/bin/env python3
"""Checks that the test programs hold every instruction that the decode files name.

    coverage.py XLEN DUMP OBJDUMP PROGRAM.elf...

DUMP is test_guest_riscv_dump. What a program executes it checks: this is about instructions that nobody wrote a test
of.
"""
import re
import subprocess
import sys


def rows(dump, xlen):
    result = subprocess.run([dump, 'rv' + xlen, 'rows'], check=True, capture_output=True, text=True)
    for line in result.stdout.splitlines():
        mask, value, length, conditions, mnemonic = line.split()
        if ('!rv64' if xlen == '64' else 'rv64') not in conditions.split(','):
            yield int(mask, 16), int(value, 16), int(length), mnemonic


def encodings(objdump, program):
    listing = subprocess.run([objdump, '-d', program], check=True, capture_output=True, text=True).stdout
    for digits in re.findall(r'^ *[0-9a-f]+:\t([0-9a-f]+)', listing, re.MULTILINE):
        yield len(digits) // 2, int(digits, 16)


def main():
    xlen, dump, objdump, *programs = sys.argv[1:]
    found = {encoding for program in programs for encoding in encodings(objdump, program)}
    missing = [mnemonic for mask, value, length, mnemonic in rows(dump, xlen)
               if not any(size == length and bits & mask == value for size, bits in found)]
    print('1..1')
    if missing:
        print('not ok 1 no program has', ', '.join(missing))
        return 1
    print(f'ok 1 {len(found)} encodings')
    return 0


if __name__ == '__main__':
    sys.exit(main())
