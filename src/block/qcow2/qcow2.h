/*
 * What the files of the qcow2 driver share. After the specification "Qcow2 Image File Format" (docs/interop/qcow2 of
 * QEMU's documentation); terms are its own.
 *
 * All requests run in tasks of any loop. `lock` guards the tables in memory; it is open while an L2 table is read from
 * the file, and while data move.
 *
 * What a power cut leaves must be whole, but for clusters that are counted and not used. So an L2 entry reaches the
 * file after the data that it leads to and after the refcounts of its clusters (flush.c), and a cluster that is no
 * longer referred to loses its count only when the file does not refer to it any more either, and no request does.
 * Until then it is a Qcow2Free.
 */
#pragma once

#include "base/vec.h"
#include "block/driver.h"
#include "block/qcow2/codec.h"

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

/* A piece of a table in memory: `slice_bytes` of it. One that has changed is in use until it is written. */
typedef struct Qcow2Slice {
    uint64_t offset;         /* in the file */
    struct Qcow2Slice *next; /* of the same hash */
    ListNode in_use;         /* least recently used first */
    unsigned users;
    bool loading, dirty;
    bool used;    /* since the cache was cleaned */
    bool checked; /* its entries do not lead into tables */
    int error;    /* of the loading; then it goes with its last user */
    uint8_t *bytes;
} Qcow2Slice;

typedef VEC(Qcow2Slice *) Qcow2Slices;

typedef struct Qcow2Cache {
    BlockEdge *file;
    bool opens_lock; /* while a slice is read */
    size_t slice_bytes, slices, limit;
    size_t ahead; /* bytes, a power of two: of a part of a cluster that is read as a whole where there is room */
    Qcow2Slice **buckets;
    size_t bucket_count; /* a power of two */
    ListNode in_use;     /* Qcow2Slice */
    TaskQueue changed;
    Qcow2Slices dirty;
} Qcow2Cache;

/* An entry of the L1 or refcount table that the file does not have yet. */
typedef struct Qcow2Change {
    uint32_t index;
    uint64_t value;
} Qcow2Change;
typedef VEC(Qcow2Change) Qcow2Changes;

/* What nothing refers to any more, once the file says so too. */
typedef enum Qcow2FreeReason { QCOW2_FREE_REQUEST, QCOW2_FREE_SNAPSHOT, QCOW2_FREE_OTHER } Qcow2FreeReason;
typedef struct Qcow2Free {
    uint64_t offset, bytes; /* each cluster that they touch loses one reference */
    Qcow2FreeReason reason;
} Qcow2Free;
typedef VEC(Qcow2Free) Qcow2Frees;

/* Clusters that are being written to for the first time; others keep clear of them until the L2 table has them. */
typedef struct Qcow2Allocation {
    ListNode node;
    uint64_t guest, clusters; /* bytes, multiples of a cluster; how many */
} Qcow2Allocation;

/* Clusters that hold tables, by number. */
typedef struct Qcow2Set {
    uint64_t *items; /* number + 1; 0: free */
    size_t count, capacity;
} Qcow2Set;

/* Kinds of tables. */
typedef enum Qcow2TableKind {
    QCOW2_TABLE_HEADER = 1,
    QCOW2_TABLE_L1 = 2,
    QCOW2_TABLE_L2 = 4,
    QCOW2_TABLE_REFCOUNTS = 8,
    QCOW2_TABLE_BLOCKS = 0x10, /* of refcounts */
    QCOW2_TABLE_SNAPSHOTS = 0x20,
    QCOW2_TABLE_INACTIVE_L1 = 0x40,
    QCOW2_TABLE_INACTIVE_L2 = 0x80,
    QCOW2_TABLE_BITMAPS = 0x100,
    QCOW2_ALL_TABLES = 0x1ff,
} Qcow2TableKind;

typedef enum Qcow2Holes { QCOW2_HOLES_UNKNOWN, QCOW2_NO_HOLES, QCOW2_HOLES } Qcow2Holes;

