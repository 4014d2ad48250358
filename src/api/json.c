/* The JSON tree: values, arrays and objects (api/json.h). Reading is in json_read.c, writing in json_write.c. */
#include "api/json.h"

#include "base/map.h"
#include "base/vec.h"

#include <stdlib.h>
#include <string.h>

enum { INDEX_FROM = 16 }; /* an object with more members than this gets an index by key */

typedef struct JsonPair {
    char *key;
    Json *value;
} JsonPair;

typedef struct JsonObject {
    VEC(JsonPair) pairs;
    Map index; /* key -> its value; empty while the object is small */
} JsonObject;

struct Json {
    JsonKind kind;
    union {
        bool boolean;
        int64_t integer;
        uint64_t whole;
        double number;
        char *text;
        VEC(Json *) array;
        JsonObject *object;
    };
};

static Json *json_new(JsonKind kind)
{
    Json *json = NEW(Json);
    json->kind = kind;
    return json;
}

Json *json_null(void) { return json_new(JSON_NULL); }

Json *json_bool(bool value)
{
    Json *json = json_new(JSON_BOOL);
    json->boolean = value;
    return json;
}

Json *json_int(int64_t value)
{
    Json *json = json_new(JSON_INT);
    json->integer = value;
    return json;
}

Json *json_uint(uint64_t value)
{
    if (value <= INT64_MAX) {
        return json_int((int64_t)value);
    }
    Json *json = json_new(JSON_UINT);
    json->whole = value;
    return json;
}

Json *json_double(double value)
{
    Json *json = json_new(JSON_DOUBLE);
    json->number = value;
    return json;
}

Json *json_string(const char *text) { return json_string_take(string_copy(text)); }

Json *json_string_take(char *text)
{
    assert(text);
    Json *json = json_new(JSON_STRING);
    json->text = text;
    return json;
}

Json *json_array(void) { return json_new(JSON_ARRAY); }

Json *json_object(void)
{
    Json *json = json_new(JSON_OBJECT);
    json->object = NEW(JsonObject);
    return json;
}

static Json *copy_array(const Json *json)
{
    Json *copy = json_array();
    for (size_t i = 0; i < json->array.count; i++) {
        json_array_append(copy, json_copy(json->array.items[i]));
    }
    return copy;
}

static Json *copy_object(const Json *json)
{
    Json *copy = json_object();
    for (size_t i = 0; i < json->object->pairs.count; i++) {
        const JsonPair *pair = &json->object->pairs.items[i];
        json_set(copy, pair->key, json_copy(pair->value));
    }
    return copy;
}

Json *json_copy(const Json *json)
{
    switch (json->kind) {
    case JSON_STRING:
        return json_string(json->text);
    case JSON_ARRAY:
        return copy_array(json);
    case JSON_OBJECT:
        return copy_object(json);
    default: {
        Json *copy = json_new(json->kind);
        *copy = *json;
        return copy;
    }
    }
}

static void free_object(JsonObject *object)
{
    for (size_t i = 0; i < object->pairs.count; i++) {
        free(object->pairs.items[i].key);
        json_free(object->pairs.items[i].value);
    }
    vec_free(&object->pairs);
    map_free(&object->index, NULL);
    free(object);
}

void json_free(Json *json)
{
    if (!json) {
        return;
    }
    if (json->kind == JSON_STRING) {
        free(json->text);
    } else if (json->kind == JSON_ARRAY) {
        for (size_t i = 0; i < json->array.count; i++) {
            json_free(json->array.items[i]);
        }
        vec_free(&json->array);
    } else if (json->kind == JSON_OBJECT) {
        free_object(json->object);
    }
    free(json);
}

static bool arrays_equal(const Json *a, const Json *b)
{
    if (a->array.count != b->array.count) {
        return false;
    }
    for (size_t i = 0; i < a->array.count; i++) {
        if (!json_equal(a->array.items[i], b->array.items[i])) {
            return false;
        }
    }
    return true;
}

/* The order of members does not matter. */
static bool objects_equal(const Json *a, const Json *b)
{
    if (a->object->pairs.count != b->object->pairs.count) {
        return false;
    }
    for (size_t i = 0; i < a->object->pairs.count; i++) {
        const JsonPair *pair = &a->object->pairs.items[i];
        const Json *other = json_get(b, pair->key);
        if (!other || !json_equal(pair->value, other)) {
            return false;
        }
    }
    return true;
}

