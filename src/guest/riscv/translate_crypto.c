/* Zbkb, Zbkx, Zknd, Zkne, Zknh, Zksed and Zksh. Tables and matrices are helpers (crypto.c), rotations are IR. */
#include "guest/riscv/translate.h"

static IrRef binary(Translator *t, IrOp op, IrRef first, IrRef second)
{
    return ir_binary(&t->ir, op, x_type(t), first, second);
}

/* The low `bits` of rs1, and those of rs2 above them; the rest of `first` stays. */
static IrRef packed(Translator *t, IrType type, unsigned bits, IrRef first, int32_t second)
{
    return ir_emit(&t->ir, IR_OP_deposit, type, bits | bits << 8, first, get_x_as(t, type, second), 0);
}

/* pack rd, rs1, rs2 */
void riscv_translate_pack(Translator *t, const RiscvInsn *insn)
{
    set_x(t, insn->rd, packed(t, x_type(t), x_bits(t) / 2, get_x(t, insn->rs1), insn->rs2));
}

/* packh rd, rs1, rs2 */
void riscv_translate_packh(Translator *t, const RiscvInsn *insn)
{
    IrRef low = ir_extend(&t->ir, IR_OP_zext, x_type(t), 8, get_x(t, insn->rs1));
    set_x(t, insn->rd, packed(t, x_type(t), 8, low, insn->rs2));
}

/* packw rd, rs1, rs2 */
void riscv_translate_packw(Translator *t, const RiscvInsn *insn)
{
    set_x_word(t, insn->rd, packed(t, IR_I32, 16, get_x_as(t, IR_I32, insn->rs1), insn->rs2));
}

/* brev8 rd, rs */
void riscv_translate_brev8(Translator *t, const RiscvInsn *insn)
{
    set_x(t, insn->rd, ir_unary(&t->ir, IR_OP_bitrev_bytes, x_type(t), get_x(t, insn->rs1)));
}

/* A helper of rs1, rs2 and a number. */
static IrRef call(Translator *t, unsigned helper, IrType type, const RiscvInsn *insn, IrRef second, unsigned how)
{
    const IrRef arguments[] = { get_x_as(t, type, insn->rs1), second, ir_const(&t->ir, IR_I32, how) };
    return ir_call(&t->ir, helper, type, arguments, ARRAY_SIZE(arguments));
}

static void unary(Translator *t, const RiscvInsn *insn, unsigned helper)
{
    const IrRef value = get_x(t, insn->rs1);
    set_x(t, insn->rd, ir_call(&t->ir, helper, x_type(t), &value, 1));
}

static void whole(Translator *t, const RiscvInsn *insn, unsigned helper, unsigned how)
{
    set_x(t, insn->rd, call(t, helper, x_type(t), insn, get_x(t, insn->rs2), how));
}

/* On the low words, with the byte that bs names. */
static void word(Translator *t, const RiscvInsn *insn, unsigned helper, unsigned how)
{
    IrRef second = get_x_as(t, IR_I32, insn->rs2);
    set_x_word(t, insn->rd, call(t, helper, IR_I32, insn, second, how | (unsigned)insn->bs));
}

/* zip rd, rs */
void riscv_translate_zip(Translator *t, const RiscvInsn *insn)
{
    unary(t, insn, RISCV_HELPER_ZIP);
}

/* unzip rd, rs */
void riscv_translate_unzip(Translator *t, const RiscvInsn *insn)
{
    unary(t, insn, RISCV_HELPER_UNZIP);
}

/* xperm4 rd, rs1, rs2 */
void riscv_translate_xperm4(Translator *t, const RiscvInsn *insn)
{
    whole(t, insn, RISCV_HELPER_XPERM, 4);
}

/* xperm8 rd, rs1, rs2 */
void riscv_translate_xperm8(Translator *t, const RiscvInsn *insn)
{
    whole(t, insn, RISCV_HELPER_XPERM, 8);
}

