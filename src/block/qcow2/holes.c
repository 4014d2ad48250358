/*
 * Data clusters that the file has nothing of: preallocated and never written to. They read as zeroes. The file is asked
 * about each of them only where it takes clearly less of the host than the clusters in use would, which is found out
 * once, when it is first of interest.
 */
#include "block/qcow2/qcow2.h"

#include "base/bytes.h"

#include <errno.h>
#include <stdatomic.h>

typedef struct Count {
    BlockNode *node;
    uint64_t clusters; /* of the file */
    uint64_t enough;   /* more need not be counted */
    uint64_t blocks;   /* that are read at most: a file that has so little has no more */
    uint64_t used;
} Count;

static void count_block(const Qcow2 *qcow2, Count *count, const uint8_t *block, uint64_t first)
{
    uint64_t there = MIN(BIT(qcow2->block_bits), count->clusters - first);
    for (uint64_t i = 0; i < there && count->used < count->enough; i++) {
        count->used += qcow2_refcount_in(block, qcow2->header.refcount_order, i) != 0;
    }
}

static int count_used(Count *count)
{
    const Qcow2 *qcow2 = count->node->state;
    const Qcow2Header *header = &qcow2->header;
    uint64_t bytes = (uint64_t)header->refcount_table_clusters << header->cluster_bits;
    AUTO_FREE uint8_t *table = block_buffer(count->node->file->node, bytes);
    AUTO_FREE uint8_t *block = block_buffer(count->node->file->node, qcow2->cluster_bytes);
    if (!table || !block) {
        return ENOMEM;
    }
    int error = block_read(count->node->file, header->refcount_table_offset, table, bytes);
    uint64_t entries = MIN(bytes / sizeof(uint64_t), ((count->clusters - 1) >> qcow2->block_bits) + 1);
    for (uint64_t i = 0; i < entries && count->blocks > 0 && count->used < count->enough && !error; i++) {
        uint64_t place = load_be64(table + i * sizeof(uint64_t)) & ~mask_bits(9);
        if (place) {
            error = block_read(count->node->file, place, block, qcow2->cluster_bytes);
            count_block(qcow2, count, block, i << qcow2->block_bits);
            count->blocks--;
        }
    }
    return error;
}

static bool find_out(BlockNode *node)
{
    const Qcow2 *qcow2 = node->state;
    BlockNode *file = node->file->node;
    int64_t taken = block_node_allocated_size(file);
    uint64_t there = (uint64_t)taken / qcow2->cluster_bytes;
    Count count = { .node = node, .clusters = qcow2_clusters(qcow2, block_node_size(file)), .blocks = there + 2,
                    .enough = MAX(there + 2, there + there / 9) };
    return taken >= 0 && count.clusters >= count.enough && count_used(&count) == 0 && count.used >= count.enough;
}

static bool has_holes(BlockNode *node)
{
    Qcow2 *qcow2 = node->state;
    if (atomic_load(&qcow2->holes) == QCOW2_HOLES_UNKNOWN) {
        atomic_store(&qcow2->holes, find_out(node) ? QCOW2_HOLES : QCOW2_NO_HOLES);
    }
    return atomic_load(&qcow2->holes) == QCOW2_HOLES;
}

int qcow2_look_for_holes(BlockNode *node, BlockStatus *status)
{
    const Qcow2 *qcow2 = node->state;
    uint64_t end = block_node_size(node->file->node);
    if (qcow2->data != node->file || !has_holes(node)) {
        return 0;
    }
    if (status->offset >= end) {
        status->zero = true;
        return 0;
    }
    BlockStatus below;
    int error = block_status(node->file, status->offset, MIN(status->bytes, end - status->offset), &below);
    if (!error) {
        status->zero = below.zero;
        status->bytes = below.bytes;
    }
    return error;
}
