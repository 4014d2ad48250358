/*
 * Clocks and their timers. Timers fire on the main loop, the earliest deadline first and among equal ones the one made
 * first, under their device's lock: one that was cancelled or moved under that lock does not fire.
 */
#include "core/clock.h"

#include "base/host/host.h"
#include "base/thread.h"
#include "base/vec.h"
#include "core/device.h"
#include "core/loop.h"

#include <stdatomic.h>
#include <stdlib.h>

/* A timer that sets itself to what has passed already keeps the loop from other work no longer than this. */
enum { TIMERS_AT_ONCE = 1024, HOST_CLOCK_CHECK = 1000000000 };

typedef struct ClockAlarm {
    ClockSet *clocks;
    ClockKind kind;
    LoopTimer timer;
} ClockAlarm;

struct ClockSet {
    Loop *loop;
    ClockSource source;
    Mutex mutex; /* of the timers and of changes of the time */
    ListNode timers[CLOCK_COUNT];
    uint64_t timer_order;
    ClockAlarm alarms[CLOCK_COUNT];
    /* Virtual time by the host: while it runs, `ns` is to be added to the host's; else it is the time. Read without the
     * mutex: `sequence` is odd while they change. */
    _Atomic uint32_t sequence;
    _Atomic int64_t ns;
    _Atomic bool running;
    _Atomic int64_t instructions; /* virtual time by instructions */
};

static void alarm_expired(void *data);

ClockSet *clocks_new(Loop *loop, ClockSource source)
{
    ClockSet *clocks = NEW(ClockSet);
    clocks->loop = loop;
    clocks->source = source;
    mutex_init(&clocks->mutex);
    for (unsigned kind = 0; kind < CLOCK_COUNT; kind++) {
        ClockAlarm *alarm = &clocks->alarms[kind];
        list_init(&clocks->timers[kind]);
        alarm->clocks = clocks;
        alarm->kind = kind;
        loop_timer_init(&alarm->timer, loop, alarm_expired, alarm);
    }
    return clocks;
}

void clocks_free(ClockSet *clocks)
{
    if (!clocks) {
        return;
    }
    for (unsigned kind = 0; kind < CLOCK_COUNT; kind++) {
        loop_timer_cancel(&clocks->alarms[kind].timer);
    }
    mutex_destroy(&clocks->mutex);
    free(clocks);
}

/* Time. */

static void read_virtual(const ClockSet *clocks, int64_t *ns, bool *running)
{
    ClockSet *set = (ClockSet *)clocks;
    uint32_t sequence;
    do {
        sequence = atomic_load(&set->sequence);
        *ns = atomic_load(&set->ns);
        *running = atomic_load(&set->running);
    } while (sequence & 1 || sequence != atomic_load(&set->sequence));
}

static void write_virtual(ClockSet *clocks, int64_t ns, bool running)
{
    atomic_fetch_add(&clocks->sequence, 1);
    atomic_store(&clocks->ns, ns);
    atomic_store(&clocks->running, running);
    atomic_fetch_add(&clocks->sequence, 1);
}

static int64_t virtual_by_host(const ClockSet *clocks)
{
    int64_t ns;
    bool running;
    read_virtual(clocks, &ns, &running);
    return running ? host_monotonic_ns() + ns : ns;
}

int64_t clock_now(const ClockSet *clocks, ClockKind kind)
{
    switch (kind) {
    case CLOCK_HOST:
        return host_realtime_ns();
    case CLOCK_VIRTUAL:
        return clocks->source == CLOCK_FROM_INSTRUCTIONS ? atomic_load(&((ClockSet *)clocks)->instructions)
                                                         : virtual_by_host(clocks);
    case CLOCK_VIRTUAL_RT:
        return virtual_by_host(clocks);
    default:
        return host_monotonic_ns();
    }
}

static bool by_instructions(const ClockSet *clocks, ClockKind kind)
{
    return kind == CLOCK_VIRTUAL && clocks->source == CLOCK_FROM_INSTRUCTIONS;
}

static Timer *first_timer(const ClockSet *clocks, ClockKind kind)
{
    const ListNode *head = &clocks->timers[kind];
    return head->next == head ? NULL : list_item(head->next, Timer, node);
}

/* When by the host's monotonic clock the first timer of a kind is to be looked at. The mutex is held. */
static int64_t alarm_time(const ClockSet *clocks, ClockKind kind)
{
    const Timer *timer = first_timer(clocks, kind);
    int64_t sum, ns;
    bool running;
    if (!timer || by_instructions(clocks, kind)) {
        return INT64_MAX;
    }
    switch (kind) {
    case CLOCK_REAL:
        return timer->deadline;
    case CLOCK_HOST: /* may jump: it is looked at again now and then */
        if (__builtin_sub_overflow(timer->deadline, host_realtime_ns(), &sum) || sum > HOST_CLOCK_CHECK) {
            sum = HOST_CLOCK_CHECK;
        }
        return host_monotonic_ns() + MAX(sum, 0);
    default:
        read_virtual(clocks, &ns, &running);
        if (!running || __builtin_sub_overflow(timer->deadline, ns, &sum)) {
            return INT64_MAX;
        }
        return sum;
    }
}

static void set_alarm(ClockSet *clocks, ClockKind kind)
{
    loop_timer_set(&clocks->alarms[kind].timer, alarm_time(clocks, kind));
}

