/*
 * Opening nodes afresh: other modes, caches, options, backing files. A node closes its driver, and with it what it has
 * in memory; files that were opened for it alone are opened again with its modes; then it opens with the new options.
 * What fails goes back to the old ones. Requests wait meanwhile.
 */
#include "block/block_internal.h"

#include "api/json.h"
#include "base/error.h"
#include "base/vec.h"
#include "block/bitmap.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

/* In place of one that could not even be opened as it had been. */

static int broken_read(BlockNode *node, uint64_t offset, uint64_t bytes, BlockVectors vectors) { return EIO; }

static int broken_write(BlockNode *node, uint64_t offset, uint64_t bytes, BlockVectors vectors, unsigned flags)
{
    return EIO;
}

static const BlockDriver broken = { .name = "broken", .read = broken_read, .write = broken_write };

/* Closing */

static void close_node(BlockNode *node)
{
    if (node->was_told && node->state) {
        node->was_told = false;
        node->driver->drain_end(node);
    }
    node->graph->listening -= node->listens;
    node->listens = false;
    if (node->state && node->driver->close) {
        node->driver->close(node);
    }
    free(node->state);
    node->state = NULL;
    LIST_FOREACH_SAFE(&node->bitmaps, bitmap, BlockBitmap, in_node)
    {
        if (bitmap->persistent) { /* which are in the image */
            block_bitmap_remove(bitmap);
        }
    }
}

/* The children are kept, with nothing that is needed of them. */
static void put_children_aside(BlockNode *node, ListNode *aside)
{
    list_init(aside);
    LIST_FOREACH_SAFE(&node->children, child, BlockEdge, in_parent)
    {
        list_remove(&child->in_parent);
        list_append(aside, &child->in_parent);
        list_remove(&child->in_node);
        node_update_permissions(child->node, NULL);
    }
    node->file = node->backing = NULL;
}

static void drop_children(ListNode *children)
{
    LIST_FOREACH_SAFE(children, child, BlockEdge, in_parent)
    {
        list_append(&child->node->parents, &child->in_node);
        edge_free(child);
    }
}

static void drop_new_children(BlockNode *node)
{
    LIST_FOREACH_SAFE(&node->children, child, BlockEdge, in_parent)
    {
        edge_free(child);
    }
    node->file = node->backing = NULL;
}

/* Options */

static void put_all(Json *to, const Json *from)
{
    for (size_t i = 0; from && i < json_length(from); i++) {
        if (!json_get(to, json_key(from, i))) {
            json_set(to, json_key(from, i), json_copy(json_value(from, i)));
        }
    }
}

static void put_children(const BlockNode *node, Json *to)
{
    LIST_FOREACH(&node->children, child, BlockEdge, in_parent)
    {
        if (!json_get(to, child->name)) {
            json_set(to, child->name, json_string(child->node->name));
        }
    }
    if (node->driver->has_backing && !node->backing && !json_get(to, "backing")) {
        json_set(to, "backing", json_null());
    }
}

/* All that the node is opened by now. */
static Json *old_options(const BlockNode *node)
{
    Json *options = json_object();
    put_all(options, node->common);
    put_all(options, node->given);
    put_children(node, options);
    return options;
}

static bool open_again(BlockNode *node, const Json *options, unsigned flags, Error **error)
{
    Json *copy = json_copy(options);
    free(node->file_name);
    node->file_name = string_copy("");
    node->limits = (BlockLimits){ .alignment = 1, .memory_alignment = 1, .maximum_vectors = 1024 };
    json_free(json_take(copy, "driver"));
    bool ok = node_apply_settings(node, copy, flags, error) && node_open_driver(node, copy, error) &&
              node_update_permissions(node, error);
    json_free(copy);
    return ok;
}

/* A child (put aside) that was opened for this node alone has its modes. */
static bool is_inherited(const BlockEdge *child)
{
    const BlockNode *node = child->node;
    return node->inherits && strcmp(child->name, "backing") != 0 && list_empty(&node->parents);
}

static bool reopen_node(BlockNode *node, const Json *options, unsigned flags, Error **error);

