/* The "iothread" class. */
#include "core/iothread.h"

#include "api/type.h"
#include "base/error.h"
#include "base/host/host.h"
#include "base/thread.h"
#include "base/vec.h"
#include "core/event_loop.h"
#include "core/machine.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct IoThread {
    EventLoopBase base;
    LoopPolling polling;
    Thread thread;
    bool started;
    _Atomic bool running;
    _Atomic int thread_id;
};

static Machine *machine_of(const IoThread *iothread) { return iothread->base.object.data; }

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
    loop_run(iothread->base.loop);
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
    Loop *loop = loop_new(false, error);
    if (!loop || !event_loop_begin(&iothread->base, loop, error)) {
        loop_free(loop);
        return false;
    }
    loop_set_polling(loop, &iothread->polling);
    /* From here on the loop's thread is the new one: what is posted does not run here by mistake. */
    loop_post(loop, announce, iothread);
    const char *name = object->name ? object->name : "iothread";
    iothread->started = thread_start(&iothread->thread, name, run, iothread, error);
    if (iothread->started) {
        wait_running(iothread, true);
        vec_push(&machine_of(iothread)->iothreads, iothread);
    }
    return iothread->started;
}

static void forget(const IoThread *iothread)
{
    Machine *machine = machine_of(iothread);
    for (size_t i = machine->iothreads.count; i-- > 0;) {
        if (machine->iothreads.items[i] == iothread) {
            vec_remove(&machine->iothreads, i);
        }
    }
}

static void iothread_finalize(Object *object)
{
    IoThread *iothread = (IoThread *)object;
    if (iothread->started) {
        loop_quit(iothread->base.loop);
        wait_running(iothread, false);
        thread_join(&iothread->thread);
        forget(iothread);
    }
    loop_free(iothread->base.loop);
}

IoThread *iothread_ref(IoThread *iothread) { return (IoThread *)object_ref(&iothread->base.object); }
void iothread_unref(IoThread *iothread) { object_unref(&iothread->base.object); }

static bool check_number(Object *object, const Property *property, Error **error)
{
    IoThread *iothread = (IoThread *)object;
    if (!event_loop_check_number(object, property, error)) {
        return false;
    }
    if (iothread->base.loop) {
        loop_set_polling(iothread->base.loop, &iothread->polling);
    }
    return true;
}

#define NUMBER(name_, field, default_, text) \
    { \
        .name = name_, .type = &type_int64, .type_name = "int", .when = PROPERTY_ANY_TIME, \
        .offset = offsetof(IoThread, field), .default_text = default_, .check = check_number, \
        .description = text \
    }
static const Property properties[] = {
    NUMBER("poll-max-ns", polling.maximum_ns, "32768", "how long to look for events before sleeping; 0: not at all"),
    NUMBER("poll-grow", polling.grow, "0", "factor by which that time grows; 0: as is usual"),
    NUMBER("poll-shrink", polling.shrink, "0", "divisor by which it shrinks; 0: to nothing"),
    { 0 },
};

const Class iothread_class = {
    .name = "iothread",
    .parent = &event_loop_base_class,
    .description = "A thread with an event loop, for devices' I/O",
    .size = sizeof(IoThread),
    .user_creatable = true,
    .properties = properties,
    .complete = iothread_complete,
    .finalize = iothread_finalize,
};

const LoopPolling *iothread_polling(const IoThread *iothread) { return &iothread->polling; }
Loop *iothread_loop(IoThread *iothread) { return iothread->base.loop; }
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

void iothreads_drain(Machine *machine)
{
    Drain drain = { .main = machine->loop };
    for (size_t i = 0; i < machine->iothreads.count; i++) {
        atomic_fetch_add(&drain.pending, 1);
        loop_post(machine->iothreads.items[i]->base.loop, drained, &drain);
    }
    while (atomic_load(&drain.pending)) {
        loop_wait_posted(machine->loop);
    }
}
