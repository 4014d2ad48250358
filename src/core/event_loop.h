/* "event-loop-base": what iothreads and the main loop of a machine have in common, as objects. */
#pragma once

#include "core/loop.h"
#include "object/object.h"

typedef struct EventLoopBase {
    Object object;
    Loop *loop; /* NULL until it is complete */
    LoopThreads threads;
    int64_t batch;
} EventLoopBase;

extern const Class event_loop_base_class; /* abstract */
extern const Class main_loop_class;       /* "main-loop": the properties of the loop that there is */

/* From now on the properties are `loop`'s. False where they contradict each other. */
bool event_loop_begin(EventLoopBase *base, Loop *loop, Error **error);
/* A property's `check`: a number that is not negative. */
bool event_loop_check_number(Object *object, const Property *property, Error **error);
