/* Bad pointers in system calls: each pointer of each call in turn leads nowhere, to the kernel, to the last byte of a
 * mapping, to what may only be read, or is none. What the call says must be what it says on the host; where it fails,
 * nothing of it may have been done. covered.py sees to it that no call that takes a pointer is missing. */
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <mqueue.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysinfo.h>
#include <sys/timerfd.h>
#include <sys/times.h>
#include <sys/timex.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "narrow.h"

static int file, ends[2], pipes[2], queue, timer, folder, watches;
static char buffer[65536] __attribute__((aligned(64)));
static char path[64], name[64];
static uint64_t set;
static struct timespec time_zero;
static struct sockaddr_storage address;
static socklen_t address_size = sizeof address;
static struct iovec vector = { buffer, 4 };
static struct msghdr header = { .msg_iov = &vector, .msg_iovlen = 1 };
static struct mmsghdr headers = { .msg_hdr = { .msg_iov = &vector, .msg_iovlen = 1 } };
static struct epoll_event event;
static struct itimerspec interval;
static struct itimerval old_interval;
static struct pollfd polled;
static fd_set files;
static struct rlimit limit;
static int number, other, option_size = sizeof(int);
static off_t offset;
static uint64_t how[3];
static aio_context_t context;
static struct iocb request = { .aio_lio_opcode = IOCB_CMD_NOOP }, *requests = &request;
static struct sembuf operation = { 0, 1, IPC_NOWAIT };
static struct msgbuf message = { 1 };
static mqd_t mailbox;
static int listener, memory, semaphores, messages, fan, system_fd, self, kernel_timer;
static int capability_header[2] = { 0x20080522, 0 };
static void *nodes[1] = { buffer };
static uint64_t waiters[6] = { 0, 0, 130, 0, 0, 130 }, value[2] = { 0, 4 }, zeroes[3];

enum { STATFS64_SIZE = 88 };

#define P(x) ((long)(uintptr_t)(x))
/* The call, which of the six arguments are pointers (bit n), which of these must lead to nothing that can be read, as
 * the call would be made (wait, end the program, change the host), the arguments. */
struct Row {
    const char *name;
    long call;
    unsigned pointers, careful;
    long arguments[6];
};

#define CALL(name_, pointers_, ...) { #name_, SYS_##name_, pointers_, 0, { __VA_ARGS__ } }
#define CAREFUL(name_, pointers_, careful_, ...) { #name_, SYS_##name_, pointers_, careful_, { __VA_ARGS__ } }
/* What libc makes of calls that are not there on 32 bits. */
#if __SIZEOF_LONG__ == 4
#define INSTEAD(name_, instead_, pointers_, ...) { #name_, SYS_##instead_, pointers_, 0, { __VA_ARGS__ } },
#define WIDE(...)
#else
#define INSTEAD(...)
#define WIDE(...) CALL(__VA_ARGS__),
#endif
/* What has no like on 32 bits is left out where such a guest is compared. */
#ifdef NARROW
#define ALONE(...)
#else
#define ALONE(...) CAREFUL(__VA_ARGS__),
#endif

static void one(const struct Row *row, unsigned which, unsigned pointer, const void *bad, const char *what)
{
    long a[6];

    memcpy(a, row->arguments, sizeof a);
    a[which] = P(bad);
    errno = 0;
    long result = syscall(row->call, a[0], a[1], a[2], a[3], a[4], a[5]);
    printf("%s, pointer %u %s: %s\n", row->name, pointer, what, result < 0 ? strerror(errno) : "done");
}

static void sweep(const struct Row *row, char *edge, const char *fixed)
{
    static const unsigned long kernel = sizeof(long) == 4 ? 0xc0000000 : 0xffffffff80000000;
    void *const beyond = (void *)(uintptr_t)(sizeof(long) == 4 ? 0x30000000 : 0x3ffffff000);

    for (unsigned i = 0, pointer = 0; i < 6; i++) {
        if (!(row->pointers >> i & 1)) {
            continue;
        }
        one(row, i, pointer, (void *)8, "bad");
        one(row, i, pointer, beyond, "beyond all");
        one(row, i, pointer, (void *)kernel, "the kernel's");
        one(row, i, pointer, (void *)-8L, "the last");
        *edge = 'x';
        one(row, i, pointer, edge, "at an edge");
        if (!(row->careful >> i & 1)) {
            one(row, i, pointer, NULL, "none");
            one(row, i, pointer, fixed, "read-only");
        }
        pointer++;
    }
}

