/*
 * Text to JSON, byte by byte (api/json.h): RFC 8259, and strings in single quotes with the escape \'.
 *
 * A lexer that is fed single bytes gives tokens to a parser with a stack of its own, so that depth costs memory that is
 * limited and no recursion, and a value may be broken off anywhere. \u0000 is refused: strings end with a NUL here.
 */
#include "api/json.h"
#include "api/utf8.h"
#include "base/error.h"
#include "base/vec.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_DEPTH = 1024, DEFAULT_TOKENS = 2 << 20, DEFAULT_BYTES = 64 << 20, RESET_BYTE = 0xff };

typedef enum Lexing {
    LEX_BETWEEN, /* tokens */
    LEX_STRING,
    LEX_ESCAPE,  /* behind a backslash */
    LEX_UNICODE, /* in the digits behind \u */
    LEX_WORD,
    LEX_NUMBER,
    LEX_SKIP, /* behind an error */
} Lexing;

typedef enum Expecting {
    EXPECT_VALUE,
    EXPECT_VALUE_OR_END, /* behind [ */
    EXPECT_KEY,
    EXPECT_KEY_OR_END, /* behind { */
    EXPECT_COLON,
    EXPECT_COMMA_OR_END,
} Expecting;

typedef struct Frame {
    Json *container;
    char *key; /* of the member whose value comes next; NULL in an array */
} Frame;

struct JsonParser {
    JsonLimits limits;
    char *input;
    size_t position, input_count, input_capacity;
    size_t line, column; /* of the byte that is looked at, from 1 */
    size_t behind;       /* how far back the token began that this byte ended */
    Lexing lexing;
    Expecting expecting;
    char quote;          /* LEX_STRING and on: the one that ends it; LEX_SKIP: 0 outside strings */
    bool skip_escape;    /* LEX_SKIP: the next byte of the string means nothing */
    bool skip_plain;     /* LEX_SKIP: within a word or number */
    size_t skip_depth;   /* LEX_SKIP: brackets that are open */
    unsigned digits;     /* LEX_UNICODE: read so far */
    uint32_t code, high; /* LEX_UNICODE: the code so far; the surrogate that came before, or 0 */
    StrBuf token;
    VEC(Frame) stack;
    size_t tokens, bytes; /* of this value */
    Json *done;
};

JsonParser *json_parser_new(const JsonLimits *limits)
{
    JsonParser *parser = NEW(JsonParser);
    parser->limits = limits ? *limits : (JsonLimits){ 0 };
    parser->limits.depth = parser->limits.depth ? parser->limits.depth : DEFAULT_DEPTH;
    parser->limits.tokens = parser->limits.tokens ? parser->limits.tokens : DEFAULT_TOKENS;
    parser->limits.bytes = parser->limits.bytes ? parser->limits.bytes : DEFAULT_BYTES;
    parser->line = parser->column = 1;
    return parser;
}

/* Forgets the value that was begun. */
static void parser_drop(JsonParser *parser)
{
    for (size_t i = 0; i < parser->stack.count; i++) {
        free(parser->stack.items[i].key);
    }
    if (parser->stack.count) {
        json_free(parser->stack.items[0].container); /* the others hang in it */
    }
    parser->stack.count = 0;
    strbuf_clear(&parser->token);
    parser->tokens = parser->bytes = 0;
    parser->expecting = EXPECT_VALUE;
    parser->lexing = LEX_BETWEEN;
    parser->high = 0;
}

void json_parser_free(JsonParser *parser)
{
    if (!parser) {
        return;
    }
    parser_drop(parser);
    vec_free(&parser->stack);
    strbuf_free(&parser->token);
    json_free(parser->done);
    free(parser->input);
    free(parser);
}

void json_parser_feed(JsonParser *parser, const void *bytes, size_t count)
{
    if (!count) {
        return;
    }
    size_t left = parser->input_count - parser->position;
    if (parser->position && left <= parser->position) {
        memcpy(parser->input, parser->input + parser->position, left);
        parser->input_count = left;
        parser->position = 0;
    }
    if (parser->input_capacity - parser->input_count < count) {
        parser->input = vec_grow(parser->input, &parser->input_capacity, parser->input_count + count, 1);
    }
    memcpy(parser->input + parser->input_count, bytes, count);
    parser->input_count += count;
}

