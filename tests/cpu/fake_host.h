/* A translator whose host code is the address of what the interpreter runs: for the code cache's tests. It keeps to
 * jit/host.h's rules for links, targets, guards, budgets and the attention word. */
#pragma once

#include "jit/host.h"

extern const CodeHost fake_host;
/* What it made so far, freed: when no group lives any more. */
void fake_host_free(void);
/* Blocks that hold more guest instructions than this cannot be made; at first 64. Not while vCPUs run. */
void fake_host_set_limit(unsigned insns);
/* Bytes of code that each block takes; at first 64. Likewise. */
void fake_host_set_size(unsigned bytes);
unsigned fake_host_compiled(void); /* blocks so far */
