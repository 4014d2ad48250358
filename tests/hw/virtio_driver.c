/* The virtio driver of the tests, and the test device. */
#include "virtio_driver.h"

#include "api/type.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/vec.h"

#include <string.h>

enum { PAGE = 4096 };

/* The test device. */

static void echo(VirtQueue *queue, VirtElement *element)
{
    uint8_t bytes[4096];
    size_t count = virt_read(element, 0, bytes, sizeof bytes);

    virtqueue_push(queue, element, (uint32_t)virt_write(element, 0, bytes, count));
    virtqueue_interrupt(queue);
}

static void test_handle(VirtioDevice *vdev, VirtQueue *queue)
{
    TestDevice *device = (TestDevice *)vdev;
    VirtElement *element;

    virtqueue_set_notification(queue, false);
    while (device->held_count < ARRAY_SIZE(device->held) && (element = virtqueue_pop(queue))) {
        if (device->echo) {
            echo(queue, element);
        } else {
            device->held[device->held_count] = element;
            device->held_of[device->held_count++] = queue;
        }
    }
    virtqueue_set_notification(queue, !device->suppress);
}

void test_device_push(Driver *driver, unsigned held, uint32_t written)
{
    TestDevice *device = test_device(driver);
    DeviceLock *lock = device->virtio.device.lock;

    g_assert_cmpuint(held, <, device->held_count);
    VirtQueue *queue = device->held_of[held];
    device_lock(lock);
    virtqueue_push(queue, device->held[held], written);
    virtqueue_interrupt(queue);
    device->held_count--;
    for (unsigned i = held; i < device->held_count; i++) {
        device->held[i] = device->held[i + 1];
        device->held_of[i] = device->held_of[i + 1];
    }
    device_unlock(lock);
}

static void test_drain(VirtioDevice *vdev)
{
    TestDevice *device = (TestDevice *)vdev;

    device->drained++;
    device_lock(vdev->device.lock);
    for (unsigned i = 0; i < device->held_count; i++) {
        virtqueue_push(device->held_of[i], device->held[i], 0);
    }
    device->held_count = 0;
    device_unlock(vdev->device.lock);
}

static void test_get_config(VirtioDevice *device, uint8_t *config)
{
    memcpy(config, ((TestDevice *)device)->config, sizeof ((TestDevice *)device)->config);
}

static void test_set_config(VirtioDevice *device, const uint8_t *config, uint32_t offset, uint32_t size)
{
    ((TestDevice *)device)->config_writes++;
    memcpy(((TestDevice *)device)->config + offset, config + offset, size);
}

static void test_features_changed(VirtioDevice *device) { ((TestDevice *)device)->agreed++; }

static bool test_realize(Device *device, Error **error)
{
    TestDevice *test = (TestDevice *)device;

    test->virtio.config_size = sizeof test->config;
    for (unsigned i = 0; i < test->queue_count; i++) {
        virtio_add_queue(&test->virtio, test->queue_size, test_handle);
    }
    return true;
}

static const Property test_properties[] = {
    PROP("queues", type_uint16, TestDevice, queue_count, "2", "queues"),
    PROP("queue-size", type_uint16, TestDevice, queue_size, "8", "entries of a queue"),
    PROP_END,
};

extern const VirtioDeviceClass bench_virtio_class;
const VirtioDeviceClass bench_virtio_class = {
    .device = {
        .class = {
            .name = "bench-virtio",
            .parent = &virtio_device_class.device.class,
            .description = "A virtio device of a test",
            .size = sizeof(TestDevice),
            .properties = test_properties,
        },
        .realize = test_realize,
    },
    .virtio_id = 0x2a,
    .get_config = test_get_config,
    .set_config = test_set_config,
    .features_changed = test_features_changed,
    .drain = test_drain,
};

/* Life. */

Driver *driver_new_empty(bool legacy)
{
    Driver *driver = g_new0(Driver, 1);

    driver->bench = bench_new();
    driver->legacy = legacy;
    driver->ram = bench_add_ram(driver->bench, DRIVER_RAM, DRIVER_RAM_SIZE);
    driver->transport = bench_add(driver->bench, "virtio-mmio", legacy ? NULL : "force-legacy=off");
    driver->base = bench_address(driver->transport, 0);
    bench_watch(driver->bench, driver->transport, IRQ_SYSBUS, 0, DRIVER_LINE);
    return driver;
}

void driver_add(Driver *driver, const char *class, const char *properties)
{
    driver->device = (VirtioDevice *)bench_add(driver->bench, class, properties);
}

void driver_run(Driver *driver)
{
    AUTO_ERROR(error);

    bench_start(driver->bench);
    if (!machine_run(driver->bench->machine, &error)) {
        g_error("the machine does not run: %s", error_message(error));
    }
}

