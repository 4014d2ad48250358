/* F and D, and Zfinx and Zdinx, which are the same in integer registers: an instruction each. */
#include "guest/riscv/translate_fp.h"

/* fmv.x.w rd, rs1 */
void riscv_translate_fmv_x_w(Translator *t, const RiscvInsn *insn)
{
    if (riscv_fp_is_on(t, insn)) {
        set_x_word(t, insn->rd, ir_get(&t->ir, IR_I32, riscv_fp_register(insn->rs1)));
    }
}

/* fmv.w.x rd, rs1 */
void riscv_translate_fmv_w_x(Translator *t, const RiscvInsn *insn)
{
    if (riscv_fp_changes(t, insn)) {
        IrRef value = ir_unary(&t->ir, IR_OP_bitcast, IR_F32, get_x_as(t, IR_I32, insn->rs1));
        riscv_fp_set(t, IR_F32, insn->rd, value);
    }
}

/* fmv.x.d rd, rs1 */
void riscv_translate_fmv_x_d(Translator *t, const RiscvInsn *insn)
{
    if (riscv_fp_is_on(t, insn)) {
        set_x(t, insn->rd, ir_get(&t->ir, IR_I64, riscv_fp_register(insn->rs1)));
    }
}

/* fmv.d.x rd, rs1 */
void riscv_translate_fmv_d_x(Translator *t, const RiscvInsn *insn)
{
    if (riscv_fp_changes(t, insn)) {
        ir_set(&t->ir, riscv_fp_register(insn->rd), get_x(t, insn->rs1));
    }
}

/* flw rd, offset(rs1) */
void riscv_translate_flw(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_load(t, insn, IR_F32, MEM_32);
}

/* fsw rs2, offset(rs1) */
void riscv_translate_fsw(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_store(t, insn, IR_I32, MEM_32);
}

/* fmadd.s rd, rs1, rs2, rs3[, rm] */
void riscv_translate_fmadd_s(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_fused(t, insn, IR_F32, false, false);
}

/* fmsub.s rd, rs1, rs2, rs3[, rm] */
void riscv_translate_fmsub_s(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_fused(t, insn, IR_F32, false, true);
}

/* fnmsub.s rd, rs1, rs2, rs3[, rm] */
void riscv_translate_fnmsub_s(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_fused(t, insn, IR_F32, true, false);
}

/* fnmadd.s rd, rs1, rs2, rs3[, rm] */
void riscv_translate_fnmadd_s(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_fused(t, insn, IR_F32, true, true);
}

/* fadd.s rd, rs1, rs2[, rm] */
void riscv_translate_fadd_s(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_arithmetic(t, insn, IR_OP_fadd, IR_F32);
}

/* fsub.s rd, rs1, rs2[, rm] */
void riscv_translate_fsub_s(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_arithmetic(t, insn, IR_OP_fsub, IR_F32);
}

/* fmul.s rd, rs1, rs2[, rm] */
void riscv_translate_fmul_s(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_arithmetic(t, insn, IR_OP_fmul, IR_F32);
}

/* fdiv.s rd, rs1, rs2[, rm] */
void riscv_translate_fdiv_s(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_arithmetic(t, insn, IR_OP_fdiv, IR_F32);
}

/* fsqrt.s rd, rs1[, rm] */
void riscv_translate_fsqrt_s(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_square_root(t, insn, IR_F32);
}

/* fsgnj.s rd, rs1, rs2 */
void riscv_translate_fsgnj_s(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_sign_injection(t, insn, IR_F32, SIGN_OF);
}

/* fsgnjn.s rd, rs1, rs2 */
void riscv_translate_fsgnjn_s(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_sign_injection(t, insn, IR_F32, SIGN_OPPOSITE);
}

/* fsgnjx.s rd, rs1, rs2 */
void riscv_translate_fsgnjx_s(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_sign_injection(t, insn, IR_F32, SIGN_PRODUCT);
}

