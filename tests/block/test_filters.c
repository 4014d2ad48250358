/* Filters, reopening, and one image under several loops: on disks in memory, where nothing takes its own time. */
#include "api/json.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/files.h"
#include "base/host/host.h"
#include "base/thread.h"
#include "block/blkdebug.h"
#include "block/image.h"
#include "block/throttle.h"
#include "core/loop.h"
#include "memory_disk.h"
#include "schema/block.h"

#include <errno.h>
#include <glib.h>
#include <string.h>

enum { SIZE = 1 << 20, ALL = BLOCK_PERMISSION_READ | BLOCK_PERMISSION_WRITE | BLOCK_PERMISSION_RESIZE };

typedef struct Rig {
    Loop *loop;
    Files *files;
    BlockGraph *graph;
    Object *objects;
    MemoryDisk disk, other;
    char *disk_name, *other_name;
} Rig;

static void make_disk(MemoryDisk *disk, uint8_t value)
{
    *disk = (MemoryDisk){ .bytes = g_malloc(SIZE), .size = SIZE, .limit = 16 << 20 };
    memset(disk->bytes, value, SIZE);
}

static void rig_init(Rig *rig)
{
    *rig = (Rig){ .loop = loop_new(false, NULL), .files = files_new() };
    rig->graph = block_graph_new(rig->files, rig->loop, NULL);
    rig->objects = object_new(&container_class, NULL, NULL, NULL);
    block_graph_set_objects(rig->graph, rig->objects);
    make_disk(&rig->disk, 0x11);
    make_disk(&rig->other, 0x11);
    rig->disk_name = memory_disk_name(&rig->disk);
    rig->other_name = memory_disk_name(&rig->other);
}

static void rig_clear(Rig *rig)
{
    block_graph_free(rig->graph);
    object_unref(rig->objects);
    memory_disk_clear(&rig->disk);
    memory_disk_clear(&rig->other);
    free(rig->disk_name);
    free(rig->other_name);
    files_free(rig->files);
    loop_free(rig->loop);
}

/* In `format`, DISK and OTHER stand for the disks' names. */
static BlockNode *try_open(Rig *rig, const char *format, Error **error)
{
    GString *text = g_string_new(format);
    g_string_replace(text, "DISK", rig->disk_name, 0);
    g_string_replace(text, "OTHER", rig->other_name, 0);
    Json *options = json_parse(text->str, text->len, error);
    g_string_free(text, true);
    return options ? block_open(rig->graph, NULL, options, BLOCK_OPEN_WRITE, error) : NULL;
}

static BlockEdge *open_edge(Rig *rig, const char *format)
{
    AUTO_ERROR(error);
    BlockNode *node = try_open(rig, format, &error);
    BlockEdge *edge = node ? block_attach(node, "the test", ALL, BLOCK_PERMISSION_ALL, &error) : NULL;
    block_node_unref(node);
    if (!edge) {
        g_error("%s: %s", format, error_message(error));
    }
    return edge;
}

static void refuse(Rig *rig, const char *format, const char *words)
{
    AUTO_ERROR(error);
    g_assert_null(try_open(rig, format, &error));
    if (!strstr(error_message(error), words)) {
        g_error("'%s' does not say '%s'", error_message(error), words);
    }
}

static int fill(BlockEdge *edge, uint64_t offset, uint8_t value, uint64_t count)
{
    g_autofree uint8_t *bytes = g_malloc(count);
    memset(bytes, value, count);
    return block_write(edge, offset, bytes, count, 0);
}

static void expect(BlockEdge *edge, uint64_t offset, uint8_t value, uint64_t count)
{
    g_autofree uint8_t *bytes = g_malloc(count);
    g_assert_cmpint(block_read(edge, offset, bytes, count), ==, 0);
    for (uint64_t i = 0; i < count; i++) {
        g_assert_cmpuint(bytes[i], ==, value);
    }
}

/* Limits: arithmetic, in a time of the test's own */

static int64_t in_ms(int64_t ms) { return ms * 1000000; }

