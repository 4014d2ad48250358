/* Nodes, the edges between them, and what each may do beside the others. */
#include "block/bitmap.h"
#include "block/block_internal.h"
#include "block/statistics.h"

#include "api/json.h"
#include "base/error.h"
#include "base/strbuf.h"
#include "base/vec.h"
#include "block/task_internal.h"
#include "trace/block.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>

/* The graph */

static void drain_noticed(void *data) { atomic_store(&((BlockGraph *)data)->drain_called, false); }

BlockGraph *block_graph_new(Files *files, Loop *main_loop, Error **error)
{
    BlockGraph *graph = NEW(BlockGraph);
    graph->runtime = block_runtime_new(main_loop, error);
    if (!graph->runtime) {
        free(graph);
        return NULL;
    }
    graph->quiet = graph->trace = trace_new(trace_events, trace_event_count, NULL);
    graph->files = files;
    graph->held_end = &graph->held;
    graph->drain_call = (BlockCall){ .function = drain_noticed, .data = graph };
    list_init(&graph->nodes);
    list_init(&graph->users);
    mutex_init(&graph->held_mutex);
    return graph;
}

void block_graph_free(BlockGraph *graph)
{
    if (!graph) {
        return;
    }
    assert(list_empty(&graph->nodes) && list_empty(&graph->users) && !graph->held);
    block_loop_poll(graph->runtime->main, false); /* a last drain_call */
    block_runtime_free(graph->runtime);
    object_unref(graph->throttles);
    trace_free(graph->quiet);
    mutex_destroy(&graph->held_mutex);
    free(graph);
}

void block_graph_enter(BlockGraph *graph) { block_loop_take(graph->runtime->main); }
void block_graph_set_trace(BlockGraph *graph, Trace *trace) { graph->trace = trace ? trace : graph->quiet; }
Trace *block_node_trace(const BlockNode *node) { return node->graph->trace; }
void block_graph_set_objects(BlockGraph *graph, Object *objects) { graph->objects = objects; }
Object *block_graph_objects(const BlockGraph *graph) { return graph->objects; }
BlockRuntime *block_graph_runtime(const BlockGraph *graph) { return graph->runtime; }
Files *block_graph_files(const BlockGraph *graph) { return graph->files; }

static bool users_are_idle(const BlockGraph *graph)
{
    LIST_FOREACH(&graph->users, edge, BlockEdge, in_parent)
    {
        if (atomic_load(&edge->in_flight) > 0) {
            return false;
        }
    }
    return true;
}

static void tell_node(BlockNode *node, bool begins)
{
    void (*tell)(BlockNode *) = begins ? node->driver->drain_begin : node->driver->drain_end;
    if (node->state && tell && node->was_told != begins) {
        node->was_told = begins;
        tell(node);
    }
}

/* What waits for its time is let go. */
static void tell_drain(BlockGraph *graph, bool begins)
{
    LIST_FOREACH(&graph->nodes, node, BlockNode, in_graph)
    {
        if (node->driver) {
            tell_node(node, begins);
        }
    }
    LIST_FOREACH(&graph->users, edge, BlockEdge, in_parent)
    {
        if (edge->throttle) {
            throttle_group_drain(throttle_member_group(edge->throttle), begins);
        }
    }
}

void block_graph_drain_begin(BlockGraph *graph)
{
    if (atomic_fetch_add(&graph->drained, 1) == 0) {
        tell_drain(graph, true);
    }
    atomic_fetch_add(&graph->waiting, 1);
    while (!users_are_idle(graph)) {
        block_loop_poll(graph->runtime->main, true);
    }
    atomic_fetch_sub(&graph->waiting, 1);
}

void block_graph_drain_end(BlockGraph *graph)
{
    mutex_lock(&graph->held_mutex);
    bool last = atomic_fetch_sub(&graph->drained, 1) == 1;
    mutex_unlock(&graph->held_mutex);
    if (last) {
        tell_drain(graph, false);
        block_submit_held(graph);
    }
}

void block_edge_drain(BlockEdge *edge)
{
    BlockGraph *graph = edge->graph;
    BlockLoop *loop = block_loop_self(graph->runtime);
    bool is_main = loop == graph->runtime->main, tells = is_main && atomic_load(&graph->drained) == 0;
    if (tells) { /* the main loop's thread alone may look at all nodes */
        tell_drain(graph, true);
    }
    atomic_fetch_add(&graph->waiting, is_main);
    while (atomic_load(&edge->in_flight) > 0) {
        block_loop_poll(loop, true);
    }
    atomic_fetch_sub(&graph->waiting, is_main);
    if (tells) {
        tell_drain(graph, false);
    }
}

