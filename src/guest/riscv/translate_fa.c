/* Zfa: more floating-point instructions. Not here: those of quad precision (Q). */
#include "guest/riscv/translate_fp.h"

/* What fli has: as doubles, and as disassemblers write them. */
static const struct {
    uint64_t bits;
    const char *text;
} constants[] = {
    { UINT64_C(0xbff0000000000000), "-0x1p+0" }, { UINT64_C(0x0010000000000000), "min" },
    { UINT64_C(0x3ef0000000000000), "0x1p-16" }, { UINT64_C(0x3f00000000000000), "0x1p-15" },
    { UINT64_C(0x3f70000000000000), "0x1p-8" }, { UINT64_C(0x3f80000000000000), "0x1p-7" },
    { UINT64_C(0x3fb0000000000000), "0x1p-4" }, { UINT64_C(0x3fc0000000000000), "0x1p-3" },
    { UINT64_C(0x3fd0000000000000), "0x1p-2" }, { UINT64_C(0x3fd4000000000000), "0x1.4p-2" },
    { UINT64_C(0x3fd8000000000000), "0x1.8p-2" }, { UINT64_C(0x3fdc000000000000), "0x1.cp-2" },
    { UINT64_C(0x3fe0000000000000), "0x1p-1" }, { UINT64_C(0x3fe4000000000000), "0x1.4p-1" },
    { UINT64_C(0x3fe8000000000000), "0x1.8p-1" }, { UINT64_C(0x3fec000000000000), "0x1.cp-1" },
    { UINT64_C(0x3ff0000000000000), "0x1p+0" }, { UINT64_C(0x3ff4000000000000), "0x1.4p+0" },
    { UINT64_C(0x3ff8000000000000), "0x1.8p+0" }, { UINT64_C(0x3ffc000000000000), "0x1.cp+0" },
    { UINT64_C(0x4000000000000000), "0x1p+1" }, { UINT64_C(0x4004000000000000), "0x1.4p+1" },
    { UINT64_C(0x4008000000000000), "0x1.8p+1" }, { UINT64_C(0x4010000000000000), "0x1p+2" },
    { UINT64_C(0x4020000000000000), "0x1p+3" }, { UINT64_C(0x4030000000000000), "0x1p+4" },
    { UINT64_C(0x4060000000000000), "0x1p+7" }, { UINT64_C(0x4070000000000000), "0x1p+8" },
    { UINT64_C(0x40e0000000000000), "0x1p+15" }, { UINT64_C(0x40f0000000000000), "0x1p+16" },
    { UINT64_C(0x7ff0000000000000), "inf" }, { UINT64_C(0x7ff8000000000000), "nan" },
};
enum { FLI_SMALLEST_NORMAL = 1 };

const char *riscv_fli_text(int32_t number)
{
    return constants[number].text;
}

/* In the format. The least normal number is each format's own; 2^16 is infinite in half precision. */
static uint64_t constant_bits(IrType type, int32_t number)
{
    FpContext fp = { 0 };

    switch (type) {
    case IR_F16:
        return number == FLI_SMALLEST_NORMAL ? 0x0400 : f16_from_f64(constants[number].bits, &fp);
    case IR_F32:
        return number == FLI_SMALLEST_NORMAL ? 0x00800000 : f32_from_f64(constants[number].bits, &fp);
    default:
        return constants[number].bits;
    }
}

static void load_constant(Translator *t, const RiscvInsn *insn, IrType type)
{
    IrType bits = type == IR_F64 ? IR_I64 : IR_I32;

    if (riscv_fp_changes(t, insn)) {
        IrRef value = ir_const(&t->ir, bits, constant_bits(type, insn->rs1));
        riscv_fp_set(t, type, insn->rd, ir_unary(&t->ir, IR_OP_bitcast, type, value));
    }
}

static void round_to_integral(Translator *t, const RiscvInsn *insn, IrType type, bool raises_inexact)
{
    if (riscv_fp_rounds(t, insn)) {
        unsigned aux = IR_FP(FP_CONTEXT, riscv_fp_rounding(t, insn), raises_inexact, type);
        IrRef operand = riscv_fp_get(t, type, insn->rs1);
        riscv_fp_set(t, type, insn->rd, ir_emit(&t->ir, IR_OP_fround_int, type, aux, operand, 0, 0));
    }
}

uint64_t riscv_helper_fcvtmod(Cpu *cpu, uint64_t bits, uint64_t unused_b, uint64_t unused_c)
{
    enum { FRACTION_BITS = 52, EXPONENTS = 0x7ff, BIAS = 1023 };
    unsigned exponent = bits >> FRACTION_BITS & EXPONENTS;
    int shift = (int)exponent - BIAS - FRACTION_BITS;
    uint64_t magnitude = (bits & mask_bits(FRACTION_BITS)) | BIT(FRACTION_BITS);

    if (exponent < BIAS || exponent == EXPONENTS || shift >= 32) {
        return 0;
    }
    magnitude = shift < 0 ? magnitude >> -shift : magnitude << shift;
    return (uint32_t)(bits >> 63 ? -magnitude : magnitude);
}

/* fcvtmod.w.d rd, rs1, rtz: modulo 2^32, and 0 for what is not finite; with the flags of fcvt.w.d */
void riscv_translate_fcvtmod_w_d(Translator *t, const RiscvInsn *insn)
{
    if (!riscv_fp_changes(t, insn)) {
        return;
    }
    unsigned aux = IR_FP(FP_CONTEXT, FP_ROUND_TOWARD_ZERO, 0, IR_F64);
    IrRef operand = riscv_fp_get(t, IR_F64, insn->rs1), bits = ir_unary(&t->ir, IR_OP_bitcast, IR_I64, operand);
    ir_emit(&t->ir, IR_OP_f_to_s, IR_I32, aux, operand, 0, 0);
    set_x_word(t, insn->rd, ir_call(&t->ir, RISCV_HELPER_FCVTMOD, IR_I32, &bits, 1));
}

