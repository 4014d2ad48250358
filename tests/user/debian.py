#!/usr/bin/env python3
"""Runs Debian's programs for riscv64 and looks at what they print.

    debian.py MYNA_USER [RUNS [NAME...]]

The programs are those that tools/guest-debian-riscv64 unpacks: in MYNA_GUEST_DEBIAN, or else in .cache of the source
folder. Without them the test is skipped (77); those that the `large` set alone has are left out where they are missing.
"""
import os
import subprocess
import sys
import tempfile
import time

import surroundings

LIMIT = 900  # seconds, of a run that hangs

BASH = r'''for i in 1 2 3; do echo $i | sed s/^/x/; done
echo $((2**40)); cat <(echo inner); declare -A a; a[x]=1; echo ${a[x]}
trap "echo leaving" EXIT; (exit 4); echo $?; sleep 0.1 & wait; read -t 0.01 x < /dev/zero
kill -USR1 $$ 2>/dev/null || :'''
COREUTILS = r'''seq 1 1000 | sort -rn | head -1; echo abc | md5sum; timeout 0.2 sleep 5; echo $?
dd if=/dev/zero bs=1k count=4 2>/dev/null | wc -c
factor 123456789; od -An -tx1 <<< ab; expr 6 \* 7; shuf -i 1-5 | wc -l; numfmt --to=iec 2048
uname -m; echo x | gzip | gzip -d
gawk "BEGIN{print 6*7}"; echo tar > t; tar c t | tar t; setsid echo sid
nice echo nice; stat -c %s t; cp t u; cmp t u && echo same'''
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
print threads->create(sub { return 42 })->join, "\n"; open(F, "-|", "echo", "pipe"); print <F>;
printf("%.3f\n", sqrt(2));'''
GIT = r'''git init -q r && cd r && git config user.email a@b && git config user.name n
for i in 1 2; do echo $i > f$i; git add f$i; git commit -qm c$i; done
git log --oneline | wc -l; git checkout -q -b other; echo x >> f1
git commit -qam x; git checkout -q -; git merge -q other
git gc -q; git fsck; git clone -q . ../copy; ls ../copy; git grep x'''
OPENSSL = r'''echo hello | openssl dgst -sha256
echo abc | openssl enc -aes-256-cbc -pass pass:x -pbkdf2 |
    openssl enc -d -aes-256-cbc -pass pass:x -pbkdf2'''
OPENSSL_OUT = '''SHA2-256(stdin)= 5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03
abc
'''
SQL = ('create table t(a,b); insert into t select value, value*value from generate_series(1,100); '
       'select sum(b) from t; pragma integrity_check;')
PYTHON = 'python3 "$SOURCES/language.py"'
PYTHON_OUT = r'''CompletedProcess(args='echo shell; exit 3', returncode=3, stdout=b'shell\n', stderr=b'')
errno 2
[0, 1, 4, 9, 16, 25, 36, 49]
fork [0, 1, 4, 9, 16]
spawn [0, 1, 4, 9, 16]
forkserver [0, 1, 4, 9, 16]
b'async\n'
[b'ONE\n', b'TWO\n', b'THREE\n']
[1, 2, 3, 4] 2d711642
'''
NODE = 'node "$SOURCES/language.js"'
NODE_OUT = '''riscv64 1180591620717411303424n sub
workers [ 78778, 157556, 236334, 315112 ]
http /0ü /1ü /2ü /3ü /4ü /5ü /6ü /7ü
regexp 96224479 21999 false true
json 131051 true 131051
objects 4000
'''
C = 'gcc --sysroot="$ROOT" -O2 -w "$SOURCES/language.c" -o program -lm && ./program'
C_OUT = 'compiled 20.230406 1 4 12157665459056928801\n'
CXX = 'g++ --sysroot="$ROOT" -O1 "$SOURCES/language.cc" -o program && ./program'
CXX_OUT = '''199990000 200010001 200030002 200050003 200070004 200090005 200110006 200130007 \n200 3 c++ si unf
'''
GO = 'export GOROOT="$ROOT/usr/lib/go-1.24" GOCACHE="$ROOT/tmp/go-cache" GOFLAGS=-mod=mod CGO_ENABLED=0; '
GO += 'export GOTOOLCHAIN=local; '
GO_RUN = GO + 'go run "$SOURCES/language.go"'
GO_BUILD = GO + 'cp "$SOURCES/language.go" . && go mod init example.org/program 2>&- && '
GO_BUILD += 'go build -o program . && ./program'
GO_OUT = '''pipeline 41679167500
trees 131040
preempted
http [/0 /1 /2 /3 /4 /5 /6 /7]
recovered: runtime error: invalid memory address or nil pointer dereference
exec sub
<nil>
og si unf og si unf og si unf 4e30cbd202f2f33496bb5e604a4d3f50a122064ecdeb1323630208dc246f1695
riscv64 30000
'''
JAVA = 'PATH="$ROOT/usr/lib/jvm/default-java/bin:$PATH"; '
JAVA += 'javac -J-XX:TieredStopAtLevel=1 -d . "$SOURCES/Language.java" && java -Xmx256m -cp . Language'
JAVA_OUT = '''trees 589680
locks 40000 40000
virtual {0=20, 1=20, 2=20, 3=20, 4=20, 5=20, 6=20, 7=20, 8=20, 9=20}
deep
caught 20000
sub 0
50038549663
avaj si unf
riscv64 1.414
'''
RUST = 'rustc -O -C link-arg=--sysroot="$ROOT" "$SOURCES/language.rs" -o program && ./program'
RUST_OUT = '''{0: 0, 1: 4095, 2: 8190, 3: 12285, 4: 16380, 5: 20475, 6: 24570, 7: 28665}
[("a", 12), ("b", 8), ("c", 4)]
panicked: true
sub 1.414
true
'''

# Name, program that it takes, arguments or a line of shell, what is printed.
CASES = [
    ('bash', 'bash', BASH, 'x1\nx2\nx3\n1099511627776\ninner\n1\n4\n'),
    ('coreutils', 'seq', COREUTILS, COREUTILS_OUT),
    ('perl', 'perl', ['perl', '-e', PERL], '3\nback\n42\npipe\n1.414\n'),
    ('python3', 'python3', PYTHON, PYTHON_OUT),
    ('git', 'git', GIT, '2\nf1\nf2\nf1:x\n'),
    ('openssl', 'openssl', OPENSSL, OPENSSL_OUT),
    ('sqlite3', 'sqlite3', ['sqlite3', ':memory:', SQL], '338350\nok\n'),
    ('gcc', 'gcc', C, C_OUT),
    ('g++', 'g++', CXX, CXX_OUT),
    ('go-run', 'go', GO_RUN, GO_OUT),
    ('go-build', 'go', GO_BUILD, GO_OUT),
    ('node', 'node', NODE, NODE_OUT),
    ('java', '../lib/jvm/default-java/bin/java', JAVA, JAVA_OUT),
    ('rustc', 'rustc', RUST, RUST_OUT),
]
SOURCE = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), '../..'))


def run(emulator, root, case, folder):
    """What was printed where it is not what should be, or None."""
    name, _, command, wanted = case
    command = ['bash', '-c', command] if isinstance(command, str) else command
    environment = {'PATH': f'{root}/usr/bin:/usr/bin:/bin', 'HOME': folder, 'ROOT': root, 'LC_ALL': 'C.UTF-8',
                   'SOURCES': f'{SOURCE}/tests/user/debian', 'GIT_EXEC_PATH': f'{root}/usr/lib/git-core',
                   'GIT_TEMPLATE_DIR': ''}
    try:
        done = subprocess.run([emulator, '-L', root, f'{root}/usr/bin/{command[0]}', *command[1:]], cwd=folder,
                              env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=LIMIT, check=False)
    except subprocess.TimeoutExpired as error:
        return f'does not end: {error.output}'
    text = done.stdout.decode(errors='replace')
    right = text == wanted or (name == 'bash' and text.startswith(wanted))
    return None if right else f'status {done.returncode}: {text}'


def main():
    surroundings.settle()
    emulator, runs = os.path.abspath(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1
    root = os.environ.get('MYNA_GUEST_DEBIAN') or f'{SOURCE}/.cache/guest-debian-riscv64'
    if not os.path.exists(f'{root}/.packages'):
        sys.exit(77)
    failed = 0
    for case in CASES:
        if len(sys.argv) > 3 and case[0] not in sys.argv[3:]:
            continue
        if not os.path.exists(f'{root}/usr/bin/{case[1]}'):
            print(f'{case[0]}: not there')
            continue
        texts, start = [], time.monotonic()
        for number in range(runs):
            with tempfile.TemporaryDirectory() as folder:
                texts.append(run(emulator, root, case, folder))
            if texts[-1] is not None:
                print(f'{case[0]}, run {number + 1}: {texts[-1]}', flush=True)
        right = texts.count(None)
        failed += runs - right
        print(f'{case[0]}: {right} of {runs}, {(time.monotonic() - start) / runs:.1f} s each', flush=True)
    sys.exit(failed > 0)


if __name__ == '__main__':
    main()
