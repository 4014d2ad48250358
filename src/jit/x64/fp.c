/*
 * The host code of each floating-point operation of IR. After the Intel SDM, volume 2. Not here: bf16's arithmetic and
 * its conversions, f16's fused multiply-add and its conversion from f64 (which would round twice), classes, rounding to
 * nearest with ties away, static roundings that MXCSR would have to be switched for: those are ir_fp_exact's.
 *
 * f16 is worked on as f32: a sum, product, quotient or square root of 11-bit numbers, rounded to 24 bits and then to
 * 11, is what rounding once gives (24 >= 2 * 11 + 2), and no such result is tiny and inexact in the first step alone.
 */
#include "jit/x64/fp.h"

#include "jit/fp_exact.h"

enum { PREFIX_NONE, PREFIX_66, PREFIX_F3, PREFIX_F2 };
enum { MAP_0F = 1, MAP_0F38, MAP_0F3A };
enum {
    OPCODE_SQRT = 0x51, OPCODE_AND = 0x54, OPCODE_AND_NOT = 0x55, OPCODE_OR = 0x56, OPCODE_XOR = 0x57,
    OPCODE_ADD = 0x58, OPCODE_MUL = 0x59, OPCODE_CONVERT = 0x5a, OPCODE_SUB = 0x5c, OPCODE_MIN = 0x5d,
    OPCODE_DIV = 0x5e, OPCODE_MAX = 0x5f, OPCODE_FROM_INTEGER = 0x2a, OPCODE_TRUNCATE = 0x2c, OPCODE_TO_INTEGER = 0x2d,
    OPCODE_COMPARE_QUIET = 0x2e, OPCODE_COMPARE = 0x2f,
    OPCODE_TRUNCATE_UNSIGNED = 0x78, OPCODE_TO_UNSIGNED = 0x79, OPCODE_FROM_UNSIGNED = 0x7b,
};

static const VectorEncoding move_all = { PREFIX_NONE, MAP_0F, 0x28, false };
static const VectorEncoding merge_single = { PREFIX_F3, MAP_0F, 0x10, false };
static const VectorEncoding insert_single = { PREFIX_66, MAP_0F3A, 0x21, false };
static const VectorEncoding zero_extend_16 = { PREFIX_66, MAP_0F38, 0x34, false };
static const VectorEncoding to_general_32 = { PREFIX_66, MAP_0F, 0x7e, false };
static const VectorEncoding to_general_64 = { PREFIX_66, MAP_0F, 0x7e, true };
static const VectorEncoding compare_equal_32 = { PREFIX_66, MAP_0F, 0x76, false };
static const VectorEncoding shift_64 = { PREFIX_66, MAP_0F, 0x73, false };
static const VectorEncoding extract_32 = { PREFIX_66, MAP_0F3A, 0x16, false };
static const VectorEncoding blend_16 = { PREFIX_66, MAP_0F3A, 0x0e, false };
static const VectorEncoding half_to_single = { PREFIX_66, MAP_0F38, 0x13, false };
static const VectorEncoding single_to_half = { PREFIX_66, MAP_0F3A, 0x1d, false };
enum { KEEP_LOW_ALONE = 14, SHIFT_LEFT = 6, SHIFT_RIGHT = 2, HALF_ROUNDS_BY_MXCSR = 4, ROUND_BY_MXCSR = 4, ROUND_IS_SILENT = 8 };

/* What the functions below work on. */
typedef struct Emitter {
    VectorCode *code;
    const X64FpHost *host;
    const X64FpOperation *o;
    X64FpCold *cold;
    FpTreatment treatment;
} Emitter;

static bool is_single(IrType type)
{
    return type != IR_F64;
}

static VectorEncoding scalar(IrType type, unsigned opcode)
{
    return (VectorEncoding){ is_single(type) ? PREFIX_F3 : PREFIX_F2, MAP_0F, (uint8_t)opcode, false };
}

static VectorEncoding comparison(IrType type, bool quiet)
{
    return (VectorEncoding){ is_single(type) ? PREFIX_NONE : PREFIX_66, MAP_0F,
                        quiet ? OPCODE_COMPARE_QUIET : OPCODE_COMPARE, false };
}

static VectorEncoding bitwise(unsigned opcode)
{
    return (VectorEncoding){ PREFIX_NONE, MAP_0F, (uint8_t)opcode, false };
}

