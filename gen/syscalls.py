#!/usr/bin/env python3
"""Writes docs/syscalls.md: what becomes of each of Linux's system calls in user mode.

    syscalls.py SOURCE_FOLDER            prints it
    syscalls.py SOURCE_FOLDER --check    fails where docs/syscalls.md is another, or no test makes a call

From src/user/syscalls.def (how), src/user/riscv/numbers*.def (for whom).
"""
import os
import re
import sys

# Why calls are refused: by function, or by name.
REASONS = {
    'deny': 'EPERM, as in a container: it is about the host or other processes',
    'io_uring_setup': 'ENOSYS: its rings hold addresses that nobody could check; programs fall back to epoll',
    'io_uring_enter': 'ENOSYS: as io_uring_setup',
    'io_uring_register': 'ENOSYS: as io_uring_setup',
    'seccomp': 'EINVAL, as of a kernel without filters: they are written for the guest\'s numbers, and would not '
               'outlive execve',
    'ptrace': 'EPERM: a debugger would see the emulator; -g serves',
    'userfaultfd': 'ENOSYS: its faults are the host\'s',
    'map_shadow_stack': 'ENOSYS: the processor has none',
    'rseq_slice_yield': 'ENOSYS: nobody is given longer slices',
    'lookup_dcookie': 'ENOSYS: gone since Linux 6.7',
    'nfsservctl': 'ENOSYS: gone since Linux 3.1',
    'pkey_alloc': 'ENOSPC: the processor has no keys of memory',
    'pkey_free': 'EINVAL: there is none to free',
}
NEWER = 'ENOSYS: as of an older kernel; libc falls back'
ROW = re.compile(r'^SYSCALL\((\w+), (\w+), \w+(?:, (.*))?\)$')
NUMBER = re.compile(r'^SYSCALL\((\d+), (\w+)\)$')
SECTION = re.compile(r'^/\* (.*?)\.? \*/$')


def read_lines(*parts):
    with open(os.path.join(*parts), encoding='utf-8') as file:
        return file.read().splitlines()


def numbers(root, bits):
    found = {}
    for line in read_lines(root, 'src/user/riscv', f'numbers{bits}.def'):
        match = NUMBER.match(line)
        if match:
            found[match.group(2)] = int(match.group(1))
    return found


# What libc makes a call by, where its name is another.
BY_LIBC = {
    'newfstatat': 'stat', 'openat': 'open', 'epoll_pwait': 'epoll_wait', 'ppoll': 'poll', 'pselect6': 'select',
    'clone': 'fork', 'exit_group': 'exit', 'rt_sigaction': 'sigaction', 'rt_sigprocmask': 'sigprocmask',
    'rt_sigsuspend': 'sigsuspend', 'rt_sigtimedwait': 'sigtimedwait', 'rt_sigqueueinfo': 'sigqueue', 'brk': 'sbrk',
    'pipe2': 'pipe', 'dup3': 'dup2', 'eventfd2': 'eventfd', 'signalfd4': 'signalfd', 'inotify_init1': 'inotify_init',
    'prlimit64': 'getrlimit', 'mq_timedsend': 'mq_send', 'mq_timedreceive': 'mq_receive', 'mq_getsetattr': 'mq_getattr',
    'futex': 'pthread_mutex_lock', 'rt_sigreturn': 'sigaction', 'unlinkat': 'unlink', 'mkdirat': 'mkdir',
    'wait4': 'wait',
    'set_tid_address': 'fork', 'exit': 'pthread_join', 'sendto': 'send', 'recvfrom': 'recv', 'readlinkat': 'readlink',
    'clock_nanosleep': 'usleep', 'renameat2': 'rename', 'execve': 'execl', 'pread64': 'pread', 'pwrite64': 'pwrite',
    'riscv_flush_icache': '__builtin___clear_cache', '_llseek': 'lseek',
}


USES = re.compile(r'\bSYS_(\w+)|\bsyscall\((?:SYS_)?(\w+)|\b(?:CALL|WIDE)\((\w+),|\bINSTEAD\(\w+, (\w+),|\b(\w+)\(')
COMMENT = re.compile(r'/\*(.*?)\*/', re.DOTALL)


def uses(text):
    """The calls that a program makes: what it calls, what it gives syscall, and what its comments say of a number."""
    found = {name for match in USES.findall(text) for name in match if name}
    found |= {re.sub('_2$', '', name.lower()) for name in found if name.isupper() or name.endswith('_2')}
    return found | {word for comment in COMMENT.findall(text) for word in re.findall(r'\w+', comment)}


def tests(root):
    folder = os.path.join(root, 'tests/user')
    return [uses('\n'.join(read_lines(folder, name))) for name in os.listdir(folder)
            if name.endswith('.c') and name not in ('unit.c', 'bare.c')]


def is_made(name, sources):
    return any(name in used or BY_LIBC.get(name) in used for used in sources)


def treatment(name, function):
    if function in ('refuse', 'deny') or name in REASONS:
        return 'refused', REASONS.get(name) or REASONS.get(function) or NEWER
    return ('right', 'the host\'s, with its arguments converted' if function == 'forward' else 'done here')


def render(root):
    wide, narrow, sources = numbers(root, 64), numbers(root, 32), tests(root)
    lines = ['# System calls', '',
             'What becomes of each call in user mode. Made by `gen/syscalls.py`; a test holds it to the tables.',
             '"right" means: what Linux gives, to programs of 64 and, where the number stands, 32 bits. Each is made',
             'by a program of `tests/user`, which prints the same on the host and on the guest; `reached.py` fails',
             'where a call that is not refused succeeds in none, `covered.py` where a pointer is not given in every',
             'bad way.']
    for line in read_lines(root, 'src/user/syscalls.def'):
        section, row = SECTION.match(line), ROW.match(line)
        if section:
            lines += ['', f'## {section.group(1)}', '', '| call | 64 | 32 | | how |', '|---|---|---|---|---|']
        elif row:
            name, function, _ = row.groups()
            verdict, how = treatment(name, function)
            if name not in wide and name not in narrow:
                sys.exit(f'{name}: no guest has a number for it')
            if not is_made(name, sources):
                sys.exit(f'{name}: no program of tests/user makes it')
            lines.append(f'| {name} | {wide.get(name, "")} | {narrow.get(name, "")} | {verdict} | {how} |')
    return '\n'.join(lines) + '\n'


def main():
    root = sys.argv[1]
    text = render(root)
    if '--check' not in sys.argv[2:]:
        sys.stdout.write(text)
        return
    with open(os.path.join(root, 'docs/syscalls.md'), encoding='utf-8') as file:
        if file.read() != text:
            sys.exit('docs/syscalls.md is out of date: gen/syscalls.py . > docs/syscalls.md')


if __name__ == '__main__':
    main()
