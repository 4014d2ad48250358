/* Commands about the program itself: what it is called, its options, the descriptors that it was given. */
#include "monitor/monitor_internal.h"

#include "api/command.h"
#include "base/error.h"
#include "base/files.h"
#include "monitor/object_types.h"
#include "schema/char.h"
#include "schema/control.h"
#include "schema/block.h"
#include "schema/introspect.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool qmp_quit(Monitor *monitor, Error **error)
{
    Control *control = monitor->control;
    control->quitting = true;
    if (control->quit) {
        control->quit(control->data, SHUTDOWN_HOST_QMP_QUIT);
    }
    return true;
}

bool qmp_human_monitor_command(Monitor *monitor, const HumanMonitorCommandArguments *arguments, char **result,
                               Error **error)
{
    Control *control = monitor->control;
    size_t count = control->machine ? control->machine->vcpus.count : 0;
    if (arguments->has_cpu_index && (arguments->cpu_index < 0 || (uint64_t)arguments->cpu_index >= count)) {
        return error_set(error, "Parameter 'cpu-index' expects a CPU number below %zu", count);
    }
    *result = control_hmp(control, arguments->command_line, arguments->has_cpu_index ? arguments->cpu_index : 0);
    return true;
}

bool hmp_info_version(Monitor *monitor, StrBuf *output, Error **error)
{
    strbuf_printf(output, "%s (%s)\n", monitor_version, monitor_package);
    return true;
}

bool qmp_query_name(Monitor *monitor, NameInfo *result, Error **error)
{
    result->name = string_copy(monitor->control->machine->options.name);
    return true;
}

bool hmp_info_name(Monitor *monitor, StrBuf *output, Error **error)
{
    if (monitor->control->machine->options.name) {
        strbuf_printf(output, "%s\n", monitor->control->machine->options.name);
    }
    return true;
}

static const char *machine_uuid(const Monitor *monitor)
{
    const char *uuid = monitor->control->machine->options.uuid;
    return uuid ? uuid : "00000000-0000-0000-0000-000000000000";
}

bool qmp_query_uuid(Monitor *monitor, UuidInfo *result, Error **error)
{
    result->UUID = string_copy(machine_uuid(monitor));
    return true;
}

bool hmp_info_uuid(Monitor *monitor, StrBuf *output, Error **error)
{
    strbuf_printf(output, "%s\n", machine_uuid(monitor));
    return true;
}

/* -- introspection ---------------------------------------------------------------------------------------------- */

bool qmp_query_qmp_schema(Monitor *monitor, SchemaInfoList *result, Error **error)
{
    ObjectTypes *objects = object_types_new();
    const OpenArguments open[] = { { "object-add", object_types_union(objects) },
                                   { "blockdev-add", &BlockdevOptions_type },
                                   { "blockdev-reopen", &BlockdevReopenGiven_type } };
    const Schema schema = {
        .commands = schema_commands,
        .command_count = schema_command_count,
        .events = schema_events,
        .event_count = schema_event_count,
        .open = open,
        .open_count = ARRAY_SIZE(open),
    };
    Json *entries = schema_introspect(&schema);
    bool ok = type_from_json(&SchemaInfoList_type, entries, result, error);
    json_free(entries);
    object_types_free(objects);
    return ok;
}

static int parameter_type(const Type *type)
{
    switch (type->kind) {
    case TYPE_BOOL:
        return COMMAND_LINE_PARAMETER_TYPE_BOOLEAN;
    case TYPE_INT:
    case TYPE_NUMBER:
        return COMMAND_LINE_PARAMETER_TYPE_NUMBER;
    case TYPE_SIZE:
        return COMMAND_LINE_PARAMETER_TYPE_SIZE;
    default:
        return COMMAND_LINE_PARAMETER_TYPE_STRING;
    }
}

typedef VEC(CommandLineParameterInfo) ParameterInfos;

