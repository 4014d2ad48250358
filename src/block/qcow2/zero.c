/* Zeroes without writing them, and discards: by entries of the L2 tables alone. */
#include "block/qcow2/qcow2.h"

#include <errno.h>

typedef struct Wipe {
    bool discard, unmap;
    bool passes; /* what keeps its place gives its space back */
    bool to_backing; /* what is discarded shows what is below; else it reads as zeroes */
} Wipe;

/* Without subclusters. */
static Qcow2Entry wiped_cluster(const Qcow2 *qcow2, const Qcow2Entry *old, const Wipe *wipe)
{
    bool keeps = !wipe->unmap && qcow2_is_allocated(qcow2, old);
    uint64_t place = keeps ? old->descriptor & (QCOW2_OFFSET | QCOW2_COPIED) : 0;
    return (Qcow2Entry){ .descriptor = wipe->to_backing ? 0 : place | QCOW2_ZERO_FLAG };
}

static Qcow2Entry wiped_subclusters(const Qcow2 *qcow2, const Qcow2Entry *old, const Wipe *wipe, uint64_t bits)
{
    Qcow2Entry new = *old;
    if (old->descriptor & QCOW2_COMPRESSED_FLAG) { /* all of it, see wipe_slice */
        new = (Qcow2Entry){ 0 };
    }
    new.subclusters &= ~(bits | bits << QCOW2_SUBCLUSTERS);
    new.subclusters |= wipe->to_backing ? 0 : bits << QCOW2_SUBCLUSTERS;
    if (wipe->unmap && !(new.subclusters & mask_bits(QCOW2_SUBCLUSTERS))) {
        new.descriptor = 0;
    }
    return new;
}

static bool is_same(const Qcow2Entry *a, const Qcow2Entry *b)
{
    return a->descriptor == b->descriptor && a->subclusters == b->subclusters;
}

/* What nobody has written to stays so where that reads as it should. */
static bool is_wiped_already(const BlockNode *node, const Qcow2Entry *old, const Wipe *wipe)
{
    bool empty = !old->descriptor && !old->subclusters;
    return empty && (wipe->to_backing || (wipe->discard && !node->backing));
}

/* Of zeroes: as zeroes, because the table may not say so yet when the power fails. */
static int give_space_back(const Qcow2 *qcow2, uint64_t place, const Wipe *wipe)
{
    if (wipe->discard) {
        return block_discard(qcow2->data, place, qcow2->cluster_bytes);
    }
    int error = block_write_zeroes(qcow2->data, place, qcow2->cluster_bytes, BLOCK_MAY_UNMAP | BLOCK_NO_FALLBACK);
    return error == ENOTSUP ? 0 : error;
}

static int wipe_entry(BlockNode *node, Qcow2Slice *slice, uint64_t offset, uint64_t bytes, const Wipe *wipe)
{
    Qcow2 *qcow2 = node->state;
    Qcow2Entry old = qcow2_load_entry(qcow2, slice, offset), new;
    if (is_wiped_already(node, &old, wipe)) {
        return 0;
    }
    if (old.descriptor & QCOW2_COMPRESSED_FLAG && bytes < qcow2->cluster_bytes) {
        return ENOTSUP; /* it became so since wipe_unit looked */
    }
    if (qcow2_has(qcow2, QCOW2_EXTENDED_L2)) {
        uint64_t within = offset & (qcow2->cluster_bytes - 1);
        unsigned from = (unsigned)(within >> qcow2->subcluster_bits),
                 to = (unsigned)((within + bytes) >> qcow2->subcluster_bits);
        new = wiped_subclusters(qcow2, &old, wipe, mask_bits(to) & ~mask_bits(from));
    } else {
        new = wiped_cluster(qcow2, &old, wipe);
    }
    if (is_same(&old, &new)) {
        return 0;
    }
    qcow2_store_entry(qcow2, slice, offset, new);
    if (!(new.descriptor & QCOW2_OFFSET)) {
        qcow2_free_entry(qcow2, &old, wipe->discard ? QCOW2_FREE_REQUEST : QCOW2_FREE_OTHER);
    } else if (wipe->passes && new.descriptor & QCOW2_COPIED && bytes >= qcow2->cluster_bytes &&
               !qcow2_has(qcow2, QCOW2_EXTERNAL_DATA)) { /* of those see wipe_data */
        return give_space_back(qcow2, new.descriptor & QCOW2_OFFSET, wipe);
    }
    return 0;
}