/* fmvh.x.d rd, rs1 */
void riscv_translate_fmvh_x_d(Translator *t, const RiscvInsn *insn)
{
    if (riscv_fp_is_on(t, insn)) {
        IrRef bits = ir_get(&t->ir, IR_I64, riscv_fp_register(insn->rs1));
        set_x(t, insn->rd, ir_trunc(&t->ir, IR_I32, ir_binary_const(&t->ir, IR_OP_shr, IR_I64, bits, 32)));
    }
}

/* fmvp.d.x rd, rs1, rs2 */
void riscv_translate_fmvp_d_x(Translator *t, const RiscvInsn *insn)
{
    if (riscv_fp_changes(t, insn)) {
        IrRef high = ir_binary_const(&t->ir, IR_OP_shl, IR_I64, get_x_as(t, IR_I64, insn->rs2), 32);
        IrRef bits = ir_binary(&t->ir, IR_OP_or, IR_I64, get_x_as(t, IR_I64, insn->rs1), high);
        riscv_fp_set(t, IR_F64, insn->rd, ir_unary(&t->ir, IR_OP_bitcast, IR_F64, bits));
    }
}

/* fli.s rd, constant */
void riscv_translate_fli_s(Translator *t, const RiscvInsn *insn)
{
    load_constant(t, insn, IR_F32);
}

/* fminm.s rd, rs1, rs2 */
void riscv_translate_fminm_s(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_minimum_maximum(t, insn, IR_OP_fmin, IR_F32, FP_MINMAX_NAN);
}

/* fmaxm.s rd, rs1, rs2 */
void riscv_translate_fmaxm_s(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_minimum_maximum(t, insn, IR_OP_fmax, IR_F32, FP_MINMAX_NAN);
}

/* fround.s rd, rs1[, rm] */
void riscv_translate_fround_s(Translator *t, const RiscvInsn *insn)
{
    round_to_integral(t, insn, IR_F32, false);
}

/* froundnx.s rd, rs1[, rm] */
void riscv_translate_froundnx_s(Translator *t, const RiscvInsn *insn)
{
    round_to_integral(t, insn, IR_F32, true);
}

/* fleq.s rd, rs1, rs2 */
void riscv_translate_fleq_s(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_compare(t, insn, IR_F32, IR_FP_LE_QUIET);
}

/* fltq.s rd, rs1, rs2 */
void riscv_translate_fltq_s(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_compare(t, insn, IR_F32, IR_FP_LT_QUIET);
}

/* fli.d rd, constant */
void riscv_translate_fli_d(Translator *t, const RiscvInsn *insn)
{
    load_constant(t, insn, IR_F64);
}

/* fminm.d rd, rs1, rs2 */
void riscv_translate_fminm_d(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_minimum_maximum(t, insn, IR_OP_fmin, IR_F64, FP_MINMAX_NAN);
}

/* fmaxm.d rd, rs1, rs2 */
void riscv_translate_fmaxm_d(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_minimum_maximum(t, insn, IR_OP_fmax, IR_F64, FP_MINMAX_NAN);
}

/* fround.d rd, rs1[, rm] */
void riscv_translate_fround_d(Translator *t, const RiscvInsn *insn)
{
    round_to_integral(t, insn, IR_F64, false);
}

/* froundnx.d rd, rs1[, rm] */
void riscv_translate_froundnx_d(Translator *t, const RiscvInsn *insn)
{
    round_to_integral(t, insn, IR_F64, true);
}

/* fleq.d rd, rs1, rs2 */
void riscv_translate_fleq_d(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_compare(t, insn, IR_F64, IR_FP_LE_QUIET);
}

/* fltq.d rd, rs1, rs2 */
void riscv_translate_fltq_d(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_compare(t, insn, IR_F64, IR_FP_LT_QUIET);
}

/* fli.h rd, constant */
void riscv_translate_fli_h(Translator *t, const RiscvInsn *insn)
{
    load_constant(t, insn, IR_F16);
}

/* fminm.h rd, rs1, rs2 */
void riscv_translate_fminm_h(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_minimum_maximum(t, insn, IR_OP_fmin, IR_F16, FP_MINMAX_NAN);
}

/* fmaxm.h rd, rs1, rs2 */
void riscv_translate_fmaxm_h(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_minimum_maximum(t, insn, IR_OP_fmax, IR_F16, FP_MINMAX_NAN);
}

/* fround.h rd, rs1[, rm] */
void riscv_translate_fround_h(Translator *t, const RiscvInsn *insn)
{
    round_to_integral(t, insn, IR_F16, false);
}

/* froundnx.h rd, rs1[, rm] */
void riscv_translate_froundnx_h(Translator *t, const RiscvInsn *insn)
{
    round_to_integral(t, insn, IR_F16, true);
}

/* fleq.h rd, rs1, rs2 */
void riscv_translate_fleq_h(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_compare(t, insn, IR_F16, IR_FP_LE_QUIET);
}

/* fltq.h rd, rs1, rs2 */
void riscv_translate_fltq_h(Translator *t, const RiscvInsn *insn)
{
    riscv_fp_compare(t, insn, IR_F16, IR_FP_LT_QUIET);
}
