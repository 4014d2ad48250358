/*
 * Classes, objects, properties, paths.
 *
 * A class is a const table; its parent is a pointer in it, so that there is nothing to register. The build finds each
 * `const Class NAME_class` (or `const XClass NAME_class`, where XClass has a Class as first member) and makes the
 * list `object_classes`. An object is reference counted; it hangs under at most one parent, by name, and has
 * one canonical path then. Properties are rows of the class, inherited; links, children and arrays too, and an object
 * may get further ones (aliases, children) while it lives.
 *
 * Life: object_new (class defaults, then `init` from root class down) -> properties set in order: machine version,
 * -global, user -> object_complete (each class's `complete`, root class first) -> object_unparent (`unparent`, most
 * derived first: lets go of what others hold; then the children are unparented, the last one first, and the links
 * cleared, so that objects which link to each other can go) -> last unref: children that are still there are
 * unparented, `finalize`, most derived first, and the properties' values are freed. An object that never hung
 * anywhere has no `unparent` called: what `init` and `complete` took is given back by `finalize` where `unparent` did
 * not.
 *
 * References may be taken and dropped by any thread; all else belongs to the thread that the tree belongs to.
 */
#pragma once

#include "base/compiler.h"
#include "base/list.h"

typedef struct Class Class;
typedef struct Error Error;
typedef struct Json Json;
typedef struct Map Map;
typedef struct Object Object;
typedef struct Property Property;
typedef struct StrBuf StrBuf;
typedef struct Type Type;

typedef enum PropertyWhen {
    PROPERTY_BEFORE_COMPLETE, /* the default: fixed once the object is complete */
    PROPERTY_ANY_TIME,
    PROPERTY_READ_ONLY,
} PropertyWhen;

typedef enum PropertyKind {
    PROPERTY_VALUE, /* of `type`, at `offset` or through get and set */
    PROPERTY_LINK,  /* an `Object *` at `offset`, of class `target` or an interface; holds a reference */
    PROPERTY_CHILD, /* an `Object *` at `offset`, which object_add_child with this name fills; read-only to users */
    PROPERTY_ALIAS, /* of property `alias_name` of the child or link property `alias_object` (NULL: of the object
                       itself); has no default of its own */
    PROPERTY_ARRAY, /* a TypeList at `offset` of `type` elements; set as a list, or as len-NAME and NAME[i] */
} PropertyKind;

struct Property {
    const char *name;
    const char *description;
    PropertyKind kind;
    PropertyWhen when;
    const Type *type;
    const char *type_name;    /* shown in place of the type's own; "child<...>" and the like need none */
    size_t offset;            /* in the object's struct; unused where get and set are given */
    const char *default_text; /* as type_from_text reads it; NULL: all zeroes */
    const Class *target;      /* links and children */
    const char *alias_object, *alias_name;
    uint64_t data; /* for get and set to tell rows apart */
    /* In place of the field; where there is a `type`, `set` gets what has passed it. */
    Json *(*get)(Object *object, const Property *property, Error **error);
    bool (*set)(Object *object, const Property *property, const Json *value, Error **error);
    /* After a stored value passed its type: a further check; where it fails, the value that was there comes back. Not
     * asked about defaults, nor about len-NAME. */
    bool (*check)(Object *object, const Property *property, Error **error);
    bool deprecated, hidden; /* hidden: not in help; for experiments by the prefix "x-" */
};

struct Class {
    const char *name; /* "pl011", "virt-10.0-machine" */
    const Class *parent;
    const char *description;
    const Class *const *interfaces; /* NULL-terminated; may be NULL */
    size_t size;                    /* of the instance struct; 0: the parent's */
    bool abstract;
    bool user_creatable; /* by -object and object-add */
    const Property *properties; /* ends with a row without a name; may be NULL */
    void (*init)(Object *object);
    bool (*complete)(Object *object, Error **error);
    void (*unparent)(Object *object);
    void (*finalize)(Object *object);
    /* What -object's own object may veto: false with an error while in use. */
    bool (*can_delete)(Object *object, Error **error);
};

struct Object {
    const Class *class;
    _Atomic uint32_t references;
    bool complete;
    bool leaving;   /* its unparent hooks are running */
    Object *parent; /* borrowed: the parent holds the reference */
    Object *root;   /* borrowed: where its links are resolved from while it hangs nowhere; NULL: from itself */
    char *name;     /* the child's name in its parent */
    struct Map *children; /* name -> Object *, in order; NULL where there is none */
    struct Map *dynamic;  /* name -> Property *, further properties; NULL where there is none */
    void *data;           /* the context given to object_new: a Machine, for one */
};

/* The root class and the container that paths without objects of their own are made of. */
extern const Class object_class;
extern const Class container_class;

