/*
 * virtio-blk: requests and their ends, the write cache, ranges, several queues, features, configuration, properties,
 * resets, stops and saved state.
 */
#include "blk_rig.h"

#include "base/bytes.h"
#include "base/error.h"
#include "base/host/host.h"
#include "base/strbuf.h"
#include "block/graph.h"
#include "core/loop.h"
#include "core/state.h"
#include "schema/block.h"

#include <glib/gstdio.h>
#include <string.h>

/* Fields of the configuration space. */
enum { CAPACITY = 0x100, SEG_MAX = 0x10c, GEOMETRY = 0x110, BLK_SIZE = 0x114, TOPOLOGY = 0x118, WRITEBACK = 0x120,
       NUM_QUEUES = 0x122, MAX_DISCARD = 0x124, MAX_WRITE_ZEROES = 0x130, MAY_UNMAP = 0x138 };

static uint8_t change(Rig *rig, uint32_t type, uint64_t sector, uint32_t sectors, uint32_t flags)
{
    uint8_t range[16];

    store_le64(range, sector);
    store_le32(range + 8, sectors);
    store_le32(range + 12, flags);
    return perform(rig, type, 0, range, sizeof range, false);
}

static void expect_file(const Rig *rig, size_t size, size_t changed, size_t count, int value)
{
    g_autofree char *bytes = NULL;
    size_t length;

    g_assert_true(g_file_get_contents(rig->path, &bytes, &length, NULL));
    g_assert_cmpuint(length, ==, size);
    for (size_t i = 0; i < size; i++) {
        if (i >= changed && i < changed + count) {
            g_assert_true(value < 0 || (uint8_t)bytes[i] == value);
        } else {
            g_assert_cmpuint((uint8_t)bytes[i], ==, pattern(i));
        }
    }
}

/* Reading and writing */

static void check_transfers(bool legacy, const char *properties)
{
    Rig rig = rig_with(properties, legacy, false, SIZE, BASIC | PACKED | EVENT | INDIRECT);
    uint8_t bytes[2048];

    g_assert_cmpint(perform(&rig, T_IN, 3, bytes, sizeof bytes, true), ==, S_OK);
    for (size_t i = 0; i < sizeof bytes; i++) {
        g_assert_cmpuint(bytes[i], ==, pattern(3 * SECTOR + i));
    }
    memset(bytes, 0x5a, sizeof bytes);
    g_assert_cmpint(perform(&rig, T_OUT, 8, bytes, 1024, false), ==, S_OK);
    g_assert_cmpint(perform(&rig, T_FLUSH, 0, NULL, 0, false), ==, S_OK);
    expect_file(&rig, SIZE, 8 * SECTOR, 1024, 0x5a);
    rig_free(&rig);
}

static void test_transfers(void)
{
    check_transfers(false, NULL);
    check_transfers(true, NULL);
    check_transfers(false, "packed=on");
    check_transfers(false, "packed=on,event_idx=off,indirect_desc=off");
}

static void test_used_length(void)
{
    Rig rig = rig_new();

    Request request = begin(&rig, T_IN, 0, 1024);
    offer(&rig, rig.queue, &request, 1024, true);
    g_assert_cmpint(end(&rig, rig.queue, &request, 1025), ==, S_OK);
    request = begin(&rig, T_OUT, 0, 512);
    offer(&rig, rig.queue, &request, 512, false);
    g_assert_cmpint(end(&rig, rig.queue, &request, 1), ==, S_OK);
    request = begin(&rig, T_IN, SIZE, 1024); /* nothing was read, so that the status stands alone */
    offer(&rig, rig.queue, &request, 1024, true);
    g_assert_cmpint(end(&rig, rig.queue, &request, 0), ==, S_IOERR);
    rig_free(&rig);
}

/* Header, data and status in any split: VIRTIO 1 says nothing of it. */
static void test_any_layout(void)
{
    Rig rig = rig_new();
    Driver *driver = rig.driver;

    Request read = begin(&rig, T_IN, 2, 1025);
    Buffer in[] = { { read.header, 5, false }, { read.header + 5, 11, false }, { read.data, 100, true },
                    { read.data + 100, 900, true }, { read.data + 1000, 25, true } };
    read.status = read.data + 1024; /* in the last data buffer */
    read.id = queue_add(rig.queue, in, 5);
    g_assert_cmpint(end(&rig, rig.queue, &read, 1025), ==, S_OK);
    for (unsigned i = 0; i < 1024; i++) {
        g_assert_cmpuint(driver_host(driver, read.data)[i], ==, pattern(2 * SECTOR + i));
    }
    uint64_t whole = driver_alloc(driver, 16 + 512, 1); /* header and data in one buffer */
    Request write = begin(&rig, T_OUT, 5, 1);
    memset(driver_host(driver, whole), 0x99, 16 + 512);
    memcpy(driver_host(driver, whole), driver_host(driver, write.header), 16);
    write.id = queue_add(rig.queue, (Buffer[]){ { whole, 528, false }, { write.status, 1, true } }, 2);
    g_assert_cmpint(end(&rig, rig.queue, &write, 1), ==, S_OK);
    expect_file(&rig, SIZE, 5 * SECTOR, 512, 0x99);
    rig_free(&rig);
}

