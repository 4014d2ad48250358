/* The operations of fp_exact.h: tables by operation and format over what fpu/ has. */
#include "jit/fp_exact.h"

typedef struct Call {
    uint64_t a, b, c;
    IrType type; /* of the result */
    IrType from;
    unsigned rule;
} Call;
typedef uint64_t ExactFunction(const Call *call, FpContext *fp);

bool ir_fp_condition_holds(IrFpCondition condition, FpCompare order)
{
    switch (condition) {
    case IR_FP_EQ_QUIET:
    case IR_FP_EQ:
        return order == FP_EQUAL;
    case IR_FP_LT:
    case IR_FP_LT_QUIET:
        return order == FP_LESS;
    case IR_FP_LE:
    case IR_FP_LE_QUIET:
        return order == FP_LESS || order == FP_EQUAL;
    case IR_FP_UNORDERED_QUIET:
        return order == FP_UNORDERED;
    }
    return false;
}

bool ir_fp_condition_signals(IrFpCondition condition)
{
    return condition == IR_FP_LT || condition == IR_FP_LE || condition == IR_FP_EQ;
}

#define DEFINE(name, format, expression) \
    static uint64_t name##_##format(const Call *call, FpContext *fp) \
    { \
        return expression; \
    }
#define A(T) ((T)call->a)
#define B(T) ((T)call->b)
#define C(T) ((T)call->c)
#define WIDE(type_) (call->type_ == IR_I64)

#define DEFINE_FORMAT(format, T) \
    DEFINE(fadd, format, format##_add(A(T), B(T), fp)) \
    DEFINE(fsub, format, format##_sub(A(T), B(T), fp)) \
    DEFINE(fmul, format, format##_mul(A(T), B(T), fp)) \
    DEFINE(fdiv, format, format##_div(A(T), B(T), fp)) \
    DEFINE(fsqrt, format, format##_sqrt(A(T), fp)) \
    DEFINE(ffma, format, format##_fma(A(T), B(T), C(T), fp)) \
    DEFINE(fmin, format, format##_minmax(A(T), B(T), false, (FpMinMax)call->rule, fp)) \
    DEFINE(fmax, format, format##_minmax(A(T), B(T), true, (FpMinMax)call->rule, fp)) \
    DEFINE(fround_int, format, format##_round_to_integral(A(T), call->rule == 1, fp)) \
    DEFINE(fclass, format, BIT(format##_class(A(T)))) \
    DEFINE(s_to_f, format, WIDE(from) ? format##_from_i64(A(int64_t), fp) : format##_from_i32(A(int32_t), fp)) \
    DEFINE(u_to_f, format, WIDE(from) ? format##_from_u64(A(uint64_t), fp) : format##_from_u32(A(uint32_t), fp)) \
    DEFINE(f_to_s, format, WIDE(type) ? (uint64_t)format##_to_i64(A(T), fp) : (uint32_t)format##_to_i32(A(T), fp)) \
    DEFINE(f_to_u, format, WIDE(type) ? format##_to_u64(A(T), fp) : format##_to_u32(A(T), fp)) \
    DEFINE(fcmp, format, \
           ir_fp_condition_holds((IrFpCondition)call->rule, \
                                 format##_compare(A(T), B(T), ir_fp_condition_signals((IrFpCondition)call->rule), fp)))
DEFINE_FORMAT(f16, uint16_t)
DEFINE_FORMAT(bf16, uint16_t)
DEFINE_FORMAT(f32, uint32_t)
DEFINE_FORMAT(f64, uint64_t)

#define CONVERSIONS(X) \
    X(f16, bf16, uint16_t) X(f16, f32, uint32_t) X(f16, f64, uint64_t) \
    X(bf16, f16, uint16_t) X(bf16, f32, uint32_t) X(bf16, f64, uint64_t) \
    X(f32, f16, uint16_t) X(f32, bf16, uint16_t) X(f32, f64, uint64_t) \
    X(f64, f16, uint16_t) X(f64, bf16, uint16_t) X(f64, f32, uint32_t)
#define DEFINE_CONVERSION(to, from_, From) DEFINE(fconvert_##to, from_, to##_from_##from_(A(From), fp))
CONVERSIONS(DEFINE_CONVERSION)

enum { FORMATS = IR_F64 + 1 };
enum { TYPE_f16 = IR_F16, TYPE_bf16 = IR_BF16, TYPE_f32 = IR_F32, TYPE_f64 = IR_F64 };

#define ROW(name) \
    [IR_OP_##name] = { \
        [IR_F16] = name##_f16, [IR_BF16] = name##_bf16, [IR_F32] = name##_f32, [IR_F64] = name##_f64, \
    }
/* By the format that decides: the result's, or the operand's where the result is an integer. */
static ExactFunction *const functions[IR_OP_COUNT][FORMATS] = {
    ROW(fadd), ROW(fsub),   ROW(fmul),   ROW(fdiv),   ROW(fsqrt),  ROW(ffma),   ROW(fmin),       ROW(fmax),
    ROW(fcmp), ROW(fclass), ROW(f_to_s), ROW(f_to_u), ROW(s_to_f), ROW(u_to_f), ROW(fround_int),
};
#define CONVERSION_ENTRY(to, from_, From) [TYPE_##to][TYPE_##from_] = fconvert_##to##_##from_,
static ExactFunction *const conversions[FORMATS][FORMATS] = { CONVERSIONS(CONVERSION_ENTRY) };

static bool is_number(IrType type)
{
    return type >= IR_F16 && type <= IR_F64;
}

static ExactFunction *find(IrOp op, IrType type, IrType from)
{
    if (op == IR_OP_fconvert) {
        return is_number(type) && is_number(from) ? conversions[type][from] : NULL;
    }
    IrType format = is_number(type) ? type : from;
    return is_number(format) ? functions[op][format] : NULL;
}

bool ir_fp_is_exact(const IrInst *inst, IrType from)
{
    return find((IrOp)inst->op, (IrType)inst->type, from) != NULL;
}

static uint64_t sign_of(IrType type)
{
    return BIT(type == IR_F64 ? 63 : type == IR_F32 ? 31 : 15);
}

static uint64_t boxed(IrType type, uint64_t bits)
{
    switch (type) {
    case IR_F16:
    case IR_BF16:
        return bits | ~UINT64_C(0xffff);
    case IR_F32:
        return bits | ~UINT64_C(0xffffffff);
    default:
        return bits;
    }
}

uint64_t ir_fp_exact(FpContext *fp, uint32_t what, uint64_t a, uint64_t b, uint64_t c)
{
    Call call = {
        .a = a, .b = b, .c = c, .type = (IrType)(what >> 8 & 15), .from = (IrType)(what >> 12 & 15),
        .rule = what >> 20 & 15,
    };
    unsigned fixed = what >> 16 & 7;
    call.a ^= what & IR_FP_EXACT_NEGATE_A ? sign_of(call.type) : 0;
    call.c ^= what & IR_FP_EXACT_NEGATE_C ? sign_of(call.type) : 0;
    uint8_t rounding = fp->rounding;

    fp->rounding = fixed == IR_ROUND_DYNAMIC ? rounding : (uint8_t)fixed;
    uint64_t result = find((IrOp)(what & 0xff), call.type, call.from)(&call, fp);
    fp->rounding = rounding;
    return boxed(call.type, result);
}
