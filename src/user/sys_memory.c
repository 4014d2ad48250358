/* System calls on memory: arguments for memory.h. */
#include "base/log.h"
#include "trace/user.h"
#include "user/proc.h"
#include "user/syscall_functions.h"

#include <errno.h>

/* What a call that changes the map gave. */
static int64_t changed(Task *task, const char *by, int64_t result)
{
    if (UNLIKELY(log_enabled(task->process->log, LOG_PAGE)) && (result >= 0 || result < -4095)) {
        proc_log_layout(task, by);
    }
    return result;
}

int64_t sys_brk(Task *task, const uint64_t *a)
{
    return changed(task, "brk", (int64_t)memory_brk(task_memory(task), a[0]));
}

int64_t sys_mmap(Task *task, const uint64_t *a)
{
    uint64_t unit = task_abi(task)->word_size == 8 ? 1 : GUEST_PAGE_SIZE; /* the call is mmap2 on 32 bits */
    trace_target_mmap(task->process->log->trace, a[0], a[1], (int)a[2], (int)a[3], (int)a[4], a[5] * unit);
    int64_t result = memory_map(task_memory(task), a[0], a[1], (int)a[2], (int)a[3], (int)a[4], a[5] * unit);
    trace_target_mmap_complete(task->process->log->trace, (uint64_t)result);
    return changed(task, "mmap", result);
}

int64_t sys_munmap(Task *task, const uint64_t *a)
{
    trace_target_munmap(task->process->log->trace, a[0], a[1]);
    return changed(task, "munmap", memory_unmap(task_memory(task), a[0], a[1]));
}

int64_t sys_mprotect(Task *task, const uint64_t *a)
{
    trace_target_mprotect(task->process->log->trace, a[0], a[1], (int)a[2]);
    return changed(task, "mprotect", memory_protect(task_memory(task), a[0], a[1], (int)a[2]));
}

/* Processors without keys of memory: none can be had, and -1 means none. */
int64_t sys_pkey_mprotect(Task *task, const uint64_t *a)
{
    return (int)a[3] == -1 ? sys_mprotect(task, a) : -EINVAL;
}

int64_t sys_pkey_alloc(Task *task, const uint64_t *a)
{
    return a[0] || a[1] > 3 ? -EINVAL : -ENOSPC;
}

int64_t sys_mremap(Task *task, const uint64_t *a)
{
    return changed(task, "mremap", memory_remap(task_memory(task), a[0], a[1], a[2], (int)a[3], a[4]));
}

int64_t sys_remap_file_pages(Task *task, const uint64_t *a)
{
    return changed(task, "remap_file_pages",
                   memory_reorder(task_memory(task), a[0], a[1], (int)a[2], a[3], (int)a[4]));
}

int64_t sys_madvise(Task *task, const uint64_t *a)
{
    return memory_advise(task_memory(task), a[0], a[1], (int)a[2]);
}

int64_t sys_shmat(Task *task, const uint64_t *a)
{
    return changed(task, "shmat", memory_attach(task_memory(task), (int)a[0], a[1], (int)a[2]));
}

int64_t sys_shmdt(Task *task, const uint64_t *a)
{
    return changed(task, "shmdt", memory_detach(task_memory(task), a[0]));
}
