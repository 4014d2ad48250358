/* The NBD driver and the NBD server in one process, over a pair of sockets: random requests against a model, and those
 * of another loop, which go by way of the main one. */
#include "api/json.h"
#include "base/files.h"
#include "base/thread.h"
#include "block/graph.h"
#include "block/nbd/server.h"
#include "core/loop.h"

#include <glib.h>
#include <glib/gstdio.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SIZE = 1 << 20, BOTH = BLOCK_PERMISSION_READ | BLOCK_PERMISSION_WRITE };

typedef struct Rig {
    Loop *loop;
    Files *files;
    BlockGraph *graph;
    char *path;
    BlockEdge *below, *remote; /* the file, and the client's node */
    NbdServer *server;
    Loop *there; /* that serves the client; NULL: `loop` */
    BlockLoop *block_there;
    Thread thread;
} Rig;

static Json *parse(const char *text)
{
    Json *json = json_parse(text, strlen(text), NULL);
    g_assert_nonnull(json);
    return json;
}

static BlockEdge *attach(const Rig *rig, char *options)
{
    BlockNode *node = block_open(rig->graph, NULL, parse(options), BLOCK_OPEN_WRITE, NULL);
    g_free(options);
    g_assert_nonnull(node);
    BlockEdge *edge = block_attach(node, "test", BOTH, BLOCK_PERMISSION_ALL, NULL);
    g_assert_nonnull(edge);
    block_node_unref(node);
    return edge;
}

static void *run_there(void *data)
{
    loop_run(data);
    return NULL;
}

static void announce(void *data) { atomic_store((_Atomic bool *)data, true); }

static void start_thread(Rig *rig)
{
    _Atomic bool runs = false;
    rig->there = loop_new(false, NULL);
    loop_post(rig->there, announce, &runs);
    loop_set_polling(rig->there, &(LoopPolling){ .maximum_ns = 20000 });
    g_assert_true(thread_start(&rig->thread, "there", run_there, rig->there, NULL));
    while (!atomic_load(&runs)) { /* until then the loop is this thread's */
        g_usleep(100);
    }
    rig->block_there = block_loop_of(block_graph_runtime(rig->graph), rig->there, NULL);
    g_assert_nonnull(rig->block_there);
    g_assert_true(block_loop_of(block_graph_runtime(rig->graph), rig->there, NULL) == rig->block_there);
    block_loop_release(rig->block_there);
}

static void stop_thread(Rig *rig)
{
    if (rig->there) {
        block_loop_release(rig->block_there);
        loop_quit(rig->there);
        thread_join(&rig->thread);
        loop_free(rig->there);
    }
}

/* `elsewhere`: a loop of its own serves the export. */
static Rig rig_new(bool elsewhere)
{
    int fds[2];
    Rig rig = { .loop = loop_new(false, NULL), .files = files_new(), .path = g_strdup("/var/tmp/nbd-XXXXXX") };
    int fd = g_mkstemp(rig.path);
    g_assert_cmpint(ftruncate(fd, SIZE), ==, 0);
    close(fd);
    rig.graph = block_graph_new(rig.files, rig.loop, NULL);
    rig.below = attach(&rig, g_strdup_printf("{'driver': 'file', 'filename': '%s'}", rig.path));
    if (elsewhere) {
        start_thread(&rig);
    }
    NbdServerOptions options = { 0 };
    NbdExportOptions export = { .name = "it", .edge = rig.below, .size = SIZE, .loop = rig.block_there };
    rig.server = nbd_server_new(block_graph_runtime(rig.graph), &options);
    nbd_server_add_export(rig.server, &export);
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), ==, 0);
    g_assert_true(files_add_named(rig.files, "it", fds[0], NULL));
    nbd_server_add_client(rig.server, fds[1]);
    rig.remote = attach(&rig, g_strdup("{'driver': 'nbd', 'export': 'it', 'server': {'type': 'fd', 'str': 'it'}}"));
    return rig;
}

static void rig_free(Rig *rig)
{
    block_detach(rig->remote);
    nbd_server_free(rig->server);
    block_detach(rig->below);
    stop_thread(rig);
    block_graph_free(rig->graph);
    files_free(rig->files);
    loop_free(rig->loop);
    g_unlink(rig->path);
    g_free(rig->path);
}

static void test_model(gconstpointer elsewhere)
{
    enum { ROUNDS = 600 };
    Rig rig = rig_new(elsewhere);
    GRand *random = g_rand_new_with_seed(1);
    g_autofree uint8_t *model = g_malloc0(SIZE), *bytes = g_malloc(SIZE);
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint64_t offset = (uint64_t)g_rand_int_range(random, 0, SIZE);
        uint64_t count = (uint64_t)g_rand_int_range(random, 1, i % 10 ? 20000 : SIZE);
        count = MIN(count, SIZE - offset);
        switch (g_rand_int_range(random, 0, 4)) {
        case 0:
            memset(bytes, (int)i, count);
            memset(model + offset, (int)i, count);
            g_assert_cmpint(block_write(rig.remote, offset, bytes, count, i % 2 ? BLOCK_FUA : 0), ==, 0);
            break;
        case 1:
            memset(model + offset, 0, count);
            g_assert_cmpint(block_write_zeroes(rig.remote, offset, count, i % 2 ? BLOCK_MAY_UNMAP : 0), ==, 0);
            break;
        case 2:
            g_assert_cmpint(block_flush(rig.remote), ==, 0);
            break;
        default:
            g_assert_cmpint(block_read(rig.remote, offset, bytes, count), ==, 0);
            g_assert_cmpmem(bytes, count, model + offset, count);
            break;
        }
    }
    g_assert_cmpint(block_read(rig.below, 0, bytes, SIZE), ==, 0);
    g_assert_cmpmem(bytes, SIZE, model, SIZE);
    g_rand_free(random);
    rig_free(&rig);
}

