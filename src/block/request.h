/*
 * Requests to a block node through an edge: the caller's edge to it, which has the permission for them.
 *
 * Offsets and lengths are bytes; any alignment will do (the layer reads and writes around what a node cannot take, and
 * keeps overlapping requests apart where that matters). All calls return 0 or an errno value. Those that are not
 * block_submit may be called in a task (they let it sleep) or outside any on a thread with a BlockLoop (they run that
 * loop's block part until they are done).
 */
#pragma once

#include "base/host/aio.h"
#include "block/ranges.h"
#include "block/task.h"

#include <sys/uio.h>

typedef struct BlockEdge BlockEdge;
typedef struct BlockNode BlockNode;
typedef struct BlockRequest BlockRequest;
typedef struct Error Error;

/* Memory in pieces, from byte `skip` of all of them on. The pieces are not changed. */
typedef struct BlockVectors {
    const struct iovec *items;
    unsigned count;
    size_t skip;
} BlockVectors;
static inline BlockVectors block_vectors_from(BlockVectors vectors, size_t bytes)
{
    vectors.skip += bytes;
    return vectors;
}
void block_vectors_read(BlockVectors from, void *bytes, size_t count);     /* out of the pieces */
void block_vectors_write(BlockVectors to, const void *bytes, size_t count); /* into them */
void block_vectors_fill(BlockVectors to, uint8_t value, size_t count);
bool block_vectors_are_zero(BlockVectors vectors, size_t count);
/* The pieces for `bytes`, at most `limit` of them (fewer bytes then: *bytes becomes what they cover). */
unsigned block_vectors_cut(BlockVectors vectors, struct iovec *to, unsigned limit, size_t *bytes);

typedef enum BlockOperation {
    BLOCK_READ,
    BLOCK_WRITE,
    BLOCK_WRITE_ZEROES,
    BLOCK_DISCARD,
    BLOCK_FLUSH,
    BLOCK_OPERATION_COUNT,
} BlockOperation;

typedef enum BlockRequestFlags {
    BLOCK_FUA = 1,             /* a write is on stable storage when it is done */
    BLOCK_MAY_UNMAP = 2,       /* write zeroes: the space may be given back */
    BLOCK_NO_FALLBACK = 4,     /* write zeroes: ENOTSUP rather than writing them one by one */
    BLOCK_COMPRESSED = 8,      /* a write of whole clusters is to be compressed; ENOTSUP where a node cannot */
} BlockRequestFlags;

int block_read(BlockEdge *edge, uint64_t offset, void *bytes, uint64_t count);
int block_write(BlockEdge *edge, uint64_t offset, const void *bytes, uint64_t count, unsigned flags);
int block_readv(BlockEdge *edge, uint64_t offset, uint64_t count, BlockVectors vectors);
int block_writev(BlockEdge *edge, uint64_t offset, uint64_t count, BlockVectors vectors, unsigned flags);
int block_write_zeroes(BlockEdge *edge, uint64_t offset, uint64_t count, unsigned flags);
int block_discard(BlockEdge *edge, uint64_t offset, uint64_t count);
int block_flush(BlockEdge *edge);

typedef struct BlockStatus {
    uint64_t bytes; /* from the offset asked for, all alike; at least 1 */
    bool data;      /* must be read to know */
    bool zero;      /* reads as zeroes */
    bool allocated; /* this node has it, no backing file is looked at */
    bool compressed;
    bool past_end; /* of a node that is shorter than the ones above it */
    bool has_offset;
    uint64_t offset; /* of the bytes, as they are, in `node` */
    BlockNode *node; /* valid while the graph does not change */
} BlockStatus;
/* Of the node (a filter's is that of what it filters). */
int block_status(BlockEdge *edge, uint64_t offset, uint64_t count, BlockStatus *status);

/* Of an image with its backing files: of the first one that has it, `depth` files below; none of those from `base` on
 * (NULL: all) are asked. Where none has it, it is not allocated. */
int block_status_above(BlockEdge *edge, const BlockNode *base, uint64_t offset, uint64_t count, BlockStatus *status,
                       unsigned *depth);

/* Where bytes are that are to be copied within the host: in a protocol's node. */
typedef struct BlockCopySource {
    BlockNode *node;
    uint64_t offset;
} BlockCopySource;
/* A write of bytes that are there. ENOTSUP where the nodes or the host cannot; something may have been written then. */
int block_copy_to(BlockEdge *edge, uint64_t offset, uint64_t count, const BlockCopySource *source);
/* From one image to another, of which nobody else writes to `from`; ENOTSUP as above. */
int block_copy_range(BlockEdge *from, uint64_t from_offset, BlockEdge *to, uint64_t to_offset, uint64_t count);

/* The nodes that a request goes through without a task. */
typedef struct BlockPassage {
    BlockNode *node;
    uint64_t offset;
    unsigned token;
} BlockPassage;
enum { BLOCK_PASSAGES = 6 };

/* A request that does not wait; it and its vectors stay where they are until `done`, which is called on the same loop's
 * thread and never within block_submit. */
struct BlockRequest {
    BlockOperation operation;
    unsigned flags;
    uint64_t offset, bytes;
    BlockVectors vectors;
    const BlockCopySource *source; /* a write of what is there; NULL: of the vectors */
    void (*done)(BlockRequest *request, int error);
    void *data;
    /* The block layer's own. */
    BlockEdge *edge;
    BlockLoop *loop;
    BlockRequest *next;
    bool submitting, cancelled;
    BlockTask *task; /* that serves it */
    int error;
    int64_t started;
    BlockCall call;
    HostAioRequest host;
    BlockNode *ranged; /* the node that it holds a range of; NULL: none */
    BlockRange range;
    unsigned passages;
    BlockPassage passage[BLOCK_PASSAGES];
};
void block_submit(BlockEdge *edge, BlockRequest *request);
/* Asks that the request end soon: with ECANCELED where it still waits for its time (limits, a drain, a disk that only
 * pretends to be slow); what has begun is carried through. `done` is called as ever. On the loop that submitted. */
void block_cancel(BlockRequest *request);
