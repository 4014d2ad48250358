/*
 * Between the parts of the x86-64 host.
 *
 * Registers. rbp is the guest's state plus STATE_BIAS, so that the first 256 bytes of it are within a displacement of 8
 * bits. rax, rcx, rdx and rsi hold values of one block ("temporaries"), as do xmm0 to xmm4; all others but rsp hold
 * registers of the guest ("pinned"): those that it says are frequent. A value that does not stay in a temporary lies in
 * a slot: one of the EXEC_SCRATCH bytes before the state, where the interpreter's functions find it too.
 *
 * A pinned register holds its guest register's value, zero-extended to 64 bits; what memory has in its place is stale
 * until an exit, a helper or a slow path needs it. All other guest registers are written through to memory at once.
 * The upper halves of I32 values are undefined, unless Value.extended says that they are zero.
 */
#pragma once

#include "jit/host.h"
#include "jit/interp_internal.h"
#include "jit/ir_internal.h"
#include "jit/x64/encoder.h"
#include "jit/x64/fp.h"

#include <stddef.h>
#include <string.h>

enum {
    STATE_BIAS = 128,
    PINNED = 10,
    FLOAT_PINNED = 11,
    HOST_REGISTERS = 32,
    SLOTS = EXEC_SCRATCH / 8,
    MAXIMUM_VALUES = 4096,
    MAXIMUM_COLD = 1024,
    MAXIMUM_FLOAT_COLD = 512,
    MAXIMUM_LABELS = 512,
    MAXIMUM_POINTS = 1024,
    ROOM_FOR_INST = 1024, /* bytes of code that one IR instruction takes at most, its cold part apart */
    ROOM_FOR_COLD = 128,
    ROOM_FOR_FLOAT_COLD = 512,
};
#define TEMPORARIES (BIT(RAX) | BIT(RCX) | BIT(RDX) | BIT(RSI))
#define FLOAT_TEMPORARIES UINT64_C(0x001f0000)
#define FLOAT_REGISTERS UINT64_C(0xffff0000)
/* Of the pinned ones, those that C functions may change. */
#define CALLER_SAVED (BIT(RDI) | BIT(R8) | BIT(R9) | BIT(R10) | BIT(R11) | FLOAT_REGISTERS)

/* What the host has beyond the first x86-64; found by x64_features. */
typedef struct X64Features {
    bool fsgsbase, bmi1, bmi2, lzcnt, popcnt, movbe, pclmul;
} X64Features;
X64Features x64_features(void);

/* The frame of translated code: how much of it, and what lies in it from rsp on. */
enum {
    FRAME = 24,
    FRAME_GUEST_CONTROL = 8, /* MXCSR on its way */
    FRAME_HOST_CONTROL = 12, /* of the caller, for all C code */
};

/* Common data and code of one cache, in its data space. */
typedef struct X64Common {
    CodeLayout layout;
    X64Features features;
    struct {
        X64FpHost host;
        bool avx;
    } float_host;
    X64FpConstants float_constants;
    const uint8_t *float_exact; /* a thunk */
    uint8_t flags_of_control[64];     /* FpFlag bits, by those of MXCSR */
    uint32_t control_of_rounding[8];  /* MXCSR, by FpRounding */
    const IrGuest *guest;
    uint8_t pinned_count;
    uint8_t pinned_register[PINNED + FLOAT_PINNED]; /* host registers */
    uint16_t pinned_guest[PINNED + FLOAT_PINNED];
    uint8_t *keeps;   /* by guest register: IrKeep */
    uint8_t *host_of; /* by guest register: its host register; OVERLAPS; or X64_NO_REGISTER */
    uint16_t flags_register; /* of the guest: what MXCSR's flags go to; or that after the last */
    CodeLink nowhere;
    const uint8_t *enter, *exit_link, *exit_pc, *exit_reason, *exit_raised, *exit_saved, *slow, *site_miss;
    const uint8_t *blocks; /* where they may begin */
} X64Common;
enum { HOST_OVERLAPS = 254 };

/* A point that leaves translated code for a slow path and comes back. In the block's data. */
typedef struct X64Slow {
    const CodeBlock *block;
    CodePoint point;
    uint16_t memop;
    uint8_t kind; /* SlowKind */
    uint8_t type; /* IrType of a load's result */
    uint8_t address, data, result, expected; /* host registers; the last two of SLOW_ATOMIC alone */
    int32_t displacement;
    bool narrow; /* addresses of 32 bits */
    const InterpInst *inst; /* SLOW_FUNCTION; SLOW_ATOMIC: its places are in a SlowPlaces */
} X64Slow;
typedef enum SlowKind { SLOW_LOAD, SLOW_STORE, SLOW_ZERO, SLOW_FUNCTION, SLOW_ATOMIC } SlowKind;
/* What the interpreter's function of SLOW_ATOMIC gets for scratch. */
typedef struct SlowPlaces {
    uint64_t address, data[2], result[2], expected[2];
} SlowPlaces;

