/* Looking up and running commands, looking up options, -help (api/command.h). */
#include "api/command.h"

#include "api/json.h"
#include "base/error.h"
#include "base/strbuf.h"
#include "base/text.h"
#include "base/vec.h"

#include <stdlib.h>
#include <string.h>

const Command *command_find(const Command *commands, size_t count, const char *name)
{
    size_t low = 0;
    while (low < count) {
        size_t middle = low + (count - low) / 2;
        int order = strcmp(name, commands[middle].name);
        if (order == 0) {
            return &commands[middle];
        }
        if (order < 0) {
            count = middle;
        } else {
            low = middle + 1;
        }
    }
    return NULL;
}

typedef struct CommandTable {
    const Command *commands;
    size_t count;
} CommandTable;

static const char *command_candidate(const void *context, size_t i)
{
    const CommandTable *table = context;
    return i < table->count ? table->commands[i].name : NULL;
}

const Command *command_find_user(const Command *commands, size_t count, const char *name, Error **error)
{
    const Command *command = command_find(commands, count, name);
    if (!command) {
        AUTO_FREE char *suggestion = text_suggestion(name, command_candidate, &(CommandTable){ commands, count });
        error_set_class(error, ERROR_COMMAND_NOT_FOUND, "The command %.100s has not been found%s", name, suggestion);
    }
    return command;
}

typedef struct OptionTable {
    const Option *options;
    size_t count;
} OptionTable;

static const char *option_candidate(const void *context, size_t i)
{
    const OptionTable *table = context;
    return i < table->count ? table->options[i].name : NULL;
}

const Option *option_find(const Option *options, size_t count, const char *name, Error **error)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(options[i].name, name) == 0 || (options[i].alias && strcmp(options[i].alias, name) == 0)) {
            return &options[i];
        }
    }
    const OptionTable table = { options, count };
    AUTO_FREE char *suggestion = text_suggestion_prefixed("-", name, option_candidate, &table);
    error_set(error, "there is no option '-%.100s'%s", name, suggestion);
    return NULL;
}

/* The type's members of an open command's arguments alone, for them to be checked. */
static Json *known_members(const Type *type, const Json *arguments)
{
    Json *known = json_object();
    for (uint32_t i = 0; i < type->member_count; i++) {
        const Json *value = json_get(arguments, type->members[i].name);
        if (value) {
            json_set(known, type->members[i].name, json_copy(value));
        }
    }
    return known;
}

static bool read_arguments(const Command *command, const Json *json, void *arguments, Error **error)
{
    if (json_kind(json) != JSON_OBJECT) {
        return error_set(error, "'arguments' expects an object");
    }
    if (!command->arguments) {
        return !json_length(json) ||
               error_set(error, "'%.100s' is unexpected: %s takes no arguments", json_key(json, 0), command->name);
    }
    if (!(command->flags & COMMAND_OPEN)) {
        return type_from_json(command->arguments, json, arguments, error);
    }
    Json *known = known_members(command->arguments, json);
    bool ok = type_from_json(command->arguments, known, arguments, error);
    json_free(known);
    return ok;
}

static Json *run_checked(const Command *command, void *context, const void *arguments, Error **error)
{
    AUTO_FREE void *result = command->returns ? mem_alloc0(command->returns->size) : NULL;
    Json *json = NULL;
    if (command->run(context, arguments, result, error)) {
        json = command->returns ? type_to_json(command->returns, result) : json_object();
    }
    if (command->returns) {
        type_clear(command->returns, result);
    }
    return json;
}

Json *command_run(const Command *command, void *context, const Json *given, Error **error)
{
    Json *none = json_object();
    const Json *json = given ? given : none;
    AUTO_FREE void *arguments = command->arguments ? mem_alloc0(command->arguments->size) : NULL;
    Json *result = NULL;
    if (read_arguments(command, json, arguments, error)) {
        bool open = command->flags & COMMAND_OPEN;
        result = run_checked(command, context, open ? (const void *)json : arguments, error);
        if (arguments) {
            type_clear(command->arguments, arguments);
        }
    }
    json_free(none);
    return result;
}

static bool section_seen(const Option *options, size_t i)
{
    for (size_t earlier = 0; earlier < i; earlier++) {
        if (strcmp(options[earlier].section, options[i].section) == 0) {
            return true;
        }
    }
    return false;
}

static void option_help(const Option *option, StrBuf *buffer)
{
    strbuf_printf(buffer, "-%s", option->name);
    if (option->alias) {
        strbuf_printf(buffer, " or -%s", option->alias);
    }
    if (option->argument) {
        strbuf_printf(buffer, " %s", option->argument);
    }
    strbuf_printf(buffer, "\n                %s\n", option->description);
}

void options_help(const Option *options, size_t count, StrBuf *buffer)
{
    for (size_t i = 0; i < count; i++) {
        if (section_seen(options, i)) {
            continue;
        }
        strbuf_printf(buffer, "%s%s:\n", i ? "\n" : "", options[i].section);
        for (size_t j = i; j < count; j++) {
            if (strcmp(options[j].section, options[i].section) == 0) {
                option_help(&options[j], buffer);
            }
        }
    }
}
