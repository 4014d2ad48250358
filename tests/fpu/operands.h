/*
 * Operands for the tests: seeded random encodings that crowd where arithmetic gets interesting (the ends of the
 * exponent range, significands of few runs of equal bits, operands near each other), and the special values of a
 * format.
 */
#pragma once

#include "fpu/fpu.h"
#include "fpu/format.h"

typedef struct Random {
    uint64_t state;
} Random;

uint64_t random_next(Random *random);
/* From 0 to limit - 1. */
unsigned random_below(Random *random, unsigned limit);

/* What is too wide for its field is cut off. */
Uint128 encode_operand(const FpFormat *format, bool sign, unsigned exponent, Uint128 fraction);
/* An encoding in the low bits. f80 may come out as one of the unsupported encodings. */
Uint128 random_operand(Random *random, const FpFormat *format);
/* Fills `operands`; often the later ones are relatives of the first: the same exponent, or near it. */
void random_operands(Random *random, const FpFormat *format, Uint128 operands[3]);

/* Zeroes, the bounds of the subnormal and normal numbers, powers of two, all ones, infinities, NaNs of both kinds, of
 * both signs; for f80 the unsupported encodings too. Returns how many; `values` has room for SPECIALS_MAX. */
#define SPECIALS_MAX 128
unsigned special_operands(const FpFormat *format, Uint128 values[SPECIALS_MAX]);

/* How often a random test repeats: `count` times MYNA_TEST_SCALE (1 where it is not set), but at least once. */
unsigned test_repetitions(unsigned count);

static inline unsigned format_width(const FpFormat *format)
{
    return 1 + format->exponent_bits + format_field_bits(format);
}
