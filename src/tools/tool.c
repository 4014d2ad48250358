/* What the programs for images share. */
#include "tools/tool.h"

#include "api/json.h"
#include "api/options.h"
#include "base/error.h"
#include "base/files.h"
#include "base/text.h"
#include "base/vec.h"
#include "core/loop.h"

#include <math.h>
#include <stdarg.h>

const char tool_version[] = "version 10.0.0 (Myna " MYNA_VERSION ")";

bool tool_init(Tool *tool, const char *program)
{
    AUTO_ERROR(error);
    *tool = (Tool){ .program = program, .loop = loop_new(false, &error), .files = files_new() };
    tool->graph = tool->loop ? block_graph_new(tool->files, tool->loop, &error) : NULL;
    if (!tool->graph) {
        tool_error(tool, "%s", error_message(error));
        return false;
    }
    tool->root = object_new(&container_class, NULL, NULL, NULL);
    tool->objects = object_container(tool->root, "objects");
    block_graph_set_objects(tool->graph, tool->objects);
    return true;
}

void tool_free(Tool *tool)
{
    block_graph_free(tool->graph);
    object_unref(tool->root);
    tool_trace_free(tool);
    files_free(tool->files);
    if (tool->loop) {
        loop_free(tool->loop);
    }
}

static void print_message(const Tool *tool, const char *kind, const char *format, va_list arguments)
{
    fflush(stdout);
    AUTO_FREE char *text = string_vformat(format, arguments);
    fprintf(stderr, "%s: %s%s\n", tool->program, kind, text);
}

void tool_error(const Tool *tool, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print_message(tool, "", format, arguments);
    va_end(arguments);
}

void tool_warning(const Tool *tool, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print_message(tool, "warning: ", format, arguments);
    va_end(arguments);
}

void tool_report(const Tool *tool, Error *error, const char *prefix, ...)
{
    va_list arguments;
    va_start(arguments, prefix);
    AUTO_FREE char *before = string_vformat(prefix, arguments);
    va_end(arguments);
    tool_error(tool, "%s%s", before, error_message(error));
    if (*error_hint(error)) {
        fprintf(stderr, "%s", error_hint(error));
    }
    error_free(error);
}

static Json *open_options(const ToolOpen *open, Error **error)
{
    if (open->image_opts) {
        return options_parse(open->name, "file", NULL, error);
    }
    Json *json = open->options ? json_copy(open->options) : json_object();
    if (open->format && !json_get(json, "driver")) {
        json_set(json, "driver", json_string(open->format));
    }
    return json;
}

/* `node` (taken) behind a filter that keeps what is read. */
static BlockNode *add_copy_on_read(const Tool *tool, BlockNode *node, unsigned flags, Error **error)
{
    if (block_node_is_read_only(node)) {
        error_set(error, "Can't use copy-on-read on read-only device");
        block_node_unref(node);
        return NULL;
    }
    Json *options = json_object();
    json_set(options, "driver", json_string("copy-on-read"));
    json_set(options, "file", json_string(block_node_name(node)));
    BlockNode *filter = block_open(tool->graph, NULL, options, flags, error);
    block_node_unref(node);
    return filter;
}

static BlockNode *open_node(const Tool *tool, const ToolOpen *open, Error **error)
{
    Json *options = open_options(open, error);
    const char *name = open->image_opts ? NULL : open->name;
    bool over = open->snapshot && open->flags & BLOCK_OPEN_WRITE;
    unsigned flags = over ? open->flags & ~(unsigned)BLOCK_OPEN_WRITE : open->flags;
    BlockNode *node = options ? block_open(tool->graph, name, options, flags, error) : NULL;
    node = node && over ? block_open_temporary(tool->graph, node, open->flags, error) : node;
    return node && open->copy_on_read ? add_copy_on_read(tool, node, open->flags, error) : node;
}

/* An error that begins with the image's name, which stands before it already; takes it. */
static Error *without_name(Error *error)
{
    const char *message = error_message(error), *end = message[0] == '\'' ? strstr(message, "': ") : NULL;
    if (!end || memchr(message + 1, '\'', (size_t)(end - message) - 1)) {
        return error;
    }
    Error *result = NULL;
    error_set(&result, "%s", end + strlen("': "));
    if (*error_hint(error)) {
        error_add_hint(&result, "%s", error_hint(error));
    }
    error_free(error);
    return result;
}

BlockEdge *tool_open(const Tool *tool, const ToolOpen *open)
{
    Error *error = NULL;
    BlockNode *node = open_node(tool, open, &error);
    BlockEdge *edge = node ? block_attach(node, tool->program, open->permissions, open->shared, &error) : NULL;
    block_node_unref(node);
    if (!edge) {
        AUTO_FREE char *before = open->complaint ? string_copy(open->complaint)
                                                 : string_format("Could not open '%s': ", open->name);
        tool_report(tool, without_name(error), "%s", before);
        return NULL;
    }
    block_edge_set_write_through(edge, open->write_through);
    return edge;
}

bool tool_is_number(const char *text)
{
    uint64_t value;
    const char *digits = text + (*text == '-');
    const char *suffix = digits + strspn(digits, "0123456789");
    return suffix > digits && (!*suffix || (strchr("bBkKmMgGtTpPeE", *suffix) && !suffix[1]) ||
                               text_to_size(text, 1, &value, NULL));
}

char *tool_size_text(uint64_t bytes)
{
    static const char *const units[] = { "", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei" };
    int exponent = 0;
    frexp((double)bytes / (1000.0 / 1024.0), &exponent);
    int unit = MAX((exponent - 1) / 10, 0);
    return string_format("%0.3g %sB", (double)bytes / (double)BIT(unit * 10), units[unit]);
}
