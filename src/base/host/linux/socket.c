/* Sockets as Linux alone has them. */
#include "base/host/host.h"

#include <string.h>
#include <sys/socket.h>

#include <linux/vm_sockets.h>

unsigned host_vsock_address(void *address, uint32_t cid, uint32_t port)
{
    struct sockaddr_vm vsock = { .svm_family = AF_VSOCK, .svm_cid = cid, .svm_port = port };
    memcpy(address, &vsock, sizeof vsock);
    return sizeof vsock;
}
