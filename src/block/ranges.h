/* Requests that are kept apart: ranges of bytes that requests of any loops hold, alone or with others of their kind. */
#pragma once

#include "base/list.h"
#include "base/thread.h"
#include "block/task.h"

typedef struct RangeLock {
    Mutex mutex; /* held for a few instructions, never while somebody sleeps */
    ListNode held, waiting; /* BlockRange */
    unsigned exclusive; /* of those that are held */
} RangeLock;

/* The holder's, until range_unlock. */
typedef struct BlockRange {
    ListNode node;
    uint64_t start, end;
    bool exclusive; /* else only kept apart from those that are */
    BlockTask *task; /* the lock's own: that waits for it */
} BlockRange;

void range_lock_init(RangeLock *lock);
void range_lock_destroy(RangeLock *lock);
void range_lock(RangeLock *lock, BlockRange *range, BlockTask *self);
bool range_try_lock(RangeLock *lock, BlockRange *range); /* needs no task; false: somebody else has a part of it */
void range_unlock(RangeLock *lock, BlockRange *range);   /* in a task or outside */
