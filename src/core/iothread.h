/* "iothread": an event loop with a thread of its own, made with -object, for devices' I/O. */
#pragma once

#include "core/loop.h"
#include "object/object.h"

typedef struct Machine Machine;

typedef struct IoThread IoThread;
extern const Class iothread_class;

const LoopPolling *iothread_polling(const IoThread *iothread);
Loop *iothread_loop(IoThread *iothread);
int iothread_thread_id(const IoThread *iothread); /* the host's */
IoThread *iothread_ref(IoThread *iothread); /* it stays while there is a reference, even where its object is deleted */
void iothread_unref(IoThread *iothread);
/* Main thread: until each iothread of the machine, deleted ones that are in use too, has run what was posted to it. */
void iothreads_drain(Machine *machine);
