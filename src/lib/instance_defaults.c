/* What an instance has without being asked: its machine type, serial port and monitor. */
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
