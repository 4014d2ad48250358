/*
 * A process of the guest and its threads. The process stands off main; a Task is a thread of the guest, run by a thread
 * of the host, and is what every system call gets.
 */
#pragma once

#include "base/list.h"
#include "base/thread.h"
#include "cpu/cpu.h"
#include "user/abi.h"
#include "user/memory.h"
#include "user/slots.h"

#include <signal.h>

typedef struct AioRequest AioRequest;
typedef struct Debug Debug;
typedef struct UserOptions UserOptions;

enum { SIGNALS = 64 };

/* A guest's sigaction. Handlers 0 and 1 are SIG_DFL and SIG_IGN. */
typedef struct SignalAction {
    uint64_t handler, flags, mask, restorer;
} SignalAction;

/* Shared by threads, copied by fork and by CLONE_VM without CLONE_SIGHAND. */
typedef struct SignalActions {
    Mutex lock;
    SignalAction actions[SIGNALS + 1]; /* by number, from 1 */
} SignalActions;

/* The program that runs: what /proc/self shows of it. */
typedef struct Program {
    char *path;        /* absolute, as /proc/self/exe shows it */
    uint64_t stack_start;
    uint64_t entry, interpreter_base;
    uint64_t headers;  /* address of the program headers */
    unsigned header_count;
    uint64_t auxv, auxv_size;
    uint64_t arguments_start, arguments_end, environment_start, environment_end;
    uint64_t vdso;
    uint64_t code_start, code_end, data_start, data_end;
} Program;

typedef struct Process {
    const UserAbi *abi;
    const UserOptions *options;
    char *root;             /* -L's folder, by its whole name without links; NULL: none */
    Log *log;
    void *cpu_config;
    CpuGroup *group;
    GuestMemory *memory;    /* shared with a vfork child */
    SignalActions *signals;
    Slots *slots;           /* of the memory: NULL, the host does not tell of its processors */
    Program program;
    struct Debug *debug;    /* NULL: nobody does */
    int self;               /* the emulator's own file, for execve; hidden from the guest */
    int image;              /* the program's file, of whatever name it has by now; hidden too; -1: there is none */
    Mutex lock;             /* of the tasks */
    ListNode tasks;
    unsigned next_index;
    AioRequest *requests;   /* of asynchronous I/O under way; under the lock */
    _Atomic int strace_owner; /* the task whose line -strace has yet to end; 0: none */
} Process;

/* A signal that the host has delivered, or that a fault is: the guest is yet to be told. */
typedef struct PendingSignal {
    bool is_set;
    siginfo_t info;
} PendingSignal;

/* Of rseq(2). */
typedef struct RseqArea {
    uint64_t address; /* 0: there is none */
    uint32_t size, signature;
} RseqArea;

struct Task {
    ListNode link; /* in the process */
    Process *process;
    Cpu *cpu;
    int tid;
    /* Not PENDING_NONE: a signal waits in `signal`. Read by user_syscall just before it enters the host's kernel. */
    _Atomic uint32_t pending;
    PendingSignal signal;      /* by the host's handler; it blocks all others until it is taken */
    uint64_t mask;             /* signals that the guest blocks: the host's mask while the guest runs */
    bool mask_saved;           /* saved_mask is to be brought back after the call: sigsuspend and the like */
    uint64_t saved_mask;
    uint64_t alternate_stack, alternate_size;
    uint32_t alternate_flags;
    uint64_t clear_tid;        /* set_tid_address */
    uint64_t robust_list;
    RseqArea rseq;
    SlotUser slot;
    struct ExecRequest *exec;  /* of an execve under way: a child that shares memory leaves it behind */
    /* the signal that waits interrupted a call that had begun, which is begun anew unless its handler says no */
    bool restarting;
    uint8_t debug_action;      /* of GdbResume: what the debugger lets the thread do */
    uint8_t debug_watch;       /* GdbPoint + 1 of a watchpoint that was met */
    bool debug_reported;       /* the thread has stopped since it was let go */
    uint64_t debug_watch_address;
    int debug_signal;          /* that the debugger has for the thread */
    siginfo_t debug_info;      /* of the last signal that it was told of */
    uint64_t debug_range_start, debug_range_end; /* a step goes on within */
    bool ended;                /* the thread is to end */
    int exit_status;
};

static inline GuestMemory *task_memory(const Task *task) { return task->process->memory; }
static inline const UserAbi *task_abi(const Task *task) { return task->process->abi; }

/* The calling thread's task: signal handlers have no other way to it. */
Task *task_current(void);
void task_set_current(Task *task);

/* A task with a vCPU of its own; in no list of the process yet where `add` is not set. NULL with an error. */
Task *task_new(Process *process, Error **error);
void task_free(Task *task);
/* Runs the guest until the thread ends: its exit status is in the task. */
void task_run(Task *task);
/* The first thread of a process, to the end. */
NORETURN void task_main(Task *task);
/* Frees what an execve that succeeded left behind. */
void exec_forget(Task *task);
/* Ends the process as the guest's exit_group does. */
NORETURN void process_exit(Task *task, int status);
