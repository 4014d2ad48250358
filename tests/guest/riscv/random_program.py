"""Random programs of RISC-V for random_compare.py: instructions of the decode files, each with operands at random.

What computes, loads and stores comes as it is, with addresses about the stack pointer. What jumps, changes the
privilege or needs others beside it comes in sequences, which are below. A program counts which lines of the decode
files it has.
"""
import collections
import random
import re
import subprocess

LENGTH = 300
SPECIAL = [0, 1, 2, 0x7fffffff, 0x80000000, 0xffffffff, 0x7fffffffffffffff, 0x8000000000000000, 0xffffffffffffffff,
           0x3ff0000000000000, 0xbff0000000000000, 0x7ff0000000000000, 0x7ff8000000000000, 0x7ff0000000000001,
           0x000fffffffffffff, 0x0010000000000000, 0x7fefffffffffffff, 0xffffffff3f800000, 0xffffffffbf800000,
           0xffffffff7f800000, 0xffffffff7fc00000, 0xffffffff7f800001, 0xffffffff00000001, 0xffffffff00800000,
           0xffffffff7f7fffff, 0xffffffff80000000, 0x41dfffffffc00000, 0x43e0000000000000, 0xc3e0000000000000]
# What sequences have.
IN_SEQUENCES = re.compile(
    r'jalr?|b(eq|ne|lt|ge)u?|c\.(j|jal|jr|jalr|beqz|bnez|addi16sp)|csr.*|ecall|(lr|sc)\..*|wfi|wrs\..*|'
    r'[ms]ret|mnret|cm\.(jt|jalt|popretz?)')
LOADS, STORES, ATOMICS, FENCES = {0x03, 0x07}, {0x23, 0x27}, {0x2f}, {0x0f}
SHORT_ACCESS = re.compile(r'c\.(lbu|lhu?|sb|sh|[fls]w|[fls]d|fl[wd]|fs[wd])')
UPPER_REGISTERS = {4: 1 << 11 | 1 << 19 | 1 << 24, 2: 1 << 11 | 1 << 6}  # the highest bits of rd, rs1 and rs2
STACK, RD_SHIFT, RS1_SHIFT = 2, 7, 15
FCSR_NAMES = ['fflags', 'frm', 'fcsr']
Row = collections.namedtuple('Row', 'mask value length conditions mnemonic')


class Instructions:
    """The lines of the decode files that a processor of this width can have."""

    def __init__(self, dump, xlen, cpu, linux):
        self.xlen, self.cpu, self.linux = int(xlen), cpu, linux
        bare = re.match('rv..[ie]', cpu)  # has what it is given alone; the programs' frame needs zicsr
        self.compressed = bool(re.search(r'\b(c|zca)=on', cpu)) or not (bare or ',c=off' in cpu)
        text = subprocess.run([dump, 'rv' + xlen, 'rows'], check=True, capture_output=True, text=True).stdout
        rows = (line.split() for line in text.splitlines())
        self.rows = [Row(int(mask, 16), int(value, 16), int(length), conditions.split(','), mnemonic)
                     for mask, value, length, conditions, mnemonic in rows]
        self.rows = [row for row in self.rows if ('!rv64' if xlen == '64' else 'rv64') not in row.conditions and
                     (row.length == 4 or self.compressed)]
        self.left_out = re.compile('|'.join(self.differing()) or '-')
        self.simple = [row for row in self.rows if not IN_SEQUENCES.fullmatch(row.mnemonic) and
                       not self.left_out.fullmatch(row.mnemonic)]
        # QEMU 10 lets user mode have these.
        self.anywhere = [row for row in self.simple if not re.fullmatch(r'sfence\..*inval.*', row.mnemonic)]
        self.simple = self.anywhere if linux else self.simple
        self.computing = [row for row in self.simple if row.length == 4 and row.value & 0x7f in (0x13, 0x33) and
                          row.conditions == ['-']]

    def differing(self):
        """Where QEMU 10 is known to be wrong, or where encodings are another's."""
        if re.search('zc(e|mp|mt)=on', self.cpu):
            yield r'c\.fsdsp'  # these are pops and jumps
        if re.match('rv..[ie]|sifive-e|lowrisc', self.cpu):
            yield r'sfence\.vma'  # QEMU 10 has it without supervisor mode
        if re.match('sifive-u', self.cpu):
            yield r'f(min|max)\.[sd]'  # an older F: a signalling NaN makes one
        if self.xlen == 32 and 'zhinx' in self.cpu:
            yield r'fsgnj[nx]\.h'  # takes other bits
        yield r'fcvt\.s\.bf16'  # takes one that is not boxed for half precision's NaN; in a sequence all are boxed

    def has(self, name):
        return any(row.mnemonic == name for row in self.rows)