static void test_status(gconstpointer elsewhere)
{
    Rig rig = rig_new(elsewhere);
    uint8_t bytes[64 << 10];
    memset(bytes, 1, sizeof bytes);
    g_assert_cmpint(block_write(rig.below, 256 << 10, bytes, sizeof bytes, 0), ==, 0);
    static const struct {
        uint64_t offset, end;
        bool zero;
    } wanted[] = { { 0, 256 << 10, true }, { 256 << 10, 320 << 10, false }, { 320 << 10, SIZE, true } };
    for (unsigned i = 0; i < G_N_ELEMENTS(wanted); i++) {
        BlockStatus status;
        g_assert_cmpint(block_status(rig.remote, wanted[i].offset, SIZE - wanted[i].offset, &status), ==, 0);
        g_assert_cmpuint(wanted[i].offset + status.bytes, ==, wanted[i].end);
        g_assert_true(status.zero == wanted[i].zero && status.data != wanted[i].zero);
    }
    rig_free(&rig);
}

/* Another loop: more requests than a connection has places. */

typedef struct Other {
    Rig *rig;
    struct Slot {
        BlockRequest request;
        struct iovec piece;
        uint8_t bytes[4096];
    } slots[100];
    unsigned left;
    _Atomic bool done;
} Other;

static void slot_done(BlockRequest *request, int error)
{
    Other *other = request->data;
    g_assert_cmpint(error, ==, 0);
    other->left--;
}

static void submit_all(Other *other, Loop *loop, BlockOperation operation)
{
    other->left = G_N_ELEMENTS(other->slots);
    for (unsigned i = 0; i < G_N_ELEMENTS(other->slots); i++) {
        struct Slot *slot = &other->slots[i];
        slot->piece = (struct iovec){ slot->bytes, sizeof slot->bytes };
        slot->request = (BlockRequest){ .operation = operation, .offset = i * sizeof slot->bytes,
                                        .bytes = sizeof slot->bytes, .vectors = { &slot->piece, 1, 0 },
                                        .done = slot_done, .data = other };
        block_submit(other->rig->remote, &slot->request);
    }
    while (other->left) {
        loop_iterate(loop, -1);
    }
}

static void nothing(void *data) {}

static void *run_other(void *data)
{
    Other *other = data;
    Loop *outer = loop_new(false, NULL);
    BlockLoop *loop = block_loop_new(block_graph_runtime(other->rig->graph), outer, NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(other->slots); i++) {
        memset(other->slots[i].bytes, (int)i + 1, sizeof other->slots[i].bytes);
    }
    submit_all(other, outer, BLOCK_WRITE);
    memset(other->slots[7].bytes, 0, sizeof other->slots[7].bytes);
    submit_all(other, outer, BLOCK_READ);
    block_loop_free(loop);
    loop_free(outer);
    atomic_store(&other->done, true);
    loop_post(other->rig->loop, nothing, NULL);
    return NULL;
}

static void test_other_loop(void)
{
    Rig rig = rig_new(false);
    Other *other = g_new0(Other, 1);
    Thread thread;
    other->rig = &rig;
    g_assert_true(thread_start(&thread, "other", run_other, other, NULL));
    while (!atomic_load(&other->done)) {
        loop_iterate(rig.loop, -1);
    }
    thread_join(&thread);
    for (unsigned i = 0; i < G_N_ELEMENTS(other->slots); i++) {
        g_assert_cmpuint(other->slots[i].bytes[100], ==, i + 1);
    }
    g_free(other);
    rig_free(&rig);
}

/* Whoever waits for a reply of a server that goes gets an error. */
static void test_server_goes(gconstpointer elsewhere)
{
    Rig rig = rig_new(elsewhere);
    uint8_t byte = 0;
    nbd_server_free(rig.server);
    rig.server = NULL;
    g_assert_cmpint(block_read(rig.remote, 0, &byte, 1), !=, 0);
    g_assert_cmpint(block_write(rig.remote, 0, &byte, 1, 0), !=, 0);
    rig_free(&rig);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_data_func("/nbd/model", NULL, test_model);
    g_test_add_data_func("/nbd/iothread/model", "", test_model);
    g_test_add_data_func("/nbd/status", NULL, test_status);
    g_test_add_data_func("/nbd/iothread/status", "", test_status);
    g_test_add_func("/nbd/other-loop", test_other_loop);
    g_test_add_data_func("/nbd/server-goes", NULL, test_server_goes);
    g_test_add_data_func("/nbd/iothread/server-goes", "", test_server_goes);
    return g_test_run();
}
