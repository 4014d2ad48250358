/* Objects that the programs for images know: secrets, credentials, authorisation, groups of throttled drives. */
#include "tools/tool.h"

#include "api/json.h"
#include "api/options.h"
#include "base/error.h"
#include "base/strbuf.h"
#include "base/vec.h"

#include <ctype.h>

/* What needs no machine. */
static const char *const families[] = { "secret_common", "tls-creds", "authz", "throttle-group" };

static bool is_known(const Class *class)
{
    bool known = false;
    for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
        const Class *family = class_find(families[i]);
        known = known || (family && class_is(class, family));
    }
    return known && class->user_creatable && !class->abstract;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void print_classes(void)
{
    VEC(const char *) names = { 0 };
    for (size_t i = 0; i < object_class_count; i++) {
        if (is_known(object_classes[i])) {
            vec_push(&names, object_classes[i]->name);
        }
    }
    qsort(names.items, names.count, sizeof *names.items, compare_names);
    printf("List of user creatable objects:\n");
    for (size_t i = 0; i < names.count; i++) {
        printf("  %s\n", names.items[i]);
    }
    vec_free(&names);
}

static void print_property(const Class *owner, const Property *property, void *context)
{
    if (owner != &object_class && property->when != PROPERTY_READ_ONLY && !property->hidden) {
        AUTO_FREE char *type = property_type_name(property);
        printf("  %s=<%s>%s%s\n", property->name, type, property->description ? " - " : "",
               property->description ? property->description : "");
    }
}

static void print_class(const Class *class)
{
    printf("%s options:\n", class->name);
    class_each_property(class, print_property, NULL);
}

static bool is_id(const char *id)
{
    bool good = isalpha((unsigned char)*id);
    for (; good && *id; id++) {
        good = isalnum((unsigned char)*id) || strchr("-._", *id);
    }
    return good;
}

static bool make(const Tool *tool, const Class *class, const Json *options, bool texts, Error **error)
{
    static const char *const own[] = { "qom-type", "id", NULL };
    const char *id = json_get_text(options, "id");
    if (!id) {
        return error_set(error, "Parameter 'id' is missing");
    }
    if (!is_id(id)) {
        return error_set(error, "Parameter 'id' expects an identifier");
    }
    Object *object = object_new(class, NULL, NULL, error);
    bool ok = object && object_set_all(object, options, texts, own, error) &&
              object_add_child(tool->objects, id, object, error);
    if (ok && !object_complete(object, error)) {
        object_unparent(object);
        ok = false;
    }
    object_unref(object);
    return ok;
}

static bool add(const Tool *tool, const Json *options, bool texts, bool help, Error **error)
{
    const char *type = json_get_text(options, "qom-type");
    const Class *class = type ? class_find(type) : NULL;
    if (help && !type) {
        print_classes();
        return true;
    }
    if (!type) {
        return error_set(error, "Parameter 'qom-type' is missing");
    }
    if (!class || !is_known(class)) {
        return error_set(error, "Parameter 'qom-type' does not accept value '%s'", type);
    }
    if (help) {
        print_class(class);
    }
    return help || make(tool, class, options, texts, error);
}

bool tool_add_object(const Tool *tool, const char *text, bool *ended)
{
    Error *error = NULL;
    Json *options = options_parse(text, "qom-type", ended, &error);
    bool ok = options && add(tool, options, !options_are_json(text), *ended, &error);
    json_free(options);
    if (!ok) {
        tool_report(tool, error, "%s", "");
    }
    return ok;
}
