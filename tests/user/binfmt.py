#!/usr/bin/env python3
"""Registers the emulator with binfmt_misc in a user namespace of its own, runs a program by itself, checks,
unregisters.

    binfmt.py MYNA_USER GUEST_COMPILER SOURCE

Exit status 77 (skipped) where there is no compiler for the guest, or such namespaces may not be had.
"""
import os
import shutil
import subprocess
import sys
import tempfile

import surroundings

SCRIPT = r"""
PATH=$PATH:/usr/sbin # where chroot is, which the PATH of a user need not name
mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc || exit 77
cd "$2"
"$1" --check riscv64 && exit 10
"$1" --register riscv64 riscv32 || exit 11
"$1" --check || exit 12
(exec -a "another name" ./program one) > by-f || exit 13
chroot . /program again > by-chroot || exit 21 # where there is no /proc to find the emulator by
"$1" --register --flags POCF riscv64 || exit 14
(exec -a "another name" ./program one) > by-p || exit 15
"$1" --check riscv64 || exit 16
"$1" --register --flags X && exit 17
"$1" --register --flags && exit 22
"$1" --register --wrong && exit 23
echo 0 > /proc/sys/fs/binfmt_misc/status
"$1" --check riscv64 && exit 24
echo 1 > /proc/sys/fs/binfmt_misc/status
mkdir "a:b c" && cp "$1" "a:b c/emulator" && "a:b c/emulator" --register riscv64 || exit 25
./program > /dev/null || exit 26
"$1" --unregister || exit 18
"$1" --check riscv64 && exit 19
./program > /dev/null 2>&1 && exit 20
mount -t tmpfs tmpfs /proc/sys/fs/binfmt_misc # the machine's own may show where ours is taken away
for word in --register --unregister --check; do "$1" $word && exit 27; done
exit 0
"""

SOURCE = r"""
#include <stdio.h>
#include <string.h>
#include <unistd.h>
int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "again")) {
        execl("/program", "program", "over", NULL);
        perror("execl");
        return 1;
    }
    printf("%s %s\n", argv[0], argc > 1 ? argv[1] : "");
    return 0;
}
"""


def main():
    surroundings.settle()
    emulator, compiler = os.path.abspath(sys.argv[1]), sys.argv[2]
    if not shutil.which(compiler) or not shutil.which('unshare'):
        sys.exit(77)
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, 'program.c'), 'w', encoding='utf-8') as file:
            file.write(SOURCE)
        subprocess.run([compiler, '-static', 'program.c', '-o', 'program'], cwd=folder, check=True)
        done = subprocess.run(['unshare', '-U', '-r', '-m', 'bash', '-c', SCRIPT, 'bash', emulator, folder],
                              check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        text = done.stdout.decode()
        if done.returncode == 77 or 'unshare' in text:
            sys.exit(77)
        if done.returncode:
            sys.exit(f'step {done.returncode}: {text}')
        results = [open(os.path.join(folder, name), encoding='utf-8').read() for name in ('by-f', 'by-p', 'by-chroot')]
    if not results[0].endswith('/program one\n') or results[1] != 'another name one\n' or \
            results[2] != '/program over\n' or 'flags POCF' not in text:
        sys.exit(f'{results}: {text}')


if __name__ == '__main__':
    main()
