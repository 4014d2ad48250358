/* The error object: a message, a class, advice, and the errno value behind it. */
#include "base/error.h"

#include "base/strbuf.h"
#include "base/vec.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct Error {
    ErrorClass class;
    int number; /* errno value, or 0 */
    char *message;
    char *hint; /* NULL: none */
};

static bool set_error(Error **error, ErrorClass class, int number, const char *format, va_list arguments)
{
    if (!error) {
        return false;
    }
    assert(!*error); /* an earlier failure must not be written over */
    AUTO_STRBUF(text);
    strbuf_vprintf(&text, format, arguments);
    if (number) {
        strbuf_printf(&text, ": %s", strerror(number));
    }
    *error = NEW(Error);
    **error = (Error){ .class = class, .number = number, .message = strbuf_take(&text) };
    return false;
}

bool error_set(Error **error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    set_error(error, ERROR_GENERIC, 0, format, arguments);
    va_end(arguments);
    return false;
}

bool error_set_class(Error **error, ErrorClass class, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    set_error(error, class, 0, format, arguments);
    va_end(arguments);
    return false;
}

bool error_set_errno(Error **error, int number, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    set_error(error, ERROR_GENERIC, number, format, arguments);
    va_end(arguments);
    return false;
}

bool error_prepend(Error **error, const char *format, ...)
{
    if (!error || !*error) {
        return false;
    }
    AUTO_STRBUF(text);
    va_list arguments;
    va_start(arguments, format);
    strbuf_vprintf(&text, format, arguments);
    va_end(arguments);
    strbuf_append(&text, (*error)->message);
    free((*error)->message);
    (*error)->message = strbuf_take(&text);
    return false;
}

void error_add_hint(Error **error, const char *format, ...)
{
    if (!error || !*error) {
        return;
    }
    AUTO_STRBUF(text);
    if ((*error)->hint) {
        strbuf_printf(&text, "%s\n", (*error)->hint);
    }
    va_list arguments;
    va_start(arguments, format);
    strbuf_vprintf(&text, format, arguments);
    va_end(arguments);
    free((*error)->hint);
    (*error)->hint = strbuf_take(&text);
}

bool error_propagate(Error **destination, Error *source)
{
    if (!source) {
        return true;
    }
    if (destination) {
        assert(!*destination);
        *destination = source;
    } else {
        error_free(source);
    }
    return false;
}

const char *error_message(const Error *error) { return error->message; }
const char *error_hint(const Error *error) { return error->hint ? error->hint : ""; }
ErrorClass error_class(const Error *error) { return error->class; }
int error_errno(const Error *error) { return error->number; }

const char *error_class_name(ErrorClass class)
{
    static const char *const names[] = {
        [ERROR_GENERIC] = "GenericError",
        [ERROR_COMMAND_NOT_FOUND] = "CommandNotFound",
        [ERROR_DEVICE_NOT_ACTIVE] = "DeviceNotActive",
        [ERROR_DEVICE_NOT_FOUND] = "DeviceNotFound",
        [ERROR_KVM_MISSING_CAP] = "KVMMissingCap",
    };
    assert(class < ARRAY_SIZE(names));
    return names[class];
}

Error *error_copy(const Error *error)
{
    Error *copy = NEW(Error);
    *copy = (Error){ .class = error->class,
                     .number = error->number,
                     .message = string_copy(error->message),
                     .hint = string_copy(error->hint) };
    return copy;
}

void error_free(Error *error)
{
    if (error) {
        free(error->message);
        free(error->hint);
        free(error);
    }
}