static void test_buckets(void)
{
    Throttle throttle;
    throttle_set(&throttle, &(ThrottleLimits){ .iops_total = 100, .bps_write = 1 << 20 }, 0);
    for (unsigned i = 0; i < 11; i++) { /* a tenth of a second's worth, and one that fills it */
        g_assert_cmpint(throttle_delay(&throttle, false, 0), ==, 0);
        throttle_count(&throttle, false, 4096);
    }
    g_assert_cmpint(throttle_delay(&throttle, false, 0), ==, in_ms(10));
    g_assert_cmpint(throttle_delay(&throttle, false, in_ms(10)), ==, 0);
    throttle_count(&throttle, true, 4 << 20); /* bytes are of writes alone */
    g_assert_cmpint(throttle_delay(&throttle, false, in_ms(20)), ==, 0);
    g_assert_cmpint(throttle_delay(&throttle, true, in_ms(20)), >, in_ms(3800));
    throttle_set(&throttle, &(ThrottleLimits){ .iops_write = 10, .iops_size = 1024 }, 0);
    throttle_count(&throttle, true, 3072); /* three requests */
    g_assert_cmpint(throttle_delay(&throttle, true, 0), ==, in_ms(200));
}

/* For `length` seconds as fast as the burst says, then at the average. */
static void test_bursts(void)
{
    Throttle throttle;
    ThrottleLimits limits = { .iops_total = 10, .iops_total_max = 100, .iops_total_max_length = 4 };
    throttle_set(&throttle, &limits, 0);
    unsigned count = 0;
    int64_t now = 0;
    for (; now < in_ms(3000); count++) {
        now += throttle_delay(&throttle, false, now);
        throttle_count(&throttle, false, 512);
    }
    g_assert_cmpuint(count, >=, 300);
    g_assert_cmpuint(count, <=, 315);
    for (count = 0, now = in_ms(3000); now < in_ms(20000); count++) {
        now += throttle_delay(&throttle, false, now);
        throttle_count(&throttle, false, 512);
    }
    unsigned before = 0;
    for (int64_t from = now; now < from + in_ms(10000); before++) {
        now += throttle_delay(&throttle, false, now);
        throttle_count(&throttle, false, 512);
    }
    g_assert_cmpuint(before, >=, 99);
    g_assert_cmpuint(before, <=, 102);
}

static void test_limits_that_do_not_fit(void)
{
    static const struct {
        ThrottleLimits limits;
        const char *words;
    } rows[] = {
        { { .iops_total = 10, .iops_read = 5 }, "cannot be used at the same time" },
        { { .bps_total_max = 10 }, "require corresponding" },
        { { .bps_total = 10, .bps_total_max = 5 }, "cannot be lower" },
        { { .iops_read = 10, .iops_read_max_length = 5 }, "without burst rate" },
        { { .iops_size = 10 }, "requires an iops value" },
        { { .bps_write = INT64_MAX }, "must be within" },
        { { .bps_write = -1 }, "must be within" },
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        AUTO_ERROR(error);
        ThrottleLimits limits = rows[i].limits;
        int64_t *lengths[] = { &limits.iops_total_max_length, &limits.iops_read_max_length,
                               &limits.iops_write_max_length, &limits.bps_total_max_length,
                               &limits.bps_read_max_length, &limits.bps_write_max_length };
        for (size_t j = 0; j < G_N_ELEMENTS(lengths); j++) {
            *lengths[j] = *lengths[j] ? *lengths[j] : 1;
        }
        g_assert_false(throttle_check(&limits, &error));
        g_assert_nonnull(strstr(error_message(error), rows[i].words));
    }
}

typedef struct Waiting {
    BlockRequest request;
    struct iovec piece;
    uint8_t bytes[512];
    unsigned *left;
} Waiting;

static void waiting_done(BlockRequest *request, int error)
{
    Waiting *waiting = request->data;
    g_assert_cmpint(error, ==, 0);
    --*waiting->left;
}

