#!/usr/bin/env python3
"""What gen/decode.py refuses, and that it says why: refusals.py DECODE.PY. Prints TAP."""
import pathlib
import subprocess
import sys
import tempfile

COMMON = '''guest toy
include toy.h
context const Toy *config
condition A = config->a
condition B = config->b
condition none = !A
field rd:4 x
field rs:4 x
field imm signed i
field rs':2 as rs + 4
format R = {rd},{rs}
format I = {rd},{imm}
format N =
length 16
'''
USES = '''use.r 0000 0000 rd rs : R
use.i 0001 imm[7:0] rd : I
use.n 0010000000000000 : N
use.c 0011 0000 00 rs' rd = use.r
'''

# Lines, and what the message must hold; None: nothing is wrong.
CASES = [
    ('', None),
    ('x 0100 0000 rd rs : R [A]\ny 0100 0000 rd rs : R [!A]', None),
    ('x 0100 0000 rd rs : R [A]\ny 0100 0000 rd rs : R [none]', None),
    ('x 0100 0000 rd rs : R when rd!=0\ny 0100 0000 0000 rs = use.r rd=0', None),
    ('x 0100 0000 rd rs : R when rd!=0/3\ny 0100 0000 0011 rs = use.r rd=0', None),
    ('x 0100 0000 rd rs : R\ny 0100 0000 0000 0000 : N within x', None),
    ('x 0100 _8 rd = use.r rs=1', None),
    ('x 0100 0000 rd rs : undefined', None),
    ('alias two {rd} = use.r rs=3', None),
    ('alias same {rd} = use.r rs=rd', None),
    ('x 0100 0000 rd rs : R\ny 0100 0000 0000 rs = use.r rd=0', 'y overlaps x'),
    ('x 0100 0000 rd rs : R [A]\ny 0100 0000 rd rs : R [B]', 'y overlaps x'),
    ('x 0100 0000 rd rs : R [A|B]\ny 0100 0000 rd rs : R [!A]', 'y overlaps x'),
    ('x 0100 0000 rd rs : R when rd!=1\ny 0100 0000 0000 rs = use.r rd=0', 'y overlaps x'),
    ('x 0100 0000 0000 0000 : N\ny 0100 0000 rd rs : R within x', 'y overlaps x'),
    ('x 0100 0000 rd rs : R within z', 'z is not an instruction'),
    ('x 0100 0000 rd rs0 : R', 'rs0 is not a field'),
    ('x 0100 000 rd rs : R', '15 bits, not 16'),
    ('x 0100 00000 rd rs : R', '17 bits, not 16'),
    ('x 0100 0000 rd 0000 : R', 'operand rs is missing'),
    ('x 0100 0000 rd rs : N', 'is not used'),
    ('x 0100 0000 rd rd : R', 'rd has a bit twice'),
    ("x 0100 00 rs' rs rd : R", 'operand rs is given twice'),
    ('x 0100 imm[7:4] imm[4:1] rd : I', 'imm has a bit twice'),
    ('x 0100 0000 imm rd : I', 'imm: which of its bits?'),
    ('x 0100 0000 rd rs : Q', 'Q is not a format'),
    ('x 0100 0000 rd rs = nothing', 'nothing is not an instruction'),
    ('x 0100 0000 rd rs : R [C]', 'C is not a condition'),
    ('x 0100 0000 rd 0000 : R when rs!=0', 'rs is not in the encoding'),
    ('x 0100 0000 rd rs', 'MNEMONIC BITS'),
    ('use.r 0100 imm[7:0] rd : I', 'has another format already'),
    ('field rx:4 x', 'never used: rx'),
    ('format Z = {rd}', 'never used: Z'),
    ('format Z = {ry}', 'ry is not a field'),
    ('field rd:4 x', 'declared twice'),
    ('length 24', '16 or 32'),
    ('alias two {imm} = use.r rs=3', 'use.r has no operand imm'),
    ('alias two {rd} = zzz rs=3', 'zzz is not an instruction'),
]


def message(generator, text):
    with tempfile.TemporaryDirectory() as directory:
        source = pathlib.Path(directory) / 'toy.decode'
        source.write_text(text, encoding='utf-8')
        result = subprocess.run([sys.executable, generator, f'{directory}/guest_toy.h', f'{directory}/toy.c', source],
                                check=False, capture_output=True, text=True)
        return result.stderr.strip() if result.returncode else None


def main():
    failed = 0
    print(f'1..{len(CASES)}')
    for number, (lines, wanted) in enumerate(CASES, 1):
        found = message(sys.argv[1], COMMON + USES + lines + '\n')
        good = found is None if wanted is None else found is not None and 'Traceback' not in found and wanted in found
        failed += not good
        print(f'{"ok" if good else "not ok"} {number} - {lines!r}: {found}')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
