/*
 * Disks of a machine: what `-drive` names and devices use. Each is a user's edge to a node of the machine's graph of
 * block nodes, which hangs below the object tree's root too.
 */
#include "block/block.h"

#include "api/json.h"
#include "base/error.h"
#include "base/map.h"
#include "base/text.h"
#include "base/vec.h"
#include "block/graph.h"
#include "block/image.h"
#include "block/statistics.h"
#include "block/throttle.h"
#include "core/loop.h"
#include "core/machine.h"
#include "schema/block.h"
#include "schema/common.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The machine's graph */

typedef struct BlockHost {
    Object object;
    BlockGraph *graph;
    VEC(BlockNode *) nodes; /* that -blockdev and blockdev-add made */
    unsigned deleted;       /* drives, whose devices still have them */
} BlockHost;

static void host_finalize(Object *object)
{
    BlockHost *host = (BlockHost *)object;
    for (size_t i = host->nodes.count; i > 0; i--) { /* a later one may be above an earlier one */
        block_node_unref(host->nodes.items[i - 1]);
    }
    vec_free(&host->nodes);
    block_graph_free(host->graph);
}

const Class block_host_class = {
    .name = "block-graph",
    .parent = &object_class,
    .description = "The block nodes of a machine",
    .size = sizeof(BlockHost),
    .finalize = host_finalize,
};

static BlockHost *find_host(Object *root) { return (BlockHost *)object_child(root, "block-graph"); }

static BlockHost *make_host(Object *root, Files *files, Loop *loop, Error **error)
{
    BlockHost *host = find_host(root);
    if (host) {
        return host;
    }
    host = (BlockHost *)object_new(&block_host_class, NULL, NULL, error);
    if (host) {
        host->graph = block_graph_new(files, loop, error);
        if (host->graph) {
            block_graph_set_objects(host->graph, object_container(root, "objects"));
        }
        bool ok = host->graph && object_complete(&host->object, error) &&
                  object_add_child(root, "block-graph", &host->object, error);
        object_unref(&host->object);
        host = ok ? host : NULL;
    }
    return host;
}

BlockGraph *disk_graph(Object *root)
{
    const BlockHost *host = find_host(root);
    return host ? host->graph : NULL;
}

BlockGraph *disk_make_graph(Object *root, Files *files, Loop *loop, Error **error)
{
    BlockHost *host = make_host(root, files, loop, error);
    return host ? host->graph : NULL;
}

/* What happens to nodes on any thread is told on the main loop's: BLOCK_IMAGE_CORRUPTED, BLOCK_WRITE_THRESHOLD. */

typedef struct Happening {
    Machine *machine;
    Json *event;
} Happening;

static void tell_later(Machine *machine, const BlockNode *node, Json *event, void (*tell)(void *data))
{
    Happening *happening = NEW(Happening);
    *happening = (Happening){ machine, event };
    json_set(event, "node-name", json_string(block_node_name(node)));
    loop_post(machine->loop, tell, happening);
}

static bool is_of_node(Object *child, void *context)
{
    const char **name = context; /* the node's; becomes the drive's */
    const Disk *disk = (const Disk *)child;
    bool found = strcmp(disk_node_name(disk), *name) == 0;
    if (found) {
        *name = disk_has_name(disk) ? disk_id(disk) : "";
    }
    return !found;
}

static void tell_damage(void *data)
{
    Happening *damage = data;
    const char *node = json_get_text(damage->event, "node-name"), *name = node;
    object_each_child(object_container(damage->machine->root, "disks"), is_of_node, &name);
    json_set(damage->event, "device", json_string(name == node ? "" : name));
    machine_event(damage->machine, "BLOCK_IMAGE_CORRUPTED", damage->event);
    free(damage);
}

static void note_damage(void *data, BlockNode *node, const BlockDamage *from)
{
    Json *event = json_object();
    json_set(event, "msg", json_string(from->message));
    if (from->bytes) {
        json_set(event, "offset", json_uint(from->offset));
        json_set(event, "size", json_uint(from->bytes));
    }
    json_set(event, "fatal", json_bool(from->fatal));
    tell_later(data, node, event, tell_damage);
}

