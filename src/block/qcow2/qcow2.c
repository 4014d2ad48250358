/*
 * The "qcow2" driver: images of versions 2 and 3, after the specification "Qcow2 Image File Format".
 *
 * Here: opening and closing, and what is asked of an image as a whole. Not supported: encryption.
 */
#include "block/qcow2/qcow2.h"

#include "api/json.h"
#include "base/error.h"
#include "schema/block.h"

#include <errno.h>
#include <stdatomic.h>

static bool open_data_file(BlockNode *node, Error **error)
{
    Qcow2 *qcow2 = node->state;
    qcow2->data = node->file;
    if (!qcow2_has(qcow2, QCOW2_EXTERNAL_DATA)) {
        return !block_has_child_options(node, "data-file") ||
               error_set(error, "'data-file' can only be set for images with an external data file");
    }
    if (node->flags & BLOCK_OPEN_NO_DATA) {
        return true;
    }
    if (!qcow2->header.data_file && !block_has_child_options(node, "data-file")) {
        return error_set(error, "'data-file' is required for this image");
    }
    qcow2->data = block_open_named_child(node, "data-file", qcow2->header.data_file, error);
    return qcow2->data != NULL;
}

static bool open_backing(BlockNode *node, Error **error)
{
    const Qcow2Header *header = &((Qcow2 *)node->state)->header;
    return block_open_backing(node, header->backing_file, header->backing_format, error);
}

static void set_geometry(BlockNode *node)
{
    Qcow2 *qcow2 = node->state;
    unsigned cluster_bits = qcow2->header.cluster_bits;
    bool extended = qcow2_has(qcow2, QCOW2_EXTENDED_L2);
    qcow2->cluster_bytes = BIT(cluster_bits);
    qcow2->entry_bits = extended ? 4 : 3;
    qcow2->table_bits = cluster_bits - qcow2->entry_bits;
    qcow2->subcluster_bits = extended ? cluster_bits - 5 : cluster_bits;
    qcow2->block_bits = cluster_bits + 3 - qcow2->header.refcount_order;
    list_init(&qcow2->allocations);
    qcow2_codecs_init(&qcow2->codecs);
    node->limits.write_flags = BLOCK_COMPRESSED;
    atomic_store(&node->size, align_down(qcow2->header.size, BLOCK_SECTOR));
}

/* What a program has to forget that writes to the image without knowing what it is. */
static bool clear_unknown_features(BlockNode *node, Error **error)
{
    Qcow2 *qcow2 = node->state;
    uint64_t known = qcow2->header.autoclear & (QCOW2_RAW_DATA | (qcow2->header.has_bitmaps ? QCOW2_BITMAPS : 0));
    if (qcow2->header.autoclear == known) {
        return true;
    }
    qcow2->header.autoclear = known;
    int number = qcow2_header_write(node);
    return number == 0 || error_set_errno(error, number, "Could not update qcow2 header");
}

/* Of a corrupt image too: it may become so while it is open, and is then not written to. */
static bool load_for_writing(BlockNode *node, Error **error)
{
    Qcow2 *qcow2 = node->state;
    if (!qcow2_load_refcount_table(node, error) || !qcow2_note_metadata(node, error)) {
        return false;
    }
    qcow2->fresh_from = node->file->node->driver->grows_with_zeroes
                            ? align_up(block_node_size(node->file->node), qcow2->cluster_bytes)
                            : UINT64_MAX;
    qcow2_room_init(node);
    return qcow2_has(qcow2, QCOW2_CORRUPT) || clear_unknown_features(node, error);
}

static bool prepare_writing(BlockNode *node, Error **error)
{
    if (qcow2_has(node->state, QCOW2_CORRUPT) && !(node->opened_flags & BLOCK_OPEN_REPAIR)) {
        return error_set(error, "qcow2: Image is corrupt; cannot be opened read/write");
    }
    return load_for_writing(node, error);
}

static bool reload_tables(BlockNode *node, Error **error)
{
    Qcow2 *qcow2 = node->state;
    free(qcow2->l1);
    qcow2->l1 = NULL;
    if (!qcow2_load_l1(node, error)) {
        return false;
    }
    if (node->read_only) {
        return true;
    }
    free(qcow2->refcount_table);
    qcow2->refcount_table = NULL;
    qcow2->refcount_entries = 0;
    qcow2_set_clear(&qcow2->metadata);
    qcow2->free_hint = qcow2->stream_at = 0;
    return load_for_writing(node, error);
}

bool qcow2_reload(BlockNode *node, Error **error)
{
    Qcow2 *qcow2 = node->state;
    qcow2_trim(node);
    qcow2_cache_empty(&qcow2->tables);
    qcow2_cache_empty(&qcow2->blocks);
    return reload_tables(node, error) || error_prepend(error, "'%s': ", node->file_name);
}

