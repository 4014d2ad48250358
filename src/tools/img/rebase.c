/*
 * img rebase: another backing file. What would read differently then is written into the image first, but with -u.
 */
#include "api/json.h"
#include "base/error.h"
#include "tools/img/img.h"

#include <string.h>

enum { CHUNK = 2 << 20 };

static const ImgOption options[] = {
    IMG_HELP, IMG_QUIET, IMG_PROGRESS, IMG_FORMAT, IMG_IMAGE_OPTS,
    IMG_OPTION('t', "cache", IMG_TEXT, cache, "CACHE", "cache mode for FILENAME (writeback)"),
    IMG_OPTION('b', "backing", IMG_TEXT, backing, "BACKING_FILENAME|\"\"",
               "rebase onto this file (or no backing file)"),
    IMG_OPTION('F', "backing-format", IMG_TEXT, backing_format, "BACKING_FMT", "specify format for BACKING_FILENAME"),
    IMG_OPTION('T', "backing-cache", IMG_TEXT, source_cache, "CACHE", "BACKING_FILENAME cache mode (writeback)"),
    IMG_OPTION('c', "compress", IMG_FLAG, compress, NULL, "compress what is written (where the format can)"),
    IMG_OPTION('u', "backing-unsafe", IMG_FLAG, unsafe, NULL, "do not look at the backing files"), IMG_SHARE,
    IMG_OPTIONS_END,
};

typedef struct Rebase {
    Img *img;
    BlockEdge *top, *before, *after; /* the image alone; its old and new backing files, NULL: none */
    uint64_t unit;                   /* what is written at once: whole clusters */
    bool compress;
    char *old_bytes, *new_bytes;
} Rebase;

/* Nothing, and what is behind an end, reads as zeroes. */
static int read_backing(BlockEdge *edge, uint64_t offset, char *bytes, uint64_t count)
{
    uint64_t size = edge ? block_node_size(block_edge_node(edge)) : 0;
    uint64_t there = offset < size ? MIN(count, size - offset) : 0;
    memset(bytes + there, 0, count - there);
    return there ? block_read(edge, offset, bytes, there) : 0;
}

static int write_unit(Rebase *rebase, uint64_t offset, const char *bytes, uint64_t count)
{
    bool zero = bytes[0] == 0 && memcmp(bytes, bytes + 1, count - 1) == 0;
    uint64_t size = block_node_size(block_edge_node(rebase->top));
    bool whole = offset % rebase->unit == 0 && (count == rebase->unit || offset + count == size);
    return zero ? block_write_zeroes(rebase->top, offset, count, 0)
                : block_write(rebase->top, offset, bytes, count, rebase->compress && whole ? BLOCK_COMPRESSED : 0);
}

/* A part of the disk that the image does not have. */
static int compare_part(Rebase *rebase, uint64_t offset, uint64_t count)
{
    int error = read_backing(rebase->before, offset, rebase->old_bytes, count);
    error = error ? error : read_backing(rebase->after, offset, rebase->new_bytes, count);
    for (uint64_t at = 0, part; at < count && !error; at += part) {
        part = MIN(rebase->unit, count - at);
        if (memcmp(rebase->old_bytes + at, rebase->new_bytes + at, part) != 0) {
            error = write_unit(rebase, offset + at, rebase->old_bytes + at, part);
        }
    }
    return error;
}

static bool keep_contents(Rebase *rebase, bool progress)
{
    uint64_t size = block_node_size(block_edge_node(rebase->top)), part;
    ImgProgress shown = { .tool = &rebase->img->tool, .shown = progress };
    int error = 0;
    img_progress(&shown, 0, size);
    tool_stops(&rebase->img->tool, true);
    for (uint64_t at = 0; at < size && !error; at += part) {
        if (tool_interrupted(&rebase->img->tool)) {
            return false;
        }
        BlockStatus status;
        error = block_status(rebase->top, at, MIN(CHUNK, size - at), &status);
        part = status.bytes;
        error = error || status.allocated ? error : compare_part(rebase, at, part);
        img_progress(&shown, at + part, size);
    }
    img_progress_end(&shown);
    if (error) {
        tool_error(&rebase->img->tool, "error while rebasing: %s", strerror(error));
    }
    return !error;
}

