/* RAM blocks: what stands behind RAM regions, and where it comes from. */
#include "core/memory.h"

#include "base/error.h"
#include "base/files.h"
#include "base/host/host.h"
#include "base/vec.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HUGE_PAGE = 2 * 1024 * 1024 };

static uint64_t host_size(uint64_t size) { return align_up(size, host_page_size()); }

static unsigned map_flags(const RamBlock *block, const RamOptions *options)
{
    return (block->shared ? HOST_MEMORY_SHARED : 0) | (options->no_reserve ? HOST_MEMORY_NORESERVE : 0) |
           (block->read_only ? HOST_MEMORY_READ_ONLY : 0);
}

/* Anonymous memory begins at a huge page, so that the host can back it by such. */
static uint8_t *map_anonymous(uint64_t size, unsigned flags, Error **error)
{
    uint64_t spare = size >= HUGE_PAGE ? HUGE_PAGE : 0;
    uint8_t *memory = host_memory_map(-1, 0, size + spare, flags, error);
    if (!memory || !spare) {
        return memory;
    }
    uint64_t before = -(uintptr_t)memory & (HUGE_PAGE - 1);
    if (before) {
        host_memory_unmap(memory, before);
    }
    if (spare - before) {
        host_memory_unmap(memory + before + size, spare - before);
    }
    return memory + before;
}

/* A file, or a nameless one in a directory. */
static int open_backing(RamBlock *block, const RamOptions *options, Error **error)
{
    struct stat status;
    if (!stat(options->path, &status) && S_ISDIR(status.st_mode)) {
        AUTO_FREE char *name = string_format("%s/myna-ram-XXXXXX", options->path);
        int fd = mkostemp(name, O_CLOEXEC);
        if (fd < 0) {
            error_set_errno(error, errno, "cannot make a file for memory in '%s'", options->path);
            return -1;
        }
        unlink(name);
        return fd;
    }
    int flags = block->read_only ? O_RDONLY : O_RDWR | O_CREAT;
    return files_open(options->files, options->path, flags, 0644, error);
}

static bool size_backing(const RamBlock *block, const RamOptions *options, Error **error)
{
    struct stat status;
    uint64_t needed;
    if (__builtin_add_overflow(options->offset, host_size(block->size), &needed) || needed > INT64_MAX) {
        return error_set(error, "'%s': offset and size are too large", options->path);
    }
    if (fstat(block->fd, &status) < 0) {
        return error_set_errno(error, errno, "'%s'", options->path);
    }
    if (!S_ISREG(status.st_mode) || (uint64_t)status.st_size >= needed) {
        return true;
    }
    if (block->read_only) {
        return error_set(error, "'%s' has 0x%" PRIx64 " bytes, but 0x%" PRIx64 " are needed from it", options->path,
                         (uint64_t)status.st_size, needed);
    }
    if (ftruncate(block->fd, (off_t)needed) < 0) {
        return error_set_errno(error, errno, "cannot make '%s' 0x%" PRIx64 " bytes long", options->path, needed);
    }
    return true;
}

static bool map_file(RamBlock *block, const RamOptions *options, Error **error)
{
    if (options->offset & (host_page_size() - 1)) {
        return error_set(error, "'%s': the offset must be a multiple of 0x%zx", options->path, host_page_size());
    }
    block->fd = open_backing(block, options, error);
    if (block->fd < 0 || !size_backing(block, options, error)) {
        return false;
    }
    block->fd_offset = options->offset;
    unsigned flags = map_flags(block, options);
    block->host = host_memory_map(block->fd, block->fd_offset, host_size(block->size), flags, error);
    return block->host != NULL;
}

static bool map_memfd(RamBlock *block, const RamOptions *options, Error **error)
{
    block->fd = host_memfd_new(block->id, host_size(block->size), options->huge_pages, error);
    if (block->fd < 0) {
        return false;
    }
    block->host = host_memory_map(block->fd, 0, host_size(block->size), map_flags(block, options), error);
    return block->host != NULL;
}