/* One request an hour: what waits goes when there is a drain, in a group of two members. */
static void test_throttled_drain(void)
{
    Rig rig;
    rig_init(&rig);
    AUTO_ERROR(error);
    refuse(&rig, "{'driver': 'throttle', 'throttle-group': 'g', 'file': 'DISK'}", "'g' does not exist");
    ThrottleGroup *group = throttle_group_get(rig.graph, "g", &error);
    ThrottleLimits limits;
    throttle_group_limits(group, &limits);
    limits.bps_total = 10;
    g_assert_true(throttle_group_set_limits(group, &limits, &error));
    BlockEdge *edge = open_edge(&rig, "{'driver': 'throttle', 'throttle-group': 'g', 'file': {'filename': 'DISK'}}");
    BlockEdge *other = open_edge(&rig, "{'driver': 'throttle', 'throttle-group': 'g', 'file': {'filename': 'OTHER'}}");
    Waiting all[20];
    unsigned left = G_N_ELEMENTS(all);
    for (unsigned i = 0; i < G_N_ELEMENTS(all); i++) {
        all[i] = (Waiting){ .piece = { all[i].bytes, 512 }, .left = &left };
        all[i].request = (BlockRequest){ .operation = i % 3 ? BLOCK_READ : BLOCK_WRITE, .offset = i * 512, .bytes = 512,
                                         .vectors = { &all[i].piece, 1, 0 }, .done = waiting_done, .data = &all[i] };
        block_submit(i % 2 ? edge : other, &all[i].request);
    }
    block_loop_poll(block_runtime_main(block_graph_runtime(rig.graph)), false);
    g_assert_cmpuint(left, >=, G_N_ELEMENTS(all) - 3); /* one of each direction, and one that the first let go */
    block_graph_drain_begin(rig.graph);
    g_assert_cmpuint(left, ==, 0);
    block_graph_drain_end(rig.graph);
    block_detach(edge);
    block_detach(other);
    throttle_group_unref(group);
    rig_clear(&rig);
}

/* Requests that wait for their time are given up; those that have begun are not. */

static void cancelled_or_not(BlockRequest *request, int error)
{
    Waiting *waiting = request->data;
    g_assert_true(error == ECANCELED || error == 0);
    *waiting->left += error == ECANCELED ? 1000 : 1;
}

static void submit_reads(BlockEdge *edge, Waiting *all, unsigned count, unsigned *sum)
{
    for (unsigned i = 0; i < count; i++) {
        all[i] = (Waiting){ .piece = { all[i].bytes, 512 }, .left = sum };
        all[i].request = (BlockRequest){ .operation = BLOCK_READ, .offset = i * 512, .bytes = 512,
                                         .vectors = { &all[i].piece, 1, 0 }, .done = cancelled_or_not,
                                         .data = &all[i] };
        block_submit(edge, &all[i].request);
    }
}

static void test_cancel(void)
{
    Rig rig;
    rig_init(&rig);
    AUTO_ERROR(error);
    Waiting all[5];
    unsigned sum = 0;
    ThrottleGroup *group = throttle_group_get(rig.graph, "g", &error);
    ThrottleLimits limits;
    throttle_group_limits(group, &limits);
    limits.bps_total = 10;
    g_assert_true(throttle_group_set_limits(group, &limits, &error));
    BlockEdge *edge = open_edge(&rig, "{'driver': 'raw', 'file': {'filename': 'DISK'}}");
    block_edge_set_throttle(edge, group);
    submit_reads(edge, all, 5, &sum);
    block_loop_poll(block_runtime_main(block_graph_runtime(rig.graph)), false);
    for (unsigned i = 2; i < 5; i++) { /* one that waits for room or its turn, and those behind */
        block_cancel(&all[i].request);
    }
    while (sum < 3000) {
        block_loop_poll(block_runtime_main(block_graph_runtime(rig.graph)), true);
    }
    block_edge_set_throttle(edge, NULL); /* which lets the others go */
    block_edge_drain(edge);
    g_assert_cmpuint(sum, ==, 3002);
    block_detach(edge);
    throttle_group_unref(group);
    sum = 0;
    edge = open_edge(&rig, "{'driver': 'null-co', 'latency-ns': 3600000000000}");
    submit_reads(edge, all, 2, &sum);
    block_cancel(&all[0].request);
    block_cancel(&all[1].request);
    block_edge_drain(edge);
    g_assert_cmpuint(sum, ==, 2000);
    block_detach(edge);
    edge = open_edge(&rig, "{'driver': 'raw', 'file': {'filename': 'DISK'}}");
    sum = 0;
    block_graph_drain_begin(rig.graph);
    submit_reads(edge, all, 2, &sum);
    block_cancel(&all[1].request);
    block_graph_drain_end(rig.graph);
    while (sum < 1001) {
        block_loop_poll(block_runtime_main(block_graph_runtime(rig.graph)), true);
    }
    block_detach(edge);
    rig_clear(&rig);
}

/* Other filters */

