/*
 * Linux's NBD client, after linux/nbd.h and the kernel's Documentation/admin-guide/blockdev/nbd.rst: by ioctls on a
 * device that is there. Not here: the newer interface by netlink, which may make devices.
 */
#include "base/host/nbd.h"

#include <errno.h>
#include <linux/fs.h>
#include <linux/nbd.h>
#include <sys/ioctl.h>

enum { BLOCK = 512 };

static bool set_flags(int device, uint16_t flags)
{
    int on = 1;
    return ioctl(device, NBD_SET_FLAGS, (unsigned long)flags) == 0 || !(flags & NBD_FLAG_READ_ONLY) ||
           ioctl(device, BLKROSET, &on) == 0;
}

const char *host_nbd_set(int device, int socket, uint64_t size, uint16_t flags)
{
    if (ioctl(device, NBD_SET_SOCK, (unsigned long)socket) < 0) {
        return "Failed to set NBD socket";
    }
    if (ioctl(device, NBD_SET_BLKSIZE, (unsigned long)BLOCK) < 0) {
        return "Failed setting NBD block size";
    }
    if (ioctl(device, NBD_SET_SIZE_BLOCKS, (unsigned long)(size / BLOCK)) < 0) {
        return "Failed setting size (in blocks)";
    }
    return set_flags(device, flags) ? NULL : "Failed setting read-only attribute";
}

int host_nbd_run(int device)
{
    /* EPIPE is how it says that it was disconnected. */
    int number = ioctl(device, NBD_DO_IT) < 0 && errno != EPIPE ? errno : 0;
    ioctl(device, NBD_CLEAR_QUE);
    ioctl(device, NBD_CLEAR_SOCK);
    return number;
}

void host_nbd_disconnect(int device)
{
    ioctl(device, NBD_CLEAR_QUE); /* what is not connected stays so */
    ioctl(device, NBD_DISCONNECT);
    ioctl(device, NBD_CLEAR_SOCK);
}
