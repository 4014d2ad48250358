/* -readconfig's files: whatever they hold is read or refused, and what is read can be given its types. */
#include "lib/given.h"

#include "base/error.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void convert(const GivenOption *option)
{
    const Type *type = schema_options[option->id].type;
    if (option->values && (type->kind == TYPE_STRUCT || type->kind == TYPE_UNION)) {
        void *value = mem_alloc0(type->size);
        if (given_value(option, value, NULL)) {
            type_clear(type, value);
        }
        free(value);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_ERROR(error);
    GivenOptions given = { 0 };
    if (given_read_text(&given, (const char *)data, size, "input", &error) == (error != NULL)) {
        abort();
    }
    for (size_t i = 0; i < given.list.count; i++) {
        convert(&given.list.items[i]);
    }
    given_free(&given);
    return 0;
}
