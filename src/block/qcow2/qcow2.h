/*
 * What the files of the qcow2 driver share. After the specification "Qcow2 Image File Format" (docs/interop/qcow2 of
 * QEMU's documentation); terms are its own.
 *
 * All requests run in tasks of any loop. `lock` guards the tables; it is open while one is read from the file, and
 * while data move.
 */
#pragma once

#include "base/vec.h"
#include "block/driver.h"

enum {
    QCOW2_MINIMUM_CLUSTER_BITS = 9,
    QCOW2_MAXIMUM_CLUSTER_BITS = 21,
    QCOW2_SUBCLUSTERS = 32,
    QCOW2_MAXIMUM_L1_BYTES = 32 << 20,
    QCOW2_MAXIMUM_REFCOUNT_TABLE_BYTES = 8 << 20,
    QCOW2_MAXIMUM_SNAPSHOTS = 65536,
};

/* incompatible_features, compatible_features, autoclear_features */
#define QCOW2_DIRTY BIT(0)
#define QCOW2_CORRUPT BIT(1)
#define QCOW2_EXTERNAL_DATA BIT(2)
#define QCOW2_COMPRESSION_TYPE BIT(3)
#define QCOW2_EXTENDED_L2 BIT(4)
#define QCOW2_KNOWN_INCOMPATIBLE mask_bits(5)
#define QCOW2_LAZY_REFCOUNTS BIT(0)
#define QCOW2_BITMAPS BIT(0)
#define QCOW2_RAW_DATA BIT(1)

/* L1 and L2 entries */
#define QCOW2_OFFSET (mask_bits(56) & ~mask_bits(9))
#define QCOW2_COPIED BIT(63)
#define QCOW2_COMPRESSED_FLAG BIT(62)
#define QCOW2_ZERO_FLAG BIT(0)

typedef enum Qcow2Compression { QCOW2_ZLIB, QCOW2_ZSTD, QCOW2_COMPRESSION_COUNT } Qcow2Compression;

typedef struct Qcow2Header {
    unsigned version, cluster_bits, refcount_order;
    uint64_t size, l1_offset, refcount_table_offset, snapshots_offset, backing_offset;
    uint32_t l1_entries, refcount_table_clusters, snapshots, length, backing_size, encryption;
    uint64_t incompatible, compatible, autoclear;
    unsigned compression;
    /* Extensions; NULL or 0 where there is none. */
    char *backing_file, *backing_format, *data_file;
    char *feature_name; /* of an incompatible feature that is not known here */
    bool has_bitmaps;
    uint32_t bitmaps;
    uint64_t bitmap_directory_bytes, bitmap_directory_offset;
} Qcow2Header;

/* A piece of a table in memory: `Qcow2.slice_bytes` of it. */
typedef struct Qcow2Slice {
    uint64_t offset; /* in the file */
    struct Qcow2Slice *next; /* of the same hash */
    ListNode in_use; /* least recently used first */
    unsigned users;
    bool loading;
    int error; /* of the loading; then nobody finds it any more */
    uint8_t *bytes;
} Qcow2Slice;

typedef struct Qcow2Cache {
    BlockEdge *file;
    size_t slice_bytes, slices, limit;
    Qcow2Slice **buckets;
    size_t bucket_count; /* a power of two */
    ListNode in_use;     /* Qcow2Slice */
    TaskQueue changed;
} Qcow2Cache;

typedef struct Qcow2 {
    Qcow2Header header;
    BlockEdge *data; /* the file, or the external data file */
    uint64_t cluster_bytes;
    unsigned entry_bits;      /* log2 of the bytes of an L2 entry */
    unsigned table_bits;      /* log2 of the entries of an L2 table */
    unsigned subcluster_bits; /* log2; a cluster's where there are none */
    TaskLock lock;
    uint64_t *l1; /* in the host's byte order */
    Qcow2Cache tables;
} Qcow2;

static inline bool qcow2_has(const Qcow2 *qcow2, uint64_t incompatible)
{
    return qcow2->header.incompatible & incompatible;
}

/* header.c */

/* Reads the header and its extensions, and checks them. What it made is freed by qcow2_header_clear in any case. */
bool qcow2_header_read(Qcow2Header *header, BlockEdge *file, Error **error);
void qcow2_header_clear(Qcow2Header *header);
int qcow2_probe(const uint8_t *bytes, size_t count);

/* cache.c */

void qcow2_cache_init(Qcow2Cache *cache, BlockEdge *file, size_t slice_bytes, uint64_t bytes);
void qcow2_cache_clear(Qcow2Cache *cache);
/* The slice at `offset`, a multiple of its size, until it is given back. `lock` is held, and open on the way. */
int qcow2_cache_get(Qcow2Cache *cache, TaskLock *lock, BlockTask *self, uint64_t offset, Qcow2Slice **slice);
void qcow2_cache_put(Qcow2Cache *cache, Qcow2Slice *slice);

/* map.c */

typedef enum Qcow2Kind {
    QCOW2_UNALLOCATED, /* the backing file has it */
    QCOW2_ZERO,
    QCOW2_DATA,
    QCOW2_COMPRESSED,
} Qcow2Kind;

/* Where a part of the disk is: all of one kind, and at one place. */
typedef struct Qcow2Extent {
    Qcow2Kind kind;
    uint64_t bytes;
    uint64_t offset; /* data: in the data file. Compressed: of the cluster's stream in the file */
    uint64_t stream_bytes;
} Qcow2Extent;

/* At most `bytes` from `offset` on. EIO where the tables are damaged. */
int qcow2_find(BlockNode *node, uint64_t offset, uint64_t bytes, Qcow2Extent *extent);
/* Reads the L1 table. */
bool qcow2_load_l1(BlockNode *node, Error **error);

/* compressed.c */

/* The part of a compressed cluster, `from` bytes after its beginning. */
int qcow2_read_compressed(BlockNode *node, const Qcow2Extent *extent, uint64_t from, uint64_t bytes,
                          BlockVectors vectors);
