/*
 * UNIX and TCP sockets, as a server for one peer at a time or as a client that may connect again when it is thrown
 * out; telnet's protocol over them; descriptors sent over a UNIX socket.
 *
 * Names are resolved once, when the device is made. Not here: TLS and websockets (the layer `channel`), yank.
 */
#include "char/char_internal.h"

#include "base/error.h"
#include "base/host/host.h"
#include "channel/address.h"
#include "char/telnet.h"
#include "core/loop.h"
#include "schema/char.h"
#include "schema/sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { DESCRIPTORS_KEPT = 16, ACCEPT_AGAIN_NS = 100000000 };
#define NS_IN_MS INT64_C(1000000)

typedef struct SocketChar {
    CharDevice device;
    CharFd channel;
    SocketTarget target;
    bool started, server, telnet_on, nodelay, keep_alive;
    int64_t reconnect_ns; /* 0: never */
    int listener;
    LoopFd *listener_watch;
    int connecting; /* on the way to target.addresses[attempt] */
    size_t attempt;
    LoopFd *connecting_watch;
    LoopTimer again;
    Error *failure; /* why the last attempt failed */
    bool failed;    /* and nothing is tried any more */
    Telnet telnet;
    bool owes_iac; /* half of a doubled telnet escape went out. Under the device's lock */
    VEC(int) descriptors;
    char *name; /* filename while connected */
} SocketChar;

static void socket_connect_next(SocketChar *socket);

/* -- descriptors that came along ------------------------------------------------------------------------------- */

static void socket_keep_descriptor(SocketChar *socket, int fd)
{
    if (socket->descriptors.count == DESCRIPTORS_KEPT) {
        close(socket->descriptors.items[0]);
        vec_remove(&socket->descriptors, 0);
    }
    vec_push(&socket->descriptors, fd);
}

static void socket_drop_descriptors(SocketChar *socket)
{
    for (size_t i = 0; i < socket->descriptors.count; i++) {
        close(socket->descriptors.items[i]);
    }
    vec_free(&socket->descriptors);
}

static int socket_take_fd(CharDevice *device)
{
    SocketChar *socket = (SocketChar *)device;
    if (!socket->descriptors.count) {
        return -1;
    }
    int fd = socket->descriptors.items[0];
    vec_remove(&socket->descriptors, 0);
    return fd;
}

static ssize_t socket_read(CharDevice *device, int fd, void *bytes, size_t count)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(DESCRIPTORS_KEPT * sizeof(int))];
    } control;
    struct iovec vector = { .iov_base = bytes, .iov_len = count };
    struct msghdr message = {
        .msg_iov = &vector,
        .msg_iovlen = 1,
        .msg_control = control.bytes,
        .msg_controllen = sizeof control,
    };
    ssize_t received = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
    if (received < 0) {
        return received;
    }
    for (struct cmsghdr *item = CMSG_FIRSTHDR(&message); item; item = CMSG_NXTHDR(&message, item)) {
        if (item->cmsg_level == SOL_SOCKET && item->cmsg_type == SCM_RIGHTS) {
            for (size_t at = 0; at + sizeof(int) <= item->cmsg_len - CMSG_LEN(0); at += sizeof(int)) {
                int descriptor;
                memcpy(&descriptor, CMSG_DATA(item) + at, sizeof descriptor);
                socket_keep_descriptor((SocketChar *)device, descriptor);
            }
        }
    }
    return received;
}

/* -- bytes ------------------------------------------------------------------------------------------------------ */

/* Bytes sent; `count` where there is no peer to send them to. */
static size_t socket_send(SocketChar *socket, const uint8_t *bytes, size_t count)
{
    size_t done = 0;
    while (socket->channel.out >= 0 && done < count) {
        ssize_t sent = send(socket->channel.out, bytes + done, count - done, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) {
            continue;
        }
        if (sent < 0 && errno == EAGAIN) {
            return done;
        }
        if (sent < 0) {
            return count;
        }
        done += sent;
    }
    return count;
}

