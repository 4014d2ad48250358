/* Values as text, in the monitor's formats. */
#include "monitor/format.h"

#include "base/error.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

enum { LARGEST_COUNT = 65536 };

static bool read_count(const char **text, ValueFormat *format, Error **error)
{
    if (!isdigit((unsigned char)**text)) {
        return true;
    }
    for (format->count = 0; isdigit((unsigned char)**text); (*text)++) {
        format->count = format->count * 10 + (**text - '0');
        if (format->count > LARGEST_COUNT) {
            return error_set(error, "count is at most %d", LARGEST_COUNT);
        }
    }
    return true;
}

static bool read_letter(char c, ValueFormat *format, Error **error)
{
    static const char sizes[] = "bhwg";
    const char *size = strchr(sizes, c);
    if (size) {
        format->size = 1u << (size - sizes);
    } else if (strchr("xduoci", c)) {
        format->letter = c;
    } else {
        return error_set(error, "invalid char in format: '%c'", c);
    }
    return true;
}

bool format_read(const char *text, ValueFormat *format, Error **error)
{
    format->count = 1;
    if (!text) {
        return true;
    }
    text++; /* the slash */
    if (!read_count(&text, format, error)) {
        return false;
    }
    for (; *text; text++) {
        if (!read_letter(*text, format, error)) {
            return false;
        }
    }
    return true;
}

static void append_character(uint8_t c, StrBuf *buffer)
{
    static const struct {
        char c, letter;
    } escapes[] = { { '\'', '\'' }, { '\\', '\\' }, { '\n', 'n' }, { '\r', 'r' } };
    strbuf_append_char(buffer, '\'');
    for (size_t i = 0; i < ARRAY_SIZE(escapes); i++) {
        if (escapes[i].c == (char)c) {
            strbuf_printf(buffer, "\\%c'", escapes[i].letter);
            return;
        }
    }
    strbuf_printf(buffer, isprint(c) && c < 128 ? "%c'" : "\\x%02x'", c);
}

void format_append(const ValueFormat *format, uint64_t value, StrBuf *buffer)
{
    unsigned bits = format->size * 8;
    int decimal = (bits * 10 + 32) / 33; /* digits of the largest value */
    switch (format->letter) {
    case 'd':
        strbuf_printf(buffer, "%*" PRId64, decimal, sign_extend(value, bits));
        break;
    case 'u':
        strbuf_printf(buffer, "%*" PRIu64, decimal, value);
        break;
    case 'o':
        strbuf_printf(buffer, "%#*" PRIo64, (int)(bits + 2) / 3, value);
        break;
    case 'c':
        append_character(value, buffer);
        break;
    default:
        strbuf_printf(buffer, "0x%0*" PRIx64, (int)bits / 4, value);
    }
}

void format_append_plain(char letter, uint64_t value, StrBuf *buffer)
{
    switch (letter) {
    case 'd':
    case 'i':
        strbuf_printf(buffer, "%" PRId64, (int64_t)value);
        break;
    case 'u':
        strbuf_printf(buffer, "%" PRIu64, value);
        break;
    case 'o':
        strbuf_printf(buffer, "%#" PRIo64, value);
        break;
    case 'c':
        append_character(value, buffer);
        break;
    default:
        strbuf_printf(buffer, "%#" PRIx64, value);
    }
}