/* `name`: as it stands in the image. */
static BlockEdge *open_backing(Rebase *rebase, const ImgArguments *arguments, const char *name, const char *format,
                               bool is_old)
{
    bool write_through, shares = arguments->force_share;
    AUTO_FREE char *path = block_resolve_name(block_edge_node(rebase->top), name);
    AUTO_FREE char *complaint = is_old ? string_format("Could not open '%s': Could not open backing file: ",
                                                       arguments->name[0])
                                       : string_format("Could not open new backing file '%s': ", name);
    ToolOpen open = { .name = path, .format = format, .flags = shares ? BLOCK_OPEN_FORCE_SHARE : 0,
                      .permissions = BLOCK_PERMISSION_READ, .complaint = complaint,
                      .shared = shares ? BLOCK_PERMISSION_ALL
                                       : BLOCK_PERMISSION_READ | BLOCK_PERMISSION_WRITE_UNCHANGED };
    bool ok = img_parse_cache(rebase->img, arguments->source_cache, "writeback", "source cache", &open.flags,
                              &write_through);
    return ok ? tool_open(&rebase->img->tool, &open) : NULL;
}

static bool open_both(Rebase *rebase, const ImgArguments *arguments, const BlockFacts *facts)
{
    if (facts->backing_file) {
        rebase->before = open_backing(rebase, arguments, facts->backing_file, facts->backing_format, true);
        if (!rebase->before) {
            return false;
        }
    }
    if (arguments->backing[0]) {
        rebase->after = open_backing(rebase, arguments, arguments->backing, arguments->backing_format, false);
    }
    return !arguments->backing[0] || rebase->after;
}

static bool rebase_image(Rebase *rebase, const ImgArguments *arguments)
{
    const Tool *tool = &rebase->img->tool;
    BlockNode *node = block_edge_node(rebase->top);
    const char *name = arguments->backing[0] ? arguments->backing : NULL;
    Error *error = NULL;
    BlockFacts facts;
    block_node_facts(node, &facts);
    json_free(facts.specific);
    rebase->unit = MAX(facts.cluster_bytes, 512);
    if (arguments->backing_format && !block_driver_find(arguments->backing_format)) {
        tool_error(tool, "Invalid format name: '%s'", arguments->backing_format);
        return false;
    }
    if (arguments->compress && !block_can_compress(node)) {
        tool_error(tool, "Compression not supported for this file format");
        return false;
    }
    if (!arguments->unsafe && !open_both(rebase, arguments, &facts)) {
        return false;
    }
    if (name && !arguments->backing_format) {
        tool_error(tool, "Could not change the backing file to '%s': backing format must be specified", name);
        return false;
    }
    if (!arguments->unsafe && !keep_contents(rebase, arguments->progress)) {
        return false;
    }
    if (!block_change_backing_file(node, name, arguments->backing_format, &error)) {
        tool_report(tool, error, "Could not change the backing file to '%s': ", arguments->backing);
        return false;
    }
    return true;
}

static int run(Img *img, ImgArguments *arguments)
{
    Rebase rebase = { .img = img, .compress = arguments->compress };
    ToolOpen open = { .format = arguments->format, .image_opts = arguments->image_opts,
                      .flags = BLOCK_OPEN_WRITE | BLOCK_OPEN_NO_BACKING,
                      .permissions = BLOCK_PERMISSION_READ | BLOCK_PERMISSION_WRITE, .shared = BLOCK_PERMISSION_READ };
    if (arguments->names != 1) {
        return img_usage_error(img, "Expecting one image file name");
    }
    if (!arguments->backing && !arguments->unsafe) {
        return img_usage_error(img, "Must specify backing file (-b) or use unsafe mode (-u)");
    }
    arguments->backing = arguments->backing ? arguments->backing : "";
    if (!img_parse_cache(img, arguments->cache, "writeback", "cache", &open.flags, &open.write_through)) {
        return 1;
    }
    open.name = arguments->name[0];
    rebase.top = tool_open(&img->tool, &open);
    rebase.old_bytes = mem_alloc(CHUNK);
    rebase.new_bytes = mem_alloc(CHUNK);
    bool ok = rebase.top && rebase_image(&rebase, arguments);
    block_detach(rebase.top);
    block_detach(rebase.before);
    block_detach(rebase.after);
    free(rebase.old_bytes);
    free(rebase.new_bytes);
    return ok ? 0 : 1;
}

const ImgCommand img_rebase = {
    "rebase", "Change backing file of the image",
    "[-f FMT | --image-opts] [-t CACHE] [-q] [-U] [-p] [-b BACKING_FILENAME [-F BACKING_FMT] [-T CACHE]] [-u] [-c]\n"
    "        FILENAME",
    options, run,
};
