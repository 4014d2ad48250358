/* The block layer's runtime: tasks, locks between tasks of several loops, timers, threads, asynchronous files, and that
 * a wait runs nothing but the block layer. */
#include "base/error.h"
#include "base/host/aio.h"
#include "base/host/host.h"
#include "base/thread.h"
#include "base/vec.h"
#include "block/task.h"

#include <glib.h>
#include <glib/gstdio.h>
#include <stdatomic.h>
#include <unistd.h>

typedef struct Rig {
    Loop *loop;
    BlockRuntime *runtime;
    BlockLoop *block;
} Rig;

static Rig rig_new(void)
{
    Rig rig = { .loop = loop_new(false, NULL) };
    rig.runtime = block_runtime_new(rig.loop, NULL);
    rig.block = block_runtime_main(rig.runtime);
    g_assert_true(block_loop_self(rig.runtime) == rig.block);
    return rig;
}

static void rig_free(Rig *rig)
{
    block_runtime_free(rig->runtime);
    loop_free(rig->loop);
}

/* Sleeping and waking */

typedef struct Sleeper {
    const Rig *rig;
    BlockTask *task;
    unsigned step;
    BlockCall call;
} Sleeper;

static void sleep_twice(void *data)
{
    Sleeper *sleeper = data;
    sleeper->task = block_task_self(sleeper->rig->runtime);
    sleeper->step = 1;
    block_task_sleep(sleeper->task);
    sleeper->step = 2;
    block_task_wake(sleeper->task); /* before it sleeps */
    block_task_sleep(sleeper->task);
    sleeper->step = 3;
}

static void test_sleep(void)
{
    Rig rig = rig_new();
    Sleeper sleeper = { .rig = &rig };
    for (unsigned round = 0; round < 3; round++) {
        block_task_start(rig.block, sleep_twice, &sleeper);
        g_assert_cmpuint(sleeper.step, ==, 1);
        g_assert_null(block_task_self(rig.runtime));
        block_task_wake(sleeper.task);
        g_assert_cmpuint(sleeper.step, ==, 1); /* outside a round: later */
        while (sleeper.step < 3) {
            block_loop_poll(rig.block, true);
        }
    }
    rig_free(&rig);
}

/* A wait lets the outer loop's other work alone, and the outer loop runs the block layer's. */

static void forbidden(void *data) { *(bool *)data = true; }

static void nap(void *data)
{
    const Rig *rig = data;
    block_task_wait_until(block_task_self(rig->runtime), host_monotonic_ns() + 2000000);
}

static void count_up(void *data) { ++*(unsigned *)data; }

static void test_wait(void)
{
    Rig rig = rig_new();
    bool posted = false;
    unsigned expired = 0;
    BlockTimer timer;
    loop_post(rig.loop, forbidden, &posted);
    int64_t before = host_monotonic_ns();
    block_task_call(rig.runtime, nap, &rig);
    g_assert_cmpint(host_monotonic_ns() - before, >=, 2000000);
    g_assert_false(posted);
    loop_iterate(rig.loop, 0);
    g_assert_true(posted);
    block_timer_init(&timer, rig.block, count_up, &expired);
    block_timer_set(&timer, host_monotonic_ns() + 1000000);
    while (!expired) {
        loop_iterate(rig.loop, -1);
    }
    block_loop_poll(rig.block, false); /* once is enough */
    g_assert_cmpuint(expired, ==, 1);
    block_timer_set(&timer, host_monotonic_ns() + 1000000);
    block_timer_cancel(&timer);
    g_usleep(2000);
    loop_iterate(rig.loop, 0);
    g_assert_cmpuint(expired, ==, 1);
    rig_free(&rig);
}

/* Threads */

typedef struct Job {
    const Rig *rig;
    _Atomic unsigned *finished;
    pthread_t thread;
} Job;

static void in_thread(void *data)
{
    Job *job = data;
    g_usleep(500);
    job->thread = pthread_self();
    ++*job->finished;
}

