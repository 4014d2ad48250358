/* Signals: from the host's handler to a frame on the guest's stack. */
#pragma once

#include "user/process.h"

/* Before anything touches guest memory: copies from and to it survive faults then. */
void signals_catch_faults(void);
/* Handlers for what the program began with; faults are always ours. */
void signals_start(Process *process);
/* Once a thread of the host's has been made: by both, before either's mask is set. */
void signals_begin_thread(Process *process);
/* CLONE_CLEAR_SIGHAND: what has a handler is as at first again. By the child itself. */
void signals_clear(Process *process);
/* A fault of the guest's own instruction: as the kernel forces it. */
void signal_force(Task *task, int signal, int code, uint64_t address);
/* Ends the process by a signal, whatever it has for it. */
NORETURN void signal_kill(Task *task, int signal);
/* Gives the guest the signal that waits, or ends the process by it. */
void signals_deliver(Task *task);
/* Has none come to the calling thread until its mask is set again, but for faults on guest memory. */
void signals_block(void);
/* Sets what the guest blocks. */
void signals_set_mask(Task *task, uint64_t mask);
