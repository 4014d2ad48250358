/* Tasks: coroutines of the block layer, each on the loop that it was started on; and locks between them. */
#include "block/task_internal.h"

#include "base/vec.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

/* Tasks */

BlockTask *block_task_self(const BlockRuntime *runtime)
{
    const BlockLoop *loop = block_loop_self(runtime);
    return loop ? loop->current : NULL;
}

BlockLoop *block_task_loop(const BlockTask *task) { return task->loop; }

static void put_task(BlockTask *task)
{
    BlockLoop *loop = task->loop;
    if (loop->idle_count < BLOCK_IDLE_TASKS) {
        task->next = loop->idle;
        loop->idle = task;
        loop->idle_count++;
    } else {
        coroutine_free(task->coroutine);
        free(task);
    }
}

/* Runs it until it sleeps or ends. One task may start another, which then runs first. */
static void enter(BlockTask *task)
{
    BlockLoop *loop = task->loop;
    BlockTask *before = loop->current;
    loop->current = task;
    bool ended = coroutine_enter(task->coroutine);
    loop->current = before;
    if (ended) {
        put_task(task);
    }
}

static void wake_now(void *data)
{
    BlockTask *task = data;
    if (task->sleeping) {
        task->sleeping = false;
        enter(task);
    } else {
        task->woken = true;
    }
}

static BlockTask *get_task(BlockLoop *loop)
{
    BlockTask *task = loop->idle;
    if (task) {
        loop->idle = task->next;
        loop->idle_count--;
        return task;
    }
    task = NEW(BlockTask);
    task->loop = loop;
    task->wake = (BlockCall){ .function = wake_now, .data = task };
    task->coroutine = coroutine_new();
    if (!task->coroutine) { /* as mem_alloc: nobody can do better */
        fprintf(stderr, "out of memory for the stack of a block request\n");
        abort();
    }
    return task;
}

static void run_task(void *data)
{
    const BlockTask *task = data;
    task->entry(task->data);
}

void block_task_start(BlockLoop *loop, void (*entry)(void *data), void *data)
{
    BlockTask *task = get_task(loop);
    task->entry = entry;
    task->data = data;
    task->sleeping = task->woken = task->begun = task->cancelled = false;
    task->cancel = NULL;
    coroutine_prepare(task->coroutine, run_task, task);
    enter(task);
    block_loop_send(loop);
}

void block_tasks_free(BlockLoop *loop)
{
    while (loop->idle) {
        BlockTask *task = loop->idle;
        loop->idle = task->next;
        coroutine_free(task->coroutine);
        free(task);
    }
}

void block_task_sleep(BlockTask *self)
{
    assert(self->loop->current == self);
    if (self->woken) {
        self->woken = false;
        return;
    }
    self->sleeping = true;
    coroutine_leave(self->coroutine);
}

void block_task_wake(BlockTask *task)
{
    BlockLoop *loop = task->loop;
    if (block_loop_self(loop->runtime) == loop && loop->depth > 0 && !loop->current) {
        wake_now(task);
    } else {
        block_loop_call(loop, &task->wake);
    }
}

/* Cancelling: tasks that wait for no more than time say how they can be woken. */

void block_task_set_cancel(BlockTask *self, void (*cancel)(void *data), void *data)
{
    self->cancel = cancel;
    self->cancel_data = data;
}

bool block_task_is_cancelled(const BlockTask *self) { return self->cancelled; }
void block_task_set_begun(BlockTask *self) { self->begun = true; }

void block_task_cancel(BlockTask *task)
{
    if (!task->begun) {
        task->cancelled = true;
        if (task->cancel) {
            task->cancel(task->cancel_data);
        }
    }
}

typedef struct Sleep {
    BlockTask *task;
    bool over;
} Sleep;

/* The timer and whoever cancels are on the task's own loop. */
static void end_sleep(void *data)
{
    Sleep *sleep = data;
    if (!sleep->over) {
        sleep->over = true;
        block_task_wake(sleep->task);
    }
}

bool block_task_wait_until(BlockTask *self, int64_t deadline)
{
    BlockTimer timer;
    Sleep sleep = { .task = self };
    if (self->cancelled) {
        return false;
    }
    block_timer_init(&timer, self->loop, end_sleep, &sleep);
    block_timer_set(&timer, deadline);
    block_task_set_cancel(self, end_sleep, &sleep);
    block_task_sleep(self);
    block_task_set_cancel(self, NULL, NULL);
    block_timer_cancel(&timer);
    return !self->cancelled;
}

typedef struct TaskCall {
    void (*entry)(void *data);
    void *data;
    bool done;
} TaskCall;

static void run_call(void *data)
{
    TaskCall *call = data;
    call->entry(call->data);
    call->done = true;
}

void block_task_call(BlockRuntime *runtime, void (*entry)(void *data), void *data)
{
    BlockLoop *loop = block_loop_self(runtime);
    assert(loop);
    if (loop->current) {
        entry(data);
        return;
    }
    TaskCall call = { entry, data, false };
    block_task_start(loop, run_call, &call);
    while (!call.done) {
        block_loop_poll(loop, true);
    }
}

/* Locks */

struct TaskWaiter {
    TaskWaiter *next;
    BlockTask *task;
};

static void queue_add(TaskQueue *queue, TaskWaiter *waiter)
{
    waiter->next = NULL;
    if (queue->first) {
        queue->last->next = waiter;
    } else {
        queue->first = waiter;
    }
    queue->last = waiter;
}

static TaskWaiter *queue_take(TaskQueue *queue)
{
    TaskWaiter *waiter = queue->first;
    if (waiter) {
        queue->first = waiter->next;
    }
    return waiter;
}

static void guard(TaskLock *lock)
{
    while (atomic_exchange_explicit(&lock->busy, true, memory_order_acquire)) {
        sched_yield();
    }
}

static void unguard(TaskLock *lock) { atomic_store_explicit(&lock->busy, false, memory_order_release); }

bool task_try_lock(TaskLock *lock)
{
    uint32_t open = 0;
    return atomic_compare_exchange_strong(&lock->state, &open, 1);
}

void task_lock(TaskLock *lock, BlockTask *self)
{
    if (task_try_lock(lock)) {
        return;
    }
    TaskWaiter waiter = { .task = self };
    guard(lock);
    bool mine = atomic_exchange(&lock->state, 2) == 0;
    if (!mine) {
        queue_add(&lock->waiting, &waiter);
    }
    unguard(lock);
    if (!mine) {
        block_task_sleep(self); /* it is handed over */
    }
}

void task_unlock(TaskLock *lock)
{
    uint32_t held = 1;
    if (atomic_compare_exchange_strong(&lock->state, &held, 0)) {
        return;
    }
    guard(lock);
    TaskWaiter *waiter = queue_take(&lock->waiting);
    if (!waiter) {
        atomic_store(&lock->state, 0);
    }
    unguard(lock);
    if (waiter) {
        block_task_wake(waiter->task);
    }
}

void task_queue_wait(TaskQueue *queue, TaskLock *lock, BlockTask *self)
{
    TaskWaiter waiter = { .task = self };
    queue_add(queue, &waiter);
    task_unlock(lock);
    block_task_sleep(self);
    task_lock(lock, self);
}

void task_queue_wake(TaskQueue *queue)
{
    for (TaskWaiter *waiter; (waiter = queue_take(queue));) {
        block_task_wake(waiter->task);
    }
}
