/*
 * Room in the file, ahead of the clusters that are taken. Where requests go past the host's cache, each write that
 * makes a file longer has it to itself on the host: many at once wait for each other. So where there are several the
 * file grows by larger steps, which are allocated and read as zeroes; what is left of the last one goes when the image
 * is closed.
 */
#include "block/qcow2/qcow2.h"

#include "base/error.h"

#include <stdatomic.h>

enum { SMALLEST_STEP = 8 << 20, LARGEST_STEP = 64 << 20 };

void qcow2_room_init(BlockNode *node)
{
    Qcow2 *qcow2 = node->state;
    bool grows = block_node_modes(node->file->node).direct && !qcow2_has(qcow2, QCOW2_EXTERNAL_DATA) &&
                 qcow2->fresh_from != UINT64_MAX && node->file->node->driver->allocate;
    atomic_store(&qcow2->room, grows ? qcow2->fresh_from : UINT64_MAX);
}

static uint64_t step(const Qcow2 *qcow2, uint64_t size)
{
    return MAX(align_up(MIN(MAX(size / 8, SMALLEST_STEP), LARGEST_STEP), qcow2->cluster_bytes), qcow2->cluster_bytes);
}

void qcow2_make_room(BlockNode *node, BlockTask *self, uint64_t end)
{
    Qcow2 *qcow2 = node->state;
    if (end <= atomic_load(&qcow2->room)) {
        return;
    }
    task_lock(&qcow2->room_lock, self);
    uint64_t from = atomic_load(&qcow2->room), to = end + step(qcow2, end);
    if (end > from) { /* one that fails is not tried again: the write itself says what is wrong */
        bool ok = block_allocate(node->file, from, to - from) == 0;
        qcow2->grown = ok ? to : qcow2->grown;
        atomic_store(&qcow2->room, ok ? to : UINT64_MAX);
    }
    task_unlock(&qcow2->room_lock);
}

void qcow2_trim(BlockNode *node)
{
    Qcow2 *qcow2 = node->state;
    AUTO_ERROR(error);
    if (qcow2->grown > qcow2->fresh_from && block_node_size(node->file->node) <= qcow2->grown) {
        block_resize(node->file, qcow2->fresh_from, 0, &error); /* else it stays as long */
    }
    qcow2->grown = 0;
    atomic_store(&qcow2->room, UINT64_MAX);
}
