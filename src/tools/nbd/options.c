/* The command line of the nbd program, as qemu-nbd's. */
#include "tools/nbd/nbd.h"

#include "base/text.h"
#include "block/nbd/protocol.h"
#include "schema/block.h"
#include "schema/sockets.h"

#include <getopt.h>
#include <stdarg.h>

enum { HANDSHAKE_LIMIT = 256, CACHE, AIO, DISCARD, DETECT_ZEROES, IMAGE_OPTS, FORK, PID_FILE, OBJECT, TLS_CREDS,
       TLS_AUTHZ, TLS_HOSTNAME, SELINUX_LABEL };

typedef struct Parser {
    const char *program;
    NbdGiven *given;
    int *status;
} Parser;

static const struct option options[] = {
    { "help", no_argument, NULL, 'h' },
    { "version", no_argument, NULL, 'V' },
    { "port", required_argument, NULL, 'p' },
    { "bind", required_argument, NULL, 'b' },
    { "socket", required_argument, NULL, 'k' },
    { "shared", required_argument, NULL, 'e' },
    { "persistent", no_argument, NULL, 't' },
    { "verbose", no_argument, NULL, 'v' },
    { "export-name", required_argument, NULL, 'x' },
    { "description", required_argument, NULL, 'D' },
    { "handshake-limit", required_argument, NULL, HANDSHAKE_LIMIT },
    { "offset", required_argument, NULL, 'o' },
    { "allocation-depth", no_argument, NULL, 'A' },
    { "bitmap", required_argument, NULL, 'B' },
    { "list", no_argument, NULL, 'L' },
    { "object", required_argument, NULL, OBJECT },
    { "tls-creds", required_argument, NULL, TLS_CREDS },
    { "tls-authz", required_argument, NULL, TLS_AUTHZ },
    { "tls-hostname", required_argument, NULL, TLS_HOSTNAME },
    { "trace", required_argument, NULL, 'T' },
    { "fork", no_argument, NULL, FORK },
    { "pid-file", required_argument, NULL, PID_FILE },
    { "selinux-label", required_argument, NULL, SELINUX_LABEL },
    { "connect", required_argument, NULL, 'c' },
    { "disconnect", no_argument, NULL, 'd' },
    { "format", required_argument, NULL, 'f' },
    { "read-only", no_argument, NULL, 'r' },
    { "snapshot", no_argument, NULL, 's' },
    { "load-snapshot", required_argument, NULL, 'l' },
    { "nocache", no_argument, NULL, 'n' },
    { "cache", required_argument, NULL, CACHE },
    { "aio", required_argument, NULL, AIO },
    { "discard", required_argument, NULL, DISCARD },
    { "detect-zeroes", required_argument, NULL, DETECT_ZEROES },
    { "image-opts", no_argument, NULL, IMAGE_OPTS },
    { 0 },
};

