/* Internal snapshots: reading the table of them, and reading as one of them. */
#include "block/qcow2/qcow2.h"

#include "base/bytes.h"
#include "base/error.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>

enum { FIXED_BYTES = 40, MAXIMUM_EXTRA = 1024, STATE_EXTRA = 8, SIZE_EXTRA = 16, ICOUNT_EXTRA = 24 };
#define MAXIMUM_TABLE_BYTES (64 * MIB)

/* Reading */

static void take_extra(Qcow2Snapshot *snapshot, const uint8_t *bytes, size_t count, uint64_t disk_size)
{
    snapshot->disk_size = count >= SIZE_EXTRA ? load_be64(bytes + STATE_EXTRA) : disk_size;
    if (count >= STATE_EXTRA) {
        snapshot->vm_state_bytes = load_be64(bytes);
    }
    snapshot->has_icount = count >= ICOUNT_EXTRA && load_be64(bytes + SIZE_EXTRA) != UINT64_MAX;
    snapshot->icount = snapshot->has_icount ? load_be64(bytes + SIZE_EXTRA) : 0;
    if (count > ICOUNT_EXTRA) {
        snapshot->extra_bytes = count - ICOUNT_EXTRA;
        snapshot->extra = mem_copy(bytes + ICOUNT_EXTRA, snapshot->extra_bytes);
    }
}

static bool read_bytes(BlockNode *node, uint64_t *at, void *bytes, size_t count, Error **error)
{
    uint64_t size = block_node_size(node->file->node);
    if (*at > size || count > size - *at) {
        return error_set(error, "Snapshot table lies outside the file");
    }
    int number = block_read(node->file, *at, bytes, count);
    *at += count;
    return number == 0 || error_set_errno(error, number, "Failed to read snapshot table");
}

static bool check_l1(const BlockNode *node, const Qcow2Snapshot *snapshot, Error **error)
{
    const Qcow2 *qcow2 = node->state;
    return (snapshot->l1_entries <= QCOW2_MAXIMUM_L1_BYTES / sizeof(uint64_t) &&
            snapshot->l1_offset % qcow2->cluster_bytes == 0) ||
           error_set(error, "Snapshot L1 table of '%s' is invalid", snapshot->name);
}

static bool read_one(BlockNode *node, uint64_t *at, Qcow2Snapshot *snapshot, Error **error)
{
    const Qcow2 *qcow2 = node->state;
    uint8_t fixed[FIXED_BYTES], extra[MAXIMUM_EXTRA];
    if (!read_bytes(node, at, fixed, sizeof fixed, error)) {
        return false;
    }
    uint32_t id_bytes = load_be16(fixed + 12), name_bytes = load_be16(fixed + 14), extra_bytes = load_be32(fixed + 36);
    *snapshot = (Qcow2Snapshot){ .l1_offset = load_be64(fixed), .l1_entries = load_be32(fixed + 8),
                                 .date_seconds = load_be32(fixed + 16), .date_nanoseconds = load_be32(fixed + 20),
                                 .vm_clock_ns = load_be64(fixed + 24), .vm_state_bytes = load_be32(fixed + 32) };
    if (extra_bytes > MAXIMUM_EXTRA) {
        return error_set(error, "Too much extra metadata in snapshot table entry");
    }
    if (!read_bytes(node, at, extra, extra_bytes, error)) {
        return false;
    }
    take_extra(snapshot, extra, extra_bytes, qcow2->header.size);
    snapshot->id = mem_alloc0(id_bytes + 1);
    snapshot->name = mem_alloc0(name_bytes + 1);
    if (!read_bytes(node, at, snapshot->id, id_bytes, error) ||
        !read_bytes(node, at, snapshot->name, name_bytes, error)) {
        return false;
    }
    *at = align_up(*at, 8);
    return check_l1(node, snapshot, error);
}

