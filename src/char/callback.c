/* A character device whose other end is a function of the program: for machines in a library. */
#include "char/char_internal.h"

#include "base/error.h"

#include <stdlib.h>
#include <string.h>

enum { INPUT_LIMIT = 1 << 20 };

typedef struct CallbackChar {
    CharDevice device;
    void (*output)(void *data, const uint8_t *bytes, size_t count);
    void *data;
    VEC(uint8_t) input; /* what the front-end has not taken yet */
} CallbackChar;

static bool callback_open(CharDevice *device, const ChardevOptions *options, Error **error)
{
    char_set_opened(device, true);
    return true;
}

static void callback_close(CharDevice *device)
{
    CallbackChar *callback = (CallbackChar *)device;
    mutex_lock(&device->lock);
    callback->output = NULL;
    mutex_unlock(&device->lock);
    vec_free(&callback->input);
}

static size_t callback_write(CharDevice *device, const uint8_t *bytes, size_t count)
{
    CallbackChar *callback = (CallbackChar *)device;
    if (callback->output) {
        callback->output(callback->data, bytes, count);
    }
    return count;
}

static void callback_update(CharDevice *device)
{
    CallbackChar *callback = (CallbackChar *)device;
    if (char_wants_write(device)) {
        char_writable(device);
    }
    size_t count = MIN(char_can_receive(device), callback->input.count);
    if (count) {
        AUTO_FREE uint8_t *bytes = mem_copy(callback->input.items, count);
        callback->input.count -= count;
        memmove(callback->input.items, callback->input.items + count, callback->input.count);
        char_receive(device, bytes, count);
    }
}

const CharClass char_callback_class = {
    .class = {
        .name = "chardev-callback",
        .parent = &char_class.class,
        .description = "a function of the program",
        .size = sizeof(CallbackChar),
    },
    .open = callback_open,
    .close = callback_close,
    .write = callback_write,
    .update = callback_update,
};

bool char_is_callback(const CharDevice *device) { return object_is(&device->object, &char_callback_class.class); }

CharDevice *char_new_callback(CharHost *host, const char *id,
                              void (*output)(void *data, const uint8_t *bytes, size_t count), void *data,
                              Error **error)
{
    CharDevice *device = char_make(host, id, &char_callback_class, NULL, error);
    if (device) {
        ((CallbackChar *)device)->output = output;
        ((CallbackChar *)device)->data = data;
    }
    return device;
}

size_t char_callback_input(CharDevice *device, const uint8_t *bytes, size_t count)
{
    CallbackChar *callback = (CallbackChar *)device;
    size_t taken = MIN(count, INPUT_LIMIT - callback->input.count);
    for (size_t i = 0; i < taken; i++) {
        vec_push(&callback->input, bytes[i]);
    }
    callback_update(device);
    return taken;
}
