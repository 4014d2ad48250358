/*
 * Numbers, sizes, patterns and suggestions of base/text.h, and what -d, -dfilter and -trace take. The first byte says
 * where the rest is cut into a pattern and a text.
 */
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "base/trace.h"
#include "base/vec.h"

#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const TraceEvent events[] = { { "cpu_start" }, { "cpu_stop" }, { "timer_fire" } };

static void must(bool holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "does not hold: %s\n", what);
        abort();
    }
}

/* Success has no error, failure has one that says something. */
static void check(bool ok, Error *error, const char *what)
{
    must(ok ? !error : error && *error_message(error), what);
    error_free(error);
}

#define CHECK(function, ...) \
    ({ \
        Error *error = NULL; \
        bool ok = function(__VA_ARGS__, &error); \
        check(ok, error, #function); \
        ok; \
    })

static void fuzz_numbers(const char *text)
{
    uint64_t number = 0, bytes = 0;
    int64_t integer = 0;
    double real = 0;
    bool word;
    bool is_number = CHECK(text_to_uint64, text, &number);
    bool is_integer = CHECK(text_to_int64, text, &integer);
    bool is_size = CHECK(text_to_size, text, 1, &bytes);
    must(!is_number || !is_integer || (uint64_t)integer == number, "an integer is one number");
    must(!is_number || !is_size || text[0] == '0' || bytes == number, "a plain number is its size");
    CHECK(text_to_double, text, &real);
    CHECK(text_to_bool, text, &word);
}

static const char *candidate(const void *context, size_t i)
{
    static const char *const names[] = { "cpu_reset", "guest_errors", "virtio-rng-device", "a", "" };
    return i < ARRAY_SIZE(names) ? names[i] : NULL;
}

static void fuzz_patterns(const char *pattern, const char *text)
{
    must(text_matches("*", text), "* matches all");
    if (!strpbrk(pattern, "*?")) {
        must(text_matches(pattern, text) == (strcmp(pattern, text) == 0), "a plain pattern is the text");
    } else {
        text_matches(pattern, text);
    }
    free(text_suggestion(text, candidate, NULL));
}

static void fuzz_log(const char *text)
{
    Log *log = log_new();
    Trace *trace = trace_new(events, ARRAY_SIZE(events), log);
    log->trace = trace;
    CHECK(log_set_items, log, text);
    CHECK(log_set_ranges, log, text);
    CHECK(trace_select, trace, text);
    CHECK(trace_select_file, trace, text);
    for (size_t i = 0; i < log->range_count; i++) {
        must(log->ranges[i].first <= log->ranges[i].last, "a range has an address");
        must(log_address_selected(log, log->ranges[i].last), "a range holds its end");
    }
    trace_free(trace);
    log_free(log);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    size_t cut = MIN(data[0], size - 1);
    AUTO_FREE char *text = string_copy_length((const char *)data + 1, size - 1);
    AUTO_FREE char *pattern = string_copy_length(text, cut);
    fuzz_numbers(text);
    fuzz_patterns(pattern, text + MIN(cut, strlen(text)));
    fuzz_log(text);
    return 0;
}
