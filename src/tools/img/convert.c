/*
 * img convert: several tasks copy, each a piece at a time; what is zero is not written where the target is zero anyway.
 * Writes begin in order, so that a new image is laid out as the disk is; compressed ones go where there is room.
 */
#include "api/json.h"
#include "base/error.h"
#include "base/text.h"
#include "block/bitmap.h"
#include "tools/img/img.h"

#include <errno.h>
#include <string.h>

enum { CHUNK = 1 << 20, COMPRESSED_CHUNK = 512 << 10, USUAL_TASKS = 8, MOST_TASKS = 16, SECTOR = 512 };
enum { USUAL_SPARSE = 4096, LARGEST_SPARSE = 16 << 20 };
#define LONGEST_SKIP GIB

static const ImgOption options[] = {
    IMG_HELP, IMG_QUIET, IMG_PROGRESS,
    IMG_OPTION('f', "source-format", IMG_TEXT, format, "SRC_FMT", "specify SRC_FILENAME image format explicitly"),
    IMG_IMAGE_OPTS,
    IMG_OPTION('l', "source-snapshot", IMG_TEXT, source_snapshot, "SNAPSHOT", "convert that snapshot of the source"),
    IMG_OPTION('T', "source-cache", IMG_TEXT, source_cache, "SRC_CACHE", "source image(s) cache mode (writeback)"),
    IMG_OPTION('O', "target-format", IMG_TEXT, target_format, "TGT_FMT",
               "specify TGT_FILENAME image format (default is raw)"),
    IMG_OPTION(0, "target-image-opts", IMG_FLAG, target_image_opts, NULL,
               "TGT_FILENAME is a complete image specification"),
    IMG_OPTION('o', "target-options", IMG_TEXTS, options, "TGT_OPTS", "TGT_FMT-specific options"),
    IMG_OPTION('c', "compress", IMG_FLAG, compress, NULL, "create compressed output image (qcow2 format only)"),
    IMG_OPTION('t', "target-cache", IMG_TEXT, cache, "TGT_CACHE", "cache mode when opening output image (unsafe)"),
    IMG_OPTION('B', "backing", IMG_TEXT, backing, "BACKING_FILENAME", "create output to be a CoW on top of it"),
    IMG_OPTION('F', "backing-format", IMG_TEXT, backing_format, "BACKING_FMT", "specify BACKING_FILENAME format"),
    IMG_OPTION(0, "bitmaps", IMG_FLAG, bitmaps, NULL, "also copy any persistent bitmaps present in source"),
    IMG_OPTION(0, "skip-broken-bitmaps", IMG_FLAG, skip_broken_bitmaps, NULL,
               "skip (do not error out) any broken bitmaps"),
    IMG_OPTION('n', "no-create", IMG_FLAG, no_create, NULL, "omit target volume creation"),
    IMG_OPTION(0, "target-is-zero", IMG_FLAG, target_is_zero, NULL, "the target reads as zeroes already"),
    IMG_OPTION('S', "sparse-size", IMG_TEXT, sparse, "SPARSE_SIZE",
               "how many zeroes in a row are not written (4k; 0: all are)"),
    IMG_SHARE, IMG_OPTION('r', "rate", IMG_TEXT, rate, "RATE", "I/O rate limit"),
    IMG_OPTION('m', "parallel", IMG_TEXT, parallel, "NUM_TASKS", "specify parallelism (default 8)"),
    IMG_OPTION('C', "copy-range-offloading", IMG_FLAG, copy_range, NULL, "let the host copy, where it can"),
    IMG_OPTION(0, "salvage", IMG_FLAG, salvage, NULL, "go on where the source cannot be read, with zeroes"),
    IMG_OPTION('W', "oob-writes", IMG_FLAG, out_of_order, NULL, "enable out-of-order writes"), IMG_OPTIONS_END,
};

typedef struct Source {
    BlockEdge *edge;
    uint64_t start, size;
} Source;

typedef enum PieceKind { PIECE_DATA, PIECE_ZERO, PIECE_BACKING } PieceKind;
typedef struct Piece {
    uint64_t offset, bytes, turn;
    PieceKind kind;
} Piece;

