/* Reading of qcow2 images: every kind of them, backing files, and images that are broken. */
#include "api/json.h"
#include "base/bytes.h"
#include "base/error.h"
#include "qcow2_image.h"
#include "rig.h"

#include <errno.h>
#include <unistd.h>

static void put_file(const Rig *rig, const char *name, const GByteArray *bytes)
{
    g_autofree char *path = path_of(rig, name);
    image_write(bytes, path);
}

static BlockEdge *open_image(const Rig *rig, const char *name)
{
    AUTO_ERROR(error);
    g_autofree char *path = path_of(rig, name);
    BlockNode *node = block_open(rig->graph, path, NULL, 0, &error);
    if (!node) {
        g_error("%s", error_message(error));
    }
    BlockEdge *edge = block_attach(node, "the test", BLOCK_PERMISSION_READ, BLOCK_PERMISSION_READ, NULL);
    g_assert_nonnull(edge);
    block_node_unref(node);
    return edge;
}

static void expect_refusal(const Rig *rig, const char *name, const char *options, const char *text)
{
    AUTO_ERROR(error);
    g_autofree char *path = path_of(rig, name);
    Json *json = options ? json_parse(options, strlen(options), NULL) : NULL;
    g_assert_null(block_open(rig->graph, path, json, 0, &error));
    if (!strstr(error_message(error), text) || !strstr(error_message(error), rig->folder)) {
        g_error("'%s' does not say '%s' and '%s'", error_message(error), text, rig->folder);
    }
}

/* Contents */

static void check_reads(BlockEdge *edge, const Image *image)
{
    g_autofree uint8_t *bytes = g_malloc(image->size);
    g_assert_cmpuint(block_node_size(block_edge_node(edge)), ==, image->size);
    g_assert_cmpint(block_read(edge, 0, bytes, image->size), ==, 0);
    g_assert_true(memcmp(bytes, image->contents, image->size) == 0);
    for (unsigned i = 0; i < 100; i++) {
        size_t from = (size_t)g_random_int_range(0, (gint32)image->size);
        size_t count = (size_t)g_random_int_range(0, (gint32)MIN(image->size - from, 70000) + 1);
        g_assert_cmpint(block_read(edge, from, bytes, count), ==, 0);
        g_assert_true(memcmp(bytes, image->contents + from, count) == 0);
    }
}

static void check_status(BlockEdge *edge, const Image *image)
{
    for (uint64_t at = 0; at < image->size;) {
        BlockStatus status;
        g_assert_cmpint(block_status(edge, at, image->size - at, &status), ==, 0);
        g_assert_true(status.bytes >= 1 && status.bytes <= image->size - at);
        for (uint64_t i = 0; status.zero && i < status.bytes; i++) {
            g_assert_cmpuint(image->contents[at + i], ==, 0);
        }
        g_assert_false(status.zero && status.data);
        g_assert_true(!status.data || status.has_offset != status.compressed);
        at += status.bytes;
    }
}

static void test_kind(gconstpointer data)
{
    const ImageKind *kind = data;
    size_t cluster = (size_t)1 << kind->cluster_bits;
    for (uint32_t seed = 1; seed <= 2; seed++) {
        Rig rig = rig_new(0);
        Image image = image_new(kind, MIN(201 * cluster, 4u << 20) - 512, NULL, NULL, NULL, 0,
                                kind->external ? "data" : NULL, seed);
        put_file(&rig, "image", image.file);
        put_file(&rig, "data", image.data);
        BlockEdge *edge = open_image(&rig, "image");
        g_assert_cmpstr(block_node_driver_name(block_edge_node(edge)), ==, "qcow2");
        check_reads(edge, &image);
        check_status(edge, &image);
        block_detach(edge);
        image_free(&image);
        rig_free(&rig);
    }
}

/* An image over a smaller one over a raw file that is smaller still. */
static void test_backing(gconstpointer data)
{
    const ImageKind *kind = data;
    Rig rig = rig_new(0);
    GByteArray *raw = g_byte_array_new();
    for (unsigned i = 0; i < 300 << 10; i++) {
        g_byte_array_append(raw, &(uint8_t){ (uint8_t)(i ^ i >> 8) }, 1);
    }
    Image middle = image_new(kind, 1 << 20, "base", "raw", raw->data, raw->len, NULL, 5);
    Image top = image_new(kind, 2 << 20, "middle", NULL, middle.contents, middle.size, NULL, 6);
    put_file(&rig, "base", raw);
    put_file(&rig, "middle", middle.file);
    put_file(&rig, "top", top.file);
    BlockEdge *edge = open_image(&rig, "top");
    check_reads(edge, &top);
    block_detach(edge);
    g_autofree char *alone = path_of(&rig, "top");
    BlockNode *node = block_open(rig.graph, alone, json_parse("{'backing': null}", 17, NULL), 0, NULL);
    g_assert_nonnull(node);
    g_assert_cmpstr(block_edge_name(block_node_child(node, 0)), ==, "file");
    g_assert_null(block_node_child(node, 1));
    block_node_unref(node);
    g_byte_array_unref(raw);
    image_free(&middle);
    image_free(&top);
    rig_free(&rig);
}

