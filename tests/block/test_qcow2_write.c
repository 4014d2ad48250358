/*
 * Writing of qcow2 images: every kind of them made, written to at random with a copy in memory beside, reopened,
 * checked. Where QEMU's qemu-img is found, it checks and reads each image too.
 */
#include "api/json.h"
#include "base/error.h"
#include "block/bitmap.h"
#include "block/image.h"
#include "rig.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* Making and opening */

/* `options`: "key=value,..."; %s in a value is the folder. */
static Json *create_options(const Rig *rig, const char *options, uint64_t size)
{
    Json *json = json_object();
    g_auto(GStrv) items = g_strsplit(options ? options : "", ",", -1);
    for (char **item = items; *item && **item; item++) {
        g_auto(GStrv) pair = g_strsplit(*item, "=", 2);
        g_auto(GStrv) parts = g_strsplit(pair[1], "%s", 2);
        g_autofree char *value = g_strjoinv(rig->folder, parts);
        json_set(json, pair[0], json_string(value));
    }
    g_autofree char *text = g_strdup_printf("%" G_GUINT64_FORMAT, size);
    json_set(json, "size", json_string(text));
    return json;
}

static bool make(const Rig *rig, const char *name, const char *options, uint64_t size, Error **error)
{
    g_autofree char *path = path_of(rig, name);
    Json *json = create_options(rig, options, size);
    bool ok = block_create(rig->graph, block_driver_find("qcow2"), path, json, error);
    json_free(json);
    return ok;
}

static void must(bool ok, Error **error)
{
    if (!ok) {
        g_error("%s", error_message(*error));
    }
}

static BlockEdge *open_image(const Rig *rig, const char *name, const char *options)
{
    AUTO_ERROR(error);
    g_autofree char *path = path_of(rig, name);
    Json *json = json_parse(options ? options : "{}", strlen(options ? options : "{}"), NULL);
    BlockNode *node = block_open(rig->graph, path, json, BLOCK_OPEN_WRITE, &error);
    must(node, &error);
    BlockEdge *edge = block_attach(node, "the test", BLOCK_PERMISSION_ALL, BLOCK_PERMISSION_READ, &error);
    must(edge, &error);
    block_node_unref(node);
    return edge;
}

static void report_line(void *data, const char *line) { g_test_message("%s", line); }

static void expect_clean(BlockEdge *edge)
{
    AUTO_ERROR(error);
    BlockCheck check = { .report = report_line };
    must(block_check(block_edge_node(edge), 0, &check, &error), &error);
    g_assert_cmpuint(check.corruptions, ==, 0);
    g_assert_cmpuint(check.leaks, ==, 0);
    g_assert_cmpuint(check.check_errors, ==, 0);
}

/* What qemu-img says. */
static void ask_peer(const Rig *rig, const char *name, const char *expected, uint64_t size)
{
    g_autofree char *path = path_of(rig, name), *raw = path_of(rig, "peer.raw"), *bytes = NULL, *output = NULL;
    const char *folder = g_getenv("QEMU_BIN");
    g_autofree char *peer = folder ? g_build_filename(folder, "qemu-img", NULL) : g_find_program_in_path("qemu-img");
    const char *check[] = { peer, "check", path, NULL };
    const char *convert[] = { peer, "convert", "-O", "raw", path, raw, NULL };
    int status = 0;
    gsize length = 0;
    if (!peer) {
        return;
    }
    g_assert_true(g_spawn_sync(NULL, (char **)check, NULL, G_SPAWN_DEFAULT, NULL, NULL, &output, NULL, &status, NULL));
    if (status) {
        g_error("qemu-img check: %s", output);
    }
    g_assert_true(g_spawn_sync(NULL, (char **)convert, NULL, G_SPAWN_DEFAULT, NULL, NULL, NULL, NULL, &status, NULL));
    g_assert_cmpint(status, ==, 0);
    g_assert_true(g_file_get_contents(raw, &bytes, &length, NULL));
    g_assert_cmpuint(length, ==, size);
    g_assert_true(memcmp(bytes, expected, size) == 0);
}

/* Random work, with a copy beside */

typedef struct Work {
    Rig *rig;
    BlockEdge *edge;
    char *copy;
    uint64_t size;
} Work;

