/*
 * A number taken apart, and put together again: unpacking, the choice of NaNs, rounding and packing, after IEEE
 * 754-2019 chapters 3, 4, 6 and 7.
 */
#pragma once

#include "fpu/fpu.h"
#include "fpu/significand.h"

typedef enum Kind {
    KIND_ZERO,
    KIND_NORMAL, /* finite and not zero, whatever its encoding */
    KIND_INFINITY,
    KIND_QUIET,
    KIND_SIGNALLING,
    KIND_UNSUPPORTED, /* of f80: what the 80387 and its successors refuse */
} Kind;

typedef struct Parts {
    Kind kind;
    /* A normal one is significand / SIGNIFICAND_TOP * 2^exponent and has the top bit set. A NaN has its fraction just
     * below the top bit, which means nothing. */
    int exponent;
    Significand significand;
    bool sign;
    bool subnormal; /* it was encoded with the least exponent */
} Parts;

#define QUIET_BIT (SIGNIFICAND_TOP >> 1)

FP_INLINE bool is_nan(Parts a) { return a.kind >= KIND_QUIET; }

FP_INLINE Parts parts_zero(bool sign) { return (Parts){ .kind = KIND_ZERO, .sign = sign }; }
FP_INLINE Parts parts_infinity(bool sign) { return (Parts){ .kind = KIND_INFINITY, .sign = sign }; }

FP_INLINE Parts parts_normal(bool sign, int exponent, Significand significand)
{
    return (Parts){ .kind = KIND_NORMAL, .sign = sign, .exponent = exponent, .significand = significand };
}

/* ---- NaNs ---- */

FP_COLD Parts default_nan(const FpContext *fp)
{
    Significand fraction = fp->nan_signal_bit_inverted ? QUIET_BIT >> 1 : QUIET_BIT;
    if (fp->default_nan_all_ones) {
        fraction |= fraction - 1;
    }
    return (Parts){ .kind = KIND_QUIET, .sign = fp->default_nan_negative, .significand = fraction };
}

FP_COLD Parts invalid_operation(FpContext *fp)
{
    fp->flags |= FP_INVALID;
    return default_nan(fp);
}

static inline Parts quieted(Parts a, const FpContext *fp)
{
    if (a.kind == KIND_SIGNALLING) {
        if (fp->nan_signal_bit_inverted && fp->default_nan_all_ones) {
            return default_nan(fp); /* old MIPS: clearing the bit could leave no fraction */
        }
        a.significand = fp->nan_signal_bit_inverted ? (a.significand & ~QUIET_BIT) | QUIET_BIT >> 1
                                                    : a.significand | QUIET_BIT;
        a.kind = KIND_QUIET;
    }
    return a;
}

/* Which operand's NaN an operation returns; see FpNanRule for the manuals. The third of an fma is its addend. */
typedef struct NanOrder {
    bool signalling_first;
    uint8_t order[3];
} NanOrder;

static const NanOrder nan_orders[] = {
    [FP_NAN_X86_SSE] = { false, { 0, 1, 2 } },
    [FP_NAN_ARM] = { true, { 2, 0, 1 } },
    [FP_NAN_POWER] = { false, { 0, 2, 1 } },
    [FP_NAN_SPARC] = { true, { 2, 1, 0 } },
    [FP_NAN_S390X] = { true, { 0, 1, 2 } },
};

static inline Parts choose_ordered(const Parts *operands, unsigned count, const NanOrder *rule)
{
    Parts chosen = parts_zero(false);
    for (unsigned i = 0; i < ARRAY_SIZE(rule->order); i++) {
        if (rule->order[i] >= count || !is_nan(operands[rule->order[i]])) {
            continue;
        }
        Parts candidate = operands[rule->order[i]];
        if (!is_nan(chosen) || (rule->signalling_first && candidate.kind > chosen.kind)) {
            chosen = candidate;
        }
    }
    return chosen;
}

/* x87: a quiet one before a signalling one, else the larger significand, else the positive one. */
static inline Parts choose_x87(const Parts *operands, unsigned count)
{
    Parts chosen = operands[0];
    for (unsigned i = 1; i < count; i++) {
        Parts candidate = operands[i];
        if (!is_nan(candidate)) {
            continue;
        }
        if (!is_nan(chosen) || candidate.kind < chosen.kind ||
            (candidate.kind == chosen.kind &&
             (candidate.significand > chosen.significand ||
              (candidate.significand == chosen.significand && chosen.sign)))) {
            chosen = candidate;
        }
    }
    return chosen;
}

