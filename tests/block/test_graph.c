/* Nodes, edges and requests, against files in every way that the host reads them. */
#include "api/json.h"
#include "base/error.h"
#include "base/files.h"
#include "base/thread.h"
#include "base/vec.h"
#include "block/graph.h"
#include "block/statistics.h"
#include "core/loop.h"
#include "schema/block.h"

#include <errno.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

enum { SIZE = 1 << 20, ALL = BLOCK_PERMISSION_READ | BLOCK_PERMISSION_WRITE | BLOCK_PERMISSION_RESIZE };

typedef struct Rig {
    Loop *loop;
    Files *files;
    BlockGraph *graph;
    char *path;
} Rig;

static uint8_t pattern(size_t i) { return (uint8_t)(i * 7 + i / 512); }

static Rig rig_new(size_t bytes)
{
    Rig rig = { .loop = loop_new(false, NULL), .files = files_new(), .path = g_strdup("/var/tmp/graph-XXXXXX") };
    g_autofree uint8_t *contents = g_malloc(bytes + 1);
    rig.graph = block_graph_new(rig.files, rig.loop, NULL);
    int fd = g_mkstemp(rig.path);
    for (size_t i = 0; i < bytes; i++) {
        contents[i] = pattern(i);
    }
    g_assert_cmpint(write(fd, contents, bytes), ==, bytes);
    close(fd);
    return rig;
}

static void rig_free(Rig *rig)
{
    block_graph_free(rig->graph);
    files_free(rig->files);
    loop_free(rig->loop);
    g_unlink(rig->path);
    g_free(rig->path);
}

static Json *parse(const char *text)
{
    Json *json = json_parse(text, strlen(text), NULL);
    g_assert_nonnull(json);
    return json;
}

static BlockEdge *open_with(const Rig *rig, const char *options, unsigned flags)
{
    AUTO_ERROR(error);
    BlockNode *node = block_open(rig->graph, rig->path, options ? parse(options) : NULL, flags, &error);
    if (!node) {
        g_error("%s", error_message(error));
    }
    unsigned permissions = flags & BLOCK_OPEN_WRITE ? ALL : BLOCK_PERMISSION_READ;
    BlockEdge *edge = block_attach(node, "the test", permissions, BLOCK_PERMISSION_READ, &error);
    block_node_unref(node);
    if (!edge) {
        g_error("%s", error_message(error));
    }
    return edge;
}

static void expect_refusal(const Rig *rig, const char *filename, const char *options, unsigned flags, const char *text)
{
    AUTO_ERROR(error);
    BlockNode *node = block_open(rig->graph, filename, options ? parse(options) : NULL, flags, &error);
    g_assert_null(node);
    if (!strstr(error_message(error), text)) {
        g_error("'%s' does not say '%s'", error_message(error), text);
    }
}

/* Opening */

static void test_open(void)
{
    Rig rig = rig_new(1000);
    BlockEdge *edge = open_with(&rig, "{'node-name': 'disk', 'file': 'x'}", 0);
    BlockNode *node = block_edge_node(edge), *file = block_edge_node(block_node_child(node, 0));
    g_assert_true(block_node_find(rig.graph, "disk") == node);
    g_assert_cmpstr(block_node_driver_name(node), ==, "raw");
    g_assert_cmpstr(block_node_driver_name(file), ==, "file");
    g_assert_cmpuint(block_node_size(node), ==, 1024); /* whole sectors */
    g_assert_cmpstr(block_node_file_name(node), ==, rig.path);
    g_assert_true(block_node_is_read_only(node));
    g_assert_true(g_str_has_prefix(block_node_name(file), "#block"));
    g_assert_null(block_node_child(node, 1));
    expect_refusal(&rig, NULL, "{'driver': 'null-co', 'node-name': 'disk'}", 0, "Duplicate nodes");
    expect_refusal(&rig, NULL, "{'driver': 'raw', 'file': 'other'}", 0, "node-name='other'");
    g_autofree char *json = g_strdup_printf("json:{'driver': 'raw', 'offset': '512', 'file': '%s'}",
                                            block_node_name(file));
    AUTO_ERROR(error);
    BlockNode *second = block_open(rig.graph, json, NULL, 0, &error);
    if (!second) { /* an assertion may go on, as compilers know */
        g_error("%s", error_message(error));
    }
    g_assert_cmpuint(block_node_size(second), ==, 512);
    block_node_unref(second);
    block_detach(edge);
    g_assert_null(block_node_find(rig.graph, "disk"));
    rig_free(&rig);
}