static void fill(GRand *random, char *bytes, size_t count, bool dull)
{
    uint32_t value = g_rand_int(random) | 1;
    for (size_t i = 0; i < count; i++) {
        value = dull ? value : value * 1664525 + 1013904223;
        bytes[i] = (char)(value >> 24);
    }
}

static uint64_t pick(Work *work, uint64_t limit)
{
    return (uint64_t)(g_rand_double(work->rig->random) * (double)limit);
}

static void do_write(Work *work, uint64_t from, uint64_t count)
{
    fill(work->rig->random, work->copy + from, count, g_rand_boolean(work->rig->random));
    g_assert_cmpint(block_write(work->edge, from, work->copy + from, count, 0), ==, 0);
}

/* Some clusters become smaller, others do not. */
static void do_compressed(Work *work, uint64_t from, uint64_t cluster)
{
    from -= from % cluster;
    uint64_t count = cluster * (1 + pick(work, 20));
    count = MIN(count, work->size - from);
    for (uint64_t at = 0; at < count; at += cluster) {
        fill(work->rig->random, work->copy + from + at, MIN(cluster, count - at), g_rand_boolean(work->rig->random));
    }
    int error = block_write(work->edge, from, work->copy + from, count, BLOCK_COMPRESSED);
    if (error == ENOTSUP) {
        error = block_write(work->edge, from, work->copy + from, count, 0);
    }
    g_assert_cmpint(error, ==, 0);
}

static void do_zeroes(Work *work, uint64_t from, uint64_t count)
{
    memset(work->copy + from, 0, count);
    unsigned flags = g_rand_boolean(work->rig->random) ? BLOCK_MAY_UNMAP : 0;
    g_assert_cmpint(block_write_zeroes(work->edge, from, count, flags), ==, 0);
}

/* What may have been discarded is read back. */
static void do_discard(Work *work, uint64_t from, uint64_t count)
{
    g_assert_cmpint(block_discard(work->edge, from, count), ==, 0);
    g_assert_cmpint(block_read(work->edge, from, work->copy + from, count), ==, 0);
}

static void check_contents(Work *work)
{
    g_autofree char *bytes = g_malloc(work->size);
    g_assert_cmpint(block_read(work->edge, 0, bytes, work->size), ==, 0);
    for (uint64_t i = 0; i < work->size; i++) {
        if (bytes[i] != work->copy[i]) {
            g_error("byte %" G_GUINT64_FORMAT " is %02x, not %02x", i, (uint8_t)bytes[i], (uint8_t)work->copy[i]);
        }
    }
}

static void work_some(Work *work, unsigned count)
{
    BlockFacts facts;
    block_node_facts(block_edge_node(work->edge), &facts);
    json_free(facts.specific);
    for (unsigned i = 0; i < count; i++) {
        uint64_t from = pick(work, work->size), longest = pick(work, 8) ? 3 * facts.cluster_bytes : work->size;
        uint64_t length = 1 + pick(work, MIN(longest, work->size - from));
        length = MIN(length, work->size - from);
        switch (g_rand_int_range(work->rig->random, 0, 30) ) {
        case 0 ... 2:
            do_zeroes(work, from, length);
            break;
        case 3 ... 5:
            do_discard(work, from, length);
            break;
        case 6 ... 8:
            do_compressed(work, from, facts.cluster_bytes);
            break;
        case 9:
            g_assert_cmpint(block_flush(work->edge), ==, 0);
            break;
        default:
            do_write(work, from, length);
        }
    }
    check_contents(work);
}

static void resize(Work *work, uint64_t size)
{
    AUTO_ERROR(error);
    must(block_resize(work->edge, size, 0, &error), &error);
    work->copy = g_realloc(work->copy, size);
    if (size > work->size) {
        memset(work->copy + work->size, 0, size - work->size);
    }
    work->size = size;
    check_contents(work);
}

/* The kinds */

typedef struct Kind {
    const char *name, *options;
    uint64_t size;
    const char *open_options;
} Kind;

