/*
 * Running a machine on one thread: vCPUs take turns of a fixed number of instructions, and virtual time follows at the
 * end of each turn, 1 ns an instruction. A turn is cut at the next deadline of virtual time, so that timers fire at
 * their instruction. Nothing here depends on how a run is divided into calls: what is saved between two of them and
 * loaded elsewhere goes on alike.
 */
#include "core/debugger.h"
#include "core/loop.h"
#include "core/machine_internal.h"
#include "core/vcpu.h"

#include "base/vec.h"

#include <stdlib.h>

enum { SLICE = 1000, IDLE_LIMIT = 1000 };

static bool by_instructions(const Machine *machine)
{
    return machine->options.clock_source == CLOCK_FROM_INSTRUCTIONS;
}

static int64_t time_to_deadline(Machine *machine)
{
    int64_t deadline = clocks_next_deadline(machine->clocks, CLOCK_VIRTUAL);
    int64_t now = clock_now(machine->clocks, CLOCK_VIRTUAL);
    return deadline == INT64_MAX ? INT64_MAX : MAX(deadline - now, 1);
}

/* Time passes, and the next vCPU has its turn. */
static void end_slice(Machine *machine)
{
    MachineStep *step = machine->step;
    uint64_t ran = step->ran;
    step->ran = step->left = 0;
    step->vcpu = (step->vcpu + 1) % (uint32_t)machine->vcpus.count;
    if (by_instructions(machine)) {
        clocks_advance(machine->clocks, (int64_t)ran);
    }
}

static void begin_slice(Machine *machine)
{
    MachineStep *step = machine->step;
    step->left = SLICE;
    if (by_instructions(machine)) {
        step->left = (uint64_t)MIN((int64_t)SLICE, time_to_deadline(machine));
    }
}

/* Runs at most `limit` instructions of the vCPU whose turn it is; returns how many. */
static uint64_t run_slice(Machine *machine, uint64_t limit)
{
    MachineStep *step = machine->step;
    Cpu *cpu = machine->vcpus.items[step->vcpu]->cpu;
    if (!step->left) {
        begin_slice(machine);
    }
    int64_t budget = (int64_t)MIN(step->left, limit);
    CpuExit exit = cpu_run(cpu, budget);
    uint64_t ran = (uint64_t)(budget - cpu->exec.budget); /* exceptions too: time passes in a guest that only traps */
    step->ran += ran;
    step->left -= MIN(ran, step->left);
    if (!step->left || exit == CPU_EXIT_HALTED) {
        end_slice(machine);
    } else if (exit == CPU_EXIT_DEBUG && debugger_stops(machine, machine->vcpus.items[step->vcpu])) {
        machine_stop(machine, RUN_STATE_DEBUG);
    }
    return ran;
}

static bool anyone_has_work(Machine *machine)
{
    for (size_t i = 0; i < machine->vcpus.count; i++) {
        if (cpu_has_work(machine->vcpus.items[i]->cpu)) {
            return true;
        }
    }
    return false;
}

/* Every vCPU waits: on to the next deadline. False where there is none. */
static bool skip_idle(Machine *machine)
{
    if (!by_instructions(machine)) {
        return false;
    }
    int64_t left = time_to_deadline(machine);
    if (left == INT64_MAX) {
        return false;
    }
    clocks_advance(machine->clocks, left);
    return true;
}

uint64_t machine_step(Machine *machine, uint64_t instructions)
{
    uint64_t done = 0;
    unsigned idle = 0; /* deadlines passed without an instruction */
    assert(machine->options.single_threaded && loop_is_self(machine->loop));
    while (done < instructions && idle < IDLE_LIMIT) {
        loop_drain(machine->loop); /* what a guest asked for: a reset, a shutdown */
        if (!machine_is_running(machine) || !machine->vcpus.count) {
            break;
        }
        if (anyone_has_work(machine)) {
            uint64_t ran = run_slice(machine, instructions - done);
            done += ran;
            idle = ran ? 0 : idle;
        } else if (skip_idle(machine)) {
            idle++;
        } else {
            break;
        }
    }
    loop_drain(machine->loop);
    return done;
}