static const char *const help[] = {
    "  -h, --help                display this help and exit",
    "  -V, --version             output version information and exit",
    "",
    "Connection properties:",
    "  -p, --port=PORT           port to listen on (default `10809')",
    "  -b, --bind=IFACE          interface to bind to (default `0.0.0.0')",
    "  -k, --socket=PATH         path to the unix socket",
    "                            (default '/var/lock/qemu-nbd-DEVICE')",
    "  -e, --shared=NUM          device can be shared by NUM clients (default '1')",
    "  -t, --persistent          don't exit on the last connection",
    "  -v, --verbose             display extra debugging information",
    "  -x, --export-name=NAME    expose export by name (default is empty string)",
    "  -D, --description=TEXT    export a human-readable description",
    "      --handshake-limit=N   limit client's handshake to N seconds (default 10)",
    "",
    "Exposing part of the image:",
    "  -o, --offset=OFFSET       offset into the image",
    "  -A, --allocation-depth    expose the allocation depth",
    "  -B, --bitmap=NAME         expose a persistent dirty bitmap",
    "",
    "General purpose options:",
    "  -L, --list                list exports available from another NBD server",
    "  --object type,id=ID,...   define an object such as 'secret' for providing",
    "                            passwords and/or encryption keys",
    "  --tls-creds=ID            use id of an earlier --object to provide TLS",
    "  --tls-authz=ID            use id of an earlier --object to provide",
    "                            authorization",
    "  --tls-hostname=HOSTNAME   override hostname used to check x509 certificate",
    "  -T, --trace [[enable=]<pattern>][,events=<file>][,file=<file>]",
    "                            specify tracing options",
    "  --fork                    fork off the server process and exit the parent",
    "                            once the server is running",
    "  --pid-file=PATH           store the server's process ID in the given file",
    "  --selinux-label=LABEL     set SELinux process label on listening socket",
    "",
    "Kernel NBD client support:",
    "  -c, --connect=DEV         connect FILE to the local NBD device DEV",
    "  -d, --disconnect          disconnect the specified device",
    "",
    "Block device options:",
    "  -f, --format=FORMAT       set image format (raw, qcow2, ...)",
    "  -r, --read-only           export read-only",
    "  -s, --snapshot            use FILE as an external snapshot, create a temporary",
    "                            file with backing_file=FILE, redirect the write to",
    "                            the temporary one",
    "  -l, --load-snapshot=SNAPSHOT_PARAM",
    "                            load an internal snapshot inside FILE and export it",
    "                            as an read-only device, SNAPSHOT_PARAM format is",
    "                            'snapshot.id=[ID],snapshot.name=[NAME]', or",
    "                            '[ID_OR_NAME]'",
    "  -n, --nocache             disable host cache",
    "      --cache=MODE          set cache mode used to access the disk image, the",
    "                            valid options are: 'none', 'writeback' (default),",
    "                            'writethrough', 'directsync' and 'unsafe'",
    "      --aio=MODE            set AIO mode (native, io_uring or threads)",
    "      --discard=MODE        set discard mode (ignore, unmap)",
    "      --detect-zeroes=MODE  set detect-zeroes mode (off, on, unmap)",
    "      --image-opts          treat FILE as a full set of image options",
};

static void print_help(const char *program)
{
    printf("Usage: %s [OPTIONS] FILE\n  or:  %s -L [OPTIONS]\nDisk Network Block Device Utility\n\n", program, program);
    for (size_t i = 0; i < ARRAY_SIZE(help); i++) {
        printf("%s\n", help[i]);
    }
}

/* The program ends with a message. */
static bool PRINTF(2, 3) fail(const Parser *parser, const char *format, ...)
{
    Tool tool = { .program = parser->program };
    va_list arguments;
    va_start(arguments, format);
    AUTO_FREE char *text = string_vformat(format, arguments);
    va_end(arguments);
    tool_error(&tool, "%s", text);
    *parser->status = 1;
    return false;
}

static bool parse_number(const Parser *parser, const char *complaint, uint64_t limit, uint64_t *value)
{
    return (text_to_uint64(optarg, value, NULL) && *value <= limit) || fail(parser, "%s '%s'", complaint, optarg);
}

static bool parse_text(const Parser *parser, const char *what, const char **text)
{
    *text = optarg;
    return strlen(optarg) <= NBD_MAXIMUM_STRING || fail(parser, "%s '%s' too long", what, optarg);
}

static bool parse_cache(const Parser *parser, const char *mode)
{
    NbdGiven *given = parser->given;
    if (given->has_cache) {
        return fail(parser, "-n and --cache can only be specified once");
    }
    given->has_cache = true;
    return block_parse_cache_mode(mode, &given->flags, &given->write_through, NULL) ||
           fail(parser, "Invalid cache mode `%s'", mode);
}

static bool parse_discard(const Parser *parser)
{
    bool unmap = strcmp(optarg, "unmap") == 0 || strcmp(optarg, "on") == 0;
    if (parser->given->has_discard) {
        return fail(parser, "--discard can only be specified once");
    }
    parser->given->has_discard = true;
    parser->given->flags |= unmap ? BLOCK_OPEN_DISCARD : 0;
    return unmap || strcmp(optarg, "ignore") == 0 || strcmp(optarg, "off") == 0 ||
           fail(parser, "Invalid discard mode `%s'", optarg);
}