/* Broken images */

static const ImageKind plain = { "plain", 3, 16, false, false, false };

static void test_loops(void)
{
    Rig rig = rig_new(0);
    Image a = image_new(&plain, 1 << 20, "./b", NULL, NULL, 0, NULL, 1);
    Image b = image_new(&plain, 1 << 20, "a", NULL, NULL, 0, NULL, 1);
    Image lost = image_new(&plain, 1 << 20, "nowhere", NULL, NULL, 0, NULL, 1);
    put_file(&rig, "a", a.file);
    put_file(&rig, "b", b.file);
    put_file(&rig, "lost", lost.file);
    expect_refusal(&rig, "a", NULL, "infinite loop");
    expect_refusal(&rig, "lost", NULL, "/nowhere");
    image_free(&a);
    image_free(&b);
    image_free(&lost);
    rig_free(&rig);
}

static const struct {
    unsigned at, bytes;
    uint64_t value;
    const char *text;
} broken_headers[] = {
    { 4, 4, 4, "Unsupported qcow2 version 4" },
    { 8, 8, 1 << 20, "Invalid backing file offset" },
    { 20, 4, 8, "Unsupported cluster size" },
    { 20, 4, 22, "Unsupported cluster size" },
    { 20, 4, 0xffffffff, "Unsupported cluster size" },
    { 24, 8, UINT64_MAX, "too big" },
    { 24, 8, UINT64_C(1) << 40, "L1 table is too small" },
    { 32, 4, 1, "encrypted" },
    { 36, 4, 0, "L1 table is too small" },
    { 36, 4, 0x400001, "Active L1 table too large" },
    { 36, 4, 0x400000, "outside the file" },
    { 40, 8, 512, "Active L1 table offset invalid" },
    { 40, 8, UINT64_C(0xffffffffffff0000), "Active L1 table offset invalid" },
    { 48, 8, 1, "Reference count table offset invalid" },
    { 56, 4, 0, "reference count table" },
    { 56, 4, 0xffffffff, "too large" },
    { 60, 4, 0xffffffff, "Snapshot table too large" },
    { 64, 8, 512, "Snapshot table offset invalid" },
    { 72, 8, 1 << 5, "Unknown incompatible feature: 20" },
    { 72, 8, 1 << 3, "Compression type" },
    { 96, 4, 7, "width too large" },
    { 100, 4, 103, "header too short" },
    { 100, 4, 0x20000, "header exceeds cluster size" },
    { 104, 1, 1, "Compression type" },
    { 104, 1, 2, "unknown compression type" },
    { 116, 4, 0xffffffff, "Header extension too large" },
};

static void store(uint8_t *to, unsigned bytes, uint64_t value)
{
    for (unsigned i = 0; i < bytes; i++) {
        to[i] = (uint8_t)(value >> 8 * (bytes - 1 - i));
    }
}

static void test_broken_headers(void)
{
    Rig rig = rig_new(0);
    Image image = image_new(&plain, 1 << 20, NULL, NULL, NULL, 0, NULL, 1);
    for (unsigned i = 0; i < G_N_ELEMENTS(broken_headers); i++) {
        uint8_t before[8];
        memcpy(before, image.file->data + broken_headers[i].at, 8);
        store(image.file->data + broken_headers[i].at, broken_headers[i].bytes, broken_headers[i].value);
        put_file(&rig, "image", image.file);
        expect_refusal(&rig, "image", NULL, broken_headers[i].text);
        memcpy(image.file->data + broken_headers[i].at, before, 8);
    }
    g_byte_array_set_size(image.file, 60);
    put_file(&rig, "image", image.file);
    expect_refusal(&rig, "image", NULL, "header too short");
    g_byte_array_set_size(image.file, 0);
    put_file(&rig, "image", image.file);
    expect_refusal(&rig, "image", "{'driver': 'qcow2'}", "not in qcow2 format");
    image_free(&image);
    rig_free(&rig);
}

