/* Virtqueues of drivers that break the rules, of machines that stand still, and in saved state. */
#include "virtio_driver.h"

#include "base/error.h"
#include "base/strbuf.h"
#include "core/loop.h"
#include "core/state.h"

#include <string.h>

/* Drivers that break the rules */

static void expect_broken(Driver *driver)
{
    g_assert_true(driver->device->broken);
    g_assert_cmpuint(test_device(driver)->held_count, ==, 0);
    if (driver->legacy) {
        g_assert_cmphex(driver_get(driver, MMIO_STATUS) & VIRTIO_STATUS_NEEDS_RESET, ==, 0);
        return;
    }
    g_assert_cmphex(driver_get(driver, MMIO_STATUS), &, VIRTIO_STATUS_NEEDS_RESET);
    g_assert_cmphex(driver_get(driver, MMIO_INTERRUPT_STATUS), ==, VIRTIO_ISR_CONFIG);
    g_assert_cmpint(bench_level(driver->bench, DRIVER_LINE), ==, 1);
}

/* Each makes one wrong chain available. */

static void write_after_read(DriverQueue *queue)
{
    queue_add(queue, (Buffer[]){ { DRIVER_RAM, 4, true }, { DRIVER_RAM, 4, false } }, 2);
}

static void write_after_read_in_table(DriverQueue *queue)
{
    queue_add_indirect(queue, (Buffer[]){ { DRIVER_RAM, 4, true }, { DRIVER_RAM, 4, false } }, 2);
}

static void not_in_memory(DriverQueue *queue) { queue_add(queue, &(Buffer){ 0x1000, 4, false }, 1); }

static void over_the_end(DriverQueue *queue)
{
    queue_add(queue, &(Buffer){ DRIVER_RAM + DRIVER_RAM_SIZE - 4, 5, true }, 1);
}

static void wraps(DriverQueue *queue) { queue_add(queue, &(Buffer){ UINT64_MAX - 3, 8, true }, 1); }

static void in_registers(DriverQueue *queue) { queue_add(queue, &(Buffer){ queue->driver->base, 4, false }, 1); }

static void too_many_bytes(DriverQueue *queue)
{
    static Buffer buffers[1024];

    for (unsigned i = 0; i < ARRAY_SIZE(buffers); i++) {
        buffers[i] = (Buffer){ DRIVER_RAM, DRIVER_RAM_SIZE, true };
    }
    queue_add_indirect(queue, buffers, ARRAY_SIZE(buffers));
}

static void put_table(DriverQueue *queue, uint64_t address, uint32_t length, uint16_t flags)
{
    Driver *driver = queue->driver;

    flags |= DESC_INDIRECT;
    if (driver->packed) {
        driver_put_descriptor(driver, queue->descriptors, address, length, 0, flags | DESC_AVAIL);
    } else {
        driver_put_descriptor(driver, queue->descriptors, address, length, flags, 1);
        driver_store(driver, queue->available + 2, 2, 1);
    }
}

static void table_of_no_bytes(DriverQueue *queue) { put_table(queue, DRIVER_RAM, 0, 0); }
static void table_of_odd_length(DriverQueue *queue) { put_table(queue, DRIVER_RAM, 17, 0); }
static void table_too_long(DriverQueue *queue) { put_table(queue, DRIVER_RAM, 16 * 1025, 0); }
static void table_and_next(DriverQueue *queue) { put_table(queue, DRIVER_RAM, 16, DESC_NEXT); }
static void table_not_in_memory(DriverQueue *queue) { put_table(queue, 0x1000, 16, 0); }

static void table_in_table(DriverQueue *queue)
{
    Driver *driver = queue->driver;
    uint64_t table = driver_alloc(driver, 16, 16);

    /* A packed table's descriptors have but one flag, so that this one is a buffer there; put it out of memory. */
    driver_put_descriptor(driver, table, driver->packed ? 0x1000 : table, 16, DESC_INDIRECT, DESC_INDIRECT);
    put_table(queue, table, 16, 0);
}

static void loop(DriverQueue *queue)
{
    Driver *driver = queue->driver;

    if (driver->packed) { /* every descriptor says that there is another */
        for (unsigned i = 0; i < queue->size; i++) {
            driver_put_descriptor(driver, queue->descriptors + 16u * i, DRIVER_RAM, 1, 0, DESC_NEXT | DESC_AVAIL);
        }
        return;
    }
    driver_put_descriptor(driver, queue->descriptors, DRIVER_RAM, 1, DESC_NEXT, 1);
    driver_put_descriptor(driver, queue->descriptors + 16, DRIVER_RAM, 1, DESC_NEXT, 0);
    driver_store(driver, queue->available + 2, 2, 1);
}

