/* vCPUs as objects: classes and models, properties over the guest's configuration, threads, the bus they see. */
#include "core/vcpu.h"

#include "api/json.h"
#include "api/options.h"
#include "api/type.h"
#include "base/error.h"
#include "base/host/host.h"
#include "base/text.h"
#include "core/debugger.h"
#include "core/device_internal.h"
#include "core/loop.h"
#include "core/machine_internal.h"

#include <stdlib.h>
#include <string.h>

static const VcpuClass *class_of(const Object *object) { return (const VcpuClass *)object->class; }

/* Properties: each row of the guest's, at its place in the configuration. */

static const GuestModel *model_of(const VcpuClass *class)
{
    for (const GuestModel *model = class->guest->models; model->name; model++) {
        if (!strcmp(model->name, class->model)) {
            return model;
        }
    }
    return NULL;
}

static Json *config_get(Object *object, const Property *property, Error **error)
{
    const Property *row = &class_of(object)->guest->properties[property->data];
    if (row->get) {
        return row->get(object, row, error);
    }
    return type_to_json(row->type, (char *)((Vcpu *)object)->config + row->offset);
}

static bool config_set(Object *object, const Property *property, const Json *value, Error **error)
{
    const Guest *guest = class_of(object)->guest;
    const Property *row = &guest->properties[property->data];
    void *config = ((Vcpu *)object)->config, *field = (char *)config + row->offset;
    type_clear(row->type, field);
    if (!type_from_json(row->type, value, field, error)) {
        return false;
    }
    if (guest->config_given) {
        guest->config_given(config, row);
    }
    return true;
}

void device_class_each_property(const Class *class,
                                void (*visit)(const Class *owner, const Property *property, void *context),
                                void *context)
{
    class_each_property(class, visit, context);
    if (class->abstract || !class_is(class, &cpu_class.class)) {
        return;
    }
    for (const Property *row = ((const VcpuClass *)class)->guest->properties; row && row->name; row++) {
        visit(class, row, context);
    }
}

static void vcpu_init(Object *object)
{
    Vcpu *vcpu = (Vcpu *)object;
    const VcpuClass *class = class_of(object);
    const Guest *guest = class->guest;
    mutex_init(&vcpu->timer_mutex);
    vcpu->config = mem_alloc0(guest->config_size);
    guest->config_init(model_of(class), vcpu->config);
    for (size_t i = 0; guest->properties && guest->properties[i].name; i++) {
        Property property = guest->properties[i];
        property.get = config_get;
        property.set = config_set;
        property.default_text = NULL;
        property.data = i;
        object_add_property(object, &property);
    }
}

static void vcpu_finalize(Object *object)
{
    Vcpu *vcpu = (Vcpu *)object;
    const Guest *guest = class_of(object)->guest;
    for (const Property *row = guest->properties; row && row->name; row++) {
        type_clear(row->type, (char *)vcpu->config + row->offset);
    }
    free(vcpu->config);
    mutex_destroy(&vcpu->timer_mutex);
}

/* The bus. */

static Vcpu *vcpu_of(Cpu *cpu) { return cpu->bus_data; }

static void bus_page(Cpu *cpu, uint64_t physical, unsigned page_bits, BusPage *page)
{
    address_space_page(vcpu_of(cpu)->space, physical, page_bits, page);
    if (debugger_watches(vcpu_of(cpu)->device.machine, physical, UINT64_C(1) << page_bits)) {
        *page = (BusPage){ 0 };
    }
}

static Access cpu_access(const Cpu *cpu, uint32_t attributes)
{
    return (Access){ .requester_kind = REQUESTER_CPU, .requester = cpu->index, .attributes = attributes };
}

static void note_access(const Cpu *cpu, uint64_t physical, unsigned size, bool write)
{
    Machine *machine = ((Vcpu *)cpu->bus_data)->device.machine;

    if (UNLIKELY(debugger_watches(machine, physical, size))) {
        debugger_accessed(machine, physical, size, write);
    }
}

static AccessResult bus_read(Cpu *cpu, uint64_t physical, unsigned size, uint32_t attributes, uint64_t *value)
{
    Access access = cpu_access(cpu, attributes);
    note_access(cpu, physical, size, false);
    return address_space_load(vcpu_of(cpu)->space, &access, physical, size, value);
}

static AccessResult bus_write(Cpu *cpu, uint64_t physical, unsigned size, uint32_t attributes, uint64_t value)
{
    Access access = cpu_access(cpu, attributes);
    note_access(cpu, physical, size, true);
    return address_space_store(vcpu_of(cpu)->space, &access, physical, size, value);
}

static uint64_t bus_time(Cpu *cpu) { return machine_timebase_now(vcpu_of(cpu)->device.machine); }

/* The timer's mutex is held: a change of the timebase comes before or after as a whole. */
static void arm_timer(Vcpu *vcpu, unsigned n)
{
    uint64_t ticks = vcpu->timer_ticks[n];
    timer_set(&vcpu->timers[n].timer,
              ticks == UINT64_MAX ? INT64_MAX : machine_timebase_deadline(vcpu->device.machine, ticks));
}

