/*
 * Checking an image: every cluster is counted anew from what refers to it, and compared with the counts in the file and
 * with the COPIED flags. Repairs are made in the file, and the tables in memory are loaded again.
 *
 * What is read is what the file has, after a flush; nothing else is on its way.
 */
#include "block/qcow2/qcow2.h"

#include "base/bytes.h"
#include "base/error.h"

#include <errno.h>
#include <inttypes.h>

enum { PAGE_BITS = 12, SPARE_PAGES = 64 };
#define MAXIMUM_CLUSTERS BIT(36)

typedef struct Check {
    BlockNode *node;
    Qcow2 *qcow2;
    BlockCheck *result;
    unsigned fix;
    uint32_t **pages; /* references, by number of cluster; NULL: none in that page */
    uint64_t page_count;
    uint64_t file_clusters, end; /* of the file; behind the last cluster that is used */
    uint64_t *table; /* the refcount table */
    uint32_t table_entries;
    bool rebuild; /* the counts in the file cannot be repaired one by one */
    bool counts_tables; /* those of refcounts, too */
    uint8_t *block;     /* the refcount block that `block_number` has, of the file; NULL: none was read */
    uint64_t block_number;
    unsigned order; /* that the counts are to get */
    int error;
    Error **message;
} Check;

static void report(Check *check, const char *format, ...) PRINTF(2, 3);
static void report(Check *check, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    AUTO_FREE char *line = string_vformat(format, arguments);
    va_end(arguments);
    if (check->result->report) {
        check->result->report(check->result->data, line);
    }
}

/* Counting */

/* NULL: none, or (but for `make`) behind all that there can be. */
static uint32_t *count_of(Check *check, uint64_t cluster, bool make)
{
    uint64_t i = cluster >> PAGE_BITS;
    if (i >= check->page_count || (!check->pages[i] && !make)) {
        return NULL;
    }
    if (!check->pages[i]) {
        check->pages[i] = mem_alloc_array(BIT(PAGE_BITS), sizeof(uint32_t));
    }
    return &check->pages[i][cluster & mask_bits(PAGE_BITS)];
}

static uint32_t references(Check *check, uint64_t cluster)
{
    const uint32_t *count = count_of(check, cluster, false);
    return count ? *count : 0;
}

static void count_range(Check *check, uint64_t offset, uint64_t bytes)
{
    unsigned bits = check->qcow2->header.cluster_bits;
    if (bytes == 0) {
        return;
    }
    uint64_t last = (offset + bytes - 1) >> bits;
    if (last >= check->file_clusters) {
        report(check, "ERROR: counting reference for region exceeding the end of the file by one cluster or more: "
                      "offset 0x%" PRIx64 " size 0x%" PRIx64, offset, bytes);
        check->result->corruptions++;
        return;
    }
    for (uint64_t cluster = offset >> bits; cluster <= last; cluster++) {
        ++*count_of(check, cluster, true);
        check->end = MAX(check->end, cluster + 1);
    }
}

static int read_table(const Check *check, uint64_t offset, uint64_t bytes, uint8_t *to)
{
    return block_read(check->node->file, offset, to, bytes);
}

/* L2 tables: `active` those of the disk as it is, which the statistics are about. */

typedef struct TableWalk {
    bool active;
    uint64_t next; /* where the next cluster would be, were they in order */
} TableWalk;

static void count_statistics(Check *check, TableWalk *walk, const Qcow2Entry *entry)
{
    BlockCheck *result = check->result;
    uint64_t offset = entry->descriptor & QCOW2_OFFSET;
    if (!walk->active) {
        return;
    }
    if (entry->descriptor & QCOW2_COMPRESSED_FLAG) {
        result->compressed_clusters++;
        result->allocated_clusters++;
        result->fragmented_clusters++;
        return;
    }
    result->allocated_clusters++;
    result->fragmented_clusters += walk->next && offset != walk->next;
    walk->next = offset + check->qcow2->cluster_bytes;
}

