/*
 * f128 against the host's C runtime, where that has binary128 in software and keeps its modes and flags in MXCSR
 * (x86-64): results, and the five flags of IEEE 754, in the four rounding modes. Also the remainders of f32 and f64
 * against the C library's, across the whole range of exponents.
 */
#include "operands.h"
#include "table.h"

#include <fenv.h>
#include <float.h>
#include <glib.h>
#include <math.h>
#include <string.h>

typedef Uint128 HostFunction(const Uint128 operands[3]);
typedef Uint128 OurFunction(const Uint128 operands[3], FpContext *fp);

typedef struct Operation {
    const char *name;
    unsigned from; /* the format of the operands in format_functions, FORMAT_COUNT: an integer */
    unsigned operand_count;
    HostFunction *host;
    OurFunction *ours;
    /* The host is asked under the nearest rounding alone: the result is exact, and the C library gives an exact zero
     * the wrong sign under others. */
    bool exact;
} Operation;

/* Bits of one type as another; macros, that they serve all types. A long double is ten bytes and padding. */
#define VALUE_BYTES(value) \
    _Generic(value, long double: LDBL_MANT_DIG == 64 ? 10 : sizeof(value), default: sizeof(value))
#define BITS_OF(value) \
    ({ \
        __typeof__(value) value_ = (value); \
        Uint128 bits_ = 0; \
        memcpy(&bits_, &value_, VALUE_BYTES(value_)); \
        bits_; \
    })
#define VALUE_OF(T, bits) \
    ({ \
        Uint128 bits_ = (bits); \
        T value_; \
        memcpy(&value_, &bits_, sizeof value_); \
        value_; \
    })

#define HOST(name, T, expression) \
    static Uint128 host_##name(const Uint128 operands[3]) \
    { \
        T a = VALUE_OF(T, operands[0]); \
        T b UNUSED = VALUE_OF(T, operands[1]); \
        T c UNUSED = VALUE_OF(T, operands[2]); \
        return BITS_OF(expression); \
    }
#define OURS(name, expression) \
    static Uint128 our_##name(const Uint128 operands[3], FpContext *fp) \
    { \
        Uint128 a = operands[0], b UNUSED = operands[1], c UNUSED = operands[2]; \
        return expression; \
    }

HOST(remainder_f32, float, remainderf(a, b))
HOST(remainder_f64, double, remainder(a, b))
OURS(remainder_f32, f32_remainder(a, b, fp))
OURS(remainder_f64, f64_remainder(a, b, fp))

#if defined __x86_64__ && defined __SIZEOF_FLOAT128__

/* Called by their names, as what is written with operators may be moved across a change of the rounding mode. */
#define RUNTIME(T, name, ...) extern T name(__VA_ARGS__);
RUNTIME(__float128, __addtf3, __float128, __float128)
RUNTIME(__float128, __subtf3, __float128, __float128)
RUNTIME(__float128, __multf3, __float128, __float128)
RUNTIME(__float128, __divtf3, __float128, __float128)
RUNTIME(__float128, sqrtf128, __float128)
RUNTIME(__float128, fmaf128, __float128, __float128, __float128)
RUNTIME(__float128, remainderf128, __float128, __float128)
RUNTIME(__float128, rintf128, __float128)
RUNTIME(__float128, __extendsftf2, float)
RUNTIME(__float128, __extenddftf2, double)
RUNTIME(__float128, __extendxftf2, long double)
RUNTIME(float, __trunctfsf2, __float128)
RUNTIME(double, __trunctfdf2, __float128)
RUNTIME(long double, __trunctfxf2, __float128)
RUNTIME(__float128, __floatsitf, int32_t)
RUNTIME(__float128, __floatunsitf, uint32_t)
RUNTIME(__float128, __floatditf, int64_t)
RUNTIME(__float128, __floatunditf, uint64_t)
RUNTIME(__float128, __floattitf, __int128)
RUNTIME(__float128, __floatuntitf, unsigned __int128)

