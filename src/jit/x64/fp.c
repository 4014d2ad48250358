/*
 * The host code of each floating-point operation of IR. After the Intel SDM, volume 2. Not here: bf16's arithmetic and
 * its conversions, f16's fused multiply-add and its conversion from f64 (which would round twice), classes of other
 * than normal numbers, rounding to nearest with ties away, static roundings of arithmetic, that MXCSR would have to be
 * switched for: those are ir_fp_exact's.
 *
 * f16 is worked on as f32: a sum, product, quotient or square root of 11-bit numbers, rounded to 24 bits and then to
 * 11, is what rounding once gives (24 >= 2 * 11 + 2), and no such result is tiny and inexact in the first step alone.
 */
#include "jit/x64/fp.h"

#include "jit/fp_exact.h"

enum { KEEP_LOW_ALONE = 14, HALF_ROUNDS_BY_MXCSR = 4, ROUND_BY_MXCSR = 4, ROUND_IS_SILENT = 8 };

/* What the functions below work on. */
typedef struct Emitter {
    X64Code *code;
    const X64FpHost *host;
    const X64FpOperation *o;
    X64FpCold *cold;
    FpTreatment treatment;
    bool default_nans; /* whatever NaNs go in */
} Emitter;

void x64_fp_constants_init(X64FpConstants *constants)
{
    static const uint8_t widths[IR_F64 + 1] = { [IR_F16] = 16, [IR_BF16] = 16, [IR_F32] = 32, [IR_F64] = 64 };

    for (unsigned type = IR_F16; type <= IR_F64; type++) {
        constants->sign[type][0] = BIT(widths[type] - 1);
        constants->magnitude[type][0] = ~BIT(widths[type] - 1);
        constants->box[type][0] = widths[type] == 64 ? 0 : -BIT(widths[type]);
    }
}

/* One of a pair of instructions, those of f32 (f16 too, which is worked on as that) and f64. */
static X64Op by_format(IrType type, X64Op single)
{
    return type == IR_F64 ? (X64Op)(single + 1) : single;
}
_Static_assert(X64_VADDSD == X64_VADDSS + 1 && X64_VFNMSUB231SD == X64_VFNMSUB231SS + 1, "instructions are in pairs");

static void move(Emitter *e, unsigned to, unsigned from)
{
    if (to != from) {
        x64_rrr(e->code, X64_VMOVAPS, to, 0, from);
    }
}

static void all_ones(X64Code *code, unsigned reg)
{
    x64_rrr(code, X64_VPCMPEQD, reg, reg, reg);
}

static void cold_if(X64Code *code, X64FpCold *cold, X64FpColdKind kind, X64Condition condition)
{
    cold->kind = kind;
    cold->jump = x64_branch_forward(code, condition);
}

/* Flags by a and b: unordered is parity. */
static void compare(X64Code *code, IrType type, bool quiet, unsigned a, unsigned b)
{
    x64_rrr(code, by_format(type, quiet ? X64_VUCOMISS : X64_VCOMISS), a, 0, b);
}

/* ---- f16 as f32 ---- */

/* The operand itself, or an f16 one widened into `scratch`. */
static unsigned widened(Emitter *e, IrType type, unsigned reg, unsigned scratch)
{
    if (type != IR_F16) {
        return reg;
    }
    x64_rrr(e->code, X64_VPMOVZXWQ, scratch, 0, reg); /* what stands above must raise nothing */
    x64_rrr(e->code, X64_VCVTPH2PS, scratch, 0, scratch);
    return scratch;
}

/* The low element of `from` becomes a boxed f16. Its others are zeroes. `from` is lost. */
static void narrow_to_half(Emitter *e, unsigned from, unsigned ones)
{
    x64_rrri(e->code, X64_VCVTPS2PH_MR, from, 0, from, HALF_ROUNDS_BY_MXCSR);
    all_ones(e->code, ones);
    x64_rrri(e->code, X64_VPBLENDW, e->o->result, ones, from, 1);
}

/* ---- Results that may be NaNs ---- */

