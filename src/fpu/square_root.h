/*
 * Integer square roots with their remainders. From 64 bits up it is Zimmermann's Karatsuba square root (INRIA report
 * RR-3805): the root of a number's upper half is the upper half of its root, one division gives the lower half, and
 * that comes out right or one too high.
 */
#pragma once

#include "fpu/format.h"

/* The root, rounded down, of a number from 2^62 up. */
static inline uint32_t square_root_64(uint64_t a, uint64_t *remainder)
{
    /* sqrt(m) is about 0.35 m + 0.68 for m from 1 to 4: 4 % off at most, and each of Heron's steps halves the square
     * of that. A step's result is never below the root, but for its division rounding down. */
    uint64_t root = (a >> 32) * 45 / 64 + UINT64_C(0x57000000);
    for (int i = 0; i < 3; i++) {
        root = (root + a / root) / 2;
    }
    if (root > UINT32_MAX || root * root > a) {
        root--;
    }
    *remainder = a - root * root;
    return root;
}

/* The root, rounded down, of a number from 2^126 up. */
static inline uint64_t square_root_128(Uint128 a, Uint128 *remainder)
{
    uint64_t rest;
    uint64_t upper = square_root_64(a >> 64, &rest);
    uint64_t quarter = a >> 32 & UINT32_MAX;
    uint64_t numerator = rest << 31 | quarter >> 1; /* half of it, that it fit: `rest` has 33 bits */
    Uint128 quotient = numerator / upper;
    Uint128 left = (Uint128)(numerator % upper << 1 | (quarter & 1)) << 32 | (uint32_t)a;
    Uint128 root = ((Uint128)upper << 32) + quotient;

    if (left < quotient * quotient) {
        left += 2 * root - 1;
        root--;
    }
    *remainder = left - quotient * quotient;
    return root;
}

/* The root, rounded down, of a * 2^128, for a from 2^126 up. */
static inline Uint128 square_root_256(Uint128 a, bool *inexact)
{
    Uint128 rest;
    uint64_t upper = square_root_128(a, &rest);
    Uint128 numerator = rest << 63; /* half of it: `rest` has 65 bits */
    Uint128 quotient = numerator / upper;
    Uint128 left = numerator % upper << 1; /* times 2^64 */
    Uint128 root = ((Uint128)upper << 64) + quotient;

    *inexact = true;
    if (quotient >> 64 || left >> 64) {
        return root - (Uint128)(quotient >> 64);
    }
    *inexact = left << 64 != quotient * quotient;
    return root - (left << 64 < quotient * quotient);
}
