#!/usr/bin/env python3
"""Compares the host's code for guest instructions with what FILE has on record, so that a change shows in review.

    host_code.py PROGRAM ASSEMBLER OBJCOPY OBJDUMP FILE [--update]

FILE has an instruction at the beginning of a line and its code, indented, below it. --update writes that anew for the
instructions that stand there; "soft" and "direct" are the ways to memory. Prints TAP.
"""
import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'jit'))
from x64_code import disassemble  # noqa: E402

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


def code_of(program, objdump, codes):
    """For each encoding, its lines."""
    output = subprocess.run([program, 'rv64'], input='\n'.join(codes), check=True, capture_output=True,
                            text=True).stdout.split()
    blocks = disassemble(objdump, [bytes.fromhex(blob) for blob in output[1::2]])
    texts = [shown(block) for block in blocks]
    return [soft if soft == direct else ['  soft'] + soft + ['  direct'] + direct
            for soft, direct in zip(texts[::2], texts[1::2])]


def main():
    program, assembler, objcopy, objdump, path = sys.argv[1:6]
    with open(path, encoding='ascii') as file:
        pinned = file.read()
    instructions = [line for line in pinned.split('\n') if line and not line.startswith(' ')]
    codes = code_of(program, objdump, encodings(assembler, objcopy, instructions))
    text = ''.join('\n'.join([instruction] + lines) + '\n' for instruction, lines in zip(instructions, codes))
    if '--update' in sys.argv:
        with open(path, 'w', encoding='ascii') as file:
            file.write(text)
        return
    print('1..1')
    for line, expected in zip(text.split('\n'), pinned.split('\n')):
        if line != expected:
            print(f'# {line}, not {expected}')
            break
    print(f'{"" if text == pinned else "not "}ok 1 {len(instructions)} instructions')


if __name__ == '__main__':
    main()
