/*
 * The "blklogwrites" driver: a filter that writes down what is written, in the format of Linux's dm-log-writes target
 * (Documentation/admin-guide/device-mapper/log-writes.rst, drivers/md/dm-log-writes.c), for tools that replay it.
 *
 * The log begins with a head, a sector; then come entries, a sector each, with the data of writes behind them. An entry
 * is written when its request has ended; the head now and then, with each flush, and at the end.
 */
#include "block/filter.h"

#include "base/bytes.h"
#include "base/error.h"
#include "base/vec.h"
#include "schema/block.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

enum { ENTRY_FLUSH = 1, ENTRY_FUA = 2, ENTRY_DISCARD = 4, HEAD_BYTES = 28, ENTRY_BYTES = 32, LARGEST_SECTOR = 1 << 23 };
static const uint64_t log_magic = 0x6a736677736872, log_version = 1;

typedef struct BlockLog {
    BlockEdge *log;
    uint32_t sector;
    uint64_t interval;
    TaskLock lock;                     /* of what follows */
    uint64_t entries, position, saved; /* position: where the next one goes, bytes */
} BlockLog;

static int write_head(BlockNode *node)
{
    BlockLog *log = node->state;
    AUTO_FREE uint8_t *head = mem_alloc0(log->sector);
    store_le(head, 8, log_magic);
    store_le(head + 8, 8, log_version);
    store_le(head + 16, 8, log->entries);
    store_le(head + 24, 4, log->sector);
    log->saved = log->entries;
    return block_write(log->log, 0, head, log->sector, 0);
}

/* An old log goes on where its entries end. */
static bool find_end(BlockLog *log, const uint8_t *head, Error **error)
{
    uint64_t entries = load_le(head + 16, 8), sector = load_le(head + 24, 4), size = block_node_size(log->log->node);
    if (load_le(head, 8) != log_magic || load_le(head + 8, 8) != log_version) {
        return error_set(error, "Invalid log superblock magic");
    }
    if (sector < BLOCK_SECTOR || sector > LARGEST_SECTOR || !is_power_of_2(sector)) {
        return error_set(error, "Invalid log sector size %" PRIu64, sector);
    }
    log->sector = (uint32_t)sector;
    log->position = sector;
    for (; log->entries < entries; log->entries++) {
        uint8_t entry[ENTRY_BYTES];
        int number = log->position <= size - MIN(size, sector)
                         ? block_read(log->log, log->position, entry, sizeof entry)
                         : EIO;
        if (number) {
            return error_set_errno(error, number, "Failed to read log entry %" PRIu64, log->entries);
        }
        uint64_t flags = load_le(entry + 16, 8), bytes = load_le(entry + 8, 8) * log->sector;
        if (flags & ~(uint64_t)15 || load_le(entry + 8, 8) > INT64_MAX / LARGEST_SECTOR / 2) {
            return error_set(error, "Invalid flags 0x%" PRIx64 " in log entry %" PRIu64, flags, log->entries);
        }
        log->position += log->sector + (flags & ENTRY_DISCARD ? 0 : bytes);
    }
    return true;
}

static bool read_old_log(BlockLog *log, Error **error)
{
    uint8_t head[HEAD_BYTES];
    if (block_node_size(log->log->node) < BLOCK_SECTOR) {
        return error_set(error, "Could not read log superblock");
    }
    int number = block_read(log->log, 0, head, sizeof head);
    return number ? error_set_errno(error, number, "Could not read log superblock") : find_end(log, head, error);
}

static bool log_open(BlockNode *node, const void *data, Error **error)
{
    const BlklogwritesSettings *settings = data;
    BlockLog *log = node->state;
    log->sector = (uint32_t)settings->log_sector_size;
    log->interval = settings->log_super_update_interval;
    if (settings->log_sector_size < BLOCK_SECTOR || settings->log_sector_size >= LARGEST_SECTOR ||
        !is_power_of_2(settings->log_sector_size)) {
        return error_set(error, "Invalid log sector size %" PRIu64, settings->log_sector_size);
    }
    if (!log->interval) {
        return error_set(error, "Invalid log superblock update interval %" PRIu64, log->interval);
    }
    if (settings->log_append && settings->has_log_sector_size) {
        return error_set(error, "log-append and log-sector-size are mutually exclusive");
    }
    log->log = block_open_child(node, "log", error);
    if (!log->log || !filter_open(node, "file", error)) {
        return false;
    }
    log->position = log->sector;
    if (settings->log_append && !read_old_log(log, error)) {
        return false;
    }
    node->limits.alignment = MAX(node->limits.alignment, log->sector);
    return true;
}

