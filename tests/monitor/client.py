"""A QMP client on plain sockets, and the program under test: what the tests of the monitor and of main share."""
import json
import os
import select
import socket
import subprocess
import sys
import tempfile
import time
import unittest

PATIENCE = 60  # seconds; also under a sanitizer on a busy machine


class QmpError(Exception):
    def __init__(self, error):
        super().__init__(f"{error['class']}: {error['desc']}")
        self.class_name, self.description = error['class'], error['desc']


class Client:
    """A QMP connection: replies in order, events kept aside."""

    def __init__(self, sock, negotiate=True):
        self.sock, self.buffer, self.events = sock, b'', []
        sock.settimeout(PATIENCE)
        self.greeting = self.read()
        if negotiate:
            self.command('qmp_capabilities')

    def read_line(self):
        while b'\n' not in self.buffer:
            data = self.sock.recv(65536)
            if not data:
                raise EOFError('the connection ended')
            self.buffer += data
        line, self.buffer = self.buffer.split(b'\n', 1)
        return line

    def read(self):
        return json.loads(self.read_line())

    def send(self, data, fds=()):
        data = data if isinstance(data, bytes) else data.encode()
        if fds:
            socket.send_fds(self.sock, [data], fds)
        else:
            self.sock.sendall(data)

    def reply(self):
        """The next message that is no event."""
        while True:
            message = self.read()
            if 'event' not in message:
                return message
            self.events.append(message)

    def ask(self, name, arguments=None, fds=(), **keys):
        request = {'execute': name, **keys}
        if arguments is not None:
            request['arguments'] = arguments
        self.send(json.dumps(request), fds)
        return self.reply()

    def command(self, name, arguments=None, fds=()):
        reply = self.ask(name, arguments, fds)
        if 'error' in reply:
            raise QmpError(reply['error'])
        return reply['return']

    def hmp(self, line, **arguments):
        return self.command('human-monitor-command', {'command-line': line, **arguments}).replace('\r\n', '\n')

    def wait_event(self, name):
        while True:
            for i, event in enumerate(self.events):
                if event['event'] == name:
                    return self.events.pop(i)
            message = self.read()
            assert 'event' in message, message
            self.events.append(message)

    def close(self):
        self.sock.close()


class Program:
    """A running program, with a QMP connection over an inherited descriptor unless `qmp` is False."""

    def __init__(self, program, *arguments, qmp=True, **keys):
        self.client = None
        pass_fds = list(keys.pop('pass_fds', ()))
        arguments = list(arguments)
        if qmp:
            ours, theirs = socket.socketpair(socket.AF_UNIX)
            arguments += ['-chardev', f'socket,id=qmp,fd={theirs.fileno()}', '-mon', 'qmp,mode=control']
            pass_fds.append(theirs.fileno())
        keys.setdefault('stdin', subprocess.DEVNULL)
        keys.setdefault('stdout', subprocess.PIPE)
        keys.setdefault('stderr', subprocess.STDOUT)
        self.process = subprocess.Popen([program, *arguments], pass_fds=pass_fds, **keys)
        if qmp:
            theirs.close()
            try:
                self.client = Client(ours)
            except (EOFError, ConnectionError):
                out = self.process.communicate(timeout=PATIENCE)[0]
                raise AssertionError(f'the program ended: {(out or b"").decode()}') from None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.client:
            self.client.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def __getattr__(self, name):
        return getattr(self.client, name)

    def wait(self):
        return self.process.wait(PATIENCE)

    def output(self):
        return self.process.communicate(timeout=PATIENCE)[0].decode(errors='replace')


def run(program, *arguments, **keys):
    """Runs to the end: (status, output with errors)."""
    done = subprocess.run([program, *arguments], stdin=keys.pop('stdin', subprocess.DEVNULL), stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=PATIENCE, **keys)
    return done.returncode, done.stdout.decode(errors='replace')


def read_until(fd, text, patience=PATIENCE):
    """Reads from a descriptor until the text came; all that was read."""
    got, end = b'', time.monotonic() + patience
    text = text if isinstance(text, bytes) else text.encode()
    while text not in got:
        left = end - time.monotonic()
        assert left > 0, f'waited for {text!r}, got {got!r}'
        if select.select([fd], [], [], left)[0]:
            try:
                data = os.read(fd, 65536)
            except OSError:
                data = b''
            assert data, f'the end came before {text!r}: {got!r}'
            got += data
    return got


def wait_for(condition, what='a condition'):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f'waited for {what}'
        time.sleep(0.02)


def main():
    """Runs the tests of the calling script; its arguments are folders of programs to test, then unittest's."""
    Test.folder = os.path.abspath(sys.argv.pop(1))
    while (spare := os.open(os.devnull, os.O_RDWR)) <= 2: # one that was closed would be used for something else
        pass
    os.close(spare)
    tempfile.tempdir = '/tmp' # in which a socket's path has room
    unittest.main(verbosity=2)


class Test(unittest.TestCase):
    folder = None
    maxDiff = None

    @classmethod
    def program(cls, target='riscv64', family='qemu'):
        return os.path.join(cls.folder, f'{family}-system-{target}')

    def start(self, *arguments, target='riscv64', **keys):
        program = Program(self.program(target), *arguments, **keys)
        self.addCleanup(program.__exit__)
        return program
