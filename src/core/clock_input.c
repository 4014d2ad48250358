/* Clock lines in a tree. A period is kept in units of 2^-32 ns, so that 10 MHz and 32768 Hz are exact alike. */
#include "core/clock.h"

typedef unsigned __int128 Wide;
#define SECOND_UNITS ((Wide)1000000000 << 32)

void clock_input_init(ClockInput *clock, void (*changed)(void *data), void *data)
{
    *clock = (ClockInput){ .changed = changed, .data = data, .multiplier = 1, .divider = 1 };
    list_init(&clock->sinks);
}

static void set_period(ClockInput *clock, uint64_t period)
{
    if (clock->period == period) {
        return;
    }
    clock->period = period;
    if (clock->changed) {
        clock->changed(clock->data);
    }
    LIST_FOREACH(&clock->sinks, sink, ClockInput, node)
    {
        Wide scaled = (Wide)period * sink->divider / sink->multiplier;
        set_period(sink, scaled > UINT64_MAX ? 0 : (uint64_t)scaled);
    }
}

void clock_input_set_hz(ClockInput *clock, uint64_t hz)
{
    Wide period = hz ? (SECOND_UNITS + hz / 2) / hz : 0;
    set_period(clock, (uint64_t)period);
}

void clock_input_connect(ClockInput *clock, ClockInput *source)
{
    if (clock->source) {
        list_remove(&clock->node);
    }
    clock->source = source;
    if (source) {
        list_append(&source->sinks, &clock->node);
        Wide scaled = (Wide)source->period * clock->divider / clock->multiplier;
        set_period(clock, scaled > UINT64_MAX ? 0 : (uint64_t)scaled);
    }
}

uint64_t clock_input_hz(const ClockInput *clock)
{
    return clock->period ? (uint64_t)((SECOND_UNITS + clock->period / 2) / clock->period) : 0;
}

uint64_t clock_input_ticks(const ClockInput *clock, int64_t ns)
{
    if (!clock->period || ns <= 0) {
        return 0;
    }
    Wide ticks = ((Wide)(uint64_t)ns << 32) / clock->period;
    return ticks > UINT64_MAX ? UINT64_MAX : (uint64_t)ticks;
}

int64_t clock_input_ns(const ClockInput *clock, uint64_t ticks)
{
    if (!clock->period) {
        return INT64_MAX;
    }
    Wide units = (Wide)ticks * clock->period;
    Wide ns = (units >> 32) + ((units & UINT32_MAX) != 0);
    return ns > INT64_MAX ? INT64_MAX : (int64_t)ns;
}
