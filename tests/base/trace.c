/* Trace events: selecting and writing them. gen/events.py is tested by events.py. */
#include "base/error.h"
#include "base/log.h"
#include "base/trace.h"

#include <glib.h>
#include <glib/gstdio.h>

static const TraceEvent events[] = { { "cpu_start" }, { "cpu_stop" }, { "timer_fire" }, { "uart_write" } };

static unsigned selected(const Trace *trace)
{
    unsigned bits = 0;
    for (size_t i = 0; i < ARRAY_SIZE(events); i++) {
        bits |= (unsigned)trace_enabled(trace, i) << i;
    }
    return bits;
}

static void test_select(void)
{
    Trace *trace = trace_new(events, ARRAY_SIZE(events), NULL);
    g_assert_cmpuint(selected(trace), ==, 0);
    g_assert_true(trace_select(trace, "*", NULL));
    g_assert_cmpuint(selected(trace), ==, 15);
    g_assert_true(trace_select(trace, "-cpu_*", NULL));
    g_assert_cmpuint(selected(trace), ==, 12);
    g_assert_true(trace_select(trace, "nothing_like_that*", NULL));
    g_assert_true(trace_select(trace, "cpu_start", NULL));
    g_assert_cmpuint(selected(trace), ==, 13);
    AUTO_ERROR(error);
    g_assert_false(trace_select(trace, "-uart_wirte", &error));
    g_assert_cmpstr(error_message(error), ==, "'uart_wirte' is not a trace event; did you mean 'uart_write'?");
    trace_free(trace);
}

static void test_select_file(void)
{
    Trace *trace = trace_new(events, ARRAY_SIZE(events), NULL);
    g_assert_true(trace_select_file(trace, "# all\n*\n\n  -cpu_*  # but these\r\n\tcpu_stop", NULL));
    g_assert_cmpuint(selected(trace), ==, 14);
    AUTO_ERROR(error);
    g_assert_false(trace_select_file(trace, "cpu_*\n\nzzz\n", &error));
    g_assert_cmpstr(error_message(error), ==, "line 3: 'zzz' is not a trace event");
    g_assert_true(trace_select_file(trace, "", NULL));
    trace_free(trace);
}

static void test_write(void)
{
    g_autofree char *path = NULL;
    g_close(g_file_open_tmp("trace-XXXXXX", &path, NULL), NULL);
    Log *log = log_new();
    g_assert_true(log_set_file(log, path, NULL));
    Trace *trace = trace_new(events, ARRAY_SIZE(events), log);
    trace_write(trace, 3, "offset 0x%x", 16);
    trace_write(trace, 0, "%s", "");
    g_autofree char *text = NULL;
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_assert_cmpstr(text, ==, "uart_write offset 0x10\ncpu_start \n");
    trace_free(trace);
    log_free(log);
    g_unlink(path);
}

static void test_print(void)
{
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    Trace *trace = trace_new(events, ARRAY_SIZE(events), NULL);
    trace_print(trace, file);
    fclose(file);
    g_assert_cmpstr(text, ==, "cpu_start\ncpu_stop\ntimer_fire\nuart_write\n");
    free(text);
    trace_free(trace);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/select", test_select);
    g_test_add_func("/select/file", test_select_file);
    g_test_add_func("/write", test_write);
    g_test_add_func("/print", test_print);
    return g_test_run();
}
