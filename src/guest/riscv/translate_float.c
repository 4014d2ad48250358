/*
 * F and D. Registers hold 64 bits: a single-precision value is NaN-boxed in them, and one that is not boxed properly is
 * read as the default NaN. What may change a register or a flag makes mstatus.FS dirty, and ends the block where it was
 * not: what follows is translated for a dirty one, and marks nothing.
 */
#include "guest/riscv/translate.h"

#include "fpu/fpu.h"

enum { FP_CONTEXT = 0 };

/* Whether floating point is on; else the instruction is illegal. */
static bool fp_is_on(Translator *t, const RiscvInsn *insn)
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

/* The same, and for one that rounds: the rounding that its rm field, or frm, names. */
static bool rounding_is_valid(Translator *t, const RiscvInsn *insn)
{
    bool valid = insn->rm == IR_ROUND_DYNAMIC ? !(t->mode & MODE_BAD_ROUNDING) : insn->rm <= FP_ROUND_NEAREST_AWAY;

    if (!fp_is_on(t, insn)) {
        return false;
    }
    if (!valid) {
        riscv_translate_illegal(t, insn);
        return false;
    }
    mark_dirty(t);
    return true;
}

/* As IR has it: frm is the context's, but where that is ties away. */
static unsigned rounding_of(const Translator *t, const RiscvInsn *insn)
{
    bool away = insn->rm == IR_ROUND_DYNAMIC && t->mode & MODE_NEAREST_AWAY;
    return away ? FP_ROUND_NEAREST_AWAY : (unsigned)insn->rm;
}

static bool changes_fp(Translator *t, const RiscvInsn *insn)
{
    if (!fp_is_on(t, insn)) {
        return false;
    }
    mark_dirty(t);
    return true;
}

static unsigned fp_register(int32_t reg)
{
    return RISCV_REGISTER_F0 + (unsigned)reg;
}

/* F32 or F64. */
static IrRef get_f(Translator *t, IrType type, int32_t reg)
{
    IrRef whole = ir_get(&t->ir, IR_F64, fp_register(reg));
    return type == IR_F64 ? whole : ir_emit(&t->ir, IR_OP_funbox, type, IR_FP(0, 0, 0, IR_F64), whole, 0, 0);
}

static void set_f(Translator *t, IrType type, int32_t reg, IrRef value)
{
    if (type != IR_F64) {
        value = ir_emit(&t->ir, IR_OP_fbox, IR_F64, IR_FP(0, 0, 0, type), value, 0, 0);
    }
    ir_set(&t->ir, fp_register(reg), value);
}

static void arithmetic(Translator *t, const RiscvInsn *insn, IrOp op, IrType type)
{
    if (rounding_is_valid(t, insn)) {
        IrRef first = get_f(t, type, insn->rs1), second = get_f(t, type, insn->rs2);
        unsigned aux = IR_FP(FP_CONTEXT, rounding_of(t, insn), 0, type);
        set_f(t, type, insn->rd, ir_emit(&t->ir, op, type, aux, first, second, 0));
    }
}

static void square_root(Translator *t, const RiscvInsn *insn, IrType type)
{
    if (rounding_is_valid(t, insn)) {
        unsigned aux = IR_FP(FP_CONTEXT, rounding_of(t, insn), 0, type);
        set_f(t, type, insn->rd, ir_emit(&t->ir, IR_OP_fsqrt, type, aux, get_f(t, type, insn->rs1), 0, 0));
    }
}

/* +-(rs1 * rs2) +- rs3, rounded once. */
static void fused(Translator *t, const RiscvInsn *insn, IrType type, bool negate_product, bool negate_addend)
{
    if (!rounding_is_valid(t, insn)) {
        return;
    }
    IrRef first = get_f(t, type, insn->rs1), second = get_f(t, type, insn->rs2), third = get_f(t, type, insn->rs3);
    if (negate_product) {
        first = ir_unary(&t->ir, IR_OP_fneg, type, first);
    }
    if (negate_addend) {
        third = ir_unary(&t->ir, IR_OP_fneg, type, third);
    }
    unsigned aux = IR_FP(FP_CONTEXT, rounding_of(t, insn), 0, type);
    set_f(t, type, insn->rd, ir_emit(&t->ir, IR_OP_ffma, type, aux, first, second, third));
}

