/*
 * Persistent dirty bitmaps: their directory, tables and bits.
 *
 * While the image is open for writing, its bitmaps are in memory and the file says that they are in use, so that what
 * it has of them is not believed if they are not stored. They are stored when it is closed: to new clusters, which the
 * header then names, and the old ones become free. What was not changed stays where it is.
 *
 * A bitmap that was in use when the image was opened is inconsistent: it is kept as it is until somebody removes it.
 * Not here: bitmaps with extra data (there is no such yet).
 */
#include "block/qcow2/qcow2.h"

#include "api/json.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/strbuf.h"
#include "block/bitmap.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

enum { ENTRY_BYTES = 24, MAXIMUM_BITMAPS = 65535, TYPE_DIRTY = 1, FLAG_IN_USE = 1, FLAG_AUTO = 2, ALL_ONES = 1 };
#define MAXIMUM_DIRECTORY_BYTES (UINT64_C(1024) * MAXIMUM_BITMAPS)
#define MAXIMUM_TABLE_ENTRIES (UINT64_C(8) << 20)

/* An entry of the directory. */
typedef struct Stored {
    uint64_t offset;
    uint32_t entries, flags;
} Stored;

typedef struct Entry {
    Stored stored;
    unsigned type, granularity_bits;
    uint32_t extra_bytes;
    const uint8_t *name; /* in the directory */
    size_t name_bytes, bytes;
} Entry;

typedef struct Directory {
    uint8_t *bytes;
    uint64_t count;
} Directory;

/* Reading the directory */

static bool read_directory(BlockNode *node, Directory *directory, Error **error)
{
    const Qcow2Header *header = &((Qcow2 *)node->state)->header;
    *directory = (Directory){ .count = header->has_bitmaps ? header->bitmap_directory_bytes : 0 };
    if (directory->count > MAXIMUM_DIRECTORY_BYTES || header->bitmaps > MAXIMUM_BITMAPS) {
        return error_set(error, "Requested bitmap directory size is too large");
    }
    directory->bytes = block_buffer(node->file->node, directory->count);
    int number = directory->bytes
                     ? block_read(node->file, header->bitmap_directory_offset, directory->bytes, directory->count)
                     : ENOMEM;
    return number == 0 || error_set_errno(error, number, "Failed to read bitmap directory");
}

uint64_t qcow2_bitmap_entry_bytes(uint64_t name_bytes) { return align_up(ENTRY_BYTES + name_bytes, 8); }

/* The entry at `at`; false where it does not fit. */
static bool entry_at(const Directory *directory, uint64_t at, Entry *entry)
{
    if (directory->count - at < ENTRY_BYTES) {
        return false;
    }
    const uint8_t *bytes = directory->bytes + at;
    *entry = (Entry){ .stored = { load_be64(bytes), load_be32(bytes + 8), load_be32(bytes + 12) },
                      .type = bytes[16], .granularity_bits = bytes[17], .name_bytes = load_be16(bytes + 18),
                      .extra_bytes = load_be32(bytes + 20) };
    entry->bytes = align_up(ENTRY_BYTES + entry->name_bytes + (uint64_t)entry->extra_bytes, 8);
    entry->name = bytes + ENTRY_BYTES + entry->extra_bytes;
    return entry->bytes <= directory->count - at;
}

static bool check_entry(const Qcow2 *qcow2, const Entry *entry, uint64_t size, Error **error)
{
    if (entry->extra_bytes) {
        return error_set(error, "Bitmap extra data is not supported");
    }
    bool name_fits = entry->name_bytes > 0 && entry->name_bytes <= BLOCK_BITMAP_MAXIMUM_NAME &&
                     !memchr(entry->name, 0, entry->name_bytes);
    bool granularity_fits = entry->granularity_bits >= BLOCK_BITMAP_MINIMUM_BITS &&
                            entry->granularity_bits <= BLOCK_BITMAP_MAXIMUM_BITS;
    if (!name_fits || !granularity_fits || entry->type != TYPE_DIRTY || entry->stored.entries > MAXIMUM_TABLE_ENTRIES ||
        entry->stored.offset % qcow2->cluster_bytes || entry->stored.flags & ~(FLAG_IN_USE | FLAG_AUTO) ||
        !block_bitmap_fits(size, entry->granularity_bits)) {
        return error_set(error, "Bitmap '%.*s' doesn't satisfy the constraints",
                         name_fits ? (int)entry->name_bytes : 1, name_fits ? (const char *)entry->name : "?");
    }
    return true;
}

