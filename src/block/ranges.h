/* Requests that are kept apart: ranges of bytes that tasks of any loops hold, alone or with others of their kind. */
#pragma once

#include "base/list.h"
#include "block/task.h"

typedef struct RangeLock {
    TaskLock lock;
    TaskQueue changed;
    ListNode held; /* BlockRange */
} RangeLock;

/* The holder's, until range_unlock. */
typedef struct BlockRange {
    ListNode node;
    uint64_t start, end;
    bool exclusive; /* else only kept apart from those that are */
} BlockRange;

void range_lock_init(RangeLock *lock);
void range_lock(RangeLock *lock, BlockRange *range, BlockTask *self);
void range_unlock(RangeLock *lock, BlockRange *range, BlockTask *self);
