/* What processes are told about themselves and the system, and may change of it. */
#include "base/error.h"
#include "base/text.h"
#include "user/options.h"
#include "user/path.h"
#include "user/signal.h"
#include "user/syscall_functions.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

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

/* Where a word cannot count the machine's bytes, pages are counted. */
int64_t sys_sysinfo(Task *task, const uint64_t *a)
{
    struct sysinfo info;

    if (task_abi(task)->word_size == 8) {
        return syscall_forward(task, &syscall_table[SYSCALL_sysinfo], a);
    }
    int64_t result = host_call(task, SYS_sysinfo, (uintptr_t)&info, 0, 0, 0, 0, 0);
    unsigned long *const sizes[] = {
        &info.totalram, &info.freeram, &info.sharedram, &info.bufferram, &info.totalswap, &info.freeswap,
        &info.totalhigh, &info.freehigh,
    };
    if (result) {
        return result;
    }
    if ((info.totalram | info.totalswap) * info.mem_unit >> 32) {
        for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
            *sizes[i] = *sizes[i] * info.mem_unit / GUEST_PAGE_SIZE;
        }
        info.mem_unit = GUEST_PAGE_SIZE;
    }
    return task_write(task, LAYOUT_SYSINFO, a[0], &info);
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
    uint64_t count = (int32_t)a[0] < 0 ? 0 : a[0];

    return host_call(task, number, a[0], guest_pointer_or_bad(task, a[1], count * sizeof(gid_t)), 0, 0, 0, 0);
}

int64_t sys_getgroups(Task *task, const uint64_t *a)
{
    return groups_by(task, SYS_getgroups, a);
}

int64_t sys_setgroups(Task *task, const uint64_t *a)
{
    return groups_by(task, SYS_setgroups, a);
}

/* A name for anonymous memory, which maps show. */
static int64_t name_memory(Task *task, const uint64_t *a)
{
    uint64_t host, name;

    if (!memory_contains(task_memory(task), a[2], a[3])) {
        return -ENOMEM;
    }
    guest_pointer(task, a[2], a[3], &host);
    return guest_pointer(task, a[4], 1, &name) ? host_call(task, SYS_prctl, a[0], a[1], host, a[3], name, 0) : -EFAULT;
}

static int64_t get_auxv(Task *task, const uint64_t *a)
{
    const Program *program = &task->process->program;
    uint8_t bytes[512];
    uint64_t size = MIN(program->auxv_size, sizeof bytes), given = MIN(a[2], size);

    if (a[3] || a[4]) {
        return -EINVAL;
    }
    return memory_read(task_memory(task), bytes, program->auxv, given) ||
                   memory_write(task_memory(task), a[1], bytes, given)
               ? -EFAULT
               : (int64_t)size;
}

/* fence.i always reaches all of the program's threads, on whatever processor they go on. */
static int64_t set_flush_context(Task *task, const uint64_t *a)
{
    enum { LAST_CONTEXT = 1, LAST_SCOPE = 1 };
    return a[1] > LAST_CONTEXT || a[2] > LAST_SCOPE ? -EINVAL : 0;
}

/* What the host may be asked, and how many bytes the second argument points at, or what is done here; all else would be
 * about the emulator, or is of other processors. */
int64_t sys_prctl(Task *task, const uint64_t *a)
{
    enum {
        SET_MEMORY_MERGE = 67, GET_MEMORY_MERGE, SET_ICACHE_FLUSH_CTX = 71, TIMER_RESTORE_IDS = 77, FUTEX_HASH,
        GET_AUXV = 0x41555856,
    };
    static const struct {
        uint32_t option;
        uint8_t size;
        SyscallFunction *function;
    } known[] = {
        { PR_SET_PDEATHSIG, 0 }, { PR_GET_PDEATHSIG, 4 }, { PR_GET_DUMPABLE, 0 }, { PR_SET_DUMPABLE, 0 },
        { PR_GET_KEEPCAPS, 0 }, { PR_SET_KEEPCAPS, 0 }, { PR_GET_TIMING, 0 }, { PR_SET_TIMING, 0 },
        { PR_SET_NAME, 16 }, { PR_GET_NAME, 16 }, { PR_CAPBSET_READ, 0 }, { PR_CAPBSET_DROP, 0 },
        { PR_GET_SECUREBITS, 0 }, { PR_SET_SECUREBITS, 0 }, { PR_SET_TIMERSLACK, 0 }, { PR_GET_TIMERSLACK, 0 },
        { PR_MCE_KILL, 0 }, { PR_MCE_KILL_GET, 0 }, { PR_SET_CHILD_SUBREAPER, 0 }, { PR_GET_CHILD_SUBREAPER, 4 },
        { PR_SET_NO_NEW_PRIVS, 0 }, { PR_GET_NO_NEW_PRIVS, 0 }, { PR_SET_THP_DISABLE, 0 }, { PR_GET_THP_DISABLE, 0 },
        { PR_CAP_AMBIENT, 0 }, { PR_SET_IO_FLUSHER, 0 }, { PR_GET_IO_FLUSHER, 0 }, { SET_MEMORY_MERGE, 0 },
        { GET_MEMORY_MERGE, 0 }, { TIMER_RESTORE_IDS, 0 }, { FUTEX_HASH, 0 }, { PR_SET_PTRACER, 0 },
        { PR_SET_VMA, 0, name_memory }, { GET_AUXV, 0, get_auxv },
        { SET_ICACHE_FLUSH_CTX, 0, set_flush_context },
    };

    for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
        if (a[0] == known[i].option) {
            uint64_t second = a[1];
            bool good = !known[i].size || guest_pointer(task, a[1], known[i].size, &second);
            return known[i].function ? known[i].function(task, a)
                   : good            ? host_call(task, SYS_prctl, a[0], second, a[2], a[3], a[4], 0)
                                     : -EFAULT;
        }
    }
    return -EINVAL;
}

/* Filters are written for the guest's own calls; those of the host are others. As a kernel without filters. */
int64_t sys_seccomp(Task *task, const uint64_t *a)
{
    enum { GET_ACTION_AVAIL = 2 };
    return a[0] == GET_ACTION_AVAIL ? -EOPNOTSUPP : -EINVAL;
}

/* -- code that the program has written --------------------------------------------------------------------------- */

/* Linux knows the range and makes all of memory's code seen. Only a range that can be meant is taken at its word. */
int64_t sys_riscv_flush_icache(Task *task, const uint64_t *a)
{
    enum { LOCAL = 1 };
    bool whole = !memory_is_only_code(task_memory(task), a[0], a[1]);

    if (a[2] & ~(uint64_t)LOCAL) {
        return -EINVAL;
    }
    cpu_check_code(task->cpu, task_memory(task), whole ? 0 : a[0], whole ? UINT64_MAX : a[1] - 1);
    return 0;
}
