/* The character device that takes everything and says nothing. */
#include "char/char_internal.h"

static bool null_open(CharDevice *device, const ChardevOptions *options, Error **error)
{
    char_set_opened(device, true);
    return true;
}

static size_t null_write(CharDevice *device, const uint8_t *bytes, size_t count) { return count; }

static void null_update(CharDevice *device)
{
    if (char_wants_write(device)) {
        char_writable(device);
    }
}

const CharClass char_null_class = {
    .class = {
        .name = "chardev-null",
        .parent = &char_class.class,
        .description = "discards output, has no input",
        .size = sizeof(CharDevice),
    },
    .open = null_open,
    .write = null_write,
    .update = null_update,
};

/* A text console of a window. There are no windows yet: as where none is open, what is printed there is not seen. */
const CharClass char_vc_class = {
    .class = {
        .name = "chardev-vc",
        .parent = &char_class.class,
        .description = "a text console in a window",
        .size = sizeof(CharDevice),
    },
    .open = null_open,
    .write = null_write,
    .update = null_update,
};
