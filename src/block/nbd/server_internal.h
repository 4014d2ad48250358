/* What the server's files share. */
#pragma once

#include "base/list.h"
#include "block/nbd/channel.h"
#include "block/nbd/protocol.h"
#include "block/nbd/server.h"

/* Metadata contexts; their numbers are those that clients get. */
typedef enum NbdContext { NBD_BASE_ALLOCATION, NBD_ALLOCATION_DEPTH, NBD_CONTEXT_COUNT } NbdContext;

struct NbdServer {
    NbdServerOptions options;
    BlockRuntime *runtime;
    ListNode clients;
    unsigned client_count;
};

typedef struct NbdClient {
    ListNode in_server;
    NbdServer *server;
    NbdChannel channel;
    bool no_zeroes;
    NbdMode mode;
    const NbdExport *export;      /* NULL: none is chosen yet */
    unsigned contexts;            /* BIT(NbdContext) */
    const NbdExport *contexts_of; /* for which they were chosen */
    /* Transmission. */
    TaskLock send_lock;
    unsigned requests; /* under way, */
    uint64_t bytes;    /* and the memory that they have */
    BlockTask *waiting; /* the task that reads, for one of them to end */
} NbdClient;

/* In a task: until the client has chosen an export. False where it went, or was wrong. */
bool nbd_handshake(NbdClient *client);
/* What a client that has chosen it is told. */
uint16_t nbd_export_flags(const NbdClient *client, const NbdExport *export);
