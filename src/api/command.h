/*
 * Commands, events and command-line options as const tables, which gen/schema.py makes from schema/NAME.json.
 *
 * A command's implementation is `qmp_NAME`, an HMP command's own text is printed by `hmp_NAME`; their prototypes are in
 * the generated headers, and `run` is a generated thunk that calls them with typed arguments. The context is the
 * Monitor that they get as their first argument.
 */
#pragma once

#include "api/type.h"

/* `arguments` is a value of the command's argument type (a `Json *` where the command is open; not looked at where
 * there are none); `result` is an all-zero value of its return type, for the caller to clear (a StrBuf for HMP's own
 * text). */
typedef bool CommandRun(void *context, const void *arguments, void *result, Error **error);

typedef enum CommandFlags {
    COMMAND_ALLOW_OOB = 1,
    COMMAND_ALLOW_PRECONFIG = 2,
    /* Further arguments than the type's are allowed (device_add's are the device's properties): `run` gets the Json
     * object, in which the type's members were checked. */
    COMMAND_OPEN = 4,
} CommandFlags;

typedef struct Command {
    const char *name;
    const char *description;
    const Type *arguments; /* a struct or union; NULL: none */
    const Type *returns;   /* NULL: nothing, which QMP writes as {} */
    uint32_t flags;
    const char *const *features; /* NULL-terminated; may be NULL */
    CommandRun *run;
} Command;

typedef enum HmpParameterKind {
    HMP_WORD,       /* up to white space, or in quotes */
    HMP_REST,       /* the rest of the line */
    HMP_EXPRESSION, /* an integer: numbers, $registers, operators, parentheses */
    HMP_FORMAT,     /* "/8xw": count, format letter, size letter */
    HMP_FLAG,       /* "-a": a bool */
} HmpParameterKind;

typedef struct HmpParameter {
    uint32_t member; /* of `arguments` */
    HmpParameterKind kind;
    char flag;
} HmpParameter;

typedef struct HmpCommand {
    const char *name;  /* "info status" has the name "status" and `info` */
    const char *alias; /* "q"; NULL: none */
    const char *syntax; /* "[-a] path", as help shows it; "" where there are no parameters */
    const char *help;
    bool info;
    const Type *arguments; /* NULL: none */
    const HmpParameter *parameters;
    uint32_t parameter_count;
    const Command *command; /* the QMP command that is run, and whose result type_to_text prints; NULL: only `run` */
    CommandRun *run;        /* prints into a StrBuf; NULL: `command` */
} HmpCommand;

typedef struct Event {
    const char *name;
    const char *description;
    const Type *data; /* NULL: none */
    const char *const *features;
} Event;

typedef enum OptionFlags {
    OPTION_OPEN = 1,       /* further keys than the type's are allowed: -device, -object */
    OPTION_REPEATABLE = 2, /* each one counts; of others, the last, or their keys together where OPTION_MERGE stands */
    OPTION_MERGE = 4,
} OptionFlags;

typedef struct Option {
    const char *name;  /* "machine" */
    const char *alias; /* "M"; NULL: none */
    const char *section;
    const char *group;    /* "smp-opts": its name in -readconfig's files and query-command-line-options */
    const char *argument; /* "[type=]name[,prop=value...]", as -help shows it; NULL where the option has none */
    const char *description;
    const Type *type; /* of the argument; NULL: none */
    uint32_t flags;
} Option;

/* What an open command's arguments are in full, where the program knows. */
typedef struct OpenArguments {
    const char *command;
    const Type *type;
} OpenArguments;

typedef struct Schema {
    const Command *commands; /* in order of name */
    size_t command_count;
    const Event *events; /* likewise */
    size_t event_count;
    const OpenArguments *open; /* may be NULL */
    size_t open_count;
} Schema;

/* Compiled by the monitor's layer, which has the implementations. */
extern const Command schema_commands[];
extern const size_t schema_command_count;
extern const HmpCommand schema_hmp_commands[]; /* in order of name, info ones last */
extern const size_t schema_hmp_command_count;
/* Compiled by api. */
extern const Event schema_events[]; /* in order of name */
extern const size_t schema_event_count;
extern const Type *const schema_types[]; /* in order of name */
extern const size_t schema_type_count;
extern const Option schema_options[]; /* in order of the enum OptionId of schema/schema_options.h */
extern const size_t schema_option_count;

const Command *command_find(const Command *commands, size_t count, const char *name); /* NULL where there is none */
/* The same, for a client's word: the error is CommandNotFound and names the nearest. */
const Command *command_find_user(const Command *commands, size_t count, const char *name, Error **error);
/* By name or alias, without dashes; NULL where there is none, with an error that names the nearest. */
const Option *option_find(const Option *options, size_t count, const char *name, Error **error);

/*
 * Checks `arguments` (NULL: none given) against the command's type, runs it, and makes its result Json: what a QMP
 * server puts behind "return". NULL on failure.
 */
Json *command_run(const Command *command, void *context, const Json *arguments, Error **error);

/* What query-qmp-schema returns: an array of SchemaInfo. Types have numbers as names, but for builtin ones. */
Json *schema_introspect(const Schema *schema);

/* -help: all options, by section. */
void options_help(const Option *options, size_t count, StrBuf *buffer);
