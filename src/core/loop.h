/*
 * Event loops: descriptors, timers, posted calls, (later) an io_uring. One on the program's main thread with GLib's
 * default context attached, more as `iothread` objects. All that comes from outside the machine enters a device through
 * its loop.
 */
#pragma once

#include "base/compiler.h"
#include "base/list.h"

typedef struct Error Error;
typedef struct Loop Loop;
typedef struct LoopFd LoopFd;

/* A loop without a thread; whoever made it is its thread until another calls loop_run or loop_iterate. `attach_glib`:
 * dispatch GLib's default context too. */
Loop *loop_new(bool attach_glib, Error **error);
void loop_free(Loop *loop);
/* Runs until loop_quit. */
void loop_run(Loop *loop);
/* One round: waits at most `timeout_ns` (negative: for ever). Returns whether anything was dispatched. */
bool loop_iterate(Loop *loop, int64_t timeout_ns);
void loop_quit(Loop *loop);                                                /* any thread */
void loop_post(Loop *loop, void (*function)(void *data), void *data);      /* any thread, in order */
/* Any thread; returns when it has run: at once on the loop's own thread. Not under a lock that a handler of the loop
 * may want. What a vCPU posts so may not park the machine. */
void loop_post_wait(Loop *loop, void (*function)(void *data), void *data);
bool loop_is_self(const Loop *loop);
/* Runs until nothing posted is left; used while the machine is parked. On another thread than the loop's: waits. */
void loop_drain(Loop *loop);
/* On the loop's thread: sleeps until something is posted and runs what is; looks at nothing else. */
void loop_wait_posted(Loop *loop);

/* Watches `fd` for HOST_POLL events; 0 pauses. The loop does not own the descriptor. On the loop's thread, or before it
 * runs; a descriptor is watched once. NULL where the host refuses it. */
LoopFd *loop_fd_add(Loop *loop, int fd, unsigned events, void (*ready)(void *data, unsigned events), void *data);
void loop_fd_set(LoopFd *watch, unsigned events);
void loop_fd_remove(LoopFd *watch); /* safe within `ready` */

/* Looking for events before sleeping, for as long as that brings them sooner; see loop_poll.c. `grow` and `shrink` are
 * a factor and a divisor of the time; 0: 2, and all of it. Where the process has one processor alone, nothing is looked
 * for. Any thread. */
typedef struct LoopPolling {
    int64_t maximum_ns; /* 0: the loop sleeps at once */
    int64_t grow, shrink;
} LoopPolling;
void loop_set_polling(Loop *loop, const LoopPolling *polling);
/* For those whose requests the host is given by this loop's thread: how many may be kept back to be given together; 0:
 * as many as there are. Any thread. */
void loop_set_batch(Loop *loop, int64_t count);
int64_t loop_batch(const Loop *loop);
/* For those who have threads do what would make the loop wait: how many there are at least, and at most work for this
 * loop at a time (64 where nothing is said). Any thread. */
typedef struct LoopThreads {
    int64_t least, most;
} LoopThreads;
void loop_set_threads(Loop *loop, const LoopThreads *threads);
LoopThreads loop_threads(const Loop *loop);
/* A way to see, quicker than by asking the host, that HOST_POLL_IN is to be given to `ready`. NULL: there is none. */
void loop_fd_set_look(LoopFd *watch, bool (*look)(void *data));

/* Timers in the loop's host time (host_monotonic_ns); devices use core/clock.h. */
typedef struct LoopTimer {
    ListNode node;
    Loop *loop;
    int64_t deadline; /* INT64_MAX: not set */
    uint64_t order;   /* of creation: ties run in it */
    void (*expired)(void *data);
    void *data;
} LoopTimer;
void loop_timer_init(LoopTimer *timer, Loop *loop, void (*expired)(void *data), void *data);
void loop_timer_set(LoopTimer *timer, int64_t deadline); /* any thread */
void loop_timer_cancel(LoopTimer *timer); /* any thread */
