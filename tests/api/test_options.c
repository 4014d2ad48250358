/* Option syntax: what becomes of texts, and of texts with a type. */
#include "test.h"
#include "test_options.h"
#include "test_tables.h"

#include "api/command.h"
#include "api/json.h"
#include "api/options.h"
#include "base/error.h"
#include "base/strbuf.h"
#include "base/vec.h"

#include <glib.h>
#include <stdlib.h>
#include <string.h>

static void test_syntax(void)
{
    static const struct {
        const char *text, *implied, *json;
    } rows[] = {
        { "", NULL, "{}" },
        { "a=1", NULL, "{\"a\": \"1\"}" },
        { "a=1,b=2", NULL, "{\"a\": \"1\", \"b\": \"2\"}" },
        { "a=1,", NULL, "{\"a\": \"1\"}" },
        { "a=", NULL, "{\"a\": \"\"}" },
        { "a=b=c", NULL, "{\"a\": \"b=c\"}" },
        { "a=x,,y", NULL, "{\"a\": \"x,y\"}" },
        { "a=x,,,b=y", NULL, "{\"a\": \"x,\", \"b\": \"y\"}" },
        { "a=,,,,", NULL, "{\"a\": \",,\"}" },
        { "a=1,a=2", NULL, "{\"a\": \"2\"}" },
        { "virt", "type", "{\"type\": \"virt\"}" },
        { "virt,acpi=off", "type", "{\"type\": \"virt\", \"acpi\": \"off\"}" },
        { "a,,b,acpi=off", "type", "{\"type\": \"a,b\", \"acpi\": \"off\"}" },
        { "acpi=off,virt", "type", "{\"acpi\": \"off\", \"virt\": \"on\"}" },
        { "socket,server,nowait", "backend", "{\"backend\": \"socket\", \"server\": \"on\", \"nowait\": \"on\"}" },
        { "a.b=1,a.c.d=2", NULL, "{\"a\": {\"b\": \"1\", \"c\": {\"d\": \"2\"}}}" },
        { "a.0=x,a.1=y", NULL, "{\"a\": [\"x\", \"y\"]}" },
        { "a.1=y,a.0=x", NULL, "{\"a\": [\"x\", \"y\"]}" },
        { "a.0.b=x,a.1.b=y", NULL, "{\"a\": [{\"b\": \"x\"}, {\"b\": \"y\"}]}" },
        { "a.0.0=x", NULL, "{\"a\": [[\"x\"]]}" },
        { "a.0=x,a.b=y", NULL, "{\"a\": {\"0\": \"x\", \"b\": \"y\"}}" },
        { "0=x", NULL, "{\"0\": \"x\"}" },
        { "{'a': [1, {'b': null}]}", NULL, "{\"a\": [1, {\"b\": null}]}" },
        { "a={'b': 1}", NULL, "{\"a\": \"{'b': 1}\"}" },
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        AUTO_ERROR(error);
        Json *json = options_parse(rows[i].text, rows[i].implied, NULL, &error);
        if (!json) {
            g_error("%s: %s", rows[i].text, error_message(error));
        }
        AUTO_FREE char *text = json_to_text(json);
        g_assert_cmpstr(text, ==, rows[i].json);
        json_free(json);
    }
}

static void test_syntax_errors(void)
{
    static const char *const rows[][2] = {
        { "=1", "'=' has no key" },
        { "a.=1", "'a.' has no key" },
        { ".a=1", "'.a' is no valid key: it has nothing before a dot" },
        { "a..b=1", "'a..b' is no valid key: it has nothing before a dot" },
        { "a=1,a.b=2", "'a' is given a value and also members" },
        { "x.a=1,x.a.b=2", "'x.a' is given a value and also members" },
        { "a.b=1,a=2", "'a' is given members and also a value" },
        { "a.0=1,a.2=2", "'a.1' is missing: there is a greater number" },
        { "a.b.1=1", "'a.b.0' is missing: there is a greater number" },
        { "a.999999999=1", "'a.0' is missing: there is a greater number" },
        { "{'a': 1", "JSON parse error at line 1, column 8: the text ends within a value" },
        { "{'a': 1} x", "JSON parse error at line 1, column 10: 'x' is not true, false or null" },
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        AUTO_ERROR(error);
        g_assert_null(options_parse(rows[i][0], NULL, NULL, &error));
        g_assert_cmpstr(error_message(error), ==, rows[i][1]);
    }
    AUTO_STRBUF(deep);
    for (int i = 0; i < 1000; i++) {
        strbuf_append(&deep, "a.");
    }
    strbuf_append(&deep, "b=1");
    AUTO_ERROR(error);
    g_assert_null(options_parse(strbuf_text(&deep), NULL, NULL, &error));
    g_assert_nonnull(strstr(error_message(error), "too many dots"));
}

