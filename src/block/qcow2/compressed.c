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
    Qcow2 *qcow2 = work->qcow2;
    Qcow2Codec *codec = qcow2_codec_take(&qcow2->codecs);
    work->error = qcow2_expand(codec, qcow2->header.compression, work->from, work->from_bytes, work->to,
                               qcow2->cluster_bytes);
    qcow2_codec_give_back(&qcow2->codecs, codec);
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

/* Writing: some clusters at a time, compressed one behind the other by one thread. */

enum { BATCH = 1 << 20, BATCH_CLUSTERS = 256 };

typedef struct Stream {
    uint64_t place;
    size_t bytes; /* 0: the cluster does not become smaller */
} Stream;

typedef struct Compression {
    Qcow2 *qcow2;
    BlockVectors vectors; /* of `bytes` of the disk; zeroes follow in the last cluster */
    uint64_t bytes;
    unsigned clusters;
    uint8_t *cluster; /* one, which nobody changes while it is read */
    uint8_t *streams;
    Stream stream[BATCH_CLUSTERS];
    int error;
} Compression;

static void compress_in_thread(void *data)
{
    Compression *work = data;
    Qcow2 *qcow2 = work->qcow2;
    Qcow2Codec *codec = qcow2_codec_take(&qcow2->codecs);
    size_t size = qcow2->cluster_bytes;
    uint8_t *to = work->streams;
    for (unsigned i = 0; i < work->clusters && !work->error; i++) {
        uint64_t done = (uint64_t)i * size, part = MIN(size, work->bytes - done);
        block_vectors_read(block_vectors_from(work->vectors, done), work->cluster, part);
        memset(work->cluster + part, 0, size - part);
        work->error = qcow2_compress(codec, qcow2->header.compression, work->cluster, size, to, size - 1,
                                     &work->stream[i].bytes);
        to += work->stream[i].bytes;
    }
    qcow2_codec_give_back(&qcow2->codecs, codec);
}

/* The entry of a cluster whose stream is at `offset`. */
static uint64_t stream_descriptor(const Qcow2 *qcow2, const Stream *stream)
{
    uint64_t sectors = (stream->place + stream->bytes - 1) / BLOCK_SECTOR - stream->place / BLOCK_SECTOR;
    return QCOW2_COMPRESSED_FLAG | stream->place | sectors << (62 - (qcow2->header.cluster_bits - 8));
}

static int link_stream(BlockNode *node, BlockTask *self, uint64_t offset, const Stream *stream)
{
    Qcow2 *qcow2 = node->state;
    Qcow2Slice *slice;
    int error = qcow2_get_writable_slice(node, self, offset, &slice);
    if (!error) {
        Qcow2Entry old = qcow2_load_entry(qcow2, slice, offset);
        qcow2_store_entry(qcow2, slice, offset, (Qcow2Entry){ .descriptor = stream_descriptor(qcow2, stream) });
        qcow2_free_entry(qcow2, &old, QCOW2_FREE_OTHER);
        qcow2_cache_put(&qcow2->tables, slice);
    }
    return error;
}

/* *placed: how many have a place. */
static int place_streams(BlockNode *node, BlockTask *self, Stream *streams, unsigned count, unsigned *placed)
{
    int error = qcow2_begin_changes(node);
    for (*placed = 0; *placed < count && !error; *placed += !error) {
        error = qcow2_allocate_stream(node, self, streams[*placed].bytes, &streams[*placed].place);
    }
    return error;
}

/* Those that came to lie one behind the other are one write. */
static int write_streams(BlockNode *node, const Stream *streams, unsigned count, const uint8_t *bytes)
{
    int error = 0;
    for (unsigned first = 0, end; first < count && !error; first = end) {
        uint64_t size = streams[first].bytes;
        for (end = first + 1; end < count && streams[end].place == streams[first].place + size; end++) {
            size += streams[end].bytes;
        }
        block_debug_event(node->file, BLKDEBUG_EVENT_WRITE_COMPRESSED);
        error = block_write(node->file, streams[first].place, bytes, size, 0);
        bytes += size;
    }
    return error;
}

