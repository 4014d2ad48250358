/* Paths: canonical, absolute, partial, ambiguous; through links; containers; where links are resolved from. */
#include "api/json.h"
#include "base/error.h"
#include "object/object.h"

#include <glib.h>

typedef struct Thing {
    Object object;
    Object *to;
} Thing;

static const Property thing_properties[] = {
    PROP_LINK("to", object_class, Thing, to, "another"),
    PROP_END,
};
const Class thing_class = {
    .name = "thing",
    .parent = &object_class,
    .size = sizeof(Thing),
    .properties = thing_properties,
};
const Class other_class = { .name = "other", .parent = &thing_class };

static Object *put(Object *parent, const char *name, const Class *class)
{
    Object *object = object_new(class, NULL, NULL, NULL);
    g_assert_true(object_add_child(parent, name, object, NULL));
    object_unref(object);
    return object;
}

typedef struct Tree {
    Object *root, *machine, *disk0, *disk1, *inner, *loose;
} Tree;

/* /machine/peripheral/{disk0,disk1/inner}, /machine/unattached/inner, and one that hangs nowhere. */
static void tree_new(Tree *tree, gconstpointer data)
{
    tree->root = object_new(&container_class, NULL, NULL, NULL);
    tree->machine = put(tree->root, "machine", &thing_class);
    Object *peripheral = object_container(tree->machine, "peripheral");
    tree->disk0 = put(peripheral, "disk0", &thing_class);
    tree->disk1 = put(peripheral, "disk1", &other_class);
    tree->inner = put(tree->disk1, "inner", &thing_class);
    put(object_container(tree->root, "machine/unattached"), "inner", &thing_class);
    tree->loose = object_new(&thing_class, NULL, NULL, NULL);
}

static void tree_free(Tree *tree, gconstpointer data)
{
    object_unref(tree->loose);
    object_unref(tree->root);
}

static void expect_path(const Object *object, const char *expected)
{
    g_autofree char *path = object_path(object);
    g_assert_cmpstr(path, ==, expected);
}

static void test_path(Tree *tree, gconstpointer data)
{
    expect_path(tree->root, "/");
    expect_path(tree->machine, "/machine");
    expect_path(tree->inner, "/machine/peripheral/disk1/inner");
    expect_path(tree->loose, NULL);
    Object *part = put(tree->loose, "part", &thing_class);
    expect_path(part, NULL);
}

static void test_absolute(Tree *tree, gconstpointer data)
{
    g_assert_true(object_resolve(tree->root, "/", NULL) == tree->root);
    g_assert_true(object_resolve(tree->root, "/machine", NULL) == tree->machine);
    g_assert_true(object_resolve(tree->root, "//machine/peripheral//disk0/", NULL) == tree->disk0);
    g_assert_null(object_resolve(tree->root, "/disk0", NULL));
    g_assert_null(object_resolve(tree->root, "/machine/peripheral/disk2", NULL));
}

static void test_links_in_paths(Tree *tree, gconstpointer data)
{
    g_assert_null(object_resolve(tree->root, "/machine/to", NULL)); /* not set yet */
    g_assert_true(object_set_text(tree->machine, "to", "disk1", NULL));
    g_assert_true(object_resolve(tree->root, "/machine/to", NULL) == tree->disk1);
    g_assert_true(object_resolve(tree->root, "/machine/to/inner", NULL) == tree->inner);
    g_assert_null(object_resolve(tree->root, "to", NULL)); /* a partial path has children alone */
}

static void test_partial(Tree *tree, gconstpointer data)
{
    bool ambiguous = true;
    g_assert_true(object_resolve(tree->root, "disk0", &ambiguous) == tree->disk0);
    g_assert_false(ambiguous);
    g_assert_true(object_resolve(tree->root, "peripheral/disk0", NULL) == tree->disk0);
    g_assert_true(object_resolve(tree->root, "disk1/inner", NULL) == tree->inner);
    g_assert_true(object_resolve(tree->root, "machine", NULL) == tree->machine);
    g_assert_null(object_resolve(tree->root, "inner", &ambiguous));
    g_assert_true(ambiguous);
    g_assert_null(object_resolve(tree->root, "nothing", &ambiguous));
    g_assert_false(ambiguous);
    g_assert_null(object_resolve(tree->root, "", &ambiguous));
}