/* `value` holds the result: it goes to the result's register, checked if it has to be. Operands are still there. */
static X64FpOutcome finish(Emitter *e, unsigned value)
{
    if (e->treatment == FP_TREAT_CHECK) {
        compare(e->code, (IrType)e->o->type, true, value, value);
        cold_if(e->code, e->cold, X64_FP_COLD_EXACT, X64_P);
    }
    move(e, e->o->result, value);
    e->cold->resume = e->code->at;
    return e->treatment == FP_TREAT_SETTLE ? X64_FP_UNSETTLED : X64_FP_DONE;
}

/* The same for an f32 in scratch[0] that becomes an f16; that is settled at once. */
static X64FpOutcome finish_half(Emitter *e, bool may_be_nan)
{
    unsigned value = e->o->scratch[0];

    if (may_be_nan && e->treatment != FP_TREAT_HOST) {
        compare(e->code, IR_F32, true, value, value);
        cold_if(e->code, e->cold, X64_FP_COLD_EXACT, X64_P);
    }
    narrow_to_half(e, value, e->o->scratch[1]);
    e->cold->resume = e->code->at;
    return X64_FP_DONE;
}

/* Where the result may go before it is checked. */
static unsigned target(const Emitter *e)
{
    return e->treatment == FP_TREAT_CHECK ? e->o->scratch[0] : e->o->result;
}

/* ---- Arithmetic ---- */

bool x64_fp_takes_memory(IrOp op)
{
    return op == IR_OP_fadd || op == IR_OP_fsub || op == IR_OP_fmul || op == IR_OP_fdiv || op == IR_OP_ffma;
}

static X64FpOutcome emit_binary(Emitter *e)
{
    static const uint16_t instructions[IR_OP_COUNT] = {
        [IR_OP_fadd] = X64_VADDSS, [IR_OP_fsub] = X64_VSUBSS, [IR_OP_fmul] = X64_VMULSS, [IR_OP_fdiv] = X64_VDIVSS,
    };
    const X64FpOperation *o = e->o;
    X64Op instruction = by_format((IrType)o->type, (X64Op)instructions[o->op]);

    if (o->type == IR_F16) {
        unsigned a = widened(e, IR_F16, o->a, o->scratch[0]), b = widened(e, IR_F16, o->b.base, o->scratch[1]);
        x64_rrr(e->code, instruction, o->scratch[0], a, b);
        return finish_half(e, true);
    }
    x64_rrm(e->code, instruction, target(e), o->a, o->b);
    return finish(e, target(e));
}

static X64FpOutcome emit_sqrt(Emitter *e)
{
    const X64FpOperation *o = e->o;
    unsigned a = widened(e, (IrType)o->type, o->a, o->scratch[0]);

    if (o->type == IR_F16) {
        x64_rrr(e->code, X64_VSQRTSS, o->scratch[0], a, a);
        return finish_half(e, true);
    }
    x64_rrr(e->code, by_format((IrType)o->type, X64_VSQRTSS), target(e), a, a);
    return finish(e, target(e));
}

bool x64_fp_negates(const X64FpHost *host, const FpContext *rules, bool exact, IrType type, unsigned rounding)
{
    return host->fma && (type == IR_F32 || type == IR_F64) && rounding == IR_ROUND_DYNAMIC &&
           rules->nan_rule == FP_NAN_DEFAULT && x64_fp_treatment(rules, IR_OP_ffma, false, exact) != FP_TREAT_EXACT;
}

enum { FORM_132, FORM_213, FORM_231, FORMS = 3 };
_Static_assert(X64_VFMSUB132SS == X64_VFMADD132SS + 2 * FORMS && X64_VFNMADD132SS == X64_VFMSUB132SS + 2 * FORMS,
               "in the table the forms are within the signs");

/* Where a NaN is checked for, the factors must be there still. The addend need not: the result, a NaN, does as well, as
 * what is to be found out is whether infinity times zero was added to a NaN. */
static unsigned fma_target(const Emitter *e)
{
    const X64FpOperation *o = e->o;
    bool takes_factor = o->result == o->a || (!o->b.memory && o->result == o->b.base);
    return e->treatment == FP_TREAT_CHECK && (takes_factor || !e->default_nans) ? o->scratch[0] : o->result;
}

/* The three orders of operands let the result be in the place of any of them. In each, a's NaN comes before b's, and
 * b's before c's. */
