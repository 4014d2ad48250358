/* Growing and shrinking the disk, and allocating space for it beforehand. Nothing else is on its way meanwhile. */
#include "block/qcow2/qcow2.h"

#include "base/bytes.h"
#include "base/error.h"
#include "schema/block.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>

/* The L1 table */

uint64_t qcow2_l1_entries_for(const Qcow2 *qcow2, uint64_t size)
{
    unsigned shift = qcow2->table_bits + qcow2->header.cluster_bits;
    return (size >> shift) + ((size & mask_bits(shift)) != 0);
}

/* `lock` is held. A larger table, in the file and in memory; all else is flushed. */
static int grow_l1(BlockNode *node, BlockTask *self, uint64_t entries)
{
    Qcow2 *qcow2 = node->state;
    Qcow2Header *header = &qcow2->header;
    uint64_t bytes = entries * sizeof(uint64_t), place = 0, count, old_offset = header->l1_offset,
             old_bytes = header->l1_entries * sizeof(uint64_t);
    if (bytes > QCOW2_MAXIMUM_L1_BYTES) {
        return EFBIG;
    }
    uint64_t clusters = qcow2_clusters(qcow2, bytes), file_bytes = clusters << header->cluster_bits;
    AUTO_FREE uint8_t *buffer = block_buffer(node->file->node, file_bytes);
    int error = buffer ? qcow2_allocate(node, self, clusters, true, &place, &count) : ENOMEM;
    if (error) {
        return error;
    }
    uint64_t *table = mem_alloc_array(entries, sizeof *table);
    memcpy(table, qcow2->l1, old_bytes);
    memset(buffer, 0, file_bytes);
    for (uint64_t i = 0; i < header->l1_entries; i++) {
        store_be64(buffer + i * sizeof(uint64_t), table[i]);
    }
    free(qcow2->l1);
    qcow2->l1 = table;
    qcow2->l1_changes.count = 0;
    qcow2_note_table(qcow2, QCOW2_TABLE_L1, place, clusters << header->cluster_bits);
    header->l1_entries = (uint32_t)entries;
    header->l1_offset = place;
    error = block_write(node->file, place, buffer, align_up(bytes, BLOCK_SECTOR), 0);
    error = error ? error : qcow2_write_dirty(&qcow2->blocks);
    error = error ? error : block_flush(node->file);
    error = error ? error : qcow2_header_write(node);
    if (!error && old_bytes) {
        qcow2_free(qcow2, old_offset, old_bytes, QCOW2_FREE_OTHER);
        for (uint64_t i = 0; i < qcow2_clusters(qcow2, old_bytes); i++) {
            qcow2_set_remove(&qcow2->metadata, (old_offset >> header->cluster_bits) + i);
        }
    }
    return error;
}

/* `lock` is held: tables that lie behind the disk's end go, with all they have. */
static int drop_tables(BlockNode *node, BlockTask *self, uint64_t first)
{
    Qcow2 *qcow2 = node->state;
    unsigned shift = qcow2->table_bits + qcow2->header.cluster_bits;
    for (uint64_t i = first; i < qcow2->header.l1_entries; i++) {
        bool has_table = qcow2->l1[i] & QCOW2_OFFSET;
        int error = has_table ? qcow2_drop_range(node, self, i << shift, (i + 1) << shift) : 0;
        if (error) {
            return error;
        }
        uint64_t table = qcow2->l1[i] & QCOW2_OFFSET; /* in place of a snapshot's there is now a copy of it */
        if (table) {
            qcow2->l1[i] = 0;
            vec_push(&qcow2->l1_changes, (Qcow2Change){ (uint32_t)i, 0 });
            qcow2_set_remove(&qcow2->metadata, table >> qcow2->header.cluster_bits);
            qcow2_free(qcow2, table, qcow2->cluster_bytes, QCOW2_FREE_OTHER);
        }
    }
    return 0;
}

/* Space for what is new */

typedef struct Resize {
    BlockNode *node;
    uint64_t size;
    int preallocation; /* PreallocMode */
    uint64_t host_end; /* of what was allocated, in the data file */
    const char *what;  /* failed */
    int error;
} Resize;

static int write_zero_bytes(BlockEdge *edge, uint64_t offset, uint64_t bytes)
{
    size_t size = MIN(bytes, MIB);
    AUTO_FREE uint8_t *zeroes = block_buffer(edge->node, size);
    int error = zeroes ? 0 : ENOMEM;
    if (zeroes) {
        memset(zeroes, 0, size);
    }
    for (uint64_t done = 0; done < bytes && !error; done += size) {
        error = block_write(edge, offset + done, zeroes, MIN(size, bytes - done), 0);
    }
    return error;
}

