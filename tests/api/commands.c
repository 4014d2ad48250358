/* The commands of test.json. */
#include "test.h"

#include "api/json.h"
#include "base/error.h"
#include "base/strbuf.h"

#include <ctype.h>

bool qmp_add(Monitor *monitor, const Point *arguments, int64_t *result, Error **error)
{
    return !__builtin_add_overflow(arguments->x, arguments->y, result) || error_set(error, "the sum is too large");
}

bool qmp_echo(Monitor *monitor, const Everything *arguments, Everything *result, Error **error)
{
    Json *json = type_to_json(&Everything_type, arguments);
    bool ok = type_from_json(&Everything_type, json, result, error);
    json_free(json);
    return ok;
}

bool qmp_make(Monitor *monitor, const Json *arguments, Json **result, Error **error)
{
    *result = json_copy(arguments);
    return true;
}

bool qmp_nothing(Monitor *monitor, Error **error) { return true; }

bool qmp_shapes(Monitor *monitor, ShapeList *result, Error **error) { return true; }

bool hmp_info_two(Monitor *monitor, const InfoTwoHmpArguments *arguments, StrBuf *output, Error **error)
{
    for (int i = 0; i < 2; i++) {
        for (const char *text = arguments->text; *text; text++) {
            strbuf_append_char(output, arguments->upper ? (char)toupper(*text) : *text);
        }
    }
    return true;
}
