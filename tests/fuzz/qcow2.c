/*
 * A qcow2 image with anything in it. The first bytes of the input say what is done with it: it is read here and there,
 * asked what is where, its snapshots and bitmaps are looked at, it is checked; then it is written to, resized, given
 * snapshots and bitmaps, amended, repaired. What a check found whole, it must find whole afterwards. The disks below
 * (the image, its external data file, a backing file) are memory that does not grow far; no other file is opened.
 */
#include "api/json.h"
#include "base/error.h"
#include "base/files.h"
#include "base/vec.h"
#include "block/bitmap.h"
#include "block/image.h"
#include "core/loop.h"
#include "memory_disk.h"
#include "schema/block.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HEAD = 8, LIMIT = 2 << 20, PIECE = 3000, PLACES = 12, QUESTIONS = 64, CHANGES = 14 };
enum { BACKING = 40000, BIGGEST_CLUSTER = 64 << 10 };

/* Of the first byte. */
enum { LOADS_SNAPSHOT = 1, HAS_DATA_FILE = 2, HAS_BACKING = 4, SMALL_CACHES = 8, LAZY = 16 };

typedef struct Fuzz {
    BlockGraph *graph;
    MemoryDisk disk, data, backing;
    const uint8_t *head; /* HEAD bytes */
    uint32_t random;
} Fuzz;

static uint32_t next(Fuzz *fuzz)
{
    fuzz->random = fuzz->random * 1664525u + 1013904223u;
    return fuzz->random >> 8;
}

static Json *disk_options(const MemoryDisk *disk, const char *format)
{
    AUTO_FREE char *name = memory_disk_name(disk);
    Json *file = json_object(), *options = json_object();
    json_set(file, "driver", json_string("file-in-memory"));
    json_set(file, "filename", json_string(strchr(name, ':') + 1));
    json_set(options, "driver", json_string(format));
    json_set(options, "file", file);
    return options;
}

static bool wants_data_file(const MemoryDisk *disk)
{
    enum { VERSION_BYTE = 7, INCOMPATIBLE_BYTE = 79, EXTERNAL_DATA = 4 };
    return disk->size > INCOMPATIBLE_BYTE && disk->bytes[VERSION_BYTE] == 3 &&
           disk->bytes[INCOMPATIBLE_BYTE] & EXTERNAL_DATA;
}

static BlockEdge *open_image(Fuzz *fuzz, bool writes)
{
    Json *options = disk_options(&fuzz->disk, "qcow2");
    unsigned flags = BLOCK_OPEN_NO_BACKING | (writes ? BLOCK_OPEN_WRITE : 0), how = fuzz->head[0];
    json_set(options, "discard", json_string("unmap"));
    if (how & HAS_BACKING) {
        json_set(options, "backing", disk_options(&fuzz->backing, "raw"));
    }
    if (wants_data_file(&fuzz->disk) && how & HAS_DATA_FILE) {
        json_set(options, "data-file", disk_options(&fuzz->data, "raw"));
    } else {
        flags |= BLOCK_OPEN_NO_DATA;
    }
    if (how & SMALL_CACHES) {
        json_set(options, "l2-cache-size", json_uint(4096));
        json_set(options, "refcount-cache-size", json_uint(4096));
    }
    if (how & LAZY) {
        json_set(options, "lazy-refcounts", json_bool(true));
    }
    BlockNode *node = block_open(fuzz->graph, NULL, options, flags, NULL);
    unsigned permissions = writes ? BLOCK_PERMISSION_ALL : BLOCK_PERMISSION_READ;
    BlockEdge *edge = node ? block_attach(node, "fuzz", permissions, BLOCK_PERMISSION_ALL, NULL) : NULL;
    block_node_unref(node);
    return edge;
}

/* Near its beginning or end, or anywhere. */
static uint64_t place(Fuzz *fuzz, uint64_t size)
{
    uint64_t far = (uint64_t)next(fuzz) << 24 | next(fuzz);
    switch (next(fuzz) % 3) {
    case 0:
        return far % 65536 % size;
    case 1:
        return size - 1 - far % 4096 % size;
    default:
        return far % size;
    }
}

static void note_done(BlockRequest *request, int error) { *(bool *)request->data = true; }

/* As a device would: without a task where there is a way. */
static void submit(Fuzz *fuzz, BlockEdge *edge, BlockOperation operation, uint64_t offset, uint64_t count)
{
    static uint8_t bytes[PIECE];
    struct iovec piece = { bytes, count };
    bool done = false;
    BlockRequest request = { .operation = operation, .offset = offset, .bytes = count, .vectors = { &piece, 1, 0 },
                             .done = note_done, .data = &done };
    block_submit(edge, &request);
    while (!done) {
        block_loop_poll(block_runtime_main(block_graph_runtime(fuzz->graph)), true);
    }
}

