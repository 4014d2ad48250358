/* img dd: a part of an image, in blocks, becomes a new image. `count` is of the blocks from the image's beginning. */
#include "api/json.h"
#include "base/error.h"
#include "base/text.h"
#include "tools/img/img.h"

#include <limits.h>
#include <string.h>

enum { USUAL_BLOCK = 512, CHUNK = 2 << 20 };

static const ImgOption options[] = {
    IMG_HELP, IMG_FORMAT, IMG_IMAGE_OPTS,
    IMG_OPTION('O', "output-format", IMG_TEXT, target_format, "OUTPUT_FMT", "format of the OUTPUT (default raw)"),
    IMG_SHARE, IMG_OPTIONS_END,
};

typedef struct Operands {
    const char *input, *output;
    uint64_t block, count, skip;
    bool has_count;
} Operands;

static bool is_number(const char *text) { return *text && text[strspn(text, "0123456789")] == 0; }

static bool bad_range(const Img *img, const char *key, uint64_t least, uint64_t most)
{
    tool_error(&img->tool, "Invalid %s specified. Must be between %llu and %llu.", key, (unsigned long long)least,
               (unsigned long long)most);
    return false;
}

static bool parse_block(const Img *img, const char *text, uint64_t *bytes)
{
    if (!text_to_size(text, 1, bytes, NULL) && text[0] != '-') {
        tool_error(&img->tool, "Invalid bs specified: '%s'.", text);
        return false;
    }
    return (text[0] != '-' && *bytes >= 1 && *bytes <= INT_MAX) || bad_range(img, "bs", 1, INT_MAX);
}

/* Of blocks: without a suffix. */
static bool parse_count(const Img *img, const char *key, const char *text, uint64_t *count)
{
    if (!is_number(text + (*text == '-'))) {
        tool_error(&img->tool, "Invalid %s specified: '%s'.", key, text);
        return false;
    }
    return (text_to_uint64(text, count, NULL) && *count <= INT64_MAX) || bad_range(img, key, 0, INT64_MAX);
}

static bool parse_operand(const Img *img, char *word, Operands *operands)
{
    char *value = strchr(word, '=');
    size_t length = value ? (size_t)(value - word) : strlen(word);
    AUTO_FREE char *key = string_copy_length(word, length);
    value = value ? value + 1 : NULL;
    if (value && strcmp(key, "if") == 0) {
        operands->input = value;
    } else if (value && strcmp(key, "of") == 0) {
        operands->output = value;
    } else if (value && strcmp(key, "bs") == 0) {
        return parse_block(img, value, &operands->block);
    } else if (value && strcmp(key, "count") == 0) {
        operands->has_count = true;
        return parse_count(img, "count", value, &operands->count);
    } else if (value && strcmp(key, "skip") == 0) {
        return parse_count(img, "skip", value, &operands->skip);
    } else {
        tool_error(&img->tool, "unrecognized operand %s", key);
        return false;
    }
    return true;
}

static bool parse_operands(const Img *img, const ImgArguments *arguments, Operands *operands)
{
    *operands = (Operands){ .block = USUAL_BLOCK };
    for (int i = 0; i < arguments->names; i++) {
        if (!parse_operand(img, arguments->name[i], operands)) {
            return false;
        }
    }
    if (!operands->input || !operands->output) {
        tool_error(&img->tool, "Must specify both input and output files");
        return false;
    }
    return true;
}

static uint64_t multiply(uint64_t a, uint64_t b)
{
    uint64_t product;
    return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX : product;
}

static bool create_output(Img *img, const char *name, const BlockDriver *driver, uint64_t size)
{
    Error *error = NULL;
    Json *values = json_object();
    AUTO_FREE char *text = string_format("%llu", (unsigned long long)size);
    json_set(values, "size", json_string(text));
    bool ok = img_create_file(img, driver, name, values, &error);
    json_free(values);
    if (!ok) {
        tool_report(&img->tool, error, "%s: error while creating output image: ", name);
    }
    return ok;
}

static bool copy(Img *img, BlockEdge *from, BlockEdge *to, uint64_t start, uint64_t end)
{
    AUTO_FREE char *bytes = mem_alloc(CHUNK);
    tool_stops(&img->tool, true);
    for (uint64_t at = start, count; at < end; at += count) {
        if (tool_interrupted(&img->tool)) {
            return false;
        }
        count = MIN(CHUNK, end - at);
        int error = block_read(from, at, bytes, count);
        if (error) {
            tool_error(&img->tool, "error while reading from input image file: %s", strerror(error));
            return false;
        }
        error = block_write(to, at - start, bytes, count, 0);
        if (error) {
            tool_error(&img->tool, "error while writing to output image file: %s", strerror(error));
            return false;
        }
    }
    return true;
}

static bool copy_to_new(Img *img, const Operands *operands, BlockEdge *from, const char *format)
{
    const BlockDriver *driver = img_find_creatable(img, format);
    uint64_t size = block_node_size(block_edge_node(from)), start = multiply(operands->skip, operands->block);
    uint64_t end = operands->has_count ? MIN(size, multiply(operands->count, operands->block)) : size;
    if (start > end) {
        tool_error(&img->tool, "%s: cannot skip to specified offset", operands->input);
    }
    if (!driver || !create_output(img, operands->output, driver, start < end ? end - start : 0)) {
        return false;
    }
    BlockEdge *to = tool_open(&img->tool, &(ToolOpen){
        .name = operands->output, .format = format, .flags = BLOCK_OPEN_WRITE,
        .permissions = BLOCK_PERMISSION_READ | BLOCK_PERMISSION_WRITE | BLOCK_PERMISSION_RESIZE,
        .shared = BLOCK_PERMISSION_READ });
    bool ok = to && copy(img, from, to, start, end);
    block_detach(to);
    if (!tool_interrupted(&img->tool)) {
        tool_unguard(&img->tool);
    }
    return ok;
}

static int run(Img *img, ImgArguments *arguments)
{
    Operands operands;
    if (!parse_operands(img, arguments, &operands)) {
        return 1;
    }
    BlockEdge *from = img_open_source(img, arguments, operands.input, arguments->format, 0);
    bool ok = from && copy_to_new(img, &operands, from, arguments->target_format ? arguments->target_format : "raw");
    block_detach(from);
    return ok ? 0 : 1;
}

const ImgCommand img_dd = {
    "dd", "Copy input to output with optional format conversion",
    "[-f FMT|--image-opts] [-O OUTPUT_FMT] [-U]\n"
    "        [bs=BLOCK_SIZE] [count=BLOCKS] [skip=BLOCKS] if=INPUT of=OUTPUT",
    options, run,
};
