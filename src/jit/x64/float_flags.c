/*
 * Where MXCSR meets the guest's first FpContext. While a block runs MXCSR holds the guest's rounding and, beside
 * FpContext.flags, what was raised since. The two meet at exits (x64_enter), around helpers, and where the guest's
 * register of flags is read or written. Reading MXCSR waits for all floating point before it.
 */
#include "jit/x64/internal.h"

enum { CONTROL_FLAGS = 0x3f, CONTROL_INVALID = 1, ALL_FLAGS = 31 };

/* MXCSR's as FpFlag bits. */
static void emit_raised_flags(Compiler *c, unsigned to, unsigned scratch)
{
    x64_m(&c->code, X64_STMXCSR, 4, x64_memory(RSP, FRAME_GUEST_CONTROL), 0);
    x64_rm(&c->code, X64_MOV_RM, 4, to, x64_memory(RSP, FRAME_GUEST_CONTROL));
    x64_alu_immediate(&c->code, X64_AND, 4, x64_register(to), CONTROL_FLAGS);
    x64_rm(&c->code, X64_LEA, 8, scratch, x64_at(c->common->flags_of_control));
    x64_rm(&c->code, X64_MOVZX_8, 4, to, x64_indexed(scratch, to, 0, 0));
}

static X64Operand flags_operand(const Compiler *c)
{
    return state_operand((int64_t)(c->guest->fp_contexts[0] + offsetof(FpContext, flags)));
}

/* Around a helper; nothing but rcx and rdx is lost. */
void float_before_helper(Compiler *c)
{
    if (!c->guest->fp_context_count) {
        return;
    }
    emit_raised_flags(c, RCX, RDX);
    x64_alu_store(&c->code, X64_OR, 1, flags_operand(c), RCX);
    x64_m(&c->code, X64_LDMXCSR, 4, x64_memory(RSP, FRAME_HOST_CONTROL), 0);
}

/* `changed`: the helper may have written the context. */
void float_after_helper(Compiler *c, bool changed)
{
    if (!c->guest->fp_context_count) {
        return;
    }
    if (changed) {
        FpContext rules = *float_rules(c);
        size_t rounding = c->guest->fp_contexts[0] + offsetof(FpContext, rounding);
        rules.rounding = FP_ROUND_NEAREST_EVEN;
        x64_rm(&c->code, X64_MOVZX_8, 4, RCX, state_operand((int64_t)rounding));
        x64_rm(&c->code, X64_LEA, 8, RDX, x64_at(c->common->control_of_rounding));
        x64_rm(&c->code, X64_MOV_RM, 4, RCX, x64_indexed(RDX, RCX, 2, 0));
        x64_alu_immediate(&c->code, X64_OR, 4, x64_register(RCX), (int32_t)x64_fp_control(&rules));
        x64_rm(&c->code, X64_MOV_MR, 4, RCX, x64_memory(RSP, FRAME_GUEST_CONTROL));
    }
    x64_m(&c->code, X64_LDMXCSR, 4, x64_memory(RSP, FRAME_GUEST_CONTROL), 0);
}

/* ---- Flags as a register ---- */

/* The value that was masked to the flags, or itself. */
static IrRef behind_mask(const Compiler *c, IrRef ref)
{
    const IrInst *inst = inst_of(c, ref);
    uint64_t mask;

    return inst->op == IR_OP_and && ir_is_const(c->ir, inst->b, &mask) && mask == ALL_FLAGS ? inst->a : ref;
}

/* One of the host's, but that it raises. */
static bool can_be_silent(const Compiler *c, const IrInst *inst)
{
    IrType from = (IrType)inst_of(c, inst->a)->type;
    FpTreatment treatment = x64_fp_treatment(float_rules(c), IR_OP_fcmp, false, c->flags & CODE_FP_EXACT);

    return float_is_ours(c, inst, from) && (from == IR_F32 || from == IR_F64) && treatment == FP_TREAT_HOST &&
           ir_fp_rule(inst->aux) != IR_FP_UNORDERED_QUIET;
}

/* Between saving and restoring flags: comparisons, and what neither raises nor sees flags. */
static bool is_quiet(const Compiler *c, const IrInst *inst)
{
    switch (inst->op) {
    case IR_OP_fcmp:
        return can_be_silent(c, inst);
    case IR_OP_get:
    case IR_OP_set:
        return inst->aux != c->common->flags_register;
    default:
        return inst->op == IR_OP_const || inst->op == IR_OP_insn || inst->op == IR_OP_and || inst->op == IR_OP_fbox ||
               inst->op == IR_OP_funbox || inst->op == IR_OP_sext || inst->op == IR_OP_trunc;
    }
}

