/* How long a loop looks for its next event before it sleeps: core/loop.h has the settings. */
#pragma once

#include "core/loop.h"

typedef struct LoopPoll {
    LoopPolling settings;
    int64_t window;         /* how long to look, in ns; 0: not at all */
    int64_t looked;         /* the same, for the wait under way */
    unsigned hits, misses;  /* in a row */
    unsigned pause, sleeps; /* how many waits the next pause is of; those that are left of this one */
} LoopPoll;

void loop_poll_init(LoopPoll *poll, const LoopPolling *settings);
/* For the wait that begins. */
int64_t loop_poll_window(LoopPoll *poll);
/* It has ended, after `waited` ns, while the loop looked (`hit`) or slept. */
void loop_poll_learn(LoopPoll *poll, int64_t waited, bool hit);
