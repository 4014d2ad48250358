/*
 * Floating point in a block: registers for fp.c's operations, and where MXCSR meets the guest's FpContext. MXCSR serves
 * the guest's first context; operations of others, and those of formats wider than f64, are the interpreter's.
 *
 * While a block runs MXCSR holds the guest's rounding and, beside FpContext.flags, what was raised since. The two meet
 * at exits (x64_enter) and around helpers.
 */
#include "jit/fp_exact.h"
#include "jit/x64/internal.h"

#include <cpuid.h>

static const FpContext riscv_like = { 0 };

static const FpContext *rules_of(const Compiler *c)
{
    return c->guest->fp_rules ? c->guest->fp_rules(c->block->mode, 0) : &riscv_like;
}

static X64FpFrame frame_of(const Compiler *c)
{
    return (X64FpFrame){ .state = RBP, .context_offset = (int32_t)c->guest->fp_contexts[0] - STATE_BIAS };
}

static void add_cold(Compiler *c, const X64FpOperation *operation, const X64FpCold *cold)
{
    if (cold->kind == X64_FP_NOT_COLD) {
        return;
    }
    if (c->float_cold_count == MAXIMUM_FLOAT_COLD) {
        c->failed = true;
        return;
    }
    c->float_cold[c->float_cold_count++] = (FloatCold){ *operation, *cold };
}

void emit_float_cold(Compiler *c)
{
    for (uint32_t i = 0; i < c->float_cold_count; i++) {
        const X64FpFrame frame = frame_of(c); /* a guest without floating point has none */
        x64_fp_emit_cold(&c->code, &frame, rules_of(c), &c->float_cold[i].operation, &c->float_cold[i].cold);
    }
}

static bool is_small(IrType type)
{
    return type == IR_I32 || type == IR_I64 || is_float(type);
}

static bool is_box(IrOp op)
{
    return op == IR_OP_fbox || op == IR_OP_funbox;
}

/* Whether this file can do it. */
static bool is_ours(const Compiler *c, const IrInst *inst, IrType from)
{
    bool signs = inst->op == IR_OP_fneg || inst->op == IR_OP_fabs || inst->op == IR_OP_fcopysign;

    if (!c->common->float_host.avx || !c->guest->fp_context_count || !is_small((IrType)inst->type) || !is_small(from)) {
        return false;
    }
    if (is_box((IrOp)inst->op)) {
        return from != IR_F32 || inst->op == IR_OP_fbox;
    }
    if (signs) {
        return inst->type == IR_F32 || inst->type == IR_F64;
    }
    return ir_fp_is_exact(inst, from) && (inst->op == IR_OP_fclass || ir_fp_context(inst->aux) == 0);
}

static X64FpOperation allocate(Compiler *c, const IrInst *inst, IrType from)
{
    const char *operands = ir_op_info[inst->op].operands;
    X64FpOperation o = { .op = inst->op, .type = inst->type, .from = (uint8_t)from,
                         .rounding = (uint8_t)ir_fp_rounding(inst->aux), .rule = (uint8_t)ir_fp_rule(inst->aux) };

    o.a = (uint8_t)use_register(c, inst->a);
    if (operands[1]) {
        o.b = x64_register(use_register(c, inst->b));
    }
    if (operands[1] && operands[2]) {
        o.c = (uint8_t)use_register(c, inst->c);
    }
    o.scratch[0] = (uint8_t)scratch_float(c);
    o.scratch[1] = (uint8_t)scratch_float(c);
    o.integer_scratch = (uint8_t)scratch_register(c);
    o.result = (uint8_t)define_register(c, BIT(o.scratch[0]) | BIT(o.scratch[1]) | BIT(o.integer_scratch));
    return o;
}

static void emit_box(Compiler *c, X64FpOperation *o, X64FpCold *cold)
{
    const X64FpHost *host = &c->common->float_host.host;

    if (o->op == IR_OP_funbox) {
        x64_fp_emit_unbox(&c->code, host, o, cold);
        return;
    }
    o->type = o->from;
    x64_fp_emit_box(&c->code, host, o);
}

void lower_float(Compiler *c, const IrInst *inst)
{
    IrType from = (IrType)inst_of(c, inst->a)->type;
    X64FpCold cold = { .kind = X64_FP_NOT_COLD }, settle = cold;

    if (!is_ours(c, inst, from)) {
        lower_function(c, inst);
        return;
    }
    const X64FpFrame frame = frame_of(c);
    X64FpOperation o = allocate(c, inst, from);
    if (is_box((IrOp)inst->op)) {
        emit_box(c, &o, &cold);
    } else {
        bool exact = c->flags & CODE_FP_EXACT;
        X64FpOutcome outcome = x64_fp_emit(&c->code, &c->common->float_host.host, rules_of(c), exact, &o, &cold);
        if (outcome == X64_FP_CALL) {
            x64_fp_emit_call(&c->code, &frame, &o);
        } else if (outcome == X64_FP_UNSETTLED) {
            X64FpOperation both = { .type = o.type, .result = o.result, .a = o.result };
            x64_fp_emit_settle(&c->code, &both, &settle);
            add_cold(c, &both, &settle);
        }
    }
    add_cold(c, &o, &cold);
    bind_result(c, o.result, inst->type == IR_I32);
}

/* ---- MXCSR and the FpContext ---- */

/* Around a helper; nothing but rcx and rdx is lost. */
void float_before_helper(Compiler *c)
{
    if (!c->guest->fp_context_count) {
        return;
    }
    size_t flags = c->guest->fp_contexts[0] + offsetof(FpContext, flags);

    x64_m(&c->code, X64_STMXCSR, 4, x64_memory(RSP, FRAME_GUEST_CONTROL), 0);
    x64_rm(&c->code, X64_MOV_RM, 4, RCX, x64_memory(RSP, FRAME_GUEST_CONTROL));
    x64_alu_immediate(&c->code, X64_AND, 4, x64_register(RCX), 0x3f);
    x64_rm(&c->code, X64_LEA, 8, RDX, x64_at(c->common->flags_of_control));
    x64_rm(&c->code, X64_MOVZX_8, 4, RCX, x64_indexed(RDX, RCX, 0, 0));
    x64_alu_store(&c->code, X64_OR, 1, state_operand((int64_t)flags), RCX);
    x64_m(&c->code, X64_LDMXCSR, 4, x64_memory(RSP, FRAME_HOST_CONTROL), 0);
}

/* `changed`: the helper may have written the context. */
void float_after_helper(Compiler *c, bool changed)
{
    if (!c->guest->fp_context_count) {
        return;
    }
    if (changed) {
        FpContext rules = *rules_of(c);
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

void float_prepare(X64Common *common)
{
    X64FpHost *host = &common->float_host.host;
    unsigned a, b, c, d;

    common->float_host.avx = __builtin_cpu_supports("avx");
    host->fma = __builtin_cpu_supports("fma");
    host->f16c = common->float_host.avx && __get_cpuid(1, &a, &b, &c, &d) && c & bit_F16C;
    host->avx512 = __builtin_cpu_supports("avx512f");
    host->constants = &common->float_constants;
    x64_fp_constants_init(&common->float_constants);
    for (unsigned i = 0; i < ARRAY_SIZE(common->flags_of_control); i++) {
        common->flags_of_control[i] = (uint8_t)x64_fp_flags(i);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(common->control_of_rounding); i++) {
        common->control_of_rounding[i] = x64_fp_control(&(FpContext){ .rounding = (uint8_t)i });
    }
}
