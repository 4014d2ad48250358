/* Disks and block nodes as QMP describes them. */
#include "monitor/block_info.h"

#include "api/json.h"
#include "base/error.h"
#include "base/host/host.h"
#include "base/vec.h"
#include "block/bitmap.h"
#include "block/image.h"
#include "block/statistics.h"
#include "block/throttle.h"

#include <string.h>

enum { SECOND_NS = 1000000000 };

typedef VEC(SnapshotInfo) SnapshotInfos;
typedef VEC(BlockDirtyInfo) BlockDirtyInfos;

/* Images */

static void describe_snapshots(BlockNode *node, ImageInfo *info)
{
    BlockSnapshots snapshots;
    SnapshotInfos list = { 0 };
    if (!block_snapshot_list(node, &snapshots, NULL)) {
        return;
    }
    for (size_t i = 0; i < snapshots.count; i++) {
        const BlockSnapshot *from = &snapshots.items[i];
        SnapshotInfo one = { .id = string_copy(from->id), .name = string_copy(from->name),
                             .vm_state_size = from->vm_state_bytes, .date_sec = from->date_seconds,
                             .date_nsec = from->date_nanoseconds, .vm_clock_sec = from->vm_clock_ns / SECOND_NS,
                             .vm_clock_nsec = from->vm_clock_ns % SECOND_NS, .has_icount = from->has_icount,
                             .icount = from->icount };
        vec_push(&list, one);
    }
    info->snapshots = (SnapshotInfoList){ list.items, list.count };
    block_snapshots_clear(&snapshots);
}

static Json *describe_specific(const BlockNode *node, Json *specific)
{
    if (!specific && strcmp(block_node_driver_name(node), "file") != 0) {
        return NULL;
    }
    Json *json = json_object();
    json_set(json, "type", json_string(block_node_driver_name(node)));
    json_set(json, "data", specific ? specific : json_object());
    return json;
}

static void describe_image(BlockNode *node, bool flat, ImageInfo *info)
{
    BlockFacts facts;
    block_node_facts(node, &facts);
    int64_t taken = block_node_allocated_size(node);
    const BlockEdge *backing = block_node_backing(node);
    *info = (ImageInfo){ .filename = string_copy(block_node_file_name(node)),
                         .format = string_copy(block_node_driver_name(node)), .has_dirty_flag = true,
                         .dirty_flag = facts.dirty, .has_actual_size = taken >= 0,
                         .actual_size = taken >= 0 ? (uint64_t)taken : 0, .virtual_size = block_node_size(node),
                         .has_cluster_size = facts.cluster_bytes, .cluster_size = facts.cluster_bytes,
                         .backing_filename = string_copy(facts.backing_file),
                         .backing_filename_format = string_copy(facts.backing_format),
                         .format_specific = describe_specific(node, facts.specific) };
    if (facts.backing_file) {
        info->full_backing_filename = block_resolve_name(node, facts.backing_file);
    }
    describe_snapshots(node, info);
    if (backing && !flat) {
        info->backing_image = NEW(ImageInfo);
        describe_image(block_edge_node(backing), false, info->backing_image);
    }
}

/* Nodes */

static int64_t count_backing(const BlockNode *node)
{
    int64_t depth = 0;
    for (const BlockEdge *edge; (edge = block_node_backing(node)); node = block_edge_node(edge)) {
        depth++;
    }
    return depth;
}

static void describe_bitmaps(const BlockNode *node, BlockDeviceInfo *info)
{
    BlockDirtyInfos list = { 0 };
    BlockBitmap *bitmap;
    for (size_t i = 0; (bitmap = block_bitmap_at(node, i)); i++) {
        BlockDirtyInfo one = { .name = string_copy(bitmap->name), .count = block_bitmap_count(bitmap),
                               .granularity = (uint32_t)1 << bitmap->granularity_bits,
                               .recording = bitmap->enabled && !bitmap->inconsistent,
                               .persistent = bitmap->persistent, .has_inconsistent = bitmap->inconsistent,
                               .inconsistent = bitmap->inconsistent };
        vec_push(&list, one);
    }
    info->dirty_bitmaps = (BlockDirtyInfoList){ list.items, list.count };
}

/* What is not set is not told, but for the averages. */
static void describe_limits(const Disk *disk, BlockDeviceInfo *info)
{
    ThrottleGroup *group = block_edge_throttle(disk_edge(disk));
    ThrottleLimits limits;
    if (!group) {
        return;
    }
    throttle_group_limits(group, &limits);
    info->group = string_copy(throttle_group_name(group));
    info->has_iops_size = limits.iops_size != 0;
    info->iops_size = limits.iops_size;
#define LIMIT(to_, from_) \
    info->to_ = limits.from_; \
    info->has_##to_##_max = limits.from_##_max != 0; \
    info->to_##_max = limits.from_##_max; \
    info->has_##to_##_max_length = limits.from_##_max != 0; \
    info->to_##_max_length = limits.from_##_max_length;
    LIMIT(bps, bps_total)
    LIMIT(bps_rd, bps_read)
    LIMIT(bps_wr, bps_write)
    LIMIT(iops, iops_total)
    LIMIT(iops_rd, iops_read)
    LIMIT(iops_wr, iops_write)
#undef LIMIT
}

