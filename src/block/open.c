/*
 * Opening nodes: file names and options, and the nodes below. Without a driver, a name is that of a file or host device
 * with an image in it, whose first bytes say of which format.
 */
#include "block/block_internal.h"

#include "api/json.h"
#include "api/options.h"
#include "api/type.h"
#include "base/error.h"
#include "base/text.h"
#include "base/vec.h"
#include "schema/block.h"
#include "trace/block.h"

#include <ctype.h>
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

bool block_parse_aio(const char *name, unsigned *flags)
{
    unsigned flag = strcmp(name, "native") == 0     ? BLOCK_OPEN_AIO_NATIVE
                    : strcmp(name, "io_uring") == 0 ? BLOCK_OPEN_AIO_IO_URING
                                                    : 0;
    *flags |= flag;
    return flag || strcmp(name, "threads") == 0;
}

/* Drivers */

static const char *driver_candidate(const void *context, size_t i)
{
    return i < block_driver_count ? block_drivers[i]->name : NULL;
}

static const BlockDriver *find_driver(const char *name, Error **error)
{
    const BlockDriver *driver = block_driver_find(name);
    if (driver) {
        return driver;
    }
    AUTO_FREE char *suggestion = text_suggestion(name, driver_candidate, NULL);
    error_set(error, "Unknown driver '%s'%s", name, suggestion);
    return NULL;
}

/* json:{...} instead of a name; what the options say besides counts more. */
static bool take_json_name(const char **filename, Json *options, Error **error)
{
    if (!*filename || !text_starts_with(*filename, "json:")) {
        return true;
    }
    const char *text = *filename + strlen("json:");
    Json *given = json_parse(text, strlen(text), error);
    if (!given) {
        return error_prepend(error, "Could not parse the JSON options: ");
    }
    bool ok = json_kind(given) == JSON_OBJECT || error_set(error, "Invalid JSON object given");
    Json *json = ok ? options_nest(given, error) : NULL;
    json_free(given);
    ok = json != NULL;
    for (size_t i = 0; ok && i < json_length(json); i++) {
        if (!json_get(options, json_key(json, i))) {
            json_set(options, json_key(json, i), json_copy(json_value(json, i)));
        }
    }
    json_free(json);
    *filename = NULL;
    return ok;
}

/* The driver that the options name, or a protocol's; none where the image is to be looked at. */
static bool choose_driver(BlockNode *node, const char *filename, Json *options, unsigned flags, Error **error)
{
    const char *given = json_get_text(options, "driver");
    const char *name = filename ? filename : json_get_text(options, "filename");
    bool is_protocol = flags & BLOCK_OPEN_PROTOCOL;
    if (!given && !name && (is_protocol || !json_get(options, "file"))) {
        return error_set(error, "Must specify either driver or file");
    }
    if (!given && !is_protocol) {
        return true;
    }
    node->driver = given ? find_driver(given, error) : block_protocol_find(name, error);
    return node->driver != NULL;
}

/* A protocol's own kind of name, as it is given or among the options. */
static bool parse_name(const BlockDriver *driver, const char *filename, Json *options, Error **error)
{
    Json *given = json_take(options, "filename");
    const char *name = filename ? filename : given && json_kind(given) == JSON_STRING ? json_text(given) : NULL;
    bool ok = !name || driver->parse_name(driver, name, options, error);
    json_free(given);
    return ok;
}

const char *block_path_of(const BlockDriver *driver, const char *filename)
{
    size_t length = block_name_scheme(filename);
    for (const char *const *scheme = driver->schemes; length && scheme && *scheme; scheme++) {
        if (strlen(*scheme) + 1 == length && memcmp(*scheme, filename, length - 1) == 0) {
            return filename + length;
        }
    }
    return filename;
}

