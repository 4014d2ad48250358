/*
 * Zfh and Zfhmin, half precision; Zhinx and Zhinxmin, the same in integer registers; Zfbfmin, which converts between
 * bf16 and single precision.
 */
#include "guest/riscv/translate_fp.h"

/* flh rd, offset(rs1) */
void riscv_translate_flh(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_load(t, insn, IR_F16, MEM_16);
}

/* fsh rs2, offset(rs1) */
void riscv_translate_fsh(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_store(t, insn, IR_I32, MEM_16);
}

/* fmv.x.h rd, rs1 */
void riscv_translate_fmv_x_h(Translator *t, const RiscvInsn *insn)
{
    if (riscv_fp_is_on(t, insn)) {
        IrRef bits = ir_get(&t->ir, x_type(t), riscv_fp_register(insn->rs1));
        set_x(t, insn->rd, ir_extend(&t->ir, IR_OP_sext, x_type(t), 16, bits));
    }
}

/* fmv.h.x rd, rs1 */
void riscv_translate_fmv_h_x(Translator *t, const RiscvInsn *insn)
{
    if (riscv_fp_changes(t, insn)) {
        IrRef value = ir_unary(&t->ir, IR_OP_bitcast, IR_F16, get_x_as(t, IR_I32, insn->rs1));
        riscv_fp_set(t, IR_F16, insn->rd, value);
    }
}

/* fmadd.h rd, rs1, rs2, rs3[, rm] */
void riscv_translate_fmadd_h(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_fused(t, insn, IR_F16, false, false);
}

/* fmsub.h rd, rs1, rs2, rs3[, rm] */
void riscv_translate_fmsub_h(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_fused(t, insn, IR_F16, false, true);
}

/* fnmsub.h rd, rs1, rs2, rs3[, rm] */
void riscv_translate_fnmsub_h(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_fused(t, insn, IR_F16, true, false);
}

/* fnmadd.h rd, rs1, rs2, rs3[, rm] */
void riscv_translate_fnmadd_h(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_fused(t, insn, IR_F16, true, true);
}

/* fadd.h rd, rs1, rs2[, rm] */
void riscv_translate_fadd_h(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_arithmetic(t, insn, IR_OP_fadd, IR_F16);
}

/* fsub.h rd, rs1, rs2[, rm] */
void riscv_translate_fsub_h(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_arithmetic(t, insn, IR_OP_fsub, IR_F16);
}

/* fmul.h rd, rs1, rs2[, rm] */
void riscv_translate_fmul_h(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_arithmetic(t, insn, IR_OP_fmul, IR_F16);
}

/* fdiv.h rd, rs1, rs2[, rm] */
void riscv_translate_fdiv_h(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_arithmetic(t, insn, IR_OP_fdiv, IR_F16);
}

/* fsqrt.h rd, rs1[, rm] */
void riscv_translate_fsqrt_h(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_square_root(t, insn, IR_F16);
}

/* fsgnj.h rd, rs1, rs2 */
void riscv_translate_fsgnj_h(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_sign_injection(t, insn, IR_F16, SIGN_OF);
}

/* fsgnjn.h rd, rs1, rs2 */
void riscv_translate_fsgnjn_h(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_sign_injection(t, insn, IR_F16, SIGN_OPPOSITE);
}

/* fsgnjx.h rd, rs1, rs2 */
void riscv_translate_fsgnjx_h(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_sign_injection(t, insn, IR_F16, SIGN_PRODUCT);
}

/* fmin.h rd, rs1, rs2 */
void riscv_translate_fmin_h(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_minimum_maximum(t, insn, IR_OP_fmin, IR_F16, FP_MINMAX_NUMBER);
}

/* fmax.h rd, rs1, rs2 */
void riscv_translate_fmax_h(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_minimum_maximum(t, insn, IR_OP_fmax, IR_F16, FP_MINMAX_NUMBER);
}

/* feq.h rd, rs1, rs2 */
void riscv_translate_feq_h(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_compare(t, insn, IR_F16, IR_FP_EQ_QUIET);
}

/* flt.h rd, rs1, rs2 */
void riscv_translate_flt_h(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_compare(t, insn, IR_F16, IR_FP_LT);
}

/* fle.h rd, rs1, rs2 */
void riscv_translate_fle_h(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_compare(t, insn, IR_F16, IR_FP_LE);
}

/* fclass.h rd, rs1 */
void riscv_translate_fclass_h(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_classify(t, insn, IR_F16);
}

/* fcvt.w.h rd, rs1[, rm] */
void riscv_translate_fcvt_w_h(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_to_integer(t, insn, IR_OP_f_to_s, IR_I32, IR_F16);
}

/* fcvt.wu.h rd, rs1[, rm] */
void riscv_translate_fcvt_wu_h(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_to_integer(t, insn, IR_OP_f_to_u, IR_I32, IR_F16);
}

/* fcvt.l.h rd, rs1[, rm] */
void riscv_translate_fcvt_l_h(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_to_integer(t, insn, IR_OP_f_to_s, IR_I64, IR_F16);
}

/* fcvt.lu.h rd, rs1[, rm] */
void riscv_translate_fcvt_lu_h(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_to_integer(t, insn, IR_OP_f_to_u, IR_I64, IR_F16);
}

/* fcvt.h.w rd, rs1[, rm] */
void riscv_translate_fcvt_h_w(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_from_integer(t, insn, IR_OP_s_to_f, IR_F16, IR_I32);
}

/* fcvt.h.wu rd, rs1[, rm] */
void riscv_translate_fcvt_h_wu(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_from_integer(t, insn, IR_OP_u_to_f, IR_F16, IR_I32);
}

/* fcvt.h.l rd, rs1[, rm] */
void riscv_translate_fcvt_h_l(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_from_integer(t, insn, IR_OP_s_to_f, IR_F16, IR_I64);
}

/* fcvt.h.lu rd, rs1[, rm] */
void riscv_translate_fcvt_h_lu(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_from_integer(t, insn, IR_OP_u_to_f, IR_F16, IR_I64);
}

/* fcvt.s.h rd, rs1[, rm] */
void riscv_translate_fcvt_s_h(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_convert(t, insn, IR_F32, IR_F16);
}

/* fcvt.h.s rd, rs1[, rm] */
void riscv_translate_fcvt_h_s(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_convert(t, insn, IR_F16, IR_F32);
}

/* fcvt.d.h rd, rs1[, rm] */
void riscv_translate_fcvt_d_h(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_convert(t, insn, IR_F64, IR_F16);
}

/* fcvt.h.d rd, rs1[, rm] */
void riscv_translate_fcvt_h_d(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_convert(t, insn, IR_F16, IR_F64);
}

/* fcvt.bf16.s rd, rs1[, rm] */
void riscv_translate_fcvt_bf16_s(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_convert(t, insn, IR_BF16, IR_F32);
}

/* fcvt.s.bf16 rd, rs1[, rm] */
void riscv_translate_fcvt_s_bf16(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_convert(t, insn, IR_F32, IR_BF16);
}