typedef struct Qcow2 {
    Qcow2Header header;
    BlockEdge *data; /* the file, or the external data file */
    uint64_t cluster_bytes;
    unsigned entry_bits;      /* log2 of the bytes of an L2 entry */
    unsigned table_bits;      /* log2 of the entries of an L2 table */
    unsigned subcluster_bits; /* log2; a cluster's where there are none */
    unsigned block_bits;      /* log2 of the entries of a refcount block */
    bool lazy_refcounts;
    bool keeps_places; /* of what is discarded and zeroed */
    unsigned overlap;  /* Qcow2TableKind */
    int64_t clean_interval_ns;
    BlockTimer clean_timer;
    bool pass_discard[QCOW2_FREE_OTHER + 1];
    TaskLock flush_lock; /* of flushes and what else must not meet one; taken before `lock` */
    TaskLock lock;
    uint64_t *l1, *refcount_table; /* in the host's byte order */
    uint32_t refcount_entries;
    Qcow2Cache tables, blocks;
    Qcow2Changes l1_changes, refcount_changes;
    ListNode allocations; /* Qcow2Allocation */
    TaskQueue allocations_changed;
    Qcow2Set metadata;
    uint64_t free_hint;  /* number of a cluster: none below is free */
    uint64_t fresh_from; /* bytes of the file: it was never written to from there on, and reads as zeroes */
    TaskLock room_lock;  /* of growing the file; taken after no other */
    _Atomic uint64_t room; /* bytes of the file that have space on the host; UINT64_MAX: no more is asked for */
    uint64_t grown;      /* as far as it was made longer for that; 0: it was not */
    uint64_t stream_at;  /* where the next compressed cluster goes; 0: anywhere */
    /* Frees: not in the file yet; in the file; waiting for the requests that may still use the clusters. */
    Qcow2Frees frees, flushed_frees, waiting_frees;
    uint64_t freed_clusters; /* in `frees` */
    _Atomic uint32_t in_flight[2]; /* requests, by the phase that they began in */
    unsigned phase;
    bool bitmaps_loaded; /* those of the file */
    _Atomic uint8_t holes; /* Qcow2Holes */
    Qcow2Codecs codecs;
} Qcow2;

static inline bool qcow2_has(const Qcow2 *qcow2, uint64_t incompatible)
{
    return qcow2->header.incompatible & incompatible;
}
static inline uint64_t qcow2_clusters(const Qcow2 *qcow2, uint64_t bytes) /* rounded up */
{
    return (bytes >> qcow2->header.cluster_bits) + ((bytes & (qcow2->cluster_bytes - 1)) != 0);
}
static inline BlockTask *qcow2_task(const BlockNode *node)
{
    return block_task_self(block_graph_runtime(node->graph));
}

/* header.c */

enum { QCOW2_FIELD_BYTES = 512, QCOW2_HEADER_V2 = 72, QCOW2_HEADER_V3 = 104, QCOW2_HEADER_V3_COMPRESSION = 112,
       QCOW2_MAXIMUM_NAME = 1023 /* of a backing file */ };
/* Reads the header and its extensions, and checks them. What it made is freed by qcow2_header_clear in any case. */
bool qcow2_header_read(Qcow2Header *header, BlockEdge *file, Error **error);
void qcow2_header_clear(Qcow2Header *header);
int qcow2_probe(const uint8_t *bytes, size_t count);
/* Writes the fixed fields, as they are in header, over those of the file: one sector. Does not flush. */
int qcow2_header_write(BlockNode *node);
/* The whole first cluster, all zeroes before, with its extensions and names; those extensions of the one before
 * (`before_bytes` of it; may be NULL) that are not known here stay. */
bool qcow2_header_build(const Qcow2Header *header, const uint8_t *before, size_t before_bytes, uint8_t *cluster,
                        Error **error);
/* Writes all of the header anew. */
bool qcow2_header_rewrite(BlockNode *node, Error **error);
/* Refuses every write from now on; the image says so to everybody. `lock` is held. Returns EIO. */
int qcow2_corrupt(BlockNode *node, uint64_t offset, uint64_t bytes, const char *format, ...) PRINTF(4, 5);

/* cache.c: `lock` is held. */

