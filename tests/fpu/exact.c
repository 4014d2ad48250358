#include "exact.h"

#include <assert.h>

/* ---- Big integers ---- */

static Big big_make(Uint128 a) { return (Big){ { (uint64_t)a, (uint64_t)(a >> 64) } }; }

static int big_compare(const Big *a, const Big *b)
{
    for (int i = BIG_LIMBS - 1; i >= 0; i--) {
        if (a->limbs[i] != b->limbs[i]) {
            return a->limbs[i] < b->limbs[i] ? -1 : 1;
        }
    }
    return 0;
}

/* The number of bits: 0 for 0. */
static int big_length(const Big *a)
{
    for (int i = BIG_LIMBS - 1; i >= 0; i--) {
        if (a->limbs[i]) {
            return 64 * (i + 1) - __builtin_clzll(a->limbs[i]);
        }
    }
    return 0;
}

static Big big_add(Big a, const Big *b)
{
    Uint128 carry = 0;
    for (int i = 0; i < BIG_LIMBS; i++) {
        carry += (Uint128)a.limbs[i] + b->limbs[i];
        a.limbs[i] = (uint64_t)carry;
        carry >>= 64;
    }
    assert(!carry);
    return a;
}

/* a - b, for a not below b. */
static Big big_subtract(Big a, const Big *b)
{
    uint64_t borrow = 0;
    for (int i = 0; i < BIG_LIMBS; i++) {
        Uint128 difference = (Uint128)a.limbs[i] - b->limbs[i] - borrow;
        a.limbs[i] = (uint64_t)difference;
        borrow = difference >> 64 != 0;
    }
    assert(!borrow);
    return a;
}

static Big big_shift_left(const Big *a, unsigned distance)
{
    Big result = { { 0 } };
    unsigned limbs = distance / 64, bits = distance % 64;

    assert(big_length(a) + distance <= 64 * BIG_LIMBS);
    for (unsigned i = limbs; i < BIG_LIMBS; i++) {
        result.limbs[i] = a->limbs[i - limbs] << bits;
        if (bits && i > limbs) {
            result.limbs[i] |= a->limbs[i - limbs - 1] >> (64 - bits);
        }
    }
    return result;
}

static Big big_shift_right(const Big *a, unsigned distance)
{
    Big result = { { 0 } };
    unsigned limbs = distance / 64, bits = distance % 64;

    for (unsigned i = 0; i + limbs < BIG_LIMBS; i++) {
        result.limbs[i] = a->limbs[i + limbs] >> bits;
        if (bits && i + limbs + 1 < BIG_LIMBS) {
            result.limbs[i] |= a->limbs[i + limbs + 1] << (64 - bits);
        }
    }
    return result;
}

static Big big_multiply(const Big *a, const Big *b)
{
    Big result = { { 0 } };
    for (unsigned i = 0; i < BIG_LIMBS; i++) {
        uint64_t carry = 0;
        for (unsigned j = 0; a->limbs[i] && i + j < BIG_LIMBS; j++) {
            Uint128 sum = (Uint128)a->limbs[i] * b->limbs[j] + result.limbs[i + j] + carry;
            result.limbs[i + j] = (uint64_t)sum;
            carry = sum >> 64;
        }
        assert(!carry);
    }
    return result;
}

/* ---- Exact numbers ---- */

Exact exact_decode(Uint128 bits, const FpFormat *format)
{
    int field_bits = format_field_bits(format);
    int biased = (int)(bits >> field_bits) & format_exponent_limit(format);
    Uint128 significand = bits & (((Uint128)1 << field_bits) - 1);

    if (biased && !format->explicit_integer) {
        significand |= (Uint128)1 << format->fraction_bits;
    }
    return (Exact){ .negative = bits >> (field_bits + format->exponent_bits) & 1,
                    .exponent = (biased ? biased : 1) - format_bias(format) - format->fraction_bits,
                    .magnitude = big_make(significand) };
}

Exact exact_integer(bool negative, Uint128 magnitude)
{
    return (Exact){ .negative = negative, .magnitude = big_make(magnitude) };
}

bool exact_is_zero(const Exact *a) { return !a->more && big_length(&a->magnitude) == 0; }