/* What the rows are about. Where the user may not have something, the calls say so on both sides. */
static void prepare(void)
{
    struct sockaddr_un name_of_listener = { AF_UNIX };
    struct sigevent quiet = { .sigev_notify = SIGEV_NONE };

    snprintf(path, sizeof path, "/tmp/myna-faults-%d", getpid());
    file = open(path, O_RDWR | O_CREAT, 0600);
    write(file, "contents", 8);
    socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, ends);
    pipe2(pipes, O_NONBLOCK);
    queue = epoll_create1(0);
    timer = timerfd_create(CLOCK_MONOTONIC, 0);
    folder = open("/", O_RDONLY | O_DIRECTORY);
    watches = inotify_init1(IN_NONBLOCK);
    snprintf(name_of_listener.sun_path + 1, 100, "myna-faults-%d", getpid());
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    bind(listener, (struct sockaddr *)&name_of_listener, sizeof name_of_listener);
    listen(listener, 1);
    memory = shmget(IPC_PRIVATE, 4096, 0600);
    semaphores = semget(IPC_PRIVATE, 2, 0600);
    messages = msgget(IPC_PRIVATE, 0600);
    snprintf(name, sizeof name, "/myna-faults-%d", getpid());
    mailbox = mq_open(name, O_RDWR | O_CREAT | O_NONBLOCK, 0600, NULL);
    mq_unlink(name);
    snprintf(name, sizeof name, "%s-2", path);
    fan = syscall(SYS_fanotify_init, 0, 0);
    system_fd = syscall(SYS_fsopen, "tmpfs", 0);
    self = syscall(SYS_pidfd_open, getpid(), 0);
    syscall(SYS_io_setup, 4, &context);
    syscall(SYS_timer_create, CLOCK_MONOTONIC, &quiet, &kernel_timer);
    waiters[1] = waiters[4] = (uintptr_t)&number;
    value[0] = (uintptr_t)buffer;
    unshare(CLONE_NEWUTS);
}

static void tidy(void)
{
    shmctl(memory, IPC_RMID, NULL);
    semctl(semaphores, 0, IPC_RMID);
    msgctl(messages, IPC_RMID, NULL);
    unlink(path);
}

/* A message that nobody could be given. */
static void lost_messages(void)
{
    static void *const bad[] = { (void *)8, NULL, (void *)-8 };

    for (int i = 0; i < 3; i++) {
        msgsnd(messages, &message, 1, 0);
        printf("message to %d: %s, ", i, msgrcv(messages, bad[i], 1, 0, IPC_NOWAIT) < 0 ? strerror(errno) : "done");
        printf("then %s\n", msgrcv(messages, &message, 1, 0, IPC_NOWAIT) < 0 ? strerror(errno) : "it is there");
    }
}

