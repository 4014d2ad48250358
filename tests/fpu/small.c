/*
 * f16 and bf16: every encoding through every function of one operand, in every rounding mode, and random operands
 * through the others. What is expected comes from f64, which other tests of this folder check: widening is exact, f64
 * rounds to odd, and a second rounding of that is as good as one of the exact result (Boldo and Melquiond, "Emulation
 * of FMA and Correctly Rounded Sums", 2008).
 */
#include "operands.h"
#include "table.h"

#include <glib.h>

#define ROUNDING_COUNT 6
#define ENCODINGS 0x10000

typedef struct Small {
    const FormatFunctions *functions;
    unsigned index; /* in format_functions */
} Small;

static const FormatFunctions *const f64 = &format_functions[F64];

static void expect(const Small *small, const char *operation, const Uint128 operands[3], const FpContext *fp,
                   Uint128 result, Uint128 expected, unsigned expected_flags)
{
    if (result != expected || fp->flags != expected_flags) {
        g_test_message("%s %s %#x %#x %#x, rounding %u: %#lx flags %#x, expected %#lx flags %#x",
                       small->functions->name, operation, (unsigned)operands[0], (unsigned)operands[1],
                       (unsigned)operands[2], fp->rounding, (uint64_t)result, fp->flags, (uint64_t)expected,
                       expected_flags);
        g_test_fail();
    }
}

/* NaNs keep their payload under the rule in use, so that their way through f64 shows in the result. */
static FpContext context(unsigned rounding, bool tiny_before_rounding)
{
    return (FpContext){ .rounding = rounding,
                        .nan_rule = FP_NAN_ARM,
                        .tiny_before_rounding = tiny_before_rounding };
}

/* To f64 bit for bit, signalling NaNs too, from the definition of the encodings. */
static uint64_t widen(const Small *small, Uint128 bits)
{
    const FpFormat *format = small->functions->format;
    uint64_t fraction = (uint64_t)bits & mask_bits(format->fraction_bits);
    uint64_t sign = (uint64_t)bits >> 15 << 63;
    int biased = (int)((uint64_t)bits >> format->fraction_bits) & format_exponent_limit(format);
    unsigned shift = 52 - format->fraction_bits;

    if (biased == format_exponent_limit(format)) {
        return sign | UINT64_C(0x7ff) << 52 | fraction << shift;
    }
    if (biased == 0) {
        if (fraction == 0) {
            return sign;
        }
        int top = 63 - __builtin_clzll(fraction);
        biased = 1 - (format->fraction_bits - top);
        fraction = (fraction << (format->fraction_bits - top)) & mask_bits(format->fraction_bits);
    }
    return sign | (uint64_t)(biased - format_bias(format) + 1023) << 52 | fraction << shift;
}

/* An f64 result that was rounded to odd, to the small format under the modes of `fp`, whose flags it gets. */
static Uint128 narrow(const Small *small, Uint128 odd, FpContext *fp)
{
    return f64->convert_to[small->index](odd, fp);
}

/* In f64 none of the operands is subnormal, here it may be; a NaN hides that. */
static uint8_t subnormal_flag(const Small *small, const Uint128 *operands, unsigned count)
{
    uint8_t flag = 0;
    for (unsigned i = 0; i < count; i++) {
        FpClass class = small->functions->classify(operands[i]);
        if (class == FP_CLASS_QUIET_NAN || class == FP_CLASS_SIGNALLING_NAN) {
            return 0;
        }
        if (class == FP_CLASS_NEGATIVE_SUBNORMAL || class == FP_CLASS_POSITIVE_SUBNORMAL) {
            flag = FP_INPUT_SUBNORMAL;
        }
    }
    return flag;
}

/* ---- Every encoding ---- */

