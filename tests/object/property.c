/* Properties of each kind: values, hooks, links, aliases, arrays; when they may be set; defaults and their order. */
#include "api/json.h"
#include "api/type.h"
#include "base/error.h"
#include "base/vec.h"
#include "object/object.h"

#include <glib.h>

typedef struct Device {
    Object object;
    uint32_t size, live, fixed, checked;
    char *name;
    bool on;
    TypeList lanes, words;
    Object *backend;
    int64_t hooked;
    uint64_t seen_data;
} Device;

static Json *hooked_get(Object *object, const Property *property, Error **error)
{
    return json_int(((Device *)object)->hooked);
}

static bool hooked_set(Object *object, const Property *property, const Json *value, Error **error)
{
    Device *device = (Device *)object;
    int64_t number;
    g_assert_true(json_to_int64(value, &number)); /* a text has been through the type */
    if (number == 13) {
        return error_set(error, "unlucky");
    }
    device->hooked = number;
    device->seen_data = property->data;
    return true;
}

static bool untyped_set(Object *object, const Property *property, const Json *value, Error **error)
{
    ((Device *)object)->hooked = (int64_t)strlen(json_text(value));
    return true;
}

static bool check_even(Object *object, const Property *property, Error **error)
{
    return ((Device *)object)->checked % 2 ? error_set(error, "%u is odd", ((Device *)object)->checked) : true;
}

static bool check_backend(Object *object, const Property *property, Error **error)
{
    Device *device = (Device *)object;
    return device->backend && device->backend->complete ? error_set(error, "in use") : true;
}

const Class backend_class = { .name = "backend", .parent = &object_class };

static const Property device_properties[] = {
    PROP("size", type_uint32, Device, size, "16", "a number"),
    PROP("name", type_string, Device, name, "none", "a text"),
    PROP("on", type_bool, Device, on, "on", "a switch"),
    { .name = "live", .type = &type_uint32, .offset = offsetof(Device, live), .when = PROPERTY_ANY_TIME },
    { .name = "fixed", .type = &type_uint32, .offset = offsetof(Device, fixed), .when = PROPERTY_READ_ONLY,
      .default_text = "7" },
    { .name = "checked", .type = &type_uint32, .offset = offsetof(Device, checked), .check = check_even,
      .default_text = "1" },
    { .name = "lanes", .kind = PROPERTY_ARRAY, .type = &type_uint16, .offset = offsetof(Device, lanes),
      .default_text = "1,2" },
    { .name = "words", .kind = PROPERTY_ARRAY, .type = &type_string, .offset = offsetof(Device, words) },
    { .name = "backend", .kind = PROPERTY_LINK, .target = &backend_class, .offset = offsetof(Device, backend),
      .check = check_backend },
    { .name = "hooked", .type = &type_int64, .get = hooked_get, .set = hooked_set, .data = 5, .default_text = "-3" },
    { .name = "untyped", .set = untyped_set },
    { .name = "derived", .type = &type_int64, .get = hooked_get },
    { .name = "x-secret", .type = &type_uint32, .offset = offsetof(Device, live), .hidden = true },
    { .name = "backend-size", .kind = PROPERTY_ALIAS, .alias_object = "inner", .alias_name = "size" },
    { .name = "backend-lanes", .kind = PROPERTY_ALIAS, .alias_object = "inner", .alias_name = "lanes" },
    { .name = "bytes", .kind = PROPERTY_ALIAS, .alias_name = "size" },
    { .name = "loop", .kind = PROPERTY_ALIAS, .alias_name = "pool" },
    { .name = "pool", .kind = PROPERTY_ALIAS, .alias_name = "loop" },
    PROP_END,
};
static const Class marker_class = { .name = "marker", .parent = &object_class, .abstract = true };
static const Class *const device_interfaces[] = { &marker_class, NULL };
const Class device_class = {
    .name = "device",
    .parent = &object_class,
    .size = sizeof(Device),
    .properties = device_properties,
    .interfaces = device_interfaces,
};
const Class uart_class = { .name = "uart", .parent = &device_class };

