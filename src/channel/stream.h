/* A connected socket that does not block, plain or by TLS. It knows nothing of loops: what cannot go on says for what
 * it waits. */
#pragma once

#include "crypto/tls.h"

#include <sys/uio.h>

typedef struct Stream {
    int fd;
    TlsSession *tls; /* NULL: plain */
    uint8_t *record; /* TLS: what is being sent, */
    size_t pending;  /* so much of it */
} Stream;

void stream_init(Stream *stream, int fd); /* takes it */
void stream_free(Stream *stream);         /* tells a peer by TLS, and closes */

/* As recvmsg: 0 at the end; -1 with errno, EAGAIN where it waits. By TLS no more than the first piece is filled. */
ssize_t stream_read(Stream *stream, const struct iovec *pieces, unsigned count);
/* As sendmsg, likewise; after EAGAIN the next write is of the same bytes. */
ssize_t stream_write(Stream *stream, const struct iovec *pieces, unsigned count);
/* HOST_POLL_IN or _OUT, after EAGAIN. */
unsigned stream_read_waits_for(const Stream *stream);
unsigned stream_write_waits_for(const Stream *stream);

/* From now on by TLS: to be called until it is done or has failed; nothing is read or written meanwhile. The stream
 * keeps nothing of the options but what the session does. */
TlsProgress stream_start_tls(Stream *stream, const TlsOptions *options, Error **error);
