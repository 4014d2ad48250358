/*
 * Opening nodes: file names and options, and the nodes below. Without a driver, a name is that of a file or host device
 * with a raw image in it.
 */
#include "block/block_internal.h"

#include "api/json.h"
#include "api/type.h"
#include "base/error.h"
#include "base/text.h"
#include "base/vec.h"
#include "schema/block.h"

#include <sys/stat.h>

bool block_parse_cache_mode(const char *name, unsigned *flags, bool *write_through, Error **error)
{
    static const struct {
        const char *name;
        unsigned flags;
        bool write_through;
    } modes[] = {
        { "none", BLOCK_OPEN_DIRECT, false },
        { "off", BLOCK_OPEN_DIRECT, false },
        { "writeback", 0, false },
        { "writethrough", 0, true },
        { "directsync", BLOCK_OPEN_DIRECT, true },
        { "unsafe", BLOCK_OPEN_NO_FLUSH, false },
    };
    for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
        if (strcmp(modes[i].name, name) == 0) {
            *flags |= modes[i].flags;
            *write_through = modes[i].write_through;
            return true;
        }
    }
    return error_set(error, "'%s' is no cache mode; they are none, writeback, writethrough, directsync, unsafe", name);
}

/* Drivers */

static const char *driver_candidate(const void *context, size_t i)
{
    return i < block_driver_count ? block_drivers[i]->name : NULL;
}

static const BlockDriver *find_driver(const char *name, Error **error)
{
    for (size_t i = 0; i < block_driver_count; i++) {
        if (strcmp(block_drivers[i]->name, name) == 0) {
            return block_drivers[i];
        }
    }
    AUTO_FREE char *suggestion = text_suggestion(name, driver_candidate, NULL);
    error_set(error, "Unknown driver '%s'%s", name, suggestion);
    return NULL;
}

static const char *protocol_of(const char *filename)
{
    struct stat status;
    return stat(filename, &status) == 0 && S_ISBLK(status.st_mode) ? "host_device" : "file";
}

/* json:{...} instead of a name; what the options say besides counts more. */
static bool take_json_name(const char **filename, Json *options, Error **error)
{
    if (!*filename || !text_starts_with(*filename, "json:")) {
        return true;
    }
    const char *text = *filename + strlen("json:");
    Json *json = json_parse(text, strlen(text), error);
    if (!json) {
        return error_prepend(error, "Could not parse the JSON options: ");
    }
    bool ok = json_kind(json) == JSON_OBJECT || error_set(error, "json: expects an object");
    for (size_t i = 0; ok && i < json_length(json); i++) {
        if (!json_get(options, json_key(json, i))) {
            json_set(options, json_key(json, i), json_copy(json_value(json, i)));
        }
    }
    json_free(json);
    *filename = NULL;
    return ok;
}

/* Which driver it is; a name goes to where that driver has it. */
static const BlockDriver *choose_driver(const char *filename, Json *options, unsigned flags, Error **error)
{
    const char *given = json_get_text(options, "driver");
    const char *name = filename ? filename : json_get_text(options, "filename");
    if (!given && flags & BLOCK_OPEN_PROTOCOL && !name) {
        error_set(error, "Must specify either driver or file");
        return NULL;
    }
    const BlockDriver *driver =
        find_driver(given ? given : flags & BLOCK_OPEN_PROTOCOL ? protocol_of(name) : "raw", error);
    if (!driver || !name) {
        return driver;
    }
    if (driver->is_protocol) {
        if (filename && driver->filename_key) {
            json_set(options, driver->filename_key, json_string(filename));
        }
        return driver;
    }
    Json *file = json_object();
    json_set(file, "filename", json_string(name));
    json_free(json_take(options, "filename"));
    json_free(json_take(options, "file"));
    json_set(options, "file", file);
    return driver;
}

/* Settings */

/* Moves what every node has out of the options. */
static Json *take_common(Json *options)
{
    Json *common = json_object();
    for (size_t i = 0; i < BlockNodeSettings_type.member_count; i++) {
        const char *name = BlockNodeSettings_type.members[i].name;
        Json *value = json_take(options, name);
        if (value) {
            json_set(common, name, value);
        }
    }
    return common;
}

static bool set_name(BlockNode *node, const char *name, Error **error)
{
    if (!name) {
        node->name = string_format("#block%03u", ++node->graph->next_name); /* no user's name begins so */
        return true;
    }
    if (!name[0] || strlen(name) > 31 || strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                                      "-._") != strlen(name) ||
        !strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", name[0])) {
        return error_set(error, "Invalid node-name: '%s'", name);
    }
    if (block_node_find(node->graph, name)) {
        return error_set(error, "Duplicate nodes with node-name='%s'", name);
    }
    node->name = string_copy(name);
    return true;
}

