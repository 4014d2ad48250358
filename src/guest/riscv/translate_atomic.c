/*
 * Zalrsc, Zaamo, Zacas and Zabha. Both acquire and release together make an access sequentially consistent. With
 * Zama16b only LR, SC and what is wider than a register insist on alignment; the others may lie anywhere in 16 bytes.
 */
#include "guest/riscv/translate.h"

static MemOp atomic_mem_op(const Translator *t, const RiscvInsn *insn, unsigned size)
{
    static const uint16_t orders[] = { MEM_RELAXED, MEM_RELEASE, MEM_ACQUIRE, MEM_SEQ_CST };
    MemOp op = data_mem_op(t, size | MEM_SIGNED | MEM_ALIGNED | orders[insn->aq << 1 | insn->rl]);
    return op & (MemOp)~MEM_ATOMIC;
}

static MemOp amo_mem_op(const Translator *t, const RiscvInsn *insn, unsigned size)
{
    MemOp op = atomic_mem_op(t, insn, size);
    return translator_config(t)->zama16b ? op | MEM_ATOMIC : op;
}

static void load_reserved(Translator *t, const RiscvInsn *insn, unsigned size)
{
    MemOp op = atomic_mem_op(t, insn, size);
    set_x(t, insn->rd, ir_atomic(&t->ir, IR_OP_load_linked, x_type(t), op, get_address(t, insn->rs1), 0, 0));
}

static void store_conditional(Translator *t, const RiscvInsn *insn, unsigned size)
{
    MemOp op = atomic_mem_op(t, insn, size) & ~MEM_SIGNED;
    IrRef address = get_address(t, insn->rs1);
    set_x(t, insn->rd, ir_atomic(&t->ir, IR_OP_store_conditional, x_type(t), op, address, get_x(t, insn->rs2), 0));
}

static void word_op(Translator *t, const RiscvInsn *insn, IrOp op)
{
    MemOp mem = amo_mem_op(t, insn, MEM_32);
    IrRef address = get_address(t, insn->rs1), value = get_x_as(t, IR_I32, insn->rs2);
    set_x_word(t, insn->rd, ir_atomic(&t->ir, op, IR_I32, mem, address, value, 0));
}

static void double_op(Translator *t, const RiscvInsn *insn, IrOp op)
{
    MemOp mem = amo_mem_op(t, insn, MEM_64);
    IrRef address = get_address(t, insn->rs1), value = get_x(t, insn->rs2);
    set_x(t, insn->rd, ir_atomic(&t->ir, op, IR_I64, mem, address, value, 0));
}

/* Of 8 or 16 bits, the result sign-extended. */
static void narrow_op(Translator *t, const RiscvInsn *insn, IrOp op, unsigned size)
{
    MemOp mem = amo_mem_op(t, insn, size);
    IrRef address = get_address(t, insn->rs1), value = get_x_as(t, IR_I32, insn->rs2);
    set_x_word(t, insn->rd, ir_atomic(&t->ir, op, IR_I32, mem, address, value, 0));
}

/* What is no wider than a register: of 32 bits or fewer, or of 64 on RV64. */
static void compare_and_swap(Translator *t, const RiscvInsn *insn, unsigned size)
{
    IrType type = size == MEM_64 ? IR_I64 : IR_I32;
    IrRef address = get_address(t, insn->rs1), expected = get_x_as(t, type, insn->rd);
    IrRef value = get_x_as(t, type, insn->rs2);
    IrRef before = ir_atomic(&t->ir, IR_OP_atomic_cas, type, amo_mem_op(t, insn, size), address, value, expected);

    if (type == IR_I32) {
        set_x_word(t, insn->rd, before);
    } else {
        set_x(t, insn->rd, before);
    }
}

/* The value of a register pair; x0 stands for zero, whatever x1 is. I64 on RV32, I128 on RV64. */
static IrRef get_pair(Translator *t, int32_t reg)
{
    IrRef low = get_x_as(t, IR_I64, reg), high = get_x_as(t, IR_I64, reg ? reg + 1 : 0);

    if (is_rv64(t)) {
        return ir_emit(&t->ir, IR_OP_pair, IR_I128, 0, low, high, 0);
    }
    return ir_emit(&t->ir, IR_OP_deposit, IR_I64, 32 | 32 << 8, low, high, 0);
}

static void set_pair(Translator *t, int32_t reg, IrRef value)
{
    if (!reg) {
        return;
    }
    set_x(t, reg, ir_trunc(&t->ir, x_type(t), value));
    if (is_rv64(t)) {
        set_x(t, reg + 1, ir_unary(&t->ir, IR_OP_high, IR_I64, value));
    } else {
        set_x(t, reg + 1, ir_trunc(&t->ir, IR_I32, ir_binary_const(&t->ir, IR_OP_shr, IR_I64, value, 32)));
    }
}