static void test_container(Tree *tree, gconstpointer data)
{
    Object *a = object_container(tree->root, "x/y");
    expect_path(a, "/x/y");
    g_assert_true(object_container(tree->root, "x/y") == a);
    g_assert_true(object_container(tree->root, "") == tree->root);
    g_assert_true(a->class == &container_class);
}

static bool append_path(Object *object, void *context)
{
    g_autofree char *path = object_path(object);
    g_string_append_printf(context, "%s ", path);
    return !strstr(path, "unattached");
}

static void test_descendants(Tree *tree, gconstpointer data)
{
    g_autoptr(GString) paths = g_string_new("");
    g_assert_false(object_each_descendant(tree->root, append_path, paths));
    g_assert_cmpstr(paths->str, ==, "/machine /machine/peripheral /machine/peripheral/disk0 /machine/peripheral/disk1 "
                                    "/machine/peripheral/disk1/inner /machine/unattached ");
    g_assert_true(object_each_descendant(tree->loose, append_path, paths));
}

static void expect_link_error(Object *object, const char *path, const char *message)
{
    AUTO_ERROR(error);
    g_assert_false(object_set_text(object, "to", path, &error));
    g_assert_cmpstr(error_message(error), ==, message);
}

static void test_link_errors(Tree *tree, gconstpointer data)
{
    expect_link_error(tree->machine, "disk3",
                      "Property 'thing.to': Device 'disk3' not found; did you mean 'disk0' or 'disk1'?");
    expect_link_error(tree->machine, "inner", "Property 'thing.to': Path 'inner' does not uniquely identify an object");
    AUTO_ERROR(error);
    g_assert_false(object_set_text(tree->machine, "to", "zzz", &error));
    g_assert_cmpint(error_class(error), ==, ERROR_DEVICE_NOT_FOUND);
    AUTO_ERROR(kind);
    Json *number = json_int(1);
    g_assert_false(object_set(tree->machine, "to", number, &kind));
    json_free(number);
    g_assert_true(g_str_has_prefix(error_message(kind), "Property 'thing.to': expected an object's path or id"));
}

/* While an object hangs nowhere its links are resolved from the root that its defaults named, else from itself. */
static void test_root(Tree *tree, gconstpointer data)
{
    g_assert_true(object_root(tree->inner) == tree->root);
    g_assert_true(object_root(tree->loose) == tree->loose);
    g_assert_false(object_set_text(tree->loose, "to", "disk0", NULL));
    PropertyDefault default_to = { .class_name = "thing", .property = "to", .value = "/machine" };
    PropertyDefaults defaults = { .items = &default_to, .count = 1, .root = tree->root };
    Object *object = object_new(&thing_class, NULL, &defaults, NULL);
    g_assert_true(((Thing *)object)->to == tree->machine);
    g_assert_true(object_root(object) == tree->root);
    Object *part = put(object, "part", &thing_class);
    g_assert_true(object_set_text(part, "to", "disk0", NULL));
    g_assert_true(((Thing *)part)->to == tree->disk0);
    object_unref(object);
}

static void test_link_value(Tree *tree, gconstpointer data)
{
    Json *empty = object_get(tree->machine, "to", NULL);
    g_assert_cmpstr(json_text(empty), ==, "");
    json_free(empty);
    g_assert_true(object_set_link(tree->machine, "to", tree->inner, NULL));
    Json *path = object_get(tree->machine, "to", NULL);
    g_assert_cmpstr(json_text(path), ==, "/machine/peripheral/disk1/inner");
    json_free(path);
    object_unparent(tree->inner);
    path = object_get(tree->machine, "to", NULL); /* held, but nowhere */
    g_assert_cmpstr(json_text(path), ==, "");
    json_free(path);
    g_assert_true(object_set_text(tree->machine, "to", "", NULL));
    g_assert_null(((Thing *)tree->machine)->to);
    Json *child = object_get(tree->root, "machine", NULL);
    g_assert_cmpstr(json_text(child), ==, "/machine");
    json_free(child);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(Tree *tree, gconstpointer data);
    } tests[] = {
        { "/path", test_path },
        { "/absolute", test_absolute },
        { "/links", test_links_in_paths },
        { "/partial", test_partial },
        { "/container", test_container },
        { "/descendants", test_descendants },
        { "/link/errors", test_link_errors },
        { "/link/root", test_root },
        { "/link/value", test_link_value },
    };
    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
        g_test_add(tests[i].name, Tree, NULL, tree_new, tests[i].run, tree_free);
    }
    return g_test_run();
}
