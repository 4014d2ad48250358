/* Facts about operations and types, and the blocks themselves. */
#include "jit/ir.h"
#include "jit/ir_internal.h"

#include <stdlib.h>

const IrOpInfo ir_op_info[IR_OP_COUNT] = {
    [IR_OP_NONE] = { "none", '-', "", "" },
#define IR(name, result, operands, effects) [IR_OP_##name] = { #name, #result[0], operands, effects },
#include "jit/ir.def"
#undef IR
};

const uint8_t ir_operand_count[IR_OP_COUNT] = {
#define IR(name, result, operands, effects) [IR_OP_##name] = sizeof(operands) - 1,
#include "jit/ir.def"
#undef IR
};

static const struct {
    const char *name;
    uint16_t bits;
} types[IR_TYPE_COUNT] = {
    [IR_VOID] = { "void", 0 },   [IR_I32] = { "i32", 32 },    [IR_I64] = { "i64", 64 },
    [IR_I128] = { "i128", 128 }, [IR_F16] = { "f16", 16 },    [IR_BF16] = { "bf16", 16 },
    [IR_F32] = { "f32", 32 },    [IR_F64] = { "f64", 64 },    [IR_F80] = { "f80", 80 },
    [IR_F128] = { "f128", 128 }, [IR_V128] = { "v128", 128 }, [IR_V256] = { "v256", 256 },
    [IR_V512] = { "v512", 512 }, [IR_PRED] = { "pred", 64 },
};

const char *ir_type_name(IrType type)
{
    return type < IR_TYPE_COUNT ? types[type].name : "?";
}

unsigned ir_type_bits(IrType type)
{
    return type < IR_TYPE_COUNT ? types[type].bits : 0;
}

IrType ir_type_of(const IrBlock *block, IrRef ref)
{
    return ref < block->count ? (IrType)block->insts[ref].type : IR_VOID;
}

bool ir_is_const(const IrBlock *block, IrRef ref, uint64_t *value)
{
    if (ref >= block->count || block->insts[ref].op != IR_OP_const) {
        return false;
    }
    *value = (uint64_t)block->insts[ref].imm;
    return true;
}

void ir_block_init(IrBlock *block)
{
    *block = (IrBlock){ 0 };
}

void ir_block_free(IrBlock *block)
{
    free(block->insts);
    ir_block_init(block);
}