/* The sign of rs2, of its opposite, or of the product. */
typedef enum SignRule { SIGN_OF, SIGN_OPPOSITE, SIGN_PRODUCT } SignRule;

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
    IrType bits = type == IR_F64 ? IR_I64 : IR_I32;

    if (rule != SIGN_PRODUCT) {
        IrRef sign = rule == SIGN_OF ? second : ir_unary(&t->ir, IR_OP_fneg, type, second);
        return ir_binary(&t->ir, IR_OP_fcopysign, type, first, sign);
    }
    IrRef sign = ir_unary(&t->ir, IR_OP_bitcast, bits, second);
    sign = ir_binary_const(&t->ir, IR_OP_and, bits, sign, bits == IR_I64 ? BIT(63) : BIT(31));
    IrRef changed = ir_binary(&t->ir, IR_OP_xor, bits, ir_unary(&t->ir, IR_OP_bitcast, bits, first), sign);
    return ir_unary(&t->ir, IR_OP_bitcast, type, changed);
}

static void sign_injection(Translator *t, const RiscvInsn *insn, IrType type, SignRule rule)
{
    if (!changes_fp(t, insn)) {
        return;
    }
    IrRef first = get_f(t, type, insn->rs1);
    IrRef result = insn->rs1 == insn->rs2 ? sign_injected_alone(t, type, rule, first)
                                          : sign_injected(t, type, rule, first, get_f(t, type, insn->rs2));
    set_f(t, type, insn->rd, result);
}

static void minimum_maximum(Translator *t, const RiscvInsn *insn, IrOp op, IrType type)
{
    if (changes_fp(t, insn)) {
        IrRef first = get_f(t, type, insn->rs1), second = get_f(t, type, insn->rs2);
        unsigned aux = IR_FP(FP_CONTEXT, IR_ROUND_DYNAMIC, FP_MINMAX_NUMBER, type);
        set_f(t, type, insn->rd, ir_emit(&t->ir, op, type, aux, first, second, 0));
    }
}

static void compare(Translator *t, const RiscvInsn *insn, IrType type, IrFpCondition condition)
{
    if (changes_fp(t, insn)) {
        IrRef first = get_f(t, type, insn->rs1), second = get_f(t, type, insn->rs2);
        unsigned aux = IR_FP(FP_CONTEXT, IR_ROUND_DYNAMIC, condition, type);
        set_x(t, insn->rd, ir_emit(&t->ir, IR_OP_fcmp, x_type(t), aux, first, second, 0));
    }
}

static void classify(Translator *t, const RiscvInsn *insn, IrType type)
{
    if (fp_is_on(t, insn)) {
        set_x(t, insn->rd, ir_unary(&t->ir, IR_OP_fclass, x_type(t), get_f(t, type, insn->rs1)));
    }
}

/* To an integer of 32 bits (sign-extended, unsigned ones too) or 64. */
static void to_integer(Translator *t, const RiscvInsn *insn, IrOp op, IrType to, IrType from)
{
    if (!rounding_is_valid(t, insn)) {
        return;
    }
    unsigned aux = IR_FP(FP_CONTEXT, rounding_of(t, insn), 0, from);
    IrRef result = ir_emit(&t->ir, op, to, aux, get_f(t, from, insn->rs1), 0, 0);
    if (to == IR_I32) {
        set_x_word(t, insn->rd, result);
    } else {
        set_x(t, insn->rd, result);
    }
}

