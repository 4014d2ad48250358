/*
 * What is told of a user's requests besides their numbers: how long they took within the last seconds, and how many of
 * them took how long. Kept where it is asked for; a request notes itself when it ends, on any loop.
 */
#pragma once

#include "block/graph.h"

typedef enum BlockLatencyKind {
    BLOCK_LATENCY_READ,
    BLOCK_LATENCY_WRITE,
    BLOCK_LATENCY_ZONE_APPEND, /* there are none, but there is a histogram of them */
    BLOCK_LATENCY_FLUSH,
    BLOCK_LATENCY_COUNT,
} BlockLatencyKind;

/* Whether the user's requests that made no sense, and those that failed, count as its last one; those that failed, as
 * time that was taken too. At first both do. */
void block_edge_account(BlockEdge *edge, bool invalid, bool failed);
bool block_edge_accounts_invalid(const BlockEdge *edge);
bool block_edge_accounts_failed(const BlockEdge *edge);

/* Latencies within the last `seconds` (more than 0) or half of them. */
void block_edge_add_interval(BlockEdge *edge, unsigned seconds);
typedef struct BlockInterval {
    unsigned seconds;
    struct {
        uint64_t minimum, maximum, average; /* ns; 0 where there was none */
        double queue_depth;                 /* how many were under way, on average */
    } kinds[BLOCK_LATENCY_COUNT];
} BlockInterval;
/* The i-th; false where there are not so many. */
bool block_edge_interval(BlockEdge *edge, size_t i, BlockInterval *interval);

/* How many requests took less than the first boundary, less than the second, ..., and more. `boundaries`: ns, each
 * above the one before, the first above 0; NULL: no histogram. False where they are not so. */
bool block_edge_set_histogram(BlockEdge *edge, BlockLatencyKind kind, const uint64_t *boundaries, size_t count);
typedef struct BlockHistogram {
    size_t count;         /* of boundaries */
    uint64_t *boundaries; /* NULL: there is no histogram */
    uint64_t *bins;       /* one more */
} BlockHistogram;
/* A copy; both arrays are the caller's. */
BlockHistogram block_edge_histogram(BlockEdge *edge, BlockLatencyKind kind);

/* For request.c, where edge->detail is there. */
struct BlockDetail;
void block_detail_note(struct BlockDetail *detail, BlockOperation operation, int64_t now, uint64_t time, bool failed);
void block_detail_free(struct BlockDetail *detail); /* NULL is fine */