/* Clusters from `offset` on, whose streams lie one behind the other in `bytes`. */
static int store_streams(BlockNode *node, uint64_t offset, Stream *streams, unsigned count, const uint8_t *bytes)
{
    Qcow2 *qcow2 = node->state;
    BlockTask *self = qcow2_task(node);
    Qcow2Allocation allocation = { .guest = offset, .clusters = count };
    unsigned placed = 0, linked = 0;
    task_lock(&qcow2->lock, self);
    while (qcow2_wait_for_allocations(qcow2, self, offset, count * qcow2->cluster_bytes)) {
    }
    int error = place_streams(node, self, streams, count, &placed);
    if (!error) {
        list_append(&qcow2->allocations, &allocation.node);
        task_unlock(&qcow2->lock);
        error = write_streams(node, streams, count, bytes);
        task_lock(&qcow2->lock, self);
        for (; linked < count && !error; linked += !error) {
            error = link_stream(node, self, offset + ((uint64_t)linked << qcow2->header.cluster_bits),
                                &streams[linked]);
        }
        list_remove(&allocation.node);
        task_queue_wake(&qcow2->allocations_changed);
    }
    for (; linked < placed; linked++) { /* those that nothing refers to */
        qcow2_change_refcounts(node, self, streams[linked].place, streams[linked].bytes, -1);
    }
    task_unlock(&qcow2->lock);
    return error ? error : qcow2_flush_if_needed(node);
}

/* Runs of clusters that became smaller, and of those that did not. */
static int store_batch(BlockNode *node, uint64_t offset, Compression *work)
{
    uint64_t size = work->qcow2->cluster_bytes;
    const uint8_t *bytes = work->streams;
    int error = 0;
    for (unsigned first = 0, end; first < work->clusters && !error; first = end) {
        uint64_t at = first * size, sum = 0;
        bool smaller = work->stream[first].bytes > 0;
        for (end = first; end < work->clusters && (work->stream[end].bytes > 0) == smaller; end++) {
            sum += work->stream[end].bytes;
        }
        error = smaller ? store_streams(node, offset + at, &work->stream[first], end - first, bytes)
                        : qcow2_write(node, offset + at, MIN((end - first) * size, work->bytes - at),
                                      block_vectors_from(work->vectors, at), 0);
        bytes += sum;
    }
    return error;
}

static int write_batch(BlockNode *node, uint64_t offset, Compression *work)
{
    block_task_in_thread(qcow2_task(node), compress_in_thread, work);
    return work->error ? work->error : store_batch(node, offset, work);
}

/* Whole clusters, but for the disk's last one. */
int qcow2_write_compressed(BlockNode *node, uint64_t offset, uint64_t bytes, BlockVectors vectors)
{
    Qcow2 *qcow2 = node->state;
    uint64_t size = qcow2->cluster_bytes, most = MAX(MIN(BATCH / size, BATCH_CLUSTERS), 1);
    if (qcow2_has(qcow2, QCOW2_EXTERNAL_DATA)) {
        return ENOTSUP;
    }
    if (offset & (size - 1) || (bytes & (size - 1) && offset + bytes != block_node_size(node))) {
        return EINVAL;
    }
    AUTO_FREE Compression *work = malloc(sizeof(*work));
    AUTO_FREE uint8_t *cluster = malloc(size);
    AUTO_FREE uint8_t *streams = block_buffer(node->file->node, MIN(most * size, align_up(bytes, size)));
    int error = work && cluster && streams ? 0 : ENOMEM;
    for (uint64_t done = 0; done < bytes && !error; done += work->bytes) {
        *work = (Compression){ .qcow2 = qcow2, .vectors = block_vectors_from(vectors, done),
                               .bytes = MIN(bytes - done, most * size), .cluster = cluster, .streams = streams };
        work->clusters = (unsigned)((work->bytes + size - 1) / size);
        error = write_batch(node, offset + done, work);
    }
    return error;
}
