/* Sockets, plain or by TLS: see stream.h. */
#include "channel/stream.h"

#include "base/host/host.h"
#include "base/vec.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

enum { RECORD_SIZE = 16 << 10 }; /* the largest that TLS has */

void stream_init(Stream *stream, int fd) { *stream = (Stream){ .fd = fd }; }

void stream_free(Stream *stream)
{
    if (stream->tls) {
        tls_session_bye(stream->tls); /* where that would wait, the end of the socket has to do */
    }
    tls_session_free(stream->tls);
    close(stream->fd);
    free(stream->record);
    *stream = (Stream){ .fd = -1 };
}

ssize_t stream_read(Stream *stream, const struct iovec *pieces, unsigned count)
{
    if (stream->tls) {
        return tls_session_read(stream->tls, pieces->iov_base, pieces->iov_len);
    }
    struct msghdr message = { .msg_iov = (struct iovec *)(uintptr_t)pieces, .msg_iovlen = count };
    return recvmsg(stream->fd, &message, MSG_DONTWAIT);
}

/* Small pieces and the first part of large ones become one record. */
static void fill_record(Stream *stream, const struct iovec *pieces, unsigned count)
{
    if (!stream->record) {
        stream->record = mem_alloc(RECORD_SIZE);
    }
    for (unsigned i = 0; i < count && stream->pending < RECORD_SIZE; i++) {
        size_t length = MIN(pieces[i].iov_len, RECORD_SIZE - stream->pending);
        memcpy(stream->record + stream->pending, pieces[i].iov_base, length);
        stream->pending += length;
    }
}

static ssize_t write_record(Stream *stream, const struct iovec *pieces, unsigned count)
{
    if (!stream->pending) {
        fill_record(stream, pieces, count);
    }
    ssize_t sent = stream->pending ? tls_session_write(stream->tls, stream->record, stream->pending) : 0;
    if (sent >= 0) {
        stream->pending = 0;
    }
    return sent;
}

ssize_t stream_write(Stream *stream, const struct iovec *pieces, unsigned count)
{
    if (stream->tls) {
        return write_record(stream, pieces, count);
    }
    struct msghdr message = { .msg_iov = (struct iovec *)(uintptr_t)pieces, .msg_iovlen = count };
    return sendmsg(stream->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

unsigned stream_read_waits_for(const Stream *stream)
{
    return stream->tls ? tls_session_waits_for(stream->tls) : HOST_POLL_IN;
}

unsigned stream_write_waits_for(const Stream *stream)
{
    return stream->tls ? tls_session_waits_for(stream->tls) : HOST_POLL_OUT;
}

TlsProgress stream_start_tls(Stream *stream, const TlsOptions *options, Error **error)
{
    if (!stream->tls) {
        stream->tls = tls_session_new(options, stream->fd, error);
    }
    return stream->tls ? tls_session_handshake(stream->tls, error) : TLS_FAILED;
}
