#!/usr/bin/env python3
"""Compares the RISC-V decoder with binutils: what is an instruction, its name and, for the long ones, its text.

    objdump.py XLEN DUMP GCC OBJDUMP [zfinx]

All encodings of 16 bits; of 32 bits, for each line of the decode files: random operands, and each fixed bit flipped.
Prints TAP. The two may differ where excused() says so and why.
"""
import random
import re
import subprocess
import sys
import tempfile

EXTENSIONS = '_zba_zbb_zbc_zbs_zbkb_zbkc_zbkx_zk_zks_zihintpause_zicbom_zicbop_zicboz_zawrs'
FLOATS = {'': 'imafdc_zfh', 'zfinx': 'imac_zicsr_zifencei_zfinx_zdinx_zhinx'}
PROPERTIES = {'': '', 'zfinx': ',f=off,d=off,zfa=off,zfh=off,zfhmin=off,zfbfmin=off,zdinx=on,zhinx=on'}
SAMPLES = 6

# binutils' other names for the same encodings.
ALIASES = {'c.nop': 'c.addi', 'c.slli64': 'c.slli', 'c.srli64': 'c.srli', 'c.srai64': 'c.srai', 'c.ntl.p1': 'c.add',
           'c.ntl.pall': 'c.add', 'c.ntl.s1': 'c.add', 'c.ntl.all': 'c.add'}


# Instructions that binutils 2.40 does not know, or gcc 12 does not let it
NEWER = re.compile(r'(fli|f(min|max)m|fround(nx)?|f(le|lt)q)\.[hsd]|fcvtmod\.w\.d|fmvh\.x\.d|fmvp\.d\.x|'
                   r'fcvt\.(bf16\.s|s\.bf16)|c\.(lbu|lhu?|sb|sh|[sz]ext\.[bhw]|not|mul|mop)|czero\..*|'
                   r'mop\.rr?|amo.*\.[bh]|amocas\..*|'
                   r'sinval\.vma|sfence\.(w\.inval|inval\.ir)')


def excused(bits, xlen, name, other):
    """Whether the two may differ on what this is, if it is anything; `name` is ours, `other` theirs."""
    fences = ('fence', 'pause')
    if name.startswith(fences) or other.startswith(fences):
        return True  # reserved fields of fences are ignored; binutils wants them to be zero
    if NEWER.fullmatch(name) and not other:
        return True
    if re.match(r'fcvt\.(d\.|s\.h)', name) and bits >> 12 & 7:
        return True  # the rounding mode of an exact conversion is a field like any other
    if other in ('c.slli', 'c.srli', 'c.srai'):
        return xlen == '32' and bits >> 12 & 1  # shifts by 32 and more: for custom extensions
    if other in ('bclri', 'bexti', 'binvi', 'bseti', 'rori', 'slli', 'srli', 'srai'):
        return xlen == '32' and bits >> 25 & 1  # reserved
    if other == 'c.addi16sp':
        return bits >> 2 & 0x1f == 0 and not bits >> 12 & 1  # by 0: reserved
    if other == 'aes64ks1i':
        return bits >> 20 & 15 > 10  # reserved
    return other in ('sfence.vm', 'uret', 'hret')  # of drafts


def samples(dump, model, xlen):
    generator = random.Random(1)
    values = set()
    for line in subprocess.run([dump, model, 'rows'], check=True, capture_output=True, text=True).stdout.splitlines():
        mask, value, length, conditions, _ = line.split()
        mask, value = int(mask, 16), int(value, 16)
        if length == '2' or ('!rv64' if xlen == '64' else 'rv64') in conditions.split(','):
            continue
        for _ in range(SAMPLES):
            bits = value | (generator.getrandbits(32) & ~mask)
            values.add(bits)
            values.update(bits ^ 1 << bit for bit in range(2, 32) if mask >> bit & 1)
    # Not those that begin an instruction of 48 bits or more.
    return [v for v in range(0x10000) if not is_long(v)] + sorted(v for v in values if v > 0xffff and v & 31 != 31)


def is_long(bits):
    return bits & 3 == 3


