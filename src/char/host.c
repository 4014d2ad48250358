/* Making, finding and removing character devices: -chardev, and the older syntax of -serial. */
#include "char/char_internal.h"

#include "api/json.h"
#include "api/options.h"
#include "api/type.h"
#include "base/error.h"
#include "base/files.h"
#include "base/map.h"
#include "base/text.h"
#include "schema/char.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

static bool id_well_formed(const char *id)
{
    if (!isalpha((unsigned char)*id)) {
        return false;
    }
    while (isalnum((unsigned char)*id) || (*id && strchr("-._", *id))) {
        id++;
    }
    return !*id;
}

static const char *char_candidate(const void *context, size_t i)
{
    const Object *container = context;
    size_t position = 0;
    MapEntry *entry = NULL;
    for (size_t n = 0; n <= i; n++) {
        entry = container->children ? map_next(container->children, &position) : NULL;
        if (!entry) {
            return NULL;
        }
    }
    return entry->key;
}

CharDevice *char_find(CharHost *host, const char *id, Error **error)
{
    Object *found = object_child(host->container, id);
    if (!found) {
        AUTO_FREE char *suggestion = text_suggestion(id, char_candidate, host->container);
        error_set(error, "there is no character device '%s'%s", id, suggestion);
    }
    return (CharDevice *)found;
}

static bool open_log(CharDevice *device, const ChardevOptions *options, Error **error)
{
    int flags = O_WRONLY | O_CREAT | (options->has_logappend && options->logappend ? O_APPEND : O_TRUNC);
    if (options->logfile) {
        device->log_fd = files_open(device->host->files, options->logfile, flags, 0666, error);
    }
    return !options->logfile || device->log_fd >= 0;
}

CharDevice *char_make(CharHost *host, const char *id, const CharClass *class, const ChardevOptions *options,
                      Error **error)
{
    Object *object = object_new(&class->class, NULL, NULL, error);
    if (!object) {
        return NULL;
    }
    CharDevice *device = (CharDevice *)object;
    device->host = host;
    device->backend = class->class.name + strlen("chardev-");
    bool made = object_add_child(host->container, id, object, error);
    object_unref(object);
    if (!made) {
        return NULL;
    }
    if ((options && !open_log(device, options, error)) || !class->open(device, options, error) ||
        !object_complete(object, error)) {
        object_unparent(object);
        return NULL;
    }
    return device;
}

static CharDevice *make_of_kind(CharHost *host, const char *id, const ChardevOptions *options, Error **error)
{
    AUTO_FREE char *name = string_format("chardev-%s", ChardevBackend_type.names[options->backend]);
    return char_make(host, id, (const CharClass *)class_find(name), options, error);
}

static CharDevice *char_make_muxed(CharHost *host, const ChardevOptions *options, Error **error)
{
    AUTO_FREE char *base_id = string_format("%s-base", options->id);
    if (object_child(host->container, base_id)) {
        error_set(error, "the ID '%s', which mux=on needs, is taken", base_id);
        return NULL;
    }
    CharDevice *base = make_of_kind(host, base_id, options, error);
    if (!base) {
        return NULL;
    }
    ChardevOptions mux = { .id = options->id, .backend = CHARDEV_BACKEND_MUX, .u.mux.chardev = base_id };
    CharDevice *device = make_of_kind(host, options->id, &mux, error);
    if (!device) {
        object_unparent(&base->object);
    }
    return device;
}

CharDevice *char_new(CharHost *host, const ChardevOptions *options, Error **error)
{
    if (!options->id || !id_well_formed(options->id)) {
        error_set(error, "'id' expects an identifier: letters, digits, '-', '.' and '_', starting with a letter");
        return NULL;
    }
    if (object_child(host->container, options->id)) {
        error_set(error, "there is a character device '%s' already", options->id);
        return NULL;
    }
    bool muxed = options->has_mux && options->mux && options->backend != CHARDEV_BACKEND_MUX;
    return muxed ? char_make_muxed(host, options, error) : make_of_kind(host, options->id, options, error);
}

/* -- the older syntax ------------------------------------------------------------------------------------------- */

typedef struct LegacyForm {
    const char *prefix; /* or the whole text, where `parse` is NULL */
    const char *backend;
    bool (*parse)(Json *options, const char *rest, Error **error);
} LegacyForm;

static bool legacy_path(Json *options, const char *rest, Error **error)
{
    if (!*rest) {
        return error_set(error, "a path is missing");
    }
    json_set(options, "path", json_string(rest));
    return true;
}

/* Adds the options of `text`, whose first may be the value of `implied`. */
static bool legacy_merge(Json *options, const char *text, const char *implied, Error **error)
{
    Json *more = options_parse(text, implied, NULL, error);
    if (!more) {
        return false;
    }
    for (size_t i = 0; i < json_length(more); i++) {
        json_set(options, json_key(more, i), json_copy(json_value(more, i)));
    }
    json_free(more);
    return true;
}

