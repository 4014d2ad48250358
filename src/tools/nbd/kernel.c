/*
 * -c and -d of the nbd program: the kernel's client makes a block device of an export. The export is chosen here, by
 * the oldest way of the protocol; then the kernel sends requests through the socket, for as long as one call lasts.
 */
#include "tools/nbd/kernel.h"

#include "base/bytes.h"
#include "base/error.h"
#include "base/host/nbd.h"
#include "base/strbuf.h"
#include "base/text.h"
#include "base/thread.h"
#include "block/nbd/protocol.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { GREETING = 18, CHOSEN = 10 };

struct KernelClient {
    Nbd *nbd;
    int device, socket;
    uint64_t size;
    uint16_t flags;
    bool failed;
    Thread thread;
};

static int open_device(const Nbd *nbd, const char *path, const char *complaint)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        int number = errno;
        tool_error(&nbd->tool, "%s %s: %s", complaint, path, strerror(number));
        if (number == ENOENT && text_starts_with(path, "/dev/nbd")) {
            fprintf(stderr, "The kernel's module makes these devices: modprobe nbd\n");
        }
    }
    return fd;
}

int nbd_kernel_disconnect(const Nbd *nbd, const char *path)
{
    int fd = open_device(nbd, path, "Cannot open");
    if (fd < 0) {
        return 1;
    }
    host_nbd_disconnect(fd);
    close(fd);
    printf("%s disconnected\n", path);
    return 0;
}

/* Connecting, on a thread of its own: all of it waits */

static bool receive(const KernelClient *client, uint8_t *bytes, size_t count)
{
    return recv(client->socket, bytes, count, MSG_WAITALL) == (ssize_t)count;
}

static bool choose_export(KernelClient *client)
{
    uint8_t bytes[GREETING];
    AUTO_STRBUF(choice);
    const char *name = client->nbd->given.name;
    if (!receive(client, bytes, GREETING)) {
        return false;
    }
    nbd_add32(&choice, NBD_FIXED_NEWSTYLE | NBD_NO_ZEROES);
    nbd_add64(&choice, NBD_OPTION_MAGIC);
    nbd_add32(&choice, NBD_OPT_EXPORT_NAME);
    nbd_add32(&choice, (uint32_t)strlen(name));
    strbuf_append(&choice, name);
    if (send(client->socket, choice.data, choice.length, MSG_NOSIGNAL) != (ssize_t)choice.length ||
        !receive(client, bytes, CHOSEN)) {
        return false;
    }
    client->size = load_be64(bytes);
    client->flags = load_be16(bytes + 8);
    return true;
}

static bool set_up(KernelClient *client)
{
    const char *fault = "Failed to choose the export";
    if (choose_export(client)) {
        fault = host_nbd_set(client->device, client->socket, client->size, client->flags);
    }
    if (fault) {
        tool_error(&client->nbd->tool, "%s", fault);
    }
    return !fault;
}

static void tell_ready(void *data) { nbd_say_ready(data); }

static void end(void *data)
{
    const Nbd *nbd = data;
    loop_quit(nbd->tool.loop);
}

static void *run(void *data)
{
    KernelClient *client = data;
    Loop *loop = client->nbd->tool.loop;
    client->failed = !set_up(client);
    if (!client->failed) {
        loop_post(loop, tell_ready, client->nbd);
        client->failed = host_nbd_run(client->device) != 0;
    }
    loop_post(loop, end, client->nbd);
    return NULL;
}

static void free_client(KernelClient *client)
{
    close(client->socket);
    close(client->device);
    free(client);
}

KernelClient *nbd_kernel_connect(Nbd *nbd)
{
    AUTO_ERROR(error);
    int ends[2], device = open_device(nbd, nbd->given.connect, "Failed to open");
    if (device < 0) {
        return NULL;
    }
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) {
        tool_error(&nbd->tool, "Failed to make a socket: %s", strerror(errno));
        close(device);
        return NULL;
    }
    KernelClient *client = NEW(KernelClient);
    *client = (KernelClient){ .nbd = nbd, .device = device, .socket = ends[1] };
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    nbd_server_add_client(nbd->server, ends[0]);
    if (!thread_start(&client->thread, "nbd-kernel", run, client, &error)) {
        tool_error(&nbd->tool, "%s", error_message(error));
        free_client(client);
        return NULL;
    }
    return client;
}

bool nbd_kernel_end(KernelClient *client)
{
    if (!client) {
        return true;
    }
    host_nbd_disconnect(client->device); /* a signal may end the program while it is connected */
    shutdown(client->socket, SHUT_RDWR);
    thread_join(&client->thread);
    bool ok = !client->failed;
    free_client(client);
    return ok;
}