/* Pairs begin with an even register. */
static void compare_and_swap_pair(Translator *t, const RiscvInsn *insn, unsigned size)
{
    if ((insn->rd | insn->rs2) & 1) {
        riscv_translate_illegal(t, insn);
        return;
    }
    IrType type = is_rv64(t) ? IR_I128 : IR_I64;
    MemOp op = (MemOp)(atomic_mem_op(t, insn, size) & ~MEM_SIGNED);
    IrRef address = get_address(t, insn->rs1), value = get_pair(t, insn->rs2), expected = get_pair(t, insn->rd);
    set_pair(t, insn->rd, ir_atomic(&t->ir, IR_OP_atomic_cas, type, op, address, value, expected));
}

/* lr.w rd, (rs1) */
void riscv_translate_lr_w(Translator *t, const RiscvInsn *insn)
{
    load_reserved(t, insn, MEM_32);
}

/* sc.w rd, rs2, (rs1) */
void riscv_translate_sc_w(Translator *t, const RiscvInsn *insn)
{
    store_conditional(t, insn, MEM_32);
}

/* lr.d rd, (rs1) */
void riscv_translate_lr_d(Translator *t, const RiscvInsn *insn)
{
    load_reserved(t, insn, MEM_64);
}

/* sc.d rd, rs2, (rs1) */
void riscv_translate_sc_d(Translator *t, const RiscvInsn *insn)
{
    store_conditional(t, insn, MEM_64);
}

/* amoswap.w rd, rs2, (rs1) */
void riscv_translate_amoswap_w(Translator *t, const RiscvInsn *insn)
{
    word_op(t, insn, IR_OP_atomic_swap);
}

/* amoadd.w rd, rs2, (rs1) */
void riscv_translate_amoadd_w(Translator *t, const RiscvInsn *insn)
{
    word_op(t, insn, IR_OP_atomic_add);
}

/* amoxor.w rd, rs2, (rs1) */
void riscv_translate_amoxor_w(Translator *t, const RiscvInsn *insn)
{
    word_op(t, insn, IR_OP_atomic_xor);
}

/* amoand.w rd, rs2, (rs1) */
void riscv_translate_amoand_w(Translator *t, const RiscvInsn *insn)
{
    word_op(t, insn, IR_OP_atomic_and);
}

/* amoor.w rd, rs2, (rs1) */
void riscv_translate_amoor_w(Translator *t, const RiscvInsn *insn)
{
    word_op(t, insn, IR_OP_atomic_or);
}

/* amomin.w rd, rs2, (rs1) */
void riscv_translate_amomin_w(Translator *t, const RiscvInsn *insn)
{
    word_op(t, insn, IR_OP_atomic_min_s);
}

/* amomax.w rd, rs2, (rs1) */
void riscv_translate_amomax_w(Translator *t, const RiscvInsn *insn)
{
    word_op(t, insn, IR_OP_atomic_max_s);
}

/* amominu.w rd, rs2, (rs1) */
void riscv_translate_amominu_w(Translator *t, const RiscvInsn *insn)
{
    word_op(t, insn, IR_OP_atomic_min_u);
}

/* amomaxu.w rd, rs2, (rs1) */
void riscv_translate_amomaxu_w(Translator *t, const RiscvInsn *insn)
{
    word_op(t, insn, IR_OP_atomic_max_u);
}

/* amoswap.d rd, rs2, (rs1) */
void riscv_translate_amoswap_d(Translator *t, const RiscvInsn *insn)
{
    double_op(t, insn, IR_OP_atomic_swap);
}

/* amoadd.d rd, rs2, (rs1) */
void riscv_translate_amoadd_d(Translator *t, const RiscvInsn *insn)
{
    double_op(t, insn, IR_OP_atomic_add);
}

/* amoxor.d rd, rs2, (rs1) */
void riscv_translate_amoxor_d(Translator *t, const RiscvInsn *insn)
{
    double_op(t, insn, IR_OP_atomic_xor);
}

/* amoand.d rd, rs2, (rs1) */
void riscv_translate_amoand_d(Translator *t, const RiscvInsn *insn)
{
    double_op(t, insn, IR_OP_atomic_and);
}

/* amoor.d rd, rs2, (rs1) */
void riscv_translate_amoor_d(Translator *t, const RiscvInsn *insn)
{
    double_op(t, insn, IR_OP_atomic_or);
}

/* amomin.d rd, rs2, (rs1) */
void riscv_translate_amomin_d(Translator *t, const RiscvInsn *insn)
{
    double_op(t, insn, IR_OP_atomic_min_s);
}

/* amomax.d rd, rs2, (rs1) */
void riscv_translate_amomax_d(Translator *t, const RiscvInsn *insn)
{
    double_op(t, insn, IR_OP_atomic_max_s);
}

/* amominu.d rd, rs2, (rs1) */
void riscv_translate_amominu_d(Translator *t, const RiscvInsn *insn)
{
    double_op(t, insn, IR_OP_atomic_min_u);
}

/* amomaxu.d rd, rs2, (rs1) */
void riscv_translate_amomaxu_d(Translator *t, const RiscvInsn *insn)
{
    double_op(t, insn, IR_OP_atomic_max_u);
}

/* amocas.w rd, rs2, (rs1) */
void riscv_translate_amocas_w(Translator *t, const RiscvInsn *insn)
{
    compare_and_swap(t, insn, MEM_32);
}

