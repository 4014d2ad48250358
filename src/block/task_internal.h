/* The parts of the block layer's runtime that its files share. */
#pragma once

#include "block/task.h"

#include "base/host/aio.h"
#include "base/host/coroutine.h"
#include "base/vec.h"

enum { BLOCK_IDLE_TASKS = 64, BLOCK_AIO_DEPTH = 256 };

struct BlockRuntime {
    pthread_key_t self; /* each thread's BlockLoop */
    BlockLoop *main;
    ListNode others; /* BlockLoop, of block_loop_of */
    /* Threads for what waits. */
    Mutex mutex; /* of what follows */
    Condition changed;
    ListNode work; /* BlockWork, by its call's node */
    unsigned idle;    /* threads */
    int64_t room;     /* for threads: what all loops want at most */
    bool stopping;
    VEC(Thread) threads;
};

struct BlockTask {
    BlockTask *next; /* among the idle ones */
    BlockLoop *loop;
    Coroutine *coroutine;
    void (*entry)(void *data);
    void *data;
    bool sleeping, woken;
    bool begun, cancelled;
    void (*cancel)(void *data);
    void *cancel_data;
    BlockCall wake;
};

struct BlockLoop {
    BlockRuntime *runtime;
    Loop *outer, *inner;
    ListNode in_runtime;
    unsigned users; /* of block_loop_of */
    BlockTask *current;
    BlockTask *idle;
    unsigned idle_count;
    unsigned depth; /* of rounds under way */
    unsigned plugged;
    bool sending;
    uint64_t added; /* since a batch was sent */
    int64_t waiting, working; /* work for threads, and those at it; under the runtime's mutex, */
    int64_t share;            /* as its part of `room` */
    HostEager eager;
    /* Calls from anywhere. */
    Mutex mutex; /* of the list */
    ListNode calls;
    int wake_fd;
    BlockWatch *wake_watch;
    struct {
        HostAio *aio;
        BlockWatch *watch;
    } aio[2];
};

/* Around whatever a descriptor or timer calls: what was put off meanwhile is done at the end. */
void block_loop_take(BlockLoop *loop); /* the calling thread is its */
void block_round_begin(BlockLoop *loop);
void block_round_end(BlockLoop *loop);

void block_threads_stop(BlockRuntime *runtime);
void block_threads_leave(BlockLoop *loop); /* it has no more work for them */
void block_tasks_free(BlockLoop *loop);
