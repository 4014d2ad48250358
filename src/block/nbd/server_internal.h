/* What the server's files share. */
#pragma once

#include "base/list.h"
#include "base/strbuf.h"
#include "block/nbd/channel.h"
#include "block/nbd/protocol.h"
#include "block/nbd/server.h"

/* Metadata contexts: their numbers are those that clients get. Bitmaps follow. */
typedef enum NbdContext { NBD_BASE_ALLOCATION, NBD_ALLOCATION_DEPTH, NBD_FIRST_BITMAP } NbdContext;

struct NbdExport {
    ListNode in_server;
    NbdServer *server;
    NbdExportOptions options; /* with copies */
    BlockBitmap **bitmaps;
    unsigned client_count; /* that have chosen it */
};

struct NbdServer {
    NbdServerOptions options;
    BlockRuntime *runtime;
    BlockLoop *loop;
    ListNode clients, exports;
    unsigned client_count;
};

/* Memory of requests that have ended, for those that come. */
enum { NBD_SPARE_BUFFERS = 32, NBD_SPARE_BYTES = 16 << 20 };
typedef struct NbdSpare {
    void *bytes;
    size_t size;
} NbdSpare;

typedef struct NbdWork NbdWork;

typedef struct NbdClient {
    ListNode in_server;
    NbdServer *server;
    NbdChannel channel;
    bool no_zeroes, has_tls;
    bool elsewhere; /* another loop than the server's serves it: but for cutting it, nothing of it is touched here */
    BlockCall move; /* there, and back */
    NbdMode mode;
    NbdExport *export;            /* NULL: none is chosen yet */
    uint64_t contexts;            /* BIT64(NbdContext) */
    const NbdExport *contexts_of; /* for which they were chosen */
    /* Transmission. */
    unsigned requests;  /* under way, until their replies are sent; */
    uint64_t bytes;     /* the memory that they have */
    BlockTask *waiting; /* the task that reads, for one of them to end */
    NbdWork *replies, **replies_end; /* that are to be sent, when the loop's round ends */
    bool sending, send_called;
    BlockCall send_call;
    NbdSpare spares[NBD_SPARE_BUFFERS];
    unsigned spare_count;
    size_t spare_bytes;
} NbdClient;

/* In a task: until the client has chosen an export. False where it went, or was wrong. */
bool nbd_handshake(NbdClient *client);
/* What a client that has chosen it is told. */
uint16_t nbd_export_flags(const NbdClient *client, const NbdExport *export);

/* A request. */
struct NbdWork {
    NbdClient *client;
    NbdWork *next; /* among the replies */
    NbdRequest request;
    int error;
    uint64_t contexts; /* that block status is asked of */
    uint8_t *bytes; /* its payload, or that of its reply */
    size_t memory;  /* that they take */
    bool sends_bytes;
    struct iovec piece;
    BlockRequest block;
    uint8_t head[NBD_LONGEST_HEADER + 8]; /* of the reply, */
    size_t head_length;
    StrBuf chunks; /* or all of it */
};

/* Begins it; its end is by nbd_client_reply. */
void nbd_work_start(NbdWork *work);
/* The reply is made: it is sent, and the work freed, at the end of the loop's round. */
void nbd_client_reply(NbdWork *work);
/* The reply to a question for block status; an errno value, where there is none yet. */
int nbd_block_status(NbdWork *work);
