/*
 * What the block layer runs on: its part of each event loop, tasks (stackful coroutines) that stay on the loop they
 * were started on, and locks between tasks that work across loops.
 *
 * A task is what lets a driver be written as plain code: a call that has to wait puts the task to sleep and the loop
 * goes on. Descriptors, timers and wake-ups of the block layer are known to the outer Loop and to a private one;
 * whoever has to wait for requests (a drain, a call from outside any task) runs the private one, so that nothing else
 * of the program is called meanwhile.
 */
#pragma once

#include "base/list.h"
#include "base/thread.h"
#include "core/loop.h"

typedef struct BlockLoop BlockLoop;
typedef struct BlockRuntime BlockRuntime;
typedef struct BlockTask BlockTask;
typedef struct Error Error;
typedef struct HostAio HostAio;
typedef struct HostAioRequest HostAioRequest;

/* All the loops that serve the block nodes of a program, and the threads that do for them what the host cannot do
 * without waiting. Made on the main loop's thread, which it then serves. */
BlockRuntime *block_runtime_new(Loop *main_loop, Error **error);
void block_runtime_free(BlockRuntime *runtime); /* the other loops were removed; NULL is fine */
BlockLoop *block_runtime_main(const BlockRuntime *runtime);

/* The block layer's part of the loop whose thread this is; NULL on a thread that serves none. */
BlockLoop *block_loop_self(const BlockRuntime *runtime);
/* Makes the calling thread, which runs `loop`, one that may submit requests. NULL on failure. */
BlockLoop *block_loop_new(BlockRuntime *runtime, Loop *loop, Error **error);
void block_loop_free(BlockLoop *loop); /* on its thread, with nothing under way; NULL is fine */
/* The same for a loop that runs on a thread of its own (an iothread's), made where there is none yet: block_loop_of and
 * block_loop_release on the main loop's thread, one for each, the last with nothing under way. */
BlockLoop *block_loop_of(BlockRuntime *runtime, Loop *loop, Error **error);
void block_loop_release(BlockLoop *loop);
Loop *block_loop_outer(const BlockLoop *loop); /* that it is the block layer's part of */
/* Runs what concerns the block layer alone; `wait`: sleeps until there is something. On its thread, outside tasks. */
void block_loop_poll(BlockLoop *loop, bool wait);
/* The host's asynchronous I/O for this loop, made at first use; `ring`: io_uring. NULL where the host has none. What is
 * added to it is sent when the loop's round ends, or at once outside a round: block_loop_send. */
HostAio *block_loop_aio(BlockLoop *loop, bool ring, Error **error);
void block_loop_send(BlockLoop *loop);
void block_loop_add(BlockLoop *loop, HostAio *aio, HostAioRequest *request); /* and sends, where that is due */
/* The loop serves block nodes and nothing else: its thread copies writes of `most` bytes itself. See HostEager. */
void block_loop_set_eager(BlockLoop *loop, uint64_t most);
/* host_write_eagerly on the loop's thread. */
bool block_loop_write(BlockLoop *loop, const HostAioRequest *request, int64_t *result);
/* Requests that are added between the two are sent together by the second; nests. */
void block_loop_plug(BlockLoop *loop);
void block_loop_unplug(BlockLoop *loop);
/* Calls `function` on the loop's thread, also where that waits in block_loop_poll. Any thread. It is the caller's. */
typedef struct BlockCall {
    ListNode node;
    void (*function)(void *data);
    void *data;
} BlockCall;
void block_loop_call(BlockLoop *loop, BlockCall *call);

/* Descriptors and timers of drivers; on the loop's thread. */
typedef struct BlockWatch BlockWatch;
BlockWatch *block_watch_add(BlockLoop *loop, int fd, unsigned events, void (*ready)(void *data, unsigned events),
                            void *data);
void block_watch_set(BlockWatch *watch, unsigned events);
void block_watch_set_look(BlockWatch *watch, bool (*look)(void *data)); /* see loop_fd_set_look */
void block_watch_remove(BlockWatch *watch); /* NULL is fine */
typedef struct BlockTimer {
    BlockLoop *loop;
    LoopTimer outer, inner;
    void (*expired)(void *data);
    void *data;
} BlockTimer;
void block_timer_init(BlockTimer *timer, BlockLoop *loop, void (*expired)(void *data), void *data);
void block_timer_set(BlockTimer *timer, int64_t deadline); /* of host_monotonic_ns */
void block_timer_cancel(BlockTimer *timer);

/* Tasks. NULL outside any. */
BlockTask *block_task_self(const BlockRuntime *runtime);
BlockLoop *block_task_loop(const BlockTask *task);
/* Runs `entry` as a task on this thread's loop, at once, until it first sleeps. */
void block_task_start(BlockLoop *loop, void (*entry)(void *data), void *data);
/* Puts the calling task to sleep until block_task_wake, which may come before: one for each. */
void block_task_sleep(BlockTask *self);
void block_task_wake(BlockTask *task); /* any thread */
/* Until a time of host_monotonic_ns. False: it was cancelled before. */
bool block_task_wait_until(BlockTask *self, int64_t deadline);
/* For whoever waits and need not: `cancel` is called by block_task_cancel; NULL: no more. */
void block_task_set_cancel(BlockTask *self, void (*cancel)(void *data), void *data);
bool block_task_is_cancelled(const BlockTask *self);
void block_task_set_begun(BlockTask *self); /* what it does cannot be given up any more */
void block_task_cancel(BlockTask *task);    /* on its loop's thread; nothing where it has begun */
/* Calls `entry` as a task and returns when it has ended: directly within a task, else by running the loop meanwhile. */
void block_task_call(BlockRuntime *runtime, void (*entry)(void *data), void *data);

/* Work for a thread of the runtime's; `done` is called on the loop's thread. Both are the caller's until then. */
typedef struct BlockWork {
    void (*run)(struct BlockWork *work);
    void (*done)(struct BlockWork *work);
    BlockLoop *loop;
    BlockCall call; /* the runtime's own */
} BlockWork;
void block_work_submit(BlockWork *work, BlockLoop *loop);
/* Calls `run` on such a thread, while the task sleeps. */
void block_task_in_thread(BlockTask *self, void (*run)(void *data), void *data);

/* A lock between tasks of any loops, in order of arrival; all zeroes is an open one. */
typedef struct TaskWaiter TaskWaiter;
typedef struct TaskQueue {
    TaskWaiter *first, *last;
} TaskQueue;
typedef struct TaskLock {
    _Atomic uint32_t state; /* 0 open, 1 held, 2 held and somebody may wait */
    _Atomic bool busy;      /* guards the queue, for a few instructions */
    TaskQueue waiting;
} TaskLock;
void task_lock(TaskLock *lock, BlockTask *self);
bool task_try_lock(TaskLock *lock); /* needs no task */
void task_unlock(TaskLock *lock);
/* Waits for a task_queue_wake; `lock` is open meanwhile. What the queue holds is guarded by that lock. */
void task_queue_wait(TaskQueue *queue, TaskLock *lock, BlockTask *self);
void task_queue_wake(TaskQueue *queue); /* all of them; under the lock */
