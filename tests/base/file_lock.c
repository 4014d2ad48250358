/* Locks on bytes of files: two open files of one process exclude each other, and the holder can be named. */
#include "base/host/host.h"
#include "base/vec.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <unistd.h>

static void test_locks(void)
{
    char path[] = "/tmp/lock-XXXXXX", number[32];
    int first = g_mkstemp(path), second = open(path, O_RDWR | O_CLOEXEC);
    g_assert_cmpint(host_file_lock_test(first, 0, 1000), ==, 0);
    g_assert_null(host_file_lock_holder(first));
    g_assert_cmpint(host_file_lock_shared(first, 101, 1), ==, 0);
    g_assert_cmpint(host_file_lock_shared(second, 101, 1), ==, 0);  /* shared is shared */
    g_assert_cmpint(host_file_unlock(second, 101, 1), ==, 0);
    g_assert_cmpint(host_file_lock_test(first, 101, 1), ==, 0);     /* one's own is no hindrance */
    g_assert_cmpint(host_file_lock_test(second, 101, 1), ==, EAGAIN);
    g_assert_cmpint(host_file_lock_test(second, 102, 5), ==, 0);
    AUTO_FREE char *holder = host_file_lock_holder(second);
    g_snprintf(number, sizeof number, "process %ld", (long)getpid());
    g_assert_nonnull(holder);
    g_assert_nonnull(strstr(holder, number));
    g_assert_cmpint(host_file_unlock(first, 101, 1), ==, 0);
    g_assert_cmpint(host_file_lock_test(second, 101, 1), ==, 0);
    close(first);
    close(second);
    g_unlink(path);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/file-lock", test_locks);
    return g_test_run();
}
