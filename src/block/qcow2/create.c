/*
 * A new image: the header, a refcount table of one cluster with one block, no L1 table and no size; then it is opened
 * and grown as any other.
 */
#include "block/qcow2/qcow2.h"

#include "api/json.h"
#include "base/bytes.h"
#include "base/error.h"
#include "schema/block.h"

#include <inttypes.h>
#include <unistd.h>

enum { HEADER_CLUSTERS = 3, MINIMUM_EXTENDED = 16384 };

bool qcow2_is_version_3(const Qcow2CreateOptions *options)
{
    return options->compat == QCOW2_VERSION_1_1 || options->compat == QCOW2_VERSION_V3;
}

static bool needs_version_3(const char *what, Error **error)
{
    return error_set(error, "%s compatibility level 1.1 %s above (use version=v3 or greater)", what,
                     strstr(what, "require") ? "or" : "and");
}

static bool check_version(const Qcow2CreateOptions *options, Error **error)
{
    if (qcow2_is_version_3(options)) {
        return true;
    }
    if (options->lazy_refcounts) {
        return needs_version_3("Lazy refcounts only supported with", error);
    }
    if (options->refcount_bits != 16) {
        return needs_version_3("Different refcount widths than 16 bits require", error);
    }
    if (options->data_file) {
        return needs_version_3("External data files are only supported with", error);
    }
    if (options->extended_l2) {
        return needs_version_3("Extended L2 entries are only supported with", error);
    }
    return options->compression_type == QCOW2_COMPRESSION_TYPE_ZLIB ||
           needs_version_3("Non-zlib compression type is only supported with", error);
}

static unsigned log2_of(uint64_t value) { return (unsigned)__builtin_ctzll(value); }

bool qcow2_size_fits(const Qcow2CreateOptions *options)
{
    unsigned shift = 2 * log2_of(options->cluster_size) - (options->extended_l2 ? 4 : 3);
    uint64_t entries = (options->size >> shift) + ((options->size & mask_bits(shift)) != 0);
    return entries <= QCOW2_MAXIMUM_L1_BYTES / sizeof(uint64_t);
}

bool qcow2_check_create(const Qcow2CreateOptions *options, Error **error)
{
    if (!is_power_of_2(options->cluster_size) || options->cluster_size < BIT(QCOW2_MINIMUM_CLUSTER_BITS) ||
        options->cluster_size > BIT(QCOW2_MAXIMUM_CLUSTER_BITS)) {
        return error_set(error, "Cluster size must be a power of two between %d and %dk", 512, 2048);
    }
    if (!is_power_of_2(options->refcount_bits) || options->refcount_bits > 64) {
        return error_set(error, "Refcount width must be a power of two and may not exceed 64 bits");
    }
    if (!check_version(options, error)) {
        return false;
    }
    if (options->extended_l2 && options->cluster_size < MINIMUM_EXTENDED) {
        return error_set(error, "Extended L2 entries are only supported with cluster sizes of at least %d bytes",
                         MINIMUM_EXTENDED);
    }
    if (options->backing_file && options->preallocation != PREALLOC_MODE_OFF && !options->extended_l2) {
        return error_set(error,
                         "Backing file and preallocation can only be used at the same time if extended_l2 is on");
    }
    if (options->backing_file && strlen(options->backing_file) > QCOW2_MAXIMUM_NAME) {
        return error_set(error, "Could not assign backing file '%s' with format '%s': Invalid argument",
                         options->backing_file, options->backing_fmt ? options->backing_fmt : "");
    }
    if (options->data_file_raw && !options->data_file) {
        return error_set(error, "data-file-raw requires data-file");
    }
    return !options->data_file_raw || !options->backing_file ||
           error_set(error, "Backing file and data-file-raw cannot be used at the same time");
}

