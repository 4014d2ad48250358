/*
 * The functions of fpu.h for one format. `to_bits` makes a Significand that holds the encoding out of a T, and
 * `from_bits` a T of that.
 */
#pragma once

#include "fpu/arithmetic.h"
#include "fpu/compare.h"
#include "fpu/convert.h"

/* Encodings that are integers. */
#define FP_PLAIN(bits) (bits)

#define FP_DEFINE_ARITHMETIC(name, T, to_bits, from_bits) \
    T name##_add(T a, T b, FpContext *fp) \
    { \
        return from_bits(add_bits(to_bits(a), to_bits(b), false, &name##_format, fp)); \
    } \
    T name##_sub(T a, T b, FpContext *fp) \
    { \
        return from_bits(add_bits(to_bits(a), to_bits(b), true, &name##_format, fp)); \
    } \
    T name##_mul(T a, T b, FpContext *fp) \
    { \
        return from_bits(mul_bits(to_bits(a), to_bits(b), &name##_format, fp)); \
    } \
    T name##_div(T a, T b, FpContext *fp) \
    { \
        return from_bits(div_bits(to_bits(a), to_bits(b), &name##_format, fp)); \
    } \
    T name##_sqrt(T a, FpContext *fp) { return from_bits(sqrt_bits(to_bits(a), &name##_format, fp)); } \
    T name##_fma(T a, T b, T c, FpContext *fp) \
    { \
        return from_bits(fma_bits(to_bits(a), to_bits(b), to_bits(c), &name##_format, fp)); \
    } \
    T name##_remainder(T a, T b, FpContext *fp) \
    { \
        return from_bits(remainder_bits(to_bits(a), to_bits(b), &name##_format, fp)); \
    } \
    T name##_scale(T a, int n, FpContext *fp) { return from_bits(scale_bits(to_bits(a), n, &name##_format, fp)); } \
    T name##_round_to_integral(T a, bool raise_inexact, FpContext *fp) \
    { \
        return from_bits(round_to_integral_bits(to_bits(a), raise_inexact, &name##_format, fp)); \
    }

#define FP_DEFINE_COMPARISON(name, T, to_bits, from_bits) \
    T name##_minmax(T a, T b, bool maximum, FpMinMax rule, FpContext *fp) \
    { \
        return from_bits(minmax_bits(to_bits(a), to_bits(b), maximum, rule, &name##_format, fp)); \
    } \
    FpCompare name##_compare(T a, T b, bool signalling, FpContext *fp) \
    { \
        return compare_bits(to_bits(a), to_bits(b), signalling, &name##_format, fp); \
    } \
    FpClass name##_class(T a) { return classify(to_bits(a), &name##_format); } \
    bool name##_is_nan(T a) { return name##_class(a) == FP_CLASS_QUIET_NAN || name##_is_signalling(a); } \
    bool name##_is_signalling(T a) { return name##_class(a) == FP_CLASS_SIGNALLING_NAN; } \
    T name##_default_nan(const FpContext *fp) \
    { \
        return from_bits(pack_special(default_nan(fp), &name##_format, fp)); \
    }

#define FP_DEFINE_TO_INTEGER(name, T, to_bits, I, suffix, bits, is_signed) \
    I name##_to_##suffix(T a, FpContext *fp) \
    { \
        return (I)to_integer(to_bits(a), &name##_format, (IntegerType){ bits, is_signed }, fp); \
    }

#define FP_DEFINE_INTEGERS(name, T, to_bits, from_bits) \
    FP_DEFINE_TO_INTEGER(name, T, to_bits, int32_t, i32, 32, true) \
    FP_DEFINE_TO_INTEGER(name, T, to_bits, uint32_t, u32, 32, false) \
    FP_DEFINE_TO_INTEGER(name, T, to_bits, int64_t, i64, 64, true) \
    FP_DEFINE_TO_INTEGER(name, T, to_bits, uint64_t, u64, 64, false) \
    FP_DEFINE_TO_INTEGER(name, T, to_bits, __int128, i128, 128, true) \
    FP_DEFINE_TO_INTEGER(name, T, to_bits, Uint128, u128, 128, false) \
    T name##_from_i128(__int128 a, FpContext *fp) { return from_bits(from_signed(a, &name##_format, fp)); } \
    T name##_from_i64(int64_t a, FpContext *fp) { return from_bits(from_signed(a, &name##_format, fp)); } \
    T name##_from_i32(int32_t a, FpContext *fp) { return from_bits(from_signed(a, &name##_format, fp)); } \
    T name##_from_u128(Uint128 a, FpContext *fp) { return from_bits(from_magnitude(false, a, &name##_format, fp)); } \
    T name##_from_u64(uint64_t a, FpContext *fp) { return from_bits(from_magnitude(false, a, &name##_format, fp)); } \
    T name##_from_u32(uint32_t a, FpContext *fp) { return from_bits(from_magnitude(false, a, &name##_format, fp)); }

#define FP_DEFINE(name, T, to_bits, from_bits) \
    FP_DEFINE_ARITHMETIC(name, T, to_bits, from_bits) \
    FP_DEFINE_COMPARISON(name, T, to_bits, from_bits) \
    FP_DEFINE_INTEGERS(name, T, to_bits, from_bits)

#define FP_DEFINE_CONVERSION(to, T, from_bits, from, F, to_bits) \
    T to##_from_##from(F a, FpContext *fp) \
    { \
        return from_bits(convert_bits(to_bits(a), &from##_format, &to##_format, fp)); \
    }
