/* Threads and what guards them: POSIX threads whose calls cannot fail unless the program is wrong. */
#pragma once

#include "base/compiler.h"

#include <pthread.h>

typedef struct Error Error;
typedef struct Mutex {
    pthread_mutex_t handle;
} Mutex;
typedef struct Condition {
    pthread_cond_t handle; /* on the monotonic clock */
} Condition;
typedef struct Thread {
    pthread_t handle;
} Thread;

void mutex_init(Mutex *mutex);
void mutex_destroy(Mutex *mutex);
void mutex_lock(Mutex *mutex);
bool mutex_try_lock(Mutex *mutex);
void mutex_unlock(Mutex *mutex);

void condition_init(Condition *condition);
void condition_destroy(Condition *condition);
void condition_wait(Condition *condition, Mutex *mutex);
/* `deadline` in nanoseconds of host_monotonic_ns(). Returns false once it has passed. */
bool condition_wait_until(Condition *condition, Mutex *mutex, int64_t deadline);
void condition_signal(Condition *condition);
void condition_broadcast(Condition *condition);

/* Starts with every signal blocked but those of faults; `name` shows in the host's list of threads. */
bool thread_start(Thread *thread, const char *name, void *(*run)(void *), void *argument, Error **error);
void *thread_join(Thread *thread);
