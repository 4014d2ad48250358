/*
 * libmyna: whole machines inside a program, several at once, of different processors. Stable: what stands here keeps
 * its meaning; later versions add to it.
 *
 * A machine is made from the options of the command line of `myna-system-GUEST`; it has no devices that were not asked
 * for, but for its first serial port, whose output comes to the program. It runs when it is told to, on the thread
 * that tells it: each instruction takes a nanosecond of the machine's time, and time in which all processors wait is
 * skipped, so that a run can be repeated exactly. A machine belongs to one thread at a time.
 *
 *     char *error = NULL;
 *     const char *options[] = { "-M", "virt", "-m", "128M", "-bios", "firmware.bin" };
 *     MynaMachine *machine = myna_new("riscv64", 6, options, &(MynaHooks){ .output = print }, &error);
 *     while (machine && !myna_ended(machine, NULL)) {
 *         myna_step(machine, 1000000);
 *     }
 *     myna_free(machine);
 *
 * Functions that can fail return false, NULL or -1 and, where `error` is not NULL, set *error to a message, which is
 * freed by myna_free_text, as are all texts that are said to be the caller's.
 */
#ifndef MYNA_H
#define MYNA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define MYNA_API __attribute__((visibility("default")))
#else
#define MYNA_API
#endif

typedef struct MynaMachine MynaMachine;

/* What the program wants to hear; any member may be NULL. Called from within the functions below, of which a hook may
 * call myna_stop alone. */
typedef struct MynaHooks {
    /* The first serial port's output. */
    void (*output)(void *data, const uint8_t *bytes, size_t count);
    /* QMP's events: "SHUTDOWN" and others, with their data as JSON ("{}" where there is none). */
    void (*event)(void *data, const char *name, const char *json);
    /* Warnings and information. */
    void (*message)(void *data, const char *text);
    void *data;
} MynaHooks;

/* "0.1.0" */
MYNA_API const char *myna_version(void);
/* The guests that there are, in order; NULL at the end. */
MYNA_API const char *myna_guest(size_t index);

/* `guest`: "riscv64". `hooks` is copied; it may be NULL. The machine stands at its first instruction. */
MYNA_API MynaMachine *myna_new(const char *guest, int option_count, const char *const *options, const MynaHooks *hooks,
                               char **error);
MYNA_API void myna_free(MynaMachine *machine);

/* Runs so many instructions, counted over all processors; returns how many were run: fewer where the machine ended, was
 * stopped by a command, or nothing will ever happen in it again. */
MYNA_API uint64_t myna_step(MynaMachine *machine, uint64_t instructions);
/* Runs until the machine ends or stands still for ever, or myna_stop is called. */
MYNA_API void myna_run(MynaMachine *machine);
/* Makes myna_run and myna_step return soon. Any thread, also from a hook. */
MYNA_API void myna_stop(MynaMachine *machine);
/* Whether it has ended: the guest switched it off, or a command did. `*status` (may be NULL) is the exit status that
 * the program myna-system-GUEST would have. */
MYNA_API bool myna_ended(const MynaMachine *machine, int *status);

/* Input for the first serial port: how many bytes it has room for were taken. */
MYNA_API size_t myna_input(MynaMachine *machine, const void *bytes, size_t count);

/* The state of the whole machine. The bytes are the caller's, freed by myna_free_text. It can be loaded into a machine
 * that was made with the same options; after a failed load the machine is not fit to run. */
MYNA_API bool myna_save(MynaMachine *machine, void **bytes, size_t *size, char **error);
MYNA_API bool myna_load(MynaMachine *machine, const void *bytes, size_t size, char **error);
MYNA_API bool myna_save_file(MynaMachine *machine, const char *path, char **error);
MYNA_API bool myna_load_file(MynaMachine *machine, const char *path, char **error);

MYNA_API unsigned myna_cpu_count(const MynaMachine *machine);
/* Names of a processor's registers: "pc", "a0" ...; NULL at the end. */
MYNA_API const char *myna_register_name(const MynaMachine *machine, unsigned cpu, size_t index);
/* The low 64 bits. False where there is no such processor or register. */
MYNA_API bool myna_register_read(MynaMachine *machine, unsigned cpu, const char *name, uint64_t *value);
MYNA_API bool myna_register_write(MynaMachine *machine, unsigned cpu, const char *name, uint64_t value);

/* Physical memory, as a debugger sees it: no side effects. False where there is none. */
MYNA_API bool myna_memory_read(MynaMachine *machine, uint64_t address, void *bytes, size_t count);
MYNA_API bool myna_memory_write(MynaMachine *machine, uint64_t address, const void *bytes, size_t count);

/* A QMP command, {"execute": ..., "arguments": ...}; the reply, {"return": ...} or {"error": ...}. The caller's. */
MYNA_API char *myna_qmp(MynaMachine *machine, const char *json);

MYNA_API void myna_free_text(void *text); /* NULL is fine */

#ifdef __cplusplus
}
#endif
#endif