static void count_entry(Check *check, TableWalk *walk, const Qcow2Entry *entry)
{
    const Qcow2 *qcow2 = check->qcow2;
    uint64_t offset = entry->descriptor & QCOW2_OFFSET, bytes = qcow2->cluster_bytes;
    if (entry->descriptor & QCOW2_COMPRESSED_FLAG) {
        qcow2_stream_of(qcow2, entry->descriptor, &offset, &bytes);
        if (entry->descriptor & QCOW2_COPIED) {
            report(check, "ERROR: coffset=0x%" PRIx64 ": copied flag must never be set for compressed clusters",
                   offset);
            check->result->corruptions++;
        }
        if (qcow2_has(qcow2, QCOW2_EXTERNAL_DATA)) {
            report(check, "ERROR compressed cluster with data file, entry=0x%" PRIx64, entry->descriptor);
            check->result->corruptions++;
        }
    } else if (!qcow2_is_allocated(qcow2, entry)) {
        if (entry->subclusters & mask_bits(32)) {
            report(check, "ERROR: Unallocated cluster has non-zero subcluster allocation map");
            check->result->corruptions++;
        }
        return;
    } else if (offset & (qcow2->cluster_bytes - 1)) {
        report(check, "ERROR offset=%" PRIx64 ": Data cluster is not properly aligned; L2 entry corrupted.", offset);
        check->result->corruptions++;
        return;
    }
    if (!qcow2_has(qcow2, QCOW2_EXTERNAL_DATA)) {
        count_range(check, offset, bytes);
    }
    count_statistics(check, walk, entry);
}

static Qcow2Entry entry_at(const Qcow2 *qcow2, const uint8_t *table, uint64_t i)
{
    const uint8_t *at = table + (i << qcow2->entry_bits);
    return (Qcow2Entry){ load_be64(at), qcow2->entry_bits == 4 ? load_be64(at + 8) : 0 };
}

static int count_l1(Check *check, const uint64_t *l1, uint32_t entries, TableWalk *walk)
{
    const Qcow2 *qcow2 = check->qcow2;
    AUTO_FREE uint8_t *table = block_buffer(check->node->file->node, qcow2->cluster_bytes);
    for (uint32_t i = 0; i < entries; i++) {
        uint64_t place = l1[i] & QCOW2_OFFSET;
        if (!place) {
            continue;
        }
        if (place & (qcow2->cluster_bytes - 1)) {
            report(check, "ERROR l2_offset=%" PRIx64 ": Table is not cluster aligned; L1 entry corrupted", place);
            check->result->corruptions++;
            continue;
        }
        count_range(check, place, qcow2->cluster_bytes);
        int error = table ? read_table(check, place, qcow2->cluster_bytes, table) : ENOMEM;
        if (error) {
            check->result->check_errors++;
            return error;
        }
        for (uint64_t j = 0; j < BIT(qcow2->table_bits); j++) {
            Qcow2Entry entry = entry_at(qcow2, table, j);
            count_entry(check, walk, &entry);
        }
    }
    return 0;
}

static int count_snapshots(Check *check)
{
    Qcow2Snapshots snapshots = { 0 };
    uint64_t bytes = 0;
    if (!qcow2_snapshots_read(check->node, &snapshots, &bytes, check->message)) {
        return EIO;
    }
    int error = 0;
    count_range(check, check->qcow2->header.snapshots_offset, bytes);
    for (size_t i = 0; i < snapshots.count && !error; i++) {
        const Qcow2Snapshot *snapshot = &snapshots.items[i];
        uint64_t *l1 = NULL;
        TableWalk walk = { 0 };
        error = qcow2_snapshot_read_l1(check->node, snapshot, &l1);
        count_range(check, snapshot->l1_offset, snapshot->l1_entries * sizeof(uint64_t));
        error = error ? error : count_l1(check, l1, snapshot->l1_entries, &walk);
        free(l1);
    }
    qcow2_snapshots_clear(&snapshots);
    return error;
}

