/*
 * Virtio over memory-mapped registers ("virtio-mmio"): VIRTIO 1.2, section 4.2, both layouts. The bus takes one device;
 * without one the registers say device 0, which drivers pass over.
 *
 * Property force-legacy (on, as QEMU has it): the layout of version 1, section 4.2.4.
 *
 * Not here: shared memory regions (no device has one: their length reads as all ones).
 */
#include "api/type.h"
#include "base/error.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "core/fdt.h"
#include "core/machine.h"
#include "hw/virtio/virtio.h"

#include <inttypes.h>

enum { MAGIC = 0x74726976, VENDOR = 0x554d4551 /* "QEMU", which drivers know */, REGION_SIZE = 0x200 };
enum { CONFIG = 0x100, LEGACY_ALIGNMENT_LIMIT = 1 << 20 };

extern const Class virtio_mmio_bus_class;

typedef struct VirtioMmio {
    Device device;
    bool legacy; /* property force-legacy */
    VirtioBus *bus;
    Irq *irq;
    uint32_t device_features_select, driver_features_select, queue_select;
    uint32_t guest_page_size; /* legacy; bytes */
    uint32_t queue_alignment[VIRTIO_QUEUES]; /* legacy; bytes */
} VirtioMmio;

static VirtioMmio *mmio_of(const Device *device) { return (VirtioMmio *)(uintptr_t)device; }
static VirtioDevice *plugged(const Device *device) { return mmio_of(device)->bus->device; }

static VirtQueue *selected(const Device *device)
{
    VirtioDevice *vdev = plugged(device);
    return vdev ? virtio_queue(vdev, mmio_of(device)->queue_select) : NULL;
}

static bool is_legacy(const Device *device, const Register *reg) { return mmio_of(device)->legacy; }
static bool is_modern(const Device *device, const Register *reg) { return !mmio_of(device)->legacy; }

static void update_irq(VirtioMmio *mmio) { irq_set(mmio->irq, mmio->bus->device && mmio->bus->device->isr != 0); }

static void interrupt(void *data, VirtQueue *queue) { update_irq(data); }

static const VirtioTransport transport = { .interrupt = interrupt };

/* Identity, features, status. */

static AccessResult version_read(Device *device, const Register *reg, const Access *access, uint64_t *value)
{
    *value = mmio_of(device)->legacy ? 1 : 2;
    return ACCESS_OK;
}

static AccessResult device_id_read(Device *device, const Register *reg, const Access *access, uint64_t *value)
{
    VirtioDevice *vdev = plugged(device);
    *value = vdev ? virtio_class_of(vdev)->virtio_id : 0;
    return ACCESS_OK;
}

static AccessResult features_read(Device *device, const Register *reg, const Access *access, uint64_t *value)
{
    VirtioMmio *mmio = mmio_of(device);
    VirtioDevice *vdev = plugged(device);
    *value = vdev ? virtio_features(vdev, mmio->device_features_select, !mmio->legacy) : 0;
    return ACCESS_OK;
}

static AccessResult features_write(Device *device, const Register *reg, const Access *access, uint64_t value)
{
    VirtioMmio *mmio = mmio_of(device);
    if (plugged(device)) {
        virtio_set_driver_features(plugged(device), mmio->driver_features_select, (uint32_t)value, !mmio->legacy);
    }
    return ACCESS_OK;
}

static AccessResult status_read(Device *device, const Register *reg, const Access *access, uint64_t *value)
{
    *value = plugged(device) ? plugged(device)->status : 0;
    return ACCESS_OK;
}

static AccessResult status_write(Device *device, const Register *reg, const Access *access, uint64_t value)
{
    VirtioMmio *mmio = mmio_of(device);
    if (!plugged(device)) {
        return ACCESS_OK;
    }
    virtio_set_status(plugged(device), (uint8_t)value);
    if ((uint8_t)value == 0) {
        mmio->queue_select = mmio->device_features_select = mmio->driver_features_select = 0;
    }
    update_irq(mmio);
    return ACCESS_OK;
}

static AccessResult interrupt_status_read(Device *device, const Register *reg, const Access *access, uint64_t *value)
{
    *value = plugged(device) ? plugged(device)->isr : 0;
    return ACCESS_OK;
}

