/* A debugger of the program: -g. One thread serves it; tasks come here where something may stop them. */
#pragma once

#include "user/process.h"

typedef struct Error Error;

/* Waits for the debugger; the program is to begin when it says so. */
bool debug_start(Process *process, const char *where, Error **error);
/* A new task. */
void debug_prepare(Task *task);
/* Around guest code. `debug_enter` returns when the task may run: whether by one instruction. */
bool debug_enter(Task *task);
void debug_leave(Task *task);
/* After guest code and what it led to; `stepped`: one instruction, at which the debugger wants to stop. */
void debug_ran(Task *task, bool stepped);
/* The guest met a breakpoint instruction: true, it was the debugger's. */
bool debug_breakpoint(Task *task);
/* A signal is to be delivered: the number of the one that is to be, 0: none. */
int debug_signal(Task *task, const siginfo_t *info);
void debug_call(Task *task, uint64_t number, bool returns);
/* The process ends: by a status or by a signal. */
void debug_end(Task *task, int status, int signal);
/* By the child of a fork: it is not debugged. */
void debug_forget(Task *task);
/* Whether accesses to this page are to be looked at one by one; notes that one happened. */
bool debug_watches(const Task *task, uint64_t page);
void debug_accessed(Task *task, uint64_t address, unsigned size, bool write);
