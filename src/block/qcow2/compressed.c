/*
 * Compressed clusters: each a stream of its own, raw deflate (RFC 1951) or zstd (RFC 8878), expanded and made by
 * threads.
 *
 * What follows the stream in its last sector is not looked at: it may belong to the next one.
 */
#include "block/qcow2/qcow2.h"

#include <errno.h>
#include <zlib.h>
#include <zstd.h>

typedef struct Expansion {
    unsigned compression;
    const uint8_t *from;
    uint8_t *to;
    size_t from_bytes, to_bytes;
    int error;
} Expansion;

static int inflate_all(const Expansion *work)
{
    z_stream stream = { .next_in = (uint8_t *)(uintptr_t)work->from, .avail_in = (unsigned)work->from_bytes,
                        .next_out = work->to, .avail_out = (unsigned)work->to_bytes };
    if (inflateInit2(&stream, -15) != Z_OK) {
        return ENOMEM;
    }
    int result = inflate(&stream, Z_FINISH);
    unsigned missing = stream.avail_out;
    inflateEnd(&stream);
    /* Z_BUF_ERROR: the cluster is whole before the end of the stream was seen. */
    return (result == Z_STREAM_END || result == Z_BUF_ERROR) && missing == 0 ? 0 : EIO;
}

static int zstd_expand(const Expansion *work)
{
    ZSTD_DCtx *context = ZSTD_createDCtx();
    if (!context) {
        return ENOMEM;
    }
    ZSTD_inBuffer from = { work->from, work->from_bytes, 0 };
    ZSTD_outBuffer to = { work->to, work->to_bytes, 0 };
    size_t result = 1, before = SIZE_MAX;
    while (to.pos < to.size && !ZSTD_isError(result) && to.pos + from.pos != before) {
        before = to.pos + from.pos;
        result = ZSTD_decompressStream(context, &to, &from);
    }
    ZSTD_freeDCtx(context);
    return to.pos == to.size && !ZSTD_isError(result) ? 0 : EIO;
}

static void expand_in_thread(void *data)
{
    Expansion *work = data;
    work->error = work->compression == QCOW2_ZSTD ? zstd_expand(work) : inflate_all(work);
}

int qcow2_read_compressed(BlockNode *node, const Qcow2Extent *extent, uint64_t from, uint64_t bytes,
                          BlockVectors vectors)
{
    const Qcow2 *qcow2 = node->state;
    AUTO_FREE uint8_t *stream = block_buffer(node->file->node, extent->stream_bytes);
    AUTO_FREE uint8_t *cluster = malloc(qcow2->cluster_bytes);
    if (!stream || !cluster) {
        return ENOMEM;
    }
    int error = block_read(node->file, extent->offset, stream, extent->stream_bytes);
    if (error) {
        return error;
    }
    Expansion work = { .compression = qcow2->header.compression, .from = stream, .from_bytes = extent->stream_bytes,
                       .to = cluster, .to_bytes = qcow2->cluster_bytes };
    block_task_in_thread(block_task_self(block_graph_runtime(node->graph)), expand_in_thread, &work);
    if (!work.error) {
        block_vectors_write(vectors, cluster + from, bytes);
    }
    return work.error;
}

/* Writing */

enum { DEFLATE_WINDOW = -12, DEFLATE_MEMORY = 9 }; /* the format's readers expect that window at most */

typedef struct Compression {
    unsigned kind;
    const uint8_t *from;
    uint8_t *to;
    size_t bytes, result; /* of the cluster and of room for it; 0: it does not become smaller */
    int error;
} Compression;

static void deflate_all(Compression *work)
{
    z_stream stream = { .next_in = (uint8_t *)(uintptr_t)work->from, .avail_in = (unsigned)work->bytes,
                        .next_out = work->to, .avail_out = (unsigned)work->bytes - 1 };
    if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, DEFLATE_WINDOW, DEFLATE_MEMORY,
                     Z_DEFAULT_STRATEGY) != Z_OK) {
        work->error = ENOMEM;
        return;
    }
    work->result = deflate(&stream, Z_FINISH) == Z_STREAM_END ? work->bytes - 1 - stream.avail_out : 0;
    deflateEnd(&stream);
}

static void compress_in_thread(void *data)
{
    Compression *work = data;
    if (work->kind == QCOW2_ZSTD) {
        size_t result = ZSTD_compress(work->to, work->bytes - 1, work->from, work->bytes, ZSTD_CLEVEL_DEFAULT);
        work->result = ZSTD_isError(result) ? 0 : result;
    } else {
        deflate_all(work);
    }
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
    const Qcow2 *qcow2 = node->state;
    block_vectors_read(vectors, cluster, bytes);
    memset(cluster + bytes, 0, qcow2->cluster_bytes - bytes);
    Compression work = { .kind = qcow2->header.compression, .from = cluster, .to = stream,
                         .bytes = qcow2->cluster_bytes };
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
