/* img resize */
#include "base/error.h"
#include "base/text.h"
#include "schema/block.h"
#include "tools/img/img.h"

#include "api/type.h"

static const ImgOption options[] = {
    IMG_HELP, IMG_QUIET, IMG_FORMAT, IMG_IMAGE_OPTS,
    IMG_OPTION(0, "shrink", IMG_FLAG, shrink, NULL, "allow operation when new size is smaller than original"),
    IMG_OPTION(0, "preallocation", IMG_TEXT, preallocation, "PREALLOC", "specify preallocation type for the new areas"),
    IMG_OPTIONS_END,
};

static int sign_of(const char *text) { return text[0] == '+' ? 1 : text[0] == '-' ? -1 : 0; }

/* What is behind the sign of "+1G", "-1G" or "1G"; false after a message. */
static bool parse_change(const Img *img, const char *text, uint64_t *bytes)
{
    text += sign_of(text) != 0;
    if (text_to_size(text, 1, bytes, NULL)) {
        return true;
    }
    if (tool_is_number(text)) {
        tool_error(&img->tool, "Value '%s' is out of range for parameter 'size'", text);
    } else {
        Error *error = NULL;
        error_set(&error, "Parameter 'size' expects a non-negative number below 2^64");
        error_add_hint(&error, "Optional suffix k, M, G, T, P or E means kilo-, mega-, giga-, tera-, peta-\n"
                               "and exabytes, respectively.\n");
        tool_report(&img->tool, error, "%s", "");
    }
    return false;
}

static bool find_new_size(const Img *img, int sign, uint64_t bytes, uint64_t before, uint64_t *size)
{
    bool fits = sign < 0 ? bytes < before : sign > 0 ? bytes <= INT64_MAX - before : bytes > 0 && bytes <= INT64_MAX;
    *size = sign < 0 ? before - bytes : sign > 0 ? before + bytes : bytes;
    if (!fits) {
        tool_error(&img->tool, "New image size must be positive");
    }
    return fits;
}

static int resize(Img *img, const ImgArguments *arguments, BlockEdge *edge, uint64_t bytes, int preallocation)
{
    Error *error = NULL;
    uint64_t size, before = block_node_size(block_edge_node(edge));
    if (!find_new_size(img, sign_of(arguments->name[1]), bytes, before, &size)) {
        return 1;
    }
    if (size <= before && preallocation != PREALLOC_MODE_OFF) {
        tool_error(&img->tool, "Preallocation can only be used for growing images");
        return 1;
    }
    if (size < before && !arguments->shrink) {
        tool_error(&img->tool, "Use the --shrink option to perform a shrink operation.");
        tool_warning(&img->tool, "Shrinking an image will delete all data beyond the shrunken image's end. Before "
                                 "performing such an operation, make sure there is no important data there.");
        return 1;
    }
    if (!block_resize(edge, size, preallocation, &error)) {
        tool_report(&img->tool, error, "%s", "");
        return 1;
    }
    if (!img->quiet) {
        printf("Image resized.\n");
    }
    return 0;
}

static int run(Img *img, ImgArguments *arguments)
{
    AUTO_ERROR(error);
    int mode = arguments->preallocation ? type_enum_value(&PreallocMode_type, arguments->preallocation, &error) : 0;
    if (mode < 0) {
        tool_error(&img->tool, "Invalid preallocation mode '%s'", arguments->preallocation);
        return 1;
    }
    if (arguments->names > 2) {
        return img_usage_error(img, "Extra argument(s) in command line");
    }
    if (arguments->names != 2) {
        return img_usage_error(img, "Expecting image file name and size");
    }
    uint64_t bytes;
    if (!parse_change(img, arguments->name[1], &bytes)) {
        return 1;
    }
    BlockEdge *edge = tool_open(&img->tool, &(ToolOpen){
        .name = arguments->name[0], .format = arguments->format, .image_opts = arguments->image_opts,
        .flags = BLOCK_OPEN_WRITE,
        .permissions = BLOCK_PERMISSION_READ | BLOCK_PERMISSION_WRITE | BLOCK_PERMISSION_RESIZE,
        .shared = BLOCK_PERMISSION_READ });
    int status = edge ? resize(img, arguments, edge, bytes, mode) : 1;
    block_detach(edge);
    return status;
}

const ImgCommand img_resize = {
    "resize", "Resize the image to the new size",
    "[-f FMT | --image-opts] [--preallocation PREALLOC] [--shrink] [-q] FILENAME [+-]SIZE[bkKMGTPE]", options,
    run, true,
};
