/*
 * Compressing and expanding of clusters.
 *
 * zlib expands what libdeflate does not take: streams that end later than their cluster, or not at all.
 */
#include "block/qcow2/codec.h"

#include <errno.h>
#include <zlib.h>
#include <zstd.h>
#ifdef HAVE_LIBDEFLATE
#include <libdeflate.h>
#endif

enum {
    LIBDEFLATE_LEVEL = 2, /* smaller than what zlib makes by default */
    /* Of zlib: the window that the format's first readers expect, and memory for speed. */
    WINDOW_BITS = -12, WIDEST_WINDOW_BITS = -15, MEMORY_LEVEL = 9,
};

struct Qcow2Codec {
    ZSTD_CCtx *zstd_compressor; /* each made at first use */
    ZSTD_DCtx *zstd_expander;
#ifdef HAVE_LIBDEFLATE
    struct libdeflate_compressor *compressor;
    struct libdeflate_decompressor *expander;
#endif
};

void qcow2_codecs_init(Qcow2Codecs *codecs) { mutex_init(&codecs->mutex); }

void qcow2_codecs_clear(Qcow2Codecs *codecs)
{
    for (size_t i = 0; i < codecs->free.count; i++) {
        Qcow2Codec *codec = codecs->free.items[i];
        ZSTD_freeCCtx(codec->zstd_compressor);
        ZSTD_freeDCtx(codec->zstd_expander);
#ifdef HAVE_LIBDEFLATE
        libdeflate_free_compressor(codec->compressor);
        libdeflate_free_decompressor(codec->expander);
#endif
        free(codec);
    }
    vec_free(&codecs->free);
}

Qcow2Codec *qcow2_codec_take(Qcow2Codecs *codecs)
{
    mutex_lock(&codecs->mutex);
    Qcow2Codec *codec = codecs->free.count ? codecs->free.items[--codecs->free.count] : NULL;
    mutex_unlock(&codecs->mutex);
    return codec ? codec : NEW(Qcow2Codec);
}

void qcow2_codec_give_back(Qcow2Codecs *codecs, Qcow2Codec *codec)
{
    mutex_lock(&codecs->mutex);
    vec_push(&codecs->free, codec);
    mutex_unlock(&codecs->mutex);
}

/* Deflate */

static int inflate_all(const uint8_t *from, size_t from_bytes, uint8_t *to, size_t to_bytes)
{
    z_stream stream = { .next_in = (uint8_t *)(uintptr_t)from, .avail_in = (unsigned)from_bytes, .next_out = to,
                        .avail_out = (unsigned)to_bytes };
    if (inflateInit2(&stream, WIDEST_WINDOW_BITS) != Z_OK) {
        return ENOMEM;
    }
    int result = inflate(&stream, Z_FINISH);
    unsigned missing = stream.avail_out;
    inflateEnd(&stream);
    /* Z_BUF_ERROR: the cluster is whole before the end of the stream was seen. */
    return (result == Z_STREAM_END || result == Z_BUF_ERROR) && missing == 0 ? 0 : EIO;
}

#ifdef HAVE_LIBDEFLATE
static int expand_deflated(Qcow2Codec *codec, const uint8_t *from, size_t from_bytes, uint8_t *to, size_t to_bytes)
{
    codec->expander = codec->expander ? codec->expander : libdeflate_alloc_decompressor();
    size_t used = 0;
    bool good = codec->expander && libdeflate_deflate_decompress_ex(codec->expander, from, from_bytes, to, to_bytes,
                                                                    &used, NULL) == LIBDEFLATE_SUCCESS;
    return good ? 0 : inflate_all(from, from_bytes, to, to_bytes);
}

static int compress_deflated(Qcow2Codec *codec, const uint8_t *from, size_t bytes, uint8_t *to, size_t room,
                             size_t *result)
{
    codec->compressor = codec->compressor ? codec->compressor : libdeflate_alloc_compressor(LIBDEFLATE_LEVEL);
    if (!codec->compressor) {
        return ENOMEM;
    }
    *result = libdeflate_deflate_compress(codec->compressor, from, bytes, to, room);
    return 0;
}
#else
static int expand_deflated(Qcow2Codec *codec, const uint8_t *from, size_t from_bytes, uint8_t *to, size_t to_bytes)
{
    return inflate_all(from, from_bytes, to, to_bytes);
}

static int compress_deflated(Qcow2Codec *codec, const uint8_t *from, size_t bytes, uint8_t *to, size_t room,
                             size_t *result)
{
    z_stream stream = { .next_in = (uint8_t *)(uintptr_t)from, .avail_in = (unsigned)bytes, .next_out = to,
                        .avail_out = (unsigned)room };
    if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, WINDOW_BITS, MEMORY_LEVEL, Z_DEFAULT_STRATEGY) !=
        Z_OK) {
        return ENOMEM;
    }
    *result = deflate(&stream, Z_FINISH) == Z_STREAM_END ? room - stream.avail_out : 0;
    deflateEnd(&stream);
    return 0;
}
#endif

/* zstd */

static int expand_zstd(Qcow2Codec *codec, const uint8_t *from, size_t from_bytes, uint8_t *to, size_t to_bytes)
{
    codec->zstd_expander = codec->zstd_expander ? codec->zstd_expander : ZSTD_createDCtx();
    if (!codec->zstd_expander) {
        return ENOMEM;
    }
    ZSTD_inBuffer input = { from, from_bytes, 0 };
    ZSTD_outBuffer output = { to, to_bytes, 0 };
    size_t result = 1, before = SIZE_MAX;
    while (output.pos < output.size && !ZSTD_isError(result) && output.pos + input.pos != before) {
        before = output.pos + input.pos;
        result = ZSTD_decompressStream(codec->zstd_expander, &output, &input);
    }
    ZSTD_DCtx_reset(codec->zstd_expander, ZSTD_reset_session_only);
    return output.pos == output.size && !ZSTD_isError(result) ? 0 : EIO;
}

static int compress_zstd(Qcow2Codec *codec, const uint8_t *from, size_t bytes, uint8_t *to, size_t room,
                         size_t *result)
{
    codec->zstd_compressor = codec->zstd_compressor ? codec->zstd_compressor : ZSTD_createCCtx();
    if (!codec->zstd_compressor) {
        return ENOMEM;
    }
    size_t made = ZSTD_compressCCtx(codec->zstd_compressor, to, room, from, bytes, ZSTD_CLEVEL_DEFAULT);
    *result = ZSTD_isError(made) ? 0 : made;
    return 0;
}

/* Both */

int qcow2_compress(Qcow2Codec *codec, Qcow2Compression kind, const uint8_t *from, size_t bytes, uint8_t *to,
                   size_t room, size_t *result)
{
    return (kind == QCOW2_ZSTD ? compress_zstd : compress_deflated)(codec, from, bytes, to, room, result);
}

int qcow2_expand(Qcow2Codec *codec, Qcow2Compression kind, const uint8_t *from, size_t from_bytes, uint8_t *to,
                 size_t to_bytes)
{
    return (kind == QCOW2_ZSTD ? expand_zstd : expand_deflated)(codec, from, from_bytes, to, to_bytes);
}
