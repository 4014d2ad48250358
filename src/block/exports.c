/* A machine's NBD server: see exports.h. It hangs in the object tree, above the graph of nodes that it serves. */
#include "block/exports.h"

#include "base/error.h"
#include "base/host/host.h"
#include "base/vec.h"
#include "block/nbd/server.h"
#include "channel/address.h"
#include "core/iothread.h"
#include "core/loop.h"
#include "crypto/tls.h"
#include "object/object.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 128, ROUNDS = 4 /* in which clients without a request leave */ };

typedef struct Exported {
    char *id, *drive;
    BlockEdge *edge;
    NbdExport *export;
    IoThread *iothread; /* that serves its clients, on this loop; NULL: the main loop does */
    BlockLoop *loop;
    bool leaving;
} Exported;

typedef struct Exports {
    Object object;
    ExportHost host;
    NbdServer *server; /* NULL: none runs */
    LoopFd *listener;
    int listen_fd;
    char *path; /* of a UNIX socket; NULL: none */
    char *authorization;
    uint32_t max_connections;
    VEC(Exported) list;
    BlockCall sweep;
    bool sweeping; /* that is called */
} Exports;

static Exports *find_exports(const Object *root) { return (Exports *)object_child(root, "block-exports"); }

/* Clients */

static void sweep_later(void *data);

static void client_left(void *data, bool had_an_export)
{
    Exports *exports = data;
    if (exports->listener) {
        loop_fd_set(exports->listener, HOST_POLL_IN);
    }
    if (!exports->sweeping) { /* not within the client's own task */
        exports->sweeping = true;
        exports->sweep = (BlockCall){ .function = sweep_later, .data = exports };
        block_loop_call(block_runtime_main(block_graph_runtime(exports->host.graph)), &exports->sweep);
    }
}

