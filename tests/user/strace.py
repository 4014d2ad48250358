#!/usr/bin/env python3
"""Looks at what -strace prints of a program.

    strace.py MYNA_USER GUEST_COMPILER

Exit status 77 (skipped) where there is no compiler for the guest.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

SOURCE = r"""
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
int main(void)
{
    struct timespec time = { 0, 1000 };
    struct stat status;
    open("/nowhere/at/all", O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    signal(SIGUSR1, SIG_IGN);
    kill(getpid(), SIGUSR1);
    nanosleep(&time, NULL);
    fstat(0, &status);
    return 0;
}
"""
WANTED = [
    r'openat\(AT_FDCWD,"/nowhere/at/all",O_RDWR\|O_CREAT\|O_CLOEXEC,0640\)', r'openat = -1 errno=2 \(No such file',
    r'mmap\(0,4096,PROT_READ\|PROT_WRITE,MAP_PRIVATE\|MAP_ANONYMOUS,-1,0\)', r'mmap = 0x[0-9a-f]+',
    r'rt_sigaction\(SIGUSR1,', r'kill\(\d+,SIGUSR1\)', r'\{tv_sec=0,tv_nsec=1000\}', r'\{st_dev=\d+,st_ino=\d+,st_mode=',
    r'exit_group\(0\)',
]


def main():
    emulator, compiler = os.path.abspath(sys.argv[1]), sys.argv[2]
    if not shutil.which(compiler):
        sys.exit(77)
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, 'program.c'), 'w', encoding='utf-8') as file:
            file.write(SOURCE)
        subprocess.run([compiler, '-static', 'program.c', '-o', 'program'], cwd=folder, check=True)
        done = subprocess.run([emulator, '-strace', './program'], cwd=folder, check=True, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    text = done.stdout.decode()
    for pattern in WANTED:
        if not re.search(pattern, text):
            sys.exit(f'{pattern} is not in: {text}')


if __name__ == '__main__':
    main()
