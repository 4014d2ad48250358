/*
 * The builder. It appends, folds pure operations on constants, and lets equal constants share one instruction. The
 * cache of constants is emptied at each label: a constant made behind a branch is not defined where the label skips it.
 */
#include "base/vec.h"
#include "jit/ir_eval.h"
#include "jit/ir_internal.h"

#include <string.h>

static IrRef append(IrBuilder *b, IrInst inst)
{
    IrBlock *block = b->block;

    if (block->count == block->capacity) {
        size_t capacity = block->capacity;
        block->insts = vec_grow(block->insts, &capacity, (size_t)block->count + 1, sizeof *block->insts);
        block->capacity = (uint32_t)capacity;
    }
    block->insts[block->count] = inst;
    return block->count++;
}

void ir_builder_init(IrBuilder *b, IrBlock *block, const IrGuest *guest, uint64_t pc, unsigned address_bits)
{
    *b = (IrBuilder){ .block = block, .guest = guest };
    block->count = 0;
    block->label_count = 0;
    block->insn_count = 0;
    block->address_bits = (uint8_t)address_bits;
    block->pc = pc;
    block->bytes = 0;
    append(b, (IrInst){ .op = IR_OP_NONE });
}

IrRef ir_const(IrBuilder *b, IrType type, uint64_t value)
{
    value &= mask_bits(ir_type_bits(type));
    size_t slot = (value * 0x9e3779b97f4a7c15 >> 32 ^ type) % ARRAY_SIZE(b->constants);
    IrRef ref = b->constants[slot];

    if (ref && b->block->insts[ref].type == type && (uint64_t)b->block->insts[ref].imm == value) {
        return ref;
    }
    ref = append(b, (IrInst){ .op = IR_OP_const, .type = (uint8_t)type, .imm = (int64_t)value });
    b->constants[slot] = ref;
    return ref;
}

/* The constant that the operation comes to, or 0. */
static IrRef fold(IrBuilder *b, IrOp op, IrType type, unsigned aux, const IrRef operands[3])
{
    const IrOpInfo *info = &ir_op_info[op];
    IrType types[3] = { 0 };
    uint64_t values[3] = { 0 }, result;

    if (info->effects[0] != 'P' || op == IR_OP_const) {
        return 0;
    }
    for (unsigned i = 0; info->operands[i]; i++) {
        types[i] = ir_type_of(b->block, operands[i]);
        if (!ir_is_const(b->block, operands[i], &values[i])) {
            return 0;
        }
    }
    return ir_evaluate(op, type, aux, types, values, &result) ? ir_const(b, type, result) : 0;
}

IrRef ir_emit(IrBuilder *b, IrOp op, IrType type, unsigned aux, IrRef x, IrRef y, IrRef z)
{
    const IrRef operands[3] = { x, y, z };
    IrRef folded = fold(b, op, type, aux, operands);

    if (folded) {
        return folded;
    }
    return append(b,
                  (IrInst){ .op = (uint8_t)op, .type = (uint8_t)type, .aux = (uint16_t)aux, .a = x, .b = y, .c = z });
}

IrRef ir_get(IrBuilder *b, IrType type, unsigned reg)
{
    return ir_emit(b, IR_OP_get, type, reg, 0, 0, 0);
}

void ir_set(IrBuilder *b, unsigned reg, IrRef value)
{
    ir_emit(b, IR_OP_set, ir_type_of(b->block, value), reg, value, 0, 0);
}

IrRef ir_unary(IrBuilder *b, IrOp op, IrType type, IrRef a)
{
    return ir_emit(b, op, type, 0, a, 0, 0);
}

IrRef ir_binary(IrBuilder *b, IrOp op, IrType type, IrRef x, IrRef y)
{
    return ir_emit(b, op, type, 0, x, y, 0);
}

IrRef ir_binary_const(IrBuilder *b, IrOp op, IrType type, IrRef x, uint64_t y)
{
    return ir_binary(b, op, type, x, ir_const(b, type, y));
}

IrRef ir_extend(IrBuilder *b, IrOp sext_or_zext, IrType type, unsigned bits, IrRef a)
{
    if (bits == ir_type_bits(type) && ir_type_of(b->block, a) == type) {
        return a;
    }
    return ir_emit(b, sext_or_zext, type, bits, a, 0, 0);
}

