/* Environment calls, Zicsr, cache blocks, Zimop and Zcmop, Zawrs, and the privileged instructions. */
#include "guest/riscv/translate.h"

/* ecall */
void riscv_translate_ecall(Translator *t, const RiscvInsn *insn)
{
    riscv_translate_raise(t, (RiscvCause)(CAUSE_USER_ECALL + translator_privilege(t)), 0);
}

/* ebreak */
void riscv_translate_ebreak(Translator *t, const RiscvInsn *insn)
{
    riscv_translate_raise(t, CAUSE_BREAKPOINT, t->pc);
}

enum { CSR_FFLAGS = 1, CSR_FRM, CSR_FCSR, FFLAGS = 31, FRM_SHIFT = 5 };
enum { CSR_NUMBER_SHIFT = 20, FUNCT3_SHIFT = 12, RS1_SHIFT = 15, FUNCT3_WRITE = 1, FUNCT3_SET = 2 };

static unsigned csr_operation(const RiscvInsn *insn)
{
    return insn->bits >> FUNCT3_SHIFT & 3;
}

static bool writes_csr(const RiscvInsn *insn)
{
    return csr_operation(insn) == FUNCT3_WRITE || insn->bits >> RS1_SHIFT & 31;
}

static IrRef get_fflags(Translator *t)
{
    IrRef mask = ir_const(&t->ir, x_type(t), FFLAGS);
    return ir_binary(&t->ir, IR_OP_and, x_type(t), ir_get(&t->ir, x_type(t), RISCV_REGISTER_FFLAGS), mask);
}

/* fflags is a register like any other: compilers save and restore it around comparisons that must not raise. */
static void access_fflags(Translator *t, const RiscvInsn *insn, IrRef operand)
{
    unsigned operation = csr_operation(insn);
    bool reads = operation != FUNCT3_WRITE || insn->rd;
    IrRef old = reads ? get_fflags(t) : 0;

    if (writes_csr(insn)) {
        IrOp change = operation == FUNCT3_SET ? IR_OP_or : IR_OP_andn;
        IrRef value = operation == FUNCT3_WRITE ? operand : ir_binary(&t->ir, change, x_type(t), old, operand);
        ir_set(&t->ir, RISCV_REGISTER_FFLAGS, ir_binary_const(&t->ir, IR_OP_and, x_type(t), value, FFLAGS));
    }
    if (reads) {
        set_x(t, insn->rd, old);
    }
}

/* frm and fcsr; a write may change the mode word, and is not done here. */
static void read_frm(Translator *t, const RiscvInsn *insn, bool with_flags)
{
    IrRef value = ir_get(&t->ir, x_type(t), RISCV_REGISTER_FRM);

    if (with_flags) {
        value = ir_binary_const(&t->ir, IR_OP_shl, x_type(t), value, FRM_SHIFT);
        value = ir_binary(&t->ir, IR_OP_or, x_type(t), value, get_fflags(t));
    }
    set_x(t, insn->rd, value);
}

/* What needs no helper. */
static bool access_fp_csr(Translator *t, const RiscvInsn *insn, IrRef operand)
{
    unsigned number = insn->bits >> CSR_NUMBER_SHIFT;

    if (!(t->mode & MODE_FP) || !(t->mode & MODE_FP_DIRTY)) {
        return false;
    }
    if (number == CSR_FFLAGS) {
        access_fflags(t, insn, operand);
        return true;
    }
    if ((number == CSR_FRM || number == CSR_FCSR) && !writes_csr(insn)) {
        read_frm(t, insn, number == CSR_FCSR);
        return true;
    }
    return false;
}

static void access_csr(Translator *t, const RiscvInsn *insn, IrRef operand)
{
    if (access_fp_csr(t, insn, operand)) {
        return;
    }
    RiscvCsrUse use = riscv_csr_use(t->cpu, insn->bits, translator_privilege(t));

    if (!use.exists) {
        riscv_translate_illegal(t, insn);
        return;
    }
    const IrRef arguments[] = { ir_const(&t->ir, IR_I64, insn->bits | (uint64_t)use.row << 32), operand };
    set_x(t, insn->rd, ir_call(&t->ir, RISCV_HELPER_CSR, x_type(t), arguments, ARRAY_SIZE(arguments)));
    if (use.ends) {
        riscv_translate_leave(t, insn, IR_EXIT_RECHECK);
    }
}

/* csrrw rd, csr, rs1 */
void riscv_translate_csrrw(Translator *t, const RiscvInsn *insn)
{
    access_csr(t, insn, get_x(t, insn->rs1));
}

/* csrrs rd, csr, rs1 */
void riscv_translate_csrrs(Translator *t, const RiscvInsn *insn)
{
    access_csr(t, insn, get_x(t, insn->rs1));
}

/* csrrc rd, csr, rs1 */
void riscv_translate_csrrc(Translator *t, const RiscvInsn *insn)
{
    access_csr(t, insn, get_x(t, insn->rs1));
}

/* csrrwi rd, csr, uimm */
void riscv_translate_csrrwi(Translator *t, const RiscvInsn *insn)
{
    access_csr(t, insn, x_const(t, insn->zimm));
}

/* csrrsi rd, csr, uimm */
void riscv_translate_csrrsi(Translator *t, const RiscvInsn *insn)
{
    access_csr(t, insn, x_const(t, insn->zimm));
}

/* csrrci rd, csr, uimm */
void riscv_translate_csrrci(Translator *t, const RiscvInsn *insn)
{
    access_csr(t, insn, x_const(t, insn->zimm));
}