static void tell_exceeded(void *data)
{
    Happening *happening = data;
    machine_event(happening->machine, "BLOCK_WRITE_THRESHOLD", happening->event);
    free(happening);
}

static void note_exceeded(void *data, BlockNode *node, uint64_t threshold, uint64_t by)
{
    Json *event = json_object();
    json_set(event, "amount-exceeded", json_uint(by));
    json_set(event, "write-threshold", json_uint(threshold));
    tell_later(data, node, event, tell_exceeded);
}

bool disk_prepare_graph(Machine *machine, Files *files, Error **error)
{
    BlockGraph *graph = disk_make_graph(machine->root, files, machine->loop, error);
    if (graph) {
        block_graph_set_trace(graph, machine->trace);
        block_graph_set_damaged(graph, note_damage, machine);
        block_graph_set_threshold_exceeded(graph, note_exceeded, machine);
    }
    return graph != NULL;
}

bool disk_add_node(Object *root, Files *files, Loop *loop, Json *options, Error **error)
{
    BlockHost *host = make_host(root, files, loop, error);
    if (!host || !json_get(options, "node-name")) {
        json_free(options);
        return host && error_set(error, "'node-name' must be specified for the root node");
    }
    block_graph_enter(host->graph);
    BlockNode *node = block_open(host->graph, NULL, options, BLOCK_OPEN_WRITE, error);
    if (node) {
        vec_push(&host->nodes, node);
    }
    return node != NULL;
}

/* Disks */

struct Disk {
    Object object;
    BlockHost *host; /* holds a reference */
    BlockEdge *edge; /* to a node without contents where there is no medium */
    bool empty;
    bool read_only;
    unsigned medium_flags;  /* BLOCK_OPEN_*: what a medium that takes the place of this one is opened with */
    int medium_detects_zeroes; /* BlockdevDetectZeroesOptions */
    Object *user;
    const DiskListener *listener; /* NULL: nobody listens */
    void *listener_data;
    _Atomic(DiskStatus) status; /* on any loop */
    int policies[2]; /* of reads and writes: BlockdevOnError */
};

static void disk_finalize(Object *object)
{
    Disk *disk = (Disk *)object;
    if (disk->host) {
        block_graph_enter(disk->host->graph);
        block_detach(disk->edge);
        object_unref(&disk->host->object);
    }
}

static BlockNode *open_copying(BlockGraph *graph, BlockNode *image, Error **error)
{
    Json *options = json_object();
    json_set(options, "driver", json_string("copy-on-read"));
    json_set(options, "file", json_string(block_node_name(image)));
    BlockNode *node = block_open(graph, NULL, options, BLOCK_OPEN_WRITE, error);
    if (node) {
        block_node_hide(node);
    }
    block_node_unref(image);
    return node;
}

/* For a drive without a medium. */
static BlockNode *open_nothing(BlockGraph *graph, Error **error)
{
    Json *options = json_object();
    json_set(options, "driver", json_string("null-co"));
    json_set(options, "size", json_uint(0));
    BlockNode *node = block_open(graph, NULL, options, BLOCK_OPEN_WRITE, error);
    if (node) {
        block_node_hide(node);
    }
    return node;
}

/* The node that the options describe, with what goes above it. `json` is taken. */
static BlockNode *open_image(BlockGraph *graph, const DiskOptions *options, Json *json, Error **error)
{
    unsigned flags = options->flags;
    if (options->snapshot) {
        json_free(json_take(json, "read-only"));
        flags &= ~(unsigned)BLOCK_OPEN_WRITE;
    }
    BlockNode *node = block_open(graph, options->filename, json, flags, error);
    if (node && options->snapshot) {
        node = block_open_temporary(graph, node, options->flags, error);
    }
    if (node && options->copy_on_read && !block_node_is_read_only(node)) {
        node = open_copying(graph, node, error);
    }
    return node;
}

