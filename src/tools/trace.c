/* -T of the programs: trace events on stderr or into a file. */
#include "tools/tool.h"

#include "api/options.h"
#include "api/type.h"
#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/trace.h"
#include "schema/options.h"

#include <string.h>

enum { LARGEST_EVENTS_FILE = 1 << 20 };

static bool select_file(const Tool *tool, const char *path, Error **error)
{
    size_t size;
    AUTO_FREE char *text = files_read_all(tool->files, path, LARGEST_EVENTS_FILE, &size, error);
    return text && trace_select_file(tool->trace, text, error);
}

static bool apply(const Tool *tool, const TraceOptions *given, Error **error)
{
    AUTO_ERROR(unknown);
    if ((given->file && !log_set_file(tool->log, given->file, error)) ||
        (given->events && !select_file(tool, given->events, error))) {
        return false;
    }
    if (given->enable && !trace_select(tool->trace, given->enable, &unknown)) {
        tool_warning(tool, "%s", error_message(unknown)); /* scripts name events of other versions */
    }
    return true;
}

bool tool_trace(Tool *tool, const char *text, bool *ended)
{
    AUTO_ERROR(error);
    TraceOptions options = { 0 };
    if (!tool->trace) {
        tool->log = log_new();
        tool->log->files = tool->files;
        tool->trace = trace_new(trace_events, trace_event_count, tool->log);
        tool->log->trace = tool->trace;
        block_graph_set_trace(tool->graph, tool->trace);
    }
    *ended = false;
    bool ok = options_to_value(&TraceOptions_type, text, &options, ended, &error);
    *ended = *ended || (ok && options.enable && strcmp(options.enable, "help") == 0);
    if (ok && *ended) {
        trace_print(tool->trace, stdout);
    }
    ok = ok && (*ended || apply(tool, &options, &error));
    type_clear(&TraceOptions_type, &options);
    if (!ok) {
        tool_error(tool, "%s", error_message(error));
    }
    return ok;
}

void tool_trace_free(Tool *tool)
{
    if (tool->trace) {
        trace_free(tool->trace);
        log_free(tool->log);
    }
}