/* The same with each escape byte doubled. */
static size_t socket_send_telnet(SocketChar *socket, const uint8_t *bytes, size_t count)
{
    const uint8_t iac = TELNET_IAC;
    size_t done = 0;
    for (;;) {
        if (socket->owes_iac && !socket_send(socket, &iac, 1)) {
            return done;
        }
        socket->owes_iac = false;
        if (done == count) {
            return done;
        }
        const uint8_t *escape = memchr(bytes + done, TELNET_IAC, count - done);
        size_t length = escape ? (size_t)(escape - (bytes + done)) + 1 : count - done;
        size_t sent = socket_send(socket, bytes + done, length);
        done += sent;
        if (sent < length) {
            return done;
        }
        socket->owes_iac = escape != NULL;
    }
}

static size_t socket_write(CharDevice *device, const uint8_t *bytes, size_t count)
{
    SocketChar *socket = (SocketChar *)device;
    return socket->telnet_on ? socket_send_telnet(socket, bytes, count) : socket_send(socket, bytes, count);
}

static void socket_received_telnet(CharDevice *device, uint8_t *bytes, size_t count)
{
    SocketChar *socket = (SocketChar *)device;
    unsigned breaks = 0;
    size_t kept = telnet_filter(&socket->telnet, bytes, count, &breaks);
    char_receive(device, bytes, kept);
    if (breaks) {
        char_event(device, CHAR_EVENT_BREAK);
    }
}

/* -- peers ------------------------------------------------------------------------------------------------------ */

static void socket_name_peer(SocketChar *socket, int fd)
{
    AUTO_FREE char *own = socket_describe(fd, false);
    AUTO_FREE char *peer = socket_describe(fd, true);
    const char *side = socket->server ? ",server=on" : "";
    free(socket->name);
    if (socket_is_unix(fd)) {
        socket->name = string_format("unix:%s%s", socket->server ? own : peer, side);
    } else {
        socket->name = string_format("%s:%s%s <-> %s", socket->telnet_on ? "telnet" : "tcp", own, side, peer);
    }
}

static void socket_established(SocketChar *socket, int fd)
{
    const int on = 1;
    socket_name_peer(socket, fd);
    if (socket->nodelay) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    if (socket->keep_alive) {
        setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    }
    if (socket->telnet_on) {
        socket->telnet = (Telnet){ 0 };
        /* A fresh connection takes a dozen bytes; if it is gone already, reading will tell. */
        (void)!send(fd, telnet_greeting, telnet_greeting_size, MSG_NOSIGNAL);
    }
    char_fd_start(&socket->channel, &socket->device, fd, fd);
    char_set_opened(&socket->device, true);
}

static void socket_watch_listener(SocketChar *socket, bool on)
{
    if (socket->listener_watch) {
        loop_fd_set(socket->listener_watch, on ? HOST_POLL_IN : 0);
    }
}

static void socket_ended(CharDevice *device)
{
    SocketChar *socket = (SocketChar *)device;
    char_fd_stop(&socket->channel);
    socket_drop_descriptors(socket);
    mutex_lock(&device->lock);
    socket->owes_iac = false;
    mutex_unlock(&device->lock);
    char_set_opened(device, false);
    socket_watch_listener(socket, true);
    if (!socket->server && socket->reconnect_ns) {
        loop_timer_set(&socket->again, host_monotonic_ns() + socket->reconnect_ns);
    }
}

static void socket_accept(void *data, unsigned events)
{
    SocketChar *socket = data;
    int fd = accept4(socket->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0) {
        socket_watch_listener(socket, false);
        socket_established(socket, fd);
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        socket_watch_listener(socket, false);
        loop_timer_set(&socket->again, host_monotonic_ns() + ACCEPT_AGAIN_NS);
    }
}

static void socket_again(void *data)
{
    SocketChar *socket = data;
    if (socket->server) {
        socket_watch_listener(socket, true);
    } else {
        socket->attempt = 0;
        socket_connect_next(socket);
    }
}

static void socket_stop_connecting(SocketChar *socket)
{
    if (socket->connecting_watch) {
        loop_fd_remove(socket->connecting_watch);
        socket->connecting_watch = NULL;
    }
    socket->connecting = -1;
}

static void socket_connected(void *data, unsigned events)
{
    SocketChar *socket = data;
    int fd = socket->connecting;
    socket_stop_connecting(socket);
    error_free(socket->failure);
    socket->failure = NULL;
    if (socket_target_connected(&socket->target, fd, &socket->failure)) {
        socket_established(socket, fd);
        return;
    }
    close(fd);
    socket->attempt++;
    socket_connect_next(socket);
}

