#!/usr/bin/env python3
"""Debugs a program by the remote protocol: breakpoints, steps, threads, watchpoints, system calls, signals, the end.

    gdb.py MYNA_USER GUEST_COMPILER

First by packets of our own, then by gdb-multiarch: threads, watchpoints, files of the target, children of fork and
vfork, new programs. And what gdb-multiarch makes of a core. Exit status 77 (skipped) where there is no compiler for the
guest.
"""
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time

import surroundings

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'gdb'))
import multiarch  # noqa: E402

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
        for _ in range(1200):
            self.socket = socket.socket(socket.AF_UNIX)
            try:
                self.socket.connect(path)
                break
            except OSError:
                self.socket.close()
                time.sleep(0.05)
        else:
            sys.exit(f'nobody listens at {path}')
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
                return re.sub(rb'\}(.)', lambda m: bytes([m.group(1)[0] ^ 32]), match.group(1),
                              flags=re.S).decode('latin1')
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


def files(stub, folder):
    """Files are written, read and removed by the debugger."""
    path = os.path.join(folder, 'put')
    name = path.encode().hex()
    expect(stub.ask(f'vFile:open:{name},0,0'), 'F-1,2$', 'a file that is none')
    expect(stub.ask(f'vFile:open:{name},601,1a4'), 'F0$', 'a new file')
    expect(stub.ask('vFile:pwrite:0,0,one '), 'F4$', 'writing')
    expect(stub.ask('vFile:pwrite:0,4,two}\x03'), 'F4$', 'writing what is escaped')
    expect(stub.ask('vFile:pwrite:7,0,x'), 'F-1,9$', 'a file that is not open')
    expect(stub.ask('vFile:close:0'), 'F0$', 'closing')
    with open(path, encoding='utf-8') as file:
        assert file.read() == 'one two#' and os.stat(path).st_mode & 0o777 & ~0o644 == 0
    expect(stub.ask(f'vFile:unlink:{name}'), 'F0$', 'removing')
    expect(stub.ask(f'vFile:unlink:{name}'), 'F-1,2$', 'removing it again')


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
    for unknown in 'vNothing', 'QNonStop:1', 'bc', 'bs':
        assert stub.ask(unknown) == ''
    expect(stub.ask('vCont;c'), 'W2d', 'to the end')


def interrupted(emulator, folder):
    """A program that waits in a system call is stopped by a byte, then killed; one without a standard input."""
    with open(os.path.join(folder, 'wait.c'), 'w', encoding='utf-8') as file:
        file.write('#include <unistd.h>\nint main(void) { for (;;) { pause(); } }\n')
    subprocess.run([sys.argv[2], '-static', 'wait.c', '-o', 'wait'], cwd=folder, check=True)
    path = os.path.join(folder, 'wait.socket')
    with multiarch.running(emulator, '-g', path, os.path.join(folder, 'wait'),
                           preexec_fn=lambda: os.closerange(0, 1)) as process:
        stub = Stub(path)
        stub.send('vCont;c')
        time.sleep(0.3)
        stub.socket.sendall(b'\x03')
        expect(stub.receive(), 'T02thread:', 'the interrupt')
        stub.send('k')
        process.wait(20)


CHILDREN = r"""
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
volatile int watched, table[4];
__attribute__((noinline)) void in_child(int n) { watched = n; }
__attribute__((noinline)) void in_parent(int n) { watched = n; }
__attribute__((noinline)) int deepest(int n) { table[n & 3] = n; return n * 2; }
__attribute__((noinline)) int middle(int n) { return deepest(n + 1) + 1; }
static void *worker(void *argument)
{
    for (int i = 0; i < 3; i++) {
        watched += middle(i);
    }
    return argument;
}
int main(int argc, char **argv)
{
    int status;
    pthread_t threads[2];
    if (argc > 1) {
        return middle(20) == 43 ? 5 : 6;
    }
    signal(SIGUSR1, SIG_IGN);
    signal(SIGUSR2, in_parent);
    if (!fork()) {
        in_child(1);
        _exit(3);
    }
    wait(&status);
    in_parent(WEXITSTATUS(status));
    if (!vfork()) {
        execl(argv[0], argv[0], "again", NULL);
        _exit(9);
    }
    wait(&status);
    in_parent(WEXITSTATUS(status));
    for (int i = 0; i < 2; i++) {
        pthread_create(&threads[i], NULL, worker, NULL);
    }
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
    raise(SIGUSR2);
    return 7;
}
"""