static bool map_backing(RamBlock *block, const RamOptions *options, Error **error)
{
    switch (block->backing) {
    case RAM_ANONYMOUS:
        block->host = map_anonymous(host_size(block->size), map_flags(block, options), error);
        if (block->host) {
            host_memory_advise(block->host, host_size(block->size), HOST_MEMORY_HUGE);
        }
        return block->host != NULL;
    case RAM_MEMFD:
        return map_memfd(block, options, error);
    case RAM_FILE:
        return map_file(block, options, error);
    }
    return false;
}

RamBlock *ram_block_new(const char *id, uint64_t size, const RamOptions *options, Error **error)
{
    static const RamOptions anonymous = { .backing = RAM_ANONYMOUS };
    options = options ? options : &anonymous;
    if (!size || size > INT64_MAX / 2) {
        error_set(error, "'%s': memory of 0x%" PRIx64 " bytes is not possible", id, size);
        return NULL;
    }
    RamBlock *block = NEW(RamBlock);
    *block = (RamBlock){ .id = string_copy(id), .size = size, .backing = options->backing, .shared = options->shared,
                         .huge_pages = options->huge_pages, .prealloc = options->prealloc,
                         .read_only = options->read_only, .fd = -1, .references = 1 };
    if (!map_backing(block, options, error) ||
        (options->prealloc && !block->read_only && !host_memory_prealloc(block->host, host_size(size), error))) {
        ram_block_unref(block);
        return NULL;
    }
    return block;
}

RamBlock *ram_block_ref(RamBlock *block)
{
    atomic_fetch_add_explicit(&block->references, 1, memory_order_relaxed);
    return block;
}

void ram_block_unref(RamBlock *block)
{
    if (!block || atomic_fetch_sub(&block->references, 1) != 1) {
        return;
    }
    if (block->host) {
        host_memory_unmap(block->host, host_size(block->size));
    }
    if (block->fd >= 0) {
        close(block->fd);
    }
    free(atomic_load(&block->dirty));
    free((char *)block->id);
    free(block);
}

/* Dirty pages. */

static size_t dirty_bytes(const RamBlock *block)
{
    return (size_t)((block->size >> RAM_DIRTY_PAGE_BITS) / 8 + 1);
}

void ram_block_track(RamBlock *block, bool on)
{
    uint8_t *dirty = atomic_load(&block->dirty);
    if (on && !dirty) {
        dirty = mem_alloc(dirty_bytes(block));
        memset(dirty, 0xff, dirty_bytes(block));
        atomic_store(&block->dirty, dirty);
    } else if (!on && dirty) {
        atomic_store(&block->dirty, NULL);
        free(dirty);
    }
}

void ram_block_mark_dirty(RamBlock *block, uint64_t offset, uint64_t count)
{
    uint8_t *dirty = atomic_load_explicit(&block->dirty, memory_order_acquire);
    if (LIKELY(!dirty) || !count) {
        return;
    }
    uint64_t last = (offset + count - 1) >> RAM_DIRTY_PAGE_BITS;
    for (uint64_t page = offset >> RAM_DIRTY_PAGE_BITS; page <= last; page++) {
        __atomic_fetch_or(&dirty[page / 8], (uint8_t)(1u << page % 8), __ATOMIC_RELEASE);
    }
}

bool ram_block_take_dirty(RamBlock *block, uint64_t offset, uint64_t count)
{
    uint8_t *dirty = atomic_load_explicit(&block->dirty, memory_order_acquire);
    bool any = false;
    uint64_t last = (offset + count - 1) >> RAM_DIRTY_PAGE_BITS;
    for (uint64_t page = offset >> RAM_DIRTY_PAGE_BITS; dirty && count && page <= last; page++) {
        uint8_t bit = (uint8_t)(1u << page % 8);
        any |= (__atomic_fetch_and(&dirty[page / 8], (uint8_t)~bit, __ATOMIC_ACQUIRE) & bit) != 0;
    }
    return any;
}
