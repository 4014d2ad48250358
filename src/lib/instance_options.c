/* What each option does to an instance: a table, a phase at a time. */
#include "lib/instance_internal.h"

#include "api/options.h"
#include "api/type.h"
#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/text.h"
#include "base/trace.h"
#include "block/block.h"
#include "core/debugger.h"
#include "hw/firmware/fw_cfg.h"
#include "monitor/objects.h"
#include "schema/char.h"
#include "schema/options.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LARGEST_EVENTS_FILE = 1 << 20, LARGEST_FIRMWARE_FILE = 1 << 28 };

/* One row: `value` is of the option's type where `typed`, else NULL. */
typedef struct OptionAction {
    OptionId id;
    Phase phase;
    bool typed;
    bool (*apply)(Instance *instance, const GivenOption *option, const void *value, Error **error);
} OptionAction;

/* -- log, descriptors ------------------------------------------------------------------------------------------- */

static bool apply_add_fd(Instance *instance, const GivenOption *option, const void *value, Error **error)
{
    const AddFdOptions *given = value;
    int64_t set;
    if (given->fd <= STDERR_FILENO) {
        return error_set(error, "'fd' cannot be standard input, output or error");
    }
    int flags = fcntl(given->fd, F_GETFD);
    if (flags < 0) {
        return error_set_errno(error, errno, "descriptor %d", given->fd);
    }
    fcntl(given->fd, F_SETFD, flags | FD_CLOEXEC);
    return files_fdset_add(instance->files, given->set, given->fd, given->opaque, &set, error);
}

static bool apply_log_items(Instance *instance, const GivenOption *option, const void *value, Error **error)
{
    return log_set_items(instance->log, option->text, error);
}

static bool apply_log_file(Instance *instance, const GivenOption *option, const void *value, Error **error)
{
    return log_set_file(instance->log, option->text, error);
}

static bool apply_log_ranges(Instance *instance, const GivenOption *option, const void *value, Error **error)
{
    return log_set_ranges(instance->log, option->text, error);
}

static bool apply_trace(Instance *instance, const GivenOption *option, const void *value, Error **error)
{
    const TraceOptions *given = value;
    if (given->file && !log_set_file(instance->log, given->file, error)) {
        return false;
    }
    if (given->events) {
        size_t size;
        AUTO_FREE char *text = files_read_all(instance->files, given->events, LARGEST_EVENTS_FILE, &size, error);
        if (!text || !trace_select_file(instance->trace, text, error)) {
            return false;
        }
    }
    return !given->enable || trace_select(instance->trace, given->enable, error);
}

/* -- the machine ------------------------------------------------------------------------------------------------ */

static bool apply_cpu(Instance *instance, const GivenOption *option, const void *value, Error **error)
{
    instance->options.cpu_model = option->text;
    return true;
}

static bool apply_name(Instance *instance, const GivenOption *option, const void *value, Error **error)
{
    const NameOptions *given = value;
    if (given->has_debug_threads && !given->debug_threads) {
        return error_set(error, "threads always have names: 'debug-threads' can only be on");
    }
    if (given->guest) {
        instance->options.name = instance_keep(instance, string_copy(given->guest));
    }
    return true;
}

/* 8-4-4-4-12 hexadecimal digits. */
static bool uuid_well_formed(const char *text)
{
    for (size_t i = 0; i < 36; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? text[i] != '-' : !isxdigit((unsigned char)text[i])) {
            return false;
        }
    }
    return !text[36];
}

static bool apply_uuid(Instance *instance, const GivenOption *option, const void *value, Error **error)
{
    if (!uuid_well_formed(option->text)) {
        return error_set(error, "this is no UUID: 32 hexadecimal digits in groups of 8-4-4-4-12");
    }
    char *uuid = instance_keep(instance, string_copy(option->text));
    for (char *at = uuid; *at; at++) {
        *at = tolower((unsigned char)*at);
    }
    instance->options.uuid = uuid;
    return true;
}

static bool apply_seed(Instance *instance, const GivenOption *option, const void *value, Error **error)
{
    instance->options.has_seed = true;
    return text_to_uint64(option->text, &instance->options.seed, error);
}

static bool apply_firmware_directory(Instance *instance, const GivenOption *option, const void *value, Error **error)
{
    const char *before = instance->options.firmware_directories;
    instance->options.firmware_directories =
        instance_keep(instance, before ? string_format("%s:%s", before, option->text) : string_copy(option->text));
    return true;
}

