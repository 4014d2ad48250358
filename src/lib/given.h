/*
 * The options of a command line and of -readconfig's files, split and looked up but not yet acted upon. Those that may
 * be given once keep the last, or (OPTION_MERGE) have their keys put together.
 */
#pragma once

#include "api/command.h"
#include "api/json.h"
#include "base/vec.h"
#include "schema/schema_options.h"

typedef struct Files Files;

typedef struct GivenOption {
    OptionId id;
    char *text;   /* the argument; NULL where there is none, or it came from a file */
    Json *values; /* the keys of one that has keys */
    bool json;    /* the values have their JSON kinds; else they are texts */
    bool help;    /* "help" stands among the keys */
    char *where;  /* for messages: "-smp 0", "a.cfg:3" */
} GivenOption;

typedef struct GivenOptions {
    VEC(GivenOption) list; /* in order */
} GivenOptions;

/* Adds what `arguments` (without the program's name) say. An argument that is no option is a disk image. */
bool given_add_arguments(GivenOptions *given, int count, const char *const *arguments, Files *files, Error **error);
/* One option: `name` without dashes; `argument` NULL: none. */
bool given_add(GivenOptions *given, const char *name, const char *argument, Error **error);
/* A section of a file: takes `values`, texts. */
bool given_add_section(GivenOptions *given, const char *group, const char *id, Json *values, const char *where,
                       Error **error);
/* -readconfig FILE, and the same from memory (`name` is for messages). */
bool given_read_file(GivenOptions *given, Files *files, const char *path, Error **error);
bool given_read_text(GivenOptions *given, const char *text, size_t length, const char *name, Error **error);
void given_free(GivenOptions *given);

/* The last one of the kind; NULL where there is none. */
const GivenOption *given_find(const GivenOptions *given, OptionId id);
/* Its argument, for one without keys; NULL where it was not given. */
const char *given_text(const GivenOptions *given, OptionId id);
/* The values as a value of the option's type (all zeroes before; the caller's to type_clear). The error says where. */
bool given_value(const GivenOption *option, void *value, Error **error);
