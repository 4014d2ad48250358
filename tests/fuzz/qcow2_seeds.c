/*
 * Makes the images that the fuzzer of qcow2 images starts from: FOLDER/NAME, each with the bytes before it that say
 * what is done with it.
 */
#include "api/json.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/files.h"
#include "base/vec.h"
#include "block/bitmap.h"
#include "block/image.h"
#include "core/loop.h"
#include "memory_disk.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { HEAD = 8 };

typedef struct Seed {
    const char *name, *options;
    bool snapshots, bitmaps, compressed, data_file;
    uint64_t third_entry; /* of the L2 table with subclusters; 0: as it is */
    uint8_t head[HEAD]; /* what is done with it; all zeroes: of all a little */
} Seed;

static const Seed seeds[] = {
    { .name = "plain", .options = "{'size': '200k', 'cluster_size': '512'}" },
    { .name = "v2", .options = "{'size': '100k', 'cluster_size': '512', 'compat': '0.10'}", .snapshots = true },
    { .name = "lazy", .options = "{'size': '64k', 'cluster_size': '512', 'lazy_refcounts': 'on'}" },
    { .name = "narrow", .options = "{'size': '64k', 'cluster_size': '512', 'refcount_bits': '1'}" },
    { .name = "wide", .options = "{'size': '64k', 'cluster_size': '512', 'refcount_bits': '64'}", .snapshots = true },
    { .name = "subclusters", .options = "{'size': '300k', 'cluster_size': '16k', 'extended_l2': 'on'}" },
    { .name = "snapshots", .options = "{'size': '64k', 'cluster_size': '512'}", .snapshots = true },
    { .name = "bitmaps", .options = "{'size': '64k', 'cluster_size': '512'}", .bitmaps = true },
    { .name = "compressed", .options = "{'size': '64k', 'cluster_size': '4k'}", .compressed = true },
    { .name = "zstd", .options = "{'size': '64k', 'cluster_size': '4k', 'compression_type': 'zstd'}",
      .compressed = true },
    { .name = "backing", .options = "{'size': '64k', 'cluster_size': '512', 'backing_file': 'base', "
                                    "'backing_fmt': 'raw'}" },
    { .name = "preallocated", .options = "{'size': '64k', 'cluster_size': '512', 'preallocation': 'metadata'}" },
    { .name = "data-file", .options = "{'size': '64k', 'cluster_size': '512'}", .data_file = true },
    { .name = "data-file-raw", .options = "{'size': '64k', 'cluster_size': '4k', 'data_file_raw': 'on'}",
      .bitmaps = true, .data_file = true },
    { .name = "data-file-subclusters", .options = "{'size': '128k', 'cluster_size': '16k', 'extended_l2': 'on'}",
      .data_file = true },
    { .name = "data-file-compressed", .options = "{'size': '128k', 'cluster_size': '16k', 'extended_l2': 'on'}",
      .data_file = true, .third_entry = 0x40000000000000ff },
    { .name = "subclusters-snapshots", .options = "{'size': '128k', 'cluster_size': '16k', 'extended_l2': 'on'}",
      .snapshots = true, .head = { 6, 0, 12, 7, 1, 0, 13, 5 } },
    { .name = "amended", .options = "{'size': '64k', 'cluster_size': '512'}", .snapshots = true,
      .head = { 12, 2, 13, 16, 0, 86, 5, 58 } },
    { .name = "renamed", .options = "{'size': '64k', 'cluster_size': '512'}", .head = { 7, 10, 3, 128, 3, 10, 9, 9 } },
    { .name = "repaired", .options = "{'size': '64k', 'cluster_size': '512', 'lazy_refcounts': 'on'}",
      .bitmaps = true, .head = { 16, 5, 13, 5, 8, 12, 5, 8 } },
    { .name = "resized", .options = "{'size': '64k', 'cluster_size': '512'}", .head = { 4, 3, 9, 4, 13, 3, 6, 3 } },
    { .name = "all", .options = "{'size': '64k', 'cluster_size': '4k'}", .snapshots = true, .bitmaps = true,
      .compressed = true },
};

static void fail(const Seed *seed, Error *error)
{
    fprintf(stderr, "%s: %s\n", seed->name, error ? error_message(error) : "an image cannot be written");
    exit(1);
}

