/*
 * The intermediate representation: what a guest's front-end makes of instructions and all the rest of the translator
 * reads. After the front-end nothing knows the guest: guest state is registers of the guest's table, the rest is
 * values.
 *
 * A block is an array of IrInst in order. An instruction that has a result is named by its index; index 0 is a
 * placeholder, so that IrRef 0 is "none". Values live to the end of the block; one that is defined behind a `branch` or
 * `jump` is not usable after the label that skips it (ir_verify checks it). The order of guest memory accesses, `set`s,
 * calls and insn marks is their order of execution. At each instruction that can raise, guest registers hold what the
 * `set`s before it made them: a front-end orders its `set`s after what can raise in the same guest instruction.
 *
 * The last instruction is an end. Ends and jumps may stand before it too, with a label behind each. All ways to a label
 * come out of the same guest instruction (the same `insn` mark): so each point knows statically how many guest
 * instructions were completed on the way there.
 *
 * Values are integers and scalar floating point. The vector and predicate types name registers, for helpers; no
 * operation takes them.
 */
#pragma once

#include "base/compiler.h"

typedef struct Cpu Cpu;
typedef struct Error Error;
typedef struct FpContext FpContext;
typedef struct StrBuf StrBuf;

typedef enum IrType {
    IR_VOID,
    IR_I32,
    IR_I64,
    IR_I128,
    IR_F16,
    IR_BF16,
    IR_F32,
    IR_F64,
    IR_F80,
    IR_F128,
    IR_V128,
    IR_V256,
    IR_V512,
    IR_PRED,
    IR_TYPE_COUNT
} IrType;

typedef enum IrOp {
    IR_OP_NONE,
#define IR(name, result, operands, effects) IR_OP_##name,
#include "jit/ir.def"
#undef IR
    IR_OP_COUNT
} IrOp;

typedef enum IrCondition {
    IR_EQ,
    IR_NE,
    IR_LT_S,
    IR_GE_S,
    IR_LE_S,
    IR_GT_S,
    IR_LT_U,
    IR_GE_U,
    IR_LE_U,
    IR_GT_U,
    IR_TEST_EQ, /* (a & b) == 0 */
    IR_TEST_NE,
} IrCondition;

/* True where ordered and so; QUIET ones raise invalid for signalling NaNs alone, the others for every NaN. */
typedef enum IrFpCondition {
    IR_FP_EQ_QUIET,
    IR_FP_LT,
    IR_FP_LE,
    IR_FP_LT_QUIET,
    IR_FP_LE_QUIET,
    IR_FP_EQ,
    IR_FP_UNORDERED_QUIET,
} IrFpCondition;

typedef enum IrJumpHint { IR_JUMP_PLAIN, IR_JUMP_CALL, IR_JUMP_RETURN } IrJumpHint;

/* Why a block goes back to the run loop. */
typedef enum IrExit {
    IR_EXIT_RECHECK,   /* state that decides about interrupts or the mode word may have changed: look again */
    IR_EXIT_HALT,      /* wait for an interrupt */
    IR_EXIT_EXCEPTION, /* cpu_raise was called */
    IR_EXIT_CODE,      /* code may have changed: compare before running any */
    IR_EXIT_YIELD,     /* spinning: let another vCPU run */
    IR_EXIT_DEBUG,     /* a breakpoint */
} IrExit;

/* Before and after: bits of `aux` of fence. */
typedef enum IrFence {
    IR_FENCE_READ_READ = 1,
    IR_FENCE_READ_WRITE = 2,
    IR_FENCE_WRITE_READ = 4,
    IR_FENCE_WRITE_WRITE = 8,
    IR_FENCE_ALL = 15,
    IR_FENCE_IO = 16, /* orders device accesses too */
} IrFence;