static void add_global(Instance *instance, const char *class_name, const char *property, const char *value)
{
    PropertyDefaults *globals = &instance->globals;
    globals->items = mem_realloc(globals->items, (globals->count + 1) * sizeof *globals->items);
    globals->items[globals->count++] = (PropertyDefault){
        .class_name = instance_keep(instance, string_copy(class_name)),
        .property = instance_keep(instance, string_copy(property)),
        .value = instance_keep(instance, string_copy(value)),
    };
}

/* DRIVER.PROPERTY=VALUE: the class's name may have dots, the property not before the '='. */
static bool apply_short_global(Instance *instance, const char *text, Error **error)
{
    const char *equals = strchr(text, '=');
    const char *dot = equals;
    while (dot && dot > text && *dot != '.') {
        dot--;
    }
    if (!equals || dot <= text || dot + 1 == equals) {
        return error_set(error, "expected driver.property=value, or driver=driver,property=property,value=value");
    }
    AUTO_FREE char *class_name = string_format("%.*s", (int)(dot - text), text);
    AUTO_FREE char *property = string_format("%.*s", (int)(equals - dot - 1), dot + 1);
    add_global(instance, class_name, property, equals + 1);
    return true;
}

static bool global_has_keys(const char *text)
{
    static const char *const keys[] = { "driver=", "property=", "value=" };
    bool found = false;
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        found |= text_starts_with(text, keys[i]);
    }
    return found;
}

/* A section of a file comes as values, the option as text. */
static bool apply_global(Instance *instance, const GivenOption *option, const void *value, Error **error)
{
    GlobalOptions given = { 0 };
    if (option->text && !global_has_keys(option->text)) {
        return apply_short_global(instance, option->text, error);
    }
    if (!(option->text ? options_to_value(&GlobalOptions_type, option->text, &given, NULL, error)
                       : type_from_options(&GlobalOptions_type, option->values, &given, error))) {
        return false;
    }
    add_global(instance, given.driver, given.property, given.value);
    type_clear(&GlobalOptions_type, &given);
    return true;
}

/* -- the machine's properties ----------------------------------------------------------------------------------- */

static bool apply_machine(Instance *instance, const GivenOption *option, const void *value, Error **error)
{
    static const char *const own[] = { "type", "accel", NULL };
    return object_set_all(&instance->machine->object, option->values, !option->json, own, error);
}

static bool apply_machine_text(Instance *instance, const GivenOption *option, const void *value, Error **error)
{
    static const struct {
        OptionId id;
        const char *property;
    } names[] = {
        { OPTION_KERNEL, "kernel" }, { OPTION_INITRD, "initrd" }, { OPTION_APPEND, "append" },
        { OPTION_DTB, "dtb" },       { OPTION_BIOS, "firmware" },
    };
    size_t i = 0;
    while (names[i].id != option->id) {
        i++;
    }
    return object_set_text(&instance->machine->object, names[i].property, option->text, error);
}

static bool apply_nographic(Instance *instance, const GivenOption *option, const void *value, Error **error)
{
    return object_set_text(&instance->machine->object, "graphics", "off", error);
}

static bool apply_smp(Instance *instance, const GivenOption *option, const void *value, Error **error)
{
    Json *configuration = type_to_json(&SMPConfiguration_type, value);
    bool ok = object_set(&instance->machine->object, "smp", configuration, error);
    json_free(configuration);
    return ok;
}

static bool apply_memory(Instance *instance, const GivenOption *option, const void *value, Error **error)
{
    const MemoryOptions *given = value;
    Json *configuration = json_object();
    if (given->has_size) {
        json_set(configuration, "size", json_uint(given->size));
    }
    if (given->has_maxmem) {
        json_set(configuration, "max-size", json_uint(given->maxmem));
    }
    if (given->has_slots) {
        json_set(configuration, "slots", json_uint(given->slots));
    }
    bool ok = object_set(&instance->machine->object, "memory", configuration, error);
    json_free(configuration);
    return ok;
}

static bool apply_no_reboot(Instance *instance, const GivenOption *option, const void *value, Error **error)
{
    return machine_set_action(instance->machine, "reboot", "shutdown", error);
}

static bool apply_no_shutdown(Instance *instance, const GivenOption *option, const void *value, Error **error)
{
    return machine_set_action(instance->machine, "shutdown", "pause", error);
}

static bool apply_action(Instance *instance, const GivenOption *option, const void *value, Error **error)
{
    for (size_t i = 0; i < json_length(option->values); i++) {
        const char *action = json_text(json_value(option->values, i));
        if (!machine_set_action(instance->machine, json_key(option->values, i), action, error)) {
            return false;
        }
    }
    return true;
}

/* -- character devices, objects, disks, devices ----------------------------------------------------------------- */

