/* Calls that Linux has had since 5.14: with good arguments, what they give; with bad ones, their errors. A kernel that
 * lacks one lacks it for both. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

enum {
    MEMFD_SECRET = 447, PROCESS_MRELEASE, FUTEX_WAITV, SET_MEMPOLICY_HOME_NODE, CACHESTAT, FCHMODAT2, MAP_SHADOW_STACK,
    FUTEX_WAKE_2, FUTEX_WAIT_2, FUTEX_REQUEUE_2, STATMOUNT, LISTMOUNT, LSM_GET, LSM_SET, LSM_LIST, MSEAL, SETXATTRAT,
    GETXATTRAT, LISTXATTRAT, REMOVEXATTRAT, OPEN_TREE_ATTR, FILE_GETATTR, FILE_SETATTR,
};
enum { SIZE_32 = 2, PRIVATE = 128 };

static void show(const char *what, long result)
{
    printf("%s: %ld %s\n", what, result < 0 ? -1 : result, result < 0 ? strerror(errno) : "");
}
#define SHOW(expression) (errno = 0, show(#expression, (long)(expression)))
#define OK(expression) (errno = 0, show(#expression, (long)(expression) < 0 ? -1 : 0))

static char path[64];
static int file;
static void *const nowhere = (void *)8, *const kernels = (void *)(sizeof(long) == 4 ? 0xc0000000 : -1UL << 31);

/* -- futexes of many ---------------------------------------------------------------------------------------------- */

struct waiter {
    uint64_t value, address;
    uint32_t flags, reserved;
};

static uint32_t words[3];
static _Atomic int begun;

static void *waker(void *which)
{
    while (!begun) {
        sched_yield();
    }
    /* until somebody was woken */
    while (syscall(FUTEX_WAKE_2, &words[(long)which], 0xffffffffUL, 1, SIZE_32 | PRIVATE) == 0) {
        sched_yield();
    }
    return NULL;
}

static void on_alarm(int number)
{
}

