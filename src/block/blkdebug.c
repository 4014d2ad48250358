/*
 * The "blkdebug" driver: a filter whose requests fail when a test wants it. Rules come from the options or a file:
 *
 *     [inject-error]                  [set-state]
 *     event = "cluster_alloc"         event = "l2_load"
 *     state = "2"                     state = "1"
 *     errno = "28"                    new_state = "2"
 *
 * An event whose errors are set makes those the ones that are waited for, in place of the ones before; "none" has
 * always happened. Breakpoints are in blkdebug.h.
 */
#include "block/blkdebug.h"

#include "api/json.h"
#include "api/type.h"
#include "base/error.h"
#include "base/files.h"
#include "base/host/host.h"
#include "base/text.h"
#include "base/thread.h"
#include "base/vec.h"
#include "block/block_internal.h"
#include "block/filter.h"
#include "schema/block.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { CONFIG_BYTES = 1 << 20 };

typedef struct ErrorRule {
    BlkdebugInjectErrorOptions options;
    bool active, spent;
} ErrorRule;

typedef struct Break {
    ListNode node;
    char *tag;
    int event;
    BlockTask *stopped; /* NULL: nobody has come yet */
} Break;

typedef struct Blkdebug {
    Mutex mutex; /* of what follows */
    int64_t state;
    VEC(ErrorRule) errors;
    VEC(BlkdebugSetStateOptions) changes;
    ListNode breaks;
    bool draining;
    char *config;
    unsigned taken, unshared; /* permissions */
} Blkdebug;

/* Rules from the options and the file */

static bool read_config_line(char *line, Json *rules[2], Json **section, Error **error)
{
    static const char *const names[] = { "[inject-error]", "[set-state]" };
    char name[64], value[64], end;
    while (isspace((unsigned char)*line)) {
        line++;
    }
    if (!*line || *line == '#') {
        return true;
    }
    if (*line == '[') {
        size_t length = strcspn(line, "]");
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
            if (strncmp(line, names[i], strlen(names[i])) == 0) {
                *section = json_object();
                json_array_append(rules[i], *section);
                return true;
            }
        }
        return error_set(error, "There is no option group '%.*s'", (int)length - 1, line + 1);
    }
    if (sscanf(line, "%63s = \"%63[^\"]%c", name, value, &end) != 3 || end != '"') {
        return error_set(error, "cannot be parsed: %s", line);
    }
    if (!*section) {
        return error_set(error, "no group defined");
    }
    json_set(*section, name, json_string(value));
    return true;
}

static bool add_rules(Blkdebug *debug, const Json *errors, const Json *changes, Error **error)
{
    for (size_t i = 0; i < json_length(errors); i++) {
        ErrorRule rule = { 0 };
        if (!type_from_options(&BlkdebugInjectErrorOptions_type, json_item(errors, i), &rule.options, error)) {
            return false;
        }
        vec_push(&debug->errors, rule);
    }
    for (size_t i = 0; i < json_length(changes); i++) {
        BlkdebugSetStateOptions change = { 0 };
        if (!type_from_options(&BlkdebugSetStateOptions_type, json_item(changes, i), &change, error)) {
            return false;
        }
        vec_push(&debug->changes, change);
    }
    return true;
}

static bool read_config(BlockNode *node, const char *filename, Error **error)
{
    Blkdebug *debug = node->state;
    AUTO_ERROR(inner);
    size_t size = 0;
    AUTO_FREE char *text = files_read_all(block_graph_files(node->graph), filename, CONFIG_BYTES, &size, &inner);
    if (!text) {
        return error_set_errno(error, error_errno(inner), "Could not read blkdebug config file");
    }
    Json *rules[2] = { json_array(), json_array() }, *section = NULL;
    char *rest = text;
    bool ok = true;
    for (char *line; ok && (line = strsep(&rest, "\n"));) {
        ok = read_config_line(line, rules, &section, error);
    }
    ok = ok && add_rules(debug, rules[0], rules[1], error);
    json_free(rules[0]);
    json_free(rules[1]);
    return ok;
}

static void copy_rules(Blkdebug *debug, const BlkdebugSettings *settings)
{
    for (size_t i = 0; i < settings->inject_error.count; i++) {
        vec_push(&debug->errors, ((ErrorRule){ .options = settings->inject_error.items[i] }));
    }
    for (size_t i = 0; i < settings->set_state.count; i++) {
        vec_push(&debug->changes, settings->set_state.items[i]);
    }
}

/* Limits */

