/* Ranges of bytes that tasks hold. */
#include "block/ranges.h"

static bool is_apart(const RangeLock *lock, const BlockRange *range)
{
    LIST_FOREACH(&lock->held, other, BlockRange, node)
    {
        if (range->start < other->end && other->start < range->end && (range->exclusive || other->exclusive)) {
            return false;
        }
    }
    return true;
}

void range_lock_init(RangeLock *lock) { list_init(&lock->held); }

void range_lock(RangeLock *lock, BlockRange *range, BlockTask *self)
{
    task_lock(&lock->lock, self);
    while (!is_apart(lock, range)) {
        task_queue_wait(&lock->changed, &lock->lock, self);
    }
    list_append(&lock->held, &range->node);
    task_unlock(&lock->lock);
}

void range_unlock(RangeLock *lock, BlockRange *range, BlockTask *self)
{
    task_lock(&lock->lock, self);
    list_remove(&range->node);
    task_queue_wake(&lock->changed);
    task_unlock(&lock->lock);
}
