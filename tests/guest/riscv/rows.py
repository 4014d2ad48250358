#!/usr/bin/env python3
"""Makes a test program out of rows of operands and results.

    rows.py XLEN ROWS OUTPUT.S [zfinx]

A heading `[add R]` names an instruction and its form, `[addw R 64]` also the only XLEN that has it. Integer forms:

    R  rd, rs1, rs2     I  rd, rs1, number     U  rd, rs1     B  rd, rs1, rs2, number

each row `OPERAND... = RESULT`, which a width may precede: `64: min -1 = min`. Numbers are as wide as the registers;
min, max are the least and the greatest signed one; min32, max32 and the like those of fewer bits.

Other forms are of floating point: `[fcvt.w.s x=s]`, the kind of the result, then those of the operands: s, d, h and b
are numbers of that format (b is bf16), r the 64 bits of a floating-point register, x an integer register, n a number in
the place of rs1. Rows of instructions that round begin with the rounding mode, or `all` where it does not matter; all
rows may end with the flags that are raised.
Numbers of a format are exact decimals, bits in hexadecimal, or inf, nan (the default one), snan, tiny (the least),
normal (the least normal one), huge (the greatest), with an optional minus.

Every integer row is tried with separate registers, with the result in the first source, and with x0 as the result;
every floating-point row that rounds with the mode in the instruction, and in frm. With `zfinx` numbers are in integer
registers, those of few bits with others above them that must not matter; rows about registers f are left out.
"""
import re
import struct
import sys

FLAGS = {'nx': 1, 'uf': 2, 'of': 4, 'dz': 8, 'nv': 16}
MODES = ['rne', 'rtz', 'rdn', 'rup', 'rmm']
UNROUNDED = re.compile(r'fsgnj|fmin|fmax|feq|flt|fle|fclass|fmv|fli|fcvt\.d\.(s|h|wu?$)|fcvt\.s\.(h|bf16)|fcvtmod')
FORMATS = {'s': (8, 23, '<f'), 'd': (11, 52, '<d'), 'h': (5, 10, '<e'), 'b': (8, 7, '<f')}
WIDTHS = {'s': 32, 'h': 16, 'b': 16, 'd': 64}
NOT_IN_INTEGERS = re.compile(r'fl[hwd]|fs[hwd]|fmv\..*')
JUNK = 0x5aa5a55a0ff0f00f

# What assemblers of the day do not know: funct7, rs2 or None, funct3 or None for the rounding mode.
NEWER = {'fcvt.bf16.s': (0x22, 8, None), 'fcvt.s.bf16': (0x20, 6, 0), 'fcvtmod.w.d': (0x61, 8, 1),
         'fmvh.x.d': (0x71, 1, 0), 'fmvp.d.x': (0x59, None, 0)}
for suffix, code in (('s', 0), ('d', 1), ('h', 2)):
    NEWER.update({f'fli.{suffix}': (0x78 | code, 1, 0), f'fminm.{suffix}': (0x14 | code, None, 2),
                  f'fmaxm.{suffix}': (0x14 | code, None, 3), f'fround.{suffix}': (0x20 | code, 4, None),
                  f'froundnx.{suffix}': (0x20 | code, 5, None), f'fleq.{suffix}': (0x50 | code, None, 4),
                  f'fltq.{suffix}': (0x50 | code, None, 5)})


def integer(text, bits):
    match = re.fullmatch(r'(u?)(min|max)(\d*)([+-]\d+)?', text)
    if match:
        width = int(match[3] or bits)
        unsigned = 1 << width if match[1] else 1 << (width - 1)
        value = unsigned - 1 if match[2] == 'max' else 0 if match[1] else -unsigned
        value += int(match[4] or 0)
    else:
        value = int(text, 0)
    return value & ((1 << bits) - 1)


def number(text, kind):
    """The bits of a floating-point number."""
    exponent, fraction, code = FORMATS[kind]
    if text.startswith('0x'):
        return int(text, 16)
    sign, name = text[0] == '-', text.lstrip('-')
    top = ((1 << exponent) - 1) << fraction
    named = {'inf': top, 'nan': top | 1 << (fraction - 1), 'snan': top | 1, 'tiny': 1, 'normal': 1 << fraction,
             'huge': top - 1}
    if name in named:
        return named[name] | sign << (exponent + fraction)
    bits = int.from_bytes(struct.pack(code, float(text)), 'little')
    return bits >> 16 if kind == 'b' else bits


def image(text, kind, xlen, zfinx):
    """What 64 bits a register of this kind holds; an integer register's are zero-extended."""
    if kind == 'x':
        return integer(text, xlen)
    if kind == 'r':
        return int(text, 16)
    bits, width = number(text, kind), WIDTHS[kind]
    if zfinx and width < 64:
        return (bits - (bits >> (width - 1) << width)) & 0xffffffffffffffff
    return bits | (0xffffffffffffffff << width & 0xffffffffffffffff)


def instruction(mnemonic, operands, mode):
    if mnemonic not in NEWER:
        return f'    {mnemonic} {", ".join(operands)}' + (f', {mode}' if mode else '')
    funct7, rs2, funct3 = NEWER[mnemonic]
    if funct3 is None:
        funct3 = 7 if mode == 'dyn' else MODES.index(mode)
    rest = operands[1:] if rs2 is None else [operands[1], f'x{rs2}']
    return f'    .insn r 0x53, {funct3}, {funct7}, {operands[0]}, {", ".join(rest)}'


