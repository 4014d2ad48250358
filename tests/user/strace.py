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

import surroundings

SOURCE = r"""
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
static void handler(int signal) { }
/* What a libc may know nothing of. */
static void by_number(void)
{
    unsigned long attributes[4] = { 3, 0, 1 << 18, 0 }, mask = 1, version[2] = { 0x20080522 }, sets[3];
    unsigned long clone[11] = { 0x1100, 0, 0, 0, 17 }, info[16] = { 0 };
    unsigned word = 0;
    struct { unsigned long value, address; unsigned flags, reserved; } waiter = { 7, (unsigned long)&word, 0x82 };
    struct { void *value; int signal, notify; char rest[64]; } event = { (void *)5, SIGALRM, SIGEV_NONE };
    struct { struct cmsghdr header; int fd; } control = { { sizeof control - 4, SOL_SOCKET, SCM_RIGHTS }, 1 };
    struct msghdr message = { .msg_control = &control, .msg_controllen = sizeof control };
    static char buffer[4096];
    int timer, pair[2], folder = open("/", O_RDONLY);
    control.header.cmsg_len = sizeof control.header + 4;
    syscall(SYS_execve, "/nowhere", NULL, NULL);
    syscall(SYS_statfs, "/proc", buffer);
    syscall(439, AT_FDCWD, "/tmp", R_OK, AT_EACCESS);
    syscall(SYS_getdents64, folder, buffer, sizeof buffer);
    syscall(430, "nothing", 1);
    syscall(429, -1, "", AT_FDCWD, "/nowhere", 4);
    syscall(442, -1, "", AT_EMPTY_PATH, attributes, sizeof attributes);
    syscall(SYS_fanotify_mark, -1, 1, 0x22, AT_FDCWD, "/");
    syscall(449, &waiter, 1, 0, NULL, 0);
    syscall(435, clone, 40); /* too short */
    syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &timer);
    ((int *)info)[2] = -1;
    ((int *)info)[4] = getpid();
    info[3] = 9;
    syscall(SYS_rt_sigqueueinfo, getpid(), 0, info);
    socketpair(AF_UNIX, SOCK_DGRAM, 0, pair);
    sendmsg(pair[0], &message, 0);
    syscall(SYS_keyctl, 11, 0, NULL, 0);
    syscall(SYS_mbind, 0, 0, 2, &mask, 64, 1);
    syscall(SYS_semctl, -1, 0, 13, NULL);
    syscall(SYS_kcmp, 1, 1, 2, 0, 0);
    syscall(SYS_capget, version, sets);
    syscall(SYS_getrusage, RUSAGE_SELF, buffer);
    for (int i = 0; i < 512; i++) {
        buffer[i] = 0;
    }
    syscall(SYS_adjtimex, buffer);
}
static volatile int reads;
static void *thread(void *ends)
{
    while (!reads) {
        usleep(1000);
    }
    for (int i = 0; i < 50; i++) { /* until the other has surely begun to wait */
        usleep(10000);
    }
    write(((int *)ends)[1], "x", 1);
    return ends;
}
int main(int argc, char **argv)
{
    struct timespec time = { 0, 1000 };
    struct stat status;
    if (argc > 1) {
        return 0;
    }
    by_number();
    open("/nowhere/at/all", O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    signal(SIGUSR1, SIG_IGN);
    kill(getpid(), SIGUSR1);
    nanosleep(&time, NULL);
    fstat(0, &status);
    struct sockaddr_in address = { AF_INET, htons(1), { htonl(0x7f000001) } };
    struct sockaddr_un path = { AF_UNIX, "/nowhere" };
    int one = 1, socket_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), ends[2];
    socklen_t length = 4;
    connect(socket_fd, (void *)&address, sizeof address);
    connect(socket_fd, (void *)&path, sizeof path);
    setsockopt(socket_fd, SOL_SOCKET, SO_REUSEADDR, &one, 4);
    getsockopt(socket_fd, SOL_SOCKET, SO_TYPE, &one, &length);
    pipe2(ends, O_CLOEXEC);
    char bytes[16];
    write(ends[1], "a\n\"b", 4);
    read(ends[0], bytes, sizeof bytes);
    struct iovec vector[2] = { { "xx", 2 }, { "yyy", 3 } };
    struct msghdr message = { .msg_iov = vector, .msg_iovlen = 2 };
    writev(ends[1], vector, 2);
    sendmsg(ends[0], &message, MSG_NOSIGNAL);
    struct pollfd polled = { ends[0], POLLIN, 0 };
    poll(&polled, 1, 0);
    struct epoll_event event = { EPOLLIN, { .u64 = 5 } };
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &event);
    epoll_wait(epoll, &event, 1, 0);
    fd_set set;
    FD_ZERO(&set);
    FD_SET(ends[0], &set);
    select(ends[0] + 1, &set, NULL, NULL, NULL);
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    struct itimerval timer = { { 0, 0 }, { 500, 0 } };
    setitimer(ITIMER_REAL, &timer, NULL);
    struct sigaction action = { .sa_handler = handler, .sa_flags = SA_RESTART };
    sigaction(SIGUSR2, &action, NULL);
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGINT);
    sigprocmask(SIG_BLOCK, &mask, NULL);
    raise(SIGUSR2);
    struct utsname name;
    uname(&name);
    ioctl(ends[0], FIONREAD, &one);
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    fcntl(ends[0], F_SETFD, FD_CLOEXEC);
    fcntl(ends[0], F_SETFL, 0);
    lseek(ends[0], 0, SEEK_END);
    access("/tmp", R_OK | X_OK);
    prctl(PR_SET_NAME, "abc");
    renameat2(AT_FDCWD, "/nowhere/a", AT_FDCWD, "/b", RENAME_NOREPLACE);
    struct sembuf take = { 0, -1, IPC_NOWAIT };
    semop(-1, &take, 1);
    pthread_t other;
    pthread_create(&other, NULL, thread, ends);
    read(ends[0], bytes, sizeof bytes); /* what writev wrote */
    reads = 1;
    read(ends[0], bytes, sizeof bytes);
    pthread_join(other, NULL);
    if (!fork()) {
        *(volatile int *)8 = 1;
    }
    wait(&one);
    if (!fork()) {
        execv(argv[0], (char *[]){ argv[0], "again", NULL });
    }
    wait(&one);
    return 0;
}
"""
WANTED = [
    r'openat\(AT_FDCWD,"/nowhere/at/all",O_RDWR\|O_CREAT\|O_CLOEXEC,0640\) = -1 '
    r'errno=2 \(No such file or directory\)\n',
    r'mmap\(NULL,4096,PROT_READ\|PROT_WRITE,MAP_PRIVATE\|MAP_ANONYMOUS,-1,0\) = 0x[0-9a-f]+\n',
    r'rt_sigaction\(SIGUSR1,\{sa_handler=SIG_IGN,sa_flags=SA_RESTART,sa_mask=\[SIGUSR1\]\},0x\w+,8\) = 0 '
    r'\(\{sa_handler=SIG_DFL,sa_flags=0,sa_mask=\[\]\}\)',
    r'kill\(\d+,SIGUSR1\) = 0', r'clock_nanosleep\(CLOCK_REALTIME,0,\{tv_sec=0,tv_nsec=1000\},NULL\) = 0',
    r' = 0 \(\{st_dev=\d+,st_ino=\d+,st_mode=0\d+,', r'socket\(PF_INET,SOCK_STREAM\|SOCK_NONBLOCK,0\) = \d',
    r'connect\(\d,\{sa_family=AF_INET,sin_port=htons\(1\),sin_addr=inet_addr\("127.0.0.1"\)\},16\) = -1',
    r'connect\(\d,\{sa_family=AF_UNIX,sun_path="/nowhere"\},110\) = -1',
    r'setsockopt\(\d,SOL_SOCKET,SO_REUSEADDR,\{1\},4\) = 0',
    r'getsockopt\(\d,SOL_SOCKET,SO_TYPE,0x\w+,0x\w+\) = 0 \(\{1\}\)',
    r'pipe2\(0x\w+,O_CLOEXEC\) = 0 \(\{\d,\d\}\)', r'write\(\d,"a\\n\\"b",4\) = 4',
    r'read\(\d,0x\w+,16\) = 4 \("a\\n\\"b"\)',
    r'writev\(\d,\[\{iov_base="xx",iov_len=2\},\{iov_base="yyy",iov_len=3\}\],2\) = 5',
    r'sendmsg\(\d,\{msg_name=NULL,msg_iov=\[\{iov_base="xx",.*\},MSG_NOSIGNAL\) = -1 errno=88',
    r'ppoll\(\[\{fd=\d,events=POLLIN\}\],1,\{tv_sec=0,tv_nsec=0\},NULL,0\) = 1 '
    r'\(\[\{fd=\d,events=POLLIN,revents=POLLIN\}\]',
    r'epoll_create1\(EPOLL_CLOEXEC\)', r'epoll_ctl\(\d,EPOLL_CTL_ADD,\d,\{events=POLLIN,data=0x5\}\) = 0',
    r'epoll_pwait\(\d,0x\w+,1,0,NULL,8\) = 1 \(\[\{events=POLLIN,data=0x5\}\]\)',
    r'pselect6\(\d+,\[\d+\],NULL,NULL,NULL,NULL\) = 1 \(\[\d+\]\)',
    r'prlimit64\(0,RLIMIT_NOFILE,NULL,0x\w+\) = 0 \(\{rlim_cur=\w+,rlim_max=\w+\}\)',
    r'setitimer\(ITIMER_REAL,\{it_interval.tv_sec=0,it_interval.tv_usec=0,it_value.tv_sec=500,it_value.tv_usec=0\},'
    r'NULL\) = 0', r'--- SIGUSR2 \{si_signo=SIGUSR2,si_code=SI_TKILL,si_pid=\d+,si_uid=\d+\} ---\n',
    r'--- SIGSEGV \{si_signo=SIGSEGV,si_code=SEGV_MAPERR,si_addr=0x8\} ---\n',
    r'rt_sigprocmask\(SIG_BLOCK,\[SIGINT\],NULL,8\) = 0',
    r'rt_sigreturn\(\) = \?\n', r'uname\(0x\w+\) = 0 \(\{sysname="Linux",', r'ioctl\(\d,FIONREAD,0x\w+\) = 0 \(\{5\}\)',
    r'fcntl\(\d,F_SETFL,O_RDONLY\|O_NONBLOCK\) = 0', r'fcntl\(\d,F_SETFD,FD_CLOEXEC\) = 0',
    r'lseek\(\d,0,SEEK_END\) = -1 errno=29', r'faccessat\(AT_FDCWD,"/tmp",R_OK\|X_OK\) = 0', r'prctl\(PR_SET_NAME,',
    r'renameat2\(AT_FDCWD,"/nowhere/a",AT_FDCWD,"/b",RENAME_NOREPLACE\) = -1',
    r'semtimedop\(-1,\[\{sem_num=0,sem_op=-1,sem_flg=IPC_NOWAIT\}\],1,NULL\) = -1',
    r'clone\(CLONE_VM\|CLONE_FS\|', r'<unfinished \.\.\.>\n', r'<\.\.\. read resumed> = ', r'clone\(.*SIGCHLD',
    r'execve\("\./program",\["\./program","again"\],0x\w+ /\* \d+ variables \*/\) = 0\n(.*wait4\(.*\n?)?'
    r'\d+ brk\(NULL\)', # its parent may begin to wait between the two
    r'execve\("/nowhere",NULL,NULL\) = -1 errno=2', r'statfs\("/proc",0x\w+\) = 0 \(\{f_type=40864,f_bsize=4096,',
    r'faccessat2\(AT_FDCWD,"/tmp",R_OK,AT_EACCESS\) = 0', r'\(\[".*\] /\* \d+ entries \*/\)',
    r'fsopen\("nothing",FSOPEN_CLOEXEC\) = -1', r'move_mount\(-1,"",AT_FDCWD,"/nowhere",MOVE_MOUNT_F_EMPTY_PATH\) = -1',
    r'mount_setattr\(-1,"",AT_EMPTY_PATH,\{attr_set=MOUNT_ATTR_RDONLY\|MOUNT_ATTR_NOSUID,attr_clr=0,'
    r'propagation=MS_PRIVATE,userns_fd=0\},32\) = -1',
    r'fanotify_mark\(-1,FAN_MARK_ADD,FAN_MODIFY\|FAN_OPEN,AT_FDCWD,"/"\) = -1',
    r'futex_waitv\(\[\{val=7,uaddr=0x\w+,flags=FUTEX2_SIZE_U32\|FUTEX2_PRIVATE\}\],1,0,NULL,CLOCK_REALTIME\) = -1',
    r'clone3\(\{flags=CLONE_VM\|CLONE_PIDFD,pidfd=0x0,child_tid=0x0,parent_tid=0x0,exit_signal=SIGCHLD,stack=0x0,',
    r'timer_create\(CLOCK_MONOTONIC,\{sigev_value=0x5,sigev_signo=SIGALRM,sigev_notify=SIGEV_NONE\},0x\w+\) = 0',
    r'rt_sigqueueinfo\(\d+,0,\{si_signo=0,si_code=SI_QUEUE,si_pid=\d+,si_uid=\d+,si_int=9\}\) = 0',
    r'sendmsg\(\d,.*msg_control=\[\{cmsg_level=SOL_SOCKET,cmsg_type=SCM_RIGHTS,cmsg_data=\[1\]\}\],msg_controllen=',
    r'keyctl\(KEYCTL_READ,', r'mbind\(NULL,0,MPOL_BIND,\[0x1\],64,MPOL_MF_STRICT\)', r'semctl\(-1,0,GETALL,',
    r'kcmp\(1,1,KCMP_FILES,0,0\)', r'capget\(\{version=537396514,pid=0\},',
    r'getrusage\(RUSAGE_SELF,0x\w+\) = 0 \(\{ru_utime\.tv_sec=\d+,', r'adjtimex\(0x\w+\) = \d \(\{modes=0,offset=',
    r'\(\[WIFEXITED,WEXITSTATUS=0\]\)', r'exit_group\(0\) = \?\n',
]


def main():
    surroundings.settle()
    emulator, compiler = os.path.abspath(sys.argv[1]), sys.argv[2]
    if not shutil.which(compiler):
        sys.exit(77)
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, 'program.c'), 'w', encoding='utf-8') as file:
            file.write(SOURCE)
        subprocess.run([compiler, '-static', '-w', '-pthread', 'program.c', '-o', 'program'], cwd=folder, check=True)
        done = subprocess.run([emulator, '-strace', './program'], cwd=folder, check=True, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    text = done.stdout.decode()
    for pattern in WANTED:
        if not re.search(pattern, text):
            sys.exit(f'{pattern} is not in: {text}')


if __name__ == '__main__':
    main()