static bool place_protocol_name(const BlockDriver *driver, const char *filename, Json *options, Error **error)
{
    if (driver->parse_name) {
        return parse_name(driver, filename, options, error);
    }
    /* Among the options it is a plain path where a driver is given, and may have a scheme where it is not. */
    bool given = json_get(options, "driver") != NULL;
    AUTO_FREE char *name = string_copy(filename ? filename : given ? NULL : json_get_text(options, "filename"));
    if (name && driver->filename_key) {
        json_set(options, driver->filename_key, json_string(block_path_of(driver, name)));
    }
    return true;
}

/* A name goes to where the driver has it: an image's is that of its file. */
static bool place_name(const BlockDriver *driver, const char *filename, Json *options, Error **error)
{
    if (driver && driver->is_protocol) {
        return place_protocol_name(driver, filename, options, error);
    }
    const char *name = filename ? filename : json_get_text(options, "filename");
    if (name) {
        Json *file = json_object();
        json_set(file, "filename", json_string(name));
        json_free(json_take(options, "filename"));
        json_free(json_take(options, "file"));
        json_set(options, "file", file);
    }
    return true;
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

/* What children are opened with like their parents. */
enum { KEPT_FLAGS = BLOCK_OPEN_NO_BACKING | BLOCK_OPEN_NO_DATA | BLOCK_OPEN_AIO_NATIVE | BLOCK_OPEN_AIO_IO_URING };

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
    bool auto_read_only = common->has_auto_read_only ? common->auto_read_only : flags & BLOCK_OPEN_AUTO_READ_ONLY;
    node->flags = (node->read_only ? 0 : BLOCK_OPEN_WRITE) | (node->force_share ? BLOCK_OPEN_FORCE_SHARE : 0) |
                  (node->discard ? BLOCK_OPEN_DISCARD : 0) | (direct ? BLOCK_OPEN_DIRECT : 0) |
                  (no_flush ? BLOCK_OPEN_NO_FLUSH : 0) | (auto_read_only ? BLOCK_OPEN_AUTO_READ_ONLY : 0) |
                  (flags & KEPT_FLAGS);
    if (node->force_share && !node->read_only) {
        return error_set(error, "force-share=on can only be used with read-only images");
    }
    if (node->detect_zeroes == BLOCKDEV_DETECT_ZEROES_OPTIONS_UNMAP && !node->discard) {
        return error_set(error,
                         "setting detect-zeroes to unmap is not allowed without setting discard operation to unmap");
    }
    return true;
}

bool node_apply_settings(BlockNode *node, Json *options, unsigned flags, Error **error)
{
    BlockNodeSettings common = { 0 };
    Json *mine = take_common(options);
    json_set(mine, "driver", json_string("raw")); /* any: it is chosen already, or will be by the file's beginning */
    bool ok = type_from_options(&BlockNodeSettings_type, mine, &common, error) &&
              apply_common(node, &common, flags, error) && (node->name || set_name(node, common.node_name, error));
    type_clear(&BlockNodeSettings_type, &common);
    json_free(json_take(mine, "driver"));
    json_free(json_take(mine, "node-name"));
    json_free(node->common);
    node->common = mine;
    node->opened_flags = flags;
    return ok;
}

static void take_child_options(BlockNode *node, Json *options)
{
    static const char *const file_alone[] = { "file", NULL }, *const none[] = { NULL };
    const BlockDriver *driver = node->driver;
    const char *const *names = driver->children ? driver->children : driver->is_protocol ? none : file_alone;
    json_free(node->options); /* where it could not be opened before */
    node->options = json_object();
    for (; *names; names++) {
        Json *child = json_take(options, *names);
        if (child) {
            json_set(node->options, *names, child);
        }
    }
}

/* What a node could be opened by once more. */
static Json *describe_options(const BlockNode *node)
{
    Json *all = node->given ? json_copy(node->given) : json_object();
    Json *filename = json_take(all, "filename");
    LIST_FOREACH(&node->children, child, BlockEdge, in_parent)
    {
        if (child != node->file) {
            json_set(all, child->name, describe_options(child->node));
        }
    }
    json_set(all, "driver", json_string(node->driver->name));
    if (filename) {
        json_set(all, "filename", filename);
    }
    if (node->file) {
        json_set(all, node->file->name, describe_options(node->file->node));
    }
    return all;
}

