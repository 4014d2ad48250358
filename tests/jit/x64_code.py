#!/usr/bin/env python3
"""Compares host code with binutils' disassembler: rows of encodings.def, and the code of floating-point operations.

    x64_code.py X64_CODE OBJDUMP FILE [--update]

FILE has the code of each operation, so that a change of code generation shows in review; --update writes it anew.
Prints TAP.
"""
import re
import subprocess
import sys
import tempfile

NUMBERS = {name: number for number, name in enumerate('ax cx dx bx sp bp si di'.split())}
# objdump's names for the same.
ALIASES = {'movabs': 'mov'}
# Operands of one size whatever the row's.
ANY_SIZE = re.compile(r'movzx|movsx|movsxd|movd|movq|vmov[dq]|v?cvt|vpinsrw|push|pop|call|jmp|cmpxchg16b|rol|ror|sh|sa')
# Nobody makes these otherwise: rows with registers, or with another size than the one.
MEMORY_ALONE = {'LEA', 'MOVBE_RM', 'MOVBE_MR', 'CMPXCHG16B', 'LDMXCSR', 'STMXCSR'}
ONE_SIZE = {'CMPXCHG16B': '8', 'VCVTPH2PS': '4', 'VCVTPS2PH_MR': '4'}


def is_made(line):
    name, _, _, size, _, rm, _ = line.split(' ')
    if (name.startswith('MOVD_') and size == '2') or (re.match('VFN?M.*SS', name) and size == '8'):
        return False
    return (rm[0] == '[' or name not in MEMORY_ALONE) and ONE_SIZE.get(name, size) == size


def disassemble(objdump, blobs):
    """Instructions of each blob, as (length, mnemonic, operands)."""
    with tempfile.NamedTemporaryFile(suffix='.bin') as file:
        starts, data = [], b''
        for blob in blobs:
            starts.append(len(data))
            data += blob + b'\x90' * 16
        file.write(data)
        file.flush()
        text = subprocess.run([objdump, '-D', '-b', 'binary', '-m', 'i386:x86-64', '-M', 'intel', '-w', file.name],
                              check=True, capture_output=True, text=True).stdout
    lines = []
    for line in text.split('\n'):
        match = re.match(r'\s*([0-9a-f]+):\t((?:[0-9a-f]{2} )+)\s*\t?(.*)', line)
        if match:
            words = match.group(3).split('#')[0].strip().split(None, 1)
            lines.append((int(match.group(1), 16), len(match.group(2).split()), words[0] if words else '',
                          words[1] if len(words) > 1 else ''))
    blocks, at = [], 0
    for start, blob in zip(starts, blobs):
        block = []
        while at < len(lines) and lines[at][0] < start + len(blob):
            if lines[at][0] >= start:
                block.append(lines[at])
            at += 1
        blocks.append(block)
    return blocks


def as_we_write(instruction):
    """objdump's text as -d out_asm has it: addresses are absolute, sizes of vector operands are left out."""
    address, length, mnemonic, text = instruction
    text = re.sub(r'\[rip([+-]0x[0-9a-f]+)\]', lambda match: f'[{address + length + int(match.group(1), 16):#x}]', text)
    if mnemonic == 'pclmullqlqdq':  # the low halves
        mnemonic, text = 'pclmulqdq', text + ',0x0'
    return f'{ALIASES.get(mnemonic, mnemonic)} {text}'.strip()


def check_text(program, objdump, blobs):
    """Differences between -d out_asm's text and objdump's."""
    blocks = disassemble(objdump, blobs)
    lines = ''.join(f'{block[0][0]} {blob.hex()}\n' for block, blob in zip(blocks, blobs))
    output = subprocess.run([program, 'text'], input=lines, check=True, capture_output=True, text=True).stdout
    faults = []
    for block, ours in zip(blocks, output.split('end\n')):
        theirs = [(length, as_we_write((address, length, mnemonic, text))) for address, length, mnemonic, text in block]
        for (length, text), line in zip(theirs, ours.splitlines() + ['nothing'] * len(theirs)):
            if ' PTR ' not in line:
                text = re.sub(r'\w+ PTR ', '', text)
            if line != f'{length} {text}':
                faults.append(f'{line}, not {length} {text}')
    return faults


def report(number, faults, what):
    print(''.join(f'# {fault}\n' for fault in faults[:40]), end='')
    print(f'{"not " if faults else ""}ok {number} {what}')


