/* The nbd program: serves an image by the NBD protocol, as qemu-nbd does. */
#include "tools/nbd/nbd.h"

#include "api/json.h"
#include "api/options.h"
#include "base/error.h"
#include "base/host/host.h"
#include "base/log.h"
#include "base/text.h"
#include "block/bitmap.h"
#include "channel/address.h"
#include "crypto/tls.h"
#include "schema/sockets.h"
#include "tools/nbd/kernel.h"
#include "tools/nbd/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

/* Clients */

static bool has_room(const Nbd *nbd)
{
    return nbd->given.shared == 0 || nbd_server_client_count(nbd->server) < nbd->given.shared;
}

static void client_left(void *data, bool had_an_export)
{
    Nbd *nbd = data;
    if (nbd->given.verbose) {
        fprintf(stderr, "%s: a client has left\n", nbd->tool.program);
    }
    if (had_an_export && !nbd->given.persistent && nbd_server_client_count(nbd->server) == 0) {
        loop_quit(nbd->tool.loop);
    } else if (nbd->listener) {
        loop_fd_set(nbd->listener, HOST_POLL_IN);
    }
}

static void client_failed(void *data, const char *message)
{
    const Nbd *nbd = data;
    tool_error(&nbd->tool, "option negotiation failed: %s", message);
}

