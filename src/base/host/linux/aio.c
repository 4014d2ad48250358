/*
 * Asynchronous files on Linux: io_uring(7) and io_submit(2), spoken to directly. Requests for which the host has no
 * room wait in a list and go when others have come back.
 */
#include "base/host/aio.h"

#include "base/error.h"
#include "base/host/host.h"
#include "base/vec.h"

#include <errno.h>
#include <linux/aio_abi.h>
#include <linux/io_uring.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { EAGER_BYTES = 4 << 20, EAGER_NS = 5000000, PATIENT_NS = 1000000000 };

typedef struct Ring {
    void *sq_memory, *cq_memory;
    size_t sq_bytes, cq_bytes, sqe_bytes;
    _Atomic uint32_t *sq_head, *sq_tail, *cq_head, *cq_tail;
    uint32_t *sq_array;
    uint32_t sq_mask, cq_mask, sq_entries;
    struct io_uring_sqe *sqes;
    struct io_uring_cqe *cqes;
    uint32_t unsent;
} Ring;

struct HostAio {
    HostAioKind kind;
    int fd; /* of the ring, or an event */
    unsigned depth, under_way;
    ListNode waiting; /* HostAioRequest */
    Ring ring;
    aio_context_t context;
    struct iocb *blocks, **free_blocks; /* of the older interface */
    unsigned free_count;
    HostEager *eager; /* NULL: not */
};

/* io_uring */

static bool map_ring(HostAio *aio, const struct io_uring_params *p, Error **error)
{
    Ring *ring = &aio->ring;
    ring->sq_bytes = p->sq_off.array + p->sq_entries * sizeof(uint32_t);
    ring->cq_bytes = p->cq_off.cqes + p->cq_entries * sizeof(struct io_uring_cqe);
    ring->sqe_bytes = p->sq_entries * sizeof(struct io_uring_sqe);
    int protection = PROT_READ | PROT_WRITE, flags = MAP_SHARED | MAP_POPULATE;
    void *sq = mmap(NULL, ring->sq_bytes, protection, flags, aio->fd, IORING_OFF_SQ_RING);
    void *cq = mmap(NULL, ring->cq_bytes, protection, flags, aio->fd, IORING_OFF_CQ_RING);
    void *sqes = mmap(NULL, ring->sqe_bytes, protection, flags, aio->fd, IORING_OFF_SQES);
    ring->sq_memory = sq == MAP_FAILED ? NULL : sq;
    ring->cq_memory = cq == MAP_FAILED ? NULL : cq;
    ring->sqes = sqes == MAP_FAILED ? NULL : sqes;
    if (!ring->sq_memory || !ring->cq_memory || !ring->sqes) {
        return error_set_errno(error, errno, "io_uring");
    }
    char *s = sq, *c = cq;
    ring->sq_head = (void *)(s + p->sq_off.head);
    ring->sq_tail = (void *)(s + p->sq_off.tail);
    ring->sq_array = (void *)(s + p->sq_off.array);
    ring->sq_mask = *(uint32_t *)(void *)(s + p->sq_off.ring_mask);
    ring->sq_entries = p->sq_entries;
    ring->cq_head = (void *)(c + p->cq_off.head);
    ring->cq_tail = (void *)(c + p->cq_off.tail);
    ring->cq_mask = *(uint32_t *)(void *)(c + p->cq_off.ring_mask);
    ring->cqes = (void *)(c + p->cq_off.cqes);
    return true;
}

static bool ring_open(HostAio *aio, Error **error)
{
    struct io_uring_params parameters = { 0 };
    aio->fd = (int)syscall(SYS_io_uring_setup, aio->depth, &parameters);
    if (aio->fd < 0) {
        return error_set_errno(error, errno, "the host does not give io_uring");
    }
    return map_ring(aio, &parameters, error);
}

static void ring_put(HostAio *aio, HostAioRequest *request)
{
    static const uint8_t codes[] = { IORING_OP_READV, IORING_OP_WRITEV, IORING_OP_FSYNC };
    Ring *ring = &aio->ring;
    uint32_t tail = atomic_load_explicit(ring->sq_tail, memory_order_relaxed), slot = tail & ring->sq_mask;
    struct io_uring_sqe *sqe = &ring->sqes[slot];
    *sqe = (struct io_uring_sqe){ .opcode = codes[request->operation], .fd = request->fd,
                                  .user_data = (uint64_t)(uintptr_t)request };
    if (request->operation == HOST_AIO_SYNC) {
        sqe->fsync_flags = IORING_FSYNC_DATASYNC;
    } else {
        sqe->off = request->offset;
        sqe->addr = (uint64_t)(uintptr_t)request->vectors;
        sqe->len = request->vector_count;
        sqe->rw_flags = request->operation == HOST_AIO_WRITE && request->stable ? RWF_DSYNC : 0;
    }
    ring->sq_array[slot] = slot;
    atomic_store_explicit(ring->sq_tail, tail + 1, memory_order_release);
    ring->unsent++;
}

