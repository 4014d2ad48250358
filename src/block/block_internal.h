/* What the files of the block layer share. */
#pragma once

#include "block/driver.h"

#include "base/thread.h"

struct BlockGraph {
    BlockRuntime *runtime;
    Files *files;
    ListNode nodes, users; /* BlockNode, BlockEdge */
    Object *objects; /* that options name; may be NULL */
    Object *throttles; /* groups that drives made */
    Trace *quiet, *trace; /* one where nothing is traced; what events go to */
    unsigned next_name;
    unsigned listening; /* nodes whose driver has a debug_event */
    _Atomic unsigned drained;
    _Atomic unsigned waiting; /* on the main loop, for the end of requests */
    _Atomic bool drain_called; /* drain_call is on its way */
    BlockCall drain_call;
    BlockDamaged *tell_damaged; /* NULL: nobody */
    void *tell_data;
    BlockThresholdExceeded *tell_exceeded; /* NULL: nobody */
    void *exceeded_data;
    Mutex held_mutex; /* of the list */
    BlockRequest *held, **held_end;
};

/* In tasks: requests to a node, of any alignment. */
int node_read(BlockNode *node, uint64_t offset, uint64_t bytes, BlockVectors vectors);
int node_write(BlockNode *node, uint64_t offset, uint64_t bytes, BlockVectors vectors, unsigned flags);
int node_copy_to(BlockNode *node, uint64_t offset, uint64_t bytes, const BlockCopySource *source);
int node_write_zeroes(BlockNode *node, uint64_t offset, uint64_t bytes, unsigned flags);
int node_discard(BlockNode *node, uint64_t offset, uint64_t bytes);
int node_flush(BlockNode *node);
int node_status(BlockNode *node, uint64_t offset, uint64_t bytes, BlockStatus *status);
void node_changed(BlockNode *node, uint64_t end); /* after a write */
void node_will_write(BlockNode *node, uint64_t end); /* before one that ends there */

/* Takes the options that every node has out of `options`, and its name where it has none yet. */
bool node_apply_settings(BlockNode *node, Json *options, unsigned flags, Error **error);
/* The rest of them: opens its children and itself. */
bool node_open_driver(BlockNode *node, Json *options, Error **error);
/* What its parents need of it has changed, or what it allows. */
bool node_update_permissions(BlockNode *node, Error **error);
/* Its parents and users are told of its size, but for `by`. */
void node_tell_resized(const BlockNode *node, const BlockEdge *by);

/* The path in a name that may have one of the driver's schemes before it. */
const char *block_path_of(const BlockDriver *driver, const char *filename);

void node_debug_event(BlockNode *node, int event);

/* Requests that waited for the end of a drain. */
void block_submit_held(BlockGraph *graph);

/* Gives node->driver, where it has none, the driver that its "file" looks to be for; `file` becomes that node, which
 * the options name from then on. probe.c */
bool probe_driver(BlockNode *node, Json *options, BlockNode **file, Error **error);
/* A node of options (taken) or of a node's name, that becomes a child of `node`. */
BlockNode *open_below(BlockNode *node, Json *options, unsigned flags, Error **error);

BlockEdge *edge_new(BlockNode *node, BlockNode *parent, const char *name, unsigned permissions, unsigned shared,
                    Error **error);
void edge_free(BlockEdge *edge);
BlockNode *node_new(BlockGraph *graph);
