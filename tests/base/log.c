/* The log: items, files, ranges, messages that stay whole. */
#include "base/error.h"
#include "base/host/host.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "base/thread.h"
#include "base/trace.h"
#include "base/vec.h"

#include <glib.h>
#include <glib/gstdio.h>
#include <unistd.h>

static uint32_t items_of(const char *list)
{
    Log *log = log_new();
    g_assert_true(log_set_items(log, list, NULL));
    uint32_t items = log->items;
    log_free(log);
    return items;
}

static void test_items(void)
{
    g_assert_cmpuint(items_of("int"), ==, LOG_INT);
    g_assert_cmpuint(items_of("cpu_reset,in_asm"), ==, LOG_RESET | LOG_IN_ASM);
    g_assert_cmpuint(items_of("none"), ==, 0);
    g_assert_cmpuint(items_of("op_ind,vpu,op_plugin,invalid_mem,plugin,pcall"), ==, LOG_INVALID_MEM);
    g_assert_cmpuint(items_of("int,none,mmu"), ==, LOG_MMU);
    g_assert_cmpuint(items_of("all"), ==, mask_bits(LOG_ITEM_COUNT) & ~(uint64_t)(LOG_NOCHAIN | LOG_TID));
    g_assert_cmpuint(items_of("all,nochain"), ==, mask_bits(LOG_ITEM_COUNT) & ~(uint64_t)LOG_TID);
}

static void expect_items_error(Log *log, const char *list, const char *message)
{
    AUTO_ERROR(error);
    uint32_t before = log->items;
    g_assert_false(log_set_items(log, list, &error));
    g_assert_cmpstr(error_message(error), ==, message);
    g_assert_cmpuint(log->items, ==, before);
}

static void test_items_bad(void)
{
    Log *log = log_new();
    g_assert_true(log_set_items(log, "int", NULL));
    expect_items_error(log, "mmu,gest_errors", "'gest_errors' is not a log item; did you mean 'guest_errors'?");
    expect_items_error(log, "frobnicate", "'frobnicate' is not a log item; 'help' lists them");
    expect_items_error(log, "", "'' is not a log item; 'help' lists them");
    expect_items_error(log, "mmu,", "'' is not a log item; 'help' lists them");
    expect_items_error(log, "trace:x*", "'trace:x*': there are no trace events here");
    expect_items_error(log, "tid", "the log item 'tid' needs a log file whose name has '%d' in it");
    log_free(log);
}

static void test_trace_items(void)
{
    static const TraceEvent events[] = { { "cpu_start" }, { "cpu_stop" }, { "timer_fire" } };
    Log *log = log_new();
    Trace *trace = trace_new(events, ARRAY_SIZE(events), log);
    log->trace = trace;
    g_assert_true(log_set_items(log, "int,trace:cpu_*,trace:-cpu_stop", NULL));
    g_assert_cmpuint(log->items, ==, LOG_INT);
    g_assert_true(trace_enabled(trace, 0));
    g_assert_false(trace_enabled(trace, 1));
    g_assert_false(trace_enabled(trace, 2));
    expect_items_error(log, "trace:timer_fir", "'timer_fir' is not a trace event; did you mean 'timer_fire'?");
    trace_free(trace);
    log_free(log);
}

static void test_print_items(void)
{
    AUTO_STRBUF(out);
    log_print_items(&out);
    const char *text = strbuf_text(&out);
    g_assert_true(g_str_has_prefix(text, "Log items (comma separated):\nout_asm         show generated host"));
    g_assert_nonnull(strstr(text, "\ntrace:PATTERN   enable trace events"));
}

static void test_ranges(void)
{
    Log *log = log_new();
    g_assert_true(log_address_selected(log, 0));
    g_assert_true(log_set_ranges(log, "0x8000..0x8fff,0xffffffffffffff00+0x100,0x1000-0x100,7+1", NULL));
    static const struct {
        uint64_t address;
        bool selected;
    } rows[] = {
        { 0x7fff, false }, { 0x8000, true }, { 0x8fff, true }, { 0x9000, false }, { UINT64_MAX, true },
        { UINT64_C(0xffffffffffffff00), true }, { UINT64_C(0xfffffffffffffeff), false }, { 0x1000, true },
        { 0xf01, true }, { 0xf00, false }, { 0x1001, false }, { 7, true }, { 8, false }, { 0, false },
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        g_assert_true(log_address_selected(log, rows[i].address) == rows[i].selected);
    }
    log_free(log);
}