/* aes32dsi rd, rs1, rs2, bs */
void riscv_translate_aes32dsi(Translator *t, const RiscvInsn *insn)
{
    word(t, insn, RISCV_HELPER_AES32, AES_DECRYPT);
}

/* aes32dsmi rd, rs1, rs2, bs */
void riscv_translate_aes32dsmi(Translator *t, const RiscvInsn *insn)
{
    word(t, insn, RISCV_HELPER_AES32, AES_DECRYPT | AES_MIDDLE);
}

/* aes32esi rd, rs1, rs2, bs */
void riscv_translate_aes32esi(Translator *t, const RiscvInsn *insn)
{
    word(t, insn, RISCV_HELPER_AES32, 0);
}

/* aes32esmi rd, rs1, rs2, bs */
void riscv_translate_aes32esmi(Translator *t, const RiscvInsn *insn)
{
    word(t, insn, RISCV_HELPER_AES32, AES_MIDDLE);
}

/* aes64ds rd, rs1, rs2 */
void riscv_translate_aes64ds(Translator *t, const RiscvInsn *insn)
{
    whole(t, insn, RISCV_HELPER_AES64, AES_DECRYPT);
}

/* aes64dsm rd, rs1, rs2 */
void riscv_translate_aes64dsm(Translator *t, const RiscvInsn *insn)
{
    whole(t, insn, RISCV_HELPER_AES64, AES_DECRYPT | AES_MIDDLE);
}

/* aes64es rd, rs1, rs2 */
void riscv_translate_aes64es(Translator *t, const RiscvInsn *insn)
{
    whole(t, insn, RISCV_HELPER_AES64, 0);
}

/* aes64esm rd, rs1, rs2 */
void riscv_translate_aes64esm(Translator *t, const RiscvInsn *insn)
{
    whole(t, insn, RISCV_HELPER_AES64, AES_MIDDLE);
}

/* aes64im rd, rs1 */
void riscv_translate_aes64im(Translator *t, const RiscvInsn *insn)
{
    unary(t, insn, RISCV_HELPER_AES64IM);
}

/* aes64ks1i rd, rs1, rnum */
void riscv_translate_aes64ks1i(Translator *t, const RiscvInsn *insn)
{
    IrRef round = ir_const(&t->ir, IR_I32, (uint32_t)insn->rnum);
    set_x(t, insn->rd, call(t, RISCV_HELPER_AES64KS1I, IR_I64, insn, round, 0));
}

/* aes64ks2 rd, rs1, rs2: words rs1.high ^ rs2.low, and that ^ rs2.high */
void riscv_translate_aes64ks2(Translator *t, const RiscvInsn *insn)
{
    IrRef second = get_x(t, insn->rs2);
    IrRef first = ir_binary_const(&t->ir, IR_OP_shr, IR_I64, get_x(t, insn->rs1), 32);
    IrRef low = binary(t, IR_OP_xor, first, second);
    IrRef sum = binary(t, IR_OP_xor, low, ir_binary_const(&t->ir, IR_OP_shr, IR_I64, second, 32));
    set_x(t, insn->rd, ir_emit(&t->ir, IR_OP_deposit, IR_I64, 32 | 32 << 8, low, sum, 0));
}

/* Hashes: sums (exclusive or) of shifted and rotated values. */

typedef struct Term {
    uint8_t op; /* IrOp; 0: the value as it is */
    uint8_t amount;
    bool second; /* of rs2 */
} Term;

static IrRef sum_of(Translator *t, IrType type, const RiscvInsn *insn, const Term *terms, size_t count)
{
    IrRef sum = 0;

    for (size_t i = 0; i < count; i++) {
        IrRef value = get_x_as(t, type, terms[i].second ? insn->rs2 : insn->rs1);
        if (terms[i].op) {
            value = ir_binary_const(&t->ir, (IrOp)terms[i].op, type, value, terms[i].amount);
        }
        sum = sum ? ir_binary(&t->ir, IR_OP_xor, type, sum, value) : value;
    }
    return sum;
}

