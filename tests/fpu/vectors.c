/*
 * Corner cases that manuals spell out, by hand: NaNs under every rule, what does not fit an integer, minimum and
 * maximum, flushing, classes, the encodings that f80 alone has.
 */
#include "operands.h"
#include "table.h"

#include <glib.h>

/* ---- f32 ---- */

#define ONE 0x3f800000u
#define TWO 0x40000000u
#define INFINITE 0x7f800000u
#define LARGEST 0x7f7fffffu
#define LEAST_NORMAL 0x00800000u
#define SUBNORMAL 0x00400000u
#define LEAST 0x00000001u
#define MINUS 0x80000000u
#define QUIET(payload) (0x7fc00000u | (payload))
#define SIGNALLING(payload) (0x7f800000u | (payload))

typedef uint32_t Function(uint32_t a, uint32_t b, uint32_t c, FpContext *fp);

#define FUNCTION(name, expression) \
    static uint32_t name(uint32_t a, uint32_t b, uint32_t c, FpContext *fp) { return expression; }
FUNCTION(add, f32_add(a, b, fp))
FUNCTION(sub, f32_sub(a, b, fp))
FUNCTION(mul, f32_mul(a, b, fp))
FUNCTION(div_, f32_div(a, b, fp))
FUNCTION(square_root, f32_sqrt(a, fp))
FUNCTION(fma_, f32_fma(a, b, c, fp))
FUNCTION(remainder_, f32_remainder(a, b, fp))
FUNCTION(scale, f32_scale(a, (int)b, fp))
FUNCTION(round_exact, f32_round_to_integral(a, true, fp))
FUNCTION(round_quiet, f32_round_to_integral(a, false, fp))
FUNCTION(to_i32, (uint32_t)f32_to_i32(a, fp))
FUNCTION(to_u32, f32_to_u32(a, fp))
FUNCTION(compare, f32_compare(a, b, false, fp))
FUNCTION(compare_signalling, f32_compare(a, b, true, fp))
FUNCTION(min_number, f32_minmax(a, b, false, FP_MINMAX_NUMBER, fp))
FUNCTION(max_number, f32_minmax(a, b, true, FP_MINMAX_NUMBER, fp))
FUNCTION(min_nan, f32_minmax(a, b, false, FP_MINMAX_NAN, fp))
FUNCTION(max_nan, f32_minmax(a, b, true, FP_MINMAX_NAN, fp))
FUNCTION(min_2008, f32_minmax(a, b, false, FP_MINMAX_2008, fp))
FUNCTION(max_2008, f32_minmax(a, b, true, FP_MINMAX_2008, fp))
FUNCTION(min_x86, f32_minmax(a, b, false, FP_MINMAX_X86, fp))
FUNCTION(max_x86, f32_minmax(a, b, true, FP_MINMAX_X86, fp))

typedef struct Vector {
    Function *function;
    uint32_t operands[3];
    uint32_t result;
    uint8_t flags;
} Vector;

typedef struct Group {
    const char *name;
    FpContext context;
    const Vector *vectors; /* ends with an empty row */
} Group;