/* False: an exception is pending; the state is complete then. */
bool x64_slow(const X64Common *common, CodeRegisters *registers, const X64Slow *slow);
void x64_restore(const void *common, Exec *exec, const CodeBlock *block, const CodePoint *point,
                 const CodeRegisters *registers);

/* Where a value is. 0 to 31: a host register. */
typedef enum Where { WHERE_CONST = 32, WHERE_GUEST, WHERE_SLOT, WHERE_NOWHERE } Where;

typedef struct Value {
    uint8_t where;
    uint8_t type;
    bool extended; /* an I32 in a register or slot: its upper half is zero */
    bool dead, fused;
    bool in_guest; /* stands in the chain of Compiler.in_guest */
    uint16_t slot; /* index + 1; 0: none */
    uint16_t guest; /* WHERE_GUEST: the register */
    IrRef root;    /* another value that this one is the same as, or itself */
    IrRef last_use;
    IrRef next; /* in the chain of those in the same pinned register, or in guest registers */
    uint32_t uses;
} Value;

typedef struct HostRegister {
    IrRef owner;     /* of a temporary: the value in it; of a pinned one: the first of its values */
    uint16_t cached; /* of a temporary: the guest register, in memory, whose whole value it holds, plus 1; or
                      * CACHED_PROBE */
} HostRegister;

/* A temporary that has the address of the TLB's entry which the last access looked at. The next one off the same base
 * compares with that: mostly it is on the same page. While CACHED_PROBE stands in the register, it is an entry of the
 * present table. */
enum { CACHED_PROBE = UINT16_MAX, PROBE_REACH = 1024 };
typedef struct Probe {
    IrRef base; /* 0: there is none */
    uint8_t entry, mode;
    int32_t displacement;
    uint32_t first_cold; /* since then all COLD_SLOW are this probe's */
} Probe;

/* Where an access is: a register with its base, and a displacement. */
typedef struct Place {
    unsigned base;
    int32_t displacement;
} Place;

/* Code that is rarely run, behind the block. */
typedef enum ColdKind { COLD_SLOW, COLD_LINK, COLD_ATTENTION, COLD_DIVIDE, COLD_SITE } ColdKind;
typedef struct Cold {
    uint8_t kind;
    uint8_t *from, *also, *back; /* places of the jumps here (`also` may be NULL), and where to go on */
    void *data; /* X64Slow, CodeLink; of a site the block's address */
    uint8_t reg, other, size;
    uint16_t site;
    /* COLD_SLOW of a load or store: it `shares` the entry, and goes on at `hit` if that of its own page is the right
     * one; or others share it behind this, so that the way back `renews` it: tables may have changed. */
    bool shares, renews;
    uint8_t entry, tag, mode;
    uint8_t tag_offset;
    const uint8_t *hit;
    Place place;
} Cold;

/* The same of floating point: of an operation, or all registers of `unsettled` are to be settled. */
enum { MAXIMUM_CHECKS = 8 };
typedef struct FloatCold {
    X64FpOperation operation;
    X64FpCold cold;
    uint8_t *from; /* of a silent comparison: the jump here */
    uint32_t unsettled; /* as CodePoint has them */
    uint8_t check_count;
    uint8_t *checks[MAXIMUM_CHECKS];
} FloatCold;

/* What is known of the number in an xmm register. */
typedef struct FloatState {
    uint8_t unsettled; /* IrType of the result that it is, if its NaN rule is due; else 0 */
    uint8_t boxed;     /* the widest type that it is known to be a boxed number of; else 0 */
} FloatState;

