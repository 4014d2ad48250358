/* Socket addresses: what options say, as something to listen on or connect to. */
#pragma once

#include "base/compiler.h"

#include <sys/socket.h>
#include <sys/un.h>

typedef struct Error Error;
typedef struct Files Files;
typedef struct SocketAddress SocketAddress;

typedef struct HostAddress {
    struct sockaddr_storage address;
    socklen_t length;
} HostAddress;

typedef struct SocketTarget {
    HostAddress *addresses; /* in the order to try */
    size_t count;
    int fd;     /* given in place of an address; -1: none */
    char *path; /* a UNIX socket's in the file system; NULL: none */
    char *name; /* for messages: "/tmp/a" or "localhost:5555" */
    uint16_t port, last_port; /* of a server: the range to try */
    bool only_ipv6, keep_alive;
} SocketTarget;

/* Resolves names, which may take as long as the host's resolver does. */
bool socket_target_init(SocketTarget *target, const SocketAddress *address, bool server, Files *files, Error **error);
void socket_target_free(SocketTarget *target);
/* A listening descriptor that does not block, or -1. */
int socket_target_listen(SocketTarget *target, int backlog, Error **error);
/* A non-blocking descriptor that is connected, or (*pending) on the way to the address number `index`. -1 on
 * failure. */
int socket_target_connect(const SocketTarget *target, size_t index, bool *pending, Error **error);
/* The same for the end of what was pending: false with an error. */
bool socket_target_connected(const SocketTarget *target, int fd, Error **error);
/* "unix:/tmp/a" or "tcp:127.0.0.1:5555" of a socket's own end (`peer` false) or its peer's, without the part up to the
 * first colon. Owned by the caller. */
char *socket_describe(int fd, bool peer);
bool socket_is_unix(int fd);
/* For requests and replies: small packets of TCP are sent at once, and a UNIX socket holds more than usual. */
void socket_tune(int fd);
