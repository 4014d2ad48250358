/* The x86-64 host's translator. */
#pragma once

#include "jit/host.h"

CompileResult x64_compile(CodeSpace *space, const void *common, const IrBlock *ir, const IrGuest *guest,
                          CodeBlock *block);
