/*
 * The type of object-add's arguments (monitor/object_types.h), as QEMU's ObjectOptions: the tag qom-type is an enum of
 * the classes, and a branch has the properties of its class. Every property counts as optional: which ones a class
 * cannot do without shows when an object is completed.
 */
#include "monitor/object_types.h"

#include "base/vec.h"
#include "object/object.h"

#include <stdlib.h>
#include <string.h>

typedef VEC(TypeMember) TypeMembers;

struct ObjectTypes {
    VEC(const Class *) classes;
    const char **names;
    Type *structs; /* one for each class */
    TypeBranch *branches;
    Type tag, object;
    TypeMember common[2];
};

static const Type *property_type(const Property *property)
{
    if (property->kind == PROPERTY_LINK || !property->type) {
        return &type_string;
    }
    return property->kind == PROPERTY_ARRAY ? &AnyList_type : property->type;
}

static void add_member(const Class *owner, const Property *property, void *context)
{
    TypeMembers *members = context;
    bool settable =
        property->kind == PROPERTY_VALUE || property->kind == PROPERTY_LINK || property->kind == PROPERTY_ARRAY;
    if (!settable || property->hidden || property->when == PROPERTY_READ_ONLY || owner == &object_class) {
        return;
    }
    TypeMember member = {
        .name = property->name,
        .description = property->description,
        .type = property_type(property),
        .has_offset = UINT32_MAX,
        .optional = true,
        .default_text = property->default_text,
    };
    vec_push(members, member);
}

static Type class_type(const Class *class)
{
    TypeMembers members = { 0 };
    class_each_property(class, add_member, &members);
    return (Type){ .name = class->name,
                   .description = class->description,
                   .kind = TYPE_STRUCT,
                   .members = members.items,
                   .member_count = (uint32_t)members.count };
}

static void collect_classes(ObjectTypes *types)
{
    for (size_t i = 0; i < object_class_count; i++) {
        if (object_classes[i]->user_creatable && !object_classes[i]->abstract) {
            vec_push(&types->classes, object_classes[i]);
        }
    }
}

static void make_union(ObjectTypes *types, uint32_t count)
{
    types->tag =
        (Type){ .name = "ObjectType", .kind = TYPE_ENUM, .size = sizeof(int), .names = types->names, .count = count };
    types->common[0] =
        (TypeMember){ .name = "qom-type", .description = "its class", .type = &types->tag, .has_offset = UINT32_MAX };
    types->common[1] =
        (TypeMember){ .name = "id", .description = "its name", .type = &type_string, .has_offset = UINT32_MAX };
    types->object = (Type){ .name = "ObjectOptions",
                            .kind = TYPE_UNION,
                            .members = types->common,
                            .member_count = ARRAY_SIZE(types->common),
                            .branches = types->branches,
                            .count = count };
}

ObjectTypes *object_types_new(void)
{
    ObjectTypes *types = NEW(ObjectTypes);
    collect_classes(types);
    size_t count = types->classes.count;
    types->names = mem_alloc_array(count, sizeof *types->names);
    types->structs = mem_alloc_array(count, sizeof *types->structs);
    types->branches = mem_alloc_array(count, sizeof *types->branches);
    for (size_t i = 0; i < count; i++) {
        types->names[i] = types->classes.items[i]->name;
        types->structs[i] = class_type(types->classes.items[i]);
        types->branches[i] = (TypeBranch){ .value = (int)i, .type = &types->structs[i] };
    }
    make_union(types, (uint32_t)count);
    return types;
}

void object_types_free(ObjectTypes *types)
{
    for (size_t i = 0; i < types->classes.count; i++) {
        free((void *)types->structs[i].members);
    }
    vec_free(&types->classes);
    free(types->names);
    free(types->structs);
    free(types->branches);
    free(types);
}

const Type *object_types_union(const ObjectTypes *types) { return &types->object; }
