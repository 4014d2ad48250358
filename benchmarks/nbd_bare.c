/*
 * The least that an NBD server can do: `nbd-bare SOCKET FILE` serves a file's bytes out of memory to one client after
 * the other, by the way of the protocol that nbd_load.c speaks. What it takes is what sockets and copying cost; a
 * server of images cannot be quicker than this.
 */
#include "base/bytes.h"
#include "base/vec.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { HEADER = 28, REPLY = 16, BUFFER = 256 << 10, OPTION = 20, PIECES = 128 };

typedef struct Bare {
    int fd;
    uint8_t *disk;
    uint64_t size;
    uint8_t *in; /* what came, from `start` on */
    size_t start, end;
    struct iovec pieces[PIECES];
    unsigned piece_count;
    uint8_t replies[PIECES / 2][REPLY];
} Bare;

static void fail(const char *what)
{
    fprintf(stderr, "nbd-bare: %s: %s\n", what, strerror(errno));
    exit(1);
}

static bool send_all(Bare *bare)
{
    struct msghdr message = { .msg_iov = bare->pieces, .msg_iovlen = bare->piece_count };
    while (message.msg_iovlen > 0) {
        ssize_t sent = sendmsg(bare->fd, &message, MSG_NOSIGNAL);
        if (sent < 0) {
            return false;
        }
        while (message.msg_iovlen > 0 && (size_t)sent >= message.msg_iov->iov_len) {
            sent -= (ssize_t)message.msg_iov->iov_len;
            message.msg_iov++;
            message.msg_iovlen--;
        }
        if (message.msg_iovlen > 0) {
            message.msg_iov->iov_base = (char *)message.msg_iov->iov_base + sent;
            message.msg_iov->iov_len -= (size_t)sent;
        }
    }
    bare->piece_count = 0;
    return true;
}

static bool take(Bare *bare, uint8_t *to, size_t count)
{
    size_t have = MIN(bare->end - bare->start, count);
    memcpy(to, bare->in + bare->start, have);
    bare->start += have;
    return have == count || recv(bare->fd, to + have, count - have, MSG_WAITALL) == (ssize_t)(count - have);
}

/* A whole header is there: the request is done, and its reply made. */
static bool serve_request(Bare *bare)
{
    uint8_t *header = bare->in + bare->start, *reply = bare->replies[bare->piece_count / 2];
    unsigned command = load_be16(header + 6);
    uint64_t offset = load_be64(header + 16), length = load_be32(header + 24);
    store_be32(reply, 0x67446698);
    store_be32(reply + 4, 0);
    memcpy(reply + 8, header + 8, 8);
    bare->start += HEADER;
    if (command > 1 || length > bare->size || offset > bare->size - length) {
        return false;
    }
    bare->pieces[bare->piece_count++] = (struct iovec){ reply, REPLY };
    if (command == 1) {
        return take(bare, bare->disk + offset, length);
    }
    bare->pieces[bare->piece_count++] = (struct iovec){ bare->disk + offset, length };
    return true;
}

static bool serve_requests(Bare *bare)
{
    memmove(bare->in, bare->in + bare->start, bare->end - bare->start);
    bare->end -= bare->start;
    bare->start = 0;
    ssize_t came = recv(bare->fd, bare->in + bare->end, BUFFER - bare->end, 0);
    if (came <= 0) {
        return false;
    }
    bare->end += (size_t)came;
    while (bare->end - bare->start >= HEADER) {
        if ((bare->piece_count + 2 > PIECES && !send_all(bare)) || !serve_request(bare)) {
            return false;
        }
    }
    return bare->piece_count == 0 || send_all(bare);
}

static void serve_client(Bare *bare)
{
    static const uint8_t greeting[18] = "NBDMAGICIHAVEOPT\0\3";
    uint8_t answer[4 + OPTION - 4], export[10] = { 0 };
    store_be64(export, bare->size);
    store_be16(export + 8, 1);
    bare->start = bare->end = bare->piece_count = 0;
    if (send(bare->fd, greeting, sizeof greeting, MSG_NOSIGNAL) == sizeof greeting &&
        recv(bare->fd, answer, sizeof answer, MSG_WAITALL) == sizeof answer &&
        send(bare->fd, export, sizeof export, MSG_NOSIGNAL) == sizeof export) {
        while (serve_requests(bare)) {
        }
    }
    close(bare->fd);
}

static void open_disk(Bare *bare, const char *path)
{
    struct stat status;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) < 0) {
        fail(path);
    }
    bare->size = (uint64_t)status.st_size;
    bare->disk = mmap(NULL, bare->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_POPULATE, fd, 0);
    bare->in = malloc(BUFFER);
    if (bare->disk == MAP_FAILED || !bare->in) {
        fail("memory");
    }
    close(fd);
}

int main(int count, char **words)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    Bare bare = { 0 };
    if (count != 3) {
        fprintf(stderr, "usage: nbd-bare SOCKET FILE\n");
        return 2;
    }
    open_disk(&bare, words[2]);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", words[1]);
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) < 0 || listen(listener, 1) < 0) {
        fail(words[1]);
    }
    for (;;) { /* until it is killed */
        bare.fd = accept(listener, NULL, NULL);
        if (bare.fd < 0) {
            fail("accept");
        }
        serve_client(&bare);
    }
}
