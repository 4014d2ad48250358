/*
 * An NBD server that sends anything. The first byte of the input chooses what the client is told; then come the
 * server's messages, each after a length of two bytes: the first is its greeting, each further one is sent when the
 * client has sent something, and then it is gone. Each request of the block layer is made once.
 */
#include "api/json.h"
#include "base/bytes.h"
#include "base/files.h"
#include "base/thread.h"
#include "base/vec.h"
#include "block/graph.h"
#include "core/loop.h"

#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SPAN = 64 << 10, LIMIT = 256 << 10 };

typedef struct Server {
    const uint8_t *data;
    size_t size;
    int fd;
} Server;

static void *required(void *pointer)
{
    if (!pointer) {
        perror("fuzz-nbd_client");
        abort();
    }
    return pointer;
}

static void *serve(void *data)
{
    Server *server = data;
    AUTO_FREE uint8_t *taken = mem_alloc(LIMIT);
    bool goes_on = true;
    while (goes_on && server->size > 2) {
        size_t length = MIN(load_be16(server->data), server->size - 2);
        goes_on = send(server->fd, server->data + 2, length, MSG_NOSIGNAL) >= 0 &&
                  recv(server->fd, taken, LIMIT, 0) != 0; /* a client may wait for more than this message */
        server->data += 2 + length;
        server->size -= 2 + length;
    }
    shutdown(server->fd, SHUT_RDWR);
    return NULL;
}

static void use(BlockNode *node)
{
    BlockStatus status;
    static uint8_t bytes[SPAN];
    uint64_t size = block_node_size(node), count = MIN(size, sizeof bytes);
    BlockEdge *edge = required(block_attach(node, "fuzz", BLOCK_PERMISSION_READ | BLOCK_PERMISSION_WRITE,
                                            BLOCK_PERMISSION_ALL, NULL));
    block_read(edge, 0, bytes, count);
    block_status(edge, 0, size, &status);
    block_write(edge, 0, bytes, count, BLOCK_FUA);
    block_read(edge, size - count, bytes, count);
    block_write_zeroes(edge, 0, size, BLOCK_MAY_UNMAP | BLOCK_NO_FALLBACK);
    block_discard(edge, 0, count);
    block_flush(edge);
    block_detach(edge);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const exports[] = { "", "export" };
    int fds[2];
    if (size == 0 || size > LIMIT) {
        return 0;
    }
    Loop *loop = required(loop_new(false, NULL));
    Files *files = files_new();
    BlockGraph *graph = required(block_graph_new(files, loop, NULL));
    required(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0 ? fds : NULL);
    struct timeval patience = { .tv_usec = 1000 };
    setsockopt(fds[1], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    files_add_named(files, "server", fds[0], NULL);
    AUTO_FREE char *options =
        string_format("{'driver': 'nbd', 'server': {'type': 'fd', 'str': 'server'}, 'export': '%s'%s}",
                      exports[data[0] & 1], data[0] & 2 ? ", 'x-dirty-bitmap': 'qemu:allocation-depth'" : "");
    Thread thread;
    Server server = { data + 1, size - 1, fds[1] };
    required(thread_start(&thread, "server", serve, &server, NULL) ? &thread : NULL);
    BlockNode *node = block_open(graph, NULL, json_parse(options, strlen(options), NULL),
                                 data[0] & 4 ? 0 : BLOCK_OPEN_WRITE, NULL);
    if (node && !block_node_is_read_only(node)) {
        use(node);
    }
    block_node_unref(node);
    shutdown(fds[1], SHUT_RDWR); /* where the client never took the other end */
    thread_join(&thread);
    close(fds[1]);
    block_graph_free(graph);
    files_free(files);
    loop_free(loop);
    return 0;
}