/* It borrows the names. */
static Qcow2Header new_header(const Qcow2CreateOptions *options)
{
    Qcow2Header header = {
        .version = qcow2_is_version_3(options) ? 3 : 2, .cluster_bits = log2_of(options->cluster_size),
        .refcount_order = log2_of(options->refcount_bits), .refcount_table_offset = options->cluster_size,
        .refcount_table_clusters = 1,
        .length = qcow2_is_version_3(options) ? QCOW2_HEADER_V3_COMPRESSION : QCOW2_HEADER_V2,
        .compression = options->compression_type == QCOW2_COMPRESSION_TYPE_ZSTD ? QCOW2_ZSTD : QCOW2_ZLIB,
        .backing_file = options->backing_file, .backing_format = options->backing_fmt,
        .data_file = options->data_file,
    };
    header.incompatible = (options->extended_l2 ? QCOW2_EXTENDED_L2 : 0) |
                          (options->data_file ? QCOW2_EXTERNAL_DATA : 0) |
                          (header.compression ? QCOW2_COMPRESSION_TYPE : 0);
    header.compatible = options->lazy_refcounts ? QCOW2_LAZY_REFCOUNTS : 0;
    header.autoclear = options->data_file_raw ? QCOW2_RAW_DATA : 0;
    return header;
}

static bool write_tables(BlockEdge *file, const Qcow2Header *header, Error **error)
{
    uint64_t cluster = BIT(header->cluster_bits);
    AUTO_FREE uint8_t *bytes = block_buffer(block_edge_node(file), HEADER_CLUSTERS * cluster);
    if (!bytes) {
        return error_set(error, "there is no memory for the header");
    }
    memset(bytes, 0, HEADER_CLUSTERS * cluster);
    if (!qcow2_header_build(header, NULL, 0, bytes, error)) {
        return false;
    }
    store_be64(bytes + cluster, 2 * cluster);
    for (unsigned i = 0; i < HEADER_CLUSTERS; i++) {
        qcow2_set_refcount_in(bytes + 2 * cluster, header->refcount_order, i, 1);
    }
    int number = block_write(file, 0, bytes, HEADER_CLUSTERS * cluster, 0);
    return number == 0 || error_set_errno(error, number, "Could not write qcow2 header");
}

static Json *open_options(const char *filename, const Qcow2CreateOptions *options)
{
    Json *json = json_object();
    json_set(json, "driver", json_string("qcow2"));
    if (options->backing_file) {
        json_set(json, "backing", json_null());
    }
    return json;
}

/* Opens what was written and gives it its size. */
static bool grow(BlockGraph *graph, const char *filename, const Qcow2CreateOptions *options, Error **error)
{
    BlockNode *node = block_open(graph, filename, open_options(filename, options),
                                 BLOCK_OPEN_WRITE | BLOCK_OPEN_NO_FLUSH, error);
    BlockEdge *edge = node ? block_attach(node, "image creation", BLOCK_PERMISSION_WRITE | BLOCK_PERMISSION_RESIZE,
                                          BLOCK_PERMISSION_READ, error)
                           : NULL;
    block_node_unref(node);
    bool ok = edge && (!options->size || block_resize(edge, options->size, options->preallocation, error));
    block_detach(edge);
    return ok;
}

static bool create_files(BlockGraph *graph, const char *filename, const Qcow2CreateOptions *options,
                         const Json *file_options, Error **error)
{
    Qcow2Header header = new_header(options);
    if (options->data_file) {
        BlockEdge *data = block_create_file(graph, options->data_file, 0, NULL, error);
        block_detach(data);
        if (!data) {
            return false;
        }
    }
    BlockEdge *file = block_create_file(graph, filename, HEADER_CLUSTERS * options->cluster_size, file_options, error);
    bool ok = file && write_tables(file, &header, error);
    block_detach(file);
    return ok;
}

/* Known before anything is written. */
static bool header_fits(const Qcow2CreateOptions *options, Error **error)
{
    Qcow2Header header = new_header(options);
    AUTO_FREE uint8_t *bytes = mem_alloc0(options->cluster_size);
    return qcow2_header_build(&header, NULL, 0, bytes, error);
}

bool qcow2_create(BlockGraph *graph, const char *filename, const void *data, const Json *file_options, Error **error)
{
    Qcow2CreateOptions options = *(const Qcow2CreateOptions *)data;
    options.size = align_up(MIN(options.size, INT64_MAX), BLOCK_SECTOR);
    if (!qcow2_check_create(&options, error)) {
        return false;
    }
    if (!qcow2_size_fits(&options)) {
        return error_set(error,
                         "The image size is too large for file format 'qcow2' (try using a larger cluster size)");
    }
    if (options.data_file && strcmp(options.data_file, filename) == 0) {
        return error_set(error, "an image cannot be its own data file");
    }
    return header_fits(&options, error) && create_files(graph, filename, &options, file_options, error) &&
           grow(graph, filename, &options, error);
}
