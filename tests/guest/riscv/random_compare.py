#!/usr/bin/env python3
"""Runs random programs on two emulators and compares what they leave in registers and memory.

    random_compare.py XLEN DUMP GCC EMULATOR EMULATOR [PROGRAMS [SEED [CPU]]]

Programs are instructions from the decode files (DUMP is test_guest_riscv_dump): everything that computes, loads and
stores about the stack pointer, atomics but sc; between them, branches forwards and accesses to fcsr. Each is run three
times over. Instructions that trap are skipped, and the traps
compared. CPU is for both emulators, `max` if not given; they need the `virt` board. An emulator may be followed by
options: "myna-system-riscv64 -accel interp". Without D registers f are not compared.
Not part of the tests: the other one is not ours.
"""
import pathlib
import random
import re
import shlex
import subprocess
import sys
import tempfile

LENGTH = 300
SPECIAL = [0, 1, 2, 0x7fffffff, 0x80000000, 0xffffffff, 0x7fffffffffffffff, 0x8000000000000000, 0xffffffffffffffff,
           0x3ff0000000000000, 0xbff0000000000000, 0x7ff0000000000000, 0x7ff8000000000000, 0x7ff0000000000001,
           0x000fffffffffffff, 0x0010000000000000, 0x7fefffffffffffff, 0xffffffff3f800000, 0xffffffffbf800000,
           0xffffffff7f800000, 0xffffffff7fc00000, 0xffffffff7f800001, 0xffffffff00000001, 0xffffffff00800000,
           0xffffffff7f7fffff, 0xffffffff80000000, 0x41dfffffffc00000, 0x43e0000000000000, 0xc3e0000000000000]
# Jumps, system instructions and what depends on addresses that differ; c.addi16sp moves the stack pointer.
LEFT_OUT = re.compile(r'jalr?|b(eq|ne|lt|ge)u?|c\.(j|jal|jr|jalr|beqz|bnez|ebreak|addi16sp|lbu|lhu?|sb|sh|lw|ld|flw|'
                      r'fld|sw|sd|fsw|fsd)|csr.*|ecall|ebreak|[ms]ret|wfi|sfence\.vma|sc\..*|fence\.i|pause|wrs\..*|'
                      r'sfence\..*|sinval\.vma|c\.unimp|mnret|cm\.(j.*|popret.*)|'
                      r'fcvt\.s\.bf16')  # QEMU 10 takes one that is not boxed for half precision's NaN
LOADS, STORES, ATOMICS, BLOCKS = {0x03, 0x07}, {0x23, 0x27}, {0x2f}, {0x0f}
STACK, RD_SHIFT, RS1_SHIFT = 2, 7, 15


def rows(dump, xlen, cpu):
    """Lines of the decode files, but for what is left out."""
    more = '|fsgnj[nx]\\.h' if xlen == '32' and 'zhinx' in cpu else ''  # QEMU 10 takes other bits
    more += '|c\\.fsdsp' if re.search('zc(e|mp|mt)=on', cpu) else ''    # these are pops and jumps
    left_out = re.compile(LEFT_OUT.pattern + more)
    model = 'max' if xlen == '64' else 'max32'
    result = subprocess.run([dump, model, 'rows'], check=True, capture_output=True, text=True)
    for line in result.stdout.splitlines():
        mask, value, length, conditions, mnemonic = line.split()
        if not left_out.fullmatch(mnemonic) and ('!rv64' if xlen == '64' else 'rv64') not in conditions.split(','):
            yield int(mask, 16), int(value, 16), int(length), mnemonic


def encoding(generator, row):
    mask, value, length, _ = row
    bits = value | (generator.getrandbits(8 * length) & ~mask)
    if length == 4 and bits & 0x7f in LOADS | STORES | ATOMICS | BLOCKS:
        bits = bits & ~(31 << RS1_SHIFT) | STACK << RS1_SHIFT
    return bits


def is_harmless(bits, length):
    """Whether it leaves the stack pointer alone and goes on to the next, as far as the bits show."""
    if length == 4 and bits & 0x7f in ATOMICS and bits >> 27 == 5 and not bits >> RD_SHIFT & 31:
        return False  # amocas into x0: QEMU 10 takes other results for zero after it
    if length == 4:
        return bits >> RD_SHIFT & 31 != STACK or bits & 0x7f in STORES
    if bits & 3 == 2 and bits >> 13 == 4 and not bits >> 2 & 31:
        return False  # c.mv and c.add of x0: they are jumps
    return bits >> RD_SHIFT & 31 != STACK or bits & 3 == 0 or bits >> 13 >= 4 and bits & 3 == 1