static void check_conversion(const Small *small, Uint128 bits, unsigned to, FpContext fp)
{
    FpContext reference = fp;
    Uint128 wide = widen(small, bits), expected;

    if (to == F64) {
        expected = f64->is_signalling(wide) ? wide | BIT(51) : wide;
        reference.flags = f64->is_signalling(wide) ? FP_INVALID : 0;
    } else {
        expected = f64->convert_to[to](wide, &reference);
    }
    reference.flags |= subnormal_flag(small, &bits, 1);
    Uint128 result = small->functions->convert_to[to](bits, &fp);
    expect(small, format_functions[to].name, (Uint128[3]){ bits }, &fp, result, expected, reference.flags);
}

static void check_integers(const Small *small, Uint128 bits, FpContext fp)
{
    for (unsigned i = 0; i < INTEGER_COUNT; i++) {
        FpContext reference = fp, used = fp;
        Uint128 expected = f64->to_integer[i](widen(small, bits), &reference);
        Uint128 result = small->functions->to_integer[i](bits, &used);
        expect(small, integer_formats[i].name, (Uint128[3]){ bits }, &used, result, expected, reference.flags);
    }
}

static void check_round_to_integral(const Small *small, Uint128 bits, FpContext fp)
{
    for (unsigned raise_inexact = 0; raise_inexact < 2; raise_inexact++) {
        FpContext reference = fp, used = fp;
        /* Exact here too: an integral value of few bits. */
        Uint128 expected = f64->round_to_integral(widen(small, bits), raise_inexact, &reference);
        expected = narrow(small, expected, &reference);
        Uint128 result = small->functions->round_to_integral(bits, raise_inexact, &used);
        expect(small, "round_to_integral", (Uint128[3]){ bits }, &used, result, expected, reference.flags);
    }
}

static void check_square_root(const Small *small, Uint128 bits, FpContext fp)
{
    FpContext odd = { .rounding = FP_ROUND_ODD, .nan_rule = FP_NAN_ARM }, reference = fp;
    Uint128 root = f64->sqrt(widen(small, bits), &odd);
    Uint128 expected = narrow(small, root, &reference);
    Uint128 result = small->functions->sqrt(bits, &fp);

    reference.flags |= odd.flags;
    if (!f64->is_nan(root)) {
        reference.flags |= subnormal_flag(small, &bits, 1);
    }
    expect(small, "sqrt", (Uint128[3]){ bits }, &fp, result, expected, reference.flags);
}

static void check_class(const Small *small, Uint128 bits)
{
    FpContext unused = { 0 };
    FpClass wide = f64->classify(widen(small, bits)), class = small->functions->classify(bits);
    bool subnormal = !((uint64_t)bits >> small->functions->format->fraction_bits &
                       format_exponent_limit(small->functions->format));

    if (subnormal && wide == FP_CLASS_POSITIVE_NORMAL) {
        wide = FP_CLASS_POSITIVE_SUBNORMAL;
    } else if (subnormal && wide == FP_CLASS_NEGATIVE_NORMAL) {
        wide = FP_CLASS_NEGATIVE_SUBNORMAL;
    }
    expect(small, "class", (Uint128[3]){ bits }, &unused, class, wide, 0);
    expect(small, "is_nan", (Uint128[3]){ bits }, &unused, small->functions->is_nan(bits),
           wide == FP_CLASS_QUIET_NAN || wide == FP_CLASS_SIGNALLING_NAN, 0);
    expect(small, "is_signalling", (Uint128[3]){ bits }, &unused, small->functions->is_signalling(bits),
           wide == FP_CLASS_SIGNALLING_NAN, 0);
}

static void test_every_encoding(const void *data)
{
    const Small *small = data;

    for (unsigned bits = 0; bits < ENCODINGS && !g_test_failed(); bits++) {
        check_class(small, bits);
        for (unsigned rounding = 0; rounding < ROUNDING_COUNT; rounding++) {
            FpContext fp = context(rounding, bits & 1);
            for (unsigned to = 0; to < FORMAT_COUNT; to++) {
                if (to != small->index) {
                    check_conversion(small, bits, to, fp);
                }
            }
            check_integers(small, bits, fp);
            check_round_to_integral(small, bits, fp);
            check_square_root(small, bits, fp);
        }
    }
}

