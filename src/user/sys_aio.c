/*
 * Asynchronous I/O as Linux has it of old. A context is to the guest a page of its own, which holds the host's
 * number; it is no ring, so that libaio makes the calls. Requests are copied with their addresses turned into the
 * host's; when one is done, its event tells the guest's own.
 *
 * Not here: requests of a context that another process of the guest made (the kernel has none either).
 */
#include "base/bytes.h"
#include "user/syscall_functions.h"
#include "user/wait_mask.h"

#include <errno.h>
#include <linux/aio_abi.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { CONTEXT_OFFSET = 64, EVENTS_MAXIMUM = 4096, SUBMIT_MAXIMUM = 65536 };

/* A request under way. */
struct AioRequest {
    struct iocb host; /* first: the kernel names it by its address */
    uint64_t guest;
    struct AioRequest *next;
};

static int64_t read_context(Task *task, uint64_t context, uint64_t *host)
{
    return !context || memory_read(task_memory(task), host, context + CONTEXT_OFFSET, sizeof *host) ? -EINVAL : 0;
}

int64_t sys_io_setup(Task *task, const uint64_t *a)
{
    GuestMemory *memory = task_memory(task);
    unsigned word = task_abi(task)->word_size;
    uint64_t context = 0, old;

    if (memory_read_word(memory, a[1], word, &old) || !task_can_write(task, a[1], word)) {
        return -EFAULT;
    }
    if (old) {
        return -EINVAL;
    }
    int64_t result = host_call(task, SYS_io_setup, a[0], (uintptr_t)&context, 0, 0, 0, 0);
    if (result < 0) {
        return result;
    }
    int64_t page = memory_map(memory, 0, GUEST_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page < 0) {
        syscall(SYS_io_destroy, context);
        return page;
    }
    memory_write(memory, (uint64_t)page + CONTEXT_OFFSET, &context, sizeof context);
    memory_protect(memory, (uint64_t)page, GUEST_PAGE_SIZE, PROT_READ);
    return memory_write_word(memory, a[1], word, (uint64_t)page) ? -EFAULT : 0;
}

int64_t sys_io_destroy(Task *task, const uint64_t *a)
{
    uint64_t host;
    int64_t result = read_context(task, a[0], &host);

    result = result ? result : host_call(task, SYS_io_destroy, host, 0, 0, 0, 0, 0);
    if (!result) {
        memory_unmap(task_memory(task), a[0], GUEST_PAGE_SIZE);
    }
    return result;
}

/* The request that the guest's at this address, or the host's, is; taken out of the list. */
static AioRequest *take_request(Process *process, uint64_t guest, const void *host)
{
    AioRequest *found = NULL;

    mutex_lock(&process->lock);
    for (AioRequest **at = &process->requests; *at; at = &(*at)->next) {
        if (host ? *at == host : (*at)->guest == guest) {
            found = *at;
            *at = found->next;
            break;
        }
    }
    mutex_unlock(&process->lock);
    return found;
}

static void keep_request(Process *process, AioRequest *request)
{
    mutex_lock(&process->lock);
    request->next = process->requests;
    process->requests = request;
    mutex_unlock(&process->lock);
}

/* The buffer, or the vector of buffers, that a request names; what it is for others is a number. */
static int64_t convert_buffer(Task *task, struct iocb *request, struct iovec *vector)
{
    uint64_t host;

    switch (request->aio_lio_opcode) {
    case IOCB_CMD_PREAD:
    case IOCB_CMD_PWRITE:
        if (!guest_pointer(task, request->aio_buf, request->aio_nbytes, &host)) {
            return -EFAULT;
        }
        request->aio_buf = host;
        return 0;
    case IOCB_CMD_PREADV:
    case IOCB_CMD_PWRITEV:
        if (request->aio_nbytes > VECTOR_MAXIMUM) {
            return -EINVAL;
        }
        host = request->aio_buf;
        request->aio_buf = (uintptr_t)vector;
        return task_vector(task, host, request->aio_nbytes, vector);
    default:
        return 0;
    }
}