/* Unprivileged ISA, chapter F: "NaN Generation and Propagation", tables of FCVT and FCLASS, FMIN and FMAX. */
static const Vector riscv[] = {
    { add, { QUIET(1), ONE }, QUIET(0), 0 },
    { add, { MINUS | QUIET(1), SIGNALLING(1) }, QUIET(0), FP_INVALID },
    { square_root, { MINUS | ONE }, QUIET(0), FP_INVALID },
    { square_root, { MINUS }, MINUS, 0 },
    { square_root, { INFINITE }, INFINITE, 0 },
    { square_root, { MINUS | INFINITE }, QUIET(0), FP_INVALID },
    { sub, { INFINITE, INFINITE }, QUIET(0), FP_INVALID },
    { add, { INFINITE, MINUS | INFINITE }, QUIET(0), FP_INVALID },
    { sub, { INFINITE, MINUS | INFINITE }, INFINITE, 0 },
    { mul, { MINUS, INFINITE }, QUIET(0), FP_INVALID },
    { div_, { ONE, MINUS }, MINUS | INFINITE, FP_DIVIDE_BY_ZERO },
    { div_, { INFINITE, 0 }, INFINITE, 0 },
    { div_, { 0, 0 }, QUIET(0), FP_INVALID },
    { div_, { INFINITE, INFINITE }, QUIET(0), FP_INVALID },
    { div_, { MINUS | ONE, INFINITE }, MINUS, 0 },
    { fma_, { 0, INFINITE, QUIET(1) }, QUIET(0), FP_INVALID },
    { fma_, { INFINITE, MINUS, SIGNALLING(1) }, QUIET(0), FP_INVALID },
    { fma_, { INFINITE, ONE, MINUS | INFINITE }, QUIET(0), FP_INVALID },
    { fma_, { LARGEST, TWO, MINUS | INFINITE }, MINUS | INFINITE, 0 },
    { fma_, { ONE, ONE, MINUS | ONE }, 0, 0 },
    { fma_, { MINUS, ONE, MINUS }, MINUS, 0 },
    { fma_, { LARGEST, TWO, MINUS | LARGEST }, LARGEST, 0 },
    { min_number, { QUIET(1), TWO }, TWO, 0 },
    { max_number, { TWO, SIGNALLING(1) }, TWO, FP_INVALID },
    { max_number, { QUIET(1), QUIET(2) }, QUIET(0), 0 },
    { min_number, { QUIET(1), SIGNALLING(2) }, QUIET(0), FP_INVALID },
    { min_number, { 0, MINUS }, MINUS, 0 },
    { max_number, { MINUS, 0 }, 0, 0 },
    { max_number, { MINUS | INFINITE, ONE }, ONE, 0 },
    { to_i32, { QUIET(1) }, INT32_MAX, FP_INVALID },
    { to_i32, { MINUS | QUIET(1) }, INT32_MAX, FP_INVALID },
    { to_i32, { INFINITE }, INT32_MAX, FP_INVALID },
    { to_i32, { MINUS | INFINITE }, 0x80000000, FP_INVALID },
    { to_i32, { 0x4f000000 }, INT32_MAX, FP_INVALID },
    { to_i32, { 0xcf000000 }, 0x80000000, 0 },
    { to_i32, { 0xcf000001 }, 0x80000000, FP_INVALID },
    { to_i32, { 0x3f000000 }, 0, FP_INEXACT },
    { to_i32, { 0x3fc00000 }, 2, FP_INEXACT },
    { to_u32, { QUIET(1) }, UINT32_MAX, FP_INVALID },
    { to_u32, { MINUS | ONE }, 0, FP_INVALID },
    { to_u32, { MINUS | INFINITE }, 0, FP_INVALID },
    { to_u32, { 0xbf000000 }, 0, FP_INEXACT },
    { to_u32, { 0x4f800000 }, UINT32_MAX, FP_INVALID },
    { to_u32, { 0x4f7fffff }, 0xffffff00, 0 },
    { compare, { QUIET(1), ONE }, FP_UNORDERED, 0 },
    { compare, { ONE, SIGNALLING(1) }, FP_UNORDERED, FP_INVALID },
    { compare_signalling, { QUIET(1), ONE }, FP_UNORDERED, FP_INVALID },
    { compare, { 0, MINUS }, FP_EQUAL, 0 },
    { compare, { MINUS | INFINITE, INFINITE }, FP_LESS, 0 },
    { compare, { LEAST, MINUS }, FP_GREATER, FP_INPUT_SUBNORMAL },
    { round_exact, { 0x3f000000 }, 0, FP_INEXACT },
    { round_quiet, { 0xbf000000 }, MINUS, 0 },
    { round_quiet, { SIGNALLING(1) }, QUIET(0), FP_INVALID },
    { round_exact, { INFINITE }, INFINITE, 0 },
    { remainder_, { INFINITE, ONE }, QUIET(0), FP_INVALID },
    { remainder_, { ONE, 0 }, QUIET(0), FP_INVALID },
    { remainder_, { ONE, INFINITE }, ONE, 0 },
    { remainder_, { MINUS, ONE }, MINUS, 0 },
    { remainder_, { MINUS | TWO, ONE }, MINUS, 0 },
    { remainder_, { 0x40400000, TWO }, MINUS | ONE, 0 }, /* 3 / 2 ties to 2 */
    { remainder_, { ONE, TWO }, ONE, 0 },                /* 1 / 2 ties to 0 */
    { scale, { ONE, 127 }, 0x7f000000, 0 },
    { scale, { ONE, 128 }, INFINITE, FP_OVERFLOW | FP_INEXACT },
    { scale, { ONE, -149 }, LEAST, 0 },
    { scale, { ONE, -150 }, 0, FP_UNDERFLOW | FP_INEXACT },
    { scale, { MINUS, 5 }, MINUS, 0 },
    { scale, { SIGNALLING(1), 5 }, QUIET(0), FP_INVALID },
    { mul, { LARGEST, TWO }, INFINITE, FP_OVERFLOW | FP_INEXACT },
    { mul, { LEAST_NORMAL, 0x3f000000 }, SUBNORMAL, 0 },
    /* (1 - 2^-24) * 2^-126 rounds up to the least normal number: not tiny after rounding. */
    { mul, { 0x3f7fffff, LEAST_NORMAL }, LEAST_NORMAL, FP_INEXACT | FP_UNDERFLOW },
    { mul, { 0x3f7ffffe, 0x00800001 }, LEAST_NORMAL, FP_INEXACT },
    { 0 },
};

