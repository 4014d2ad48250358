/*
 * Where the disk's bytes are: the L1 table, which is in memory, and the L2 tables, which are read as they are needed.
 * Every entry is checked before it is followed.
 */
#include "block/qcow2/qcow2.h"

#include "base/bytes.h"
#include "base/error.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>

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
    if (number) {
        free(qcow2->l1);
        qcow2->l1 = NULL;
        return error_set_errno(error, number, "Could not read L1 table");
    }
    return true;
}

bool qcow2_has_tables(const Qcow2 *qcow2, Error **error)
{
    return qcow2->l1 || error_set_errno(error, EIO, "the image's tables could not be read again");
}

bool qcow2_may_change(const Qcow2 *qcow2, Error **error)
{
    return qcow2_has_tables(qcow2, error) &&
           (!qcow2_has(qcow2, QCOW2_CORRUPT) ||
            error_set_errno(error, EIO, "the image is corrupt: it can only be read"));
}

/* Entries */

static size_t place_in_slice(const Qcow2 *qcow2, uint64_t offset)
{
    return (offset >> qcow2->header.cluster_bits << qcow2->entry_bits) & (qcow2->tables.slice_bytes - 1);
}

Qcow2Entry qcow2_load_entry(const Qcow2 *qcow2, const Qcow2Slice *slice, uint64_t offset)
{
    const uint8_t *at = slice->bytes + place_in_slice(qcow2, offset);
    return (Qcow2Entry){ load_be64(at), qcow2->entry_bits == 4 ? load_be64(at + 8) : 0 };
}

void qcow2_store_entry(Qcow2 *qcow2, Qcow2Slice *slice, uint64_t offset, Qcow2Entry entry)
{
    uint8_t *at = slice->bytes + place_in_slice(qcow2, offset);
    store_be64(at, entry.descriptor);
    if (qcow2->entry_bits == 4) {
        store_be64(at + 8, entry.subclusters);
    }
    qcow2_cache_changed(&qcow2->tables, slice);
}

uint64_t qcow2_slice_end(const Qcow2 *qcow2, uint64_t offset)
{
    uint64_t bytes = (qcow2->tables.slice_bytes >> qcow2->entry_bits) << qcow2->header.cluster_bits;
    return align_down(offset, bytes) + bytes;
}

bool qcow2_is_allocated(const Qcow2 *qcow2, const Qcow2Entry *entry)
{
    return !(entry->descriptor & QCOW2_COMPRESSED_FLAG) &&
           (entry->descriptor & QCOW2_OFFSET ||
            (qcow2_has(qcow2, QCOW2_EXTERNAL_DATA) && entry->descriptor & QCOW2_COPIED));
}

void qcow2_stream_of(const Qcow2 *qcow2, uint64_t descriptor, uint64_t *offset, uint64_t *bytes)
{
    unsigned bits = 62 - (qcow2->header.cluster_bits - 8);
    *offset = descriptor & mask_bits(bits);
    *bytes = (bits_extract(descriptor, bits, 62 - bits) + 1) * BLOCK_SECTOR - *offset % BLOCK_SECTOR;
}

static int find_stream(const Qcow2 *qcow2, uint64_t descriptor, uint64_t within, Qcow2Extent *extent)
{
    *extent = (Qcow2Extent){ .kind = QCOW2_COMPRESSED, .bytes = qcow2->cluster_bytes - within };
    qcow2_stream_of(qcow2, descriptor, &extent->offset, &extent->stream_bytes);
    return qcow2_has(qcow2, QCOW2_EXTERNAL_DATA) || extent->offset >= BIT(56) ? EIO : 0;
}

static int find_subcluster(const Qcow2 *qcow2, const Qcow2Entry *entry, unsigned subcluster, Qcow2Kind *kind)
{
    bool data = entry->subclusters >> subcluster & 1, zero = entry->subclusters >> (subcluster + 32) & 1;
    if ((data && zero) || (data && !qcow2_is_allocated(qcow2, entry))) {
        return EIO;
    }
    *kind = data ? QCOW2_DATA : zero ? QCOW2_ZERO : QCOW2_UNALLOCATED;
    return 0;
}

static int find_kind(const Qcow2 *qcow2, const Qcow2Entry *entry, unsigned subcluster, Qcow2Kind *kind)
{
    if (qcow2_has(qcow2, QCOW2_EXTENDED_L2)) {
        return find_subcluster(qcow2, entry, subcluster, kind);
    }
    if (entry->descriptor & QCOW2_ZERO_FLAG) {
        *kind = QCOW2_ZERO;
        return qcow2->header.version >= 3 ? 0 : EIO;
    }
    *kind = qcow2_is_allocated(qcow2, entry) ? QCOW2_DATA : QCOW2_UNALLOCATED;
    return 0;
}