/* Blocks of counts that cannot be right make all of them to be written anew. */
static void count_blocks(Check *check)
{
    const Qcow2 *qcow2 = check->qcow2;
    for (uint32_t i = 0; i < check->table_entries; i++) {
        uint64_t block = check->table[i];
        bool aligned = block % qcow2->cluster_bytes == 0;
        bool inside = block >> qcow2->header.cluster_bits < check->file_clusters;
        if (block && (!aligned || !inside)) {
            report(check, aligned ? "ERROR refcount block %" PRIu32 " is outside image"
                                  : "ERROR refcount block %" PRIu32 " is not cluster aligned; refcount table entry "
                                    "corrupted", i);
            check->result->corruptions++;
            check->rebuild = true;
            check->table[i] = 0;
        } else if (block) {
            count_range(check, block, qcow2->cluster_bytes);
            uint32_t count = references(check, block >> qcow2->header.cluster_bits);
            if (count != 1) {
                report(check, "ERROR refcount block %" PRIu32 " refcount=%" PRIu32, i, count);
                check->result->corruptions++;
                check->rebuild = true;
            }
        }
    }
}

static void clear_counts(Check *check)
{
    for (uint64_t i = 0; i < check->page_count; i++) {
        free(check->pages[i]);
        check->pages[i] = NULL;
    }
    check->end = 0;
}

static void count_of_bitmap(void *data, uint64_t offset, uint64_t bytes) { count_range(data, offset, bytes); }

static int count_all(Check *check)
{
    const Qcow2Header *header = &check->qcow2->header;
    TableWalk walk = { .active = true };
    clear_counts(check);
    count_range(check, 0, check->qcow2->cluster_bytes);
    count_range(check, header->l1_offset, header->l1_entries * sizeof(uint64_t));
    int error = count_l1(check, check->qcow2->l1, header->l1_entries, &walk);
    error = error ? error : count_snapshots(check);
    if (!error && header->has_bitmaps) {
        error = qcow2_bitmaps_count(check->node, count_of_bitmap, check, check->message);
    }
    if (!error && check->counts_tables) {
        count_range(check, header->refcount_table_offset,
                    (uint64_t)header->refcount_table_clusters << header->cluster_bits);
        count_blocks(check);
    }
    return error;
}

/* Comparing */

static void compare_one(Check *check, uint64_t cluster, uint64_t refcount, uint64_t count, bool *change)
{
    BlockCheck *result = check->result;
    bool leak = refcount > count;
    bool fixes = check->fix & (leak ? BLOCK_FIX_LEAKS : BLOCK_FIX_ERRORS) && !check->rebuild;
    *change = fixes;
    report(check, "%s cluster %" PRIu64 " refcount=%" PRIu64 " reference=%" PRIu64,
           fixes ? "Repairing" : leak ? "Leaked" : "ERROR", cluster, refcount, count);
    if (fixes) {
        result->leaks_fixed += leak;
        result->corruptions_fixed += !leak;
    } else {
        result->leaks += leak;
        result->corruptions += !leak;
    }
}

/* The counts of one block; `bytes` NULL: there is none, all are 0. */
static int compare_block(Check *check, uint32_t block, uint8_t *bytes)
{
    const Qcow2 *qcow2 = check->qcow2;
    unsigned order = qcow2->header.refcount_order;
    uint64_t first = (uint64_t)block << qcow2->block_bits;
    bool changed = false;
    for (uint64_t i = 0; i < BIT(qcow2->block_bits); i++) {
        uint64_t refcount = bytes ? qcow2_refcount_in(bytes, order, i) : 0, count = references(check, first + i);
        if (refcount) {
            check->end = MAX(check->end, first + i + 1);
        }
        bool change = false;
        if (refcount != count) {
            compare_one(check, first + i, refcount, count, &change);
        }
        if (change && bytes) {
            qcow2_set_refcount_in(bytes, order, i, count);
            changed = true;
        }
    }
    return changed ? block_write(check->node->file, check->table[block], bytes, qcow2->cluster_bytes, 0) : 0;
}

/* Regions of clusters that have counts, in the file or in memory. */
static bool has_counts(Check *check, uint64_t block)
{
    unsigned bits = check->qcow2->block_bits;
    uint64_t first = block << bits >> PAGE_BITS, last = ((block + 1) << bits) - 1;
    for (uint64_t i = first; i <= last >> PAGE_BITS && i < check->page_count; i++) {
        if (check->pages[i]) {
            return true;
        }
    }
    return false;
}

