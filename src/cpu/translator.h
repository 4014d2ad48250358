/*
 * What a guest's translate() works with: one call translates the instruction at t->pc. It fetches its bytes with
 * translator_fetch, emits ir_insn first, then the rest, and adds the length to t->pc. If the instruction ends the block
 * it emits an end (ir_goto, ir_goto_value, ir_exit) and sets t->ended. The caller ends a block that grows too long or
 * reaches its page's end with a goto.
 */
#pragma once

#include "jit/ir.h"

typedef struct Cpu Cpu;
struct Translation;

typedef struct Translator {
    IrBuilder ir;
    Cpu *cpu;          /* for its configuration; not for its registers: mode has what code may depend on */
    const void *config;
    uint64_t mode;
    uint64_t pc;       /* of the instruction to translate, then of the next */
    uint64_t first_pc;
    bool ended;
    bool fetch_failed;
    void *guest; /* the guest's own, for one block */
    struct Translation *source; /* the caller's */
} Translator;

/* `count` bytes of code at `pc`. False: they cannot be fetched; return at once (t->pc as it was): the caller arranges
 * for the fault, or ends the block in front of this instruction. */
bool translator_fetch(Translator *t, uint64_t pc, void *bytes, unsigned count);
