/* What the walkers over types share. */
#pragma once

#include "api/type.h"

/* The place of a member or branch in `value`: where it is held by pointer, what the pointer points to (NULL: none). */
void *type_member_place(const TypeMember *member, void *value);
void *type_branch_place(const TypeBranch *branch, void *value);
/* Whether an optional member is there; true for one that is not optional. */
bool type_member_present(const TypeMember *member, const void *value);
/* The branch that the tag (union) or kind (alternate) in `value` says; NULL where there is none. */
const TypeBranch *type_branch(const Type *type, const void *value);
bool type_is_object(const Type *type); /* a struct or union */
