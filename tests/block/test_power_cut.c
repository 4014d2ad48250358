/*
 * A disk that loses its power: what a qcow2 image wrote is kept in order, with its flushes. Then the power is cut at
 * many points. What was done before the last flush is there; of what came later any part may be, in sectors, in any
 * order. Each such disk can be repaired, checks clean after that, and what its user had flushed is there; what he had
 * not is old or new.
 */
#include "api/json.h"
#include "base/error.h"
#include "base/files.h"
#include "block/image.h"
#include "core/loop.h"
#include "memory_disk.h"

#include <glib.h>
#include <stdlib.h>
#include <string.h>

enum { UNIT = 512, UNITS = 768, SIZE = UNITS * UNIT, STEPS = 160, SHADES = 3, USUAL_CUTS = 60 };

typedef struct Kind {
    const char *name, *options;
    bool snapshots, compresses;
} Kind;

static const Kind kinds[] = {
    { "plain", "{'cluster_size': '4k'}", false, false },
    { "small", "{'cluster_size': '512'}", false, false },
    { "v2", "{'cluster_size': '1k', 'compat': 'v2'}", false, false },
    { "lazy", "{'cluster_size': '2k', 'lazy_refcounts': 'on'}", false, false },
    { "narrow", "{'cluster_size': '512', 'refcount_bits': '1'}", false, false },
    { "wide", "{'cluster_size': '1k', 'refcount_bits': '64'}", true, false },
    { "subclusters", "{'cluster_size': '16k', 'extended_l2': 'on'}", false, false },
    { "snapshots", "{'cluster_size': '2k'}", true, false },
    { "compressed", "{'cluster_size': '4k'}", true, true },
};

/* What a unit may hold: what it did when it was last flushed, or anything written since. */
typedef struct Write {
    size_t begin, end; /* in the disk's events */
    unsigned unit, count;
    uint32_t value;
} Write;

typedef struct Flush {
    size_t begin, end;
} Flush;

typedef struct Run {
    Loop *loop;
    Files *files;
    BlockGraph *graph;
    MemoryDisk disk;
    const Kind *kind;
    GRand *random;
    VEC(Write) writes;
    VEC(Flush) flushes;
} Run;

static unsigned choose(Run *run, unsigned count) { return (unsigned)g_rand_int_range(run->random, 0, (int)count); }

static BlockEdge *open_image(BlockGraph *graph, const MemoryDisk *disk)
{
    AUTO_ERROR(error);
    g_autofree char *name = memory_disk_name(disk);
    Json *options = json_object();
    json_set(options, "discard", json_string("unmap"));
    BlockNode *node = block_open(graph, name, options, BLOCK_OPEN_WRITE | BLOCK_OPEN_DIRECT, &error);
    if (!node) {
        g_error("%s", error_message(error));
    }
    g_assert_cmpstr(block_node_driver_name(node), ==, "qcow2");
    BlockEdge *edge = block_attach(node, "the test", BLOCK_PERMISSION_ALL, 0, &error);
    g_assert_nonnull(edge);
    block_node_unref(node);
    return edge;
}

static void make_image(Run *run)
{
    AUTO_ERROR(error);
    g_autofree char *name = memory_disk_name(&run->disk);
    Json *options = json_parse(run->kind->options, strlen(run->kind->options), NULL);
    g_autofree char *size = g_strdup_printf("%d", SIZE);
    json_set(options, "size", json_string(size));
    if (!block_create(run->graph, block_driver_find("qcow2"), name, options, &error)) {
        g_error("%s", error_message(error));
    }
    json_free(options);
}

/* The load: a few requests at once, now and then a flush */

typedef struct Step {
    BlockRequest request;
    struct iovec piece;
    Run *run;
    size_t write; /* in run->writes */
    unsigned *left;
} Step;

static void step_done(BlockRequest *request, int error)
{
    Step *step = request->data;
    g_assert_cmpint(error, ==, 0);
    step->run->writes.items[step->write].end = step->run->disk.events.count;
    --*step->left;
}

