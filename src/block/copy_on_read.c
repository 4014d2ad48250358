/*
 * The "copy-on-read" driver: what a read finds in a backing file is written to the image, so that it is found there the
 * next time. `bottom` names the lowest node whose data are taken.
 */
#include "block/filter.h"

#include "api/json.h"
#include "base/error.h"
#include "base/vec.h"
#include "schema/block.h"

#include <errno.h>

enum { CHUNK = 1 << 20 };

typedef struct CopyOnRead {
    RangeLock ranges; /* copying is kept apart from what else is written */
    uint64_t unit;    /* is copied as a whole */
    const BlockNode *end; /* below `bottom`: NULL where all is copied */
} CopyOnRead;

/* The node below `bottom`, which has to be one of the chain. */
static bool find_bottom(BlockNode *node, const char *name, Error **error)
{
    CopyOnRead *filter = node->state;
    for (BlockNode *next = block_node_below_filters(node->file->node); next;) {
        const BlockEdge *backing = block_node_backing(next);
        if (strcmp(next->name, name) == 0) {
            filter->end = backing ? backing->node : NULL;
            return true;
        }
        next = backing ? block_node_below_filters(backing->node) : NULL;
    }
    return error_set(error, "Bottom node '%s' not found", name);
}

static bool cor_open(BlockNode *node, const void *data, Error **error)
{
    const CopyOnReadSettings *settings = data;
    CopyOnRead *filter = node->state;
    BlockFacts facts;
    range_lock_init(&filter->ranges);
    if (node->read_only) {
        return error_set(error, "Block node is read-only");
    }
    if (!filter_open(node, "file", error)) {
        return false;
    }
    block_node_facts(block_node_below_filters(node->file->node), &facts);
    json_free(facts.specific);
    filter->unit = MAX(facts.cluster_bytes, (uint32_t)BLOCK_SECTOR);
    return !settings->bottom || find_bottom(node, settings->bottom, error);
}

static void cor_close(BlockNode *node) { range_lock_destroy(&((CopyOnRead *)node->state)->ranges); }

static unsigned cor_permissions(const BlockNode *node, const char *name, unsigned permissions, unsigned *shared)
{
    return permissions | BLOCK_PERMISSION_READ | (node->read_only ? 0 : BLOCK_PERMISSION_WRITE_UNCHANGED);
}

static BlockTask *self_of(const BlockNode *node) { return block_task_self(block_graph_runtime(node->graph)); }

/* Whether the first *bytes from `offset` on are to be copied. */
static int must_copy(BlockNode *node, uint64_t offset, uint64_t *bytes, bool *copy)
{
    const CopyOnRead *filter = node->state;
    BlockStatus status;
    unsigned depth;
    int error = block_status_above(node->file, filter->end, offset, *bytes, &status, &depth);
    *bytes = error ? *bytes : status.bytes;
    *copy = !error && !status.past_end && depth > 0 && (status.allocated || !filter->end);
    return error;
}

/* Whole units around what is asked for, up to the image's end. */
static int copy_units(BlockNode *node, uint64_t offset, uint64_t bytes, BlockVectors vectors)
{
    CopyOnRead *filter = node->state;
    BlockRange range = { .start = align_down(offset, filter->unit),
                         .end = MIN(align_up(offset + bytes, filter->unit), block_node_size(node->file->node)),
                         .exclusive = true };
    size_t length = range.end - range.start;
    AUTO_FREE char *buffer = block_buffer(node, length);
    if (!buffer) {
        return ENOMEM;
    }
    struct iovec piece = { buffer, length };
    BlockVectors whole = { &piece, 1, 0 };
    range_lock(&filter->ranges, &range, self_of(node));
    int error = block_readv(node->file, range.start, length, whole);
    if (!error) {
        block_debug_event(node->file, BLKDEBUG_EVENT_COR_WRITE);
        error = block_vectors_are_zero(whole, length)
                    ? block_write_zeroes(node->file, range.start, length, BLOCK_MAY_UNMAP)
                    : block_writev(node->file, range.start, length, whole, 0);
    }
    range_unlock(&filter->ranges, &range);
    if (!error) {
        block_vectors_write(vectors, buffer + (offset - range.start), bytes);
    }
    return error;
}

static int cor_read(BlockNode *node, uint64_t offset, uint64_t bytes, BlockVectors vectors)
{
    int error = 0;
    for (uint64_t done = 0, length; done < bytes && !error; done += length) {
        bool copy = false;
        length = MIN(bytes - done, (uint64_t)CHUNK);
        error = must_copy(node, offset + done, &length, &copy);
        BlockVectors part = block_vectors_from(vectors, done);
        if (!error) {
            error = copy ? copy_units(node, offset + done, length, part)
                         : filter_read(node, offset + done, length, part);
        }
    }
    return error;
}

static int cor_write(BlockNode *node, uint64_t offset, uint64_t bytes, BlockVectors vectors, unsigned flags)
{
    CopyOnRead *filter = node->state;
    BlockRange range = { .start = offset, .end = offset + bytes };
    range_lock(&filter->ranges, &range, self_of(node));
    int error = filter_write(node, offset, bytes, vectors, flags);
    range_unlock(&filter->ranges, &range);
    return error;
}

static int cor_write_zeroes(BlockNode *node, uint64_t offset, uint64_t bytes, unsigned flags)
{
    CopyOnRead *filter = node->state;
    BlockRange range = { .start = offset, .end = offset + bytes };
    range_lock(&filter->ranges, &range, self_of(node));
    int error = filter_write_zeroes(node, offset, bytes, flags);
    range_unlock(&filter->ranges, &range);
    return error;
}

static int cor_discard(BlockNode *node, uint64_t offset, uint64_t bytes)
{
    CopyOnRead *filter = node->state;
    BlockRange range = { .start = offset, .end = offset + bytes };
    range_lock(&filter->ranges, &range, self_of(node));
    int error = filter_discard(node, offset, bytes);
    range_unlock(&filter->ranges, &range);
    return error;
}

const BlockDriver copy_on_read_driver = {
    .name = "copy-on-read",
    .is_filter = true,
    .state_size = sizeof(CopyOnRead),
    .settings = &CopyOnReadSettings_type,
    .open = cor_open,
    .close = cor_close,
    .read = cor_read,
    .write = cor_write,
    .write_zeroes = cor_write_zeroes,
    .discard = cor_discard,
    .status = filter_status,
    .resize = filter_resize,
    .child_resized = filter_child_resized,
    .child_permissions = cor_permissions,
};