static void ring_send(HostAio *aio)
{
    Ring *ring = &aio->ring;
    while (ring->unsent > 0) {
        long sent = syscall(SYS_io_uring_enter, aio->fd, ring->unsent, 0, 0, NULL, 0);
        if (sent > 0) {
            ring->unsent -= (uint32_t)sent;
        } else if (sent < 0 && errno != EINTR && aio->under_way > ring->unsent) {
            return; /* EAGAIN, EBUSY: again when something has come back */
        }
    }
}

static void ring_reap(HostAio *aio)
{
    Ring *ring = &aio->ring;
    for (;;) {
        uint32_t head = atomic_load_explicit(ring->cq_head, memory_order_relaxed);
        if (head == atomic_load_explicit(ring->cq_tail, memory_order_acquire)) {
            return;
        }
        const struct io_uring_cqe *cqe = &ring->cqes[head & ring->cq_mask];
        HostAioRequest *request = (HostAioRequest *)(uintptr_t)cqe->user_data;
        int64_t result = cqe->res;
        atomic_store_explicit(ring->cq_head, head + 1, memory_order_release);
        aio->under_way--;
        request->done(request, result);
    }
}

static void ring_close(HostAio *aio)
{
    Ring *ring = &aio->ring;
    if (ring->sq_memory) {
        munmap(ring->sq_memory, ring->sq_bytes);
    }
    if (ring->cq_memory) {
        munmap(ring->cq_memory, ring->cq_bytes);
    }
    if (ring->sqes) {
        munmap(ring->sqes, ring->sqe_bytes);
    }
}

/* io_submit */

static bool native_open(HostAio *aio, Error **error)
{
    aio->fd = host_event_new(error);
    if (aio->fd < 0) {
        return false;
    }
    if (syscall(SYS_io_setup, aio->depth, &aio->context) < 0) {
        return error_set_errno(error, errno, "the host does not give asynchronous I/O");
    }
    aio->blocks = mem_alloc_array(aio->depth, sizeof *aio->blocks);
    aio->free_blocks = mem_alloc_array(aio->depth, sizeof(struct iocb *));
    for (unsigned i = 0; i < aio->depth; i++) {
        aio->free_blocks[aio->free_count++] = &aio->blocks[i];
    }
    return true;
}

static struct iocb *native_block(HostAio *aio, HostAioRequest *request)
{
    static const uint16_t codes[] = { IOCB_CMD_PREADV, IOCB_CMD_PWRITEV, IOCB_CMD_FDSYNC };
    struct iocb *block = aio->free_blocks[--aio->free_count];
    *block = (struct iocb){ .aio_data = (uint64_t)(uintptr_t)request, .aio_lio_opcode = codes[request->operation],
                            .aio_fildes = (uint32_t)request->fd, .aio_flags = IOCB_FLAG_RESFD,
                            .aio_resfd = (uint32_t)aio->fd };
    if (request->operation != HOST_AIO_SYNC) {
        block->aio_buf = (uint64_t)(uintptr_t)request->vectors;
        block->aio_nbytes = request->vector_count;
        block->aio_offset = (int64_t)request->offset;
        block->aio_rw_flags = request->operation == HOST_AIO_WRITE && request->stable ? RWF_DSYNC : 0;
    }
    request->slot = block;
    return block;
}

static void native_end(HostAio *aio, HostAioRequest *request, int64_t result)
{
    aio->free_blocks[aio->free_count++] = request->slot;
    aio->under_way--;
    request->done(request, result);
}

static void native_send(HostAio *aio)
{
    enum { AT_ONCE = 64 };
    while (!list_empty(&aio->waiting) && aio->free_count > 0) {
        struct iocb *batch[AT_ONCE];
        HostAioRequest *requests[AT_ONCE];
        unsigned count = 0;
        while (count < AT_ONCE && aio->free_count > 0 && !list_empty(&aio->waiting)) {
            HostAioRequest *request = list_item(aio->waiting.next, HostAioRequest, node);
            list_remove(&request->node);
            requests[count] = request;
            batch[count++] = native_block(aio, request);
        }
        aio->under_way += count;
        long sent = syscall(SYS_io_submit, aio->context, (long)count, batch);
        long error = sent < 0 ? errno : 0;
        for (long i = count - 1; i >= MAX(sent, 0); i--) { /* not taken: the first one failed, or there is no room */
            if (i == MAX(sent, 0) && error && error != EAGAIN) {
                native_end(aio, requests[i], -error);
                continue;
            }
            aio->free_blocks[aio->free_count++] = requests[i]->slot;
            aio->under_way--;
            list_prepend(&aio->waiting, &requests[i]->node);
        }
        if (error == EAGAIN && aio->under_way > 0) {
            return;
        }
    }
}

static void native_reap(HostAio *aio)
{
    enum { AT_ONCE = 64 };
    struct io_event events[AT_ONCE];
    struct timespec none = { 0 };
    host_event_clear(aio->fd);
    for (;;) {
        long count = syscall(SYS_io_getevents, aio->context, 0L, (long)AT_ONCE, events, &none);
        for (long i = 0; i < count; i++) {
            native_end(aio, (HostAioRequest *)(uintptr_t)events[i].data, events[i].res);
        }
        if (count < AT_ONCE) {
            return;
        }
    }
}