typedef struct Compiler {
    X64Code code;
    uint8_t *start;
    const X64Common *common;
    const IrBlock *ir;
    const IrGuest *guest;
    CodeBlock *block;
    uint8_t *data, *data_end; /* room in the data space */
    uint32_t flags;
    bool failed, no_room;
    bool has_floats; /* among the values */
    IrRef now; /* the instruction that is being translated */
    uint64_t locked; /* host registers that may not be given away now */
    uint64_t read;   /* those with operands of this instruction: given away to its result alone */
    uint64_t insn_pc;
    uint32_t begun; /* guest instructions */
    uint32_t cold_count, link_count, point_count;
    uint64_t free_slots[SLOTS / 64];
    uint16_t left_slots[SLOTS]; /* to be free behind this instruction */
    uint32_t left_count;
    IrRef in_guest; /* the first of the values that are WHERE_GUEST */
    IrRef first_alive; /* those before it are needed no more */
    HostRegister host[HOST_REGISTERS];
    Probe probe;
    FloatState floats[16]; /* by xmm register */
    IrRef flags_restored;  /* comparisons before this raise nothing, and this does nothing then */
    Value values[MAXIMUM_VALUES];
    Cold cold[MAXIMUM_COLD];
    uint32_t float_cold_count;
    FloatCold float_cold[MAXIMUM_FLOAT_COLD];
    uint8_t *label_places[MAXIMUM_LABELS]; /* chained through the displacements */
    IrRef label_position[MAXIMUM_LABELS];
    uint32_t label_begun[MAXIMUM_LABELS];
    uint64_t label_pc[MAXIMUM_LABELS];
    uint8_t label_sources[MAXIMUM_LABELS]; /* ways to it: 0, 1, or 2 for more */
    FloatState label_floats[MAXIMUM_LABELS][16]; /* where there is one */
    CodePoint points[MAXIMUM_POINTS];
    const uint8_t *body; /* where a jump to the block's own start goes */
} Compiler;

static inline const IrInst *inst_of(const Compiler *c, IrRef ref) { return &c->ir->insts[ref]; }
static inline X64Operand state_operand(int64_t offset) { return x64_memory(RBP, offset - STATE_BIAS); }
static inline X64Operand exec_operand(const X64Common *common, size_t offset)
{
    return state_operand(common->layout.exec + (int64_t)offset);
}
#define EXEC(c, member) exec_operand((c)->common, offsetof(Exec, member))
static inline X64Operand slot_operand(unsigned slot) { return state_operand((int64_t)slot * 8 - EXEC_SCRATCH); }
static inline X64Operand guest_operand(const IrGuest *guest, unsigned reg)
{
    return state_operand(guest->registers[reg].offset);
}
static inline unsigned operand_size(IrType type) { return type == IR_I64 || type == IR_F64 ? 8 : 4; }
static inline bool is_wide(IrType type) { return ir_type_bits(type) > 64; }
static inline bool is_float(IrType type) { return ir_type_is_float(type) && !is_wide(type); }

/* values.c: where values are. */
void values_init(Compiler *c);
Value *value_of(Compiler *c, IrRef ref); /* of its root */
bool value_const(Compiler *c, IrRef ref, uint64_t *value); /* as sign-extended from its type */
/* A register that holds the value, kept for this instruction. */
unsigned use_register(Compiler *c, IrRef ref);
/* The same, of either kind: an integer may be in an xmm register. */
unsigned use_any_register(Compiler *c, IrRef ref);
/* The same, or memory of at least the type's size that holds it. */
X64Operand use_operand(Compiler *c, IrRef ref);
/* True where the value is a constant that an instruction can take: sign-extended from 32 bits. */
bool use_immediate(Compiler *c, IrRef ref, int64_t *value);
/* A temporary for this instruction. */
unsigned scratch_register(Compiler *c);
unsigned scratch_float(Compiler *c);
/* Empties a temporary for this instruction. */
void take_register(Compiler *c, unsigned reg);
/* Gives up what the instruction used for the last time. */
void release_operands(Compiler *c);
/* A register for the result, none of `avoid`; a pinned one where the next instruction sets that. */
unsigned define_register(Compiler *c, uint64_t avoid);
/* The result of this instruction is in `reg`. */
void bind_result(Compiler *c, unsigned reg, bool extended);
void bind_alias(Compiler *c, IrRef of);
/* A pinned register has become what the value is: it need not stay in a temporary. */
void settle_in(Compiler *c, IrRef ref, unsigned reg);
/* The result is in a slot (or two), which is made. */
unsigned bind_slots(Compiler *c);
/* A slot that holds the value; it may stay in its register too. */
unsigned use_slot(Compiler *c, IrRef ref);
unsigned slot_alloc(Compiler *c, unsigned count);
/* Those that values have left. */
void slots_free(Compiler *c);
/* The pinned register, or the guest register in memory, changes: values that are needed behind `last` move away. */
void leave_register(Compiler *c, unsigned reg, IrRef last);
void leave_guest(Compiler *c, unsigned guest);
/* Whether two guest registers share bytes. */
bool overlap(const IrGuest *guest, unsigned a, unsigned b);
/* All temporaries are lost: values needed behind this instruction go into slots. With `all` pinned and guest ones
 * too. */
void leave_temporaries(Compiler *c, bool all);
/* Everything needed behind `last` is in slots as well. */
void save_for_label(Compiler *c, IrRef last);
void arrive_at_label(Compiler *c);
void place_in_guest(Compiler *c, IrRef ref, unsigned guest);
void cache_guest(Compiler *c, unsigned reg, unsigned guest);
unsigned find_cached(Compiler *c, unsigned guest, bool floating);

