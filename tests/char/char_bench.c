#include "char_bench.h"

#include "api/options.h"
#include "api/type.h"
#include "base/error.h"
#include "base/files.h"
#include "base/host/host.h"
#include "schema/char.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATIENCE_NS INT64_C(100000000000)
#define STEP_NS INT64_C(20000000)

static bool is_interrupted(void *data) { return ((Bench *)data)->interrupted; }
static void count_exit(void *data) { ((Bench *)data)->exits++; }

void bench_init(Bench *bench)
{
    *bench = (Bench){ .root = object_new(&container_class, NULL, NULL, NULL) };
    bench->host = (CharHost){
        .container = object_container(bench->root, "chardevs"),
        .loop = loop_new(false, NULL),
        .files = files_new(),
        .escape = 1,
        .interrupted = is_interrupted,
        .exit_requested = count_exit,
        .data = bench,
    };
}

void bench_finish(Bench *bench)
{
    char_remove_all(&bench->host);
    bench_settle(bench);
    object_unref(bench->root);
    files_free(bench->host.files);
    loop_free(bench->host.loop);
}

static CharDevice *make(Bench *bench, const char *text, Error **error)
{
    ChardevOptions options = { 0 };
    if (!options_to_value(&ChardevOptions_type, text, &options, NULL, error)) {
        return NULL;
    }
    CharDevice *device = char_new(&bench->host, &options, error);
    type_clear(&ChardevOptions_type, &options);
    return device;
}

CharDevice *bench_char(Bench *bench, const char *format, ...)
{
    AUTO_ERROR(error);
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *text = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    CharDevice *device = make(bench, text, &error);
    if (!device) {
        g_error("%s: %s", text, error_message(error));
    }
    return device;
}

char *bench_refused(Bench *bench, const char *format, ...)
{
    AUTO_ERROR(error);
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *text = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_assert_null(make(bench, text, &error));
    g_assert_nonnull(error);
    return g_strdup(error_message(error));
}

static size_t can_receive(void *data)
{
    const BenchFrontend *frontend = data;
    return frontend->limit - frontend->received.length;
}

static void receive(void *data, const uint8_t *bytes, size_t count)
{
    BenchFrontend *frontend = data;
    g_assert_cmpuint(count, <=, can_receive(data));
    strbuf_append_bytes(&frontend->received, bytes, count);
}

static void event(void *data, CharEvent event)
{
    BenchFrontend *frontend = data;
    unsigned *const counters[] = {
        [CHAR_EVENT_OPENED] = &frontend->opened, [CHAR_EVENT_CLOSED] = &frontend->closed,
        [CHAR_EVENT_BREAK] = &frontend->breaks,  [CHAR_EVENT_MUX_IN] = &frontend->mux_in,
        [CHAR_EVENT_MUX_OUT] = &frontend->mux_out,
    };
    ++*counters[event];
}

void bench_attach(Bench *bench, BenchFrontend *frontend, CharDevice *device)
{
    AUTO_ERROR(error);
    *frontend = (BenchFrontend){
        .frontend = { .can_receive = can_receive, .receive = receive, .event = event, .data = frontend },
        .bench = bench,
        .limit = SIZE_MAX,
    };
    g_assert_true(char_attach(&frontend->frontend, device, &error));
    bench_settle(bench);
}

void bench_detach(BenchFrontend *frontend)
{
    char_detach(&frontend->frontend);
    strbuf_free(&frontend->received);
}

static void count_writable(void *data) { ((BenchFrontend *)data)->writable++; }

void bench_send(BenchFrontend *frontend, const char *text)
{
    size_t count = strlen(text);
    while (count) {
        size_t taken = char_write(&frontend->frontend, (const uint8_t *)text, count);
        text += taken;
        count -= taken;
        if (!taken) {
            unsigned before = frontend->writable;
            char_notify_writable(&frontend->frontend, count_writable, frontend);
            bench_wait(frontend->bench, &frontend->writable, before + 1);
        }
    }
}

void bench_expect(BenchFrontend *frontend, const char *text)
{
    int64_t deadline = host_monotonic_ns() + PATIENCE_NS;
    while (!strstr(strbuf_text(&frontend->received), text)) {
        loop_iterate(frontend->bench->host.loop, STEP_NS);
        if (host_monotonic_ns() > deadline) {
            g_error("waited for '%s', got '%s'", text, strbuf_text(&frontend->received));
        }
    }
}

void bench_wait(Bench *bench, const unsigned *number, unsigned value)
{
    int64_t deadline = host_monotonic_ns() + PATIENCE_NS;
    while (*number < value) {
        loop_iterate(bench->host.loop, STEP_NS);
        g_assert_cmpint(host_monotonic_ns(), <, deadline);
    }
}

void bench_settle(Bench *bench)
{
    while (loop_iterate(bench->host.loop, 0)) {
    }
}

void bench_read(Bench *bench, int fd, const char *text)
{
    int64_t deadline = host_monotonic_ns() + PATIENCE_NS;
    AUTO_STRBUF(got);
    while (!memmem(strbuf_text(&got), got.length, text, strlen(text))) {
        struct pollfd ready = { .fd = fd, .events = POLLIN };
        loop_iterate(bench->host.loop, 0);
        if (poll(&ready, 1, 10) > 0) {
            char bytes[256];
            ssize_t count = read(fd, bytes, sizeof bytes);
            g_assert_cmpint(count, >, 0);
            strbuf_append_bytes(&got, bytes, count);
        }
        if (host_monotonic_ns() > deadline) {
            g_error("waited for '%s', got '%s'", text, strbuf_text(&got));
        }
    }
}
