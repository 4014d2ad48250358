/* The "null-co" and "null-aio" drivers: disks that keep nothing, to measure what is above them. They read as zeroes
 * with read-zeroes=on; else what was in memory stays there. */
#include "block/driver.h"

#include "base/error.h"
#include "base/host/host.h"
#include "base/text.h"
#include "base/vec.h"
#include "schema/block.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

typedef struct Null {
    uint64_t latency_ns;
    bool read_zeroes;
} Null;

static bool null_open(BlockNode *node, const void *data, Error **error)
{
    const NullSettings *settings = data;
    Null *null = node->state;
    if (settings->size > INT64_MAX - BLOCK_SECTOR) {
        return error_set(error, "'size' is too large");
    }
    if (settings->latency_ns > INT64_MAX / 2) {
        return error_set(error, "'latency-ns' is too large");
    }
    if (!settings->has_size && !settings->has_latency_ns && !settings->has_read_zeroes) {
        free(node->file_name);
        node->file_name = string_format("%s://", node->driver->name);
    }
    null->latency_ns = settings->latency_ns;
    null->read_zeroes = settings->read_zeroes;
    atomic_store(&node->size, align_up(settings->size, BLOCK_SECTOR));
    return true;
}

static bool null_parse_name(const BlockDriver *driver, const char *filename, Json *options, Error **error)
{
    const char *name = driver->name;
    return (text_starts_with(filename, name) && strcmp(filename + strlen(name), "://") == 0) ||
           error_set(error, "The only allowed filename for this driver is '%s://'", name);
}

static int null_wait(BlockNode *node)
{
    const Null *null = node->state;
    if (null->latency_ns) {
        BlockTask *self = block_task_self(block_graph_runtime(node->graph));
        return block_task_wait_until(self, host_monotonic_ns() + (int64_t)null->latency_ns) ? 0 : ECANCELED;
    }
    return 0;
}

static int null_read(BlockNode *node, uint64_t offset, uint64_t bytes, BlockVectors vectors)
{
    if (((Null *)node->state)->read_zeroes) {
        block_vectors_fill(vectors, 0, bytes);
    }
    return null_wait(node);
}

static int null_write(BlockNode *node, uint64_t offset, uint64_t bytes, BlockVectors vectors, unsigned flags)
{
    return null_wait(node);
}

static int null_change(BlockNode *node, uint64_t offset, uint64_t bytes, unsigned flags) { return null_wait(node); }

static int null_status(BlockNode *node, uint64_t offset, uint64_t bytes, BlockStatus *status)
{
    bool zero = ((Null *)node->state)->read_zeroes;
    *status = (BlockStatus){ .bytes = bytes, .allocated = zero, .zero = zero, .has_offset = zero, .offset = offset,
                             .node = node };
    return 0;
}

static int64_t null_allocated_size(BlockNode *node) { return 0; }

#define NULL_DRIVER(name_) \
    { \
        .name = name_, .is_protocol = true, .schemes = (const char *const[]){ name_, NULL }, \
        .parse_name = null_parse_name, .state_size = sizeof(Null), .settings = &NullSettings_type, \
        .open = null_open, .read = null_read, .write = null_write, .write_zeroes = null_change, .flush = null_wait, \
        .status = null_status, .allocated_size = null_allocated_size, \
    }
const BlockDriver null_co_driver = NULL_DRIVER("null-co");
const BlockDriver null_aio_driver = NULL_DRIVER("null-aio");
