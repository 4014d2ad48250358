/* The exports of an NBD server, as qemu-nbd --list shows them. */
#pragma once

#include "block/task.h"

typedef struct Error Error;
typedef struct Files Files;
typedef struct SocketAddress SocketAddress;
typedef struct StrBuf StrBuf;
typedef struct TlsCredentials TlsCredentials;

typedef struct NbdListOptions {
    BlockRuntime *runtime;
    Files *files;
    const SocketAddress *address;
    TlsCredentials *tls;  /* NULL: without */
    const char *hostname; /* what the server's certificate has to be for; NULL: anything */
} NbdListOptions;

/* On the main loop's thread, outside tasks. */
bool nbd_list(const NbdListOptions *options, StrBuf *text, Error **error);
