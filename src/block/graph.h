/*
 * The graph of block nodes: formats and protocols with names, the edges between them, and the edges by which users
 * (devices, tools) reach them. A BlockGraph is all the nodes of a machine or a program.
 *
 * The graph belongs to the main loop's thread; it changes only while no request is on its way
 * (block_graph_drain_begin).
 * Requests come from any loop that has a BlockLoop.
 */
#pragma once

#include "base/compiler.h"
#include "block/request.h"

typedef struct BlockGraph BlockGraph;
typedef struct BlockNode BlockNode;
typedef struct Files Files;
typedef struct Json Json;
typedef struct Loop Loop;
typedef struct Object Object;
typedef struct ThrottleGroup ThrottleGroup;
typedef struct Trace Trace;

/* Events of its nodes go to `trace`, which outlives it; NULL: nowhere. */
void block_graph_set_trace(BlockGraph *graph, Trace *trace);
Trace *block_node_trace(const BlockNode *node);
BlockGraph *block_graph_new(Files *files, Loop *main_loop, Error **error);
void block_graph_free(BlockGraph *graph); /* whoever used a node has let go of it; NULL is fine */
/* The calling thread is the main loop's from now on: for programs whose thread changes between calls. */
void block_graph_enter(BlockGraph *graph);
/* Where the objects are that options of nodes name (throttle groups, keys): a container, which the caller keeps. */
void block_graph_set_objects(BlockGraph *graph, Object *objects);
Object *block_graph_objects(const BlockGraph *graph);
BlockRuntime *block_graph_runtime(const BlockGraph *graph);

/* What a user of a node does, and what others may do meanwhile. */
typedef enum BlockPermission {
    BLOCK_PERMISSION_READ = 1, /* what is read is consistent */
    BLOCK_PERMISSION_WRITE = 2,
    BLOCK_PERMISSION_WRITE_UNCHANGED = 4,
    BLOCK_PERMISSION_RESIZE = 8,
    BLOCK_PERMISSION_ALL = 15,
} BlockPermission;

typedef enum BlockOpenFlags {
    BLOCK_OPEN_WRITE = 1, /* else read-only, where the options do not say */
    BLOCK_OPEN_FORCE_SHARE = 2,
    BLOCK_OPEN_NO_FLUSH = 4,
    BLOCK_OPEN_DIRECT = 8,
    BLOCK_OPEN_DISCARD = 16,  /* discard=unmap, where the options do not say */
    BLOCK_OPEN_PROTOCOL = 32, /* the name is that of a file, not of an image in it */
    BLOCK_OPEN_NO_BACKING = 64, /* its backing file is not looked at, */
    BLOCK_OPEN_NO_DATA = 128,   /* nor its external data file: nothing is read but the image's own description */
    BLOCK_OPEN_AUTO_READ_ONLY = 256, /* where it cannot be opened for writing, it is for reading */
    BLOCK_OPEN_AIO_NATIVE = 1024, /* `aio` of files, where the options do not say */
    BLOCK_OPEN_AIO_IO_URING = 2048,
    BLOCK_OPEN_REPAIR = 4096, /* for writing even where it says that it is corrupt: it is to be repaired */
} BlockOpenFlags;

/* `cache=` of -drive, -t of the tools: none, writeback, writethrough, directsync, unsafe. Adds BLOCK_OPEN_DIRECT and
 * _NO_FLUSH to the flags. */
bool block_parse_cache_mode(const char *name, unsigned *flags, bool *write_through, Error **error);

/* "threads", "native" or "io_uring"; false where it is none of them. */
bool block_parse_aio(const char *name, unsigned *flags);

/*
 * Opens a node and those below it. `filename` (may be NULL): a path, or json:{...}. `options` (taken, may be NULL): as
 * for blockdev-add, but what can be found out may be left out; values may be texts. The caller gets a reference. NULL
 * with an error that names the file.
 */
BlockNode *block_open(BlockGraph *graph, const char *filename, Json *options, unsigned flags, Error **error);
/*
 * Opens nodes afresh where they stand, with the options that go with each (as block_open's; taken): all of them, or
 * none with an error. Their driver stays, and so do children that the options do not name. `keep`: so do options;
 * `flags` takes the place of those that it was opened with. No request of theirs is lost.
 */
typedef struct BlockReopen {
    BlockNode *node;
    Json *options;
    unsigned flags;
    bool keep;
} BlockReopen;
bool block_reopen(BlockGraph *graph, const BlockReopen *nodes, size_t count, Error **error);
unsigned block_node_opened_flags(const BlockNode *node);

BlockNode *block_node_ref(BlockNode *node);
void block_node_unref(BlockNode *node); /* NULL is fine; the last one flushes and closes */
BlockNode *block_node_find(const BlockGraph *graph, const char *node_name); /* NULL where there is none */
/* A node that waits for somebody elsewhere: cuts its connection for good, so that requests end with an error. */
bool block_node_can_be_yanked(const BlockNode *node);
void block_node_yank(BlockNode *node);

