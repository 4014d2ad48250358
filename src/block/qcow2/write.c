/*
 * Reads and writes. A write goes to clusters that are the image's own where there are such; else to new ones, together
 * with what surrounds it there (copy on write), and then the L2 table is told.
 */
#include "block/qcow2/qcow2.h"

#include "schema/block.h"

#include <errno.h>
#include <stdatomic.h>

enum { MERGED_BYTES = 64 << 10 };

/* Reading */

/* What lies behind the backing file's end reads as zeroes. */
static int read_backing(BlockNode *node, uint64_t offset, uint64_t bytes, BlockVectors vectors)
{
    uint64_t size = node->backing ? block_node_size(node->backing->node) : 0;
    uint64_t there = offset < size ? MIN(bytes, size - offset) : 0;
    block_vectors_fill(block_vectors_from(vectors, there), 0, bytes - there);
    block_debug_event(node->file, BLKDEBUG_EVENT_READ_BACKING_AIO);
    return there ? block_readv(node->backing, offset, there, vectors) : 0;
}

static int read_extent(BlockNode *node, const Qcow2Extent *extent, uint64_t offset, BlockVectors vectors)
{
    const Qcow2 *qcow2 = node->state;
    switch (extent->kind) {
    case QCOW2_DATA:
        block_debug_event(node->file, BLKDEBUG_EVENT_READ_AIO);
        return block_readv(qcow2->data, extent->offset, extent->bytes, vectors);
    case QCOW2_COMPRESSED:
        return qcow2_read_compressed(node, extent, offset & (qcow2->cluster_bytes - 1), extent->bytes, vectors);
    case QCOW2_ZERO:
        block_vectors_fill(vectors, 0, extent->bytes);
        return 0;
    default:
        return read_backing(node, offset, extent->bytes, vectors);
    }
}

int qcow2_read(BlockNode *node, uint64_t offset, uint64_t bytes, BlockVectors vectors)
{
    for (uint64_t done = 0; done < bytes;) {
        Qcow2Extent extent;
        unsigned token;
        int error = qcow2_find(node, offset + done, bytes - done, &extent, &token);
        if (error) {
            return error;
        }
        error = read_extent(node, &extent, offset + done, block_vectors_from(vectors, done));
        qcow2_leave(node, token);
        if (error) {
            return error;
        }
        done += extent.bytes;
    }
    return 0;
}

/* What is written */

typedef struct Payload {
    BlockVectors vectors;
    const BlockCopySource *source; /* NULL: the vectors */
    uint64_t done;                 /* bytes before these, of the source */
} Payload;

static int write_data(BlockNode *node, uint64_t host, uint64_t bytes, const Payload *payload)
{
    const Qcow2 *qcow2 = node->state;
    if (!payload->source) {
        return block_writev(qcow2->data, host, bytes, payload->vectors, 0);
    }
    return block_copy_to(qcow2->data, host, bytes, &(BlockCopySource){ payload->source->node,
                                                                       payload->source->offset + payload->done });
}

/* Writing to new clusters */

/* A write to clusters that follow each other on the disk and in the file. */
typedef struct Run {
    Qcow2Allocation allocation;
    uint64_t offset, bytes; /* of the disk: what is written */
    uint64_t start, end;    /* the same with what has to be copied */
    uint64_t host;          /* of allocation.guest, in the data file */
    bool taken;             /* the clusters are new */
    bool fresh;             /* and read as zeroes */
    bool blank;             /* so does what would have to be copied */
    bool crowded;           /* others write to new clusters, too */
} Run;

bool qcow2_wait_for_allocations(Qcow2 *qcow2, BlockTask *self, uint64_t offset, uint64_t bytes)
{
    uint64_t start = align_down(offset, qcow2->cluster_bytes), end = align_up(offset + bytes, qcow2->cluster_bytes);
    LIST_FOREACH(&qcow2->allocations, other, Qcow2Allocation, node)
    {
        if (other->guest < end && start < other->guest + (other->clusters << qcow2->header.cluster_bits)) {
            task_queue_wait(&qcow2->allocations_changed, &qcow2->lock, self);
            return true;
        }
    }
    return false;
}

