/* Paths: where an object hangs, and which object a path means. */
#include "object/object.h"

#include "base/map.h"
#include "base/strbuf.h"
#include "base/vec.h"
#include "object/object_internal.h"

static void write_path(StrBuf *buffer, const Object *object)
{
    if (object->parent) {
        write_path(buffer, object->parent);
        strbuf_printf(buffer, "/%s", object->name);
    }
}

static const Object *topmost(const Object *object)
{
    while (object->parent) {
        object = object->parent;
    }
    return object;
}

char *object_path(const Object *object)
{
    if (topmost(object)->class != &container_class) {
        return NULL;
    }
    AUTO_STRBUF(path);
    write_path(&path, object);
    if (!path.length) {
        strbuf_append_char(&path, '/');
    }
    return strbuf_take(&path);
}

Object *object_root(Object *object)
{
    Object *top = (Object *)topmost(object);
    return top->root ? top->root : top;
}

/* Cuts the next part off a path; NULL at its end. Empty parts are passed over. */
static char *next_part(char **path)
{
    char *part;
    while ((part = strsep(path, "/"))) {
        if (*part) {
            return part;
        }
    }
    return NULL;
}

static Object *link_target(Object *object, const char *name)
{
    PropertyPlace place;
    if (!property_find(object, name, &place, NULL) || place.row->kind != PROPERTY_LINK || place.part != PART_WHOLE) {
        return NULL;
    }
    Object **pointer = property_pointer(place.owner, place.row);
    return pointer ? *pointer : NULL;
}

static Object *resolve_from(Object *object, const char *path, bool with_links)
{
    AUTO_FREE char *copy = string_copy(path);
    char *rest = copy, *part;
    while (object && (part = next_part(&rest))) {
        Object *child = object_child(object, part);
        object = child || !with_links ? child : link_target(object, part);
    }
    return object;
}

typedef struct Search {
    const char *path;
    Object *found;
    bool ambiguous;
} Search;

static bool search_below(Object *object, void *context)
{
    Search *search = context;
    Object *found = resolve_from(object, search->path, false);
    if (found && search->found && found != search->found) {
        search->ambiguous = true;
        return false;
    }
    if (found) {
        search->found = found;
    }
    return true;
}

Object *object_resolve(Object *root, const char *path, bool *ambiguous)
{
    bool ignored;
    ambiguous = ambiguous ? ambiguous : &ignored;
    *ambiguous = false;
    if (path[0] == '/') {
        return resolve_from(root, path, true);
    }
    if (!*path) {
        return NULL;
    }
    Search search = { .path = path };
    if (search_below(root, &search)) {
        object_each_descendant(root, search_below, &search);
    }
    *ambiguous = search.ambiguous;
    return search.ambiguous ? NULL : search.found;
}

Object *object_container(Object *parent, const char *path)
{
    AUTO_FREE char *copy = string_copy(path);
    char *rest = copy, *part;
    while ((part = next_part(&rest))) {
        Object *child = object_child(parent, part);
        if (!child) {
            child = object_new(&container_class, parent->data, NULL, NULL);
            bool ok = object_add_child(parent, part, child, NULL);
            assert(ok); /* containers' names are ours */
            (void)ok;
            object_unref(child);
        }
        parent = child;
    }
    return parent;
}
