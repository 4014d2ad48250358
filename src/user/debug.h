/* A debugger of the program: -g. One thread serves it; tasks come here where something may stop them. */
#pragma once

#include "user/process.h"

typedef struct Error Error;

/* Where a debugger may come: the program is to begin when it says so. Files are sought below `prefix` first. */
bool debug_start(Process *process, const char *where, const char *prefix, Error **error);
/* A program that execve has begun, with the channel of the one before it. */
bool debug_start_again(Process *process, int channel, Error **error);
/* Whether a file descriptor is ours. */
bool debug_owns(const Process *process, int fd);
/* A new task. */
void debug_prepare(Task *task);
/* Around guest code. `debug_enter` returns when the task may run: whether by one instruction. */
bool debug_enter(Task *task);
void debug_leave(Task *task);
/* After guest code and what it led to; `stepped`: one instruction, at which the debugger wants to stop. */
void debug_ran(Task *task, bool stepped);
/* The guest met a breakpoint instruction: true, it was the debugger's. */
bool debug_breakpoint(Task *task);
/* A signal is to be delivered: the number of the one that is to be, 0: none. The debugger may change what is told of
 * it. */
int debug_signal(Task *task, siginfo_t *info);
void debug_call(Task *task, uint64_t number, bool returns);
/* The process ends: by a status or by a signal. */
void debug_end(Task *task, int status, int signal);
/* Whether accesses to this page are to be looked at one by one; notes that one happened. */
bool debug_watches(const Task *task, uint64_t page);
void debug_accessed(Task *task, uint64_t address, unsigned size, bool write);

/* A child that the debugger is to hear of. */
typedef struct DebugFork {
    Debug *debug, *child; /* NULL: nobody debugs; the child of vfork's */
    bool follows;
    int ends[2];          /* of the child's channel: its own, the broker's */
} DebugFork;

/* Around fork: the debugger looks at nothing meanwhile. */
void debug_fork_begin(Task *task, DebugFork *fork);
void debug_fork_parent(Task *task, DebugFork *fork, int child);
void debug_fork_child(Task *task, DebugFork *fork);
/* Around vfork: in the parent, in the child before it runs, in the parent when the child is gone. */
void debug_vfork_begin(Task *task, Process *child, DebugFork *fork);
void debug_vfork_child(Task *task, Task *parent, DebugFork *fork);
void debug_vfork_end(Task *task, DebugFork *fork);
/* Before execve: the channel that stays open, -1: nobody debugs. */
int debug_exec_begin(Task *task);
void debug_exec_failed(Task *task);
