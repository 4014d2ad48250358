/*
 * Internal snapshots: making, applying and deleting them. A snapshot is an L1 table of its own; what it leads to has a
 * reference more, and is copied before the disk writes to it (the COPIED flag of its entry is not set).
 *
 * The order of the steps: counts that grow are in the file before the header knows of what they are for; counts that
 * shrink come last. A power cut leaves clusters that are counted too often, at worst.
 */
#include "block/qcow2/qcow2.h"

#include "base/bytes.h"
#include "base/error.h"
#include "base/strbuf.h"
#include "base/text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>

/* Counts of all that an L1 table leads to */

typedef struct Walk {
    BlockNode *node;
    BlockTask *self;
    int change;  /* of each count; 0: none */
    bool checks; /* refuses counts that cannot grow */
    bool flags;  /* the COPIED flags are set as the counts say */
    uint8_t *table;
} Walk;

static uint64_t maximum_refcount(const Qcow2 *qcow2) { return mask_bits(1u << qcow2->header.refcount_order); }

/* `most`: references that a cluster may have now. */
static int visit_range(Walk *walk, uint64_t offset, uint64_t bytes, uint64_t most, uint64_t *count)
{
    const Qcow2 *qcow2 = walk->node->state;
    int error = walk->change ? qcow2_change_refcounts(walk->node, walk->self, offset, bytes, walk->change) : 0;
    error = error ? error : qcow2_get_refcount(walk->node, walk->self, offset >> qcow2->header.cluster_bits, count);
    return !error && walk->checks && *count > most ? EINVAL : error;
}

static uint64_t flagged(uint64_t entry, uint64_t count)
{
    return count == 1 ? entry | QCOW2_COPIED : entry & ~QCOW2_COPIED;
}

static int visit_entry(Walk *walk, uint64_t i, bool *changed)
{
    const Qcow2 *qcow2 = walk->node->state;
    uint8_t *at = walk->table + (i << qcow2->entry_bits);
    Qcow2Entry entry = { load_be64(at), 0 };
    uint64_t offset, bytes, count, most = maximum_refcount(qcow2);
    if (qcow2_has(qcow2, QCOW2_EXTERNAL_DATA)) {
        return 0;
    }
    if (entry.descriptor & QCOW2_COMPRESSED_FLAG) {
        qcow2_stream_of(qcow2, entry.descriptor, &offset, &bytes);
        return visit_range(walk, offset, bytes, most / 2, &count); /* many streams may be in it */
    }
    if (!qcow2_is_allocated(qcow2, &entry)) {
        return 0;
    }
    int error = visit_range(walk, entry.descriptor & QCOW2_OFFSET, qcow2->cluster_bytes, most - 1, &count);
    if (!error && walk->flags && flagged(entry.descriptor, count) != entry.descriptor) {
        store_be64(at, flagged(entry.descriptor, count));
        *changed = true;
    }
    return error;
}

static int visit_table(Walk *walk, uint64_t place)
{
    const Qcow2 *qcow2 = walk->node->state;
    bool changed = false;
    int error = block_read(walk->node->file, place, walk->table, qcow2->cluster_bytes);
    for (uint64_t i = 0; i < BIT(qcow2->table_bits) && !error; i++) {
        error = visit_entry(walk, i, &changed);
    }
    return !error && changed ? block_write(walk->node->file, place, walk->table, qcow2->cluster_bytes, 0) : error;
}

/* `l1` is in the host's byte order. */
static int visit_l1(Walk *walk, uint64_t *l1, uint32_t entries)
{
    const Qcow2 *qcow2 = walk->node->state;
    walk->table = block_buffer(walk->node->file->node, qcow2->cluster_bytes);
    int error = walk->table ? 0 : ENOMEM;
    for (uint32_t i = 0; i < entries && !error; i++) {
        uint64_t place = l1[i] & QCOW2_OFFSET, count;
        if (!place) {
            continue;
        }
        error = place & (qcow2->cluster_bytes - 1) ? EIO : visit_table(walk, place);
        error = error ? error : visit_range(walk, place, qcow2->cluster_bytes, maximum_refcount(qcow2) - 1, &count);
        if (!error && walk->flags) {
            l1[i] = flagged(l1[i], count);
        }
    }
    free(walk->table);
    return error;
}

