#!/usr/bin/env python3
"""The options of user mode and their variables: what each does, and what it says of a value that is none.

    options.py MYNA_USER GUEST_COMPILER

Exit status 77 (skipped) where there is no compiler for the guest.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

import surroundings

SOURCE = r"""
#include <stdio.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/utsname.h>
#include <unistd.h>
int main(int argc, char **argv)
{
    struct utsname name;
    uname(&name);
    const unsigned char *seed = (const unsigned char *)getauxval(AT_RANDOM);
    printf("argv0=%s release=%s A=%s HOME=%s page=%ld seed=%02x%02x hwcap=%lx\n", argv[0], name.release, getenv("A"),
           getenv("HOME") ? "set" : "unset", sysconf(_SC_PAGESIZE), seed[0], seed[1], getauxval(AT_HWCAP));
    fflush(stdout);
    for (int fd = 3; argc > 2 && fd < 300; fd++) {
        close(fd);
        dup2(1, fd);
    }
    if (argc > 1) {
        execv("/proc/self/exe", (char *[]){ "again", NULL });
    }
    return 0;
}
"""

# Arguments, variables, exit status, what is printed.
CASES = [
    ([], {}, 0, r'argv0=.*program release=.* A=\(null\) HOME=set page=4096'),
    (['-0', 'zero'], {}, 0, 'argv0=zero '),
    ([], {'QEMU_ARGV0': 'nought'}, 0, 'argv0=nought '),
    (['-r', '9.8.7'], {'QEMU_UNAME': '1.2.3'}, 0, r'release=9\.8\.7 '),
    ([], {'QEMU_UNAME': '1.2.3'}, 0, r'release=1\.2\.3 '),
    (['-E', 'A=1,B=2', '-U', 'HOME'], {}, 0, 'A=1 HOME=unset'),
    ([], {'QEMU_SET_ENV': 'A=3', 'QEMU_UNSET_ENV': 'HOME'}, 0, 'A=3 HOME=unset'),
    (['-E', 'A'], {}, 1, "'A' is not NAME=VALUE"),
    (['-p', '4096'], {}, 0, 'page=4096'),
    (['-p', '1000'], {}, 1, 'a page is a power of two'),
    ([], {'QEMU_PAGESIZE': '65536'}, 1, "QEMU_PAGESIZE: 65536: the program's pages have 4096 bytes"),
    (['-s', '1M'], {}, 0, 'argv0'),
    (['-s', 'much'], {}, 1, '-s: '),
    (['-cpu', 'help'], {}, 0, r'Available CPUs:\n(  .*\n)*  max\n'),
    (['-cpu', 'max'], {}, 0, 'hwcap=112d'),
    (['-cpu', 'rv64,zba=on,zbb=off'], {}, 0, 'hwcap=112d'),
    (['-cpu', 'rv64,zba=maybe'], {}, 1, "zba: expected 'on' or 'off', not 'maybe'"),
    (['-cpu', 'rv64,nothing=1'], {}, 1, "there is no property 'nothing'"),
    ([], {'QEMU_CPU': 'rv65'}, 1, "unable to find CPU model 'rv65'; did you mean 'rv64'"),
    (['-B', '0x300000000000'], {}, 0, 'argv0'),
    ([], {'QEMU_GUEST_BASE': '0x300000000000'}, 0, 'argv0'),
    (['-R', '0x4000000000'], {}, 0, 'argv0'),
    (['-R', '4096'], {}, 1, '-R: riscv64 needs'),
    (['-d', 'help'], {}, 0, r'Log items \(comma separated\):\nout_asm'),
    (['-d', 'nothing'], {}, 1, "'nothing' is not a log item"),
    (['-d', 'strace'], {}, 0, r'uname\(0x'),
    (['-d', 'page'], {}, 0,
     r'following binary load\nstart +end +size +prot\n0{11}10000-[0-9a-f]{16} 0[0-9a-f]{15} r-x\n'),
    (['-d', 'page'], {}, 0, 'page layout changed following brk'),
    (['-d', 'op'], {}, 0, r'block 0x[0-9a-f]+: [0-9]+ insns, [0-9]+ bytes\n ---- 0x'),
    (['-d', 'op_opt'], {}, 0, r'optimised block 0x[0-9a-f]+: [0-9]+ insns, [0-9]+ bytes\n ---- 0x'),
    (['-d', 'out_asm'], {}, 0, r'OUT: \[size=[0-9]+\]\n0x[0-9a-f]+:  [0-9a-f]+ +(mov|lea|jmp|add|cmp) '),
    (['-strace'], {}, 0, r'uname\(0x'),
    ([], {'QEMU_STRACE': '1'}, 0, r'uname\(0x'),
    (['-trace', 'help'], {}, 0, r'guest_user_syscall\nguest_user_syscall_ret\n'),
    (['-trace', 'target_m*'], {}, 0, r'target_mprotect start=0x'),
    ([], {'QEMU_TRACE': 'enable=guest_user_syscall_ret'}, 0, r'guest_user_syscall_ret cpu=0 num=160 ret=0x0'),
    (['-trace', 'nothing'], {}, 1, "-trace: 'nothing' is not a trace event"),
    (['-trace', 'some=thing'], {}, 1, "-trace: there is no 'some'"),
    (['-d', 'in_asm', '-dfilter', '0x0+1'], {}, 0, r'^argv0'),
    (['-dfilter', 'x'], {}, 1, "'x'"),
    (['-one-insn-per-tb'], {}, 0, 'argv0'),
    (['-plugin', 'x.so'], {}, 1, 'loads no plugins'),
    (['-version'], {}, 0, r'version \d'),
    (['-h'], {}, 0, r'QEMU_LD_PREFIX.*\n(.*\n)*.*QEMU_RAND_SEED'),
    (['-nothing'], {}, 1, "unknown option '-nothing'"),
    (['-L'], {}, 1, 'which program'),
    (['-accel', 'interp'], {}, 0, 'argv0'),
    (['-accel', 'kvm'], {}, 1, "no accelerator 'kvm'"),
]


def run(emulator, arguments, variables, *program):
    environment = {**os.environ, 'HOME': '/', **variables}
    done = subprocess.run([emulator, *arguments, *program], env=environment, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, timeout=60)
    return done.returncode, done.stdout.decode(errors='replace')


def main():
    surroundings.settle()
    emulator, compiler = os.path.abspath(sys.argv[1]), sys.argv[2]
    if not shutil.which(compiler):
        sys.exit(77)
    emulator = os.path.join(os.path.dirname(emulator), 'qemu-riscv64')
    with tempfile.TemporaryDirectory(dir='/tmp') as folder: # a socket's path has room there
        program = os.path.join(folder, 'program')
        subprocess.run([compiler, '-O1', '-static', '-x', 'c', '-', '-o', program], input=SOURCE.encode(), check=True)
        for arguments, variables, status, pattern in CASES:
            got, text = run(emulator, arguments, variables, program)
            if got != status or not re.search(pattern, text):
                sys.exit(f'{arguments} {variables}: {got}, not {status}, or no {pattern!r} in\n{text}')
        status, text = run(emulator, ['-g', program], {}, program)
        if status != 1 or 'cannot wait for a debugger there: Address already in use' not in text:
            sys.exit(f'-g with a file that is no socket: {status}, {text}')
        if not os.path.isfile(program):
            sys.exit('-g removed a file')
        seeds = [run(emulator, ['-seed', seed], {}, program, 'twice')[1] for seed in ('5', '5', '6')]
        found = [re.findall('seed=(....)', text) for text in seeds]
        if found[0] != found[1] or found[0] == found[2] or found[0][0] != found[0][1]:
            sys.exit(f'-seed: {seeds}')
        log = os.path.join(folder, 'log') # of what execve runs too, and none of the program's files
        status, text = run(emulator, ['-strace', '-D', log], {}, program, 'closes', 'all')
        with open(log, encoding='utf-8') as file:
            lines = file.read()
        if (status, lines.count('uname('), lines.count('exit_group('), text.count('uname(')) != (0, 2, 1, 0):
            sys.exit(f'-D and execve: {status}, {text}\n{lines}')
        log = os.path.join(folder, 'log.%d')
        run(emulator, ['-strace', '-D', log], {}, program)
        events = os.path.join(folder, 'events')
        with open(events, 'w', encoding='utf-8') as file:
            file.write('# some\ntarget_*\n')
        run(emulator, ['-trace', f'events={events},file={folder}/trace'], {}, program)
        with open(os.path.join(folder, 'trace'), encoding='utf-8') as file:
            if 'target_mprotect' not in file.read():
                sys.exit('-trace events=,file=: nothing in the file')
        if len([name for name in os.listdir(folder) if re.match(r'log\.\d+$', name)]) != 1:
            sys.exit(f'-D with %d: {os.listdir(folder)}')


if __name__ == '__main__':
    main()