/* Tries addresses from socket->attempt on until one is reached or under way. */
static void socket_connect_next(SocketChar *socket)
{
    for (; socket->attempt < socket->target.count; socket->attempt++) {
        bool pending;
        error_free(socket->failure);
        socket->failure = NULL;
        int fd = socket_target_connect(&socket->target, socket->attempt, &pending, &socket->failure);
        if (fd >= 0 && !pending) {
            socket_established(socket, fd);
            return;
        }
        if (fd >= 0) {
            socket->connecting = fd;
            socket->connecting_watch =
                loop_fd_add(socket->device.host->loop, fd, HOST_POLL_OUT, socket_connected, socket);
            return;
        }
    }
    if (socket->reconnect_ns) {
        loop_timer_set(&socket->again, host_monotonic_ns() + socket->reconnect_ns);
    } else {
        socket->failed = true;
    }
}

/* -- life ------------------------------------------------------------------------------------------------------- */

/* Until there is a peer: main loop, so that signals are seen. */
static bool socket_wait(SocketChar *socket, Error **error)
{
    CharHost *host = socket->device.host;
    while (!socket->device.opened && !socket->failed) {
        if (host->interrupted && host->interrupted(host->data)) {
            return error_set(error, "gave up waiting for a connection on '%s'", socket->target.name);
        }
        loop_iterate(host->loop, -1);
    }
    if (socket->failed) {
        Error *failure = socket->failure;
        socket->failure = NULL;
        return error_propagate(error, failure);
    }
    return true;
}

static bool socket_open_server(SocketChar *socket, bool wait, Error **error)
{
    socket->listener = socket_target_listen(&socket->target, 1, error);
    if (socket->listener < 0) {
        return false;
    }
    socket->listener_watch =
        loop_fd_add(socket->device.host->loop, socket->listener, HOST_POLL_IN, socket_accept, socket);
    if (!wait) {
        return true;
    }
    AUTO_FREE char *name = char_filename(&socket->device);
    char_message(&socket->device, "info", "waiting for connection on: %s", name);
    return socket_wait(socket, error);
}

static bool socket_open_client(SocketChar *socket, Error **error)
{
    if (socket->target.fd >= 0) {
        socket_established(socket, socket->target.fd);
        socket->target.fd = -1;
        return true;
    }
    socket_connect_next(socket);
    return socket->reconnect_ns || socket_wait(socket, error);
}

static bool socket_check(const ChardevSocket *given, Error **error)
{
    bool server = given->has_server && given->server;
    if (!server && given->has_wait) {
        return error_set(error, "'wait' is for a server: it needs server=on");
    }
    if (!server && given->has_to) {
        return error_set(error, "'to' is for a server: it needs server=on");
    }
    if (server && (given->has_reconnect || given->has_reconnect_ms)) {
        return error_set(error, "a server cannot reconnect: 'reconnect-ms' needs server=off");
    }
    if (given->has_reconnect && given->has_reconnect_ms) {
        return error_set(error, "'reconnect' and 'reconnect-ms' exclude each other");
    }
    return true;
}

static void socket_take_options(SocketChar *socket, const ChardevSocket *given)
{
    int64_t ms = given->has_reconnect_ms ? given->reconnect_ms : given->has_reconnect ? given->reconnect * 1000 : 0;
    socket->server = given->has_server && given->server;
    socket->telnet_on = given->has_telnet && given->telnet;
    socket->nodelay = given->port && ((given->has_nodelay && given->nodelay) || (given->has_delay && !given->delay));
    socket->keep_alive = given->has_keep_alive && given->keep_alive;
    socket->reconnect_ns = ms * NS_IN_MS;
}

