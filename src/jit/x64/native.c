/* The processor that this program is built for. */
#include "jit/host.h"

const CodeHost *code_host_native(void) { return &x64_host; }