static void test_copy_on_read(void)
{
    Rig rig;
    rig_init(&rig);
    AUTO_ERROR(error);
    Json *options = json_parse("{'size': '1M', 'cluster_size': '4k'}", 36, NULL);
    memory_disk_clear(&rig.other);
    g_assert_true(block_create(rig.graph, block_driver_find("qcow2"), rig.other_name, options, &error));
    json_free(options);
    BlockEdge *edge = open_edge(&rig, "{'driver': 'copy-on-read', 'file': {'driver': 'qcow2', 'node-name': 'top', "
                                      "'file': {'filename': 'OTHER'}, 'backing': {'driver': 'raw', 'file': "
                                      "{'filename': 'DISK'}}}}");
    BlockEdge *top = block_attach(block_node_find(rig.graph, "top"), "top", BLOCK_PERMISSION_READ,
                                  BLOCK_PERMISSION_ALL, &error);
    BlockStatus status;
    expect(edge, 5000, 0x11, 100);
    g_assert_cmpint(block_status(top, 4096, 4096, &status), ==, 0);
    g_assert_true(status.allocated && status.bytes == 4096);
    g_assert_cmpint(block_status(top, 0, 4096, &status), ==, 0);
    g_assert_false(status.allocated);
    g_assert_cmpint(fill(edge, 10000, 0x22, 100), ==, 0);
    expect(edge, 10000, 0x22, 100);
    expect(edge, 10100, 0x11, 500);
    g_assert_cmpstr(block_node_file_name(block_edge_node(block_node_backing(block_edge_node(edge)))), ==,
                    rig.disk_name);
    block_detach(top);
    block_detach(edge);
    rig_clear(&rig);
}

static void test_blkdebug(void)
{
    Rig rig;
    rig_init(&rig);
    refuse(&rig, "{'driver': 'blkdebug', 'image': 'DISK', 'align': 3}", "Cannot find device");
    refuse(&rig, "{'driver': 'blkdebug', 'image': {'filename': 'DISK'}, 'align': 3}", "align 3");
    refuse(&rig, "{'driver': 'blkdebug', 'image': {'filename': 'DISK'}, 'inject-error': [{'event': 'x'}]}", "x");
    BlockEdge *edge = open_edge(&rig, "{'driver': 'raw', 'file': {'driver': 'blkdebug', 'image': {'filename': 'DISK'}, "
                                      "'inject-error': [{'event': 'read_aio', 'state': 2, 'errno': 28, 'once': true}, "
                                      "{'event': 'none', 'sector': 9, 'iotype': 'write'}], "
                                      "'set-state': [{'event': 'write_aio', 'state': 1, 'new_state': 2}]}}");
    expect(edge, 0, 0x11, 512);
    g_assert_cmpint(fill(edge, 4608, 1, 512), ==, EIO); /* which sets the state, too */
    char bytes[512];
    g_assert_cmpint(block_read(edge, 0, bytes, 512), ==, ENOSPC);
    g_assert_cmpint(block_read(edge, 0, bytes, 512), ==, 0);
    unsigned left = 1;
    Waiting waiting = { .piece = { waiting.bytes, 512 }, .left = &left };
    waiting.request = (BlockRequest){ .operation = BLOCK_WRITE, .bytes = 512, .vectors = { &waiting.piece, 1, 0 },
                                      .done = waiting_done, .data = &waiting };
    g_assert_cmpint(blkdebug_break(edge, "write_aio", "here"), ==, 0);
    g_assert_cmpint(blkdebug_break(edge, "nothing", "here"), ==, ENOENT);
    block_submit(edge, &waiting.request);
    block_loop_poll(block_runtime_main(block_graph_runtime(rig.graph)), false);
    g_assert_true(blkdebug_is_suspended(edge, "here"));
    g_assert_cmpint(blkdebug_resume(edge, "there"), ==, ENOENT);
    g_assert_cmpint(blkdebug_resume(edge, "here"), ==, 0);
    block_edge_drain(edge);
    g_assert_cmpuint(left, ==, 0);
    block_detach(edge);
    rig_clear(&rig);
}

