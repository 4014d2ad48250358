/*
 * Groups of what shares limits ("throttle-group" objects). Of each direction one request at a time waits for room in
 * the buckets; the others wait for their turn, which goes round among the members.
 */
#include "block/throttle.h"

#include "api/json.h"
#include "api/type.h"
#include "base/error.h"
#include "base/host/host.h"
#include "base/list.h"
#include "base/vec.h"
#include "block/block_internal.h"
#include "schema/block.h"

#include <errno.h>
#include <string.h>

typedef struct Waiter {
    struct Waiter *next;
    BlockTask *task;
    ThrottleMember *member;
    bool write, has_turn;
} Waiter;

struct ThrottleMember {
    ListNode in_group;
    ThrottleGroup *group;
    struct {
        Waiter *first, *last;
    } queues[2]; /* reads, writes: under the group's mutex */
};

struct ThrottleGroup {
    Object object;
    bool made_by_drive;
    ThrottleLimits limits;
    Mutex mutex; /* of what follows */
    Throttle throttle;
    unsigned drains;
    ListNode members;
    struct Direction {
        bool busy;          /* somebody has the turn */
        BlockTask *sleeper; /* he, while he waits for room; whoever takes him out wakes him */
    } directions[2];
};

/* Turns */

static void enqueue(ThrottleMember *member, bool write, Waiter *waiter)
{
    waiter->next = NULL;
    if (member->queues[write].first) {
        member->queues[write].last->next = waiter;
    } else {
        member->queues[write].first = waiter;
    }
    member->queues[write].last = waiter;
}

static void wake_sleeper(struct Direction *direction)
{
    BlockTask *task = direction->sleeper;
    if (task) {
        direction->sleeper = NULL;
        block_task_wake(task);
    }
}

/* The member after this one that has a request waiting, this one last. */
static Waiter *next_waiter(ThrottleMember *member, bool write)
{
    ListNode *node = &member->in_group;
    do {
        node = node->next;
        if (node != &member->group->members) {
            ThrottleMember *other = list_item(node, ThrottleMember, in_group);
            Waiter *waiter = other->queues[write].first;
            if (waiter) {
                other->queues[write].first = waiter->next;
                waiter->has_turn = true;
                return waiter;
            }
        }
    } while (node != &member->in_group);
    return NULL;
}

/* Takes the waiter out of its queue, if it is still there. */
static bool dequeue(const Waiter *waiter)
{
    ThrottleMember *member = waiter->member;
    Waiter *before = NULL;
    for (Waiter *other = member->queues[waiter->write].first; other; before = other, other = other->next) {
        if (other != waiter) {
            continue;
        }
        if (before) {
            before->next = other->next;
        } else {
            member->queues[waiter->write].first = other->next;
        }
        if (member->queues[waiter->write].last == other) {
            member->queues[waiter->write].last = before;
        }
        return true;
    }
    return false;
}

/* Whoever waits for room or his turn is woken; he sees that he is cancelled. */
static void cancel_waiter(void *data)
{
    const Waiter *waiter = data;
    ThrottleGroup *group = waiter->member->group;
    mutex_lock(&group->mutex);
    if (group->directions[waiter->write].sleeper == waiter->task) {
        wake_sleeper(&group->directions[waiter->write]);
    } else if (dequeue(waiter)) {
        block_task_wake(waiter->task);
    }
    mutex_unlock(&group->mutex);
}

/* False: it was cancelled, and it is not its turn. */
static bool take_turn(Waiter *waiter)
{
    ThrottleGroup *group = waiter->member->group;
    struct Direction *direction = &group->directions[waiter->write];
    if (!direction->busy) {
        direction->busy = true;
        return true;
    }
    enqueue(waiter->member, waiter->write, waiter);
    waiter->has_turn = false;
    mutex_unlock(&group->mutex);
    block_task_sleep(waiter->task); /* it is handed over */
    mutex_lock(&group->mutex);
    return waiter->has_turn;
}

typedef struct Alarm {
    BlockTimer timer;
    ThrottleGroup *group;
    struct Direction *direction;
    BlockTask *task;
} Alarm;

static void time_is_up(void *data)
{
    Alarm *alarm = data;
    mutex_lock(&alarm->group->mutex);
    if (alarm->direction->sleeper == alarm->task) {
        wake_sleeper(alarm->direction);
    }
    mutex_unlock(&alarm->group->mutex);
}

