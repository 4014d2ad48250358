/* Trace events: which are on, and writing one. */
#include "base/trace.h"

#include "base/error.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "base/text.h"
#include "base/vec.h"

#include <stdarg.h>

Trace *trace_new(const TraceEvent *events, size_t count, struct Log *log)
{
    Trace *trace = NEW(Trace);
    trace->enabled = mem_alloc_array(count, sizeof *trace->enabled);
    trace->events = events;
    trace->event_count = count;
    trace->log = log;
    return trace;
}

void trace_free(Trace *trace)
{
    if (trace) {
        free((void *)trace->enabled);
        free(trace);
    }
}

static const char *event_candidate(const void *context, size_t i)
{
    const Trace *trace = context;
    return i < trace->event_count ? trace->events[i].name : NULL;
}

bool trace_select(Trace *trace, const char *pattern, Error **error)
{
    bool on = pattern[0] != '-';
    const char *name = pattern + !on;
    bool found = strpbrk(name, "*?");
    for (size_t i = 0; i < trace->event_count; i++) {
        if (text_matches(name, trace->events[i].name)) {
            atomic_store_explicit(&trace->enabled[i], on, memory_order_relaxed);
            found = true;
        }
    }
    if (!found) {
        AUTO_FREE char *suggestion = text_suggestion(name, event_candidate, trace);
        return error_set(error, "'%s' is not a trace event%s", name, suggestion);
    }
    return true;
}

bool trace_select_file(Trace *trace, const char *text, Error **error)
{
    AUTO_FREE char *lines = string_copy(text);
    char *rest = lines, *line;
    for (unsigned number = 1; (line = strsep(&rest, "\n")); number++) {
        line[strcspn(line, "#")] = '\0';
        line += strspn(line, " \t\r");
        line[strcspn(line, " \t\r")] = '\0';
        if (*line && !trace_select(trace, line, error)) {
            return error_prepend(error, "line %u: ", number);
        }
    }
    return true;
}

void trace_print(const Trace *trace, FILE *file)
{
    for (size_t i = 0; i < trace->event_count; i++) {
        fprintf(file, "%s\n", trace->events[i].name);
    }
}

void trace_write(Trace *trace, size_t event, const char *format, ...)
{
    AUTO_STRBUF(text);
    va_list arguments;
    va_start(arguments, format);
    strbuf_vprintf(&text, format, arguments);
    va_end(arguments);
    log_write(trace->log, "%s %s\n", trace->events[event].name, strbuf_text(&text));
}
