/*
 * Floating point in a block: registers for fp.c's operations, and what is known of the numbers in them. MXCSR serves
 * the guest's first FpContext (float_flags.c); operations of others, and those of formats wider than f64, are the
 * interpreter's.
 */
#include "jit/fp_exact.h"
#include "jit/x64/internal.h"

#include <sys/platform/x86.h>

static const FpContext riscv_like = { 0 };

const FpContext *float_rules(const Compiler *c)
{
    return c->guest->fp_rules ? c->guest->fp_rules(c->block->mode, 0) : &riscv_like;
}

static X64FpFrame frame_of(const Compiler *c)
{
    return (X64FpFrame){ .state = RBP, .context_offset = (int32_t)c->guest->fp_contexts[0] - STATE_BIAS,
                         .thunk = c->common->float_exact };
}

FloatCold *float_cold_add(Compiler *c)
{
    if (c->float_cold_count == MAXIMUM_FLOAT_COLD) {
        c->failed = true;
        return &c->float_cold[0];
    }
    FloatCold *cold = &c->float_cold[c->float_cold_count++];
    *cold = (FloatCold){ .unsettled = 0 };
    return cold;
}

static void add_operation(Compiler *c, const X64FpOperation *operation, const X64FpCold *cold)
{
    if (cold->kind != X64_FP_NOT_COLD) {
        FloatCold *added = float_cold_add(c);
        added->operation = *operation;
        added->cold = *cold;
    }
}

/* Checks found a NaN in one of the registers, and which is not known. */
static void emit_settle_cold(Compiler *c, const FloatCold *cold)
{
    for (unsigned i = 0; i < cold->check_count; i++) {
        x64_land(&c->code, cold->checks[i]);
    }
    for (uint32_t left = cold->unsettled; left; left &= left - 1) { /* bit n: f64 in xmmn; 16 + n: f32 */
        unsigned bit = (unsigned)__builtin_ctz(left);
        x64_fp_emit_settled(&c->code, float_rules(c), bit < 16 ? IR_F64 : IR_F32, X64_XMM0 + (bit & 15));
    }
    x64_jump(&c->code, cold->cold.resume + c->code.run);
}

void emit_float_cold(Compiler *c)
{
    for (uint32_t i = 0; i < c->float_cold_count; i++) {
        const FloatCold *cold = &c->float_cold[i];
        const X64FpFrame frame = frame_of(c); /* a guest without floating point has none */
        if (cold->from) {
            float_clear_invalid(c, cold);
        } else if (cold->check_count) {
            emit_settle_cold(c, cold);
        } else {
            /* What is not boxed is the same NaN for all. */
            const FpContext *rules = cold->operation.op == IR_OP_funbox ? &riscv_like : float_rules(c);
            x64_fp_emit_cold(&c->code, &frame, rules, &cold->operation, &cold->cold);
        }
    }
}

/* ---- What is known of xmm registers ---- */

static FloatState *state_of(Compiler *c, unsigned reg)
{
    return &c->floats[reg - X64_XMM0];
}

/* One check tells of a pair. */
static void check(Compiler *c, FloatCold *cold, IrType type, unsigned a, unsigned b)
{
    assert(cold->check_count < MAXIMUM_CHECKS);
    x64_rr(&c->code, type == IR_F64 ? X64_VUCOMISD : X64_VUCOMISS, 4, a, b);
    cold->checks[cold->check_count++] = x64_branch_forward(&c->code, X64_P);
}

static void check_all(Compiler *c, FloatCold *cold, IrType type, uint32_t registers)
{
    for (; registers; registers &= registers - 1) {
        unsigned a = (unsigned)__builtin_ctz(registers), b = a;
        if (registers & (registers - 1)) {
            registers &= registers - 1;
            b = (unsigned)__builtin_ctz(registers);
        }
        check(c, cold, type, X64_XMM0 + a, X64_XMM0 + b);
    }
}

static void settle(Compiler *c, uint32_t unsettled)
{
    if (!unsettled) {
        return;
    }
    FloatCold *cold = float_cold_add(c);
    cold->unsettled = unsettled;
    check_all(c, cold, IR_F64, unsettled & 0xffff);
    check_all(c, cold, IR_F32, unsettled >> 16);
    cold->cold.resume = c->code.at;
    for (unsigned i = 0; i < 16; i++) {
        if (unsettled >> i & 0x10001) {
            c->floats[i].unsettled = 0;
        }
    }
}

static uint32_t unsettled_bit(const Compiler *c, unsigned i)
{
    unsigned type = c->floats[i].unsettled;
    return type == IR_F64 ? 1u << i : type ? 0x10000u << i : 0;
}

void float_settle(Compiler *c, unsigned reg)
{
    settle(c, unsettled_bit(c, reg - X64_XMM0));
}

