/*
 * The NBD server: its clients and their requests. One task reads what a client sends; each request is a task of its
 * own, and only so many of them, with so much memory, are under way.
 *
 * Not here: TLS, bitmaps, a choice of contexts by single requests.
 */
#include "block/nbd/server_internal.h"

#include "base/bytes.h"
#include "base/host/host.h"
#include "base/strbuf.h"
#include "base/vec.h"

#include <errno.h>

enum { MAXIMUM_REQUESTS = 16, MAXIMUM_BYTES = 64 << 20, CACHE_PIECE = 1 << 20 };

typedef struct Work {
    NbdClient *client;
    NbdRequest request;
    uint64_t memory; /* that it has, or will have */
    uint8_t *bytes;
    int error;
} Work;

/* Replies */

static bool send_reply(NbdClient *client, const NbdReply *reply, struct iovec *pieces, unsigned count)
{
    uint8_t header[NBD_LONGEST_HEADER];
    pieces[0] = (struct iovec){ header, nbd_put_reply(header, client->mode, reply) };
    task_lock(&client->send_lock, block_task_self(client->server->runtime));
    bool ok = nbd_channel_write(&client->channel, pieces, count);
    task_unlock(&client->send_lock);
    if (!ok) {
        nbd_channel_break(&client->channel);
    }
    return ok;
}

static NbdReply reply_to(const Work *work, uint16_t flags, uint16_t type, uint64_t length)
{
    return (NbdReply){ .flags = flags, .type = type, .cookie = work->request.cookie, .offset = work->request.offset,
                       .length = length };
}

/* Success without anything more, or an error. */
static void send_end(const Work *work, int error)
{
    uint8_t payload[6];
    NbdReply reply = reply_to(work, NBD_REPLY_DONE, error ? NBD_REPLY_ERROR : NBD_REPLY_NONE,
                              error ? sizeof payload : 0);
    reply.error = nbd_from_errno(error);
    store_be32(payload, reply.error);
    store_be16(payload + 4, 0);
    struct iovec pieces[2] = { { 0 }, { payload, sizeof payload } };
    send_reply(work->client, &reply, pieces, error && work->client->mode != NBD_SIMPLE ? 2 : 1);
}

static void send_data(const Work *work)
{
    uint8_t offset[8];
    bool simple = work->client->mode == NBD_SIMPLE;
    NbdReply reply = reply_to(work, NBD_REPLY_DONE, NBD_REPLY_OFFSET_DATA, 8 + work->request.length);
    store_be64(offset, work->request.offset);
    struct iovec pieces[3] = { { 0 }, { offset, simple ? 0 : sizeof offset }, { work->bytes, work->request.length } };
    send_reply(work->client, &reply, pieces, 3);
}

/* Block status */

static uint32_t flags_of(NbdContext context, const BlockStatus *status, unsigned depth)
{
    if (context == NBD_ALLOCATION_DEPTH) {
        return status->allocated ? depth + 1 : 0;
    }
    return (status->data ? 0 : NBD_STATE_HOLE) | (status->zero || !status->allocated ? NBD_STATE_ZERO : 0);
}

typedef struct Extents {
    struct {
        uint64_t length;
        uint32_t flags;
    } items[NBD_MAXIMUM_EXTENTS];
    unsigned count;
} Extents;

/* The extents from the request's offset on; an errno value. */
static int find_extents(const Work *work, NbdContext context, unsigned limit, Extents *extents)
{
    const NbdExport *export = work->client->export;
    uint64_t at = export->offset + work->request.offset, left = work->request.length;
    while (left > 0) {
        BlockStatus status;
        unsigned depth = 0;
        int error = block_status_above(export->edge, NULL, at, left, &status, &depth);
        if (error) {
            return error;
        }
        uint64_t length = MIN(status.bytes, left);
        uint32_t flags = flags_of(context, &status, depth);
        if (extents->count > 0 && extents->items[extents->count - 1].flags == flags) {
            extents->items[extents->count - 1].length += length;
        } else if (extents->count == limit) {
            return 0;
        } else {
            extents->items[extents->count].length = length;
            extents->items[extents->count++].flags = flags;
        }
        at += length;
        left -= length;
    }
    return 0;
}

static void put_extents(StrBuf *data, NbdMode mode, NbdContext context, const Extents *extents)
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

