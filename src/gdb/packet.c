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
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { INTERRUPT = 3 };

void gdb_link_init(GdbLink *link, int fd)
{
    link->fd = fd;
    link->received = -1;
    link->no_acknowledge = link->gone = false;
    link->input_used = link->input_count = link->length = 0;
}

/* A file descriptor comes with the first byte of what it was sent with. */
static ssize_t receive(GdbLink *link)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec vector = { link->input, sizeof link->input };
    struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control,
                              .msg_controllen = sizeof control };
    ssize_t count = recvmsg(link->fd, &message, MSG_CMSG_CLOEXEC);
    const struct cmsghdr *header = count > 0 ? CMSG_FIRSTHDR(&message) : NULL;

    if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
        if (link->received >= 0) {
            close(link->received);
        }
        memcpy(&link->received, CMSG_DATA(header), sizeof link->received);
    }
    return count;
}

static int read_byte(GdbLink *link)
{
    if (link->input_used == link->input_count) {
        ssize_t count;
        do {
            count = receive(link);
        } while (count < 0 && errno == EINTR);
        if (count <= 0) {
            link->gone = true;
            return -1;
        }
        link->input_used = 0;
        link->input_count = (size_t)count;
    }
    return link->input[link->input_used++];
}

static void write_all(GdbLink *link, const char *bytes, size_t size, int fd)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = { .header = { CMSG_LEN(sizeof fd), SOL_SOCKET, SCM_RIGHTS } };

    memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
    for (size_t done = 0; done < size && !link->gone;) {
        struct iovec vector = { (char *)bytes + done, size - done };
        struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1 };
        if (fd >= 0 && !done) {
            message.msg_control = &control;
            message.msg_controllen = sizeof control;
        }
        ssize_t count = sendmsg(link->fd, &message, MSG_NOSIGNAL);
        if (count < 0 && errno != EINTR) {
            link->gone = true;
        }
        done += count > 0 ? (size_t)count : 0;
    }
}

/* Behind the $: false where it is longer than we take, or its sum is wrong. */
static bool read_body(GdbLink *link)
{
    size_t length = 0;
    uint8_t sum = 0;
    char digits[3] = { 0 };
    int byte;

    while ((byte = read_byte(link)) >= 0 && byte != '#') {
        sum = (uint8_t)(sum + byte);
        if (byte == '}') {
            byte = read_byte(link);
            sum = (uint8_t)(sum + byte);
            byte ^= 0x20;
        }
        if (length < GDB_PACKET_MAXIMUM) {
            link->packet[length] = (char)byte;
        }
        length++;
    }
    digits[0] = (char)read_byte(link);
    digits[1] = (char)read_byte(link);
    if (length > GDB_PACKET_MAXIMUM || strtoul(digits, NULL, 16) != sum) {
        return false;
    }
    link->packet[length] = 0;
    link->length = length;
    return true;
}

GdbItem gdb_link_next(GdbLink *link)
{
    while (!link->gone) {
        int byte = read_byte(link);
        if (byte == INTERRUPT) {
            return GDB_ITEM_INTERRUPT;
        }
        if (byte != '$') {
            continue; /* acknowledgements */
        }
        bool good = read_body(link);
        if (!link->no_acknowledge) {
            write_all(link, good ? "+" : "-", 1, -1);
        }
        if (good && !link->gone) {
            return GDB_ITEM_PACKET;
        }
    }
    return GDB_ITEM_END;
}

bool gdb_link_packet(GdbLink *link)
{
    GdbItem item;

    do {
        item = gdb_link_next(link);
    } while (item == GDB_ITEM_INTERRUPT); /* all stands already */
    return item == GDB_ITEM_PACKET;
}

bool gdb_link_ready(GdbLink *link)
{
    struct pollfd poll_fd = { link->fd, POLLIN, 0 };
    return link->input_used < link->input_count || poll(&poll_fd, 1, 0) > 0;
}

void gdb_link_write(GdbLink *link, const char *bytes, size_t size, int fd)
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
    write_all(link, strbuf_text(&packet), packet.length, fd);
}

void gdb_link_write_text(GdbLink *link, const char *text)
{
    gdb_link_write(link, text, strlen(text), -1);
}

void gdb_link_interrupt(GdbLink *link)
{
    const char byte = INTERRUPT;
    write_all(link, &byte, 1, -1);
}

/* -- what packets are made of -------------------------------------------------------------------------------------- */

void gdb_append_hex(StrBuf *text, const void *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        strbuf_printf(text, "%02x", ((const uint8_t *)bytes)[i]);
    }
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