/* Nodes */

BlockNode *node_new(BlockGraph *graph)
{
    BlockNode *node = NEW(BlockNode);
    node->graph = graph;
    node->references = 1;
    node->limits = (BlockLimits){ .alignment = 1, .memory_alignment = 1, .maximum_vectors = 1024 };
    node->file_name = string_copy("");
    list_init(&node->children);
    list_init(&node->parents);
    range_lock_init(&node->ranges);
    list_init(&node->bitmaps);
    atomic_store(&node->write_threshold, UINT64_MAX);
    list_append(&graph->nodes, &node->in_graph);
    return node;
}

BlockNode *block_node_ref(BlockNode *node)
{
    node->references++;
    return node;
}

void block_node_unref(BlockNode *node)
{
    if (!node || --node->references > 0) {
        return;
    }
    assert(list_empty(&node->parents));
    node->graph->listening -= node->listens;
    if (node->state && node->driver) {
        trace_block_close(node->graph->trace, node->name, node->driver->name);
    }
    if (node->state && node->driver->close) {
        node->driver->close(node);
    }
    LIST_FOREACH_SAFE(&node->bitmaps, bitmap, BlockBitmap, in_node)
    {
        block_bitmap_remove(bitmap);
    }
    LIST_FOREACH_SAFE(&node->children, child, BlockEdge, in_parent)
    {
        edge_free(child);
    }
    list_remove(&node->in_graph);
    json_free(node->options);
    json_free(node->given);
    json_free(node->common);
    range_lock_destroy(&node->ranges);
    free(node->state);
    free(node->name);
    free(node->file_name);
    free(node);
}

BlockNode *block_node_find(const BlockGraph *graph, const char *node_name)
{
    LIST_FOREACH(&graph->nodes, node, BlockNode, in_graph)
    {
        if (node->name && strcmp(node->name, node_name) == 0) {
            return node;
        }
    }
    return NULL;
}

bool block_node_can_be_yanked(const BlockNode *node) { return node->driver->yank != NULL; }
void block_node_yank(BlockNode *node) { node->driver->yank(node); }

BlockNode *block_graph_node(const BlockGraph *graph, size_t i)
{
    LIST_FOREACH(&graph->nodes, node, BlockNode, in_graph)
    {
        if (i-- == 0) {
            return node;
        }
    }
    return NULL;
}

BlockNodeModes block_node_modes(const BlockNode *node)
{
    return (BlockNodeModes){ .direct = node->flags & BLOCK_OPEN_DIRECT, .no_flush = node->no_flush,
                             .discard = node->discard, .detect_zeroes = node->detect_zeroes };
}

const char *block_node_name(const BlockNode *node) { return node->name; }
const char *block_node_file_name(const BlockNode *node) { return node->file_name; }
const char *block_node_driver_name(const BlockNode *node) { return node->driver->name; }
bool block_node_is_used(const BlockNode *node) { return !list_empty(&node->parents); }
void block_node_hide(BlockNode *node) { node->hidden = true; }
bool block_node_is_hidden(const BlockNode *node) { return node->hidden; }

BlockNode *block_node_shown(BlockNode *node)
{
    while (node->hidden && node->file) {
        node = node->file->node;
    }
    return node;
}

BlockNode *block_node_below_filters(BlockNode *node)
{
    while (node->driver->is_filter && node->file) {
        node = node->file->node;
    }
    return node;
}

bool block_node_is_read_only(const BlockNode *node) { return node->read_only; }
uint64_t block_node_size(const BlockNode *node) { return atomic_load(&((BlockNode *)node)->size); }
BlockEdge *block_node_file(const BlockNode *node) { return node->file; }

bool block_node_discards(const BlockNode *node, BlockDiscards *discards)
{
    *discards = node->driver->discards ? node->driver->discards(node) : (BlockDiscards){ 0 };
    return node->driver->discards != NULL;
}

uint64_t block_node_highest_write(const BlockNode *node) { return atomic_load(&((BlockNode *)node)->highest_write); }
BlockNode *block_edge_node(const BlockEdge *edge) { return edge->node; }
const char *block_edge_name(const BlockEdge *edge) { return edge->name; }

int64_t block_node_allocated_size(BlockNode *node)
{
    if (node->driver->allocated_size) {
        return node->driver->allocated_size(node);
    }
    return node->file ? block_node_allocated_size(node->file->node) : -1;
}

