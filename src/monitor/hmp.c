/*
 * The human monitor: lines of words, whose parameters fill the argument struct of a row of schema_hmp_commands; what
 * the row's function prints, or the text form of its QMP command's result, is the answer.
 */
#include "monitor/monitor_internal.h"

#include "api/type.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "monitor/expression.h"
#include "schema/hmp.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static const char prompt[] = "(qemu) ";

/* -- the terminal ----------------------------------------------------------------------------------------------- */

static void line_write(void *data, const char *bytes, size_t count) { monitor_write(data, bytes, count); }

static void line_accept(void *data, const char *text)
{
    Monitor *monitor = data;
    AUTO_STRBUF(out);
    hmp_run_line(monitor, text, &out);
    monitor_print(monitor, strbuf_text(&out));
    if (!monitor->control->quitting) {
        readline_prompt(monitor->line);
    }
}

static void line_complete(void *data, const char *text, TextList *candidates, size_t *word_length)
{
    hmp_complete(data, text, candidates, word_length);
}

static void hmp_greet(Monitor *monitor)
{
    if (!monitor->greeted) {
        monitor_print(monitor, "QEMU 10.0.0 monitor - type 'help' for more information\n");
        monitor->greeted = true;
        readline_prompt(monitor->line);
    } else {
        readline_redraw(monitor->line);
    }
}

void hmp_open(Monitor *monitor)
{
    const ReadLineHost host = {
        .write = line_write,
        .accept = line_accept,
        .complete = line_complete,
        .data = monitor,
    };
    readline_free(monitor->line);
    monitor->line = readline_new(&host, prompt);
    monitor->greeted = false;
    if (!monitor->hidden) {
        hmp_greet(monitor);
    }
}

void hmp_mux(Monitor *monitor, bool in)
{
    monitor->hidden = !in;
    if (!monitor->line) {
        return;
    }
    if (in) {
        hmp_greet(monitor);
    } else {
        monitor_print(monitor, "\n");
    }
}

void hmp_receive(Monitor *monitor, const uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count && monitor->line; i++) {
        readline_feed(monitor->line, bytes[i]);
    }
}

/* -- words ------------------------------------------------------------------------------------------------------ */

static void skip_space(const char **at)
{
    while (isspace((unsigned char)**at)) {
        (*at)++;
    }
}

static char *quoted_word(const char **line, Error **error)
{
    AUTO_STRBUF(word);
    const char *at = *line + 1;
    for (; *at && *at != '"'; at++) {
        char c = *at;
        if (c == '\\' && at[1]) {
            c = *++at;
            c = c == 'n' ? '\n' : c == 'r' ? '\r' : c == 't' ? '\t' : c;
        }
        strbuf_append_char(&word, c);
    }
    if (*at != '"') {
        error_set(error, "unterminated string");
        return NULL;
    }
    *line = at + 1;
    return strbuf_take(&word);
}

char *hmp_next_word(const char **line, Error **error)
{
    skip_space(line);
    if (!**line) {
        return NULL;
    }
    if (**line == '"') {
        return quoted_word(line, error);
    }
    size_t length = 0;
    while ((*line)[length] && !isspace((unsigned char)(*line)[length])) {
        length++;
    }
    char *word = string_format("%.*s", (int)length, *line);
    *line += length;
    return word;
}

/* -- finding commands ------------------------------------------------------------------------------------------- */

static bool alias_is(const HmpCommand *command, const char *name)
{
    const char *at = command->alias;
    size_t length = strlen(name);
    while (at && *at) {
        size_t part = strcspn(at, "|");
        if (part == length && !strncmp(at, name, length)) {
            return true;
        }
        at += part + (at[part] == '|');
    }
    return false;
}

const HmpCommand *hmp_find(const char *name, bool info)
{
    for (size_t i = 0; i < schema_hmp_command_count; i++) {
        const HmpCommand *command = &schema_hmp_commands[i];
        if (command->info == info && (!strcmp(command->name, name) || alias_is(command, name))) {
            return command;
        }
    }
    return NULL;
}

typedef struct NameList {
    bool info;
} NameList;

static const char *hmp_candidate(const void *context, size_t i)
{
    const NameList *list = context;
    for (size_t at = 0; at < schema_hmp_command_count; at++) {
        if (schema_hmp_commands[at].info == list->info && i-- == 0) {
            return schema_hmp_commands[at].name;
        }
    }
    return NULL;
}

static void unknown_command(const char *name, bool info, StrBuf *out)
{
    NameList list = { info };
    AUTO_FREE char *suggestion = text_suggestion(name, hmp_candidate, &list);
    strbuf_printf(out, "unknown command: '%s%s'%s\n", info ? "info " : "", name, suggestion);
}

