/* virtio-rng and its sources: buffers, quota and period, waiting for a source, failing ones, stops, resets. */
#include "virtio_driver.h"

#include "api/json.h"
#include "base/error.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "core/loop.h"
#include "core/state.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MS = 1000 * 1000 };

static Driver *start(const char *properties)
{
    Driver *driver = driver_new_empty(false);

    driver_add(driver, "virtio-rng-device", properties);
    driver_run(driver);
    driver_negotiate(driver, 0);
    driver_queue(driver, 0, 8);
    driver_go(driver);
    return driver;
}

/* An rng-random object "r0" on `path`, or NULL with the error. */
static Object *add_source(Driver *driver, const char *path, Error **error)
{
    Machine *machine = driver->bench->machine;
    Object *source = object_new(class_find("rng-random"), machine, &machine->defaults, error);

    if (source && (!object_set_text(source, "filename", path, error) || !object_complete(source, error) ||
                   !object_add_child(object_container(machine->root, "objects"), "r0", source, error))) {
        object_unref(source);
        return NULL;
    }
    object_unref(source);
    return source;
}

/* A device that reads a pipe; *writer is the other end. */
typedef struct Pipe {
    char *path;
    int writer;
} Pipe;

static Driver *start_with_pipe(Pipe *pipe, const char *properties)
{
    g_autofree char *all = g_strdup_printf("rng=r0%s", properties);
    Driver *driver = driver_new_empty(false);
    AUTO_ERROR(error);

    pipe->path = g_strdup_printf("%s/myna-rng-%d-%u", g_get_tmp_dir(), getpid(), g_random_int());
    g_assert_cmpint(mkfifo(pipe->path, 0600), ==, 0);
    pipe->writer = open(pipe->path, O_RDWR); /* so that neither end waits, and no reader sees the end */
    if (!add_source(driver, pipe->path, &error)) {
        g_error("%s", error_message(error));
    }
    driver_add(driver, "virtio-rng-device", all);
    driver_run(driver);
    driver_negotiate(driver, 0);
    driver_queue(driver, 0, 8);
    driver_go(driver);
    return driver;
}

static void end_with_pipe(Driver *driver, Pipe *pipe)
{
    driver_free(driver);
    close(pipe->writer);
    g_remove(pipe->path);
    g_free(pipe->path);
}

static void feed(Pipe *pipe, const char *text) { g_assert_cmpint(write(pipe->writer, text, strlen(text)), >, 0); }

static uint64_t offer(Driver *driver, uint32_t length)
{
    uint64_t address = driver_alloc(driver, length, 1);

    memset(driver_host(driver, address), 0, length);
    queue_add(&driver->queues[0], &(Buffer){ address, length, true }, 1);
    return address;
}

static uint32_t taken(Driver *driver)
{
    uint16_t id;
    uint32_t length;

    g_assert_true(queue_take(&driver->queues[0], &id, &length));
    return length;
}

/* The host's own source */

static void test_bytes(void)
{
    Driver *driver = start(NULL);
    DriverQueue *queue = &driver->queues[0];
    unsigned zeroes = 0;

    g_assert_cmpuint(driver_get(driver, MMIO_DEVICE_ID), ==, 4);
    g_assert_cmphex(driver_get(driver, MMIO_CONFIG), ==, UINT32_MAX); /* it has no configuration */
    uint64_t first = offer(driver, 256), second = offer(driver, 256);
    queue_kick(queue);
    g_assert_cmpuint(taken(driver), ==, 256);
    g_assert_cmpuint(taken(driver), ==, 256);
    g_assert_true(driver_interrupted(driver));
    for (unsigned i = 0; i < 256; i++) {
        zeroes += driver_host(driver, first)[i] == 0;
    }
    g_assert_cmpuint(zeroes, <, 64);
    g_assert_cmpint(memcmp(driver_host(driver, first), driver_host(driver, second), 256), !=, 0);
    offer(driver, 200 * 1024); /* as much as there is at once */
    queue_kick(queue);
    uint32_t length = taken(driver);
    g_assert_cmpuint(length, >, 0);
    g_assert_cmpuint(length, <=, 200 * 1024);
    driver_free(driver);
}

/* Buffers of odd kinds: nothing to write to, several parts. */
static void test_odd_buffers(void)
{
    Driver *driver = start(NULL);
    DriverQueue *queue = &driver->queues[0];
    uint64_t at = driver_alloc(driver, 64, 1);

    memset(driver_host(driver, at), 0, 64);
    queue_add(queue, &(Buffer){ at, 8, false }, 1);
    queue_add(queue, (Buffer[]){ { at, 8, false }, { at + 8, 16, true }, { at + 24, 32, true } }, 3);
    queue_kick(queue);
    g_assert_cmpuint(taken(driver), ==, 0);
    g_assert_cmpuint(taken(driver), ==, 48);
    for (unsigned i = 0; i < 8; i++) {
        g_assert_cmpuint(driver_host(driver, at)[i] | driver_host(driver, at)[56 + i], ==, 0);
    }
    driver_free(driver);
}

