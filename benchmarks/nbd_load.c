/*
 * A load for an NBD server, of nothing else than requests: `nbd-load SOCKET read|write random|next BYTES DEPTH COUNT`
 * keeps DEPTH requests of BYTES under way until COUNT are done, and prints how many that were in a second. SOCKET is a
 * path, or a port of this host. It speaks the oldest way of the protocol that all servers know.
 */
#include "base/bytes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { HEADER = 28, REPLY = 16, BUFFER = 1 << 20, GREETING = 18, EXPORT = 10 };

typedef struct Load {
    int fd;
    bool write, random;
    uint64_t size, bytes, next, seed;
    unsigned long sent, done, count;
    uint8_t *out, *in;
} Load;

static void fail(const char *what)
{
    fprintf(stderr, "nbd-load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void send_all(int fd, const uint8_t *bytes, size_t count)
{
    while (count > 0) {
        ssize_t sent = send(fd, bytes, count, MSG_NOSIGNAL);
        if (sent < 0) {
            fail("sending");
        }
        bytes += sent;
        count -= (size_t)sent;
    }
}

static void receive(int fd, uint8_t *bytes, size_t count)
{
    if (recv(fd, bytes, count, MSG_WAITALL) != (ssize_t)count) {
        fail("receiving");
    }
}

static bool connect_to(Load *load, const char *name)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    struct sockaddr_in port = { .sin_family = AF_INET, .sin_port = htons((uint16_t)strtoul(name, NULL, 10)),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int on = 1;
    if (*name == '/') {
        snprintf(address.sun_path, sizeof address.sun_path, "%s", name);
        load->fd = socket(AF_UNIX, SOCK_STREAM, 0);
        return load->fd >= 0 && connect(load->fd, (struct sockaddr *)&address, sizeof address) == 0;
    }
    load->fd = socket(AF_INET, SOCK_STREAM, 0);
    return load->fd >= 0 && setsockopt(load->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0 &&
           connect(load->fd, (struct sockaddr *)&port, sizeof port) == 0;
}

static void open_export(Load *load, const char *name)
{
    uint8_t bytes[GREETING], choice[4 + 16] = { 0 };
    if (!connect_to(load, name)) {
        fail(name);
    }
    receive(load->fd, bytes, GREETING);
    choice[3] = 3; /* fixed newstyle, no zeroes */
    memcpy(choice + 4, "IHAVEOPT", 8);
    store_be32(choice + 12, 1); /* NBD_OPT_EXPORT_NAME, of no length */
    send_all(load->fd, choice, sizeof choice);
    receive(load->fd, bytes, EXPORT);
    load->size = load_be64(bytes);
}

static uint64_t next_offset(Load *load)
{
    uint64_t blocks = load->size / load->bytes;
    load->seed = load->seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
    uint64_t block = load->random ? (load->seed >> 20) % blocks : load->next++ % blocks;
    return block * load->bytes;
}

/* Those that the last replies made room for, in one go. */
static void send_requests(Load *load, unsigned depth)
{
    size_t length = 0;
    while (load->sent < load->count && load->sent - load->done < depth) {
        uint8_t *header = load->out + length;
        store_be32(header, 0x25609513);
        store_be32(header + 4, load->write);
        store_be64(header + 8, load->sent);
        store_be64(header + 16, next_offset(load));
        store_be32(header + 24, (uint32_t)load->bytes);
        length += HEADER + (load->write ? load->bytes : 0);
        load->sent++;
    }
    send_all(load->fd, load->out, length);
}

/* What comes may end within a reply: how much of it is left over. */
static size_t take_replies(Load *load, size_t have)
{
    size_t whole = REPLY + (load->write ? 0 : load->bytes), at = 0;
    for (; have - at >= whole; at += whole) {
        if (load_be32(load->in + at) != 0x67446698 || load_be32(load->in + at + 4) != 0) {
            errno = EPROTO;
            fail("a reply");
        }
        load->done++;
    }
    memmove(load->in, load->in + at, have - at);
    return have - at;
}

static void run(Load *load, unsigned depth)
{
    size_t have = 0;
    while (load->done < load->count) {
        send_requests(load, depth);
        ssize_t came = recv(load->fd, load->in + have, BUFFER + load->bytes - have, 0);
        if (came <= 0) {
            fail("receiving");
        }
        have = take_replies(load, have + (size_t)came);
    }
}

int main(int count, char **words)
{
    if (count != 7) {
        fprintf(stderr, "usage: nbd-load SOCKET read|write random|next BYTES DEPTH COUNT\n");
        return 2;
    }
    Load load = { .write = strcmp(words[2], "write") == 0, .random = strcmp(words[3], "random") == 0,
                  .bytes = strtoul(words[4], NULL, 0), .count = strtoul(words[6], NULL, 0) };
    unsigned depth = (unsigned)strtoul(words[5], NULL, 0);
    struct timespec start, end;
    open_export(&load, words[1]);
    load.out = calloc(depth, HEADER + load.bytes);
    load.in = malloc(BUFFER + load.bytes + REPLY);
    if (!load.out || !load.in || !load.bytes || load.size < load.bytes) {
        fail("memory");
    }
    clock_gettime(CLOCK_MONOTONIC, &start);
    run(&load, depth);
    clock_gettime(CLOCK_MONOTONIC, &end);
    double seconds = (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) / 1e9;
    printf("%.0f\n", (double)load.count / seconds);
    free(load.out);
    free(load.in);
    return 0;
}
