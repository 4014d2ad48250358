#!/usr/bin/env python3
"""Fails where faults.c leaves out a pointer of a system call that takes one.

    covered.py SYSCALLS_DEF FAULTS_C
"""
import re
import sys

ROW = re.compile(r'^SYSCALL\((\w+), (\w+), \w+(?:, (.*))?\)$', re.MULTILINE)
CALL = re.compile(r'(?:CALL|CAREFUL|WIDE|ALONE)\((\w+), (\d+)')
POINTERS = re.compile(r'ADDRESS|PATH|LINK|STRING|BYTES|IN\(|OUT\(|INOUT|VECTOR|SIGSET|FIXED|INFO')
REFUSED = ('refuse', 'deny', 'invalid', 'seccomp', 'pkey_alloc')
# Addresses that are not looked at, or that faults.c has by themselves; calls of 32-bit guests, which bare.c makes; of
# one processor, which calls.c makes; rseq, which libc has made.
ELSEWHERE = {
    'brk', 'mmap', 'munmap', 'mprotect', 'mremap', 'madvise', 'remap_file_pages', 'pkey_mprotect', 'set_tid_address',
    'clone', 'statfs64', 'fstatfs64', '_llseek', 'riscv_flush_icache', 'riscv_hwprobe', 'rseq',
}
# By name, the arguments that are no pointers to the kernel, or that matter in other operations alone.
NOT_LOOKED_AT = {
    'io_destroy': 1, 'io_submit': 1, 'io_cancel': 1, 'io_getevents': 1, 'io_pgetevents': 1, 'get_mempolicy': 8,
    'getcpu': 4, 'mbind': 1,
}


def main():
    definitions, source = (open(name, encoding='utf-8').read() for name in sys.argv[1:3])
    made = {}
    for name, pointers in CALL.findall(source):
        made[name] = made.get(name, 0) | int(pointers)
    missing = []
    for name, function, arguments in ROW.findall(definitions):
        if function in REFUSED or name in ELSEWHERE:
            continue
        kinds = re.findall(r'\w+(?:\(\w+\))?', arguments)
        wanted = sum(1 << i for i, kind in enumerate(kinds) if POINTERS.match(kind)) & ~NOT_LOOKED_AT.get(name, 0)
        if wanted & ~made.get(name, 0):
            missing.append(f'{name}: {wanted & ~made.get(name, 0):#x}')
    sys.exit('\n'.join(missing) or 0)


if __name__ == '__main__':
    main()
