/*
 * The header of a qcow2 image, its extensions, and what must be right in them before anything else is read.
 *
 * Not here: encryption (images with it are refused).
 */
#include "block/qcow2/qcow2.h"

#include "base/bytes.h"
#include "base/error.h"
#include "trace/block.h"

#include <errno.h>
#include <inttypes.h>

enum { MAGIC = 0x514649fb, HEADER_V2 = QCOW2_HEADER_V2, HEADER_V3 = QCOW2_HEADER_V3, MAXIMUM_NAME = QCOW2_MAXIMUM_NAME,
       FEATURE_BYTES = 48 };

enum {
    EXTENSION_END = 0,
    EXTENSION_BACKING_FORMAT = 0xe2792aca,
    EXTENSION_FEATURES = 0x6803f857,
    EXTENSION_BITMAPS = 0x23852875,
    EXTENSION_DATA_FILE = 0x44415441,
};

int qcow2_probe(const uint8_t *bytes, size_t count)
{
    return count >= 8 && load_be32(bytes) == MAGIC && load_be32(bytes + 4) >= 2 ? 100 : 0;
}

void qcow2_header_clear(Qcow2Header *header)
{
    free(header->backing_file);
    free(header->backing_format);
    free(header->data_file);
    free(header->feature_name);
}

/* The fixed fields */

static bool parse_fields(Qcow2Header *header, const uint8_t *bytes, size_t count, Error **error)
{
    if (count < HEADER_V2 || load_be32(bytes) != MAGIC) {
        return error_set(error, "Image is not in qcow2 format");
    }
    *header = (Qcow2Header){
        .version = load_be32(bytes + 4), .backing_offset = load_be64(bytes + 8),
        .backing_size = load_be32(bytes + 16), .cluster_bits = load_be32(bytes + 20), .size = load_be64(bytes + 24),
        .encryption = load_be32(bytes + 32), .l1_entries = load_be32(bytes + 36), .l1_offset = load_be64(bytes + 40),
        .refcount_table_offset = load_be64(bytes + 48), .refcount_table_clusters = load_be32(bytes + 56),
        .snapshots = load_be32(bytes + 60), .snapshots_offset = load_be64(bytes + 64),
        .refcount_order = 4, .length = HEADER_V2,
    };
    if (header->version == 2) {
        return true;
    }
    if (header->version != 3) {
        return error_set(error, "Unsupported qcow2 version %u", header->version);
    }
    if (count < HEADER_V3) {
        return error_set(error, "qcow2 header too short");
    }
    header->incompatible = load_be64(bytes + 72);
    header->compatible = load_be64(bytes + 80);
    header->autoclear = load_be64(bytes + 88);
    header->refcount_order = load_be32(bytes + 96);
    header->length = load_be32(bytes + 100);
    if (header->length < HEADER_V3) {
        return error_set(error, "qcow2 header too short");
    }
    header->compression = header->length > HEADER_V3 && count > HEADER_V3 ? bytes[HEADER_V3] : QCOW2_ZLIB;
    return true;
}

/* A table of `bytes` at `offset` may be read: aligned to a cluster, and nowhere near the end of all numbers. */
static bool check_table(const Qcow2Header *header, const char *name, uint64_t offset, uint64_t bytes, Error **error)
{
    return (offset % BIT(header->cluster_bits) == 0 && offset <= INT64_MAX - bytes) ||
           error_set(error, "%s offset invalid", name);
}

static bool check_compression(const Qcow2Header *header, Error **error)
{
    if (header->compression >= QCOW2_COMPRESSION_COUNT) {
        return error_set(error, "qcow2: unknown compression type: %u", header->compression);
    }
    bool flag = header->incompatible & QCOW2_COMPRESSION_TYPE;
    return flag == (header->compression != QCOW2_ZLIB) ||
           error_set(error, "qcow2: Compression type incompatible feature bit must %sbe set", flag ? "not " : "");
}

static bool check_sizes(const Qcow2Header *header, Error **error)
{
    uint64_t cluster = BIT(header->cluster_bits);
    if (header->length > cluster) {
        return error_set(error, "qcow2 header exceeds cluster size");
    }
    if (header->incompatible & QCOW2_EXTENDED_L2 && header->cluster_bits < 14) {
        return error_set(error, "clusters of %" PRIu64 " bytes are too small for extended L2 entries", cluster);
    }
    if (header->refcount_order > 6) {
        return error_set(error, "Reference count entry width too large; may not exceed 64 bits");
    }
    if (header->size > INT64_MAX - BLOCK_SECTOR) {
        return error_set(error, "Image is too big (%" PRIu64 " bytes)", header->size);
    }
    if (header->encryption) {
        return error_set(error, "encrypted images are not supported (method %" PRIu32 ")", header->encryption);
    }
    return true;
}

