/*
 * A virtio disk whose queues are worked on by iothreads: the test's thread is the driver and the machine's main thread,
 * or the latter alone beside a driver on a thread of its own.
 */
#include "blk_rig.h"

#include "api/json.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/host/host.h"
#include "base/strbuf.h"
#include "block/graph.h"
#include "block/throttle.h"
#include "core/iothread.h"
#include "core/loop.h"
#include "core/state.h"
#include "schema/block.h"

#include <glib/gstdio.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

enum { QUEUES = 4, RING = 16, DEPTH = 5, FAR_TOO_LONG_S = 100, WRITEBACK = 0x120 };

/* A machine with two threads, and a disk of four queues that go round between them. */
static Rig rig_on_threads(const char *more)
{
    Rig rig = { .driver = driver_new_empty(false), .path = make_file(SIZE) };
    Driver *driver = rig.driver;
    g_autofree char *properties = g_strdup_printf("drive=d0,num-queues=%d,iothread-vq-mapping.0.iothread=io0,"
                                                  "iothread-vq-mapping.1.iothread=io1%s", QUEUES, more);

    bench_add_iothread(driver->bench, "io0");
    bench_add_iothread(driver->bench, "io1");
    rig.disk = open_disk(driver->bench, "d0", rig.path, false);
    driver_add(driver, "virtio-blk-device", properties);
    driver_run(driver);
    return rig;
}

static void start_queues(Rig *rig)
{
    rig->driver->allocated = 0;
    driver_negotiate(rig->driver, BASIC | BIT(F_MQ));
    for (uint16_t i = 0; i < QUEUES; i++) {
        driver_queue(rig->driver, i, RING);
    }
    rig->queue = &rig->driver->queues[0];
    driver_go(rig->driver);
}

static Rig rig_started(void)
{
    Rig rig = rig_on_threads("");

    start_queues(&rig);
    return rig;
}

/* No loop of this thread is run. */
static void take_elsewhere(DriverQueue *queue, uint16_t *id)
{
    int64_t end = host_monotonic_ns() + FAR_TOO_LONG_S * INT64_C(1000000000);
    uint32_t length;

    while (!queue_take(queue, id, &length)) {
        g_assert_cmpint(host_monotonic_ns(), <, end);
        g_usleep(20);
    }
}

/* The main loop has no part in it. */
static void test_transfers(void)
{
    Rig rig = rig_started();
    Driver *driver = rig.driver;

    for (unsigned round = 0; round < 50; round++) {
        uint64_t start = driver->allocated;
        Request requests[QUEUES];
        uint16_t id;
        for (unsigned i = 0; i < QUEUES; i++) {
            requests[i] = begin(&rig, T_IN, (round + i) % 128, SECTOR);
            offer(&rig, &driver->queues[i], &requests[i], SECTOR, true);
            driver_put(driver, MMIO_QUEUE_NOTIFY, i);
        }
        for (unsigned i = 0; i < QUEUES; i++) {
            take_elsewhere(&driver->queues[i], &id);
            g_assert_cmpuint(id, ==, requests[i].id);
            g_assert_cmpuint(*driver_host(driver, requests[i].status), ==, S_OK);
            g_assert_cmpuint(driver_host(driver, requests[i].data)[5], ==, pattern((round + i) % 128 * SECTOR + 5));
        }
        driver->allocated = start;
    }
    g_assert_true(driver_interrupted(driver));
    rig_free(&rig);
}

static void test_mapping(void)
{
    Rig rig = rig_on_threads("");
    const VirtioDevice *device = rig.driver->device;
    Object *objects = object_container(rig.driver->bench->machine->root, "objects");
    IoThread *io0 = (IoThread *)object_child(objects, "io0"), *io1 = (IoThread *)object_child(objects, "io1");

    for (unsigned i = 0; i < QUEUES; i++) {
        g_assert_true(device->queues[i].loop == iothread_loop(i % 2 ? io1 : io0));
    }
    rig_free(&rig);
}

/* A thread whose object is deleted works on while the disk is there. */
static void test_thread_deleted(void)
{
    Rig rig = rig_started();
    Driver *driver = rig.driver;
    Request request = begin(&rig, T_IN, 3, SECTOR);
    uint16_t id;

    object_unparent(object_child(object_container(driver->bench->machine->root, "objects"), "io0"));
    offer(&rig, &driver->queues[0], &request, SECTOR, true);
    driver_put(driver, MMIO_QUEUE_NOTIFY, 0);
    take_elsewhere(&driver->queues[0], &id);
    g_assert_cmpuint(*driver_host(driver, request.status), ==, S_OK);
    g_assert_true(driver_interrupted(driver));
    rig_free(&rig);
}