static void move(Emitter *e, unsigned to, unsigned from)
{
    if (to != from) {
        vector_emit(e->code, move_all, to, 0, from);
    }
}

static void all_ones(VectorCode *code, unsigned reg)
{
    vector_emit(code, compare_equal_32, reg, reg, reg);
}

static void cold_if(VectorCode *code, X64FpCold *cold, X64FpColdKind kind, VectorCondition condition)
{
    cold->kind = kind;
    cold->jump = vector_jump_if(code, condition);
}

/* ---- f16 as f32 ---- */

/* The operand itself, or an f16 one widened into `scratch`. */
static unsigned widened(Emitter *e, IrType type, unsigned reg, unsigned scratch)
{
    if (type != IR_F16) {
        return reg;
    }
    vector_emit(e->code, zero_extend_16, scratch, 0, reg); /* what stands above must raise nothing */
    vector_emit(e->code, half_to_single, scratch, 0, scratch);
    return scratch;
}

/* The low element of `from` becomes a boxed f16. Its others are zeroes. `from` is
 * lost. */
static void narrow_to_half(Emitter *e, unsigned from, unsigned ones)
{
    vector_emit_immediate(e->code, single_to_half, from, 0, from, HALF_ROUNDS_BY_MXCSR);
    all_ones(e->code, ones);
    vector_emit_immediate(e->code, blend_16, e->o->result, ones, from, 1);
}

/* ---- Results that may be NaNs ---- */

/* `value` holds the result: it goes to the result's register, checked if it has to be. Operands are still there. */
static X64FpOutcome finish(Emitter *e, unsigned value)
{
    if (e->treatment == FP_TREAT_CHECK) {
        vector_emit(e->code, comparison(e->o->type, true), value, 0, value);
        cold_if(e->code, e->cold, X64_FP_COLD_EXACT, VECTOR_PARITY);
    }
    move(e, e->o->result, value);
    e->cold->resume = e->code->used;
    return e->treatment == FP_TREAT_SETTLE ? X64_FP_UNSETTLED : X64_FP_DONE;
}

/* The same for an f32 in scratch[0] that becomes an f16; that is settled at once. */
static X64FpOutcome finish_half(Emitter *e, bool may_be_nan)
{
    unsigned value = e->o->scratch[0];

    if (may_be_nan && e->treatment != FP_TREAT_HOST) {
        vector_emit(e->code, comparison(IR_F32, true), value, 0, value);
        cold_if(e->code, e->cold, X64_FP_COLD_EXACT, VECTOR_PARITY);
    }
    narrow_to_half(e, value, e->o->scratch[1]);
    e->cold->resume = e->code->used;
    return X64_FP_DONE;
}

/* Where the result may go before it is checked. */
static unsigned target(const Emitter *e)
{
    return e->treatment == FP_TREAT_CHECK ? e->o->scratch[0] : e->o->result;
}

/* ---- Arithmetic ---- */

static X64FpOutcome emit_binary(Emitter *e)
{
    static const uint8_t opcodes[IR_OP_COUNT] = {
        [IR_OP_fadd] = OPCODE_ADD, [IR_OP_fsub] = OPCODE_SUB, [IR_OP_fmul] = OPCODE_MUL, [IR_OP_fdiv] = OPCODE_DIV,
    };
    const X64FpOperation *o = e->o;
    VectorEncoding instruction = scalar(o->type, opcodes[o->op]);

    if (o->type == IR_F16) {
        unsigned a = widened(e, IR_F16, o->a, o->scratch[0]), b = widened(e, IR_F16, o->b, o->scratch[1]);
        vector_emit(e->code, instruction, o->scratch[0], a, b);
        return finish_half(e, true);
    }
    vector_emit(e->code, instruction, target(e), o->a, o->b);
    return finish(e, target(e));
}

static X64FpOutcome emit_sqrt(Emitter *e)
{
    const X64FpOperation *o = e->o;
    unsigned a = widened(e, o->type, o->a, o->scratch[0]);

    if (o->type == IR_F16) {
        vector_emit(e->code, scalar(IR_F32, OPCODE_SQRT), o->scratch[0], a, a);
        return finish_half(e, true);
    }
    vector_emit(e->code, scalar(o->type, OPCODE_SQRT), target(e), a, a);
    return finish(e, target(e));
}