BlockEdge *block_node_child(const BlockNode *node, size_t i)
{
    LIST_FOREACH(&node->children, child, BlockEdge, in_parent)
    {
        if (i-- == 0) {
            return child;
        }
    }
    return NULL;
}

void block_graph_set_damaged(BlockGraph *graph, BlockDamaged *damaged, void *data)
{
    graph->tell_damaged = damaged;
    graph->tell_data = data;
}

void block_node_damaged(BlockNode *node, const BlockDamage *damage)
{
    const BlockGraph *graph = node->graph;
    if (atomic_exchange(&node->damaged, true)) {
        return;
    }
    fprintf(stderr, "%s: %s corrupt: %s; further %scorruption events will be suppressed\n", node->driver->name,
            damage->fatal ? "Marking image as" : "Image is", damage->message, damage->fatal ? "" : "non-fatal ");
    if (graph->tell_damaged) {
        graph->tell_damaged(graph->tell_data, node, damage);
    }
}

void block_graph_set_threshold_exceeded(BlockGraph *graph, BlockThresholdExceeded *exceeded, void *data)
{
    graph->tell_exceeded = exceeded;
    graph->exceeded_data = data;
}

void block_node_set_write_threshold(BlockNode *node, uint64_t threshold)
{
    atomic_store(&node->write_threshold, threshold ? threshold : UINT64_MAX);
}

uint64_t block_node_write_threshold(const BlockNode *node)
{
    uint64_t threshold = atomic_load(&((BlockNode *)node)->write_threshold);
    return threshold == UINT64_MAX ? 0 : threshold;
}

void node_will_write(BlockNode *node, uint64_t end)
{
    uint64_t threshold = atomic_load(&node->write_threshold);
    if (end > threshold && atomic_compare_exchange_strong(&node->write_threshold, &threshold, UINT64_MAX) &&
        node->graph->tell_exceeded) {
        node->graph->tell_exceeded(node->graph->exceeded_data, node, threshold, end - threshold);
    }
}

void node_debug_event(BlockNode *node, int event)
{
    if (node->graph->listening == 0) {
        return;
    }
    while (node->driver && !node->driver->debug_event && node->file) {
        node = node->file->node;
    }
    if (node->driver && node->driver->debug_event && node->state) {
        node->driver->debug_event(node, event);
    }
}

void block_debug_event(BlockEdge *edge, int event)
{
    if (edge) {
        node_debug_event(edge->node, event);
    }
}

/* Permissions */

static const char *const permission_names[] = { "consistent read", "write", "write unchanged", "resize" };

static void list_permissions(unsigned permissions, StrBuf *buffer)
{
    for (size_t i = 0; i < ARRAY_SIZE(permission_names); i++) {
        if (permissions >> i & 1) {
            strbuf_printf(buffer, "%s%s", buffer->length ? ", " : "", permission_names[i]);
        }
    }
}

static void describe_edge(const BlockEdge *edge, StrBuf *buffer)
{
    if (edge->parent) {
        strbuf_printf(buffer, "node '%s' (as its '%s')", edge->parent->name, edge->name);
    } else {
        strbuf_append(buffer, edge->name);
    }
}

static bool conflict(const BlockEdge *needs, const BlockEdge *denies, Error **error)
{
    unsigned permissions = needs->permissions & ~denies->shared;
    if (!permissions) {
        return true;
    }
    AUTO_STRBUF(names);
    AUTO_STRBUF(first);
    AUTO_STRBUF(second);
    list_permissions(permissions, &names);
    describe_edge(needs, &first);
    describe_edge(denies, &second);
    return error_set(error,
                     "Permission conflict on node '%s': permissions '%s' are required by %s and not shared by %s",
                     needs->node->name, strbuf_text(&names), strbuf_text(&first), strbuf_text(&second));
}

static bool check_parents(const BlockNode *node, Error **error)
{
    LIST_FOREACH(&node->parents, needs, BlockEdge, in_node)
    {
        LIST_FOREACH(&node->parents, denies, BlockEdge, in_node)
        {
            if (needs != denies && !conflict(needs, denies, error)) {
                return false;
            }
        }
    }
    return true;
}


/* A node needs of those below what its users need of it, or what its driver says. */
static unsigned child_permissions(const BlockNode *node, const char *name, unsigned permissions, unsigned *shared)
{
    return node && node->driver->child_permissions ? node->driver->child_permissions(node, name, permissions, shared)
                                                   : permissions;
}

