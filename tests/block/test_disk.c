/* Disks: opening, transfers, limits, zeroes and discards, order, draining and closing, errors of the host. */
#include "block/block.h"
#include "block/graph.h"

#include "base/error.h"
#include "base/files.h"
#include "core/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <pthread.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SIZE = 64 * 1024 };

typedef struct Rig {
    char *folder, *path;
    Object *root;
    Files *files;
    Loop *loop;
    Disk *disk;
} Rig;

static char *path_in(const Rig *rig, const char *name) { return g_build_filename(rig->folder, name, NULL); }

static Rig rig_empty(void)
{
    Rig rig = { .folder = g_dir_make_tmp("myna-disk-XXXXXX", NULL), .files = files_new() };

    rig.loop = loop_new(false, NULL);
    rig.root = object_new(&container_class, NULL, NULL, NULL);
    rig.path = path_in(&rig, "disk");
    return rig;
}

static uint8_t pattern(uint64_t offset) { return (uint8_t)(offset * 7 + offset / 512 + 1); }

static Rig rig_new(size_t size, bool read_only)
{
    AUTO_ERROR(error);
    Rig rig = rig_empty();
    g_autofree char *bytes = g_malloc(size + 1);

    for (size_t i = 0; i < size; i++) {
        bytes[i] = (char)pattern(i);
    }
    g_assert_true(g_file_set_contents(rig.path, bytes, (gssize)size, NULL));
    rig.disk = disk_open(rig.root, rig.files, rig.loop,
                         &(DiskOptions){ .id = "d0", .filename = rig.path,
                                         .flags = read_only ? 0 : BLOCK_OPEN_WRITE }, &error);
    if (!rig.disk || !disk_attach(rig.disk, rig.root, false, &error)) {
        g_error("%s", error_message(error));
    }
    return rig;
}

static void rig_free(Rig *rig)
{
    if (rig->disk) {
        disk_close(rig->disk);
    }
    object_unref(rig->root);
    loop_free(rig->loop);
    files_free(rig->files);
    g_remove(rig->path);
    g_rmdir(rig->folder);
    g_free(rig->path);
    g_free(rig->folder);
}

/* Requests */

typedef struct Waiting {
    DiskRequest request;
    struct iovec vector;
    bool done;
    int error;
    pthread_t thread;
} Waiting;

static void finished(DiskRequest *request, int error)
{
    Waiting *waiting = request->data;

    g_assert_false(waiting->done);
    waiting->done = true;
    waiting->error = error;
    waiting->thread = pthread_self();
}

static void begin(const Rig *rig, Waiting *waiting, DiskOperation operation, uint64_t offset, void *bytes,
                  uint64_t count)
{
    waiting->vector = (struct iovec){ bytes, count };
    waiting->done = false;
    waiting->request = (DiskRequest){ .operation = operation, .offset = offset, .bytes = count,
                                      .vectors = &waiting->vector, .vector_count = 1, .done = finished,
                                      .data = waiting };
    disk_submit(rig->disk, &waiting->request);
    g_assert_false(waiting->done); /* never within the call */
}

static int perform(const Rig *rig, DiskOperation operation, uint64_t offset, void *bytes, uint64_t count)
{
    Waiting waiting = { 0 };

    begin(rig, &waiting, operation, offset, bytes, count);
    for (unsigned i = 0; !waiting.done && i < 1000; i++) {
        loop_iterate(rig->loop, 10 * 1000 * 1000);
    }
    g_assert_true(waiting.done);
    return waiting.error;
}

static size_t file_bytes(const Rig *rig, char **bytes)
{
    size_t size;

    g_assert_true(g_file_get_contents(rig->path, bytes, &size, NULL));
    return size;
}

/* Opening */

static void expect_refusal(const Rig *rig, const char *path, bool read_only, const char *text)
{
    AUTO_ERROR(error);

    g_assert_null(disk_open(rig->root, rig->files, rig->loop,
                            &(DiskOptions){ .id = "d1", .filename = path,
                                            .flags = read_only ? 0 : BLOCK_OPEN_WRITE }, &error));
    g_assert_nonnull(error);
    if (!strstr(error_message(error), text) || !strstr(error_message(error), path)) {
        g_error("'%s' does not say '%s' of '%s'", error_message(error), text, path);
    }
}

