/*
 * Virtqueues, split and packed, of legacy and modern drivers: chains, tables, wrapping, interrupts and notifications
 * and their suppression, resets with buffers in flight.
 */
#include "virtio_driver.h"

#include <string.h>

static VirtQueue *queue_of(Driver *driver, unsigned index) { return &driver->device->queues[index]; }

/* Data */

static Buffer filled(Driver *driver, const char *text)
{
    uint32_t length = (uint32_t)strlen(text);
    Buffer buffer = { driver_alloc(driver, length, 1), length, false };

    memcpy(driver_host(driver, buffer.address), text, length);
    return buffer;
}

static Buffer empty(Driver *driver, uint32_t length)
{
    Buffer buffer = { driver_alloc(driver, MAX(length, 1u), 1), length, true };

    memset(driver_host(driver, buffer.address), '.', length);
    return buffer;
}

static void expect_text(Driver *driver, const Buffer *buffer, const char *text)
{
    g_assert_cmpmem(driver_host(driver, buffer->address), buffer->length, text, strlen(text));
}

static void test_echo(const void *kind)
{
    Driver *driver = driver_start(kind);
    DriverQueue *queue = driver_queue(driver, 0, 8);

    test_device(driver)->echo = true;
    driver_go(driver);
    for (unsigned i = 0; i < 50; i++) { /* several times around the ring */
        Buffer buffers[] = { filled(driver, "abc"), filled(driver, "defgh"), empty(driver, 4), empty(driver, 6) };
        uint16_t id = queue_add(queue, buffers, ARRAY_SIZE(buffers));
        queue_kick(queue);
        queue_expect(queue, id, 8);
        expect_text(driver, &buffers[2], "abcd");
        expect_text(driver, &buffers[3], "efgh..");
        g_assert_true(queue_nothing_used(queue));
    }
    g_assert_false(driver->device->broken);
    driver_free(driver);
}

static void test_indirect(const void *kind)
{
    Driver *driver = driver_start(kind);
    DriverQueue *queue = driver_queue(driver, 1, 4);

    test_device(driver)->echo = true;
    driver_go(driver);
    for (unsigned i = 0; i < 11; i++) {
        Buffer buffers[20]; /* more than the ring has entries */
        for (unsigned n = 0; n < 10; n++) {
            buffers[n] = filled(driver, n % 2 ? "xy" : "z");
            buffers[10 + n] = empty(driver, 2);
        }
        uint16_t id = queue_add_indirect(queue, buffers, ARRAY_SIZE(buffers));
        queue_kick(queue);
        queue_expect(queue, id, 15);
        expect_text(driver, &buffers[10], "zx");
        expect_text(driver, &buffers[11], "yz");
        expect_text(driver, &buffers[17], "y.");
        expect_text(driver, &buffers[18], "..");
    }
    driver_free(driver);
}

/* Plain descriptors, and a table as the last one. */
static void test_chain_then_table(const void *kind)
{
    Driver *driver = driver_start(kind);
    DriverQueue *queue = driver_queue(driver, 0, 8);
    Buffer in = filled(driver, "table"), out = empty(driver, 5);
    uint64_t table = driver_alloc(driver, 16, 16);
    uint16_t id = 0, head = driver->packed ? DESC_AVAIL : 0;
    uint16_t last = DESC_INDIRECT | DESC_WRITE | head; /* WRITE: ignored */

    test_device(driver)->echo = true;
    driver_go(driver);
    driver_put_descriptor(driver, table, out.address, 5, DESC_WRITE, driver->packed ? DESC_WRITE : 0);
    uint64_t second = queue->descriptors + 16;
    driver_put_descriptor(driver, second, table, 16, driver->packed ? id : last, driver->packed ? last : 0);
    Buffer chain[] = { in, { table, 16, true } };
    if (driver->packed) {
        queue->lengths[0] = 2;
        driver_put_descriptor(driver, queue->descriptors, in.address, 5, id, DESC_NEXT | head);
    } else {
        id = queue_add(queue, chain, 2);
        driver_put_descriptor(driver, second, table, 16, last, 0);
    }
    queue_kick(queue);
    queue_expect(queue, id, 5);
    expect_text(driver, &out, "table");
    driver_free(driver);
}