/* The exponent of the bit above the top. */
static int top_exponent(const Exact *a) { return a->exponent + big_length(&a->magnitude); }

/* A number so far below `larger` that only its sign and that it is there matters to any sum's rounding is brought
 * nearer, that the sum fit. */
static void bring_near(const Exact *larger, Exact *smaller)
{
    const int far = 400;
    if (top_exponent(larger) - top_exponent(smaller) > far) {
        smaller->exponent = top_exponent(larger) - far;
        smaller->magnitude = big_make(1);
    }
}

Exact exact_add(Exact a, Exact b)
{
    assert(!a.more && !b.more);
    if (exact_is_zero(&a)) {
        return b;
    }
    if (exact_is_zero(&b)) {
        return a;
    }
    bring_near(&a, &b);
    bring_near(&b, &a);
    int exponent = MIN(a.exponent, b.exponent);
    a.magnitude = big_shift_left(&a.magnitude, a.exponent - exponent);
    b.magnitude = big_shift_left(&b.magnitude, b.exponent - exponent);
    a.exponent = exponent;
    if (a.negative == b.negative) {
        a.magnitude = big_add(a.magnitude, &b.magnitude);
    } else if (big_compare(&a.magnitude, &b.magnitude) >= 0) {
        a.magnitude = big_subtract(a.magnitude, &b.magnitude);
    } else {
        a.magnitude = big_subtract(b.magnitude, &a.magnitude);
        a.negative = b.negative;
    }
    return a;
}

Exact exact_multiply(Exact a, Exact b)
{
    assert(!a.more && !b.more);
    return (Exact){ .negative = a.negative != b.negative,
                    .exponent = a.exponent + b.exponent,
                    .magnitude = big_multiply(&a.magnitude, &b.magnitude) };
}

/* Bit by bit. */
Exact exact_divide(Exact a, Exact b)
{
    const int extra = 300;
    Big rest = big_shift_left(&a.magnitude, extra), quotient = { { 0 } };

    assert(!a.more && !b.more);
    for (int i = big_length(&rest) - big_length(&b.magnitude); i >= 0; i--) {
        Big shifted = big_shift_left(&b.magnitude, i);
        if (big_compare(&rest, &shifted) >= 0) {
            rest = big_subtract(rest, &shifted);
            quotient.limbs[i / 64] |= UINT64_C(1) << i % 64;
        }
    }
    return (Exact){ .negative = a.negative != b.negative,
                    .more = big_length(&rest) != 0,
                    .exponent = a.exponent - extra - b.exponent,
                    .magnitude = quotient };
}

/* Bit by bit: a bit stays in the root if the square does not get above the radicand. */
Exact exact_square_root(Exact a)
{
    int extra = 300 + (a.exponent & 1);
    Big radicand = big_shift_left(&a.magnitude, extra), root = { { 0 } };

    assert(!a.more && !a.negative);
    for (int i = (big_length(&radicand) + 1) / 2; i >= 0; i--) {
        Big trial = root;
        trial.limbs[i / 64] |= UINT64_C(1) << i % 64;
        Big square = big_multiply(&trial, &trial);
        if (big_compare(&square, &radicand) <= 0) {
            root = trial;
        }
    }
    Big square = big_multiply(&root, &root);
    return (Exact){ .more = big_compare(&square, &radicand) != 0,
                    .exponent = (a.exponent - extra) / 2,
                    .magnitude = root };
}

int exact_compare(Exact a, Exact b)
{
    b.negative = !b.negative;
    Exact difference = exact_add(a, b);
    return exact_is_zero(&difference) ? 0 : difference.negative ? -1 : 1;
}

/* ---- Rounding ---- */

