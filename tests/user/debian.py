#!/usr/bin/env python3
"""Runs Debian's programs for riscv64 and looks at what they print.

    debian.py MYNA_USER [RUNS]

The programs are those that tools/guest-debian-riscv64 unpacks: in MYNA_GUEST_DEBIAN, or else in .cache of the source
folder. Without them the test is skipped (77); those that the `large` set alone has are left out where they are missing.
"""
import os
import subprocess
import sys
import tempfile

PYTHON = r'''
import asyncio, concurrent.futures, ctypes, hashlib, multiprocessing, subprocess, threading
def square(x): return x * x
print(subprocess.run("echo shell; exit 3", shell=True, capture_output=True))
try:
    subprocess.run(["/nonexistent"])
except FileNotFoundError as error:
    print("errno", error.errno)
found = []
threads = [threading.Thread(target=lambda i=i: found.append(square(i))) for i in range(8)]
[t.start() for t in threads]
[t.join() for t in threads]
print(sorted(found))
with multiprocessing.get_context("fork").Pool(2) as pool: print(pool.map(square, range(5)))
async def main():
    process = await asyncio.create_subprocess_exec("echo", "async", stdout=-1)
    print((await process.communicate())[0])
asyncio.run(main())
libc = ctypes.CDLL("libc.so.6")
array = (ctypes.c_int * 4)(3, 1, 4, 2)
compare = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))
libc.qsort(array, 4, 4, compare(lambda a, b: a[0] - b[0]))
print(list(array), hashlib.sha256(b"x").hexdigest()[:8])
'''
PYTHON_OUT = r'''CompletedProcess(args='echo shell; exit 3', returncode=3, stdout=b'shell\n', stderr=b'')
errno 2
[0, 1, 4, 9, 16, 25, 36, 49]
[0, 1, 4, 9, 16]
b'async\n'
[1, 2, 3, 4] 2d711642
'''
BASH = r'''for i in 1 2 3; do echo $i | sed s/^/x/; done; echo $((2**40)); cat <(echo inner); declare -A a; a[x]=1; echo ${a[x]}
trap "echo leaving" EXIT; (exit 4); echo $?; sleep 0.1 & wait; read -t 0.01 x < /dev/zero; kill -USR1 $$ 2>/dev/null || :'''
COREUTILS = r'''seq 1 1000 | sort -rn | head -1; echo abc | md5sum; timeout 0.2 sleep 5; echo $?; dd if=/dev/zero bs=1k count=4 2>/dev/null | wc -c
factor 123456789; od -An -tx1 <<< ab; expr 6 \* 7; shuf -i 1-5 | wc -l; numfmt --to=iec 2048; uname -m; echo x | gzip | gzip -d
gawk "BEGIN{print 6*7}"; echo tar > t; tar c t | tar t; setsid echo sid; nice echo nice; stat -c %s t; cp t u; cmp t u && echo same'''
COREUTILS_OUT = '''1000
0bee89b07a248e27c83fc3d5951213c1  -
124
4096
123456789: 3 3 3607 3803
 61 62 0a
42
5
2.0K
riscv64
x
42
t
sid
nice
4
same
'''
PERL = r'''my $p = fork(); if (!$p) { exit 3 } waitpid($p, 0); print $? >> 8, "\n", `echo back`; use threads;
print threads->create(sub { return 42 })->join, "\n"; open(F, "-|", "echo", "pipe"); print <F>; printf("%.3f\n", sqrt(2));'''
GIT = r'''git init -q r && cd r && git config user.email a@b && git config user.name n
for i in 1 2; do echo $i > f$i; git add f$i; git commit -qm c$i; done
git log --oneline | wc -l; git checkout -q -b other; echo x >> f1; git commit -qam x; git checkout -q -; git merge -q other
git gc -q; git fsck; git clone -q . ../copy; ls ../copy; git grep x'''
OPENSSL = r'''echo hello | openssl dgst -sha256; echo abc | openssl enc -aes-256-cbc -pass pass:x -pbkdf2 | openssl enc -d -aes-256-cbc -pass pass:x -pbkdf2'''
OPENSSL_OUT = '''SHA2-256(stdin)= 5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03
abc
'''
SQL = 'create table t(a,b); insert into t select value, value*value from generate_series(1,100); select sum(b) from t; pragma integrity_check;'
NODE = r'''const { execSync } = require('child_process'); console.log(process.arch, 2n ** 70n, execSync('echo sub').toString().trim());
const { Worker } = require('worker_threads');
new Worker('require("worker_threads").parentPort.postMessage(42)', { eval: true }).on('message', m => console.log('worker', m));'''
GCC = r'''cat > h.c <<< '#include <stdio.h>
int main(void) { printf("compiled %d\n", 6 * 7); }'
gcc --sysroot="$ROOT" -O1 h.c -o h && ./h'''

# Name, program, arguments, what is printed.
CASES = [
    ('bash', 'bash', ['-c', BASH], 'x1\nx2\nx3\n1099511627776\ninner\n1\n4\n'),
    ('coreutils', 'bash', ['-c', COREUTILS], COREUTILS_OUT),
    ('perl', 'perl', ['-e', PERL], '3\nback\n42\npipe\n1.414\n'),
    ('python3', 'python3', ['-c', PYTHON], PYTHON_OUT),
    ('git', 'bash', ['-c', GIT], '2\nf1\nf2\nf1:x\n'),
    ('openssl', 'bash', ['-c', OPENSSL], OPENSSL_OUT),
    ('sqlite3', 'sqlite3', [':memory:', SQL], '338350\nok\n'),
    ('gcc', 'bash', ['-c', GCC], 'compiled 42\n'),
    ('node', 'node', ['-e', NODE], 'riscv64 1180591620717411303424n sub\nworker 42\n'),
]


def run(emulator, root, case, folder):
    _, program, arguments, wanted = case
    environment = {'PATH': f'{root}/usr/bin:/usr/bin:/bin', 'HOME': folder, 'ROOT': root, 'LC_ALL': 'C.UTF-8',
                   'GIT_EXEC_PATH': f'{root}/usr/lib/git-core', 'GIT_TEMPLATE_DIR': ''}
    done = subprocess.run([emulator, '-L', root, f'{root}/usr/bin/{program}', *arguments], cwd=folder, check=False,
                          env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    text = done.stdout.decode(errors='replace')
    return None if text == wanted or (case[0] == 'bash' and text.startswith(wanted)) else text


def main():
    emulator, runs = os.path.abspath(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), '../..')
    root = os.environ.get('MYNA_GUEST_DEBIAN') or os.path.realpath(f'{source}/.cache/guest-debian-riscv64')
    if not os.path.exists(f'{root}/.packages'):
        sys.exit(77)
    for case in CASES:
        missing = case[0] == 'gcc' and not os.path.exists(f'{root}/usr/bin/gcc')
        if missing or not os.path.exists(f'{root}/usr/bin/{case[1]}'):
            print(f'{case[0]}: not there')
            continue
        for number in range(runs):
            with tempfile.TemporaryDirectory() as folder:
                text = run(emulator, root, case, folder)
            if text is not None:
                sys.exit(f'{case[0]}, run {number + 1}: {text}')
        print(f'{case[0]}: {runs} of {runs}', flush=True)


if __name__ == '__main__':
    main()
