/* Images as a whole: what drivers there are, making an image, asking it. */
#include "block/image.h"

#include "api/json.h"
#include "api/type.h"
#include "base/error.h"
#include "base/host/host.h"
#include "base/text.h"
#include "base/vec.h"
#include "block/block_internal.h"

#include <errno.h>
#include <sys/stat.h>

const BlockDriver *block_driver_find(const char *name)
{
    for (size_t i = 0; i < block_driver_count; i++) {
        if (strcmp(block_drivers[i]->name, name) == 0) {
            return block_drivers[i];
        }
    }
    return NULL;
}

static const BlockDriver *next_by_name(const char *after)
{
    const BlockDriver *next = NULL;
    for (size_t i = 0; i < block_driver_count; i++) {
        const BlockDriver *driver = block_drivers[i];
        if ((!after || strcmp(driver->name, after) > 0) && (!next || strcmp(driver->name, next->name) < 0)) {
            next = driver;
        }
    }
    return next;
}

const BlockDriver *block_driver_at(size_t i)
{
    const BlockDriver *driver = next_by_name(NULL);
    for (; driver && i > 0; i--) {
        driver = next_by_name(driver->name);
    }
    return driver;
}

const char *block_driver_name(const BlockDriver *driver) { return driver->name; }
bool block_driver_can_create(const BlockDriver *driver) { return driver->create != NULL; }
bool block_driver_can_compress(const BlockDriver *driver) { return driver->compresses; }
bool block_driver_has_backing(const BlockDriver *driver) { return driver->has_backing; }
const Type *block_driver_create_type(const BlockDriver *driver) { return driver->create_type; }

size_t block_name_scheme(const char *filename)
{
    size_t length = strcspn(filename, ":/");
    return length > 0 && filename[length] == ':' ? length + 1 : 0;
}

static const BlockDriver *driver_of_scheme(const char *filename, size_t length)
{
    for (size_t i = 0; i < block_driver_count; i++) {
        const char *const *scheme = block_drivers[i]->schemes;
        for (; scheme && *scheme; scheme++) {
            if (strlen(*scheme) + 1 == length && memcmp(*scheme, filename, length - 1) == 0) {
                return block_drivers[i];
            }
        }
    }
    return NULL;
}

const BlockDriver *block_protocol_find(const char *filename, Error **error)
{
    size_t length = block_name_scheme(filename);
    const BlockDriver *driver = length ? driver_of_scheme(filename, length) : NULL;
    if (length && !driver) {
        error_set(error, "Unknown protocol '%.*s'", (int)length - 1, filename);
        return NULL;
    }
    if (driver && driver->parse_name) {
        return driver;
    }
    struct stat status;
    if (stat(filename + length, &status) != 0 || !(S_ISBLK(status.st_mode) || S_ISCHR(status.st_mode))) {
        return driver ? driver : block_driver_find("file");
    }
    bool is_cdrom = S_ISBLK(status.st_mode) && host_device_is_cdrom(status.st_rdev);
    return block_driver_find(is_cdrom ? "host_cdrom" : "host_device");
}

const BlockDriver *block_protocol_of(const char *filename)
{
    const BlockDriver *driver = block_protocol_find(filename, NULL);
    return driver ? driver : block_driver_find("file");
}

/* Making images */