static AccessResult interrupt_ack_write(Device *device, const Register *reg, const Access *access, uint64_t value)
{
    if (plugged(device)) {
        plugged(device)->isr &= (uint8_t)~value;
        update_irq(mmio_of(device));
    }
    return ACCESS_OK;
}

/* Queues. */

static AccessResult queue_maximum_read(Device *device, const Register *reg, const Access *access, uint64_t *value)
{
    *value = selected(device) ? selected(device)->maximum : 0;
    return ACCESS_OK;
}

static AccessResult queue_size_write(Device *device, const Register *reg, const Access *access, uint64_t value)
{
    VirtQueue *queue = selected(device);
    if (queue && !queue->ready) {
        queue->size = value <= queue->maximum ? (uint16_t)value : 0; /* 0 is refused when it is enabled */
    }
    return ACCESS_OK;
}

static AccessResult queue_ready_read(Device *device, const Register *reg, const Access *access, uint64_t *value)
{
    *value = selected(device) && selected(device)->ready;
    return ACCESS_OK;
}

static AccessResult queue_ready_write(Device *device, const Register *reg, const Access *access, uint64_t value)
{
    VirtQueue *queue = selected(device);
    if (queue && (value & 1) && !queue->ready) {
        virtio_queue_enable(queue);
    } else if (queue && !(value & 1) && queue->ready) {
        virtio_request_queue_stop(queue);
    }
    return ACCESS_OK;
}

static AccessResult queue_reset_read(Device *device, const Register *reg, const Access *access, uint64_t *value)
{
    *value = selected(device) && selected(device)->resetting;
    return ACCESS_OK;
}

static AccessResult queue_reset_write(Device *device, const Register *reg, const Access *access, uint64_t value)
{
    VirtQueue *queue = selected(device);
    if (queue && (value & 1) && virtio_has(queue->device, VIRTIO_F_RING_RESET)) {
        virtio_request_queue_reset(queue);
    }
    return ACCESS_OK;
}

static AccessResult queue_notify_write(Device *device, const Register *reg, const Access *access, uint64_t value)
{
    if (plugged(device)) {
        virtio_queue_notify(plugged(device), (uint32_t)value);
    }
    return ACCESS_OK;
}

/* `data`: the offset of a 64-bit address in VirtQueue, and the half's shift. */
static AccessResult queue_address_write(Device *device, const Register *reg, const Access *access, uint64_t value)
{
    VirtQueue *queue = selected(device);
    if (queue && !queue->ready) {
        uint64_t *address = (uint64_t *)(void *)((char *)queue + (reg->data >> 8));
        *address = bits_deposit(*address, reg->data & 0xff, 32, value);
    }
    return ACCESS_OK;
}

/* Legacy: the ring is one area, its parts aligned by QueueAlign; its address is in guest pages. */

static uint32_t *selected_alignment(Device *device)
{
    VirtioMmio *mmio = mmio_of(device);
    return mmio->queue_select < VIRTIO_QUEUES ? &mmio->queue_alignment[mmio->queue_select] : NULL;
}

static AccessResult queue_align_write(Device *device, const Register *reg, const Access *access, uint64_t value)
{
    uint32_t *alignment = selected_alignment(device);
    if (alignment && is_power_of_2(value) && value <= LEGACY_ALIGNMENT_LIMIT) {
        *alignment = (uint32_t)value;
    }
    return ACCESS_OK;
}

static AccessResult page_size_write(Device *device, const Register *reg, const Access *access, uint64_t value)
{
    if (is_power_of_2(value)) {
        mmio_of(device)->guest_page_size = (uint32_t)value;
    }
    return ACCESS_OK;
}

static AccessResult queue_pfn_read(Device *device, const Register *reg, const Access *access, uint64_t *value)
{
    const VirtQueue *queue = selected(device);
    uint32_t page_size = mmio_of(device)->guest_page_size;
    *value = queue && queue->ready && page_size ? queue->descriptors / page_size : 0;
    return ACCESS_OK;
}

