/*
 * Virtual processors, for rseq(2): as many numbered slots as the host may have processors. A thread that asked for
 * one executes guest instructions only while it has a slot, one that its affinity allows, and no other thread has it.
 * What rseq promises of a processor holds of a slot then: whoever finds its number in its area has what belongs to the
 * number for itself up to the instruction where its sequence is abandoned.
 *
 * It is exact because a slot changes hands only while its thread is between two guest instructions, outside of
 * cpu_run, where its pc is known, and because that thread is told before it executes the next one. A thread keeps its
 * slot in system calls. Where all are taken, one may be had of a thread that is in a call (it stays there, or takes
 * another when it comes back); of one that executes after a time slice, by asking it to stop. While there are no more
 * threads than slots nothing of this happens.
 *
 * Slots belong to memory: processes that share it (CLONE_VM) share them. Not here: keeping processes apart that share
 * mappings alone.
 */
#pragma once

#include "base/list.h"
#include "base/thread.h"

typedef struct Slots Slots;
typedef struct Task Task;

/* What a task has to do with them. All but `look`, `woken` and `call` is under the slots' lock. */
typedef struct SlotUser {
    ListNode link;          /* of those who need a slot */
    ListNode waits;         /* of those who wait for one */
    _Atomic uint32_t woken; /* waited for as a futex */
    _Atomic bool look;      /* slots_settle is to be called */
    _Atomic uint16_t call;  /* SyscallId of the last system call */
    bool restart;           /* what was begun under a slot is to be abandoned */
    unsigned number;        /* of the slot that it has, or had last */
    unsigned concurrency_id; /* below the number of slots, and of threads that need one */
    unsigned polls;
    uint32_t awaited;       /* of Cpu.runs: somebody waits for it to change */
    int64_t waits_since;    /* in nanoseconds */
    uint64_t *allowed;      /* a bit for each slot */
} SlotUser;

/* NULL: the host does not say how many processors there are. */
Slots *slots_new(void);
/* The task needs a slot from now on. */
void slots_join(Task *task);
/* It does no longer, if it did. */
void slots_leave(Task *task);
/* Whether it is one that needs a slot. */
bool slots_has(const Task *task);
/* Before guest instructions, where `look` is set: waits until the task has a slot. False: a signal came first.
 * `*restart`: what was begun is to be abandoned, and the slot may be another. */
bool slots_settle(Task *task, bool *restart);
/* The node of memory of a slot's processor. */
unsigned slots_node(Task *task, unsigned number);
/* A system call begins: whoever waits may have the slot of one that is about to sleep. */
void slots_enter_call(Task *task, unsigned call);
/* When this returns, those other threads for which `meant` says so have stopped between two instructions, and abandon
 * what they have begun; they look which processors they may run on, too. */
void slots_interrupt(Task *task, bool (*meant)(const Task *other, int number), int number);
bool slots_is_any(const Task *task, int number);
bool slots_is_on(const Task *task, int number);
bool slots_is_thread(const Task *task, int tid);
/* Around fork(2). */
void slots_fork_begin(Slots *slots);
void slots_fork_end(Slots *slots, Task *task, bool is_child);
