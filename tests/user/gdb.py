#!/usr/bin/env python3
"""Debugs a program by the remote protocol: breakpoints, steps, threads, watchpoints, system calls, signals, the end.

    gdb.py MYNA_USER GUEST_COMPILER

With gdb-multiarch, where it is installed, also a short session of its own. Exit status 77 (skipped) where there is no
compiler for the guest.
"""
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

SOURCE = r"""
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>
volatile int watched;
void *worker(void *argument) { for (int i = 0; i < 3; i++) { watched += 2; } return 0; }
__attribute__((noinline)) int add(int a, int b) { watched = 0; return a + b; }
int main(void)
{
    pthread_t thread;
    int sum = add(2, 3);
    pthread_create(&thread, NULL, worker, NULL);
    pthread_join(thread, NULL);
    getppid();
    signal(SIGUSR1, SIG_IGN);
    raise(SIGUSR2);
    return sum + 2;
}
"""


class Stub:
    def __init__(self, path):
        for _ in range(200):
            self.socket = socket.socket(socket.AF_UNIX)
            try:
                self.socket.connect(path)
                break
            except OSError:
                time.sleep(0.05)
        self.buffer = b''
        assert 'vContSupported+' in self.ask('qSupported:swbreak+')
        assert self.ask('QStartNoAckMode') == 'OK'

    def send(self, text):
        data = text.encode()
        self.socket.sendall(b'$' + data + b'#%02x' % (sum(data) & 255))

    def receive(self):
        while True:
            match = re.search(rb'\$(.*?)#(..)', self.buffer, re.S)
            if match:
                self.buffer = self.buffer[match.end():]
                return re.sub(rb'\}(.)', lambda m: bytes([m.group(1)[0] ^ 32]), match.group(1), flags=re.S).decode('latin1')
            data = self.socket.recv(65536)
            if not data:
                raise SystemExit('the connection ended')
            self.buffer += data

    def ask(self, text):
        self.send(text)
        return self.receive()

    def register(self, number):
        return int.from_bytes(bytes.fromhex(self.ask(f'p{number:x}')), 'little')


def expect(got, wanted, what):
    if not re.match(wanted, got):
        sys.exit(f'{what}: {got!r}, not {wanted!r}')


def session(stub, places):
    x10, pc = 10, 32
    expect(stub.ask('?'), 'T05thread:', 'the start')
    expect(stub.ask('qXfer:features:read:target.xml:0,fff'), r'[lm]<\?xml', 'the description')
    expect(stub.ask(f'Z0,{places["add"]:x},2'), 'OK', 'a breakpoint')
    code = stub.ask(f'm{places["add"]:x},4')
    expect(stub.ask('vCont;c'), 'T05thread:.*swbreak', 'to the breakpoint')
    assert stub.register(pc) == places['add'] and stub.register(x10) == 2
    assert code == stub.ask(f'm{places["add"]:x},4') and not code.startswith('0290')
    first = stub.ask('qC')[2:]
    expect(stub.ask(f'P{x10:x}={(40).to_bytes(8, "little").hex()}'), 'OK', 'changing an argument')
    expect(stub.ask(f'z0,{places["add"]:x},2'), 'OK', 'no breakpoint')
    expect(stub.ask(f'vCont;s:{first}'), 'T05thread:', 'a step')
    assert 0 < stub.register(pc) - places['add'] <= 4
    expect(stub.ask(f'Z2,{places["watched"]:x},4'), 'OK', 'a watchpoint')
    expect(stub.ask('vCont;c'), 'T05thread:.*watch:', 'to the store of the other thread')
    assert stub.ask(f'm{places["watched"]:x},4') == '02000000'
    threads = stub.ask('qfThreadInfo')[1:].split(',')
    assert len(threads) == 2 and first in threads and stub.ask('qsThreadInfo') == 'l'
    expect(stub.ask(f'z2,{places["watched"]:x},4'), 'OK', 'no watchpoint')
    expect(stub.ask('QCatchSyscalls:1;ad'), 'OK', 'catching getppid')
    expect(stub.ask('vCont;c'), 'T05thread:.*syscall_entry:ad', 'to the call')
    expect(stub.ask('vCont;c'), 'T05thread:.*syscall_return:ad', 'from the call')
    expect(stub.ask('QCatchSyscalls:0'), 'OK', 'catching none')
    expect(stub.ask('vCont;c'), 'T1fthread:', 'to the signal')
    assert stub.ask('qXfer:siginfo:read::0,80')[1] == chr(12)
    expect(stub.ask('m8,4'), 'E', 'memory that is none')
    expect(stub.ask('Hgffff'), 'E', 'a thread that is none')
    assert stub.ask('vNothing') == ''
    expect(stub.ask('vCont;c'), 'W2d', 'to the end')


def interrupted(emulator, folder):
    """A program that waits in a system call is stopped by a byte, then killed."""
    with open(os.path.join(folder, 'wait.c'), 'w', encoding='utf-8') as file:
        file.write('#include <unistd.h>\nint main(void) { for (;;) { pause(); } }\n')
    subprocess.run([sys.argv[2], '-static', 'wait.c', '-o', 'wait'], cwd=folder, check=True)
    path = os.path.join(folder, 'wait.socket')
    with subprocess.Popen([emulator, '-g', path, os.path.join(folder, 'wait')]) as process:
        stub = Stub(path)
        stub.send('vCont;c')
        time.sleep(0.3)
        stub.socket.sendall(b'\x03')
        expect(stub.receive(), 'T02thread:', 'the interrupt')
        stub.send('k')
        process.wait(20)


def by_gdb(emulator, folder):
    path = os.path.join(folder, 'gdb.socket')
    commands = [f'target remote {path}', 'break worker', 'continue', 'info threads', 'bt 1', 'delete', 'continue',
                'signal 0']
    with subprocess.Popen([emulator, '-L', '/usr/riscv64-linux-gnu', '-g', path, os.path.join(folder, 'dynamic')]) as process:
        time.sleep(0.5)
        done = subprocess.run(['gdb-multiarch', '-nx', '-batch', '-ex', 'set sysroot /usr/riscv64-linux-gnu',
                               *[word for command in commands for word in ('-ex', command)],
                               os.path.join(folder, 'dynamic')], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              check=False, timeout=100)
        text = done.stdout.decode()
        if process.wait(20) != 7 or 'worker' not in text or 'SIGUSR2' not in text:
            sys.exit(f'gdb: {text}')


def main():
    emulator, compiler = os.path.abspath(sys.argv[1]), sys.argv[2]
    if not shutil.which(compiler):
        sys.exit(77)
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, 'program.c'), 'w', encoding='utf-8') as file:
            file.write(SOURCE)
        for name, link in ('program', ['-static']), ('dynamic', []):
            subprocess.run([compiler, '-g', '-O1', '-pthread', *link, 'program.c', '-o', name], cwd=folder, check=True)
        names = subprocess.run([compiler.replace('gcc', 'nm'), 'program'], cwd=folder, check=True,
                               stdout=subprocess.PIPE).stdout.decode()
        places = {line.split()[2]: int(line.split()[0], 16) for line in names.splitlines() if len(line.split()) == 3}
        path = os.path.join(folder, 'socket')
        with subprocess.Popen([emulator, '-g', path, os.path.join(folder, 'program')]) as process:
            session(Stub(path), places)
            if process.wait(20) != 45:
                sys.exit('another exit status')
        interrupted(emulator, folder)
        if shutil.which('gdb-multiarch'):
            by_gdb(emulator, folder)


if __name__ == '__main__':
    main()