static void wait_for_room(ThrottleGroup *group, BlockTask *self, bool write)
{
    Alarm alarm = { .group = group, .direction = &group->directions[write], .task = self };
    block_timer_init(&alarm.timer, block_task_loop(self), time_is_up, &alarm);
    while (group->drains == 0 && !block_task_is_cancelled(self)) {
        int64_t now = host_monotonic_ns(), delay = throttle_delay(&group->throttle, write, now);
        if (delay <= 0) {
            return;
        }
        alarm.direction->sleeper = self;
        mutex_unlock(&group->mutex);
        block_timer_set(&alarm.timer, now + delay);
        block_task_sleep(self);
        block_timer_cancel(&alarm.timer);
        mutex_lock(&group->mutex);
    }
}

static void hand_on(ThrottleMember *member, bool write)
{
    Waiter *next = next_waiter(member, write);
    member->group->directions[write].busy = next != NULL;
    if (next) {
        block_task_wake(next->task);
    }
}

int throttle_pass(ThrottleMember *member, BlockTask *self, bool write, uint64_t bytes)
{
    ThrottleGroup *group = member->group;
    Waiter waiter = { .task = self, .member = member, .write = write };
    bool limited, cancelled = false;
    mutex_lock(&group->mutex);
    limited = group->throttle.limited;
    if (limited) {
        block_task_set_cancel(self, cancel_waiter, &waiter);
        bool mine = take_turn(&waiter);
        if (mine) {
            wait_for_room(group, self, write);
        }
        cancelled = block_task_is_cancelled(self);
        if (!cancelled) {
            throttle_count(&group->throttle, write, bytes);
        }
        if (mine) {
            hand_on(member, write);
        }
        block_task_set_cancel(self, NULL, NULL);
    }
    mutex_unlock(&group->mutex);
    return cancelled ? ECANCELED : 0;
}

/* Limits */

static void apply_limits(ThrottleGroup *group)
{
    mutex_lock(&group->mutex);
    throttle_set(&group->throttle, &group->limits, host_monotonic_ns());
    wake_sleeper(&group->directions[0]); /* to look how long it is now */
    wake_sleeper(&group->directions[1]);
    mutex_unlock(&group->mutex);
}

void throttle_group_drain(ThrottleGroup *group, bool begins)
{
    mutex_lock(&group->mutex);
    group->drains += begins ? 1u : -1u;
    if (begins) {
        wake_sleeper(&group->directions[0]);
        wake_sleeper(&group->directions[1]);
    }
    mutex_unlock(&group->mutex);
}

void throttle_group_limits(ThrottleGroup *group, ThrottleLimits *limits) { *limits = group->limits; }
bool throttle_group_is_limited(const ThrottleGroup *group) { return group->throttle.limited; }
const char *throttle_group_name(const ThrottleGroup *group) { return group->object.name; }

bool throttle_group_set_limits(ThrottleGroup *group, const ThrottleLimits *limits, Error **error)
{
    if (!throttle_check(limits, error)) {
        return false;
    }
    group->limits = *limits;
    apply_limits(group);
    return true;
}

/* Members */

ThrottleMember *throttle_join(ThrottleGroup *group)
{
    ThrottleMember *member = NEW(ThrottleMember);
    member->group = group;
    object_ref(&group->object);
    mutex_lock(&group->mutex);
    list_append(&group->members, &member->in_group);
    mutex_unlock(&group->mutex);
    return member;
}

void throttle_leave(ThrottleMember *member)
{
    if (!member) {
        return;
    }
    ThrottleGroup *group = member->group;
    mutex_lock(&group->mutex);
    list_remove(&member->in_group);
    mutex_unlock(&group->mutex);
    free(member);
    throttle_group_unref(group);
}

ThrottleGroup *throttle_member_group(const ThrottleMember *member) { return member->group; }

/* Finding groups */

ThrottleGroup *throttle_group_find(BlockGraph *graph, const char *name)
{
    Object *places[] = { graph->objects, graph->throttles };
    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        Object *found = places[i] ? object_child(places[i], name) : NULL;
        if (found && object_is(found, &throttle_group_class)) {
            return (ThrottleGroup *)found;
        }
    }
    return NULL;
}