static void test_help(void)
{
    static const struct {
        const char *text;
        bool help;
    } rows[] = {
        { "help", true }, { "?", true },       { "virt,help", true }, { "virt,a=1,?", true },   { "virt", false },
        { "", false },    { "a=help", false }, { "helper", false },   { "{'help': 1}", false },
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        bool help = false;
        Json *json = options_parse(rows[i].text, "type", &help, NULL);
        g_assert_nonnull(json);
        g_assert_true(help == rows[i].help);
        json_free(json);
    }
    Json *json = options_parse("help", "type", NULL, NULL);
    g_assert_cmpstr(json_get_text(json, "type"), ==, "help");
    json_free(json);
}

static void check_typed(const Type *type, const char *text, const char *expected)
{
    AUTO_ERROR(error);
    AUTO_FREE void *value = mem_alloc0(type->size);
    if (!options_to_value(type, text, value, NULL, &error)) {
        g_error("%s: %s", text, error_message(error));
    }
    Json *json = type_to_json(type, value);
    AUTO_FREE char *written = json_to_text(json);
    g_assert_cmpstr(written, ==, expected);
    json_free(json);
    type_clear(type, value);
}

static void test_typed(void)
{
    check_typed(&Numbers_type, "i64=-0x8000000000000000,u64=18446744073709551615,u8=0x10,balance=-5",
                "{\"i64\": -9223372036854775808, \"u8\": 16, \"u64\": 18446744073709551615, \"balance\": -5}");
    check_typed(&Numbers_type, "size=1.5k,mib=2,number=1e3", "{\"size\": 1536, \"mib\": 2097152, \"number\": 1000.0}");
    check_typed(&Numbers_type, "size=2,mib=2G", "{\"size\": 2, \"mib\": 2147483648}");
    check_typed(&Shape_type, "a,filled=yes,default=n", "{\"name\": \"a\", \"filled\": true, \"default\": false}");
    check_typed(&Shape_type, "a,filled,nodefault", "{\"name\": \"a\", \"filled\": true, \"default\": false}");
    check_typed(&Shape_type, "a,color=dark-green,scale=4k",
                "{\"name\": \"a\", \"color\": \"dark-green\", \"scale\": 4096}");
    check_typed(&Shape_type, "a,origin.x=1,origin.y=2", "{\"name\": \"a\", \"origin\": {\"x\": 1, \"y\": 2}}");
    check_typed(&Shape_type, "a,corners.0.x=1,corners.0.y=2", "{\"name\": \"a\", \"corners\": [{\"x\": 1, \"y\": 2}]}");
    check_typed(&Shape_type, "a,tags.0=x,tags.1=y", "{\"name\": \"a\", \"tags\": [\"x\", \"y\"]}");
    check_typed(&Shape_type, "a,tags=x,,y", "{\"name\": \"a\", \"tags\": [\"x\", \"y\"]}");
    check_typed(&Shape_type, "a,tags=", "{\"name\": \"a\", \"tags\": []}");
    check_typed(&Shape_type, "a,ids=1,,3-5", "{\"name\": \"a\", \"ids\": [1, 3, 4, 5]}");
    check_typed(&Shape_type, "a,parent=b", "{\"name\": \"a\", \"parent\": \"b\"}");
    check_typed(&Shape_type, "a,parent.name=b,parent.filled=off",
                "{\"name\": \"a\", \"parent\": {\"name\": \"b\", \"filled\": false}}");
    check_typed(&Shape_type, "a,extra=7", "{\"name\": \"a\", \"extra\": \"7\"}");
    check_typed(&Shape_type, "{'name': 'a', 'scale': 7}", "{\"name\": \"a\", \"scale\": 7}");
    check_typed(&Backend_type, "socket,id=s,server,nowait,address.x=1,address.y=2",
                "{\"backend\": \"socket\", \"id\": \"s\", \"server\": true, \"wait\": false, "
                "\"address\": {\"x\": 1, \"y\": 2}}");
    check_typed(&Backend_type, "backend=file,path=a,,b,id=f,append=off",
                "{\"backend\": \"file\", \"id\": \"f\", \"path\": \"a,b\", \"append\": false}");
    check_typed(&Everything_type, "x=1,y=2,numbers.u8=1,shapes.0.name=a,toggle=on",
                "{\"x\": 1, \"y\": 2, \"numbers\": {\"u8\": 1}, \"shapes\": [{\"name\": \"a\"}], \"toggle\": true}");
    check_typed(&Everything_type, "x=1,y=2,numbers.u8=1,shapes.0.name=a,toggle=blue,colors=red,,blue",
                "{\"x\": 1, \"y\": 2, \"numbers\": {\"u8\": 1}, \"shapes\": [{\"name\": \"a\"}], \"toggle\": \"blue\", "
                "\"colors\": [\"red\", \"blue\"]}");
}

