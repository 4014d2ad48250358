#!/usr/bin/env python3
"""Times Myna's NBD server beside qemu-nbd as it is by default, qemu-nbd with io_uring, and a server that does nothing
but copy between its memory and the socket (nbd_bare.c): what the host's sockets allow.

    nbd.py [--rounds N] [--tcp] [--cache MODE]

Each server serves a file of its own that the host has in memory (or with --cache=none, on its disk), over a UNIX
socket or the loopback's TCP, to the same client (nbd_load.c).
All of them run all the time; a round has each case done by each of them, one after the other, so that what disturbs
the machine meets all. The table has the medians of the rounds, and of them the ratios of Myna to the others; beside
them the time of the processor that a request takes of the server, which other programs disturb less.

Nothing passes or fails by time. qemu-nbd is looked for in $QEMU_BIN (a folder), then in PATH.
"""
import argparse
import os
import shutil
import socket
import statistics
import subprocess
import tempfile
import time

from compare import OURS, qemu

SIZE = 256 << 20
HELPERS = os.path.join(os.path.dirname(OURS), 'benchmarks')
LOAD = os.path.join(HELPERS, 'nbd-load')
CASES = [
    # name, operation, order, bytes, requests under way, requests
    ('4K random read, depth 32', 'read', 'random', 4096, 32, 20000),
    ('4K random write, depth 32', 'write', 'random', 4096, 32, 20000),
    ('4K random read, depth 1', 'read', 'random', 4096, 1, 5000),
    ('1M read in order, depth 8', 'read', 'next', 1 << 20, 8, 500),
    ('1M write in order, depth 8', 'write', 'next', 1 << 20, 8, 500),
]


def server_commands(options):
    """Those that are there: name -> the command before the socket and the image."""
    theirs = qemu('qemu-nbd')
    words = ['-t', '-e', '0', '-f', 'raw', '--cache', options.cache]
    servers = {'Myna': [os.path.join(OURS, 'myna-nbd'), *words]}
    if theirs:
        servers['QEMU'] = [theirs, *words]
        servers['io_uring'] = [theirs, *words, '--aio=io_uring']
    if not options.tcp and options.cache == 'writeback':
        servers['bare'] = [os.path.join(HELPERS, 'nbd-bare')]
    return servers


def free_port():
    with socket.socket() as one:
        one.bind(('127.0.0.1', 0))
        return str(one.getsockname()[1])


def listens(name):
    if name.startswith('/'):
        return os.path.exists(name)
    with socket.socket() as one:
        return one.connect_ex(('127.0.0.1', int(name))) == 0


class Server:
    def __init__(self, command, folder, name, image, tcp):
        self.socket, copy = os.path.join(folder, name + '.socket'), os.path.join(folder, name + '.image')
        shutil.copyfile(image, copy)
        if tcp:
            self.socket = free_port()
        place = ['-b', '127.0.0.1', '-p'] if tcp else [] if name == 'bare' else ['-k']
        self.process = subprocess.Popen([*command, *place, self.socket, copy])
        while not listens(self.socket):
            if self.process.poll() is not None:
                raise SystemExit(f'{name}: the server does not start')
            time.sleep(0.05)

    def processor_seconds(self):
        with open(f'/proc/{self.process.pid}/stat', encoding='ascii') as file:
            fields = file.read().rsplit(')', 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')

    def measure(self, operation, order, size, depth, count):
        """Requests in a second; microseconds of the server's for one."""
        before = self.processor_seconds()
        words = [LOAD, self.socket, operation, order, str(size), str(depth), str(count)]
        rate = float(subprocess.run(words, check=True, capture_output=True, text=True, timeout=300).stdout)
        return rate, (self.processor_seconds() - before) / count * 1e6

    def stop(self):
        self.process.terminate()
        self.process.wait()


def run(options, folder):
    """(case, server) -> the rates and costs of all rounds"""
    image = os.path.join(folder, 'image')
    with open(image, 'wb') as file:
        for _ in range(SIZE >> 20):
            file.write(os.urandom(1 << 20))
    servers = {name: Server(command, folder, name, image, options.tcp)
               for name, command in server_commands(options).items()}
    results = {}
    try:
        for _ in range(options.rounds):
            for case in CASES:
                for name, server in servers.items():
                    results.setdefault((case[0], name), []).append(server.measure(*case[1:]))
    finally:
        for server in servers.values():
            server.stop()
    return list(servers), results


def print_table(names, results):
    others = names[1:]
    print(f'{"requests in a second":28}' + ''.join(f'{name:>10}' for name in names) +
          ''.join(f'{"/ " + name:>11}' for name in others) + '   us of CPU: ' + ' '.join(f'{n:>8}' for n in names))
    for case, *_ in CASES:
        rates = [statistics.median(rate for rate, _ in results[case, name]) for name in names]
        costs = [statistics.median(cost for _, cost in results[case, name]) for name in names]
        print(f'{case:28}' + ''.join(f'{rate:10.0f}' for rate in rates) +
              ''.join(f'{rates[0] / rate:11.2f}' for rate in rates[1:]) + ' ' * 14 +
              ' '.join(f'{cost:8.1f}' for cost in costs))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--tcp', action='store_true')
    parser.add_argument('--cache', default='writeback')
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir='/var/tmp') as folder:
        print_table(*run(options, folder))


if __name__ == '__main__':
    main()
