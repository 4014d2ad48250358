/*
 * The threads that do what would make a loop wait. They start when there is more work than idle threads, or when a loop
 * wants some to be there, and stay. All loops have them in common; a loop says how many may work for it at a time.
 */
#include "block/task_internal.h"

#include "base/error.h"
#include "core/loop.h"

/* The first whose loop may have one more thread; NULL: none. */
static BlockWork *find_work(const BlockRuntime *runtime)
{
    LIST_FOREACH(&runtime->work, work, BlockWork, call.node)
    {
        if (work->loop->working < loop_threads(work->loop->outer).most) {
            return work;
        }
    }
    return NULL;
}

static BlockWork *take_work(BlockRuntime *runtime)
{
    BlockWork *work;
    while (!(work = find_work(runtime))) {
        if (runtime->stopping && list_empty(&runtime->work)) {
            return NULL;
        }
        runtime->idle++;
        condition_wait(&runtime->changed, &runtime->mutex);
        runtime->idle--;
    }
    list_remove(&work->call.node);
    work->loop->waiting--;
    work->loop->working++;
    return work;
}

static void work_done(void *data)
{
    BlockWork *work = data;
    work->done(work);
}

static void *serve(void *data)
{
    BlockRuntime *runtime = data;
    mutex_lock(&runtime->mutex);
    for (BlockWork *work; (work = take_work(runtime));) {
        mutex_unlock(&runtime->mutex);
        BlockLoop *loop = work->loop; /* which does not end before the call does */
        work->run(work);
        mutex_lock(&runtime->mutex);
        loop->working--;
        mutex_unlock(&runtime->mutex);
        block_loop_call(loop, &work->call);
        mutex_lock(&runtime->mutex);
    }
    mutex_unlock(&runtime->mutex);
    return NULL;
}

static bool start_thread(BlockRuntime *runtime)
{
    Thread thread;
    bool ok = thread_start(&thread, "block", serve, runtime, NULL);
    if (ok) {
        vec_push(&runtime->threads, thread);
    }
    return ok;
}

/* Whether one was. An idle one is enough, though others may have called it too: short work is done best by few. */
static bool start_threads(BlockLoop *loop)
{
    BlockRuntime *runtime = loop->runtime;
    LoopThreads wanted = loop_threads(loop->outer);
    runtime->room += wanted.most - loop->share;
    loop->share = wanted.most;
    bool enough = runtime->idle > 0 || loop->waiting + loop->working > wanted.most ||
                  (int64_t)runtime->threads.count >= runtime->room;
    bool started = !enough && start_thread(runtime);
    while ((int64_t)runtime->threads.count < wanted.least && start_thread(runtime)) {
    }
    return started;
}

void block_threads_leave(BlockLoop *loop)
{
    mutex_lock(&loop->runtime->mutex);
    loop->runtime->room -= loop->share;
    loop->share = 0;
    mutex_unlock(&loop->runtime->mutex);
}

void block_work_submit(BlockWork *work, BlockLoop *loop)
{
    BlockRuntime *runtime = loop->runtime;
    work->loop = loop;
    work->call.function = work_done;
    work->call.data = work;
    mutex_lock(&runtime->mutex);
    list_append(&runtime->work, &work->call.node);
    loop->waiting++;
    bool started = start_threads(loop);
    bool none = runtime->threads.count == 0; /* the host gives no thread at all */
    if (none) {
        list_remove(&work->call.node);
        loop->waiting--;
    }
    mutex_unlock(&runtime->mutex);
    if (none) {
        work->run(work);
        block_loop_call(loop, &work->call);
    } else if (!started) {
        condition_signal(&runtime->changed); /* one that wakes up at once finds the mutex free */
    }
}

void block_threads_stop(BlockRuntime *runtime)
{
    mutex_lock(&runtime->mutex);
    runtime->stopping = true;
    condition_broadcast(&runtime->changed);
    mutex_unlock(&runtime->mutex);
    for (size_t i = 0; i < runtime->threads.count; i++) {
        thread_join(&runtime->threads.items[i]);
    }
    vec_free(&runtime->threads);
}

typedef struct TaskWork {
    BlockWork work;
    BlockTask *task;
    void (*run)(void *data);
    void *data;
} TaskWork;

static void run_for_task(BlockWork *work)
{
    TaskWork *mine = (TaskWork *)work;
    mine->run(mine->data);
}

static void done_for_task(BlockWork *work) { block_task_wake(((TaskWork *)work)->task); }

void block_task_in_thread(BlockTask *self, void (*run)(void *data), void *data)
{
    TaskWork mine = { .work = { .run = run_for_task, .done = done_for_task }, .task = self, .run = run, .data = data };
    block_work_submit(&mine.work, block_task_loop(self));
    block_task_sleep(self);
}
