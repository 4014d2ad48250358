/* Zba, Zbb, Zbc and Zbs; Zicond. */
#include "guest/riscv/translate.h"

static IrRef binary(Translator *t, IrOp op, IrRef first, IrRef second)
{
    return ir_binary(&t->ir, op, x_type(t), first, second);
}

static void register_op(Translator *t, const RiscvInsn *insn, IrOp op)
{
    set_x(t, insn->rd, binary(t, op, get_x(t, insn->rs1), get_x(t, insn->rs2)));
}

static void unary_op(Translator *t, const RiscvInsn *insn, IrOp op)
{
    set_x(t, insn->rd, ir_unary(&t->ir, op, x_type(t), get_x(t, insn->rs1)));
}

/* Counts bits of the low word: never negative, so nothing is to be extended. */
static void word_count(Translator *t, const RiscvInsn *insn, IrOp op)
{
    set_x(t, insn->rd, ir_unary(&t->ir, op, IR_I32, get_x_as(t, IR_I32, insn->rs1)));
}

static void extend(Translator *t, const RiscvInsn *insn, IrOp op, unsigned bits)
{
    set_x(t, insn->rd, ir_extend(&t->ir, op, x_type(t), bits, get_x(t, insn->rs1)));
}

static IrRef low_word(Translator *t, int32_t reg)
{
    return ir_extend(&t->ir, IR_OP_zext, IR_I64, 32, get_x(t, reg));
}

static void shift_add(Translator *t, const RiscvInsn *insn, IrRef first, unsigned shift)
{
    IrRef shifted = shift ? binary(t, IR_OP_shl, first, x_const(t, shift)) : first;
    set_x(t, insn->rd, insn->rs2 ? binary(t, IR_OP_add, shifted, get_x(t, insn->rs2)) : shifted);
}

/* sh1add rd, rs1, rs2 */
void riscv_translate_sh1add(Translator *t, const RiscvInsn *insn)
{
    shift_add(t, insn, get_x(t, insn->rs1), 1);
}

/* sh2add rd, rs1, rs2 */
void riscv_translate_sh2add(Translator *t, const RiscvInsn *insn)
{
    shift_add(t, insn, get_x(t, insn->rs1), 2);
}

/* sh3add rd, rs1, rs2 */
void riscv_translate_sh3add(Translator *t, const RiscvInsn *insn)
{
    shift_add(t, insn, get_x(t, insn->rs1), 3);
}

/* add.uw rd, rs1, rs2; zext.w where rs2 is x0 */
void riscv_translate_add_uw(Translator *t, const RiscvInsn *insn)
{
    shift_add(t, insn, low_word(t, insn->rs1), 0);
}

/* sh1add.uw rd, rs1, rs2 */
void riscv_translate_sh1add_uw(Translator *t, const RiscvInsn *insn)
{
    shift_add(t, insn, low_word(t, insn->rs1), 1);
}

/* sh2add.uw rd, rs1, rs2 */
void riscv_translate_sh2add_uw(Translator *t, const RiscvInsn *insn)
{
    shift_add(t, insn, low_word(t, insn->rs1), 2);
}

/* sh3add.uw rd, rs1, rs2 */
void riscv_translate_sh3add_uw(Translator *t, const RiscvInsn *insn)
{
    shift_add(t, insn, low_word(t, insn->rs1), 3);
}

/* slli.uw rd, rs1, shamt */
void riscv_translate_slli_uw(Translator *t, const RiscvInsn *insn)
{
    set_x(t, insn->rd, binary(t, IR_OP_shl, low_word(t, insn->rs1), x_const(t, insn->shamt)));
}

/* andn rd, rs1, rs2 */
void riscv_translate_andn(Translator *t, const RiscvInsn *insn)
{
    register_op(t, insn, IR_OP_andn);
}

/* orn rd, rs1, rs2 */
void riscv_translate_orn(Translator *t, const RiscvInsn *insn)
{
    IrRef inverted = ir_unary(&t->ir, IR_OP_not, x_type(t), get_x(t, insn->rs2));
    set_x(t, insn->rd, binary(t, IR_OP_or, get_x(t, insn->rs1), inverted));
}

/* xnor rd, rs1, rs2 */
void riscv_translate_xnor(Translator *t, const RiscvInsn *insn)
{
    IrRef different = binary(t, IR_OP_xor, get_x(t, insn->rs1), get_x(t, insn->rs2));
    set_x(t, insn->rd, ir_unary(&t->ir, IR_OP_not, x_type(t), different));
}

