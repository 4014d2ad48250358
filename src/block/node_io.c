/*
 * Requests to a node, in tasks: what a driver cannot take as it is, is read and written around (read-modify-write),
 * copied to aligned memory, or done in another way.
 *
 * A read-modify-write must not meet another write to the same blocks. Nodes that need them (an alignment above one
 * byte) keep a list of the writes under way; one that overlaps waits for the other.
 */
#include "block/bitmap.h"
#include "block/block_internal.h"

#include "base/vec.h"
#include "schema/block.h"
#include "trace/block.h"

#include <errno.h>
#include <stdatomic.h>

enum { CHUNK = 1 << 20, CUT_VECTORS = 1024 };

/* Writes that are kept apart */

static void range_begin(BlockNode *node, BlockRange *range)
{
    range_lock(&node->ranges, range, block_task_self(node->graph->runtime));
}

static void range_end(BlockNode *node, BlockRange *range) { range_unlock(&node->ranges, range); }

/* Memory */

void *block_buffer(const BlockNode *node, size_t bytes)
{
    void *memory = NULL;
    size_t alignment = MAX(node->limits.memory_alignment, sizeof(void *));
    return posix_memalign(&memory, alignment, MAX(align_up(bytes, alignment), alignment)) == 0 ? memory : NULL;
}

static bool is_memory_aligned(const BlockNode *node, BlockVectors vectors, uint64_t bytes)
{
    uint64_t mask = node->limits.memory_alignment - 1;
    if (mask == 0) {
        return true;
    }
    struct iovec pieces[64];
    while (bytes > 0) {
        size_t length = bytes;
        unsigned count = block_vectors_cut(vectors, pieces, ARRAY_SIZE(pieces), &length);
        for (unsigned i = 0; i < count; i++) {
            if (((uintptr_t)pieces[i].iov_base | pieces[i].iov_len) & mask) {
                return false;
            }
        }
        vectors = block_vectors_from(vectors, length);
        bytes -= length;
    }
    return true;
}

/* Aligned to the node's blocks; through a buffer where the memory is not right for it. */

static int read_aligned(BlockNode *node, uint64_t offset, uint64_t bytes, BlockVectors vectors)
{
    if (is_memory_aligned(node, vectors, bytes)) {
        return node->driver->read(node, offset, bytes, vectors);
    }
    size_t size = MIN(bytes, CHUNK);
    AUTO_FREE char *buffer = block_buffer(node, size);
    int error = buffer ? 0 : ENOMEM;
    for (uint64_t done = 0; done < bytes && !error; done += size) {
        size_t length = MIN(size, bytes - done);
        struct iovec piece = { buffer, length };
        error = node->driver->read(node, offset + done, length, (BlockVectors){ &piece, 1, 0 });
        if (!error) {
            block_vectors_write(block_vectors_from(vectors, done), buffer, length);
        }
    }
    return error;
}

static int write_aligned(BlockNode *node, uint64_t offset, uint64_t bytes, BlockVectors vectors, unsigned flags)
{
    if (is_memory_aligned(node, vectors, bytes)) {
        return node->driver->write(node, offset, bytes, vectors, flags);
    }
    size_t size = MIN(bytes, CHUNK);
    AUTO_FREE char *buffer = block_buffer(node, size);
    int error = buffer ? 0 : ENOMEM;
    for (uint64_t done = 0; done < bytes && !error; done += size) {
        size_t length = MIN(size, bytes - done);
        struct iovec piece = { buffer, length };
        block_vectors_read(block_vectors_from(vectors, done), buffer, length);
        error = node->driver->write(node, offset + done, length, (BlockVectors){ &piece, 1, 0 }, flags);
    }
    return error;
}

static int read_block(BlockNode *node, uint64_t offset, char *buffer)
{
    struct iovec piece = { buffer, node->limits.alignment };
    return node->driver->read(node, offset, piece.iov_len, (BlockVectors){ &piece, 1, 0 });
}