/* fmin.s rd, rs1, rs2 */
void riscv_translate_fmin_s(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_minimum_maximum(t, insn, IR_OP_fmin, IR_F32, FP_MINMAX_NUMBER);
}

/* fmax.s rd, rs1, rs2 */
void riscv_translate_fmax_s(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_minimum_maximum(t, insn, IR_OP_fmax, IR_F32, FP_MINMAX_NUMBER);
}

/* feq.s rd, rs1, rs2 */
void riscv_translate_feq_s(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_compare(t, insn, IR_F32, IR_FP_EQ_QUIET);
}

/* flt.s rd, rs1, rs2 */
void riscv_translate_flt_s(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_compare(t, insn, IR_F32, IR_FP_LT);
}

/* fle.s rd, rs1, rs2 */
void riscv_translate_fle_s(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_compare(t, insn, IR_F32, IR_FP_LE);
}

/* fclass.s rd, rs1 */
void riscv_translate_fclass_s(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_classify(t, insn, IR_F32);
}

/* fcvt.w.s rd, rs1[, rm] */
void riscv_translate_fcvt_w_s(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_to_integer(t, insn, IR_OP_f_to_s, IR_I32, IR_F32);
}

/* fcvt.wu.s rd, rs1[, rm] */
void riscv_translate_fcvt_wu_s(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_to_integer(t, insn, IR_OP_f_to_u, IR_I32, IR_F32);
}

/* fcvt.l.s rd, rs1[, rm] */
void riscv_translate_fcvt_l_s(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_to_integer(t, insn, IR_OP_f_to_s, IR_I64, IR_F32);
}

/* fcvt.lu.s rd, rs1[, rm] */
void riscv_translate_fcvt_lu_s(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_to_integer(t, insn, IR_OP_f_to_u, IR_I64, IR_F32);
}

/* fcvt.s.w rd, rs1[, rm] */
void riscv_translate_fcvt_s_w(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_from_integer(t, insn, IR_OP_s_to_f, IR_F32, IR_I32);
}

/* fcvt.s.wu rd, rs1[, rm] */
void riscv_translate_fcvt_s_wu(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_from_integer(t, insn, IR_OP_u_to_f, IR_F32, IR_I32);
}

/* fcvt.s.l rd, rs1[, rm] */
void riscv_translate_fcvt_s_l(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_from_integer(t, insn, IR_OP_s_to_f, IR_F32, IR_I64);
}

/* fcvt.s.lu rd, rs1[, rm] */
void riscv_translate_fcvt_s_lu(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_from_integer(t, insn, IR_OP_u_to_f, IR_F32, IR_I64);
}

/* fld rd, offset(rs1) */
void riscv_translate_fld(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_load(t, insn, IR_F64, MEM_64);
}

/* fsd rs2, offset(rs1) */
void riscv_translate_fsd(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_store(t, insn, IR_I64, MEM_64);
}

/* fmadd.d rd, rs1, rs2, rs3[, rm] */
void riscv_translate_fmadd_d(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_fused(t, insn, IR_F64, false, false);
}

/* fmsub.d rd, rs1, rs2, rs3[, rm] */
void riscv_translate_fmsub_d(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_fused(t, insn, IR_F64, false, true);
}

/* fnmsub.d rd, rs1, rs2, rs3[, rm] */
void riscv_translate_fnmsub_d(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_fused(t, insn, IR_F64, true, false);
}

/* fnmadd.d rd, rs1, rs2, rs3[, rm] */
void riscv_translate_fnmadd_d(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_fused(t, insn, IR_F64, true, true);
}

/* fadd.d rd, rs1, rs2[, rm] */
void riscv_translate_fadd_d(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_arithmetic(t, insn, IR_OP_fadd, IR_F64);
}

/* fsub.d rd, rs1, rs2[, rm] */
void riscv_translate_fsub_d(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_arithmetic(t, insn, IR_OP_fsub, IR_F64);
}