/* Requests are cut and padded to what the node says it takes. */
static void test_blkdebug_limits(void)
{
    Rig rig;
    rig_init(&rig);
    BlockEdge *edge = open_edge(&rig, "{'driver': 'blkdebug', 'image': {'filename': 'DISK'}, 'align': 4096, "
                                      "'max-transfer': 8192, 'opt-write-zero': 8192, 'max-write-zero': 16384}");
    g_assert_cmpint(fill(edge, 100, 0x33, 50000), ==, 0);
    expect(edge, 0, 0x11, 100);
    expect(edge, 100, 0x33, 50000);
    expect(edge, 50100, 0x11, 1000);
    g_assert_cmpint(block_write_zeroes(edge, 5000, 40000, 0), ==, 0);
    expect(edge, 100, 0x33, 4900);
    expect(edge, 5000, 0, 40000);
    expect(edge, 45000, 0x33, 5100);
    block_detach(edge);
    rig_clear(&rig);
}

static void test_blkverify(void)
{
    Rig rig;
    rig_init(&rig);
    static const char options[] = "{'driver': 'blkverify', 'raw': {'filename': 'DISK'}, 'test': {'driver': 'raw', "
                                  "'file': {'filename': 'OTHER'}}}";
    if (g_test_subprocess()) {
        rig.other.bytes[70000] = 0;
        expect(open_edge(&rig, options), 69632, 0x11, 4096);
        return;
    }
    BlockEdge *edge = open_edge(&rig, options);
    g_assert_cmpint(fill(edge, 1000, 0x44, 3000), ==, 0);
    g_assert_cmpint(block_write_zeroes(edge, 8192, 4096, 0), ==, 0);
    expect(edge, 1000, 0x44, 3000);
    expect(edge, 8192, 0, 4096);
    g_assert_cmpmem(rig.disk.bytes, SIZE, rig.other.bytes, SIZE);
    block_detach(edge);
    rig_clear(&rig);
    g_test_trap_subprocess(NULL, 0, 0);
    g_test_trap_assert_failed();
    g_test_trap_assert_stderr("*blkverify: read offset=69632 bytes=4096 contents mismatch at offset 70000*");
}

static void test_log(void)
{
    Rig rig;
    rig_init(&rig);
    memory_disk_clear(&rig.other);
    static const char options[] =
        "{'driver': 'blklogwrites', 'file': {'filename': 'DISK'}, 'log': {'filename': 'OTHER'}}";
    BlockEdge *edge = open_edge(&rig, options);
    g_assert_cmpint(fill(edge, 1024, 0x55, 1024), ==, 0);
    g_assert_cmpint(block_flush(edge), ==, 0);
    block_detach(edge);
    const uint8_t *log = rig.other.bytes;
    g_assert_cmpuint(load_le64(log), ==, 0x6a736677736872);
    g_assert_cmpuint(load_le64(log + 16), ==, 2); /* entries */
    g_assert_cmpuint(load_le32(log + 24), ==, 512);
    g_assert_cmpuint(load_le64(log + 512), ==, 2); /* sector, sectors, flags, bytes */
    g_assert_cmpuint(load_le64(log + 520), ==, 2);
    g_assert_cmpuint(load_le64(log + 528), ==, 0);
    g_assert_cmpuint(log[1024], ==, 0x55);
    g_assert_cmpuint(load_le64(log + 2048 + 16), ==, 1); /* the flush */
    edge = open_edge(&rig, "{'driver': 'blklogwrites', 'file': {'filename': 'DISK'}, 'log': {'filename': 'OTHER'}, "
                           "'log-append': true}");
    g_assert_cmpint(block_write_zeroes(edge, 0, 512, BLOCK_FUA), ==, 0);
    block_detach(edge);
    g_assert_cmpuint(load_le64(rig.other.bytes + 16), >=, 3);
    memset(rig.other.bytes, 0, 8);
    refuse(&rig, "{'driver': 'blklogwrites', 'file': {'filename': 'DISK'}, 'log': {'filename': 'OTHER'}, "
                 "'log-append': true}", "magic");
    rig_clear(&rig);
}

static void test_preallocate(void)
{
    Rig rig;
    rig_init(&rig);
    BlockEdge *edge = open_edge(&rig, "{'driver': 'preallocate', 'prealloc-size': '2M', 'prealloc-align': '64k', "
                                      "'file': {'filename': 'DISK'}}");
    g_assert_true(block_resize(edge, SIZE + 4096, PREALLOC_MODE_OFF, NULL));
    g_assert_cmpint(fill(edge, SIZE, 0x66, 4096), ==, 0);
    g_assert_cmpuint(block_node_size(block_edge_node(edge)), ==, SIZE + 4096);
    block_detach(edge);
    g_assert_cmpuint(rig.disk.size, ==, SIZE + 4096);
    g_assert_cmpuint(rig.disk.bytes[SIZE + 4095], ==, 0x66);
    refuse(&rig, "{'driver': 'preallocate', 'prealloc-align': 100, 'file': {'filename': 'DISK'}}", "aligned");
    rig_clear(&rig);
}

