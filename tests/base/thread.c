/* Threads, mutexes, condition variables; run under TSan as well. */
#include "base/host/host.h"
#include "base/thread.h"

#include <glib.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>

enum { THREADS = 4, ROUNDS = 5000, MILLISECOND = 1000000 };

typedef struct Shared {
    Mutex mutex;
    Condition condition;
    unsigned count, turn;
    unsigned order[8];
} Shared;

static void shared_init(Shared *shared)
{
    *shared = (Shared){ 0 };
    mutex_init(&shared->mutex);
    condition_init(&shared->condition);
}

static void shared_destroy(Shared *shared)
{
    condition_destroy(&shared->condition);
    mutex_destroy(&shared->mutex);
}

static void *count_up(void *argument)
{
    Shared *shared = argument;
    for (int i = 0; i < ROUNDS; i++) {
        mutex_lock(&shared->mutex);
        shared->count++;
        mutex_unlock(&shared->mutex);
    }
    return &shared->count;
}

static void test_mutex(void)
{
    Shared shared;
    Thread threads[THREADS];
    shared_init(&shared);
    for (int i = 0; i < THREADS; i++) {
        g_assert_true(thread_start(&threads[i], "counter", count_up, &shared, NULL));
    }
    for (int i = 0; i < THREADS; i++) {
        g_assert_true(thread_join(&threads[i]) == &shared.count);
    }
    g_assert_cmpuint(shared.count, ==, THREADS * ROUNDS);
    shared_destroy(&shared);
}

static void *try_lock(void *argument)
{
    Shared *shared = argument;
    shared->count = mutex_try_lock(&shared->mutex);
    if (shared->count) {
        mutex_unlock(&shared->mutex);
    }
    return NULL;
}

static unsigned try_lock_elsewhere(Shared *shared)
{
    Thread thread;
    g_assert_true(thread_start(&thread, "try", try_lock, shared, NULL));
    thread_join(&thread);
    return shared->count;
}

static void test_try_lock(void)
{
    Shared shared;
    shared_init(&shared);
    mutex_lock(&shared.mutex);
    g_assert_cmpuint(try_lock_elsewhere(&shared), ==, 0);
    mutex_unlock(&shared.mutex);
    g_assert_cmpuint(try_lock_elsewhere(&shared), ==, 1);
    shared_destroy(&shared);
}

/* Two threads take turns: each waits for the other's number. */
static void *take_turns(void *argument)
{
    Shared *shared = argument;
    mutex_lock(&shared->mutex);
    unsigned self = shared->count++;
    while (shared->turn < ARRAY_SIZE(shared->order)) {
        if (shared->turn % 2 != self) {
            condition_wait(&shared->condition, &shared->mutex);
            continue;
        }
        shared->order[shared->turn++] = self;
        condition_broadcast(&shared->condition);
    }
    mutex_unlock(&shared->mutex);
    return NULL;
}

static void test_condition(void)
{
    Shared shared;
    Thread threads[2];
    shared_init(&shared);
    for (int i = 0; i < 2; i++) {
        g_assert_true(thread_start(&threads[i], "turns", take_turns, &shared, NULL));
    }
    for (int i = 0; i < 2; i++) {
        thread_join(&threads[i]);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(shared.order); i++) {
        g_assert_cmpuint(shared.order[i], ==, i % 2);
    }
    shared_destroy(&shared);
}

static void test_deadline(void)
{
    Shared shared;
    shared_init(&shared);
    mutex_lock(&shared.mutex);
    int64_t deadline = host_monotonic_ns() + 20 * MILLISECOND;
    while (condition_wait_until(&shared.condition, &shared.mutex, deadline)) {
        /* a wake-up without a cause is allowed */
    }
    g_assert_cmpint(host_monotonic_ns(), >=, deadline);
    g_assert_false(condition_wait_until(&shared.condition, &shared.mutex, 0));
    g_assert_false(condition_wait_until(&shared.condition, &shared.mutex, -5));
    mutex_unlock(&shared.mutex);
    shared_destroy(&shared);
}

typedef struct Seen {
    Thread *thread;
    sigset_t blocked;
    char name[32];
    uint64_t id;
} Seen;

static void *look_around(void *argument)
{
    Seen *seen = argument;
    pthread_sigmask(SIG_SETMASK, NULL, &seen->blocked);
    prctl(PR_GET_NAME, seen->name);
    seen->id = host_thread_id();
    return NULL;
}

static void test_start(void)
{
    Thread thread;
    Seen seen = { 0 };
    sigset_t before, after;
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    g_assert_true(thread_start(&thread, "a-name-longer-than-fits", look_around, &seen, NULL));
    thread_join(&thread);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    g_assert_cmpstr(seen.name, ==, "a-name-longer-t");
    g_assert_cmpuint(seen.id, !=, host_thread_id());
    g_assert_true(sigismember(&seen.blocked, SIGINT));
    g_assert_true(sigismember(&seen.blocked, SIGALRM));
    static const int faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP };
    for (size_t i = 0; i < ARRAY_SIZE(faults); i++) {
        g_assert_false(sigismember(&seen.blocked, faults[i]));
    }
    g_assert_false(sigismember(&after, SIGINT));
    g_assert_cmpint(sigismember(&before, SIGINT), ==, sigismember(&after, SIGINT));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/mutex", test_mutex);
    g_test_add_func("/mutex/try", test_try_lock);
    g_test_add_func("/condition", test_condition);
    g_test_add_func("/condition/deadline", test_deadline);
    g_test_add_func("/start", test_start);
    return g_test_run();
}
