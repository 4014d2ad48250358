#!/usr/bin/env python3
"""Checks that no line of the sources is wider than 120 columns, has a tab, or ends in spaces.

    check_lines.py FOLDER_OR_FILE ...

Rows of tables in Markdown may be as wide as they have to be; assembly may have tabs.
"""
import os
import sys

WIDTH = 120
SUFFIXES = ('.c', '.h', '.S', '.def', '.decode', '.py', '.json', '.md', '.build', '.txt')


def sources(place):
    if os.path.isfile(place):
        yield place
    for folder, folders, names in os.walk(place):
        folders[:] = [name for name in folders if name not in ('corpus', '__pycache__')]
        yield from (os.path.join(folder, name) for name in names if name.endswith(SUFFIXES))


def wrong(path, line):
    if len(line) > WIDTH and not (path.endswith('.md') and line.startswith('|')):
        return f'{len(line)} columns'
    if '\t' in line and not path.endswith('.S'):
        return 'a tab'
    return 'spaces at its end' if line != line.rstrip() else None


def main():
    count = 0
    failures = 0
    for place in sys.argv[1:]:
        for path in sources(place):
            count += 1
            with open(path, encoding='utf-8') as file:
                for number, line in enumerate(file.read().split('\n'), 1):
                    reason = wrong(path, line)
                    if reason:
                        failures += 1
                        print(f'{path}:{number}: {reason}', file=sys.stderr)
    if count == 0:
        print('no sources to check', file=sys.stderr)
    return 1 if failures or count == 0 else 0


if __name__ == '__main__':
    sys.exit(main())
