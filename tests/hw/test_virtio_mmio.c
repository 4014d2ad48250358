/* virtio-mmio's registers in both layouts: identity, features, status, configuration, setting up queues. */
#include "virtio_driver.h"

#include "base/bytes.h"

#include <string.h>

enum { PAGE = 4096 };

static Driver *driver_for(const void *legacy) { return driver_new("bench-virtio", NULL, legacy != NULL); }

static VirtQueue *queue_of(Driver *driver, unsigned index) { return &driver->device->queues[index]; }

static bool needs_reset(Driver *driver) { return driver_get(driver, MMIO_STATUS) & VIRTIO_STATUS_NEEDS_RESET; }

/* Identity */

static void test_identity(const void *legacy)
{
    Driver *driver = driver_for(legacy);

    g_assert_cmphex(driver_get(driver, MMIO_MAGIC), ==, 0x74726976); /* "virt" */
    g_assert_cmpuint(driver_get(driver, MMIO_VERSION), ==, legacy ? 1 : 2);
    g_assert_cmpuint(driver_get(driver, MMIO_DEVICE_ID), ==, 0x2a);
    g_assert_cmphex(driver_get(driver, MMIO_VENDOR_ID), ==, 0x554d4551);
    for (uint64_t at = 0; at < 0x10; at += 4) {
        driver_put(driver, at, UINT32_MAX); /* read-only */
    }
    g_assert_cmphex(driver_get(driver, MMIO_MAGIC), ==, 0x74726976);
    g_assert_cmphex(bench_read(driver->bench, driver->base + 1, 1), ==, 'i');
    driver_free(driver);
}

static void test_empty(const void *legacy)
{
    Driver *driver = driver_new_empty(legacy != NULL);

    driver_run(driver);
    g_assert_cmphex(driver_get(driver, MMIO_MAGIC), ==, 0x74726976);
    g_assert_cmpuint(driver_get(driver, MMIO_VERSION), ==, legacy ? 1 : 2);
    g_assert_cmpuint(driver_get(driver, MMIO_DEVICE_ID), ==, 0);
    for (uint64_t at = 0x10; at < 0x200; at += 4) {
        driver_put(driver, at, 1);
        driver_put(driver, at, UINT32_MAX);
        driver_put(driver, at, 0);
    }
    g_assert_cmphex(driver_get(driver, MMIO_STATUS), ==, 0);
    g_assert_cmphex(driver_get(driver, MMIO_QUEUE_NUM_MAX), ==, 0);
    g_assert_cmphex(driver_offered(driver), ==, 0);
    g_assert_cmpint(bench_level(driver->bench, DRIVER_LINE), ==, 0);
    driver_free(driver);
}

static void test_one_device_on_a_bus(void)
{
    Driver *driver = driver_new_empty(false);

    driver_add(driver, "bench-virtio", NULL);
    g_autofree char *message = bench_add_error(driver->bench, "bench-virtio", NULL);
    g_assert_nonnull(strstr(message, "virtio-bus"));
    driver_free(driver);
}

/* Each layout has its own registers: the other's read as zero and change nothing. */
static void test_layout(const void *legacy)
{
    static const uint16_t legacy_alone[] = { MMIO_GUEST_PAGE_SIZE, MMIO_QUEUE_ALIGN, MMIO_QUEUE_PFN };
    static const uint16_t modern_alone[] = { MMIO_QUEUE_READY, MMIO_QUEUE_DESC, MMIO_QUEUE_DRIVER, MMIO_QUEUE_DEVICE,
                                             MMIO_SHM_SEL, MMIO_SHM_LEN, MMIO_QUEUE_RESET, MMIO_CONFIG_GENERATION };
    Driver *driver = driver_for(legacy);
    const uint16_t *others = legacy ? modern_alone : legacy_alone;

    for (unsigned i = 0; i < (legacy ? ARRAY_SIZE(modern_alone) : ARRAY_SIZE(legacy_alone)); i++) {
        driver_put(driver, others[i], 1);
        g_assert_cmphex(driver_get(driver, others[i]), ==, 0);
    }
    g_assert_false(queue_of(driver, 0)->ready);
    if (!legacy) { /* no shared memory: its length is all ones */
        driver_put(driver, MMIO_SHM_SEL, 0);
        for (unsigned i = 0; i < 16; i += 4) {
            g_assert_cmphex(driver_get(driver, MMIO_SHM_LEN + i), ==, UINT32_MAX);
        }
    }
    driver_free(driver);
}