static void cache_block(Translator *t, const RiscvInsn *insn)
{
    const IrRef arguments[] = { ir_const(&t->ir, IR_I64, insn->bits), get_address(t, insn->rs1),
                                ir_const(&t->ir, IR_I32, t->mode & MODE_MMU) };
    ir_call(&t->ir, RISCV_HELPER_CACHE_BLOCK, IR_VOID, arguments, ARRAY_SIZE(arguments));
}

/* cbo.inval (rs1) */
void riscv_translate_cbo_inval(Translator *t, const RiscvInsn *insn)
{
    cache_block(t, insn);
}

/* cbo.clean (rs1) */
void riscv_translate_cbo_clean(Translator *t, const RiscvInsn *insn)
{
    cache_block(t, insn);
}

/* cbo.flush (rs1) */
void riscv_translate_cbo_flush(Translator *t, const RiscvInsn *insn)
{
    cache_block(t, insn);
}

/* cbo.zero (rs1) */
void riscv_translate_cbo_zero(Translator *t, const RiscvInsn *insn)
{
    unsigned size = translator_config(t)->cboz_blocksize;

    if (!(t->mode & MODE_CACHE_ZERO) || size > 64) {
        cache_block(t, insn);
        return;
    }
    ir_zero(&t->ir, (MemOp)((unsigned)__builtin_ctz(size) | (t->mode & MODE_MMU) << MEM_MODE_SHIFT),
            get_address(t, insn->rs1));
}

/* prefetch.i offset(rs1): a hint */
void riscv_translate_prefetch_i(Translator *t, const RiscvInsn *insn)
{
}

/* prefetch.r offset(rs1): a hint */
void riscv_translate_prefetch_r(Translator *t, const RiscvInsn *insn)
{
}

/* prefetch.w offset(rs1): a hint */
void riscv_translate_prefetch_w(Translator *t, const RiscvInsn *insn)
{
}

/* mop.r.N rd, rs1: may be defined one day */
void riscv_translate_mop_r(Translator *t, const RiscvInsn *insn)
{
    set_x(t, insn->rd, x_const(t, 0));
}

/* mop.rr.N rd, rs1, rs2 */
void riscv_translate_mop_rr(Translator *t, const RiscvInsn *insn)
{
    set_x(t, insn->rd, x_const(t, 0));
}

/* c.mop.N: does not write a register */
void riscv_translate_c_mop(Translator *t, const RiscvInsn *insn)
{
}

/* wrs.nto: waiting may end at any time */
void riscv_translate_wrs_nto(Translator *t, const RiscvInsn *insn)
{
    const IrRef bits = ir_const(&t->ir, IR_I64, insn->bits);

    ir_call(&t->ir, RISCV_HELPER_WRS_NTO, IR_VOID, &bits, 1);
    riscv_translate_leave(t, insn, IR_EXIT_YIELD);
}

/* wrs.sto */
void riscv_translate_wrs_sto(Translator *t, const RiscvInsn *insn)
{
    riscv_translate_leave(t, insn, IR_EXIT_YIELD);
}

static void return_from_trap(Translator *t, const RiscvInsn *insn, unsigned helper, RiscvPrivilege lowest)
{
    if (translator_privilege(t) < lowest) {
        riscv_translate_illegal(t, insn);
        return;
    }
    const IrRef bits = ir_const(&t->ir, IR_I64, insn->bits);
    ir_set(&t->ir, RISCV_REGISTER_PC, ir_call(&t->ir, helper, x_type(t), &bits, 1));
    ir_exit(&t->ir, IR_EXIT_RECHECK);
    t->ended = true;
}

/* mret */
void riscv_translate_mret(Translator *t, const RiscvInsn *insn)
{
    return_from_trap(t, insn, RISCV_HELPER_MRET, RISCV_MACHINE);
}

/* mnret */
void riscv_translate_mnret(Translator *t, const RiscvInsn *insn)
{
    return_from_trap(t, insn, RISCV_HELPER_MNRET, RISCV_MACHINE);
}

/* sret */
void riscv_translate_sret(Translator *t, const RiscvInsn *insn)
{
    return_from_trap(t, insn, RISCV_HELPER_SRET, RISCV_SUPERVISOR);
}

/* wfi */
void riscv_translate_wfi(Translator *t, const RiscvInsn *insn)
{
    const IrRef bits = ir_const(&t->ir, IR_I64, insn->bits);

    ir_call(&t->ir, RISCV_HELPER_WFI, IR_VOID, &bits, 1);
    riscv_translate_leave(t, insn, IR_EXIT_HALT);
}

static void invalidate(Translator *t, const RiscvInsn *insn)
{
    if (translator_privilege(t) == RISCV_USER) {
        riscv_translate_illegal(t, insn);
        return;
    }
    const IrRef arguments[] = { ir_const(&t->ir, IR_I64, insn->bits), get_address(t, insn->rs1),
                                get_address(t, insn->rs2) };
    ir_call(&t->ir, RISCV_HELPER_SFENCE_VMA, IR_VOID, arguments, ARRAY_SIZE(arguments));
    riscv_translate_leave(t, insn, IR_EXIT_RECHECK);
}

/* sfence.vma rs1, rs2 */
void riscv_translate_sfence_vma(Translator *t, const RiscvInsn *insn)
{
    invalidate(t, insn);
}

/* sinval.vma rs1, rs2. It acts at once, so that the fences around it have nothing left to do. */
void riscv_translate_sinval_vma(Translator *t, const RiscvInsn *insn)
{
    invalidate(t, insn);
}

/* sfence.w.inval */
void riscv_translate_sfence_w_inval(Translator *t, const RiscvInsn *insn)
{
    if (translator_privilege(t) == RISCV_USER) {
        riscv_translate_illegal(t, insn);
    }
}

/* sfence.inval.ir */
void riscv_translate_sfence_inval_ir(Translator *t, const RiscvInsn *insn)
{
    riscv_translate_sfence_w_inval(t, insn);
}
