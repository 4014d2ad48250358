/*
 * One floating-point operation of IR as a call: what a host does where its own instructions have not the guest's result
 * or flags. Nothing below uses vector registers or the host's floating point: a caller keeps them, modes and flags
 * included.
 */
#pragma once

#include "fpu/fpu.h"
#include "jit/ir.h"

/* What to do, in 32 bits. `from` is the type of a. Formats are those up to F64, integers I32 and I64. */
#define IR_FP_EXACT(op, type, from, rounding, rule) \
    ((uint32_t)(op) | (uint32_t)(type) << 8 | (uint32_t)(from) << 12 | (uint32_t)(rounding) << 16 | \
     (uint32_t)(rule) << 20)
/* Or'ed to an ffma: its product, its addend, is negated. */
enum { IR_FP_EXACT_NEGATE_A = 1 << 24, IR_FP_EXACT_NEGATE_C = 1 << 25 };

/* Whether there is such an operation here: `inst` takes and gives 64 bits at most. */
bool ir_fp_is_exact(const IrInst *inst, IrType from);
static inline uint32_t ir_fp_exact_what(const IrInst *inst, IrType from)
{
    return IR_FP_EXACT(inst->op, inst->type, from, ir_fp_rounding(inst->aux), ir_fp_rule(inst->aux));
}

/* Operands are bits; what stands above a narrow one is not looked at. A result narrower than 64 bits is boxed (upper
 * bits all ones) where it is a number of a format, and zero-extended where it is an integer. */
uint64_t ir_fp_exact(FpContext *fp, uint32_t what, uint64_t a, uint64_t b, uint64_t c);

/* What operands in this order make of a comparison, and whether a quiet NaN raises invalid in it. */
bool ir_fp_condition_holds(IrFpCondition condition, FpCompare order);
bool ir_fp_condition_signals(IrFpCondition condition);
