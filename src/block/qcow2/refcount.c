/*
 * Reference counts of clusters: taking free ones, changing counts, growing the table of counts.
 *
 * A new block of counts lies in the region that it counts, or where its counts are already there, so that nothing has
 * to be counted twice. Counts that grow are in the file before what they count is referred to (flush.c).
 */
#include "block/qcow2/qcow2.h"

#include "base/bytes.h"
#include "base/error.h"
#include "schema/block.h"
#include "trace/block.h"

#include <errno.h>
#include <inttypes.h>

/* Counts in a block */

uint64_t qcow2_refcount_in(const uint8_t *block, unsigned order, uint64_t index)
{
    switch (order) {
    case 3:
        return block[index];
    case 4:
        return load_be16(block + index * 2);
    case 5:
        return load_be32(block + index * 4);
    case 6:
        return load_be64(block + index * 8);
    default:
        return bits_extract(block[index >> (3 - order)], (unsigned)(index & mask_bits(3 - order)) << order,
                            1u << order);
    }
}

void qcow2_set_refcount_in(uint8_t *block, unsigned order, uint64_t index, uint64_t value)
{
    switch (order) {
    case 3:
        block[index] = (uint8_t)value;
        return;
    case 4:
        store_be16(block + index * 2, (uint16_t)value);
        return;
    case 5:
        store_be32(block + index * 4, (uint32_t)value);
        return;
    case 6:
        store_be64(block + index * 8, value);
        return;
    default: {
        uint8_t *byte = &block[index >> (3 - order)];
        *byte = (uint8_t)bits_deposit(*byte, (unsigned)(index & mask_bits(3 - order)) << order, 1u << order, value);
    }
    }
}

/* The table */

bool qcow2_load_refcount_table(BlockNode *node, Error **error)
{
    Qcow2 *qcow2 = node->state;
    const Qcow2Header *header = &qcow2->header;
    uint64_t bytes = (uint64_t)header->refcount_table_clusters << header->cluster_bits;
    qcow2->refcount_entries = (uint32_t)(bytes / sizeof(uint64_t));
    qcow2->refcount_table = mem_alloc(bytes);
    int number = block_read(node->file, header->refcount_table_offset, qcow2->refcount_table, bytes);
    for (uint32_t i = 0; i < qcow2->refcount_entries && !number; i++) {
        qcow2->refcount_table[i] = load_be64(&qcow2->refcount_table[i]) & ~mask_bits(9);
    }
    return number == 0 || error_set_errno(error, number, "Could not read reference count table");
}

static uint64_t maximum_refcount(const Qcow2 *qcow2) { return mask_bits(1u << qcow2->header.refcount_order); }

/* The slice with the count of a cluster, and its index there. NULL: there is no block, the count is 0. */
static int get_counts(BlockNode *node, BlockTask *self, uint64_t cluster, Qcow2Slice **slice, uint64_t *index)
{
    Qcow2 *qcow2 = node->state;
    uint64_t block = cluster >> qcow2->block_bits;
    *slice = NULL;
    if (block >= qcow2->refcount_entries || !qcow2->refcount_table[block]) {
        return 0;
    }
    if (qcow2->refcount_table[block] & (qcow2->cluster_bytes - 1)) {
        return qcow2_corrupt(node, 0, 0, "the refcount block at 0x%" PRIx64 " is not at a cluster's beginning",
                             qcow2->refcount_table[block]);
    }
    uint64_t bits = (cluster & mask_bits(qcow2->block_bits)) << qcow2->header.refcount_order;
    uint64_t place = align_down(bits / 8, qcow2->blocks.slice_bytes);
    *index = (bits - place * 8) >> qcow2->header.refcount_order;
    return qcow2_cache_get(&qcow2->blocks, &qcow2->lock, self, qcow2->refcount_table[block] + place, slice);
}

int qcow2_get_refcount(BlockNode *node, BlockTask *self, uint64_t cluster, uint64_t *refcount)
{
    Qcow2 *qcow2 = node->state;
    Qcow2Slice *slice;
    uint64_t index;
    int error = get_counts(node, self, cluster, &slice, &index);
    *refcount = !error && slice ? qcow2_refcount_in(slice->bytes, qcow2->header.refcount_order, index) : 0;
    qcow2_cache_put(&qcow2->blocks, error ? NULL : slice);
    return error;
}

