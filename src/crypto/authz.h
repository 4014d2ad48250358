/* Who may do something: objects "authz-list", "authz-list-file", "authz-simple", asked about an identity (the
 * distinguished name of a certificate, the name of a user). */
#pragma once

#include "object/object.h"

typedef struct Error Error;

typedef struct AuthzClass {
    Class class;
    /* False with an error where it cannot be known: that counts as no. */
    bool (*is_allowed)(Object *object, const char *identity, bool *allowed, Error **error);
} AuthzClass;
extern const AuthzClass authz_class, authz_list_class, authz_list_file_class, authz_pam_class, authz_simple_class;

/* By the object `id` among `objects` (a container, may be NULL). False with an error for no. */
bool authz_check(Object *objects, const char *id, const char *identity, Error **error);
