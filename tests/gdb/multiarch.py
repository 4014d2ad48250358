"""gdb-multiarch beside what it debugs: a process, its socket, a list of commands, and what must have been said."""
import contextlib
import os
import re
import subprocess
import sys
import tempfile
import time


@contextlib.contextmanager
def running(*command, **more):
    """A process that does not outlive what is done with it."""
    with subprocess.Popen(command, **more) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def short_folder():
    """A temporary folder in which a socket's path has room, wherever others are made."""
    return tempfile.TemporaryDirectory(dir='/tmp')


def wait_for(path):
    for _ in range(6000):
        if os.path.exists(path):
            return
        time.sleep(0.01)
    sys.exit(f'{path} does not come')


def gdb(commands, folder=None):
    """What it prints."""
    commands = ['set confirm off', *commands]
    done = subprocess.run(['gdb-multiarch', '-nx', '-batch', *[w for c in commands for w in ('-ex', c)]], cwd=folder,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                          timeout=300)
    return done.stdout.decode(errors='replace')


def expect_in_order(text, patterns, what):
    at = 0
    for pattern in patterns:
        match = re.compile(pattern).search(text, at)
        if not match:
            sys.exit(f'{what}: no {pattern!r} where it should be in\n{text}')
        at = match.end()
