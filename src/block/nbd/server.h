/* A server of block nodes by the NBD protocol: exports with names, and clients that each have a connected socket. */
#pragma once

#include "block/graph.h"

typedef struct BlockBitmap BlockBitmap;
typedef struct NbdExport NbdExport;
typedef struct NbdServer NbdServer;
typedef struct Object Object;
typedef struct TlsCredentials TlsCredentials;
typedef struct Trace Trace;

enum { NBD_MAXIMUM_BITMAPS = 60, NBD_MAXIMUM_TEXT = 4096 /* bytes of names and descriptions */ };

/* All of it but the edge and the bitmaps is copied. */
typedef struct NbdExportOptions {
    const char *name;        /* "" is the default one */
    const char *description; /* NULL: none */
    BlockEdge *edge;
    BlockLoop *loop; /* that serves those who have chosen it; NULL: the server's. It stays while the export is there */
    uint64_t offset, size; /* the part that is served */
    bool read_only;
    bool multiple_connections; /* clients may use several, */
    bool allocation_depth;     /* and ask in which image of a chain something is, */
    BlockBitmap *const *bitmaps; /* and what these say */
    size_t bitmap_count;         /* NBD_MAXIMUM_BITMAPS at most */
} NbdExportOptions;

typedef struct NbdServerOptions {
    unsigned handshake_seconds;                   /* a client has this long to choose an export; 0: for ever */
    void (*left)(void *data, bool had_an_export); /* a client has gone; may be NULL */
    void (*failed)(void *data, const char *message); /* a client's TLS; may be NULL */
    void *data;
    TlsCredentials *tls; /* all that is said is said by TLS; NULL: nothing. A reference is taken */
    const char *authorization; /* of TLS's peers; NULL: all */
    Object *objects;           /* where that is */
    Trace *trace;              /* NULL: none */
} NbdServerOptions;

/* Of the calling thread's loop; what the options point to stays. */
NbdServer *nbd_server_new(BlockRuntime *runtime, const NbdServerOptions *options);
void nbd_server_free(NbdServer *server); /* sends the clients away and waits for their requests; NULL is fine */
/* A connected stream socket, which is taken. */
void nbd_server_add_client(NbdServer *server, int fd);
unsigned nbd_server_client_count(const NbdServer *server);

/* No two have one name. */
NbdExport *nbd_server_add_export(NbdServer *server, const NbdExportOptions *options);
NbdExport *nbd_server_find_export(const NbdServer *server, const char *name); /* NULL: none */
/* Nobody chooses it any more, and its clients are sent away; each of them leaves when its requests have ended. */
void nbd_export_shut_down(NbdExport *export);
void nbd_server_remove_export(NbdExport *export); /* shuts it down and waits for its clients' requests */
unsigned nbd_export_client_count(const NbdExport *export);
