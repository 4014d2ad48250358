/* The life of an instance. */
#include "lib/instance_internal.h"

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/trace.h"
#include "core/loop.h"
#include "core/vcpu.h"
#include "monitor/objects.h"

#include <stdlib.h>
#include <string.h>

enum { DEFAULT_ESCAPE = 1 }; /* Ctrl-A */

static void instance_event(void *data, const char *name, Json *arguments)
{
    Instance *instance = data;
    if (instance->event) {
        instance->event(instance->data, name, arguments);
    }
    control_event(&instance->control, name, arguments);
}

static void instance_shutdown(void *data, ShutdownCause cause, int status)
{
    Instance *instance = data;
    if (instance->shutdown) {
        instance->shutdown(instance->data, cause, status);
    }
}

void instance_quit(Instance *instance, ShutdownCause cause)
{
    instance->interrupted = true;
    if (instance->machine && instance->machine->loaded) {
        machine_request_shutdown(instance->machine, cause, EXIT_SUCCESS);
    }
}

static void control_quit(void *data, ShutdownCause cause) { instance_quit(data, cause); }
static void mux_exit(void *data) { instance_quit(data, SHUTDOWN_HOST_QMP_QUIT); }
static bool is_interrupted(void *data) { return ((Instance *)data)->interrupted; }

void instance_message(Instance *instance, const char *kind, const char *format, ...)
{
    AUTO_STRBUF(text);
    va_list arguments;
    va_start(arguments, format);
    strbuf_vprintf(&text, format, arguments);
    va_end(arguments);
    if (instance->message) {
        instance->message(instance->data, kind, strbuf_text(&text));
    }
}

static void tell_user(void *data, const char *kind, const char *text) { instance_message(data, kind, "%s", text); }

char *instance_keep(Instance *instance, char *text)
{
    vec_push(&instance->strings, text);
    return text;
}

Instance *instance_new(const Guest *guest, bool attach_glib, Error **error)
{
    Instance *instance = NEW(Instance);
    instance->guest = guest;
    instance->loop = loop_new(attach_glib, error);
    if (!instance->loop) {
        free(instance);
        return NULL;
    }
    instance->files = files_new();
    instance->log = log_new();
    instance->log->files = instance->files;
    instance->trace = trace_new(trace_events, trace_event_count, instance->log);
    instance->log->trace = instance->trace;
    control_init(&instance->control);
    return instance;
}

static bool create_machine(Instance *instance, Error **error)
{
    const MachineClass *class = instance_machine_class(instance, error);
    if (!class || !instance_choose_accelerator(instance, error)) {
        return false;
    }
    instance->options.guest = instance->guest;
    instance->options.globals = &instance->globals;
    instance->options.single_threaded = instance->single_threaded;
    instance->options.clock_source = instance->single_threaded ? CLOCK_FROM_INSTRUCTIONS : CLOCK_FROM_HOST;
    Machine *machine = machine_new(class, &instance->options, instance->loop, instance->files, instance->log,
                                   instance->trace, error);
    if (!machine) {
        return false;
    }
    instance->machine = machine;
    machine->events = (MachineEvents){ .event = instance_event, .shutdown = instance_shutdown, .data = instance };
    instance->chars = (CharHost){
        .container = object_container(machine->root, "chardevs"),
        .loop = instance->loop,
        .files = instance->files,
        .escape = instance->chars.escape ? instance->chars.escape : DEFAULT_ESCAPE,
        .no_terminal = instance->background,
        .interrupted = is_interrupted,
        .exit_requested = mux_exit,
        .message = tell_user,
        .data = instance,
    };
    instance->control.machine = machine;
    instance->control.chars = &instance->chars;
    instance->control.files = instance->files;
    instance->control.log = instance->log;
    instance->control.trace = instance->trace;
    instance->control.quit = control_quit;
    instance->control.add_drive = instance_add_drive;
    instance->control.data = instance;
    return true;
}

static bool add_drive_devices(Instance *instance, Error **error)
{
    for (size_t i = 0; i < instance->drive_devices.count; i++) {
        if (!user_device_add_text(instance->machine, instance->drive_devices.items[i], NULL, error)) {
            return error_prepend(error, "-drive: ");
        }
    }
    return true;
}

static void warn_of_unused_globals(Instance *instance)
{
    for (size_t i = 0; i < instance->globals.count; i++) {
        const PropertyDefault *row = &instance->globals.items[i];
        if (!row->used) {
            instance_message(instance, "warning", "global %s.%s=%s has not been used", row->class_name, row->property,
                             row->value);
        }
    }
}

/* What the processors are that -cpu asked for may not be what was meant. */
static void warn_of_processors(Instance *instance)
{
    const Machine *machine = instance->machine;

    for (size_t i = 0; i < machine->vcpus.count; i++) {
        const Vcpu *vcpu = machine->vcpus.items[i];
        AUTO_STRBUF(lines);
        if (vcpu->cpu->guest->config_warnings) {
            vcpu->cpu->guest->config_warnings(vcpu->cpu->config, vcpu->index, &lines);
        }
        for (const char *line = strbuf_text(&lines), *end; *line; line = end + 1) {
            end = strchr(line, '\n');
            instance_message(instance, "warning", "%.*s", (int)(end - line), line);
        }
    }
}

bool instance_create(Instance *instance, Error **error)
{
    bool ok = instance_apply(instance, PHASE_FIRST, error) && instance_apply(instance, PHASE_MACHINE, error) &&
              create_machine(instance, error) && instance_apply(instance, PHASE_PROPERTIES, error) &&
              instance_apply(instance, PHASE_CHARDEV, error) && instance_apply(instance, PHASE_OBJECT, error) &&
              instance_apply(instance, PHASE_NODE, error) &&
              instance_apply(instance, PHASE_DRIVE, error) && instance_apply(instance, PHASE_SERIAL, error) &&
              instance_add_default_devices(instance, error) && machine_build(instance->machine, error) &&
              instance_apply(instance, PHASE_DEVICE, error) && add_drive_devices(instance, error) &&
              instance_apply(instance, PHASE_MONITOR, error) && instance_add_default_monitors(instance, error) &&
              machine_start_up(instance->machine, error);
    if (ok) {
        warn_of_processors(instance);
        warn_of_unused_globals(instance);
    }
    return ok;
}

static void free_strings(char **items, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(items[i]);
    }
}

void instance_free(Instance *instance)
{
    if (!instance) {
        return;
    }
    control_finish(&instance->control);
    if (instance->machine) {
        char_remove_all(&instance->chars);
        machine_free(instance->machine);
    }
    given_free(&instance->given);
    trace_free(instance->trace);
    log_free(instance->log);
    files_free(instance->files);
    loop_free(instance->loop);
    free_strings(instance->strings.items, instance->strings.count);
    free_strings(instance->drive_devices.items, instance->drive_devices.count);
    vec_free(&instance->strings);
    vec_free(&instance->drive_devices);
    vec_free(&instance->drive_places);
    vec_free(&instance->monitored);
    free(instance->globals.items);
    free(instance);
}