/* What is given of path, host with port, and fd, as one address. */
static bool socket_init_target(SocketChar *socket, const ChardevSocket *given, Error **error)
{
    unsigned count = (given->path != NULL) + (given->fd != NULL) + (given->port != NULL);
    char any_host[] = "";
    SocketAddress address = { 0 };
    if (count != 1) {
        return error_set(error, "a socket needs one of 'path', 'port' (with 'host') and 'fd'");
    }
    if (given->fd) {
        address.type = SOCKET_ADDRESS_TYPE_FD;
        address.u.fd.str = given->fd;
    } else if (given->path) {
        address.type = SOCKET_ADDRESS_TYPE_UNIX;
        address.u.unix_ = (UnixSocketAddress){ .path = given->path, .has_abstract = given->has_abstract,
                                               .abstract = given->abstract, .has_tight = given->has_tight,
                                               .tight = given->tight };
    } else {
        address.type = SOCKET_ADDRESS_TYPE_INET;
        address.u.inet = (InetSocketAddress){ .host = given->host ? given->host : any_host, .port = given->port,
                                              .has_to = given->has_to, .to = given->to,
                                              .has_ipv4 = given->has_ipv4, .ipv4 = given->ipv4,
                                              .has_ipv6 = given->has_ipv6, .ipv6 = given->ipv6 };
    }
    return socket_target_init(&socket->target, &address, socket->server, socket->device.host->files, error);
}

static bool socket_open(CharDevice *device, const ChardevOptions *options, Error **error)
{
    SocketChar *socket = (SocketChar *)device;
    const ChardevSocket *given = &options->u.socket;
    if (!socket_check(given, error)) {
        return false;
    }
    socket_take_options(socket, given);
    socket->started = true;
    loop_timer_init(&socket->again, device->host->loop, socket_again, socket);
    socket->channel.read = socket_read;
    socket->channel.received = socket->telnet_on ? socket_received_telnet : NULL;
    socket->channel.ended = socket_ended;
    if (!socket_init_target(socket, given, error)) {
        return false;
    }
    if (socket->server) {
        return socket_open_server(socket, !given->has_wait || given->wait, error);
    }
    return socket_open_client(socket, error);
}

static void socket_close_listener(SocketChar *socket)
{
    if (socket->listener_watch) {
        loop_fd_remove(socket->listener_watch);
        socket->listener_watch = NULL;
    }
    if (socket->listener >= 0) {
        close(socket->listener);
        socket->listener = -1;
        if (socket->target.path) {
            unlink(socket->target.path);
        }
    }
}

static void socket_close(CharDevice *device)
{
    SocketChar *socket = (SocketChar *)device;
    if (!socket->started) {
        return;
    }
    int connecting = socket->connecting;
    loop_timer_cancel(&socket->again);
    socket_stop_connecting(socket);
    if (connecting >= 0) {
        close(connecting);
    }
    char_fd_stop(&socket->channel);
    socket_close_listener(socket);
    socket_drop_descriptors(socket);
    socket_target_free(&socket->target);
    error_free(socket->failure);
    free(socket->name);
    socket->failure = NULL;
    socket->name = NULL;
    socket->started = false;
}

static void socket_update(CharDevice *device)
{
    SocketChar *socket = (SocketChar *)device;
    if (device->opened) {
        char_fd_update(&socket->channel);
    } else if (char_wants_write(device)) {
        char_writable(device);
    }
}

static char *socket_filename(const CharDevice *device)
{
    const SocketChar *socket = (const SocketChar *)device;
    const char *side = socket->server ? ",server=on" : "";
    if (device->opened && socket->name) {
        return string_copy(socket->name);
    }
    if (socket->listener >= 0) {
        AUTO_FREE char *own = socket_describe(socket->listener, false);
        const char *kind = socket_is_unix(socket->listener) ? "unix" : socket->telnet_on ? "telnet" : "tcp";
        return string_format("disconnected:%s:%s%s", kind, own, side);
    }
    const char *kind = socket->target.path ? "unix" : socket->telnet_on ? "telnet" : "tcp";
    return string_format("disconnected:%s:%s%s", kind, socket->target.name ? socket->target.name : "", side);
}

static void socket_init(Object *object)
{
    SocketChar *socket = (SocketChar *)object;
    socket->listener = socket->connecting = socket->channel.in = socket->channel.out = -1;
    socket->target.fd = -1;
}

const CharClass char_socket_class = {
    .class = {
        .name = "chardev-socket",
        .parent = &char_class.class,
        .description = "a UNIX or TCP socket",
        .size = sizeof(SocketChar),
        .init = socket_init,
    },
    .open = socket_open,
    .close = socket_close,
    .write = socket_write,
    .update = socket_update,
    .take_fd = socket_take_fd,
    .filename = socket_filename,
};