/* It has a cluster that nobody else refers to. */
static bool is_own(const Qcow2 *qcow2, const Qcow2Entry *entry)
{
    return qcow2_is_allocated(qcow2, entry) && entry->descriptor & QCOW2_COPIED;
}

static uint64_t host_of(const Qcow2Entry *entry) { return entry->descriptor & QCOW2_OFFSET; }

/* How many clusters from the run's first on are all the image's own, one behind the other, or all not. */
static uint64_t count_alike(const Qcow2 *qcow2, const Qcow2Slice *slice, uint64_t guest, uint64_t end)
{
    Qcow2Entry first = qcow2_load_entry(qcow2, slice, guest);
    uint64_t count = 1;
    bool own = is_own(qcow2, &first);
    for (uint64_t at = guest + qcow2->cluster_bytes; at < end; at += qcow2->cluster_bytes, count++) {
        Qcow2Entry entry = qcow2_load_entry(qcow2, slice, at);
        if (is_own(qcow2, &entry) != own || (own && host_of(&entry) != host_of(&first) + (at - guest))) {
            break;
        }
    }
    return count;
}

/* Where copying begins that ends at `offset`, in the cluster of `entry`; `end`: where it ends that begins there. */
static uint64_t copy_limit(const Qcow2 *qcow2, const Qcow2Entry *entry, uint64_t offset, bool end)
{
    bool all = !is_own(qcow2, entry) && (entry->descriptor & QCOW2_COMPRESSED_FLAG || qcow2_is_allocated(qcow2, entry));
    uint64_t unit = all ? qcow2->cluster_bytes : BIT(qcow2->subcluster_bits);
    unsigned subcluster = (unsigned)(((offset - end) & (qcow2->cluster_bytes - 1)) >> qcow2->subcluster_bits);
    bool has_data = qcow2_has(qcow2, QCOW2_EXTENDED_L2) ? entry->subclusters >> subcluster & 1
                                                        : !(entry->descriptor & QCOW2_ZERO_FLAG);
    return is_own(qcow2, entry) && has_data ? offset : end ? align_up(offset, unit) : align_down(offset, unit);
}

static int take_clusters(BlockNode *node, BlockTask *self, Run *run)
{
    Qcow2 *qcow2 = node->state;
    if (qcow2_has(qcow2, QCOW2_EXTERNAL_DATA)) {
        run->host = run->allocation.guest;
        return 0;
    }
    uint64_t fresh_from = qcow2->fresh_from;
    int error = qcow2_allocate(node, self, run->allocation.clusters, false, &run->host, &run->allocation.clusters);
    run->taken = !error;
    run->fresh = !error && run->host >= fresh_from;
    return error;
}

/* Without looking at the data: a part of the entry's cluster reads as zeroes. */
static bool is_blank(const BlockNode *node, const Qcow2Entry *entry, uint64_t offset, uint64_t bytes)
{
    Qcow2Extent extent;
    if (bytes == 0) {
        return true;
    }
    return qcow2_find_entry(node->state, entry, offset, &extent) == 0 && extent.bytes >= bytes &&
           (extent.kind == QCOW2_ZERO ||
            (extent.kind == QCOW2_UNALLOCATED && (!node->backing || offset >= block_node_size(node->backing->node))));
}