static const Kind kinds[] = {
    { "v2-512", "compat=v2,cluster_size=512", 300 << 10 },
    { "v2-64k", "compat=v2", 12 << 20 },
    { "v3-512", "cluster_size=512", 300 << 10 },
    { "v3-512-rc64", "cluster_size=512,refcount_bits=64", 1 << 20 },
    { "v3-1k", "cluster_size=1k", 600 << 10 },
    { "v3-4k", "cluster_size=4k", 4 << 20 },
    { "v3-64k", "", 12 << 20 },
    { "v3-2m", "cluster_size=2M", 24 << 20 },
    { "refcounts-1", "cluster_size=4k,refcount_bits=1", 2 << 20 },
    { "refcounts-2", "cluster_size=4k,refcount_bits=2", 2 << 20 },
    { "refcounts-4", "cluster_size=4k,refcount_bits=4", 2 << 20 },
    { "refcounts-8", "cluster_size=4k,refcount_bits=8", 2 << 20 },
    { "refcounts-32", "cluster_size=4k,refcount_bits=32", 2 << 20 },
    { "refcounts-64", "cluster_size=4k,refcount_bits=64", 2 << 20 },
    { "lazy", "cluster_size=4k,lazy_refcounts=on", 2 << 20 },
    { "extended-16k", "cluster_size=16k,extended_l2=on", 4 << 20 },
    { "extended-64k", "extended_l2=on", 12 << 20 },
    { "zstd", "compression_type=zstd", 4 << 20 },
    { "zstd-extended", "compression_type=zstd,extended_l2=on,cluster_size=32k", 4 << 20 },
    { "data-file", "cluster_size=4k,data_file=%s/data", 2 << 20 },
    { "data-file-raw", "data_file=%s/data,data_file_raw=on", 6 << 20 },
    { "data-file-extended", "extended_l2=on,data_file=%s/data", 6 << 20 },
    { "metadata", "preallocation=metadata", 6 << 20 },
    { "metadata-extended", "preallocation=metadata,extended_l2=on", 6 << 20 },
    { "falloc", "preallocation=falloc,cluster_size=4k", 2 << 20 },
    { "full", "preallocation=full", 2 << 20 },
    { "small-caches", "cluster_size=512", 1 << 20, "{'l2-cache-size': 1024, 'refcount-cache-size': 1024}" },
    { "discard", "cluster_size=4k", 2 << 20, "{'discard': 'unmap'}" },
    { "direct", "cluster_size=4k", 2 << 20, "{'cache': {'direct': true}}" },
};

static void test_kind(gconstpointer data)
{
    const Kind *kind = data;
    AUTO_ERROR(error);
    Rig rig = rig_new(1);
    Work work = { .rig = &rig, .size = kind->size, .copy = g_malloc0(kind->size) };
    must(make(&rig, "image", kind->options, kind->size, &error), &error);
    for (unsigned round = 0; round < 4; round++) {
        work.edge = open_image(&rig, "image", kind->open_options);
        expect_clean(work.edge);
        check_contents(&work);
        work_some(&work, 90);
        g_assert_cmpint(block_flush(work.edge), ==, 0);
        if (round == 1) {
            resize(&work, kind->size * 2);
        } else if (round == 2) {
            resize(&work, kind->size / 2 + 512);
        }
        block_detach(work.edge);
        ask_peer(&rig, "image", work.copy, work.size);
    }
    g_free(work.copy);
    rig_free(&rig);
}

/* Over a backing file, which is smaller and then larger. */
static void test_backing(gconstpointer data)
{
    AUTO_ERROR(error);
    const char *options = data;
    Rig rig = rig_new(2);
    uint64_t size = 3 << 20, base_size = GPOINTER_TO_SIZE(strstr(options, "larger")) ? size * 2 : size / 2 + 512;
    g_autofree char *base = path_of(&rig, "base"), *bytes = g_malloc(base_size);
    g_autofree char *all = g_strdup_printf("%s,backing_fmt=raw,backing_file=%s", strchr(options, ' ') + 1, base);
    Work work = { .rig = &rig, .size = size, .copy = g_malloc0(size) };
    fill(rig.random, bytes, base_size, false);
    g_assert_true(g_file_set_contents(base, bytes, (gssize)base_size, NULL));
    memcpy(work.copy, bytes, MIN(size, base_size));
    must(make(&rig, "image", all, size, &error), &error);
    for (unsigned round = 0; round < 3; round++) {
        work.edge = open_image(&rig, "image", NULL);
        check_contents(&work);
        work_some(&work, 80);
        if (round == 1) {
            resize(&work, size * 2);
        }
        expect_clean(work.edge);
        block_detach(work.edge);
        ask_peer(&rig, "image", work.copy, work.size);
    }
    g_free(work.copy);
    rig_free(&rig);
}