static bool has_references(Check *check, uint64_t block)
{
    const Qcow2 *qcow2 = check->qcow2;
    for (uint64_t i = 0; has_counts(check, block) && i < BIT(qcow2->block_bits); i++) {
        if (references(check, (block << qcow2->block_bits) + i)) {
            return true;
        }
    }
    return false;
}

static uint64_t regions(const Check *check)
{
    const Qcow2 *qcow2 = check->qcow2;
    return MAX((check->file_clusters + mask_bits(qcow2->block_bits)) >> qcow2->block_bits, check->table_entries);
}

/* What is used and not counted anywhere needs new blocks. */
static void find_missing_blocks(Check *check)
{
    for (uint64_t i = 0; i < regions(check) && !check->rebuild; i++) {
        bool missing = i >= check->table_entries || !check->table[i];
        check->rebuild = missing && has_references(check, i);
    }
}

static int compare_all(Check *check)
{
    const Qcow2 *qcow2 = check->qcow2;
    AUTO_FREE uint8_t *bytes = block_buffer(check->node->file->node, qcow2->cluster_bytes);
    int error = bytes ? 0 : ENOMEM;
    find_missing_blocks(check);
    for (uint64_t i = 0; i < regions(check) && !error; i++) {
        bool there = i < check->table_entries && check->table[i];
        if (!there && !has_counts(check, i)) {
            continue;
        }
        error = there ? read_table(check, check->table[i], qcow2->cluster_bytes, bytes) : 0;
        error = error ? error : compare_block(check, (uint32_t)i, there ? bytes : NULL);
    }
    return error;
}

/* All counts anew */

typedef struct Rebuild {
    uint64_t start, table_clusters, blocks, entries; /* the table is at `start`, the blocks behind it */
} Rebuild;

static uint64_t count_regions(Check *check, uint64_t end)
{
    uint64_t count = 0;
    for (uint64_t i = 0; i <= (end - 1) >> check->qcow2->block_bits; i++) {
        count += has_references(check, i);
    }
    return count;
}

static bool note_new(Check *check, uint64_t cluster)
{
    uint32_t *count = count_of(check, cluster, true);
    if (count) {
        *count = 1;
    }
    return count;
}

/* Where they go: behind the file. The more blocks there are, the more clusters are to be counted. */
static bool plan_rebuild(Check *check, Rebuild *rebuild)
{
    const Qcow2 *qcow2 = check->qcow2;
    uint64_t per_cluster = qcow2->cluster_bytes / sizeof(uint64_t);
    uint64_t most = 2 * (count_regions(check, check->file_clusters) + 2);
    rebuild->start = check->file_clusters;
    for (rebuild->table_clusters = 1;; rebuild->table_clusters++) {
        uint64_t end = rebuild->start + 2 * rebuild->table_clusters + most;
        rebuild->entries = rebuild->table_clusters * per_cluster;
        if (rebuild->entries << qcow2->block_bits >= end) {
            break;
        }
    }
    bool ok = rebuild->entries * sizeof(uint64_t) <= QCOW2_MAXIMUM_REFCOUNT_TABLE_BYTES;
    for (uint64_t i = 0; i < rebuild->table_clusters && ok; i++) {
        ok = note_new(check, rebuild->start + i);
    }
    for (uint64_t end = rebuild->start + rebuild->table_clusters; ok; rebuild->blocks++) {
        if (count_regions(check, end + rebuild->blocks) <= rebuild->blocks) {
            break;
        }
        ok = note_new(check, end + rebuild->blocks);
    }
    return ok;
}