/* The image says that another file is below it than the one that is. */
static bool has_other_backing(const BlockNode *node)
{
    BlockFacts facts;
    block_node_facts(node, &facts);
    json_free(facts.specific);
    if (!facts.backing_file || !node->backing) {
        return facts.backing_file || node->backing;
    }
    AUTO_FREE char *path = block_resolve_name(node, facts.backing_file);
    return strcmp(path, node->backing->node->file_name) != 0;
}

static void name_by_options(BlockNode *node)
{
    Json *all = describe_options(node);
    AUTO_FREE char *text = json_to_text(all);
    free(node->file_name);
    node->file_name = string_format("json:%s", text);
    json_free(all);
}

/* `options`: what is left of them is the driver's own, and its children's. */
bool node_open_driver(BlockNode *node, Json *options, Error **error)
{
    const BlockDriver *driver = node->driver;
    AUTO_FREE void *settings = mem_alloc0(driver->settings->size);
    take_child_options(node, options);
    bool given_backing = json_get(node->options, "backing") != NULL;
    if (!type_from_options(driver->settings, options, settings, error)) {
        return error_prepend(error, "Block driver '%s': ", driver->name);
    }
    node->state = mem_alloc0(driver->state_size);
    node->listens = driver->debug_event != NULL;
    node->graph->listening += node->listens;
    bool ok = driver->open(node, settings, error);
    if (ok) {
        trace_block_open(node->graph->trace, node->name, driver->name, node->file_name, node->flags);
    }
    type_clear(driver->settings, settings);
    json_free(node->given);
    node->given = json_copy(options);
    bool is_plain = *node->file_name && !text_starts_with(node->file_name, "json:");
    if (ok && (!is_plain || (given_backing && has_other_backing(node)))) {
        name_by_options(node);
    }
    json_free(node->options);
    node->options = NULL;
    return ok;
}

static BlockNode *open_node(BlockGraph *graph, const BlockNode *above, const char *filename, Json *options,
                            unsigned flags, Error **error)
{
    BlockNode *node = node_new(graph), *file = NULL;
    node->above = above;
    options = options ? options : json_object();
    bool ok = take_json_name(&filename, options, error) && choose_driver(node, filename, options, flags, error);
    if (ok) {
        ok = place_name(node->driver, filename, options, error) && node_apply_settings(node, options, flags, error) &&
             (node->driver || probe_driver(node, options, &file, error)) && node_open_driver(node, options, error);
    }
    json_free(options);
    block_node_unref(file);
    node->above = NULL;
    if (!ok) {
        block_node_unref(node);
    }
    return ok ? node : NULL;
}

BlockNode *block_open(BlockGraph *graph, const char *filename, Json *options, unsigned flags, Error **error)
{
    return open_node(graph, NULL, filename, options, flags, error);
}

/* Children */

/* Formats know themselves what they discard. */
enum { BELOW_FLAGS = BLOCK_OPEN_PROTOCOL | BLOCK_OPEN_DISCARD };

BlockNode *open_below(BlockNode *node, Json *options, unsigned flags, Error **error)
{
    if (json_kind(options) != JSON_STRING) {
        return open_node(node->graph, node, NULL, options, flags, error);
    }
    BlockNode *found = block_node_find(node->graph, json_text(options));
    if (!found) {
        error_set(error, "Cannot find device='%s' nor node-name='%s'", json_text(options), json_text(options));
    }
    json_free(options);
    return found ? block_node_ref(found) : NULL;
}

static BlockEdge *add_child(BlockNode *node, const char *name, BlockNode *below, Error **error)
{
    BlockEdge *edge = below ? edge_new(below, node, name, 0, BLOCK_PERMISSION_ALL, error) : NULL;
    block_node_unref(below);
    return edge;
}