/*
 * Compilers save flags, compare, and restore them where a comparison must raise nothing. Such comparisons are done so
 * that they raise nothing, and then there is nothing to restore. The place of the restoring `set`, or 0.
 */
static IrRef find_restored(const Compiler *c)
{
    for (IrRef ref = c->now + 1; ref < c->ir->count; ref++) {
        const IrInst *inst = inst_of(c, ref);
        if (inst->op == IR_OP_set && inst->aux == c->common->flags_register) {
            return behind_mask(c, inst->a) == c->now ? ref : 0;
        }
        if (!is_quiet(c, inst)) {
            return 0;
        }
    }
    return 0;
}

void float_get_flags(Compiler *c)
{
    unsigned scratch = scratch_register(c), to = define_register(c, BIT(scratch));

    c->flags_restored = find_restored(c);
    emit_raised_flags(c, to, scratch);
    x64_rm(&c->code, X64_MOVZX_8, 4, scratch, flags_operand(c));
    x64_alu(&c->code, X64_OR, 4, to, x64_register(scratch));
    if (c->flags_restored) { /* float_clear_invalid looks there */
        x64_rm(&c->code, X64_MOV_MR, 1, to, flags_operand(c));
    }
    bind_result(c, to, true);
}

/* MXCSR is written where it has flags that are not to be set alone: that is slow. */
void float_set_flags(Compiler *c, const IrInst *inst)
{
    if (c->now == c->flags_restored) {
        return;
    }
    unsigned value = use_register(c, inst->a), raised = scratch_register(c), scratch = scratch_register(c);

    x64_rm(&c->code, X64_MOV_MR, 1, value, flags_operand(c));
    emit_raised_flags(c, raised, scratch);
    x64_rr(&c->code, X64_MOV_RM, 4, scratch, value);
    x64_r(&c->code, X64_NOT, 4, scratch, 0);
    x64_rr(&c->code, X64_TEST_MR, 4, raised, scratch);
    uint8_t *none = x64_branch_short(&c->code, X64_E);
    x64_alu_immediate(&c->code, X64_AND, 4, x64_memory(RSP, FRAME_GUEST_CONTROL), ~CONTROL_FLAGS);
    x64_m(&c->code, X64_LDMXCSR, 4, x64_memory(RSP, FRAME_GUEST_CONTROL), 0);
    x64_land_short(&c->code, none);
}

/* What a comparison raises, a quiet one by signalling NaNs alone, is taken back. */
void float_compare_silently(Compiler *c, const X64FpOperation *operation)
{
    static const uint8_t quiet[] = {
        [IR_FP_EQ_QUIET] = IR_FP_EQ_QUIET, [IR_FP_EQ] = IR_FP_EQ_QUIET,      [IR_FP_LT] = IR_FP_LT_QUIET,
        [IR_FP_LE] = IR_FP_LE_QUIET,       [IR_FP_LT_QUIET] = IR_FP_LT_QUIET, [IR_FP_LE_QUIET] = IR_FP_LE_QUIET,
    };
    X64FpOperation o = *operation;
    bool and_no_parity; /* that is so behind the jump */

    o.rule = quiet[o.rule];
    x64_rr(&c->code, X64_XOR_RM, 4, o.result, o.result);
    X64Condition condition = x64_fp_emit_compare(&c->code, &o, &and_no_parity);
    uint8_t *unordered = x64_branch_forward(&c->code, X64_P);
    x64_set(&c->code, condition, o.result);
    FloatCold *cold = float_cold_add(c);
    cold->from = unordered;
    cold->cold.resume = c->code.at;
    bind_result(c, o.result, true);
}

/* Invalid was not among the flags: it is not to be now. */
void float_clear_invalid(Compiler *c, const FloatCold *cold)
{
    x64_land(&c->code, cold->from);
    x64_encode(&c->code, X64_TEST_MI, 1, 0, 0, flags_operand(c), FP_INVALID);
    x64_branch(&c->code, X64_NE, cold->cold.resume + c->code.run);
    x64_m(&c->code, X64_STMXCSR, 4, x64_memory(RSP, FRAME_GUEST_CONTROL), 0);
    x64_alu_immediate(&c->code, X64_AND, 4, x64_memory(RSP, FRAME_GUEST_CONTROL), ~CONTROL_INVALID);
    x64_m(&c->code, X64_LDMXCSR, 4, x64_memory(RSP, FRAME_GUEST_CONTROL), 0);
    x64_jump(&c->code, cold->cold.resume + c->code.run);
}