static void test_typed_errors(void)
{
    static const struct {
        const Type *type;
        const char *text, *message;
    } rows[] = {
        { &Numbers_type, "cpus=many", "'cpus' expects an integer from 1 to 512, not 'many'" },
        { &Numbers_type, "cpus=", "'cpus' expects an integer from 1 to 512, not ''" },
        { &Numbers_type, "cpus", "'cpus' expects an integer from 1 to 512, not 'on'" },
        { &Numbers_type, "u64=18446744073709551616",
          "'u64' expects an integer from 0 to 18446744073709551615, not '18446744073709551616'" },
        { &Numbers_type, "u8=-1", "'u8' expects an integer from 0 to 255, not '-1'" },
        { &Numbers_type, "size=4q", "'size' expects a size such as 512, 4k, 1.5G, not '4q'" },
        { &Numbers_type, "number=inf", "'number' expects a number, not 'inf'" },
        { &Numbers_type, "number=x", "'number' expects a number, not 'x'" },
        { &Shape_type, "a,filled=maybe", "'filled' expects 'on' or 'off', not 'maybe'" },
        { &Shape_type, "a,nofilled=off", "'nofilled' is unexpected; did you mean 'filled'?" },
        { &Shape_type, "a,noname", "'noname' is unexpected; did you mean 'name'?" },
        { &Shape_type, "a,ids=1,,x", "'ids[1]' expects an integer from 0 to 65535, not 'x'" },
        { &Shape_type, "a,ids=5-3", "'ids[0]' expects an integer from 0 to 65535, not '5-3'" },
        { &Shape_type, "a,ids=0-999999999", "'ids[0]' expects an integer from 0 to 65535, not '0-999999999'" },
        { &Shape_type, "a,origin=1", "'origin' expects an object, not '1'" },
        { &Shape_type, "a,name.x=1", "'name' is given a value and also members" },
        { &Shape_type, "{'name': 'a', 'scale': '7'}", "'scale' expects a size, not '7'" },
        { &Shape_type, "{'name': 'a', 'nofilled': 'on'}", "'nofilled' is unexpected; did you mean 'filled'?" },
        { &Everything_type, "x=1,y=2,numbers.u8=1,shapes.0.name=a,toggle=green",
          "'toggle' expects 'on' or 'off' or a number or 'red', 'dark-green' or 'blue', not 'green'" },
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        AUTO_ERROR(error);
        AUTO_FREE void *value = mem_alloc0(rows[i].type->size);
        g_assert_false(options_to_value(rows[i].type, rows[i].text, value, NULL, &error));
        g_assert_cmpstr(error_message(error), ==, rows[i].message);
    }
}

static void test_single_texts(void)
{
    AUTO_ERROR(error);
    uint64_t size = 0;
    g_assert_true(type_from_text(&type_size_mib, "1", &size, &error));
    g_assert_cmpuint(size, ==, MIB);
    bool on = false;
    g_assert_true(type_from_text(&type_bool, "on", &on, &error));
    g_assert_true(on);
    Point point = { 0 };
    g_assert_true(type_from_text(&Point_type, "x=1,y=-1", &point, &error));
    g_assert_cmpint(point.y, ==, -1);
    uint8_t byte = 0;
    g_assert_false(type_from_text(&type_uint8, "256", &byte, &error));
    g_assert_cmpstr(error_message(error), ==, "expected an integer from 0 to 255, not '256'");
}

static void test_option_table(void)
{
    AUTO_ERROR(error);
    const Option *option = option_find(test_options, test_option_count, "s", &error);
    g_assert_true(option == &test_options[OPTION_SHAPE]);
    g_assert_true(option_find(test_options, test_option_count, "backend", &error) == &test_options[OPTION_BACK]);
    g_assert_null(option_find(test_options, test_option_count, "shap", &error));
    g_assert_cmpstr(error_message(error), ==, "there is no option '-shap'; did you mean '-shape'?");
    AUTO_STRBUF(help);
    options_help(test_options, test_option_count, &help);
    g_assert_cmpstr(strbuf_text(&help), ==,
                    "Shapes:\n-shape or -s [name=]name[,...]\n                makes a shape\n"
                    "-backend [backend=]kind,id=id[,...]\n                makes a back-end\n"
                    "\nOther:\n-quiet\n                says nothing\n");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/api/options/syntax", test_syntax);
    g_test_add_func("/api/options/syntax-errors", test_syntax_errors);
    g_test_add_func("/api/options/help", test_help);
    g_test_add_func("/api/options/typed", test_typed);
    g_test_add_func("/api/options/typed-errors", test_typed_errors);
    g_test_add_func("/api/options/single-texts", test_single_texts);
    g_test_add_func("/api/options/table", test_option_table);
    return g_test_run();
}
