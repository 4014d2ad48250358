/*
 * Rings, split and packed, of every kind of driver: descriptors and indexes that say anything, the transport's
 * registers, notifications, resets. The device copies what it is given, or holds it until it is told to answer; or it
 * is a console with ports, whose control queues the rings are.
 */
#include "../hw/virtio_driver.h"
#include "steps.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { KINDS = 7, QUEUE = 8, DATA_PLACES = 64, CONTROL_QUEUE = 2, MULTIPORT = 1 << 1 };

static void put_descriptor(Driver *driver, DriverQueue *queue, const Step *step)
{
    uint64_t address = step->kind & 0x80 ? step_value(step) : DRIVER_RAM + (step->value >> 16) * DATA_PLACES;
    uint32_t length = step->kind & 0x40 ? step->value : step->value & 0x3ff;
    driver_put_descriptor(driver, queue->descriptors + 16 * (step->place % QUEUE), address, length, step->place >> 4,
                          step->place >> 3 & (QUEUE - 1));
}

static void change_ring(Driver *driver, const DriverQueue *queue, const Step *step)
{
    const uint64_t parts[] = { queue->descriptors, queue->available, queue->used, DRIVER_RAM };
    driver_store(driver, parts[step->kind >> 4 & 3] + (step->place % 256 & ~1u), 2, step->value & 0xffff);
}

static bool is_console(const Driver *driver) { return driver->device->device.object.class->name[0] == 'v'; }

static void answer_all(Driver *driver, uint32_t written)
{
    while (!is_console(driver) && test_device(driver)->held_count) {
        test_device_push(driver, 0, written);
    }
}

static void take(Driver *driver, DriverQueue *queue, const Step *step)
{
    uint64_t value;
    switch (step->kind & 7) {
    case 0: put_descriptor(driver, queue, step); break;
    case 1: change_ring(driver, queue, step); break;
    case 2: driver_put(driver, MMIO_QUEUE_NOTIFY, queue->index + (step->place & 1)); break;
    case 3: answer_all(driver, step->value); break;
    case 4:
        address_space_store(driver->bench->machine->address_space, NULL, driver->base + step->place % 0x200, step->size,
                            step_value(step));
        break;
    case 5:
        address_space_load(driver->bench->machine->address_space, NULL, driver->base + step->place % 0x200, step->size,
                           &value);
        break;
    case 6: driver_store(driver, queue->available + 2, 2, step->value & 15); break;
    default:
        if (!is_console(driver)) {
            test_device(driver)->echo = step->place & 1;
        }
    }
}

static Driver *start_console(const DriverKind *kind)
{
    Driver *driver = driver_start_device(kind, "virtio-serial-device", kind->features | MULTIPORT);
    bench_add(driver->bench, "virtconsole", "name=console");
    bench_add(driver->bench, "virtserialport", "name=port");
    return driver;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 + STEP_BYTES) {
        return 0;
    }
    const DriverKind *kind = &driver_kinds[data[0] % KINDS];
    bool console = data[0] / KINDS & 1;
    Driver *driver = console ? start_console(kind) : driver_start(kind);
    DriverQueue *queue = driver_queue(driver, console ? CONTROL_QUEUE : 0, QUEUE);
    driver_queue(driver, queue->index + 1, QUEUE);
    driver_go(driver);
    for (size_t at = 1, n = 0; size - at >= STEP_BYTES && n < STEPS; at += STEP_BYTES, n++) {
        Step step = step_at(data + at);
        take(driver, queue, &step);
        bench_drain(driver->bench);
    }
    answer_all(driver, 0);
    driver_free(driver);
    return 0;
}
