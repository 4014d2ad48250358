#!/usr/bin/env python3
"""Fails where there is a system call that none of the programs here makes with success.

    reached.py MYNA_USER GUEST_COMPILER SYSCALLS_DEF GEN_FOLDER PROGRAM.c...

What they print is another test's (same.py). Exit status 77 (skipped) where there is no compiler for the guest.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

ROW = re.compile(r'^SYSCALL\((\w+), (\w+),', re.MULTILINE)
LINE = re.compile(r'^\d+ (?:<\.\.\. )?(\w+)(?: resumed>|\().* = (\S+)', re.MULTILINE)
# Why a call may have failed always: what it does to the machine, or lacks on some; or no result is its success.
EXCUSED = {
    'acct': 'the machine\'s', 'clock_settime': 'the machine\'s', 'settimeofday': 'the machine\'s',
    'quotactl': 'needs a file system with quotas', 'quotactl_fd': 'needs a file system with quotas',
    'reboot': 'the machine\'s', 'swapon': 'the machine\'s', 'swapoff': 'the machine\'s', 'vhangup': 'the terminal\'s',
    'syslog': 'needs rights', 'listns': 'since Linux 6.19', 'lsm_set_self_attr': 'needs a policy',
    'lsm_get_self_attr': 'needs a policy', 'io_cancel': 'EINPROGRESS is its success',
    'process_mrelease': 'the process may have ended by then', 'rt_sigsuspend': 'EINTR is its success',
    'restart_syscall': 'is the kernel\'s own', '_llseek': 'of 32 bits',
    'statfs64': 'of 32 bits', 'fstatfs64': 'of 32 bits', 'exit': 'does not return', 'exit_group': 'does not return',
    'execve': 'does not return', 'execveat': 'does not return', 'rt_sigreturn': 'does not return',
}
TRIES = 3 # the lines of two processes may mix
# What programs here do in namespaces of their own, which a chroot may not have.
IN_NAMESPACES = {'mount', 'umount2', 'pivot_root', 'open_tree', 'move_mount', 'fsconfig', 'fsmount', 'fspick', 'setns',
                 'sethostname', 'setdomainname', 'open_tree_attr'}
# What a kernel may lack, or forbid in a container: what Linux says then is no failure of ours.
LACKING = re.compile(r'errno=(38|1|95|13) ')


def refused(gen, definitions):
    sys.path.insert(0, gen)
    sys.dont_write_bytecode = True
    import syscalls
    return {name for name, function in ROW.findall(definitions) if syscalls.treatment(name, function)[0] == 'refused'}


def look(emulator, compiler, sources, good, lacking):
    """Runs the programs, and adds the calls that succeed and those that the kernel lacks."""
    with tempfile.TemporaryDirectory() as folder:
        for source in sources:
            program, log = os.path.join(folder, 'program'), os.path.join(folder, 'log')
            subprocess.run([compiler, '-O1', '-w', '-D_GNU_SOURCE', '-pthread', '-static', source, '-o', program,
                            '-lm'], check=True)
            subprocess.run([emulator, '-strace', '-D', log, program, 'one', 'two'], stdin=subprocess.DEVNULL,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=200, check=False)
            with open(log, encoding='utf-8', errors='replace') as file:
                for match in LINE.finditer(file.read()):
                    (good if match[2] != '-1' else lacking if LACKING.search(match[0]) else set()).add(match[1])


def main():
    emulator, compiler, definitions, gen = os.path.abspath(sys.argv[1]), *sys.argv[2:5]
    if not shutil.which(compiler):
        sys.exit(77)
    with open(definitions, encoding='utf-8') as file:
        definitions = file.read()
    good, lacking = set(), set()
    excused = refused(gen, definitions) | set(EXCUSED)
    if subprocess.run(['unshare', '-U', '-r', 'true'], stderr=subprocess.DEVNULL, check=False).returncode:
        excused |= IN_NAMESPACES
    missing = [name for name, _ in ROW.findall(definitions) if name not in excused]
    for _ in range(TRIES):
        look(emulator, compiler, sys.argv[5:], good, lacking)
        missing = [name for name in missing if name not in good and name not in lacking]
        if not missing:
            break
    sys.exit('never made with success: ' + ', '.join(missing) if missing else 0)


if __name__ == '__main__':
    main()