/* Writes a table at clusters of its own. */
static int write_l1(BlockNode *node, BlockTask *self, const uint64_t *l1, uint32_t entries, uint64_t *place)
{
    Qcow2 *qcow2 = node->state;
    uint64_t bytes = entries * sizeof(uint64_t), count;
    *place = 0;
    if (entries == 0) {
        return 0;
    }
    AUTO_FREE uint8_t *buffer = block_buffer(node->file->node, bytes);
    int error = buffer ? qcow2_allocate(node, self, qcow2_clusters(qcow2, bytes), true, place, &count) : ENOMEM;
    for (uint32_t i = 0; i < entries && buffer; i++) {
        store_be64(buffer + i * sizeof(uint64_t), l1[i]);
    }
    return error ? error : block_write(node->file, *place, buffer, bytes, 0);
}

static int write_active_l1(BlockNode *node)
{
    const Qcow2 *qcow2 = node->state;
    uint64_t bytes = qcow2->header.l1_entries * sizeof(uint64_t);
    AUTO_FREE uint8_t *buffer = block_buffer(node->file->node, bytes);
    if (!buffer) {
        return ENOMEM;
    }
    for (uint32_t i = 0; i < qcow2->header.l1_entries; i++) {
        store_be64(buffer + i * sizeof(uint64_t), qcow2->l1[i]);
    }
    return bytes ? block_write(node->file, qcow2->header.l1_offset, buffer, bytes, 0) : 0;
}

/* The table of snapshots */

static void put_one(StrBuf *out, const Qcow2Snapshot *snapshot)
{
    uint8_t fixed[64] = { 0 };
    size_t id = strlen(snapshot->id), name = strlen(snapshot->name);
    store_be64(fixed, snapshot->l1_offset);
    store_be32(fixed + 8, snapshot->l1_entries);
    store_be16(fixed + 12, (uint16_t)id);
    store_be16(fixed + 14, (uint16_t)name);
    store_be32(fixed + 16, snapshot->date_seconds);
    store_be32(fixed + 20, snapshot->date_nanoseconds);
    store_be64(fixed + 24, snapshot->vm_clock_ns);
    store_be32(fixed + 32, snapshot->vm_state_bytes > UINT32_MAX ? 0 : (uint32_t)snapshot->vm_state_bytes);
    store_be32(fixed + 36, (uint32_t)(24 + snapshot->extra_bytes));
    store_be64(fixed + 40, snapshot->vm_state_bytes);
    store_be64(fixed + 48, snapshot->disk_size);
    store_be64(fixed + 56, snapshot->has_icount ? snapshot->icount : UINT64_MAX);
    strbuf_append_bytes(out, fixed, sizeof fixed);
    strbuf_append_bytes(out, snapshot->extra, snapshot->extra_bytes);
    strbuf_append_bytes(out, snapshot->id, id);
    strbuf_append_bytes(out, snapshot->name, name);
    while (out->length % 8) {
        strbuf_append_char(out, 0);
    }
}

/* A new table, which the header then names; the old one becomes free. */
static int write_snapshots(BlockNode *node, BlockTask *self, const Qcow2Snapshots *snapshots, uint64_t old_bytes)
{
    Qcow2 *qcow2 = node->state;
    Qcow2Header *header = &qcow2->header;
    AUTO_STRBUF(bytes);
    uint64_t place = 0, count, old = header->snapshots_offset;
    for (size_t i = 0; i < snapshots->count; i++) {
        put_one(&bytes, &snapshots->items[i]);
    }
    uint64_t clusters = qcow2_clusters(qcow2, bytes.length);
    int error = clusters ? qcow2_allocate(node, self, clusters, true, &place, &count) : 0;
    error = error || !clusters ? error : block_write(node->file, place, bytes.data, bytes.length, 0);
    error = error ? error : qcow2_write_dirty(&qcow2->blocks);
    error = error ? error : block_flush(node->file);
    if (error) {
        return error;
    }
    header->snapshots = (uint32_t)snapshots->count;
    header->snapshots_offset = place;
    error = qcow2_header_write(node);
    error = error ? error : block_flush(node->file);
    return error || !old_bytes ? error : qcow2_change_refcounts(node, self, old, old_bytes, -1);
}

