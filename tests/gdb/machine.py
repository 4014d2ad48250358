#!/usr/bin/env python3
"""Debugs a machine by gdb-multiarch: from reset on, breakpoints, steps, watchpoints, threads, system registers,
physical memory; by -gdb and by the monitor's gdbserver. And, where MYNA_GUEST_RISCV64 names its folder, Debian's
kernel: to its first instruction, then on to its end without a debugger.

    machine.py QEMU_SYSTEM_RISCV64 GUEST_COMPILER

Exit status 77 (skipped) where there is no compiler for the guest.
"""
import os
import shutil
import subprocess
import sys

import multiarch

SOURCE = r"""
.globl _start
.option norvc
_start:
    csrr t0, mhartid
    bnez t0, other
    li t1, 0x80001000
    la t2, handler
    csrw mtvec, t2
    li a0, 0
again:
    addi a0, a0, 1
    sd a0, 0(t1)
    call function
    ld a2, 8(t1)
    addi t3, t1, 16
    amoadd.d a3, a0, (t3)
    j again
function:
    addi a1, a0, 5
    ret
other:
    wfi
    j other
.balign 4
handler: mret
"""

# Arguments of the machine, what gdb is told, what it must say, in this order.
SESSIONS = [
    (['-smp', '2'],
     ['print/x $pc', 'info threads', 'break function', 'continue', 'backtrace 1', 'print $a0', 'continue', 'print $a0',
      'delete',
      'watch *(long *)0x80001000', 'continue', 'delete', 'print/x $pc', 'stepi', 'print $pc', 'print/x $mtvec',
      'print/x $misa', 'print $priv', 'set $mscratch = 0x1234', 'print/x $mscratch', 'set $mtvec = 0x80000100',
      'print/x $mtvec', 'thread 2', 'print $mhartid', 'info symbol $pc'],
     [r'= 0x1000\n', r'Thread 1\.1 \(CPU#0', r'Thread 1\.2 \(CPU#1', r'hit Breakpoint 1, function', r'#0  function',
      r'\$2 = 1\n', r'hit Breakpoint 1, function', r'\$3 = 2\n', r'Hardware watchpoint 2',
      r'Old value = 2\nNew value = 3',
      r'= 0x\w+\n', r'= 0x8000\w+\n', r'= 0x\w+14112d\n', r'= 3\n', r'= 0x1234\n', r'= 0x80000100\n',
      r'thread 2', r'= 1\n', r'other']),
    ([],
     ['hbreak *&again', 'continue', 'delete', 'stepi', 'stepi', 'x/gx 0x80001000', 'maintenance packet qqemu.sstepbits',
      'maintenance packet qqemu.sstep', 'maintenance packet Qqemu.sstep=1', 'maintenance packet qqemu.sstep',
      'maintenance packet Qqemu.sstep=99', 'maintenance packet qqemu.PhyMemMode',
      'maintenance packet Qqemu.PhyMemMode:1',
      'maintenance packet qqemu.PhyMemMode', 'set var *(int *)0x80002000 = 77', 'print *(int *)0x80002000',
      'print *(int *)0x10', 'maintenance packet Qqemu.PhyMemMode:0', 'rwatch *(long *)0x80001008', 'continue',
      'delete', 'awatch *(long *)0x80001010', 'continue', 'continue', 'delete',
      'rwatch *(long *)0x80001000', 'tbreak function', 'continue', 'delete'],
     [r'hit Breakpoint 1|Breakpoint 1, again', r'0x80001000:\s+0x0*1\n', r'ENABLE=1,NOIRQ=2,NOTIMER=4', r'"0x7"',
      r'"OK"',
      r'"0x1"', r'"E22"', r'"0"', r'"OK"', r'"1"', r'= 77\n', r'Cannot access memory|= 0',
      r'ead watchpoint 2', r'Value = 0\n', r'ccess \(read/write\) watchpoint 3', r'Old value = 0\nNew value = 1\n',
      r'Old value = 1\nNew value = 3\n', r'ead watchpoint 4', r'Temporary breakpoint 5, function']),
    (['-smp', '2', '-accel', 'tcg,thread=single'], ['break function', 'continue', 'stepi', 'print $a1'],
     [r'Breakpoint 1, function', r'= 6\n']),
]


