/* What the host gives: clocks, events, poller, memory. */
#include "base/error.h"
#include "base/host/host.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MILLISECOND = 1000000 };

static void test_time(void)
{
    int64_t before = host_monotonic_ns();
    g_assert_cmpint(host_monotonic_ns(), >=, before);
    int64_t difference = host_realtime_ns() / 1000 - g_get_real_time();
    g_assert_cmpint(ABS(difference), <, 1000 * G_USEC_PER_SEC); /* the same calendar, however slow the host */
    g_assert_true(is_power_of_2(host_page_size()));
    g_assert_cmpuint(host_cpu_count(), >=, 1);
}

static void test_random(void)
{
    unsigned char bytes[64] = { 0 }, again[64] = { 0 };
    host_random(bytes, sizeof bytes);
    host_random(again, sizeof again);
    g_assert_cmpint(memcmp(bytes, again, sizeof bytes), !=, 0);
    host_random(bytes, 0);
}

static void test_event(void)
{
    int fd = host_event_new(NULL);
    HostPoller *poller = host_poller_new(NULL);
    HostPollEvent event;
    g_assert_true(host_poller_set(poller, fd, HOST_POLL_IN, &fd, NULL));
    g_assert_cmpint(host_poller_wait(poller, &event, 1, 0), ==, 0);
    host_event_signal(fd);
    host_event_signal(fd);
    g_assert_cmpint(host_poller_wait(poller, &event, 1, -1), ==, 1);
    g_assert_cmpint(event.fd, ==, fd);
    g_assert_cmpuint(event.events, ==, HOST_POLL_IN);
    g_assert_true(event.data == &fd);
    host_event_clear(fd);
    host_event_clear(fd); /* clear of what is clear does not wait */
    g_assert_cmpint(host_poller_wait(poller, &event, 1, 0), ==, 0);
    close(fd);
    host_poller_free(poller);
}

static void test_poller_timeout(void)
{
    HostPoller *poller = host_poller_new(NULL);
    HostPollEvent event;
    int64_t start = host_monotonic_ns();
    g_assert_cmpint(host_poller_wait(poller, &event, 1, 5 * MILLISECOND), ==, 0);
    g_assert_cmpint(host_monotonic_ns() - start, >=, 5 * MILLISECOND);
    host_poller_free(poller);
    host_poller_free(NULL);
}

static void test_poller_pipe(void)
{
    int ends[2], other;
    HostPollEvent events[4];
    HostPoller *poller = host_poller_new(NULL);
    g_assert_cmpint(pipe(ends), ==, 0);
    g_assert_true(host_poller_set(poller, ends[1], HOST_POLL_OUT, &other, NULL));
    g_assert_cmpint(host_poller_wait(poller, events, 4, 0), ==, 1);
    g_assert_cmpuint(events[0].events, ==, HOST_POLL_OUT);
    g_assert_true(host_poller_set(poller, ends[0], HOST_POLL_IN, ends, NULL));
    g_assert_true(host_poller_set(poller, ends[1], 0, NULL, NULL));
    g_assert_cmpint(host_poller_wait(poller, events, 4, 0), ==, 0);
    close(ends[1]);
    g_assert_cmpint(host_poller_wait(poller, events, 4, 0), ==, 1);
    g_assert_cmpuint(events[0].events & HOST_POLL_HANGUP, !=, 0);
    close(ends[0]);
    /* The number in use again without having been removed. */
    g_assert_cmpint(pipe(ends), ==, 0);
    g_assert_true(host_poller_set(poller, ends[0], HOST_POLL_IN, &other, NULL));
    g_assert_cmpint(write(ends[1], "x", 1), ==, 1);
    g_assert_cmpint(host_poller_wait(poller, events, 4, 0), ==, 1);
    g_assert_true(events[0].data == &other);
    g_assert_true(host_poller_set(poller, ends[0], 0, NULL, NULL));
    g_assert_true(host_poller_set(poller, ends[0], 0, NULL, NULL)); /* removing twice is fine */
    close(ends[0]);
    close(ends[1]);
    AUTO_ERROR(error);
    g_assert_false(host_poller_set(poller, ends[0], HOST_POLL_IN, NULL, &error));
    g_assert_true(g_str_has_suffix(error_message(error), ": Bad file descriptor"));
    host_poller_free(poller);
}

static void test_poller_file(void)
{
    g_autofree char *path = NULL;
    int fd = g_file_open_tmp("poll-XXXXXX", &path, NULL);
    HostPollEvent events[4];
    HostPoller *poller = host_poller_new(NULL), *outer = host_poller_new(NULL);
    g_assert_true(host_poller_set(outer, host_poller_fd(poller), HOST_POLL_IN, NULL, NULL));
    g_assert_cmpint(host_poller_wait(outer, events, 4, 0), ==, 0);
    g_assert_true(host_poller_set(poller, fd, HOST_POLL_IN | HOST_POLL_OUT, &fd, NULL));
    g_assert_cmpint(host_poller_wait(outer, events, 4, 0), ==, 1); /* through another loop, too */
    for (int i = 0; i < 2; i++) {
        g_assert_cmpint(host_poller_wait(poller, events, 4, -1), ==, 1);
        g_assert_cmpint(events[0].fd, ==, fd);
        g_assert_cmpuint(events[0].events, ==, HOST_POLL_IN | HOST_POLL_OUT);
        g_assert_true(events[0].data == &fd);
    }
    g_assert_true(host_poller_set(poller, fd, 0, NULL, NULL));
    g_assert_cmpint(host_poller_wait(poller, events, 4, 0), ==, 0);
    g_assert_cmpint(host_poller_wait(outer, events, 4, 0), ==, 0);
    host_poller_free(outer);
    host_poller_free(poller);
    close(fd);
    g_unlink(path);
}

