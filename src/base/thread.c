/* Threads, mutexes and condition variables. A call that fails is our own bug, so that none is passed on. */
#include "base/thread.h"

#include "base/error.h"
#include "base/host/host.h"
#include "base/vec.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>

static void must(int result, const char *what)
{
    if (UNLIKELY(result)) {
        fprintf(stderr, "%s: %s\n", what, strerror(result));
        abort();
    }
}

void mutex_init(Mutex *mutex) { must(pthread_mutex_init(&mutex->handle, NULL), "mutex_init"); }
void mutex_destroy(Mutex *mutex) { must(pthread_mutex_destroy(&mutex->handle), "mutex_destroy"); }
void mutex_lock(Mutex *mutex) { must(pthread_mutex_lock(&mutex->handle), "mutex_lock"); }
void mutex_unlock(Mutex *mutex) { must(pthread_mutex_unlock(&mutex->handle), "mutex_unlock"); }

bool mutex_try_lock(Mutex *mutex)
{
    int result = pthread_mutex_trylock(&mutex->handle);
    if (result == EBUSY) {
        return false;
    }
    must(result, "mutex_try_lock");
    return true;
}

void condition_init(Condition *condition)
{
    pthread_condattr_t attributes;
    must(pthread_condattr_init(&attributes), "condition_init");
    must(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC), "condition_init");
    must(pthread_cond_init(&condition->handle, &attributes), "condition_init");
    pthread_condattr_destroy(&attributes);
}

void condition_destroy(Condition *condition) { must(pthread_cond_destroy(&condition->handle), "condition_destroy"); }
void condition_signal(Condition *condition) { must(pthread_cond_signal(&condition->handle), "condition_signal"); }

void condition_broadcast(Condition *condition)
{
    must(pthread_cond_broadcast(&condition->handle), "condition_broadcast");
}

void condition_wait(Condition *condition, Mutex *mutex)
{
    must(pthread_cond_wait(&condition->handle, &mutex->handle), "condition_wait");
}

bool condition_wait_until(Condition *condition, Mutex *mutex, int64_t deadline)
{
    enum { SECOND = 1000000000 };
    if (deadline < 0) {
        deadline = 0;
    }
    struct timespec time = { .tv_sec = deadline / SECOND, .tv_nsec = deadline % SECOND };
    int result = pthread_cond_timedwait(&condition->handle, &mutex->handle, &time);
    if (result == ETIMEDOUT) {
        return false;
    }
    must(result, "condition_wait_until");
    return true;
}

typedef struct ThreadStart {
    void *(*run)(void *);
    void *argument;
    char *name;
} ThreadStart;

static void *thread_main(void *argument)
{
    ThreadStart *start = argument;
    void *(*run)(void *) = start->run;
    void *run_argument = start->argument;
    host_thread_set_name(start->name);
    free(start->name);
    free(start);
    return run(run_argument);
}

bool thread_start(Thread *thread, const char *name, void *(*run)(void *), void *argument, Error **error)
{
    static const int faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP };
    ThreadStart *start = NEW(ThreadStart);
    *start = (ThreadStart){ .run = run, .argument = argument, .name = string_copy(name) };
    sigset_t blocked, before;
    sigfillset(&blocked);
    for (size_t i = 0; i < ARRAY_SIZE(faults); i++) {
        sigdelset(&blocked, faults[i]);
    }
    must(pthread_sigmask(SIG_SETMASK, &blocked, &before), "thread_start");
    int result = pthread_create(&thread->handle, NULL, thread_main, start);
    must(pthread_sigmask(SIG_SETMASK, &before, NULL), "thread_start");
    if (result) {
        free(start->name);
        free(start);
        return error_set_errno(error, result, "cannot start the thread '%s'", name);
    }
    return true;
}

void *thread_join(Thread *thread)
{
    void *value;
    must(pthread_join(thread->handle, &value), "thread_join");
    return value;
}
