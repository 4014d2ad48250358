/*
 * img commit: what the image and those below it have goes into an image further below, its backing file as a rule. Each
 * is opened by itself; an interrupt leaves all that reads as before.
 */
#include "api/json.h"
#include "base/error.h"
#include "tools/img/img.h"

#include <string.h>

enum { CHUNK = 2 << 20, LONGEST_CHAIN = 200 };

static const ImgOption options[] = {
    IMG_HELP, IMG_QUIET, IMG_PROGRESS, IMG_FORMAT, IMG_IMAGE_OPTS,
    IMG_OPTION('t', "cache", IMG_TEXT, cache, "CACHE_MODE", "image cache mode (writeback)"),
    IMG_OPTION('d', "drop", IMG_FLAG, drop, NULL, "skip emptying FILENAME on completion"),
    IMG_OPTION('b', "base", IMG_TEXT, backing, "BASE_IMG",
               "image in the backing chain to commit to, instead of the nearest (implies --drop)"),
    IMG_OPTION('r', "rate", IMG_TEXT, rate, "RATE", "I/O rate limit"), IMG_OPTIONS_END,
};

typedef struct Commit {
    Img *img;
    VEC(BlockEdge *) layers; /* the image first, without what they are over */
    BlockEdge *base;
    char *base_path, *base_format;
    ImgRate rate;
    char *bytes;
} Commit;

static bool fail(const Commit *commit, int error)
{
    tool_error(&commit->img->tool, "Could not commit: %s", strerror(error));
    return false;
}

/* Copying */

/* What the layers have from `offset` on, alike, and which of them. NULL: none has anything. Behind its end a layer
 * hides what is below it. */
static int find_layer(const Commit *commit, uint64_t offset, uint64_t bytes, BlockStatus *status, BlockEdge **layer)
{
    *layer = NULL;
    for (size_t i = 0; i < commit->layers.count; i++) {
        BlockEdge *edge = commit->layers.items[i];
        uint64_t size = block_node_size(block_edge_node(edge));
        if (offset >= size) {
            *status = (BlockStatus){ .bytes = bytes, .zero = true, .allocated = true };
            *layer = edge;
            return 0;
        }
        int error = block_status(edge, offset, MIN(bytes, size - offset), status);
        if (error || status->allocated) {
            *layer = edge;
            return error;
        }
        bytes = status->bytes;
    }
    return 0;
}

static int copy_part(Commit *commit, BlockEdge *layer, uint64_t offset, const BlockStatus *status)
{
    if (status->zero) {
        return block_write_zeroes(commit->base, offset, status->bytes, BLOCK_MAY_UNMAP);
    }
    img_rate_wait(commit->img, &commit->rate, status->bytes);
    int error = block_read(layer, offset, commit->bytes, status->bytes);
    return error ? error : block_write(commit->base, offset, commit->bytes, status->bytes, 0);
}

static bool copy_all(Commit *commit, bool progress)
{
    const Tool *tool = &commit->img->tool;
    uint64_t size = block_node_size(block_edge_node(commit->layers.items[0]));
    ImgProgress shown = { .tool = tool, .shown = progress };
    img_progress(&shown, 0, size);
    tool_stops(&commit->img->tool, true);
    for (uint64_t at = 0; at < size;) {
        BlockStatus status;
        BlockEdge *layer;
        int error = find_layer(commit, at, MIN(CHUNK, size - at), &status, &layer);
        error = error || !layer ? error : copy_part(commit, layer, at, &status);
        if (error) {
            return fail(commit, error);
        }
        if (tool_interrupted(tool)) {
            return false;
        }
        at += status.bytes;
        img_progress(&shown, at, size);
    }
    img_progress_end(&shown);
    int error = block_flush(commit->base);
    return !error || fail(commit, error);
}

static bool grow_base(Commit *commit)
{
    Error *error = NULL;
    uint64_t size = block_node_size(block_edge_node(commit->layers.items[0]));
    if (size <= block_node_size(block_edge_node(commit->base)) || block_resize(commit->base, size, 0, &error)) {
        return true;
    }
    tool_report(&commit->img->tool, error, "Could not commit: ");
    return false;
}

/* The chain */

