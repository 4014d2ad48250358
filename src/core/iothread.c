#include "core/iothread.h"

#include "base/host/host.h"
#include "base/thread.h"
#include "core/loop.h"
#include "core/machine.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct IoThread {
    Object object;
    Loop *loop;
    Thread thread;
    bool started;
    _Atomic bool running;
    _Atomic int thread_id;
};

static Machine *machine_of(const IoThread *iothread) { return iothread->object.data; }

static void nothing(void *data) {}

static void announce(void *data)
{
    IoThread *iothread = data;
    atomic_store(&iothread->thread_id, host_thread_id());
    atomic_store(&iothread->running, true);
    loop_post(machine_of(iothread)->loop, nothing, NULL);
}

static void *run(void *data)
{
    IoThread *iothread = data;
    loop_run(iothread->loop);
    atomic_store(&iothread->running, false);
    loop_post(machine_of(iothread)->loop, nothing, NULL);
    return NULL;
}

static void wait_running(IoThread *iothread, bool running)
{
    while (atomic_load(&iothread->running) != running) {
        loop_wait_posted(machine_of(iothread)->loop);
    }
}

static bool iothread_complete(Object *object, Error **error)
{
    IoThread *iothread = (IoThread *)object;
    iothread->loop = loop_new(false, error);
    if (!iothread->loop) {
        return false;
    }
    /* From here on the loop's thread is the new one: what is posted does not run here by mistake. */
    loop_post(iothread->loop, announce, iothread);
    const char *name = object->name ? object->name : "iothread";
    iothread->started = thread_start(&iothread->thread, name, run, iothread, error);
    if (iothread->started) {
        wait_running(iothread, true);
    }
    return iothread->started;
}

static void iothread_finalize(Object *object)
{
    IoThread *iothread = (IoThread *)object;
    if (iothread->started) {
        loop_quit(iothread->loop);
        wait_running(iothread, false);
        thread_join(&iothread->thread);
    }
    loop_free(iothread->loop);
}

const Class iothread_class = {
    .name = "iothread",
    .parent = &object_class,
    .description = "A thread with an event loop, for devices' I/O",
    .size = sizeof(IoThread),
    .user_creatable = true,
    .complete = iothread_complete,
    .finalize = iothread_finalize,
};

Loop *iothread_loop(IoThread *iothread) { return iothread->loop; }
int iothread_thread_id(const IoThread *iothread) { return atomic_load(&((IoThread *)iothread)->thread_id); }

/* Draining. */

typedef struct Drain {
    Loop *main;
    _Atomic unsigned pending;
} Drain;

static void drained(void *data)
{
    Drain *drain = data;
    Loop *main = drain->main;
    atomic_fetch_sub(&drain->pending, 1); /* the last one lets `drain` go */
    loop_post(main, nothing, NULL);
}

static bool drain_one(Object *object, void *data)
{
    Drain *drain = data;
    IoThread *iothread = (IoThread *)object;
    if (object_is(object, &iothread_class) && iothread->started) {
        atomic_fetch_add(&drain->pending, 1);
        loop_post(iothread->loop, drained, drain);
    }
    return true;
}

void iothreads_drain(Machine *machine)
{
    Drain drain = { .main = machine->loop };
    object_each_descendant(object_container(machine->root, "objects"), drain_one, &drain);
    while (atomic_load(&drain.pending)) {
        loop_wait_posted(machine->loop);
    }
}
