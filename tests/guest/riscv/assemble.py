#!/usr/bin/env python3
"""Makes a test program: assemble.py XLEN GCC OBJCOPY NM SOURCE OUTPUT.elf OUTPUT.bin OUTPUT.symbols [OPTION...]

SOURCE is assembly, or rows (rows.py); the options are for gcc. The .bin starts at the first byte of RAM; the .symbols
are nm's lines.
"""
import pathlib
import subprocess
import sys

ARCHITECTURES = {'64': ['-march=rv64gc_zba_zbb_zbc_zbs', '-mabi=lp64d'],
                 '32': ['-march=rv32gc_zba_zbb_zbc_zbs', '-mabi=ilp32d']}


def main():
    xlen, gcc, objcopy, nm, source, elf, binary, symbols, *options = sys.argv[1:]
    here = pathlib.Path(__file__).parent
    if source.endswith('.rows'):
        assembly = elf + '.S'
        kind = ['zfinx'] if any('_zdinx' in option for option in options) else []
        subprocess.run([sys.executable, here / 'rows.py', xlen, source, assembly, *kind], check=True)
        source = assembly
    subprocess.run([gcc, *ARCHITECTURES[xlen], *options, f'-I{here}', '-nostdlib', '-static',
                    f'-Wl,-T,{here}/program.ld', '-Wl,--build-id=none', '-Wl,--no-warn-rwx-segments', here / 'start.S',
                    source, '-o', elf], check=True)
    subprocess.run([objcopy, '-O', 'binary', elf, binary], check=True)
    with open(symbols, 'w', encoding='utf-8') as file:
        subprocess.run([nm, elf], check=True, stdout=file)


if __name__ == '__main__':
    main()
