/*
 * What an execution of IR works on, whichever of the three it is: the part of a vCPU that code may touch directly. It
 * stands first in every Cpu; guest state follows the Cpu at a fixed distance.
 */
#pragma once

#include "jit/ir.h"

#include <setjmp.h>
#include <stdatomic.h>

typedef struct FpContext FpContext;

/* One page of a TLB: what a hit compares and adds. */
typedef struct TlbEntry {
    uint64_t read, write, execute; /* page address | flags; TLB_INVALID where the access is not allowed directly */
    uintptr_t addend;              /* host address = guest address + addend */
} TlbEntry;
#define TLB_INVALID UINT64_MAX
/* Always take the slow path: I/O, a watchpoint, a page part. A bit that the comparison of no access has set: a hit
 * compares the page and the bits below the access's size, 64 bytes at most. */
enum { TLB_SLOW = 64 };

/* One table for each MMU mode and context; sizes are powers of two. */
typedef struct TlbTable {
    TlbEntry *entries;
    uint64_t index_mask;  /* entries - 1 */
    uint64_t offset_mask; /* index_mask * sizeof(TlbEntry): for translated code */
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
    /* Up to 64 bytes as a number, the low word first, zero-extended; MEM_SIGNED is not looked at. A load that is half
     * of a read-modify-write (exec->read_modify_write) faults as a store. */
    bool (*load)(Cpu *cpu, uint64_t address, MemOp op, uint64_t value[8]);
    bool (*store)(Cpu *cpu, uint64_t address, MemOp op, const uint64_t value[8]);
    /* The host address for an atomic access of the whole size, checked for reading and writing; NULL without an
     * exception pending: I/O or not possible in one piece, do it in an exclusive section. */
    void *(*atomic)(Cpu *cpu, uint64_t address, MemOp op);
    /* Runs `body` while no other vCPU of the machine runs. */
    void (*exclusive)(Cpu *cpu, void (*body)(Cpu *cpu, void *data), void *data);
    /* Raises what the fault that a guard caught is to the guest; where exec->guarded. */
    void (*fault)(Cpu *cpu);
} ExecMemory;

/*
 * Where guest memory is mapped by the guest itself (user mode), the host may find nothing behind an address that was
 * good a moment ago: another thread unmapped it, a file became shorter. Whoever touches such memory in C stands behind
 * a guard then; the handler of the host's signal fills in what happened and goes to exec_guard_leave.
 */
typedef struct ExecGuard {
    jmp_buf place;
} ExecGuard;

/* A block made ready for the interpreter: jit/interp.h. */
typedef struct InterpCode InterpCode;

/* Where a block's exit, or an indirect jump, went last. It holds while its epoch is the Exec's. */
typedef struct ExecLink {
    InterpCode *code;
    uint64_t epoch;
} ExecLink;
typedef struct ExecJump {
    uint64_t pc, mode;
    ExecLink link;
} ExecJump;
enum { EXEC_JUMPS = 4096 };

/* Where translated code finds the targets of indirect jumps and returns; a vCPU's own. All entries are for the present
 * mode and fetch context: whoever changes these, or drops code or translations of addresses, changes or empties
 * them. */
typedef struct ExecTarget {
    /* EXEC_NO_PC: none. A guest can jump there too: `code` is a way out then (CodeHost.nowhere). In the table 0 will
     * do, and `code` matters not, but where a jump to 0 looks. */
    uint64_t pc;
    const void *code;
} ExecTarget;
typedef struct ExecReturn {
    uint64_t pc;
    const struct CodeLink *link; /* of the call: leads to the code at `pc`; of none likewise */
} ExecReturn;
enum { EXEC_TARGETS = 8192, EXEC_RETURNS = 16, EXEC_SITES = 512, EXEC_WAYS = 3 };
#define EXEC_NO_PC UINT64_MAX
/* Where the indirect jumps of one place in the guest's code (or of a few such places) went last: compared first. */
typedef struct ExecSite {
    ExecTarget ways[EXEC_WAYS]; /* the latest first */
    uint32_t patience;          /* jumps that may go elsewhere before the run loop is told: EXEC_PATIENCE at first */
    uint32_t unused;
    int64_t renewed; /* when that was last; 0: never */
} ExecSite;
enum { EXEC_PATIENCE = 256 };
typedef struct ExecTargets {
    ExecTarget table[EXEC_TARGETS]; /* by exec_target_index */
    ExecSite sites[EXEC_SITES];     /* by exec_site_index */
    uint8_t touched[EXEC_SITES];    /* sites that are not empty */
} ExecTargets;
_Static_assert(sizeof(ExecSite) == 64, "a site is a line of the host's cache");

