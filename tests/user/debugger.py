#!/usr/bin/env python3
"""The host's debugger goes through translated code: backtraces of the emulator, told of it by -gdb-jit.

    debugger.py MYNA_USER COMPILER GDB

Prints TAP.
"""
import os
import re
import subprocess
import sys
import tempfile

import surroundings

# A helper of the guest's, an operation of floating point that the host has not, an access that takes the slow path.
PROGRAM = '''
int main(void)
{
    static long numbers[4];
    double x = 3, y = 7;
    unsigned long cycles;
    __asm__ volatile("rdcycle %0" : "=r"(cycles));
    __asm__ volatile("fsrmi 4\\n fdiv.d %0, %0, %1\\n fsrmi 0" : "+f"(x) : "f"(y));
    __asm__ volatile("amoadd.w zero, %0, (%1)" : : "r"(1), "r"((char *)numbers + 1) : "memory");
    return 0;
}
'''
# A function that translated code calls, and the frame below it.
EXPECTED = {
    'riscv_helper_csr': 'translated_code',
    'ir_fp_exact': 'float_operation_of_translated_code',
    'x64_slow': 'slow_path_of_translated_code',
}


def backtraces(gdb, program, arguments):
    """For each function of EXPECTED the names of the frames of the first time that it runs."""
    commands = ['set pagination off', 'set breakpoint pending on', 'set confirm off',
                'handle SIGSEGV SIGBUS nostop noprint pass']
    for function in EXPECTED:
        commands += [f'tbreak {function}']
    commands += ['run'] + ['echo \\nTRACE\\n', 'bt -frame-arguments none', 'continue'] * len(EXPECTED)
    arguments = [part for command in commands for part in ('-ex', command)] + ['--args', program] + arguments
    environment = {**os.environ, 'DEBUGINFOD_URLS': ''}
    output = subprocess.run([gdb, '-nx', '-q', '-batch'] + arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            text=True, timeout=300, stdin=subprocess.DEVNULL, env=environment, check=False).stdout
    found = {}
    for trace in output.split('TRACE\n')[1:]:
        names = re.findall(r'^#\d+ +(?:0x[0-9a-f]+ in )?(\S+) \(', trace, re.MULTILINE)
        if names:
            found[names[0]] = names
    return found, output


def main():
    surroundings.settle()
    program, compiler, gdb = sys.argv[1:4]
    with tempfile.TemporaryDirectory() as folder:
        source, guest = os.path.join(folder, 'program.c'), os.path.join(folder, 'program')
        with open(source, 'w', encoding='ascii') as file:
            file.write(PROGRAM)
        subprocess.run([compiler, '-static', '-O1', source, '-o', guest], check=True)
        name = os.path.join(folder, 'qemu-riscv64')
        os.symlink(os.path.abspath(program), name)
        found, output = backtraces(gdb, name, ['-gdb-jit', guest])
    if 'ptrace' in output:
        print('1..0 # SKIP debugging is not allowed here')
        return
    print(f'1..{len(EXPECTED)}')
    for number, (function, frame) in enumerate(EXPECTED.items(), 1):
        names = found.get(function, [])
        good = frame in names and names[-1] in ('main', '_start', 'clone3') and 'x64_enter' in names
        if not good:
            print('\n'.join(f'# {line}' for line in output.splitlines()))
        print(f'{"" if good else "not "}ok {number} {function}: {" ".join(names)}')


if __name__ == '__main__':
    main()