static int write_new_block(Check *check, uint64_t region, uint64_t place)
{
    const Qcow2 *qcow2 = check->qcow2;
    AUTO_FREE uint8_t *bytes = block_buffer(check->node->file->node, qcow2->cluster_bytes);
    if (!bytes) {
        return ENOMEM;
    }
    memset(bytes, 0, qcow2->cluster_bytes);
    for (uint64_t i = 0; i < BIT(qcow2->block_bits); i++) {
        uint64_t count = references(check, (region << qcow2->block_bits) + i);
        if (count > mask_bits(1u << qcow2->header.refcount_order)) {
            return ERANGE;
        }
        qcow2_set_refcount_in(bytes, qcow2->header.refcount_order, i, count);
    }
    return block_write(check->node->file, place << qcow2->header.cluster_bits, bytes, qcow2->cluster_bytes, 0);
}

static int write_rebuilt(Check *check, const Rebuild *rebuild, uint8_t *table)
{
    const Qcow2 *qcow2 = check->qcow2;
    uint64_t used = 0;
    int error = 0;
    for (uint64_t i = 0; i < rebuild->entries && !error; i++) {
        if (has_references(check, i)) {
            uint64_t place = rebuild->start + rebuild->table_clusters + used++;
            store_be64(table + i * sizeof(uint64_t), place << qcow2->header.cluster_bits);
            error = write_new_block(check, i, place);
        }
    }
    uint64_t place = rebuild->start << qcow2->header.cluster_bits;
    error = error ? error : block_write(check->node->file, place, table, rebuild->entries * sizeof(uint64_t), 0);
    return error ? error : block_flush(check->node->file);
}

static int rebuild_counts(Check *check)
{
    Qcow2 *qcow2 = check->qcow2;
    Rebuild rebuild = { 0 };
    check->counts_tables = false;
    BlockCheck before = *check->result; /* nothing is found a second time */
    int error = count_all(check);
    *check->result = before;
    if (error || !plan_rebuild(check, &rebuild)) {
        return error ? error : EFBIG;
    }
    AUTO_FREE uint8_t *table = block_buffer(check->node->file->node, rebuild.entries * sizeof(uint64_t));
    if (!table) {
        return ENOMEM;
    }
    memset(table, 0, rebuild.entries * sizeof(uint64_t));
    error = write_rebuilt(check, &rebuild, table);
    if (error) {
        return error;
    }
    qcow2->header.refcount_table_offset = rebuild.start << qcow2->header.cluster_bits;
    qcow2->header.refcount_table_clusters = (uint32_t)rebuild.table_clusters;
    check->end = rebuild.start + rebuild.blocks + rebuild.table_clusters;
    check->result->corruptions_fixed += check->result->corruptions;
    check->result->leaks_fixed += check->result->leaks;
    check->result->corruptions = check->result->leaks = 0;
    return qcow2_header_write(check->node);
}

/* COPIED flags: set exactly where a cluster is referred to once */

static bool note_flag(Check *check, const char *what, uint64_t entry, uint64_t count)
{
    bool fixes = check->fix & BLOCK_FIX_ERRORS;
    report(check, "%s OFLAG_COPIED %s=%" PRIx64 " refcount=%" PRIu64, fixes ? "Repairing" : "ERROR", what, entry,
           count);
    check->result->corruptions += !fixes;
    check->result->corruptions_fixed += fixes;
    return fixes;
}

/* As the file has it. */
static uint64_t stored_count(Check *check, uint64_t cluster)
{
    const Qcow2 *qcow2 = check->qcow2;
    uint64_t number = cluster >> qcow2->block_bits;
    if (number >= check->table_entries || !check->table[number] ||
        check->table[number] & (qcow2->cluster_bytes - 1)) {
        return 0;
    }
    if (!check->block || check->block_number != number) {
        check->block = check->block ? check->block : block_buffer(check->node->file->node, qcow2->cluster_bytes);
        check->block_number = number;
        if (!check->block || read_table(check, check->table[number], qcow2->cluster_bytes, check->block)) {
            free(check->block);
            check->block = NULL;
            return 0;
        }
    }
    return qcow2_refcount_in(check->block, qcow2->header.refcount_order, cluster & mask_bits(qcow2->block_bits));
}