typedef struct Convert {
    Img *img;
    VEC(Source) sources;
    BlockEdge *target;
    uint64_t size, next, done, chunk, cluster, sparse;
    Piece known; /* what is alike from `next` on; 0 bytes: not known */
    bool copy_range; /* the host copies, as long as it can */
    bool compress, target_is_zero, has_backing, salvage, out_of_order;
    unsigned running;
    bool failed;
    /* Pieces are found one after the other, and written in that order. */
    TaskLock lock;
    uint64_t turns, turn;
    TaskQueue turn_changed;
    ImgProgress progress;
    ImgRate rate;
} Convert;

/* Pieces */

static const Source *source_at(const Convert *convert, uint64_t offset)
{
    const Source *source = convert->sources.items;
    while (offset >= source->start + source->size) {
        source++;
    }
    return source;
}

static bool fail(Convert *convert, const char *what, uint64_t offset, int error)
{
    if (!convert->failed) {
        tool_error(&convert->img->tool, "error while %s at byte %llu: %s", what, (unsigned long long)offset,
                   strerror(error));
    }
    convert->failed = true;
    return false;
}

/* `base`: the source's, which the target is over too; NULL: whatever nobody has reads as zeroes. Where zeroes are not
 * looked for, they are data that the target has room for. */
static PieceKind kind_of(const Convert *convert, const BlockNode *base, const BlockStatus *status)
{
    if (base && !status->allocated) {
        return PIECE_BACKING;
    }
    return status->zero && convert->sparse ? PIECE_ZERO : PIECE_DATA;
}

/* Compressed clusters are whole. */
static uint64_t cut(const Convert *convert, const Piece *piece)
{
    uint64_t bytes = MIN(piece->bytes, piece->kind == PIECE_DATA ? convert->chunk : LONGEST_SKIP);
    if (!convert->compress || piece->offset + bytes == convert->size) {
        return bytes;
    }
    return MAX(align_down(bytes, convert->cluster), MIN(convert->cluster, convert->size - piece->offset));
}

/* What is alike from `next` on. */
static bool look(Convert *convert)
{
    const Source *source = source_at(convert, convert->next);
    uint64_t at = convert->next - source->start;
    const BlockEdge *backing = block_node_backing(block_edge_node(source->edge));
    const BlockNode *base = convert->has_backing && backing ? block_edge_node(backing) : NULL;
    BlockStatus status;
    unsigned depth;
    int error = block_status_above(source->edge, base, at, MIN(source->size - at, LONGEST_SKIP), &status, &depth);
    if (error && !convert->salvage) {
        return fail(convert, "reading block status", convert->next, error);
    }
    status = error ? (BlockStatus){ .bytes = SECTOR, .data = true, .allocated = true } : status;
    convert->known = (Piece){ .offset = convert->next, .bytes = status.bytes, .kind = kind_of(convert, base, &status) };
    return true;
}

/* `lock` is held. */
static bool find_piece(Convert *convert, Piece *piece)
{
    Piece *known = &convert->known;
    if (known->bytes == 0 && !look(convert)) {
        return false;
    }
    *piece = *known;
    piece->turn = convert->turns++;
    piece->bytes = cut(convert, known);
    if (piece->bytes > known->bytes) { /* a cluster of several kinds */
        piece->kind = PIECE_DATA;
    }
    known->offset += piece->bytes;
    known->bytes -= MIN(piece->bytes, known->bytes);
    convert->next += piece->bytes;
    return true;
}

static bool next_piece(Convert *convert, BlockTask *self, Piece *piece)
{
    task_lock(&convert->lock, self);
    bool ok = !convert->failed && !tool_interrupted(&convert->img->tool) && convert->next < convert->size &&
              find_piece(convert, piece);
    task_unlock(&convert->lock);
    return ok;
}

static void wait_for_turn(Convert *convert, BlockTask *self, const Piece *piece)
{
    task_lock(&convert->lock, self);
    while (convert->turn != piece->turn && !convert->failed) {
        task_queue_wait(&convert->turn_changed, &convert->lock, self);
    }
    convert->turn++;
    task_queue_wake(&convert->turn_changed);
    task_unlock(&convert->lock);
}

/* Copying */

