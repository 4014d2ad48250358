/*
 * Looking for events before sleeping. Who sends the next request as soon as it has the reply to the last one is served
 * sooner by a loop that has not gone to sleep: a wake-up across processors takes longer than many a request. How long
 * to look grows where events come a little later than that, and shrinks where they come much later, as the settings
 * say.
 *
 * Where looking is in vain again and again although the events then come soon, whoever sends them seems to wait for
 * this very processor. Then the loop sleeps at once for a number of waits, and each time for more of them, until it has
 * been right for long.
 */
#include "core/loop_poll.h"

enum { FIRST_WINDOW = 4000 /* ns */, GROW = 2, PATIENCE = 8, LAST_TRIES = 2, FIRST_PAUSE = 32, LAST_PAUSE = 16384,
       PROOF = 128 /* hits */ };

void loop_poll_init(LoopPoll *poll, const LoopPolling *settings)
{
    *poll = (LoopPoll){ .settings = *settings, .pause = FIRST_PAUSE };
}

int64_t loop_poll_window(LoopPoll *poll)
{
    bool pauses = poll->sleeps > 0;
    poll->sleeps -= pauses;
    poll->looked = pauses ? 0 : poll->window;
    return poll->looked;
}

static void grow(LoopPoll *poll)
{
    int64_t maximum = poll->settings.maximum_ns, factor = poll->settings.grow ? poll->settings.grow : GROW;
    int64_t next = poll->window == 0 ? FIRST_WINDOW : poll->window > maximum / factor ? maximum : poll->window * factor;
    poll->window = MIN(next, maximum);
}

static void shrink(LoopPoll *poll)
{
    poll->window = poll->settings.shrink ? poll->window / poll->settings.shrink : 0;
}

static void count_hit(LoopPoll *poll)
{
    poll->misses = 0;
    if (++poll->hits >= PROOF) {
        poll->hits = 0;
        poll->pause = FIRST_PAUSE;
    }
}

static void count_miss(LoopPoll *poll)
{
    poll->hits = 0;
    if (++poll->misses >= PATIENCE) {
        poll->misses = PATIENCE - LAST_TRIES;
        poll->sleeps = poll->pause;
        poll->pause = poll->pause < LAST_PAUSE ? poll->pause * 2 : LAST_PAUSE;
    }
}

void loop_poll_learn(LoopPoll *poll, int64_t waited, bool hit)
{
    int64_t maximum = poll->settings.maximum_ns;
    if (hit) {
        count_hit(poll);
    } else if (waited > poll->looked + maximum) {
        shrink(poll);
    } else if (poll->sleeps == 0) {
        if (poll->looked) {
            count_miss(poll);
        }
        grow(poll);
    }
}
