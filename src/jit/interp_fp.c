/* The interpreter's floating point: fpu/ under the guest's FpContext, the instruction's rounding put in for the time of
 * the operation. */
#include "fpu/fpu.h"
#include "jit/fp_exact.h"
#include "jit/interp_internal.h"
#include "jit/ir_internal.h"

typedef Float128 __attribute__((aligned(8))) PlaceF128;

static FpContext *context(const InterpFrame *f, const InterpInst *i)
{
    return (FpContext *)(f->state + f->exec->guest->fp_contexts[ir_fp_context(i->aux)]);
}

/* Evaluates `expression`, which uses `fp`, into a T. */
#define UNDER_CONTEXT(T, result, expression) \
    FpContext *fp = context(f, i); \
    uint8_t rounding = fp->rounding; \
    if (ir_fp_rounding(i->aux) != IR_ROUND_DYNAMIC) { \
        fp->rounding = (uint8_t)ir_fp_rounding(i->aux); \
    } \
    T result = (expression); \
    fp->rounding = rounding

static void write_int(const InterpFrame *f, const InterpInst *i, uint64_t value)
{
    if (i->type == IR_I64) {
        AT(uint64_t, i->d) = value;
    } else {
        AT(uint32_t, i->d) = (uint32_t)value;
    }
}

#define DEFINE(name, format, T, expression) \
    static bool name##_##format(InterpFrame *f, const InterpInst *i) \
    { \
        UNDER_CONTEXT(T, result, expression); \
        AT(T, i->d) = result; \
        return true; \
    }
#define A(T) AT(T, i->a)
#define B(T) AT(T, i->b)
#define C(T) AT(T, i->c)
#define RULE ir_fp_rule(i->aux)

#define DEFINE_FORMAT(format, T) \
    DEFINE(fadd, format, T, format##_add(A(T), B(T), fp)) \
    DEFINE(fsub, format, T, format##_sub(A(T), B(T), fp)) \
    DEFINE(fmul, format, T, format##_mul(A(T), B(T), fp)) \
    DEFINE(fdiv, format, T, format##_div(A(T), B(T), fp)) \
    DEFINE(fsqrt, format, T, format##_sqrt(A(T), fp)) \
    DEFINE(ffma, format, T, format##_fma(A(T), B(T), C(T), fp)) \
    DEFINE(fmin, format, T, format##_minmax(A(T), B(T), false, (FpMinMax)RULE, fp)) \
    DEFINE(fmax, format, T, format##_minmax(A(T), B(T), true, (FpMinMax)RULE, fp)) \
    DEFINE(fround_int, format, T, format##_round_to_integral(A(T), RULE == 1, fp)) \
    DEFINE(s_to_f, format, T, \
           ir_fp_from(i->aux) == IR_I64 ? format##_from_i64(A(int64_t), fp) : format##_from_i32(A(int32_t), fp)) \
    DEFINE(u_to_f, format, T, \
           ir_fp_from(i->aux) == IR_I64 ? format##_from_u64(A(uint64_t), fp) : format##_from_u32(A(uint32_t), fp)) \
    static bool fcmp_##format(InterpFrame *f, const InterpInst *i) \
    { \
        IrFpCondition condition = (IrFpCondition)RULE; \
        FpCompare order = format##_compare(A(T), B(T), ir_fp_condition_signals(condition), context(f, i)); \
        write_int(f, i, ir_fp_condition_holds(condition, order)); \
        return true; \
    } \
    static bool fclass_##format(InterpFrame *f, const InterpInst *i) \
    { \
        write_int(f, i, BIT(format##_class(A(T)))); \
        return true; \
    } \
    static bool f_to_s_##format(InterpFrame *f, const InterpInst *i) \
    { \
        UNDER_CONTEXT(int64_t, result, i->type == IR_I64 ? format##_to_i64(A(T), fp) : format##_to_i32(A(T), fp)); \
        write_int(f, i, (uint64_t)result); \
        return true; \
    } \
    static bool f_to_u_##format(InterpFrame *f, const InterpInst *i) \
    { \
        UNDER_CONTEXT(uint64_t, result, i->type == IR_I64 ? format##_to_u64(A(T), fp) : format##_to_u32(A(T), fp)); \
        write_int(f, i, result); \
        return true; \
    }
DEFINE_FORMAT(f16, uint16_t)
DEFINE_FORMAT(bf16, uint16_t)
DEFINE_FORMAT(f32, uint32_t)
DEFINE_FORMAT(f64, uint64_t)
DEFINE_FORMAT(f80, Float80)
DEFINE_FORMAT(f128, PlaceF128)

#define DEFINE_CONVERSION(to, To, from, From) \
    static bool to##_from_##from##_run(InterpFrame *f, const InterpInst *i) \
    { \
        UNDER_CONTEXT(To, result, to##_from_##from(A(From), fp)); \
        AT(To, i->d) = result; \
        return true; \
    }
#define Float128 PlaceF128
FP_CONVERSIONS(DEFINE_CONVERSION)
#undef Float128

/* By operation and the format that decides: the result's, or the operand's where the result is an integer. */
#define ROW(name) \
    [IR_OP_##name] = { \
        [IR_F16] = name##_f16, [IR_BF16] = name##_bf16, [IR_F32] = name##_f32, \
        [IR_F64] = name##_f64, [IR_F80] = name##_f80,   [IR_F128] = name##_f128, \
    }
static InterpFunction *const functions[IR_OP_COUNT][IR_TYPE_COUNT] = {
    ROW(fadd), ROW(fsub), ROW(fmul),   ROW(fdiv),   ROW(fsqrt),  ROW(ffma),   ROW(fmin),       ROW(fmax),
    ROW(fcmp), ROW(fclass), ROW(f_to_s), ROW(f_to_u), ROW(s_to_f), ROW(u_to_f), ROW(fround_int),
};

enum { CONVERT_f16 = IR_F16, CONVERT_bf16 = IR_BF16, CONVERT_f32 = IR_F32, CONVERT_f64 = IR_F64, CONVERT_f80 = IR_F80,
       CONVERT_f128 = IR_F128 };
#define CONVERSION_ENTRY(to, To, from, From) [CONVERT_##to][CONVERT_##from] = to##_from_##from##_run,
static InterpFunction *const conversions[IR_TYPE_COUNT][IR_TYPE_COUNT] = { FP_CONVERSIONS(CONVERSION_ENTRY) };

InterpFunction *interp_fp_function(const IrInst *inst, IrType operand)
{
    if (inst->op == IR_OP_fconvert) {
        return conversions[inst->type][operand];
    }
    return functions[inst->op][ir_type_is_float(inst->type) ? inst->type : operand];
}