/* A buffer of no bytes does no harm, nor does a chain of such alone. */
static void test_no_bytes(const void *kind)
{
    Driver *driver = driver_start(kind);
    DriverQueue *queue = driver_queue(driver, 0, 8);
    Buffer buffers[] = { { 0, 0, false }, filled(driver, "q"), { 0, 0, true }, empty(driver, 1) };

    test_device(driver)->echo = true;
    driver_go(driver);
    uint16_t id = queue_add(queue, buffers, 4), other = queue_add(queue, buffers, 1);
    queue_kick(queue);
    queue_expect(queue, id, 1);
    expect_text(driver, &buffers[3], "q");
    queue_expect(queue, other, 0);
    driver_free(driver);
}

/* In any order, and of different lengths. */
static void test_out_of_order(const void *kind)
{
    Driver *driver = driver_start(kind);
    DriverQueue *queue = driver_queue(driver, 0, 8);
    uint16_t ids[3];

    driver_go(driver);
    for (unsigned round = 0; round < 20; round++) {
        for (unsigned i = 0; i < 3; i++) {
            Buffer buffers[] = { empty(driver, 8), empty(driver, 8), empty(driver, 8) };
            ids[i] = queue_add(queue, buffers, i + 1);
        }
        queue_kick(queue);
        g_assert_cmpuint(test_device(driver)->held_count, ==, 3);
        test_device_push(driver, 2, 5);
        test_device_push(driver, 0, 8);
        test_device_push(driver, 0, 16);
        queue_expect(queue, ids[2], 5);
        queue_expect(queue, ids[0], 8);
        queue_expect(queue, ids[1], 16);
    }
    driver_free(driver);
}

/* A ring full of buffers, of every size from one entry on. */
static void test_full_ring(const void *kind)
{
    for (uint16_t size = 1; size <= 8; size++) {
        Driver *driver = driver_start(kind);
        if (!driver->packed && (size & (size - 1))) {
            driver_free(driver);
            continue;
        }
        DriverQueue *queue = driver_queue(driver, 0, size);
        driver_go(driver);
        uint16_t ids[8];
        for (unsigned round = 0; round < 5; round++) {
            for (unsigned i = 0; i < size; i++) {
                ids[i] = queue_add(queue, &(Buffer){ DRIVER_RAM, 1, true }, 1);
            }
            queue_kick(queue);
            g_assert_cmpuint(test_device(driver)->held_count, ==, size);
            for (unsigned i = 0; i < size; i++) {
                test_device_push(driver, 0, 1);
                queue_expect(queue, ids[i], 1);
            }
        }
        g_assert_false(driver->device->broken);
        driver_free(driver);
    }
}

/* 16 bits of indices overflow. */
static void test_many(const void *kind)
{
    Driver *driver = driver_start(kind);
    DriverQueue *queue = driver_queue(driver, 0, 8);
    Buffer buffers[] = { filled(driver, "0123"), empty(driver, 4) };

    test_device(driver)->echo = true;
    driver_go(driver);
    for (unsigned i = 0; i < 70000; i++) {
        uint16_t id = queue_add(queue, buffers, 2);
        queue_kick(queue);
        queue_expect(queue, id, 4);
    }
    driver_free(driver);
}

static void test_several_queues(const void *kind)
{
    Driver *driver = driver_start(kind);
    DriverQueue *first = driver_queue(driver, 0, 8), *second = driver_queue(driver, 1, 4);
    Buffer a[] = { filled(driver, "first"), empty(driver, 5) }, b[] = { filled(driver, "second"), empty(driver, 6) };

    test_device(driver)->echo = true;
    driver_go(driver);
    bench_drain(driver->bench);
    uint16_t id_a = queue_add(first, a, 2), id_b = queue_add(second, b, 2);
    queue_kick(second);
    g_assert_true(queue_nothing_used(first)); /* it was not notified of */
    queue_expect(second, id_b, 6);
    queue_kick(first);
    queue_expect(first, id_a, 5);
    expect_text(driver, &a[1], "first");
    expect_text(driver, &b[1], "second");
    driver_free(driver);
}

/* Before DRIVER_OK: a legacy driver may use its queues, a modern one waits. */
static void test_before_driver_ok(const void *kind)
{
    Driver *driver = driver_start(kind);
    DriverQueue *queue = driver_queue(driver, 0, 8);

    queue_add(queue, &(Buffer){ DRIVER_RAM, 1, true }, 1);
    queue_kick(queue);
    g_assert_cmpuint(test_device(driver)->held_count, ==, driver->legacy);
    driver_go(driver);
    bench_drain(driver->bench);
    g_assert_cmpuint(test_device(driver)->held_count, ==, 1);
    driver_free(driver);
}