size_t gdb_parse_hex(const char *text, uint8_t *bytes, size_t size)
{
    size_t i = 0;

    for (; i < size && hex_digit(text[2 * i]) >= 0 && hex_digit(text[2 * i + 1]) >= 0; i++) {
        bytes[i] = (uint8_t)(hex_digit(text[2 * i]) << 4 | hex_digit(text[2 * i + 1]));
    }
    return i;
}

uint64_t gdb_parse_number(char **at)
{
    uint64_t value = strtoull(*at, at, 16);
    *at += **at == ',' || **at == ':' || **at == ';' || **at == '=';
    return value;
}

bool gdb_can(const char *words, const char *name)
{
    size_t length = strlen(name);

    for (const char *at = words; at; at = strpbrk(at, ";:")) {
        at += *at == ';' || *at == ':';
        if (!strncmp(at, name, length) && at[length] == '+' && (at[length + 1] == ';' || !at[length + 1])) {
            return true;
        }
    }
    return false;
}

static const char *parse_id(const char *text, int *id)
{
    char *end = (char *)text + 2;

    *id = -1;
    if (strncmp(text, "-1", 2)) {
        *id = (int)strtoul(text, &end, 16);
    }
    return end;
}

const char *gdb_parse_thread(const char *text, int *process, int *thread)
{
    int ignored;

    if (*text != 'p') {
        return parse_id(text, thread);
    }
    text = parse_id(text + 1, process ? process : &ignored);
    *thread = -1;
    return *text == '.' ? parse_id(text + 1, thread) : text;
}

/* -- connecting ---------------------------------------------------------------------------------------------------- */

/* The descriptor, which is closed where nobody can wait there. */
static int listen_at(int fd, const void *address, socklen_t size)
{
    if (fd < 0 || (!bind(fd, address, size) && !listen(fd, 1))) {
        return fd;
    }
    int number = errno;
    close(fd);
    errno = number;
    return -1;
}

/* A socket that was left there is no hindrance; any other file is. */
static int listen_path(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    struct stat s;

    if (strlen(path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    strcpy(address.sun_path, path);
    if (!lstat(path, &s) && S_ISSOCK(s.st_mode)) {
        unlink(path);
    }
    return listen_at(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), &address, sizeof address);
}

/* PORT, or ADDRESS:PORT with a numeric address; the machine's own else. */
static int listen_port(const char *where)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    const char *colon = strrchr(where, ':');
    AUTO_FREE char *host = string_copy_length(where, colon ? (size_t)(colon - where) : 0);
    unsigned long port = strtoul(colon ? colon + 1 : where, NULL, 10);
    bool known = !*host || !strcmp(host, "localhost") || inet_pton(AF_INET, host, &address.sin_addr) == 1;
    int on = 1;

    if (port > UINT16_MAX || !known) {
        errno = EINVAL;
        return -1;
    }
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    address.sin_port = htons((uint16_t)port);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    return listen_at(fd, &address, sizeof address);
}

static bool is_port(const char *where)
{
    const char *colon = strrchr(where, ':'), *digits = colon ? colon + 1 : where;
    return *digits && strspn(digits, "0123456789") == strlen(digits) && !strchr(where, '/');
}

int gdb_listen(const char *option, const char *where, Error **error)
{
    int listener = is_port(where) ? listen_port(where) : listen_path(where);

    if (listener < 0) {
        error_set_errno(error, errno, "%s %s: cannot wait for a debugger there", option, where);
    }
    return listener;
}

int gdb_accept(int listener)
{
    int on = 1, fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

    if (fd >= 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    return fd;
}

Gdb *gdb_new(int fd, bool is_channel, const GdbTarget *target, void *data)
{
    Gdb *gdb = NEW(Gdb);

    gdb->target = target;
    gdb->data = data;
    gdb_link_init(&gdb->link, fd);
    gdb->link.no_acknowledge = is_channel;
    return gdb;
}

void gdb_free(Gdb *gdb)
{
    if (gdb) {
        close(gdb->link.fd);
        strbuf_free(&gdb->reply);
        free(gdb);
    }
}

int gdb_fd(const Gdb *gdb)
{
    return gdb->link.fd;
}

bool gdb_has_input(const Gdb *gdb)
{
    return gdb->link.input_used < gdb->link.input_count;
}

bool gdb_follows_forks(const Gdb *gdb)
{
    return gdb->forks;
}

bool gdb_wants_stop(Gdb *gdb)
{
    GdbLink *link = &gdb->link;

    while (!link->gone && gdb_link_ready(link)) {
        if (gdb_link_next(link) == GDB_ITEM_INTERRUPT) {
            return true;
        }
    }
    return link->gone;
}
