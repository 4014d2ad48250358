/* Shared by the functions that translate instructions: one for each, named riscv_translate_MNEMONIC. */
#pragma once

#include "cpu/translator.h"
#include "guest/riscv/decode_table.h"
#include "guest/riscv/internal.h"

#define X(enumerator, name) void riscv_translate_##name(Translator *t, const RiscvInsn *insn);
RISCV_INSTRUCTIONS(X)
#undef X

static inline const RiscvConfig *translator_config(const Translator *t) { return t->config; }
static inline bool is_rv64(const Translator *t) { return translator_config(t)->xlen == 64; }
/* Of integer registers. */
static inline IrType x_type(const Translator *t) { return is_rv64(t) ? IR_I64 : IR_I32; }
static inline unsigned x_bits(const Translator *t) { return translator_config(t)->xlen; }

static inline RiscvPrivilege translator_privilege(const Translator *t)
{
    return (RiscvPrivilege)((t->mode & MODE_PRIVILEGE) >> MODE_PRIVILEGE_SHIFT);
}

static inline uint64_t next_pc(const Translator *t, const RiscvInsn *insn)
{
    return riscv_truncate(translator_config(t), t->pc + insn->length);
}

static inline IrRef x_const(Translator *t, int64_t value)
{
    return ir_const(&t->ir, x_type(t), (uint64_t)value);
}

/* The register's low bits, where `type` is narrower than it. */
static inline IrRef get_x_as(Translator *t, IrType type, int32_t reg)
{
    return reg ? ir_get(&t->ir, type, RISCV_REGISTER_X0 + (unsigned)reg) : ir_const(&t->ir, type, 0);
}

static inline IrRef get_x(Translator *t, int32_t reg)
{
    return get_x_as(t, x_type(t), reg);
}

/* As the operand of a load, store or jump: zero-extended on RV32. */
static inline IrRef get_address(Translator *t, int32_t reg)
{
    return get_x_as(t, IR_I64, reg);
}

static inline void set_x(Translator *t, int32_t reg, IrRef value)
{
    if (reg) {
        ir_set(&t->ir, RISCV_REGISTER_X0 + (unsigned)reg, value);
    }
}

/* Sets a register of 64 bits to the sign extension of an I32. */
static inline void set_x_word(Translator *t, int32_t reg, IrRef value)
{
    set_x(t, reg, is_rv64(t) ? ir_extend(&t->ir, IR_OP_sext, IR_I64, 32, value) : value);
}

/* Ztso orders what has no order of its own. Zama16b makes the misaligned ones atomic. */
static inline MemOp data_mem_op(const Translator *t, unsigned op)
{
    const RiscvConfig *config = translator_config(t);
    unsigned order = config->ztso && (op & MEM_ORDER_MASK) != MEM_SEQ_CST ? MEM_TSO : op & MEM_ORDER_MASK;

    return (MemOp)((op & ~MEM_ORDER_MASK) | order | (config->zama16b ? MEM_ATOMIC : 0) |
                   (t->mode & MODE_MMU) << MEM_MODE_SHIFT);
}

/* Text of an instruction; aliases as assemblers write them, or not. */
void riscv_print_insn(const RiscvConfig *config, uint64_t pc, const RiscvInsn *insn, bool aliases, StrBuf *buffer);

/* The constant that fli names by a number. */
const char *riscv_fli_text(int32_t number);

/* What an instruction of Zcmp adds to the stack pointer, or subtracts. */
unsigned riscv_stack_adjustment(const RiscvConfig *config, const RiscvInsn *insn);

/* Ends the block with an exception. */
void riscv_translate_raise(Translator *t, RiscvCause cause, uint64_t tval);
void riscv_translate_illegal(Translator *t, const RiscvInsn *insn);
/* Ends the block at the next instruction. */
void riscv_translate_leave(Translator *t, const RiscvInsn *insn, IrExit reason);