/* `slice` has the entries; afterwards the run is as long as it can be. */
static int plan(BlockNode *node, BlockTask *self, const Qcow2Slice *slice, Run *run)
{
    Qcow2 *qcow2 = node->state;
    uint64_t end = MIN(run->offset + run->bytes, qcow2_slice_end(qcow2, run->offset));
    uint64_t guest = align_down(run->offset, qcow2->cluster_bytes);
    Qcow2Entry first = qcow2_load_entry(qcow2, slice, guest);
    run->allocation.guest = guest;
    run->allocation.clusters = count_alike(qcow2, slice, guest, end);
    run->host = host_of(&first);
    int error = is_own(qcow2, &first) ? 0 : take_clusters(node, self, run);
    if (error) {
        return error;
    }
    run->bytes = MIN(end, guest + (run->allocation.clusters << qcow2->header.cluster_bits)) - run->offset;
    end = run->offset + run->bytes;
    Qcow2Entry last = qcow2_load_entry(qcow2, slice, end - 1);
    run->start = copy_limit(qcow2, &first, run->offset, false);
    run->end = copy_limit(qcow2, &last, end, true);
    run->blank = is_blank(node, &first, run->start, run->offset - run->start) &&
                 is_blank(node, &last, end, run->end - end);
    return 0;
}

/* What the disk has now, zeroes behind its end; but for the state of a machine, which is behind that. */
static int read_around(BlockNode *node, uint64_t start, uint64_t end, uint8_t *to)
{
    bool is_state = start >= qcow2_state_offset(node->state);
    uint64_t size = is_state ? end : MAX(start, MIN(end, block_node_size(node)));
    struct iovec piece = { to, size - start };
    memset(to + (size - start), 0, end - size);
    return size > start ? qcow2_read(node, start, size - start, (BlockVectors){ &piece, 1, 0 }) : 0;
}

/* What is around the data, in the pieces before and behind them; together where there is little between. */
static int read_copies(BlockNode *node, const Run *run, struct iovec *head, struct iovec *tail, uint8_t *copy)
{
    uint64_t data_end = run->offset + run->bytes;
    block_debug_event(node->file, BLKDEBUG_EVENT_COW_READ);
    if (head->iov_len && tail->iov_len && run->bytes <= MERGED_BYTES) {
        return read_around(node, run->start, run->end, copy);
    }
    int error = head->iov_len ? read_around(node, run->start, run->offset, head->iov_base) : 0;
    return error || !tail->iov_len ? error : read_around(node, data_end, run->end, tail->iov_base);
}

static int write_with_copies(BlockNode *node, const Run *run, BlockVectors vectors)
{
    const Qcow2 *qcow2 = node->state;
    uint64_t head = run->offset - run->start, tail = run->end - run->offset - run->bytes;
    uint64_t between = run->bytes <= MERGED_BYTES ? run->bytes : 0;
    AUTO_FREE uint8_t *copy = block_buffer(qcow2->data->node, head + between + tail);
    AUTO_FREE struct iovec *pieces = malloc((vectors.count + 2) * sizeof *pieces);
    if (!copy || !pieces) {
        return ENOMEM;
    }
    struct iovec before = { copy, head }, behind = { copy + head + between, tail };
    int error = read_copies(node, run, &before, &behind, copy);
    if (error) {
        return error;
    }
    uint64_t host = run->host + (run->start - run->allocation.guest);
    if (run->fresh && block_vectors_are_zero((BlockVectors){ &before, 1, 0 }, head) &&
        block_vectors_are_zero((BlockVectors){ &behind, 1, 0 }, tail)) {
        return block_writev(qcow2->data, host + head, run->bytes, vectors, 0);
    }
    size_t bytes = run->bytes;
    unsigned count = block_vectors_cut(vectors, pieces + 1, vectors.count, &bytes);
    pieces[0] = before;
    pieces[count + 1] = behind;
    return block_writev(qcow2->data, host, run->end - run->start, (BlockVectors){ pieces, count + 2, 0 }, 0);
}

static int write_run(BlockNode *node, const Run *run, const Payload *payload)
{
    block_debug_event(node->file, BLKDEBUG_EVENT_WRITE_AIO);
    if (run->taken && run->crowded) {
        const Qcow2 *qcow2 = node->state;
        uint64_t bytes = run->allocation.clusters << qcow2->header.cluster_bits;
        qcow2_make_room(node, qcow2_task(node), run->host + bytes);
    }
    bool alone = run->start == run->offset && run->end == run->offset + run->bytes;
    if (alone || (run->fresh && run->blank)) {
        return write_data(node, run->host + (run->offset - run->allocation.guest), run->bytes, payload);
    }
    return payload->source ? ENOTSUP : write_with_copies(node, run, payload->vectors);
}