/* Moves between a register and whatever. */
void move_to_register(Compiler *c, unsigned reg, IrRef ref, unsigned size);

/* compile.c */
bool cold_add(Compiler *c, Cold cold);
void *data_alloc(Compiler *c, size_t size);
void fill_point(const Compiler *c, CodePoint *point);

/* state.c: get, set, call; control.c; integer.c; memory.c; fp.c. Each compiles c->now. */
typedef void Lower(Compiler *c, const IrInst *inst);
Lower lower_get, lower_set, lower_call, lower_args;
Lower lower_insn, lower_label, lower_jump, lower_branch, lower_push_return, lower_goto, lower_goto_value, lower_exit;
Lower lower_load, lower_store, lower_zero, lower_atomic, lower_fence;
Lower lower_float, lower_function;
/* control.c */
void emit_site_miss(Compiler *c, const Cold *cold);
void control_emit_common(X64Code *code, X64Common *common);
/* lower_float.c */
void emit_float_cold(Compiler *c);
void float_prepare(X64Common *common);
static inline uint32_t float_control(const X64Common *common, const FpContext *fp)
{
    bool flushes = fp->flush_inputs || fp->flush_outputs;
    return flushes ? x64_fp_control(fp) : common->control_of_rounding[fp->rounding & 7];
}
void float_emit_common(X64Code *code, X64Common *common);
/* What an xmm register holds has its final bits behind this. Changes the host's flags. */
void float_settle(Compiler *c, unsigned reg);
void float_settle_all(Compiler *c); /* pinned ones */
uint32_t float_unsettled(const Compiler *c); /* as CodePoint has them */
/* A number of the type is in the low part of an xmm register: boxes it. */
void float_box(Compiler *c, IrType type, unsigned reg);
void float_move(Compiler *c, unsigned to, unsigned from);
/* Whether the fused multiplication and addition negates its operands itself. */
bool float_negates(const Compiler *c, const IrInst *ffma);
void float_forget(Compiler *c); /* all pinned registers have been changed */
/* Around jumps to labels: ahead of each, behind it (not where code falls through), and at the label. */
void float_before_jump(Compiler *c, unsigned label);
void float_jumped(Compiler *c, unsigned label);
void float_at_label(Compiler *c, unsigned label);
void float_before_helper(Compiler *c);
/* Whether the host's unit, or ir_fp_exact, does it: not the interpreter's function. */
bool float_is_ours(const Compiler *c, const IrInst *inst, IrType from);
FloatCold *float_cold_add(Compiler *c);
const FpContext *float_rules(const Compiler *c);
/* float_flags.c: the register of the guest that is its flags. */
void float_get_flags(Compiler *c);
void float_set_flags(Compiler *c, const IrInst *inst);
void float_compare_silently(Compiler *c, const X64FpOperation *operation);
void float_clear_invalid(Compiler *c, const FloatCold *cold);
void float_after_helper(Compiler *c, bool changed);
extern Lower *const integer_lowerings[IR_OP_COUNT];
/* memory.c */
void emit_tlb_entry(Compiler *c, Place place, unsigned mode, unsigned entry);
/* Addresses of 32 bits are cut in a temporary. */
Place place_of(Compiler *c, const IrInst *inst);
X64Slow *new_slow(Compiler *c, const IrInst *inst, SlowKind kind);
/* The tags of a TlbEntry, by offset, that must be the address's; twice the same where one is enough. */
typedef struct SoftTags {
    size_t first, second;
} SoftTags;
static const SoftTags soft_read = { offsetof(TlbEntry, read), offsetof(TlbEntry, read) };
static const SoftTags soft_write = { offsetof(TlbEntry, write), offsetof(TlbEntry, write) };
static const SoftTags soft_both = { offsetof(TlbEntry, write), offsetof(TlbEntry, read) };
/* The operand of the access itself, by the soft TLB. `entry` and `tag` are temporaries. */
X64Operand soft_operand(Compiler *c, Place place, MemOp op, SoftTags tags, unsigned entry, unsigned tag,
                        uint8_t *misses[2]);
/* The same without: the next instruction, which may fault, takes it. */
X64Operand direct_operand(Compiler *c, Place place);
/* What a fused cmp leaves in the flags. */
X64Condition lower_compare(Compiler *c, const IrInst *cmp);
void store_pinned(X64Code *code, const X64Common *common, uint64_t registers);
void load_pinned(X64Code *code, const X64Common *common, uint64_t registers);
#define ALL_PINNED UINT64_C(0xffffffff)
/* Gives back the instructions ahead, this one included, or takes them off the budget again. */
void adjust_counts(Compiler *c, bool give_back);
void store_constant(Compiler *c, X64Operand to, uint64_t value, unsigned temporary);