static bool set_limits(BlockNode *node, const BlkdebugSettings *settings, Error **error)
{
    uint64_t align = MAX(settings->align, node->limits.alignment);
    const struct {
        const char *name;
        uint64_t value, unit;
    } sizes[] = {
        { "align", settings->align, 1 }, { "max-transfer", settings->max_transfer, align },
        { "opt-write-zero", settings->opt_write_zero, align },
        { "max-write-zero", settings->max_write_zero, MAX(align, settings->opt_write_zero) },
        { "opt-discard", settings->opt_discard, align },
        { "max-discard", settings->max_discard, MAX(align, settings->opt_discard) },
    };
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        bool is_align = i == 0 && sizes[i].value && !is_power_of_2(sizes[i].value);
        if (is_align || sizes[i].value > INT32_MAX || sizes[i].value % sizes[i].unit) {
            return error_set(error, "Cannot meet constraints with %s %llu", sizes[i].name,
                             (unsigned long long)sizes[i].value);
        }
    }
    node->limits.alignment = (uint32_t)align;
    node->limits.maximum_transfer = settings->max_transfer ? settings->max_transfer : node->limits.maximum_transfer;
    node->limits.zero_alignment = (uint32_t)settings->opt_write_zero;
    node->limits.maximum_zero = settings->max_write_zero;
    node->limits.discard_alignment = (uint32_t)settings->opt_discard;
    node->limits.maximum_discard = settings->max_discard;
    return true;
}

static unsigned permissions_of(const BlockPermissionNameList *list)
{
    unsigned permissions = 0;
    for (size_t i = 0; i < list->count; i++) {
        permissions |= 1u << list->items[i];
    }
    return permissions;
}

/* Life */

static void name_node(BlockNode *node, const BlkdebugSettings *settings)
{
    const char *image = node->file->node->file_name;
    bool plain = !text_starts_with(image, "json:") && !settings->inject_error.items && !settings->set_state.items &&
                 !settings->align && node->file->node->driver->is_protocol;
    if (plain) {
        free(node->file_name);
        node->file_name = string_format("blkdebug:%s:%s", settings->config ? settings->config : "", image);
    }
}

static void start_rules(Blkdebug *debug)
{
    for (size_t i = 0; i < debug->errors.count; i++) {
        ErrorRule *rule = &debug->errors.items[i];
        rule->active = rule->options.event == BLKDEBUG_EVENT_NONE;
    }
}

static bool blkdebug_open(BlockNode *node, const void *data, Error **error)
{
    const BlkdebugSettings *settings = data;
    Blkdebug *debug = node->state;
    mutex_init(&debug->mutex);
    list_init(&debug->breaks);
    debug->state = 1;
    debug->taken = permissions_of(&settings->take_child_perms);
    debug->unshared = permissions_of(&settings->unshare_child_perms);
    if (settings->config && *settings->config && !read_config(node, settings->config, error)) {
        return false;
    }
    copy_rules(debug, settings);
    start_rules(debug);
    if (!filter_open(node, "image", error) || !set_limits(node, settings, error)) {
        return false;
    }
    name_node(node, settings);
    return true;
}

static void blkdebug_close(BlockNode *node)
{
    Blkdebug *debug = node->state;
    LIST_FOREACH_SAFE(&debug->breaks, point, Break, node)
    {
        list_remove(&point->node);
        free(point->tag);
        free(point);
    }
    vec_free(&debug->errors);
    vec_free(&debug->changes);
    mutex_destroy(&debug->mutex);
}

static bool blkdebug_parse_name(const BlockDriver *driver, const char *filename, Json *options, Error **error)
{
    const char *config = filename + strlen("blkdebug:"), *image = strchr(config, ':');
    if (!image) {
        return error_set(error, "blkdebug requires both config file and image path");
    }
    AUTO_FREE char *name = string_format("%.*s", (int)(image - config), config);
    if (*name) {
        json_set(options, "config", json_string(name));
    }
    Json *child = json_object();
    json_set(child, "filename", json_string(image + 1));
    json_set(options, "image", child);
    return true;
}

static unsigned blkdebug_permissions(const BlockNode *node, const char *name, unsigned permissions, unsigned *shared)
{
    const Blkdebug *debug = node->state;
    *shared &= ~debug->unshared;
    return permissions | debug->taken;
}

/* Events */

static bool in_state(const Blkdebug *debug, int64_t state) { return state == 0 || state == debug->state; }

