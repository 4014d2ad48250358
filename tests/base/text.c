/* Numbers, sizes, words and patterns in text. */
#include "base/compiler.h"
#include "base/error.h"
#include "base/text.h"

#include <glib.h>

typedef struct Row {
    const char *text;
    uint64_t value;      /* of a good one */
    const char *message; /* a bad one's; NULL: good */
} Row;

static void check_row(const Row *row, bool ok, uint64_t value, const Error *error)
{
    if (row->message) {
        g_assert_false(ok);
        g_assert_cmpstr(error_message(error), ==, row->message);
        g_assert_cmpuint(value, ==, 77); /* left alone */
    } else {
        g_assert_null(error);
        g_assert_true(ok);
        g_assert_cmpuint(value, ==, row->value);
    }
}

static void test_uint64(void)
{
    static const Row rows[] = {
        { "0", 0 },
        { "18446744073709551615", UINT64_MAX },
        { "0xffffffffffffffff", UINT64_MAX },
        { "0X1f", 31 },
        { "010", 8 },
        { "18446744073709551616", 0, "'18446744073709551616' is too large: the largest is 18446744073709551615" },
        { "0x10000000000000000", 0, "'0x10000000000000000' is too large: the largest is 18446744073709551615" },
        { "", 0, "'' is not a non-negative integer" },
        { "-1", 0, "'-1' is not a non-negative integer" },
        { "+1", 0, "'+1' is not a non-negative integer" },
        { " 1", 0, "' 1' is not a non-negative integer" },
        { "1 ", 0, "'1 ' is not a non-negative integer" },
        { "0x", 0, "'0x' is not a non-negative integer" },
        { "09", 0, "'09' is not a non-negative integer" },
        { "1.5", 0, "'1.5' is not a non-negative integer" },
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO_ERROR(error);
        uint64_t value = 77;
        bool ok = text_to_uint64(rows[i].text, &value, &error);
        check_row(&rows[i], ok, value, error);
    }
}

static void test_int64(void)
{
    static const char range[] = "' is out of range: integers go from -9223372036854775808 to 9223372036854775807";
    static const Row rows[] = {
        { "-1", (uint64_t)-1 },
        { "+5", 5 },
        { "-0x8000000000000000", (uint64_t)INT64_MIN },
        { "9223372036854775807", INT64_MAX },
        { "9223372036854775808", 0, "range" },
        { "-9223372036854775809", 0, "range" },
        { "99999999999999999999", 0, "range" },
        { "--1", 0, "'--1' is not an integer" },
        { "-", 0, "'-' is not an integer" },
        { "", 0, "'' is not an integer" },
        { "1e3", 0, "'1e3' is not an integer" },
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO_ERROR(error);
        int64_t value = 77;
        Row row = rows[i];
        g_autofree char *message = g_strdup_printf("'%s%s", row.text, range);
        if (g_strcmp0(row.message, "range") == 0) {
            row.message = message;
        }
        bool ok = text_to_int64(row.text, &value, &error);
        check_row(&row, ok, (uint64_t)value, error);
    }
}

#define NOT_A_SIZE "is not a size: it takes a number and a suffix, one of B, K, M, G, T, P and E"
#define TOO_LARGE "is too large: it must be less than 16E"

static void test_size(void)
{
    static const Row rows[] = {
        { "0", 0 },
        { "128", 128 },
        { "1.5G", GIB + GIB / 2 },
        { "1.5g", GIB + GIB / 2 },
        { "2b", 2 },
        { "1K", KIB },
        { "1M", MIB },
        { "1T", KIB * GIB },
        { "1P", MIB * GIB },
        { "1E", GIB * GIB },
        { "0x20", 32 },
        { "0xE", 14 },
        { "0xB", 11 },
        { "010", 10 },
        { "1.0", 1 },
        { "1.", 1 },
        { "1.000B", 1 },
        /* The nearest byte, halves up, exactly: what a double would get wrong is here too. */
        { "12.345M", 12944671 },
        { "0.1k", 102 },
        { "0.00048828125k", 1 },
        { "0.000488281249999999999999999999999999999999k", 0 },
        { "0.1E", UINT64_C(115292150460684698) },
        { "15.999999999999999999E", UINT64_C(18446744073709551615) },
        { "18446744073709551615", UINT64_MAX },
        { "16383.999999999999999999999P", 0, "the size '16383.999999999999999999999P' " TOO_LARGE },
        { "15.9999999999999999999E", 0, "the size '15.9999999999999999999E' " TOO_LARGE },
        { "16E", 0, "the size '16E' " TOO_LARGE },
        { "18446744073709551616", 0, "the size '18446744073709551616' " TOO_LARGE },
        { "99999999999999999999E", 0, "the size '99999999999999999999E' " TOO_LARGE },
        { "1.5", 0, "'1.5' is not a whole number of bytes" },
        { "1.5B", 0, "'1.5B' is not a whole number of bytes" },
        { "", 0, "'' " NOT_A_SIZE },
        { "G", 0, "'G' " NOT_A_SIZE },
        { "-1", 0, "'-1' " NOT_A_SIZE },
        { ".5G", 0, "'.5G' " NOT_A_SIZE },
        { "1GB", 0, "'1GB' " NOT_A_SIZE },
        { "1e3", 0, "'1e3' " NOT_A_SIZE },
        { "1 G", 0, "'1 G' " NOT_A_SIZE },
        { "1x", 0, "'1x' " NOT_A_SIZE },
        { "0x20M", 0, "'0x20M' " NOT_A_SIZE },
        { "0x1.8", 0, "'0x1.8' " NOT_A_SIZE },
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO_ERROR(error);
        uint64_t value = 77;
        bool ok = text_to_size(rows[i].text, 1, &value, &error);
        check_row(&rows[i], ok, value, error);
    }
}

