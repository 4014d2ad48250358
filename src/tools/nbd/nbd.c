/*
 * The nbd program: serves an image by the NBD protocol, as qemu-nbd does.
 *
 * Not here: --list and the kernel's client (-c, -d); TLS and --object; bitmaps; -s, -l; --aio, --detect-zeroes,
 * --trace, --selinux-label, -v. They are unknown options.
 */
#include "block/nbd/protocol.h"
#include "block/nbd/server.h"
#include "tools/nbd/listen.h"
#include "tools/tool.h"

#include "base/error.h"
#include "base/host/host.h"
#include "base/text.h"
#include "base/vec.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct Nbd {
    Tool tool;
    ToolOpen how;
    NbdExport export;
    NbdServer *server;
    HostSignals *signals;
    LoopFd *listener;
    int listen_fd, ready_fd; /* -1: none; ready_fd: whom to tell that it serves */
    const char *socket, *host, *port, *pid_file;
    uint64_t shared, handshake_limit;
    bool persistent, fork, socket_made;
} Nbd;

enum { HANDSHAKE_LIMIT = 256, CACHE, DISCARD, IMAGE_OPTS, FORK, PID_FILE };

static const struct option options[] = {
    { "port", required_argument, NULL, 'p' },         { "bind", required_argument, NULL, 'b' },
    { "socket", required_argument, NULL, 'k' },       { "shared", required_argument, NULL, 'e' },
    { "persistent", no_argument, NULL, 't' },         { "export-name", required_argument, NULL, 'x' },
    { "description", required_argument, NULL, 'D' },  { "offset", required_argument, NULL, 'o' },
    { "allocation-depth", no_argument, NULL, 'A' },   { "format", required_argument, NULL, 'f' },
    { "read-only", no_argument, NULL, 'r' },          { "nocache", no_argument, NULL, 'n' },
    { "help", no_argument, NULL, 'h' },               { "version", no_argument, NULL, 'V' },
    { "cache", required_argument, NULL, CACHE },      { "discard", required_argument, NULL, DISCARD },
    { "image-opts", no_argument, NULL, IMAGE_OPTS },  { "fork", no_argument, NULL, FORK },
    { "pid-file", required_argument, NULL, PID_FILE },
    { "handshake-limit", required_argument, NULL, HANDSHAKE_LIMIT },
    { 0 },
};

static void print_help(const char *program)
{
    printf("Usage: %s [OPTIONS] FILE\nDisk Network Block Device Utility\n\n"
           "  -h, --help                display this help and exit\n"
           "  -V, --version             output version information and exit\n\n"
           "Connection properties:\n"
           "  -p, --port=PORT           port to listen on (default `10809')\n"
           "  -b, --bind=IFACE          interface to bind to (default `0.0.0.0')\n"
           "  -k, --socket=PATH         path to the unix socket\n"
           "  -e, --shared=NUM          device can be shared by NUM clients (default '1')\n"
           "  -t, --persistent          don't exit on the last connection\n"
           "  -x, --export-name=NAME    expose export by name (default is empty string)\n"
           "  -D, --description=TEXT    export a human-readable description\n"
           "      --handshake-limit=N   limit client's handshake to N seconds (default 10)\n\n"
           "Exposing part of the image:\n"
           "  -o, --offset=OFFSET       offset into the image\n"
           "  -A, --allocation-depth    expose the allocation depth\n\n"
           "General purpose options:\n"
           "  --fork                    fork off the server process and exit the parent\n"
           "                            once the server is running\n"
           "  --pid-file=PATH           store the server's process ID in the given file\n\n"
           "Block device options:\n"
           "  -f, --format=FORMAT       set image format (raw, qcow2, ...)\n"
           "  -r, --read-only           export read-only\n"
           "  -n, --nocache             disable host cache\n"
           "      --cache=MODE          set cache mode used to access the disk image\n"
           "      --discard=MODE        set discard mode (ignore, unmap)\n"
           "      --image-opts          treat FILE as a full set of image options\n", program);
}