static void activate(Blkdebug *debug, int event)
{
    bool any = false;
    for (size_t i = 0; i < debug->errors.count; i++) {
        const BlkdebugInjectErrorOptions *options = &debug->errors.items[i].options;
        any = any || ((int)options->event == event && in_state(debug, options->state));
    }
    for (size_t i = 0; any && i < debug->errors.count; i++) {
        ErrorRule *rule = &debug->errors.items[i];
        rule->active = (int)rule->options.event == event && in_state(debug, rule->options.state);
    }
}

static void change_state(Blkdebug *debug, int event)
{
    int64_t state = debug->state;
    for (size_t i = 0; i < debug->changes.count; i++) {
        const BlkdebugSetStateOptions *change = &debug->changes.items[i];
        if ((int)change->event == event && in_state(debug, change->state)) {
            state = change->new_state;
        }
    }
    debug->state = state;
}

/* The task sleeps at a breakpoint until it is removed or resumed. */
static void stop_at_breaks(Blkdebug *debug, int event, BlockTask *self)
{
    LIST_FOREACH(&debug->breaks, point, Break, node)
    {
        if (point->event == event && !point->stopped && self && !debug->draining) {
            point->stopped = self;
            mutex_unlock(&debug->mutex);
            block_task_sleep(self);
            mutex_lock(&debug->mutex);
            return;
        }
    }
}

static void blkdebug_event(BlockNode *node, int event)
{
    Blkdebug *debug = node->state;
    mutex_lock(&debug->mutex);
    activate(debug, event);
    change_state(debug, event);
    stop_at_breaks(debug, event, block_task_self(block_graph_runtime(node->graph)));
    mutex_unlock(&debug->mutex);
}

/* Requests */

/* What is not named is meant by every rule without a kind, but for questions. */
static bool rule_fits(const ErrorRule *rule, int kind, uint64_t offset, uint64_t bytes)
{
    const BlkdebugInjectErrorOptions *options = &rule->options;
    bool right_kind = options->has_iotype ? (int)options->iotype == kind : kind != BLKDEBUG_IO_TYPE_BLOCK_STATUS;
    if (!rule->active || rule->spent || !right_kind) {
        return false;
    }
    uint64_t start = (uint64_t)options->sector * BLOCK_SECTOR;
    return options->sector < 0 || (start < offset + bytes && offset < start + BLOCK_SECTOR);
}

/* Others go first, as they would while a host does something. */
static void let_others_go(BlockTask *self, int64_t nanoseconds)
{
    block_task_wait_until(self, host_monotonic_ns() + nanoseconds);
}

static int inject(BlockNode *node, int kind, uint64_t offset, uint64_t bytes)
{
    Blkdebug *debug = node->state;
    const BlkdebugInjectErrorOptions *found = NULL;
    mutex_lock(&debug->mutex);
    for (size_t i = 0; i < debug->errors.count && !found; i++) {
        ErrorRule *rule = &debug->errors.items[i];
        if (rule_fits(rule, kind, offset, bytes)) {
            found = &rule->options;
            rule->spent = rule->options.once;
        }
    }
    mutex_unlock(&debug->mutex);
    if (!found) {
        return 0;
    }
    if (found->delay_ns > 0 || (found->errno_ && !found->immediately)) {
        let_others_go(block_task_self(block_graph_runtime(node->graph)), MAX(found->delay_ns, 0));
    }
    return (int)found->errno_;
}

static int blkdebug_read(BlockNode *node, uint64_t offset, uint64_t bytes, BlockVectors vectors)
{
    int error = inject(node, BLKDEBUG_IO_TYPE_READ, offset, bytes);
    return error ? error : filter_read(node, offset, bytes, vectors);
}

static int blkdebug_write(BlockNode *node, uint64_t offset, uint64_t bytes, BlockVectors vectors, unsigned flags)
{
    int error = inject(node, BLKDEBUG_IO_TYPE_WRITE, offset, bytes);
    return error ? error : filter_write(node, offset, bytes, vectors, flags);
}

static int blkdebug_write_zeroes(BlockNode *node, uint64_t offset, uint64_t bytes, unsigned flags)
{
    int error = inject(node, BLKDEBUG_IO_TYPE_WRITE_ZEROES, offset, bytes);
    return error ? error : filter_write_zeroes(node, offset, bytes, flags);
}

static int blkdebug_discard(BlockNode *node, uint64_t offset, uint64_t bytes)
{
    int error = inject(node, BLKDEBUG_IO_TYPE_DISCARD, offset, bytes);
    return error ? error : filter_discard(node, offset, bytes);
}

static int blkdebug_flush(BlockNode *node) { return inject(node, BLKDEBUG_IO_TYPE_FLUSH, 0, 0); }