static bool has_member(const Type *type, const char *name)
{
    for (uint32_t i = 0; type && i < type->member_count; i++) {
        if (strcmp(type->members[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* Those that the driver knows, and those that only the protocol does. */
static bool split_options(const BlockDriver *driver, const char *filename, const Json *options, Json *own, Json *below,
                          Error **error)
{
    const BlockDriver *protocol = block_protocol_find(filename, error);
    if (!protocol) {
        return false;
    }
    for (size_t i = 0; i < json_length(options); i++) {
        const char *name = json_key(options, i);
        bool is_own = has_member(driver->create_type, name);
        if (!is_own && (driver->is_protocol || !has_member(protocol->create_type, name))) {
            return error_set(error, "Invalid parameter '%s'", name);
        }
        json_set(is_own ? own : below, name, json_copy(json_value(options, i)));
    }
    return true;
}

/* Those of a choice are looked at where they are used: `chosen`. */
static bool check_value(const TypeMember *member, const char *text, bool chosen, Error **error)
{
    uint64_t size;
    int64_t number;
    bool flag;
    switch (member->type->kind) {
    case TYPE_SIZE:
        if (text_to_size(text, 1, &size, NULL)) {
            return true;
        }
        if (text_to_int64(text, &number, NULL)) {
            return error_set(error, "Value '%s' is out of range for parameter '%s'", text, member->name);
        }
        error_set(error, "Parameter '%s' expects a non-negative number below 2^64", member->name);
        error_add_hint(error, "Optional suffix k, M, G, T, P or E means kilo-, mega-, giga-, tera-, peta-\n"
                              "and exabytes, respectively.\n");
        return false;
    case TYPE_BOOL:
        return text_to_bool(text, &flag, NULL) ||
               error_set(error, "Parameter '%s' expects 'on' or 'off'", member->name);
    case TYPE_INT:
        return text_to_int64(text, &number, NULL) || error_set(error, "Parameter '%s' expects a number", member->name);
    case TYPE_ENUM:
        return !chosen || type_enum_value(member->type, text, NULL) >= 0 ||
               error_set(error, "Parameter '%s' does not accept value '%s'", member->name, text);
    default:
        return true;
    }
}

static bool check_values(const Type *type, const Json *options, bool chosen, Error **error)
{
    for (uint32_t i = 0; i < type->member_count; i++) {
        const char *text = json_get_text(options, type->members[i].name);
        if (text && !check_value(&type->members[i], text, chosen, error)) {
            return false;
        }
    }
    return true;
}

typedef struct CreateOptions {
    Json *own, *below;
    void *values; /* of the driver's create type */
} CreateOptions;

static bool read_options(const BlockDriver *driver, const char *filename, const Json *options, CreateOptions *result,
                         Error **error)
{
    *result = (CreateOptions){ .own = json_object(), .below = json_object(),
                               .values = mem_alloc0(driver->create_type->size) };
    return split_options(driver, filename, options, result->own, result->below, error) &&
           check_values(driver->create_type, result->own, true, error) &&
           type_from_options(driver->create_type, result->own, result->values, error);
}

static void clear_options(const BlockDriver *driver, CreateOptions *options)
{
    type_clear(driver->create_type, options->values);
    free(options->values);
    json_free(options->own);
    json_free(options->below);
}

bool block_create_check(const BlockDriver *driver, const char *filename, const Json *options, Error **error)
{
    Json *own = json_object(), *below = json_object();
    const Type *outer = block_driver_create_type(block_protocol_of(filename));
    bool ok = split_options(driver, filename, options, own, below, error) &&
              check_values(driver->create_type, own, false, error) &&
              (!outer || check_values(outer, below, false, error));
    json_free(own);
    json_free(below);
    return ok;
}

bool block_create(BlockGraph *graph, const BlockDriver *driver, const char *filename, const Json *options,
                  Error **error)
{
    if (!driver->create) {
        return error_set(error, "Format driver '%s' does not support image creation", driver->name);
    }
    CreateOptions all;
    bool is_path = driver->is_protocol && !driver->parse_name;
    bool ok = read_options(driver, filename, options, &all, error) &&
              driver->create(graph, is_path ? block_path_of(driver, filename) : filename, all.values, all.below,
                             error);
    clear_options(driver, &all);
    return ok;
}

const Type *block_driver_amend_type(const BlockDriver *driver) { return driver->amend_type; }

static bool check_amend_options(const BlockDriver *driver, const Json *options, Error **error)
{
    for (size_t i = 0; i < json_length(options); i++) {
        const char *name = json_key(options, i);
        if (!has_member(driver->amend_type, name)) {
            error_set(error, "Invalid parameter '%s'", name);
            if (has_member(driver->create_type, name)) {
                error_add_hint(error, "This option is only supported for image creation\n");
            }
            return false;
        }
    }
    return true;
}

bool block_amend(BlockNode *node, const Json *options, Error **error)
{
    const BlockDriver *driver = node->driver;
    if (!driver->amend) {
        return error_set(error, "Format driver '%s' does not support option amendment", driver->name);
    }
    void *values = mem_alloc0(driver->amend_type->size);
    bool ok = check_amend_options(driver, options, error) &&
              check_values(driver->amend_type, options, true, error) &&
              type_from_options(driver->amend_type, options, values, error);
    if (ok) {
        block_graph_drain_begin(node->graph);
        ok = driver->amend(node, values, error);
        block_graph_drain_end(node->graph);
    }
    type_clear(driver->amend_type, values);
    free(values);
    return ok;
}

bool block_measure(const BlockDriver *driver, const Json *options, BlockEdge *source, BlockMeasure *measure,
                   Error **error)
{
    if (!driver->measure) {
        return error_set(error, "Block driver '%s' does not support size measurement", driver->name);
    }
    CreateOptions all;
    bool ok = read_options(driver, "", options, &all, error) && driver->measure(all.values, source, measure, error);
    clear_options(driver, &all);
    return ok;
}

static BlockEdge *open_file(BlockGraph *graph, const char *filename, Error **error)
{
    BlockNode *node = block_open(graph, filename, NULL,
                                 BLOCK_OPEN_WRITE | BLOCK_OPEN_PROTOCOL | BLOCK_OPEN_NO_FLUSH, error);
    BlockEdge *edge = node ? block_attach(node, "image creation", BLOCK_PERMISSION_WRITE | BLOCK_PERMISSION_RESIZE,
                                          BLOCK_PERMISSION_READ, error)
                           : NULL;
    block_node_unref(node);
    return edge;
}

BlockEdge *block_create_file(BlockGraph *graph, const char *filename, uint64_t size, const Json *options,
                             Error **error)
{
    const BlockDriver *protocol = block_protocol_of(filename);
    Json *all = options ? json_copy(options) : json_object();
    AUTO_FREE char *text = string_format("%llu", (unsigned long long)size);
    json_set(all, "size", json_string(text));
    bool ok = block_create(graph, protocol, filename, all, error);
    json_free(all);
    return ok ? open_file(graph, filename, error) : NULL;
}

/* Asking */

void block_node_facts(const BlockNode *node, BlockFacts *facts)
{
    *facts = (BlockFacts){ 0 };
    if (node->driver->facts) {
        node->driver->facts(node, facts);
    }
}

typedef struct StateCall {
    BlockEdge *edge;
    bool write;
    uint64_t offset, bytes;
    BlockVectors vectors;
    int error;
} StateCall;

static void run_state_call(void *data)
{
    StateCall *call = data;
    BlockNode *node = call->edge->node;
    call->error = node->driver->state(node, call->write, call->offset, call->bytes, call->vectors);
}

int block_state(BlockEdge *edge, bool write, uint64_t offset, uint64_t bytes, BlockVectors vectors)
{
    StateCall call = { .edge = edge, .write = write, .offset = offset, .bytes = bytes, .vectors = vectors };
    if (!edge->node->driver->state) {
        return ENOTSUP;
    }
    if (write && !(edge->permissions & BLOCK_PERMISSION_WRITE)) {
        return EPERM;
    }
    block_task_call(edge->graph->runtime, run_state_call, &call);
    node_changed(edge->node, 0);
    return call.error;
}

bool block_can_compress(const BlockNode *node) { return node->limits.write_flags & BLOCK_COMPRESSED; }
bool block_can_check(const BlockNode *node) { return node->driver->check != NULL; }

bool block_check(BlockNode *node, unsigned fix, BlockCheck *check, Error **error)
{
    if (!node->driver->check) {
        return error_set(error, "This image format does not support checks");
    }
    block_graph_drain_begin(node->graph);
    bool ok = node->driver->check(node, fix, check, error);
    block_graph_drain_end(node->graph);
    return ok;
}

bool block_change_backing_file(BlockNode *node, const char *filename, const char *format, Error **error)
{
    if (!node->driver->change_backing_file) {
        return error_set(error, "Operation not supported");
    }
    block_graph_drain_begin(node->graph);
    bool ok = node->driver->change_backing_file(node, filename, format, error);
    block_graph_drain_end(node->graph);
    return ok;
}

bool block_make_empty(BlockNode *node, Error **error)
{
    if (!node->driver->make_empty) {
        return error_set(error, "Block driver '%s' does not support emptying", node->driver->name);
    }
    block_graph_drain_begin(node->graph);
    bool ok = node->driver->make_empty(node, error);
    block_graph_drain_end(node->graph);
    return ok;
}

/* Snapshots */

void block_snapshots_clear(BlockSnapshots *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->items[i].id);
        free(list->items[i].name);
    }
    vec_free(list);
}

bool block_can_snapshot(const BlockNode *node) { return node->driver->snapshot_create != NULL; }

bool block_snapshot_list(BlockNode *node, BlockSnapshots *list, Error **error)
{
    *list = (BlockSnapshots){ 0 };
    return !node->driver->snapshot_list || node->driver->snapshot_list(node, list, error);
}

bool block_snapshot_create(BlockNode *node, const BlockSnapshot *snapshot, Error **error)
{
    if (!node->driver->snapshot_create) {
        return error_set_errno(error, ENOTSUP, "Block driver '%s' has no snapshots", node->driver->name);
    }
    block_graph_drain_begin(node->graph);
    bool ok = node->driver->snapshot_create(node, snapshot, error);
    block_graph_drain_end(node->graph);
    return ok;
}

static bool change_snapshot(BlockNode *node, bool (*change)(BlockNode *, const char *, Error **), const char *name,
                            Error **error)
{
    if (!change) {
        return error_set_errno(error, ENOTSUP, "Block driver '%s' has no snapshots", node->driver->name);
    }
    block_graph_drain_begin(node->graph);
    bool ok = change(node, name, error);
    block_graph_drain_end(node->graph);
    return ok;
}

bool block_snapshot_apply(BlockNode *node, const char *name, Error **error)
{
    if (!list_empty(&node->bitmaps)) { /* they do not know what would become different */
        return error_set(error, "Device has active dirty bitmaps");
    }
    return change_snapshot(node, node->driver->snapshot_apply, name, error);
}

bool block_snapshot_delete(BlockNode *node, const char *name, Error **error)
{
    return change_snapshot(node, node->driver->snapshot_delete, name, error);
}

bool block_snapshot_load(BlockNode *node, const char *name, Error **error)
{
    if (!node->driver->snapshot_load) {
        return error_set(error, "Block format '%s' used by device '' does not support temporarily loading internal "
                                "snapshots", node->driver->name);
    }
    return change_snapshot(node, node->driver->snapshot_load, name, error);
}