/* Many requests at once */

typedef struct Storm {
    BlockRequest request;
    struct iovec piece;
    char bytes[8192];
    unsigned *left;
} Storm;

static void storm_done(BlockRequest *request, int error)
{
    Storm *storm = request->data;
    g_assert_cmpint(error, ==, 0);
    --*storm->left;
}

static void test_storm(void)
{
    enum { REQUESTS = 64, ROUNDS = 30, SIZE = 4 << 20 };
    AUTO_ERROR(error);
    Rig rig = rig_new(3);
    Work work = { .rig = &rig, .size = SIZE, .copy = g_malloc0(SIZE) };
    Storm *storms = g_new0(Storm, REQUESTS);
    must(make(&rig, "image", "cluster_size=4k", SIZE, &error), &error);
    work.edge = open_image(&rig, "image", "{'discard': 'unmap'}");
    for (unsigned round = 0; round < ROUNDS; round++) {
        unsigned left = REQUESTS;
        for (unsigned i = 0; i < REQUESTS; i++) { /* each has a place of its own */
            Storm *storm = &storms[i];
            uint64_t share = SIZE / REQUESTS, from = i * share + pick(&work, share - sizeof storm->bytes);
            BlockOperation operation = (BlockOperation)g_rand_int_range(rig.random, BLOCK_WRITE, BLOCK_DISCARD);
            size_t count = 1 + pick(&work, sizeof storm->bytes);
            fill(rig.random, storm->bytes, count, false);
            if (operation == BLOCK_WRITE) {
                memcpy(work.copy + from, storm->bytes, count);
            } else {
                memset(work.copy + from, 0, count);
            }
            storm->piece = (struct iovec){ storm->bytes, count };
            storm->left = &left;
            storm->request = (BlockRequest){ .operation = operation, .offset = from, .bytes = count,
                                             .vectors = { &storm->piece, 1, 0 }, .done = storm_done, .data = storm,
                                             .flags = operation == BLOCK_WRITE_ZEROES ? BLOCK_MAY_UNMAP : 0 };
            block_submit(work.edge, &storm->request);
        }
        while (left > 0) {
            block_loop_poll(block_runtime_main(block_graph_runtime(rig.graph)), true);
        }
    }
    check_contents(&work);
    expect_clean(work.edge);
    block_detach(work.edge);
    ask_peer(&rig, "image", work.copy, work.size);
    g_free(storms);
    g_free(work.copy);
    rig_free(&rig);
}

/* What is refused */

static void test_create_errors(void)
{
    static const struct {
        const char *options, *text;
    } cases[] = {
        { "cluster_size=3", "power of two" },
        { "cluster_size=4M", "power of two" },
        { "refcount_bits=3", "Refcount width" },
        { "refcount_bits=128", "Refcount width" },
        { "compat=v2,lazy_refcounts=on", "Lazy refcounts only supported" },
        { "compat=v2,refcount_bits=8", "Different refcount widths" },
        { "compat=v2,compression_type=zstd", "Non-zlib" },
        { "extended_l2=on,cluster_size=8k", "Extended L2 entries" },
        { "data_file_raw=on", "data-file-raw requires data-file" },
        { "nonsense=1", "Invalid parameter 'nonsense'" },
        { "compat=v9", "compat" },
    };
    Rig rig = rig_new(4);
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        AUTO_ERROR(error);
        g_assert_false(make(&rig, "image", cases[i].options, 1 << 20, &error));
        g_assert_nonnull(strstr(error_message(error), cases[i].text));
    }
    AUTO_ERROR(error);
    g_assert_false(make(&rig, "image", "cluster_size=512", UINT64_C(1) << 50, &error));
    g_assert_nonnull(strstr(error_message(error), "too large"));
    rig_free(&rig);
}

/* Damage, and its repair */