static void test_quota(void)
{
    Driver *driver = start("max-bytes=10,period=100");
    DriverQueue *queue = &driver->queues[0];

    bench_advance(driver->bench, 7 * MS);
    offer(driver, 4);
    offer(driver, 4);
    offer(driver, 16);
    offer(driver, 1);
    queue_kick(queue);
    g_assert_cmpuint(taken(driver), ==, 4);
    g_assert_cmpuint(taken(driver), ==, 4);
    g_assert_cmpuint(taken(driver), ==, 2); /* what is left */
    g_assert_true(queue_nothing_used(queue));
    bench_advance(driver->bench, 99 * MS);
    bench_drain(driver->bench);
    g_assert_true(queue_nothing_used(queue));
    bench_advance(driver->bench, 1 * MS);
    bench_drain(driver->bench);
    g_assert_cmpuint(taken(driver), ==, 1);
    bench_advance(driver->bench, 1000 * MS); /* what is not used does not add up */
    offer(driver, 64);
    queue_kick(queue);
    g_assert_cmpuint(taken(driver), ==, 10);
    offer(driver, 64);
    queue_kick(queue);
    g_assert_true(queue_nothing_used(queue));
    driver_free(driver);
}

/* A file of the host */

static void test_pipe(void)
{
    Pipe pipe;
    Driver *driver = start_with_pipe(&pipe, "");
    DriverQueue *queue = &driver->queues[0];
    uint64_t first = offer(driver, 8), second = offer(driver, 8);

    queue_kick(queue);
    g_assert_true(queue_nothing_used(queue));
    feed(&pipe, "abc");
    g_assert_true(queue_wait(queue));
    g_assert_cmpuint(taken(driver), ==, 3); /* as soon as there are any */
    g_assert_cmpmem(driver_host(driver, first), 4, "abc", 4);
    g_assert_true(driver_interrupted(driver));
    g_assert_true(queue_nothing_used(queue));
    feed(&pipe, "0123456789");
    g_assert_true(queue_wait(queue));
    g_assert_cmpuint(taken(driver), ==, 8);
    g_assert_cmpmem(driver_host(driver, second), 8, "01234567", 8);
    uint64_t third = offer(driver, 8);
    queue_kick(queue);
    g_assert_true(queue_wait(queue));
    g_assert_cmpuint(taken(driver), ==, 2);
    g_assert_cmpmem(driver_host(driver, third), 3, "89", 3);
    end_with_pipe(driver, &pipe);
}

static void test_pipe_quota(void)
{
    Pipe pipe;
    Driver *driver = start_with_pipe(&pipe, ",max-bytes=4,period=10");
    DriverQueue *queue = &driver->queues[0];

    feed(&pipe, "abcdefgh");
    offer(driver, 8);
    offer(driver, 8);
    queue_kick(queue);
    g_assert_true(queue_wait(queue));
    g_assert_cmpuint(taken(driver), ==, 4);
    bench_drain(driver->bench);
    g_assert_true(queue_nothing_used(queue));
    bench_advance(driver->bench, 10 * MS);
    g_assert_true(queue_wait(queue));
    g_assert_cmpuint(taken(driver), ==, 4);
    end_with_pipe(driver, &pipe);
}

/* A stopped machine waits for nothing, and then goes on; so does one that has loaded its state. */
static void test_stop(void)
{
    Pipe pipe;
    Driver *driver = start_with_pipe(&pipe, "");
    DriverQueue *queue = &driver->queues[0];

    offer(driver, 8);
    offer(driver, 8);
    queue_kick(queue);
    machine_stop(driver->bench->machine, RUN_STATE_PAUSED);
    g_assert_cmpuint(driver->device->queues[0].in_flight, ==, 0);
    feed(&pipe, "abc");
    for (unsigned i = 0; i < 10; i++) {
        loop_iterate(driver->bench->loop, MS);
    }
    g_assert_true(queue_nothing_used(queue));
    g_assert_true(machine_run(driver->bench->machine, NULL));
    g_assert_true(queue_wait(queue));
    g_assert_cmpuint(taken(driver), ==, 3);
    feed(&pipe, "de");
    g_assert_true(queue_wait(queue));
    g_assert_cmpuint(taken(driver), ==, 2);
    end_with_pipe(driver, &pipe);
}

