/*
 * "serial-mm": the NS16550A of ns16550.c on the system bus, its registers 1 << regshift bytes apart.
 *
 * The device-tree node is after Linux's Documentation/devicetree/bindings/serial/8250.yaml.
 */
#include "hw/char/serial.h"

#include "api/type.h"
#include "base/error.h"
#include "core/fdt.h"
#include "core/machine.h"

#include <inttypes.h>

/* Values of `endianness`. */
enum { ENDIANNESS_NATIVE, ENDIANNESS_BIG, ENDIANNESS_LITTLE };

typedef struct SerialMm {
    Device device;
    Serial *serial;
    Irq *irq;
    uint8_t regshift;
    uint8_t endianness;
} SerialMm;

static void serial_mm_init(Object *object)
{
    SerialMm *mm = (SerialMm *)object;
    Object *serial = object_new(&serial_class.class, object->data, NULL, NULL);

    mm->serial = (Serial *)serial;
    object_add_child(object, "serial", serial, NULL);
    object_unref(serial); /* the parent has its own reference */
}

static bool is_big_endian(const SerialMm *mm)
{
    return mm->endianness == ENDIANNESS_NATIVE ? mm->device.machine->guest->big_endian
                                               : mm->endianness == ENDIANNESS_BIG;
}

static bool serial_mm_realize(Device *device, Error **error)
{
    SerialMm *mm = (SerialMm *)device;

    device_share_lock(&mm->serial->device, device->lock);
    device_init_irq_outputs(device, IRQ_SYSBUS, &mm->irq, 1);
    mm->serial->intr = &mm->irq;
    if (!device_realize(&mm->serial->device, NULL, NULL, NULL, error)) {
        return false;
    }
    Region *region = mm->serial->device.regions.items[0];
    region->size_minus_1 = (SERIAL_REGISTERS_SIZE << mm->regshift) - 1;
    region->stride_shift = mm->regshift;
    region->order = is_big_endian(mm) ? BYTE_ORDER_BIG : BYTE_ORDER_LITTLE;
    vec_push(&device->regions, region);
    return true;
}

static void serial_mm_unrealize(Device *device)
{
    device->regions.count = 0; /* the region is its part's */
    device_unrealize(&((SerialMm *)device)->serial->device);
}

static void serial_mm_write_fdt(Device *device, FdtWriter *fdt)
{
    SerialMm *mm = (SerialMm *)device;
    const Placement *placement = &device->placement;

    fdt_begin(fdt, "serial@%" PRIx64, placement->addresses[0]);
    fdt_text(fdt, "compatible", "ns16550a");
    fdt_reg(fdt, (const uint64_t[]){ placement->addresses[0], placement->sizes[0] }, 1);
    if (mm->regshift) {
        fdt_u32(fdt, "reg-shift", mm->regshift);
    }
    fdt_u32(fdt, "clock-frequency", (uint32_t)clock_input_hz(&mm->serial->clock));
    fdt_u32(fdt, "interrupt-parent", placement->interrupt_parent);
    fdt_cells(fdt, "interrupts", placement->interrupts, placement->interrupt_count);
    fdt_end(fdt);
}

static bool check_regshift(Object *object, const Property *property, Error **error)
{
    return ((SerialMm *)object)->regshift <= 4 ||
           error_set(error, "'regshift' expects an integer from 0 to 4");
}

static bool check_endianness(Object *object, const Property *property, Error **error)
{
    return ((SerialMm *)object)->endianness <= ENDIANNESS_LITTLE ||
           error_set(error, "'endianness' expects 0 (the guest's), 1 (big) or 2 (little)");
}

static const StateField state_fields[] = {
    STATE_FIELD_NOT_SAVED(SerialMm, serial, "a part with a state of its own"),
    STATE_FIELD_NOT_SAVED(SerialMm, irq, "a handle"),
    STATE_FIELD_NOT_SAVED(SerialMm, regshift, "a property"),
    STATE_FIELD_NOT_SAVED(SerialMm, endianness, "a property"),
    STATE_FIELDS_END,
};

static const StateTable state_table = {
    .name = "serial-mm", .version = 1, .minimum_version = 1, .fields = state_fields,
};

#define PROP_OF_UART(name_, description_) \
    { .name = name_, .kind = PROPERTY_ALIAS, .alias_object = "serial", .alias_name = name_, \
      .description = description_ }
static const Property properties[] = {
    PROP_OF_UART("baudbase", "bits a second when the divisor is 1"),
    PROP_OF_UART("chardev", "ID of a character device"),
    { .name = "endianness", .type = &type_uint8, .offset = offsetof(SerialMm, endianness), .check = check_endianness,
      .description = "byte order of the registers: 0 (the guest's), 1 (big) or 2 (little)" },
    { .name = "regshift", .type = &type_uint8, .offset = offsetof(SerialMm, regshift), .check = check_regshift,
      .description = "registers are 1 << regshift bytes apart" },
    PROP_END,
};

const DeviceClass serial_mm_class = {
    .class = {
        .name = "serial-mm",
        .parent = &sysbus_device_class.class,
        .description = "NS16550A UART on the system bus",
        .size = sizeof(SerialMm),
        .properties = properties,
        .init = serial_mm_init,
    },
    .category = "Input",
    .state = &state_table,
    .realize = serial_mm_realize,
    .unrealize = serial_mm_unrealize,
    .write_fdt = serial_mm_write_fdt,
};
