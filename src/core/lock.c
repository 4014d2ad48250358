/*
 * Device locks and their crossing rule: a thread holds one device's lock at most and inside it one interrupt
 * controller's, so that no two threads ever wait for each other. What a thread holds is kept for each thread and
 * machine (a pthread key a machine: no thread-local variable, and two machines do not meet).
 */
#include "core/lock_internal.h"

#include "base/list.h"
#include "base/thread.h"
#include "base/vec.h"
#include "core/device.h"
#include "core/machine.h"

#include <stdlib.h>

/* Guest-made loops (a line that turns itself over) end here: what is deferred beyond is dropped. */
enum { DEFERRED_LIMIT = 1 << 16 };

typedef struct Deferred {
    void (*function)(void *data, uint64_t a, uint64_t b);
    void *data;
    uint64_t a, b;
} Deferred;

typedef struct LockThread {
    ListNode node; /* of the domain */
    DeviceLock *outer, *inner;
    bool running; /* the queue */
    VEC(Deferred) queue;
    LockDomain *domain;
} LockThread;

struct LockDomain {
    pthread_key_t key;
    Mutex mutex; /* of `threads` */
    ListNode threads;
};

struct DeviceLock {
    Mutex mutex;
    LockDomain *domain;
    bool controller;
};

static void lock_thread_free(void *data)
{
    LockThread *thread = data;
    mutex_lock(&thread->domain->mutex);
    list_remove(&thread->node);
    mutex_unlock(&thread->domain->mutex);
    vec_free(&thread->queue);
    free(thread);
}

LockDomain *lock_domain_new(void)
{
    LockDomain *domain = NEW(LockDomain);
    int result = pthread_key_create(&domain->key, lock_thread_free);
    if (result) {
        /* More machines than the host has keys for (1024): as fatal as memory that has run out. */
        abort();
    }
    mutex_init(&domain->mutex);
    list_init(&domain->threads);
    return domain;
}

void lock_domain_free(LockDomain *domain)
{
    pthread_key_delete(domain->key);
    LIST_FOREACH_SAFE(&domain->threads, thread, LockThread, node)
    {
        lock_thread_free(thread);
    }
    mutex_destroy(&domain->mutex);
    free(domain);
}

static LockThread *lock_thread(LockDomain *domain)
{
    LockThread *thread = pthread_getspecific(domain->key);
    if (UNLIKELY(!thread)) {
        thread = NEW(LockThread);
        thread->domain = domain;
        pthread_setspecific(domain->key, thread);
        mutex_lock(&domain->mutex);
        list_append(&domain->threads, &thread->node);
        mutex_unlock(&domain->mutex);
    }
    return thread;
}

DeviceLock *lock_new(LockDomain *domain)
{
    DeviceLock *lock = NEW(DeviceLock);
    mutex_init(&lock->mutex);
    lock->domain = domain;
    return lock;
}

DeviceLock *device_lock_new(Machine *machine) { return lock_new(machine->locks); }

void device_lock_free(DeviceLock *lock)
{
    mutex_destroy(&lock->mutex);
    free(lock);
}

void lock_set_controller(DeviceLock *lock) { lock->controller = true; }
LockDomain *lock_domain(const DeviceLock *lock) { return lock->domain; }

LockEntry lock_enter(DeviceLock *lock)
{
    LockThread *thread = lock_thread(lock->domain);
    if (thread->outer == lock || thread->inner == lock) {
        return LOCK_HELD;
    }
    if (!thread->outer) {
        mutex_lock(&lock->mutex);
        thread->outer = lock;
        return LOCK_ENTERED;
    }
    if (!thread->inner && lock->controller && !thread->outer->controller) {
        mutex_lock(&lock->mutex);
        thread->inner = lock;
        return LOCK_ENTERED;
    }
    return LOCK_CROSSING;
}

void device_lock(DeviceLock *lock)
{
    LockEntry entry = lock_enter(lock);
    assert(entry == LOCK_ENTERED);
    (void)entry;
}

/* Functions may take locks and defer more: that runs after what is already queued, in this same call. */
static void run_deferred(LockThread *thread)
{
    if (thread->running || !thread->queue.count) {
        return;
    }
    thread->running = true;
    for (size_t i = 0; i < thread->queue.count; i++) {
        Deferred deferred = thread->queue.items[i];
        deferred.function(deferred.data, deferred.a, deferred.b);
    }
    thread->queue.count = 0;
    thread->running = false;
}

void device_unlock(DeviceLock *lock)
{
    LockThread *thread = lock_thread(lock->domain);
    if (thread->inner == lock) {
        thread->inner = NULL;
        mutex_unlock(&lock->mutex);
        return;
    }
    assert(thread->outer == lock && !thread->inner);
    thread->outer = NULL;
    mutex_unlock(&lock->mutex);
    run_deferred(thread);
}

bool lock_defer(LockDomain *domain, void (*function)(void *data, uint64_t a, uint64_t b), void *data, uint64_t a,
                uint64_t b)
{
    LockThread *thread = lock_thread(domain);
    if (!thread->outer && !thread->running) {
        function(data, a, b);
        return true;
    }
    if (thread->queue.count >= DEFERRED_LIMIT) {
        return false;
    }
    vec_push(&thread->queue, (Deferred){ function, data, a, b });
    return true;
}

void device_defer(DeviceLock *lock, void (*function)(void *data, uint64_t a, uint64_t b), void *data, uint64_t a,
                  uint64_t b)
{
    lock_defer(lock->domain, function, data, a, b);
}