static void test_memory(void)
{
    size_t size = 4 * host_page_size();
    unsigned char *memory = host_memory_map(-1, 0, size, HOST_MEMORY_NORESERVE, NULL);
    g_assert_nonnull(memory);
    memory[0] = 1;
    memory[size - 1] = 2;
    g_assert_true(host_memory_prealloc(memory, size, NULL));
    g_assert_cmpuint(memory[0] + memory[size - 1], ==, 3); /* kept */
    host_memory_dont_need(memory, size);
    g_assert_cmpuint(memory[0] + memory[size - 1], ==, 0);
    host_memory_unmap(memory, size);
    AUTO_ERROR(error);
    g_assert_null(host_memory_map(-1, 0, UINT64_C(1) << 62, 0, &error));
    g_assert_cmpstr(error_message(error), ==, "cannot map 4611686018427387904 bytes of memory: Cannot allocate memory");
}

static void test_memfd(void)
{
    size_t size = 2 * host_page_size();
    int fd = host_memfd_new("test", size, false, NULL);
    g_assert_cmpint(fd, >=, 0);
    unsigned char *first = host_memory_map(fd, 0, size, HOST_MEMORY_SHARED, NULL);
    unsigned char *second = host_memory_map(fd, host_page_size(), host_page_size(), HOST_MEMORY_SHARED, NULL);
    unsigned char *copy = host_memory_map(fd, 0, size, 0, NULL);
    first[host_page_size()] = 9;
    g_assert_cmpuint(second[0], ==, 9);
    copy[0] = 5; /* private */
    g_assert_cmpuint(first[0], ==, 0);
    host_memory_dont_need(first, size); /* both sharers see it */
    g_assert_cmpuint(second[0], ==, 0);
    host_memory_unmap(first, size);
    host_memory_unmap(second, host_page_size());
    host_memory_unmap(copy, size);
    close(fd);
    AUTO_ERROR(error);
    g_assert_cmpint(host_memfd_new("large", UINT64_MAX, false, &error), ==, -1);
    g_assert_cmpstr(error_message(error), ==,
                    "cannot make the memory file 'large' 18446744073709551615 bytes long: File too large");
}

static void expect_bytes(int fd, off_t offset, const char *expected)
{
    char bytes[4];
    g_assert_cmpint(pread(fd, bytes, sizeof bytes, offset), ==, sizeof bytes);
    g_assert_cmpmem(bytes, sizeof bytes, expected, sizeof bytes);
}

/* A host's file system may lack these, and then says so; what it does must be right. */
static void test_file(void)
{
    g_autofree char *path = NULL;
    int fd = g_file_open_tmp("zero-XXXXXX", &path, NULL);
    g_assert_cmpint(write(fd, "abcdefghijkl", 12), ==, 12);
    for (int may_unmap = 0; may_unmap < 2; may_unmap++) {
        int result = host_file_zero(fd, 2, 3, may_unmap);
        g_assert_true(result == 0 || result == EOPNOTSUPP);
        expect_bytes(fd, 1, result ? "bcde" : "b\0\0\0");
    }
    expect_bytes(fd, 5, "fghi");
    int result = host_file_discard(fd, false, 6, 100); /* the file keeps its length */
    g_assert_true(result == 0 || result == EOPNOTSUPP);
    g_assert_cmpint(lseek(fd, 0, SEEK_END), ==, 12);
    close(fd);
    g_assert_cmpint(host_file_zero(fd, 0, 1, false), ==, EBADF);
    int null = open("/dev/null", O_RDWR);
    g_assert_cmpint(host_file_discard(null, true, 0, 512), ==, EOPNOTSUPP);
    uint64_t bytes;
    AUTO_ERROR(error);
    g_assert_false(host_device_size(null, &bytes, &error));
    g_assert_true(g_str_has_prefix(error_message(error), "cannot find the size of the block device: "));
    close(null);
    g_unlink(path);
}

static void test_memory_read_only(void)
{
    size_t size = host_page_size();
    if (g_test_subprocess()) {
        volatile char *memory = host_memory_map(-1, 0, size, HOST_MEMORY_READ_ONLY, NULL);
        memory[0] = 1;
        exit(0);
    }
    g_test_trap_subprocess(NULL, 0, 0);
    g_test_trap_assert_failed();
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/time", test_time);
    g_test_add_func("/random", test_random);
    g_test_add_func("/event", test_event);
    g_test_add_func("/poller/timeout", test_poller_timeout);
    g_test_add_func("/poller/pipe", test_poller_pipe);
    g_test_add_func("/poller/file", test_poller_file);
    g_test_add_func("/file", test_file);
    g_test_add_func("/memory", test_memory);
    g_test_add_func("/memory/memfd", test_memfd);
    g_test_add_func("/memory/read-only", test_memory_read_only);
    return g_test_run();
}
