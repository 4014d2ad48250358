/*
 * What can be done with images besides reading and writing: made, described, checked. For tools and the monitor; called
 * on the main loop's thread outside tasks.
 */
#pragma once

#include "base/vec.h"
#include "block/graph.h"

typedef struct BlockDriver BlockDriver;
typedef struct Type Type;

/* Formats and protocols. */
const BlockDriver *block_driver_find(const char *name); /* NULL where there is none */
const BlockDriver *block_driver_at(size_t i);           /* sorted by name; NULL at the end */
const char *block_driver_name(const BlockDriver *driver);
bool block_driver_can_create(const BlockDriver *driver);
bool block_driver_can_compress(const BlockDriver *driver);
bool block_driver_has_backing(const BlockDriver *driver); /* its images can name a backing file */
const BlockDriver *block_protocol_of(const char *filename); /* of its scheme; "file" or "host_device" for a path */
/* The same; NULL with an error where there is no such scheme. */
const BlockDriver *block_protocol_find(const char *filename, Error **error);
/* The length of "nbd:" in a name that begins so; 0: it is a path. */
size_t block_name_scheme(const char *filename);
/* The options of `create -o`: a struct type; NULL where there are none. */
const Type *block_driver_create_type(const BlockDriver *driver);

/* Whether there are such options, with such values. */
bool block_create_check(const BlockDriver *driver, const char *filename, const Json *options, Error **error);
/* Makes an image. `options`: members of the driver's create type and of its protocol's, as texts; size among them. */
bool block_create(BlockGraph *graph, const BlockDriver *driver, const char *filename, const Json *options,
                  Error **error);

/* The options of `amend -o`; NULL where there are none. */
const Type *block_driver_amend_type(const BlockDriver *driver);
/* Changes what an image was made with. `options`: members of its driver's amend type, as texts. */
bool block_amend(BlockNode *node, const Json *options, Error **error);

/* How large the files of a new image would become that has the data of `source` (NULL: none). */
typedef struct BlockMeasure {
    uint64_t required, fully_allocated; /* with the source's data; with all the disk written to */
    bool has_bitmaps;                   /* bitmaps can be copied to it, */
    uint64_t bitmaps;                   /* which takes as much more */
} BlockMeasure;
bool block_measure(const BlockDriver *driver, const Json *options, BlockEdge *source, BlockMeasure *measure,
                   Error **error);

/* What an image says of itself. */
typedef struct BlockFacts {
    uint32_t cluster_bytes; /* 0: it has no clusters */
    uint64_t vm_state_offset; /* where the state of a machine would be, behind the disk; 0: nowhere */
    bool dirty;               /* it was not closed */
    bool corrupt;
    const char *backing_file, *backing_format; /* as they stand in it; NULL where there are none */
    Json *specific; /* the driver's own, as query-block tells them; NULL: nothing. The caller's */
} BlockFacts;
void block_node_facts(const BlockNode *node, BlockFacts *facts);
/* A name that the image has for another one, as seen from here; the caller's. */
char *block_resolve_name(const BlockNode *node, const char *filename);

/* Reads or writes the state of a machine, which an image has room for behind its disk; 0 or an errno value, ENOTSUP
 * where it has none. */
int block_state(BlockEdge *edge, bool write, uint64_t offset, uint64_t bytes, BlockVectors vectors);

bool block_can_compress(const BlockNode *node); /* it takes BLOCK_COMPRESSED */

/* A check, which can repair. */
enum { BLOCK_FIX_LEAKS = 1, BLOCK_FIX_ERRORS = 2 };
typedef struct BlockCheck {
    uint64_t corruptions, leaks, check_errors, corruptions_fixed, leaks_fixed;
    uint64_t image_end_offset;
    uint64_t total_clusters, allocated_clusters, fragmented_clusters, compressed_clusters;
    /* Each finding, a line without its end; may be NULL. */
    void (*report)(void *data, const char *line);
    void *data;
} BlockCheck;
bool block_can_check(const BlockNode *node);
/* False where the check itself could not be done; the counts say what was found and is left, and what was repaired. */
bool block_check(BlockNode *node, unsigned fix, BlockCheck *check, Error **error);

/* What the image says its backing file is; NULL: none. The node stays on the one that it has. */
bool block_change_backing_file(BlockNode *node, const char *filename, const char *format, Error **error);
/* What the node has goes into its backing file, in a drain; then the node has nothing. */
bool block_commit(BlockNode *node, Error **error);
/* Drops all that the node has, so that its backing file shows. */
bool block_make_empty(BlockNode *node, Error **error);

/* An image over `base`, whose reference is taken, for what is written: its file is gone when it is closed. `flags` are
 * those that the image would have been opened with. NULL with an error. */
BlockNode *block_open_temporary(BlockGraph *graph, BlockNode *base, unsigned flags, Error **error);

/* Internal snapshots. A `name` is an ID, or a name where there is no such ID. */
typedef struct BlockSnapshot {
    char *id, *name;
    uint64_t disk_size, vm_state_bytes, vm_clock_ns, icount;
    int64_t date_seconds; /* since 1970 */
    uint32_t date_nanoseconds;
    bool has_icount;
} BlockSnapshot;
typedef VEC(BlockSnapshot) BlockSnapshots;
void block_snapshots_clear(BlockSnapshots *list);
bool block_can_snapshot(const BlockNode *node);
bool block_snapshot_list(BlockNode *node, BlockSnapshots *list, Error **error); /* none where it has none */
bool block_snapshot_create(BlockNode *node, const BlockSnapshot *snapshot, Error **error); /* which gives no ID */
bool block_snapshot_apply(BlockNode *node, const char *name, Error **error);
bool block_snapshot_delete(BlockNode *node, const char *name, Error **error);
/* The node, a read-only one, reads as the snapshot from now on. */
bool block_snapshot_load(BlockNode *node, const char *name, Error **error);