/* Interrupts */

static void test_interrupt(const void *kind)
{
    Driver *driver = driver_start(kind);
    DriverQueue *queue = driver_queue(driver, 0, 8);

    driver_go(driver);
    queue_offer_and_hold(queue, 2);
    g_assert_false(driver_interrupted(driver));
    test_device_push(driver, 0, 0);
    g_assert_cmphex(driver_get(driver, MMIO_INTERRUPT_STATUS), ==, VIRTIO_ISR_QUEUE);
    g_assert_true(driver_interrupted(driver));
    g_assert_false(driver_interrupted(driver));
    driver_free(driver);
}

static void test_no_interrupt(const void *data)
{
    const DriverKind *kind = data;
    Driver *driver = driver_start(kind);
    DriverQueue *queue = driver_queue(driver, 0, 8);

    driver_go(driver);
    queue_offer_and_hold(queue, 3);
    queue_want_interrupts(queue, false);
    test_device_push(driver, 0, 0);
    /* With events a split ring's flag says nothing; the first event is that of index 0. */
    g_assert_cmpint(driver_interrupted(driver), ==, kind->features & EVENT && !driver->packed);
    test_device_push(driver, 0, 0);
    g_assert_false(driver_interrupted(driver));
    queue_want_interrupts(queue, true);
    test_device_push(driver, 0, 0);
    g_assert_cmpint(driver_interrupted(driver), ==, !(kind->features & EVENT && !driver->packed));
    driver_free(driver);
}

/* Interrupts at a place in the ring, over its end. */
static void test_interrupt_event(const void *data)
{
    const DriverKind *kind = data;
    Driver *driver = driver_start(kind);
    DriverQueue *queue = driver_queue(driver, 0, 8);

    if (!(kind->features & EVENT)) {
        driver_free(driver);
        return;
    }
    driver_go(driver);
    for (unsigned done = 0; done < 60;) {
        unsigned at = done + 2; /* of the next four, the third is to interrupt */
        queue_want_interrupt_at(queue, (uint16_t)(driver->packed ? at % 8 : at), at / 8 % 2 == 0);
        queue_offer_and_hold(queue, 4);
        for (unsigned i = 0; i < 4; i++, done++) {
            test_device_push(driver, 0, 0);
            g_assert_cmpint(driver_interrupted(driver), ==, done == at || done == 0);
        }
    }
    driver_free(driver);
}

/* Legacy: an interrupt when the device has nothing left, wanted or not. */
static void test_notify_on_empty(const void *data)
{
    const DriverKind *kind = data;

    if (!kind->legacy) {
        return;
    }
    Driver *driver = driver_start_with(kind, kind->features | BIT(VIRTIO_F_NOTIFY_ON_EMPTY));
    DriverQueue *queue = driver_queue(driver, 0, 8);
    driver_go(driver);
    queue_want_interrupts(queue, false);
    queue_want_interrupt_at(queue, 1000, false);
    queue_offer_and_hold(queue, 3);
    test_device_push(driver, 0, 0);
    driver_interrupted(driver);
    queue_offer(queue); /* not notified of, but there */
    test_device_push(driver, 0, 0);
    g_assert_false(driver_interrupted(driver));
    test_device_push(driver, 0, 0);
    g_assert_false(driver_interrupted(driver));
    queue_kick(queue);
    test_device_push(driver, 0, 0);
    g_assert_true(driver_interrupted(driver));
    driver_free(driver);
}

/* Notifications */

/* Whether the driver, having published up to its last buffer, is to notify: sections 2.7.10 and 2.8.10. */
static bool wants_notification(DriverQueue *queue, bool event)
{
    Driver *driver = queue->driver;

    if (!driver->packed) {
        uint16_t asked = (uint16_t)driver_load(driver, queue->used + 4 + 8u * queue->size, 2);
        return event ? asked == (uint16_t)(queue->available_index - 1) : !driver_load(driver, queue->used, 2);
    }
    uint64_t flags = driver_load(driver, queue->used + 2, 2), asked = driver_load(driver, queue->used, 2);
    uint16_t last = (uint16_t)(queue->next ? queue->next - 1 : queue->size - 1);
    bool wrap = queue->next ? queue->wrap : !queue->wrap;
    return flags == 0 || (flags == 2 && asked == ((uint64_t)last | (uint64_t)wrap << 15));
}

