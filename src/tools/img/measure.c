/* img measure */
#include "api/json.h"
#include "base/error.h"
#include "tools/img/img.h"

static const ImgOption options[] = {
    IMG_HELP,
    IMG_OPTION('O', "target-format", IMG_TEXT, target_format, "FMT",
               "desired target/output image format (default raw)"),
    IMG_OPTION('s', "size", IMG_TEXT, size, "SIZE", "measure file size for given image size"), IMG_FORMAT,
    IMG_IMAGE_OPTS, IMG_OPTION('o', "options", IMG_TEXTS, options, "OPTIONS", "FMT-specific options"),
    IMG_OPTION('l', "snapshot", IMG_TEXT, source_snapshot, "SNAPSHOT", "use this snapshot in FILENAME as source"),
    IMG_OUTPUT, IMG_SHARE, IMG_OPTIONS_END,
};

static bool check_arguments(const Img *img, const ImgArguments *arguments)
{
    const char *fault = NULL;
    if (arguments->names > 1) {
        fault = "At most one filename argument is allowed.";
    } else if (arguments->names == 0 &&
               (arguments->image_opts || arguments->format || arguments->source_snapshot)) {
        fault = "--image-opts, -f, and -l require a filename argument.";
    } else if (arguments->names == 0 && !arguments->size) {
        fault = "Either --size N or one filename must be specified.";
    } else if (arguments->names == 1 && arguments->size) {
        fault = "--size N cannot be used together with a filename.";
    }
    if (fault) {
        tool_error(&img->tool, "%s", fault);
    }
    return !fault;
}

static void print(const BlockMeasure *measure, bool as_json)
{
    if (!as_json) {
        printf("required size: %llu\nfully allocated size: %llu\n", (unsigned long long)measure->required,
               (unsigned long long)measure->fully_allocated);
        if (measure->has_bitmaps) {
            printf("bitmaps size: %llu\n", (unsigned long long)measure->bitmaps);
        }
        return;
    }
    Json *json = json_object();
    if (measure->has_bitmaps) {
        json_set(json, "bitmaps", json_uint(measure->bitmaps));
    }
    json_set(json, "required", json_uint(measure->required));
    json_set(json, "fully-allocated", json_uint(measure->fully_allocated));
    img_print_json(json);
    json_free(json);
}

static bool measure_target(const Img *img, const BlockDriver *driver, const Json *values, BlockEdge *source,
                           bool as_json)
{
    Error *error = NULL;
    BlockMeasure measure;
    if (!block_create_check(driver, "", values, &error)) {
        tool_report(&img->tool, error, "%s", "");
        tool_error(&img->tool, "Invalid options for file format '%s'", block_driver_name(driver));
        return false;
    }
    if (!block_measure(driver, values, source, &measure, &error)) {
        tool_report(&img->tool, error, "%s", "");
        return false;
    }
    print(&measure, as_json);
    return true;
}

static BlockEdge *open_source(const Img *img, const ImgArguments *arguments)
{
    BlockEdge *edge = img_open_source(img, arguments, arguments->name[0], arguments->format, 0);
    if (edge && arguments->source_snapshot && !img_load_snapshot(img, edge, arguments->source_snapshot)) {
        block_detach(edge);
        return NULL;
    }
    return edge;
}

static int run(Img *img, ImgArguments *arguments)
{
    bool as_json, help = false;
    uint64_t size = 0;
    const char *format = arguments->target_format ? arguments->target_format : "raw";
    if (!img_parse_output(img, arguments, &as_json) ||
        (arguments->size && !img_parse_size(img, arguments->size, "image size", &size)) ||
        !check_arguments(img, arguments)) {
        return 1;
    }
    const BlockDriver *driver = img_find_creatable(img, format);
    Json *values = driver ? img_parse_options(img, &arguments->options, &help) : NULL;
    BlockEdge *source = values && !help && arguments->names ? open_source(img, arguments) : NULL;
    bool ok = values && (source || help || !arguments->names);
    if (ok && help) {
        ok = img_print_create_options(img, format, NULL);
    } else if (ok) {
        AUTO_FREE char *text = string_format(
            "%llu", (unsigned long long)(source ? block_node_size(block_edge_node(source)) : size));
        json_free(json_take(values, "size"));
        json_set(values, "size", json_string(text));
        ok = measure_target(img, driver, values, source, as_json);
    }
    block_detach(source);
    json_free(values);
    return ok ? 0 : 1;
}

const ImgCommand img_measure = {
    "measure", "Calculate file size required for a new image",
    "[-f FMT|--image-opts] [-o OPTIONS] [-O OUTPUT_FMT]\n"
    "       [--output OFMT] [-l SNAPSHOT_PARAM] (--size SIZE | FILENAME)",
    options, run,
};
