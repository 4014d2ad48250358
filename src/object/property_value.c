/* Reading and setting properties. */
#include "object/object.h"

#include "api/json.h"
#include "api/type.h"
#include "base/error.h"
#include "base/text.h"
#include "base/vec.h"
#include "object/object_internal.h"

#include <stdio.h>

enum { LONGEST_ARRAY = 65536 };

Object **property_pointer(Object *object, const Property *property)
{
    bool kept = (property->kind == PROPERTY_LINK || property->kind == PROPERTY_CHILD) && !property->get &&
                !property->set;
    return kept ? (Object **)((char *)object + property->offset) : NULL;
}

static Type list_type(const Property *property)
{
    return (Type){ .name = "list", .kind = TYPE_LIST, .size = sizeof(TypeList), .element = property->type };
}

static void *field_of(const PropertyPlace *place) { return (char *)place->owner + place->row->offset; }

/* The element's memory, or NULL with an error where the array is shorter. */
static void *element_of(const PropertyPlace *place, Error **error)
{
    TypeList *list = field_of(place);
    if (place->index >= list->count) {
        error_set(error, "array '%s' of %s has %zu elements; 'len-%s' sets how many", place->row->name,
                  place->owner->class->name, list->count, place->row->name);
        return NULL;
    }
    return (char *)list->items + place->index * place->row->type->size;
}

static Json *path_json(const Object *target)
{
    AUTO_FREE char *path = target ? object_path(target) : NULL;
    return json_string(path ? path : "");
}

static Json *get_array(const PropertyPlace *place, Error **error)
{
    if (place->part == PART_LENGTH) {
        return json_uint(((TypeList *)field_of(place))->count);
    }
    if (place->part == PART_ELEMENT) {
        void *element = element_of(place, error);
        return element ? type_to_json(place->row->type, element) : NULL;
    }
    Type type = list_type(place->row);
    return type_to_json(&type, field_of(place));
}

static Json *get_place(const PropertyPlace *place, Error **error)
{
    const Property *row = place->row;
    if (row->get && place->part == PART_WHOLE) {
        return row->get(place->owner, row, error);
    }
    if (row->get || row->set) {
        error_set(error, "Property '%s.%s' is not readable", place->owner->class->name, row->name);
        return NULL;
    }
    if (row->kind == PROPERTY_ARRAY) {
        return get_array(place, error);
    }
    Object **pointer = property_pointer(place->owner, row);
    return pointer ? path_json(*pointer) : type_to_json(row->type, field_of(place));
}

Json *object_get(Object *object, const char *name, Error **error)
{
    Object *child = object_child(object, name);
    if (child) {
        return path_json(child);
    }
    PropertyPlace place;
    return property_find(object, name, &place, error) ? get_place(&place, error) : NULL;
}

/* A value of `type`, all zeroes before, from Json: `options`, from what a command line gives. */
static bool parse(const Type *type, const Json *json, bool options, void *value, Error **error)
{
    if (!options) {
        return type_from_json(type, json, value, error);
    }
    if (json_kind(json) == JSON_STRING) {
        return type_from_text(type, json_text(json), value, error);
    }
    return type_from_options(type, json, value, error);
}

static void swap_bytes_of(void *a, void *b, size_t size)
{
    AUTO_FREE void *kept = mem_copy(a, size);
    memcpy(a, b, size);
    memcpy(b, kept, size);
}

/* Puts the value of a type into its field, unless the row's check refuses it. */
static bool store(const PropertyPlace *place, const Type *type, void *field, const Json *json, bool options,
                  Error **error)
{
    AUTO_FREE void *value = mem_alloc0(type->size);
    if (!parse(type, json, options, value, error)) {
        return false;
    }
    swap_bytes_of(field, value, type->size);
    bool ok = !place->row->check || place->row->check(place->owner, place->row, error);
    if (!ok) {
        swap_bytes_of(field, value, type->size);
    }
    type_clear(type, value);
    return ok;
}

