/* Real sockets: servers, clients, peers that go and come, descriptors, telnet, refusals. */
#include "char_bench.h"

#include "base/files.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static char *folder;

static struct sockaddr_un unix_address(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    g_assert_cmpuint(strlen(path), <, sizeof address.sun_path);
    strcpy(address.sun_path, path);
    return address;
}

static int connect_unix(const char *path)
{
    struct sockaddr_un address = unix_address(path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    g_assert_cmpint(connect(fd, (struct sockaddr *)&address, sizeof address), ==, 0);
    return fd;
}

static int listen_unix(const char *path)
{
    struct sockaddr_un address = unix_address(path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    unlink(path);
    g_assert_cmpint(bind(fd, (struct sockaddr *)&address, sizeof address), ==, 0);
    g_assert_cmpint(listen(fd, 4), ==, 0);
    return fd;
}

/* The port that a TCP server's filename names. */
static uint16_t port_of(CharDevice *device)
{
    g_autofree char *name = char_filename(device);
    const char *at = strstr(name, "127.0.0.1:");
    g_assert_nonnull(at);
    return strtoul(at + strlen("127.0.0.1:"), NULL, 10);
}

static int connect_tcp(uint16_t port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    g_assert_cmpint(connect(fd, (struct sockaddr *)&address, sizeof address), ==, 0);
    return fd;
}

static void write_text(int fd, const char *text)
{
    g_assert_cmpint(write(fd, text, strlen(text)), ==, (ssize_t)strlen(text));
}

static void test_unix_server(void)
{
    Bench bench;
    BenchFrontend frontend;
    g_autofree char *path = g_build_filename(folder, "server", NULL);
    bench_init(&bench);
    CharDevice *device = bench_char(&bench, "socket,id=s,path=%s,server=on,wait=off", path);
    bench_attach(&bench, &frontend, device);
    g_autofree char *idle = char_filename(device);
    g_autofree char *expected = g_strdup_printf("disconnected:unix:%s,server=on", path);
    g_assert_cmpstr(idle, ==, expected);
    bench_send(&frontend, "nobody there");
    for (unsigned round = 1; round <= 2; round++) {
        int peer = connect_unix(path);
        bench_wait(&bench, &frontend.opened, round);
        g_autofree char *name = char_filename(device);
        g_assert_cmpstr(name, ==, expected + strlen("disconnected:"));
        write_text(peer, "hello");
        bench_expect(&frontend, "hello");
        bench_send(&frontend, "world");
        bench_read(&bench, peer, "world");
        close(peer);
        bench_wait(&bench, &frontend.closed, round);
        strbuf_clear(&frontend.received);
    }
    bench_detach(&frontend);
    bench_finish(&bench);
    g_assert_cmpint(access(path, F_OK), ==, -1);
}

static void test_abstract(void)
{
    Bench bench;
    BenchFrontend frontend;
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int length = snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "myna-test-%d", (int)getpid());
    bench_init(&bench);
    bench_attach(&bench, &frontend,
                 bench_char(&bench, "socket,id=s,path=%s,abstract=on,server=on,wait=off", address.sun_path + 1));
    int peer = socket(AF_UNIX, SOCK_STREAM, 0);
    g_assert_cmpint(connect(peer, (struct sockaddr *)&address,
                            offsetof(struct sockaddr_un, sun_path) + 1 + length), ==, 0);
    bench_wait(&bench, &frontend.opened, 1);
    close(peer);
    bench_detach(&frontend);
    bench_finish(&bench);
}

static void test_tcp_range(void)
{
    Bench bench;
    BenchFrontend first, second;
    bench_init(&bench);
    CharDevice *a = bench_char(&bench, "socket,id=a,host=127.0.0.1,port=0,server=on,wait=off");
    uint16_t port = port_of(a);
    CharDevice *b = bench_char(&bench, "socket,id=b,host=127.0.0.1,port=%u,to=%u,server=on,wait=off,nodelay=on", port,
                               MIN(port + 50, 65535));
    g_assert_cmpuint(port_of(b), >, port);
    bench_attach(&bench, &first, a);
    bench_attach(&bench, &second, b);
    int peer = connect_tcp(port_of(b));
    write_text(peer, "x");
    bench_expect(&second, "x");
    g_autofree char *name = char_filename(b);
    g_assert_nonnull(strstr(name, ",server=on <-> 127.0.0.1:"));
    g_assert_cmpuint(first.opened, ==, 0);
    close(peer);
    bench_detach(&first);
    bench_detach(&second);
    bench_finish(&bench);
}

/* With the loop running, for the peer may still have to connect. */
static int accept_peer(Bench *bench, int listener)
{
    fcntl(listener, F_SETFL, O_NONBLOCK);
    for (unsigned i = 0; i < 10000; i++) {
        int fd = accept(listener, NULL, NULL);
        if (fd >= 0) {
            return fd;
        }
        loop_iterate(bench->host.loop, 10000000);
    }
    g_error("nobody connected");
}

static void test_client(void)
{
    Bench bench;
    BenchFrontend frontend;
    g_autofree char *path = g_build_filename(folder, "peer", NULL);
    bench_init(&bench);
    int listener = listen_unix(path);
    bench_attach(&bench, &frontend, bench_char(&bench, "socket,id=c,path=%s,reconnect-ms=20", path));
    for (unsigned round = 1; round <= 3; round++) {
        int peer = accept_peer(&bench, listener);
        bench_wait(&bench, &frontend.opened, round);
        bench_send(&frontend, "again");
        bench_read(&bench, peer, "again");
        close(peer);
        if (round == 2) { /* nobody listens for a while */
            close(listener);
            bench_wait(&bench, &frontend.closed, round);
            for (unsigned i = 0; i < 5; i++) {
                loop_iterate(bench.host.loop, 30000000);
            }
            listener = listen_unix(path);
        }
        bench_wait(&bench, &frontend.closed, round);
    }
    close(listener);
    bench_detach(&frontend);
    bench_finish(&bench);
}

static void test_descriptor(void)
{
    Bench bench;
    BenchFrontend frontend;
    int ends[2];
    bench_init(&bench);
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), ==, 0);
    bench_attach(&bench, &frontend, bench_char(&bench, "socket,id=f,fd=%d", ends[0]));
    g_assert_cmpuint(frontend.opened, ==, 1);
    write_text(ends[1], "in");
    bench_expect(&frontend, "in");
    close(ends[1]);
    bench_wait(&bench, &frontend.closed, 1);
    bench_detach(&frontend);

    g_autofree char *path = g_build_filename(folder, "inherited", NULL);
    bench_attach(&bench, &frontend, bench_char(&bench, "socket,id=l,fd=%d,server=on,wait=off", listen_unix(path)));
    int peer = connect_unix(path);
    bench_wait(&bench, &frontend.opened, 1);
    close(peer);
    bench_detach(&frontend);
    bench_finish(&bench);
}

