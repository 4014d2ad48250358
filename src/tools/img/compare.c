/* img compare */
#include "tools/img/img.h"

#include <string.h>

enum { STATUS_SAME = 0, STATUS_DIFFERENT = 1, STATUS_OPEN = IMG_COMPARE_FAILED, STATUS_ERROR = 4, CHUNK = 2 << 20 };

static const ImgOption options[] = {
    IMG_HELP, IMG_QUIET, IMG_PROGRESS,
    IMG_OPTION('f', "a-format", IMG_TEXT, format, "FMT", "specify FILENAME1 image format explicitly"),
    IMG_OPTION('F', "b-format", IMG_TEXT, target_format, "FMT", "specify FILENAME2 image format explicitly"),
    IMG_IMAGE_OPTS,
    IMG_OPTION('s', "strict", IMG_FLAG, strict, NULL, "strict mode, also check if sizes are equal"),
    IMG_OPTION('T', "cache", IMG_TEXT, source_cache, "CACHE_MODE", "images caching mode (writeback)"), IMG_SHARE,
    IMG_OPTIONS_END,
};

typedef struct Compare {
    Img *img;
    BlockEdge *edge[2];
    const char *name[2];
    uint64_t size[2];
    bool strict;
    char *bytes[2];
    ImgProgress progress;
} Compare;

static void say(const Compare *compare, const char *format, uint64_t offset)
{
    if (!compare->img->quiet) {
        printf(format, (unsigned long long)offset);
    }
}

/* Of one image; behind its end there is nothing. */
static int find_status(Compare *compare, int i, uint64_t at, uint64_t count, BlockStatus *status)
{
    unsigned depth;
    int error = block_status_above(compare->edge[i], NULL, at, count, status, &depth);
    if (error) {
        tool_error(&compare->img->tool, "Sector allocation test failed for %s", compare->name[i]);
        return 3;
    }
    return 0;
}

static int read_one(Compare *compare, int i, uint64_t at, uint64_t count)
{
    int error = block_read(compare->edge[i], at, compare->bytes[i], count);
    if (error) {
        tool_error(&compare->img->tool, "Error while reading offset %llu of %s: %s", (unsigned long long)at,
                   compare->name[i], strerror(error));
    }
    return error ? STATUS_ERROR : 0;
}

static int expect_zeroes(Compare *compare, int i, uint64_t at, uint64_t count)
{
    int status = read_one(compare, i, at, count);
    for (uint64_t j = 0; j < count && !status; j++) {
        if (compare->bytes[i][j]) {
            say(compare, "Content mismatch at offset %llu!\n", at + align_down(j, 512));
            return STATUS_DIFFERENT;
        }
    }
    return status;
}

static int compare_data(Compare *compare, uint64_t at, uint64_t count)
{
    int status = read_one(compare, 0, at, count);
    status = status ? status : read_one(compare, 1, at, count);
    for (uint64_t j = 0; j < count && !status; j += 512) {
        if (memcmp(compare->bytes[0] + j, compare->bytes[1] + j, MIN(512, count - j)) != 0) {
            say(compare, "Content mismatch at offset %llu!\n", at + j);
            return STATUS_DIFFERENT;
        }
    }
    return status;
}

static int compare_some(Compare *compare, uint64_t at, uint64_t count, uint64_t *done)
{
    BlockStatus status[2];
    for (int i = 0; i < 2; i++) {
        int failed = find_status(compare, i, at, count, &status[i]);
        if (failed) {
            return failed;
        }
    }
    *done = MIN(status[0].bytes, status[1].bytes);
    if (compare->strict && (status[0].zero != status[1].zero || status[0].data != status[1].data ||
                            status[0].allocated != status[1].allocated)) {
        say(compare, "Strict mode: Offset %llu block status mismatch!\n", at);
        return STATUS_DIFFERENT;
    }
    if (status[0].zero && status[1].zero) {
        return 0;
    }
    *done = MIN(*done, CHUNK);
    if (!status[0].zero && !status[1].zero) {
        return compare_data(compare, at, *done);
    }
    return expect_zeroes(compare, status[0].zero, at, *done);
}

static int compare_rest(Compare *compare, uint64_t from)
{
    int longer = compare->size[1] > compare->size[0], result = 0;
    for (uint64_t at = from; at < compare->size[longer] && !result;) {
        BlockStatus status;
        result = find_status(compare, longer, at, compare->size[longer] - at, &status);
        uint64_t count = result || status.zero ? status.bytes : MIN(status.bytes, CHUNK);
        result = result || status.zero ? result : expect_zeroes(compare, longer, at, count);
        at += count;
        img_progress(&compare->progress, at, compare->size[longer]);
    }
    return result;
}

static int compare_all(Compare *compare)
{
    uint64_t shorter = MIN(compare->size[0], compare->size[1]), longer = MAX(compare->size[0], compare->size[1]), done;
    img_progress(&compare->progress, 0, longer);
    if (compare->strict && shorter != longer) {
        say(compare, "Strict mode: Image size mismatch!\n", 0);
        return STATUS_DIFFERENT;
    }
    int result = 0;
    for (uint64_t at = 0; at < shorter && !result; at += done) {
        done = 0;
        result = compare_some(compare, at, shorter - at, &done);
        if (!result) {
            img_progress(&compare->progress, at + done, longer);
        }
    }
    if (!result && shorter != longer) {
        say(compare, "Warning: Image size mismatch!\n", 0);
        result = compare_rest(compare, shorter);
    }
    return result;
}

static int run(Img *img, ImgArguments *arguments)
{
    Compare compare = { .img = img, .strict = arguments->strict,
                        .progress = { .tool = &img->tool, .shown = arguments->progress } };
    unsigned flags = 0;
    bool write_through, ok = true;
    if (!img_parse_cache(img, arguments->source_cache, "writeback", "source cache", &flags, &write_through)) {
        return STATUS_OPEN;
    }
    if (arguments->names != 2) {
        return img_usage_error(img, "Expecting two image file names");
    }
    const char *formats[] = { arguments->format, arguments->target_format };
    for (int i = 0; i < 2; i++) {
        compare.name[i] = arguments->name[i];
        compare.edge[i] = ok ? img_open_source(img, arguments, arguments->name[i], formats[i], flags) : NULL;
        ok = compare.edge[i] != NULL;
        compare.size[i] = ok ? block_node_size(block_edge_node(compare.edge[i])) : 0;
        compare.bytes[i] = mem_alloc(CHUNK);
    }
    int status = ok ? compare_all(&compare) : STATUS_OPEN;
    if (ok && status == STATUS_SAME) {
        say(&compare, "Images are identical.\n", 0);
    }
    printf("%s", compare.progress.shown ? "\n" : "");
    for (int i = 0; i < 2; i++) {
        block_detach(compare.edge[i]);
        free(compare.bytes[i]);
    }
    return status;
}

const ImgCommand img_compare = {
    "compare", "Check if two images have the same contents",
    "[--image-opts | [-f FMT] [-F FMT]] [-s] [-T CACHE] [-U] FILENAME1 FILENAME2", options, run,
};