/* Entries that lead nowhere are errors of the reads that need them. */
static void test_broken_tables(void)
{
    static const struct {
        bool l1;
        uint64_t entry;
    } broken[] = {
        { true, 0x200 }, { true, 0x10200 }, { false, 0x200 }, { false, UINT64_C(1) << 63 | 0x10200 },
        { false, UINT64_C(1) << 62 | 0x10000 },             /* a stream that is none */
        { false, UINT64_C(1) << 62 | ((UINT64_C(1) << 54) - 1) }, /* or lies behind the end */
    };
    Rig rig = rig_new(0);
    Image image = image_new(&plain, 1 << 20, NULL, NULL, NULL, 0, NULL, 2);
    uint8_t *l1 = image.file->data + load_be64(image.file->data + 40);
    uint8_t *l2 = image.file->data + (load_be64(l1) & ~(UINT64_C(1) << 63)), bytes[512];
    for (unsigned i = 0; i < G_N_ELEMENTS(broken); i++) {
        uint8_t *entry = broken[i].l1 ? l1 : l2;
        uint64_t before = load_be64(entry);
        store_be64(entry, broken[i].entry);
        put_file(&rig, "image", image.file);
        store_be64(entry, before);
        BlockEdge *edge = open_image(&rig, "image");
        g_assert_cmpint(block_read(edge, 0, bytes, sizeof bytes), ==, EIO);
        block_detach(edge);
    }
    image_free(&image);
    rig_free(&rig);
}

/* Whatever a byte of a table or header is: an error, or bytes. */
static void test_random_damage(void)
{
    Rig rig = rig_new(0);
    static const ImageKind small = { "small", 3, 14, true, true, false };
    Image image = image_new(&small, 1 << 20, NULL, NULL, NULL, 0, NULL, 3);
    g_autofree uint8_t *bytes = g_malloc(image.size);
    g_autofree char *path = path_of(&rig, "image");
    uint64_t l1 = load_be64(image.file->data + 40), l2 = load_be64(image.file->data + l1) & ~(UINT64_C(1) << 63);
    for (unsigned i = 0; i < 300; i++) {
        static const unsigned ranges[] = { 128, 8, 1024 };
        uint64_t places[] = { 8, l1, l2 };
        unsigned which = i % 3, at = (unsigned)places[which] + (unsigned)g_random_int_range(0, (gint32)ranges[which]);
        uint8_t before = image.file->data[at];
        image.file->data[at] ^= (uint8_t)(1 << g_random_int_range(0, 8));
        put_file(&rig, "image", image.file);
        image.file->data[at] = before;
        BlockNode *node = block_open(rig.graph, path, NULL, 0, NULL);
        if (node) {
            BlockEdge *edge = block_attach(node, "the test", BLOCK_PERMISSION_READ, BLOCK_PERMISSION_ALL, NULL);
            for (uint64_t from = 0; from < MIN(block_node_size(node), image.size); from += 4096) {
                block_read(edge, from, bytes, MIN(4096, block_node_size(node) - from));
            }
            block_detach(edge);
        }
        block_node_unref(node);
    }
    image_free(&image);
    rig_free(&rig);
}

static const ImageKind kinds[] = {
    { "v2-512", 2, 9 }, { "v2-64k", 2, 16 }, { "v2-2m", 2, 21 },
    { "v3-512", 3, 9 }, { "v3-1k", 3, 10 }, { "v3-2k", 3, 11 }, { "v3-4k", 3, 12 }, { "v3-8k", 3, 13 },
    { "v3-16k", 3, 14 }, { "v3-32k", 3, 15 }, { "v3-64k", 3, 16 }, { "v3-128k", 3, 17 }, { "v3-256k", 3, 18 },
    { "v3-512k", 3, 19 }, { "v3-1m", 3, 20 }, { "v3-2m", 3, 21 },
    { "extended-16k", 3, 14, true }, { "extended-64k", 3, 16, true }, { "extended-2m", 3, 21, true },
    { "zstd-512", 3, 9, false, true }, { "zstd-64k", 3, 16, false, true }, { "zstd-extended", 3, 15, true, true },
    { "external-4k", 3, 12, false, false, true }, { "external-extended", 3, 16, true, false, true },
};

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(kinds); i++) {
        g_autofree char *name = g_strdup_printf("/qcow2/kinds/%s", kinds[i].name);
        g_autofree char *over = g_strdup_printf("/qcow2/backing/%s", kinds[i].name);
        g_test_add_data_func(name, &kinds[i], test_kind);
        if (!kinds[i].external) {
            g_test_add_data_func(over, &kinds[i], test_backing);
        }
    }
    g_test_add_func("/qcow2/loops", test_loops);
    g_test_add_func("/qcow2/broken-headers", test_broken_headers);
    g_test_add_func("/qcow2/broken-tables", test_broken_tables);
    g_test_add_func("/qcow2/random-damage", test_random_damage);
    return g_test_run();
}