static X64FpOutcome emit_fma(Emitter *e)
{
    enum { FMA_231 = 0xb9 }; /* reg = second * rm + reg */
    const X64FpOperation *o = e->o;
    VectorEncoding instruction = { PREFIX_66, MAP_0F38, FMA_231, o->type == IR_F64 };

    if (o->type == IR_F16 || !e->host->fma) {
        return X64_FP_CALL;
    }
    move(e, o->scratch[0], o->c);
    vector_emit(e->code, instruction, o->scratch[0], o->a, o->b);
    return finish(e, o->scratch[0]);
}

/* Neither a NaN: the two orders differ for zeroes of unlike sign alone, and then by the sign. */
static void emit_ordered_minmax(Emitter *e, unsigned a, unsigned b)
{
    const X64FpOperation *o = e->o;
    bool minimum = o->op == IR_OP_fmin;
    VectorEncoding instruction = scalar(o->type, minimum ? OPCODE_MIN : OPCODE_MAX);
    unsigned other = o->type == IR_F16 ? o->scratch[1] : o->result;

    vector_emit(e->code, comparison(o->type, true), a, 0, b);
    cold_if(e->code, e->cold, X64_FP_COLD_EXACT, VECTOR_PARITY);
    if (o->type == IR_F16) { /* the operands are in the scratch registers: the result's serves as a third */
        vector_emit(e->code, instruction, o->result, a, b);
        vector_emit(e->code, instruction, other, b, a);
        vector_emit(e->code, bitwise(minimum ? OPCODE_OR : OPCODE_AND), o->scratch[0], o->result, other);
        return;
    }
    vector_emit(e->code, instruction, o->scratch[0], a, b);
    vector_emit(e->code, instruction, o->result, b, a);
    vector_emit(e->code, bitwise(minimum ? OPCODE_OR : OPCODE_AND), o->result, o->result, o->scratch[0]);
}

static X64FpOutcome emit_minmax(Emitter *e)
{
    const X64FpOperation *o = e->o;

    if (o->rule == FP_MINMAX_X86) {
        if (o->type == IR_F16) {
            return X64_FP_CALL;
        }
        vector_emit(e->code, scalar(o->type, o->op == IR_OP_fmin ? OPCODE_MIN : OPCODE_MAX), o->result, o->a, o->b);
        return X64_FP_DONE;
    }
    unsigned a = widened(e, o->type, o->a, o->scratch[0]), b = widened(e, o->type, o->b, o->scratch[1]);
    emit_ordered_minmax(e, a, b);
    if (o->type == IR_F16) {
        narrow_to_half(e, o->scratch[0], o->scratch[1]);
    }
    e->cold->resume = e->code->used;
    return X64_FP_DONE;
}

static X64FpOutcome emit_round(Emitter *e)
{
    static const uint8_t modes[8] = {
        [FP_ROUND_NEAREST_EVEN] = 0, [FP_ROUND_DOWN] = 1, [FP_ROUND_UP] = 2, [FP_ROUND_TOWARD_ZERO] = 3,
        [IR_ROUND_DYNAMIC] = ROUND_BY_MXCSR,
    };
    const X64FpOperation *o = e->o;
    VectorEncoding instruction = { PREFIX_66, MAP_0F3A, o->type == IR_F64 ? 0x0b : 0x0a, false };
    unsigned mode = modes[o->rounding] | (o->rule == 1 ? 0 : ROUND_IS_SILENT);

    if (o->type == IR_F16) {
        unsigned a = widened(e, IR_F16, o->a, o->scratch[0]);
        vector_emit_immediate(e->code, instruction, o->scratch[0], a, a, mode);
        return finish_half(e, true);
    }
    vector_emit_immediate(e->code, instruction, target(e), o->a, o->a, mode);
    return finish(e, target(e));
}

/* ---- Signs ---- */

/* The sign bit of the type alone. */
static void sign_mask(Emitter *e, unsigned reg)
{
    unsigned above = e->o->type == IR_F64 ? 0 : e->o->type == IR_F32 ? 32 : 48;

    all_ones(e->code, reg);
    vector_emit_immediate(e->code, shift_64, SHIFT_LEFT, reg, reg, 63);
    if (above) {
        vector_emit_immediate(e->code, shift_64, SHIFT_RIGHT, reg, reg, above);
    }
}

