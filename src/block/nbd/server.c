/*
 * The NBD server: its exports and clients. One task reads what a client sends; only so many requests, with so much
 * memory, are under way.
 */
#include "block/nbd/server_internal.h"

#include "base/bytes.h"
#include "base/host/host.h"
#include "base/vec.h"
#include "crypto/tls.h"
#include "trace/block.h"

#include <errno.h>

enum { MAXIMUM_REQUESTS = 64, MAXIMUM_BYTES = 64 << 20 };

/* Requests */

typedef struct Rule {
    uint16_t flags;
    bool writes, has_memory, has_range;
} Rule;

static const Rule rules[NBD_CMD_COUNT] = {
    [NBD_CMD_READ] = { NBD_DF, .has_memory = true, .has_range = true },
    [NBD_CMD_WRITE] = { 0, .writes = true, .has_memory = true, .has_range = true },
    [NBD_CMD_TRIM] = { 0, .writes = true, .has_range = true },
    [NBD_CMD_CACHE] = { 0, .has_range = true },
    [NBD_CMD_WRITE_ZEROES] = { NBD_NO_HOLE | NBD_FAST_ZERO, .writes = true, .has_range = true },
    [NBD_CMD_BLOCK_STATUS] = { NBD_REQ_ONE, .has_range = true },
};

static bool has_extra_payload(const NbdClient *client, const NbdRequest *request)
{
    return client->mode == NBD_EXTENDED && request->flags & NBD_PAYLOAD_LEN;
}

/* What a request may be; 0 or the errno value to answer with. */
static int check(const NbdClient *client, const NbdRequest *request)
{
    const NbdExport *export = client->export;
    if (request->command >= NBD_CMD_COUNT) {
        return EINVAL;
    }
    const Rule *rule = &rules[request->command];
    unsigned allowed = NBD_FUA | rule->flags |
                       (request->command == NBD_CMD_WRITE && has_extra_payload(client, request) ? NBD_PAYLOAD_LEN : 0);
    bool status = request->command == NBD_CMD_BLOCK_STATUS;
    if (request->flags & ~allowed || (request->flags & NBD_DF && client->mode == NBD_SIMPLE) ||
        (status && (!client->contexts || client->contexts_of != export || request->length == 0)) ||
        (rule->has_memory && request->length > NBD_MAXIMUM_PAYLOAD)) {
        return EINVAL;
    }
    if (rule->writes && export->options.read_only) {
        return EPERM;
    }
    bool outside = request->offset > export->options.size ||
                   request->length > export->options.size - request->offset;
    bool grows = request->command == NBD_CMD_WRITE || request->command == NBD_CMD_WRITE_ZEROES;
    return rule->has_range && outside ? (grows ? ENOSPC : EINVAL) : 0;
}

static void wait_for_end_of_one(NbdClient *client)
{
    client->waiting = block_task_self(client->server->runtime);
    block_task_sleep(client->waiting);
}

/* Spare memory that is large enough and not wasted. */
static void *take_memory(NbdClient *client, size_t *size)
{
    for (unsigned i = client->spare_count; i > 0; i--) {
        NbdSpare spare = client->spares[i - 1];
        if (spare.size >= *size && spare.size / 4 <= *size) {
            client->spares[i - 1] = client->spares[--client->spare_count];
            client->spare_bytes -= spare.size;
            *size = spare.size;
            return spare.bytes;
        }
    }
    return mem_alloc(*size);
}

static void drop_spares(NbdClient *client)
{
    while (client->spare_count > 0) {
        free(client->spares[--client->spare_count].bytes);
    }
}

/* A question for some contexts alone: the length that it is about, and their numbers. */
static bool read_status_payload(NbdClient *client, NbdWork *work)
{
    enum { LENGTH = 8, LIMIT = 4 * (NBD_FIRST_BITMAP + NBD_MAXIMUM_BITMAPS) };
    uint8_t bytes[LENGTH + LIMIT];
    size_t length = work->request.length;
    if (length < LENGTH || length > sizeof bytes || length % 4) {
        work->error = EINVAL;
        return nbd_channel_skip(&client->channel, length);
    }
    if (!nbd_channel_read(&client->channel, bytes, length)) {
        return false;
    }
    work->contexts = 0;
    for (size_t i = LENGTH; i < length; i += 4) {
        uint32_t context = load_be32(bytes + i);
        bool known = context < 64 && client->contexts >> context & 1 && !(work->contexts >> context & 1);
        work->error = known ? work->error : EINVAL;
        work->contexts |= known ? UINT64_C(1) << context : 0;
    }
    work->request.length = load_be64(bytes);
    work->request.flags &= (uint16_t)~NBD_PAYLOAD_LEN;
    work->error = work->error || !work->contexts ? EINVAL : check(client, &work->request);
    return true;
}