static AccessResult queue_pfn_write(Device *device, const Register *reg, const Access *access, uint64_t value)
{
    VirtQueue *queue = selected(device);
    uint32_t *alignment = selected_alignment(device);
    if (!queue || !alignment) {
        return ACCESS_OK;
    }
    if (value == 0) { /* the driver gives the queue up */
        virtio_request_queue_reset(queue);
        return ACCESS_OK;
    }
    if (queue->ready) {
        log_guest_error(device_log(device), "%s: queue %u is in use and cannot be moved\n", device_name(device),
                        queue->index);
        return ACCESS_OK;
    }
    queue->descriptors = value * mmio_of(device)->guest_page_size;
    queue->driver = queue->descriptors + 16 * (uint64_t)queue->size;
    queue->used = queue->descriptors + virtio_legacy_used_offset(queue->size, *alignment ? *alignment : 4096);
    virtio_queue_enable(queue);
    return ACCESS_OK;
}

/* Configuration. */

static AccessResult generation_read(Device *device, const Register *reg, const Access *access, uint64_t *value)
{
    *value = plugged(device) ? plugged(device)->config_generation : 0;
    return ACCESS_OK;
}

static AccessResult config_read(Device *device, const Register *reg, const Access *access, uint64_t *value)
{
    uint8_t byte = 0;
    if (plugged(device)) {
        virtio_config_read(plugged(device), (uint32_t)access->address - CONFIG, &byte, 1);
    }
    *value = byte;
    return ACCESS_OK;
}

static AccessResult config_write(Device *device, const Register *reg, const Access *access, uint64_t value)
{
    uint8_t byte = (uint8_t)value;
    if (plugged(device)) {
        virtio_config_write(plugged(device), (uint32_t)access->address - CONFIG, &byte, 1);
    }
    return ACCESS_OK;
}

#define ADDRESS_HALF(name_, address_, field_, shift_) \
    REG_HOOK(name_, address_, .present = is_modern, .write_only = true, .write = queue_address_write, \
             .data = offsetof(VirtQueue, field_) << 8 | (shift_))

static const Register registers[] = {
    REG_HOOK(MagicValue, 0x000, .reset = MAGIC, .read_only = true),
    REG_HOOK(Version, 0x004, .read = version_read, .read_only = true),
    REG_HOOK(DeviceID, 0x008, .read = device_id_read, .read_only = true),
    REG_HOOK(VendorID, 0x00c, .reset = VENDOR, .read_only = true),
    REG_HOOK(DeviceFeatures, 0x010, .read = features_read, .read_only = true),
    REG_FIELD(VirtioMmio, DeviceFeaturesSel, 0x014, device_features_select, .writable = UINT32_MAX, .write_only = true),
    REG_HOOK(DriverFeatures, 0x020, .write = features_write, .write_only = true),
    REG_FIELD(VirtioMmio, DriverFeaturesSel, 0x024, driver_features_select, .writable = UINT32_MAX, .write_only = true),
    REG_FIELD(VirtioMmio, GuestPageSize, 0x028, guest_page_size, .present = is_legacy, .write = page_size_write,
              .write_only = true),
    REG_FIELD(VirtioMmio, QueueSel, 0x030, queue_select, .writable = UINT32_MAX, .write_only = true),
    REG_HOOK(QueueNumMax, 0x034, .read = queue_maximum_read, .read_only = true),
    REG_HOOK(QueueNum, 0x038, .write = queue_size_write, .write_only = true),
    REG_HOOK(QueueAlign, 0x03c, .present = is_legacy, .write = queue_align_write, .write_only = true),
    REG_HOOK(QueuePFN, 0x040, .present = is_legacy, .read = queue_pfn_read, .write = queue_pfn_write),
    REG_HOOK(QueueReady, 0x044, .present = is_modern, .read = queue_ready_read, .write = queue_ready_write),
    REG_HOOK(QueueNotify, 0x050, .write = queue_notify_write, .write_only = true, .doorbell = true),
    REG_HOOK(InterruptStatus, 0x060, .read = interrupt_status_read, .read_only = true),
    REG_HOOK(InterruptACK, 0x064, .write = interrupt_ack_write, .write_only = true),
    REG_HOOK(Status, 0x070, .read = status_read, .write = status_write),
    ADDRESS_HALF(QueueDescLow, 0x080, descriptors, 0),
    ADDRESS_HALF(QueueDescHigh, 0x084, descriptors, 32),
    ADDRESS_HALF(QueueDriverLow, 0x090, driver, 0),
    ADDRESS_HALF(QueueDriverHigh, 0x094, driver, 32),
    ADDRESS_HALF(QueueDeviceLow, 0x0a0, used, 0),
    ADDRESS_HALF(QueueDeviceHigh, 0x0a4, used, 32),
    REG_HOOK(SHMSel, 0x0ac, .present = is_modern, .write_only = true),
    REG_HOOK(SHMLenLow, 0x0b0, .present = is_modern, .reset = UINT32_MAX, .read_only = true),
    REG_HOOK(SHMLenHigh, 0x0b4, .present = is_modern, .reset = UINT32_MAX, .read_only = true),
    REG_HOOK(SHMBaseLow, 0x0b8, .present = is_modern, .reset = UINT32_MAX, .read_only = true),
    REG_HOOK(SHMBaseHigh, 0x0bc, .present = is_modern, .reset = UINT32_MAX, .read_only = true),
    REG_HOOK(QueueReset, 0x0c0, .present = is_modern, .read = queue_reset_read, .write = queue_reset_write),
    REG_HOOK(ConfigGeneration, 0x0fc, .present = is_modern, .read = generation_read, .read_only = true),
    REG_HOOK(Config, CONFIG, .size = 1, .count = REGION_SIZE - CONFIG, .read = config_read, .write = config_write),
};