/* Features */

static void test_features_legacy(void)
{
    Driver *driver = driver_for("legacy");
    uint64_t expected = BIT(VIRTIO_F_NOTIFY_ON_EMPTY) | BIT(VIRTIO_F_ANY_LAYOUT) | BIT(VIRTIO_F_INDIRECT_DESC) |
                        BIT(VIRTIO_F_EVENT_IDX);

    g_assert_cmphex(driver_offered(driver), ==, expected);
    driver_put(driver, MMIO_DRIVER_FEATURES_SEL, 0);
    driver_put(driver, MMIO_DRIVER_FEATURES, UINT32_MAX); /* what is not offered cannot be had */
    g_assert_cmphex(driver->device->driver_features, ==, expected);
    driver_put(driver, MMIO_DRIVER_FEATURES, 0);
    g_assert_cmphex(driver->device->driver_features, ==, 0);
    driver_put(driver, MMIO_DRIVER_FEATURES_SEL, 1);
    driver_put(driver, MMIO_DRIVER_FEATURES, UINT32_MAX);
    g_assert_cmphex(driver->device->driver_features, ==, 0);
    driver_put(driver, MMIO_STATUS, STATUS_BEGUN | VIRTIO_STATUS_DRIVER_OK);
    driver_put(driver, MMIO_DRIVER_FEATURES_SEL, 0);
    driver_put(driver, MMIO_DRIVER_FEATURES, UINT32_MAX); /* too late */
    g_assert_cmphex(driver->device->driver_features, ==, 0);
    driver_free(driver);
}

static void test_features_modern(void)
{
    Driver *driver = driver_for(NULL);
    uint64_t expected = BIT(VIRTIO_F_INDIRECT_DESC) | BIT(VIRTIO_F_EVENT_IDX) | BIT(VIRTIO_F_VERSION_1) |
                        BIT(VIRTIO_F_RING_RESET);

    g_assert_cmphex(driver_offered(driver), ==, expected);
    driver_put(driver, MMIO_DEVICE_FEATURES_SEL, 2);
    g_assert_cmphex(driver_get(driver, MMIO_DEVICE_FEATURES), ==, 0);
    driver_put(driver, MMIO_DEVICE_FEATURES_SEL, UINT32_MAX);
    g_assert_cmphex(driver_get(driver, MMIO_DEVICE_FEATURES), ==, 0);
    driver_put(driver, MMIO_DRIVER_FEATURES_SEL, 2);
    driver_put(driver, MMIO_DRIVER_FEATURES, UINT32_MAX);
    g_assert_cmphex(driver->device->driver_features, ==, 0);
    driver_negotiate(driver, UINT64_MAX);
    g_assert_cmphex(driver->device->driver_features, ==, expected);
    g_assert_cmpuint(test_device(driver)->agreed, >=, 1);
    driver_put(driver, MMIO_DRIVER_FEATURES_SEL, 0);
    driver_put(driver, MMIO_DRIVER_FEATURES, 0); /* too late */
    driver_put(driver, MMIO_STATUS, STATUS_BEGUN); /* FEATURES_OK does not go away but by a reset */
    driver_put(driver, MMIO_DRIVER_FEATURES, 0);
    g_assert_cmphex(driver->device->driver_features, ==, expected);
    g_assert_cmphex(driver_get(driver, MMIO_STATUS), ==, STATUS_BEGUN | VIRTIO_STATUS_FEATURES_OK);
    driver_put(driver, MMIO_STATUS, 0);
    g_assert_cmphex(driver->device->driver_features, ==, 0);
    driver_free(driver);
}

static void test_features_by_property(void)
{
    Driver *driver = driver_new("bench-virtio", "packed=on,indirect_desc=off,event_idx=off,queue_reset=off", false);

    g_assert_cmphex(driver_offered(driver), ==, BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_RING_PACKED));
    driver_free(driver);
    driver = driver_new("bench-virtio", "any_layout=off,notify_on_empty=off,packed=on", true);
    g_assert_cmphex(driver_offered(driver), ==, BIT(VIRTIO_F_INDIRECT_DESC) | BIT(VIRTIO_F_EVENT_IDX));
    driver_free(driver);
}

