#!/usr/bin/env python3
"""The nbd program: what it serves, to a client of this file that also sends what it must not, and to QEMU's programs
where $QEMU_BIN names their folder.

    nbd.py FOLDER_OF_PROGRAMS
"""
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest

from images import find_peers, serve_on_free_port

FOLDER = os.path.abspath(sys.argv.pop(1))
SIZE = 4 << 20
PEER = find_peers('qemu-img', 'qemu-io', 'qemu-nbd')

EXPORT_NAME, ABORT, LIST, STARTTLS, INFO, GO, STRUCTURED, LIST_META, SET_META, EXTENDED = 1, 2, 3, 5, 6, 7, 8, 9, 10, 11
ACK, SERVER, REP_INFO, REP_META = 1, 2, 3, 4
UNSUPPORTED, POLICY, INVALID, UNKNOWN, TOO_BIG = (0x80000000 + number for number in (1, 2, 3, 6, 9))
READ, WRITE, DISC, FLUSH, TRIM, CACHE, ZEROES, STATUS = range(8)
EPERM, EINVAL, ENOSPC = 1, 22, 28


def text(value):
    return struct.pack('>I', len(value)) + value


class Client:
    """The other end, as the protocol's document says."""

    def __init__(self, path, flags=3):
        self.mode, self.cookie, self.closed = 'simple', 0, False
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60)
        self.socket.connect(path)
        magic, option_magic, offered = struct.unpack('>QQH', self.receive(18))
        assert (magic, option_magic, offered) == (0x4e42444d41474943, 0x49484156454f5054, 3)
        self.socket.sendall(struct.pack('>I', flags))

    def receive(self, count):
        data = b''
        while len(data) < count:
            piece = self.socket.recv(count - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data

    def is_gone(self):
        try:
            return self.socket.recv(1) == b''
        except ConnectionResetError:
            return True

    def send_option(self, number, data=b''):
        self.socket.sendall(struct.pack('>QII', 0x49484156454f5054, number, len(data)) + data)

    def option(self, number, data=b''):
        """The replies up to the last one, as (type, data)."""
        self.send_option(number, data)
        replies = []
        while True:
            magic, option, kind, length = struct.unpack('>QIII', self.receive(20))
            assert (magic, option) == (0x3e889045565a9, number)
            replies.append((kind, self.receive(length)))
            if kind == ACK or kind & 0x80000000:
                return replies

    def go(self, name=b'', mode='simple', contexts=()):
        self.mode = mode
        if mode != 'simple':
            assert self.option(EXTENDED if mode == 'extended' else STRUCTURED) == [(ACK, b'')]
        if contexts:
            queries = b''.join(text(context) for context in contexts)
            replies = self.option(SET_META, text(name) + struct.pack('>I', len(contexts)) + queries)
            assert replies[-1][0] == ACK
        return self.option(GO, text(name) + struct.pack('>HH', 1, 3))

    def send(self, command, offset=0, length=0, flags=0, data=b''):
        self.cookie += 1
        magic, size = (0x21e41c71, 'Q') if self.mode == 'extended' else (0x25609513, 'I')
        self.socket.sendall(struct.pack('>IHHQQ' + size, magic, flags, command, self.cookie, offset, length) + data)
        return self.cookie

    def reply(self, length=0):
        """(cookie, error, what was read, the chunks of block status)."""
        if self.mode == 'simple':
            magic, error, cookie = struct.unpack('>IIQ', self.receive(16))
            assert magic == 0x67446698
            return cookie, error, b'' if error else self.receive(length), []
        content, chunks, error = b'', [], 0
        while True:
            if self.mode == 'structured':
                magic, flags, kind, cookie, size = struct.unpack('>IHHQI', self.receive(20))
                assert magic == 0x668e33ef
            else:
                magic, flags, kind, cookie, _, size = struct.unpack('>IHHQQQ', self.receive(32))
                assert magic == 0x6e8a278c
            payload = self.receive(size)
            if kind == 1:
                content += payload[8:]
            elif kind in (5, 6):
                chunks.append(payload)
            elif kind & 0x8000:
                error = struct.unpack('>I', payload[:4])[0]
            if flags & 1:
                return cookie, error, content, chunks

    def request(self, command, offset=0, length=0, flags=0, data=b''):
        cookie = self.send(command, offset, length, flags, data)
        answer, error, content, chunks = self.reply(length if command == READ else 0)
        assert answer == cookie
        return error, content, chunks


class NbdTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(dir='/var/tmp')
        self.addCleanup(self.folder.cleanup)
        self.image = os.path.join(self.folder.name, 'image')
        self.path = os.path.join(self.folder.name, 'socket')
        self.data = os.urandom(64 << 10) + bytes(SIZE - (64 << 10))
        with open(self.image, 'wb') as file:
            file.write(self.data[:64 << 10])
            file.truncate(SIZE)

    def start(self, *options, image=None, wait=True):
        words = [os.path.join(FOLDER, 'qemu-nbd'), '-k', self.path, *options, image or self.image]
        self.server = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
        self.addCleanup(self.stop)
        while wait and not os.path.exists(self.path) and self.server.poll() is None:
            time.sleep(0.01)
        for _ in range(1000 if wait else 0): # bound, but perhaps not listening yet
            try:
                with socket.socket(socket.AF_UNIX) as probe:
                    probe.connect(self.path)
                return
            except ConnectionRefusedError:
                time.sleep(0.01)

    def stop(self):
        if self.server.poll() is None:
            self.server.terminate()
        self.assertEqual(self.server.wait(60), 0, self.server.stderr.read())
        self.server.stderr.close()
        self.assertFalse(os.path.exists(self.path))

    def connect(self, **arguments):
        client = Client(self.path, **arguments)
        self.addCleanup(client.socket.close)
        return client

    def test_options(self):
        self.start('-t', '-e', '0', '-f', 'raw', '-x', 'name', '-D', 'words', '-A')
        client = self.connect()
        self.assertEqual(client.option(LIST), [(SERVER, text(b'name') + b'words'), (ACK, b'')])
        self.assertEqual(client.option(LIST, b'x')[0][0], INVALID)
        self.assertEqual(client.option(99)[0][0], UNSUPPORTED)
        self.assertEqual(client.option(STARTTLS)[0], (POLICY, b'TLS not configured'))
        self.assertEqual(client.option(INFO, text(b'other') + b'\0\0')[0], (UNKNOWN, b"export 'other' not present"))
        for wrong in (b'', b'\0\0', text(b'name'), text(b'name') + b'\0\1', b'\xff\xff\xff\xff',
                      text(b'na\0e') + b'\0\0'):
            self.assertEqual(client.option(INFO, wrong)[0][0], INVALID, wrong)
        self.assertEqual(client.option(INFO, text(b'name') + bytes(100000))[0][0], TOO_BIG)
        self.assertEqual(client.option(SET_META, text(b'name') + bytes(4))[0][0], INVALID)
        self.assertEqual(client.option(STRUCTURED), [(ACK, b'')])
        self.assertEqual(client.option(STRUCTURED)[0][0], INVALID)
        self.assertEqual(client.option(LIST_META, text(b'name') + bytes(4)),
                         [(REP_META, bytes(4) + b'base:allocation'), (REP_META, bytes(4) + b'qemu:allocation-depth'),
                          (ACK, b'')])
        self.assertEqual(client.option(SET_META, text(b'name') + struct.pack('>I', 0xffffffff))[0][0], INVALID)
        infos = client.option(GO, text(b'name') + struct.pack('>HHH', 2, 1, 3))
        self.assertEqual([reply[0] for reply in infos], [REP_INFO] * 4 + [ACK])
        self.assertIn((REP_INFO, struct.pack('>HIII', 3, 1, 4096, 32 << 20)), infos)
        self.assertIn((REP_INFO, struct.pack('>HQH', 0, SIZE, 0xded)), infos)
        client.mode = 'structured'
        self.assertEqual(client.request(READ, 0, 512)[:2], (0, self.data[:512]))

    def test_old_ways(self):
        self.start('-t', '-f', 'raw')
        client = self.connect(flags=1)
        client.send_option(EXPORT_NAME)
        self.assertEqual(client.receive(134), struct.pack('>QH', SIZE, 0xc6d) + bytes(124))
        self.assertEqual(client.request(READ, 100, 1000)[:2], (0, self.data[100:1100]))
        client.send(DISC)
        self.assertTrue(client.is_gone())
        client = self.connect()
        client.send_option(EXPORT_NAME, b'other')
        self.assertTrue(client.is_gone())
        self.assertTrue(self.connect(flags=8).is_gone())
        client = self.connect()
        self.assertEqual(client.option(ABORT, b'bye'), [(ACK, b'')])
        self.assertTrue(client.is_gone())

    def check_transfers(self, mode):
        client = self.connect()
        client.go(mode=mode)
        payload = 32 if mode == 'extended' else 0
        self.assertEqual(client.request(READ, 0, SIZE)[:2], (0, self.data))
        self.assertEqual(client.request(WRITE, 70001, 3, 1 | payload, b'abc')[0], 0)
        self.assertEqual(client.request(READ, 70000, 5)[:2], (0, b'\0abc\0'))
        self.assertEqual(client.request(FLUSH)[0], 0)
        self.assertEqual(client.request(ZEROES, 70001, 3)[0], 0)
        self.assertEqual(client.request(READ, 70000, 5)[:2], (0, bytes(5)))
        self.assertEqual(client.request(TRIM, 1 << 20, 65536, 1)[0], 0)
        self.assertEqual(client.request(CACHE, 0, SIZE)[0], 0)
        for command, offset, length, flags, error in (
                (READ, SIZE - 1, 2, 0, EINVAL), (READ, 1 << 63, 1 << 31, 0, EINVAL),
                (READ, 0, (32 << 20) + 1, 0, EINVAL), (TRIM, SIZE, 1, 0, EINVAL), (ZEROES, SIZE, 1, 0, ENOSPC),
                (99, 0, 0, 0, EINVAL), (READ, 0, 1, 8, EINVAL),
                (STATUS, 0, 512, 0, EINVAL), (FLUSH, 0, 0, 0x8000, EINVAL)):
            self.assertEqual(client.request(command, offset, length, flags)[0], error, (command, offset, length, flags))
        self.assertEqual(client.request(WRITE, SIZE - 1, 2, payload, b'xy')[0], ENOSPC)
        pending = {client.send(READ, 512 * i, 512): i for i in range(100)}
        while pending:
            cookie, error, content, _ = client.reply(512)
            i = pending.pop(cookie)
            self.assertEqual((error, content), (0, self.data[512 * i:512 * i + 512]))
        client.send(WRITE, 0, 33 << 20, payload)
        self.assertTrue(client.is_gone())
        client = self.connect()
        client.go(mode=mode)
        client.socket.sendall(bytes(32))
        self.assertTrue(client.is_gone())

    def test_transfers(self):
        self.start('-t', '-e', '3', '-f', 'raw')
        for mode in ('simple', 'structured', 'extended'):
            with self.subTest(mode=mode):
                self.check_transfers(mode)

    def test_status(self):
        subprocess.run([os.path.join(FOLDER, 'qemu-img'), 'create', '-q', '-f', 'qcow2', '-b', self.image, '-F', 'raw',
                        self.image + '2'], check=True)
        subprocess.run([os.path.join(FOLDER, 'qemu-io'), '-f', 'qcow2', '-c', 'write -q 1M 64k', self.image + '2'],
                       check=True)
        self.start('-t', '-A', '-f', 'qcow2', image=self.image + '2')
        wanted = [[(65536, 0), (983040, 3), (65536, 0), (SIZE - 1114112, 3)],
                  [(1 << 20, 2), (65536, 1), (SIZE - 1114112, 2)]]
        for mode, head, item in (('structured', 4, '>II'), ('extended', 8, '>QQ')):
            client = self.connect()
            client.go(mode=mode, contexts=(b'base:allocation', b'qemu:allocation-depth', b'x:unknown'))
            error, _, chunks = client.request(STATUS, 0, SIZE)
            self.assertEqual(error, 0)
            self.assertEqual([list(struct.iter_unpack(item, chunk[head:])) for chunk in chunks], wanted)
            chunks = client.request(STATUS, 512, 1024, 8)[2]
            self.assertEqual([list(struct.iter_unpack(item, chunk[head:])) for chunk in chunks],
                             [[(1024, 0)], [(1024, 2)]])
            client.socket.close()

    def test_read_only_part(self):
        self.start('-t', '-r', '-f', 'raw', '-o', '4096')
        client = self.connect()
        self.assertIn((REP_INFO, struct.pack('>HQH', 0, SIZE - 4096, 0x40f)), client.go())
        self.assertEqual(client.request(READ, 0, 512)[:2], (0, self.data[4096:4608]))
        self.assertEqual(client.request(WRITE, 0, 4, 0, b'abcd')[0], EPERM)
        self.assertEqual(client.request(ZEROES, 0, 512)[0], EPERM)
        self.assertEqual(client.request(READ, SIZE - 4096, 1)[0], EINVAL)

    def test_last_client_ends_it(self):
        self.start('-f', 'raw')
        client = self.connect()
        client.option(LIST)
        client.socket.close() # chose nothing: does not count
        client = self.connect()
        client.go()
        client.send(DISC)
        self.assertEqual(self.server.wait(60), 0)

    def test_handshake_limit(self):
        self.start('-t', '-f', 'raw', '--handshake-limit', '1')
        self.assertTrue(self.connect().is_gone())

    def test_fork(self):
        """Also where the caller has no standard input, and other files could take its place."""
        pid_file = os.path.join(self.folder.name, 'pid')
        subprocess.run([os.path.join(FOLDER, 'qemu-nbd'), '-k', self.path, '--fork', '--pid-file', pid_file, '-t', '-f',
                        'raw', self.image], check=True, timeout=60, preexec_fn=lambda: os.closerange(0, 1))
        with open(pid_file, encoding='ascii') as file:
            process = int(file.read())
        client = self.connect()
        client.go()
        self.assertEqual(client.request(READ, 0, 512)[:2], (0, self.data[:512]))
        other = subprocess.run([os.path.join(FOLDER, 'qemu-nbd'), '-k', self.path + 'x', '--pid-file', pid_file,
                                '--image-opts', 'driver=null-co,size=1M'], timeout=60, capture_output=True, text=True,
                               check=False)
        self.assertEqual((other.returncode, other.stderr),
                         (1, 'qemu-nbd: Cannot lock pid file: Resource temporarily unavailable\n'))
        os.kill(process, signal.SIGTERM)
        self.assertTrue(client.is_gone())
        while os.path.exists(pid_file):
            time.sleep(0.01)
        result = subprocess.run([os.path.join(FOLDER, 'qemu-nbd'), '-k', self.path, '--fork', self.image + 'no'],
                                timeout=60, capture_output=True, text=True, check=False)
        self.assertEqual((result.returncode, result.stderr),
                         (1, f"qemu-nbd: Failed to blk_new_open '{self.image}no': Could not open '{self.image}no': "
                          'No such file or directory\n'))

    def test_socket_of_the_service_manager(self):
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(self.path)
            listener.listen()
            program = os.path.join(FOLDER, 'qemu-nbd')
            words = ['sh', '-c', f'LISTEN_PID=$$ LISTEN_FDS=1 exec "{program}" -f raw "$0" 3<&{listener.fileno()}',
                     self.image]
            with subprocess.Popen(words, pass_fds=[listener.fileno()]) as server:
                client = self.connect()
                client.go()
                self.assertEqual(client.request(READ, 0, 512)[:2], (0, self.data[:512]))
                client.send(DISC)
                self.assertEqual(server.wait(60), 0)

    def test_tcp(self):
        port = serve_on_free_port(lambda port: subprocess.run(
            [os.path.join(FOLDER, 'qemu-nbd'), '-b', '127.0.0.1', '-p', port, '-t', '--fork', '-f', 'raw',
             '--pid-file', self.image + 'pid', self.image],
            check=False, timeout=60, stderr=subprocess.PIPE, text=True))
        with open(self.image + 'pid', encoding='ascii') as file:
            process = int(file.read())
        with socket.create_connection(('127.0.0.1', int(port)), 60) as client:
            self.assertEqual(client.recv(8, socket.MSG_WAITALL), b'NBDMAGIC')
        os.kill(process, signal.SIGTERM)

    def test_wrong_options(self):
        for words, message in (
                (['-e', 'x', 'a'], "Invalid shared device number 'x'"),
                (['-k', 'a', 'a'], 'socket path must be absolute'),
                (['-p', '70000', '-f', 'raw', self.image], 'there is no port 70000: the last is 65535'),
                (['-o', '5242880', '-f', 'raw', self.image],
                 'Offset (5242880) cannot be greater than size of the containing file (4194304)')):
            result = subprocess.run([os.path.join(FOLDER, 'qemu-nbd'), *words], capture_output=True, text=True,
                                    timeout=60, check=False)
            self.assertEqual((result.returncode, result.stderr), (1, f'qemu-nbd: {message}\n'))

    @unittest.skipUnless(PEER, 'no qemu-img of QEMU')
    def test_peers(self):
        self.start('-t', '-e', '0', '-f', 'raw', '-x', 'name')
        name = 'nbd+unix:///name?socket=' + self.path
        copy = os.path.join(self.folder.name, 'copy')

        def run(program, *words):
            return subprocess.run([PEER[program], *words], check=True, timeout=120, capture_output=True,
                                  text=True).stdout

        run('qemu-io', '-f', 'raw', '-c', 'write -P 7 1M 1M', '-c', 'write -z 1500k 64k', '-c', 'discard 3M 64k', name)
        run('qemu-img', 'convert', '-f', 'raw', '-O', 'raw', name, copy)
        with open(copy, 'rb') as mine, open(self.image, 'rb') as theirs:
            self.assertEqual(mine.read(), theirs.read())
        self.assertIn(
            f" export: 'name'\n  size:  {SIZE}\n  flags: 0x1ded "
            '( flush fua trim zeroes df multi cache fast-zero block-status-payload )\n'
            '  min block: 1\n  opt block: 4096\n  max block: 33554432\n  transaction size: 64-bit\n'
            '  available meta contexts: 1\n   base:allocation\n', run('qemu-nbd', '-L', '-k', self.path))


if __name__ == '__main__':
    unittest.main()
