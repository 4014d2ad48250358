/* Commands about objects, classes and devices. */
#include "monitor/monitor_internal.h"

#include "api/options.h"
#include "base/error.h"
#include "base/map.h"
#include "monitor/objects.h"
#include "schema/qom.h"

#include <stdlib.h>
#include <string.h>

typedef VEC(ObjectPropertyInfo) PropertyInfos;

static Object *find_object(Monitor *monitor, const char *path, Error **error)
{
    bool ambiguous = false;
    Object *object = object_resolve(monitor->control->machine->root, path, &ambiguous);
    if (!object && ambiguous) {
        error_set(error, "Path '%s' does not uniquely identify an object", path);
    } else if (!object) {
        error_set_class(error, ERROR_DEVICE_NOT_FOUND, "Device '%s' not found", path);
    }
    return object;
}

/* -- properties ------------------------------------------------------------------------------------------------- */

static void add_property(PropertyInfos *list, const Property *property)
{
    ObjectPropertyInfo info = {
        .name = string_copy(property->name),
        .type = property_type_name(property),
        .description = string_copy(property->description),
    };
    vec_push(list, info);
}

static void add_class_property(const Class *owner, const Property *property, void *context)
{
    add_property(context, property);
}

static bool add_child(Object *child, void *context)
{
    ObjectPropertyInfo info = {
        .name = string_copy(child->name),
        .type = string_format("child<%s>", child->class->name),
    };
    vec_push((PropertyInfos *)context, info);
    return true;
}

static void add_dynamic(PropertyInfos *list, Object *object)
{
    size_t position = 0;
    for (MapEntry *entry; object->dynamic && (entry = map_next(object->dynamic, &position));) {
        add_property(list, entry->value);
    }
}

/* A class's child properties are shown by their child. */
static void drop_unset_children(PropertyInfos *list, size_t first)
{
    for (size_t i = first; i-- > 0;) {
        for (size_t j = first; j < list->count; j++) {
            if (!strcmp(list->items[i].name, list->items[j].name)) {
                type_clear(&ObjectPropertyInfo_type, &list->items[i]);
                vec_remove(list, i);
                first--;
                break;
            }
        }
    }
}

bool qmp_qom_list(Monitor *monitor, const QomListArguments *arguments, ObjectPropertyInfoList *result, Error **error)
{
    PropertyInfos list = { 0 };
    Object *object = find_object(monitor, arguments->path, error);
    if (!object) {
        return false;
    }
    class_each_property(object->class, add_class_property, &list);
    add_dynamic(&list, object);
    size_t own = list.count;
    object_each_child(object, add_child, &list);
    drop_unset_children(&list, own);
    result->items = list.items;
    result->count = list.count;
    return true;
}

bool hmp_qom_list(Monitor *monitor, const QomListArguments *arguments, StrBuf *output, Error **error)
{
    ObjectPropertyInfoList list = { 0 };
    if (!qmp_qom_list(monitor, arguments, &list, error)) {
        return false;
    }
    for (size_t i = 0; i < list.count; i++) {
        strbuf_printf(output, "%s (%s)\n", list.items[i].name, list.items[i].type);
    }
    type_clear(&ObjectPropertyInfoList_type, &list);
    return true;
}

bool qmp_qom_get(Monitor *monitor, const QomGetArguments *arguments, Json **result, Error **error)
{
    Object *object = find_object(monitor, arguments->path, error);
    *result = object ? object_get(object, arguments->property, error) : NULL;
    return *result != NULL;
}

bool hmp_qom_get(Monitor *monitor, const QomGetArguments *arguments, StrBuf *output, Error **error)
{
    Json *value = NULL;
    if (!qmp_qom_get(monitor, arguments, &value, error)) {
        return false;
    }
    json_write_pretty(output, value);
    strbuf_append(output, "\n");
    json_free(value);
    return true;
}

bool qmp_qom_set(Monitor *monitor, const QomSetArguments *arguments, Error **error)
{
    Object *object = find_object(monitor, arguments->path, error);
    return object && object_set(object, arguments->property, arguments->value, error);
}

bool hmp_qom_set(Monitor *monitor, const QomSetHmpArguments *arguments, StrBuf *output, Error **error)
{
    Object *object = find_object(monitor, arguments->path, error);
    return object && object_set_text(object, arguments->property, arguments->value, error);
}