/* One chunk for each context; then the end. */
static void send_status(Work *work)
{
    NbdClient *client = work->client;
    AUTO_FREE Extents *extents = mem_alloc(sizeof *extents);
    unsigned limit = work->request.flags & NBD_REQ_ONE ? 1 : NBD_MAXIMUM_EXTENTS;
    uint16_t type = client->mode == NBD_EXTENDED ? NBD_REPLY_BLOCK_STATUS_EXT : NBD_REPLY_BLOCK_STATUS;
    bool ok = true;
    for (unsigned i = 0; ok && !work->error && i < NBD_CONTEXT_COUNT; i++) {
        AUTO_STRBUF(data);
        extents->count = 0;
        work->error = client->contexts & BIT(i) ? find_extents(work, i, limit, extents) : 0;
        if (extents->count && !work->error) {
            put_extents(&data, client->mode, i, extents);
            NbdReply reply = reply_to(work, 0, type, data.length);
            struct iovec pieces[2] = { { 0 }, { data.data, data.length } };
            ok = send_reply(client, &reply, pieces, 2);
        }
    }
    if (ok) {
        send_end(work, work->error);
    }
}

/* Requests */

/* Brings it into the host's cache. */
static int read_ahead(BlockEdge *edge, uint64_t offset, uint64_t length)
{
    AUTO_FREE uint8_t *bytes = mem_alloc(CACHE_PIECE);
    int error = 0;
    while (!error && length > 0) {
        uint64_t piece = MIN(length, CACHE_PIECE);
        error = block_read(edge, offset, bytes, piece);
        offset += piece;
        length -= piece;
    }
    return error;
}

static int discard(BlockEdge *edge, uint64_t offset, const NbdRequest *request)
{
    int error = block_discard(edge, offset, request->length);
    return !error && request->flags & NBD_FUA ? block_flush(edge) : error;
}

static int perform(const Work *work)
{
    const NbdRequest *request = &work->request;
    BlockEdge *edge = work->client->export->edge;
    uint64_t offset = work->client->export->offset + request->offset;
    unsigned fua = request->flags & NBD_FUA ? BLOCK_FUA : 0;
    switch (request->command) {
    case NBD_CMD_READ:
        return block_read(edge, offset, work->bytes, request->length);
    case NBD_CMD_WRITE:
        return block_write(edge, offset, work->bytes, request->length, fua);
    case NBD_CMD_FLUSH:
        return block_flush(edge);
    case NBD_CMD_TRIM:
        return discard(edge, offset, request);
    case NBD_CMD_CACHE:
        return read_ahead(edge, offset, request->length);
    case NBD_CMD_WRITE_ZEROES:
        return block_write_zeroes(edge, offset, request->length,
                                  fua | (request->flags & NBD_NO_HOLE ? 0 : BLOCK_MAY_UNMAP) |
                                      (request->flags & NBD_FAST_ZERO ? BLOCK_NO_FALLBACK : 0));
    default:
        return 0;
    }
}

static void run_work(void *data)
{
    Work *work = data;
    NbdClient *client = work->client;
    work->error = work->error ? work->error : perform(work);
    if (!work->error && work->request.command == NBD_CMD_READ && work->request.length) {
        send_data(work);
    } else if (!work->error && work->request.command == NBD_CMD_BLOCK_STATUS) {
        send_status(work);
    } else {
        send_end(work, work->error);
    }
    client->requests--;
    client->bytes -= work->memory;
    free(work->bytes);
    free(work);
    if (client->waiting) {
        BlockTask *waiting = client->waiting;
        client->waiting = NULL;
        block_task_wake(waiting);
    }
}

/* What a request may be; 0 or the errno value to answer with. */
static int check(const NbdClient *client, const NbdRequest *request)
{
    static const struct {
        uint16_t flags;
        bool writes, has_memory, has_range;
    } rules[NBD_CMD_COUNT] = {
        [NBD_CMD_READ] = { NBD_DF, .has_memory = true, .has_range = true },
        [NBD_CMD_WRITE] = { 0, .writes = true, .has_memory = true, .has_range = true },
        [NBD_CMD_TRIM] = { 0, .writes = true, .has_range = true },
        [NBD_CMD_CACHE] = { 0, .has_range = true },
        [NBD_CMD_WRITE_ZEROES] = { NBD_NO_HOLE | NBD_FAST_ZERO, .writes = true, .has_range = true },
        [NBD_CMD_BLOCK_STATUS] = { NBD_REQ_ONE, .has_range = true },
    };
    const NbdExport *export = client->export;
    unsigned allowed = NBD_FUA | (request->command < NBD_CMD_COUNT ? rules[request->command].flags : 0) |
                       (request->command == NBD_CMD_WRITE && client->mode == NBD_EXTENDED ? NBD_PAYLOAD_LEN : 0);
    bool status = request->command == NBD_CMD_BLOCK_STATUS;
    if (request->command >= NBD_CMD_COUNT || request->flags & ~allowed ||
        (request->flags & NBD_DF && client->mode == NBD_SIMPLE) ||
        (status && (!client->contexts || client->contexts_of != export || request->length == 0)) ||
        (rules[request->command].has_memory && request->length > NBD_MAXIMUM_PAYLOAD)) {
        return EINVAL;
    }
    if (rules[request->command].writes && export->read_only) {
        return EPERM;
    }
    bool outside = request->offset > export->size || request->length > export->size - request->offset;
    bool grows = request->command == NBD_CMD_WRITE || request->command == NBD_CMD_WRITE_ZEROES;
    return rules[request->command].has_range && outside ? (grows ? ENOSPC : EINVAL) : 0;
}