/* In an external data file the space is given back where the table no longer leads to it. */
static int wipe_data(BlockNode *node, uint64_t offset, uint64_t bytes, const Wipe *wipe)
{
    const Qcow2 *qcow2 = node->state;
    if (!qcow2_has(qcow2, QCOW2_EXTERNAL_DATA)) {
        return 0;
    }
    if (qcow2->header.autoclear & QCOW2_RAW_DATA) { /* it is to read as the disk does */
        return block_write_zeroes(qcow2->data, offset, bytes, wipe->unmap ? BLOCK_MAY_UNMAP : 0);
    }
    return wipe->unmap || wipe->passes ? block_discard(qcow2->data, offset, bytes) : 0;
}

/* Whole clusters or subclusters; as far as the slice goes. */
static int wipe_some(BlockNode *node, BlockTask *self, uint64_t offset, uint64_t bytes, const Wipe *wipe,
                     uint64_t *done)
{
    Qcow2 *qcow2 = node->state;
    Qcow2Slice *slice = NULL;
    uint64_t end = MIN(offset + bytes, qcow2_slice_end(qcow2, offset));
    *done = 0;
    if (qcow2_wait_for_allocations(qcow2, self, offset, end - offset)) {
        return 0;
    }
    int error = wipe->discard ? qcow2_get_slice(node, self, offset, &slice) : 0;
    if (!error && wipe->discard && !slice && !node->backing) {
        *done = end - offset;
        return 0;
    }
    qcow2_cache_put(&qcow2->tables, !error && wipe->discard ? slice : NULL);
    error = error ? error : qcow2_get_writable_slice(node, self, offset, &slice);
    if (error || qcow2_wait_for_allocations(qcow2, self, offset, end - offset)) { /* one may have begun meanwhile */
        qcow2_cache_put(&qcow2->tables, error ? NULL : slice);
        return error;
    }
    for (uint64_t at = offset, next; at < end && !error; at = next) {
        next = MIN(end, align_down(at, qcow2->cluster_bytes) + qcow2->cluster_bytes);
        error = wipe_entry(node, slice, at, next - at, wipe);
    }
    qcow2_cache_put(&qcow2->tables, slice);
    *done = end - offset;
    return error;
}

static int wipe_all(BlockNode *node, uint64_t offset, uint64_t bytes, const Wipe *wipe)
{
    Qcow2 *qcow2 = node->state;
    BlockTask *self = qcow2_task(node);
    int error = wipe_data(node, offset, bytes, wipe);
    task_lock(&qcow2->lock, self);
    error = error ? error : qcow2_begin_changes(node);
    for (uint64_t done = 0, part; done < bytes && !error; done += part) {
        error = wipe_some(node, self, offset + done, bytes - done, wipe, &part);
    }
    task_unlock(&qcow2->lock);
    return error ? error : qcow2_flush_if_needed(node);
}

/* A part of a cluster or subcluster: left alone where it is zero already. */
static int write_zero_part(BlockNode *node, uint64_t offset, uint64_t bytes, unsigned flags)
{
    if (bytes == 0) {
        return 0;
    }
    AUTO_FREE uint8_t *buffer = block_buffer(node, bytes);
    if (!buffer) {
        return ENOMEM;
    }
    struct iovec piece = { buffer, bytes };
    BlockVectors vectors = { &piece, 1, 0 };
    int error = qcow2_read(node, offset, bytes, vectors);
    if (error || block_vectors_are_zero(vectors, bytes)) {
        return error;
    }
    if (flags & BLOCK_NO_FALLBACK) {
        return ENOTSUP;
    }
    memset(buffer, 0, bytes);
    return qcow2_write(node, offset, bytes, vectors, 0);
}

