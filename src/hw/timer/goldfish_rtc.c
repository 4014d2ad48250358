/*
 * The Goldfish real-time clock ("goldfish_rtc"): nanoseconds since 1970 in two halves, and an alarm.
 *
 * After Android's "Goldfish Virtual Hardware" (docs/GOLDFISH-VIRTUAL-HARDWARE.TXT, section "Goldfish real-time clock")
 * and Linux's drivers/rtc/rtc-goldfish.c, which also sets the time. It shows the host's clock, and what the guest
 * set it to as a distance from that.
 */
#include "api/type.h"
#include "core/device.h"
#include "core/fdt.h"
#include "core/machine.h"

#include <inttypes.h>

/* An alarm that is farther away is looked at again then: host time must stay within an int64_t. */
#define LONGEST_WAIT_NS (UINT64_C(1) << 56)

typedef struct GoldfishRtc {
    Device device;
    bool big_endian;
    Irq *irq;
    Timer timer;
    uint64_t offset; /* guest's time - host's time, ns; wraps */
    uint64_t alarm;  /* ns */
    uint32_t time_high; /* of the time that TIME_LOW was read at */
    bool alarm_running, interrupt_pending;
    uint32_t interrupt_enabled;
} GoldfishRtc;

static GoldfishRtc *rtc_of(Device *device) { return (GoldfishRtc *)device; }

static uint64_t host_now(const GoldfishRtc *rtc)
{
    return (uint64_t)clock_now(rtc->device.machine->clocks, CLOCK_HOST);
}

static uint64_t time_now(const GoldfishRtc *rtc)
{
    return host_now(rtc) + rtc->offset;
}

static void update_irq(GoldfishRtc *rtc) { irq_set(rtc->irq, rtc->interrupt_pending && rtc->interrupt_enabled); }

/* Sets the timer, or lets a time that has come ring. */
static void start_alarm(GoldfishRtc *rtc)
{
    uint64_t now = time_now(rtc);

    if (!rtc->alarm_running) {
        timer_cancel(&rtc->timer);
    } else if (rtc->alarm <= now) {
        timer_cancel(&rtc->timer);
        rtc->alarm_running = false;
        rtc->interrupt_pending = true;
    } else {
        uint64_t wait = MIN(rtc->alarm - now, LONGEST_WAIT_NS);
        timer_set(&rtc->timer, (int64_t)(host_now(rtc) + wait));
    }
    update_irq(rtc);
}

static void alarm_expired(void *data) { start_alarm(data); }

static AccessResult time_low_read(Device *device, const Register *reg, const Access *access, uint64_t *value)
{
    GoldfishRtc *rtc = rtc_of(device);
    uint64_t now = time_now(rtc);

    if (!access->debug) {
        rtc->time_high = (uint32_t)(now >> 32);
    }
    *value = (uint32_t)now;
    return ACCESS_OK;
}

/* `data` of the row is the first bit of the half that is set. */
static AccessResult time_write(Device *device, const Register *reg, const Access *access, uint64_t value)
{
    GoldfishRtc *rtc = rtc_of(device);
    uint64_t now = time_now(rtc);

    rtc->offset += bits_deposit(now, (unsigned)reg->data, 32, value) - now;
    start_alarm(rtc);
    return ACCESS_OK;
}

static AccessResult alarm_low_written(Device *device, const Register *reg, const Access *access, uint64_t value)
{
    GoldfishRtc *rtc = rtc_of(device);

    rtc->alarm_running = true;
    start_alarm(rtc);
    return ACCESS_OK;
}

static AccessResult interrupt_enabled_written(Device *device, const Register *reg, const Access *access, uint64_t value)
{
    update_irq(rtc_of(device));
    return ACCESS_OK;
}

static AccessResult clear_alarm_write(Device *device, const Register *reg, const Access *access, uint64_t value)
{
    GoldfishRtc *rtc = rtc_of(device);

    rtc->alarm_running = false;
    start_alarm(rtc);
    return ACCESS_OK;
}

static AccessResult clear_interrupt_write(Device *device, const Register *reg, const Access *access, uint64_t value)
{
    GoldfishRtc *rtc = rtc_of(device);

    rtc->interrupt_pending = false;
    update_irq(rtc);
    return ACCESS_OK;
}