ThrottleGroup *throttle_group_get(BlockGraph *graph, const char *name, Error **error)
{
    ThrottleGroup *group = throttle_group_find(graph, name);
    if (group) {
        object_ref(&group->object);
        return group;
    }
    if (!graph->throttles) {
        graph->throttles = object_new(&container_class, NULL, NULL, error);
    }
    group = graph->throttles ? (ThrottleGroup *)object_new(&throttle_group_class, NULL, NULL, error) : NULL;
    if (!group) {
        return NULL;
    }
    group->made_by_drive = true;
    if (!object_complete(&group->object, error) || !object_add_child(graph->throttles, name, &group->object, error)) {
        object_unref(&group->object);
        return NULL;
    }
    return group;
}

void throttle_group_unref(ThrottleGroup *group)
{
    bool last = group->made_by_drive && group->object.references == 2; /* that of the graph's list is left */
    if (last) {
        object_unparent(&group->object);
    }
    object_unref(&group->object);
}

/* The object */

static void group_init(Object *object)
{
    ThrottleGroup *group = (ThrottleGroup *)object;
    mutex_init(&group->mutex);
    list_init(&group->members);
}

static bool group_complete(Object *object, Error **error)
{
    ThrottleGroup *group = (ThrottleGroup *)object;
    ThrottleLimits limits = group->limits;
    return throttle_group_set_limits(group, &limits, error);
}

static void group_finalize(Object *object) { mutex_destroy(&((ThrottleGroup *)object)->mutex); }

static bool group_can_delete(Object *object, Error **error)
{
    const ThrottleGroup *group = (ThrottleGroup *)object;
    return list_empty(&group->members) || error_set(error, "object '%s' is in use, can not be deleted", object->name);
}

/* Each limit is a property of its own before the object is complete, and all of them are one at any time. */

/* What is given takes the place of what was there. */
static void merge(ThrottleLimits *limits, const ThrottleLimits *given)
{
    for (size_t i = 0; i < ThrottleLimits_type.member_count; i++) {
        const TypeMember *member = &ThrottleLimits_type.members[i];
        const char *from = (const char *)given;
        if (*(const bool *)(from + member->has_offset)) {
            memcpy((char *)limits + member->offset, from + member->offset, member->type->size);
        }
    }
}

static bool set_limits(Object *object, const Property *property, const Json *value, Error **error)
{
    ThrottleGroup *group = (ThrottleGroup *)object;
    ThrottleLimits given = { 0 }, limits = group->limits;
    if (!type_from_json(&ThrottleLimits_type, value, &given, error)) {
        return false;
    }
    merge(&limits, &given);
    if (object->complete) {
        return throttle_group_set_limits(group, &limits, error);
    }
    group->limits = limits;
    return true;
}

static Json *get_limits(Object *object, const Property *property, Error **error)
{
    ThrottleLimits limits = ((ThrottleGroup *)object)->limits;
    for (size_t i = 0; i < ThrottleLimits_type.member_count; i++) {
        *(bool *)((char *)&limits + ThrottleLimits_type.members[i].has_offset) = true;
    }
    return type_to_json(&ThrottleLimits_type, &limits);
}

#define LIMIT(text_, field_, default_) \
    PROP("x-" text_, type_int64, ThrottleGroup, limits.field_, default_, "the same as limits." text_)
#define LIMITS(text_, field_) \
    LIMIT(text_, field_, "0"), LIMIT(text_ "-max", field_##_max, "0"), \
    LIMIT(text_ "-max-length", field_##_max_length, "1")

static const Property properties[] = {
    LIMITS("iops-total", iops_total), LIMITS("iops-read", iops_read), LIMITS("iops-write", iops_write),
    LIMITS("bps-total", bps_total), LIMITS("bps-read", bps_read), LIMITS("bps-write", bps_write),
    LIMIT("iops-size", iops_size, "0"),
    { .name = "limits", .type = &ThrottleLimits_type, .when = PROPERTY_ANY_TIME, .set = set_limits,
      .get = get_limits, .description = "how much may go through" },
    PROP_END,
};

const Class throttle_group_class = {
    .name = "throttle-group",
    .parent = &object_class,
    .description = "Limits that disks share",
    .size = sizeof(ThrottleGroup),
    .user_creatable = true,
    .properties = properties,
    .init = group_init,
    .complete = group_complete,
    .finalize = group_finalize,
    .can_delete = group_can_delete,
};