HOST(add, __float128, __addtf3(a, b))
HOST(sub, __float128, __subtf3(a, b))
HOST(mul, __float128, __multf3(a, b))
HOST(div, __float128, __divtf3(a, b))
HOST(sqrt, __float128, sqrtf128(a))
HOST(fma, __float128, fmaf128(a, b, c))
HOST(remainder, __float128, remainderf128(a, b))
HOST(rint, __float128, rintf128(a))
HOST(from_f32, float, __extendsftf2(a))
HOST(from_f64, double, __extenddftf2(a))
HOST(from_f80, long double, __extendxftf2(a))
HOST(to_f32, __float128, __trunctfsf2(a))
HOST(to_f64, __float128, __trunctfdf2(a))
HOST(to_f80, __float128, __trunctfxf2(a))
HOST(from_i32, int32_t, __floatsitf(a))
HOST(from_u32, uint32_t, __floatunsitf(a))
HOST(from_i64, int64_t, __floatditf(a))
HOST(from_u64, uint64_t, __floatunditf(a))
HOST(from_i128, __int128, __floattitf(a))
HOST(from_u128, Uint128, __floatuntitf(a))

#define QUAD format_functions[F128]
OURS(add, QUAD.add(a, b, fp))
OURS(sub, QUAD.sub(a, b, fp))
OURS(mul, QUAD.mul(a, b, fp))
OURS(div, QUAD.div(a, b, fp))
OURS(sqrt, QUAD.sqrt(a, fp))
OURS(fma, QUAD.fma(a, b, c, fp))
OURS(remainder, QUAD.remainder(a, b, fp))
OURS(rint, QUAD.round_to_integral(a, true, fp))
OURS(from_f32, format_functions[F32].convert_to[F128](a, fp))
OURS(from_f64, format_functions[F64].convert_to[F128](a, fp))
OURS(from_f80, format_functions[F80].convert_to[F128](a, fp))
OURS(to_f32, QUAD.convert_to[F32](a, fp))
OURS(to_f64, QUAD.convert_to[F64](a, fp))
OURS(to_f80, QUAD.convert_to[F80](a, fp))
OURS(from_i32, QUAD.from_integer[I32](a, fp))
OURS(from_u32, QUAD.from_integer[U32](a, fp))
OURS(from_i64, QUAD.from_integer[I64](a, fp))
OURS(from_u64, QUAD.from_integer[U64](a, fp))
OURS(from_i128, QUAD.from_integer[I128](a, fp))
OURS(from_u128, QUAD.from_integer[U128](a, fp))

#define OPERATION(name, from, count) { #name, from, count, host_##name, our_##name, false }
#endif

static const Operation operations[] = {
    { "f32/remainder", F32, 2, host_remainder_f32, our_remainder_f32, true },
    { "f64/remainder", F64, 2, host_remainder_f64, our_remainder_f64, true },
#ifdef OPERATION
    OPERATION(add, F128, 2),
    OPERATION(sub, F128, 2),
    OPERATION(mul, F128, 2),
    OPERATION(div, F128, 2),
    OPERATION(sqrt, F128, 1),
    OPERATION(fma, F128, 3),
    { "remainder", F128, 2, host_remainder, our_remainder, true },
    OPERATION(rint, F128, 1),
    OPERATION(from_f32, F32, 1),
    OPERATION(from_f64, F64, 1),
    OPERATION(from_f80, F80, 1),
    OPERATION(to_f32, F128, 1),
    OPERATION(to_f64, F128, 1),
    OPERATION(to_f80, F128, 1),
    OPERATION(from_i32, FORMAT_COUNT, 1),
    OPERATION(from_u32, FORMAT_COUNT, 1),
    OPERATION(from_i64, FORMAT_COUNT, 1),
    OPERATION(from_u64, FORMAT_COUNT, 1),
    OPERATION(from_i128, FORMAT_COUNT, 1),
    OPERATION(from_u128, FORMAT_COUNT, 1),
#endif
};