static void test_compress(void)
{
    Rig rig;
    rig_init(&rig);
    AUTO_ERROR(error);
    refuse(&rig, "{'driver': 'compress', 'file': {'filename': 'DISK'}}", "not supported for underlying format");
    Json *options = json_parse("{'size': '100k'}", 16, NULL);
    memory_disk_clear(&rig.other);
    g_assert_true(block_create(rig.graph, block_driver_find("qcow2"), rig.other_name, options, &error));
    json_free(options);
    BlockEdge *edge = open_edge(&rig, "{'driver': 'compress', 'file': {'driver': 'qcow2', "
                                      "'file': {'filename': 'OTHER'}}}");
    g_assert_cmpint(fill(edge, 0, 0x77, 65536), ==, 0);
    g_assert_cmpint(fill(edge, 65536 + 5000, 0x78, 1000), ==, 0); /* a part of the last one, which is shorter */
    expect(edge, 0, 0x77, 65536);
    expect(edge, 65536 + 5000, 0x78, 1000);
    expect(edge, 65536, 0, 5000);
    BlockStatus status;
    g_assert_cmpint(block_status(edge, 0, 65536, &status), ==, 0);
    g_assert_true(status.compressed);
    block_detach(edge);
    rig_clear(&rig);
}

/* Opening afresh */

static BlockNode *find(Rig *rig, const char *name)
{
    BlockNode *node = block_node_find(rig->graph, name);
    if (!node) {
        g_error("there is no node '%s'", name);
    }
    return node;
}

static bool reopen(Rig *rig, const char *name, const char *options, unsigned flags, Error **error)
{
    BlockReopen change = { .node = find(rig, name), .options = json_parse(options, strlen(options), NULL),
                           .flags = flags, .keep = true };
    return block_reopen(rig->graph, &change, 1, error);
}

static void test_reopen(void)
{
    Rig rig;
    rig_init(&rig);
    AUTO_ERROR(error);
    Json *options = json_parse("{'size': '1M'}", 14, NULL);
    memory_disk_clear(&rig.other);
    g_assert_true(block_create(rig.graph, block_driver_find("qcow2"), rig.other_name, options, &error));
    json_free(options);
    BlockNode *node = try_open(&rig, "{'driver': 'qcow2', 'node-name': 'q', 'file': {'filename': 'OTHER', 'node-name': "
                                     "'f'}}", &error);
    BlockEdge *edge = block_attach(node, "the test", ALL, BLOCK_PERMISSION_ALL, &error);
    g_assert_cmpint(fill(edge, 0, 0x42, 4096), ==, 0);
    g_assert_false(reopen(&rig, "q", "{}", 0, &error)); /* it is written to */
    g_assert_nonnull(strstr(error_message(error), "read-only"));
    g_assert_cmpint(fill(edge, 4096, 0x43, 4096), ==, 0);
    g_assert_false(reopen(&rig, "q", "{'no-such': 1}", BLOCK_OPEN_WRITE, NULL));
    g_assert_false(reopen(&rig, "q", "{'driver': 'raw'}", BLOCK_OPEN_WRITE, NULL));
    expect(edge, 0, 0x42, 4096);
    g_assert_true(reopen(&rig, "q", "{'lazy-refcounts': true, 'discard': 'unmap'}", BLOCK_OPEN_WRITE, NULL));
    g_assert_cmpint(fill(edge, 8192, 0x44, 4096), ==, 0);
    block_detach(edge);
    g_assert_true(reopen(&rig, "q", "{}", 0, NULL));
    g_assert_true(block_node_is_read_only(find(&rig, "q")) && block_node_is_read_only(find(&rig, "f")));
    edge = block_attach(node, "a reader", BLOCK_PERMISSION_READ, BLOCK_PERMISSION_ALL, NULL);
    expect(edge, 0, 0x42, 4096);
    expect(edge, 8192, 0x44, 4096);
    block_detach(edge);
    g_assert_true(reopen(&rig, "q", "{}", BLOCK_OPEN_WRITE, NULL));
    BlockCheck check = { 0 };
    g_assert_true(block_check(node, 0, &check, NULL));
    g_assert_cmpuint(check.corruptions + check.leaks, ==, 0);
    block_node_unref(node);
    rig_clear(&rig);
}