static int set_refcount(BlockNode *node, BlockTask *self, uint64_t cluster, uint64_t refcount)
{
    Qcow2 *qcow2 = node->state;
    Qcow2Slice *slice;
    uint64_t index;
    int error = get_counts(node, self, cluster, &slice, &index);
    if (error || !slice) {
        return error ? error : EIO;
    }
    qcow2_set_refcount_in(slice->bytes, qcow2->header.refcount_order, index, refcount);
    qcow2_cache_changed(&qcow2->blocks, slice);
    qcow2_cache_put(&qcow2->blocks, slice);
    return 0;
}

static void note_used(Qcow2 *qcow2, uint64_t cluster, uint64_t count)
{
    qcow2->fresh_from = MAX(qcow2->fresh_from, (cluster + count) << qcow2->header.cluster_bits);
}

/* Growing the table */

typedef struct Growth {
    uint64_t region;  /* the first that the table does not have */
    uint64_t blocks;  /* new blocks of counts, at the beginning of that region */
    uint64_t entries; /* of the new table, which follows them */
    uint64_t table_clusters;
} Growth;

static bool plan_growth(const Qcow2 *qcow2, uint64_t wanted, Growth *growth)
{
    uint64_t per_cluster = qcow2->cluster_bytes / sizeof(uint64_t);
    growth->region = qcow2->refcount_entries;
    growth->blocks = 1;
    for (;;) {
        uint64_t entries = MAX(wanted, growth->region + growth->blocks);
        growth->table_clusters = (entries + entries / 2 + per_cluster - 1) / per_cluster;
        growth->entries = growth->table_clusters * per_cluster;
        uint64_t needed = (growth->blocks + growth->table_clusters + mask_bits(qcow2->block_bits)) >> qcow2->block_bits;
        if (needed <= growth->blocks) {
            return growth->entries * sizeof(uint64_t) <= QCOW2_MAXIMUM_REFCOUNT_TABLE_BYTES;
        }
        growth->blocks = needed;
    }
}

static int write_grown(BlockNode *node, const Growth *growth, uint64_t *table)
{
    Qcow2 *qcow2 = node->state;
    uint64_t used = growth->blocks + growth->table_clusters, start = growth->region << qcow2->block_bits;
    uint64_t bytes = used << qcow2->header.cluster_bits;
    AUTO_FREE uint8_t *buffer = block_buffer(node->file->node, bytes);
    if (!buffer) {
        return ENOMEM;
    }
    memset(buffer, 0, bytes);
    for (uint64_t i = 0; i < used; i++) { /* the blocks follow each other, so one index does for all */
        uint64_t block = i >> qcow2->block_bits;
        qcow2_set_refcount_in(buffer + (block << qcow2->header.cluster_bits), qcow2->header.refcount_order,
                              i & mask_bits(qcow2->block_bits), 1);
    }
    for (uint64_t i = 0; i < growth->blocks; i++) {
        table[growth->region + i] = (start + i) << qcow2->header.cluster_bits;
    }
    uint8_t *at = buffer + (growth->blocks << qcow2->header.cluster_bits);
    for (uint64_t i = 0; i < growth->entries; i++) {
        store_be64(at + i * sizeof(uint64_t), table[i]);
    }
    return block_write(node->file, start << qcow2->header.cluster_bits, buffer, bytes, 0);
}

static void take_grown(BlockNode *node, const Growth *growth, uint64_t *table)
{
    Qcow2 *qcow2 = node->state;
    Qcow2Header *header = &qcow2->header;
    uint64_t old_offset = header->refcount_table_offset,
             old_bytes = (uint64_t)header->refcount_table_clusters << header->cluster_bits;
    uint64_t start = growth->region << qcow2->block_bits, used = growth->blocks + growth->table_clusters;
    header->refcount_table_offset = (start + growth->blocks) << header->cluster_bits;
    header->refcount_table_clusters = (uint32_t)growth->table_clusters;
    free(qcow2->refcount_table);
    qcow2->refcount_table = table;
    qcow2->refcount_entries = (uint32_t)growth->entries;
    qcow2->refcount_changes.count = 0;
    qcow2_note_table(qcow2, QCOW2_TABLE_REFCOUNTS, start << header->cluster_bits, used << header->cluster_bits);
    for (uint64_t i = 0; i < old_bytes >> header->cluster_bits; i++) {
        qcow2_set_remove(&qcow2->metadata, (old_offset >> header->cluster_bits) + i);
    }
    note_used(qcow2, start, used);
    qcow2_free(qcow2, old_offset, old_bytes, QCOW2_FREE_OTHER);
}

