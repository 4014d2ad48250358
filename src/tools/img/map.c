/* img map */
#include "base/error.h"
#include "tools/img/img.h"

#include <string.h>

static const ImgOption options[] = {
    IMG_HELP, IMG_FORMAT, IMG_IMAGE_OPTS,
    IMG_OPTION('s', "start-offset", IMG_TEXT, start_offset, "OFFSET", "where to begin"),
    IMG_OPTION('l', "max-length", IMG_TEXT, max_length, "LENGTH", "how much of the image to look at"), IMG_OUTPUT,
    IMG_SHARE, IMG_OPTIONS_END,
};

typedef struct Entry {
    uint64_t start;
    BlockStatus status;
    unsigned depth;
} Entry;

static bool joins(const Entry *entry, const Entry *next)
{
    const BlockStatus *a = &entry->status, *b = &next->status;
    return entry->depth == next->depth && a->allocated == b->allocated && a->zero == b->zero && a->data == b->data &&
           a->compressed == b->compressed && a->has_offset == b->has_offset && a->node == b->node &&
           (!a->has_offset || a->offset + a->bytes == b->offset);
}

static const char *yes_no(bool value) { return value ? "true" : "false"; }

static bool print_json(const Img *img, const Entry *entry, bool last)
{
    const BlockStatus *status = &entry->status;
    printf("{ \"start\": %llu, \"length\": %llu, \"depth\": %u, \"present\": %s, \"zero\": %s, \"data\": %s, "
           "\"compressed\": %s", (unsigned long long)entry->start, (unsigned long long)status->bytes, entry->depth,
           yes_no(status->allocated), yes_no(status->zero), yes_no(status->data), yes_no(status->compressed));
    if (status->has_offset) {
        printf(", \"offset\": %llu", (unsigned long long)status->offset);
    }
    printf("}%s", last ? "" : ",\n");
    return true;
}

static bool print_human(const Img *img, const Entry *entry, bool last)
{
    const BlockStatus *status = &entry->status;
    if (!status->data || status->zero) {
        return true;
    }
    if (!status->has_offset) {
        tool_error(&img->tool, "File contains external, encrypted or compressed clusters.");
        return false;
    }
    printf("%#-16llx%#-16llx%#-16llx%s\n", (unsigned long long)entry->start, (unsigned long long)status->bytes,
           (unsigned long long)status->offset, block_node_file_name(status->node));
    return true;
}

static int walk(Img *img, BlockEdge *edge, uint64_t at, uint64_t end, bool as_json)
{
    bool (*print)(const Img *, const Entry *, bool) = as_json ? print_json : print_human;
    Entry entry = { .start = at };
    printf(as_json ? "[" : "%-16s%-16s%-16s%s\n", "Offset", "Length", "Mapped to", "File");
    while (at < end) {
        Entry next = { .start = at };
        int number = block_status_above(edge, NULL, at, end - at, &next.status, &next.depth);
        if (number) {
            tool_error(&img->tool, "Failed to read image metadata: %s", strerror(number));
            return 1;
        }
        at += next.status.bytes;
        if (entry.status.bytes && joins(&entry, &next)) {
            entry.status.bytes += next.status.bytes;
        } else {
            if (entry.status.bytes && !print(img, &entry, false)) {
                return 1;
            }
            entry = next;
        }
    }
    bool ok = print(img, &entry, true);
    if (as_json) {
        printf("]\n");
    }
    return ok ? 0 : 1;
}

static int run(Img *img, ImgArguments *arguments)
{
    bool as_json;
    uint64_t start = 0, length = INT64_MAX;
    if (!img_parse_output(img, arguments, &as_json) ||
        (arguments->start_offset && !img_parse_size(img, arguments->start_offset, "start offset", &start)) ||
        (arguments->max_length && !img_parse_size(img, arguments->max_length, "max length", &length))) {
        return 1;
    }
    if (arguments->names != 1) {
        return img_usage_error(img, "Expecting one image file name");
    }
    BlockEdge *edge = img_open_source(img, arguments, arguments->name[0], arguments->format, 0);
    int status = 1;
    if (edge) {
        uint64_t size = block_node_size(block_edge_node(edge));
        uint64_t left = size - MIN(start, size);
        status = walk(img, edge, start, start + MIN(length, left), as_json);
    }
    block_detach(edge);
    return status;
}

const ImgCommand img_map = {
    "map", "Dump image metadata",
    "[-f FMT | --image-opts] [--output human|json] [--start-offset OFFSET] [--max-length LENGTH] [-U] FILENAME",
    options, run,
};
