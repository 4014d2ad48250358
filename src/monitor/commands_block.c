/* Commands about drives and block nodes. */
#include "monitor/block_info.h"
#include "monitor/monitor_internal.h"

#include "api/json.h"
#include "api/options.h"
#include "api/type.h"
#include "base/error.h"
#include "block/block.h"
#include "block/graph.h"
#include "block/image.h"
#include "block/statistics.h"
#include "schema/block.h"
#include "schema/hmp.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

typedef VEC(BlockInfo) BlockInfos;
typedef VEC(BlockDeviceInfo) BlockDeviceInfos;
typedef VEC(BlockStats) BlockStatsItems;

static Object *root_of(const Monitor *monitor) { return monitor->control->machine->root; }

/* Queries */

typedef struct Visit {
    bool (*call)(Object *child, void *context);
    void *context;
} Visit;

/* What is left of a node's disk whose device is gone is nobody's. */
static bool visit_disk(Object *child, void *context)
{
    const Visit *visit = context;
    const Disk *disk = (const Disk *)child;
    return (!disk_has_name(disk) && !disk_user(disk)) || visit->call(child, visit->context);
}

static void each_disk(const Monitor *monitor, bool (*call)(Object *child, void *context), void *context)
{
    Object *disks = object_child(root_of(monitor), "disks");
    if (disks) {
        object_each_child(disks, visit_disk, &(Visit){ call, context });
    }
}

static bool add_info(Object *child, void *context)
{
    BlockInfo info;
    block_describe_disk((const Disk *)child, &info);
    vec_push((BlockInfos *)context, info);
    return true;
}

bool qmp_query_block(Monitor *monitor, BlockInfoList *result, Error **error)
{
    BlockInfos list = { 0 };
    each_disk(monitor, add_info, &list);
    *result = (BlockInfoList){ list.items, list.count };
    return true;
}

/* The nodes that users are to see. */
static BlockNode *next_node(const Monitor *monitor, size_t *position)
{
    BlockGraph *graph = disk_graph(root_of(monitor));
    BlockNode *node = graph ? block_graph_node(graph, (*position)++) : NULL;
    while (node && block_node_is_hidden(node)) {
        node = block_graph_node(graph, (*position)++);
    }
    return node;
}

bool qmp_query_named_block_nodes(Monitor *monitor, const QueryNamedBlockNodesArguments *arguments,
                                 BlockDeviceInfoList *result, Error **error)
{
    BlockDeviceInfos list = { 0 };
    size_t position = 0;
    for (BlockNode *node; (node = next_node(monitor, &position));) {
        BlockDeviceInfo info;
        block_describe_node(node, NULL, arguments->flat, &info);
        vec_push(&list, info);
    }
    *result = (BlockDeviceInfoList){ list.items, list.count };
    return true;
}

static bool add_statistics(Object *child, void *context)
{
    BlockStats stats;
    block_describe_statistics((const Disk *)child, &stats);
    vec_push((BlockStatsItems *)context, stats);
    return true;
}

bool qmp_query_blockstats(Monitor *monitor, const QueryBlockstatsArguments *arguments, BlockStatsList *result,
                          Error **error)
{
    BlockStatsItems list = { 0 };
    size_t position = 0;
    if (!arguments->query_nodes) {
        each_disk(monitor, add_statistics, &list);
    }
    for (BlockNode *node; arguments->query_nodes && (node = next_node(monitor, &position));) {
        BlockStats stats;
        block_describe_node_statistics(node, false, &stats);
        vec_push(&list, stats);
    }
    *result = (BlockStatsList){ list.items, list.count };
    return true;
}

/* Changes */

bool qmp_blockdev_add(Monitor *monitor, const Json *arguments, Error **error)
{
    Machine *machine = monitor->control->machine;
    return disk_prepare_graph(machine, monitor->control->files, error) &&
           disk_add_node(machine->root, monitor->control->files, machine->loop, json_copy(arguments), error);
}

bool qmp_blockdev_del(Monitor *monitor, const BlockdevDelArguments *arguments, Error **error)
{
    return disk_remove_node(root_of(monitor), arguments->node_name, error);
}

static BlockNode *find_node(const Monitor *monitor, const char *device, const char *node_name, Error **error)
{
    Object *disks = object_child(root_of(monitor), "disks");
    Object *disk = device && disks ? object_child(disks, device) : NULL;
    if (disk && disk_is_empty((Disk *)disk)) {
        error_set(error, "Device '%s' has no medium", device);
        return NULL;
    }
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
    if (!node) {
        return false;
    }
    block_graph_enter(disk_graph(root_of(monitor)));
    BlockEdge *edge = block_attach(node, "block_resize", BLOCK_PERMISSION_RESIZE, BLOCK_PERMISSION_ALL, error);
    bool ok = edge && block_resize(edge, arguments->size, PREALLOC_MODE_OFF, error);
    block_detach(edge);
    return ok;
}

