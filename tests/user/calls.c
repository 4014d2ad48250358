/* Calls that the other programs do not make, each once with good arguments and, where it can fail, with bad ones; what
 * needs rights that not everyone has is asked for so that it fails the same for everyone. */
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/fsuid.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "narrow.h"

static void show(const char *what, long result)
{
    printf("%s: %ld %s\n", what, result < 0 ? -1 : result, result < 0 ? strerror(errno) : "");
}
#define SHOW(expression) (errno = 0, show(#expression, (long)(expression)))
#define OK(expression) (errno = 0, show(#expression, (long)(expression) < 0 ? -1 : 0))
/* Refused by decision: the host may do as it likes. */
#ifdef __riscv
#define REFUSED(number, name) (errno = 0, printf("%s: %d\n", #name, syscall(number) == -1 && errno == (name)))
#else
#define REFUSED(number, name) printf("%s: %d\n", #name, 1)
#endif

static char path[64], other[64], page[8192] __attribute__((aligned(4096)));
static int file;

static void files(void)
{
    int ends[2], more[2], copy;
    struct iovec vector = { page, 4 };
    off_t offset = 0;

    pipe(ends);
    pipe(more);
    SHOW(write(ends[1], "abcdef", 6));
    SHOW(syscall(SYS_tee, ends[0], more[1], 4, 0));
    SHOW(syscall(SYS_splice, more[0], NULL, file, &offset, 4, 0));
    SHOW(offset);
    SHOW(syscall(SYS_vmsplice, more[1], &vector, 1, 0));
    SHOW(preadv2(file, &vector, 1, 0, 0));
    SHOW(!memcmp(page, "abcd", 4));
    copy = dup(file);
    OK(dup3(copy, copy + 20, O_CLOEXEC));
    SHOW(fcntl(copy + 20, F_GETFD));
    SHOW(dup3(copy, copy, 0));
    OK(syscall(SYS_close_range, copy + 10, copy + 30, 0));
    SHOW(fcntl(copy + 20, F_GETFD));
    SHOW(flock(copy, LOCK_EX | LOCK_NB));
    SHOW(fsync(copy));
    SHOW(fdatasync(copy));
    SHOW(syncfs(copy));
    SHOW(sync_file_range(copy, 0, 4, 0));
    SHOW(fallocate(copy, 0, 0, 100));
    SHOW(fallocate(copy, 0, -1, 100));
    SHOW(syscall(SYS_fadvise64, copy, 0L, 0L, POSIX_FADV_RANDOM));
    SHOW(syscall(SYS_readahead, copy, 0L, 10));
    SHOW(readahead(-1, 0, 10));
    SHOW(syscall(451, -1, NULL, NULL, 0)); /* cachestat */
    SHOW(faccessat(AT_FDCWD, path, R_OK, AT_EACCESS));
    SHOW(syscall(SYS_faccessat2, AT_FDCWD, path, 8, 0));
    SHOW(syscall(452, AT_FDCWD, path, 0640, 0)); /* fchmodat2 */
    SHOW(fchown(copy, -1, -1));
    SHOW(umask(022));
    SHOW(umask(022));
    int folder = open("/tmp", O_RDONLY);
    SHOW(fchdir(folder));
    SHOW(chroot("/nowhere"));
    sync();
}

static void attributes(void)
{
    char value[16];

    OK(fsetxattr(file, "user.a", "value", 5, 0));
    OK(lsetxattr(path, "user.b", "other", 5, 0));
    SHOW(fgetxattr(file, "user.a", value, sizeof value));
    SHOW(lgetxattr(path, "user.b", value, sizeof value));
    SHOW(fgetxattr(file, "user.none", value, sizeof value));
    SHOW(flistxattr(file, NULL, 0) >= 0);
    SHOW(llistxattr(path, NULL, 0) >= 0);
    OK(fremovexattr(file, "user.a"));
    OK(lremovexattr(path, "user.b"));
    SHOW(removexattr(path, "user.b"));
}

