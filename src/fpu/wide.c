/* f80 and f128, and the conversions from and to them, over significands of 128 bits. */
#define FPU_WIDE
#include "fpu/functions.h"

FP_INLINE Significand f80_bits(Float80 a) { return (Significand)a.sign_exponent << 64 | a.significand; }
FP_INLINE Float80 f80_from_bits(Significand bits)
{
    return (Float80){ .significand = (uint64_t)bits, .sign_exponent = (uint16_t)(bits >> 64) };
}

FP_DEFINE(f80, Float80, f80_bits, f80_from_bits)
FP_DEFINE(f128, Float128, FP_PLAIN, FP_PLAIN)

#define CONVERT_F80(other, T) \
    FP_DEFINE_CONVERSION(other, T, FP_PLAIN, f80, Float80, f80_bits) \
    FP_DEFINE_CONVERSION(f80, Float80, f80_from_bits, other, T, FP_PLAIN)
CONVERT_F80(f16, uint16_t)
CONVERT_F80(bf16, uint16_t)
CONVERT_F80(f32, uint32_t)
CONVERT_F80(f64, uint64_t)
CONVERT_F80(f128, Float128)

#define CONVERT_F128(other, T) \
    FP_DEFINE_CONVERSION(other, T, FP_PLAIN, f128, Float128, FP_PLAIN) \
    FP_DEFINE_CONVERSION(f128, Float128, FP_PLAIN, other, T, FP_PLAIN)
CONVERT_F128(f16, uint16_t)
CONVERT_F128(bf16, uint16_t)
CONVERT_F128(f32, uint32_t)
CONVERT_F128(f64, uint64_t)
