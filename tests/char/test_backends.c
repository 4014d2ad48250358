/* Files, FIFOs, pseudo-terminals, ring buffers, nothing; the older syntax; what is refused. */
#include "char_bench.h"

#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char *folder;

enum { ENDING_BYTES = 2000 };

static void test_null(void)
{
    Bench bench;
    BenchFrontend frontend;
    bench_init(&bench);
    bench_attach(&bench, &frontend, bench_char(&bench, "null,id=n"));
    g_assert_cmpuint(frontend.opened, ==, 1);
    bench_send(&frontend, "lost");
    g_autofree char *name = char_filename(frontend.frontend.backend);
    g_assert_cmpstr(name, ==, "null");
    g_assert_true(char_has_frontend(frontend.frontend.backend));
    bench_detach(&frontend);
    bench_finish(&bench);
}

static void assert_file(const char *path, const char *expected)
{
    g_autofree char *text = NULL;
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_assert_cmpstr(text, ==, expected);
}

static void test_file(void)
{
    Bench bench;
    BenchFrontend frontend;
    g_autofree char *out = g_build_filename(folder, "out", NULL), *in = g_build_filename(folder, "in", NULL);
    bench_init(&bench);
    g_assert_true(g_file_set_contents(in, "typed", -1, NULL));
    bench_attach(&bench, &frontend, bench_char(&bench, "file,id=f,path=%s,input-path=%s", out, in));
    bench_send(&frontend, "one\n");
    bench_expect(&frontend, "typed");
    bench_wait(&bench, &frontend.closed, 1);
    bench_send(&frontend, "two\n");
    assert_file(out, "one\ntwo\n");
    bench_detach(&frontend);
    bench_attach(&bench, &frontend, bench_char(&bench, "file,id=g,path=%s,append=on", out));
    bench_send(&frontend, "three\n");
    assert_file(out, "one\ntwo\nthree\n");
    bench_detach(&frontend);
    bench_attach(&bench, &frontend, bench_char(&bench, "file,id=h,path=%s", out));
    assert_file(out, "");
    bench_detach(&frontend);
    bench_finish(&bench);
}

static void *write_bytes(void *data)
{
    for (unsigned i = 0; i < ENDING_BYTES; i++) {
        g_assert_cmpuint(char_write(data, (const uint8_t *)"x", 1), ==, 1);
    }
    return NULL;
}

/* The input ends while another thread writes: nothing of that is lost. */
static void test_end_of_input(void)
{
    g_autofree char *out = g_build_filename(folder, "all", NULL);

    for (unsigned round = 0; round < 50; round++) {
        Bench bench;
        BenchFrontend frontend;
        g_autofree char *text = NULL;
        size_t size;
        bench_init(&bench);
        bench_attach(&bench, &frontend, bench_char(&bench, "file,id=f,path=%s,input-path=/dev/null", out));
        GThread *writer = g_thread_new("writer", write_bytes, &frontend.frontend);
        bench_wait(&bench, &frontend.closed, 1);
        g_thread_join(writer);
        g_assert_true(g_file_get_contents(out, &text, &size, NULL));
        g_assert_cmpuint(size, ==, ENDING_BYTES);
        bench_detach(&frontend);
        bench_finish(&bench);
    }
}

static void test_log(void)
{
    Bench bench;
    BenchFrontend frontend;
    g_autofree char *log = g_build_filename(folder, "log", NULL);
    bench_init(&bench);
    bench_attach(&bench, &frontend, bench_char(&bench, "null,id=n,logfile=%s", log));
    bench_send(&frontend, "kept");
    assert_file(log, "kept");
    bench_detach(&frontend);
    bench_finish(&bench);
}

static void test_pipe(void)
{
    Bench bench;
    BenchFrontend frontend;
    g_autofree char *path = g_build_filename(folder, "fifo", NULL);
    g_autofree char *in = g_strconcat(path, ".in", NULL), *out = g_strconcat(path, ".out", NULL);
    bench_init(&bench);
    g_assert_cmpint(mkfifo(in, 0600), ==, 0);
    g_assert_cmpint(mkfifo(out, 0600), ==, 0);
    bench_attach(&bench, &frontend, bench_char(&bench, "pipe,id=p,path=%s", path));
    int to = open(in, O_WRONLY), from = open(out, O_RDONLY);
    g_assert_cmpint(write(to, "hello", 5), ==, 5);
    bench_expect(&frontend, "hello");
    bench_send(&frontend, "world");
    bench_read(&bench, from, "world");
    close(to);
    close(from);
    bench_detach(&frontend);
    bench_finish(&bench);
}

