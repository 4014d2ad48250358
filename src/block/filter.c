/* Sending requests on to what a filter filters. */
#include "block/filter.h"

#include "api/json.h"
#include "base/error.h"
#include "base/vec.h"

#include <stdatomic.h>

bool filter_open(BlockNode *node, const char *name, Error **error)
{
    node->file = block_open_child(node, name, error);
    if (!node->file) {
        return false;
    }
    const BlockNode *file = node->file->node;
    atomic_store(&node->size, block_node_size(file));
    node->limits = file->limits;
    node->limits.write_flags = BLOCK_FUA | (file->limits.write_flags & BLOCK_COMPRESSED);
    return true;
}

void filter_child_resized(BlockNode *node) { atomic_store(&node->size, block_node_size(node->file->node)); }

bool filter_map(BlockNode *node, BlockOperation operation, uint64_t offset, uint64_t bytes, BlockMapping *mapping)
{
    *mapping = (BlockMapping){ .edge = node->file, .offset = offset };
    return true;
}

/* How much of a request there is below: a filter's blocks may be larger than those below, whose end may lie in one.
 * What grows by being written to has no end. */
static uint64_t clip(BlockNode *node, uint64_t offset, uint64_t bytes)
{
    BlockNode *below = block_node_below_filters(node);
    bool grows = below->driver->is_protocol || below->driver->grows_with_zeroes;
    uint64_t size = block_node_size(node->file->node);
    return grows ? bytes : MIN(bytes, size - MIN(offset, size));
}

int filter_read(BlockNode *node, uint64_t offset, uint64_t bytes, BlockVectors vectors)
{
    uint64_t there = clip(node, offset, bytes);
    block_vectors_fill(block_vectors_from(vectors, there), 0, bytes - there);
    return block_readv(node->file, offset, there, vectors);
}

int filter_write(BlockNode *node, uint64_t offset, uint64_t bytes, BlockVectors vectors, unsigned flags)
{
    return block_writev(node->file, offset, clip(node, offset, bytes), vectors, flags);
}

int filter_write_zeroes(BlockNode *node, uint64_t offset, uint64_t bytes, unsigned flags)
{
    return block_write_zeroes(node->file, offset, bytes, flags);
}

int filter_discard(BlockNode *node, uint64_t offset, uint64_t bytes)
{
    return block_discard(node->file, offset, bytes);
}

int filter_status(BlockNode *node, uint64_t offset, uint64_t bytes, BlockStatus *status)
{
    uint64_t size = block_node_size(node->file->node);
    if (offset >= size) { /* the child was made smaller behind our back */
        *status = (BlockStatus){ .bytes = bytes, .zero = true, .past_end = true };
        return 0;
    }
    return block_status(node->file, offset, MIN(bytes, size - offset), status);
}

bool filter_resize(BlockNode *node, uint64_t size, int preallocation, Error **error)
{
    if (!block_resize(node->file, size, preallocation, error)) {
        return false;
    }
    filter_child_resized(node);
    return true;
}