static bool apply_common(BlockNode *node, const BlockNodeSettings *common, unsigned flags, Error **error)
{
    bool direct = flags & BLOCK_OPEN_DIRECT, no_flush = flags & BLOCK_OPEN_NO_FLUSH;
    node->read_only = common->has_read_only ? common->read_only : !(flags & BLOCK_OPEN_WRITE);
    node->force_share = common->has_force_share ? common->force_share : flags & BLOCK_OPEN_FORCE_SHARE;
    node->discard = common->has_discard ? common->discard == BLOCKDEV_DISCARD_OPTIONS_UNMAP
                                        : flags & BLOCK_OPEN_DISCARD;
    node->detect_zeroes = common->detect_zeroes;
    if (common->cache) {
        direct = common->cache->has_direct ? common->cache->direct : direct;
        no_flush = common->cache->has_no_flush ? common->cache->no_flush : no_flush;
    }
    node->no_flush = no_flush;
    node->flags = (node->read_only ? 0 : BLOCK_OPEN_WRITE) | (node->force_share ? BLOCK_OPEN_FORCE_SHARE : 0) |
                  (node->discard ? BLOCK_OPEN_DISCARD : 0) | (direct ? BLOCK_OPEN_DIRECT : 0) |
                  (no_flush ? BLOCK_OPEN_NO_FLUSH : 0);
    if (node->force_share && !node->read_only) {
        return error_set(error, "force-share=on can only be used with read-only images");
    }
    if (node->detect_zeroes == BLOCKDEV_DETECT_ZEROES_OPTIONS_UNMAP && !node->discard) {
        return error_set(error,
                         "setting detect-zeroes to unmap is not allowed without setting discard operation to unmap");
    }
    return set_name(node, common->node_name, error);
}

static bool setup(BlockNode *node, Json *options, unsigned flags, Error **error)
{
    BlockNodeSettings common = { 0 };
    Json *mine = take_common(options);
    json_set(mine, "driver", json_string(node->driver->name));
    bool ok = type_from_options(&BlockNodeSettings_type, mine, &common, error) &&
              apply_common(node, &common, flags, error);
    json_free(mine);
    type_clear(&BlockNodeSettings_type, &common);
    return ok;
}

/* `options`: what is left of them is the driver's own, and its children's. */
static bool open_driver(BlockNode *node, Json *options, Error **error)
{
    const BlockDriver *driver = node->driver;
    AUTO_FREE void *settings = mem_alloc0(driver->settings->size);
    node->options = json_object();
    if (!driver->is_protocol && json_get(options, "file")) {
        json_set(node->options, "file", json_take(options, "file"));
    }
    if (!type_from_options(driver->settings, options, settings, error)) {
        return error_prepend(error, "Block driver '%s': ", driver->name);
    }
    node->state = mem_alloc0(driver->state_size);
    bool ok = driver->open(node, settings, error);
    type_clear(driver->settings, settings);
    json_free(node->options);
    node->options = NULL;
    return ok;
}

static BlockNode *open_chosen(BlockGraph *graph, const BlockDriver *driver, Json *options, unsigned flags,
                              Error **error)
{
    BlockNode *node = node_new(graph);
    node->driver = driver;
    if (setup(node, options, flags, error) && open_driver(node, options, error)) {
        return node;
    }
    block_node_unref(node);
    return NULL;
}

BlockNode *block_open(BlockGraph *graph, const char *filename, Json *options, unsigned flags, Error **error)
{
    options = options ? options : json_object();
    BlockNode *node = NULL;
    if (take_json_name(&filename, options, error)) {
        const BlockDriver *driver = choose_driver(filename, options, flags, error);
        node = driver ? open_chosen(graph, driver, options, flags, error) : NULL;
    }
    json_free(options);
    return node;
}

/* A child's options may be a node's name. */
static BlockNode *open_below(BlockNode *node, Json *options, Error **error)
{
    if (json_kind(options) != JSON_STRING) {
        return block_open(node->graph, NULL, options, node->flags | BLOCK_OPEN_PROTOCOL, error);
    }
    BlockNode *found = block_node_find(node->graph, json_text(options));
    if (!found) {
        error_set(error, "Cannot find device='' nor node-name='%s'", json_text(options));
    }
    json_free(options);
    return found ? block_node_ref(found) : NULL;
}

BlockEdge *block_open_child(BlockNode *node, const char *name, Error **error)
{
    Json *options = json_take(node->options, name);
    if (!options) {
        error_set(error, "A block device must be specified for \"%s\"", name);
        return NULL;
    }
    BlockNode *below = open_below(node, options, error);
    BlockEdge *edge = below ? edge_new(below, node, name, 0, BLOCK_PERMISSION_ALL, error) : NULL;
    block_node_unref(below);
    return edge;
}