/* -- parameters ------------------------------------------------------------------------------------------------- */

static Json *number_parameter(const TypeMember *member, int64_t value)
{
    return !member->type->is_signed && value < 0 ? json_uint(value) : json_int(value);
}

static Json *expression_parameter(Monitor *monitor, const TypeMember *member, const char **line, Error **error)
{
    int64_t value;
    skip_space(line);
    if (!**line && member->optional) {
        return NULL;
    }
    return expression_read(line, monitor_register, monitor, &value, error) ? number_parameter(member, value) : NULL;
}

/* "4k", "1.5G": a size, of MiB without a unit. */
static Json *size_parameter(const char **line, Error **error)
{
    uint64_t bytes = 0;
    AUTO_FREE char *word = hmp_next_word(line, error);
    return word && text_to_size(word, MIB, &bytes, error) ? json_uint(bytes) : NULL;
}

/* "/8xw", kept as text for format_read. */
static Json *format_parameter(const char **line, Error **error)
{
    skip_space(line);
    return **line == '/' ? json_string_take(hmp_next_word(line, error)) : NULL;
}

static Json *word_parameter(const TypeMember *member, const char **line, Error **error)
{
    AUTO_ERROR(failure);
    char *word = hmp_next_word(line, &failure);
    if (!word && failure) {
        error_propagate(error, failure);
        failure = NULL;
        return NULL;
    }
    if (!word && !member->optional) {
        error_set(error, "%s: string expected", member->name);
    }
    return word ? json_string_take(word) : NULL;
}

static Json *rest_parameter(const TypeMember *member, const char **line, Error **error)
{
    skip_space(line);
    size_t length = strlen(*line);
    while (length && isspace((unsigned char)(*line)[length - 1])) {
        length--;
    }
    if (!length) {
        if (!member->optional) {
            error_set(error, "%s: string expected", member->name);
        }
        return NULL;
    }
    Json *text = json_string_take(string_format("%.*s", (int)length, *line));
    *line += strlen(*line);
    return text;
}

static Json *flag_parameter(const char **line, char flag)
{
    skip_space(line);
    if ((*line)[0] == '-' && (*line)[1] == flag && (!(*line)[2] || isspace((unsigned char)(*line)[2]))) {
        *line += 2;
        return json_string("on");
    }
    return NULL;
}

/* One parameter's value; NULL where it is not there, or with *error set. */
static Json *read_parameter(Monitor *monitor, const HmpParameter *parameter, const TypeMember *member,
                            const char **line, Error **error)
{
    switch (parameter->kind) {
    case HMP_WORD:
        return word_parameter(member, line, error);
    case HMP_REST:
        return rest_parameter(member, line, error);
    case HMP_EXPRESSION:
        return member->type->kind == TYPE_SIZE ? size_parameter(line, error)
                                               : expression_parameter(monitor, member, line, error);
    case HMP_FORMAT:
        return format_parameter(line, error);
    case HMP_FLAG:
        return flag_parameter(line, parameter->flag);
    }
    return NULL;
}

/* Flags may stand in any order before the rest, and where they stand among the others: they are tried again after each
 * that fits. */
static bool read_flags(const HmpCommand *command, const char **line, Json *values)
{
    bool found = false;
    for (uint32_t i = 0; i < command->parameter_count; i++) {
        const HmpParameter *parameter = &command->parameters[i];
        Json *value = parameter->kind == HMP_FLAG ? flag_parameter(line, parameter->flag) : NULL;
        if (value) {
            json_set(values, command->arguments->members[parameter->member].name, value);
            found = true;
        }
    }
    return found;
}

static Json *read_parameters(Monitor *monitor, const HmpCommand *command, const char *line, Error **error)
{
    Json *values = json_object();
    AUTO_ERROR(failure);
    while (read_flags(command, &line, values)) {
    }
    for (uint32_t i = 0; i < command->parameter_count && !failure; i++) {
        const TypeMember *member = &command->arguments->members[command->parameters[i].member];
        if (command->parameters[i].kind == HMP_FLAG) {
            while (read_flags(command, &line, values)) {
            }
            continue;
        }
        Json *value = read_parameter(monitor, &command->parameters[i], member, &line, &failure);
        if (value) {
            json_set(values, member->name, value);
        }
    }
    skip_space(&line);
    if (!failure && *line) {
        error_set(&failure, "extraneous characters at the end of line: '%s'", line);
    }
    if (failure) {
        json_free(values);
        error_propagate(error, failure);
        failure = NULL;
        return NULL;
    }
    return values;
}

/* -- running ---------------------------------------------------------------------------------------------------- */