/* Accepts exactly `features` and says FEATURES_OK; returns whether the device agrees. */
static bool agree(Driver *driver, uint64_t features)
{
    driver_put(driver, MMIO_STATUS, 0);
    driver_put(driver, MMIO_STATUS, STATUS_BEGUN);
    for (unsigned i = 0; i < 2; i++) {
        driver_put(driver, MMIO_DRIVER_FEATURES_SEL, i);
        driver_put(driver, MMIO_DRIVER_FEATURES, (uint32_t)(features >> 32 * i));
    }
    driver_put(driver, MMIO_STATUS, STATUS_BEGUN | VIRTIO_STATUS_FEATURES_OK);
    return driver_get(driver, MMIO_STATUS) & VIRTIO_STATUS_FEATURES_OK;
}

static void test_features_refused(void)
{
    Driver *driver = driver_new("bench-virtio", "iommu_platform=on", false);

    g_assert_false(agree(driver, 0));
    g_assert_false(agree(driver, BIT(VIRTIO_F_ACCESS_PLATFORM)));
    g_assert_false(agree(driver, BIT(VIRTIO_F_VERSION_1))); /* it must know that addresses are translated */
    g_assert_true(agree(driver, BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_ACCESS_PLATFORM)));
    driver_free(driver);
}

/* Status */

static void test_status(const void *legacy)
{
    Driver *driver = driver_for(legacy);

    g_assert_cmphex(driver_get(driver, MMIO_STATUS), ==, 0);
    driver_put(driver, MMIO_STATUS, VIRTIO_STATUS_ACKNOWLEDGE);
    g_assert_cmphex(driver_get(driver, MMIO_STATUS), ==, VIRTIO_STATUS_ACKNOWLEDGE);
    driver_put(driver, MMIO_STATUS, STATUS_BEGUN | VIRTIO_STATUS_NEEDS_RESET);
    g_assert_cmphex(driver_get(driver, MMIO_STATUS), ==, STATUS_BEGUN); /* that bit is the device's */
    driver_put(driver, MMIO_STATUS, STATUS_BEGUN | VIRTIO_STATUS_FAILED);
    g_assert_cmphex(driver_get(driver, MMIO_STATUS), ==, STATUS_BEGUN | VIRTIO_STATUS_FAILED);
    driver_put(driver, MMIO_STATUS, 0);
    g_assert_cmphex(driver_get(driver, MMIO_STATUS), ==, 0);
    driver_free(driver);
}

static void test_reset(const void *legacy)
{
    Driver *driver = driver_for(legacy);

    driver_negotiate(driver, UINT64_MAX);
    driver_queue(driver, 1, 4);
    driver_go(driver);
    device_lock(driver->device->device.lock);
    virtio_config_changed(driver->device);
    device_unlock(driver->device->device.lock);
    g_assert_cmpint(bench_level(driver->bench, DRIVER_LINE), ==, 1);
    g_assert_true(queue_of(driver, 1)->ready);
    driver_put(driver, MMIO_STATUS, 0);
    g_assert_cmphex(driver_get(driver, MMIO_STATUS), ==, 0);
    g_assert_cmphex(driver_get(driver, MMIO_INTERRUPT_STATUS), ==, 0);
    g_assert_cmpint(bench_level(driver->bench, DRIVER_LINE), ==, 0);
    g_assert_cmphex(driver->device->driver_features, ==, 0);
    g_assert_false(queue_of(driver, 1)->ready);
    g_assert_cmpuint(queue_of(driver, 1)->size, ==, 8);
    g_assert_cmphex(queue_of(driver, 1)->descriptors, ==, 0);
    driver_put(driver, MMIO_QUEUE_SEL, 1);
    g_assert_cmphex(driver_get(driver, legacy ? MMIO_QUEUE_PFN : MMIO_QUEUE_READY), ==, 0);
    driver_free(driver);
}

