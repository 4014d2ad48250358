/*
 * f32 and f64 against the host's own SSE and FMA instructions: results and all flags, in the four rounding modes, with
 * and without flushing. This also covers the NaN and invalid-integer rules of x86.
 */
#include "operands.h"

#include <glib.h>
#include <string.h>

#ifdef __x86_64__

#include <immintrin.h>

#define MXCSR_FLAGS 0x3fu
#define MXCSR_DAZ 0x40u
#define MXCSR_MASKS 0x1f80u
#define MXCSR_FTZ 0x8000u

typedef uint64_t HostFunction(const uint64_t operands[3], uint32_t *mxcsr);
typedef uint64_t OurFunction(const uint64_t operands[3], FpContext *fp);

typedef struct Operation {
    const char *name;
    const FpFormat *format; /* of the operands; NULL: an integer of 64 bits */
    unsigned operand_count;
    HostFunction *host;
    OurFunction *ours;
    bool needs_fma;
} Operation;

/* ---- What the host does ---- */

static const uint32_t quiet_mxcsr = MXCSR_MASKS;

#define WITH_MXCSR(instruction) "ldmxcsr %[mxcsr]\n\t" instruction "\n\tstmxcsr %[mxcsr]\n\tldmxcsr %[quiet]"

/* %0 is the first operand and the result. */
#define HOST(name, instruction) \
    static uint64_t host_##name(const uint64_t operands[3], uint32_t *mxcsr) \
    { \
        __m128i a = _mm_cvtsi64_si128((int64_t)operands[0]), b = _mm_cvtsi64_si128((int64_t)operands[1]), \
                c = _mm_cvtsi64_si128((int64_t)operands[2]); \
        __asm__ volatile(WITH_MXCSR(instruction) \
                         : "+x"(a), [mxcsr] "+m"(*mxcsr) \
                         : [b] "x"(b), [c] "x"(c), [quiet] "m"(quiet_mxcsr)); \
        return (uint64_t)_mm_cvtsi128_si64(a); \
    }