static bool store_length(const PropertyPlace *place, const Json *json, bool options, Error **error)
{
    uint64_t count = 0;
    if (!parse(&type_uint64, json, options, &count, error)) {
        return false;
    }
    if (count > LONGEST_ARRAY) {
        return error_set(error, "an array has at most %d elements", LONGEST_ARRAY);
    }
    Type type = list_type(place->row);
    type_clear(&type, field_of(place));
    void *items = mem_alloc_array(count, place->row->type->size);
    *(TypeList *)field_of(place) = (TypeList){ .items = items, .count = count };
    return true;
}

static bool set_array(const PropertyPlace *place, const Json *json, bool options, Error **error)
{
    if (place->part == PART_LENGTH) {
        return store_length(place, json, options, error);
    }
    if (place->part == PART_ELEMENT) {
        void *element = element_of(place, error);
        return element && store(place, place->row->type, element, json, options, error);
    }
    Type type = list_type(place->row);
    return store(place, &type, field_of(place), json, options, error);
}

/* A hook gets what the type has made of a text. */
static bool set_by_hook(const PropertyPlace *place, const Json *json, bool options, Error **error)
{
    const Property *row = place->row;
    if (!row->type) {
        return row->set(place->owner, row, json, error);
    }
    Type type = row->kind == PROPERTY_ARRAY ? list_type(row) : *row->type;
    AUTO_FREE void *value = mem_alloc0(type.size);
    if (!parse(&type, json, options, value, error)) {
        return false;
    }
    Json *typed = type_to_json(&type, value);
    type_clear(&type, value);
    bool ok = row->set(place->owner, row, typed, error);
    json_free(typed);
    return ok;
}

static bool set_link(const PropertyPlace *place, Object *target, Error **error)
{
    const Property *row = place->row;
    if (target && row->target && !object_is(target, row->target)) {
        return error_set(error, "'%s' is of type %s, not %s", target->name ? target->name : "the object",
                         target->class->name, row->target->name);
    }
    Object **pointer = property_pointer(place->owner, row);
    Object *before = *pointer;
    *pointer = target;
    if (row->check && !row->check(place->owner, row, error)) {
        *pointer = before;
        return false;
    }
    if (target) {
        object_ref(target);
    }
    object_unref(before);
    return true;
}

typedef struct Targets {
    const Class *class;
    VEC(const char *) names;
} Targets;

static bool collect_target(Object *object, void *context)
{
    Targets *targets = context;
    if (!targets->class || object_is(object, targets->class)) {
        vec_push(&targets->names, object->name);
    }
    return true;
}

static const char *target_candidate(const void *context, size_t i)
{
    const Targets *targets = context;
    return i < targets->names.count ? targets->names.items[i] : NULL;
}

static bool set_link_path(const PropertyPlace *place, const Json *json, Error **error)
{
    if (json_kind(json) == JSON_NULL || (json_kind(json) == JSON_STRING && !*json_text(json))) {
        return set_link(place, NULL, error);
    }
    if (json_kind(json) != JSON_STRING) {
        return error_set(error, "expected an object's path or id, not a value of type %s",
                         json_kind_name(json_kind(json)));
    }
    const char *path = json_text(json);
    Object *root = object_root(place->owner);
    bool ambiguous;
    Object *target = object_resolve(root, path, &ambiguous);
    if (target) {
        return set_link(place, target, error);
    }
    if (ambiguous) {
        return error_set(error, "Path '%s' does not uniquely identify an object", path);
    }
    Targets targets = { .class = place->row->target };
    object_each_descendant(root, collect_target, &targets);
    AUTO_FREE char *suggestion = text_suggestion(path, target_candidate, &targets);
    vec_free(&targets.names);
    return error_set_class(error, ERROR_DEVICE_NOT_FOUND, "Device '%s' not found%s", path, suggestion);
}