/* The subclusters of one cluster that `run` wrote. */
static uint64_t written_bits(const Qcow2 *qcow2, const Run *run, uint64_t guest)
{
    uint64_t start = MAX(run->start, guest) - guest, end = MIN(run->end, guest + qcow2->cluster_bytes) - guest;
    unsigned from = (unsigned)(start >> qcow2->subcluster_bits),
             to = (unsigned)((end + mask_bits(qcow2->subcluster_bits)) >> qcow2->subcluster_bits);
    return mask_bits(to) & ~mask_bits(from);
}

static void link_cluster(Qcow2 *qcow2, Qcow2Slice *slice, const Run *run, uint64_t i)
{
    uint64_t guest = run->allocation.guest + (i << qcow2->header.cluster_bits);
    Qcow2Entry old = qcow2_load_entry(qcow2, slice, guest), new = { 0 };
    new.descriptor = (run->host + (i << qcow2->header.cluster_bits)) | QCOW2_COPIED;
    if (qcow2_has(qcow2, QCOW2_EXTENDED_L2)) {
        uint64_t bits = written_bits(qcow2, run, guest);
        uint64_t before = old.descriptor & QCOW2_COMPRESSED_FLAG ? 0 : old.subclusters;
        new.subclusters = (before | bits) & ~(bits << QCOW2_SUBCLUSTERS);
    }
    qcow2_store_entry(qcow2, slice, guest, new);
    if (!is_own(qcow2, &old)) {
        qcow2_free_entry(qcow2, &old, QCOW2_FREE_OTHER);
    }
}

static int link_run(BlockNode *node, BlockTask *self, const Run *run)
{
    Qcow2 *qcow2 = node->state;
    Qcow2Slice *slice;
    int error = qcow2_get_writable_slice(node, self, run->offset, &slice);
    for (uint64_t i = 0; i < run->allocation.clusters && !error; i++) {
        link_cluster(qcow2, slice, run, i);
    }
    qcow2_cache_put(&qcow2->tables, error ? NULL : slice);
    return error;
}

/* `lock` is held, and open meanwhile. */
static int perform(BlockNode *node, BlockTask *self, Run *run, const Payload *payload)
{
    Qcow2 *qcow2 = node->state;
    run->crowded = !list_empty(&qcow2->allocations);
    list_append(&qcow2->allocations, &run->allocation.node);
    unsigned token = qcow2_enter(qcow2);
    task_unlock(&qcow2->lock);
    int error = write_run(node, run, payload);
    task_lock(&qcow2->lock, self);
    error = error ? error : link_run(node, self, run);
    if (error && run->taken) {
        qcow2_change_refcounts(node, self, run->host, run->allocation.clusters << qcow2->header.cluster_bits, -1);
    }
    qcow2_leave(node, token);
    list_remove(&run->allocation.node);
    task_queue_wake(&qcow2->allocations_changed);
    return error;
}

/* Writing */

/* `lock` is held, and open meanwhile. */
static int write_in_place(BlockNode *node, BlockTask *self, const Qcow2Extent *extent, const Payload *payload)
{
    Qcow2 *qcow2 = node->state;
    unsigned token = qcow2_enter(qcow2);
    task_unlock(&qcow2->lock);
    block_debug_event(node->file, BLKDEBUG_EVENT_WRITE_AIO);
    int error = write_data(node, extent->offset, extent->bytes, payload);
    task_lock(&qcow2->lock, self);
    qcow2_leave(node, token);
    return error;
}