static bool has_parameter(const ParameterInfos *list, const char *name)
{
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->items[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* Several branches of a union may have a member of one name. */
static void add_parameters(ParameterInfos *list, const Type *type)
{
    for (uint32_t i = 0; i < type->member_count; i++) {
        const TypeMember *member = &type->members[i];
        if (has_parameter(list, member->name)) {
            continue;
        }
        CommandLineParameterInfo info = {
            .name = string_copy(member->name),
            .type = parameter_type(member->type),
            .help = string_copy(member->description),
            .default_ = string_copy(member->default_text),
        };
        vec_push(list, info);
    }
    for (uint32_t i = 0; type->kind == TYPE_UNION && i < type->count; i++) {
        if (type->branches[i].type) {
            add_parameters(list, type->branches[i].type);
        }
    }
}

bool qmp_query_command_line_options(Monitor *monitor, const QueryCommandLineOptionsArguments *arguments,
                                    CommandLineOptionInfoList *result, Error **error)
{
    VEC(CommandLineOptionInfo) list = { 0 };
    for (size_t i = 0; i < schema_option_count; i++) {
        const Option *option = &schema_options[i];
        const char *name = option->group;
        bool has_keys = option->type && (option->type->kind == TYPE_STRUCT || option->type->kind == TYPE_UNION);
        if (!has_keys || (arguments->option && strcmp(arguments->option, name))) {
            continue;
        }
        ParameterInfos parameters = { 0 };
        add_parameters(&parameters, option->type);
        CommandLineOptionInfo info = {
            .option = string_copy(name),
            .parameters = { .items = parameters.items, .count = parameters.count },
        };
        vec_push(&list, info);
    }
    result->items = list.items;
    result->count = list.count;
    return list.count || !arguments->option || error_set(error, "invalid option name: %s", arguments->option);
}

/* -- descriptors ------------------------------------------------------------------------------------------------ */

static int take_descriptor(Monitor *monitor, Error **error)
{
    int fd = char_take_fd(&monitor->chars);
    if (fd < 0) {
        error_set(error, "No file descriptor supplied via SCM_RIGHTS");
    }
    return fd;
}

bool qmp_getfd(Monitor *monitor, const GetfdArguments *arguments, Error **error)
{
    int fd = take_descriptor(monitor, error);
    if (fd < 0) {
        return false;
    }
    if (!files_add_named(monitor->control->files, arguments->fdname, fd, error)) {
        close(fd);
        return false;
    }
    return true;
}

bool qmp_closefd(Monitor *monitor, const ClosefdArguments *arguments, Error **error)
{
    return files_close_named(monitor->control->files, arguments->fdname, error);
}

bool qmp_add_fd(Monitor *monitor, const AddFdArguments *arguments, AddfdInfo *result, Error **error)
{
    int fd = take_descriptor(monitor, error);
    if (fd < 0) {
        return false;
    }
    int64_t set = arguments->has_fdset_id ? arguments->fdset_id : -1;
    if (!files_fdset_add(monitor->control->files, set, fd, arguments->opaque, &result->fdset_id, error)) {
        close(fd);
        return false;
    }
    result->fd = fd;
    return true;
}

bool qmp_remove_fd(Monitor *monitor, const RemoveFdArguments *arguments, Error **error)
{
    int64_t fd = arguments->has_fd ? arguments->fd : -1;
    if (arguments->has_fd && (fd < 0 || fd > INT32_MAX)) {
        return error_set(error, "File descriptor named 'fdset-id:%" PRId64 ", fd:%" PRId64 "' not found",
                         arguments->fdset_id, fd);
    }
    return files_fdset_remove(monitor->control->files, arguments->fdset_id, fd, error);
}

typedef VEC(FdsetInfo) FdsetInfos;
typedef VEC(FdsetFdInfo) FdsetFdInfos;

static void finish_set(FdsetInfos *sets, FdsetFdInfos *fds, int64_t number)
{
    if (fds->count) {
        FdsetInfo set = { .fdset_id = number, .fds = { .items = fds->items, .count = fds->count } };
        vec_push(sets, set);
        *fds = (FdsetFdInfos){ 0 };
    }
}

bool qmp_query_fdsets(Monitor *monitor, FdsetInfoList *result, Error **error)
{
    FdsetInfos sets = { 0 };
    FdsetFdInfos fds = { 0 };
    FdsetMember member;
    int64_t number = -1;
    for (size_t i = 0; files_fdset_member(monitor->control->files, i, &member); i++) {
        if (member.set != number) {
            finish_set(&sets, &fds, number);
            number = member.set;
        }
        FdsetFdInfo fd = { .fd = member.fd, .opaque = string_copy(member.opaque) };
        vec_push(&fds, fd);
    }
    finish_set(&sets, &fds, number);
    result->items = sets.items;
    result->count = sets.count;
    return true;
}