static void futexes(void)
{
    struct timespec past = { 0, 1 }, soon, bad = { 0, -1 };
    struct waiter waiters[130] = { { 0, (uintptr_t)&words[0], SIZE_32 | PRIVATE },
                                   { 0, (uintptr_t)&words[1], SIZE_32 | PRIVATE } };
    pthread_t thread;

    SHOW(syscall(FUTEX_WAITV, waiters, 2, 0, &past, CLOCK_MONOTONIC));
    SHOW(syscall(FUTEX_WAITV, waiters, 2, 0, &bad, CLOCK_MONOTONIC));
    SHOW(syscall(FUTEX_WAITV, waiters, 2, 0, &past, CLOCK_PROCESS_CPUTIME_ID));
    SHOW(syscall(FUTEX_WAITV, waiters, 2, 1, NULL, 0));
    SHOW(syscall(FUTEX_WAITV, waiters, 0, 0, NULL, 0));
    SHOW(syscall(FUTEX_WAITV, waiters, 129, 0, NULL, 0));
    SHOW(syscall(FUTEX_WAITV, NULL, 2, 0, NULL, 0));
    SHOW(syscall(FUTEX_WAITV, nowhere, 2, 0, NULL, 0));
    SHOW(syscall(FUTEX_WAITV, waiters, 2, 0, nowhere, CLOCK_MONOTONIC));
    waiters[1].value = 7;
    SHOW(syscall(FUTEX_WAITV, waiters, 2, 0, NULL, 0));
    waiters[1] = (struct waiter){ 0, (uintptr_t)nowhere, SIZE_32 | PRIVATE };
    SHOW(syscall(FUTEX_WAITV, waiters, 2, 0, NULL, 0));
    waiters[1] = (struct waiter){ 0, (uintptr_t)kernels, SIZE_32 | PRIVATE };
    SHOW(syscall(FUTEX_WAITV, waiters, 2, 0, NULL, 0));
    waiters[1] = (struct waiter){ 0, (uintptr_t)&words[1], SIZE_32 | PRIVATE, 1 };
    SHOW(syscall(FUTEX_WAITV, waiters, 2, 0, NULL, 0));
    waiters[1] = (struct waiter){ 0, (uintptr_t)&words[1], SIZE_32 | PRIVATE };
    errno = 0;
    if (syscall(FUTEX_WAKE_2, &words[2], 0xffffffffUL, 1, SIZE_32 | PRIVATE) == 0) {
        pthread_create(&thread, NULL, waker, (void *)1);
        begun = 1;
        SHOW(syscall(FUTEX_WAITV, waiters, 2, 0, NULL, 0));
        pthread_join(thread, NULL);
        pthread_create(&thread, NULL, waker, (void *)2);
        SHOW(syscall(FUTEX_WAIT_2, &words[2], 0UL, 0xffffffffUL, SIZE_32 | PRIVATE, NULL, 0));
        pthread_join(thread, NULL);
    }
    SHOW(syscall(FUTEX_WAIT_2, &words[2], 1UL, 0xffffffffUL, SIZE_32 | PRIVATE, NULL, 0));
    SHOW(syscall(FUTEX_WAIT_2, &words[2], 0UL, 0xffffffffUL, SIZE_32 | PRIVATE, &past, CLOCK_MONOTONIC));
    SHOW(syscall(FUTEX_WAIT_2, nowhere, 0UL, 0xffffffffUL, SIZE_32 | PRIVATE, NULL, 0));
    SHOW(syscall(FUTEX_WAIT_2, &words[2], 0UL, 0xffffffffUL, 99, NULL, 0));
    SHOW(syscall(FUTEX_WAKE_2, nowhere, 0xffffffffUL, 1, SIZE_32 | PRIVATE));
    SHOW(syscall(FUTEX_WAKE_2, kernels, 0xffffffffUL, 1, SIZE_32 | PRIVATE));
    SHOW(syscall(FUTEX_REQUEUE_2, waiters, 0, 1, 1));
    SHOW(syscall(FUTEX_REQUEUE_2, nowhere, 0, 1, 1));
    SHOW(syscall(FUTEX_REQUEUE_2, NULL, 0, 1, 1));
    waiters[0].value = 5;
    SHOW(syscall(FUTEX_REQUEUE_2, waiters, 0, 1, 1));
    /* a signal without SA_RESTART, then one with: the time goes on */
    struct sigaction action = { .sa_handler = on_alarm };
    struct itimerval timer = { { 0 }, { 0, 20000 } };
    waiters[0].value = 0;
    clock_gettime(CLOCK_MONOTONIC, &soon);
    soon.tv_sec += 100;
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &timer, NULL);
    SHOW(syscall(FUTEX_WAITV, waiters, 2, 0, &soon, CLOCK_MONOTONIC));
    action.sa_flags = SA_RESTART;
    sigaction(SIGALRM, &action, NULL);
    clock_gettime(CLOCK_MONOTONIC, &soon);
    soon.tv_nsec += 60000000;
    soon.tv_sec += soon.tv_nsec / 1000000000;
    soon.tv_nsec %= 1000000000;
    setitimer(ITIMER_REAL, &timer, NULL);
    SHOW(syscall(FUTEX_WAITV, waiters, 2, 0, &soon, CLOCK_MONOTONIC));
}

/* -- memory ------------------------------------------------------------------------------------------------------- */

