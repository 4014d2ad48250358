/* Dumps of the guest's core, as Linux's. */
#pragma once

#include "user/process.h"

/* Whether a signal that nobody handles makes one. */
bool core_is_dumped(int signal);
/* The process is about to end by this signal. True: a dump was written; the host is to write none of us. */
bool core_dump(Task *task, const siginfo_t *info);
