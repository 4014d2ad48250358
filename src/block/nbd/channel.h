/* A socket for tasks of one loop, which sleep while it has or takes nothing: one reads, one writes at a time. */
#pragma once

#include "block/request.h"
#include "channel/stream.h"

typedef struct NbdChannel {
    Stream stream;
    BlockRuntime *runtime;
    BlockLoop *loop;
    BlockWatch *watch;
    BlockTimer timer;
    BlockTask *reader, *writer; /* that sleep, */
    unsigned reader_waits, writer_waits, watched; /* for this */
    bool broken;                /* by us: nothing more is read or written */
    uint8_t *buffer;            /* what came and was not asked for yet */
    size_t start, end, wanted; /* `wanted`: by the reader */
    bool drained; /* the socket has no more for now */
} NbdChannel;

/* Takes the descriptor, a connected stream socket, for the calling thread's loop. False where it cannot be watched. */
bool nbd_channel_init(NbdChannel *channel, BlockRuntime *runtime, int fd);
void nbd_channel_free(NbdChannel *channel); /* no task sleeps in it */
/* From one loop to another, of the same runtime: detached on the one's thread, where no task sleeps in it, and attached
 * on the other's. What is not attached may be freed by any of them. */
void nbd_channel_detach(NbdChannel *channel);
bool nbd_channel_attach(NbdChannel *channel); /* false where it cannot be watched */
/* From `deadline` on (of host_monotonic_ns; INT64_MAX: never) the channel is broken. */
void nbd_channel_set_deadline(NbdChannel *channel, int64_t deadline);
void nbd_channel_break(NbdChannel *channel); /* whoever sleeps in it is woken */
void nbd_channel_cut(const NbdChannel *channel); /* any thread: as if the peer had gone */
/* In a task. False where the peer has gone or the channel is broken. */
bool nbd_channel_read(NbdChannel *channel, void *bytes, size_t count);
bool nbd_channel_skip(NbdChannel *channel, uint64_t count);
/* All of the pieces, which are changed. */
bool nbd_channel_write(NbdChannel *channel, struct iovec *pieces, unsigned count);
/* In a task: until the socket takes data, as one does that has been connected. */
bool nbd_channel_wait_writable(NbdChannel *channel);
/* In a task that alone uses it: from now on by TLS. */
bool nbd_channel_start_tls(NbdChannel *channel, const TlsOptions *options, Error **error);