static void test_refusals(void)
{
    Rig rig = rig_new(1024);
    expect_refusal(&rig, "/nowhere/x", NULL, 0, "/nowhere/x");
    expect_refusal(&rig, "/", NULL, 0, "to be a regular file");
    expect_refusal(&rig, "json:[]", NULL, 0, "object");
    expect_refusal(&rig, "json:{", NULL, 0, "JSON");
    expect_refusal(&rig, NULL, NULL, 0, "Must specify either driver or file");
    expect_refusal(&rig, rig.path, "{'driver': 'rew'}", 0, "did you mean 'raw'");
    expect_refusal(&rig, rig.path, "{'ofset': 5}", 0, "ofset");
    expect_refusal(&rig, rig.path, "{'size': 2048}", 0, "greater");
    expect_refusal(&rig, rig.path, "{'offset': 2048}", 0, "greater");
    expect_refusal(&rig, rig.path, "{'size': 100}", 0, "multiple");
    expect_refusal(&rig, rig.path, "{'node-name': '#x'}", 0, "Invalid node-name");
    expect_refusal(&rig, rig.path, "{'force-share': true}", BLOCK_OPEN_WRITE, "read-only images");
    expect_refusal(&rig, rig.path, "{'detect-zeroes': 'unmap'}", BLOCK_OPEN_WRITE, "discard");
    expect_refusal(&rig, NULL, "{'driver': 'host_device', 'filename': '/etc/passwd'}", 0,
                   "either a character or block device");
    expect_refusal(&rig, NULL, "{'driver': 'host_cdrom', 'filename': '/etc/passwd'}", 0,
                   "either a character or block device");
    expect_refusal(&rig, NULL, "{'driver': 'null-co', 'size': 18446744073709551615}", 0, "too large");
    g_autofree char *native = g_strdup_printf("{'driver': 'file', 'filename': '%s', 'aio': 'native'}", rig.path);
    expect_refusal(&rig, NULL, native, 0, "cache.direct=on");
    rig_free(&rig);
}

static void test_cache_modes(void)
{
    unsigned flags = 0;
    bool write_through = false;
    g_assert_true(block_parse_cache_mode("directsync", &flags, &write_through, NULL));
    g_assert_true(flags == BLOCK_OPEN_DIRECT && write_through);
    g_assert_true(block_parse_cache_mode("unsafe", &flags, &write_through, NULL));
    g_assert_true(flags == (BLOCK_OPEN_DIRECT | BLOCK_OPEN_NO_FLUSH) && !write_through);
    g_assert_false(block_parse_cache_mode("fast", &flags, &write_through, NULL));
}

/* Permissions and locks */

static void test_permissions(void)
{
    Rig rig = rig_new(1024);
    AUTO_ERROR(error);
    AUTO_ERROR(second_error);
    BlockEdge *first = open_with(&rig, NULL, BLOCK_OPEN_WRITE);
    BlockNode *node = block_edge_node(first);
    g_assert_null(block_attach(node, "another", BLOCK_PERMISSION_WRITE, BLOCK_PERMISSION_ALL, &error));
    g_assert_nonnull(strstr(error_message(error), "'write' are required by another and not shared by the test"));
    BlockEdge *reader = block_attach(node, "a reader", BLOCK_PERMISSION_READ, BLOCK_PERMISSION_ALL, NULL);
    g_assert_nonnull(reader);
    block_detach(reader);
    /* The same through the file's locks, as another process sees it. */
    BlockNode *other = block_open(rig.graph, rig.path, NULL, BLOCK_OPEN_WRITE, NULL);
    g_assert_nonnull(other);
    g_assert_null(block_attach(other, "another", BLOCK_PERMISSION_WRITE, BLOCK_PERMISSION_ALL, &second_error));
    g_assert_nonnull(strstr(error_message(second_error), rig.path));
    g_assert_nonnull(strstr(error_message(second_error), "(process "));
    block_detach(first);
    first = block_attach(other, "another", BLOCK_PERMISSION_WRITE, BLOCK_PERMISSION_ALL, NULL);
    g_assert_nonnull(first);
    block_node_unref(other);
    block_detach(first);
    rig_free(&rig);
}

