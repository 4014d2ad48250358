/*
 * The "nbd" driver: an export of an NBD server as a block node.
 *
 * An export that is no whole number of sectors counts as one: what is behind its end reads as zeroes and cannot become
 * anything else.
 *
 * Not here: NBD_CMD_CACHE, which the block layer has no request for.
 */
#include "block/nbd/client_internal.h"

#include "api/json.h"
#include "api/type.h"
#include "base/error.h"
#include "base/vec.h"
#include "schema/block.h"
#include "schema/sockets.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>

#define MAXIMUM_SHORT_LENGTH (UINT32_MAX - (64u << 10) + 1) /* of requests without extended headers; whole blocks */

typedef struct NbdDisk {
    NbdRemote remote;
    SocketAddress address;
    char *export, *context, *hostname;
    bool has_address;
    uint32_t maximum_block;
} NbdDisk;

/* Opening */

static bool find_address(NbdDisk *disk, const NbdSettings *settings, Error **error)
{
    Json *json = NULL;
    if ((settings->server != NULL) + (settings->path != NULL) + (settings->host != NULL) > 1) {
        return settings->server ? error_set(error, "'server' may not be used with path or host")
                                : error_set(error, "path and host may not be used at the same time");
    }
    if (settings->server) {
        json = type_to_json(&SocketAddress_type, settings->server);
    } else if (settings->path) {
        json = json_object();
        json_set(json, "type", json_string("unix"));
        json_set(json, "path", json_string(settings->path));
    } else if (settings->host) {
        json = json_object();
        json_set(json, "type", json_string("inet"));
        json_set(json, "host", json_string(settings->host));
        json_set(json, "port", json_string(settings->port ? settings->port : NBD_PORT_TEXT));
    } else {
        return error_set(error, "NBD server address missing");
    }
    disk->has_address = type_from_json(&SocketAddress_type, json, &disk->address, error);
    json_free(json);
    return disk->has_address;
}

static bool take_texts(NbdDisk *disk, const NbdSettings *settings, Error **error)
{
    const char *export = settings->export ? settings->export : "";
    const char *context = settings->x_dirty_bitmap ? settings->x_dirty_bitmap : "base:allocation";
    if (strlen(export) > NBD_MAXIMUM_STRING) {
        return error_set(error, "export name too long to send to server");
    }
    if (strlen(context) > NBD_MAXIMUM_STRING) {
        return error_set(error, "x-dirty-bitmap name too long to send to server");
    }
    disk->export = string_copy(export);
    disk->context = string_copy(context);
    return true;
}

/* A server's certificate is for its host, unless another name is given. */
static bool find_tls(BlockNode *node, const NbdSettings *settings, Error **error)
{
    NbdDisk *disk = node->state;
    NbdWanted *wanted = &disk->remote.wanted;
    if (!settings->tls_creds) {
        return !settings->tls_hostname || error_set(error, "tls-hostname needs tls-creds");
    }
    bool has_host = disk->address.type == SOCKET_ADDRESS_TYPE_INET;
    const char *host = settings->tls_hostname ? settings->tls_hostname : has_host ? disk->address.u.inet.host : NULL;
    wanted->tls = tls_credentials_find(block_graph_objects(node->graph), settings->tls_creds, false, error);
    disk->hostname = string_copy(host);
    wanted->hostname = disk->hostname;
    return wanted->tls != NULL;
}

static bool check_session(BlockNode *node, const NbdSettings *settings, Error **error)
{
    const NbdDisk *disk = node->state;
    const NbdSession *session = &disk->remote.session;
    if (settings->x_dirty_bitmap && !session->has_context) {
        return error_set_errno(error, EINVAL, "The NBD server has no metadata context '%s'", disk->context);
    }
    return node->read_only || !(session->flags & NBD_READ_ONLY) ||
           error_set_errno(error, EACCES, "Could not open image");
}

static void set_limits(BlockNode *node)
{
    NbdDisk *disk = node->state;
    const NbdSession *session = &disk->remote.session;
    uint32_t limit = NBD_MAXIMUM_PAYLOAD, maximum = session->maximum_block ? MIN(session->maximum_block, limit) : limit;
    uint32_t guess = session->size % BLOCK_SECTOR ? 1 : BLOCK_SECTOR;
    node->limits.alignment = session->minimum_block ? session->minimum_block : guess;
    node->limits.write_flags = session->flags & NBD_SEND_FUA ? BLOCK_FUA : 0;
    disk->maximum_block = (uint32_t)align_down(maximum, node->limits.alignment);
    atomic_store(&node->size, align_up(session->size, BLOCK_SECTOR));
}