/* The QMP command behind the line; its result as text. */
static bool run_command(Monitor *monitor, const Command *command, const void *arguments, StrBuf *out, Error **error)
{
    AUTO_FREE void *result = command->returns ? mem_alloc0(command->returns->size) : NULL;
    if (!command->run(monitor, arguments, result, error)) {
        return false;
    }
    if (command->returns) {
        type_to_text(command->returns, result, out);
        type_clear(command->returns, result);
    }
    return true;
}

static bool run_with(Monitor *monitor, const HmpCommand *command, const Json *values, StrBuf *out, Error **error)
{
    AUTO_FREE void *arguments = command->arguments ? mem_alloc0(command->arguments->size) : NULL;
    if (command->arguments && !type_from_options(command->arguments, values, arguments, error)) {
        return false;
    }
    bool ok = command->run ? command->run(monitor, arguments, out, error)
                           : run_command(monitor, command->command, arguments, out, error);
    if (command->arguments) {
        type_clear(command->arguments, arguments);
    }
    return ok;
}

static void run_found(Monitor *monitor, const HmpCommand *command, const char *line, StrBuf *out)
{
    AUTO_ERROR(error);
    Json *values = read_parameters(monitor, command, line, &error);
    if (!values) {
        strbuf_printf(out, "%s\nTry \"help %s%s\" for more information\n", error_message(error),
                      command->info ? "info " : "", command->name);
        return;
    }
    if (!run_with(monitor, command, values, out, &error)) {
        strbuf_printf(out, "Error: %s\n", error_message(error));
        if (*error_hint(error)) {
            strbuf_printf(out, "%s", error_hint(error));
        }
    }
    json_free(values);
}

/* The end of the command's name: "p/x" is p and a format. */
static char *command_word(const char **line)
{
    size_t length = 0;
    skip_space(line);
    while ((*line)[length] && !isspace((unsigned char)(*line)[length]) && (*line)[length] != '/') {
        length++;
    }
    char *word = string_format("%.*s", (int)length, *line);
    *line += length;
    return word;
}

void hmp_run_line(Monitor *monitor, const char *line, StrBuf *out)
{
    AUTO_FREE char *name = command_word(&line);
    if (!*name && !*line) {
        return;
    }
    const HmpCommand *command = hmp_find(name, false);
    if (!command) {
        unknown_command(name, false, out);
        return;
    }
    const char *rest = line;
    AUTO_FREE char *topic = !strcmp(command->name, "info") ? command_word(&rest) : NULL;
    if (!topic || !*topic) {
        run_found(monitor, command, line, out);
        return;
    }
    const HmpCommand *info = hmp_find(topic, true);
    if (info) {
        run_found(monitor, info, rest, out);
    } else {
        unknown_command(topic, true, out);
    }
}

char *control_hmp(Control *control, const char *line, int cpu_index)
{
    Monitor temporary = { .control = control, .kind = MONITOR_HMP, .cpu_index = cpu_index };
    AUTO_STRBUF(out);
    AUTO_STRBUF(text);
    hmp_run_line(&temporary, line, &out);
    for (const char *at = strbuf_text(&out); *at; at++) {
        if (*at == '\n') {
            strbuf_append_char(&text, '\r');
        }
        strbuf_append_char(&text, *at);
    }
    return strbuf_take(&text);
}

/* -- help and info ---------------------------------------------------------------------------------------------- */

static void print_help(const HmpCommand *command, StrBuf *out)
{
    strbuf_printf(out, "%s%s%s%s %s -- %s\n", command->info ? "info " : "", command->name, command->alias ? "|" : "",
                  command->alias ? command->alias : "", command->syntax, command->help);
}

static void print_all(bool info, StrBuf *out)
{
    for (size_t i = 0; i < schema_hmp_command_count; i++) {
        if (schema_hmp_commands[i].info == info) {
            print_help(&schema_hmp_commands[i], out);
        }
    }
}

bool hmp_help(Monitor *monitor, const HelpHmpArguments *arguments, StrBuf *output, Error **error)
{
    const char *line = arguments->name ? arguments->name : "";
    AUTO_FREE char *name = command_word(&line);
    if (!*name) {
        print_all(false, output);
        return true;
    }
    bool info = !strcmp(name, "info");
    AUTO_FREE char *topic = info ? command_word(&line) : string_copy("");
    if (info && !*topic) {
        print_all(true, output);
        return true;
    }
    const HmpCommand *command = hmp_find(info ? topic : name, info);
    if (command) {
        print_help(command, output);
    } else {
        unknown_command(info ? topic : name, info, output);
    }
    if (command && !strcmp(command->name, "log")) {
        log_print_items(output);
    }
    return true;
}

bool hmp_info(Monitor *monitor, StrBuf *output, Error **error)
{
    print_all(true, output);
    return true;
}
