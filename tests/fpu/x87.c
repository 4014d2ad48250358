/*
 * f80 against the host's x87: results and all flags, in the four rounding modes and the three precisions. The x87 here
 * is driven by its own instructions, so that nothing depends on what the compiler makes of long double.
 */
#include "operands.h"

#include <glib.h>

#ifdef __x86_64__

#define CONTROL_MASKS 0x3fu
#define STATUS_FLAGS 0x3fu
#define STATUS_DENORMAL 0x02u

/* Operands and results in the low bits; f80 as in format.h. */
typedef Uint128 HostFunction(const Uint128 operands[2], uint16_t control, uint16_t *status);
typedef Uint128 OurFunction(const Uint128 operands[2], FpContext *fp);

typedef struct Operation {
    const char *name;
    const FpFormat *format; /* of the operands; NULL: an integer of 64 bits */
    unsigned operand_count;
    HostFunction *host;
    OurFunction *ours;
    uint16_t ignored; /* flags of the x87 that are not compared */
} Operation;

static Float80 to_f80(Uint128 bits) { return (Float80){ (uint64_t)bits, (uint16_t)(bits >> 64) }; }
static Uint128 from_f80(Float80 a) { return (Uint128)a.sign_exponent << 64 | a.significand; }

/* ---- What the host does ---- */

/* Runs with the control word set and the status clear; leaves the x87 as it was found. */
#define WITH_X87(load, instructions, store) \
    "fninit\n\t" load "\n\tfldcw %[control]\n\t" instructions "\n\tfnstsw %[status]\n\t" store "\n\tfninit"

#define HOST_BINARY(name, instructions) \
    static Uint128 host_##name(const Uint128 operands[2], uint16_t control, uint16_t *status) \
    { \
        Float80 a = to_f80(operands[0]), b = to_f80(operands[1]), result = { 0, 0 }; \
        __asm__ volatile(WITH_X87("fldt %[b]\n\tfldt %[a]", instructions, "fstpt %[result]") \
                         : [result] "=m"(result), [status] "=m"(*status) \
                         : [a] "m"(a), [b] "m"(b), [control] "m"(control) \
                         : "ax", "cc", "st", "st(1)"); \
        return from_f80(result); \
    }

/* a is in st(0), b in st(1). */
HOST_BINARY(add, "fadd %%st(1), %%st")
HOST_BINARY(sub, "fsub %%st(1), %%st")
HOST_BINARY(mul, "fmul %%st(1), %%st")
HOST_BINARY(div, "fdiv %%st(1), %%st")
HOST_BINARY(sqrt, "fsqrt")
HOST_BINARY(rint, "frndint")
HOST_BINARY(remainder, "1: fprem1\n\tfnstsw %%ax\n\ttestw $0x400, %%ax\n\tjnz 1b")

#define HOST_COMPARE(name, instruction) \
    static Uint128 host_##name(const Uint128 operands[2], uint16_t control, uint16_t *status) \
    { \
        Float80 a = to_f80(operands[0]), b = to_f80(operands[1]); \
        uint8_t equal, unordered, below; \
        __asm__ volatile(WITH_X87("fldt %[b]\n\tfldt %[a]", \
                                  instruction " %%st(1), %%st\n\t" \
                                  "sete %[equal]\n\tsetp %[unordered]\n\tsetc %[below]", "") \
                         : [equal] "=&q"(equal), [unordered] "=&q"(unordered), [below] "=&q"(below), \
                           [status] "=m"(*status) \
                         : [a] "m"(a), [b] "m"(b), [control] "m"(control) \
                         : "cc", "st", "st(1)"); \
        return unordered ? FP_UNORDERED : equal ? FP_EQUAL : below ? FP_LESS : FP_GREATER; \
    }
HOST_COMPARE(quiet, "fucomi")
HOST_COMPARE(signalling, "fcomi")

/* Stores happen before the status is read. */
#define HOST_STORE(name, T, instruction) \
    static Uint128 host_##name(const Uint128 operands[2], uint16_t control, uint16_t *status) \
    { \
        Float80 a = to_f80(operands[0]); \
        T result; \
        __asm__ volatile(WITH_X87("fldt %[a]", instruction " %[result]", "") \
                         : [result] "=m"(result), [status] "=m"(*status) \
                         : [a] "m"(a), [control] "m"(control) \
                         : "st"); \
        return result; \
    }