bool block_has_child_options(const BlockNode *node, const char *name) { return json_get(node->options, name) != NULL; }

static BlockEdge *open_child(BlockNode *node, const char *name, unsigned flags, Error **error)
{
    Json *options = json_take(node->options, name);
    if (!options) {
        error_set(error, "A block device must be specified for \"%s\"", name);
        return NULL;
    }
    bool inherits = json_kind(options) != JSON_STRING;
    BlockNode *child = open_below(node, options, flags, error);
    if (child && inherits) {
        child->inherits = true;
    }
    if (child && child->read_only && node->flags & BLOCK_OPEN_AUTO_READ_ONLY) {
        node->read_only = true;
        node->flags &= ~(unsigned)BLOCK_OPEN_WRITE;
    }
    return add_child(node, name, child, error);
}

BlockEdge *block_open_child(BlockNode *node, const char *name, Error **error)
{
    return open_child(node, name, node->flags | BELOW_FLAGS, error);
}

BlockEdge *block_open_image_child(BlockNode *node, const char *name, Error **error)
{
    return open_child(node, name, node->flags, error);
}

/* A name that an image has for another one: relative to its own folder, unless it begins at the root or names a
 * protocol. */
char *block_resolve_name(const BlockNode *node, const char *filename)
{
    size_t scheme = 0;
    while (isalnum((unsigned char)filename[scheme]) || (filename[scheme] && strchr("+-._", filename[scheme]))) {
        scheme++;
    }
    while (node->file && text_starts_with(node->file_name, "json:")) {
        node = node->file->node;
    }
    const char *slash = text_starts_with(node->file_name, "json:") ? NULL : strrchr(node->file_name, '/');
    if (filename[0] == '/' || filename[scheme] == ':' || !slash) {
        return string_copy(filename);
    }
    return string_format("%.*s%s", (int)(slash + 1 - node->file_name), node->file_name, filename);
}

BlockEdge *block_open_named_child(BlockNode *node, const char *name, const char *filename, Error **error)
{
    if (block_has_child_options(node, name) || !filename) {
        return block_open_child(node, name, error);
    }
    AUTO_FREE char *path = block_resolve_name(node, filename);
    unsigned flags = node->flags | BELOW_FLAGS;
    BlockNode *child = open_node(node->graph, node, path, NULL, flags, error);
    if (child) {
        child->inherits = true;
    }
    return add_child(node, name, child, error);
}

/* One of those that are being opened above it. */
static bool is_above(const BlockNode *node, const char *path)
{
    struct stat status, other;
    if (stat(path, &status) != 0) {
        return false;
    }
    for (; node; node = node->above) {
        if (stat(node->file_name, &other) == 0 && status.st_dev == other.st_dev && status.st_ino == other.st_ino) {
            return true;
        }
    }
    return false;
}

static BlockNode *open_backing_node(BlockNode *node, const char *filename, const char *format, Error **error)
{
    unsigned flags = node->flags & ~(unsigned)(BLOCK_OPEN_WRITE | BLOCK_OPEN_DISCARD);
    Json *options = json_take(node->options, "backing");
    if (options) {
        return open_below(node, options, flags, error);
    }
    AUTO_FREE char *path = block_resolve_name(node, filename);
    if (is_above(node, path)) {
        error_set(error, "Backing file '%s' creates an infinite loop.", path);
        return NULL;
    }
    options = json_object();
    if (format) {
        json_set(options, "driver", json_string(format));
    }
    return open_node(node->graph, node, path, options, flags, error);
}

bool block_open_backing(BlockNode *node, const char *filename, const char *format, Error **error)
{
    const Json *options = json_get(node->options, "backing");
    if (options ? json_kind(options) == JSON_NULL : !filename || node->flags & BLOCK_OPEN_NO_BACKING) {
        return true;
    }
    node->backing = add_child(node, "backing", open_backing_node(node, filename, format, error), error);
    return node->backing || error_prepend(error, "Could not open backing file: ");
}
