#!/usr/bin/env python3
"""qcow2 images of every kind of options: made, written to, snapshotted, amended and read, and checked after each step.

    matrix.py FOLDER_OF_PROGRAMS

Where $QEMU_BIN names a folder with QEMU's qemu-img and qemu-io, each step is done by one program or the other,
and both must find the image whole and its contents right; else ours does all. MYNA_MATRIX=all: all combinations of
options, not a sample of them.
"""
import itertools
import json
import os
import random
import subprocess
import sys
import tempfile
import unittest

from images import find_peers, read_bitmaps

OWN = {name: os.path.join(os.path.abspath(sys.argv[1]), name) for name in ['qemu-img', 'qemu-io']}
PEER = find_peers(*OWN)
PROGRAMS = [OWN, PEER] if PEER else [OWN]
del sys.argv[1]
SAMPLE = 16

AXES = {
    'compat': ['v2', 'v3'],
    'cluster_size': [512, 4096, 65536, 2 << 20],
    'refcount_bits': [1, 2, 8, 16, 64],
    'extended_l2': ['off', 'on'],
    'lazy_refcounts': ['off', 'on'],
    'data_file': [None, 'plain', 'raw'],
    'compression_type': ['zlib', 'zstd'],
    'preallocation': ['off', 'metadata', 'falloc', 'full'],
    'backing': [False, True],
}


def is_possible(case):
    new = (case['refcount_bits'] != 16 or case['extended_l2'] == 'on' or case['lazy_refcounts'] == 'on' or
           case['data_file'] or case['compression_type'] == 'zstd')
    if case['compat'] == 'v2' and new:
        return False
    if case['extended_l2'] == 'on' and case['cluster_size'] < 16384:
        return False
    if case['backing'] and (case['data_file'] == 'raw' or
                            (case['preallocation'] != 'off' and case['extended_l2'] == 'off')):
        return False
    return True


def all_cases():
    for values in itertools.product(*AXES.values()):
        case = dict(zip(AXES, values))
        if is_possible(case):
            yield case


def sample():
    """Every value of every axis is in some case."""
    cases = list(all_cases())
    if os.environ.get('MYNA_MATRIX') == 'all':
        return cases
    maker = random.Random(5)
    maker.shuffle(cases)
    old = [case for case in cases if case['compat'] == 'v2'][:4]
    return old + [case for case in cases if case['compat'] == 'v3'][:SAMPLE - len(old)]


