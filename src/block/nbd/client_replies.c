/*
 * Replies to the NBD client: simple, structured and extended. A server may send the chunks of a read in any order, but
 * no byte twice and none too few: what is read never holds what was in memory before.
 */
#include "block/nbd/client_internal.h"

#include "base/bytes.h"
#include "base/vec.h"

#include <errno.h>

enum { CHUNKS = 1 << 16, PARTS = 1 << 12, PIECES = 64 };

static NbdCommandState *find_command(const NbdLink *link, uint64_t cookie)
{
    NbdCommandState *command = link->commands[cookie % NBD_LINK_COMMANDS];
    return command && command->request.cookie == cookie ? command : NULL;
}

static bool read_data(NbdLink *link, const NbdCommandState *command, uint64_t start, uint64_t length)
{
    struct iovec pieces[PIECES];
    bool ok = true;
    while (ok && length > 0) {
        size_t bytes = length;
        unsigned count = block_vectors_cut(block_vectors_from(command->vectors, start), pieces, PIECES, &bytes);
        for (unsigned i = 0; ok && i < count; i++) {
            ok = nbd_channel_read(&link->channel, pieces[i].iov_base, pieces[i].iov_len);
        }
        start += bytes;
        length -= bytes;
    }
    return ok;
}

/* Chunks of reads */

/* Those that the front has reached are a part of it. */
static void merge_parts(NbdCommandState *command)
{
    size_t count = 0;
    while (count < command->parts.count && command->parts.items[count].start == command->covered) {
        command->covered = command->parts.items[count++].end;
    }
    for (; count > 0; count--) {
        vec_remove(&command->parts, 0);
    }
}

/* False where some of it has come before, or there are too many pieces. */
static bool cover(NbdCommandState *command, uint64_t start, uint64_t length)
{
    uint64_t end = start + length;
    size_t at = 0;
    if (start == command->covered && command->parts.count == 0) { /* in order */
        command->covered = end;
        return true;
    }
    while (at < command->parts.count && command->parts.items[at].end <= start) {
        at++;
    }
    if (start < command->covered || command->parts.count >= PARTS ||
        (at < command->parts.count && command->parts.items[at].start < end)) {
        return false;
    }
    vec_push(&command->parts, (NbdPart){ 0 });
    memmove(command->parts.items + at + 1, command->parts.items + at,
            (command->parts.count - 1 - at) * sizeof *command->parts.items);
    command->parts.items[at] = (NbdPart){ start, end };
    merge_parts(command);
    return true;
}

/* An offset and how much there is; false where that is not what was asked for. */
static bool place_chunk(NbdCommandState *command, uint64_t offset, uint64_t length, uint64_t *start)
{
    const NbdRequest *request = &command->request;
    bool inside = request->command == NBD_CMD_READ && length > 0 && offset >= request->offset &&
                  offset - request->offset <= request->length &&
                  length <= request->length - (offset - request->offset);
    *start = offset - request->offset;
    return inside && cover(command, *start, length);
}

static bool data_chunk(NbdLink *link, NbdCommandState *command, uint64_t length)
{
    uint8_t bytes[8];
    uint64_t start;
    return length > sizeof bytes && nbd_channel_read(&link->channel, bytes, sizeof bytes) &&
           place_chunk(command, load_be64(bytes), length - sizeof bytes, &start) &&
           read_data(link, command, start, length - sizeof bytes);
}

static bool hole_chunk(NbdLink *link, NbdCommandState *command, uint64_t length)
{
    uint8_t bytes[12];
    uint64_t start;
    if (length != sizeof bytes || !nbd_channel_read(&link->channel, bytes, sizeof bytes) ||
        !place_chunk(command, load_be64(bytes), load_be32(bytes + 8), &start)) {
        return false;
    }
    block_vectors_fill(block_vectors_from(command->vectors, start), 0, load_be32(bytes + 8));
    return true;
}

/* Other chunks */