static void test_ranges_bad(void)
{
    static const char *const rows[][2] = {
        { "0x1000", "'0x1000' is not an address range: use START..END, START+LENGTH or START-LENGTH" },
        { "", "'' is not an address range: use START..END, START+LENGTH or START-LENGTH" },
        { "1.2", "'1.2' is not an address range: use START..END, START+LENGTH or START-LENGTH" },
        { "1+1,", "'' is not an address range: use START..END, START+LENGTH or START-LENGTH" },
        { "9..8", "'9..8' ends before it starts: use START..END, START+LENGTH or START-LENGTH" },
        { "9+0", "'9+0' is empty: use START..END, START+LENGTH or START-LENGTH" },
        { "9-0", "'9-0' is empty: use START..END, START+LENGTH or START-LENGTH" },
        { "1-3", "'1-3' reaches beyond the address space: use START..END, START+LENGTH or START-LENGTH" },
        { "0xffffffffffffffff+2",
          "'0xffffffffffffffff+2' reaches beyond the address space: use START..END, START+LENGTH or START-LENGTH" },
        { "5+x", "address range '5+x': 'x' is not a non-negative integer" },
        { "..5", "address range '..5': '' is not a non-negative integer" },
    };
    Log *log = log_new();
    g_assert_true(log_set_ranges(log, "5..6", NULL));
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO_ERROR(error);
        g_assert_false(log_set_ranges(log, rows[i][0], &error));
        g_assert_cmpstr(error_message(error), ==, rows[i][1]);
    }
    g_assert_true(log_address_selected(log, 5)); /* the old ones stand */
    g_assert_false(log_address_selected(log, 7));
    log_free(log);
}

typedef struct Folder {
    char *path;
} Folder;

static char *in_folder(const Folder *folder, const char *name) { return g_build_filename(folder->path, name, NULL); }

static void folder_new(Folder *folder, gconstpointer data) { folder->path = g_dir_make_tmp("log-XXXXXX", NULL); }

static void folder_free(Folder *folder, gconstpointer data)
{
    GDir *dir = g_dir_open(folder->path, 0, NULL);
    for (const char *name; (name = g_dir_read_name(dir));) {
        g_autofree char *path = in_folder(folder, name);
        g_unlink(path);
    }
    g_dir_close(dir);
    g_rmdir(folder->path);
    g_free(folder->path);
}

static void expect_content(const char *path, const char *content)
{
    g_autofree char *text = NULL;
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_assert_cmpstr(text, ==, content);
}

static void test_file(Folder *folder, gconstpointer data)
{
    g_autofree char *plain = in_folder(folder, "plain");
    g_autofree char *number = in_folder(folder, "by-%d.log");
    g_autofree char *expanded = g_strdup_printf("%s/by-%d.log", folder->path, (int)getpid());
    Log *log = log_new();
    g_assert_true(log_set_file(log, plain, NULL));
    log_write(log, "one %d\n", 1);
    expect_content(plain, "one 1\n"); /* at once */
    g_assert_true(log_set_file(log, number, NULL));
    log_write(log, "two\n");
    expect_content(expanded, "two\n");
    expect_content(plain, "one 1\n");
    g_assert_true(log_set_file(log, plain, NULL)); /* a log starts anew */
    expect_content(plain, "");
    g_assert_true(log_set_file(log, "", NULL));
    g_assert_null(log->file);
    g_assert_true(log_set_file(log, NULL, NULL));
    log_free(log);
}

static void expect_file_error(Log *log, const char *name, const char *message)
{
    AUTO_ERROR(error);
    g_assert_false(log_set_file(log, name, &error));
    g_assert_cmpstr(error_message(error), ==, message);
}

static void test_file_bad(Folder *folder, gconstpointer data)
{
    Log *log = log_new();
    g_autofree char *good = in_folder(folder, "good");
    g_assert_true(log_set_file(log, good, NULL));
    expect_file_error(log, "a%d.%d", "the log file name 'a%d.%d' may hold one '%d' and no other '%'");
    expect_file_error(log, "a%s", "the log file name 'a%s' may hold one '%d' and no other '%'");
    expect_file_error(log, "a%", "the log file name 'a%' may hold one '%d' and no other '%'");
    expect_file_error(log, "/nonexistent/x", "Could not open '/nonexistent/x': No such file or directory");
    log_write(log, "still here\n");
    expect_content(good, "still here\n");
    log_free(log);
}

