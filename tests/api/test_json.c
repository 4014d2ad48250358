/* JSON: the tree, reading whole and byte by byte, writing, recovery. */
#include "api/json.h"
#include "base/error.h"
#include "base/vec.h"

#include <glib.h>
#include <stdio.h>
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
        { "", "line 1, column 1: the text ends within a value" },
        { "{", "the text ends" },
        { "'abc", "line 1, column 5: the text ends within a value" },
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
        { "{} x", "'x' is not" },
        { "{} {", "more behind" },
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

/* Reads all of `text`, fed in pieces of `step` bytes, and writes what comes out, one piece a line; errors are "!". */
static char *read_stream(const char *text, size_t length, size_t step, const JsonLimits *limits)
{
    JsonParser *parser = json_parser_new(limits);
    StrBuf out = { 0 };
    for (size_t at = 0; at < length; at += step) {
        json_parser_feed(parser, text + at, MIN(step, length - at));
        for (;;) {
            AUTO_ERROR(error);
            Json *value = NULL;
            JsonNext next = json_parser_next(parser, &value, &error);
            if (next == JSON_NEXT_MORE) {
                break;
            }
            g_assert_true((next == JSON_NEXT_ERROR) == (error != NULL));
            if (value) {
                json_write(&out, value);
                json_free(value);
            } else {
                strbuf_append_char(&out, '!');
            }
            strbuf_append_char(&out, '\n');
        }
    }
    json_parser_free(parser);
    return strbuf_take(&out);
}

static void check_stream(const char *text, const char *expected)
{
    size_t length = strlen(text);
    for (size_t step = 1; step <= length; step = step < 4 ? step + 1 : step * 2) {
        AUTO_FREE char *out = read_stream(text, length, step, NULL);
        g_assert_cmpstr(out, ==, expected);
    }
    AUTO_FREE char *out = read_stream(text, length, length, NULL);
    g_assert_cmpstr(out, ==, expected);
}

static void test_streams(void)
{
    check_stream("{'a': [1, 2.5]}{'b': null}\n[true] \"x\" 7 8\n",
                 "{\"a\": [1, 2.5]}\n{\"b\": null}\n[true]\n\"x\"\n7\n8\n");
    check_stream("{'unicode': '\\ud83d\\ude00 \xe2\x82\xac'}", "{\"unicode\": \"\xf0\x9f\x98\x80 \xe2\x82\xac\"}\n");
    check_stream("{'not': 'yet", "");
    check_stream("12", "");
}

/* After an error: behind the brackets that are open, or at the end of the line, or at 0xff. */
static void test_recovery(void)
{
    check_stream("{'a' 1} {'b': 2}", "!\n{\"b\": 2}\n");
    check_stream("{'a' [1, '}'], {}} {'b': 2}", "!\n{\"b\": 2}\n");
    check_stream("[1 [2 '\\'] '] 3] 4 ", "!\n4\n");
    check_stream("{'a': tru} 1 ", "!\n1\n");
    check_stream("{'a': 'b\n{'b': 2}", "!\n{\"b\": 2}\n");
    check_stream("{'a': [[[ 'b' x\n{'b': 2}", "!\n{\"b\": 2}\n");
    check_stream("{'a': 'x\\q}' } 5 ", "!\n5\n");
    check_stream("{'a': '\\u12' } 5 ", "!\n5\n");
    check_stream("{'a': '\\ud800' } 5 ", "!\n5\n");
    check_stream("'\\ud800' 5 ", "!\n5\n");
    check_stream("{'a': '\xc0' } 5 ", "!\n5\n");
    check_stream("] 5 ", "!\n5\n");
    check_stream("@ 5 ", "!\n5\n");
    check_stream("[}] 5 ", "!\n!\n5\n");
    check_stream("{'a': 1, 'a': 2} 5 ", "!\n5\n");
    check_stream("{'a': [\xff{'b': 2}", "!\n{\"b\": 2}\n");
    check_stream("\xff{'b': 2}", "!\n{\"b\": 2}\n");
    check_stream("'abc\xff{'b': 2}", "!\n{\"b\": 2}\n");
    check_stream("[x 'abc\xff{'b': 2}", "!\n{\"b\": 2}\n");
}

static void check_limited(const JsonLimits *limits, const char *text, const char *expected)
{
    AUTO_FREE char *out = read_stream(text, strlen(text), 3, limits);
    g_assert_cmpstr(out, ==, expected);
}

static void test_limits(void)
{
    check_limited(&(JsonLimits){ .depth = 3 }, "[[[1]]] [[[[1]]]] 2 ", "[[[1]]]\n!\n2\n");
    check_limited(&(JsonLimits){ .tokens = 4 }, "[1,2,3] [1,2,3,4] 2 ", "[1, 2, 3]\n!\n2\n");
    check_limited(&(JsonLimits){ .tokens = 3 }, "{'a':1} {'a':1,'b':2} 2 ", "{\"a\": 1}\n!\n2\n");
    check_limited(&(JsonLimits){ .bytes = 8 }, "'123456' ['123456789'] 2 ", "\"123456\"\n!\n2\n");
    check_limited(&(JsonLimits){ .bytes = 8 }, "                [1] 123456789012 2 ", "[1]\n!\n2\n");
    AUTO_STRBUF(deep);
    for (int i = 0; i < 1024; i++) {
        strbuf_append_char(&deep, '[');
    }
    for (int i = 0; i < 1024; i++) {
        strbuf_append_char(&deep, ']');
    }
    json_free(parse(strbuf_text(&deep)));
    AUTO_FREE char *deeper = string_format("[%s]", strbuf_text(&deep));
    AUTO_ERROR(error);
    g_assert_null(json_parse(deeper, strlen(deeper), &error));
    g_assert_nonnull(strstr(error_message(error), "nested too deeply"));
}

