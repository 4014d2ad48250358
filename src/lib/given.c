/* Options as they were given. */
#include "lib/given.h"

#include "api/options.h"
#include "api/type.h"
#include "base/error.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

static bool has_keys(const Option *option)
{
    return option->type && (option->type->kind == TYPE_STRUCT || option->type->kind == TYPE_UNION);
}

static void option_clear(GivenOption *option)
{
    free(option->text);
    free(option->where);
    json_free(option->values);
}

void given_free(GivenOptions *given)
{
    for (size_t i = 0; i < given->list.count; i++) {
        option_clear(&given->list.items[i]);
    }
    vec_free(&given->list);
}

const GivenOption *given_find(const GivenOptions *given, OptionId id)
{
    for (size_t i = given->list.count; i-- > 0;) {
        if (given->list.items[i].id == id) {
            return &given->list.items[i];
        }
    }
    return NULL;
}

const char *given_text(const GivenOptions *given, OptionId id)
{
    const GivenOption *option = given_find(given, id);
    return option ? option->text : NULL;
}

bool given_value(const GivenOption *option, void *value, Error **error)
{
    const Type *type = schema_options[option->id].type;
    bool ok = option->json ? type_from_json(type, option->values, value, error)
                           : type_from_options(type, option->values, value, error);
    return ok || error_prepend(error, "%s: ", option->where);
}

/* Puts the keys of `later` into `earlier`. */
static bool merge(GivenOption *earlier, GivenOption *later, Error **error)
{
    if (earlier->json != later->json && json_length(earlier->values) && json_length(later->values)) {
        return error_set(error, "%s: JSON cannot be put together with %s", later->where, earlier->where);
    }
    earlier->json |= later->json;
    earlier->help |= later->help;
    for (size_t i = 0; i < json_length(later->values); i++) {
        json_set(earlier->values, json_key(later->values, i), json_copy(json_value(later->values, i)));
    }
    free(earlier->where);
    earlier->where = string_copy(later->where);
    return true;
}

/* Takes the option. */
static bool add_option(GivenOptions *given, GivenOption *option, Error **error)
{
    uint32_t flags = schema_options[option->id].flags;
    GivenOption *earlier = (GivenOption *)given_find(given, option->id);
    if (!earlier || (flags & OPTION_REPEATABLE)) {
        vec_push(&given->list, *option);
        return true;
    }
    if (flags & OPTION_MERGE) {
        bool ok = merge(earlier, option, error);
        option_clear(option);
        return ok;
    }
    option_clear(earlier);
    *earlier = *option;
    return true;
}

bool given_add(GivenOptions *given, const char *name, const char *argument, Error **error)
{
    const Option *row = option_find(schema_options, schema_option_count, name, error);
    if (!row) {
        return false;
    }
    if (row->argument && !argument) {
        return error_set(error, "-%s: requires an argument", name);
    }
    GivenOption option = { .id = row - schema_options, .text = row->argument ? string_copy(argument) : NULL };
    option.where = string_format(argument ? "-%s %s" : "-%s", name, argument);
    if (has_keys(row)) {
        option.values = options_parse(argument, row->type->implied_key, &option.help, error);
        option.json = options_are_json(argument);
        if (!option.values && !option.help) {
            error_prepend(error, "%s: ", option.where);
            option_clear(&option);
            return false;
        }
        option.values = option.values ? option.values : json_object();
    }
    return add_option(given, &option, error);
}

/* -global's own text takes two forms; in a file it has keys. */
static bool takes_section(const Option *row) { return has_keys(row) || row - schema_options == OPTION_GLOBAL; }

/* The option that a section of a file stands for. */
static const Option *find_group(const char *group)
{
    for (size_t i = 0; i < schema_option_count; i++) {
        if (!strcmp(schema_options[i].group, group) && takes_section(&schema_options[i])) {
            return &schema_options[i];
        }
    }
    return NULL;
}

static const char *group_candidate(const void *context, size_t i)
{
    for (size_t at = 0; at < schema_option_count; at++) {
        if (takes_section(&schema_options[at]) && i-- == 0) {
            return schema_options[at].group;
        }
    }
    return NULL;
}

bool given_add_section(GivenOptions *given, const char *group, const char *id, Json *values, const char *where,
                       Error **error)
{
    const Option *row = find_group(group);
    if (!row) {
        AUTO_FREE char *suggestion = text_suggestion(group, group_candidate, NULL);
        json_free(values);
        return error_set(error, "%s: there is no section '%s'%s", where, group, suggestion);
    }
    if (id) {
        json_set(values, "id", json_string(id));
    }
    GivenOption option = { .id = row - schema_options, .values = values, .where = string_copy(where) };
    return add_option(given, &option, error);
}

/* An option's name without its one or two dashes; NULL where the argument is none. */
static const char *option_name(const char *argument)
{
    if (argument[0] != '-' || !argument[1]) {
        return NULL;
    }
    return argument + (argument[1] == '-' && argument[2] ? 2 : 1);
}

static bool add_image(GivenOptions *given, const char *path, Error **error)
{
    Json *values = json_object();
    json_set(values, "file", json_string(path));
    json_set(values, "index", json_string("0"));
    GivenOption option = { .id = OPTION_DRIVE, .values = values, .where = string_copy(path) };
    return add_option(given, &option, error);
}

bool given_add_arguments(GivenOptions *given, int count, const char *const *arguments, Files *files, Error **error)
{
    for (int i = 0; i < count; i++) {
        const char *name = option_name(arguments[i]);
        if (!name) {
            if (!add_image(given, arguments[i], error)) {
                return false;
            }
            continue;
        }
        const Option *row = option_find(schema_options, schema_option_count, name, error);
        if (!row) {
            return false;
        }
        const char *argument = row->argument && i + 1 < count ? arguments[++i] : NULL;
        if (!given_add(given, name, argument, error)) {
            return false;
        }
        if (row - schema_options == OPTION_READCONFIG && !given_read_file(given, files, argument, error)) {
            return error_prepend(error, "-readconfig %s: ", argument);
        }
    }
    return true;
}
