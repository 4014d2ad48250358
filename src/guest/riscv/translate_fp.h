/*
 * The forms that floating-point instructions of all formats have: `type` is IR_F16, IR_F32 or IR_F64. Operands are in
 * the registers f, or, with Zfinx, in the integer registers.
 */
#pragma once

#include "guest/riscv/translate.h"

#include "fpu/fpu.h"

enum { FP_CONTEXT = 0 };

/* Whether floating point is on; else the instruction is illegal. */
bool riscv_fp_is_on(Translator *t, const RiscvInsn *insn);
/* The same, for what changes a register or a flag. */
bool riscv_fp_changes(Translator *t, const RiscvInsn *insn);
/* The same, for what rounds as its rm field, or frm, says: not by a mode that does not exist. */
bool riscv_fp_rounds(Translator *t, const RiscvInsn *insn);
/* As IR has it: frm is the context's, but where that is ties away. */
unsigned riscv_fp_rounding(const Translator *t, const RiscvInsn *insn);
/* `aux` of an operation that rounds, or that has a rule instead. */
static inline unsigned riscv_fp_rounded(const Translator *t, const RiscvInsn *insn, IrType from)
{
    return IR_FP(FP_CONTEXT, riscv_fp_rounding(t, insn), 0, from);
}
static inline unsigned riscv_fp_ruled(unsigned rule, IrType from)
{
    return IR_FP(FP_CONTEXT, IR_ROUND_DYNAMIC, rule, from);
}

/* Of the register table. */
static inline unsigned riscv_fp_register(int32_t reg)
{
    return RISCV_REGISTER_F0 + (unsigned)reg;
}
/* The value of a register as a number of the format: the default NaN where it is not boxed properly. */
IrRef riscv_fp_get(Translator *t, IrType type, int32_t reg);
void riscv_fp_set(Translator *t, IrType type, int32_t reg, IrRef value);

/* rs1 op rs2 */
void riscv_fp_arithmetic(Translator *t, const RiscvInsn *insn, IrOp op, IrType type);
void riscv_fp_square_root(Translator *t, const RiscvInsn *insn, IrType type);
/* +-(rs1 * rs2) +- rs3, rounded once. */
void riscv_fp_fused(Translator *t, const RiscvInsn *insn, IrType type, bool negate_product, bool negate_addend);
/* rs1 with the sign of rs2, of its opposite, or of the product. */
typedef enum SignRule { SIGN_OF, SIGN_OPPOSITE, SIGN_PRODUCT } SignRule;
void riscv_fp_sign_injection(Translator *t, const RiscvInsn *insn, IrType type, SignRule rule);
void riscv_fp_minimum_maximum(Translator *t, const RiscvInsn *insn, IrOp op, IrType type, FpMinMax rule);
void riscv_fp_compare(Translator *t, const RiscvInsn *insn, IrType type, IrFpCondition condition);
void riscv_fp_classify(Translator *t, const RiscvInsn *insn, IrType type);
/* To an integer of 32 bits (sign-extended, unsigned ones too) or 64. */
void riscv_fp_to_integer(Translator *t, const RiscvInsn *insn, IrOp op, IrType to, IrType from);
void riscv_fp_from_integer(Translator *t, const RiscvInsn *insn, IrOp op, IrType to, IrType from);
void riscv_fp_convert(Translator *t, const RiscvInsn *insn, IrType to, IrType from);

/* Loads, stores and moves take the bits as they are, boxed or not. Never with Zfinx. */
void riscv_fp_load(Translator *t, const RiscvInsn *insn, IrType type, unsigned op);
void riscv_fp_store(Translator *t, const RiscvInsn *insn, IrType bits, unsigned op);
