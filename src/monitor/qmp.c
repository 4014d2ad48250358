/*
 * The QEMU machine protocol: greeting, negotiation of capabilities, requests and replies, as its specification
 * (docs/interop/qmp-spec) says. Requests are handled one after the other, each answered before the next is looked at;
 * so nothing waits that a request out of band ("exec-oob") could overtake. As in QEMU, only commands marked for it may
 * come that way.
 *
 * Not here: any command that is so marked. No event of ours is one that the specification limits in rate.
 */
#include "monitor/monitor_internal.h"

#include "base/error.h"
#include "schema/control.h"

#include <stdlib.h>
#include <string.h>

const char monitor_version[] = "10.0.0";
const char monitor_package[] = "Myna " MYNA_VERSION;

static void add_error(Json *reply, const Error *error)
{
    Json *details = json_object();
    json_set(details, "class", json_string(error_class_name(error_class(error))));
    json_set(details, "desc", json_string(error_message(error)));
    json_set(reply, "error", details);
}

static Json *version_info(void)
{
    Json *numbers = json_object(), *version = json_object();
    json_set(numbers, "micro", json_int(VERSION_MICRO));
    json_set(numbers, "minor", json_int(VERSION_MINOR));
    json_set(numbers, "major", json_int(VERSION_MAJOR));
    json_set(version, "qemu", numbers);
    json_set(version, "package", json_string(monitor_package));
    return version;
}

static Json *greeting(void)
{
    Json *inner = json_object(), *outer = json_object(), *capabilities = json_array();
    json_array_append(capabilities, json_string(QMPCapability_type.names[QMP_CAPABILITY_OOB]));
    json_set(inner, "version", version_info());
    json_set(inner, "capabilities", capabilities);
    json_set(outer, "QMP", inner);
    return outer;
}

void qmp_send(Monitor *monitor, const Json *json)
{
    AUTO_STRBUF(out);
    if (monitor->kind == MONITOR_QMP_PRETTY) {
        json_write_pretty(&out, json);
    } else {
        json_write(&out, json);
    }
    strbuf_append(&out, "\n");
    monitor_print(monitor, strbuf_text(&out));
}

void qmp_open(Monitor *monitor)
{
    Json *hello = greeting();
    qmp_close(monitor);
    monitor->parser = json_parser_new(NULL);
    qmp_send(monitor, hello);
    json_free(hello);
}

void qmp_close(Monitor *monitor)
{
    monitor->negotiated = monitor->out_of_band = false;
    json_parser_free(monitor->parser);
    monitor->parser = NULL;
}

/* -- requests --------------------------------------------------------------------------------------------------- */

static bool check_member(const Monitor *monitor, const char *key, const Json *value, Error **error)
{
    if (!strcmp(key, "execute") || (monitor && monitor->out_of_band && !strcmp(key, "exec-oob"))) {
        return json_kind(value) == JSON_STRING || error_set(error, "QMP input member '%s' must be a string", key);
    }
    if (!strcmp(key, "arguments")) {
        return json_kind(value) == JSON_OBJECT || error_set(error, "QMP input member 'arguments' must be an object");
    }
    return !strcmp(key, "id") || error_set(error, "QMP input member '%s' is unexpected", key);
}

static bool check_request(const Monitor *monitor, const Json *request, Error **error)
{
    if (json_kind(request) != JSON_OBJECT) {
        return error_set(error, "QMP input must be a JSON object");
    }
    for (size_t i = 0; i < json_length(request); i++) {
        if (!check_member(monitor, json_key(request, i), json_value(request, i), error)) {
            return false;
        }
    }
    const Json *in_band = json_get(request, "execute"), *out_of_band = json_get(request, "exec-oob");
    if (in_band && out_of_band) {
        return error_set(error, "QMP input member 'execute' clashes with 'exec-oob'");
    }
    return in_band || out_of_band || error_set(error, "QMP input lacks member 'execute'");
}