Driver *driver_new(const char *class, const char *properties, bool legacy)
{
    Driver *driver = driver_new_empty(legacy);

    driver_add(driver, class, properties);
    driver_run(driver);
    return driver;
}

void driver_free(Driver *driver)
{
    bench_free(driver->bench);
    g_free(driver);
}

/* Registers and memory. */

uint32_t driver_get(Driver *driver, uint64_t offset)
{
    return (uint32_t)bench_read(driver->bench, driver->base + offset, 4);
}

void driver_put(Driver *driver, uint64_t offset, uint32_t value)
{
    bench_write(driver->bench, driver->base + offset, 4, value);
}

uint64_t driver_alloc(Driver *driver, uint64_t size, uint64_t alignment)
{
    uint64_t at = align_up(driver->allocated, alignment);

    driver->allocated = at + size;
    g_assert_cmpuint(driver->allocated, <=, DRIVER_RAM_SIZE);
    return DRIVER_RAM + at;
}

uint8_t *driver_host(Driver *driver, uint64_t address)
{
    g_assert_cmphex(address, >=, DRIVER_RAM);
    g_assert_cmphex(address, <=, DRIVER_RAM + DRIVER_RAM_SIZE);
    return driver->ram + (address - DRIVER_RAM);
}

uint64_t driver_load(Driver *driver, uint64_t address, unsigned size)
{
    uint64_t value = load_le(driver_host(driver, address), size);

    return driver->big_endian ? swap_bytes(value, size) : value;
}

void driver_store(Driver *driver, uint64_t address, unsigned size, uint64_t value)
{
    store_le(driver_host(driver, address), size, driver->big_endian ? swap_bytes(value, size) : value);
}

/* Negotiation. */

uint64_t driver_offered(Driver *driver)
{
    uint64_t offered = 0;

    for (unsigned i = 0; i < 2; i++) {
        driver_put(driver, MMIO_DEVICE_FEATURES_SEL, i);
        offered |= (uint64_t)driver_get(driver, MMIO_DEVICE_FEATURES) << 32 * i;
    }
    return offered;
}

void driver_negotiate(Driver *driver, uint64_t wanted)
{
    driver_put(driver, MMIO_STATUS, 0);
    if (driver->legacy) {
        driver_put(driver, MMIO_GUEST_PAGE_SIZE, PAGE);
    }
    driver_put(driver, MMIO_STATUS, VIRTIO_STATUS_ACKNOWLEDGE);
    driver_put(driver, MMIO_STATUS, STATUS_BEGUN);
    driver->features = driver_offered(driver) & (wanted | BIT(VIRTIO_F_VERSION_1));
    driver->packed = driver->features & BIT(VIRTIO_F_RING_PACKED);
    for (unsigned i = 0; i < 2; i++) {
        driver_put(driver, MMIO_DRIVER_FEATURES_SEL, i);
        driver_put(driver, MMIO_DRIVER_FEATURES, (uint32_t)(driver->features >> 32 * i));
    }
    if (!driver->legacy) {
        driver_put(driver, MMIO_STATUS, STATUS_BEGUN | VIRTIO_STATUS_FEATURES_OK);
        g_assert_cmphex(driver_get(driver, MMIO_STATUS), ==, STATUS_BEGUN | VIRTIO_STATUS_FEATURES_OK);
    }
}

void driver_go(Driver *driver)
{
    driver_put(driver, MMIO_STATUS, driver_get(driver, MMIO_STATUS) | VIRTIO_STATUS_DRIVER_OK);
}

/* Queues. */

DriverQueue *driver_make_queue(Driver *driver, uint16_t index, uint16_t size)
{
    DriverQueue *queue = &driver->queues[index];
    uint64_t area = driver_alloc(driver, 4 * PAGE, PAGE);

    g_assert_cmpuint(size, <=, 256);
    memset(driver_host(driver, area), 0, 4 * PAGE);
    *queue = (DriverQueue){ .driver = driver, .index = index, .size = size, .descriptors = area,
                            .available = area + 16u * size, .wrap = true, .used_wrap = true };
    queue->used = align_up(queue->available + 6 + 2u * size, PAGE);
    return queue;
}

static void put_address(Driver *driver, uint64_t offset, uint64_t address)
{
    driver_put(driver, offset, (uint32_t)address);
    driver_put(driver, offset + 4, (uint32_t)(address >> 32));
}

void driver_tell(DriverQueue *queue)
{
    Driver *driver = queue->driver;

    driver_put(driver, MMIO_QUEUE_SEL, queue->index);
    driver_put(driver, MMIO_QUEUE_NUM, queue->size);
    if (driver->legacy) {
        driver_put(driver, MMIO_QUEUE_ALIGN, PAGE);
        driver_put(driver, MMIO_QUEUE_PFN, (uint32_t)(queue->descriptors / PAGE));
    } else {
        put_address(driver, MMIO_QUEUE_DESC, queue->descriptors);
        put_address(driver, MMIO_QUEUE_DRIVER, queue->available);
        put_address(driver, MMIO_QUEUE_DEVICE, queue->used);
        driver_put(driver, MMIO_QUEUE_READY, 1);
    }
}

