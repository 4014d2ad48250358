/* What the command line and the QEMU_* variables say. */
#pragma once

#include "base/compiler.h"

typedef struct Error Error;

typedef struct UserOptions {
    const char *prefix;      /* -L; NULL: none */
    const char *cpu;         /* -cpu; NULL: the guest's default */
    const char *release;     /* -r: uname's */
    const char *argv0;       /* -0 */
    const char *debugger;    /* -g: a port or a socket's path */
    const char *log_items, *log_file, *log_ranges;
    uint64_t stack_size;     /* 0: the host's limit */
    uint64_t guest_base;     /* -B */
    uint64_t seed;           /* -seed, where `seeded` */
    const char *seed_text;
    bool seeded;
    uint64_t reserved;       /* -R */
    int self_fd;             /* -self-fd: our own file, open already; 0: nowhere */
    int debug_fd;            /* -debug-fd: the debugger of what was before execve; 0: none */
    int log_fd;              /* -log-fd: the log of what was before execve; 0: none */
    int program_fd;          /* -program-fd: where the program is open already; 0: nowhere */
    const char *code_size;   /* -tb-size, checked; NULL: the default */
    uint64_t code_bytes;     /* the same in bytes */
    const char *trace;       /* -trace, checked; NULL: none */
    bool cpu_help;           /* -cpu help */
    bool strace, one_insn, interpret, perf_map, jit_dump, gdb_jit;
} UserOptions;