# What gdb is told, what it must say, in this order, and the program's exit status; None: gdb kills it.
SESSIONS = [
    ('a program and its libraries',
     ['break deepest', 'continue', 'bt', 'info sharedlibrary', 'info proc mappings', 'info threads', 'delete',
      'continue'],
     [r'hit Breakpoint 1.*deepest', r'#1 .*middle \(n=n@entry=0\)', r'#2 .*worker', r'Yes.*target:/lib/libc.so.6',
      r'r-xp.*children', r'\[stack\]', r'children\).*deepest', r'SIGUSR2'], None),
    ('steps and watchpoints',
     ['break middle', 'continue', 'watch watched', 'rwatch table[1]', 'delete 1', 'continue', 'continue', 'delete',
      'step',
      'hbreak in_parent', 'continue', 'continue', 'continue'],
     [r'Hardware watchpoint 2: watched', r'Hardware read watchpoint 3', r'Hardware watchpoint 2: watched',
      r'Old value = ', r'New value = ', r'SIGUSR2', r'Breakpoint 4, in_parent \(n=12\)', r'exited with code 07'], 7),
    ('a parent', ['break in_parent', 'continue', 'continue', 'delete', 'handle SIGUSR2 nostop noprint pass',
                  'continue'],
     [r'Detaching after fork', r'in_parent \(n=3\)', r'Detaching after vfork', r'in_parent \(n=5\)',
      r'exited with code 07'], 7),
    ('a child', ['set follow-fork-mode child', 'break in_child', 'continue', 'bt', 'continue'],
     [r'Attaching after .* fork to child', r'Detaching after fork from parent',
      r'Thread 2.1 hit Breakpoint 1.*in_child',
      r'#1 .*main', r'exited with code 03'], 7),
    ('both', ['set detach-on-fork off', 'set schedule-multiple on', 'break in_child', 'continue', 'inferior 1', 'bt',
              'kill inferiors 1 2'],
     [r'New inferior 2', r'Thread 2.1 hit Breakpoint 1', r'Switching to inferior 1', r'#0 '], None),
    ('a new program', ['catch fork', 'catch vfork', 'catch exec', 'continue', 'continue', 'set follow-fork-mode child',
                       'continue', 'break deepest', 'continue', 'bt', 'continue'],
     [r'Catchpoint 1 \(forked process', r'Catchpoint 2 \(vforked process', r'vfork to child',
      r'is executing new program',
      r'deepest \(n=n@entry=21\)', r'#2 .*main', r'exited with code 05'], 7),
    ('a signal', ['continue', 'print $_siginfo.si_signo', 'print $_siginfo._sifields._kill',
                  'set var $_siginfo._sifields._kill.si_uid = 77', 'print $_siginfo._sifields._kill.si_uid', 'detach'],
     [r'SIGUSR2', r'\$1 = 12', r'si_pid = \d+', r'\$2|77', r'detached'], 7),
]


def by_gdb(emulator, folder, session):
    name, commands, wanted, status = session
    path = os.path.join(folder, 'gdb.socket')
    commands = ['set sysroot target:', 'set breakpoint pending on', f'target remote {path}', *commands]
    with multiarch.running(emulator, '-L', '/usr/riscv64-linux-gnu', '-g', path, './children', cwd=folder) as process:
        multiarch.wait_for(path)
        text = multiarch.gdb(commands)
        ended = process.wait(60)
    os.unlink(path)
    multiarch.expect_in_order(text, wanted, f'gdb, {name}')
    if ended != (status if status is not None else -9):
        sys.exit(f'gdb, {name}: the program ended with {ended}\n{text}')


def late(emulator, folder):
    """A debugger that comes while the program runs, cannot follow forks, and leaves again."""
    path = os.path.join(folder, 'late-%d.socket')
    with multiarch.running(emulator, '-g', path + ',suspend=n', os.path.join(folder, 'wait')) as process:
        path = path.replace('%d', str(process.pid))
        multiarch.wait_for(path)
        stub = Stub(path)
        expect(stub.ask('?'), 'T0[25]thread:', 'the program as it is found')
        assert stub.ask('qfThreadInfo') != 'l'
        expect(stub.ask('D'), 'OK', 'leaving')
        stub.socket.close()
        time.sleep(0.1)
        assert process.poll() is None
        process.kill()


