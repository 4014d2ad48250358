/* Between device.c, register.c, irq.c, reset.c and state. */
#pragma once

#include "core/device.h"

/* The banks of a class: its own, or the nearest ancestor's that has any. */
const DeviceClass *device_banks_of(const DeviceClass *class);
const DeviceClass *device_class_parent(const DeviceClass *class); /* NULL above "device" */

/* Makes the regions of the device's banks; false where properties leave nothing of one. */
bool device_make_banks(Device *device, Error **error);
void device_reset_registers(Device *device, ResetKind kind);
/* Resets and settles one that is new in a machine that was started up. */
void device_start(Device *device);

/* Undoes all wiring of the device. */
void device_disconnect_irqs(Device *device);
void irq_lines_drop(Machine *machine, const Cpu *cpu); /* the lines of a vCPU that goes; NULL: of all */
/* Tells every input its level again: after reset and load. */
void machine_refresh_irqs(Machine *machine);

/* All realized devices, parents first. */
void machine_each_device(Machine *machine, void (*visit)(Device *device, void *context), void *context);