static void damage(const Rig *rig, const char *name, uint64_t at, const void *bytes, size_t count)
{
    g_autofree char *path = path_of(rig, name);
    FILE *file = fopen(path, "r+");
    g_assert_nonnull(file);
    g_assert_true(fseek(file, (long)at, SEEK_SET) == 0 && fwrite(bytes, count, 1, file) == 1 && fclose(file) == 0);
}

static void check_and_repair(const Rig *rig, bool leak)
{
    AUTO_ERROR(error);
    g_autofree char *path = path_of(rig, "image");
    BlockNode *node = block_open(rig->graph, path, NULL, 0, &error);
    must(node, &error);
    BlockCheck check = { .report = report_line };
    must(block_check(node, 0, &check, &error), &error);
    g_assert_cmpuint(check.leaks > 0, ==, leak);
    g_assert_cmpuint(check.corruptions > 0, ==, !leak);
    block_node_unref(node);
    node = block_open(rig->graph, path, NULL, BLOCK_OPEN_WRITE, &error);
    must(node, &error);
    check = (BlockCheck){ .report = report_line };
    must(block_check(node, BLOCK_FIX_LEAKS | BLOCK_FIX_ERRORS, &check, &error), &error);
    g_assert_cmpuint(check.leaks + check.corruptions, ==, 0);
    g_assert_cmpuint(check.leaks_fixed + check.corruptions_fixed, >, 0);
    block_node_unref(node);
    BlockEdge *edge = open_image(rig, "image", NULL);
    expect_clean(edge);
    block_detach(edge);
}

static void test_repair(void)
{
    AUTO_ERROR(error);
    static const uint8_t one[2] = { 0, 1 }, none[8] = { 0 }, astray[8] = { 0, 0, 0, 0, 0, 0, 2, 1 };
    Rig rig = rig_new(5);
    Work work = { .rig = &rig, .size = 2 << 20, .copy = g_malloc0(2 << 20) };
    must(make(&rig, "image", "cluster_size=4k", work.size, &error), &error);
    work.edge = open_image(&rig, "image", NULL);
    do_write(&work, 0, 1 << 20);
    block_detach(work.edge);
    damage(&rig, "image", 2 * 4096 + 1000 * 2, one, 2); /* the count of cluster 1000, far away */
    check_and_repair(&rig, true);
    damage(&rig, "image", 2 * 4096 + 10 * 2, none, 2); /* of one that is used */
    check_and_repair(&rig, false);
    damage(&rig, "image", 4096, none, 8); /* the only block of counts */
    check_and_repair(&rig, false);
    damage(&rig, "image", 1 * 4096, astray, 8);
    work.edge = open_image(&rig, "image", NULL);
    check_contents(&work);
    work_some(&work, 50);
    expect_clean(work.edge);
    block_detach(work.edge);
    ask_peer(&rig, "image", work.copy, work.size);
    g_free(work.copy);
    rig_free(&rig);
}

/* Persistent bitmaps: what is written is noted, and there when the image is opened again. */

typedef struct Noted {
    BlockBitmap *bitmap;
    const char *name;
    uint64_t granularity;
    uint8_t *expected; /* a byte for each bit */
} Noted;

enum { BITMAP_SIZE = (9 << 20) + 512, LONGEST = 200000 };

static void note(Noted *noted, uint64_t offset, uint64_t bytes)
{
    memset(noted->expected + offset / noted->granularity, 1,
           (offset + bytes - 1) / noted->granularity - offset / noted->granularity + 1);
}

static void compare_bitmap(const Noted *noted)
{
    g_autofree uint8_t *found = g_malloc0(BITMAP_SIZE / 512 + 1);
    uint64_t sum = 0;
    for (uint64_t start = 0, end; block_bitmap_next(noted->bitmap, &start, &end); start = end) {
        g_assert_cmpuint(end, <=, BITMAP_SIZE);
        memset(found + start / noted->granularity, 1, (end - 1) / noted->granularity - start / noted->granularity + 1);
        sum += end - start;
    }
    g_assert_true(memcmp(found, noted->expected, BITMAP_SIZE / 512 + 1) == 0);
    g_assert_cmpuint(block_bitmap_count(noted->bitmap), ==, sum);
}

