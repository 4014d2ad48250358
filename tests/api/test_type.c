/* The walkers over types, with the types of test.json. */
#include "test.h"

#include "api/json.h"
#include "base/error.h"
#include "base/strbuf.h"
#include "base/vec.h"

#include <glib.h>
#include <stdlib.h>
#include <string.h>

static Json *parse(const char *text)
{
    AUTO_ERROR(error);
    Json *json = json_parse(text, strlen(text), &error);
    if (!json) {
        g_error("%s: %s", text, error_message(error));
    }
    return json;
}

static bool all_zeroes(const void *value, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (((const char *)value)[i]) {
            return false;
        }
    }
    return true;
}

/* From JSON to a value, and back to `expected` (NULL: the same). */
static void check_round_trip(const Type *type, const char *text, const char *expected)
{
    AUTO_ERROR(error);
    Json *json = parse(text);
    AUTO_FREE void *value = mem_alloc0(type->size), *again = mem_alloc0(type->size);
    if (!type_from_json(type, json, value, &error)) {
        g_error("%s: %s", text, error_message(error));
    }
    Json *back = type_to_json(type, value);
    AUTO_FREE char *written = json_to_text(back);
    g_assert_cmpstr(written, ==, expected ? expected : text);
    g_assert_true(type_from_json(type, back, again, &error));
    g_assert_true(type_equal(type, value, again));
    type_clear(type, value);
    type_clear(type, again);
    g_assert_true(all_zeroes(value, type->size));
    json_free(back);
    json_free(json);
}

static void test_round_trips(void)
{
    check_round_trip(
        &Numbers_type,
        "{\"i8\": -128, \"i16\": -32768, \"i32\": -2147483648, \"i64\": -9223372036854775808, \"u8\": 255, "
        "\"u16\": 65535, \"u32\": 4294967295, \"u64\": 18446744073709551615, "
        "\"size\": 18446744073709551615, \"mib\": 7, \"number\": -2.5, \"cpus\": 512, \"balance\": -5}",
        NULL);
    check_round_trip(&Numbers_type,
                     "{\"i8\": 127, \"i16\": 32767, \"i32\": 2147483647, \"i64\": 9223372036854775807, \"u8\": 0, "
                     "\"number\": 3, \"cpus\": 1, \"balance\": 5}",
                     "{\"i8\": 127, \"i16\": 32767, \"i32\": 2147483647, \"i64\": 9223372036854775807, \"u8\": 0, "
                     "\"number\": 3.0, \"cpus\": 1, \"balance\": 5}");
    check_round_trip(&Numbers_type, "{}", NULL);
    check_round_trip(&Shape_type,
                     "{\"name\": \"a\", \"color\": \"dark-green\", \"origin\": {\"x\": 1, \"y\": -2}, "
                     "\"corners\": [{\"x\": 1, \"y\": 2}, {\"x\": 3, \"y\": 4}], \"tags\": [], \"ids\": [0, 65535], "
                     "\"extra\": {\"any\": [null, 1.5]}, \"default\": false, "
                     "\"parent\": {\"name\": \"b\", \"parent\": null}}",
                     NULL);
    check_round_trip(&Shape_type, "{\"name\": \"\", \"tags\": [\"\", \"a,b\"], \"label\": \"\", \"parent\": \"p\"}",
                     "{\"name\": \"\", \"label\": \"\", \"tags\": [\"\", \"a,b\"], \"parent\": \"p\"}");
    check_round_trip(&Shape_type, "{\"name\": \"a\", \"parent\": 12}", NULL);
    check_round_trip(&Backend_type,
                     "{\"backend\": \"socket\", \"id\": \"s\", \"server\": true, \"address\": {\"x\": 1, \"y\": 2}}",
                     NULL);
    check_round_trip(&Backend_type, "{\"backend\": \"null\", \"id\": \"n\", \"mux\": false}", NULL);
    check_round_trip(&Everything_type,
                     "{\"x\": 1, \"y\": 2, \"numbers\": {}, \"shapes\": [{\"name\": \"a\"}], "
                     "\"backend\": {\"backend\": \"file\", \"id\": \"f\", \"path\": \"/\"}, \"toggle\": 0.5, "
                     "\"nothing\": null, \"colors\": [\"red\", \"blue\"]}",
                     NULL);
    check_round_trip(&Toggle_type, "true", NULL);
    check_round_trip(&Toggle_type, "3", "3.0");
    check_round_trip(&Toggle_type, "18446744073709551615", "1.8446744073709552e+19");
    check_round_trip(&Toggle_type, "\"red\"", NULL);
    check_round_trip(&StringList_type, "[\"a\", \"b\"]", NULL);
}