/* Arm ARM, FPAdd, FPMulAdd, FPMin, FPMinNum, FPToFixed, FPUnpack and FPRound. */
static const Vector arm[] = {
    { add, { QUIET(1), SIGNALLING(2) }, QUIET(2), FP_INVALID },
    { add, { SIGNALLING(1), SIGNALLING(2) }, QUIET(1), FP_INVALID },
    { add, { QUIET(1), MINUS | QUIET(2) }, QUIET(1), 0 },
    { sub, { ONE, QUIET(2) }, QUIET(2), 0 }, /* not negated */
    { div_, { 0, 0 }, QUIET(0), FP_INVALID },
    { fma_, { QUIET(1), QUIET(2), QUIET(3) }, QUIET(3), 0 },
    { fma_, { QUIET(1), SIGNALLING(2), QUIET(3) }, QUIET(2), FP_INVALID },
    { fma_, { SIGNALLING(1), SIGNALLING(2), QUIET(3) }, QUIET(1), FP_INVALID },
    { fma_, { 0, INFINITE, QUIET(3) }, QUIET(0), FP_INVALID },
    { fma_, { 0, INFINITE, SIGNALLING(3) }, QUIET(3), FP_INVALID },
    { min_nan, { QUIET(1), ONE }, QUIET(1), 0 },
    { max_nan, { ONE, SIGNALLING(2) }, QUIET(2), FP_INVALID },
    { min_nan, { 0, MINUS }, MINUS, 0 },
    { max_nan, { MINUS, 0 }, 0, 0 },
    { min_2008, { QUIET(1), ONE }, ONE, 0 },
    { max_2008, { ONE, SIGNALLING(2) }, QUIET(2), FP_INVALID },
    { max_2008, { QUIET(1), QUIET(2) }, QUIET(1), 0 },
    { max_2008, { QUIET(1), SIGNALLING(2) }, QUIET(2), FP_INVALID },
    { to_i32, { QUIET(1) }, 0, FP_INVALID },
    { to_i32, { MINUS | INFINITE }, 0x80000000, FP_INVALID },
    { to_u32, { SIGNALLING(1) }, 0, FP_INVALID },
    { to_u32, { INFINITE }, UINT32_MAX, FP_INVALID },
    /* Tiny before rounding, though it rounds up to the least normal number. */
    { mul, { 0x3f7ffffe, 0x00800001 }, LEAST_NORMAL, FP_INEXACT | FP_UNDERFLOW },
    { 0 },
};

/* Arm ARM, FPCR.FZ: flushed operands raise IDC alone, flushed results UFC alone. */
static const Vector arm_flushing[] = {
    { add, { MINUS | SUBNORMAL, MINUS | LEAST }, MINUS, FP_INPUT_FLUSHED },
    { add, { SUBNORMAL, ONE }, ONE, FP_INPUT_FLUSHED },
    { div_, { ONE, LEAST }, INFINITE, FP_INPUT_FLUSHED | FP_DIVIDE_BY_ZERO },
    { mul, { MINUS | LEAST_NORMAL, 0x3f000000 }, MINUS, FP_OUTPUT_FLUSHED },
    { mul, { 0x3f7ffffe, 0x00800001 }, 0, FP_OUTPUT_FLUSHED },
    { compare, { LEAST, MINUS | LEAST }, FP_EQUAL, FP_INPUT_FLUSHED },
    { min_nan, { MINUS | LEAST, ONE }, MINUS, FP_INPUT_FLUSHED },
    { add, { QUIET(1), LEAST }, QUIET(1), FP_INPUT_FLUSHED },
    { to_i32, { LEAST }, 0, FP_INPUT_FLUSHED },
    { 0 },
};