static bool apply_escape(Instance *instance, const GivenOption *option, const void *value, Error **error)
{
    uint64_t number;
    if (option->text[0] && !option->text[1] && !isdigit((unsigned char)option->text[0])) {
        number = (unsigned char)option->text[0];
    } else if (!text_to_uint64(option->text, &number, error)) {
        return false;
    }
    if (!number || number > 255) {
        return error_set(error, "the escape character is a number from 1 to 255, or a character");
    }
    instance->chars.escape = number;
    return true;
}

static bool apply_chardev(Instance *instance, const GivenOption *option, const void *value, Error **error)
{
    return char_new(&instance->chars, value, error) != NULL;
}

static bool apply_object(Instance *instance, const GivenOption *option, const void *value, Error **error)
{
    return user_object_add(instance->machine, option->values, !option->json, error);
}

static bool apply_device(Instance *instance, const GivenOption *option, const void *value, Error **error)
{
    return device_add(instance->machine, option->values, !option->json, error);
}

static bool apply_fw_cfg(Instance *instance, const GivenOption *option, const void *value, Error **error)
{
    const FwCfgOptions *given = value;
    Device *device = instance->machine->firmware_config;
    size_t size = given->string ? strlen(given->string) : 0;
    if (!given->name || !given->file == !given->string) {
        return error_set(error, "'name' and exactly one of 'file' and 'string' are needed");
    }
    if (!device) {
        return error_set(error, "this machine has no fw_cfg device");
    }
    if (!text_starts_with(given->name, "opt/")) {
        instance_message(instance, "warning", "%s: names of one's own begin with opt/", option->where);
    }
    AUTO_FREE char *bytes =
        given->file ? files_read_all(instance->files, given->file, LARGEST_FIRMWARE_FILE, &size, error)
                    : string_copy(given->string);
    return bytes && fw_cfg_add_file(device, given->name, bytes, (uint32_t)size, error);
}

static bool apply_blockdev(Instance *instance, const GivenOption *option, const void *value, Error **error)
{
    return disk_prepare_graph(instance->machine, instance->files, error) &&
           disk_add_node(instance->machine->root, instance->files, instance->loop, json_copy(option->values), error);
}

static bool apply_serial(Instance *instance, const GivenOption *option, const void *value, Error **error)
{
    return instance_add_serial(instance, option->text, error);
}

static bool apply_monitor(Instance *instance, const GivenOption *option, const void *value, Error **error)
{
    MonitorKind kind = option->id == OPTION_QMP          ? MONITOR_QMP
                       : option->id == OPTION_QMP_PRETTY ? MONITOR_QMP_PRETTY
                                                         : MONITOR_HMP;
    return instance_add_monitor(instance, option->text, kind, error);
}

static bool apply_mon(Instance *instance, const GivenOption *option, const void *value, Error **error)
{
    const MonOptions *given = value;
    bool pretty = given->has_pretty && given->pretty;
    bool control = given->has_mode && given->mode == MONITOR_MODE_CONTROL;
    if (pretty && !control) {
        return error_set(error, "'pretty' is for mode=control");
    }
    CharDevice *device = char_find(&instance->chars, given->chardev, error);
    MonitorKind kind = !control ? MONITOR_HMP : pretty ? MONITOR_QMP_PRETTY : MONITOR_QMP;
    return device && monitor_new(&instance->control, device, kind, error);
}

static bool apply_debugger(Instance *instance, const GivenOption *option, const void *value, Error **error)
{
    return debugger_listen(instance->machine, option->id == OPTION_GDB ? option->text : "tcp::1234", error);
}

/* There is one display, "none": to read the option is to refuse all others. */
static bool apply_display(Instance *instance, const GivenOption *option, const void *value, Error **error)
{
    return true;
}

/* -- the table -------------------------------------------------------------------------------------------------- */