static void test_read_only(void)
{
    Rig rig = rig_new(1024);
    AUTO_ERROR(error);
    BlockEdge *edge = open_with(&rig, NULL, 0);
    g_assert_cmpint(block_write(edge, 0, "x", 1, 0), ==, EPERM);
    g_assert_cmpint(block_discard(edge, 0, 512), ==, EPERM);
    g_assert_false(block_resize(edge, 4096, PREALLOC_MODE_OFF, NULL));
    g_assert_null(block_attach(block_edge_node(edge), "a writer", BLOCK_PERMISSION_WRITE, BLOCK_PERMISSION_ALL,
                               &error));
    g_assert_nonnull(strstr(error_message(error), "read-only"));
    block_detach(edge);
    rig_free(&rig);
}

/* A guest must not make an image of another format out of a disk that nobody said is raw. */
static void test_guessed(void)
{
    static const char *const options[] = { NULL, "{'driver': 'raw'}" };
    static const uint8_t head[] = { 'Q', 'F', 'I', 0xfb, 0, 0, 0, 3 };
    for (unsigned i = 0; i < G_N_ELEMENTS(options); i++) {
        Rig rig = rig_new(4096);
        uint8_t sector[512] = { 0 };
        int refused = i == 0 ? EPERM : 0;
        BlockEdge *edge = open_with(&rig, options[i], BLOCK_OPEN_WRITE);
        g_assert_cmpint(block_write(edge, 0, sector, sizeof sector, 0), ==, 0);
        memcpy(sector, head, sizeof head);
        g_assert_cmpint(block_write(edge, 512, sector, sizeof sector, 0), ==, 0);
        g_assert_cmpint(block_write(edge, 0, sector, sizeof sector, 0), ==, refused);
        g_assert_cmpint(block_write_zeroes(edge, 0, 512, 0), ==, 0);
        g_assert_cmpint(block_write(edge, 0, head, 4, 0), ==, 0);
        g_assert_cmpint(block_write(edge, 4, head + 4, 4, 0), ==, refused);
        block_detach(edge);
        rig_free(&rig);
    }
}

/* Transfers: random ones of any alignment, against a copy in memory */

typedef struct Way {
    const char *name, *options;
    unsigned flags;
} Way;

static const Way ways[] = {
    { "/graph/transfers/threads", NULL, 0 },
    { "/graph/transfers/io_uring", "'aio': 'io_uring'", 0 },
    { "/graph/transfers/direct-threads", NULL, BLOCK_OPEN_DIRECT },
    { "/graph/transfers/direct-io_uring", "'aio': 'io_uring'", BLOCK_OPEN_DIRECT },
    { "/graph/transfers/direct-native", "'aio': 'native'", BLOCK_OPEN_DIRECT },
};

static BlockEdge *open_way(const Rig *rig, const Way *way, Error **error)
{
    g_autofree char *options =
        g_strdup_printf("{'driver': 'raw', 'detect-zeroes': 'on', 'file': {'driver': 'file', 'filename': '%s' %s %s}}",
                        rig->path, way->options ? "," : "", way->options ? way->options : "");
    BlockNode *node = block_open(rig->graph, NULL, parse(options), way->flags | BLOCK_OPEN_WRITE | BLOCK_OPEN_DISCARD,
                                 error);
    BlockEdge *edge = node ? block_attach(node, "the test", ALL, BLOCK_PERMISSION_READ, error) : NULL;
    block_node_unref(node);
    return edge;
}

static void change(BlockEdge *edge, uint8_t *copy, GRand *random, unsigned round)
{
    static const size_t units[] = { 1, 512, 4096 };
    size_t unit = units[g_rand_int_range(random, 0, 3)];
    size_t offset = (size_t)g_rand_int_range(random, 0, SIZE - 65536) / unit * unit;
    size_t length = align_up((uint64_t)g_rand_int_range(random, 1, 65536), unit);
    g_autofree uint8_t *bytes = g_malloc(length);
    memset(bytes, (int)round % 251, length);
    switch (g_rand_int_range(random, 0, 4)) {
    case 0:
        g_assert_cmpint(block_write(edge, offset, bytes, length, round % 5 ? 0 : BLOCK_FUA), ==, 0);
        memcpy(copy + offset, bytes, length);
        break;
    case 1:
        g_assert_cmpint(block_write_zeroes(edge, offset, length, round % 2 ? BLOCK_MAY_UNMAP : 0), ==, 0);
        memset(copy + offset, 0, length);
        break;
    case 2:
        memset(bytes, 0xee, length);
        g_assert_cmpint(block_read(edge, offset, bytes, length), ==, 0);
        g_assert_cmpmem(bytes, length, copy + offset, length);
        break;
    default:
        g_assert_cmpint(block_flush(edge), ==, 0);
    }
}