/* Intel SDM volume 1, tables 4-7 and 14-17; volume 2, MINSS, MAXSS, CVTSS2SI. */
static const Vector x86[] = {
    { add, { QUIET(1), SIGNALLING(2) }, QUIET(1), FP_INVALID },
    { add, { ONE, SIGNALLING(2) }, QUIET(2), FP_INVALID },
    { div_, { 0, 0 }, MINUS | QUIET(0), FP_INVALID },
    { fma_, { ONE, QUIET(2), QUIET(3) }, QUIET(2), 0 },
    { fma_, { QUIET(1), QUIET(2), SIGNALLING(3) }, QUIET(1), FP_INVALID },
    { fma_, { 0, INFINITE, QUIET(3) }, QUIET(3), 0 },
    { fma_, { 0, INFINITE, ONE }, MINUS | QUIET(0), FP_INVALID },
    { min_x86, { QUIET(1), ONE }, ONE, FP_INVALID },
    { max_x86, { ONE, SIGNALLING(2) }, SIGNALLING(2), FP_INVALID },
    { min_x86, { 0, MINUS }, MINUS, 0 },
    { min_x86, { MINUS, 0 }, 0, 0 },
    { max_x86, { 0, MINUS }, MINUS, 0 },
    { to_i32, { QUIET(1) }, 0x80000000, FP_INVALID },
    { to_i32, { INFINITE }, 0x80000000, FP_INVALID },
    { to_u32, { MINUS | ONE }, UINT32_MAX, FP_INVALID },
    { 0 },
};

/* Power ISA book I, 4.3.2: FRA, then FRB, then FRC of FRA * FRC + FRB. */
static const Vector power[] = {
    { add, { QUIET(1), SIGNALLING(2) }, QUIET(1), FP_INVALID },
    { add, { ONE, QUIET(2) }, QUIET(2), 0 },
    { fma_, { QUIET(1), QUIET(2), QUIET(3) }, QUIET(1), 0 },
    { fma_, { ONE, QUIET(2), QUIET(3) }, QUIET(3), 0 },
    { fma_, { ONE, SIGNALLING(2), ONE }, QUIET(2), FP_INVALID },
    { fma_, { 0, INFINITE, QUIET(3) }, QUIET(3), FP_INVALID },
    { 0 },
};

/* SPARC V9, appendix B: the default NaN is positive and all ones. */
static const Vector sparc[] = {
    { add, { QUIET(1), QUIET(2) }, QUIET(2), 0 },
    { add, { SIGNALLING(1), QUIET(2) }, QUIET(1), FP_INVALID },
    { add, { SIGNALLING(1), SIGNALLING(2) }, QUIET(2), FP_INVALID },
    { fma_, { QUIET(1), QUIET(2), QUIET(3) }, QUIET(3), 0 },
    { fma_, { QUIET(1), SIGNALLING(2), QUIET(3) }, QUIET(2), FP_INVALID },
    { div_, { 0, 0 }, 0x7fffffff, FP_INVALID },
    { 0 },
};

static const Vector s390x[] = {
    { add, { QUIET(1), SIGNALLING(2) }, QUIET(2), FP_INVALID },
    { add, { QUIET(1), QUIET(2) }, QUIET(1), 0 },
    { fma_, { QUIET(1), QUIET(2), QUIET(3) }, QUIET(1), 0 },
    { fma_, { QUIET(1), QUIET(2), SIGNALLING(3) }, QUIET(3), FP_INVALID },
    { 0 },
};

/* MIPS64 volume I-A, before FCSR.NAN2008: a set top bit signals; what is invalid gives 0x7fbfffff. */
static const Vector old_mips[] = {
    { add, { 0x7fbfffff, ONE }, 0x7fbfffff, 0 },
    { add, { 0x7f812345, ONE }, 0x7f812345, 0 },
    { add, { 0x7fc00000, ONE }, 0x7fbfffff, FP_INVALID },
    { div_, { 0, 0 }, 0x7fbfffff, FP_INVALID },
    { 0 },
};

/* PA-RISC 2.0, chapter 8: the top bit likewise, but a signalling one is quieted in place. */
static const Vector parisc[] = {
    { add, { 0x7fc12345, ONE }, 0x7fa12345, FP_INVALID },
    { div_, { 0, 0 }, 0x7fa00000, FP_INVALID },
    { 0 },
};

