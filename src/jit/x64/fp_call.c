/* Calls of ir_fp_exact out of a block, and the cold code that makes them. After the System V ABI for x86-64. */
#include "jit/x64/fp.h"

#include "jit/fp_exact.h"

/* What a function of C may change. None of ir_fp_exact's changes a vector register. */
static const uint8_t caller_saved[] = { RAX, RCX, RDX, RSI, RDI, R8, R9, R10, R11 };

static bool is_integer(unsigned type)
{
    return type == IR_I32 || type == IR_I64;
}

/* What a call has on the stack, from rsp on. */
enum { CALL_A, CALL_B = 8, CALL_C = 16, CALL_WHAT = 24, CALL_SIZE = 32 };

static void move_stack(X64Code *code, int bytes)
{
    x64_rm(code, X64_LEA, 8, RSP, x64_memory(RSP, bytes)); /* flags may be needed */
}

static void store(X64Code *code, unsigned reg, int offset)
{
    x64_rm(code, reg < X64_XMM0 ? X64_MOV_MR : X64_VMOVQ_MR, 8, reg, x64_memory(RSP, offset));
}

void x64_fp_emit_thunk(X64Code *code, const X64FpFrame *frame)
{
    /* With the return address, and these, the stack is a multiple of 16 again. */
    const int above = 8 * (int)ARRAY_SIZE(caller_saved) + 8;

    for (unsigned i = 0; i < ARRAY_SIZE(caller_saved); i++) {
        x64_r(code, X64_PUSH, 4, caller_saved[i], 0);
    }
    x64_rm(code, X64_LEA, 8, RDI, x64_memory(frame->state, frame->context_offset));
    x64_rm(code, X64_MOV_RM, 4, RSI, x64_memory(RSP, above + CALL_WHAT));
    x64_rm(code, X64_MOV_RM, 8, RDX, x64_memory(RSP, above + CALL_A));
    x64_rm(code, X64_MOV_RM, 8, RCX, x64_memory(RSP, above + CALL_B));
    x64_rm(code, X64_MOV_RM, 8, R8, x64_memory(RSP, above + CALL_C));
    x64_load_constant(code, RAX, (uintptr_t)ir_fp_exact);
    x64_r(code, X64_CALL, 4, RAX, 0);
    x64_rm(code, X64_MOV_MR, 8, RAX, x64_memory(RSP, above + CALL_A));
    for (unsigned i = ARRAY_SIZE(caller_saved); i-- > 0;) {
        x64_r(code, X64_POP, 4, caller_saved[i], 0);
    }
    x64_return(code);
}

unsigned x64_fp_thunk_depth(void) { return 8 * (unsigned)ARRAY_SIZE(caller_saved) + 8 + CALL_SIZE; }

void x64_fp_emit_call(X64Code *code, const X64FpFrame *frame, const X64FpOperation *o)
{
    uint32_t what = IR_FP_EXACT(o->op, o->type, o->from, o->rounding, o->rule) |
                    (o->negate_product ? IR_FP_EXACT_NEGATE_A : 0) | (o->negate_addend ? IR_FP_EXACT_NEGATE_C : 0);

    move_stack(code, o->b.memory ? CALL_B + 8 - CALL_SIZE : -CALL_SIZE);
    if (o->b.memory) {
        x64_m(code, X64_MOV_MI, 4, x64_memory(RSP, CALL_WHAT - CALL_C), what);
        store(code, o->c, 0);
        x64_m(code, X64_PUSH, 4, o->b, 0);
        move_stack(code, -CALL_B);
    } else {
        x64_m(code, X64_MOV_MI, 4, x64_memory(RSP, CALL_WHAT), what);
        store(code, o->c, CALL_C);
        store(code, o->b.base, CALL_B);
    }
    store(code, o->a, CALL_A);
    x64_call(code, frame->thunk);
    x64_rm(code, is_integer(o->type) ? X64_MOV_RM : X64_VMOVQ_RM, 8, o->result, x64_memory(RSP, CALL_A));
    move_stack(code, CALL_SIZE);
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
