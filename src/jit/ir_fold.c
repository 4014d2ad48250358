/* Constant folding: pure operations on values of up to 64 bits. Wider ones are left to run. */
#include "jit/ir_eval.h"
#include "jit/ir_internal.h"

typedef uint64_t Evaluate(uint64_t a, uint64_t b, unsigned aux);

#define DEFINE(name, expression) \
    static uint64_t fold_##name##_32(uint64_t a, uint64_t b, unsigned aux) \
    { \
        return eval_##name##_32((uint32_t)a, (uint32_t)b, aux); \
    } \
    static uint64_t fold_##name##_64(uint64_t a, uint64_t b, unsigned aux) { return eval_##name##_64(a, b, aux); }
EVAL_BINARY(DEFINE)
EVAL_UNARY(DEFINE)
EVAL_CONDITIONS(DEFINE)
#undef DEFINE

/* By operation, then I32 or I64. */
#define ROW(name, expression) [IR_OP_##name] = { fold_##name##_32, fold_##name##_64 },
static Evaluate *const integer_folds[IR_OP_COUNT][2] = { EVAL_BINARY(ROW) EVAL_UNARY(ROW) };
#undef ROW
#define ROW(name, expression) [IR_##name] = { fold_##name##_32, fold_##name##_64 },
static Evaluate *const condition_folds[][2] = { EVAL_CONDITIONS(ROW) };
#undef ROW

static uint64_t fold_box(IrType to, IrType from, uint64_t a)
{
    return (a | ~mask_bits(ir_type_bits(from))) & mask_bits(ir_type_bits(to));
}

static uint64_t fold_unbox(IrType to, IrType from, uint64_t a)
{
    return fold_box(from, to, a) == a ? a & mask_bits(ir_type_bits(to)) : eval_default_nan(to);
}

bool ir_evaluate(IrOp op, IrType type, unsigned aux, const IrType operand_types[3], const uint64_t values[3],
                 uint64_t *result)
{
    uint64_t width = mask_bits(ir_type_bits(type)), sign = eval_sign_bit(type), a = values[0], b = values[1];

    if (ir_type_bits(type) > 64 || ir_type_bits(operand_types[0]) > 64) {
        return false;
    }
    if (ir_type_is_int(type) && integer_folds[op][type == IR_I64]) {
        *result = integer_folds[op][type == IR_I64](a, b, aux);
        return true;
    }
    switch (op) {
    case IR_OP_trunc:
    case IR_OP_bitcast:
        *result = a & width;
        return true;
    case IR_OP_sext:
        *result = (uint64_t)sign_extend(a, aux) & width;
        return true;
    case IR_OP_zext:
        *result = a & mask_bits(aux) & width;
        return true;
    case IR_OP_select:
        *result = a ? values[1] : values[2];
        return true;
    case IR_OP_cmp:
        *result = condition_folds[aux & 0xff][aux >> 8 == IR_I64](a, b, 0);
        return true;
    case IR_OP_fneg:
        *result = a ^ sign;
        return true;
    case IR_OP_fabs:
        *result = a & ~sign;
        return true;
    case IR_OP_fcopysign:
        *result = (a & ~sign) | (b & sign);
        return true;
    case IR_OP_fbox:
        *result = fold_box(type, ir_fp_from(aux), a);
        return true;
    case IR_OP_funbox:
        *result = fold_unbox(type, ir_fp_from(aux), a);
        return true;
    default:
        return false;
    }
}