/* The part of a request that lies in one block of the node, and not all of it. */
static int read_part(BlockNode *node, uint64_t offset, uint64_t bytes, BlockVectors vectors)
{
    uint64_t start = align_down(offset, node->limits.alignment);
    AUTO_FREE char *buffer = block_buffer(node, node->limits.alignment);
    int error = buffer ? read_block(node, start, buffer) : ENOMEM;
    if (!error) {
        block_vectors_write(vectors, buffer + (offset - start), bytes);
    }
    return error;
}

static int write_part(BlockNode *node, uint64_t offset, uint64_t bytes, BlockVectors vectors, unsigned flags)
{
    uint64_t start = align_down(offset, node->limits.alignment);
    AUTO_FREE char *buffer = block_buffer(node, node->limits.alignment);
    node_debug_event(node, BLKDEBUG_EVENT_PWRITEV_RMW_HEAD);
    int error = buffer ? read_block(node, start, buffer) : ENOMEM;
    if (!error) {
        struct iovec piece = { buffer, node->limits.alignment };
        node_debug_event(node, BLKDEBUG_EVENT_PWRITEV_RMW_AFTER_HEAD);
        block_vectors_read(vectors, buffer + (offset - start), bytes);
        error = node->driver->write(node, start, piece.iov_len, (BlockVectors){ &piece, 1, 0 }, flags);
    }
    return error;
}

/* How many bytes from `offset` on can be done in one way: up to the end of a block, or whole blocks. */
static uint64_t next_length(const BlockNode *node, uint64_t offset, uint64_t bytes)
{
    bytes = node->limits.maximum_transfer ? MIN(bytes, node->limits.maximum_transfer) : bytes;
    uint64_t mask = node->limits.alignment - 1, head = offset & mask;
    if (head || bytes <= mask) {
        return MIN(bytes, node->limits.alignment - head);
    }
    return bytes & ~mask;
}

/* The same for what is zeroed or discarded: `alignment` and `most` of one request; 0: any. */
static uint64_t next_piece(uint64_t alignment, uint64_t most, uint64_t offset, uint64_t bytes)
{
    bytes = most ? MIN(bytes, most) : bytes;
    uint64_t head = alignment ? offset % alignment : 0, tail = alignment ? (offset + bytes) % alignment : 0;
    if (head) {
        return MIN(bytes, alignment - head);
    }
    return tail < bytes ? bytes - tail : bytes;
}

static bool is_whole(const BlockNode *node, uint64_t offset, uint64_t bytes)
{
    return ((offset | bytes) & (node->limits.alignment - 1)) == 0;
}

int node_read(BlockNode *node, uint64_t offset, uint64_t bytes, BlockVectors vectors)
{
    int error = 0;
    for (uint64_t done = 0, length; done < bytes && !error; done += length) {
        length = next_length(node, offset + done, bytes - done);
        BlockVectors part = block_vectors_from(vectors, done);
        error = is_whole(node, offset + done, length) ? read_aligned(node, offset + done, length, part)
                                                      : read_part(node, offset + done, length, part);
    }
    return error;
}

static void raise(_Atomic uint64_t *value, uint64_t to)
{
    uint64_t now = atomic_load(value);
    while (to > now && !atomic_compare_exchange_weak(value, &now, to)) {
    }
}

void node_changed(BlockNode *node, uint64_t end)
{
    atomic_fetch_add(&node->written, 1);
    raise(&node->highest_write, end);
    raise(&node->size, align_up(end, BLOCK_SECTOR));
}

int block_allocate(BlockEdge *edge, uint64_t offset, uint64_t bytes)
{
    BlockNode *node = edge->node;
    int error = node->driver->allocate ? node->driver->allocate(node, offset, bytes) : ENOTSUP;
    if (!error) {
        atomic_fetch_add(&node->written, 1);
        raise(&node->size, align_up(offset + bytes, BLOCK_SECTOR));
    }
    return error;
}