static bool fail(const JsonParser *parser, Error **error, const char *what)
{
    return error_set(error, "JSON parse error at line %zu, column %zu: %s", parser->line,
                     parser->column - parser->behind, what);
}

static bool fail_token(const JsonParser *parser, Error **error, const char *token, const char *what)
{
    AUTO_FREE char *message = string_format("'%.60s' %s", token, what);
    return fail(parser, error, message);
}

/* ---- tokens to values ---- */

static const char *const expectations[] = {
    [EXPECT_VALUE] = "a value is expected here",
    [EXPECT_VALUE_OR_END] = "a value or ']' is expected here",
    [EXPECT_KEY] = "a member's name in quotes is expected here",
    [EXPECT_KEY_OR_END] = "a member's name in quotes or '}' is expected here",
    [EXPECT_COLON] = "a ':' is expected behind a member's name",
    [EXPECT_COMMA_OR_END] = "a ',' or the end of the array or object is expected here",
};

static bool fail_expecting(const JsonParser *parser, Error **error)
{
    return fail(parser, error, expectations[parser->expecting]);
}

static bool expects_value(const JsonParser *parser)
{
    return parser->expecting == EXPECT_VALUE || parser->expecting == EXPECT_VALUE_OR_END;
}

static bool count_token(JsonParser *parser, Error **error)
{
    return ++parser->tokens <= parser->limits.tokens || fail(parser, error, "the value has too many parts");
}

/* Hangs a finished or opened value where it belongs; the value at the bottom belongs nowhere. */
static void attach(JsonParser *parser, Json *value)
{
    if (!parser->stack.count) {
        return;
    }
    Frame *frame = &parser->stack.items[parser->stack.count - 1];
    if (frame->key) {
        json_set(frame->container, frame->key, value);
        free(frame->key);
        frame->key = NULL;
    } else {
        json_array_append(frame->container, value);
    }
}

static void value_ended(JsonParser *parser, Json *value)
{
    if (parser->stack.count) {
        parser->expecting = EXPECT_COMMA_OR_END;
        return;
    }
    parser_drop(parser);
    parser->done = value;
}

static bool take_scalar(JsonParser *parser, Json *value, Error **error)
{
    if (!expects_value(parser) || !count_token(parser, error)) {
        json_free(value);
        return expects_value(parser) ? false : fail_expecting(parser, error);
    }
    attach(parser, value);
    value_ended(parser, value);
    return true;
}

static bool take_key(JsonParser *parser, Error **error)
{
    Frame *frame = &parser->stack.items[parser->stack.count - 1];
    const char *key = strbuf_text(&parser->token);
    if (json_get(frame->container, key)) {
        return fail_token(parser, error, key, "is given twice");
    }
    frame->key = string_copy(key);
    parser->expecting = EXPECT_COLON;
    return count_token(parser, error);
}

static bool take_open(JsonParser *parser, char c, Error **error)
{
    if (!expects_value(parser)) {
        return fail_expecting(parser, error);
    }
    if (!count_token(parser, error)) {
        return false;
    }
    if (parser->stack.count >= parser->limits.depth) {
        return fail(parser, error, "the value is nested too deeply");
    }
    Json *container = c == '{' ? json_object() : json_array();
    attach(parser, container);
    vec_push(&parser->stack, (Frame){ .container = container });
    parser->expecting = c == '{' ? EXPECT_KEY_OR_END : EXPECT_VALUE_OR_END;
    return true;
}

static bool take_close(JsonParser *parser, char c, Error **error)
{
    if (!parser->stack.count) {
        return fail_expecting(parser, error);
    }
    Json *container = parser->stack.items[parser->stack.count - 1].container;
    bool object = json_kind(container) == JSON_OBJECT;
    bool here = parser->expecting == EXPECT_COMMA_OR_END ||
                parser->expecting == (object ? EXPECT_KEY_OR_END : EXPECT_VALUE_OR_END);
    if (!here || (c == '}') != object) {
        return fail_expecting(parser, error);
    }
    parser->stack.count--;
    value_ended(parser, container);
    return true;
}

