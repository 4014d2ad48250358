/*
 * What profilers of the host are told about translated code: perf's map of names (/tmp/perf-PID.map), and a dump of the
 * code itself for `perf inject --jit` (jit-PID.dump). After "jitdump specification" of Linux' tools/perf. A process
 * that forked off writes nothing.
 */
#pragma once

#include "base/compiler.h"

typedef struct CodeBlock CodeBlock;
typedef struct CodeProfile CodeProfile;
typedef struct Error Error;

/* `machine`: e_machine of the host's code. NULL with an error. */
CodeProfile *code_profile_new(bool map, bool dump, unsigned machine, Error **error);
void code_profile_free(CodeProfile *profile); /* NULL is fine */
/* Any thread. */
void code_profile_add(CodeProfile *profile, const CodeBlock *block);