static int write_pieces(BlockNode *node, uint64_t offset, uint64_t bytes, BlockVectors vectors, unsigned flags)
{
    int error = 0;
    for (uint64_t done = 0, length; done < bytes && !error; done += length) {
        length = next_length(node, offset + done, bytes - done);
        BlockVectors part = block_vectors_from(vectors, done);
        error = is_whole(node, offset + done, length) ? write_aligned(node, offset + done, length, part, flags)
                                                      : write_part(node, offset + done, length, part, flags);
    }
    return error;
}

static int write_plainly(BlockNode *node, uint64_t offset, uint64_t bytes, BlockVectors vectors, unsigned flags)
{
    unsigned kept = flags & node->limits.write_flags;
    if (flags & ~kept & BLOCK_COMPRESSED) {
        return ENOTSUP;
    }
    uint64_t alignment = node->limits.alignment;
    BlockRange range = { .start = align_down(offset, alignment), .end = align_up(offset + bytes, alignment),
                    .exclusive = !is_whole(node, offset, bytes) };
    if (alignment > 1) {
        range_begin(node, &range);
    }
    node_will_write(node, offset + bytes);
    node_debug_event(node, BLKDEBUG_EVENT_PWRITEV);
    int error = write_pieces(node, offset, bytes, vectors, kept);
    node_debug_event(node, BLKDEBUG_EVENT_PWRITEV_DONE);
    if (alignment > 1) {
        range_end(node, &range);
    }
    node_changed(node, error ? 0 : offset + bytes);
    block_bitmaps_note(node, offset, bytes); /* one that failed may have been done in part */
    return !error && (flags & ~kept & BLOCK_FUA) ? node_flush(node) : error;
}

int node_write(BlockNode *node, uint64_t offset, uint64_t bytes, BlockVectors vectors, unsigned flags)
{
    if (node->detect_zeroes != BLOCKDEV_DETECT_ZEROES_OPTIONS_OFF && bytes > 0 &&
        block_vectors_are_zero(vectors, bytes)) {
        bool unmap = node->detect_zeroes == BLOCKDEV_DETECT_ZEROES_OPTIONS_UNMAP && node->discard;
        return node_write_zeroes(node, offset, bytes, flags | (unmap ? BLOCK_MAY_UNMAP : 0));
    }
    return write_plainly(node, offset, bytes, vectors, flags);
}

int node_copy_to(BlockNode *node, uint64_t offset, uint64_t bytes, const BlockCopySource *source)
{
    BlockRange range = { .start = offset, .end = offset + bytes };
    if (!node->driver->copy_to || !is_whole(node, offset, bytes) ||
        node->detect_zeroes != BLOCKDEV_DETECT_ZEROES_OPTIONS_OFF) {
        return ENOTSUP;
    }
    range_begin(node, &range);
    node_will_write(node, offset + bytes);
    int error = node->driver->copy_to(node, offset, bytes, source);
    range_end(node, &range);
    node_changed(node, error ? 0 : offset + bytes);
    block_bitmaps_note(node, offset, bytes);
    return error;
}

static int write_zero_bytes(BlockNode *node, uint64_t offset, uint64_t bytes, unsigned flags)
{
    size_t size = MIN(bytes, CHUNK);
    AUTO_FREE char *zeroes = block_buffer(node, size);
    if (!zeroes) {
        return ENOMEM;
    }
    memset(zeroes, 0, size);
    int error = 0;
    for (uint64_t done = 0; done < bytes && !error; done += size) {
        struct iovec piece = { zeroes, MIN(size, bytes - done) };
        error = write_plainly(node, offset + done, piece.iov_len, (BlockVectors){ &piece, 1, 0 }, flags);
    }
    return error;
}