static void test_limits(void)
{
    static const struct {
        uint64_t sector;
        uint32_t bytes;
        uint8_t status;
    } cases[] = {
        { 126, 1024, S_OK },       { 127, 1024, S_IOERR },       { 128, 512, S_IOERR },      { 128, 0, S_OK },
        { 0, 511, S_IOERR },       { 0, 513, S_IOERR },          { UINT64_MAX, 512, S_IOERR },
        { UINT64_MAX / 512, 1024, S_IOERR },                     { UINT64_MAX / 512 + 1, 512, S_IOERR },
    };
    uint8_t bytes[1024];

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        BlockStatistics all;
        Rig rig = rig_new();
        memset(bytes, 0x5a, sizeof bytes);
        g_assert_cmpint(perform(&rig, T_IN, cases[i].sector, bytes, cases[i].bytes, true), ==, cases[i].status);
        memset(bytes, 0x5a, sizeof bytes);
        g_assert_cmpint(perform(&rig, T_OUT, cases[i].sector, bytes, cases[i].bytes, false), ==, cases[i].status);
        bool changed = cases[i].status == S_OK && cases[i].bytes;
        expect_file(&rig, SIZE, 126 * SECTOR, changed ? 1024 : 0, 0x5a);
        block_edge_statistics(disk_edge(rig.disk), &all);
        g_assert_cmpuint(all.invalid[BLOCK_READ], ==, cases[i].status != S_OK);
        g_assert_cmpuint(all.invalid[BLOCK_WRITE], ==, cases[i].status != S_OK);
        g_assert_false(rig.driver->device->broken);
        rig_free(&rig);
    }
}

static void test_larger_blocks(void)
{
    Rig rig = rig_with("logical_block_size=4096,physical_block_size=16384,min_io_size=8192,opt_io_size=65536", false,
                       false, SIZE, BASIC | BIT(F_BLK_SIZE));
    uint8_t bytes[8192];

    g_assert_cmpint(perform(&rig, T_IN, 8, bytes, 4096, true), ==, S_OK);
    g_assert_cmpuint(bytes[1], ==, pattern(4097));
    g_assert_cmpint(perform(&rig, T_IN, 8, bytes, 512, true), ==, S_IOERR);
    g_assert_cmpint(perform(&rig, T_IN, 1, bytes, 4096, true), ==, S_IOERR);
    g_assert_cmpint(change(&rig, T_DISCARD, 8, 1, 0), ==, S_IOERR);
    g_assert_cmpuint(driver_get(rig.driver, BLK_SIZE), ==, 4096);
    g_assert_cmphex(driver_get(rig.driver, TOPOLOGY), ==, 2 << 16 | 0 << 8 | 2); /* 2^2 blocks; 2 at least */
    g_assert_cmpuint(driver_get(rig.driver, TOPOLOGY + 4), ==, 16);
    rig_free(&rig);
}

static void test_odd_size(void)
{
    Rig rig = rig_with(NULL, false, false, 1000, BASIC);
    uint8_t bytes[1024];

    g_assert_cmpuint(driver_get(rig.driver, CAPACITY), ==, 2);
    g_assert_cmpint(perform(&rig, T_IN, 0, bytes, 1024, true), ==, S_OK);
    g_assert_cmpuint(bytes[999], ==, pattern(999));
    g_assert_cmpuint(bytes[1000], ==, 0);
    g_assert_cmpint(perform(&rig, T_IN, 1, bytes, 1024, true), ==, S_IOERR);
    rig_free(&rig);
}

static void test_read_only(void)
{
    Rig rig = rig_with(NULL, false, true, SIZE, BASIC);
    uint8_t bytes[512] = { 0 };

    g_assert_cmphex(driver_offered(rig.driver), &, BIT(F_RO));
    g_assert_cmpint(perform(&rig, T_OUT, 0, bytes, 512, false), ==, S_IOERR);
    g_assert_cmpint(change(&rig, T_DISCARD, 0, 1, 0), ==, S_IOERR);
    g_assert_cmpint(change(&rig, T_WRITE_ZEROES, 0, 1, 0), ==, S_IOERR);
    g_assert_cmpint(perform(&rig, T_FLUSH, 0, NULL, 0, false), ==, S_OK);
    g_assert_cmpint(perform(&rig, T_IN, 0, bytes, 512, true), ==, S_OK);
    g_assert_cmpuint(bytes[3], ==, pattern(3));
    expect_file(&rig, SIZE, 0, 0, 0);
    rig_free(&rig);
}

/* Other requests */