/* Calls `take` for each entry. */
static bool each_entry(BlockNode *node, bool (*take)(BlockNode *node, const Entry *entry, void *data, Error **error),
                       void *data, Error **error)
{
    const Qcow2 *qcow2 = node->state;
    Directory directory;
    Entry entry;
    bool ok = read_directory(node, &directory, error);
    uint64_t at = 0, count = 0;
    for (; ok && at < directory.count; at += entry.bytes, count++) {
        ok = (entry_at(&directory, at, &entry) || error_set(error, "Broken bitmap directory")) &&
             check_entry(qcow2, &entry, block_node_size(node), error) && take(node, &entry, data, error);
    }
    if (ok && qcow2->header.has_bitmaps && count != qcow2->header.bitmaps) {
        ok = error_set(error, "More bitmaps found than specified in header extension");
    }
    free(directory.bytes);
    return ok;
}

/* What the file says of them */

static bool describe_entry(BlockNode *node, const Entry *entry, void *data, Error **error)
{
    (void)node;
    (void)error;
    Json *one = json_object(), *flags = json_array();
    if (entry->stored.flags & FLAG_IN_USE) {
        json_array_append(flags, json_string("in-use"));
    }
    if (entry->stored.flags & FLAG_AUTO) {
        json_array_append(flags, json_string("auto"));
    }
    json_set(one, "flags", flags);
    json_set(one, "name", json_string_take(string_copy_length((const char *)entry->name, entry->name_bytes)));
    json_set(one, "granularity", json_uint(BIT(entry->granularity_bits)));
    json_array_append(data, one);
    return true;
}

Json *qcow2_bitmaps_describe(BlockNode *node)
{
    const Qcow2 *qcow2 = node->state;
    Json *list = json_array();
    if (qcow2->header.has_bitmaps && each_entry(node, describe_entry, list, NULL) && json_length(list) > 0) {
        return list;
    }
    json_free(list);
    return NULL;
}

/* Loading */

static uint64_t words_in_cluster(const Qcow2 *qcow2) { return qcow2->cluster_bytes / sizeof(uint64_t); }

static uint64_t entries_for(const Qcow2 *qcow2, const BlockBitmap *bitmap)
{
    return (block_bitmap_words(bitmap) + words_in_cluster(qcow2) - 1) / words_in_cluster(qcow2);
}

/* How much of the image's bitmaps may still be read: no cluster is in two of them. */
typedef struct Loading {
    uint64_t clusters;
} Loading;

static int load_cluster(BlockNode *node, BlockBitmap *bitmap, uint64_t i, uint64_t entry, uint8_t *cluster,
                        Loading *loading)
{
    const Qcow2 *qcow2 = node->state;
    uint64_t place = entry & QCOW2_OFFSET, word = i * words_in_cluster(qcow2);
    if (entry & ~(QCOW2_OFFSET | ALL_ONES) || (place && entry & ALL_ONES) || place & (qcow2->cluster_bytes - 1)) {
        return EINVAL;
    }
    if (!place) {
        unsigned shift = bitmap->granularity_bits + 6;
        if (entry & ALL_ONES) {
            block_bitmap_set(bitmap, word << shift, words_in_cluster(qcow2) << shift);
        }
        return 0;
    }
    if (loading->clusters-- == 0) {
        return EINVAL;
    }
    int error = block_read(node->file, place, cluster, qcow2->cluster_bytes);
    if (!error) {
        block_bitmap_load_words(bitmap, word, cluster, qcow2->cluster_bytes);
    }
    return error;
}

static int load_bits(BlockNode *node, BlockBitmap *bitmap, const Stored *stored, Loading *loading)
{
    const Qcow2 *qcow2 = node->state;
    if (stored->entries != entries_for(qcow2, bitmap)) {
        return EINVAL;
    }
    uint64_t bytes = stored->entries * sizeof(uint64_t);
    AUTO_FREE uint8_t *table = block_buffer(node->file->node, bytes);
    AUTO_FREE uint8_t *cluster = block_buffer(node->file->node, qcow2->cluster_bytes);
    int error = table && cluster ? block_read(node->file, stored->offset, table, bytes) : ENOMEM;
    for (uint32_t i = 0; i < stored->entries && !error; i++) {
        error = load_cluster(node, bitmap, i, load_be64(table + i * sizeof(uint64_t)), cluster, loading);
    }
    return error;
}

