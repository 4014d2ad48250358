/* Between debug.c, which stops tasks and lets them go on, and debug_target.c, which serves the debugger's questions. */
#pragma once

#include "gdb/gdb.h"
#include "user/debug.h"

enum { BREAKPOINT_MAXIMUM = 8, DEBUG_SIGNALS = 256 };

typedef struct Breakpoint {
    uint64_t address;
    uint8_t size, original[BREAKPOINT_MAXIMUM];
    uint8_t kinds; /* bits: GDB_SOFTWARE, GDB_HARDWARE */
} Breakpoint;

typedef struct Watchpoint {
    GdbPoint kind;
    uint64_t address, size;
} Watchpoint;

/* In memory that a child of vfork shares. */
typedef struct Breakpoints {
    VEC(Breakpoint) items;
} Breakpoints;

struct Debug {
    Process *process;
    Gdb *gdb;
    GdbTarget target;
    pid_t pid;
    Thread thread;
    int memory;        /* /proc/self/mem: writes where the program may not */
    int event;         /* wakes the thread */
    int channel;       /* to the broker: gdb's */
    Mutex lock;        /* of what follows */
    Condition changed;
    bool stopped, over;
    bool pauses, paused; /* the thread is to keep off the channel; it does */
    bool borrows;      /* a child of vfork: the thread is its parent's */
    unsigned inside;   /* tasks in guest code */
    GdbStop stop;
    Breakpoints *breakpoints;
    VEC(Watchpoint) watchpoints;
    bool catches;
    VEC(uint64_t) calls; /* none: all */
    uint8_t passed[DEBUG_SIGNALS]; /* by gdb's number: the debugger does not want to hear of it */
};

/* NULL where nobody debugs this task. */
static inline Debug *debug_of(const Task *task)
{
    Debug *debug = task->process->debug;
    return debug && debug->process == task->process && !debug->over ? debug : NULL;
}

extern const GdbTarget debug_target;

/* The breakpoint at an address; NULL: there is none. */
const Breakpoint *debug_find_breakpoint(const Debug *debug, uint64_t address);
void debug_remove_breakpoint(Debug *debug, uint64_t address);
void debug_remove_breakpoints(Debug *debug);
bool debug_first_thread(Debug *debug, int *thread);
