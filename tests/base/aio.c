/* Files without waiting, by each of the host's interfaces, and with small writes done at once: what is written is read,
 * in more requests than the host takes at once, and errors come through. */
#include "base/error.h"
#include "base/host/aio.h"
#include "base/host/host.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <unistd.h>

enum { PIECE = 4096, PIECES = 100, DEPTH = 8 };

typedef struct Piece {
    HostAioRequest request;
    struct iovec vectors[2];
    uint8_t bytes[PIECE];
    unsigned *left;
    int64_t result;
} Piece;

static void ended(HostAioRequest *request, int64_t result)
{
    Piece *piece = (Piece *)request;
    --*piece->left;
    piece->result = result;
}

static void begin(HostAio *aio, Piece *piece, HostAioOperation operation, int fd, uint64_t offset, unsigned *left)
{
    piece->vectors[0] = (struct iovec){ piece->bytes, 1000 };
    piece->vectors[1] = (struct iovec){ piece->bytes + 1000, PIECE - 1000 };
    piece->left = left;
    ++*left;
    piece->request = (HostAioRequest){ .operation = operation, .fd = fd, .offset = offset, .vectors = piece->vectors,
                                       .vector_count = 2, .stable = offset == 5 * PIECE, .cached = true,
                                       .done = ended };
    host_aio_add(aio, &piece->request);
}

static void wait_for(HostAio *aio, const unsigned *left)
{
    HostPoller *poller = host_poller_new(NULL);
    HostPollEvent event;
    g_assert_true(host_poller_set(poller, host_aio_fd(aio), HOST_POLL_IN, NULL, NULL));
    host_aio_send(aio);
    for (unsigned empty = 0; *left > 0;) { /* the kernel's own work on a ring may end a wait early */
        int events = host_poller_wait(poller, &event, 1, INT64_C(1000000000));
        g_assert_cmpint(events, >=, 0);
        empty += events == 0;
        g_assert_cmpuint(empty, <, 100);
        host_aio_reap(aio);
    }
    host_poller_free(poller);
}

static void run(HostAio *aio, int fd)
{
    Piece *pieces = g_new0(Piece, PIECES);
    unsigned left = 0;
    for (unsigned i = 0; i < PIECES; i++) {
        memset(pieces[i].bytes, (int)i + 1, PIECE);
        begin(aio, &pieces[i], HOST_AIO_WRITE, fd, i * (uint64_t)PIECE, &left);
    }
    wait_for(aio, &left);
    for (unsigned i = 0; i < PIECES; i++) {
        g_assert_cmpint(pieces[i].result, ==, PIECE);
    }
    begin(aio, &pieces[0], HOST_AIO_SYNC, fd, 0, &left);
    wait_for(aio, &left);
    g_assert_true(pieces[0].result == 0 || pieces[0].result == -EINVAL); /* old hosts cannot wait for files so */
    for (unsigned i = 0; i < PIECES; i++) {
        memset(pieces[i].bytes, 0, PIECE);
        begin(aio, &pieces[i], HOST_AIO_READ, fd, i * (uint64_t)PIECE, &left);
    }
    wait_for(aio, &left);
    for (unsigned i = 0; i < PIECES; i++) {
        g_assert_cmpint(pieces[i].result, ==, PIECE);
        g_assert_cmpuint(pieces[i].bytes[0], ==, i + 1);
        g_assert_cmpuint(pieces[i].bytes[PIECE - 1], ==, i + 1);
    }
    begin(aio, &pieces[0], HOST_AIO_READ, fd, PIECES * (uint64_t)PIECE - 100, &left); /* up to the end */
    begin(aio, &pieces[1], HOST_AIO_READ, -1, 0, &left);
    wait_for(aio, &left);
    g_assert_cmpint(pieces[0].result, ==, 100);
    g_assert_cmpint(pieces[1].result, ==, -EBADF);
    g_free(pieces);
}

typedef struct Way {
    HostAioKind kind;
    bool eager;
} Way;

static void test_aio(const void *data)
{
    AUTO_ERROR(error);
    const Way *way = data;
    HostAio *aio = host_aio_new(way->kind, DEPTH, &error);
    if (!aio) { /* the host may forbid it */
        g_test_skip(error_message(error));
        return;
    }
    HostEager eager = { .most = way->eager ? UINT64_MAX : 0 };
    host_aio_set_eager(aio, &eager);
    char path[] = "/tmp/aio-XXXXXX";
    int fd = g_mkstemp(path);
    g_assert_cmpint(fd, >=, 0);
    run(aio, fd);
    host_aio_free(aio);
    close(fd);
    g_unlink(path);
}

int main(int argc, char **argv)
{
    static const Way ring = { HOST_AIO_RING, false }, eager = { HOST_AIO_RING, true };
    static const Way native = { HOST_AIO_NATIVE, false };
    g_test_init(&argc, &argv, NULL);
    g_test_add_data_func("/aio/ring", &ring, test_aio);
    g_test_add_data_func("/aio/eager", &eager, test_aio);
    g_test_add_data_func("/aio/native", &native, test_aio);
    return g_test_run();
}
