/*
 * JSON to text (api/json.h). Strings go out as UTF-8; what JSON must escape is escaped, and bytes that are no UTF-8
 * become U+FFFD. JSON has no word for infinities and NaN: they are written as null.
 */
#include "api/json.h"
#include "api/utf8.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INDENT = 4 };

static const char *short_escape(unsigned char c)
{
    switch (c) {
    case '"':
        return "\\\"";
    case '\\':
        return "\\\\";
    case '\b':
        return "\\b";
    case '\f':
        return "\\f";
    case '\n':
        return "\\n";
    case '\r':
        return "\\r";
    case '\t':
        return "\\t";
    default:
        return NULL;
    }
}

static void write_string(StrBuf *buffer, const char *text)
{
    size_t left = strlen(text);
    strbuf_append_char(buffer, '"');
    while (left) {
        const unsigned char c = (unsigned char)*text;
        size_t length = utf8_sequence(text, left);
        const char *escape = short_escape(c);
        if (escape) {
            strbuf_append(buffer, escape);
        } else if (c < 0x20 || c == 0x7f) {
            strbuf_printf(buffer, "\\u%04x", c);
        } else if (length) {
            strbuf_append_bytes(buffer, text, length);
        } else {
            strbuf_append(buffer, "\\ufffd");
        }
        length = length ? length : 1;
        text += length;
        left -= length;
    }
    strbuf_append_char(buffer, '"');
}

/* The shortest of three precisions that reads back as the same number, marked as no integer. */
static void write_double(StrBuf *buffer, double value)
{
    if (!isfinite(value)) {
        strbuf_append(buffer, "null");
        return;
    }
    char text[40];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value) {
            break;
        }
    }
    strbuf_append(buffer, text);
    if (!strpbrk(text, ".e")) {
        strbuf_append(buffer, ".0");
    }
}

/* `indent` negative: all on one line. */
static void write_value(StrBuf *buffer, const Json *json, int indent);

static void write_separator(StrBuf *buffer, bool first, int indent)
{
    if (indent >= 0) {
        strbuf_printf(buffer, "%s\n%*s", first ? "" : ",", indent, "");
    } else if (!first) {
        strbuf_append(buffer, ", ");
    }
}

static void write_items(StrBuf *buffer, const Json *json, int indent)
{
    bool object = json_kind(json) == JSON_OBJECT;
    size_t count = json_length(json);
    int inner = indent < 0 ? indent : indent + INDENT;
    strbuf_append_char(buffer, object ? '{' : '[');
    for (size_t i = 0; i < count; i++) {
        write_separator(buffer, i == 0, inner);
        if (object) {
            write_string(buffer, json_key(json, i));
            strbuf_append(buffer, ": ");
        }
        write_value(buffer, object ? json_value(json, i) : json_item(json, i), inner);
    }
    if (indent >= 0) {
        strbuf_printf(buffer, "\n%*s", indent, "");
    }
    strbuf_append_char(buffer, object ? '}' : ']');
}

static void write_value(StrBuf *buffer, const Json *json, int indent)
{
    int64_t integer = 0;
    uint64_t whole = 0;
    switch (json_kind(json)) {
    case JSON_NULL:
        strbuf_append(buffer, "null");
        break;
    case JSON_BOOL:
        strbuf_append(buffer, json_to_bool(json) ? "true" : "false");
        break;
    case JSON_INT:
        json_to_int64(json, &integer);
        strbuf_printf(buffer, "%lld", (long long)integer);
        break;
    case JSON_UINT:
        json_to_uint64(json, &whole);
        strbuf_printf(buffer, "%llu", (unsigned long long)whole);
        break;
    case JSON_DOUBLE:
        write_double(buffer, json_to_double(json));
        break;
    case JSON_STRING:
        write_string(buffer, json_text(json));
        break;
    case JSON_ARRAY:
    case JSON_OBJECT:
        write_items(buffer, json, indent);
        break;
    }
}

void json_write(StrBuf *buffer, const Json *json) { write_value(buffer, json, -1); }

void json_write_pretty(StrBuf *buffer, const Json *json) { write_value(buffer, json, 0); }

char *json_to_text(const Json *json)
{
    StrBuf buffer = { 0 };
    json_write(&buffer, json);
    return strbuf_take(&buffer);
}