static void test_open_errors(void)
{
    Rig rig = rig_new(SIZE, false);
    g_autofree char *missing = path_in(&rig, "missing"), *fifo = path_in(&rig, "fifo");
    AUTO_ERROR(error);

    expect_refusal(&rig, missing, false, "No such file");
    expect_refusal(&rig, missing, true, "No such file");
    g_assert_false(g_file_test(missing, G_FILE_TEST_EXISTS)); /* and it is not made */
    expect_refusal(&rig, rig.folder, false, "directory");
    expect_refusal(&rig, rig.folder, true, "to be a regular file");
    g_assert_cmpint(mkfifo(fifo, 0600), ==, 0);
    expect_refusal(&rig, fifo, true, "to be a regular file"); /* without waiting for a writer */
    g_remove(fifo);
    g_assert_null(disk_open(rig.root, rig.files, rig.loop,
                            &(DiskOptions){ .id = "d0", .filename = rig.path,
                                            .flags = BLOCK_OPEN_WRITE }, &error)); /* the id is taken */
    g_assert_nonnull(strstr(error_message(error), "d0"));
    rig_free(&rig);
}

static void test_facts(void)
{
    static const size_t sizes[][2] = { { 0, 0 }, { 1, 512 }, { 512, 512 }, { 513, 1024 }, { 5000, 5120 } };

    for (unsigned i = 0; i < G_N_ELEMENTS(sizes); i++) {
        Rig rig = rig_new(sizes[i][0], i % 2);
        g_assert_cmpuint(disk_size(rig.disk), ==, sizes[i][1]);
        g_assert_cmpstr(disk_id(rig.disk), ==, "d0");
        g_assert_cmpstr(disk_path(rig.disk), ==, rig.path);
        g_assert_cmpint(disk_read_only(rig.disk), ==, i % 2);
        rig_free(&rig);
    }
}

static void test_users(void)
{
    Rig rig = rig_new(SIZE, false);
    Object *other = object_new(&container_class, NULL, NULL, NULL);
    AUTO_ERROR(error);

    g_assert_true(disk_attach(rig.disk, rig.root, false, NULL));
    g_assert_true(disk_attach(rig.disk, rig.root, false, NULL));
    g_assert_false(disk_attach(rig.disk, other, false, &error));
    g_assert_cmpstr(error_message(error), ==, "Drive 'd0' is already in use by /");
    disk_detach(rig.disk);
    g_assert_true(disk_attach(rig.disk, other, false, NULL));
    disk_detach(rig.disk);
    object_unref(other);
    rig_free(&rig);
}

/* Transfers */

static void test_read_write(void)
{
    Rig rig = rig_new(SIZE, false);
    uint8_t bytes[2048];
    g_autofree char *after = NULL;

    g_assert_cmpint(perform(&rig, DISK_READ, 1024, bytes, sizeof bytes), ==, 0);
    for (size_t i = 0; i < sizeof bytes; i++) {
        g_assert_cmpuint(bytes[i], ==, pattern(1024 + i));
    }
    memset(bytes, 0x5a, sizeof bytes);
    g_assert_cmpint(perform(&rig, DISK_WRITE, 4096, bytes, 1024), ==, 0);
    g_assert_cmpint(perform(&rig, DISK_FLUSH, 0, NULL, 0), ==, 0);
    g_assert_cmpuint(file_bytes(&rig, &after), ==, SIZE);
    for (size_t i = 0; i < SIZE; i++) {
        g_assert_cmpuint((uint8_t)after[i], ==, i >= 4096 && i < 5120 ? 0x5a : pattern(i));
    }
    g_assert_cmpint(perform(&rig, DISK_READ, 0, NULL, 0), ==, 0);
    g_assert_cmpint(perform(&rig, DISK_WRITE, SIZE, NULL, 0), ==, 0);
    rig_free(&rig);
}