static void test_transfers(const void *data)
{
    Rig rig = rig_new(SIZE);
    AUTO_ERROR(error);
    BlockEdge *edge = open_way(&rig, data, &error);
    if (!edge) { /* the host's file system or kernel may lack it */
        g_test_skip(error_message(error));
        rig_free(&rig);
        return;
    }
    GRand *random = g_rand_new_with_seed(5);
    g_autofree uint8_t *copy = g_malloc(SIZE), *all = g_malloc(SIZE);
    for (size_t i = 0; i < SIZE; i++) {
        copy[i] = pattern(i);
    }
    for (unsigned round = 0; round < 400; round++) {
        change(edge, copy, random, round);
    }
    g_assert_cmpint(block_read(edge, 0, all, SIZE), ==, 0);
    g_assert_cmpmem(all, SIZE, copy, SIZE);
    g_assert_cmpint(block_read(edge, SIZE - 1, all, 2), ==, EIO);
    g_assert_cmpint(block_write(edge, UINT64_MAX, all, 2, 0), ==, EIO);
    block_detach(edge);
    g_autofree char *file = NULL;
    size_t length = 0;
    g_assert_true(g_file_get_contents(rig.path, &file, &length, NULL));
    g_assert_cmpmem(file, length, copy, SIZE);
    g_rand_free(random);
    rig_free(&rig);
}

/* Overlapping parts of blocks, all at once: none is lost. */

typedef struct Waiting {
    BlockRequest request;
    struct iovec vector;
    uint8_t byte;
    unsigned *left;
    bool within;
} Waiting;

static void finished(BlockRequest *request, int error)
{
    Waiting *waiting = (Waiting *)request;
    g_assert_cmpint(error, ==, 0);
    g_assert_false(waiting->within);
    --*waiting->left;
}

static void start(Waiting *waiting, BlockEdge *edge, BlockOperation operation, uint64_t offset, unsigned *left)
{
    ++*left;
    waiting->left = left;
    waiting->vector = (struct iovec){ &waiting->byte, 1 };
    waiting->request = (BlockRequest){ .operation = operation, .offset = offset, .bytes = 1, .done = finished,
                                       .vectors = { &waiting->vector, 1, 0 } };
    waiting->within = true;
    block_submit(edge, &waiting->request);
    waiting->within = false;
}

static void test_parts(const void *data)
{
    enum { MANY = 1500 };
    Rig rig = rig_new(SIZE);
    BlockEdge *edge = open_way(&rig, data, NULL);
    if (edge) {
        Waiting *waiting = g_new0(Waiting, MANY);
        unsigned left = 0;
        for (unsigned i = 0; i < MANY; i++) {
            waiting[i].byte = (uint8_t)(i % 255 + 1);
            start(&waiting[i], edge, BLOCK_WRITE, i, &left);
        }
        block_edge_drain(edge);
        g_assert_cmpuint(left, ==, 0);
        for (unsigned i = 0; i < MANY; i++) {
            waiting[i].byte = 0;
            start(&waiting[i], edge, BLOCK_READ, i, &left);
        }
        while (left) {
            loop_iterate(rig.loop, -1);
        }
        for (unsigned i = 0; i < MANY; i++) {
            g_assert_cmpuint(waiting[i].byte, ==, i % 255 + 1);
        }
        g_free(waiting);
        block_detach(edge);
    } else {
        g_test_skip("not on this host");
    }
    rig_free(&rig);
}

/* A drain from the main loop stops what another loop goes on submitting. */

typedef struct Stream {
    Waiting waiting;
    BlockEdge *edge;
    BlockGraph *graph;
    Loop *loop;
    _Atomic unsigned done;
    _Atomic bool stop, ready;
    bool ended;
} Stream;

static void stream_next(BlockRequest *request, int error)
{
    Stream *stream = (Stream *)request;
    g_assert_cmpint(error, ==, 0);
    stream->done++;
    if (!stream->stop) {
        block_submit(stream->edge, request);
    } else {
        stream->ended = true;
    }
}