void qcow2_cache_init(Qcow2Cache *cache, BlockEdge *file, size_t slice_bytes, size_t cluster_bytes, uint64_t bytes);
void qcow2_cache_clear(Qcow2Cache *cache);
void qcow2_cache_empty(Qcow2Cache *cache); /* nobody uses it; what is dirty is lost */
/* The slice at `offset`, a multiple of its size, until it is given back. */
int qcow2_cache_get(Qcow2Cache *cache, TaskLock *lock, BlockTask *self, uint64_t offset, Qcow2Slice **slice);
Qcow2Slice *qcow2_cache_find(const Qcow2Cache *cache, uint64_t offset); /* NULL: it is not there now */
void qcow2_cache_put(Qcow2Cache *cache, Qcow2Slice *slice); /* NULL is fine */
void qcow2_cache_clean(Qcow2Cache *cache); /* what was not used since the last time goes */
void qcow2_cache_changed(Qcow2Cache *cache, Qcow2Slice *slice);
/* What is there of the table at `offset` is out of date; nobody uses it. */
void qcow2_cache_forget(Qcow2Cache *cache, uint64_t offset, uint64_t bytes);

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
    bool copied; /* data: may be written to in place */
    bool placed; /* it has its place in the data file, be it data or not */
    uint64_t bytes;
    uint64_t offset; /* placed: in the data file. Compressed: of the cluster's stream in the file */
    uint64_t stream_bytes;
} Qcow2Extent;

/* An L2 entry; without subclusters the second half is 0. */
typedef struct Qcow2Entry {
    uint64_t descriptor, subclusters;
} Qcow2Entry;

/* At most `bytes` from `offset` on, for a request that ends with qcow2_leave(token). EIO where the tables are damaged;
 * then there is nothing to leave. */
int qcow2_find(BlockNode *node, uint64_t offset, uint64_t bytes, Qcow2Extent *extent, unsigned *token);
void qcow2_leave(BlockNode *node, unsigned token); /* any thread */
unsigned qcow2_enter(Qcow2 *qcow2); /* `lock` is held */
/* The same at once and without a task, where it is possible. */
bool qcow2_map(BlockNode *node, BlockOperation operation, uint64_t offset, uint64_t bytes, BlockMapping *mapping);
bool qcow2_load_l1(BlockNode *node, Error **error);
/* Not after tables that were changed could not be read again: the node is of no use then. */
bool qcow2_has_tables(const Qcow2 *qcow2, Error **error);
bool qcow2_may_change(const Qcow2 *qcow2, Error **error); /* the same, and it is not corrupt */

/* The rest with `lock` held, which may be open on the way. */

/* The slice with the L2 entry of `offset`; NULL: there is no table. */
int qcow2_get_slice(BlockNode *node, BlockTask *self, uint64_t offset, Qcow2Slice **slice);
/* The same to change it: its table is made, or copied where a snapshot has it too. */
int qcow2_get_writable_slice(BlockNode *node, BlockTask *self, uint64_t offset, Qcow2Slice **slice);
/* Where on the disk the slice ends that has `offset`. */
uint64_t qcow2_slice_end(const Qcow2 *qcow2, uint64_t offset);
Qcow2Entry qcow2_load_entry(const Qcow2 *qcow2, const Qcow2Slice *slice, uint64_t offset);
void qcow2_store_entry(Qcow2 *qcow2, Qcow2Slice *slice, uint64_t offset, Qcow2Entry entry);
/* From `offset` on as far as the slice goes, and it is alike. */
int qcow2_find_in_slice(const Qcow2 *qcow2, const Qcow2Slice *slice, uint64_t offset, uint64_t bytes,
                        Qcow2Extent *extent);
int qcow2_find_entry(const Qcow2 *qcow2, const Qcow2Entry *entry, uint64_t offset, Qcow2Extent *extent);
bool qcow2_is_allocated(const Qcow2 *qcow2, const Qcow2Entry *entry); /* it has a cluster of the data file */
/* Where the compressed cluster's bytes are. */
void qcow2_stream_of(const Qcow2 *qcow2, uint64_t descriptor, uint64_t *offset, uint64_t *bytes);

/* holes.c: a status that says data; `lock` is open. Where the file has nothing they are zeroes. */
int qcow2_look_for_holes(BlockNode *node, BlockStatus *status);

/* refcount.c: `lock` is held. */

bool qcow2_load_refcount_table(BlockNode *node, Error **error);
/* Takes clusters that follow each other, each with one reference: `wanted`, or fewer unless `exact`. */
int qcow2_allocate(BlockNode *node, BlockTask *self, uint64_t wanted, bool exact, uint64_t *offset, uint64_t *count);
/* For `bytes` of a compressed cluster, at any byte. */
int qcow2_allocate_stream(BlockNode *node, BlockTask *self, uint64_t bytes, uint64_t *offset);
/* One reference more or less for each cluster that the bytes touch. */
int qcow2_change_refcounts(BlockNode *node, BlockTask *self, uint64_t offset, uint64_t bytes, int change);
int qcow2_get_refcount(BlockNode *node, BlockTask *self, uint64_t cluster, uint64_t *refcount);
uint64_t qcow2_refcount_in(const uint8_t *block, unsigned order, uint64_t index);
void qcow2_set_refcount_in(uint8_t *block, unsigned order, uint64_t index, uint64_t value);

