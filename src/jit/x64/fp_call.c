/* Calls of ir_fp_exact out of a block, and the cold code that makes them. After the System V ABI for x86-64. */
#include "jit/x64/fp.h"

#include "jit/fp_exact.h"

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11 };

/* What a function of C may change. None of ir_fp_exact's changes a vector register. */
static const uint8_t caller_saved[] = { RAX, RCX, RDX, RSI, RDI, R8, R9, R10, R11 };

static const VectorEncoding to_general_64 = { 1, 1, 0x7e, true };
static const VectorEncoding from_general_64 = { 1, 1, 0x6e, true };

static bool is_integer(unsigned type)
{
    return type == IR_I32 || type == IR_I64;
}

static void push(VectorCode *code, unsigned reg)
{
    vector_byte(code, 0x40 | (reg >= 8));
    vector_byte(code, 0x50 | (reg & 7));
}

static void pop(VectorCode *code, unsigned reg)
{
    vector_byte(code, 0x40 | (reg >= 8));
    vector_byte(code, 0x58 | (reg & 7));
}

/* lea reg, [base + offset] */
static void address(VectorCode *code, unsigned reg, unsigned base, int32_t offset)
{
    vector_byte(code, 0x48 | (reg >= 8) << 2 | (base >= 8));
    vector_byte(code, 0x8d);
    vector_byte(code, 0x80 | (reg & 7) << 3 | (base & 7));
    if ((base & 7) == RSP) {
        vector_byte(code, 0x24);
    }
    vector_number(code, (uint32_t)offset, 4);
}

static void arguments(VectorCode *code, const X64FpFrame *frame, const X64FpOperation *o)
{
    if (is_integer(o->from)) {
        vector_integer(code, true, VECTOR_MOVE, o->a, RDX);
    } else {
        vector_emit(code, to_general_64, o->a, 0, RDX);
        vector_emit(code, to_general_64, o->b, 0, RCX);
        vector_emit(code, to_general_64, o->c, 0, R8);
    }
    address(code, RDI, frame->state, frame->context_offset);
    vector_constant(code, RSI, IR_FP_EXACT(o->op, o->type, o->from, o->rounding, o->rule));
}

void x64_fp_emit_call(VectorCode *code, const X64FpFrame *frame, const X64FpOperation *operation)
{
    /* Nine registers have been pushed: that many words, and one more where it takes it to align. */
    bool padded = (ARRAY_SIZE(caller_saved) & 1) ^ frame->misaligned;

    for (unsigned i = 0; i < ARRAY_SIZE(caller_saved); i++) {
        push(code, caller_saved[i]);
    }
    arguments(code, frame, operation);
    if (padded) {
        vector_integer_immediate(code, true, VECTOR_SUB_EXTENSION, RSP, 8);
    }
    vector_constant(code, RAX, (uintptr_t)ir_fp_exact);
    vector_integer(code, false, 0xff, 2, RAX); /* call rax */
    if (padded) {
        vector_integer_immediate(code, true, VECTOR_ADD_EXTENSION, RSP, 8);
    }
    bool gives_integer = is_integer(operation->type);
    if (gives_integer) {
        vector_integer(code, true, VECTOR_MOVE, RAX, operation->result);
    } else {
        vector_emit(code, from_general_64, operation->result, 0, RAX);
    }
    for (unsigned i = ARRAY_SIZE(caller_saved); i-- > 0;) {
        if (gives_integer && caller_saved[i] == operation->result) {
            address(code, RSP, RSP, 8);
        } else {
            pop(code, caller_saved[i]);
        }
    }
}

static void default_nan(VectorCode *code, const FpContext *rules, const X64FpOperation *o)
{
    push(code, o->integer_scratch);
    vector_constant(code, o->integer_scratch, x64_fp_default_nan(rules, (IrType)o->type));
    vector_emit(code, from_general_64, o->result, 0, o->integer_scratch);
    pop(code, o->integer_scratch);
}

void x64_fp_emit_cold(VectorCode *code, const X64FpFrame *frame, const FpContext *rules,
                      const X64FpOperation *operation, const X64FpCold *cold)
{
    if (cold->kind == X64_FP_NOT_COLD) {
        return;
    }
    vector_jump_to(code, cold->jump, code->used);
    if (cold->kind == X64_FP_COLD_EXACT) {
        x64_fp_emit_call(code, frame, operation);
    } else {
        default_nan(code, rules, operation);
    }
    vector_jump_back(code, cold->resume);
}