/* As much as goes in one way; `done` becomes that: 0 where something was waited for. */
static int write_some(BlockNode *node, BlockTask *self, uint64_t offset, uint64_t bytes, const Payload *payload,
                      uint64_t *done)
{
    Qcow2 *qcow2 = node->state;
    Qcow2Slice *slice;
    Qcow2Extent extent;
    *done = 0;
    int error = qcow2_get_writable_slice(node, self, offset, &slice);
    if (error) {
        return error;
    }
    error = qcow2_find_in_slice(qcow2, slice, offset, bytes, &extent);
    if (!error && extent.kind == QCOW2_DATA && extent.copied) {
        qcow2_cache_put(&qcow2->tables, slice);
        *done = extent.bytes;
        return write_in_place(node, self, &extent, payload);
    }
    uint64_t until = qcow2_slice_end(qcow2, offset);
    if (error || qcow2_wait_for_allocations(qcow2, self, offset, MIN(bytes, until - offset))) {
        qcow2_cache_put(&qcow2->tables, slice);
        return error;
    }
    Run run = { .offset = offset, .bytes = bytes };
    error = plan(node, self, slice, &run);
    qcow2_cache_put(&qcow2->tables, slice);
    *done = run.bytes;
    return error ? error : perform(node, self, &run, payload);
}

/* The counts in the file may be wrong from now on, where the image allows it. */
int qcow2_begin_changes(BlockNode *node)
{
    Qcow2 *qcow2 = node->state;
    if (qcow2_has(qcow2, QCOW2_CORRUPT) || !qcow2->l1) {
        return EIO;
    }
    if (!qcow2->lazy_refcounts || qcow2_has(qcow2, QCOW2_DIRTY)) {
        return 0;
    }
    qcow2->header.incompatible |= QCOW2_DIRTY;
    int error = qcow2_header_write(node);
    return error ? error : block_flush(node->file);
}

static int write_all(BlockNode *node, uint64_t offset, uint64_t bytes, BlockVectors vectors,
                     const BlockCopySource *source)
{
    Qcow2 *qcow2 = node->state;
    BlockTask *self = qcow2_task(node);
    task_lock(&qcow2->lock, self);
    int error = qcow2_begin_changes(node);
    for (uint64_t done = 0, part; done < bytes && !error; done += part) {
        Payload payload = { block_vectors_from(vectors, done), source, done };
        error = write_some(node, self, offset + done, bytes - done, &payload, &part);
    }
    task_unlock(&qcow2->lock);
    return error ? error : qcow2_flush_if_needed(node);
}

int qcow2_write(BlockNode *node, uint64_t offset, uint64_t bytes, BlockVectors vectors, unsigned flags)
{
    return flags & BLOCK_COMPRESSED ? qcow2_write_compressed(node, offset, bytes, vectors)
                                    : write_all(node, offset, bytes, vectors, NULL);
}

/* Whole clusters alone: nothing has to be copied around them. */
int qcow2_copy_to(BlockNode *node, uint64_t offset, uint64_t bytes, const BlockCopySource *source)
{
    const Qcow2 *qcow2 = node->state;
    bool whole = ((offset | bytes) & (qcow2->cluster_bytes - 1)) == 0;
    return whole ? write_all(node, offset, bytes, (BlockVectors){ 0 }, source) : ENOTSUP;
}

void qcow2_free_entry(Qcow2 *qcow2, const Qcow2Entry *entry, Qcow2FreeReason reason)
{
    uint64_t offset, bytes;
    if (qcow2_has(qcow2, QCOW2_EXTERNAL_DATA)) {
        return; /* nothing there is counted, whatever a damaged entry says */
    }
    if (entry->descriptor & QCOW2_COMPRESSED_FLAG) {
        qcow2_stream_of(qcow2, entry->descriptor, &offset, &bytes);
        qcow2_free(qcow2, offset, bytes, reason);
    } else if (qcow2_is_allocated(qcow2, entry)) {
        qcow2_free(qcow2, host_of(entry), qcow2->cluster_bytes, reason);
    }
}