static void client_came(void *data, unsigned events)
{
    Nbd *nbd = data;
    int fd = accept4(nbd->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    /* Without a descriptor it waits until a client leaves. */
    bool exhausted = fd < 0 && (errno == EMFILE || errno == ENFILE) && nbd_server_client_count(nbd->server) > 0;
    if (fd >= 0) {
        socket_tune(fd);
        if (nbd->given.verbose) {
            AUTO_FREE char *peer = socket_describe(fd, true);
            fprintf(stderr, "%s: a client has come%s%s\n", nbd->tool.program, *peer ? " from " : "", peer);
        }
        nbd_server_add_client(nbd->server, fd);
    }
    loop_fd_set(nbd->listener, has_room(nbd) && !exhausted ? HOST_POLL_IN : 0);
}

static void signal_came(void *data, unsigned events)
{
    Nbd *nbd = data;
    if (host_signals_next(nbd->signals, NULL)) {
        loop_quit(nbd->tool.loop);
    }
}

/* The image */

/* Where nobody says how, by the ring, which asks least of the processor, where the host has one. */
static const char *choose_aio(const Nbd *nbd)
{
    BlockLoop *loop = block_runtime_main(block_graph_runtime(nbd->tool.graph));
    return nbd->given.aio ? nbd->given.aio : block_loop_aio(loop, true, NULL) ? "io_uring" : "threads";
}

static bool is_file(const char *driver) { return strcmp(driver, "file") == 0 || strcmp(driver, "host_device") == 0; }

/* How a file is read is the file's option: of the node itself, or of the one below it. */
static void place_aio_in_options(const Nbd *nbd, Json *options)
{
    const Json *below = json_get(options, "file");
    bool has_below = below && json_kind(below) == JSON_OBJECT;
    const char *driver = json_get_text(has_below ? below : options, "driver");
    if (!(has_below || driver) || !is_file(driver ? driver : "file") ||
        (json_get(has_below ? below : options, "aio") && !nbd->given.aio)) {
        return;
    }
    Json *file = has_below ? json_copy(below) : options;
    json_set(file, "aio", json_string(choose_aio(nbd)));
    if (has_below) {
        json_set(options, "file", file);
    }
}

static void place_aio(const Nbd *nbd, Json *options)
{
    const char *image = nbd->given.image;
    const BlockDriver *protocol = block_protocol_of(image);
    if (protocol && is_file(block_driver_name(protocol))) {
        Json *file = json_object();
        json_set(file, "aio", json_string(choose_aio(nbd)));
        json_set(file, "driver", json_string(block_driver_name(protocol)));
        json_set(file, "filename", json_string(image + block_name_scheme(image)));
        json_set(options, "file", file);
    }
}

static Json *image_options(const Nbd *nbd, Error **error)
{
    const NbdGiven *given = &nbd->given;
    Json *options = given->image_opts ? options_parse(given->image, "file", NULL, error) : json_object();
    if (options && given->format) {
        json_set(options, "driver", json_string(given->format));
    }
    if (options && given->detect_zeroes) {
        json_set(options, "detect-zeroes", json_string(given->detect_zeroes));
    }
    if (options && given->image_opts) {
        place_aio_in_options(nbd, options);
    } else if (options && !text_starts_with(given->image, "json:")) {
        place_aio(nbd, options);
    }
    return options;
}

static BlockNode *open_node(const Nbd *nbd, Error **error)
{
    const NbdGiven *given = &nbd->given;
    bool written = !given->read_only && !given->snapshot;
    Json *options = image_options(nbd, error);
    bool has_name = !given->image_opts && !(options && json_get(options, "file"));
    BlockNode *node = options ? block_open(nbd->tool.graph, has_name ? given->image : NULL, options,
                                           given->flags | (written ? BLOCK_OPEN_WRITE : 0), error)
                              : NULL;
    if (node && given->snapshot) {
        node = block_open_temporary(nbd->tool.graph, node, given->flags, error);
    }
    return node;
}

/* "snapshot.id=ID,snapshot.name=NAME", or one of the two alone. */
static bool load_snapshot(const Nbd *nbd, BlockNode *node, Error **error)
{
    const char *given = nbd->given.load_snapshot;
    if (!text_starts_with(given, "snapshot.")) {
        return block_snapshot_load(node, given, error);
    }
    Json *options = options_parse(given, NULL, NULL, error);
    const Json *snapshot = options ? json_get(options, "snapshot") : NULL;
    const char *id = snapshot ? json_get_text(snapshot, "id") : NULL;
    const char *name = snapshot ? json_get_text(snapshot, "name") : NULL;
    BlockSnapshots list = { 0 };
    bool ok = options && ((id || name) || error_set(error, "Either snapshot.id or snapshot.name is needed")) &&
              block_snapshot_list(node, &list, error);
    const char *found = NULL;
    for (size_t i = 0; ok && i < list.count; i++) {
        if ((!id || strcmp(list.items[i].id, id) == 0) && (!name || strcmp(list.items[i].name, name) == 0)) {
            found = list.items[i].id;
        }
    }
    ok = ok && (found ? block_snapshot_load(node, found, error) : error_set(error, "Can't find snapshot"));
    block_snapshots_clear(&list);
    json_free(options);
    return ok;
}

static bool open_image(Nbd *nbd)
{
    AUTO_ERROR(error);
    const NbdGiven *given = &nbd->given;
    BlockNode *node = open_node(nbd, &error);
    if (!node) {
        Error *moved = error;
        error = NULL;
        AUTO_FREE char *before = string_format("Failed to blk_new_open '%s': ", given->image);
        tool_report(&nbd->tool, moved, "%s", before);
        return false;
    }
    bool ok = !given->load_snapshot || load_snapshot(nbd, node, &error) ||
              error_prepend(&error, "Failed to load snapshot: ");
    nbd->edge = ok ? block_attach(node, nbd->tool.program,
                                  BLOCK_PERMISSION_READ | (given->read_only ? 0 : BLOCK_PERMISSION_WRITE),
                                  BLOCK_PERMISSION_READ | BLOCK_PERMISSION_WRITE_UNCHANGED, &error)
                   : NULL;
    block_node_unref(node);
    if (!nbd->edge) {
        tool_error(&nbd->tool, "%s", error_message(error));
        return false;
    }
    block_edge_set_write_through(nbd->edge, given->write_through);
    return true;
}

/* The nearest of the images that has it: that of an overlay, or what it filters. */
static BlockBitmap *find_bitmap(BlockNode *node, const char *name, Error **error)
{
    if (!block_bitmaps_load(node, error)) {
        return NULL;
    }
    BlockBitmap *bitmap = block_bitmap_find(node, name, NULL);
    BlockEdge *backing = block_node_backing(node);
    if (!bitmap && backing) {
        return find_bitmap(block_edge_node(backing), name, error);
    }
    if (!bitmap) {
        error_set(error, "Bitmap '%s' is not found", name);
    } else if (bitmap->inconsistent) {
        error_set(error, "Bitmap '%s' is inconsistent and cannot be used", name);
        bitmap = NULL;
    }
    return bitmap;
}

static bool add_export(Nbd *nbd)
{
    AUTO_ERROR(error);
    const NbdGiven *given = &nbd->given;
    BlockNode *node = block_edge_node(nbd->edge);
    uint64_t size = block_node_size(node);
    BlockBitmap *bitmaps[NBD_MAXIMUM_BITMAPS];
    if (given->offset > size) {
        tool_error(&nbd->tool,
                   "Offset (%" PRIu64 ") cannot be greater than size of the containing file (%" PRIu64 ")",
                   given->offset, size);
        return false;
    }
    for (size_t i = 0; i < given->bitmaps.count; i++) {
        bitmaps[i] = find_bitmap(node, given->bitmaps.items[i], &error);
        if (!bitmaps[i]) {
            tool_error(&nbd->tool, "%s", error_message(error));
            return false;
        }
    }
    NbdExportOptions export = { .name = given->name, .description = given->description, .edge = nbd->edge,
                                .offset = given->offset, .size = size - given->offset,
                                .read_only = given->read_only, .multiple_connections = given->shared != 1,
                                .allocation_depth = given->allocation_depth, .bitmaps = bitmaps,
                                .bitmap_count = given->bitmaps.count };
    nbd_server_add_export(nbd->server, &export);
    return true;
}

/* Serving */

static bool start_listening(Nbd *nbd)
{
    AUTO_ERROR(error);
    nbd->listen_fd = listen_passed();
    if (nbd->listen_fd < 0) {
        SocketAddress address;
        nbd_address(&nbd->given, &address);
        nbd->listen_fd = listen_at(&address, nbd->given.selinux_label, &error);
        nbd->socket_made = nbd->given.socket && nbd->listen_fd >= 0;
    } else if (nbd->given.has_host || nbd->given.has_port || nbd->given.socket) {
        tool_error(&nbd->tool, "Port, interface and socket are the service manager's here");
        return false;
    }
    if (nbd->listen_fd < 0) {
        tool_error(&nbd->tool, "%s", error_message(error));
        return false;
    }
    return true;
}

/* It stays open and locked, so that no second program takes the same. */
static bool write_pid(Nbd *nbd)
{
    const char *path = nbd->given.pid_file;
    if (!path) {
        return true;
    }
    struct flock lock = { .l_type = F_WRLCK };
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        tool_error(&nbd->tool, "Could not create '%s': %s", path, strerror(errno));
        return false;
    }
    if (fcntl(fd, F_SETLK, &lock) < 0) {
        tool_error(&nbd->tool, "Cannot lock pid file: %s", strerror(errno));
        close(fd);
        return false;
    }
    if (ftruncate(fd, 0) < 0 || dprintf(fd, "%ld\n", (long)getpid()) < 0) {
        tool_error(&nbd->tool, "Failed to write pid file '%s': %s", path, strerror(errno));
        close(fd);
        return false;
    }
    nbd->pid_fd = fd;
    return true;
}