static void waiting(void)
{
    struct epoll_event event = { EPOLLIN }, got;
    struct timespec none = { 0, 0 };
    uint64_t value = 5;
    int counter = syscall(SYS_eventfd2, 0, 0), queue = epoll_create1(0), watches = inotify_init1(0);

    epoll_ctl(queue, EPOLL_CTL_ADD, counter, &event);
    SHOW(syscall(SYS_epoll_pwait2, queue, &got, 1, &none, NULL, 8));
    write(counter, &value, 8);
    SHOW(syscall(SYS_epoll_pwait2, queue, &got, 1, NULL, NULL, 8));
    int watch = inotify_add_watch(watches, "/tmp", IN_CREATE);
    SHOW(inotify_rm_watch(watches, watch));
    SHOW(inotify_rm_watch(watches, watch));
    SHOW(syscall(SYS_fanotify_init, 0xffffffff, 0));
    SHOW(syscall(SYS_fanotify_mark, -1, 0, 0, AT_FDCWD, "/"));
    aio_context_t context = 0;
    struct iocb request = { .aio_lio_opcode = IOCB_CMD_PREAD, .aio_fildes = file, .aio_nbytes = 4 }, *list = &request;
    struct io_event done;
    request.aio_buf = (uintptr_t)page;
    SHOW(syscall(SYS_io_setup, 4, &context));
    SHOW(syscall(SYS_io_submit, context, 1, &list));
    show("io_getevents", sizeof(long) == 4 ? syscall(SYS_io_pgetevents, context, 1, 1, &done, NULL, NULL)
                                           : syscall(SYS_io_getevents, context, 1, 1, &done, NULL));
    SHOW(done.res);
    SHOW(syscall(SYS_io_pgetevents, context, 0, 1, &done, &none, NULL));
    SHOW(syscall(SYS_io_cancel, context, &request, &done));
    SHOW(syscall(SYS_io_destroy, context));
    SHOW(syscall(SYS_io_destroy, context));
    REFUSED(425, ENOSYS); /* io_uring_setup */
    REFUSED(426, ENOSYS); /* io_uring_enter */
    REFUSED(427, ENOSYS); /* io_uring_register */
}

static void mounts(void)
{
    SHOW(mount("none", "/nowhere/at/all", "none", 0, NULL));
    SHOW(umount2("/nowhere", 0x1000));
    OK(syscall(SYS_pivot_root, "/nowhere", "/nowhere") == -1);
    SHOW(syscall(428, AT_FDCWD, "/nowhere", 0));                        /* open_tree */
    OK(syscall(429, AT_FDCWD, "/nowhere", AT_FDCWD, "/", 0) == -1);     /* move_mount */
    OK(syscall(430, "no such file system", 0) == -1);                   /* fsopen */
    OK(syscall(431, -1, 0, NULL, NULL, 0) == -1);                       /* fsconfig */
    OK(syscall(432, -1, 0, 0) == -1);                                   /* fsmount */
    OK(syscall(433, AT_FDCWD, "/nowhere", 0) == -1);                    /* fspick */
    OK(syscall(442, AT_FDCWD, "/nowhere", 0, page, 4) == -1);           /* mount_setattr */
    OK(syscall(SYS_quotactl, 0, "/nowhere", 0, NULL) == -1);
    OK(syscall(443, -1, 0, 0, NULL) == -1);                             /* quotactl_fd */
    OK(syscall(SYS_swapon, "/nowhere", 0) == -1);
    OK(syscall(SYS_swapoff, "/nowhere") == -1);
    OK(syscall(SYS_acct, "/nowhere/at/all") == -1);
    if (!fork()) {
        setsid();
        syscall(SYS_vhangup);
        _exit(0);
    }
    wait(NULL);
    struct {
        unsigned bytes;
        int type;
        char handle[128];
    } handle = { 128 };
    int mount_id;
    OK(syscall(SYS_name_to_handle_at, AT_FDCWD, path, &handle, &mount_id, 0));
    OK(syscall(SYS_open_by_handle_at, -1, &handle, O_RDONLY) == -1);
}

static void memory(void)
{
    struct iovec here = { page, 16 }, there = { page + 4096, 16 };
    int mode = 7;
    unsigned long nodes[32];

    SHOW(madvise(page, 4096, MADV_NORMAL));
    SHOW(madvise(page, 4096, 12345));
    SHOW(msync(page, 4096, MS_SYNC));
    SHOW(msync(page + 1, 4096, MS_SYNC));
    OK(mlock(page, 4096));
    OK(syscall(SYS_mlock2, page, 4096, 0));
    OK(munlock(page, 4096));
    SHOW(mlockall(0));
    OK(munlockall());
    SHOW(syscall(SYS_get_mempolicy, &mode, NULL, 0, NULL, 0));
    SHOW(mode);
    SHOW(syscall(SYS_set_mempolicy, 0, NULL, 0));
    SHOW(syscall(SYS_migrate_pages, 1 << 30, 64, nodes, nodes));
    SHOW(syscall(SYS_move_pages, 0, 0, NULL, NULL, NULL, 0));
    strcpy(page + 4096, "by another way");
    SHOW(process_vm_readv(getpid(), &here, 1, &there, 1, 0));
    SHOW(!strcmp(page, "by another way"));
    SHOW(process_vm_writev(getpid(), &here, 1, &there, 1, 1));
    SHOW(syscall(440, -1, &here, 1, MADV_COLD, 0)); /* process_madvise */
    SHOW(syscall(448, -1, 0));                      /* process_mrelease */
    REFUSED(SYS_userfaultfd, ENOSYS);
    REFUSED(453, ENOSYS); /* map_shadow_stack */
    REFUSED(471, ENOSYS); /* rseq_slice_yield */
    SHOW(syscall(SYS_pkey_free, 55));
#ifdef __riscv
    SHOW(syscall(SYS_pkey_alloc, 0, 0) == -1 && errno == ENOSPC);
#else
    show("syscall(SYS_pkey_alloc, 0, 0) == -1 && errno == ENOSPC", 1);
#endif
}