/* Either. */

HostAio *host_aio_new(HostAioKind kind, unsigned depth, Error **error)
{
    HostAio *aio = NEW(HostAio);
    aio->kind = kind;
    aio->depth = depth;
    aio->fd = -1;
    list_init(&aio->waiting);
    if (kind == HOST_AIO_RING ? ring_open(aio, error) : native_open(aio, error)) {
        return aio;
    }
    host_aio_free(aio);
    return NULL;
}

void host_aio_free(HostAio *aio)
{
    if (!aio) {
        return;
    }
    assert(aio->under_way == 0);
    ring_close(aio);
    if (aio->context) {
        syscall(SYS_io_destroy, aio->context);
    }
    free(aio->blocks);
    free(aio->free_blocks);
    if (aio->fd >= 0) {
        close(aio->fd);
    }
    free(aio);
}

int host_aio_fd(const HostAio *aio) { return aio->fd; }

void host_aio_set_eager(HostAio *aio, HostEager *eager) { aio->eager = eager; }

void host_aio_add(HostAio *aio, HostAioRequest *request) { list_append(&aio->waiting, &request->node); }

static uint64_t request_bytes(const HostAioRequest *request)
{
    uint64_t bytes = 0;
    for (unsigned i = 0; i < request->vector_count; i++) {
        bytes += request->vectors[i].iov_len;
    }
    return bytes;
}

/* A lone read of what the host has in its cache: one call less into the ring and out of it. */
static void read_here(HostAio *aio)
{
    HostAioRequest *request = list_item(aio->waiting.next, HostAioRequest, node);
    if (request->operation != HOST_AIO_READ || !request->cached || request->node.next != &aio->waiting) {
        return;
    }
    ssize_t result = preadv2(request->fd, request->vectors, (int)request->vector_count, (off_t)request->offset,
                             RWF_NOWAIT);
    if (result >= 0 && (uint64_t)result == request_bytes(request)) { /* else the ring, which can wait, has it all */
        list_remove(&request->node);
        request->done(request, result);
    }
}

/* A write that is soon done, as far as anybody knows. */
static bool may_be_written_here(const HostEager *eager, const HostAioRequest *request)
{
    return request->operation == HOST_AIO_WRITE && request->cached && !request->stable &&
           request_bytes(request) <= eager->most;
}

/* A disk that cannot follow makes a write wait; then those of the next second go to other threads. */
bool host_write_eagerly(HostEager *eager, const HostAioRequest *request, int64_t *result)
{
    int64_t before = host_monotonic_ns();
    if (before < eager->patient_until || !may_be_written_here(eager, request)) {
        return false;
    }
    int64_t count = pwritev(request->fd, request->vectors, (int)request->vector_count, (off_t)request->offset);
    *result = count < 0 ? -errno : count;
    int64_t after = host_monotonic_ns();
    eager->patient_until = after - before > EAGER_NS ? after + PATIENT_NS : 0;
    return true;
}

/* Writes that come first, up to EAGER_BYTES of them. */
static void write_here(HostAio *aio)
{
    uint64_t done = 0;
    int64_t result;
    while (done < EAGER_BYTES && !list_empty(&aio->waiting)) {
        HostAioRequest *request = list_item(aio->waiting.next, HostAioRequest, node);
        if (!host_write_eagerly(aio->eager, request, &result)) {
            return;
        }
        list_remove(&request->node);
        done += result > 0 ? (uint64_t)result : EAGER_BYTES;
        request->done(request, result);
    }
}

static bool is_eager(const HostAio *aio) { return aio->eager && aio->eager->most > 0; }

void host_aio_send(HostAio *aio)
{
    if (is_eager(aio) && !list_empty(&aio->waiting)) {
        read_here(aio);
    }
    if (is_eager(aio) && !list_empty(&aio->waiting)) {
        write_here(aio);
    }
    if (aio->kind == HOST_AIO_NATIVE) {
        native_send(aio);
        return;
    }
    while (!list_empty(&aio->waiting) && aio->under_way < aio->depth) {
        HostAioRequest *request = list_item(aio->waiting.next, HostAioRequest, node);
        list_remove(&request->node);
        ring_put(aio, request);
        aio->under_way++;
    }
    ring_send(aio);
}

bool host_aio_has_ended(const HostAio *aio)
{
    const Ring *ring = &aio->ring;
    return aio->kind == HOST_AIO_RING &&
           atomic_load_explicit(ring->cq_head, memory_order_relaxed) !=
               atomic_load_explicit(ring->cq_tail, memory_order_acquire);
}

void host_aio_reap(HostAio *aio)
{
    if (aio->kind == HOST_AIO_RING) {
        ring_reap(aio);
    } else {
        native_reap(aio);
    }
    host_aio_send(aio);
}