/* What belongs to an error is read all the same, and not kept. */
static bool read_payload(NbdClient *client, NbdWork *work)
{
    const NbdRequest *request = &work->request;
    bool writes = request->command == NBD_CMD_WRITE;
    if (!writes && !has_extra_payload(client, request)) {
        return true;
    }
    if (request->length > NBD_MAXIMUM_PAYLOAD) {
        return false;
    }
    if (request->command == NBD_CMD_BLOCK_STATUS) {
        return read_status_payload(client, work);
    }
    return work->error || !writes ? nbd_channel_skip(&client->channel, request->length)
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
    NbdWork *work = mem_alloc(sizeof *work);
    work->client = client;
    work->request = request;
    work->contexts = client->contexts;
    work->bytes = NULL;
    work->chunks = (StrBuf){ 0 };
    bool narrowed = request.command == NBD_CMD_BLOCK_STATUS && has_extra_payload(client, &request);
    work->error = narrowed ? 0 : check(client, &request); /* whose length is not that of the range */
    bool has_memory = !work->error && rules[request.command].has_memory;
    work->memory = has_memory ? MAX(request.length, 1) : 0;
    while (client->requests >= MAXIMUM_REQUESTS || (client->requests && client->bytes + work->memory > MAXIMUM_BYTES)) {
        wait_for_end_of_one(client);
    }
    work->bytes = has_memory ? take_memory(client, &work->memory) : NULL;
    if (!read_payload(client, work)) {
        free(work->bytes);
        free(work);
        return false;
    }
    client->requests++;
    client->bytes += work->memory;
    if (client->server->options.trace) {
        trace_nbd_request(client->server->options.trace, client, work->request.cookie, work->request.command,
                          work->request.flags, work->request.offset, work->request.length);
    }
    nbd_work_start(work);
    return true;
}

/* Clients */

static void serve_requests(NbdClient *client)
{
    while (next_request(client)) {
    }
    while (client->requests > 0 || client->sending || client->send_called) {
        wait_for_end_of_one(client);
    }
    drop_spares(client);
}

/* On the server's loop. */
static void end_client(void *data)
{
    NbdClient *client = data;
    NbdServer *server = client->server;
    bool chosen = client->export != NULL;
    if (chosen) {
        client->export->client_count--;
    }
    if (server->options.trace) {
        trace_nbd_client_left(server->options.trace, client);
    }
    nbd_channel_free(&client->channel);
    list_remove(&client->in_server);
    free(client);
    server->client_count--;
    if (server->options.left) {
        server->options.left(server->options.data, chosen);
    }
}

/* The export's own loop */

static void move_client(NbdClient *client, BlockLoop *loop, void (*arrive)(void *data))
{
    nbd_channel_detach(&client->channel);
    client->move = (BlockCall){ .function = arrive, .data = client };
    block_loop_call(loop, &client->move);
}

static void run_elsewhere(void *data)
{
    NbdClient *client = data;
    serve_requests(client);
    move_client(client, client->server->loop, end_client);
}

static void arrive(void *data)
{
    NbdClient *client = data;
    if (nbd_channel_attach(&client->channel)) {
        block_task_start(client->channel.loop, run_elsewhere, client);
    } else {
        move_client(client, client->server->loop, end_client);
    }
}

static bool shake_hands(NbdClient *client)
{
    const NbdServerOptions *options = &client->server->options;
    unsigned seconds = options->handshake_seconds;
    nbd_channel_set_deadline(&client->channel, seconds ? host_monotonic_ns() + seconds * INT64_C(1000000000)
                                                       : INT64_MAX);
    bool chosen = nbd_handshake(client);
    nbd_channel_set_deadline(&client->channel, INT64_MAX);
    if (!chosen) {
        client->export = NULL;
        return false;
    }
    client->export->client_count++;
    if (options->trace) {
        trace_nbd_client_chose(options->trace, client, client->export->options.name);
    }
    return true;
}

