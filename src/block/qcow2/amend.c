/*
 * Changing what an image was made with: its version, the width of its refcounts, lazy refcounts, size, data file.
 * Nothing else is on its way meanwhile. A step is whole in the file before the next one begins.
 *
 * Not here: encryption; the backing file (that is rebasing).
 */
#include "block/qcow2/qcow2.h"

#include "base/bytes.h"
#include "base/error.h"
#include "schema/block.h"

#include <errno.h>
#include <inttypes.h>

/* Zero clusters, which version 2 does not have */

typedef struct Clearing {
    BlockNode *node;
    BlockTask *self;
    uint8_t *table;
    Qcow2Set seen; /* tables that were worked on */
    Qcow2Frees frees;
    Qcow2Snapshots snapshots;
    int error;
} Clearing;

static uint64_t flagged(uint64_t offset, uint64_t count) { return count == 1 ? offset | QCOW2_COPIED : offset; }

/* A cluster full of zeroes with `count` references. */
static int make_zero_cluster(Clearing *clearing, uint64_t count, uint64_t *offset)
{
    const Qcow2 *qcow2 = clearing->node->state;
    uint64_t one;
    int error = qcow2_allocate(clearing->node, clearing->self, 1, true, offset, &one);
    for (uint64_t i = 1; i < count && !error; i++) {
        error = qcow2_change_refcounts(clearing->node, clearing->self, *offset, 1, 1);
    }
    return error ? error : block_write_zeroes(clearing->node->file, *offset, qcow2->cluster_bytes, 0);
}

/* An entry with the flag, of a table with `count` references: as many has each cluster by it. */
static int clear_entry(Clearing *clearing, uint64_t *entry, uint64_t count)
{
    const Qcow2 *qcow2 = clearing->node->state;
    uint64_t offset = *entry & QCOW2_OFFSET, references = 0;
    int error = 0;
    if (offset) {
        error = qcow2_get_refcount(clearing->node, clearing->self, offset >> qcow2->header.cluster_bits, &references);
    }
    if (error || references == count) { /* nobody else's */
        *entry = flagged(offset, count);
        return error ? error : block_write_zeroes(clearing->node->file, offset, qcow2->cluster_bytes, 0);
    }
    for (uint64_t i = 0; i < count && offset; i++) {
        vec_push(&clearing->frees, (Qcow2Free){ offset, qcow2->cluster_bytes, QCOW2_FREE_OTHER });
    }
    *entry = 0; /* reads as zeroes where nothing is below */
    if (qcow2->header.backing_file) {
        error = make_zero_cluster(clearing, count, &offset);
        *entry = flagged(offset, count);
    }
    return error;
}

static int change_table(Clearing *clearing, uint64_t count, bool *changed)
{
    const Qcow2 *qcow2 = clearing->node->state;
    for (uint64_t i = 0; i < BIT(qcow2->table_bits); i++) {
        uint8_t *at = clearing->table + i * sizeof(uint64_t);
        uint64_t entry = load_be64(at);
        if (entry & QCOW2_ZERO_FLAG && !(entry & QCOW2_COMPRESSED_FLAG)) {
            int error = clear_entry(clearing, &entry, count);
            if (error) {
                return error;
            }
            store_be64(at, entry);
            *changed = true;
        }
    }
    return 0;
}

/* New clusters are counted in the file before it; old ones lose their counts after it. `lock` is held. */
static int write_table(Clearing *clearing, uint64_t place)
{
    Qcow2 *qcow2 = clearing->node->state;
    task_unlock(&qcow2->lock);
    int error = qcow2_flush_all(clearing->node);
    error = error ? error : block_write(clearing->node->file, place, clearing->table, qcow2->cluster_bytes, 0);
    error = error ? error : block_flush(clearing->node->file);
    task_lock(&qcow2->lock, clearing->self);
    for (size_t i = 0; i < clearing->frees.count && !error; i++) {
        qcow2_free(qcow2, clearing->frees.items[i].offset, clearing->frees.items[i].bytes, QCOW2_FREE_OTHER);
    }
    clearing->frees.count = 0;
    return error;
}

static int clear_table(Clearing *clearing, uint64_t place)
{
    const Qcow2 *qcow2 = clearing->node->state;
    uint64_t cluster = place >> qcow2->header.cluster_bits, count;
    bool changed = false;
    if (!place || qcow2_set_has(&clearing->seen, cluster)) {
        return 0;
    }
    if (place & (qcow2->cluster_bytes - 1)) {
        return EIO;
    }
    qcow2_set_add(&clearing->seen, cluster);
    int error = block_read(clearing->node->file, place, clearing->table, qcow2->cluster_bytes);
    error = error ? error : qcow2_get_refcount(clearing->node, clearing->self, cluster, &count);
    error = error ? error : change_table(clearing, count, &changed);
    return error || !changed ? error : write_table(clearing, place);
}

