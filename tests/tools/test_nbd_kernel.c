/*
 * The nbd program with -c and -d, beside a kernel that is played here: in place of base/host's calls these take the
 * socket, and send requests through it as the kernel's client does.
 */
#include "base/bytes.h"
#include "base/host/nbd.h"
#include "tools/tool.h"

#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SIZE = 1 << 20, REQUEST = 28, REPLY = 16, PIECE = 512, READ = 0, WRITE = 1, LEAVE = 2 };

/* What the played kernel was told and found: one test at a time. */
static struct {
    const char *refusal;
    int socket;
    uint64_t size;
    uint16_t flags;
    bool ran, disconnected;
    uint8_t read[PIECE];
} kernel;

const char *host_nbd_set(int device, int socket, uint64_t size, uint16_t flags)
{
    kernel.socket = socket;
    kernel.size = size;
    kernel.flags = flags;
    return kernel.refusal;
}

static void ask(unsigned command, uint64_t offset, uint8_t *bytes)
{
    uint8_t request[REQUEST + PIECE] = { 0 }, reply[REPLY];
    size_t length = REQUEST + (command == WRITE ? PIECE : 0);
    store_be32(request, 0x25609513);
    store_be16(request + 6, (uint16_t)command);
    store_be64(request + 8, 77);
    store_be64(request + 16, offset);
    store_be32(request + 24, command == LEAVE ? 0 : PIECE);
    memcpy(request + REQUEST, bytes, command == WRITE ? PIECE : 0);
    g_assert_cmpint(send(kernel.socket, request, length, 0), ==, (ssize_t)length);
    if (command == LEAVE) {
        return;
    }
    g_assert_cmpint(recv(kernel.socket, reply, REPLY, MSG_WAITALL), ==, REPLY);
    g_assert_cmphex(load_be32(reply), ==, 0x67446698);
    g_assert_cmpuint(load_be32(reply + 4), ==, 0);
    g_assert_cmpuint(load_be64(reply + 8), ==, 77);
    if (command == READ) {
        g_assert_cmpint(recv(kernel.socket, bytes, PIECE, MSG_WAITALL), ==, PIECE);
    }
}

int host_nbd_run(int device)
{
    uint8_t bytes[PIECE];
    kernel.ran = true;
    ask(READ, 2 * PIECE, kernel.read);
    memset(bytes, 'w', PIECE);
    ask(WRITE, 3 * PIECE, bytes);
    ask(LEAVE, 0, bytes);
    return 0;
}

void host_nbd_disconnect(int device) { kernel.disconnected = true; }

typedef struct Place {
    char *folder, *image, *device, *socket;
} Place;

static void set_up(Place *place, const void *data)
{
    uint8_t *bytes = g_malloc(SIZE);
    memset(bytes, 'i', SIZE);
    memset(&kernel, 0, sizeof kernel);
    place->folder = g_mkdtemp(g_strdup("/tmp/nbd-XXXXXX")); /* a socket's path has room there */
    place->image = g_build_filename(place->folder, "image", NULL);
    place->device = g_build_filename(place->folder, "device", NULL);
    place->socket = g_build_filename(place->folder, "socket", NULL);
    g_assert_true(g_file_set_contents(place->image, (char *)bytes, SIZE, NULL));
    g_assert_true(g_file_set_contents(place->device, "", 0, NULL));
    g_free(bytes);
}

static void tear_down(Place *place, const void *data)
{
    g_unlink(place->image);
    g_unlink(place->device);
    g_assert_cmpint(g_access(place->socket, F_OK), ==, -1);
    g_assert_cmpint(g_rmdir(place->folder), ==, 0);
    g_free(place->folder);
    g_free(place->image);
    g_free(place->device);
    g_free(place->socket);
}

static int connect_device(const Place *place, char *device)
{
    char *words[] = { "-v", "-k", place->socket, "-f", "raw", "-x", "name", "-c", device, place->image };
    return nbd_main("nbd", G_N_ELEMENTS(words), words);
}

static void test_connect(Place *place, const void *data)
{
    g_autofree char *bytes = NULL;
    gsize count = 0;
    g_assert_cmpint(connect_device(place, place->device), ==, 0);
    g_assert_true(kernel.ran);
    g_assert_cmpuint(kernel.size, ==, SIZE);
    g_assert_cmphex(kernel.flags & 0x3, ==, 1); /* it has flags, and is not read-only */
    g_assert_cmpint(kernel.read[0], ==, 'i');
    g_assert_true(g_file_get_contents(place->image, &bytes, &count, NULL));
    g_assert_cmpint(bytes[3 * PIECE - 1], ==, 'i');
    g_assert_cmpint(bytes[3 * PIECE], ==, 'w');
    g_assert_cmpint(bytes[4 * PIECE - 1], ==, 'w');
}

static void test_refusal(Place *place, const void *data)
{
    kernel.refusal = "Failed to set NBD socket";
    g_assert_cmpint(connect_device(place, place->device), ==, 1);
    g_assert_false(kernel.ran);
    g_assert_cmpint(connect_device(place, "/nonexistent/nbd0"), ==, 1);
}

/* What the program prints is no line of the test's. */
static int run_silently(int count, char **words)
{
    int output = dup(STDOUT_FILENO), nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);

    fflush(stdout);
    g_assert_cmpint(dup2(nowhere, STDOUT_FILENO), ==, STDOUT_FILENO);
    int status = nbd_main("nbd", count, words);
    fflush(stdout);
    g_assert_cmpint(dup2(output, STDOUT_FILENO), ==, STDOUT_FILENO);
    close(output);
    close(nowhere);
    return status;
}

static void test_disconnect(Place *place, const void *data)
{
    char *words[] = { "-d", place->device }, *missing[] = { "-d", "/nonexistent/nbd0" };
    g_assert_cmpint(nbd_main("nbd", 2, missing), ==, 1);
    g_assert_false(kernel.disconnected);
    g_assert_cmpint(run_silently(2, words), ==, 0);
    g_assert_true(kernel.disconnected);
}

int main(int count, char **words)
{
    g_test_init(&count, &words, NULL);
    g_test_add("/nbd-kernel/connect", Place, NULL, set_up, test_connect, tear_down);
    g_test_add("/nbd-kernel/refusal", Place, NULL, set_up, test_refusal, tear_down);
    g_test_add("/nbd-kernel/disconnect", Place, NULL, set_up, test_disconnect, tear_down);
    return g_test_run();
}
