/*
 * System calls on sockets whose addresses, options and messages have lengths in memory. Lengths are copied first, so
 * that a thread that changes one meanwhile does no harm.
 *
 * Messages are in sys_message.c, options in sys_option.c.
 */
#include "user/syscall_functions.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

int64_t sys_socketpair(Task *task, const uint64_t *a)
{
    int ends[2];
    int64_t result = host_call(task, SYS_socketpair, a[0], a[1], a[2], (uintptr_t)ends, 0, 0);

    if (!result && memory_write(task_memory(task), a[3], ends, sizeof ends)) {
        close(ends[0]);
        close(ends[1]);
        return -EFAULT;
    }
    return result;
}

/* -- lengths in memory --------------------------------------------------------------------------------------------- */

/* A buffer and the address of its length, as in accept. */
typedef struct SizedBuffer {
    uint64_t length_address, host;
    socklen_t length;
} SizedBuffer;

static int sized_read(Task *task, uint64_t buffer, uint64_t length_address, SizedBuffer *sized)
{
    *sized = (SizedBuffer){ .length_address = length_address };
    if (!buffer && !length_address) {
        return 0;
    }
    if (memory_read(task_memory(task), &sized->length, length_address, sizeof sized->length)) {
        return -EFAULT;
    }
    if ((int32_t)sized->length < 0) {
        return -EINVAL;
    }
    /* What is written last must not be found missing when a connection has been taken. */
    if (!task_can_write(task, length_address, sizeof sized->length)) {
        return -EFAULT;
    }
    return guest_pointer(task, buffer, sized->length, &sized->host) ? 0 : -EFAULT;
}

static uint64_t sized_length(SizedBuffer *sized)
{
    return sized->length_address ? (uintptr_t)&sized->length : 0;
}

static int64_t sized_done(Task *task, const SizedBuffer *sized, int64_t result)
{
    if (result >= 0 && sized->host &&
        memory_write(task_memory(task), sized->length_address, &sized->length, sizeof sized->length)) {
        return -EFAULT;
    }
    return result;
}

static int64_t call_for_address(Task *task, long number, uint64_t fd, const uint64_t *a, uint64_t flags)
{
    SizedBuffer sized;
    int64_t result = sized_read(task, a[1], a[2], &sized);

    if (!result) {
        result = host_call(task, number, fd, sized.host, sized_length(&sized), flags, 0, 0);
        result = sized_done(task, &sized, result);
    }
    return result;
}

int64_t sys_accept(Task *task, const uint64_t *a)
{
    return call_for_address(task, SYS_accept, a[0], a, 0);
}

int64_t sys_accept4(Task *task, const uint64_t *a)
{
    return call_for_address(task, SYS_accept4, a[0], a, a[3]);
}

int64_t sys_getsockname(Task *task, const uint64_t *a)
{
    return call_for_address(task, SYS_getsockname, a[0], a, 0);
}

int64_t sys_getpeername(Task *task, const uint64_t *a)
{
    return call_for_address(task, SYS_getpeername, a[0], a, 0);
}

int64_t sys_recvfrom(Task *task, const uint64_t *a)
{
    SizedBuffer sized;
    uint64_t buffer;
    int64_t result = a[4] ? sized_read(task, a[4], a[5], &sized) : sized_read(task, 0, 0, &sized);

    if (!result && !guest_pointer(task, a[1], a[2], &buffer)) {
        result = -EFAULT;
    }
    if (!result) {
        result = host_call(task, SYS_recvfrom, a[0], buffer, a[2], a[3], sized.host, sized_length(&sized));
        result = sized_done(task, &sized, result);
    }
    return result;
}
