/*
 * Interrupt lines: an opaque handle from an output to one or more inputs. Setting a line from a device that holds its
 * lock reaches an interrupt controller or vCPU at once (one lock inside another); any other device's input, and its
 * own, is set after the setter's lock is released, before the guest's next instruction.
 */
#pragma once

#include "base/compiler.h"

typedef struct Cpu Cpu;
typedef struct Device Device;
typedef struct Irq Irq; /* an output; NULL is one that nothing is wired to */

typedef void IrqInput(Device *device, unsigned number, int level);

/* Level of an output; repeated levels are passed on once. Pulses: irq_pulse. */
void irq_set(Irq *irq, int level);
static inline void irq_raise(Irq *irq) { irq_set(irq, 1); }
static inline void irq_lower(Irq *irq) { irq_set(irq, 0); }
void irq_pulse(Irq *irq);
int irq_level(const Irq *irq);

/* Inputs of a device, in named groups ("" is the unnamed one); outputs likewise. Called before complete. */
void device_init_irq_inputs(Device *device, const char *group, IrqInput *input, unsigned count);
/* `outputs` is an array in the device's struct, filled with handles when they are connected. */
void device_init_irq_outputs(Device *device, const char *group, Irq **outputs, unsigned count);
/* The group of a sysbus device's outputs that boards wire, by QEMU's name; interrupt controllers' are unnamed. */
#define IRQ_SYSBUS "sysbus-irq"
/* Wires an output to an input; several inputs for one output and several outputs for one input (OR) are allowed. */
void irq_connect(Device *from, const char *group, unsigned output, Device *to, const char *to_group, unsigned input);
/* Wires an output to a vCPU's line. */
void irq_connect_cpu(Device *from, const char *group, unsigned output, Cpu *cpu, unsigned line);
