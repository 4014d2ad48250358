/*
 * The one error object. A function that can fail returns bool (true is success) or a pointer
 * (NULL is failure) and takes `Error **error` as its last parameter. The caller may pass NULL
 * when it does not care why; otherwise `*error` must be NULL on entry and owns an Error after
 * a failure.
 *
 *     if (!size_parse(text, &size, error)) {
 *         return error_prepend(error, "-m: ");
 *     }
 *     return error_set(error, "'%s' is not a machine type; use -M help to list them", name);
 */
#pragma once

#include "base/compiler.h"

/* QMP's error classes, in the order of their names in query-qmp-schema. */
typedef enum ErrorClass {
    ERROR_GENERIC,
    ERROR_COMMAND_NOT_FOUND,
    ERROR_DEVICE_NOT_ACTIVE,
    ERROR_DEVICE_NOT_FOUND,
    ERROR_KVM_MISSING_CAP,
} ErrorClass;

typedef struct Error Error;

/* Each of these makes a new error and returns false, so that it can stand in a return statement. */
bool error_set(Error **error, const char *format, ...) PRINTF(2, 3);
bool error_set_class(Error **error, ErrorClass class, const char *format, ...) PRINTF(3, 4);
/* Appends ": " and the text of errno value `number` (positive). */
bool error_set_errno(Error **error, int number, const char *format, ...) PRINTF(3, 4);

/* Puts text before the message of a failed call's error; returns false. Does nothing to a NULL error. */
bool error_prepend(Error **error, const char *format, ...) PRINTF(2, 3);
/* Appends a line of advice, printed after the message on the command line and not part of it. */
void error_add_hint(Error **error, const char *format, ...) PRINTF(2, 3);

/* Moves `source` (may be NULL) to `*destination`, or frees it where the caller passed NULL. Returns !source. */
bool error_propagate(Error **destination, Error *source);

const char *error_message(const Error *error);
const char *error_hint(const Error *error); /* "" where there is none */
ErrorClass error_class(const Error *error);
const char *error_class_name(ErrorClass class); /* "GenericError" ... */
/* The errno value given to error_set_errno, else 0. */
int error_errno(const Error *error);
Error *error_copy(const Error *error);
void error_free(Error *error); /* NULL is fine */

static inline void error_cleanup(Error **error) { error_free(*error); }
/* `AUTO_ERROR(error);` declares `Error *error = NULL`, freed at the end of the scope. */
#define AUTO_ERROR(name) __attribute__((cleanup(error_cleanup))) Error *name = NULL
