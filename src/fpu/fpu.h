/*
 * Exact IEEE 754-2019 arithmetic on bit patterns, under the rules of any guest. No host floating point is used
 * anywhere below this header. Every function rounds by `fp->rounding`, ORs what it raised into `fp->flags`, and treats
 * NaNs and subnormals as the rules say.
 */
#pragma once

#include "base/compiler.h"

typedef enum FpRounding {
    FP_ROUND_NEAREST_EVEN,
    FP_ROUND_TOWARD_ZERO,
    FP_ROUND_DOWN,
    FP_ROUND_UP,
    FP_ROUND_NEAREST_AWAY, /* ties away from zero */
    FP_ROUND_ODD,          /* von Neumann: an inexact result gets an odd last bit */
} FpRounding;

typedef enum FpFlag {
    FP_INEXACT = 1,
    FP_UNDERFLOW = 2, /* tiny and inexact */
    FP_OVERFLOW = 4,
    FP_DIVIDE_BY_ZERO = 8,
    FP_INVALID = 16,
    FP_INPUT_FLUSHED = 32,    /* a subnormal operand was taken as zero (Arm's IDC) */
    FP_OUTPUT_FLUSHED = 64,   /* a tiny result became zero: raised alone (Arm: is its UFC; x86: is UE and PE) */
    FP_INPUT_SUBNORMAL = 128, /* a subnormal operand was used as it is (x86's DE) */
} FpFlag;

/* Which NaN comes out where operands a and b, or those of a * b + c, are NaNs. It is quieted. */
typedef enum FpNanRule {
    FP_NAN_DEFAULT, /* the default one always (RISC-V F, "NaN Generation and Propagation"; Arm with FPCR.DN) */
    FP_NAN_X86_SSE, /* the first of a b c (Intel SDM volume 1, tables 4-7 and 14-17) */
    FP_NAN_X87,     /* quiet before signalling, then the larger significand, then the positive (SDM, table 4-7) */
    FP_NAN_ARM,     /* signalling before quiet, then the first of c a b (Arm ARM, FPProcessNaNs3; MIPS since 2008) */
    FP_NAN_POWER,   /* the first of a c b (Power ISA I, 4.3.2: FRA FRB FRC, of FRA * FRC + FRB) */
    FP_NAN_SPARC,   /* signalling before quiet, then the first of c b a (SPARC V9, appendix B) */
    FP_NAN_S390X,   /* signalling before quiet, then the first of a b c (Principles of Operation, chapter 19) */
} FpNanRule;

/* The precision that f80 add, sub, mul, div and sqrt round to; the range of exponents stays. */
typedef enum FpPrecision {
    FP_PRECISION_FULL,
    FP_PRECISION_DOUBLE, /* 53 bits */
    FP_PRECISION_SINGLE, /* 24 bits */
} FpPrecision;

/* Of a guest processor: what does not change while it runs, but by its own control registers. All zeroes are RISC-V's
 * rules, rounding to nearest. */
typedef struct FpContext {
    uint8_t rounding;      /* FpRounding */
    uint8_t flags;         /* FpFlag bits, sticky */
    uint8_t nan_rule;      /* FpNanRule */
    uint8_t f80_precision; /* FpPrecision */
    bool flush_inputs;     /* subnormal operands are zeroes of their sign */
    bool flush_outputs;    /* tiny results of rounding are zeroes of their sign, exact ones too */
    bool tiny_before_rounding;    /* Arm, MIPS; not x86, RISC-V */
    bool default_nan_negative;    /* x86 */
    bool default_nan_all_ones;    /* the whole fraction but what the next makes zero: SPARC, 68000, old MIPS */
    bool nan_signal_bit_inverted; /* old MIPS, HP-PA: a set top bit of the fraction signals */
    bool fma_invalid_keeps_nan;   /* 0 * inf + NaN raises no invalid (x86). Where it does, the NaN rule chooses the
                                     result, but that a quiet one makes the default NaN under FP_NAN_ARM */
    bool int_invalid_zero_nan;    /* a NaN converts to integer 0 (Arm) */
    bool int_invalid_indefinite;  /* what does not fit converts to the minimum, for unsigned to all ones (x86) */
} FpContext;

typedef enum FpCompare { FP_LESS, FP_EQUAL, FP_GREATER, FP_UNORDERED } FpCompare;

/* What a minimum or maximum does with NaNs. Zeroes are ordered, -0 below +0, but for x86's. */
typedef enum FpMinMax {
    FP_MINMAX_NUMBER, /* minimumNumber of 754-2019: the number; a signalling NaN raises invalid (RISC-V since F 2.2) */
    FP_MINMAX_NAN,    /* minimum of 754-2019: the NaN (Arm FMIN) */
    FP_MINMAX_2008,   /* minNum of 754-2008: a quiet NaN loses, a signalling one wins, quieted (Arm FMINNM) */
    FP_MINMAX_X86,    /* MINSS: the second operand as it is where either is a NaN, which is invalid, or both are zero */
} FpMinMax;

/* The classes of RISC-V's fclass, in its bit order, and one that x87 alone has. NaNs are told apart as 754-2008 and
 * later do; guests with nan_signal_bit_inverted swap the two. */