static const Vector overflow_nearest_away[] = {
    { mul, { LARGEST, TWO }, INFINITE, FP_OVERFLOW | FP_INEXACT },
    { add, { ONE, 0x33800000 }, ONE + 1, FP_INEXACT }, /* 2^-24: a tie */
    { round_exact, { 0x3f000000 }, ONE, FP_INEXACT },
    { to_i32, { 0xc0200000 }, (uint32_t)-3, FP_INEXACT }, /* -2.5 */
    { 0 },
};
static const Vector overflow_up[] = {
    { mul, { LARGEST, TWO }, INFINITE, FP_OVERFLOW | FP_INEXACT },
    { mul, { LARGEST, MINUS | TWO }, MINUS | LARGEST, FP_OVERFLOW | FP_INEXACT },
    { mul, { LEAST, LEAST }, LEAST, FP_UNDERFLOW | FP_INEXACT | FP_INPUT_SUBNORMAL },
    { sub, { ONE, ONE }, 0, 0 },
    { 0 },
};
static const Vector overflow_down[] = {
    { mul, { LARGEST, TWO }, LARGEST, FP_OVERFLOW | FP_INEXACT },
    { mul, { LARGEST, MINUS | TWO }, MINUS | INFINITE, FP_OVERFLOW | FP_INEXACT },
    { sub, { ONE, ONE }, MINUS, 0 },
    { fma_, { ONE, ONE, MINUS | ONE }, MINUS, 0 },
    { add, { 0, 0 }, 0, 0 },
    { 0 },
};
static const Vector overflow_odd[] = {
    { mul, { LARGEST, TWO }, LARGEST, FP_OVERFLOW | FP_INEXACT },
    { add, { ONE, 0x00800000 }, ONE + 1, FP_INEXACT },
    { add, { ONE + 1, 0x00800000 }, ONE + 1, FP_INEXACT },
    { mul, { LEAST, LEAST }, LEAST, FP_UNDERFLOW | FP_INEXACT | FP_INPUT_SUBNORMAL },
    { 0 },
};

static const Group groups[] = {
    { "riscv", { 0 }, riscv },
    { "arm", { .nan_rule = FP_NAN_ARM, .tiny_before_rounding = true, .int_invalid_zero_nan = true }, arm },
    { "arm-flushing",
      { .nan_rule = FP_NAN_ARM, .tiny_before_rounding = true, .flush_inputs = true, .flush_outputs = true },
      arm_flushing },
    { "x86",
      { .nan_rule = FP_NAN_X86_SSE, .default_nan_negative = true, .fma_invalid_keeps_nan = true,
        .int_invalid_indefinite = true },
      x86 },
    { "power", { .nan_rule = FP_NAN_POWER }, power },
    { "sparc", { .nan_rule = FP_NAN_SPARC, .default_nan_all_ones = true }, sparc },
    { "s390x", { .nan_rule = FP_NAN_S390X }, s390x },
    { "old-mips", { .nan_rule = FP_NAN_ARM, .nan_signal_bit_inverted = true, .default_nan_all_ones = true }, old_mips },
    { "pa-risc", { .nan_rule = FP_NAN_ARM, .nan_signal_bit_inverted = true }, parisc },
    { "nearest-away", { .rounding = FP_ROUND_NEAREST_AWAY }, overflow_nearest_away },
    { "up", { .rounding = FP_ROUND_UP }, overflow_up },
    { "down", { .rounding = FP_ROUND_DOWN }, overflow_down },
    { "odd", { .rounding = FP_ROUND_ODD }, overflow_odd },
};

static void test_group(const void *data)
{
    const Group *group = data;

    for (const Vector *v = group->vectors; v->function; v++) {
        FpContext fp = group->context;
        uint32_t result = v->function(v->operands[0], v->operands[1], v->operands[2], &fp);
        if (result != v->result || fp.flags != v->flags) {
            g_test_message("row %ld: %#x %#x %#x: %#x flags %#x, expected %#x flags %#x", (long)(v - group->vectors),
                           v->operands[0], v->operands[1], v->operands[2], result, fp.flags, v->result, v->flags);
            g_test_fail();
        }
    }
}

/* ---- All formats ---- */

