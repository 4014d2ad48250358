/* Listening sockets: see listen.h. */
#include "tools/nbd/listen.h"

#include "base/error.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
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

/* -1 with errno. */
static int listen_at(int family, const struct sockaddr *address, socklen_t length)
{
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;
    bool ok = fd >= 0 && (family == AF_UNIX || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0) &&
              bind(fd, address, length) == 0 && listen(fd, BACKLOG) == 0;
    if (!ok && fd >= 0) {
        int number = errno;
        close(fd);
        errno = number;
    }
    return ok ? fd : -1;
}

int listen_unix(const char *path, Error **error)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof address.sun_path) {
        error_set(error, "UNIX socket path '%s' is too long", path);
        error_add_hint(error, "Path must be less than %zu bytes\n", sizeof address.sun_path);
        return -1;
    }
    memcpy(address.sun_path, path, strlen(path));
    int fd = -1;
    if (unlink(path) < 0 && errno != ENOENT) {
        error_set_errno(error, errno, "Failed to unlink socket %s", path);
    } else if ((fd = listen_at(AF_UNIX, (struct sockaddr *)&address, sizeof address)) < 0) {
        error_set_errno(error, errno, "Failed to bind socket to %s", path);
    }
    return fd;
}

int listen_tcp(const char *host, const char *port, Error **error)
{
    struct addrinfo hints = { .ai_flags = AI_PASSIVE, .ai_socktype = SOCK_STREAM }, *found = NULL;
    int result = getaddrinfo(*host ? host : NULL, port, &hints, &found), fd = -1;
    if (result != 0) {
        error_set(error, "address resolution failed for %s:%s: %s", host, port, gai_strerror(result));
        return -1;
    }
    for (const struct addrinfo *at = found; at && fd < 0; at = at->ai_next) {
        fd = listen_at(at->ai_family, at->ai_addr, at->ai_addrlen);
    }
    if (fd < 0) {
        error_set_errno(error, errno, "Failed to listen on %s:%s", host, port);
    }
    freeaddrinfo(found);
    return fd;
}