/* More than a FIFO holds: what is not taken is written when there is room again. */
static void test_back_pressure(void)
{
    Bench bench;
    BenchFrontend frontend;
    g_autofree char *path = g_build_filename(folder, "both", NULL);
    g_autofree char *block = g_strnfill(65536, 'x');
    bench_init(&bench);
    g_assert_cmpint(mkfifo(path, 0600), ==, 0);
    bench_attach(&bench, &frontend, bench_char(&bench, "pipe,id=p,path=%s", path));
    frontend.limit = 0; /* the FIFO is its own peer */
    char_accept_input(&frontend.frontend);
    bench_settle(&bench);
    bench_send(&frontend, block);
    size_t taken = char_write(&frontend.frontend, (const uint8_t *)"yz", 2);
    g_assert_cmpuint(taken, ==, 0);
    frontend.limit = SIZE_MAX;
    char_accept_input(&frontend.frontend);
    bench_send(&frontend, "yz");
    bench_expect(&frontend, "xyz");
    g_assert_cmpuint(frontend.writable, ==, 1);
    g_assert_cmpuint(frontend.received.length, ==, 65538);
    bench_detach(&frontend);
    bench_finish(&bench);
}

static void test_pty(void)
{
    Bench bench;
    BenchFrontend frontend;
    g_autofree char *link = g_build_filename(folder, "tty", NULL);
    bench_init(&bench);
    CharDevice *device = bench_char(&bench, "pty,id=t,path=%s", link);
    bench_attach(&bench, &frontend, device);
    g_autofree char *name = char_filename(device);
    g_assert_true(g_str_has_prefix(name, "pty:/dev/pts/"));
    bench_send(&frontend, "nobody listens");
    for (unsigned round = 1; round <= 2; round++) {
        int slave = open(link, O_RDWR | O_NOCTTY);
        g_assert_cmpint(slave, >=, 0);
        bench_wait(&bench, &frontend.opened, round);
        g_assert_cmpint(write(slave, "key\r", 4), ==, 4);
        bench_expect(&frontend, "key\r");
        strbuf_clear(&frontend.received);
        bench_send(&frontend, "shown\n");
        bench_read(&bench, slave, "shown\n");
        close(slave);
        bench_wait(&bench, &frontend.closed, round);
    }
    bench_detach(&frontend);
    bench_finish(&bench);
    g_assert_cmpint(access(link, F_OK), ==, -1);
}

static void test_ringbuf(void)
{
    Bench bench;
    BenchFrontend frontend;
    uint8_t bytes[16];
    bench_init(&bench);
    CharDevice *device = bench_char(&bench, "ringbuf,id=r,size=8");
    bench_attach(&bench, &frontend, device);
    g_assert_true(char_is_ring(device));
    bench_send(&frontend, "0123456789");
    g_assert_cmpuint(char_ring_read(device, bytes, 3), ==, 3);
    g_assert_cmpmem(bytes, 3, "234", 3);
    g_assert_cmpuint(char_ring_write(device, (const uint8_t *)"ab", 2), ==, 2);
    g_assert_cmpuint(char_ring_read(device, bytes, sizeof bytes), ==, 7);
    g_assert_cmpmem(bytes, 7, "56789ab", 7);
    g_assert_cmpuint(char_ring_read(device, bytes, sizeof bytes), ==, 0);
    bench_detach(&frontend);
    bench_finish(&bench);
}

static void test_life(void)
{
    Bench bench;
    BenchFrontend frontend, second;
    AUTO_ERROR(error);
    bench_init(&bench);
    CharDevice *device = bench_char(&bench, "null,id=a");
    bench_attach(&bench, &frontend, device);
    g_assert_false(char_attach(&second.frontend, device, &error));
    g_assert_nonnull(strstr(error_message(error), "'a' is already in use"));
    g_assert_false(char_remove(&bench.host, "a", NULL));
    bench_detach(&frontend);
    g_assert_true(char_remove(&bench.host, "a", NULL));
    g_assert_null(char_find(&bench.host, "a", NULL));
    bench_finish(&bench);
}

/* A front-end may outlive its back-end's place in the tree: what it writes is lost. */
static void test_removed_while_in_use(void)
{
    Bench bench;
    BenchFrontend frontend;
    g_autofree char *out = g_build_filename(folder, "gone", NULL);
    bench_init(&bench);
    bench_attach(&bench, &frontend, bench_char(&bench, "file,id=f,path=%s", out));
    char_remove_all(&bench.host);
    bench_send(&frontend, "lost");
    assert_file(out, "");
    bench_detach(&frontend);
    bench_finish(&bench);
}

