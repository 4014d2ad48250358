/*
 * Where the disk's bytes are: the L1 table, which is in memory, and the L2 tables, which are read as they are needed.
 * Every entry is checked before it is followed.
 */
#include "block/qcow2/qcow2.h"

#include "base/bytes.h"
#include "base/error.h"

#include <errno.h>

bool qcow2_load_l1(BlockNode *node, Error **error)
{
    Qcow2 *qcow2 = node->state;
    const Qcow2Header *header = &qcow2->header;
    uint64_t bytes = header->l1_entries * sizeof(uint64_t), size = block_node_size(node->file->node);
    if (bytes && (header->l1_offset > size || bytes > size - header->l1_offset)) {
        return error_set(error, "Active L1 table lies outside the file");
    }
    qcow2->l1 = mem_alloc(MAX(bytes, 1));
    int number = block_read(node->file, header->l1_offset, qcow2->l1, bytes);
    for (uint32_t i = 0; i < header->l1_entries && !number; i++) {
        qcow2->l1[i] = load_be64(&qcow2->l1[i]);
    }
    return number == 0 || error_set_errno(error, number, "Could not read L1 table");
}

/* An L2 entry of a piece of a table. */
typedef struct Entry {
    uint64_t descriptor, subclusters;
} Entry;

static Entry load_entry(const Qcow2 *qcow2, const Qcow2Slice *slice, uint64_t index)
{
    const uint8_t *at = slice->bytes + ((index << qcow2->entry_bits) & (qcow2->tables.slice_bytes - 1));
    return (Entry){ load_be64(at), qcow2->entry_bits == 4 ? load_be64(at + 8) : 0 };
}

/* A whole compressed cluster: its stream reaches to the end of the last of its sectors. */
static int find_stream(const Qcow2 *qcow2, uint64_t descriptor, Qcow2Extent *extent)
{
    unsigned bits = 62 - (qcow2->header.cluster_bits - 8);
    uint64_t sectors = bits_extract(descriptor, bits, 62 - bits) + 1, offset = descriptor & mask_bits(bits);
    if (qcow2_has(qcow2, QCOW2_EXTERNAL_DATA) || offset >= BIT(56)) {
        return EIO;
    }
    *extent = (Qcow2Extent){ .kind = QCOW2_COMPRESSED, .bytes = qcow2->cluster_bytes, .offset = offset,
                             .stream_bytes = sectors * BLOCK_SECTOR - offset % BLOCK_SECTOR };
    return 0;
}

static bool is_allocated(const Qcow2 *qcow2, const Entry *entry)
{
    return entry->descriptor & QCOW2_OFFSET ||
           (qcow2_has(qcow2, QCOW2_EXTERNAL_DATA) && entry->descriptor & QCOW2_COPIED);
}

static int find_subcluster(const Qcow2 *qcow2, const Entry *entry, unsigned subcluster, Qcow2Kind *kind)
{
    bool data = entry->subclusters >> subcluster & 1, zero = entry->subclusters >> (subcluster + 32) & 1;
    if ((data && zero) || (data && !is_allocated(qcow2, entry))) {
        return EIO;
    }
    *kind = data ? QCOW2_DATA : zero ? QCOW2_ZERO : QCOW2_UNALLOCATED;
    return 0;
}

static int find_cluster(const Qcow2 *qcow2, const Entry *entry, unsigned subcluster, Qcow2Kind *kind)
{
    if (qcow2_has(qcow2, QCOW2_EXTENDED_L2)) {
        return find_subcluster(qcow2, entry, subcluster, kind);
    }
    if (entry->descriptor & QCOW2_ZERO_FLAG) {
        *kind = QCOW2_ZERO;
        return qcow2->header.version >= 3 ? 0 : EIO;
    }
    *kind = is_allocated(qcow2, entry) ? QCOW2_DATA : QCOW2_UNALLOCATED;
    return 0;
}

