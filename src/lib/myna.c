/* libmyna: the stable interface over an instance. */
#include "lib/myna.h"

#include "api/json.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/strbuf.h"
#include "base/text.h"
#include "core/loop.h"
#include "core/state.h"
#include "core/vcpu.h"
#include "lib/instance.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { STEP_AT_ONCE = 1000000 };

struct MynaMachine {
    Instance *instance;
    MynaHooks hooks;
    bool started; /* by the first step */
    bool ended;
    int status;
    atomic_bool stopping;
};

static void give_error(char **message, const Error *error)
{
    if (message) {
        *message = string_copy(error_message(error));
    }
}

const char *myna_version(void) { return monitor_package + strlen("Myna "); }
const char *myna_guest(size_t index) { return index < guest_count ? guests[index]->target : NULL; }
void myna_free_text(void *text) { free(text); }

/* -- hooks ------------------------------------------------------------------------------------------------------ */

static void on_output(void *data, const uint8_t *bytes, size_t count)
{
    MynaMachine *machine = data;
    if (machine->hooks.output) {
        machine->hooks.output(machine->hooks.data, bytes, count);
    }
}

static void on_event(void *data, const char *name, const Json *arguments)
{
    MynaMachine *machine = data;
    if (machine->hooks.event) {
        AUTO_FREE char *text = arguments ? json_to_text(arguments) : string_copy("{}");
        machine->hooks.event(machine->hooks.data, name, text);
    }
}

static void on_message(void *data, const char *kind, const char *text)
{
    MynaMachine *machine = data;
    if (machine->hooks.message) {
        machine->hooks.message(machine->hooks.data, text);
    }
}

static void on_shutdown(void *data, ShutdownCause cause, int status)
{
    MynaMachine *machine = data;
    machine->ended = true;
    machine->status = status;
}

/* -- life ------------------------------------------------------------------------------------------------------- */

/* What a program decides for its process is not a machine's to say. */
static bool check_options(const GivenOptions *given, Error **error)
{
    static const OptionId refused[] = { OPTION_DAEMONIZE, OPTION_PIDFILE, OPTION_RUN_WITH, OPTION_NOGRAPHIC };
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
        const GivenOption *option = given_find(given, refused[i]);
        if (option) {
            return error_set(error, "%s: this is for the program, not for a machine", option->where);
        }
    }
    return true;
}

static bool create(MynaMachine *machine, int count, const char *const *options, Error **error)
{
    Instance *instance = machine->instance;
    instance->no_devices = true;
    instance->single_threaded = true;
    instance->serial_output = on_output;
    instance->event = on_event;
    instance->message = on_message;
    instance->shutdown = on_shutdown;
    instance->data = machine;
    return given_add_arguments(&instance->given, count, options, instance->files, error) &&
           check_options(&instance->given, error) && instance_create(instance, error);
}

MynaMachine *myna_new(const char *guest_name, int count, const char *const *options, const MynaHooks *hooks,
                      char **message)
{
    AUTO_ERROR(error);
    const Guest *guest = guest_find(guest_name, &error);
    Instance *instance = guest ? instance_new(guest, false, &error) : NULL;
    if (!instance) {
        give_error(message, error);
        return NULL;
    }
    MynaMachine *machine = NEW(MynaMachine);
    machine->instance = instance;
    machine->hooks = hooks ? *hooks : (MynaHooks){ 0 };
    if (!create(machine, count, options, &error)) {
        give_error(message, error);
        myna_free(machine);
        return NULL;
    }
    return machine;
}

void myna_free(MynaMachine *machine)
{
    if (machine) {
        instance_free(machine->instance);
        free(machine);
    }
}

/* -- running ---------------------------------------------------------------------------------------------------- */

static void start(MynaMachine *machine)
{
    Machine *inner = machine->instance->machine;
    if (!machine->started && inner->run_state == RUN_STATE_PRELAUNCH) {
        machine_run(inner, NULL);
    }
    machine->started = true;
}

/* In pieces, between which the loop serves descriptors. */
uint64_t myna_step(MynaMachine *machine, uint64_t instructions)
{
    uint64_t done = 0;
    start(machine);
    while (done < instructions && !machine->ended && !atomic_exchange(&machine->stopping, false)) {
        uint64_t wanted = MIN(instructions - done, STEP_AT_ONCE);
        uint64_t ran = machine_step(machine->instance->machine, wanted);
        loop_iterate(machine->instance->loop, 0);
        done += ran;
        if (ran < wanted) {
            break;
        }
    }
    return done;
}

void myna_run(MynaMachine *machine)
{
    while (!machine->ended && !atomic_load(&machine->stopping)) {
        if (!myna_step(machine, STEP_AT_ONCE)) {
            break;
        }
    }
    atomic_store(&machine->stopping, false);
}

void myna_stop(MynaMachine *machine) { atomic_store(&machine->stopping, true); }

bool myna_ended(const MynaMachine *machine, int *status)
{
    if (status) {
        *status = machine->status;
    }
    return machine->ended;
}

size_t myna_input(MynaMachine *machine, const void *bytes, size_t count)
{
    CharDevice *device = char_find(&machine->instance->chars, "serial0", NULL);
    return device && char_is_callback(device) ? char_callback_input(device, bytes, count) : 0;
}