static void test_defaults(void)
{
    AUTO_ERROR(error);
    Shape shape = { 0 };
    Json *json = parse("{'name': 'a'}");
    g_assert_true(type_from_json(&Shape_type, json, &shape, &error));
    g_assert_false(shape.has_color || shape.has_filled || shape.has_scale || shape.has_default_);
    g_assert_cmpint(shape.color, ==, COLOR_BLUE);
    g_assert_true(shape.filled);
    g_assert_cmpuint(shape.scale, ==, 4096);
    g_assert_null(shape.label);
    g_assert_null(shape.origin);
    g_assert_null(shape.tags.items);
    g_assert_null(shape.extra);
    type_clear(&Shape_type, &shape);
    json_free(json);
}

/* A wrong value leaves nothing behind, and the message says where it is and what would do. */
static void check_error(const Type *type, const char *text, const char *message)
{
    AUTO_ERROR(error);
    Json *json = parse(text);
    AUTO_FREE void *value = mem_alloc0(type->size);
    g_assert_false(type_from_json(type, json, value, &error));
    g_assert_cmpstr(error_message(error), ==, message);
    g_assert_true(all_zeroes(value, type->size));
    g_assert_false(type_from_json(type, json, value, NULL));
    json_free(json);
}

static void test_scalar_errors(void)
{
    check_error(&Numbers_type, "{'cpus': 0}", "'cpus' expects an integer from 1 to 512, not 0");
    check_error(&Numbers_type, "{'cpus': 513}", "'cpus' expects an integer from 1 to 512, not 513");
    check_error(&Numbers_type, "{'cpus': '1'}", "'cpus' expects an integer from 1 to 512, not '1'");
    check_error(&Numbers_type, "{'cpus': 1.0}", "'cpus' expects an integer from 1 to 512, not 1.0");
    check_error(&Numbers_type, "{'balance': -6}", "'balance' expects an integer from -5 to 5, not -6");
    check_error(&Numbers_type, "{'balance': 6}", "'balance' expects an integer from -5 to 5, not 6");
    check_error(&Numbers_type, "{'i8': 128}", "'i8' expects an integer from -128 to 127, not 128");
    check_error(&Numbers_type, "{'u8': 256}", "'u8' expects an integer from 0 to 255, not 256");
    check_error(&Numbers_type, "{'u32': 4294967296}", "'u32' expects an integer from 0 to 4294967295, not 4294967296");
    check_error(&Numbers_type, "{'u64': -1}", "'u64' expects an integer from 0 to 18446744073709551615, not -1");
    check_error(&Numbers_type, "{'i64': 9223372036854775808}",
                "'i64' expects an integer from -9223372036854775808 to 9223372036854775807, not 9223372036854775808");
    check_error(&Numbers_type, "{'size': '4k'}", "'size' expects a size, not '4k'");
    check_error(&Numbers_type, "{'number': null}", "'number' expects a number, not null");
    check_error(&type_uint8, "[]", "expected an integer from 0 to 255, not an array");
    check_error(&type_bool, "'on'", "expected true or false, not 'on'");
    check_error(&type_null, "1", "expected null, not 1");
    check_error(&Color_type, "'gren'", "expected 'red', 'dark-green' or 'blue', not 'gren'");
    check_error(&Color_type, "'dark-gren'",
                "expected 'red', 'dark-green' or 'blue', not 'dark-gren'; did you mean 'dark-green'?");
    check_error(&Color_type, "3", "expected 'red', 'dark-green' or 'blue', not 3");
}