static int clear_l1(Clearing *clearing, const uint64_t *l1, uint32_t entries)
{
    int error = 0;
    for (uint32_t i = 0; i < entries && !error; i++) {
        error = clear_table(clearing, l1[i] & QCOW2_OFFSET);
    }
    return error;
}

static int clear_all(Clearing *clearing)
{
    BlockNode *node = clearing->node;
    const Qcow2 *qcow2 = node->state;
    int error = clear_l1(clearing, qcow2->l1, qcow2->header.l1_entries);
    for (size_t i = 0; i < clearing->snapshots.count && !error; i++) {
        uint64_t *l1 = NULL;
        error = qcow2_snapshot_read_l1(node, &clearing->snapshots.items[i], &l1);
        error = error ? error : clear_l1(clearing, l1, clearing->snapshots.items[i].l1_entries);
        free(l1);
    }
    return error;
}

static void run_clearing(void *data)
{
    Clearing *clearing = data;
    BlockNode *node = clearing->node;
    Qcow2 *qcow2 = node->state;
    clearing->self = qcow2_task(node);
    clearing->table = block_buffer(node->file->node, qcow2->cluster_bytes);
    clearing->error = clearing->table ? qcow2_flush_all(node) : ENOMEM;
    if (!clearing->error) {
        task_lock(&qcow2->lock, clearing->self);
        qcow2_cache_empty(&qcow2->tables);
        clearing->error = clear_all(clearing);
        task_unlock(&qcow2->lock);
        int error = qcow2_flush_all(node);
        clearing->error = clearing->error ? clearing->error : error;
    }
    free(clearing->table);
    vec_free(&clearing->frees);
    qcow2_set_clear(&clearing->seen);
}

static bool clear_zero_clusters(BlockNode *node, Error **error)
{
    Clearing clearing = { .node = node };
    uint64_t bytes;
    bool ok = qcow2_snapshots_read(node, &clearing.snapshots, &bytes, error);
    if (ok) {
        block_task_call(block_graph_runtime(node->graph), run_clearing, &clearing);
        ok = !clearing.error || error_set_errno(error, clearing.error, "Failed to turn zero into data clusters");
    }
    qcow2_snapshots_clear(&clearing.snapshots);
    return ok && qcow2_reload(node, error);
}

/* Versions */

static void run_flush(void *data)
{
    BlockNode *node = *(BlockNode **)data;
    if (qcow2_flush_all(node)) {
        *(BlockNode **)data = NULL;
    }
}

/* All counts are right in the file, and it does not say anything else. */
static bool make_clean(BlockNode *node, Error **error)
{
    Qcow2 *qcow2 = node->state;
    BlockNode *flushed = node;
    block_task_call(block_graph_runtime(node->graph), run_flush, &flushed);
    if (!flushed) {
        return error_set_errno(error, EIO, "Failed to make the image clean");
    }
    qcow2->header.incompatible &= ~QCOW2_DIRTY;
    int number = qcow2_header_write(node);
    return number == 0 || error_set_errno(error, number, "Failed to make the image clean");
}

static bool snapshots_fit_version_2(BlockNode *node, Error **error)
{
    Qcow2Snapshots snapshots = { 0 };
    uint64_t bytes;
    bool ok = qcow2_snapshots_read(node, &snapshots, &bytes, error);
    for (size_t i = 0; i < snapshots.count && ok; i++) {
        ok = (snapshots.items[i].vm_state_bytes <= UINT32_MAX &&
              snapshots.items[i].disk_size == ((Qcow2 *)node->state)->header.size) ||
             error_set(error, "Internal snapshots prevent downgrade of image");
    }
    qcow2_snapshots_clear(&snapshots);
    return ok;
}

static bool check_downgrade(BlockNode *node, Error **error)
{
    const Qcow2Header *header = &((Qcow2 *)node->state)->header;
    uint64_t features = header->incompatible & ~(QCOW2_DIRTY | QCOW2_EXTERNAL_DATA);
    if (header->incompatible & QCOW2_EXTERNAL_DATA) {
        return error_set(error, "Cannot downgrade an image with a data file");
    }
    if (features) {
        return error_set(error, "Cannot downgrade an image with incompatible features 0x%" PRIx64 " set", features);
    }
    if (header->has_bitmaps) {
        return error_set(error, "Cannot downgrade an image with persistent bitmaps, which would be lost");
    }
    return snapshots_fit_version_2(node, error);
}

static bool downgrade(BlockNode *node, Error **error)
{
    Qcow2 *qcow2 = node->state;
    if (!clear_zero_clusters(node, error) || !make_clean(node, error)) {
        return false;
    }
    qcow2->lazy_refcounts = false;
    qcow2->header.version = 2;
    qcow2->header.length = QCOW2_HEADER_V2;
    qcow2->header.compatible = qcow2->header.autoclear = 0;
    return qcow2_header_rewrite(node, error);
}

/* Snapshots say how large their disk is from now on. */
static bool upgrade(BlockNode *node, Error **error)
{
    Qcow2Header *header = &((Qcow2 *)node->state)->header;
    if (header->snapshots && !qcow2_snapshots_rewrite(node, error)) {
        return false;
    }
    header->version = 3;
    header->length = QCOW2_HEADER_V3_COMPRESSION;
    return qcow2_header_rewrite(node, error);
}