DriverQueue *driver_queue(Driver *driver, uint16_t index, uint16_t size)
{
    DriverQueue *queue = driver_make_queue(driver, index, size);

    driver_tell(queue);
    return queue;
}

void driver_put_descriptor(Driver *driver, uint64_t at, uint64_t address, uint32_t length, uint16_t third,
                           uint16_t fourth)
{
    driver_store(driver, at, 8, address);
    driver_store(driver, at + 8, 4, length);
    driver_store(driver, at + 12, 2, third);
    driver_store(driver, at + 14, 2, fourth);
}

static uint16_t flags_of(const Buffer *buffer, bool last)
{
    return (uint16_t)((last ? 0 : DESC_NEXT) | (buffer->write ? DESC_WRITE : 0));
}

static uint16_t publish(DriverQueue *queue, uint16_t head)
{
    Driver *driver = queue->driver;

    driver_store(driver, queue->available + 4 + 2u * (queue->available_index % queue->size), 2, head);
    driver_store(driver, queue->available + 2, 2, ++queue->available_index);
    return head;
}

static uint16_t add_split(DriverQueue *queue, const Buffer *buffers, unsigned count, uint16_t more)
{
    uint16_t head = queue->next;

    for (unsigned i = 0; i < count; i++) {
        uint16_t next = (uint16_t)((queue->next + 1) % queue->size);
        driver_put_descriptor(queue->driver, queue->descriptors + 16u * queue->next, buffers[i].address,
                              buffers[i].length, flags_of(&buffers[i], i + 1 == count) | more, next);
        queue->next = next;
    }
    return publish(queue, head);
}

/* The first descriptor becomes available last. */
static uint16_t add_packed(DriverQueue *queue, const Buffer *buffers, unsigned count, uint16_t more)
{
    Driver *driver = queue->driver;
    uint16_t id = queue->next_id, head_flags = 0;
    uint64_t head = queue->descriptors + 16u * queue->next;

    queue->next_id = (uint16_t)((id + 1) % queue->size);
    queue->lengths[id] = (uint16_t)count;
    for (unsigned i = 0; i < count; i++) {
        uint16_t flags = (uint16_t)(flags_of(&buffers[i], i + 1 == count) | more |
                                    (queue->wrap ? DESC_AVAIL : DESC_USED));
        driver_put_descriptor(driver, queue->descriptors + 16u * queue->next, buffers[i].address, buffers[i].length, id,
                              i ? flags : 0);
        head_flags = i ? head_flags : flags;
        if (++queue->next == queue->size) {
            queue->next = 0;
            queue->wrap = !queue->wrap;
        }
    }
    driver_store(driver, head + 14, 2, head_flags);
    return id;
}

uint16_t queue_add(DriverQueue *queue, const Buffer *buffers, unsigned count)
{
    return queue->driver->packed ? add_packed(queue, buffers, count, 0) : add_split(queue, buffers, count, 0);
}

uint16_t queue_add_indirect(DriverQueue *queue, const Buffer *buffers, unsigned count)
{
    Driver *driver = queue->driver;
    uint64_t table = driver_alloc(driver, 16u * count, 16);
    Buffer whole = { table, 16u * count, false };

    for (unsigned i = 0; i < count; i++) {
        uint16_t flags = flags_of(&buffers[i], driver->packed || i + 1 == count);
        driver_put_descriptor(driver, table + 16u * i, buffers[i].address, buffers[i].length,
                              driver->packed ? 0 : flags, driver->packed ? flags : (uint16_t)(i + 1));
    }
    return driver->packed ? add_packed(queue, &whole, 1, DESC_INDIRECT) : add_split(queue, &whole, 1, DESC_INDIRECT);
}

void queue_kick(DriverQueue *queue)
{
    driver_put(queue->driver, MMIO_QUEUE_NOTIFY, queue->index);
    bench_drain(queue->driver->bench);
}

static bool is_used(const DriverQueue *queue)
{
    Driver *driver = queue->driver;

    if (!driver->packed) {
        return driver_load(driver, queue->used + 2, 2) != queue->last_used;
    }
    uint64_t flags = driver_load(driver, queue->descriptors + 16u * queue->last_used + 14, 2);
    return !!(flags & DESC_AVAIL) == queue->used_wrap && !!(flags & DESC_USED) == queue->used_wrap;
}

