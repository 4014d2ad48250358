/* Sockets for tasks: see channel.h. */
#include "block/nbd/channel.h"

#include "base/error.h"
#include "base/host/host.h"
#include "base/vec.h"

#include <errno.h>
#include <sys/socket.h>

enum { BUFFER_SIZE = 64 << 10, LITTLE = 4 << 10 };

/* What was waited for stays watched, as it will be again: until it comes and nobody waits. */
static void watch(NbdChannel *channel, unsigned events)
{
    if (channel->watched != events) {
        channel->watched = events;
        block_watch_set(channel->watch, events);
    }
}

static void wake(BlockTask *writer, BlockTask *reader)
{
    if (writer) {
        block_task_wake(writer);
    }
    if (reader) {
        block_task_wake(reader);
    }
}

/* A woken task may end and take the channel along: nothing is looked at after the last. */
static void ready(void *data, unsigned events)
{
    NbdChannel *channel = data;
    bool gone = events & (HOST_POLL_ERROR | HOST_POLL_HANGUP);
    BlockTask *reader = events & channel->reader_waits || gone ? channel->reader : NULL;
    BlockTask *writer = events & channel->writer_waits || gone ? channel->writer : NULL;
    channel->reader = reader ? NULL : channel->reader;
    channel->writer = writer ? NULL : channel->writer;
    if (!reader && !writer) {
        watch(channel, (channel->reader ? channel->reader_waits : 0) | (channel->writer ? channel->writer_waits : 0));
    }
    wake(writer, reader);
}

static void time_is_up(void *data) { nbd_channel_break(data); }

/* What comes while the loop looks goes into the buffer; an end, errors and much at once are left to the reader. */
static bool look(void *data)
{
    NbdChannel *channel = data;
    bool waits = channel->reader && channel->wanted <= LITTLE && !channel->stream.tls && !channel->broken;
    if (!waits || channel->start < channel->end) {
        return false;
    }
    ssize_t came = recv(channel->stream.fd, channel->buffer, BUFFER_SIZE, MSG_DONTWAIT);
    if (came <= 0) {
        return false;
    }
    channel->start = 0;
    channel->end = (size_t)came;
    channel->drained = came < BUFFER_SIZE;
    return true;
}

bool nbd_channel_attach(NbdChannel *channel)
{
    channel->loop = block_loop_self(channel->runtime);
    block_timer_init(&channel->timer, channel->loop, time_is_up, channel);
    channel->watched = 0;
    channel->watch = block_watch_add(channel->loop, channel->stream.fd, 0, ready, channel);
    if (channel->watch) {
        block_watch_set_look(channel->watch, look);
    }
    return channel->watch != NULL;
}

void nbd_channel_detach(NbdChannel *channel)
{
    block_timer_cancel(&channel->timer);
    block_watch_remove(channel->watch);
    channel->watch = NULL;
}

bool nbd_channel_init(NbdChannel *channel, BlockRuntime *runtime, int fd)
{
    *channel = (NbdChannel){ .runtime = runtime, .buffer = mem_alloc(BUFFER_SIZE) };
    stream_init(&channel->stream, fd);
    bool ok = nbd_channel_attach(channel);
    if (!ok) {
        nbd_channel_free(channel);
    }
    return ok;
}

void nbd_channel_free(NbdChannel *channel)
{
    if (channel->watch) {
        nbd_channel_detach(channel);
    }
    stream_free(&channel->stream);
    free(channel->buffer);
}

void nbd_channel_set_deadline(NbdChannel *channel, int64_t deadline) { block_timer_set(&channel->timer, deadline); }

void nbd_channel_cut(const NbdChannel *channel) { shutdown(channel->stream.fd, SHUT_RDWR); }

void nbd_channel_break(NbdChannel *channel)
{
    if (!channel->broken) {
        BlockTask *writer = channel->writer, *reader = channel->reader;
        channel->broken = true;
        channel->writer = channel->reader = NULL;
        nbd_channel_cut(channel);
        watch(channel, 0);
        wake(writer, reader);
    }
}

static bool sleep_as_reader(NbdChannel *channel, BlockTask *self, unsigned events)
{
    channel->reader = self;
    channel->reader_waits = events;
    watch(channel, channel->watched | events);
    block_task_sleep(self);
    return !channel->broken;
}

static bool sleep_as_writer(NbdChannel *channel, BlockTask *self, unsigned events)
{
    channel->writer = self;
    channel->writer_waits = events;
    watch(channel, channel->watched | events);
    block_task_sleep(self);
    return !channel->broken;
}

