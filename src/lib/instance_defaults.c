/* What an instance has without being asked: its machine type, accelerator, serial port and monitor. */
#include "lib/instance_internal.h"

#include "api/type.h"
#include "base/error.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

const MachineClass *instance_machine_class(Instance *instance, Error **error)
{
    const GivenOption *option = given_find(&instance->given, OPTION_MACHINE);
    const char *name = option ? json_get_text(option->values, "type") : NULL;
    if (name) {
        return machine_class_find(name, instance->guest, error);
    }
    const MachineClass *class = machine_class_default(instance->guest);
    if (!class) {
        error_set(error, "No machine specified, and there is no default");
        error_add_hint(error, "Use -machine help to list supported machines");
    }
    return class;
}

/* -- accelerators ----------------------------------------------------------------------------------------------- */

/* "tcg" is what clients ask for; both run on the interpreter. The rest is known and not there. */
static const struct {
    const char *name;
    bool present;
} accelerators[] = {
    { "tcg", true },  { "interp", true }, { "kvm", false },  { "hvf", false },
    { "nvmm", false }, { "whpx", false }, { "xen", false }, { "qtest", false },
};

static const char *accelerator_candidate(const void *context, size_t i)
{
    return i < ARRAY_SIZE(accelerators) ? accelerators[i].name : NULL;
}

/* *present says whether it can be used; false where nobody knows the name. */
static bool accelerator_find(const char *name, bool *present, Error **error)
{
    for (size_t i = 0; i < ARRAY_SIZE(accelerators); i++) {
        if (!strcmp(accelerators[i].name, name)) {
            *present = accelerators[i].present;
            return true;
        }
    }
    AUTO_FREE char *suggestion = text_suggestion(name, accelerator_candidate, NULL);
    return error_set(error, "invalid accelerator %s%s", name, suggestion);
}

/* accel=a:b:c of -machine: the first that is present will do. */
static bool check_accelerator_list(const char *list, Error **error)
{
    for (const char *at = list;; at++) {
        size_t length = strcspn(at, ":");
        AUTO_FREE char *name = string_format("%.*s", (int)length, at);
        bool present;
        if (!accelerator_find(name, &present, error)) {
            return false;
        }
        at += length;
        if (present) {
            return true;
        }
        if (!*at) {
            return error_set(error, "none of the accelerators '%s' is in this build; there are tcg and interp", list);
        }
    }
}

/* A property of an accelerator. Processors have a thread each. */
static bool check_accelerator_keys(const GivenOption *option, Error **error)
{
    for (size_t i = 0; i < json_length(option->values); i++) {
        const char *key = json_key(option->values, i);
        const char *value = json_get_text(option->values, key);
        bool known = !strcmp(key, "accel") || (!strcmp(key, "thread") && value && !strcmp(value, "multi"));
        if (!known) {
            return error_set(error, "%s: '%s=%s' is not there; there is thread=multi", option->where, key,
                             value ? value : "...");
        }
    }
    return true;
}

static bool check_accel_options(Instance *instance, bool *found, Error **error)
{
    bool any = false;
    *found = false;
    for (size_t i = 0; i < instance->given.list.count && !*found; i++) {
        const GivenOption *option = &instance->given.list.items[i];
        if (option->id != OPTION_ACCEL) {
            continue;
        }
        const char *name = json_get_text(option->values, "accel");
        any = true;
        if (!name) {
            return error_set(error, "%s: 'accel' is missing", option->where);
        }
        if (!accelerator_find(name, found, error)) {
            return error_prepend(error, "%s: ", option->where);
        }
        if (*found && !check_accelerator_keys(option, error)) {
            return false;
        }
        if (!*found) {
            instance_message(instance, "info", "accelerator %s is not in this build", name);
        }
    }
    if (any && !*found) {
        return error_set(error, "-accel: none of the accelerators is in this build; there are tcg and interp");
    }
    return true;
}

