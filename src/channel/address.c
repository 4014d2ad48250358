/* Resolving, listening, connecting. */
#include "channel/address.h"

#include "base/error.h"
#include "base/files.h"
#include "base/host/host.h"
#include "base/text.h"
#include "base/vec.h"
#include "schema/sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { UNIX_BUFFER = 4 << 20 };

static bool init_unix(SocketTarget *target, const UnixSocketAddress *options, Error **error)
{
    struct sockaddr_un unix_address = { .sun_family = AF_UNIX };
    bool abstract = options->has_abstract && options->abstract;
    bool tight = !options->has_tight || options->tight;
    size_t length = strlen(options->path), start = abstract ? 1 : 0;
    if (length + 1 > sizeof unix_address.sun_path) {
        return error_set(error, "the UNIX socket path '%s' is longer than %zu bytes", options->path,
                         sizeof unix_address.sun_path - 1);
    }
    memcpy(unix_address.sun_path + start, options->path, length);
    target->addresses = mem_alloc0(sizeof(HostAddress));
    target->count = 1;
    target->addresses[0].length = offsetof(struct sockaddr_un, sun_path) + start + length;
    if (!abstract || !tight) {
        target->addresses[0].length = sizeof unix_address;
    }
    memcpy(&target->addresses[0].address, &unix_address, sizeof unix_address);
    target->path = abstract ? NULL : string_copy(options->path);
    target->name = string_copy(options->path);
    return true;
}

static int wanted_family(const InetSocketAddress *options, Error **error)
{
    bool ipv4 = options->has_ipv4 ? options->ipv4 : !(options->has_ipv6 && options->ipv6);
    bool ipv6 = options->has_ipv6 ? options->ipv6 : !(options->has_ipv4 && options->ipv4);
    if (!ipv4 && !ipv6) {
        error_set(error, "'ipv4' and 'ipv6' cannot both be off");
        return -1;
    }
    return ipv4 && ipv6 ? AF_UNSPEC : ipv4 ? AF_INET : AF_INET6;
}

static bool resolve(SocketTarget *target, const InetSocketAddress *options, bool server, Error **error)
{
    int family = wanted_family(options, error);
    if (family < 0) {
        return false;
    }
    struct addrinfo hints = { .ai_family = family, .ai_socktype = SOCK_STREAM,
                              .ai_flags = (server ? AI_PASSIVE : 0) |
                                          (options->numeric ? AI_NUMERICHOST | AI_NUMERICSERV : 0) };
    struct addrinfo *found = NULL;
    uint64_t port;
    if (text_to_uint64(options->port, &port, NULL) && port > UINT16_MAX) { /* getaddrinfo keeps 16 bits of it */
        return error_set(error, "there is no port %s: the last is %u", options->port, UINT16_MAX);
    }
    int failure = getaddrinfo(*options->host ? options->host : NULL, options->port, &hints, &found);
    if (failure) {
        return error_set(error, "address resolution failed for %s: %s", target->name, gai_strerror(failure));
    }
    for (struct addrinfo *item = found; item; item = item->ai_next) {
        target->count++;
    }
    target->addresses = mem_alloc_array(target->count, sizeof(HostAddress));
    size_t i = 0;
    for (struct addrinfo *item = found; item; item = item->ai_next, i++) {
        target->addresses[i].length = item->ai_addrlen;
        memcpy(&target->addresses[i].address, item->ai_addr, item->ai_addrlen);
    }
    freeaddrinfo(found);
    target->only_ipv6 = family == AF_INET6;
    return true;
}

static bool init_inet(SocketTarget *target, const InetSocketAddress *options, bool server, Error **error)
{
    target->name = string_format("%s:%s", options->host, options->port);
    if (!resolve(target, options, server, error)) {
        return false;
    }
    const struct sockaddr_in *first = (const struct sockaddr_in *)&target->addresses[0].address;
    target->port = target->last_port = ntohs(first->sin_port); /* where sin6_port is, too */
    target->keep_alive = options->keep_alive;
    if (options->has_to) {
        target->last_port = options->to;
        if (options->to < target->port) {
            return error_set(error, "'to' (%u) is less than 'port' (%u)", options->to, target->port);
        }
    }
    return true;
}

static bool init_vsock(SocketTarget *target, const VsockSocketAddress *options, Error **error)
{
    uint64_t cid = 0, port = 0;
    target->name = string_format("%s:%s", options->cid, options->port);
    if (!text_to_uint64(options->cid, &cid, NULL) || cid > UINT32_MAX) {
        return error_set(error, "Failed to parse cid '%s'", options->cid);
    }
    if (!text_to_uint64(options->port, &port, NULL) || port > UINT32_MAX) {
        return error_set(error, "Failed to parse port '%s'", options->port);
    }
    target->addresses = mem_alloc0(sizeof(HostAddress));
    target->count = 1;
    target->addresses[0].length = host_vsock_address(&target->addresses[0].address, (uint32_t)cid, (uint32_t)port);
    return true;
}

