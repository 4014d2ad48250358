/*
 * What a qcow2 image is opened with: the sizes of the caches (after QEMU's documentation, docs/qcow2-cache.txt), and
 * what becomes of what is discarded.
 */
#include "block/qcow2/qcow2.h"

#include "base/error.h"
#include "base/host/host.h"
#include "schema/block.h"

#include <inttypes.h>

enum { USUAL_SLICE_BYTES = 4096, LEAST_BLOCK_CLUSTERS = 4 };
#define USUAL_TABLE_BYTES (32 * MIB)
#define USUAL_BLOCK_BYTES (8 * MIB)
#define SECOND INT64_C(1000000000)

typedef struct CacheSizes {
    uint64_t tables, blocks;
} CacheSizes;

/* How much of cache-size each gets: L2 tables as much as the disk has, and all but a little of less than that. */
static bool share_cache(const Qcow2 *qcow2, const Qcow2Settings *settings, CacheSizes *sizes, Error **error)
{
    uint64_t both = settings->cache_size, least = LEAST_BLOCK_CLUSTERS * qcow2->cluster_bytes,
             whole = qcow2_clusters(qcow2, qcow2->header.size) << qcow2->entry_bits;
    if (settings->has_l2_cache_size && settings->has_refcount_cache_size) {
        return error_set(error, "cache-size, l2-cache-size and refcount-cache-size may not be set at the same time");
    }
    if (settings->has_l2_cache_size && settings->l2_cache_size > both) {
        return error_set(error, "l2-cache-size may not exceed cache-size");
    }
    if (settings->has_refcount_cache_size && settings->refcount_cache_size > both) {
        return error_set(error, "refcount-cache-size may not exceed cache-size");
    }
    if (settings->has_l2_cache_size) {
        sizes->blocks = both - sizes->tables;
    } else if (settings->has_refcount_cache_size) {
        sizes->tables = both - sizes->blocks;
    } else if (both >= least && both - least >= whole) {
        *sizes = (CacheSizes){ whole, both - whole };
    } else {
        *sizes = (CacheSizes){ both - MIN(both, least), MIN(both, least) };
    }
    return true;
}

static bool init_caches(BlockNode *node, const Qcow2Settings *settings, Error **error)
{
    Qcow2 *qcow2 = node->state;
    CacheSizes sizes = { settings->has_l2_cache_size ? settings->l2_cache_size : USUAL_TABLE_BYTES,
                         settings->has_refcount_cache_size ? settings->refcount_cache_size : USUAL_BLOCK_BYTES };
    uint64_t usual = MIN(USUAL_SLICE_BYTES, qcow2->cluster_bytes),
             slice = settings->has_l2_cache_entry_size ? settings->l2_cache_entry_size : usual;
    if (settings->has_cache_size && !share_cache(qcow2, settings, &sizes, error)) {
        return false;
    }
    if (slice < BIT(QCOW2_MINIMUM_CLUSTER_BITS) || slice > qcow2->cluster_bytes || slice & (slice - 1)) {
        return error_set(error, "L2 cache entry size must be a power of two between %d and the cluster size (%" PRIu64
                         ")", 1 << QCOW2_MINIMUM_CLUSTER_BITS, qcow2->cluster_bytes);
    }
    qcow2_cache_init(&qcow2->tables, node->file, slice, qcow2->cluster_bytes, sizes.tables);
    qcow2_cache_init(&qcow2->blocks, node->file, usual, qcow2->cluster_bytes, sizes.blocks);
    qcow2->tables.opens_lock = true;
    return true;
}

bool qcow2_settings_apply(BlockNode *node, const Qcow2Settings *settings, Error **error)
{
    Qcow2 *qcow2 = node->state;
    bool new = qcow2->header.version >= 3;
    if (settings->cache_clean_interval > UINT32_MAX) {
        return error_set(error, "Cache clean interval too big");
    }
    if (settings->discard_no_unref && !new) {
        return error_set(error, "discard-no-unref is only supported since qcow2 version 3");
    }
    qcow2->clean_interval_ns = (int64_t)settings->cache_clean_interval * SECOND;
    qcow2->keeps_places = settings->discard_no_unref;
    qcow2->overlap = qcow2_overlap_kinds(settings);
    qcow2->lazy_refcounts = new && (settings->has_lazy_refcounts ? settings->lazy_refcounts
                                                                 : qcow2->header.compatible & QCOW2_LAZY_REFCOUNTS);
    qcow2->pass_discard[QCOW2_FREE_REQUEST] = settings->has_pass_discard_request ? settings->pass_discard_request
                                                                                 : node->discard;
    qcow2->pass_discard[QCOW2_FREE_SNAPSHOT] = settings->pass_discard_snapshot;
    qcow2->pass_discard[QCOW2_FREE_OTHER] = settings->pass_discard_other;
    return init_caches(node, settings, error);
}

/* What a request uses stays until the next time. */
static void clean(void *data)
{
    Qcow2 *qcow2 = data;
    if (task_try_lock(&qcow2->lock)) {
        qcow2_cache_clean(&qcow2->tables);
        qcow2_cache_clean(&qcow2->blocks);
        task_unlock(&qcow2->lock);
    }
    block_timer_set(&qcow2->clean_timer, host_monotonic_ns() + qcow2->clean_interval_ns);
}

void qcow2_clean_start(BlockNode *node)
{
    Qcow2 *qcow2 = node->state;
    if (qcow2->clean_interval_ns > 0) {
        block_timer_init(&qcow2->clean_timer, block_runtime_main(block_graph_runtime(node->graph)), clean, qcow2);
        block_timer_set(&qcow2->clean_timer, host_monotonic_ns() + qcow2->clean_interval_ns);
    }
}