/* What is at `offset`, up to the end of its subcluster; of a compressed cluster all that is left. */
int qcow2_find_entry(const Qcow2 *qcow2, const Qcow2Entry *entry, uint64_t offset, Qcow2Extent *extent)
{
    uint64_t within = offset & (qcow2->cluster_bytes - 1), place = entry->descriptor & QCOW2_OFFSET;
    if (entry->descriptor & QCOW2_COMPRESSED_FLAG) {
        return find_stream(qcow2, entry->descriptor, within, extent);
    }
    uint64_t part = BIT(qcow2->subcluster_bits);
    *extent = (Qcow2Extent){ .bytes = part - (within & (part - 1)), .offset = place + within,
                             .copied = entry->descriptor & QCOW2_COPIED,
                             .placed = qcow2_is_allocated(qcow2, entry) };
    int error = find_kind(qcow2, entry, within >> qcow2->subcluster_bits, &extent->kind);
    bool fits = (place & (qcow2->cluster_bytes - 1)) == 0 && (!qcow2_has(qcow2, QCOW2_EXTERNAL_DATA) ||
                                                      extent->kind != QCOW2_DATA || place == offset - within);
    return error ? error : fits ? 0 : EIO;
}

static bool joins(const Qcow2Extent *extent, const Qcow2Extent *next)
{
    return extent->kind == next->kind && extent->kind != QCOW2_COMPRESSED && extent->placed == next->placed &&
           (!extent->placed || extent->offset + extent->bytes == next->offset) &&
           (extent->kind != QCOW2_DATA || extent->copied == next->copied);
}

int qcow2_find_in_slice(const Qcow2 *qcow2, const Qcow2Slice *slice, uint64_t offset, uint64_t bytes,
                        Qcow2Extent *extent)
{
    Qcow2Entry entry = qcow2_load_entry(qcow2, slice, offset);
    uint64_t end = MIN(offset + bytes, qcow2_slice_end(qcow2, offset));
    int error = qcow2_find_entry(qcow2, &entry, offset, extent);
    while (!error && offset + extent->bytes < end) {
        Qcow2Extent next;
        entry = qcow2_load_entry(qcow2, slice, offset + extent->bytes);
        if (qcow2_find_entry(qcow2, &entry, offset + extent->bytes, &next) != 0 || !joins(extent, &next)) {
            break; /* an error is for whoever reads that */
        }
        extent->bytes += next.bytes;
    }
    extent->bytes = error ? 0 : MIN(extent->bytes, bytes);
    return error;
}

/* Tables */

static uint64_t l1_shift(const Qcow2 *qcow2) { return qcow2->table_bits + qcow2->header.cluster_bits; }

static uint64_t l1_entry(const Qcow2 *qcow2, uint64_t offset)
{
    uint64_t index = offset >> l1_shift(qcow2);
    return index < qcow2->header.l1_entries ? qcow2->l1[index] : 0;
}

/* Where the slice is in the file that has the entry of `offset`. */
static uint64_t slice_place(const Qcow2 *qcow2, uint64_t table, uint64_t offset)
{
    uint64_t index = (offset & mask_bits(l1_shift(qcow2))) >> qcow2->header.cluster_bits;
    return table + align_down(index << qcow2->entry_bits, qcow2->tables.slice_bytes);
}

int qcow2_get_slice(BlockNode *node, BlockTask *self, uint64_t offset, Qcow2Slice **slice)
{
    Qcow2 *qcow2 = node->state;
    *slice = NULL;
    if (!qcow2->l1) {
        return EIO;
    }
    uint64_t table = l1_entry(qcow2, offset) & QCOW2_OFFSET;
    if (table == 0) {
        return 0;
    }
    if (table % qcow2->cluster_bytes) {
        return qcow2_corrupt(node, 0, 0, "the L2 table at 0x%" PRIx64 " is not at a cluster's beginning", table);
    }
    int error = qcow2_cache_get(&qcow2->tables, &qcow2->lock, self, slice_place(qcow2, table, offset), slice);
    if (!error && !node->read_only && !(*slice)->checked) {
        error = qcow2_check_slice(node, *slice);
        if (error) {
            qcow2_cache_put(&qcow2->tables, *slice);
            *slice = NULL;
        }
    }
    return error;
}

/* A table for `offset`, that has what the one before has. It is written at once; what it replaces goes later. */
static int make_table(BlockNode *node, BlockTask *self, uint64_t offset)
{
    Qcow2 *qcow2 = node->state;
    uint64_t index = offset >> l1_shift(qcow2), before = qcow2->l1[index] & QCOW2_OFFSET, place, count;
    AUTO_FREE uint8_t *copy = before ? block_buffer(node->file->node, qcow2->cluster_bytes) : NULL;
    int error = before && !copy ? ENOMEM : before ? block_read(node->file, before, copy, qcow2->cluster_bytes) : 0;
    error = error ? error : qcow2_allocate(node, self, 1, true, &place, &count);
    if (error) {
        return error;
    }
    error = before ? block_write(node->file, place, copy, qcow2->cluster_bytes, 0)
                   : block_write_zeroes(node->file, place, qcow2->cluster_bytes, 0);
    if (error) {
        qcow2_change_refcounts(node, self, place, qcow2->cluster_bytes, -1);
        return error;
    }
    if (before) {
        qcow2_free(qcow2, before, qcow2->cluster_bytes, QCOW2_FREE_OTHER);
        qcow2_set_remove(&qcow2->metadata, before >> qcow2->header.cluster_bits);
    }
    qcow2_cache_forget(&qcow2->tables, place, qcow2->cluster_bytes);
    qcow2_note_table(qcow2, QCOW2_TABLE_L2, place, 1);
    qcow2->l1[index] = place | QCOW2_COPIED;
    vec_push(&qcow2->l1_changes, (Qcow2Change){ (uint32_t)index, qcow2->l1[index] });
    return 0;
}