/* A memory access in 16 bits. */
typedef uint16_t MemOp;
enum {
    MEM_8 = 0,
    MEM_16 = 1,
    MEM_32 = 2,
    MEM_64 = 3,
    MEM_128 = 4,
    MEM_256 = 5,
    MEM_512 = 6,
    MEM_SIZE_MASK = 7,
    MEM_SIGNED = 1 << 3,
    MEM_BIG_ENDIAN = 1 << 4,
    MEM_ALIGNED = 1 << 5, /* misaligned: the guest's alignment fault; with MEM_ATOMIC only what leaves 16 bytes is */
    MEM_ATOMIC = 1 << 6,  /* single-copy atomic as a whole even where misaligned within 16 bytes */
    /* Memory order, three bits. */
    MEM_RELAXED = 0 << 7,
    MEM_ACQUIRE = 1 << 7,
    MEM_RELEASE = 2 << 7,
    MEM_ACQ_REL = 3 << 7,
    MEM_SEQ_CST = 4 << 7,
    MEM_TSO = 5 << 7,
    MEM_ORDER_MASK = 7 << 7,
    /* MMU mode, four bits: the guest's own numbering; it selects the TLB. */
    MEM_MODE_SHIFT = 10,
    MEM_MODE_MASK = 15 << 10,
    MEM_STACK = 1 << 14,   /* a hint: off the stack pointer */
    MEM_EXECUTE = 1 << 15, /* checked as a fetch (hypervisor loads, translation probes) */
};
static inline unsigned mem_size(MemOp op) { return 1u << (op & MEM_SIZE_MASK); }
static inline unsigned mem_mode(MemOp op) { return (op & MEM_MODE_MASK) >> MEM_MODE_SHIFT; }

/* `aux` of floating-point operations: context, rounding, rule, operand type. Dynamic rounding is the context's, to
 * nearest even, towards zero, down or up: hosts have those. Where it is another one, the guest's mode word says so, and
 * the front-end names that one. */
enum { IR_ROUND_DYNAMIC = 7 };
#define IR_FP(context, rounding, rule, from) \
    ((uint16_t)((context) | (rounding) << 2 | (rule) << 5 | (unsigned)(from) << 9))
static inline unsigned ir_fp_context(uint16_t aux) { return aux & 3; }
static inline unsigned ir_fp_rounding(uint16_t aux) { return aux >> 2 & 7; } /* FpRounding or IR_ROUND_DYNAMIC */
static inline unsigned ir_fp_rule(uint16_t aux) { return aux >> 5 & 15; }
static inline IrType ir_fp_from(uint16_t aux) { return (IrType)(aux >> 9 & 15); }

typedef uint32_t IrRef;

typedef struct IrInst {
    uint8_t op;   /* IrOp */
    uint8_t type; /* IrType of the result */
    uint16_t aux;
    IrRef a;
    union {
        struct {
            IrRef b, c;
        };
        struct {
            IrRef b_; /* with an operand b, imm is c */
            int32_t displacement; /* load, store */
        };
        int64_t imm; /* const, insn, goto, push_return: no b and c */
    };
} IrInst;
_Static_assert(sizeof(IrInst) == 16, "an IrInst is two words");

typedef struct IrOpInfo {
    char name[18], result, operands[4], effects[5];
} IrOpInfo;
extern const IrOpInfo ir_op_info[IR_OP_COUNT];
extern const uint8_t ir_operand_count[IR_OP_COUNT];
const char *ir_type_name(IrType type);

/* A function that translated code calls. Arguments and result are 64-bit; narrower ones are zero-extended, floating
 * point by its bits; wider ones go through guest state. A helper that declares `raises` may call cpu_raise: the block
 * is left at the current instruction then and the result is not used. No helper uses host floating point. */
typedef enum HelperEffect {
    HELPER_PURE = 0,
    HELPER_READS = 1,  /* guest registers */
    HELPER_WRITES = 2,
    HELPER_RAISES = 4,
    HELPER_MEMORY = 8, /* reads or writes guest memory */
} HelperEffect;
typedef uint64_t HelperFunction(Cpu *cpu, uint64_t a, uint64_t b, uint64_t c);
typedef uint64_t HelperFunction6(Cpu *cpu, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f);
typedef struct Helper {
    const char *name;
    HelperFunction *function;   /* up to three arguments */
    HelperFunction6 *function6; /* or up to six */
    unsigned effects;
} Helper;

/* A register of a guest's table: serves IR, gdb, saved state, `info registers`, logs. */
typedef struct GuestRegister {
    const char *name;
    uint32_t offset; /* in the guest's state */
    uint16_t bits;   /* 8, 16, 32, 64, 128 and up for vectors */
    uint8_t group;   /* the guest's own grouping; 0 is general */
    uint8_t flags;   /* GUEST_REGISTER_... */
} GuestRegister;
enum {
    GUEST_REGISTER_HIDDEN = 1,    /* not shown by info registers */
    GUEST_REGISTER_FLOAT = 2,
    GUEST_REGISTER_NOT_SAVED = 4, /* derived from others */
};

typedef struct IrBlock {
    IrInst *insts;
    uint32_t count, capacity;
    uint16_t label_count;
    uint16_t insn_count; /* guest instructions */
    uint8_t address_bits; /* 32 or 64 */
    uint64_t pc;    /* of the first guest instruction */
    uint32_t bytes; /* of guest code covered */
} IrBlock;