/* New clusters of the file: as the mode says, and so that what was there before does not show. */
static int fill_clusters(const Resize *resize, uint64_t host, uint64_t bytes, bool fresh)
{
    const BlockNode *node = resize->node;
    switch (resize->preallocation) {
    case PREALLOC_MODE_FULL:
        return write_zero_bytes(node->file, host, bytes);
    case PREALLOC_MODE_FALLOC:
        return block_write_zeroes(node->file, host, bytes, 0); /* takes the space */
    default:
        return fresh || qcow2_has(node->state, QCOW2_EXTENDED_L2) ? 0 : block_write_zeroes(node->file, host, bytes, 0);
    }
}

/* `lock` is held. As far as one slice and one run of clusters go. */
static int preallocate_some(Resize *resize, BlockTask *self, uint64_t offset, uint64_t *done)
{
    BlockNode *node = resize->node;
    Qcow2 *qcow2 = node->state;
    uint64_t end = resize->size;
    Qcow2Slice *slice;
    uint64_t host = offset, fresh_from = qcow2->fresh_from;
    uint64_t count = qcow2_clusters(qcow2, MIN(end, qcow2_slice_end(qcow2, offset)) - offset);
    int error = qcow2_get_writable_slice(node, self, offset, &slice);
    if (error) {
        return error;
    }
    if (!qcow2_has(qcow2, QCOW2_EXTERNAL_DATA)) {
        error = qcow2_allocate(node, self, count, false, &host, &count);
        error = error ? error
                      : fill_clusters(resize, host, count << qcow2->header.cluster_bits, host >= fresh_from);
    }
    for (uint64_t i = 0; i < count && !error; i++) {
        uint64_t at = i << qcow2->header.cluster_bits;
        Qcow2Entry old = qcow2_load_entry(qcow2, slice, offset + at);
        qcow2_store_entry(qcow2, slice, offset + at, (Qcow2Entry){ (host + at) | QCOW2_COPIED, 0 });
        qcow2_free_entry(qcow2, &old, QCOW2_FREE_OTHER);
    }
    qcow2_cache_put(&qcow2->tables, slice);
    *done = count << qcow2->header.cluster_bits;
    resize->host_end = MAX(resize->host_end, host + *done);
    return error;
}

/* The resizing, in a task */

static int shrink(Resize *resize, BlockTask *self)
{
    BlockNode *node = resize->node;
    Qcow2 *qcow2 = node->state;
    uint64_t from = align_up(resize->size, qcow2->cluster_bytes), first = qcow2_l1_entries_for(qcow2, resize->size);
    unsigned shift = qcow2->table_bits + qcow2->header.cluster_bits;
    resize->what = "Failed to discard cropped clusters";
    uint64_t end = MIN(first << shift, align_up(qcow2->header.size, qcow2->cluster_bytes));
    int error = qcow2_drop_range(node, self, from, end);
    return error ? error : drop_tables(node, self, first);
}

static int preallocate(Resize *resize, BlockTask *self, uint64_t from)
{
    uint64_t cluster = ((Qcow2 *)resize->node->state)->cluster_bytes, done = 0;
    int error = 0;
    resize->what = "Could not preallocate";
    for (uint64_t at = align_up(from, cluster); at < resize->size && !error; at += done) {
        error = preallocate_some(resize, self, at, &done);
    }
    return error;
}

/* Nothing of the backing file, or of what was there before a shrinking, may show in what is new. `lock` is open. */
static int clear_new(Resize *resize, uint64_t from)
{
    BlockNode *node = resize->node;
    uint64_t cluster = ((Qcow2 *)node->state)->cluster_bytes;
    uint64_t end = MIN(align_up(from, cluster), resize->size);
    uint64_t below = node->backing ? MIN(block_node_size(node->backing->node), resize->size) : 0;
    resize->what = "Failed to zero out the new area";
    int error = end > from ? qcow2_zero_range(node, from, end - from) : 0;
    return !error && below > end ? qcow2_zero_range(node, end, below - end) : error;
}

static int change_size(Resize *resize, BlockTask *self)
{
    BlockNode *node = resize->node;
    Qcow2 *qcow2 = node->state;
    uint64_t before = qcow2->header.size, entries = qcow2_l1_entries_for(qcow2, resize->size);
    task_lock(&qcow2->lock, self);
    int error = qcow2_begin_changes(node);
    if (!error && resize->size < before) {
        error = shrink(resize, self);
    }
    if (!error && entries > qcow2->header.l1_entries) {
        resize->what = "Failed to grow the L1 table";
        error = grow_l1(node, self, entries);
    }
    task_unlock(&qcow2->lock);
    if (error) {
        return error;
    }
    qcow2->header.size = resize->size; /* in memory; the file has it when what is new is clean */
    atomic_store(&node->size, resize->size);
    if (resize->size > before) {
        error = clear_new(resize, before);
        task_lock(&qcow2->lock, self);
        error = !error && resize->preallocation != PREALLOC_MODE_OFF ? preallocate(resize, self, before) : error;
        task_unlock(&qcow2->lock);
    }
    error = error ? error : qcow2_flush_all(node);
    return error;
}