int qcow2_get_writable_slice(BlockNode *node, BlockTask *self, uint64_t offset, Qcow2Slice **slice)
{
    Qcow2 *qcow2 = node->state;
    uint64_t entry = l1_entry(qcow2, offset);
    *slice = NULL;
    if (offset >> l1_shift(qcow2) >= qcow2->header.l1_entries) {
        return EIO;
    }
    if (!(entry & QCOW2_COPIED) || !(entry & QCOW2_OFFSET)) {
        int error = make_table(node, self, offset);
        if (error) {
            return error;
        }
    }
    return qcow2_get_slice(node, self, offset, slice);
}

/* Finding */

unsigned qcow2_enter(Qcow2 *qcow2)
{
    atomic_fetch_add(&qcow2->in_flight[qcow2->phase], 1);
    return qcow2->phase;
}

void qcow2_leave(BlockNode *node, unsigned token) { atomic_fetch_sub(&((Qcow2 *)node->state)->in_flight[token], 1); }

static void find_nothing(const Qcow2 *qcow2, uint64_t offset, uint64_t bytes, Qcow2Extent *extent)
{
    uint64_t table = BIT(l1_shift(qcow2));
    *extent = (Qcow2Extent){ .kind = QCOW2_UNALLOCATED, .bytes = MIN(bytes, table - (offset & (table - 1))) };
}

int qcow2_find(BlockNode *node, uint64_t offset, uint64_t bytes, Qcow2Extent *extent, unsigned *token)
{
    Qcow2 *qcow2 = node->state;
    BlockTask *self = qcow2_task(node);
    Qcow2Slice *slice;
    task_lock(&qcow2->lock, self);
    *token = qcow2_enter(qcow2);
    int error = qcow2_get_slice(node, self, offset, &slice);
    if (!error && slice) {
        error = qcow2_find_in_slice(qcow2, slice, offset, bytes, extent);
        qcow2_cache_put(&qcow2->tables, slice);
    } else {
        find_nothing(qcow2, offset, bytes, extent);
    }
    task_unlock(&qcow2->lock);
    if (error) {
        extent->bytes = 0;
        qcow2_leave(node, *token);
    }
    return error;
}

/* All of it in one place, as far as is known without reading. */
static bool find_now(const Qcow2 *qcow2, BlockOperation operation, uint64_t offset, uint64_t bytes,
                     Qcow2Extent *extent)
{
    uint64_t table = l1_entry(qcow2, offset) & QCOW2_OFFSET;
    if (table == 0) {
        find_nothing(qcow2, offset, bytes, extent);
        return extent->bytes == bytes;
    }
    Qcow2Slice *slice = qcow2_cache_find(&qcow2->tables, slice_place(qcow2, table, offset));
    if (slice) {
        slice->used = true;
    }
    return slice && !slice->loading && !slice->error && (slice->checked || operation == BLOCK_READ) &&
           qcow2_find_in_slice(qcow2, slice, offset, bytes, extent) == 0 && extent->bytes == bytes;
}

static bool map_extent(BlockNode *node, BlockOperation operation, uint64_t offset, const Qcow2Extent *extent,
                       BlockMapping *mapping)
{
    const Qcow2 *qcow2 = node->state;
    if (extent->kind == QCOW2_DATA && (operation == BLOCK_READ || extent->copied)) {
        *mapping = (BlockMapping){ .edge = qcow2->data, .offset = extent->offset };
        return true;
    }
    if (extent->kind == QCOW2_UNALLOCATED && operation == BLOCK_READ && node->backing) {
        *mapping = (BlockMapping){ .edge = node->backing, .offset = offset };
        uint64_t size = block_node_size(node->backing->node);
        return offset <= size && extent->bytes <= size - offset;
    }
    return false;
}

bool qcow2_map(BlockNode *node, BlockOperation operation, uint64_t offset, uint64_t bytes, BlockMapping *mapping)
{
    Qcow2 *qcow2 = node->state;
    Qcow2Extent extent;
    if (!qcow2->l1 || (operation != BLOCK_READ && qcow2_has(qcow2, QCOW2_CORRUPT)) || !task_try_lock(&qcow2->lock)) {
        return false;
    }
    bool ok = find_now(qcow2, operation, offset, bytes, &extent) &&
              map_extent(node, operation, offset, &extent, mapping);
    if (ok) {
        mapping->token = qcow2_enter(qcow2);
    }
    task_unlock(&qcow2->lock);
    return ok;
}
