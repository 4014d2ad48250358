/* A server of block nodes by the NBD protocol: exports with names, and clients that each have a connected socket. */
#pragma once

#include "block/graph.h"

typedef struct NbdServer NbdServer;

typedef struct NbdExport {
    const char *name;        /* "" is the default one */
    const char *description; /* NULL: none */
    BlockEdge *edge;
    uint64_t offset, size; /* the part that is served */
    bool read_only;
    bool multiple_connections; /* clients may use several, */
    bool allocation_depth;     /* and ask in which image of a chain something is */
} NbdExport;

typedef struct NbdServerOptions {
    const NbdExport *exports;
    size_t export_count;
    unsigned handshake_seconds;                  /* a client has this long to choose an export; 0: for ever */
    void (*left)(void *data, bool had_an_export); /* a client has gone; may be NULL */
    void *data;
} NbdServerOptions;

/* Of the calling thread's loop; what the options point to stays. */
NbdServer *nbd_server_new(BlockRuntime *runtime, const NbdServerOptions *options);
void nbd_server_free(NbdServer *server); /* sends the clients away and waits for their requests; NULL is fine */
/* A connected stream socket, which is taken. */
void nbd_server_add_client(NbdServer *server, int fd);
unsigned nbd_server_client_count(const NbdServer *server);
