#!/usr/bin/env python3
"""Compares the host's code for guest instructions with what is on record, so that a change shows in review.

    host_code.py PROGRAM ASSEMBLER OBJCOPY OBJDUMP FILE ALL DUMP TEXT [--update]

FILE has an instruction at the beginning of a line and its code, indented, below it. --update writes that anew for the
instructions that stand there; "soft" and "direct" are the ways to memory. ALL has a line for each line of the decode
files (DUMP is test_guest_riscv_dump): how many instructions its code has, and a digest of them. TEXT is
test_jit_x64_code, whose disassembly of all that code is compared with objdump's. Prints TAP.
"""
import hashlib
import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'jit'))
from x64_code import check_text, disassemble, report  # noqa: E402

# How a block goes on to the next instruction: left out.
GOES_ON = ['    jmp QWORD PTR [data]', '    lea rax,[data]', '    jmp common']


def encodings(assembler, objcopy, instructions):
    with tempfile.TemporaryDirectory() as folder:
        source, made, binary = (os.path.join(folder, name) for name in ('a.s', 'a.o', 'a.bin'))
        with open(source, 'w', encoding='ascii') as file:
            file.write('.option norvc\n' + '\n'.join(instructions) + '\n')
        subprocess.run([assembler, '-march=rv64gc_zba_zbb_zbs_zicboz', source, '-c', '-o', made], check=True)
        subprocess.run([objcopy, '-O', 'binary', '-j', '.text', made, binary], check=True)
        with open(binary, 'rb') as file:
            data = file.read()
    codes = [data[i:i + 4][::-1].hex() for i in range(0, len(data), 4)]
    assert len(codes) == len(instructions), 'a line is not one instruction'
    return codes


def shown(instructions):
    """Lines of code; places outside are blanked, those inside count from the block's start."""
    start = instructions[0][0]
    end = instructions[-1][0] + instructions[-1][1]
    lines = []
    for _, _, mnemonic, text in instructions:
        text = re.sub(r'\[rip[+-]0x[0-9a-f]+\]', '[data]', text)
        target = re.fullmatch(r'0x([0-9a-f]+)', text)
        if target and (mnemonic.startswith('j') or mnemonic == 'call'):
            place = int(target.group(1), 16)
            text = f'+{place - start:#x}' if start <= place < end else 'common'
        text = re.sub(r'0x(?!ffff)[0-9a-f]{11,16}', 'address', text)
        lines.append(f'    {mnemonic} {text}'.rstrip())
    return lines[:-len(GOES_ON)] if lines[-len(GOES_ON):] == GOES_ON else lines


def blobs_of(program, model, codes):
    output = subprocess.run([program, model], input='\n'.join(codes), check=True, capture_output=True, text=True).stdout
    return [bytes.fromhex(line.partition(' ')[2]) for line in output.splitlines()]


def code_of(program, objdump, codes):
    """For each encoding, its lines."""
    texts = [shown(block) for block in disassemble(objdump, blobs_of(program, 'rv64', codes))]
    return [soft if soft == direct else ['  soft'] + soft + ['  direct'] + direct
            for soft, direct in zip(texts[::2], texts[1::2])]


# All that can be had at once, the rest of it, and what RV32 alone has.
MODELS = ['max,zkn=on,zks=on', 'rv64,zce=on,d=off,zfa=off,zacas=on', 'rv32,zkn=on,zks=on,zacas=on,zfa=on,zbb=on,zcb=on',
          'rv64,zce=on,zfinx=on,f=off,d=off,zfa=off', 'rv64,svinval=on,smrnmi=on,rnmi-interrupt-vector=0x80000000']
# rd a0, rs1 a1, rs2 a2, rs3 a3, dynamic rounding; of a compressed one a0, a1 and an immediate.
FILLS = {4: [0x68c5f500, 0x00c58500, 0x00000500], 2: [0x0528, 0x0a2e, 0x0508, 0x0048, 0x0104, 0x0060]}


def rows(dump):
    lines = subprocess.run([dump, 'max', 'rows'], check=True, capture_output=True, text=True).stdout.splitlines()
    return [(int(mask, 16), int(value, 16), int(length), mnemonic)
            for mask, value, length, _, mnemonic in map(str.split, lines) if mnemonic != 'c.unimp']  # the undefined one


def encoding_of_each(dump):
    """An encoding of each row, with the first model that has it."""
    left = rows(dump)
    for model in MODELS:
        for choice in range(max(map(len, FILLS.values()))):
            tried = [(row, row[1] | FILLS[row[2]][choice % len(FILLS[row[2]])] & ~row[0]) for row in left]
            lines = subprocess.run([dump, model], input='\n'.join(f'{bits:x}' for _, bits in tried), check=True,
                                   capture_output=True, text=True).stdout.splitlines()
            for (row, bits), line in zip(tried, lines):
                if line.split()[1] == row[3]:
                    left.remove(row)
                    yield model, row[3], bits
    assert not left, f'no encoding of {[row[3] for row in left]}'


def digest(lines):
    """Without offsets of what is not the guest's state."""
    text = re.sub(r'rbp-0x([0-9a-f]{3,})', lambda match: 'exec' if int(match.group(1), 16) > 0x880 else match.group(0),
                  '\n'.join(lines))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def lines_of_all(program, objdump, dump):
    """A line for each row of the decode files, and all the code."""
    chosen = list(encoding_of_each(dump))
    lines, blobs = [], []
    for model in sorted({other for other, _, _ in chosen}, key=MODELS.index):
        here = [(mnemonic, bits) for other, mnemonic, bits in chosen if other == model]
        made = blobs_of(program, model, [f'{bits:x}' for _, bits in here])
        blocks = [shown(block) for block in disassemble(objdump, made)]
        for (mnemonic, bits), soft, direct in zip(here, blocks[::2], blocks[1::2]):
            lines.append(f'{mnemonic} {bits:x} {model.split(",")[0]}: soft {len(soft)} {digest(soft)}, '
                         f'direct {len(direct)} {digest(direct)}')
        blobs += [blob for blob in made if blob]
    return '\n'.join(lines) + '\n', blobs


def differences(text, pinned):
    return [f'{line}, not {expected}' for line, expected in zip(text.split('\n'), pinned.split('\n'))
            if line != expected] + ['more or less lines'] * (text.count('\n') != pinned.count('\n'))


def main():
    program, assembler, objcopy, objdump, path, path_of_all, dump, text_program = sys.argv[1:9]
    with open(path, encoding='ascii') as file:
        pinned = file.read()
    instructions = [line for line in pinned.split('\n') if line and not line.startswith(' ')]
    codes = code_of(program, objdump, encodings(assembler, objcopy, instructions))
    text = ''.join('\n'.join([instruction] + lines) + '\n' for instruction, lines in zip(instructions, codes))
    text_of_all, blobs = lines_of_all(program, objdump, dump)
    if '--update' in sys.argv:
        for name, content in ((path, text), (path_of_all, text_of_all)):
            with open(name, 'w', encoding='ascii') as file:
                file.write(content)
        return
    with open(path_of_all, encoding='ascii') as file:
        pinned_all = file.read()
    print('1..3')
    report(1, differences(text, pinned)[:1], f'{len(instructions)} instructions')
    report(2, differences(text_of_all, pinned_all), 'all instructions')
    report(3, check_text(text_program, objdump, blobs), 'as -d out_asm shows it')


if __name__ == '__main__':
    main()