HOST_STORE(to_f32, uint32_t, "fstps")
HOST_STORE(to_f64, uint64_t, "fstpl")
HOST_STORE(to_i32, uint32_t, "fistpl")
HOST_STORE(to_i64, uint64_t, "fistpll")

#define HOST_LOAD(name, T, instruction) \
    static Uint128 host_##name(const Uint128 operands[2], uint16_t control, uint16_t *status) \
    { \
        Float80 result; \
        T a = (T)operands[0]; \
        __asm__ volatile(WITH_X87("", instruction " %[a]", "fstpt %[result]") \
                         : [result] "=m"(result), [status] "=m"(*status) \
                         : [a] "m"(a), [control] "m"(control) \
                         : "st"); \
        return from_f80(result); \
    }
HOST_LOAD(from_f32, uint32_t, "flds")
HOST_LOAD(from_f64, uint64_t, "fldl")
HOST_LOAD(from_i32, uint32_t, "fildl")
HOST_LOAD(from_i64, uint64_t, "fildll")

/* A distance from -40000 to 40000, more than there are exponents, out of an encoding. */
static int scale_of(Uint128 operand) { return (int)((uint64_t)operand % 80001) - 40000; }

static Uint128 host_scale(const Uint128 operands[2], uint16_t control, uint16_t *status)
{
    Float80 a = to_f80(operands[0]), result;
    int n = scale_of(operands[1]);
    __asm__ volatile(WITH_X87("fildl %[n]\n\tfldt %[a]", "fscale", "fstpt %[result]")
                     : [result] "=m"(result), [status] "=m"(*status)
                     : [a] "m"(a), [n] "m"(n), [control] "m"(control)
                     : "st", "st(1)");
    return from_f80(result);
}

/* ---- What we do ---- */

#define OURS(name, expression) \
    static Uint128 our_##name(const Uint128 operands[2], FpContext *fp) \
    { \
        Float80 a UNUSED = to_f80(operands[0]), b UNUSED = to_f80(operands[1]); \
        return expression; \
    }
OURS(add, from_f80(f80_add(a, b, fp)))
OURS(sub, from_f80(f80_sub(a, b, fp)))
OURS(mul, from_f80(f80_mul(a, b, fp)))
OURS(div, from_f80(f80_div(a, b, fp)))
OURS(sqrt, from_f80(f80_sqrt(a, fp)))
OURS(rint, from_f80(f80_round_to_integral(a, true, fp)))
OURS(remainder, from_f80(f80_remainder(a, b, fp)))
OURS(scale, from_f80(f80_scale(a, scale_of(operands[1]), fp)))
OURS(quiet, f80_compare(a, b, false, fp))
OURS(signalling, f80_compare(a, b, true, fp))
OURS(to_f32, f32_from_f80(a, fp))
OURS(to_f64, f64_from_f80(a, fp))
OURS(to_i32, (uint32_t)f80_to_i32(a, fp))
OURS(to_i64, (uint64_t)f80_to_i64(a, fp))
OURS(from_f32, from_f80(f80_from_f32((uint32_t)operands[0], fp)))
OURS(from_f64, from_f80(f80_from_f64((uint64_t)operands[0], fp)))
OURS(from_i32, from_f80(f80_from_i32((int32_t)operands[0], fp)))
OURS(from_i64, from_f80(f80_from_i64((int64_t)operands[0], fp)))

#define OPERATION(name, format, count) { #name, format, count, host_##name, our_##name, .ignored = 0 }
static const Operation operations[] = {
    OPERATION(add, &f80_format, 2),
    OPERATION(sub, &f80_format, 2),
    OPERATION(mul, &f80_format, 2),
    OPERATION(div, &f80_format, 2),
    OPERATION(sqrt, &f80_format, 1),
    OPERATION(rint, &f80_format, 1),
    /* What fprem1 leaves on the way, and takes up again, may be subnormal. */
    { "remainder", &f80_format, 2, host_remainder, our_remainder, .ignored = STATUS_DENORMAL },
    OPERATION(scale, &f80_format, 2),
    OPERATION(quiet, &f80_format, 2),
    OPERATION(signalling, &f80_format, 2),
    OPERATION(to_f32, &f80_format, 1),
    OPERATION(to_f64, &f80_format, 1),
    OPERATION(to_i32, &f80_format, 1),
    OPERATION(to_i64, &f80_format, 1),
    OPERATION(from_f32, &f32_format, 1),
    OPERATION(from_f64, &f64_format, 1),
    OPERATION(from_i32, NULL, 1),
    OPERATION(from_i64, NULL, 1),
};

