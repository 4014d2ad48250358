#!/usr/bin/env python3
"""Runs random programs on two emulators and compares what they leave in registers and memory.

    random_compare.py XLEN DUMP GCC EMULATOR EMULATOR [PROGRAMS [SEED [CPU]]]

Programs are random_program.py's; DUMP is test_guest_riscv_dump. Emulators are of machines, which need the `virt` board,
or of Linux programs: those whose name does not have "system". An emulator may be followed by options:
"myna-system-riscv64 -accel interp". CPU is for both, `max` if not given. Instructions that trap, or raise a signal, are
skipped, and the traps compared. At the end it says which lines of the decode files no program has run.
Not part of the tests: the other one is not ours.
"""
import collections
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

import random_program

TOGETHER = 50
MACROS = '''
.macro insn4 bits
    .4byte \\bits
.endm
.macro insn2 bits
    .2byte \\bits
.endm
'''


class Comparison:
    def __init__(self, arguments):
        self.xlen, dump, self.gcc, *self.emulators = arguments[:5]
        self.count = int(arguments[5]) if len(arguments) > 5 else 100
        self.seed = int(arguments[6]) if len(arguments) > 6 else 1
        self.cpu = arguments[7] if len(arguments) > 7 else 'max'
        self.linux = 'system' not in pathlib.Path(shlex.split(self.emulators[0])[0]).name
        self.instructions = random_program.Instructions(dump, self.xlen, self.cpu, self.linux)
        self.seen = collections.Counter()

    def defines(self):
        if self.linux:
            yield 'LINUX'
        for expression, name in [('e=on|rv..e', 'EMBEDDED'),
                                 ('zfinx|zdinx|[fd]=off|rv..[ie]|sifive-e|ibex', 'NO_DOUBLES'),
                                 ('zcmt=on', 'TABLE_JUMPS'), ('smrnmi=on', 'RESUMABLE')]:
            if re.search(expression, self.cpu):
                yield name

    def build(self, programs, directory, full):
        text = MACROS + '.macro PROGRAMS\n    .option push\n    .option norvc\n'
        text += '\n'.join(line for program in programs for line in program.lines)
        text += '\n    .option pop\n.endm\n.macro VALUES\n'
        text += '\n'.join(line for program in programs for line in program.values())
        pathlib.Path(directory, 'random.inc').write_text(text + '\n.endm\n', encoding='ascii')
        here, image = pathlib.Path(__file__).parent, f'{directory}/random.elf'
        architecture = f'rv{self.xlen}g' + ('c' if self.instructions.compressed else '')
        abi = 'lp64d' if self.xlen == '64' else 'ilp32d'
        subprocess.run([self.gcc, *(f'-D{name}' for name in [*self.defines(), *(['FULL'] if full else [])]),
                        f'-march={architecture}', f'-mabi={abi}', f'-I{directory}', f'-I{here}', '-nostdlib', '-static',
                        f'-Wl,-T,{here}/program.ld', '-Wl,--build-id=none', '-Wl,--no-warn-rwx-segments',
                        here / 'random.S', '-o', image], check=True)
        return image

    def command(self, emulator, image):
        if self.linux:
            return [*shlex.split(emulator), '-cpu', self.cpu, image]
        return [*shlex.split(emulator), '-M', 'virt', '-cpu', self.cpu, '-bios', 'none', '-m', '16', '-display', 'none',
                '-monitor', 'none', '-serial', 'stdio', '-kernel', image]

    def outputs(self, programs, full):
        """What each emulator writes, line by line."""
        with tempfile.TemporaryDirectory() as directory:
            image = self.build(programs, directory, full)
            for emulator in self.emulators:
                try:
                    result = subprocess.run(self.command(emulator, image), timeout=60, check=False, capture_output=True,
                                            stdin=subprocess.DEVNULL)
                    yield result.stdout.decode().split() + ['no more'] * len(programs)
                except subprocess.TimeoutExpired as error:
                    yield (error.stdout or b'').decode().split() + ['no end'] * len(programs)

    def compare(self, numbers):
        """Compares programs together, and those that differ alone."""
        programs = [random_program.Program(self.instructions, number) for number in numbers]
        for program in programs:
            self.seen.update(program.seen)
        left, right = self.outputs(programs, False)
        different = [program for program, *lines in zip(programs, left, right)
                     if lines[0] != lines[1] or not re.fullmatch('[0-9a-f]+', lines[0])]
        for program in different:
            left, right = self.outputs([program], True)
            print(f'seed {program.number}: {self.first_difference(left[0], right[0])}', flush=True)
        return len(different)

    def first_difference(self, left, right):
        size = 16
        for index in range(0, max(len(left), len(right)), size):
            if left[index:index + size] != right[index:index + size]:
                place = index // size - 1
                name = 'traps' if place < 0 else 'fcsr' if place == 0 else f'x{place}' if place < 32 else \
                    f'f{place - 32}' if place < 64 else f'byte {index // 2}'
                return f'{name}: {left[index:index + size]} and {right[index:index + size]}'
        return 'differs after others alone'

    def missing(self):
        return sorted({row.mnemonic for row in self.instructions.rows if not self.seen[row.mnemonic] and
                       not self.instructions.left_out.fullmatch(row.mnemonic)})

    def run(self):
        different, end = 0, self.seed + self.count
        for first in range(self.seed, end, TOGETHER):
            different += self.compare(range(first, min(first + TOGETHER, end)))
        print(f'{self.count} programs, {different} differ; {sum(self.seen.values())} instructions, not among them:',
              ' '.join(self.missing()) or 'none')
        return 1 if different else 0


if __name__ == '__main__':
    sys.exit(Comparison(sys.argv[1:]).run() if len(sys.argv) > 5 else __doc__)