/* Sector by sector; one that cannot be read is zeroes. */
static void salvage(const Convert *convert, const Source *source, uint64_t at, char *bytes, uint64_t count)
{
    for (uint64_t i = 0; i < count; i += SECTOR) {
        uint64_t part = MIN(SECTOR, count - i);
        int error = block_read(source->edge, at + i, bytes + i, part);
        if (error && !convert->img->quiet) {
            tool_warning(&convert->img->tool, "error while reading offset %llu: %s",
                         (unsigned long long)(source->start + at + i), strerror(error));
        }
        if (error) {
            memset(bytes + i, 0, part);
        }
    }
}

static bool read_piece(Convert *convert, const Piece *piece, char *bytes)
{
    for (uint64_t done = 0, part; done < piece->bytes; done += part) {
        const Source *source = source_at(convert, piece->offset + done);
        uint64_t at = piece->offset + done - source->start;
        part = MIN(piece->bytes - done, source->size - at);
        int error = block_read(source->edge, at, bytes + done, part);
        if (error && convert->salvage) {
            salvage(convert, source, at, bytes + done, part);
        } else if (error) {
            return fail(convert, "reading", piece->offset + done, error);
        }
    }
    return true;
}

static bool write_zeroes(Convert *convert, uint64_t offset, uint64_t bytes)
{
    if (convert->target_is_zero) {
        return true;
    }
    int error = block_write_zeroes(convert->target, offset, bytes, BLOCK_MAY_UNMAP);
    return !error || fail(convert, "writing", offset, error);
}

static bool is_zero(const char *bytes, uint64_t count)
{
    return bytes[0] == 0 && memcmp(bytes, bytes + 1, count - 1) == 0;
}

/* How many bytes from `at` on are alike: nothing but zeroes, or not. */
static uint64_t count_alike(const Convert *convert, const char *bytes, uint64_t count, bool *zero)
{
    uint64_t unit = convert->compress && convert->sparse ? convert->cluster : convert->sparse;
    if (unit == 0) {
        *zero = false;
        return count;
    }
    uint64_t done = MIN(unit, count);
    *zero = is_zero(bytes, done);
    while (done < count && is_zero(bytes + done, MIN(unit, count - done)) == *zero) {
        done += MIN(unit, count - done);
    }
    return done;
}

static bool write_data(Convert *convert, const Piece *piece, const char *bytes)
{
    bool zero;
    for (uint64_t done = 0, part; done < piece->bytes; done += part) {
        part = count_alike(convert, bytes + done, piece->bytes - done, &zero);
        if (zero) {
            if (!write_zeroes(convert, piece->offset + done, part)) {
                return false;
            }
            continue;
        }
        int error = block_write(convert->target, piece->offset + done, bytes + done, part,
                                convert->compress ? BLOCK_COMPRESSED : 0);
        if (error) {
            return fail(convert, "writing", piece->offset + done, error);
        }
    }
    return true;
}

/* Within the host. False: the bytes have to be moved after all. */
static bool offload(Convert *convert, const Piece *piece)
{
    const Source *source = source_at(convert, piece->offset);
    uint64_t at = piece->offset - source->start;
    if (!convert->copy_range || piece->bytes > source->size - at) {
        return false;
    }
    int error = block_copy_range(source->edge, at, convert->target, piece->offset, piece->bytes);
    convert->copy_range = error == 0 || piece->offset + piece->bytes == convert->size;
    return !error;
}

static bool copy_piece(Convert *convert, BlockTask *self, const Piece *piece, char *bytes)
{
    if (piece->kind == PIECE_DATA) {
        img_rate_wait(convert->img, &convert->rate, piece->bytes);
    }
    bool offloads = piece->kind == PIECE_DATA && convert->copy_range;
    bool ok = piece->kind != PIECE_DATA || offloads || read_piece(convert, piece, bytes);
    if (!convert->out_of_order) {
        wait_for_turn(convert, self, piece);
    }
    if (offloads) {
        ok = offload(convert, piece) || (read_piece(convert, piece, bytes) && write_data(convert, piece, bytes));
    } else if (piece->kind == PIECE_DATA) {
        ok = ok && write_data(convert, piece, bytes);
    } else if (piece->kind == PIECE_ZERO) {
        ok = ok && write_zeroes(convert, piece->offset, piece->bytes);
    }
    convert->done += piece->bytes;
    img_progress(&convert->progress, convert->done, convert->size);
    return ok;
}

