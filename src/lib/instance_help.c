/* "help" among the options. */
#include "lib/instance_internal.h"

#include "api/type.h"
#include "base/error.h"
#include "base/log.h"
#include "base/trace.h"
#include "monitor/help.h"
#include "monitor/objects.h"
#include "schema/char.h"

#include <stdio.h>
#include <string.h>

static void help_enum(const char *heading, const Type *type, StrBuf *out)
{
    strbuf_printf(out, "%s\n", heading);
    for (uint32_t i = 0; i < type->count; i++) {
        const char *description = type->descriptions ? type->descriptions[i] : NULL;
        strbuf_printf(out, "%-10s %s\n", type->names[i], description ? description : "");
    }
}

static bool help_machine(const GivenOption *option, const Guest *guest, StrBuf *out, Error **error)
{
    const char *name = json_get_text(option->values, "type");
    if (!name) {
        help_machines(guest, out);
        return true;
    }
    const MachineClass *class = machine_class_find(name, guest, error);
    if (class) {
        help_class(&class->class, out);
    }
    return class != NULL;
}

static bool help_class_of(const GivenOption *option, const char *key,
                          bool (*help)(const char *text, StrBuf *out, Error **error), StrBuf *out, Error **error)
{
    AUTO_ERROR(failure);
    const char *name = json_get_text(option->values, key);
    AUTO_FREE char *text = name ? string_format("%s,help", name) : string_copy("help");
    help(text, out, &failure);
    Error *moved = failure;
    failure = NULL;
    return error_propagate(error, moved);
}

static bool help_chardev(const GivenOption *option, StrBuf *out, Error **error)
{
    const char *name = json_get_text(option->values, "backend");
    if (!name) {
        help_enum("Available chardev backend types:", &ChardevBackend_type, out);
        return true;
    }
    int kind = type_enum_value(&ChardevBackend_type, name, error);
    if (kind < 0) {
        return false;
    }
    strbuf_printf(out, "%s options:\n", name);
    for (uint32_t i = 0; i < ChardevOptions_type.count; i++) {
        if (ChardevOptions_type.branches[i].value == kind && ChardevOptions_type.branches[i].type) {
            type_help(ChardevOptions_type.branches[i].type, out);
        }
    }
    return true;
}

static bool help_with_keys(const GivenOption *option, const Guest *guest, StrBuf *out, Error **error)
{
    switch (option->id) {
    case OPTION_MACHINE:
        return help_machine(option, guest, out, error);
    case OPTION_DEVICE:
        return help_class_of(option, "driver", user_device_help, out, error);
    case OPTION_OBJECT:
        return help_class_of(option, "qom-type", user_object_help, out, error);
    case OPTION_CHARDEV:
        return help_chardev(option, out, error);
    case OPTION_ACCEL:
        return instance_help_accelerator(option, out, error);
    default:
        type_help(schema_options[option->id].type, out);
        return true;
    }
}

static bool wants_help(const GivenOption *option)
{
    return option->help || (option->text && (!strcmp(option->text, "help") || !strcmp(option->text, "?")));
}

static void help_trace(FILE *file)
{
    Trace *trace = trace_new(trace_events, trace_event_count, NULL);
    trace_print(trace, file);
    trace_free(trace);
}

static bool help_one(const GivenOption *option, const Guest *guest, FILE *file, Error **error)
{
    AUTO_STRBUF(out);
    bool ok = true;
    if (option->id == OPTION_LOG_ITEMS) {
        log_print_items(&out);
    } else if (option->id == OPTION_TRACE) {
        help_trace(file);
    } else if (option->id == OPTION_CPU) {
        help_cpus(guest, &out);
    } else {
        ok = help_with_keys(option, guest, &out, error);
    }
    fputs(strbuf_text(&out), file);
    return ok;
}

/* A file may be called "help": only the options that have a list look at the word. */
static bool has_list(const GivenOption *option)
{
    return option->values || option->id == OPTION_CPU || option->id == OPTION_LOG_ITEMS;
}

bool instance_help(const GivenOptions *given, const Guest *guest, FILE *file, Error **error)
{
    for (size_t i = 0; i < given->list.count; i++) {
        const GivenOption *option = &given->list.items[i];
        if (wants_help(option) && has_list(option)) {
            if (!help_one(option, guest, file, error)) {
                error_prepend(error, "%s: ", option->where);
            }
            return true;
        }
    }
    return false;
}