static bool nbd_open(BlockNode *node, const void *data, Error **error)
{
    const NbdSettings *settings = data;
    NbdDisk *disk = node->state;
    NbdRemote *remote = &disk->remote;
    if (!find_address(disk, settings, error) || !take_texts(disk, settings, error)) {
        return false;
    }
    free(node->file_name);
    node->file_name = nbd_format_name(&disk->address, disk->export, settings->tls_creds != NULL);
    remote->runtime = block_graph_runtime(node->graph);
    remote->files = block_graph_files(node->graph);
    remote->address = &disk->address;
    remote->wanted = (NbdWanted){ .export = disk->export, .context = disk->context };
    remote->reconnect_seconds = settings->reconnect_delay;
    remote->open_seconds = settings->open_timeout;
    remote->link_count = settings->multi_conn;
    if (!find_tls(node, settings, error) || !nbd_remote_open(remote, error) || !check_session(node, settings, error)) {
        return false;
    }
    set_limits(node);
    return true;
}

static void nbd_close(BlockNode *node)
{
    NbdDisk *disk = node->state;
    nbd_remote_close(&disk->remote);
    if (disk->has_address) {
        type_clear(&SocketAddress_type, &disk->address);
    }
    tls_credentials_unref(disk->remote.wanted.tls);
    free(disk->hostname);
    free(disk->export);
    free(disk->context);
}

/* Requests */

static int perform(BlockNode *node, unsigned command, unsigned flags, uint64_t offset, uint64_t length,
                   BlockVectors vectors)
{
    NbdDisk *disk = node->state;
    NbdCommandState state = { .request = { .flags = (uint16_t)flags, .command = (uint16_t)command, .offset = offset,
                                           .length = length },
                              .vectors = vectors };
    return nbd_remote_perform(&disk->remote, &state);
}

/* The part that the server has. */
static uint64_t there(const NbdDisk *disk, uint64_t offset, uint64_t bytes)
{
    uint64_t size = disk->remote.session.size;
    return offset >= size ? 0 : MIN(bytes, size - offset);
}

static int nbd_read(BlockNode *node, uint64_t offset, uint64_t bytes, BlockVectors vectors)
{
    const NbdDisk *disk = node->state;
    uint64_t length = there(disk, offset, bytes);
    int error = 0;
    for (uint64_t done = 0; !error && done < length;) {
        uint64_t piece = MIN(length - done, disk->maximum_block);
        error = perform(node, NBD_CMD_READ, 0, offset + done, piece, block_vectors_from(vectors, done));
        done += piece;
    }
    block_vectors_fill(block_vectors_from(vectors, length), 0, bytes - length);
    return error;
}

static int nbd_write(BlockNode *node, uint64_t offset, uint64_t bytes, BlockVectors vectors, unsigned flags)
{
    const NbdDisk *disk = node->state;
    uint64_t length = there(disk, offset, bytes);
    int error = 0;
    if (length < bytes && !block_vectors_are_zero(block_vectors_from(vectors, length), bytes - length)) {
        return ENOSPC;
    }
    for (uint64_t done = 0; !error && done < length;) {
        uint64_t piece = MIN(length - done, disk->maximum_block);
        error = perform(node, NBD_CMD_WRITE, flags & BLOCK_FUA ? NBD_FUA : 0, offset + done, piece,
                        block_vectors_from(vectors, done));
        done += piece;
    }
    return error;
}

/* Requests without a payload. */
static int over_range(BlockNode *node, unsigned command, unsigned flags, uint64_t offset, uint64_t bytes)
{
    const NbdDisk *disk = node->state;
    uint64_t length = there(disk, offset, bytes);
    bool is_long = disk->remote.session.mode == NBD_EXTENDED;
    int error = 0;
    for (uint64_t done = 0; !error && done < length;) {
        uint64_t piece = is_long ? length - done : MIN(length - done, MAXIMUM_SHORT_LENGTH);
        error = perform(node, command, flags, offset + done, piece, (BlockVectors){ 0 });
        done += piece;
    }
    return error;
}