/* room.c */

void qcow2_room_init(BlockNode *node); /* once fresh_from is known */
void qcow2_make_room(BlockNode *node, BlockTask *self, uint64_t end); /* `lock` is open; before a write up to there */
void qcow2_trim(BlockNode *node); /* outside tasks */

/* settings.c: what an image is opened with. */

typedef struct Qcow2Settings Qcow2Settings;
bool qcow2_settings_apply(BlockNode *node, const Qcow2Settings *settings, Error **error); /* once the header is read */
void qcow2_clean_start(BlockNode *node); /* now and then, the caches */

/* overlap.c */

unsigned qcow2_overlap_kinds(const Qcow2Settings *settings);
/* They are not written over, where tables of that kind are looked after. */
void qcow2_note_table(Qcow2 *qcow2, Qcow2TableKind kind, uint64_t offset, uint64_t bytes);
/* All the tables that the header and the tables themselves name. False where they cannot be right. */
bool qcow2_note_metadata(BlockNode *node, Error **error);
void qcow2_set_add(Qcow2Set *set, uint64_t cluster);
void qcow2_set_remove(Qcow2Set *set, uint64_t cluster);
bool qcow2_set_has(const Qcow2Set *set, uint64_t cluster);
void qcow2_set_clear(Qcow2Set *set);
/* Before anything of a slice of an L2 table that was read is written to. */
int qcow2_check_slice(BlockNode *node, Qcow2Slice *slice);

/* write.c */

int qcow2_read(BlockNode *node, uint64_t offset, uint64_t bytes, BlockVectors vectors);
int qcow2_write(BlockNode *node, uint64_t offset, uint64_t bytes, BlockVectors vectors, unsigned flags);
int qcow2_copy_to(BlockNode *node, uint64_t offset, uint64_t bytes, const BlockCopySource *source);
/* Before any change, with `lock` held: EIO where the image is known to be damaged. */
int qcow2_begin_changes(BlockNode *node);
/* `lock` is held. Whether clusters in the range are being allocated; if so it has waited, and everything may be
 * different. */
bool qcow2_wait_for_allocations(Qcow2 *qcow2, BlockTask *self, uint64_t offset, uint64_t bytes);
/* What the entry refers to goes, once the file does not. */
void qcow2_free_entry(Qcow2 *qcow2, const Qcow2Entry *entry, Qcow2FreeReason reason);
void qcow2_free(Qcow2 *qcow2, uint64_t offset, uint64_t bytes, Qcow2FreeReason reason);

/* zero.c */

int qcow2_write_zeroes(BlockNode *node, uint64_t offset, uint64_t bytes, unsigned flags);
int qcow2_discard(BlockNode *node, uint64_t offset, uint64_t bytes);
/* They read as zeroes afterwards, in every version; for what is about to become a part of the disk. */
int qcow2_zero_range(BlockNode *node, uint64_t offset, uint64_t bytes);
/* With `lock` held: whole clusters of the image become as if never written to, and show what is below. */
int qcow2_drop_range(BlockNode *node, BlockTask *self, uint64_t offset, uint64_t end);

/* flush.c: `lock` is open. */

/* Writes what has changed of the tables, in an order that a power cut does not hurt. What the last step wrote is not
 * flushed unless clusters became free by it. */
int qcow2_flush(BlockNode *node);
/* With `lock` held: writes what is dirty of a cache, where nothing may be flushed that is older. */
int qcow2_write_dirty(Qcow2Cache *cache);
/* The same before too much of the tables is in memory alone. */
int qcow2_flush_if_needed(BlockNode *node);
/* Everything, refcounts that may be late included. */
int qcow2_flush_all(BlockNode *node);

/* snapshot.c */

typedef struct Qcow2Snapshot {
    uint64_t l1_offset, disk_size, vm_clock_ns, vm_state_bytes, icount;
    uint32_t l1_entries, date_seconds, date_nanoseconds;
    bool has_icount;
    char *id, *name;
    uint8_t *extra; /* what follows the fields that are known */
    size_t extra_bytes;
} Qcow2Snapshot;
typedef VEC(Qcow2Snapshot) Qcow2Snapshots;