def ours(dump, model, values):
    text = ''.join(f'{value:x}\n' for value in values)
    result = subprocess.run([dump, model], input=text, check=True, capture_output=True, text=True).stdout
    return [line.split(' ', 2)[1:] for line in result.splitlines()]


def theirs(gcc, objdump, xlen, floats, values):
    with tempfile.TemporaryDirectory() as directory:
        source, image = f'{directory}/a.s', f'{directory}/a.o'
        with open(source, 'w', encoding='ascii') as file:
            file.write('.option norelax\n.text\n')
            file.writelines(f'.4byte {v}\n' if is_long(v) else f'.2byte {v}\n' for v in values)
        architecture = f'rv{xlen}{FLOATS[floats]}{EXTENSIONS}'
        subprocess.run([gcc, f'-march=rv{xlen}imac', '-mabi=' + ('lp64' if xlen == '64' else 'ilp32'),
                        f'-Wa,-march={architecture}', '-c', source, '-o', image], check=True)
        subprocess.run([objdump.replace('objdump', 'strip'), image], check=True)
        lines = subprocess.run([objdump, '-D', '-j', '.text', '-M', 'no-aliases', image], check=True,
                               capture_output=True, text=True).stdout.splitlines()
    rows = [line.split('\t') for line in lines if re.match(r' *[0-9a-f]+:\t', line)]
    return [(int(row[0].strip()[:-1], 16), int(row[1].strip(), 16), row[2].strip(),
             re.sub(r' *(<.*>|#.*)$', '', row[3]).strip() if len(row) > 3 else '') for row in rows]


def same_text(text, address, mnemonic, operands):
    """Whether both wrote the same, immediates by value, targets relative to the instruction."""
    words = text.split(None, 1)
    mine, other = words[1] if len(words) > 1 else '', operands
    if words[0] != mnemonic:
        return False
    if mnemonic in ('jal', 'beq', 'bne', 'blt', 'bge', 'bltu', 'bgeu'):
        wrap = (1 << 32) - 1
        mine_parts, other_parts = mine.rsplit(',', 1), other.rsplit(',', 1)
        return mine_parts[0] == other_parts[0] and \
            (int(mine_parts[1], 16) - int(other_parts[1], 16) + address) & wrap == 0
    mine, other = re.split(r'[,()]', mine), re.split(r'[,()]', other)
    if mnemonic.startswith('csrr') and mine[1].startswith('0x'):
        mine[1] = other[1]  # a register that only binutils knows
    if mnemonic.startswith('csrr') and other[1].startswith('0x'):
        mine[1] = other[1]  # ... or that it does not know
    return [number(part) for part in mine] == [number(part) for part in other]


def number(text):
    try:
        return int(text, 0)
    except ValueError:
        return text


def main():
    xlen, dump, gcc, objdump = sys.argv[1:5]
    floats = ''.join(sys.argv[5:])
    model = ('max' if xlen == '64' else 'max32') + PROPERTIES[floats]
    values = samples(dump, model, xlen)
    wrong = []
    rows = theirs(gcc, objdump, xlen, floats, values)
    assert [row[1] for row in rows] == values, 'objdump lost its way'
    for value, mine, (address, _, mnemonic, operands) in zip(values, ours(dump, model, values), rows):
        name = '' if mine[0] == '-' else mine[0]
        other = '' if mnemonic.startswith(('.', 'c.unimp', 'unimp')) else ALIASES.get(mnemonic, mnemonic)
        other = re.sub(r'\.(aq|rl|aqrl)$', '', other)
        if name != other:
            if not excused(value, xlen, name, other):
                wrong.append(f'{value:08x}: {" ".join(mine)}; binutils: {mnemonic} {operands}')
        elif name and is_long(value) and not same_text(mine[1], address, mnemonic, operands):
            wrong.append(f'{value:08x}: {mine[1]}; binutils: {mnemonic} {operands}')
    print('1..1')
    for line in wrong[:200]:
        print('#', line)
    print(f'{"not ok" if wrong else "ok"} 1 - {len(values)} encodings of RV{xlen}, {len(wrong)} differ')
    return 1 if wrong else 0


if __name__ == '__main__':
    sys.exit(main())