static void test_ranges(void)
{
    Rig rig = rig_new();
    uint8_t bytes[33] = { 0 };

    g_assert_cmpint(change(&rig, T_WRITE_ZEROES, 10, 4, 0), ==, S_OK);
    expect_file(&rig, SIZE, 10 * SECTOR, 4 * SECTOR, 0);
    g_assert_cmpint(change(&rig, T_WRITE_ZEROES, 10, 4, 1), ==, S_OK);
    g_assert_cmpint(change(&rig, T_DISCARD, 10, 4, 0), ==, S_OK);
    expect_file(&rig, SIZE, 10 * SECTOR, 4 * SECTOR, -1);
    g_assert_cmpint(change(&rig, T_DISCARD, 10, 0, 0), ==, S_OK);
    g_assert_cmpint(change(&rig, T_DISCARD, 10, 4, 1), ==, S_UNSUPP); /* unmap is for zeroes */
    g_assert_cmpint(change(&rig, T_WRITE_ZEROES, 10, 4, 2), ==, S_UNSUPP);
    g_assert_cmpint(change(&rig, T_WRITE_ZEROES, 125, 4, 0), ==, S_IOERR);
    g_assert_cmpint(change(&rig, T_DISCARD, UINT64_MAX, 4, 0), ==, S_IOERR);
    g_assert_cmpint(change(&rig, T_DISCARD, 0, UINT32_MAX, 0), ==, S_IOERR);
    for (uint32_t count = 0; count <= 33; count++) { /* one whole range */
        g_assert_cmpint(perform(&rig, T_DISCARD, 0, bytes, count, false), ==, count == 16 ? S_OK : S_UNSUPP);
    }
    rig_free(&rig);
}

static void test_range_limits(void)
{
    Rig rig = rig_with("max-discard-sectors=8,max-write-zeroes-sectors=4,discard_granularity=4096", false, false, SIZE,
                       BASIC);

    g_assert_cmpuint(driver_get(rig.driver, MAX_DISCARD), ==, 8);
    g_assert_cmpuint(driver_get(rig.driver, MAX_DISCARD + 4), ==, 1);
    g_assert_cmpuint(driver_get(rig.driver, MAX_DISCARD + 8), ==, 8);
    g_assert_cmpuint(driver_get(rig.driver, MAX_WRITE_ZEROES), ==, 4);
    g_assert_cmpuint(driver_get(rig.driver, MAX_WRITE_ZEROES + 4), ==, 1);
    g_assert_cmpuint(bench_read(rig.driver->bench, rig.driver->base + MAY_UNMAP, 1), ==, 1);
    g_assert_cmpint(change(&rig, T_DISCARD, 0, 8, 0), ==, S_OK);
    g_assert_cmpint(change(&rig, T_DISCARD, 0, 9, 0), ==, S_IOERR);
    g_assert_cmpint(change(&rig, T_WRITE_ZEROES, 0, 4, 0), ==, S_OK);
    g_assert_cmpint(change(&rig, T_WRITE_ZEROES, 0, 5, 0), ==, S_IOERR);
    rig_free(&rig);
}

static void test_ranges_not_agreed(void)
{
    Rig rig = rig_with(NULL, false, false, SIZE, 0);

    g_assert_cmpint(change(&rig, T_DISCARD, 0, 4, 0), ==, S_UNSUPP);
    g_assert_cmpint(change(&rig, T_WRITE_ZEROES, 0, 4, 0), ==, S_UNSUPP);
    expect_file(&rig, SIZE, 0, 0, 0);
    rig_free(&rig);
    rig = rig_with("discard=off,write-zeroes=off,config-wce=off", false, false, SIZE, UINT64_MAX);
    g_assert_cmphex(rig.driver->features & (BIT(F_DISCARD) | BIT(F_WRITE_ZEROES) | BIT(F_CONFIG_WCE)), ==, 0);
    g_assert_cmphex(rig.driver->features, &, BIT(F_FLUSH));
    rig_free(&rig);
}

static void test_get_id(void)
{
    Rig rig = rig_with("serial=abc-0123", false, false, SIZE, BASIC);
    char id[40];

    g_assert_cmpint(perform(&rig, T_GET_ID, 0, id, 20, true), ==, S_OK);
    g_assert_cmpmem(id, 20, "abc-0123\0\0\0\0\0\0\0\0\0\0\0\0", 20);
    memset(id, '.', sizeof id);
    Request request = begin(&rig, T_GET_ID, 0, 40); /* more room than it needs */
    offer(&rig, rig.queue, &request, 40, true);
    g_assert_cmpint(end(&rig, rig.queue, &request, 20), ==, S_OK);
    g_assert_cmpint(perform(&rig, T_GET_ID, 0, id, 4, true), ==, S_OK); /* and less */
    g_assert_cmpmem(id, 4, "abc-", 4);
    g_assert_cmpint(perform(&rig, T_GET_ID, 0, NULL, 0, true), ==, S_OK);
    rig_free(&rig);
    rig = rig_with("serial=0123456789012345678901234", false, false, SIZE, BASIC);
    g_assert_cmpint(perform(&rig, T_GET_ID, 0, id, 20, true), ==, S_OK);
    g_assert_cmpmem(id, 20, "01234567890123456789", 20);
    rig_free(&rig);
    rig = rig_new();
    g_assert_cmpint(perform(&rig, T_GET_ID, 0, id, 20, true), ==, S_OK);
    g_assert_cmpint(id[0], ==, 0);
    rig_free(&rig);
}