static void run_job(void *data)
{
    Job *job = data;
    block_task_in_thread(block_task_self(job->rig->runtime), in_thread, job);
    g_assert_true(block_loop_self(job->rig->runtime) == job->rig->block); /* back on the loop */
    g_assert_false(pthread_equal(job->thread, pthread_self()));
    ++*job->finished;
}

static void test_threads(void)
{
    enum { JOBS = 200 };
    Rig rig = rig_new();
    Job *jobs = g_new0(Job, JOBS);
    _Atomic unsigned finished = 0;
    for (unsigned i = 0; i < JOBS; i++) {
        jobs[i] = (Job){ .rig = &rig, .finished = &finished };
        block_task_start(rig.block, run_job, &jobs[i]);
    }
    while (finished < 2 * JOBS) {
        loop_iterate(rig.loop, -1);
    }
    g_free(jobs);
    rig_free(&rig);
}

/* How many work for a loop at a time. */

typedef struct Crowd {
    const Rig *rig;
    _Atomic unsigned now, most, came, finished;
    unsigned wanted; /* each waits until so many have come */
} Crowd;

static void come_and_go(void *data)
{
    Crowd *crowd = data;
    unsigned now = ++crowd->now, most = crowd->most;
    while (now > most && !atomic_compare_exchange_weak(&crowd->most, &most, now)) {
    }
    crowd->came++;
    while (crowd->came < crowd->wanted) {
        g_usleep(100);
    }
    g_usleep(200);
    crowd->now--;
}

static void join_crowd(void *data)
{
    Crowd *crowd = data;
    block_task_in_thread(block_task_self(crowd->rig->runtime), come_and_go, crowd);
    crowd->finished++;
}

static unsigned gather(const Rig *rig, const LoopThreads *threads, unsigned count, unsigned wanted)
{
    Crowd crowd = { .rig = rig, .wanted = wanted };
    loop_set_threads(rig->loop, threads);
    for (unsigned i = 0; i < count; i++) {
        block_task_start(rig->block, join_crowd, &crowd);
    }
    while (crowd.finished < count) {
        loop_iterate(rig->loop, -1);
    }
    return crowd.most;
}

static void test_limited_threads(void)
{
    Rig rig = rig_new();
    g_assert_cmpint(loop_threads(rig.loop).most, ==, 64);
    g_assert_cmpuint(gather(&rig, &(LoopThreads){ 0, 1 }, 20, 0), ==, 1);
    g_assert_cmpuint(gather(&rig, &(LoopThreads){ 3, 3 }, 50, 3), ==, 3);
    g_assert_cmpuint(gather(&rig, &(LoopThreads){ 0, 2 }, 50, 2), ==, 2); /* threads that there are already */
    g_assert_cmpuint(gather(&rig, &(LoopThreads){ 100, 100 }, 100, 100), ==, 100);
    rig_free(&rig);
}

/* Locks: tasks of several loops add to a plain number, sleeping in the middle. */

enum { LOOPS = 3, TASKS = 8, ADDITIONS = 50 };

typedef struct Shared {
    Rig rig;
    TaskLock lock;
    unsigned long value;
    TaskQueue all_done;
    unsigned done;
} Shared;

typedef struct Adder {
    Shared *shared;
    unsigned running;
} Adder;

static void add(void *data)
{
    Adder *adder = data;
    Shared *shared = adder->shared;
    BlockTask *self = block_task_self(shared->rig.runtime);
    for (unsigned i = 0; i < ADDITIONS; i++) {
        task_lock(&shared->lock, self);
        unsigned long value = shared->value;
        if (i % 10 == 0) {
            block_task_wait_until(self, host_monotonic_ns() + 10000);
        }
        shared->value = value + 1;
        task_unlock(&shared->lock);
    }
    task_lock(&shared->lock, self);
    shared->done++;
    task_queue_wake(&shared->all_done);
    while (shared->done < LOOPS * TASKS) {
        task_queue_wait(&shared->all_done, &shared->lock, self);
    }
    task_unlock(&shared->lock);
    adder->running--;
}