static void copy_in_task(void *data)
{
    Convert *convert = data;
    BlockTask *self = block_task_self(block_graph_runtime(convert->img->tool.graph));
    void *bytes = NULL;
    Piece piece;
    if (posix_memalign(&bytes, 4096, convert->chunk) != 0) {
        fail(convert, "allocating", 0, ENOMEM);
    }
    while (bytes && next_piece(convert, self, &piece) && copy_piece(convert, self, &piece, bytes)) {
    }
    if (convert->failed) { /* those that wait go on, and end */
        task_lock(&convert->lock, self);
        task_queue_wake(&convert->turn_changed);
        task_unlock(&convert->lock);
    }
    free(bytes);
    convert->running--;
}

static bool copy_all(Convert *convert, unsigned tasks)
{
    BlockLoop *loop = block_runtime_main(block_graph_runtime(convert->img->tool.graph));
    block_loop_set_eager(loop, CHUNK);
    img_progress(&convert->progress, 0, convert->size);
    tool_stops(&convert->img->tool, true);
    for (unsigned i = 0; i < tasks; i++) {
        convert->running++;
        block_task_start(loop, copy_in_task, convert);
    }
    while (convert->running > 0) {
        block_loop_poll(loop, true);
    }
    if (tool_interrupted(&convert->img->tool)) {
        return false;
    }
    img_progress_end(&convert->progress);
    return !convert->failed;
}

/* Source and target */

static bool open_sources(Convert *convert, const ImgArguments *arguments)
{
    unsigned flags = 0;
    bool write_through;
    if (!img_parse_cache(convert->img, arguments->source_cache, "writeback", "source cache", &flags, &write_through)) {
        return false;
    }
    for (int i = 0; i < arguments->names - 1; i++) {
        BlockEdge *edge = img_open_source(convert->img, arguments, arguments->name[i], arguments->format, flags);
        if (!edge) {
            return false;
        }
        if (arguments->source_snapshot && !img_load_snapshot(convert->img, edge, arguments->source_snapshot)) {
            block_detach(edge);
            return false;
        }
        uint64_t size = block_node_size(block_edge_node(edge));
        vec_push(&convert->sources, (Source){ edge, convert->size, size });
        convert->size += size;
    }
    return true;
}

static void set_text(Json *values, const char *key, const char *text)
{
    if (text) {
        json_free(json_take(values, key));
        json_set(values, key, json_string(text));
    }
}

/* `backing`: the target's; NULL: none. */
static bool note_backing(Convert *convert, const char *backing)
{
    convert->has_backing = backing != NULL;
    if (backing && convert->sources.count > 1) {
        tool_error(&convert->img->tool, "Having a backing file for the target makes no sense when concatenating "
                                        "multiple input images");
        return false;
    }
    return true;
}

static bool create_target(Convert *convert, const ImgArguments *arguments, const char *name, const char *format)
{
    Img *img = convert->img;
    bool help = false;
    const BlockDriver *driver = img_find_creatable(img, format);
    Json *values = driver ? img_parse_options(img, &arguments->options, &help) : NULL;
    Error *error = NULL;
    bool ok = values != NULL;
    if (ok) {
        AUTO_FREE char *size = string_format("%llu", (unsigned long long)convert->size);
        set_text(values, "size", size);
        set_text(values, "backing_file", arguments->backing);
        set_text(values, "backing_fmt", arguments->backing_format);
        ok = note_backing(convert, json_get_text(values, "backing_file"));
        const char *mode = json_get_text(values, "preallocation");
        convert->target_is_zero = !convert->has_backing;
        if (ok && convert->compress && !block_driver_can_compress(driver)) {
            tool_error(&img->tool, "Compression not supported for this file format");
            ok = false;
        } else if (ok && convert->compress && mode && strcmp(mode, "off") != 0) {
            tool_error(&img->tool, "Compression and preallocation not supported at the same time");
            ok = false;
        } else if (ok && !convert->has_backing && json_get(values, "backing_fmt")) {
            tool_error(&img->tool, "%s: error while converting %s: Backing format cannot be used without backing file",
                       name, format);
            ok = false;
        } else if (ok && convert->has_backing && !block_driver_has_backing(driver)) {
            tool_error(&img->tool, "Backing file not supported for file format '%s'", format);
            ok = false;
        } else if (ok && convert->has_backing && !json_get(values, "backing_fmt")) {
            tool_error(&img->tool, "Use of backing file requires explicit backing format");
            ok = false;
        } else if (ok && !block_create_check(driver, name, values, &error)) {
            tool_report(&img->tool, error, "%s", "");
            ok = false;
        } else if (ok && !img_create_file(img, driver, name, values, &error)) {
            tool_report(&img->tool, error, "%s: error while converting %s: ", name, format);
            ok = false;
        }
    }
    json_free(values);
    return ok;
}