/* clz rd, rs */
void riscv_translate_clz(Translator *t, const RiscvInsn *insn)
{
    unary_op(t, insn, IR_OP_clz);
}

/* ctz rd, rs */
void riscv_translate_ctz(Translator *t, const RiscvInsn *insn)
{
    unary_op(t, insn, IR_OP_ctz);
}

/* cpop rd, rs */
void riscv_translate_cpop(Translator *t, const RiscvInsn *insn)
{
    unary_op(t, insn, IR_OP_popcount);
}

/* clzw rd, rs */
void riscv_translate_clzw(Translator *t, const RiscvInsn *insn)
{
    word_count(t, insn, IR_OP_clz);
}

/* ctzw rd, rs */
void riscv_translate_ctzw(Translator *t, const RiscvInsn *insn)
{
    word_count(t, insn, IR_OP_ctz);
}

/* cpopw rd, rs */
void riscv_translate_cpopw(Translator *t, const RiscvInsn *insn)
{
    word_count(t, insn, IR_OP_popcount);
}

/* max rd, rs1, rs2 */
void riscv_translate_max(Translator *t, const RiscvInsn *insn)
{
    register_op(t, insn, IR_OP_max_s);
}

/* maxu rd, rs1, rs2 */
void riscv_translate_maxu(Translator *t, const RiscvInsn *insn)
{
    register_op(t, insn, IR_OP_max_u);
}

/* min rd, rs1, rs2 */
void riscv_translate_min(Translator *t, const RiscvInsn *insn)
{
    register_op(t, insn, IR_OP_min_s);
}

/* minu rd, rs1, rs2 */
void riscv_translate_minu(Translator *t, const RiscvInsn *insn)
{
    register_op(t, insn, IR_OP_min_u);
}

/* sext.b rd, rs */
void riscv_translate_sext_b(Translator *t, const RiscvInsn *insn)
{
    extend(t, insn, IR_OP_sext, 8);
}

/* sext.h rd, rs */
void riscv_translate_sext_h(Translator *t, const RiscvInsn *insn)
{
    extend(t, insn, IR_OP_sext, 16);
}

/* zext.h rd, rs */
void riscv_translate_zext_h(Translator *t, const RiscvInsn *insn)
{
    extend(t, insn, IR_OP_zext, 16);
}

/* rol rd, rs1, rs2 */
void riscv_translate_rol(Translator *t, const RiscvInsn *insn)
{
    register_op(t, insn, IR_OP_rotl);
}

/* ror rd, rs1, rs2 */
void riscv_translate_ror(Translator *t, const RiscvInsn *insn)
{
    register_op(t, insn, IR_OP_rotr);
}

/* rori rd, rs1, shamt */
void riscv_translate_rori(Translator *t, const RiscvInsn *insn)
{
    set_x(t, insn->rd, binary(t, IR_OP_rotr, get_x(t, insn->rs1), x_const(t, insn->shamt)));
}

static void rotate_word(Translator *t, const RiscvInsn *insn, IrOp op, IrRef amount)
{
    set_x_word(t, insn->rd, ir_binary(&t->ir, op, IR_I32, get_x_as(t, IR_I32, insn->rs1), amount));
}

/* rolw rd, rs1, rs2 */
void riscv_translate_rolw(Translator *t, const RiscvInsn *insn)
{
    rotate_word(t, insn, IR_OP_rotl, get_x_as(t, IR_I32, insn->rs2));
}

/* rorw rd, rs1, rs2 */
void riscv_translate_rorw(Translator *t, const RiscvInsn *insn)
{
    rotate_word(t, insn, IR_OP_rotr, get_x_as(t, IR_I32, insn->rs2));
}

/* roriw rd, rs1, shamt */
void riscv_translate_roriw(Translator *t, const RiscvInsn *insn)
{
    rotate_word(t, insn, IR_OP_rotr, ir_const(&t->ir, IR_I32, (uint32_t)insn->shamt));
}

/* orc.b rd, rs */
void riscv_translate_orc_b(Translator *t, const RiscvInsn *insn)
{
    unary_op(t, insn, IR_OP_orc_bytes);
}

/* rev8 rd, rs */
void riscv_translate_rev8(Translator *t, const RiscvInsn *insn)
{
    unary_op(t, insn, IR_OP_bswap);
}

