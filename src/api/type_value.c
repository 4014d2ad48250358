/* What needs no text: where members lie in a value, freeing and comparing values (api/type.h). */
#include "api/type_internal.h"

#include "api/json.h"

#include <stdlib.h>
#include <string.h>

static void *place(void *value, uint32_t offset, bool pointer)
{
    void *at = (char *)value + offset;
    return pointer ? *(void **)at : at;
}

void *type_member_place(const TypeMember *member, void *value) { return place(value, member->offset, member->pointer); }

void *type_branch_place(const TypeBranch *branch, void *value) { return place(value, branch->offset, branch->pointer); }

bool type_member_present(const TypeMember *member, const void *value)
{
    if (!member->optional) {
        return true;
    }
    if (member->has_offset != UINT32_MAX) {
        return *(const bool *)((const char *)value + member->has_offset);
    }
    /* A string, a Json, a struct by pointer, or the items of a list: NULL says that it is not there. */
    return *(void *const *)((const char *)value + member->offset) != NULL;
}

const TypeBranch *type_branch(const Type *type, const void *value)
{
    uint32_t offset = type->kind == TYPE_UNION ? type->members[type->tag].offset : 0;
    int tag = *(const int *)((const char *)value + offset);
    for (uint32_t i = 0; i < type->count; i++) {
        if (type->branches[i].value == tag) {
            return &type->branches[i];
        }
    }
    return NULL;
}

bool type_is_object(const Type *type) { return type->kind == TYPE_STRUCT || type->kind == TYPE_UNION; }

static void clear_members(const Type *type, void *value)
{
    for (uint32_t i = 0; i < type->member_count; i++) {
        const TypeMember *member = &type->members[i];
        void *at = type_member_place(member, value);
        if (at) {
            type_clear(member->type, at);
        }
        if (member->pointer) {
            free(at);
        }
    }
}

static void clear_branch(const Type *type, void *value)
{
    const TypeBranch *branch = type_branch(type, value);
    void *at = branch && branch->type ? type_branch_place(branch, value) : NULL;
    if (at) {
        type_clear(branch->type, at);
    }
    if (branch && branch->pointer) {
        free(at);
    }
}

void type_clear(const Type *type, void *value)
{
    TypeList *list = value;
    switch (type->kind) {
    case TYPE_STRING:
        free(*(char **)value);
        break;
    case TYPE_ANY:
        json_free(*(Json **)value);
        break;
    case TYPE_LIST:
        for (size_t i = 0; i < list->count; i++) {
            type_clear(type->element, (char *)list->items + i * type->element->size);
        }
        free(list->items);
        break;
    case TYPE_UNION:
        clear_branch(type, value);
        clear_members(type, value);
        break;
    case TYPE_ALTERNATE:
        clear_branch(type, value);
        break;
    case TYPE_STRUCT:
        clear_members(type, value);
        break;
    default:
        break;
    }
    memset(value, 0, type->size);
}

static bool members_equal(const Type *type, const void *a, const void *b)
{
    for (uint32_t i = 0; i < type->member_count; i++) {
        const TypeMember *member = &type->members[i];
        bool present = type_member_present(member, a);
        if (present != type_member_present(member, b)) {
            return false;
        }
        if (present &&
            !type_equal(member->type, type_member_place(member, (void *)a), type_member_place(member, (void *)b))) {
            return false;
        }
    }
    return true;
}

static bool branches_equal(const Type *type, const void *a, const void *b)
{
    const TypeBranch *branch = type_branch(type, a);
    return branch == type_branch(type, b) &&
           (!branch || !branch->type ||
            type_equal(branch->type, type_branch_place(branch, (void *)a), type_branch_place(branch, (void *)b)));
}

static bool lists_equal(const Type *element, const TypeList *a, const TypeList *b)
{
    if (a->count != b->count) {
        return false;
    }
    for (size_t i = 0; i < a->count; i++) {
        size_t offset = i * element->size;
        if (!type_equal(element, (const char *)a->items + offset, (const char *)b->items + offset)) {
            return false;
        }
    }
    return true;
}

static bool strings_equal(const char *a, const char *b) { return a && b ? strcmp(a, b) == 0 : a == b; }

static bool any_equal(const Json *a, const Json *b) { return a && b ? json_equal(a, b) : a == b; }

bool type_equal(const Type *type, const void *a, const void *b)
{
    switch (type->kind) {
    case TYPE_NULL:
        return true;
    case TYPE_STRING:
        return strings_equal(*(char *const *)a, *(char *const *)b);
    case TYPE_ANY:
        return any_equal(*(Json *const *)a, *(Json *const *)b);
    case TYPE_NUMBER:
        return *(const double *)a == *(const double *)b;
    case TYPE_LIST:
        return lists_equal(type->element, a, b);
    case TYPE_STRUCT:
        return members_equal(type, a, b);
    case TYPE_UNION:
        return members_equal(type, a, b) && branches_equal(type, a, b);
    case TYPE_ALTERNATE:
        return *(const int *)a == *(const int *)b && branches_equal(type, a, b);
    default:
        return memcmp(a, b, type->size) == 0;
    }
}
