/* Sockets: pairs, addresses, options, messages with files in them, and bad pointers. */
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define BAD ((void *)8)

static void show(const char *what, long result)
{
    printf("%s: %ld %s\n", what, result, result < 0 ? strerror(errno) : "");
}

static void pair_and_options(void)
{
    int ends[2], type = 0;
    socklen_t size = sizeof type;
    char bytes[16] = "";

    show("socketpair", socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
    show("socketpair bad", socketpair(AF_UNIX, SOCK_STREAM, 0, BAD));
    show("send", send(ends[0], "hello", 5, 0));
    show("recv", recv(ends[1], bytes, sizeof bytes, 0));
    printf("%s\n", bytes);
    show("getsockopt", getsockopt(ends[0], SOL_SOCKET, SO_TYPE, &type, &size));
    printf("type %d size %u\n", type, (unsigned)size);
    show("getsockopt bad", getsockopt(ends[0], SOL_SOCKET, SO_TYPE, BAD, &size));
    show("getsockopt bad size", getsockopt(ends[0], SOL_SOCKET, SO_TYPE, &type, BAD));
    int one = 1;
    show("setsockopt", setsockopt(ends[0], SOL_SOCKET, SO_PASSCRED, &one, sizeof one));
    show("setsockopt bad", setsockopt(ends[0], SOL_SOCKET, SO_PASSCRED, BAD, sizeof one));
    close(ends[0]);
    close(ends[1]);
}

static void over_tcp(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) }, peer;
    socklen_t size = sizeof address, peer_size = sizeof peer;
    int server = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);
    char bytes[16] = "";

    show("bind", bind(server, (void *)&address, sizeof address));
    show("getsockname", getsockname(server, (void *)&address, &size));
    printf("size %u port %d\n", (unsigned)size, address.sin_port != 0);
    show("listen", listen(server, 1));
    show("connect", connect(client, (void *)&address, sizeof address));
    int accepted = accept4(server, (void *)&peer, &peer_size, SOCK_CLOEXEC);
    printf("accepted %d size %u family %d\n", accepted >= 0, (unsigned)peer_size, peer.sin_family);
    show("getpeername", getpeername(client, (void *)&peer, &peer_size));
    printf("the same port %d\n", peer.sin_port == address.sin_port);
    show("sendto", sendto(client, "over", 4, 0, NULL, 0));
    show("recvfrom", recvfrom(accepted, bytes, sizeof bytes, 0, (void *)&peer, &peer_size));
    printf("%s\n", bytes);
    peer_size = (socklen_t)-1;
    show("getsockname negative", getsockname(client, (void *)&peer, &peer_size));
    close(accepted);
    close(client);
    close(server);
}

/* The end of a pipe goes through a socket. */
static void files_in_messages(void)
{
    int ends[2], channel[2], received = -1;
    char text[] = "ab", first[1], second[4] = "", control[CMSG_SPACE(sizeof(int))] = { 0 };
    struct iovec out = { text, 2 }, in[2] = { { first, 1 }, { second, 3 } };
    struct msghdr message = { .msg_iov = &out, .msg_iovlen = 1, .msg_control = control,
                              .msg_controllen = sizeof control };

    pipe(channel);
    socketpair(AF_UNIX, SOCK_DGRAM, 0, ends);
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    *header = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS };
    memcpy(CMSG_DATA(header), &channel[1], sizeof(int));
    show("sendmsg", sendmsg(ends[0], &message, 0));
    memset(control, 0, sizeof control);
    message = (struct msghdr){ .msg_iov = in, .msg_iovlen = 2, .msg_control = control,
                                .msg_controllen = sizeof control };
    show("recvmsg", recvmsg(ends[1], &message, 0));
    printf("%c %s %d %x\n", first[0], second, message.msg_controllen == CMSG_SPACE(sizeof received), message.msg_flags);
    memcpy(&received, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof received);
    show("write", write(received, "pipe", 4));
    show("read", read(channel[0], second, 3));
    printf("%s\n", second);
    show("sendmsg bad", syscall(SYS_sendmsg, ends[0], BAD, 0));
    in[0].iov_base = BAD;
    message.msg_control = NULL;
    message.msg_controllen = 0;
    show("sendmsg bad vector", sendmsg(ends[0], &message, 0));
    message.msg_iovlen = 5000;
    show("sendmsg long vector", sendmsg(ends[0], &message, 0));
}

/* When a message came, by the old options, which are of words, and by the new ones. */
static void times_in_messages(void)
{
    static const int options[] = { 29, 35, 63, 64 }; /* SO_TIMESTAMP and SO_TIMESTAMPNS, _OLD and _NEW */
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof address;
    int ends[2] = { socket(AF_INET, SOCK_DGRAM, 0), socket(AF_INET, SOCK_DGRAM, 0) }, on = 1, off = 0;

    bind(ends[1], (struct sockaddr *)&address, sizeof address);
    getsockname(ends[1], (struct sockaddr *)&address, &size);
    for (unsigned i = 0; i < sizeof options / sizeof *options; i++) {
        char byte, control[256] __attribute__((aligned(8)));
        struct iovec vector = { &byte, 1 };
        struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1, .msg_control = control,
                                  .msg_controllen = sizeof control };
        size_t length = i < 2 ? 2 * sizeof(long) : 16;
        setsockopt(ends[1], SOL_SOCKET, options[i], &on, sizeof on);
        show("sendto", sendto(ends[0], "x", 1, 0, (struct sockaddr *)&address, sizeof address));
        show("recvmsg", recvmsg(ends[1], &message, 0));
        struct cmsghdr *c = CMSG_FIRSTHDR(&message);
        if (c) {
            int64_t wide = 0;
            long narrow = 0;
            memcpy(&narrow, CMSG_DATA(c), sizeof narrow);
            memcpy(&wide, CMSG_DATA(c), sizeof wide);
            printf("%d %d, length %d, now %d\n", c->cmsg_level, c->cmsg_type, c->cmsg_len == CMSG_LEN(length),
                   labs((long)((i < 2 ? narrow : wide) - time(NULL))) < 100);
        }
        setsockopt(ends[1], SOL_SOCKET, options[i], &off, sizeof off);
    }
}

static void vectors_at_offsets(void)
{
    FILE *file = tmpfile();
    char a[4] = "", b[4] = "";
    struct iovec out[2] = { { "abc", 3 }, { "def", 3 } }, in[2] = { { a, 3 }, { b, 3 } };

    show("pwritev", pwritev(fileno(file), out, 2, 10));
    show("preadv", preadv(fileno(file), in, 2, 11));
    printf("%s %s\n", a, b);
    show("preadv negative", preadv(fileno(file), in, 2, -1));
    fclose(file);
}

static void wait_for_child(void)
{
    siginfo_t info = { 0 };
    pid_t child = fork();

    if (!child) {
        _exit(7);
    }
    show("waitid", waitid(P_PID, (id_t)child, &info, WEXITED));
    printf("%d %d %d\n", info.si_pid == child, info.si_code, info.si_status);
    show("waitid none", waitid(P_ALL, 0, &info, WEXITED));
}

int main(void)
{
    setvbuf(stdout, NULL, _IONBF, 0);
    pair_and_options();
    over_tcp();
    files_in_messages();
    times_in_messages();
    vectors_at_offsets();
    wait_for_child();
}
