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
/* Main thread: while it is used it is there, and cannot be deleted. */
void iothread_use(IoThread *iothread);
void iothread_release(IoThread *iothread);
/* Main thread: until each iothread of the machine has run what was posted to it. */
void iothreads_drain(Machine *machine);