static X64FpOutcome emit_fma(Emitter *e)
{
    const X64FpOperation *o = e->o;
    unsigned signs = (o->negate_product ? 2u : 0) + o->negate_addend, to = fma_target(e), b = o->b.base;
    X64Op first = by_format((IrType)o->type, (X64Op)(X64_VFMADD132SS + (int)signs * 2 * FORMS));

    if (o->type == IR_F16 || !e->host->fma) {
        return X64_FP_CALL;
    }
    if (to == o->a && to != o->c) { /* reg = reg * rm + second */
        x64_rrm(e->code, (X64Op)(first + 2 * FORM_132), to, o->c, o->b);
    } else if (!o->b.memory && to == b && to != o->c) { /* reg = second * reg + rm */
        x64_rrr(e->code, (X64Op)(first + 2 * FORM_213), to, o->a, o->c);
    } else { /* reg = second * rm + reg */
        move(e, to, o->c);
        x64_rrm(e->code, (X64Op)(first + 2 * FORM_231), to, o->a, o->b);
    }
    return finish(e, to);
}

/* Neither a NaN: the two orders differ for zeroes of unlike sign alone, and then by the sign. */
static void emit_ordered_minmax(Emitter *e, unsigned a, unsigned b)
{
    const X64FpOperation *o = e->o;
    bool minimum = o->op == IR_OP_fmin;
    X64Op instruction = by_format((IrType)o->type, minimum ? X64_VMINSS : X64_VMAXSS);
    X64Op combination = minimum ? X64_VORPS : X64_VANDPS;

    compare(e->code, (IrType)o->type, true, a, b);
    cold_if(e->code, e->cold, X64_FP_COLD_EXACT, X64_P);
    if (o->type == IR_F16) { /* the operands are in the scratch registers: the result's serves as a third */
        x64_rrr(e->code, instruction, o->result, a, b);
        x64_rrr(e->code, instruction, o->scratch[1], b, a);
        x64_rrr(e->code, combination, o->scratch[0], o->result, o->scratch[1]);
        return;
    }
    x64_rrr(e->code, instruction, o->scratch[0], a, b);
    x64_rrr(e->code, instruction, o->result, b, a);
    x64_rrr(e->code, combination, o->result, o->result, o->scratch[0]);
}

static X64FpOutcome emit_minmax(Emitter *e)
{
    const X64FpOperation *o = e->o;

    if (o->rule == FP_MINMAX_X86) {
        if (o->type == IR_F16) {
            return X64_FP_CALL;
        }
        X64Op instruction = by_format((IrType)o->type, o->op == IR_OP_fmin ? X64_VMINSS : X64_VMAXSS);
        x64_rrr(e->code, instruction, o->result, o->a, o->b.base);
        return X64_FP_DONE;
    }
    unsigned a = widened(e, (IrType)o->type, o->a, o->scratch[0]);
    unsigned b = widened(e, (IrType)o->type, o->b.base, o->scratch[1]);
    emit_ordered_minmax(e, a, b);
    if (o->type == IR_F16) {
        narrow_to_half(e, o->scratch[0], o->scratch[1]);
    }
    e->cold->resume = e->code->at;
    return X64_FP_DONE;
}

static const uint8_t round_modes[8] = {
    [FP_ROUND_NEAREST_EVEN] = 0, [FP_ROUND_DOWN] = 1, [FP_ROUND_UP] = 2, [FP_ROUND_TOWARD_ZERO] = 3,
    [IR_ROUND_DYNAMIC] = ROUND_BY_MXCSR,
};

static void round_to(Emitter *e, IrType type, unsigned to, unsigned from, unsigned mode)
{
    x64_rrri(e->code, type == IR_F64 ? X64_VROUNDSD : X64_VROUNDSS, to, from, from, mode);
}

static X64FpOutcome emit_round(Emitter *e)
{
    const X64FpOperation *o = e->o;
    unsigned mode = round_modes[o->rounding] | (o->rule == 1 ? 0 : ROUND_IS_SILENT);

    if (o->type == IR_F16) {
        round_to(e, IR_F32, o->scratch[0], widened(e, IR_F16, o->a, o->scratch[0]), mode);
        return finish_half(e, true);
    }
    round_to(e, (IrType)o->type, target(e), o->a, mode);
    return finish(e, target(e));
}