class Image:
    """An image, and what should be in it."""

    def __init__(self, test, folder, case, seed):
        self.test, self.folder, self.case = test, folder, case
        self.random = random.Random(seed)
        self.cluster = case['cluster_size']
        self.size = max(1 << 20, 5 * self.cluster) + 512 * self.random.randrange(1, 8)
        self.data = bytearray(self.size)
        self.snapshots, self.bitmaps = {}, {}
        self.turn = seed

    def path(self, name):
        return os.path.join(self.folder, name)

    def run(self, program, *words, status=0):
        result = subprocess.run([program, *words], cwd=self.folder, capture_output=True, text=True, timeout=120,
                                check=False)
        self.test.assertEqual(result.returncode, status, f'{self.case}: {program} {words}: '
                                                         f'{result.stdout}{result.stderr}')
        return result

    def next(self, name):
        """One program, then the other."""
        self.turn += 1
        return PROGRAMS[self.turn % len(PROGRAMS)][name]

    def create(self):
        options = [f'{key}={self.case[key]}' for key in AXES if key not in ('data_file', 'backing')]
        if self.case['data_file']:
            options += ['data_file=data', f"data_file_raw={'on' if self.case['data_file'] == 'raw' else 'off'}"]
        words = []
        if self.case['backing']:
            base = self.random.randbytes(self.size // 2 // 512 * 512)
            with open(self.path('base'), 'wb') as file:
                file.write(base)
            self.data[:len(base)] = base
            words = ['-b', 'base', '-F', 'raw']
        self.run(self.next('qemu-img'), 'create', '-q', '-f', 'qcow2', '-o', ','.join(options), *words, 'a',
                 str(self.size))

    def range(self, step):
        start = self.random.randrange(0, self.size // step) * step
        longest = max(1, min(self.size - start, max(3 * self.cluster, 65536)) // step)
        return start, self.random.randrange(1, longest + 1) * step

    def one_write(self):
        kind = self.random.choice(['write', 'write', 'write', 'zero', 'unmap', 'compress'])
        offset, count = self.range(512)
        value = self.random.randrange(1, 256)
        if kind == 'compress' and not self.case['data_file'] and self.case['refcount_bits'] > 2:  # they share clusters
            offset, count = self.range(self.cluster)
            count = self.cluster
            command = f'write -q -c -P {value} {offset} {count}'
        elif kind in ('zero', 'unmap'):
            command, value = f"write -q -z {'-u' if kind == 'unmap' else ''} {offset} {count}", 0
        else:
            command = f'write -q -P {value} {offset} {count}'
        self.data[offset:offset + count] = bytes([value]) * count
        for step, bits in self.bitmaps.values():
            bits.update(range(offset // step, (offset + count - 1) // step + 1))
        return command

    def write(self, times):
        words = []
        for _ in range(times):
            words += ['-c', self.one_write()]
        compresses = any('-c -P' in word for word in words)  # QEMU's only compresses clusters that are new
        self.run(OWN['qemu-io'] if compresses else self.next('qemu-io'), '-f', 'qcow2', *words, 'a')

    def snapshot(self, name):
        if self.case['refcount_bits'] > 1 and not self.case['data_file']:
            self.run(self.next('qemu-img'), 'snapshot', '-c', name, 'a')
            self.snapshots[name] = bytes(self.data)

    def bitmap(self, name):
        if self.case['compat'] == 'v3':
            step = 512 << self.random.randrange(0, 9)
            self.run(self.next('qemu-img'), 'bitmap', '--add', '-g', str(step), 'a', name)
            self.bitmaps[name] = (step, set())

    def check_contents(self, program, data, *words):
        self.run(program['qemu-img'], 'convert', '-f', 'qcow2', '-O', 'raw', *words, 'a', 'out')
        with open(self.path('out'), 'rb') as file:
            read = file.read()
        if program is PEER:  # there a snapshot is as large as the disk
            read, data = read[:len(data)], data[:len(read)]
        self.test.assertTrue(read == data, f'{self.case}: {program}: {words}: other contents')

    def check_bitmaps(self, program):
        info = json.loads(self.run(program['qemu-img'], 'info', '--output=json', 'a').stdout)
        shown = info['format-specific']['data'].get('bitmaps', [])
        expected = [{'name': name, 'granularity': step, 'flags': ['auto']} for name, (step, _) in self.bitmaps.items()]
        self.test.assertEqual([{key: entry[key] for key in ('name', 'granularity', 'flags')} for entry in shown],
                              expected, self.case)
        if self.case['compat'] == 'v3':
            found = {name: (step, bits) for name, (_, step, bits) in read_bitmaps(self.path('a')).items()}
            self.test.assertTrue(found == self.bitmaps, f'{self.case}: other bits')

    def check(self):
        for program in PROGRAMS:
            self.run(program['qemu-img'], 'check', '-q', 'a')
            self.check_contents(program, self.data)
            self.check_bitmaps(program)
            for name, data in self.snapshots.items():
                self.check_contents(program, data, '-l', name)

    def amend(self):
        """Other values of what can be amended; and, where it is possible, to version 2 and back."""
        plain = (self.case['extended_l2'] == 'off' and not self.case['data_file'] and
                 self.case['compression_type'] == 'zlib')
        if self.case['compat'] == 'v3':
            bits = self.random.choice([8, 16, 32, 64])
            lazy = self.random.choice(['on', 'off'])
            self.run(OWN['qemu-img'], 'amend', '-o', f'refcount_bits={bits},lazy_refcounts={lazy}', 'a')
            self.case = dict(self.case, refcount_bits=bits, lazy_refcounts=lazy)
            self.check()
        if not plain:
            return
        for name in list(self.bitmaps):
            self.run(self.next('qemu-img'), 'bitmap', '--remove', 'a', name)
            del self.bitmaps[name]
        for version in ['v2', 'v3']:
            self.run(OWN['qemu-img'], 'amend', '-o', f'compat={version},refcount_bits=16', 'a')
            self.case = dict(self.case, compat=version, refcount_bits=16)
            self.check()
            self.write(4)
            self.check()

    def resize(self):
        size = self.size + 512 * self.random.randrange(1, 4000)
        if self.snapshots and self.case['compat'] == 'v2':
            return
        self.run(self.next('qemu-img'), 'resize', '-q', 'a', str(size))
        self.data += bytes(size - self.size)
        self.size = size

    def apply(self):
        for name in list(self.bitmaps):
            self.run(self.next('qemu-img'), 'bitmap', '--remove', 'a', name)
            del self.bitmaps[name]
        for name, data in self.snapshots.items():
            self.run(self.next('qemu-img'), 'snapshot', '-a', name, 'a')
            self.data, self.size = bytearray(data), len(data)
            self.check()
        for name in list(self.snapshots):
            self.run(self.next('qemu-img'), 'snapshot', '-d', name, 'a')
            del self.snapshots[name]
            self.check()


class MatrixTest(unittest.TestCase):
    def run_case(self, case, seed):
        with tempfile.TemporaryDirectory(dir='/var/tmp') as folder:
            image = Image(self, folder, case, seed)
            image.create()
            image.check()
            image.write(8)
            image.snapshot('one')
            image.bitmap('b1')
            image.write(8)
            image.check()
            image.snapshot('two')
            image.bitmap('b2')
            image.write(8)
            image.check()
            image.amend()
            image.resize()
            image.write(8)
            image.check()
            image.apply()

    def test_sample(self):
        for seed, case in enumerate(sample()):
            with self.subTest(case=case):
                self.run_case(case, seed)


if __name__ == '__main__':
    unittest.main(verbosity=2)
