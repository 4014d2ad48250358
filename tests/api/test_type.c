/* The walkers over types, with the types of test.json. */
#include "test.h"

#include "api/json.h"
#include "api/options.h"
#include "base/error.h"
#include "base/strbuf.h"
#include "base/vec.h"

#include <glib.h>
#include <stdlib.h>
#include <string.h>

/* From JSON to a value, and back to `expected` (NULL: the same). */
static void check_round_trip(const Type *type, const char *text, const char *expected)
{
    AUTO_ERROR(error);
    Json *json = json_parse(text, strlen(text), &error);
    g_assert_nonnull(json);
    AUTO_FREE void *value = mem_alloc0(type->size);
    if (!type_from_json(type, json, value, &error)) {
        g_error("%s: %s", text, error_message(error));
    }
    Json *back = type_to_json(type, value);
    AUTO_FREE char *written = json_to_text(back);
    g_assert_cmpstr(written, ==, expected ? expected : text);
    type_clear(type, value);
    for (size_t i = 0; i < type->size; i++) {
        g_assert_cmpint(((char *)value)[i], ==, 0);
    }
    json_free(back);
    json_free(json);
}

static void test_round_trips(void)
{
    check_round_trip(&Numbers_type, "{\"i8\": -128, \"u64\": 18446744073709551615, \"number\": 2.5, \"cpus\": 512}", NULL);
    check_round_trip(&Numbers_type, "{\"i64\": -9223372036854775808, \"u8\": 255, \"number\": 3}",
                     "{\"i64\": -9223372036854775808, \"u8\": 255, \"number\": 3.0}");
    check_round_trip(&Shape_type, "{\"name\": \"a\", \"origin\": {\"x\": 1, \"y\": -2}, \"corners\": [{\"x\": 1, \"y\": 2}], "
                                  "\"tags\": [], \"parent\": {\"name\": \"b\", \"parent\": null}}", NULL);
    check_round_trip(&Backend_type, "{\"backend\": \"socket\", \"id\": \"s\", \"server\": true, "
                                    "\"address\": {\"x\": 1, \"y\": 2}}", NULL);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/api/type/round-trips", test_round_trips);
    return g_test_run();
}
