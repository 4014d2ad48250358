/* What the files of jit/ share beside the public headers. */
#pragma once

#include "jit/ir.h"

/* Width of a value; 0 for void. */
static const uint16_t ir_bits_of_type[IR_TYPE_COUNT] = {
    [IR_I32] = 32, [IR_I64] = 64, [IR_I128] = 128, [IR_F16] = 16, [IR_BF16] = 16, [IR_F32] = 32, [IR_F64] = 64,
    [IR_F80] = 80, [IR_F128] = 128, [IR_V128] = 128, [IR_V256] = 256, [IR_V512] = 512, [IR_PRED] = 64,
};
static inline unsigned ir_type_bits(IrType type) { return type < IR_TYPE_COUNT ? ir_bits_of_type[type] : 0; }

static inline bool ir_type_is_int(IrType type) { return type == IR_I32 || type == IR_I64; }
static inline bool ir_type_is_float(IrType type) { return type >= IR_F16 && type <= IR_F128; }