static X64FpOutcome emit_sign(Emitter *e)
{
    const X64FpOperation *o = e->o;
    unsigned mask = o->scratch[0], sign = o->scratch[1];

    sign_mask(e, mask);
    if (o->op == IR_OP_fneg) {
        vector_emit(e->code, bitwise(OPCODE_XOR), o->result, o->a, mask);
    } else if (o->op == IR_OP_fabs) {
        vector_emit(e->code, bitwise(OPCODE_AND_NOT), o->result, mask, o->a);
    } else {
        vector_emit(e->code, bitwise(OPCODE_AND), sign, mask, o->b);
        vector_emit(e->code, bitwise(OPCODE_AND_NOT), mask, mask, o->a);
        vector_emit(e->code, bitwise(OPCODE_OR), o->result, mask, sign);
    }
    return X64_FP_DONE;
}

/* ---- Comparison ---- */

static VectorCondition compare_flags(Emitter *e, unsigned a, unsigned b, bool *and_no_parity)
{
    static const struct {
        bool quiet, swapped;
        VectorCondition condition;
    } rows[] = {
        [IR_FP_EQ_QUIET] = { true, false, VECTOR_EQUAL },       [IR_FP_EQ] = { false, false, VECTOR_EQUAL },
        [IR_FP_LT] = { false, true, VECTOR_ABOVE },             [IR_FP_LE] = { false, true, VECTOR_NOT_BELOW },
        [IR_FP_LT_QUIET] = { true, true, VECTOR_ABOVE },        [IR_FP_LE_QUIET] = { true, true, VECTOR_NOT_BELOW },
        [IR_FP_UNORDERED_QUIET] = { true, false, VECTOR_PARITY },
    };
    unsigned rule = e->o->rule;

    vector_emit(e->code, comparison(e->o->from, rows[rule].quiet), rows[rule].swapped ? b : a, 0,
               rows[rule].swapped ? a : b);
    *and_no_parity = rows[rule].condition == VECTOR_EQUAL;
    return rows[rule].condition;
}

VectorCondition x64_fp_emit_compare(VectorCode *code, const X64FpOperation *operation, bool *and_no_parity)
{
    Emitter e = { .code = code, .o = operation };
    unsigned a = widened(&e, operation->from, operation->a, operation->scratch[0]);
    unsigned b = widened(&e, operation->from, operation->b, operation->scratch[1]);

    return compare_flags(&e, a, b, and_no_parity);
}

static X64FpOutcome emit_compare(Emitter *e)
{
    const X64FpOperation *o = e->o;
    bool and_no_parity;

    vector_integer(e->code, false, VECTOR_XOR, o->result, o->result);
    if (o->rule == IR_FP_EQ || o->rule == IR_FP_EQ_QUIET) {
        vector_integer(e->code, false, VECTOR_XOR, o->integer_scratch, o->integer_scratch);
    }
    VectorCondition condition = x64_fp_emit_compare(e->code, o, &and_no_parity);
    if (and_no_parity) {
        vector_integer(e->code, false, VECTOR_SET + VECTOR_NO_PARITY, 0, o->result);
        vector_integer(e->code, false, VECTOR_CMOV + VECTOR_NOT_EQUAL, o->result, o->integer_scratch);
    } else {
        vector_integer(e->code, false, VECTOR_SET + condition, 0, o->result);
    }
    return X64_FP_DONE;
}

/* ---- Conversions between formats ---- */

static X64FpOutcome emit_to_half(Emitter *e)
{
    const X64FpOperation *o = e->o;

    if (o->from != IR_F32) {
        return X64_FP_CALL; /* f64's would round twice */
    }
    vector_emit_immediate(e->code, insert_single, o->scratch[0], o->a, o->a, KEEP_LOW_ALONE);
    return finish_half(e, true);
}