static bool parse_aio(const Parser *parser)
{
    if (parser->given->aio) {
        return fail(parser, "--aio can only be specified once");
    }
    parser->given->aio = optarg;
    return type_enum_value(&BlockdevAioOptions_type, optarg, NULL) >= 0 ||
           fail(parser, "Invalid aio mode '%s'", optarg);
}

static bool parse_detect_zeroes(const Parser *parser)
{
    parser->given->detect_zeroes = optarg;
    int mode = type_enum_value(&BlockdevDetectZeroesOptions_type, optarg, NULL);
    if (mode < 0) {
        return fail(parser, "Failed to parse detect_zeroes mode: invalid parameter value: %s", optarg);
    }
    return mode != BLOCKDEV_DETECT_ZEROES_OPTIONS_UNMAP || parser->given->flags & BLOCK_OPEN_DISCARD ||
           fail(parser, "setting detect-zeroes to unmap is not allowed without setting discard operation to unmap");
}

/* An ID or name; or which of the two it is, after "snapshot.". */
static bool parse_snapshot(const Parser *parser)
{
    bool named = text_starts_with(optarg, "snapshot.");
    parser->given->load_snapshot = optarg;
    parser->given->read_only = true;
    if (named && !text_starts_with(optarg, "snapshot.id=") && !text_starts_with(optarg, "snapshot.name=")) {
        fail(parser, "Invalid parameter '%.*s'", (int)strcspn(optarg, "=,"), optarg);
        return fail(parser, "Failed in parsing snapshot param `%s'", optarg);
    }
    return true;
}

static bool end_with_success(const Parser *parser)
{
    *parser->status = 0;
    return false;
}

/* What is only put somewhere. */
static bool store_option(const Parser *parser, int letter)
{
    NbdGiven *given = parser->given;
    const struct {
        int letter;
        const char **text;
        bool *flag;
    } places[] = {
        { 'p', &given->port, &given->has_port },
        { 'b', &given->host, &given->has_host },
        { 'k', &given->socket, NULL },
        { 'f', &given->format, NULL },
        { 'c', &given->connect, NULL },
        { PID_FILE, &given->pid_file, NULL },
        { TLS_CREDS, &given->tls_creds, NULL },
        { TLS_AUTHZ, &given->tls_authz, NULL },
        { TLS_HOSTNAME, &given->tls_hostname, NULL },
        { SELINUX_LABEL, &given->selinux_label, NULL },
        { 't', NULL, &given->persistent },
        { 'v', NULL, &given->verbose },
        { 'A', NULL, &given->allocation_depth },
        { 'L', NULL, &given->list },
        { 'r', NULL, &given->read_only },
        { 's', NULL, &given->snapshot },
        { IMAGE_OPTS, NULL, &given->image_opts },
        { FORK, NULL, &given->fork },
    };
    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        if (places[i].letter == letter) {
            if (places[i].text) {
                *places[i].text = optarg;
            }
            if (places[i].flag) {
                *places[i].flag = true;
            }
            return true;
        }
    }
    fprintf(stderr, "%s: Try `%s --help' for more information.\n", parser->program, parser->program);
    *parser->status = 1;
    return false;
}

