/* Sizes of block devices, holes and zeroes in files: fallocate(2), the ioctls of block devices. */
#include "base/host/host.h"

#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

bool host_device_size(int fd, uint64_t *bytes, Error **error)
{
    if (ioctl(fd, BLKGETSIZE64, bytes) < 0) {
        return error_set_errno(error, errno, "cannot find the size of the block device");
    }
    return true;
}

/* A result as an errno value; one for all the ways to say that something is not there. */
static int outcome(int result)
{
    if (result == 0) {
        return 0;
    }
    return errno == ENOTTY || errno == EINVAL || errno == ENOSYS ? EOPNOTSUPP : errno;
}

static int allocate(int fd, int mode, uint64_t offset, uint64_t bytes)
{
    int result;
    do {
        result = fallocate(fd, mode, (off_t)offset, (off_t)bytes);
    } while (result < 0 && errno == EINTR);
    return outcome(result);
}

int host_file_zero(int fd, uint64_t offset, uint64_t bytes, bool may_unmap)
{
    return allocate(fd, may_unmap ? FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE : FALLOC_FL_ZERO_RANGE, offset, bytes);
}

int host_file_discard(int fd, bool is_device, uint64_t offset, uint64_t bytes)
{
    if (is_device) {
        uint64_t range[2] = { offset, bytes };
        return outcome(ioctl(fd, BLKDISCARD, range));
    }
    return allocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, bytes);
}