/* libc may have an area of rseq in each thread, or ask the kernel. */
static void *find_processor(void *allowed)
{
    int number = sched_getcpu();
    return (void *)(long)(number >= 0 && CPU_ISSET(number, (cpu_set_t *)allowed));
}

static void processors(void)
{
    cpu_set_t allowed;
    pthread_t thread;
    void *right;

    sched_getaffinity(0, sizeof allowed, &allowed);
    SHOW(find_processor(&allowed) != NULL);
    pthread_create(&thread, NULL, find_processor, &allowed);
    pthread_join(thread, &right);
    SHOW(right != NULL);
}

static void processes(void)
{
    int status, ends[2];
    siginfo_t info = { 0 };

    pipe(ends);
    pid_t child = fork();
    if (!child) {
        char byte;
        status = getppid() > 1 && !setpgid(0, 0) && getpgid(0) == getpid();
        read(ends[0], &byte, 1);
        _exit(status ? 7 : 8);
    }
    int handle = syscall(SYS_pidfd_open, child, 0);
    SHOW(syscall(SYS_pidfd_send_signal, handle, 0, NULL, 0));
    OK(syscall(438, handle, ends[1], 0)); /* pidfd_getfd */
    SHOW(getsid(0) == getsid(child));
    SHOW(syscall(SYS_kcmp, getpid(), getpid(), 0, ends[0], ends[0]));
    write(ends[1], "x", 1);
    waitpid(child, &status, 0);
    SHOW(status);
    OK(unshare(CLONE_FILES));
    SHOW(unshare(1));
    SHOW(setns(-1, 0));
    SHOW(syscall(444, NULL, 0, 1) >= -1); /* landlock_create_ruleset */
    SHOW(syscall(445, -1, 1, NULL, 0) == -1); /* landlock_add_rule */
    SHOW(syscall(446, -1, 0) == -1); /* landlock_restrict_self */
    SHOW(syscall(SYS_tkill, getpid(), 0));
    SHOW(syscall(SYS_tkill, 0, 0));
    info.si_code = SI_QUEUE;
    SHOW(syscall(SYS_rt_tgsigqueueinfo, getpid(), getpid(), 0, &info));
    processors();
    REFUSED(SYS_ptrace, EPERM);
    REFUSED(SYS_seccomp, EINVAL);
}

static void identity(void)
{
    struct rlimit limit;
    uint32_t header[2] = { 0x20080522, 0 }, data[6];
    gid_t a, b, c;

    SHOW(geteuid() == getuid());
    SHOW(getgid() == getegid());
    SHOW(setuid(getuid()));
    SHOW(setgid(getgid()));
    SHOW(setreuid(-1, geteuid()));
    SHOW(setregid(-1, getegid()));
    SHOW(setresuid(-1, -1, -1));
    SHOW(setresgid(-1, -1, -1));
    SHOW(getresgid(&a, &b, &c));
    SHOW(a == getgid() && b == a && c == a);
    SHOW(setfsuid(-1) == (int)geteuid());
    SHOW(setfsgid(-1) == (int)getegid());
    SHOW(setgroups(-1, NULL));
    SHOW(syscall(SYS_capget, header, data));
    SHOW(syscall(SYS_capset, header, data));
    show("getrlimit", sizeof(long) == 4 ? getrlimit(RLIMIT_NOFILE, &limit)
                                        : syscall(SYS_getrlimit, RLIMIT_NOFILE, &limit));
    limit.rlim_cur = 50;
    show("setrlimit", sizeof(long) == 4 ? 1 : syscall(SYS_setrlimit, RLIMIT_CORE, &limit) <= 0);
    SHOW(syscall(SYS_personality, 0xffffffff));
    SHOW(syscall(SYS_sethostname, "x", -1) == -1);
    SHOW(syscall(SYS_setdomainname, "x", -1) == -1);
}