static void test_unsupported(void)
{
    static const uint32_t types[] = { 2, 3, 5, 6, 7, 9, 10, 12, 14, 15, 16, 0x80000000, UINT32_MAX };
    Rig rig = rig_new();
    uint8_t bytes[512] = { 0 };

    for (unsigned i = 0; i < ARRAY_SIZE(types); i++) {
        g_assert_cmpint(perform(&rig, types[i], 0, bytes, 512, i % 2), ==, S_UNSUPP);
    }
    expect_file(&rig, SIZE, 0, 0, 0);
    rig_free(&rig);
}

/* A request that nobody could answer stops the device. */
static void test_malformed(void)
{
    for (unsigned i = 0; i < 4; i++) {
        Rig rig = rig_new();
        Request request = begin(&rig, T_IN, 0, 512);
        const Buffer buffers[][2] = {
            { { request.header, 15, false }, { request.status, 1, true } },
            { { request.header, 16, false }, { request.data, 512, false } },
            { { request.data, 512, true }, { request.status, 1, true } },
            { { request.header, 0, false }, { request.status, 0, true } },
        };
        queue_add(rig.queue, buffers[i], 2);
        queue_kick(rig.queue);
        g_assert_cmphex(driver_get(rig.driver, MMIO_STATUS), &, VIRTIO_STATUS_NEEDS_RESET);
        g_assert_true(queue_nothing_used(rig.queue));
        driver_negotiate(rig.driver, BASIC);
        rig.queue = driver_queue(rig.driver, 0, 16);
        driver_go(rig.driver);
        uint8_t bytes[512];
        g_assert_cmpint(perform(&rig, T_IN, 0, bytes, 512, true), ==, S_OK);
        rig_free(&rig);
    }
}

static void test_several_queues(void)
{
    Rig rig = rig_with("num-queues=4,queue-size=64", false, false, SIZE, BASIC | BIT(F_MQ));
    DriverQueue *queues[4] = { rig.queue };
    Request requests[4];

    g_assert_cmpuint(bench_read(rig.driver->bench, rig.driver->base + NUM_QUEUES, 2), ==, 4);
    g_assert_cmpuint(driver_get(rig.driver, SEG_MAX), ==, 62);
    for (unsigned i = 1; i < 4; i++) {
        queues[i] = driver_queue(rig.driver, (uint16_t)i, 64);
    }
    for (unsigned i = 0; i < 4; i++) {
        requests[i] = begin(&rig, T_IN, i, 512);
        offer(&rig, queues[i], &requests[i], 512, true);
        driver_put(rig.driver, MMIO_QUEUE_NOTIFY, i);
    }
    for (unsigned i = 0; i < 4; i++) {
        g_assert_true(queue_wait(queues[i]));
        queue_expect(queues[i], requests[i].id, 513);
        g_assert_cmpuint(driver_host(rig.driver, requests[i].data)[9], ==, pattern(i * SECTOR + 9));
    }
    driver_put(rig.driver, MMIO_QUEUE_SEL, 4);
    g_assert_cmpuint(driver_get(rig.driver, MMIO_QUEUE_NUM_MAX), ==, 0);
    rig_free(&rig);
}

/* The write cache */

static bool writeback(Rig *rig) { return bench_read(rig->driver->bench, rig->driver->base + WRITEBACK, 1); }

static void set_writeback(Rig *rig, uint8_t value)
{
    bench_write(rig->driver->bench, rig->driver->base + WRITEBACK, 1, value);
}

static void test_write_cache(void)
{
    static const struct {
        const char *properties;
        uint64_t features;
        bool writeback;
    } cases[] = {
        { "write-cache=on", BIT(F_FLUSH) | BIT(F_CONFIG_WCE), true },
        { "write-cache=on", BIT(F_CONFIG_WCE), false }, /* section 5.2.5.2 */
        { "write-cache=off", BIT(F_FLUSH) | BIT(F_CONFIG_WCE), false },
    };
    uint8_t bytes[512] = { 0 };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        for (unsigned legacy = 0; legacy < 2; legacy++) {
            Rig rig = rig_with(cases[i].properties, legacy, false, SIZE, cases[i].features);
            g_assert_cmpint(writeback(&rig), ==, cases[i].writeback);
            g_assert_cmpint(perform(&rig, T_OUT, 0, bytes, 512, false), ==, S_OK);
            set_writeback(&rig, 0);
            g_assert_false(writeback(&rig));
            g_assert_cmpint(perform(&rig, T_OUT, 0, bytes, 512, false), ==, S_OK);
            set_writeback(&rig, 1);
            g_assert_true(writeback(&rig));
            driver_put(rig.driver, MMIO_STATUS, 0);
            g_assert_cmpint(writeback(&rig), ==, i < 2);
            rig_free(&rig);
        }
    }
}

static void test_write_cache_fixed(void)
{
    Rig rig = rig_with(NULL, false, false, SIZE, BIT(F_FLUSH)); /* the field was not agreed on */

    set_writeback(&rig, 0);
    g_assert_true(writeback(&rig));
    rig_free(&rig);
}