/* `bytes`: of the table in the file. */
bool qcow2_snapshots_read(BlockNode *node, Qcow2Snapshots *snapshots, uint64_t *bytes, Error **error);
void qcow2_snapshots_clear(Qcow2Snapshots *snapshots);
Qcow2Snapshot *qcow2_snapshot_find(const Qcow2Snapshots *snapshots, const char *name); /* its ID, else its name */
void qcow2_snapshot_clear(Qcow2Snapshot *snapshot);
/* The snapshot's L1 table in the host's byte order; the caller's in any case. */
int qcow2_snapshot_read_l1(BlockNode *node, const Qcow2Snapshot *snapshot, uint64_t **l1);

bool qcow2_snapshot_list(BlockNode *node, BlockSnapshots *list, Error **error);
bool qcow2_snapshot_load(BlockNode *node, const char *name, Error **error);

/* snapshot_change.c */

bool qcow2_snapshot_create(BlockNode *node, const BlockSnapshot *snapshot, Error **error);
bool qcow2_snapshot_delete(BlockNode *node, const char *name, Error **error);
bool qcow2_snapshot_apply(BlockNode *node, const char *name, Error **error);

/* The table of snapshots as version 3 has it. */
bool qcow2_snapshots_rewrite(BlockNode *node, Error **error);

/* amend.c */

/* `options`: Qcow2AmendOptions. */
bool qcow2_amend(BlockNode *node, const void *options, Error **error);

/* bitmap.c */

/* Those of the image become the node's. */
bool qcow2_bitmaps_load(BlockNode *node, Error **error);
/* The same to write to the image: the file says so. */
bool qcow2_bitmaps_use(BlockNode *node, Error **error);
/* In a task, before the last flush. What goes wrong is said on stderr, and leaves them inconsistent. */
void qcow2_bitmaps_store(BlockNode *node);
uint64_t qcow2_bitmap_entry_bytes(uint64_t name_bytes); /* of the directory */
bool qcow2_bitmaps_supported(const BlockNode *node);
bool qcow2_bitmap_check(BlockNode *node, const char *name, unsigned granularity_bits, Error **error);
Json *qcow2_bitmaps_describe(BlockNode *node); /* as the file has them; NULL: none */
/* Calls `count` for every range of the file that the bitmaps take. */
int qcow2_bitmaps_count(BlockNode *node, void (*count)(void *data, uint64_t offset, uint64_t bytes), void *data,
                        Error **error);

/* qcow2.c: the tables as the file has them; outside tasks, with nothing under way. */
bool qcow2_reload(BlockNode *node, Error **error);

/* create.c */

typedef struct Qcow2CreateOptions Qcow2CreateOptions;
bool qcow2_is_version_3(const Qcow2CreateOptions *options);
bool qcow2_size_fits(const Qcow2CreateOptions *options); /* which are right */
bool qcow2_check_create(const Qcow2CreateOptions *options, Error **error);
bool qcow2_create(BlockGraph *graph, const char *filename, const void *options, const Json *file_options,
                  Error **error);

/* measure.c */

bool qcow2_measure(const void *options, BlockEdge *source, BlockMeasure *measure, Error **error);

/* check.c */

bool qcow2_check(BlockNode *node, unsigned fix, BlockCheck *check, Error **error);
/* Counts of 2^order bits; the image is checked before. */
bool qcow2_change_refcount_order(BlockNode *node, unsigned order, Error **error);

/* resize.c */

uint64_t qcow2_l1_entries_for(const Qcow2 *qcow2, uint64_t size);
uint64_t qcow2_state_offset(const Qcow2 *qcow2);
/* In a task: reads or writes the state of a machine. */
int qcow2_state(BlockNode *node, bool write, uint64_t offset, uint64_t bytes, BlockVectors vectors);
bool qcow2_resize(BlockNode *node, uint64_t size, int preallocation, Error **error);

/* compressed.c */

/* The part of a compressed cluster, `from` bytes after its beginning. */
int qcow2_read_compressed(BlockNode *node, const Qcow2Extent *extent, uint64_t from, uint64_t bytes,
                          BlockVectors vectors);
int qcow2_write_compressed(BlockNode *node, uint64_t offset, uint64_t bytes, BlockVectors vectors);
