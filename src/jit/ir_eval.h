/*
 * What each pure integer operation means, once: constant folding and the interpreter both expand these tables. The
 * expressions see a and b (unsigned, of the instruction's width), `aux`, and the names U, S (unsigned and signed), UU
 * and SS (of twice the width) and BITS.
 */
#pragma once

#include "base/compiler.h"
#include "jit/ir.h"

typedef unsigned __int128 U128;
typedef __int128 S128;

static inline uint64_t eval_bitrev_bytes(uint64_t v)
{
    v = (v >> 1 & 0x5555555555555555) | (v & 0x5555555555555555) << 1;
    v = (v >> 2 & 0x3333333333333333) | (v & 0x3333333333333333) << 2;
    return (v >> 4 & 0x0f0f0f0f0f0f0f0f) | (v & 0x0f0f0f0f0f0f0f0f) << 4;
}

/* Bit 7 of each byte that is not zero, spread over the byte. */
static inline uint64_t eval_orc_bytes(uint64_t v)
{
    uint64_t high = (((v & 0x7f7f7f7f7f7f7f7f) + 0x7f7f7f7f7f7f7f7f) | v) & 0x8080808080808080;
    return (high >> 7) * 0xff;
}

static inline U128 eval_clmul_wide(uint64_t a, uint64_t b)
{
    U128 sum = 0;
    for (; b; b &= b - 1) {
        sum ^= (U128)a << __builtin_ctzll(b);
    }
    return sum;
}

/* X(name, expression): operands TT or TI, result T. Shift amounts come in at full width: the low bits are enough. */
#define EVAL_BINARY(X) \
    X(add, a + b) \
    X(sub, a - b) \
    X(mul, a *b) \
    X(mulh_s, (U)((UU)((SS)(S)a * (S)b) >> BITS)) \
    X(mulh_u, (U)((UU)a * b >> BITS)) \
    X(mulh_su, (U)((UU)((SS)(S)a * (SS)(UU)b) >> BITS)) \
    X(div_s, b == 0 ? (U)(aux == 1 ? -1 : 0) : b == (U)-1 ? 0 - a : (U)((S)a / (S)b)) \
    X(div_u, b == 0 ? (U)(aux == 1 ? -1 : 0) : a / b) \
    X(rem_s, b == 0 ? a : b == (U)-1 ? 0 : (U)((S)a % (S)b)) \
    X(rem_u, b == 0 ? a : a % b) \
    X(and, a &b) \
    X(or, a | b) \
    X(xor, a ^ b) \
    X(andn, a & ~b) \
    X(shl, a << (b & (BITS - 1))) \
    X(shr, a >> (b & (BITS - 1))) \
    X(sar, (U)((S)a >> (b & (BITS - 1)))) \
    X(rotl, a << (b & (BITS - 1)) | a >> (-b & (BITS - 1))) \
    X(rotr, a >> (b & (BITS - 1)) | a << (-b & (BITS - 1))) \
    X(clmul, (U)eval_clmul_wide(a, b)) \
    X(clmulh, (U)(eval_clmul_wide(a, b) >> BITS)) \
    X(min_s, (S)a < (S)b ? a : b) \
    X(min_u, a < b ? a : b) \
    X(max_s, (S)a > (S)b ? a : b) \
    X(max_u, a > b ? a : b) \
    X(deposit, (U)bits_deposit(a, aux & 0xff, aux >> 8, b))

/* Operand T, result T. */
#define EVAL_UNARY(X) \
    X(neg, 0 - a) \
    X(not, ~a) \
    X(clz, a ? (U)__builtin_clzll(a) - (64 - BITS) : BITS) \
    X(ctz, a ? (U)__builtin_ctzll(a) : BITS) \
    X(popcount, (U)__builtin_popcountll(a)) \
    X(bswap, (U)(__builtin_bswap64(a) >> (64 - BITS))) \
    X(bitrev, (U)(eval_bitrev_bytes(__builtin_bswap64(a)) >> (64 - BITS))) \
    X(bitrev_bytes, (U)eval_bitrev_bytes(a)) \
    X(orc_bytes, (U)eval_orc_bytes(a)) \
    X(extract, (U)bits_extract(a, aux & 0xff, aux >> 8))

/* X(name, expression), in the order of IrCondition. */
#define EVAL_CONDITIONS(X) \
    X(EQ, a == b) \
    X(NE, a != b) \
    X(LT_S, (S)a < (S)b) \
    X(GE_S, (S)a >= (S)b) \
    X(LE_S, (S)a <= (S)b) \
    X(GT_S, (S)a > (S)b) \
    X(LT_U, a < b) \
    X(GE_U, a >= b) \
    X(LE_U, a <= b) \
    X(GT_U, a > b) \
    X(TEST_EQ, (a & b) == 0) \
    X(TEST_NE, (a & b) != 0)

#define EVAL_TYPES(bits, double_unsigned, double_signed) \
    typedef uint##bits##_t U UNUSED; \
    typedef int##bits##_t S UNUSED; \
    typedef double_unsigned UU UNUSED; \
    typedef double_signed SS UNUSED; \
    enum { BITS = bits }

#define EVAL_DEFINE(name, expression) \
    static inline uint32_t eval_##name##_32(uint32_t a, uint32_t b, unsigned aux) \
    { \
        EVAL_TYPES(32, uint64_t, int64_t); \
        return expression; \
    } \
    static inline uint64_t eval_##name##_64(uint64_t a, uint64_t b, unsigned aux) \
    { \
        EVAL_TYPES(64, U128, S128); \
        return expression; \
    }
EVAL_BINARY(EVAL_DEFINE)
EVAL_UNARY(EVAL_DEFINE)
EVAL_CONDITIONS(EVAL_DEFINE)
#undef EVAL_DEFINE

/* Of the formats up to 64 bits: where the sign bit is. */
static inline uint64_t eval_sign_bit(IrType type)
{
    return type == IR_F64 ? BIT(63) : type == IR_F32 ? BIT(31) : BIT(15);
}

/* funbox of a value that is not boxed: the default NaN (positive, as every guest that boxes has it). */
static inline uint64_t eval_default_nan(IrType type)
{
    return type == IR_F64    ? UINT64_C(0x7ff8000000000000)
           : type == IR_F32  ? 0x7fc00000
           : type == IR_BF16 ? 0x7fc0
                             : 0x7e00;
}

/*
 * The result of a pure operation on constants. `operand_types` and `values` are those of a, b and c. False where the
 * operation is not pure or a type is wider than 64 bits.
 */
bool ir_evaluate(IrOp op, IrType type, unsigned aux, const IrType operand_types[3], const uint64_t values[3],
                 uint64_t *result);