static void send_descriptor(int socket, int fd, const char *text)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = { 0 };
    struct iovec vector = { .iov_base = (char *)text, .iov_len = strlen(text) };
    struct msghdr message = {
        .msg_iov = &vector,
        .msg_iovlen = 1,
        .msg_control = control.bytes,
        .msg_controllen = sizeof control,
    };
    struct cmsghdr *item = CMSG_FIRSTHDR(&message);
    item->cmsg_level = SOL_SOCKET;
    item->cmsg_type = SCM_RIGHTS;
    item->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(item), &fd, sizeof fd);
    g_assert_cmpint(sendmsg(socket, &message, 0), ==, (ssize_t)strlen(text));
}

static void test_passed_descriptors(void)
{
    Bench bench;
    BenchFrontend frontend;
    int ends[2], pair[2];
    bench_init(&bench);
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), ==, 0);
    g_assert_cmpint(pipe(pair), ==, 0);
    bench_attach(&bench, &frontend, bench_char(&bench, "socket,id=f,fd=%d", ends[0]));
    g_assert_cmpint(char_take_fd(&frontend.frontend), ==, -1);
    for (unsigned i = 0; i < 100; i++) { /* more than are kept */
        send_descriptor(ends[1], pair[1], "x");
        bench_settle(&bench);
    }
    int got = char_take_fd(&frontend.frontend), count = 0;
    g_assert_cmpint(got, >=, 0);
    write_text(got, "through");
    bench_read(&bench, pair[0], "through");
    for (; got >= 0; got = char_take_fd(&frontend.frontend)) {
        g_assert_cmpint(fcntl(got, F_GETFD), ==, FD_CLOEXEC);
        close(got);
        count++;
    }
    g_assert_cmpint(count, ==, 16);
    send_descriptor(ends[1], pair[1], "y"); /* goes with the device */
    bench_settle(&bench);
    bench_detach(&frontend);
    bench_finish(&bench);
    close(ends[1]);
    close(pair[0]);
    close(pair[1]);
}

static void test_telnet(void)
{
    Bench bench;
    BenchFrontend frontend;
    bench_init(&bench);
    CharDevice *device = bench_char(&bench, "socket,id=t,host=127.0.0.1,port=0,telnet=on,server=on,wait=off");
    bench_attach(&bench, &frontend, device);
    int peer = connect_tcp(port_of(device));
    bench_read(&bench, peer, "\377\373\001\377\373\003\377\373");
    write_text(peer, "a\377\375\001b\377\363c");
    bench_expect(&frontend, "abc");
    g_assert_cmpuint(frontend.breaks, ==, 1);
    bench_send(&frontend, "x\377y\377");
    bench_read(&bench, peer, "x\377\377y\377\377");
    close(peer);
    bench_detach(&frontend);
    bench_finish(&bench);
}