static void fill(const Seed *seed, BlockEdge *edge)
{
    BlockNode *node = block_edge_node(edge);
    Error *error = NULL;
    char bytes[4096];
    memset(bytes, 'x', sizeof bytes);
    BlockSnapshot first = { .name = (char[]){ "first" } }, second = { .name = (char[]){ "second" } };
    bool ok = !seed->bitmaps || (block_bitmap_add(node, "bits", 512, true, &error) &&
                                 block_bitmap_add(node, "more", 4096, true, &error));
    for (unsigned i = 0; ok && i < 4; i++) {
        ok = block_write(edge, i * 8192, bytes, sizeof bytes, seed->compressed && i % 2 ? BLOCK_COMPRESSED : 0) == 0 &&
             block_write_zeroes(edge, i * 4096 + 512, 1024, 0) == 0;
        if (ok && seed->snapshots && i == 1) {
            ok = block_snapshot_create(node, &first, &error) && block_snapshot_create(node, &second, &error);
        }
    }
    if (!ok) {
        fail(seed, error);
    }
}

static void make_image(BlockGraph *graph, MemoryDisk *disk, MemoryDisk *data, const Seed *seed)
{
    Error *error = NULL;
    AUTO_FREE char *name = memory_disk_name(disk), *data_name = memory_disk_name(data);
    Json *options = json_parse(seed->options, strlen(seed->options), &error);
    if (options && seed->data_file) {
        json_set(options, "data_file", json_string(data_name));
    }
    if (!options || !block_create(graph, block_driver_find("qcow2"), name, options, &error)) {
        fail(seed, error);
    }
    json_free(options);
    BlockNode *node = block_open(graph, name, NULL, BLOCK_OPEN_WRITE | BLOCK_OPEN_NO_BACKING, &error);
    BlockEdge *edge = node ? block_attach(node, "seed", BLOCK_PERMISSION_ALL, 0, &error) : NULL;
    if (!edge) {
        fail(seed, error);
    }
    block_node_unref(node);
    fill(seed, edge);
    block_detach(edge);
    if (seed->third_entry) {
        enum { L1_FIELD = 40, THIRD = 2 * 16 };
        uint64_t table = load_be64(disk->bytes + load_be64(disk->bytes + L1_FIELD)) & 0x00fffffffffffe00;
        store_be64(disk->bytes + table + THIRD, seed->third_entry);
    }
    uint8_t *named = seed->data_file ? memmem(disk->bytes, disk->size, data_name, strlen(data_name)) : NULL;
    if (named) {
        memset(named, 'd', strlen(data_name)); /* an address, which differs each time */
    }
}

static void save(const MemoryDisk *disk, const char *folder, const Seed *seed)
{
    static const uint8_t usual[HEAD] = { 15, 13, 0, 1, 8, 5, 4, 7 };
    const uint8_t *head = memcmp(seed->head, (uint8_t[HEAD]){ 0 }, HEAD) ? seed->head : usual;
    AUTO_FREE char *path = string_format("%s/%s", folder, seed->name);
    FILE *file = fopen(path, "wb");
    bool ok = file && fwrite(head, 1, HEAD, file) == HEAD && fwrite(disk->bytes, 1, disk->size, file) == disk->size;
    if (!file || fclose(file) != 0 || !ok) {
        perror(path);
        exit(1);
    }
}

int main(int count, char **arguments)
{
    Loop *loop = loop_new(false, NULL);
    Files *files = files_new();
    BlockGraph *graph = block_graph_new(files, loop, NULL);
    if (count != 2 || !graph) {
        fprintf(stderr, "usage: qcow2-seeds FOLDER\n");
        return 1;
    }
    mkdir(arguments[1], 0777);
    for (size_t i = 0; i < ARRAY_SIZE(seeds); i++) {
        MemoryDisk disk = { .limit = 4 << 20 }, data = { .limit = 4 << 20 };
        make_image(graph, &disk, &data, &seeds[i]);
        save(&disk, arguments[1], &seeds[i]);
        memory_disk_clear(&disk);
        memory_disk_clear(&data);
    }
    block_graph_free(graph);
    files_free(files);
    loop_free(loop);
    return 0;
}
