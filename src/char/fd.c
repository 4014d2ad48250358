/* Descriptors under a character device: read when the front-end takes something, written without blocking. */
#include "char/char_internal.h"

#include "base/host/host.h"
#include "core/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { READ_AT_ONCE = 4096 };

static void char_fd_input(CharFd *channel)
{
    uint8_t bytes[READ_AT_ONCE];
    CharDevice *device = channel->device;
    size_t room = MIN(char_can_receive(device), sizeof bytes);
    if (!room) {
        char_fd_update(channel);
        return;
    }
    ssize_t count = channel->read ? channel->read(device, channel->in, bytes, room) : read(channel->in, bytes, room);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (count <= 0) {
        channel->ended(device);
    } else if (channel->received) {
        channel->received(device, bytes, count);
    } else {
        char_receive(device, bytes, count);
    }
}

static void char_fd_ready(void *data, unsigned events)
{
    CharFd *channel = data;
    CharDevice *device = channel->device;
    object_ref(&device->object);
    if (events & (HOST_POLL_OUT | HOST_POLL_ERROR)) {
        char_writable(device);
    }
    if (channel->in >= 0 && (events & (HOST_POLL_IN | HOST_POLL_HANGUP | HOST_POLL_ERROR))) {
        char_fd_input(channel);
    }
    if (!device->closing) {
        char_fd_update(channel);
    }
    object_unref(&device->object);
}

static void set_nonblocking(int fd)
{
    int flags = fd >= 0 ? fcntl(fd, F_GETFL) : -1;
    if (flags >= 0) {
        fcntl(fd, F_SETFL, flags | O_NONBLOCK);
    }
}

void char_fd_start(CharFd *channel, CharDevice *device, int in, int out)
{
    Loop *loop = device->host->loop;
    set_nonblocking(in);
    set_nonblocking(out);
    mutex_lock(&device->lock);
    channel->device = device;
    channel->in = in;
    channel->out = out;
    mutex_unlock(&device->lock);
    channel->in_watch = in >= 0 ? loop_fd_add(loop, in, 0, char_fd_ready, channel) : NULL;
    channel->out_watch = out >= 0 && out != in ? loop_fd_add(loop, out, 0, char_fd_ready, channel) : NULL;
    char_fd_update(channel);
}

void char_fd_update(CharFd *channel)
{
    unsigned output = channel->out >= 0 && char_wants_write(channel->device) ? HOST_POLL_OUT : 0;
    unsigned input = channel->in >= 0 && char_can_receive(channel->device) ? HOST_POLL_IN : 0;
    if (channel->in_watch) {
        loop_fd_set(channel->in_watch, input | (channel->out_watch ? 0 : output));
    }
    if (channel->out_watch) {
        loop_fd_set(channel->out_watch, output);
    }
}

size_t char_fd_write(CharFd *channel, const uint8_t *bytes, size_t count)
{
    size_t done = 0;
    while (channel->out >= 0 && done < count) {
        ssize_t written = write(channel->out, bytes + done, count - done);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written < 0 && errno == EAGAIN) {
            return done;
        }
        if (written < 0) {
            return count; /* nobody will read it: the end is noticed on the input side */
        }
        done += written;
    }
    return count;
}

static void close_above_standard(int fd)
{
    if (fd > STDERR_FILENO) {
        close(fd);
    }
}

void char_fd_end_input(CharFd *channel)
{
    if (channel->in_watch) {
        loop_fd_remove(channel->in_watch);
        channel->in_watch = NULL;
    }
    close_above_standard(channel->in);
    channel->in = -1;
}

void char_fd_release(CharFd *channel)
{
    if (!channel->device) {
        return;
    }
    if (channel->in_watch) {
        loop_fd_remove(channel->in_watch);
    }
    if (channel->out_watch) {
        loop_fd_remove(channel->out_watch);
    }
    channel->in_watch = channel->out_watch = NULL;
    mutex_lock(&channel->device->lock);
    channel->in = channel->out = -1;
    mutex_unlock(&channel->device->lock);
}

void char_fd_stop(CharFd *channel)
{
    int in = channel->in, out = channel->out;
    if (!channel->device) {
        return;
    }
    char_fd_release(channel);
    close_above_standard(in);
    if (out != in) {
        close_above_standard(out);
    }
}
