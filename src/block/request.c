/*
 * Requests of users. A read or write that nodes only send on, to a file that the host reads and writes by itself, goes
 * to the host at once; everything else is a task.
 */
#include "block/block_internal.h"
#include "block/statistics.h"
#include "block/task_internal.h"

#include "base/host/host.h"
#include "schema/block.h"
#include "trace/block.h"

#include <errno.h>
#include <stdatomic.h>

static BlockRequest *request_of(HostAioRequest *host) { return CONTAINER_OF(host, BlockRequest, host); }

/* The end of a request */

static void drain_changed(BlockGraph *graph)
{
    if (atomic_load(&graph->waiting) && !atomic_exchange(&graph->drain_called, true)) {
        block_loop_call(graph->runtime->main, &graph->drain_call);
    }
}

static void count_request(BlockEdge *edge, BlockOperation operation, uint64_t bytes, int64_t started, int error)
{
    int64_t now = host_monotonic_ns();
    uint64_t time = (uint64_t)(now - started);
    if (UNLIKELY(edge->detail)) {
        block_detail_note(edge->detail, operation, now, time, error != 0);
    }
    if (error) {
        atomic_fetch_add_explicit(&edge->statistics[operation].failed, 1, memory_order_relaxed);
    } else {
        atomic_fetch_add_explicit(&edge->statistics[operation].operations, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&edge->statistics[operation].bytes, bytes, memory_order_relaxed);
    }
    if (!error || block_edge_accounts_failed(edge)) {
        atomic_store_explicit(&edge->last, now, memory_order_relaxed);
        atomic_fetch_add_explicit(&edge->statistics[operation].nanoseconds, time, memory_order_relaxed);
    }
}

void block_edge_count_invalid(BlockEdge *edge, BlockOperation operation)
{
    if (block_edge_accounts_invalid(edge)) {
        atomic_store_explicit(&edge->last, host_monotonic_ns(), memory_order_relaxed);
    }
    atomic_fetch_add_explicit(&edge->statistics[operation].invalid, 1, memory_order_relaxed);
}

static void finish(void *data)
{
    BlockRequest *request = data;
    BlockEdge *edge = request->edge;
    BlockGraph *graph = edge->graph;
    count_request(edge, request->operation, request->bytes, request->started, request->error);
    request->done(request, request->error);
    atomic_fetch_sub(&edge->in_flight, 1);
    drain_changed(graph);
}

/* Never within block_submit: directly where the loop is in a round and this is not a task, else in the next one. */
static void end(BlockRequest *request, BlockLoop *loop, int error)
{
    request->error = error;
    if (loop->depth > 0 && !loop->current && !request->submitting) {
        finish(request);
    } else {
        request->call = (BlockCall){ .function = finish, .data = request };
        block_loop_call(loop, &request->call);
    }
}

/* Tracing: a request to a node, and its end. Flushes are traced where they are done. */

typedef struct RequestEvents {
    void (*begin)(Trace *trace, const char *node, uint64_t offset, uint64_t bytes, unsigned flags);
    void (*end)(Trace *trace, const char *node, uint64_t offset, uint64_t bytes, int error);
} RequestEvents;

static const RequestEvents events[BLOCK_OPERATION_COUNT] = {
    [BLOCK_READ] = { trace_block_read, trace_block_read_done },
    [BLOCK_WRITE] = { trace_block_write, trace_block_write_done },
    [BLOCK_WRITE_ZEROES] = { trace_block_write_zeroes, trace_block_write_zeroes_done },
    [BLOCK_DISCARD] = { trace_block_discard, trace_block_discard_done },
};

static void trace_begin(const BlockNode *node, BlockOperation operation, uint64_t offset, uint64_t bytes,
                        unsigned flags)
{
    if (events[operation].begin) {
        events[operation].begin(node->graph->trace, node->name, offset, bytes, flags);
    }
}