static void wait_for_end_of_one(NbdClient *client)
{
    client->waiting = block_task_self(client->server->runtime);
    block_task_sleep(client->waiting);
}

/* The payload of a write that is an error is read all the same, and not kept. */
static bool read_payload(NbdClient *client, Work *work)
{
    const NbdRequest *request = &work->request;
    bool has_payload = request->command == NBD_CMD_WRITE ||
                       (client->mode == NBD_EXTENDED && request->flags & NBD_PAYLOAD_LEN);
    if (!has_payload) {
        return true;
    }
    if (request->length > NBD_MAXIMUM_PAYLOAD) {
        return false;
    }
    return work->error ? nbd_channel_skip(&client->channel, request->length)
                       : nbd_channel_read(&client->channel, work->bytes, request->length);
}

/* False where the connection is to end. */
static bool next_request(NbdClient *client)
{
    uint8_t header[NBD_LONGEST_HEADER];
    NbdRequest request;
    if (!nbd_channel_read(&client->channel, header, nbd_request_size(client->mode)) ||
        !nbd_get_request(header, client->mode, &request) || request.command == NBD_CMD_DISC) {
        return false;
    }
    Work *work = NEW(Work);
    *work = (Work){ .client = client, .request = request, .error = check(client, &request) };
    bool has_memory = !work->error && (request.command == NBD_CMD_READ || request.command == NBD_CMD_WRITE);
    work->memory = has_memory ? request.length : 0;
    while (client->requests >= MAXIMUM_REQUESTS || (client->requests && client->bytes + work->memory > MAXIMUM_BYTES)) {
        wait_for_end_of_one(client);
    }
    work->bytes = has_memory ? mem_alloc(MAX(work->memory, 1)) : NULL;
    if (!read_payload(client, work)) {
        free(work->bytes);
        free(work);
        return false;
    }
    client->requests++;
    client->bytes += work->memory;
    block_task_start(client->channel.loop, run_work, work);
    return true;
}

static void run_client(void *data)
{
    NbdClient *client = data;
    NbdServer *server = client->server;
    unsigned seconds = server->options.handshake_seconds;
    nbd_channel_set_deadline(&client->channel, seconds ? host_monotonic_ns() + seconds * INT64_C(1000000000)
                                                       : INT64_MAX);
    bool chosen = nbd_handshake(client);
    nbd_channel_set_deadline(&client->channel, INT64_MAX);
    while (chosen && next_request(client)) {
    }
    while (client->requests > 0) {
        wait_for_end_of_one(client);
    }
    nbd_channel_free(&client->channel);
    list_remove(&client->in_server);
    free(client);
    server->client_count--;
    if (server->options.left) {
        server->options.left(server->options.data, chosen);
    }
}

/* Life */

void nbd_server_add_client(NbdServer *server, int fd)
{
    NbdClient *client = NEW(NbdClient);
    client->server = server;
    if (!nbd_channel_init(&client->channel, server->runtime, fd)) {
        free(client);
        return;
    }
    list_append(&server->clients, &client->in_server);
    server->client_count++;
    block_task_start(block_loop_self(server->runtime), run_client, client);
}

unsigned nbd_server_client_count(const NbdServer *server) { return server->client_count; }

NbdServer *nbd_server_new(BlockRuntime *runtime, const NbdServerOptions *options)
{
    NbdServer *server = NEW(NbdServer);
    server->options = *options;
    server->runtime = runtime;
    list_init(&server->clients);
    return server;
}

void nbd_server_free(NbdServer *server)
{
    while (server && server->client_count > 0) {
        LIST_FOREACH (&server->clients, client, NbdClient, in_server) {
            nbd_channel_break(&client->channel);
        }
        block_loop_poll(block_loop_self(server->runtime), true);
    }
    free(server);
}
