/* Bad pointers in system calls: each pointer of each call in turn leads nowhere, or to the last byte of a mapping. What
 * the call says must be what it says on the host; where it fails, nothing of it may have been done. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysinfo.h>
#include <sys/timerfd.h>
#include <sys/times.h>
#include <sys/timex.h>
#include <sys/uio.h>
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

enum { STATFS64_SIZE = 88 };

#define P(x) ((long)(uintptr_t)(x))
/* Call, which of the six arguments are pointers (bit n), the arguments. */
struct Row {
    const char *name;
    long call;
    unsigned pointers;
    long arguments[6];
};

#define CALL(name_, pointers_, ...) { #name_, SYS_##name_, pointers_, { __VA_ARGS__ } }
/* What libc makes of calls that are not there on 32 bits. */
#if __SIZEOF_LONG__ == 4
#define INSTEAD(name_, instead_, pointers_, ...) { #name_, SYS_##instead_, pointers_, { __VA_ARGS__ } },
#define WIDE(...)
#else
#define INSTEAD(...)
#define WIDE(...) CALL(__VA_ARGS__),
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

static void sweep(const struct Row *row, char *edge)
{
    void *const beyond = (void *)(uintptr_t)(sizeof(long) == 4 ? 0x30000000 : 0x3ffffff000);

    for (unsigned i = 0, pointer = 0; i < 6; i++) {
        if (row->pointers >> i & 1) {
            one(row, i, pointer, (void *)8, "bad");
            one(row, i, pointer, beyond, "beyond all");
            *edge = 'x';
            one(row, i, pointer++, edge, "at an edge");
        }
    }
}

int main(int argc, char **argv)
{
    char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), text[64];

    mprotect(page + 4096, 4096, PROT_NONE);
    page[4095] = 'x';
    snprintf(path, sizeof path, "/tmp/myna-faults-%d", getpid());
    snprintf(name, sizeof name, "%s-2", path);
    file = open(path, O_RDWR | O_CREAT, 0600);
    write(file, "contents", 8);
    socketpair(AF_UNIX, SOCK_DGRAM, 0, ends);
    pipe(pipes);
    queue = epoll_create1(0);
    timer = timerfd_create(CLOCK_MONOTONIC, 0);
    folder = open("/", O_RDONLY | O_DIRECTORY);
    watches = inotify_init1(IN_NONBLOCK);
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    fcntl(ends[1], F_SETFL, O_NONBLOCK);
    fcntl(pipes[0], F_SETFL, O_NONBLOCK);
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
        CALL(ppoll, 13, P(&polled), 1, P(&time_zero), P(&set), 8),
        CALL(pselect6, 30, 1, P(&files), P(&files), P(&files), P(&time_zero), 0),
        CALL(epoll_ctl, 8, queue, EPOLL_CTL_ADD, -1, P(&event)),
        CALL(epoll_pwait, 18, queue, P(buffer), 4, 0, P(&set), 8),
        CALL(timerfd_settime, 12, timer, 0, P(&interval), P(&interval)),
        CALL(timerfd_gettime, 2, timer, P(&interval)),
        CALL(signalfd4, 2, -1, P(&set), 8, 0),
        CALL(inotify_add_watch, 2, watches, P(path), IN_OPEN),
        CALL(memfd_create, 1, P("name"), 0),
        CALL(mincore, 4, P(buffer) & ~4095L, 4096, P(buffer)),
        CALL(clone3, 1, P(buffer), 64),
        CALL(execve, 1, P("/nowhere"), P(NULL), P(NULL)),
        CALL(execve, 6, P("/bin/true"), P(how), P(how)),
        WIDE(wait4, 2, -1, P(&number), WNOHANG, 0)
        INSTEAD(wait4, waitid, 16, P_ALL, 0, P(NULL), WNOHANG | WEXITED, P(buffer))
        CALL(waitid, 4, P_ALL, 0, P(buffer), WNOHANG | WEXITED, 0),
        CALL(futex, 1, P(&number), 0x80 | 0, 1, P(&time_zero)),
        CALL(futex, 8, P(&number), 0x80 | 0, 0, P(&time_zero)),
        CALL(getresuid, 7, P(&number), P(&number), P(&number)),
        CALL(getgroups, 2, 100, P(buffer)),
        CALL(prlimit64, 12, 0, RLIMIT_NOFILE, P(NULL), P(&limit)),
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
        CALL(clock_nanosleep, 4, CLOCK_MONOTONIC, 0, P(&time_zero), 0),
        WIDE(nanosleep, 1, P(&time_zero), 0)
        INSTEAD(nanosleep, clock_nanosleep_time64, 4, CLOCK_REALTIME, 0, P(&time_zero), 0)
        WIDE(gettimeofday, 1, P(buffer), 0)
        INSTEAD(gettimeofday, clock_gettime64, 2, CLOCK_REALTIME, P(buffer))
        WIDE(adjtimex, 1, P(buffer))
        INSTEAD(adjtimex, clock_adjtime64, 2, CLOCK_REALTIME, P(buffer))
        CALL(getitimer, 2, ITIMER_VIRTUAL, P(&old_interval)),
        CALL(setitimer, 6, ITIMER_VIRTUAL, P(&old_interval), P(&old_interval)),
        CALL(rt_sigaction, 6, SIGUSR2, P(NULL), P(NULL), 8),
        CALL(rt_sigprocmask, 6, SIG_BLOCK, P(&set), P(&set), 8),
        CALL(rt_sigpending, 1, P(&set), 8),
        CALL(rt_sigtimedwait, 5, P(&set), P(NULL), P(&time_zero), 8),
        CALL(sigaltstack, 3, P(NULL), P(NULL)),
        CALL(socketpair, 8, AF_UNIX, SOCK_DGRAM, 0, P(how)),
        CALL(bind, 2, ends[0], P(&address), 16),
        CALL(connect, 2, ends[0], P(&address), 16),
        CALL(getsockname, 6, ends[0], P(&address), P(&address_size)),
        CALL(getpeername, 6, ends[0], P(&address), P(&address_size)),
        CALL(sendto, 2, ends[0], P(buffer), 4, 0, 0, 0),
        CALL(recvfrom, 2, ends[1], P(buffer), 4, 0, 0, 0),
        CALL(sendmsg, 2, ends[0], P(&header), 0),
        CALL(recvmsg, 2, ends[1], P(&header), MSG_DONTWAIT),
        CALL(sendmmsg, 2, ends[0], P(&headers), 1, 0),
        CALL(recvmmsg, 2, ends[1], P(&headers), 1, MSG_DONTWAIT, 0),
        CALL(setsockopt, 8, ends[0], SOL_SOCKET, SO_SNDBUF, P(&number), 4),
        CALL(getsockopt, 24, ends[0], SOL_SOCKET, SO_SNDBUF, P(&number), P(&option_size)),
        CALL(timer_create, 6, CLOCK_MONOTONIC, P(NULL), P(&number)),
        CALL(capget, 3, P(buffer), P(buffer)),
        CALL(get_robust_list, 6, 0, P(how), P(how)),
    };
    how[0] = O_RDONLY;
    for (unsigned i = 0; i < sizeof table / sizeof *table; i++) {
        sweep(&table[i], page + 4095);
        fflush(stdout);
    }
    snprintf(text, sizeof text, "/proc/self/fd/%d", file);
    unlink(path);
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
