#!/usr/bin/env python3
"""The nbd driver against servers of this file, which also lie, stop and come back, and against nbdkit.

    nbd_client.py FOLDER_OF_PROGRAMS
"""
import os
import random
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

FOLDER = os.path.abspath(sys.argv.pop(1))
SIZE = 1 << 20
OPTION_MAGIC, REPLY_MAGIC = 0x49484156454f5054, 0x3e889045565a9
EXPORT_NAME, GO, STRUCTURED, SET_META, EXTENDED = 1, 7, 8, 10, 11
READ, WRITE, DISC, FLUSH, TRIM, CACHE, ZEROES, STATUS = range(8)
ALL_FLAGS = 0x06d | 0x100


class Closed(Exception):
    pass


class Server:
    """One that does as it should; what a test wants otherwise it overrides."""
    modes = ()          # of STRUCTURED and EXTENDED: what it agrees to
    flags = ALL_FLAGS
    knows_go = True
    sizes = None        # minimum, preferred, maximum block
    old = False         # no options at all

    def __init__(self, path):
        self.path, self.data, self.mode = path, bytearray(os.urandom(SIZE)), 0
        self.connections, self.seen, self.failures = 0, [], []
        self.listener = None
        self.start()

    def start(self):
        if os.path.exists(self.path):
            os.unlink(self.path)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(16)
        threading.Thread(target=self.accept, args=(self.listener,), daemon=True).start()

    def stop(self):
        if self.listener.fileno() >= 0:
            self.listener.shutdown(socket.SHUT_RDWR)
            self.listener.close()

    def accept(self, listener):
        while True:
            try:
                connection = listener.accept()[0]
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with connection:
            try:
                mode = self.handshake(connection)
                while self.request(connection, mode):
                    pass
            except (Closed, ConnectionError):
                pass
            except Exception as error: # pylint: disable=broad-except
                self.failures.append(error)

    @staticmethod
    def receive(connection, count):
        data = b''
        while len(data) < count:
            piece = connection.recv(count - len(data))
            if not piece:
                raise Closed
            data += piece
        return data

    @staticmethod
    def answer(connection, option, kind, data=b''):
        connection.sendall(struct.pack('>QIII', REPLY_MAGIC, option, kind, len(data)) + data)

    def handshake(self, connection):
        mode, fixed = 0, self.knows_go
        if self.old:
            connection.sendall(struct.pack('>8sQQI', b'NBDMAGIC', 0x420281861253, SIZE, self.flags) + bytes(124))
            return mode
        connection.sendall(b'NBDMAGIC' + struct.pack('>QH', OPTION_MAGIC, 1))
        assert struct.unpack('>I', self.receive(connection, 4))[0] == 1
        while True:
            magic, option, length = struct.unpack('>QII', self.receive(connection, 16))
            assert magic == OPTION_MAGIC
            data = self.receive(connection, length)
            if option in self.modes:
                mode = option
                self.answer(connection, option, 1)
            elif option == SET_META:
                self.answer(connection, option, 4, struct.pack('>I', 77) + b'base:allocation')
                self.answer(connection, option, 1)
            elif option == GO and fixed:
                self.answer(connection, option, 3, struct.pack('>HQH', 0, SIZE, self.flags))
                if self.sizes:
                    self.answer(connection, option, 3, struct.pack('>HIII', 3, *self.sizes))
                self.answer(connection, option, 1)
                return mode
            elif option == EXPORT_NAME:
                assert data == b'name'
                connection.sendall(struct.pack('>QH', SIZE, self.flags) + bytes(124))
                return mode
            else:
                self.answer(connection, option, 0x80000001, b'no')

    def request(self, connection, mode):
        extended = mode == EXTENDED
        head = '>IHHQQ' + ('Q' if extended else 'I')
        magic, flags, command, cookie, offset, length = struct.unpack(head, self.receive(connection,
                                                                                         struct.calcsize(head)))
        assert magic == (0x21e41c71 if extended else 0x25609513)
        if command == DISC:
            return False
        payload = self.receive(connection, length) if command == WRITE else b''
        self.seen.append((command, flags, offset, length))
        self.handle(connection, mode, cookie, command, offset, length, payload)
        return True

    def handle(self, connection, mode, cookie, command, offset, length, payload):
        if command == WRITE:
            self.data[offset:offset + length] = payload
        elif command == ZEROES:
            self.data[offset:offset + length] = bytes(length)
        if command == READ:
            self.send_data(connection, mode, cookie, offset, bytes(self.data[offset:offset + length]))
        elif command == STATUS:
            extents = self.extents(offset, length)
            item = '>QQ' if mode == EXTENDED else '>II'
            count = struct.pack('>I', len(extents)) if mode == EXTENDED else b''
            self.chunk(connection, mode, cookie, 6 if mode == EXTENDED else 5, 1, struct.pack('>I', 77) + count +
                       b''.join(struct.pack(item, *extent) for extent in extents))
        else:
            self.end(connection, mode, cookie)

    @staticmethod
    def chunk(connection, mode, cookie, kind, flags, data):
        head = struct.pack('>IHHQQQ', 0x6e8a278c, flags, kind, cookie, 0, len(data)) if mode == EXTENDED else \
            struct.pack('>IHHQI', 0x668e33ef, flags, kind, cookie, len(data))
        connection.sendall(head + data)

    def end(self, connection, mode, cookie, error=0):
        if mode == 0:
            connection.sendall(struct.pack('>IIQ', 0x67446698, error, cookie))
        elif error:
            self.chunk(connection, mode, cookie, 0x8001, 1, struct.pack('>IH', error, 3) + b'why')
        else:
            self.chunk(connection, mode, cookie, 0, 1, b'')

    def send_data(self, connection, mode, cookie, offset, data):
        if mode == 0:
            connection.sendall(struct.pack('>IIQ', 0x67446698, 0, cookie) + data)
        else:
            self.chunk(connection, mode, cookie, 1, 1, struct.pack('>Q', offset) + data)

    def extents(self, offset, length):
        return [(length, 0)]