/* No two of one batch meet: each has its part of the disk. */
static void prepare(Run *run, Step *step, unsigned part, unsigned parts, uint32_t value)
{
    unsigned room = UNITS / parts, count = 1 + choose(run, choose(run, 4) ? 10 : room - 1),
             unit = part * room + choose(run, room - count);
    bool zero = choose(run, 5) == 0, compress = run->kind->compresses && !zero && choose(run, 3) == 0;
    if (compress) {
        unit = unit / 8 * 8;
        count = 8;
    }
    uint32_t *words = g_malloc(count * UNIT);
    for (unsigned i = 0; i < count * UNIT / 4; i++) {
        words[i] = value;
    }
    step->piece = (struct iovec){ words, count * UNIT };
    step->request = (BlockRequest){ .operation = zero ? BLOCK_WRITE_ZEROES : BLOCK_WRITE, .offset = unit * UNIT,
                                    .flags = zero && choose(run, 2) ? BLOCK_MAY_UNMAP : compress ? BLOCK_COMPRESSED : 0,
                                    .bytes = count * UNIT, .vectors = { &step->piece, 1, 0 }, .done = step_done,
                                    .data = step };
    Write write = { .unit = unit, .count = count, .value = zero ? 0 : value };
    step->write = run->writes.count;
    vec_push(&run->writes, write);
}

static void write_batch(Run *run, BlockEdge *edge, uint32_t *value)
{
    Step steps[SHADES];
    unsigned count = 1 + choose(run, SHADES), left = count;
    for (unsigned i = 0; i < count; i++) {
        steps[i] = (Step){ .run = run, .left = &left };
        prepare(run, &steps[i], i, count, ++*value);
    }
    for (unsigned i = 0; i < count; i++) {
        run->writes.items[steps[i].write].begin = run->disk.events.count;
        block_submit(edge, &steps[i].request);
    }
    while (left > 0) {
        block_loop_poll(block_runtime_main(block_graph_runtime(run->graph)), true);
    }
    for (unsigned i = 0; i < count; i++) {
        g_free(steps[i].piece.iov_base);
    }
}

static void flush(Run *run, BlockEdge *edge)
{
    Flush flush = { .begin = run->disk.events.count };
    g_assert_cmpint(block_flush(edge), ==, 0);
    flush.end = run->disk.events.count;
    vec_push(&run->flushes, flush);
}

static void change_snapshots(Run *run, BlockEdge *edge, unsigned step)
{
    AUTO_ERROR(error);
    g_autofree char *name = g_strdup_printf("s%u", step);
    BlockSnapshot snapshot = { .name = name };
    BlockSnapshots list;
    BlockNode *node = block_edge_node(edge);
    g_assert_true(block_snapshot_list(node, &list, NULL));
    bool ok = list.count < 3 ? block_snapshot_create(node, &snapshot, &error)
                             : block_snapshot_delete(node, list.items[choose(run, (unsigned)list.count)].id, &error);
    if (!ok) {
        g_error("%s", error_message(error));
    }
    block_snapshots_clear(&list);
}

static void load(Run *run)
{
    uint32_t value = 0;
    BlockEdge *edge = open_image(run->graph, &run->disk);
    run->disk.keeps = true;
    for (unsigned step = 0; step < STEPS; step++) {
        write_batch(run, edge, &value);
        if (choose(run, 6) == 0) {
            flush(run, edge);
        }
        if (run->kind->snapshots && choose(run, 12) == 0) {
            change_snapshots(run, edge, step);
        }
    }
    block_detach(edge);
    run->disk.keeps = false;
}

/* The cut */

static bool survives(void *data) { return g_rand_boolean(data); }

/* The last flush of the disk that had ended before `cut`: what was done before it began is there. */
static size_t durable_at(const Run *run, size_t cut)
{
    size_t durable = 0;
    for (size_t i = 0; i < cut; i++) {
        const MemoryEvent *event = &run->disk.events.items[i];
        durable = event->kind == MEMORY_FLUSH_END ? MAX(durable, event->flush) : durable;
    }
    return durable;
}

static bool is_durable(const MemoryEvent *event, size_t index, size_t durable)
{
    return index < durable && (event->kind != MEMORY_WRITE || (event->done && event->done <= durable));
}

