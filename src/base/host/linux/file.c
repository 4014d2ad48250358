/* Sizes of block devices, holes and zeroes in files: fallocate(2), the ioctls of block devices. */
#include "base/host/host.h"

#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/cdrom.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/major.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

bool host_device_size(int fd, uint64_t *bytes, Error **error)
{
    if (ioctl(fd, BLKGETSIZE64, bytes) < 0) {
        return error_set_errno(error, errno, "cannot find the size of the block device");
    }
    return true;
}

bool host_device_is_cdrom(uint64_t number) { return major(number) == SCSI_CDROM_MAJOR; }

HostCdrom host_cdrom_state(int fd)
{
    int status = ioctl(fd, CDROM_DRIVE_STATUS, CDSL_CURRENT);
    return status < 0 ? HOST_CDROM_IS_NONE : status == CDS_DISC_OK ? HOST_CDROM_LOADED : HOST_CDROM_EMPTY;
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

int host_file_allocate(int fd, uint64_t offset, uint64_t bytes) { return allocate(fd, 0, offset, bytes); }

int64_t host_file_copy(int from, uint64_t from_offset, int to, uint64_t to_offset, uint64_t bytes)
{
    off64_t source = (off64_t)from_offset, target = (off64_t)to_offset;
    ssize_t result;
    do {
        result = copy_file_range(from, &source, to, &target, (size_t)MIN(bytes, GIB), 0);
    } while (result < 0 && errno == EINTR);
    if (result >= 0) {
        return result;
    }
    bool unable = errno == ENOSYS || errno == EINVAL || errno == EXDEV || errno == EPERM || errno == EOPNOTSUPP;
    return -(unable ? ENOTSUP : errno);
}

int host_file_find_data(int fd, uint64_t offset, uint64_t *start, uint64_t *end)
{
    off_t data = lseek(fd, (off_t)offset, SEEK_DATA);
    if (data < 0) {
        return errno;
    }
    off_t hole = lseek(fd, data, SEEK_HOLE);
    if (hole < 0) {
        return errno;
    }
    *start = (uint64_t)data;
    *end = (uint64_t)hole;
    return hole > data ? 0 : EAGAIN; /* somebody changes the file meanwhile */
}

void host_file_direct_alignment(int fd, bool is_device, uint32_t *request, uint32_t *memory)
{
    int sector = 0;
    struct statx status;
    *request = *memory = 0;
    if (is_device && ioctl(fd, BLKSSZGET, &sector) == 0 && sector > 0) {
        *request = *memory = (uint32_t)sector;
    }
#ifdef STATX_DIOALIGN
    if (statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &status) == 0 && status.stx_mask & STATX_DIOALIGN) {
        *request = status.stx_dio_offset_align;
        *memory = status.stx_dio_mem_align;
    }
#else
    (void)status;
#endif
}

int host_file_fill(int fd, uint64_t offset, uint64_t bytes)
{
    enum { CHUNK = 1 << 20 };
    char *zeroes = host_memory_map(-1, 0, CHUNK, 0, NULL); /* aligned to pages */
    int error = zeroes ? 0 : ENOMEM;
    while (bytes > 0 && !error) {
        ssize_t put = pwrite(fd, zeroes, (size_t)MIN(bytes, CHUNK), (off_t)offset);
        error = put < 0 && errno != EINTR ? errno : 0;
        offset += put > 0 ? (uint64_t)put : 0;
        bytes -= put > 0 ? (uint64_t)put : 0;
    }
    if (zeroes) {
        host_memory_unmap(zeroes, CHUNK);
    }
    return error;
}

void host_file_set_nocow(int fd)
{
    int attributes;
    if (ioctl(fd, FS_IOC_GETFLAGS, &attributes) == 0) {
        attributes |= FS_NOCOW_FL;
        ioctl(fd, FS_IOC_SETFLAGS, &attributes);
    }
}

void host_file_set_extent_size_hint(int fd, uint64_t bytes)
{
    struct fsxattr attributes;
    if (ioctl(fd, FS_IOC_FSGETXATTR, &attributes) == 0) {
        attributes.fsx_xflags |= FS_XFLAG_EXTSIZE;
        attributes.fsx_extsize = (uint32_t)bytes;
        ioctl(fd, FS_IOC_FSSETXATTR, &attributes);
    }
}