bool queue_take(DriverQueue *queue, uint16_t *id, uint32_t *length)
{
    Driver *driver = queue->driver;
    uint64_t entry = queue->used + 4 + 8u * (queue->last_used % queue->size);

    if (!is_used(queue)) {
        return false;
    }
    if (!driver->packed) {
        *id = (uint16_t)driver_load(driver, entry, 4);
        *length = (uint32_t)driver_load(driver, entry + 4, 4);
        queue->last_used++;
        return true;
    }
    entry = queue->descriptors + 16u * queue->last_used;
    *length = (uint32_t)driver_load(driver, entry + 8, 4);
    *id = (uint16_t)driver_load(driver, entry + 12, 2);
    queue->last_used = (uint16_t)(queue->last_used + queue->lengths[*id]);
    if (queue->last_used >= queue->size) {
        queue->last_used = (uint16_t)(queue->last_used - queue->size);
        queue->used_wrap = !queue->used_wrap;
    }
    return true;
}

static bool is_used_data(void *data) { return is_used(data); }

bool queue_wait(DriverQueue *queue) { return bench_wait(queue->driver->bench, is_used_data, queue); }

void queue_want_interrupts(DriverQueue *queue, bool wanted)
{
    driver_store(queue->driver, queue->available + (queue->driver->packed ? 2 : 0), 2, !wanted);
}

void queue_want_interrupt_at(DriverQueue *queue, uint16_t position, bool wrap)
{
    Driver *driver = queue->driver;

    if (driver->packed) {
        driver_store(driver, queue->available, 2, (uint64_t)position | (uint64_t)wrap << 15);
        driver_store(driver, queue->available + 2, 2, 2);
    } else {
        driver_store(driver, queue->available + 4 + 2u * queue->size, 2, position);
    }
}

bool driver_interrupted(Driver *driver)
{
    bench_drain(driver->bench); /* a device's own loop tells of what is used a little later */
    bool high = bench_level(driver->bench, DRIVER_LINE);

    g_assert_cmpuint(high, ==, driver_get(driver, MMIO_INTERRUPT_STATUS) != 0);
    driver_put(driver, MMIO_INTERRUPT_ACK, driver_get(driver, MMIO_INTERRUPT_STATUS));
    g_assert_cmpint(bench_level(driver->bench, DRIVER_LINE), ==, 0);
    return high;
}

/* Kinds of drivers. */

const DriverKind driver_kinds[] = {
    { "legacy", true, false, INDIRECT },
    { "legacy-event", true, false, INDIRECT | EVENT },
    { "legacy-big", true, true, INDIRECT | EVENT },
    { "split", false, false, INDIRECT },
    { "split-event", false, false, INDIRECT | EVENT },
    { "packed", false, false, INDIRECT | PACKED },
    { "packed-event", false, false, INDIRECT | EVENT | PACKED },
    { NULL },
};

static const Guest big_guest = { .target = "big", .word_bits = 64, .page_bits = 12, .big_endian = true };

Driver *driver_start_device(const DriverKind *kind, const char *class, uint64_t features)
{
    Driver *driver = driver_new_empty(kind->legacy);

    driver->big_endian = kind->big_endian;
    if (kind->big_endian) {
        driver->bench->machine->guest = &big_guest;
    }
    driver_add(driver, class, "packed=on");
    driver_run(driver);
    driver_negotiate(driver, features);
    g_assert_cmphex(driver->features & ~BIT(VIRTIO_F_VERSION_1), ==, features & ~BIT(VIRTIO_F_VERSION_1));
    return driver;
}

Driver *driver_start_with(const DriverKind *kind, uint64_t features)
{
    return driver_start_device(kind, "bench-virtio", features);
}

Driver *driver_start(const void *kind) { return driver_start_with(kind, ((const DriverKind *)kind)->features); }

void driver_add_tests(const DriverTest *tests, size_t count)
{
    for (const DriverKind *kind = driver_kinds; kind->name; kind++) {
        for (size_t i = 0; i < count; i++) {
            g_autofree char *name = g_strdup_printf("/virtqueue/%s/%s", kind->name, tests[i].name);
            g_test_add_data_func(name, kind, tests[i].test);
        }
    }
}

void queue_expect(DriverQueue *queue, uint16_t id, uint32_t length)
{
    uint16_t used_id;
    uint32_t used_length;

    g_assert_true(queue_take(queue, &used_id, &used_length));
    g_assert_cmpuint(used_id, ==, id);
    g_assert_cmpuint(used_length, ==, length);
}

bool queue_nothing_used(DriverQueue *queue) { return !is_used(queue); }

uint16_t queue_offer(DriverQueue *queue) { return queue_add(queue, &(Buffer){ DRIVER_RAM, 16, true }, 1); }

void queue_offer_and_hold(DriverQueue *queue, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        queue_offer(queue);
    }
    queue_kick(queue);
    g_assert_cmpuint(test_device(queue->driver)->held_count, ==, count);
}