static void from_integer(Translator *t, const RiscvInsn *insn, IrOp op, IrType to, IrType from)
{
    if (rounding_is_valid(t, insn)) {
        unsigned aux = IR_FP(FP_CONTEXT, rounding_of(t, insn), 0, from);
        set_f(t, to, insn->rd, ir_emit(&t->ir, op, to, aux, get_x_as(t, from, insn->rs1), 0, 0));
    }
}

static void convert(Translator *t, const RiscvInsn *insn, IrType to, IrType from)
{
    if (rounding_is_valid(t, insn)) {
        unsigned aux = IR_FP(FP_CONTEXT, rounding_of(t, insn), 0, from);
        set_f(t, to, insn->rd, ir_emit(&t->ir, IR_OP_fconvert, to, aux, get_f(t, from, insn->rs1), 0, 0));
    }
}

static void load(Translator *t, const RiscvInsn *insn, IrType type, unsigned op)
{
    if (fp_is_on(t, insn)) {
        IrRef value = ir_load(&t->ir, type, data_mem_op(t, op), get_address(t, insn->rs1), insn->imm);
        mark_dirty(t);
        set_f(t, type, insn->rd, value);
    }
}

/* Stores and moves take the bits as they are, boxed or not. */
static void store(Translator *t, const RiscvInsn *insn, IrType bits, unsigned op)
{
    if (fp_is_on(t, insn)) {
        IrRef value = ir_get(&t->ir, bits, fp_register(insn->rs2));
        ir_store(&t->ir, data_mem_op(t, op), get_address(t, insn->rs1), insn->imm, value);
    }
}

/* fmv.x.w rd, rs1 */
void riscv_translate_fmv_x_w(Translator *t, const RiscvInsn *insn)
{
    if (fp_is_on(t, insn)) {
        set_x_word(t, insn->rd, ir_get(&t->ir, IR_I32, fp_register(insn->rs1)));
    }
}

/* fmv.w.x rd, rs1 */
void riscv_translate_fmv_w_x(Translator *t, const RiscvInsn *insn)
{
    if (changes_fp(t, insn)) {
        IrRef value = ir_unary(&t->ir, IR_OP_bitcast, IR_F32, get_x_as(t, IR_I32, insn->rs1));
        set_f(t, IR_F32, insn->rd, value);
    }
}

/* fmv.x.d rd, rs1 */
void riscv_translate_fmv_x_d(Translator *t, const RiscvInsn *insn)
{
    if (fp_is_on(t, insn)) {
        set_x(t, insn->rd, ir_get(&t->ir, IR_I64, fp_register(insn->rs1)));
    }
}

/* fmv.d.x rd, rs1 */
void riscv_translate_fmv_d_x(Translator *t, const RiscvInsn *insn)
{
    if (changes_fp(t, insn)) {
        ir_set(&t->ir, fp_register(insn->rd), get_x(t, insn->rs1));
    }
}

/* flw rd, offset(rs1) */
void riscv_translate_flw(Translator *t, const RiscvInsn *insn)
{
    load(t, insn, IR_F32, MEM_32);
}

/* fsw rs2, offset(rs1) */
void riscv_translate_fsw(Translator *t, const RiscvInsn *insn)
{
    store(t, insn, IR_I32, MEM_32);
}

/* fmadd.s rd, rs1, rs2, rs3[, rm] */
void riscv_translate_fmadd_s(Translator *t, const RiscvInsn *insn)
{
    fused(t, insn, IR_F32, false, false);
}

/* fmsub.s rd, rs1, rs2, rs3[, rm] */
void riscv_translate_fmsub_s(Translator *t, const RiscvInsn *insn)
{
    fused(t, insn, IR_F32, false, true);
}

/* fnmsub.s rd, rs1, rs2, rs3[, rm] */
void riscv_translate_fnmsub_s(Translator *t, const RiscvInsn *insn)
{
    fused(t, insn, IR_F32, true, false);
}

/* fnmadd.s rd, rs1, rs2, rs3[, rm] */
void riscv_translate_fnmadd_s(Translator *t, const RiscvInsn *insn)
{
    fused(t, insn, IR_F32, true, true);
}

