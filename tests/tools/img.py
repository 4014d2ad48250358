#!/usr/bin/env python3
"""The img program: what its commands print and return, and that images are what they should be.

    img.py FOLDER_OF_PROGRAMS
"""
import json
import os
import random
import re
import select
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest

from images import find_peers, read_bitmaps

PROGRAM = os.path.join(os.path.abspath(sys.argv.pop(1)), 'qemu-img')
PEERS = find_peers('qemu-img', 'qemu-io')


def guessed(name):
    return (f"WARNING: Image format was not specified for '{name}' and probing guessed raw.\n"
            '         Automatically detecting the format is dangerous for raw images, write operations on block 0 '
            'will be restricted.\n'
            "         Specify the 'raw' format explicitly to remove the restrictions.\n")


class ImgTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(dir='/var/tmp')
        self.addCleanup(self.folder.cleanup)
        maker = random.Random(1)
        data = bytearray(5 << 20)
        data[0:1 << 20] = maker.randbytes(1 << 20)
        data[2 << 20:(2 << 20) + 100000] = b'x' * 100000
        data[4 << 20:(4 << 20) + 5000] = maker.randbytes(5000)
        self.data = bytes(data)
        with open(self.path('src.raw'), 'wb') as file:
            file.write(self.data)

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def run_img(self, line, status=0):
        result = subprocess.run([PROGRAM] + line.split(), cwd=self.folder.name, capture_output=True, text=True,
                                timeout=120, check=False)
        self.assertEqual(result.returncode, status, f'{line}: {result.stdout}{result.stderr}')
        return result

    def expect_error(self, line, text, status=1):
        self.assertEqual(self.run_img(line, status).stderr, text)

    def read(self, name):
        with open(self.path(name), 'rb') as file:
            return file.read()

    def test_create_and_info(self):
        self.assertEqual(self.run_img('create -f qcow2 a.qcow2 10M').stdout,
                         "Formatting 'a.qcow2', fmt=qcow2 cluster_size=65536 extended_l2=off compression_type=zlib "
                         "size=10485760 lazy_refcounts=off refcount_bits=16\n")
        lines = self.run_img('info a.qcow2').stdout.split('\n')
        self.assertEqual(lines[:3], ['image: a.qcow2', 'file format: qcow2', 'virtual size: 10 MiB (10485760 bytes)'])
        self.assertEqual(lines[4:12], ['cluster_size: 65536', 'Format specific information:', '    compat: 1.1',
                                       '    compression type: zlib', '    lazy refcounts: false',
                                       '    refcount bits: 16', '    corrupt: false', '    extended l2: false'])
        info = json.loads(self.run_img('info --output=json a.qcow2').stdout)
        self.assertEqual((info['format'], info['virtual-size'], info['cluster-size'], info['dirty-flag']),
                         ('qcow2', 10 << 20, 65536, False))
        self.assertEqual(info['children'][0]['info']['format'], 'file')

    def test_standard_options(self):
        more = "Try 'qemu-img --help' for more info\n"
        self.expect_error('', f'qemu-img: Not enough arguments\n{more}')
        self.expect_error('nosuch', f'qemu-img: Command not found: nosuch\n{more}')
        self.expect_error('-x info', f"qemu-img: invalid option -- 'x'\n{more}")
        self.expect_error('info -T', "qemu-img info: invalid option -- 'T'\nTry 'qemu-img info --help' for more info\n")
        self.assertIn('\nblock_read\n', self.run_img('-T help nosuch').stdout)
        traced = self.run_img('--trace block_open info src.raw').stderr
        self.assertRegex(traced, r"block_open node '#block\d+' driver raw file 'src.raw' flags 0x[0-9a-f]+\n")
        self.expect_error('-T nosuch info -f raw src.raw', "qemu-img: warning: 'nosuch' is not a trace event\n", 0)

    def test_what_excludes_what(self):
        """Options that cannot go together, numbers out of range, as qemu-img answers."""
        self.run_img('create -q -f qcow2 a 1M')
        self.run_img('snapshot -c s a')
        image = 'driver=qcow2,file.filename=a'
        for line in [f'info -f qcow2 --image-opts {image}', f'check -f qcow2 --image-opts {image}',
                     f'convert -n -O raw --target-image-opts src.raw {image}']:
            self.expect_error(line, 'qemu-img: --image-opts and --format are mutually exclusive\n')
        self.expect_error(f'compare -F qcow2 --image-opts {image} {image}',
                          'qemu-img: --image-opts and --format are mutually exclusive\n', 2)
        between = 'Must be between {} and {}.\n'
        for line, text in [
                ('bench -c -1 -f raw src.raw', 'Invalid request count specified. ' + between.format(1, 2**31 - 1)),
                ('map -s -1 a', 'Invalid start offset specified. ' + between.format(0, 2**63 - 1)),
                ('map -s 9x a', "Invalid start offset specified: '9x'.\n"),
                ('convert -S 9x a b', "Invalid buffer size for sparse output specified: '9x'.\n"),
                ('convert --salvage -C a b', 'Cannot use copy offloading in salvaging mode\n'),
                ('convert -l s a a b', 'No support for concatenating multiple snapshot\n'),
                ('convert -c -O qcow2 -o preallocation=full a b',
                 'Compression and preallocation not supported at the same time\n'),
                ('convert -F raw -O qcow2 a b',
                 'b: error while converting qcow2: Backing format cannot be used without backing file\n'),
                ('create -f qcow2 -o size=1M b 2M', 'b: The image size must be specified only once\n'),
                ('create -u -f qcow2 -b missing -F raw b', 'b: Image creation needs a size parameter\n'),
                ('snapshot -d 1 a', "Could not delete snapshot '1': snapshot not found\n"),
                ('info /', "Could not open '/': 'file' driver requires '/' to be a regular file\n")]:
            self.expect_error(line, f'qemu-img: {text}')
        self.expect_error('resize a 1M 2M', 'qemu-img: Extra argument(s) in command line\n'
                          "Try 'qemu-img resize --help' for more info\n")
        self.run_img('convert -O qcow2 -o size=8M src.raw b')
        self.assertEqual(json.loads(self.run_img('info --output=json b').stdout)['virtual-size'], 5 << 20)

    def test_names_of_files(self):
        """Schemes before a path, json: with dotted keys, names that are not the driver's."""
        self.run_img('create -q file:a:b 1M')
        self.assertEqual(os.path.getsize(self.path('a:b')), 1 << 20)
        self.run_img('create -q -f qcow2 -b json:{"driver":"raw","file.filename":"src.raw"} -F raw top')
        self.run_img('compare src.raw top')
        self.run_img('convert -O qcow2 src.raw base')
        self.run_img('compare src.raw json:{"file.filename":"base"}')
        self.run_img('info json:{"driver":"qcow2","file":{"driver":"file"},"file.filename":"base"}')
        for line, text in [
                ('info -f nbd a', "Could not open 'a': File name string for NBD must start with 'nbd:'"),
                ('info -f null-co a', "Could not open 'a': The only allowed filename for this driver is 'null-co://'"),
                ('info json:{}', "Could not open 'json:{}': Must specify either driver or file"),
                ('info json:[]', "Could not open 'json:[]': Invalid JSON object given"),
                ('info --image-opts base', "Could not open 'base': Cannot find device='base' nor node-name='base'")]:
            self.expect_error(line, f'qemu-img: {text}\n')
        self.run_img('convert -O nbd src.raw out', 1)
        self.run_img('create -f nbd out 1M', 1)
        self.assertIn('virtual size: 0 B', self.run_img('info -f raw /dev/null').stdout)

    def test_failed_creation_keeps_files(self):
        """What cannot be made for reasons that are known before leaves the file of that name alone."""
        long = 'a' * 1024
        for line in [f'create -q -f qcow2 -u -b {long} -F raw src.raw 1M', 'create -q -f qcow2 -o foo=1 src.raw 1M',
                     'create -q -f qcow2 -o data_file=src.raw src.raw 1M', 'convert -f raw -c -O raw src.raw src.raw',
                     'create -q -f qcow2 -o compat=v9 src.raw 1M', 'create -q -f qcow2 -u -b none src.raw 1M',
                     f'create -q -f qcow2 -o cluster_size=512 -u -b {"a" * 600} -F raw src.raw 1M']:
            self.run_img(line, 1)
            self.assertEqual(self.read('src.raw'), self.data, line)
        self.expect_error('create -q out 7E', "qemu-img: out: The image size is too large for file format 'raw'\n")

    def test_snapshots_by_name_and_id(self):
        """An ID counts before a name that looks like one, but where a name is asked for."""
        self.run_img('create -q -f qcow2 a 1M')
        for byte, name in [(1, '2'), (2, 'x')]:
            self.run_io('a', f'write -P {byte} 0 64k')
            self.run_img(f'snapshot -c {name} a')
        for option, byte in [('2', 2), ('snapshot.name=2', 1), ('snapshot.id=2', 2), ('1', 1),
                             ('snapshot.id=2,snapshot.name=x', 2)]:
            self.run_img(f'convert -l {option} -O raw a out')
            self.assertEqual(self.read('out')[0], byte, option)
        self.expect_error('convert -l snapshot.id=1,snapshot.name=x a out',
                          "qemu-img: Failed to load snapshot: Can't find snapshot\n")
        self.expect_error('convert -l snapshot.foo=1 a out', "qemu-img: Invalid parameter 'snapshot.foo'\n"
                          "qemu-img: Failed in parsing snapshot param 'snapshot.foo=1'\n")
        self.run_img('snapshot -d 2 a')
        self.run_img(f'snapshot -c {"n" * 300} a')
        names = [one['name'] for one in json.loads(self.run_img('info --output=json a').stdout)['snapshots']]
        self.assertEqual(names, ['x', 'n' * 255])

    def test_repair_of_corrupt(self):
        self.run_img('convert -O qcow2 src.raw a')
        with open(self.path('a'), 'r+b') as file:
            file.seek(79)
            file.write(b'\2')
        self.assertIn('"corrupt": true', self.run_img('info --output=json a').stdout)
        self.expect_error('resize a 9M', "qemu-img: Could not open 'a': qcow2: Image is corrupt; cannot be opened "
                          'read/write\n')
        self.run_img('compare src.raw a')
        self.run_img('check -r all a')
        self.assertIn('"corrupt": false', self.run_img('info --output=json a').stdout)
        self.run_img('resize a 9M')
        with open(self.path('a'), 'r+b') as file:
            file.seek((2 << 16) + 2 * 6)
            file.write(b'\0\2')
        flag = self.run_img('check a', 2)
        self.assertRegex(flag.stderr, r'ERROR OFLAG_COPIED data cluster: l2_entry=80000000000\d0000 refcount=2')
        self.run_img('check -r all a')
        self.run_img('check a')

    def test_create_errors(self):
        for line, text in [
                ('create', "Expecting image file name\nTry 'qemu-img create --help' for more info"),
                ('create -f foo c', "c: Unknown file format 'foo'"),
                ('create -f qcow2 c', 'c: Image creation needs a size parameter'),
                ('create -f qcow2 c 1X', "Invalid image size specified: '1X'."),
                ('create -f qcow2 -o foo=1 c 1M', "c: Invalid parameter 'foo'"),
                ('create -q -f qcow2 -o cluster_size=3 c 1M',
                 'c: Cluster size must be a power of two between 512 and 2048k'),
                ('create -q -f qcow2 -b src.raw c',
                 'c: Backing file specified without backing format\nDetected format of raw.'),
                ('create -f null-co x 1M', "x: Format driver 'null-co' does not support image creation"),
                ('create x 1M 2M', "Unexpected argument: 2M\nTry 'qemu-img create --help' for more info"),
                ('foo', "Command not found: foo\nTry 'qemu-img --help' for more info")]:
            self.expect_error(line, 'qemu-img: ' + text + '\n')

    def test_convert(self):
        for options in ['', '-c', '-c -o compression_type=zstd', '-o cluster_size=4k', '-o extended_l2=on', '-W -m 1',
                        '-o preallocation=metadata', '-o preallocation=full', '-S 0', '-o compat=v2', '-t none',
                        '-o data_file=d.data,data_file_raw=on']:
            self.run_img(f'convert -O qcow2 {options} src.raw a.qcow2')
            self.assertEqual(self.run_img('compare src.raw a.qcow2').stdout, 'Images are identical.\n')
            self.assertTrue(self.run_img('check a.qcow2').stdout.startswith('No errors were found on the image.\n'))
            self.run_img('convert -O raw a.qcow2 b.raw')
            self.assertEqual(self.read('b.raw'), self.data, options)
        self.assertEqual(self.read('d.data'), self.data)
        self.run_img('convert -O raw src.raw a.qcow2 both.raw')
        self.assertEqual(self.read('both.raw'), self.data + self.data)
        self.expect_error('convert -c -O raw src.raw x', 'qemu-img: Compression not supported for this file format\n')
        self.expect_error('convert src.raw', 'qemu-img: Must specify image file name\n')
        self.expect_error('convert -O foo src.raw x', "qemu-img: Unknown file format 'foo'\n")

    def test_convert_onto_backing(self):
        self.run_img('convert -O qcow2 src.raw base.qcow2')
        self.run_img('create -q -f qcow2 -b base.qcow2 -F qcow2 top.qcow2')
        self.run_img('convert -O qcow2 -B base.qcow2 -F qcow2 top.qcow2 flat.qcow2')
        self.assertEqual(self.run_img('compare src.raw flat.qcow2').stdout, 'Images are identical.\n')
        self.assertLess(os.path.getsize(self.path('flat.qcow2')), 1 << 20)
        self.expect_error('convert -O qcow2 -B base.qcow2 -F qcow2 top.qcow2 top.qcow2 two.qcow2',
                          'qemu-img: Having a backing file for the target makes no sense when concatenating multiple '
                          'input images\n')

    def test_convert_holes_onto_backing(self):
        self.run_img('create -q -f qcow2 empty.qcow2 5M')
        self.run_img('convert -O qcow2 -B src.raw -F raw empty.qcow2 over.qcow2')
        self.run_img('convert -O raw over.qcow2 over.raw')
        self.assertEqual(self.read('over.raw'), bytes(5 << 20))

    def test_map(self):
        self.run_img('convert -O qcow2 src.raw a.qcow2')
        self.assertEqual(self.run_img('map a.qcow2').stdout.split('\n')[:2],
                         ['Offset          Length          Mapped to       File',
                          '0               0x100000        0x50000         a.qcow2'])
        self.run_img('create -q -f qcow2 -b a.qcow2 -F qcow2 b.qcow2')
        entries = json.loads(self.run_img('map --output=json b.qcow2').stdout)
        self.assertEqual(sum(entry['length'] for entry in entries), len(self.data))
        self.assertEqual(entries[0], {'start': 0, 'length': 1 << 20, 'depth': 1, 'present': True, 'zero': False,
                                      'data': True, 'compressed': False, 'offset': 0x50000})
        part = json.loads(self.run_img('map --output=json --start-offset 512k --max-length 64k b.qcow2').stdout)
        self.assertEqual((len(part), part[0]['start'], part[0]['length']), (1, 512 << 10, 64 << 10))

    def test_map_of_preallocated(self):
        """What was allocated and never written to is data that reads as zeroes; a zero cluster has its place."""
        def entry(start, length, flags, offset=None, depth=0):
            made = {'start': start << 10, 'length': length << 10, 'depth': depth, 'present': 'p' in flags,
                    'zero': 'z' in flags, 'data': 'd' in flags, 'compressed': False}
            return made if offset is None else {**made, 'offset': offset << 10}

        self.run_img('create -q -f qcow2 -o preallocation=metadata a 4M')
        self.run_io('a', 'write 1M 64k', 'write -z 2M 64k')
        self.assertEqual(json.loads(self.run_img('map --output=json a').stdout), [
            entry(0, 1024, 'pzd', 320), entry(1024, 64, 'pd', 1344), entry(1088, 960, 'pzd', 1408),
            entry(2048, 64, 'pz', 2368), entry(2112, 1984, 'pzd', 2432)])
        self.assertEqual(self.run_img('map a').stdout.split('\n')[1:],
                         ['0x100000        0x10000         0x150000        a', ''])
        self.run_img('create -q -f qcow2 -b a -F qcow2 b 5M')
        self.run_img('create -q -f qcow2 -b b -F qcow2 -o extended_l2=on c 5M')
        self.run_io('c', 'write 4M 2k')
        self.assertEqual(json.loads(self.run_img('map --output=json -s 3M c').stdout), [
            entry(3072, 1024, 'pzd', 3392, 2), entry(4096, 2, 'pd', 320), entry(4098, 1022, 'z', None, 1)])
        if PEERS:
            for name in 'abc':
                theirs = subprocess.run([PEERS['qemu-img'], 'map', '--output=json', name], cwd=self.folder.name,
                                        capture_output=True, text=True, timeout=120, check=True).stdout
                self.assertEqual(self.run_img(f'map --output=json {name}').stdout, theirs)
        self.assertEqual(self.run_img('map --output=json -s 6M c').stdout.count('"length": 0,'), 1)
        self.run_img('convert -O raw c d')
        self.assertEqual(self.read('d')[1 << 20:(1 << 20) + 65536], b'\xcd' * 65536)
        self.run_img('compare a d', 1)

    def run_io(self, image, *commands, program=None):
        program = program or os.path.join(os.path.dirname(PROGRAM), 'qemu-io')
        line = [program] + [word for command in commands for word in ('-c', command)] + [image]
        subprocess.run(line, cwd=self.folder.name, capture_output=True, timeout=120, check=True)

    def bitmaps(self, name):
        return read_bitmaps(self.path(name))

    def test_bitmap(self):
        self.run_img('create -q -f qcow2 a 10M')
        self.run_img('bitmap --add a b0')
        self.run_img('bitmap --add -g 512 --disable a b1')
        self.run_io('a', 'write 1M 100k', 'write -z 3M 64k', 'write 512 10')
        self.assertEqual(self.bitmaps('a'), {'b0': (2, 65536, {0, 16, 17, 48}), 'b1': (0, 512, set())})
        lines = self.run_img('info a').stdout.split('\n')
        self.assertEqual(lines[8:18], [
            '    lazy refcounts: false', '    bitmaps:', '        [0]:', '            flags:',
            '                [0]: auto', '            name: b0', '            granularity: 65536', '        [1]:',
            '            flags:', '            name: b1'])
        self.assertEqual(json.loads(self.run_img('info --output=json a').stdout)['format-specific']['data']['bitmaps'],
                         [{'flags': ['auto'], 'name': 'b0', 'granularity': 65536},
                          {'flags': [], 'name': 'b1', 'granularity': 512}])
        self.run_img('bitmap --merge b0 a b1')
        self.run_img('bitmap --clear --disable a b0')
        fine = {i for coarse in [0, 16, 17, 48] for i in range(coarse * 128, coarse * 128 + 128)}
        self.assertEqual(self.bitmaps('a'), {'b0': (0, 65536, set()), 'b1': (0, 512, fine)})
        self.run_img('create -q -f qcow2 c 10M')
        self.run_img('bitmap --add --merge b1 -b a -F qcow2 c d')
        self.assertEqual(self.bitmaps('c'), {'d': (2, 65536, {0, 16, 17, 48})})
        self.run_img('resize -q --shrink c 1088k')
        self.run_img('resize -q c 10M')
        self.assertEqual(self.bitmaps('c'), {'d': (2, 65536, {0, 16})})
        self.run_img('check a')
        self.run_img('bitmap --remove a b0')
        self.run_img('bitmap --enable --remove a b1')
        self.assertEqual(self.bitmaps('a'), {})
        self.run_img('check a')

    def test_bitmap_errors(self):
        self.run_img('create -q -f qcow2 a 10M')
        self.run_img('create -q -f qcow2 -o compat=0.10 v2 10M')
        self.run_img('create -q -f qcow2 b 11M')
        self.run_img('bitmap --add a b0')
        for line, text in [
                ('a b0', 'Need at least one of --add, --remove, --clear, --enable, --disable, or --merge'),
                ('--add a b0', 'Operation add on bitmap b0 failed: Bitmap already exists: b0'),
                ('--remove a zz', "Operation remove on bitmap zz failed: Dirty bitmap 'zz' not found"),
                ('--add -g 100 a z',
                 'Operation add on bitmap z failed: Granularity must be power of 2 and at least 512'),
                ('--clear -g 64k a b0', 'granularity only supported with --add'),
                ('--add -b a a d', 'Merge bitmap source file only supported with --merge'),
                ('--merge b0 -F qcow2 a d', '-F only supported with -b'),
                ('--merge b0 -b nofile a b0',
                 "Could not open 'nofile': Could not open 'nofile': No such file or directory")]:
            self.expect_error(f'bitmap {line}', f'qemu-img: {text}\n')
        self.assertIn('Cannot store dirty bitmaps in qcow2 v2 files\n', self.run_img('bitmap --add v2 d', 1).stderr)
        self.assertIn('Bitmaps are of different sizes', self.run_img('bitmap --add --merge b0 -b a b d', 1).stderr)
        self.run_img('snapshot -c s a')
        self.expect_error('snapshot -a s a',
                          "qemu-img: Could not apply snapshot 's': Device has active dirty bitmaps\n")

    def test_dd(self):
        for line, part in [('', self.data), ('bs=1M skip=1', self.data[1 << 20:]),
                           ('bs=1M count=2', self.data[:2 << 20]),
                           ('bs=1000 count=1000 skip=3', self.data[3000:1000000]), ('count=0', b''),
                           ('bs=3k skip=2', self.data[6 << 10:])]:
            self.run_img(f'dd -f raw {line} if=src.raw of=out')
            self.assertEqual(self.read('out'), part + bytes(-len(part) % 512), line)
            self.run_img(f'dd -O qcow2 {line} if=src.raw of=out.qcow2')
            self.run_img('compare -f raw -F qcow2 out out.qcow2')
        skipped = self.run_img('dd bs=1M skip=6 if=src.raw of=out')
        self.assertEqual(skipped.stderr, 'qemu-img: src.raw: cannot skip to specified offset\n')
        self.assertEqual(self.read('out'), b'')
        for line, text in [
                ('if=src.raw', 'Must specify both input and output files'),
                ('if=src.raw of=x foo=1', 'unrecognized operand foo'),
                ('if=src.raw of=x abc', 'unrecognized operand abc'),
                ('if=src.raw of=x bs=0', 'Invalid bs specified. Must be between 1 and 2147483647.'),
                ('if=src.raw of=x count=1x', "Invalid count specified: '1x'."),
                ('if=none of=x', "Could not open 'none': Could not open 'none': No such file or directory")]:
            self.expect_error(f'dd {line}', f'qemu-img: {text}\n')

    def test_measure(self):
        self.run_img('create -q -f qcow2 a 100M')
        self.run_io('a', 'write 0 3M', 'write 50M 1M', 'write -z 70M 2M')
        self.run_img('bitmap --add a b')
        self.assertEqual(self.run_img('measure -O qcow2 a').stdout,
                         'required size: 4521984\nfully allocated size: 105185280\nbitmaps size: 196608\n')
        self.assertEqual(json.loads(self.run_img('measure -O qcow2 --size 10G --output=json').stdout),
                         {'required': 1900544, 'fully-allocated': 10739318784})
        self.assertEqual(self.run_img('measure a').stdout,
                         'required size: 104857600\nfully allocated size: 104857600\n')
        for options in ['', '-o cluster_size=512,refcount_bits=1', '-o cluster_size=2M,refcount_bits=64',
                        '-o extended_l2=on', '-o preallocation=full']:
            measured = json.loads(self.run_img(f'measure -O qcow2 {options} src.raw --output=json').stdout)
            self.run_img(f'convert -S 0 -O qcow2 {options} src.raw b')
            self.assertLessEqual(os.path.getsize(self.path('b')), measured['fully-allocated'])
            self.assertGreater(os.path.getsize(self.path('b')), len(self.data))
        for line, text in [
                ('', 'Either --size N or one filename must be specified.'),
                ('--size 1M a', '--size N cannot be used together with a filename.'),
                ('a a', 'At most one filename argument is allowed.'),
                ('-f qcow2 --size 1M', '--image-opts, -f, and -l require a filename argument.'),
                ('-O qcow2 --size 4E', 'The image size is too large (try using a larger cluster size)'),
                ('-O qcow2 -o foo=1 a', "Invalid parameter 'foo'\nqemu-img: Invalid options for file format 'qcow2'"),
                ('-l s a', "Failed to load snapshot: Can't find snapshot")]:
            self.expect_error(f'measure {line}', f'qemu-img: {text}\n')

    def test_convert_bitmaps(self):
        self.run_img('create -q -f qcow2 a 10M')
        self.run_img('bitmap --add a on')
        self.run_io('a', 'write 1M 100k')
        self.run_img('bitmap --add -g 512 --disable --merge on a off')
        self.run_img('convert --bitmaps -O qcow2 a b')
        self.assertEqual(self.bitmaps('b'), self.bitmaps('a'))
        self.assertEqual(self.bitmaps('b')['on'], (2, 65536, {16, 17}))
        self.run_img('compare a b')
        with open(self.path('a'), 'r+b') as file:  # one that nobody stored
            image = bytearray(file.read())
            place, = struct.unpack_from('>Q', image, image.index(b'\x23\x85\x28\x75') + 24)
            file.seek(place + 15)
            file.write(b'\3')
        self.expect_error('convert --bitmaps -O qcow2 a c',
                          "qemu-img: Cannot copy inconsistent bitmap 'on'\nTry --skip-broken-bitmaps, or use "
                          "'qemu-img bitmap --remove' to delete it\n")
        self.assertFalse(os.path.exists(self.path('c')))
        with open(self.path('a'), 'rb') as file:
            image = bytearray(file.read())
        image[place + 17] = 77
        with open(self.path('bad'), 'wb') as file:
            file.write(image)
        for line in ['check', 'check -r all', 'resize', 'bitmap --add']:
            result = self.run_img(f"{line} bad{' 20M' if line == 'resize' else ' x' if '--' in line else ''}", 1)
            self.assertIn("Bitmap 'on' doesn't satisfy the constraints\n", result.stderr)
        self.run_img('compare a bad')  # the disk is as good as ever
        self.assertEqual(self.run_img('convert --bitmaps --skip-broken-bitmaps -O qcow2 a c').stderr,
                         "qemu-img: warning: Skipping inconsistent bitmap 'on'\n")
        self.assertEqual(list(self.bitmaps('c')), ['off'])
        for line, text in [('-O raw b r', "Format driver 'raw' does not support bitmaps"),
                           ('-O qcow2 src.raw c', 'Source lacks bitmap support'),
                           ('-O qcow2 b b c', 'Copying bitmaps only possible with single source'),
                           ('-n -O qcow2 b c', 'Failed to create bitmap off: Bitmap already exists: off')]:
            self.expect_error(f'convert --bitmaps {line}', f'qemu-img: {text}\n')
        self.expect_error('convert --skip-broken-bitmaps b c',
                          'qemu-img: Use of --skip-broken-bitmaps requires --bitmaps\n')

    @unittest.skipUnless(PEERS, 'there is no qemu-img to compare with')
    def test_bitmap_both_ways(self):
        """Bitmaps that one program made are kept up by the other."""
        own = {'qemu-img': PROGRAM, 'qemu-io': os.path.join(os.path.dirname(PROGRAM), 'qemu-io')}
        maker = random.Random(3)
        for size in ['4k', '64k']:
            self.run_img(f'create -q -f qcow2 -o cluster_size={size} a 20M')
            expected = {}
            for i in range(8):
                programs = [own, PEERS][i % 2]
                granularity = 512 << maker.randrange(0, 10)
                expected[f'b{i}'] = (2, granularity, set())
                subprocess.run([programs['qemu-img'], 'bitmap', '--add', '-g', str(granularity), 'a', f'b{i}'],
                               cwd=self.folder.name, check=True)
                commands = []
                for _ in range(5):
                    offset, count = maker.randrange(0, 19 << 20), maker.randrange(1, 1 << 20)
                    commands.append(f'write -q {offset} {count}')
                    for _, step, bits in expected.values():
                        bits.update(range(offset // step, (offset + count - 1) // step + 1))
                self.run_io('a', *commands, program=[PEERS, own][i // 2 % 2]['qemu-io'])
                self.assertEqual(self.bitmaps('a'), expected)
                subprocess.run([PEERS['qemu-img'], 'check', '-q', 'a'], cwd=self.folder.name, check=True)
                self.run_img('check -q a')

    def test_compare(self):
        other = bytearray(self.data)
        other[3 << 20] = 1
        with open(self.path('other.raw'), 'wb') as file:
            file.write(other)
        self.assertEqual(self.run_img('compare src.raw other.raw', 1).stdout,
                         f'Content mismatch at offset {3 << 20}!\n')
        with open(self.path('longer.raw'), 'wb') as file:
            file.write(self.data + bytes(1 << 20))
        self.assertEqual(self.run_img('compare src.raw longer.raw').stdout,
                         'Warning: Image size mismatch!\nImages are identical.\n')
        self.assertEqual(self.run_img('compare -s src.raw longer.raw', 1).stdout,
                         'Strict mode: Image size mismatch!\n')
        self.run_img('compare nonexist src.raw', 2)

    def test_check_and_repair(self):
        self.run_img('convert -O qcow2 -o cluster_size=4k src.raw a.qcow2')
        with open(self.path('a.qcow2'), 'r+b') as file:
            file.seek(2 * 4096 + 2000 * 2)
            file.write(b'\0\1')
        leaky = self.run_img('check a.qcow2', 3)
        self.assertEqual(leaky.stderr, 'Leaked cluster 2000 refcount=1 reference=0\n')
        self.assertIn('\n1 leaked clusters were found on the image.\n', leaky.stdout)
        self.assertEqual(json.loads(self.run_img('check --output=json a.qcow2', 3).stdout)['leaks'], 1)
        repaired = self.run_img('check -r leaks a.qcow2')
        self.assertIn('    1 leaked clusters\n    0 corruptions\n', repaired.stdout)
        with open(self.path('a.qcow2'), 'r+b') as file:
            file.seek(2 * 4096 + 10 * 2)
            file.write(b'\0\0')
        self.run_img('check a.qcow2', 2)
        self.run_img('check -r all a.qcow2')
        self.run_img('check a.qcow2')
        self.expect_error('check src.raw', 'qemu-img: This image format does not support checks\n', 63)

    def test_resize(self):
        self.run_img('convert -O qcow2 src.raw a.qcow2')
        self.assertEqual(self.run_img('resize a.qcow2 +1M').stdout, 'Image resized.\n')
        self.run_img('convert -O raw a.qcow2 b.raw')
        self.assertEqual(self.read('b.raw'), self.data + bytes(1 << 20))
        self.assertIn('Use the --shrink option', self.run_img('resize a.qcow2 1M', 1).stderr)
        self.run_img('resize --shrink a.qcow2 1M')
        self.run_img('convert -O raw a.qcow2 b.raw')
        self.assertEqual(self.read('b.raw'), self.data[:1 << 20])
        self.run_img('check a.qcow2')

    def test_resize_with_snapshot(self):
        """A smaller disk drops tables of its own, not those of a snapshot."""
        self.run_img('create -q -f qcow2 -o cluster_size=512 a 256k')
        self.run_io('a', 'write 0 256k')
        self.run_img('snapshot -c s a')
        self.run_img('resize -q --shrink a 64k')
        self.run_img('check a')
        self.run_img('convert -l s -O raw a b')
        self.assertEqual(self.read('b'), b'\xcd' * (256 << 10))

    def test_snapshot_of_impossible_size(self):
        self.run_img('create -q -f qcow2 a.qcow2 1M')
        self.run_img('snapshot -c one a.qcow2')
        with open(self.path('a.qcow2'), 'r+b') as file:
            file.seek(64)
            table = int.from_bytes(file.read(8), 'big')
            file.seek(table + 48)
            file.write((1 << 60).to_bytes(8, 'big'))
        self.expect_error('snapshot -a one a.qcow2',
                          "qemu-img: Could not apply snapshot 'one': Invalid argument\n")
        self.run_img('check a.qcow2')

    def test_snapshots(self):
        other = self.data[::-1]
        with open(self.path('other.raw'), 'wb') as file:
            file.write(other)
        for options in ['', '-o cluster_size=4k', '-o extended_l2=on', '-c', '-o compat=v2',
                        '-o refcount_bits=64,cluster_size=512']:
            self.run_img(f'convert -O qcow2 {options} src.raw a.qcow2')
            self.run_img('snapshot -c one a.qcow2')
            self.run_img('convert -n -O qcow2 other.raw a.qcow2')
            self.run_img('snapshot -c two a.qcow2')
            self.run_img('check a.qcow2')
            for name, contents in [('one', self.data), ('two', other), ('snapshot.id=1', self.data)]:
                self.run_img(f'convert -l {name} -O raw a.qcow2 x.raw')
                self.assertEqual(self.read('x.raw'), contents, options)
            self.run_img('snapshot -a one a.qcow2')
            self.run_img('check a.qcow2')
            self.run_img('compare a.qcow2 src.raw')
            self.run_img('snapshot -d one a.qcow2')
            self.run_img('check a.qcow2')
            self.assertRegex(self.run_img('snapshot a.qcow2').stdout,
                             '^Snapshot list:\nID      TAG               VM_SIZE                DATE        VM_CLOCK '
                             '    ICOUNT\n2       two                   0 B ....-..-.. ..:..:..  0000:00:00.000       '
                             '   0\n$')
            self.run_img('snapshot -a two a.qcow2')
            self.run_img('snapshot -d two a.qcow2')
            self.run_img('compare a.qcow2 other.raw')
            self.run_img('check a.qcow2')
            self.assertEqual(self.run_img('snapshot -l a.qcow2').stdout, '')
        self.expect_error('snapshot -d nix a.qcow2', "qemu-img: Could not delete snapshot 'nix': snapshot not found\n")
        self.expect_error('snapshot -c x -d y a.qcow2', "qemu-img: Cannot mix '-l', '-a', '-c', '-d'\n"
                          "Try 'qemu-img snapshot --help' for more info\n")
        self.expect_error('snapshot -c x src.raw',
                          guessed('src.raw') + "qemu-img: Could not create snapshot 'x': Operation not supported\n")
        self.run_img('create -q -f qcow2 -o refcount_bits=1 tight.qcow2 1M')
        self.run_img('convert -n -O qcow2 other.raw tight.qcow2', 1)  # too small
        self.run_img('resize -q tight.qcow2 5M')
        self.run_img('convert -n -O qcow2 other.raw tight.qcow2')
        self.expect_error('snapshot -c x tight.qcow2', "qemu-img: Could not create snapshot 'x': Invalid argument\n")
        self.run_img('check tight.qcow2')

    def test_fully_allocated(self):
        """-S 0: zeroes too have their space in the target, where the source has holes, and compressed."""
        self.run_img('create -q -f qcow2 empty.qcow2 2M')
        for source in ['src.raw', 'empty.qcow2']:
            size = json.loads(self.run_img(f'info --output=json {source}').stdout)['virtual-size']
            self.run_img(f'convert -S 0 -O raw {source} all.raw')
            self.assertGreaterEqual(os.stat(self.path('all.raw')).st_blocks * 512, size)
            for options in ['', '-c']:
                self.run_img(f'convert -S 0 {options} -O qcow2 {source} all.qcow2')
                areas = json.loads(self.run_img('map --output=json all.qcow2').stdout)
                self.assertTrue(all(area['present'] and area['depth'] == 0 for area in areas), areas)
                self.run_img(f'compare {source} all.qcow2')

    def test_commit_and_rebase(self):
        changed = bytearray(self.data)
        changed[100:9000] = bytes(8900)
        changed[3 << 20:(3 << 20) + 70000] = b'y' * 70000
        with open(self.path('new.raw'), 'wb') as file:
            file.write(changed)
        for options in ['', '-o cluster_size=4k', '-o extended_l2=on', '-o compat=v2']:
            self.run_img('convert -O qcow2 src.raw base.qcow2')
            self.run_img(f'convert -O qcow2 {options} -B base.qcow2 -F qcow2 new.raw top.qcow2')
            self.assertEqual(self.run_img('compare new.raw top.qcow2').stdout, 'Images are identical.\n')
            self.run_img('create -q -f qcow2 -b top.qcow2 -F qcow2 third.qcow2')
            self.run_img('rebase -b base.qcow2 -F qcow2 third.qcow2')  # without the one in between
            self.run_img('compare new.raw third.qcow2')
            self.assertEqual(self.run_img('rebase -q -p -b base.qcow2 -F qcow2 third.qcow2').stdout, '')
            self.run_img('check third.qcow2')
            self.assertEqual(self.run_img('commit third.qcow2').stdout, 'Image committed.\n')
            self.run_img('compare new.raw base.qcow2')
            self.run_img('compare new.raw third.qcow2')
            entries = json.loads(self.run_img('map --output=json third.qcow2').stdout)
            self.assertEqual([entry['depth'] for entry in entries if entry['data'] and entry['depth'] == 0], [])
            self.run_img('check third.qcow2')
            self.run_img('check base.qcow2')
            self.run_img('rebase -F raw -b src.raw third.qcow2')
            self.run_img('compare new.raw third.qcow2')
            self.run_img('rebase -b= third.qcow2'.replace('-b=', '--backing='))  # none
            self.run_img('compare new.raw third.qcow2')
            self.run_img('rebase -u -F qcow2 -b nowhere third.qcow2')
            self.assertIn('backing file: nowhere\n', self.run_img('info third.qcow2').stdout)
        self.expect_error('commit -f raw src.raw', 'qemu-img: Image does not have a backing file\n')

    def test_amend(self):
        self.run_img('convert -O qcow2 src.raw a.qcow2')
        self.run_img('snapshot -c one a.qcow2')
        for options, shown in [('compat=0.10', 'compat: 0.10'), ('compat=v3,lazy_refcounts=on', 'lazy refcounts: true'),
                               ('refcount_bits=2', 'refcount bits: 2'), ('lazy_refcounts=off', 'lazy refcounts: false'),
                               ('compat=v2,refcount_bits=16', 'compat: 0.10'), ('compat=1.1', 'compat: 1.1')]:
            self.assertEqual(self.run_img(f'amend -o {options} a.qcow2').stdout, '')
            self.assertIn(f'    {shown}\n', self.run_img('info a.qcow2').stdout)
            self.run_img('check -q a.qcow2')
            for words in ['a.qcow2', '-l one a.qcow2']:
                self.run_img(f'convert -O raw {words} out')
                self.assertEqual(self.read('out'), self.data)
        self.run_img('amend -o size=6M a.qcow2')
        self.assertEqual(self.run_img('amend -p -o lazy_refcounts=on a.qcow2').stdout,
                         '    (0.00/100%)\n    (100.00/100%)\n')
        self.assertIn('virtual size: 6 MiB (6291456 bytes)\n', self.run_img('info a.qcow2').stdout)
        for words, text in [
                ('compat=v2 a.qcow2', 'Internal snapshots prevent downgrade of image'),
                ('refcount_bits=1 a.qcow2', 'Cannot decrease refcount entry width to 1 bits: Cluster at offset '
                                            '0x40000 has a refcount of 2'),
                ('refcount_bits=3 a.qcow2', 'Refcount width must be a power of two and may not exceed 64 bits'),
                ('compat=v9 a.qcow2', 'Unknown compatibility level v9'),
                ('backing_file=src.raw a.qcow2', 'Cannot amend the backing file\nYou can use \'qemu-img rebase\' '
                                                 'instead.'),
                ('cluster_size=4k a.qcow2', 'Invalid parameter \'cluster_size\'\nThis option is only supported for '
                                            'image creation'),
                ('encrypt.state=active a.qcow2', 'Can\'t amend encryption options - encryption not present'),
                ('data_file=x a.qcow2', 'data-file can only be set for images that use an external data file'),
                ('data_file_raw=on a.qcow2', 'data-file-raw cannot be set on existing images'),
                ('size=1000 a.qcow2', 'The new size must be a multiple of 512'),
                ('compat=v3', 'Expecting one image file name')]:
            self.expect_error(f'amend -o {words}', f'qemu-img: {text}\n')
        self.expect_error('amend -f raw -o size=1M src.raw',
                          "qemu-img: Format driver 'raw' does not support option amendment\n")
        self.run_img('check -q a.qcow2')

    def test_amend_damaged(self):
        self.run_img('convert -O qcow2 src.raw a.qcow2')
        image = bytearray(self.read('a.qcow2'))
        table, = struct.unpack_from('>Q', image, 48)
        block, = struct.unpack_from('>Q', image, table)
        image[block + 6:block + 8] = b'\0\0'  # a cluster in use is not counted
        with open(self.path('a.qcow2'), 'wb') as file:
            file.write(image)
        self.expect_error('amend -o refcount_bits=64 a.qcow2',
                          "qemu-img: The image has errors: 'check -r all' may repair them\n")
        self.run_img('check -r all -q a.qcow2')
        self.run_img('amend -o refcount_bits=64 a.qcow2')
        self.run_img('check -q a.qcow2')

    def make_chain(self):
        """base, mid and top, each 4 MiB, with data of its own in one; and what top reads as."""
        self.run_img('create -q -f qcow2 base 4M')
        self.run_img('create -q -f qcow2 -b base -F qcow2 mid')
        self.run_img('create -q -f qcow2 -b mid -F qcow2 top')
        for i, name in enumerate(['base', 'mid', 'top']):
            self.run_io(name, f'write -q -P {i + 1} {i}M 1M', f'write -q -P {i + 11} 3M {64 * (3 - i)}k')
        self.run_img('convert -O raw top expected')

    def test_commit_to_deeper_base(self):
        self.make_chain()
        self.expect_error('commit -b none top', "qemu-img: Did not find 'none' in the backing chain of 'top'\n")
        self.expect_error('commit -r x top', "qemu-img: Invalid rate limit specified: 'x'.\n")
        self.assertEqual(self.run_img('commit -r 1G -b base top').stdout, 'Image committed.\n')
        for name in ['base', 'top']:
            self.run_img(f'compare expected {name}')
            self.run_img(f'check -q {name}')

    def test_rebase_compressed(self):
        self.make_chain()
        self.run_img('rebase -c -b base -F qcow2 top')
        self.run_img('compare expected top')
        self.run_img('check -q top')
        entries = json.loads(self.run_img('map --output=json top').stdout)
        self.assertEqual([(entry['start'], entry['length']) for entry in entries if entry['compressed']],
                         [(1 << 20, 1 << 20), ((3 << 20) + 65536, 65536)])
        self.expect_error('rebase -c -b base -F qcow2 -f raw src.raw',
                          'qemu-img: Compression not supported for this file format\n')

    def start(self, line):
        return subprocess.Popen([PROGRAM] + line.split(), cwd=self.folder.name, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)

    def test_interrupt(self):
        """What was begun is removed; an image that is changed in place is whole."""
        with open(self.path('large.raw'), 'wb') as file:
            file.write(b'x' * (8 << 20))
        for number in [signal.SIGINT, signal.SIGTERM]:
            for line in ['convert -r 1k -O qcow2 large.raw out', 'convert -r 1k large.raw out',
                         'convert -r 1k -c -O qcow2 large.raw out']:
                process = self.start(line)
                while not os.path.exists(self.path('out')):
                    time.sleep(0.01)
                process.send_signal(number)
                self.assertEqual(process.communicate()[1], '')
                self.assertEqual(process.returncode, -number)
                self.assertFalse(os.path.exists(self.path('out')))
        self.make_chain()
        process = self.start('commit -r 1M mid')
        process.send_signal(signal.SIGTERM)
        process.communicate()
        self.run_img('compare expected top')
        self.run_img('check -q base')

    def test_progress_on_signal(self):
        process = self.start('convert -c -r 300k -O qcow2 src.raw out')
        while not select.select([process.stderr], [], [], 0.05)[0] and process.poll() is None:
            if os.path.exists(self.path('out')):
                process.send_signal(signal.SIGUSR1)
        self.assertRegex(process.stderr.readline(), r'^    \(\d+\.\d\d/100%\)\n$')
        process.terminate()
        process.communicate()

    def test_copy_offload(self):
        """Or not, where the host cannot: the images are the same."""
        odd = self.data[:-300]
        with open(self.path('odd.raw'), 'wb') as file:
            file.write(odd)
        for words in ['-O qcow2', '-W -m 16 -O qcow2 -o cluster_size=4k', '-O qcow2 -o extended_l2=on', '-O raw']:
            self.run_img(f'convert -C -f raw {words} odd.raw a')
            self.run_img('compare -f raw odd.raw a' if 'raw' in words else 'compare odd.raw a')
            self.run_img('convert -C -O raw a b' if 'qcow2' in words else 'convert -C -f raw -O raw a b')
            self.assertEqual(self.read('b'), odd + bytes(-len(odd) % 512))
            if 'qcow2' in words:
                self.run_img('check -q a')
        for letter in ['c', 'S 4k']:
            self.expect_error(f'convert -C -{letter} -O qcow2 src.raw a',
                              f'qemu-img: Cannot enable copy offloading when -{letter[0]} is used\n')

    def test_objects(self):
        self.run_img('info --object secret,id=s,data=x src.raw')
        self.assertIn('  secret\n', self.run_img('info --object help').stdout)
        for words, text in [('foo,id=a', "Parameter 'qom-type' does not accept value 'foo'"),
                            ('secret,data=x', "Parameter 'id' is missing")]:
            self.expect_error(f'create --object {words} -f raw a 1M', f'qemu-img: {text}\n')

    def test_bench(self):
        self.run_img('create -q -f qcow2 a.qcow2 1M')
        line = 'Sending {} {} requests, {} bytes each, {} in parallel (starting at offset {}, step size {})\n'
        for words, shown in [('-c 100', ('100', 'read', '4096', '64', '0', '4096')),
                             ('-w -c 1k --pattern 7 -s 512 -d 3 -S 2k -o 512', ('1024', 'write', '512', '3', '512',
                                                                             '2048')),
                             ('-i io_uring -U -c 7', ('7', 'read', '4096', '64', '0', '4096'))]:
            output = self.run_img(f'bench {words} a.qcow2').stdout
            self.assertRegex(output, '^' + re.escape(line.format(*shown)) + r'Run completed in \d+\.\d{3} seconds\.\n$')
        self.run_img('bench -q -w -c 256 --pattern 9 a.qcow2')
        self.run_img('convert -O raw a.qcow2 a.raw')
        self.assertEqual(self.read('a.raw'), b'\x09' * (1 << 20))
        for drain in ['', '--no-drain']:
            output = self.run_img(f'bench -w -c 30 -d 4 --flush-interval 5 {drain} a.qcow2').stdout
            self.assertIn('\nSending flush every 5 requests\nRun completed', output)
        for words, text in [('-c 0', 'Invalid request count specified. Must be between 1 and 2147483647.'),
                            ('-s x', "Invalid buffer size specified: 'x'."), ('-t foo', 'Invalid cache mode'),
                            ('-i foo', 'Invalid aio option: foo'),
                            ('--flush-interval 70', '--flush-interval is only available in write tests'),
                            ('-w --flush-interval 7', "Flush interval can't be smaller than depth"),
                            ('-o 2M', 'Failed request: Input/output error')]:
            self.expect_error(f'bench {words} a.qcow2', f'qemu-img: {text}\n')
        self.run_img('check -q a.qcow2')

    def test_locked(self):
        self.run_img('create -q -f qcow2 a.qcow2 1M')
        with open(self.path('a.qcow2'), 'r+b') as file:
            import fcntl
            lock = struct.pack('hhqqi', fcntl.F_RDLCK, 0, 201, 1, 0)
            fcntl.fcntl(file, 37, lock)  # F_OFD_SETLK: somebody does not share writing
            self.assertIn('Failed to get "write" lock', self.run_img('resize a.qcow2 2M', 1).stderr)


if __name__ == '__main__':
    unittest.main(verbosity=2)
