/*
 * The first line of scripts, as Linux's fs/binfmt_script.c reads it: blanks around the interpreter's name and at the
 * end of the line do not count, all that follows the name is one argument, and of a line that is too long the name at
 * least must be whole.
 */
#include "user/script.h"

#include <string.h>

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Where the name ends: at a blank or NUL; `end` where it does at neither. */
static char *end_of_name(char *at, const char *end)
{
    while (at < end && *at && !is_blank(*at)) {
        at++;
    }
    return at;
}

static char *skip_blanks(char *at, const char *end)
{
    while (at < end && is_blank(*at)) {
        at++;
    }
    return at;
}

bool script_parse(char line[SCRIPT_LINE], ScriptLine *script)
{
    char *last = line + SCRIPT_LINE - 1, *end = memchr(line, '\n', SCRIPT_LINE - 1);

    if (!end) {
        char *name = skip_blanks(line + 2, last);
        if (name == last || end_of_name(name, last) == last) {
            return false;
        }
        end = last;
    }
    while (is_blank(end[-1])) {
        end--;
    }
    *end = 0;
    char *name = skip_blanks(line + 2, end), *behind = end_of_name(name, end);
    if (name == end) {
        return false;
    }
    bool more = is_blank(*behind);
    *behind = 0;
    char *argument = more ? skip_blanks(behind + 1, end) : NULL;
    *script = (ScriptLine){ .name = name, .argument = argument != end ? argument : NULL };
    return true;
}