/* Whole blocks, in the pieces that the driver takes. */
static int zero_blocks(BlockNode *node, uint64_t offset, uint64_t bytes, unsigned flags)
{
    const BlockLimits *limits = &node->limits;
    BlockRange range = { .start = offset, .end = offset + bytes };
    unsigned unmap = node->discard ? flags & BLOCK_MAY_UNMAP : 0;
    int error = 0;
    for (uint64_t done = 0, length; done < bytes && !error; done += length) {
        length = next_piece(limits->zero_alignment, limits->maximum_zero, offset + done, bytes - done);
        error = ENOTSUP;
        if (node->driver->write_zeroes) {
            range_begin(node, &range);
            error = node->driver->write_zeroes(node, offset + done, length, unmap | (flags & BLOCK_NO_FALLBACK));
            range_end(node, &range);
            node_changed(node, error ? 0 : offset + done + length);
            block_bitmaps_note(node, offset + done, length);
        }
        if (error == ENOTSUP && !(flags & BLOCK_NO_FALLBACK)) {
            error = write_zero_bytes(node, offset + done, length, 0);
        }
    }
    return error;
}

int node_write_zeroes(BlockNode *node, uint64_t offset, uint64_t bytes, unsigned flags)
{
    uint64_t alignment = node->limits.alignment, start = MIN(align_up(offset, alignment), offset + bytes),
             end = MAX(align_down(offset + bytes, alignment), start);
    if (bytes == 0) {
        return 0;
    }
    if (flags & BLOCK_NO_FALLBACK && !is_whole(node, offset, bytes)) {
        return ENOTSUP;
    }
    node_will_write(node, offset + bytes);
    node_debug_event(node, BLKDEBUG_EVENT_PWRITEV_ZERO);
    int error = start > offset ? write_zero_bytes(node, offset, start - offset, 0) : 0;
    error = error || start == end ? error : zero_blocks(node, start, end - start, flags);
    error = error || end == offset + bytes ? error : write_zero_bytes(node, end, offset + bytes - end, 0);
    node_debug_event(node, BLKDEBUG_EVENT_PWRITEV_DONE);
    return !error && flags & BLOCK_FUA ? node_flush(node) : error;
}

/* Advice: what cannot be done is done. */
int node_discard(BlockNode *node, uint64_t offset, uint64_t bytes)
{
    const BlockLimits *limits = &node->limits;
    uint64_t alignment = limits->alignment, start = align_up(offset, alignment),
             end = align_down(offset + bytes, alignment);
    if (!node->discard || !node->driver->discard) {
        return 0;
    }
    int error = 0;
    uint64_t first = start;
    for (uint64_t length; start < end && !error; start += length) {
        length = next_piece(limits->discard_alignment, limits->maximum_discard, start, end - start);
        error = node->driver->discard(node, start, length);
        error = error == ENOTSUP ? 0 : error;
    }
    node_changed(node, 0);
    if (start > first) {
        block_bitmaps_note(node, first, start - first);
    }
    return error;
}

int node_flush(BlockNode *node)
{
    uint64_t written = atomic_load(&node->written);
    if (node->read_only || atomic_load(&node->flushed) == written) {
        return 0;
    }
    node_debug_event(node, BLKDEBUG_EVENT_FLUSH_TO_OS);
    trace_block_flush(node->graph->trace, node->name);
    int error = node->driver->flush ? node->driver->flush(node) : 0;
    LIST_FOREACH(&node->children, child, BlockEdge, in_parent)
    {
        error = error ? error : node_flush(child->node);
    }
    trace_block_flush_done(node->graph->trace, node->name, error);
    if (!error) {
        atomic_store(&node->flushed, written);
    }
    return error;
}

int node_status(BlockNode *node, uint64_t offset, uint64_t bytes, BlockStatus *status)
{
    trace_block_status(node->graph->trace, node->name, offset, bytes);
    *status = (BlockStatus){ .bytes = bytes, .data = true, .allocated = true };
    int error = node->driver->status ? node->driver->status(node, offset, bytes, status) : 0;
    trace_block_status_done(node->graph->trace, node->name, offset, status->bytes, status->allocated, status->data,
                            status->zero, error);
    return error;
}
