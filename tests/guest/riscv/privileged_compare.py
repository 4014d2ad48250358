#!/usr/bin/env python3
"""Runs random privileged programs on two emulators and compares traps, registers, page tables and memory.

    privileged_compare.py LEVELS GCC EMULATOR CPU EMULATOR CPU [PROGRAMS [SEED [DIRECTORY]]]

EMULATOR may have options behind it. LEVELS is 2 (Sv32, RV32) to 5. Programs write and read CSRs, change the privilege,
and access memory by page tables that are random, with traps delegated or not. Both processors should have the same
extensions, without H and triggers. The last program is left in DIRECTORY. The tests compare interpreter and translator;
emulators of others are for comparing by hand: where they differ, the manual decides.
"""
import pathlib
import random
import subprocess
import sys
import tempfile

STEPS = 90
WORDS = 8  # of a record
# What cannot be written without an end to the program: calls of supervisor mode and faults of fetches come to machine
# mode; only these bits of mstatus and sstatus are there for sure.
IRQS, ADDRESS, ENVIRONMENT = 0xaaa, ~1, ~(1 << 60 | 0x20)  # of environments: reserved values
MASKS = {'medeleg': 0xb1ff & ~(1 << 1 | 1 << 9 | 1 << 12), 'mstatus': 0x7e79aa, 'sstatus': 0xc6122, '0x100': 0xc6122,
         'mideleg': IRQS, 'mie': IRQS, 'mip': 0x22, 'sie': IRQS, 'sip': IRQS, 'mepc': ADDRESS, 'sepc': ADDRESS,
         '0x30a': ENVIRONMENT, '0x10a': ENVIRONMENT}
BY_STEPS = ['mstatus'] * 4 + ['sstatus', 'medeleg', 'medeleg', 'mideleg', 'mie', 'mip', 'mcounteren', 'mepc', 'mcause',
                              'mtval', 'sie', 'sip', 'scounteren', 'sscratch', 'sepc', 'scause', 'stval', 'satp',
                              '0x30a', '0x10a', 'pmpaddr0', 'pmpaddr1', 'pmpaddr2', 'pmpcfg0', 'mcountinhibit', 'misa',
                              'fcsr', 'frm', 'fflags']
BY_EXCURSIONS = ['sstatus', 'sie', 'sip', 'scounteren', 'sscratch', 'sepc', 'scause', 'stval', 'satp', '0x10a', 'fcsr',
                 'mstatus', 'mscratch', 'stvec', '0x14d', '0x100', '0x105']
LOADS = ['lb', 'lbu', 'lh', 'lhu', 'lw', 'flw', 'fld']
STORES = ['sb', 'sh', 'sw', 'fsw', 'fsd']
ATOMICS = ['lr.w', 'amoadd.w', 'amoswap.w', 'amomaxu.w']
OTHERS = ['ecall', 'ebreak', 'sret', 'mret', 'sfence.vma', '.4byte 0', '.4byte 0xffffffff', 'fadd.s fa0, fa1, fa2',
          'fence.i', 'c.nop', 'wfi']