static void test_saved_state(void)
{
    Driver *driver = start("max-bytes=10,period=100"), *second = start("max-bytes=10,period=100");
    Machine *machine = driver->bench->machine, *other = second->bench->machine;
    AUTO_STRBUF(stream);
    AUTO_ERROR(error);

    offer(driver, 6);
    queue_kick(&driver->queues[0]);
    g_assert_cmpuint(taken(driver), ==, 6);
    bench_advance(driver->bench, 30 * MS);
    machine_stop(machine, RUN_STATE_PAUSED);
    offer(driver, 8);
    offer(driver, 8);
    g_assert_true(state_save(machine, &stream, NULL));
    machine_stop(other, RUN_STATE_PAUSED);
    if (!state_load(other, stream.data, stream.length, &error)) {
        g_error("%s", error_message(error));
    }
    second->queues[0] = driver->queues[0];
    second->queues[0].driver = second;
    g_assert_true(machine_run(other, NULL));
    bench_drain(second->bench);
    g_assert_cmpuint(taken(second), ==, 4); /* the rest of the quota */
    bench_advance(second->bench, 69 * MS);
    bench_drain(second->bench);
    g_assert_true(queue_nothing_used(&second->queues[0]));
    bench_advance(second->bench, 1 * MS); /* and of the period */
    bench_drain(second->bench);
    g_assert_cmpuint(taken(second), ==, 8);
    driver_free(driver);
    driver_free(second);
}

static void test_reset(void)
{
    Pipe pipe;
    Driver *driver = start_with_pipe(&pipe, "");

    for (unsigned i = 0; i < 3; i++) {
        uint64_t at = offer(driver, 8);
        queue_kick(&driver->queues[0]);
        driver_put(driver, MMIO_STATUS, 0); /* while it waits */
        g_assert_cmphex(driver_get(driver, MMIO_STATUS), ==, 0);
        feed(&pipe, "xyz");
        for (unsigned n = 0; n < 5; n++) {
            loop_iterate(driver->bench->loop, MS);
        }
        g_assert_cmpuint(*driver_host(driver, at), ==, 0);
        driver_negotiate(driver, 0);
        driver_queue(driver, 0, 8);
        driver_go(driver);
        offer(driver, 8);
        queue_kick(&driver->queues[0]);
        g_assert_true(queue_wait(&driver->queues[0]));
        g_assert_cmpuint(taken(driver), ==, 3);
    }
    offer(driver, 8);
    queue_kick(&driver->queues[0]);
    end_with_pipe(driver, &pipe); /* and the end while it waits */
}

/* A source that has nothing is asked again in the next period; the driver's buffer stays. */
static void test_empty_source(void)
{
    Driver *driver = driver_new_empty(false);
    g_autofree char *path = NULL;
    int fd = g_file_open_tmp("myna-rng-XXXXXX", &path, NULL);
    g_autofree char *log = g_strdup_printf("%s.log", path);

    g_assert_true(log_set_file(driver->bench->log, log, NULL)); /* it is said there */
    g_assert_nonnull(add_source(driver, path, NULL));
    driver_add(driver, "virtio-rng-device", "rng=r0,period=50");
    driver_run(driver);
    driver_negotiate(driver, 0);
    DriverQueue *queue = driver_queue(driver, 0, 8);
    driver_go(driver);
    offer(driver, 4);
    queue_kick(queue);
    for (unsigned i = 0; i < 5; i++) {
        loop_iterate(driver->bench->loop, MS);
    }
    g_assert_true(queue_nothing_used(queue));
    g_assert_cmpint(write(fd, "wxyz", 4), ==, 4);
    bench_advance(driver->bench, 49 * MS);
    bench_drain(driver->bench);
    g_assert_true(queue_nothing_used(queue));
    bench_advance(driver->bench, 1 * MS);
    g_assert_true(queue_wait(queue));
    g_assert_cmpuint(taken(driver), ==, 4);
    driver_free(driver);
    g_autofree char *text = NULL;
    g_assert_true(g_file_get_contents(log, &text, NULL, NULL));
    g_assert_nonnull(strstr(text, "random bytes"));
    close(fd);
    g_remove(path);
    g_remove(log);
}

/* Properties */

static void test_properties(void)
{
    static const char *const cases[][2] = {
        { "period=0", "period" },
        { "max-bytes=9223372036854775808", "max-bytes" },
        { "rng=nothing", "nothing" },
        { "rng=/machine", "rng" },
    };
    Driver *driver = driver_new_empty(false);
    AUTO_ERROR(error);

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        g_autofree char *message = bench_add_error(driver->bench, "virtio-rng-device", cases[i][0]);
        g_assert_nonnull(strstr(message, cases[i][1]));
    }
    g_assert_null(add_source(driver, "/nonexistent/random", &error));
    g_assert_nonnull(strstr(error_message(error), "/nonexistent/random"));
    driver_add(driver, "virtio-rng-device", NULL);
    driver_run(driver);
    driver_free(driver);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/virtio-rng/bytes", test_bytes);
    g_test_add_func("/virtio-rng/odd-buffers", test_odd_buffers);
    g_test_add_func("/virtio-rng/quota", test_quota);
    g_test_add_func("/virtio-rng/pipe", test_pipe);
    g_test_add_func("/virtio-rng/pipe-quota", test_pipe_quota);
    g_test_add_func("/virtio-rng/stop", test_stop);
    g_test_add_func("/virtio-rng/saved-state", test_saved_state);
    g_test_add_func("/virtio-rng/reset", test_reset);
    g_test_add_func("/virtio-rng/empty-source", test_empty_source);
    g_test_add_func("/virtio-rng/properties", test_properties);
    return g_test_run();
}
