/* What the files of jit/ share beside the public headers. */
#pragma once

#include "jit/ir.h"

/* Width of a value; 0 for void. */
unsigned ir_type_bits(IrType type);

static inline bool ir_type_is_int(IrType type) { return type == IR_I32 || type == IR_I64; }
static inline bool ir_type_is_float(IrType type) { return type >= IR_F16 && type <= IR_F128; }
