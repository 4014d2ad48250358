#include "table.h"

const IntegerFormat integer_formats[INTEGER_COUNT] = {
    [I32] = { "i32", 32, true },   [U32] = { "u32", 32, false },   [I64] = { "i64", 64, true },
    [U64] = { "u64", 64, false },  [I128] = { "i128", 128, true }, [U128] = { "u128", 128, false },
};

static Float80 f80_of(Uint128 bits) { return (Float80){ (uint64_t)bits, (uint16_t)(bits >> 64) }; }
static Uint128 of_f80(Float80 a) { return (Uint128)a.sign_exponent << 64 | a.significand; }
#define PLAIN(a) (a)

#define BINARY(name, function, in, out) \
    static Uint128 name##_##function##_(Uint128 a, Uint128 b, FpContext *fp) \
    { \
        return out(name##_##function(in(a), in(b), fp)); \
    }
#define INTEGER(name, I, suffix, in, out) \
    static Uint128 name##_to_##suffix##_(Uint128 a, FpContext *fp) { return (Uint128)name##_to_##suffix(in(a), fp); } \
    static Uint128 name##_from_##suffix##_(Uint128 a, FpContext *fp) { return out(name##_from_##suffix((I)a, fp)); }
#define WRAP(name, in, out) \
    BINARY(name, add, in, out) \
    BINARY(name, sub, in, out) \
    BINARY(name, mul, in, out) \
    BINARY(name, div, in, out) \
    BINARY(name, remainder, in, out) \
    static Uint128 name##_sqrt_(Uint128 a, FpContext *fp) { return out(name##_sqrt(in(a), fp)); } \
    static Uint128 name##_fma_(Uint128 a, Uint128 b, Uint128 c, FpContext *fp) \
    { \
        return out(name##_fma(in(a), in(b), in(c), fp)); \
    } \
    static Uint128 name##_round_to_integral_(Uint128 a, bool raise_inexact, FpContext *fp) \
    { \
        return out(name##_round_to_integral(in(a), raise_inexact, fp)); \
    } \
    static Uint128 name##_scale_(Uint128 a, int n, FpContext *fp) { return out(name##_scale(in(a), n, fp)); } \
    static Uint128 name##_minmax_(Uint128 a, Uint128 b, bool maximum, FpMinMax rule, FpContext *fp) \
    { \
        return out(name##_minmax(in(a), in(b), maximum, rule, fp)); \
    } \
    static FpCompare name##_compare_(Uint128 a, Uint128 b, bool signalling, FpContext *fp) \
    { \
        return name##_compare(in(a), in(b), signalling, fp); \
    } \
    static FpClass name##_class_(Uint128 a) { return name##_class(in(a)); } \
    static bool name##_is_nan_(Uint128 a) { return name##_is_nan(in(a)); } \
    static bool name##_is_signalling_(Uint128 a) { return name##_is_signalling(in(a)); } \
    static Uint128 name##_default_nan_(const FpContext *fp) { return out(name##_default_nan(fp)); } \
    INTEGER(name, int32_t, i32, in, out) \
    INTEGER(name, uint32_t, u32, in, out) \
    INTEGER(name, int64_t, i64, in, out) \
    INTEGER(name, uint64_t, u64, in, out) \
    INTEGER(name, __int128, i128, in, out) \
    INTEGER(name, Uint128, u128, in, out)

WRAP(f16, PLAIN, PLAIN)
WRAP(bf16, PLAIN, PLAIN)
WRAP(f32, PLAIN, PLAIN)
WRAP(f64, PLAIN, PLAIN)
WRAP(f80, f80_of, of_f80)
WRAP(f128, PLAIN, PLAIN)

#define CONVERT(to, from, in, out) \
    static Uint128 to##_from_##from##_(Uint128 a, FpContext *fp) { return out(to##_from_##from(in(a), fp)); }
#define CONVERT_BOTH(a, a_in, a_out, b, b_in, b_out) \
    CONVERT(a, b, b_in, a_out) \
    CONVERT(b, a, a_in, b_out)
#define CONVERT_PLAIN(a, b) CONVERT_BOTH(a, PLAIN, PLAIN, b, PLAIN, PLAIN)
#define CONVERT_F80(b) CONVERT_BOTH(f80, f80_of, of_f80, b, PLAIN, PLAIN)
CONVERT_PLAIN(f16, bf16)
CONVERT_PLAIN(f16, f32)
CONVERT_PLAIN(f16, f64)
CONVERT_PLAIN(f16, f128)
CONVERT_PLAIN(bf16, f32)
CONVERT_PLAIN(bf16, f64)
CONVERT_PLAIN(bf16, f128)
CONVERT_PLAIN(f32, f64)
CONVERT_PLAIN(f32, f128)
CONVERT_PLAIN(f64, f128)
CONVERT_F80(f16)
CONVERT_F80(bf16)
CONVERT_F80(f32)
CONVERT_F80(f64)
CONVERT_F80(f128)

#define ROW(n) \
    .name = #n, .format = &n##_format, .add = n##_add_, .sub = n##_sub_, .mul = n##_mul_, .div = n##_div_, \
    .remainder = n##_remainder_, .sqrt = n##_sqrt_, .fma = n##_fma_, .round_to_integral = n##_round_to_integral_, \
    .scale = n##_scale_, .minmax = n##_minmax_, .compare = n##_compare_, .classify = n##_class_, \
    .is_nan = n##_is_nan_, .is_signalling = n##_is_signalling_, .default_nan = n##_default_nan_, \
    .to_integer = { n##_to_i32_, n##_to_u32_, n##_to_i64_, n##_to_u64_, n##_to_i128_, n##_to_u128_ }, \
    .from_integer = { n##_from_i32_, n##_from_u32_, n##_from_i64_, n##_from_u64_, n##_from_i128_, n##_from_u128_ }

const FormatFunctions format_functions[FORMAT_COUNT] = {
    [F16] = { ROW(f16), .convert_to = { NULL, bf16_from_f16_, f32_from_f16_, f64_from_f16_, f80_from_f16_,
                                        f128_from_f16_ } },
    [BF16] = { ROW(bf16), .convert_to = { f16_from_bf16_, NULL, f32_from_bf16_, f64_from_bf16_, f80_from_bf16_,
                                          f128_from_bf16_ } },
    [F32] = { ROW(f32), .convert_to = { f16_from_f32_, bf16_from_f32_, NULL, f64_from_f32_, f80_from_f32_,
                                        f128_from_f32_ } },
    [F64] = { ROW(f64), .convert_to = { f16_from_f64_, bf16_from_f64_, f32_from_f64_, NULL, f80_from_f64_,
                                        f128_from_f64_ } },
    [F80] = { ROW(f80), .convert_to = { f16_from_f80_, bf16_from_f80_, f32_from_f80_, f64_from_f80_, NULL,
                                        f128_from_f80_ } },
    [F128] = { ROW(f128), .convert_to = { f16_from_f128_, bf16_from_f128_, f32_from_f128_, f64_from_f128_,
                                          f80_from_f128_, NULL } },
};
