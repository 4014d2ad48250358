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

int block_status_above(BlockEdge *edge, const BlockNode *base, uint64_t offset, uint64_t count, BlockStatus *status,
                       unsigned *depth)
{
    uint64_t size = block_node_size(edge->node);
    *depth = 0;
    if (offset >= size) {
        *status = (BlockStatus){ .bytes = count, .zero = true, .past_end = true };
        return 0;
    }
    for (;;) {
        int error = block_status(edge, offset, MIN(count, size - offset), status);
        BlockEdge *below = block_node_backing(edge->node);
        if (error || status->allocated || status->past_end || !below || below->node == base) {
            return error;
        }
        count = status->bytes;
        size = block_node_size(below->node);
        if (offset >= size) { /* what is behind the end of a shorter image reads as zeroes, and nobody has it */
            status->zero = status->past_end = true;
            return 0;
        }
        edge = below;
        ++*depth;
    }
}