static void bus_timer_set(Cpu *cpu, unsigned n, uint64_t deadline)
{
    Vcpu *vcpu = vcpu_of(cpu);
    mutex_lock(&vcpu->timer_mutex);
    vcpu->timer_ticks[n] = deadline;
    arm_timer(vcpu, n);
    mutex_unlock(&vcpu->timer_mutex);
}

/* On the main loop. The vCPU's thread compares time and deadline itself. */
static void timer_expired(void *data)
{
    struct VcpuTimer *timer = data;
    cpu_kick(timer->vcpu->cpu, CPU_ATTENTION_TIMER);
}

void vcpu_timebase_changed(Machine *machine)
{
    for (size_t i = 0; i < machine->vcpus.count; i++) {
        Vcpu *vcpu = machine->vcpus.items[i];
        mutex_lock(&vcpu->timer_mutex);
        for (unsigned n = 0; n < CPU_TIMERS; n++) {
            arm_timer(vcpu, n);
        }
        mutex_unlock(&vcpu->timer_mutex);
    }
}

static void bus_random(Cpu *cpu, void *bytes, size_t count)
{
    machine_random(((Vcpu *)cpu->bus_data)->device.machine, bytes, count);
}

static const CpuBus vcpu_bus = {
    .page = bus_page,
    .read = bus_read,
    .write = bus_write,
    .time = bus_time,
    .timer_set = bus_timer_set,
    .random = bus_random,
};

/* The thread. */

static void debug_stop(void *data)
{
    Vcpu *vcpu = data;
    Machine *machine = vcpu->device.machine;
    machine_stop(machine, RUN_STATE_DEBUG);
    parking_set_debug_stop(machine, vcpu, false);
}

static CpuExit run(Machine *machine, Cpu *cpu)
{
    if (!machine->turns) {
        return cpu_run(cpu, INT64_MAX);
    }
    turns_begin(machine->turns, cpu);
    CpuExit exit = cpu_run(cpu, INT64_MAX);
    turns_end(machine->turns);
    return exit;
}

static void *run_thread(void *data)
{
    Vcpu *vcpu = data;
    Machine *machine = vcpu->device.machine;
    vcpu->thread_id = (int)host_thread_id();
    while (parking_rest(machine, vcpu)) {
        CpuExit exit = run(machine, vcpu->cpu);
        if (exit == CPU_EXIT_HALTED) {
            cpu_wait(vcpu->cpu, INT64_MAX);
        } else if (exit == CPU_EXIT_DEBUG && debugger_stops(machine, vcpu)) {
            parking_set_debug_stop(machine, vcpu, true);
            loop_post(machine->loop, debug_stop, vcpu);
        }
    }
    parking_leave(machine);
    return NULL;
}

static bool start_thread(Vcpu *vcpu, Error **error)
{
    Machine *machine = vcpu->device.machine;
    AUTO_FREE char *name = string_format("CPU %u", vcpu->index);
    parking_enter(machine);
    vcpu->thread_started = thread_start(&vcpu->thread, name, run_thread, vcpu, error);
    if (!vcpu->thread_started) {
        parking_leave(machine);
    }
    return vcpu->thread_started;
}

static bool vcpu_realize(Device *device, Error **error)
{
    Vcpu *vcpu = (Vcpu *)device;
    Machine *machine = device->machine;
    const VcpuClass *class = class_of(&device->object);
    if (class->guest->config_check && !class->guest->config_check(model_of(class), vcpu->config, error)) {
        return error_prepend(error, "CPU model '%s': ", class->model);
    }
    vcpu->space = machine->address_space;
    for (unsigned n = 0; n < CPU_TIMERS; n++) {
        vcpu->timers[n].vcpu = vcpu;
        vcpu->timer_ticks[n] = UINT64_MAX;
        timer_init(&vcpu->timers[n].timer, machine->clocks, CLOCK_VIRTUAL, NULL, timer_expired, &vcpu->timers[n]);
    }
    vcpu->cpu = cpu_new(class->guest, vcpu->config, vcpu->index, machine->cpu_group, &vcpu_bus, vcpu, machine->log,
                        error);
    if (!vcpu->cpu) {
        return false;
    }
    vec_push(&machine->vcpus, vcpu);
    return machine->options.single_threaded || start_thread(vcpu, error);
}

static void vcpu_unrealize(Device *device)
{
    Vcpu *vcpu = (Vcpu *)device;
    Machine *machine = device->machine;
    if (vcpu->thread_started) {
        machine_park(machine);
        parking_dismiss(machine, vcpu);
        thread_join(&vcpu->thread);
        machine_unpark(machine);
    }
    for (size_t i = 0; i < machine->vcpus.count; i++) {
        if (machine->vcpus.items[i] == vcpu) {
            vec_remove(&machine->vcpus, i);
        }
    }
    irq_lines_drop(machine, vcpu->cpu);
    for (unsigned n = 0; n < CPU_TIMERS; n++) {
        timer_destroy(&vcpu->timers[n].timer);
    }
    cpu_free(vcpu->cpu);
    vcpu->cpu = NULL;
}