bool qmp_block_set_write_threshold(Monitor *monitor, const BlockSetWriteThresholdArguments *arguments, Error **error)
{
    const BlockGraph *graph = disk_graph(root_of(monitor));
    BlockNode *node = graph ? block_node_find(graph, arguments->node_name) : NULL;
    if (!node) {
        return error_set(error, "Device '%s' not found", arguments->node_name);
    }
    block_node_set_write_threshold(node, arguments->write_threshold);
    return true;
}

static bool take_reopen(const Monitor *monitor, const Json *options, BlockReopen *change, Error **error)
{
    BlockGraph *graph = disk_graph(root_of(monitor));
    const char *name = json_kind(options) == JSON_OBJECT ? json_get_text(options, "node-name") : NULL;
    if (!name) {
        return error_set(error, "node-name not specified");
    }
    *change = (BlockReopen){ .node = graph ? block_node_find(graph, name) : NULL, .flags = BLOCK_OPEN_WRITE };
    if (!change->node) {
        return error_set(error, "Failed to find node with node-name='%s'", name);
    }
    change->options = json_copy(options);
    return true;
}

bool qmp_blockdev_reopen(Monitor *monitor, const BlockdevReopenArguments *arguments, Error **error)
{
    size_t count = 0, wanted = arguments->options.count;
    AUTO_FREE BlockReopen *changes = mem_alloc_array(wanted + 1, sizeof *changes);
    while (count < wanted && take_reopen(monitor, arguments->options.items[count], &changes[count], error)) {
        count++;
    }
    if (count == wanted && count > 0) {
        block_graph_enter(disk_graph(root_of(monitor)));
        return block_reopen(disk_graph(root_of(monitor)), changes, count, error);
    }
    for (size_t i = 0; i < count; i++) {
        json_free(changes[i].options);
    }
    return count == wanted;
}

/* Limits */

bool qmp_block_set_io_throttle(Monitor *monitor, const BlockSetIoThrottleArguments *arguments, Error **error)
{
    Disk *disk = block_find_disk(root_of(monitor), arguments->device, arguments->id, error);
    if (!disk || disk_is_empty(disk)) {
        return disk && error_set(error, "Device has no medium");
    }
    ThrottleLimits limits = { .iops_size = arguments->iops_size };
#define LIMIT(to_, from_) \
    limits.to_ = arguments->from_; \
    limits.to_##_max = arguments->from_##_max; \
    limits.to_##_max_length = arguments->from_##_max_length;
    LIMIT(bps_total, bps)
    LIMIT(bps_read, bps_rd)
    LIMIT(bps_write, bps_wr)
    LIMIT(iops_total, iops)
    LIMIT(iops_read, iops_rd)
    LIMIT(iops_write, iops_wr)
#undef LIMIT
    const char *group = arguments->group ? arguments->group : arguments->device ? arguments->device : arguments->id;
    return disk_set_limits(disk, group, &limits, error);
}

/* Histograms */

bool qmp_block_latency_histogram_set(Monitor *monitor, const BlockLatencyHistogramSetArguments *arguments,
                                     Error **error)
{
    Disk *disk = block_find_disk(root_of(monitor), NULL, arguments->id, error);
    const struct {
        const char *name;
        BlockLatencyKind kind;
        const Uint64List *boundaries;
    } kinds[] = {
        { "read", BLOCK_LATENCY_READ, &arguments->boundaries_read },
        { "write", BLOCK_LATENCY_WRITE, &arguments->boundaries_write },
        { "zone append", BLOCK_LATENCY_ZONE_APPEND, &arguments->boundaries_zap },
        { "flush", BLOCK_LATENCY_FLUSH, &arguments->boundaries_flush },
    };
    bool any = arguments->boundaries.items != NULL;
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        any = any || kinds[i].boundaries->items;
    }
    for (size_t i = 0; disk && i < ARRAY_SIZE(kinds); i++) {
        const Uint64List *list = kinds[i].boundaries->items ? kinds[i].boundaries : &arguments->boundaries;
        if ((list->items || !any) &&
            !block_edge_set_histogram(disk_edge(disk), kinds[i].kind, list->items, list->count)) {
            return error_set(error, "Device '%s' set %s boundaries fail", arguments->id, kinds[i].name);
        }
    }
    return disk != NULL;
}

/* For people */

typedef struct Printing {
    StrBuf *out;
    const InfoBlockHmpArguments *arguments;
} Printing;

static bool print_disk(Object *child, void *context)
{
    const Printing *printing = context;
    const Disk *disk = (const Disk *)child;
    const char *wanted = printing->arguments->device;
    if (!wanted || strcmp(wanted, disk_id(disk)) == 0) {
        strbuf_append(printing->out, printing->out->length ? "\n" : "");
        block_print_disk(disk, printing->arguments->verbose, printing->out);
    }
    return true;
}

