/* What the io program works on: opening, closing, and opening in another way. */
#include "api/json.h"
#include "api/options.h"
#include "base/error.h"
#include "block/blkdebug.h"
#include "tools/io/io.h"

#include <errno.h>
#include <string.h>

/* The image that is open */

static void set_permissions(ToolOpen *open)
{
    bool writes = open->flags & BLOCK_OPEN_WRITE, shares = open->flags & BLOCK_OPEN_FORCE_SHARE;
    open->permissions = BLOCK_PERMISSION_READ | (writes ? BLOCK_PERMISSION_WRITE | BLOCK_PERMISSION_RESIZE : 0);
    open->shared = shares ? BLOCK_PERMISSION_ALL : BLOCK_PERMISSION_READ | BLOCK_PERMISSION_WRITE_UNCHANGED;
}

static BlockEdge *attach(const Io *io, BlockNode *node, const ToolOpen *how, Error **error)
{
    ToolOpen open = *how;
    open.flags = block_node_is_read_only(node) ? open.flags & ~(unsigned)BLOCK_OPEN_WRITE : open.flags;
    set_permissions(&open);
    BlockEdge *edge = block_attach(node, io->tool.program, open.permissions, open.shared, error);
    if (edge) {
        block_edge_set_write_through(edge, open.write_through);
    }
    return edge;
}

bool io_open(Io *io, const ToolOpen *how)
{
    bool named = how->name && !how->image_opts;
    AUTO_FREE char *complaint = named ? string_format("can't open device %s: ", how->name)
                                      : string_copy("can't open: ");
    ToolOpen open = *how;
    set_permissions(&open);
    open.complaint = complaint;
    io->edge = tool_open(&io->tool, &open);
    io->now = (ToolOpen){ .flags = how->flags, .write_through = how->write_through,
                           .snapshot = how->snapshot };
    return io->edge != NULL;
}

/* Requests that have stopped at breakpoints go on. */
void io_close(Io *io)
{
    while (io->tags.count > 0) {
        char *tag = io->tags.items[--io->tags.count];
        blkdebug_remove_break(io->edge, tag);
        free(tag);
    }
    vec_free(&io->tags);
    if (io->edge) {
        io_finish_pending(io);
        block_detach(io->edge);
        io->edge = NULL;
    }
}

/* Options that several lines have */

bool io_parse_how(Io *io, int letter, const char *argument, ToolOpen *how)
{
    AUTO_ERROR(error);
    switch (letter) {
    case 's':
        how->snapshot = true;
        return true;
    case 'C':
        how->copy_on_read = true;
        return true;
    case 'r':
        how->flags &= ~(unsigned)BLOCK_OPEN_WRITE;
        return true;
    case 'n':
        how->flags |= BLOCK_OPEN_DIRECT;
        return true;
    case 'k':
        how->flags |= BLOCK_OPEN_AIO_NATIVE;
        return true;
    case 'U':
        how->flags |= BLOCK_OPEN_FORCE_SHARE;
        return true;
    case 'i':
        how->flags &= ~(unsigned)(BLOCK_OPEN_AIO_NATIVE | BLOCK_OPEN_AIO_IO_URING);
        if (!block_parse_aio(argument, &how->flags)) {
            tool_error(&io->tool, "Invalid aio option: %s", argument);
            return false;
        }
        return true;
    case 't':
        how->flags &= ~(unsigned)(BLOCK_OPEN_DIRECT | BLOCK_OPEN_NO_FLUSH);
        if (!block_parse_cache_mode(argument, &how->flags, &how->write_through, &error)) {
            tool_error(&io->tool, "Invalid cache option: %s", argument);
            return false;
        }
        return true;
    default: {
        bool unmap = strcmp(argument, "unmap") == 0 || strcmp(argument, "on") == 0;
        how->flags = unmap ? how->flags | BLOCK_OPEN_DISCARD : how->flags & ~(unsigned)BLOCK_OPEN_DISCARD;
        if (!unmap && strcmp(argument, "ignore") != 0 && strcmp(argument, "off") != 0) {
            tool_error(&io->tool, "Invalid discard option: %s", argument);
            return false;
        }
        return true;
    }
    }
}

/* Adds those of -o; a later one counts. */
static bool add_options(Io *io, Json *options, const char *text)
{
    Error *error = NULL;
    Json *more = options_parse(text, NULL, NULL, &error);
    if (!more) {
        tool_report(&io->tool, error, "%s", "");
        return false;
    }
    for (size_t i = 0; i < json_length(more); i++) {
        json_free(json_take(options, json_key(more, i)));
        json_set(options, json_key(more, i), json_copy(json_value(more, i)));
    }
    json_free(more);
    return true;
}

