#!/usr/bin/env python3
"""Times Myna's NBD server beside qemu-nbd as it is by default, qemu-nbd with io_uring, and a server that does nothing
but copy between its memory and the socket (nbd_bare.c): what the host's sockets allow.

    nbd.py [--rounds N]

Each server serves a file of its own that the host has in memory, over a UNIX socket, to the same client (nbd_load.c).
All of them run all the time; a round has each case done by each of them, one after the other, so that what disturbs
the machine meets all. The table has the medians of the rounds, and of them the ratios of Myna to the others; beside
them the time of the processor that a request takes of the server, which other programs disturb less.

Nothing passes or fails by time. qemu-nbd is looked for in $QEMU_BIN (a folder), then in PATH.
"""
import argparse
import os
import shutil
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


def server_commands():
    """Those that are there: name -> the command before the socket and the image."""
    theirs = qemu('qemu-nbd')
    servers = {'Myna': [os.path.join(OURS, 'myna-nbd'), '-t', '-e', '0', '-f', 'raw', '-k']}
    if theirs:
        servers['QEMU'] = [theirs, '-t', '-e', '0', '-f', 'raw', '-k']
        servers['io_uring'] = [theirs, '-t', '-e', '0', '-f', 'raw', '--aio=io_uring', '-k']
    servers['bare'] = [os.path.join(HELPERS, 'nbd-bare')]
    return servers


class Server:
    def __init__(self, command, folder, name, image):
        self.socket, copy = os.path.join(folder, name + '.socket'), os.path.join(folder, name + '.image')
        shutil.copyfile(image, copy)
        self.process = subprocess.Popen([*command, self.socket, copy])
        while not os.path.exists(self.socket):
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


def run(rounds, folder):
    """(case, server) -> the rates and costs of all rounds"""
    image = os.path.join(folder, 'image')
    with open(image, 'wb') as file:
        for _ in range(SIZE >> 20):
            file.write(os.urandom(1 << 20))
    servers = {name: Server(command, folder, name, image) for name, command in server_commands().items()}
    results = {}
    try:
        for _ in range(rounds):
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
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory(dir='/var/tmp') as folder:
        print_table(*run(rounds, folder))


if __name__ == '__main__':
    main()