static void trace_end(const BlockNode *node, BlockOperation operation, uint64_t offset, uint64_t bytes, int error)
{
    if (events[operation].end) {
        events[operation].end(node->graph->trace, node->name, offset, bytes, error);
    }
}

static void trace_host_begin(const BlockRequest *request)
{
    for (unsigned i = 0; i < request->passages; i++) {
        const BlockPassage *passage = &request->passage[i];
        trace_begin(passage->node, request->operation, passage->offset, request->bytes, request->flags);
    }
    const BlockNode *last = request->passage[request->passages - 1].node;
    trace_file_submit(last->graph->trace, last->file_name, request->host.operation, request->host.offset);
}

static void trace_host_end(const BlockRequest *request, int64_t result)
{
    const BlockNode *last = request->passage[request->passages - 1].node;
    trace_file_complete(last->graph->trace, last->file_name, request->host.operation, request->host.offset, result);
    for (unsigned i = request->passages; i-- > 0;) {
        const BlockPassage *passage = &request->passage[i];
        trace_end(passage->node, request->operation, passage->offset, request->bytes, result < 0 ? (int)-result : 0);
    }
}

/* As a task */

static int perform_untraced(BlockNode *node, const BlockRequest *request, unsigned flags)
{
    switch (request->operation) {
    case BLOCK_READ:
        return node_read(node, request->offset, request->bytes, request->vectors);
    case BLOCK_WRITE:
        if (request->source) {
            int error = node_copy_to(node, request->offset, request->bytes, request->source);
            return !error && flags & BLOCK_FUA ? node_flush(node) : error;
        }
        return node_write(node, request->offset, request->bytes, request->vectors, flags);
    case BLOCK_WRITE_ZEROES:
        return node_write_zeroes(node, request->offset, request->bytes, flags);
    case BLOCK_DISCARD:
        return node_discard(node, request->offset, request->bytes);
    case BLOCK_FLUSH:
        return node_flush(node);
    default:
        return ENOTSUP;
    }
}

static int perform(BlockNode *node, const BlockRequest *request, unsigned flags)
{
    trace_begin(node, request->operation, request->offset, request->bytes, flags);
    int error = perform_untraced(node, request, flags);
    trace_end(node, request->operation, request->offset, request->bytes, error);
    return error;
}

/* For a user: as its limits say. */
static int perform_for(BlockEdge *edge, const BlockRequest *request)
{
    unsigned flags = request->flags | (edge->write_through ? BLOCK_FUA : 0);
    BlockTask *self = block_task_self(edge->graph->runtime);
    if (edge->throttle && request->operation != BLOCK_FLUSH && request->operation != BLOCK_DISCARD) {
        int error = throttle_pass(edge->throttle, self, request->operation != BLOCK_READ, request->bytes);
        if (error) {
            return error;
        }
    }
    if (!edge->node->driver->is_filter && !edge->node->driver->is_protocol) {
        block_task_set_begun(self); /* what a format does belongs together */
    }
    return perform(edge->node, request, flags);
}

static void run_request(void *data)
{
    BlockRequest *request = data;
    BlockEdge *edge = request->edge;
    request->task = block_task_self(edge->graph->runtime);
    int error = perform_for(edge, request);
    request->task = NULL;
    end(request, block_loop_self(edge->graph->runtime), error);
}

/* Directly */

/* Lets go of the nodes on the way, the lowest first. `written`: they have changed. */
static void leave_nodes(BlockRequest *request, bool written)
{
    if (request->ranged) {
        range_unlock(&request->ranged->ranges, &request->range);
        request->ranged = NULL;
    }
    while (request->passages > 0) {
        const BlockPassage *passage = &request->passage[--request->passages];
        if (written) {
            node_changed(passage->node, passage->offset + request->bytes);
        }
        if (passage->node->driver->map_done) {
            passage->node->driver->map_done(passage->node, passage->token);
        }
    }
}

