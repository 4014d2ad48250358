/* Translation of one instruction: fetch, decode, and the function of its name. */
#include "guest/riscv/translate.h"

typedef void TranslateInsn(Translator *t, const RiscvInsn *insn);

static TranslateInsn *const functions[RISCV_OPCODE_COUNT] = {
    [RISCV_UNDEFINED] = riscv_translate_illegal,
    [RISCV_RESERVED] = riscv_translate_illegal,
    [RISCV_UNPREDICTABLE] = riscv_translate_illegal,
#define X(enumerator, name) [enumerator] = riscv_translate_##name,
    RISCV_INSTRUCTIONS(X)
#undef X
};

void riscv_translate_raise(Translator *t, RiscvCause cause, uint64_t tval)
{
    const IrRef arguments[] = { ir_const(&t->ir, IR_I32, cause), ir_const(&t->ir, IR_I64, tval) };

    ir_call(&t->ir, RISCV_HELPER_RAISE, IR_VOID, arguments, ARRAY_SIZE(arguments));
    ir_exit(&t->ir, IR_EXIT_EXCEPTION);
    t->ended = true;
}

void riscv_translate_illegal(Translator *t, const RiscvInsn *insn)
{
    riscv_translate_raise(t, CAUSE_ILLEGAL_INSTRUCTION, insn->bits);
}

void riscv_translate_leave(Translator *t, const RiscvInsn *insn, IrExit reason)
{
    ir_set(&t->ir, RISCV_REGISTER_PC, x_const(t, (int64_t)next_pc(t, insn)));
    ir_exit(&t->ir, reason);
    t->ended = true;
}

/* The parcels of the instruction at t->pc: two bytes, or four where the low two bits are set. */
static bool fetch(Translator *t, uint32_t *bits)
{
    uint16_t parcel;

    if (!translator_fetch(t, t->pc, &parcel, sizeof parcel)) {
        return false;
    }
    *bits = parcel;
    if ((parcel & 3) != 3) {
        return true;
    }
    if (!translator_fetch(t, riscv_truncate(t->config, t->pc + 2), &parcel, sizeof parcel)) {
        return false;
    }
    *bits |= (uint32_t)parcel << 16;
    return true;
}

typedef struct RegisterCheck {
    const RiscvConfig *config;
    bool reserved;
} RegisterCheck;

/* RV32E and RV64E have sixteen integer registers; with Zfinx floating point is in them, and on RV32 64 bits of it are
 * in an even one and the next. */
static void check_register(char kind, int32_t value, void *context)
{
    RegisterCheck *check = context;
    bool floating = kind == 'f' || kind == 'd', integer = kind == 'x' || (floating && check->config->zfinx);
    bool pair = kind == 'd' && check->config->zdinx && check->config->xlen == 32;

    bool missing = (integer && value > 15) || (kind == 's' && value > 1) || (kind == 'y' && value > 6);

    check->reserved |= (missing && check->config->e) || (pair && value & 1);
}

static bool names_reserved_register(const RiscvConfig *config, const RiscvInsn *insn)
{
    RegisterCheck check = { config, false };

    if (config->e || config->zdinx) {
        decode_each_operand(&riscv_decode_table, insn->opcode, insn, check_register, &check);
    }
    return check.reserved;
}

/* Triggers may have something against the instruction. */
static void step(Translator *t, unsigned length)
{
    const IrRef arguments[] = { ir_const(&t->ir, IR_I64, t->pc), ir_const(&t->ir, IR_I64, length) };
    ir_call(&t->ir, RISCV_HELPER_STEP, IR_VOID, arguments, ARRAY_SIZE(arguments));
}

void riscv_translate(Translator *t)
{
    const RiscvConfig *config = t->config;
    RiscvInsn insn;
    uint32_t bits;

    if (!fetch(t, &bits)) {
        return;
    }
    RiscvOpcode opcode = riscv_decode(config, bits, &insn);
    if (insn.length == 0) {
        insn.length = (bits & 3) == 3 ? 4 : 2;
    }
    ir_insn(&t->ir, t->pc, insn.length);
    if (t->mode & MODE_STEP) {
        step(t, insn.length);
    }
    if (names_reserved_register(config, &insn)) {
        riscv_translate_illegal(t, &insn);
    } else {
        functions[opcode](t, &insn);
    }
    if (t->guest && !t->ended) {
        riscv_translate_leave(t, &insn, IR_EXIT_RECHECK); /* mstatus.FS became dirty, and with it the mode word */
    }
    t->pc = next_pc(t, &insn);
}