/* The command line */

static bool parse_number(const Nbd *nbd, const char *complaint, uint64_t limit, uint64_t *value)
{
    bool ok = text_to_uint64(optarg, value, NULL) && *value <= limit;
    if (!ok) {
        tool_error(&nbd->tool, "%s '%s'", complaint, optarg);
    }
    return ok;
}

static bool parse_text(const Nbd *nbd, const char *what, const char **text)
{
    bool ok = strlen(optarg) <= NBD_MAXIMUM_STRING;
    if (!ok) {
        tool_error(&nbd->tool, "%s '%s' too long", what, optarg);
    }
    *text = optarg;
    return ok;
}

static bool parse_cache(Nbd *nbd, const char *mode)
{
    bool ok = block_parse_cache_mode(mode, &nbd->how.flags, &nbd->how.write_through, NULL);
    if (!ok) {
        tool_error(&nbd->tool, "Invalid cache mode `%s'", mode);
    }
    return ok;
}

static bool parse_discard(Nbd *nbd)
{
    bool unmap = strcmp(optarg, "unmap") == 0 || strcmp(optarg, "on") == 0;
    nbd->how.flags |= unmap ? BLOCK_OPEN_DISCARD : 0;
    if (!unmap && strcmp(optarg, "ignore") != 0 && strcmp(optarg, "off") != 0) {
        tool_error(&nbd->tool, "Invalid discard mode `%s'", optarg);
        return false;
    }
    return true;
}

/* What is only put somewhere. */
static bool store_option(Nbd *nbd, int letter)
{
    const struct {
        int letter;
        const char **text;
        bool *flag;
    } places[] = {
        { 'p', &nbd->port, NULL },         { 'b', &nbd->host, NULL },
        { 'k', &nbd->socket, NULL },       { 'f', &nbd->how.format, NULL },
        { PID_FILE, &nbd->pid_file, NULL }, { 't', NULL, &nbd->persistent },
        { 'A', NULL, &nbd->export.allocation_depth }, { 'r', NULL, &nbd->export.read_only },
        { IMAGE_OPTS, NULL, &nbd->how.image_opts }, { FORK, NULL, &nbd->fork },
    };
    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        if (places[i].letter == letter && places[i].text) {
            *places[i].text = optarg;
            return true;
        }
        if (places[i].letter == letter) {
            *places[i].flag = true;
            return true;
        }
    }
    fprintf(stderr, "Try `%s --help' for more information.\n", nbd->tool.program);
    return false;
}

/* False where the program ends, with `*status`. */
static bool parse_option(Nbd *nbd, int letter, int *status)
{
    switch (letter) {
    case 'e':
        return parse_number(nbd, "Invalid shared device number", INT32_MAX, &nbd->shared);
    case 'o':
        return parse_number(nbd, "Invalid offset", INT64_MAX, &nbd->export.offset);
    case HANDSHAKE_LIMIT:
        return parse_number(nbd, "Invalid handshake limit", INT32_MAX, &nbd->handshake_limit);
    case 'x':
        return parse_text(nbd, "export name", &nbd->export.name);
    case 'D':
        return parse_text(nbd, "export description", &nbd->export.description);
    case 'n':
        return parse_cache(nbd, "none");
    case CACHE:
        return parse_cache(nbd, optarg);
    case DISCARD:
        return parse_discard(nbd);
    case 'h':
        print_help(nbd->tool.program);
        *status = 0;
        return false;
    case 'V':
        printf("%s %s\n", nbd->tool.program, tool_version);
        *status = 0;
        return false;
    default:
        return store_option(nbd, letter);
    }
}