/* By the count in the file, or what that was repaired to. */
static bool flag_is_wrong(Check *check, uint64_t entry, uint64_t *count)
{
    uint64_t cluster = (entry & QCOW2_OFFSET) >> check->qcow2->header.cluster_bits;
    *count = check->fix & BLOCK_FIX_ERRORS ? references(check, cluster) : stored_count(check, cluster);
    return (*count == 1) != ((entry & QCOW2_COPIED) != 0);
}

static int check_table_flags(Check *check, uint64_t place, uint8_t *table)
{
    const Qcow2 *qcow2 = check->qcow2;
    bool changed = false;
    int error = read_table(check, place, qcow2->cluster_bytes, table);
    for (uint64_t j = 0; j < BIT(qcow2->table_bits) && !error; j++) {
        Qcow2Entry entry = entry_at(qcow2, table, j);
        uint64_t count;
        if (qcow2_is_allocated(qcow2, &entry) && flag_is_wrong(check, entry.descriptor, &count) &&
            note_flag(check, "data cluster: l2_entry", entry.descriptor, count)) {
            store_be64(table + (j << qcow2->entry_bits), entry.descriptor ^ QCOW2_COPIED);
            changed = true;
        }
    }
    return !error && changed ? block_write(check->node->file, place, table, qcow2->cluster_bytes, 0) : error;
}

static int check_flags(Check *check)
{
    Qcow2 *qcow2 = check->qcow2;
    AUTO_FREE uint8_t *table = block_buffer(check->node->file->node, qcow2->cluster_bytes);
    int error = table ? 0 : ENOMEM;
    for (uint32_t i = 0; i < qcow2->header.l1_entries && !error; i++) {
        uint64_t place = qcow2->l1[i] & QCOW2_OFFSET, count;
        if (!place || place & (qcow2->cluster_bytes - 1) ||
            place >> qcow2->header.cluster_bits >= check->file_clusters) {
            continue;
        }
        if (flag_is_wrong(check, qcow2->l1[i], &count) &&
            note_flag(check, "L2 cluster: l1_entry", qcow2->l1[i], count)) {
            uint8_t bytes[8];
            qcow2->l1[i] ^= QCOW2_COPIED;
            store_be64(bytes, qcow2->l1[i]);
            error = block_write(check->node->file, qcow2->header.l1_offset + i * sizeof bytes, bytes, sizeof bytes, 0);
        }
        if (!error && !qcow2_has(qcow2, QCOW2_EXTERNAL_DATA)) {
            error = check_table_flags(check, place, table);
        }
    }
    return error;
}

/* All of it */

static int load_refcounts(Check *check)
{
    const Qcow2Header *header = &check->qcow2->header;
    uint64_t bytes = (uint64_t)header->refcount_table_clusters << header->cluster_bits;
    check->table = mem_alloc(bytes);
    check->table_entries = (uint32_t)(bytes / sizeof(uint64_t));
    int error = read_table(check, header->refcount_table_offset, bytes, (uint8_t *)check->table);
    for (uint32_t i = 0; i < check->table_entries; i++) {
        check->table[i] = load_be64(&check->table[i]) & ~mask_bits(9);
    }
    return error;
}

/* With room for counts that are made anew. */
static int make_pages(Check *check)
{
    check->file_clusters = qcow2_clusters(check->qcow2, block_node_size(check->node->file->node));
    if (check->file_clusters > MAXIMUM_CLUSTERS) {
        return EFBIG;
    }
    check->page_count = ((check->file_clusters + check->file_clusters / 8) >> PAGE_BITS) + SPARE_PAGES;
    check->pages = mem_alloc_array(check->page_count, sizeof *check->pages);
    return 0;
}

static int check_all(Check *check)
{
    Qcow2 *qcow2 = check->qcow2;
    BlockCheck *result = check->result;
    result->total_clusters = qcow2_clusters(qcow2, qcow2->header.size);
    check->counts_tables = true;
    int error = make_pages(check);
    error = error ? error : load_refcounts(check);
    error = error ? error : count_all(check);
    error = error ? error : compare_all(check);
    if (!error && check->rebuild && check->fix & BLOCK_FIX_ERRORS) {
        error = rebuild_counts(check);
    }
    error = error ? error : check_flags(check);
    result->image_end_offset = check->end << qcow2->header.cluster_bits;
    return error;
}