bool hmp_info_block(Monitor *monitor, const InfoBlockHmpArguments *arguments, StrBuf *output, Error **error)
{
    size_t position = 0;
    if (!arguments->nodes) {
        each_disk(monitor, print_disk, &(Printing){ output, arguments });
    }
    for (BlockNode *node; arguments->nodes && (node = next_node(monitor, &position));) {
        if (!arguments->device || strcmp(arguments->device, block_node_name(node)) == 0) {
            strbuf_append(output, output->length ? "\n" : "");
            block_print_node(node, arguments->verbose, output);
        }
    }
    return true;
}

/* What goes wrong with drives is told as it is, without a word before it. */
static bool tell(StrBuf *output, Error *error)
{
    strbuf_printf(output, "%s\n%s", error_message(error), error_hint(error));
    error_free(error);
    return true;
}

bool hmp_drive_add(Monitor *monitor, const DriveAddHmpArguments *arguments, StrBuf *output, Error **error)
{
    Error *inner = NULL;
    const Control *control = monitor->control;
    if (!arguments->node) {
        bool ok = control->add_drive ? control->add_drive(control->data, arguments->options, &inner)
                                     : error_set(&inner, "drives cannot be added here");
        return ok ? (strbuf_append(output, "OK\n"), true) : tell(output, inner);
    }
    Json *options = options_parse(arguments->options, NULL, NULL, &inner);
    bool ok = options && (json_get(options, "node-name") || error_set(&inner, "'node-name' needs to be specified")) &&
              qmp_blockdev_add(monitor, options, &inner);
    json_free(options);
    return ok || tell(output, inner);
}

bool hmp_drive_del(Monitor *monitor, const DriveDelHmpArguments *arguments, StrBuf *output, Error **error)
{
    Error *inner = NULL;
    BlockGraph *graph = disk_graph(root_of(monitor));
    Object *disks = object_child(root_of(monitor), "disks");
    Object *disk = disks ? object_child(disks, arguments->id) : NULL;
    bool ok;
    if (graph && block_node_find(graph, arguments->id)) {
        ok = disk_remove_node(root_of(monitor), arguments->id, &inner);
    } else if (disk && disk_has_name((Disk *)disk)) {
        ok = disk_delete((Disk *)disk, &inner);
    } else {
        ok = error_set(&inner, "Device '%s' not found", arguments->id);
    }
    return ok || tell(output, inner);
}

static void commit_disk(const Disk *disk, StrBuf *output)
{
    Error *error = NULL;
    if (!block_commit(disk_node(disk), &error)) {
        if (!error_errno(error)) {
            strbuf_printf(output, "%s\n", error_message(error));
        }
        strbuf_printf(output, "'commit' error for '%s': %s\n", disk_id(disk),
                      strerror(error_errno(error) ? error_errno(error) : EPERM));
        error_free(error);
    }
}

/* Those that can be. */
static bool commit_one_of_all(Object *child, void *context)
{
    const Disk *disk = (const Disk *)child;
    if (!disk_is_empty(disk) && block_node_backing(disk_node(disk))) {
        commit_disk(disk, context);
    }
    return true;
}

bool hmp_commit(Monitor *monitor, const CommitHmpArguments *arguments, StrBuf *output, Error **error)
{
    Error *inner = NULL;
    Object *disks = object_child(root_of(monitor), "disks");
    Object *disk = disks ? object_child(disks, arguments->device) : NULL;
    if (disks) {
        block_graph_enter(disk_graph(root_of(monitor)));
    }
    if (strcmp(arguments->device, "all") == 0) {
        each_disk(monitor, commit_one_of_all, output);
        return true;
    }
    if (!disk || disk_is_empty((Disk *)disk)) {
        error_set(&inner, disk ? "Device '%s' has no medium" : "Device '%s' not found", arguments->device);
        return tell(output, inner);
    }
    commit_disk((Disk *)disk, output);
    return true;
}

static bool print_statistics(Object *child, void *context)
{
    BlockStats stats;
    block_describe_statistics((const Disk *)child, &stats);
    const BlockDeviceStats *n = &stats.stats;
    strbuf_printf(context, "%s: rd_bytes=%" PRIu64 " wr_bytes=%" PRIu64 " rd_operations=%" PRIu64
                  " wr_operations=%" PRIu64 " flush_operations=%" PRIu64, stats.device, n->rd_bytes, n->wr_bytes,
                  n->rd_operations, n->wr_operations, n->flush_operations);
    strbuf_printf(context, " wr_total_time_ns=%" PRIu64 " rd_total_time_ns=%" PRIu64 " flush_total_time_ns=%" PRIu64
                  " rd_merged=%" PRIu64 " wr_merged=%" PRIu64 " idle_time_ns=%" PRIu64 "\n", n->wr_total_time_ns,
                  n->rd_total_time_ns, n->flush_total_time_ns, n->rd_merged, n->wr_merged, n->idle_time_ns);
    type_clear(&BlockStats_type, &stats);
    return true;
}

bool hmp_info_blockstats(Monitor *monitor, StrBuf *output, Error **error)
{
    each_disk(monitor, print_statistics, output);
    return true;
}
