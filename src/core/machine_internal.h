/* Between machine.c, park.c, run_state.c, reset.c, step.c, vcpu.c and timebase.c. */
#pragma once

#include "core/machine.h"

#include "base/thread.h"

/*
 * How vCPU threads rest. A vCPU may run while nobody holds the machine: a park is a hold, and so is a run state other
 * than running.
 */
typedef struct MachineParking {
    Mutex mutex;
    Condition changed;
    unsigned depth;  /* of machine_park; main thread */
    bool held;       /* by the run state */
    bool stopping;   /* somebody waits for the vCPUs to rest */
    unsigned active; /* vCPU threads that do not rest */
} MachineParking;

void parking_init(Machine *machine);
void parking_free(Machine *machine);
/* vCPU threads: rests while the machine is held. Returns false when the thread is to end. */
bool parking_rest(Machine *machine, Vcpu *vcpu);
/* A vCPU met a breakpoint: it rests until the main loop has stopped the machine. */
void parking_set_debug_stop(Machine *machine, Vcpu *vcpu, bool stop);
/* The vCPU's thread, which rests, is to end. */
void parking_dismiss(Machine *machine, Vcpu *vcpu);
/* A vCPU's thread begins and ends. */
void parking_enter(Machine *machine);
void parking_leave(Machine *machine);
/* Main thread: the run state's hold. */
void parking_hold(Machine *machine, bool held);

/* -accel thread=single: vCPU threads take turns. */
typedef struct MachineTurns MachineTurns;
MachineTurns *turns_new(void);
void turns_free(MachineTurns *turns);
/* Waits until it is the vCPU's turn, and ends it. */
void turns_begin(MachineTurns *turns, Cpu *cpu);
void turns_end(MachineTurns *turns);

void machine_stop_vcpus(Machine *machine); /* asks them; does not wait */

void timebase_init(Machine *machine);
void timebase_free(Machine *machine);
int64_t timebase_offset(Machine *machine); /* saved state */
void timebase_set_offset(Machine *machine, int64_t offset);
/* The timebase was set: each vCPU's timers look again. */
void vcpu_timebase_changed(Machine *machine);

/* The schedule of machine_step: part of saved state. */
typedef struct MachineStep {
    uint32_t vcpu;  /* whose turn it is */
    uint64_t left;  /* of its slice */
    uint64_t ran;   /* in its slice: virtual time follows at the end of it */
} MachineStep;

/* Has all devices finish or drop what is in flight: the beginning of a reset, and of a machine's end. */
void machine_hold(Machine *machine, ResetKind kind);
/* Has all devices keep still, or go on: around saving. */
void machine_still(Machine *machine, bool still);
/* Settles all devices and tells all inputs their levels: the end of a reset and of a load. */
void machine_settle(Machine *machine, bool loaded);

/* The main RAM, from the backend or made. */
bool machine_make_ram(Machine *machine, Error **error);
