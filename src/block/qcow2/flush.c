/*
 * Writing what has changed of the tables, so that the file is whole after every step:
 *   1. refcount blocks, and then the refcount table's entries for new ones
 *   2. (data, refcounts and new tables are on stable storage)
 *   3. L2 tables and L1 entries
 *   4. (these are too) clusters that only the old tables referred to lose a reference, in memory: the next flush writes
 *      that
 * What is written is a copy, so that requests go on meanwhile.
 */
#include "block/qcow2/qcow2.h"

#include "base/bytes.h"
#include "schema/block.h"
#include "trace/block.h"

#include <errno.h>
#include <stdatomic.h>

enum { MERGED_BYTES = 1 << 20 };

/* Copies of slices */

typedef struct Batch {
    Qcow2Cache *cache;
    Qcow2Slices slices; /* in use until they are written; sorted by place */
    uint8_t *bytes;
} Batch;

static int compare_slices(const void *a, const void *b)
{
    uint64_t first = (*(Qcow2Slice *const *)a)->offset, second = (*(Qcow2Slice *const *)b)->offset;
    return first < second ? -1 : first > second;
}

static int batch_take(Qcow2Cache *cache, Batch *batch)
{
    *batch = (Batch){ .cache = cache };
    if (cache->dirty.count == 0) {
        return 0;
    }
    batch->bytes = block_buffer(cache->file->node, cache->dirty.count * cache->slice_bytes);
    if (!batch->bytes) {
        return ENOMEM;
    }
    batch->slices = cache->dirty;
    cache->dirty = (Qcow2Slices){ 0 };
    qsort(batch->slices.items, batch->slices.count, sizeof *batch->slices.items, compare_slices);
    for (size_t i = 0; i < batch->slices.count; i++) {
        Qcow2Slice *slice = batch->slices.items[i];
        slice->dirty = false;
        memcpy(batch->bytes + i * cache->slice_bytes, slice->bytes, cache->slice_bytes);
    }
    return 0;
}

/* Neighbours go together. */
static int batch_write(const Batch *batch)
{
    const Qcow2Cache *cache = batch->cache;
    size_t size = cache->slice_bytes;
    int error = 0;
    for (size_t i = 0, count; i < batch->slices.count && !error; i += count) {
        uint64_t offset = batch->slices.items[i]->offset;
        for (count = 1; i + count < batch->slices.count && (count + 1) * size <= MERGED_BYTES &&
                        batch->slices.items[i + count]->offset == offset + count * size;) {
            count++;
        }
        trace_qcow2_write_tables(block_node_trace(cache->file->parent), cache->file->parent->name, !cache->opens_lock,
                                 offset, count * size);
        error = block_write(cache->file, offset, batch->bytes + i * size, count * size, 0);
    }
    return error;
}

/* `lock` is held. */
static void batch_end(Batch *batch, bool written)
{
    for (size_t i = 0; i < batch->slices.count; i++) {
        if (!written) {
            qcow2_cache_changed(batch->cache, batch->slices.items[i]);
        }
        qcow2_cache_put(batch->cache, batch->slices.items[i]);
    }
    vec_free(&batch->slices);
    free(batch->bytes);
}

/* They stay dirty: a flush that is under way may write older copies after this. */
int qcow2_write_dirty(Qcow2Cache *cache)
{
    Batch batch;
    int error = batch_take(cache, &batch);
    error = error ? error : batch_write(&batch);
    batch_end(&batch, false);
    return error;
}

/* Entries of the L1 and refcount tables */

static int write_changes(BlockNode *node, uint64_t table, const Qcow2Changes *changes)
{
    int error = 0;
    for (size_t i = 0; i < changes->count && !error; i++) {
        uint8_t bytes[8];
        store_be64(bytes, changes->items[i].value);
        uint64_t place = table + changes->items[i].index * sizeof bytes;
        trace_qcow2_write_entry(block_node_trace(node), node->name, place, changes->items[i].value);
        error = block_write(node->file, place, bytes, sizeof bytes, 0);
    }
    return error;
}

