/* The host's instructions as text. */
#pragma once

#include "base/compiler.h"

typedef struct CodeBlock CodeBlock;
typedef struct StrBuf StrBuf;

/* One instruction of at most `count` bytes that runs at `address`, in Intel's syntax. Its length; 0: it is none that is
 * made here, and what was appended says nothing. */
unsigned x64_disassemble_one(const uint8_t *code, size_t count, uint64_t address, StrBuf *text);
/* A line for each of a block's. */
void x64_disassemble(const CodeBlock *block, StrBuf *text);