static int nbd_write_zeroes(BlockNode *node, uint64_t offset, uint64_t bytes, unsigned flags)
{
    const NbdDisk *disk = node->state;
    unsigned server = disk->remote.session.flags;
    if (!(server & NBD_SEND_WRITE_ZEROES) || (flags & BLOCK_NO_FALLBACK && !(server & NBD_SEND_FAST_ZERO))) {
        return ENOTSUP;
    }
    return over_range(node, NBD_CMD_WRITE_ZEROES,
                      (flags & BLOCK_MAY_UNMAP ? 0 : NBD_NO_HOLE) | (flags & BLOCK_NO_FALLBACK ? NBD_FAST_ZERO : 0) |
                          (flags & BLOCK_FUA ? NBD_FUA : 0),
                      offset, bytes);
}

static int nbd_discard(BlockNode *node, uint64_t offset, uint64_t bytes)
{
    const NbdDisk *disk = node->state;
    return disk->remote.session.flags & NBD_SEND_TRIM ? over_range(node, NBD_CMD_TRIM, 0, offset, bytes) : ENOTSUP;
}

static int nbd_flush(BlockNode *node)
{
    const NbdDisk *disk = node->state;
    bool can = disk->remote.session.flags & NBD_SEND_FLUSH && !node->no_flush;
    return can ? perform(node, NBD_CMD_FLUSH, 0, 0, 0, (BlockVectors){ 0 }) : 0;
}

static int nbd_status(BlockNode *node, uint64_t offset, uint64_t bytes, BlockStatus *status)
{
    NbdDisk *disk = node->state;
    uint64_t length = there(disk, offset, bytes);
    *status = (BlockStatus){ .bytes = bytes, .data = true, .allocated = true, .has_offset = true, .offset = offset,
                             .node = node };
    if (length == 0 || !disk->remote.session.has_context) {
        status->data = length > 0;
        status->zero = length == 0;
        return 0;
    }
    bool is_long = disk->remote.session.mode == NBD_EXTENDED;
    NbdCommandState state = { .request = { .flags = NBD_REQ_ONE, .command = NBD_CMD_BLOCK_STATUS, .offset = offset,
                                           .length = is_long ? length : MIN(length, MAXIMUM_SHORT_LENGTH) } };
    int error = nbd_remote_perform(&disk->remote, &state);
    status->bytes = state.status_length;
    status->data = !(state.status_flags & NBD_STATE_HOLE);
    status->zero = state.status_flags & NBD_STATE_ZERO;
    return error;
}

static void nbd_yank(BlockNode *node)
{
    NbdDisk *disk = node->state;
    nbd_remote_yank(&disk->remote);
}

static bool nbd_resize(BlockNode *node, uint64_t size, int preallocation, Error **error)
{
    uint64_t now = block_node_size(node);
    return size == now || (size > now ? error_set(error, "Cannot grow NBD nodes")
                                      : error_set(error, "Cannot resize NBD nodes"));
}

/* An export is there already; it has to be large enough. */
static bool nbd_create(BlockGraph *graph, const char *filename, const void *data, const Json *file_options,
                       Error **error)
{
    const NbdCreateOptions *options = data;
    BlockNode *node = block_open(graph, filename, NULL, BLOCK_OPEN_WRITE | BLOCK_OPEN_PROTOCOL, error);
    if (!node) {
        return error_prepend(error, "Protocol driver 'nbd' does not support creating new images, so an existing image "
                                    "must be selected as the target; however, opening the given target as an existing "
                                    "image failed: ");
    }
    bool ok = block_node_size(node) >= options->size ||
              error_set(error, "The image size does not fit the export '%s' of %" PRIu64 " bytes", filename,
                        block_node_size(node));
    block_node_unref(node);
    return ok;
}

const BlockDriver nbd_driver = {
    .name = "nbd",
    .is_protocol = true,
    .state_size = sizeof(NbdDisk),
    .settings = &NbdSettings_type,
    .schemes = nbd_schemes,
    .parse_name = nbd_parse_name,
    .open = nbd_open,
    .close = nbd_close,
    .read = nbd_read,
    .write = nbd_write,
    .write_zeroes = nbd_write_zeroes,
    .discard = nbd_discard,
    .flush = nbd_flush,
    .status = nbd_status,
    .resize = nbd_resize,
    .yank = nbd_yank,
    .create_type = &NbdCreateOptions_type,
    .create = nbd_create,
};
