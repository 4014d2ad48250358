/*
 * Compressed clusters: each a stream of its own, expanded and made by threads (codec.h).
 *
 * What follows the stream in its last sector is not looked at: it may belong to the next one.
 */
#include "block/qcow2/qcow2.h"

#include "schema/block.h"

#include <errno.h>

typedef struct Expansion {
    Qcow2 *qcow2;
    const uint8_t *from;
    uint8_t *to;
    size_t from_bytes;
    int error;
} Expansion;

static void expand_in_thread(void *data)
{
    Expansion *work = data;
    work->error = qcow2_expand(&work->qcow2->codecs, work->qcow2->header.compression, work->from, work->from_bytes,
                               work->to, work->qcow2->cluster_bytes);
}

int qcow2_read_compressed(BlockNode *node, const Qcow2Extent *extent, uint64_t from, uint64_t bytes,
                          BlockVectors vectors)
{
    Qcow2 *qcow2 = node->state;
    AUTO_FREE uint8_t *stream = block_buffer(node->file->node, extent->stream_bytes);
    AUTO_FREE uint8_t *cluster = malloc(qcow2->cluster_bytes);
    if (!stream || !cluster) {
        return ENOMEM;
    }
    block_debug_event(node->file, BLKDEBUG_EVENT_READ_COMPRESSED);
    int error = block_read(node->file, extent->offset, stream, extent->stream_bytes);
    if (error) {
        return error;
    }
    Expansion work = { .qcow2 = qcow2, .from = stream, .from_bytes = extent->stream_bytes, .to = cluster };
    block_task_in_thread(block_task_self(block_graph_runtime(node->graph)), expand_in_thread, &work);
    if (!work.error) {
        block_vectors_write(vectors, cluster + from, bytes);
    }
    return work.error;
}

/* Writing */

typedef struct Compression {
    Qcow2 *qcow2;
    const uint8_t *from;
    uint8_t *to;
    size_t result; /* of the cluster; 0: it does not become smaller */
    int error;
} Compression;

static void compress_in_thread(void *data)
{
    Compression *work = data;
    uint64_t bytes = work->qcow2->cluster_bytes;
    work->error = qcow2_compress(&work->qcow2->codecs, work->qcow2->header.compression, work->from, bytes, work->to,
                                 bytes - 1, &work->result);
}

/* The entry of a cluster whose stream is at `offset`. */
static uint64_t stream_descriptor(const Qcow2 *qcow2, uint64_t offset, uint64_t bytes)
{
    uint64_t sectors = (offset + bytes - 1) / BLOCK_SECTOR - offset / BLOCK_SECTOR;
    return QCOW2_COMPRESSED_FLAG | offset | sectors << (62 - (qcow2->header.cluster_bits - 8));
}

static int link_stream(BlockNode *node, BlockTask *self, uint64_t offset, uint64_t descriptor)
{
    Qcow2 *qcow2 = node->state;
    Qcow2Slice *slice;
    int error = qcow2_get_writable_slice(node, self, offset, &slice);
    if (!error) {
        Qcow2Entry old = qcow2_load_entry(qcow2, slice, offset);
        qcow2_store_entry(qcow2, slice, offset, (Qcow2Entry){ .descriptor = descriptor });
        qcow2_free_entry(qcow2, &old, QCOW2_FREE_OTHER);
        qcow2_cache_put(&qcow2->tables, slice);
    }
    return error;
}

/* One cluster, whose stream is `bytes` long. */
static int write_stream(BlockNode *node, uint64_t offset, const uint8_t *stream, uint64_t bytes)
{
    Qcow2 *qcow2 = node->state;
    BlockTask *self = qcow2_task(node);
    Qcow2Allocation allocation = { .guest = offset, .clusters = 1 };
    uint64_t place = 0;
    task_lock(&qcow2->lock, self);
    while (qcow2_wait_for_allocations(qcow2, self, offset, 1)) {
    }
    int error = qcow2_begin_changes(node);
    error = error ? error : qcow2_allocate_stream(node, self, bytes, &place);
    if (!error) {
        list_append(&qcow2->allocations, &allocation.node);
        task_unlock(&qcow2->lock);
        block_debug_event(node->file, BLKDEBUG_EVENT_WRITE_COMPRESSED);
        error = block_write(node->file, place, stream, bytes, 0);
        task_lock(&qcow2->lock, self);
        error = error ? error : link_stream(node, self, offset, stream_descriptor(qcow2, place, bytes));
        if (error) {
            qcow2_change_refcounts(node, self, place, bytes, -1);
        }
        list_remove(&allocation.node);
        task_queue_wake(&qcow2->allocations_changed);
    }
    task_unlock(&qcow2->lock);
    return error ? error : qcow2_flush_if_needed(node);
}

static int write_one(BlockNode *node, uint64_t offset, uint64_t bytes, BlockVectors vectors, uint8_t *cluster,
                     uint8_t *stream)
{
    Qcow2 *qcow2 = node->state;
    block_vectors_read(vectors, cluster, bytes);
    memset(cluster + bytes, 0, qcow2->cluster_bytes - bytes);
    Compression work = { .qcow2 = qcow2, .from = cluster, .to = stream };
    block_task_in_thread(qcow2_task(node), compress_in_thread, &work);
    if (work.error) {
        return work.error;
    }
    return work.result ? write_stream(node, offset, stream, work.result) : qcow2_write(node, offset, bytes, vectors, 0);
}

/* Whole clusters, but for the disk's last one. */
int qcow2_write_compressed(BlockNode *node, uint64_t offset, uint64_t bytes, BlockVectors vectors)
{
    const Qcow2 *qcow2 = node->state;
    uint64_t mask = qcow2->cluster_bytes - 1;
    if (qcow2_has(qcow2, QCOW2_EXTERNAL_DATA)) {
        return ENOTSUP;
    }
    if (offset & mask || (bytes & mask && offset + bytes != block_node_size(node))) {
        return EINVAL;
    }
    AUTO_FREE uint8_t *cluster = block_buffer(node->file->node, qcow2->cluster_bytes);
    AUTO_FREE uint8_t *stream = block_buffer(node->file->node, qcow2->cluster_bytes);
    int error = cluster && stream ? 0 : ENOMEM;
    for (uint64_t done = 0; done < bytes && !error; done += qcow2->cluster_bytes) {
        error = write_one(node, offset + done, MIN(bytes - done, qcow2->cluster_bytes),
                          block_vectors_from(vectors, done), cluster, stream);
    }
    return error;
}
