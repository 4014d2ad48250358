/* Packets: $data#checksum, acknowledged by + until that is turned off; } escapes. And the connection itself. */
#include "base/error.h"
#include "base/vec.h"
#include "gdb/internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int read_byte(Gdb *gdb)
{
    if (gdb->input_used == gdb->input_count) {
        ssize_t count;
        do {
            count = read(gdb->fd, gdb->input, sizeof gdb->input);
        } while (count < 0 && errno == EINTR);
        if (count <= 0) {
            gdb->gone = true;
            return -1;
        }
        gdb->input_used = 0;
        gdb->input_count = (size_t)count;
    }
    return gdb->input[gdb->input_used++];
}

static void write_all(Gdb *gdb, const char *bytes, size_t size)
{
    for (size_t done = 0; done < size && !gdb->gone;) {
        ssize_t count = send(gdb->fd, bytes + done, size - done, MSG_NOSIGNAL);
        if (count < 0 && errno != EINTR) {
            gdb->gone = true;
        }
        done += count > 0 ? (size_t)count : 0;
    }
}

/* Behind the $: false where it is longer than we take, or its sum is wrong. */
static bool read_body(Gdb *gdb, size_t *length)
{
    uint8_t sum = 0;
    char digits[3] = { 0 };
    int byte;

    *length = 0;
    while ((byte = read_byte(gdb)) >= 0 && byte != '#') {
        sum = (uint8_t)(sum + byte);
        if (byte == '}') {
            byte = read_byte(gdb);
            sum = (uint8_t)(sum + byte);
            byte ^= 0x20;
        }
        if (*length < GDB_PACKET_MAXIMUM) {
            gdb->packet[*length] = (char)byte;
        }
        ++*length;
    }
    digits[0] = (char)read_byte(gdb);
    digits[1] = (char)read_byte(gdb);
    return *length <= GDB_PACKET_MAXIMUM && strtoul(digits, NULL, 16) == sum;
}

int gdb_packet_read(Gdb *gdb)
{
    size_t length = 0;

    while (!gdb->gone) {
        int byte = read_byte(gdb);
        if (byte != '$') {
            continue; /* acknowledgements; an interrupt where all stands already */
        }
        bool good = read_body(gdb, &length);
        if (!gdb->no_acknowledge) {
            write_all(gdb, good ? "+" : "-", 1);
        }
        if (good && !gdb->gone) {
            gdb->packet[length] = 0;
            return (int)length;
        }
    }
    return -1;
}

void gdb_packet_write(Gdb *gdb, const char *bytes, size_t size)
{
    AUTO_STRBUF(packet);
    uint8_t sum = 0;
    char end[8];

    strbuf_append_char(&packet, '$');
    for (size_t i = 0; i < size; i++) {
        char byte = bytes[i];
        if (strchr("$#}*", byte) && byte) {
            strbuf_append_char(&packet, '}');
            sum = (uint8_t)(sum + '}');
            byte ^= 0x20;
        }
        strbuf_append_char(&packet, byte);
        sum = (uint8_t)(sum + (uint8_t)byte);
    }
    snprintf(end, sizeof end, "#%02x", sum);
    strbuf_append(&packet, end);
    write_all(gdb, strbuf_text(&packet), packet.length);
}

/* -- connecting ------------------------------------------------------------------------------------------------------ */

static int listen_path(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (strlen(path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    strcpy(address.sun_path, path);
    unlink(path);
    return fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, 1) ? -1 : fd;
}

/* PORT, or ADDRESS:PORT with a numeric address; the machine's own else. */
static int listen_port(const char *where)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    const char *colon = strrchr(where, ':');
    AUTO_FREE char *host = string_copy_length(where, colon ? (size_t)(colon - where) : 0);
    unsigned long port = strtoul(colon ? colon + 1 : where, NULL, 10);
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (port > UINT16_MAX || (*host && inet_pton(AF_INET, host, &address.sin_addr) != 1)) {
        errno = EINVAL;
        return -1;
    }
    address.sin_port = htons((uint16_t)port);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    return fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, 1) ? -1 : fd;
}

static bool is_port(const char *where)
{
    const char *colon = strrchr(where, ':'), *digits = colon ? colon + 1 : where;
    return *digits && strspn(digits, "0123456789") == strlen(digits) && !strchr(where, '/');
}

Gdb *gdb_listen(const char *where, const GdbTarget *target, void *data, Error **error)
{
    int on = 1, listener = is_port(where) ? listen_port(where) : listen_path(where);
    int fd = listener < 0 ? -1 : accept4(listener, NULL, NULL, SOCK_CLOEXEC);

    if (fd < 0) {
        error_set_errno(error, errno, "-g %s: cannot wait for a debugger there", where);
        return NULL;
    }
    close(listener);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    Gdb *gdb = NEW(Gdb);
    gdb->target = target;
    gdb->data = data;
    gdb->fd = fd;
    return gdb;
}

void gdb_free(Gdb *gdb)
{
    if (gdb) {
        close(gdb->fd);
        strbuf_free(&gdb->reply);
        free(gdb);
    }
}

int gdb_fd(const Gdb *gdb)
{
    return gdb->fd;
}

bool gdb_wants_stop(Gdb *gdb)
{
    enum { INTERRUPT = 3 };
    struct pollfd poll_fd = { gdb->fd, POLLIN, 0 };

    while (!gdb->gone && (gdb->input_used < gdb->input_count || poll(&poll_fd, 1, 0) > 0)) {
        if (read_byte(gdb) == INTERRUPT) {
            return true;
        }
    }
    return gdb->gone;
}
