/*
 * Dirty bitmaps of a node: which parts of it were written to since a bitmap was made or cleared. Those that are
 * persistent are in the image too, where its format has a place for them: read from it before their first use, and
 * stored when the node is closed.
 *
 * They are made, changed and removed on the main loop's thread while no request is on its way; writes note themselves
 * on any thread.
 */
#pragma once

#include "base/list.h"
#include "base/thread.h"
#include "block/graph.h"

enum { BLOCK_BITMAP_MINIMUM_BITS = 9, BLOCK_BITMAP_MAXIMUM_BITS = 31, BLOCK_BITMAP_MAXIMUM_NAME = 1023 };

typedef struct BlockBitmap {
    ListNode in_node; /* BlockNode.bitmaps */
    BlockNode *node;
    char *name;
    unsigned granularity_bits; /* log2 of the bytes that a bit stands for */
    bool enabled;              /* writes are noted */
    bool persistent;
    bool inconsistent; /* the image's: whoever wrote to it last did not store it. It can only be removed */
    bool changed;      /* since it was read */
    uint64_t size;     /* bytes of the disk that it is for */
    Mutex mutex;       /* of the bits */
    uint64_t **pages;  /* of 2^15 bits: NULL none of them set, a mark all of them */
    size_t page_count;
    void *stored; /* the driver's: where the image has it; freed by free() */
} BlockBitmap;

bool block_bitmaps_supported(const BlockNode *node); /* its image can have persistent ones */
/* Those of the node are there, whatever its image has among them. Where it is open for writing they always are. */
bool block_bitmaps_load(BlockNode *node, Error **error);
BlockBitmap *block_bitmap_at(const BlockNode *node, size_t i); /* NULL at the end */
BlockBitmap *block_bitmap_find(const BlockNode *node, const char *name, Error **error);
/* An empty one that notes writes; `granularity` in bytes, 0: as usual. NULL with an error. */
BlockBitmap *block_bitmap_add(BlockNode *node, const char *name, uint64_t granularity, bool persistent, Error **error);
void block_bitmap_remove(BlockBitmap *bitmap);
/* These refuse inconsistent ones. */
bool block_bitmap_clear(BlockBitmap *bitmap, Error **error);
bool block_bitmap_enable(BlockBitmap *bitmap, bool enable, Error **error);
/* What is set in `from`, of any node and granularity, becomes set; both are of one size. */
bool block_bitmap_merge(BlockBitmap *bitmap, BlockBitmap *from, Error **error);
/* The next part of the disk from *start on that is set, as far as it goes; false where there is none. */
bool block_bitmap_next(BlockBitmap *bitmap, uint64_t *start, uint64_t *end);
uint64_t block_bitmap_count(BlockBitmap *bitmap); /* bytes of the disk */
uint32_t block_bitmap_usual_granularity(const BlockNode *node);

/* For the block layer and its drivers. */

/* False where the bits would be too many: more than 2^32. Not checked: whether there is one of that name. */
bool block_bitmap_fits(uint64_t size, unsigned granularity_bits);
BlockBitmap *block_bitmap_new(BlockNode *node, const char *name, unsigned granularity_bits, uint64_t size);
/* The bits of words from `word` on (64 bits each), as little-endian bytes; `count` is a multiple of 8. Behind the end
 * they read as zeroes, and are not set. False: all of them are zero. */
bool block_bitmap_save_words(BlockBitmap *bitmap, uint64_t word, uint8_t *bytes, size_t count);
void block_bitmap_load_words(BlockBitmap *bitmap, uint64_t word, const uint8_t *bytes, size_t count);
uint64_t block_bitmap_words(const BlockBitmap *bitmap);
/* A part of the disk is noted, whether it is enabled or not. */
void block_bitmap_set(BlockBitmap *bitmap, uint64_t offset, uint64_t bytes);
void block_bitmap_resize(BlockBitmap *bitmap, uint64_t size); /* what is new is not set */
/* The node was written to: its bitmaps note it. */
void block_bitmaps_note(BlockNode *node, uint64_t offset, uint64_t bytes);
