#include "fixture.h"

#include "api/json.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/trace.h"
#include "core/loop.h"

#include <stdlib.h>
#include <string.h>

extern const Guest riscv64_guest;

const VcpuClass test_cpu_class = {
    .device.class = { .name = "rv64-test-cpu", .parent = &cpu_class.class },
    .guest = &riscv64_guest,
    .model = "rv64",
};

static void start_at_ram(void *data)
{
    Machine *machine = data;
    for (size_t i = 0; i < machine->vcpus.count; i++) {
        Cpu *cpu = machine->vcpus.items[i]->cpu;
        cpu->guest->set_pc(cpu, TEST_RAM);
    }
}

static bool test_build(Machine *machine, Error **error)
{
    Region *ram = region_new_ram(NULL, machine, "ram", machine->ram, 0, machine->ram->size, false);
    region_map(machine->memory, TEST_RAM, ram, 0);
    vcpu_set_timebase(machine, 10000000);
    for (unsigned i = 0; machine->options.cpu_model && i < machine->options.cpus; i++) {
        Vcpu *vcpu = vcpu_new(machine, machine->options.cpu_model, i, error);
        if (!vcpu || !device_realize(&vcpu->device, NULL, NULL, NULL, error)) {
            return false;
        }
    }
    machine_add_reset_function(machine, start_at_ram, machine);
    return true;
}

const MachineClass test_machine_class = {
    .class = { .name = "test-machine", .parent = &machine_class.class },
    .name = "test",
    .alias = "t",
    .maximum_cpus = 8,
    .default_ram = 1 << 20,
    .default_ram_id = "test.ram",
    .build = test_build,
};

static void record_event(void *data, const char *name, Json *arguments)
{
    Fixture *fixture = data;
    g_string_append(fixture->events, name);
    if (arguments) {
        char *text = json_to_text(arguments);
        g_string_append_printf(fixture->events, " %s", text);
        free(text);
    }
    g_string_append_c(fixture->events, ';');
    json_free(arguments);
}

static void record_shutdown(void *data, ShutdownCause cause, int status)
{
    Fixture *fixture = data;
    fixture->shutdowns++;
    fixture->cause = cause;
    fixture->status = status;
}

Fixture *fixture_new_raw(const MachineOptions *options)
{
    static const MachineOptions defaults = { 0 };
    Fixture *fixture = g_new0(Fixture, 1);
    MachineOptions copy = options ? *options : defaults;
    copy.guest = &riscv64_guest;
    fixture->loop = loop_new(false, NULL);
    fixture->log = log_new();
    fixture->trace = trace_new(trace_events, trace_event_count, fixture->log);
    fixture->events = g_string_new(NULL);
    Error *error = NULL;
    fixture->machine =
        machine_new(&test_machine_class, &copy, fixture->loop, NULL, fixture->log, fixture->trace, &error);
    g_assert_null(error);
    fixture->machine->events = (MachineEvents){ record_event, record_shutdown, fixture };
    return fixture;
}

Fixture *fixture_new(const MachineOptions *options)
{
    Fixture *fixture = fixture_new_raw(options);
    Error *error = NULL;
    if (!machine_build(fixture->machine, &error) || !machine_start_up(fixture->machine, &error)) {
        g_error("%s", error_message(error));
    }
    return fixture;
}

void fixture_free(Fixture *fixture)
{
    machine_free(fixture->machine);
    loop_free(fixture->loop);
    trace_free(fixture->trace);
    log_free(fixture->log);
    g_string_free(fixture->events, TRUE);
    g_free(fixture);
}

void fixture_expect_events(Fixture *fixture, const char *events)
{
    g_assert_cmpstr(fixture->events->str, ==, events);
    g_string_truncate(fixture->events, 0);
}

uint8_t *fixture_ram(Fixture *fixture) { return fixture->machine->ram->host; }

void fixture_code(Fixture *fixture, uint64_t offset, const uint32_t *code, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        store_le32(fixture_ram(fixture) + offset + 4 * i, code[i]);
    }
}

Device *fixture_device(Fixture *fixture, const char *class_name)
{
    Error *error = NULL;
    Device *device = device_new(fixture->machine, class_name, NULL, &error);
    if (!device || !device_realize(device, NULL, NULL, NULL, &error)) {
        g_error("%s", error_message(error));
    }
    return device;
}

uint64_t fixture_read(Fixture *fixture, uint64_t address, unsigned size)
{
    uint64_t value;
    AccessResult result = address_space_load(fixture->machine->address_space, NULL, address, size, &value);
    g_assert_cmpint(result, ==, ACCESS_OK);
    return value;
}

void fixture_write(Fixture *fixture, uint64_t address, unsigned size, uint64_t value)
{
    AccessResult result = address_space_store(fixture->machine->address_space, NULL, address, size, value);
    g_assert_cmpint(result, ==, ACCESS_OK);
}