static void run_client(void *data)
{
    NbdClient *client = data;
    Trace *trace = client->server->options.trace;
    if (trace) {
        trace_nbd_client_came(trace, client);
    }
    bool chosen = shake_hands(client);
    BlockLoop *loop = chosen ? client->export->options.loop : NULL;
    if (loop && loop != client->server->loop) {
        client->elsewhere = true;
        move_client(client, loop, arrive);
        return;
    }
    if (chosen) {
        serve_requests(client);
    }
    end_client(client);
}

void nbd_server_add_client(NbdServer *server, int fd)
{
    NbdClient *client = NEW(NbdClient);
    client->server = server;
    client->replies_end = &client->replies;
    if (!nbd_channel_init(&client->channel, server->runtime, fd)) {
        free(client);
        return;
    }
    list_append(&server->clients, &client->in_server);
    server->client_count++;
    block_task_start(block_loop_self(server->runtime), run_client, client);
}

unsigned nbd_server_client_count(const NbdServer *server) { return server->client_count; }

/* Exports */

NbdExport *nbd_server_find_export(const NbdServer *server, const char *name)
{
    LIST_FOREACH (&server->exports, export, NbdExport, in_server) {
        if (strcmp(export->options.name, name) == 0) {
            return export;
        }
    }
    return NULL;
}

NbdExport *nbd_server_add_export(NbdServer *server, const NbdExportOptions *options)
{
    NbdExport *export = NEW(NbdExport);
    assert(!nbd_server_find_export(server, options->name) && options->bitmap_count <= NBD_MAXIMUM_BITMAPS);
    export->server = server;
    export->options = *options;
    export->options.name = string_copy(options->name);
    export->options.description = string_copy(options->description);
    export->bitmaps = mem_alloc_array(MAX(options->bitmap_count, 1), sizeof *export->bitmaps);
    for (size_t i = 0; i < options->bitmap_count; i++) {
        export->bitmaps[i] = options->bitmaps[i];
    }
    list_append(&server->exports, &export->in_server);
    return export;
}

unsigned nbd_export_client_count(const NbdExport *export) { return export->client_count; }

static void send_away(NbdClient *client)
{
    if (client->elsewhere) {
        nbd_channel_cut(&client->channel);
    } else {
        nbd_channel_break(&client->channel);
    }
}

void nbd_export_shut_down(NbdExport *export)
{
    NbdServer *server = export->server;
    if (list_linked(&export->in_server)) {
        list_remove(&export->in_server);
    }
    LIST_FOREACH_SAFE (&server->clients, client, NbdClient, in_server) {
        if (client->export == export) {
            send_away(client);
        } else if (!client->export) {
            client->contexts_of = client->contexts_of == export ? NULL : client->contexts_of;
        }
    }
}

void nbd_server_remove_export(NbdExport *export)
{
    do {
        nbd_export_shut_down(export);
        block_loop_poll(block_loop_self(export->server->runtime), export->client_count > 0);
    } while (export->client_count > 0);
    free((char *)(uintptr_t)export->options.name);
    free((char *)(uintptr_t)export->options.description);
    free(export->bitmaps);
    free(export);
}

/* Life */

NbdServer *nbd_server_new(BlockRuntime *runtime, const NbdServerOptions *options)
{
    NbdServer *server = NEW(NbdServer);
    server->options = *options;
    server->runtime = runtime;
    server->loop = block_loop_self(runtime);
    list_init(&server->clients);
    list_init(&server->exports);
    tls_credentials_ref(options->tls);
    return server;
}

void nbd_server_free(NbdServer *server)
{
    if (!server) {
        return;
    }
    while (server->client_count > 0) {
        LIST_FOREACH_SAFE (&server->clients, client, NbdClient, in_server) {
            send_away(client);
        }
        block_loop_poll(block_loop_self(server->runtime), true);
    }
    LIST_FOREACH_SAFE (&server->exports, export, NbdExport, in_server) {
        nbd_server_remove_export(export);
    }
    tls_credentials_unref(server->options.tls);
    free(server);
}
