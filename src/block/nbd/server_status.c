/* Block status, as the NBD server tells it: what is allocated, in which image of a chain, what bitmaps hold. */
#include "block/nbd/server_internal.h"

#include "base/vec.h"
#include "block/bitmap.h"

typedef struct Extents {
    struct {
        uint64_t length;
        uint32_t flags;
    } items[NBD_MAXIMUM_EXTENTS];
    unsigned count, limit;
} Extents;

/* False where there is no room for more. */
static bool add_extent(Extents *extents, uint64_t length, uint32_t flags)
{
    if (length == 0) {
        return true;
    }
    if (extents->count > 0 && extents->items[extents->count - 1].flags == flags) {
        extents->items[extents->count - 1].length += length;
        return true;
    }
    if (extents->count == extents->limit) {
        return false;
    }
    extents->items[extents->count].length = length;
    extents->items[extents->count++].flags = flags;
    return true;
}

static uint32_t flags_of(unsigned context, const BlockStatus *status, unsigned depth)
{
    if (context == NBD_ALLOCATION_DEPTH) {
        return status->allocated ? depth + 1 : 0;
    }
    return (status->data ? 0 : NBD_STATE_HOLE) | (status->zero || !status->allocated ? NBD_STATE_ZERO : 0);
}

/* The extents from the request's offset on; an errno value. */
static int find_extents(const NbdWork *work, unsigned context, Extents *extents)
{
    const NbdExportOptions *export = &work->client->export->options;
    uint64_t at = export->offset + work->request.offset, left = work->request.length;
    bool room = true;
    while (room && left > 0) {
        BlockStatus status;
        unsigned depth = 0;
        int error = block_status_above(export->edge, NULL, at, left, &status, &depth);
        if (error) {
            return error;
        }
        uint64_t length = MIN(status.bytes, left);
        room = add_extent(extents, length, flags_of(context, &status, depth));
        at += length;
        left -= length;
    }
    return 0;
}

static int find_dirty(const NbdWork *work, unsigned context, Extents *extents)
{
    const NbdExport *export = work->client->export;
    BlockBitmap *bitmap = export->bitmaps[context - NBD_FIRST_BITMAP];
    uint64_t at = export->options.offset + work->request.offset, end = at + work->request.length;
    bool room = true;
    while (room && at < end) {
        uint64_t start = at, stop = end;
        bool any = block_bitmap_next(bitmap, &start, &stop) && start < end;
        start = any ? start : end;
        stop = any ? MIN(stop, end) : end;
        room = add_extent(extents, start - at, 0) && add_extent(extents, stop - start, 1);
        at = stop;
    }
    return 0;
}

static void put_extents(StrBuf *data, NbdMode mode, unsigned context, const Extents *extents)
{
    nbd_add32(data, context);
    if (mode == NBD_EXTENDED) {
        nbd_add32(data, extents->count);
    }
    for (unsigned i = 0; i < extents->count; i++) {
        if (mode == NBD_EXTENDED) {
            nbd_add64(data, extents->items[i].length);
            nbd_add64(data, extents->items[i].flags);
        } else {
            nbd_add32(data, (uint32_t)extents->items[i].length);
            nbd_add32(data, extents->items[i].flags);
        }
    }
}

static void put_chunk(NbdWork *work, uint16_t flags, uint16_t type, const StrBuf *payload)
{
    uint8_t header[NBD_LONGEST_HEADER];
    NbdReply reply = { .flags = flags, .type = type, .cookie = work->request.cookie, .offset = work->request.offset,
                       .length = payload->length };
    strbuf_append_bytes(&work->chunks, header, nbd_put_reply(header, work->client->mode, &reply));
    strbuf_append_bytes(&work->chunks, payload->length ? payload->data : "", payload->length);
}

/* One chunk for each context; then the end. */
int nbd_block_status(NbdWork *work)
{
    AUTO_FREE Extents *extents = mem_alloc(sizeof *extents);
    NbdMode mode = work->client->mode;
    int error = 0;
    extents->limit = work->request.flags & NBD_REQ_ONE ? 1 : NBD_MAXIMUM_EXTENTS;
    for (unsigned i = 0; !error && i < NBD_FIRST_BITMAP + work->client->export->options.bitmap_count; i++) {
        extents->count = 0;
        if (!(work->contexts >> i & 1)) {
            continue;
        }
        error = i < NBD_FIRST_BITMAP ? find_extents(work, i, extents) : find_dirty(work, i, extents);
        if (!error) {
            AUTO_STRBUF(payload);
            put_extents(&payload, mode, i, extents);
            put_chunk(work, 0, mode == NBD_EXTENDED ? NBD_REPLY_BLOCK_STATUS_EXT : NBD_REPLY_BLOCK_STATUS, &payload);
        }
    }
    if (error) {
        strbuf_clear(&work->chunks);
        return error;
    }
    put_chunk(work, NBD_REPLY_DONE, NBD_REPLY_NONE, &(StrBuf){ 0 });
    return 0;
}