/* What the lowest layer is over; `is_base`: that is what was asked for. False after a message. */
static bool find_below(Commit *commit, const ImgArguments *arguments, bool *is_base)
{
    const BlockNode *lowest = block_edge_node(commit->layers.items[commit->layers.count - 1]);
    const char *wanted = arguments->backing;
    BlockFacts facts;
    block_node_facts(lowest, &facts);
    json_free(facts.specific);
    if (!facts.backing_file || commit->layers.count > LONGEST_CHAIN) {
        if (wanted) {
            tool_error(&commit->img->tool, "Did not find '%s' in the backing chain of '%s'", wanted,
                       arguments->name[0]);
        } else {
            tool_error(&commit->img->tool, "Image does not have a backing file");
        }
        return false;
    }
    free(commit->base_path);
    free(commit->base_format);
    commit->base_path = block_resolve_name(lowest, facts.backing_file);
    commit->base_format = string_copy(facts.backing_format);
    *is_base = !wanted || strcmp(wanted, facts.backing_file) == 0 || strcmp(wanted, commit->base_path) == 0;
    return true;
}

static bool open_chain(Commit *commit, const ImgArguments *arguments, ToolOpen *how)
{
    bool is_base;
    if (!find_below(commit, arguments, &is_base)) {
        return false;
    }
    AUTO_FREE char *complaint = NULL;
    ToolOpen open = *how;
    open.image_opts = false;
    while (!is_base) {
        open.name = commit->base_path;
        open.format = commit->base_format;
        open.flags = (how->flags & ~(unsigned)BLOCK_OPEN_WRITE) | BLOCK_OPEN_NO_BACKING;
        open.permissions = BLOCK_PERMISSION_READ;
        BlockEdge *layer = tool_open(&commit->img->tool, &open);
        if (!layer) {
            return false;
        }
        vec_push(&commit->layers, layer);
        if (!find_below(commit, arguments, &is_base)) {
            return false;
        }
    }
    complaint = string_format("Could not open '%s': Could not open backing file: ", arguments->name[0]);
    open = *how;
    open.image_opts = false;
    open.name = commit->base_path;
    open.format = commit->base_format;
    open.complaint = complaint;
    open.flags = (how->flags | BLOCK_OPEN_WRITE) & ~(unsigned)BLOCK_OPEN_NO_BACKING;
    open.permissions = BLOCK_PERMISSION_READ | BLOCK_PERMISSION_WRITE | BLOCK_PERMISSION_RESIZE;
    commit->base = tool_open(&commit->img->tool, &open);
    return commit->base != NULL;
}

/* The command */

static bool commit_image(Commit *commit, const ImgArguments *arguments, ToolOpen *open)
{
    Error *error = NULL;
    Img *img = commit->img;
    open->name = arguments->name[0];
    BlockEdge *top = tool_open(&img->tool, open);
    if (!top) {
        return false;
    }
    vec_push(&commit->layers, top);
    if (!open_chain(commit, arguments, open) || !grow_base(commit) ||
        !copy_all(commit, arguments->progress)) {
        return false;
    }
    if (!arguments->drop && !arguments->backing && !block_make_empty(block_edge_node(top), &error)) {
        tool_report(&img->tool, error, "Could not empty %s: ", arguments->name[0]);
        return false;
    }
    return true;
}

static int run(Img *img, ImgArguments *arguments)
{
    Commit commit = { .img = img };
    ToolOpen open = { .format = arguments->format, .image_opts = arguments->image_opts,
                      .flags = BLOCK_OPEN_WRITE | BLOCK_OPEN_DISCARD | BLOCK_OPEN_NO_BACKING,
                      .permissions = BLOCK_PERMISSION_READ | BLOCK_PERMISSION_WRITE,
                      .shared = BLOCK_PERMISSION_READ };
    if (arguments->names != 1) {
        return img_usage_error(img, "Expecting one image file name");
    }
    if (!img_parse_rate(img, arguments->rate, &commit.rate) ||
        !img_parse_cache(img, arguments->cache, "writeback", "cache", &open.flags, &open.write_through)) {
        return 1;
    }
    commit.bytes = mem_alloc(CHUNK);
    bool ok = commit_image(&commit, arguments, &open);
    for (size_t i = 0; i < commit.layers.count; i++) {
        block_detach(commit.layers.items[i]);
    }
    vec_free(&commit.layers);
    block_detach(commit.base);
    free(commit.base_path);
    free(commit.base_format);
    free(commit.bytes);
    if (ok && !img->quiet) {
        printf("Image committed.\n");
    }
    return ok ? 0 : 1;
}

const ImgCommand img_commit = {
    "commit", "Commit image to its backing file",
    "[-f FMT | --image-opts] [-t CACHE_MODE] [-b BASE_IMG] [-r RATE] [-d] FILENAME", options, run,
};
