/* What object-add's arguments are, for introspection: a union of the classes that users may make, by properties. */
#pragma once

#include "api/type.h"

typedef struct ObjectTypes ObjectTypes;

ObjectTypes *object_types_new(void);
void object_types_free(ObjectTypes *types);
/* Lives as long as `types`. Offsets in it say nothing: it is not for values. */
const Type *object_types_union(const ObjectTypes *types);
