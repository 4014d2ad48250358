/*
 * Option syntax and values of types. The first byte chooses the type; what is read must come back from the JSON that is
 * made of it, and an error must leave nothing behind.
 */
#include "test.h"

#include "api/json.h"
#include "api/options.h"
#include "base/error.h"
#include "base/strbuf.h"
#include "base/vec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const Type *const types[] = {
    &Everything_type, &Shape_type, &Backend_type, &Numbers_type, &Toggle_type, &ShapeList_type, &Uint16List_type,
};

static void must(bool holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "does not hold: %s\n", what);
        abort();
    }
}

static bool all_zeroes(const char *bytes, size_t size)
{
    return size == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0);
}

static void check_value(const Type *type, void *value)
{
    AUTO_STRBUF(text);
    type_to_text(type, value, &text);
    Json *json = type_to_json(type, value);
    AUTO_FREE void *again = mem_alloc0(type->size);
    must(type_from_json(type, json, again, NULL), "what came from a value fits its type");
    must(type_equal(type, value, again), "and is the same value");
    type_clear(type, again);
    json_free(json);
}

typedef bool Reading(const Type *type, const char *text, void *value, Error **error);

static bool read_options(const Type *type, const char *text, void *value, Error **error)
{
    bool help = false;
    return options_to_value(type, text, value, &help, error) && !help;
}

static bool read_text(const Type *type, const char *text, void *value, Error **error)
{
    return type_from_text(type, text, value, error);
}

static bool read_json(const Type *type, const char *text, void *value, Error **error)
{
    Json *json = json_parse(text, strlen(text), error);
    bool ok = json && type_from_json(type, json, value, error);
    json_free(json);
    return ok;
}

static void fuzz_type(const Type *type, const char *text)
{
    static Reading *const readings[] = { read_options, read_text, read_json };
    for (size_t i = 0; i < ARRAY_SIZE(readings); i++) {
        AUTO_ERROR(error);
        AUTO_FREE void *value = mem_alloc0(type->size);
        if (readings[i](type, text, value, &error)) {
            must(!error, "success has no error");
            check_value(type, value);
            type_clear(type, value);
        }
        must(all_zeroes(value, type->size), "nothing is left behind");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    AUTO_FREE char *text = string_copy_length((const char *)data + 1, size - 1);
    fuzz_type(types[data[0] % ARRAY_SIZE(types)], text);
    return 0;
}