static void write_and_note(const Rig *rig, BlockEdge *edge, Noted *noted, size_t count)
{
    g_autofree char *data = g_malloc(LONGEST);
    memset(data, 0x5a, LONGEST);
    for (unsigned i = 0; i < 40; i++) {
        uint64_t offset = (uint64_t)g_rand_int_range(rig->random, 0, BITMAP_SIZE - LONGEST);
        uint64_t bytes = (uint64_t)g_rand_int_range(rig->random, 1, LONGEST);
        if (i == 7) {
            offset = BITMAP_SIZE - bytes;
        }
        int number = i % 3 == 2 ? block_write_zeroes(edge, offset, bytes, 0)
                                : block_write(edge, offset, data, bytes, 0);
        g_assert_cmpint(number, ==, 0);
        for (size_t j = 0; j < count; j++) {
            if (noted[j].bitmap->enabled) {
                note(&noted[j], offset, bytes);
            }
        }
    }
}

static void find_bitmaps(BlockEdge *edge, Noted *noted, size_t count)
{
    AUTO_ERROR(error);
    must(block_bitmaps_load(block_edge_node(edge), &error), &error);
    for (size_t i = 0; i < count; i++) {
        noted[i].bitmap = block_bitmap_find(block_edge_node(edge), noted[i].name, &error);
        must(noted[i].bitmap, &error);
        g_assert_false(noted[i].bitmap->inconsistent);
    }
}

static void test_bitmaps(const void *data)
{
    AUTO_ERROR(error);
    Rig rig = rig_new(6);
    Noted noted[] = { { .name = "fine", .granularity = 512 }, { .name = "coarse", .granularity = 1 << 20 },
                      { .name = "off", .granularity = 65536 } };
    must(make(&rig, "image", data, BITMAP_SIZE, &error), &error);
    BlockEdge *edge = open_image(&rig, "image", NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(noted); i++) {
        noted[i].expected = g_malloc0(BITMAP_SIZE / 512 + 1);
        noted[i].bitmap = block_bitmap_add(block_edge_node(edge), noted[i].name, noted[i].granularity, true, &error);
        must(noted[i].bitmap, &error);
    }
    must(block_bitmap_enable(noted[2].bitmap, false, &error), &error);
    for (unsigned round = 0; round < 3; round++) {
        write_and_note(&rig, edge, noted, G_N_ELEMENTS(noted));
        block_detach(edge);
        edge = open_image(&rig, "image", NULL);
        find_bitmaps(edge, noted, G_N_ELEMENTS(noted));
        for (size_t i = 0; i < G_N_ELEMENTS(noted); i++) {
            compare_bitmap(&noted[i]);
        }
        expect_clean(edge);
    }
    must(block_bitmap_merge(noted[2].bitmap, noted[0].bitmap, &error), &error);
    must(block_bitmap_clear(noted[0].bitmap, &error), &error);
    for (size_t i = 0; i < BITMAP_SIZE / 512; i++) {
        noted[2].expected[i / 128] |= noted[0].expected[i];
    }
    memset(noted[0].expected, 0, BITMAP_SIZE / 512 + 1);
    block_detach(edge);
    edge = open_image(&rig, "image", NULL);
    find_bitmaps(edge, noted, G_N_ELEMENTS(noted));
    for (size_t i = 0; i < G_N_ELEMENTS(noted); i++) {
        compare_bitmap(&noted[i]);
        block_bitmap_remove(noted[i].bitmap);
        g_free(noted[i].expected);
    }
    block_detach(edge);
    edge = open_image(&rig, "image", NULL);
    g_assert_null(block_bitmap_at(block_edge_node(edge), 0));
    expect_clean(edge);
    block_detach(edge);
    rig_free(&rig);
}

