/*
 * How large the file of a new image becomes: the tables of all clusters, as many data clusters as the source has data
 * in, and its bitmaps with all their bits.
 */
#include "block/qcow2/qcow2.h"

#include "base/bytes.h"
#include "base/error.h"
#include "block/bitmap.h"
#include "schema/block.h"

typedef struct Sizes {
    uint64_t cluster, size; /* of the disk, whole clusters */
    unsigned cluster_bits, entry_bytes;
} Sizes;

static uint64_t divide_up(uint64_t a, uint64_t b) { return a / b + (a % b != 0); }

/* Refcount blocks and their table, which count themselves too. */
static uint64_t refcount_clusters(const Sizes *sizes, uint64_t others, uint64_t refcount_bits)
{
    uint64_t in_block = sizes->cluster * 8 / refcount_bits, blocks = 0, table = 0, before;
    do {
        before = blocks + table;
        blocks = divide_up(others + before, in_block);
        table = divide_up(blocks * sizeof(uint64_t), sizes->cluster);
    } while (blocks + table != before);
    return before;
}

/* In bytes, header included. */
static uint64_t tables_of(const Sizes *sizes, uint64_t refcount_bits)
{
    uint64_t data = sizes->size >> sizes->cluster_bits, l2 = divide_up(data, sizes->cluster / sizes->entry_bytes);
    uint64_t l1 = divide_up(l2 * sizeof(uint64_t), sizes->cluster), fixed = 1 + l1 + l2;
    return (fixed + refcount_clusters(sizes, data + fixed, refcount_bits)) << sizes->cluster_bits;
}

/* What the source has data in, as whole clusters of the new image. */
static bool count_data(BlockEdge *source, uint64_t cluster, uint64_t *bytes, Error **error)
{
    uint64_t size = block_node_size(source->node), next;
    *bytes = 0;
    for (uint64_t at = 0; at < size; at = next) {
        BlockStatus status;
        unsigned depth;
        int number = block_status_above(source, NULL, at, size - at, &status, &depth);
        if (number) {
            return error_set_errno(error, number, "Unable to get block status");
        }
        bool counts = !status.zero && status.data;
        next = counts ? align_up(at + status.bytes, cluster) : at + status.bytes;
        *bytes += counts ? next - align_down(at, cluster) : 0;
    }
    return true;
}

static bool count_bitmaps(BlockNode *source, const Sizes *sizes, uint64_t *bytes, Error **error)
{
    uint64_t clusters = 0, directory = 0;
    const BlockBitmap *bitmap;
    if (!block_bitmaps_load(source, error)) {
        return false;
    }
    for (size_t i = 0; (bitmap = block_bitmap_at(source, i)); i++) {
        if (!bitmap->inconsistent) {
            uint64_t bits = divide_up(bitmap->size, BIT(bitmap->granularity_bits));
            uint64_t data = divide_up(divide_up(bits, 8), sizes->cluster);
            clusters += data + divide_up(data * sizeof(uint64_t), sizes->cluster);
            directory += qcow2_bitmap_entry_bytes(strlen(bitmap->name));
        }
    }
    *bytes = (clusters + divide_up(directory, sizes->cluster)) << sizes->cluster_bits;
    return true;
}

bool qcow2_measure(const void *data, BlockEdge *source, BlockMeasure *measure, Error **error)
{
    Qcow2CreateOptions options = *(const Qcow2CreateOptions *)data;
    options.size = source ? block_node_size(source->node) : align_up(MIN(options.size, INT64_MAX), BLOCK_SECTOR);
    if (!qcow2_check_create(&options, error)) {
        return false;
    }
    if (!qcow2_size_fits(&options)) {
        return error_set(error, "The image size is too large (try using a larger cluster size)");
    }
    Sizes sizes = { .cluster = options.cluster_size, .cluster_bits = (unsigned)__builtin_ctzll(options.cluster_size),
                    .size = align_up(options.size, options.cluster_size), .entry_bytes = options.extended_l2 ? 16 : 8 };
    uint64_t tables = tables_of(&sizes, options.refcount_bits), used = 0;
    bool all = options.preallocation == PREALLOC_MODE_FULL || options.preallocation == PREALLOC_MODE_FALLOC ||
               (source && options.backing_file); /* it is not known how much of the backing file stays in use */
    if (source && !all && !count_data(source, sizes.cluster, &used, error)) {
        return false;
    }
    *measure = (BlockMeasure){ .required = tables + (all ? sizes.size : used),
                               .fully_allocated = tables + sizes.size };
    measure->has_bitmaps = source && block_bitmaps_supported(source->node) && qcow2_is_version_3(&options);
    return !measure->has_bitmaps || count_bitmaps(source->node, &sizes, &measure->bitmaps, error);
}
