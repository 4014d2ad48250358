/* -object and -device, object-add and device_add: a user's words to objects. */
#pragma once

#include "base/strbuf.h"
#include "core/machine.h"

/* {"qom-type": ..., "id": ..., properties}; `texts`: as the command line gives them. */
bool user_object_add(Machine *machine, const Json *options, bool texts, Error **error);
/* Letters, digits, '-', '.' and '_', starting with a letter. */
bool user_id_well_formed(const char *id);
bool user_object_delete(Machine *machine, const char *id, Error **error);
/* Option syntax. Where help is asked for it is printed into `help`, and nothing is made. */
bool user_object_add_text(Machine *machine, const char *text, StrBuf *help, Error **error);
bool user_device_add_text(Machine *machine, const char *text, StrBuf *help, Error **error);
/* Prints what -object TEXT or -device TEXT asks for, where that is help: true then. */
bool user_object_help(const char *text, StrBuf *help, Error **error);
bool user_device_help(const char *text, StrBuf *help, Error **error);
