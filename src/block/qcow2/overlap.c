/*
 * Which clusters hold tables, so that a damaged or hostile image does not have its tables written over: each L2 table
 * is looked through when it is read, and each cluster that is taken from the refcounts is compared.
 *
 * Not known here: the tables of snapshots and bitmaps beyond their directories.
 */
#include "block/qcow2/qcow2.h"

#include "base/error.h"

#include <errno.h>
#include <inttypes.h>

/* A set of numbers: open addressing, at most half full. */

static size_t slot_of(const Qcow2Set *set, uint64_t cluster)
{
    size_t slot = (cluster * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (set->capacity - 1);
    while (set->items[slot] && set->items[slot] != cluster + 1) {
        slot = (slot + 1) & (set->capacity - 1);
    }
    return slot;
}

static void grow(Qcow2Set *set)
{
    Qcow2Set before = *set;
    set->capacity = MAX(before.capacity * 2, 256);
    set->items = mem_alloc_array(set->capacity, sizeof *set->items);
    for (size_t i = 0; i < before.capacity; i++) {
        if (before.items[i]) {
            set->items[slot_of(set, before.items[i] - 1)] = before.items[i];
        }
    }
    free(before.items);
}

void qcow2_set_add(Qcow2Set *set, uint64_t cluster)
{
    if (set->count * 2 >= set->capacity) {
        grow(set);
    }
    size_t slot = slot_of(set, cluster);
    set->count += set->items[slot] == 0;
    set->items[slot] = cluster + 1;
}

bool qcow2_set_has(const Qcow2Set *set, uint64_t cluster)
{
    return set->capacity && set->items[slot_of(set, cluster)] != 0;
}

/* Those behind it move up where their way leads through its place. */
void qcow2_set_remove(Qcow2Set *set, uint64_t cluster)
{
    if (!qcow2_set_has(set, cluster)) {
        return;
    }
    size_t slot = slot_of(set, cluster);
    set->items[slot] = 0;
    set->count--;
    for (slot = (slot + 1) & (set->capacity - 1); set->items[slot]; slot = (slot + 1) & (set->capacity - 1)) {
        uint64_t item = set->items[slot];
        set->items[slot] = 0;
        set->items[slot_of(set, item - 1)] = item;
    }
}

void qcow2_set_clear(Qcow2Set *set)
{
    free(set->items);
    *set = (Qcow2Set){ 0 };
}

/* What is known from the start */

static void add_range(Qcow2 *qcow2, uint64_t offset, uint64_t bytes)
{
    uint64_t first = offset >> qcow2->header.cluster_bits;
    for (uint64_t i = 0; i < qcow2_clusters(qcow2, bytes); i++) {
        qcow2_set_add(&qcow2->metadata, first + i);
    }
}

static bool add_blocks(BlockNode *node, Error **error)
{
    Qcow2 *qcow2 = node->state;
    for (uint32_t i = 0; i < qcow2->refcount_entries; i++) {
        uint64_t block = qcow2->refcount_table[i];
        if (!block) {
            continue;
        }
        if (block % qcow2->cluster_bytes || qcow2_set_has(&qcow2->metadata, block >> qcow2->header.cluster_bits)) {
            return error_set(error, "the refcount block at 0x%" PRIx64 " is no cluster of its own; the image is "
                             "damaged", block);
        }
        qcow2_set_add(&qcow2->metadata, block >> qcow2->header.cluster_bits);
    }
    return true;
}

bool qcow2_note_metadata(BlockNode *node, Error **error)
{
    Qcow2 *qcow2 = node->state;
    const Qcow2Header *header = &qcow2->header;
    qcow2_set_add(&qcow2->metadata, 0);
    add_range(qcow2, header->refcount_table_offset, (uint64_t)header->refcount_table_clusters << header->cluster_bits);
    add_range(qcow2, header->l1_offset, header->l1_entries * sizeof(uint64_t));
    add_range(qcow2, header->snapshots_offset, header->snapshots ? 1 : 0);
    add_range(qcow2, header->bitmap_directory_offset, header->has_bitmaps ? 1 : 0);
    if (!add_blocks(node, error)) {
        return false;
    }
    for (uint32_t i = 0; i < header->l1_entries; i++) {
        if (qcow2->l1[i] & QCOW2_OFFSET) {
            qcow2_set_add(&qcow2->metadata, (qcow2->l1[i] & QCOW2_OFFSET) >> header->cluster_bits);
        }
    }
    return true;
}

static bool leads_into_tables(const Qcow2 *qcow2, uint64_t descriptor)
{
    uint64_t offset = descriptor & QCOW2_OFFSET, bytes = 1;
    if (descriptor & QCOW2_COMPRESSED_FLAG) {
        qcow2_stream_of(qcow2, descriptor, &offset, &bytes);
    } else if (!offset) {
        return false;
    }
    uint64_t last = (offset + bytes - 1) >> qcow2->header.cluster_bits;
    for (uint64_t cluster = offset >> qcow2->header.cluster_bits; cluster <= last; cluster++) {
        if (qcow2_set_has(&qcow2->metadata, cluster)) {
            return true;
        }
    }
    return false;
}

int qcow2_check_slice(BlockNode *node, Qcow2Slice *slice)
{
    Qcow2 *qcow2 = node->state;
    uint64_t entries = qcow2->tables.slice_bytes >> qcow2->entry_bits;
    for (uint64_t i = 0; i < entries && !qcow2_has(qcow2, QCOW2_EXTERNAL_DATA); i++) {
        Qcow2Entry entry = qcow2_load_entry(qcow2, slice, i << qcow2->header.cluster_bits);
        if (leads_into_tables(qcow2, entry.descriptor)) {
            return qcow2_corrupt(node, slice->offset, qcow2->tables.slice_bytes,
                                 "an entry of the L2 table's part at 0x%" PRIx64 " leads into a table", slice->offset);
        }
    }
    slice->checked = true;
    return 0;
}