static bool load_entry(BlockNode *node, const Entry *entry, void *data, Error **error)
{
    AUTO_FREE char *name = string_copy_length((const char *)entry->name, entry->name_bytes);
    for (size_t i = 0; block_bitmap_at(node, i); i++) {
        if (strcmp(block_bitmap_at(node, i)->name, name) == 0) {
            return error_set(error, "there are two bitmaps '%s'", name);
        }
    }
    BlockBitmap *bitmap = block_bitmap_new(node, name, entry->granularity_bits, block_node_size(node));
    bitmap->stored = mem_copy(&entry->stored, sizeof entry->stored);
    bitmap->persistent = true;
    bitmap->enabled = entry->stored.flags & FLAG_AUTO;
    bitmap->inconsistent = entry->stored.flags & FLAG_IN_USE;
    int number = bitmap->inconsistent ? 0 : load_bits(node, bitmap, &entry->stored, data);
    bitmap->changed = false;
    return number == 0 || error_set_errno(error, number, "Could not read bitmap '%s' from image", name);
}

static void forget_bitmaps(BlockNode *node)
{
    LIST_FOREACH_SAFE(&node->bitmaps, bitmap, BlockBitmap, in_node)
    {
        if (bitmap->persistent) {
            block_bitmap_remove(bitmap);
        }
    }
}

bool qcow2_bitmaps_load(BlockNode *node, Error **error)
{
    Qcow2 *qcow2 = node->state;
    if (!qcow2->header.has_bitmaps || qcow2->bitmaps_loaded) {
        return true;
    }
    Loading loading = { qcow2_clusters(qcow2, block_node_size(node->file->node)) };
    qcow2->bitmaps_loaded = each_entry(node, load_entry, &loading, error);
    if (!qcow2->bitmaps_loaded) {
        forget_bitmaps(node);
    }
    return qcow2->bitmaps_loaded;
}

/* In use */

static int mark_in_use(BlockNode *node, const Directory *directory)
{
    const Qcow2 *qcow2 = node->state;
    Entry entry;
    for (uint64_t at = 0; at < directory->count && entry_at(directory, at, &entry); at += entry.bytes) {
        store_be32(directory->bytes + at + 12, entry.stored.flags | FLAG_IN_USE);
    }
    int error = block_write(node->file, qcow2->header.bitmap_directory_offset, directory->bytes, directory->count, 0);
    return error ? error : block_flush(node->file);
}

bool qcow2_bitmaps_use(BlockNode *node, Error **error)
{
    const Qcow2 *qcow2 = node->state;
    Directory directory;
    if (!qcow2->header.has_bitmaps) {
        return true;
    }
    if (!qcow2_bitmaps_load(node, error)) {
        return false;
    }
    bool ok = read_directory(node, &directory, error);
    int number = ok ? mark_in_use(node, &directory) : 0;
    free(directory.bytes);
    return ok && (number == 0 || error_set_errno(error, number, "Could not write bitmap directory"));
}

/* Storing */

bool qcow2_bitmaps_supported(const BlockNode *node) { return ((const Qcow2 *)node->state)->header.version >= 3; }

bool qcow2_bitmap_check(BlockNode *node, const char *name, unsigned granularity_bits, Error **error)
{
    size_t count = 0;
    while (block_bitmap_at(node, count)) {
        count++;
    }
    if (!qcow2_may_change(node->state, error)) {
        return false;
    }
    if (!qcow2_bitmaps_supported(node)) {
        return error_set(error, "Cannot store dirty bitmaps in qcow2 v2 files");
    }
    if (node->read_only) {
        return error_set(error, "the image is read-only");
    }
    if (!*name) {
        return error_set(error, "Bitmap name cannot be empty");
    }
    if (strlen(name) > BLOCK_BITMAP_MAXIMUM_NAME) {
        return error_set(error, "Name length exceeds maximum (%d characters)", BLOCK_BITMAP_MAXIMUM_NAME);
    }
    if (granularity_bits > BLOCK_BITMAP_MAXIMUM_BITS) {
        return error_set(error, "Granularity exceeds maximum (%" PRIu64 " bytes)", BIT(BLOCK_BITMAP_MAXIMUM_BITS));
    }
    return count < MAXIMUM_BITMAPS || error_set(error, "Maximum number of persistent bitmaps is already reached");
}

typedef VEC(Stored) StoredTables;

static int write_clusters(BlockNode *node, BlockTask *self, const uint8_t *bytes, uint64_t size, uint64_t *place)
{
    uint64_t count;
    int error = qcow2_allocate(node, self, qcow2_clusters(node->state, size), true, place, &count);
    return error ? error : block_write(node->file, *place, bytes, size, 0);
}