void block_describe_node(BlockNode *node, const Disk *disk, bool flat, BlockDeviceInfo *info)
{
    const BlockEdge *backing = block_node_backing(node);
    BlockNodeModes modes = block_node_modes(node);
    bool writeback = !disk || !block_edge_is_write_through(disk_edge(disk));
    *info = (BlockDeviceInfo){ .file = string_copy(block_node_file_name(node)),
                               .node_name = string_copy(block_node_name(node)), .ro = block_node_is_read_only(node),
                               .drv = string_copy(block_node_driver_name(node)), .active = true,
                               .backing_file_depth = flat ? 0 : count_backing(node),
                               .detect_zeroes = modes.detect_zeroes,
                               .cache = { .writeback = writeback, .direct = modes.direct,
                                          .no_flush = modes.no_flush },
                               .write_threshold = (int64_t)block_node_write_threshold(node) };
    if (backing) {
        info->backing_file = string_copy(block_node_file_name(block_edge_node(backing)));
    }
    describe_image(node, flat, &info->image);
    describe_bitmaps(node, info);
    if (disk) {
        describe_limits(disk, info);
    }
}

/* Disks */

char *disk_user_name(const Disk *disk)
{
    const Object *user = disk_user(disk);
    const Object *parent = user ? user->parent : NULL;
    bool has_id = parent && parent->name && strcmp(parent->name, "peripheral") == 0;
    return has_id ? string_copy(user->name) : user ? object_path(user) : NULL;
}

typedef struct Search {
    const char *id; /* or a path */
    Disk *found;
} Search;

static bool is_of_device(Object *child, void *context)
{
    Search *search = context;
    const Object *user = disk_user((const Disk *)child);
    AUTO_FREE char *name = *search->id == '/' ? (user ? object_path(user) : NULL) : disk_user_name((const Disk *)child);
    search->found = name && strcmp(name, search->id) == 0 ? (Disk *)child : NULL;
    return !search->found;
}

Disk *block_find_disk(Object *root, const char *device, const char *id, Error **error)
{
    Object *disks = object_child(root, "disks");
    Search search = { .id = id };
    if (!device == !id) {
        error_set(error, "Need exactly one of 'device' and 'id'");
        return NULL;
    }
    if (disks && id) {
        object_each_child(disks, is_of_device, &search);
    } else if (disks) {
        Disk *disk = (Disk *)object_child(disks, device);
        search.found = disk && disk_has_name(disk) ? disk : NULL;
    }
    if (!search.found) {
        error_set_class(error, ERROR_DEVICE_NOT_FOUND, "Device '%s' not found", device ? device : id);
    }
    return search.found;
}

void block_describe_disk(const Disk *disk, BlockInfo *info)
{
    static const BlockDeviceIoStatus states[] = { [DISK_OK] = BLOCK_DEVICE_IO_STATUS_OK,
                                                  [DISK_FAILED] = BLOCK_DEVICE_IO_STATUS_FAILED,
                                                  [DISK_NOSPACE] = BLOCK_DEVICE_IO_STATUS_NOSPACE };
    bool used = disk_user(disk) != NULL;
    *info = (BlockInfo){ .device = string_copy(disk_has_name(disk) ? disk_id(disk) : ""),
                         .qdev = disk_user_name(disk), .type = string_copy("unknown"), .removable = !used,
                         .has_io_status = used && !disk_is_empty(disk), .io_status = states[disk_status(disk)] };
    if (!disk_is_empty(disk)) {
        info->inserted = NEW(BlockDeviceInfo);
        block_describe_node(disk_node(disk), disk, false, info->inserted);
    }
}

/* What went through */

static BlockDeviceStats numbers(const BlockStatistics *all)
{
    return (BlockDeviceStats){
        .rd_bytes = all->bytes[BLOCK_READ], .rd_operations = all->operations[BLOCK_READ],
        .rd_total_time_ns = all->nanoseconds[BLOCK_READ], .failed_rd_operations = all->failed[BLOCK_READ],
        .wr_bytes = all->bytes[BLOCK_WRITE] + all->bytes[BLOCK_WRITE_ZEROES],
        .wr_operations = all->operations[BLOCK_WRITE] + all->operations[BLOCK_WRITE_ZEROES],
        .wr_total_time_ns = all->nanoseconds[BLOCK_WRITE] + all->nanoseconds[BLOCK_WRITE_ZEROES],
        .failed_wr_operations = all->failed[BLOCK_WRITE] + all->failed[BLOCK_WRITE_ZEROES],
        .flush_operations = all->operations[BLOCK_FLUSH], .flush_total_time_ns = all->nanoseconds[BLOCK_FLUSH],
        .failed_flush_operations = all->failed[BLOCK_FLUSH], .unmap_bytes = all->bytes[BLOCK_DISCARD],
        .unmap_operations = all->operations[BLOCK_DISCARD], .unmap_total_time_ns = all->nanoseconds[BLOCK_DISCARD],
        .failed_unmap_operations = all->failed[BLOCK_DISCARD], .invalid_rd_operations = all->invalid[BLOCK_READ],
        .invalid_wr_operations = all->invalid[BLOCK_WRITE] + all->invalid[BLOCK_WRITE_ZEROES],
        .invalid_flush_operations = all->invalid[BLOCK_FLUSH], .invalid_unmap_operations = all->invalid[BLOCK_DISCARD],
    };
}