static X64FpOutcome emit_convert(Emitter *e)
{
    const X64FpOperation *o = e->o;

    if (o->type == IR_F16) {
        return emit_to_half(e);
    }
    unsigned a = widened(e, o->from, o->a, o->scratch[0]);
    if (o->type == IR_F64) {
        vector_emit(e->code, scalar(IR_F32, OPCODE_CONVERT), target(e), a, a);
        return finish(e, target(e));
    }
    if (o->from == IR_F64) {
        all_ones(e->code, o->scratch[0]);
        vector_emit(e->code, scalar(IR_F64, OPCODE_CONVERT), o->scratch[0], o->scratch[0], a);
    } else {
        all_ones(e->code, o->scratch[1]);
        vector_emit(e->code, merge_single, o->scratch[0], o->scratch[1], a);
    }
    return finish(e, o->scratch[0]);
}

/* ---- To and from integers ---- */

/* All that is invalid gives one value, with invalid raised and nothing else. */
static void to_integer_checked(Emitter *e, VectorEncoding instruction, bool is_evex, unsigned a, int invalid)
{
    const X64FpOperation *o = e->o;
    bool wide = instruction.wide;

    if (is_evex) {
        vector_emit_evex(e->code, instruction, o->result, 0, a);
    } else {
        vector_emit(e->code, instruction, o->result, 0, a);
    }
    vector_integer_immediate(e->code, wide, VECTOR_COMPARE_EXTENSION, o->result, invalid);
    cold_if(e->code, e->cold, X64_FP_COLD_EXACT, invalid == 1 ? VECTOR_OVERFLOW : VECTOR_EQUAL);
}

/* Without AVX-512: bits below those of the first number too large, as unsigned integers, are those of numbers from +0
 * to there, and the signed conversion to 64 bits does. */
static void to_unsigned_by_signed(Emitter *e, VectorEncoding instruction, unsigned a)
{
    enum { SHIFT_RIGHT_EXTENSION = 5, SHIFT_BY_IMMEDIATE = 0xc1 };
    const X64FpOperation *o = e->o;
    bool is_double = o->from == IR_F64, wide = o->type == IR_I64;
    int32_t limit = is_double ? wide ? 0x43e00000 : 0x41efffff : wide ? 0x5f000000 : 0x4f800000;

    vector_emit(e->code, is_double ? to_general_64 : to_general_32, a, 0, o->integer_scratch);
    if (is_double) {
        vector_integer(e->code, true, SHIFT_BY_IMMEDIATE, SHIFT_RIGHT_EXTENSION, o->integer_scratch);
        vector_byte(e->code, 32);
    }
    vector_integer_immediate(e->code, false, VECTOR_COMPARE_EXTENSION, o->integer_scratch, limit);
    cold_if(e->code, e->cold, X64_FP_COLD_EXACT, VECTOR_NOT_BELOW);
    instruction.wide = true;
    vector_emit(e->code, instruction, o->result, 0, a);
}

static X64FpOutcome emit_to_integer(Emitter *e)
{
    const X64FpOperation *o = e->o;
    bool is_signed = o->op == IR_OP_f_to_s, truncates = o->rounding == FP_ROUND_TOWARD_ZERO;

    if (!truncates && o->rounding != IR_ROUND_DYNAMIC) {
        return X64_FP_CALL;
    }
    VectorEncoding instruction = scalar(o->from, truncates ? OPCODE_TRUNCATE : OPCODE_TO_INTEGER);
    unsigned a = widened(e, o->from, o->a, o->scratch[0]);
    instruction.wide = o->type == IR_I64;
    if (is_signed) {
        to_integer_checked(e, instruction, false, a, 1); /* the minimum less 1 overflows */
    } else if (e->host->avx512) {
        instruction.opcode = truncates ? OPCODE_TRUNCATE_UNSIGNED : OPCODE_TO_UNSIGNED;
        to_integer_checked(e, instruction, true, a, -1);
    } else {
        to_unsigned_by_signed(e, instruction, a);
    }
    e->cold->resume = e->code->used;
    return X64_FP_DONE;
}

