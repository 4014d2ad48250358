/* The threads that do what would make a loop wait. They start when there is more work than idle threads, and stay. */
#include "block/task_internal.h"

#include "base/error.h"
#include "base/vec.h"

static BlockWork *take_work(BlockRuntime *runtime)
{
    while (list_empty(&runtime->work)) {
        if (runtime->stopping) {
            return NULL;
        }
        runtime->idle++;
        condition_wait(&runtime->changed, &runtime->mutex);
        runtime->idle--;
    }
    BlockWork *work = list_item(runtime->work.next, BlockWork, call.node);
    list_remove(&work->call.node);
    runtime->waiting--;
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
        work->run(work);
        block_loop_call(work->loop, &work->call);
        mutex_lock(&runtime->mutex);
    }
    mutex_unlock(&runtime->mutex);
    return NULL;
}

void block_work_submit(BlockWork *work, BlockLoop *loop)
{
    BlockRuntime *runtime = loop->runtime;
    work->loop = loop;
    work->call.function = work_done;
    work->call.data = work;
    mutex_lock(&runtime->mutex);
    list_append(&runtime->work, &work->call.node);
    runtime->waiting++;
    bool enough = runtime->waiting <= runtime->idle || runtime->threads == BLOCK_THREADS;
    bool started = !enough && thread_start(&runtime->handles[runtime->threads], "block", serve, runtime, NULL);
    runtime->threads += started;
    bool none = runtime->threads == 0; /* the host gives no thread at all */
    if (none) {
        list_remove(&work->call.node);
        runtime->waiting--;
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
    for (unsigned i = 0; i < runtime->threads; i++) {
        thread_join(&runtime->handles[i]);
    }
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
