/*
 * -readconfig: the file format that QEMU documents. Lines are empty, comments that begin with '#', sections
 *
 *     [device "disk0"]
 *     [machine]
 *
 * or keys of the section above them:
 *
 *       driver = "virtio-blk-device"
 */
#include "lib/given.h"

#include "base/error.h"
#include "base/files.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { LARGEST_FILE = 1 << 20 };

typedef struct ConfigReader {
    GivenOptions *given;
    const char *name;
    unsigned line, section_line;
    char *group, *id;
    Json *values; /* of the open section; NULL: none */
} ConfigReader;

static bool reader_fail(ConfigReader *reader, Error **error, const char *what)
{
    return error_set(error, "%s:%u: %s", reader->name, reader->line, what);
}

static bool section_end(ConfigReader *reader, Error **error)
{
    if (!reader->values) {
        return true;
    }
    AUTO_FREE char *where = string_format("%s:%u", reader->name, reader->section_line);
    Json *values = reader->values;
    reader->values = NULL;
    return given_add_section(reader->given, reader->group, reader->id, values, where, error);
}

static const char *skip_blanks(const char *at)
{
    while (isspace((unsigned char)*at)) {
        at++;
    }
    return at;
}

static size_t name_length(const char *at)
{
    size_t length = 0;
    while (isalnum((unsigned char)at[length]) || (at[length] && strchr("-_.", at[length]))) {
        length++;
    }
    return length;
}

/* The text between quotes; NULL where they are not there. */
static char *read_quoted(const char **at)
{
    const char *end = **at == '"' ? strchr(*at + 1, '"') : NULL;
    if (!end) {
        return NULL;
    }
    char *text = string_format("%.*s", (int)(end - *at - 1), *at + 1);
    *at = end + 1;
    return text;
}

static bool section_begin(ConfigReader *reader, const char *at, Error **error)
{
    if (!section_end(reader, error)) {
        return false;
    }
    free(reader->group);
    free(reader->id);
    reader->group = reader->id = NULL;
    at = skip_blanks(at + 1);
    size_t length = name_length(at);
    reader->group = string_format("%.*s", (int)length, at);
    at = skip_blanks(at + length);
    if (*at == '"') {
        reader->id = read_quoted(&at);
        at = skip_blanks(at);
    }
    if (!length || *at != ']' || *skip_blanks(at + 1)) {
        return reader_fail(reader, error, "a section is [NAME] or [NAME \"ID\"]");
    }
    reader->values = json_object();
    reader->section_line = reader->line;
    return true;
}

static bool read_key(ConfigReader *reader, const char *at, Error **error)
{
    size_t length = name_length(at);
    AUTO_FREE char *key = string_format("%.*s", (int)length, at);
    at = skip_blanks(at + length);
    bool equals = *at == '=';
    at = equals ? skip_blanks(at + 1) : at;
    AUTO_FREE char *value = length && equals ? read_quoted(&at) : NULL;
    if (!value || *skip_blanks(at)) {
        return reader_fail(reader, error, "a line is KEY = \"VALUE\"");
    }
    if (!reader->values) {
        return reader_fail(reader, error, "a key stands in front of the first section");
    }
    json_set(reader->values, key, json_string(value));
    return true;
}

static bool read_line(ConfigReader *reader, const char *line, Error **error)
{
    const char *at = skip_blanks(line);
    if (!*at || *at == '#') {
        return true;
    }
    return *at == '[' ? section_begin(reader, at, error) : read_key(reader, at, error);
}

bool given_read_text(GivenOptions *given, const char *text, size_t length, const char *name, Error **error)
{
    ConfigReader reader = { .given = given, .name = name };
    bool ok = true;
    if (memchr(text, '\0', length)) {
        return error_set(error, "%s: this is no text: it holds a NUL", name);
    }
    for (const char *at = text, *end = text + length; at < end && ok;) {
        const char *newline = memchr(at, '\n', end - at);
        size_t count = (newline ? newline : end) - at;
        AUTO_FREE char *line = string_format("%.*s", (int)count, at);
        reader.line++;
        ok = read_line(&reader, line, error);
        at += count + (newline != NULL);
    }
    ok = ok && section_end(&reader, error);
    json_free(reader.values);
    free(reader.group);
    free(reader.id);
    return ok;
}

bool given_read_file(GivenOptions *given, Files *files, const char *path, Error **error)
{
    size_t size;
    AUTO_FREE char *text = files_read_all(files, path, LARGEST_FILE, &size, error);
    return text && given_read_text(given, text, size, path, error);
}