/* ---- Signs ---- */

static X64FpOutcome emit_sign(Emitter *e)
{
    const X64FpOperation *o = e->o;
    X64Operand sign = x64_at(e->host->constants->sign[o->type]);
    X64Operand magnitude = x64_at(e->host->constants->magnitude[o->type]);

    if (o->op == IR_OP_fneg) {
        x64_rrm(e->code, X64_VXORPS, o->result, o->a, sign);
    } else if (o->op == IR_OP_fabs) {
        x64_rrm(e->code, X64_VANDPS, o->result, o->a, magnitude);
    } else {
        x64_rrm(e->code, X64_VANDPS, o->scratch[0], o->b.base, sign);
        x64_rrm(e->code, X64_VANDPS, o->result, o->a, magnitude);
        x64_rrr(e->code, X64_VORPS, o->result, o->result, o->scratch[0]);
    }
    return X64_FP_DONE;
}

/* ---- Comparison ---- */

static X64Condition compare_flags(Emitter *e, unsigned a, unsigned b, bool *and_no_parity)
{
    static const struct {
        bool quiet, swapped;
        X64Condition condition;
    } rows[] = {
        [IR_FP_EQ_QUIET] = { true, false, X64_E }, [IR_FP_EQ] = { false, false, X64_E },
        [IR_FP_LT] = { false, true, X64_A },       [IR_FP_LE] = { false, true, X64_AE },
        [IR_FP_LT_QUIET] = { true, true, X64_A },  [IR_FP_LE_QUIET] = { true, true, X64_AE },
        [IR_FP_UNORDERED_QUIET] = { true, false, X64_P },
    };
    unsigned rule = e->o->rule;

    compare(e->code, (IrType)e->o->from, rows[rule].quiet, rows[rule].swapped ? b : a, rows[rule].swapped ? a : b);
    *and_no_parity = rows[rule].condition == X64_E;
    return rows[rule].condition;
}

X64Condition x64_fp_emit_compare(X64Code *code, const X64FpOperation *operation, bool *and_no_parity)
{
    Emitter e = { .code = code, .o = operation };
    unsigned a = widened(&e, (IrType)operation->from, operation->a, operation->scratch[0]);
    unsigned b = widened(&e, (IrType)operation->from, operation->b.base, operation->scratch[1]);

    return compare_flags(&e, a, b, and_no_parity);
}

static X64FpOutcome emit_compare(Emitter *e)
{
    const X64FpOperation *o = e->o;
    bool is_equality = o->rule == IR_FP_EQ || o->rule == IR_FP_EQ_QUIET, and_no_parity;

    x64_rr(e->code, X64_XOR_RM, 4, o->result, o->result);
    if (is_equality) {
        x64_rr(e->code, X64_XOR_RM, 4, o->integer_scratch, o->integer_scratch);
    }
    X64Condition condition = x64_fp_emit_compare(e->code, o, &and_no_parity);
    x64_set(e->code, and_no_parity ? X64_NP : condition, o->result);
    if (and_no_parity) {
        x64_cmov(e->code, X64_NE, 4, o->result, x64_register(o->integer_scratch));
    }
    return X64_FP_DONE;
}

/* ---- Classes ---- */

/* Normal numbers; all others are ir_fp_exact's. */
static X64FpOutcome emit_class(Emitter *e)
{
    const X64FpOperation *o = e->o;
    bool is_double = o->from == IR_F64;
    unsigned size = is_double ? 8 : 4, exponents = is_double ? 0x7ff : 0xff;
    int32_t positive = (int32_t)BIT(FP_CLASS_POSITIVE_NORMAL), negative = (int32_t)BIT(FP_CLASS_NEGATIVE_NORMAL);

    if (o->from == IR_F16) {
        return X64_FP_CALL;
    }
    x64_rr(e->code, X64_VMOVD_MR, size, o->a, o->result);
    x64_rr(e->code, X64_MOV_RM, size, o->integer_scratch, o->result);
    x64_r(e->code, X64_SHR_I, size, o->integer_scratch, is_double ? 52 : 23);
    x64_alu_immediate(e->code, X64_AND, 4, x64_register(o->integer_scratch), exponents);
    x64_alu_immediate(e->code, X64_SUB, 4, x64_register(o->integer_scratch), 1);
    x64_alu_immediate(e->code, X64_CMP, 4, x64_register(o->integer_scratch), exponents - 1);
    cold_if(e->code, e->cold, X64_FP_COLD_EXACT, X64_AE);
    x64_r(e->code, X64_SAR_I, size, o->result, size * 8 - 1);
    x64_alu_immediate(e->code, X64_AND, 4, x64_register(o->result), positive ^ negative);
    x64_alu_immediate(e->code, X64_XOR, 4, x64_register(o->result), positive);
    e->cold->resume = e->code->at;
    return X64_FP_DONE;
}