typedef struct Fixture {
    Object *object;
    Device *device;
} Fixture;

static void fixture_new(Fixture *fixture, gconstpointer data)
{
    fixture->object = object_new(&uart_class, NULL, NULL, NULL);
    fixture->device = (Device *)fixture->object;
}

static void fixture_free(Fixture *fixture, gconstpointer data) { object_unref(fixture->object); }

static void expect_value(Object *object, const char *name, const char *expected)
{
    AUTO_ERROR(error);
    Json *json = object_get(object, name, &error);
    g_assert_null(error);
    g_autofree char *text = json_to_text(json);
    g_assert_cmpstr(text, ==, expected);
    json_free(json);
}

static void expect_get_error(Object *object, const char *name, const char *message)
{
    AUTO_ERROR(error);
    g_assert_null(object_get(object, name, &error));
    g_assert_cmpstr(error_message(error), ==, message);
}

static void expect_text_error(Object *object, const char *name, const char *text, const char *message)
{
    AUTO_ERROR(error);
    g_assert_false(object_set_text(object, name, text, &error));
    g_assert_cmpstr(error_message(error), ==, message);
}

static void set_json(Object *object, const char *name, const char *text)
{
    Json *json = json_parse(text, strlen(text), NULL);
    AUTO_ERROR(error);
    g_assert_true(object_set(object, name, json, &error));
    json_free(json);
}

static void expect_json_error(Object *object, const char *name, const char *text, const char *message)
{
    Json *json = json_parse(text, strlen(text), NULL);
    AUTO_ERROR(error);
    g_assert_false(object_set(object, name, json, &error));
    g_assert_cmpstr(error_message(error), ==, message);
    json_free(json);
}

static void test_values(Fixture *fixture, gconstpointer data)
{
    Object *object = fixture->object;
    expect_value(object, "size", "16");
    expect_value(object, "name", "\"none\"");
    expect_value(object, "on", "true");
    expect_value(object, "fixed", "7");
    expect_value(object, "lanes", "[1, 2]");
    g_assert_true(object_set_text(object, "size", "0x20", NULL));
    g_assert_cmpuint(fixture->device->size, ==, 32);
    g_assert_true(object_set_text(object, "on", "off", NULL));
    g_assert_false(fixture->device->on);
    set_json(object, "size", "4294967295");
    set_json(object, "name", "'a'");
    set_json(object, "name", "'b'");
    g_assert_cmpstr(fixture->device->name, ==, "b");
    expect_json_error(object, "size", "'5'",
                      "Property 'uart.size': expected an integer from 0 to 4294967295, not '5'");
    expect_text_error(object, "size", "4294967296",
                      "Property 'uart.size': expected an integer from 0 to 4294967295, not '4294967296'");
    expect_json_error(object, "name", "5", "Property 'uart.name': expected a string, not 5");
    g_assert_cmpuint(fixture->device->size, ==, UINT32_MAX);
    g_assert_cmpstr(fixture->device->name, ==, "b"); /* as before */
}

static void test_not_found(Fixture *fixture, gconstpointer data)
{
    expect_text_error(fixture->object, "sise", "1", "Property 'uart.sise' not found; did you mean 'size'?");
    expect_get_error(fixture->object, "backnd", "Property 'uart.backnd' not found; did you mean 'backend'?");
    expect_get_error(fixture->object, "zzzz", "Property 'uart.zzzz' not found");
    expect_get_error(fixture->object, "", "Property 'uart.' not found");
    expect_get_error(fixture->object, "x-secre", "Property 'uart.x-secre' not found"); /* hidden ones are not told */
    g_assert_null(object_property(fixture->object, "size[0]", NULL, NULL));
    g_assert_null(object_property(fixture->object, "len-size", NULL, NULL));
}

