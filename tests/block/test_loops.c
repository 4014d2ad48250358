/*
 * One image served by several loops at once: threads with a loop each read, write, zero, discard and flush it with many
 * requests under way, aligned and not, so that fast ways and tasks meet in the same clusters and blocks. Each thread
 * knows what its parts of the disk have to hold; all of them change what they share.
 */
#include "block/block.h"
#include "block/image.h"
#include "rig.h"

#include "api/json.h"
#include "base/error.h"
#include "base/thread.h"

#include <string.h>

enum { THREADS = 3, DEPTH = 12, UNITS = 3072, SIZE = UNITS * 1024, BATCHES = 60 };

typedef struct Kind {
    const char *name, *driver, *create, *options;
    bool over; /* a base that is not empty */
} Kind;

static const Kind kinds[] = {
    { "raw", "raw", "{}", "{}", false },
    { "raw-direct", "raw", "{}", "{'cache': {'direct': true}}", false },
    { "qcow2", "qcow2", "{'cluster_size': '4k'}", "{'discard': 'unmap'}", false },
    { "qcow2-direct", "qcow2", "{'cluster_size': '16k'}", "{'discard': 'unmap', 'cache': {'direct': true}}", false },
    { "overlay-direct", "qcow2", "{'cluster_size': '16k'}", "{'cache': {'direct': true}}", true },
    { "subclusters", "qcow2", "{'cluster_size': '32k', 'extended_l2': true}", "{'cache': {'direct': true}}", true },
    { "lazy", "qcow2", "{'cluster_size': '4k', 'lazy_refcounts': true}",
      "{'l2-cache-size': 8192, 'cache': {'direct': true}}", false },
};

typedef struct Slot {
    BlockRequest request;
    struct iovec piece;
    struct Worker *worker;
    unsigned unit, count;
    uint8_t *memory;
} Slot;

typedef struct Worker {
    BlockGraph *graph;
    BlockEdge *edge;
    unsigned number, left;
    GRand *random;
    uint8_t holds[UNITS]; /* what each byte of a unit is, of its own units */
    Thread thread;
} Worker;

/* Four units take 4096 bytes; the middle ones share a sector. */
static unsigned unit_start(unsigned unit)
{
    static const unsigned starts[] = { 0, 1024, 1948, 3072 };
    return unit / 4 * 4096 + starts[unit % 4];
}

static unsigned unit_bytes(unsigned unit) { return unit_start(unit + 1) - unit_start(unit); }

static bool is_own(const Worker *worker, unsigned unit) { return unit % THREADS == worker->number; }

static void slot_done(BlockRequest *request, int error)
{
    Slot *slot = request->data;
    g_assert_cmpint(error, ==, 0);
    if (request->operation == BLOCK_READ) {
        for (unsigned i = 0; i < unit_bytes(slot->unit); i++) {
            g_assert_cmpuint(slot->memory[i], ==, slot->worker->holds[slot->unit]);
        }
    }
    slot->worker->left--;
}

/* One of its units, which nobody else of this batch has. */
static unsigned choose_unit(Worker *worker, unsigned part)
{
    unsigned own = UNITS / THREADS / DEPTH;
    return (part * own + (unsigned)g_rand_int_range(worker->random, 0, (int)own)) * THREADS + worker->number;
}

static void submit(Worker *worker, Slot *slot, unsigned part)
{
    static const BlockOperation operations[] = { BLOCK_READ, BLOCK_READ, BLOCK_WRITE, BLOCK_WRITE, BLOCK_WRITE,
                                                 BLOCK_WRITE_ZEROES };
    BlockOperation operation = operations[g_rand_int_range(worker->random, 0, G_N_ELEMENTS(operations))];
    slot->worker = worker;
    slot->unit = choose_unit(worker, part);
    slot->piece = (struct iovec){ slot->memory, unit_bytes(slot->unit) };
    g_assert_true(is_own(worker, slot->unit));
    if (operation != BLOCK_READ) {
        worker->holds[slot->unit] = operation == BLOCK_WRITE ? (uint8_t)g_rand_int_range(worker->random, 1, 256) : 0;
        memset(slot->memory, worker->holds[slot->unit], unit_bytes(slot->unit));
    }
    slot->request = (BlockRequest){ .operation = operation, .offset = unit_start(slot->unit),
                                    .bytes = unit_bytes(slot->unit), .vectors = { &slot->piece, 1, 0 },
                                    .done = slot_done, .data = slot };
    worker->left++;
    block_submit(worker->edge, &slot->request);
}