/* The new table has all blocks that there are, so what they hold has to be in the file before it. */
static int grow_table(BlockNode *node, uint64_t wanted)
{
    Qcow2 *qcow2 = node->state;
    Growth growth;
    if (!plan_growth(qcow2, wanted, &growth)) {
        return EFBIG;
    }
    uint64_t *table = mem_alloc_array(growth.entries, sizeof *table);
    memcpy(table, qcow2->refcount_table, qcow2->refcount_entries * sizeof *table);
    int error = write_grown(node, &growth, table);
    error = error ? error : qcow2_write_dirty(&qcow2->blocks);
    error = error ? error : block_flush(node->file);
    if (error) {
        free(table);
        return error;
    }
    take_grown(node, &growth, table);
    error = qcow2_header_write(node);
    return error ? error : block_flush(node->file);
}

/* A block for a region, placed at a free cluster: whose own count is in the new block, or in one that there is. */
static int make_block(BlockNode *node, BlockTask *self, uint64_t region, uint64_t cluster)
{
    Qcow2 *qcow2 = node->state;
    uint64_t offset = cluster << qcow2->header.cluster_bits;
    if (region >= qcow2->refcount_entries) {
        return grow_table(node, region + 1);
    }
    if (qcow2_set_has(&qcow2->metadata, cluster)) {
        return qcow2_corrupt(node, offset, qcow2->cluster_bytes, "the table at 0x%" PRIx64 " is not counted", offset);
    }
    int error = block_write_zeroes(node->file, offset, qcow2->cluster_bytes, 0);
    if (error) {
        return error;
    }
    qcow2_cache_forget(&qcow2->blocks, offset, qcow2->cluster_bytes);
    qcow2->refcount_table[region] = offset;
    vec_push(&qcow2->refcount_changes, (Qcow2Change){ (uint32_t)region, offset });
    qcow2_note_table(qcow2, QCOW2_TABLE_BLOCKS, offset, 1);
    note_used(qcow2, cluster, 1);
    return set_refcount(node, self, cluster, 1);
}

/* Taking clusters */

static bool has_block(const Qcow2 *qcow2, uint64_t cluster)
{
    uint64_t region = cluster >> qcow2->block_bits;
    return region < qcow2->refcount_entries && qcow2->refcount_table[region];
}

/* How many free clusters there are from `from` on, at most `limit`, in its slice. */
static int count_free(BlockNode *node, BlockTask *self, uint64_t from, uint64_t limit, uint64_t *count,
                      bool *free_first)
{
    Qcow2 *qcow2 = node->state;
    unsigned order = qcow2->header.refcount_order;
    Qcow2Slice *slice;
    uint64_t index;
    int error = get_counts(node, self, from, &slice, &index);
    if (error) {
        return error;
    }
    uint64_t end = MIN(((uint64_t)qcow2->blocks.slice_bytes * 8) >> order, index + limit);
    *free_first = qcow2_refcount_in(slice->bytes, order, index) == 0;
    uint64_t at = index;
    while (at < end && (qcow2_refcount_in(slice->bytes, order, at) == 0) == *free_first) {
        at++;
    }
    *count = at - index;
    qcow2_cache_put(&qcow2->blocks, slice);
    return 0;
}

/* A run of free clusters whose blocks are there. */
static int find_run(BlockNode *node, BlockTask *self, uint64_t wanted, bool exact, uint64_t *first, uint64_t *count)
{
    Qcow2 *qcow2 = node->state;
    uint64_t at = qcow2->free_hint, part;
    bool is_free, lowest = true;
    *count = 0;
    *first = at;
    while (*count < wanted) {
        if (at >= BIT(56) >> qcow2->header.cluster_bits) {
            return EFBIG;
        }
        if (!has_block(qcow2, at)) {
            if (*count && !exact) {
                return 0;
            }
            int error = make_block(node, self, at >> qcow2->block_bits, *count ? *first : at);
            if (error) {
                return error;
            }
            /* What was found keeps its other clusters; without any, the search goes on behind the block. */
            if (*count) {
                ++*first;
                --*count;
            }
            continue;
        }
        int error = count_free(node, self, at, wanted - *count, &part, &is_free);
        if (error) {
            return error;
        }
        if (is_free) {
            *first = *count ? *first : at;
            *count += part;
            lowest = false;
        } else if (*count && !exact) {
            return 0;
        } else {
            *count = 0;
        }
        at += part;
        qcow2->free_hint = lowest ? at : qcow2->free_hint;
    }
    return 0;
}

