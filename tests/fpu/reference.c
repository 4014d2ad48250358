/*
 * All six formats against slow exact arithmetic (exact.h): finite operands, every rounding mode, tininess before and
 * after rounding. What NaNs and infinities do is for the other tests of this folder.
 */
#include "exact.h"
#include "operands.h"
#include "table.h"

#include <glib.h>

#define ROUNDING_COUNT 6
#define COMPARED_FLAGS (FP_INEXACT | FP_UNDERFLOW | FP_OVERFLOW | FP_DIVIDE_BY_ZERO | FP_INVALID)

/* One call: what goes in, and the exact result. */
typedef struct Case {
    const FormatFunctions *functions;
    Uint128 bits[3];
    Exact exact[3];
    FpContext fp;
    Random *random;
    Uint128 specials[SPECIALS_MAX];
    unsigned special_count;
} Case;

static void report(const Case *c, const char *operation, Uint128 result, unsigned flags, Uint128 expected,
                   unsigned expected_flags)
{
    g_test_message("%s %s %#lx:%016lx %#lx:%016lx %#lx:%016lx, rounding %u, tiny before %d: %#lx:%016lx flags %#x, "
                   "expected %#lx:%016lx flags %#x",
                   c->functions->name, operation, (uint64_t)(c->bits[0] >> 64), (uint64_t)c->bits[0],
                   (uint64_t)(c->bits[1] >> 64), (uint64_t)c->bits[1], (uint64_t)(c->bits[2] >> 64),
                   (uint64_t)c->bits[2], c->fp.rounding, c->fp.tiny_before_rounding, (uint64_t)(result >> 64),
                   (uint64_t)result, flags, (uint64_t)(expected >> 64), (uint64_t)expected, expected_flags);
    g_test_fail();
}

/* Compares with what rounding `exact` gives, or a zero of the sign given. */
static void check_result(Case *c, const char *operation, Uint128 result, Exact exact, bool zero_sign,
                         const FpFormat *format)
{
    Rounded expected = { (Uint128)zero_sign << (format_width(format) - 1), 0 };
    if (!exact_is_zero(&exact)) {
        expected = exact_round(exact, format, c->fp.rounding, c->fp.tiny_before_rounding);
    }
    if (result != expected.bits || (c->fp.flags & COMPARED_FLAGS) != expected.flags) {
        report(c, operation, result, c->fp.flags & COMPARED_FLAGS, expected.bits, expected.flags);
    }
    c->fp.flags = 0;
}

/* A finite operand that is not one of the unsupported ones. */
static Uint128 finite_operand(Uint128 bits, const FpFormat *format)
{
    int limit = format_exponent_limit(format);
    int biased = (int)(bits >> format_field_bits(format)) & limit;

    if (biased == limit) {
        bits ^= (Uint128)2 << format_field_bits(format);
    }
    if (format->explicit_integer && biased) {
        bits |= (Uint128)1 << format->fraction_bits;
    }
    return bits;
}

static void set_operand(Case *c, unsigned i, Uint128 bits)
{
    c->bits[i] = finite_operand(bits, c->functions->format);
    c->exact[i] = exact_decode(c->bits[i], c->functions->format);
}

static void make_case(Case *c)
{
    random_operands(c->random, c->functions->format, c->bits);
    for (unsigned i = 0; i < 3; i++) {
        if (random_below(c->random, 4) == 0) {
            c->bits[i] = c->specials[random_below(c->random, c->special_count)];
        }
        set_operand(c, i, c->bits[i]);
    }
    c->fp = (FpContext){ .rounding = random_below(c->random, ROUNDING_COUNT),
                         .tiny_before_rounding = random_below(c->random, 2) };
}

/* The sign of a sum that is zero: that of its terms, where they have one in common. */
static bool sum_sign(const Exact *a, const Exact *b, const FpContext *fp)
{
    bool both_zero = exact_is_zero(a) && exact_is_zero(b);
    return both_zero && a->negative == b->negative ? a->negative : fp->rounding == FP_ROUND_DOWN;
}

static Exact negated(Exact a)
{
    a.negative = !a.negative;
    return a;
}

static void test_add(Case *c)
{
    const FormatFunctions *f = c->functions;
    Exact minus = negated(c->exact[1]);
    check_result(c, "add", f->add(c->bits[0], c->bits[1], &c->fp), exact_add(c->exact[0], c->exact[1]),
                 sum_sign(&c->exact[0], &c->exact[1], &c->fp), f->format);
    check_result(c, "sub", f->sub(c->bits[0], c->bits[1], &c->fp), exact_add(c->exact[0], minus),
                 sum_sign(&c->exact[0], &minus, &c->fp), f->format);
}

static void test_multiply(Case *c)
{
    Exact product = exact_multiply(c->exact[0], c->exact[1]);
    check_result(c, "mul", c->functions->mul(c->bits[0], c->bits[1], &c->fp), product, product.negative,
                 c->functions->format);
}