static void test_classes(void)
{
    for (unsigned i = 0; i < FORMAT_COUNT; i++) {
        const FormatFunctions *f = &format_functions[i];
        unsigned limit = format_exponent_limit(f->format), fraction_bits = f->format->fraction_bits;
        Uint128 top = (Uint128)1 << (fraction_bits - 1);
        const struct {
            bool sign;
            unsigned exponent;
            Uint128 fraction;
            FpClass class;
        } rows[] = {
            { true, limit, 0, FP_CLASS_NEGATIVE_INFINITY },   { true, 1, 0, FP_CLASS_NEGATIVE_NORMAL },
            { true, 0, top, FP_CLASS_NEGATIVE_SUBNORMAL },    { true, 0, 0, FP_CLASS_NEGATIVE_ZERO },
            { false, 0, 0, FP_CLASS_POSITIVE_ZERO },          { false, 0, 1, FP_CLASS_POSITIVE_SUBNORMAL },
            { false, limit - 1, 1, FP_CLASS_POSITIVE_NORMAL }, { false, limit, 0, FP_CLASS_POSITIVE_INFINITY },
            { true, limit, 1, FP_CLASS_SIGNALLING_NAN },      { true, limit, top, FP_CLASS_QUIET_NAN },
        };
        for (unsigned j = 0; j < ARRAY_SIZE(rows); j++) {
            Uint128 bits = encode_operand(f->format, rows[j].sign, rows[j].exponent, rows[j].fraction);
            g_assert_cmpuint(f->classify(bits), ==, rows[j].class);
            g_assert_cmpuint(f->is_nan(bits), ==, rows[j].exponent == limit && rows[j].fraction != 0);
            g_assert_cmpuint(f->is_signalling(bits), ==, rows[j].class == FP_CLASS_SIGNALLING_NAN);
        }
    }
}

static void test_default_nans(void)
{
    static const struct {
        FpContext context;
        bool sign;
        unsigned top; /* the three upper bits of the fraction */
        bool ones;    /* below them */
    } rows[] = {
        { { 0 }, false, 4, false },
        { { .default_nan_negative = true }, true, 4, false },
        { { .default_nan_all_ones = true }, false, 7, true },
        { { .nan_signal_bit_inverted = true }, false, 2, false },
        { { .nan_signal_bit_inverted = true, .default_nan_all_ones = true }, false, 3, true },
    };
    for (unsigned i = 0; i < FORMAT_COUNT; i++) {
        const FormatFunctions *f = &format_functions[i];
        unsigned low = f->format->fraction_bits - 3;
        for (unsigned j = 0; j < ARRAY_SIZE(rows); j++) {
            Uint128 fraction = (Uint128)rows[j].top << low | (rows[j].ones ? ((Uint128)1 << low) - 1 : 0);
            Uint128 expected = encode_operand(f->format, rows[j].sign, format_exponent_limit(f->format), fraction);
            g_assert_true(f->default_nan(&rows[j].context) == expected);
        }
    }
}

/* The fraction keeps its upper bits; one that would vanish becomes the default NaN, not an infinity. */
static void test_nan_conversions(void)
{
    FpContext fp = { .nan_rule = FP_NAN_ARM };
    g_assert_cmphex(f32_from_f64(UINT64_C(0xfff8000020000001), &fp), ==, 0xffc00001);
    g_assert_cmphex(f64_from_f32(0xffc00001, &fp), ==, UINT64_C(0xfff8000020000000));
    g_assert_cmphex(f16_from_f32(0x7fc02000, &fp), ==, 0x7e01);
    g_assert_cmphex(bf16_from_f32(0xffc10000, &fp), ==, 0xffc1);
    g_assert_cmphex(f80_from_f32(0x7fc00001, &fp).significand, ==, UINT64_C(0xc000010000000000));
    g_assert_cmphex(fp.flags, ==, 0);
    g_assert_cmphex(f32_from_f64(UINT64_C(0x7ff0000000000001), &fp), ==, 0x7fc00000);
    g_assert_cmphex(f64_from_f32(0x7f800001, &fp), ==, UINT64_C(0x7ff8000020000000));
    g_assert_cmphex(fp.flags, ==, FP_INVALID);

    fp = (FpContext){ .nan_rule = FP_NAN_ARM, .nan_signal_bit_inverted = true, .default_nan_all_ones = true };
    g_assert_cmphex(f32_from_f64(UINT64_C(0x7ff0000000000001), &fp), ==, 0x7fbfffff);
    g_assert_cmphex(fp.flags, ==, 0);

    fp = (FpContext){ 0 };
    g_assert_cmphex(f64_from_f32(0xffc00001, &fp), ==, UINT64_C(0x7ff8000000000000));
}