static void run_resize(void *data)
{
    Resize *resize = data;
    BlockNode *node = resize->node;
    Qcow2 *qcow2 = node->state;
    uint64_t before = qcow2->header.size;
    resize->what = "Could not write the tables";
    resize->error = qcow2_flush_all(node);
    resize->error = resize->error ? resize->error : change_size(resize, qcow2_task(node));
    if (resize->error) {
        qcow2->header.size = before;
        atomic_store(&node->size, align_down(before, BLOCK_SECTOR));
        return;
    }
    resize->what = "Failed to update the image size";
    resize->error = qcow2_header_write(node);
    resize->error = resize->error ? resize->error : block_flush(node->file);
}

/* The state of a machine, behind the disk. It is reached through the same tables. */

uint64_t qcow2_state_offset(const Qcow2 *qcow2)
{
    return align_up(qcow2->header.size, BIT(qcow2->table_bits + qcow2->header.cluster_bits));
}

static int make_room(BlockNode *node, uint64_t end)
{
    Qcow2 *qcow2 = node->state;
    BlockTask *self = qcow2_task(node);
    uint64_t entries = qcow2_l1_entries_for(qcow2, end);
    if (entries <= qcow2->header.l1_entries) {
        return 0;
    }
    int error = qcow2_flush_all(node);
    task_lock(&qcow2->lock, self);
    error = error ? error : qcow2_begin_changes(node);
    error = error || entries <= qcow2->header.l1_entries ? error : grow_l1(node, self, entries);
    task_unlock(&qcow2->lock);
    return error;
}

int qcow2_state(BlockNode *node, bool write, uint64_t offset, uint64_t bytes, BlockVectors vectors)
{
    const Qcow2 *qcow2 = node->state;
    uint64_t start = qcow2_state_offset(qcow2);
    if (qcow2_has(qcow2, QCOW2_EXTERNAL_DATA)) {
        return ENOTSUP;
    }
    if (offset > INT64_MAX - start || bytes > INT64_MAX - start - offset) {
        return EFBIG;
    }
    if (!write) {
        return qcow2_read(node, start + offset, bytes, vectors);
    }
    int error = make_room(node, start + offset + bytes);
    return error ? error : qcow2_write(node, start + offset, bytes, vectors, 0);
}

/* The files below */

static bool resize_data_file(BlockNode *node, uint64_t size, int preallocation, Error **error)
{
    const Qcow2 *qcow2 = node->state;
    bool needed = size > block_node_size(qcow2->data->node) || qcow2->header.autoclear & QCOW2_RAW_DATA;
    int mode = preallocation == PREALLOC_MODE_METADATA ? PREALLOC_MODE_OFF : preallocation;
    return !qcow2_has(qcow2, QCOW2_EXTERNAL_DATA) || !needed || size == block_node_size(qcow2->data->node) ||
           block_resize(qcow2->data, size, mode, error);
}

static bool check_resize(const BlockNode *node, uint64_t size, int preallocation, Error **error)
{
    const Qcow2 *qcow2 = node->state;
    if (size % BLOCK_SECTOR) {
        return error_set(error, "The new size must be a multiple of %d", BLOCK_SECTOR);
    }
    if (qcow2->header.snapshots && qcow2->header.version < 3) {
        return error_set(error, "Can't resize a v2 image which has snapshots");
    }
    return size >= qcow2->header.size || preallocation == PREALLOC_MODE_OFF ||
           error_set(error, "Preallocation can't be used for shrinking an image");
}

bool qcow2_resize(BlockNode *node, uint64_t size, int preallocation, Error **error)
{
    const Qcow2 *qcow2 = node->state;
    Resize resize = { .node = node, .size = size, .preallocation = preallocation };
    if (!qcow2_may_change(qcow2, error) || !check_resize(node, size, preallocation, error) ||
        (size > qcow2->header.size && !resize_data_file(node, size, preallocation, error))) {
        return false;
    }
    block_task_call(block_graph_runtime(node->graph), run_resize, &resize);
    if (resize.error) {
        return error_set_errno(error, resize.error, "%s", resize.what);
    }
    if (qcow2_has(qcow2, QCOW2_EXTERNAL_DATA)) {
        return resize_data_file(node, size, PREALLOC_MODE_OFF, error);
    }
    return resize.host_end <= block_node_size(node->file->node) ||
           block_resize(node->file, resize.host_end, PREALLOC_MODE_OFF, error);
}
