/* The "compress" driver: what is written through it is compressed, where the image can do that. */
#include "block/filter.h"

#include "api/json.h"
#include "base/error.h"
#include "base/vec.h"
#include "schema/block.h"

static bool compress_open(BlockNode *node, const void *data, Error **error)
{
    BlockFacts facts;
    if (!filter_open(node, "file", error)) {
        return false;
    }
    if (!block_can_compress(node->file->node)) {
        return error_set(error, "Compression is not supported for underlying format: %s",
                         node->file->node->driver->name);
    }
    block_node_facts(node->file->node, &facts);
    json_free(facts.specific);
    node->limits.alignment = MAX(node->limits.alignment, facts.cluster_bytes); /* clusters are compressed whole */
    return true;
}

static bool compress_map(BlockNode *node, BlockOperation operation, uint64_t offset, uint64_t bytes,
                         BlockMapping *mapping)
{
    return operation == BLOCK_READ && filter_map(node, operation, offset, bytes, mapping);
}

static int compress_write(BlockNode *node, uint64_t offset, uint64_t bytes, BlockVectors vectors, unsigned flags)
{
    return filter_write(node, offset, bytes, vectors, flags | BLOCK_COMPRESSED);
}

const BlockDriver compress_driver = {
    .name = "compress",
    .is_filter = true,
    .state_size = sizeof(char),
    .settings = &FilterSettings_type,
    .open = compress_open,
    .map = compress_map,
    .read = filter_read,
    .write = compress_write,
    .write_zeroes = filter_write_zeroes,
    .discard = filter_discard,
    .status = filter_status,
    .resize = filter_resize,
    .child_resized = filter_child_resized,
};
