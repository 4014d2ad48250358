/* Reset of a machine, by kinds and in phases; and the last phase, which a load has too. */
#include "base/vec.h"
#include "core/device_internal.h"
#include "core/machine_internal.h"
#include "core/vcpu.h"

#include <stdatomic.h>

/* Calls a hook of each class of the device, base classes first; what a class takes over from its parent runs once. */
static void call_hooks(Device *device, const DeviceClass *class, size_t offset, ResetKind kind)
{
    typedef void ResetHook(Device *device, ResetKind kind);
    const DeviceClass *parent = device_class_parent(class);
    ResetHook *hook = *(ResetHook *const *)((const char *)class + offset);
    if (parent) {
        call_hooks(device, parent, offset, kind);
    }
    if (hook && !(parent && *(ResetHook *const *)((const char *)parent + offset) == hook)) {
        hook(device, kind);
    }
}

static void hold(Device *device, void *kind)
{
    call_hooks(device, device_class_of(device), offsetof(DeviceClass, reset_hold), *(ResetKind *)kind);
}

static void reset(Device *device, void *kind)
{
    bool entered = device_enter(device);
    device_reset_registers(device, *(ResetKind *)kind);
    call_hooks(device, device_class_of(device), offsetof(DeviceClass, reset), *(ResetKind *)kind);
    if (entered) {
        device_unlock(device->lock);
    }
}

static void call_settle(Device *device, const DeviceClass *class)
{
    const DeviceClass *parent = device_class_parent(class);
    if (parent) {
        call_settle(device, parent);
    }
    if (class->settle && !(parent && parent->settle == class->settle)) {
        class->settle(device);
    }
}

static void settle(Device *device, void *unused)
{
    bool entered = device_enter(device);
    call_settle(device, device_class_of(device));
    if (entered) {
        device_unlock(device->lock);
    }
}

static void settle_vcpu(Cpu *cpu, bool loaded)
{
    if (loaded) {
        cpu_tlb_flush(cpu, UINT32_MAX);
        if (cpu->guest->settle) {
            cpu->guest->settle(cpu);
        }
    }
    cpu_code_changed(cpu);
}

/* A line that was high in the state that was loaded rises here from nothing: that is no edge. */
static void forget_edges(Machine *machine, const uint64_t *edges)
{
    for (size_t i = 0; i < machine->vcpus.count; i++) {
        atomic_store(&machine->vcpus.items[i]->cpu->edges, edges[i]);
    }
}

void machine_settle(Machine *machine, bool loaded)
{
    AUTO_FREE uint64_t *edges = mem_alloc_array(machine->vcpus.count + 1, sizeof *edges);
    for (size_t i = 0; i < machine->vcpus.count; i++) {
        Cpu *cpu = machine->vcpus.items[i]->cpu;
        edges[i] = atomic_load(&cpu->edges);
        settle_vcpu(cpu, loaded);
    }
    machine_each_device(machine, settle, NULL);
    machine_refresh_irqs(machine);
    if (loaded) {
        forget_edges(machine, edges);
    }
}

void machine_hold(Machine *machine, ResetKind kind) { machine_each_device(machine, hold, &kind); }

static void keep_still(Device *device, void *still)
{
    for (const DeviceClass *class = device_class_of(device); class; class = device_class_parent(class)) {
        const DeviceClass *parent = device_class_parent(class);
        if (class->still && !(parent && parent->still == class->still)) {
            class->still(device, *(bool *)still);
        }
    }
}

void machine_still(Machine *machine, bool still) { machine_each_device(machine, keep_still, &still); }

void machine_reset(Machine *machine, ResetKind kind)
{
    machine_park(machine);
    machine_hold(machine, kind);
    machine_each_device(machine, reset, &kind);
    for (size_t i = 0; i < machine->listeners.count; i++) {
        MachineListener *listener = &machine->listeners.items[i];
        if (listener->reset) {
            listener->reset(listener->data);
        }
    }
    machine_settle(machine, false);
    machine_unpark(machine);
}

void device_start(Device *device)
{
    ResetKind kind = RESET_POWER_ON;
    hold(device, &kind);
    reset(device, &kind);
    settle(device, NULL);
}