/* What IR needs to know of a guest. */
typedef struct IrGuest {
    const char *name;
    const GuestRegister *registers;
    uint32_t register_count;
    uint16_t pc_register;
    const Helper *helpers;
    uint32_t helper_count;
    const uint32_t *fp_contexts; /* offsets of FpContexts in the state */
    uint32_t fp_context_count;
    /* A register that is a context's flags (its offset is theirs) holds all that were raised before it is read. */
    /* What a context is like in a mode, but for its rounding and flags; NULL: as all zeroes say. */
    const FpContext *(*fp_rules)(uint64_t mode, unsigned context);
    /* Registers by how often code uses them: a host keeps the first ones of each kind in its own registers, as many as
     * it can spare. None overlaps another. */
    const uint16_t *frequent, *frequent_float;
    uint8_t frequent_count, frequent_float_count;
} IrGuest;

/* The builder: appends to a block. Constants are folded as they are made, and equal constants share one; nothing else
 * is changed. Refs are of the block that is being built. */
typedef struct IrBuilder {
    IrBlock *block;
    const IrGuest *guest;
    IrRef constants[64]; /* a small cache by value */
} IrBuilder;

void ir_block_init(IrBlock *block);
void ir_block_free(IrBlock *block);
void ir_builder_init(IrBuilder *b, IrBlock *block, const IrGuest *guest, uint64_t pc, unsigned address_bits);

IrRef ir_const(IrBuilder *b, IrType type, uint64_t value);
IrRef ir_get(IrBuilder *b, IrType type, unsigned reg);
void ir_set(IrBuilder *b, unsigned reg, IrRef value);
IrRef ir_unary(IrBuilder *b, IrOp op, IrType type, IrRef a);
IrRef ir_binary(IrBuilder *b, IrOp op, IrType type, IrRef x, IrRef y);
/* binary with a constant second operand */
IrRef ir_binary_const(IrBuilder *b, IrOp op, IrType type, IrRef x, uint64_t y);
/* Any operation with its aux as it stands: div_s, sext, extract, fadd ... */
IrRef ir_emit(IrBuilder *b, IrOp op, IrType type, unsigned aux, IrRef x, IrRef y, IrRef z);
IrRef ir_extend(IrBuilder *b, IrOp sext_or_zext, IrType type, unsigned bits, IrRef a);
IrRef ir_trunc(IrBuilder *b, IrType type, IrRef a);
IrRef ir_compare(IrBuilder *b, IrCondition condition, IrType result, IrRef x, IrRef y);
IrRef ir_select(IrBuilder *b, IrType type, IrRef condition, IrRef if_true, IrRef if_false);
IrRef ir_load(IrBuilder *b, IrType type, MemOp op, IrRef address, int32_t displacement);
void ir_zero(IrBuilder *b, MemOp op, IrRef address);
void ir_store(IrBuilder *b, MemOp op, IrRef address, int32_t displacement, IrRef value);
/* op: load_linked (value 0), store_conditional, atomic_*; `expected` for atomic_cas alone. */
IrRef ir_atomic(IrBuilder *b, IrOp op, IrType type, MemOp mem, IrRef address, IrRef value, IrRef expected);
void ir_fence(IrBuilder *b, unsigned bits);
/* `result` IR_VOID, IR_I32 or IR_I64; up to six arguments, 0 for the ones that are not there. */
IrRef ir_call(IrBuilder *b, unsigned helper, IrType result, const IrRef *arguments, unsigned count);
void ir_insn(IrBuilder *b, uint64_t pc, unsigned length);
unsigned ir_label_new(IrBuilder *b);
void ir_label(IrBuilder *b, unsigned label);
void ir_jump(IrBuilder *b, unsigned label);
void ir_branch(IrBuilder *b, IrRef condition, unsigned label);
void ir_push_return(IrBuilder *b, uint64_t pc);
void ir_goto(IrBuilder *b, uint64_t pc);
void ir_goto_value(IrBuilder *b, IrRef pc, IrJumpHint hint);
void ir_exit(IrBuilder *b, IrExit reason);
IrType ir_type_of(const IrBlock *block, IrRef ref);
/* True where `ref` is a constant; its value then. */
bool ir_is_const(const IrBlock *block, IrRef ref, uint64_t *value);

/* Operand kinds, types, definition before use across labels, one end. False with the first fault found. */
bool ir_verify(const IrBlock *block, const IrGuest *guest, Error **error);
/* As `-d op` shows it. */
void ir_dump(const IrBlock *block, const IrGuest *guest, StrBuf *buffer);