/* More vectors than the host takes at once, of all lengths. */
static void test_vectors(void)
{
    enum { COUNT = 3000 };
    Rig rig = rig_new(SIZE, false);
    struct iovec *vectors = g_new0(struct iovec, COUNT);
    g_autofree uint8_t *bytes = g_malloc0(SIZE);
    Waiting waiting = { 0 };
    size_t used = 0;

    for (unsigned i = 0; i < COUNT; i++) {
        size_t length = i == COUNT - 1 ? SIZE - used : i % 41;
        vectors[i] = (struct iovec){ bytes + used, length };
        used += length;
    }
    for (unsigned i = 0; i < 2; i++) {
        waiting.done = false;
        waiting.request = (DiskRequest){ .operation = i ? DISK_WRITE : DISK_READ, .bytes = SIZE, .vectors = vectors,
                                         .vector_count = COUNT, .done = finished, .data = &waiting };
        disk_submit(rig.disk, &waiting.request);
        disk_drain(rig.disk);
        g_assert_true(waiting.done);
        g_assert_cmpint(waiting.error, ==, 0);
        for (size_t n = 0; n < SIZE; n++) {
            g_assert_cmpuint(bytes[n], ==, i ? (uint8_t)~pattern(n) : pattern(n));
            bytes[n] = (uint8_t)~pattern(n);
        }
    }
    g_assert_cmpuint(vectors[1].iov_len, ==, 1); /* the caller's are as they were */
    g_autofree char *after = NULL;
    file_bytes(&rig, &after);
    g_assert_cmpmem(after, SIZE, bytes, SIZE);
    g_free(vectors);
    rig_free(&rig);
}

static void test_limits(void)
{
    Rig rig = rig_new(SIZE, false);
    uint8_t bytes[1024];
    static const struct {
        uint64_t offset, count;
        int error;
    } cases[] = {
        { SIZE - 1024, 1024, 0 }, { SIZE - 512, 1024, EIO }, { SIZE, 512, EIO },  { UINT64_MAX - 511, 512, EIO },
        { 1, 512, EIO },          { 0, 511, EIO },           { 512, 513, EIO }, { UINT64_MAX - 511, 1024, EIO },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        for (DiskOperation operation = DISK_READ; operation <= DISK_WRITE_ZEROES; operation++) {
            int expected = operation == DISK_FLUSH ? 0 : cases[i].error;
            g_assert_cmpint(perform(&rig, operation, cases[i].offset, bytes, cases[i].count), ==, expected);
        }
    }
    rig_free(&rig);
}

static void test_read_only(void)
{
    Rig rig = rig_new(SIZE, true);
    uint8_t bytes[512];
    g_autofree char *after = NULL;

    g_assert_cmpint(perform(&rig, DISK_WRITE, 0, bytes, 512), ==, EPERM);
    g_assert_cmpint(perform(&rig, DISK_DISCARD, 0, NULL, 512), ==, EPERM);
    g_assert_cmpint(perform(&rig, DISK_WRITE_ZEROES, 0, NULL, 512), ==, EPERM);
    g_assert_cmpint(perform(&rig, DISK_FLUSH, 0, NULL, 0), ==, 0);
    g_assert_cmpint(perform(&rig, DISK_READ, 512, bytes, 512), ==, 0);
    g_assert_cmpuint(bytes[1], ==, pattern(513));
    file_bytes(&rig, &after);
    g_assert_cmpuint((uint8_t)after[0], ==, pattern(0));
    rig_free(&rig);
}

/* What lies between the file's end and the last sector's reads as zero, and can be written. */
static void test_odd_size(void)
{
    Rig rig = rig_new(1000, false);
    uint8_t bytes[1024];
    g_autofree char *after = NULL;

    memset(bytes, 0xee, sizeof bytes);
    g_assert_cmpint(perform(&rig, DISK_READ, 0, bytes, 1024), ==, 0);
    for (unsigned i = 0; i < 1024; i++) {
        g_assert_cmpuint(bytes[i], ==, i < 1000 ? pattern(i) : 0);
    }
    memset(bytes, 0x77, sizeof bytes);
    g_assert_cmpint(perform(&rig, DISK_WRITE, 512, bytes, 512), ==, 0);
    g_assert_cmpuint(file_bytes(&rig, &after), ==, 1024);
    g_assert_cmpuint((uint8_t)after[1023], ==, 0x77);
    rig_free(&rig);
}

static uint64_t allocated(const Rig *rig)
{
    struct stat status;

    g_assert_cmpint(stat(rig->path, &status), ==, 0);
    return (uint64_t)status.st_blocks * 512;
}

