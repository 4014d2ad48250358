/* Conversions to and from integers, to integral values and between formats: IEEE 754-2019, 5.3.1, 5.4 and 5.8. */
#pragma once

#include "fpu/parts.h"

/* A normal number below 2^128, rounded to an integer's magnitude. */
FP_INLINE Uint128 round_to_integer(Parts a, unsigned rounding, bool *inexact)
{
    Uint128 wide = significand_widen(a.significand), whole = 0, rest = a.exponent == -1 ? wide : 1;

    if (a.exponent >= 0) {
        whole = wide >> (127 - a.exponent);
        rest = wide << a.exponent << 1;
    }
    *inexact = rest != 0;
    return whole + rounds_up(rounding, a.sign, whole & 1, significand_narrow(rest), SIGNIFICAND_TOP);
}

/* ---- To integers ---- */

typedef struct IntegerType {
    uint8_t bits;
    bool is_signed;
} IntegerType;

/* The largest magnitude of a sign. */
FP_INLINE Uint128 integer_limit(IntegerType type, bool negative)
{
    if (type.is_signed) {
        return ((Uint128)1 << (type.bits - 1)) - !negative;
    }
    return negative ? 0 : (Uint128)-1 >> (128 - type.bits);
}

/* What stands for a NaN or what does not fit. */
FP_COLD Uint128 invalid_integer(Parts a, IntegerType type, FpContext *fp)
{
    bool negative = a.sign && !is_nan(a);

    fp->flags |= FP_INVALID;
    if (fp->int_invalid_indefinite) {
        return type.is_signed ? (Uint128)1 << (type.bits - 1) : (Uint128)-1;
    }
    if (is_nan(a) && fp->int_invalid_zero_nan) {
        return 0;
    }
    Uint128 limit = integer_limit(type, negative);
    return negative ? -limit : limit;
}

FP_INLINE Uint128 to_integer(Significand bits, const FpFormat *format, IntegerType type, FpContext *fp)
{
    Parts a = unpack(bits, format, fp);
    bool inexact;

    if (a.kind == KIND_ZERO) {
        return 0;
    }
    if (UNLIKELY(a.kind != KIND_NORMAL || a.exponent > 127)) {
        return invalid_integer(a, type, fp);
    }
    Uint128 magnitude = round_to_integer(a, fp->rounding, &inexact);
    if (UNLIKELY(magnitude > integer_limit(type, a.sign))) {
        return invalid_integer(a, type, fp);
    }
    if (inexact) {
        fp->flags |= FP_INEXACT;
    }
    return a.sign ? -magnitude : magnitude;
}

/* ---- From integers ---- */

FP_INLINE Significand from_magnitude(bool sign, Uint128 magnitude, const FpFormat *format, FpContext *fp)
{
    if (!magnitude) {
        return 0;
    }
    int zeros = (uint64_t)(magnitude >> 64) ? __builtin_clzll(magnitude >> 64)
                                            : 64 + __builtin_clzll((uint64_t)magnitude);
    return round_pack(parts_normal(sign, 127 - zeros, significand_narrow(magnitude << zeros)), format, fp);
}

FP_INLINE Significand from_signed(__int128 a, const FpFormat *format, FpContext *fp)
{
    return from_magnitude(a < 0, a < 0 ? -(Uint128)a : (Uint128)a, format, fp);
}

/* ---- To integral values and other formats ---- */

static inline Significand round_to_integral_bits(Significand bits, bool raise_inexact, const FpFormat *format,
                                                 FpContext *fp)
{
    Parts a = unpack(bits, format, fp);
    bool inexact;

    if (is_nan(a)) {
        return pack_special(nan_result(&a, 1, fp), format, fp);
    }
    note_subnormal(a.subnormal && format->explicit_integer, fp); /* x87's FRNDINT says so, SSE's ROUNDSD does not */
    if (a.kind == KIND_NORMAL && a.exponent < format->fraction_bits) {
        Uint128 magnitude = round_to_integer(a, fp->rounding, &inexact);
        if (inexact && raise_inexact) {
            fp->flags |= FP_INEXACT;
        }
        return magnitude ? from_magnitude(a.sign, magnitude, format, fp) : sign_bit(a.sign, format);
    }
    return round_pack(a, format, fp);
}

FP_INLINE Significand convert_bits(Significand bits, const FpFormat *from, const FpFormat *to, FpContext *fp)
{
    Parts a = unpack(bits, from, fp);

    if (UNLIKELY(is_nan(a))) {
        return pack_special(nan_result(&a, 1, fp), to, fp);
    }
    note_subnormal(a.subnormal && !from->explicit_integer, fp); /* x87's FLD says so, its FST does not */
    return round_pack(a, to, fp);
}