/* The first extent is enough; there should be no other one. */
static bool status_chunk(NbdLink *link, NbdCommandState *command, bool extended, uint64_t length)
{
    uint8_t bytes[8 + 16];
    size_t head = extended ? 8 : 4, item = extended ? 16 : 8;
    if (command->request.command != NBD_CMD_BLOCK_STATUS || length < head + item || (length - head) % item ||
        length > NBD_MAXIMUM_PAYLOAD || !nbd_channel_read(&link->channel, bytes, head + item) ||
        !nbd_channel_skip(&link->channel, length - head - item) ||
        (extended && load_be32(bytes + 4) != (length - head) / item)) {
        return false;
    }
    uint64_t extent = extended ? load_be64(bytes + 8) : load_be32(bytes + 4);
    uint64_t flags = extended ? load_be64(bytes + 16) : load_be32(bytes + 8);
    if (load_be32(bytes) == link->session.context) {
        command->status_length = MIN(extent, command->request.length);
        command->status_flags = (uint32_t)MIN(flags, UINT32_MAX);
    }
    return true;
}

static bool error_chunk(NbdLink *link, NbdCommandState *command, uint64_t length)
{
    uint8_t bytes[6];
    if (length < sizeof bytes || length > NBD_MAXIMUM_OPTION ||
        !nbd_channel_read(&link->channel, bytes, sizeof bytes) ||
        !nbd_channel_skip(&link->channel, length - sizeof bytes)) {
        return false;
    }
    command->error = command->error ? command->error : nbd_to_errno(load_be32(bytes));
    return true;
}

static bool read_chunk(NbdLink *link, NbdCommandState *command, const NbdReply *reply)
{
    switch (reply->type) {
    case NBD_REPLY_NONE:
        return reply->length == 0 && reply->flags & NBD_REPLY_DONE;
    case NBD_REPLY_OFFSET_DATA:
        return data_chunk(link, command, reply->length);
    case NBD_REPLY_OFFSET_HOLE:
        return hole_chunk(link, command, reply->length);
    case NBD_REPLY_BLOCK_STATUS:
        return link->session.mode == NBD_STRUCTURED && status_chunk(link, command, false, reply->length);
    case NBD_REPLY_BLOCK_STATUS_EXT:
        return link->session.mode == NBD_EXTENDED && status_chunk(link, command, true, reply->length);
    default:
        return reply->type & NBD_REPLY_IS_ERROR && error_chunk(link, command, reply->length);
    }
}

/* Success has to have brought all that was asked for. */
static bool end_chunks(NbdLink *link, NbdCommandState *command)
{
    const NbdRequest *request = &command->request;
    if (!command->error && ((request->command == NBD_CMD_READ && command->covered != request->length) ||
                            (request->command == NBD_CMD_BLOCK_STATUS && command->status_length == 0))) {
        return false;
    }
    nbd_command_done(link, command);
    return true;
}

static bool simple_reply(NbdLink *link, NbdCommandState *command, const NbdReply *reply)
{
    bool has_data = command->request.command == NBD_CMD_READ;
    command->error = reply->error ? nbd_to_errno(reply->error) : 0;
    if (command->request.command == NBD_CMD_BLOCK_STATUS || (has_data && link->session.mode != NBD_SIMPLE) ||
        (has_data && !command->error && !read_data(link, command, 0, command->request.length))) {
        return false;
    }
    nbd_command_done(link, command);
    return true;
}

bool nbd_link_read_reply(NbdLink *link)
{
    uint8_t header[NBD_LONGEST_HEADER];
    NbdMode mode, agreed = link->session.mode;
    NbdReply reply;
    if (!nbd_channel_read(&link->channel, header, 4) || !nbd_get_reply_mode(header, &mode) || mode > agreed ||
        (agreed == NBD_EXTENDED && mode != agreed) ||
        !nbd_channel_read(&link->channel, header + 4, nbd_reply_size(mode) - 4)) {
        return false;
    }
    nbd_get_reply(header, mode, &reply);
    NbdCommandState *command = find_command(link, reply.cookie);
    if (!command) {
        return false;
    }
    if (mode == NBD_SIMPLE) {
        return simple_reply(link, command, &reply);
    }
    return ++command->chunks <= CHUNKS && read_chunk(link, command, &reply) &&
           (!(reply.flags & NBD_REPLY_DONE) || end_chunks(link, command));
}
