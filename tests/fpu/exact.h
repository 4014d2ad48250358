/*
 * Exact arithmetic for the tests, slow and plain: numbers are big integers times a power of two, and rounding is done
 * from its definition in IEEE 754-2019, 4.3 and 7.4 to 7.6. It shares nothing with what it checks but the FpFormat.
 */
#pragma once

#include "fpu/fpu.h"
#include "fpu/format.h"

#define BIG_LIMBS 12
typedef struct Big {
    uint64_t limbs[BIG_LIMBS]; /* least significant first */
} Big;

/* magnitude * 2^exponent; if `more`, a little above that in magnitude: less than a unit. */
typedef struct Exact {
    bool negative;
    bool more;
    int exponent;
    Big magnitude;
} Exact;

typedef struct Rounded {
    Uint128 bits;
    uint8_t flags; /* FpFlag */
} Rounded;

/* `bits` is finite and, if f80, supported. */
Exact exact_decode(Uint128 bits, const FpFormat *format);
Exact exact_integer(bool negative, Uint128 magnitude);
bool exact_is_zero(const Exact *a);

Exact exact_add(Exact a, Exact b);
Exact exact_multiply(Exact a, Exact b);
Exact exact_divide(Exact a, Exact b);      /* neither is zero */
Exact exact_square_root(Exact a);          /* positive */
int exact_compare(Exact a, Exact b);       /* below, at or above 0 */

/* A nonzero number to a format. */
Rounded exact_round(Exact a, const FpFormat *format, FpRounding rounding, bool tiny_before_rounding);
/* To a whole number; says whether it was inexact. The result's exponent is 0. */
Exact exact_round_to_integral(Exact a, FpRounding rounding, bool *inexact);
/* The magnitude of a whole number, or all ones and `*fits` false if it has more than 128 bits. */
Uint128 exact_to_magnitude(Exact a, bool *fits);
