/*
 * What drivers of filters share: nodes that show their child `file` at the same offsets and do something besides. The
 * functions send a request on; a driver puts its own in place of some of them.
 */
#pragma once

#include "block/driver.h"

/* Opens the child `name` as node->file, and takes over size and limits. */
bool filter_open(BlockNode *node, const char *name, Error **error);
void filter_child_resized(BlockNode *node);
bool filter_map(BlockNode *node, BlockOperation operation, uint64_t offset, uint64_t bytes, BlockMapping *mapping);
int filter_read(BlockNode *node, uint64_t offset, uint64_t bytes, BlockVectors vectors);
int filter_write(BlockNode *node, uint64_t offset, uint64_t bytes, BlockVectors vectors, unsigned flags);
int filter_write_zeroes(BlockNode *node, uint64_t offset, uint64_t bytes, unsigned flags);
int filter_discard(BlockNode *node, uint64_t offset, uint64_t bytes);
int filter_status(BlockNode *node, uint64_t offset, uint64_t bytes, BlockStatus *status);
bool filter_resize(BlockNode *node, uint64_t size, int preallocation, Error **error);