def register(text):
    """The number of a register and its size in bytes."""
    match = re.fullmatch(r'xmm(\d+)', text)
    if match:
        return int(match.group(1)), 16
    match = re.fullmatch(r'r(\d+)([bwd]?)', text)
    if match:
        return int(match.group(1)), {'b': 1, 'w': 2, 'd': 4, '': 8}[match.group(2)]
    match = re.fullmatch(r'([re]?)(ax|cx|dx|bx|sp|bp|si|di)', text)
    if match:
        return NUMBERS[match.group(2)], {'r': 8, 'e': 4, '': 2}[match.group(1)]
    match = re.fullmatch(r'(a|b|c|d|sp|bp|si|di)l', text)
    if match:
        return NUMBERS[match.group(1) if len(match.group(1)) == 2 else match.group(1) + 'x'], 1
    return None


def memory(text):
    """As print_operand in x64_code.c has it."""
    inside = re.search(r'\[(.*)\]', text).group(1)
    base = index = None
    displacement = 0
    for part in re.findall(r'[+-]?[^+-]+', inside):
        name, _, scale = part.lstrip('+').partition('*')
        if register(name) is None:
            displacement = int(part, 0)
        elif scale:
            index = f'{register(name)[0]}*{scale}'
        else:
            base = register(name)[0]
    return f'[{base}{"+" + index if index else ""}{displacement:+d}]'


def check_encoding(line, instructions):
    """What is wrong, or ''."""
    name, mnemonic, flags, size, reg, rm, blob = line.split(' ')
    if len(instructions) != 1 or instructions[0][1] != len(blob) // 2:
        return 'is not one instruction'
    _, _, found, text = instructions[0]
    if found in ('movq', 'vmovq') and size == '8':
        mnemonic = mnemonic.replace('movd', 'movq')
    if ALIASES.get(found, found) != mnemonic:
        return f'is {found}'
    parts = [] if not text else text.split(',')
    values = []
    for part in parts:
        known = register(part)
        if known and known[1] not in (int(size), 16) and not ANY_SIZE.match(mnemonic) and not int(flags) & 4:
            return f'has an operand of {known[1]} bytes: {text}'
        values.append(str(known[0]) if known else memory(part) if '[' in part else part)
    expected = [rm] if reg == '-' else [rm, reg] if is_reversed(name) else [reg, rm]
    order = [value for value in values if value in (reg, rm)]
    if reg == rm:
        return ''
    return '' if order == expected else f'has operands {text}'


def is_reversed(name):
    """Whether the register or memory comes first, being what is written."""
    return '_MR' in name or name in ('XCHG', 'XADD', 'CMPXCHG')


def hot(instructions):
    """Up to the way out of the block, places blanked."""
    lines = []
    for _, _, mnemonic, text in instructions:
        if mnemonic == 'jmp':
            lines.pop()  # which exit it is
            return lines
        text = re.sub(r'\[rip[+-]0x[0-9a-f]+\]', '[constant]', text)
        text = re.sub(r'^0x[0-9a-f]+$', 'cold', text) if mnemonic.startswith('j') else text
        text = re.sub(r'0x[0-9a-f]{10,16}', 'address', text)
        lines.append(f'    {mnemonic} {text}'.rstrip())
    return lines


def run(program, what):
    return subprocess.run([program, what], check=True, capture_output=True, text=True).stdout.splitlines()


def main():
    program, objdump, path = sys.argv[1:4]
    lines = [line for line in run(program, 'encodings') if is_made(line)]
    print('1..3')
    faults = [f'{line}: {fault}' for line, instructions in
              zip(lines, disassemble(objdump, [bytes.fromhex(line.split(' ')[-1]) for line in lines]))
              if (fault := check_encoding(line, instructions))]
    report(1, faults, f'{len(lines)} encodings')
    floats = run(program, 'float')
    blobs = [bytes.fromhex(line.split(' ')[-1]) for line in lines + floats]
    report(2, check_text(program, objdump, blobs), 'text')
    lines = floats
    blocks = disassemble(objdump, [bytes.fromhex(line.split(' ')[-1]) for line in lines])
    text = ''.join(line.split(' ')[0] + '\n' + '\n'.join(hot(block)) + '\n' for line, block in zip(lines, blocks))
    if '--update' in sys.argv:
        with open(path, 'w', encoding='ascii') as file:
            file.write(text)
    if not lines:
        print('ok 3 floating point # SKIP no AVX')
        return
    with open(path, encoding='ascii') as file:
        expected = file.read()
    for ours, pinned in zip(text.split('\n'), expected.split('\n')):
        if ours != pinned:
            print(f'# {ours}, not {pinned}')
            break
    print(f'{"" if text == expected else "not "}ok 3 floating point')


if __name__ == '__main__':
    main()