static void zero(const Rig *rig, bool may_unmap, uint64_t offset, uint64_t count)
{
    Waiting waiting = { 0 };

    waiting.request = (DiskRequest){ .operation = DISK_WRITE_ZEROES, .may_unmap = may_unmap, .offset = offset,
                                     .bytes = count, .done = finished, .data = &waiting };
    disk_submit(rig->disk, &waiting.request);
    disk_drain(rig->disk);
    g_assert_true(waiting.done);
    g_assert_cmpint(waiting.error, ==, 0);
}

static void test_zeroes(void)
{
    enum { LARGE = 4 << 20 };

    for (unsigned may_unmap = 0; may_unmap < 2; may_unmap++) {
        Rig rig = rig_new(LARGE, false);
        uint64_t before = allocated(&rig);
        g_autofree char *after = NULL;
        zero(&rig, may_unmap, 512, LARGE - 1024);
        g_assert_cmpuint(file_bytes(&rig, &after), ==, LARGE);
        for (size_t i = 0; i < LARGE; i++) {
            g_assert_cmpuint((uint8_t)after[i], ==, i < 512 || i >= LARGE - 512 ? pattern(i) : 0);
        }
        if (!may_unmap) { /* it stays the disk's */
            g_assert_cmpuint(allocated(&rig), >=, before - 4096);
        }
        rig_free(&rig);
    }
}

static void test_zeroes_at_an_odd_end(void)
{
    for (unsigned may_unmap = 0; may_unmap < 2; may_unmap++) {
        Rig rig = rig_new(5000, false);
        uint8_t bytes[1024];
        zero(&rig, may_unmap, 4096, 1024);
        g_assert_cmpint(perform(&rig, DISK_READ, 4096, bytes, 1024), ==, 0);
        for (unsigned i = 0; i < 1024; i++) {
            g_assert_cmpuint(bytes[i], ==, 0);
        }
        rig_free(&rig);
    }
}

static void test_discard(void)
{
    Rig rig = rig_new(SIZE, false);
    g_autofree char *after = NULL;

    g_assert_cmpint(perform(&rig, DISK_DISCARD, 8192, NULL, 16384), ==, 0);
    g_assert_cmpuint(file_bytes(&rig, &after), ==, SIZE); /* as long as before */
    for (size_t i = 0; i < SIZE; i++) {
        if (i < 8192 || i >= 8192 + 16384) {
            g_assert_cmpuint((uint8_t)after[i], ==, pattern(i));
        }
    }
    rig_free(&rig);
}

static void test_first_bytes(void)
{
    Rig rig = rig_new(1000, true);
    uint8_t bytes[1500];

    memset(bytes, 0xcc, sizeof bytes);
    g_assert_true(disk_read_first(rig.disk, bytes, sizeof bytes, NULL));
    for (unsigned i = 0; i < sizeof bytes; i++) {
        g_assert_cmpuint(bytes[i], ==, i < 1000 ? pattern(i) : 0);
    }
    rig_free(&rig);
}

/* Many at once */

static void test_many(void)
{
    enum { COUNT = 500 };
    Rig rig = rig_new(SIZE, false);
    Waiting *waiting = g_new0(Waiting, COUNT);
    g_autofree uint8_t *bytes = g_malloc0(COUNT * 512);

    for (unsigned i = 0; i < COUNT; i++) {
        begin(&rig, &waiting[i], i % 50 == 49 ? DISK_FLUSH : DISK_READ, i * 512 % SIZE, bytes + i * 512, 512);
    }
    disk_drain(rig.disk);
    for (unsigned i = 0; i < COUNT; i++) {
        g_assert_true(waiting[i].done);
        g_assert_cmpint(waiting[i].error, ==, 0);
        g_assert_true(pthread_equal(waiting[i].thread, pthread_self())); /* on the loop */
        if (i % 50 != 49) {
            g_assert_cmpuint(bytes[i * 512 + 5], ==, pattern(i * 512 % SIZE + 5));
        }
    }
    disk_drain(rig.disk); /* nothing to wait for */
    g_free(waiting);
    rig_free(&rig);
}

/* A request that follows from another one's end is waited for, too. */
typedef struct Chain {
    Waiting waiting;
    const Rig *rig;
    unsigned left;
} Chain;

