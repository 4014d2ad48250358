/*
 * Processes, and what they are told about the system.
 *
 * Not here yet: threads (clone with CLONE_VM, other than vfork's, is refused with ENOSYS), a vfork that shares memory
 * (its child gets a copy).
 */
#include "base/error.h"
#include "base/text.h"
#include "user/options.h"
#include "user/path.h"
#include "user/signal.h"
#include "user/syscall_functions.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

NORETURN void process_exit(Task *task, int status)
{
    fflush(NULL);
    _exit(status);
}

int64_t sys_exit_group(Task *task, const uint64_t *a)
{
    process_exit(task, (int)a[0]);
}

int64_t sys_exit(Task *task, const uint64_t *a)
{
    process_exit(task, (int)a[0]); /* there is one thread */
}

int64_t sys_set_tid_address(Task *task, const uint64_t *a)
{
    task->clear_tid = a[0];
    return task->tid;
}

int64_t sys_set_robust_list(Task *task, const uint64_t *a)
{
    if (a[1] != 3u * task_abi(task)->word_size) {
        return -EINVAL;
    }
    task->robust_list = a[0];
    task->robust_size = a[1];
    return 0;
}

/* -- fork -------------------------------------------------------------------------------------------------------- */

static void start_fork_child(Task *task, const uint64_t *a)
{
    uint64_t flags = a[0];
    int tid = (int)syscall(SYS_gettid);

    task->tid = tid;
    task->clear_tid = flags & CLONE_CHILD_CLEARTID ? a[4] : 0;
    if (flags & CLONE_CHILD_SETTID) {
        memory_write(task_memory(task), a[4], &tid, sizeof tid);
    }
    task_abi(task)->start_child(task->cpu, task->cpu, a[1], flags & CLONE_SETTLS, a[3]);
}

/* flags, stack, parent's tid, TLS, child's tid: the order of arguments that most guests have. */
int64_t sys_clone(Task *task, const uint64_t *a)
{
    const uint64_t known = CSIGNAL | CLONE_VM | CLONE_VFORK | CLONE_PARENT_SETTID | CLONE_CHILD_SETTID |
                           CLONE_CHILD_CLEARTID | CLONE_SETTLS;
    uint64_t flags = a[0];

    if (flags & ~known || (flags & CSIGNAL) != SIGCHLD || (flags & CLONE_VM && !(flags & CLONE_VFORK))) {
        return -ENOSYS;
    }
    fflush(NULL);
    pid_t child = fork();
    if (!child) {
        start_fork_child(task, a);
        return 0;
    }
    if (child > 0 && flags & CLONE_PARENT_SETTID) {
        memory_write(task_memory(task), a[2], &child, sizeof child);
    }
    return child < 0 ? -errno : child;
}

int64_t sys_wait4(Task *task, const uint64_t *a)
{
    return syscall_forward(task, &syscall_table[SYSCALL_wait4], a);
}

/* -- the system -------------------------------------------------------------------------------------------------- */

int64_t sys_uname(Task *task, const uint64_t *a)
{
    struct utsname name;

    if (uname(&name)) {
        return -errno;
    }
    memset(name.machine, 0, sizeof name.machine);
    strncpy(name.machine, task_abi(task)->machine, sizeof name.machine - 1);
    if (task->process->options->release) {
        memset(name.release, 0, sizeof name.release);
        strncpy(name.release, task->process->options->release, sizeof name.release - 1);
    }
    return memory_write(task_memory(task), a[0], &name, sizeof name);
}

/* Limits of memory would be the emulator's, not the guest's: the guest is told that they hold. */
static bool is_memory_limit(uint64_t resource)
{
    enum { LIMIT_DATA = 2, LIMIT_AS = 9 };
    return resource == LIMIT_AS || resource == LIMIT_DATA;
}