static bool qcow2_open(BlockNode *node, const void *settings, Error **error)
{
    Qcow2 *qcow2 = node->state;
    node->file = block_open_child(node, "file", error);
    if (!node->file) {
        return false;
    }
    free(node->file_name);
    node->file_name = string_copy(node->file->node->file_name);
    if (!qcow2_header_read(&qcow2->header, node->file, error)) {
        return error_prepend(error, "'%s': ", node->file_name);
    }
    set_geometry(node);
    if (!qcow2_settings_apply(node, settings, error) || !qcow2_load_l1(node, error) ||
        (!node->read_only && !prepare_writing(node, error))) {
        return error_prepend(error, "'%s': ", node->file_name);
    }
    if (!open_data_file(node, error)) {
        return false;
    }
    BlockCheck check = { 0 };
    if (!node->read_only && qcow2_has(qcow2, QCOW2_DIRTY) &&
        !qcow2_check(node, BLOCK_FIX_LEAKS | BLOCK_FIX_ERRORS, &check, error)) { /* its counts may be wrong */
        return error_prepend(error, "'%s': Could not repair dirty image: ", node->file_name);
    }
    if (!open_backing(node, error) || (!node->read_only && !qcow2_bitmaps_use(node, error))) {
        return false;
    }
    qcow2_clean_start(node);
    return true;
}

/* The counts in the file are right again. */
static void finish_writing(void *data)
{
    BlockNode *node = data;
    Qcow2 *qcow2 = node->state;
    qcow2_bitmaps_store(node);
    if (qcow2_flush_all(node) == 0 && qcow2_has(qcow2, QCOW2_DIRTY)) {
        qcow2->header.incompatible &= ~QCOW2_DIRTY;
        qcow2_header_write(node);
        block_flush(node->file);
    }
}

static void qcow2_close(BlockNode *node)
{
    Qcow2 *qcow2 = node->state;
    if (qcow2->refcount_table && qcow2->data && !qcow2_has(qcow2, QCOW2_CORRUPT)) {
        block_task_call(block_graph_runtime(node->graph), finish_writing, node);
        qcow2_trim(node);
    }
    if (qcow2->clean_timer.loop) {
        block_timer_cancel(&qcow2->clean_timer);
    }
    qcow2_cache_clear(&qcow2->tables);
    qcow2_cache_clear(&qcow2->blocks);
    qcow2_codecs_clear(&qcow2->codecs);
    qcow2_header_clear(&qcow2->header);
    qcow2_set_clear(&qcow2->metadata);
    vec_free(&qcow2->l1_changes);
    vec_free(&qcow2->refcount_changes);
    vec_free(&qcow2->frees);
    vec_free(&qcow2->flushed_frees);
    vec_free(&qcow2->waiting_frees);
    free(qcow2->refcount_table);
    free(qcow2->l1);
}

static int qcow2_status(BlockNode *node, uint64_t offset, uint64_t bytes, BlockStatus *status)
{
    const Qcow2 *qcow2 = node->state;
    Qcow2Extent extent = { 0 };
    unsigned token;
    int error = qcow2_find(node, offset, bytes, &extent, &token);
    if (error) {
        return error;
    }
    qcow2_leave(node, token);
    bool unallocated = extent.kind == QCOW2_UNALLOCATED, data = extent.kind == QCOW2_DATA;
    *status = (BlockStatus){ .bytes = extent.bytes, .data = data || extent.kind == QCOW2_COMPRESSED,
                             .zero = extent.kind == QCOW2_ZERO || (unallocated && !node->backing),
                             .allocated = !unallocated, .compressed = extent.kind == QCOW2_COMPRESSED,
                             .has_offset = extent.placed, .offset = extent.placed ? extent.offset : 0,
                             .node = extent.placed ? qcow2->data->node : NULL };
    return data ? qcow2_look_for_holes(node, status) : 0;
}

/* What it says of itself */

