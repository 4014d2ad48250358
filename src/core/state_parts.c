/* What a machine's saved state is made of: the machine itself, clocks, RAM blocks, vCPUs, devices. */
#include "core/state_internal.h"

#include "base/bytes.h"
#include "base/error.h"
#include "base/vec.h"
#include "core/device_internal.h"
#include "core/machine_internal.h"
#include "core/memory_internal.h"
#include "core/vcpu.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Collecting. */

static void add_part(StateParts *parts, StatePartKind kind, char *name, void *item)
{
    if (parts->count == parts->capacity) {
        parts->items = vec_grow(parts->items, &parts->capacity, parts->count + 1, sizeof *parts->items);
    }
    parts->items[parts->count++] = (StatePart){ .kind = kind, .name = name, .item = item };
}

static bool add_ram(Object *object, void *data)
{
    StateParts *parts = data;
    RamBlock *block = object_is(object, &region_class) ? ((Region *)object)->ram : NULL;
    for (size_t i = 0; block && i < parts->count; i++) {
        if (parts->items[i].item == block) {
            return true;
        }
    }
    if (block) {
        add_part(parts, STATE_PART_RAM, string_format("ram/%s", block->id), block);
    }
    return true;
}

static void add_device(Device *device, void *data)
{
    if (!object_is(&device->object, &cpu_class.class)) {
        AUTO_FREE char *path = object_path(&device->object);
        add_part(data, STATE_PART_DEVICE, string_format("device/%s", path), device);
    }
}

static int compare_parts(const void *a, const void *b)
{
    const StatePart *x = a, *y = b;
    return x->kind != y->kind ? (int)x->kind - (int)y->kind : strcmp(x->name, y->name);
}

bool state_collect(Machine *machine, StateParts *parts, Error **error)
{
    *parts = (StateParts){ 0 };
    add_part(parts, STATE_PART_MACHINE, string_copy("machine"), NULL);
    add_part(parts, STATE_PART_CLOCKS, string_copy("clocks"), NULL);
    object_each_descendant(&machine->object, add_ram, parts);
    for (size_t i = 0; i < machine->vcpus.count; i++) {
        Vcpu *vcpu = machine->vcpus.items[i];
        add_part(parts, STATE_PART_VCPU, string_format("cpu/%04u", vcpu->index), vcpu);
    }
    machine_each_device(machine, add_device, parts);
    add_part(parts, STATE_PART_END, string_copy("end"), NULL);
    qsort(parts->items, parts->count, sizeof *parts->items, compare_parts);
    for (size_t i = 0; i < parts->count; i++) {
        const char *name = parts->items[i].name;
        if (strlen(name) > STATE_NAME_LIMIT || (i && !strcmp(name, parts->items[i - 1].name))) {
            return error_set(error, "'%s': two parts of the machine would be saved by that name", name);
        }
    }
    return true;
}

void state_parts_free(StateParts *parts)
{
    for (size_t i = 0; i < parts->count; i++) {
        free(parts->items[i].name);
    }
    free(parts->items);
}

bool state_page_is_zero(const uint8_t *page, size_t size)
{
    return !size || (!*page && !memcmp(page, page + 1, size - 1));
}

/* The machine: what has to be alike in the one that loads. */

typedef struct MachineFacts {
    char type[64], target[16], cpu[256]; /* the rest is zero; a longer one is cut */
    uint64_t ram_size, timebase_hz;
    uint32_t cpus;
} MachineFacts;

static const StateField facts_fields[] = {
    STATE_FIELD(MachineFacts, type, STATE_BYTES),
    STATE_FIELD(MachineFacts, target, STATE_BYTES),
    STATE_FIELD(MachineFacts, cpu, STATE_BYTES),
    STATE_FIELD(MachineFacts, ram_size, STATE_UNSIGNED),
    STATE_FIELD(MachineFacts, timebase_hz, STATE_UNSIGNED),
    STATE_FIELD(MachineFacts, cpus, STATE_UNSIGNED),
    STATE_FIELDS_END,
};
static const StateTable facts_table = {
    .name = "machine",
    .version = 1,
    .minimum_version = 1,
    .fields = facts_fields,
};

static void put_text(char *to, size_t size, const char *text)
{
    size_t length = text ? strlen(text) : 0;
    memcpy(to, text ? text : "", MIN(length, size - 1));
}