static bool check_tables(const Qcow2Header *header, Error **error)
{
    uint64_t refcount_bytes = (uint64_t)header->refcount_table_clusters << header->cluster_bits;
    if (refcount_bytes == 0) {
        return error_set(error, "Image does not contain a reference count table");
    }
    if (refcount_bytes > QCOW2_MAXIMUM_REFCOUNT_TABLE_BYTES) {
        return error_set(error, "Image reference count table size too large");
    }
    if (header->l1_entries > QCOW2_MAXIMUM_L1_BYTES / sizeof(uint64_t)) {
        return error_set(error, "Active L1 table too large");
    }
    if (header->snapshots > QCOW2_MAXIMUM_SNAPSHOTS) {
        return error_set(error, "Snapshot table too large");
    }
    unsigned entry_bits = header->incompatible & QCOW2_EXTENDED_L2 ? 4 : 3;
    unsigned shift = 2 * header->cluster_bits - entry_bits;
    uint64_t needed = (header->size >> shift) + ((header->size & mask_bits(shift)) != 0);
    if (needed > header->l1_entries) {
        return error_set(error, "L1 table is too small");
    }
    return check_table(header, "Reference count table", header->refcount_table_offset, refcount_bytes, error) &&
           check_table(header, "Active L1 table", header->l1_offset, header->l1_entries * sizeof(uint64_t), error) &&
           check_table(header, "Snapshot table", header->snapshots_offset, 0, error);
}

/* Features must be judged after the extensions, which may have their names. */
static bool check_features(const Qcow2Header *header, Error **error)
{
    uint64_t unknown = header->incompatible & ~QCOW2_KNOWN_INCOMPATIBLE;
    if (unknown && header->feature_name) {
        return error_set(error, "Unsupported qcow2 feature(s): %s", header->feature_name);
    }
    return !unknown ||
           error_set(error, "Unsupported qcow2 feature(s): Unknown incompatible feature: %" PRIx64, unknown);
}

/* Extensions */

static char *take_name(char *before, const uint8_t *bytes, size_t count)
{
    free(before);
    return string_copy_length((const char *)bytes, strnlen((const char *)bytes, count));
}

static void find_feature_name(Qcow2Header *header, const uint8_t *bytes, size_t count)
{
    uint64_t unknown = header->incompatible & ~QCOW2_KNOWN_INCOMPATIBLE;
    for (size_t at = 0; at + FEATURE_BYTES <= count; at += FEATURE_BYTES) {
        if (bytes[at] == 0 && bytes[at + 1] < 64 && unknown >> bytes[at + 1] & 1) {
            header->feature_name = take_name(header->feature_name, bytes + at + 2, FEATURE_BYTES - 2);
        }
    }
}

static bool parse_bitmaps(Qcow2Header *header, const uint8_t *bytes, size_t count, Error **error)
{
    if (!(header->autoclear & QCOW2_BITMAPS)) {
        return true; /* a program that does not know of them has written to the image */
    }
    if (count != 24 || load_be32(bytes + 4) != 0) {
        return error_set(error, "bitmaps_ext: Invalid extension length or reserved field");
    }
    header->has_bitmaps = true;
    header->bitmaps = load_be32(bytes);
    header->bitmap_directory_bytes = load_be64(bytes + 8);
    header->bitmap_directory_offset = load_be64(bytes + 16);
    return true;
}

static bool parse_extension(Qcow2Header *header, uint32_t type, const uint8_t *bytes, size_t count, Error **error)
{
    switch (type) {
    case EXTENSION_BACKING_FORMAT:
        if (count > MAXIMUM_NAME) {
            return error_set(error, "ERROR: ext_backing_format: len=%zu too large", count);
        }
        header->backing_format = take_name(header->backing_format, bytes, count);
        return true;
    case EXTENSION_DATA_FILE:
        if (count > MAXIMUM_NAME) {
            return error_set(error, "the name of the data file has %zu bytes", count);
        }
        header->data_file = take_name(header->data_file, bytes, count);
        return true;
    case EXTENSION_FEATURES:
        find_feature_name(header, bytes, count);
        return true;
    case EXTENSION_BITMAPS:
        return parse_bitmaps(header, bytes, count, error);
    default:
        return true;
    }
}

