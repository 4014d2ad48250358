/*
 * Requests to the NBD server and their replies. What the block layer does without waiting needs no task; replies that
 * are ready when a round of the loop ends are sent together.
 */
#include "block/nbd/server_internal.h"

#include "base/bytes.h"
#include "base/host/host.h"
#include "base/vec.h"
#include "trace/block.h"

#include <errno.h>

enum { CACHE_PIECE = 1 << 20, PIECES = 128, SENT_AT_ONCE = 4 << 20 };

/* Replies */

static void free_work(NbdWork *work)
{
    NbdClient *client = work->client;
    bool keep = work->bytes && client->spare_count < NBD_SPARE_BUFFERS &&
                client->spare_bytes + work->memory <= NBD_SPARE_BYTES;
    if (keep) {
        client->spares[client->spare_count++] = (NbdSpare){ work->bytes, work->memory };
        client->spare_bytes += work->memory;
    } else {
        free(work->bytes);
    }
    client->requests--;
    client->bytes -= work->memory;
    strbuf_free(&work->chunks);
    free(work);
}

static unsigned add_pieces(const NbdWork *work, struct iovec *pieces)
{
    unsigned count = 1;
    pieces[0] = work->chunks.length ? (struct iovec){ work->chunks.data, work->chunks.length }
                                    : (struct iovec){ (void *)(uintptr_t)work->head, work->head_length };
    if (work->sends_bytes) {
        pieces[count++] = (struct iovec){ work->bytes, work->request.length };
    }
    return count;
}

/* As many as go together; those that are sent end with the one that it returns. */
static NbdWork *choose_replies(NbdClient *client, struct iovec *pieces, unsigned *count)
{
    NbdWork *last = client->replies;
    uint64_t bytes = 0;
    *count = 0;
    for (NbdWork *work = last; work && *count + 2 <= PIECES && bytes < SENT_AT_ONCE; work = work->next) {
        *count += add_pieces(work, pieces + *count);
        bytes += work->sends_bytes ? work->request.length : 0;
        last = work;
    }
    return last;
}

static void wake_reader(NbdClient *client)
{
    BlockTask *waiting = client->waiting;
    client->waiting = NULL;
    if (waiting) {
        block_task_wake(waiting);
    }
}

static void drop_replies(NbdClient *client, const NbdWork *end)
{
    while (client->replies != end) {
        NbdWork *work = client->replies;
        client->replies = work->next;
        free_work(work);
    }
    if (!client->replies) {
        client->replies_end = &client->replies;
    }
}

/* In a task, until none is left. With the last of them the client may end. */
static void send_replies(void *data)
{
    NbdClient *client = data;
    for (bool goes_on = true; goes_on;) {
        struct iovec pieces[PIECES];
        unsigned count;
        NbdWork *last = choose_replies(client, pieces, &count);
        if (!nbd_channel_write(&client->channel, pieces, count)) {
            nbd_channel_break(&client->channel);
        }
        drop_replies(client, last->next);
        goes_on = client->sending = client->replies != NULL;
        wake_reader(client);
    }
}

static void begin_sending(void *data)
{
    NbdClient *client = data;
    client->send_called = false;
    if (!client->sending) {
        client->sending = true;
        block_task_start(client->channel.loop, send_replies, client);
    }
}

static void make_head(NbdWork *work)
{
    bool simple = work->client->mode == NBD_SIMPLE;
    NbdReply reply = { .flags = NBD_REPLY_DONE, .cookie = work->request.cookie, .offset = work->request.offset,
                       .error = nbd_from_errno(work->error) };
    uint8_t extra[8];
    size_t extra_length = 0;
    if (work->error) {
        reply.type = NBD_REPLY_ERROR;
        extra_length = 6;
        store_be32(extra, reply.error);
        store_be16(extra + 4, 0);
    } else if (work->sends_bytes) {
        reply.type = NBD_REPLY_OFFSET_DATA;
        extra_length = 8;
        store_be64(extra, work->request.offset);
    }
    extra_length = simple ? 0 : extra_length;
    reply.length = extra_length + (work->sends_bytes ? work->request.length : 0);
    work->head_length = nbd_put_reply(work->head, work->client->mode, &reply);
    memcpy(work->head + work->head_length, extra, extra_length);
    work->head_length += extra_length;
}

void nbd_client_reply(NbdWork *work)
{
    NbdClient *client = work->client;
    work->sends_bytes = !work->error && work->request.command == NBD_CMD_READ && work->request.length;
    if (!work->chunks.length) {
        make_head(work);
    }
    if (client->server->options.trace) {
        trace_nbd_reply(client->server->options.trace, client, work->request.cookie, work->error);
    }
    work->next = NULL;
    *client->replies_end = work;
    client->replies_end = &work->next;
    if (!client->sending && !client->send_called) {
        client->send_called = true;
        client->send_call = (BlockCall){ .function = begin_sending, .data = client };
        block_loop_call(client->channel.loop, &client->send_call);
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

/* In a task: what is no single request to the block layer. */
static void run_work(void *data)
{
    NbdWork *work = data;
    const NbdExportOptions *export = &work->client->export->options;
    uint64_t offset = export->offset + work->request.offset;
    if (work->request.command == NBD_CMD_BLOCK_STATUS) {
        work->error = nbd_block_status(work);
    } else if (work->request.command == NBD_CMD_CACHE) {
        work->error = read_ahead(export->edge, offset, work->request.length);
    } else { /* a discard that is to be on stable storage */
        work->error = block_discard(export->edge, offset, work->request.length);
        work->error = work->error ? work->error : block_flush(export->edge);
    }
    nbd_client_reply(work);
}

static void block_done(BlockRequest *request, int error)
{
    NbdWork *work = request->data;
    work->error = error;
    nbd_client_reply(work);
}

static bool needs_task(const NbdRequest *request)
{
    return request->command == NBD_CMD_BLOCK_STATUS || request->command == NBD_CMD_CACHE ||
           (request->command == NBD_CMD_TRIM && request->flags & NBD_FUA);
}

void nbd_work_start(NbdWork *work)
{
    static const BlockOperation operations[NBD_CMD_COUNT] = {
        [NBD_CMD_READ] = BLOCK_READ, [NBD_CMD_WRITE] = BLOCK_WRITE, [NBD_CMD_FLUSH] = BLOCK_FLUSH,
        [NBD_CMD_TRIM] = BLOCK_DISCARD, [NBD_CMD_WRITE_ZEROES] = BLOCK_WRITE_ZEROES,
    };
    const NbdRequest *request = &work->request;
    const NbdExportOptions *export = &work->client->export->options;
    if (work->error) {
        nbd_client_reply(work);
        return;
    }
    if (needs_task(request)) {
        block_task_start(work->client->channel.loop, run_work, work);
        return;
    }
    bool zeroes = request->command == NBD_CMD_WRITE_ZEROES;
    work->piece = (struct iovec){ work->bytes, request->length };
    work->block = (BlockRequest){
        .operation = operations[request->command],
        .flags = (request->flags & NBD_FUA && request->command != NBD_CMD_READ ? BLOCK_FUA : 0) |
                 (zeroes && !(request->flags & NBD_NO_HOLE) ? BLOCK_MAY_UNMAP : 0) |
                 (zeroes && request->flags & NBD_FAST_ZERO ? BLOCK_NO_FALLBACK : 0),
        .offset = export->offset + request->offset, .bytes = request->length, .vectors = { &work->piece, 1, 0 },
        .done = block_done, .data = work,
    };
    block_submit(export->edge, &work->block);
}