static void read_places(Fuzz *fuzz, BlockEdge *edge)
{
    uint8_t bytes[PIECE];
    uint64_t size = block_node_size(block_edge_node(edge));
    for (unsigned i = 0; size && i < PLACES; i++) {
        uint64_t offset = place(fuzz, size), count = MIN(size - offset, sizeof bytes);
        if (i % 2) {
            block_read(edge, offset, bytes, count);
        } else {
            submit(fuzz, edge, BLOCK_READ, offset, count);
        }
    }
    uint64_t offset = 0;
    for (unsigned i = 0; offset < size && i < QUESTIONS; i++) {
        BlockStatus status;
        if (block_status(edge, offset, size - offset, &status)) {
            return;
        }
        offset += status.bytes;
    }
}

static void look(BlockEdge *edge)
{
    BlockNode *node = block_edge_node(edge);
    BlockSnapshots snapshots;
    BlockFacts facts;
    block_node_facts(node, &facts);
    json_free(facts.specific);
    block_snapshot_list(node, &snapshots, NULL);
    block_snapshots_clear(&snapshots);
    block_bitmaps_load(node, NULL);
    BlockBitmap *bitmap;
    for (size_t i = 0; (bitmap = block_bitmap_at(node, i)); i++) {
        uint64_t start = 0, end = 0;
        block_bitmap_next(bitmap, &start, &end);
        block_bitmap_count(bitmap);
    }
}

static void write_places(Fuzz *fuzz, BlockEdge *edge)
{
    uint8_t bytes[PIECE];
    uint64_t size = block_node_size(block_edge_node(edge));
    memset(bytes, 0x5a, sizeof bytes);
    for (unsigned i = 0; size && i < PLACES; i++) {
        uint64_t offset = place(fuzz, size), count = MIN(size - offset, sizeof bytes);
        switch (next(fuzz) % 6) {
        case 0:
            block_discard(edge, offset, count);
            break;
        case 1:
            block_write_zeroes(edge, offset, MIN(size - offset, next(fuzz)), BLOCK_MAY_UNMAP);
            break;
        case 2:
            block_flush(edge);
            break;
        case 3:
            submit(fuzz, edge, BLOCK_WRITE, offset, count);
            break;
        default:
            block_write(edge, offset, bytes, count, 0);
        }
    }
}

static void write_compressed(Fuzz *fuzz, BlockEdge *edge)
{
    BlockNode *node = block_edge_node(edge);
    uint64_t size = block_node_size(node);
    BlockFacts facts;
    block_node_facts(node, &facts);
    json_free(facts.specific);
    if (facts.cluster_bytes == 0 || facts.cluster_bytes > BIGGEST_CLUSTER) {
        return;
    }
    AUTO_FREE uint8_t *bytes = mem_alloc(facts.cluster_bytes);
    for (unsigned i = 0; i < facts.cluster_bytes; i++) {
        bytes[i] = i < facts.cluster_bytes / 2 ? (uint8_t)next(fuzz) : 7;
    }
    for (unsigned i = 0; size >= facts.cluster_bytes && i < PLACES / 2; i++) {
        uint64_t offset = place(fuzz, size - facts.cluster_bytes + 1) / facts.cluster_bytes * facts.cluster_bytes;
        block_write(edge, offset, bytes, facts.cluster_bytes, BLOCK_COMPRESSED);
    }
}

static void change_bitmaps(Fuzz *fuzz, BlockNode *node)
{
    BlockBitmap *first = block_bitmap_at(node, 0), *second = first ? block_bitmap_at(node, 1) : NULL;
    switch (next(fuzz) % 5) {
    case 0:
        if (!block_bitmap_find(node, "new", NULL)) {
            block_bitmap_add(node, "new", 512u << next(fuzz) % 8, next(fuzz) % 4 != 0, NULL);
        }
        break;
    case 1:
        if (first) {
            block_bitmap_remove(first);
        }
        break;
    case 2:
        if (second) {
            block_bitmap_merge(first, second, NULL);
        }
        break;
    case 3:
        if (first) {
            block_bitmap_enable(first, next(fuzz) & 1, NULL);
        }
        break;
    default:
        if (first) {
            block_bitmap_clear(first, NULL);
        }
    }
}

static void change_snapshots(Fuzz *fuzz, BlockNode *node)
{
    BlockSnapshot snapshot = { .name = (char[]){ "new" }, .vm_state_bytes = next(fuzz) % 2 * PIECE };
    BlockSnapshots list;
    if (next(fuzz) % 2 || !block_snapshot_list(node, &list, NULL)) {
        block_snapshot_create(node, &snapshot, NULL);
        return;
    }
    if (list.count) {
        const char *name = list.items[next(fuzz) % list.count].id;
        (next(fuzz) % 2 ? block_snapshot_apply : block_snapshot_delete)(node, name, NULL);
    }
    block_snapshots_clear(&list);
}

