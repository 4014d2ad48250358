/*
 * Pieces of tables in memory: found by their place in the file, the least recently used one gives way. A piece that is
 * being read is there already, and whoever else wants it waits. Those around one that is wanted are read with it where
 * nothing has to give way: one read of 64 KiB costs little more than one of 4 KiB, and saves fifteen.
 */
#include "block/qcow2/qcow2.h"

#include "base/compiler.h"
#include "schema/block.h"

#include <errno.h>

enum { AHEAD = 16 };

void qcow2_cache_init(Qcow2Cache *cache, BlockEdge *file, size_t slice_bytes, size_t cluster_bytes, uint64_t bytes)
{
    *cache = (Qcow2Cache){ .file = file, .slice_bytes = slice_bytes, .limit = MAX(bytes / slice_bytes, 2),
                           .ahead = MIN(AHEAD * slice_bytes, cluster_bytes) };
    cache->bucket_count = 64;
    while (cache->bucket_count < cache->limit) {
        cache->bucket_count *= 2;
    }
    cache->buckets = mem_alloc_array(cache->bucket_count, sizeof *cache->buckets);
    list_init(&cache->in_use);
}

static Qcow2Slice **bucket_of(const Qcow2Cache *cache, uint64_t offset)
{
    uint64_t hash = (offset >> QCOW2_MINIMUM_CLUSTER_BITS) * UINT64_C(0x9e3779b97f4a7c15);
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

/* A slice that is read, and its neighbours in the same cluster that are read with it. */
typedef struct Load {
    Qcow2Slice *wanted, *slices[AHEAD]; /* the wanted one among them, in the order of the file */
    unsigned count;
} Load;

static void load_begin(Qcow2Cache *cache, uint64_t offset, Load *load)
{
    size_t size = cache->slice_bytes, most = cache->limit > cache->slices ? cache->limit - cache->slices : 1;
    uint64_t start = offset, end = offset + size, low = align_down(offset, cache->ahead), high = low + cache->ahead;
    while (end < high && (end - start) / size < most && !qcow2_cache_find(cache, end)) {
        end += size;
    }
    while (start > low && (end - start) / size < most && !qcow2_cache_find(cache, start - size)) {
        start -= size;
    }
    load->count = 0;
    for (uint64_t at = start; at < end; at += size) {
        Qcow2Slice *slice = add(cache, at);
        slice->loading = true;
        slice->users++;
        load->slices[load->count++] = slice;
        load->wanted = at == offset ? slice : load->wanted;
    }
}

static int read_slices(const Qcow2Cache *cache, Qcow2Slice *const *slices, unsigned count)
{
    struct iovec pieces[AHEAD];
    for (unsigned i = 0; i < count; i++) {
        pieces[i] = (struct iovec){ slices[i]->bytes, cache->slice_bytes };
        if (!slices[i]->bytes) {
            return ENOMEM;
        }
    }
    return block_readv(cache->file, slices[0]->offset, count * cache->slice_bytes, (BlockVectors){ pieces, count, 0 });
}

/* What was forgotten meanwhile keeps its error; so do the neighbours where all of them could not be read. */
static void load_end(Qcow2Cache *cache, Load *load, int all, int wanted)
{
    for (unsigned i = 0; i < load->count; i++) {
        Qcow2Slice *slice = load->slices[i];
        int error = slice == load->wanted ? wanted : all;
        slice->loading = false;
        slice->error = slice->error ? slice->error : error;
        if (slice != load->wanted) {
            qcow2_cache_put(cache, slice);
        }
    }
    task_queue_wake(&cache->changed);
}

static Qcow2Slice *load(Qcow2Cache *cache, TaskLock *lock, BlockTask *self, uint64_t offset)
{
    Load load = { 0 };
    load_begin(cache, offset, &load);
    if (cache->opens_lock) {
        task_unlock(lock);
    }
    block_debug_event(cache->file, cache->opens_lock ? BLKDEBUG_EVENT_L2_LOAD : BLKDEBUG_EVENT_REFBLOCK_LOAD);
    int all = read_slices(cache, load.slices, load.count);
    int wanted = all && load.count > 1 ? read_slices(cache, &load.wanted, 1) : all;
    if (cache->opens_lock) {
        task_lock(lock, self);
    }
    load_end(cache, &load, all, wanted);
    return load.wanted;
}

int qcow2_cache_get(Qcow2Cache *cache, TaskLock *lock, BlockTask *self, uint64_t offset, Qcow2Slice **result)
{
    if (offset > INT64_MAX - cache->ahead) { /* no file is as large */
        return EIO;
    }
    Qcow2Slice *slice = qcow2_cache_find(cache, offset);
    if (slice) {
        slice->users++;
    } else {
        slice = load(cache, lock, self, offset);
    }
    while (slice->loading) {
        task_queue_wait(&cache->changed, lock, self);
    }
    int error = slice->error;
    if (error) { /* it goes with its last user, and the next one tries again */
        qcow2_cache_put(cache, slice);
        return error;
    }
    slice->used = true;
    list_remove(&slice->in_use);
    list_append(&cache->in_use, &slice->in_use);
    *result = slice;
    return 0;
}

void qcow2_cache_clean(Qcow2Cache *cache)
{
    LIST_FOREACH_SAFE(&cache->in_use, slice, Qcow2Slice, in_use)
    {
        if (!slice->used && slice->users == 0) {
            slice_free(cache, slice);
        } else {
            slice->used = false;
        }
    }
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