static bool open_target(Convert *convert, const ImgArguments *arguments, const char *name, const char *format)
{
    Img *img = convert->img;
    ToolOpen open = { .name = name, .format = arguments->target_image_opts ? NULL : format,
                      .image_opts = arguments->target_image_opts, .flags = BLOCK_OPEN_WRITE | BLOCK_OPEN_DISCARD,
                      .permissions = BLOCK_PERMISSION_READ | BLOCK_PERMISSION_WRITE | BLOCK_PERMISSION_RESIZE,
                      .shared = BLOCK_PERMISSION_READ };
    if (!img_parse_cache(img, arguments->cache, "unsafe", "cache", &open.flags, &open.write_through)) {
        return false;
    }
    if (arguments->no_create ? !note_backing(convert, arguments->backing)
                             : !create_target(convert, arguments, name, format)) {
        return false;
    }
    convert->target = tool_open(&img->tool, &open);
    if (!convert->target) {
        return false;
    }
    BlockFacts facts;
    block_node_facts(block_edge_node(convert->target), &facts);
    json_free(facts.specific);
    if (convert->compress && !block_can_compress(block_edge_node(convert->target))) {
        tool_error(&img->tool, "Compression not supported for this file format");
        return false;
    }
    convert->cluster = facts.cluster_bytes;
    convert->chunk = convert->compress ? MAX(facts.cluster_bytes, COMPRESSED_CHUNK) : CHUNK;
    if (block_node_size(block_edge_node(convert->target)) < convert->size) {
        tool_error(&img->tool, "output file is smaller than input file");
        return false;
    }
    convert->target_is_zero = arguments->no_create ? arguments->target_is_zero : convert->target_is_zero;
    return true;
}

static bool parse_numbers(Convert *convert, const ImgArguments *arguments, unsigned *tasks)
{
    uint64_t count = USUAL_TASKS;
    convert->sparse = USUAL_SPARSE;
    bool is_number = !arguments->parallel || text_to_uint64(arguments->parallel, &count, NULL);
    if (!is_number || count < 1 || count > MOST_TASKS) {
        if (is_number) {
            tool_error(&convert->img->tool, "Invalid number of coroutines specified. Must be between 1 and %d.",
                       MOST_TASKS);
        } else {
            tool_error(&convert->img->tool, "Invalid number of coroutines specified: '%s'.", arguments->parallel);
        }
        return false;
    }
    *tasks = (unsigned)count;
    if (arguments->sparse && !img_parse_size(convert->img, arguments->sparse, "buffer size for sparse output",
                                             &convert->sparse)) {
        return false;
    }
    if (convert->sparse % SECTOR || convert->sparse > LARGEST_SPARSE) {
        tool_error(&convert->img->tool, "Invalid buffer size for sparse output specified. Valid sizes are multiples of "
                                        "%d up to %d. Select 0 to disable sparse detection (fully allocates output).",
                   SECTOR, LARGEST_SPARSE);
        return false;
    }
    return true;
}