static bool attach_edge(Disk *disk, BlockNode *node, const char *id, bool write_through, Error **error)
{
    AUTO_FREE char *purpose = string_format("drive '%s'", id);
    disk->read_only = block_node_is_read_only(node);
    disk->edge = block_attach(node, purpose, 0, BLOCK_PERMISSION_ALL, error); /* until a device uses it */
    if (disk->edge) {
        block_edge_set_write_through(disk->edge, write_through);
    }
    return disk->edge != NULL;
}

static Disk *disk_new(Object *root, BlockHost *host, BlockNode *node, const char *id, bool write_through,
                      Error **error)
{
    Disk *disk = (Disk *)object_new(&disk_class, NULL, NULL, error);
    if (!disk) {
        return NULL;
    }
    disk->host = host;
    disk->policies[false] = disk->policies[true] = BLOCKDEV_ON_ERROR_AUTO;
    object_ref(&host->object);
    bool ok = attach_edge(disk, node, id, write_through, error) && object_complete(&disk->object, error) &&
              object_add_child(object_container(root, "disks"), id, &disk->object, error);
    object_unref(&disk->object);
    return ok ? disk : NULL;
}

/* A medium that takes its place is opened in the same way. */
static void keep_modes(Disk *disk)
{
    if (!disk->empty) {
        BlockNodeModes modes = block_node_modes(disk_node(disk));
        disk->medium_flags = (disk->read_only ? 0 : BLOCK_OPEN_WRITE) | (modes.direct ? BLOCK_OPEN_DIRECT : 0) |
                             (modes.no_flush ? BLOCK_OPEN_NO_FLUSH : 0) | (modes.discard ? BLOCK_OPEN_DISCARD : 0);
        disk->medium_detects_zeroes = modes.detect_zeroes;
    }
}

Disk *disk_open(Object *root, Files *files, Loop *loop, const DiskOptions *options, Error **error)
{
    BlockHost *host = make_host(root, files, loop, error);
    Json *json = options->options ? options->options : json_object();
    if (!host || object_child(object_container(root, "disks"), options->id)) {
        json_free(json);
        if (host) {
            error_set(error, "Duplicate ID '%s' for drive", options->id);
        }
        return NULL;
    }
    block_graph_enter(host->graph);
    BlockNode *node = options->empty ? (json_free(json), open_nothing(host->graph, error))
                                     : open_image(host->graph, options, json, error);
    Disk *disk = node ? disk_new(root, host, node, options->id, options->write_through, error) : NULL;
    block_node_unref(node);
    if (disk && options->throttling && !disk_set_limits(disk, options->throttle_group, options->throttling, error)) {
        object_unparent(&disk->object);
        return NULL;
    }
    if (disk) {
        disk->empty = options->empty;
        disk->medium_flags = options->flags;
        disk->medium_detects_zeroes = options->detect_zeroes;
        keep_modes(disk);
        block_edge_account(disk->edge, !options->ignore_invalid, !options->ignore_failed);
        for (size_t i = 0; i < options->interval_count; i++) {
            block_edge_add_interval(disk->edge, options->intervals[i]);
        }
        disk->policies[false] = options->read_error;
        disk->policies[true] = options->write_error;
    }
    return disk;
}

static bool any_limit(const ThrottleLimits *limits)
{
    return limits->iops_total || limits->iops_read || limits->iops_write || limits->bps_total || limits->bps_read ||
           limits->bps_write;
}

bool disk_set_limits(Disk *disk, const char *group, const ThrottleLimits *limits, Error **error)
{
    BlockGraph *graph = disk->host->graph;
    ThrottleGroup *before = block_edge_throttle(disk->edge);
    if (!throttle_check(limits, error)) {
        return false;
    }
    block_graph_enter(graph);
    if (!any_limit(limits)) {
        block_edge_set_throttle(disk->edge, NULL);
        return true;
    }
    const char *name = group ? group : before ? throttle_group_name(before) : disk_id(disk);
    ThrottleGroup *chosen = throttle_group_get(graph, name, error);
    if (!chosen) {
        return false;
    }
    if (chosen != before) {
        block_edge_set_throttle(disk->edge, chosen);
    }
    bool ok = throttle_group_set_limits(chosen, limits, error);
    throttle_group_unref(chosen);
    return ok;
}