/* fadd.s rd, rs1, rs2[, rm] */
void riscv_translate_fadd_s(Translator *t, const RiscvInsn *insn)
{
    arithmetic(t, insn, IR_OP_fadd, IR_F32);
}

/* fsub.s rd, rs1, rs2[, rm] */
void riscv_translate_fsub_s(Translator *t, const RiscvInsn *insn)
{
    arithmetic(t, insn, IR_OP_fsub, IR_F32);
}

/* fmul.s rd, rs1, rs2[, rm] */
void riscv_translate_fmul_s(Translator *t, const RiscvInsn *insn)
{
    arithmetic(t, insn, IR_OP_fmul, IR_F32);
}

/* fdiv.s rd, rs1, rs2[, rm] */
void riscv_translate_fdiv_s(Translator *t, const RiscvInsn *insn)
{
    arithmetic(t, insn, IR_OP_fdiv, IR_F32);
}

/* fsqrt.s rd, rs1[, rm] */
void riscv_translate_fsqrt_s(Translator *t, const RiscvInsn *insn)
{
    square_root(t, insn, IR_F32);
}

/* fsgnj.s rd, rs1, rs2 */
void riscv_translate_fsgnj_s(Translator *t, const RiscvInsn *insn)
{
    sign_injection(t, insn, IR_F32, SIGN_OF);
}

/* fsgnjn.s rd, rs1, rs2 */
void riscv_translate_fsgnjn_s(Translator *t, const RiscvInsn *insn)
{
    sign_injection(t, insn, IR_F32, SIGN_OPPOSITE);
}

/* fsgnjx.s rd, rs1, rs2 */
void riscv_translate_fsgnjx_s(Translator *t, const RiscvInsn *insn)
{
    sign_injection(t, insn, IR_F32, SIGN_PRODUCT);
}

/* fmin.s rd, rs1, rs2 */
void riscv_translate_fmin_s(Translator *t, const RiscvInsn *insn)
{
    minimum_maximum(t, insn, IR_OP_fmin, IR_F32);
}

/* fmax.s rd, rs1, rs2 */
void riscv_translate_fmax_s(Translator *t, const RiscvInsn *insn)
{
    minimum_maximum(t, insn, IR_OP_fmax, IR_F32);
}

/* feq.s rd, rs1, rs2 */
void riscv_translate_feq_s(Translator *t, const RiscvInsn *insn)
{
    compare(t, insn, IR_F32, IR_FP_EQ_QUIET);
}

/* flt.s rd, rs1, rs2 */
void riscv_translate_flt_s(Translator *t, const RiscvInsn *insn)
{
    compare(t, insn, IR_F32, IR_FP_LT);
}

/* fle.s rd, rs1, rs2 */
void riscv_translate_fle_s(Translator *t, const RiscvInsn *insn)
{
    compare(t, insn, IR_F32, IR_FP_LE);
}

/* fclass.s rd, rs1 */
void riscv_translate_fclass_s(Translator *t, const RiscvInsn *insn)
{
    classify(t, insn, IR_F32);
}

/* fcvt.w.s rd, rs1[, rm] */
void riscv_translate_fcvt_w_s(Translator *t, const RiscvInsn *insn)
{
    to_integer(t, insn, IR_OP_f_to_s, IR_I32, IR_F32);
}

/* fcvt.wu.s rd, rs1[, rm] */
void riscv_translate_fcvt_wu_s(Translator *t, const RiscvInsn *insn)
{
    to_integer(t, insn, IR_OP_f_to_u, IR_I32, IR_F32);
}

/* fcvt.l.s rd, rs1[, rm] */
void riscv_translate_fcvt_l_s(Translator *t, const RiscvInsn *insn)
{
    to_integer(t, insn, IR_OP_f_to_s, IR_I64, IR_F32);
}

