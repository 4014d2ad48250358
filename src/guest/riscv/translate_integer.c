/* RV32I, RV64I, M and Zifencei. Each function is headed by the manual's syntax. */
#include "guest/riscv/translate.h"

static void register_op(Translator *t, const RiscvInsn *insn, IrOp op)
{
    set_x(t, insn->rd, ir_binary(&t->ir, op, x_type(t), get_x(t, insn->rs1), get_x(t, insn->rs2)));
}

static void immediate_op(Translator *t, const RiscvInsn *insn, IrOp op, int64_t value)
{
    set_x(t, insn->rd, ir_binary(&t->ir, op, x_type(t), get_x(t, insn->rs1), x_const(t, value)));
}

static void compare_op(Translator *t, const RiscvInsn *insn, IrCondition condition, IrRef second)
{
    set_x(t, insn->rd, ir_compare(&t->ir, condition, x_type(t), get_x(t, insn->rs1), second));
}

/* On the low 32 bits, the result sign-extended. */
static void word_op(Translator *t, const RiscvInsn *insn, IrOp op)
{
    IrRef first = get_x_as(t, IR_I32, insn->rs1), second = get_x_as(t, IR_I32, insn->rs2);
    set_x_word(t, insn->rd, ir_binary(&t->ir, op, IR_I32, first, second));
}

static void word_immediate_op(Translator *t, const RiscvInsn *insn, IrOp op, int32_t value)
{
    IrRef first = get_x_as(t, IR_I32, insn->rs1);
    set_x_word(t, insn->rd, ir_binary_const(&t->ir, op, IR_I32, first, (uint32_t)value));
}

/* RISC-V divides without traps: by zero gives all ones. */
static IrRef divide(Translator *t, IrOp op, IrType type, const RiscvInsn *insn)
{
    unsigned rule = op == IR_OP_div_s || op == IR_OP_div_u;
    return ir_emit(&t->ir, op, type, rule, get_x_as(t, type, insn->rs1), get_x_as(t, type, insn->rs2), 0);
}

/* Control transfers. */

static bool is_link(int32_t reg)
{
    return reg == 1 || reg == 5;
}

static bool is_misaligned(const Translator *t, uint64_t target)
{
    return target & 2 && !translator_config(t)->zca;
}

static void jump_to(Translator *t, uint64_t target)
{
    if (is_misaligned(t, target)) {
        riscv_translate_raise(t, CAUSE_FETCH_MISALIGNED, target);
    } else {
        ir_goto(&t->ir, target);
    }
    t->ended = true;
}

static uint64_t pc_relative(const Translator *t, int32_t offset)
{
    return riscv_truncate(translator_config(t), t->pc + (uint64_t)(int64_t)offset);
}

/* The block goes on where the branch is not taken, that is where `otherwise` holds. */
static void branch_unless(Translator *t, const RiscvInsn *insn, IrCondition otherwise)
{
    IrRef stays = ir_compare(&t->ir, otherwise, IR_I32, get_x(t, insn->rs1), get_x(t, insn->rs2));
    unsigned label = ir_label_new(&t->ir);

    ir_branch(&t->ir, stays, label);
    jump_to(t, pc_relative(t, insn->imm));
    ir_label(&t->ir, label);
    t->ended = false;
}

static void load(Translator *t, const RiscvInsn *insn, unsigned op)
{
    set_x(t, insn->rd, ir_load(&t->ir, x_type(t), data_mem_op(t, op), get_address(t, insn->rs1), insn->imm));
}

static void store(Translator *t, const RiscvInsn *insn, unsigned op)
{
    ir_store(&t->ir, data_mem_op(t, op), get_address(t, insn->rs1), insn->imm, get_x(t, insn->rs2));
}

/* lui rd, imm */
void riscv_translate_lui(Translator *t, const RiscvInsn *insn)
{
    set_x(t, insn->rd, x_const(t, insn->imm));
}

/* auipc rd, imm */
void riscv_translate_auipc(Translator *t, const RiscvInsn *insn)
{
    set_x(t, insn->rd, x_const(t, (int64_t)pc_relative(t, insn->imm)));
}