bool json_equal(const Json *a, const Json *b)
{
    if (a->kind != b->kind) {
        return false;
    }
    switch (a->kind) {
    case JSON_NULL:
        return true;
    case JSON_BOOL:
        return a->boolean == b->boolean;
    case JSON_INT:
        return a->integer == b->integer;
    case JSON_UINT:
        return a->whole == b->whole;
    case JSON_DOUBLE:
        return a->number == b->number;
    case JSON_STRING:
        return strcmp(a->text, b->text) == 0;
    case JSON_ARRAY:
        return arrays_equal(a, b);
    case JSON_OBJECT:
        return objects_equal(a, b);
    }
    return false;
}

JsonKind json_kind(const Json *json) { return json->kind; }

const char *json_kind_name(JsonKind kind)
{
    static const char *const names[] = {
        [JSON_NULL] = "null",     [JSON_BOOL] = "boolean",  [JSON_INT] = "integer", [JSON_UINT] = "integer",
        [JSON_DOUBLE] = "number", [JSON_STRING] = "string", [JSON_ARRAY] = "array", [JSON_OBJECT] = "object",
    };
    return names[kind];
}

bool json_to_bool(const Json *json)
{
    assert(json->kind == JSON_BOOL);
    return json->boolean;
}

bool json_to_int64(const Json *json, int64_t *value)
{
    if (json->kind != JSON_INT) {
        return false;
    }
    *value = json->integer;
    return true;
}

bool json_to_uint64(const Json *json, uint64_t *value)
{
    if (json->kind == JSON_UINT) {
        *value = json->whole;
        return true;
    }
    if (json->kind != JSON_INT || json->integer < 0) {
        return false;
    }
    *value = (uint64_t)json->integer;
    return true;
}

double json_to_double(const Json *json)
{
    switch (json->kind) {
    case JSON_INT:
        return (double)json->integer;
    case JSON_UINT:
        return (double)json->whole;
    default:
        assert(json->kind == JSON_DOUBLE);
        return json->number;
    }
}

const char *json_text(const Json *json)
{
    assert(json->kind == JSON_STRING);
    return json->text;
}

size_t json_length(const Json *json)
{
    assert(json->kind == JSON_ARRAY || json->kind == JSON_OBJECT);
    return json->kind == JSON_ARRAY ? json->array.count : json->object->pairs.count;
}

Json *json_item(const Json *array, size_t i)
{
    assert(array->kind == JSON_ARRAY && i < array->array.count);
    return array->array.items[i];
}

void json_array_append(Json *array, Json *item)
{
    assert(array->kind == JSON_ARRAY && item);
    vec_push(&array->array, item);
}

/* The pair's position, or the count where there is none. */
static size_t object_find(const JsonObject *object, const char *key)
{
    size_t i = 0;
    while (i < object->pairs.count && strcmp(object->pairs.items[i].key, key) != 0) {
        i++;
    }
    return i;
}

Json *json_get(const Json *json, const char *key)
{
    assert(json->kind == JSON_OBJECT);
    const JsonObject *object = json->object;
    if (object->index.count) {
        return map_get(&object->index, key);
    }
    size_t i = object_find(object, key);
    return i < object->pairs.count ? object->pairs.items[i].value : NULL;
}

static void object_append(JsonObject *object, const char *key, Json *value)
{
    vec_push(&object->pairs, (JsonPair){ .key = string_copy(key), .value = value });
    if (object->index.count) {
        map_set(&object->index, key, value);
        return;
    }
    for (size_t i = 0; object->pairs.count > INDEX_FROM && i < object->pairs.count; i++) {
        map_set(&object->index, object->pairs.items[i].key, object->pairs.items[i].value);
    }
}

void json_set(Json *json, const char *key, Json *value)
{
    assert(json->kind == JSON_OBJECT && value);
    JsonObject *object = json->object;
    if (!json_get(json, key)) {
        object_append(object, key, value);
        return;
    }
    JsonPair *pair = &object->pairs.items[object_find(object, key)];
    json_free(pair->value);
    pair->value = value;
    if (object->index.count) {
        map_set(&object->index, key, value);
    }
}

Json *json_take(Json *json, const char *key)
{
    Json *value = json_get(json, key);
    if (!value) {
        return NULL;
    }
    JsonObject *object = json->object;
    size_t i = object_find(object, key);
    if (object->index.count) {
        map_remove(&object->index, key);
    }
    free(object->pairs.items[i].key);
    vec_remove(&object->pairs, i);
    return value;
}

const char *json_key(const Json *object, size_t i)
{
    assert(object->kind == JSON_OBJECT && i < object->object->pairs.count);
    return object->object->pairs.items[i].key;
}

Json *json_value(const Json *object, size_t i)
{
    assert(object->kind == JSON_OBJECT && i < object->object->pairs.count);
    return object->object->pairs.items[i].value;
}

const char *json_get_text(const Json *object, const char *key)
{
    const Json *value = json_get(object, key);
    return value && value->kind == JSON_STRING ? value->text : NULL;
}
