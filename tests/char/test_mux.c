/* The multiplexer: focus, its keys, what waits for a front-end that does not read, stamps. */
#include "char_bench.h"

#include <string.h>

/* A pair of FIFOs stands for the terminal. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct Terminal {
    Bench bench;
    char *folder;
    int keys, screen;
    CharDevice *mux;
    BenchFrontend console, monitor;
} Terminal;

static void terminal_init(Terminal *terminal)
{
    terminal->folder = g_dir_make_tmp("myna-mux-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(terminal->folder, "tty", NULL);
    g_autofree char *in = g_strconcat(path, ".in", NULL), *out = g_strconcat(path, ".out", NULL);
    g_assert_cmpint(mkfifo(in, 0600), ==, 0);
    g_assert_cmpint(mkfifo(out, 0600), ==, 0);
    bench_init(&terminal->bench);
    terminal->mux = bench_char(&terminal->bench, "pipe,id=m,path=%s,mux=on", path);
    g_assert_true(char_is_mux(terminal->mux));
    terminal->keys = open(in, O_WRONLY);
    terminal->screen = open(out, O_RDONLY);
    bench_attach(&terminal->bench, &terminal->console, terminal->mux);
    terminal->monitor.frontend.modest = true;
}

static void terminal_finish(Terminal *terminal)
{
    g_autofree char *command = g_strdup_printf("rm -rf '%s'", terminal->folder);
    close(terminal->keys);
    close(terminal->screen);
    bench_finish(&terminal->bench);
    g_assert_cmpint(system(command), ==, 0);
    g_free(terminal->folder);
}

static void type_keys(Terminal *terminal, const char *keys)
{
    g_assert_cmpint(write(terminal->keys, keys, strlen(keys)), ==, (ssize_t)strlen(keys));
    g_usleep(1000);
    bench_settle(&terminal->bench);
}

static void test_focus(void)
{
    Terminal terminal;
    terminal_init(&terminal);
    bench_attach(&terminal.bench, &terminal.monitor, terminal.mux);
    g_assert_cmpuint(terminal.console.mux_out, ==, 1);
    g_assert_cmpuint(terminal.monitor.mux_in, ==, 1);
    type_keys(&terminal, "m");
    bench_expect(&terminal.monitor, "m");
    type_keys(&terminal, "\001cc");
    bench_expect(&terminal.console, "c");
    g_assert_cmpuint(terminal.console.mux_in, ==, 2);
    type_keys(&terminal, "\001\001");
    bench_expect(&terminal.console, "c\001");
    bench_send(&terminal.console, "of the console ");
    bench_send(&terminal.monitor, "of the monitor");
    bench_read(&terminal.bench, terminal.screen, "of the console of the monitor");
    bench_detach(&terminal.console);
    type_keys(&terminal, "n");
    bench_expect(&terminal.monitor, "mn");
    bench_detach(&terminal.monitor);
    g_assert_false(char_has_frontend(terminal.mux));
    terminal_finish(&terminal);
}

static void test_keys(void)
{
    Terminal terminal;
    terminal_init(&terminal);
    type_keys(&terminal, "\001b");
    g_assert_cmpuint(terminal.console.breaks, ==, 1);
    type_keys(&terminal, "\001h");
    bench_read(&terminal.bench, terminal.screen, "C-a C-a  sends C-a\n\r");
    type_keys(&terminal, "\001x");
    bench_read(&terminal.bench, terminal.screen, "Terminated");
    g_assert_cmpuint(terminal.bench.exits, ==, 1);
    type_keys(&terminal, "\001q"); /* no such key */
    g_assert_cmpuint(terminal.console.received.length, ==, 0);
    bench_detach(&terminal.console);
    terminal_finish(&terminal);
}

/* Commands work, and nothing is lost, while the guest does not read. */
static void test_unread(void)
{
    Terminal terminal;
    terminal_init(&terminal);
    terminal.console.limit = 0;
    type_keys(&terminal, "abc\001xdef");
    g_assert_cmpuint(terminal.bench.exits, ==, 1);
    g_assert_cmpuint(terminal.console.received.length, ==, 0);
    terminal.console.limit = 4;
    char_accept_input(&terminal.console.frontend);
    bench_expect(&terminal.console, "abcd");
    terminal.console.limit = SIZE_MAX;
    char_accept_input(&terminal.console.frontend);
    bench_expect(&terminal.console, "abcdef");
    bench_detach(&terminal.console);
    terminal_finish(&terminal);
}

static void test_stamps(void)
{
    Terminal terminal;
    terminal_init(&terminal);
    type_keys(&terminal, "\001t");
    bench_send(&terminal.console, "rest\nfirst\nsecond");
    bench_read(&terminal.bench, terminal.screen, "rest\n[00:00:00.000] first\n[00:00:00.0");
    type_keys(&terminal, "\001t");
    bench_send(&terminal.console, "\nplain\n");
    bench_read(&terminal.bench, terminal.screen, "\nplain\n");
    bench_detach(&terminal.console);
    terminal_finish(&terminal);
}

static void test_limit(void)
{
    Terminal terminal;
    BenchFrontend many[16];
    unsigned count = 0;
    terminal_init(&terminal);
    CharFrontend extra = { 0 };
    while (count < ARRAY_SIZE(many)) {
        if (!char_attach(&extra, terminal.mux, NULL)) {
            break;
        }
        char_detach(&extra);
        bench_attach(&terminal.bench, &many[count++], terminal.mux);
    }
    g_assert_cmpuint(count, ==, 7);
    while (count) {
        bench_detach(&many[--count]);
    }
    bench_detach(&terminal.console);
    terminal_finish(&terminal);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/mux/focus", test_focus);
    g_test_add_func("/mux/keys", test_keys);
    g_test_add_func("/mux/unread", test_unread);
    g_test_add_func("/mux/stamps", test_stamps);
    g_test_add_func("/mux/limit", test_limit);
    return g_test_run();
}
