/*
 * Option syntax to Json: `virt,acpi=off,memory-backend=m0`, `driver=qcow2,file.driver=file,file.filename=a,,b`,
 * `{'driver': 'null-co'}`. Text values stay strings; type_from_options gives them their types.
 */
#pragma once

#include "base/compiler.h"

typedef struct Error Error;
typedef struct Json Json;
typedef struct Type Type;

/*
 * Splits `key=value` pairs at single commas; `,,` in a value is one comma. A first item without '=' is the value of
 * `implied_key` (NULL: not allowed). A key without '=' elsewhere is `on`; `no`KEY is `off` where KEY is a member of
 * the type that is looked for, which only type_from_options knows: it is left as a key here. Dotted keys nest; keys
 * that are all numbers 0..n make an array. Text that begins with '{' is JSON. `*help` (may be NULL) becomes true when
 * `help` or `?` stands where a key could. NULL on failure.
 */
Json *options_parse(const char *text, const char *implied_key, bool *help, Error **error);

/* The members of a JSON object with keys that may be dotted, nested as options_parse nests them; those of an object
 * and dotted ones go together. NULL on failure. */
Json *options_nest(const Json *object, Error **error);

/* Whether options_parse reads the text as JSON, whose values have their kinds already (type_from_json). */
bool options_are_json(const char *text);

/* options_parse and type_from_options (or _json) in one, with the type's own implied key. Where `*help` becomes true,
 * nothing is stored in `value`. */
bool options_to_value(const Type *type, const char *text, void *value, bool *help, Error **error);