static const Register registers[] = {
    REG_HOOK(TIME_LOW, 0x00, .read = time_low_read, .write = time_write, .data = 0),
    REG_FIELD(GoldfishRtc, TIME_HIGH, 0x04, time_high, .write = time_write, .data = 32),
    REG_FIELD(GoldfishRtc, ALARM_LOW, 0x08, alarm, .writable = UINT32_MAX, .written = alarm_low_written),
    REG_FIELD(GoldfishRtc, ALARM_HIGH, 0x0c, alarm, .shift = 32, .writable = UINT32_MAX),
    REG_FIELD(GoldfishRtc, IRQ_ENABLED, 0x10, interrupt_enabled, .writable = 1, .written = interrupt_enabled_written),
    REG_HOOK(CLEAR_ALARM, 0x14, .write_only = true, .write = clear_alarm_write),
    REG_FIELD(GoldfishRtc, ALARM_STATUS, 0x18, alarm_running, .read_only = true),
    REG_HOOK(CLEAR_INTERRUPT, 0x1c, .write_only = true, .write = clear_interrupt_write),
};

static const RegisterBank banks[] = {
    { .name = "goldfish_rtc", .size = 0x24, .registers = registers, .count = ARRAY_SIZE(registers),
      .valid_minimum = 4, .valid_maximum = 4 },
};

static const StateField state_fields[] = {
    STATE_FIELD(GoldfishRtc, offset, STATE_UNSIGNED),
    STATE_FIELD(GoldfishRtc, interrupt_pending, STATE_BOOL),
    STATE_FIELD_NOT_SAVED(GoldfishRtc, timer, "settle sets it from the alarm"),
    STATE_FIELD_NOT_SAVED(GoldfishRtc, irq, "a handle; settle drives it"),
    STATE_FIELD_NOT_SAVED(GoldfishRtc, big_endian, "a property"),
    STATE_FIELDS_END,
};

static const StateTable state_table = {
    .name = "goldfish_rtc", .version = 1, .minimum_version = 1, .fields = state_fields,
};

static bool rtc_realize(Device *device, Error **error)
{
    GoldfishRtc *rtc = rtc_of(device);

    timer_init(&rtc->timer, device->machine->clocks, CLOCK_HOST, device->lock, alarm_expired, rtc);
    device_init_irq_outputs(device, IRQ_SYSBUS, &rtc->irq, 1);
    device->regions.items[0]->order = rtc->big_endian ? BYTE_ORDER_BIG : BYTE_ORDER_LITTLE;
    return true;
}

static void rtc_unrealize(Device *device) { timer_destroy(&rtc_of(device)->timer); }

/* The time goes on; the alarm does not. */
static void rtc_reset(Device *device, ResetKind kind)
{
    GoldfishRtc *rtc = rtc_of(device);

    if (kind == RESET_POWER_ON) {
        rtc->offset = 0;
    }
    rtc->interrupt_pending = false;
}

static void rtc_settle(Device *device) { start_alarm(rtc_of(device)); }

static void rtc_write_fdt(Device *device, FdtWriter *fdt)
{
    const Placement *placement = &device->placement;

    fdt_begin(fdt, "rtc@%" PRIx64, placement->addresses[0]);
    fdt_text(fdt, "compatible", "google,goldfish-rtc");
    fdt_reg(fdt, (const uint64_t[]){ placement->addresses[0], placement->sizes[0] }, 1);
    fdt_u32(fdt, "interrupt-parent", placement->interrupt_parent);
    fdt_cells(fdt, "interrupts", placement->interrupts, placement->interrupt_count);
    fdt_end(fdt);
}

static const Property properties[] = {
    PROP("big-endian", type_bool, GoldfishRtc, big_endian, NULL, "byte order of the registers"),
    PROP_END,
};

const DeviceClass goldfish_rtc_class = {
    .class = {
        .name = "goldfish_rtc",
        .parent = &sysbus_device_class.class,
        .description = "Goldfish real-time clock",
        .size = sizeof(GoldfishRtc),
        .properties = properties,
    },
    .category = "Misc",
    .banks = banks,
    .bank_count = ARRAY_SIZE(banks),
    .state = &state_table,
    .realize = rtc_realize,
    .unrealize = rtc_unrealize,
    .reset = rtc_reset,
    .settle = rtc_settle,
    .write_fdt = rtc_write_fdt,
};