static bool parse(Nbd *nbd, int count, char **words, int *status)
{
    optind = 0;
    for (int letter; (letter = getopt_long(count, words, "p:b:k:e:tx:D:o:Af:rnhV", options, NULL)) != -1;) {
        if (!parse_option(nbd, letter, status)) {
            return false;
        }
    }
    if (count - optind != 1) {
        tool_error(&nbd->tool, "Invalid number of arguments");
        fprintf(stderr, "Try `%s --help' for more information.\n", nbd->tool.program);
        return false;
    }
    if (nbd->socket && nbd->socket[0] != '/') {
        tool_error(&nbd->tool, "socket path must be absolute");
        return false;
    }
    nbd->how.name = words[optind];
    return true;
}

/* Clients */

static bool has_room(const Nbd *nbd)
{
    return nbd->shared == 0 || nbd_server_client_count(nbd->server) < nbd->shared;
}

static void client_left(void *data, bool had_an_export)
{
    Nbd *nbd = data;
    if (had_an_export && !nbd->persistent && nbd_server_client_count(nbd->server) == 0) {
        loop_quit(nbd->tool.loop);
    } else if (nbd->listener) {
        loop_fd_set(nbd->listener, HOST_POLL_IN);
    }
}

static void client_came(void *data, unsigned events)
{
    Nbd *nbd = data;
    int one = 1, fd = accept4(nbd->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    /* Without a descriptor it waits until a client leaves. */
    bool exhausted = fd < 0 && (errno == EMFILE || errno == ENFILE) && nbd_server_client_count(nbd->server) > 0;
    if (fd >= 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); /* a UNIX socket has no such thing */
        nbd_server_add_client(nbd->server, fd);
    }
    loop_fd_set(nbd->listener, has_room(nbd) && !exhausted ? HOST_POLL_IN : 0);
}

static void signal_came(void *data, unsigned events)
{
    Nbd *nbd = data;
    if (host_signals_next(nbd->signals, NULL)) {
        loop_quit(nbd->tool.loop);
    }
}

/* Serving */

static bool open_image(Nbd *nbd)
{
    nbd->how.flags |= nbd->export.read_only ? 0 : BLOCK_OPEN_WRITE;
    nbd->how.permissions = BLOCK_PERMISSION_READ | (nbd->export.read_only ? 0 : BLOCK_PERMISSION_WRITE);
    nbd->how.shared = BLOCK_PERMISSION_READ | BLOCK_PERMISSION_WRITE_UNCHANGED;
    AUTO_FREE char *complaint = string_format("Failed to blk_new_open '%s': ", nbd->how.name);
    nbd->how.complaint = nbd->how.image_opts ? NULL : complaint;
    nbd->export.edge = tool_open(&nbd->tool, &nbd->how);
    nbd->how.complaint = NULL;
    if (!nbd->export.edge) {
        return false;
    }
    uint64_t size = block_node_size(block_edge_node(nbd->export.edge));
    if (nbd->export.offset >= size && nbd->export.offset > 0) {
        tool_error(&nbd->tool, "Offset (%" PRIu64 ") has to be smaller than the image size (%" PRIu64 ")",
                   nbd->export.offset, size);
        return false;
    }
    nbd->export.size = size - nbd->export.offset;
    nbd->export.multiple_connections = nbd->shared != 1;
    return true;
}

static bool start_listening(Nbd *nbd)
{
    AUTO_ERROR(error);
    nbd->listen_fd = listen_passed();
    if (nbd->listen_fd < 0) {
        nbd->listen_fd = nbd->socket ? listen_unix(nbd->socket, &error) : listen_tcp(nbd->host, nbd->port, &error);
        nbd->socket_made = nbd->socket && nbd->listen_fd >= 0;
    }
    if (nbd->listen_fd < 0) {
        tool_error(&nbd->tool, "%s", error_message(error));
        return false;
    }
    return true;
}

static bool write_pid(const Nbd *nbd)
{
    if (!nbd->pid_file) {
        return true;
    }
    FILE *file = fopen(nbd->pid_file, "we");
    bool ok = file && fprintf(file, "%ld\n", (long)getpid()) > 0;
    ok = file && fclose(file) == 0 && ok;
    if (!ok) {
        tool_error(&nbd->tool, "Failed to store PID in '%s': %s", nbd->pid_file, strerror(errno));
    }
    return ok;
}