static void set_virtual(ClockSet *clocks, int64_t now, bool running)
{
    write_virtual(clocks, running ? now - host_monotonic_ns() : now, running);
    set_alarm(clocks, CLOCK_VIRTUAL);
    set_alarm(clocks, CLOCK_VIRTUAL_RT);
}

void clocks_run(ClockSet *clocks, bool running)
{
    mutex_lock(&clocks->mutex);
    if (atomic_load(&clocks->running) != running) {
        set_virtual(clocks, virtual_by_host(clocks), running);
    }
    mutex_unlock(&clocks->mutex);
}

void clocks_set_virtual(ClockSet *clocks, int64_t ns)
{
    mutex_lock(&clocks->mutex);
    atomic_store(&clocks->instructions, ns);
    set_virtual(clocks, ns, atomic_load(&clocks->running));
    mutex_unlock(&clocks->mutex);
}

int64_t clocks_next_deadline(const ClockSet *clocks, ClockKind kind)
{
    ClockSet *set = (ClockSet *)clocks;
    mutex_lock(&set->mutex);
    const Timer *timer = first_timer(clocks, kind);
    int64_t deadline = timer ? timer->deadline : INT64_MAX;
    mutex_unlock(&set->mutex);
    return deadline;
}

/* Timers. */

void timer_init(Timer *timer, ClockSet *clocks, ClockKind kind, DeviceLock *lock, void (*expired)(void *data),
                void *data)
{
    *timer = (Timer){ .clocks = clocks, .kind = kind, .lock = lock, .deadline = INT64_MAX, .expired = expired,
                      .data = data };
    mutex_lock(&clocks->mutex);
    timer->order = clocks->timer_order++;
    mutex_unlock(&clocks->mutex);
}

static void unlink_timer(Timer *timer)
{
    if (list_linked(&timer->node)) {
        list_remove(&timer->node);
    }
    timer->deadline = INT64_MAX;
}

static void link_timer(Timer *timer, int64_t deadline)
{
    ListNode *head = &timer->clocks->timers[timer->kind], *position = head->next;
    for (; position != head; position = position->next) {
        const Timer *other = list_item(position, Timer, node);
        if (other->deadline > deadline || (other->deadline == deadline && other->order > timer->order)) {
            break;
        }
    }
    timer->deadline = deadline;
    list_insert_before(position, &timer->node);
}

void timer_set(Timer *timer, int64_t deadline)
{
    ClockSet *clocks = timer->clocks;
    mutex_lock(&clocks->mutex);
    bool was_first = first_timer(clocks, timer->kind) == timer;
    unlink_timer(timer);
    if (deadline != INT64_MAX) {
        link_timer(timer, deadline);
    }
    if (was_first || first_timer(clocks, timer->kind) == timer) {
        set_alarm(clocks, timer->kind);
    }
    mutex_unlock(&clocks->mutex);
}

void timer_cancel(Timer *timer) { timer_set(timer, INT64_MAX); }

void timer_destroy(Timer *timer)
{
    if (timer->clocks) {
        timer_cancel(timer);
        timer->clocks = NULL;
    }
}

static Timer *due_timer(ClockSet *clocks, ClockKind kind)
{
    Timer *timer = first_timer(clocks, kind);
    return timer && timer->deadline <= clock_now(clocks, kind) ? timer : NULL;
}

/* The timer is looked at again under its device's lock, which may have had it cancelled meanwhile. A timer is destroyed
 * on this thread alone. */
static void fire(ClockSet *clocks, Timer *timer)
{
    DeviceLock *lock = timer->lock;
    if (lock) {
        device_lock(lock);
    }
    mutex_lock(&clocks->mutex);
    bool still = due_timer(clocks, timer->kind) == timer;
    if (still) {
        unlink_timer(timer);
    }
    mutex_unlock(&clocks->mutex);
    if (still) {
        timer->expired(timer->data);
    }
    if (lock) {
        device_unlock(lock);
    }
}

static void fire_due(ClockSet *clocks, ClockKind kind)
{
    for (unsigned count = 0; count < TIMERS_AT_ONCE; count++) {
        mutex_lock(&clocks->mutex);
        Timer *timer = due_timer(clocks, kind);
        mutex_unlock(&clocks->mutex);
        if (!timer) {
            return;
        }
        fire(clocks, timer);
    }
}

static void alarm_expired(void *data)
{
    ClockAlarm *alarm = data;
    fire_due(alarm->clocks, alarm->kind);
    mutex_lock(&alarm->clocks->mutex);
    set_alarm(alarm->clocks, alarm->kind);
    mutex_unlock(&alarm->clocks->mutex);
}

void clocks_advance(ClockSet *clocks, int64_t ns)
{
    assert(clocks->source == CLOCK_FROM_INSTRUCTIONS && ns >= 0);
    int64_t end, now = atomic_load(&clocks->instructions);
    if (__builtin_add_overflow(now, ns, &end)) {
        end = INT64_MAX;
    }
    for (int64_t deadline; (deadline = clocks_next_deadline(clocks, CLOCK_VIRTUAL)) <= end && deadline > now;) {
        now = deadline;
        atomic_store(&clocks->instructions, now);
        fire_due(clocks, CLOCK_VIRTUAL);
    }
    atomic_store(&clocks->instructions, end);
    fire_due(clocks, CLOCK_VIRTUAL);
}
