/*
 * A pseudo-terminal of the host; `path` asks for a symbolic link to it. While no program has it open output is lost,
 * as on an unplugged cable; the host gives no event for opening, so that is looked for four times a second.
 */
#include "char/char_internal.h"

#include "base/error.h"
#include "base/host/host.h"
#include "schema/char.h"
#include "core/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

enum { LOOK_EVERY_NS = 250000000 };

typedef struct PtyChar {
    CharDevice device;
    CharFd channel;
    int master;
    char *name;
    char *link;
    LoopTimer look;
    bool started;
} PtyChar;

static void pty_look(void *data)
{
    PtyChar *pty = data;
    struct pollfd master = { .fd = pty->master, .events = POLLOUT };
    if (poll(&master, 1, 0) >= 0 && !(master.revents & POLLHUP)) {
        char_fd_start(&pty->channel, &pty->device, pty->master, pty->master);
        char_set_opened(&pty->device, true);
    } else {
        loop_timer_set(&pty->look, host_monotonic_ns() + LOOK_EVERY_NS);
    }
}

/* Whoever had it open closed it. */
static void pty_ended(CharDevice *device)
{
    PtyChar *pty = (PtyChar *)device;
    char_fd_release(&pty->channel);
    char_set_opened(device, false);
    loop_timer_set(&pty->look, host_monotonic_ns() + LOOK_EVERY_NS);
}

static bool pty_set_raw(const char *name, Error **error)
{
    struct termios settings;
    int slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (slave < 0) {
        return error_set_errno(error, errno, "cannot open '%s'", name);
    }
    tcgetattr(slave, &settings);
    cfmakeraw(&settings);
    tcsetattr(slave, TCSAFLUSH, &settings);
    close(slave);
    return true;
}

static bool pty_make(PtyChar *pty, Error **error)
{
    char name[128];
    pty->master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (pty->master < 0 || grantpt(pty->master) || unlockpt(pty->master) ||
        ptsname_r(pty->master, name, sizeof name)) {
        return error_set_errno(error, errno, "cannot make a pseudo-terminal");
    }
    pty->name = string_copy(name);
    return pty_set_raw(name, error);
}

static bool pty_open(CharDevice *device, const ChardevOptions *options, Error **error)
{
    PtyChar *pty = (PtyChar *)device;
    const char *link = options->u.pty.path;
    pty->started = true;
    pty->channel.ended = pty_ended;
    loop_timer_init(&pty->look, device->host->loop, pty_look, pty);
    if (!pty_make(pty, error)) {
        return false;
    }
    if (link) {
        if (symlink(pty->name, link)) {
            return error_set_errno(error, errno, "cannot make the link '%s'", link);
        }
        pty->link = string_copy(link);
    }
    char_message(device, NULL, "char device redirected to %s (label %s)", pty->name, char_id(device));
    loop_timer_set(&pty->look, host_monotonic_ns() + LOOK_EVERY_NS);
    return true;
}

static void pty_close(CharDevice *device)
{
    PtyChar *pty = (PtyChar *)device;
    if (!pty->started) {
        return;
    }
    loop_timer_cancel(&pty->look);
    char_fd_release(&pty->channel);
    if (pty->master >= 0) {
        close(pty->master);
    }
    if (pty->link) {
        unlink(pty->link);
    }
    free(pty->name);
    free(pty->link);
    pty->started = false;
}

static void pty_update(CharDevice *device)
{
    PtyChar *pty = (PtyChar *)device;
    if (device->opened) {
        char_fd_update(&pty->channel);
    } else if (char_wants_write(device)) {
        char_writable(device);
    }
}

static size_t pty_write(CharDevice *device, const uint8_t *bytes, size_t count)
{
    return char_fd_write(&((PtyChar *)device)->channel, bytes, count);
}

static char *pty_filename(const CharDevice *device) { return string_format("pty:%s", ((const PtyChar *)device)->name); }

static void pty_init(Object *object)
{
    PtyChar *pty = (PtyChar *)object;
    pty->master = pty->channel.in = pty->channel.out = -1;
}

const CharClass char_pty_class = {
    .class = {
        .name = "chardev-pty",
        .parent = &char_class.class,
        .description = "a pseudo-terminal",
        .size = sizeof(PtyChar),
        .init = pty_init,
    },
    .open = pty_open,
    .close = pty_close,
    .write = pty_write,
    .update = pty_update,
    .filename = pty_filename,
};