void nbd_say_ready(Nbd *nbd)
{
    if (nbd->ready_fd >= 0) {
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        for (int fd = 0; null >= 0 && fd < 3; fd++) {
            dup2(null, fd);
        }
        close(null);
        while (write(nbd->ready_fd, "", 1) < 0 && errno == EINTR) {
        }
        close(nbd->ready_fd);
        nbd->ready_fd = -1;
    }
}

static bool serve(Nbd *nbd)
{
    KernelClient *kernel = NULL;
    nbd->listener = loop_fd_add(nbd->tool.loop, nbd->listen_fd, HOST_POLL_IN, client_came, nbd);
    LoopFd *signal_fd = loop_fd_add(nbd->tool.loop, host_signals_fd(nbd->signals), HOST_POLL_IN, signal_came, nbd);
    if (nbd->given.connect) {
        kernel = nbd_kernel_connect(nbd);
    } else {
        nbd_say_ready(nbd);
    }
    bool ok = kernel || !nbd->given.connect;
    if (ok) {
        loop_run(nbd->tool.loop);
    }
    ok = nbd_kernel_end(kernel) && ok;
    loop_fd_remove(nbd->listener);
    loop_fd_remove(signal_fd);
    nbd->listener = NULL;
    return ok;
}

static bool make_objects(Nbd *nbd, bool *ended)
{
    AUTO_ERROR(error);
    const NbdGiven *given = &nbd->given;
    *ended = false;
    for (size_t i = 0; i < given->objects.count && !*ended; i++) {
        if (!tool_add_object(&nbd->tool, given->objects.items[i], ended)) {
            return false;
        }
    }
    if (*ended || !given->tls_creds) {
        return true;
    }
    nbd->tls = tls_credentials_find(nbd->tool.objects, given->tls_creds, !given->list, &error);
    if (!nbd->tls) {
        tool_error(&nbd->tool, "Failed to get TLS creds: %s", error_message(error));
    }
    return nbd->tls != NULL;
}

static bool start_trace(Nbd *nbd, bool *ended)
{
    bool ok = true;
    for (size_t i = 0; i < nbd->given.traces.count && ok && !*ended; i++) {
        ok = tool_trace(&nbd->tool, nbd->given.traces.items[i], ended);
    }
    return ok;
}