class Program:
    def __init__(self, seed, levels):
        self.random = random.Random(seed * 8 + levels)
        self.levels = levels
        self.wide = levels > 2
        self.bits = 64 if self.wide else 32
        self.base = 1 << 32 if self.wide else 0xe0000000  # nothing is there where addresses are physical
        # An access that an edge of protection cuts may be taken apart if it is misaligned, or not.
        self.fine = self.random.random() < 0.5
        self.aligned = ~7 if self.fine else ~0
        self.lines = []

    def value(self):
        kind = self.random.randrange(6)
        values = (0, (1 << self.bits) - 1, 1 << self.random.randrange(self.bits), self.random.getrandbits(self.bits),
                  self.random.getrandbits(12), self.random.getrandbits(self.bits) & self.random.getrandbits(self.bits))
        return values[kind]

    def satp(self):
        mode = (0, 8, 9, 10)[self.levels - 2] if self.wide else 1
        mode = mode if self.random.random() < 0.8 else self.random.choice([0, mode])
        shift = 60 if self.wide else 31
        return [f'la a2, root', 'srli a2, a2, 12', f'li a3, {mode << shift:#x}', 'or a2, a2, a3']

    def csr(self, names):
        name = self.random.choice(names)
        operation = self.random.choice(['csrrw', 'csrrs', 'csrrc', 'csrrw', 'csrr'])
        if operation == 'csrr':
            return [f'csrr a0, {name}']
        if name == 'satp':
            return [*self.satp(), 'csrrw a0, satp, a2']
        if name in ('stvec', '0x105'):
            return ['csrrs a0, stvec, x0']
        if name.startswith('pmpcfg'):
            rights = (0, 1, 3, 4, 5, 7)  # writable but not readable is reserved
            value = sum((self.random.randrange(4) << 3 | self.random.choice(rights)) << 8 * n for n in range(3))
            return [f'li a2, {value:#x}', 'csrrw a0, pmpcfg0, a2']
        if name.startswith('pmpaddr'):
            size = self.random.choice([0, 1, 7, 511, 1023] if self.fine else [511, 1023])
            offset = self.random.randrange(0x4000) & (~3 if self.fine else ~0xfff)
            return ['la a2, pages', f'li a3, {offset:#x}', 'add a2, a2, a3', 'srli a2, a2, 2',
                    f'ori a2, a2, {size}' if size < 2048 else 'nop', f'csrrw a0, {name}, a2']
        value = self.value() & MASKS.get(name, -1)
        if name in ('fcsr', 'frm', 'fflags'):
            value |= 1  # some mark nothing where no bit is to be set
        return [f'li a2, {value:#x}', f'{operation} a0, {name}, a2']

    def address(self):
        kind = self.random.random()
        if kind < 0.75:
            table_bits = 12 + (9 if self.wide else 10)
            page = self.random.randrange(12) * 4096 + (self.random.randrange(3) << table_bits)
            offset = self.random.choice([0, 8, 16, 4088, 4092, 4094, 4095, self.random.randrange(4096)]) & self.aligned
            return [f'li a1, {self.base + page + offset:#x}']
        if kind < 0.9:
            return ['la a1, pages', f'li a2, {self.random.randrange(0x3ff8) & self.aligned}', 'add a1, a1, a2']
        high = self.random.getrandbits(24) << 40 if self.wide and self.random.random() < 0.5 else 0
        return [f'li a1, {high | self.base | self.random.getrandbits(28) & ~0xf:#x}']

    def access(self):
        wide = ['ld', 'sd', 'lwu', 'lr.d', 'amoor.d'] if self.wide else []
        name = self.random.choice(LOADS + STORES + ATOMICS + wide)
        if name.startswith('lr'):
            return [*self.address(), f'{name} a0, (a1)']
        if name.startswith('amo'):
            return [*self.address(), f'li a3, {self.random.getrandbits(31):#x}', f'{name} a0, a3, (a1)']
        register = 'fa0' if name[0] == 'f' else 'a0'
        return [*self.address(), f'{name} {register}, 0(a1)']

    def inside(self):
        kind = self.random.random()
        if kind < 0.65:
            return self.access()
        if kind < 0.8:
            return self.csr(BY_EXCURSIONS)
        if kind < 0.88:
            return [*self.address(), 'jr a1']
        return [self.random.choice(OTHERS)]

    def step(self, number):
        self.lines.append(f'    la s11, resume_{number}')
        kind = self.random.random()
        if kind < 0.35:
            body = self.csr(BY_STEPS)
        elif kind < 0.45:
            body = self.access()
        elif kind < 0.55:
            body = [*self.satp(), 'csrw satp, a2', 'sfence.vma']
        else:
            mode = self.random.choice(['0', 'MSTATUS_MPP_S'])
            waits = 'li a4, MSTATUS_TW; csrs mstatus, a4'  # or wfi would wait for ever
            body = [waits, f'EXCURSION {mode}']
            for _ in range(self.random.randrange(1, 4)):
                body += self.inside()
        if body and 'EXCURSION' not in ' '.join(body):
            body = [line for line in body if line != 'wfi']
        self.lines += [f'    {line}' for line in body]
        self.lines += ['    ecall', '    .balign 4', f'resume_{number}:']

    def entry(self, level):
        """A leaf or worse."""
        generator = self.random
        flags = generator.choice([0xf, 0xcf, 0xdf, 0x1f, 0xc7, 0xd7, 0x4f, 0xc3, 0xd3, 0xd9, 0xc9, 0xdb, 0xcb, 0x53,
                                  0x57, 0x97, generator.getrandbits(8), generator.getrandbits(10)])
        high = 0
        if self.wide and generator.random() < 0.12:
            high = generator.choice([1 << 63, 1 << 61, 1 << 62, 1 << 54, 3 << 61, 1 << 60])
        page = generator.randrange(4)
        if level > 0 and generator.random() < 0.2:
            return f'{high:#x} + {flags & ~8 | 0xc6:#x}', None  # not RAM: nothing is to be marked before it fails
        return f'{high:#x} + {flags}', page

    def tables(self):
        """Those of all levels; the linker knows where they are: entries are filled in at run time."""
        return '\n'.join(f'    .globl table_{n}\ntable_{n}:\n    .skip 4096' for n in range(self.levels))

    def fill(self):
        """Code that fills the tables: table_0 is the last level."""
        size, store = (8, 'sd') if self.wide else (4, 'sw')
        index_bits = 9 if self.wide else 10
        lines = []

        def put(table, index, symbol, flags):
            lines.extend([f'    la t0, {symbol}' if symbol else '    li t0, 0', '    srli t0, t0, 12',
                          '    slli t0, t0, 10',
                          f'    li t1, {flags}', '    add t0, t0, t1', f'    la t1, table_{table}',
                          f'    li t2, {index * size}', '    add t1, t1, t2', f'    {store} t0, (t1)'])
        root = self.levels - 1
        for level in range(root, 2 if self.wide else 1, -1):
            put(level, 0, f'table_{level - 1}', '1')
        giga = 2 if self.wide else 1  # the level whose leaves are of 1 GiB, or 4 MiB
        shift = 12 + giga * index_bits
        put(giga, 0x80000000 >> shift, None, f'{(0x80000000 >> 2) | 0xcf:#x}')
        put(giga, 0xc0000000 >> shift, None, f'{(0x80000000 >> 2) | 0xdf:#x}')
        if self.wide:
            put(2, self.base >> shift, 'table_1', '1')
        lower = 1
        base = 0 if self.wide else self.base >> shift
        put(lower, base, 'table_0', '1')
        for index in (1, 2):
            flags, page = self.entry(1)
            put(lower, base + index, 'pages' if page is not None else None, flags)
        for index in range(12):
            flags, page = self.entry(0)
            put(0, index, f'pages + {(page or 0) * 4096}', flags)
        return lines

    def text(self):
        self.lines += self.fill()
        for number in range(STEPS):
            self.step(number)
        return '\n'.join([f'#define PAGING_SHIFT {60 if self.wide else 31}', f'#define root table_{self.levels - 1}',
                          '.macro STEPS', *self.lines, '.endm', '.macro TABLES', self.tables(), '.endm', ''])


