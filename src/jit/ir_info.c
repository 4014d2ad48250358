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

static const char type_names[IR_TYPE_COUNT][5] = {
    [IR_VOID] = "void", [IR_I32] = "i32",   [IR_I64] = "i64",   [IR_I128] = "i128", [IR_F16] = "f16",
    [IR_BF16] = "bf16", [IR_F32] = "f32",   [IR_F64] = "f64",   [IR_F80] = "f80",   [IR_F128] = "f128",
    [IR_V128] = "v128", [IR_V256] = "v256", [IR_V512] = "v512", [IR_PRED] = "pred",
};

const char *ir_type_name(IrType type)
{
    return type < IR_TYPE_COUNT ? type_names[type] : "?";
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