static MachineFacts facts_of(Machine *machine)
{
    MachineFacts facts = { .ram_size = machine->options.ram_size, .timebase_hz = machine_timebase_hz(machine),
                           .cpus = (uint32_t)machine->vcpus.count };
    put_text(facts.type, sizeof facts.type, machine->class->name);
    put_text(facts.target, sizeof facts.target, machine->guest ? machine->guest->target : NULL);
    const char *cpu = machine->options.cpu_model;
    put_text(facts.cpu, sizeof facts.cpu, cpu ? cpu : machine->class->default_cpu);
    return facts;
}

void state_write_machine(Machine *machine, StrBuf *stream)
{
    MachineFacts facts = facts_of(machine);
    state_write(&facts_table, &facts, stream);
}

static bool texts_differ(const char *what, const char *theirs, size_t size, const char *ours, Error **error)
{
    if (!memcmp(theirs, ours, size)) {
        return false;
    }
    error_set(error, "it was saved from %s '%.*s', and this is '%s'", what, (int)size, theirs, ours);
    return true;
}

static bool numbers_differ(const char *what, uint64_t theirs, uint64_t ours, Error **error)
{
    if (theirs == ours) {
        return false;
    }
    error_set(error, "it was saved from a machine with %s %" PRIu64 ", and this one has %" PRIu64, what, theirs, ours);
    return true;
}

bool state_read_machine(Machine *machine, StateCursor *cursor, Error **error)
{
    MachineFacts theirs = { 0 }, ours = facts_of(machine);
    if (!state_read_table(&facts_table, &theirs, cursor, error)) {
        return false;
    }
    return !texts_differ("a machine of type", theirs.type, sizeof ours.type, ours.type, error) &&
           !texts_differ("a guest of", theirs.target, sizeof ours.target, ours.target, error) &&
           !texts_differ("the CPU model", theirs.cpu, sizeof ours.cpu, ours.cpu, error) &&
           !numbers_differ("a RAM size of", theirs.ram_size, ours.ram_size, error) &&
           !numbers_differ("a timebase of", theirs.timebase_hz, ours.timebase_hz, error) &&
           !numbers_differ("a CPU count of", theirs.cpus, ours.cpus, error);
}

/* Clocks, and what else goes on from step to step. */

typedef struct ClockFacts {
    uint64_t virtual_ns;
    int64_t timebase_offset;
    uint32_t step_vcpu;
    uint64_t step_left, step_ran, random;
} ClockFacts;

static const StateField clock_fields[] = {
    STATE_FIELD(ClockFacts, virtual_ns, STATE_UNSIGNED, .maximum = INT64_MAX),
    STATE_FIELD(ClockFacts, timebase_offset, STATE_SIGNED),
    STATE_FIELD(ClockFacts, step_vcpu, STATE_UNSIGNED),
    STATE_FIELD(ClockFacts, step_left, STATE_UNSIGNED, .maximum = 1 << 20),
    STATE_FIELD(ClockFacts, step_ran, STATE_UNSIGNED, .maximum = 1 << 20),
    STATE_FIELD(ClockFacts, random, STATE_UNSIGNED, .optional = true),
    STATE_FIELDS_END,
};
static const StateTable clock_table = {
    .name = "clocks",
    .version = 1,
    .minimum_version = 1,
    .fields = clock_fields,
};

void state_write_clocks(Machine *machine, StrBuf *stream)
{
    const MachineStep *step = machine->step;
    ClockFacts facts = { (uint64_t)clock_now(machine->clocks, CLOCK_VIRTUAL), timebase_offset(machine), step->vcpu,
                         step->left, step->ran, atomic_load(&machine->random) };
    state_write(&clock_table, &facts, stream);
}

bool state_read_clocks(Machine *machine, StateCursor *cursor, Error **error)
{
    ClockFacts facts = { 0 };
    if (!state_read_table(&clock_table, &facts, cursor, error)) {
        return false;
    }
    if (facts.step_vcpu >= MAX(machine->vcpus.count, 1u)) {
        return error_set(error, "'step_vcpu' is %" PRIu32 ", and there are %zu vCPUs", facts.step_vcpu,
                         machine->vcpus.count);
    }
    clocks_set_virtual(machine->clocks, (int64_t)facts.virtual_ns);
    timebase_set_offset(machine, facts.timebase_offset);
    atomic_store(&machine->random, facts.random);
    *machine->step = (MachineStep){ facts.step_vcpu, facts.step_left, facts.step_ran };
    return true;
}

