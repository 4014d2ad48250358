#!/usr/bin/env python3
"""Adds up the test reports of several builds: count-results.py BROKEN-BUILDS REPORT...

The last line is `N passed, N failed`, with `, N skipped` where tests were skipped. A build that failed, and a report that
is missing or holds no test, counts as one failure. The exit status is 1 where anything failed.
"""
import sys
import xml.etree.ElementTree as xml


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
    return passed, failed, skipped


def main():
    passed = skipped = 0
    failed = int(sys.argv[1])
    for path in sys.argv[2:]:
        try:
            one = count(path)
        except (OSError, xml.ParseError) as error:
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