static void expect_refusal(const char *properties, const char *text)
{
    Driver *driver = driver_new_empty(false);
    g_autofree char *path = make_file(SIZE);
    g_autofree char *all = g_strdup_printf("drive=d0,num-queues=2,%s", properties);

    bench_add_iothread(driver->bench, "io0");
    bench_add_iothread(driver->bench, "io1");
    open_disk(driver->bench, "d0", path, false);
    g_autofree char *message = bench_add_error(driver->bench, "virtio-blk-device", all);
    if (!strstr(message, text)) {
        g_error("'%s' does not say '%s'", message, text);
    }
    driver_add(driver, "virtio-blk-device", "drive=d0,iothread=io1"); /* bus, drive and threads are free again */
    driver_free(driver);
    g_remove(path);
}

#define ON(n_, id_) "iothread-vq-mapping." #n_ ".iothread=" id_
#define VQ(n_, i_, vq_) ",iothread-vq-mapping." #n_ ".vqs." #i_ "=" #vq_

static void test_properties(void)
{
    static const struct {
        const char *properties, *text;
    } rows[] = {
        { "iothread=io7", "'io7' not found" },
        { ON(0, "io7"), "IOThread \"io7\" object does not exist" },
        { "iothread=io0," ON(0, "io1"), "cannot be set at the same time" },
        { ON(0, "io0") "," ON(1, "io0"), "duplicate IOThread name \"io0\"" },
        { ON(0, "io0") VQ(0, 0, 0) "," ON(1, "io1"), "either all items in iothread-vq-mapping must have vqs" },
        { ON(0, "io0") VQ(0, 0, 0) "," ON(1, "io1") VQ(1, 0, 0), "cannot assign vq 0 to IOThread \"io1\"" },
        { ON(0, "io0") VQ(0, 0, 1), "missing vq 0 IOThread assignment" },
        { ON(0, "io0") VQ(0, 0, 2), "vq index 2 for IOThread \"io0\" must be less than num_queues 2" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        expect_refusal(rows[i].properties, rows[i].text);
    }
}

/* One queue, whose driver is on a thread of its own, as a vCPU is: the main loop runs beside it. */

typedef struct Other {
    Rig rig;
    _Atomic bool done;
} Other;

static void wait_for(Rig *rig, uint16_t id)
{
    uint16_t used_id;
    uint32_t length;

    while (!(driver_get(rig->driver, MMIO_INTERRUPT_STATUS) & VIRTIO_ISR_QUEUE)) {
        g_usleep(10);
    }
    driver_put(rig->driver, MMIO_INTERRUPT_ACK, VIRTIO_ISR_QUEUE);
    g_assert_true(queue_take(rig->queue, &used_id, &length));
    g_assert_cmpuint(used_id, ==, id);
}

/* The ring is guest memory, which nobody locks; the thread sanitizer knows no fences, so that this does. */
static void offer_locked(Rig *rig, Request *request, bool write)
{
    DeviceLock *lock = rig->driver->device->device.lock;

    device_lock(lock);
    offer(rig, rig->queue, request, 512, write);
    device_unlock(lock);
}

static void *drive_one_queue(void *data)
{
    Other *other = data;
    Rig *rig = &other->rig;

    for (unsigned i = 0; i < 300; i++) {
        rig->driver->allocated = 1 << 20;
        Request request = begin(rig, i % 3 == 2 ? T_OUT : T_IN, i % 128, 512);
        offer_locked(rig, &request, i % 3 != 2);
        bench_write(rig->driver->bench, rig->driver->base + WRITEBACK, 1, i / 4 % 2);
        driver_put(rig->driver, MMIO_QUEUE_NOTIFY, 0);
        if (i % 16 == 15) { /* in flight */
            driver_put(rig->driver, MMIO_STATUS, 0);
            g_assert_cmphex(driver_get(rig->driver, MMIO_STATUS), ==, 0);
            driver_negotiate(rig->driver, BASIC);
            rig->driver->allocated = 2 << 20;
            rig->queue = driver_queue(rig->driver, 0, 16);
            driver_go(rig->driver);
        } else {
            wait_for(rig, request.id);
            g_assert_cmpuint(*driver_host(rig->driver, request.status), ==, S_OK);
        }
    }
    atomic_store(&other->done, true);
    return NULL;
}

static void test_thread(const void *legacy)
{
    Other other = { .rig = rig_with(NULL, legacy != NULL, false, SIZE, BASIC) };
    pthread_t thread;

    g_assert_cmpint(pthread_create(&thread, NULL, drive_one_queue, &other), ==, 0);
    while (!atomic_load(&other.done)) {
        loop_iterate(other.rig.driver->bench->loop, 1000 * 1000);
    }
    pthread_join(thread, NULL);
    rig_free(&other.rig);
}

/* Several queues, whose driver is on a thread of its own: keeps all queues busy, and sometimes resets the device or one
 * queue with requests in flight. */

typedef struct Load {
    Rig rig;
    unsigned rounds;
    bool resets, fails; /* requests may end with an error */
    _Atomic bool done;
} Load;

static void run_round(Load *load, unsigned round)
{
    Rig *rig = &load->rig;
    Driver *driver = rig->driver;
    Request requests[QUEUES][DEPTH];
    uint16_t id;

    driver->allocated = 1 << 20;
    for (unsigned i = 0; i < QUEUES; i++) {
        for (unsigned j = 0; j < DEPTH; j++) {
            bool read = (round + j) % 3 != 0;
            requests[i][j] = begin(rig, read ? T_IN : T_OUT, (i * DEPTH + j + round) % 128, SECTOR);
            offer(rig, &driver->queues[i], &requests[i][j], SECTOR, read);
        }
        driver_put(driver, MMIO_QUEUE_NOTIFY, i);
    }
    if (load->resets && round % 8 == 7) {
        driver_put(driver, MMIO_STATUS, 0);
        g_assert_cmphex(driver_get(driver, MMIO_STATUS), ==, 0);
        start_queues(rig);
        return;
    }
    if (load->resets && round % 8 == 3) { /* one queue stops; the others go on */
        driver_put(driver, MMIO_QUEUE_SEL, 1);
        driver_put(driver, MMIO_QUEUE_READY, 0);
        g_assert_cmpuint(driver_get(driver, MMIO_QUEUE_READY), ==, 0);
        driver->allocated = 2 << 20;
        driver_queue(driver, 1, RING);
    }
    for (unsigned i = 0; i < QUEUES; i++) {
        for (unsigned j = 0; j < DEPTH && !(i == 1 && load->resets && round % 8 == 3); j++) {
            take_elsewhere(&driver->queues[i], &id);
        }
        for (unsigned j = 0; j < DEPTH && !load->fails && !load->resets; j++) {
            g_assert_cmpuint(*driver_host(driver, requests[i][j].status), ==, S_OK);
        }
    }
}

static void *drive(void *data)
{
    Load *load = data;

    for (unsigned i = 0; i < load->rounds; i++) {
        run_round(load, i);
    }
    atomic_store(&load->done, true);
    return NULL;
}

/* `meanwhile` is called on the main thread again and again; may be NULL. */
static void run_load(Load *load, void (*meanwhile)(Rig *rig, unsigned round))
{
    pthread_t thread;

    g_assert_cmpint(pthread_create(&thread, NULL, drive, load), ==, 0);
    for (unsigned round = 0; !atomic_load(&load->done); round++) {
        loop_iterate(load->rig.driver->bench->loop, 1000 * 1000);
        if (meanwhile) {
            meanwhile(&load->rig, round);
        }
    }
    pthread_join(thread, NULL);
    rig_free(&load->rig);
}

static void test_resets(void)
{
    Load load = { .rig = rig_started(), .rounds = 100, .resets = true };

    run_load(&load, NULL);
}

/* What a monitor does to a disk in use. */
static void disturb(Rig *rig, unsigned round)
{
    Machine *machine = rig->driver->bench->machine;
    ThrottleLimits limits = { .iops_total = round % 8 == 1 ? 5000 : 0, .iops_total_max_length = 1,
                              .iops_read_max_length = 1, .iops_write_max_length = 1, .bps_total_max_length = 1,
                              .bps_read_max_length = 1, .bps_write_max_length = 1 };
    BlockStatistics statistics;

    switch (round % 4) {
    case 0:
        machine_stop(machine, RUN_STATE_PAUSED);
        for (unsigned i = 0; i < QUEUES; i++) {
            g_assert_cmpuint(rig->driver->device->queues[i].in_flight, ==, 0);
        }
        g_assert_true(machine_run(machine, NULL));
        break;
    case 1:
        g_assert_true(disk_set_limits(rig->disk, NULL, &limits, NULL));
        break;
    case 2: {
        BlockReopen reopen = { .node = disk_node(rig->disk), .flags = block_node_opened_flags(disk_node(rig->disk)),
                               .keep = true };
        g_assert_true(block_reopen(disk_graph(machine->root), &reopen, 1, NULL));
        break;
    }
    case 3: {
        BlockEdge *edge = block_attach(disk_node(rig->disk), "block_resize", BLOCK_PERMISSION_RESIZE,
                                       BLOCK_PERMISSION_ALL, NULL);
        g_assert_true(edge && block_resize(edge, SIZE + round % 5 * SECTOR, PREALLOC_MODE_OFF, NULL));
        block_detach(edge);
        break;
    }
    }
    block_edge_statistics(disk_edge(rig->disk), &statistics);
    g_assert_cmpuint(statistics.failed[BLOCK_READ], ==, 0);
}

static void test_disturbed(void)
{
    Load load = { .rig = rig_started(), .rounds = 100 };

    run_load(&load, disturb);
}

/* drive_del: what comes later fails. */
static void take_away(Rig *rig, unsigned round)
{
    if (round == 20) {
        g_assert_true(disk_delete(rig->disk, NULL));
    }
}

static void test_drive_taken_away(void)
{
    Load load = { .rig = rig_started(), .rounds = 100, .fails = true };

    run_load(&load, take_away);
}

/* Rings with anything in them, while the loops work on them. */

static void *scribble(void *data)
{
    Load *load = data;
    Rig *rig = &load->rig;
    Driver *driver = rig->driver;
    g_autoptr(GRand) random = g_rand_new_with_seed(load->rounds);

    for (unsigned round = 0; round < load->rounds; round++) {
        start_queues(rig);
        for (unsigned i = 0; i < 400; i++) {
            DriverQueue *queue = &driver->queues[g_rand_int_range(random, 0, QUEUES)];
            uint64_t areas[] = { queue->descriptors, queue->available, queue->used };
            uint64_t at = areas[g_rand_int_range(random, 0, 3)] + (uint64_t)g_rand_int_range(random, 0, 16 * RING);
            bool small = g_rand_boolean(random);
            driver_store(driver, at & ~UINT64_C(1), 2, small ? g_rand_int(random) % 32 : g_rand_int(random));
            driver_store(driver, queue->descriptors + 16u * (i % RING) + 4, 4, 0); /* more of them in memory */
            driver_put(driver, MMIO_QUEUE_NOTIFY, queue->index);
            if (i % 97 == 96) {
                driver_put(driver, MMIO_QUEUE_SEL, queue->index);
                driver_put(driver, MMIO_QUEUE_READY, i % 2);
            }
        }
        driver_put(driver, MMIO_STATUS, 0);
        g_assert_cmphex(driver_get(driver, MMIO_STATUS), ==, 0);
    }
    start_queues(rig); /* and it is well again */
    driver->allocated = 1 << 20;
    Request request = begin(rig, T_IN, 7, SECTOR);
    uint16_t id;
    offer(rig, &driver->queues[3], &request, SECTOR, true);
    driver_put(driver, MMIO_QUEUE_NOTIFY, 3);
    take_elsewhere(&driver->queues[3], &id);
    g_assert_cmpuint(*driver_host(driver, request.status), ==, S_OK);
    atomic_store(&load->done, true);
    return NULL;
}

static void test_hostile_rings(void)
{
    Load load = { .rig = rig_started(), .rounds = 60 };
    pthread_t thread;

    g_assert_cmpint(pthread_create(&thread, NULL, scribble, &load), ==, 0);
    while (!atomic_load(&load.done)) {
        loop_iterate(load.rig.driver->bench->loop, 1000 * 1000);
    }
    pthread_join(thread, NULL);
    rig_free(&load.rig);
}

/* The end of the machine with requests in flight, and one that is reset. */
static void test_end_in_flight(void)
{
    for (unsigned i = 0; i < 10; i++) {
        Rig rig = rig_started();
        for (unsigned j = 0; j < QUEUES; j++) {
            Request request = begin(&rig, T_IN, j, SECTOR);
            offer(&rig, &rig.driver->queues[j], &request, SECTOR, true);
            driver_put(rig.driver, MMIO_QUEUE_NOTIFY, j);
        }
        if (i % 2) {
            bench_reset(rig.driver->bench, RESET_WARM);
            g_assert_cmpuint(driver_get(rig.driver, MMIO_STATUS), ==, 0);
        }
        rig_free(&rig);
    }
}

void add_thread_tests(bool all)
{
    g_test_add_data_func("/virtio-blk/thread/modern", NULL, test_thread);
    g_test_add_data_func("/virtio-blk/thread/legacy", "legacy", test_thread);
    if (!all) {
        return;
    }
    g_test_add_func("/virtio-blk/threads/transfers", test_transfers);
    g_test_add_func("/virtio-blk/threads/mapping", test_mapping);
    g_test_add_func("/virtio-blk/threads/thread-deleted", test_thread_deleted);
    g_test_add_func("/virtio-blk/threads/properties", test_properties);
    g_test_add_func("/virtio-blk/threads/resets", test_resets);
    g_test_add_func("/virtio-blk/threads/disturbed", test_disturbed);
    g_test_add_func("/virtio-blk/threads/drive-taken-away", test_drive_taken_away);
    g_test_add_func("/virtio-blk/threads/hostile-rings", test_hostile_rings);
    g_test_add_func("/virtio-blk/threads/end-in-flight", test_end_in_flight);
}