static const struct {
    FpRounding ours;
    int host;
} roundings[] = {
    { FP_ROUND_NEAREST_EVEN, FE_TONEAREST },
    { FP_ROUND_TOWARD_ZERO, FE_TOWARDZERO },
    { FP_ROUND_DOWN, FE_DOWNWARD },
    { FP_ROUND_UP, FE_UPWARD },
};

static int host_flags(const FpContext *fp)
{
    return (fp->flags & FP_INEXACT ? FE_INEXACT : 0) | (fp->flags & FP_UNDERFLOW ? FE_UNDERFLOW : 0) |
           (fp->flags & FP_OVERFLOW ? FE_OVERFLOW : 0) | (fp->flags & FP_DIVIDE_BY_ZERO ? FE_DIVBYZERO : 0) |
           (fp->flags & FP_INVALID ? FE_INVALID : 0);
}

/* Which of several NaNs comes out, and what becomes of f80's unsupported encodings and pseudo-denormals, which libgcc
 * does not know, is for other tests. */
static bool is_comparable(const Operation *operation, const Uint128 operands[3])
{
    unsigned nans = 0;
    for (unsigned i = 0; i < operation->operand_count && operation->from < FORMAT_COUNT; i++) {
        FpClass class = format_functions[operation->from].classify(operands[i]);
        nans += class == FP_CLASS_QUIET_NAN || class == FP_CLASS_SIGNALLING_NAN;
        if (class == FP_CLASS_UNSUPPORTED || (operation->from == F80 && (operands[i] >> 63 & 0xffff) == 1)) {
            return false;
        }
    }
    return nans < 2;
}

#ifdef __x86_64__
#define DEFAULT_NAN_NEGATIVE true
#else
#define DEFAULT_NAN_NEGATIVE false
#endif

static void check(const Operation *operation, const Uint128 operands[3], unsigned rounding)
{
    FpContext fp = { .rounding = roundings[rounding].ours,
                     .nan_rule = FP_NAN_X86_SSE,
                     .default_nan_negative = DEFAULT_NAN_NEGATIVE,
                     .fma_invalid_keeps_nan = true };
    Uint128 result = operation->ours(operands, &fp);

    fesetround(operation->exact ? FE_TONEAREST : roundings[rounding].host);
    feclearexcept(FE_ALL_EXCEPT);
    Uint128 expected = operation->host(operands);
    int flags = fetestexcept(FE_ALL_EXCEPT);
    fesetround(FE_TONEAREST);

    if (result != expected || host_flags(&fp) != flags) {
        g_test_message("%s %#lx:%016lx %#lx:%016lx %#lx:%016lx, rounding %u: %#lx:%016lx flags %#x, "
                       "the host has %#lx:%016lx flags %#x",
                       operation->name, (uint64_t)(operands[0] >> 64), (uint64_t)operands[0],
                       (uint64_t)(operands[1] >> 64), (uint64_t)operands[1], (uint64_t)(operands[2] >> 64),
                       (uint64_t)operands[2], fp.rounding, (uint64_t)(result >> 64), (uint64_t)result,
                       host_flags(&fp), (uint64_t)(expected >> 64), (uint64_t)expected, flags);
        g_test_fail();
    }
}

static void test_operation(const void *data)
{
    const Operation *operation = data;
    Random random = { 5 };
    Uint128 values[3];

    for (unsigned i = test_repetitions(20000); i && !g_test_failed(); i--) {
        if (operation->from < FORMAT_COUNT) {
            random_operands(&random, format_functions[operation->from].format, values);
        } else {
            values[0] = (Uint128)random_next(&random) << 64 | random_next(&random);
            values[0] = (Uint128)((__int128)values[0] >> random_below(&random, 128));
        }
        for (unsigned rounding = 0; rounding < ARRAY_SIZE(roundings) && is_comparable(operation, values); rounding++) {
            check(operation, values, rounding);
        }
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < ARRAY_SIZE(operations); i++) {
        g_autofree char *path = g_strdup_printf("/fpu/quad/%s", operations[i].name);
        g_test_add_data_func(path, &operations[i], test_operation);
    }
    return g_test_run();
}