/* They end where the backing file's name begins, or with the cluster. */
static bool parse_extensions(Qcow2Header *header, const uint8_t *bytes, size_t count, Error **error)
{
    size_t end = header->backing_offset ? MIN(header->backing_offset, count) : count;
    for (size_t at = header->length; at + 8 <= end;) {
        uint32_t type = load_be32(bytes + at), length = load_be32(bytes + at + 4);
        at += 8;
        if (type == EXTENSION_END) {
            return true;
        }
        if (length > end - at) {
            return error_set(error, "Header extension too large");
        }
        if (!parse_extension(header, type, bytes + at, length, error)) {
            return false;
        }
        at += align_up(length, 8);
    }
    return true;
}

static bool parse_backing(Qcow2Header *header, const uint8_t *bytes, size_t count, Error **error)
{
    if (header->backing_offset == 0) {
        return true;
    }
    if (header->backing_offset > count) {
        return error_set(error, "Invalid backing file offset");
    }
    if (header->backing_size > MIN(MAXIMUM_NAME, count - header->backing_offset)) {
        return error_set(error, "Backing file name too long");
    }
    header->backing_file = take_name(NULL, bytes + header->backing_offset, header->backing_size);
    return true;
}

/* The first cluster, as much of it as there is. */
static bool read_first_cluster(BlockEdge *file, unsigned cluster_bits, uint8_t **bytes, size_t *count, Error **error)
{
    uint64_t length = MIN(block_node_size(file->node), BIT(cluster_bits));
    *bytes = mem_alloc(MAX(length, 1));
    *count = length;
    int number = block_read(file, 0, *bytes, length);
    return number == 0 || error_set_errno(error, number, "Could not read qcow2 header");
}

bool qcow2_header_read(Qcow2Header *header, BlockEdge *file, Error **error)
{
    AUTO_FREE uint8_t *first = NULL;
    AUTO_FREE uint8_t *bytes = NULL;
    size_t count = 0;
    if (!read_first_cluster(file, QCOW2_MINIMUM_CLUSTER_BITS, &first, &count, error) ||
        !parse_fields(header, first, count, error)) {
        return false;
    }
    if (header->cluster_bits < QCOW2_MINIMUM_CLUSTER_BITS || header->cluster_bits > QCOW2_MAXIMUM_CLUSTER_BITS) {
        return error_set(error, "Unsupported cluster size: 2^%" PRIu32, header->cluster_bits);
    }
    return check_sizes(header, error) && read_first_cluster(file, header->cluster_bits, &bytes, &count, error) &&
           parse_extensions(header, bytes, count, error) && check_features(header, error) &&
           check_compression(header, error) && check_tables(header, error) &&
           parse_backing(header, bytes, count, error);
}

/* Changes */

static void store_fields(const Qcow2Header *header, uint8_t *bytes)
{
    store_be64(bytes + 24, header->size);
    store_be32(bytes + 36, header->l1_entries);
    store_be64(bytes + 40, header->l1_offset);
    store_be64(bytes + 48, header->refcount_table_offset);
    store_be32(bytes + 56, header->refcount_table_clusters);
    store_be32(bytes + 60, header->snapshots);
    store_be64(bytes + 64, header->snapshots_offset);
    if (header->version >= 3) {
        store_be64(bytes + 72, header->incompatible);
        store_be64(bytes + 80, header->compatible);
        store_be64(bytes + 88, header->autoclear);
        store_be32(bytes + 96, header->refcount_order);
    }
}

int qcow2_header_write(BlockNode *node)
{
    const Qcow2 *qcow2 = node->state;
    AUTO_FREE uint8_t *bytes = block_buffer(node->file->node, QCOW2_FIELD_BYTES);
    if (!bytes) {
        return ENOMEM;
    }
    int error = block_read(node->file, 0, bytes, QCOW2_FIELD_BYTES);
    if (error) {
        return error;
    }
    store_fields(&qcow2->header, bytes);
    trace_qcow2_write_header(block_node_trace(node), node->name);
    return block_write(node->file, 0, bytes, QCOW2_FIELD_BYTES, 0);
}

/* Building it anew */

typedef struct Builder {
    uint8_t *bytes;
    size_t at, end;
    bool full;
} Builder;

static void add_extension(Builder *builder, uint32_t type, const void *bytes, size_t count)
{
    size_t needed = 8 + align_up(count, 8);
    if (needed > builder->end - builder->at) {
        builder->full = true;
        return;
    }
    store_be32(builder->bytes + builder->at, type);
    store_be32(builder->bytes + builder->at + 4, (uint32_t)count);
    if (count > 0) {
        memcpy(builder->bytes + builder->at + 8, bytes, count);
    }
    builder->at += needed;
}

static void add_name(Builder *builder, uint32_t type, const char *name)
{
    if (name) {
        add_extension(builder, type, name, strlen(name));
    }
}