static void client_came(void *data, unsigned events)
{
    Exports *exports = data;
    int fd = accept4(exports->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    bool exhausted = fd < 0 && (errno == EMFILE || errno == ENFILE);
    block_graph_enter(exports->host.graph);
    if (fd >= 0) {
        socket_tune(fd);
        nbd_server_add_client(exports->server, fd);
    }
    unsigned count = nbd_server_client_count(exports->server);
    bool full = exports->max_connections && count >= exports->max_connections;
    loop_fd_set(exports->listener, full || (exhausted && count > 0) ? 0 : HOST_POLL_IN);
}

/* The iothread of that name, of which a reference is taken, and the block layer's part of its loop. */
static bool take_iothread(const Exports *exports, const char *id, Exported *exported, Error **error)
{
    const Object *objects = object_child(exports->host.root, "objects");
    Object *object = objects ? object_child(objects, id) : NULL;
    if (!object || !object_is(object, &iothread_class)) {
        return error_set(error, "iothread \"%s\" not found", id);
    }
    exported->loop = block_loop_of(block_graph_runtime(exports->host.graph), iothread_loop((IoThread *)object), error);
    exported->iothread = exported->loop ? iothread_ref((IoThread *)object) : NULL;
    return exported->loop != NULL;
}

static void release_iothread(const Exported *exported)
{
    if (exported->iothread) {
        block_loop_release(exported->loop);
        iothread_unref(exported->iothread);
    }
}

/* Exports */

/* It waits where it has clients. */
static void drop(Exports *exports, size_t i)
{
    Exported exported = exports->list.items[i];
    vec_remove(&exports->list, i);
    nbd_server_remove_export(exported.export);
    block_detach(exported.edge);
    release_iothread(&exported);
    if (exports->host.deleted) {
        exports->host.deleted(exports->host.data, exported.id);
    }
    free(exported.id);
    free(exported.drive);
}

/* Exports that are to go, and whose last client has left. */
static void sweep(Exports *exports)
{
    for (size_t i = 0; i < exports->list.count;) {
        const Exported *exported = &exports->list.items[i];
        if (exported->leaving && nbd_export_client_count(exported->export) == 0) {
            drop(exports, i);
            i = 0;
        } else {
            i++;
        }
    }
}

static void sweep_later(void *data)
{
    Exports *exports = data;
    exports->sweeping = false;
    sweep(exports);
}

static size_t find(const Exports *exports, const char *id)
{
    for (size_t i = 0; exports && i < exports->list.count; i++) {
        if (strcmp(exports->list.items[i].id, id) == 0) {
            return i;
        }
    }
    return SIZE_MAX;
}

static bool exports_has(const Exports *exports, const NbdExport *export)
{
    for (size_t i = 0; i < exports->list.count; i++) {
        if (exports->list.items[i].export == export) {
            return true;
        }
    }
    return false;
}

bool exports_add(const ExportHost *host, const ExportOptions *options, Error **error)
{
    Exports *exports = find_exports(host->root);
    if (find(exports, options->id) != SIZE_MAX) {
        return error_set(error, "Block export id '%s' is already in use", options->id);
    }
    if (!exports || !exports->server) {
        return error_set(error, "NBD server not running");
    }
    if (nbd_server_find_export(exports->server, options->name)) {
        return error_set(error, "NBD server already has export named '%s'", options->name);
    }
    if (options->writable && block_node_is_read_only(options->node)) {
        return error_set(error, "Cannot export read-only node as writable");
    }
    AUTO_FREE char *purpose = string_format("export '%s'", options->id);
    block_graph_enter(host->graph);
    BlockEdge *edge = block_attach(options->node, purpose,
                                   BLOCK_PERMISSION_READ | (options->writable ? BLOCK_PERMISSION_WRITE : 0),
                                   BLOCK_PERMISSION_ALL, error);
    Exported exported = { .edge = edge };
    if (!edge || (options->iothread && !take_iothread(exports, options->iothread, &exported, error))) {
        block_detach(edge);
        return false;
    }
    block_edge_set_write_through(edge, options->write_through);
    NbdExportOptions export = { .name = options->name, .description = options->description, .edge = edge,
                                .loop = exported.loop, .size = block_node_size(options->node),
                                .read_only = !options->writable,
                                .multiple_connections = true, .allocation_depth = options->allocation_depth,
                                .bitmaps = options->bitmaps, .bitmap_count = options->bitmap_count };
    exported.id = string_copy(options->id);
    exported.drive = string_copy(options->drive);
    exported.export = nbd_server_add_export(exports->server, &export);
    vec_push(&exports->list, exported);
    return true;
}

bool exports_remove(const ExportHost *host, const char *id, bool hard, Error **error)
{
    Exports *exports = find_exports(host->root);
    size_t i = find(exports, id);
    if (i == SIZE_MAX) {
        return error_set(error, "Export '%s' is not found", id);
    }
    if (!hard && nbd_export_client_count(exports->list.items[i].export) > 0) {
        error_set(error, "export '%s' still in use", id);
        error_add_hint(error, "Use mode='hard' to force client disconnect\n");
        return false;
    }
    if (exports->list.items[i].leaving) {
        return true;
    }
    block_graph_enter(host->graph);
    exports->list.items[i].leaving = true;
    NbdExport *export = exports->list.items[i].export;
    nbd_export_shut_down(export);
    for (unsigned rounds = 0; rounds < ROUNDS && exports_has(exports, export); rounds++) {
        block_loop_poll(block_runtime_main(block_graph_runtime(host->graph)), false);
        sweep(exports);
    }
    return true;
}

bool exports_at(const Object *root, size_t i, ExportFacts *facts)
{
    const Exports *exports = find_exports(root);
    if (!exports || i >= exports->list.count) {
        return false;
    }
    const Exported *exported = &exports->list.items[exports->list.count - 1 - i];
    *facts = (ExportFacts){ exported->id, block_node_name(block_edge_node(exported->edge)), exported->drive,
                            exported->leaving };
    return true;
}

/* The server */

static void stop(Exports *exports)
{
    block_graph_enter(exports->host.graph);
    if (exports->listener) {
        loop_fd_remove(exports->listener);
        exports->listener = NULL;
    }
    if (exports->listen_fd >= 0) {
        close(exports->listen_fd);
        exports->listen_fd = -1;
    }
    if (exports->path) {
        unlink(exports->path);
    }
    while (exports->list.count > 0) {
        drop(exports, exports->list.count - 1);
    }
    nbd_server_free(exports->server);
    exports->server = NULL;
    while (exports->sweeping) {
        block_loop_poll(block_runtime_main(block_graph_runtime(exports->host.graph)), false);
    }
    free(exports->path);
    free(exports->authorization);
    exports->path = exports->authorization = NULL;
}

static bool listen_at(Exports *exports, const SocketAddress *address, Error **error)
{
    SocketTarget target;
    exports->listen_fd = socket_target_init(&target, address, true, exports->host.files, error)
                             ? socket_target_listen(&target, BACKLOG, error)
                             : -1;
    exports->path = exports->listen_fd >= 0 ? string_copy(target.path) : NULL;
    socket_target_free(&target);
    exports->listener = exports->listen_fd >= 0
                            ? loop_fd_add(exports->host.loop, exports->listen_fd, HOST_POLL_IN, client_came, exports)
                            : NULL;
    return exports->listener ||
           (exports->listen_fd >= 0 && error_set(error, "the NBD server's descriptor cannot be watched"));
}

static Exports *make_exports(const ExportHost *host, Error **error)
{
    Exports *exports = find_exports(host->root);
    if (!exports) {
        exports = (Exports *)object_new(&block_exports_class, NULL, NULL, error);
        bool ok = exports && object_complete(&exports->object, error) &&
                  object_add_child(host->root, "block-exports", &exports->object, error);
        object_unref(exports ? &exports->object : NULL);
        exports = ok ? exports : NULL;
    }
    if (exports) {
        exports->host = *host;
    }
    return exports;
}

bool exports_start_server(const ExportHost *host, const ExportServerOptions *options, Error **error)
{
    Exports *exports = make_exports(host, error);
    if (!exports || exports->server) {
        return exports && error_set(error, "NBD server already running");
    }
    Object *objects = block_graph_objects(host->graph);
    TlsCredentials *tls = options->tls_creds ? tls_credentials_find(objects, options->tls_creds, true, error) : NULL;
    if (options->tls_creds && !tls) {
        return false;
    }
    exports->authorization = string_copy(options->tls_authz);
    NbdServerOptions server = { .handshake_seconds = options->handshake_seconds, .left = client_left, .data = exports,
                                .tls = tls, .authorization = exports->authorization, .objects = objects };
    block_graph_enter(host->graph);
    exports->max_connections = options->max_connections;
    exports->server = nbd_server_new(block_graph_runtime(host->graph), &server);
    tls_credentials_unref(tls);
    if (!listen_at(exports, options->address, error)) {
        stop(exports);
        return false;
    }
    return true;
}

bool exports_stop_server(const ExportHost *host, Error **error)
{
    Exports *exports = find_exports(host->root);
    if (!exports || !exports->server) {
        return error_set(error, "NBD server not running");
    }
    stop(exports);
    return true;
}

static void exports_init(Object *object) { ((Exports *)object)->listen_fd = -1; }

static void exports_unparent(Object *object)
{
    Exports *exports = (Exports *)object;
    exports->host.deleted = NULL; /* nobody is left who would hear it */
    if (exports->server) {
        stop(exports);
    }
    vec_free(&exports->list);
}

const Class block_exports_class = {
    .name = "block-exports",
    .parent = &object_class,
    .description = "What a machine serves to others of its block nodes",
    .size = sizeof(Exports),
    .init = exports_init,
    .unparent = exports_unparent,
};
