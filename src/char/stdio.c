/*
 * The terminal, or whatever standard input and output are. A terminal is raw while the device lives: no echo, a byte
 * at a time, and with signal=off Ctrl-C, Ctrl-\ and Ctrl-Z are bytes like others. It is set again when the process is
 * continued after a stop, for the shell has changed it, and put back when the device closes.
 */
#include "char/char_internal.h"

#include "base/error.h"
#include "base/host/host.h"
#include "schema/char.h"
#include "core/loop.h"

#include <fcntl.h>
#include <signal.h>
#include <termios.h>
#include <unistd.h>

typedef struct StdioChar {
    CharDevice device;
    CharFd channel;
    bool started, terminal, signals;
    int in_flags, out_flags; /* of the descriptors, as they were */
    struct termios saved;
    HostSignals *continued;
    LoopFd *continued_watch;
} StdioChar;

static void stdio_set_raw(StdioChar *stdio)
{
    struct termios raw = stdio->saved;
    raw.c_iflag &= ~(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
    raw.c_oflag |= OPOST;
    raw.c_lflag &= ~(ECHO | ECHONL | ICANON | IEXTEN);
    if (!stdio->signals) {
        raw.c_lflag &= ~ISIG;
    }
    raw.c_cflag &= ~(CSIZE | PARENB);
    raw.c_cflag |= CS8;
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    tcsetattr(STDIN_FILENO, TCSANOW, &raw);
}

static void stdio_continued(void *data, unsigned events)
{
    StdioChar *stdio = data;
    host_signals_next(stdio->continued, NULL);
    stdio_set_raw(stdio);
    fcntl(STDIN_FILENO, F_SETFL, stdio->in_flags | O_NONBLOCK);
    fcntl(STDOUT_FILENO, F_SETFL, stdio->out_flags | O_NONBLOCK);
}

static void stdio_ended(CharDevice *device)
{
    StdioChar *stdio = (StdioChar *)device;
    char_fd_end_input(&stdio->channel);
    char_event(device, CHAR_EVENT_CLOSED);
}

static bool is_stdio(Object *child, void *context)
{
    StdioChar *stdio = (StdioChar *)child;
    return !(object_is(child, &char_stdio_class.class) && stdio->started);
}

static bool stdio_open(CharDevice *device, const ChardevOptions *options, Error **error)
{
    StdioChar *stdio = (StdioChar *)device;
    const ChardevStdio *given = &options->u.stdio;
    if (device->host->no_terminal) {
        return error_set(error, "standard input and output cannot be used with -daemonize");
    }
    if (!object_each_child(device->host->container, is_stdio, NULL)) {
        return error_set(error, "only one character device can use standard input and output");
    }
    stdio->in_flags = fcntl(STDIN_FILENO, F_GETFL);
    stdio->out_flags = fcntl(STDOUT_FILENO, F_GETFL);
    if (stdio->in_flags < 0 && stdio->out_flags < 0) {
        return error_set(error, "standard input and output are closed");
    }
    stdio->started = true;
    stdio->signals = !given->has_signal || given->signal;
    stdio->terminal = tcgetattr(STDIN_FILENO, &stdio->saved) == 0;
    if (stdio->terminal) {
        const int continued[] = { SIGCONT };
        stdio_set_raw(stdio);
        stdio->continued = host_signals_new(continued, 1, error);
        if (!stdio->continued) {
            return false;
        }
        stdio->continued_watch = loop_fd_add(device->host->loop, host_signals_fd(stdio->continued), HOST_POLL_IN,
                                             stdio_continued, stdio);
    }
    stdio->channel.ended = stdio_ended;
    char_fd_start(&stdio->channel, device, stdio->in_flags < 0 ? -1 : STDIN_FILENO,
                  stdio->out_flags < 0 ? -1 : STDOUT_FILENO);
    char_set_opened(device, true);
    return true;
}

static void stdio_close(CharDevice *device)
{
    StdioChar *stdio = (StdioChar *)device;
    if (!stdio->started) {
        return;
    }
    char_fd_stop(&stdio->channel);
    if (stdio->continued_watch) {
        loop_fd_remove(stdio->continued_watch);
    }
    host_signals_free(stdio->continued);
    if (stdio->terminal) {
        tcsetattr(STDIN_FILENO, TCSANOW, &stdio->saved);
    }
    fcntl(STDIN_FILENO, F_SETFL, stdio->in_flags);
    fcntl(STDOUT_FILENO, F_SETFL, stdio->out_flags);
    stdio->started = false;
}

static void stdio_update(CharDevice *device) { char_fd_update(&((StdioChar *)device)->channel); }

static size_t stdio_write(CharDevice *device, const uint8_t *bytes, size_t count)
{
    return char_fd_write(&((StdioChar *)device)->channel, bytes, count);
}

const CharClass char_stdio_class = {
    .class = {
        .name = "chardev-stdio",
        .parent = &char_class.class,
        .description = "standard input and output",
        .size = sizeof(StdioChar),
    },
    .open = stdio_open,
    .close = stdio_close,
    .write = stdio_write,
    .update = stdio_update,
};
