/*
 * Streams of compressed clusters: raw deflate (RFC 1951) or zstd (RFC 8878), made and expanded by any thread. Deflate
 * is libdeflate's where the program is built with it: three times as fast, and somewhat smaller.
 */
#pragma once

#include "base/thread.h"
#include "base/vec.h"

typedef enum Qcow2Compression { QCOW2_ZLIB, QCOW2_ZSTD, QCOW2_COMPRESSION_COUNT } Qcow2Compression;

/* What a thread needs for a while; kept for the next one. */
typedef struct Qcow2Codec Qcow2Codec;
typedef struct Qcow2Codecs {
    Mutex mutex;
    VEC(Qcow2Codec *) free;
} Qcow2Codecs;
void qcow2_codecs_init(Qcow2Codecs *codecs);
void qcow2_codecs_clear(Qcow2Codecs *codecs);
Qcow2Codec *qcow2_codec_take(Qcow2Codecs *codecs);
void qcow2_codec_give_back(Qcow2Codecs *codecs, Qcow2Codec *codec);
/* Into at most `room` bytes; *result 0: it does not fit. 0 or ENOMEM. */
int qcow2_compress(Qcow2Codec *codec, Qcow2Compression kind, const uint8_t *from, size_t bytes, uint8_t *to,
                   size_t room, size_t *result);
/* Exactly `to_bytes`; whatever follows the stream in `from` is not looked at. EIO where there is no such stream. */
int qcow2_expand(Qcow2Codec *codec, Qcow2Compression kind, const uint8_t *from, size_t from_bytes, uint8_t *to,
                 size_t to_bytes);