/* jal rd, offset */
void riscv_translate_jal(Translator *t, const RiscvInsn *insn)
{
    uint64_t target = pc_relative(t, insn->imm);

    if (!is_misaligned(t, target)) {
        set_x(t, insn->rd, x_const(t, (int64_t)next_pc(t, insn)));
        if (is_link(insn->rd)) {
            ir_push_return(&t->ir, next_pc(t, insn));
        }
    }
    jump_to(t, target);
}

/* Where the target may be misaligned: raises that at `label` later. */
static void branch_if_misaligned(Translator *t, IrRef target, unsigned label)
{
    IrRef bit = ir_const(&t->ir, IR_I64, 2);
    ir_branch(&t->ir, ir_compare(&t->ir, IR_TEST_NE, IR_I32, target, bit), label);
}

static void raise_misaligned_at(Translator *t, IrRef target, unsigned label)
{
    ir_label(&t->ir, label);
    const IrRef arguments[] = { ir_const(&t->ir, IR_I32, CAUSE_FETCH_MISALIGNED), target };
    ir_call(&t->ir, RISCV_HELPER_RAISE, IR_VOID, arguments, ARRAY_SIZE(arguments));
    ir_exit(&t->ir, IR_EXIT_EXCEPTION);
}

/* jalr rd, rs1, offset */
void riscv_translate_jalr(Translator *t, const RiscvInsn *insn)
{
    bool check = !translator_config(t)->zca;
    uint64_t mask = mask_bits(x_bits(t)) & ~UINT64_C(1);
    unsigned label = check ? ir_label_new(&t->ir) : 0;
    IrRef target = get_address(t, insn->rs1);

    if (insn->imm) {
        target = ir_binary_const(&t->ir, IR_OP_add, IR_I64, target, (uint64_t)(int64_t)insn->imm);
    }
    target = ir_binary_const(&t->ir, IR_OP_and, IR_I64, target, mask);
    if (check) {
        branch_if_misaligned(t, target, label);
    }
    set_x(t, insn->rd, x_const(t, (int64_t)next_pc(t, insn)));
    IrJumpHint hint = IR_JUMP_PLAIN;
    if (is_link(insn->rd)) {
        ir_push_return(&t->ir, next_pc(t, insn));
        hint = IR_JUMP_CALL;
    } else if (is_link(insn->rs1)) {
        hint = IR_JUMP_RETURN;
    }
    ir_goto_value(&t->ir, target, hint);
    if (check) {
        raise_misaligned_at(t, target, label);
    }
    t->ended = true;
}

/* beq rs1, rs2, offset */
void riscv_translate_beq(Translator *t, const RiscvInsn *insn)
{
    branch_unless(t, insn, IR_NE);
}

/* bne rs1, rs2, offset */
void riscv_translate_bne(Translator *t, const RiscvInsn *insn)
{
    branch_unless(t, insn, IR_EQ);
}

/* blt rs1, rs2, offset */
void riscv_translate_blt(Translator *t, const RiscvInsn *insn)
{
    branch_unless(t, insn, IR_GE_S);
}

/* bge rs1, rs2, offset */
void riscv_translate_bge(Translator *t, const RiscvInsn *insn)
{
    branch_unless(t, insn, IR_LT_S);
}

/* bltu rs1, rs2, offset */
void riscv_translate_bltu(Translator *t, const RiscvInsn *insn)
{
    branch_unless(t, insn, IR_GE_U);
}

/* bgeu rs1, rs2, offset */
void riscv_translate_bgeu(Translator *t, const RiscvInsn *insn)
{
    branch_unless(t, insn, IR_LT_U);
}

/* lb rd, offset(rs1) */
void riscv_translate_lb(Translator *t, const RiscvInsn *insn)
{
    load(t, insn, MEM_8 | MEM_SIGNED);
}

/* lh rd, offset(rs1) */
void riscv_translate_lh(Translator *t, const RiscvInsn *insn)
{
    load(t, insn, MEM_16 | MEM_SIGNED);
}

