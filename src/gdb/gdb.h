/*
 * gdb's remote serial protocol (gdb's manual, appendix E): a connection to one debugger. What is debugged is a table of
 * functions, so that a program of a guest and a machine serve alike. All-stop: when something stops, all of it is
 * stopped; between gdb_stopped and its return the debugger asks.
 *
 * Not here: non-stop mode, several processes on one connection, tracepoints, file transfer.
 */
#pragma once

#include "base/compiler.h"

typedef struct Cpu Cpu;
typedef struct Error Error;
typedef struct Gdb Gdb;
typedef struct Guest Guest;
typedef struct StrBuf StrBuf;

/* As packets Z0 to Z4 number them. */
typedef enum GdbPoint { GDB_SOFTWARE, GDB_HARDWARE, GDB_WATCH_WRITE, GDB_WATCH_READ, GDB_WATCH_ACCESS } GdbPoint;
typedef enum GdbAction { GDB_HOLD, GDB_RUN, GDB_STEP } GdbAction;

enum { GDB_SIGNAL_INTERRUPT = 2, GDB_SIGNAL_TRAP = 5, GDB_SIGNAL_UNKNOWN = 143 };

/* Why everything stands. Signals are numbered as gdb does. */
typedef struct GdbStop {
    enum { GDB_BY_SIGNAL, GDB_BY_BREAKPOINT, GDB_BY_WATCHPOINT, GDB_BY_CALL, GDB_BY_RETURN, GDB_EXITED, GDB_KILLED } kind;
    int thread;
    int signal;       /* or exit status */
    GdbPoint point;   /* of a watchpoint */
    uint64_t value;   /* its address; the system call's number */
} GdbStop;

typedef struct GdbTarget {
    const Guest *guest;
    /* Thread number `index`; false behind the last. */
    bool (*thread)(void *data, unsigned index, int *thread);
    Cpu *(*cpu)(void *data, int thread); /* NULL: there is none any more */
    bool (*read)(void *data, uint64_t address, void *bytes, size_t size);
    bool (*write)(void *data, uint64_t address, const void *bytes, size_t size);
    bool (*insert)(void *data, GdbPoint kind, uint64_t address, uint64_t size);
    bool (*remove)(void *data, GdbPoint kind, uint64_t address, uint64_t size);
    /* What the thread is to do next; `signal`: to be delivered to it, 0: none. */
    void (*resume)(void *data, int thread, GdbAction action, int signal);
    /* System calls to stop at: none where `enabled` is false, all where `count` is 0. */
    void (*catch_calls)(void *data, bool enabled, const uint64_t *numbers, size_t count);
    /* Objects of qXfer: "auxv", "siginfo" of a thread, "exec-file". False: there is no such. */
    bool (*object)(void *data, const char *name, int thread, StrBuf *bytes);
    void (*kill)(void *data);
} GdbTarget;

/* Waits on a port ("1234", "host:1234") or a socket's path for the debugger. NULL with an error. */
Gdb *gdb_listen(const char *where, const GdbTarget *target, void *data, Error **error);
/* Without a word to the debugger: in a child of fork. */
void gdb_free(Gdb *gdb);
/* To poll: readable where the debugger wants an interrupt. */
int gdb_fd(const Gdb *gdb);
/* Reads what came while all runs: true, the debugger wants to stop it. */
bool gdb_wants_stop(Gdb *gdb);
/* Reports and serves, until all is to go on. False: the debugger is gone; nothing is to stop any more. */
bool gdb_stopped(Gdb *gdb, const GdbStop *stop);
/* The last word. */
void gdb_report_end(Gdb *gdb, const GdbStop *stop);

/* Signals of Linux as gdb numbers them, and back; 0 and GDB_SIGNAL_UNKNOWN: there is none. */
int gdb_signal_from_linux(int number);
int gdb_signal_to_linux(int number);
