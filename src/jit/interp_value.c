/* The interpreter's operations on values that are too rare for a handler: 128-bit ones, copies of odd sizes, and the
 * bits of floating-point values. */
#include "base/bytes.h"
#include "jit/interp_internal.h"
#include "jit/ir_internal.h"

#include <string.h>

bool interp_convey(InterpFrame *f, const InterpInst *i)
{
    uint8_t bytes[16] = { 0 };

    memcpy(bytes, f->state + i->a, (size_t)i->c);
    memcpy(f->state + i->d, bytes, (size_t)i->b);
    return true;
}

static bool run_pair(InterpFrame *f, const InterpInst *i)
{
    U128 value = (U128)AT(uint64_t, i->b) << 64 | AT(uint64_t, i->a);
    AT(PlaceU128, i->d) = value;
    return true;
}

/* aux: the condition's type. */
static bool run_select(InterpFrame *f, const InterpInst *i)
{
    bool condition = i->aux == IR_I64 ? AT(uint64_t, i->a) != 0 : AT(uint32_t, i->a) != 0;
    size_t size = ir_type_bits(i->type) <= 64 ? 8 : 16;

    memmove(f->state + i->d, f->state + (condition ? i->b : i->c), size);
    return true;
}

#define SIGN_FUNCTIONS(name, T, sign) \
    static bool fneg_##name(InterpFrame *f, const InterpInst *i) \
    { \
        AT(T, i->d) = AT(T, i->a) ^ (T)(sign); \
        return true; \
    } \
    static bool fabs_##name(InterpFrame *f, const InterpInst *i) \
    { \
        AT(T, i->d) = AT(T, i->a) & (T) ~(T)(sign); \
        return true; \
    } \
    static bool fcopysign_##name(InterpFrame *f, const InterpInst *i) \
    { \
        AT(T, i->d) = (AT(T, i->a) & (T) ~(T)(sign)) | (AT(T, i->b) & (T)(sign)); \
        return true; \
    }
SIGN_FUNCTIONS(16, uint16_t, BIT(15))
SIGN_FUNCTIONS(32, uint32_t, BIT(31))
SIGN_FUNCTIONS(64, uint64_t, BIT(63))
SIGN_FUNCTIONS(80, PlaceU128, (U128)1 << 79)
SIGN_FUNCTIONS(128, PlaceU128, (U128)1 << 127)

#define SIGN_ROW(name) \
    [IR_F16] = name##_16, [IR_BF16] = name##_16, [IR_F32] = name##_32, [IR_F64] = name##_64, [IR_F80] = name##_80, \
    [IR_F128] = name##_128
static InterpFunction *const sign_functions[3][IR_TYPE_COUNT] = {
    { SIGN_ROW(fneg) },
    { SIGN_ROW(fabs) },
    { SIGN_ROW(fcopysign) },
};

static void write_float(const InterpFrame *f, const InterpInst *i, uint64_t value)
{
    memcpy(f->state + i->d, &value, ir_type_bits(i->type) / 8);
}

static bool run_fbox(InterpFrame *f, const InterpInst *i)
{
    uint64_t low = mask_bits(ir_type_bits(ir_fp_from(i->aux)));

    write_float(f, i, load_le64(f->state + i->a) | ~low);
    return true;
}

static bool run_funbox(InterpFrame *f, const InterpInst *i)
{
    uint64_t upper = mask_bits(ir_type_bits(ir_fp_from(i->aux))) & ~mask_bits(ir_type_bits(i->type));
    uint64_t value = load_le64(f->state + i->a);

    write_float(f, i, (value & upper) == upper ? value : eval_default_nan(i->type));
    return true;
}

InterpFunction *interp_value_function(const IrInst *inst)
{
    switch (inst->op) {
    case IR_OP_pair:
        return run_pair;
    case IR_OP_select:
        return run_select;
    case IR_OP_fneg:
    case IR_OP_fabs:
    case IR_OP_fcopysign:
        return sign_functions[inst->op == IR_OP_fneg ? 0 : inst->op == IR_OP_fabs ? 1 : 2][inst->type];
    case IR_OP_fbox:
        return run_fbox;
    case IR_OP_funbox:
        return run_funbox;
    default:
        return NULL;
    }
}