static void finish_log(void *data)
{
    BlockNode *node = data;
    write_head(node);
    block_flush(((BlockLog *)node->state)->log);
}

static void log_close(BlockNode *node)
{
    const BlockLog *log = node->state;
    if (log->log && node->file && log->entries != log->saved) {
        block_task_call(block_graph_runtime(node->graph), finish_log, node);
    }
}

static unsigned log_permissions(const BlockNode *node, const char *name, unsigned permissions, unsigned *shared)
{
    if (strcmp(name, "log") != 0) {
        return permissions;
    }
    *shared = BLOCK_PERMISSION_READ | BLOCK_PERMISSION_WRITE_UNCHANGED;
    return node->read_only ? BLOCK_PERMISSION_READ
                           : BLOCK_PERMISSION_READ | BLOCK_PERMISSION_WRITE | BLOCK_PERMISSION_RESIZE;
}

/* `vectors` has no items where the entry has no data. */
static int write_entry(BlockNode *node, uint64_t offset, uint64_t bytes, unsigned flags, const BlockVectors *vectors)
{
    BlockLog *log = node->state;
    BlockTask *self = block_task_self(block_graph_runtime(node->graph));
    AUTO_FREE uint8_t *entry = mem_alloc0(log->sector);
    uint64_t data = vectors ? bytes : 0;
    store_le(entry, 8, offset / log->sector);
    store_le(entry + 8, 8, bytes / log->sector);
    store_le(entry + 16, 8, flags);
    store_le(entry + 24, 8, data);
    task_lock(&log->lock, self);
    uint64_t position = log->position;
    log->position += log->sector + data;
    log->entries++;
    int error = block_write(log->log, position, entry, log->sector, 0);
    error = error || !data ? error : block_writev(log->log, position + log->sector, data, *vectors, 0);
    bool save = flags & (ENTRY_FLUSH | ENTRY_FUA) || log->entries - log->saved >= log->interval;
    error = error || !save ? error : write_head(node);
    task_unlock(&log->lock);
    return error;
}

static unsigned fua_of(unsigned flags) { return flags & BLOCK_FUA ? ENTRY_FUA : 0; }

static int log_write(BlockNode *node, uint64_t offset, uint64_t bytes, BlockVectors vectors, unsigned flags)
{
    int error = filter_write(node, offset, bytes, vectors, flags);
    return error ? error : write_entry(node, offset, bytes, fua_of(flags), &vectors);
}

/* The format has no zeroes: they are bytes. */
static int log_zeroes(BlockNode *node, uint64_t offset, uint64_t bytes)
{
    AUTO_FREE uint8_t *zeroes = mem_alloc0(MIN(bytes, (uint64_t)LARGEST_SECTOR));
    int error = 0;
    for (uint64_t done = 0, length; done < bytes && !error; done += length) {
        length = MIN(bytes - done, (uint64_t)LARGEST_SECTOR);
        struct iovec piece = { zeroes, length };
        BlockVectors vectors = { &piece, 1, 0 };
        error = write_entry(node, offset + done, length, 0, &vectors);
    }
    return error;
}

static int log_write_zeroes(BlockNode *node, uint64_t offset, uint64_t bytes, unsigned flags)
{
    int error = filter_write_zeroes(node, offset, bytes, flags);
    return error ? error : log_zeroes(node, offset, bytes);
}

static int log_discard(BlockNode *node, uint64_t offset, uint64_t bytes)
{
    int error = filter_discard(node, offset, bytes);
    return error ? error : write_entry(node, offset, bytes, ENTRY_DISCARD, NULL);
}

/* The entry may only be there when the flush has happened. */
static int log_flush(BlockNode *node)
{
    int error = block_flush(node->file);
    return error ? error : write_entry(node, 0, 0, ENTRY_FLUSH, NULL);
}

static bool log_map(BlockNode *node, BlockOperation operation, uint64_t offset, uint64_t bytes, BlockMapping *mapping)
{
    return operation == BLOCK_READ && filter_map(node, operation, offset, bytes, mapping);
}

static const char *const children[] = { "file", "log", NULL };

const BlockDriver blklogwrites_driver = {
    .name = "blklogwrites",
    .is_filter = true,
    .state_size = sizeof(BlockLog),
    .settings = &BlklogwritesSettings_type,
    .children = children,
    .open = log_open,
    .close = log_close,
    .map = log_map,
    .read = filter_read,
    .write = log_write,
    .write_zeroes = log_write_zeroes,
    .discard = log_discard,
    .flush = log_flush,
    .status = filter_status,
    .child_permissions = log_permissions,
    .child_resized = filter_child_resized,
};