/* vCPUs. */

static const StateField cpu_fields[] = {
    STATE_FIELD(Cpu, halted, STATE_BOOL),
    STATE_FIELD(Cpu, powered_off, STATE_BOOL),
    STATE_FIELD(Cpu, edges, STATE_UNSIGNED),
    STATE_FIELD(Cpu, exec.insns, STATE_UNSIGNED),
    STATE_FIELD(Cpu, counted, STATE_BOOL, .version = 2),
    STATE_FIELD(Cpu, exec.reservation_address, STATE_UNSIGNED),
    STATE_FIELD_ARRAY(Cpu, exec.reservation_value, STATE_UNSIGNED),
    STATE_FIELD(Cpu, exec.reservation_size, STATE_UNSIGNED, .maximum = 16),
    STATE_FIELDS_END,
};

static bool check_cpu(void *state, uint32_t version, Error **error)
{
    unsigned size = ((Cpu *)state)->exec.reservation_size;
    if (size && !is_power_of_2(size)) {
        return error_set(error, "'exec.reservation_size' is %u, and can be 0 or a power of 2", size);
    }
    return true;
}

static const StateTable cpu_table = {
    .name = "cpu",
    .version = 2,
    .minimum_version = 1,
    .fields = cpu_fields,
    .check = check_cpu,
};

void state_write_vcpu(Vcpu *vcpu, StrBuf *stream)
{
    StateMade *registers = state_of_guest(vcpu->cpu->guest);
    state_write(&cpu_table, vcpu->cpu, stream);
    state_write(&registers->table, cpu_state(vcpu->cpu), stream);
    state_made_free(registers);
}

bool state_read_vcpu(Vcpu *vcpu, StateCursor *cursor, Error **error)
{
    StateMade *registers = state_of_guest(vcpu->cpu->guest);
    const Guest *guest = vcpu->cpu->guest;
    bool done = state_read_table(&cpu_table, vcpu->cpu, cursor, error) &&
                state_read_table(&registers->table, cpu_state(vcpu->cpu), cursor, error) &&
                (!guest->check_state || guest->check_state(vcpu->cpu, error));
    state_made_free(registers);
    return done;
}

/* Devices: the class's name, the registers, then the tables of its classes, base classes first. */

static void write_classes(Device *device, const DeviceClass *class, StrBuf *stream)
{
    if (class) {
        write_classes(device, device_class_parent(class), stream);
        if (class->state) {
            state_write(class->state, device, stream);
        }
    }
}

void state_write_device(Device *device, StrBuf *stream)
{
    const DeviceClass *class = device_class_of(device);
    size_t length = strlen(class->class.name);
    state_put_number(stream, 2, length);
    strbuf_append_bytes(stream, class->class.name, length);
    StateMade *registers = state_of_registers(class);
    if (registers) {
        state_write(&registers->table, device, stream);
        state_made_free(registers);
    }
    write_classes(device, class, stream);
}

static bool read_class_name(const DeviceClass *class, StateCursor *cursor, Error **error)
{
    uint64_t length;
    const uint8_t *name;
    if (!state_take_number(cursor, 2, &length) || !(name = state_take(cursor, length))) {
        return error_set(error, "it is cut short");
    }
    if (length != strlen(class->class.name) || memcmp(name, class->class.name, length)) {
        return error_set(error, "it is of a '%.*s', and here is a '%s'", (int)MIN(length, 80u), name,
                         class->class.name);
    }
    return true;
}

static bool read_classes(Device *device, const DeviceClass *class, StateCursor *cursor, Error **error)
{
    return !class || (read_classes(device, device_class_parent(class), cursor, error) &&
                      (!class->state || state_read_table(class->state, device, cursor, error)));
}

bool state_read_device(Device *device, StateCursor *cursor, Error **error)
{
    const DeviceClass *class = device_class_of(device);
    if (!read_class_name(class, cursor, error)) {
        return false;
    }
    StateMade *registers = state_of_registers(class);
    bool done = !registers || state_read_table(&registers->table, device, cursor, error);
    state_made_free(registers);
    return done && read_classes(device, class, cursor, error);
}