/* To a multiple of 2^exponent; the result has that exponent. */
static Exact round_at(Exact a, int exponent, FpRounding rounding, bool *inexact)
{
    Big kept, rest, zero = { { 0 } }, one = big_make(1);
    int distance = exponent - a.exponent, half;

    if (distance <= 0) {
        assert(!a.more);
        *inexact = false;
        a.magnitude = big_shift_left(&a.magnitude, -distance);
        a.exponent = exponent;
        return a;
    }
    kept = distance < 64 * BIG_LIMBS ? big_shift_right(&a.magnitude, distance) : zero;
    if (distance <= big_length(&a.magnitude)) {
        Big back = big_shift_left(&kept, distance), half_unit = big_shift_left(&one, distance - 1);
        rest = big_subtract(a.magnitude, &back);
        half = big_compare(&rest, &half_unit);
        half = half == 0 && a.more ? 1 : half;
    } else {
        rest = a.magnitude;
        half = -1;
    }
    *inexact = big_length(&rest) != 0 || a.more;
    bool odd = kept.limbs[0] & 1, up = false;
    switch (rounding) {
    case FP_ROUND_NEAREST_EVEN:
        up = half > 0 || (half == 0 && odd);
        break;
    case FP_ROUND_NEAREST_AWAY:
        up = half >= 0;
        break;
    case FP_ROUND_TOWARD_ZERO:
        break;
    case FP_ROUND_DOWN:
        up = *inexact && a.negative;
        break;
    case FP_ROUND_UP:
        up = *inexact && !a.negative;
        break;
    case FP_ROUND_ODD:
        up = *inexact && !odd;
        break;
    }
    return (Exact){ .negative = a.negative, .exponent = exponent, .magnitude = up ? big_add(kept, &one) : kept };
}

static Uint128 encode(bool negative, Uint128 biased, Uint128 field, const FpFormat *format)
{
    int field_bits = format_field_bits(format);
    return (Uint128)negative << (field_bits + format->exponent_bits) | biased << field_bits | field;
}

static Rounded overflowed(bool negative, const FpFormat *format, FpRounding rounding)
{
    Uint128 integer_bit = format->explicit_integer ? (Uint128)1 << format->fraction_bits : 0;
    int limit = format_exponent_limit(format);
    uint8_t flags = FP_OVERFLOW | FP_INEXACT;

    if (rounding == FP_ROUND_NEAREST_EVEN || rounding == FP_ROUND_NEAREST_AWAY ||
        rounding == (negative ? FP_ROUND_DOWN : FP_ROUND_UP)) {
        return (Rounded){ encode(negative, limit, integer_bit, format), flags };
    }
    return (Rounded){ encode(negative, limit - 1, ((Uint128)1 << format_field_bits(format)) - 1, format), flags };
}

Rounded exact_round(Exact a, const FpFormat *format, FpRounding rounding, bool tiny_before_rounding)
{
    int precision = format->fraction_bits + 1, least = 1 - format_bias(format);
    bool inexact;
    /* With an exponent without bounds, then with the least one where that is below it. */
    Exact rounded = round_at(a, top_exponent(&a) - precision, rounding, &inexact);
    bool tiny = top_exponent(tiny_before_rounding ? &a : &rounded) <= least;

    if (top_exponent(&a) <= least) {
        rounded = round_at(a, least - format->fraction_bits, rounding, &inexact);
    }
    int biased = top_exponent(&rounded) - least;
    if (biased >= format_exponent_limit(format)) {
        return overflowed(a.negative, format, rounding);
    }
    /* A carry out of the top leaves a clear bit at the bottom. */
    Uint128 field = big_length(&rounded.magnitude) > precision
                        ? (Uint128)1 << format->fraction_bits
                        : (Uint128)rounded.magnitude.limbs[1] << 64 | rounded.magnitude.limbs[0];
    if (biased < 1) {
        biased = 0;
    } else if (!format->explicit_integer) {
        field &= ~((Uint128)1 << format->fraction_bits);
    }
    return (Rounded){ encode(a.negative, biased, field, format),
                      (inexact ? FP_INEXACT : 0) | (inexact && tiny ? FP_UNDERFLOW : 0) };
}

Exact exact_round_to_integral(Exact a, FpRounding rounding, bool *inexact)
{
    if (a.exponent > 0) { /* too large to be of use, or to be shifted */
        *inexact = false;
        return a;
    }
    return round_at(a, 0, rounding, inexact);
}

Uint128 exact_to_magnitude(Exact a, bool *fits)
{
    *fits = top_exponent(&a) <= 128;
    if (!*fits) {
        return (Uint128)-1;
    }
    Big whole = big_shift_left(&a.magnitude, a.exponent);
    return (Uint128)whole.limbs[1] << 64 | whole.limbs[0];
}