typedef enum FpClass {
    FP_CLASS_NEGATIVE_INFINITY,
    FP_CLASS_NEGATIVE_NORMAL,
    FP_CLASS_NEGATIVE_SUBNORMAL,
    FP_CLASS_NEGATIVE_ZERO,
    FP_CLASS_POSITIVE_ZERO,
    FP_CLASS_POSITIVE_SUBNORMAL,
    FP_CLASS_POSITIVE_NORMAL,
    FP_CLASS_POSITIVE_INFINITY,
    FP_CLASS_SIGNALLING_NAN,
    FP_CLASS_QUIET_NAN,
    FP_CLASS_UNSUPPORTED, /* f80 with the integer bit clear where the exponent is not 0 */
} FpClass;

typedef struct Float80 {
    uint64_t significand; /* with the explicit integer bit */
    uint16_t sign_exponent;
} Float80;
typedef unsigned __int128 Float128; /* the bit pattern */

/*
 * For each format: arithmetic, comparison, conversion to and from integers of both signs and 32, 64 and 128 bits.
 *
 * A conversion to an integer rounds by `fp->rounding`. What does not fit then, infinities and NaNs raise invalid and
 * nothing else, and give the nearest that fits (a NaN the maximum) unless the context says otherwise.
 *
 * f80's unsupported encodings (FP_CLASS_UNSUPPORTED) are invalid operands as a signalling NaN is; the NaN that comes of
 * one is the default one. A pseudo-denormal is the number that it stands for.
 */
#define FP_DECLARE(name, T) \
    T name##_add(T a, T b, FpContext *fp); \
    T name##_sub(T a, T b, FpContext *fp); \
    T name##_mul(T a, T b, FpContext *fp); \
    T name##_div(T a, T b, FpContext *fp); \
    T name##_sqrt(T a, FpContext *fp); \
    T name##_fma(T a, T b, T c, FpContext *fp); /* a * b + c, rounded once */ \
    T name##_remainder(T a, T b, FpContext *fp); /* IEEE remainder: quotient rounded to nearest even */ \
    T name##_round_to_integral(T a, bool raise_inexact, FpContext *fp); \
    T name##_minmax(T a, T b, bool maximum, FpMinMax rule, FpContext *fp); \
    T name##_scale(T a, int n, FpContext *fp); /* a * 2^n */ \
    FpCompare name##_compare(T a, T b, bool signalling, FpContext *fp); /* signalling: any NaN is invalid */ \
    FpClass name##_class(T a); \
    bool name##_is_nan(T a); \
    bool name##_is_signalling(T a); \
    T name##_default_nan(const FpContext *fp); \
    int32_t name##_to_i32(T a, FpContext *fp); \
    uint32_t name##_to_u32(T a, FpContext *fp); \
    int64_t name##_to_i64(T a, FpContext *fp); \
    uint64_t name##_to_u64(T a, FpContext *fp); \
    __int128 name##_to_i128(T a, FpContext *fp); \
    unsigned __int128 name##_to_u128(T a, FpContext *fp); \
    T name##_from_i32(int32_t a, FpContext *fp); \
    T name##_from_u32(uint32_t a, FpContext *fp); \
    T name##_from_i64(int64_t a, FpContext *fp); \
    T name##_from_u64(uint64_t a, FpContext *fp); \
    T name##_from_i128(__int128 a, FpContext *fp); \
    T name##_from_u128(unsigned __int128 a, FpContext *fp);

FP_DECLARE(f16, uint16_t)
FP_DECLARE(bf16, uint16_t)
FP_DECLARE(f32, uint32_t)
FP_DECLARE(f64, uint64_t)
FP_DECLARE(f80, Float80)
FP_DECLARE(f128, Float128)
#undef FP_DECLARE

/* Between formats: TO_from_FROM, all thirty pairs. */
#define FP_CONVERT(to, T, from, F) T to##_from_##from(F a, FpContext *fp);
#define FP_CONVERSIONS(X) \
    X(f16, uint16_t, bf16, uint16_t) X(f16, uint16_t, f32, uint32_t) X(f16, uint16_t, f64, uint64_t) \
    X(f16, uint16_t, f80, Float80) X(f16, uint16_t, f128, Float128) \
    X(bf16, uint16_t, f16, uint16_t) X(bf16, uint16_t, f32, uint32_t) X(bf16, uint16_t, f64, uint64_t) \
    X(bf16, uint16_t, f80, Float80) X(bf16, uint16_t, f128, Float128) \
    X(f32, uint32_t, f16, uint16_t) X(f32, uint32_t, bf16, uint16_t) X(f32, uint32_t, f64, uint64_t) \
    X(f32, uint32_t, f80, Float80) X(f32, uint32_t, f128, Float128) \
    X(f64, uint64_t, f16, uint16_t) X(f64, uint64_t, bf16, uint16_t) X(f64, uint64_t, f32, uint32_t) \
    X(f64, uint64_t, f80, Float80) X(f64, uint64_t, f128, Float128) \
    X(f80, Float80, f16, uint16_t) X(f80, Float80, bf16, uint16_t) X(f80, Float80, f32, uint32_t) \
    X(f80, Float80, f64, uint64_t) X(f80, Float80, f128, Float128) \
    X(f128, Float128, f16, uint16_t) X(f128, Float128, bf16, uint16_t) X(f128, Float128, f32, uint32_t) \
    X(f128, Float128, f64, uint64_t) X(f128, Float128, f80, Float80)
FP_CONVERSIONS(FP_CONVERT)
#undef FP_CONVERT
