/* Futexes: waiting and waking are the host's, with its addresses. */
#include "user/host/host.h"
#include "user/syscall_functions.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>

enum { WAITERS_MAXIMUM = 128, CALL_WAITV = 449, CALL_REQUEUE = 456 };

/* struct futex_waitv, the same everywhere. */
typedef struct Waiter {
    uint64_t value, address;
    uint32_t flags, reserved;
} Waiter;

/* What a command does not use may hold anything. */
int64_t sys_futex(Task *task, const uint64_t *a)
{
    enum { COMMAND = 127, TIMEOUT = 1, SECOND = 2 };
    static const uint8_t pointers[] = {
        [FUTEX_WAIT] = TIMEOUT,     [FUTEX_WAIT_BITSET] = TIMEOUT,
        [FUTEX_LOCK_PI] = TIMEOUT,  [FUTEX_LOCK_PI2] = TIMEOUT,
        [FUTEX_REQUEUE] = SECOND,   [FUTEX_CMP_REQUEUE] = SECOND,
        [FUTEX_WAKE_OP] = SECOND,   [FUTEX_CMP_REQUEUE_PI] = SECOND,
        [FUTEX_WAIT_REQUEUE_PI] = TIMEOUT | SECOND,
    };
    unsigned command = a[1] & COMMAND, used = command < ARRAY_SIZE(pointers) ? pointers[command] : 0;
    uint64_t word, fourth = a[3], fifth = a[4];

    if (!guest_pointer(task, a[0], 4, &word) || (used & TIMEOUT && !guest_pointer(task, a[3], 16, &fourth)) ||
        (used & SECOND && !guest_pointer(task, a[4], 4, &fifth))) {
        return -EFAULT;
    }
    int64_t result = host_call(task, SYS_futex, word, a[1], a[2], fourth, fifth, a[5]);
    if (result == -USER_RESTART && (command == FUTEX_LOCK_PI || command == FUTEX_LOCK_PI2)) {
        atomic_store(&task->pending, PENDING_ANEW); /* locking never fails by a signal */
    }
    return result;
}

/* The guest's waiters with the host's addresses: what the call is given. */
static uint64_t waiters_to_host(Task *task, uint64_t address, uint64_t count, Waiter *waiters)
{
    if (!address || count > WAITERS_MAXIMUM) {
        return 0; /* refused as none, or as too many */
    }
    if (memory_read(task_memory(task), waiters, address, count * sizeof *waiters)) {
        return BAD_POINTER;
    }
    for (uint64_t i = 0; i < count; i++) {
        waiters[i].address = guest_pointer_or_bad(task, waiters[i].address, sizeof(uint64_t));
    }
    return (uintptr_t)waiters;
}

int64_t sys_futex_waitv(Task *task, const uint64_t *a)
{
    Waiter waiters[WAITERS_MAXIMUM];

    return host_call(task, CALL_WAITV, waiters_to_host(task, a[0], a[1], waiters), a[1], a[2],
                     guest_pointer_or_bad(task, a[3], 16), a[4], 0);
}

int64_t sys_futex_requeue(Task *task, const uint64_t *a)
{
    enum { PAIR = 2 };
    Waiter waiters[PAIR];

    return host_call(task, CALL_REQUEUE, waiters_to_host(task, a[0], PAIR, waiters), a[1], a[2], a[3], 0, 0);
}