/* The disk as it may be after the cut: sure writes in order, then some of the others, in any order. */
static void cut_power(Run *run, MemoryDisk *after, const MemoryDisk *before, size_t cut)
{
    size_t durable = durable_at(run, cut), count = 0;
    g_autofree size_t *others = g_new(size_t, cut + 1);
    *after = (MemoryDisk){ .bytes = g_memdup2(before->bytes, before->size), .size = before->size,
                           .limit = before->limit };
    for (size_t i = 0; i < cut; i++) {
        const MemoryEvent *event = &run->disk.events.items[i];
        if (is_durable(event, i, durable)) {
            memory_disk_apply(after, event, NULL, NULL);
        } else {
            others[count++] = i;
        }
    }
    unsigned likely = choose(run, 4); /* none of them, some, most */
    while (count > 0) {
        size_t at = choose(run, (unsigned)count);
        if (choose(run, 3) < likely) {
            bool torn = choose(run, 3) == 0;
            memory_disk_apply(after, &run->disk.events.items[others[at]], torn ? survives : NULL, run->random);
        }
        others[at] = others[--count];
    }
}

/* Whether what a unit holds is what was flushed, or was written since. */
static bool may_hold(const Run *run, size_t cut, unsigned unit, uint32_t value)
{
    size_t flushed = 0;
    for (size_t i = 0; i < run->flushes.count; i++) {
        flushed = run->flushes.items[i].end <= cut ? run->flushes.items[i].begin : flushed;
    }
    uint32_t sure = 0;
    for (size_t i = 0; i < run->writes.count; i++) {
        const Write *write = &run->writes.items[i];
        if (unit < write->unit || unit >= write->unit + write->count || write->begin >= cut) {
            continue;
        }
        if (write->end <= flushed) {
            sure = write->value;
        } else if (write->value == value) {
            return true;
        }
    }
    return sure == value;
}

static void print_line(void *data, const char *line) { g_test_message("%s", line); }

static void expect_clean(BlockNode *node, size_t cut)
{
    AUTO_ERROR(error);
    BlockCheck repair = { .report = print_line }, again = { .report = print_line };
    if (!block_check(node, BLOCK_FIX_LEAKS | BLOCK_FIX_ERRORS, &repair, &error) ||
        !block_check(node, 0, &again, &error)) {
        g_error("cut %zu: %s", cut, error_message(error));
    }
    if (again.corruptions || again.leaks || again.check_errors) {
        g_error("cut %zu: %u corruptions and %u leaks are left", cut, (unsigned)again.corruptions,
                (unsigned)again.leaks);
    }
}

static void check_cut(Run *run, const MemoryDisk *before, size_t cut)
{
    MemoryDisk after;
    cut_power(run, &after, before, cut);
    BlockEdge *edge = open_image(run->graph, &after);
    expect_clean(block_edge_node(edge), cut);
    g_autofree uint32_t *words = g_malloc(SIZE);
    g_assert_cmpint(block_read(edge, 0, words, SIZE), ==, 0);
    for (unsigned unit = 0; unit < UNITS; unit++) {
        const uint32_t *first = words + unit * (UNIT / 4);
        for (unsigned i = 1; i < UNIT / 4; i++) {
            g_assert_cmpuint(first[i], ==, first[0]);
        }
        if (!may_hold(run, cut, unit, first[0])) {
            g_error("cut %zu of %zu: unit %u holds %u", cut, run->disk.events.count, unit, first[0]);
        }
    }
    block_detach(edge);
    memory_disk_clear(&after);
}

static void test_kind(const void *data)
{
    const char *cuts = g_getenv("MYNA_POWER_CUTS");
    Run run = { .loop = loop_new(false, NULL), .files = files_new(), .kind = data, .disk = { .limit = 64 << 20 } };
    run.graph = block_graph_new(run.files, run.loop, NULL);
    run.random = g_rand_new_with_seed(g_str_hash(run.kind->name));
    make_image(&run);
    MemoryDisk before = { .bytes = g_memdup2(run.disk.bytes, run.disk.size), .size = run.disk.size,
                          .limit = run.disk.limit };
    load(&run);
    for (unsigned i = 0, count = cuts ? (unsigned)atoi(cuts) : USUAL_CUTS; i < count; i++) {
        check_cut(&run, &before, 1 + choose(&run, (unsigned)run.disk.events.count));
    }
    g_rand_free(run.random);
    vec_free(&run.writes);
    vec_free(&run.flushes);
    memory_disk_clear(&before);
    memory_disk_clear(&run.disk);
    block_graph_free(run.graph);
    files_free(run.files);
    loop_free(run.loop);
}

int main(int count, char **arguments)
{
    g_test_init(&count, &arguments, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
        g_autofree char *name = g_strdup_printf("/power-cut/%s", kinds[i].name);
        g_test_add_data_func(name, &kinds[i], test_kind);
    }
    return g_test_run();
}
