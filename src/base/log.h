/*
 * The log: what -d selects, written to -D's file or stderr, filtered by -dfilter. One Log hangs
 * off each program or machine and is reached from what it logs (a Cpu, a Device); there is no
 * global one. Item names are those that QEMU documents for -d.
 */
#pragma once

#include "base/compiler.h"
#include "base/thread.h"

#include <stdatomic.h>
#include <stdio.h>

typedef struct Error Error;
typedef struct StrBuf StrBuf;

/* X(enumerator, name, description) */
#define LOG_ITEMS(X) \
    X(LOG_OUT_ASM, "out_asm", "show generated host assembly code for each compiled block") \
    X(LOG_IN_ASM, "in_asm", "show guest assembly code for each translated block") \
    X(LOG_OP, "op", "show the intermediate representation of each block") \
    X(LOG_OP_OPT, "op_opt", "show it as host code is made of it: with less to do") \
    X(LOG_INT, "int", "show interrupts and exceptions in short form") \
    X(LOG_EXEC, "exec", "show each block before it runs (lots of output)") \
    X(LOG_CPU, "cpu", "show CPU registers before each block (lots of output)") \
    X(LOG_FPU, "fpu", "include floating-point registers in the 'cpu' output") \
    X(LOG_MMU, "mmu", "show translations of addresses that miss the TLB, and the TLB's flushes") \
    X(LOG_NOCHAIN, "nochain", "do not link translated blocks, so that 'exec' and 'cpu' show each one") \
    X(LOG_RESET, "cpu_reset", "show CPU state before each reset") \
    X(LOG_UNIMP, "unimp", "log the use of functions that are not implemented") \
    X(LOG_GUEST_ERRORS, "guest_errors", "log what the guest does against a specification") \
    X(LOG_INVALID_MEM, "invalid_mem", "log accesses to memory that nothing answers, or not in this size") \
    X(LOG_PAGE, "page", "user-mode programs: show the map of memory at the start and when it changes") \
    X(LOG_STRACE, "strace", "user-mode programs: log every system call") \
    X(LOG_TID, "tid", "open a log file for each thread; give -D a name with '%d'")

typedef enum LogBit {
#define X(enumerator, name, description) enumerator##_BIT,
    LOG_ITEMS(X)
#undef X
    LOG_ITEM_COUNT
} LogBit;

typedef enum LogItem {
#define X(enumerator, name, description) enumerator = 1 << enumerator##_BIT,
    LOG_ITEMS(X)
#undef X
} LogItem;

typedef struct LogRange {
    uint64_t first, last; /* both inclusive */
} LogRange;

/* A thread's own file under `-d tid`. */
typedef struct LogThreadFile {
    uint64_t thread;
    FILE *file;
} LogThreadFile;

enum { LOG_THREAD_FILES = 64 };

typedef struct Log {
    _Atomic uint32_t items; /* LogItem bits */
    Mutex lock;             /* of the files */
    FILE *file;             /* NULL: stderr */
    char *file_name;        /* -D's argument, may hold %d */
    LogThreadFile thread_files[LOG_THREAD_FILES]; /* the latest used first */
    size_t thread_file_count;
    LogRange *ranges; /* -dfilter; none: everything */
    size_t range_count;
    struct Trace *trace; /* borrowed: `trace:PATTERN` items of -d go here */
    struct Files *files; /* borrowed: opens -D's file; NULL: plain paths alone */
    int lowest_fd;       /* its files have descriptors from here on, where there are such; 0: any */
} Log;

Log *log_new(void);
void log_free(Log *log);

/*
 * -d LIST and HMP's log: names separated by commas; "none" clears what stands before it, "all" sets all but nochain and
 * tid, "trace:PATTERN" selects trace events. Names of QEMU's that are about what no guest or translator here has are
 * taken and select nothing. ("help" and "trace:help" are the caller's: log_print_items, trace_print.)
 * `tid` needs a file name with %d: -D is to be set first.
 */
bool log_set_items(Log *log, const char *list, Error **error);
/* -D and HMP's logfile. %d stands for the process, with `tid` for the thread. NULL or "" goes back to stderr. */
bool log_set_file(Log *log, const char *name, Error **error);
/* Goes on in a file that is open already, which becomes the log's: `name` as for log_set_file; NULL: it stays. */
bool log_use_file(Log *log, const char *name, int fd, Error **error);
/* The descriptor of -D's file; -1: stderr. */
int log_descriptor(const Log *log);
bool log_owns(Log *log, int fd);
/* -dfilter: ranges START..END, START+LENGTH or START-LENGTH (the LENGTH bytes up to and with START), separated by
 * commas. Not while other threads log. */
bool log_set_ranges(Log *log, const char *list, Error **error);
/* -d help's table. */
void log_print_items(StrBuf *out);

static inline bool log_enabled(const Log *log, LogItem item)
{
    return UNLIKELY(atomic_load_explicit(&log->items, memory_order_relaxed) & item);
}

bool log_address_selected(const Log *log, uint64_t address);

/* Writes one message whole, whatever other threads write. */
void log_write(Log *log, const char *format, ...) PRINTF(2, 3);
/* Around fork(2), so that the child does not find the log locked for ever. */
void log_lock(Log *log);
void log_unlock(Log *log);

/* What a guest did wrong and the emulator carried on from. The message names the device or "cpu N" and ends
 * its line. */
#define log_guest_error(log, ...) \
    (log_enabled(log, LOG_GUEST_ERRORS) ? log_write(log, __VA_ARGS__) : (void)0)
#define log_unimplemented(log, ...) (log_enabled(log, LOG_UNIMP) ? log_write(log, __VA_ARGS__) : (void)0)
