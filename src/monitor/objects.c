/* Objects that users make. They hang under /objects by their id. */
#include "monitor/objects.h"

#include "api/json.h"
#include "api/options.h"
#include "base/error.h"
#include "core/device.h"
#include "monitor/help.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

bool user_id_well_formed(const char *id)
{
    if (!isalpha((unsigned char)*id)) {
        return false;
    }
    while (isalnum((unsigned char)*id) || (*id && strchr("-._", *id))) {
        id++;
    }
    return !*id;
}

static const Class *find_creatable(const char *name, Error **error)
{
    const Class *class = class_find_user(name, &object_class, "object type", error);
    if (class && !class->user_creatable) {
        error_set(error, "'%s' is not an object type that users can make; -object help lists those", name);
        return NULL;
    }
    return class;
}

static const char *required_text(const Json *options, const char *key, Error **error)
{
    const char *text = json_get_text(options, key);
    if (!text) {
        error_set(error, "Parameter '%s' is missing", key);
    }
    return text;
}

static bool object_make(Machine *machine, const Class *class, const char *id, const Json *options, bool texts,
                        Error **error)
{
    static const char *const own[] = { "qom-type", "id", NULL };
    Object *container = object_container(machine->root, "objects");
    if (!user_id_well_formed(id)) {
        return error_set(error,
                         "'id' expects an identifier: letters, digits, '-', '.' and '_', starting with a letter");
    }
    if (object_child(container, id)) {
        return error_set(error, "there is an object '%s' already", id);
    }
    Object *object = object_new(class, machine, &machine->defaults, error);
    if (!object) {
        return false;
    }
    bool ok = object_set_all(object, options, texts, own, error) && object_add_child(container, id, object, error);
    if (ok && !object_complete(object, error)) {
        object_unparent(object);
        ok = false;
    }
    object_unref(object);
    return ok;
}

bool user_object_add(Machine *machine, const Json *options, bool texts, Error **error)
{
    const char *type = required_text(options, "qom-type", error);
    const char *id = type ? required_text(options, "id", error) : NULL;
    const Class *class = id ? find_creatable(type, error) : NULL;
    return class && object_make(machine, class, id, options, texts, error);
}

static bool may_delete(Object *object, Error **error)
{
    for (const Class *class = object->class; class; class = class->parent) {
        if (class->can_delete && !class->can_delete(object, error)) {
            return false;
        }
    }
    return true;
}

bool user_object_delete(Machine *machine, const char *id, Error **error)
{
    Object *object = object_child(object_container(machine->root, "objects"), id);
    if (!object) {
        return error_set(error, "object '%s' not found", id);
    }
    if (!may_delete(object, error)) {
        return false;
    }
    object_unparent(object);
    return true;
}

/* -- option syntax ---------------------------------------------------------------------------------------------- */

/* The options, or NULL with help printed or an error set. */
static Json *parse(const char *text, const char *implied, bool *help, Error **error)
{
    *help = false;
    return options_parse(text, implied, help, error);
}

bool user_object_help(const char *text, StrBuf *out, Error **error)
{
    bool help;
    Json *options = parse(text, "qom-type", &help, error);
    const char *type = options ? json_get_text(options, "qom-type") : NULL;
    const Class *class = help && type ? find_creatable(type, error) : NULL;
    if (class) {
        help_class(class, out);
    } else if (help && !type) {
        help_objects(out);
    }
    json_free(options);
    return help;
}

bool user_device_help(const char *text, StrBuf *out, Error **error)
{
    bool help;
    Json *options = parse(text, "driver", &help, error);
    const char *driver = options ? json_get_text(options, "driver") : NULL;
    const Class *class = help && driver ? class_find_user(driver, &device_class.class, "device", error) : NULL;
    if (class) {
        help_class(class, out);
    } else if (help && !driver) {
        help_devices(out);
    }
    json_free(options);
    return help;
}

bool user_object_add_text(Machine *machine, const char *text, StrBuf *help, Error **error)
{
    AUTO_ERROR(failure);
    if (user_object_help(text, help, &failure) || failure) {
        Error *moved = failure;
        failure = NULL;
        return error_propagate(error, moved);
    }
    Json *options = options_parse(text, "qom-type", NULL, error);
    bool ok = options && user_object_add(machine, options, !options_are_json(text), error);
    json_free(options);
    return ok;
}

bool user_device_add_text(Machine *machine, const char *text, StrBuf *help, Error **error)
{
    AUTO_ERROR(failure);
    if (user_device_help(text, help, &failure) || failure) {
        Error *moved = failure;
        failure = NULL;
        return error_propagate(error, moved);
    }
    Json *options = options_parse(text, "driver", NULL, error);
    bool ok = options && device_add(machine, options, !options_are_json(text), error);
    json_free(options);
    return ok;
}