static bool is_full(const uint8_t *bytes, size_t count)
{
    return bytes[0] == 0xff && memcmp(bytes, bytes + 1, count - 1) == 0;
}

static int write_bits(BlockNode *node, BlockTask *self, BlockBitmap *bitmap, Stored *stored)
{
    const Qcow2 *qcow2 = node->state;
    uint64_t entries = entries_for(qcow2, bitmap), bytes = entries * sizeof(uint64_t);
    AUTO_FREE uint8_t *table = block_buffer(node->file->node, bytes);
    AUTO_FREE uint8_t *cluster = block_buffer(node->file->node, qcow2->cluster_bytes);
    int error = table && cluster ? 0 : ENOMEM;
    for (uint64_t i = 0; i < entries && !error; i++) {
        uint64_t place = 0;
        if (block_bitmap_save_words(bitmap, i * words_in_cluster(qcow2), cluster, qcow2->cluster_bytes)) {
            bool full = is_full(cluster, qcow2->cluster_bytes);
            place = full ? ALL_ONES : 0;
            error = full ? 0 : write_clusters(node, self, cluster, qcow2->cluster_bytes, &place);
        }
        store_be64(table + i * sizeof(uint64_t), place);
    }
    stored->entries = (uint32_t)entries;
    stored->offset = 0;
    return error || !entries ? error : write_clusters(node, self, table, bytes, &stored->offset);
}

static void put_entry(StrBuf *out, const BlockBitmap *bitmap, const Stored *stored)
{
    uint8_t bytes[ENTRY_BYTES] = { 0 };
    uint32_t flags = (bitmap->enabled ? FLAG_AUTO : 0) | (bitmap->inconsistent ? FLAG_IN_USE : 0);
    store_be64(bytes, stored->offset);
    store_be32(bytes + 8, stored->entries);
    store_be32(bytes + 12, flags);
    bytes[16] = TYPE_DIRTY;
    bytes[17] = (uint8_t)bitmap->granularity_bits;
    store_be16(bytes + 18, (uint16_t)strlen(bitmap->name));
    strbuf_append_bytes(out, bytes, sizeof bytes);
    strbuf_append(out, bitmap->name);
    while (out->length % 8) {
        strbuf_append_char(out, 0);
    }
}

/* All of them, and a directory; `directory` becomes its place. */
static int write_all(BlockNode *node, BlockTask *self, StrBuf *bytes, uint32_t *count, uint64_t *directory)
{
    int error = 0;
    LIST_FOREACH(&node->bitmaps, bitmap, BlockBitmap, in_node)
    {
        if (!bitmap->persistent) {
            continue;
        }
        Stored stored = bitmap->stored ? *(Stored *)bitmap->stored : (Stored){ 0 };
        if (!bitmap->inconsistent && (bitmap->changed || !bitmap->stored)) {
            error = error ? error : write_bits(node, self, bitmap, &stored);
        }
        put_entry(bytes, bitmap, &stored);
        ++*count;
    }
    return error || !*count ? error : write_clusters(node, self, (uint8_t *)bytes->data, bytes->length, directory);
}

/* What a table takes, itself included, is not needed any more. */
static int free_table(BlockNode *node, const Stored *stored)
{
    Qcow2 *qcow2 = node->state;
    uint64_t bytes = stored->entries * sizeof(uint64_t), file = block_node_size(node->file->node);
    AUTO_FREE uint8_t *table = block_buffer(node->file->node, bytes);
    int error = table ? block_read(node->file, stored->offset, table, bytes) : ENOMEM;
    for (uint32_t i = 0; i < stored->entries && !error; i++) {
        uint64_t place = load_be64(table + i * sizeof(uint64_t)) & QCOW2_OFFSET;
        if (place && place % qcow2->cluster_bytes == 0 && place < file &&
            !qcow2_set_has(&qcow2->metadata, place >> qcow2->header.cluster_bits)) {
            qcow2_free(qcow2, place, qcow2->cluster_bytes, QCOW2_FREE_OTHER);
        }
    }
    if (!error && bytes) {
        qcow2_free(qcow2, stored->offset, bytes, QCOW2_FREE_OTHER);
    }
    return error;
}

static bool is_kept(const BlockNode *node, const Stored *stored)
{
    LIST_FOREACH(&node->bitmaps, bitmap, BlockBitmap, in_node)
    {
        const Stored *own = bitmap->stored;
        if (own && own->offset == stored->offset && (bitmap->inconsistent || !bitmap->changed)) {
            return true;
        }
    }
    return false;
}

