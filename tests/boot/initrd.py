#!/usr/bin/env python3
"""Writes a compressed initial RAM disk (cpio, newc): initrd.py OUTPUT NAME=FILE..."""
import gzip
import sys


def entry(name, mode, data, number):
    fields = [number, mode, 0, 0, 1, 0, len(data), 0, 0, 5 if mode & 0o020000 else 0, 1 if mode & 0o020000 else 0,
              len(name) + 1, 0]
    head = b'070701' + b''.join(b'%08x' % field for field in fields) + name.encode() + b'\0'
    return head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4)


def main():
    archive = entry('dev', 0o040755, b'', 1) + entry('dev/console', 0o020600, b'', 2)
    for number, word in enumerate(sys.argv[2:], 3):
        name, path = word.split('=', 1)
        with open(path, 'rb') as file:
            archive += entry(name, 0o100755, file.read(), number)
    archive += entry('TRAILER!!!', 0, b'', 0)
    with open(sys.argv[1], 'wb') as file:
        file.write(gzip.compress(archive, mtime=0))


if __name__ == '__main__':
    main()
