/* Commands by their tables, and the introspection of a schema. */
#include "test.h"
#include "test_tables.h"

#include "api/json.h"
#include "base/error.h"
#include "base/strbuf.h"
#include "base/vec.h"

#include <glib.h>
#include <stdlib.h>
#include <string.h>

static Json *parse(const char *text)
{
    Json *json = json_parse(text, strlen(text), NULL);
    g_assert_nonnull(json);
    return json;
}

/* What the command answers, or its error's message. */
static char *run(const char *name, const char *arguments)
{
    AUTO_ERROR(error);
    const Command *command = command_find_user(test_commands, test_command_count, name, &error);
    Json *given = arguments ? parse(arguments) : NULL;
    Json *result = command ? command_run(command, NULL, given, &error) : NULL;
    g_assert_true((result == NULL) == (error != NULL));
    char *text = result ? json_to_text(result) : string_copy(error_message(error));
    json_free(result);
    json_free(given);
    return text;
}

static void test_run(void)
{
    static const struct {
        const char *name, *arguments, *answer;
    } rows[] = {
        { "add", "{'x': 1, 'y': 2}", "3" },
        { "add", "{'x': 9223372036854775807, 'y': 1}", "the sum is too large" },
        { "add", "{'x': 1}", "'y' is missing" },
        { "add", NULL, "'x' is missing" },
        { "add", "[]", "'arguments' expects an object" },
        { "add", "{'x': 1, 'y': 2, 'z': 3}", "'z' is unexpected; there are: x, y" },
        { "nothing", NULL, "{}" },
        { "nothing", "{}", "{}" },
        { "nothing", "{'x': 1}", "'x' is unexpected: nothing takes no arguments" },
        { "shapes", NULL, "[]" },
        { "make", "{'driver': 'd', 'further': [1]}", "{\"driver\": \"d\", \"further\": [1]}" },
        { "make", "{'further': 1}", "'driver' is missing" },
        { "make", "{'driver': 1}", "'driver' expects a string, not 1" },
        { "echo", "{'x': 1, 'y': 2, 'numbers': {}, 'shapes': []}",
          "{\"x\": 1, \"y\": 2, \"numbers\": {}, \"shapes\": []}" },
        { "ecko", NULL, "The command ecko has not been found; did you mean 'echo'?" },
        { "", NULL, "The command  has not been found" },
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        AUTO_FREE char *answer = run(rows[i].name, rows[i].arguments);
        g_assert_cmpstr(answer, ==, rows[i].answer);
    }
    AUTO_ERROR(error);
    g_assert_null(command_find_user(test_commands, test_command_count, "none", &error));
    g_assert_cmpint(error_class(error), ==, ERROR_COMMAND_NOT_FOUND);
}

static const HmpCommand *hmp_find(const char *name)
{
    for (size_t i = 0; i < test_hmp_command_count; i++) {
        if (strcmp(test_hmp_commands[i].name, name) == 0) {
            return &test_hmp_commands[i];
        }
    }
    return NULL;
}

static void test_hmp_table(void)
{
    g_assert_cmpuint(test_hmp_command_count, ==, 2);
    const HmpCommand *add = hmp_find("add"), *two = hmp_find("two");
    g_assert_true(!add->info && add->command == command_find(test_commands, test_command_count, "add") && !add->run);
    g_assert_cmpuint(add->parameter_count, ==, 2);
    g_assert_cmpint(add->parameters[1].kind, ==, HMP_EXPRESSION);
    g_assert_true(two->info && !two->command && two->run);
    g_assert_cmpstr(two->alias, ==, "i2");
    g_assert_cmpint(two->parameters[0].kind, ==, HMP_FLAG);
    g_assert_cmpint(two->parameters[0].flag, ==, 'u');
    g_assert_cmpint(two->parameters[1].kind, ==, HMP_REST);
    AUTO_STRBUF(output);
    AUTO_FREE void *arguments = mem_alloc0(two->arguments->size);
    g_assert_true(type_from_text(two->arguments, "upper=on,text=ab", arguments, NULL));
    g_assert_true(two->run(NULL, arguments, &output, NULL));
    g_assert_cmpstr(strbuf_text(&output), ==, "ABAB");
    type_clear(two->arguments, arguments);
}

/* ---- introspection ---- */

static const Json *entry(const Json *schema, const char *name)
{
    for (size_t i = 0; i < json_length(schema); i++) {
        if (strcmp(json_get_text(json_item(schema, i), "name"), name) == 0) {
            return json_item(schema, i);
        }
    }
    g_error("there is no %s", name);
}

static const Json *referred(const Json *schema, const Json *from, const char *key)
{
    return entry(schema, json_get_text(from, key));
}

static const Json *member(const Json *object, const char *name)
{
    const Json *members = json_get(object, "members");
    for (size_t i = 0; i < json_length(members); i++) {
        if (strcmp(json_get_text(json_item(members, i), "name"), name) == 0) {
            return json_item(members, i);
        }
    }
    return NULL;
}

/* Marks everything that can be reached from an entry; each name that is referred to must exist. */
static void walk(const Json *schema, const char *name, GHashTable *seen)
{
    if (!g_hash_table_add(seen, g_strdup(name))) {
        return;
    }
    static const char *const references[] = { "arg-type", "ret-type", "element-type" };
    const Json *from = entry(schema, name);
    for (size_t i = 0; i < G_N_ELEMENTS(references); i++) {
        if (json_get(from, references[i])) {
            walk(schema, json_get_text(from, references[i]), seen);
        }
    }
    bool is_enum = strcmp(json_get_text(from, "meta-type"), "enum") == 0;
    for (size_t list = 0; list < 2 && !is_enum; list++) {
        const Json *items = json_get(from, list ? "variants" : "members");
        for (size_t i = 0; items && i < json_length(items); i++) {
            walk(schema, json_get_text(json_item(items, i), "type"), seen);
        }
    }
}

