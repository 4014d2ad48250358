/*
 * Between the interpreter's parts: prepared code, and what an operation sees when it runs.
 *
 * An operand is a place: a byte offset from the guest's state. Guest registers lie at the offsets of the register
 * table, scratch slots of 8 bytes in the EXEC_SCRATCH bytes before the state. A value takes the low bytes of its place;
 * what the rest of a slot holds is undefined.
 */
#pragma once

#include "jit/interp.h"
#include "jit/ir_eval.h"

typedef struct InterpFrame InterpFrame;
typedef struct InterpInst InterpInst;

/* An operation without a handler of its own. All of them read their operands before they write the result: its place
 * may be an operand's. False: it raised. */
typedef bool InterpFunction(InterpFrame *f, const InterpInst *i);

struct InterpInst {
    uint16_t handler; /* InterpHandler */
    uint16_t aux;     /* as in the IR; goto: index of its link; call: CallFlags */
    int32_t d, a, b;  /* result and operands; ends: b is how many insns were completed on the way */
    union {
        int64_t imm; /* operand b as a constant, displacement, target of a goto */
        InterpFunction *function;
        HelperFunction *helper;
        HelperFunction6 *helper6;
    };
    int32_t c;     /* third operand; branch, jump: the target's index */
    uint16_t mark; /* the guest instruction that this is part of */
    uint8_t type, op; /* IrType, IrOp */
};
_Static_assert(sizeof(InterpInst) == 32, "prepared instructions are half a cache line");

/* A guest instruction of the block. */
typedef struct InterpMark {
    uint64_t pc;
    uint32_t before; /* insns completed before it */
} InterpMark;

struct InterpCode {
    uint64_t address_mask;
    uint32_t insn_count, size;
    InterpMark *marks;
    ExecLink *links; /* one for each goto */
    InterpInst insts[];
};

struct InterpFrame {
    Exec *exec;
    Cpu *cpu;
    uint8_t *state;
    const InterpCode *code;
    uint64_t address_mask;
    uint64_t insns, limit; /* completed before this block; where the budget ends */
    const InterpInst *current; /* the last that touched memory */
};

/* aux of call: the width of each argument (2 bits; CallWidth), of the result, and whether the helper may raise. */
enum CallWidth { CALL_NONE, CALL_16, CALL_32, CALL_64 };
enum { CALL_RESULT_SHIFT = 12, CALL_RAISES = 1 << 14 };

/* The handlers: the operations that guests spend their time in. X(name) for each; i: operand b is imm. */
#define INTERP_BINARY(name, expression) X(name##_32) X(name##_64) X(name##_32i) X(name##_64i)
#define INTERP_UNARY(name, expression) X(name##_32) X(name##_64)
#define INTERP_CMP(name, expression) X(cmp_##name##_32) X(cmp_##name##_64) X(cmp_##name##_32i) X(cmp_##name##_64i)
#define INTERP_BRANCH(name, expression) \
    X(branch_##name##_32) X(branch_##name##_64) X(branch_##name##_32i) X(branch_##name##_64i)

/* Y(name, result, operand) */
#define INTERP_CONVERSIONS(Y) \
    Y(sext_8_32, int32_t, int8_t) \
    Y(sext_16_32, int32_t, int16_t) \
    Y(sext_8_64, int64_t, int8_t) \
    Y(sext_16_64, int64_t, int16_t) \
    Y(sext_32_64, int64_t, int32_t) \
    Y(zext_8_32, uint32_t, uint8_t) \
    Y(zext_16_32, uint32_t, uint16_t) \
    Y(zext_8_64, uint64_t, uint8_t) \
    Y(zext_16_64, uint64_t, uint16_t) \
    Y(zext_32_64, uint64_t, uint32_t) \
    Y(mov_32, uint32_t, uint32_t) \
    Y(mov_64, uint64_t, uint64_t)
/* Y(name, result, memory) */
#define INTERP_LOADS(Y) \
    Y(load_u8_32, uint32_t, uint8_t) \
    Y(load_u16_32, uint32_t, uint16_t) \
    Y(load_u32_32, uint32_t, uint32_t) \
    Y(load_s8_32, int32_t, int8_t) \
    Y(load_s16_32, int32_t, int16_t) \
    Y(load_u8_64, uint64_t, uint8_t) \
    Y(load_u16_64, uint64_t, uint16_t) \
    Y(load_u32_64, uint64_t, uint32_t) \
    Y(load_u64_64, uint64_t, uint64_t) \
    Y(load_s8_64, int64_t, int8_t) \
    Y(load_s16_64, int64_t, int16_t) \
    Y(load_s32_64, int64_t, int32_t)
#define INTERP_STORES(Y) \
    Y(store_8, uint8_t) Y(store_16, uint16_t) Y(store_32, uint32_t) Y(store_64, uint64_t)
/* Y(name, condition, value) */
#define INTERP_SELECTS(Y) \
    Y(select_32_32, uint32_t, uint32_t) \
    Y(select_32_64, uint32_t, uint64_t) \
    Y(select_64_32, uint64_t, uint32_t) \
    Y(select_64_64, uint64_t, uint64_t)

#define INTERP_NAME(name, ...) X(name)
#define INTERP_HANDLERS \
    EVAL_BINARY(INTERP_BINARY) \
    EVAL_UNARY(INTERP_UNARY) \
    EVAL_CONDITIONS(INTERP_CMP) \
    EVAL_CONDITIONS(INTERP_BRANCH) \
    INTERP_CONVERSIONS(INTERP_NAME) \
    INTERP_LOADS(INTERP_NAME) \
    INTERP_STORES(INTERP_NAME) \
    INTERP_SELECTS(INTERP_NAME) \
    X(const_32) X(const_64) X(branch_32) X(branch_64) X(jump) X(call) X(call6) X(function) \
    X(goto_32) X(goto_64) X(goto_value_32) X(goto_value_64) X(leave)

typedef enum InterpHandler {
#define X(name) INTERP_##name,
    INTERP_HANDLERS
#undef X
    INTERP_HANDLER_COUNT
} InterpHandler;

typedef U128 __attribute__((aligned(8))) PlaceU128; /* places are aligned to 8 bytes */

#define PLACE(T, offset) (*(T *)(state + (offset)))
/* In functions: operand or result of frame `f` and instruction `i`. */
#define AT(T, offset) (*(T *)(f->state + (offset)))

/* Makes exec->pc, insns and budget those of the instruction. */
static inline void interp_sync(const InterpFrame *f, const InterpInst *i)
{
    const InterpMark *mark = &f->code->marks[i->mark];

    f->exec->pc = mark->pc;
    f->exec->insns = f->insns + mark->before;
    f->exec->budget = (int64_t)(f->limit - f->exec->insns);
}

InterpFunction interp_load, interp_store;
/* The operation `zero`. */
bool interp_zero(Exec *exec, Cpu *cpu, uint64_t address, MemOp op);
/* i->function, for who has no guard of his own around it. */
InterpFunction interp_call;

/* The function of an operation that has no handler; NULL: there is none. */
InterpFunction *interp_memory_function(const IrInst *inst);
InterpFunction *interp_fp_function(const IrInst *inst, IrType operand);
InterpFunction *interp_value_function(const IrInst *inst);
/* Copies c bytes from a to d and zeroes up to b bytes. */
InterpFunction interp_convey;
