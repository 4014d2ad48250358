/* Event loops as objects: see event_loop.h. */
#include "core/event_loop.h"

#include "api/type.h"
#include "base/error.h"
#include "core/machine.h"

#include <inttypes.h>
#include <limits.h>
#include <stddef.h>

static bool check_threads(const LoopThreads *threads, Error **error)
{
    bool ok = threads->most > 0 && threads->least <= threads->most && threads->most <= INT_MAX;
    return ok || error_set(error, "bad thread-pool-min/thread-pool-max values");
}

static void apply(const EventLoopBase *base)
{
    loop_set_batch(base->loop, base->batch);
    loop_set_threads(base->loop, &base->threads);
}

bool event_loop_begin(EventLoopBase *base, Loop *loop, Error **error)
{
    if (!check_threads(&base->threads, error)) {
        return false;
    }
    base->loop = loop;
    apply(base);
    return true;
}

bool event_loop_check_number(Object *object, const Property *property, Error **error)
{
    int64_t value = *(const int64_t *)(const void *)((const char *)object + property->offset);
    return value >= 0 || error_set(error, "value must be in range [0, %" PRId64 "]", INT64_MAX);
}

/* Before they are complete, objects get one value after the other. */
static bool check_base(Object *object, const Property *property, Error **error)
{
    const EventLoopBase *base = (EventLoopBase *)object;
    if (!event_loop_check_number(object, property, error) || (base->loop && !check_threads(&base->threads, error))) {
        return false;
    }
    if (base->loop) {
        apply(base);
    }
    return true;
}

#define NUMBER(name_, field, default_, text) \
    { \
        .name = name_, .type = &type_int64, .type_name = "int", .when = PROPERTY_ANY_TIME, \
        .offset = offsetof(EventLoopBase, field), .default_text = default_, .check = check_base, .description = text \
    }
static const Property properties[] = {
    NUMBER("aio-max-batch", batch, "0", "requests at most that are kept back to be given to the host together; 0: any"),
    NUMBER("thread-pool-min", threads.least, "0", "threads for what would make the loop wait that are always there"),
    NUMBER("thread-pool-max", threads.most, "64", "those that do it at a time, at most"),
    { 0 },
};

const Class event_loop_base_class = {
    .name = "event-loop-base",
    .parent = &object_class,
    .abstract = true,
    .description = "An event loop",
    .size = sizeof(EventLoopBase),
    .properties = properties,
};

static bool is_no_main_loop(Object *child, void *context)
{
    return child == context || !object_is(child, &main_loop_class);
}

static bool main_loop_complete(Object *object, Error **error)
{
    const Machine *machine = object->data;
    Object *objects = object_container(machine->root, "objects");
    if (!object_each_child(objects, is_no_main_loop, object)) {
        return error_set(error, "only one main-loop instance allowed");
    }
    return event_loop_begin((EventLoopBase *)object, machine->loop, error);
}

static bool main_loop_can_delete(Object *object, Error **error)
{
    return error_set(error, "object '%s' is in use, can not be deleted", object->name);
}

const Class main_loop_class = {
    .name = "main-loop",
    .parent = &event_loop_base_class,
    .description = "The loop that everything runs on which has no other",
    .size = sizeof(EventLoopBase),
    .user_creatable = true,
    .complete = main_loop_complete,
    .can_delete = main_loop_can_delete,
};