static const OptionAction actions[] = {
    { OPTION_ADD_FD, PHASE_FIRST, true, apply_add_fd },
    { OPTION_LOG_FILE, PHASE_FIRST, false, apply_log_file },
    { OPTION_LOG_ITEMS, PHASE_FIRST, false, apply_log_items },
    { OPTION_DFILTER, PHASE_FIRST, false, apply_log_ranges },
    { OPTION_TRACE, PHASE_FIRST, true, apply_trace },
    { OPTION_ECHR, PHASE_FIRST, false, apply_escape },
    { OPTION_DISPLAY, PHASE_MACHINE, true, apply_display },
    { OPTION_CPU, PHASE_MACHINE, false, apply_cpu },
    { OPTION_NAME, PHASE_MACHINE, true, apply_name },
    { OPTION_UUID, PHASE_MACHINE, false, apply_uuid },
    { OPTION_SEED, PHASE_MACHINE, false, apply_seed },
    { OPTION_FIRMWARE_DIRECTORY, PHASE_MACHINE, false, apply_firmware_directory },
    { OPTION_GLOBAL, PHASE_MACHINE, false, apply_global },
    { OPTION_MACHINE, PHASE_PROPERTIES, false, apply_machine },
    { OPTION_KERNEL, PHASE_PROPERTIES, false, apply_machine_text },
    { OPTION_INITRD, PHASE_PROPERTIES, false, apply_machine_text },
    { OPTION_APPEND, PHASE_PROPERTIES, false, apply_machine_text },
    { OPTION_DTB, PHASE_PROPERTIES, false, apply_machine_text },
    { OPTION_BIOS, PHASE_PROPERTIES, false, apply_machine_text },
    { OPTION_NOGRAPHIC, PHASE_PROPERTIES, false, apply_nographic },
    { OPTION_SMP, PHASE_PROPERTIES, true, apply_smp },
    { OPTION_MEMORY, PHASE_PROPERTIES, true, apply_memory },
    { OPTION_NO_REBOOT, PHASE_PROPERTIES, false, apply_no_reboot },
    { OPTION_NO_SHUTDOWN, PHASE_PROPERTIES, false, apply_no_shutdown },
    { OPTION_ACTION, PHASE_PROPERTIES, true, apply_action },
    { OPTION_CHARDEV, PHASE_CHARDEV, true, apply_chardev },
    { OPTION_OBJECT, PHASE_OBJECT, false, apply_object },
    { OPTION_BLOCKDEV, PHASE_NODE, false, apply_blockdev },
    { OPTION_DRIVE, PHASE_DRIVE, false, instance_apply_drive },
    { OPTION_HDA, PHASE_DRIVE, false, instance_apply_disk },
    { OPTION_HDB, PHASE_DRIVE, false, instance_apply_disk },
    { OPTION_HDC, PHASE_DRIVE, false, instance_apply_disk },
    { OPTION_HDD, PHASE_DRIVE, false, instance_apply_disk },
    { OPTION_CDROM, PHASE_DRIVE, false, instance_apply_disk },
    { OPTION_FDA, PHASE_DRIVE, false, instance_apply_disk },
    { OPTION_FDB, PHASE_DRIVE, false, instance_apply_disk },
    { OPTION_SD, PHASE_DRIVE, false, instance_apply_disk },
    { OPTION_MTDBLOCK, PHASE_DRIVE, false, instance_apply_disk },
    { OPTION_PFLASH, PHASE_DRIVE, false, instance_apply_disk },
    { OPTION_SERIAL, PHASE_SERIAL, false, apply_serial },
    { OPTION_FW_CFG, PHASE_DEVICE, true, apply_fw_cfg },
    { OPTION_DEVICE, PHASE_DEVICE, false, apply_device },
    { OPTION_MON, PHASE_MONITOR, true, apply_mon },
    { OPTION_MONITOR, PHASE_MONITOR, false, apply_monitor },
    { OPTION_QMP, PHASE_MONITOR, false, apply_monitor },
    { OPTION_QMP_PRETTY, PHASE_MONITOR, false, apply_monitor },
    { OPTION_GDB, PHASE_MONITOR, false, apply_debugger },
    { OPTION_GDB_DEFAULT, PHASE_MONITOR, false, apply_debugger },
};

static const OptionAction *find_action(OptionId id, Phase phase)
{
    for (size_t i = 0; i < ARRAY_SIZE(actions); i++) {
        if (actions[i].id == id && actions[i].phase == phase) {
            return &actions[i];
        }
    }
    return NULL;
}

static bool apply_one(Instance *instance, const OptionAction *action, const GivenOption *option, Error **error)
{
    const Type *type = schema_options[option->id].type;
    AUTO_FREE void *value = action->typed ? mem_alloc0(type->size) : NULL;
    if (action->typed && !given_value(option, value, error)) {
        return false;
    }
    bool ok = action->apply(instance, option, value, error) || error_prepend(error, "%s: ", option->where);
    if (action->typed) {
        type_clear(type, value);
    }
    return ok;
}

bool instance_apply(Instance *instance, Phase phase, Error **error)
{
    for (size_t i = 0; i < instance->given.list.count; i++) {
        const GivenOption *option = &instance->given.list.items[i];
        const OptionAction *action = find_action(option->id, phase);
        if (action && !apply_one(instance, action, option, error)) {
            return false;
        }
    }
    return true;
}
