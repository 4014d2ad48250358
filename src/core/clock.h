/*
 * A machine's clocks, in nanoseconds, and timers on them. Virtual time stands while the machine is stopped; it is
 * taken from the host's clock, or from instructions run (CLOCK_FROM_INSTRUCTIONS) so that a run can be repeated.
 */
#pragma once

#include "base/compiler.h"
#include "base/list.h"

typedef struct ClockSet ClockSet;
typedef struct DeviceLock DeviceLock;
typedef struct Loop Loop;

typedef enum ClockKind {
    CLOCK_REAL,       /* monotonic, never stops (QEMU's realtime; <time.h> has a macro of that name) */
    CLOCK_HOST,       /* since 1970, may jump */
    CLOCK_VIRTUAL,    /* runs while the guest runs */
    CLOCK_VIRTUAL_RT, /* virtual, but not taken from instructions */
    CLOCK_COUNT
} ClockKind;

typedef enum ClockSource { CLOCK_FROM_HOST, CLOCK_FROM_INSTRUCTIONS } ClockSource;

ClockSet *clocks_new(Loop *loop, ClockSource source);
void clocks_free(ClockSet *clocks);
int64_t clock_now(const ClockSet *clocks, ClockKind kind); /* any thread */
void clocks_run(ClockSet *clocks, bool running); /* starts or stops virtual time */
void clocks_advance(ClockSet *clocks, int64_t ns); /* virtual time from instructions: fires what is due, in order */
int64_t clocks_next_deadline(const ClockSet *clocks, ClockKind kind); /* INT64_MAX where there is none */
void clocks_set_virtual(ClockSet *clocks, int64_t ns);                /* on load */

typedef struct Timer {
    ListNode node;
    ClockSet *clocks;
    ClockKind kind;
    DeviceLock *lock; /* taken around `expired`; may be NULL */
    int64_t deadline; /* ns; INT64_MAX: not set. Saved state holds it */
    uint64_t order;   /* ties run in order of creation */
    void (*expired)(void *data);
    void *data;
} Timer;
void timer_init(Timer *timer, ClockSet *clocks, ClockKind kind, DeviceLock *lock, void (*expired)(void *data),
                void *data);
void timer_set(Timer *timer, int64_t deadline); /* any thread */
void timer_cancel(Timer *timer);
void timer_destroy(Timer *timer);
static inline bool timer_is_set(const Timer *timer) { return timer->deadline != INT64_MAX; }

/* A clock line in a tree, in hertz (and exact fractions: periods in units of 2^-32 ns). */
typedef struct ClockInput ClockInput;
struct ClockInput {
    uint64_t period; /* 2^-32 ns; 0: stopped */
    ClockInput *source;
    ListNode sinks, node;
    uint32_t multiplier, divider;
    void (*changed)(void *data);
    void *data;
};
void clock_input_init(ClockInput *clock, void (*changed)(void *data), void *data);
void clock_input_set_hz(ClockInput *clock, uint64_t hz); /* and tells what follows it */
void clock_input_connect(ClockInput *clock, ClockInput *source);
uint64_t clock_input_hz(const ClockInput *clock);
uint64_t clock_input_ticks(const ClockInput *clock, int64_t ns); /* in ns, rounded down, no overflow */
int64_t clock_input_ns(const ClockInput *clock, uint64_t ticks); /* of ticks, rounded up */