/* Features and configuration */

static void test_features(const void *legacy)
{
    Rig rig = rig_with("packed=on", legacy != NULL, false, SIZE, 0);
    uint64_t own = BIT(F_SEG_MAX) | BIT(F_GEOMETRY) | BIT(F_BLK_SIZE) | BIT(F_FLUSH) | BIT(F_TOPOLOGY) |
                   BIT(F_CONFIG_WCE) | BIT(F_DISCARD) | BIT(F_WRITE_ZEROES);
    uint64_t rings = INDIRECT | EVENT | (legacy ? BIT(VIRTIO_F_NOTIFY_ON_EMPTY) | BIT(VIRTIO_F_ANY_LAYOUT)
                                                : BIT(VIRTIO_F_VERSION_1) | PACKED | BIT(VIRTIO_F_RING_RESET));

    g_assert_cmphex(driver_offered(rig.driver), ==, own | rings);
    g_assert_cmpuint(driver_get(rig.driver, MMIO_DEVICE_ID), ==, 2);
    rig_free(&rig);
}

static void test_configuration(void)
{
    Rig rig = rig_with("cyls=100,heads=5,secs=7,seg-max-adjust=off", false, false, SIZE, BASIC);
    Driver *driver = rig.driver;

    g_assert_cmpuint(driver_get(driver, CAPACITY), ==, SIZE / SECTOR);
    g_assert_cmpuint(driver_get(driver, CAPACITY + 4), ==, 0);
    g_assert_cmpuint(driver_get(driver, CAPACITY + 8), ==, 0); /* size_max: not offered */
    g_assert_cmpuint(driver_get(driver, SEG_MAX), ==, 126);
    g_assert_cmphex(driver_get(driver, GEOMETRY), ==, 7 << 24 | 5 << 16 | 100);
    g_assert_cmpuint(driver_get(driver, BLK_SIZE), ==, 512);
    g_assert_cmphex(driver_get(driver, TOPOLOGY), ==, 0);
    g_assert_cmphex(driver_get(driver, TOPOLOGY + 4), ==, 0);
    g_assert_cmphex(driver_get(driver, WRITEBACK), ==, 1 << 16 | 1); /* one queue, and write-back */
    g_assert_cmpuint(driver_get(driver, MAX_DISCARD), ==, 4194303);
    g_assert_cmpuint(driver_get(driver, MAX_DISCARD + 8), ==, 1);
    g_assert_cmphex(driver_get(driver, MAY_UNMAP), ==, 1);
    g_assert_cmphex(driver_get(driver, MAY_UNMAP + 4), ==, UINT32_MAX); /* the end */
    rig_free(&rig);
    rig = rig_with(NULL, false, false, 64 << 20, BASIC); /* a guessed geometry */
    g_assert_cmphex(driver_get(rig.driver, GEOMETRY), ==, 63u << 24 | 16 << 16 | (64 << 20) / SECTOR / (63 * 16));
    g_assert_cmpuint(driver_get(rig.driver, SEG_MAX), ==, 254);
    rig_free(&rig);
}

/* A legacy driver of a big-endian guest. */
static void test_big_endian(void)
{
    static const Guest big_guest = { .target = "big", .word_bits = 64, .page_bits = 12, .big_endian = true };
    Rig rig = { .driver = driver_new_empty(true), .path = make_file(SIZE) };
    Driver *driver = rig.driver;
    uint8_t bytes[512];

    driver->big_endian = true;
    driver->bench->machine->guest = &big_guest;
    rig.disk = open_disk(driver->bench, "d0", rig.path, false);
    rig_add(driver, "drive=d0");
    driver_run(driver);
    driver_negotiate(driver, BASIC);
    rig.queue = driver_queue(driver, 0, 16);
    driver_go(driver);
    g_assert_cmphex(bench_read(driver->bench, driver->base + CAPACITY, 8), ==, swap_bytes(SIZE / SECTOR, 8));
    g_assert_cmphex(bench_read(driver->bench, driver->base + BLK_SIZE, 4), ==, swap_bytes(512, 4));
    g_assert_cmpint(perform(&rig, T_IN, 5, bytes, 512, true), ==, S_OK);
    g_assert_cmpuint(bytes[7], ==, pattern(5 * SECTOR + 7));
    rig_free(&rig);
}

/* Properties */

static void expect_refusal(const char *properties, const char *text)
{
    Driver *driver = driver_new_empty(false);
    g_autofree char *path = make_file(SIZE), *second = make_file(SIZE);

    open_disk(driver->bench, "d0", path, false);
    open_disk(driver->bench, "disk-two", second, true);
    g_autofree char *message = bench_add_error(driver->bench, "virtio-blk-device", properties);
    if (!strstr(message, text)) {
        g_error("'%s' does not say '%s'", message, text);
    }
    rig_add(driver, "drive=d0"); /* bus and drive are free again */
    driver_run(driver);
    driver_free(driver);
    g_remove(path);
    g_remove(second);
}