/* Until somebody listens: the server is made meanwhile. */
static void *connect_later(void *path)
{
    struct sockaddr_un address = unix_address(path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    while (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        g_assert_true(errno == ENOENT || errno == ECONNREFUSED);
        g_usleep(5000);
    }
    return GINT_TO_POINTER(fd);
}

static void test_wait(void)
{
    Bench bench;
    BenchFrontend frontend;
    g_autofree char *path = g_build_filename(folder, "waited", NULL);
    bench_init(&bench);
    GThread *thread = g_thread_new("peer", connect_later, path);
    bench_attach(&bench, &frontend, bench_char(&bench, "socket,id=w,path=%s,server=on", path));
    g_assert_cmpuint(frontend.opened, ==, 1);
    close(GPOINTER_TO_INT(g_thread_join(thread)));
    bench_detach(&frontend);
    bench.interrupted = true;
    g_autofree char *message = bench_refused(&bench, "socket,id=v,path=%s,server=on", path);
    g_assert_nonnull(strstr(message, "gave up waiting"));
    bench_finish(&bench);
}

/* A socket that a dead process left is replaced; a file is not. */
static void test_stale(void)
{
    Bench bench;
    g_autofree char *path = g_build_filename(folder, "stale", NULL), *file = g_build_filename(folder, "file", NULL);
    bench_init(&bench);
    close(listen_unix(path));
    bench_char(&bench, "socket,id=s,path=%s,server=on,wait=off", path);
    g_assert_true(g_file_set_contents(file, "precious", -1, NULL));
    g_autofree char *message = bench_refused(&bench, "socket,id=f,path=%s,server=on,wait=off", file);
    g_assert_nonnull(strstr(message, file));
    g_assert_true(g_file_test(file, G_FILE_TEST_IS_REGULAR));
    bench_finish(&bench);
}

static void test_refused(void)
{
    static const struct {
        const char *options, *message;
    } rows[] = {
        { "path=/nowhere/s", "/nowhere/s" },
        { "path=/nowhere/s,server=on,wait=off", "/nowhere/s" },
        { "host=127.0.0.1,port=1", "127.0.0.1:1" },
        { "host=127.0.0.1,port=http-but-not-quite", "http-but-not-quite" },
        { "host=127.0.0.1", "one of 'path', 'port'" },
        { "path=/tmp/a,port=1", "one of" },
        { "fd=none-such", "none-such" },
        { "fd=999", "999" },
        { "path=/tmp/a,wait=off", "server=on" },
        { "host=127.0.0.1,port=1,to=3", "server=on" },
        { "host=127.0.0.1,port=9,to=3,server=on", "less than" },
        { "path=/tmp/a,server=on,reconnect-ms=1", "server=off" },
        { "path=/tmp/a,reconnect=1,reconnect-ms=1", "exclude" },
        { "path=/tmp/a,reconnect-ms=-1", "reconnect-ms" },
        { "host=127.0.0.1,port=1,ipv4=off,ipv6=off", "cannot both" },
        { "host=127.0.0.1,port=1,tls-creds=t", "tls-creds" },
    };
    Bench bench;
    bench_init(&bench);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        g_autofree char *message = bench_refused(&bench, "socket,id=a,%s", rows[i].options);
        if (!strstr(message, rows[i].message)) {
            g_error("%s: %s", rows[i].options, message);
        }
    }
    g_autofree char *long_path = g_strnfill(200, 'p');
    g_autofree char *message = bench_refused(&bench, "socket,id=a,path=%s", long_path);
    g_assert_nonnull(strstr(message, "longer"));
    bench_finish(&bench);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    folder = g_dir_make_tmp("myna-socket-XXXXXX", NULL);
    g_test_add_func("/socket/unix-server", test_unix_server);
    g_test_add_func("/socket/abstract", test_abstract);
    g_test_add_func("/socket/tcp-range", test_tcp_range);
    g_test_add_func("/socket/client", test_client);
    g_test_add_func("/socket/descriptor", test_descriptor);
    g_test_add_func("/socket/passed-descriptors", test_passed_descriptors);
    g_test_add_func("/socket/telnet", test_telnet);
    g_test_add_func("/socket/wait", test_wait);
    g_test_add_func("/socket/stale", test_stale);
    g_test_add_func("/socket/refused", test_refused);
    int status = g_test_run();
    g_autofree char *command = g_strdup_printf("rm -rf '%s'", folder);
    g_assert_cmpint(system(command), ==, 0);
    g_free(folder);
    return status;
}
