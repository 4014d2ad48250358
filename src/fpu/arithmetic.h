/* The arithmetic operations of IEEE 754-2019, 5.3.1 and 5.4.1, on encodings. */
#pragma once

#include "fpu/parts.h"

FP_INLINE bool both_normal(Parts a, Parts b) { return a.kind == KIND_NORMAL && b.kind == KIND_NORMAL; }

/* ---- The way of operands that are not all plain: one for all formats ---- */

/* Neither operand is a NaN; the result is not rounded yet. */
typedef Parts BinaryOperation(Parts a, Parts b, FpContext *fp);

FP_SLOW Significand binary_general(BinaryOperation *operation, Significand a_bits, Significand b_bits,
                                   const FpFormat *format, FpContext *fp)
{
    Parts a = unpack(a_bits, format, fp), b = unpack(b_bits, format, fp);
    uint8_t before = fp->flags;

    if (is_nan(a) || is_nan(b)) {
        return pack_special(nan_result((Parts[]){ a, b }, 2, fp), format, fp);
    }
    fp->flags = 0;
    Parts result = operation(a, b, fp);
    /* Invalid and division by zero go before (Intel SDM volume 1, 4.9.2). */
    note_subnormal((a.subnormal | b.subnormal) && !(fp->flags & (FP_INVALID | FP_DIVIDE_BY_ZERO)), fp);
    fp->flags |= before;
    return round_controlled(result, format, fp);
}

/* ---- Addition ---- */

/* An exact zero that is the sum of nonzero terms, or of zeroes of both signs. */
FP_INLINE Parts cancelled(const FpContext *fp) { return parts_zero(fp->rounding == FP_ROUND_DOWN); }

/*
 * The sum of normal numbers. Their order and the carry are as good as random, so what depends on them is computed
 * without branches.
 */
FP_INLINE Parts add_normal(Parts a, Parts b, const FpContext *fp)
{
    bool a_less = a.exponent < b.exponent;
    Significand swap = (a.significand ^ b.significand) & -(Significand)a_less;
    Significand larger = a.significand ^ swap;
    Significand smaller = shift_right_jam(b.significand ^ swap, __builtin_abs(a.exponent - b.exponent));
    int exponent = MAX(a.exponent, b.exponent);
    bool opposed = a.sign ^ b.sign, sign = a.sign ^ (opposed & a_less);

    if (!opposed) {
        Significand sum = larger + smaller;
        bool carry = sum < larger;
        sum = (Significand)carry << (SIGNIFICAND_BITS - 1) | sum >> carry | (sum & carry);
        return parts_normal(sign, exponent + carry, sum);
    }
    Significand difference = larger - smaller;
    if (larger < smaller) { /* of equal exponents */
        difference = -difference;
        sign = !sign;
    }
    if (UNLIKELY(!difference)) {
        return cancelled(fp);
    }
    int zeros = leading_zeros(difference);
    return parts_normal(sign, exponent - zeros, difference << zeros);
}

static Parts add_special(Parts a, Parts b, FpContext *fp)
{
    if (a.kind == KIND_INFINITY) {
        return b.kind == KIND_INFINITY && a.sign != b.sign ? invalid_operation(fp) : a;
    }
    if (b.kind == KIND_INFINITY || b.kind == KIND_NORMAL) {
        return b;
    }
    if (a.kind == KIND_NORMAL || a.sign == b.sign) {
        return a;
    }
    return cancelled(fp);
}

static Parts add_parts(Parts a, Parts b, FpContext *fp)
{
    return both_normal(a, b) ? add_normal(a, b, fp) : add_special(a, b, fp);
}

static Parts subtract_parts(Parts a, Parts b, FpContext *fp)
{
    b.sign = !b.sign;
    return add_parts(a, b, fp);
}

FP_INLINE Significand add_bits(Significand a_bits, Significand b_bits, bool subtract, const FpFormat *format,
                               FpContext *fp)
{
    if (UNLIKELY(!is_plain(a_bits, format) || !is_plain(b_bits, format))) {
        return binary_general(subtract ? subtract_parts : add_parts, a_bits, b_bits, format, fp);
    }
    Parts a = unpack_plain(a_bits, format), b = unpack_plain(b_bits, format);
    b.sign ^= subtract;
    return round_controlled(add_normal(a, b, fp), format, fp);
}

/* ---- Multiplication ---- */

static Parts multiply_special(Parts a, Parts b, FpContext *fp)
{
    bool sign = a.sign ^ b.sign;
    if (a.kind == KIND_INFINITY || b.kind == KIND_INFINITY) {
        return a.kind == KIND_ZERO || b.kind == KIND_ZERO ? invalid_operation(fp) : parts_infinity(sign);
    }
    return parts_zero(sign);
}

