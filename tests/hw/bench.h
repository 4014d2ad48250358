/*
 * A machine without a processor: devices on a bench, driven by their registers, lines and clocks. Virtual time moves by
 * bench_advance alone.
 */
#pragma once

#include "char/char.h"
#include "core/device.h"
#include "core/machine.h"

#include <glib.h>

enum { BENCH_LINES = 64 };
#define BENCH_BASE UINT64_C(0x10000000) /* where bench_add maps the first device; the next come 256 MiB further */

typedef struct Bench {
    Machine *machine;
    Loop *loop;
    Files *files;
    Log *log;
    Trace *trace;
    struct BenchLines *lines;
    unsigned added;
} Bench;

Bench *bench_new(void);
void bench_free(Bench *bench);

/* Makes, realizes and maps a device; `properties` as on the command line, or NULL. Fails the test on an error. */
Device *bench_add(Bench *bench, const char *class, const char *properties);
/* The same, but expects failure; returns the message, owned by the caller. */
char *bench_add_error(Bench *bench, const char *class, const char *properties);
/* Where the device's bank is, and registers there. */
uint64_t bench_address(const Device *device, unsigned bank);
uint64_t bench_read(Bench *bench, uint64_t address, unsigned size);
void bench_write(Bench *bench, uint64_t address, unsigned size, uint64_t value);

/* Memory of the machine at `address`; returns the host's side of it. */
uint8_t *bench_add_ram(Bench *bench, uint64_t address, uint64_t size);

/* Lines: the device's output `n` goes to the bench's line; the bench's output goes to the device's input `n`. */
void bench_watch(Bench *bench, Device *device, const char *group, unsigned n, unsigned line);
void bench_drive(Bench *bench, Device *device, unsigned n, unsigned line);
int bench_level(const Bench *bench, unsigned line);
unsigned bench_edges(const Bench *bench, unsigned line); /* how often it rose */
void bench_set(Bench *bench, unsigned line, int level);

/* Once, after all devices: ready for resets of both kinds, saving and loading. */
void bench_start(Bench *bench);
void bench_reset(Bench *bench, ResetKind kind);
void bench_advance(Bench *bench, int64_t ns);
/* Runs the loop until `done`, or far too long. */
bool bench_wait(Bench *bench, bool (*done)(void *data), void *data);
/* Runs what is waiting in the loop, and in those of iothreads. */
void bench_drain(Bench *bench);
/* A thread with a loop for devices to use. */
void bench_add_iothread(Bench *bench, const char *id);
