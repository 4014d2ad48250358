/* Calls of ir_fp_exact out of a block, and the cold code that makes them. After the System V ABI for x86-64. */
#include "jit/x64/fp.h"

#include "jit/fp_exact.h"
#include "jit/ir_internal.h"

/* What a function of C may change. None of ir_fp_exact's changes a vector register. */
static const uint8_t caller_saved[] = { RAX, RCX, RDX, RSI, RDI, R8, R9, R10, R11 };

static bool is_integer(unsigned type)
{
    return type == IR_I32 || type == IR_I64;
}

static void load_operand(X64Code *code, unsigned to, X64Operand from)
{
    if (from.memory) {
        x64_rm(code, X64_MOV_RM, 8, to, from);
    } else {
        x64_rr(code, X64_VMOVD_MR, 8, from.base, to);
    }
}

static void negate(X64Code *code, IrType type, unsigned reg)
{
    x64_load_constant(code, RAX, BIT(ir_type_bits(type) - 1));
    x64_alu(code, X64_XOR, 8, reg, x64_register(RAX));
}

static void arguments(X64Code *code, const X64FpFrame *frame, const X64FpOperation *o)
{
    if (is_integer(o->from)) {
        x64_rr(code, X64_MOV_RM, 8, RDX, o->a);
    } else {
        load_operand(code, RDX, x64_register(o->a));
        load_operand(code, RCX, o->b);
        load_operand(code, R8, x64_register(o->c));
    }
    if (o->negate_product) {
        negate(code, (IrType)o->type, RDX);
    }
    if (o->negate_addend) {
        negate(code, (IrType)o->type, R8);
    }
    x64_rm(code, X64_LEA, 8, RDI, x64_memory(frame->state, frame->context_offset));
    x64_load_constant(code, RSI, IR_FP_EXACT(o->op, o->type, o->from, o->rounding, o->rule));
}

void x64_fp_emit_call(X64Code *code, const X64FpFrame *frame, const X64FpOperation *operation)
{
    /* Nine registers have been pushed: that many words, and one more where it takes it to align. */
    bool padded = (ARRAY_SIZE(caller_saved) & 1) ^ frame->misaligned;

    for (unsigned i = 0; i < ARRAY_SIZE(caller_saved); i++) {
        x64_r(code, X64_PUSH, 4, caller_saved[i], 0);
    }
    arguments(code, frame, operation);
    if (padded) {
        x64_rm(code, X64_LEA, 8, RSP, x64_memory(RSP, -8));
    }
    x64_load_constant(code, RAX, (uintptr_t)ir_fp_exact);
    x64_r(code, X64_CALL, 4, RAX, 0);
    if (padded) {
        x64_rm(code, X64_LEA, 8, RSP, x64_memory(RSP, 8));
    }
    bool gives_integer = is_integer(operation->type);
    if (gives_integer) {
        x64_rr(code, X64_MOV_RM, 8, operation->result, RAX);
    } else {
        x64_rr(code, X64_VMOVD_RM, 8, operation->result, RAX);
    }
    for (unsigned i = ARRAY_SIZE(caller_saved); i-- > 0;) {
        if (gives_integer && caller_saved[i] == operation->result) {
            x64_rm(code, X64_LEA, 8, RSP, x64_memory(RSP, 8));
        } else {
            x64_r(code, X64_POP, 4, caller_saved[i], 0);
        }
    }
}

static void default_nan(X64Code *code, const FpContext *rules, IrType type, unsigned reg)
{
    x64_r(code, X64_PUSH, 4, RAX, 0);
    x64_load_constant(code, RAX, x64_fp_default_nan(rules, type));
    x64_rr(code, X64_VMOVD_RM, 8, reg, RAX);
    x64_r(code, X64_POP, 4, RAX, 0);
}

void x64_fp_emit_settled(X64Code *code, const FpContext *rules, IrType type, unsigned reg)
{
    x64_rr(code, type == IR_F64 ? X64_VUCOMISD : X64_VUCOMISS, 4, reg, reg);
    uint8_t *number = x64_branch_short(code, X64_NP);
    default_nan(code, rules, type, reg);
    x64_land_short(code, number);
}

void x64_fp_emit_cold(X64Code *code, const X64FpFrame *frame, const FpContext *rules, const X64FpOperation *operation,
                      const X64FpCold *cold)
{
    if (cold->kind == X64_FP_NOT_COLD) {
        return;
    }
    x64_land(code, cold->jump);
    if (cold->kind == X64_FP_COLD_EXACT) {
        x64_fp_emit_call(code, frame, operation);
    } else {
        default_nan(code, rules, (IrType)operation->type, operation->result);
    }
    x64_jump(code, cold->resume + code->run);
}