bool qcow2_snapshots_read(BlockNode *node, Qcow2Snapshots *snapshots, uint64_t *bytes, Error **error)
{
    const Qcow2Header *header = &((Qcow2 *)node->state)->header;
    uint64_t at = header->snapshots_offset;
    bool ok = true;
    *snapshots = (Qcow2Snapshots){ 0 };
    for (uint32_t i = 0; i < header->snapshots && ok; i++) {
        vec_push(snapshots, (Qcow2Snapshot){ 0 });
        ok = read_one(node, &at, &snapshots->items[i], error);
        if (ok && at - header->snapshots_offset > MAXIMUM_TABLE_BYTES) {
            ok = error_set(error, "Snapshot table is too large");
        }
    }
    *bytes = at - header->snapshots_offset;
    if (!ok) {
        qcow2_snapshots_clear(snapshots);
    }
    return ok;
}

void qcow2_snapshot_clear(Qcow2Snapshot *snapshot)
{
    free(snapshot->id);
    free(snapshot->name);
    free(snapshot->extra);
}

void qcow2_snapshots_clear(Qcow2Snapshots *snapshots)
{
    for (size_t i = 0; i < snapshots->count; i++) {
        qcow2_snapshot_clear(&snapshots->items[i]);
    }
    vec_free(snapshots);
}

int qcow2_snapshot_read_l1(BlockNode *node, const Qcow2Snapshot *snapshot, uint64_t **l1)
{
    uint64_t bytes = snapshot->l1_entries * sizeof(uint64_t), size = block_node_size(node->file->node);
    *l1 = mem_alloc(MAX(bytes, 1));
    if (bytes && (snapshot->l1_offset > size || bytes > size - snapshot->l1_offset)) {
        return EIO;
    }
    int error = block_read(node->file, snapshot->l1_offset, *l1, bytes);
    for (uint32_t i = 0; i < snapshot->l1_entries && !error; i++) {
        (*l1)[i] = load_be64(&(*l1)[i]);
    }
    return error;
}

bool qcow2_snapshot_list(BlockNode *node, BlockSnapshots *list, Error **error)
{
    Qcow2Snapshots snapshots;
    uint64_t bytes;
    *list = (BlockSnapshots){ 0 };
    if (!qcow2_snapshots_read(node, &snapshots, &bytes, error)) {
        return false;
    }
    for (size_t i = 0; i < snapshots.count; i++) {
        const Qcow2Snapshot *one = &snapshots.items[i];
        vec_push(list, (BlockSnapshot){ .id = string_copy(one->id), .name = string_copy(one->name),
                                        .disk_size = one->disk_size, .vm_state_bytes = one->vm_state_bytes,
                                        .vm_clock_ns = one->vm_clock_ns, .date_seconds = one->date_seconds,
                                        .date_nanoseconds = one->date_nanoseconds, .has_icount = one->has_icount,
                                        .icount = one->icount });
    }
    qcow2_snapshots_clear(&snapshots);
    return true;
}

Qcow2Snapshot *qcow2_snapshot_find(const Qcow2Snapshots *snapshots, const char *name)
{
    for (size_t i = 0; i < snapshots->count; i++) {
        if (strcmp(snapshots->items[i].id, name) == 0) {
            return &snapshots->items[i];
        }
    }
    for (size_t i = 0; i < snapshots->count; i++) {
        if (strcmp(snapshots->items[i].name, name) == 0) {
            return &snapshots->items[i];
        }
    }
    return NULL;
}

bool qcow2_snapshot_load(BlockNode *node, const char *name, Error **error)
{
    Qcow2 *qcow2 = node->state;
    Qcow2Snapshots snapshots;
    uint64_t bytes, *l1 = NULL;
    if (!node->read_only) {
        return error_set(error, "only a read-only image can read as a snapshot");
    }
    if (!qcow2_snapshots_read(node, &snapshots, &bytes, error)) {
        return false;
    }
    const Qcow2Snapshot *snapshot = qcow2_snapshot_find(&snapshots, name);
    int number = snapshot ? qcow2_snapshot_read_l1(node, snapshot, &l1) : 0;
    bool ok = snapshot ? number == 0 || error_set_errno(error, number, "Could not read the snapshot's L1 table")
                       : error_set(error, "Can't find snapshot");
    if (ok) {
        free(qcow2->l1);
        qcow2->l1 = l1;
        qcow2->header.l1_entries = snapshot->l1_entries;
        atomic_store(&node->size, align_down(MIN(snapshot->disk_size, INT64_MAX), BLOCK_SECTOR));
    } else {
        free(l1);
    }
    qcow2_snapshots_clear(&snapshots);
    return ok;
}