static void amend(BlockNode *node, unsigned what)
{
    static const char *const choices[][2] = {
        { "compat", "0.10" }, { "compat", "1.1" }, { "lazy_refcounts", "on" }, { "lazy_refcounts", "off" },
        { "refcount_bits", "1" }, { "refcount_bits", "16" }, { "refcount_bits", "64" }, { "size", "90k" },
        { "backing_file", "other" }, { "data_file", "other" }, { "data_file_raw", "on" },
    };
    const char *const *choice = choices[what % ARRAY_SIZE(choices)];
    Json *options = json_object();
    json_set(options, choice[0], json_string(choice[1]));
    block_amend(node, options, NULL);
    json_free(options);
}

static void resize(Fuzz *fuzz, BlockEdge *edge)
{
    uint64_t size = block_node_size(block_edge_node(edge)), by = next(fuzz) % 512 * 512;
    bool grows = next(fuzz) % 2;
    block_resize(edge, grows ? size + by : size - MIN(size, by), grows ? (int)(next(fuzz) % PREALLOC_MODE_COUNT) : 0,
                 NULL);
}

static void keep_state(Fuzz *fuzz, BlockEdge *edge)
{
    uint8_t bytes[PIECE] = { 1, 2, 3 };
    struct iovec item = { bytes, sizeof bytes };
    block_state(edge, next(fuzz) & 1, next(fuzz) % 5000, sizeof bytes, (BlockVectors){ &item, 1, 0 });
}

static void measure(BlockEdge *edge)
{
    BlockMeasure measure;
    Json *options = json_object();
    block_measure(block_driver_find("qcow2"), options, edge, &measure, NULL);
    json_free(options);
}

static void change(Fuzz *fuzz, BlockEdge *edge)
{
    BlockNode *node = block_edge_node(edge);
    BlockCheck check = { 0 };
    for (unsigned i = 1; i < HEAD; i++) {
        switch (fuzz->head[i] % CHANGES) {
        case 0:
        case 1:
            change_snapshots(fuzz, node);
            break;
        case 2:
            amend(node, fuzz->head[i] / CHANGES);
            break;
        case 3:
        case 4:
            resize(fuzz, edge);
            break;
        case 5:
            block_check(node, next(fuzz) % (BLOCK_FIX_LEAKS + BLOCK_FIX_ERRORS + 1), &check, NULL);
            break;
        case 6:
            block_make_empty(node, NULL);
            break;
        case 7:
            write_compressed(fuzz, edge);
            break;
        case 8:
            change_bitmaps(fuzz, node);
            break;
        case 9:
            keep_state(fuzz, edge);
            break;
        case 10:
            block_change_backing_file(node, next(fuzz) % 2 ? "another" : NULL, "raw", NULL);
            measure(edge);
            break;
        default:
            write_places(fuzz, edge);
        }
    }
}

static void tell(void *data, const char *line) { fprintf(stderr, "%s\n", line); }

static bool is_whole(BlockEdge *edge, bool tells)
{
    BlockCheck check = { .report = tells ? tell : NULL };
    return block_check(block_edge_node(edge), 0, &check, NULL) && !check.corruptions && !check.check_errors;
}

static void use_image(Fuzz *fuzz)
{
    bool whole = false;
    BlockEdge *edge = open_image(fuzz, false);
    if (edge) {
        read_places(fuzz, edge);
        look(edge);
        whole = is_whole(edge, false);
        if (fuzz->head[0] & LOADS_SNAPSHOT) {
            block_snapshot_load(block_edge_node(edge), "1", NULL);
            read_places(fuzz, edge);
        }
        block_detach(edge);
    }
    edge = open_image(fuzz, true);
    if (edge) {
        change(fuzz, edge);
        read_places(fuzz, edge);
        block_detach(edge);
    }
    edge = whole ? open_image(fuzz, false) : NULL;
    if (edge) {
        if (!is_whole(edge, false)) {
            is_whole(edge, true);
            fprintf(stderr, "fuzz-qcow2: the image was whole, and is not any more\n");
            abort();
        }
        block_detach(edge);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < HEAD) {
        return 0;
    }
    Loop *loop = loop_new(false, NULL);
    Files *files = files_new();
    Fuzz fuzz = { .graph = block_graph_new(files, loop, NULL), .head = data, .random = data[0],
                  .disk = { .bytes = mem_alloc(size), .size = size - HEAD, .limit = LIMIT } };
    memcpy(fuzz.disk.bytes, data + HEAD, size - HEAD);
    fuzz.data.limit = LIMIT;
    fuzz.backing = (MemoryDisk){ .bytes = mem_alloc(BACKING), .size = BACKING };
    memset(fuzz.backing.bytes, 0xb5, BACKING);
    use_image(&fuzz);
    memory_disk_clear(&fuzz.disk);
    memory_disk_clear(&fuzz.data);
    memory_disk_clear(&fuzz.backing);
    block_graph_free(fuzz.graph);
    files_free(files);
    loop_free(loop);
    return 0;
}