static bool check_negotiated(const Monitor *monitor, const Json *request, Error **error)
{
    const char *name = json_get_text(request, "execute");
    bool negotiation = name && !strcmp(name, "qmp_capabilities");
    if (!monitor || monitor->negotiated == !negotiation) {
        return true;
    }
    if (negotiation) {
        return error_set_class(error, ERROR_COMMAND_NOT_FOUND,
                               "Capabilities negotiation is already complete, command ignored");
    }
    return error_set_class(error, ERROR_COMMAND_NOT_FOUND,
                           "Expecting capabilities negotiation with 'qmp_capabilities'");
}

static Json *execute(Control *control, Monitor *monitor, const Json *request, Error **error)
{
    Monitor temporary = { .control = control, .kind = MONITOR_QMP, .negotiated = true };
    if (!check_request(monitor, request, error) || !check_negotiated(monitor, request, error)) {
        return NULL;
    }
    const char *in_band = json_get_text(request, "execute");
    const char *name = in_band ? in_band : json_get_text(request, "exec-oob");
    const Command *command = command_find_user(schema_commands, schema_command_count, name, error);
    if (!command) {
        return NULL;
    }
    if (!in_band && !(command->flags & COMMAND_ALLOW_OOB)) {
        error_set(error, "The command %s does not support OOB", name);
        return NULL;
    }
    return command_run(command, monitor ? monitor : &temporary, json_get(request, "arguments"), error);
}

/* What the command asked of the machine is done before the reply: its events come first. */
Json *qmp_handle(Control *control, Monitor *monitor, Json *request)
{
    AUTO_ERROR(error);
    Json *reply = json_object();
    Json *result = execute(control, monitor, request, &error);
    if (result) {
        json_set(reply, "return", result);
        machine_handle_requests(control->machine);
    } else {
        add_error(reply, error);
    }
    Json *id = json_kind(request) == JSON_OBJECT ? json_take(request, "id") : NULL;
    if (id) {
        json_set(reply, "id", id);
    }
    return reply;
}

Json *control_execute(Control *control, const Json *request)
{
    Json *copy = json_copy(request);
    Json *reply = qmp_handle(control, NULL, copy);
    json_free(copy);
    return reply;
}

static void send_parse_error(Monitor *monitor, const Error *error)
{
    Json *reply = json_object();
    add_error(reply, error);
    qmp_send(monitor, reply);
    json_free(reply);
}

/* Replies to what is complete; the peer may go while that happens, which ends the parser. */
void qmp_receive(Monitor *monitor, const uint8_t *bytes, size_t count)
{
    if (!monitor->parser) {
        return;
    }
    json_parser_feed(monitor->parser, bytes, count);
    while (monitor->parser) {
        AUTO_ERROR(error);
        Json *request = NULL;
        JsonNext next = json_parser_next(monitor->parser, &request, &error);
        if (next == JSON_NEXT_MORE) {
            return;
        }
        if (next == JSON_NEXT_ERROR) {
            send_parse_error(monitor, error);
            continue;
        }
        Json *reply = qmp_handle(monitor->control, monitor, request);
        qmp_send(monitor, reply);
        json_free(request);
        json_free(reply);
    }
}

/* -- the protocol's own commands -------------------------------------------------------------------------------- */

bool qmp_qmp_capabilities(Monitor *monitor, const QmpCapabilitiesArguments *arguments, Error **error)
{
    monitor->out_of_band = arguments->enable.count > 0; /* there is no other capability */
    monitor->negotiated = true;
    return true;
}

bool qmp_query_version(Monitor *monitor, VersionInfo *result, Error **error)
{
    result->qemu = (VersionTriple){ .major = VERSION_MAJOR, .minor = VERSION_MINOR, .micro = VERSION_MICRO };
    result->package = string_copy(monitor_package);
    return true;
}

bool qmp_query_commands(Monitor *monitor, CommandInfoList *result, Error **error)
{
    result->count = schema_command_count;
    result->items = mem_alloc0(result->count * sizeof(CommandInfo));
    for (size_t i = 0; i < schema_command_count; i++) {
        ((CommandInfo *)result->items)[i].name = string_copy(schema_commands[i].name);
    }
    return true;
}
