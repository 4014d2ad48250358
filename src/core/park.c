/*
 * Parking: the main thread asks every vCPU to stop and waits until each rests at an instruction boundary, holding
 * nothing. While it waits it runs what is posted to the main loop, because a vCPU may be waiting for that; then it
 * lets the iothreads' loops, and its own, run dry.
 */
#include "core/iothread.h"
#include "core/loop.h"
#include "core/machine_internal.h"
#include "core/vcpu.h"

#include "base/vec.h"

#include <stdlib.h>

void parking_init(Machine *machine)
{
    machine->parking = NEW(MachineParking);
    mutex_init(&machine->parking->mutex);
    condition_init(&machine->parking->changed);
    machine->parking->held = true;
}

void parking_free(Machine *machine)
{
    mutex_destroy(&machine->parking->mutex);
    condition_destroy(&machine->parking->changed);
    free(machine->parking);
}

void parking_enter(Machine *machine)
{
    mutex_lock(&machine->parking->mutex);
    machine->parking->active++;
    mutex_unlock(&machine->parking->mutex);
}

static void nothing(void *data) {}

/* The mutex is held. Wakes the main loop out of loop_wait_posted. */
static void leave_locked(Machine *machine)
{
    machine->parking->active--;
    if (machine->parking->stopping) {
        loop_post(machine->loop, nothing, NULL);
    }
}

void parking_leave(Machine *machine)
{
    mutex_lock(&machine->parking->mutex);
    leave_locked(machine);
    mutex_unlock(&machine->parking->mutex);
}

static bool is_to_rest(const MachineParking *parking, const Vcpu *vcpu)
{
    return (parking->depth || parking->held || vcpu->debug_stop) && !vcpu->leaving;
}

bool parking_rest(Machine *machine, Vcpu *vcpu)
{
    MachineParking *parking = machine->parking;
    mutex_lock(&parking->mutex);
    if (is_to_rest(parking, vcpu)) {
        leave_locked(machine);
        while (is_to_rest(parking, vcpu)) {
            condition_wait(&parking->changed, &parking->mutex);
        }
        parking->active++;
    }
    bool go_on = !vcpu->leaving;
    mutex_unlock(&parking->mutex);
    return go_on;
}

void parking_set_debug_stop(Machine *machine, Vcpu *vcpu, bool stop)
{
    mutex_lock(&machine->parking->mutex);
    vcpu->debug_stop = stop;
    condition_broadcast(&machine->parking->changed);
    mutex_unlock(&machine->parking->mutex);
}

void parking_dismiss(Machine *machine, Vcpu *vcpu)
{
    mutex_lock(&machine->parking->mutex);
    vcpu->leaving = true;
    condition_broadcast(&machine->parking->changed);
    mutex_unlock(&machine->parking->mutex);
}

void machine_stop_vcpus(Machine *machine)
{
    for (size_t i = 0; i < machine->vcpus.count; i++) {
        cpu_stop(machine->vcpus.items[i]->cpu);
    }
}

static bool anyone_active(MachineParking *parking)
{
    mutex_lock(&parking->mutex);
    bool active = parking->active > 0;
    mutex_unlock(&parking->mutex);
    return active;
}

static void set_stopping(MachineParking *parking, bool stopping)
{
    mutex_lock(&parking->mutex);
    parking->stopping = stopping;
    mutex_unlock(&parking->mutex);
}

/* A hold has been taken. */
static void wait_for_rest(Machine *machine)
{
    MachineParking *parking = machine->parking;
    set_stopping(parking, true);
    while (anyone_active(parking)) {
        /* Asked again each time: a vCPU that stood between its rest and cpu_run may have missed it. */
        machine_stop_vcpus(machine);
        loop_wait_posted(machine->loop);
    }
    set_stopping(parking, false);
}

void parking_hold(Machine *machine, bool held)
{
    MachineParking *parking = machine->parking;
    mutex_lock(&parking->mutex);
    parking->held = held;
    condition_broadcast(&parking->changed);
    mutex_unlock(&parking->mutex);
}

void machine_park(Machine *machine)
{
    MachineParking *parking = machine->parking;
    assert(loop_is_self(machine->loop));
    mutex_lock(&parking->mutex);
    unsigned depth = parking->depth++;
    mutex_unlock(&parking->mutex);
    wait_for_rest(machine);
    if (!depth) {
        iothreads_drain(machine);
        loop_drain(machine->loop);
    }
}

void machine_unpark(Machine *machine)
{
    MachineParking *parking = machine->parking;
    mutex_lock(&parking->mutex);
    assert(parking->depth);
    parking->depth--;
    condition_broadcast(&parking->changed);
    mutex_unlock(&parking->mutex);
}