/* lw rd, offset(rs1) */
void riscv_translate_lw(Translator *t, const RiscvInsn *insn)
{
    load(t, insn, MEM_32 | MEM_SIGNED);
}

/* ld rd, offset(rs1) */
void riscv_translate_ld(Translator *t, const RiscvInsn *insn)
{
    load(t, insn, MEM_64);
}

/* lbu rd, offset(rs1) */
void riscv_translate_lbu(Translator *t, const RiscvInsn *insn)
{
    load(t, insn, MEM_8);
}

/* lhu rd, offset(rs1) */
void riscv_translate_lhu(Translator *t, const RiscvInsn *insn)
{
    load(t, insn, MEM_16);
}

/* lwu rd, offset(rs1) */
void riscv_translate_lwu(Translator *t, const RiscvInsn *insn)
{
    load(t, insn, MEM_32);
}

/* sb rs2, offset(rs1) */
void riscv_translate_sb(Translator *t, const RiscvInsn *insn)
{
    store(t, insn, MEM_8);
}

/* sh rs2, offset(rs1) */
void riscv_translate_sh(Translator *t, const RiscvInsn *insn)
{
    store(t, insn, MEM_16);
}

/* sw rs2, offset(rs1) */
void riscv_translate_sw(Translator *t, const RiscvInsn *insn)
{
    store(t, insn, MEM_32);
}

/* sd rs2, offset(rs1) */
void riscv_translate_sd(Translator *t, const RiscvInsn *insn)
{
    store(t, insn, MEM_64);
}

/* addi rd, rs1, imm; with 0 it is mv, with 0 for rd too it is nop */
void riscv_translate_addi(Translator *t, const RiscvInsn *insn)
{
    if (insn->rd && insn->imm) {
        immediate_op(t, insn, IR_OP_add, insn->imm);
    } else if (insn->rd) {
        set_x(t, insn->rd, get_x(t, insn->rs1));
    }
}

/* slti rd, rs1, imm */
void riscv_translate_slti(Translator *t, const RiscvInsn *insn)
{
    compare_op(t, insn, IR_LT_S, x_const(t, insn->imm));
}

/* sltiu rd, rs1, imm */
void riscv_translate_sltiu(Translator *t, const RiscvInsn *insn)
{
    compare_op(t, insn, IR_LT_U, x_const(t, insn->imm));
}

/* xori rd, rs1, imm */
void riscv_translate_xori(Translator *t, const RiscvInsn *insn)
{
    immediate_op(t, insn, IR_OP_xor, insn->imm);
}

/* ori rd, rs1, imm */
void riscv_translate_ori(Translator *t, const RiscvInsn *insn)
{
    immediate_op(t, insn, IR_OP_or, insn->imm);
}

/* andi rd, rs1, imm */
void riscv_translate_andi(Translator *t, const RiscvInsn *insn)
{
    immediate_op(t, insn, IR_OP_and, insn->imm);
}

/* slli rd, rs1, shamt */
void riscv_translate_slli(Translator *t, const RiscvInsn *insn)
{
    immediate_op(t, insn, IR_OP_shl, insn->shamt);
}

/* srli rd, rs1, shamt */
void riscv_translate_srli(Translator *t, const RiscvInsn *insn)
{
    immediate_op(t, insn, IR_OP_shr, insn->shamt);
}

/* srai rd, rs1, shamt */
void riscv_translate_srai(Translator *t, const RiscvInsn *insn)
{
    immediate_op(t, insn, IR_OP_sar, insn->shamt);
}

/* add rd, rs1, rs2; mv where rs1 is x0, as in c.mv */
void riscv_translate_add(Translator *t, const RiscvInsn *insn)
{
    if (insn->rs1) {
        register_op(t, insn, IR_OP_add);
    } else {
        set_x(t, insn->rd, get_x(t, insn->rs2));
    }
}

/* sub rd, rs1, rs2; neg where rs1 is x0 */
void riscv_translate_sub(Translator *t, const RiscvInsn *insn)
{
    if (insn->rs1) {
        register_op(t, insn, IR_OP_sub);
    } else {
        set_x(t, insn->rd, ir_unary(&t->ir, IR_OP_neg, x_type(t), get_x(t, insn->rs2)));
    }
}

