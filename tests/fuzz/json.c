/*
 * JSON as a client sends it. The first byte says in pieces of how many bytes the rest is fed; what is read must not
 * depend on that, and must come back from what is written.
 */
#include "api/json.h"
#include "base/error.h"
#include "base/vec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const JsonLimits limits = { .depth = 20, .tokens = 500, .bytes = 5000 };

static void must(bool holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "does not hold: %s\n", what);
        abort();
    }
}

static void check_value(const Json *value, StrBuf *out)
{
    AUTO_FREE char *text = json_to_text(value);
    AUTO_STRBUF(pretty);
    json_write_pretty(&pretty, value);
    Json *again = json_parse(text, strlen(text), NULL), *prettier = json_parse(pretty.data, pretty.length, NULL);
    must(again && json_equal(value, again), "what is written is what was read");
    must(prettier && json_equal(value, prettier), "indented too");
    json_free(again);
    json_free(prettier);
    strbuf_printf(out, "%s\n", text);
}

static void read_all(JsonParser *parser, StrBuf *out)
{
    for (;;) {
        AUTO_ERROR(error);
        Json *value = NULL;
        JsonNext next = json_parser_next(parser, &value, &error);
        must((next == JSON_NEXT_VALUE) == (value != NULL), "a value comes as one");
        must((next == JSON_NEXT_ERROR) == (error != NULL), "an error comes as one");
        if (next == JSON_NEXT_MORE) {
            return;
        }
        if (value) {
            check_value(value, out);
            json_free(value);
        } else {
            strbuf_printf(out, "%s\n", error_message(error));
        }
    }
}

static char *read_in_pieces(const uint8_t *data, size_t size, size_t piece)
{
    JsonParser *parser = json_parser_new(&limits);
    StrBuf out = { 0 };
    for (size_t at = 0; at < size; at += piece) {
        json_parser_feed(parser, data + at, MIN(piece, size - at));
        read_all(parser, &out);
    }
    json_parser_free(parser);
    return strbuf_take(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    AUTO_FREE char *pieces = read_in_pieces(data + 1, size - 1, data[0] % 16 + 1);
    AUTO_FREE char *whole = read_in_pieces(data + 1, size - 1, size);
    must(strcmp(pieces, whole) == 0, "how it is fed does not matter");
    json_free(json_parse((const char *)data, size, NULL));
    return 0;
}