bool instance_check_accelerators(Instance *instance, Error **error)
{
    const GivenOption *machine = given_find(&instance->given, OPTION_MACHINE);
    const char *list = machine ? json_get_text(machine->values, "accel") : NULL;
    bool found;
    if (!check_accel_options(instance, &found, error)) {
        return false;
    }
    if (list && found) {
        return error_set(error, "-accel and -machine accel= exclude each other");
    }
    return !list || check_accelerator_list(list, error) || error_prepend(error, "%s: ", machine->where);
}

/* -- serial ports and monitors ---------------------------------------------------------------------------------- */

bool instance_add_serial(Instance *instance, const char *text, Error **error)
{
    Machine *machine = instance->machine;
    AUTO_FREE char *id = string_format("serial%zu", machine->serials.count);
    CharDevice *device;
    bool monitored;
    if (!char_new_legacy(&instance->chars, id, text, &device, &monitored, error)) {
        return false;
    }
    vec_push(&machine->serials, device);
    if (monitored && device) {
        vec_push(&instance->monitored, device);
    }
    return true;
}

bool instance_add_monitor(Instance *instance, const char *text, MonitorKind kind, Error **error)
{
    AUTO_FREE char *id = string_format("compat_monitor%u", instance->monitors++);
    CharDevice *device;
    bool with_monitor; /* "mon:" in front says nothing new here */
    if (!char_new_legacy(&instance->chars, id, text, &device, kind == MONITOR_HMP ? &with_monitor : NULL, error)) {
        return false;
    }
    return !device || monitor_new(&instance->control, device, kind, error);
}

static bool is_given(const Instance *instance, OptionId id) { return given_find(&instance->given, id) != NULL; }

static bool default_monitor_wanted(const Instance *instance)
{
    return !instance->no_devices && !is_given(instance, OPTION_NODEFAULTS) && !is_given(instance, OPTION_MONITOR) &&
           !is_given(instance, OPTION_QMP) && !is_given(instance, OPTION_QMP_PRETTY) && !is_given(instance, OPTION_MON);
}

static bool default_serial_wanted(const Instance *instance)
{
    return !instance->no_devices && !is_given(instance, OPTION_NODEFAULTS) && !is_given(instance, OPTION_SERIAL) &&
           !instance->machine->class->no_serial;
}

static bool add_serial_callback(Instance *instance, Error **error)
{
    CharDevice *device =
        char_new_callback(&instance->chars, "serial0", instance->serial_output, instance->data, error);
    vec_push(&instance->machine->serials, device);
    return device != NULL;
}

/* Consoles in a window where there is no -nographic; there are no windows, so they are not seen. */
bool instance_add_default_devices(Instance *instance, Error **error)
{
    bool terminal = is_given(instance, OPTION_NOGRAPHIC);
    if (instance->serial_output && !is_given(instance, OPTION_SERIAL)) {
        return add_serial_callback(instance, error);
    }
    if (!default_serial_wanted(instance)) {
        return true;
    }
    if (!terminal && !is_given(instance, OPTION_DISPLAY)) {
        instance_message(instance, "info", "there is no display in this build: the serial port is not shown "
                                           "(-nographic puts it on the terminal)");
    }
    return instance_add_serial(instance, !terminal ? "vc" : default_monitor_wanted(instance) ? "mon:stdio" : "stdio",
                               error);
}

bool instance_add_default_monitors(Instance *instance, Error **error)
{
    bool shared = instance->monitored.count > 0;
    for (size_t i = 0; i < instance->monitored.count; i++) {
        if (!monitor_new(&instance->control, instance->monitored.items[i], MONITOR_HMP, error)) {
            return false;
        }
    }
    if (!default_monitor_wanted(instance) || shared) {
        return true;
    }
    return instance_add_monitor(instance, is_given(instance, OPTION_NOGRAPHIC) ? "stdio" : "vc", MONITOR_HMP, error);
}
