/* Images over backing files: what the whole chain says. */
#include "block/block_internal.h"

#include <errno.h>

BlockEdge *block_node_backing(const BlockNode *node)
{
    while (node->driver->is_filter && node->file) {
        node = node->file->node;
    }
    return node->backing;
}

/* What is behind the end of a shorter image reads as zeroes, and nobody has it. */
static int status_of(BlockEdge *edge, uint64_t offset, uint64_t count, BlockStatus *status)
{
    uint64_t size = block_node_size(edge->node);
    if (offset >= size) {
        *status = (BlockStatus){ .bytes = count, .zero = true, .past_end = true };
        return 0;
    }
    return block_status(edge, offset, MIN(count, size - offset), status);
}

int block_status_above(BlockEdge *edge, const BlockNode *base, uint64_t offset, uint64_t count, BlockStatus *status,
                       unsigned *depth)
{
    uint64_t left = count;
    *depth = 0;
    for (;;) {
        int error = status_of(edge, offset, left, status);
        if (error) {
            return error;
        }
        left = MIN(left, status->bytes);
        status->bytes = left;
        BlockEdge *below = block_node_backing(edge->node);
        if (status->allocated || status->past_end || !below || below->node == base) {
            return 0;
        }
        edge = below;
        ++*depth;
    }
}