/* clmul rd, rs1, rs2 */
void riscv_translate_clmul(Translator *t, const RiscvInsn *insn)
{
    register_op(t, insn, IR_OP_clmul);
}

/* clmulh rd, rs1, rs2 */
void riscv_translate_clmulh(Translator *t, const RiscvInsn *insn)
{
    register_op(t, insn, IR_OP_clmulh);
}

/* clmulr rd, rs1, rs2: the product from its bit XLEN - 1 on */
void riscv_translate_clmulr(Translator *t, const RiscvInsn *insn)
{
    IrRef first = get_x(t, insn->rs1), second = get_x(t, insn->rs2);
    IrRef high = binary(t, IR_OP_shl, binary(t, IR_OP_clmulh, first, second), x_const(t, 1));
    IrRef low = binary(t, IR_OP_shr, binary(t, IR_OP_clmul, first, second), x_const(t, x_bits(t) - 1));
    set_x(t, insn->rd, binary(t, IR_OP_or, high, low));
}

/* The bit that rs2, or the immediate, names. */
static IrRef register_bit(Translator *t, const RiscvInsn *insn)
{
    return binary(t, IR_OP_shl, x_const(t, 1), get_x(t, insn->rs2));
}

static IrRef immediate_bit(Translator *t, const RiscvInsn *insn)
{
    return x_const(t, (int64_t)BIT(insn->shamt));
}

/* bclr rd, rs1, rs2 */
void riscv_translate_bclr(Translator *t, const RiscvInsn *insn)
{
    set_x(t, insn->rd, binary(t, IR_OP_andn, get_x(t, insn->rs1), register_bit(t, insn)));
}

/* bext rd, rs1, rs2 */
void riscv_translate_bext(Translator *t, const RiscvInsn *insn)
{
    IrRef shifted = binary(t, IR_OP_shr, get_x(t, insn->rs1), get_x(t, insn->rs2));
    set_x(t, insn->rd, binary(t, IR_OP_and, shifted, x_const(t, 1)));
}

/* binv rd, rs1, rs2 */
void riscv_translate_binv(Translator *t, const RiscvInsn *insn)
{
    set_x(t, insn->rd, binary(t, IR_OP_xor, get_x(t, insn->rs1), register_bit(t, insn)));
}

/* bset rd, rs1, rs2 */
void riscv_translate_bset(Translator *t, const RiscvInsn *insn)
{
    set_x(t, insn->rd, binary(t, IR_OP_or, get_x(t, insn->rs1), register_bit(t, insn)));
}

/* bclri rd, rs1, shamt */
void riscv_translate_bclri(Translator *t, const RiscvInsn *insn)
{
    set_x(t, insn->rd, binary(t, IR_OP_andn, get_x(t, insn->rs1), immediate_bit(t, insn)));
}

/* bexti rd, rs1, shamt */
void riscv_translate_bexti(Translator *t, const RiscvInsn *insn)
{
    unsigned field = (unsigned)insn->shamt | 1 << 8;
    set_x(t, insn->rd, ir_emit(&t->ir, IR_OP_extract, x_type(t), field, get_x(t, insn->rs1), 0, 0));
}

/* binvi rd, rs1, shamt */
void riscv_translate_binvi(Translator *t, const RiscvInsn *insn)
{
    set_x(t, insn->rd, binary(t, IR_OP_xor, get_x(t, insn->rs1), immediate_bit(t, insn)));
}

/* bseti rd, rs1, shamt */
void riscv_translate_bseti(Translator *t, const RiscvInsn *insn)
{
    set_x(t, insn->rd, binary(t, IR_OP_or, get_x(t, insn->rs1), immediate_bit(t, insn)));
}

/* czero.eqz rd, rs1, rs2: zero where rs2 is, else rs1 */
void riscv_translate_czero_eqz(Translator *t, const RiscvInsn *insn)
{
    IrRef value = get_x(t, insn->rs1), condition = get_x(t, insn->rs2);
    set_x(t, insn->rd, ir_select(&t->ir, x_type(t), condition, value, x_const(t, 0)));
}

/* czero.nez rd, rs1, rs2: zero where rs2 is not, else rs1 */
void riscv_translate_czero_nez(Translator *t, const RiscvInsn *insn)
{
    IrRef value = get_x(t, insn->rs1), condition = get_x(t, insn->rs2);
    set_x(t, insn->rd, ir_select(&t->ir, x_type(t), condition, x_const(t, 0), value));
}