/* ---- Conversions between formats ---- */

static X64FpOutcome emit_to_half(Emitter *e)
{
    const X64FpOperation *o = e->o;

    if (o->from != IR_F32) {
        return X64_FP_CALL; /* f64's would round twice */
    }
    x64_rrri(e->code, X64_VINSERTPS, o->scratch[0], o->a, o->a, KEEP_LOW_ALONE);
    return finish_half(e, true);
}

static X64FpOutcome emit_convert(Emitter *e)
{
    const X64FpOperation *o = e->o;

    if (o->type == IR_F16) {
        return emit_to_half(e);
    }
    unsigned a = widened(e, (IrType)o->from, o->a, o->scratch[0]);
    if (o->type == IR_F64) {
        x64_rrr(e->code, X64_VCVTSS2SD, target(e), a, a);
        return finish(e, target(e));
    }
    if (o->from == IR_F64) {
        unsigned to = target(e) == a ? o->scratch[0] : target(e);
        all_ones(e->code, to);
        x64_rrr(e->code, X64_VCVTSD2SS, to, to, a);
        return finish(e, to);
    }
    all_ones(e->code, o->scratch[1]);
    x64_rrr(e->code, X64_VMOV_RM_SS, o->scratch[0], o->scratch[1], a);
    return finish(e, o->scratch[0]);
}

/* ---- To and from integers ---- */

/* All that is invalid gives one value, with invalid raised and nothing else. */
static void to_integer_checked(Emitter *e, X64Op instruction, unsigned a, int invalid)
{
    const X64FpOperation *o = e->o;
    unsigned size = o->type == IR_I64 ? 8 : 4;

    x64_rr(e->code, instruction, size, o->result, a);
    x64_alu_immediate(e->code, X64_CMP, size, x64_register(o->result), invalid);
    cold_if(e->code, e->cold, X64_FP_COLD_EXACT, invalid == 1 ? X64_O : X64_E);
}

/* Without AVX-512: bits below those of the first number too large, as unsigned integers, are those of numbers from +0
 * to there, and the signed conversion to 64 bits does. */
static void to_unsigned_by_signed(Emitter *e, X64Op instruction, unsigned a)
{
    const X64FpOperation *o = e->o;
    bool is_double = o->from == IR_F64, wide = o->type == IR_I64;
    int32_t limit = is_double ? wide ? 0x43e00000 : 0x41efffff : wide ? 0x5f000000 : 0x4f800000;

    x64_rr(e->code, X64_VMOVD_MR, is_double ? 8 : 4, a, o->integer_scratch);
    if (is_double) {
        x64_r(e->code, X64_SHR_I, 8, o->integer_scratch, 32);
    }
    x64_alu_immediate(e->code, X64_CMP, 4, x64_register(o->integer_scratch), limit);
    cold_if(e->code, e->cold, X64_FP_COLD_EXACT, X64_AE);
    x64_rr(e->code, instruction, 8, o->result, a);
}

static void convert_to_integer(Emitter *e, unsigned a, bool truncates)
{
    const X64FpOperation *o = e->o;
    X64Op instruction = by_format((IrType)o->from, truncates ? X64_VCVTTSS2SI : X64_VCVTSS2SI);

    if (o->op == IR_OP_f_to_s) {
        to_integer_checked(e, instruction, a, 1); /* the minimum less 1 overflows */
    } else if (e->host->avx512) {
        X64Op to_unsigned = truncates ? X64_VCVTTSS2USI : X64_VCVTSS2USI;
        to_integer_checked(e, by_format((IrType)o->from, to_unsigned), a, -1);
    } else {
        to_unsigned_by_signed(e, instruction, a);
    }
}

