#!/usr/bin/env python3
"""The io program: what its commands do, print and return.

    io.py FOLDER_OF_PROGRAMS
"""
import json
import os
import pty
import re
import subprocess
import sys
import tempfile
import unittest

FOLDER = os.path.abspath(sys.argv.pop(1))


class IoTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(dir='/var/tmp')
        self.addCleanup(self.folder.cleanup)
        subprocess.run([os.path.join(FOLDER, 'qemu-img'), 'create', '-q', '-f', 'qcow2', 'a.qcow2', '10M'],
                       cwd=self.folder.name, check=True)

    def run_io(self, *commands, status=0, options=(), name='a.qcow2', stdin=''):
        words = [os.path.join(FOLDER, 'qemu-io'), *options]
        for command in commands:
            words += ['-c', command]
        result = subprocess.run(words + [name], cwd=self.folder.name, capture_output=True, text=True, timeout=60,
                                input=stdin, check=False)
        self.assertEqual(result.returncode, status, f'{commands}: {result.stdout}{result.stderr}')
        return re.sub(r'ops; .*', 'ops', result.stdout) + result.stderr

    def check(self, command, output, status=0):
        self.assertEqual(self.run_io(command, status=status), output)

    def test_short_names(self):
        self.assertEqual(self.run_io('w -q 0 64k', 'r -q 0 64k', 'l', 'a 9M 8M', 'f', 'q', 'nosuch'),
                         '10 MiB\n0/1048576 bytes allocated at offset 9 MiB\n')
        self.check('alloc -1', 'Parsing error: argument too large -- -1\n', 1)
        lines = self.run_io('help').split('\n\n')[0].split('\n')
        self.assertEqual(lines, sorted(lines, key=lambda line: line.split()[0]))
        self.assertEqual(self.run_io('help q'), 'q -- exit the program\n')

    def test_trace(self):
        """Requests to each node, what the host is asked, clusters and tables; straight to the host as by tasks."""
        self.assertIn('\nqcow2_allocate\n', self.run_io(options=['-T', 'help']))
        image = os.path.join(self.folder.name, 'a.qcow2')
        traced = self.run_io('write -q 0 64k', 'flush', options=['-T', 'block_write*', '-T', 'qcow2_*'])
        lines = re.sub(r"'#block\d+'", 'NODE', traced).split('\n')
        for line in ['block_write node NODE offset 0 bytes 65536 flags 0x0',
                     'qcow2_allocate node NODE offset 327680 clusters 1',
                     'block_write_done node NODE offset 327680 bytes 65536 error 0',
                     'qcow2_write_entry node NODE offset 196608 value 0x8000000000040000']:
            self.assertIn(line, lines)
        for options in [(), ('-n', '-i', 'native')]:
            name = ('json:{"driver": "raw", "node-name": "top", "file": '
                    '{"driver": "file", "node-name": "low", "filename": "' + image + '"}}')
            traced = self.run_io('aio_read -q 4k 4k', 'aio_flush', name=name,
                                 options=[*options, '-T', 'block_read*', '-T', 'file_*'])
            self.assertEqual(traced, "block_read node 'top' offset 4096 bytes 4096 flags 0x0\n"
                             "block_read node 'low' offset 4096 bytes 4096 flags 0x0\n"
                             f"file_submit file '{image}' operation 0 offset 4096\n"
                             f"file_complete file '{image}' operation 0 offset 4096 result 4096\n"
                             "block_read_done node 'low' offset 4096 bytes 4096 error 0\n"
                             "block_read_done node 'top' offset 4096 bytes 4096 error 0\n")
        self.run_io('read -q 0 64k', options=['--trace', 'enable=block_read*,file=' + image + '.log'])
        with open(image + '.log', encoding='utf-8') as file:
            self.assertIn('block_read_done', file.read())
        self.assertEqual(self.run_io('read -q 0 64k', options=['-T', 'nosuch']),
                         "qemu-io: warning: 'nosuch' is not a trace event\n")

    def test_reopen_snapshot(self):
        """A file that takes what is written stays; its format can be given other options."""
        output = self.run_io('write -q -P 3 0 64k', 'reopen -o lazy-refcounts=on', 'read -q -P 3 0 64k', 'reopen -w',
                             'write -q -P 4 0 4k', 'read -q -P 4 0 4k', 'read -q -P 3 4k 60k', options=['-s'])
        self.assertEqual(output, '')
        self.assertIn('Cannot reopen a snapshot file', self.run_io('reopen -r', options=['-s'], status=1))
        self.assertEqual(self.run_io('read -q -P 0 0 64k'), '')

    def test_breakpoints(self):
        self.assertEqual(self.run_io('break write_aio A', 'aio_write -q 0 512', 'wait_break A', 'aio_write 64k 512',
                                     'resume A', 'aio_flush', name='blkdebug::a.qcow2'),
                         "blkdebug: Suspended request 'A'\nblkdebug: Resuming request 'A'\n"
                         'wrote 512/512 bytes at offset 65536\n512 bytes, 1 ops\n')
        # What has stopped goes on when the image is closed.
        self.run_io('break l2_load A', 'aio_read -q 0 512', 'wait_break A', name='blkdebug::a.qcow2')
        for command, text in [('break foo A', 'Could not set breakpoint: No such file or directory\n'),
                              ('resume A', 'Could not resume request: No such file or directory\n'),
                              ('remove_break A', 'Could not remove breakpoint A: No such file or directory\n'),
                              ('wait_break A', 'No request is on its way that could be suspended\n')]:
            self.assertEqual(self.run_io(command, status=1, name='blkdebug::a.qcow2'), text)
        self.check('break write_aio A', 'Could not set breakpoint: Operation not supported\n', 1)
        self.check('zone_report 0 1', 'zone report failed: Operation not supported\n', 1)
        self.check('zone_append 0 4k', 'bad argument count 2 to zone_append, expected between 3 and 4 arguments\n', 1)

    def test_ways_to_open(self):
        self.run_io('write -q -P 1 0 1M')
        self.run_io('write -q -P 2 0 64k', 'read -q -P 2 0 64k', options=['-s'])
        self.run_io('read -q -P 1 0 1M', 'write -q -P 3 1M 64k', options=['-m', '-i', 'io_uring'])
        self.assertEqual(self.run_io('close', 'open -s a.qcow2', 'write -q -P 2 0 1M', 'close', 'open -r a.qcow2',
                                     'read -q -P 1 0 1M', 'write 0 512', status=1),
                         'qemu-io: Block node is read-only\n')
        self.assertEqual(self.run_io('reopen -r', 'write 0 512', 'reopen -w', 'write -q -P 4 0 512',
                                     'reopen -c none -o lazy-refcounts=on', 'read -q -P 4 0 512', status=1),
                         'qemu-io: Block node is read-only\n')
        self.assertEqual(self.run_io('close', 'open -o driver=raw a.qcow2', 'read -v 0 4', 'close',
                                     'open -o file.filename=a.qcow2', 'length'),
                         '00000000:  51 46 49 fb  QFI.\nread 4/4 bytes at offset 0\n4 bytes, 1 ops\n10 MiB\n')
        self.run_io('reopen -w', 'write -q 0 512', options=['-r'])
        for options, text in [(['-i', 'foo'], 'Invalid aio option: foo'),
                              (['-d', 'foo'], 'Invalid discard option: foo'),
                              (['-t', 'foo'], 'Invalid cache option: foo'),
                              (['-C', '-r'], "can't open device a.qcow2: Can't use copy-on-read on read-only device"),
                              (['--image-opts', '-f', 'raw'], '--image-opts and -f are mutually exclusive'),
                              (['--object', 'foo,id=a'], "Parameter 'qom-type' does not accept value 'foo'")]:
            self.assertEqual(self.run_io('length', status=1, options=options), f'qemu-io: {text}\n')
        for command, text in [('reopen -r -w', 'Only one -r/-w option may be given'),
                              ('reopen -c none -o cache.direct=on', 'Cannot set both -c and the cache options'),
                              ('reopen -o driver=raw', "Cannot change the option 'driver'")]:
            self.check(command, f'qemu-io: {text}\n', 1)

    def test_state(self):
        """Of a machine: behind the disk, and snapshots have it."""
        self.run_io('write -q -P 1 0 1M', 'write -b -q -P 2 0 100k', 'read -b -q -P 2 0 100k', 'read -q -P 1 0 1M')
        qemu_img = os.path.join(FOLDER, 'qemu-img')
        for words in [['snapshot', '-c', 'one', 'a.qcow2'], ['check', '-q', 'a.qcow2']]:
            subprocess.run([qemu_img, *words], cwd=self.folder.name, check=True)
        self.run_io('write -b -q -P 3 10k 1k', 'read -b -q -P 2 0 10k', 'read -b -q -P 3 10k 1k',
                    'read -b -q -P 2 11k 89k', 'write -b -q -P 4 600M 64k')
        for words in [['check', '-q', 'a.qcow2'], ['snapshot', '-a', 'one', 'a.qcow2'], ['check', '-q', 'a.qcow2']]:
            subprocess.run([qemu_img, *words], cwd=self.folder.name, check=True)
        self.run_io('read -b -q -P 2 0 100k')
        self.check('write -b -z 0 4k', '-b and -z cannot be specified at the same time\n', 1)
        self.check('write -b -f 0 4k', '-f and -b or -c cannot be specified at the same time\n', 1)
        self.check('write -b 8E 4k', 'Parsing error: argument too large -- 8E\n', 1)
        self.check('write -b 7E 4k', 'write failed: File too large\n', 1)
        self.assertEqual(self.run_io('read -b 0 4k', options=['-f', 'raw'], status=1),
                         'read failed: Operation not supported\n')

    def test_copy_on_read(self):
        subprocess.run([os.path.join(FOLDER, 'qemu-img'), 'create', '-q', '-f', 'qcow2', '-b', 'a.qcow2', '-F',
                        'qcow2', 'over.qcow2'], cwd=self.folder.name, check=True)
        self.run_io('write -q -P 1 0 1M')
        self.run_io('read -q -P 1 0 128k', options=['-C'], name='over.qcow2')
        self.assertEqual(self.run_io('alloc 0 1M', name='over.qcow2'),
                         '131072/1048576 bytes allocated at offset 0 bytes\n')

    def test_terminal(self):
        """Lines typed at a terminal, with a history."""
        main, terminal = pty.openpty()
        process = subprocess.Popen([os.path.join(FOLDER, 'qemu-io'), 'a.qcow2'], cwd=self.folder.name, stdin=terminal,
                                   stdout=terminal, stderr=terminal)
        os.close(terminal)
        shown = ''

        def expect(text):
            nonlocal shown
            while text not in shown:
                shown += os.read(main, 4096).decode().replace('\r\n', '\n')
            shown = shown[shown.index(text) + len(text):]

        expect('qemu-io> ')
        os.write(main, b'leng\tx\x7f\r')
        expect('10 MiB\nqemu-io> ')
        os.write(main, b'foo\x03')
        expect('^C')
        expect('qemu-io> ')
        os.write(main, b'\x1b[A\r')  # the line before
        expect('10 MiB\nqemu-io> ')
        os.write(main, b'\x04')
        expect('\n')
        self.assertEqual(process.wait(), 0)
        os.close(main)

    def test_transfers(self):
        self.check('write -P 1 0 1M', 'wrote 1048576/1048576 bytes at offset 0\n1 MiB, 1 ops\n')
        self.check('read -P 1 4k 1k', 'read 1024/1024 bytes at offset 4096\n1 KiB, 1 ops\n')
        self.check('read -P 2 0 4k', 'Pattern verification failed at offset 0, 4096 bytes\n'
                   'read 4096/4096 bytes at offset 0\n4 KiB, 1 ops\n', 1)
        self.check('read -v 0 18', '00000000:  ' + '01 ' * 16 + ' ' + '.' * 16 + '\n00000010:  01 01  ..\n'
                   'read 18/18 bytes at offset 0\n18 bytes, 1 ops\n')
        self.check('writev -P 4 5M 4k 4k', 'wrote 8192/8192 bytes at offset 5242880\n8 KiB, 1 ops\n')
        self.check('readv -q -P 4 5M 1k 7k', '')
        self.check('write -q -z 0 512', '')
        self.check('read -q -P 0 0 512', '')
        self.check('read -q -P 1 512 512', '')
        self.check('read -q -P 1 -s 512 -l 512 0 2k', '')
        self.check('write -q -c -P 7 1M 64k', '')
        self.check('read -q -P 7 1M 64k', '')
        self.check('discard 1M 64k', 'discard 65536/65536 bytes at offset 1048576\n64 KiB, 1 ops\n')
        self.assertIn('wrote 4096/4096', self.run_io('aio_write -P 5 2M 4k', 'aio_flush', 'read -q -P 5 2M 4k'))
        self.check('read 100M 4k', 'read failed: Input/output error\n', 1)
        with open(os.path.join(self.folder.name, 'pattern'), 'w', encoding='ascii') as file:
            file.write('hello')
        self.check('write -q -s pattern 6M 7', '')
        self.assertIn('hellohe', self.run_io('read -v 6M 7'))

    def test_facts(self):
        self.run_io('write 0 1M', 'write 3M 64k')
        self.check('length', '10 MiB\n')
        self.check('alloc 0 4M', '1114112/4194304 bytes allocated at offset 0 bytes\n')
        self.check('map', '1 MiB (0x100000) bytes     allocated at offset 0 bytes (0x0)\n'
                   '2 MiB (0x200000) bytes not allocated at offset 1 MiB (0x100000)\n'
                   '64 KiB (0x10000) bytes     allocated at offset 3 MiB (0x300000)\n'
                   '6.938 MiB (0x6f0000) bytes not allocated at offset 3.062 MiB (0x310000)\n')
        self.assertEqual(self.run_io('truncate 11M', 'length'), '11 MiB\n')
        self.assertIn('vm state offset: 512 MiB\n', self.run_io('info'))

    def test_errors(self):
        self.check('foo', 'command "foo" not found\n', 1)
        self.check('write 0', 'bad argument count 1 to write, expected at least 2 arguments\n', 1)
        self.check('length 5', 'bad argument count 1 to length, expected 0 arguments\n', 1)
        self.check('read x 4', 'Parsing error: non-numeric argument, or extraneous/unrecognized suffix -- x\n', 1)
        self.check('write -P 999 0 4', '999 is not a valid pattern byte\n', 1)
        self.check('write -z -P 1 0 4', 'Only one of -z, -P, and -s can be specified at the same time\n', 1)
        self.assertEqual(self.run_io('write 0 4k', status=1, options=['-r']), 'qemu-io: Block node is read-only\n')
        self.assertEqual(self.run_io(name='nonexist', status=1), "qemu-io: can't open device nonexist: Could not open "
                         "'nonexist': No such file or directory\n")
        self.assertEqual(self.run_io('close', 'length', 'open a.qcow2', 'length', status=1),
                         "10 MiB\nno file open, try 'help open'\n")

    def open_with(self, options, *commands, status=0):
        return self.run_io(*commands, name=f'driver=qcow2,file.filename=a.qcow2,{options}', options=['--image-opts'],
                           status=status)

    def test_cache_options(self):
        for options, message in [
                ('cache-size=1M,l2-cache-size=2M', 'l2-cache-size may not exceed cache-size'),
                ('cache-size=1M,refcount-cache-size=2M', 'refcount-cache-size may not exceed cache-size'),
                ('cache-size=1M,l2-cache-size=1M,refcount-cache-size=1M',
                 'cache-size, l2-cache-size and refcount-cache-size may not be set at the same time'),
                ('l2-cache-entry-size=5000',
                 'L2 cache entry size must be a power of two between 512 and the cluster size (65536)'),
                ('l2-cache-entry-size=128k',
                 'L2 cache entry size must be a power of two between 512 and the cluster size (65536)'),
                ('cache-clean-interval=9999999999', 'Cache clean interval too big')]:
            self.assertEqual(self.open_with(options, status=1), f"qemu-io: can't open: {message}\n")
        work = [f'write -q -P {i} {i}M 64k' for i in range(1, 10)] + [f'read -q -P {i} {i}M 64k' for i in range(1, 10)]
        for options in ['cache-size=0', 'cache-size=1M', 'cache-size=64k,l2-cache-size=32k', 'l2-cache-entry-size=512',
                        'cache-size=200M,refcount-cache-size=64k', 'l2-cache-entry-size=64k']:
            self.assertEqual(self.open_with(options, *work), '')

    def test_cache_is_cleaned(self):
        """A table that is in the cache is read again, once it was not used for the interval, and not before."""
        self.run_io('write -q 0 64k')
        with open(os.path.join(self.folder.name, 'a.qcow2'), 'rb') as file:
            file.seek(40)
            file.seek(int.from_bytes(file.read(8), 'big'))
            table = int.from_bytes(file.read(8), 'big') & 0xffffffffffff00

        def reads(interval, pauses):
            traced = self.run_io('read -q 0 4k', *['sleep 2500', 'read -q 0 4k'] * pauses, name='driver=qcow2,'
                                 f'file.filename=a.qcow2,l2-cache-entry-size=64k,cache-clean-interval={interval}',
                                 options=['-T', 'file_submit', '--image-opts'])
            return len(re.findall(f'offset {table}\\b', traced))
        self.assertEqual(reads(600, 1), 1)
        self.assertTrue(any(reads(1, pauses) > 1 for pauses in (1, 6)))  # a timer may come late

    def test_discards_that_keep_their_place(self):
        for command in ['discard 0 256k', 'write -q -zu 0 256k']:
            self.open_with('discard-no-unref=on,discard=unmap,file.discard=unmap', 'write -q -P 3 0 512k', command,
                           'read -q -P 0 0 256k', 'read -q -P 3 256k 256k')
            image = subprocess.run([os.path.join(FOLDER, 'qemu-img'), 'map', '--output=json', 'a.qcow2'], check=True,
                                   cwd=self.folder.name, stdout=subprocess.PIPE).stdout
            first = json.loads(image)[0]
            self.assertTrue(first['zero'] and first['length'] == 256 << 10 and 'offset' in first, first)
            with open(os.path.join(self.folder.name, 'a.qcow2'), 'rb') as file:
                file.seek(first['offset'])
                self.assertEqual(file.read(256 << 10), bytes(256 << 10))
        subprocess.run([os.path.join(FOLDER, 'qemu-img'), 'check', '-q', 'a.qcow2'], check=True, cwd=self.folder.name)
        subprocess.run([os.path.join(FOLDER, 'qemu-img'), 'create', '-q', '-f', 'qcow2', '-o', 'compat=v2', 'a.qcow2',
                        '1M'], check=True, cwd=self.folder.name)
        self.assertEqual(self.open_with('discard-no-unref=on', status=1),
                         "qemu-io: can't open: discard-no-unref is only supported since qcow2 version 3\n")

    def lead_into(self, table):
        """A new image with a snapshot, whose first cluster lies where a table is."""
        path = os.path.join(self.folder.name, 'a.qcow2')
        for words in [('create', '-q', '-f', 'qcow2', path, '1M'), ('snapshot', '-c', 's', path)]:
            self.run_io('write -q 0 64k') if words[0] == 'snapshot' else None
            subprocess.run([os.path.join(FOLDER, 'qemu-img'), *words], check=True)
        self.run_io('write -q 0 64k')  # a table of its own
        with open(path, 'r+b') as file:
            def word(at):
                file.seek(at)
                return int.from_bytes(file.read(8), 'big')
            mask = 0xffffffffffff00
            inactive_l1 = word(word(64))
            tables = {'header': 0, 'l1': word(40), 'l2': word(word(40)) & mask, 'refcounts': word(48),
                      'blocks': word(word(48)), 'snapshots': word(64), 'inactive l1': inactive_l1,
                      'inactive l2': word(inactive_l1) & mask}
            file.seek(tables['l2'])
            file.write((tables[table] | 1 << 63).to_bytes(8, 'big'))

    def test_overlap_check(self):
        """A write to where a table is, is refused where that kind is looked after."""
        constant = {'l1', 'refcounts', 'snapshots'}  # a cluster at 0 is none
        cached = constant | {'l2', 'blocks', 'inactive l1'}
        for table in sorted(cached | {'inactive l2'}):
            for options, guarded in [
                    ('overlap-check=cached', cached), ('overlap-check=all', cached | {'inactive l2'}),
                    ('overlap-check=constant', constant), ('overlap-check=none', set()),
                    ('overlap-check.template=none,overlap-check.inactive-l1=on', {'inactive l1'}),
                    ('overlap-check.snapshot-table=off', cached - {'snapshots'})]:
                self.lead_into(table)
                output = self.open_with(options, 'write -q 0 4k', status=1 if table in guarded else 0)
                self.assertEqual('leads into a table' in output, table in guarded, (table, options, output))
        self.assertIn("expects an object or 'none', 'constant', 'cached' or 'all'",
                      self.open_with('overlap-check=foo', status=1))

    def test_lines(self):
        self.assertEqual(self.run_io(stdin='length\nfoo\nquit\nlength\n', status=1),
                         'qemu-io> 10 MiB\nqemu-io> qemu-io> command "foo" not found\n')


if __name__ == '__main__':
    unittest.main(verbosity=2)
