#!/usr/bin/env python3
"""Makes a test program out of rows of operands and results.

    rows.py XLEN ROWS OUTPUT.S

A heading `[add R]` names an instruction and its form, `[addw R 64]` also the only XLEN that has it. Integer forms:

    R  rd, rs1, rs2     I  rd, rs1, number     U  rd, rs1     B  rd, rs1, rs2, number

each row `OPERAND... = RESULT`, which a width may precede: `64: min -1 = min`. Numbers are as wide as the registers;
min, max are the least and the greatest signed one; min32, max32 and the like those of fewer bits.

Other forms are of floating point: `[fcvt.w.s x=s]`, the kind of the result, then those of the operands: s and d are
numbers of that format, r the 64 bits of a floating-point register, x an integer register. Rows of instructions that
round begin with the rounding mode, or `all` where it does not matter; all rows may end with the flags that are raised.
Numbers of a format are exact decimals, bits in hexadecimal, or inf, nan (the default one), snan, tiny (the least),
normal (the least normal one), huge (the greatest), with an optional minus.

Every integer row is tried with separate registers, with the result in the first source, and with x0 as the result;
every floating-point row that rounds with the mode in the instruction, and in frm.
"""
import re
import struct
import sys

FLAGS = {'nx': 1, 'uf': 2, 'of': 4, 'dz': 8, 'nv': 16}
MODES = ['rne', 'rtz', 'rdn', 'rup', 'rmm']
UNROUNDED = re.compile(r'fsgnj|fmin|fmax|feq|flt|fle|fclass|fmv|fcvt\.d\.(s|wu?$)')
FORMATS = {'s': (8, 23, '<f'), 'd': (11, 52, '<d')}


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
    return int.from_bytes(struct.pack(code, float(text)), 'little')


def image(text, kind, xlen):
    """What 64 bits a register of this kind holds; an integer register's are zero-extended."""
    if kind == 'x':
        return integer(text, xlen)
    if kind == 'r':
        return int(text, 16)
    bits = number(text, kind)
    return bits | 0xffffffff00000000 if kind == 's' else bits


class Program:
    def __init__(self, xlen):
        self.xlen, self.text, self.data, self.heading = xlen, ['#include "test.h"'], ['.data', '.align 3'], None
        self.seen = {}  # mnemonic -> how many headings

    def start(self, mnemonic, form, only):
        self.end()
        self.heading = (mnemonic, form) if only in (None, str(self.xlen)) else None
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
        rounded = not UNROUNDED.match(mnemonic)
        modes = operands.pop(0) if rounded else ''
        to, kinds = form.split('=')
        images = [image(text, kind, self.xlen) for text, kind in zip(operands, kinds)]
        self.text += ['    .pushsection .data', *(f'    .dword {value:#x}' for value in images),
                      f'    .dword {image(result, to, self.xlen):#x}', '    .popsection']
        registers = []
        for index, kind in enumerate(kinds):
            registers.append(f't{index}' if kind == 'x' else f'ft{index}')
            self.text.append(f'    {"LX" if kind == "x" else "fld"} {registers[-1]}, {8 * index}(s0)')
        for mode in (MODES if modes == 'all' else [modes]):
            self.run(mnemonic, to, registers, mode, flags, 8 * len(kinds))
        self.text.append(f'    addi s0, s0, {8 * len(kinds) + 8}')

    def run(self, mnemonic, to, registers, mode, flags, expected):
        target = 'a2' if to == 'x' else 'ft4'
        operands = ', '.join([target, *registers])
        for static in ([True, False] if mode else [True]):
            frm = MODES.index(mode) if not static else 7 if mode else 0  # static: frm holds none
            self.text += [f'    li t6, {frm << 5}', '    csrw fcsr, t6',
                          f'    {mnemonic} {operands}' + (f', {mode if static else "dyn"}' if mode else ''),
                          '    csrr a3, fflags', f'    CHECK a3, {flags}']
            if to == 'x':
                self.text += [f'    LX t5, {expected}(s0)', '    CHECK_SAME a2, t5']
            else:
                self.text += ['    la t4, scratch', '    fsd ft4, (t4)']
                for half in (0, 4):
                    self.text += [f'    lw a2, {half}(t4)', f'    lw t5, {expected + half}(s0)',
                                  '    CHECK_SAME a2, t5']


def main():
    xlen, rows, output = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    program = Program(xlen)
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