static void add_bitmaps(Builder *builder, const Qcow2Header *header)
{
    uint8_t bytes[24] = { 0 };
    store_be32(bytes, header->bitmaps);
    store_be64(bytes + 8, header->bitmap_directory_bytes);
    store_be64(bytes + 16, header->bitmap_directory_offset);
    if (header->has_bitmaps) {
        add_extension(builder, EXTENSION_BITMAPS, bytes, sizeof bytes);
    }
}

static bool is_known_extension(uint32_t type)
{
    return type == EXTENSION_BACKING_FORMAT || type == EXTENSION_BITMAPS || type == EXTENSION_DATA_FILE;
}

static void keep_extensions(Builder *builder, const uint8_t *bytes, size_t count)
{
    size_t start = load_be32(bytes + 4) >= 3 ? load_be32(bytes + 100) : HEADER_V2;
    uint64_t backing = load_be64(bytes + 8), end = backing ? MIN(backing, count) : count;
    for (size_t at = start; at + 8 <= end && load_be32(bytes + at) != EXTENSION_END;) {
        uint32_t type = load_be32(bytes + at), length = load_be32(bytes + at + 4);
        if (length > end - at - 8) {
            return;
        }
        if (!is_known_extension(type)) {
            add_extension(builder, type, bytes + at + 8, length);
        }
        at += 8 + align_up(length, 8);
    }
}

static void store_constants(const Qcow2Header *header, uint8_t *bytes)
{
    store_be32(bytes, MAGIC);
    store_be32(bytes + 4, header->version);
    store_be32(bytes + 20, header->cluster_bits);
    if (header->version >= 3) {
        store_be32(bytes + 100, header->length);
        if (header->length > HEADER_V3) {
            bytes[HEADER_V3] = (uint8_t)header->compression;
        }
    }
}

bool qcow2_header_build(const Qcow2Header *header, const uint8_t *before, size_t before_bytes, uint8_t *cluster,
                        Error **error)
{
    size_t name_bytes = header->backing_file ? strlen(header->backing_file) : 0;
    Builder builder = { .bytes = cluster, .at = header->length, .end = BIT(header->cluster_bits) };
    store_constants(header, cluster);
    store_fields(header, cluster);
    add_name(&builder, EXTENSION_BACKING_FORMAT, header->backing_format);
    add_name(&builder, EXTENSION_DATA_FILE, header->data_file);
    add_bitmaps(&builder, header);
    if (before_bytes >= HEADER_V3) {
        keep_extensions(&builder, before, before_bytes);
    }
    add_extension(&builder, EXTENSION_END, NULL, 0);
    if (name_bytes > MAXIMUM_NAME) {
        return error_set(error, "Backing file name too long");
    }
    if (builder.full || name_bytes > builder.end - builder.at) {
        return error_set(error, "the header's names do not fit into a cluster of %zu bytes", builder.end);
    }
    if (name_bytes) {
        store_be64(cluster + 8, builder.at);
        store_be32(cluster + 16, (uint32_t)name_bytes);
        memcpy(cluster + builder.at, header->backing_file, name_bytes);
    }
    return true;
}

bool qcow2_header_rewrite(BlockNode *node, Error **error)
{
    const Qcow2 *qcow2 = node->state;
    AUTO_FREE uint8_t *before = NULL;
    AUTO_FREE uint8_t *cluster = block_buffer(node->file->node, qcow2->cluster_bytes);
    size_t count = 0;
    if (!cluster) {
        return error_set(error, "there is no memory for the header");
    }
    memset(cluster, 0, qcow2->cluster_bytes);
    if (!read_first_cluster(node->file, qcow2->header.cluster_bits, &before, &count, error) ||
        !qcow2_header_build(&qcow2->header, before, count, cluster, error)) {
        return false;
    }
    int number = block_write(node->file, 0, cluster, qcow2->cluster_bytes, 0);
    number = number ? number : block_flush(node->file);
    return number == 0 || error_set_errno(error, number, "Could not write qcow2 header");
}

int qcow2_corrupt(BlockNode *node, uint64_t offset, uint64_t bytes, const char *format, ...)
{
    Qcow2 *qcow2 = node->state;
    va_list arguments;
    va_start(arguments, format);
    AUTO_FREE char *text = string_vformat(format, arguments);
    va_end(arguments);
    block_node_damaged(node, &(BlockDamage){ .message = text, .offset = offset, .bytes = bytes,
                                             .fatal = !node->read_only });
    if (!node->read_only && !qcow2_has(qcow2, QCOW2_CORRUPT)) {
        qcow2->header.incompatible |= QCOW2_CORRUPT; /* version 2 has no such bit in its file */
        if (qcow2->header.version >= 3) {
            qcow2_header_write(node);
            block_flush(node->file);
        }
    }
    return EIO;
}
