/* Commands about exports of block nodes and the NBD server, and for its clients that hang. */
#include "monitor/monitor_internal.h"

#include "api/json.h"
#include "api/type.h"
#include "base/error.h"
#include "block/bitmap.h"
#include "block/block.h"
#include "block/exports.h"
#include "block/nbd/server.h"
#include "schema/block-export.h"
#include "monitor/objects.h"
#include "schema/sockets.h"

#include <stdlib.h>
#include <string.h>

static Object *root_of(const Monitor *monitor) { return monitor->control->machine->root; }

static void export_deleted(void *data, const char *id)
{
    Json *arguments = json_object();
    json_set(arguments, "id", json_string(id));
    machine_event(data, "BLOCK_EXPORT_DELETED", arguments);
}

static bool find_host(const Monitor *monitor, ExportHost *host, Error **error)
{
    Machine *machine = monitor->control->machine;
    bool ok = disk_prepare_graph(machine, monitor->control->files, error);
    *host = (ExportHost){ .root = machine->root, .files = monitor->control->files, .loop = machine->loop,
                          .graph = disk_graph(machine->root), .deleted = export_deleted, .data = machine };
    return ok;
}

static BlockNode *find_node(const Monitor *monitor, const char *device, const char *node_name, Error **error)
{
    Object *disks = object_child(root_of(monitor), "disks");
    Object *disk = device && disks ? object_child(disks, device) : NULL;
    BlockGraph *graph = disk_graph(root_of(monitor));
    BlockNode *node = disk    ? block_edge_node(disk_edge((Disk *)disk))
                      : graph ? block_node_find(graph, node_name)
                              : NULL;
    if (disk && disk_is_empty((Disk *)disk)) {
        error_set(error, "Device '%s' has no medium", device);
        return NULL;
    }
    if (!node) {
        error_set(error, "Cannot find device='%s' nor node-name='%s'", device ? device : "", node_name);
    }
    return node;
}

/* The server */

static bool start_server(const Monitor *monitor, const SocketAddress *address, const NbdServerStartArguments *given,
                         Error **error)
{
    ExportHost host;
    ExportServerOptions options = { .address = address, .tls_creds = given->tls_creds, .tls_authz = given->tls_authz,
                                    .handshake_seconds = given->handshake_max_seconds,
                                    .max_connections = given->max_connections };
    return find_host(monitor, &host, error) && exports_start_server(&host, &options, error);
}

bool qmp_nbd_server_start(Monitor *monitor, const NbdServerStartArguments *arguments, Error **error)
{
    SocketAddress address = { .type = arguments->addr.type };
    switch (address.type) {
    case SOCKET_ADDRESS_TYPE_INET:
        address.u.inet = arguments->addr.u.inet.data;
        break;
    case SOCKET_ADDRESS_TYPE_UNIX:
        address.u.unix_ = arguments->addr.u.unix_.data;
        break;
    case SOCKET_ADDRESS_TYPE_VSOCK:
        address.u.vsock = arguments->addr.u.vsock.data;
        break;
    default:
        address.u.fd = arguments->addr.u.fd.data;
        break;
    }
    return start_server(monitor, &address, arguments, error);
}

void monitor_end_exports(const Control *control)
{
    ExportHost host = { .root = control->machine ? control->machine->root : NULL };
    if (host.root) {
        exports_stop_server(&host, NULL);
    }
}

bool qmp_nbd_server_stop(Monitor *monitor, Error **error)
{
    ExportHost host;
    return find_host(monitor, &host, error) && exports_stop_server(&host, error);
}

/* Exports */

static bool add_export(const Monitor *monitor, ExportOptions *options, Error **error)
{
    ExportHost host;
    if (strlen(options->name) > NBD_MAXIMUM_TEXT) {
        return error_set(error, "export name '%s' too long", options->name);
    }
    if (options->description && strlen(options->description) > NBD_MAXIMUM_TEXT) {
        return error_set(error, "description '%s' too long", options->description);
    }
    return find_host(monitor, &host, error) && exports_add(&host, options, error);
}

static BlockBitmap *find_bitmap(BlockNode *node, const char *name, bool writable, Error **error)
{
    BlockBitmap *bitmap = NULL;
    for (BlockNode *at = node; at && !bitmap;) {
        if (!block_bitmaps_load(at, error)) {
            return NULL;
        }
        bitmap = block_bitmap_find(at, name, NULL);
        const BlockEdge *backing = block_node_backing(at);
        at = backing ? block_edge_node(backing) : NULL;
    }
    if (!bitmap) {
        error_set(error, "Bitmap '%s' is not found", name);
        return NULL;
    }
    if (bitmap->inconsistent) {
        error_set(error, "Bitmap '%s' is inconsistent and cannot be used", name);
        return NULL;
    }
    if (!writable && bitmap->enabled && !block_node_is_read_only(node)) {
        error_set(error, "Enabled bitmap '%s' incompatible with readonly export", name);
        return NULL;
    }
    return bitmap;
}

