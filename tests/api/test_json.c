/* JSON: the tree, reading whole and byte by byte, writing, recovery. */
#include "api/json.h"
#include "base/error.h"
#include "base/vec.h"

#include <glib.h>
#include <stdlib.h>
#include <string.h>

static Json *parse(const char *text)
{
    AUTO_ERROR(error);
    Json *json = json_parse(text, strlen(text), &error);
    if (!json) {
        g_error("%s: %s", text, error_message(error));
    }
    return json;
}

/* What is read from `text` is written as `expected`. */
static void check_written(const char *text, const char *expected)
{
    Json *json = parse(text);
    AUTO_FREE char *written = json_to_text(json);
    g_assert_cmpstr(written, ==, expected);
    Json *again = parse(written);
    g_assert_true(json_equal(json, again));
    Json *copy = json_copy(json);
    g_assert_true(json_equal(json, copy));
    json_free(json);
    json_free(again);
    json_free(copy);
}

static void test_round_trips(void)
{
    static const char *const rows[][2] = {
        { "null", "null" },
        { " true\n", "true" },
        { "false", "false" },
        { "0", "0" },
        { "-0", "0" },
        { "9223372036854775807", "9223372036854775807" },
        { "-9223372036854775808", "-9223372036854775808" },
        { "9223372036854775808", "9223372036854775808" },
        { "18446744073709551615", "18446744073709551615" },
        { "18446744073709551616", "1.8446744073709552e+19" },
        { "-9223372036854775809", "-9.223372036854776e+18" },
        { "1.5", "1.5" },
        { "1.0", "1.0" },
        { "0.1", "0.1" },
        { "1e3", "1000.0" },
        { "1E-7", "1e-07" },
        { "0.30000000000000004", "0.30000000000000004" },
        { "\"a\\\"b\\\\\\/\\b\\f\\n\\r\\t\"", "\"a\\\"b\\\\/\\b\\f\\n\\r\\t\"" },
        { "'it\\'s \"so\"'", "\"it's \\\"so\\\"\"" },
        { "\"it's\"", "\"it's\"" },
        { "\"\\u0041\\u00e9\\u20ac\\ud83d\\ude00\"", "\"A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"" },
        { "\"\\u001f\\u007f\"", "\"\\u001f\\u007f\"" },
        { "[]", "[]" },
        { "{}", "{}" },
        { "[1,[2,[]],{}]", "[1, [2, []], {}]" },
        { "{'b':1,\"a\":{'c':[null]}}", "{\"b\": 1, \"a\": {\"c\": [null]}}" },
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        check_written(rows[i][0], rows[i][1]);
    }
}

static void test_errors(void)
{
    static const struct {
        const char *text, *message;
    } rows[] = {
        { "", "line 2, column 1: the text ends within a value" },
        { "{", "the text ends" },
        { "'abc", "line 1, column 5: a string holds a control character" },
        { "{'a' 1}", "line 1, column 6: a ':' is expected" },
        { "{'a':1,}", "column 8: a member's name" },
        { "{,}", "column 2: a member's name in quotes or '}'" },
        { "[1,]", "column 4: a value is expected" },
        { "[1 2]", "a ',' or the end" },
        { "[1}", "a ',' or the end" },
        { "{'a':1]", "a ',' or the end" },
        { "]", "a value is expected" },
        { ",", "a value is expected" },
        { "{1:2}", "a member's name" },
        { "{'a':1,'a':2}", "'a' is given twice" },
        { "tru", "'tru' is not true, false or null" },
        { "nulll", "'nulll' is not" },
        { "01", "'01' is not a number" },
        { "-", "'-' is not a number" },
        { "1.", "'1.' is not a number" },
        { ".5", "stands for nothing" },
        { "1e", "'1e' is not a number" },
        { "+1", "stands for nothing" },
        { "0x10", "is not" },
        { "1e999", "out of range" },
        { "@", "stands for nothing" },
        { "'\\x'", "no such escape" },
        { "'\\u12g4'", "four hexadecimal digits" },
        { "'\\u0000'", "cannot hold \\u0000" },
        { "'\\ud800'", "surrogate" },
        { "'\\ud800\\n'", "surrogate" },
        { "'\\ud800\\ud800'", "surrogate" },
        { "'\\udc00'", "surrogate" },
        { "'\xff'", "0xff" },
        { "'\xc0\x80'", "not UTF-8" },
        { "'\xed\xa0\x80'", "not UTF-8" },
        { "'\xe2\x82'", "not UTF-8" },
        { "'\xf4\x90\x80\x80'", "not UTF-8" },
        { "'a\tb'", "control character" },
        { "1 2", "more behind the value" },
        { "{} x", "'x' is not" }, { "{} {", "more behind" },
        { "[\n\n  1,\n  x]", "line 4, column 3" },
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        AUTO_ERROR(error);
        g_assert_null(json_parse(rows[i].text, strlen(rows[i].text), &error));
        if (!strstr(error_message(error), rows[i].message)) {
            g_error("%s: %s", rows[i].text, error_message(error));
        }
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/api/json/round-trips", test_round_trips);
    g_test_add_func("/api/json/errors", test_errors);
    return g_test_run();
}