static void test_long_message(Folder *folder, gconstpointer data)
{
    g_autofree char *path = in_folder(folder, "long");
    Log *log = log_new();
    g_assert_true(log_set_file(log, path, NULL));
    for (int length = 500; length < 530; length++) {
        g_autofree char *text = g_strnfill((gsize)length, 'x');
        g_assert_true(log_set_file(log, path, NULL));
        log_write(log, "%s", text);
        expect_content(path, text);
    }
    log_free(log);
}

enum { THREADS = 4, MESSAGES = 200 };

static void *write_messages(void *argument)
{
    Log *log = argument;
    char text[700];
    memset(text, 'a' + (int)(host_thread_id() % 26), sizeof text);
    for (int i = 0; i < MESSAGES; i++) {
        log_write(log, "%.*s\n", i % 2 ? 20 : 700, text);
    }
    return NULL;
}

static void run_writers(Log *log)
{
    Thread threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        g_assert_true(thread_start(&threads[i], "writer", write_messages, log, NULL));
    }
    for (int i = 0; i < THREADS; i++) {
        thread_join(&threads[i]);
    }
}

/* Every line is of one letter: none was cut by another. */
static unsigned count_whole_lines(const char *path)
{
    g_autofree char *text = NULL;
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    unsigned count = 0;
    for (; lines[count] && *lines[count]; count++) {
        size_t length = strlen(lines[count]);
        g_assert_true(length == 20 || length == 700);
        char letter[] = { lines[count][0], '\0' };
        g_assert_cmpuint(strspn(lines[count], letter), ==, length);
    }
    return count;
}

static void test_threads(Folder *folder, gconstpointer data)
{
    g_autofree char *path = in_folder(folder, "threads");
    Log *log = log_new();
    g_assert_true(log_set_file(log, path, NULL));
    run_writers(log);
    g_assert_cmpuint(count_whole_lines(path), ==, THREADS * MESSAGES);
    log_free(log);
}

static void test_thread_files(Folder *folder, gconstpointer data)
{
    g_autofree char *path = in_folder(folder, "t.%d");
    Log *log = log_new();
    g_assert_true(log_set_file(log, path, NULL));
    g_assert_true(log_set_items(log, "tid", NULL));
    expect_file_error(log, "plain", "the log item 'tid' needs a log file whose name has '%d' in it");
    run_writers(log);
    log_write(log, "main\n");
    unsigned files = 0;
    GDir *dir = g_dir_open(folder->path, 0, NULL);
    g_autofree char *main_name = g_strdup_printf("t.%d", (int)getpid());
    for (const char *name; (name = g_dir_read_name(dir)); files++) {
        g_autofree char *file = in_folder(folder, name);
        if (strcmp(name, main_name) == 0) {
            expect_content(file, "main\n");
        } else {
            g_assert_cmpuint(count_whole_lines(file), ==, MESSAGES);
        }
    }
    g_dir_close(dir);
    g_assert_cmpuint(files, ==, THREADS + 1);
    log_free(log);
}

static void *write_once(void *argument)
{
    log_write(argument, "x\n");
    return NULL;
}

static void test_many_threads(Folder *folder, gconstpointer data)
{
    g_autofree char *path = in_folder(folder, "m.%d");
    Log *log = log_new();
    g_assert_true(log_set_file(log, path, NULL));
    g_assert_true(log_set_items(log, "tid", NULL));
    for (int i = 0; i < 2 * LOG_THREAD_FILES; i++) {
        Thread thread;
        g_assert_true(thread_start(&thread, "writer", write_once, log, NULL));
        thread_join(&thread);
        g_assert_cmpuint(log->thread_file_count, <=, LOG_THREAD_FILES);
    }
    g_assert_cmpuint(log->thread_file_count, ==, LOG_THREAD_FILES);
    log_free(log);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/items", test_items);
    g_test_add_func("/items/bad", test_items_bad);
    g_test_add_func("/items/trace", test_trace_items);
    g_test_add_func("/items/print", test_print_items);
    g_test_add_func("/ranges", test_ranges);
    g_test_add_func("/ranges/bad", test_ranges_bad);
    g_test_add("/file", Folder, NULL, folder_new, test_file, folder_free);
    g_test_add("/file/bad", Folder, NULL, folder_new, test_file_bad, folder_free);
    g_test_add("/file/long", Folder, NULL, folder_new, test_long_message, folder_free);
    g_test_add("/threads", Folder, NULL, folder_new, test_threads, folder_free);
    g_test_add("/threads/files", Folder, NULL, folder_new, test_thread_files, folder_free);
    g_test_add("/threads/many", Folder, NULL, folder_new, test_many_threads, folder_free);
    return g_test_run();
}
