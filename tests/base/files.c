/* Opening files, sets of descriptors, descriptors by name. */
#include "base/error.h"
#include "base/files.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <unistd.h>

typedef struct Fixture {
    Files *files;
    char *path; /* of a file that says "hello" */
} Fixture;

static void fixture_new(Fixture *fixture, gconstpointer data)
{
    fixture->files = files_new();
    g_close(g_file_open_tmp("files-XXXXXX", &fixture->path, NULL), NULL);
    g_assert_true(g_file_set_contents(fixture->path, "hello", 5, NULL));
}

static void fixture_free(Fixture *fixture, gconstpointer data)
{
    files_free(fixture->files);
    g_unlink(fixture->path);
    g_free(fixture->path);
}

static bool is_open(int fd) { return fcntl(fd, F_GETFD) >= 0; }

static void test_open(Fixture *fixture, gconstpointer data)
{
    int fd = files_open(fixture->files, fixture->path, O_RDONLY, 0, NULL);
    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(fcntl(fd, F_GETFD), ==, FD_CLOEXEC);
    close(fd);
    AUTO_ERROR(error);
    g_assert_cmpint(files_open(fixture->files, "/nonexistent/x", O_RDONLY, 0, &error), ==, -1);
    g_assert_cmpstr(error_message(error), ==, "Could not open '/nonexistent/x': No such file or directory");
    g_assert_cmpint(error_errno(error), ==, ENOENT);
}

static void expect_open_error(Files *files, const char *path, int flags, const char *message)
{
    AUTO_ERROR(error);
    g_assert_cmpint(files_open(files, path, flags, 0, &error), ==, -1);
    g_assert_cmpstr(error_message(error), ==, message);
}

static void test_fdset(Fixture *fixture, gconstpointer data)
{
    int64_t used;
    int reader = open(fixture->path, O_RDONLY), writer = open(fixture->path, O_RDWR);
    g_assert_true(files_fdset_add(fixture->files, 5, reader, "read", &used, NULL));
    g_assert_cmpint(used, ==, 5);
    g_assert_true(files_fdset_add(fixture->files, 5, writer, NULL, &used, NULL));
    int fd = files_open(fixture->files, "/dev/fdset/5", O_RDWR, 0, NULL);
    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(fd, !=, writer);
    g_assert_cmpint(fcntl(fd, F_GETFL) & O_ACCMODE, ==, O_RDWR);
    g_assert_cmpint(fcntl(fd, F_GETFD), ==, FD_CLOEXEC);
    expect_open_error(fixture->files, "/dev/fdset/5", O_WRONLY,
                      "Could not open '/dev/fdset/5': no descriptor in the set is open for writing alone");
    expect_open_error(fixture->files, "/dev/fdset/6", O_RDONLY,
                      "Could not open '/dev/fdset/6': there is no set of descriptors with this number");
    expect_open_error(NULL, "/dev/fdset/5", O_RDONLY,
                      "Could not open '/dev/fdset/5': there is no set of descriptors with this number");
    expect_open_error(fixture->files, "/dev/fdset/x", O_RDONLY,
                      "Could not open '/dev/fdset/x': the number of a set of descriptors must follow /dev/fdset/");
    expect_open_error(fixture->files, "/dev/fdset/-1", O_RDONLY,
                      "Could not open '/dev/fdset/-1': the number of a set of descriptors must follow /dev/fdset/");
    expect_open_error(fixture->files, "/dev/fdset/5", O_RDWR | O_CREAT | O_EXCL,
                      "Could not open '/dev/fdset/5': File exists");
    /* What was opened outlives its set; O_TRUNC does what it says. */
    g_assert_true(files_fdset_remove(fixture->files, 5, -1, NULL));
    g_assert_false(is_open(reader));
    char text[6] = "";
    g_assert_cmpint(pread(fd, text, 5, 0), ==, 5);
    g_assert_cmpstr(text, ==, "hello");
    g_assert_true(files_fdset_add(fixture->files, -1, fd, NULL, &used, NULL));
    g_autofree char *path = g_strdup_printf("/dev/fdset/%d", (int)used);
    int empty = files_open(fixture->files, path, O_RDWR | O_TRUNC | O_APPEND, 0, NULL);
    g_assert_cmpint(pread(empty, text, 5, 0), ==, 0);
    g_assert_cmpint(fcntl(empty, F_GETFL) & O_APPEND, ==, O_APPEND);
    close(empty);
}

