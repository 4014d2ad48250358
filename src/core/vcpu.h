/*
 * A vCPU as an object of the machine: class "cpu" under "device", one concrete class for each model
 * ("rv64-riscv-cpu"), made by the board's folder from the guest's table. It owns the Cpu and its thread.
 */
#pragma once

#include "core/device.h"
#include "cpu/cpu.h"

typedef struct Machine Machine;

typedef struct VcpuClass {
    DeviceClass device;
    const Guest *guest;
    const char *model; /* name in guest->models */
} VcpuClass;
extern const DeviceClass cpu_class; /* "cpu", abstract */

typedef struct Vcpu {
    Device device;
    Cpu *cpu;
    Thread thread;
    bool thread_started;
    unsigned index;
    int thread_id; /* the host's; 0 before it runs */
    AddressSpace *space;
    void *config; /* of the guest; properties of the object are rows of guest->properties over it */
    bool start_powered_off; /* after a reset; the board's word */
    bool leaving, debug_stop; /* under the machine's parking mutex */
    Mutex timer_mutex;
    uint64_t timer_ticks[CPU_TIMERS]; /* what the guest set: UINT64_MAX, none */
    struct VcpuTimer {
        Timer timer;
        struct Vcpu *vcpu;
    } timers[CPU_TIMERS];
} Vcpu;

/*
 * A board's folder declares one class for each of its guests' models:
 *
 *     const VcpuClass rv64_riscv_cpu_class = {
 *         .device.class = { .name = "rv64-riscv-cpu", .parent = &riscv_cpu_class.device.class, .description = "..." },
 *         .guest = &riscv64_guest,
 *         .model = "rv64",
 *     };
 *
 * Abstract ones between it and "cpu" are VcpuClasses too and leave guest and model out.
 */

/* From -cpu's text (model and properties) for every vCPU alike: NULL with an error that names the nearest model or
 * property. Not yet realized: device_realize makes the Cpu. */
Vcpu *vcpu_new(Machine *machine, const char *model_and_properties, unsigned index, Error **error);
/* class_each_property, and for a class of vCPUs the rows of the guest's configuration, which each object gets. */
void device_class_each_property(const Class *class,
                                void (*visit)(const Class *owner, const Property *property, void *context),
                                void *context);
/* What the machine's processors are, where there are some; what its program is for, where not. */
const Guest *machine_processor(const Machine *machine);
const VcpuClass *vcpu_class_find(const Guest *guest, const char *model, Error **error);
/* Ticks a second of the guest's timebase; set by the board before the vCPUs are realized. */
void vcpu_set_timebase(Machine *machine, uint64_t hz);
uint64_t machine_timebase_now(Machine *machine); /* ticks, any thread */
void machine_timebase_set(Machine *machine, uint64_t ticks); /* a guest wrote its mtime */
uint64_t machine_timebase_hz(Machine *machine);
/* The virtual time (ns, rounded up) at which the timebase shows `ticks`; INT64_MAX where it never does. */
int64_t machine_timebase_deadline(Machine *machine, uint64_t ticks);
