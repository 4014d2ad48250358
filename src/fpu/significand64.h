/* Significands of 64 bits, with 11 bits or more to spare below the formats that use them. */
#pragma once

#include "fpu/format.h"
#include "fpu/square_root.h"

#define SIGNIFICAND_BITS 64
typedef uint64_t Significand;
typedef Uint128 Product;

FP_INLINE int leading_zeros(Significand a) { return __builtin_clzll(a); }

/* To and from the upper bits of 128; what is lost is jammed. */
FP_INLINE Uint128 significand_widen(Significand a) { return (Uint128)a << 64; }
FP_INLINE Significand significand_narrow(Uint128 a) { return (Significand)(a >> 64) | ((Significand)a != 0); }

FP_INLINE Product product_make(Significand high) { return (Product)high << 64; }
FP_INLINE Significand product_jam(Product a) { return significand_narrow(a); }
FP_INLINE bool product_less(Product a, Product b) { return a < b; }
FP_INLINE bool product_is_zero(Product a) { return !a; }
FP_INLINE Product product_add(Product a, Product b) { return a + b; }
FP_INLINE Product product_subtract(Product a, Product b) { return a - b; }
FP_INLINE Product product_shift_left(Product a, unsigned distance) { return a << distance; }

FP_INLINE int product_leading_zeros(Product a)
{
    return (Significand)(a >> 64) ? leading_zeros(a >> 64) : 64 + leading_zeros((Significand)a);
}

FP_INLINE Product product_shift_right_jam(Product a, unsigned distance)
{
    if (UNLIKELY(distance >= 128)) {
        return a != 0;
    }
    Product shifted = a >> distance;
    return shifted | (shifted << distance != a);
}

FP_INLINE Product multiply(Significand a, Significand b) { return (Product)a * b; }

/* (high * 2^64 + low) / divisor, for high < divisor. */
FP_INLINE Significand divide(Significand high, Significand low, Significand divisor, Significand *remainder)
{
    Significand quotient = ((Uint128)high << 64 | low) / divisor;
    *remainder = low - quotient * divisor;
    return quotient;
}

/* The root of a * 2^64, for a from 2^62 up. */
FP_INLINE Significand square_root(Significand a, bool *inexact)
{
    Uint128 remainder;
    Significand root = square_root_128((Uint128)a << 64, &remainder);
    *inexact = remainder != 0;
    return root;
}
