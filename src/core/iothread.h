/* "iothread": an event loop with a thread of its own, made with -object, for devices' I/O. */
#pragma once

#include "object/object.h"

typedef struct Loop Loop;
typedef struct Machine Machine;

typedef struct IoThread IoThread;
extern const Class iothread_class;

Loop *iothread_loop(IoThread *iothread);
int iothread_thread_id(const IoThread *iothread); /* the host's: query-iothreads */
/* Main thread: until each iothread of the machine has run what was posted to it. */
void iothreads_drain(Machine *machine);