def without_accessed(text, size, levels):
    """The tables' accessed bits cleared: they may be set for accesses that come to nothing."""
    start, digits = 192 * WORDS * size * 2, 2 * size
    end = start + levels * 4096 * 2
    table = ''.join(f'{int(text[at:at + 2], 16) & ~0x40:02x}{text[at + 2:at + digits]}'
                    for at in range(start, min(end, len(text)), digits))
    return text[:start] + table + text[end:]


def output(emulator, cpu, image):
    command = [*emulator.split(), '-M', 'virt', '-cpu', cpu, '-bios', 'none', '-m', '16', '-display', 'none',
               '-monitor', 'none',
               '-serial', 'stdio', '-kernel', image]
    try:
        return subprocess.run(command, timeout=30, check=False, capture_output=True).stdout.decode()
    except subprocess.TimeoutExpired:
        return 'no end'


def difference(left, right, size):
    """Where they part: the record's words, or the address behind the records."""
    names = ['mcause', 'mepc', 'mtval', 'mstatus', 'scause', 'sepc', 'stval', 'a0']
    digits = 2 * size
    if len(left) != len(right):
        return f'{len(left)} and {len(right)} characters: {left[:20]} {right[:20]}'
    word = next(i for i in range(len(left) // digits) if left[i * digits:][:digits] != right[i * digits:][:digits])

    def number(text, at):
        return hex(int.from_bytes(bytes.fromhex(text[at * digits:][:digits]), 'little'))
    if word >= 192 * WORDS:
        return f'memory + {(word - 192 * WORDS) * size:#x}: {number(left, word)} and {number(right, word)}'
    start = word - word % WORDS
    records = [' '.join(f'{name}={number(text, start + i)}' for i, name in enumerate(names)) for text in (left, right)]
    return f'record {word // WORDS}, {names[word % WORDS]}:\n    {records[0]}\n    {records[1]}'


def main():
    levels, gcc, *emulators = sys.argv[1:7]
    count = int(sys.argv[7]) if len(sys.argv) > 7 else 20
    seed = int(sys.argv[8]) if len(sys.argv) > 8 else 1
    keep = sys.argv[9] if len(sys.argv) > 9 else None
    here, different, xlen = pathlib.Path(__file__).parent, 0, '32' if levels == '2' else '64'
    for number in range(seed, seed + count):
        with tempfile.TemporaryDirectory() as directory:
            pathlib.Path(directory, 'privileged.inc').write_text(Program(number, int(levels)).text(), encoding='ascii')
            image = f'{keep or directory}/privileged.elf'
            abi = 'lp64d' if xlen == '64' else 'ilp32d'
            subprocess.run([gcc, f'-march=rv{xlen}gc', f'-mabi={abi}', f'-I{directory}', f'-I{here}', '-nostdlib',
                            '-static', f'-Wl,-T,{here}/program.ld', '-Wl,--build-id=none', '-Wl,--no-warn-rwx-segments',
                            here / 'privileged.S', '-o', image], check=True)
            left, right = (without_accessed(output(emulator, cpu, image), int(xlen) // 8, int(levels))
                           for emulator, cpu in zip(emulators[::2], emulators[1::2]))
        if left != right or len(left) < 1000:
            different += 1
            print(f'seed {number}: {difference(left, right, int(xlen) // 8) if left != right else "nothing"}',
                  flush=True)
    print(f'{count} programs, {different} differ')
    return 1 if different else 0


if __name__ == '__main__':
    sys.exit(main())