static void test_machine_reset(const void *legacy)
{
    Driver *driver = driver_for(legacy);

    driver_negotiate(driver, UINT64_MAX);
    driver_queue(driver, 0, 8);
    driver_go(driver);
    bench_reset(driver->bench, RESET_WARM);
    g_assert_cmphex(driver_get(driver, MMIO_STATUS), ==, 0);
    g_assert_false(queue_of(driver, 0)->ready);
    driver_negotiate(driver, UINT64_MAX); /* and it goes on */
    DriverQueue *queue = driver_queue(driver, 0, 8);
    driver_go(driver);
    queue_add(queue, &(Buffer){ driver_alloc(driver, 16, 1), 16, true }, 1);
    queue_kick(queue);
    g_assert_cmpuint(test_device(driver)->held_count, ==, 1);
    driver_free(driver);
}

/* Configuration */

static void test_config_read(const void *legacy)
{
    Driver *driver = driver_for(legacy);
    uint64_t at = driver->base + MMIO_CONFIG;

    for (unsigned i = 0; i < 12; i++) {
        test_device(driver)->config[i] = (uint8_t)(0xa0 + i);
    }
    for (unsigned i = 0; i < 12; i++) {
        g_assert_cmphex(bench_read(driver->bench, at + i, 1), ==, 0xa0 + i);
    }
    g_assert_cmphex(bench_read(driver->bench, at + 2, 2), ==, 0xa3a2);
    g_assert_cmphex(bench_read(driver->bench, at + 8, 4), ==, 0xabaaa9a8);
    g_assert_cmphex(bench_read(driver->bench, at, 8), ==, UINT64_C(0xa7a6a5a4a3a2a1a0));
    g_assert_cmphex(bench_read(driver->bench, at + 12, 4), ==, UINT32_MAX); /* behind the end */
    g_assert_cmphex(bench_read(driver->bench, at + 8, 8), ==, UINT64_C(0xffffffffabaaa9a8));
    g_assert_cmphex(bench_read(driver->bench, at + 0xff, 1), ==, 0xff);
    driver_free(driver);
}

static void test_config_write(const void *legacy)
{
    static const uint8_t expected[12] = { 0x11, 0, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb };
    Driver *driver = driver_for(legacy);
    uint64_t at = driver->base + MMIO_CONFIG;

    bench_write(driver->bench, at, 1, 0x11);
    bench_write(driver->bench, at + 2, 2, 0x3322);
    bench_write(driver->bench, at + 4, 4, 0x77665544);
    bench_write(driver->bench, at + 8, 8, UINT64_C(0xffffffffbbaa9988)); /* half of it behind the end */
    g_assert_cmpmem(test_device(driver)->config, 12, expected, 12);
    unsigned writes = test_device(driver)->config_writes;
    bench_write(driver->bench, at + 12, 4, 0);
    bench_write(driver->bench, at + 0xfc, 4, 0);
    g_assert_cmpuint(test_device(driver)->config_writes, ==, writes);
    driver_free(driver);
}

static void change_config(Driver *driver)
{
    device_lock(driver->device->device.lock);
    virtio_config_changed(driver->device);
    device_unlock(driver->device->device.lock);
}

static void test_config_changed(void)
{
    Driver *driver = driver_for(NULL);

    driver_negotiate(driver, 0);
    change_config(driver);
    g_assert_cmpint(bench_level(driver->bench, DRIVER_LINE), ==, 0); /* no notification before DRIVER_OK */
    driver_go(driver);
    uint32_t generation = driver_get(driver, MMIO_CONFIG_GENERATION);
    g_assert_cmpuint(driver_get(driver, MMIO_CONFIG_GENERATION), ==, generation);
    change_config(driver);
    g_assert_cmpuint(driver_get(driver, MMIO_CONFIG_GENERATION), !=, generation);
    g_assert_cmphex(driver_get(driver, MMIO_INTERRUPT_STATUS), ==, VIRTIO_ISR_CONFIG);
    g_assert_cmpint(bench_level(driver->bench, DRIVER_LINE), ==, 1);
    driver_put(driver, MMIO_INTERRUPT_ACK, VIRTIO_ISR_QUEUE); /* another bit */
    g_assert_cmpint(bench_level(driver->bench, DRIVER_LINE), ==, 1);
    driver_put(driver, MMIO_INTERRUPT_ACK, UINT32_MAX);
    g_assert_cmpint(bench_level(driver->bench, DRIVER_LINE), ==, 0);
    g_assert_cmphex(driver_get(driver, MMIO_INTERRUPT_STATUS), ==, 0);
    driver_free(driver);
}

