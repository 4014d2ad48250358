/*
 * A qcow2 image with anything in it. The first bytes of the input say what is done with it: it is read here and there,
 * asked what is where, its snapshots and bitmaps are looked at, it is checked; then it is written to, resized, given
 * snapshots, repaired. The disk below is memory that does not grow far; no other file is opened.
 */
#include "api/json.h"
#include "base/error.h"
#include "base/files.h"
#include "base/vec.h"
#include "block/bitmap.h"
#include "block/image.h"
#include "core/loop.h"
#include "memory_disk.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HEAD = 8, LIMIT = 4 << 20, PIECE = 3000, PLACES = 12, QUESTIONS = 64 };

typedef struct Fuzz {
    BlockGraph *graph;
    MemoryDisk disk;
    const uint8_t *head; /* HEAD bytes */
    uint32_t random;
} Fuzz;

static uint32_t next(Fuzz *fuzz)
{
    fuzz->random = fuzz->random * 1664525u + 1013904223u;
    return fuzz->random >> 8;
}

static BlockEdge *open_image(Fuzz *fuzz, bool writes)
{
    AUTO_FREE char *name = memory_disk_name(&fuzz->disk);
    Json *options = json_object();
    json_set(options, "driver", json_string("qcow2"));
    json_set(options, "discard", json_string("unmap"));
    unsigned flags = BLOCK_OPEN_NO_BACKING | BLOCK_OPEN_NO_DATA | (writes ? BLOCK_OPEN_WRITE : 0);
    BlockNode *node = block_open(fuzz->graph, name, options, flags, NULL);
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

static void read_places(Fuzz *fuzz, BlockEdge *edge)
{
    uint8_t bytes[PIECE];
    uint64_t size = block_node_size(block_edge_node(edge));
    for (unsigned i = 0; size && i < PLACES; i++) {
        uint64_t offset = place(fuzz, size);
        block_read(edge, offset, bytes, MIN(size - offset, sizeof bytes));
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
        switch (next(fuzz) % 5) {
        case 0:
            block_discard(edge, offset, count);
            break;
        case 1:
            block_write_zeroes(edge, offset, MIN(size - offset, next(fuzz)), BLOCK_MAY_UNMAP);
            break;
        case 2:
            block_flush(edge);
            break;
        default:
            block_write(edge, offset, bytes, count, 0);
        }
    }
}

static void change(Fuzz *fuzz, BlockEdge *edge)
{
    BlockNode *node = block_edge_node(edge);
    BlockSnapshot snapshot = { .name = (char[]){ "new" } };
    BlockCheck check = { 0 };
    uint64_t size = block_node_size(node);
    for (unsigned i = 1; i < HEAD; i++) {
        switch (fuzz->head[i] % 9) {
        case 0:
            block_snapshot_create(node, &snapshot, NULL);
            break;
        case 1:
            block_snapshot_apply(node, "1", NULL);
            break;
        case 2:
            block_snapshot_delete(node, "1", NULL);
            break;
        case 3:
            block_resize(edge, size + next(fuzz) % (1 << 20), 0, NULL);
            break;
        case 4:
            block_resize(edge, size - MIN(size, next(fuzz) % (1 << 20)), 0, NULL);
            break;
        case 5:
            block_check(node, fuzz->head[i] & 16 ? BLOCK_FIX_LEAKS | BLOCK_FIX_ERRORS : 0, &check, NULL);
            break;
        case 6:
            block_make_empty(node, NULL);
            break;
        default:
            write_places(fuzz, edge);
        }
    }
}

static void use_image(Fuzz *fuzz)
{
    BlockCheck check = { 0 };
    BlockEdge *edge = open_image(fuzz, false);
    if (edge) {
        read_places(fuzz, edge);
        look(edge);
        block_check(block_edge_node(edge), 0, &check, NULL);
        if (fuzz->head[0] & 1) {
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
    use_image(&fuzz);
    memory_disk_clear(&fuzz.disk);
    block_graph_free(fuzz.graph);
    files_free(files);
    loop_free(loop);
    return 0;
}