static void host_done(HostAioRequest *host, int64_t result)
{
    BlockRequest *request = request_of(host);
    BlockLoop *loop = block_loop_self(request->edge->graph->runtime);
    bool patient = result == -EOPNOTSUPP && host->stable; /* it cannot be done in one */
    bool whole = result >= 0 && (uint64_t)result >= request->bytes;
    trace_host_end(request, result);
    leave_nodes(request, whole && request->operation == BLOCK_WRITE);
    if (patient || (result >= 0 && !whole)) { /* the file's end, or a part: patiently */
        block_task_start(loop, run_request, request);
    } else {
        end(request, loop, result < 0 ? (int)-result : 0);
    }
}

static bool is_simple(const BlockNode *node, const BlockRequest *request, uint64_t offset)
{
    const BlockLimits *limits = &node->limits;
    if (request->host.stable && !(limits->write_flags & BLOCK_FUA)) {
        return false;
    }
    if ((offset | request->bytes) & (limits->alignment - 1) ||
        (limits->maximum_transfer && request->bytes > limits->maximum_transfer)) {
        return false;
    }
    bool write = request->operation == BLOCK_WRITE;
    return !write || (list_empty(&node->bitmaps) && node->detect_zeroes == BLOCKDEV_DETECT_ZEROES_OPTIONS_OFF &&
                      offset + request->bytes <= atomic_load(&node->write_threshold));
}

/* Keeps clear of writes that read around themselves: see node_io.c. Where two nodes have blocks, a task does it. */
static bool take_range(BlockRequest *request, BlockNode *node, uint64_t offset)
{
    if (request->operation != BLOCK_WRITE || node->limits.alignment == 1) {
        return true;
    }
    request->range = (BlockRange){ .start = offset, .end = offset + request->bytes };
    if (request->ranged || !range_try_lock(&node->ranges, &request->range)) {
        return false;
    }
    request->ranged = node;
    return true;
}

/* The vectors can be given to the host as they are. */
static bool vectors_fit(const BlockNode *node, const BlockRequest *request)
{
    const BlockVectors *vectors = &request->vectors;
    uint64_t sum = 0, bits = 0;
    if (vectors->skip || vectors->count == 0 || vectors->count > node->limits.maximum_vectors) {
        return false;
    }
    for (unsigned i = 0; i < vectors->count; i++) {
        sum += vectors->items[i].iov_len;
        bits |= (uintptr_t)vectors->items[i].iov_base | vectors->items[i].iov_len;
    }
    return sum == request->bytes && !(bits & (node->limits.memory_alignment - 1));
}

/* Down to the node that has the host do it; false where one of them needs a task, or the vectors are not right. */
static bool find_way(BlockRequest *request)
{
    BlockNode *node = request->edge->node;
    uint64_t offset = request->offset;
    while (is_simple(node, request, offset) && request->passages < BLOCK_PASSAGES &&
           take_range(request, node, offset)) {
        BlockPassage *passage = &request->passage[request->passages];
        *passage = (BlockPassage){ .node = node, .offset = offset };
        if (node->driver->host_request) {
            request->passages++;
            return vectors_fit(node, request);
        }
        BlockMapping mapping;
        if (!node->driver->map || !node->driver->map(node, request->operation, offset, request->bytes, &mapping)) {
            return false;
        }
        passage->token = mapping.token;
        request->passages++;
        node = mapping.edge->node;
        offset = mapping.offset;
    }
    return false;
}

static bool send_to_host(BlockRequest *request, BlockLoop *loop)
{
    const BlockPassage *last = &request->passage[request->passages - 1];
    request->host = (HostAioRequest){ .operation = request->operation == BLOCK_READ ? HOST_AIO_READ : HOST_AIO_WRITE,
                                      .offset = last->offset, .vectors = request->vectors.items,
                                      .vector_count = request->vectors.count, .done = host_done,
                                      .stable = request->host.stable };
    HostAio *aio = last->node->driver->host_request(last->node, loop, &request->host);
    if (aio) {
        trace_host_begin(request);
        block_loop_add(loop, aio, &request->host);
    }
    return aio != NULL;
}

