/* The NBD protocol's headers and numbers: see protocol.h. */
#include "block/nbd/protocol.h"

#include "base/bytes.h"
#include "base/strbuf.h"
#include "base/vec.h"

#include <errno.h>

enum {
    REQUEST_MAGIC = 0x25609513,
    EXTENDED_REQUEST_MAGIC = 0x21e41c71,
    SIMPLE_REPLY_MAGIC = 0x67446698,
    STRUCTURED_REPLY_MAGIC = 0x668e33ef,
    EXTENDED_REPLY_MAGIC = 0x6e8a278c,
};

/* The first of several that fit. */
static const struct {
    int host;
    uint32_t wire;
} errors[] = {
    { 0, 0 },        { EPERM, 1 },      { EROFS, 1 },         { EIO, 5 },      { ENOMEM, 12 },    { ENOSPC, 28 },
    { EDQUOT, 28 },  { EFBIG, 28 },     { EOVERFLOW, 75 },    { ENOTSUP, 95 }, { ESHUTDOWN, 108 },
};

uint32_t nbd_from_errno(int error)
{
    for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
        if (errors[i].host == error) {
            return errors[i].wire;
        }
    }
    return 22;
}

int nbd_to_errno(uint32_t error)
{
    for (size_t i = 1; i < ARRAY_SIZE(errors); i++) {
        if (errors[i].wire == error) {
            return errors[i].host;
        }
    }
    return error == 0 ? EIO : EINVAL;
}

bool nbd_get_option(const uint8_t *from, NbdOptionHeader *header)
{
    *header = (NbdOptionHeader){ load_be32(from + 8), load_be32(from + 12) };
    return load_be64(from) == NBD_OPTION_MAGIC;
}

void nbd_put_option(uint8_t *to, NbdOptionHeader header)
{
    store_be64(to, NBD_OPTION_MAGIC);
    store_be32(to + 8, header.option);
    store_be32(to + 12, header.length);
}

bool nbd_get_option_reply(const uint8_t *from, NbdOptionReply *header)
{
    *header = (NbdOptionReply){ load_be32(from + 8), load_be32(from + 12), load_be32(from + 16) };
    return load_be64(from) == NBD_OPTION_REPLY_MAGIC;
}

void nbd_put_option_reply(uint8_t *to, NbdOptionReply header)
{
    store_be64(to, NBD_OPTION_REPLY_MAGIC);
    store_be32(to + 8, header.option);
    store_be32(to + 12, header.type);
    store_be32(to + 16, header.length);
}

size_t nbd_request_size(NbdMode mode) { return mode == NBD_EXTENDED ? 32 : 28; }

bool nbd_get_request(const uint8_t *from, NbdMode mode, NbdRequest *request)
{
    *request = (NbdRequest){ .flags = load_be16(from + 4), .command = load_be16(from + 6),
                             .cookie = load_be64(from + 8), .offset = load_be64(from + 16),
                             .length = mode == NBD_EXTENDED ? load_be64(from + 24) : load_be32(from + 24) };
    return load_be32(from) == (mode == NBD_EXTENDED ? EXTENDED_REQUEST_MAGIC : REQUEST_MAGIC);
}

size_t nbd_put_request(uint8_t *to, NbdMode mode, const NbdRequest *request)
{
    store_be32(to, mode == NBD_EXTENDED ? EXTENDED_REQUEST_MAGIC : REQUEST_MAGIC);
    store_be16(to + 4, request->flags);
    store_be16(to + 6, request->command);
    store_be64(to + 8, request->cookie);
    store_be64(to + 16, request->offset);
    if (mode == NBD_EXTENDED) {
        store_be64(to + 24, request->length);
    } else {
        store_be32(to + 24, (uint32_t)request->length);
    }
    return nbd_request_size(mode);
}

size_t nbd_reply_size(NbdMode mode) { return mode == NBD_EXTENDED ? 32 : mode == NBD_STRUCTURED ? 20 : 16; }

bool nbd_get_reply_mode(const uint8_t *from, NbdMode *mode)
{
    uint32_t magic = load_be32(from);
    *mode = magic == EXTENDED_REPLY_MAGIC     ? NBD_EXTENDED
            : magic == STRUCTURED_REPLY_MAGIC ? NBD_STRUCTURED
                                              : NBD_SIMPLE;
    return *mode != NBD_SIMPLE || magic == SIMPLE_REPLY_MAGIC;
}

void nbd_get_reply(const uint8_t *from, NbdMode mode, NbdReply *reply)
{
    if (mode == NBD_SIMPLE) {
        *reply = (NbdReply){ .error = load_be32(from + 4), .flags = NBD_REPLY_DONE, .cookie = load_be64(from + 8) };
        return;
    }
    *reply = (NbdReply){ .flags = load_be16(from + 4), .type = load_be16(from + 6), .cookie = load_be64(from + 8) };
    if (mode == NBD_STRUCTURED) {
        reply->length = load_be32(from + 16);
    } else {
        reply->offset = load_be64(from + 16);
        reply->length = load_be64(from + 24);
    }
}

size_t nbd_put_reply(uint8_t *to, NbdMode mode, const NbdReply *reply)
{
    if (mode == NBD_SIMPLE) {
        store_be32(to, SIMPLE_REPLY_MAGIC);
        store_be32(to + 4, reply->error);
        store_be64(to + 8, reply->cookie);
        return 16;
    }
    store_be32(to, mode == NBD_EXTENDED ? EXTENDED_REPLY_MAGIC : STRUCTURED_REPLY_MAGIC);
    store_be16(to + 4, reply->flags);
    store_be16(to + 6, reply->type);
    store_be64(to + 8, reply->cookie);
    if (mode == NBD_STRUCTURED) {
        store_be32(to + 16, (uint32_t)reply->length);
        return 20;
    }
    store_be64(to + 16, reply->offset);
    store_be64(to + 24, reply->length);
    return 32;
}

/* Data */

static const uint8_t *take(NbdData *data, size_t count)
{
    static const uint8_t nothing[8];
    if (data->bad || data->left < count) {
        data->bad = true;
        return nothing;
    }
    data->left -= count;
    data->at += count;
    return data->at - count;
}

uint16_t nbd_take16(NbdData *data) { return load_be16(take(data, 2)); }
uint32_t nbd_take32(NbdData *data) { return load_be32(take(data, 4)); }
uint64_t nbd_take64(NbdData *data) { return load_be64(take(data, 8)); }

char *nbd_take_text(NbdData *data, size_t length)
{
    if (data->bad || length > NBD_MAXIMUM_STRING || length > data->left || memchr(data->at, 0, length)) {
        data->bad = true;
        return NULL;
    }
    return string_copy_length((const char *)take(data, length), length);
}

void nbd_add16(StrBuf *to, uint16_t value)
{
    uint8_t bytes[2];
    store_be16(bytes, value);
    strbuf_append_bytes(to, bytes, sizeof bytes);
}

void nbd_add32(StrBuf *to, uint32_t value)
{
    uint8_t bytes[4];
    store_be32(bytes, value);
    strbuf_append_bytes(to, bytes, sizeof bytes);
}

void nbd_add64(StrBuf *to, uint64_t value)
{
    uint8_t bytes[8];
    store_be64(bytes, value);
    strbuf_append_bytes(to, bytes, sizeof bytes);
}
