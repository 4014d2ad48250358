/* Processes: one that keeps this one's memory until after its end. */
#include "base/host/host.h"

#include "base/error.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { KEEPER_STACK = 64 * 1024 };

/* Shares all memory with its parent, errno included, so that it calls nothing that would write any. */
static int keep_memory(void *argument)
{
    const pid_t *parent = argument;
    sigset_t end;
    syscall(SYS_close_range, 0u, ~0u, 0u);
    prctl(PR_SET_NAME, "cleanup");
    prctl(PR_SET_PDEATHSIG, SIGHUP);
    sigemptyset(&end);
    sigaddset(&end, SIGHUP);
    while (getppid() == *parent) {
        int number;
        sigwait(&end, &number);
    }
    _exit(0);
}

bool host_memory_keep(Error **error)
{
    uint8_t *stack = mmap(NULL, KEEPER_STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (stack == MAP_FAILED) {
        return error_set_errno(error, errno, "cannot make a stack");
    }
    pid_t *self = (pid_t *)stack; /* at the far end of it */
    sigset_t all, before;
    *self = getpid();
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    pid_t child = clone(keep_memory, stack + KEEPER_STACK, CLONE_VM, self);
    int code = errno;
    sigprocmask(SIG_SETMASK, &before, NULL);
    if (child < 0) {
        munmap(stack, KEEPER_STACK);
        return error_set_errno(error, code, "cannot start a process that keeps the memory");
    }
    return true;
}