/* Queues */

static void test_queue_registers(const void *legacy)
{
    Driver *driver = driver_for(legacy);

    for (unsigned i = 0; i < 2; i++) {
        driver_put(driver, MMIO_QUEUE_SEL, i);
        g_assert_cmpuint(driver_get(driver, MMIO_QUEUE_NUM_MAX), ==, 8);
    }
    for (uint32_t i = 2; i; i = i == 2 ? 64 : i == 64 ? UINT32_MAX : 0) { /* no such queue */
        driver_put(driver, MMIO_QUEUE_SEL, i);
        g_assert_cmpuint(driver_get(driver, MMIO_QUEUE_NUM_MAX), ==, 0);
        driver_put(driver, MMIO_QUEUE_NUM, 4);
        driver_put(driver, MMIO_QUEUE_ALIGN, PAGE);
        driver_put(driver, legacy ? MMIO_QUEUE_PFN : MMIO_QUEUE_READY, 1);
        driver_put(driver, MMIO_QUEUE_RESET, 1);
        driver_put(driver, MMIO_QUEUE_NOTIFY, i);
        g_assert_cmpuint(driver_get(driver, legacy ? MMIO_QUEUE_PFN : MMIO_QUEUE_READY), ==, 0);
    }
    g_assert_false(driver->device->broken);
    driver_free(driver);
}

static void test_ready_queue_is_fixed(void)
{
    Driver *driver = driver_for(NULL);

    driver_negotiate(driver, 0);
    DriverQueue *queue = driver_queue(driver, 0, 4);
    g_assert_cmpuint(driver_get(driver, MMIO_QUEUE_READY), ==, 1);
    driver_put(driver, MMIO_QUEUE_NUM, 8);
    driver_put(driver, MMIO_QUEUE_DESC, 0);
    driver_put(driver, MMIO_QUEUE_DRIVER + 4, 1);
    g_assert_cmpuint(queue_of(driver, 0)->size, ==, 4);
    g_assert_cmphex(queue_of(driver, 0)->descriptors, ==, queue->descriptors);
    g_assert_cmphex(queue_of(driver, 0)->driver, ==, queue->available);
    driver_put(driver, MMIO_QUEUE_READY, 0); /* stops it, and what was told of it stays */
    g_assert_cmpuint(driver_get(driver, MMIO_QUEUE_READY), ==, 0);
    g_assert_cmpuint(queue_of(driver, 0)->size, ==, 4);
    driver_put(driver, MMIO_QUEUE_READY, 1);
    g_assert_cmpuint(driver_get(driver, MMIO_QUEUE_READY), ==, 1);
    driver_free(driver);
}

typedef struct Mistake {
    uint32_t size;
    uint64_t descriptors, available, used; /* added to what is right */
    bool packed, legal;
} Mistake;

