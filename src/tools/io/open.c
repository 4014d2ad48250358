/*
 * What the io program works on: opening, closing, and opening again in another way. `reopen` closes the image and opens
 * it anew, as it was where that fails.
 */
#include "api/json.h"
#include "api/options.h"
#include "base/error.h"
#include "block/blkdebug.h"
#include "tools/io/io.h"

#include <errno.h>
#include <string.h>

/* The image that is open */

static void forget_image(Io *io)
{
    free(io->name);
    json_free(io->options);
    io->name = NULL;
    io->options = NULL;
}

static BlockEdge *open_image(Io *io, const ToolOpen *how)
{
    ToolOpen open = *how;
    bool writes = open.flags & BLOCK_OPEN_WRITE, shares = open.flags & BLOCK_OPEN_FORCE_SHARE;
    bool named = open.name && !open.image_opts;
    AUTO_FREE char *complaint = named ? string_format("can't open device %s: ", open.name)
                                      : string_copy("can't open: ");
    open.permissions = BLOCK_PERMISSION_READ | (writes ? BLOCK_PERMISSION_WRITE | BLOCK_PERMISSION_RESIZE : 0);
    open.shared = shares ? BLOCK_PERMISSION_ALL : BLOCK_PERMISSION_READ | BLOCK_PERMISSION_WRITE_UNCHANGED;
    open.complaint = complaint;
    return tool_open(&io->tool, &open);
}

bool io_open(Io *io, const ToolOpen *how)
{
    io->edge = open_image(io, how);
    if (io->edge) {
        forget_image(io);
        io->now = *how;
        io->now.name = io->name = string_copy(how->name);
        io->now.options = io->options = how->options ? json_copy(how->options) : json_object();
    }
    return io->edge != NULL;
}

/* Requests that have stopped at breakpoints go on. */
static void close_edge(Io *io)
{
    while (io->tags.count > 0) {
        char *tag = io->tags.items[--io->tags.count];
        blkdebug_remove_break(io->edge, tag);
        free(tag);
    }
    io_finish_pending(io);
    block_detach(io->edge);
    io->edge = NULL;
}

void io_close(Io *io)
{
    if (io->edge) {
        close_edge(io);
    }
    vec_free(&io->tags);
    forget_image(io);
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
    static const char *const fixed[] = { "driver", "file", "node-name", "filename", "backing", "data-file" };
    const Json *options = reopening->options;
    if (reopening->cache && json_get(options, "cache")) {
        tool_error(&io->tool, "Cannot set both -c and the cache options");
        return false;
    }
    if ((reopening->read_only || reopening->writable) && json_get(options, "read-only")) {
        tool_error(&io->tool, "Cannot set both -r/-w and 'read-only'");
        return false;
    }
    for (size_t i = 0; i < ARRAY_SIZE(fixed); i++) {
        if (json_get(options, fixed[i])) {
            tool_error(&io->tool, "Cannot change the option '%s'", fixed[i]);
            return false;
        }
    }
    if (io->now.snapshot || io->now.image_opts) {
        tool_error(&io->tool, "Cannot reopen %s", io->now.snapshot ? "a snapshot file" : "what --image-opts opened");
        return false;
    }
    return true;
}

static int reopen(Io *io, Reopening *reopening)
{
    Json *all = json_copy(io->options);
    ToolOpen *how = &reopening->how;
    for (size_t i = 0; i < json_length(reopening->options); i++) {
        const char *key = json_key(reopening->options, i);
        json_free(json_take(all, key));
        json_set(all, key, json_copy(json_value(reopening->options, i)));
    }
    how->flags = reopening->read_only  ? how->flags & ~(unsigned)BLOCK_OPEN_WRITE
                 : reopening->writable ? how->flags | BLOCK_OPEN_WRITE
                                       : how->flags;
    how->options = all;
    AUTO_FREE char *name = string_copy(how->name);
    how->name = name;
    close_edge(io);
    bool ok = io_open(io, how);
    if (!ok) {
        io->edge = open_image(io, &io->now);
    }
    json_free(all);
    return ok ? 0 : -EINVAL;
}

int io_run_reopen(Io *io, int count, char **words)
{
    Reopening reopening = { .how = io->now, .options = json_object() };
    bool ok = parse_reopening(io, count, words, &reopening) && check_reopening(io, &reopening);
    int result = ok ? reopen(io, &reopening) : -EINVAL;
    json_free(reopening.options);
    return result;
}
