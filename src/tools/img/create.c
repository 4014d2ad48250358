/* img create */
#include "api/json.h"
#include "api/type.h"
#include "base/error.h"
#include "base/strbuf.h"
#include "base/text.h"
#include "tools/img/img.h"

#include <errno.h>

static const ImgOption options[] = {
    IMG_HELP, IMG_QUIET,
    IMG_OPTION('f', "format", IMG_TEXT, format, "FMT", "specifies format of the new image, default is raw"),
    IMG_OPTION('o', "options", IMG_TEXTS, options, "FMT_OPTS", "format-specific options ('-o help' for list)"),
    IMG_OPTION('b', "backing", IMG_TEXT, backing, "BACKING_FILENAME", "stack new image on top of BACKING_FILENAME"),
    IMG_OPTION('F', "backing-format", IMG_TEXT, backing_format, "BACKING_FMT", "specify format of BACKING_FILENAME"),
    IMG_OPTION('u', "backing-unsafe", IMG_FLAG, unsafe, NULL, "do not fail if BACKING_FMT can not be read"),
    IMG_OPTIONS_END,
};

/* What is printed of the options */

/* Those that are shown where they are not given. */
static bool is_shown(const char *name)
{
    static const char *const names[] = { "cluster_size", "extended_l2", "compression_type", "size", "lazy_refcounts",
                                         "refcount_bits" };
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (strcmp(names[i], name) == 0) {
            return true;
        }
    }
    return false;
}

static void describe_member(const TypeMember *member, const Json *values, StrBuf *line)
{
    const Json *given = json_get(values, member->name);
    const char *text = given ? json_text(given) : is_shown(member->name) ? member->default_text : NULL;
    uint64_t bytes;
    bool flag;
    if (!text) {
        return;
    }
    strbuf_printf(line, " %s=", member->name);
    if (member->type->kind == TYPE_SIZE && text_to_size(text, 1, &bytes, NULL)) {
        strbuf_printf(line, "%llu", (unsigned long long)bytes);
    } else if (!given && member->type->kind == TYPE_BOOL && text_to_bool(text, &flag, NULL)) {
        strbuf_append(line, flag ? "on" : "off");
    } else {
        strbuf_append(line, text);
    }
}

