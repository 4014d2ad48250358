/*
 * The seam between what makes host code and what keeps and runs it. A host (jit/x64 ...) turns one IrBlock at a time
 * into machine code in memory that a code cache (cpu/) gave it, and into the tables beside it; the cache publishes the
 * block, links its exits, and runs it by the host's `enter`.
 *
 * Addresses. A cache is one reservation of less than 2 GiB: code, mapped twice (writable at one place, executable at
 * another), and data, mapped once, readable and writable, within reach of a 32-bit displacement from the executable
 * mapping. Code that has been published is never written again; all that changes (links, inline caches) is data.
 *
 * Contract. Every block starts with the same registers: the host's `contract` says which guest registers stand in host
 * registers; all others are in the guest's state. A `set` of a register that is not in the contract reaches the state
 * at once, so that at each point that can raise or fault the state is complete but for the contract's registers (and
 * floating-point values whose NaN rule is still due: CodePoint.unsettled).
 */
#pragma once

#include "jit/exec.h"

typedef struct CodeBlock CodeBlock;
typedef struct Error Error;
typedef struct StrBuf StrBuf;

/* What a block may assume, chosen by the cache. Part of a block's key. */
typedef enum CodeFlag {
    CODE_DIRECT = 1,  /* guest memory at host address = guest address + exec->base, checked by the host's MMU; else by
                       * the soft TLB */
    CODE_COUNTED = 2, /* exec->budget is counted down and holds: else nothing is counted, exec->budget is not looked at
                       * and exec->insns stands still */
    CODE_NO_LINKS = 4, /* leave after this block: logging, single steps */
    CODE_FP_EXACT = 8, /* flags exact where the fast variant may differ: for guests whose rules are not all zeroes */
    CODE_COUNT_JUMPS = 32, /* indirect jumps and returns count up exec->jump_counts */
    CODE_BASE = 16,    /* with CODE_DIRECT: exec->base may be other than 0; the thread's gs base is it (x64) */
} CodeFlag;

/* An exit by `goto`: it jumps to `target`, which is at first the exit's own stub: that one remembers the CodeLink in
 * exec->link and leaves with IR_EXIT_CONTINUE. The cache sets and clears `target` while others run through it. */
typedef struct CodeLink {
    _Atomic(const void *) target;
    const void *stub;
    /* Where the target is on another page than the block, in soft-TLB blocks: the exit compares the entry of `pc`'s
     * page in the fetch TLB (its `execute` tag, and its addend with this one) and takes the stub where they differ.
     * Atomic with `target`: written before it, and never changed while it is set. */
    uintptr_t addend;
    uint64_t pc;
    bool cross_page;
    CodeBlock *from;       /* the cache's own from here on */
    _Atomic(CodeBlock *) to;
    struct CodeLink *next, **previous; /* of those that lead to `to`; what leads here */
} CodeLink;

/* A point of the code where an exception, a slow path or a host fault can be: by increasing offset. */
typedef struct CodePoint {
    uint32_t offset;    /* of the host instruction that faults, or of the return address of a call */
    uint16_t insn;      /* guest instructions of the block completed before it */
    uint16_t pc_offset; /* of the guest instruction, from the block's pc */
    uint32_t unsettled; /* floating-point registers of the contract whose NaN rule is due */
} CodePoint;

struct CodeBlock {
    const void *code; /* executable address of the entry */
    uint32_t code_bytes;
    uint32_t flags; /* CodeFlag */
    uint64_t pc, mode;
    uint32_t guest_bytes;
    uint8_t fetch_mmu_mode; /* whose fetch TLB exits across pages look at */
    bool asks_table;        /* its indirect jumps go to too many places: they look at no site */
    /* Soft TLB: the first instruction goes on on another page. The entry compares that page's entry of the fetch TLB as
     * an exit across pages does, and leaves with IR_EXIT_CONTINUE where it differs. */
    bool guarded;
    uint64_t guard_pc;
    uintptr_t guard_addend;
    uint16_t insn_count;
    uint16_t link_count, point_count;
    CodeLink *links;
    CodePoint *points;
};

