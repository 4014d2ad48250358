/* Classes: the tree, the list of all, their properties. */
#include "object/object.h"

#include "api/json.h"
#include "api/type.h"
#include "base/error.h"
#include "base/text.h"
#include "base/vec.h"

static Json *get_type(Object *object, const Property *property, Error **error)
{
    return json_string(object->class->name);
}

static const Property object_properties[] = {
    { .name = "type", .type = &type_string, .type_name = "string", .when = PROPERTY_READ_ONLY, .get = get_type },
    PROP_END,
};

const Class object_class = {
    .name = "object",
    .size = sizeof(Object),
    .abstract = true,
    .properties = object_properties,
};

const Class container_class = {
    .name = "container",
    .parent = &object_class,
};

const Class *class_find(const char *name)
{
    for (size_t i = 0; i < object_class_count; i++) {
        if (strcmp(object_classes[i]->name, name) == 0) {
            return object_classes[i];
        }
    }
    return NULL;
}

bool class_is(const Class *class, const Class *base_or_interface)
{
    for (; class; class = class->parent) {
        if (class == base_or_interface) {
            return true;
        }
        for (const Class *const *interface = class->interfaces; interface && *interface; interface++) {
            if (class_is(*interface, base_or_interface)) {
                return true;
            }
        }
    }
    return false;
}

/* The i-th class that a user may name where one derived from `context` is wanted. */
static const char *class_candidate(const void *context, size_t i)
{
    for (size_t n = 0; n < object_class_count; n++) {
        const Class *class = object_classes[n];
        if (!class->abstract && class_is(class, context) && i-- == 0) {
            return class->name;
        }
    }
    return NULL;
}

const Class *class_find_user(const char *name, const Class *base, const char *what, Error **error)
{
    const Class *class = class_find(name);
    if (class && class_is(class, base) && !class->abstract) {
        return class;
    }
    if (class && class_is(class, base)) {
        error_set(error, "'%s' is an abstract %s: only what is derived from it can be used", name, what);
        return NULL;
    }
    AUTO_FREE char *suggestion = text_suggestion(name, class_candidate, base);
    error_set(error, "'%s' is not a valid %s%s", name, what, suggestion);
    return NULL;
}

static const Property *own_property(const Class *class, const char *name)
{
    for (const Property *property = class->properties; property && property->name; property++) {
        if (strcmp(property->name, name) == 0) {
            return property;
        }
    }
    return NULL;
}

const Property *class_property(const Class *class, const char *name)
{
    const Property *found = NULL;
    for (; class && !found; class = class->parent) {
        found = own_property(class, name);
    }
    return found;
}

static void each_property(const Class *class, const Class *most_derived,
                          void (*visit)(const Class *owner, const Property *property, void *context), void *context)
{
    if (class->parent) {
        each_property(class->parent, most_derived, visit, context);
    }
    for (const Property *property = class->properties; property && property->name; property++) {
        if (class_property(most_derived, property->name) == property) {
            visit(class, property, context);
        }
    }
}

void class_each_property(const Class *class, void (*visit)(const Class *owner, const Property *property, void *context),
                         void *context)
{
    each_property(class, class, visit, context);
}
