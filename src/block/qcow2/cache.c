/*
 * Pieces of tables in memory: found by their place in the file, the least recently used one gives way. A piece that is
 * being read is there already, and whoever else wants it waits.
 */
#include "block/qcow2/qcow2.h"

#include "base/compiler.h"
#include "schema/block.h"

#include <errno.h>

void qcow2_cache_init(Qcow2Cache *cache, BlockEdge *file, size_t slice_bytes, uint64_t bytes)
{
    *cache = (Qcow2Cache){ .file = file, .slice_bytes = slice_bytes, .limit = MAX(bytes / slice_bytes, 2) };
    cache->bucket_count = 64;
    while (cache->bucket_count < cache->limit) {
        cache->bucket_count *= 2;
    }
    cache->buckets = mem_alloc_array(cache->bucket_count, sizeof *cache->buckets);
    list_init(&cache->in_use);
}

static Qcow2Slice **bucket_of(const Qcow2Cache *cache, uint64_t offset)
{
    uint64_t hash = offset / cache->slice_bytes * UINT64_C(0x9e3779b97f4a7c15);
    return &cache->buckets[hash >> 32 & (cache->bucket_count - 1)];
}

static void take_out(Qcow2Cache *cache, Qcow2Slice *slice)
{
    Qcow2Slice **link = bucket_of(cache, slice->offset);
    while (*link && *link != slice) {
        link = &(*link)->next;
    }
    if (*link) {
        *link = slice->next;
    }
}

static void slice_free(Qcow2Cache *cache, Qcow2Slice *slice)
{
    take_out(cache, slice);
    list_remove(&slice->in_use);
    cache->slices--;
    free(slice->bytes);
    free(slice);
}

void qcow2_cache_empty(Qcow2Cache *cache)
{
    LIST_FOREACH_SAFE(&cache->in_use, slice, Qcow2Slice, in_use)
    {
        slice_free(cache, slice);
    }
    cache->dirty.count = 0;
}

void qcow2_cache_clear(Qcow2Cache *cache)
{
    if (!cache->buckets) {
        return;
    }
    qcow2_cache_empty(cache);
    vec_free(&cache->dirty);
    free(cache->buckets);
    cache->buckets = NULL;
}

Qcow2Slice *qcow2_cache_find(const Qcow2Cache *cache, uint64_t offset)
{
    Qcow2Slice *slice = *bucket_of(cache, offset);
    while (slice && slice->offset != offset) {
        slice = slice->next;
    }
    return slice;
}

/* Those that are in use stay, and may be more than the limit for that long. */
static void make_room(Qcow2Cache *cache)
{
    LIST_FOREACH_SAFE(&cache->in_use, slice, Qcow2Slice, in_use)
    {
        if (cache->slices < cache->limit) {
            return;
        }
        if (slice->users == 0) {
            slice_free(cache, slice);
        }
    }
}

static Qcow2Slice *add(Qcow2Cache *cache, uint64_t offset)
{
    make_room(cache);
    Qcow2Slice *slice = NEW(Qcow2Slice);
    Qcow2Slice **bucket = bucket_of(cache, offset);
    *slice = (Qcow2Slice){ .offset = offset, .next = *bucket, .bytes = block_buffer(cache->file->node,
                                                                                    cache->slice_bytes) };
    *bucket = slice;
    list_append(&cache->in_use, &slice->in_use);
    cache->slices++;
    return slice;
}

static void load(Qcow2Cache *cache, TaskLock *lock, BlockTask *self, Qcow2Slice *slice)
{
    slice->loading = true;
    if (cache->opens_lock) {
        task_unlock(lock);
    }
    block_debug_event(cache->file, cache->opens_lock ? BLKDEBUG_EVENT_L2_LOAD : BLKDEBUG_EVENT_REFBLOCK_LOAD);
    int error = slice->bytes ? block_read(cache->file, slice->offset, slice->bytes, cache->slice_bytes) : ENOMEM;
    if (cache->opens_lock) {
        task_lock(lock, self);
    }
    slice->loading = false;
    slice->error = error;
    task_queue_wake(&cache->changed);
}

int qcow2_cache_get(Qcow2Cache *cache, TaskLock *lock, BlockTask *self, uint64_t offset, Qcow2Slice **result)
{
    Qcow2Slice *slice = qcow2_cache_find(cache, offset);
    bool is_new = !slice;
    slice = slice ? slice : add(cache, offset);
    slice->users++;
    if (is_new) {
        load(cache, lock, self, slice);
    }
    while (slice->loading) {
        task_queue_wait(&cache->changed, lock, self);
    }
    int error = slice->error;
    if (error) { /* it goes with its last user, and the next one tries again */
        qcow2_cache_put(cache, slice);
        return error;
    }
    list_remove(&slice->in_use);
    list_append(&cache->in_use, &slice->in_use);
    *result = slice;
    return 0;
}

void qcow2_cache_put(Qcow2Cache *cache, Qcow2Slice *slice)
{
    if (slice && --slice->users == 0 && slice->error) {
        slice_free(cache, slice);
    }
}

void qcow2_cache_changed(Qcow2Cache *cache, Qcow2Slice *slice)
{
    if (!slice->dirty) {
        slice->dirty = true;
        slice->users++;
        vec_push(&cache->dirty, slice);
    }
}

void qcow2_cache_forget(Qcow2Cache *cache, uint64_t offset, uint64_t bytes)
{
    for (uint64_t at = offset; at < offset + bytes; at += cache->slice_bytes) {
        Qcow2Slice *slice = qcow2_cache_find(cache, at);
        if (slice && slice->users == 0) {
            slice_free(cache, slice);
        } else if (slice) { /* a damaged image has it in two places: it goes with its last user */
            take_out(cache, slice);
            slice->error = EIO;
        }
    }
}
