/*
 * The "preallocate" driver: a filter above the file of a growing image. What is written behind the end has the file
 * allocated some way ahead, so that a hundred small growths become one. What is too much is given back when nobody
 * writes any more.
 */
#include "block/filter.h"

#include "base/error.h"
#include "base/vec.h"
#include "schema/block.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>

typedef struct Preallocate {
    uint64_t align, amount;
    TaskLock lock;         /* of what follows */
    _Atomic uint64_t end;  /* up to which the file is allocated: at least its data */
    bool cannot;           /* what is below does not do it */
} Preallocate;

static bool preallocate_open(BlockNode *node, const void *data, Error **error)
{
    const PreallocateSettings *settings = data;
    Preallocate *ahead = node->state;
    ahead->align = settings->prealloc_align;
    ahead->amount = settings->prealloc_size;
    if (!filter_open(node, "file", error)) {
        return false;
    }
    if (!ahead->align || ahead->align % BLOCK_SECTOR || ahead->align > (1u << 30)) {
        return error_set(error, "prealloc-align parameter of preallocate filter is not aligned to %d", BLOCK_SECTOR);
    }
    if (ahead->align % node->limits.alignment) {
        return error_set(error, "prealloc-align parameter of preallocate filter is not aligned to underlying node "
                         "request alignment (%" PRIu32 ")", node->limits.alignment);
    }
    if (ahead->amount > INT64_MAX / 4) {
        return error_set(error, "prealloc-size parameter of preallocate filter is too large");
    }
    atomic_store(&ahead->end, block_node_size(node->file->node));
    return true;
}

static unsigned preallocate_permissions(const BlockNode *node, const char *name, unsigned permissions,
                                        unsigned *shared)
{
    if (node->read_only || !(permissions & (BLOCK_PERMISSION_WRITE | BLOCK_PERMISSION_RESIZE))) {
        return permissions;
    }
    *shared &= ~(unsigned)(BLOCK_PERMISSION_WRITE | BLOCK_PERMISSION_RESIZE);
    return permissions | BLOCK_PERMISSION_WRITE | BLOCK_PERMISSION_RESIZE;
}

/* Nobody writes any more: the file ends where its data do. */
static bool give_back(BlockNode *node, Error **error)
{
    Preallocate *ahead = node->state;
    uint64_t size = atomic_load(&node->size);
    if (!node->file || atomic_load(&ahead->end) <= size) {
        return true;
    }
    atomic_store(&ahead->end, size);
    BlockNode *file = node->file->node;
    return !file->driver->resize || file->driver->resize(file, size, PREALLOC_MODE_OFF, error);
}

static bool preallocate_set_permissions(BlockNode *node, unsigned permissions, unsigned shared, Error **error)
{
    return permissions & (BLOCK_PERMISSION_WRITE | BLOCK_PERMISSION_RESIZE) || give_back(node, error);
}

static void preallocate_close(BlockNode *node) { give_back(node, NULL); }

/* Allocates up to behind `end`, if it has to. */
static void reach(BlockNode *node, uint64_t end)
{
    Preallocate *ahead = node->state;
    if (end <= atomic_load(&ahead->end) || ahead->cannot) {
        return;
    }
    task_lock(&ahead->lock, block_task_self(block_graph_runtime(node->graph)));
    uint64_t from = atomic_load(&ahead->end);
    if (end > from && !ahead->cannot && end < INT64_MAX / 4) {
        uint64_t to = align_up(end + ahead->amount, ahead->align);
        int error = block_write_zeroes(node->file, from, to - from, BLOCK_NO_FALLBACK);
        ahead->cannot = error != 0;
        if (!error) {
            atomic_store(&ahead->end, to);
        }
    }
    task_unlock(&ahead->lock);
}

static bool preallocate_map(BlockNode *node, BlockOperation operation, uint64_t offset, uint64_t bytes,
                            BlockMapping *mapping)
{
    Preallocate *ahead = node->state;
    return (operation == BLOCK_READ || offset + bytes <= atomic_load(&ahead->end) || ahead->cannot) &&
           filter_map(node, operation, offset, bytes, mapping);
}

static int preallocate_write(BlockNode *node, uint64_t offset, uint64_t bytes, BlockVectors vectors, unsigned flags)
{
    reach(node, offset + bytes);
    return filter_write(node, offset, bytes, vectors, flags);
}

/* Zeroes behind the end that are allocated ahead are there already. */
static int preallocate_write_zeroes(BlockNode *node, uint64_t offset, uint64_t bytes, unsigned flags)
{
    Preallocate *ahead = node->state;
    uint64_t size = atomic_load(&node->size);
    reach(node, offset + bytes);
    bool is_there = offset >= size && offset + bytes <= atomic_load(&ahead->end) && !(flags & BLOCK_MAY_UNMAP);
    return is_there ? 0 : filter_write_zeroes(node, offset, bytes, flags);
}

static bool preallocate_resize(BlockNode *node, uint64_t size, int preallocation, Error **error)
{
    Preallocate *ahead = node->state;
    if (!give_back(node, error) || !block_resize(node->file, size, preallocation, error)) {
        return false;
    }
    atomic_store(&node->size, block_node_size(node->file->node));
    atomic_store(&ahead->end, block_node_size(node->file->node));
    return true;
}

const BlockDriver preallocate_driver = {
    .name = "preallocate",
    .is_filter = true,
    .grows_with_zeroes = true,
    .state_size = sizeof(Preallocate),
    .settings = &PreallocateSettings_type,
    .open = preallocate_open,
    .close = preallocate_close,
    .map = preallocate_map,
    .read = filter_read,
    .write = preallocate_write,
    .write_zeroes = preallocate_write_zeroes,
    .discard = filter_discard,
    .status = filter_status,
    .resize = preallocate_resize,
    .child_permissions = preallocate_permissions,
    .set_permissions = preallocate_set_permissions,
};
