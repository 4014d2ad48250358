/* img amend: what an image was made with becomes different. --force is about encryption, of which there is none. */
#include "api/json.h"
#include "api/type.h"
#include "base/error.h"
#include "tools/img/img.h"

static const ImgOption options[] = {
    IMG_HELP, IMG_QUIET, IMG_PROGRESS, IMG_FORMAT, IMG_IMAGE_OPTS,
    IMG_OPTION('t', "cache", IMG_TEXT, cache, "CACHE", "cache mode for FILENAME (writeback)"),
    IMG_OPTION('o', "options", IMG_TEXTS, options, "OPTIONS", "FMT-specific options ('-o help' for list)"),
    IMG_OPTION(0, "force", IMG_FLAG, force, NULL, "allow certain unsafe operations"), IMG_OPTIONS_END,
};

static int print_options(const Img *img, const char *format)
{
    const BlockDriver *driver = block_driver_find(format);
    if (!driver) {
        tool_error(&img->tool, "Unknown file format '%s'", format);
        return 1;
    }
    if (!block_driver_amend_type(driver)) {
        tool_error(&img->tool, "Format driver '%s' does not support option amendment", format);
        return 1;
    }
    printf("Amend options for '%s':\n", format);
    img_print_options(block_driver_amend_type(driver), NULL);
    return 0;
}

static int amend(Img *img, const ImgArguments *arguments, BlockNode *node, const Json *values)
{
    Error *error = NULL;
    ImgProgress progress = { .tool = &img->tool, .shown = arguments->progress };
    if (!block_driver_amend_type(block_driver_find(block_node_driver_name(node)))) {
        tool_error(&img->tool, "Format driver '%s' does not support option amendment", block_node_driver_name(node));
        return 1;
    }
    img_progress(&progress, 0, 1);
    bool ok = block_amend(node, values, &error);
    img_progress_end(&progress);
    if (!ok) {
        tool_report(&img->tool, error, "%s", "");
    }
    return ok ? 0 : 1;
}

static int run(Img *img, ImgArguments *arguments)
{
    bool help = false;
    ToolOpen open = { .format = arguments->format, .image_opts = arguments->image_opts, .flags = BLOCK_OPEN_WRITE,
                      .permissions = BLOCK_PERMISSION_READ | BLOCK_PERMISSION_WRITE | BLOCK_PERMISSION_RESIZE,
                      .shared = BLOCK_PERMISSION_READ };
    if (!arguments->options.count) {
        return img_usage_error(img, "Must specify options (-o)");
    }
    Json *values = img_parse_options(img, &arguments->options, &help);
    BlockEdge *edge = NULL;
    int status = 1;
    if (values && help && arguments->format) {
        status = print_options(img, arguments->format);
    } else if (values && arguments->names != 1) {
        tool_error(&img->tool, "Expecting one image file name");
    } else if (values && img_parse_cache(img, arguments->cache, "writeback", "cache", &open.flags,
                                         &open.write_through)) {
        open.name = arguments->name[0];
        edge = tool_open(&img->tool, &open);
    }
    if (edge) {
        BlockNode *node = block_edge_node(edge);
        status = help ? print_options(img, block_node_driver_name(node)) : amend(img, arguments, node, values);
    }
    block_detach(edge);
    json_free(values);
    return status;
}

const ImgCommand img_amend = {
    "amend", "Update format-specific options of the image",
    "[-f FMT | --image-opts] [-t CACHE] [--force] [-p] [-q] -o OPTIONS FILENAME", options,
    run,
};
