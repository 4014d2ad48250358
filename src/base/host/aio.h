/*
 * Reading and writing files without waiting. A HostAio belongs to one thread. What is given to it is sent to the host
 * with host_aio_send, and comes back through host_aio_reap when the descriptor can be read.
 */
#pragma once

#include "base/compiler.h"
#include "base/list.h"

#include <sys/uio.h>

typedef struct Error Error;
typedef struct HostAio HostAio;

typedef enum HostAioKind {
    HOST_AIO_NATIVE, /* the host's older interface: only of use for files opened past the cache */
    HOST_AIO_RING,   /* io_uring */
} HostAioKind;

typedef enum HostAioOperation { HOST_AIO_READ, HOST_AIO_WRITE, HOST_AIO_SYNC } HostAioOperation;

/* The caller's, with its vectors, until `done`. `result`: bytes, or a negated errno value. */
typedef struct HostAioRequest HostAioRequest;
struct HostAioRequest {
    HostAioOperation operation;
    int fd;
    uint64_t offset;
    const struct iovec *vectors;
    unsigned vector_count;
    bool stable; /* a write is on stable storage when it is done */
    bool cached; /* the file is read and written through the host's cache */
    void (*done)(HostAioRequest *request, int64_t result); /* in host_aio_send or host_aio_reap */
    ListNode node; /* HostAio's own */
    void *slot;
};

/* NULL where the host does not have it; at most `depth` requests are with the host at once, the rest wait here. */
HostAio *host_aio_new(HostAioKind kind, unsigned depth, Error **error);
void host_aio_free(HostAio *aio); /* with nothing under way; NULL is fine */
int host_aio_fd(const HostAio *aio);

/* Of a thread that has nothing better to do than to copy writes into the host's cache itself, which is quicker than to
 * have another thread do it; as long as none of them has to wait. */
typedef struct HostEager {
    uint64_t most;         /* bytes of a write; 0: none is done here */
    int64_t patient_until; /* of host_monotonic_ns: a write had to wait, and none is done here */
} HostEager;
/* The write's result; false where it is for another thread. */
bool host_write_eagerly(HostEager *eager, const HostAioRequest *request, int64_t *result);
/* The thread is such a one: some at a time are done in host_aio_send; so is a lone read of what is in that cache. */
void host_aio_set_eager(HostAio *aio, HostEager *eager);
void host_aio_add(HostAio *aio, HostAioRequest *request);
void host_aio_send(HostAio *aio);
/* Something has ended, as can be seen without asking the host. */
bool host_aio_has_ended(const HostAio *aio);
/* Calls `done` of what has ended, and sends what waited for room. */
void host_aio_reap(HostAio *aio);
