/* What a script begins with: "#!" NAME [ARGUMENT]. */
#pragma once

#include "base/compiler.h"

enum { SCRIPT_LINE = 256 }; /* bytes of the file that Linux looks at */

/* Both lie in the line. */
typedef struct ScriptLine {
    const char *name, *argument; /* argument NULL: there is none */
} ScriptLine;

/* Of the file's first bytes, zeroes behind its end, of which the first two are "#!"; changes them. False: it is no
 * script. */
bool script_parse(char line[SCRIPT_LINE], ScriptLine *script);