class Program:
    def __init__(self, instructions, number):
        self.random, self.number, self.all = random.Random(number), number, instructions
        self.lines, self.targets, self.table = [], [], []
        self.seen = collections.Counter()
        self.registers = 16 if re.search('e=on|rv..e', instructions.cpu) else 32
        fcsr = self.random.choice([0, 0x20, 0x40, 0x60, 0x80, 0xa0])
        self.lines.append(f'PROGRAM {number}, {fcsr}')
        sequences = [sequence for sequence, weight in self.sequences() for _ in range(weight)]
        while len(self.lines) < LENGTH:
            while self.targets and self.targets[0][0] <= len(self.lines):
                self.lines.append(self.targets.pop(0)[1] + ':')
            if self.random.random() < 0.15:
                self.random.choice(sequences)()
            else:
                self.simple(self.all.simple)
        self.lines += [label + ':' for _, label in self.targets] + [f'PROGRAM_END {number}']
        self.initial = [self.random.choice(SPECIAL) if self.random.random() < 0.6 else self.random.getrandbits(64)
                        for _ in range(64)]

    def values(self):
        return [f'values_{self.number}:', *(f'.dword {value:#x}' for value in self.initial), '.balign 64',
                f'table_{self.number}:', *(f'XWORD {label}' for label in self.table)]

    # Lines.

    def emit(self, line, name=''):
        """Of what branches jump over, nobody knows whether it runs."""
        self.lines.append(f'    {line}' if line[:2] != 'c.' else f'    .option rvc\n    {line}\n    .option norvc')
        name = name or line.split()[0]
        if not self.targets and name not in ('la', 'li', 'mv'):
            self.seen[name] += 1

    def emit_bits(self, bits, row):
        self.emit(f'insn{row.length} {bits:#x}', row.mnemonic)

    def label(self):
        return f'target_{self.number}_{len(self.lines)}'

    def forward(self, most=12):
        """A place a little further on."""
        label = self.label()
        self.targets = sorted([*self.targets, (len(self.lines) + self.random.randint(1, most), label)])
        return label

    def register(self, but=(STACK,)):
        return self.random.choice([n for n in range(self.registers) if n not in but])

    # Single instructions.

    def simple(self, rows):
        row = self.random.choice(rows)
        bits = row.value | (self.random.getrandbits(8 * row.length) & ~row.mask)
        if self.registers == 16:  # QEMU 10 takes the others, whose encodings are reserved
            bits &= ~(UPPER_REGISTERS[row.length] & ~row.mask)
        opcode = bits & 0x7f if row.length == 4 else 0
        if not self.is_harmless(bits, row):
            return
        if opcode in LOADS | STORES | ATOMICS or (opcode in FENCES and row.mnemonic.startswith('cbo')):
            step = self.alignment(row) if opcode in ATOMICS else 1
            bits = bits & ~(31 << RS1_SHIFT) | self.base(step) << RS1_SHIFT
        elif SHORT_ACCESS.fullmatch(row.mnemonic):
            self.point(8 + (bits >> 7 & 7), 1)
        self.emit_bits(bits, row)
        if row.mnemonic.startswith('froundnx'):  # QEMU 10 drops one whose result nobody uses, and its flags
            self.emit(f'insn4 {0x00012027 | (bits >> RD_SHIFT & 31) << 20:#x}', 'fsw')
        if row.mnemonic in ('cm.push', 'cm.pop') and self.random.random() < 0.5:
            self.emit('la sp, memory + 4096')

    def alignment(self, row):
        """Atomic accesses are mostly aligned. With Zama16b QEMU 10 still refuses the newer ones that are not, and lets
        the others go across 16 bytes, which the manual forbids."""
        whole = 'max' in self.all.cpu and 'zama16b=off' not in self.all.cpu or 'zama16b=on' in self.all.cpu
        return 16 if whole or self.random.random() < 0.7 else 1

    def base(self, step):
        """A register for addresses, of multiples of `step`: mostly the stack pointer, in the middle of two pages."""
        if self.random.random() < 0.5:
            return STACK
        number = self.register((0, STACK))
        self.point(number, step)
        return number

    def point(self, number, step):
        self.emit(f'addi x{number}, sp, {self.random.randint(-1000, 1000) // step * step}')

    def is_harmless(self, bits, row):
        """Whether it leaves the stack pointer alone, as far as the bits show, and does not jump."""
        opcode = bits & 0x7f
        if row.length == 4 and opcode in ATOMICS and bits >> 27 == 5 and not bits >> RD_SHIFT & 31:
            return False  # amocas into x0: QEMU 10 takes other results for zero after it
        if row.length == 4:
            return bits >> RD_SHIFT & 31 != STACK or opcode in STORES
        if row.mnemonic == 'c.ebreak':
            return True
        if bits & 3 == 2 and bits >> 13 == 4 and not bits >> 2 & 31:
            return False  # c.mv and c.add of x0: they are jumps
        return bits >> RD_SHIFT & 31 != STACK or bits & 3 == 0 or bits >> 13 >= 4 and bits & 3 == 1

    # Sequences.

    def sequences(self):
        yield self.branch, 6
        yield self.jump, 4
        yield self.csr, 8
        yield self.reservation, 4
        yield self.call_system, 2
        if self.all.compressed:
            yield self.short_jump, 6
            yield self.move_stack, 1
        if self.all.has('fcvt.s.bf16') and not re.search('zfinx|zdinx|f=off', self.all.cpu):
            yield self.boxed_bf16, 2
        if 'zcmp=on' in self.all.cpu:
            yield self.pop_and_return, 4
        if 'zcmt=on' in self.all.cpu:
            yield self.table_jump, 4
        if not self.all.linux:
            yield self.excursion, 4
            yield self.machine_excursion, 4
            if not re.search('rv..[ie]|[su]=off|sifive-e|ibex', self.all.cpu):
                yield self.wait, 1
            if 'smrnmi=on' in self.all.cpu:
                yield self.return_from_nmi, 2

    def branch(self):
        name = self.random.choice(['beq', 'bne', 'blt', 'bge', 'bltu', 'bgeu'])
        left, right = self.register(), self.register()
        self.seen[name] += not self.targets
        self.emit(f'{name} x{left}, x{right}, {self.forward()}')

    def jump(self):
        if self.random.random() < 0.5:
            self.seen['jal'] += not self.targets
            self.emit(f'jal x{self.register()}, {self.forward()}')
            return
        base, offset = self.register((0, STACK)), self.random.choice([0, 0, 1, -1, 2047, -2048, 64])
        if not self.all.compressed:
            offset &= ~3  # what is misaligned traps at the jump, and goes on behind it
        target = self.register()
        label = f'{self.label()}'
        self.emit(f'la x{base}, {label} - ({offset})')
        self.emit(f'jalr x{target}, {offset}(x{base})')
        self.lines.append(f'{label}:')

    def short_jump(self):
        name = self.random.choice(['c.j', 'c.jr', 'c.jalr', 'c.beqz', 'c.bnez'] +
                                  (['c.jal'] if self.all.xlen == 32 else []))
        if name in ('c.jr', 'c.jalr'):
            base = self.register((0, STACK))
            label = self.label()
            self.emit(f'la x{base}, {label}')
            self.emit(f'{name} x{base}')
            self.lines.append(f'{label}:')
            return
        operands = f'x{self.random.randint(8, 15)}, ' if name in ('c.beqz', 'c.bnez') else ''
        self.seen[name] += not self.targets
        self.emit(f'{name} {operands}{self.forward(3)}')

    def move_stack(self):
        self.emit(f'c.addi16sp sp, {self.random.choice([-1, 1]) * 16 * self.random.randint(1, 30)}')
        self.simple(self.all.simple)
        self.emit('la sp, memory + 4096')

    def csr(self):
        target, source = self.register(), self.register()
        name, immediate = self.random.choice(['csrrw', 'csrrs', 'csrrc']), 'i' if self.random.random() < 0.5 else ''
        value = self.random.randint(0, 31) if immediate else f'x{source}'
        csr = self.random.choice(FCSR_NAMES)
        if not self.all.linux and self.random.random() < 0.4:
            csr = self.random.choice(['sscratch', 'stval', 'mtval'])
        elif csr != 'fflags':  # rounding modes that are none stop what rounds by them: not too often
            immediate, value = 'i', self.random.choice([0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 5])
            name = 'csrrw' if csr == 'frm' else name
        self.emit(f'{name}{immediate} x{target}, {csr}, {value}')

    def reservation(self):
        width = self.random.choice(['w', 'd'] if self.all.xlen == 64 else ['w'])
        orders = ['', '.aq', '.rl', '.aqrl']
        if self.random.random() < 0.85:
            self.emit(f'lr.{width}{self.random.choice(orders)} x{self.register()}, (sp)', f'lr.{width}')
            for _ in range(self.random.randint(0, 3)):
                self.simple(self.all.computing)
        self.emit(f'sc.{width}{self.random.choice(orders)} x{self.register()}, x{self.register()}, (sp)', f'sc.{width}')
        if self.random.random() < 0.3 and self.all.has('wrs.nto'):
            self.emit('insn4 ' + self.random.choice(['0x00d00073', '0x01d00073']),
                      self.random.choice(['wrs.nto', 'wrs.sto']))

    def call_system(self):
        if self.all.linux:
            self.emit('li a7, 1000')  # there is no such call
        self.emit('ecall')

    def boxed_bf16(self):
        float_register, target = self.random.randrange(32), self.random.randrange(32)
        self.emit(f'insn4 {0x00001007 | STACK << 15 | float_register << 7 | self.random.getrandbits(11) << 20:#x}',
                  'flh')
        rounding = self.random.choice([0, 1, 2, 3, 4, 7])
        self.emit(f'insn4 {0x40600053 | float_register << 15 | rounding << 12 | target << 7:#x}', 'fcvt.s.bf16')

    def pop_and_return(self):
        label, registers = self.label(), self.random.randint(4, 15)
        zero = self.random.random() < 0.5
        if self.registers == 16:
            registers = min(registers, 6)
        more = self.random.randint(0, 3)
        self.emit(f'la ra, {label}')
        self.emit(f'insn2 {0xb802 | registers << 4 | more << 2:#x}', 'cm.push')
        for _ in range(self.random.randint(0, 2)):
            self.simple(self.all.computing)
        self.emit(f'insn2 {(0xbc02 if zero else 0xbe02) | registers << 4 | more << 2:#x}',
                  'cm.popretz' if zero else 'cm.popret')
        self.lines.append(f'{label}:')

    def table_jump(self):
        linked = self.random.random() < 0.6
        index = self.random.randint(32, 255) if linked else self.random.randint(0, 31)
        while len(self.table) <= index:
            self.table.append('0')
        if self.table[index] != '0':
            return
        self.table[index] = self.label()
        self.emit(f'insn2 {0xa002 | index << 2:#x}', 'cm.jalt' if linked else 'cm.jt')
        self.lines.append(f'{self.table[index]}:')

    def below(self, level):
        """What runs there, and how it comes back."""
        for _ in range(self.random.randint(1, 8)):
            self.simple(self.all.anywhere)
        self.emit('ecall')

    def enter(self, pc, status, status_csr, clear, bits, instruction):
        base, label = self.register((0, STACK)), self.label()
        self.emit(f'la x{base}, {label}')
        self.emit(f'csrrw x0, {pc}, x{base}')
        self.emit(f'li x{base}, {clear:#x}')
        self.emit(f'csrrc x0, {status_csr}, x{base}')
        self.emit(f'li x{base}, {bits:#x}')
        self.emit(f'csrrs x0, {status_csr}, x{base}')
        self.emit(instruction, status)
        self.lines.append(f'{label}:')

    def excursion(self):
        self.enter('sepc', 'sret', 'mstatus', 0x100, self.random.choice([0, 0x100]), 'sret')
        self.below('s')

    def machine_excursion(self):
        level = self.random.choice([0, 0x800, 0x1800])
        self.enter('mepc', 'mret', 'mstatus', 0x1800, level, 'mret')
        self.below('m')

    def return_from_nmi(self):
        level = self.random.choice([0, 0x800, 0x1800])
        self.enter('0x741', 'mnret', '0x744', 0x1800, level, 'insn4 0x70200073')
        self.below('m')

    def wait(self):
        for line in 'csrrci x0, mstatus, 8', 'csrrsi x0, mip, 2', 'csrrsi x0, mie, 2', 'wfi', 'csrrci x0, mie, 2', \
                'csrrci x0, mip, 2':
            self.emit(line)