/* Flags stay. */
static void test_sticky_flags(void)
{
    FpContext fp = { 0 };
    f32_div(ONE, 0, &fp);
    f32_div(ONE, 0x40400000, &fp);
    f32_add(ONE, ONE, &fp);
    g_assert_cmphex(fp.flags, ==, FP_DIVIDE_BY_ZERO | FP_INEXACT);
}

/* ---- What f80 alone has ---- */

/* SDM volume 1, table 8-3: unsupported encodings are invalid operands of everything and give the default NaN. */
static void test_unsupported(void)
{
    static const Float80 rows[] = {
        { UINT64_C(0x4000000000000000), 0x3fff }, /* unnormal */
        { 0, 0x3fff },                            /* an unnormal zero */
        { 0, 0x7fff },                            /* pseudo-infinity */
        { 1, 0xffff },                            /* pseudo-NaN */
        { UINT64_C(0x4000000000000000), 0x7fff }, /* a quiet pseudo-NaN */
    };
    const Float80 quiet = { UINT64_C(0xc000000000000005), 0x7fff };

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        FpContext fp = { .nan_rule = FP_NAN_X87, .default_nan_negative = true, .int_invalid_indefinite = true };
        g_assert_cmpuint(f80_class(rows[i]), ==, FP_CLASS_UNSUPPORTED);
        g_assert_false(f80_is_nan(rows[i]));
        g_assert_false(f80_is_signalling(rows[i]));
        Float80 sum = f80_add(quiet, rows[i], &fp);
        g_assert_cmphex(sum.sign_exponent, ==, 0xffff);
        g_assert_cmphex(sum.significand, ==, UINT64_C(0xc000000000000000));
        g_assert_cmphex(fp.flags, ==, FP_INVALID);
        fp.flags = 0;
        g_assert_cmpuint(f80_compare(rows[i], quiet, false, &fp), ==, FP_UNORDERED);
        g_assert_cmphex(fp.flags, ==, FP_INVALID);
        fp.flags = 0;
        g_assert_cmphex(f64_from_f80(rows[i], &fp), ==, UINT64_C(0xfff8000000000000));
        g_assert_cmphex(fp.flags, ==, FP_INVALID);
        fp.flags = 0;
        g_assert_cmphex(f80_to_i64(rows[i], &fp), ==, INT64_MIN);
        g_assert_cmphex(fp.flags, ==, FP_INVALID);
        fp.flags = 0;
        g_assert_cmphex(f80_minmax(rows[i], quiet, true, FP_MINMAX_NUMBER, &fp).sign_exponent, ==, 0xffff);
        g_assert_cmphex(fp.flags, ==, FP_INVALID);
    }
}

/* A pseudo-denormal has the value of the exponent 1, and comes out of arithmetic as that. */
static void test_pseudo_denormals(void)
{
    FpContext fp = { 0 };
    const Float80 pseudo = { UINT64_C(0x8000000000000001), 0 }, normal = { UINT64_C(0x8000000000000001), 1 };
    Float80 sum = f80_add(pseudo, (Float80){ 0, 0 }, &fp);

    g_assert_cmphex(sum.sign_exponent, ==, normal.sign_exponent);
    g_assert_cmphex(sum.significand, ==, normal.significand);
    g_assert_cmphex(fp.flags, ==, FP_INPUT_SUBNORMAL);
    g_assert_cmpuint(f80_compare(pseudo, normal, true, &fp), ==, FP_EQUAL);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < ARRAY_SIZE(groups); i++) {
        g_autofree char *path = g_strdup_printf("/fpu/vectors/%s", groups[i].name);
        g_test_add_data_func(path, &groups[i], test_group);
    }
    g_test_add_func("/fpu/vectors/classes", test_classes);
    g_test_add_func("/fpu/vectors/default-nans", test_default_nans);
    g_test_add_func("/fpu/vectors/nan-conversions", test_nan_conversions);
    g_test_add_func("/fpu/vectors/sticky-flags", test_sticky_flags);
    g_test_add_func("/fpu/vectors/f80-unsupported", test_unsupported);
    g_test_add_func("/fpu/vectors/f80-pseudo-denormals", test_pseudo_denormals);
    return g_test_run();
}