static void test_when(Fixture *fixture, gconstpointer data)
{
    Object *object = fixture->object;
    expect_text_error(object, "fixed", "1", "Property 'uart.fixed' is not writable");
    g_assert_true(object_set_text(object, "live", "1", NULL));
    g_assert_true(object_complete(object, NULL));
    g_assert_true(object_set_text(object, "live", "2", NULL));
    g_assert_cmpuint(fixture->device->live, ==, 2);
    expect_text_error(object, "size", "1", "Property 'uart.size' cannot be set any more: 'uart' is in use");
    expect_text_error(object, "len-lanes", "1", "Property 'uart.lanes' cannot be set any more: 'uart' is in use");
    g_assert_cmpuint(fixture->device->size, ==, 16);
}

static void test_check(Fixture *fixture, gconstpointer data)
{
    g_assert_cmpuint(fixture->device->checked, ==, 1); /* a default is not asked about */
    g_assert_true(object_set_text(fixture->object, "checked", "4", NULL));
    expect_text_error(fixture->object, "checked", "5", "Property 'uart.checked': 5 is odd");
    g_assert_cmpuint(fixture->device->checked, ==, 4);
}

static void test_hooks(Fixture *fixture, gconstpointer data)
{
    g_assert_cmpint(fixture->device->hooked, ==, -3); /* the default came through the hook */
    g_assert_cmpuint(fixture->device->seen_data, ==, 5);
    g_assert_true(object_set_text(fixture->object, "hooked", "0x10", NULL));
    expect_value(fixture->object, "hooked", "16");
    expect_value(fixture->object, "derived", "16");
    expect_text_error(fixture->object, "hooked", "13", "Property 'uart.hooked': unlucky");
    expect_text_error(fixture->object, "hooked", "x",
                      "Property 'uart.hooked': expected an integer from -9223372036854775808 to 9223372036854775807, "
                      "not 'x'");
    expect_text_error(fixture->object, "derived", "1", "Property 'uart.derived' is not writable");
    g_assert_true(object_set_text(fixture->object, "untyped", "four", NULL));
    g_assert_cmpint(fixture->device->hooked, ==, 4);
    expect_get_error(fixture->object, "untyped", "Property 'uart.untyped' is not readable");
}

static void test_links(Fixture *fixture, gconstpointer data)
{
    Object *backend = object_new(&backend_class, NULL, NULL, NULL), *wrong = object_new(&uart_class, NULL, NULL, NULL);
    AUTO_ERROR(error);
    g_assert_true(object_set_link(fixture->object, "backend", backend, NULL));
    g_assert_false(object_set_link(fixture->object, "backend", wrong, &error));
    g_assert_cmpstr(error_message(error), ==, "Property 'uart.backend': 'the object' is of type uart, not backend");
    AUTO_ERROR(not_link);
    g_assert_false(object_set_link(fixture->object, "size", backend, &not_link));
    g_assert_cmpstr(error_message(not_link), ==, "Property 'uart.size' is not a link");
    /* The check refuses one that is complete: the old one stays, and nobody's count changes. */
    Object *busy = object_new(&backend_class, NULL, NULL, NULL);
    g_assert_true(object_complete(busy, NULL));
    g_assert_false(object_set_link(fixture->object, "backend", busy, NULL));
    g_assert_true(fixture->device->backend == backend);
    g_assert_cmpuint(busy->references, ==, 1);
    g_assert_cmpuint(backend->references, ==, 2);
    object_unref(busy);
    object_unref(wrong);
    object_unref(backend);
}

