/* Classes: inheritance, interfaces, redefined properties, finding them by a user's word. */
#include "api/type.h"
#include "base/error.h"
#include "object/object.h"

#include <glib.h>

typedef struct Animal {
    Object object;
    uint32_t legs;
    char *sound;
} Animal;

static const Class flying_class = { .name = "flying", .parent = &object_class, .abstract = true };
static const Class diving_class = { .name = "diving", .parent = &flying_class, .abstract = true };

static const Property animal_properties[] = {
    PROP("legs", type_uint32, Animal, legs, "4", "how many legs"),
    PROP("sound", type_string, Animal, sound, NULL, "what it says"),
    PROP_END,
};
const Class animal_class = {
    .name = "animal",
    .parent = &object_class,
    .size = sizeof(Animal),
    .abstract = true,
    .properties = animal_properties,
};

static const Property bird_properties[] = {
    PROP("legs", type_uint32, Animal, legs, "2", "how many legs"),
    PROP_END,
};
static const Class *const bird_interfaces[] = { &diving_class, NULL };
const Class bird_class = {
    .name = "bird",
    .parent = &animal_class,
    .interfaces = bird_interfaces,
    .properties = bird_properties,
};
const Class duck_class = { .name = "mallard-duck", .parent = &bird_class };
const Class dog_class = { .name = "dog", .parent = &animal_class };

static void test_is(void)
{
    g_assert_true(class_is(&duck_class, &duck_class));
    g_assert_true(class_is(&duck_class, &animal_class));
    g_assert_true(class_is(&duck_class, &object_class));
    g_assert_false(class_is(&bird_class, &duck_class));
    g_assert_false(class_is(&dog_class, &bird_class));
    g_assert_true(class_is(&duck_class, &diving_class)); /* the parent's interface */
    g_assert_true(class_is(&duck_class, &flying_class)); /* the interface's parent */
    g_assert_false(class_is(&dog_class, &flying_class));
    g_assert_false(class_is(NULL, &object_class));
}

static void test_find(void)
{
    g_assert_true(class_find("dog") == &dog_class);
    g_assert_true(class_find("container") == &container_class);
    g_assert_null(class_find("cat"));
    g_assert_null(class_find(""));
    for (size_t i = 0; i < object_class_count; i++) {
        g_assert_true(class_find(object_classes[i]->name) == object_classes[i]);
    }
    g_assert_null(object_classes[object_class_count]);
}

static void expect_no_class(const char *name, const Class *base, const char *message)
{
    AUTO_ERROR(error);
    g_assert_null(class_find_user(name, base, "pet", &error));
    g_assert_cmpstr(error_message(error), ==, message);
}

static void test_find_user(void)
{
    g_assert_true(class_find_user("dog", &animal_class, "pet", NULL) == &dog_class);
    expect_no_class("dgo", &animal_class, "'dgo' is not a valid pet; did you mean 'dog'?");
    expect_no_class("duck", &animal_class, "'duck' is not a valid pet; did you mean 'mallard-duck'?");
    expect_no_class("elephant", &animal_class, "'elephant' is not a valid pet");
    expect_no_class("animal", &animal_class, "'animal' is an abstract pet: only what is derived from it can be used");
    /* Neither named nor proposed: what is no pet. */
    expect_no_class("container", &animal_class, "'container' is not a valid pet");
    expect_no_class("bird", &dog_class, "'bird' is not a valid pet");
    expect_no_class("dog", &bird_class, "'dog' is not a valid pet");
}

static void test_property(void)
{
    g_assert_true(class_property(&duck_class, "legs") == &bird_properties[0]);
    g_assert_true(class_property(&dog_class, "legs") == &animal_properties[0]);
    g_assert_true(class_property(&duck_class, "sound") == &animal_properties[1]);
    g_assert_null(class_property(&duck_class, "wings"));
    g_assert_null(class_property(&container_class, "legs"));
}

static void append_name(const Class *owner, const Property *property, void *context)
{
    g_string_append_printf(context, "%s.%s ", owner->name, property->name);
}

static void test_each_property(void)
{
    g_autoptr(GString) names = g_string_new("");
    class_each_property(&duck_class, append_name, names);
    g_assert_cmpstr(names->str, ==, "object.type animal.sound bird.legs ");
    g_string_truncate(names, 0);
    class_each_property(&dog_class, append_name, names);
    g_assert_cmpstr(names->str, ==, "object.type animal.legs animal.sound ");
}

static uint32_t legs_of(const Class *class)
{
    Object *object = object_new(class, NULL, NULL, NULL);
    uint32_t legs = ((Animal *)object)->legs;
    object_unref(object);
    return legs;
}

static void test_default(void)
{
    g_assert_cmpuint(legs_of(&dog_class), ==, 4);
    g_assert_cmpuint(legs_of(&bird_class), ==, 2);
    g_assert_cmpuint(legs_of(&duck_class), ==, 2);
}

static void expect_type_name(const Property *property, const char *expected)
{
    g_autofree char *name = property_type_name(property);
    g_assert_cmpstr(name, ==, expected);
}

static void test_type_name(void)
{
    expect_type_name(&animal_properties[0], "uint32");
    expect_type_name(&animal_properties[1], "str");
    expect_type_name(&(Property){ .kind = PROPERTY_LINK, .target = &dog_class }, "link<dog>");
    expect_type_name(&(Property){ .kind = PROPERTY_LINK }, "link<object>");
    expect_type_name(&(Property){ .kind = PROPERTY_CHILD, .target = &dog_class }, "child<dog>");
    expect_type_name(&(Property){ .kind = PROPERTY_ARRAY, .type = &type_uint8 }, "list");
    expect_type_name(&(Property){ .type = &type_uint8, .type_name = "OnOffAuto" }, "OnOffAuto");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/is", test_is);
    g_test_add_func("/find", test_find);
    g_test_add_func("/find/user", test_find_user);
    g_test_add_func("/property", test_property);
    g_test_add_func("/property/each", test_each_property);
    g_test_add_func("/property/default", test_default);
    g_test_add_func("/property/type-name", test_type_name);
    return g_test_run();
}