static bool has_member(const Type *type, const char *name)
{
    for (uint32_t i = 0; type && i < type->member_count; i++) {
        if (strcmp(type->members[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

static void print_formatting(const BlockDriver *driver, const char *filename, const Json *values)
{
    AUTO_STRBUF(line);
    const Type *own = block_driver_create_type(driver), *below = block_driver_create_type(block_protocol_of(filename));
    strbuf_printf(&line, "Formatting '%s', fmt=%s", filename, block_driver_name(driver));
    for (uint32_t i = 0; i < own->member_count; i++) {
        describe_member(&own->members[i], values, &line);
    }
    for (uint32_t i = 0; below && i < below->member_count; i++) {
        if (!has_member(own, below->members[i].name) && json_get(values, below->members[i].name)) {
            describe_member(&below->members[i], values, &line);
        }
    }
    printf("%s\n", strbuf_text(&line));
    fflush(stdout);
}

/* The backing file */

/* As a name in the new image is meant: beside it. */
static char *backing_path(const char *filename, const char *backing)
{
    const char *slash = strrchr(filename, '/');
    if (!slash || backing[0] == '/' || strchr(backing, ':')) {
        return string_copy(backing);
    }
    return string_format("%.*s%s", (int)(slash + 1 - filename), filename, backing);
}

/* It is opened to see whether that can be done, and how large it is. */
static bool use_backing(Img *img, const char *filename, Json *values, Error **error)
{
    const char *backing = json_get_text(values, "backing_file"), *format = json_get_text(values, "backing_fmt");
    AUTO_FREE char *path = backing_path(filename, backing);
    Json *json = json_object();
    if (format) {
        json_set(json, "driver", json_string(format));
    }
    BlockNode *node = block_open(img->tool.graph, path, json, 0, error);
    if (!node) {
        error_add_hint(error, "Could not open backing image.\n");
        return false;
    }
    if (!format) {
        error_set(error, "Backing file specified without backing format");
        error_add_hint(error, "Detected format of %s.\n", block_node_driver_name(node));
    } else if (!json_get(values, "size")) {
        json_set(values, "size", json_string_take(string_format("%llu", (unsigned long long)block_node_size(node))));
    }
    block_node_unref(node);
    return format != NULL;
}

static bool check_backing(Img *img, const BlockDriver *driver, const char *filename, Json *values, bool unsafe,
                          Error **error)
{
    const char *backing = json_get_text(values, "backing_file"), *format = json_get_text(values, "backing_fmt");
    if (!backing) {
        return true;
    }
    if (!block_driver_has_backing(driver)) {
        return error_set(error, "Backing file not supported for file format '%s'", block_driver_name(driver));
    }
    if (strcmp(backing, filename) == 0) {
        return error_set(error, "Error: Trying to create an image with the same filename as the backing file");
    }
    if (unsafe && format && !block_driver_find(format)) {
        return error_set(error, "Unknown backing file format '%s'", format);
    }
    return unsafe ? format || error_set(error, "Backing file specified without backing format")
                  : use_backing(img, filename, values, error);
}

/* The command */

static bool check_size(const Json *values, Error **error)
{
    const char *size = json_get_text(values, "size");
    uint64_t bytes;
    if (!size) {
        return error_set(error, "Image creation needs a size parameter");
    }
    if (!*size || !text_to_size(size, 1, &bytes, NULL)) {
        error_set(error, "Parameter 'size' expects a non-negative number below 2^64");
        error_add_hint(error, "Optional suffix k, M, G, T, P or E means kilo-, mega-, giga-, tera-, peta-\n"
                              "and exabytes, respectively.\n");
        return false;
    }
    return true;
}

static int create(Img *img, const ImgArguments *arguments, const char *format, Json *values)
{
    Error *error = NULL;
    const char *filename = arguments->name[0];
    const BlockDriver *driver = block_driver_find(format);
    bool ok = driver || error_set(&error, "Unknown file format '%s'", format);
    ok = ok && (block_driver_can_create(driver) ||
                error_set(&error, "Format driver '%s' does not support image creation", format));
    ok = ok && check_backing(img, driver, filename, values, arguments->unsafe, &error) && check_size(values, &error) &&
         block_create_check(driver, filename, values, &error);
    if (ok && !arguments->quiet) {
        print_formatting(driver, filename, values);
    }
    ok = ok && (json_get(values, "backing_file") || !json_get(values, "backing_fmt") ||
                error_set(&error, "Backing format cannot be used without backing file")) &&
         img_create_file(img, driver, filename, values, &error);
    if (!ok && error_errno(error) == EFBIG) {
        tool_error(&img->tool, "%s: The image size is too large for file format '%s'", filename, format);
        error_free(error);
    } else if (!ok) {
        tool_report(&img->tool, error, "%s: ", filename);
    }
    tool_unguard(&img->tool);
    return ok ? 0 : 1;
}

static void set_text(Json *values, const char *key, const char *text)
{
    if (text) {
        json_free(json_take(values, key));
        json_set(values, key, json_string(text));
    }
}

static int run(Img *img, ImgArguments *arguments)
{
    bool help = false;
    const char *format = arguments->format ? arguments->format : "raw";
    uint64_t size;
    Json *values = img_parse_options(img, &arguments->options, &help);
    int status = 1;
    if (values && help) {
        status = img_print_create_options(img, format, arguments->names ? arguments->name[0] : NULL) ? 0 : 1;
    } else if (values && arguments->names == 0) {
        status = img_usage_error(img, "Expecting image file name");
    } else if (values && arguments->names > 2) {
        status = img_usage_error(img, "Unexpected argument: %s", arguments->name[2]);
    } else if (values && (arguments->names < 2 || img_parse_size(img, arguments->name[1], "image size", &size))) {
        bool twice = arguments->names == 2 && json_get(values, "size");
        set_text(values, "backing_file", arguments->backing);
        set_text(values, "backing_fmt", arguments->backing_format);
        if (arguments->names == 2) {
            AUTO_FREE char *text = string_format("%llu", (unsigned long long)size);
            set_text(values, "size", text);
        }
        if (twice) {
            tool_error(&img->tool, "%s: The image size must be specified only once", arguments->name[0]);
        } else {
            status = create(img, arguments, format, values);
        }
    }
    json_free(values);
    return status;
}

const ImgCommand img_create = {
    "create", "Create and format new image file",
    "[-f FMT] [-o FMT_OPTS] [-b BACKING_FILENAME [-F BACKING_FMT]] [-u] FILENAME [SIZE[bkKMGTPE]]", options, run,
};