static const RegisterBank banks[] = {
    { .name = "virtio-mmio", .size = REGION_SIZE, .registers = registers, .count = ARRAY_SIZE(registers) },
};

static const StateField state_fields[] = {
    STATE_FIELD_ARRAY(VirtioMmio, queue_alignment, STATE_UNSIGNED, .maximum = LEGACY_ALIGNMENT_LIMIT),
    STATE_FIELD_NOT_SAVED(VirtioMmio, bus, "a handle"),
    STATE_FIELD_NOT_SAVED(VirtioMmio, irq, "a handle; settle drives it"),
    STATE_FIELDS_END,
};

static const StateTable state_table = {
    .name = "virtio-mmio", .version = 1, .minimum_version = 1, .fields = state_fields,
};

const Class virtio_mmio_bus_class = {
    .name = "virtio-mmio-bus",
    .parent = &virtio_bus_class,
};

static bool mmio_realize(Device *device, Error **error)
{
    VirtioMmio *mmio = mmio_of(device);
    device_init_irq_outputs(device, IRQ_SYSBUS, &mmio->irq, 1);
    mmio->bus = (VirtioBus *)bus_new(&virtio_mmio_bus_class, device, device->machine, NULL, error);
    if (!mmio->bus) {
        return false;
    }
    mmio->bus->transport = &transport;
    mmio->bus->data = mmio;
    return true;
}

static void mmio_reset(Device *device, ResetKind kind)
{
    VirtioMmio *mmio = mmio_of(device);
    for (unsigned i = 0; i < VIRTIO_QUEUES; i++) {
        mmio->queue_alignment[i] = 0;
    }
}

static void mmio_settle(Device *device) { update_irq(mmio_of(device)); }

static void mmio_write_fdt(Device *device, FdtWriter *fdt)
{
    const Placement *placement = &device->placement;
    fdt_begin(fdt, "virtio_mmio@%" PRIx64, placement->addresses[0]);
    fdt_u32(fdt, "interrupt-parent", placement->interrupt_parent);
    fdt_cells(fdt, "interrupts", placement->interrupts, placement->interrupt_count);
    fdt_reg(fdt, (const uint64_t[]){ placement->addresses[0], placement->sizes[0] }, 1);
    fdt_text(fdt, "compatible", "virtio,mmio");
    fdt_end(fdt);
}

static void mmio_write_firmware_name(const Device *device, StrBuf *buffer)
{
    strbuf_printf(buffer, "virtio-mmio@%016" PRIx64, device->placement.addresses[0]);
}

static const Property properties[] = {
    PROP("force-legacy", type_bool, VirtioMmio, legacy, "on", "the register layout from before VIRTIO 1.0"),
    PROP_END,
};

const DeviceClass virtio_mmio_class = {
    .class = {
        .name = "virtio-mmio",
        .parent = &sysbus_device_class.class,
        .description = "Virtio over memory-mapped registers",
        .size = sizeof(VirtioMmio),
        .properties = properties,
    },
    .category = "Misc",
    .banks = banks,
    .bank_count = ARRAY_SIZE(banks),
    .state = &state_table,
    .realize = mmio_realize,
    .reset = mmio_reset,
    .settle = mmio_settle,
    .write_fdt = mmio_write_fdt,
    .write_firmware_name = mmio_write_firmware_name,
};