static bool reopen_inherited(ListNode *children, unsigned flags, Error **error)
{
    bool ok = true;
    LIST_FOREACH(children, child, BlockEdge, in_parent)
    {
        if (ok && is_inherited(child)) {
            Json *options = old_options(child->node);
            unsigned below = flags | (child->node->opened_flags & (BLOCK_OPEN_PROTOCOL | BLOCK_OPEN_DISCARD));
            ok = below == child->node->opened_flags || reopen_node(child->node, options, below, error);
            json_free(options);
        }
    }
    return ok;
}

/* The flags that the node will have, for those below. */
static unsigned flags_below(BlockNode *node, const Json *options, unsigned flags)
{
    AUTO_ERROR(ignored);
    Json *copy = json_copy(options);
    node_apply_settings(node, copy, flags, &ignored);
    json_free(copy);
    return node->flags;
}

static bool reopen_node(BlockNode *node, const Json *options, unsigned flags, Error **error)
{
    ListNode aside;
    if (node->driver == &broken) {
        return error_set(error, "Block node '%s' could not be opened again", node->name);
    }
    Json *before = old_options(node);
    unsigned flags_before = node->opened_flags, below_before = node->flags;
    uint64_t size = block_node_size(node);
    const BlockDriver *driver = node->driver;
    close_node(node);
    put_children_aside(node, &aside);
    bool ok = reopen_inherited(&aside, flags_below(node, options, flags), error) &&
              open_again(node, options, flags, error);
    if (!ok) {
        AUTO_ERROR(ignored);
        close_node(node);
        drop_new_children(node);
        if (!reopen_inherited(&aside, below_before, &ignored) || !open_again(node, before, flags_before, &ignored)) {
            fprintf(stderr, "%s: '%s' cannot be opened again: %s\n", node->driver->name, node->file_name,
                    error_message(ignored));
            close_node(node);
            drop_new_children(node);
            node->driver = &broken;
        }
    }
    drop_children(&aside);
    json_free(before);
    if (node->driver == driver && block_node_size(node) != size) {
        node_tell_resized(node, NULL);
    }
    return ok;
}

/* Requests */

static Json *new_options(const BlockReopen *change)
{
    Json *options = change->options ? json_copy(change->options) : json_object();
    json_free(json_take(options, "node-name"));
    if (change->keep) {
        put_all(options, change->node->common);
        put_all(options, change->node->given);
    } else if (change->node->driver->filename_key && !json_get(options, change->node->driver->filename_key)) {
        put_all(options, change->node->given); /* where the file is, of which nobody may know more than its name */
    }
    put_children(change->node, options);
    return options;
}

typedef struct Undo {
    Json *options;
    unsigned flags;
} Undo;

static bool check_driver(const BlockReopen *change, Error **error)
{
    const char *driver = change->options ? json_get_text(change->options, "driver") : NULL;
    return !driver || strcmp(driver, change->node->driver->name) == 0 ||
           error_set(error, "Cannot change the option 'driver'");
}

unsigned block_node_opened_flags(const BlockNode *node) { return node->opened_flags; }

bool block_reopen(BlockGraph *graph, const BlockReopen *nodes, size_t count, Error **error)
{
    AUTO_FREE Undo *undo = mem_alloc_array(count + 1, sizeof *undo);
    size_t done = 0;
    bool ok = true;
    for (size_t i = 0; ok && i < count; i++) {
        ok = check_driver(&nodes[i], error);
    }
    block_graph_drain_begin(graph);
    for (; ok && done < count; done++) {
        BlockNode *node = nodes[done].node;
        Json *options = new_options(&nodes[done]);
        undo[done] = (Undo){ old_options(node), node->opened_flags };
        ok = reopen_node(node, options, nodes[done].flags, error);
        json_free(options);
    }
    for (size_t i = done; i-- > 0;) {
        if (!ok && i + 1 < done) { /* the last one has gone back by itself */
            reopen_node(nodes[i].node, undo[i].options, undo[i].flags, NULL);
        }
        json_free(undo[i].options);
    }
    block_graph_drain_end(graph);
    for (size_t i = 0; i < count; i++) {
        json_free(nodes[i].options);
    }
    return ok;
}
