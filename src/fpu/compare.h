/* Comparison, minimum and maximum, classes: IEEE 754-2019, 5.6, 5.7, 5.11 and 9.6; minNum of 754-2008, 5.3.1. */
#pragma once

#include "fpu/parts.h"

/* Neither is a NaN. */
FP_INLINE FpCompare compare_parts(Parts a, Parts b)
{
    bool a_less;

    if (a.kind == KIND_ZERO && b.kind == KIND_ZERO) {
        return FP_EQUAL;
    }
    if (a.kind == KIND_ZERO || b.kind == KIND_ZERO || a.sign != b.sign) {
        return (a.kind == KIND_ZERO ? !b.sign : a.sign) ? FP_LESS : FP_GREATER;
    }
    if (a.kind != b.kind) {
        a_less = a.kind < b.kind;
    } else if (a.exponent != b.exponent) {
        a_less = a.exponent < b.exponent;
    } else if (a.significand != b.significand) {
        a_less = a.significand < b.significand;
    } else {
        return FP_EQUAL;
    }
    return a_less != a.sign ? FP_LESS : FP_GREATER;
}

FP_INLINE FpCompare compare_bits(Significand a_bits, Significand b_bits, bool signalling, const FpFormat *format,
                                 FpContext *fp)
{
    Parts a = unpack(a_bits, format, fp), b = unpack(b_bits, format, fp);

    if (UNLIKELY(is_nan(a) || is_nan(b))) {
        if (signalling || a.kind >= KIND_SIGNALLING || b.kind >= KIND_SIGNALLING) {
            fp->flags |= FP_INVALID;
        }
        return FP_UNORDERED;
    }
    note_subnormal(a.subnormal | b.subnormal, fp);
    return compare_parts(a, b);
}

/* The encoding of what unpack() made of `bits`: they, but for a flushed input. */
FP_INLINE Significand repack(Parts a, Significand bits, const FpFormat *format)
{
    return a.kind == KIND_ZERO ? sign_bit(a.sign, format) : bits;
}

static Significand minmax_nan(Parts a, Parts b, Significand a_bits, Significand b_bits, FpMinMax rule,
                              const FpFormat *format, FpContext *fp)
{
    bool signalling = a.kind >= KIND_SIGNALLING || b.kind >= KIND_SIGNALLING;
    bool number_wins = rule == FP_MINMAX_NUMBER || (rule == FP_MINMAX_2008 && !signalling);

    if (rule == FP_MINMAX_X86) {
        fp->flags |= FP_INVALID;
        return repack(b, b_bits, format);
    }
    if (number_wins && is_nan(a) != is_nan(b)) {
        if (signalling) {
            fp->flags |= FP_INVALID;
        }
        return is_nan(a) ? repack(b, b_bits, format) : repack(a, a_bits, format);
    }
    return pack_special(nan_result((Parts[]){ a, b }, 2, fp), format, fp);
}

static inline Significand minmax_bits(Significand a_bits, Significand b_bits, bool maximum, FpMinMax rule,
                                      const FpFormat *format, FpContext *fp)
{
    Parts a = unpack(a_bits, format, fp), b = unpack(b_bits, format, fp);

    if (UNLIKELY(is_nan(a) || is_nan(b))) {
        return minmax_nan(a, b, a_bits, b_bits, rule, format, fp);
    }
    note_subnormal(a.subnormal | b.subnormal, fp);
    FpCompare order = compare_parts(a, b);
    if (order == FP_EQUAL && rule != FP_MINMAX_X86) {
        order = a.sign && !b.sign ? FP_LESS : FP_GREATER; /* -0 < +0; else they are the same */
    }
    return order == (maximum ? FP_GREATER : FP_LESS) ? repack(a, a_bits, format) : repack(b, b_bits, format);
}

/* By the encoding alone: nothing is flushed. */
static inline FpClass classify(Significand bits, const FpFormat *format)
{
    FpContext none = { 0 };
    Parts a = unpack(bits, format, &none);

    switch (a.kind) {
    case KIND_ZERO:
        return a.sign ? FP_CLASS_NEGATIVE_ZERO : FP_CLASS_POSITIVE_ZERO;
    case KIND_INFINITY:
        return a.sign ? FP_CLASS_NEGATIVE_INFINITY : FP_CLASS_POSITIVE_INFINITY;
    case KIND_QUIET:
        return FP_CLASS_QUIET_NAN;
    case KIND_SIGNALLING:
        return FP_CLASS_SIGNALLING_NAN;
    case KIND_UNSUPPORTED:
        return FP_CLASS_UNSUPPORTED;
    default:
        return a.subnormal ? a.sign ? FP_CLASS_NEGATIVE_SUBNORMAL : FP_CLASS_POSITIVE_SUBNORMAL
               : a.sign    ? FP_CLASS_NEGATIVE_NORMAL
                           : FP_CLASS_POSITIVE_NORMAL;
    }
}