static void test_size_unit(void)
{
    uint64_t value;
    g_assert_true(text_to_size("128", MIB, &value, NULL));
    g_assert_cmpuint(value, ==, 128 * MIB);
    g_assert_true(text_to_size("0.5", MIB, &value, NULL));
    g_assert_cmpuint(value, ==, MIB / 2);
    g_assert_true(text_to_size("128B", MIB, &value, NULL));
    g_assert_cmpuint(value, ==, 128);
    g_assert_true(text_to_size("0x10", MIB, &value, NULL));
    g_assert_cmpuint(value, ==, 16 * MIB);
    g_assert_false(text_to_size("17592186044416", MIB, &value, NULL));
}

static void test_double(void)
{
    double value = 0;
    g_assert_true(text_to_double("1e3", &value, NULL));
    g_assert_cmpfloat(value, ==, 1000);
    g_assert_true(text_to_double("-.5", &value, NULL));
    g_assert_cmpfloat(value, ==, -0.5);
    static const char *const bad[] = { "", "x", "1x", "nan", "inf", "-inf", " 1", "1 ", ".", "-" };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        AUTO_ERROR(error);
        g_assert_false(text_to_double(bad[i], &value, &error));
        g_autofree char *message = g_strdup_printf("'%s' is not a number", bad[i]);
        g_assert_cmpstr(error_message(error), ==, message);
    }
    AUTO_ERROR(error);
    g_assert_false(text_to_double("1e999", &value, &error));
    g_assert_cmpstr(error_message(error), ==, "'1e999' is out of range for a floating-point number");
}

static void test_bool(void)
{
    static const char *const words[2][4] = { { "off", "no", "false", "n" }, { "on", "yes", "true", "y" } };
    for (unsigned i = 0; i < 8; i++) {
        bool value = i < 4;
        g_assert_true(text_to_bool(words[i / 4][i % 4], &value, NULL));
        g_assert_true(value == i / 4);
    }
    static const char *const bad[] = { "", "1", "0", "ON", "onn" };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        AUTO_ERROR(error);
        bool value;
        g_assert_false(text_to_bool(bad[i], &value, &error));
        g_autofree char *message = g_strdup_printf("'%s' is neither 'on' nor 'off'", bad[i]);
        g_assert_cmpstr(error_message(error), ==, message);
    }
}

static void test_matches(void)
{
    static const struct {
        const char *pattern, *text;
        bool matches;
    } rows[] = {
        { "", "", true },           { "", "a", false },          { "*", "", true },         { "*", "abc", true },
        { "a*c", "abc", true },     { "a*c", "ac", true },       { "a*c", "abcd", false },  { "a?c", "abc", true },
        { "a?c", "ac", false },     { "*b*b", "abbab", true },   { "*b*b", "ab", false },   { "**", "x", true },
        { "a*b*c*", "axbyc", true }, { "a*b*c?", "axbyc", false }, { "?", "", false },        { "abc", "ab", false },
        { "ab", "abc", false },
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        g_assert_true(text_matches(rows[i].pattern, rows[i].text) == rows[i].matches);
    }
    /* No more than the product of the lengths: this would take for ever by backtracking through every star. */
    g_autofree char *text = g_strnfill(20000, 'a');
    g_assert_false(text_matches("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b", text));
}

static void test_affixes(void)
{
    g_assert_true(text_starts_with("abc", "ab"));
    g_assert_true(text_starts_with("abc", ""));
    g_assert_false(text_starts_with("ab", "abc"));
    g_assert_true(text_ends_with("abc", "bc"));
    g_assert_true(text_ends_with("abc", ""));
    g_assert_false(text_ends_with("bc", "abc"));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/uint64", test_uint64);
    g_test_add_func("/int64", test_int64);
    g_test_add_func("/size", test_size);
    g_test_add_func("/size/unit", test_size_unit);
    g_test_add_func("/double", test_double);
    g_test_add_func("/bool", test_bool);
    g_test_add_func("/matches", test_matches);
    g_test_add_func("/affixes", test_affixes);
    return g_test_run();
}
