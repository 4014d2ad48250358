/*
 * gdb's remote serial protocol (gdb's manual, appendix E): a connection to one debugger. What is debugged is a table of
 * functions, so that a program of a guest and a machine serve alike. All-stop: when something stops, all of it is
 * stopped; between gdb_stopped and its return the debugger asks.
 *
 * A program has children: between the debugger and each process's Gdb stands a broker, a process of its own, that makes
 * one session of them all (broker.c).
 *
 * Not here: non-stop mode, tracepoints, reverse execution.
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

/* What a thread is to do next. */
typedef struct GdbResume {
    enum { GDB_HOLD, GDB_RUN, GDB_STEP } action;
    int signal;          /* to be delivered to it, as gdb numbers them; 0: none */
    uint64_t start, end; /* a step goes on while the thread is in [start, end) */
} GdbResume;

enum { GDB_SIGNAL_INTERRUPT = 2, GDB_SIGNAL_TRAP = 5, GDB_SIGNAL_KILL = 9, GDB_SIGNAL_UNKNOWN = 143 };

/* Why everything stands. Signals are numbered as gdb does. */
typedef struct GdbStop {
    enum {
        GDB_BY_SIGNAL, GDB_BY_INTERRUPT, GDB_BY_BREAKPOINT, GDB_BY_WATCHPOINT, GDB_BY_CALL, GDB_BY_RETURN, GDB_BY_FORK,
        GDB_BY_VFORK, GDB_BY_VFORK_DONE, GDB_BY_EXEC, GDB_EXITED, GDB_KILLED
    } kind;
    int thread;
    int signal;       /* or exit status; 0: the debugger has just come, or is told of this process by another */
    GdbPoint point;   /* of a watchpoint */
    uint64_t value;   /* its address; the system call's number; the child's process number */
    int channel;      /* of a fork: the broker's end of the child's channel */
    const char *path; /* of exec */
} GdbStop;

typedef struct GdbTarget {
    const Guest *guest;
    /* Thread number `index`; false behind the last. */
    bool (*thread)(void *data, unsigned index, int *thread);
    Cpu *(*cpu)(void *data, int thread); /* NULL: there is none any more */
    bool (*read)(void *data, int thread, uint64_t address, void *bytes, size_t size);
    bool (*write)(void *data, int thread, uint64_t address, const void *bytes, size_t size);
    bool (*insert)(void *data, GdbPoint kind, uint64_t address, uint64_t size);
    bool (*remove)(void *data, GdbPoint kind, uint64_t address, uint64_t size);
    void (*resume)(void *data, int thread, const GdbResume *resume);
    void (*kill)(void *data);
    /* A line about a thread, for `info threads`. */
    void (*describe)(void *data, int thread, StrBuf *text);

    /* What follows a target may lack. */
    /* System calls to stop at: none where `enabled` is false, all where `count` is 0. */
    void (*catch_calls)(void *data, bool enabled, const uint64_t *numbers, size_t count);
    /* Signals, as gdb numbers them, that the debugger does not want to hear of. */
    void (*pass_signals)(void *data, const uint8_t *numbers, size_t count);
    /* Objects of qXfer: "auxv", "siginfo" of a thread, "exec-file", "maps". False: there is no such. */
    bool (*object)(void *data, const char *name, int thread, StrBuf *bytes);
    bool (*set_object)(void *data, const char *name, int thread, size_t offset, const uint8_t *bytes, size_t size);
    /* Registers behind the guest's table. `list` appends the features that they are. */
    void (*list)(void *data, unsigned first, StrBuf *xml);
    unsigned (*get)(void *data, int thread, unsigned number, uint8_t bytes[8]); /* bytes; 0: there is none */
    unsigned (*set)(void *data, int thread, unsigned number, const uint8_t *bytes, size_t size);
    /* A packet, or a monitor command, of the target's own. Nothing is said of one that is not known. */
    void (*query)(void *data, const char *packet, StrBuf *reply);
    bool (*command)(void *data, const char *line, StrBuf *reply);
    int process; /* the number that is said with each thread's; 0: none */
} GdbTarget;

/* Listens on a port ("1234", "host:1234", ":1234") or at a socket's path. -1 with an error that names `option`. */
int gdb_listen(const char *option, const char *where, Error **error);
/* Waits for the debugger. -1 with errno. */
int gdb_accept(int listener);
/* A debugger at the other end of `fd`, which is freed with it. `is_channel`: of our own making, where nothing gets
 * lost. */
Gdb *gdb_new(int fd, bool is_channel, const GdbTarget *target, void *data);
void gdb_free(Gdb *gdb);
/* To poll: readable where the debugger wants an interrupt. */
int gdb_fd(const Gdb *gdb);
/* Whether something has been read already that gdb_fd does not show any more. */
bool gdb_has_input(const Gdb *gdb);
/* What the debugger can follow. */
bool gdb_follows_forks(const Gdb *gdb);
/* Reads what came while all runs: true, the debugger wants to stop it. */
bool gdb_wants_stop(Gdb *gdb);
/* Reports and serves, until all is to go on. False: the debugger is gone; nothing is to stop any more. */
bool gdb_stopped(Gdb *gdb, const GdbStop *stop);
/* The same for who cannot wait: gdb_report says that all stands; gdb_serve answers what has come, until there is no
 * more, or all is to go on, or, while it `runs`, is to stop. */
typedef enum GdbServed { GDB_SERVED, GDB_SERVED_RESUME, GDB_SERVED_INTERRUPT, GDB_SERVED_END } GdbServed;
void gdb_report(Gdb *gdb, const GdbStop *stop);
GdbServed gdb_serve(Gdb *gdb, const GdbStop *stop, bool runs);
/* The last word. */
void gdb_report_end(Gdb *gdb, const GdbStop *stop);

/* Between the debugger and the processes of a program: a process of its own that runs until there is nothing left to
 * debug. `channel`: the first process's; `waits`: it begins when the debugger says so; `prefix`: where the program's
 * files are sought first, NULL: nowhere else. False with an error where it cannot be started. */
bool gdb_broker_start(int listener, int channel, int process, bool waits, const char *prefix, Error **error);

/* Registers of the guest's table that the debugger is told of: the next number is the first of GdbTarget.list. */
unsigned gdb_register_count(const Guest *guest);

/* Signals of Linux as gdb numbers them, and back; 0 and GDB_SIGNAL_UNKNOWN: there is none. */
int gdb_signal_from_linux(int number);
int gdb_signal_to_linux(int number);
