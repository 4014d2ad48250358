/*
 * vCPUs that run one at a time (-accel thread=single). Each has its thread all the same; it waits for its turn in front
 * of cpu_run, in the order of coming, and whoever has waited for a while asks the one whose turn it is to stop.
 */
#include "core/machine_internal.h"

#include "base/compiler.h"
#include "base/host/host.h"

#include <stdlib.h>

#define TURN_NS INT64_C(10000000)

struct MachineTurns {
    Mutex mutex;
    Condition passed;
    uint64_t given, current; /* numbers drawn, and the one whose turn it is */
    Cpu *runs;               /* NULL: between two turns */
};

MachineTurns *turns_new(void)
{
    MachineTurns *turns = NEW(MachineTurns);
    mutex_init(&turns->mutex);
    condition_init(&turns->passed);
    return turns;
}

void turns_free(MachineTurns *turns)
{
    if (turns) {
        condition_destroy(&turns->passed);
        mutex_destroy(&turns->mutex);
        free(turns);
    }
}

void turns_begin(MachineTurns *turns, Cpu *cpu)
{
    mutex_lock(&turns->mutex);
    uint64_t mine = turns->given++;
    while (mine != turns->current) {
        int64_t deadline = host_monotonic_ns() + TURN_NS;
        if (!condition_wait_until(&turns->passed, &turns->mutex, deadline) && turns->runs) {
            cpu_stop(turns->runs);
        }
    }
    turns->runs = cpu;
    mutex_unlock(&turns->mutex);
}

void turns_end(MachineTurns *turns)
{
    mutex_lock(&turns->mutex);
    turns->runs = NULL;
    turns->current++;
    condition_broadcast(&turns->passed);
    mutex_unlock(&turns->mutex);
}