FP_INLINE Parts multiply_normal(Parts a, Parts b)
{
    Significand significand = product_jam(multiply(a.significand, b.significand));
    int carry = (significand & SIGNIFICAND_TOP) != 0;
    /* What the shift brings in at the bottom is far below the last place, and jammed there already. */
    return parts_normal(a.sign ^ b.sign, a.exponent + b.exponent + carry, significand << !carry);
}

static Parts multiply_parts(Parts a, Parts b, FpContext *fp)
{
    return both_normal(a, b) ? multiply_normal(a, b) : multiply_special(a, b, fp);
}

FP_INLINE Significand mul_bits(Significand a_bits, Significand b_bits, const FpFormat *format, FpContext *fp)
{
    if (UNLIKELY(!is_plain(a_bits, format) || !is_plain(b_bits, format))) {
        return binary_general(multiply_parts, a_bits, b_bits, format, fp);
    }
    return round_controlled(multiply_normal(unpack_plain(a_bits, format), unpack_plain(b_bits, format)), format, fp);
}

/* ---- Division ---- */

static Parts divide_special(Parts a, Parts b, FpContext *fp)
{
    bool sign = a.sign ^ b.sign;
    if (a.kind == b.kind) { /* both zero or both infinite */
        return invalid_operation(fp);
    }
    if (a.kind == KIND_INFINITY) {
        return parts_infinity(sign);
    }
    if (a.kind == KIND_ZERO || b.kind == KIND_INFINITY) {
        return parts_zero(sign);
    }
    fp->flags |= FP_DIVIDE_BY_ZERO;
    return parts_infinity(sign);
}

FP_INLINE Parts divide_normal(Parts a, Parts b)
{
    /* The dividend is made the smaller, by a shift that loses nothing, so that the quotient has the top bit. */
    bool larger = a.significand >= b.significand;
    Significand remainder;
    Significand quotient = divide(a.significand >> larger, 0, b.significand, &remainder);
    return parts_normal(a.sign ^ b.sign, a.exponent - b.exponent - !larger, quotient | (remainder != 0));
}

static Parts divide_parts(Parts a, Parts b, FpContext *fp)
{
    return both_normal(a, b) ? divide_normal(a, b) : divide_special(a, b, fp);
}

FP_INLINE Significand div_bits(Significand a_bits, Significand b_bits, const FpFormat *format, FpContext *fp)
{
    if (UNLIKELY(!is_plain(a_bits, format) || !is_plain(b_bits, format))) {
        return binary_general(divide_parts, a_bits, b_bits, format, fp);
    }
    return round_controlled(divide_normal(unpack_plain(a_bits, format), unpack_plain(b_bits, format)), format, fp);
}

/* ---- Square root ---- */

static Parts square_root_special(Parts a, FpContext *fp)
{
    if (is_nan(a)) {
        return nan_result(&a, 1, fp);
    }
    return a.sign && a.kind != KIND_ZERO ? invalid_operation(fp) : a;
}

FP_INLINE Significand sqrt_bits(Significand bits, const FpFormat *format, FpContext *fp)
{
    Parts a = unpack(bits, format, fp);

    if (UNLIKELY(a.kind != KIND_NORMAL || a.sign)) {
        return pack_special(square_root_special(a, fp), format, fp);
    }
    note_subnormal(a.subnormal, fp);
    bool odd = a.exponent & 1, inexact;
    Significand root = square_root(a.significand >> !odd, &inexact);
    return round_controlled(parts_normal(false, a.exponent >> 1, root | inexact), format, fp);
}

/* ---- Fused multiply-add ---- */

/* A term of the sum before it is rounded: significand / 2^(its width - 1) * 2^exponent. The top bit is clear, as room
 * for a carry, and the one below it may be. */
typedef struct WideParts {
    bool sign;
    int exponent;
    Product significand;
} WideParts;

static inline Parts jam_wide(WideParts a)
{
    int zeros = product_leading_zeros(a.significand);
    return parts_normal(a.sign, a.exponent - zeros, product_jam(product_shift_left(a.significand, zeros)));
}

/* `a` is not smaller in exponent. What alignment jams is out of the reach of a cancellation: one of more than two bits
 * needs exponents that differ by two at most, and then there are clear bits enough below. */
FP_INLINE Parts add_wide(WideParts a, WideParts b, const FpContext *fp)
{
    Product aligned = product_shift_right_jam(b.significand, a.exponent - b.exponent);

    if (a.sign == b.sign) {
        a.significand = product_add(a.significand, aligned);
    } else if (product_less(a.significand, aligned)) {
        a.significand = product_subtract(aligned, a.significand);
        a.sign = b.sign;
    } else {
        a.significand = product_subtract(a.significand, aligned);
    }
    return product_is_zero(a.significand) ? cancelled(fp) : jam_wide(a);
}

