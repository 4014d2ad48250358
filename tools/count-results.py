#!/usr/bin/env python3
"""Adds up the test reports of several builds: count-results.py BROKEN-BUILDS REPORT...

The last line is `N passed, N failed`, with `, N skipped` where tests were skipped. A build that failed, and a report that
is missing or holds no test, counts as one failure. The exit status is 1 where anything failed.

A test that prints that all is well and then dies has no failure in such a report: testlog.json beside it tells.
"""
import json
import os
import sys
import xml.etree.ElementTree as xml

LINES, WIDTH = 40, 2000


def count(path):
    passed = failed = skipped = 0
    for case in xml.parse(path).getroot().iter('testcase'):
        if case.find('failure') is not None or case.find('error') is not None:
            failed += 1
            print(f'failed: {case.get("classname") or ""} {case.get("name")}')
        elif case.find('skipped') is not None:
            skipped += 1
        else:
            passed += 1
    bad = bad_tests(path)
    if len(bad) > failed:
        print(f'failed: {", ".join(bad)}')
        failed = len(bad)
    return passed, failed, skipped


def bad_tests(path):
    with open(os.path.join(os.path.dirname(path), 'testlog.json'), encoding='utf-8') as log:
        rows = [json.loads(line) for line in log]
    rows = [row for row in rows if row['result'] not in ('OK', 'SKIP', 'EXPECTEDFAIL')]
    for row in rows:
        show(path, row)
    return [row['name'] for row in rows]


def show(path, row):
    """What a failed test said last, here again: a long log is read from its end."""
    print(f'-- {path.split(os.sep)[0]}: {row["name"]}: {row["result"]}, status {row["returncode"]}, {row["duration"]:.1f} s')
    for stream in 'stdout', 'stderr':
        lines = [line[:WIDTH] for line in (row.get(stream) or '').splitlines()]
        print('\n'.join(lines[-LINES:]))


def main():
    passed = skipped = 0
    failed = int(sys.argv[1])
    for path in sys.argv[2:]:
        try:
            one = count(path)
        except (OSError, ValueError, xml.ParseError) as error:
            print(f'failed: {path}: {error}')
            one = (0, 1, 0)
        if sum(one) == 0:
            print(f'failed: {path} holds no test')
            one = (0, 1, 0)
        passed, failed, skipped = passed + one[0], failed + one[1], skipped + one[2]
    print(f'{passed} passed, {failed} failed' + (f', {skipped} skipped' if skipped else ''))
    sys.exit(1 if failed else 0)


if __name__ == '__main__':
    main()