static void test_place_errors(void)
{
    check_error(&Point_type, "[]", "expected an object, not an array");
    check_error(&Point_type, "{'x': 1}", "'y' is missing");
    check_error(&Point_type, "{'x': 1, 'z': 2}", "'z' is unexpected; there are: x, y");
    check_error(&Shape_type, "{'name': 'a', 'fill': true}", "'fill' is unexpected; did you mean 'filled'?");
    check_error(&Shape_type, "{'nam': 'a'}", "'nam' is unexpected; did you mean 'name'?");
    check_error(&Shape_type, "{'name': 'a', 'corners': [{'x': 1, 'y': 2}, {'x': 1, 'y': true}]}",
                "'corners[1].y' expects an integer from -9223372036854775808 to 9223372036854775807, not true");
    check_error(&Shape_type, "{'name': 'a', 'parent': {'name': 'b', 'parent': {'name': 'c', 'ids': [1, 'x']}}}",
                "'parent.parent.ids[1]' expects an integer from 0 to 65535, not 'x'");
    check_error(&Shape_type, "{'name': 'a', 'parent': {'name': 'b', 'origin': {'x': 1, 'y': 1, 'xx': 2}}}",
                "'parent.origin.xx' is unexpected; there are: x, y");
    check_error(&Shape_type, "{'name': 'a', 'parent': []}",
                "'parent' expects an object or a string or an integer from -9223372036854775808 to 9223372036854775807 "
                "or null, not an array");
    check_error(&Backend_type, "{'id': 'a', 'path': 'x'}", "'backend' is missing");
    check_error(&Backend_type, "{'backend': 'fle', 'id': 'a', 'path': 'x'}",
                "'backend' expects 'file', 'socket' or 'null', not 'fle'; did you mean 'file'?");
    check_error(&Backend_type, "{'backend': 'file', 'id': 'a', 'pth': 'x'}",
                "'pth' is unexpected; did you mean 'path'?");
    check_error(&Backend_type, "{'backend': 'file', 'id': 'a'}", "'path' is missing");
    check_error(&Backend_type, "{'backend': 'null', 'id': 'a', 'path': 'x'}",
                "'path' is unexpected; there are: backend, id, mux");
    check_error(&Backend_type, "{'backend': 'file', 'id': 'a', 'path': 'x', 'server': true}",
                "'server' is unexpected; there are: backend, id, mux, path, append");
}

static void test_text(void)
{
    Everything value = { 0 };
    AUTO_ERROR(error);
    AUTO_STRBUF(buffer);
    Json *json =
        parse("{'x': 1, 'y': 2, 'numbers': {'u8': 3, 'number': 1.5}, 'shapes': [{'name': 'a', 'tags': ['t', 'u'],"
              " 'default': true}, {'name': 'b'}], 'colors': ['red']}");
    g_assert_true(type_from_json(&Everything_type, json, &value, &error));
    type_to_text(&Everything_type, &value, &buffer);
    g_assert_cmpstr(strbuf_text(&buffer), ==,
                    "x: 1\ny: 2\nnumbers:\n    u8: 3\n    number: 1.5\nshapes:\n    name: a\n    tags: t, u\n"
                    "    default: true\n\n    name: b\ncolors: red\n");
    type_clear(&Everything_type, &value);
    json_free(json);
}

static void test_help(void)
{
    AUTO_STRBUF(buffer);
    type_help(&Backend_type, &buffer);
    g_assert_cmpstr(strbuf_text(&buffer), ==,
                    "  backend=<BackendKind>  - which (file|socket|null)\n"
                    "  id=<str>               - its name\n"
                    "  mux=<bool>             - shared\n"
                    "  file:\n"
                    "    append=<bool>        - at its end\n"
                    "    path=<str>           - its path\n"
                    "  socket:\n"
                    "    address=<Point>      - where\n"
                    "    server=<bool>        - listen\n"
                    "    wait=<bool>          - for a client (default: on)\n");
    g_assert_cmpstr(type_display_name(&type_uint16), ==, "uint16");
    g_assert_cmpstr(type_display_name(&type_string), ==, "str");
}

static void test_equality(void)
{
    static const char *const texts[] = {
        "{'name': 'a'}",
        "{'name': 'b'}",
        "{'name': 'a', 'label': 'x'}",
        "{'name': 'a', 'tags': ['x']}",
        "{'name': 'a', 'tags': ['y']}",
        "{'name': 'a', 'origin': {'x': 1, 'y': 1}}",
        "{'name': 'a', 'parent': 'x'}",
        "{'name': 'a', 'parent': null}",
        "{'name': 'a', 'extra': 1}",
        "{'name': 'a', 'filled': true}",
    };
    Shape shapes[G_N_ELEMENTS(texts)] = { 0 };
    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        Json *json = parse(texts[i]);
        g_assert_true(type_from_json(&Shape_type, json, &shapes[i], NULL));
        json_free(json);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        for (size_t j = 0; j < G_N_ELEMENTS(texts); j++) {
            g_assert_true(type_equal(&Shape_type, &shapes[i], &shapes[j]) == (i == j));
        }
    }
    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        type_clear(&Shape_type, &shapes[i]);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/api/type/round-trips", test_round_trips);
    g_test_add_func("/api/type/defaults", test_defaults);
    g_test_add_func("/api/type/scalar-errors", test_scalar_errors);
    g_test_add_func("/api/type/place-errors", test_place_errors);
    g_test_add_func("/api/type/text", test_text);
    g_test_add_func("/api/type/help", test_help);
    g_test_add_func("/api/type/equality", test_equality);
    return g_test_run();
}
