/*
 * img commit: what the image has goes into its backing file.
 *
 * Not here: -b with another file of the chain than the nearest, -r.
 */
#include "api/json.h"
#include "base/error.h"
#include "tools/img/img.h"

#include <string.h>

enum { CHUNK = 2 << 20 };

static const ImgOption options[] = {
    IMG_HELP, IMG_QUIET, IMG_PROGRESS, IMG_FORMAT, IMG_IMAGE_OPTS,
    IMG_OPTION('t', "cache", IMG_TEXT, cache, "CACHE_MODE", "image cache mode (writeback)"),
    IMG_OPTION('d', "drop", IMG_FLAG, drop, NULL, "skip emptying FILENAME on completion"),
    IMG_OPTION('b', "base", IMG_TEXT, backing, "BASE_IMG", "the backing file to commit to (implies --drop)"),
    IMG_OPTIONS_END,
};

static bool copy_part(Img *img, BlockEdge *top, BlockEdge *base, uint64_t offset, const BlockStatus *status,
                      char *bytes)
{
    int error = status->zero ? block_write_zeroes(base, offset, status->bytes, BLOCK_MAY_UNMAP) : 0;
    for (uint64_t done = 0, part; done < status->bytes && !status->zero && !error; done += part) {
        part = MIN(CHUNK, status->bytes - done);
        error = block_read(top, offset + done, bytes, part);
        error = error ? error : block_write(base, offset + done, bytes, part, 0);
    }
    if (error) {
        tool_error(&img->tool, "Could not commit: %s", strerror(error));
    }
    return !error;
}

static bool copy_all(Img *img, BlockEdge *top, BlockEdge *base, bool progress)
{
    uint64_t size = block_node_size(block_edge_node(top));
    ImgProgress shown = { .shown = progress };
    AUTO_FREE char *bytes = mem_alloc(CHUNK);
    bool ok = true;
    img_progress(&shown, 0, size);
    for (uint64_t at = 0; at < size && ok;) {
        BlockStatus status;
        int error = block_status(top, at, size - at, &status);
        if (error) {
            tool_error(&img->tool, "Could not commit: %s", strerror(error));
            return false;
        }
        ok = !status.allocated || copy_part(img, top, base, at, &status, bytes);
        at += status.bytes;
        img_progress(&shown, at, size);
    }
    img_progress_end(&shown);
    return ok;
}

static bool grow_base(Img *img, BlockEdge *top, BlockEdge *base)
{
    Error *error = NULL;
    uint64_t size = block_node_size(block_edge_node(top));
    if (size <= block_node_size(block_edge_node(base)) || block_resize(base, size, 0, &error)) {
        return true;
    }
    tool_report(&img->tool, error, "Could not commit: ");
    return false;
}

/* What the image says it is over, to be written to. */
static BlockEdge *open_base(Img *img, const ImgArguments *arguments, const BlockNode *top, const ToolOpen *how)
{
    BlockFacts facts;
    block_node_facts(top, &facts);
    json_free(facts.specific);
    AUTO_FREE char *path = facts.backing_file ? block_resolve_name(top, facts.backing_file) : NULL;
    if (!path) {
        tool_error(&img->tool, "Image does not have a backing file");
        return NULL;
    }
    if (arguments->backing && strcmp(arguments->backing, facts.backing_file) != 0 &&
        strcmp(arguments->backing, path) != 0) {
        tool_error(&img->tool, "Did not find '%s' in the backing chain of '%s'", arguments->backing,
                   arguments->name[0]);
        return NULL;
    }
    ToolOpen open = *how;
    open.name = path;
    open.format = facts.backing_format;
    open.image_opts = false;
    open.flags &= ~(unsigned)BLOCK_OPEN_NO_BACKING;
    return tool_open(&img->tool, &open);
}

static bool commit(Img *img, const ImgArguments *arguments, BlockEdge *top, BlockEdge *base)
{
    Error *error = NULL;
    if (!grow_base(img, top, base) || !copy_all(img, top, base, arguments->progress)) {
        return false;
    }
    int number = block_flush(base);
    if (number) {
        tool_error(&img->tool, "Could not commit: %s", strerror(number));
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
    ToolOpen open = { .format = arguments->format, .image_opts = arguments->image_opts,
                      .flags = BLOCK_OPEN_WRITE | BLOCK_OPEN_DISCARD | BLOCK_OPEN_NO_BACKING,
                      .permissions = BLOCK_PERMISSION_READ | BLOCK_PERMISSION_WRITE | BLOCK_PERMISSION_RESIZE,
                      .shared = BLOCK_PERMISSION_READ };
    if (arguments->names != 1) {
        return img_usage_error(img, "Expecting one image file name");
    }
    if (!img_parse_cache(img, arguments->cache, "writeback", "cache", &open.flags, &open.write_through)) {
        return 1;
    }
    open.name = arguments->name[0];
    BlockEdge *top = tool_open(&img->tool, &open);
    BlockEdge *base = top ? open_base(img, arguments, block_edge_node(top), &open) : NULL;
    bool ok = base && commit(img, arguments, top, base);
    block_detach(top);
    block_detach(base);
    if (ok && !img->quiet) {
        printf("Image committed.\n");
    }
    return ok ? 0 : 1;
}

const ImgCommand img_commit = {
    "commit", "Commit image to its backing file",
    "[-f FMT | --image-opts] [-t CACHE_MODE] [-b BASE_IMG] [-d] FILENAME", options, run,
};