#define LEFT(amount_, ...) { IR_OP_shl, amount_, __VA_ARGS__ }
#define RIGHT(amount_, ...) { IR_OP_shr, amount_, __VA_ARGS__ }
#define ROTATED(amount_) { IR_OP_rotr, amount_ }
#define ROTATED_LEFT(amount_) { IR_OP_rotl, amount_ }
/* Of 32 bits, sign-extended; of 64. */
#define HASH_32(name_, ...) \
    void riscv_translate_##name_(Translator *t, const RiscvInsn *insn) \
    { \
        static const Term terms[] = { __VA_ARGS__ }; \
        set_x_word(t, insn->rd, sum_of(t, IR_I32, insn, terms, ARRAY_SIZE(terms))); \
    }
#define HASH_64(name_, ...) \
    void riscv_translate_##name_(Translator *t, const RiscvInsn *insn) \
    { \
        static const Term terms[] = { __VA_ARGS__ }; \
        set_x(t, insn->rd, sum_of(t, IR_I64, insn, terms, ARRAY_SIZE(terms))); \
    }

/* sha256sig0 rd, rs1 and the like: FIPS 180-4, 4.1.2 */
HASH_32(sha256sig0, ROTATED(7), ROTATED(18), RIGHT(3))
HASH_32(sha256sig1, ROTATED(17), ROTATED(19), RIGHT(10))
HASH_32(sha256sum0, ROTATED(2), ROTATED(13), ROTATED(22))
HASH_32(sha256sum1, ROTATED(6), ROTATED(11), ROTATED(25))

/* sha512sig0 rd, rs1 and the like: FIPS 180-4, 4.1.3 */
HASH_64(sha512sig0, ROTATED(1), ROTATED(8), RIGHT(7))
HASH_64(sha512sig1, ROTATED(19), ROTATED(61), RIGHT(6))
HASH_64(sha512sum0, ROTATED(28), ROTATED(34), ROTATED(39))
HASH_64(sha512sum1, ROTATED(14), ROTATED(18), ROTATED(41))

/* sha512sig0h rd, rs1, rs2 and the like: halves of the same on RV32 */
HASH_32(sha512sig0h, RIGHT(1), RIGHT(7), RIGHT(8), LEFT(31, true), LEFT(24, true))
HASH_32(sha512sig0l, RIGHT(1), RIGHT(7), RIGHT(8), LEFT(31, true), LEFT(25, true), LEFT(24, true))
HASH_32(sha512sig1h, LEFT(3), RIGHT(6), RIGHT(19), RIGHT(29, true), LEFT(13, true))
HASH_32(sha512sig1l, LEFT(3), RIGHT(6), RIGHT(19), RIGHT(29, true), LEFT(26, true), LEFT(13, true))
HASH_32(sha512sum0r, LEFT(25), LEFT(30), RIGHT(28), RIGHT(7, true), RIGHT(2, true), LEFT(4, true))
HASH_32(sha512sum1r, LEFT(23), RIGHT(14), RIGHT(18), RIGHT(9, true), LEFT(18, true), LEFT(14, true))

/* sm3p0 rd, rs1 and sm3p1 rd, rs1: GB/T 32905-2016, 4.5 */
HASH_32(sm3p0, { 0 }, ROTATED_LEFT(9), ROTATED_LEFT(17))
HASH_32(sm3p1, { 0 }, ROTATED_LEFT(15), ROTATED_LEFT(23))

/* sm4ed rd, rs1, rs2, bs */
void riscv_translate_sm4ed(Translator *t, const RiscvInsn *insn)
{
    word(t, insn, RISCV_HELPER_SM4, 0);
}

/* sm4ks rd, rs1, rs2, bs */
void riscv_translate_sm4ks(Translator *t, const RiscvInsn *insn)
{
    word(t, insn, RISCV_HELPER_SM4, SM4_KEY);
}