static void sealed(void)
{
    char *pages = mmap(NULL, 16384, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    pages[4096] = 'x';
    SHOW(syscall(MSEAL, pages + 4096, 4096, 1));
    SHOW(syscall(MSEAL, pages + 1, 4096, 0));
    SHOW(syscall(MSEAL, nowhere, 4096, 0));
    SHOW(syscall(MSEAL, (void *)4096, 4096, 0));
    SHOW(syscall(MSEAL, -4096L, 8192, 0));
    SHOW(syscall(MSEAL, pages, 0, 0));
    if (syscall(MSEAL, pages + 4096, 4096, 0)) {
        return;
    }
    SHOW(munmap(pages, 16384));
    SHOW(mprotect(pages, 16384, PROT_READ));
    OK(mmap(pages + 4096, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED ? -1 : 0);
    OK(mremap(pages + 4096, 4096, 8192, MREMAP_MAYMOVE) == MAP_FAILED ? -1 : 0);
    OK(mremap(pages + 4096, 4096, 0, MREMAP_MAYMOVE) == MAP_FAILED ? -1 : 0);
    SHOW(madvise(pages + 4096, 4096, MADV_NORMAL));
    SHOW(pages[4096]);
    pages[4096] = 'y';
    SHOW(munmap(pages, 4096));
    SHOW(munmap(pages + 8192, 8192));
    SHOW(pages[4096]);
}

static void secret(void)
{
    int fd = syscall(MEMFD_SECRET, 0);

    SHOW(syscall(MEMFD_SECRET, 0x1234));
    if (fd < 0) {
        SHOW(fd);
        return;
    }
    SHOW(ftruncate(fd, 4096));
    char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (page != MAP_FAILED) {
        strcpy(page, "secret");
        SHOW(write(file, page, 6));
        SHOW(read(fd, page, 1));
        munmap(page, 4096);
    }
    close(fd);
}

static void nodes(void)
{
    char *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    SHOW(syscall(SET_MEMPOLICY_HOME_NODE, pages, 8192UL, 0UL, 1UL));
    SHOW(syscall(SET_MEMPOLICY_HOME_NODE, pages + 1, 8192UL, 0UL, 0UL));
    SHOW(syscall(SET_MEMPOLICY_HOME_NODE, pages, 8192UL, 0UL, 0UL));
    SHOW(syscall(SET_MEMPOLICY_HOME_NODE, pages, 8192UL, 1000UL, 0UL));
    SHOW(syscall(PROCESS_MRELEASE, -1, 0));
    SHOW(syscall(PROCESS_MRELEASE, syscall(434, getpid(), 0), 0));
    SHOW(syscall(PROCESS_MRELEASE, -1, 1));
}

/* -- files -------------------------------------------------------------------------------------------------------- */

static void cached(void)
{
    uint64_t range[2] = { 0, 0 }, got[5] = { 0 };

    SHOW(syscall(CACHESTAT, file, range, got, 0));
    SHOW(got[0] > 0);
    SHOW(syscall(CACHESTAT, file, range, got, 1));
    SHOW(syscall(CACHESTAT, -1, range, got, 0));
    SHOW(syscall(CACHESTAT, file, nowhere, got, 0));
    SHOW(syscall(CACHESTAT, file, range, nowhere, 0));
    SHOW(syscall(FCHMODAT2, AT_FDCWD, path, 0604, 0));
    SHOW(syscall(FCHMODAT2, AT_FDCWD, path, 0604, 0x1000000));
    SHOW(syscall(FCHMODAT2, file, "", 0640, AT_EMPTY_PATH));
    SHOW(syscall(FCHMODAT2, AT_FDCWD, nowhere, 0640, 0));
    struct stat status;
    fstat(file, &status);
    SHOW(status.st_mode & 07777);
}

static void attributes(void)
{
    char value[8] = "value", list[64] = "";
    struct {
        uint64_t value;
        uint32_t size, flags;
    } set = { (uintptr_t)value, 5, 0 }, get = { (uintptr_t)value, 8, 0 }, bad = { (uintptr_t)nowhere, 5, 0 };

    OK(syscall(SETXATTRAT, AT_FDCWD, path, 0, "user.a", &set, sizeof set));
    OK(syscall(SETXATTRAT, AT_FDCWD, path, 0, "user.b", &bad, sizeof bad));
    OK(syscall(SETXATTRAT, AT_FDCWD, path, 0, "user.b", &set, 8));
    OK(syscall(SETXATTRAT, AT_FDCWD, path, 0, nowhere, &set, sizeof set));
    OK(syscall(SETXATTRAT, AT_FDCWD, path, 0, "user.b", nowhere, sizeof set));
    memset(value, 0, sizeof value);
    SHOW(syscall(GETXATTRAT, AT_FDCWD, path, 0, "user.a", &get, sizeof get));
    SHOW(!strcmp(value, "value"));
    SHOW(syscall(GETXATTRAT, file, "", AT_EMPTY_PATH, "user.a", &get, sizeof get));
    SHOW(syscall(GETXATTRAT, AT_FDCWD, path, 0, "user.none", &get, sizeof get));
    SHOW(syscall(GETXATTRAT, AT_FDCWD, path, 0, "user.a", &bad, sizeof bad));
    SHOW(syscall(GETXATTRAT, AT_FDCWD, path, 0x77, "user.a", &get, sizeof get));
    SHOW(syscall(LISTXATTRAT, AT_FDCWD, path, 0, list, sizeof list) >= 0);
    SHOW(strstr(list, "user.a") != NULL);
    OK(syscall(LISTXATTRAT, AT_FDCWD, path, 0, nowhere, 64));
    OK(syscall(LISTXATTRAT, file, "", AT_EMPTY_PATH, list, 64));
    OK(syscall(REMOVEXATTRAT, AT_FDCWD, path, 0, "user.a"));
    OK(syscall(REMOVEXATTRAT, AT_FDCWD, path, 0, "user.a"));
    OK(syscall(REMOVEXATTRAT, AT_FDCWD, nowhere, 0, "user.a"));
    uint64_t inode[3] = { 0 };
    OK(syscall(FILE_GETATTR, AT_FDCWD, path, inode, sizeof inode, 0));
    OK(syscall(FILE_GETATTR, AT_FDCWD, path, nowhere, sizeof inode, 0));
    OK(syscall(FILE_GETATTR, AT_FDCWD, path, inode, 1, 0));
    OK(syscall(FILE_SETATTR, AT_FDCWD, path, inode, sizeof inode, 0));
    OK(syscall(FILE_SETATTR, AT_FDCWD, path, nowhere, sizeof inode, 0));
    OK(syscall(FILE_SETATTR, AT_FDCWD, "/nowhere", inode, sizeof inode, 0));
}

static void mounts(void)
{
    enum { MOUNT_ID = 0x90 / 8 }; /* in struct statx, which may be a libc's from before */
    uint64_t root[32] = { 0 };
    struct {
        uint32_t size, spare;
        uint64_t mount, what;
    } request = { sizeof request };
    uint64_t ids[64];
    static uint64_t answer[512];

    syscall(SYS_statx, AT_FDCWD, "/", 0, 0x4000 /* STATX_MNT_ID_UNIQUE */, root);
    request.mount = root[MOUNT_ID];
    request.what = 2; /* STATMOUNT_MNT_BASIC */
    SHOW(syscall(STATMOUNT, &request, answer, sizeof answer, 0));
    SHOW(answer[5] == root[MOUNT_ID]);
    SHOW(syscall(STATMOUNT, &request, answer, sizeof answer, 1));
    SHOW(syscall(STATMOUNT, &request, nowhere, sizeof answer, 0));
    SHOW(syscall(STATMOUNT, nowhere, answer, sizeof answer, 0));
    SHOW(syscall(STATMOUNT, &request, answer, 8, 0));
    request.what = 0;
    SHOW(syscall(LISTMOUNT, &request, ids, 64, 0) >= 0);
    SHOW(syscall(LISTMOUNT, &request, ids, 64, 8));
    SHOW(syscall(LISTMOUNT, nowhere, ids, 64, 0));
    request.size = 3;
    SHOW(syscall(LISTMOUNT, &request, ids, 64, 0));
    SHOW(syscall(OPEN_TREE_ATTR, AT_FDCWD, "/nowhere", 0, ids, 32));
    SHOW(syscall(OPEN_TREE_ATTR, AT_FDCWD, "/", 0, nowhere, 32));
    SHOW(syscall(OPEN_TREE_ATTR, AT_FDCWD, nowhere, 0, NULL, 0));
}

static void modules(void)
{
    uint64_t ids[32] = { 0 };
    uint32_t size = sizeof ids, small = 1;
    static char context[4096];

    SHOW(syscall(LSM_LIST, ids, &size, 0));
    SHOW(size);
    SHOW(ids[0]);
    SHOW(syscall(LSM_LIST, ids, &small, 0));
    SHOW(syscall(LSM_LIST, ids, &size, 1));
    SHOW(syscall(LSM_LIST, nowhere, &size, 0));
    SHOW(syscall(LSM_LIST, ids, nowhere, 0));
    size = sizeof context;
    OK(syscall(LSM_GET, 100, context, &size, 0));
    OK(syscall(LSM_GET, 0, context, &size, 0));
    OK(syscall(LSM_GET, 100, context, nowhere, 0));
    OK(syscall(LSM_SET, 100, context, 32, 0));
    OK(syscall(LSM_SET, 100, nowhere, 32, 0));
}

int main(void)
{
    snprintf(path, sizeof path, "/tmp/myna-newer-%d", getpid());
    file = open(path, O_RDWR | O_CREAT, 0600);
    write(file, "contents", 8);
    futexes();
    sealed();
    secret();
    nodes();
    cached();
    attributes();
    mounts();
    modules();
    unlink(path);
    return 0;
}
