/* Boards as rows. */
#include "board/board.h"

#include "api/json.h"
#include "api/options.h"
#include "base/error.h"
#include "char/char.h"
#include "core/machine.h"

#include <stdlib.h>

void board_free(Board *board) { vec_free(&board->devices); }

static bool set_properties(Device *device, const char *text, Error **error)
{
    Json *values = options_parse(text, NULL, NULL, error);
    bool ok = values && object_set_all(&device->object, values, true, NULL, error);

    json_free(values);
    return ok;
}

static bool set_chardev(Board *board, Device *device, unsigned serial, Error **error)
{
    CharDevice *backend = serial <= board->machine->serials.count ? board->machine->serials.items[serial - 1] : NULL;

    return !backend || object_set_text(&device->object, "chardev", char_id(backend), error);
}

static void place(const Board *board, Device *device, const BoardRow *row, unsigned n)
{
    const BoardPlace *where = &board->map[row->place];
    uint64_t stride = row->stride ? row->stride : where->size;

    device_map(device, 0, where->address + n * stride);
    device->placement.sizes[0] = stride;
    if (row->interrupt) {
        device->placement.interrupts[0] = row->interrupt + n;
        device->placement.interrupt_count = 1;
        irq_connect(device, IRQ_SYSBUS, 0, board->interrupt_controller, "", row->interrupt + n);
    }
}

static Device *add_one(Board *board, const BoardRow *row, bool (*set)(Board *board, Device *device, Error **error),
                       unsigned n, Error **error)
{
    Machine *machine = board->machine;
    Device *device = device_new(machine, row->class, NULL, error);

    if (!device) {
        return NULL;
    }
    if ((row->properties && !set_properties(device, row->properties, error)) ||
        (row->serial && !set_chardev(board, device, row->serial, error)) || (set && !set(board, device, error))) {
        object_unref(&device->object);
        return NULL;
    }
    AUTO_FREE char *name = row->name && row->count > 1 ? string_format("%s%u", row->name, n) : string_copy(row->name);
    if (!device_realize(device, name ? &machine->object : NULL, name, machine->system_bus, error)) {
        return NULL;
    }
    place(board, device, row, n);
    vec_push(&board->devices, (BoardDevice){ device, row });
    return device;
}

Device *board_add(Board *board, const BoardRow *row, bool (*set)(Board *board, Device *device, Error **error),
                  Error **error)
{
    Device *device = NULL;

    for (unsigned n = 0; n < MAX(row->count, 1u); n++) {
        device = add_one(board, row, set, n, error);
        if (!device) {
            return NULL;
        }
    }
    return device;
}

bool board_add_rows(Board *board, const BoardRow *rows, size_t count, Error **error)
{
    for (size_t i = 0; i < count; i++) {
        if (!board_add(board, &rows[i], NULL, error)) {
            return false;
        }
    }
    return true;
}

static const DeviceClass *class_with_fdt(const Device *device)
{
    const DeviceClass *class = device_class_of(device);

    while (class != &device_class && !class->write_fdt) {
        class = (const DeviceClass *)class->class.parent;
    }
    return class;
}

void board_write_fdt(const Board *board, FdtWriter *fdt, BoardNode node)
{
    for (size_t i = board->devices.count; i-- > 0;) {
        const BoardDevice *item = &board->devices.items[i];
        const DeviceClass *class = class_with_fdt(item->device);
        if (item->row->node == node && class->write_fdt) {
            class->write_fdt(item->device, fdt);
        }
    }
}