/* What is at `offset`, up to the end of its subcluster; of a compressed cluster all. */
static int find_one(const Qcow2 *qcow2, const Entry *entry, uint64_t offset, Qcow2Extent *extent)
{
    uint64_t within = offset & (qcow2->cluster_bytes - 1), place = entry->descriptor & QCOW2_OFFSET;
    if (entry->descriptor & QCOW2_COMPRESSED_FLAG) {
        return find_stream(qcow2, entry->descriptor, extent);
    }
    uint64_t part = BIT(qcow2->subcluster_bits);
    *extent = (Qcow2Extent){ .bytes = part - (within & (part - 1)), .offset = place + within };
    int error = find_cluster(qcow2, entry, within >> qcow2->subcluster_bits, &extent->kind);
    bool fits = place % qcow2->cluster_bytes == 0 &&
                (!qcow2_has(qcow2, QCOW2_EXTERNAL_DATA) || extent->kind != QCOW2_DATA || place == offset - within);
    return error ? error : fits ? 0 : EIO;
}

static bool joins(const Qcow2Extent *extent, const Qcow2Extent *next)
{
    return extent->kind == next->kind && extent->kind != QCOW2_COMPRESSED &&
           (extent->kind != QCOW2_DATA || extent->offset + extent->bytes == next->offset);
}

/* From `offset` on as far as the slice goes. */
static int find_in_slice(const Qcow2 *qcow2, const Qcow2Slice *slice, uint64_t offset, uint64_t bytes,
                         Qcow2Extent *extent)
{
    uint64_t slice_mask = (qcow2->tables.slice_bytes >> qcow2->entry_bits) - 1;
    uint64_t index = offset >> qcow2->header.cluster_bits;
    Entry entry = load_entry(qcow2, slice, index);
    int error = find_one(qcow2, &entry, offset, extent);
    while (!error && extent->kind != QCOW2_COMPRESSED && extent->bytes < bytes) {
        uint64_t at = offset + extent->bytes, next_index = at >> qcow2->header.cluster_bits;
        Qcow2Extent next;
        if ((next_index & ~slice_mask) != (index & ~slice_mask)) {
            break;
        }
        entry = load_entry(qcow2, slice, next_index);
        if (find_one(qcow2, &entry, at, &next) != 0 || !joins(extent, &next)) { /* an error is for whoever reads that */
            break;
        }
        extent->bytes += next.bytes;
    }
    return error;
}

static int find_locked(BlockNode *node, BlockTask *self, uint64_t offset, uint64_t bytes, Qcow2Extent *extent)
{
    Qcow2 *qcow2 = node->state;
    unsigned shift = qcow2->table_bits + qcow2->header.cluster_bits;
    uint64_t l1 = offset >> shift < qcow2->header.l1_entries ? qcow2->l1[offset >> shift] : 0;
    uint64_t table = l1 & QCOW2_OFFSET, index = (offset & mask_bits(shift)) >> qcow2->header.cluster_bits;
    if (table == 0) {
        *extent = (Qcow2Extent){ .kind = QCOW2_UNALLOCATED, .bytes = BIT(shift) - (offset & mask_bits(shift)) };
        return 0;
    }
    if (table % qcow2->cluster_bytes) {
        return EIO;
    }
    Qcow2Slice *slice = NULL;
    uint64_t place = align_down(index << qcow2->entry_bits, qcow2->tables.slice_bytes);
    int error = qcow2_cache_get(&qcow2->tables, &qcow2->lock, self, table + place, &slice);
    if (!error) {
        error = find_in_slice(qcow2, slice, offset, bytes, extent);
        qcow2_cache_put(&qcow2->tables, slice);
    }
    return error;
}

int qcow2_find(BlockNode *node, uint64_t offset, uint64_t bytes, Qcow2Extent *extent)
{
    Qcow2 *qcow2 = node->state;
    BlockTask *self = block_task_self(block_graph_runtime(node->graph));
    task_lock(&qcow2->lock, self);
    int error = find_locked(node, self, offset, bytes, extent);
    task_unlock(&qcow2->lock);
    if (!error && extent->kind == QCOW2_COMPRESSED) {
        extent->bytes -= offset & (qcow2->cluster_bytes - 1);
    }
    extent->bytes = error ? 0 : MIN(extent->bytes, bytes);
    return error;
}
