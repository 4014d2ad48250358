/*
 * Trace events. Each folder lists its own in a file `events`, one a line:
 *
 *     uart_write(uint64_t offset, uint64_t value, unsigned size) "offset 0x%" PRIx64 " value 0x%" PRIx64 " size %u"
 *
 * gen/events.py makes `trace/<folder with _>.h` with an inline function per event, trace_uart_write(trace, ...),
 * that costs one byte load while the event is off. -trace and -d trace: select them by pattern.
 */
#pragma once

#include "base/compiler.h"

#include <stdatomic.h>
#include <stdio.h>

typedef struct Error Error;

typedef struct TraceEvent {
    const char *name;
} TraceEvent;

typedef struct Trace {
    _Atomic uint8_t *enabled; /* by index into the generated table of all events */
    const TraceEvent *events;
    size_t event_count;
    struct Log *log; /* where they are written */
} Trace;

/* Every event of the program, sorted by name (generated). */
extern const TraceEvent trace_events[];
extern const size_t trace_event_count;

/* `events` is the generated table; a test may give one of its own. */
Trace *trace_new(const TraceEvent *events, size_t count, struct Log *log);
void trace_free(Trace *trace);
/* A pattern with * and ?; a leading '-' turns off. No match without a wildcard is an error that names the nearest. */
bool trace_select(Trace *trace, const char *pattern, Error **error);
/* The text of -trace events=FILE: a pattern a line, # comments. */
bool trace_select_file(Trace *trace, const char *text, Error **error);
/* -trace help: the names, one a line. */
void trace_print(const Trace *trace, FILE *file);

/* For the generated functions. */
static inline bool trace_enabled(const Trace *trace, size_t event)
{
    return UNLIKELY(atomic_load_explicit(&trace->enabled[event], memory_order_relaxed));
}
void trace_write(Trace *trace, size_t event, const char *format, ...) PRINTF(3, 4);