static int64_t submit_one(Task *task, uint64_t context, uint64_t address)
{
    AUTO_FREE struct iovec *vector = mem_alloc_array(VECTOR_MAXIMUM, sizeof *vector);
    const uint32_t key = 0;
    AioRequest *request = NEW(AioRequest);
    struct iocb *list[] = { &request->host };

    request->guest = address;
    int64_t result = memory_read(task_memory(task), &request->host, address, sizeof request->host);
    result = result ? result : convert_buffer(task, &request->host, vector);
    if (!result && memory_write(task_memory(task), address + offsetof(struct iocb, aio_key), &key, sizeof key)) {
        result = -EFAULT;
    }
    if (!result) {
        keep_request(task->process, request);
        result = host_call(task, SYS_io_submit, context, 1, (uintptr_t)list, 0, 0, 0);
        if (result < 0) {
            take_request(task->process, 0, request);
        }
    }
    if (result < 0) {
        free(request);
    }
    return result;
}

/* As many as there are until one fails; the error counts where it is the first. */
int64_t sys_io_submit(Task *task, const uint64_t *a)
{
    unsigned word = task_abi(task)->word_size;
    uint64_t context, address;
    int64_t result = read_context(task, a[0], &context), done = 0;

    if (result || (int64_t)a[1] < 0) {
        return -EINVAL;
    }
    for (uint64_t i = 0; i < MIN(a[1], SUBMIT_MAXIMUM) && result >= 0; i++) {
        result = memory_read_word(task_memory(task), a[2] + i * word, word, &address)
                     ? -EFAULT
                     : submit_one(task, context, address);
        done += result > 0;
    }
    return done ? done : result;
}

int64_t sys_io_cancel(Task *task, const uint64_t *a)
{
    uint64_t context;
    uint32_t key;
    struct io_event event;

    if (memory_read(task_memory(task), &key, a[1] + offsetof(struct iocb, aio_key), sizeof key)) {
        return -EFAULT;
    }
    int64_t result = read_context(task, a[0], &context);
    AioRequest *request = result ? NULL : take_request(task->process, a[1], NULL);
    if (!request) {
        return -EINVAL;
    }
    result = host_call(task, SYS_io_cancel, context, (uintptr_t)&request->host, (uintptr_t)&event, 0, 0, 0);
    keep_request(task->process, request); /* its event comes by io_getevents, if it was cancelled or not */
    return result;
}

static int64_t write_events(Task *task, uint64_t address, struct io_event *events, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        AioRequest *request = take_request(task->process, 0, (const void *)(uintptr_t)events[i].obj);
        events[i].obj = request ? request->guest : 0;
        free(request);
        if (memory_write(task_memory(task), address + (uint64_t)i * sizeof *events, &events[i], sizeof *events)) {
            return i ? i : -EFAULT;
        }
    }
    return count;
}

static int64_t get_events(Task *task, const uint64_t *a, long number, uint64_t signals)
{
    uint64_t context, timeout;
    int64_t wanted = (int64_t)a[2], result = read_context(task, a[0], &context);

    if (result || wanted < 0 || (int64_t)a[1] < 0 || (int64_t)a[1] > wanted) {
        return -EINVAL;
    }
    if (!guest_pointer(task, a[4], 16, &timeout)) {
        return -EFAULT;
    }
    /* none is taken that could not be written */
    wanted = MIN(wanted, EVENTS_MAXIMUM);
    uint64_t room = task_writable(task, a[3], (uint64_t)wanted * sizeof(struct io_event)) / sizeof(struct io_event);
    AUTO_FREE struct io_event *events = mem_alloc_array(room + 1, sizeof *events);
    result = host_call(task, number, context, MIN(a[1], room ? room : EVENTS_MAXIMUM), room ? room : (uint64_t)wanted,
                       room ? (uintptr_t)events : BAD_POINTER, timeout, signals);
    return result > 0 ? write_events(task, a[3], events, result) : result;
}

int64_t sys_io_getevents(Task *task, const uint64_t *a)
{
    return get_events(task, a, SYS_io_getevents, 0);
}

int64_t sys_io_pgetevents(Task *task, const uint64_t *a)
{
    WaitMask mask;
    int64_t result = wait_mask_read_pair(task, a[5], &mask);
    const uint64_t pair[2] = { result ? 0 : wait_mask_host(&mask), sizeof(uint64_t) };

    if (result) {
        return result;
    }
    return wait_mask_done(task, &mask, get_events(task, a, SYS_io_pgetevents, (uintptr_t)pair));
}