static bool take_punctuation(JsonParser *parser, char c, Error **error)
{
    if (c == '{' || c == '[') {
        return take_open(parser, c, error);
    }
    if (c == '}' || c == ']') {
        return take_close(parser, c, error);
    }
    if (parser->expecting != (c == ':' ? EXPECT_COLON : EXPECT_COMMA_OR_END) || !parser->stack.count) {
        return fail_expecting(parser, error);
    }
    bool object = json_kind(parser->stack.items[parser->stack.count - 1].container) == JSON_OBJECT;
    parser->expecting = c == ',' && object ? EXPECT_KEY : EXPECT_VALUE;
    return true;
}

static bool take_string(JsonParser *parser, Error **error)
{
    if (!utf8_valid(parser->token.data ? parser->token.data : "", parser->token.length)) {
        return fail(parser, error, "the string that ends here is not UTF-8");
    }
    bool ok = parser->expecting == EXPECT_KEY || parser->expecting == EXPECT_KEY_OR_END
                  ? take_key(parser, error)
                  : take_scalar(parser, json_string(strbuf_text(&parser->token)), error);
    strbuf_clear(&parser->token);
    return ok;
}

static bool take_word(JsonParser *parser, Error **error)
{
    const char *word = strbuf_text(&parser->token);
    Json *value = NULL;
    if (strcmp(word, "null") == 0) {
        value = json_null();
    } else if (strcmp(word, "true") == 0 || strcmp(word, "false") == 0) {
        value = json_bool(word[0] == 't');
    } else {
        return fail_token(parser, error, word, "is not true, false or null");
    }
    strbuf_clear(&parser->token);
    return take_scalar(parser, value, error);
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static const char *skip_digits(const char *text)
{
    while (is_digit(*text)) {
        text++;
    }
    return text;
}

/* -? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?   `*whole`: neither fraction nor exponent. */
static bool number_well_formed(const char *text, bool *whole)
{
    text += *text == '-';
    const char *end = skip_digits(text);
    if (end == text || (text[0] == '0' && end - text > 1)) {
        return false;
    }
    *whole = *end == '\0';
    if (*end == '.') {
        text = end + 1;
        end = skip_digits(text);
        if (end == text) {
            return false;
        }
    }
    if (*end == 'e' || *end == 'E') {
        text = end + 1;
        text += *text == '+' || *text == '-';
        end = skip_digits(text);
        if (end == text) {
            return false;
        }
    }
    return *end == '\0';
}

static Json *whole_number(const char *text)
{
    errno = 0;
    if (text[0] == '-') {
        long long value = strtoll(text, NULL, 10);
        return errno ? NULL : json_int(value);
    }
    unsigned long long value = strtoull(text, NULL, 10);
    return errno ? NULL : json_uint(value);
}

static bool take_number(JsonParser *parser, Error **error)
{
    const char *text = strbuf_text(&parser->token);
    bool whole;
    if (!number_well_formed(text, &whole)) {
        return fail_token(parser, error, text, "is not a number");
    }
    Json *value = whole ? whole_number(text) : NULL;
    if (!value) {
        double number = strtod(text, NULL);
        if (!isfinite(number)) {
            return fail(parser, error, "the number is out of range");
        }
        value = json_double(number);
    }
    strbuf_clear(&parser->token);
    return take_scalar(parser, value, error);
}

/* ---- bytes to tokens ---- */

static bool is_word(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '_'; }

static bool is_number(char c) { return is_digit(c) || c == '.' || c == 'e' || c == 'E' || c == '+' || c == '-'; }

static bool lex_between(JsonParser *parser, char c, Error **error)
{
    if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
        return true;
    }
    if (c == '"' || c == '\'') {
        parser->lexing = LEX_STRING;
        parser->quote = c;
        return true;
    }
    if (c && strchr("{}[]:,", c)) {
        return take_punctuation(parser, c, error);
    }
    if (!is_digit(c) && c != '-' && !is_word(c)) {
        return fail(parser, error, "this character stands for nothing in JSON");
    }
    parser->lexing = is_digit(c) || c == '-' ? LEX_NUMBER : LEX_WORD;
    strbuf_append_char(&parser->token, c);
    return true;
}