static void test_divide(Case *c)
{
    if (exact_is_zero(&c->exact[0]) || exact_is_zero(&c->exact[1])) {
        return;
    }
    check_result(c, "div", c->functions->div(c->bits[0], c->bits[1], &c->fp),
                 exact_divide(c->exact[0], c->exact[1]), false, c->functions->format);
}

static void test_square_root(Case *c)
{
    if (exact_is_zero(&c->exact[0]) || c->exact[0].negative) {
        return;
    }
    check_result(c, "sqrt", c->functions->sqrt(c->bits[0], &c->fp), exact_square_root(c->exact[0]), false,
                 c->functions->format);
}

/* Factors near one: of few bits, or with a product that is one and something far below it, (1 + x)(1 - x + x^2). */
static void make_critical_factors(Case *c)
{
    const FpFormat *format = c->functions->format;
    int bias = format_bias(format), precision = format->fraction_bits + 1;
    Uint128 one = (Uint128)1 << (precision - 1);

    if (random_below(c->random, 2)) {
        for (unsigned i = 0; i < 2; i++) {
            set_operand(c, i, encode_operand(format, false, bias + random_below(c->random, 3),
                                             (Uint128)1 << random_below(c->random, precision - 1)));
        }
    } else {
        int k = 1 + random_below(c->random, precision / 2);
        set_operand(c, 0, encode_operand(format, false, bias, one >> k));
        set_operand(c, 1, encode_operand(format, false, bias - 1, one - (one >> (k - 1)) + (one >> (2 * k - 1))));
    }
}

/* Sums that nearly cancel, or that rounding hangs on the last bit of. */
static void make_critical(Case *c)
{
    const FpFormat *format = c->functions->format;
    FpContext other = { .rounding = random_below(c->random, ROUNDING_COUNT) };
    int precision = format->fraction_bits + 1;
    Uint128 product, far;

    if (random_below(c->random, 4)) {
        make_critical_factors(c);
    }
    product = c->functions->mul(c->bits[0], c->bits[1], &other) ^ random_below(c->random, 3);
    far = random_below(c->random, 2) ? random_below(c->random, 3 * precision)
                                     : precision - 1 + random_below(c->random, 3);
    far <<= format_field_bits(format);
    switch (random_below(c->random, 3)) {
    case 0:
        set_operand(c, 2, product ^ (Uint128)1 << (format_width(format) - 1));
        break;
    case 1:
        set_operand(c, 2, product + far);
        break;
    default:
        set_operand(c, 2, product - far);
        break;
    }
}

static void test_fma(Case *c)
{
    if (random_below(c->random, 2)) {
        make_critical(c);
    }
    Exact product = exact_multiply(c->exact[0], c->exact[1]);
    check_result(c, "fma", c->functions->fma(c->bits[0], c->bits[1], c->bits[2], &c->fp),
                 exact_add(product, c->exact[2]), sum_sign(&product, &c->exact[2], &c->fp), c->functions->format);
}

static void test_scale(Case *c)
{
    int range = format_exponent_limit(c->functions->format) * 3;
    int n = (int)random_below(c->random, 2 * range) - range;
    Exact scaled = c->exact[0];

    scaled.exponent += n;
    check_result(c, "scale", c->functions->scale(c->bits[0], n, &c->fp), scaled, scaled.negative,
                 c->functions->format);
    scaled.exponent += 200000 - n;
    check_result(c, "scale", c->functions->scale(c->bits[0], INT32_MAX, &c->fp), scaled, scaled.negative,
                 c->functions->format);
    scaled.exponent -= 400000;
    check_result(c, "scale", c->functions->scale(c->bits[0], INT32_MIN, &c->fp), scaled, scaled.negative,
                 c->functions->format);
}

static void test_formats(Case *c)
{
    for (unsigned to = 0; to < FORMAT_COUNT; to++) {
        if (c->functions->convert_to[to]) {
            check_result(c, format_functions[to].name, c->functions->convert_to[to](c->bits[0], &c->fp), c->exact[0],
                         c->exact[0].negative, format_functions[to].format);
        }
    }
}

static void test_compare(Case *c)
{
    const FormatFunctions *f = c->functions;
    int order = exact_compare(c->exact[0], c->exact[1]);
    FpCompare expected = order < 0 ? FP_LESS : order > 0 ? FP_GREATER : FP_EQUAL;
    bool first_less = order < 0 || (order == 0 && c->exact[0].negative && !c->exact[1].negative);

    for (unsigned signalling = 0; signalling < 2; signalling++) {
        FpCompare result = f->compare(c->bits[0], c->bits[1], signalling, &c->fp);
        if (result != expected || c->fp.flags & COMPARED_FLAGS) {
            report(c, "compare", result, c->fp.flags, expected, 0);
        }
    }
    for (FpMinMax rule = FP_MINMAX_NUMBER; rule <= FP_MINMAX_X86; rule++) {
        bool second = rule == FP_MINMAX_X86 && order == 0;
        Uint128 minimum = f->minmax(c->bits[0], c->bits[1], false, rule, &c->fp);
        Uint128 maximum = f->minmax(c->bits[0], c->bits[1], true, rule, &c->fp);
        if (minimum != c->bits[second || !first_less] || maximum != c->bits[second || first_less] ||
            c->fp.flags & COMPARED_FLAGS) {
            report(c, "minimum and maximum", minimum, c->fp.flags, maximum, 0);
        }
    }
}