/* From the buffer. */
static size_t take(NbdChannel *channel, void *bytes, size_t count)
{
    size_t have = MIN(channel->end - channel->start, count);
    memcpy(bytes, channel->buffer + channel->start, have);
    channel->start += have;
    return have;
}

static bool would_wait(const NbdChannel *channel)
{
    return !channel->broken && (errno == EAGAIN || errno == EWOULDBLOCK);
}

bool nbd_channel_wait_writable(NbdChannel *channel)
{
    return !channel->broken && sleep_as_writer(channel, block_task_self(channel->runtime), HOST_POLL_OUT);
}

bool nbd_channel_start_tls(NbdChannel *channel, const TlsOptions *options, Error **error)
{
    BlockTask *self = block_task_self(channel->runtime);
    if (channel->start != channel->end) {
        return error_set(error, "The peer sends before TLS has begun");
    }
    TlsProgress progress;
    do {
        progress = stream_start_tls(&channel->stream, options, error);
    } while (progress == TLS_WAITS && !channel->broken &&
             sleep_as_reader(channel, self, stream_read_waits_for(&channel->stream)));
    return progress == TLS_DONE || (progress == TLS_WAITS && error_set(error, "The peer has gone before TLS began"));
}

/* A plain socket that gave less than there was room for has no more: that is not asked for in vain. */
static ssize_t try_to_read(NbdChannel *channel, const struct iovec *pieces, unsigned count)
{
    if (channel->drained) {
        channel->drained = false;
        errno = EAGAIN;
        return -1;
    }
    ssize_t result = stream_read(&channel->stream, pieces, count);
    size_t room = 0;
    for (unsigned i = 0; i < count; i++) {
        room += pieces[i].iov_len;
    }
    channel->drained = !channel->stream.tls && result > 0 && (size_t)result < room;
    return result;
}

/* What is asked for, and into the empty buffer what comes behind it: at least one byte. 0: the peer has gone. By TLS,
 * which fills one piece, a little goes through the buffer. */
static size_t receive(NbdChannel *channel, void *bytes, size_t count, BlockTask *self)
{
    struct iovec pieces[] = { { bytes, count }, { channel->buffer, BUFFER_SIZE } };
    unsigned first = channel->stream.tls && count < BUFFER_SIZE;
    ssize_t result;
    bool again;
    do {
        channel->wanted = count;
        if (channel->start < channel->end) { /* `look` brought it */
            return take(channel, bytes, count);
        }
        result = channel->broken ? 0 : try_to_read(channel, pieces + first, ARRAY_SIZE(pieces) - first);
        again = result < 0 && (errno == EINTR || would_wait(channel));
    } while (again &&
             (errno == EINTR || sleep_as_reader(channel, self, stream_read_waits_for(&channel->stream))));
    size_t came = result < 0 ? 0 : (size_t)result, direct = first ? 0 : MIN(came, count);
    channel->start = 0;
    channel->end = came - direct;
    return direct ? direct : take(channel, bytes, count);
}

bool nbd_channel_read(NbdChannel *channel, void *bytes, size_t count)
{
    BlockTask *self = block_task_self(channel->runtime);
    for (uint8_t *to = bytes; count > 0;) {
        size_t have = channel->start < channel->end ? take(channel, to, count) : receive(channel, to, count, self);
        if (have == 0) {
            return false;
        }
        to += have;
        count -= have;
    }
    return true;
}

bool nbd_channel_skip(NbdChannel *channel, uint64_t count)
{
    uint8_t bytes[4096];
    bool ok = true;
    while (ok && count > 0) {
        size_t piece = MIN(count, sizeof bytes);
        ok = nbd_channel_read(channel, bytes, piece);
        count -= piece;
    }
    return ok;
}

/* Leaves out what was sent. */
static void advance(struct iovec **pieces, unsigned *count, size_t sent)
{
    while (*count > 0 && sent >= (*pieces)->iov_len) {
        sent -= (*pieces)->iov_len;
        ++*pieces;
        --*count;
    }
    if (*count > 0) {
        (*pieces)->iov_base = (char *)(*pieces)->iov_base + sent;
        (*pieces)->iov_len -= sent;
    }
}

bool nbd_channel_write(NbdChannel *channel, struct iovec *pieces, unsigned count)
{
    BlockTask *self = block_task_self(channel->runtime);
    while (count > 0) {
        ssize_t sent = channel->broken ? -1 : stream_write(&channel->stream, pieces, count);
        if (channel->broken ||
            (sent < 0 && errno != EINTR &&
             !(would_wait(channel) && sleep_as_writer(channel, self, stream_write_waits_for(&channel->stream))))) {
            return false;
        }
        advance(&pieces, &count, sent < 0 ? 0 : (size_t)sent);
    }
    return true;
}
