/* Numbers, sizes and patterns in text. */
#include "base/text.h"

#include "base/error.h"
#include "base/vec.h"

#include <errno.h>
#include <math.h>

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* Digits with their prefix but no sign; *overflow: beyond 64 bits. NULL where there is no number. */
static const char *scan_uint64(const char *text, uint64_t *value, bool *overflow)
{
    if (!is_digit(text[0])) {
        return NULL;
    }
    char *end;
    errno = 0;
    *value = strtoull(text, &end, 0);
    *overflow = errno == ERANGE;
    return end;
}

bool text_to_uint64(const char *text, uint64_t *value, Error **error)
{
    uint64_t number;
    bool overflow;
    const char *end = scan_uint64(text, &number, &overflow);
    if (!end || *end) {
        return error_set(error, "'%s' is not a non-negative integer", text);
    }
    if (overflow) {
        return error_set(error, "'%s' is too large: the largest is %llu", text, (unsigned long long)UINT64_MAX);
    }
    *value = number;
    return true;
}

bool text_to_int64(const char *text, int64_t *value, Error **error)
{
    bool negative = text[0] == '-';
    uint64_t number;
    bool overflow;
    const char *end = scan_uint64(text + (negative || text[0] == '+'), &number, &overflow);
    if (!end || *end) {
        return error_set(error, "'%s' is not an integer", text);
    }
    if (overflow || number > (uint64_t)INT64_MAX + negative) {
        return error_set(error, "'%s' is out of range: integers go from %lld to %lld", text, (long long)INT64_MIN,
                         (long long)INT64_MAX);
    }
    *value = (int64_t)(negative ? -number : number);
    return true;
}

bool text_to_double(const char *text, double *value, Error **error)
{
    char first = text[0] == '-' || text[0] == '+' ? text[1] : text[0];
    char *end = NULL;
    double number = is_digit(first) || first == '.' ? strtod(text, &end) : NAN;
    if (!end || end == text || *end) {
        return error_set(error, "'%s' is not a number", text);
    }
    if (!isfinite(number)) {
        return error_set(error, "'%s' is out of range for a floating-point number", text);
    }
    *value = number;
    return true;
}

bool text_to_bool(const char *text, bool *value, Error **error)
{
    static const char *const words[2][4] = { { "off", "no", "false", "n" }, { "on", "yes", "true", "y" } };
    for (unsigned i = 0; i < 8; i++) {
        if (strcmp(text, words[i / 4][i % 4]) == 0) {
            *value = i / 4;
            return true;
        }
    }
    return error_set(error, "'%s' is neither 'on' nor 'off'", text);
}

/* The unit of a size's suffix, 0 where there is no such. */
static uint64_t suffix_unit(char suffix)
{
    static const char suffixes[] = "bkmgtpe";
    const char *found = suffix ? strchr(suffixes, suffix | 0x20) : NULL;
    return found ? UINT64_C(1) << (10 * (found - suffixes)) : 0;
}

/*
 * The decimal digits after a point as a fraction of `unit`, a power of two, to the nearest byte, halves up. Doubling
 * the digits once for each bit of the unit carries that bit out on the left, so that nothing is lost on the way.
 */
static uint64_t fraction_of(const char *digits, size_t count, uint64_t unit)
{
    AUTO_FREE char *rest = mem_copy(digits, count);
    uint64_t whole = 0;
    for (; unit > 1; unit >>= 1) {
        unsigned carry = 0;
        for (size_t i = count; i-- > 0;) {
            unsigned twice = (unsigned)(rest[i] - '0') * 2 + carry;
            rest[i] = (char)('0' + twice % 10);
            carry = twice / 10;
        }
        whole = whole * 2 + carry;
    }
    return whole + (count > 0 && rest[0] >= '5');
}

static bool size_malformed(const char *text, Error **error)
{
    return error_set(error, "'%s' is not a size: it takes a number and a suffix, one of B, K, M, G, T, P and E", text);
}

bool text_to_size(const char *text, uint64_t default_unit, uint64_t *bytes, Error **error)
{
    assert(is_power_of_2(default_unit));
    bool hexadecimal = text[0] == '0' && (text[1] | 0x20) == 'x';
    if (!is_digit(text[0])) {
        return size_malformed(text, error);
    }
    char *end;
    errno = 0;
    uint64_t whole = strtoull(text, &end, hexadecimal ? 16 : 10);
    bool overflow = errno == ERANGE;
    const char *fraction = end;
    size_t fraction_length = 0;
    if (*end == '.' && !hexadecimal) {
        fraction = ++end;
        fraction_length = strspn(fraction, "0123456789");
        end += fraction_length;
    }
    uint64_t unit = *end ? suffix_unit(*end) : default_unit;
    if (!unit || (*end && (hexadecimal || end[1]))) {
        return size_malformed(text, error);
    }
    while (fraction_length && fraction[fraction_length - 1] == '0') {
        fraction_length--;
    }
    if (unit == 1 && fraction_length) {
        return error_set(error, "'%s' is not a whole number of bytes", text);
    }
    uint64_t part = fraction_of(fraction, fraction_length, unit);
    if (overflow || __builtin_mul_overflow(whole, unit, &whole) || __builtin_add_overflow(whole, part, &whole)) {
        return error_set(error, "the size '%s' is too large: it must be less than 16E", text);
    }
    *bytes = whole;
    return true;
}

bool text_matches(const char *pattern, const char *text)
{
    const char *star = NULL, *resume = NULL; /* behind the last star, and where its match ended so far */
    while (*text) {
        if (*pattern == '*') {
            star = ++pattern;
            resume = text;
        } else if (*pattern == '?' || *pattern == *text) {
            pattern++;
            text++;
        } else if (star) {
            pattern = star;
            text = ++resume;
        } else {
            return false;
        }
    }
    return pattern[strspn(pattern, "*")] == '\0';
}

bool text_starts_with(const char *text, const char *prefix) { return strncmp(text, prefix, strlen(prefix)) == 0; }

bool text_ends_with(const char *text, const char *suffix)
{
    size_t length = strlen(text), suffix_length = strlen(suffix);
    return length >= suffix_length && strcmp(text + length - suffix_length, suffix) == 0;
}