static void *run_loop(void *data)
{
    Adder adder = { .shared = data, .running = TASKS };
    Loop *outer = loop_new(false, NULL);
    BlockLoop *loop = block_loop_new(adder.shared->rig.runtime, outer, NULL);
    g_assert_nonnull(loop);
    for (unsigned i = 0; i < TASKS; i++) {
        block_task_start(loop, add, &adder);
    }
    while (adder.running) {
        loop_iterate(outer, -1);
    }
    block_loop_free(loop);
    loop_free(outer);
    return NULL;
}

static void test_locks(void)
{
    Shared shared = { .rig = rig_new() };
    Thread threads[LOOPS];
    for (unsigned i = 0; i < LOOPS; i++) {
        g_assert_true(thread_start(&threads[i], "loop", run_loop, &shared, NULL));
    }
    for (unsigned i = 0; i < LOOPS; i++) {
        thread_join(&threads[i]);
    }
    g_assert_cmpuint(shared.value, ==, LOOPS * TASKS * ADDITIONS);
    g_assert_true(task_try_lock(&shared.lock));
    g_assert_false(task_try_lock(&shared.lock));
    task_unlock(&shared.lock);
    rig_free(&shared.rig);
}

/* Asynchronous files */

typedef struct Transfer {
    HostAioRequest request;
    BlockTask *task;
    int64_t result;
    const Rig *rig;
    int fd;
    bool done;
} Transfer;

static void transferred(HostAioRequest *request, int64_t result)
{
    Transfer *transfer = (Transfer *)request;
    transfer->result = result;
    block_task_wake(transfer->task);
}

static void transfer(void *data)
{
    Transfer *transfer = data;
    char bytes[100];
    struct iovec vector = { bytes, sizeof bytes };
    transfer->task = block_task_self(transfer->rig->runtime);
    HostAio *aio = block_loop_aio(transfer->rig->block, true, NULL);
    memset(bytes, 'x', sizeof bytes);
    for (unsigned i = 0; i < 20; i++) {
        transfer->request = (HostAioRequest){ .operation = i % 2 ? HOST_AIO_READ : HOST_AIO_WRITE, .fd = transfer->fd,
                                              .offset = i / 2, .vectors = &vector, .vector_count = 1,
                                              .done = transferred };
        host_aio_add(aio, &transfer->request);
        block_task_sleep(transfer->task);
        g_assert_cmpint(transfer->result, ==, sizeof bytes);
        g_assert_cmpint(bytes[99], ==, 'x');
    }
    transfer->done = true;
}

static void test_files(void)
{
    Rig rig = rig_new();
    char path[] = "/tmp/task-XXXXXX";
    AUTO_ERROR(error);
    Transfer transfers[2] = { { .rig = &rig }, { .rig = &rig } };
    if (!block_loop_aio(rig.block, true, &error)) {
        g_test_skip(error_message(error));
        rig_free(&rig);
        return;
    }
    transfers[0].fd = transfers[1].fd = g_mkstemp(path);
    block_loop_plug(rig.block);
    block_task_start(rig.block, transfer, &transfers[0]);
    block_loop_unplug(rig.block);
    block_task_call(rig.runtime, transfer, &transfers[1]);
    g_assert_true(transfers[1].done);
    while (!transfers[0].done) {
        loop_iterate(rig.loop, -1);
    }
    close(transfers[0].fd);
    g_unlink(path);
    rig_free(&rig);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/task/sleep", test_sleep);
    g_test_add_func("/task/wait", test_wait);
    g_test_add_func("/task/threads", test_threads);
    g_test_add_func("/task/limited-threads", test_limited_threads);
    g_test_add_func("/task/locks", test_locks);
    g_test_add_func("/task/files", test_files);
    return g_test_run();
}