static void test_properties(void)
{
    static const struct {
        const char *properties, *text;
    } cases[] = {
        { NULL, "drive" },
        { "drive=d1", "there is no drive 'd1'" },
        { "drive=disk-tow", "'disk-two'" },
        { "drive=d0,logical_block_size=1000", "logical_block_size" },
        { "drive=d0,logical_block_size=256", "logical_block_size" },
        { "drive=d0,logical_block_size=4M", "logical_block_size" },
        { "drive=d0,logical_block_size=4096,physical_block_size=512", "logical_block_size > physical_block_size" },
        { "drive=d0,physical_block_size=3000", "physical_block_size" },
        { "drive=d0,min_io_size=100", "min_io_size" },
        { "drive=d0,min_io_size=33554432", "min_io_size" },
        { "drive=d0,opt_io_size=700", "opt_io_size" },
        { "drive=d0,discard_granularity=700", "discard_granularity" },
        { "drive=d0,num-queues=0", "num-queues" },
        { "drive=d0,num-queues=65", "num-queues" },
        { "drive=d0,queue-size=2", "queue-size" },
        { "drive=d0,queue-size=100", "queue-size" },
        { "drive=d0,queue-size=2048", "queue-size" },
        { "drive=d0,max-discard-sectors=0", "max-discard-sectors" },
        { "drive=d0,max-discard-sectors=4194304", "max-discard-sectors" },
        { "drive=d0,max-write-zeroes-sectors=0", "max-write-zeroes-sectors" },
        { "drive=d0,cyls=65536,heads=1,secs=1", "cyls" },
        { "drive=d0,cyls=1,heads=256,secs=1", "heads" },
        { "drive=d0,cyls=1,heads=1,secs=256", "secs" },
        { "drive=d0,cyls=1,heads=1", "secs" },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        expect_refusal(cases[i].properties, cases[i].text);
    }
}

static void test_drive_in_use(void)
{
    Driver *driver = driver_new_empty(false);
    g_autofree char *path = make_file(SIZE);

    open_disk(driver->bench, "d0", path, false);
    rig_add(driver, "drive=d0");
    bench_add(driver->bench, "virtio-mmio", NULL);
    g_autofree char *message = bench_add_error(driver->bench, "virtio-blk-device", "drive=d0");
    g_assert_nonnull(strstr(message, "Drive 'd0' is already in use by /machine/"));
    driver_free(driver);
    g_remove(path);
}

/* Ends with requests in flight */

static void offer_reads(Rig *rig, Request *requests, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        requests[i] = begin(rig, T_IN, i, 512);
        offer(rig, rig->queue, &requests[i], 512, true);
    }
    queue_kick(rig->queue);
}

/* A reset waits for them; the memory is the driver's again. */
static void test_reset_in_flight(const void *legacy)
{
    Rig rig = rig_with(NULL, legacy != NULL, false, SIZE, BASIC);
    Request requests[5];

    for (unsigned round = 0; round < 20; round++) {
        offer_reads(&rig, requests, 5);
        driver_put(rig.driver, MMIO_STATUS, 0);
        g_assert_cmphex(driver_get(rig.driver, MMIO_STATUS), ==, 0);
        g_assert_cmpuint(rig.driver->device->queues[0].in_flight, ==, 0);
        g_assert_cmphex(driver_get(rig.driver, MMIO_INTERRUPT_STATUS), ==, 0);
        for (unsigned i = 0; i < 5; i++) {
            memset(driver_host(rig.driver, requests[i].data), 0x11, 512);
        }
        bench_drain(rig.driver->bench);
        for (unsigned i = 0; i < 5; i++) {
            g_assert_cmpuint(*driver_host(rig.driver, requests[i].data), ==, 0x11);
        }
        driver_negotiate(rig.driver, BASIC);
        rig.queue = driver_queue(rig.driver, 0, 16);
        driver_go(rig.driver);
    }
    rig_free(&rig);
}

static void test_stop_and_save(void)
{
    Rig rig = rig_new(), second = rig_with(NULL, false, false, SIZE, 0);
    Request requests[5];
    AUTO_STRBUF(stream);
    AUTO_ERROR(error);

    set_writeback(&rig, 0);
    offer_reads(&rig, requests, 5);
    machine_stop(rig.driver->bench->machine, RUN_STATE_PAUSED);
    g_assert_cmpuint(rig.driver->device->queues[0].in_flight, ==, 0);
    for (unsigned i = 0; i < 5; i++) { /* those that had begun are done, and seen to be */
        uint16_t id;
        uint32_t length;
        g_assert_true(queue_take(rig.queue, &id, &length));
    }
    Request later = begin(&rig, T_IN, 9, 512);
    offer(&rig, rig.queue, &later, 512, true);
    queue_kick(rig.queue);
    g_assert_true(queue_nothing_used(rig.queue));
    g_assert_true(state_save(rig.driver->bench->machine, &stream, NULL));
    machine_stop(second.driver->bench->machine, RUN_STATE_PAUSED);
    if (!state_load(second.driver->bench->machine, stream.data, stream.length, &error)) {
        g_error("%s", error_message(error));
    }
    g_assert_false(writeback(&second));
    g_assert_cmpint(bench_level(second.driver->bench, DRIVER_LINE), ==, 1); /* not acknowledged before the save */
    second.driver->queues[0] = *rig.queue;
    second.queue->driver = second.driver;
    g_assert_true(machine_run(second.driver->bench->machine, NULL));
    g_assert_cmpint(end(&second, second.queue, &later, 513), ==, S_OK);
    g_assert_cmpuint(*driver_host(second.driver, later.data), ==, pattern(9 * SECTOR));
    rig_free(&rig);
    rig_free(&second);
}

