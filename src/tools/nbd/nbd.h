/* What the files of the nbd program share. */
#pragma once

#include "base/vec.h"
#include "block/nbd/server.h"
#include "core/loop.h"
#include "tools/tool.h"

typedef struct HostSignals HostSignals;
typedef struct Log Log;
typedef struct SocketAddress SocketAddress;
typedef struct TlsCredentials TlsCredentials;
typedef struct Trace Trace;

/* What the command line says. */
typedef struct NbdGiven {
    const char *image, *format; /* image NULL: none */
    unsigned flags;             /* BLOCK_OPEN_* */
    bool write_through, image_opts, has_cache, has_discard, persistent, fork, list, verbose, snapshot, disconnect;
    const char *aio, *detect_zeroes, *load_snapshot;
    const char *socket, *host, *port, *pid_file, *connect, *selinux_label;
    const char *tls_creds, *tls_authz, *tls_hostname;
    const char *name, *description;
    uint64_t shared, handshake_limit, offset;
    bool read_only, allocation_depth, has_shared, has_host, has_port;
    VEC(const char *) bitmaps, objects, traces;
} NbdGiven;

typedef struct Nbd {
    Tool tool;
    NbdGiven given;
    BlockEdge *edge;
    NbdServer *server;
    TlsCredentials *tls;
    HostSignals *signals;
    Log *log;
    LoopFd *listener;
    int listen_fd, ready_fd; /* -1: none; ready_fd: whom to tell that it serves */
    int pid_fd; /* -1: none */
    bool socket_made;
} Nbd;

/* False where the program ends, with `*status`. */
bool nbd_parse(const char *program, NbdGiven *given, int count, char **words, int *status);
/* -T: likewise. */
/* Where it listens or connects to. */
void nbd_address(const NbdGiven *given, SocketAddress *address);
/* Tells whoever waits for it that the program serves, and lets go of the terminal where it is to. */
void nbd_say_ready(Nbd *nbd);
/* --list: an exit status. */
int nbd_print_list(Nbd *nbd);
