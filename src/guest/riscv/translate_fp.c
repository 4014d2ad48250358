/*
 * What floating-point instructions have in common. Registers f hold 64 bits: a narrower value is NaN-boxed in them, and
 * one that is not boxed properly is read as the default NaN. What may change a register or a flag makes mstatus.FS
 * dirty, and ends the block where it was not: what follows is translated for a dirty one, and marks nothing.
 *
 * With Zfinx there are no registers f and mstatus.FS is always off, which stops nothing. A value that is narrower than
 * an integer register is its low bits, whatever the others are, and is written sign-extended; one of 64 bits on RV32 is
 * in an even register and the next, x0 being a pair of zeroes (odd ones: see translate.c).
 */
#include "guest/riscv/translate_fp.h"

bool riscv_fp_is_on(Translator *t, const RiscvInsn *insn)
{
    if (!(t->mode & MODE_FP)) {
        riscv_translate_illegal(t, insn);
        return false;
    }
    return true;
}

static void mark_dirty(Translator *t)
{
    static const char marked;

    if (!(t->mode & MODE_FP_DIRTY)) {
        ir_set(&t->ir, RISCV_REGISTER_FS, ir_const(&t->ir, IR_I32, FS_DIRTY));
        t->guest = (void *)&marked;
    }
}

bool riscv_fp_rounds(Translator *t, const RiscvInsn *insn)
{
    bool valid = insn->rm == IR_ROUND_DYNAMIC ? !(t->mode & MODE_BAD_ROUNDING) : insn->rm <= FP_ROUND_NEAREST_AWAY;

    if (!riscv_fp_is_on(t, insn)) {
        return false;
    }
    if (!valid) {
        riscv_translate_illegal(t, insn);
        return false;
    }
    mark_dirty(t);
    return true;
}

unsigned riscv_fp_rounding(const Translator *t, const RiscvInsn *insn)
{
    bool away = insn->rm == IR_ROUND_DYNAMIC && t->mode & MODE_NEAREST_AWAY;
    return away ? FP_ROUND_NEAREST_AWAY : (unsigned)insn->rm;
}

bool riscv_fp_changes(Translator *t, const RiscvInsn *insn)
{
    if (!riscv_fp_is_on(t, insn)) {
        return false;
    }
    mark_dirty(t);
    return true;
}

/* Integer registers (Zfinx). */

static IrType bits_type(IrType type)
{
    return type == IR_F64 ? IR_I64 : IR_I32;
}

static bool is_pair(const Translator *t, IrType type)
{
    return type == IR_F64 && !is_rv64(t);
}

static IrRef get_pair(Translator *t, int32_t reg)
{
    IrRef low = get_x_as(t, IR_I64, reg), high = get_x_as(t, IR_I64, reg ? reg + 1 : 0);
    return ir_binary(&t->ir, IR_OP_or, IR_I64, low, ir_binary_const(&t->ir, IR_OP_shl, IR_I64, high, 32));
}

static void set_pair(Translator *t, int32_t reg, IrRef value)
{
    if (reg) {
        set_x(t, reg, ir_trunc(&t->ir, IR_I32, value));
        set_x(t, reg + 1, ir_trunc(&t->ir, IR_I32, ir_binary_const(&t->ir, IR_OP_shr, IR_I64, value, 32)));
    }
}

static IrRef get_integer(Translator *t, IrType type, int32_t reg)
{
    IrRef bits = is_pair(t, type) ? get_pair(t, reg) : get_x_as(t, bits_type(type), reg);
    return ir_unary(&t->ir, IR_OP_bitcast, type, bits);
}

static void set_integer(Translator *t, IrType type, int32_t reg, IrRef value)
{
    IrRef bits = ir_unary(&t->ir, IR_OP_bitcast, bits_type(type), value);

    if (is_pair(t, type)) {
        set_pair(t, reg, bits);
    } else if (type == IR_F16) {
        set_x(t, reg, ir_extend(&t->ir, IR_OP_sext, x_type(t), 16, bits));
    } else if (type == IR_F32) {
        set_x_word(t, reg, bits);
    } else {
        set_x(t, reg, bits);
    }
}