/* Operations, in a task */

typedef struct Operation {
    BlockNode *node;
    int (*run)(struct Operation *operation, BlockTask *self);
    Qcow2Snapshots snapshots;
    uint64_t table_bytes;
    const BlockSnapshot *given;
    Qcow2Snapshot *snapshot;
    int error;
} Operation;

static char *next_id(const Qcow2Snapshots *snapshots)
{
    uint64_t highest = 0, id;
    for (size_t i = 0; i < snapshots->count; i++) {
        highest = text_to_uint64(snapshots->items[i].id, &id, NULL) && id > highest ? id : highest;
    }
    return string_format("%" PRIu64, highest + 1);
}

static int create(Operation *operation, BlockTask *self)
{
    BlockNode *node = operation->node;
    Qcow2 *qcow2 = node->state;
    const BlockSnapshot *given = operation->given;
    Qcow2Snapshot new = { .l1_entries = qcow2->header.l1_entries, .disk_size = qcow2->header.size,
                          .date_seconds = (uint32_t)given->date_seconds, .date_nanoseconds = given->date_nanoseconds,
                          .vm_clock_ns = given->vm_clock_ns, .vm_state_bytes = given->vm_state_bytes,
                          .icount = given->icount, .has_icount = given->has_icount };
    Walk check = { .node = node, .self = self, .checks = true }, grow = { .node = node, .self = self, .change = 1,
                                                                          .flags = true };
    int error = visit_l1(&check, qcow2->l1, qcow2->header.l1_entries);
    error = error ? error : visit_l1(&grow, qcow2->l1, qcow2->header.l1_entries);
    error = error ? error : write_active_l1(node);
    error = error ? error : write_l1(node, self, qcow2->l1, qcow2->header.l1_entries, &new.l1_offset);
    if (!error) {
        new.id = next_id(&operation->snapshots);
        new.name = string_copy(given->name);
        vec_push(&operation->snapshots, new);
        error = write_snapshots(node, self, &operation->snapshots, operation->table_bytes);
    }
    return error;
}

static int delete(Operation *operation, BlockTask *self)
{
    BlockNode *node = operation->node;
    Qcow2 *qcow2 = node->state;
    Qcow2Snapshot gone = *operation->snapshot;
    Walk shrink = { .node = node, .self = self, .change = -1 }, look = { .node = node, .self = self, .flags = true };
    uint64_t *l1 = NULL;
    int error = qcow2_snapshot_read_l1(node, &gone, &l1);
    if (!error) {
        vec_remove(&operation->snapshots, operation->snapshot - operation->snapshots.items);
        error = write_snapshots(node, self, &operation->snapshots, operation->table_bytes);
        qcow2_snapshot_clear(&gone);
    }
    error = error ? error : visit_l1(&shrink, l1, gone.l1_entries);
    error = error ? error
                  : qcow2_change_refcounts(node, self, gone.l1_offset, gone.l1_entries * sizeof(uint64_t), -1);
    error = error ? error : visit_l1(&look, qcow2->l1, qcow2->header.l1_entries);
    free(l1);
    return error ? error : write_active_l1(node);
}

/* The table anew, as it is. */
static int rewrite(Operation *operation, BlockTask *self)
{
    return write_snapshots(operation->node, self, &operation->snapshots, operation->table_bytes);
}

/* What a damaged table says of a snapshot must not get into the header. */
static bool size_fits(const Qcow2 *qcow2, const Qcow2Snapshot *snapshot)
{
    return snapshot->disk_size <= INT64_MAX - BLOCK_SECTOR &&
           qcow2_l1_entries_for(qcow2, snapshot->disk_size) <= snapshot->l1_entries;
}

