/*
 * The "qcow2" driver: images of versions 2 and 3, after the specification "Qcow2 Image File Format".
 *
 * Here: reading, with backing files, compressed clusters, subclusters and external data files. Not here yet: writing
 * (an image opens read-only alone), internal snapshots, bitmaps, creating and checking images; encryption.
 */
#include "block/qcow2/qcow2.h"

#include "base/error.h"
#include "schema/block.h"

#include <errno.h>
#include <stdatomic.h>

enum { SLICE_BYTES = 4096 };
#define TABLE_CACHE_BYTES (32 * MIB)

static bool open_data_file(BlockNode *node, Error **error)
{
    Qcow2 *qcow2 = node->state;
    qcow2->data = node->file;
    if (!qcow2_has(qcow2, QCOW2_EXTERNAL_DATA)) {
        return !block_has_child_options(node, "data-file") ||
               error_set(error, "'data-file' can only be set for images with an external data file");
    }
    qcow2->data = block_open_named_child(node, "data-file", qcow2->header.data_file, error);
    if (!qcow2->data && !qcow2->header.data_file) {
        error_prepend(error, "'data-file' is required for this image: ");
    }
    return qcow2->data != NULL;
}

static bool open_backing(BlockNode *node, Error **error)
{
    const Qcow2Header *header = &((Qcow2 *)node->state)->header;
    return block_open_backing(node, header->backing_file, header->backing_format, error);
}

static void set_geometry(BlockNode *node)
{
    Qcow2 *qcow2 = node->state;
    unsigned cluster_bits = qcow2->header.cluster_bits;
    bool extended = qcow2_has(qcow2, QCOW2_EXTENDED_L2);
    qcow2->cluster_bytes = BIT(cluster_bits);
    qcow2->entry_bits = extended ? 4 : 3;
    qcow2->table_bits = cluster_bits - qcow2->entry_bits;
    qcow2->subcluster_bits = extended ? cluster_bits - 5 : cluster_bits;
    qcow2_cache_init(&qcow2->tables, node->file, MIN(SLICE_BYTES, qcow2->cluster_bytes), TABLE_CACHE_BYTES);
    atomic_store(&node->size, align_down(qcow2->header.size, BLOCK_SECTOR));
}

static bool qcow2_open(BlockNode *node, const void *settings, Error **error)
{
    Qcow2 *qcow2 = node->state;
    if (!node->read_only) {
        return error_set(error, "qcow2 images can only be read so far; open it with read-only=on");
    }
    node->file = block_open_child(node, "file", error);
    if (!node->file) {
        return false;
    }
    free(node->file_name);
    node->file_name = string_copy(node->file->node->file_name);
    if (!qcow2_header_read(&qcow2->header, node->file, error)) {
        return error_prepend(error, "'%s': ", node->file_name);
    }
    set_geometry(node);
    if (!qcow2_load_l1(node, error)) {
        return error_prepend(error, "'%s': ", node->file_name);
    }
    return open_data_file(node, error) && open_backing(node, error);
}

static void qcow2_close(BlockNode *node)
{
    Qcow2 *qcow2 = node->state;
    qcow2_cache_clear(&qcow2->tables);
    qcow2_header_clear(&qcow2->header);
    free(qcow2->l1);
}

/* What lies behind the backing file's end reads as zeroes. */
static int read_backing(BlockNode *node, uint64_t offset, uint64_t bytes, BlockVectors vectors)
{
    uint64_t size = node->backing ? block_node_size(node->backing->node) : 0;
    uint64_t there = offset < size ? MIN(bytes, size - offset) : 0;
    block_vectors_fill(block_vectors_from(vectors, there), 0, bytes - there);
    return there ? block_readv(node->backing, offset, there, vectors) : 0;
}

static int read_extent(BlockNode *node, const Qcow2Extent *extent, uint64_t offset, BlockVectors vectors)
{
    const Qcow2 *qcow2 = node->state;
    switch (extent->kind) {
    case QCOW2_DATA:
        return block_readv(qcow2->data, extent->offset, extent->bytes, vectors);
    case QCOW2_COMPRESSED:
        return qcow2_read_compressed(node, extent, offset & (qcow2->cluster_bytes - 1), extent->bytes, vectors);
    case QCOW2_ZERO:
        block_vectors_fill(vectors, 0, extent->bytes);
        return 0;
    default:
        return read_backing(node, offset, extent->bytes, vectors);
    }
}

static int qcow2_read(BlockNode *node, uint64_t offset, uint64_t bytes, BlockVectors vectors)
{
    Qcow2Extent extent = { 0 };
    int error = 0;
    for (uint64_t done = 0; done < bytes && !error; done += extent.bytes) {
        error = qcow2_find(node, offset + done, bytes - done, &extent);
        error = error ? error : read_extent(node, &extent, offset + done, block_vectors_from(vectors, done));
    }
    return error;
}

static int qcow2_status(BlockNode *node, uint64_t offset, uint64_t bytes, BlockStatus *status)
{
    const Qcow2 *qcow2 = node->state;
    Qcow2Extent extent = { 0 };
    int error = qcow2_find(node, offset, bytes, &extent);
    bool unallocated = extent.kind == QCOW2_UNALLOCATED, data = extent.kind == QCOW2_DATA;
    *status = (BlockStatus){ .bytes = extent.bytes, .data = data || extent.kind == QCOW2_COMPRESSED,
                             .zero = extent.kind == QCOW2_ZERO || (unallocated && !node->backing),
                             .allocated = !unallocated, .has_offset = data, .offset = data ? extent.offset : 0,
                             .node = data ? qcow2->data->node : NULL };
    return error;
}

static const char *const children[] = { "file", "data-file", "backing", NULL };

const BlockDriver qcow2_driver = {
    .name = "qcow2",
    .state_size = sizeof(Qcow2),
    .settings = &Qcow2Settings_type,
    .children = children,
    .probe = qcow2_probe,
    .child_permissions = block_format_permissions,
    .open = qcow2_open,
    .close = qcow2_close,
    .read = qcow2_read,
    .status = qcow2_status,
};
