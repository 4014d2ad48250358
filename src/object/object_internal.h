/* What the files of this layer share. */
#pragma once

#include "object/object.h"

/* A property as an object has it: the row that stands behind its name, and which part of an array. */
typedef struct PropertyPlace {
    Object *owner;
    const Property *row;
    enum { PART_WHOLE, PART_LENGTH, PART_ELEMENT } part;
    size_t index; /* of the element; not checked against the length */
} PropertyPlace;

/* Follows aliases. False with an error that names the nearest. */
bool property_find(Object *object, const char *name, PropertyPlace *place, Error **error);
/* The object's own row or its class's; NULL where there is none. */
const Property *property_row(const Object *object, const char *name);
/* Stores the row's default_text in a new object. */
void property_set_default(Object *object, const Property *property);
/* The pointer that a child or link row keeps in the object; NULL where hooks keep it. */
Object **property_pointer(Object *object, const Property *property);
/* Lets go of what all links hold, or of all values. */
void property_clear_links(Object *object);
void property_clear_all(Object *object);
