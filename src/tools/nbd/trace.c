/* -T of the nbd program: trace events on stderr or into a file. */
#include "tools/nbd/nbd.h"

#include "api/options.h"
#include "api/type.h"
#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/trace.h"
#include "schema/options.h"

enum { LARGEST_EVENTS_FILE = 1 << 20 };

static bool apply(const Nbd *nbd, const TraceOptions *given, Error **error)
{
    if (given->file && !log_set_file(nbd->log, given->file, error)) {
        return false;
    }
    if (given->events) {
        size_t size;
        AUTO_FREE char *text = files_read_all(nbd->tool.files, given->events, LARGEST_EVENTS_FILE, &size, error);
        if (!text || !trace_select_file(nbd->trace, text, error)) {
            return false;
        }
    }
    return !given->enable || trace_select(nbd->trace, given->enable, error);
}

bool nbd_start_trace(Nbd *nbd, bool *ended)
{
    *ended = false;
    if (nbd->given.traces.count == 0) {
        return true;
    }
    nbd->log = log_new();
    nbd->log->files = nbd->tool.files;
    nbd->trace = trace_new(trace_events, trace_event_count, nbd->log);
    nbd->log->trace = nbd->trace;
    for (size_t i = 0; i < nbd->given.traces.count && !*ended; i++) {
        AUTO_ERROR(error);
        TraceOptions options = { 0 };
        bool ok = options_to_value(&TraceOptions_type, nbd->given.traces.items[i], &options, ended, &error);
        if (ok && *ended) {
            trace_print(nbd->trace, stdout);
        }
        ok = ok && (*ended || apply(nbd, &options, &error));
        type_clear(&TraceOptions_type, &options);
        if (!ok) {
            tool_error(&nbd->tool, "%s", error_message(error));
            return false;
        }
    }
    return true;
}
