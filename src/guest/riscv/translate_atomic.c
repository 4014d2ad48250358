/* Zalrsc and Zaamo. Both acquire and release together make an access sequentially consistent. */
#include "guest/riscv/translate.h"

static MemOp atomic_mem_op(const Translator *t, const RiscvInsn *insn, unsigned size)
{
    static const uint16_t orders[] = { MEM_RELAXED, MEM_RELEASE, MEM_ACQUIRE, MEM_SEQ_CST };
    return data_mem_op(t, size | MEM_SIGNED | MEM_ALIGNED | MEM_ATOMIC | orders[insn->aq << 1 | insn->rl]);
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
    MemOp mem = atomic_mem_op(t, insn, MEM_32);
    IrRef address = get_address(t, insn->rs1), value = get_x_as(t, IR_I32, insn->rs2);
    set_x_word(t, insn->rd, ir_atomic(&t->ir, op, IR_I32, mem, address, value, 0));
}

static void double_op(Translator *t, const RiscvInsn *insn, IrOp op)
{
    MemOp mem = atomic_mem_op(t, insn, MEM_64);
    IrRef address = get_address(t, insn->rs1), value = get_x(t, insn->rs2);
    set_x(t, insn->rd, ir_atomic(&t->ir, op, IR_I64, mem, address, value, 0));
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