/* Tells the process that waits for it, and lets go of the terminal. */
static void say_ready(Nbd *nbd)
{
    if (nbd->ready_fd >= 0) {
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        for (int fd = 0; null >= 0 && fd < 3; fd++) {
            dup2(null, fd);
        }
        close(null);
        while (write(nbd->ready_fd, "", 1) < 0 && errno == EINTR) {
        }
        close(nbd->ready_fd);
        nbd->ready_fd = -1;
    }
}

static void serve(Nbd *nbd)
{
    NbdServerOptions server = { .exports = &nbd->export, .export_count = 1, .left = client_left, .data = nbd,
                                .handshake_seconds = (unsigned)nbd->handshake_limit };
    nbd->server = nbd_server_new(block_graph_runtime(nbd->tool.graph), &server);
    nbd->listener = loop_fd_add(nbd->tool.loop, nbd->listen_fd, HOST_POLL_IN, client_came, nbd);
    say_ready(nbd);
    loop_run(nbd->tool.loop);
    loop_fd_remove(nbd->listener);
    nbd->listener = NULL;
    nbd_server_free(nbd->server);
}

static int run(Nbd *nbd)
{
    static const int signals[] = { SIGTERM, SIGINT, SIGHUP };
    AUTO_ERROR(error);
    nbd->signals = host_signals_new(signals, ARRAY_SIZE(signals), &error);
    bool ok = nbd->signals && tool_init(&nbd->tool, nbd->tool.program);
    if (!nbd->signals) {
        tool_error(&nbd->tool, "%s", error_message(error));
    }
    ok = ok && open_image(nbd) && start_listening(nbd) && write_pid(nbd);
    if (ok) {
        LoopFd *signal_fd = loop_fd_add(nbd->tool.loop, host_signals_fd(nbd->signals), HOST_POLL_IN, signal_came, nbd);
        serve(nbd);
        loop_fd_remove(signal_fd);
    }
    if (nbd->listen_fd >= 0) {
        close(nbd->listen_fd);
    }
    if (nbd->socket_made) {
        unlink(nbd->socket);
    }
    if (ok && nbd->pid_file) {
        unlink(nbd->pid_file);
    }
    block_detach(nbd->export.edge);
    tool_free(&nbd->tool);
    host_signals_free(nbd->signals);
    return ok ? 0 : 1;
}

/* In the first process: waits until the server serves or has failed. */
static int wait_for_server(int fd)
{
    char byte;
    ssize_t count;
    do {
        count = read(fd, &byte, 1);
    } while (count < 0 && errno == EINTR);
    close(fd);
    return count == 1 ? 0 : 1;
}

/* Before there is a thread. */
static int run_forked(Nbd *nbd)
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) < 0) {
        tool_error(&nbd->tool, "Failed to make a pipe: %s", strerror(errno));
        return 1;
    }
    pid_t child = fork();
    if (child < 0) {
        tool_error(&nbd->tool, "Failed to fork: %s", strerror(errno));
    }
    if (child != 0) {
        close(fds[1]);
        return wait_for_server(fds[0]);
    }
    close(fds[0]);
    setsid();
    nbd->ready_fd = fds[1];
    return run(nbd);
}

int nbd_main(const char *program, int count, char **arguments)
{
    Nbd nbd = { .tool = { .program = program }, .export = { .name = "" }, .listen_fd = -1, .ready_fd = -1,
                .host = "0.0.0.0", .port = "10809", .shared = 1, .handshake_limit = 10 };
    int status = 1;
    AUTO_FREE char **all = mem_alloc_array((size_t)count + 2, sizeof *all);
    all[0] = (char *)(uintptr_t)program;
    memcpy(all + 1, arguments, (size_t)count * sizeof *all);
    if (!parse(&nbd, count + 1, all, &status)) {
        return status;
    }
    return nbd.fork ? run_forked(&nbd) : run(&nbd);
}