FP_INLINE Parts fma_normal(Parts a, Parts b, Parts c, const FpContext *fp)
{
    WideParts product = { a.sign ^ b.sign, a.exponent + b.exponent + 2, multiply(a.significand >> 1, b.significand) };
    WideParts addend = { c.sign, c.exponent + 1, product_make(c.significand >> 1) };

    if (c.kind == KIND_ZERO) {
        return jam_wide(product);
    }
    return product.exponent < addend.exponent ? add_wide(addend, product, fp) : add_wide(product, addend, fp);
}

static Parts fma_nan(Parts a, Parts b, Parts c, FpContext *fp)
{
    bool invalid_product = (a.kind == KIND_INFINITY && b.kind == KIND_ZERO) ||
                           (a.kind == KIND_ZERO && b.kind == KIND_INFINITY);
    if (invalid_product && !fp->fma_invalid_keeps_nan) {
        fp->flags |= FP_INVALID;
        if (fp->nan_rule == FP_NAN_ARM && c.kind == KIND_QUIET) {
            return default_nan(fp);
        }
    }
    return nan_result((Parts[]){ a, b, c }, 3, fp);
}

static Parts fma_special(Parts a, Parts b, Parts c, FpContext *fp)
{
    Parts product = multiply_special(a, b, fp);
    return is_nan(product) ? product : add_special(product, c, fp);
}

FP_SLOW Significand fma_general(Significand a_bits, Significand b_bits, Significand c_bits, const FpFormat *format,
                                FpContext *fp)
{
    Parts a = unpack(a_bits, format, fp), b = unpack(b_bits, format, fp), c = unpack(c_bits, format, fp), sum;

    if (is_nan(a) || is_nan(b) || is_nan(c)) {
        return pack_special(fma_nan(a, b, c, fp), format, fp);
    }
    if (!both_normal(a, b)) {
        sum = fma_special(a, b, c, fp);
    } else {
        sum = c.kind == KIND_INFINITY ? c : fma_normal(a, b, c, fp);
    }
    note_subnormal((a.subnormal | b.subnormal | c.subnormal) && !is_nan(sum), fp);
    return round_pack(sum, format, fp);
}

FP_INLINE Significand fma_bits(Significand a_bits, Significand b_bits, Significand c_bits, const FpFormat *format,
                               FpContext *fp)
{
    if (UNLIKELY(!is_plain(a_bits, format) || !is_plain(b_bits, format) || !is_plain(c_bits, format))) {
        return fma_general(a_bits, b_bits, c_bits, format, fp);
    }
    return round_pack(fma_normal(unpack_plain(a_bits, format), unpack_plain(b_bits, format),
                                 unpack_plain(c_bits, format), fp), format, fp);
}

/* ---- Remainder and scaling ---- */

/* Exact. The quotient is taken digit by digit, of which only the last bit matters. */
static Parts remainder_normal(Parts a, Parts b)
{
    int distance = a.exponent - b.exponent;
    Significand rest = a.significand, quotient = 0;

    if (distance < -1) {
        return a; /* less than half of b */
    }
    if (distance < 0) {
        rest >>= 1;
    } else if (rest >= b.significand) {
        rest -= b.significand;
        quotient = 1;
    }
    while (distance > 0) {
        int step = MIN(distance, SIGNIFICAND_BITS - 1);
        quotient = divide(rest >> (SIGNIFICAND_BITS - step), rest << step, b.significand, &rest);
        distance -= step;
    }
    Significand complement = b.significand - rest;
    if (rest > complement || (rest == complement && (quotient & 1))) {
        rest = complement;
        a.sign = !a.sign;
    }
    if (!rest) {
        return parts_zero(a.sign);
    }
    return parts_normal(a.sign, b.exponent - leading_zeros(rest), rest << leading_zeros(rest));
}

static Parts remainder_parts(Parts a, Parts b, FpContext *fp)
{
    if (is_nan(a) || is_nan(b)) {
        return nan_result((Parts[]){ a, b }, 2, fp);
    }
    if (a.kind == KIND_INFINITY || b.kind == KIND_ZERO) {
        return invalid_operation(fp);
    }
    note_subnormal(a.subnormal | b.subnormal, fp);
    return a.kind == KIND_ZERO || b.kind == KIND_INFINITY ? a : remainder_normal(a, b);
}

static inline Significand remainder_bits(Significand a_bits, Significand b_bits, const FpFormat *format, FpContext *fp)
{
    Parts a = unpack(a_bits, format, fp), b = unpack(b_bits, format, fp);
    return round_pack(remainder_parts(a, b, fp), format, fp);
}

static inline Significand scale_bits(Significand bits, int n, const FpFormat *format, FpContext *fp)
{
    /* Enough to overflow from the least subnormal number of any format, and the other way round. */
    const int limit = 1 << 16;
    Parts a = unpack(bits, format, fp);

    if (is_nan(a)) {
        return pack_special(nan_result(&a, 1, fp), format, fp);
    }
    note_subnormal(a.subnormal, fp);
    a.exponent += MAX(-limit, MIN(n, limit));
    return round_pack(a, format, fp);
}
