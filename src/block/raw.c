/* The "raw" driver: the bytes of its file as they are, or a part of them. */
#include "block/driver.h"

#include "base/error.h"
#include "base/vec.h"
#include "schema/block.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>

typedef struct Raw {
    uint64_t offset;
    bool has_size; /* else up to the file's end */
} Raw;

static bool check_part(const RawSettings *settings, uint64_t size, Error **error)
{
    if (settings->offset > size) {
        return error_set(error, "the offset %" PRIu64 " is greater than the size of the file, %" PRIu64,
                         settings->offset, size);
    }
    if (settings->has_size && settings->size > size - settings->offset) {
        return error_set(error, "the size %" PRIu64 " with the offset %" PRIu64 " is greater than that of the file, "
                         "%" PRIu64, settings->size, settings->offset, size);
    }
    return !settings->has_size || settings->size % BLOCK_SECTOR == 0 ||
           error_set(error, "Specified size is not multiple of %d", BLOCK_SECTOR);
}

static bool raw_open(BlockNode *node, const void *data, Error **error)
{
    const RawSettings *settings = data;
    Raw *raw = node->state;
    node->file = block_open_child(node, "file", error);
    if (!node->file) {
        return false;
    }
    BlockNode *file = node->file->node;
    uint64_t size = block_node_size(file);
    if (!check_part(settings, size, error)) {
        return error_prepend(error, "'%s': ", file->file_name);
    }
    raw->offset = settings->offset;
    raw->has_size = settings->has_size;
    atomic_store(&node->size, raw->has_size ? settings->size : size - raw->offset);
    node->limits = file->limits;
    node->limits.alignment = 1; /* the file reads and writes around its blocks */
    if (raw->offset % file->limits.alignment) {
        return error_set(error, "'%s': the offset is no multiple of the file's blocks of %" PRIu32 " bytes",
                         file->file_name, file->limits.alignment);
    }
    if (!raw->offset && !raw->has_size) {
        free(node->file_name);
        node->file_name = string_copy(file->file_name);
    }
    if (node->guessed && !node->read_only) {
        fprintf(stderr,
                "WARNING: Image format was not specified for '%s' and probing guessed raw.\n"
                "         Automatically detecting the format is dangerous for raw images, write operations on block 0 "
                "will be restricted.\n"
                "         Specify the 'raw' format explicitly to remove the restrictions.\n", file->file_name);
    }
    return true;
}

/* Nobody knew that the image is raw: it must not begin to look like another format. */
static bool is_guarded(const BlockNode *node, uint64_t place) { return node->guessed && place < BLOCK_SECTOR; }

static int check_first_sector(BlockNode *node, uint64_t place, uint64_t bytes, BlockVectors vectors)
{
    uint8_t sector[BLOCK_SECTOR] = { 0 };
    int error = block_read(node->file, 0, sector, MIN(sizeof sector, block_node_size(node->file->node)));
    if (!error) {
        block_vectors_read(vectors, sector + place, MIN(bytes, sizeof sector - place));
        error = block_probe(sector, sizeof sector) == node->driver ? 0 : EPERM;
    }
    return error;
}

static bool raw_map(BlockNode *node, BlockOperation operation, uint64_t offset, uint64_t bytes,
                    BlockMapping *mapping)
{
    const Raw *raw = node->state;
    if (operation == BLOCK_WRITE && is_guarded(node, offset + raw->offset)) {
        return false;
    }
    *mapping = (BlockMapping){ .edge = node->file, .offset = offset + raw->offset };
    return true;
}

static int raw_read(BlockNode *node, uint64_t offset, uint64_t bytes, BlockVectors vectors)
{
    block_debug_event(node->file, BLKDEBUG_EVENT_READ_AIO);
    return block_readv(node->file, offset + ((Raw *)node->state)->offset, bytes, vectors);
}

static int raw_write(BlockNode *node, uint64_t offset, uint64_t bytes, BlockVectors vectors, unsigned flags)
{
    block_debug_event(node->file, BLKDEBUG_EVENT_WRITE_AIO);
    uint64_t place = offset + ((Raw *)node->state)->offset;
    int error = is_guarded(node, place) ? check_first_sector(node, place, bytes, vectors) : 0;
    return error ? error : block_writev(node->file, place, bytes, vectors, flags);
}

static int raw_copy_to(BlockNode *node, uint64_t offset, uint64_t bytes, const BlockCopySource *source)
{
    uint64_t place = offset + ((Raw *)node->state)->offset;
    return is_guarded(node, place) ? ENOTSUP : block_copy_to(node->file, place, bytes, source);
}

static int raw_write_zeroes(BlockNode *node, uint64_t offset, uint64_t bytes, unsigned flags)
{
    return block_write_zeroes(node->file, offset + ((Raw *)node->state)->offset, bytes, flags);
}

static int raw_discard(BlockNode *node, uint64_t offset, uint64_t bytes)
{
    return block_discard(node->file, offset + ((Raw *)node->state)->offset, bytes);
}

static int raw_status(BlockNode *node, uint64_t offset, uint64_t bytes, BlockStatus *status)
{
    return block_status(node->file, offset + ((Raw *)node->state)->offset, bytes, status);
}

static bool raw_resize(BlockNode *node, uint64_t size, int preallocation, Error **error)
{
    const Raw *raw = node->state;
    if (raw->has_size) {
        return error_set(error, "Cannot resize fixed-size raw disks");
    }
    if (size > INT64_MAX - BLOCK_SECTOR - raw->offset) {
        return error_set(error, "Disk size too large for the chosen offset");
    }
    if (!block_resize(node->file, size + raw->offset, preallocation, error)) {
        return false;
    }
    atomic_store(&node->size, block_node_size(node->file->node) - raw->offset);
    return true;
}

static void raw_child_resized(BlockNode *node)
{
    const Raw *raw = node->state;
    uint64_t size = block_node_size(node->file->node);
    if (!raw->has_size) {
        atomic_store(&node->size, size - MIN(size, raw->offset));
    }
}

static bool raw_create(BlockGraph *graph, const char *filename, const void *data, const Json *file_options,
                       Error **error)
{
    const RawCreateOptions *options = data;
    uint64_t size = align_up(MIN(options->size, INT64_MAX), BLOCK_SECTOR); /* a disk is whole sectors */
    BlockEdge *edge = block_create_file(graph, filename, size, file_options, error);
    block_detach(edge);
    return edge != NULL;
}

static bool raw_measure(const void *options, BlockEdge *source, BlockMeasure *measure, Error **error)
{
    (void)source;
    (void)error;
    uint64_t size = align_up(MIN(((const RawCreateOptions *)options)->size, INT64_MAX), BLOCK_SECTOR);
    *measure = (BlockMeasure){ .required = size, .fully_allocated = size };
    return true;
}

const BlockDriver raw_driver = {
    .name = "raw",
    .state_size = sizeof(Raw),
    .settings = &RawSettings_type,
    .open = raw_open,
    .map = raw_map,
    .read = raw_read,
    .write = raw_write,
    .write_zeroes = raw_write_zeroes,
    .copy_to = raw_copy_to,
    .discard = raw_discard,
    .status = raw_status,
    .resize = raw_resize,
    .child_resized = raw_child_resized,
    .create_type = &RawCreateOptions_type,
    .create = raw_create,
    .measure = raw_measure,
};
