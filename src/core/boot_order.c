/* The order of booting: see boot_order.h. Main thread. */
#include "core/boot_order.h"

#include "base/error.h"
#include "base/strbuf.h"
#include "base/vec.h"
#include "core/machine.h"

#include <inttypes.h>

/* Those with a place first, in order. */
static size_t position_for(const Machine *machine, int32_t index)
{
    size_t position = 0;
    while (position < machine->boot_order.count && index >= 0 &&
           machine->boot_order.items[position].index >= 0 && machine->boot_order.items[position].index < index) {
        position++;
    }
    return index < 0 ? machine->boot_order.count : position;
}

bool boot_order_add(Device *device, int32_t index, const BootGeometry *geometry, Error **error)
{
    Machine *machine = device->machine;
    for (size_t i = 0; i < machine->boot_order.count; i++) {
        if (index >= 0 && machine->boot_order.items[i].index == index) {
            return error_set(error, "The bootindex %" PRId32 " has already been used", index);
        }
    }
    size_t position = position_for(machine, index);
    vec_push(&machine->boot_order, (BootEntry){ 0 });
    for (size_t i = machine->boot_order.count - 1; i > position; i--) {
        machine->boot_order.items[i] = machine->boot_order.items[i - 1];
    }
    machine->boot_order.items[position] = (BootEntry){ .device = device, .index = index, .geometry = *geometry };
    return true;
}

void boot_order_remove(Device *device)
{
    Machine *machine = device->machine;
    for (size_t i = machine->boot_order.count; i-- > 0;) {
        if (machine->boot_order.items[i].device == device) {
            vec_remove(&machine->boot_order, i);
        }
    }
}

/* "/virtio-mmio@0000000010008000/disk@0,0" */
static void write_path(const Device *device, StrBuf *buffer)
{
    if (device->bus && device->bus->owner) {
        write_path(device->bus->owner, buffer);
    }
    strbuf_append(buffer, "/");
    if (device_class_of(device)->write_firmware_name) {
        device_class_of(device)->write_firmware_name(device, buffer);
    } else {
        strbuf_append(buffer, device->object.class->name);
    }
}

static void end(StrBuf *buffer)
{
    if (buffer->length > 0) {
        buffer->data[buffer->length - 1] = '\0'; /* in place of the last line's end */
    }
}

void boot_order_write(const Machine *machine, StrBuf *order, StrBuf *geometry)
{
    for (size_t i = 0; i < machine->boot_order.count; i++) {
        const BootEntry *entry = &machine->boot_order.items[i];
        const BootGeometry *shape = &entry->geometry;
        if (entry->index >= 0) {
            write_path(entry->device, order);
            strbuf_append(order, "\n");
        }
        if (shape->cylinders || shape->heads || shape->sectors) {
            write_path(entry->device, geometry);
            strbuf_printf(geometry, " %" PRIu32 " %" PRIu32 " %" PRIu32 "\n", shape->cylinders, shape->heads,
                          shape->sectors);
        }
    }
    end(order);
    end(geometry);
}