unsigned block_format_permissions(const BlockNode *node, const char *name, unsigned permissions, unsigned *shared)
{
    if (strcmp(name, "backing") == 0) {
        *shared = *shared & BLOCK_PERMISSION_WRITE
                      ? BLOCK_PERMISSION_ALL
                      : BLOCK_PERMISSION_READ | BLOCK_PERMISSION_WRITE_UNCHANGED;
        return permissions & BLOCK_PERMISSION_READ;
    }
    *shared = node->force_share ? BLOCK_PERMISSION_ALL
                                : *shared & (BLOCK_PERMISSION_READ | BLOCK_PERMISSION_WRITE_UNCHANGED);
    return permissions | BLOCK_PERMISSION_READ |
           (node->read_only ? 0 : BLOCK_PERMISSION_WRITE | BLOCK_PERMISSION_RESIZE);
}

static bool update_child(BlockEdge *child, unsigned permissions, unsigned shared, Error **error)
{
    permissions = child_permissions(child->parent, child->name, permissions, &shared);
    unsigned before = child->permissions, shared_before = child->shared;
    child->permissions = permissions;
    child->shared = shared;
    if (node_update_permissions(child->node, error)) {
        return true;
    }
    child->permissions = before;
    child->shared = shared_before;
    node_update_permissions(child->node, NULL);
    return false;
}

bool node_update_permissions(BlockNode *node, Error **error)
{
    unsigned permissions = 0, shared = BLOCK_PERMISSION_ALL;
    LIST_FOREACH(&node->parents, parent, BlockEdge, in_node)
    {
        permissions |= parent->permissions;
        shared &= parent->shared;
    }
    if (node->read_only && permissions & (BLOCK_PERMISSION_WRITE | BLOCK_PERMISSION_RESIZE)) {
        return error_set(error, "Block node '%s' is read-only", node->name);
    }
    if (!check_parents(node, error) ||
        (node->driver->set_permissions && !node->driver->set_permissions(node, permissions, shared, error))) {
        return false;
    }
    LIST_FOREACH(&node->children, child, BlockEdge, in_parent)
    {
        if (!update_child(child, permissions, shared, error)) {
            return false;
        }
    }
    return true;
}

/* Edges */

BlockEdge *edge_new(BlockNode *node, BlockNode *parent, const char *name, unsigned permissions, unsigned shared,
                    Error **error)
{
    BlockEdge *edge = NEW(BlockEdge);
    permissions = child_permissions(parent, name, permissions, &shared);
    *edge = (BlockEdge){ .name = string_copy(name), .node = block_node_ref(node), .parent = parent,
                         .graph = node->graph, .permissions = permissions, .shared = shared };
    list_append(&node->parents, &edge->in_node);
    list_append(parent ? &parent->children : &node->graph->users, &edge->in_parent);
    if (node_update_permissions(node, error)) {
        return edge;
    }
    edge_free(edge);
    return NULL;
}

void edge_free(BlockEdge *edge)
{
    list_remove(&edge->in_node);
    list_remove(&edge->in_parent);
    node_update_permissions(edge->node, NULL); /* less is needed: this cannot fail */
    block_node_unref(edge->node);
    block_detail_free(edge->detail);
    free(edge->name);
    free(edge);
}

BlockEdge *block_attach(BlockNode *node, const char *purpose, unsigned permissions, unsigned shared, Error **error)
{
    block_graph_drain_begin(node->graph);
    BlockEdge *edge = edge_new(node, NULL, purpose, permissions, shared, error);
    block_graph_drain_end(node->graph);
    return edge;
}

bool block_edge_permit(BlockEdge *edge, unsigned permissions, unsigned shared, Error **error)
{
    unsigned before = edge->permissions, shared_before = edge->shared;
    block_graph_drain_begin(edge->graph);
    edge->permissions = permissions;
    edge->shared = shared;
    bool ok = node_update_permissions(edge->node, error);
    if (!ok) {
        edge->permissions = before;
        edge->shared = shared_before;
        node_update_permissions(edge->node, NULL);
    }
    block_graph_drain_end(edge->graph);
    return ok;
}

void block_detach(BlockEdge *edge)
{
    if (!edge) {
        return;
    }
    BlockGraph *graph = edge->graph;
    block_edge_drain(edge);
    block_edge_set_throttle(edge, NULL);
    block_flush(edge);
    block_graph_drain_begin(graph);
    edge_free(edge);
    block_graph_drain_end(graph);
}