def run(program, *words, check=True, **more):
    result = subprocess.run([os.path.join(FOLDER, program), *words], check=False, timeout=120, capture_output=True,
                            text=True, **more)
    if check and result.returncode:
        raise AssertionError(f'{program} {words}: {result.stderr}')
    return result


class Cut:
    """A connection that takes so many bytes more."""
    def __init__(self, connection, left):
        self.connection, self.left = connection, left

    def sendall(self, data):
        self.connection.sendall(data[:self.left])
        if len(data) > self.left:
            raise Closed
        self.left -= len(data)


class Dying(Server):
    """It loses its connections at any point: of the handshake, of a request and of a reply."""
    chance = 0.08
    dice = random.Random(0)
    modes = (STRUCTURED,)

    def dies(self):
        return self.dice.random() < self.chance

    def handshake(self, connection):
        if self.connections > 1 and self.dies():
            raise Closed
        return super().handshake(connection)

    def receive(self, connection, count): # pylint: disable=arguments-differ
        if count > 1000 and self.dies():
            Server.receive(connection, self.dice.randrange(count))
            raise Closed
        return Server.receive(connection, count)

    def handle(self, connection, *rest):
        if self.dies(): # not done at all
            raise Closed
        # Done, with the reply or a part of it.
        super().handle(Cut(connection, self.dice.randrange(5000)) if self.dies() else connection, *rest)


class ClientTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(dir='/var/tmp')
        self.addCleanup(self.folder.cleanup)
        self.path = os.path.join(self.folder.name, 'socket')
        self.copy = os.path.join(self.folder.name, 'copy')
        self.name = f'nbd+unix:///name?socket={self.path}'

    def serve(self, kind=Server, **members):
        server = type('Case', (kind,), members)(self.path)
        self.addCleanup(server.stop)
        self.addCleanup(lambda: self.assertEqual(server.failures, []))
        return server

    def io(self, *commands, check=True, options=()):
        words = [word for command in commands for word in ('-c', command)]
        image = [*options] if options else ['-f', 'raw', self.name]
        return run('qemu-io', *words, *image, check=check)

    def read_all(self):
        run('qemu-img', 'convert', '-f', 'raw', '-O', 'raw', self.name, self.copy)
        with open(self.copy, 'rb') as file:
            return file.read()

    def test_ways_of_talking(self):
        for case in ({'old': True}, {'knows_go': False}, {}, {'modes': (STRUCTURED,)}, {'modes': (EXTENDED,)},
                     {'modes': (STRUCTURED,), 'sizes': (4096, 4096, 8192)}):
            with self.subTest(**case):
                server = self.serve(**case)
                if case.get('old'):
                    self.name = f'nbd:unix:{self.path}'
                else:
                    self.name = f'nbd+unix:///name?socket={self.path}'
                self.io('write -P 5 5000 9000', 'write -z 100k 3000', 'flush')
                self.assertEqual(server.data[5000:14000], b'\5' * 9000)
                self.assertEqual(server.data[100 << 10:(100 << 10) + 3000], bytes(3000))
                self.assertEqual(self.read_all(), bytes(server.data))
                if 'sizes' in case:
                    self.assertEqual([one for one in server.seen if (one[2] | one[3]) % 4096 or
                                      (one[0] in (READ, WRITE) and one[3] > 8192)], [])
                server.stop()

    def test_fua_and_what_the_server_cannot(self):
        server = self.serve()
        self.io('write -f 0 4k')
        self.assertIn((WRITE, 1, 0, 4096), server.seen)
        server.stop()
        server = self.serve(flags=0x001) # neither flush nor anything else
        self.io('write -f 0 4k', 'write -z 4k 4k', 'flush', 'discard 0 4k')
        self.assertEqual(server.data[4096:8192], bytes(4096))
        self.assertEqual({one[0] for one in server.seen} - {READ}, {WRITE})

    def test_chunks_in_any_order(self):
        class Pieces(Server):
            modes = (STRUCTURED,)

            def send_data(self, connection, mode, cookie, offset, data):
                for at in reversed(range(0, len(data), 4096)):
                    piece = data[at:at + 4096]
                    if at % 8192:
                        self.chunk(connection, mode, cookie, 2, 0, struct.pack('>QI', offset + at, len(piece)))
                    else:
                        self.chunk(connection, mode, cookie, 1, 0, struct.pack('>Q', offset + at) + piece)
                self.chunk(connection, mode, cookie, 0, 1, b'')
        server = self.serve(Pieces)
        wanted = b''.join(bytes(4096) if at % 8192 else bytes(server.data[at:at + 4096])
                          for at in range(0, SIZE, 4096))
        self.assertEqual(self.read_all(), wanted)

    def test_status(self):
        class Sparse(Server):
            modes = (EXTENDED,)

            def extents(self, offset, length):
                return [(min(length, 65536 - offset % 65536), 3 if offset // 65536 % 2 else 0)]
        self.serve(Sparse)
        result = run('qemu-img', 'map', '--output=json', '-f', 'raw', self.name).stdout
        self.assertEqual(result.count('"zero": true'), 8)
        self.assertEqual(result.count('"length": 65536'), 16)

    def test_wrong_replies(self):
        def too_few(server, connection, mode, cookie, offset, data):
            server.chunk(connection, mode, cookie, 1, 1, struct.pack('>Q', offset) + data[:-1])

        def twice(server, connection, mode, cookie, offset, data):
            server.chunk(connection, mode, cookie, 1, 0, struct.pack('>Q', offset) + data[:512])
            server.chunk(connection, mode, cookie, 1, 1, struct.pack('>Q', offset) + data[:512])

        def outside(server, connection, mode, cookie, offset, data):
            server.chunk(connection, mode, cookie, 1, 1, struct.pack('>Q', offset + 1) + data)

        def other_cookie(server, connection, mode, cookie, offset, data):
            server.chunk(connection, mode, cookie + 1, 1, 1, struct.pack('>Q', offset) + data)

        def huge(server, connection, mode, cookie, offset, data):
            connection.sendall(struct.pack('>IHHQI', 0x668e33ef, 0, 0x8001, cookie, 0xffffffff))

        def simple(server, connection, mode, cookie, offset, data):
            connection.sendall(struct.pack('>IIQ', 0x67446698, 0, cookie) + data)

        def endless(server, connection, mode, cookie, offset, data):
            while True:
                server.chunk(connection, mode, cookie, 0x8001, 0, struct.pack('>IH', 5, 0))

        def status(server, connection, mode, cookie, offset, data):
            server.chunk(connection, mode, cookie, 5, 1, struct.pack('>III', 77, 512, 0))

        def noise(server, connection, mode, cookie, offset, data):
            connection.sendall(os.urandom(1000))

        for wrong in (too_few, twice, outside, other_cookie, huge, simple, endless, status, noise):
            with self.subTest(wrong=wrong.__name__):
                server = self.serve(modes=(STRUCTURED,), send_data=wrong)
                self.assertIn('Input/output error', self.io('read 0 4k', check=False).stdout +
                              self.io('read 0 4k', check=False).stderr)
                server.stop()

    def test_wrong_handshakes(self):
        for greeting in (b'', b'x' * 200, b'NBDMAGIC' + bytes(200), b'NBDMAGIC' + struct.pack('>QH', OPTION_MAGIC, 3) +
                         struct.pack('>QIII', REPLY_MAGIC, EXTENDED, 1, 0xffffffff),
                         struct.pack('>8sQQI', b'NBDMAGIC', 0x420281861253, 1 << 63, 1) + bytes(124)):
            def handshake(server, connection, greeting=greeting):
                connection.sendall(greeting)
                raise Closed
            server = self.serve(handshake=handshake)
            result = run('qemu-img', 'info', f'nbd:unix:{self.path}', check=False)
            self.assertEqual(result.returncode, 1)
            self.assertIn('Could not open', result.stderr)
            server.stop()

    def test_silent_server(self):
        self.serve(handshake=lambda server, connection: time.sleep(60))
        self.assertEqual(run('qemu-img', 'info', self.name, check=False).returncode, 1)

    def test_errors_of_the_server(self):
        for modes in ((), (STRUCTURED,), (EXTENDED,)):
            def handle(server, connection, mode, cookie, command, *rest):
                server.end(connection, mode, cookie, 28)
            server = self.serve(modes=modes, handle=handle)
            result = self.io('write 0 4k', check=False)
            self.assertIn('No space left on device', result.stdout + result.stderr)
            server.stop()

    def losing(self, count):
        """Loses the connection in the middle of the first requests."""
        class Losing(Server):
            losses = count
            modes = (EXTENDED,)

            def handle(self, connection, *rest):
                if self.losses:
                    self.losses -= 1
                    raise Closed
                super().handle(connection, *rest)
        return self.serve(Losing)

    def test_reconnects(self):
        server = self.losing(3)
        options = f'driver=raw,file.driver=nbd,file.export=name,file.path={self.path},file.reconnect-delay=60'
        self.io('aio_write -P 9 0 64k', 'aio_write -P 8 64k 64k', 'aio_flush', 'write -P 7 128k 64k',
                options=('--image-opts', options))
        self.assertEqual(server.data[:3 << 16], b'\x09' * 65536 + b'\x08' * 65536 + b'\x07' * 65536)
        self.assertGreater(server.connections, 1)

    def test_server_that_dies_at_any_point(self):
        for seed in range(4):
            with self.subTest(seed=seed):
                server = self.serve(Dying, dice=random.Random(seed), modes=((), (STRUCTURED,), (EXTENDED,))[seed % 3])
                options = (f'driver=raw,file.driver=nbd,file.export=name,file.path={self.path},file.multi-conn=3,'
                           'file.reconnect-delay=100,file.open-timeout=100')
                result = self.io(*(f'aio_write -P {i + 1} {i * 8}k 8k' for i in range(40)), 'aio_flush',
                                 *(f'read -P {i + 1} {i * 8}k 8k' for i in range(40)),
                                 options=('--image-opts', options))
                self.assertNotIn('failed', result.stdout + result.stderr)
                for i in range(40):
                    self.assertEqual(server.data[i * 8192:i * 8192 + 8192], bytes([i + 1]) * 8192)
                self.assertGreater(server.connections, 3)
                server.stop()

    def test_without_patience(self):
        self.losing(1)
        result = self.io('write 0 4k', check=False)
        self.assertIn('Input/output error', result.stdout + result.stderr)

    def test_another_disk_after_a_loss(self):
        class Changing(Server):
            def handshake(self, connection):
                self.flags = ALL_FLAGS if self.connections == 1 else 0x003
                return super().handshake(connection)

            def handle(self, connection, *rest):
                raise Closed
        self.serve(Changing)
        options = f'driver=raw,file.driver=nbd,file.export=name,file.path={self.path},file.reconnect-delay=1'
        result = self.io('write 0 4k', options=('--image-opts', options), check=False)
        self.assertIn('Input/output error', result.stdout + result.stderr)

    def test_waits_for_the_server(self):
        server = self.serve()
        server.stop()
        os.unlink(self.path)
        timer = threading.Timer(0.5, server.start)
        timer.start()
        options = f'driver=raw,file.driver=nbd,file.export=name,file.path={self.path},file.open-timeout=60'
        self.io('read 0 4k', options=('--image-opts', options))
        timer.join()

    def test_several_connections(self):
        class Patient(Server):
            def handle(self, connection, *rest): # no reply before all have come
                end = time.monotonic() + 60
                while self.connections < 4 and time.monotonic() < end:
                    time.sleep(0.01)
                super().handle(connection, *rest)
        server = self.serve(Patient, modes=(EXTENDED,))
        options = f'driver=raw,file.driver=nbd,file.export=name,file.path={self.path},file.multi-conn=4'
        self.io(*(f'aio_write -P {i} {i * 4}k 4k' for i in range(1, 40)), 'aio_flush',
                options=('--image-opts', options))
        self.assertEqual(server.connections, 4)
        for i in range(1, 40):
            self.assertEqual(server.data[i * 4096:i * 4096 + 4096], bytes([i]) * 4096)

    def test_names(self):
        for name, message in (
                ('nbd:foo', "error parsing address 'foo'"), ('nbd://', 'No valid URL specified'),
                ('nbd+unix:///x', 'No valid URL specified'), ('nbd://host/?socket=/x', 'No valid URL specified'),
                ('nbd://host/a%', 'No valid URL specified'), ('nbd://[::1', 'No valid URL specified'),
                (f'nbd+unix:///?socket={self.path}', f"Failed to connect to '{self.path}': No such file or directory"),
                ('nbd://127.0.0.1:1/x', "Failed to connect to '127.0.0.1:1': Connection refused"),
                ('nbd://[::1]:1/x', "Failed to connect to '::1:1': ")):
            result = run('qemu-img', 'info', name, check=False)
            self.assertEqual(result.returncode, 1)
            self.assertIn(f"qemu-img: Could not open '{name}': {message}", result.stderr)
        for options, message in (
                ('driver=nbd', 'NBD server address missing'),
                ('driver=nbd,path=/a,host=b', 'path and host may not be used at the same time'),
                ('driver=nbd,path=/a,export=' + 'x' * 5000, 'export name too long to send to server')):
            result = run('qemu-img', 'info', '--image-opts', options, check=False)
            self.assertIn(message, result.stderr)

    def test_read_only_export_and_size(self):
        self.serve(flags=0x003)
        self.assertIn('Permission denied', self.io('write 0 4k', check=False).stderr)
        run('qemu-io', '-r', '-f', 'raw', '-c', 'read 0 4k', self.name)

    def test_resize(self):
        self.serve()
        for size, message in (('2M', 'Cannot grow NBD nodes'), ('512k', 'Cannot resize NBD nodes')):
            result = run('qemu-img', 'resize', '--shrink', '-f', 'raw', self.name, size, check=False)
            self.assertIn(message, result.stderr)

    def test_image_in_an_export(self):
        server = self.serve(modes=(EXTENDED,))
        run('qemu-img', 'create', '-q', '-f', 'qcow2', self.name, '4M')
        run('qemu-io', '-f', 'qcow2', '-c', 'write -P 5 3M 64k', self.name)
        run('qemu-img', 'check', '-q', '-f', 'qcow2', self.name)
        with open(self.copy, 'wb') as file:
            file.write(server.data)
        run('qemu-io', '-f', 'qcow2', '-c', 'read -P 5 3M 64k', self.copy)
        result = run('qemu-img', 'create', '-f', 'raw', self.name, '4M', check=False)
        self.assertEqual(result.returncode, 1)

    def test_nbdkit(self):
        image = os.path.join(self.folder.name, 'image')
        with open(image, 'wb') as file:
            file.write(os.urandom(SIZE))
            file.truncate(4 * SIZE)
        with subprocess.Popen(['nbdkit', '-f', '-U', self.path, 'file', image], stdin=subprocess.DEVNULL) as server:
            while not os.path.exists(self.path):
                self.assertIsNone(server.poll())
                time.sleep(0.01)
            self.name = f'nbd+unix:///?socket={self.path}'
            options = f'driver=raw,file.driver=nbd,file.path={self.path},file.multi-conn=3'
            self.io('aio_write -P 3 2M 1M', 'aio_write -P 4 3M 512k', 'aio_flush', 'write -z 2M 64k', 'discard 1M 64k',
                    options=('--image-opts', options))
            run('qemu-img', 'compare', '-f', 'raw', '-F', 'raw', self.name, image)
            self.io('read -P 3 2112k 64k', 'read -P 0 2M 64k', 'read -P 4 3M 512k')
            server.terminate()


if __name__ == '__main__':
    unittest.main()