static int some_fd(void) { return open("/dev/null", O_RDONLY); }

static void test_fdset_numbers(Fixture *fixture, gconstpointer data)
{
    static const struct {
        int64_t asked, used;
    } rows[] = { { -1, 0 }, { 2, 2 }, { -1, 1 }, { -1, 3 }, { 2, 2 }, { INT64_MAX, INT64_MAX }, { -1, 4 } };
    int64_t used;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        g_assert_true(files_fdset_add(fixture->files, rows[i].asked, some_fd(), "o", &used, NULL));
        g_assert_cmpint(used, ==, rows[i].used);
    }
    static const int64_t sets[] = { 0, 1, 2, 2, 3, 4, INT64_MAX };
    FdsetMember member;
    for (size_t i = 0; i < ARRAY_SIZE(sets); i++) {
        g_assert_true(files_fdset_member(fixture->files, i, &member));
        g_assert_cmpint(member.set, ==, sets[i]);
        g_assert_cmpstr(member.opaque, ==, "o");
    }
    g_assert_false(files_fdset_member(fixture->files, ARRAY_SIZE(sets), &member));
    int fd = some_fd();
    AUTO_ERROR(error);
    g_assert_false(files_fdset_add(fixture->files, -2, fd, NULL, &used, &error));
    g_assert_cmpstr(error_message(error), ==, "Parameter 'fdset-id' expects a non-negative value");
    g_assert_false(is_open(fd));
}

static void test_fdset_remove(Fixture *fixture, gconstpointer data)
{
    int64_t used;
    int first = some_fd(), second = some_fd();
    g_assert_true(files_fdset_add(fixture->files, 1, first, NULL, &used, NULL));
    g_assert_true(files_fdset_add(fixture->files, 1, second, NULL, &used, NULL));
    g_assert_true(files_fdset_remove(fixture->files, 1, first, NULL));
    g_assert_false(is_open(first));
    g_assert_true(is_open(second));
    AUTO_ERROR(error);
    g_assert_false(files_fdset_remove(fixture->files, 1, 999, &error));
    g_assert_cmpstr(error_message(error), ==, "File descriptor named 'fdset-id:1, fd:999' not found");
    AUTO_ERROR(other);
    g_assert_false(files_fdset_remove(fixture->files, 3, -1, &other));
    g_assert_cmpstr(error_message(other), ==, "File descriptor named 'fdset-id:3' not found");
}

static void test_named(Fixture *fixture, gconstpointer data)
{
    int first = some_fd(), second = some_fd();
    g_assert_true(files_add_named(fixture->files, "net", first, NULL));
    g_assert_true(files_add_named(fixture->files, "net", second, NULL));
    g_assert_false(is_open(first)); /* replaced */
    g_assert_cmpint(files_take_fd(fixture->files, "net", NULL), ==, second);
    AUTO_ERROR(error);
    g_assert_cmpint(files_take_fd(fixture->files, "net", &error), ==, -1);
    g_assert_cmpstr(error_message(error), ==, "File descriptor named 'net' not found");
    g_assert_true(files_add_named(fixture->files, "net", second, NULL));
    g_assert_true(files_close_named(fixture->files, "net", NULL));
    g_assert_false(is_open(second));
    AUTO_ERROR(again);
    g_assert_false(files_close_named(fixture->files, "net", &again));
    g_assert_cmpstr(error_message(again), ==, "File descriptor named 'net' not found");
    static const char *const bad[] = { "", "0x", "9" };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        AUTO_ERROR(bad_name);
        int fd = some_fd();
        g_assert_false(files_add_named(fixture->files, bad[i], fd, &bad_name));
        g_assert_cmpstr(error_message(bad_name), ==, "Parameter 'fdname' expects a name not starting with a digit");
        g_assert_false(is_open(fd));
    }
}