static void test_arrays(Fixture *fixture, gconstpointer data)
{
    Object *object = fixture->object;
    set_json(object, "lanes", "[5, 6, 7]");
    expect_value(object, "len-lanes", "3");
    expect_value(object, "lanes[2]", "7");
    expect_get_error(object, "lanes[3]", "array 'lanes' of uart has 3 elements; 'len-lanes' sets how many");
    g_assert_true(object_set_text(object, "lanes[0]", "65535", NULL));
    expect_value(object, "lanes", "[65535, 6, 7]");
    expect_text_error(object, "lanes[0]", "65536",
                      "Property 'uart.lanes[0]': expected an integer from 0 to 65535, not '65536'");
    expect_text_error(object, "words[0]", "x",
                      "Property 'uart.words[0]': array 'words' of uart has 0 elements; 'len-words' sets how many");
    g_assert_true(object_set_text(object, "len-words", "2", NULL));
    g_assert_true(object_set_text(object, "words[1]", "b", NULL));
    g_assert_true(object_set_text(object, "words[0]", "a", NULL));
    expect_value(object, "words", "[\"a\", \"b\"]");
    g_assert_true(object_set_text(object, "words", "c,d,e", NULL));
    expect_value(object, "words", "[\"c\", \"d\", \"e\"]");
    g_assert_true(object_set_text(object, "len-words", "0", NULL));
    expect_value(object, "words", "[]");
    expect_text_error(object, "len-words", "65537", "Property 'uart.len-words': an array has at most 65536 elements");
    expect_json_error(object, "lanes", "[1, 'x']",
                      "Property 'uart.lanes': '[1]' expects an integer from 0 to 65535, not 'x'");
    static const char *const odd[] = { "lanes[]", "lanes[-1]", "lanes[x]", "[0]", "lanes[0", "lanes[0]x" };
    for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
        g_assert_null(object_property(object, odd[i], NULL, NULL));
    }
    expect_get_error(object, "lanes[18446744073709551615]",
                     "array 'lanes' of uart has 3 elements; 'len-lanes' sets how many");
}

static void test_aliases(Fixture *fixture, gconstpointer data)
{
    Object *object = fixture->object;
    expect_get_error(object, "backend-size",
                     "Property 'uart.backend-size' stands for one of 'inner', which is not set");
    Object *inner = object_new(&uart_class, NULL, NULL, NULL);
    g_assert_true(object_add_child(object, "inner", inner, NULL));
    g_assert_true(object_set_text(object, "backend-size", "99", NULL));
    g_assert_cmpuint(((Device *)inner)->size, ==, 99);
    g_assert_cmpuint(fixture->device->size, ==, 16);
    g_assert_true(object_set_text(object, "backend-lanes[1]", "9", NULL));
    expect_value(object, "backend-lanes", "[1, 9]");
    expect_value(object, "len-backend-lanes", "2");
    Object *owner = NULL;
    const Property *row = object_property(object, "backend-size", &owner, NULL);
    g_assert_true(row == &device_properties[0]);
    g_assert_true(owner == inner);
    /* Whether it may be set is for the object that has it. */
    g_assert_true(object_complete(inner, NULL));
    g_assert_false(object_set_text(object, "backend-size", "1", NULL));
    g_assert_true(object_set_text(object, "bytes", "3", NULL)); /* of the object itself */
    g_assert_cmpuint(fixture->device->size, ==, 3);
    expect_get_error(object, "loop", "Property 'uart.loop' stands for itself");
    object_unref(inner);
}

static void test_dynamic(Fixture *fixture, gconstpointer data)
{
    Object *object = fixture->object;
    char name[] = "pflash0", target[] = "inner", property[] = "backend-size";
    object_add_property(object, &(Property){ .name = name, .kind = PROPERTY_ALIAS, .alias_object = target,
                                             .alias_name = property });
    memset(name, 'x', sizeof name - 1); /* strings are copied */
    memset(target, 'x', sizeof target - 1);
    memset(property, 'x', sizeof property - 1);
    Object *inner = object_new(&uart_class, NULL, NULL, NULL), *innermost = object_new(&uart_class, NULL, NULL, NULL);
    g_assert_true(object_add_child(object, "inner", inner, NULL));
    g_assert_true(object_add_child(inner, "inner", innermost, NULL));
    g_assert_true(object_set_text(object, "pflash0", "5", NULL)); /* an alias of an alias */
    g_assert_cmpuint(((Device *)innermost)->size, ==, 5);
    expect_get_error(object, "pflash1", "Property 'uart.pflash1' not found; did you mean 'pflash0'?");
    g_assert_null(object_property(inner, "pflash0", NULL, NULL)); /* of this object alone */
    object_unref(inner);
    object_unref(innermost);
}

static void test_children_as_properties(Fixture *fixture, gconstpointer data)
{
    Object *child = object_new(&uart_class, NULL, NULL, NULL);
    g_assert_true(object_add_child(fixture->object, "child", child, NULL));
    expect_text_error(fixture->object, "child", "x", "Property 'uart.child' is not writable");
    expect_value(fixture->object, "child", "\"\"");
    object_unref(child);
}