static bool legacy_unix(Json *options, const char *rest, Error **error)
{
    return legacy_merge(options, rest, "path", error);
}

/* HOST:PORT or [HOST]:PORT, and options after a comma. */
static bool legacy_tcp(Json *options, const char *rest, Error **error)
{
    size_t whole = strcspn(rest, ",");
    AUTO_FREE char *address = string_format("%.*s", (int)whole, rest);
    char *colon = strrchr(address, ':');
    if (!colon || !colon[1]) {
        return error_set(error, "'%s' is not HOST:PORT", address);
    }
    *colon = '\0';
    bool bracketed = *address == '[' && colon > address + 1 && colon[-1] == ']';
    if (bracketed) {
        colon[-1] = '\0';
    }
    json_set(options, "host", json_string(address + bracketed));
    json_set(options, "port", json_string(colon + 1));
    return !rest[whole] || legacy_merge(options, rest + whole + 1, NULL, error);
}

static bool legacy_telnet(Json *options, const char *rest, Error **error)
{
    json_set(options, "telnet", json_string("on"));
    return legacy_tcp(options, rest, error);
}

static const LegacyForm legacy_forms[] = {
    { "null", "null", NULL },
    { "pty", "pty", NULL },
    { "stdio", "stdio", NULL },
    { "vc", "vc", NULL },
    { "file:", "file", legacy_path },
    { "pipe:", "pipe", legacy_path },
    { "pty:", "pty", legacy_path },
    { "tcp:", "socket", legacy_tcp },
    { "telnet:", "socket", legacy_telnet },
    { "unix:", "socket", legacy_unix },
};

static const LegacyForm *legacy_find(const char *text, const char **rest)
{
    for (size_t i = 0; i < ARRAY_SIZE(legacy_forms); i++) {
        const LegacyForm *form = &legacy_forms[i];
        if (form->parse ? text_starts_with(text, form->prefix) : !strcmp(text, form->prefix)) {
            *rest = text + strlen(form->prefix);
            return form;
        }
    }
    return NULL;
}

static CharDevice *legacy_new(CharHost *host, const char *id, const char *text, bool mux, Error **error)
{
    const char *rest;
    const LegacyForm *form = legacy_find(text, &rest);
    if (!form) {
        error_set(error, "'%s' is not a character device; there are none, null, stdio, pty, vc, file:PATH, pipe:PATH, "
                  "unix:PATH, tcp:HOST:PORT, telnet:HOST:PORT, chardev:ID and mon:DEVICE", text);
        return NULL;
    }
    Json *values = json_object();
    ChardevOptions options = { 0 };
    CharDevice *device = NULL;
    json_set(values, "backend", json_string(form->backend));
    json_set(values, "id", json_string(id));
    if (mux) {
        json_set(values, "mux", json_string("on"));
    }
    if (!strcmp(form->backend, "stdio") && mux) {
        json_set(values, "signal", json_string("off"));
    }
    if ((!form->parse || form->parse(values, rest, error)) &&
        type_from_options(&ChardevOptions_type, values, &options, error)) {
        device = char_new(host, &options, error);
        type_clear(&ChardevOptions_type, &options);
    }
    json_free(values);
    return device;
}

bool char_new_legacy(CharHost *host, const char *id, const char *text, CharDevice **device, bool *monitor,
                     Error **error)
{
    const char *rest = text;
    bool with_monitor = monitor && text_starts_with(text, "mon:");
    *device = NULL;
    if (monitor) {
        *monitor = with_monitor;
    }
    rest += with_monitor ? strlen("mon:") : 0;
    if (!strcmp(rest, "none")) {
        return true;
    }
    if (text_starts_with(rest, "chardev:")) {
        *device = char_find(host, rest + strlen("chardev:"), error);
    } else {
        *device = legacy_new(host, id, rest, with_monitor, error);
    }
    return *device != NULL;
}

/* -- removing --------------------------------------------------------------------------------------------------- */

bool char_remove(CharHost *host, const char *id, Error **error)
{
    CharDevice *device = char_find(host, id, error);
    if (!device) {
        return false;
    }
    if (char_has_frontend(device)) {
        return error_set(error, "character device '%s' is in use", id);
    }
    object_unparent(&device->object);
    return true;
}

static bool take_first(Object *child, void *context)
{
    *(Object **)context = child;
    return false;
}

void char_remove_all(CharHost *host)
{
    for (;;) {
        Object *first = NULL;
        object_each_child(host->container, take_first, &first);
        if (!first) {
            return;
        }
        object_unparent(first);
    }
}
