#!/usr/bin/env python3
"""Runs the test programs on another machine emulator, to check what they expect.

    elsewhere.py BUILD-DIRECTORY EMULATOR64 EMULATOR32 [NAME...]

The emulators take -M virt -bios none -kernel, and have the `virt` board with its finisher. Not part of the tests: where
the other one differs, the manual decides. Names are those of programs ("integer", "trap"), all of them by default.
"""
import json
import pathlib
import subprocess
import sys
import tempfile

BASE = 0x80000000


def symbols(path):
    for line in path.read_text().splitlines():
        words = line.split()
        if len(words) == 3:
            yield words[2], int(words[0], 16)


def run(emulator, image, cpu):
    command = [emulator, '-M', 'virt', '-cpu', cpu, '-m', '16', '-bios', 'none', '-nographic', '-monitor', 'none',
               '-serial', 'none', '-kernel', image]
    try:
        return subprocess.run(command, timeout=10, check=False, stdout=subprocess.DEVNULL).returncode
    except subprocess.TimeoutExpired:
        return 'timeout'


def processors(build):
    """Model and properties that the build runs each program with."""
    text = subprocess.run(['meson', 'introspect', '--tests', build], check=True, capture_output=True, text=True).stdout
    return {pathlib.Path(test['cmd'][3]).stem: test['cmd'][2] for test in json.loads(text)
            if test['cmd'][0].endswith('test_guest_riscv_program')}


def main():
    models = processors(sys.argv[1])
    directory = pathlib.Path(sys.argv[1]) / 'tests/guest/riscv'
    emulators = {'64': sys.argv[2], '32': sys.argv[3]}
    names = sys.argv[4:] or sorted({path.name[:-9] for path in directory.glob('*-rv??.bin')})
    passed = failed = 0
    for name in names:
        for xlen, emulator in emulators.items():
            if not (directory / f'{name}-rv{xlen}.bin').exists():
                continue
            binary = (directory / f'{name}-rv{xlen}.bin').read_bytes()
            table = dict(symbols(directory / f'{name}-rv{xlen}.symbols'))
            for test, address in table.items():
                if not test.startswith('test_') or test in ('test_pass', 'test_fail'):
                    continue
                offset = table['selected'] - BASE
                with tempfile.NamedTemporaryFile(suffix='.bin') as image:
                    image.write(binary[:offset] + address.to_bytes(8, 'little') + binary[offset + 8:])
                    image.flush()
                    status = run(emulator, image.name, models[f'{name}-rv{xlen}'] + ',h=off,svade=off')
                passed, failed = passed + (status == 0), failed + (status != 0)
                if status != 0:
                    print(f'{name} rv{xlen} {test}: {status}', flush=True)
    print(f'{passed} agree, {failed} do not')


if __name__ == '__main__':
    main()