/* A static rounding: to an integral number first, silently, as what does not fit raises no inexact. */
static void round_and_convert(Emitter *e, unsigned a)
{
    const X64FpOperation *o = e->o;
    unsigned mode = round_modes[o->rounding];

    round_to(e, (IrType)o->from, o->scratch[1], a, mode | ROUND_IS_SILENT);
    convert_to_integer(e, o->scratch[1], true);
    round_to(e, (IrType)o->from, o->scratch[1], a, mode); /* may raise inexact now */
}

static X64FpOutcome emit_to_integer(Emitter *e)
{
    const X64FpOperation *o = e->o;
    bool truncates = o->rounding == FP_ROUND_TOWARD_ZERO;

    if (o->rounding != IR_ROUND_DYNAMIC && o->rounding > FP_ROUND_UP) {
        return X64_FP_CALL;
    }
    unsigned a = widened(e, (IrType)o->from, o->a, o->scratch[0]);
    if (truncates || o->rounding == IR_ROUND_DYNAMIC) {
        convert_to_integer(e, a, truncates);
    } else {
        round_and_convert(e, a);
    }
    e->cold->resume = e->code->at;
    return X64_FP_DONE;
}

/* Under a static rounding: what the format holds whole is not rounded, and all else is ir_fp_exact's. */
static void check_small(Emitter *e, unsigned precision)
{
    const X64FpOperation *o = e->o;
    unsigned scratch = o->integer_scratch;
    bool is_unsigned = o->op == IR_OP_u_to_f;

    if (o->from == IR_I32) {
        x64_rr(e->code, is_unsigned ? X64_MOV_RM : X64_MOVSXD, is_unsigned ? 4 : 8, scratch, o->a);
    } else {
        x64_rr(e->code, X64_MOV_RM, 8, scratch, o->a);
    }
    x64_r(e->code, is_unsigned ? X64_SHR_I : X64_SAR_I, 8, scratch, precision);
    if (!is_unsigned) { /* 0 or -1: the last shift's flags say so */
        x64_alu_immediate(e->code, X64_ADD, 8, x64_register(scratch), 1);
        x64_r(e->code, X64_SHR_I, 8, scratch, 1);
    }
    cold_if(e->code, e->cold, X64_FP_COLD_EXACT, X64_NE);
}

/* An f16 is made of the f32: what that rounds is beyond f16's range. */
static void convert_integer(Emitter *e, IrType format, unsigned to)
{
    const X64FpOperation *o = e->o;
    bool is_unsigned = o->op == IR_OP_u_to_f;
    X64Op instruction = by_format(format, X64_VCVTSI2SS);
    unsigned from = o->a, size = o->from == IR_I64 ? 8 : 4;

    if (is_unsigned && size == 8 && o->rounding == IR_ROUND_DYNAMIC && !e->host->avx512) {
        x64_rr(e->code, X64_TEST_MR, 8, from, from);
        cold_if(e->code, e->cold, X64_FP_COLD_EXACT, X64_S);
    } else if (is_unsigned && size == 4) {
        x64_rr(e->code, X64_MOV_RM, 4, o->integer_scratch, from);
        from = o->integer_scratch;
        size = 8;
    } else if (is_unsigned && e->host->avx512) {
        instruction = by_format(format, X64_VCVTUSI2SS);
    }
    if (format == IR_F32 && o->type == IR_F16) { /* the elements above must raise nothing when they are narrowed */
        x64_rrr(e->code, X64_VXORPS, to, to, to);
    } else {
        all_ones(e->code, to);
    }
    x64_encode(e->code, instruction, size, to, to, x64_register(from), 0);
}

static X64FpOutcome emit_from_integer(Emitter *e)
{
    const X64FpOperation *o = e->o;
    bool is_exact = o->type == IR_F64 && o->from == IR_I32;

    if (!is_exact && o->rounding != IR_ROUND_DYNAMIC) {
        check_small(e, o->type == IR_F64 ? 53 : o->type == IR_F32 ? 24 : 11);
    }
    if (o->type == IR_F16) {
        convert_integer(e, IR_F32, o->scratch[0]);
        narrow_to_half(e, o->scratch[0], o->scratch[1]);
    } else {
        convert_integer(e, (IrType)o->type, o->result);
    }
    e->cold->resume = e->code->at;
    return X64_FP_DONE;
}