/* One that runs is saved too: what is in flight ends first, and what comes later stays in the ring. */
static void test_save_running(void)
{
    Rig rig = rig_new(), second = rig_with(NULL, false, false, SIZE, 0);
    Machine *machine = rig.driver->bench->machine;
    Request requests[5];
    AUTO_STRBUF(stream);

    for (unsigned i = 0; i < 5; i++) {
        requests[i] = begin(&rig, T_IN, i, 512);
        offer(&rig, rig.queue, &requests[i], 512, true);
        driver_put(rig.driver, MMIO_QUEUE_NOTIFY, 0);
    }
    g_assert_true(state_save(machine, &stream, NULL));
    machine_stop(second.driver->bench->machine, RUN_STATE_PAUSED);
    g_assert_true(state_load(second.driver->bench->machine, stream.data, stream.length, NULL));
    second.driver->queues[0] = *rig.queue;
    second.queue->driver = second.driver;
    g_assert_true(machine_run(second.driver->bench->machine, NULL));
    for (unsigned i = 0; i < 5; i++) {
        uint16_t id;
        uint32_t length;
        g_assert_true(queue_wait(rig.queue) && queue_take(rig.queue, &id, &length)); /* the first one goes on */
        g_assert_true(queue_wait(second.queue) && queue_take(second.queue, &id, &length));
    }
    for (unsigned i = 0; i < 5; i++) {
        g_assert_cmpuint(*driver_host(second.driver, requests[i].data), ==, pattern(i * SECTOR));
    }
    rig_free(&rig);
    rig_free(&second);
}

/* The machine ends with requests in flight: they want its memory. */
static void test_end_in_flight(void)
{
    for (unsigned i = 0; i < 10; i++) {
        Rig rig = rig_new();
        Request requests[5];
        offer_reads(&rig, requests, 5);
        rig_free(&rig);
    }
}

/* Errors, by the policies of a drive or device: the first write fails for want of space, all of sector 8 do. */

static Rig rig_that_fails(const char *properties, int write_error)
{
    AUTO_ERROR(error);
    Rig rig = { .driver = driver_new_empty(false), .path = make_file(SIZE) };
    Bench *bench = rig.driver->bench;
    g_autofree char *name = g_strdup_printf("json:{'driver': 'raw', 'file': {'driver': 'blkdebug', 'image': {'driver': "
                                            "'file', 'filename': '%s'}, 'inject-error': [{'event': 'none', 'iotype': "
                                            "'write', 'errno': 28, 'once': true}, {'event': 'none', 'iotype': "
                                            "'write', 'sector': 8}]}}", rig.path);
    DiskOptions options = { .id = "d0", .filename = name, .flags = BLOCK_OPEN_WRITE, .write_error = write_error,
                            .read_error = BLOCKDEV_ON_ERROR_AUTO };
    rig.disk = disk_open(bench->machine->root, bench->files, bench->loop, &options, &error);
    if (!rig.disk) {
        g_error("%s", error_message(error));
    }
    g_autofree char *all = g_strdup_printf("drive=d0%s", properties);
    rig_add(rig.driver, all);
    driver_run(rig.driver);
    driver_negotiate(rig.driver, BASIC);
    rig.queue = driver_queue(rig.driver, 0, 16);
    driver_go(rig.driver);
    return rig;
}

static bool has_stopped(void *data) { return ((Machine *)data)->run_state == RUN_STATE_IO_ERROR; }

/* It waits for the machine to go on, which tries it again. */
static void test_stop_at_errors(void)
{
    static const struct {
        const char *properties;
        int of_drive;
    } rows[] = { { "", BLOCKDEV_ON_ERROR_AUTO }, { "", BLOCKDEV_ON_ERROR_ENOSPC }, { ",werror=stop", 0 } };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        Rig rig = rig_that_fails(rows[i].properties, rows[i].of_drive);
        Machine *machine = rig.driver->bench->machine;
        Request request = begin(&rig, T_OUT, 1, SECTOR);
        offer(&rig, rig.queue, &request, SECTOR, false);
        queue_kick(rig.queue);
        g_assert_true(bench_wait(rig.driver->bench, has_stopped, machine));
        g_assert_cmpint(disk_status(rig.disk), ==, DISK_NOSPACE);
        g_assert_cmpuint(*driver_host(rig.driver, request.status), ==, S_NONE);
        g_assert_true(machine_run(machine, NULL));
        g_assert_cmpuint(end(&rig, rig.queue, &request, 1), ==, S_OK);
        g_assert_cmpint(disk_status(rig.disk), ==, DISK_OK);
        expect_file(&rig, SIZE, SECTOR, SECTOR, 0xc3);
        rig_free(&rig);
    }
}

