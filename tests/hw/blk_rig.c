/* The disk's rig. */
#include "blk_rig.h"

#include "base/error.h"
#include "block/graph.h"

#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

uint8_t pattern(uint64_t offset) { return (uint8_t)(offset * 7 + offset / SECTOR + 1); }

char *make_file(size_t size)
{
    char *path = NULL;
    g_autofree char *bytes = g_malloc(size + 1);
    int fd = g_file_open_tmp("myna-blk-XXXXXX", &path, NULL);

    for (size_t i = 0; i < size; i++) {
        bytes[i] = (char)pattern(i);
    }
    g_assert_cmpint(write(fd, bytes, size), ==, size);
    close(fd);
    return path;
}

Disk *open_disk(Bench *bench, const char *id, const char *path, bool read_only)
{
    AUTO_ERROR(error);
    Disk *disk = disk_open(bench->machine->root, bench->files, bench->loop,
                           &(DiskOptions){ .id = id, .filename = path,
                                           .flags = read_only ? 0 : BLOCK_OPEN_WRITE }, &error);

    if (!disk) {
        g_error("%s", error_message(error));
    }
    return disk;
}

void rig_add(Driver *driver, const char *properties)
{
    g_autofree char *all = g_strdup(properties);

    if (g_getenv("MYNA_TEST_IOTHREAD")) {
        bench_add_iothread(driver->bench, "test-io");
        g_free(all);
        all = g_strdup_printf("%s,iothread=test-io", properties);
    }
    driver_add(driver, "virtio-blk-device", all);
}

Rig rig_with(const char *properties, bool legacy, bool read_only, size_t size, uint64_t features)
{
    Rig rig = { .driver = driver_new_empty(legacy), .path = make_file(size) };
    g_autofree char *all = g_strdup_printf("drive=d0,%s", properties ? properties : "packed=off");

    rig.disk = open_disk(rig.driver->bench, "d0", rig.path, read_only);
    rig_add(rig.driver, all);
    driver_run(rig.driver);
    driver_negotiate(rig.driver, features);
    rig.queue = driver_queue(rig.driver, 0, 16);
    driver_go(rig.driver);
    return rig;
}

Rig rig_new(void) { return rig_with(NULL, false, false, SIZE, BASIC); }

void rig_free(Rig *rig)
{
    driver_free(rig->driver);
    g_remove(rig->path);
    g_free(rig->path);
}

/* Requests */

Request begin(Rig *rig, uint32_t type, uint64_t sector, uint32_t bytes)
{
    Driver *driver = rig->driver;
    Request request = { .header = driver_alloc(driver, 16, 16), .status = driver_alloc(driver, 1, 1) };

    request.data = driver_alloc(driver, MAX(bytes, 1u), 16);
    memset(driver_host(driver, request.data), 0xc3, bytes);
    *driver_host(driver, request.status) = S_NONE;
    driver_store(driver, request.header, 4, type);
    driver_store(driver, request.header + 4, 4, 0);
    driver_store(driver, request.header + 8, 8, sector);
    return request;
}

void offer(Rig *rig, DriverQueue *queue, Request *request, uint32_t bytes, bool write)
{
    Buffer buffers[] = {
        { request->header, 16, false }, { request->data, bytes, write }, { request->status, 1, true },
    };

    if (bytes == 0) {
        buffers[1] = buffers[2];
    }
    request->id = queue_add(queue, buffers, bytes ? 3 : 2);
}

uint8_t end(Rig *rig, DriverQueue *queue, const Request *request, uint32_t length)
{
    uint16_t id;
    uint32_t used;

    if (rig->driver->features & EVENT && !rig->driver->packed) {
        queue_want_interrupt_at(queue, queue->last_used, false);
    }
    queue_kick(queue);
    g_assert_true(queue_wait(queue));
    g_assert_true(queue_take(queue, &id, &used));
    g_assert_cmpuint(id, ==, request->id);
    uint8_t status = *driver_host(rig->driver, request->status);
    if (length != UINT32_MAX) {
        g_assert_cmpuint(used, ==, length);
    }
    g_assert_true(driver_interrupted(rig->driver));
    return status;
}

uint8_t perform(Rig *rig, uint32_t type, uint64_t sector, void *bytes, uint32_t count, bool write)
{
    Request request = begin(rig, type, sector, count);

    if (!write && count) {
        memcpy(driver_host(rig->driver, request.data), bytes, count);
    }
    offer(rig, rig->queue, &request, count, write);
    uint8_t status = end(rig, rig->queue, &request, UINT32_MAX);
    if (write && count) {
        memcpy(bytes, driver_host(rig->driver, request.data), count);
    }
    return status;
}