static int run_server(Nbd *nbd)
{
    enum { EAGER_WRITE = 128 << 10 }; /* of larger ones a thread is worth its while */
    /* A request comes after two wake-ups across processors at worst, and the client's own work. */
    loop_set_polling(nbd->tool.loop, &(LoopPolling){ .maximum_ns = 100000, .shrink = 2 });
    if (!nbd->given.aio) { /* the quickest way, whatever that is */
        block_loop_set_eager(block_runtime_main(block_graph_runtime(nbd->tool.graph)), EAGER_WRITE);
    }
    NbdServerOptions options = { .left = client_left, .failed = client_failed, .data = nbd, .tls = nbd->tls,
                                 .trace = nbd->tool.trace, .authorization = nbd->given.tls_authz,
                                 .objects = nbd->tool.objects,
                                 .handshake_seconds = (unsigned)nbd->given.handshake_limit };
    bool ok = start_listening(nbd) && open_image(nbd);
    nbd->server = ok ? nbd_server_new(block_graph_runtime(nbd->tool.graph), &options) : NULL;
    ok = ok && add_export(nbd) && write_pid(nbd) && serve(nbd);
    if (nbd->listen_fd >= 0) {
        close(nbd->listen_fd);
    }
    nbd_server_free(nbd->server);
    if (nbd->socket_made) {
        unlink(nbd->given.socket);
    }
    if (nbd->pid_fd >= 0) { /* with its lock */
        unlink(nbd->given.pid_file);
        close(nbd->pid_fd);
    }
    block_detach(nbd->edge);
    return ok ? 0 : 1;
}

static int run(Nbd *nbd)
{
    static const int signals[] = { SIGTERM, SIGINT, SIGHUP };
    AUTO_ERROR(error);
    bool ended = false;
    int status = 1;
    nbd->signals = host_signals_new(signals, ARRAY_SIZE(signals), &error);
    if (!nbd->signals) {
        tool_error(&nbd->tool, "%s", error_message(error));
    }
    if (nbd->signals && tool_init(&nbd->tool, nbd->tool.program) && start_trace(nbd, &ended) &&
        (ended || make_objects(nbd, &ended))) {
        status = ended ? 0 : nbd->given.list ? nbd_print_list(nbd) : run_server(nbd);
    }
    tls_credentials_unref(nbd->tls);
    tool_free(&nbd->tool);
    host_signals_free(nbd->signals);
    return status;
}

/* In the first process: waits until the server serves or has failed. */
static int wait_for_server(int fd)
{
    char byte;
    ssize_t count;
    do {
        count = read(fd, &byte, 1);
    } while (count < 0 && errno == EINTR);
    close(fd);
    return count == 1 ? 0 : 1;
}

/* Before there is a thread. */
static int run_forked(Nbd *nbd)
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) < 0) {
        tool_error(&nbd->tool, "Failed to make a pipe: %s", strerror(errno));
        return 1;
    }
    pid_t child = fork();
    if (child < 0) {
        tool_error(&nbd->tool, "Failed to fork: %s", strerror(errno));
    }
    if (child != 0) {
        close(fds[1]);
        return wait_for_server(fds[0]);
    }
    close(fds[0]);
    setsid();
    nbd->ready_fd = fds[1];
    return run(nbd);
}

int nbd_main(const char *program, int count, char **arguments)
{
    Nbd nbd = { .tool = { .program = program }, .listen_fd = -1, .ready_fd = -1, .pid_fd = -1,
                .given = { .name = "", .host = "0.0.0.0", .port = "10809", .shared = 1, .handshake_limit = 10 } };
    int status = 1;
    AUTO_FREE char *path = NULL;
    AUTO_FREE char **all = mem_alloc_array((size_t)count + 2, sizeof *all);
    all[0] = (char *)(uintptr_t)program;
    memcpy(all + 1, arguments, (size_t)count * sizeof *all);
    if (nbd_parse(program, &nbd.given, count + 1, all, &status)) {
        if (nbd.given.connect && !nbd.given.socket) {
            const char *slash = strrchr(nbd.given.connect, '/');
            nbd.given.socket = path = string_format("/var/lock/qemu-nbd-%s", slash ? slash + 1 : nbd.given.connect);
        }
        bool forks = nbd.given.fork || (nbd.given.connect && !nbd.given.verbose);
        status = nbd.given.disconnect ? nbd_kernel_disconnect(&nbd, nbd.given.image)
                 : forks              ? run_forked(&nbd)
                                      : run(&nbd);
    }
    vec_free(&nbd.given.bitmaps);
    vec_free(&nbd.given.objects);
    vec_free(&nbd.given.traces);
    return status;
}