/* fmul.d rd, rs1, rs2[, rm] */
void riscv_translate_fmul_d(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_arithmetic(t, insn, IR_OP_fmul, IR_F64);
}

/* fdiv.d rd, rs1, rs2[, rm] */
void riscv_translate_fdiv_d(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_arithmetic(t, insn, IR_OP_fdiv, IR_F64);
}

/* fsqrt.d rd, rs1[, rm] */
void riscv_translate_fsqrt_d(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_square_root(t, insn, IR_F64);
}

/* fsgnj.d rd, rs1, rs2 */
void riscv_translate_fsgnj_d(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_sign_injection(t, insn, IR_F64, SIGN_OF);
}

/* fsgnjn.d rd, rs1, rs2 */
void riscv_translate_fsgnjn_d(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_sign_injection(t, insn, IR_F64, SIGN_OPPOSITE);
}

/* fsgnjx.d rd, rs1, rs2 */
void riscv_translate_fsgnjx_d(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_sign_injection(t, insn, IR_F64, SIGN_PRODUCT);
}

/* fmin.d rd, rs1, rs2 */
void riscv_translate_fmin_d(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_minimum_maximum(t, insn, IR_OP_fmin, IR_F64, FP_MINMAX_NUMBER);
}

/* fmax.d rd, rs1, rs2 */
void riscv_translate_fmax_d(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_minimum_maximum(t, insn, IR_OP_fmax, IR_F64, FP_MINMAX_NUMBER);
}

/* feq.d rd, rs1, rs2 */
void riscv_translate_feq_d(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_compare(t, insn, IR_F64, IR_FP_EQ_QUIET);
}

/* flt.d rd, rs1, rs2 */
void riscv_translate_flt_d(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_compare(t, insn, IR_F64, IR_FP_LT);
}

/* fle.d rd, rs1, rs2 */
void riscv_translate_fle_d(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_compare(t, insn, IR_F64, IR_FP_LE);
}

/* fclass.d rd, rs1 */
void riscv_translate_fclass_d(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_classify(t, insn, IR_F64);
}

/* fcvt.w.d rd, rs1[, rm] */
void riscv_translate_fcvt_w_d(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_to_integer(t, insn, IR_OP_f_to_s, IR_I32, IR_F64);
}

/* fcvt.wu.d rd, rs1[, rm] */
void riscv_translate_fcvt_wu_d(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_to_integer(t, insn, IR_OP_f_to_u, IR_I32, IR_F64);
}

/* fcvt.l.d rd, rs1[, rm] */
void riscv_translate_fcvt_l_d(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_to_integer(t, insn, IR_OP_f_to_s, IR_I64, IR_F64);
}

/* fcvt.lu.d rd, rs1[, rm] */
void riscv_translate_fcvt_lu_d(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_to_integer(t, insn, IR_OP_f_to_u, IR_I64, IR_F64);
}

/* fcvt.d.w rd, rs1[, rm] */
void riscv_translate_fcvt_d_w(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_from_integer(t, insn, IR_OP_s_to_f, IR_F64, IR_I32);
}

/* fcvt.d.wu rd, rs1[, rm] */
void riscv_translate_fcvt_d_wu(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_from_integer(t, insn, IR_OP_u_to_f, IR_F64, IR_I32);
}

/* fcvt.d.l rd, rs1[, rm] */
void riscv_translate_fcvt_d_l(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_from_integer(t, insn, IR_OP_s_to_f, IR_F64, IR_I64);
}

/* fcvt.d.lu rd, rs1[, rm] */
void riscv_translate_fcvt_d_lu(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_from_integer(t, insn, IR_OP_u_to_f, IR_F64, IR_I64);
}

/* fcvt.s.d rd, rs1[, rm] */
void riscv_translate_fcvt_s_d(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_convert(t, insn, IR_F32, IR_F64);
}

/* fcvt.d.s rd, rs1[, rm] */
void riscv_translate_fcvt_d_s(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_convert(t, insn, IR_F64, IR_F32);
}