/* A bitmap that was in use when its program ended is not believed; a file that is damaged is no reason to end. */
static void test_bitmaps_in_use(void)
{
    AUTO_ERROR(error);
    g_autofree char *before = NULL;
    gsize length;
    Rig rig = rig_new(7);
    g_autofree char *path = path_of(&rig, "image");
    must(make(&rig, "image", "", 1 << 20, &error), &error);
    BlockEdge *edge = open_image(&rig, "image", NULL);
    must(block_bitmap_add(block_edge_node(edge), "b", 0, true, &error), &error);
    block_detach(edge);
    edge = open_image(&rig, "image", NULL);
    g_assert_true(g_file_get_contents(path, &before, &length, NULL)); /* as a kill would leave it */
    block_detach(edge);
    g_assert_true(g_file_set_contents(path, before, (gssize)length, NULL));
    edge = open_image(&rig, "image", NULL);
    BlockBitmap *bitmap = block_bitmap_at(block_edge_node(edge), 0);
    g_assert_true(bitmap && bitmap->inconsistent);
    g_assert_false(block_bitmap_clear(bitmap, &error));
    g_assert_nonnull(strstr(error_message(error), "is inconsistent"));
    block_detach(edge);
    edge = open_image(&rig, "image", NULL);
    bitmap = block_bitmap_at(block_edge_node(edge), 0);
    g_assert_true(bitmap && bitmap->inconsistent);
    block_bitmap_remove(bitmap);
    expect_clean(edge);
    block_detach(edge);
    edge = open_image(&rig, "image", NULL);
    expect_clean(edge);
    block_detach(edge);
    rig_free(&rig);
}

/* Every byte of the directory and table changed: opening may fail, nothing else may happen. */
static void test_bitmaps_damaged(void)
{
    AUTO_ERROR(unused);
    Rig rig = rig_new(8);
    g_autofree char *path = path_of(&rig, "image"), *whole = NULL;
    gsize length;
    must(make(&rig, "image", "cluster_size=512", 1 << 20, &unused), &unused);
    BlockEdge *edge = open_image(&rig, "image", NULL);
    must(block_bitmap_add(block_edge_node(edge), "b", 512, true, &unused), &unused);
    g_assert_cmpint(block_write(edge, 4096, "x", 1, 0), ==, 0);
    block_detach(edge);
    g_assert_true(g_file_get_contents(path, &whole, &length, NULL));
    unsigned refused = 0;
    for (unsigned i = 0; i < 300; i++) {
        Error *error = NULL;
        g_autofree char *damaged = g_memdup2(whole, length);
        size_t at = (size_t)g_rand_int_range(rig.random, i % 2 ? 104 : 512, i % 2 ? 200 : (gint32)length);
        damaged[at] = (char)g_rand_int(rig.random);
        g_assert_true(g_file_set_contents(path, damaged, (gssize)length, NULL));
        BlockNode *node = block_open(rig.graph, path, NULL, i % 4 < 2 ? BLOCK_OPEN_WRITE : 0, &error);
        refused += node == NULL || !block_bitmaps_load(node, NULL);
        block_node_unref(node);
        error_free(error);
    }
    g_assert_cmpuint(refused, >, 0);
    rig_free(&rig);
}

int main(int argc, char **argv)
{
    static const char *const backings[] = { "smaller cluster_size=4k", "larger cluster_size=64k",
                                            "smaller-extended cluster_size=16k,extended_l2=on",
                                            "smaller-v2 compat=v2,cluster_size=4k", "larger-512 cluster_size=512" };
    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(kinds); i++) {
        g_autofree char *name = g_strdup_printf("/qcow2-write/kinds/%s", kinds[i].name);
        g_test_add_data_func(name, &kinds[i], test_kind);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(backings); i++) {
        g_auto(GStrv) parts = g_strsplit(backings[i], " ", 2);
        g_autofree char *name = g_strdup_printf("/qcow2-write/backing/%s", parts[0]);
        g_test_add_data_func(name, backings[i], test_backing);
    }
    g_test_add_func("/qcow2-write/storm", test_storm);
    g_test_add_func("/qcow2-write/create-errors", test_create_errors);
    g_test_add_func("/qcow2-write/repair", test_repair);
    g_test_add_data_func("/qcow2-write/bitmaps/plain", "", test_bitmaps);
    g_test_add_data_func("/qcow2-write/bitmaps/512", "cluster_size=512", test_bitmaps);
    g_test_add_data_func("/qcow2-write/bitmaps/lazy", "cluster_size=4k,lazy_refcounts=on", test_bitmaps);
    g_test_add_func("/qcow2-write/bitmaps/in-use", test_bitmaps_in_use);
    g_test_add_func("/qcow2-write/bitmaps/damaged", test_bitmaps_damaged);
    return g_test_run();
}
