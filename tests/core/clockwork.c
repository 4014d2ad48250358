#include "clockwork.h"

#include "api/type.h"
#include "core/machine.h"

#include <glib.h>

static void clockwork_tick(void *data)
{
    Clockwork *clockwork = data;
    clockwork->ticks++;
    clockwork->pending = true;
    irq_set(clockwork->irq, 1);
    timer_set(&clockwork->timer, clock_now(clockwork->device.machine->clocks, CLOCK_VIRTUAL) + clockwork->period);
}

static AccessResult clockwork_start(Device *device, const Register *reg, const Access *access, uint64_t value)
{
    Clockwork *clockwork = (Clockwork *)device;
    timer_set(&clockwork->timer, clock_now(device->machine->clocks, CLOCK_VIRTUAL) + clockwork->period);
    return ACCESS_OK;
}

static AccessResult clockwork_acknowledge(Device *device, const Register *reg, const Access *access, uint64_t value)
{
    Clockwork *clockwork = (Clockwork *)device;
    clockwork->pending = false;
    irq_set(clockwork->irq, 0);
    clockwork->extra++;
    return ACCESS_OK;
}

static void clockwork_settle(Device *device) { irq_set(((Clockwork *)device)->irq, ((Clockwork *)device)->pending); }

#define REG(name_, address_, field_, ...) REG_FIELD(Clockwork, name_, address_, field_, __VA_ARGS__)
static const Register clockwork_rows[] = {
    REG(CONTROL, 0, control, .writable = UINT32_MAX, .written = clockwork_start),
    REG(TICKS, 4, ticks),
    REG_HOOK(ACKNOWLEDGE, 8, .write = clockwork_acknowledge),
    REG(LOW, 16, halves, .writable = UINT32_MAX),
    REG(HIGH, 20, halves, .writable = UINT32_MAX, .shift = 32),
    REG_ARRAY(Clockwork, FIFO, 24, fifo, .size = 1, .writable = 0xff),
    { .name = "BANKED", .address = 32, .offset = offsetof(Clockwork, banked), .field_size = 4, .banked = true },
};
static const RegisterBank clockwork_banks[] = {
    { .name = "clockwork", .size = 0x1000, .registers = clockwork_rows, .count = G_N_ELEMENTS(clockwork_rows) },
};
static const StateField clockwork_fields[] = {
    STATE_FIELD(Clockwork, timer, STATE_TIMER),
    STATE_FIELD(Clockwork, extra, STATE_UNSIGNED),
    STATE_FIELD(Clockwork, pending, STATE_BOOL),
    STATE_FIELD_NOT_SAVED(Clockwork, irq, "a handle"),
    STATE_FIELDS_END,
};
static const StateTable clockwork_state = { "clockwork", 1, 1, clockwork_fields, NULL };

static bool clockwork_realize(Device *device, Error **error)
{
    Clockwork *clockwork = (Clockwork *)device;
    device_init_irq_outputs(device, "", &clockwork->irq, 1);
    timer_init(&clockwork->timer, device->machine->clocks, CLOCK_VIRTUAL, device->lock, clockwork_tick, clockwork);
    return true;
}

static void clockwork_unrealize(Device *device) { timer_destroy(&((Clockwork *)device)->timer); }

static const Property clockwork_properties[] = {
    PROP("period", type_uint32, Clockwork, period, "3000", "ns"),
    PROP_END,
};

const DeviceClass clockwork_class = {
    .class = { .name = "test-clockwork", .parent = &sysbus_device_class.class, .size = sizeof(Clockwork),
               .properties = clockwork_properties },
    .banks = clockwork_banks,
    .bank_count = 1,
    .state = &clockwork_state,
    .bank_stride = 4,
    .banked_count = 2,
    .realize = clockwork_realize,
    .unrealize = clockwork_unrealize,
    .settle = clockwork_settle,
};