static bool submit_directly(BlockRequest *request, BlockLoop *loop)
{
    const BlockEdge *edge = request->edge;
    request->passages = 0;
    request->ranged = NULL;
    request->host.stable = request->operation == BLOCK_WRITE && (request->flags & BLOCK_FUA || edge->write_through);
    if (request->operation > BLOCK_WRITE || request->flags & ~(unsigned)BLOCK_FUA || edge->throttle) {
        return false;
    }
    if (find_way(request) && send_to_host(request, loop)) {
        return true;
    }
    leave_nodes(request, false);
    return false;
}

/* Submitting */

static int find_fault(const BlockEdge *edge, BlockOperation operation, uint64_t offset, uint64_t bytes)
{
    if (operation == BLOCK_FLUSH) {
        return 0;
    }
    if (operation != BLOCK_READ && !(edge->permissions & BLOCK_PERMISSION_WRITE)) {
        return EPERM;
    }
    uint64_t size = atomic_load(&edge->node->size);
    return bytes <= size && offset <= size - bytes ? 0 : EIO;
}

static void begin(BlockRequest *request, BlockLoop *loop)
{
    int error = find_fault(request->edge, request->operation, request->offset, request->bytes);
    if (error || (request->bytes == 0 && request->operation != BLOCK_FLUSH)) {
        end(request, loop, error);
    } else if (!submit_directly(request, loop)) {
        block_task_start(loop, run_request, request);
    }
}

static bool hold(BlockRequest *request)
{
    BlockGraph *graph = request->edge->graph;
    mutex_lock(&graph->held_mutex);
    bool held = atomic_load(&graph->drained) > 0;
    if (held) {
        request->next = NULL;
        *graph->held_end = request;
        graph->held_end = &request->next;
    }
    mutex_unlock(&graph->held_mutex);
    return held;
}

static void submit(void *data)
{
    BlockRequest *request = data;
    BlockEdge *edge = request->edge;
    atomic_fetch_add(&edge->in_flight, 1);
    if (UNLIKELY(atomic_load(&edge->graph->drained) > 0) && hold(request)) {
        atomic_fetch_sub(&edge->in_flight, 1);
        drain_changed(edge->graph);
        return;
    }
    request->submitting = true;
    if (request->cancelled) {
        end(request, request->loop, ECANCELED);
    } else {
        begin(request, request->loop);
    }
    request->submitting = false;
}

void block_submit(BlockEdge *edge, BlockRequest *request)
{
    request->edge = edge;
    request->loop = block_loop_self(edge->graph->runtime);
    request->started = host_monotonic_ns();
    request->task = NULL;
    request->cancelled = false;
    assert(request->loop && !edge->parent);
    submit(request);
}

/* One that a drain holds back ends when that lets it go. */
void block_cancel(BlockRequest *request)
{
    request->cancelled = true;
    if (request->task) {
        block_task_cancel(request->task);
    }
}

void block_submit_held(BlockGraph *graph)
{
    mutex_lock(&graph->held_mutex);
    BlockRequest *request = graph->held;
    graph->held = NULL;
    graph->held_end = &graph->held;
    mutex_unlock(&graph->held_mutex);
    while (request) {
        BlockRequest *next = request->next;
        request->call = (BlockCall){ .function = submit, .data = request };
        block_loop_call(request->loop, &request->call);
        request = next;
    }
}

/* Calls that wait */

typedef struct Call {
    BlockEdge *edge;
    BlockRequest request;
    BlockStatus *status;
    int error;
} Call;

static void run_call(void *data)
{
    Call *call = data;
    BlockEdge *edge = call->edge;
    call->error = call->status ? node_status(edge->node, call->request.offset, call->request.bytes, call->status)
                               : perform_for(edge, &call->request);
}

/* Within a task that serves a request, that request is what a drain waits for; from outside, the main thread's own call
 * cannot meet a drain. */