static void test_other_policies(void)
{
    char bytes[SECTOR] = { 0 };
    Rig rig = rig_that_fails(",werror=ignore", BLOCKDEV_ON_ERROR_STOP);
    g_assert_cmpuint(perform(&rig, T_OUT, 1, bytes, SECTOR, false), ==, S_OK);
    g_assert_cmpuint(perform(&rig, T_OUT, 8, bytes, SECTOR, false), ==, S_OK);
    g_assert_true(machine_is_running(rig.driver->bench->machine));
    expect_file(&rig, SIZE, 0, 0, 0);
    rig_free(&rig);
    rig = rig_that_fails("", BLOCKDEV_ON_ERROR_REPORT);
    g_assert_cmpuint(perform(&rig, T_OUT, 1, bytes, SECTOR, false), ==, S_IOERR);
    rig_free(&rig);
    rig = rig_that_fails("", BLOCKDEV_ON_ERROR_STOP); /* a reset gives up what waits */
    Request request = begin(&rig, T_OUT, 8, SECTOR);
    offer(&rig, rig.queue, &request, SECTOR, false);
    queue_kick(rig.queue);
    g_assert_true(bench_wait(rig.driver->bench, has_stopped, rig.driver->bench->machine));
    rig_free(&rig);
}

/* The driver is told. */
static void test_resize(void)
{
    Rig rig = rig_new();
    uint8_t bytes[SECTOR];
    BlockEdge *edge = block_attach(disk_node(rig.disk), "block_resize", BLOCK_PERMISSION_RESIZE, BLOCK_PERMISSION_ALL,
                                   NULL);
    g_assert_true(edge && block_resize(edge, 2 * SIZE, PREALLOC_MODE_OFF, NULL));
    block_detach(edge);
    g_assert_cmphex(driver_get(rig.driver, MMIO_INTERRUPT_STATUS) & VIRTIO_ISR_CONFIG, ==, VIRTIO_ISR_CONFIG);
    g_assert_cmpuint(driver_get(rig.driver, CAPACITY), ==, 2 * SIZE / SECTOR);
    driver_put(rig.driver, MMIO_INTERRUPT_ACK, VIRTIO_ISR_CONFIG);
    g_assert_cmpuint(perform(&rig, T_IN, 2 * SIZE / SECTOR - 1, bytes, SECTOR, true), ==, S_OK);
    rig_free(&rig);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/virtio-blk/transfers", test_transfers);
    g_test_add_func("/virtio-blk/errors/stop", test_stop_at_errors);
    g_test_add_func("/virtio-blk/errors/other", test_other_policies);
    g_test_add_func("/virtio-blk/resize", test_resize);
    g_test_add_func("/virtio-blk/used-length", test_used_length);
    g_test_add_func("/virtio-blk/any-layout", test_any_layout);
    g_test_add_func("/virtio-blk/limits", test_limits);
    g_test_add_func("/virtio-blk/larger-blocks", test_larger_blocks);
    g_test_add_func("/virtio-blk/odd-size", test_odd_size);
    g_test_add_func("/virtio-blk/read-only", test_read_only);
    g_test_add_func("/virtio-blk/ranges", test_ranges);
    g_test_add_func("/virtio-blk/range-limits", test_range_limits);
    g_test_add_func("/virtio-blk/ranges-not-agreed", test_ranges_not_agreed);
    g_test_add_func("/virtio-blk/get-id", test_get_id);
    g_test_add_func("/virtio-blk/unsupported", test_unsupported);
    g_test_add_func("/virtio-blk/malformed", test_malformed);
    g_test_add_func("/virtio-blk/several-queues", test_several_queues);
    g_test_add_func("/virtio-blk/write-cache", test_write_cache);
    g_test_add_func("/virtio-blk/write-cache-fixed", test_write_cache_fixed);
    g_test_add_data_func("/virtio-blk/features/modern", NULL, test_features);
    g_test_add_data_func("/virtio-blk/features/legacy", "legacy", test_features);
    g_test_add_func("/virtio-blk/configuration", test_configuration);
    g_test_add_func("/virtio-blk/big-endian", test_big_endian);
    g_test_add_func("/virtio-blk/properties", test_properties);
    g_test_add_func("/virtio-blk/drive-in-use", test_drive_in_use);
    g_test_add_data_func("/virtio-blk/reset-in-flight/modern", NULL, test_reset_in_flight);
    g_test_add_data_func("/virtio-blk/reset-in-flight/legacy", "legacy", test_reset_in_flight);
    g_test_add_func("/virtio-blk/stop-and-save", test_stop_and_save);
    g_test_add_func("/virtio-blk/save-running", test_save_running);
    g_test_add_func("/virtio-blk/end-in-flight", test_end_in_flight);
    add_thread_tests(g_getenv("MYNA_TEST_IOTHREAD") == NULL);
    return g_test_run();
}
