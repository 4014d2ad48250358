/*
 * The interpreter: the reference execution, and what runs where no translator for the host exists. interp_prepare
 * resolves a block's operands to places (guest registers, scratch slots, immediates) without changing what it does;
 * interp_run executes prepared blocks, from one to the next along their links.
 */
#pragma once

#include "jit/exec.h"

/* NULL: the block has more values at a time than EXEC_SCRATCH holds; make it shorter. */
InterpCode *interp_prepare(const IrBlock *block, const IrGuest *guest);
void interp_free(InterpCode *code);
unsigned interp_insn_count(const InterpCode *code); /* guest instructions, at most */
size_t interp_size(const InterpCode *code);         /* bytes of memory it takes */

/*
 * Runs the block from its start, and further ones along links while no attention is asked for and the budget holds the
 * next one whole; the first must fit into it. Returns why it ended: IR_EXIT_RECHECK and the like for `exit`,
 * IR_EXIT_EXCEPTION when something raised (exec->pc tells where; guest registers are as before that instruction), and
 * IR_EXIT_CONTINUE after goto and goto_value; exec->link is then where the next block should be entered, unless NULL.
 * In each case exec->insns and exec->budget counted just the instructions that completed (the one of an `exit` has,
 * unless it is IR_EXIT_EXCEPTION or IR_EXIT_DEBUG), and the guest's pc register tells where to go on. While a helper
 * or a slow path runs, exec->pc, insns and budget are exact too, the pc register need not be. `cpu` is handed to them.
 */
enum { IR_EXIT_CONTINUE = 100 };
int interp_run(Exec *exec, Cpu *cpu, InterpCode *code);
