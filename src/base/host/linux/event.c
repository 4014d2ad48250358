/* Wake-ups: eventfd(2). */
#include "base/host/host.h"

#include "base/error.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

int host_event_new(Error **error)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0) {
        error_set_errno(error, errno, "cannot make an event descriptor");
    }
    return fd;
}

void host_event_signal(int fd)
{
    uint64_t one = 1;
    while (write(fd, &one, sizeof one) < 0 && errno == EINTR) {
        /* EAGAIN, a full counter, is a signalled event all the same. */
    }
}

void host_event_clear(int fd)
{
    uint64_t count;
    while (read(fd, &count, sizeof count) < 0 && errno == EINTR) {
    }
}
