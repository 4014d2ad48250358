/*
 * What an execution of IR works on, whichever of the three it is: the part of a vCPU that code may touch directly. It
 * stands first in every Cpu; guest state follows the Cpu at a fixed distance.
 */
#pragma once

#include "jit/ir.h"

typedef struct FpContext FpContext;

/* One page of a TLB: what a hit compares and adds. */
typedef struct TlbEntry {
    uint64_t read, write, execute; /* page address | flags; TLB_INVALID where the access is not allowed directly */
    uintptr_t addend;              /* host address = guest address + addend */
} TlbEntry;
#define TLB_INVALID UINT64_MAX
enum { TLB_SLOW = 1 /* always take the slow path: I/O, a watchpoint, a page part */ };

/* One table for each MMU mode and context; sizes are powers of two. */
typedef struct TlbTable {
    TlbEntry *entries;
    uint64_t index_mask; /* entries - 1 */
} TlbTable;
enum { TLB_MODES = 16 };

typedef struct ExecException {
    bool pending;
    uint32_t code;  /* the guest's own */
    uint64_t value; /* an address, an instruction: the guest's own */
    uint64_t more;
} ExecException;

/* Slow paths, given by the layer above. They return false when an exception is pending. */
typedef struct ExecMemory {
    bool (*load)(Cpu *cpu, uint64_t address, MemOp op, uint64_t value[8]); /* raw bits, zero-extended, 64 bytes at most */
    bool (*store)(Cpu *cpu, uint64_t address, MemOp op, const uint64_t value[8]);
    /* The host address for an atomic access of the whole size, checked for reading and writing; NULL without an
     * exception pending: I/O or not possible in one piece, do it in an exclusive section. */
    void *(*atomic)(Cpu *cpu, uint64_t address, MemOp op);
    /* Runs `body` while no other vCPU of the machine runs. */
    void (*exclusive)(Cpu *cpu, void (*body)(Cpu *cpu, void *data), void *data);
} ExecMemory;

typedef struct Exec {
    _Atomic uint32_t attention; /* not zero: leave at the next region head */
    uint32_t page_bits;
    uint8_t *state; /* the guest's registers */
    int64_t budget; /* guest instructions left to run; below zero: leave */
    uint64_t insns; /* guest instructions run so far, exact at every exit */
    uint64_t pc;    /* of the instruction that raised */
    ExecException exception;
    TlbTable tlb[TLB_MODES];
    uint64_t reservation_address, reservation_value[2]; /* of load_linked */
    unsigned reservation_size;                          /* 0: none */
    const ExecMemory *memory;
    const IrGuest *guest;
} Exec;

/*
 * The reference execution: runs the block once from its start. Returns why it ended: IR_EXIT_RECHECK and the like for
 * `exit`, IR_EXIT_EXCEPTION when something raised (exec->pc tells where; guest registers are as before that
 * instruction), and IR_EXIT_CONTINUE after goto and goto_value. In each case exec->insns counted just the instructions
 * that completed. `cpu` is handed to helpers and slow paths.
 */
enum { IR_EXIT_CONTINUE = 100 };
int interp_run(Exec *exec, Cpu *cpu, const IrBlock *block);