/* sll rd, rs1, rs2 */
void riscv_translate_sll(Translator *t, const RiscvInsn *insn)
{
    register_op(t, insn, IR_OP_shl);
}

/* slt rd, rs1, rs2 */
void riscv_translate_slt(Translator *t, const RiscvInsn *insn)
{
    compare_op(t, insn, IR_LT_S, get_x(t, insn->rs2));
}

/* sltu rd, rs1, rs2 */
void riscv_translate_sltu(Translator *t, const RiscvInsn *insn)
{
    compare_op(t, insn, IR_LT_U, get_x(t, insn->rs2));
}

/* xor rd, rs1, rs2 */
void riscv_translate_xor(Translator *t, const RiscvInsn *insn)
{
    register_op(t, insn, IR_OP_xor);
}

/* srl rd, rs1, rs2 */
void riscv_translate_srl(Translator *t, const RiscvInsn *insn)
{
    register_op(t, insn, IR_OP_shr);
}

/* sra rd, rs1, rs2 */
void riscv_translate_sra(Translator *t, const RiscvInsn *insn)
{
    register_op(t, insn, IR_OP_sar);
}

/* or rd, rs1, rs2 */
void riscv_translate_or(Translator *t, const RiscvInsn *insn)
{
    register_op(t, insn, IR_OP_or);
}

/* and rd, rs1, rs2 */
void riscv_translate_and(Translator *t, const RiscvInsn *insn)
{
    register_op(t, insn, IR_OP_and);
}

/* addiw rd, rs1, imm; with 0 it is sext.w */
void riscv_translate_addiw(Translator *t, const RiscvInsn *insn)
{
    if (insn->imm) {
        word_immediate_op(t, insn, IR_OP_add, insn->imm);
    } else {
        set_x_word(t, insn->rd, get_x_as(t, IR_I32, insn->rs1));
    }
}

/* slliw rd, rs1, shamt */
void riscv_translate_slliw(Translator *t, const RiscvInsn *insn)
{
    word_immediate_op(t, insn, IR_OP_shl, insn->shamt);
}

/* srliw rd, rs1, shamt */
void riscv_translate_srliw(Translator *t, const RiscvInsn *insn)
{
    word_immediate_op(t, insn, IR_OP_shr, insn->shamt);
}

/* sraiw rd, rs1, shamt */
void riscv_translate_sraiw(Translator *t, const RiscvInsn *insn)
{
    word_immediate_op(t, insn, IR_OP_sar, insn->shamt);
}

/* addw rd, rs1, rs2 */
void riscv_translate_addw(Translator *t, const RiscvInsn *insn)
{
    word_op(t, insn, IR_OP_add);
}

/* subw rd, rs1, rs2 */
void riscv_translate_subw(Translator *t, const RiscvInsn *insn)
{
    word_op(t, insn, IR_OP_sub);
}

/* sllw rd, rs1, rs2 */
void riscv_translate_sllw(Translator *t, const RiscvInsn *insn)
{
    word_op(t, insn, IR_OP_shl);
}

/* srlw rd, rs1, rs2 */
void riscv_translate_srlw(Translator *t, const RiscvInsn *insn)
{
    word_op(t, insn, IR_OP_shr);
}

/* sraw rd, rs1, rs2 */
void riscv_translate_sraw(Translator *t, const RiscvInsn *insn)
{
    word_op(t, insn, IR_OP_sar);
}

/* mul rd, rs1, rs2 */
void riscv_translate_mul(Translator *t, const RiscvInsn *insn)
{
    register_op(t, insn, IR_OP_mul);
}

/* mulh rd, rs1, rs2 */
void riscv_translate_mulh(Translator *t, const RiscvInsn *insn)
{
    register_op(t, insn, IR_OP_mulh_s);
}

/* mulhsu rd, rs1, rs2 */
void riscv_translate_mulhsu(Translator *t, const RiscvInsn *insn)
{
    register_op(t, insn, IR_OP_mulh_su);
}