/* Every class compiled in, in order of their C names (generated). */
extern const Class *const object_classes[];
extern const size_t object_class_count;

const Class *class_find(const char *name); /* NULL where there is none; no error */
/* The same, for a user's word: must be derived from `base` and not abstract; the error names the nearest. `what` is
 * "device", "machine type" ... */
const Class *class_find_user(const char *name, const Class *base, const char *what, Error **error);
bool class_is(const Class *class, const Class *base_or_interface);
/* The row in the class or the nearest ancestor; NULL where there is none. */
const Property *class_property(const Class *class, const char *name);
/* Calls `visit` for each property, ancestors' too, a redefined one once. */
void class_each_property(const Class *class, void (*visit)(const Class *owner, const Property *property, void *context),
                         void *context);

/* Defaults that apply to later objects: a machine version's rows, then -global's, in this order. */
typedef struct PropertyDefault {
    const char *class_name; /* any ancestor's or interface's */
    const char *property;
    const char *value; /* text */
    bool used;         /* set once it was applied: an unused -global is warned of */
} PropertyDefault;
typedef struct PropertyDefaults {
    PropertyDefault *items;
    size_t count;
    Object *root; /* becomes the new object's `root`; may be NULL */
} PropertyDefaults;

/* One reference, held by the caller; not complete. `defaults` may be NULL. NULL with an error when a default does not
 * fit. Asserts that the class is not abstract. */
Object *object_new(const Class *class, void *data, const PropertyDefaults *defaults, Error **error);
bool object_complete(Object *object, Error **error);
Object *object_ref(Object *object);
void object_unref(Object *object); /* NULL is fine */
bool object_is(const Object *object, const Class *base_or_interface);

/* Hangs `child` under `parent` (which takes its own reference). "name[*]" takes the first free number. Fails where the
 * name is taken by a child or a property, is empty or holds a '/'. */
bool object_add_child(Object *parent, const char *name, Object *child, Error **error);
/* Runs the unparent hooks of the child and all below it, and drops the parent's reference. Nothing where it hangs
 * nowhere. */
void object_unparent(Object *child);
Object *object_child(const Object *parent, const char *name);
/* The container at a path below `parent`, made where it is missing: "peripheral", "unattached". */
Object *object_container(Object *parent, const char *path);
/* Calls `visit` for each child in order until it returns false; returns what the last call did. */
bool object_each_child(Object *parent, bool (*visit)(Object *child, void *context), void *context);
/* All below `object`, parents first. In both, `visit` may unparent the object it is given and add none. */
bool object_each_descendant(Object *object, bool (*visit)(Object *object, void *context), void *context);

/* "/machine/peripheral/disk0"; NULL while it hangs nowhere under a root, which is a container that hangs nowhere. Owned
 * by the caller. */
char *object_path(const Object *object);
/* An absolute path from `root`, whose parts are children or links, or a partial one ("disk0", "peripheral/disk0") of
 * children that fits just one object. NULL where there is none, or several: then *ambiguous (which may be NULL) is
 * true. */
Object *object_resolve(Object *root, const char *path, bool *ambiguous);

/* The row, from the class or the object's own, after following aliases; NULL with an error that names the nearest.
 * `owner` (may be NULL) is the object that has it. len-NAME and NAME[i] give the array's row. */
const Property *object_property(Object *object, const char *name, Object **owner, Error **error);
/* Of a child, link: its path, "" where there is none. */
Json *object_get(Object *object, const char *name, Error **error);
bool object_set(Object *object, const char *name, const Json *value, Error **error);
/* A value as a command line writes it. */
bool object_set_text(Object *object, const char *name, const char *text, Error **error);
bool object_set_link(Object *object, const char *name, Object *target, Error **error);
/* Sets every key but those in `skip` (NULL-terminated; may be NULL), in order; `options`: texts, as the command line
 * gives them. */
bool object_set_all(Object *object, const Json *values, bool options, const char *const *skip, Error **error);
/* The object that links by path are resolved from: the root of the tree `object` hangs in, or the `root` of the topmost
 * object while that hangs nowhere. */
Object *object_root(Object *object);
/* Adds a property to this object alone; `property` is copied, its strings too. */
void object_add_property(Object *object, const Property *property);
/* "str", "uint32", "list", "child<container>", "link<memory-backend>": qom-list's type. Owned by the caller. */
char *property_type_name(const Property *property);

/* Rows. */
#define PROP(name_, type_, struct_, field_, default_, description_) \
    { .name = name_, .type = &type_, .offset = offsetof(struct_, field_), .default_text = default_, \
      .description = description_ }
#define PROP_LINK(name_, class_, struct_, field_, description_) \
    { .name = name_, .kind = PROPERTY_LINK, .target = &class_, .offset = offsetof(struct_, field_), \
      .description = description_ }
#define PROP_END { .name = NULL }