static void test_notification(const void *data)
{
    const DriverKind *kind = data;
    Driver *driver = driver_start(kind);
    DriverQueue *queue = driver_queue(driver, 0, 8);
    bool event = kind->features & EVENT;

    driver_go(driver);
    for (unsigned i = 0; i < 20; i++) {
        queue_offer(queue);
        g_assert_true(wants_notification(queue, event));
        test_device(driver)->suppress = true;
        queue_kick(queue);
        test_device_push(driver, 0, 0);
        queue_offer(queue);
        g_assert_false(wants_notification(queue, event));
        test_device(driver)->suppress = false;
        queue_kick(queue);
        test_device_push(driver, 0, 0);
    }
    driver_free(driver);
}

/* Resets */

static void test_reset_in_flight(const void *kind)
{
    Driver *driver = driver_start(kind);
    DriverQueue *queue = driver_queue(driver, 0, 8);

    driver_go(driver);
    queue_offer_and_hold(queue, 3);
    unsigned drained = test_device(driver)->drained;
    driver_put(driver, MMIO_STATUS, 0);
    g_assert_cmpuint(test_device(driver)->drained, ==, drained + 1);
    g_assert_cmpuint(test_device(driver)->held_count, ==, 0);
    g_assert_cmphex(driver_get(driver, MMIO_STATUS), ==, 0);
    g_assert_cmphex(driver_get(driver, MMIO_INTERRUPT_STATUS), ==, 0);
    g_assert_cmpint(bench_level(driver->bench, DRIVER_LINE), ==, 0);
    g_assert_cmpuint(queue_of(driver, 0)->in_flight, ==, 0);
    driver_negotiate(driver, ((const DriverKind *)kind)->features);
    queue = driver_queue(driver, 0, 8);
    driver_go(driver);
    queue_offer_and_hold(queue, 2);
    bench_reset(driver->bench, RESET_WARM);
    g_assert_cmpuint(test_device(driver)->held_count, ==, 0);
    g_assert_cmphex(driver_get(driver, MMIO_STATUS), ==, 0);
    driver_free(driver);
}

/* One queue is stopped or reset, with buffers in flight; the other one goes on. */
static void stop_queue(Driver *driver, unsigned index, bool reset)
{
    driver_put(driver, MMIO_QUEUE_SEL, index);
    if (driver->legacy) {
        driver_put(driver, MMIO_QUEUE_PFN, 0);
        g_assert_cmpuint(driver_get(driver, MMIO_QUEUE_PFN), ==, 0);
        return;
    }
    driver_put(driver, reset ? MMIO_QUEUE_RESET : MMIO_QUEUE_READY, reset);
    g_assert_cmpuint(driver_get(driver, MMIO_QUEUE_RESET), ==, 0);
    g_assert_cmpuint(driver_get(driver, MMIO_QUEUE_READY), ==, 0);
}

static void check_stopping(const DriverKind *kind, bool reset)
{
    Driver *driver = driver_start_with(kind, kind->features | (kind->legacy ? 0 : BIT(VIRTIO_F_RING_RESET)));
    DriverQueue *queue = driver_queue(driver, 0, 8), *other = driver_queue(driver, 1, 8);

    driver_go(driver);
    queue_offer_and_hold(queue, 3);
    stop_queue(driver, 0, reset);
    g_assert_cmpuint(test_device(driver)->held_count, ==, 0);
    queue_kick(queue); /* nothing there */
    g_assert_cmpuint(queue_of(driver, 0)->size, ==, 8);
    g_assert_cmpuint(queue_of(driver, 0)->next_available, ==, 0);
    queue = driver_queue(driver, 0, 4);
    g_assert_cmpuint(queue_of(driver, 0)->size, ==, 4);
    uint16_t id = queue_offer(queue);
    queue_kick(queue);
    test_device_push(driver, 0, 3);
    queue_expect(queue, id, 3);
    id = queue_offer(other);
    queue_kick(other);
    test_device_push(driver, 0, 2);
    queue_expect(other, id, 2);
    g_assert_false(driver->device->broken);
    driver_free(driver);
}

static void test_queue_stop(const void *kind) { check_stopping(kind, false); }
static void test_queue_reset(const void *kind) { check_stopping(kind, true); }