static void loop_in_table(DriverQueue *queue)
{
    Driver *driver = queue->driver;
    uint64_t table = driver_alloc(driver, 32, 16);

    driver_put_descriptor(driver, table, DRIVER_RAM, 1, DESC_NEXT, 1);
    driver_put_descriptor(driver, table + 16, DRIVER_RAM, 1, DESC_NEXT, driver->packed ? DESC_INDIRECT : 0);
    if (driver->packed) { /* there is no order to follow there: another mistake */
        driver_put_descriptor(driver, table + 16, 0x1000, 1, 0, 0);
    }
    put_table(queue, table, 32, 0);
}

static void out_of_the_table(DriverQueue *queue)
{
    if (queue->driver->packed) {
        loop(queue);
        return;
    }
    driver_put_descriptor(queue->driver, queue->descriptors, DRIVER_RAM, 1, DESC_NEXT, 8);
    driver_store(queue->driver, queue->available + 2, 2, 1);
}

static void no_such_head(DriverQueue *queue)
{
    if (queue->driver->packed) {
        loop(queue);
        return;
    }
    driver_store(queue->driver, queue->available + 4, 2, 8);
    driver_store(queue->driver, queue->available + 2, 2, 1);
}

static void too_far_ahead(DriverQueue *queue)
{
    if (queue->driver->packed) {
        loop(queue);
        return;
    }
    driver_store(queue->driver, queue->available + 2, 2, 9);
}

static void (*const mistakes[])(DriverQueue *queue) = {
    write_after_read, write_after_read_in_table, not_in_memory, over_the_end, wraps, in_registers, too_many_bytes,
    table_of_no_bytes, table_of_odd_length, table_too_long, table_and_next, table_not_in_memory, table_in_table, loop,
    loop_in_table, out_of_the_table, no_such_head, too_far_ahead,
};

static void test_mistakes(const void *kind)
{
    for (unsigned i = 0; i < ARRAY_SIZE(mistakes); i++) {
        Driver *driver = driver_start(kind);
        DriverQueue *queue = driver_queue(driver, 0, 8);
        driver_go(driver);
        mistakes[i](queue);
        queue_kick(queue);
        g_test_message("mistake %u", i);
        expect_broken(driver);
        queue_kick(queue); /* it does nothing any more */
        g_assert_cmpuint(test_device(driver)->held_count, ==, 0);
        g_assert_true(queue_nothing_used(queue));
        driver_negotiate(driver, ((const DriverKind *)kind)->features); /* but after a reset */
        queue = driver_queue(driver, 0, 8);
        driver_go(driver);
        queue_offer_and_hold(queue, 1);
        driver_free(driver);
    }
}

/* A table where none was agreed on. */
static void test_table_not_agreed(const void *data)
{
    const DriverKind *kind = data;
    Driver *driver = driver_start_with(kind, kind->features & ~INDIRECT);
    DriverQueue *queue = driver_queue(driver, 0, 8);

    driver_go(driver);
    queue_add_indirect(queue, &(Buffer){ DRIVER_RAM, 4, true }, 1);
    queue_kick(queue);
    expect_broken(driver);
    driver_free(driver);
}

/* Buffers in flight when another one is wrong: they are not given back to a stopped device. */
static void test_mistake_in_flight(const void *kind)
{
    Driver *driver = driver_start(kind);
    DriverQueue *queue = driver_queue(driver, 0, 8);

    driver_go(driver);
    queue_offer_and_hold(queue, 2);
    not_in_memory(queue);
    queue_kick(queue);
    g_assert_true(driver->device->broken);
    test_device_push(driver, 0, 0);
    g_assert_true(queue_nothing_used(queue));
    driver_put(driver, MMIO_STATUS, 0);
    g_assert_cmpuint(test_device(driver)->held_count, ==, 0);
    driver_free(driver);
}

/* More buffers than the ring has entries: one that is used again before it was given back. */
static void test_more_than_entries(const void *kind)
{
    Driver *driver = driver_start(kind);
    DriverQueue *queue = driver_queue(driver, 0, 2);

    driver_go(driver);
    queue_offer_and_hold(queue, 2);
    queue_offer(queue);
    queue_kick(queue);
    g_assert_true(driver->device->broken);
    driver_free(driver);
}

/* The machine stands still, is saved, and goes on elsewhere. */

static void set_running(Driver *driver, bool running)
{
    if (running) {
        g_assert_true(machine_run(driver->bench->machine, NULL));
    } else {
        machine_stop(driver->bench->machine, RUN_STATE_PAUSED);
    }
    bench_drain(driver->bench);
}