static void check_connected(const Json *schema)
{
    GHashTable *seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    GHashTable *names = g_hash_table_new(g_str_hash, g_str_equal);
    for (size_t i = 0; i < json_length(schema); i++) {
        const Json *item = json_item(schema, i);
        const char *kind = json_get_text(item, "meta-type");
        g_assert_true(g_hash_table_add(names, (gpointer)json_get_text(item, "name")));
        if (strcmp(kind, "command") == 0 || strcmp(kind, "event") == 0 || strcmp(kind, "builtin") == 0) {
            walk(schema, json_get_text(item, "name"), seen);
        }
    }
    g_assert_cmpuint(g_hash_table_size(seen), ==, json_length(schema));
    g_hash_table_destroy(seen);
    g_hash_table_destroy(names);
}

static void check_text(const Json *json, const char *expected)
{
    AUTO_FREE char *text = json_to_text(json);
    g_assert_cmpstr(text, ==, expected);
}

static void test_introspection(void)
{
    const Schema tables = { test_commands, test_command_count, test_events, test_event_count };
    Json *schema = schema_introspect(&tables);
    check_connected(schema);
    const Json *add = entry(schema, "add"), *make = entry(schema, "make");
    g_assert_true(json_to_bool(json_get(add, "allow-oob")));
    g_assert_cmpstr(json_get_text(add, "ret-type"), ==, "int");
    g_assert_null(json_get(make, "allow-oob"));
    check_text(json_get(make, "features"), "[\"json-cli\"]");
    g_assert_cmpstr(json_get_text(entry(schema, "nothing"), "arg-type"), ==,
                    json_get_text(entry(schema, "nothing"), "ret-type"));
    check_text(json_get(referred(schema, entry(schema, "nothing"), "ret-type"), "members"), "[]");

    const Json *list = referred(schema, entry(schema, "shapes"), "ret-type");
    g_assert_cmpstr(json_get_text(list, "meta-type"), ==, "array");
    const Json *shape = referred(schema, list, "element-type");
    g_assert_cmpstr(json_get_text(shape, "meta-type"), ==, "object");
    check_text(member(shape, "name"), "{\"name\": \"name\", \"type\": \"str\"}");
    check_text(member(shape, "scale"), "{\"name\": \"scale\", \"type\": \"int\", \"default\": null}");
    check_text(json_get(member(shape, "default"), "features"), "[\"deprecated\"]");
    const Json *color = referred(schema, member(shape, "color"), "type");
    check_text(json_get(color, "values"), "[\"red\", \"dark-green\", \"blue\"]");
    check_text(json_get(color, "members"), "[{\"name\": \"red\"}, {\"name\": \"dark-green\"}, {\"name\": \"blue\"}]");
    const Json *parent = referred(schema, member(shape, "parent"), "type");
    g_assert_cmpstr(json_get_text(parent, "meta-type"), ==, "alternate");
    g_assert_cmpuint(json_length(json_get(parent, "members")), ==, 4);

    const Json *everything = referred(schema, entry(schema, "echo"), "arg-type");
    const Json *backend = referred(schema, member(everything, "backend"), "type");
    g_assert_cmpstr(json_get_text(backend, "tag"), ==, "backend");
    const Json *variants = json_get(backend, "variants");
    g_assert_cmpuint(json_length(variants), ==, 3);
    g_assert_cmpstr(json_get_text(json_item(variants, 2), "case"), ==, "null");
    check_text(json_get(referred(schema, json_item(variants, 2), "type"), "members"), "[]");
    g_assert_nonnull(member(referred(schema, json_item(variants, 0), "type"), "path"));
    json_free(schema);
}

/* An open command's arguments as the program knows them. */
static void test_open_arguments(void)
{
    const OpenArguments open[] = { { "make", &Backend_type } };
    const Schema tables = {
        .commands = test_commands, .command_count = test_command_count, .open = open, .open_count = 1
    };
    Json *schema = schema_introspect(&tables);
    check_connected(schema);
    const Json *arguments = referred(schema, entry(schema, "make"), "arg-type");
    g_assert_cmpstr(json_get_text(arguments, "tag"), ==, "backend");
    json_free(schema);
}

static void test_types_sorted(void)
{
    for (size_t i = 1; i < test_type_count; i++) {
        g_assert_cmpstr(test_types[i - 1]->name, <, test_types[i]->name);
    }
    for (size_t i = 0; i < test_event_count; i++) {
        g_assert_true(i == 0 || strcmp(test_events[i - 1].name, test_events[i].name) < 0);
    }
    g_assert_null(test_events[0].data);
    g_assert_cmpstr(test_events[1].data->name, ==, "MovedEvent");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/api/command/run", test_run);
    g_test_add_func("/api/command/hmp-table", test_hmp_table);
    g_test_add_func("/api/command/introspection", test_introspection);
    g_test_add_func("/api/command/open-arguments", test_open_arguments);
    g_test_add_func("/api/command/types-sorted", test_types_sorted);
    return g_test_run();
}