/* ---- Comparing them ---- */

static const FpRounding roundings[] = { FP_ROUND_NEAREST_EVEN, FP_ROUND_DOWN, FP_ROUND_UP, FP_ROUND_TOWARD_ZERO };
/* The field's values, and its reserved one, which we have no use for. */
static const struct {
    FpPrecision ours;
    uint16_t control;
} precisions[] = {
    { FP_PRECISION_SINGLE, 0x000 },
    { FP_PRECISION_DOUBLE, 0x200 },
    { FP_PRECISION_FULL, 0x300 },
};

static uint16_t status_flags(const FpContext *fp)
{
    return (fp->flags & FP_INVALID ? 1 : 0) | (fp->flags & FP_INPUT_SUBNORMAL ? 2 : 0) |
           (fp->flags & FP_DIVIDE_BY_ZERO ? 4 : 0) | (fp->flags & FP_OVERFLOW ? 8 : 0) |
           (fp->flags & FP_UNDERFLOW ? 16 : 0) | (fp->flags & FP_INEXACT ? 32 : 0);
}

static void check(const Operation *operation, const Uint128 operands[2], unsigned rounding, unsigned precision)
{
    FpContext fp = { .rounding = roundings[rounding],
                     .nan_rule = FP_NAN_X87,
                     .f80_precision = precisions[precision].ours,
                     .default_nan_negative = true,
                     .int_invalid_indefinite = true };
    uint16_t control = CONTROL_MASKS | rounding << 10 | precisions[precision].control, status = 0;
    Uint128 expected = operation->host(operands, control, &status);
    Uint128 result = operation->ours(operands, &fp);

    if (result != expected || (status_flags(&fp) ^ status) & STATUS_FLAGS & ~operation->ignored) {
        g_test_message("%s %#x:%#lx %#x:%#lx, rounding %u, precision %u: %#x:%#lx flags %#x, the host has %#x:%#lx "
                       "flags %#x",
                       operation->name, (unsigned)(operands[0] >> 64), (uint64_t)operands[0],
                       (unsigned)(operands[1] >> 64), (uint64_t)operands[1], fp.rounding, fp.f80_precision,
                       (unsigned)(result >> 64), (uint64_t)result, status_flags(&fp), (unsigned)(expected >> 64),
                       (uint64_t)expected, status & STATUS_FLAGS);
        g_test_fail();
    }
}

static void check_modes(const Operation *operation, const Uint128 operands[2])
{
    for (unsigned rounding = 0; rounding < ARRAY_SIZE(roundings); rounding++) {
        for (unsigned precision = 0; precision < ARRAY_SIZE(precisions); precision++) {
            if (!g_test_failed()) {
                check(operation, operands, rounding, precision);
            }
        }
    }
}

static void test_specials(const Operation *operation)
{
    Uint128 values[SPECIALS_MAX];
    unsigned count = special_operands(operation->format, values);
    unsigned count2 = operation->operand_count > 1 ? count : 1;

    for (unsigned i = 0; i < count; i++) {
        for (unsigned j = 0; j < count2; j++) {
            check_modes(operation, (Uint128[]){ values[i], values[j] });
        }
    }
}

static void test_random(const Operation *operation)
{
    Random random = { 2 };
    Uint128 values[3];

    for (unsigned i = test_repetitions(20000); i && !g_test_failed(); i--) {
        if (operation->format) {
            random_operands(&random, operation->format, values);
        } else {
            values[0] = (int64_t)random_next(&random) >> random_below(&random, 64);
            values[1] = 0;
        }
        check_modes(operation, values);
    }
}

static void test_operation(const void *data)
{
    const Operation *operation = data;
    if (operation->format) {
        test_specials(operation);
    }
    test_random(operation);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < ARRAY_SIZE(operations); i++) {
        g_autofree char *path = g_strdup_printf("/fpu/x87/%s", operations[i].name);
        g_test_add_data_func(path, &operations[i], test_operation);
    }
    return g_test_run();
}

#else

static void test_skip(void) { g_test_skip("the host is no x86-64"); }

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/fpu/x87", test_skip);
    return g_test_run();
}

#endif