/* fcvt.lu.s rd, rs1[, rm] */
void riscv_translate_fcvt_lu_s(Translator *t, const RiscvInsn *insn)
{
    to_integer(t, insn, IR_OP_f_to_u, IR_I64, IR_F32);
}

/* fcvt.s.w rd, rs1[, rm] */
void riscv_translate_fcvt_s_w(Translator *t, const RiscvInsn *insn)
{
    from_integer(t, insn, IR_OP_s_to_f, IR_F32, IR_I32);
}

/* fcvt.s.wu rd, rs1[, rm] */
void riscv_translate_fcvt_s_wu(Translator *t, const RiscvInsn *insn)
{
    from_integer(t, insn, IR_OP_u_to_f, IR_F32, IR_I32);
}

/* fcvt.s.l rd, rs1[, rm] */
void riscv_translate_fcvt_s_l(Translator *t, const RiscvInsn *insn)
{
    from_integer(t, insn, IR_OP_s_to_f, IR_F32, IR_I64);
}

/* fcvt.s.lu rd, rs1[, rm] */
void riscv_translate_fcvt_s_lu(Translator *t, const RiscvInsn *insn)
{
    from_integer(t, insn, IR_OP_u_to_f, IR_F32, IR_I64);
}

/* fld rd, offset(rs1) */
void riscv_translate_fld(Translator *t, const RiscvInsn *insn)
{
    load(t, insn, IR_F64, MEM_64);
}

/* fsd rs2, offset(rs1) */
void riscv_translate_fsd(Translator *t, const RiscvInsn *insn)
{
    store(t, insn, IR_I64, MEM_64);
}

/* fmadd.d rd, rs1, rs2, rs3[, rm] */
void riscv_translate_fmadd_d(Translator *t, const RiscvInsn *insn)
{
    fused(t, insn, IR_F64, false, false);
}

/* fmsub.d rd, rs1, rs2, rs3[, rm] */
void riscv_translate_fmsub_d(Translator *t, const RiscvInsn *insn)
{
    fused(t, insn, IR_F64, false, true);
}

/* fnmsub.d rd, rs1, rs2, rs3[, rm] */
void riscv_translate_fnmsub_d(Translator *t, const RiscvInsn *insn)
{
    fused(t, insn, IR_F64, true, false);
}

/* fnmadd.d rd, rs1, rs2, rs3[, rm] */
void riscv_translate_fnmadd_d(Translator *t, const RiscvInsn *insn)
{
    fused(t, insn, IR_F64, true, true);
}

/* fadd.d rd, rs1, rs2[, rm] */
void riscv_translate_fadd_d(Translator *t, const RiscvInsn *insn)
{
    arithmetic(t, insn, IR_OP_fadd, IR_F64);
}

/* fsub.d rd, rs1, rs2[, rm] */
void riscv_translate_fsub_d(Translator *t, const RiscvInsn *insn)
{
    arithmetic(t, insn, IR_OP_fsub, IR_F64);
}

/* fmul.d rd, rs1, rs2[, rm] */
void riscv_translate_fmul_d(Translator *t, const RiscvInsn *insn)
{
    arithmetic(t, insn, IR_OP_fmul, IR_F64);
}

/* fdiv.d rd, rs1, rs2[, rm] */
void riscv_translate_fdiv_d(Translator *t, const RiscvInsn *insn)
{
    arithmetic(t, insn, IR_OP_fdiv, IR_F64);
}

/* fsqrt.d rd, rs1[, rm] */
void riscv_translate_fsqrt_d(Translator *t, const RiscvInsn *insn)
{
    square_root(t, insn, IR_F64);
}

/* fsgnj.d rd, rs1, rs2 */
void riscv_translate_fsgnj_d(Translator *t, const RiscvInsn *insn)
{
    sign_injection(t, insn, IR_F64, SIGN_OF);
}

/* fsgnjn.d rd, rs1, rs2 */
void riscv_translate_fsgnjn_d(Translator *t, const RiscvInsn *insn)
{
    sign_injection(t, insn, IR_F64, SIGN_OPPOSITE);
}