static void test_integers(void)
{
    int64_t number = 0;
    uint64_t whole = 0;
    Json *maximum = json_uint(UINT64_MAX), *small = json_uint(5), *minimum = json_int(INT64_MIN);
    Json *fraction = json_double(1);
    g_assert_cmpint(json_kind(maximum), ==, JSON_UINT);
    g_assert_cmpint(json_kind(small), ==, JSON_INT);
    g_assert_false(json_to_int64(maximum, &number));
    g_assert_true(json_to_uint64(maximum, &whole));
    g_assert_cmpuint(whole, ==, UINT64_MAX);
    g_assert_true(json_to_int64(minimum, &number));
    g_assert_cmpint(number, ==, INT64_MIN);
    g_assert_false(json_to_uint64(minimum, &whole));
    g_assert_false(json_to_uint64(fraction, &whole));
    g_assert_false(json_to_int64(fraction, &number));
    g_assert_cmpfloat(json_to_double(maximum), ==, 18446744073709551616.0);
    json_free(maximum);
    json_free(small);
    json_free(minimum);
    json_free(fraction);
}

/* Enough members for the index by key. */
static void test_objects(void)
{
    enum { COUNT = 100 };
    Json *object = json_object();
    char key[16];
    for (int i = 0; i < COUNT; i++) {
        snprintf(key, sizeof key, "key%d", i);
        json_set(object, key, json_int(i));
    }
    json_set(object, "key7", json_string("seven"));
    g_assert_cmpuint(json_length(object), ==, COUNT);
    g_assert_cmpstr(json_key(object, 7), ==, "key7");
    g_assert_cmpstr(json_get_text(object, "key7"), ==, "seven");
    g_assert_null(json_get_text(object, "key8"));
    for (int i = 0; i < COUNT; i += 2) {
        snprintf(key, sizeof key, "key%d", i);
        json_free(json_take(object, key));
        g_assert_null(json_take(object, key));
    }
    g_assert_cmpuint(json_length(object), ==, COUNT / 2);
    for (int i = 0; i < COUNT; i++) {
        snprintf(key, sizeof key, "key%d", i);
        g_assert_true((json_get(object, key) != NULL) == (i % 2 == 1));
    }
    g_assert_cmpstr(json_key(object, 3), ==, "key7");
    Json *copy = json_copy(object);
    g_assert_true(json_equal(copy, object));
    json_set(copy, "key9", json_null());
    g_assert_false(json_equal(copy, object));
    json_free(copy);
    json_free(object);
}

static void test_equality(void)
{
    static const struct {
        const char *a, *b;
        bool equal;
    } rows[] = {
        { "{'a':1,'b':2}", "{'b':2,'a':1}", true },
        { "{'a':1}", "{'b':1}", false },
        { "[1,2]", "[2,1]", false },
        { "[1]", "[1,1]", false },
        { "1", "1.0", false },
        { "'a'", "'a'", true },
        { "null", "false", false },
        { "{}", "[]", false },
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        Json *a = parse(rows[i].a), *b = parse(rows[i].b);
        g_assert_true(json_equal(a, b) == rows[i].equal);
        json_free(a);
        json_free(b);
    }
}

static void test_writing(void)
{
    Json *json = json_object();
    json_set(json, "bad", json_string("a\xff\xc3(\xe2\x82"));
    json_set(json, "infinite", json_double(1.0 / 0.0));
    Json *list = json_array();
    json_array_append(list, json_int(1));
    json_array_append(list, json_object());
    json_set(json, "list", list);
    AUTO_FREE char *text = json_to_text(json);
    g_assert_cmpstr(text, ==, "{\"bad\": \"a\\ufffd\\ufffd(\\ufffd\\ufffd\", \"infinite\": null, \"list\": [1, {}]}");
    AUTO_STRBUF(pretty);
    json_write_pretty(&pretty, json);
    g_assert_cmpstr(strbuf_text(&pretty), ==,
                    "{\n    \"bad\": \"a\\ufffd\\ufffd(\\ufffd\\ufffd\",\n    \"infinite\": null,\n    \"list\": [\n"
                    "        1,\n        {\n        }\n    ]\n}");
    json_free(json);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/api/json/round-trips", test_round_trips);
    g_test_add_func("/api/json/errors", test_errors);
    g_test_add_func("/api/json/streams", test_streams);
    g_test_add_func("/api/json/recovery", test_recovery);
    g_test_add_func("/api/json/limits", test_limits);
    g_test_add_func("/api/json/integers", test_integers);
    g_test_add_func("/api/json/objects", test_objects);
    g_test_add_func("/api/json/equality", test_equality);
    g_test_add_func("/api/json/writing", test_writing);
    return g_test_run();
}