/* ---- All of them ---- */

typedef X64FpOutcome EmitFunction(Emitter *e);
static EmitFunction *const functions[IR_OP_COUNT] = {
    [IR_OP_fadd] = emit_binary,        [IR_OP_fsub] = emit_binary,        [IR_OP_fmul] = emit_binary,
    [IR_OP_fdiv] = emit_binary,        [IR_OP_fsqrt] = emit_sqrt,         [IR_OP_ffma] = emit_fma,
    [IR_OP_fneg] = emit_sign,          [IR_OP_fabs] = emit_sign,          [IR_OP_fcopysign] = emit_sign,
    [IR_OP_fmin] = emit_minmax,        [IR_OP_fmax] = emit_minmax,        [IR_OP_fcmp] = emit_compare,
    [IR_OP_fconvert] = emit_convert,   [IR_OP_f_to_s] = emit_to_integer,  [IR_OP_f_to_u] = emit_to_integer,
    [IR_OP_fclass] = emit_class,
    [IR_OP_s_to_f] = emit_from_integer, [IR_OP_u_to_f] = emit_from_integer, [IR_OP_fround_int] = emit_round,
};

/* Those whose result does not hang on the rounding in MXCSR, or that look at the operation's themselves. */
static bool takes_any_rounding(const X64FpOperation *o)
{
    switch (o->op) {
    case IR_OP_fadd:
    case IR_OP_fsub:
    case IR_OP_fmul:
    case IR_OP_fdiv:
    case IR_OP_fsqrt:
    case IR_OP_ffma:
        return false;
    case IR_OP_fconvert:
        return o->type == IR_F64 || (o->type == IR_F32 && o->from == IR_F16);
    case IR_OP_fround_int:
        return o->rounding <= FP_ROUND_UP;
    default:
        return true;
    }
}

static bool is_format_of_host(const X64FpHost *host, IrType type)
{
    return type == IR_F32 || type == IR_F64 || type == IR_I32 || type == IR_I64 || (type == IR_F16 && host->f16c);
}

X64FpOutcome x64_fp_emit(X64Code *code, const X64FpHost *host, const FpContext *rules, bool exact,
                         const X64FpOperation *operation, X64FpCold *cold)
{
    bool narrows = operation->op == IR_OP_fconvert && operation->type < operation->from;
    bool is_sign = operation->op == IR_OP_fneg || operation->op == IR_OP_fabs || operation->op == IR_OP_fcopysign;
    Emitter e = { .code = code, .host = host, .o = operation, .cold = cold,
                  .default_nans = rules->nan_rule == FP_NAN_DEFAULT,
                  .treatment = x64_fp_treatment(rules, operation->op, narrows, exact) };

    *cold = (X64FpCold){ .kind = X64_FP_NOT_COLD };
    if (is_sign) {
        return emit_sign(&e);
    }
    if (!functions[operation->op] || e.treatment == FP_TREAT_EXACT || !is_format_of_host(host, operation->type) ||
        !is_format_of_host(host, operation->from) ||
        (operation->rounding != IR_ROUND_DYNAMIC && !takes_any_rounding(operation))) {
        return X64_FP_CALL;
    }
    return functions[operation->op](&e);
}

/* ---- Settling and boxing ---- */

void x64_fp_emit_unbox(X64Code *code, const X64FpHost *host, const X64FpOperation *operation, X64FpCold *cold)
{
    Emitter e = { .code = code, .o = operation };

    x64_rrm(code, X64_VPTEST, operation->a, 0, x64_at(host->constants->box[operation->type]));
    cold_if(code, cold, X64_FP_COLD_DEFAULT_NAN, X64_AE); /* not all ones */
    move(&e, operation->result, operation->a);
    cold->resume = code->at;
}

void x64_fp_emit_box(X64Code *code, const X64FpHost *host, const X64FpOperation *operation)
{
    x64_rrm(code, X64_VORPS, operation->result, operation->a, x64_at(host->constants->box[operation->type]));
}