int qcow2_allocate(BlockNode *node, BlockTask *self, uint64_t wanted, bool exact, uint64_t *offset, uint64_t *count)
{
    Qcow2 *qcow2 = node->state;
    uint64_t first;
    block_debug_event(node->file, BLKDEBUG_EVENT_CLUSTER_ALLOC);
    int error = find_run(node, self, wanted, exact, &first, count);
    for (uint64_t i = 0; i < *count && !error; i++) {
        if (qcow2_set_has(&qcow2->metadata, first + i)) {
            uint64_t offset = (first + i) << qcow2->header.cluster_bits;
            error = qcow2_corrupt(node, offset, qcow2->cluster_bytes, "the table at 0x%" PRIx64 " is not counted",
                                  offset);
        }
    }
    for (uint64_t i = 0; i < *count && !error; i++) {
        error = set_refcount(node, self, first + i, 1);
    }
    if (!error) {
        *offset = first << qcow2->header.cluster_bits;
        trace_qcow2_allocate(block_node_trace(node), node->name, *offset, *count);
        note_used(qcow2, first, *count);
        qcow2->free_hint = qcow2->free_hint == first ? first + *count : qcow2->free_hint;
    }
    return error;
}

/* Goes on in the cluster where the last one ended, and into the next where that is free; else begins a new one. */
int qcow2_allocate_stream(BlockNode *node, BlockTask *self, uint64_t bytes, uint64_t *offset)
{
    Qcow2 *qcow2 = node->state;
    uint64_t at = qcow2->stream_at, left = -at & (qcow2->cluster_bytes - 1), refcount = 0, place = 0, count;
    int error = at && left ? qcow2_get_refcount(node, self, at >> qcow2->header.cluster_bits, &refcount) : 0;
    bool joins = !error && at && left && refcount > 0 && refcount < maximum_refcount(qcow2);
    if (!error && (!joins || left < bytes)) {
        error = qcow2_allocate(node, self, 1, true, &place, &count);
        joins = joins && place == at + left;
    }
    if (!error && joins) {
        error = qcow2_change_refcounts(node, self, at, 1, 1);
    }
    *offset = joins ? at : place;
    qcow2->stream_at = error ? 0 : *offset + bytes;
    return error;
}

/* Changing counts */

static void forget_cluster(Qcow2 *qcow2, uint64_t cluster)
{
    uint64_t offset = cluster << qcow2->header.cluster_bits;
    qcow2->free_hint = MIN(qcow2->free_hint, cluster);
    if (qcow2->stream_at && (qcow2->stream_at - 1) >> qcow2->header.cluster_bits == cluster) {
        qcow2->stream_at = 0;
    }
    qcow2_cache_forget(&qcow2->tables, offset, qcow2->cluster_bytes);
    qcow2_cache_forget(&qcow2->blocks, offset, qcow2->cluster_bytes);
}

static int change_refcount(BlockNode *node, BlockTask *self, uint64_t cluster, int change)
{
    Qcow2 *qcow2 = node->state;
    uint64_t refcount;
    int error = has_block(qcow2, cluster) || change < 0 ? 0 : EIO;
    error = error ? error : qcow2_get_refcount(node, self, cluster, &refcount);
    if (error) {
        return error;
    }
    if (change < 0 && refcount == 0) {
        uint64_t offset = cluster << qcow2->header.cluster_bits;
        return qcow2_corrupt(node, offset, qcow2->cluster_bytes,
                             "the cluster at 0x%" PRIx64 " is in use and not counted", offset);
    }
    if (change > 0 && refcount == maximum_refcount(qcow2)) {
        return ERANGE;
    }
    error = set_refcount(node, self, cluster, refcount + (uint64_t)(int64_t)change);
    if (!error && change < 0 && refcount == 1) {
        forget_cluster(qcow2, cluster);
    }
    return error;
}

int qcow2_change_refcounts(BlockNode *node, BlockTask *self, uint64_t offset, uint64_t bytes, int change)
{
    const Qcow2 *qcow2 = node->state;
    uint64_t last = (offset + bytes - 1) >> qcow2->header.cluster_bits;
    int error = 0;
    for (uint64_t cluster = offset >> qcow2->header.cluster_bits; bytes && cluster <= last; cluster++) {
        int one = change_refcount(node, self, cluster, change);
        error = error ? error : one;
    }
    return error;
}
