/*
 * A client of the NBD server that sends anything, from the first byte of its handshake on. The first byte of the input
 * says in pieces of which size the rest is sent. What is served keeps nothing and reads as zeroes, and has
 * bitmaps with bits.
 */
#include "api/json.h"
#include "base/files.h"
#include "base/vec.h"
#include "block/bitmap.h"
#include "block/nbd/server.h"
#include "core/loop.h"

#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char disk[] = "{\"driver\": \"null-co\", \"size\": 65536, \"read-zeroes\": true}";

static void *required(void *pointer)
{
    if (!pointer) {
        perror("fuzz-nbd_server");
        abort();
    }
    return pointer;
}

/* Sends all, takes all, until the server has done with it. */
static void talk(NbdServer *server, BlockLoop *loop, int fd, const uint8_t *data, size_t size)
{
    static const int wait_not = MSG_DONTWAIT | MSG_NOSIGNAL;
    AUTO_FREE uint8_t *taken = mem_alloc(1 << 16);
    size_t piece = size ? 16u * data[0] + 1 : 1;
    for (size_t at = 1; nbd_server_client_count(server) > 0;) {
        ssize_t sent = at < size ? send(fd, data + at, MIN(piece, size - at), wait_not) : 0;
        at += sent > 0 ? (size_t)sent : 0;
        if (at >= size) {
            shutdown(fd, SHUT_WR);
        }
        block_loop_poll(loop, false);
        while (recv(fd, taken, 1 << 16, wait_not) > 0) {
        }
    }
}

static BlockBitmap *add_bitmap(BlockNode *node, const char *name, uint32_t granularity)
{
    BlockBitmap *bitmap = required(block_bitmap_add(node, name, granularity, false, NULL));
    for (uint64_t at = 0; at < block_node_size(node); at += 3 * granularity) {
        block_bitmap_set(bitmap, at, granularity);
    }
    return bitmap;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int fds[2];
    Loop *loop = required(loop_new(false, NULL));
    Files *files = files_new();
    BlockGraph *graph = required(block_graph_new(files, loop, NULL));
    BlockNode *node = required(block_open(graph, NULL, json_parse(disk, strlen(disk), NULL), BLOCK_OPEN_WRITE, NULL));
    BlockEdge *edge = required(block_attach(node, "fuzz", BLOCK_PERMISSION_READ | BLOCK_PERMISSION_WRITE,
                                            BLOCK_PERMISSION_ALL, NULL));
    BlockBitmap *bitmaps[] = { add_bitmap(node, "bits", 512), add_bitmap(node, "more", 16384) };
    NbdExportOptions exports[] = {
        { .name = "", .edge = edge, .size = 65536, .allocation_depth = true, .bitmaps = bitmaps,
          .bitmap_count = ARRAY_SIZE(bitmaps) },
        { .name = "part", .description = "read", .edge = edge, .offset = 512, .size = 4096, .read_only = true },
    };
    NbdServerOptions options = { 0 };
    BlockRuntime *runtime = block_graph_runtime(graph);
    NbdServer *server = nbd_server_new(runtime, &options);
    nbd_server_add_export(server, &exports[0]);
    nbd_server_add_export(server, &exports[1]);
    required(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0 ? fds : NULL);
    nbd_server_add_client(server, fds[0]);
    talk(server, block_runtime_main(runtime), fds[1], data, size);
    close(fds[1]);
    nbd_server_free(server);
    block_detach(edge);
    block_node_unref(node);
    block_graph_free(graph);
    files_free(files);
    loop_free(loop);
    return 0;
}
