/* Commands about drives and block nodes. */
#include "monitor/monitor_internal.h"

#include "api/json.h"
#include "base/error.h"
#include "block/block.h"
#include "block/graph.h"
#include "block/image.h"
#include "schema/block.h"
#include "schema/hmp.h"

#include <stdlib.h>
#include <string.h>

typedef VEC(BlockInfo) BlockInfos;
typedef VEC(BlockDeviceInfo) BlockDeviceInfos;
typedef VEC(BlockStats) BlockStatsItems;

static Object *root_of(const Monitor *monitor) { return monitor->control->machine->root; }

/* Describing */

static void describe_image(BlockNode *node, ImageInfo *info)
{
    BlockFacts facts;
    block_node_facts(node, &facts);
    json_free(facts.specific);
    int64_t taken = block_node_allocated_size(node);
    *info = (ImageInfo){ .filename = string_copy(block_node_file_name(node)),
                         .format = string_copy(block_node_driver_name(node)), .dirty_flag = facts.dirty,
                         .has_actual_size = taken >= 0, .actual_size = taken >= 0 ? (uint64_t)taken : 0,
                         .virtual_size = block_node_size(node), .has_cluster_size = facts.cluster_bytes,
                         .cluster_size = facts.cluster_bytes, .backing_filename = string_copy(facts.backing_file),
                         .backing_filename_format = string_copy(facts.backing_format) };
}

static int64_t count_backing(const BlockNode *node)
{
    int64_t depth = 0;
    for (const BlockEdge *edge; (edge = block_node_backing(node)); node = block_edge_node(edge)) {
        depth++;
    }
    return depth;
}

static void describe_node(BlockNode *node, bool writeback, BlockDeviceInfo *info)
{
    const BlockEdge *backing = block_node_backing(node);
    BlockNodeModes modes = block_node_modes(node);
    *info = (BlockDeviceInfo){ .file = string_copy(block_node_file_name(node)),
                               .node_name = string_copy(block_node_name(node)), .ro = block_node_is_read_only(node),
                               .drv = string_copy(block_node_driver_name(node)), .active = true,
                               .backing_file_depth = count_backing(node), .detect_zeroes = modes.detect_zeroes,
                               .cache = { .writeback = writeback, .direct = modes.direct,
                                          .no_flush = modes.no_flush } };
    if (backing) {
        info->backing_file = string_copy(block_node_file_name(block_edge_node(backing)));
    }
    describe_image(node, &info->image);
}

/* The ID of the device, or where it is. */
static char *user_name(const Disk *disk)
{
    const Object *user = disk_user(disk);
    return user ? object_path(user) : NULL;
}

static bool is_of_node(const Disk *disk)
{
    return strcmp(disk_id(disk), block_node_name(block_edge_node(disk_edge(disk)))) == 0;
}

/* Queries */

static bool add_info(Object *child, void *context)
{
    const Disk *disk = (const Disk *)child;
    BlockInfo info = { .device = string_copy(is_of_node(disk) ? "" : disk_id(disk)), .qdev = user_name(disk),
                       .type = string_copy("unknown"), .inserted = NEW(BlockDeviceInfo) };
    describe_node(block_edge_node(disk_edge(disk)), !block_edge_is_write_through(disk_edge(disk)), info.inserted);
    vec_push((BlockInfos *)context, info);
    return true;
}

static void each_disk(const Monitor *monitor, bool (*call)(Object *child, void *context), void *context)
{
    Object *disks = object_child(root_of(monitor), "disks");
    if (disks) {
        object_each_child(disks, call, context);
    }
}

bool qmp_query_block(Monitor *monitor, BlockInfoList *result, Error **error)
{
    BlockInfos list = { 0 };
    each_disk(monitor, add_info, &list);
    *result = (BlockInfoList){ list.items, list.count };
    return true;
}

bool qmp_query_named_block_nodes(Monitor *monitor, BlockDeviceInfoList *result, Error **error)
{
    BlockDeviceInfos list = { 0 };
    BlockGraph *graph = disk_graph(root_of(monitor));
    BlockNode *node;
    for (size_t i = 0; graph && (node = block_graph_node(graph, i)); i++) {
        BlockDeviceInfo info;
        describe_node(node, true, &info);
        vec_push(&list, info);
    }
    *result = (BlockDeviceInfoList){ list.items, list.count };
    return true;
}

