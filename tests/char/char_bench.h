/* Character devices without a machine: a host with a loop, and a front-end that keeps what it gets. */
#pragma once

#include "char/char.h"
#include "base/strbuf.h"
#include "core/loop.h"

#include <glib.h>

typedef struct Bench {
    Object *root;
    CharHost host;
    bool interrupted;
    unsigned exits;
} Bench;

typedef struct BenchFrontend {
    CharFrontend frontend;
    Bench *bench;
    StrBuf received;
    size_t limit; /* bytes that it takes in all; SIZE_MAX: any */
    unsigned opened, closed, breaks, mux_in, mux_out, writable;
} BenchFrontend;

void bench_init(Bench *bench);
void bench_finish(Bench *bench);
/* From -chardev's text; fails the test where it is refused. */
CharDevice *bench_char(Bench *bench, const char *format, ...) PRINTF(2, 3);
/* The message with which it is refused; owned by the caller. */
char *bench_refused(Bench *bench, const char *format, ...) PRINTF(2, 3);
void bench_attach(Bench *bench, BenchFrontend *frontend, CharDevice *device);
void bench_detach(BenchFrontend *frontend);
void bench_send(BenchFrontend *frontend, const char *text);
/* Runs the loop until `text` came in; fails the test after some seconds. */
void bench_expect(BenchFrontend *frontend, const char *text);
/* Until the number is reached. */
void bench_wait(Bench *bench, const unsigned *number, unsigned value);
/* All that is to be done now. */
void bench_settle(Bench *bench);
/* Reads from a blocking descriptor, with the loop running, until `text` came. */
void bench_read(Bench *bench, int fd, const char *text);
