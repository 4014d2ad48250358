/* Sockets as Linux alone has them. */
#include "base/host/host.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

unsigned host_vsock_address(void *address, uint32_t cid, uint32_t port)
{
    struct sockaddr_vm vsock = { .svm_family = AF_VSOCK, .svm_cid = cid, .svm_port = port };
    memcpy(address, &vsock, sizeof vsock);
    return sizeof vsock;
}

/* What SELinux offers in /proc/thread-self/attr, without its library. */
int host_socket_label(const char *label)
{
    int fd = open("/proc/thread-self/attr/sockcreate", O_WRONLY | O_CLOEXEC);
    if (fd < 0) {
        return errno;
    }
    int number = write(fd, label, label ? strlen(label) + 1 : 0) < 0 ? errno : 0;
    close(fd);
    return number;
}
