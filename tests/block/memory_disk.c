/* A disk in memory, which can keep what was done to it. */
#include "memory_disk.h"

#include "base/error.h"
#include "base/host/host.h"
#include "block/driver.h"
#include "schema/block.h"

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { SECTOR = 512 };

char *memory_disk_name(const MemoryDisk *disk) { return string_format("memory:%p", (const void *)disk); }

void memory_disk_clear(MemoryDisk *disk)
{
    for (size_t i = 0; i < disk->events.count; i++) {
        free(disk->events.items[i].data);
    }
    vec_free(&disk->events);
    free(disk->bytes);
    disk->bytes = NULL;
    disk->size = 0;
}

static void set_size(MemoryDisk *disk, uint64_t size)
{
    uint8_t *bytes = realloc(disk->bytes, MAX(size, 1));
    if (!bytes) {
        abort();
    }
    memset(bytes + MIN(disk->size, size), 0, size - MIN(disk->size, size));
    disk->bytes = bytes;
    disk->size = size;
}

void memory_disk_apply(MemoryDisk *disk, const MemoryEvent *event, bool (*survives)(void *data), void *data)
{
    if (event->kind == MEMORY_RESIZE) {
        set_size(disk, event->bytes);
    }
    if (event->kind == MEMORY_GROW && event->bytes > disk->size) {
        set_size(disk, event->bytes);
    }
    if (event->kind != MEMORY_WRITE) {
        return;
    }
    if (event->offset + event->bytes > disk->size) {
        set_size(disk, event->offset + event->bytes);
    }
    for (uint64_t done = 0, length; done < event->bytes; done += length) {
        length = MIN(SECTOR - (event->offset + done) % SECTOR, event->bytes - done);
        if (survives && !survives(data)) {
            continue;
        }
        if (event->data) {
            memcpy(disk->bytes + event->offset + done, event->data + done, length);
        } else {
            memset(disk->bytes + event->offset + done, 0, length);
        }
    }
}

/* The driver */

typedef struct Memory {
    MemoryDisk *disk;
} Memory;

static MemoryDisk *disk_of(const BlockNode *node) { return ((Memory *)node->state)->disk; }

static MemoryDisk *disk_of_name(const char *name) { return (MemoryDisk *)(uintptr_t)strtoull(name, NULL, 16); }

static bool memory_open(BlockNode *node, const void *data, Error **error)
{
    const FileSettings *settings = data;
    Memory *memory = node->state;
    memory->disk = disk_of_name(settings->filename);
    free(node->file_name);
    node->file_name = memory_disk_name(memory->disk);
    atomic_store(&node->size, align_up(memory->disk->size, SECTOR));
    return true;
}

/* As a host's disk would, it takes its time. */
static void take_time(const BlockNode *node)
{
    if (disk_of(node)->keeps) {
        block_task_wait_until(block_task_self(block_graph_runtime(node->graph)), host_monotonic_ns());
    }
}

static void enter(MemoryDisk *disk)
{
    while (atomic_exchange(&disk->busy, true)) {
        sched_yield();
    }
}

static void leave(MemoryDisk *disk) { atomic_store(&disk->busy, false); }

static int memory_read(BlockNode *node, uint64_t offset, uint64_t bytes, BlockVectors vectors)
{
    MemoryDisk *disk = disk_of(node);
    take_time(node);
    enter(disk);
    uint64_t there = MIN(bytes, disk->size - MIN(offset, disk->size));
    if (there) {
        block_vectors_write(vectors, disk->bytes + offset, there);
    }
    block_vectors_fill(block_vectors_from(vectors, there), 0, bytes - there);
    leave(disk);
    return 0;
}

static int change(BlockNode *node, MemoryEvent event)
{
    MemoryDisk *disk = disk_of(node);
    if (event.offset + event.bytes > disk->limit) {
        free(event.data);
        return ENOSPC;
    }
    enter(disk);
    memory_disk_apply(disk, &event, NULL, NULL);
    size_t mine = disk->events.count;
    if (disk->keeps) {
        vec_push(&disk->events, event);
    } else {
        free(event.data);
    }
    leave(disk);
    take_time(node);
    enter(disk);
    if (disk->keeps) {
        disk->events.items[mine].done = disk->events.count;
    }
    leave(disk);
    return 0;
}

static int memory_write(BlockNode *node, uint64_t offset, uint64_t bytes, BlockVectors vectors, unsigned flags)
{
    if (bytes > disk_of(node)->limit) {
        return ENOSPC;
    }
    uint8_t *data = mem_alloc(bytes);
    block_vectors_read(vectors, data, bytes);
    return change(node, (MemoryEvent){ .kind = MEMORY_WRITE, .offset = offset, .bytes = bytes, .data = data });
}

static int memory_write_zeroes(BlockNode *node, uint64_t offset, uint64_t bytes, unsigned flags)
{
    return change(node, (MemoryEvent){ .kind = MEMORY_WRITE, .offset = offset, .bytes = bytes });
}

static int memory_allocate(BlockNode *node, uint64_t offset, uint64_t bytes)
{
    return change(node, (MemoryEvent){ .kind = MEMORY_GROW, .bytes = offset + bytes });
}

/* What is discarded may be lost at once. */
static int memory_discard(BlockNode *node, uint64_t offset, uint64_t bytes)
{
    uint64_t size = disk_of(node)->size;
    offset = MIN(offset, size);
    return memory_write_zeroes(node, offset, MIN(bytes, size - offset), 0);
}

static int memory_flush(BlockNode *node)
{
    MemoryDisk *disk = disk_of(node);
    if (disk->keeps) {
        enter(disk);
        MemoryEvent end = { .kind = MEMORY_FLUSH_END, .flush = disk->events.count };
        vec_push(&disk->events, (MemoryEvent){ .kind = MEMORY_FLUSH_BEGIN });
        leave(disk);
        take_time(node);
        enter(disk);
        vec_push(&disk->events, end);
        leave(disk);
    }
    return 0;
}

static bool memory_resize(BlockNode *node, uint64_t size, int preallocation, Error **error)
{
    MemoryDisk *disk = disk_of(node);
    if (size > disk->limit) {
        return error_set_errno(error, ENOSPC, "the disk in memory");
    }
    set_size(disk, size);
    if (disk->keeps) {
        vec_push(&disk->events, (MemoryEvent){ .kind = MEMORY_RESIZE, .bytes = size });
    }
    atomic_store(&node->size, align_up(size, SECTOR));
    return true;
}

static bool memory_create(BlockGraph *graph, const char *filename, const void *data, const Json *file_options,
                          Error **error)
{
    const RawCreateOptions *options = data;
    MemoryDisk *disk = disk_of_name(filename);
    set_size(disk, 0);
    set_size(disk, MIN(options->size, disk->limit));
    return true;
}

static const char *const schemes[] = { "memory", NULL };

const BlockDriver memory_driver = {
    .name = "file-in-memory",
    .is_protocol = true,
    .grows_with_zeroes = true,
    .state_size = sizeof(Memory),
    .settings = &FileSettings_type,
    .filename_key = "filename",
    .schemes = schemes,
    .open = memory_open,
    .read = memory_read,
    .write = memory_write,
    .write_zeroes = memory_write_zeroes,
    .allocate = memory_allocate,
    .discard = memory_discard,
    .flush = memory_flush,
    .resize = memory_resize,
    .create_type = &RawCreateOptions_type,
    .create = memory_create,
};