static void give_changes_back(Qcow2Changes *to, Qcow2Changes *changes, bool written)
{
    Qcow2Changes newer = *to;
    if (!written && changes->count > 0) { /* older ones first: the last one of an entry counts */
        for (size_t i = 0; i < newer.count; i++) {
            vec_push(changes, newer.items[i]);
        }
        *to = *changes;
        *changes = newer;
    }
    vec_free(changes);
}

/* A flush */

typedef struct Flush {
    Batch blocks, tables;
    Qcow2Changes refcount_changes, l1_changes;
    size_t frees; /* of those that there were */
    uint64_t l1_offset, refcount_table_offset;
} Flush;

static int flush_take(BlockNode *node, Flush *flush, bool blocks)
{
    Qcow2 *qcow2 = node->state;
    *flush = (Flush){ .frees = qcow2->frees.count, .l1_offset = qcow2->header.l1_offset,
                      .refcount_table_offset = qcow2->header.refcount_table_offset };
    int error = batch_take(&qcow2->tables, &flush->tables);
    flush->blocks = (Batch){ .cache = &qcow2->blocks };
    if (!error && blocks) {
        error = batch_take(&qcow2->blocks, &flush->blocks);
        flush->refcount_changes = qcow2->refcount_changes;
        qcow2->refcount_changes = (Qcow2Changes){ 0 };
    }
    flush->l1_changes = qcow2->l1_changes;
    qcow2->l1_changes = (Qcow2Changes){ 0 };
    return error;
}

static int flush_data(BlockNode *node)
{
    const Qcow2 *qcow2 = node->state;
    int error = block_flush(node->file);
    return !error && qcow2->data != node->file ? block_flush(qcow2->data) : error;
}

static int flush_write(BlockNode *node, const Flush *flush)
{
    if (flush->blocks.slices.count) {
        block_debug_event(node->file, BLKDEBUG_EVENT_REFBLOCK_UPDATE);
    }
    int error = batch_write(&flush->blocks);
    if (!error && flush->refcount_changes.count > 0) {
        error = block_flush(node->file);
        block_debug_event(node->file, BLKDEBUG_EVENT_REFTABLE_UPDATE);
        error = error ? error : write_changes(node, flush->refcount_table_offset, &flush->refcount_changes);
    }
    if (!error && (flush->tables.slices.count || flush->l1_changes.count)) {
        error = flush_data(node);
        block_debug_event(node->file, BLKDEBUG_EVENT_L2_UPDATE);
        error = error ? error : batch_write(&flush->tables);
        block_debug_event(node->file, BLKDEBUG_EVENT_L1_UPDATE);
        error = error ? error : write_changes(node, flush->l1_offset, &flush->l1_changes);
    }
    return !error && flush->frees > 0 ? block_flush(node->file) : error;
}

/* What became free */

void qcow2_free(Qcow2 *qcow2, uint64_t offset, uint64_t bytes, Qcow2FreeReason reason)
{
    vec_push(&qcow2->frees, (Qcow2Free){ offset, bytes, reason });
    qcow2->freed_clusters += qcow2_clusters(qcow2, bytes);
}

static void move_frees(Qcow2Frees *to, Qcow2Frees *from, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        vec_push(to, from->items[i]);
    }
    if (count > 0) {
        memmove(from->items, from->items + count, (from->count - count) * sizeof *from->items);
        from->count -= count;
    }
}

