/*
 * Where a guest's rules of arithmetic (FpContext) and SSE's part, by operation: what the lowering in fp.c goes by.
 * SSE's rules: Intel SDM volume 1, chapters 4.8, 4.9, 11.5 and 14.5. tests/fpu/sse.c compares those with fpu/.
 */
#include "jit/x64/fp.h"

/* The ways to differ. */
enum {
    NAN_DEFAULT,  /* NaNs are the default one, which is not SSE's */
    NAN_CHOICE,   /* another operand's NaN comes out */
    TINY,         /* found before rounding: underflow is raised where the rounded result is the least normal number */
    FLUSH,        /* flushing raises other flags than underflow with inexact, or nothing */
    FLUSH_TINY,   /* the same, found before rounding: other results too */
    FMA_INVALID,  /* 0 * inf + quiet NaN is invalid: SSE does not say so */
    NAN_INVERTED, /* signalling and quiet NaNs change places */
    DIFFERENCES,
};

/*
 * -: does not matter; s: settle later; c: check the result; f: flags alone, in exact blocks; x: never the host's.
 *
 * Sums have no tiny inexact results, nor has a square root tiny ones; a minimum, a comparison and a conversion to an
 * integer have no results that round. NaN operands of minima and invalid conversions to integers are checked for in any
 * case.
 */
static const char treatments[IR_OP_COUNT][DIFFERENCES + 1] = {
    /*                   NAN_DEFAULT NAN_CHOICE TINY FLUSH FLUSH_TINY FMA_INVALID NAN_INVERTED */
    [IR_OP_fadd] =       "sc-f--x",
    [IR_OP_fsub] =       "sc-f--x",
    [IR_OP_fmul] =       "scffx-x",
    [IR_OP_fdiv] =       "scffx-x",
    [IR_OP_fsqrt] =      "sc-f--x",
    [IR_OP_ffma] =       "scffxcx",
    [IR_OP_fmin] =       "---f--x",
    [IR_OP_fmax] =       "---f--x",
    [IR_OP_fcmp] =       "---f--x",
    [IR_OP_fconvert] =   "sc-f--x",
    [IR_OP_f_to_s] =     "---f--x",
    [IR_OP_f_to_u] =     "---f--x",
    [IR_OP_s_to_f] =     "-------",
    [IR_OP_u_to_f] =     "-------",
    [IR_OP_fround_int] = "sc-f--x",
    [IR_OP_fneg] =       "-------",
    [IR_OP_fabs] =       "-------",
    [IR_OP_fcopysign] =  "-------",
};
/* Conversions to a narrower format, which round. */
static const char narrowing[DIFFERENCES + 1] = "scffx-x";

static unsigned differences(const FpContext *rules)
{
    bool flush = rules->flush_inputs || rules->flush_outputs;
    bool has_default = rules->nan_rule == FP_NAN_DEFAULT || !rules->default_nan_negative || rules->default_nan_all_ones;

    return (unsigned)(rules->nan_rule == FP_NAN_DEFAULT) << NAN_DEFAULT |
           (unsigned)(rules->nan_rule != FP_NAN_DEFAULT &&
                      (rules->nan_rule != FP_NAN_X86_SSE || has_default)) << NAN_CHOICE |
           (unsigned)rules->tiny_before_rounding << TINY | (unsigned)flush << FLUSH |
           (unsigned)(rules->flush_outputs && rules->tiny_before_rounding) << FLUSH_TINY |
           (unsigned)!rules->fma_invalid_keeps_nan << FMA_INVALID |
           (unsigned)rules->nan_signal_bit_inverted << NAN_INVERTED;
}

static FpTreatment treatment_of(char letter, bool exact)
{
    switch (letter) {
    case 's':
        return FP_TREAT_SETTLE;
    case 'c':
        return FP_TREAT_CHECK;
    case 'f':
        return exact ? FP_TREAT_EXACT : FP_TREAT_HOST;
    case 'x':
        return FP_TREAT_EXACT;
    default:
        return FP_TREAT_HOST;
    }
}

FpTreatment x64_fp_treatment(const FpContext *rules, IrOp op, bool narrows, bool exact)
{
    const char *row = narrows ? narrowing : treatments[op];
    unsigned present = differences(rules);
    FpTreatment strictest = FP_TREAT_HOST;

    for (unsigned i = 0; i < DIFFERENCES; i++) {
        if (present >> i & 1) {
            strictest = MAX(strictest, treatment_of(row[i], exact));
        }
    }
    return strictest;
}

/* ---- MXCSR ---- */

enum {
    MXCSR_INVALID = 1,
    MXCSR_DIVIDE_BY_ZERO = 4,
    MXCSR_OVERFLOW = 8,
    MXCSR_UNDERFLOW = 16,
    MXCSR_INEXACT = 32,
    MXCSR_FLUSH_INPUTS = 0x40,
    MXCSR_MASKS = 0x1f80,
    MXCSR_ROUNDING_SHIFT = 13,
    MXCSR_FLUSH_OUTPUTS = 0x8000,
};

uint32_t x64_fp_control(const FpContext *context)
{
    static const uint8_t roundings[8] = {
        [FP_ROUND_NEAREST_EVEN] = 0, [FP_ROUND_DOWN] = 1, [FP_ROUND_UP] = 2, [FP_ROUND_TOWARD_ZERO] = 3,
    };
    return MXCSR_MASKS | (uint32_t)roundings[context->rounding & 7] << MXCSR_ROUNDING_SHIFT |
           (context->flush_inputs ? MXCSR_FLUSH_INPUTS : 0) | (context->flush_outputs ? MXCSR_FLUSH_OUTPUTS : 0);
}

unsigned x64_fp_flags(uint32_t mxcsr)
{
    return (mxcsr & MXCSR_INVALID ? FP_INVALID : 0) | (mxcsr & MXCSR_DIVIDE_BY_ZERO ? FP_DIVIDE_BY_ZERO : 0) |
           (mxcsr & MXCSR_OVERFLOW ? FP_OVERFLOW : 0) | (mxcsr & MXCSR_UNDERFLOW ? FP_UNDERFLOW : 0) |
           (mxcsr & MXCSR_INEXACT ? FP_INEXACT : 0);
}

/* ---- NaNs ---- */

uint64_t x64_fp_default_nan(const FpContext *rules, IrType type)
{
    switch (type) {
    case IR_F16:
        return f16_default_nan(rules) | ~UINT64_C(0xffff);
    case IR_BF16:
        return bf16_default_nan(rules) | ~UINT64_C(0xffff);
    case IR_F32:
        return f32_default_nan(rules) | ~UINT64_C(0xffffffff);
    default:
        return f64_default_nan(rules);
    }
}

uint64_t x64_fp_settled(const FpContext *rules, IrType type, uint64_t bits)
{
    bool is_nan = type == IR_F64   ? f64_is_nan(bits)
                  : type == IR_F32 ? f32_is_nan((uint32_t)bits)
                  : type == IR_F16 ? f16_is_nan((uint16_t)bits)
                                   : bf16_is_nan((uint16_t)bits);
    return is_nan ? x64_fp_default_nan(rules, type) : bits;
}