static bool lead_to(BlockEdge *edge, BlockNode *node, Error **error)
{
    list_remove(&edge->in_node);
    list_append(&node->parents, &edge->in_node);
    edge->node = node;
    return node_update_permissions(node, error);
}

bool block_edge_move(BlockEdge *edge, BlockNode *node, Error **error)
{
    BlockNode *before = edge->node;
    block_edge_drain(edge);
    block_flush(edge);
    block_graph_drain_begin(edge->graph);
    bool ok = lead_to(edge, node, error);
    if (ok) {
        block_node_ref(node);
        node_update_permissions(before, NULL); /* less is needed: this cannot fail */
        block_node_unref(before);
    } else {
        lead_to(edge, before, NULL);
        node_update_permissions(node, NULL);
    }
    block_graph_drain_end(edge->graph);
    return ok;
}

void block_edge_set_throttle(BlockEdge *edge, ThrottleGroup *group)
{
    block_graph_drain_begin(edge->graph);
    ThrottleMember *before = edge->throttle;
    edge->throttle = group ? throttle_join(group) : NULL;
    if (before) { /* its group is drained, the new one is not */
        throttle_group_drain(throttle_member_group(before), false);
    }
    if (group) {
        throttle_group_drain(group, true);
    }
    throttle_leave(before);
    block_graph_drain_end(edge->graph);
}

ThrottleGroup *block_edge_throttle(const BlockEdge *edge)
{
    return edge->throttle ? throttle_member_group(edge->throttle) : NULL;
}

bool block_edge_is_write_through(const BlockEdge *edge) { return edge->write_through; }
void block_edge_set_write_through(BlockEdge *edge, bool write_through) { edge->write_through = write_through; }

void block_edge_statistics(const BlockEdge *edge, BlockStatistics *statistics)
{
    for (unsigned i = 0; i < BLOCK_OPERATION_COUNT; i++) {
        statistics->operations[i] = edge->statistics[i].operations;
        statistics->bytes[i] = edge->statistics[i].bytes;
        statistics->nanoseconds[i] = edge->statistics[i].nanoseconds;
        statistics->failed[i] = edge->statistics[i].failed;
        statistics->invalid[i] = edge->statistics[i].invalid;
    }
    statistics->last = edge->last;
}

static bool bitmaps_fit(const BlockNode *node, uint64_t size, Error **error)
{
    LIST_FOREACH(&node->bitmaps, bitmap, BlockBitmap, in_node)
    {
        if (!block_bitmap_fits(size, bitmap->granularity_bits)) {
            return error_set(error, "Bitmap '%s' is too fine for %" PRIu64 " bytes", bitmap->name, size);
        }
    }
    return true;
}

/* Those above take it up, and users are told. */
void node_tell_resized(const BlockNode *node, const BlockEdge *by)
{
    LIST_FOREACH(&node->parents, edge, BlockEdge, in_node)
    {
        if (edge == by) {
            continue;
        }
        if (!edge->parent && edge->resized) {
            edge->resized(edge->resized_data);
        } else if (edge->parent && edge->parent->driver->child_resized && edge == edge->parent->file) {
            edge->parent->driver->child_resized(edge->parent);
            node_tell_resized(edge->parent, NULL);
        }
    }
}

void block_edge_set_resized(BlockEdge *edge, void (*resized)(void *data), void *data)
{
    edge->resized = resized;
    edge->resized_data = data;
}

bool block_resize(BlockEdge *edge, uint64_t size, int preallocation, Error **error)
{
    BlockNode *node = edge->node;
    if (!(edge->permissions & BLOCK_PERMISSION_RESIZE)) {
        return error_set(error, "node '%s' may not be resized here", node->name);
    }
    if (!node->driver->resize) {
        return error_set(error, "Image format driver does not support resize");
    }
    if (size > INT64_MAX - BLOCK_SECTOR) {
        return error_set(error, "no image can have %" PRIu64 " bytes", size);
    }
    if (!bitmaps_fit(node, size, error)) {
        return false;
    }
    block_graph_drain_begin(node->graph);
    bool ok = node->driver->resize(node, size, preallocation, error);
    LIST_FOREACH(&node->bitmaps, bitmap, BlockBitmap, in_node)
    {
        if (ok && !bitmap->inconsistent) {
            block_bitmap_resize(bitmap, block_node_size(node));
        }
    }
    if (ok) {
        node_tell_resized(node, edge);
    }
    block_graph_drain_end(node->graph);
    return ok;
}