def machine(emulator, *arguments, **more):
    return multiarch.running(emulator, '-M', 'virt', '-display', 'none', *arguments, **more)


def gdb(folder, path, commands, file='file program'):
    return multiarch.gdb(['set arch riscv:rv64', file, f'target remote {path}', *commands], folder)


def expect(text, wanted):
    multiarch.expect_in_order(text, wanted, 'gdb')


def sessions(emulator, folder):
    path = os.path.join(folder, 'socket')
    for more, commands, wanted in SESSIONS:
        with machine(emulator, '-m', '64', '-bios', 'none', '-kernel', os.path.join(folder, 'program'), '-serial',
                     'none',
                     '-monitor', 'none', '-S', '-gdb', f'unix:{path},server=on,wait=off', *more) as process:
            multiarch.wait_for(path)
            expect(gdb(folder, path, [*commands, 'kill']), wanted)
            if process.wait(60):
                sys.exit(f'the machine ended with {process.returncode}')


def by_monitor(emulator, folder):
    """A machine that runs already: gdb stops it, leaves, and comes again."""
    path = os.path.join(folder, 'late')
    with machine(emulator, '-m', '64', '-bios', 'none', '-kernel', os.path.join(folder, 'program'), '-serial', 'none',
                 '-monitor', 'stdio', stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdin.write(f'gdbserver "unix:{path}"\n'.encode())
        process.stdin.flush()
        multiarch.wait_for(path)
        for _ in range(2):
            expect(gdb(folder, path, ['break function', 'continue', 'print $a0 > 0', 'detach']),
                   [r'Breakpoint 1, function', r'= 1\n', 'detached'])
        process.stdin.write(b'info status\ngdbserver none\ngdbserver nobody:x\nquit\n')
        process.stdin.flush()
        text = process.communicate(timeout=60)[0].decode(errors='replace')
        expect(text, [r"Waiting for gdb connection on device 'unix:", r'VM status: running', r'Disabled gdbserver',
                      r"not 'nobody:x'"])


def kernel(emulator, folder, guest):
    path = os.path.join(folder, 'kernel')
    with machine(emulator, '-smp', '2', '-m', '1G', '-serial', 'stdio', '-monitor', 'none', '-no-reboot', '-kernel',
                 os.path.join(guest, 'linux'), '-initrd', os.path.join(guest, 'initrd.gz'), '-append',
                 'console=ttyS0 myna.batch', '-S', '-gdb', f'unix:{path}', stdin=subprocess.DEVNULL,
                 stdout=subprocess.PIPE) as process:
        multiarch.wait_for(path)
        text = gdb(folder, path, ['hbreak *0x80200000', 'continue', 'print $priv', 'print/x $satp', 'stepi', 'stepi',
                                  'info threads', 'delete', 'detach'], 'show version')
        expect(text, [r'hit Breakpoint 1, 0x0*80200000', r'= 1\n', r'= 0x0\n', r'0x0*80200002', r'Thread 1\.2',
                      'detached'])
        output = process.communicate(timeout=280)[0].decode(errors='replace')
        if 'Power down' not in output or process.returncode:
            sys.exit(f'the kernel did not come to its end: {output[-2000:]}')


def main():
    emulator, compiler = os.path.abspath(sys.argv[1]), sys.argv[2]
    guest = os.environ.get('MYNA_GUEST_RISCV64')
    if not shutil.which(compiler):
        sys.exit(77)
    with multiarch.short_folder() as folder:
        subprocess.run([compiler, '-g', '-nostdlib', '-static', '-Wl,-Ttext=0x80000000', '-Wl,--build-id=none', '-x',
                        'assembler', '-', '-o', 'program'], cwd=folder, input=SOURCE.encode(), check=True)
        sessions(emulator, folder)
        by_monitor(emulator, folder)
        if guest:
            kernel(emulator, folder, guest)


if __name__ == '__main__':
    main()
