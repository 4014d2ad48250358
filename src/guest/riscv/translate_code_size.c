/*
 * Zcmp and Zcmt: instructions of 16 bits that stand for several others. They are atomic as far as a trap can see: the
 * stack pointer, and what loads give, are set when no access can fault any more. What a push has stored below the stack
 * pointer by then nobody looks at.
 */
#include "guest/riscv/translate.h"

enum { RA = 1, SP = 2, A0 = 10, A1 = 11, MOVED_REGISTERS = 13, STACK_ALIGNMENT = 16, ALL_SAVED = 15, RA_ALONE = 4 };

/* Those that are moved, from the highest address down: s11 to s0, ra. */
static const uint8_t moved[MOVED_REGISTERS] = { 27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 9, 8, RA };

/* rlist 4 is ra alone, each further one adds a register, and the last one two. */
static unsigned register_count(const RiscvInsn *insn)
{
    return insn->rlist == ALL_SAVED ? MOVED_REGISTERS : (unsigned)insn->rlist - RA_ALONE + 1;
}

unsigned riscv_stack_adjustment(const RiscvConfig *config, const RiscvInsn *insn)
{
    return align_up(register_count(insn) * (config->xlen / 8), STACK_ALIGNMENT) + (unsigned)insn->spimm;
}

static void adjust_stack(Translator *t, int64_t by)
{
    set_x(t, SP, ir_binary_const(&t->ir, IR_OP_add, x_type(t), get_x(t, SP), (uint64_t)by));
}

static MemOp stack_access(const Translator *t)
{
    return data_mem_op(t, (is_rv64(t) ? MEM_64 : MEM_32) | MEM_STACK);
}

/* cm.push {reg_list}, -stack_adj */
void riscv_translate_cm_push(Translator *t, const RiscvInsn *insn)
{
    unsigned count = register_count(insn), size = x_bits(t) / 8;
    IrRef base = get_address(t, SP);

    for (unsigned i = 0; i < count; i++) {
        IrRef value = get_x(t, moved[MOVED_REGISTERS - count + i]);
        ir_store(&t->ir, stack_access(t), base, -(int32_t)(size * (i + 1)), value);
    }
    adjust_stack(t, -(int64_t)riscv_stack_adjustment(translator_config(t), insn));
}

static void pop(Translator *t, const RiscvInsn *insn)
{
    unsigned count = register_count(insn), size = x_bits(t) / 8;
    unsigned adjustment = riscv_stack_adjustment(translator_config(t), insn);
    IrRef base = get_address(t, SP), values[MOVED_REGISTERS];

    for (unsigned i = 0; i < count; i++) {
        values[i] = ir_load(&t->ir, x_type(t), stack_access(t), base, (int32_t)(adjustment - size * (i + 1)));
    }
    for (unsigned i = 0; i < count; i++) {
        set_x(t, moved[MOVED_REGISTERS - count + i], values[i]);
    }
    adjust_stack(t, adjustment);
}

static void jump_to_value(Translator *t, IrRef target, IrJumpHint hint)
{
    uint64_t mask = mask_bits(x_bits(t)) & ~UINT64_C(1);
    ir_goto_value(&t->ir, ir_binary_const(&t->ir, IR_OP_and, IR_I64, target, mask), hint);
    t->ended = true;
}

/* cm.pop {reg_list}, stack_adj */
void riscv_translate_cm_pop(Translator *t, const RiscvInsn *insn)
{
    pop(t, insn);
}

/* cm.popret {reg_list}, stack_adj */
void riscv_translate_cm_popret(Translator *t, const RiscvInsn *insn)
{
    pop(t, insn);
    jump_to_value(t, get_address(t, RA), IR_JUMP_RETURN);
}

/* cm.popretz {reg_list}, stack_adj: a0 becomes zero */
void riscv_translate_cm_popretz(Translator *t, const RiscvInsn *insn)
{
    pop(t, insn);
    set_x(t, A0, x_const(t, 0));
    jump_to_value(t, get_address(t, RA), IR_JUMP_RETURN);
}

/* s0, s1 and s2 to s7 by their numbers. */
static int32_t saved_register(int32_t number)
{
    return number < 2 ? number + 8 : number + 16;
}

/* cm.mvsa01 r1s', r2s' */
void riscv_translate_cm_mvsa01(Translator *t, const RiscvInsn *insn)
{
    set_x(t, saved_register(insn->r1s), get_x(t, A0));
    set_x(t, saved_register(insn->r2s), get_x(t, A1));
}

/* cm.mva01s r1s', r2s' */
void riscv_translate_cm_mva01s(Translator *t, const RiscvInsn *insn)
{
    set_x(t, A0, get_x(t, saved_register(insn->r1s)));
    set_x(t, A1, get_x(t, saved_register(insn->r2s)));
}

/* An entry of the table is part of the instruction: it is fetched, not loaded, and its faults are those of a fetch. */
uint64_t riscv_helper_table_jump(Cpu *cpu, uint64_t index, uint64_t bits, uint64_t unused)
{
    const RiscvConfig *config = riscv_config(cpu);
    unsigned size = config->xlen / 8, mode = riscv_fetch_mmu_mode(cpu);
    MemOp op = (MemOp)((size == 8 ? MEM_64 : MEM_32) | MEM_EXECUTE | mode << MEM_MODE_SHIFT);
    uint64_t value[8] = { 0 };

    if (!riscv_state_enabled(cpu, STATEEN_JVT)) {
        cpu_raise(cpu, CAUSE_ILLEGAL_INSTRUCTION, bits);
        return 0;
    }
    uint64_t address = riscv_truncate(config, riscv_state(cpu)->jvt + index * size);
    if (!cpu->exec.memory->load(cpu, address, op, value)) {
        uint32_t *code = &cpu->exec.exception.code;
        *code = *code == CAUSE_LOAD_PAGE_FAULT ? CAUSE_FETCH_PAGE_FAULT
                : *code == CAUSE_LOAD_ACCESS   ? CAUSE_FETCH_ACCESS
                                               : *code;
    }
    return value[0];
}

static IrRef table_entry(Translator *t, const RiscvInsn *insn)
{
    const IrRef arguments[] = { ir_const(&t->ir, IR_I64, (uint64_t)insn->index), ir_const(&t->ir, IR_I64, insn->bits) };
    return ir_call(&t->ir, RISCV_HELPER_TABLE_JUMP, IR_I64, arguments, ARRAY_SIZE(arguments));
}

/* cm.jt index */
void riscv_translate_cm_jt(Translator *t, const RiscvInsn *insn)
{
    jump_to_value(t, table_entry(t, insn), IR_JUMP_PLAIN);
}

/* cm.jalt index */
void riscv_translate_cm_jalt(Translator *t, const RiscvInsn *insn)
{
    IrRef target = table_entry(t, insn);

    set_x(t, RA, x_const(t, (int64_t)next_pc(t, insn)));
    ir_push_return(&t->ir, next_pc(t, insn));
    jump_to_value(t, target, IR_JUMP_CALL);
}