static void test_queue_mistakes(void)
{
    static const uint64_t end = DRIVER_RAM_SIZE, wrap = UINT64_MAX - DRIVER_RAM - 8;
    const Mistake mistakes[] = {
        { .size = 8, .legal = true },
        { .size = 1, .legal = true },
        { .size = 8, .packed = true, .legal = true },
        { .size = 7, .packed = true, .legal = true }, /* packed queues are of any size */
        { .size = 0 },
        { .size = 6 },
        { .size = 16 },
        { .size = 0x10008 },
        { .size = 0, .packed = true },
        { .size = 9, .packed = true },
        { .size = 8, .descriptors = end },
        { .size = 8, .descriptors = UINT64_C(1) << 40 },
        { .size = 8, .available = end },
        { .size = 8, .used = end },
        { .size = 8, .descriptors = wrap },
        { .size = 8, .used = wrap },
        { .size = 8, .used = end, .packed = true },
        { .size = 8, .descriptors = end, .packed = true },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(mistakes); i++) {
        const Mistake *mistake = &mistakes[i];
        Driver *driver = driver_new("bench-virtio", "packed=on", false);
        driver_negotiate(driver, mistake->packed ? BIT(VIRTIO_F_RING_PACKED) : 0);
        driver_go(driver);
        DriverQueue *queue = driver_make_queue(driver, 0, 8);
        queue->descriptors += mistake->descriptors;
        queue->available += mistake->available;
        queue->used += mistake->used;
        queue->size = (uint16_t)mistake->size;
        driver_put(driver, MMIO_QUEUE_SEL, 0);
        driver_tell(queue);
        if (mistake->size > UINT16_MAX) {
            driver_put(driver, MMIO_QUEUE_READY, 0);
            driver_put(driver, MMIO_QUEUE_NUM, mistake->size);
            driver_put(driver, MMIO_QUEUE_READY, 1);
        }
        g_test_message("mistake %u", i);
        g_assert_cmpuint(driver_get(driver, MMIO_QUEUE_READY), ==, mistake->legal);
        g_assert_cmpint(needs_reset(driver), ==, !mistake->legal);
        g_assert_cmphex(driver_get(driver, MMIO_INTERRUPT_STATUS), ==, mistake->legal ? 0 : VIRTIO_ISR_CONFIG);
        driver_put(driver, MMIO_STATUS, 0);
        g_assert_false(needs_reset(driver));
        driver_free(driver);
    }
}

/* The ends of memory: a ring may reach to the last byte. */
static void test_queue_at_the_end(void)
{
    Driver *driver = driver_for(NULL);

    driver_negotiate(driver, 0);
    DriverQueue *queue = driver_make_queue(driver, 0, 8);
    queue->used = DRIVER_RAM + DRIVER_RAM_SIZE - (4 + 8 * 8);
    driver_tell(queue);
    g_assert_cmpuint(driver_get(driver, MMIO_QUEUE_READY), ==, 1);
    driver_put(driver, MMIO_QUEUE_READY, 0);
    queue->used += 4;
    driver_tell(queue);
    g_assert_cmpuint(driver_get(driver, MMIO_QUEUE_READY), ==, 0);
    driver_free(driver);
}

/* Legacy */

static void test_legacy_queue(void)
{
    Driver *driver = driver_for("legacy");

    driver_negotiate(driver, 0);
    g_assert_cmphex(driver_get(driver, MMIO_GUEST_PAGE_SIZE), ==, 0); /* write-only */
    DriverQueue *queue = driver_queue(driver, 0, 8);
    g_assert_cmphex(driver_get(driver, MMIO_QUEUE_PFN), ==, queue->descriptors / PAGE);
    g_assert_cmphex(queue_of(driver, 0)->descriptors, ==, queue->descriptors);
    g_assert_cmphex(queue_of(driver, 0)->driver, ==, queue->available);
    g_assert_cmphex(queue_of(driver, 0)->used, ==, queue->used);
    driver_put(driver, MMIO_QUEUE_PFN, 0x80001); /* it is in use */
    driver_put(driver, MMIO_QUEUE_NUM, 2);
    g_assert_cmphex(driver_get(driver, MMIO_QUEUE_PFN), ==, queue->descriptors / PAGE);
    g_assert_cmpuint(queue_of(driver, 0)->size, ==, 8);
    driver_put(driver, MMIO_QUEUE_PFN, 0);
    g_assert_cmphex(driver_get(driver, MMIO_QUEUE_PFN), ==, 0);
    g_assert_false(queue_of(driver, 0)->ready);
    driver_free(driver);
}

static void test_legacy_alignment(void)
{
    static const uint32_t alignments[] = { 4, 64, 4096, 16384 };

    for (unsigned i = 0; i < ARRAY_SIZE(alignments); i++) {
        Driver *driver = driver_for("legacy");
        driver_negotiate(driver, 0);
        DriverQueue *queue = driver_make_queue(driver, 0, 8);
        driver_put(driver, MMIO_QUEUE_NUM, 8);
        driver_put(driver, MMIO_QUEUE_ALIGN, alignments[i]);
        driver_put(driver, MMIO_QUEUE_ALIGN, 3); /* no alignment */
        driver_put(driver, MMIO_QUEUE_ALIGN, 0);
        driver_put(driver, MMIO_QUEUE_ALIGN, 1u << 31);
        driver_put(driver, MMIO_QUEUE_PFN, (uint32_t)(queue->descriptors / PAGE));
        g_assert_cmphex(queue_of(driver, 0)->used, ==,
                        queue->descriptors + align_up(16 * 8 + 6 + 2 * 8, alignments[i]));
        driver_free(driver);
    }
}