/* fsgnjx.d rd, rs1, rs2 */
void riscv_translate_fsgnjx_d(Translator *t, const RiscvInsn *insn)
{
    sign_injection(t, insn, IR_F64, SIGN_PRODUCT);
}

/* fmin.d rd, rs1, rs2 */
void riscv_translate_fmin_d(Translator *t, const RiscvInsn *insn)
{
    minimum_maximum(t, insn, IR_OP_fmin, IR_F64);
}

/* fmax.d rd, rs1, rs2 */
void riscv_translate_fmax_d(Translator *t, const RiscvInsn *insn)
{
    minimum_maximum(t, insn, IR_OP_fmax, IR_F64);
}

/* feq.d rd, rs1, rs2 */
void riscv_translate_feq_d(Translator *t, const RiscvInsn *insn)
{
    compare(t, insn, IR_F64, IR_FP_EQ_QUIET);
}

/* flt.d rd, rs1, rs2 */
void riscv_translate_flt_d(Translator *t, const RiscvInsn *insn)
{
    compare(t, insn, IR_F64, IR_FP_LT);
}

/* fle.d rd, rs1, rs2 */
void riscv_translate_fle_d(Translator *t, const RiscvInsn *insn)
{
    compare(t, insn, IR_F64, IR_FP_LE);
}

/* fclass.d rd, rs1 */
void riscv_translate_fclass_d(Translator *t, const RiscvInsn *insn)
{
    classify(t, insn, IR_F64);
}

/* fcvt.w.d rd, rs1[, rm] */
void riscv_translate_fcvt_w_d(Translator *t, const RiscvInsn *insn)
{
    to_integer(t, insn, IR_OP_f_to_s, IR_I32, IR_F64);
}

/* fcvt.wu.d rd, rs1[, rm] */
void riscv_translate_fcvt_wu_d(Translator *t, const RiscvInsn *insn)
{
    to_integer(t, insn, IR_OP_f_to_u, IR_I32, IR_F64);
}

/* fcvt.l.d rd, rs1[, rm] */
void riscv_translate_fcvt_l_d(Translator *t, const RiscvInsn *insn)
{
    to_integer(t, insn, IR_OP_f_to_s, IR_I64, IR_F64);
}

/* fcvt.lu.d rd, rs1[, rm] */
void riscv_translate_fcvt_lu_d(Translator *t, const RiscvInsn *insn)
{
    to_integer(t, insn, IR_OP_f_to_u, IR_I64, IR_F64);
}

/* fcvt.d.w rd, rs1[, rm] */
void riscv_translate_fcvt_d_w(Translator *t, const RiscvInsn *insn)
{
    from_integer(t, insn, IR_OP_s_to_f, IR_F64, IR_I32);
}

/* fcvt.d.wu rd, rs1[, rm] */
void riscv_translate_fcvt_d_wu(Translator *t, const RiscvInsn *insn)
{
    from_integer(t, insn, IR_OP_u_to_f, IR_F64, IR_I32);
}

/* fcvt.d.l rd, rs1[, rm] */
void riscv_translate_fcvt_d_l(Translator *t, const RiscvInsn *insn)
{
    from_integer(t, insn, IR_OP_s_to_f, IR_F64, IR_I64);
}

/* fcvt.d.lu rd, rs1[, rm] */
void riscv_translate_fcvt_d_lu(Translator *t, const RiscvInsn *insn)
{
    from_integer(t, insn, IR_OP_u_to_f, IR_F64, IR_I64);
}

/* fcvt.s.d rd, rs1[, rm] */
void riscv_translate_fcvt_s_d(Translator *t, const RiscvInsn *insn)
{
    convert(t, insn, IR_F32, IR_F64);
}

/* fcvt.d.s rd, rs1[, rm] */
void riscv_translate_fcvt_d_s(Translator *t, const RiscvInsn *insn)
{
    convert(t, insn, IR_F64, IR_F32);
}