static void *run_stream(void *data)
{
    Stream *stream = data;
    Waiting *waiting = &stream->waiting;
    stream->loop = loop_new(false, NULL);
    BlockLoop *loop = block_loop_new(block_graph_runtime(stream->graph), stream->loop, NULL);
    waiting->vector = (struct iovec){ &waiting->byte, 1 };
    waiting->request = (BlockRequest){ .operation = BLOCK_WRITE, .bytes = 1, .vectors = { &waiting->vector, 1, 0 },
                                       .done = stream_next };
    block_submit(stream->edge, &waiting->request);
    while (!stream->ended) {
        loop_iterate(stream->loop, -1);
    }
    block_loop_free(loop);
    loop_free(stream->loop);
    return NULL;
}

static void test_drain(void)
{
    Rig rig = rig_new(SIZE);
    Stream stream = { .graph = rig.graph, .edge = open_with(&rig, NULL, BLOCK_OPEN_WRITE) };
    Thread thread;
    g_assert_true(thread_start(&thread, "stream", run_stream, &stream, NULL));
    for (unsigned i = 0; i < 20; i++) {
        unsigned before = stream.done;
        while (stream.done < before + 5) {
            g_usleep(100);
        }
        block_graph_drain_begin(rig.graph);
        before = stream.done;
        g_usleep(1000);
        g_assert_cmpuint(stream.done, ==, before);
        block_graph_drain_end(rig.graph);
    }
    stream.stop = true;
    thread_join(&thread);
    block_detach(stream.edge);
    rig_free(&rig);
}

/* Sizes, holes, null */

static void test_resize(void)
{
    Rig rig = rig_new(SIZE);
    BlockEdge *edge = open_with(&rig, NULL, BLOCK_OPEN_WRITE);
    BlockNode *node = block_edge_node(edge);
    uint8_t bytes[512];
    BlockStatus status;
    g_assert_true(block_resize(edge, 4 * SIZE, PREALLOC_MODE_OFF, NULL));
    g_assert_cmpuint(block_node_size(node), ==, 4 * SIZE);
    g_assert_cmpint(block_read(edge, 4 * SIZE - 512, bytes, 512), ==, 0);
    g_assert_cmpuint(bytes[0], ==, 0);
    g_assert_cmpint(block_status(edge, 2 * SIZE, SIZE, &status), ==, 0);
    g_assert_true(status.bytes == SIZE && (status.zero || status.data) && status.has_offset);
    g_assert_cmpint(block_status(edge, 4096, 4096, &status), ==, 0);
    g_assert_true(status.data && !status.zero && status.offset == 4096);
    g_assert_true(block_resize(edge, 5 * SIZE, PREALLOC_MODE_FULL, NULL));
    g_assert_cmpint(block_node_allocated_size(node), >=, 2 * SIZE);
    g_assert_false(block_resize(edge, SIZE, PREALLOC_MODE_FULL, NULL));
    g_assert_true(block_resize(edge, 512, PREALLOC_MODE_OFF, NULL));
    g_assert_cmpint(block_read(edge, 512, bytes, 512), ==, EIO);
    g_assert_false(block_resize(edge, UINT64_MAX, PREALLOC_MODE_OFF, NULL));
    block_detach(edge);
    rig_free(&rig);
}

static void test_null(void)
{
    Rig rig = rig_new(0);
    uint8_t bytes[100];
    BlockStatistics statistics;
    BlockNode *node = block_open(rig.graph, NULL, parse("{'driver': 'null-aio', 'size': '1M', 'read-zeroes': 'on',"
                                                        " 'latency-ns': 100000}"), BLOCK_OPEN_WRITE, NULL);
    BlockEdge *edge = block_attach(node, "the test", ALL, BLOCK_PERMISSION_ALL, NULL);
    block_node_unref(node);
    memset(bytes, 1, sizeof bytes);
    g_assert_cmpint(block_read(edge, 1000, bytes, sizeof bytes), ==, 0);
    g_assert_cmpuint(bytes[0] | bytes[99], ==, 0);
    g_assert_cmpint(block_write(edge, 1000, bytes, sizeof bytes, 0), ==, 0);
    g_assert_cmpint(block_write(edge, SIZE, bytes, 1, 0), ==, EIO);
    block_edge_statistics(edge, &statistics);
    g_assert_cmpuint(statistics.operations[BLOCK_READ], ==, 1);
    g_assert_cmpuint(statistics.bytes[BLOCK_WRITE], ==, 100);
    g_assert_cmpuint(statistics.nanoseconds[BLOCK_READ], >=, 100000);
    block_detach(edge);
    rig_free(&rig);
}