int64_t sys_setrlimit(Task *task, const uint64_t *a)
{
    return is_memory_limit(a[0]) ? 0 : syscall_forward(task, &syscall_table[SYSCALL_setrlimit], a);
}

int64_t sys_prlimit64(Task *task, const uint64_t *a)
{
    uint64_t arguments[SYSCALL_ARGUMENTS] = { a[0], a[1], is_memory_limit(a[1]) ? 0 : a[2], a[3] };
    return syscall_forward(task, &syscall_table[SYSCALL_prlimit64], arguments);
}

static int64_t groups_by(Task *task, long number, const uint64_t *a)
{
    uint64_t list, count = (int32_t)a[0] < 0 ? 0 : a[0];

    return guest_pointer(task, a[1], count * sizeof(gid_t), &list) ? host_call(task, number, a[0], list, 0, 0, 0, 0)
                                                                   : -EFAULT;
}

int64_t sys_getgroups(Task *task, const uint64_t *a)
{
    return groups_by(task, SYS_getgroups, a);
}

int64_t sys_setgroups(Task *task, const uint64_t *a)
{
    return groups_by(task, SYS_setgroups, a);
}

/* What the host may be asked, and how many bytes the second argument points at; all else would be about the emulator. */
int64_t sys_prctl(Task *task, const uint64_t *a)
{
    static const struct {
        uint8_t option, size;
    } known[] = {
        { PR_SET_PDEATHSIG, 0 }, { PR_GET_PDEATHSIG, 4 }, { PR_GET_DUMPABLE, 0 }, { PR_SET_DUMPABLE, 0 },
        { PR_GET_KEEPCAPS, 0 }, { PR_SET_KEEPCAPS, 0 }, { PR_SET_NAME, 16 }, { PR_GET_NAME, 16 },
        { PR_CAPBSET_READ, 0 }, { PR_CAPBSET_DROP, 0 }, { PR_GET_SECUREBITS, 0 }, { PR_SET_SECUREBITS, 0 },
        { PR_SET_TIMERSLACK, 0 }, { PR_GET_TIMERSLACK, 0 }, { PR_SET_CHILD_SUBREAPER, 0 },
        { PR_GET_CHILD_SUBREAPER, 4 }, { PR_SET_NO_NEW_PRIVS, 0 }, { PR_GET_NO_NEW_PRIVS, 0 },
        { PR_SET_THP_DISABLE, 0 }, { PR_GET_THP_DISABLE, 0 }, { PR_CAP_AMBIENT, 0 },
    };

    for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
        if (a[0] == known[i].option) {
            uint64_t second = a[1];
            bool good = !known[i].size || guest_pointer(task, a[1], known[i].size, &second);
            return good ? host_call(task, SYS_prctl, a[0], second, a[2], a[3], a[4], 0) : -EFAULT;
        }
    }
    return -EINVAL;
}

/* Waiting and waking are the host's: addresses are its own. */
int64_t sys_futex(Task *task, const uint64_t *a)
{
    enum { WAIT = 0, REQUEUE = 3, CMP_REQUEUE = 4, WAKE_OP = 5, CMP_REQUEUE_PI = 12, COMMAND = 127 };
    int command = a[1] & COMMAND;
    bool counts = command == REQUEUE || command == CMP_REQUEUE || command == WAKE_OP || command == CMP_REQUEUE_PI;
    uint64_t word, timeout = a[3], second;

    if (!guest_pointer(task, a[0], 4, &word) || !guest_pointer(task, a[4], 4, &second) ||
        (!counts && !guest_pointer(task, a[3], 16, &timeout))) {
        return -EFAULT;
    }
    return host_call(task, SYS_futex, word, a[1], a[2], timeout, second, a[5]);
}

/* -- one processor's ---------------------------------------------------------------------------------------------- */

int64_t sys_riscv_flush_icache(Task *task, const uint64_t *a)
{
    cpu_group_code_changed(task->process->group);
    return 0;
}
