/* Objects: making, completing, hanging them in the tree, letting go of them. */
#include "object/object.h"

#include "base/error.h"
#include "base/map.h"
#include "base/text.h"
#include "base/vec.h"
#include "object/object_internal.h"

#include <stdatomic.h>

static size_t class_size(const Class *class)
{
    while (!class->size) {
        class = class->parent;
    }
    return class->size;
}

static void run_init(Object *object, const Class *class)
{
    if (class->parent) {
        run_init(object, class->parent);
    }
    if (class->init) {
        class->init(object);
    }
}

static void set_class_default(const Class *owner, const Property *property, void *context)
{
    if (property->default_text) {
        property_set_default(context, property);
    }
}

static bool class_is_named(const Class *class, const char *name)
{
    for (; class; class = class->parent) {
        if (strcmp(class->name, name) == 0) {
            return true;
        }
        for (const Class *const *interface = class->interfaces; interface && *interface; interface++) {
            if (class_is_named(*interface, name)) {
                return true;
            }
        }
    }
    return false;
}

static bool apply_defaults(Object *object, const PropertyDefaults *defaults, Error **error)
{
    for (size_t i = 0; i < defaults->count; i++) {
        PropertyDefault *item = &defaults->items[i];
        if (!class_is_named(object->class, item->class_name)) {
            continue;
        }
        item->used = true;
        if (!object_set_text(object, item->property, item->value, error)) {
            return error_prepend(error, "default %s.%s=%s: ", item->class_name, item->property, item->value);
        }
    }
    return true;
}

Object *object_new(const Class *class, void *data, const PropertyDefaults *defaults, Error **error)
{
    assert(!class->abstract);
    Object *object = mem_alloc0(class_size(class));
    object->class = class;
    object->references = 1;
    object->data = data;
    object->root = defaults ? defaults->root : NULL;
    class_each_property(class, set_class_default, object);
    run_init(object, class);
    if (defaults && !apply_defaults(object, defaults, error)) {
        object_unref(object);
        return NULL;
    }
    return object;
}

static bool run_complete(Object *object, const Class *class, Error **error)
{
    if (class->parent && !run_complete(object, class->parent, error)) {
        return false;
    }
    return !class->complete || class->complete(object, error);
}

bool object_complete(Object *object, Error **error)
{
    assert(!object->complete);
    object->complete = run_complete(object, object->class, error);
    return object->complete;
}

Object *object_ref(Object *object)
{
    uint32_t before = atomic_fetch_add_explicit(&object->references, 1, memory_order_relaxed);
    assert(before > 0);
    (void)before;
    return object;
}

/* Unparents all children, the last one first; hooks may unparent others of them, or add some. */
static void unparent_children(Object *object)
{
    while (object->children && object->children->count) {
        VEC(Object *) children = { 0 };
        size_t position = 0;
        for (MapEntry *entry; (entry = map_next(object->children, &position));) {
            vec_push(&children, object_ref(entry->value));
        }
        for (size_t i = children.count; i-- > 0;) {
            if (children.items[i]->parent == object) {
                object_unparent(children.items[i]);
            }
            object_unref(children.items[i]);
        }
        vec_free(&children);
    }
}

static void object_destroy(Object *object)
{
    assert(!object->parent);
    object->references = 1; /* hooks may take a reference for a while */
    unparent_children(object);
    for (const Class *class = object->class; class; class = class->parent) {
        if (class->finalize) {
            class->finalize(object);
        }
    }
    assert(object->references == 1); /* nobody may keep what is about to go */
    property_clear_all(object);
    if (object->children) {
        map_free(object->children, NULL);
        free(object->children);
    }
    free(object);
}

void object_unref(Object *object)
{
    if (!object) {
        return;
    }
    uint32_t before = atomic_fetch_sub_explicit(&object->references, 1, memory_order_acq_rel);
    assert(before > 0);
    if (before == 1) {
        object_destroy(object);
    }
}

bool object_is(const Object *object, const Class *base_or_interface)
{
    return class_is(object->class, base_or_interface);
}

/* "name[*]" with its first free number, or a copy of the name. */
static char *child_name(const Object *parent, const char *name)
{
    if (!text_ends_with(name, "[*]")) {
        return string_copy(name);
    }
    for (unsigned number = 0;; number++) {
        char *numbered = string_format("%.*s[%u]", (int)(strlen(name) - 3), name, number);
        if (!object_child(parent, numbered)) {
            return numbered;
        }
        free(numbered);
    }
}

bool object_add_child(Object *parent, const char *name, Object *child, Error **error)
{
    assert(!child->parent && !child->leaving);
    if (!*name || strchr(name, '/')) {
        return error_set(error, "'%s' cannot be an object's name: it must not be empty nor hold a '/'", name);
    }
    AUTO_FREE char *full = child_name(parent, name);
    if (object_child(parent, full)) {
        return error_set(error, "there is already an object named '%s'", full);
    }
    const Property *row = property_row(parent, full);
    if (row && (row->kind != PROPERTY_CHILD || !object_is(child, row->target))) {
        return error_set(error, "'%s' cannot be an object's name here: it is a property of %s", full,
                         parent->class->name);
    }
    if (row && property_pointer(parent, row)) {
        *property_pointer(parent, row) = child;
    }
    if (!parent->children) {
        parent->children = NEW(Map);
    }
    map_set(parent->children, full, object_ref(child));
    child->parent = parent;
    child->name = string_copy(full);
    return true;
}

static void detach(Object *child)
{
    Object *parent = child->parent;
    const Property *row = property_row(parent, child->name);
    if (row && property_pointer(parent, row)) {
        *property_pointer(parent, row) = NULL;
    }
    map_remove(parent->children, child->name);
    free(child->name);
    child->name = NULL;
    child->parent = NULL;
}

void object_unparent(Object *child)
{
    if (!child->parent || child->leaving) {
        return;
    }
    child->leaving = true;
    for (const Class *class = child->class; class; class = class->parent) {
        if (class->unparent) {
            class->unparent(child);
        }
    }
    unparent_children(child);
    property_clear_links(child);
    detach(child);
    child->leaving = false;
    object_unref(child); /* the parent's */
}

Object *object_child(const Object *parent, const char *name)
{
    return parent->children ? map_get(parent->children, name) : NULL;
}

bool object_each_child(Object *parent, bool (*visit)(Object *child, void *context), void *context)
{
    size_t position = 0;
    bool more = true;
    for (MapEntry *entry; more && parent->children && (entry = map_next(parent->children, &position));) {
        Object *child = object_ref(entry->value);
        more = visit(child, context);
        object_unref(child);
    }
    return more;
}

bool object_each_descendant(Object *object, bool (*visit)(Object *object, void *context), void *context)
{
    size_t position = 0;
    bool more = true;
    for (MapEntry *entry; more && object->children && (entry = map_next(object->children, &position));) {
        Object *child = object_ref(entry->value);
        more = visit(child, context) && object_each_descendant(child, visit, context);
        object_unref(child);
    }
    return more;
}