/* What an integer type makes of a whole number: itself, or the nearest and `*fits` false. */
static Uint128 saturate(Exact whole, const IntegerFormat *type, bool *fits)
{
    Uint128 magnitude = exact_to_magnitude(whole, fits);
    Uint128 largest = (Uint128)-1 >> (128 - type->bits + type->is_signed);
    Uint128 limit = !whole.negative ? largest : type->is_signed ? largest + 1 : 0;

    *fits = *fits && magnitude <= limit;
    magnitude = *fits ? magnitude : limit;
    return whole.negative ? -magnitude : magnitude;
}

static void test_to_integers(Case *c)
{
    bool inexact, fits;
    Exact whole = exact_round_to_integral(c->exact[0], c->fp.rounding, &inexact);

    for (unsigned i = 0; i < INTEGER_COUNT; i++) {
        const IntegerFormat *type = &integer_formats[i];
        Uint128 expected = saturate(whole, type, &fits);
        unsigned flags = !fits ? FP_INVALID : inexact ? FP_INEXACT : 0;
        Uint128 result = c->functions->to_integer[i](c->bits[0], &c->fp);
        if (result != expected || (c->fp.flags & COMPARED_FLAGS) != flags) {
            report(c, type->name, result, c->fp.flags & COMPARED_FLAGS, expected, flags);
        }
        c->fp.flags = 0;
    }
    for (unsigned raise_inexact = 0; raise_inexact < 2; raise_inexact++) {
        Uint128 result = c->functions->round_to_integral(c->bits[0], raise_inexact, &c->fp);
        if (((c->fp.flags & FP_INEXACT) != 0) != (inexact && raise_inexact)) {
            report(c, "flags of round_to_integral", result, c->fp.flags, 0, inexact);
        }
        c->fp.flags &= ~FP_INEXACT;
        check_result(c, "round_to_integral", result, whole, whole.negative, c->functions->format);
    }
}

static void test_from_integers(Case *c)
{
    Uint128 wide = (Uint128)random_next(c->random) << 64 | random_next(c->random);
    wide = (Uint128)((__int128)wide >> random_below(c->random, 128));
    wide ^= (wide >> 127) << random_below(c->random, 128);

    for (unsigned i = 0; i < INTEGER_COUNT; i++) {
        const IntegerFormat *type = &integer_formats[i];
        unsigned unused = 128 - type->bits;
        Uint128 value = type->is_signed ? (Uint128)((__int128)(wide << unused) >> unused) : wide << unused >> unused;
        bool negative = type->is_signed && value >> 127;
        c->bits[0] = value;
        check_result(c, type->name, c->functions->from_integer[i](value, &c->fp),
                     exact_integer(negative, negative ? -value : value), false, c->functions->format);
    }
}

static const struct {
    const char *name;
    void (*run)(Case *c);
    unsigned count;
    bool pairs; /* worth all pairs of special values */
} tests[] = {
    { "add", test_add, 8000, true },
    { "multiply", test_multiply, 8000, true },
    { "divide", test_divide, 3000, false },
    { "square-root", test_square_root, 1000, false },
    { "fma", test_fma, 20000, false },
    { "scale", test_scale, 4000, false },
    { "formats", test_formats, 3000, false },
    { "compare", test_compare, 5000, true },
    { "to-integers", test_to_integers, 5000, false },
    { "from-integers", test_from_integers, 3000, false },
};

typedef struct Parameters {
    unsigned test, format;
} Parameters;

static void run_pairs(Case *c, void (*run)(Case *c))
{
    for (unsigned i = 0; i < c->special_count; i++) {
        for (unsigned j = 0; j < c->special_count && !g_test_failed(); j++) {
            make_case(c);
            set_operand(c, 0, c->specials[i]);
            set_operand(c, 1, c->specials[j]);
            run(c);
        }
    }
}

static void run_test(const void *data)
{
    const Parameters *parameters = data;
    Random random = { 3 };
    Case c = { .functions = &format_functions[parameters->format], .random = &random };

    c.special_count = special_operands(c.functions->format, c.specials);
    if (tests[parameters->test].pairs) {
        run_pairs(&c, tests[parameters->test].run);
    }
    for (unsigned i = test_repetitions(tests[parameters->test].count); i && !g_test_failed(); i--) {
        make_case(&c);
        tests[parameters->test].run(&c);
    }
}

int main(int argc, char **argv)
{
    static Parameters parameters[ARRAY_SIZE(tests)][FORMAT_COUNT];

    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < ARRAY_SIZE(tests); i++) {
        for (unsigned j = 0; j < FORMAT_COUNT; j++) {
            g_autofree char *path = g_strdup_printf("/fpu/reference/%s/%s", tests[i].name, format_functions[j].name);
            parameters[i][j] = (Parameters){ i, j };
            g_test_add_data_func(path, &parameters[i][j], run_test);
        }
    }
    return g_test_run();
}