static void describe_discards(const BlockNode *node, BlockStatsSpecific **specific)
{
    BlockDiscards all;
    if (block_node_discards(node, &all)) {
        BlockStatsSpecificFile file = { .discard_nb_ok = all.done, .discard_nb_failed = all.failed,
                                        .discard_bytes_ok = all.bytes };
        bool is_file = strcmp(block_node_driver_name(node), "file") == 0;
        *specific = NEW(BlockStatsSpecific);
        **specific = is_file ? (BlockStatsSpecific){ .driver = BLOCKDEV_DRIVER_FILE, .u.file = file }
                             : (BlockStatsSpecific){ .driver = BLOCKDEV_DRIVER_HOST_DEVICE, .u.host_device = file };
    }
}

void block_describe_node_statistics(const BlockNode *node, bool backing, BlockStats *stats)
{
    const BlockEdge *file = block_node_file(node), *below = backing ? block_node_backing(node) : NULL;
    *stats = (BlockStats){ .node_name = string_copy(block_node_name(node)),
                           .stats = { .wr_highest_offset = block_node_highest_write(node) } };
    describe_discards(node, &stats->driver_specific);
    if (file) {
        stats->parent = NEW(BlockStats);
        block_describe_node_statistics(block_edge_node(file), backing, stats->parent);
    }
    if (below) {
        stats->backing = NEW(BlockStats);
        block_describe_node_statistics(block_edge_node(below), backing, stats->backing);
    }
}

static void describe_histogram(const Disk *disk, BlockLatencyKind kind, BlockLatencyHistogramInfo **info)
{
    BlockHistogram histogram = block_edge_histogram(disk_edge(disk), kind);
    if (histogram.boundaries) {
        *info = NEW(BlockLatencyHistogramInfo);
        **info = (BlockLatencyHistogramInfo){ .boundaries = { histogram.boundaries, histogram.count },
                                              .bins = { histogram.bins, histogram.count + 1 } };
    }
}

static void describe_latencies(const Disk *disk, BlockDeviceStats *stats)
{
    VEC(BlockDeviceTimedStats) list = { 0 };
    BlockInterval all;
    for (size_t i = 0; block_edge_interval(disk_edge(disk), i, &all); i++) {
        BlockDeviceTimedStats one = { .interval_length = all.seconds };
#define KIND(name_, kind_) \
    one.min_##name_##_latency_ns = all.kinds[kind_].minimum; \
    one.max_##name_##_latency_ns = all.kinds[kind_].maximum; \
    one.avg_##name_##_latency_ns = all.kinds[kind_].average;
        KIND(rd, BLOCK_LATENCY_READ)
        KIND(wr, BLOCK_LATENCY_WRITE)
        KIND(zone_append, BLOCK_LATENCY_ZONE_APPEND)
        KIND(flush, BLOCK_LATENCY_FLUSH)
#undef KIND
        one.avg_rd_queue_depth = all.kinds[BLOCK_LATENCY_READ].queue_depth;
        one.avg_wr_queue_depth = all.kinds[BLOCK_LATENCY_WRITE].queue_depth;
        vec_push(&list, one);
    }
    stats->timed_stats = (BlockDeviceTimedStatsList){ list.items, list.count };
    describe_histogram(disk, BLOCK_LATENCY_READ, &stats->rd_latency_histogram);
    describe_histogram(disk, BLOCK_LATENCY_WRITE, &stats->wr_latency_histogram);
    describe_histogram(disk, BLOCK_LATENCY_ZONE_APPEND, &stats->zone_append_latency_histogram);
    describe_histogram(disk, BLOCK_LATENCY_FLUSH, &stats->flush_latency_histogram);
}

void block_describe_statistics(const Disk *disk, BlockStats *stats)
{
    BlockStatistics all;
    *stats = (BlockStats){ 0 };
    if (!disk_is_empty(disk)) {
        block_describe_node_statistics(disk_node(disk), true, stats);
    }
    block_edge_statistics(disk_edge(disk), &all);
    uint64_t highest = stats->stats.wr_highest_offset;
    stats->stats = numbers(&all);
    stats->stats.wr_highest_offset = highest;
    stats->stats.account_invalid = block_edge_accounts_invalid(disk_edge(disk));
    stats->stats.account_failed = block_edge_accounts_failed(disk_edge(disk));
    describe_latencies(disk, &stats->stats);
    stats->stats.has_idle_time_ns = all.last != 0;
    stats->stats.idle_time_ns = all.last ? (uint64_t)(host_monotonic_ns() - all.last) : 0;
    stats->device = string_copy(disk_has_name(disk) ? disk_id(disk) : "");
    stats->qdev = disk_user_name(disk);
}
