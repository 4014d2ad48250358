#!/usr/bin/env python3
"""Compares which encodings two emulators of machines take for instructions.

    encodings_compare.py XLEN DUMP GCC EMULATOR EMULATOR [CPU...]

DUMP is test_guest_riscv_dump. All encodings of 16 bits, and of 32 bits each opcode with all of funct3 and funct7, and
with many registers. CPU is for both emulators, which need the `virt` board; it must have Sv32 or Sv39. Not part of the
tests: the other one is not ours, and has more instructions than we have.
"""
import collections
import pathlib
import random
import shlex
import subprocess
import sys
import tempfile

# Major opcodes where rs2 and the lowest bits tell instructions from one another.
DETAILED = {0x13, 0x1b, 0x53, 0x73, 0x2f, 0x0f}


def sample(generator):
    for bits in range(0, 1 << 16):
        if bits & 3 != 3:
            yield bits
    for opcode in range(3, 128, 4):
        for functions in range(1 << 10):
            base = opcode | (functions & 7) << 12 | functions >> 3 << 25
            seconds = range(32) if opcode in DETAILED else [0, 1, generator.randrange(32), generator.randrange(32)]
            for second in seconds:
                yield base | second << 20 | generator.choice([0, 1, 8, 31, generator.randrange(32)]) << 7 | \
                    generator.choice([0, 1, 2, generator.randrange(32)]) << 15
    for csr in range(1 << 12):
        yield 0x00002073 | csr << 20
        yield 0x00001073 | csr << 20 | 5 << 15


def ends(bits):
    """Whether it goes on to elsewhere than itself."""
    short = bits in (0xa001, 0x2001) or bits & 0xfc7f == 0xc001 or bits & 0xfc7f == 0xe001
    return not short and bits & 0xfffff07f != 0x6f and bits & 0xfe000fff & ~0x7000 != 0x63


def build(gcc, xlen, encodings, cpu, directory):
    here, image = pathlib.Path(__file__).parent, f'{directory}/encodings.elf'
    data = b''.join(bits.to_bytes(4, 'little') for bits in encodings)
    pathlib.Path(directory, 'encodings.bin').write_bytes(data)
    floats = ['-DNO_FCSR'] if 'f=off' in cpu and 'zfinx' not in cpu and 'zdinx' not in cpu else []
    subprocess.run([gcc, *floats, f'-march=rv{xlen}g', '-mabi=' + ('lp64d' if xlen == '64' else 'ilp32d'),
                    f'-Wa,-I{directory}', f'-I{here}', '-nostdlib', '-static', f'-Wl,-T,{here}/program.ld',
                    '-Wl,--build-id=none', '-Wl,--no-warn-rwx-segments', here / 'encodings.S', '-o', image], check=True)
    return image


def answers(emulator, cpu, image):
    """What each encoding is: 0 to 2 as in encodings.S."""
    command = [*shlex.split(emulator), '-M', 'virt', '-cpu', cpu, '-bios', 'none', '-m', '64', '-display', 'none',
               '-monitor', 'none', '-serial', 'stdio', '-kernel', image]
    result = subprocess.run(command, timeout=1200, check=False, capture_output=True, stdin=subprocess.DEVNULL)
    return [digit for code in result.stdout for digit in divmod(code - 48, 3)]


def lines_of(dump, cpu, encodings):
    text = ''.join(f'{bits:x}\n' for bits in encodings)
    result = subprocess.run([dump, cpu], input=text, check=True, capture_output=True, text=True)
    return [line.split(maxsplit=2)[1:] for line in result.stdout.splitlines()]


def compare(dump, cpu, encodings, left, right):
    different = [place for place, pair in enumerate(zip(left, right)) if pair[0] != pair[1]]
    names = lines_of(dump, cpu, [encodings[place] for place in different])
    groups = collections.defaultdict(list)
    for place, name in zip(different, names):
        bits = encodings[place]
        mask = 0x707f if bits & 3 == 3 else 0xe003
        key = name[0] if name[0] != '-' else f'{bits & mask:#06x}/{mask:x}'
        groups[key, left[place], right[place]].append(bits)
    for (name, one, other), members in sorted(groups.items()):
        print(f'  {name}: {one} and {other}: {len(members)}:', *(f'{bits:x}' for bits in members[:6]))
    return len(different)


def main():
    xlen, dump, gcc, *emulators = sys.argv[1:6]
    encodings = list(filter(ends, sample(random.Random(1))))
    encodings += [0] * (len(encodings) % 2)
    failed = False
    for cpu in sys.argv[6:] or ['max']:
        with tempfile.TemporaryDirectory() as directory:
            image = build(gcc, xlen, encodings, cpu, directory)
            left, right = (answers(emulator, cpu, image) for emulator in emulators)
        print(f'{cpu}: {len(encodings)} encodings, {sum(code == 0 for code in left)} are instructions', flush=True)
        if len(left) != len(encodings) or len(right) != len(encodings):
            print(f'  an end after {len(left)} and {len(right)}')
            failed = True
        failed |= compare(dump, cpu, encodings, left, right) > 0
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main() if len(sys.argv) > 5 else __doc__)