/* The page size is told once, before the driver resets the device (Linux does so). */
static void test_legacy_page_size(void)
{
    Driver *driver = driver_for("legacy");

    driver_put(driver, MMIO_GUEST_PAGE_SIZE, 0x10000);
    driver_put(driver, MMIO_GUEST_PAGE_SIZE, 0x3000); /* none */
    driver_put(driver, MMIO_STATUS, 0);
    driver_put(driver, MMIO_QUEUE_SEL, 0);
    driver_put(driver, MMIO_QUEUE_NUM, 8);
    driver_put(driver, MMIO_QUEUE_PFN, 0x8001);
    g_assert_cmphex(queue_of(driver, 0)->descriptors, ==, 0x80010000);
    g_assert_cmphex(driver_get(driver, MMIO_QUEUE_PFN), ==, 0x8001);
    driver_free(driver);
}

static void test_legacy_mistakes(void)
{
    static const uint32_t pages[] = { 1, 0x80400, 0x803ff, UINT32_MAX }; /* nothing there, or not enough */

    for (unsigned i = 0; i < ARRAY_SIZE(pages); i++) {
        Driver *driver = driver_for("legacy");
        driver_negotiate(driver, 0);
        driver_go(driver);
        driver_put(driver, MMIO_QUEUE_NUM, 8);
        driver_put(driver, MMIO_QUEUE_PFN, pages[i]);
        g_assert_cmphex(driver_get(driver, MMIO_QUEUE_PFN), ==, 0);
        g_assert_true(driver->device->broken);
        g_assert_false(needs_reset(driver)); /* that came with version 1 */
        driver_put(driver, MMIO_STATUS, 0);
        g_assert_false(driver->device->broken);
        driver_free(driver);
    }
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*test)(const void *legacy);
    } both[] = {
        { "identity", test_identity },          { "empty", test_empty },
        { "layout", test_layout },              { "status", test_status },
        { "reset", test_reset },                { "machine-reset", test_machine_reset },
        { "config-read", test_config_read },    { "config-write", test_config_write },
        { "queue-registers", test_queue_registers },
    };

    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < 2 * ARRAY_SIZE(both); i++) {
        g_autofree char *name = g_strdup_printf("/virtio-mmio/%s/%s", i % 2 ? "legacy" : "modern", both[i / 2].name);
        g_test_add_data_func(name, i % 2 ? "legacy" : NULL, both[i / 2].test);
    }
    g_test_add_func("/virtio-mmio/one-device-on-a-bus", test_one_device_on_a_bus);
    g_test_add_func("/virtio-mmio/legacy/features", test_features_legacy);
    g_test_add_func("/virtio-mmio/modern/features", test_features_modern);
    g_test_add_func("/virtio-mmio/modern/features-by-property", test_features_by_property);
    g_test_add_func("/virtio-mmio/modern/features-refused", test_features_refused);
    g_test_add_func("/virtio-mmio/modern/config-changed", test_config_changed);
    g_test_add_func("/virtio-mmio/modern/ready-queue-is-fixed", test_ready_queue_is_fixed);
    g_test_add_func("/virtio-mmio/modern/queue-mistakes", test_queue_mistakes);
    g_test_add_func("/virtio-mmio/modern/queue-at-the-end", test_queue_at_the_end);
    g_test_add_func("/virtio-mmio/legacy/queue", test_legacy_queue);
    g_test_add_func("/virtio-mmio/legacy/alignment", test_legacy_alignment);
    g_test_add_func("/virtio-mmio/legacy/page-size", test_legacy_page_size);
    g_test_add_func("/virtio-mmio/legacy/mistakes", test_legacy_mistakes);
    return g_test_run();
}
