/* The six formats as data, and what is private to this layer but needs no significand type. */
#pragma once

#include "base/compiler.h"

#define FP_INLINE static inline __attribute__((always_inline))
#define FP_SLOW static __attribute__((noinline))
#define FP_COLD static __attribute__((noinline, cold))

typedef unsigned __int128 Uint128;

/*
 * An encoding is, from the top: the sign, `exponent_bits` of biased exponent, the integer bit if it is explicit, and
 * `fraction_bits` of fraction.
 */
typedef struct FpFormat {
    uint8_t exponent_bits;
    uint8_t fraction_bits;
    bool explicit_integer;
} FpFormat;

static const FpFormat f16_format UNUSED = { .exponent_bits = 5, .fraction_bits = 10 };
static const FpFormat bf16_format UNUSED = { .exponent_bits = 8, .fraction_bits = 7 };
static const FpFormat f32_format UNUSED = { .exponent_bits = 8, .fraction_bits = 23 };
static const FpFormat f64_format UNUSED = { .exponent_bits = 11, .fraction_bits = 52 };
static const FpFormat f80_format UNUSED = { .exponent_bits = 15, .fraction_bits = 63, .explicit_integer = true };
static const FpFormat f128_format UNUSED = { .exponent_bits = 15, .fraction_bits = 112 };

/* The biased exponent of infinities and NaNs. */
FP_INLINE int format_exponent_limit(const FpFormat *format) { return (1 << format->exponent_bits) - 1; }
FP_INLINE int format_bias(const FpFormat *format) { return (1 << (format->exponent_bits - 1)) - 1; }
/* Bits below the exponent. */
FP_INLINE int format_field_bits(const FpFormat *format) { return format->fraction_bits + format->explicit_integer; }
