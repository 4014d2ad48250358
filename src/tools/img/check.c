/* img check */
#include "api/json.h"
#include "base/error.h"
#include "tools/img/img.h"

enum { STATUS_FAILED = 1, STATUS_CORRUPT = 2, STATUS_LEAKS = 3, STATUS_UNSUPPORTED = 63 };

static const ImgOption options[] = {
    IMG_HELP, IMG_QUIET, IMG_FORMAT, IMG_IMAGE_OPTS,
    IMG_OPTION('T', "cache", IMG_TEXT, source_cache, "CACHE_MODE", "image cache mode (writeback)"), IMG_SHARE,
    IMG_OUTPUT,
    IMG_OPTION('r', "repair", IMG_TEXT, repair, "leaks|all", "repair particular aspect of the image"),
    IMG_OPTIONS_END,
};

static void print_line(void *data, const char *line)
{
    fflush(stdout);
    fprintf(stderr, "%s\n", line);
}

static void print_human(const BlockCheck *check)
{
    if (!check->corruptions && !check->leaks && !check->check_errors) {
        printf("No errors were found on the image.\n");
    }
    if (check->corruptions) {
        printf("\n%llu errors were found on the image.\nData may be corrupted, or further writes to the image may "
               "corrupt it.\n", (unsigned long long)check->corruptions);
    }
    if (check->leaks) {
        printf("\n%llu leaked clusters were found on the image.\nThis means waste of disk space, but no harm to "
               "data.\n", (unsigned long long)check->leaks);
    }
    if (check->check_errors) {
        printf("\n%llu internal errors have occurred during the check.\n", (unsigned long long)check->check_errors);
    }
    if (check->total_clusters && check->allocated_clusters) {
        double allocated = (double)check->allocated_clusters;
        printf("%llu/%llu = %0.2f%% allocated, %0.2f%% fragmented, %0.2f%% compressed clusters\n",
               (unsigned long long)check->allocated_clusters, (unsigned long long)check->total_clusters,
               allocated * 100.0 / (double)check->total_clusters,
               (double)check->fragmented_clusters * 100.0 / allocated,
               (double)check->compressed_clusters * 100.0 / allocated);
    }
    if (check->image_end_offset) {
        printf("Image end offset: %llu\n", (unsigned long long)check->image_end_offset);
    }
}

static void print_json(const BlockNode *node, const BlockCheck *check, const char *name)
{
    const struct {
        const char *key;
        uint64_t value;
        bool always;
    } numbers[] = {
        { "image-end-offset", check->image_end_offset }, { "compressed-clusters", check->compressed_clusters },
        { "total-clusters", check->total_clusters }, { "check-errors", check->check_errors, true },
        { "corruptions", check->corruptions }, { "corruptions-fixed", check->corruptions_fixed },
        { "leaks", check->leaks }, { "leaks-fixed", check->leaks_fixed },
        { "allocated-clusters", check->allocated_clusters },
    };
    Json *json = json_object();
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
        if (numbers[i].value || numbers[i].always) {
            json_set(json, numbers[i].key, json_uint(numbers[i].value));
        }
    }
    json_set(json, "filename", json_string(name));
    json_set(json, "format", json_string(block_node_driver_name(node)));
    if (check->fragmented_clusters) {
        json_set(json, "fragmented-clusters", json_uint(check->fragmented_clusters));
    }
    img_print_json(json);
    json_free(json);
}

static bool parse_repair(const Img *img, const char *text, unsigned *fix)
{
    *fix = !text ? 0 : strcmp(text, "leaks") == 0 ? BLOCK_FIX_LEAKS : BLOCK_FIX_LEAKS | BLOCK_FIX_ERRORS;
    if (text && strcmp(text, "leaks") != 0 && strcmp(text, "all") != 0) {
        img_usage_error(img, "--repair (-r) expects 'leaks' or 'all' not '%s'", text);
        return false;
    }
    return true;
}

/* Checks, and where that repaired something, once more. */
static bool check_twice(Img *img, BlockNode *node, unsigned fix, bool talks, BlockCheck *check, Error **error)
{
    *check = (BlockCheck){ .report = print_line };
    if (!block_check(node, fix, check, error)) {
        return false;
    }
    uint64_t leaks = check->leaks_fixed, corruptions = check->corruptions_fixed;
    if (!leaks && !corruptions) {
        return true;
    }
    if (talks) {
        printf("The following inconsistencies were found and repaired:\n\n    %llu leaked clusters\n    %llu "
               "corruptions\n\nDouble checking the fixed image now...\n",
               (unsigned long long)leaks, (unsigned long long)corruptions);
    }
    *check = (BlockCheck){ .report = check->report };
    bool ok = block_check(node, 0, check, error);
    check->leaks_fixed = leaks;
    check->corruptions_fixed = corruptions;
    return ok;
}

static int check_node(Img *img, const ImgArguments *arguments, BlockNode *node, unsigned fix, bool as_json)
{
    BlockCheck check;
    Error *error = NULL;
    if (!block_can_check(node)) {
        tool_error(&img->tool, "This image format does not support checks");
        return STATUS_UNSUPPORTED;
    }
    if (!check_twice(img, node, fix, !as_json && !img->quiet, &check, &error)) {
        tool_report(&img->tool, error, "Check failed: ");
        return STATUS_FAILED;
    }
    if (as_json && !img->quiet) {
        print_json(node, &check, arguments->name[0]);
    } else if (!img->quiet) {
        print_human(&check);
    }
    return check.check_errors ? STATUS_FAILED : check.corruptions ? STATUS_CORRUPT : check.leaks ? STATUS_LEAKS : 0;
}

static int run(Img *img, ImgArguments *arguments)
{
    bool as_json, write_through = false;
    unsigned fix, flags = BLOCK_OPEN_NO_BACKING;
    if (!parse_repair(img, arguments->repair, &fix) || !img_parse_output(img, arguments, &as_json) ||
        !img_parse_cache(img, arguments->source_cache, "writeback", "source cache", &flags, &write_through)) {
        return 1;
    }
    if (arguments->names != 1) {
        return img_usage_error(img, "Expecting one image file name");
    }
    BlockEdge *edge = img_open_source(img, arguments, arguments->name[0], arguments->format,
                                      flags | (fix ? BLOCK_OPEN_WRITE | BLOCK_OPEN_REPAIR : 0));
    int status = edge ? check_node(img, arguments, block_edge_node(edge), fix, as_json) : 1;
    block_detach(edge);
    return status;
}

const ImgCommand img_check = {
    "check", "Check basic image integrity",
    "[-f FMT | --image-opts] [-T CACHE_MODE] [-r leaks|all] [-U] [--output human|json] FILENAME", options, run,
};