static bool may_set(const PropertyPlace *place, Error **error)
{
    const Property *row = place->row;
    const char *class_name = place->owner->class->name;
    bool hooked = row->get || row->set;
    if (row->kind == PROPERTY_CHILD || row->when == PROPERTY_READ_ONLY || (hooked && !row->set) ||
        (hooked && place->part != PART_WHOLE)) {
        return error_set(error, "Property '%s.%s' is not writable", class_name, row->name);
    }
    if (row->when == PROPERTY_BEFORE_COMPLETE && place->owner->complete) {
        AUTO_FREE char *path = object_path(place->owner);
        return error_set(error, "Property '%s.%s' cannot be set any more: '%s' is in use", class_name, row->name,
                         path ? path : class_name);
    }
    return true;
}

static bool set_place(const PropertyPlace *place, const Json *json, bool options, Error **error)
{
    if (place->row->set) {
        return set_by_hook(place, json, options, error);
    }
    switch (place->row->kind) {
    case PROPERTY_LINK:
        return set_link_path(place, json, error);
    case PROPERTY_ARRAY:
        return set_array(place, json, options, error);
    default:
        return store(place, place->row->type, field_of(place), json, options, error);
    }
}

static bool set_named(Object *object, const char *name, const Json *json, bool options, Error **error)
{
    if (object_child(object, name)) {
        return error_set(error, "Property '%s.%s' is not writable", object->class->name, name);
    }
    PropertyPlace place;
    if (!property_find(object, name, &place, error) || !may_set(&place, error)) {
        return false;
    }
    return set_place(&place, json, options, error) || error_prepend(error, "Property '%s.%s': ",
                                                                    object->class->name, name);
}

bool object_set(Object *object, const char *name, const Json *value, Error **error)
{
    return set_named(object, name, value, false, error);
}

bool object_set_text(Object *object, const char *name, const char *text, Error **error)
{
    Json *json = json_string(text);
    bool ok = set_named(object, name, json, true, error);
    json_free(json);
    return ok;
}

bool object_set_link(Object *object, const char *name, Object *target, Error **error)
{
    PropertyPlace place;
    if (!property_find(object, name, &place, error) || !may_set(&place, error)) {
        return false;
    }
    if (place.row->set) {
        Json *path = path_json(target);
        bool ok = place.row->set(place.owner, place.row, path, error);
        json_free(path);
        return ok;
    }
    if (place.row->kind != PROPERTY_LINK) {
        return error_set(error, "Property '%s.%s' is not a link", object->class->name, name);
    }
    return set_link(&place, target, error) || error_prepend(error, "Property '%s.%s': ", object->class->name, name);
}

static bool is_skipped(const char *key, const char *const *skip)
{
    for (; skip && *skip; skip++) {
        if (strcmp(key, *skip) == 0) {
            return true;
        }
    }
    return false;
}

bool object_set_all(Object *object, const Json *values, bool options, const char *const *skip, Error **error)
{
    for (size_t i = 0; i < json_length(values); i++) {
        const char *key = json_key(values, i);
        if (!is_skipped(key, skip) && !set_named(object, key, json_value(values, i), options, error)) {
            return false;
        }
    }
    return true;
}

void property_set_default(Object *object, const Property *property)
{
    assert(property->kind == PROPERTY_VALUE || property->kind == PROPERTY_ARRAY);
    Property unchecked = *property;
    unchecked.check = NULL;
    PropertyPlace place = { .owner = object, .row = property->set ? property : &unchecked, .part = PART_WHOLE };
    Json *json = json_string(property->default_text);
    AUTO_ERROR(error);
    bool ok = set_place(&place, json, true, &error);
    json_free(json);
    if (!ok) { /* the class itself is wrong */
        fprintf(stderr, "class %s, property %s: %s\n", object->class->name, property->name, error_message(error));
        assert(ok);
    }
}