/* Another width of all counts */

static bool counts_fit(const Check *check, unsigned order)
{
    const Qcow2Header *header = &check->qcow2->header;
    for (uint64_t i = 0; i < check->page_count; i++) {
        for (uint64_t j = 0; check->pages[i] && j < BIT(PAGE_BITS); j++) {
            if (check->pages[i][j] > mask_bits(1u << order)) {
                return error_set(check->message, "Cannot decrease refcount entry width to %u bits: Cluster at offset "
                                 "%#" PRIx64 " has a refcount of %" PRIu32, 1u << order,
                                 ((i << PAGE_BITS) + j) << header->cluster_bits, check->pages[i][j]);
            }
        }
    }
    return true;
}

static void set_order(Qcow2 *qcow2, unsigned order)
{
    qcow2->header.refcount_order = order;
    qcow2->block_bits = qcow2->header.cluster_bits + 3 - order;
}

/* The header names the new counts and their width at once. */
static void run_order_change(void *data)
{
    Check *check = data;
    Qcow2 *qcow2 = check->qcow2;
    unsigned before = qcow2->header.refcount_order;
    check->error = qcow2_flush_all(check->node);
    check->error = check->error ? check->error : check_all(check);
    if (check->error || check->result->corruptions || check->result->check_errors) {
        check->error = check->error ? check->error : EIO;
        return;
    }
    if (!counts_fit(check, check->order)) {
        check->error = ERANGE;
        return;
    }
    set_order(qcow2, check->order);
    check->error = rebuild_counts(check);
    if (check->error) {
        set_order(qcow2, before);
    } else {
        check->error = block_flush(check->node->file);
    }
}

/* It is whole now, and says so. */
static int mark_repaired(Check *check)
{
    Qcow2 *qcow2 = check->qcow2;
    bool whole = check->result->corruptions == 0 && check->result->check_errors == 0;
    if (whole && qcow2->header.incompatible & (QCOW2_DIRTY | QCOW2_CORRUPT)) {
        int error = block_flush(check->node->file);
        qcow2->header.incompatible &= ~(QCOW2_DIRTY | QCOW2_CORRUPT);
        return error ? error : qcow2_header_write(check->node);
    }
    return 0;
}

static void run_check(void *data)
{
    Check *check = data;
    BlockNode *node = check->node;
    check->error = check->qcow2->refcount_table ? qcow2_flush_all(node) : 0;
    check->error = check->error ? check->error : check_all(check);
    if (!check->error && check->fix) {
        check->error = mark_repaired(check);
        check->error = check->error ? check->error : block_flush(node->file);
    }
}

static void clear_check(Check *check)
{
    clear_counts(check);
    free(check->pages);
    free(check->table);
    free(check->block);
}

bool qcow2_change_refcount_order(BlockNode *node, unsigned order, Error **error)
{
    BlockCheck result = { 0 };
    Check check = { .node = node, .qcow2 = node->state, .result = &result, .order = order, .message = error };
    if (!qcow2_has_tables(check.qcow2, error)) {
        return false;
    }
    block_task_call(block_graph_runtime(node->graph), run_order_change, &check);
    clear_check(&check);
    if (result.corruptions || result.check_errors) {
        return error_set(error, "The image has errors: 'check -r all' may repair them");
    }
    if (check.error) {
        if (!error || !*error) {
            error_set_errno(error, check.error, "Could not write the new refcounts");
        }
        return false;
    }
    return qcow2_reload(node, error);
}

bool qcow2_check(BlockNode *node, unsigned fix, BlockCheck *result, Error **error)
{
    Check check = { .node = node, .qcow2 = node->state, .result = result, .fix = fix, .message = error };
    if (!qcow2_has_tables(check.qcow2, error)) {
        return false;
    }
    block_task_call(block_graph_runtime(node->graph), run_check, &check);
    clear_check(&check);
    if (check.error && (!error || !*error)) {
        return error_set_errno(error, check.error, "Check failed");
    }
    return check.error == 0 && (!fix || qcow2_reload(node, error));
}