static Json *specific_facts(const BlockNode *node)
{
    const Qcow2 *qcow2 = node->state;
    const Qcow2Header *header = &qcow2->header;
    Json *json = json_object(), *bitmaps = qcow2_bitmaps_describe((BlockNode *)node);
    json_set(json, "compat", json_string(header->version >= 3 ? "1.1" : "0.10"));
    json_set(json, "compression-type", json_string(header->compression == QCOW2_ZSTD ? "zstd" : "zlib"));
    if (header->version >= 3) {
        json_set(json, "lazy-refcounts", json_bool(header->compatible & QCOW2_LAZY_REFCOUNTS));
    }
    if (bitmaps) {
        json_set(json, "bitmaps", bitmaps);
    }
    json_set(json, "refcount-bits", json_int(1 << header->refcount_order));
    if (header->data_file) {
        json_set(json, "data-file", json_string(header->data_file));
    }
    if (qcow2_has(qcow2, QCOW2_EXTERNAL_DATA)) {
        json_set(json, "data-file-raw", json_bool(header->autoclear & QCOW2_RAW_DATA));
    }
    if (header->version >= 3) {
        json_set(json, "corrupt", json_bool(header->incompatible & QCOW2_CORRUPT));
        json_set(json, "extended-l2", json_bool(header->incompatible & QCOW2_EXTENDED_L2));
    }
    return json;
}

static void qcow2_facts(const BlockNode *node, BlockFacts *facts)
{
    const Qcow2 *qcow2 = node->state;
    *facts = (BlockFacts){ .cluster_bytes = (uint32_t)qcow2->cluster_bytes,
                           .vm_state_offset = qcow2_state_offset(qcow2),
                           .dirty = qcow2_has(qcow2, QCOW2_DIRTY),
                           .corrupt = qcow2_has(qcow2, QCOW2_CORRUPT), .backing_file = qcow2->header.backing_file,
                           .backing_format = qcow2->header.backing_format, .specific = specific_facts(node) };
}

static void set_name(char **name, const char *text)
{
    char *copy = string_copy(text); /* it may be the same */
    free(*name);
    *name = copy;
}

static bool qcow2_change_backing_file(BlockNode *node, const char *filename, const char *format, Error **error)
{
    Qcow2Header *header = &((Qcow2 *)node->state)->header;
    if (filename && header->autoclear & QCOW2_RAW_DATA) {
        return error_set(error, "Backing file and data-file-raw cannot be used at the same time");
    }
    set_name(&header->backing_file, filename);
    set_name(&header->backing_format, filename ? format : NULL);
    return qcow2_header_rewrite(node, error);
}

/* All that it has goes, so that the backing file shows. */

typedef struct Emptying {
    BlockNode *node;
    int error;
} Emptying;

static void run_emptying(void *data)
{
    Emptying *emptying = data;
    BlockNode *node = emptying->node;
    Qcow2 *qcow2 = node->state;
    BlockTask *self = qcow2_task(node);
    task_lock(&qcow2->lock, self);
    int error = qcow2_begin_changes(node);
    error = error ? error : qcow2_drop_range(node, self, 0, align_up(qcow2->header.size, qcow2->cluster_bytes));
    task_unlock(&qcow2->lock);
    emptying->error = error ? error : qcow2_flush_all(node);
}

static bool qcow2_make_empty(BlockNode *node, Error **error)
{
    Emptying emptying = { .node = node };
    block_task_call(block_graph_runtime(node->graph), run_emptying, &emptying);
    return !emptying.error || error_set_errno(error, emptying.error, "Could not empty the image");
}

static const char *const children[] = { "file", "data-file", "backing", NULL };

const BlockDriver qcow2_driver = {
    .name = "qcow2",
    .compresses = true,
    .state_size = sizeof(Qcow2),
    .settings = &Qcow2Settings_type,
    .children = children,
    .probe = qcow2_probe,
    .child_permissions = block_format_permissions,
    .open = qcow2_open,
    .close = qcow2_close,
    .map = qcow2_map,
    .map_done = qcow2_leave,
    .read = qcow2_read,
    .write = qcow2_write,
    .write_zeroes = qcow2_write_zeroes,
    .copy_to = qcow2_copy_to,
    .discard = qcow2_discard,
    .flush = qcow2_flush,
    .status = qcow2_status,
    .resize = qcow2_resize,
    .state = qcow2_state,
    .create_type = &Qcow2CreateOptions_type,
    .create = qcow2_create,
    .amend_type = &Qcow2AmendOptions_type,
    .amend = qcow2_amend,
    .measure = qcow2_measure,
    .has_backing = true,
    .facts = qcow2_facts,
    .check = qcow2_check,
    .snapshot_list = qcow2_snapshot_list,
    .snapshot_create = qcow2_snapshot_create,
    .snapshot_apply = qcow2_snapshot_apply,
    .snapshot_delete = qcow2_snapshot_delete,
    .snapshot_load = qcow2_snapshot_load,
    .bitmaps_supported = qcow2_bitmaps_supported,
    .bitmaps_load = qcow2_bitmaps_load,
    .bitmap_check = qcow2_bitmap_check,
    .make_empty = qcow2_make_empty,
    .change_backing_file = qcow2_change_backing_file,
};
