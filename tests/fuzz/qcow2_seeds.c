/*
 * Makes the images that the fuzzer of qcow2 images starts from: FOLDER/NAME, each with the bytes before it that say
 * what is done with it.
 */
#include "api/json.h"
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
    bool snapshots, bitmaps, compressed;
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

static void make_image(BlockGraph *graph, MemoryDisk *disk, const Seed *seed)
{
    Error *error = NULL;
    AUTO_FREE char *name = memory_disk_name(disk);
    Json *options = json_parse(seed->options, strlen(seed->options), &error);
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
}

static void save(const MemoryDisk *disk, const char *folder, const Seed *seed)
{
    static const uint8_t head[HEAD] = { 1, 7, 0, 8, 5, 4, 2, 7 };
    AUTO_FREE char *path = string_format("%s/%s", folder, seed->name);
    FILE *file = fopen(path, "wb");
    bool ok = file && fwrite(head, 1, sizeof head, file) == sizeof head &&
              fwrite(disk->bytes, 1, disk->size, file) == disk->size;
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
        MemoryDisk disk = { .limit = 4 << 20 };
        make_image(graph, &disk, &seeds[i]);
        save(&disk, arguments[1], &seeds[i]);
        memory_disk_clear(&disk);
    }
    block_graph_free(graph);
    files_free(files);
    loop_free(loop);
    return 0;
}
