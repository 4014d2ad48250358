/* Ranges of bytes that requests hold. */
#include "block/ranges.h"

void range_lock_init(RangeLock *lock)
{
    mutex_init(&lock->mutex);
    list_init(&lock->held);
    list_init(&lock->waiting);
    lock->exclusive = 0;
}

void range_lock_destroy(RangeLock *lock) { mutex_destroy(&lock->mutex); }

static bool is_apart(const RangeLock *lock, const BlockRange *range)
{
    if (!range->exclusive && lock->exclusive == 0) {
        return true;
    }
    LIST_FOREACH(&lock->held, other, BlockRange, node)
    {
        if (range->start < other->end && other->start < range->end && (range->exclusive || other->exclusive)) {
            return false;
        }
    }
    return true;
}

/* Under the mutex. */
static bool take(RangeLock *lock, BlockRange *range)
{
    if (!is_apart(lock, range)) {
        return false;
    }
    list_append(&lock->held, &range->node);
    lock->exclusive += range->exclusive;
    return true;
}

bool range_try_lock(RangeLock *lock, BlockRange *range)
{
    mutex_lock(&lock->mutex);
    bool ok = take(lock, range);
    mutex_unlock(&lock->mutex);
    return ok;
}

void range_lock(RangeLock *lock, BlockRange *range, BlockTask *self)
{
    mutex_lock(&lock->mutex);
    while (!take(lock, range)) {
        range->task = self;
        list_append(&lock->waiting, &range->node);
        mutex_unlock(&lock->mutex);
        block_task_sleep(self);
        mutex_lock(&lock->mutex);
    }
    mutex_unlock(&lock->mutex);
}

/* All that wait look again; those of this thread's loop may do so at once, and wait again in lock->waiting. */
static void wake_all(ListNode *waiting)
{
    while (!list_empty(waiting)) {
        BlockRange *range = list_item(waiting->next, BlockRange, node);
        list_remove(&range->node);
        block_task_wake(range->task);
    }
}

void range_unlock(RangeLock *lock, BlockRange *range)
{
    ListNode waiting;
    list_init(&waiting);
    mutex_lock(&lock->mutex);
    list_remove(&range->node);
    lock->exclusive -= range->exclusive;
    while (UNLIKELY(!list_empty(&lock->waiting))) {
        ListNode *first = lock->waiting.next;
        list_remove(first);
        list_append(&waiting, first);
    }
    mutex_unlock(&lock->mutex);
    wake_all(&waiting);
}
