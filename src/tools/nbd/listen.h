/* The socket that the nbd program listens on. */
#pragma once

#include "base/compiler.h"

typedef struct Error Error;
typedef struct SocketAddress SocketAddress;

/* What the service manager passed, by LISTEN_PID and LISTEN_FDS; -1 where it did not. */
int listen_passed(void);
/* Non-blocking; `label`: of SELinux, for the socket; NULL: the usual one. -1 with an error. */
int listen_at(const SocketAddress *address, const char *label, Error **error);