/* -- classes ---------------------------------------------------------------------------------------------------- */

static const Class *find_class(const char *name, Error **error)
{
    const Class *class = class_find(name);
    if (!class) {
        error_set_class(error, ERROR_DEVICE_NOT_FOUND, "Class '%s' not found", name);
    }
    return class;
}

/* "user-creatable" is an interface there: what object-add makes. */
static bool implements(const Class *class, const char *name)
{
    const Class *base = class_find(name);
    return base ? class_is(class, base) : class->user_creatable && strcmp(name, "user-creatable") == 0;
}

bool qmp_qom_list_types(Monitor *monitor, const QomListTypesArguments *arguments, ObjectTypeInfoList *result,
                        Error **error)
{
    VEC(ObjectTypeInfo) list = { 0 };
    bool abstract = arguments->has_abstract && arguments->abstract;
    for (size_t i = 0; i < object_class_count; i++) {
        const Class *class = object_classes[i];
        bool fits = !arguments->implements || implements(class, arguments->implements);
        if (fits && (abstract || !class->abstract)) {
            ObjectTypeInfo info = {
                .name = string_copy(class->name),
                .has_abstract = class->abstract,
                .abstract = class->abstract,
                .parent = class->parent ? string_copy(class->parent->name) : NULL,
            };
            vec_push(&list, info);
        }
    }
    result->items = list.items;
    result->count = list.count;
    return true;
}

bool qmp_qom_list_properties(Monitor *monitor, const QomListPropertiesArguments *arguments,
                             ObjectPropertyInfoList *result, Error **error)
{
    PropertyInfos list = { 0 };
    const Class *class = find_class(arguments->typename, error);
    if (!class) {
        return false;
    }
    device_class_each_property(class, add_class_property, &list);
    result->items = list.items;
    result->count = list.count;
    return true;
}

static Json *default_value(const Property *property)
{
    if (!property->default_text || !property->type || property->kind != PROPERTY_VALUE) {
        return NULL;
    }
    AUTO_FREE void *value = mem_alloc0(property->type->size);
    if (!type_from_text(property->type, property->default_text, value, NULL)) {
        return NULL;
    }
    Json *json = type_to_json(property->type, value);
    type_clear(property->type, value);
    return json;
}

/* What -device can set: values of the classes below "device". */
static void add_settable(const Class *owner, const Property *property, void *context)
{
    PropertyInfos *list = context;
    if (property->when == PROPERTY_READ_ONLY || property->kind == PROPERTY_CHILD || property->hidden ||
        owner == &device_class.class || owner == &object_class) {
        return;
    }
    add_property(list, property);
    list->items[list->count - 1].default_value = default_value(property);
}

bool qmp_device_list_properties(Monitor *monitor, const DeviceListPropertiesArguments *arguments,
                                ObjectPropertyInfoList *result, Error **error)
{
    PropertyInfos list = { 0 };
    const Class *class = find_class(arguments->typename, error);
    if (!class) {
        return false;
    }
    if (!class_is(class, &device_class.class) || class->abstract) {
        return error_set(error, "Parameter 'typename' expects a non-abstract device type");
    }
    device_class_each_property(class, add_settable, &list);
    result->items = list.items;
    result->count = list.count;
    return true;
}

/* -- making and removing ---------------------------------------------------------------------------------------- */

bool qmp_object_add(Monitor *monitor, const Json *arguments, Error **error)
{
    return user_object_add(monitor->control->machine, arguments, false, error);
}

bool hmp_object_add(Monitor *monitor, const ObjectAddHmpArguments *arguments, StrBuf *output, Error **error)
{
    return user_object_add_text(monitor->control->machine, arguments->options, output, error);
}

bool qmp_object_del(Monitor *monitor, const ObjectDelArguments *arguments, Error **error)
{
    return user_object_delete(monitor->control->machine, arguments->id, error);
}

bool qmp_device_add(Monitor *monitor, const Json *arguments, Error **error)
{
    return device_add(monitor->control->machine, arguments, false, error);
}

bool hmp_device_add(Monitor *monitor, const DeviceAddHmpArguments *arguments, StrBuf *output, Error **error)
{
    return user_device_add_text(monitor->control->machine, arguments->options, output, error);
}

bool qmp_device_del(Monitor *monitor, const DeviceDelArguments *arguments, Error **error)
{
    return device_remove(monitor->control->machine, arguments->id, error);
}