bool qmp_nbd_server_add(Monitor *monitor, const NbdServerAddArguments *arguments, Error **error)
{
    ExportHost host;
    ExportFacts facts;
    BlockNode *node = find_host(monitor, &host, error)
                          ? find_node(monitor, arguments->device, arguments->device, error)
                          : NULL;
    if (!node) {
        return false;
    }
    const char *name = arguments->name ? arguments->name : arguments->device;
    bool writable = arguments->writable && !block_node_is_read_only(node);
    BlockBitmap *bitmap = arguments->bitmap ? find_bitmap(node, arguments->bitmap, writable, error) : NULL;
    if (arguments->bitmap && !bitmap) {
        return false;
    }
    for (size_t i = 0; exports_at(root_of(monitor), i, &facts); i++) {
        if (strcmp(facts.id, name) == 0) {
            return error_set(error, "NBD server already has export named '%s'", name);
        }
    }
    ExportOptions options = { .id = name, .name = name, .description = arguments->description, .node = node,
                              .writable = writable, .bitmaps = &bitmap, .bitmap_count = bitmap ? 1 : 0,
                              .drive = block_node_find(host.graph, arguments->device) ? NULL : arguments->device };
    return add_export(monitor, &options, error);
}

bool qmp_nbd_server_remove(Monitor *monitor, const NbdServerRemoveArguments *arguments, Error **error)
{
    ExportHost host;
    return find_host(monitor, &host, error) &&
           exports_remove(&host, arguments->name, arguments->mode == BLOCK_EXPORT_REMOVE_MODE_HARD, error);
}

static bool find_bitmaps(const Monitor *monitor, BlockNode *node, const BlockExportOptions *given,
                         BlockBitmap **bitmaps, Error **error)
{
    const BlockDirtyBitmapOrStrList *list = &given->u.nbd.bitmaps;
    if (list->count > NBD_MAXIMUM_BITMAPS) {
        return error_set(error, "At most %d bitmaps can be exposed", NBD_MAXIMUM_BITMAPS);
    }
    for (size_t i = 0; i < list->count; i++) {
        const BlockDirtyBitmapOrStr *item = &list->items[i];
        bool local = item->kind == JSON_STRING;
        BlockNode *owner = local ? node : find_node(monitor, NULL, item->u.external->node, error);
        bitmaps[i] = owner ? find_bitmap(owner, local ? item->u.local : item->u.external->name, given->writable, error)
                           : NULL;
        if (!bitmaps[i]) {
            return false;
        }
    }
    return true;
}

bool qmp_block_export_add(Monitor *monitor, const BlockExportOptions *arguments, Error **error)
{
    BlockBitmap *bitmaps[NBD_MAXIMUM_BITMAPS];
    if (!user_id_well_formed(arguments->id)) {
        return error_set(error, "Invalid block export id");
    }
    BlockNode *node = find_node(monitor, NULL, arguments->node_name, error);
    if (!node || !find_bitmaps(monitor, node, arguments, bitmaps, error)) {
        return false;
    }
    const BlockExportOptionsNbd *nbd = &arguments->u.nbd;
    ExportOptions options = { .id = arguments->id, .name = nbd->name ? nbd->name : arguments->node_name,
                              .description = nbd->description, .node = node, .writable = arguments->writable,
                              .write_through = arguments->writethrough, .allocation_depth = nbd->allocation_depth,
                              .bitmaps = bitmaps, .bitmap_count = nbd->bitmaps.count,
                              .iothread = arguments->iothread };
    return add_export(monitor, &options, error);
}

bool monitor_end_export(Monitor *monitor, const char *id, Error **error)
{
    ExportHost host;
    return find_host(monitor, &host, error) && exports_remove(&host, id, true, error);
}

bool qmp_block_export_del(Monitor *monitor, const BlockExportDelArguments *arguments, Error **error)
{
    ExportHost host;
    return find_host(monitor, &host, error) &&
           exports_remove(&host, arguments->id, arguments->mode == BLOCK_EXPORT_REMOVE_MODE_HARD, error);
}

