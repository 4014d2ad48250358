/* Listening sockets: see listen.h. */
#include "tools/nbd/listen.h"

#include "base/error.h"
#include "base/host/host.h"
#include "base/text.h"
#include "channel/address.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { FIRST_PASSED = 3, BACKLOG = 128 };

int listen_passed(void)
{
    const char *process = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
    uint64_t number = 0, descriptors = 0;
    if (!process || !count || !text_to_uint64(process, &number, NULL) || number != (uint64_t)getpid() ||
        !text_to_uint64(count, &descriptors, NULL) || descriptors != 1 ||
        fcntl(FIRST_PASSED, F_SETFD, FD_CLOEXEC) < 0) {
        return -1;
    }
    int flags = fcntl(FIRST_PASSED, F_GETFL);
    return flags >= 0 && fcntl(FIRST_PASSED, F_SETFL, flags | O_NONBLOCK) == 0 ? FIRST_PASSED : -1;
}

int listen_at(const SocketAddress *address, const char *label, Error **error)
{
    SocketTarget target;
    int number = label ? host_socket_label(label) : 0;
    if (number) {
        error_set_errno(error, number, "Cannot set SELinux socket create context to %s", label);
        return -1;
    }
    int fd = socket_target_init(&target, address, true, NULL, error) ? socket_target_listen(&target, BACKLOG, error)
                                                                     : -1;
    socket_target_free(&target);
    if (label) {
        host_socket_label(NULL);
    }
    return fd;
}
