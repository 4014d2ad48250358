/* Waiting for files with the guest's signals changed meanwhile. */
#include "user/wait_mask.h"

#include "user/syscall_functions.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>

enum { SIGNAL_SET_SIZE = 8, EVENTS_MAXIMUM = 256 };

int wait_mask_read(Task *task, uint64_t address, uint64_t size, WaitMask *mask)
{
    *mask = (WaitMask){ .given = address };
    if (!address) {
        return 0;
    }
    if (size != SIGNAL_SET_SIZE) {
        return -EINVAL;
    }
    int result = memory_read(task_memory(task), &mask->set, address, sizeof mask->set);
    mask->host = mask->set;
    return result;
}

uint64_t wait_mask_host(WaitMask *mask)
{
    return mask->given ? (uintptr_t)&mask->host : 0;
}

int64_t wait_mask_done(Task *task, const WaitMask *mask, int64_t result)
{
    if (mask->given && result != -USER_RESTART && atomic_load(&task->pending)) {
        task->saved_mask = task->mask;
        task->mask_saved = true;
        task->mask = mask->set;
    }
    return result;
}

int64_t sys_ppoll(Task *task, const uint64_t *a)
{
    enum { POLL_SIZE = 8 };
    uint64_t fds = guest_pointer_or_bad(task, a[0], a[1] > UINT32_MAX ? UINT64_MAX : a[1] * POLL_SIZE);
    uint64_t timeout = guest_pointer_or_bad(task, a[2], 16);
    WaitMask mask;
    int64_t result = wait_mask_read(task, a[3], a[4], &mask);

    if (result) {
        return result;
    }
    result = host_call(task, SYS_ppoll, fds, a[1], timeout, wait_mask_host(&mask), SIGNAL_SET_SIZE, 0);
    return wait_mask_done(task, &mask, result);
}

int64_t wait_mask_read_pair(Task *task, uint64_t address, WaitMask *mask)
{
    unsigned word = task_abi(task)->word_size;
    uint64_t set = 0, size = 0;

    if (address && (memory_read_word(task_memory(task), address, word, &set) ||
                    memory_read_word(task_memory(task), address + word, word, &size))) {
        return -EFAULT;
    }
    return wait_mask_read(task, set, size, mask);
}

enum { SELECT_MAXIMUM = 65536 }; /* files: the kernel cuts to what the process may have open */

/* Sets of files are words; they are copied, because the guest's may be shorter than ours. */
int64_t sys_pselect6(Task *task, const uint64_t *a)
{
    unsigned count = (unsigned)MIN(a[0], SELECT_MAXIMUM), bits = task_abi(task)->word_size * 8;
    size_t size = align_up(count, bits) / 8;
    uint64_t sets[3][SELECT_MAXIMUM / 64 + 1], timeout;
    WaitMask mask;
    int64_t result = (int32_t)a[0] < 0 ? -EINVAL : wait_mask_read_pair(task, a[5], &mask);

    for (unsigned i = 0; i < 3 && !result; i++) {
        memset(sets[i], 0, size + 4);
        result = a[1 + i] ? memory_read(task_memory(task), sets[i], a[1 + i], size) : 0;
    }
    if (result || !guest_pointer(task, a[4], 16, &timeout)) {
        return result ? result : -EFAULT;
    }
    uint64_t pair[2] = { wait_mask_host(&mask), SIGNAL_SET_SIZE };
    result = host_call(task, SYS_pselect6, count, a[1] ? (uintptr_t)sets[0] : 0, a[2] ? (uintptr_t)sets[1] : 0,
                       a[3] ? (uintptr_t)sets[2] : 0, timeout, (uintptr_t)pair);
    for (unsigned i = 0; i < 3 && result >= 0; i++) {
        result = a[1 + i] && memory_write(task_memory(task), a[1 + i], sets[i], size) ? -EFAULT : result;
    }
    return wait_mask_done(task, &mask, result);
}

/* -- epoll --------------------------------------------------------------------------------------------------------- */

static int64_t write_events(Task *task, uint64_t address, const struct epoll_event *events, int64_t count)
{
    unsigned size = task_abi(task)->layouts[LAYOUT_EPOLL_EVENT].guest_size;

    for (int64_t i = 0; i < count; i++) {
        if (task_write(task, LAYOUT_EPOLL_EVENT, address + (uint64_t)i * size, &events[i])) {
            return -EFAULT;
        }
    }
    return count;
}

/* Gives no more events at once than there is room for here, and none that could not be written: the rest comes with the
 * next call. */
static int64_t epoll_wait_by(Task *task, long number, const uint64_t *a, uint64_t timeout)
{
    struct epoll_event events[EVENTS_MAXIMUM];
    unsigned size = task_abi(task)->layouts[LAYOUT_EPOLL_EVENT].guest_size;
    uint64_t wanted = MIN(a[2], EVENTS_MAXIMUM), room = task_writable(task, a[1], wanted * size) / size;
    uint64_t host = room ? (uintptr_t)events : guest_pointer_or_bad(task, a[1], 1);
    WaitMask mask;
    int64_t result = (int32_t)a[2] <= 0 ? -EINVAL : wait_mask_read(task, a[4], a[5], &mask);

    if (!result) {
        result = host_call(task, number, a[0], host, room ? room : 1, timeout, wait_mask_host(&mask), SIGNAL_SET_SIZE);
        result = wait_mask_done(task, &mask, result);
    }
    return room && write_events(task, a[1], events, result) == -EFAULT ? -EFAULT : result;
}

int64_t sys_epoll_pwait(Task *task, const uint64_t *a)
{
    return epoll_wait_by(task, SYS_epoll_pwait, a, a[3]);
}

int64_t sys_epoll_pwait2(Task *task, const uint64_t *a)
{
    return epoll_wait_by(task, SYS_epoll_pwait2, a, guest_pointer_or_bad(task, a[3], 16));
}

/* What is removed needs no event: the pointer may be any. */
int64_t sys_epoll_ctl(Task *task, const uint64_t *a)
{
    const uint64_t arguments[SYSCALL_ARGUMENTS] = { a[0], a[1], a[2], a[1] == EPOLL_CTL_DEL ? 0 : a[3] };

    return syscall_forward(task, &syscall_table[SYSCALL_epoll_ctl], arguments);
}