bool qmp_query_block_exports(Monitor *monitor, BlockExportInfoList *result, Error **error)
{
    VEC(BlockExportInfo) list = { 0 };
    ExportFacts facts;
    for (size_t i = 0; exports_at(root_of(monitor), i, &facts); i++) {
        vec_push(&list, (BlockExportInfo){ .id = string_copy(facts.id), .type = BLOCK_EXPORT_TYPE_NBD,
                                           .node_name = string_copy(facts.node_name),
                                           .shutting_down = facts.leaving });
    }
    *result = (BlockExportInfoList){ list.items, list.count };
    return true;
}

/* Nodes that hang. Sockets of character devices cannot be yanked. */

bool qmp_yank(Monitor *monitor, const YankArguments *arguments, Error **error)
{
    const BlockGraph *graph = disk_graph(root_of(monitor));
    for (size_t i = 0; i < arguments->instances.count; i++) {
        const char *name = arguments->instances.items[i].u.block_node.node_name;
        const BlockNode *node = graph ? block_node_find(graph, name) : NULL;
        if (!node || !block_node_can_be_yanked(node)) {
            return error_set_class(error, ERROR_DEVICE_NOT_FOUND, "Instance not found");
        }
    }
    for (size_t i = 0; i < arguments->instances.count; i++) {
        block_node_yank(block_node_find(graph, arguments->instances.items[i].u.block_node.node_name));
    }
    return true;
}

bool qmp_query_yank(Monitor *monitor, YankInstanceList *result, Error **error)
{
    VEC(YankInstance) list = { 0 };
    const BlockGraph *graph = disk_graph(root_of(monitor));
    BlockNode *node;
    for (size_t i = 0; graph && (node = block_graph_node(graph, i)); i++) {
        if (block_node_can_be_yanked(node)) {
            vec_push(&list, (YankInstance){ .type = YANK_INSTANCE_TYPE_BLOCK_NODE,
                                            .u.block_node.node_name = string_copy(block_node_name(node)) });
        }
    }
    *result = (YankInstanceList){ list.items, list.count };
    return true;
}

/* The human monitor's */

typedef struct AddAll {
    Monitor *monitor;
    bool writable, ok;
    Error **error;
} AddAll;

static bool add_drive(Object *child, void *context)
{
    AddAll *all = context;
    char *id = (char *)(uintptr_t)disk_id((Disk *)child);
    NbdServerAddArguments arguments = { .device = id, .has_writable = true, .writable = all->writable };
    all->ok = disk_is_empty((Disk *)child) || qmp_nbd_server_add(all->monitor, &arguments, all->error);
    return all->ok;
}

bool hmp_nbd_server_start(Monitor *monitor, const NbdServerStartHmpArguments *arguments, StrBuf *output,
                          Error **error)
{
    const char *colon = strrchr(arguments->uri, ':');
    if (!colon || !colon[1]) {
        return error_set(error, "error parsing address '%s'", arguments->uri);
    }
    bool bracket = arguments->uri[0] == '[' && colon[-1] == ']';
    AUTO_FREE char *host = string_copy_length(arguments->uri + bracket,
                                              (size_t)(colon - arguments->uri) - 2u * bracket);
    SocketAddress address = { .type = SOCKET_ADDRESS_TYPE_INET,
                              .u.inet = { .host = host, .port = (char *)(uintptr_t)(colon + 1) } };
    NbdServerStartArguments options = { .handshake_max_seconds = 10, .max_connections = 100 };
    AddAll all = { .monitor = monitor, .writable = arguments->writable, .ok = true, .error = error };
    if (arguments->writable && !arguments->all) {
        return error_set(error, "-w only valid together with -a");
    }
    if (!start_server(monitor, &address, &options, error)) {
        return false;
    }
    Object *disks = object_child(root_of(monitor), "disks");
    if (arguments->all && disks) {
        object_each_child(disks, add_drive, &all);
    }
    if (!all.ok) {
        qmp_nbd_server_stop(monitor, NULL);
    }
    return all.ok;
}

bool hmp_nbd_server_add(Monitor *monitor, const NbdServerAddHmpArguments *arguments, StrBuf *output, Error **error)
{
    NbdServerAddArguments all = { .device = arguments->device, .name = arguments->name, .has_writable = true,
                                  .writable = arguments->writable };
    return qmp_nbd_server_add(monitor, &all, error);
}

bool hmp_nbd_server_remove(Monitor *monitor, const NbdServerRemoveHmpArguments *arguments, StrBuf *output,
                           Error **error)
{
    NbdServerRemoveArguments all = { .name = arguments->name,
                                     .mode = arguments->force ? BLOCK_EXPORT_REMOVE_MODE_HARD
                                                              : BLOCK_EXPORT_REMOVE_MODE_SAFE };
    return qmp_nbd_server_remove(monitor, &all, error);
}