/* How often indirect jumps looked where, and found. CODE_COUNT_JUMPS: all are counted; else some of those of the
 * table. */
typedef enum ExecJumpCount {
    JUMPS_RETURN, /* asked the ring */
    JUMPS_RETURN_HIT,
    JUMPS_SITE, /* asked the site */
    JUMPS_SITE_HIT, /* one for each way */
    JUMPS_TABLE = JUMPS_SITE_HIT + EXEC_WAYS,
    JUMPS_TABLE_HIT,
    JUMP_COUNTS,
} ExecJumpCount;

typedef struct Exec {
    _Atomic uint32_t attention; /* not zero: leave at the next region head */
    uint32_t page_bits;
    uint8_t *state;  /* the guest's registers; EXEC_SCRATCH bytes before it and 8 behind it belong to the execution */
    int64_t budget;  /* guest instructions left to run */
    uint64_t insns;  /* guest instructions run so far */
    uint64_t pc;     /* of the current instruction, in helpers and slow paths; of the one that raised */
    uint64_t mode;   /* of the blocks that run: guest->mode */
    uint64_t epoch;  /* from 1; changes when links may be wrong: translations or code dropped */
    ExecJump *jumps; /* EXEC_JUMPS entries, by exec_jump */
    ExecLink *link;  /* interp_run ended at a goto: where the next block should be remembered */
    ExecTargets *targets;
    ExecReturn *returns;        /* EXEC_RETURNS entries, a ring */
    uint32_t return_top;        /* the newest one, in bytes from `returns` */
    struct CodeLink *code_link; /* translated code ended at a goto: the exit that was taken (jit/host.h) */
    uintptr_t base;             /* CODE_DIRECT: host address = guest address + base */
    ExecException exception;
    TlbTable tlb[TLB_MODES];
    uint64_t reservation_address, reservation_value[2]; /* of load_linked */
    unsigned reservation_size;                          /* 0: none */
    bool read_modify_write;
    bool guarded;            /* guest memory may go at any time */
    ExecGuard *guard;        /* the innermost; NULL: none */
    uintptr_t fault_address; /* the host's: what the guard caught */
    bool fault_writes;
    bool guard_final; /* it catches faults wherever the guest may access the page by now, too: a lock is held */
    bool fault_of_mapping; /* where the guest may access the page by now, it is to try again; else nothing backs it */
    const ExecMemory *memory;
    const IrGuest *guest;
    /* Translated code lost its patience with a site: which one, and whose. NULL: it did not. */
    ExecSite *tired_site;
    const struct CodeBlock *tired_block;
    uint64_t jump_counts[JUMP_COUNTS];
} Exec;
enum { EXEC_SCRATCH = 2048 };

/* Goes back to the innermost guard. */
_Noreturn static inline void exec_guard_leave(Exec *exec)
{
    _longjmp(exec->guard->place, 1);
}

static inline unsigned exec_target_index(uint64_t pc) { return (unsigned)(pc >> 1 ^ pc >> 12) & (EXEC_TARGETS - 1); }

/* Of the indirect jump that the guest has at `pc`. */
static inline unsigned exec_site_index(uint64_t pc) { return (unsigned)(pc >> 1 ^ pc >> 10) & (EXEC_SITES - 1); }

/* The one entry where a jump to `pc` in the present mode can be. */
static inline ExecJump *exec_jump(const Exec *exec, uint64_t pc)
{
    uint64_t hash = pc >> 1 ^ pc >> 13 ^ exec->mode * 0x9e3779b97f4a7c15 >> 52;
    return &exec->jumps[hash % EXEC_JUMPS];
}