static void test_stop(const void *kind)
{
    Driver *driver = driver_start(kind);
    DriverQueue *queue = driver_queue(driver, 0, 8);

    driver_go(driver);
    queue_offer_and_hold(queue, 2);
    set_running(driver, false);
    g_assert_cmpuint(test_device(driver)->held_count, ==, 0); /* nothing is in flight */
    queue_offer(queue);
    queue_kick(queue);
    g_assert_cmpuint(test_device(driver)->held_count, ==, 0);
    set_running(driver, true);
    g_assert_cmpuint(test_device(driver)->held_count, ==, 1);
    driver_free(driver);
}

static void load(Driver *driver, const StrBuf *stream)
{
    AUTO_ERROR(error);

    set_running(driver, false);
    if (!state_load(driver->bench->machine, stream->data, stream->length, &error)) {
        g_error("loading: %s", error_message(error));
    }
    set_running(driver, true);
}

static void test_saved_state(const void *data)
{
    const DriverKind *kind = data;
    Driver *driver = driver_start(kind), *second = driver_start_with(kind, 0);
    DriverQueue *queue = driver_queue(driver, 0, 8);
    AUTO_STRBUF(stream);
    uint16_t id;
    uint32_t length;

    driver_go(driver);
    for (unsigned i = 0; i < 3; i++) { /* into the second round of the ring */
        queue_offer_and_hold(queue, 4);
        for (unsigned n = 0; n < 4; n++) {
            test_device_push(driver, 0, 0);
            g_assert_true(queue_take(queue, &id, &length));
        }
    }
    if (kind->features & EVENT) {
        queue_want_interrupt_at(queue, driver->packed ? 14 % 8 : 14, false); /* in the second round */
    }
    driver_interrupted(driver);
    set_running(driver, false);
    uint16_t ids[] = { queue_offer(queue), queue_offer(queue), queue_offer(queue) };
    queue_kick(queue); /* to be looked at where it goes on */
    g_assert_true(state_save(driver->bench->machine, &stream, NULL));
    second->packed = driver->packed;
    load(second, &stream);
    second->queues[0] = *queue;
    queue = &second->queues[0];
    queue->driver = second;
    g_assert_cmpuint(test_device(second)->held_count, ==, 3);
    for (unsigned i = 0; i < 3; i++) {
        test_device_push(second, 0, i);
        queue_expect(queue, ids[i], i);
        g_assert_cmpint(driver_interrupted(second), ==, !(kind->features & EVENT) || i == 2);
    }
    driver_free(driver);
    driver_free(second);
}

/* What a stream says that cannot be. */
static void test_bad_state(const void *data)
{
    const DriverKind *kind = data;
    static const struct {
        size_t offset, size;
        uint64_t value;
        bool packed; /* split rings count freely */
    } changes[] = {
        { offsetof(VirtioDevice, driver_features), 8, BIT(50) },
        { offsetof(VirtioDevice, isr), 1, 4 },
        { offsetof(VirtioDevice, queues[0].size), 2, 9 },
        { offsetof(VirtioDevice, queues[0].size), 2, 0 },
        { offsetof(VirtioDevice, queues[0].next_available), 2, 8, true },
        { offsetof(VirtioDevice, queues[0].next_used), 2, 8, true },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(changes); i++) {
        if (changes[i].packed && !(kind->features & PACKED)) {
            continue;
        }
        Driver *driver = driver_start(kind), *second = driver_start(kind);
        AUTO_STRBUF(stream);
        AUTO_ERROR(error);
        driver_queue(driver, 0, 8);
        driver_go(driver);
        set_running(driver, false);
        memcpy((char *)driver->device + changes[i].offset, &changes[i].value, changes[i].size);
        g_assert_true(state_save(driver->bench->machine, &stream, NULL));
        set_running(second, false);
        g_assert_false(state_load(second->bench->machine, stream.data, stream.length, &error));
        g_test_message("%s", error_message(error));
        driver_free(driver);
        driver_free(second);
    }
}

int main(int argc, char **argv)
{
    static const DriverTest tests[] = {
        { "mistakes", test_mistakes },
        { "table-not-agreed", test_table_not_agreed },
        { "mistake-in-flight", test_mistake_in_flight },
        { "more-than-entries", test_more_than_entries },
        { "stop", test_stop },
        { "saved-state", test_saved_state },
        { "bad-state", test_bad_state },
    };

    g_test_init(&argc, &argv, NULL);
    driver_add_tests(tests, ARRAY_SIZE(tests));
    return g_test_run();
}