static bool lex_string(JsonParser *parser, char c, Error **error)
{
    if (parser->high && c != '\\') {
        return fail(parser, error, "the first half of a surrogate pair stands alone before this");
    }
    if (c == '\\') {
        parser->lexing = LEX_ESCAPE;
    } else if (c == parser->quote) {
        parser->lexing = LEX_BETWEEN;
        return take_string(parser, error);
    } else if ((unsigned char)c < 0x20) {
        return fail(parser, error, "a string holds a control character that is not escaped");
    } else {
        strbuf_append_char(&parser->token, c);
    }
    return true;
}

static bool lex_escape(JsonParser *parser, char c, Error **error)
{
    static const char from[] = "\"'\\/bfnrt", to[] = "\"'\\/\b\f\n\r\t";
    if (c == 'u') {
        parser->lexing = LEX_UNICODE;
        parser->digits = parser->code = 0;
        return true;
    }
    const char *found = c ? strchr(from, c) : NULL;
    if (!found) {
        return fail(parser, error, "there is no such escape in JSON");
    }
    if (parser->high) {
        return fail(parser, error, "the first half of a surrogate pair stands alone before this");
    }
    strbuf_append_char(&parser->token, to[found - from]);
    parser->lexing = LEX_STRING;
    return true;
}

/* Four digits of \u are there. */
static bool take_code(JsonParser *parser, Error **error)
{
    uint32_t code = parser->code;
    bool is_high = code >= 0xd800 && code < 0xdc00, is_low = code >= 0xdc00 && code < 0xe000;
    parser->lexing = LEX_STRING;
    if (is_low != (parser->high != 0)) {
        return fail(parser, error, "half of a surrogate pair stands alone");
    }
    if (!code) {
        return fail(parser, error, "a string cannot hold \\u0000");
    }
    if (is_high) {
        parser->high = code;
        return true;
    }
    if (is_low) {
        code = 0x10000 + ((parser->high - 0xd800) << 10) + (code - 0xdc00);
        parser->high = 0;
    }
    char bytes[4];
    strbuf_append_bytes(&parser->token, bytes, utf8_encode(code, bytes));
    return true;
}