/* amocas.d rd, rs2, (rs1) */
void riscv_translate_amocas_d(Translator *t, const RiscvInsn *insn)
{
    if (is_rv64(t)) {
        compare_and_swap(t, insn, MEM_64);
    } else {
        compare_and_swap_pair(t, insn, MEM_64);
    }
}

/* amocas.q rd, rs2, (rs1) */
void riscv_translate_amocas_q(Translator *t, const RiscvInsn *insn)
{
    compare_and_swap_pair(t, insn, MEM_128);
}

/* amoswap.b rd, rs2, (rs1) */
void riscv_translate_amoswap_b(Translator *t, const RiscvInsn *insn)
{
    narrow_op(t, insn, IR_OP_atomic_swap, MEM_8);
}

/* amoadd.b rd, rs2, (rs1) */
void riscv_translate_amoadd_b(Translator *t, const RiscvInsn *insn)
{
    narrow_op(t, insn, IR_OP_atomic_add, MEM_8);
}

/* amoxor.b rd, rs2, (rs1) */
void riscv_translate_amoxor_b(Translator *t, const RiscvInsn *insn)
{
    narrow_op(t, insn, IR_OP_atomic_xor, MEM_8);
}

/* amoand.b rd, rs2, (rs1) */
void riscv_translate_amoand_b(Translator *t, const RiscvInsn *insn)
{
    narrow_op(t, insn, IR_OP_atomic_and, MEM_8);
}

/* amoor.b rd, rs2, (rs1) */
void riscv_translate_amoor_b(Translator *t, const RiscvInsn *insn)
{
    narrow_op(t, insn, IR_OP_atomic_or, MEM_8);
}

/* amomin.b rd, rs2, (rs1) */
void riscv_translate_amomin_b(Translator *t, const RiscvInsn *insn)
{
    narrow_op(t, insn, IR_OP_atomic_min_s, MEM_8);
}

/* amomax.b rd, rs2, (rs1) */
void riscv_translate_amomax_b(Translator *t, const RiscvInsn *insn)
{
    narrow_op(t, insn, IR_OP_atomic_max_s, MEM_8);
}

/* amominu.b rd, rs2, (rs1) */
void riscv_translate_amominu_b(Translator *t, const RiscvInsn *insn)
{
    narrow_op(t, insn, IR_OP_atomic_min_u, MEM_8);
}

/* amomaxu.b rd, rs2, (rs1) */
void riscv_translate_amomaxu_b(Translator *t, const RiscvInsn *insn)
{
    narrow_op(t, insn, IR_OP_atomic_max_u, MEM_8);
}

/* amocas.b rd, rs2, (rs1) */
void riscv_translate_amocas_b(Translator *t, const RiscvInsn *insn)
{
    compare_and_swap(t, insn, MEM_8);
}

/* amoswap.h rd, rs2, (rs1) */
void riscv_translate_amoswap_h(Translator *t, const RiscvInsn *insn)
{
    narrow_op(t, insn, IR_OP_atomic_swap, MEM_16);
}

/* amoadd.h rd, rs2, (rs1) */
void riscv_translate_amoadd_h(Translator *t, const RiscvInsn *insn)
{
    narrow_op(t, insn, IR_OP_atomic_add, MEM_16);
}

/* amoxor.h rd, rs2, (rs1) */
void riscv_translate_amoxor_h(Translator *t, const RiscvInsn *insn)
{
    narrow_op(t, insn, IR_OP_atomic_xor, MEM_16);
}

/* amoand.h rd, rs2, (rs1) */
void riscv_translate_amoand_h(Translator *t, const RiscvInsn *insn)
{
    narrow_op(t, insn, IR_OP_atomic_and, MEM_16);
}

/* amoor.h rd, rs2, (rs1) */
void riscv_translate_amoor_h(Translator *t, const RiscvInsn *insn)
{
    narrow_op(t, insn, IR_OP_atomic_or, MEM_16);
}

/* amomin.h rd, rs2, (rs1) */
void riscv_translate_amomin_h(Translator *t, const RiscvInsn *insn)
{
    narrow_op(t, insn, IR_OP_atomic_min_s, MEM_16);
}

/* amomax.h rd, rs2, (rs1) */
void riscv_translate_amomax_h(Translator *t, const RiscvInsn *insn)
{
    narrow_op(t, insn, IR_OP_atomic_max_s, MEM_16);
}

/* amominu.h rd, rs2, (rs1) */
void riscv_translate_amominu_h(Translator *t, const RiscvInsn *insn)
{
    narrow_op(t, insn, IR_OP_atomic_min_u, MEM_16);
}

/* amomaxu.h rd, rs2, (rs1) */
void riscv_translate_amomaxu_h(Translator *t, const RiscvInsn *insn)
{
    narrow_op(t, insn, IR_OP_atomic_max_u, MEM_16);
}

/* amocas.h rd, rs2, (rs1) */
void riscv_translate_amocas_h(Translator *t, const RiscvInsn *insn)
{
    compare_and_swap(t, insn, MEM_16);
}