/* Areas of memory that are none. */
static void areas(char *page)
{
    static const struct {
        const char *name;
        unsigned long address, size;
    } bad[] = { { "odd", 4097, 4096 }, { "past the end", -4096UL, 4096 }, { "around", -8192UL, 16384 },
                { "the kernel's", 0xffffffff80000000, 4096 }, { "endless", 4096, -4096UL }, { "all", 0, -1 },
                { "nothing", 4096, 0 }, { "unmapped", 4096, 4096 } };

    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
        void *at = (void *)bad[i].address;
        size_t size = bad[i].size;
#define AREA(call) \
    (errno = 0, printf("%s, %s: %s\n", bad[i].name, #call, (long)(call) == -1 ? strerror(errno) : "done"))
        AREA(mprotect(at, size, PROT_READ));
        AREA(madvise(at, size, MADV_NORMAL));
        AREA(msync(at, size, MS_ASYNC));
        AREA(mlock(at, size));
        AREA(munlock(at, size));
        AREA(mincore(at, size, (void *)page));
        AREA(mremap(at, size, 4096, 0));
        AREA(syscall(SYS_remap_file_pages, at, size, 0, 0, 0));
        if (bad[i].address > 4097) {
            AREA(mmap(at, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
            AREA(munmap(at, size));
        }
    }
}

int main(int argc, char **argv)
{
    char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *fixed = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    mprotect(page + 4096, 4096, PROT_NONE);
    page[4095] = 'x';
    prepare();
    const struct Row table[] = {
        CALL(openat, 2, AT_FDCWD, P(path), O_RDONLY),
        CALL(openat2, 6, AT_FDCWD, P(path), P(how), sizeof how),
        CALL(read, 2, file, P(buffer), 4),
        CALL(write, 2, pipes[1], P(buffer), 4),
        CALL(readv, 2, file, P(&vector), 1),
        CALL(writev, 2, pipes[1], P(&vector), 1),
        CALL(pread64, 2, file, P(buffer), 4, 0),
        CALL(pwrite64, 2, file, P(buffer), 4, 0),
        CALL(preadv, 2, file, P(&vector), 1, 0),
        CALL(pwritev2, 2, file, P(&vector), 1, 0),
        CALL(sendfile, 4, pipes[1], file, P(&offset), 1),
        CALL(copy_file_range, 10, file, P(&offset), file, P(&offset), 0, 0),
        CALL(pipe2, 1, P(how), 0),
        CALL(fcntl, 4, file, F_GETLK, P(buffer)),
        CALL(fcntl, 4, file, F_GETOWN_EX, P(buffer)),
        CALL(ioctl, 4, pipes[0], FIONREAD, P(&number)),
        WIDE(fstat, 2, file, P(buffer))
        INSTEAD(fstat, statx, 16, file, P(""), AT_EMPTY_PATH, STATX_ALL, P(buffer))
        WIDE(newfstatat, 6, AT_FDCWD, P(path), P(buffer), 0)
        INSTEAD(newfstatat, statx, 18, AT_FDCWD, P(path), 0, STATX_ALL, P(buffer))
        CALL(statx, 18, AT_FDCWD, P(path), 0, STATX_ALL, P(buffer)),
        WIDE(statfs, 3, P(path), P(buffer))
        INSTEAD(statfs, statfs64, 5, P(path), STATFS64_SIZE, P(buffer))
        WIDE(fstatfs, 2, file, P(buffer))
        INSTEAD(fstatfs, fstatfs64, 4, file, STATFS64_SIZE, P(buffer))
        CALL(faccessat, 2, AT_FDCWD, P(path), 0),
        CALL(readlinkat, 6, AT_FDCWD, P("/proc/self/exe"), P(buffer), 100),
        CALL(getdents64, 2, folder, P(buffer), 1000),
        CALL(fchmodat, 2, AT_FDCWD, P(path), 0600),
        CALL(fchownat, 2, AT_FDCWD, P(path), -1, -1, 0),
        CALL(utimensat, 6, AT_FDCWD, P(path), P(&interval), 0),
        CALL(getcwd, 1, P(buffer), 100),
        CALL(chdir, 1, P(path)),
        CALL(mkdirat, 2, AT_FDCWD, P(path), 0700),
        CALL(mknodat, 2, AT_FDCWD, P(path), S_IFREG, 0),
        CALL(unlinkat, 2, AT_FDCWD, P(name), 0),
        CALL(symlinkat, 5, P(path), AT_FDCWD, P(path)),
        CALL(linkat, 10, AT_FDCWD, P(path), AT_FDCWD, P(path), 0),
        CALL(renameat2, 10, AT_FDCWD, P(path), AT_FDCWD, P(path), 1),
        CALL(setxattr, 7, P(name), P("user.x"), P(buffer), 4, 0),
        CALL(getxattr, 7, P(name), P("user.x"), P(buffer), 4),
        CALL(listxattr, 3, P(path), P(buffer), 1),
        CALL(truncate, 1, P(path), 8),
        CAREFUL(ppoll, 13, 4, P(&polled), 1, P(&time_zero), P(&set), 8),
        CAREFUL(pselect6, 62, 16, 1, P(&files), P(&files), P(&files), P(&time_zero), 0),
        CALL(epoll_ctl, 8, queue, EPOLL_CTL_ADD, -1, P(&event)),
        CALL(epoll_pwait, 18, queue, P(buffer), 4, 0, P(&set), 8),
        CALL(timerfd_settime, 12, timer, 0, P(&interval), P(&interval)),
        CALL(timerfd_gettime, 2, timer, P(&interval)),
        CALL(signalfd4, 2, -1, P(&set), 8, 0),
        CALL(inotify_add_watch, 2, watches, P(path), IN_OPEN),
        CALL(memfd_create, 1, P("name"), 0),
        CALL(mincore, 4, P(buffer) & ~4095L, 4096, P(buffer)),
        CAREFUL(clone3, 1, 1, P(buffer), 64),
        CALL(execve, 1, P("/nowhere"), P(NULL), P(NULL)),
        CAREFUL(execve, 6, 6, P("/bin/true"), P(how), P(how)),
        ALONE(wait4, 10, 0, -1, P(&number), WNOHANG, 0)
        CALL(waitid, 20, P_ALL, 0, P(buffer), WNOHANG | WEXITED, 0),
        CALL(futex, 1, P(&number), 0x80 | 0, 1, P(&time_zero)),
        CAREFUL(futex, 8, 8, P(&number), 0x80 | 0, 0, P(&time_zero)),
        CALL(futex, 17, P(&number), 0x80 | 3, 0, 0, P(&other)),
        CALL(getresuid, 7, P(&number), P(&number), P(&number)),
        CALL(getgroups, 2, 100, P(buffer)),
        CALL(prlimit64, 12, 0, RLIMIT_CORE, P(NULL), P(&limit)),
        CALL(prctl, 2, 16, P(buffer)),
        CALL(getrusage, 2, RUSAGE_SELF, P(buffer)),
        CALL(times, 1, P(buffer)),
        CALL(sysinfo, 1, P(buffer)),
        CALL(uname, 1, P(buffer)),
        CALL(getcpu, 3, P(&number), P(&other), 0),
        CALL(getrandom, 1, P(buffer), 8, 0),
        CALL(sched_getaffinity, 4, 0, 128, P(buffer)),
        CALL(sched_getparam, 2, 0, P(&number)),
        CALL(sched_rr_get_interval, 2, 0, P(&time_zero)),
        CALL(clock_gettime, 2, CLOCK_REALTIME, P(buffer)),
        CALL(clock_getres, 2, CLOCK_REALTIME, P(buffer)),
        CALL(clock_nanosleep, 12, CLOCK_MONOTONIC, 0, P(&time_zero), 0),
        WIDE(nanosleep, 3, P(&time_zero), 0)
        INSTEAD(nanosleep, clock_nanosleep_time64, 12, CLOCK_REALTIME, 0, P(&time_zero), 0)
        ALONE(gettimeofday, 3, 0, P(buffer), 0)
        WIDE(adjtimex, 1, P(buffer))
        INSTEAD(adjtimex, clock_adjtime64, 2, CLOCK_REALTIME, P(buffer))
        CALL(getitimer, 2, ITIMER_VIRTUAL, P(&old_interval)),
        CALL(setitimer, 6, ITIMER_VIRTUAL, P(&old_interval), P(&old_interval)),
        CALL(rt_sigaction, 6, SIGUSR2, P(NULL), P(NULL), 8),
        CALL(rt_sigprocmask, 6, SIG_BLOCK, P(&set), P(&set), 8),
        CALL(rt_sigpending, 1, P(&set), 8),
        CAREFUL(rt_sigtimedwait, 7, 4, P(&set), P(NULL), P(&time_zero), 8),
        CAREFUL(sigaltstack, 3, 1, P(NULL), P(NULL)),
        CALL(socketpair, 8, AF_UNIX, SOCK_DGRAM, 0, P(how)),
        CALL(bind, 2, ends[0], P(&address), 16),
        CALL(connect, 2, ends[0], P(&address), 16),
        CALL(getsockname, 6, ends[0], P(&address), P(&address_size)),
        CALL(getpeername, 6, ends[0], P(&address), P(&address_size)),
        CALL(sendto, 18, ends[0], P(buffer), 4, 0, 0, 16),
        CALL(recvfrom, 50, ends[1], P(buffer), 4, 0, P(&address), P(&address_size)),
        CALL(sendmsg, 2, ends[0], P(&header), 0),
        CALL(recvmsg, 2, ends[1], P(&header), MSG_DONTWAIT),
        CALL(sendmmsg, 2, ends[0], P(&headers), 1, 0),
        CALL(recvmmsg, 18, ends[1], P(&headers), 1, MSG_DONTWAIT, 0),
        CALL(setsockopt, 8, ends[0], SOL_SOCKET, SO_SNDBUF, P(&number), 4),
        CALL(getsockopt, 24, ends[0], SOL_SOCKET, SO_SNDBUF, P(&number), P(&option_size)),
        CALL(timer_create, 6, CLOCK_MONOTONIC, P(NULL), P(&number)),
        CALL(capget, 3, P(buffer), P(buffer)),
        CALL(get_robust_list, 6, 0, P(how), P(how)),
        CALL(pwritev, 2, file, P(&vector), 1, 0),
        CALL(preadv2, 2, file, P(&vector), 1, 0),
        CALL(splice, 10, file, P(&offset), pipes[1], 0, 1, 2),
        CALL(vmsplice, 2, pipes[1], P(&vector), 1, 2),
        CALL(cachestat, 6, file, P(how), P(buffer), 0),
        CALL(faccessat2, 2, AT_FDCWD, P(path), 0, 0),
        CALL(fchmodat2, 2, AT_FDCWD, P(path), 0600, 0),
        CALL(name_to_handle_at, 14, AT_FDCWD, P(path), P(buffer), P(&number), 0),
        CALL(open_by_handle_at, 2, folder, P(buffer), O_RDONLY),
        CALL(chroot, 1, P("/nowhere")),
        CALL(lsetxattr, 7, P(name), P("user.x"), P(buffer), 4, 0),
        CALL(fsetxattr, 6, file, P("user.x"), P(buffer), 4, 0),
        CALL(lgetxattr, 7, P(path), P("user.x"), P(buffer), 4),
        CALL(fgetxattr, 6, file, P("user.x"), P(buffer), 4),
        CALL(llistxattr, 3, P(path), P(buffer), 1),
        CALL(flistxattr, 2, file, P(buffer), 1),
        CALL(removexattr, 3, P(name), P("user.y")),
        CALL(lremovexattr, 3, P(name), P("user.y")),
        CALL(fremovexattr, 2, file, P("user.y")),
        CAREFUL(epoll_pwait2, 26, 8, queue, P(buffer), 4, P(&time_zero), P(&set), 8),
        ALONE(fanotify_mark, 16, 0, fan, 1, 1, AT_FDCWD, P("/nowhere"))
        CALL(io_setup, 2, 1, P(&how[1])),
        CALL(io_destroy, 1, 0),
        CALL(io_submit, 4, context, 1, P(&requests)),
        CALL(io_cancel, 6, context, P(&request), P(buffer)),
        ALONE(io_getevents, 24, 16, context, 0, 1, P(buffer), P(&time_zero))
        CAREFUL(io_pgetevents, 56, 16, context, 0, 1, P(buffer), P(&time_zero), P(NULL)),
        CALL(mount, 23, P("none"), P("/nowhere/at/all"), P("none"), 0, P(buffer)),
        CALL(umount2, 1, P("/nowhere"), 0),
        CALL(pivot_root, 3, P("/nowhere"), P("/nowhere")),
        CALL(open_tree, 2, AT_FDCWD, P("/nowhere"), 0),
        CALL(move_mount, 10, AT_FDCWD, P("/nowhere"), AT_FDCWD, P("/nowhere"), 0),
        CALL(fsopen, 1, P("no such system"), 0),
        CALL(fsconfig, 12, system_fd, 1, P("key"), P("value"), 0),
        CALL(fspick, 2, AT_FDCWD, P("/nowhere"), 0),
        CALL(mount_setattr, 10, AT_FDCWD, P("/nowhere"), 0, P(buffer), 32),
        CALL(quotactl, 10, 0x800007 << 8, P("/nowhere"), 0, P(buffer)),
        CALL(quotactl_fd, 8, file, 0x800007 << 8, 0, P(buffer)),
        CALL(swapon, 1, P("/nowhere"), 0),
        CALL(swapoff, 1, P("/nowhere")),
        CAREFUL(acct, 1, 1, P("/nowhere")),
        CALL(mbind, 8, 0, 0, 2, P(how), 64, 0),
        CALL(get_mempolicy, 3, P(&number), P(how), 1024, 0, 0),
        CALL(set_mempolicy, 2, 3, P(how), 64),
        CALL(migrate_pages, 12, 0, 64, P(how), P(how)),
        CALL(move_pages, 28, 0, 1, P(nodes), 0, P(&number), 0),
        CALL(process_vm_readv, 10, getpid(), P(&vector), 1, P(&vector), 1, 0),
        CALL(process_vm_writev, 10, getpid(), P(&vector), 1, P(&vector), 1, 0),
        CALL(process_madvise, 2, self, P(&vector), 1, 20, 0),
        CAREFUL(execveat, 14, 12, AT_FDCWD, P("/bin/true"), P(how), P(how), 0),
        CALL(set_robust_list, 1, P(how), 3 * sizeof(long)),
        CALL(landlock_create_ruleset, 1, P(how), 8, 0),
        CALL(landlock_add_rule, 4, file, 1, P(how), 0),
        CALL(getresgid, 7, P(&number), P(&number), P(&number)),
        CALL(setgroups, 2, 1, P(&number)),
        CAREFUL(capset, 3, 2, P(capability_header), P(buffer)),
        ALONE(getrlimit, 2, 0, RLIMIT_NOFILE, P(&limit))
        ALONE(setrlimit, 2, 0, RLIMIT_CORE, P(&limit))
        CAREFUL(sethostname, 1, 1, P(buffer), 4),
        CAREFUL(setdomainname, 1, 1, P(buffer), 4),
        CALL(sched_setparam, 2, 0, P(&number)),
        CALL(sched_setscheduler, 4, 0, 0, P(&number)),
        CALL(sched_setaffinity, 4, 0, 128, P(buffer)),
        CALL(sched_setattr, 2, 0, P(how), 0),
        CALL(sched_getattr, 2, 0, P(buffer), 48, 0),
        CAREFUL(clock_settime, 2, 2, CLOCK_REALTIME, P(&time_zero)),
        CALL(clock_adjtime, 2, CLOCK_REALTIME, P(buffer)),
        ALONE(settimeofday, 3, 3, P(NULL), P(NULL))
        CALL(timer_gettime, 2, kernel_timer, P(&interval)),
        CALL(timer_settime, 12, kernel_timer, 0, P(&interval), P(&interval)),
        CALL(rt_sigqueueinfo, 4, getpid(), 0, P(buffer)),
        CALL(rt_tgsigqueueinfo, 8, getpid(), getpid(), 0, P(buffer)),
        CALL(pidfd_send_signal, 4, self, 0, P(NULL), 0),
        CAREFUL(rt_sigsuspend, 1, 1, P(&set), 8),
        CALL(accept, 6, listener, P(&address), P(&address_size)),
        CALL(accept4, 6, listener, P(&address), P(&address_size), 0),
        CALL(shmat, 2, -1, P(buffer), 0),
        CALL(shmdt, 1, P(buffer)),
        CALL(shmctl, 4, memory, IPC_STAT, P(buffer)),
        CALL(shmctl, 4, memory, IPC_SET, P(buffer)),
        CALL(shmctl, 4, 0, IPC_INFO, P(buffer)),
        CALL(semop, 2, semaphores, P(&operation), 1),
        CAREFUL(semtimedop, 10, 8, semaphores, P(&operation), 1, P(&time_zero)),
        CALL(semctl, 8, semaphores, 0, IPC_STAT, P(buffer)),
        CALL(semctl, 8, semaphores, 0, GETALL, P(buffer)),
        CALL(semctl, 8, semaphores, 0, SETALL, P(buffer)),
        CALL(semctl, 8, 0, 0, SEM_INFO, P(buffer)),
        CALL(msgsnd, 2, messages, P(&message), 1, IPC_NOWAIT),
        CALL(msgrcv, 2, messages, P(&message), 1, 5, IPC_NOWAIT),
        CALL(msgctl, 4, messages, IPC_STAT, P(buffer)),
        CAREFUL(mq_open, 9, 8, P("myna-faults"), O_RDWR | O_CREAT | O_EXCL, 0600, P(buffer)),
        CALL(mq_unlink, 1, P("no-such-queue")),
        CALL(mq_timedsend, 18, mailbox, P(buffer), 1, 0, P(&time_zero)),
        CALL(mq_timedreceive, 26, mailbox, P(buffer), 8192, P(&number), P(&time_zero)),
        CALL(mq_getsetattr, 6, mailbox, P(NULL), P(buffer)),
        CAREFUL(mq_notify, 2, 2, mailbox, P(NULL)),
        CALL(add_key, 7, P("user"), P("myna"), P(buffer), 4, -1),
        CAREFUL(request_key, 7, 4, P("user"), P("no such key of ours"), P(NULL), 0),
        CALL(keyctl, 4, 11, 0, P(buffer), 8),
        CALL(syslog, 2, 3, P(buffer), 8),
        CALL(reboot, 8, 0, 0, 0, P(buffer)),
        CAREFUL(futex_waitv, 9, 8, P(waiters), 2, 0, P(&time_zero), CLOCK_MONOTONIC),
        CALL(futex_wake, 1, P(&number), 0xffffffff, 1, 130),
        CAREFUL(futex_wait, 17, 16, P(&number), 0, 0xffffffff, 130, P(&time_zero), CLOCK_MONOTONIC),
        CALL(futex_requeue, 1, P(waiters), 0, 1, 1),
        CALL(statmount, 3, P(how), P(buffer), 1000, 0),
        CALL(listmount, 3, P(how), P(buffer), 8, 0),
        CALL(listns, 3, P(how), P(buffer), 8, 0),
        CALL(lsm_get_self_attr, 6, 100, P(buffer), P(&number), 0),
        CALL(lsm_set_self_attr, 2, 100, P(buffer), 32, 0),
        CALL(lsm_list_modules, 3, P(buffer), P(&option_size), 0),
        CALL(setxattrat, 26, AT_FDCWD, P(name), 0, P("user.x"), P(value), 16),
        CALL(getxattrat, 26, AT_FDCWD, P(path), 0, P("user.x"), P(value), 16),
        CALL(listxattrat, 10, AT_FDCWD, P(path), 0, P(buffer), 1),
        CALL(removexattrat, 10, AT_FDCWD, P(name), 0, P("user.y")),
        CALL(open_tree_attr, 10, AT_FDCWD, P("/nowhere"), 0, P(buffer), 32),
        CALL(file_getattr, 6, AT_FDCWD, P(path), P(buffer), 24, 0),
        CALL(file_setattr, 6, AT_FDCWD, P(name), P(zeroes), 24, 0),
    };
    for (unsigned i = 0; i < sizeof table / sizeof *table; i++) {
        sweep(&table[i], page + 4095, fixed);
        fflush(stdout);
    }
    lost_messages();
#ifndef NARROW
    areas(page);
#endif
    tidy();
    /* A write that begins well ends where the memory does; one that begins badly does nothing. */
    page[4095] = 'y';
    printf("short write %zd\n", write(pipes[1], page + 4090, 12));
    lseek(file, 0, SEEK_SET);
    printf("read over the edge: %s\n", read(file, page + 4095, 8) < 0 ? strerror(errno) : "some");
    struct iovec two[2] = { { buffer, 4 }, { (void *)8, 4 } };
    printf("the second part is bad: %zd\n", writev(pipes[1], two, 2));
    two[1].iov_len = -1;
    errno = 0;
    printf("a negative part: %zd ", writev(pipes[1], two, 2));
    printf("%s\n", strerror(errno));
    return 0;
}