static int blkdebug_status(BlockNode *node, uint64_t offset, uint64_t bytes, BlockStatus *status)
{
    int error = inject(node, BLKDEBUG_IO_TYPE_BLOCK_STATUS, offset, bytes);
    return error ? error : filter_status(node, offset, bytes, status);
}

static int64_t blkdebug_allocated_size(BlockNode *node) { return -1; }

/* Breakpoints */

static Blkdebug *find_debug(BlockEdge *edge)
{
    BlockNode *node = block_edge_node(edge);
    while (node && strcmp(node->driver->name, "blkdebug") != 0) {
        node = node->file ? node->file->node : NULL;
    }
    return node ? node->state : NULL;
}

int blkdebug_break(BlockEdge *edge, const char *event, const char *tag)
{
    Blkdebug *debug = find_debug(edge);
    int number = debug ? type_enum_value(&BlkdebugEvent_type, event, NULL) : -1;
    if (number < 0) {
        return debug ? ENOENT : ENOTSUP;
    }
    Break *point = NEW(Break);
    *point = (Break){ .tag = string_copy(tag), .event = number };
    mutex_lock(&debug->mutex);
    list_append(&debug->breaks, &point->node);
    mutex_unlock(&debug->mutex);
    return 0;
}

static void let_go(Break *point)
{
    list_remove(&point->node);
    if (point->stopped) {
        block_task_wake(point->stopped);
    }
    free(point->tag);
    free(point);
}

/* How many there were. */
static unsigned remove_breaks(Blkdebug *debug, const char *tag, bool stopped_alone, bool all)
{
    unsigned count = 0;
    mutex_lock(&debug->mutex);
    LIST_FOREACH_SAFE(&debug->breaks, point, Break, node)
    {
        if ((all || count == 0) && (!tag || strcmp(point->tag, tag) == 0) && (!stopped_alone || point->stopped)) {
            let_go(point);
            count++;
        }
    }
    mutex_unlock(&debug->mutex);
    return count;
}

int blkdebug_remove_break(BlockEdge *edge, const char *tag)
{
    Blkdebug *debug = find_debug(edge);
    return !debug ? ENOTSUP : remove_breaks(debug, tag, false, true) ? 0 : ENOENT;
}

int blkdebug_resume(BlockEdge *edge, const char *tag)
{
    Blkdebug *debug = find_debug(edge);
    return !debug ? ENOTSUP : remove_breaks(debug, tag, true, false) ? 0 : ENOENT;
}

bool blkdebug_is_suspended(BlockEdge *edge, const char *tag)
{
    Blkdebug *debug = find_debug(edge);
    bool found = false;
    if (debug) {
        mutex_lock(&debug->mutex);
        LIST_FOREACH(&debug->breaks, point, Break, node)
        {
            found = found || (point->stopped && strcmp(point->tag, tag) == 0);
        }
        mutex_unlock(&debug->mutex);
    }
    return found;
}

/* A drain waits for requests: they must not wait for somebody who may never come. */
static void blkdebug_drain_begin(BlockNode *node)
{
    Blkdebug *debug = node->state;
    mutex_lock(&debug->mutex);
    debug->draining = true;
    mutex_unlock(&debug->mutex);
    remove_breaks(debug, NULL, true, true);
}

static void blkdebug_drain_end(BlockNode *node)
{
    Blkdebug *debug = node->state;
    mutex_lock(&debug->mutex);
    debug->draining = false;
    mutex_unlock(&debug->mutex);
}

static const char *const schemes[] = { "blkdebug", NULL };
static const char *const children[] = { "image", NULL };

const BlockDriver blkdebug_driver = {
    .name = "blkdebug",
    .is_protocol = true,
    .is_filter = true,
    .schemes = schemes,
    .parse_name = blkdebug_parse_name,
    .state_size = sizeof(Blkdebug),
    .settings = &BlkdebugSettings_type,
    .children = children,
    .open = blkdebug_open,
    .close = blkdebug_close,
    .read = blkdebug_read,
    .write = blkdebug_write,
    .write_zeroes = blkdebug_write_zeroes,
    .discard = blkdebug_discard,
    .flush = blkdebug_flush,
    .status = blkdebug_status,
    .resize = filter_resize,
    .child_resized = filter_child_resized,
    .child_permissions = blkdebug_permissions,
    .allocated_size = blkdebug_allocated_size,
    .debug_event = blkdebug_event,
    .drain_begin = blkdebug_drain_begin,
    .drain_end = blkdebug_drain_end,
};