static bool lex_unicode(JsonParser *parser, char c, Error **error)
{
    bool letter = (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
    if (!letter && !is_digit(c)) {
        parser->lexing = LEX_STRING;
        return fail(parser, error, "\\u wants four hexadecimal digits");
    }
    parser->code = parser->code << 4 | (uint32_t)(letter ? (c | 0x20) - 'a' + 10 : c - '0');
    return ++parser->digits < 4 || take_code(parser, error);
}

/* The byte behind a word or number is reached. */
static bool end_plain(JsonParser *parser, Error **error)
{
    bool word = parser->lexing == LEX_WORD;
    parser->lexing = LEX_BETWEEN;
    parser->behind = parser->token.length;
    bool ok = word ? take_word(parser, error) : take_number(parser, error);
    parser->behind = 0;
    return ok;
}

/* `*consumed` is false where the byte only ended the token and wants to be looked at again. */
static bool lex_byte(JsonParser *parser, char c, bool *consumed, Error **error)
{
    switch (parser->lexing) {
    case LEX_STRING:
        return lex_string(parser, c, error);
    case LEX_ESCAPE:
        return lex_escape(parser, c, error);
    case LEX_UNICODE:
        return lex_unicode(parser, c, error);
    case LEX_WORD:
    case LEX_NUMBER:
        if (parser->lexing == LEX_WORD ? is_word(c) : is_number(c)) {
            strbuf_append_char(&parser->token, c);
            return true;
        }
        *consumed = false;
        return end_plain(parser, error);
    default:
        return lex_between(parser, c, error);
    }
}

/* ---- errors and the way back ---- */

/* One byte of the rest of a broken value, which ends with its brackets or its line. False where it is behind that. */
static bool skip_byte(JsonParser *parser, char c)
{
    if (parser->skip_plain && (is_word(c) || is_number(c))) {
        return true;
    }
    if (parser->skip_plain && !parser->skip_depth) {
        parser->lexing = LEX_BETWEEN;
        return false;
    }
    parser->skip_plain = false;
    if (parser->skip_escape) {
        parser->skip_escape = false;
    } else if (parser->quote) {
        parser->skip_escape = c == '\\';
        parser->quote = c == parser->quote ? 0 : parser->quote;
    } else if (c == '"' || c == '\'') {
        parser->quote = c;
    } else if (c == '{' || c == '[') {
        parser->skip_depth++;
    } else if ((c == '}' || c == ']') && parser->skip_depth) {
        parser->skip_depth--;
    }
    if (c == '\n' || (unsigned char)c == RESET_BYTE || (!parser->skip_depth && !parser->quote)) {
        parser->lexing = LEX_BETWEEN;
    }
    return true;
}

static void skip_begin(JsonParser *parser, char c, bool consumed)
{
    Lexing was = parser->lexing;
    bool in_string = was == LEX_STRING || was == LEX_ESCAPE || was == LEX_UNICODE;
    size_t depth = parser->stack.count;
    parser_drop(parser);
    parser->quote = in_string ? parser->quote : 0;
    parser->skip_depth = depth;
    parser->skip_escape = was == LEX_ESCAPE && c != '\n';
    parser->skip_plain = was == LEX_WORD || was == LEX_NUMBER;
    parser->lexing = depth || parser->quote || parser->skip_plain ? LEX_SKIP : LEX_BETWEEN;
    if (parser->lexing == LEX_SKIP && consumed && (in_string || (c != '"' && c != '\''))) {
        skip_byte(parser, c);
    }
}

static bool parser_byte(JsonParser *parser, char c, bool *consumed, Error **error)
{
    bool between = parser->lexing == LEX_BETWEEN && !parser->stack.count;
    if ((unsigned char)c == RESET_BYTE) {
        parser_drop(parser);
        return fail(parser, error, "the byte 0xff begins afresh");
    }
    parser->bytes = between ? 0 : parser->bytes + 1;
    if (parser->bytes > parser->limits.bytes) {
        skip_begin(parser, c, true);
        return fail(parser, error, "the value is too long");
    }
    if (!lex_byte(parser, c, consumed, error)) {
        skip_begin(parser, c, *consumed);
        return false;
    }
    return true;
}

static void advance(JsonParser *parser, char c)
{
    parser->position++;
    parser->column++;
    if (c == '\n') {
        parser->line++;
        parser->column = 1;
    }
}

JsonNext json_parser_next(JsonParser *parser, Json **value, Error **error)
{
    while (parser->position < parser->input_count) {
        char c = parser->input[parser->position];
        bool consumed = true, ok = true;
        if (parser->lexing == LEX_SKIP) {
            consumed = skip_byte(parser, c);
        } else {
            ok = parser_byte(parser, c, &consumed, error);
        }
        if (consumed) {
            advance(parser, c);
        }
        if (!ok) {
            return JSON_NEXT_ERROR;
        }
        if (parser->done) {
            *value = parser->done;
            parser->done = NULL;
            return JSON_NEXT_VALUE;
        }
    }
    return JSON_NEXT_MORE;
}

Json *json_parse(const char *text, size_t length, Error **error)
{
    JsonParser *parser = json_parser_new(NULL);
    Json *value = NULL, *more = NULL;
    json_parser_feed(parser, text, length);
    json_parser_feed(parser, " ", 1); /* ends a number */
    JsonNext next = json_parser_next(parser, &value, error);
    if (next == JSON_NEXT_MORE) {
        parser->behind = 1;
        fail(parser, error, "the text ends within a value");
    } else if (next == JSON_NEXT_VALUE) {
        next = json_parser_next(parser, &more, error);
        if (next == JSON_NEXT_VALUE || (next == JSON_NEXT_MORE && (parser->stack.count || parser->lexing))) {
            next = JSON_NEXT_ERROR;
            fail(parser, error, "there is more behind the value");
        }
        if (next == JSON_NEXT_ERROR) {
            json_free(value);
            value = NULL;
        }
    }
    json_free(more);
    json_parser_free(parser);
    return value;
}