void disk_set_accounting(Disk *disk, int invalid, int failed)
{
    bool with_invalid = invalid == ON_OFF_AUTO_AUTO ? block_edge_accounts_invalid(disk->edge)
                                                    : invalid == ON_OFF_AUTO_ON;
    bool with_failed = failed == ON_OFF_AUTO_AUTO ? block_edge_accounts_failed(disk->edge) : failed == ON_OFF_AUTO_ON;
    block_edge_account(disk->edge, with_invalid, with_failed);
}

void disk_set_status(Disk *disk, DiskStatus status) { disk->status = status; }
DiskStatus disk_status(const Disk *disk) { return disk->status; }
int disk_error_policy(const Disk *disk, bool write) { return disk->policies[write]; }

void disk_set_listener(Disk *disk, const DiskListener *listener, void *data)
{
    disk->listener = listener;
    disk->listener_data = data;
    block_edge_set_resized(disk->edge, listener ? listener->resized : NULL, data);
}

static void pause_user(const Disk *disk, bool pauses)
{
    if (disk->listener && disk->listener->pause) {
        disk->listener->pause(disk->listener_data, pauses);
    }
}

BlockLoop *disk_take_loop(Disk *disk, Loop *loop, Error **error)
{
    BlockRuntime *runtime = block_graph_runtime(disk->host->graph);
    block_graph_enter(disk->host->graph);
    return block_loop_outer(block_runtime_main(runtime)) == loop ? block_runtime_main(runtime)
                                                                 : block_loop_of(runtime, loop, error);
}

void disk_give_loop(Disk *disk, BlockLoop *loop)
{
    if (loop != block_runtime_main(block_graph_runtime(disk->host->graph))) {
        block_loop_release(loop);
    }
}

void disk_close(Disk *disk)
{
    disk_drain(disk);
    object_unparent(&disk->object);
}

bool disk_is_empty(const Disk *disk) { return disk->empty; }

/* Media */

/* `node` is taken; NULL: with an error. */
static bool insert(Disk *disk, BlockNode *node, bool empty, Error **error)
{
    bool ok = node && block_edge_move(disk->edge, node, error);
    block_node_unref(node);
    if (ok) {
        disk->read_only = block_node_is_read_only(node);
        disk->empty = empty;
        keep_modes(disk);
    }
    return ok;
}

bool disk_eject(Disk *disk, Error **error)
{
    block_graph_enter(disk->host->graph);
    return disk->empty || insert(disk, open_nothing(disk->host->graph, error), true, error);
}

bool disk_change(Disk *disk, const char *filename, const char *format, int mode, Error **error)
{
    static const unsigned write[] = { [BLOCKDEV_CHANGE_READ_ONLY_MODE_READ_WRITE] = BLOCK_OPEN_WRITE,
                                      [BLOCKDEV_CHANGE_READ_ONLY_MODE_READ_ONLY] = 0 };
    unsigned flags = disk->medium_flags;
    if (mode != BLOCKDEV_CHANGE_READ_ONLY_MODE_RETAIN) {
        flags = (flags & ~(unsigned)BLOCK_OPEN_WRITE) | write[mode];
    }
    Json *options = json_object();
    if (format) {
        json_set(options, "driver", json_string(format));
    }
    json_set(options, "detect-zeroes",
             json_string(BlockdevDetectZeroesOptions_type.names[disk->medium_detects_zeroes]));
    block_graph_enter(disk->host->graph);
    return insert(disk, block_open(disk->host->graph, filename, options, flags, error), false, error);
}