/* Registers. */

IrRef riscv_fp_get(Translator *t, IrType type, int32_t reg)
{
    if (translator_config(t)->zfinx) {
        return get_integer(t, type, reg);
    }
    IrRef whole = ir_get(&t->ir, IR_F64, riscv_fp_register(reg));
    return type == IR_F64 ? whole : ir_emit(&t->ir, IR_OP_funbox, type, IR_FP(0, 0, 0, IR_F64), whole, 0, 0);
}

void riscv_fp_set(Translator *t, IrType type, int32_t reg, IrRef value)
{
    if (translator_config(t)->zfinx) {
        set_integer(t, type, reg, value);
        return;
    }
    if (type != IR_F64) {
        value = ir_emit(&t->ir, IR_OP_fbox, IR_F64, IR_FP(0, 0, 0, type), value, 0, 0);
    }
    ir_set(&t->ir, riscv_fp_register(reg), value);
}

/* Forms. */

void riscv_fp_arithmetic(Translator *t, const RiscvInsn *insn, IrOp op, IrType type)
{
    if (riscv_fp_rounds(t, insn)) {
        IrRef first = riscv_fp_get(t, type, insn->rs1), second = riscv_fp_get(t, type, insn->rs2);
        unsigned aux = riscv_fp_rounded(t, insn, type);
        riscv_fp_set(t, type, insn->rd, ir_emit(&t->ir, op, type, aux, first, second, 0));
    }
}

void riscv_fp_square_root(Translator *t, const RiscvInsn *insn, IrType type)
{
    if (riscv_fp_rounds(t, insn)) {
        IrRef operand = riscv_fp_get(t, type, insn->rs1);
        unsigned aux = riscv_fp_rounded(t, insn, type);
        riscv_fp_set(t, type, insn->rd, ir_emit(&t->ir, IR_OP_fsqrt, type, aux, operand, 0, 0));
    }
}

void riscv_fp_fused(Translator *t, const RiscvInsn *insn, IrType type, bool negate_product, bool negate_addend)
{
    if (!riscv_fp_rounds(t, insn)) {
        return;
    }
    IrRef first = riscv_fp_get(t, type, insn->rs1), second = riscv_fp_get(t, type, insn->rs2);
    IrRef third = riscv_fp_get(t, type, insn->rs3);
    if (negate_product) {
        first = ir_unary(&t->ir, IR_OP_fneg, type, first);
    }
    if (negate_addend) {
        third = ir_unary(&t->ir, IR_OP_fneg, type, third);
    }
    unsigned aux = riscv_fp_rounded(t, insn, type);
    riscv_fp_set(t, type, insn->rd, ir_emit(&t->ir, IR_OP_ffma, type, aux, first, second, third));
}

/* With one register for both operands: fmv, fneg, fabs. */
static IrRef sign_injected_alone(Translator *t, IrType type, SignRule rule, IrRef value)
{
    if (rule == SIGN_OF) {
        return value;
    }
    return ir_unary(&t->ir, rule == SIGN_OPPOSITE ? IR_OP_fneg : IR_OP_fabs, type, value);
}

static IrRef sign_injected(Translator *t, IrType type, SignRule rule, IrRef first, IrRef second)
{
    static const uint64_t sign_bits[] = { [IR_F16] = BIT(15), [IR_F32] = BIT(31), [IR_F64] = BIT(63) };
    IrType bits = bits_type(type);

    if (rule != SIGN_PRODUCT) {
        IrRef sign = rule == SIGN_OF ? second : ir_unary(&t->ir, IR_OP_fneg, type, second);
        return ir_binary(&t->ir, IR_OP_fcopysign, type, first, sign);
    }
    IrRef sign = ir_unary(&t->ir, IR_OP_bitcast, bits, second);
    sign = ir_binary_const(&t->ir, IR_OP_and, bits, sign, sign_bits[type]);
    IrRef changed = ir_binary(&t->ir, IR_OP_xor, bits, ir_unary(&t->ir, IR_OP_bitcast, bits, first), sign);
    return ir_unary(&t->ir, IR_OP_bitcast, type, changed);
}

