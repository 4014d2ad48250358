#include "operands.h"

#include <stdlib.h>

/* SplitMix64. */
uint64_t random_next(Random *random)
{
    uint64_t a = random->state += UINT64_C(0x9e3779b97f4a7c15);
    a = (a ^ a >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    a = (a ^ a >> 27) * UINT64_C(0x94d049bb133111eb);
    return a ^ a >> 31;
}

unsigned random_below(Random *random, unsigned limit) { return random_next(random) % limit; }

static Uint128 random_wide(Random *random)
{
    Uint128 high = random_next(random);
    return high << 64 | random_next(random);
}

static Uint128 low_mask(unsigned bits) { return ((Uint128)1 << bits) - 1; }

/* Of `bits` bits. */
static Uint128 random_fraction(Random *random, unsigned bits)
{
    Uint128 mask = low_mask(bits), all = random_wide(random) & mask;
    unsigned shift = random_below(random, bits), second = random_below(random, bits);

    switch (random_below(random, 8)) {
    case 0: /* one bit */
        return (Uint128)1 << shift;
    case 1: /* ones at the top */
        return mask & ~low_mask(shift);
    case 2: /* ones at the bottom */
        return low_mask(shift);
    case 3: /* a run of ones */
        return low_mask(shift) ^ low_mask(second);
    case 4: /* few bits at the top */
        return all & ~low_mask(bits - bits / 4);
    case 5: /* near a power of two */
        return random_below(random, 2) ? random_below(random, 4) : mask - random_below(random, 4);
    default:
        return all;
    }
}

static unsigned random_exponent(Random *random, const FpFormat *format)
{
    unsigned limit = format_exponent_limit(format), bias = format_bias(format);

    switch (random_below(random, 8)) {
    case 0:
        return random_below(random, 4);
    case 1:
        return limit - random_below(random, 4);
    case 2: /* near one */
        return bias - 2 + random_below(random, 5);
    case 3: /* where integers are */
        return MIN(bias + random_below(random, 130), limit);
    case 4: /* where squares reach the ends */
        return (random_below(random, 2) ? bias / 2 : bias + bias / 2) + random_below(random, format->fraction_bits);
    default:
        return random_below(random, limit + 1);
    }
}

Uint128 encode_operand(const FpFormat *format, bool sign, unsigned exponent, Uint128 fraction)
{
    Uint128 field = fraction & low_mask(format->fraction_bits);
    if (format->explicit_integer && exponent) {
        field |= (Uint128)1 << format->fraction_bits;
    }
    return (Uint128)sign << (format_width(format) - 1) |
           (Uint128)(exponent & format_exponent_limit(format)) << format_field_bits(format) | field;
}

Uint128 random_operand(Random *random, const FpFormat *format)
{
    Uint128 a = encode_operand(format, random_below(random, 2), random_exponent(random, format),
                               random_fraction(random, format->fraction_bits));
    if (format->explicit_integer && random_below(random, 64) == 0) {
        a ^= (Uint128)1 << format->fraction_bits;
    }
    return a;
}

void random_operands(Random *random, const FpFormat *format, Uint128 operands[3])
{
    operands[0] = random_operand(random, format);
    for (unsigned i = 1; i < 3; i++) {
        operands[i] = random_operand(random, format);
        if (random_below(random, 4) == 0) { /* the same but for a few bits, and perhaps the sign */
            operands[i] = operands[random_below(random, i)] ^ (Uint128)random_below(random, 4)
                          ^ (Uint128)random_below(random, 2) << (format_width(format) - 1);
        }
    }
}

unsigned special_operands(const FpFormat *format, Uint128 values[SPECIALS_MAX])
{
    unsigned limit = format_exponent_limit(format), bias = format_bias(format), count = 0;
    Uint128 all = low_mask(format->fraction_bits), top = (Uint128)1 << (format->fraction_bits - 1);
    const unsigned exponents[] = { 0, 1, 2, bias / 2, bias - 1, bias, bias + 1, bias + format->fraction_bits,
                                   bias + bias / 2, limit - 2, limit - 1, limit };
    const Uint128 fractions[] = { 0, 1, top, all };

    for (unsigned i = 0; i < ARRAY_SIZE(exponents); i++) {
        for (unsigned j = 0; j < ARRAY_SIZE(fractions); j++) {
            values[count++] = encode_operand(format, false, exponents[i], fractions[j]);
            values[count++] = encode_operand(format, true, exponents[i], fractions[j]);
        }
    }
    if (format->explicit_integer) { /* pseudo-denormal, unnormal, pseudo-infinity, pseudo-NaN */
        Uint128 integer_bit = (Uint128)1 << format->fraction_bits;
        values[count++] = integer_bit;
        values[count++] = integer_bit | 1;
        values[count++] = encode_operand(format, true, 1, all) ^ integer_bit;
        values[count++] = encode_operand(format, false, limit, 0) ^ integer_bit;
        values[count++] = encode_operand(format, false, limit, 1) ^ integer_bit;
    }
    return count;
}

unsigned test_repetitions(unsigned count)
{
    const char *scale = getenv("MYNA_TEST_SCALE");
    double repetitions = count * (scale ? strtod(scale, NULL) : 1);
    return repetitions < 1 ? 1 : repetitions > UINT32_MAX ? UINT32_MAX : (unsigned)repetitions;
}
