/*
 * Option syntax (api/options.h). Pairs are put into a tree of objects first, dotted key by dotted key; then objects
 * whose keys are all numbers become arrays.
 */
#include "api/options.h"

#include "api/json.h"
#include "api/type.h"
#include "base/error.h"
#include "base/strbuf.h"
#include "base/vec.h"

#include <stdlib.h>
#include <string.h>

enum { MAXIMUM_DEPTH = 64, SHOWN_KEY = 60 };

static bool is_help(const char *text) { return strcmp(text, "help") == 0 || strcmp(text, "?") == 0; }

/* Takes text up to a single comma; `,,` is one. Returns what is behind it. */
static const char *take_item(const char *text, StrBuf *item)
{
    while (*text) {
        if (text[0] == ',' && text[1] != ',') {
            return text + 1;
        }
        text += *text == ',';
        strbuf_append_char(item, *text++);
    }
    return text;
}

/* Puts `value` (taken over, also on failure) at the dotted key. */
static bool put(Json *object, const char *key, Json *value, Error **error)
{
    const char *rest = key;
    for (int depth = 0; strchr(rest, '.'); depth++) {
        size_t length = strcspn(rest, ".");
        AUTO_FREE char *part = string_copy_length(rest, length);
        if (!length || depth >= MAXIMUM_DEPTH) {
            json_free(value);
            return error_set(error, "'%.*s' is no valid key: it has %s", SHOWN_KEY, key,
                             length ? "too many dots" : "nothing before a dot");
        }
        Json *inner = json_get(object, part);
        if (!inner) {
            inner = json_object();
            json_set(object, part, inner);
        } else if (json_kind(inner) != JSON_OBJECT) {
            json_free(value);
            return error_set(error, "'%.*s' is given a value and also members", (int)(rest + length - key), key);
        }
        object = inner;
        rest += length + 1;
    }
    const Json *old = json_get(object, rest);
    if (!*rest || (old && json_kind(old) == JSON_OBJECT)) {
        json_free(value);
        return error_set(error, *rest ? "'%.*s' is given members and also a value" : "'%.*s' has no key", SHOWN_KEY,
                         *rest || *key ? key : "=");
    }
    json_set(object, rest, value);
    return true;
}

/* The number that a key writes, or -1. */
static int64_t key_index(const char *key)
{
    if (!*key || strlen(key) > 9 || strspn(key, "0123456789") != strlen(key) || (key[0] == '0' && key[1])) {
        return -1;
    }
    return strtol(key, NULL, 10);
}

static bool all_numbers(const Json *object)
{
    for (size_t i = 0; i < json_length(object); i++) {
        if (key_index(json_key(object, i)) < 0) {
            return false;
        }
    }
    return json_length(object) > 0;
}

static bool fold_array(Json *object, const char *path, Json **array, Error **error)
{
    size_t count = json_length(object);
    *array = json_array();
    for (size_t i = 0; i < count; i++) {
        AUTO_FREE char *key = string_format("%zu", i);
        Json *item = json_take(object, key);
        if (!item) {
            json_free(*array);
            *array = NULL;
            return error_set(error, "'%s.%zu' is missing: there is a greater number", path, i);
        }
        json_array_append(*array, item);
    }
    return true;
}

/* Makes arrays below `object` of objects that are lists. */
static bool fold_lists(Json *object, const char *path, Error **error)
{
    for (size_t i = 0; i < json_length(object); i++) {
        Json *value = json_value(object, i);
        if (json_kind(value) != JSON_OBJECT) {
            continue;
        }
        AUTO_FREE char *inner = string_format("%s%s%s", path, *path ? "." : "", json_key(object, i));
        if (!fold_lists(value, inner, error)) {
            return false;
        }
        if (all_numbers(value)) {
            Json *array;
            if (!fold_array(value, inner, &array, error)) {
                return false;
            }
            json_set(object, json_key(object, i), array);
        }
    }
    return true;
}

static bool parse_item(Json *object, const char *item, const char *implied_key, bool *help, Error **error)
{
    const char *equals = strchr(item, '=');
    if (equals) {
        AUTO_FREE char *key = string_copy_length(item, (size_t)(equals - item));
        return put(object, key, json_string(equals + 1), error);
    }
    if (help && is_help(item)) {
        *help = true;
        return true;
    }
    return put(object, implied_key ? implied_key : item, json_string(implied_key ? item : "on"), error);
}

static bool parse_pairs(Json *object, const char *text, const char *implied_key, bool *help, Error **error)
{
    bool first = true;
    while (*text) {
        AUTO_STRBUF(item);
        text = take_item(text, &item);
        if (!parse_item(object, strbuf_text(&item), first ? implied_key : NULL, help, error)) {
            return false;
        }
        first = false;
    }
    return fold_lists(object, "", error);
}

/* Puts what `value` has at its end: texts, numbers, arrays, objects that are empty. */
static bool put_leaves(Json *object, const char *path, const Json *value, Error **error)
{
    if (*path && (json_kind(value) != JSON_OBJECT || json_length(value) == 0)) {
        return put(object, path, json_copy(value), error);
    }
    for (size_t i = 0; i < json_length(value); i++) {
        AUTO_FREE char *inner = string_format("%s%s%s", path, *path ? "." : "", json_key(value, i));
        if (!put_leaves(object, inner, json_value(value, i), error)) {
            return false;
        }
    }
    return true;
}

Json *options_nest(const Json *object, Error **error)
{
    Json *nested = json_object();
    if (!put_leaves(nested, "", object, error) || !fold_lists(nested, "", error)) {
        json_free(nested);
        return NULL;
    }
    return nested;
}

static Json *parse_json_text(const char *text, Error **error)
{
    Json *json = json_parse(text, strlen(text), error);
    if (json && json_kind(json) != JSON_OBJECT) {
        json_free(json);
        error_set(error, "a JSON object is expected");
        return NULL;
    }
    return json;
}

bool options_are_json(const char *text) { return *text == '{'; }

Json *options_parse(const char *text, const char *implied_key, bool *help, Error **error)
{
    if (options_are_json(text)) {
        return parse_json_text(text, error);
    }
    Json *object = json_object();
    if (!parse_pairs(object, text, implied_key, help, error)) {
        json_free(object);
        return NULL;
    }
    return object;
}

bool options_to_value(const Type *type, const char *text, void *value, bool *help, Error **error)
{
    Json *json = options_parse(text, type->implied_key, help, error);
    if (!json) {
        return false;
    }
    bool (*read)(const Type *, const Json *, void *, Error **) =
        options_are_json(text) ? type_from_json : type_from_options;
    bool ok = (help && *help) || read(type, json, value, error);
    json_free(json);
    return ok;
}
