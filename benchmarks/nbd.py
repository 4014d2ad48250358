#!/usr/bin/env python3
"""Times Myna's NBD server beside qemu-nbd: each serves one file that the host has in memory, over a UNIX socket, to
the same client (nbd_load.c), in turns. Beside the rate it prints the time of the processor that a request takes of the
server, which other programs on the machine disturb less.

    nbd.py [--rounds N]

Nothing passes or fails by time. qemu-nbd is looked for in $QEMU_BIN (a folder), then in PATH.
"""
import argparse
import os
import subprocess
import tempfile
import time

from compare import OURS, qemu

SIZE = 256 << 20
LOAD = os.path.join(os.path.dirname(OURS), 'benchmarks', 'nbd-load')
CASES = [
    # name, operation, order, bytes, requests under way, requests
    ('4K random read, depth 32', 'read', 'random', 4096, 32, 40000),
    ('4K random write, depth 32', 'write', 'random', 4096, 32, 40000),
    ('4K random read, depth 1', 'read', 'random', 4096, 1, 10000),
    ('1M read in order, depth 8', 'read', 'next', 1 << 20, 8, 1500),
    ('1M write in order, depth 8', 'write', 'next', 1 << 20, 8, 1000),
]


def processor_seconds(process):
    with open(f'/proc/{process.pid}/stat', encoding='ascii') as file:
        fields = file.read().rsplit(')', 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


class Server:
    def __init__(self, program, folder, image):
        self.socket = os.path.join(folder, os.path.basename(os.path.dirname(program)) + 'socket')
        if os.path.exists(self.socket):
            os.unlink(self.socket)
        self.process = subprocess.Popen([program, '-t', '-e', '0', '-k', self.socket, '-f', 'raw', image])
        while not os.path.exists(self.socket):
            time.sleep(0.05)

    def measure(self, operation, order, size, depth, count):
        """Requests in a second; microseconds of the server's for one."""
        before = processor_seconds(self.process)
        words = [LOAD, self.socket, operation, order, str(size), str(depth), str(count)]
        rate = float(subprocess.run(words, check=True, capture_output=True, text=True, timeout=300).stdout)
        return rate, (processor_seconds(self.process) - before) / count * 1e6

    def stop(self):
        self.process.terminate()
        self.process.wait()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--rounds', type=int, default=3)
    rounds = parser.parse_args().rounds
    programs = [os.path.join(OURS, 'myna-nbd'), qemu('qemu-nbd')]
    best = {}
    with tempfile.TemporaryDirectory(dir='/var/tmp') as folder:
        image = os.path.join(folder, 'image')
        with open(image, 'wb') as file:
            for _ in range(SIZE >> 20):
                file.write(os.urandom(1 << 20))
        for _ in range(rounds):
            for i, program in enumerate(programs):
                if not program:
                    continue
                server = Server(program, folder, image)
                for case in CASES:
                    rate, cost = server.measure(*case[1:])
                    before = best.get((case[0], i), (0, float('inf')))
                    best[case[0], i] = max(rate, before[0]), min(cost, before[1])
                server.stop()
    print(f'{"":28}{"Myna":>12}{"QEMU":>12}{"ratio":>8}{"us of CPU":>12}{"QEMU":>8}{"ratio":>8}')
    for name, *_ in CASES:
        rate, cost = best[name, 0]
        other = best.get((name, 1))
        print(f'{name:28}{rate:10.0f}/s' + (f'{other[0]:10.0f}/s{rate / other[0]:8.2f}{cost:12.1f}{other[1]:8.1f}'
                                            f'{other[1] / max(cost, 0.01):8.2f}' if other else
                                             f'{"-":>12}{"-":>8}{cost:12.1f}'))


if __name__ == '__main__':
    main()
