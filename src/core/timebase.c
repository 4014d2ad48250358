/*
 * The guest's timebase: ticks of virtual time, moved when a guest writes its counter. Ticks wrap at 2^64, as the
 * counters do.
 */
#include "core/machine_internal.h"
#include "core/vcpu.h"

#include "base/vec.h"

#include <stdatomic.h>
#include <stdlib.h>

typedef unsigned __int128 Wide;
enum { SECOND = 1000000000 };

typedef struct MachineTimebase {
    uint64_t hz;
    _Atomic uint64_t offset; /* ticks at the start of virtual time */
} MachineTimebase;

void timebase_init(Machine *machine)
{
    machine->timebase = NEW(MachineTimebase);
    machine->timebase->hz = 10000000;
}

void timebase_free(Machine *machine) { free(machine->timebase); }
int64_t timebase_offset(Machine *machine) { return (int64_t)atomic_load(&machine->timebase->offset); }

void timebase_set_offset(Machine *machine, int64_t offset)
{
    atomic_store(&machine->timebase->offset, (uint64_t)offset);
}

void vcpu_set_timebase(Machine *machine, uint64_t hz)
{
    assert(hz);
    machine->timebase->hz = hz;
}

uint64_t machine_timebase_hz(Machine *machine) { return machine->timebase->hz; }

static uint64_t ticks_of(const MachineTimebase *timebase, int64_t ns)
{
    return (uint64_t)((Wide)(uint64_t)MAX(ns, 0) * timebase->hz / SECOND);
}

uint64_t machine_timebase_now(Machine *machine)
{
    MachineTimebase *timebase = machine->timebase;
    return ticks_of(timebase, clock_now(machine->clocks, CLOCK_VIRTUAL)) + atomic_load(&timebase->offset);
}

void machine_timebase_set(Machine *machine, uint64_t ticks)
{
    MachineTimebase *timebase = machine->timebase;
    atomic_store(&timebase->offset, ticks - ticks_of(timebase, clock_now(machine->clocks, CLOCK_VIRTUAL)));
    vcpu_timebase_changed(machine);
}

int64_t machine_timebase_deadline(Machine *machine, uint64_t ticks)
{
    MachineTimebase *timebase = machine->timebase;
    int64_t now = clock_now(machine->clocks, CLOCK_VIRTUAL);
    uint64_t now_ticks = ticks_of(timebase, now);
    uint64_t shown = now_ticks + atomic_load(&timebase->offset);
    if (shown >= ticks) {
        return now;
    }
    Wide target = (Wide)now_ticks + (ticks - shown);
    Wide ns = (target * SECOND + timebase->hz - 1) / timebase->hz;
    return ns >= INT64_MAX ? INT64_MAX : (int64_t)ns;
}