static void vcpu_reset(Device *device, ResetKind kind)
{
    Vcpu *vcpu = (Vcpu *)device;
    if (kind == RESET_POWER_ON || kind == RESET_WARM) {
        cpu_reset(vcpu->cpu);
        vcpu->cpu->powered_off = vcpu->start_powered_off;
    }
}

static const StateField vcpu_fields[] = {
    STATE_FIELD_NOT_SAVED(Vcpu, cpu, "saved by the guest's register table"),
    STATE_FIELD_NOT_SAVED(Vcpu, thread, "the host's"),
    STATE_FIELD_NOT_SAVED(Vcpu, thread_started, "the host's"),
    STATE_FIELD_NOT_SAVED(Vcpu, index, "the board's"),
    STATE_FIELD_NOT_SAVED(Vcpu, thread_id, "the host's"),
    STATE_FIELD_NOT_SAVED(Vcpu, space, "the board's"),
    STATE_FIELD_NOT_SAVED(Vcpu, config, "properties"),
    STATE_FIELD_NOT_SAVED(Vcpu, start_powered_off, "the board's"),
    STATE_FIELD_NOT_SAVED(Vcpu, leaving, "the host's"),
    STATE_FIELD_NOT_SAVED(Vcpu, debug_stop, "the host's"),
    STATE_FIELD_NOT_SAVED(Vcpu, timer_mutex, "the host's"),
    STATE_FIELD_NOT_SAVED(Vcpu, timer_ticks, "set by the guest's settle"),
    STATE_FIELD_NOT_SAVED(Vcpu, timers, "set by the guest's settle"),
    STATE_FIELDS_END,
};

static const StateTable vcpu_state = {
    .name = "cpu",
    .version = 1,
    .minimum_version = 1,
    .fields = vcpu_fields,
};

const DeviceClass cpu_class = {
    .class = {
        .name = "cpu",
        .parent = &device_class.class,
        .description = "A virtual processor",
        .size = sizeof(Vcpu),
        .abstract = true,
        .init = vcpu_init,
        .finalize = vcpu_finalize,
    },
    .category = "CPU",
    .state = &vcpu_state,
    .realize = vcpu_realize,
    .unrealize = vcpu_unrealize,
    .reset = vcpu_reset,
};

/* -cpu. */

static const GuestOtherModel *find_other(const Guest *guest, const char *model)
{
    const GuestOtherModel *other = guest->other_models;
    while (other && other->name && strcmp(other->name, model)) {
        other++;
    }
    return other && other->name ? other : NULL;
}

const VcpuClass *vcpu_class_find(const Guest *guest, const char *model, Error **error)
{
    const GuestOtherModel *other = find_other(guest, model);
    if (other && !other->guest) {
        error_set(error, "CPU model '%s' cannot be had: it needs %s", model, other->lacks);
        return NULL;
    }
    if (other) {
        return vcpu_class_find(other->guest, other->model, error);
    }
    for (size_t i = 0; i < object_class_count; i++) {
        const Class *class = object_classes[i];
        if (class->abstract || !class_is(class, &cpu_class.class)) {
            continue;
        }
        const VcpuClass *vcpu = (const VcpuClass *)class;
        if (vcpu->guest == guest && (!strcmp(vcpu->model, model) || !strcmp(class->name, model))) {
            return vcpu;
        }
    }
    guest_no_model(guest, model, error);
    return NULL;
}

const Guest *machine_processor(const Machine *machine)
{
    return machine->vcpus.count ? machine->vcpus.items[0]->cpu->guest : machine->guest;
}

static bool set_properties(Vcpu *vcpu, const char *text, Error **error)
{
    Json *values = options_parse(text, NULL, NULL, error);
    bool done = values && object_set_all(&vcpu->device.object, values, true, NULL, error);
    json_free(values);
    return done;
}

Vcpu *vcpu_new(Machine *machine, const char *model_and_properties, unsigned index, Error **error)
{
    size_t length = strcspn(model_and_properties, ",");
    AUTO_FREE char *model = string_format("%.*s", (int)length, model_and_properties);
    const char *properties = model_and_properties + length;
    const VcpuClass *class = vcpu_class_find(machine->guest, model, error);
    if (!class) {
        return NULL;
    }
    Vcpu *vcpu = (Vcpu *)object_new(&class->device.class, machine, &machine->defaults, error);
    if (!vcpu) {
        return NULL;
    }
    vcpu->index = index;
    if (*properties && !set_properties(vcpu, properties + 1, error)) {
        error_prepend(error, "-cpu %s: ", model);
        object_unref(&vcpu->device.object);
        return NULL;
    }
    return vcpu;
}