static void *work(void *data)
{
    Worker *worker = data;
    Loop *outer = loop_new(false, NULL);
    BlockLoop *loop = block_loop_new(block_graph_runtime(worker->graph), outer, NULL);
    Slot slots[DEPTH];
    for (unsigned i = 0; i < DEPTH; i++) {
        slots[i].memory = g_aligned_alloc(1, 4096, 4096);
    }
    for (unsigned batch = 0; batch < BATCHES; batch++) {
        block_loop_plug(loop);
        for (unsigned i = 0; i < DEPTH; i++) {
            submit(worker, &slots[i], i);
        }
        block_loop_unplug(loop);
        while (worker->left > 0) {
            block_loop_poll(loop, true);
        }
        if (batch % 16 == worker->number) {
            g_assert_cmpint(block_flush(worker->edge), ==, 0);
        }
    }
    for (unsigned i = 0; i < DEPTH; i++) {
        g_aligned_free(slots[i].memory);
    }
    block_loop_free(loop);
    loop_free(outer);
    return NULL;
}

static void make_image(const Rig *rig, const Kind *kind, const char *path, const char *base)
{
    AUTO_ERROR(error);
    Json *options = json_parse(kind->create, strlen(kind->create), NULL);
    json_set(options, "size", json_int(SIZE));
    if (base) {
        json_set(options, "backing_file", json_string(base));
        json_set(options, "backing_fmt", json_string("raw"));
    }
    if (!block_create(rig->graph, block_driver_find(kind->driver), path, options, &error)) {
        g_error("%s", error_message(error));
    }
    json_free(options);
}

static BlockEdge *open_image(const Rig *rig, const Kind *kind, const char *path)
{
    AUTO_ERROR(error);
    Json *options = json_parse(kind->options, strlen(kind->options), NULL);
    json_set(options, "driver", json_string(kind->driver));
    Json *file = json_object();
    json_set(file, "driver", json_string("file"));
    json_set(file, "aio", json_string("io_uring"));
    json_set(file, "filename", json_string(path));
    json_set(options, "file", file);
    BlockNode *node = block_open(rig->graph, NULL, options, BLOCK_OPEN_WRITE, &error);
    if (!node) {
        g_error("%s", error_message(error));
    }
    BlockEdge *edge = block_attach(node, "the test", BLOCK_PERMISSION_ALL, BLOCK_PERMISSION_ALL, &error);
    g_assert_nonnull(edge);
    block_node_unref(node);
    return edge;
}

static void expect_all(BlockEdge *edge, const Worker *workers)
{
    g_autofree uint8_t *bytes = g_malloc(SIZE);
    g_assert_cmpint(block_read(edge, 0, bytes, SIZE), ==, 0);
    for (unsigned unit = 0; unit < UNITS; unit++) {
        for (unsigned i = unit_start(unit); i < unit_start(unit + 1); i++) {
            g_assert_cmpuint(bytes[i], ==, workers[unit % THREADS].holds[unit]);
        }
    }
}

static void run_workers(const Rig *rig, BlockEdge *edge, Worker *workers)
{
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i].graph = rig->graph;
        workers[i].edge = edge;
        workers[i].number = i;
        workers[i].random = g_rand_new_with_seed(i + 1);
        g_assert_true(thread_start(&workers[i].thread, "worker", work, &workers[i], NULL));
    }
    BlockLoop *loop = block_runtime_main(block_graph_runtime(rig->graph));
    for (unsigned i = 0; i < 20; i++) { /* meanwhile the graph is held still now and then */
        block_graph_drain_begin(rig->graph);
        block_graph_drain_end(rig->graph);
        block_loop_poll(loop, false);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        thread_join(&workers[i].thread);
        g_rand_free(workers[i].random);
    }
}

static void test_kind(const void *data)
{
    const Kind *kind = data;
    Rig rig = rig_new(1);
    g_autofree char *path = path_of(&rig, "image"), *base = kind->over ? path_of(&rig, "base") : NULL;
    g_autofree Worker *workers = g_new0(Worker, THREADS);
    if (base) {
        g_autofree char *bytes = g_malloc(SIZE);
        memset(bytes, 0x5a, SIZE);
        g_assert_true(g_file_set_contents(base, bytes, SIZE, NULL));
    }
    for (unsigned i = 0; i < THREADS; i++) {
        memset(workers[i].holds, base ? 0x5a : 0, UNITS);
    }
    make_image(&rig, kind, path, base);
    BlockEdge *edge = open_image(&rig, kind, path);
    run_workers(&rig, edge, workers);
    expect_all(edge, workers);
    block_detach(edge);
    edge = open_image(&rig, kind, path); /* as the file has it */
    expect_all(edge, workers);
    if (strcmp(kind->driver, "qcow2") == 0) {
        BlockCheck check = { 0 };
        g_assert_true(block_check(block_edge_node(edge), 0, &check, NULL));
        g_assert_cmpuint(check.corruptions + check.leaks, ==, 0);
    }
    block_detach(edge);
    rig_free(&rig);
}

int main(int count, char **arguments)
{
    g_test_init(&count, &arguments, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
        g_autofree char *name = g_strdup_printf("/loops/%s", kinds[i].name);
        g_test_add_data_func(name, &kinds[i], test_kind);
    }
    return g_test_run();
}