static void test_numbered(Fixture *fixture, gconstpointer data)
{
    int fd = some_fd();
    g_autofree char *number = g_strdup_printf("%d", fd);
    g_assert_cmpint(files_take_fd(fixture->files, number, NULL), ==, fd);
    g_assert_cmpint(fcntl(fd, F_GETFD), ==, FD_CLOEXEC);
    close(fd);
    static const char *const rows[][2] = {
        { "7777", "descriptor 7777 is not open" },
        { "4294967296", "descriptor 4294967296 is not open" },
        { "1x", "'1x' is not a non-negative integer" },
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO_ERROR(error);
        g_assert_cmpint(files_take_fd(fixture->files, rows[i][0], &error), ==, -1);
        g_assert_cmpstr(error_message(error), ==, rows[i][1]);
    }
}

static void test_read_all(Fixture *fixture, gconstpointer data)
{
    size_t size;
    g_autofree char *text = files_read_all(fixture->files, fixture->path, 5, &size, NULL);
    g_assert_cmpuint(size, ==, 5);
    g_assert_cmpstr(text, ==, "hello");
    AUTO_ERROR(error);
    g_assert_null(files_read_all(fixture->files, fixture->path, 4, &size, &error));
    g_autofree char *message = g_strdup_printf("'%s' is too large: at most 4 bytes are taken", fixture->path);
    g_assert_cmpstr(error_message(error), ==, message);
    AUTO_ERROR(folder);
    g_assert_null(files_read_all(fixture->files, "/", 4, &size, &folder));
    g_assert_cmpstr(error_message(folder), ==, "Could not read '/': Is a directory");
    AUTO_ERROR(endless);
    g_assert_null(files_read_all(fixture->files, "/dev/zero", 1000000, &size, &endless));
    g_assert_cmpstr(error_message(endless), ==, "'/dev/zero' is too large: at most 1000000 bytes are taken");
    g_autofree char *nothing = files_read_all(fixture->files, "/dev/null", 0, &size, NULL);
    g_assert_cmpuint(size, ==, 0);
    g_assert_cmpstr(nothing, ==, "");
}

static void test_read_all_pipe(Fixture *fixture, gconstpointer data)
{
    enum { SIZE = 300000 };
    int ends[2];
    g_assert_cmpint(pipe(ends), ==, 0);
    int child = fork();
    if (child == 0) {
        char *bytes = calloc(1, SIZE);
        ssize_t written = 0, part;
        while (written < SIZE && (part = write(ends[1], bytes, (size_t)(SIZE - written))) > 0) {
            written += part;
        }
        _exit(0);
    }
    close(ends[1]);
    g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", ends[0]);
    size_t size;
    g_autofree char *bytes = files_read_all(fixture->files, path, SIZE, &size, NULL);
    g_assert_nonnull(bytes);
    g_assert_cmpuint(size, ==, SIZE);
    close(ends[0]);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(Fixture *fixture, gconstpointer data);
    } tests[] = {
        { "/open", test_open },
        { "/fdset", test_fdset },
        { "/fdset/numbers", test_fdset_numbers },
        { "/fdset/remove", test_fdset_remove },
        { "/named", test_named },
        { "/numbered", test_numbered },
        { "/read-all", test_read_all },
        { "/read-all/pipe", test_read_all_pipe },
    };
    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
        g_test_add(tests[i].name, Fixture, NULL, fixture_new, tests[i].run, fixture_free);
    }
    return g_test_run();
}