/* The result of an operation of which an operand is a NaN or unsupported. */
FP_COLD Parts nan_result(const Parts *operands, unsigned count, FpContext *fp)
{
    bool unsupported = false;
    for (unsigned i = 0; i < count; i++) {
        if (operands[i].kind >= KIND_SIGNALLING) {
            fp->flags |= FP_INVALID;
            unsupported |= operands[i].kind == KIND_UNSUPPORTED;
        }
    }
    if (unsupported || fp->nan_rule == FP_NAN_DEFAULT) {
        return default_nan(fp);
    }
    return quieted(fp->nan_rule == FP_NAN_X87 ? choose_x87(operands, count)
                                              : choose_ordered(operands, count, &nan_orders[fp->nan_rule]), fp);
}

/* ---- Unpacking ---- */

FP_SLOW Parts unpack_special(Significand bits, const FpFormat *format, FpContext *fp)
{
    int biased = (int)(bits >> format_field_bits(format)) & format_exponent_limit(format);
    Significand field = bits << (SIGNIFICAND_BITS - 1 - format->fraction_bits);
    Parts a = { .sign = bits >> (format_field_bits(format) + format->exponent_bits) & 1 };

    if (!format->explicit_integer) {
        field &= ~SIGNIFICAND_TOP;
    } else if (biased && !(field & SIGNIFICAND_TOP)) {
        a.kind = KIND_UNSUPPORTED;
        return a;
    }
    if (biased) {
        a.significand = field & ~SIGNIFICAND_TOP;
        a.kind = !a.significand ? KIND_INFINITY
                 : !(field & QUIET_BIT) != fp->nan_signal_bit_inverted ? KIND_SIGNALLING : KIND_QUIET;
    } else if (!field) {
        a.kind = KIND_ZERO;
    } else if (fp->flush_inputs) {
        fp->flags |= FP_INPUT_FLUSHED;
        a.kind = KIND_ZERO;
    } else {
        a.kind = KIND_NORMAL;
        a.subnormal = true;
        a.exponent = 1 - format_bias(format) - leading_zeros(field);
        a.significand = field << leading_zeros(field);
    }
    return a;
}

/* Whether it is encoded as a normal number, which most operands are: operations have a short way for those. */
FP_INLINE bool is_plain(Significand bits, const FpFormat *format)
{
    unsigned limit = format_exponent_limit(format), biased = (unsigned)(bits >> format_field_bits(format)) & limit;
    return biased - 1 < limit - 1 && (!format->explicit_integer || bits >> format->fraction_bits & 1);
}

FP_INLINE Parts unpack_plain(Significand bits, const FpFormat *format)
{
    int biased = (int)(bits >> format_field_bits(format)) & format_exponent_limit(format);
    return parts_normal(bits >> (format_field_bits(format) + format->exponent_bits) & 1, biased - format_bias(format),
                        bits << (SIGNIFICAND_BITS - 1 - format->fraction_bits) | SIGNIFICAND_TOP);
}

FP_INLINE Parts unpack(Significand bits, const FpFormat *format, FpContext *fp)
{
    return LIKELY(is_plain(bits, format)) ? unpack_plain(bits, format) : unpack_special(bits, format, fp);
}

/* Once no operand is a NaN. */
FP_INLINE void note_subnormal(bool subnormal, FpContext *fp)
{
    if (UNLIKELY(subnormal)) {
        fp->flags |= FP_INPUT_SUBNORMAL;
    }
}

/* ---- Rounding and packing ---- */

/* Whether a magnitude that was cut off gets one added to its last place: `odd` is its last bit, `rest` what was cut,
 * `half` the half of a last place. */
FP_INLINE bool rounds_up(unsigned rounding, bool sign, bool odd, Significand rest, Significand half)
{
    if (LIKELY(rounding == FP_ROUND_NEAREST_EVEN)) {
        return rest > half - odd;
    }
    switch (rounding) {
    case FP_ROUND_NEAREST_AWAY:
        return rest >= half;
    case FP_ROUND_UP:
        return rest && !sign;
    case FP_ROUND_DOWN:
        return rest && sign;
    case FP_ROUND_ODD:
        return rest && !odd;
    default:
        return false;
    }
}

/* The magnitude whose significand, as an integer in units of the last place, is `significand`, which may be 2^precision
 * after rounding up, and less than 2^(precision - 1) where `biased` is 1. */
FP_INLINE Significand compose(int biased, Significand significand, const FpFormat *format)
{
    if (format->explicit_integer) {
        Significand top = (Significand)1 << format->fraction_bits;
        bool carry = significand >> 1 >= top;
        biased = significand < top ? 0 : biased + carry;
        return (Significand)biased << format_field_bits(format) | significand >> carry;
    }
    /* The integer bit adds one to the exponent, and so does a carry. */
    return ((Significand)(biased - 1) << format->fraction_bits) + significand;
}

FP_INLINE Significand sign_bit(bool sign, const FpFormat *format)
{
    return (Significand)sign << (format_field_bits(format) + format->exponent_bits);
}

FP_INLINE Significand infinity_bits(const FpFormat *format)
{
    Significand integer_bit = format->explicit_integer ? (Significand)1 << format->fraction_bits : 0;
    return (Significand)format_exponent_limit(format) << format_field_bits(format) | integer_bit;
}

