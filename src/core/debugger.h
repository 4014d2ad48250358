/*
 * A debugger of the machine: -gdb. gdb's connection is served on the main loop while the machine is stopped. vCPUs
 * are its threads, numbered from 1.
 */
#pragma once

#include "base/compiler.h"

typedef struct Error Error;
typedef struct Machine Machine;
typedef struct Vcpu Vcpu;

/* Where debuggers may come, one after the other: "tcp:[HOST]:PORT", "unix:PATH", either with ",server=on" and the
 * like as for a character device, or a port or path alone. "none" or NULL: nowhere any more. */
bool debugger_listen(Machine *machine, const char *where, Error **error);
void debugger_free(Machine *machine);
/* On the vCPU's thread, which has run one instruction: whether the machine is to stop there. */
bool debugger_stops(Machine *machine, Vcpu *vcpu);
/* Whether the debugger would know of reads from there. */
bool debugger_watches(const Machine *machine, uint64_t physical, uint64_t size);
/* On the vCPU's thread: it has read or written something that is watched so. */
void debugger_accessed(Machine *machine, uint64_t physical, uint64_t size, bool write);