bool socket_target_init(SocketTarget *target, const SocketAddress *address, bool server, Files *files, Error **error)
{
    *target = (SocketTarget){ .fd = -1 };
    switch (address->type) {
    case SOCKET_ADDRESS_TYPE_UNIX:
        return init_unix(target, &address->u.unix_, error);
    case SOCKET_ADDRESS_TYPE_VSOCK:
        return init_vsock(target, &address->u.vsock, error);
    case SOCKET_ADDRESS_TYPE_FD:
        target->name = string_format("fd %s", address->u.fd.str);
        target->fd = files_take_fd(files, address->u.fd.str, error);
        return target->fd >= 0;
    default:
        return init_inet(target, &address->u.inet, server, error);
    }
}

void socket_target_free(SocketTarget *target)
{
    if (target->fd >= 0) {
        close(target->fd);
    }
    free(target->addresses);
    free(target->path);
    free(target->name);
    *target = (SocketTarget){ .fd = -1 };
}

static void address_set_port(HostAddress *address, uint16_t port)
{
    if (address->address.ss_family == AF_INET || address->address.ss_family == AF_INET6) {
        ((struct sockaddr_in *)&address->address)->sin_port = htons(port);
    }
}

/* A socket that a process left behind is in the way of bind; anything else is not ours to remove. */
static void remove_stale(const char *path)
{
    struct stat status;
    if (path && lstat(path, &status) == 0 && S_ISSOCK(status.st_mode)) {
        unlink(path);
    }
}

static int listen_on(const SocketTarget *target, const HostAddress *address, int backlog)
{
    const int on = 1, only_ipv6 = target->only_ipv6;
    int family = address->address.ss_family;
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return -1;
    }
    if (family == AF_INET6) {
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only_ipv6, sizeof only_ipv6);
    }
    if (family == AF_INET || family == AF_INET6) {
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    }
    if (bind(fd, (const struct sockaddr *)&address->address, address->length) || listen(fd, backlog)) {
        int number = errno;
        close(fd);
        errno = number;
        return -1;
    }
    return fd;
}

int socket_target_listen(SocketTarget *target, int backlog, Error **error)
{
    if (target->fd >= 0) {
        int fd = target->fd;
        target->fd = -1;
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
        return fd;
    }
    remove_stale(target->path);
    int number = 0;
    for (uint32_t port = target->port; port <= target->last_port; port++) {
        for (size_t i = 0; i < target->count; i++) {
            address_set_port(&target->addresses[i], port);
            int fd = listen_on(target, &target->addresses[i], backlog);
            if (fd >= 0) {
                return fd;
            }
            number = errno;
        }
    }
    if (target->path) {
        error_set_errno(error, number, "Failed to bind socket to %s", target->name);
    } else if (number != EADDRINUSE) {
        error_set_errno(error, number, "Failed to bind socket");
    } else {
        error_set_errno(error, number, "Failed to find an available port on %s", target->name);
    }
    return -1;
}

int socket_target_connect(const SocketTarget *target, size_t index, bool *pending, Error **error)
{
    const HostAddress *address = &target->addresses[index];
    int fd = socket(address->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    *pending = false;
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&address->address, address->length) == 0) {
        return fd;
    }
    if (fd >= 0 && errno == EINPROGRESS) {
        *pending = true;
        return fd;
    }
    error_set_errno(error, errno, "Failed to connect to '%s'", target->name);
    if (fd >= 0) {
        close(fd);
    }
    return -1;
}

bool socket_target_connected(const SocketTarget *target, int fd, Error **error)
{
    int number = 0;
    socklen_t size = sizeof number;
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &number, &size);
    return number == 0 || error_set_errno(error, number, "Failed to connect to '%s'", target->name);
}

bool socket_is_unix(int fd)
{
    HostAddress own = { .length = sizeof own.address };
    return getsockname(fd, (struct sockaddr *)&own.address, &own.length) == 0 && own.address.ss_family == AF_UNIX;
}

void socket_tune(int fd)
{
    int on = 1, size = UNIX_BUFFER;
    if (socket_is_unix(fd)) {
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size); /* the host gives as much of it as it likes */
    } else {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
}

char *socket_describe(int fd, bool peer)
{
    HostAddress end = { .length = sizeof end.address };
    struct sockaddr *address = (struct sockaddr *)&end.address;
    char host[NI_MAXHOST], port[NI_MAXSERV];
    if ((peer ? getpeername : getsockname)(fd, address, &end.length)) {
        return string_copy("");
    }
    if (end.address.ss_family == AF_UNIX) {
        const struct sockaddr_un *unix_address = (const struct sockaddr_un *)&end.address;
        size_t space = end.length > offsetof(struct sockaddr_un, sun_path)
                           ? end.length - offsetof(struct sockaddr_un, sun_path)
                           : 0;
        return string_format("%.*s", (int)space, unix_address->sun_path);
    }
    if (getnameinfo(address, end.length, host, sizeof host, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV)) {
        return string_copy("");
    }
    return string_format(strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
}