static void next_of_chain(DiskRequest *request, int error)
{
    Chain *chain = request->data;

    g_assert_cmpint(error, ==, 0);
    if (chain->left-- > 0) {
        disk_submit(chain->rig->disk, request);
    }
}

static void test_drain_follows(void)
{
    Rig rig = rig_new(SIZE, false);
    Chain chain = { .rig = &rig, .left = 20 };

    chain.waiting.request = (DiskRequest){ .operation = DISK_FLUSH, .done = next_of_chain, .data = &chain };
    disk_submit(rig.disk, &chain.waiting.request);
    disk_drain(rig.disk);
    g_assert_cmpuint(chain.left, ==, UINT_MAX);
    rig_free(&rig);
}

static void test_close_finishes(void)
{
    enum { COUNT = 64 };
    Rig rig = rig_new(SIZE, false);
    Waiting *waiting = g_new0(Waiting, COUNT);
    uint8_t bytes[512];
    g_autofree char *after = NULL;

    memset(bytes, 0x42, sizeof bytes);
    for (unsigned i = 0; i < COUNT; i++) {
        begin(&rig, &waiting[i], DISK_WRITE, i * 512, bytes, 512);
    }
    disk_close(rig.disk);
    rig.disk = NULL;
    for (unsigned i = 0; i < COUNT; i++) {
        g_assert_true(waiting[i].done);
        g_assert_cmpint(waiting[i].error, ==, 0);
    }
    file_bytes(&rig, &after);
    for (unsigned i = 0; i < COUNT * 512; i++) {
        g_assert_cmpuint((uint8_t)after[i], ==, 0x42);
    }
    g_free(waiting);
    rig_free(&rig);
}

/* The host's own errors come through: here a limit on the size of files. */
static void test_host_errors(void)
{
    Rig rig = rig_new(0, false);
    struct rlimit before, limit;
    uint8_t bytes[512] = { 0 };

    disk_close(rig.disk);
    g_assert_cmpint(truncate(rig.path, SIZE), ==, 0);
    rig.disk = disk_open(rig.root, rig.files, rig.loop,
                         &(DiskOptions){ .id = "d0", .filename = rig.path, .flags = BLOCK_OPEN_WRITE }, NULL);
    g_assert_nonnull(rig.disk);
    g_assert_true(disk_attach(rig.disk, rig.root, false, NULL));
    g_assert_cmpint(getrlimit(RLIMIT_FSIZE, &before), ==, 0);
    limit = (struct rlimit){ 4096, before.rlim_max };
    g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &limit), ==, 0);
    int inside = perform(&rig, DISK_WRITE, 1024, bytes, 512), outside = perform(&rig, DISK_WRITE, 8192, bytes, 512);
    g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &before), ==, 0);
    g_assert_cmpint(inside, ==, 0);
    g_assert_cmpint(outside, ==, EFBIG);
    g_assert_cmpint(truncate(rig.path, 1024), ==, 0); /* somebody cuts the file: no error, and zeroes */
    memset(bytes, 1, sizeof bytes);
    g_assert_cmpint(perform(&rig, DISK_READ, 8192, bytes, 512), ==, 0);
    g_assert_cmpuint(bytes[0] | bytes[511], ==, 0);
    rig_free(&rig);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/disk/open-errors", test_open_errors);
    g_test_add_func("/disk/facts", test_facts);
    g_test_add_func("/disk/users", test_users);
    g_test_add_func("/disk/read-write", test_read_write);
    g_test_add_func("/disk/vectors", test_vectors);
    g_test_add_func("/disk/limits", test_limits);
    g_test_add_func("/disk/read-only", test_read_only);
    g_test_add_func("/disk/odd-size", test_odd_size);
    g_test_add_func("/disk/zeroes", test_zeroes);
    g_test_add_func("/disk/zeroes-at-an-odd-end", test_zeroes_at_an_odd_end);
    g_test_add_func("/disk/discard", test_discard);
    g_test_add_func("/disk/first-bytes", test_first_bytes);
    g_test_add_func("/disk/many", test_many);
    g_test_add_func("/disk/drain-follows", test_drain_follows);
    g_test_add_func("/disk/close-finishes", test_close_finishes);
    g_test_add_func("/disk/host-errors", test_host_errors);
    return g_test_run();
}