/* The name makes room; it is one that nobody can give. */
static bool take_name(Disk *disk, Error **error)
{
    Object *disks = disk->object.parent;
    AUTO_FREE char *name = string_format("#deleted%u", ++disk->host->deleted);
    object_ref(&disk->object);
    object_unparent(&disk->object);
    bool ok = object_add_child(disks, name, &disk->object, error);
    object_unref(&disk->object);
    return ok;
}

bool disk_delete(Disk *disk, Error **error)
{
    if (!disk->user) {
        disk_close(disk);
        return true;
    }
    pause_user(disk, true);
    block_edge_set_resized(disk->edge, NULL, NULL);
    bool ok = disk_eject(disk, error);
    pause_user(disk, false);
    return ok && take_name(disk, error);
}

/* The disk of a node, which was made for a device that is not there (any more). */
static void drop_unused(Object *root, const char *name)
{
    Object *disks = object_child(root, "disks");
    Disk *disk = disks ? (Disk *)object_child(disks, name) : NULL;
    if (disk && !disk->user && !disk_has_name(disk)) {
        disk_close(disk);
    }
}

bool disk_remove_node(Object *root, const char *name, Error **error)
{
    BlockHost *host = find_host(root);
    for (size_t i = 0; host && i < host->nodes.count; i++) {
        BlockNode *node = host->nodes.items[i];
        if (strcmp(block_node_name(node), name) != 0) {
            continue;
        }
        drop_unused(root, name);
        if (block_node_is_used(node)) {
            return error_set(error, "Node %s is in use", name);
        }
        block_graph_enter(host->graph);
        block_node_unref(node);
        vec_remove(&host->nodes, i);
        return true;
    }
    return host && block_node_find(host->graph, name) ? error_set(error, "Node %s is not owned by the monitor", name)
                                                      : error_set(error, "Failed to find node with node-name='%s'",
                                                                  name);
}

bool disk_has_name(const Disk *disk)
{
    return disk_id(disk)[0] != '#' && strcmp(disk_id(disk), disk_node_name(disk)) != 0;
}

const char *disk_id(const Disk *disk) { return disk->object.name; }
BlockNode *disk_node(const Disk *disk) { return block_node_shown(block_edge_node(disk->edge)); }
const char *disk_node_name(const Disk *disk) { return block_node_name(disk_node(disk)); }
const char *disk_path(const Disk *disk) { return block_node_file_name(disk_node(disk)); }
uint64_t disk_size(const Disk *disk) { return block_node_size(block_edge_node(disk->edge)); }
bool disk_read_only(const Disk *disk) { return disk->read_only; }
BlockEdge *disk_edge(const Disk *disk) { return disk->edge; }
const Object *disk_user(const Disk *disk) { return disk->user; }

bool disk_attach(Disk *disk, Object *user, bool shares_writes, Error **error)
{
    if (disk->user && disk->user != user) {
        AUTO_FREE char *path = object_path(disk->user);
        return error_set(error, "Drive '%s' is already in use by %s", disk_id(disk), path ? path : "another device");
    }
    unsigned shared = BLOCK_PERMISSION_READ | BLOCK_PERMISSION_WRITE_UNCHANGED | BLOCK_PERMISSION_RESIZE;
    unsigned needed = BLOCK_PERMISSION_READ | (disk->read_only ? 0 : BLOCK_PERMISSION_WRITE | BLOCK_PERMISSION_RESIZE);
    block_graph_enter(disk->host->graph);
    if (!block_edge_permit(disk->edge, needed, shared | (shares_writes ? BLOCK_PERMISSION_WRITE : 0), error)) {
        return false;
    }
    disk->user = user;
    return true;
}

void disk_detach(Disk *disk)
{
    disk->user = NULL;
    block_edge_permit(disk->edge, 0, BLOCK_PERMISSION_ALL, NULL); /* less is needed: this cannot fail */
}

/* Requests */

static void request_done(BlockRequest *block, int error)
{
    DiskRequest *request = block->data;
    request->done(request, error);
}