static int apply(Operation *operation, BlockTask *self)
{
    BlockNode *node = operation->node;
    Qcow2 *qcow2 = node->state;
    Qcow2Header *header = &qcow2->header, before = *header;
    const Qcow2Snapshot *snapshot = operation->snapshot;
    Walk check = { .node = node, .self = self, .checks = true }, grow = { .node = node, .self = self, .change = 1 },
         shrink = { .node = node, .self = self, .change = -1 }, look = { .node = node, .self = self, .flags = true };
    uint64_t *l1 = NULL, place = 0;
    int error = size_fits(qcow2, snapshot) ? qcow2_snapshot_read_l1(node, snapshot, &l1) : EINVAL;
    error = error ? error : visit_l1(&check, l1, snapshot->l1_entries);
    error = error ? error : visit_l1(&grow, l1, snapshot->l1_entries);
    error = error ? error : write_l1(node, self, l1, snapshot->l1_entries, &place);
    error = error ? error : qcow2_write_dirty(&qcow2->blocks);
    error = error ? error : block_flush(node->file);
    if (error) {
        free(l1);
        return error;
    }
    uint64_t *old = qcow2->l1;
    qcow2->l1 = l1;
    header->l1_offset = place;
    header->l1_entries = snapshot->l1_entries;
    header->size = snapshot->disk_size;
    error = qcow2_header_write(node);
    error = error ? error : block_flush(node->file);
    error = error ? error : visit_l1(&shrink, old, before.l1_entries);
    error = error ? error
                  : qcow2_change_refcounts(node, self, before.l1_offset, before.l1_entries * sizeof(uint64_t), -1);
    error = error ? error : visit_l1(&look, qcow2->l1, header->l1_entries);
    error = error ? error : write_active_l1(node);
    free(old);
    atomic_store(&node->size, align_down(header->size, BLOCK_SECTOR));
    return error;
}

/* Everything is in the file before, and read from it afterwards. */
static void run_operation(void *data)
{
    Operation *operation = data;
    BlockNode *node = operation->node;
    Qcow2 *qcow2 = node->state;
    BlockTask *self = qcow2_task(node);
    operation->error = qcow2_flush_all(node);
    if (operation->error) {
        return;
    }
    task_lock(&qcow2->lock, self);
    qcow2_cache_empty(&qcow2->tables);
    operation->error = qcow2_begin_changes(node);
    operation->error = operation->error ? operation->error : operation->run(operation, self);
    task_unlock(&qcow2->lock);
    int error = qcow2_flush_all(node);
    operation->error = operation->error ? operation->error : error;
}

static bool change(BlockNode *node, int (*run)(Operation *operation, BlockTask *self), const char *name,
                   const BlockSnapshot *given, Error **error)
{
    Operation operation = { .node = node, .run = run, .given = given };
    if (!qcow2_may_change(node->state, error)) {
        return false;
    }
    if (!qcow2_snapshots_read(node, &operation.snapshots, &operation.table_bytes, error)) {
        return false;
    }
    operation.snapshot = name ? qcow2_snapshot_find(&operation.snapshots, name) : NULL;
    bool ok = !name || operation.snapshot || error_set_errno(error, ENOENT, "snapshot '%s'", name);
    if (ok && given && (operation.snapshots.count >= QCOW2_MAXIMUM_SNAPSHOTS ||
                        strlen(given->name) > UINT16_MAX)) {
        ok = error_set_errno(error, EFBIG, "snapshot '%s'", given->name);
    }
    if (ok && qcow2_has(node->state, QCOW2_EXTERNAL_DATA)) {
        ok = error_set_errno(error, ENOTSUP, "images with external data files have no snapshots");
    }
    if (ok) {
        block_task_call(block_graph_runtime(node->graph), run_operation, &operation);
        Error *after = NULL;
        if (operation.error) {
            ok = error_set_errno(error, operation.error, "the tables could not be changed");
        }
        bool reloaded = qcow2_reload(node, &after);
        ok = ok && reloaded ? true : ok ? error_propagate(error, after) : (error_free(after), false);
    }
    qcow2_snapshots_clear(&operation.snapshots);
    return ok;
}

bool qcow2_snapshot_create(BlockNode *node, const BlockSnapshot *snapshot, Error **error)
{
    return change(node, create, NULL, snapshot, error);
}

bool qcow2_snapshots_rewrite(BlockNode *node, Error **error) { return change(node, rewrite, NULL, NULL, error); }

bool qcow2_snapshot_delete(BlockNode *node, const char *name, Error **error)
{
    return change(node, delete, name, NULL, error);
}

bool qcow2_snapshot_apply(BlockNode *node, const char *name, Error **error)
{
    return change(node, apply, name, NULL, error);
}