def register(generator):
    """Any but the stack pointer."""
    return generator.choice([n for n in range(32) if n != STACK])


def branch(generator, label):
    name = generator.choice(['beq', 'bne', 'blt', 'bge', 'bltu', 'bgeu'])
    return f'{name} x{register(generator)}, x{register(generator)}, {label}'


def access_to_fcsr(generator):
    target = register(generator)
    if generator.random() < 0.4:
        return f'csrrwi x{target}, frm, {generator.choice([0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 5])}'
    name, source = generator.choice(['csrrw', 'csrrs', 'csrrc']), register(generator)
    return f'{name} x{target}, fflags, x{source}'


def program(generator, table):
    body, targets = [], []
    while len(body) < LENGTH:
        while targets and targets[0][0] <= len(body):
            body.append(targets.pop(0)[1] + ':')
        if generator.random() < 0.04:
            body.append(access_to_fcsr(generator))
        if generator.random() < 0.04:
            label = f'target_{len(body)}'
            body.append(branch(generator, label))
            targets = sorted([*targets, (len(body) + generator.randint(1, 12), label)])
        row = generator.choice(table)
        bits = encoding(generator, row)
        if is_harmless(bits, row[2]):
            body.append(f'{"insn4" if row[2] == 4 else "insn2"} {bits:#x}')
    body += [label + ':' for _, label in targets]
    values = [generator.choice(SPECIAL) if generator.random() < 0.6 else generator.getrandbits(64) for _ in range(64)]
    fcsr = generator.choice([0, 0x20, 0x40, 0x60, 0x80, 0xa0])
    return '\n'.join([f'#define FCSR {fcsr}', '.macro insn4 bits', '    .4byte \\bits', '.endm', '.macro insn2 bits',
                      '    .2byte \\bits', '.endm', '.macro BODY', *body, '.endm', '.macro VALUES',
                      *(f'    .dword {value:#x}' for value in values), '.endm', ''])


def output(emulator, cpu, image):
    command = [*shlex.split(emulator), '-M', 'virt', '-cpu', cpu, '-bios', 'none', '-m', '16', '-display', 'none', '-monitor', 'none',
               '-serial', 'stdio', '-kernel', image]
    try:
        return subprocess.run(command, timeout=20, check=False, capture_output=True).stdout.decode()
    except subprocess.TimeoutExpired:
        return 'no end'


def first_difference(left, right):
    for index in range(0, max(len(left), len(right)), 16):
        if left[index:index + 16] != right[index:index + 16]:
            place = index // 16 - 1
            name = 'traps' if place < 0 else 'fcsr' if place == 0 else f'x{place}' if place < 32 else \
                f'f{place - 32}' if place < 64 else f'memory+{place * 8 - 512}'
            return f'{name}: {left[index:index + 16]} and {right[index:index + 16]}'
    return ''


def main():
    xlen, dump, gcc, *emulators = sys.argv[1:6]
    count = int(sys.argv[6]) if len(sys.argv) > 6 else 100
    seed = int(sys.argv[7]) if len(sys.argv) > 7 else 1
    cpu = sys.argv[8] if len(sys.argv) > 8 else 'max'
    here, table, different = pathlib.Path(__file__).parent, list(rows(dump, xlen, cpu)), 0
    for number in range(seed, seed + count):
        with tempfile.TemporaryDirectory() as directory:
            pathlib.Path(directory, 'random.inc').write_text(program(random.Random(number), table), encoding='ascii')
            image = f'{directory}/random.elf'
            abi = 'lp64d' if xlen == '64' else 'ilp32d'
            floats = ['-DNO_DOUBLES'] if re.search('zfinx|zdinx|d=off', cpu) else []
            subprocess.run([gcc, *floats, f'-march=rv{xlen}gc', f'-mabi={abi}', f'-I{directory}', f'-I{here}', '-nostdlib',
                            '-static', f'-Wl,-T,{here}/program.ld', '-Wl,--build-id=none', '-Wl,--no-warn-rwx-segments',
                            here / 'random.S', '-o', image], check=True)
            left, right = (output(emulator, cpu, image) for emulator in emulators)
        if left != right or len(left) < 1000:
            different += 1
            print(f'seed {number}: {first_difference(left, right)}', flush=True)
    print(f'{count} programs, {different} differ')
    return 1 if different else 0


if __name__ == '__main__':
    sys.exit(main())