/* What is asked for */

typedef struct Wish {
    const Qcow2AmendOptions *options;
    unsigned version, order;
} Wish;

static bool parse_version(const Qcow2Header *header, const char *text, unsigned *version, Error **error)
{
    static const char *const names[][2] = { { "0.10", "v2" }, { "1.1", "v3" } };
    *version = header->version;
    for (unsigned i = 0; text && i < ARRAY_SIZE(names); i++) {
        if (strcmp(text, names[i][0]) == 0 || strcmp(text, names[i][1]) == 0) {
            *version = i + 2;
            return true;
        }
    }
    return !text || error_set(error, "Unknown compatibility level %s", text);
}

static bool parse_order(const Qcow2Header *header, const Qcow2AmendOptions *options, unsigned *order, Error **error)
{
    uint64_t bits = options->refcount_bits;
    *order = header->refcount_order;
    if (!options->has_refcount_bits) {
        return true;
    }
    if (!is_power_of_2(bits) || bits > 64) {
        return error_set(error, "Refcount width must be a power of two and may not exceed 64 bits");
    }
    *order = (unsigned)__builtin_ctzll(bits);
    return true;
}

static bool check_data_file(const Qcow2Header *header, const Qcow2AmendOptions *options, Error **error)
{
    if (options->data_file && !(header->incompatible & QCOW2_EXTERNAL_DATA)) {
        return error_set(error, "data-file can only be set for images that use an external data file");
    }
    return !options->data_file_raw || header->autoclear & QCOW2_RAW_DATA ||
           error_set(error, "data-file-raw cannot be set on existing images");
}

static bool check_for_version_2(const Wish *wish, Error **error)
{
    if (wish->options->lazy_refcounts) {
        return error_set(error, "Lazy refcounts only supported with compatibility level 1.1 and above "
                                "(use compat=1.1 or greater)");
    }
    if (wish->order == 4) {
        return true;
    }
    return error_set(error, wish->options->has_refcount_bits
                                ? "Refcount widths other than 16 bits require compatibility level 1.1 or above "
                                  "(use compat=1.1 or greater)"
                                : "compat=0.10 requires refcount_bits=16");
}

static bool check_wish(BlockNode *node, Wish *wish, Error **error)
{
    const Qcow2Header *header = &((Qcow2 *)node->state)->header;
    const Qcow2AmendOptions *options = wish->options;
    if (!parse_version(header, options->compat, &wish->version, error)) {
        return false;
    }
    if (options->backing_file || options->backing_fmt) {
        error_set(error, "Cannot amend the backing file");
        error_add_hint(error, "You can use 'qemu-img rebase' instead.\n");
        return false;
    }
    if (options->encrypt) {
        return error_set(error, "Can't amend encryption options - encryption not present");
    }
    if (!parse_order(header, options, &wish->order, error) || !check_data_file(header, options, error) ||
        (wish->version == 2 && !check_for_version_2(wish, error))) {
        return false;
    }
    return wish->version >= header->version || check_downgrade(node, error);
}

/* What is said in the header alone. */
static bool change_header(BlockNode *node, const Qcow2AmendOptions *options, Error **error)
{
    Qcow2 *qcow2 = node->state;
    if (options->data_file) {
        free(qcow2->header.data_file);
        qcow2->header.data_file = *options->data_file ? string_copy(options->data_file) : NULL;
    }
    if (options->has_data_file_raw && !options->data_file_raw) {
        qcow2->header.autoclear &= ~QCOW2_RAW_DATA;
    }
    if (options->has_lazy_refcounts && !options->lazy_refcounts) {
        if (qcow2_has(qcow2, QCOW2_DIRTY) && !make_clean(node, error)) {
            return false;
        }
        qcow2->header.compatible &= ~QCOW2_LAZY_REFCOUNTS;
        qcow2->lazy_refcounts = false;
    } else if (options->has_lazy_refcounts) {
        qcow2->header.compatible |= QCOW2_LAZY_REFCOUNTS;
        qcow2->lazy_refcounts = true;
    }
    return (!options->data_file && !options->has_data_file_raw && !options->has_lazy_refcounts) ||
           qcow2_header_rewrite(node, error);
}

bool qcow2_amend(BlockNode *node, const void *options, Error **error)
{
    Qcow2 *qcow2 = node->state;
    Wish wish = { .options = options };
    return qcow2_may_change(qcow2, error) && check_wish(node, &wish, error) &&
           (wish.version <= qcow2->header.version || upgrade(node, error)) &&
           (wish.order == qcow2->header.refcount_order || qcow2_change_refcount_order(node, wish.order, error)) &&
           change_header(node, options, error) &&
           (!wish.options->has_size || qcow2_resize(node, wish.options->size, PREALLOC_MODE_OFF, error)) &&
           (wish.version >= qcow2->header.version || downgrade(node, error));
}