CRASH = r"""
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
char data[] = "some data";
static int *nowhere;
static volatile int waiting;
static volatile double number = 2.5;
__attribute__((noinline)) void fall(int depth, double x)
{
    volatile double y = x * number;
    if (depth) {
        fall(depth - 1, y);
    } else if (nowhere) {
        abort();
    } else {
        *(volatile int *)nowhere = depth;
    }
    y = 3;
}
static void *wait_here(void *argument)
{
    waiting = 1;
    for (;;) {
        pause();
    }
    return argument;
}
int main(int argc, char **argv)
{
    pthread_t thread;
    char *heap = strdup("on the heap");
    pthread_create(&thread, 0, wait_here, heap);
    while (!waiting) {
    }
    nowhere = argc > 1 ? (int *)&argc : 0;
    fall(3, 1.5);
    return heap[0];
}
"""


def crash(emulator, folder, limit, *arguments):
    """Where the core goes the host's core_pattern says; None: not into the folder."""
    before = set(os.listdir(folder))
    done = subprocess.run([emulator, '-L', '/usr/riscv64-linux-gnu', './crash', *arguments], cwd=folder, check=False,
                          timeout=100, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (limit, limit)))
    if done.returncode != (-signal.SIGABRT if arguments else -signal.SIGSEGV):
        sys.exit(f'the program that crashes ended with {done.returncode}')
    files = set(os.listdir(folder)) - before
    return os.path.join(folder, files.pop()) if files else None


def cores(emulator, folder):
    with open('/proc/sys/kernel/core_pattern', encoding='utf-8') as file:
        if file.read(1) == '/':
            return
    if crash(emulator, folder, 0):
        sys.exit('a core where the limit is 0')
    core = crash(emulator, folder, 8192)
    if not core or os.path.getsize(core) > 8192:
        sys.exit('no core, or one beyond the limit')
    os.unlink(core)
    commands = ['set sysroot /usr/riscv64-linux-gnu', 'bt', 'print data', 'info threads', 'print $_siginfo.si_signo',
                'info proc mappings', 'info auxv', 'up', 'print number', 'thread 2', 'bt']
    for arguments, name, extra in ([], 'SIGSEGV', []), (['abort'], 'SIGABRT', ['in abort']):
        core = crash(emulator, folder, -1, *arguments)
        done = subprocess.run(['gdb-multiarch', '-nx', '-batch', *[w for c in commands for w in ('-ex', c)], 'crash',
                               core],
                              cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              check=False, timeout=100)
        text, at = done.stdout.decode(errors='replace'), 0
        for pattern in [f'terminated with signal {name}', *extra, 'fall .depth=depth@entry=0',
                        'fall .depth=depth@entry=3',
                        'in main', '"some data"', r'\n  2 .*pause', r'= (11|6)\n', 'libc.so.6', 'AT_ENTRY', r'= 2\.5',
                        'wait_here']:
            match = re.compile(pattern).search(text, at)
            if not match:
                sys.exit(f'the core of {name}: no {pattern!r} where it should be in\n{text}')
            at = match.end()
        os.unlink(core)


def main():
    surroundings.settle()
    emulator, compiler = os.path.abspath(sys.argv[1]), sys.argv[2]
    if not shutil.which(compiler):
        sys.exit(77)
    with multiarch.short_folder() as folder:
        with open(os.path.join(folder, 'program.c'), 'w', encoding='utf-8') as file:
            file.write(SOURCE)
        with open(os.path.join(folder, 'children.c'), 'w', encoding='utf-8') as file:
            file.write(CHILDREN)
        with open(os.path.join(folder, 'crash.c'), 'w', encoding='utf-8') as file:
            file.write(CRASH)
        for name, link in ('program', ['-static']), ('children', []), ('crash', []):
            subprocess.run([compiler, '-g', '-O1', '-pthread', *link, name + '.c', '-o', name], cwd=folder, check=True)
        names = subprocess.run([compiler.replace('gcc', 'nm'), 'program'], cwd=folder, check=True,
                               stdout=subprocess.PIPE).stdout.decode()
        places = {line.split()[2]: int(line.split()[0], 16) for line in names.splitlines() if len(line.split()) == 3}
        path = os.path.join(folder, 'socket')
        with multiarch.running(emulator, '-g', path, os.path.join(folder, 'program')) as process:
            stub = Stub(path)
            files(stub, folder)
            session(stub, places)
            if process.wait(20) != 45:
                sys.exit('another exit status')
        interrupted(emulator, folder)
        late(emulator, folder)
        for one in SESSIONS:
            by_gdb(emulator, folder, one)
        cores(emulator, folder)


if __name__ == '__main__':
    main()
