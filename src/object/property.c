/* Finding properties: rows of the class, an object's own, aliases, parts of arrays. */
#include "object/object.h"

#include "api/type.h"
#include "base/error.h"
#include "base/map.h"
#include "base/text.h"
#include "base/vec.h"
#include "object/object_internal.h"

enum { ALIAS_DEPTH = 16 };

const Property *property_row(const Object *object, const char *name)
{
    const Property *own = object->dynamic ? map_get(object->dynamic, name) : NULL;
    return own ? own : class_property(object->class, name);
}

void object_add_property(Object *object, const Property *property)
{
    assert(!property_row(object, property->name) && !object_child(object, property->name));
    Property *copy = mem_copy(property, sizeof *property);
    copy->name = string_copy(property->name);
    copy->description = string_copy(property->description);
    copy->type_name = string_copy(property->type_name);
    copy->default_text = string_copy(property->default_text);
    copy->alias_object = string_copy(property->alias_object);
    copy->alias_name = string_copy(property->alias_name);
    if (!object->dynamic) {
        object->dynamic = NEW(Map);
    }
    map_set(object->dynamic, copy->name, copy);
}

static void free_property(void *value)
{
    Property *property = value;
    free((char *)property->name);
    free((char *)property->description);
    free((char *)property->type_name);
    free((char *)property->default_text);
    free((char *)property->alias_object);
    free((char *)property->alias_name);
    free(property);
}

/* "NAME[i]" as an array's name and an index. */
static bool split_element(const char *name, char **array, size_t *index)
{
    const char *bracket = strrchr(name, '[');
    if (!bracket || bracket == name || !text_ends_with(name, "]")) {
        return false;
    }
    AUTO_FREE char *digits = string_copy_length(bracket + 1, strlen(bracket) - 2);
    uint64_t number;
    if (!text_to_uint64(digits, &number, NULL)) {
        return false;
    }
    *array = string_copy_length(name, (size_t)(bracket - name));
    *index = number;
    return true;
}

/* The row of the whole name, else of the array that it names a part of. */
static bool find_part(Object *object, const char *name, PropertyPlace *place)
{
    *place = (PropertyPlace){ .owner = object, .row = property_row(object, name), .part = PART_WHOLE };
    if (place->row) {
        return true;
    }
    if (text_starts_with(name, "len-")) {
        place->row = property_row(object, name + strlen("len-"));
        place->part = PART_LENGTH;
        return place->row;
    }
    AUTO_FREE char *array = NULL;
    if (split_element(name, &array, &place->index)) {
        place->row = property_row(object, array);
        place->part = PART_ELEMENT;
    }
    return place->row;
}

/* The object whose property an alias stands for; NULL while there is none. */
static Object *alias_target(Object *object, const Property *alias)
{
    if (!alias->alias_object) {
        return object;
    }
    Object *child = object_child(object, alias->alias_object);
    if (child) {
        return child;
    }
    const Property *row = property_row(object, alias->alias_object);
    Object **pointer = row ? property_pointer(object, row) : NULL;
    return pointer ? *pointer : NULL;
}

typedef struct Names {
    VEC(const char *) names;
} Names;

static void collect_name(const Class *owner, const Property *property, void *context)
{
    Names *names = context;
    if (!property->hidden) {
        vec_push(&names->names, property->name);
    }
}

static const char *name_candidate(const void *context, size_t i)
{
    const Names *names = context;
    return i < names->names.count ? names->names.items[i] : NULL;
}

static bool not_found(Object *object, const char *name, Error **error)
{
    Names names = { 0 };
    class_each_property(object->class, collect_name, &names);
    size_t position = 0;
    for (MapEntry *entry; object->dynamic && (entry = map_next(object->dynamic, &position));) {
        collect_name(object->class, entry->value, &names);
    }
    AUTO_FREE char *suggestion = text_suggestion(name, name_candidate, &names);
    vec_free(&names.names);
    return error_set(error, "Property '%s.%s' not found%s", object->class->name, name, suggestion);
}

bool property_find(Object *object, const char *name, PropertyPlace *place, Error **error)
{
    if (!find_part(object, name, place)) {
        return not_found(object, name, error);
    }
    for (unsigned depth = 0; place->row->kind == PROPERTY_ALIAS; depth++) {
        const Property *alias = place->row;
        Object *target = alias_target(place->owner, alias);
        if (!target) {
            return error_set(error, "Property '%s.%s' stands for one of '%s', which is not set", object->class->name,
                             name, alias->alias_object);
        }
        if (depth == ALIAS_DEPTH) {
            return error_set(error, "Property '%s.%s' stands for itself", object->class->name, name);
        }
        place->owner = target;
        place->row = property_row(target, alias->alias_name);
        if (!place->row) {
            return not_found(target, alias->alias_name, error);
        }
    }
    if (place->part != PART_WHOLE && place->row->kind != PROPERTY_ARRAY) {
        return not_found(object, name, error);
    }
    return true;
}

const Property *object_property(Object *object, const char *name, Object **owner, Error **error)
{
    PropertyPlace place;
    if (!property_find(object, name, &place, error)) {
        return NULL;
    }
    if (owner) {
        *owner = place.owner;
    }
    return place.row;
}

char *property_type_name(const Property *property)
{
    if (property->type_name) {
        return string_copy(property->type_name);
    }
    switch (property->kind) {
    case PROPERTY_LINK:
        return string_format("link<%s>", property->target ? property->target->name : object_class.name);
    case PROPERTY_CHILD:
        return string_format("child<%s>", property->target ? property->target->name : object_class.name);
    case PROPERTY_ALIAS:
        return string_copy("alias");
    case PROPERTY_ARRAY:
        return string_copy("list");
    case PROPERTY_VALUE:
        break;
    }
    return string_copy(property->type ? type_display_name(property->type) : "any");
}

static void clear_link(const Class *owner, const Property *property, void *context)
{
    Object **pointer = property->kind == PROPERTY_LINK ? property_pointer(context, property) : NULL;
    if (pointer) {
        Object *target = *pointer;
        *pointer = NULL;
        object_unref(target);
    }
}

static void each_own_property(Object *object, void (*visit)(const Class *, const Property *, void *))
{
    class_each_property(object->class, visit, object);
    size_t position = 0;
    for (MapEntry *entry; object->dynamic && (entry = map_next(object->dynamic, &position));) {
        visit(object->class, entry->value, object);
    }
}

void property_clear_links(Object *object) { each_own_property(object, clear_link); }

static void clear_value(const Class *owner, const Property *property, void *context)
{
    clear_link(owner, property, context);
    if (property->get || property->set) {
        return; /* kept by the class, not at `offset` */
    }
    void *field = (char *)context + property->offset;
    if (property->kind == PROPERTY_VALUE) {
        type_clear(property->type, field);
    } else if (property->kind == PROPERTY_ARRAY) {
        Type list = { .kind = TYPE_LIST, .size = sizeof(TypeList), .element = property->type };
        type_clear(&list, field);
    }
}

void property_clear_all(Object *object)
{
    each_own_property(object, clear_value);
    if (object->dynamic) {
        map_free(object->dynamic, free_property);
        free(object->dynamic);
    }
}