/* Commands */

static int open_words(Io *io, int count, char **words, Json *options)
{
    ToolOpen how = { .format = io->how.format, .flags = BLOCK_OPEN_WRITE | BLOCK_OPEN_DISCARD, .options = options };
    optind = 0;
    for (int letter; (letter = getopt(count, words, "snCro:ki:t:d:U")) != -1;) {
        if (letter == '?') {
            io_print_usage(words[0]);
            return -EINVAL;
        }
        if (!(letter == 'o' ? add_options(io, options, optarg) : io_parse_how(io, letter, optarg, &how))) {
            return -EINVAL;
        }
    }
    if (io->edge) {
        tool_error(&io->tool, "file open already, try 'help close'");
        return -EBUSY;
    }
    if (count - optind > 1 || (count == optind && json_length(options) == 0)) {
        io_print_usage(words[0]);
        return -EINVAL;
    }
    how.name = optind < count ? words[optind] : NULL;
    return io_open(io, &how) ? 0 : -EINVAL;
}

int io_run_open(Io *io, int count, char **words)
{
    Json *options = json_object();
    int result = open_words(io, count, words, options);
    json_free(options);
    return result;
}

int io_run_close(Io *io, int count, char **words)
{
    io_close(io);
    return 0;
}

typedef struct Reopening {
    ToolOpen how;
    Json *options; /* those given */
    bool read_only, writable, cache;
} Reopening;

static bool parse_reopening(Io *io, int count, char **words, Reopening *reopening)
{
    optind = 0;
    for (int letter; (letter = getopt(count, words, "c:o:rw")) != -1;) {
        bool ok = true;
        switch (letter) {
        case 'c':
            reopening->cache = true;
            ok = io_parse_how(io, 't', optarg, &reopening->how);
            break;
        case 'o':
            ok = add_options(io, reopening->options, optarg);
            break;
        case 'r':
            reopening->read_only = true;
            break;
        case 'w':
            reopening->writable = true;
            break;
        default:
            io_print_usage(words[0]);
            ok = false;
        }
        if (!ok) {
            return false;
        }
    }
    if (reopening->read_only && reopening->writable) {
        tool_error(&io->tool, "Only one -r/-w option may be given");
        return false;
    }
    if (optind != count) {
        io_print_usage(words[0]);
    }
    return optind == count;
}

static bool check_reopening(Io *io, const Reopening *reopening)
{
    if (reopening->cache && json_get(reopening->options, "cache")) {
        tool_error(&io->tool, "Cannot set both -c and the cache options");
        return false;
    }
    bool modes = reopening->read_only || reopening->cache || json_get(reopening->options, "cache") ||
                 json_get(reopening->options, "read-only") || json_get(reopening->options, "file");
    if (io->now.snapshot && modes) { /* its file has no name any more, and stays as it is open */
        tool_error(&io->tool, "Cannot reopen a snapshot file");
        return false;
    }
    if ((reopening->read_only || reopening->writable) && json_get(reopening->options, "read-only")) {
        tool_error(&io->tool, "Cannot set both -r/-w and 'read-only'");
        return false;
    }
    return true;
}

/* The edge is a new one: what may be done with the image may be different. */
static int reopen(Io *io, Reopening *reopening)
{
    Error *error = NULL;
    ToolOpen *how = &reopening->how;
    how->flags = reopening->read_only  ? how->flags & ~(unsigned)BLOCK_OPEN_WRITE
                 : reopening->writable ? how->flags | BLOCK_OPEN_WRITE
                                       : how->flags;
    unsigned flags = how->snapshot ? block_node_opened_flags(block_edge_node(io->edge)) : how->flags;
    io_finish_pending(io);
    BlockNode *node = block_node_ref(block_edge_node(io->edge));
    block_detach(io->edge);
    BlockReopen request = { .node = node, .options = json_copy(reopening->options), .flags = flags, .keep = true };
    bool ok = block_reopen(io->tool.graph, &request, 1, &error);
    io->now = ok ? *how : io->now;
    if (error) {
        tool_report(&io->tool, error, "%s", "");
        error = NULL;
    }
    io->edge = attach(io, node, &io->now, &error);
    block_node_unref(node);
    if (!io->edge) {
        tool_report(&io->tool, error, "%s", "");
    }
    return ok && io->edge ? 0 : -EINVAL;
}

int io_run_reopen(Io *io, int count, char **words)
{
    Reopening reopening = { .how = io->now, .options = json_object() };
    bool ok = parse_reopening(io, count, words, &reopening) && check_reopening(io, &reopening);
    int result = ok ? reopen(io, &reopening) : -EINVAL;
    json_free(reopening.options);
    return result;
}