static bool add_statistics(Object *child, void *context)
{
    const Disk *disk = (const Disk *)child;
    BlockStatistics all;
    block_edge_statistics(disk_edge(disk), &all);
    BlockStats stats = { .device = string_copy(is_of_node(disk) ? "" : disk_id(disk)), .qdev = user_name(disk),
                         .node_name = string_copy(block_node_name(block_edge_node(disk_edge(disk)))) };
    stats.stats = (BlockDeviceStats){
        .rd_bytes = all.bytes[BLOCK_READ], .rd_operations = all.operations[BLOCK_READ],
        .rd_total_time_ns = all.nanoseconds[BLOCK_READ], .failed_rd_operations = all.failed[BLOCK_READ],
        .wr_bytes = all.bytes[BLOCK_WRITE] + all.bytes[BLOCK_WRITE_ZEROES],
        .wr_operations = all.operations[BLOCK_WRITE] + all.operations[BLOCK_WRITE_ZEROES],
        .wr_total_time_ns = all.nanoseconds[BLOCK_WRITE] + all.nanoseconds[BLOCK_WRITE_ZEROES],
        .failed_wr_operations = all.failed[BLOCK_WRITE] + all.failed[BLOCK_WRITE_ZEROES],
        .flush_operations = all.operations[BLOCK_FLUSH], .flush_total_time_ns = all.nanoseconds[BLOCK_FLUSH],
        .failed_flush_operations = all.failed[BLOCK_FLUSH], .unmap_bytes = all.bytes[BLOCK_DISCARD],
        .unmap_operations = all.operations[BLOCK_DISCARD], .unmap_total_time_ns = all.nanoseconds[BLOCK_DISCARD],
        .failed_unmap_operations = all.failed[BLOCK_DISCARD],
    };
    vec_push((BlockStatsItems *)context, stats);
    return true;
}

bool qmp_query_blockstats(Monitor *monitor, BlockStatsList *result, Error **error)
{
    BlockStatsItems list = { 0 };
    each_disk(monitor, add_statistics, &list);
    *result = (BlockStatsList){ list.items, list.count };
    return true;
}

/* Changes */

bool qmp_blockdev_add(Monitor *monitor, const Json *arguments, Error **error)
{
    const Machine *machine = monitor->control->machine;
    return disk_add_node(machine->root, monitor->control->files, machine->loop, json_copy(arguments), error);
}

bool qmp_blockdev_del(Monitor *monitor, const BlockdevDelArguments *arguments, Error **error)
{
    return disk_remove_node(root_of(monitor), arguments->node_name, error);
}

static BlockNode *find_node(const Monitor *monitor, const char *device, const char *node_name, Error **error)
{
    Object *disks = object_child(root_of(monitor), "disks");
    Object *disk = device && disks ? object_child(disks, device) : NULL;
    BlockGraph *graph = disk_graph(root_of(monitor));
    BlockNode *node = disk ? block_edge_node(disk_edge((Disk *)disk))
                           : node_name && graph ? block_node_find(graph, node_name) : NULL;
    if (!node) {
        error_set(error, "Cannot find device='%s' nor node-name='%s'", device ? device : "",
                  node_name ? node_name : "");
    }
    return node;
}

bool qmp_block_resize(Monitor *monitor, const BlockResizeArguments *arguments, Error **error)
{
    BlockNode *node = find_node(monitor, arguments->device, arguments->node_name, error);
    if (!node || arguments->size < 0) {
        return node && error_set(error, "Parameter 'size' expects a >0 size");
    }
    block_graph_enter(disk_graph(root_of(monitor)));
    BlockEdge *edge = block_attach(node, "block_resize", BLOCK_PERMISSION_RESIZE, BLOCK_PERMISSION_ALL, error);
    bool ok = edge && block_resize(edge, (uint64_t)arguments->size, PREALLOC_MODE_OFF, error);
    block_detach(edge);
    return ok;
}

/* info block */

static bool print_disk(Object *child, void *context)
{
    const Disk *disk = (const Disk *)child;
    StrBuf *out = context;
    BlockNode *node = block_edge_node(disk_edge(disk));
    const BlockEdge *backing = block_node_backing(node);
    AUTO_FREE char *user = user_name(disk);
    strbuf_printf(out, "%s%s", out->length ? "\n" : "", disk_id(disk));
    if (!is_of_node(disk)) {
        strbuf_printf(out, " (%s)", block_node_name(node));
    }
    strbuf_printf(out, ": %s (%s%s)\n", disk_path(disk), block_node_driver_name(node),
                  disk_read_only(disk) ? ", read-only" : "");
    if (user) {
        strbuf_printf(out, "    Attached to:      %s\n", user);
    }
    strbuf_printf(out, "    Cache mode:       %s\n",
                  block_edge_is_write_through(disk_edge(disk)) ? "writethrough" : "writeback");
    if (backing) {
        strbuf_printf(out, "    Backing file:     %s (chain depth: %d)\n",
                      block_node_file_name(block_edge_node(backing)), (int)count_backing(node));
    }
    return true;
}

bool hmp_info_block(Monitor *monitor, StrBuf *output, Error **error)
{
    each_disk(monitor, print_disk, output);
    return true;
}
