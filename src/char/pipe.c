/* A pair of FIFOs, PATH.in and PATH.out, or one file PATH that is both. */
#include "char/char_internal.h"

#include "base/error.h"
#include "base/files.h"
#include "schema/char.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

typedef struct PipeChar {
    CharDevice device;
    CharFd channel;
} PipeChar;

/* FIFOs are opened for both directions, so that opening does not wait for a peer and there is never an end. */
static int pipe_open_side(CharDevice *device, const char *path, const char *suffix, Error **error)
{
    AUTO_FREE char *name = string_format("%s%s", path, suffix);
    return files_open(device->host->files, name, O_RDWR, 0, error);
}

static void pipe_ended(CharDevice *device)
{
    char_fd_stop(&((PipeChar *)device)->channel);
    char_set_opened(device, false);
}

static bool pipe_open(CharDevice *device, const ChardevOptions *options, Error **error)
{
    PipeChar *pair = (PipeChar *)device;
    const char *path = options->u.pipe.path;
    int in = pipe_open_side(device, path, ".in", NULL);
    int out = pipe_open_side(device, path, ".out", NULL);
    if (in < 0 || out < 0) {
        if (in >= 0 || out >= 0) {
            close(MAX(in, out));
        }
        in = out = pipe_open_side(device, path, "", error);
        if (in < 0) {
            return error_prepend(error, "neither both of '%s.in' and '%s.out' nor '%s' can be opened: ", path, path,
                                 path);
        }
    }
    pair->channel.ended = pipe_ended;
    char_fd_start(&pair->channel, device, in, out);
    char_set_opened(device, true);
    return true;
}

static void pipe_close(CharDevice *device) { char_fd_stop(&((PipeChar *)device)->channel); }
static void pipe_update(CharDevice *device) { char_fd_update(&((PipeChar *)device)->channel); }

static size_t pipe_write(CharDevice *device, const uint8_t *bytes, size_t count)
{
    return char_fd_write(&((PipeChar *)device)->channel, bytes, count);
}

const CharClass char_pipe_class = {
    .class = {
        .name = "chardev-pipe",
        .parent = &char_class.class,
        .description = "reads from PATH.in and writes to PATH.out",
        .size = sizeof(PipeChar),
    },
    .open = pipe_open,
    .close = pipe_close,
    .write = pipe_write,
    .update = pipe_update,
};
