/* Output to a file, and input from another where `input-path` names one. */
#include "char/char_internal.h"

#include "base/files.h"
#include "schema/char.h"

#include <fcntl.h>

typedef struct FileChar {
    CharDevice device;
    CharFd channel;
} FileChar;

static void file_ended(CharDevice *device)
{
    char_fd_end_input(&((FileChar *)device)->channel);
    char_event(device, CHAR_EVENT_CLOSED);
}

static bool file_open(CharDevice *device, const ChardevOptions *options, Error **error)
{
    FileChar *file = (FileChar *)device;
    const ChardevFile *given = &options->u.file;
    int flags = O_WRONLY | O_CREAT | (given->has_append && given->append ? O_APPEND : O_TRUNC);
    int out = files_open(device->host->files, given->path, flags, 0666, error);
    if (out < 0) {
        return false;
    }
    int in = -1;
    if (given->input_path) {
        in = files_open(device->host->files, given->input_path, O_RDONLY, 0, error);
    }
    file->channel.ended = file_ended;
    char_fd_start(&file->channel, device, in, out);
    if (given->input_path && in < 0) {
        return false;
    }
    char_set_opened(device, true);
    return true;
}

static void file_close(CharDevice *device) { char_fd_stop(&((FileChar *)device)->channel); }
static void file_update(CharDevice *device) { char_fd_update(&((FileChar *)device)->channel); }

static size_t file_write(CharDevice *device, const uint8_t *bytes, size_t count)
{
    return char_fd_write(&((FileChar *)device)->channel, bytes, count);
}

const CharClass char_file_class = {
    .class = {
        .name = "chardev-file",
        .parent = &char_class.class,
        .description = "writes to a file",
        .size = sizeof(FileChar),
    },
    .open = file_open,
    .close = file_close,
    .write = file_write,
    .update = file_update,
};
