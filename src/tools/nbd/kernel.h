/* The kernel's NBD client, which makes a block device of what the nbd program serves. */
#pragma once

#include "tools/nbd/nbd.h"

typedef struct KernelClient KernelClient;

/* Connects the server to the device that -c names, says that the program is ready, and has its loop end with the
 * connection, or with a failure, which it prints. NULL, with a message, where it cannot begin. */
KernelClient *nbd_kernel_connect(Nbd *nbd);
/* Disconnects; false where it had failed. NULL is fine. */
bool nbd_kernel_end(KernelClient *client);
/* -d: an exit status. */
int nbd_kernel_disconnect(const Nbd *nbd, const char *path);
