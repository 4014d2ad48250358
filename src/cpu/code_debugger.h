/*
 * What gdb is told about translated code, on request: where it is and how to get from it to what called it, so that a
 * backtrace of the emulator goes on below a helper. After "JIT Compilation Interface" of gdb's manual; frames are
 * described as DWARF 5, section 6.4, has it. Blocks have no names of their own there: -perfmap tells those.
 */
#pragma once

#include "base/compiler.h"

typedef struct CodeDebugger CodeDebugger;
typedef struct CodeUnwind CodeUnwind;

/* Of the code in [start, start + size). */
CodeDebugger *code_debugger_new(const CodeUnwind *unwind, unsigned machine, const uint8_t *start, uint64_t size);
void code_debugger_free(CodeDebugger *debugger); /* NULL is fine */