/* Into scratch[0]. An f16 is made of the f32: what that rounds is beyond f16's range. */
static void convert_integer(Emitter *e, IrType to)
{
    const X64FpOperation *o = e->o;
    bool is_unsigned = o->op == IR_OP_u_to_f;
    VectorEncoding instruction = scalar(to, OPCODE_FROM_INTEGER);
    unsigned from = o->a;

    instruction.wide = o->from == IR_I64;
    if (to == IR_F32 && o->type == IR_F16) { /* the elements above must raise nothing when they are narrowed */
        vector_emit(e->code, bitwise(OPCODE_XOR), o->scratch[0], o->scratch[0], o->scratch[0]);
    } else {
        all_ones(e->code, o->scratch[0]);
    }
    if (is_unsigned && o->from == IR_I32) {
        vector_integer(e->code, false, VECTOR_MOVE, o->a, o->integer_scratch);
        from = o->integer_scratch;
        instruction.wide = true;
    } else if (is_unsigned && e->host->avx512) {
        instruction.opcode = OPCODE_FROM_UNSIGNED;
        vector_emit_evex(e->code, instruction, o->scratch[0], o->scratch[0], from);
        return;
    } else if (is_unsigned) {
        vector_integer(e->code, true, VECTOR_TEST, from, from);
        cold_if(e->code, e->cold, X64_FP_COLD_EXACT, VECTOR_SIGN);
    }
    vector_emit(e->code, instruction, o->scratch[0], o->scratch[0], from);
}

static X64FpOutcome emit_from_integer(Emitter *e)
{
    const X64FpOperation *o = e->o;
    bool is_exact = o->type == IR_F64 && o->from == IR_I32;

    if (!is_exact && o->rounding != IR_ROUND_DYNAMIC) {
        return X64_FP_CALL;
    }
    convert_integer(e, o->type == IR_F64 ? IR_F64 : IR_F32);
    if (o->type == IR_F16) {
        narrow_to_half(e, o->scratch[0], o->scratch[1]);
    } else {
        move(e, o->result, o->scratch[0]);
    }
    e->cold->resume = e->code->used;
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

X64FpOutcome x64_fp_emit(VectorCode *code, const X64FpHost *host, const FpContext *rules, bool exact,
                         const X64FpOperation *operation, X64FpCold *cold)
{
    bool narrows = operation->op == IR_OP_fconvert && operation->type < operation->from;
    Emitter e = { .code = code, .host = host, .o = operation, .cold = cold,
                  .treatment = x64_fp_treatment(rules, operation->op, narrows, exact) };

    *cold = (X64FpCold){ .kind = X64_FP_NOT_COLD };
    if (!functions[operation->op] || e.treatment == FP_TREAT_EXACT || !is_format_of_host(host, operation->type) ||
        !is_format_of_host(host, operation->from) ||
        (operation->rounding != IR_ROUND_DYNAMIC && !takes_any_rounding(operation))) {
        return X64_FP_CALL;
    }
    return functions[operation->op](&e);
}

/* ---- Settling and boxing ---- */

void x64_fp_emit_settle(VectorCode *code, IrType type, unsigned reg, X64FpCold *cold)
{
    vector_emit(code, comparison(type, true), reg, 0, reg);
    cold_if(code, cold, X64_FP_COLD_DEFAULT_NAN, VECTOR_PARITY);
    cold->resume = code->used;
}

void x64_fp_emit_unbox(VectorCode *code, const X64FpOperation *operation, X64FpCold *cold)
{
    enum { SHIFT_RIGHT_SIGNED_EXTENSION = 7, SHIFT_BY_IMMEDIATE = 0xc1 };
    unsigned bits = operation->integer_scratch;
    Emitter e = { .code = code, .o = operation };

    if (operation->type == IR_F32) {
        vector_emit_immediate(code, extract_32, operation->a, 0, bits, 1);
        vector_integer_immediate(code, false, VECTOR_COMPARE_EXTENSION, bits, -1);
    } else {
        vector_emit(code, to_general_64, operation->a, 0, bits);
        vector_integer(code, true, SHIFT_BY_IMMEDIATE, SHIFT_RIGHT_SIGNED_EXTENSION, bits);
        vector_byte(code, 16);
        vector_integer_immediate(code, true, VECTOR_COMPARE_EXTENSION, bits, -1);
    }
    cold_if(code, cold, X64_FP_COLD_DEFAULT_NAN, VECTOR_NOT_EQUAL);
    move(&e, operation->result, operation->a);
    cold->resume = code->used;
}

void x64_fp_emit_box(VectorCode *code, const X64FpOperation *operation)
{
    all_ones(code, operation->scratch[0]);
    if (operation->type == IR_F32) {
        vector_emit(code, merge_single, operation->result, operation->scratch[0], operation->a);
    } else {
        vector_emit_immediate(code, blend_16, operation->result, operation->scratch[0], operation->a, 1);
    }
}