/* How long requests took: a disk that takes a tenth of a millisecond for each, and fails reads where it is told to. */
static void test_latencies(void)
{
    static const uint64_t boundaries[] = { 1, 50000, UINT64_MAX }, wrong[] = { 2, 2 }, zero[] = { 0 };
    Rig rig = rig_new(0);
    uint8_t bytes[512] = { 0 };
    BlockInterval interval;
    BlockNode *node = block_open(rig.graph, NULL,
                                 parse("{'driver': 'blkdebug', 'image': {'driver': 'null-aio', 'size': '1M', "
                                       "'latency-ns': 100000}, 'inject-error': [{'event': 'none', 'sector': 8}]}"),
                                 BLOCK_OPEN_WRITE, NULL);
    BlockEdge *edge = block_attach(node, "the test", ALL, BLOCK_PERMISSION_ALL, NULL);
    block_node_unref(node);
    g_assert_true(block_edge_accounts_failed(edge) && block_edge_accounts_invalid(edge));
    g_assert_false(block_edge_interval(edge, 0, &interval));
    g_assert_false(block_edge_set_histogram(edge, BLOCK_LATENCY_READ, wrong, 2));
    g_assert_false(block_edge_set_histogram(edge, BLOCK_LATENCY_READ, zero, 1));
    g_assert_false(block_edge_set_histogram(edge, BLOCK_LATENCY_READ, zero, 0));
    g_assert_true(block_edge_set_histogram(edge, BLOCK_LATENCY_READ, boundaries, 3));
    block_edge_add_interval(edge, 1000000);
    block_edge_account(edge, true, false);
    g_assert_cmpint(block_read(edge, 4096, bytes, sizeof bytes), ==, EIO);
    for (unsigned i = 0; i < 3; i++) {
        g_assert_cmpint(block_read(edge, 0, bytes, sizeof bytes), ==, 0);
    }
    g_assert_cmpint(block_write_zeroes(edge, 0, sizeof bytes, 0), ==, 0);
    g_assert_true(block_edge_interval(edge, 0, &interval));
    g_assert_cmpuint(interval.seconds, ==, 1000000);
    for (unsigned kind = BLOCK_LATENCY_READ; kind <= BLOCK_LATENCY_WRITE; kind++) {
        g_assert_cmpuint(interval.kinds[kind].minimum, >=, 100000); /* the one that failed at once is not in it */
        g_assert_cmpuint(interval.kinds[kind].average, >=, interval.kinds[kind].minimum);
        g_assert_cmpuint(interval.kinds[kind].maximum, >=, interval.kinds[kind].average);
        g_assert_true(interval.kinds[kind].queue_depth > 0);
    }
    g_assert_cmpuint(interval.kinds[BLOCK_LATENCY_FLUSH].maximum, ==, 0);
    BlockHistogram histogram = block_edge_histogram(edge, BLOCK_LATENCY_READ);
    g_assert_cmpuint(histogram.count, ==, 3);
    g_assert_cmpuint(histogram.bins[0] + histogram.bins[1] + histogram.bins[2], ==, 4);
    g_assert_cmpuint(histogram.bins[0] + histogram.bins[3], ==, 0);
    g_assert_cmpuint(histogram.bins[2], >=, 3);
    free(histogram.boundaries);
    free(histogram.bins);
    g_assert_null(block_edge_histogram(edge, BLOCK_LATENCY_WRITE).boundaries);
    g_assert_true(block_edge_set_histogram(edge, BLOCK_LATENCY_READ, NULL, 0));
    g_assert_null(block_edge_histogram(edge, BLOCK_LATENCY_READ).boundaries);
    block_detach(edge);
    rig_free(&rig);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/graph/open", test_open);
    g_test_add_func("/graph/refusals", test_refusals);
    g_test_add_func("/graph/cache-modes", test_cache_modes);
    g_test_add_func("/graph/permissions", test_permissions);
    g_test_add_func("/graph/read-only", test_read_only);
    g_test_add_func("/graph/guessed", test_guessed);
    for (unsigned i = 0; i < G_N_ELEMENTS(ways); i++) {
        g_autofree char *parts = g_strdup_printf("/graph/parts/%s", strrchr(ways[i].name, '/') + 1);
        g_test_add_data_func(ways[i].name, &ways[i], test_transfers);
        g_test_add_data_func(parts, &ways[i], test_parts);
    }
    g_test_add_func("/graph/drain", test_drain);
    g_test_add_func("/graph/resize", test_resize);
    g_test_add_func("/graph/null", test_null);
    g_test_add_func("/graph/latencies", test_latencies);
    return g_test_run();
}
