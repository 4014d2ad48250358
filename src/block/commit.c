/*
 * A node's changes go into its backing file while both are in use: the backing file is opened for writing, gets what
 * the node has, and the node becomes empty. All requests wait meanwhile.
 */
#include "block/block_internal.h"
#include "block/image.h"

#include "api/json.h"
#include "base/error.h"

#include <errno.h>

enum { CHUNK = 2 << 20 };

static int copy_part(BlockEdge *from, BlockEdge *to, uint64_t offset, const BlockStatus *status, char *bytes)
{
    if (!status->allocated) {
        return 0;
    }
    if (status->zero) {
        return block_write_zeroes(to, offset, status->bytes, 0);
    }
    int error = block_read(from, offset, bytes, status->bytes);
    return error ? error : block_write(to, offset, bytes, status->bytes, 0);
}

static bool copy_all(BlockEdge *from, BlockEdge *to, Error **error)
{
    uint64_t size = block_node_size(from->node);
    if (size > block_node_size(to->node) && !block_resize(to, size, 0, error)) {
        return false;
    }
    AUTO_FREE char *bytes = mem_alloc(CHUNK);
    int number = 0;
    for (uint64_t at = 0; at < size && !number;) {
        BlockStatus status;
        number = block_status(from, at, MIN(CHUNK, size - at), &status);
        number = number ? number : copy_part(from, to, at, &status, bytes);
        at += number ? 0 : status.bytes;
    }
    number = number ? number : block_flush(to);
    return number == 0 || error_set_errno(error, number, "Could not write to '%s'", to->node->file_name);
}

/* The backing file can be written to, and by others than those above it. */
static bool commit_to(BlockNode *node, BlockNode *base, Error **error)
{
    BlockEdge *backing = block_node_backing(node);
    unsigned shared = backing->shared;
    BlockEdge *from = block_attach(node, "commit", BLOCK_PERMISSION_READ, BLOCK_PERMISSION_ALL, error);
    bool ok = from && block_edge_permit(backing, backing->permissions, BLOCK_PERMISSION_ALL, error);
    BlockEdge *to = ok ? block_attach(base, "commit", BLOCK_PERMISSION_READ | BLOCK_PERMISSION_WRITE |
                                                          BLOCK_PERMISSION_RESIZE, BLOCK_PERMISSION_ALL, error)
                       : NULL;
    ok = to && copy_all(from, to, error) && block_make_empty(node, error);
    block_detach(to);
    block_detach(from);
    block_edge_permit(backing, backing->permissions, shared, NULL); /* as before: this cannot fail */
    return ok;
}

static bool reopen_base(BlockReopen change, Error **error)
{
    change.options = json_object();
    return block_reopen(change.node->graph, &change, 1, error);
}

bool block_commit(BlockNode *node, Error **error)
{
    node = block_node_below_filters(node);
    BlockEdge *backing = block_node_backing(node);
    if (!backing || !node->driver->make_empty) {
        return error_set_errno(error, ENOTSUP, "'%s' has no backing file to commit to", node->file_name);
    }
    if (node->read_only) {
        return error_set(error, "Block node is read-only");
    }
    BlockNode *base = backing->node;
    unsigned flags = base->opened_flags;
    bool opens = base->read_only;
    BlockReopen change = { .node = base, .flags = flags | BLOCK_OPEN_WRITE, .keep = true };
    block_graph_drain_begin(node->graph);
    bool ok = !opens || reopen_base(change, error);
    if (ok) {
        ok = commit_to(node, base, error);
        change.flags = flags;
        if (opens) {
            reopen_base(change, NULL);
        }
    }
    block_graph_drain_end(node->graph);
    return ok;
}