/* Each of the small format's own integers, and all that 16 bits hold. */
static void test_from_integers(const void *data)
{
    const Small *small = data;

    for (int value = INT16_MIN; value <= UINT16_MAX && !g_test_failed(); value++) {
        for (unsigned i = 0; i < INTEGER_COUNT; i++) {
            FpContext exact = { 0 }, fp = context(value & 3, false), reference = fp;
            Uint128 extended = integer_formats[i].is_signed ? (Uint128)value : (Uint128)(value & UINT16_MAX);
            Uint128 expected = narrow(small, f64->from_integer[i](extended, &exact), &reference);
            Uint128 result = small->functions->from_integer[i](extended, &fp);
            expect(small, integer_formats[i].name, (Uint128[3]){ extended }, &fp, result, expected, reference.flags);
        }
    }
}

/* ---- Two and three operands ---- */

typedef enum Operation { ADD, SUB, MUL, DIV, FMA, OPERATION_COUNT } Operation;
static const char *const operation_names[] = { "add", "sub", "mul", "div", "fma" };

static Uint128 run(const FormatFunctions *functions, Operation operation, const Uint128 o[3], FpContext *fp)
{
    switch (operation) {
    case ADD:
        return functions->add(o[0], o[1], fp);
    case SUB:
        return functions->sub(o[0], o[1], fp);
    case MUL:
        return functions->mul(o[0], o[1], fp);
    case DIV:
        return functions->div(o[0], o[1], fp);
    default:
        return functions->fma(o[0], o[1], o[2], fp);
    }
}

static void check_operation(const Small *small, Operation operation, const Uint128 operands[3], FpContext fp)
{
    const Uint128 wide[] = { widen(small, operands[0]), widen(small, operands[1]), widen(small, operands[2]) };
    FpContext odd = { .rounding = FP_ROUND_ODD, .nan_rule = FP_NAN_ARM }, reference = fp, sign = fp;
    unsigned count = operation == FMA ? 3 : 2;

    Uint128 unrounded = run(f64, operation, wide, &odd);
    if (unrounded << 65 == 0) { /* its sign may come of the mode */
        unrounded = run(f64, operation, wide, &sign);
    }
    Uint128 expected = narrow(small, unrounded, &reference);
    Uint128 result = run(small->functions, operation, operands, &fp);

    reference.flags |= odd.flags;
    if (!(odd.flags & (FP_INVALID | FP_DIVIDE_BY_ZERO))) {
        reference.flags |= subnormal_flag(small, operands, count);
    }
    expect(small, operation_names[operation], operands, &fp, result, expected, reference.flags);
}

static void test_operations(const void *data)
{
    const Small *small = data;
    Random random = { 4 };
    Uint128 operands[3];

    for (unsigned i = test_repetitions(60000); i && !g_test_failed(); i--) {
        random_operands(&random, small->functions->format, operands);
        for (Operation operation = ADD; operation < OPERATION_COUNT; operation++) {
            check_operation(small, operation, operands,
                            context(random_below(&random, ROUNDING_COUNT), random_below(&random, 2)));
        }
    }
}

int main(int argc, char **argv)
{
    static const Small f16 = { &format_functions[F16], F16 }, bf16 = { &format_functions[BF16], BF16 };

    g_test_init(&argc, &argv, NULL);
    g_test_add_data_func("/fpu/small/f16/every-encoding", &f16, test_every_encoding);
    g_test_add_data_func("/fpu/small/f16/from-integers", &f16, test_from_integers);
    g_test_add_data_func("/fpu/small/f16/operations", &f16, test_operations);
    g_test_add_data_func("/fpu/small/bf16/every-encoding", &bf16, test_every_encoding);
    g_test_add_data_func("/fpu/small/bf16/from-integers", &bf16, test_from_integers);
    g_test_add_data_func("/fpu/small/bf16/operations", &bf16, test_operations);
    return g_test_run();
}