/* mulhu rd, rs1, rs2 */
void riscv_translate_mulhu(Translator *t, const RiscvInsn *insn)
{
    register_op(t, insn, IR_OP_mulh_u);
}

/* div rd, rs1, rs2 */
void riscv_translate_div(Translator *t, const RiscvInsn *insn)
{
    set_x(t, insn->rd, divide(t, IR_OP_div_s, x_type(t), insn));
}

/* divu rd, rs1, rs2 */
void riscv_translate_divu(Translator *t, const RiscvInsn *insn)
{
    set_x(t, insn->rd, divide(t, IR_OP_div_u, x_type(t), insn));
}

/* rem rd, rs1, rs2 */
void riscv_translate_rem(Translator *t, const RiscvInsn *insn)
{
    set_x(t, insn->rd, divide(t, IR_OP_rem_s, x_type(t), insn));
}

/* remu rd, rs1, rs2 */
void riscv_translate_remu(Translator *t, const RiscvInsn *insn)
{
    set_x(t, insn->rd, divide(t, IR_OP_rem_u, x_type(t), insn));
}

/* mulw rd, rs1, rs2 */
void riscv_translate_mulw(Translator *t, const RiscvInsn *insn)
{
    word_op(t, insn, IR_OP_mul);
}

/* divw rd, rs1, rs2 */
void riscv_translate_divw(Translator *t, const RiscvInsn *insn)
{
    set_x_word(t, insn->rd, divide(t, IR_OP_div_s, IR_I32, insn));
}

/* divuw rd, rs1, rs2 */
void riscv_translate_divuw(Translator *t, const RiscvInsn *insn)
{
    set_x_word(t, insn->rd, divide(t, IR_OP_div_u, IR_I32, insn));
}

/* remw rd, rs1, rs2 */
void riscv_translate_remw(Translator *t, const RiscvInsn *insn)
{
    set_x_word(t, insn->rd, divide(t, IR_OP_rem_s, IR_I32, insn));
}

/* remuw rd, rs1, rs2 */
void riscv_translate_remuw(Translator *t, const RiscvInsn *insn)
{
    set_x_word(t, insn->rd, divide(t, IR_OP_rem_u, IR_I32, insn));
}

/* Fences. A set has the bits input 8, output 4, read 2, write 1; device accesses are reads and writes too. */

enum { FENCE_DEVICE = 12, FENCE_READS = 8 | 2, FENCE_WRITES = 4 | 1 };

/* fence pred, succ; reserved values of fm are the plain fence */
void riscv_translate_fence(Translator *t, const RiscvInsn *insn)
{
    bool reads_before = insn->pred & FENCE_READS, writes_before = insn->pred & FENCE_WRITES;
    bool reads_after = insn->succ & FENCE_READS, writes_after = insn->succ & FENCE_WRITES;
    unsigned bits = (reads_before && reads_after ? IR_FENCE_READ_READ : 0) |
                    (reads_before && writes_after ? IR_FENCE_READ_WRITE : 0) |
                    (writes_before && reads_after ? IR_FENCE_WRITE_READ : 0) |
                    (writes_before && writes_after ? IR_FENCE_WRITE_WRITE : 0);

    if (bits) {
        ir_fence(&t->ir, bits | ((insn->pred | insn->succ) & FENCE_DEVICE ? IR_FENCE_IO : 0));
    }
}

/* fence.tso */
void riscv_translate_fence_tso(Translator *t, const RiscvInsn *insn)
{
    ir_fence(&t->ir, IR_FENCE_READ_READ | IR_FENCE_READ_WRITE | IR_FENCE_WRITE_WRITE);
}

/* fence.i */
void riscv_translate_fence_i(Translator *t, const RiscvInsn *insn)
{
    riscv_translate_leave(t, insn, IR_EXIT_CODE);
}

/* pause */
void riscv_translate_pause(Translator *t, const RiscvInsn *insn)
{
    riscv_translate_leave(t, insn, IR_EXIT_YIELD);
}
