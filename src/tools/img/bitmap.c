/* img bitmap: changes of an image's persistent bitmaps, in the order in which the options ask for them. */
#include "block/bitmap.h"

#include "base/error.h"
#include "tools/img/img.h"

static const ImgOption options[] = {
    IMG_HELP, IMG_FORMAT, IMG_IMAGE_OPTS,
    IMG_OPTION(0, "add", IMG_STEP, steps, NULL, "creates BITMAP, enables to record future edits"),
    IMG_OPTION('g', "granularity", IMG_TEXT, granularity, "SIZE[KMGTPE]",
               "sets non-default bitmap granularity for --add to this size"),
    IMG_OPTION(0, "remove", IMG_STEP, steps, NULL, "removes BITMAP"),
    IMG_OPTION(0, "clear", IMG_STEP, steps, NULL, "clears BITMAP"),
    IMG_OPTION(0, "enable", IMG_STEP, steps, NULL, "starts recording future edits to BITMAP"),
    IMG_OPTION(0, "disable", IMG_STEP, steps, NULL, "stops recording future edits to BITMAP"),
    IMG_OPTION(0, "merge", IMG_STEP, steps, "SOURCE", "merges contents of the bitmap SOURCE into BITMAP"),
    IMG_OPTION('b', "source-file", IMG_TEXT, source, "SRC_FILENAME", "select alternative source file for --merge"),
    IMG_OPTION('F', "source-format", IMG_TEXT, source_format, "SRC_FMT", "specify format for SRC_FILENAME explicitly"),
    IMG_OPTIONS_END,
};

typedef struct Change {
    BlockNode *node, *source;
    const char *name;
    uint64_t granularity;
    const char *from; /* --merge */
} Change;

static bool add(const Change *change, Error **error)
{
    if (!*change->name) {
        return error_set(error, "Bitmap name cannot be empty");
    }
    return block_bitmap_add(change->node, change->name, change->granularity, true, error) != NULL;
}

static bool remove_bitmap(const Change *change, Error **error)
{
    BlockBitmap *bitmap = block_bitmap_find(change->node, change->name, error);
    if (bitmap) {
        block_bitmap_remove(bitmap);
    }
    return bitmap != NULL;
}

static bool clear(const Change *change, Error **error)
{
    BlockBitmap *bitmap = block_bitmap_find(change->node, change->name, error);
    return bitmap && block_bitmap_clear(bitmap, error);
}

static bool enable(const Change *change, Error **error)
{
    BlockBitmap *bitmap = block_bitmap_find(change->node, change->name, error);
    return bitmap && block_bitmap_enable(bitmap, true, error);
}

static bool disable(const Change *change, Error **error)
{
    BlockBitmap *bitmap = block_bitmap_find(change->node, change->name, error);
    return bitmap && block_bitmap_enable(bitmap, false, error);
}

static bool merge(const Change *change, Error **error)
{
    BlockBitmap *bitmap = block_bitmap_find(change->node, change->name, error);
    BlockBitmap *from = bitmap ? block_bitmap_find(change->source, change->from, error) : NULL;
    return from && block_bitmap_merge(bitmap, from, error);
}

static const struct {
    const char *name;
    bool (*run)(const Change *change, Error **error);
} changes[] = {
    { "add", add }, { "remove", remove_bitmap }, { "clear", clear },
    { "enable", enable }, { "disable", disable }, { "merge", merge },
};

static bool run_step(const Img *img, Change *change, const ImgStep *step)
{
    Error *error = NULL;
    change->from = step->argument;
    for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
        if (strcmp(changes[i].name, step->name) == 0 && !changes[i].run(change, &error)) {
            tool_report(&img->tool, error, "Operation %s on bitmap %s failed: ", step->name, change->name);
            return false;
        }
    }
    return true;
}

static bool has_step(const ImgArguments *arguments, const char *name)
{
    for (size_t i = 0; i < arguments->steps.count; i++) {
        if (strcmp(arguments->steps.items[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

static bool check_arguments(const Img *img, const ImgArguments *arguments)
{
    const char *fault = NULL;
    if (arguments->steps.count == 0) {
        fault = "Need at least one of --add, --remove, --clear, --enable, --disable, or --merge";
    } else if (arguments->granularity && !has_step(arguments, "add")) {
        fault = "granularity only supported with --add";
    } else if (arguments->source_format && !arguments->source) {
        fault = "-F only supported with -b";
    } else if (arguments->source && !has_step(arguments, "merge")) {
        fault = "Merge bitmap source file only supported with --merge";
    }
    if (fault) {
        tool_error(&img->tool, "%s", fault);
    } else if (arguments->names != 2) {
        tool_error(&img->tool, "Expecting filename and bitmap name");
    }
    return !fault && arguments->names == 2;
}

static BlockEdge *open_merge_source(const Img *img, const ImgArguments *arguments)
{
    Error *error = NULL;
    ImgArguments plain = { 0 };
    BlockEdge *edge = img_open_source(img, &plain, arguments->source, arguments->source_format, 0);
    if (edge && !block_bitmaps_load(block_edge_node(edge), &error)) {
        tool_report(&img->tool, error, "Could not open '%s': ", arguments->source);
        block_detach(edge);
        return NULL;
    }
    return edge;
}

static int run(Img *img, ImgArguments *arguments)
{
    Change change = { 0 };
    if (!check_arguments(img, arguments) ||
        (arguments->granularity && !img_parse_size(img, arguments->granularity, "granularity", &change.granularity))) {
        return 1;
    }
    BlockEdge *edge = tool_open(&img->tool, &(ToolOpen){
        .name = arguments->name[0], .format = arguments->format, .image_opts = arguments->image_opts,
        .flags = BLOCK_OPEN_WRITE | BLOCK_OPEN_NO_BACKING,
        .permissions = BLOCK_PERMISSION_READ | BLOCK_PERMISSION_WRITE, .shared = BLOCK_PERMISSION_READ });
    BlockEdge *source = edge && arguments->source ? open_merge_source(img, arguments) : NULL;
    bool ok = edge && (source || !arguments->source);
    change.node = edge ? block_edge_node(edge) : NULL;
    change.source = source ? block_edge_node(source) : change.node;
    change.name = arguments->name[1];
    for (size_t i = 0; i < arguments->steps.count && ok; i++) {
        ok = run_step(img, &change, &arguments->steps.items[i]);
    }
    block_detach(source);
    block_detach(edge);
    return ok ? 0 : 1;
}

const ImgCommand img_bitmap = {
    "bitmap", "Perform modifications of the persistent bitmap in the image",
    "( --merge SOURCE | --add | --remove | --clear |\n"
    "                --enable | --disable ).. [-f FMT | --image-opts]\n"
    "        [ -b SRC_FILENAME [-F SOURCE_FMT]] [-g SIZE[KMGTPE]] FILENAME BITMAP",
    options, run,
};