static int wait_for(Call *call)
{
    BlockEdge *edge = call->edge;
    const BlockRequest *request = &call->request;
    int error = edge->parent ? 0 : find_fault(edge, request->operation, request->offset, request->bytes);
    if (error || (request->bytes == 0 && request->operation != BLOCK_FLUSH)) {
        return error;
    }
    int64_t started = host_monotonic_ns();
    atomic_fetch_add(&edge->in_flight, 1);
    block_task_call(edge->graph->runtime, run_call, call);
    atomic_fetch_sub(&edge->in_flight, 1);
    if (!call->status) {
        count_request(edge, request->operation, request->bytes, started, call->error);
    }
    drain_changed(edge->graph);
    return call->error;
}

int block_readv(BlockEdge *edge, uint64_t offset, uint64_t count, BlockVectors vectors)
{
    return wait_for(&(Call){ .edge = edge, .request = { .operation = BLOCK_READ, .offset = offset, .bytes = count,
                                                        .vectors = vectors } });
}

int block_writev(BlockEdge *edge, uint64_t offset, uint64_t count, BlockVectors vectors, unsigned flags)
{
    return wait_for(&(Call){ .edge = edge, .request = { .operation = BLOCK_WRITE, .offset = offset, .bytes = count,
                                                        .vectors = vectors, .flags = flags } });
}

int block_copy_to(BlockEdge *edge, uint64_t offset, uint64_t count, const BlockCopySource *source)
{
    return wait_for(&(Call){ .edge = edge, .request = { .operation = BLOCK_WRITE, .offset = offset, .bytes = count,
                                                        .source = source } });
}

/* The part from `offset` on that is at one place. */
static int copy_some(BlockEdge *from, uint64_t offset, BlockEdge *to, uint64_t to_offset, uint64_t *count)
{
    BlockStatus status;
    int error = block_status(from, offset, *count, &status);
    if (error || !status.has_offset || !status.data || status.compressed || !status.node->driver->copy_to) {
        return error ? error : ENOTSUP;
    }
    *count = status.bytes;
    return block_copy_to(to, to_offset, status.bytes, &(BlockCopySource){ status.node, status.offset });
}

int block_copy_range(BlockEdge *from, uint64_t from_offset, BlockEdge *to, uint64_t to_offset, uint64_t count)
{
    int error = 0;
    for (uint64_t done = 0, part; done < count && !error; done += part) {
        part = count - done;
        error = copy_some(from, from_offset + done, to, to_offset + done, &part);
    }
    return error;
}

int block_read(BlockEdge *edge, uint64_t offset, void *bytes, uint64_t count)
{
    struct iovec piece = { bytes, count };
    return block_readv(edge, offset, count, (BlockVectors){ &piece, 1, 0 });
}

int block_write(BlockEdge *edge, uint64_t offset, const void *bytes, uint64_t count, unsigned flags)
{
    struct iovec piece = { (void *)(uintptr_t)bytes, count };
    return block_writev(edge, offset, count, (BlockVectors){ &piece, 1, 0 }, flags);
}

int block_write_zeroes(BlockEdge *edge, uint64_t offset, uint64_t count, unsigned flags)
{
    return wait_for(&(Call){ .edge = edge, .request = { .operation = BLOCK_WRITE_ZEROES, .offset = offset,
                                                        .bytes = count, .flags = flags } });
}

int block_discard(BlockEdge *edge, uint64_t offset, uint64_t count)
{
    return wait_for(&(Call){ .edge = edge, .request = { .operation = BLOCK_DISCARD, .offset = offset,
                                                        .bytes = count } });
}

int block_flush(BlockEdge *edge)
{
    return wait_for(&(Call){ .edge = edge, .request = { .operation = BLOCK_FLUSH } });
}

int block_status(BlockEdge *edge, uint64_t offset, uint64_t count, BlockStatus *status)
{
    return wait_for(&(Call){ .edge = edge, .request = { .operation = BLOCK_READ, .offset = offset, .bytes = count },
                             .status = status });
}
