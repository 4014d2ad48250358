/* The monitor's expressions and value formats. */
#include "monitor/expression.h"
#include "monitor/format.h"

#include "base/error.h"

#include <glib.h>
#include <string.h>

static bool lookup(void *data, const char *name, uint64_t *value)
{
    *value = 0x1000;
    return !strcmp(name, "pc");
}

static void test_values(void)
{
    static const struct {
        const char *text;
        int64_t value;
        const char *rest;
    } rows[] = {
        { "0", 0, "" },
        { "  42  ", 42, "" },
        { "0x7fffffffffffffff", INT64_MAX, "" },
        { "0xffffffffffffffff", -1, "" },
        { "010", 8, "" },
        { "'A'", 65, "" },
        { "1+2&1", 1, "" }, /* & binds closer than + */
        { "1|2*3", 7, "" },
        { "2*3+4", 10, "" },
        { "10 - 4 - 3", 3, "" },
        { "100/7%4", 2, "" },
        { "6^3", 5, "" },
        { "-1", -1, "" },
        { "~0", -1, "" },
        { "- -5", 5, "" },
        { "+(1+2)*3", 9, "" },
        { "((1))", 1, "" },
        { "$pc", 0x1000, "" },
        { "$pc+4*2 rest", 0x1008, "rest" },
        { "1 2", 1, "2" },
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO_ERROR(error);
        const char *at = rows[i].text;
        int64_t value = 0;
        if (!expression_read(&at, lookup, NULL, &value, &error)) {
            g_error("%s: %s", rows[i].text, error_message(error));
        }
        g_assert_cmpint(value, ==, rows[i].value);
        g_assert_cmpstr(at, ==, rows[i].rest);
    }
}

static void test_refused(void)
{
    static const struct {
        const char *text, *message;
    } rows[] = {
        { "", "unexpected end" },
        { "1+", "unexpected end" },
        { "(1", "')' expected" },
        { "1/0", "division by zero" },
        { "1%(1-1)", "division by zero" },
        { "$", "unknown register" },
        { "$nope", "unknown register 'nope'" },
        { "0xzz", "invalid char" },
        { "12ab", "invalid char 'a'" },
        { "*", "invalid char '*'" },
        { "99999999999999999999", "too large" },
        { "'", "character constant" },
        { "'ab", "missing terminating" },
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO_ERROR(error);
        const char *at = rows[i].text;
        int64_t value = 0;
        g_assert_false(expression_read(&at, lookup, NULL, &value, &error));
        if (!strstr(error_message(error), rows[i].message)) {
            g_error("%s: %s", rows[i].text, error_message(error));
        }
        g_assert_cmpstr(at, ==, rows[i].text);
    }
}

static void assert_too_deep(char c)
{
    AUTO_ERROR(error);
    g_autofree char *text = g_strnfill(100000, c);
    const char *at = text;
    int64_t value;
    g_assert_false(expression_read(&at, lookup, NULL, &value, &error));
    g_assert_nonnull(strstr(error_message(error), "too deep"));
}

static void test_deep(void)
{
    assert_too_deep('(');
    assert_too_deep('-');
}

static void test_extremes(void)
{
    const char *at = "0x8000000000000000 / ~0";
    int64_t value;
    g_assert_true(expression_read(&at, NULL, NULL, &value, NULL));
    g_assert_cmpint(value, ==, 0); /* unsigned */
}

/* -- formats ---------------------------------------------------------------------------------------------------- */

static void test_format_read(void)
{
    static const struct {
        const char *text;
        unsigned count;
        char letter;
        unsigned size;
    } rows[] = {
        { NULL, 1, 'x', 4 },  { "/", 1, 'x', 4 },    { "/8xb", 8, 'x', 1 }, { "/dg", 1, 'd', 8 },
        { "/16", 16, 'x', 4 }, { "/xbw", 1, 'x', 4 }, { "/4i", 4, 'i', 4 },  { "/ch", 1, 'c', 2 },
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        ValueFormat format = { .letter = 'x', .size = 4 };
        g_assert_true(format_read(rows[i].text, &format, NULL));
        g_assert_cmpuint(format.count, ==, rows[i].count);
        g_assert_cmpint(format.letter, ==, rows[i].letter);
        g_assert_cmpuint(format.size, ==, rows[i].size);
    }
    static const char *const refused[] = { "/s", "/-1x", "/999999999999999999999x", "/x y", "/8x8" };
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
        ValueFormat format = { .letter = 'x', .size = 4 };
        g_assert_false(format_read(refused[i], &format, NULL));
    }
}

static void test_format_append(void)
{
    static const struct {
        char letter;
        unsigned size;
        uint64_t value;
        const char *text;
    } rows[] = {
        { 'x', 1, 0xf, "0x0f" },
        { 'x', 8, 1, "0x0000000000000001" },
        { 'd', 1, 0xff, " -1" },
        { 'd', 4, 42, "        42" },
        { 'u', 1, 0xff, "255" },
        { 'u', 8, UINT64_MAX, "18446744073709551615" },
        { 'o', 1, 0227, "0227" },
        { 'o', 4, 8, "        010" },
        { 'c', 1, 'x', "'x'" },
        { 'c', 1, '\n', "'\\n'" },
        { 'c', 1, '\'', "'\\''" },
        { 'c', 1, 0xf1, "'\\xf1'" },
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO_STRBUF(text);
        const ValueFormat format = { .count = 1, .letter = rows[i].letter, .size = rows[i].size };
        format_append(&format, rows[i].value, &text);
        g_assert_cmpstr(strbuf_text(&text), ==, rows[i].text);
    }
}

static void test_format_plain(void)
{
    static const struct {
        char letter;
        uint64_t value;
        const char *text;
    } rows[] = {
        { 'x', 16, "0x10" }, { 'x', UINT64_MAX, "0xffffffffffffffff" }, { 'd', UINT64_MAX, "-1" },
        { 'u', UINT64_MAX, "18446744073709551615" }, { 'o', 8, "010" }, { 'c', 200, "'\\xc8'" }, { 'i', 4, "4" },
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO_STRBUF(text);
        format_append_plain(rows[i].letter, rows[i].value, &text);
        g_assert_cmpstr(strbuf_text(&text), ==, rows[i].text);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/expression/values", test_values);
    g_test_add_func("/expression/refused", test_refused);
    g_test_add_func("/expression/deep", test_deep);
    g_test_add_func("/expression/extremes", test_extremes);
    g_test_add_func("/format/read", test_format_read);
    g_test_add_func("/format/append", test_format_append);
    g_test_add_func("/format/plain", test_format_plain);
    return g_test_run();
}