static void test_refused(void)
{
    static const struct {
        const char *options, *message;
    } rows[] = {
        { "null", "'id'" },
        { "null,id=9", "identifier" },
        { "null,id=a/b", "identifier" },
        { "nul,id=a", "'null'" },
        { "file,id=a", "'path'" },
        { "file,id=a,path=/nowhere/a", "/nowhere/a" },
        { "file,id=a,path=/tmp,apend=on", "apend" },
        { "ringbuf,id=a,size=3", "power of two" },
        { "ringbuf,id=a,size=1T", "at most 1G" },
        { "mux,id=a,chardev=b", "'b'" },
        { "pipe,id=a,path=/nowhere/a", "/nowhere/a" },
        { "pty,id=a,path=/nowhere/a", "/nowhere/a" },
        { "null,id=a,logfile=/nowhere/a", "/nowhere/a" },
    };
    Bench bench;
    bench_init(&bench);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        g_autofree char *message = bench_refused(&bench, "%s", rows[i].options);
        if (!strstr(message, rows[i].message)) {
            g_error("%s: %s", rows[i].options, message);
        }
        g_assert_null(char_find(&bench.host, "a", NULL));
    }
    bench_char(&bench, "null,id=twice");
    g_autofree char *message = bench_refused(&bench, "null,id=twice");
    g_assert_nonnull(strstr(message, "already"));
    bench_finish(&bench);
}

static void test_legacy(void)
{
    static const struct {
        const char *text, *filename; /* NULL: none is made */
        bool monitor;
    } rows[] = {
        { "null", "null", false }, { "none", NULL, false },         { "vc", "vc", false },
        { "mon:null", "mux", true }, { "chardev:there", "null", false }, { "mon:chardev:there", "null", true },
        { "tcp:127.0.0.1:0,server=on,wait=off", "disconnected:tcp:127.0.0.1:", false },
        { "telnet:127.0.0.1:0,server,nowait", "disconnected:telnet:127.0.0.1:", false },
    };
    Bench bench;
    bench_init(&bench);
    bench_char(&bench, "null,id=there");
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO_ERROR(error);
        CharDevice *device;
        bool monitor;
        g_autofree char *id = g_strdup_printf("serial%zu", i);
        if (!char_new_legacy(&bench.host, id, rows[i].text, &device, &monitor, &error)) {
            g_error("%s: %s", rows[i].text, error_message(error));
        }
        g_assert_cmpint(monitor, ==, rows[i].monitor);
        g_assert_cmpint(device != NULL, ==, rows[i].filename != NULL);
        g_autofree char *name = device ? char_filename(device) : NULL;
        g_assert_true(!device || g_str_has_prefix(name, rows[i].filename));
    }
    bench_finish(&bench);
}

static void test_legacy_refused(void)
{
    static const struct {
        const char *text, *message;
    } rows[] = {
        { "", "is not a character device" },
        { "nul", "is not a character device" },
        { "stdio2", "is not a character device" },
        { "file:", "path is missing" },
        { "tcp:here", "HOST:PORT" },
        { "tcp:here:", "HOST:PORT" },
        { "tcp:127.0.0.1:1,sevrer=on", "sevrer" },
        { "unix:/nowhere/a", "/nowhere/a" },
        { "chardev:none", "'none'" },
        { "mon:", "is not a character device" },
    };
    Bench bench;
    bench_init(&bench);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO_ERROR(error);
        CharDevice *device;
        bool monitor;
        g_assert_false(char_new_legacy(&bench.host, "x", rows[i].text, &device, &monitor, &error));
        if (!strstr(error_message(error), rows[i].message)) {
            g_error("%s: %s", rows[i].text, error_message(error));
        }
    }
    bench_finish(&bench);
}

static void remove_folder(void)
{
    g_autofree char *command = g_strdup_printf("rm -rf '%s'", folder);
    g_assert_cmpint(system(command), ==, 0);
    g_free(folder);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    folder = g_dir_make_tmp("myna-char-XXXXXX", NULL);
    g_test_add_func("/char/null", test_null);
    g_test_add_func("/char/file", test_file);
    g_test_add_func("/char/end-of-input", test_end_of_input);
    g_test_add_func("/char/log", test_log);
    g_test_add_func("/char/pipe", test_pipe);
    g_test_add_func("/char/back-pressure", test_back_pressure);
    g_test_add_func("/char/pty", test_pty);
    g_test_add_func("/char/ringbuf", test_ringbuf);
    g_test_add_func("/char/life", test_life);
    g_test_add_func("/char/removed-while-in-use", test_removed_while_in_use);
    g_test_add_func("/char/refused", test_refused);
    g_test_add_func("/char/legacy", test_legacy);
    g_test_add_func("/char/legacy-refused", test_legacy_refused);
    int status = g_test_run();
    remove_folder();
    return status;
}