static bool parse_option(const Parser *parser, int letter)
{
    NbdGiven *given = parser->given;
    switch (letter) {
    case 'e':
        given->has_shared = true;
        return parse_number(parser, "Invalid shared device number", INT32_MAX, &given->shared);
    case 'o':
        return parse_number(parser, "Invalid offset", INT64_MAX, &given->offset);
    case HANDSHAKE_LIMIT:
        return parse_number(parser, "Invalid handshake limit", INT32_MAX, &given->handshake_limit);
    case 'x':
        return parse_text(parser, "export name", &given->name);
    case 'D':
        return parse_text(parser, "export description", &given->description);
    case 'B':
        vec_push(&given->bitmaps, optarg);
        return given->bitmaps.count <= NBD_MAXIMUM_BITMAPS ||
               fail(parser, "At most %d bitmaps can be exposed", NBD_MAXIMUM_BITMAPS);
    case OBJECT:
        vec_push(&given->objects, optarg);
        return true;
    case 'T':
        vec_push(&given->traces, optarg);
        return true;
    case 'l':
        return parse_snapshot(parser);
    case 'n':
        return parse_cache(parser, "none");
    case CACHE:
        return parse_cache(parser, optarg);
    case AIO:
        return parse_aio(parser);
    case DISCARD:
        return parse_discard(parser);
    case DETECT_ZEROES:
        return parse_detect_zeroes(parser);
    case 'd':
        given->disconnect = true;
        return true;
    case 'h':
        print_help(parser->program);
        return end_with_success(parser);
    case 'V':
        printf("%s %s\n", parser->program, tool_version + strlen("version "));
        return end_with_success(parser);
    default:
        return store_option(parser, letter);
    }
}

/* What does not go together. */
static bool check(const Parser *parser, int words)
{
    const NbdGiven *given = parser->given;
    const struct {
        bool wrong;
        const char *message;
    } rules[] = {
        { given->list && words != 0, "List mode is incompatible with a file name" },
        { given->list && (given->offset || *given->name || given->description || given->bitmaps.count ||
                          given->allocation_depth || given->connect || given->disconnect || given->format ||
                          given->load_snapshot || given->aio || given->has_cache || given->has_discard),
          "List mode is incompatible with per-device settings" },
        { given->list && given->fork, "List mode is incompatible with forking" },
        { given->image_opts && given->format, "--image-opts and -f are mutually exclusive" },
        { given->connect && given->tls_creds, "TLS is not supported with a host device" },
        { given->tls_authz && !given->tls_creds, "--tls-authz is not permitted without --tls-creds" },
        { given->tls_hostname && !given->tls_creds, "--tls-hostname is not permitted without --tls-creds" },
        { given->tls_authz && given->list, "TLS authorization is incompatible with export list" },
        { given->tls_hostname && !given->list, "TLS hostname is only supported with export list" },
        { given->socket && given->socket[0] != '/', "socket path must be absolute" },
    };
    if (!given->list && words != 1) {
        fail(parser, "Invalid number of arguments");
        fprintf(stderr, "Try `%s --help' for more information.\n", parser->program);
        return false;
    }
    for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
        if (rules[i].wrong) {
            return fail(parser, "%s", rules[i].message);
        }
    }
    return true;
}

/* --object help, -T help: nothing else matters then. */
static bool wants_help(const NbdGiven *given)
{
    bool help = false;
    for (size_t i = 0; i < given->objects.count; i++) {
        const char *text = given->objects.items[i];
        help = help || strcmp(text, "help") == 0 || text_ends_with(text, ",help");
    }
    for (size_t i = 0; i < given->traces.count; i++) {
        help = help || strcmp(given->traces.items[i], "help") == 0;
    }
    return help;
}

bool nbd_parse(const char *program, NbdGiven *given, int count, char **words, int *status)
{
    const Parser parser = { program, given, status };
    *status = 1;
    optind = 0;
    for (int letter;
         (letter = getopt_long(count, words, "hVb:o:p:rsnc:dvk:e:f:tl:x:T:D:AB:L", options, NULL)) != -1;) {
        if (!parse_option(&parser, letter)) {
            return false;
        }
    }
    if (!wants_help(given) && !check(&parser, count - optind)) {
        return false;
    }
    given->image = optind < count ? words[optind] : NULL;
    return true;
}

void nbd_address(const NbdGiven *given, SocketAddress *address)
{
    *address = (SocketAddress){ .type = given->socket ? SOCKET_ADDRESS_TYPE_UNIX : SOCKET_ADDRESS_TYPE_INET };
    if (given->socket) {
        address->u.unix_.path = (char *)(uintptr_t)given->socket;
    } else {
        address->u.inet.host = (char *)(uintptr_t)given->host;
        address->u.inet.port = (char *)(uintptr_t)given->port;
    }
}
