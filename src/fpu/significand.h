/*
 * The integers that arithmetic is done in: Significand, and Product of twice its width. The rest of this layer is
 * written once over them and compiled for both: 64 bits for f16, bf16, f32 and f64, 128 bits (FPU_WIDE) for f80 and
 * f128.
 */
#pragma once

#ifdef FPU_WIDE
#include "fpu/significand128.h"
#else
#include "fpu/significand64.h"
#endif

#define SIGNIFICAND_TOP ((Significand)1 << (SIGNIFICAND_BITS - 1))

/* Shifts right by any distance from 0; what falls out is jammed into the last bit: set if any was. */
FP_INLINE Significand shift_right_jam(Significand a, unsigned distance)
{
    if (UNLIKELY(distance >= SIGNIFICAND_BITS)) {
        return a != 0;
    }
    Significand shifted = a >> distance;
    return shifted | (shifted << distance != a);
}