/* Facts of a node. */
const char *block_node_name(const BlockNode *node); /* made up where none was given: "#block123" */
const char *block_node_file_name(const BlockNode *node); /* "" where there is no plain one */
const char *block_node_driver_name(const BlockNode *node);
bool block_node_is_used(const BlockNode *node); /* by somebody besides the caller, who holds a reference */
bool block_node_is_read_only(const BlockNode *node);
uint64_t block_node_size(const BlockNode *node); /* bytes: whole sectors */
int64_t block_node_allocated_size(BlockNode *node); /* that it takes of the host; -1: unknown */
BlockEdge *block_node_file(const BlockNode *node); /* what it is in, or filters; NULL where there is none */
/* Discards that the host was asked for; false: the node's driver does not ask it for any. */
typedef struct BlockDiscards {
    uint64_t done, bytes, failed;
} BlockDiscards;
bool block_node_discards(const BlockNode *node, BlockDiscards *discards);
uint64_t block_node_highest_write(const BlockNode *node); /* the end of the last byte that was written to */
BlockEdge *block_node_backing(const BlockNode *node); /* that of the format, below filters; NULL where there is none */
BlockNode *block_node_below_filters(BlockNode *node); /* the node itself where it is none */
/* A filter that nobody asked for by name: lists of nodes show what is below it. */
void block_node_hide(BlockNode *node);
bool block_node_is_hidden(const BlockNode *node);
BlockNode *block_node_shown(BlockNode *node); /* the first one from here downwards that is not hidden */
BlockNode *block_graph_node(const BlockGraph *graph, size_t i); /* in order of opening; NULL at the end */
/* What is found wrong with an image while it is used: `damaged` hears of it once for each node, on any thread. */
typedef struct BlockDamage {
    const char *message;
    uint64_t offset, bytes; /* of the file; 0 bytes: no place in particular */
    bool fatal;             /* it is not written to any more */
} BlockDamage;
typedef void BlockDamaged(void *data, BlockNode *node, const BlockDamage *damage);
void block_graph_set_damaged(BlockGraph *graph, BlockDamaged *damaged, void *data);
/* The first write that ends behind `threshold` bytes of the node (0: none is set) takes the threshold away, and
 * `exceeded` hears of it before anything is written, on any thread. */
void block_node_set_write_threshold(BlockNode *node, uint64_t threshold);
uint64_t block_node_write_threshold(const BlockNode *node);
typedef void BlockThresholdExceeded(void *data, BlockNode *node, uint64_t threshold, uint64_t by);
void block_graph_set_threshold_exceeded(BlockGraph *graph, BlockThresholdExceeded *exceeded, void *data);
typedef struct BlockNodeModes {
    bool direct, no_flush, discard;
    int detect_zeroes; /* BlockdevDetectZeroesOptions */
} BlockNodeModes;
BlockNodeModes block_node_modes(const BlockNode *node);
/* Children in order; NULL at the end. */
BlockEdge *block_node_child(const BlockNode *node, size_t i);
BlockNode *block_edge_node(const BlockEdge *edge); /* what it leads to */
const char *block_edge_name(const BlockEdge *edge);

/* A user's edge to a node. `purpose` is for messages ("device 'virtio0'"). */
BlockEdge *block_attach(BlockNode *node, const char *purpose, unsigned permissions, unsigned shared, Error **error);
/* Other ones from now on. */
bool block_edge_permit(BlockEdge *edge, unsigned permissions, unsigned shared, Error **error);
void block_detach(BlockEdge *edge); /* waits for its requests; NULL is fine */
/* A user's edge leads to another node from now on, when its requests are done. */
bool block_edge_move(BlockEdge *edge, BlockNode *node, Error **error);
/* Each write of the edge is flushed (cache=writethrough, directsync). */
void block_edge_set_write_through(BlockEdge *edge, bool write_through);
bool block_edge_is_write_through(const BlockEdge *edge);

/* The edge's requests go as the group's limits say; NULL: as they come. */
void block_edge_set_throttle(BlockEdge *edge, ThrottleGroup *group);
ThrottleGroup *block_edge_throttle(const BlockEdge *edge);

/* Waits until the edge's requests are done. On the thread that submits them or, of whichever loops, the main one. */
void block_edge_drain(BlockEdge *edge);
/* No request is on its way between the two, and those that are submitted wait. Main loop's thread; nests. */
void block_graph_drain_begin(BlockGraph *graph);
void block_graph_drain_end(BlockGraph *graph);

/* Calls `resized` on the main loop's thread when the size of what the edge leads to has changed; NULL: no more. */
void block_edge_set_resized(BlockEdge *edge, void (*resized)(void *data), void *data);
/* Grows or shrinks; what is new reads as zeroes. `preallocation` is a PreallocMode. The edge needs the permission. */
bool block_resize(BlockEdge *edge, uint64_t size, int preallocation, Error **error);

/* What went through a user's edge. */
typedef struct BlockStatistics {
    uint64_t operations[BLOCK_OPERATION_COUNT], bytes[BLOCK_OPERATION_COUNT], nanoseconds[BLOCK_OPERATION_COUNT],
        failed[BLOCK_OPERATION_COUNT], invalid[BLOCK_OPERATION_COUNT];
    int64_t last; /* when the last one ended, of host_monotonic_ns; 0: there was none */
} BlockStatistics;
void block_edge_statistics(const BlockEdge *edge, BlockStatistics *statistics);
/* The user has been asked for what makes no sense, and has not submitted it. */
void block_edge_count_invalid(BlockEdge *edge, BlockOperation operation);