/* A guest's request that is no multiple of a sector ends as one outside the disk does. */
static uint64_t checked_offset(const DiskRequest *request)
{
    bool whole = request->operation == DISK_FLUSH || (request->offset | request->bytes) % DISK_SECTOR == 0;
    return whole ? request->offset : UINT64_MAX;
}

static const BlockOperation operations[] = {
    [DISK_READ] = BLOCK_READ, [DISK_WRITE] = BLOCK_WRITE, [DISK_FLUSH] = BLOCK_FLUSH,
    [DISK_DISCARD] = BLOCK_DISCARD, [DISK_WRITE_ZEROES] = BLOCK_WRITE_ZEROES,
};

void disk_count_invalid(Disk *disk, DiskOperation operation)
{
    block_edge_count_invalid(disk->edge, operations[operation]);
}

void disk_submit(Disk *disk, DiskRequest *request)
{
    BlockGraph *graph = disk->host->graph;
    request->block = (BlockRequest){ .operation = operations[request->operation],
                                     .flags = request->may_unmap ? BLOCK_MAY_UNMAP : 0,
                                     .offset = checked_offset(request), .bytes = request->bytes,
                                     .vectors = { request->vectors, request->vector_count, 0 },
                                     .done = request_done, .data = request };
    if (!block_loop_self(block_graph_runtime(graph))) {
        block_graph_enter(graph);
    }
    block_submit(disk->edge, &request->block);
}

void disk_drain(Disk *disk)
{
    block_graph_enter(disk->host->graph);
    block_edge_drain(disk->edge);
}

bool disk_read_first(Disk *disk, void *bytes, uint64_t count, Error **error)
{
    uint64_t there = MIN(count, disk_size(disk));
    memset((char *)bytes + there, 0, count - there);
    block_graph_enter(disk->host->graph);
    int number = block_read(disk->edge, 0, bytes, there);
    return number == 0 || error_set_errno(error, number, "Could not read '%s'", disk_path(disk));
}

/* The property that names a disk, or a node for which there is none yet. */

static Disk **property_field(Object *object, const Property *property)
{
    return (Disk **)(void *)((char *)object + property->offset);
}

static const char *name_of_disk(const void *context, size_t i)
{
    const Object *disks = context;
    size_t position = 0;
    MapEntry *entry = NULL;
    for (size_t n = 0; n <= i && disks->children; n++) {
        entry = map_next(disks->children, &position);
        if (!entry) {
            break;
        }
    }
    return entry ? entry->key : NULL;
}

static Disk *disk_of_node(Object *root, const char *name, Error **error)
{
    BlockHost *host = find_host(root);
    BlockNode *node = host ? block_node_find(host->graph, name) : NULL;
    if (node) {
        block_graph_enter(host->graph);
        return disk_new(root, host, node, name, false, error);
    }
    AUTO_FREE char *suggestion = text_suggestion(name, name_of_disk, object_container(root, "disks"));
    error_set(error, "there is no drive '%s'%s", name, suggestion);
    return NULL;
}

bool disk_property_set(Object *object, const Property *property, const Json *value, Error **error)
{
    const char *id = json_kind(value) == JSON_STRING ? json_text(value) : NULL;
    if (!id) {
        return error_set(error, "Property '%s' expects the ID of a drive, a string", property->name);
    }
    Machine *machine = object_is(object, &machine_class.class) ? (Machine *)object : object->data;
    Disk *disk = (Disk *)object_child(object_container(machine->root, "disks"), id);
    disk = disk ? disk : disk_of_node(machine->root, id, error);
    if (!disk) {
        return error_prepend(error, "Property '%s': ", property->name);
    }
    *property_field(object, property) = disk;
    return true;
}

Json *disk_property_get(Object *object, const Property *property, Error **error)
{
    Disk *disk = *property_field(object, property);
    return json_string(disk ? disk_id(disk) : "");
}

const Class disk_class = {
    .name = "disk",
    .parent = &object_class,
    .description = "A block node as a machine's disk",
    .size = sizeof(Disk),
    .finalize = disk_finalize,
};