#define HOST_BOTH(name, instruction) \
    HOST(name##_32, instruction "ss %[b], %0") \
    HOST(name##_64, instruction "sd %[b], %0")

HOST_BOTH(add, "add")
HOST_BOTH(sub, "sub")
HOST_BOTH(mul, "mul")
HOST_BOTH(div, "div")
HOST_BOTH(min, "min")
HOST_BOTH(max, "max")
HOST_BOTH(sqrt, "sqrt")
HOST(fma_32, "vfmadd132ss %[b], %[c], %0")
HOST(fma_64, "vfmadd132sd %[b], %[c], %0")
HOST(rint_32, "roundss $4, %0, %0")
HOST(rint_64, "roundsd $4, %0, %0")
HOST(nearbyint_32, "roundss $12, %0, %0")
HOST(nearbyint_64, "roundsd $12, %0, %0")
HOST(widen, "cvtss2sd %0, %0")
HOST(narrow, "cvtpd2ps %0, %0")

#define HOST_TO_INTEGER(name, instruction) \
    static uint64_t host_##name(const uint64_t operands[3], uint32_t *mxcsr) \
    { \
        __m128i a = _mm_cvtsi64_si128((int64_t)operands[0]); \
        uint64_t result; \
        __asm__ volatile(WITH_MXCSR(instruction) \
                         : [result] "=r"(result), [mxcsr] "+m"(*mxcsr) \
                         : [a] "x"(a), [quiet] "m"(quiet_mxcsr)); \
        return result; \
    }
HOST_TO_INTEGER(i32_32, "cvtss2si %[a], %k[result]")
HOST_TO_INTEGER(i32_64, "cvtsd2si %[a], %k[result]")
HOST_TO_INTEGER(i64_32, "cvtss2si %[a], %q[result]")
HOST_TO_INTEGER(i64_64, "cvtsd2si %[a], %q[result]")

#define HOST_FROM_INTEGER(name, instruction) \
    static uint64_t host_##name(const uint64_t operands[3], uint32_t *mxcsr) \
    { \
        __m128i a = _mm_setzero_si128(); \
        __asm__ volatile(WITH_MXCSR(instruction) \
                         : "+x"(a), [mxcsr] "+m"(*mxcsr) \
                         : [b] "r"(operands[0]), [quiet] "m"(quiet_mxcsr)); \
        return (uint64_t)_mm_cvtsi128_si64(a); \
    }
HOST_FROM_INTEGER(from_i32_32, "cvtsi2ssl %k[b], %0")
HOST_FROM_INTEGER(from_i32_64, "cvtsi2sdl %k[b], %0")
HOST_FROM_INTEGER(from_i64_32, "cvtsi2ssq %q[b], %0")
HOST_FROM_INTEGER(from_i64_64, "cvtsi2sdq %q[b], %0")

/* ucomiss and comiss give ZF, PF, CF: unordered 111, less 001, equal 100, greater 000. */
#define HOST_COMPARE(name, instruction) \
    static uint64_t host_##name(const uint64_t operands[3], uint32_t *mxcsr) \
    { \
        __m128i a = _mm_cvtsi64_si128((int64_t)operands[0]), b = _mm_cvtsi64_si128((int64_t)operands[1]); \
        bool equal, unordered, below; \
        __asm__ volatile(WITH_MXCSR(instruction " %[b], %[a]") \
                         : "=@ccz"(equal), "=@ccp"(unordered), "=@ccc"(below), [mxcsr] "+m"(*mxcsr) \
                         : [a] "x"(a), [b] "x"(b), [quiet] "m"(quiet_mxcsr)); \
        return unordered ? FP_UNORDERED : equal ? FP_EQUAL : below ? FP_LESS : FP_GREATER; \
    }
HOST_COMPARE(quiet_32, "ucomiss")
HOST_COMPARE(quiet_64, "ucomisd")
HOST_COMPARE(signalling_32, "comiss")
HOST_COMPARE(signalling_64, "comisd")

/* ---- What we do ---- */

#define OURS(name, expression) \
    static uint64_t our_##name(const uint64_t operands[3], FpContext *fp) \
    { \
        uint64_t a UNUSED = operands[0], b UNUSED = operands[1], c UNUSED = operands[2]; \
        return expression; \
    }
#define OURS_BOTH(name, function, arguments) \
    OURS(name##_32, f32_##function arguments) \
    OURS(name##_64, f64_##function arguments)

OURS_BOTH(add, add, (a, b, fp))
OURS_BOTH(sub, sub, (a, b, fp))
OURS_BOTH(mul, mul, (a, b, fp))
OURS_BOTH(div, div, (a, b, fp))
OURS_BOTH(min, minmax, (a, b, false, FP_MINMAX_X86, fp))
OURS_BOTH(max, minmax, (a, b, true, FP_MINMAX_X86, fp))
OURS_BOTH(sqrt, sqrt, (b, fp))
OURS_BOTH(fma, fma, (a, b, c, fp))
OURS_BOTH(rint, round_to_integral, (a, true, fp))
OURS_BOTH(nearbyint, round_to_integral, (a, false, fp))
OURS_BOTH(quiet, compare, (a, b, false, fp))
OURS_BOTH(signalling, compare, (a, b, true, fp))
OURS(i32_32, (uint32_t)f32_to_i32(a, fp))
OURS(i32_64, (uint32_t)f64_to_i32(a, fp))
OURS_BOTH(i64, to_i64, (a, fp))
OURS_BOTH(from_i32, from_i32, ((int32_t)a, fp))
OURS_BOTH(from_i64, from_i64, ((int64_t)a, fp))
OURS(widen, f64_from_f32(a, fp))
OURS(narrow, f32_from_f64(a, fp))

#define BOTH(name, count) \
    { #name " f32", &f32_format, count, host_##name##_32, our_##name##_32, false }, \
    { #name " f64", &f64_format, count, host_##name##_64, our_##name##_64, false }
static const Operation operations[] = {
    BOTH(add, 2), BOTH(sub, 2), BOTH(mul, 2), BOTH(div, 2), BOTH(sqrt, 2), BOTH(min, 2), BOTH(max, 2),
    BOTH(rint, 1), BOTH(nearbyint, 1), BOTH(quiet, 2), BOTH(signalling, 2), BOTH(i32, 1), BOTH(i64, 1),
    { "f32 to f64", &f32_format, 1, host_widen, our_widen, false },
    { "f64 to f32", &f64_format, 1, host_narrow, our_narrow, false },
    { "i32 to f32", NULL, 1, host_from_i32_32, our_from_i32_32, false },
    { "i32 to f64", NULL, 1, host_from_i32_64, our_from_i32_64, false },
    { "i64 to f32", NULL, 1, host_from_i64_32, our_from_i64_32, false },
    { "i64 to f64", NULL, 1, host_from_i64_64, our_from_i64_64, false },
    { "fma f32", &f32_format, 3, host_fma_32, our_fma_32, true },
    { "fma f64", &f64_format, 3, host_fma_64, our_fma_64, true },
};

/* ---- Comparing them ---- */

static const struct {
    FpRounding ours;
    uint32_t mxcsr;
} roundings[] = {
    { FP_ROUND_NEAREST_EVEN, 0x0000 },
    { FP_ROUND_DOWN, 0x2000 },
    { FP_ROUND_UP, 0x4000 },
    { FP_ROUND_TOWARD_ZERO, 0x6000 },
};

/* MXCSR's flags; flushing a result raises underflow and precision there. */
static uint32_t mxcsr_flags(const FpContext *fp)
{
    return (fp->flags & FP_INVALID ? 1 : 0) | (fp->flags & FP_INPUT_SUBNORMAL ? 2 : 0) |
           (fp->flags & FP_DIVIDE_BY_ZERO ? 4 : 0) | (fp->flags & FP_OVERFLOW ? 8 : 0) |
           (fp->flags & FP_UNDERFLOW ? 16 : 0) | (fp->flags & FP_INEXACT ? 32 : 0) |
           (fp->flags & FP_OUTPUT_FLUSHED ? 48 : 0);
}

static void check(const Operation *operation, const uint64_t operands[3], unsigned rounding, bool flush_inputs,
                  bool flush_outputs)
{
    FpContext fp = { .rounding = roundings[rounding].ours,
                     .nan_rule = FP_NAN_X86_SSE,
                     .flush_inputs = flush_inputs,
                     .flush_outputs = flush_outputs,
                     .default_nan_negative = true,
                     .fma_invalid_keeps_nan = true,
                     .int_invalid_indefinite = true };
    uint32_t mxcsr = MXCSR_MASKS | roundings[rounding].mxcsr | (flush_inputs ? MXCSR_DAZ : 0) |
                     (flush_outputs ? MXCSR_FTZ : 0);
    uint64_t expected = operation->host(operands, &mxcsr);
    uint64_t result = operation->ours(operands, &fp);

    if (result != expected || mxcsr_flags(&fp) != (mxcsr & MXCSR_FLAGS)) {
        g_test_message("%s %#lx %#lx %#lx, rounding %u, flush %d %d: %#lx flags %#x, the host has %#lx flags %#x",
                       operation->name, operands[0], operands[1], operands[2], roundings[rounding].ours, flush_inputs,
                       flush_outputs, result, mxcsr_flags(&fp), expected, mxcsr & MXCSR_FLAGS);
        g_test_fail();
    }
}

static void check_modes(const Operation *operation, const uint64_t operands[3])
{
    for (unsigned rounding = 0; rounding < ARRAY_SIZE(roundings) && !g_test_failed(); rounding++) {
        check(operation, operands, rounding, false, false);
        check(operation, operands, rounding, true, true);
    }
    check(operation, operands, 0, true, false);
    check(operation, operands, 0, false, true);
}

static void test_specials(const Operation *operation)
{
    Uint128 values[SPECIALS_MAX];
    unsigned count = special_operands(operation->format, values);
    unsigned count2 = operation->operand_count > 1 ? count : 1, count3 = operation->operand_count > 2 ? count : 1;

    for (unsigned i = 0; i < count; i++) {
        for (unsigned j = 0; j < count2; j++) {
            for (unsigned k = 0; k < count3 && !g_test_failed(); k++) {
                check_modes(operation, (uint64_t[]){ (uint64_t)values[i], (uint64_t)values[j], (uint64_t)values[k] });
            }
        }
    }
}

static void test_random(const Operation *operation)
{
    Random random = { 1 };
    Uint128 values[3];

    for (unsigned i = test_repetitions(60000); i && !g_test_failed(); i--) {
        if (operation->format) {
            random_operands(&random, operation->format, values);
        } else {
            values[0] = (int64_t)random_next(&random) >> random_below(&random, 64);
        }
        check_modes(operation, (uint64_t[]){ (uint64_t)values[0], (uint64_t)values[1], (uint64_t)values[2] });
    }
}

static void test_operation(const void *data)
{
    const Operation *operation = data;
    if (operation->needs_fma && !__builtin_cpu_supports("fma")) {
        g_test_skip("the host has no FMA instructions");
        return;
    }
    if (operation->format) {
        test_specials(operation);
    }
    test_random(operation);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < ARRAY_SIZE(operations); i++) {
        g_autofree char *path = g_strdup_printf("/fpu/sse/%s", operations[i].name);
        g_test_add_data_func(path, &operations[i], test_operation);
    }
    return g_test_run();
}

#else

static void test_skip(void) { g_test_skip("the host is no x86-64"); }

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/fpu/sse", test_skip);
    return g_test_run();
}

#endif
