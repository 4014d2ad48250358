/* Resolving, listening, connecting. */
#include "char/address.h"

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"
#include "base/vec.h"
#include "schema/char.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool target_init_unix(SocketTarget *target, const ChardevSocket *options, Error **error)
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
    target->addresses = mem_alloc0(sizeof(SocketAddress));
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

static int wanted_family(const ChardevSocket *options, Error **error)
{
    bool ipv4 = options->has_ipv4 ? options->ipv4 : !(options->has_ipv6 && options->ipv6);
    bool ipv6 = options->has_ipv6 ? options->ipv6 : !(options->has_ipv4 && options->ipv4);
    if (!ipv4 && !ipv6) {
        error_set(error, "'ipv4' and 'ipv6' cannot both be off");
        return -1;
    }
    return ipv4 && ipv6 ? AF_UNSPEC : ipv4 ? AF_INET : AF_INET6;
}

static bool target_resolve(SocketTarget *target, const ChardevSocket *options, bool server, Error **error)
{
    int family = wanted_family(options, error);
    if (family < 0) {
        return false;
    }
    struct addrinfo hints = { .ai_family = family, .ai_socktype = SOCK_STREAM, .ai_flags = server ? AI_PASSIVE : 0 };
    struct addrinfo *found = NULL;
    const char *host = options->host && *options->host ? options->host : NULL;
    int failure = getaddrinfo(host, options->port, &hints, &found);
    if (failure) {
        return error_set(error, "address resolution failed for %s: %s", target->name, gai_strerror(failure));
    }
    for (struct addrinfo *item = found; item; item = item->ai_next) {
        target->count++;
    }
    target->addresses = mem_alloc_array(target->count, sizeof(SocketAddress));
    size_t i = 0;
    for (struct addrinfo *item = found; item; item = item->ai_next, i++) {
        target->addresses[i].length = item->ai_addrlen;
        memcpy(&target->addresses[i].address, item->ai_addr, item->ai_addrlen);
    }
    freeaddrinfo(found);
    target->only_ipv6 = family == AF_INET6;
    return true;
}

static bool target_init_inet(SocketTarget *target, const ChardevSocket *options, Error **error)
{
    bool server = options->has_server && options->server;
    target->name = string_format("%s:%s", options->host ? options->host : "", options->port);
    if (!target_resolve(target, options, server, error)) {
        return false;
    }
    const struct sockaddr_in *first = (const struct sockaddr_in *)&target->addresses[0].address;
    target->port = target->last_port = ntohs(first->sin_port); /* where sin6_port is, too */
    if (options->has_to) {
        target->last_port = options->to;
        if (options->to < target->port) {
            return error_set(error, "'to' (%u) is less than 'port' (%u)", options->to, target->port);
        }
    }
    return true;
}

bool socket_target_init(SocketTarget *target, const ChardevSocket *options, Files *files, Error **error)
{
    unsigned given = (options->path != NULL) + (options->fd != NULL) + (options->port != NULL);
    *target = (SocketTarget){ .fd = -1 };
    if (given != 1) {
        return error_set(error, "a socket needs one of 'path', 'port' (with 'host') and 'fd'");
    }
    if (options->fd) {
        target->name = string_format("fd %s", options->fd);
        target->fd = files_take_fd(files, options->fd, error);
        return target->fd >= 0;
    }
    return options->path ? target_init_unix(target, options, error) : target_init_inet(target, options, error);
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

static void address_set_port(SocketAddress *address, uint16_t port)
{
    if (address->address.ss_family != AF_UNIX) {
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

static int listen_on(const SocketTarget *target, const SocketAddress *address)
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
    if (family != AF_UNIX) {
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    }
    if (bind(fd, (const struct sockaddr *)&address->address, address->length) || listen(fd, 1)) {
        int number = errno;
        close(fd);
        errno = number;
        return -1;
    }
    return fd;
}

int socket_target_listen(SocketTarget *target, Error **error)
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
            int fd = listen_on(target, &target->addresses[i]);
            if (fd >= 0) {
                return fd;
            }
            number = errno;
        }
    }
    error_set_errno(error, number, "cannot listen on '%s'", target->name);
    return -1;
}

int socket_target_connect(const SocketTarget *target, size_t index, bool *pending, Error **error)
{
    const SocketAddress *address = &target->addresses[index];
    int fd = socket(address->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    *pending = false;
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&address->address, address->length) == 0) {
        return fd;
    }
    if (fd >= 0 && errno == EINPROGRESS) {
        *pending = true;
        return fd;
    }
    error_set_errno(error, errno, "cannot connect to '%s'", target->name);
    if (fd >= 0) {
        close(fd);
    }
    return -1;
}

bool socket_is_unix(int fd)
{
    SocketAddress own = { .length = sizeof own.address };
    return getsockname(fd, (struct sockaddr *)&own.address, &own.length) == 0 && own.address.ss_family == AF_UNIX;
}

char *socket_describe(int fd, bool peer)
{
    SocketAddress end = { .length = sizeof end.address };
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
