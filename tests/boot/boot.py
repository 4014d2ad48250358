#!/usr/bin/env python3
"""Boots a machine and checks what it says and how it ends.

    boot.py [--timeout SECONDS] [--status N | --until REGEX] [--native PROGRAM] [--disk TEXT]
            [--nbd PROGRAMS] [--also REGEX] EXPECTATIONS -- COMMAND...

Each line of the file EXPECTATIONS is a regular expression that a line of the output must match, in this order; a line
that begins with `!` must match nowhere; empty lines and `#` comments are passed over. With --native, what PROGRAM
prints on the host follows as further lines to find, letter by letter; a line must match the REGEX of --also, wherever.
The process must end by itself with status N (0), or print a line that matches REGEX, and is ended then.

In COMMAND, @GUEST@ is the folder that tools/guest-riscv64 prepared, named by MYNA_GUEST_RISCV64. With --disk, @DISK@
is a file of 16 MiB with random bytes and a line in sector 100; line and checksum of the whole must be printed, and at
the end the file must hold TEXT. With --nbd, that file is served read-only by nbd of the folder PROGRAMS, and @DISK@ is
a qcow2 image over it, which must hold TEXT in its place.
"""
import argparse
import hashlib
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading


def read_expectations(path):
    wanted, unwanted = [], []
    with open(path, encoding='utf-8') as file:
        for line in file.read().splitlines():
            if line.startswith('!'):
                unwanted.append(line[1:])
            elif line and not line.startswith('#'):
                wanted.append(line)
    return wanted, unwanted


def native_lines(program):
    output = subprocess.run([program], check=True, capture_output=True, text=True).stdout
    return [re.escape(line) + '$' for line in output.splitlines()]


def make_disk():
    """The file's path, and what the guest has to print."""
    line = 'a line that the host wrote'
    content = bytearray(random.Random(1).randbytes(16 << 20))
    content[100 * 512:101 * 512] = line.encode().ljust(512, b'\0')
    with tempfile.NamedTemporaryFile(prefix='myna-disk-', delete=False) as file:
        file.write(content)
    return file.name, [line, hashlib.sha256(content).hexdigest()]


class Overlay:
    """An image over a disk that is served by NBD and stays as it is."""

    def __init__(self, programs, base):
        self.programs, self.base = programs, base
        self.folder = tempfile.TemporaryDirectory(prefix='myna-overlay-', dir='/tmp') # a socket's path is short
        self.path = os.path.join(self.folder.name, 'overlay')
        socket, pid_file = os.path.join(self.folder.name, 'socket'), os.path.join(self.folder.name, 'pid')
        self.run('qemu-nbd', '--fork', '--pid-file', pid_file, '-r', '-t', '-k', socket, '-f', 'raw', base)
        with open(pid_file, encoding='ascii') as file:
            self.process = int(file.read())
        with open(base, 'rb') as file:
            self.content = file.read()
        self.run('qemu-img', 'create', '-q', '-f', 'qcow2', '-F', 'raw', '-b',
                 f'nbd+unix:///?socket={socket}', self.path)

    def run(self, program, *words):
        subprocess.run([os.path.join(self.programs, program), *words], check=True, timeout=120)

    def close(self):
        """What the disk holds now, and whether the base is what it was."""
        whole = os.path.join(self.folder.name, 'whole')
        self.run('qemu-img', 'check', '-q', self.path)
        self.run('qemu-img', 'convert', '-O', 'raw', self.path, whole)
        os.kill(self.process, signal.SIGTERM)
        with open(whole, 'rb') as file, open(self.base, 'rb') as base:
            content, same = file.read(), base.read() == self.content
        self.folder.cleanup()
        return content, same


def find_fault(lines, wanted, unwanted):
    position = 0
    for expression in wanted:
        found = [i for i in range(position, len(lines)) if re.search(expression, lines[i])]
        if not found:
            return f'no line matches {expression!r} after line {position}'
        position = found[0] + 1
    for expression in unwanted:
        for line in lines:
            if re.search(expression, line):
                return f'{line!r} matches {expression!r}'
    return None


def run(command, timeout, until):
    """Returns the lines, the status, and whether it had to be killed for the time."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    expired = threading.Event()
    timer = threading.Timer(timeout, lambda: (expired.set(), process.kill()))
    timer.start()
    lines = []
    for raw in process.stdout:
        lines.append(raw.decode('utf-8', 'replace').replace('\r', '').rstrip('\n'))
        if until and re.search(until, lines[-1]):
            process.send_signal(signal.SIGTERM)
            until = None
    status = process.wait()
    timer.cancel()
    return lines, status, expired.is_set(), until is None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--timeout', type=float, default=120)
    parser.add_argument('--status', type=int, default=0)
    parser.add_argument('--until')
    parser.add_argument('--native')
    parser.add_argument('--disk')
    parser.add_argument('--nbd')
    parser.add_argument('--also', action='append', default=[])
    parser.add_argument('expectations')
    parser.add_argument('command', nargs='+')
    options = parser.parse_args()

    guest = os.environ.get('MYNA_GUEST_RISCV64')
    if not guest:
        sys.exit('MYNA_GUEST_RISCV64 is not set: export it from tools/guest-riscv64')
    wanted, unwanted = read_expectations(options.expectations)
    disk, overlay, anywhere = '', None, options.also
    if options.disk:
        disk, printed = make_disk()
        anywhere += printed
    if options.nbd:
        overlay = Overlay(options.nbd, disk)
    given = overlay.path if overlay else disk
    command = [word.replace('@GUEST@', guest).replace('@DISK@', given) for word in options.command]
    lines, status, expired, reached = run(command, options.timeout, options.until)
    if options.native:
        wanted += native_lines(options.native)
    fault = f'still running after {options.timeout:.0f} s' if expired else find_fault(lines, wanted, unwanted)
    for expression in anywhere:
        fault = fault or find_fault(lines, [expression], [])
    if not fault and not reached:
        fault = f'no line matches {options.until!r}'
    if not fault and status != options.status:
        fault = f'ended with status {status}, not {options.status}'
    if disk:
        with open(disk, 'rb') as file:
            content, same = overlay.close() if overlay else (file.read(), True)
        if not fault and options.disk.encode() not in content:
            fault = f'the disk does not hold {options.disk!r}'
        if not fault and not same:
            fault = 'the disk below the image has changed'
        os.unlink(disk)
    if fault:
        print('\n'.join(lines[-80:]))
        sys.exit(f'boot: {fault}')


if __name__ == '__main__':
    main()