IrRef ir_trunc(IrBuilder *b, IrType type, IrRef a)
{
    return ir_type_of(b->block, a) == type ? a : ir_emit(b, IR_OP_trunc, type, 0, a, 0, 0);
}

IrRef ir_compare(IrBuilder *b, IrCondition condition, IrType result, IrRef x, IrRef y)
{
    return ir_emit(b, IR_OP_cmp, result, condition | (unsigned)ir_type_of(b->block, x) << 8, x, y, 0);
}

IrRef ir_select(IrBuilder *b, IrType type, IrRef condition, IrRef if_true, IrRef if_false)
{
    return ir_emit(b, IR_OP_select, type, 0, condition, if_true, if_false);
}

IrRef ir_load(IrBuilder *b, IrType type, MemOp op, IrRef address, int32_t displacement)
{
    return append(b, (IrInst){ .op = IR_OP_load, .type = (uint8_t)type, .aux = op, .a = address,
                               .displacement = displacement });
}

void ir_store(IrBuilder *b, MemOp op, IrRef address, int32_t displacement, IrRef value)
{
    append(b, (IrInst){ .op = IR_OP_store, .type = IR_VOID, .aux = op, .a = address, .b_ = value,
                        .displacement = displacement });
}

void ir_zero(IrBuilder *b, MemOp op, IrRef address)
{
    ir_emit(b, IR_OP_zero, IR_VOID, op, address, 0, 0);
}

IrRef ir_atomic(IrBuilder *b, IrOp op, IrType type, MemOp mem, IrRef address, IrRef value, IrRef expected)
{
    return ir_emit(b, op, type, mem, address, value, expected);
}

void ir_fence(IrBuilder *b, unsigned bits)
{
    ir_emit(b, IR_OP_fence, IR_VOID, bits, 0, 0, 0);
}

IrRef ir_call(IrBuilder *b, unsigned helper, IrType result, const IrRef *arguments, unsigned count)
{
    IrRef all[6] = { 0 };

    assert(count <= ARRAY_SIZE(all));
    if (count) {
        memcpy(all, arguments, count * sizeof *all);
    }
    if (count > 3) {
        ir_emit(b, IR_OP_args, IR_VOID, 0, all[3], all[4], all[5]);
    }
    return ir_emit(b, IR_OP_call, result, helper, all[0], all[1], all[2]);
}

void ir_insn(IrBuilder *b, uint64_t pc, unsigned length)
{
    append(b, (IrInst){ .op = IR_OP_insn, .aux = (uint16_t)length, .imm = (int64_t)pc });
    b->block->insn_count++;
    b->block->bytes = (uint32_t)(pc + length - b->block->pc);
}

unsigned ir_label_new(IrBuilder *b)
{
    return b->block->label_count++;
}

void ir_label(IrBuilder *b, unsigned label)
{
    memset(b->constants, 0, sizeof b->constants);
    ir_emit(b, IR_OP_label, IR_VOID, label, 0, 0, 0);
}

void ir_jump(IrBuilder *b, unsigned label)
{
    ir_emit(b, IR_OP_jump, IR_VOID, label, 0, 0, 0);
}

void ir_branch(IrBuilder *b, IrRef condition, unsigned label)
{
    ir_emit(b, IR_OP_branch, IR_VOID, label, condition, 0, 0);
}

void ir_push_return(IrBuilder *b, uint64_t pc)
{
    append(b, (IrInst){ .op = IR_OP_push_return, .imm = (int64_t)pc });
}

void ir_goto(IrBuilder *b, uint64_t pc)
{
    append(b, (IrInst){ .op = IR_OP_goto, .imm = (int64_t)pc });
}

void ir_goto_value(IrBuilder *b, IrRef pc, IrJumpHint hint)
{
    ir_emit(b, IR_OP_goto_value, IR_VOID, hint, pc, 0, 0);
}

void ir_exit(IrBuilder *b, IrExit reason)
{
    ir_emit(b, IR_OP_exit, IR_VOID, reason, 0, 0, 0);
}