static void test_queue_reset_not_agreed(const void *kind)
{
    Driver *driver = driver_start(kind);

    driver_queue(driver, 0, 8);
    driver_go(driver);
    driver_put(driver, MMIO_QUEUE_RESET, 1);
    g_assert_true(queue_of(driver, 0)->ready);
    driver_free(driver);
}

/* A notification is waiting in the loop when the machine ends. */
static void test_end_when_notified(void)
{
    Driver *driver = driver_start(&driver_kinds[0]);
    DriverQueue *queue = driver_queue(driver, 0, 8);

    driver_go(driver);
    queue_offer(queue);
    driver_put(driver, MMIO_QUEUE_NOTIFY, 0);
    driver_free(driver);
}

/* A chain that was taken and is given back comes again. */
static void test_unpop(const void *kind)
{
    Driver *driver = driver_start(kind);
    DriverQueue *queue = driver_queue(driver, 0, 4);
    VirtQueue *vq = queue_of(driver, 0);

    driver_go(driver);
    for (unsigned i = 0; i < 9; i++) {
        uint16_t id = queue_add(queue, (Buffer[]){ { DRIVER_RAM, 4, false }, { DRIVER_RAM, 4, true } }, 2);
        device_lock(driver->device->device.lock);
        VirtElement *element = virtqueue_pop(vq);
        g_assert_nonnull(element);
        g_assert_null(virtqueue_pop(vq));
        virtqueue_unpop(vq, element);
        g_assert_cmpuint(vq->in_flight, ==, 0);
        element = virtqueue_pop(vq);
        g_assert_nonnull(element);
        g_assert_cmpuint(element->id, ==, id);
        g_assert_cmpuint(element->in_bytes, ==, 4);
        virtqueue_push(vq, element, 4);
        device_unlock(driver->device->device.lock);
        queue_expect(queue, id, 4);
    }
    driver_free(driver);
}

/* VIRTIO_F_IN_ORDER: what ends early waits for what came before. */
static void test_in_order(const void *features)
{
    uint64_t ring = *(const uint64_t *)features;
    Driver *driver = driver_new("bench-virtio", "packed=on,in_order=on", false);
    driver_negotiate(driver, ring | BIT(VIRTIO_F_IN_ORDER));
    g_assert_cmphex(driver->features, &, BIT(VIRTIO_F_IN_ORDER));
    DriverQueue *queue = driver_queue(driver, 0, 8);
    driver_go(driver);
    queue_offer_and_hold(queue, 4);
    test_device_push(driver, 1, 16);
    g_assert_true(queue_nothing_used(queue));
    test_device_push(driver, 0, 8);
    queue_expect(queue, 0, 8);
    queue_expect(queue, 1, 16);
    test_device_push(driver, 1, 4); /* the last one */
    g_assert_true(queue_nothing_used(queue));
    driver_put(driver, MMIO_STATUS, 0); /* drains */
    g_assert_cmpuint(driver->device->queues[0].in_flight, ==, 0);
    g_assert_null(driver->device->queues[0].first);
    driver_free(driver);
}

int main(int argc, char **argv)
{
    static const DriverTest tests[] = {
        { "echo", test_echo },
        { "indirect", test_indirect },
        { "chain-then-table", test_chain_then_table },
        { "no-bytes", test_no_bytes },
        { "out-of-order", test_out_of_order },
        { "full-ring", test_full_ring },
        { "many", test_many },
        { "several-queues", test_several_queues },
        { "before-driver-ok", test_before_driver_ok },
        { "interrupt", test_interrupt },
        { "no-interrupt", test_no_interrupt },
        { "interrupt-event", test_interrupt_event },
        { "notify-on-empty", test_notify_on_empty },
        { "notification", test_notification },
        { "reset-in-flight", test_reset_in_flight },
        { "queue-stop", test_queue_stop },
        { "queue-reset", test_queue_reset },
        { "queue-reset-not-agreed", test_queue_reset_not_agreed },
        { "unpop", test_unpop },
    };

    g_test_init(&argc, &argv, NULL);
    driver_add_tests(tests, ARRAY_SIZE(tests));
    g_test_add_func("/virtqueue/end-when-notified", test_end_when_notified);
    static const uint64_t rings[] = { 0, PACKED };
    g_test_add_data_func("/virtqueue/in-order/split", &rings[0], test_in_order);
    g_test_add_data_func("/virtqueue/in-order/packed", &rings[1], test_in_order);
    return g_test_run();
}