/* Rounds to the format's precision less `reduced` bits; says whether that was inexact. */
FP_INLINE Significand round_and_compose(Parts a, int biased, const FpFormat *format, int reduced, unsigned rounding,
                                        bool *inexact)
{
    int cut = SIGNIFICAND_BITS - 1 - format->fraction_bits + reduced;
    Significand kept = a.significand >> cut, unit = (Significand)1 << cut;
    Significand rest = a.significand & (unit - 1);

    *inexact = rest != 0;
    kept += rounds_up(rounding, a.sign, kept & 1, rest, unit >> 1);
    return compose(biased, kept << reduced, format);
}

static inline Significand overflow(bool sign, const FpFormat *format, int reduced, FpContext *fp)
{
    bool to_infinity = fp->rounding == FP_ROUND_NEAREST_EVEN || fp->rounding == FP_ROUND_NEAREST_AWAY ||
                       fp->rounding == (sign ? FP_ROUND_DOWN : FP_ROUND_UP);
    Significand largest = (((Significand)1 << (format->fraction_bits + 1 - reduced)) - 1) << reduced;

    fp->flags |= FP_OVERFLOW | FP_INEXACT;
    return sign_bit(sign, format) | (to_infinity ? infinity_bits(format)
                                                 : compose(format_exponent_limit(format) - 1, largest, format));
}

/* Tininess after rounding: below the least normal number even if rounded with an unbounded exponent. */
static inline bool is_tiny(Parts a, int biased, const FpFormat *format, int reduced, const FpContext *fp)
{
    bool inexact;
    if (fp->tiny_before_rounding || biased < 0) {
        return true;
    }
    /* As if the exponent were one higher: a carry shows in it. */
    Significand magnitude = round_and_compose(a, 1, format, reduced, fp->rounding, &inexact);
    return magnitude >> format_field_bits(format) == 1;
}

/* Rounds what may overflow or is subnormal. */
FP_COLD Significand round_extreme(Parts a, const FpFormat *format, int reduced, FpContext *fp)
{
    int biased = a.exponent + format_bias(format);
    bool tiny = biased < 1 && is_tiny(a, biased, format, reduced, fp);
    bool inexact;

    if (tiny && fp->flush_outputs) {
        fp->flags |= FP_OUTPUT_FLUSHED;
        return sign_bit(a.sign, format);
    }
    if (biased < 1) {
        a.significand = shift_right_jam(a.significand, 1 - biased);
        biased = 1;
    }
    if (biased >= format_exponent_limit(format)) {
        return overflow(a.sign, format, reduced, fp);
    }
    Significand magnitude = round_and_compose(a, biased, format, reduced, fp->rounding, &inexact);
    if (magnitude >> format_field_bits(format) == (Significand)format_exponent_limit(format)) {
        return overflow(a.sign, format, reduced, fp);
    }
    if (inexact) {
        fp->flags |= tiny ? FP_INEXACT | FP_UNDERFLOW : FP_INEXACT;
    }
    return sign_bit(a.sign, format) | magnitude;
}

/* What is not finite, or zero. */
FP_SLOW Significand pack_special(Parts a, const FpFormat *format, const FpContext *fp)
{
    const int cut = SIGNIFICAND_BITS - 1 - format->fraction_bits;

    if (a.kind == KIND_ZERO) {
        return sign_bit(a.sign, format);
    }
    if (is_nan(a) && !(a.significand >> cut)) { /* a payload of another format that does not reach here */
        a = default_nan(fp);
    }
    return sign_bit(a.sign, format) | infinity_bits(format) | a.significand >> cut;
}

FP_INLINE Significand round_reduced(Parts a, const FpFormat *format, int reduced, FpContext *fp)
{
    int biased = a.exponent + format_bias(format);
    bool inexact;

    if (UNLIKELY(a.kind != KIND_NORMAL)) {
        return pack_special(a, format, fp);
    }
    if (UNLIKELY(biased < 1 || biased >= format_exponent_limit(format) - 1)) {
        return round_extreme(a, format, reduced, fp);
    }
    Significand magnitude = round_and_compose(a, biased, format, reduced, fp->rounding, &inexact);
    if (inexact) {
        fp->flags |= FP_INEXACT;
    }
    return sign_bit(a.sign, format) | magnitude;
}

FP_INLINE Significand round_pack(Parts a, const FpFormat *format, FpContext *fp)
{
    return round_reduced(a, format, 0, fp);
}

/* For the operations that x87's precision control governs. */
FP_INLINE Significand round_controlled(Parts a, const FpFormat *format, FpContext *fp)
{
    int reduced = !format->explicit_integer || fp->f80_precision == FP_PRECISION_FULL ? 0
                  : fp->f80_precision == FP_PRECISION_DOUBLE ? 11 : 40;
    return round_reduced(a, format, reduced, fp);
}
