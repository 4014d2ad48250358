/* A process of a guest for fuzzers: empty memory of its own, one task that never runs. */
#pragma once

#include "user/process.h"

/* Faults of guarded copies are mended from then on; others are still the fuzzer's. Rights over the host are dropped. */
void user_process_prepare(void);
Process *user_process_new(const UserAbi *abi);
/* Unmaps all. */
void user_process_clear(Process *process);
