/* What the client's files share: names, the handshake, connections. */
#pragma once

#include "base/vec.h"
#include "block/driver.h"
#include "block/nbd/channel.h"
#include "block/nbd/protocol.h"

typedef struct Json Json;
typedef struct SocketAddress SocketAddress;

#define NBD_PORT_TEXT "10809"

/* Names */
extern const char *const nbd_schemes[];
/* Adds "server" and "export" to the options of a node. */
bool nbd_parse_name(const BlockDriver *driver, const char *name, Json *options, Error **error);
/* As QEMU's tools show it; "" where there is no such name. The caller's. */
char *nbd_format_name(const SocketAddress *address, const char *export, bool tls);

/* The handshake */

typedef struct NbdWanted {
    const char *export;
    const char *context; /* that block status is asked of */
    TlsCredentials *tls; /* NULL: without */
    const char *hostname; /* what the server's certificate has to be for; NULL: anything */
} NbdWanted;

/* What a server agreed to. */
typedef struct NbdSession {
    NbdMode mode;
    uint64_t size;
    uint16_t flags; /* NbdExportFlags */
    uint32_t minimum_block, preferred_block, maximum_block; /* of requests with a payload; 0: it did not say */
    bool has_context;
    uint32_t context;
} NbdSession;

/* An export, as a server describes it. */
typedef struct NbdListed {
    char *name, *description;
    NbdSession session;
    VEC(char *) contexts;
} NbdListed;
typedef VEC(NbdListed) NbdListing;
void nbd_listing_clear(NbdListing *listing);
/* In a task: all exports of a server, which is left then. */
bool nbd_client_list(NbdChannel *channel, const NbdWanted *wanted, NbdListing *listing, Error **error);

/* In a task. False where there was no agreement. */
bool nbd_client_handshake(NbdChannel *channel, const NbdWanted *wanted, NbdSession *session, Error **error);

/* Connections */

enum { NBD_LINKS = 16, NBD_LINK_COMMANDS = 64 };

typedef struct NbdPart {
    uint64_t start, end;
} NbdPart;

/* A request on its way. */
typedef struct NbdCommandState {
    NbdRequest request;
    BlockVectors vectors; /* of what is read or written */
    int error;
    /* The answer of block status. */
    uint64_t status_length;
    uint32_t status_flags;
    /* The link's. */
    BlockTask *task; /* that sleeps until it is done */
    bool done, lost;
    unsigned chunks;
    uint64_t covered; /* so much has come, */
    VEC(NbdPart) parts;   /* and this, in order, behind it */
    int64_t give_up_at; /* 0: it was not lost yet */
} NbdCommandState;

typedef struct NbdRemote NbdRemote;
typedef struct NbdLink {
    NbdRemote *remote;
    NbdChannel channel;
    NbdSession session;
    bool has_channel, up;
    TaskLock send_lock;
    NbdCommandState *commands[NBD_LINK_COMMANDS];
    unsigned under_way;
    uint64_t next_cookie;
    BlockTask *leaving; /* the link's own task, which waits for the commands to go */
    BlockTask *pausing; /* or for a while */
    BlockTimer timer;
} NbdLink;

typedef struct NbdWaiter NbdWaiter;

/* A server's export. All but nbd_remote_perform is for the main loop's thread, where the connections live. */
struct NbdRemote {
    BlockRuntime *runtime;
    BlockLoop *home; /* NULL: it was not opened */
    Files *files;
    const SocketAddress *address;
    NbdWanted wanted;
    unsigned reconnect_seconds, open_seconds, link_count;
    NbdSession session; /* of the first connection: later ones have to be as good */
    NbdLink links[NBD_LINKS];
    unsigned tasks; /* of links */
    bool closing, opening;
    Error *open_error;
    bool given_up; /* requests do not wait for a connection now, */
    bool yanked;   /* or never again */
    BlockTimer give_up;
    NbdWaiter *waiters; /* for a connection that has room */
};

/* Connects, by open_seconds; false with an error. Outside tasks. */
bool nbd_remote_open(NbdRemote *remote, Error **error);
/* In place of opening: connects for a list of exports. */
bool nbd_remote_list(NbdRemote *remote, NbdListing *listing, Error **error);
void nbd_remote_close(NbdRemote *remote); /* also after a failure to open */
/* Cuts all connections for good: requests fail. */
void nbd_remote_yank(NbdRemote *remote);
/* In a task of any loop: an errno value. */
int nbd_remote_perform(NbdRemote *remote, NbdCommandState *command);

/* Reads one reply or chunk, which it finds the command for. False where the server is wrong or gone. */
bool nbd_link_read_reply(NbdLink *link);
void nbd_command_done(NbdLink *link, NbdCommandState *command);