/* A compressed cluster has no subclusters to be zeroed one by one. */
static int wipe_unit(BlockNode *node, uint64_t offset, uint64_t bytes, uint64_t *unit)
{
    const Qcow2 *qcow2 = node->state;
    *unit = BIT(qcow2->subcluster_bits);
    uint64_t ends[] = { offset, offset + bytes - 1 };
    for (size_t i = 0; i < ARRAY_SIZE(ends) && qcow2_has(qcow2, QCOW2_EXTENDED_L2); i++) {
        Qcow2Extent extent;
        unsigned token;
        int error = qcow2_find(node, ends[i], 1, &extent, &token);
        if (error) {
            return error;
        }
        qcow2_leave(node, token);
        *unit = extent.kind == QCOW2_COMPRESSED ? qcow2->cluster_bytes : *unit;
    }
    return 0;
}

int qcow2_write_zeroes(BlockNode *node, uint64_t offset, uint64_t bytes, unsigned flags)
{
    const Qcow2 *qcow2 = node->state;
    bool unmap = flags & BLOCK_MAY_UNMAP, passes = qcow2->pass_discard[QCOW2_FREE_REQUEST];
    Wipe wipe = { .unmap = unmap && !qcow2->keeps_places, .passes = unmap && qcow2->keeps_places && passes };
    uint64_t unit;
    int error = qcow2->header.version < 3 ? ENOTSUP : wipe_unit(node, offset, bytes, &unit);
    if (error) {
        return error;
    }
    uint64_t size = block_node_size(node), last = offset + bytes == size ? align_up(size, unit) : offset + bytes;
    uint64_t start = align_up(offset, unit), end = align_down(last, unit);
    if (start >= end) {
        return write_zero_part(node, offset, bytes, flags);
    }
    error = write_zero_part(node, offset, start - offset, flags);
    error = error ? error : wipe_all(node, start, end - start, &wipe);
    return !error && last > end ? write_zero_part(node, end, last - end, flags) : error;
}

int qcow2_discard(BlockNode *node, uint64_t offset, uint64_t bytes)
{
    const Qcow2 *qcow2 = node->state;
    uint64_t size = block_node_size(node), unit = qcow2->cluster_bytes;
    uint64_t last = offset + bytes == size ? align_up(size, unit) : offset + bytes;
    uint64_t start = align_up(offset, unit), end = align_down(last, unit);
    if (qcow2->header.version < 3 && node->backing) {
        return ENOTSUP;
    }
    Wipe wipe = { .discard = true, .unmap = !qcow2->keeps_places, .to_backing = qcow2->header.version < 3,
                  .passes = qcow2->keeps_places && qcow2->pass_discard[QCOW2_FREE_REQUEST] };
    return start < end ? wipe_all(node, start, end - start, &wipe) : 0;
}

int qcow2_zero_range(BlockNode *node, uint64_t offset, uint64_t bytes)
{
    if (((Qcow2 *)node->state)->header.version >= 3) {
        return qcow2_write_zeroes(node, offset, bytes, 0);
    }
    int error = 0;
    for (uint64_t done = 0, part; done < bytes && !error; done += part) {
        part = MIN(bytes - done, MIB);
        error = write_zero_part(node, offset + done, part, 0);
    }
    return error;
}

int qcow2_drop_range(BlockNode *node, BlockTask *self, uint64_t offset, uint64_t end)
{
    Qcow2 *qcow2 = node->state;
    Wipe wipe = { .discard = true, .unmap = true, .to_backing = true };
    int error = 0;
    for (uint64_t at = offset, part; at < end && !error; at += part) {
        Qcow2Slice *slice;
        error = qcow2_get_slice(node, self, at, &slice);
        part = MIN(end, qcow2_slice_end(qcow2, at)) - at;
        bool has_table = !error && slice;
        qcow2_cache_put(&qcow2->tables, has_table ? slice : NULL);
        error = has_table ? wipe_some(node, self, at, part, &wipe, &part) : error;
    }
    return error;
}
