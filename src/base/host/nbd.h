/* The kernel's NBD client: it makes a block device of what comes by a socket. */
#pragma once

#include "base/compiler.h"

/* The device is to send requests for an export of that size and flags (of the protocol) through the socket. What could
 * not be set, as QEMU calls it; NULL: all is well. */
const char *host_nbd_set(int device, int socket, uint64_t size, uint16_t flags);
/* Serves the device until it is disconnected or the socket ends; an errno value. */
int host_nbd_run(int device);
void host_nbd_disconnect(int device);