/* The tables of the old directory that the new one does not name. */
static int free_old(BlockNode *node, const Directory *old, uint64_t place)
{
    Entry entry;
    int error = 0;
    for (uint64_t at = 0; at < old->count && entry_at(old, at, &entry) && !error; at += entry.bytes) {
        error = is_kept(node, &entry.stored) ? 0 : free_table(node, &entry.stored);
    }
    if (!error && old->count) {
        qcow2_free(node->state, place, old->count, QCOW2_FREE_OTHER);
    }
    return error;
}

static void name_directory(Qcow2Header *header, uint32_t count, uint64_t offset, uint64_t bytes)
{
    header->has_bitmaps = count > 0;
    header->bitmaps = count;
    header->bitmap_directory_offset = offset;
    header->bitmap_directory_bytes = bytes;
    header->autoclear = count ? header->autoclear | QCOW2_BITMAPS : header->autoclear & ~QCOW2_BITMAPS;
}

/* New clusters are in the file, with their counts, before the header names them. */
static int store_all(BlockNode *node, const Directory *old, Error **message)
{
    Qcow2 *qcow2 = node->state;
    BlockTask *self = qcow2_task(node);
    AUTO_STRBUF(bytes);
    uint32_t count = 0;
    uint64_t place = 0, old_place = qcow2->header.bitmap_directory_offset;
    task_lock(&qcow2->lock, self);
    int error = qcow2_begin_changes(node);
    error = error ? error : write_all(node, self, &bytes, &count, &place);
    task_unlock(&qcow2->lock);
    error = error ? error : qcow2_flush_all(node);
    if (error) {
        return error;
    }
    task_lock(&qcow2->lock, self);
    name_directory(&qcow2->header, count, place, bytes.length);
    bool named = qcow2_header_rewrite(node, message);
    error = named ? free_old(node, old, old_place) : 0;
    task_unlock(&qcow2->lock);
    return error;
}

static bool has_persistent(const BlockNode *node)
{
    LIST_FOREACH(&node->bitmaps, bitmap, BlockBitmap, in_node)
    {
        if (bitmap->persistent) {
            return true;
        }
    }
    return false;
}

void qcow2_bitmaps_store(BlockNode *node)
{
    const Qcow2 *qcow2 = node->state;
    Error *error = NULL;
    Directory old;
    if (!has_persistent(node) && !(qcow2->header.has_bitmaps && qcow2->bitmaps_loaded)) {
        return;
    }
    if (read_directory(node, &old, &error)) {
        int number = store_all(node, &old, &error);
        if (number) {
            error_set_errno(&error, number, "the tables could not be written");
        }
    }
    free(old.bytes);
    if (error) {
        fprintf(stderr, "qcow2: Lost persistent bitmaps during inactivation of node '%s': %s\n", node->name,
                error_message(error));
        error_free(error);
    }
}

/* Counting, for checks */

typedef void CountRange(void *data, uint64_t offset, uint64_t bytes);

static int count_table(BlockNode *node, const Stored *stored, CountRange *count, void *data)
{
    const Qcow2 *qcow2 = node->state;
    uint64_t bytes = stored->entries * sizeof(uint64_t);
    if (stored->entries > MAXIMUM_TABLE_ENTRIES || stored->offset % qcow2->cluster_bytes) {
        return EINVAL;
    }
    AUTO_FREE uint8_t *table = block_buffer(node->file->node, bytes);
    int error = table ? block_read(node->file, stored->offset, table, bytes) : ENOMEM;
    count(data, stored->offset, bytes);
    for (uint32_t i = 0; i < stored->entries && !error; i++) {
        uint64_t place = load_be64(table + i * sizeof(uint64_t)) & QCOW2_OFFSET;
        if (place) {
            count(data, place, qcow2->cluster_bytes);
        }
    }
    return error;
}

int qcow2_bitmaps_count(BlockNode *node, CountRange *count, void *data, Error **error)
{
    const Qcow2Header *header = &((Qcow2 *)node->state)->header;
    Directory directory;
    Entry entry;
    int number = read_directory(node, &directory, error) ? 0 : EINVAL;
    if (!number) {
        count(data, header->bitmap_directory_offset, directory.count);
    }
    for (uint64_t at = 0; !number && at < directory.count; at += entry.bytes) {
        bool ok = (entry_at(&directory, at, &entry) || error_set(error, "Broken bitmap directory")) &&
                  check_entry(node->state, &entry, block_node_size(node), error);
        number = ok ? count_table(node, &entry.stored, count, data) : EINVAL;
    }
    free(directory.bytes);
    return number;
}