/* -- state ------------------------------------------------------------------------------------------------------ */

bool myna_save(MynaMachine *machine, void **bytes, size_t *size, char **message)
{
    AUTO_ERROR(error);
    AUTO_STRBUF(stream);
    machine_park(machine->instance->machine);
    bool ok = state_save(machine->instance->machine, &stream, &error);
    machine_unpark(machine->instance->machine);
    if (!ok) {
        give_error(message, error);
        return false;
    }
    *size = stream.length;
    *bytes = strbuf_take(&stream);
    return true;
}

/* The machine stands while its state comes in. */
static bool load(MynaMachine *machine, const void *bytes, size_t size, const char *path, char **message)
{
    AUTO_ERROR(error);
    Machine *inner = machine->instance->machine;
    bool runs = machine_is_running(inner);
    if (runs) {
        machine_stop(inner, RUN_STATE_PAUSED);
    }
    bool ok = (path ? state_load_file(inner, path, &error) : state_load(inner, bytes, size, &error)) &&
              (!runs || machine_run(inner, &error));
    if (!ok) {
        give_error(message, error);
    }
    return ok;
}

bool myna_load(MynaMachine *machine, const void *bytes, size_t size, char **message)
{
    return load(machine, bytes, size, NULL, message);
}

bool myna_load_file(MynaMachine *machine, const char *path, char **message)
{
    return load(machine, NULL, 0, path, message);
}

bool myna_save_file(MynaMachine *machine, const char *path, char **message)
{
    AUTO_ERROR(error);
    machine_park(machine->instance->machine);
    bool ok = state_save_file(machine->instance->machine, path, &error);
    machine_unpark(machine->instance->machine);
    if (!ok) {
        give_error(message, error);
    }
    return ok;
}

/* -- processors and memory -------------------------------------------------------------------------------------- */

unsigned myna_cpu_count(const MynaMachine *machine) { return machine->instance->machine->vcpus.count; }

static Cpu *find_cpu(const MynaMachine *machine, unsigned index)
{
    Machine *inner = machine->instance->machine;
    return index < inner->vcpus.count ? inner->vcpus.items[index]->cpu : NULL;
}

const char *myna_register_name(const MynaMachine *machine, unsigned index, size_t row)
{
    const Cpu *cpu = find_cpu(machine, index);
    return cpu && row < cpu->guest->ir.register_count ? cpu->guest->ir.registers[row].name : NULL;
}

static const GuestRegister *find_register(const Cpu *cpu, const char *name)
{
    for (uint32_t i = 0; cpu && i < cpu->guest->ir.register_count; i++) {
        if (!strcmp(cpu->guest->ir.registers[i].name, name)) {
            return &cpu->guest->ir.registers[i];
        }
    }
    return NULL;
}

bool myna_register_read(MynaMachine *machine, unsigned index, const char *name, uint64_t *value)
{
    Cpu *cpu = find_cpu(machine, index);
    const GuestRegister *row = find_register(cpu, name);
    if (row) {
        *value = load_le((const char *)cpu_state(cpu) + row->offset, MIN(row->bits / 8, 8));
    }
    return row != NULL;
}

/* As after loading a state: what follows from registers is derived anew. */
bool myna_register_write(MynaMachine *machine, unsigned index, const char *name, uint64_t value)
{
    Cpu *cpu = find_cpu(machine, index);
    const GuestRegister *row = find_register(cpu, name);
    if (!row) {
        return false;
    }
    machine_park(machine->instance->machine);
    store_le((char *)cpu_state(cpu) + row->offset, MIN(row->bits / 8, 8), value);
    if (cpu->guest->settle) {
        cpu->guest->settle(cpu);
    }
    cpu_tlb_flush(cpu, UINT32_MAX);
    machine_unpark(machine->instance->machine);
    return true;
}

static const Access debugger = { .debug = true, .requester_kind = REQUESTER_DEBUGGER };

bool myna_memory_read(MynaMachine *machine, uint64_t address, void *bytes, size_t count)
{
    AddressSpace *space = machine->instance->machine->address_space;
    return address_space_read(space, &debugger, address, bytes, count) == ACCESS_OK;
}

bool myna_memory_write(MynaMachine *machine, uint64_t address, const void *bytes, size_t count)
{
    AddressSpace *space = machine->instance->machine->address_space;
    return address_space_write(space, &debugger, address, bytes, count) == ACCESS_OK;
}

/* -- QMP -------------------------------------------------------------------------------------------------------- */

static Json *reply_error(const Error *error)
{
    Json *details = json_object(), *reply = json_object();
    json_set(details, "class", json_string(error_class_name(error_class(error))));
    json_set(details, "desc", json_string(error_message(error)));
    json_set(reply, "error", details);
    return reply;
}

char *myna_qmp(MynaMachine *machine, const char *text)
{
    AUTO_ERROR(error);
    Json *request = json_parse(text, strlen(text), &error);
    Json *reply = request ? control_execute(&machine->instance->control, request) : reply_error(error);
    char *reply_text = json_to_text(reply);
    loop_iterate(machine->instance->loop, 0); /* what the command posted */
    json_free(request);
    json_free(reply);
    return reply_text;
}