uint32_t float_unsettled(const Compiler *c)
{
    uint32_t unsettled = 0;

    for (unsigned i = 0; i < 16 && c->has_floats; i++) {
        if (!(FLOAT_TEMPORARIES >> 16 >> i & 1)) {
            unsettled |= unsettled_bit(c, i);
        }
    }
    return unsettled;
}

void float_settle_all(Compiler *c)
{
    settle(c, float_unsettled(c));
}

void float_box(Compiler *c, IrType type, unsigned reg)
{
    if (ir_type_bits(type) < 64) {
        const X64FpOperation o = { .type = (uint8_t)type, .result = (uint8_t)reg, .a = (uint8_t)reg };
        x64_fp_emit_box(&c->code, &c->common->float_host.host, &o);
        state_of(c, reg)->boxed = (uint8_t)type;
    }
}

void float_move(Compiler *c, unsigned to, unsigned from)
{
    if (to != from) {
        x64_rr(&c->code, X64_VMOVAPS, 4, to, from);
        *state_of(c, to) = *state_of(c, from);
    }
}

void float_forget(Compiler *c)
{
    memset(c->floats, 0, sizeof c->floats);
}

void float_before_jump(Compiler *c, unsigned label)
{
    if (c->label_sources[label] > 1) {
        float_settle_all(c);
    }
}

void float_jumped(Compiler *c, unsigned label)
{
    memcpy(c->label_floats[label], c->floats, sizeof c->floats);
}

/* Values have left the temporaries. Where code falls through alone, what is known stays. */
void float_at_label(Compiler *c, unsigned label)
{
    if (c->label_sources[label] > 1) {
        float_forget(c);
    } else if (c->label_places[label]) {
        memcpy(c->floats, c->label_floats[label], sizeof c->floats);
    }
}

/* ---- Operations ---- */

static bool is_small(IrType type)
{
    return type == IR_I32 || type == IR_I64 || is_float(type);
}

static bool is_box(IrOp op)
{
    return op == IR_OP_fbox || op == IR_OP_funbox;
}

/* Whether this file can do it. */
bool float_is_ours(const Compiler *c, const IrInst *inst, IrType from)
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

bool float_negates(const Compiler *c, const IrInst *ffma)
{
    return float_is_ours(c, ffma, (IrType)ffma->type) &&
           x64_fp_negates(&c->common->float_host.host, float_rules(c), c->flags & CODE_FP_EXACT, (IrType)ffma->type,
                          ir_fp_rounding(ffma->aux));
}

/* The operand itself, or what a negation that is done here takes. */
static IrRef behind_negation(const Compiler *c, IrRef ref, bool *negated)
{
    *negated = c->values[ref].fused;
    return *negated ? inst_of(c, ref)->a : ref;
}

/* ffma alone has three operands, and it needs no second register of its own. */
static void allocate_scratch(Compiler *c, X64FpOperation *o)
{
    o->scratch[0] = (uint8_t)scratch_float(c);
    if (o->op != IR_OP_ffma) {
        o->scratch[1] = (uint8_t)scratch_float(c);
    }
    o->integer_scratch = (uint8_t)scratch_register(c);
}

static X64FpOperation allocate(Compiler *c, const IrInst *inst, IrType from)
{
    const char *operands = ir_op_info[inst->op].operands;
    bool memory = x64_fp_takes_memory((IrOp)inst->op) && inst->type == IR_F64;
    X64FpOperation o = { .op = inst->op, .type = inst->type, .from = (uint8_t)from,
                         .rounding = (uint8_t)ir_fp_rounding(inst->aux), .rule = (uint8_t)ir_fp_rule(inst->aux) };

    o.a = (uint8_t)use_register(c, behind_negation(c, inst->a, &o.negate_product));
    o.b = x64_register(o.a);
    o.c = o.a;
    if (operands[1]) {
        o.b = memory ? use_operand(c, inst->b) : x64_register(use_register(c, inst->b));
    }
    if (operands[1] && operands[2]) {
        o.c = (uint8_t)use_register(c, behind_negation(c, inst->c, &o.negate_addend));
    }
    allocate_scratch(c, &o);
    o.result = (uint8_t)define_register(c, BIT(o.scratch[0]) | BIT(o.scratch[1]) | BIT(o.integer_scratch));
    return o;
}

/* The same bits: a number is boxed as it stands. */
static void lower_box(Compiler *c, const IrInst *inst)
{
    unsigned reg = use_register(c, inst->a);
    const Value *value = value_of(c, inst->a);

    if (value->slot) { /* where a function may have left just the number */
        x64_rm(&c->code, X64_VMOVQ_MR, 8, reg, slot_operand(value->slot - 1u));
    }
    bind_alias(c, inst->a);
    state_of(c, reg)->boxed = (uint8_t)inst_of(c, inst->a)->type;
}

static bool is_boxed(const FloatState *state, IrType type)
{
    return state->boxed && ir_type_bits((IrType)state->boxed) <= ir_type_bits(type);
}