static void test_set_all(Fixture *fixture, gconstpointer data)
{
    static const char options[] =
        "{'driver': 'uart', 'size': '1', 'len-words': '1', 'words[0]': 'a', 'lanes': ['8', '9']}";
    static const char *const skip[] = { "driver", NULL };
    Json *json = json_parse(options, strlen(options), NULL);
    AUTO_ERROR(error);
    g_assert_true(object_set_all(fixture->object, json, true, skip, &error));
    expect_value(fixture->object, "size", "1");
    expect_value(fixture->object, "words", "[\"a\"]");
    expect_value(fixture->object, "lanes", "[8, 9]");
    AUTO_ERROR(no_driver);
    g_assert_false(object_set_all(fixture->object, json, true, NULL, &no_driver));
    g_assert_true(g_str_has_prefix(error_message(no_driver), "Property 'uart.driver' not found"));
    AUTO_ERROR(not_text);
    g_assert_false(object_set_all(fixture->object, json, false, skip, &not_text)); /* QMP's values have their types */
    g_assert_cmpstr(error_message(not_text), ==,
                    "Property 'uart.size': expected an integer from 0 to 4294967295, not '1'");
    json_free(json);
}

/* Class default, machine version, -global on whatever ancestor, in this order; what was not used is known. */
static void test_defaults(void)
{
    PropertyDefault rows[] = {
        { "device", "size", "20" },  { "uart", "size", "21" },      { "other", "size", "22" },
        { "object", "name", "any" }, { "marker", "live", "23" },    { "device", "lanes", "7,8" },
    };
    PropertyDefaults defaults = { .items = rows, .count = ARRAY_SIZE(rows) };
    Object *object = object_new(&uart_class, NULL, &defaults, NULL);
    expect_value(object, "size", "21");
    expect_value(object, "name", "\"any\"");
    expect_value(object, "live", "23");
    expect_value(object, "lanes", "[7, 8]");
    static const bool used[] = { true, true, false, true, true, true };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        g_assert_true(rows[i].used == used[i]);
    }
    object_unref(object);
    /* The later row wins, wherever its class stands. */
    PropertyDefault reversed[] = { { "uart", "size", "1" }, { "device", "size", "2" } };
    object = object_new(&uart_class, NULL, &(PropertyDefaults){ .items = reversed, .count = 2 }, NULL);
    expect_value(object, "size", "2");
    object_unref(object);
}

static void test_defaults_bad(void)
{
    static const char *const rows[][4] = {
        { "device", "sizes", "1", "default device.sizes=1: Property 'uart.sizes' not found; did you mean 'size'?" },
        { "uart", "size", "x",
          "default uart.size=x: Property 'uart.size': expected an integer from 0 to 4294967295, not 'x'" },
        { "uart", "fixed", "1", "default uart.fixed=1: Property 'uart.fixed' is not writable" },
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        PropertyDefault row = { rows[i][0], rows[i][1], rows[i][2] };
        AUTO_ERROR(error);
        g_assert_null(object_new(&uart_class, NULL, &(PropertyDefaults){ .items = &row, .count = 1 }, &error));
        g_assert_cmpstr(error_message(error), ==, rows[i][3]);
    }
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(Fixture *fixture, gconstpointer data);
    } tests[] = {
        { "/values", test_values },
        { "/not-found", test_not_found },
        { "/when", test_when },
        { "/check", test_check },
        { "/hooks", test_hooks },
        { "/links", test_links },
        { "/arrays", test_arrays },
        { "/aliases", test_aliases },
        { "/dynamic", test_dynamic },
        { "/children", test_children_as_properties },
        { "/set-all", test_set_all },
    };
    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
        g_test_add(tests[i].name, Fixture, NULL, fixture_new, tests[i].run, fixture_free);
    }
    g_test_add_func("/defaults", test_defaults);
    g_test_add_func("/defaults/bad", test_defaults_bad);
    return g_test_run();
}
