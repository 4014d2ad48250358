/* Processors that nothing here makes code for: the interpreter does it all. */
#include "jit/host.h"

#include <stddef.h>

const CodeHost *code_host_native(void) { return NULL; }