/* Whether the payload of a NaN of another type may be taken for a number of this one. */
static bool is_seen(const FloatState *state, IrType type)
{
    IrType unsettled = (IrType)state->unsettled;
    return unsettled && unsettled != type && ir_type_bits(unsettled) >= ir_type_bits(type);
}

static void lower_unbox(Compiler *c, const IrInst *inst)
{
    X64FpOperation o = { .op = inst->op, .type = inst->type, .a = (uint8_t)use_register(c, inst->a) };
    FloatState *from = state_of(c, o.a);
    X64FpCold cold = { .kind = X64_FP_NOT_COLD };

    if (is_seen(from, (IrType)inst->type)) {
        float_settle(c, o.a);
    }
    if (is_boxed(from, (IrType)inst->type)) {
        bind_alias(c, inst->a);
        return;
    }
    FloatState state = *from;
    o.integer_scratch = (uint8_t)scratch_register(c);
    o.result = (uint8_t)define_register(c, 0);
    x64_fp_emit_unbox(&c->code, &c->common->float_host.host, &o, &cold);
    add_operation(c, &o, &cold);
    bind_result(c, o.result, false);
    state.boxed = inst->type;
    *state_of(c, o.result) = state;
}

static bool sees_bits(const X64FpOperation *o)
{
    bool sign = o->op == IR_OP_fneg || o->op == IR_OP_fabs || o->op == IR_OP_fcopysign;
    return sign || ((o->op == IR_OP_fmin || o->op == IR_OP_fmax) && o->rule == FP_MINMAX_X86);
}

static void settle_operands(Compiler *c, const X64FpOperation *o)
{
    const unsigned registers[] = { o->a, o->b.memory ? o->a : o->b.base, o->c };

    for (unsigned i = 0; i < ARRAY_SIZE(registers); i++) {
        if (registers[i] >= X64_XMM0) {
            float_settle(c, registers[i]);
        }
    }
}

static void emit(Compiler *c, const X64FpOperation *o)
{
    const X64FpFrame frame = frame_of(c);
    const X64FpHost *host = &c->common->float_host.host;
    X64FpCold cold;
    X64FpOutcome outcome = x64_fp_emit(&c->code, host, float_rules(c), c->flags & CODE_FP_EXACT, o, &cold);

    if (outcome == X64_FP_CALL) {
        x64_fp_emit_call(&c->code, &frame, o);
    }
    add_operation(c, o, &cold);
    bind_result(c, o->result, o->type == IR_I32);
    if (o->result >= X64_XMM0) {
        *state_of(c, o->result) = (FloatState){ .unsettled = outcome == X64_FP_UNSETTLED ? o->type : 0,
                                                .boxed = o->type == IR_F64 ? 0 : o->type };
    }
}

void lower_float(Compiler *c, const IrInst *inst)
{
    IrType from = (IrType)inst_of(c, inst->a)->type;

    if (!float_is_ours(c, inst, from)) {
        lower_function(c, inst);
    } else if (inst->op == IR_OP_fbox) {
        lower_box(c, inst);
    } else if (inst->op == IR_OP_funbox) {
        lower_unbox(c, inst);
    } else if (c->now < c->flags_restored) {
        X64FpOperation o = allocate(c, inst, from);
        float_compare_silently(c, &o);
    } else {
        X64FpOperation o = allocate(c, inst, from);
        if (sees_bits(&o)) {
            settle_operands(c, &o);
        }
        emit(c, &o);
    }
}

void float_emit_common(X64Code *code, X64Common *common)
{
    if (common->guest->fp_context_count) {
        const X64FpFrame frame = { .state = RBP,
                                   .context_offset = (int32_t)common->guest->fp_contexts[0] - STATE_BIAS };
        common->float_exact = x64_here(code);
        x64_fp_emit_thunk(code, &frame);
    }
}

static uint16_t find_flags_register(const IrGuest *guest)
{
    unsigned i = 0;

    if (guest->fp_context_count == 0) {
        return guest->register_count;
    }
    while (i < guest->register_count &&
           guest->registers[i].offset != guest->fp_contexts[0] + offsetof(FpContext, flags)) {
        i++;
    }
    return (uint16_t)i;
}

void float_prepare(X64Common *common)
{
    X64FpHost *host = &common->float_host.host;

    common->float_host.avx = CPU_FEATURE_ACTIVE(AVX);
    host->fma = CPU_FEATURE_ACTIVE(FMA);
    host->f16c = CPU_FEATURE_ACTIVE(F16C);
    host->avx512 = CPU_FEATURE_ACTIVE(AVX512F);
    common->flags_register = find_flags_register(common->guest);
    host->constants = &common->float_constants;
    x64_fp_constants_init(&common->float_constants);
    for (unsigned i = 0; i < ARRAY_SIZE(common->flags_of_control); i++) {
        common->flags_of_control[i] = (uint8_t)x64_fp_flags(i);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(common->control_of_rounding); i++) {
        common->control_of_rounding[i] = x64_fp_control(&(FpContext){ .rounding = (uint8_t)i });
    }
}
