/* f16, bf16, f32 and f64, and the conversions between them, over significands of 64 bits. */
#include "fpu/functions.h"

FP_DEFINE(f16, uint16_t, FP_PLAIN, FP_PLAIN)
FP_DEFINE(bf16, uint16_t, FP_PLAIN, FP_PLAIN)
FP_DEFINE(f32, uint32_t, FP_PLAIN, FP_PLAIN)
FP_DEFINE(f64, uint64_t, FP_PLAIN, FP_PLAIN)

#define CONVERT(to, T, from, F) FP_DEFINE_CONVERSION(to, T, FP_PLAIN, from, F, FP_PLAIN)
CONVERT(f16, uint16_t, bf16, uint16_t)
CONVERT(f16, uint16_t, f32, uint32_t)
CONVERT(f16, uint16_t, f64, uint64_t)
CONVERT(bf16, uint16_t, f16, uint16_t)
CONVERT(bf16, uint16_t, f32, uint32_t)
CONVERT(bf16, uint16_t, f64, uint64_t)
CONVERT(f32, uint32_t, f16, uint16_t)
CONVERT(f32, uint32_t, bf16, uint16_t)
CONVERT(f32, uint32_t, f64, uint64_t)
CONVERT(f64, uint64_t, f16, uint16_t)
CONVERT(f64, uint64_t, bf16, uint16_t)
CONVERT(f64, uint64_t, f32, uint32_t)
