#!/usr/bin/env python3
"""Paths below -L and QEMU_LD_PREFIX: links with absolute targets lead to files below it, as under chroot.

    prefix.py MYNA_USER GUEST_COMPILER SOURCE

Exit status 77 (skipped) where there is no compiler for the guest.
"""
import os
import shutil
import subprocess
import sys
import tempfile

import surroundings

FILES = {'real/file': 'inside', 'folder/deep/file': 'deep', 'only/here': 'here'}
LINKS = {
    'absolute': '/real/file', 'relative': 'real/file', 'shelf': '/folder', 'folder/up': '../../../real/file',
    'twice': '/absolute', 'loop': '/loop', 'dangling': '/not/there', 'alternatives': '/shelf/deep',
}
# Path, or folder and path from there; what is found: text, kind, size, where it leads to, readable, opened without
# following; by openat2 as it is, without links, beneath, as root. From a folder all is said twice: by its descriptor,
# and there.
CASES = [
    ('/real/file', 'inside|file|6||yes|yes|1100'),
    ('/absolute', 'inside|link|6|/real/file|yes|no|1000'),
    ('/relative', 'inside|link|6|real/file|yes|no|1000'),
    ('/twice', 'inside|link|6|/absolute|yes|no|1000'),
    ('/shelf/deep/file', 'deep|file|4||yes|yes|1000'),
    ('/alternatives/file', 'deep|file|4||yes|yes|1000'),
    ('/folder/up', 'inside|link|6|../../../real/file|yes|no|1000'),
    ('/shelf/../only/here', 'here|file|4||yes|yes|1000'),
    ('/loop', '|link|-1|/loop|no|no|0000'),
    ('/dangling', '|link|-1|/not/there|no|no|0000'),
    ('/only/missing', '|none|-1||no|no|0000'),
    ('ROOT/absolute', 'inside|link|6|/real/file|yes|no|1000'),
    ('ROOT/shelf/deep/file', 'deep|file|4||yes|yes|1000'),
    ('/:real/file', 'inside|file|6||yes|yes|1111'),
    ('/:absolute', 'inside|link|6|/real/file|yes|no|1001'),
    ('/:../../../real/file', 'inside|file|6||yes|yes|1001'),
    ('/:run/../loop', '|link|-1|/loop|no|no|0000'),
    ('/:dangling', '|link|-1|/not/there|no|no|0000'),
    ('/folder:up', 'inside|link|6|../../../real/file|yes|no|1000'),
    ('/folder:../shelf/deep/file', 'deep|file|4||yes|yes|1000'),
    ('/folder/deep:../up', 'inside|link|6|../../../real/file|yes|no|1000'),
    ('/only:here', 'here|file|4||yes|yes|1111'),
    ('/only:missing', '|none|-1||no|no|0000'),
]


def make_root(root, program):
    for name, text in FILES.items():
        os.makedirs(os.path.dirname(f'{root}/{name}'), exist_ok=True)
        with open(f'{root}/{name}', 'w', encoding='utf-8') as file:
            file.write(text)
    for name, target in LINKS.items():
        os.symlink(target, f'{root}/{name}')
    os.makedirs(f'{root}/run')
    shutil.copy(program, f'{root}/run/again')
    os.symlink('/run/again', f'{root}/run/interpreter')
    with open(f'{root}/real/script', 'w', encoding='utf-8') as file:
        file.write('#!/run/interpreter /absolute\n')
    os.chmod(f'{root}/real/script', 0o755)
    os.symlink('/real/script', f'{root}/run/script')


def main():
    surroundings.settle()
    emulator, compiler, source = os.path.abspath(sys.argv[1]), *sys.argv[2:4]
    if not shutil.which(compiler):
        sys.exit(77)
    with tempfile.TemporaryDirectory() as folder:
        program, root = f'{folder}/program', f'{folder}/root'
        subprocess.run([compiler, '-O1', '-w', '-static', source, '-o', program], check=True)
        make_root(root, program)
        paths = [path.replace('ROOT', root) for path, _ in CASES]
        wanted = [text for path, text in CASES for _ in range(2 if ':' in path else 1)]
        wanted.append(CASES[1][1]) # by the program that the script names
        for command, environment in ((['-L', root], {}), (['-L', f'{root}//'], {}), (['-L', 'root'], {}),
                                     ([], {'QEMU_LD_PREFIX': root})):
            done = subprocess.run([emulator, *command, program, *paths], env=environment, stdout=subprocess.PIPE,
                                  timeout=60, check=False, cwd=folder)
            lines = done.stdout.decode().splitlines()
            if done.returncode or lines[:len(wanted)] != wanted:
                sys.exit(f'{command} {environment}: {lines}, wanted {wanted}')


if __name__ == '__main__':
    main()