static void scheduling(void)
{
    struct sched_param parameter = { 0 };
    unsigned long mask[16] = { 0 };
    struct {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t rest[3];
    } attributes = { 0 };

    SHOW(syscall(SYS_sched_setparam, 0, &parameter));
    SHOW(syscall(SYS_sched_setscheduler, 0, SCHED_OTHER, &parameter));
    SHOW(syscall(SYS_sched_getscheduler, 0));
    SHOW(sched_get_priority_max(SCHED_FIFO));
    SHOW(sched_get_priority_min(SCHED_FIFO));
    long size = syscall(SYS_sched_getaffinity, 0, sizeof mask, mask);
    SHOW(syscall(SYS_sched_setaffinity, 0, size, mask));
    SHOW(syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0));
    SHOW(attributes.policy);
    SHOW(syscall(SYS_sched_setattr, 0, &attributes, 0));
    SHOW(getpriority(PRIO_PROCESS, 0));
    SHOW(setpriority(PRIO_PROCESS, 0, 1));
    SHOW(getpriority(PRIO_PROCESS, 0));
    SHOW(syscall(SYS_ioprio_get, 1, 0) >= 0);
    SHOW(syscall(SYS_ioprio_set, 1, 0, 2 << 13 | 4));
}

static void times_and_others(void)
{
    struct timespec bad = { 0, -1 };
    struct timeval bad_time = { 0, -1 };
    struct timex adjust = { 0 };
    struct itimerspec interval = { { 0 }, { 100, 0 } };
    timer_t timer;

    SHOW(clock_settime(CLOCK_MONOTONIC, &bad));
    SHOW(settimeofday(&bad_time, NULL));
    SHOW(clock_adjtime(CLOCK_REALTIME, &adjust) >= 0);
    timer_create(CLOCK_MONOTONIC, NULL, &timer);
    SHOW(timer_settime(timer, 0, &interval, NULL));
    SHOW(timer_gettime(timer, &interval));
    SHOW(interval.it_value.tv_sec > 90);
    SHOW(timer_getoverrun(timer));
    SHOW(timer_delete(timer));
    int listener = socket(AF_UNIX, SOCK_STREAM, 0), ends[2];
    SHOW(accept(listener, NULL, NULL));
    socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
    SHOW(shutdown(ends[0], SHUT_WR));
    SHOW(read(ends[1], page, 4));
    SHOW(shutdown(ends[0], 77));
    OK(syscall(SYS_add_key, "user", "myna", "x", 1, -1) != 0 ? 0 : -1);
    SHOW(syscall(SYS_request_key, "user", "no such key of ours", NULL, 0) == -1);
    SHOW(syscall(SYS_syslog, 77, NULL, 0) == -1);
    SHOW(syscall(SYS_reboot, 0, 0, 0, NULL) == -1);
    REFUSED(SYS_kexec_load, EPERM);
    REFUSED(294, EPERM); /* kexec_file_load */
    REFUSED(SYS_init_module, EPERM);
    REFUSED(SYS_finit_module, EPERM);
    REFUSED(SYS_delete_module, EPERM);
    REFUSED(SYS_bpf, EPERM);
    REFUSED(SYS_perf_event_open, EPERM);
    REFUSED(SYS_lookup_dcookie, ENOSYS);
    REFUSED(SYS_nfsservctl, ENOSYS);
#ifdef __riscv
    uint64_t pairs[3][2] = { { 3, 0 }, { 1000, 0 }, { 4, 0 } };
    show("flush", syscall(259 /* riscv_flush_icache */, page, page + 64, 0L));
    show("probe", syscall(258 /* riscv_hwprobe */, pairs, 3, 0, NULL, 0));
    show("base", (pairs[0][1] & 1) == 1 && pairs[1][0] == UINT64_MAX);
    show("F and D, C, Zba, Zbb, Zbs, Zicntr", (pairs[2][1] & (0x3b | 1UL << 50)) == (0x3b | 1UL << 50));
    show("bad probe", syscall(258, (void *)8, 2, 0, NULL, 0) == -1 && errno == EFAULT);
#else
    show("flush", 0);
    show("probe", 0);
    show("base", 1);
    show("F and D, C, Zba, Zbb, Zbs, Zicntr", 1);
    show("bad probe", 1);
#endif
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    snprintf(path, sizeof path, "/tmp/myna-calls-%d", getpid());
    file = open(path, O_RDWR | O_CREAT, 0600);
    memset(page, 1, sizeof page);
    files();
    attributes();
    waiting();
    mounts();
    memory();
    processes();
    identity();
    scheduling();
    times_and_others();
    unlink(path);
    return 0;
}
