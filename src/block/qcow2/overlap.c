/*
 * Which clusters hold tables, so that a damaged or hostile image does not have its tables written over: each L2 table
 * is looked through when it is read, and each cluster that is taken from the refcounts is compared.
 *
 * overlap-check says of which kinds; not known here are the tables of bitmaps beyond their directory.
 */
#include "block/qcow2/qcow2.h"

#include "api/json.h"
#include "base/error.h"
#include "schema/block.h"

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

/* What is asked for */

static const unsigned templates[QCOW2_OVERLAP_CHECK_MODE_COUNT] = {
    [QCOW2_OVERLAP_CHECK_MODE_CONSTANT] = QCOW2_TABLE_HEADER | QCOW2_TABLE_L1 | QCOW2_TABLE_REFCOUNTS |
                                          QCOW2_TABLE_SNAPSHOTS | QCOW2_TABLE_BITMAPS,
    [QCOW2_OVERLAP_CHECK_MODE_CACHED] = QCOW2_ALL_TABLES & ~QCOW2_TABLE_INACTIVE_L2,
    [QCOW2_OVERLAP_CHECK_MODE_ALL] = QCOW2_ALL_TABLES,
};

static unsigned flags_of(const Qcow2OverlapCheckFlags *flags)
{
    const struct {
        unsigned kind;
        bool given, value;
    } rows[] = {
        { QCOW2_TABLE_HEADER, flags->has_main_header, flags->main_header },
        { QCOW2_TABLE_L1, flags->has_active_l1, flags->active_l1 },
        { QCOW2_TABLE_L2, flags->has_active_l2, flags->active_l2 },
        { QCOW2_TABLE_REFCOUNTS, flags->has_refcount_table, flags->refcount_table },
        { QCOW2_TABLE_BLOCKS, flags->has_refcount_block, flags->refcount_block },
        { QCOW2_TABLE_SNAPSHOTS, flags->has_snapshot_table, flags->snapshot_table },
        { QCOW2_TABLE_INACTIVE_L1, flags->has_inactive_l1, flags->inactive_l1 },
        { QCOW2_TABLE_INACTIVE_L2, flags->has_inactive_l2, flags->inactive_l2 },
        { QCOW2_TABLE_BITMAPS, flags->has_bitmap_directory, flags->bitmap_directory },
    };
    unsigned kinds = templates[flags->has_template ? flags->template : QCOW2_OVERLAP_CHECK_MODE_CACHED];
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        kinds = !rows[i].given ? kinds : rows[i].value ? kinds | rows[i].kind : kinds & ~rows[i].kind;
    }
    return kinds;
}

unsigned qcow2_overlap_kinds(const Qcow2Settings *settings)
{
    const Qcow2OverlapChecks *checks = settings->overlap_check;
    if (!checks) {
        return templates[QCOW2_OVERLAP_CHECK_MODE_CACHED];
    }
    return checks->kind == JSON_OBJECT ? flags_of(checks->u.flags) : templates[checks->u.mode];
}

/* What is known from the start */

void qcow2_note_table(Qcow2 *qcow2, Qcow2TableKind kind, uint64_t offset, uint64_t bytes)
{
    uint64_t first = offset >> qcow2->header.cluster_bits;
    for (uint64_t i = 0; qcow2->overlap & kind && i < qcow2_clusters(qcow2, bytes); i++) {
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
        qcow2_note_table(qcow2, QCOW2_TABLE_BLOCKS, block, 1);
    }
    return true;
}

static void add_l2_tables(Qcow2 *qcow2, Qcow2TableKind kind, const uint64_t *l1, uint64_t entries)
{
    for (uint64_t i = 0; i < entries; i++) {
        qcow2_note_table(qcow2, kind, l1[i] & QCOW2_OFFSET, l1[i] & QCOW2_OFFSET ? 1 : 0);
    }
}

/* Those of a damaged table of snapshots are not known: it can be read, and is repaired, by others. */
static void add_snapshots(BlockNode *node)
{
    Qcow2 *qcow2 = node->state;
    Qcow2Snapshots snapshots;
    uint64_t bytes, left = block_node_size(node->file->node); /* no two lie at one place */
    if (!qcow2->header.snapshots || !qcow2_snapshots_read(node, &snapshots, &bytes, NULL)) {
        return;
    }
    for (size_t i = 0; i < snapshots.count; i++) {
        const Qcow2Snapshot *snapshot = &snapshots.items[i];
        uint64_t *l1 = NULL, size = snapshot->l1_entries * sizeof(*l1);
        if (size > left) {
            break;
        }
        left -= size;
        qcow2_note_table(qcow2, QCOW2_TABLE_INACTIVE_L1, snapshot->l1_offset, size);
        if (qcow2->overlap & QCOW2_TABLE_INACTIVE_L2 && qcow2_snapshot_read_l1(node, snapshot, &l1) == 0) {
            add_l2_tables(qcow2, QCOW2_TABLE_INACTIVE_L2, l1, snapshot->l1_entries);
        }
        free(l1);
    }
    qcow2_snapshots_clear(&snapshots);
}

bool qcow2_note_metadata(BlockNode *node, Error **error)
{
    Qcow2 *qcow2 = node->state;
    const Qcow2Header *header = &qcow2->header;
    qcow2_note_table(qcow2, QCOW2_TABLE_HEADER, 0, 1);
    qcow2_note_table(qcow2, QCOW2_TABLE_REFCOUNTS, header->refcount_table_offset,
                     (uint64_t)header->refcount_table_clusters << header->cluster_bits);
    qcow2_note_table(qcow2, QCOW2_TABLE_L1, header->l1_offset, header->l1_entries * sizeof(uint64_t));
    qcow2_note_table(qcow2, QCOW2_TABLE_SNAPSHOTS, header->snapshots_offset, header->snapshots ? 1 : 0);
    qcow2_note_table(qcow2, QCOW2_TABLE_BITMAPS, header->bitmap_directory_offset, header->has_bitmaps ? 1 : 0);
    if (!add_blocks(node, error)) {
        return false;
    }
    add_l2_tables(qcow2, QCOW2_TABLE_L2, qcow2->l1, header->l1_entries);
    add_snapshots(node);
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