class Program:
    def __init__(self, xlen, zfinx):
        self.zfinx = zfinx
        self.xlen, self.text, self.data, self.heading = xlen, ['#include "test.h"'], ['.data', '.align 3'], None
        self.seen = {}  # mnemonic -> how many headings

    def start(self, mnemonic, form, only):
        self.end()
        wanted = only in (None, str(self.xlen)) and not (self.zfinx and NOT_IN_INTEGERS.fullmatch(mnemonic))
        self.heading = (mnemonic, form) if wanted and not (self.zfinx and 'r' in form) else None
        if self.heading:
            count = self.seen[mnemonic] = self.seen.get(mnemonic, 0) + 1
            name = mnemonic.replace('.', '_') + (f'_{count}' if count > 1 else '')
            self.text += [f'TEST {name}', '    la s0, 1f', '    .pushsection .data', '    .align 3',
                          '1:  .popsection']

    def end(self):
        if self.heading:
            self.text.append('    END')

    def add(self, line):
        match = re.fullmatch(r'(?:(32|64): *)?(.*?) *= *(\S+)((?: +\w\w)*)', line)
        if not match:
            sys.exit(f'rows.py: {line}')
        only, operands, result, flags = match.groups()
        if not self.heading or only not in (None, str(self.xlen)):
            return
        if re.fullmatch('[RIUB]', self.heading[1]):
            self.add_integer(operands.split(), result)
        else:
            self.add_float(operands.split(), result, sum(FLAGS[flag] for flag in flags.split()))

    def add_integer(self, operands, result):
        mnemonic, form = self.heading
        first = integer(operands[0], self.xlen)
        self.text += [f'    li t0, {first:#x}']
        second = {'R': ', t1', 'I': f', {operands[-1]}', 'U': '', 'B': f', t1, {operands[-1]}'}[form]
        if form in 'RB':
            self.text += [f'    li t1, {integer(operands[1], self.xlen):#x}']
        self.text += [f'    {mnemonic} t2, t0{second}', f'    CHECK t2, {integer(result, self.xlen):#x}',
                      f'    {mnemonic} x0, t0{second}', '    CHECK x0, 0',
                      f'    {mnemonic} t0, t0{second}', '    CHECK_SAME t0, t2']

    def add_float(self, operands, result, flags):
        mnemonic, form = self.heading
        modes = operands.pop(0) if not UNROUNDED.match(mnemonic) else ''
        to, kinds = form.split('=')
        images = [0 if kind == 'n' else image(text, kind, self.xlen, self.zfinx)
                  for text, kind in zip(operands, kinds)]
        if self.zfinx:
            images = [value & mask(kind) | JUNK & ~mask(kind) for value, kind in zip(images, kinds)]
        self.text += ['    .pushsection .data', *(f'    .dword {value:#x}' for value in images),
                      f'    .dword {image(result, to, self.xlen, self.zfinx):#x}', '    .popsection']
        registers = []
        for index, kind in enumerate(kinds):
            registers.append(f'x{operands[index]}' if kind == 'n' else self.load(kind, index))
        for mode in (MODES if modes == 'all' else [modes]):
            self.run(mnemonic, to, registers, mode, flags, 8 * len(kinds))
        self.text.append(f'    addi s0, s0, {8 * len(kinds) + 8}')

    def load(self, kind, index):
        """Loads an operand; its register."""
        if not self.zfinx and kind != 'x':
            self.text.append(f'    fld ft{index}, {8 * index}(s0)')
            return f'ft{index}'
        register = ('a2', 'a4', 'a6')[index]
        self.text.append(f'    LX {register}, {8 * index}(s0)')
        if self.xlen == 32 and kind == 'd':
            self.text.append(f'    lw {("a3", "a5", "a7")[index]}, {8 * index + 4}(s0)')
        return register

    def run(self, mnemonic, to, registers, mode, flags, expected):
        integer_result = to == 'x' or self.zfinx
        target = 't3' if integer_result else 'ft4'
        for static in ([True, False] if mode else [True]):
            frm = MODES.index(mode) if not static else 7 if mode else 0  # static: frm holds none
            self.text += [f'    li t6, {frm << 5}', '    csrw fcsr, t6',
                          instruction(mnemonic, [target, *registers], mode and (mode if static else 'dyn')),
                          '    csrr s10, fflags', f'    CHECK s10, {flags}']
            if integer_result:
                self.text += [f'    LX t5, {expected}(s0)', '    CHECK_SAME t3, t5']
                if self.xlen == 32 and to == 'd':
                    self.text += [f'    lw t5, {expected + 4}(s0)', '    CHECK_SAME t4, t5']
                continue
            self.text += ['    la t4, scratch', '    fsd ft4, (t4)']
            for half in (0, 4):
                self.text += [f'    lw a3, {half}(t4)', f'    lw t5, {expected + half}(s0)',
                              '    CHECK_SAME a3, t5']


def mask(kind):
    """The bits that count of a register of this kind."""
    return (1 << WIDTHS.get(kind, 64)) - 1


def main():
    xlen, rows, output = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    program = Program(xlen, 'zfinx' in sys.argv[4:])
    with open(rows, encoding='utf-8') as file:
        for line in file:
            line = line.split('#')[0].strip()
            heading = re.fullmatch(r'\[(\S+) (\S+)(?: (\d+))?\]', line)
            if heading:
                program.start(*heading.groups())
            elif line:
                program.add(line)
    program.end()
    with open(output, 'w', encoding='utf-8') as file:
        file.write('\n'.join(program.text + ['.data', '.align 3', 'scratch: .dword 0', '']))


if __name__ == '__main__':
    main()
