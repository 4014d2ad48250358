/*
 * JSON as QMP needs it (RFC 8259 and more): the full range of int64 and uint64 kept exactly, strings in single quotes,
 * incremental input, several values in a row. libc only.
 *
 * A Json is a tree with one owner: a value given to json_object_set or json_array_append belongs to its container.
 */
#pragma once

#include "base/compiler.h"
#include "base/strbuf.h"

typedef struct Error Error;

typedef enum JsonKind {
    JSON_NULL,
    JSON_BOOL,
    JSON_INT,    /* fits int64_t */
    JSON_UINT,   /* above INT64_MAX */
    JSON_DOUBLE, /* written with a fraction or an exponent, or beyond 64 bits */
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT,
} JsonKind;

typedef struct Json Json;

Json *json_null(void);
Json *json_bool(bool value);
Json *json_int(int64_t value);
Json *json_uint(uint64_t value);
Json *json_double(double value);
Json *json_string(const char *text); /* UTF-8, copied */
Json *json_string_take(char *text);
Json *json_array(void);
Json *json_object(void);
Json *json_copy(const Json *json);
void json_free(Json *json); /* NULL is fine */
bool json_equal(const Json *a, const Json *b);

JsonKind json_kind(const Json *json);
const char *json_kind_name(JsonKind kind); /* "string", "integer", ... for messages */
bool json_to_bool(const Json *json);       /* asserts the kind, as do the rest */
bool json_to_int64(const Json *json, int64_t *value);   /* false where it does not fit; a JSON_DOUBLE never does */
bool json_to_uint64(const Json *json, uint64_t *value); /* likewise; negative numbers do not fit */
double json_to_double(const Json *json);
const char *json_text(const Json *json);

size_t json_length(const Json *json); /* of an array or object */
Json *json_item(const Json *array, size_t i);
void json_array_append(Json *array, Json *item);

/* An object keeps the order of insertion. */
Json *json_get(const Json *object, const char *key); /* NULL where there is none */
void json_set(Json *object, const char *key, Json *value);
Json *json_take(Json *object, const char *key); /* removes it and gives it to the caller */
const char *json_key(const Json *object, size_t i);
Json *json_value(const Json *object, size_t i);
/* The string at `key`, or NULL where there is none or it is another kind. */
const char *json_get_text(const Json *object, const char *key);

/* One value and nothing after it. NULL on failure; the message gives line and column. */
Json *json_parse(const char *text, size_t length, Error **error);

/* Incremental input: feed bytes, take values. */
typedef struct JsonParser JsonParser;
typedef struct JsonLimits {
    size_t depth, tokens, bytes; /* of one value; 0: the default (1024, 2 Mi, 64 MiB) */
} JsonLimits;
JsonParser *json_parser_new(const JsonLimits *limits); /* NULL: the defaults */
void json_parser_free(JsonParser *parser);
void json_parser_feed(JsonParser *parser, const void *bytes, size_t count);
typedef enum JsonNext { JSON_NEXT_VALUE, JSON_NEXT_MORE, JSON_NEXT_ERROR } JsonNext;
/* After an error the parser goes on behind the broken value: where its brackets close, at the end of its line, or at a
 * byte 0xff (which is an error of its own that makes the parser begin afresh). */
JsonNext json_parser_next(JsonParser *parser, Json **value, Error **error);

/* On one line with ", " and ": " as QMP writes it. */
void json_write(StrBuf *buffer, const Json *json);
/* Indented by four spaces. */
void json_write_pretty(StrBuf *buffer, const Json *json);
char *json_to_text(const Json *json); /* json_write's, owned by the caller */
