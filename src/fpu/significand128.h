/* Significands of 128 bits, with 15 bits or more to spare below the formats that use them. */
#pragma once

#include "fpu/format.h"
#include "fpu/square_root.h"

#define SIGNIFICAND_BITS 128
typedef Uint128 Significand;
typedef struct Product {
    Uint128 high, low;
} Product;

FP_INLINE int leading_zeros(Significand a)
{
    return (uint64_t)(a >> 64) ? __builtin_clzll(a >> 64) : 64 + __builtin_clzll((uint64_t)a);
}

/* To and from the upper bits of 128. */
FP_INLINE Uint128 significand_widen(Significand a) { return a; }
FP_INLINE Significand significand_narrow(Uint128 a) { return a; }

FP_INLINE Product product_make(Significand high) { return (Product){ high, 0 }; }
FP_INLINE Significand product_jam(Product a) { return a.high | (a.low != 0); }
FP_INLINE bool product_less(Product a, Product b) { return a.high != b.high ? a.high < b.high : a.low < b.low; }
FP_INLINE bool product_is_zero(Product a) { return !(a.high | a.low); }
FP_INLINE int product_leading_zeros(Product a) { return a.high ? leading_zeros(a.high) : 128 + leading_zeros(a.low); }

FP_INLINE Product product_add(Product a, Product b)
{
    Uint128 low = a.low + b.low;
    return (Product){ a.high + b.high + (low < a.low), low };
}

FP_INLINE Product product_subtract(Product a, Product b)
{
    return (Product){ a.high - b.high - (a.low < b.low), a.low - b.low };
}

FP_INLINE Product product_shift_left(Product a, unsigned distance)
{
    if (distance >= 128) {
        return (Product){ a.low << (distance - 128), 0 };
    }
    return (Product){ distance ? a.high << distance | a.low >> (128 - distance) : a.high, a.low << distance };
}

FP_INLINE Product product_shift_right_jam(Product a, unsigned distance)
{
    if (distance == 0) {
        return a;
    }
    if (distance < 128) {
        Uint128 low = a.high << (128 - distance) | a.low >> distance;
        return (Product){ a.high >> distance, low | (a.low << (128 - distance) != 0) };
    }
    if (distance < 256) {
        Uint128 low = a.high >> (distance - 128);
        return (Product){ 0, low | (low << (distance - 128) != a.high || a.low) };
    }
    return (Product){ 0, !product_is_zero(a) };
}

FP_INLINE Product multiply(Significand a, Significand b)
{
    uint64_t a1 = a >> 64, a0 = a, b1 = b >> 64, b0 = b;
    Uint128 low = (Uint128)a0 * b0, middle1 = (Uint128)a1 * b0, middle2 = (Uint128)a0 * b1;
    Uint128 carry = (low >> 64) + (uint64_t)middle1 + (uint64_t)middle2;
    return (Product){ (Uint128)a1 * b1 + (middle1 >> 64) + (middle2 >> 64) + (carry >> 64),
                      carry << 64 | (uint64_t)low };
}

/*
 * (high * 2^64 + low) / divisor, for high < divisor and a divisor with its top bit set: Knuth's algorithm D (The Art of
 * Computer Programming, 4.3.1), one step with digits of 64 bits.
 */
static inline uint64_t divide_step(Uint128 high, uint64_t low, Uint128 divisor, Uint128 *remainder)
{
    uint64_t divisor1 = divisor >> 64, divisor0 = divisor;
    uint64_t quotient = (uint64_t)(high >> 64) >= divisor1 ? UINT64_MAX : (uint64_t)(high / divisor1);
    Uint128 rest = high - (Uint128)quotient * divisor1;
    Uint128 product = (Uint128)quotient * divisor0;

    /* The estimate from the upper digits is at most two too high. */
    while (!(rest >> 64) && product > (rest << 64 | low)) {
        quotient--;
        rest += divisor1;
        product -= divisor0;
    }
    *remainder = (rest << 64 | low) - product;
    return quotient;
}

/* (high * 2^128 + low) / divisor, under the same conditions. */
static inline Significand divide(Significand high, Significand low, Significand divisor, Significand *remainder)
{
    Uint128 rest;
    uint64_t upper = divide_step(high, low >> 64, divisor, &rest);
    return (Uint128)upper << 64 | divide_step(rest, low, divisor, remainder);
}

/* The root of a * 2^128, for a from 2^126 up. */
FP_INLINE Significand square_root(Significand a, bool *inexact) { return square_root_256(a, inexact); }
