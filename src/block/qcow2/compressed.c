/*
 * Compressed clusters: each a stream of its own, raw deflate (RFC 1951) or zstd (RFC 8878), expanded by a thread.
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