/* The space goes back to the host while the cluster still counts as taken. */
static int discard_free(BlockNode *node, BlockTask *self, const Qcow2Free *item)
{
    Qcow2 *qcow2 = node->state;
    uint64_t first = item->offset >> qcow2->header.cluster_bits,
             last = (item->offset + item->bytes - 1) >> qcow2->header.cluster_bits;
    for (uint64_t i = first; i <= last && qcow2->pass_discard[item->reason]; i++) {
        uint64_t refcount;
        int error = qcow2_get_refcount(node, self, i, &refcount);
        if (error) {
            return error;
        }
        if (refcount == 1) {
            block_discard(node->file, i << qcow2->header.cluster_bits, qcow2->cluster_bytes); /* advice */
        }
    }
    trace_qcow2_free(block_node_trace(node), node->name, item->offset, item->bytes);
    return qcow2_change_refcounts(node, self, item->offset, item->bytes, -1);
}

/* A cluster is taken away when no request is left that may have found it before. */
static int release(BlockNode *node, BlockTask *self)
{
    Qcow2 *qcow2 = node->state;
    int error = 0;
    if (qcow2->waiting_frees.count == 0 && qcow2->flushed_frees.count > 0 &&
        atomic_load(&qcow2->in_flight[qcow2->phase ^ 1]) == 0) {
        move_frees(&qcow2->waiting_frees, &qcow2->flushed_frees, qcow2->flushed_frees.count);
        qcow2->phase ^= 1;
    }
    if (atomic_load(&qcow2->in_flight[qcow2->phase ^ 1]) == 0) {
        for (size_t i = 0; i < qcow2->waiting_frees.count; i++) {
            int one = discard_free(node, self, &qcow2->waiting_frees.items[i]);
            error = error ? error : one;
        }
        qcow2->waiting_frees.count = 0;
    }
    return error;
}

static int flush_once(BlockNode *node, bool blocks)
{
    Qcow2 *qcow2 = node->state;
    BlockTask *self = qcow2_task(node);
    Flush flush;
    task_lock(&qcow2->flush_lock, self);
    task_lock(&qcow2->lock, self);
    int error = flush_take(node, &flush, blocks);
    task_unlock(&qcow2->lock);
    error = error ? error : flush_write(node, &flush);
    task_lock(&qcow2->lock, self);
    batch_end(&flush.blocks, !error);
    batch_end(&flush.tables, !error);
    give_changes_back(&qcow2->refcount_changes, &flush.refcount_changes, !error);
    give_changes_back(&qcow2->l1_changes, &flush.l1_changes, !error);
    if (!error) {
        move_frees(&qcow2->flushed_frees, &qcow2->frees, flush.frees);
        qcow2->freed_clusters = qcow2->frees.count ? qcow2->freed_clusters : 0;
        error = release(node, self);
    }
    task_unlock(&qcow2->lock);
    task_unlock(&qcow2->flush_lock);
    return error;
}

/* With lazy refcounts the counts may be wrong in the file as long as it says so. */
int qcow2_flush(BlockNode *node)
{
    const Qcow2 *qcow2 = node->state;
    return flush_once(node, !qcow2_has(qcow2, QCOW2_DIRTY));
}

static bool has_changes(const Qcow2 *qcow2)
{
    return qcow2->tables.dirty.count || qcow2->blocks.dirty.count || qcow2->l1_changes.count ||
           qcow2->refcount_changes.count || qcow2->frees.count || qcow2->flushed_frees.count ||
           qcow2->waiting_frees.count;
}

int qcow2_flush_all(BlockNode *node)
{
    const Qcow2 *qcow2 = node->state;
    int error = 0;
    for (unsigned i = 0; i < 4 && !error && has_changes(qcow2); i++) {
        error = flush_once(node, true);
    }
    return error ? error : flush_data(node);
}

int qcow2_flush_if_needed(BlockNode *node)
{
    Qcow2 *qcow2 = node->state;
    task_lock(&qcow2->lock, qcow2_task(node));
    bool tables = qcow2->tables.dirty.count > qcow2->tables.limit / 2 || qcow2->freed_clusters > 4096;
    bool blocks = qcow2->blocks.dirty.count > qcow2->blocks.limit / 2;
    task_unlock(&qcow2->lock);
    return blocks ? flush_once(node, true) : tables ? qcow2_flush(node) : 0;
}