static bool check_arguments(const Convert *convert, const ImgArguments *arguments)
{
    const Tool *tool = &convert->img->tool;
    if (arguments->no_create && arguments->options.count) {
        tool_error(tool, "-o has no effect when skipping image creation");
        return false;
    }
    if (arguments->target_image_opts && !arguments->no_create) {
        tool_error(tool, "--target-image-opts requires use of -n flag");
        return false;
    }
    if (arguments->target_is_zero && !arguments->no_create) {
        tool_error(tool, "--target-is-zero requires use of -n flag");
        return false;
    }
    if (arguments->skip_broken_bitmaps && !arguments->bitmaps) {
        tool_error(tool, "Use of --skip-broken-bitmaps requires --bitmaps");
        return false;
    }
    if (arguments->salvage && arguments->copy_range) {
        tool_error(tool, "Cannot use copy offloading in salvaging mode");
        return false;
    }
    if (arguments->source_snapshot && arguments->names > 2) {
        tool_error(tool, "No support for concatenating multiple snapshot");
        return false;
    }
    if (arguments->copy_range && (arguments->compress || arguments->sparse)) {
        tool_error(tool, "Cannot enable copy offloading when -%c is used", arguments->compress ? 'c' : 'S');
        return false;
    }
    if (arguments->names < 2) {
        tool_error(tool, "Must specify image file name");
        return false;
    }
    return true;
}

/* Before the target is made. */
static bool check_bitmaps(const Convert *convert, const ImgArguments *arguments)
{
    if (!arguments->bitmaps) {
        return true;
    }
    if (convert->sources.count > 1) {
        tool_error(&convert->img->tool, "Copying bitmaps only possible with single source");
        return false;
    }
    return img_check_source_bitmaps(convert->img, block_edge_node(convert->sources.items[0].edge),
                                    arguments->skip_broken_bitmaps);
}

static bool check_target_bitmaps(const Convert *convert, const ImgArguments *arguments)
{
    const BlockNode *node = block_edge_node(convert->target);
    if (arguments->bitmaps && !block_bitmaps_supported(node)) {
        tool_error(&convert->img->tool, "Format driver '%s' does not support bitmaps", block_node_driver_name(node));
        return false;
    }
    return true;
}

static int run(Img *img, ImgArguments *arguments)
{
    Convert convert = { .img = img, .compress = arguments->compress, .salvage = arguments->salvage,
                        .copy_range = arguments->copy_range,
                        .out_of_order = arguments->out_of_order || arguments->compress,
                        .progress = { .tool = &img->tool, .shown = arguments->progress } };
    const char *format = arguments->target_format ? arguments->target_format : "raw";
    unsigned tasks;
    bool help = false;
    Json *values = img_parse_options(img, &arguments->options, &help);
    json_free(values);
    if (values && help) {
        return img_print_create_options(img, format, arguments->names ? arguments->name[arguments->names - 1] : NULL)
                   ? 0
                   : 1;
    }
    bool ok = values && check_arguments(&convert, arguments) &&
              img_parse_rate(img, arguments->rate, &convert.rate) && parse_numbers(&convert, arguments, &tasks) &&
              open_sources(&convert, arguments) && check_bitmaps(&convert, arguments) &&
              open_target(&convert, arguments, arguments->name[arguments->names - 1], format) &&
              check_target_bitmaps(&convert, arguments) && copy_all(&convert, tasks);
    if (ok && arguments->bitmaps) {
        ok = img_copy_bitmaps(img, block_edge_node(convert.sources.items[0].edge), block_edge_node(convert.target));
    }
    for (size_t i = 0; i < convert.sources.count; i++) {
        block_detach(convert.sources.items[i].edge);
    }
    vec_free(&convert.sources);
    block_detach(convert.target);
    if (!tool_interrupted(&img->tool)) {
        tool_unguard(&img->tool);
    }
    return ok ? 0 : 1;
}

const ImgCommand img_convert = {
    "convert", "Copy one image to another with optional format conversion",
    "[-f SRC_FMT|--image-opts] [-T SRC_CACHE] [-o TGT_OPTS|--target-image-opts] [-t TGT_CACHE] [-n]\n"
    "        [--bitmaps [--skip-broken-bitmaps]] [-B BACKING_FILENAME [-F BACKING_FMT]] [-c] [-p] [-m NUM] [-r RATE]\n"
    "        SRC_FILENAME [SRC_FILENAME2 [...]] TGT_FILENAME",
    options, run,
};