void riscv_fp_sign_injection(Translator *t, const RiscvInsn *insn, IrType type, SignRule rule)
{
    if (!riscv_fp_changes(t, insn)) {
        return;
    }
    IrRef first = riscv_fp_get(t, type, insn->rs1);
    IrRef result = insn->rs1 == insn->rs2 ? sign_injected_alone(t, type, rule, first)
                                          : sign_injected(t, type, rule, first, riscv_fp_get(t, type, insn->rs2));
    riscv_fp_set(t, type, insn->rd, result);
}

void riscv_fp_minimum_maximum(Translator *t, const RiscvInsn *insn, IrOp op, IrType type, FpMinMax rule)
{
    if (riscv_fp_changes(t, insn)) {
        IrRef first = riscv_fp_get(t, type, insn->rs1), second = riscv_fp_get(t, type, insn->rs2);
        riscv_fp_set(t, type, insn->rd, ir_emit(&t->ir, op, type, riscv_fp_ruled(rule, type), first, second, 0));
    }
}

void riscv_fp_compare(Translator *t, const RiscvInsn *insn, IrType type, IrFpCondition condition)
{
    if (riscv_fp_changes(t, insn)) {
        IrRef first = riscv_fp_get(t, type, insn->rs1), second = riscv_fp_get(t, type, insn->rs2);
        unsigned aux = riscv_fp_ruled(condition, type);
        set_x(t, insn->rd, ir_emit(&t->ir, IR_OP_fcmp, x_type(t), aux, first, second, 0));
    }
}

void riscv_fp_classify(Translator *t, const RiscvInsn *insn, IrType type)
{
    if (riscv_fp_is_on(t, insn)) {
        set_x(t, insn->rd, ir_unary(&t->ir, IR_OP_fclass, x_type(t), riscv_fp_get(t, type, insn->rs1)));
    }
}

void riscv_fp_to_integer(Translator *t, const RiscvInsn *insn, IrOp op, IrType to, IrType from)
{
    if (!riscv_fp_rounds(t, insn)) {
        return;
    }
    IrRef operand = riscv_fp_get(t, from, insn->rs1);
    IrRef result = ir_emit(&t->ir, op, to, riscv_fp_rounded(t, insn, from), operand, 0, 0);
    if (to == IR_I32) {
        set_x_word(t, insn->rd, result);
    } else {
        set_x(t, insn->rd, result);
    }
}

void riscv_fp_from_integer(Translator *t, const RiscvInsn *insn, IrOp op, IrType to, IrType from)
{
    if (riscv_fp_rounds(t, insn)) {
        IrRef operand = get_x_as(t, from, insn->rs1);
        riscv_fp_set(t, to, insn->rd, ir_emit(&t->ir, op, to, riscv_fp_rounded(t, insn, from), operand, 0, 0));
    }
}

void riscv_fp_convert(Translator *t, const RiscvInsn *insn, IrType to, IrType from)
{
    if (riscv_fp_rounds(t, insn)) {
        IrRef operand = riscv_fp_get(t, from, insn->rs1);
        unsigned aux = riscv_fp_rounded(t, insn, from);
        riscv_fp_set(t, to, insn->rd, ir_emit(&t->ir, IR_OP_fconvert, to, aux, operand, 0, 0));
    }
}

void riscv_fp_load(Translator *t, const RiscvInsn *insn, IrType type, unsigned op)
{
    if (riscv_fp_is_on(t, insn)) {
        IrRef value = ir_load(&t->ir, type, data_mem_op(t, op), get_address(t, insn->rs1), insn->imm);
        mark_dirty(t);
        riscv_fp_set(t, type, insn->rd, value);
    }
}

void riscv_fp_store(Translator *t, const RiscvInsn *insn, IrType bits, unsigned op)
{
    if (riscv_fp_is_on(t, insn)) {
        IrRef value = ir_get(&t->ir, bits, riscv_fp_register(insn->rs2));
        ir_store(&t->ir, data_mem_op(t, op), get_address(t, insn->rs1), insn->imm, value);
    }
}
