/* The "throttle" driver: requests to what is below wait as a throttle group's limits say. */
#include "block/filter.h"

#include "base/error.h"
#include "block/throttle.h"
#include "schema/block.h"

typedef struct ThrottleFilter {
    ThrottleMember *member;
} ThrottleFilter;

static bool throttle_open(BlockNode *node, const void *data, Error **error)
{
    const ThrottleSettings *settings = data;
    ThrottleFilter *filter = node->state;
    ThrottleGroup *group = throttle_group_find(node->graph, settings->throttle_group);
    if (!group) {
        return error_set(error, "Throttle group '%s' does not exist", settings->throttle_group);
    }
    filter->member = throttle_join(group);
    return filter_open(node, "file", error);
}

static void throttle_close(BlockNode *node) { throttle_leave(((ThrottleFilter *)node->state)->member); }

static int pass(BlockNode *node, bool write, uint64_t bytes)
{
    ThrottleFilter *filter = node->state;
    return throttle_pass(filter->member, block_task_self(block_graph_runtime(node->graph)), write, bytes);
}

static bool throttle_map(BlockNode *node, BlockOperation operation, uint64_t offset, uint64_t bytes,
                         BlockMapping *mapping)
{
    const ThrottleFilter *filter = node->state;
    return !throttle_group_is_limited(throttle_member_group(filter->member)) &&
           filter_map(node, operation, offset, bytes, mapping);
}

static int throttle_read(BlockNode *node, uint64_t offset, uint64_t bytes, BlockVectors vectors)
{
    int error = pass(node, false, bytes);
    return error ? error : filter_read(node, offset, bytes, vectors);
}

static int throttle_write(BlockNode *node, uint64_t offset, uint64_t bytes, BlockVectors vectors, unsigned flags)
{
    int error = pass(node, true, bytes);
    return error ? error : filter_write(node, offset, bytes, vectors, flags);
}

static int throttle_write_zeroes(BlockNode *node, uint64_t offset, uint64_t bytes, unsigned flags)
{
    int error = pass(node, true, bytes);
    return error ? error : filter_write_zeroes(node, offset, bytes, flags);
}

static int throttle_discard(BlockNode *node, uint64_t offset, uint64_t bytes)
{
    int error = pass(node, true, bytes);
    return error ? error : filter_discard(node, offset, bytes);
}

static void drain(BlockNode *node, bool begins)
{
    const ThrottleFilter *filter = node->state;
    if (filter->member) {
        throttle_group_drain(throttle_member_group(filter->member), begins);
    }
}

static void throttle_drain_begin(BlockNode *node) { drain(node, true); }
static void throttle_drain_end(BlockNode *node) { drain(node, false); }

const BlockDriver throttle_driver = {
    .name = "throttle",
    .is_filter = true,
    .state_size = sizeof(ThrottleFilter),
    .settings = &ThrottleSettings_type,
    .open = throttle_open,
    .close = throttle_close,
    .map = throttle_map,
    .read = throttle_read,
    .write = throttle_write,
    .write_zeroes = throttle_write_zeroes,
    .discard = throttle_discard,
    .status = filter_status,
    .resize = filter_resize,
    .child_resized = filter_child_resized,
    .drain_begin = throttle_drain_begin,
    .drain_end = throttle_drain_end,
};
