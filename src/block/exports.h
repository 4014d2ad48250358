/* The exports of a machine's block nodes: its NBD server and what that serves. Main loop's thread, outside tasks. */
#pragma once

#include "block/graph.h"

typedef struct BlockBitmap BlockBitmap;
typedef struct Class Class;
typedef struct Object Object;
typedef struct SocketAddress SocketAddress;

extern const Class block_exports_class;

typedef struct ExportHost {
    Object *root; /* of the machine's object tree, which keeps the exports */
    BlockGraph *graph;
    Files *files;
    Loop *loop;
    void (*deleted)(void *data, const char *id); /* an export is gone */
    void *data;
} ExportHost;

typedef struct ExportServerOptions {
    const SocketAddress *address;
    const char *tls_creds, *tls_authz; /* NULL: none */
    uint32_t handshake_seconds, max_connections;
} ExportServerOptions;

bool exports_start_server(const ExportHost *host, const ExportServerOptions *options, Error **error);
bool exports_stop_server(const ExportHost *host, Error **error);

typedef struct ExportOptions {
    const char *id, *name, *description; /* description NULL: none */
    BlockNode *node;
    bool writable, write_through, allocation_depth;
    BlockBitmap *const *bitmaps;
    size_t bitmap_count;
    const char *iothread; /* that serves its clients; NULL: the main loop */
    const char *drive; /* see ExportFacts */
} ExportOptions;
bool exports_add(const ExportHost *host, const ExportOptions *options, Error **error);
/* `hard`: sends its clients away; else it must have none. It is gone, and `deleted` called, when their requests have
 * ended: at once, or later. */
bool exports_remove(const ExportHost *host, const char *id, bool hard, Error **error);

/* In the order in which they were made, the last one first; false at the end. */
typedef struct ExportFacts {
    const char *id, *node_name;
    const char *drive; /* whose medium it is: it goes with that; NULL: it is a node's */
    bool leaving; /* its clients' requests are waited for */
} ExportFacts;
bool exports_at(const Object *root, size_t i, ExportFacts *facts);