/* One image under several loops */

enum { THREADS = 4, ROUNDS = 300, BATCH = 8 };

typedef struct Worker {
    Rig *rig;
    BlockEdge *edge;
    unsigned number;
    Thread thread;
} Worker;

/* Each has every fourth piece of 3000 bytes, which share clusters and sectors with the others'. */
static void *work(void *data)
{
    Worker *worker = data;
    Loop *outer = loop_new(false, NULL);
    BlockLoop *loop = block_loop_new(block_graph_runtime(worker->rig->graph), outer, NULL);
    for (unsigned round = 0; round < ROUNDS; round++) {
        unsigned slot = round * 7 % 80 * THREADS + worker->number;
        uint8_t value = (uint8_t)(slot + round / 80 * 3 + 1);
        g_assert_cmpint(fill(worker->edge, slot * 3000, value, 3000), ==, 0);
        expect(worker->edge, slot * 3000, value, 3000);
        if (round % 50 == 49) {
            g_assert_cmpint(block_flush(worker->edge), ==, 0);
        }
    }
    block_loop_free(loop);
    loop_free(outer);
    return NULL;
}

static void test_loops(const void *data)
{
    Rig rig;
    rig_init(&rig);
    AUTO_ERROR(error);
    const char *made = data;
    Json *options = json_parse(made, strlen(made), NULL);
    memory_disk_clear(&rig.other);
    rig.other.keeps = true; /* its requests end later */
    g_assert_true(block_create(rig.graph, block_driver_find("qcow2"), rig.other_name, options, &error));
    json_free(options);
    BlockEdge *edge = open_edge(&rig, "{'driver': 'qcow2', 'discard': 'unmap', 'file': {'filename': 'OTHER'}}");
    Worker workers[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (Worker){ .rig = &rig, .edge = edge, .number = i };
        g_assert_true(thread_start(&workers[i].thread, "worker", work, &workers[i], NULL));
    }
    for (unsigned i = 0; i < 30; i++) { /* meanwhile the graph changes */
        block_graph_drain_begin(rig.graph);
        block_graph_drain_end(rig.graph);
        block_loop_poll(block_runtime_main(block_graph_runtime(rig.graph)), false);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        thread_join(&workers[i].thread);
    }
    for (unsigned round = ROUNDS - 80; round < ROUNDS; round++) {
        for (unsigned i = 0; i < THREADS; i++) {
            unsigned slot = round * 7 % 80 * THREADS + i;
            expect(edge, slot * 3000, (uint8_t)(slot + round / 80 * 3 + 1), 3000);
        }
    }
    BlockCheck check = { 0 };
    g_assert_true(block_check(block_edge_node(edge), 0, &check, NULL));
    g_assert_cmpuint(check.corruptions + check.leaks, ==, 0);
    block_detach(edge);
    rig_clear(&rig);
}

int main(int count, char **arguments)
{
    g_test_init(&count, &arguments, NULL);
    g_test_add_func("/filters/throttle/buckets", test_buckets);
    g_test_add_func("/filters/throttle/bursts", test_bursts);
    g_test_add_func("/filters/throttle/refusals", test_limits_that_do_not_fit);
    g_test_add_func("/filters/throttle/drain", test_throttled_drain);
    g_test_add_func("/cancel", test_cancel);
    g_test_add_func("/filters/copy-on-read", test_copy_on_read);
    g_test_add_func("/filters/blkdebug/rules", test_blkdebug);
    g_test_add_func("/filters/blkdebug/limits", test_blkdebug_limits);
    g_test_add_func("/filters/blkverify", test_blkverify);
    g_test_add_func("/filters/blklogwrites", test_log);
    g_test_add_func("/filters/preallocate", test_preallocate);
    g_test_add_func("/filters/compress", test_compress);
    g_test_add_func("/reopen", test_reopen);
    g_test_add_data_func("/loops/plain", "{'size': '1M', 'cluster_size': '4k'}", test_loops);
    g_test_add_data_func("/loops/subclusters", "{'size': '1M', 'cluster_size': '16k', 'extended_l2': 'on'}",
                         test_loops);
    return g_test_run();
}