/* Where a host puts what it makes. All pointers are into the cache; `code_write` + n is the same byte as `code` + n. */
typedef struct CodeSpace {
    uint8_t *code_write;
    const uint8_t *code;
    size_t code_room;
    uint8_t *data; /* zeroes */
    size_t data_room;
    size_t code_used, data_used; /* out */
} CodeSpace;

typedef enum CompileResult {
    COMPILE_DONE,
    COMPILE_NO_ROOM,   /* in the space given: come again with more */
    COMPILE_TOO_LARGE, /* the block is too long: make it shorter */
    COMPILE_CANNOT,    /* something the host cannot do: the interpreter runs it */
} CompileResult;

/* The registers of the contract as a signal context or a slow path found them. */
typedef struct CodeRegisters {
    uint64_t integer[16]; /* by host register number */
    uint64_t vector[16][2];
    uint32_t float_control; /* MXCSR */
} CodeRegisters;

/* Where the Exec, and what helpers get as their Cpu, lie: in bytes from the guest's state. */
typedef struct CodeLayout {
    int32_t exec, cpu;
    uint8_t page_bits; /* of the soft TLB */
} CodeLayout;

/* How a debugger gets from code to what called it. Frames lie one behind the other up to the end of all code. */
enum { CODE_FRAMES = 8 };
typedef struct CodeFrame {
    const char *name;
    const uint8_t *start;
    uint32_t depth; /* from the stack pointer to the frame's upper end, below which the return address is */
} CodeFrame;
typedef struct CodeUnwind {
    CodeFrame frames[CODE_FRAMES];
    unsigned frame_count;
    /* By DWARF's numbers. The saved ones lie below the return address, the first one highest. */
    uint8_t stack_register, return_register, saved[8], saved_count;
} CodeUnwind;

typedef struct CodeHost {
    const char *name; /* "x64" */
    uint16_t elf_machine;
    /* Common code (entry, exits, slow-path thunks) for one guest, made once for each cache at its start. `*common` is
     * in the data space. */
    bool (*prepare)(CodeSpace *space, const IrGuest *guest, const CodeLayout *layout, void **common, Error **error);
    /* The same block with less to do: what compile is best given. False: it is too long. NULL: there is no such
     * thing. */
    bool (*optimise)(const void *common, IrBlock *to, const IrBlock *from, const IrGuest *guest);
    /* `block` stays where it is as long as the code; its pc, mode, flags and what else the cache knows were filled
     * in. */
    CompileResult (*compile)(CodeSpace *space, const void *common, const IrBlock *ir, const IrGuest *guest,
                             CodeBlock *block);
    /* Runs from `code` on. Returns as interp_run does. */
    int (*enter)(const void *common, Exec *exec, Cpu *cpu, const void *code);
    /* What empty ExecTargets (its target) and ExecReturns (itself) lead to. */
    const CodeLink *(*nowhere)(const void *common);
    /* A fault or a slow path at `point` of `block`: writes the contract's registers to the guest's state, settles what
     * is unsettled, sets exec->pc, insns and budget as of the guest instruction, and the pc register to exec->pc. */
    void (*restore)(const void *common, Exec *exec, const CodeBlock *block, const CodePoint *point,
                    const CodeRegisters *registers);
    /* From a signal handler: the registers of a fault and where it was; and, after `restore`, makes the handler return
     * to the way out of `enter`, which returns `reason`. */
    void (*context_registers)(const void *ucontext, CodeRegisters *registers, const void **pc);
    void (*context_leave)(const void *common, void *ucontext, int reason);
    /* Of a cache's code, which starts at `code`. */
    void (*unwind)(const void *common, const uint8_t *code, CodeUnwind *unwind);
    /* A line for each instruction, for -d out_asm. */
    void (*disassemble)(const CodeBlock *block, StrBuf *text);
} CodeHost;

extern const CodeHost x64_host;
/* Of the processor that this program is built for; NULL: there is none. */
const CodeHost *code_host_native(void);
