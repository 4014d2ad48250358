/* img bench: reads or writes of one size, some in parallel, one step after the other, with a flush now and then. */
#include "base/error.h"
#include "base/host/host.h"
#include "base/text.h"
#include "tools/img/img.h"

#include <limits.h>
#include <string.h>

enum { USUAL_COUNT = 75000, USUAL_DEPTH = 64, USUAL_SIZE = 4096, LARGEST_MEMORY = 1 << 30 };

static const ImgOption options[] = {
    IMG_HELP, IMG_QUIET, IMG_FORMAT, IMG_IMAGE_OPTS,
    IMG_OPTION('t', "cache", IMG_TEXT, cache, "CACHE", "cache mode for FILENAME (writeback)"),
    IMG_OPTION('c', "count", IMG_TEXT, count, "COUNT", "number of I/O requests to perform"),
    IMG_OPTION('s', "buffer-size", IMG_TEXT, buffer_size, "BUFFER_SIZE", "size of each I/O request"),
    IMG_OPTION('d', "depth", IMG_TEXT, depth, "DEPTH", "number of requests to perform in parallel"),
    IMG_OPTION('o', "offset", IMG_TEXT, start_offset, "OFFSET", "start first request at this OFFSET"),
    IMG_OPTION('S', "step-size", IMG_TEXT, step, "STEP_SIZE", "each next request offset increment"),
    IMG_OPTION('i', "aio", IMG_TEXT, aio, "AIO", "async-io backend (threads, native, io_uring)"),
    IMG_OPTION('n', "native", IMG_FLAG, native, NULL, "use native AIO backend"),
    IMG_OPTION('w', "write", IMG_FLAG, write, NULL, "perform write test (default is read)"),
    IMG_OPTION(0, "pattern", IMG_TEXT, pattern, "PATTERN", "write this pattern byte instead of zero"),
    IMG_OPTION(0, "flush-interval", IMG_TEXT, flush_interval, "FLUSH_INTERVAL",
               "issue flush after this number of requests"),
    IMG_OPTION(0, "no-drain", IMG_FLAG, no_drain, NULL, "do not wait when flushing pending requests"), IMG_SHARE,
    IMG_OPTIONS_END,
};

typedef struct Bench {
    Img *img;
    BlockEdge *edge;
    uint64_t count, depth, bytes, step, offset, pattern, flush_interval, size;
    bool write, drains;
    uint64_t started, ended, flushed; /* requests; started ones at the last flush */
    unsigned in_flight;               /* requests */
    bool flushing, failed;
    uint8_t *memory;
    struct iovec piece; /* of all requests: what is read is not looked at */
    BlockRequest flush, *requests, **free;
    uint64_t free_count;
} Bench;

static void fail(Bench *bench, const char *what, int error)
{
    if (!bench->failed) {
        tool_error(&bench->img->tool, "Failed %s: %s", what, strerror(error));
    }
    bench->failed = true;
}

static void request_done(BlockRequest *request, int error)
{
    Bench *bench = request->data;
    bench->in_flight--;
    bench->ended++;
    bench->free[bench->free_count++] = request;
    if (error) {
        fail(bench, "request", error);
    }
}

static void flush_done(BlockRequest *request, int error)
{
    Bench *bench = request->data;
    bench->flushing = false;
    if (error) {
        fail(bench, "flush", error);
    }
}

static void start_request(Bench *bench)
{
    BlockRequest *request = bench->free[--bench->free_count];
    *request = (BlockRequest){ .operation = bench->write ? BLOCK_WRITE : BLOCK_READ, .offset = bench->offset,
                               .bytes = bench->bytes, .vectors = { &bench->piece, 1, 0 }, .done = request_done,
                               .data = bench };
    bench->started++;
    bench->in_flight++;
    bench->offset = bench->size ? (bench->offset + bench->step) % bench->size : 0;
    block_submit(bench->edge, request);
}

static bool wants_flush(const Bench *bench)
{
    return bench->flush_interval && bench->started > bench->flushed && bench->started % bench->flush_interval == 0;
}

/* All that can be on its way now. */
static void start_all(Bench *bench)
{
    while (!bench->failed && bench->in_flight < bench->depth) {
        if (wants_flush(bench)) {
            if (bench->flushing || (bench->drains && bench->in_flight)) {
                return;
            }
            bench->flush = (BlockRequest){ .operation = BLOCK_FLUSH, .done = flush_done, .data = bench };
            bench->flushing = true;
            bench->flushed = bench->started;
            block_submit(bench->edge, &bench->flush);
        } else if (bench->started == bench->count || (bench->drains && bench->flushing)) {
            return;
        } else {
            start_request(bench);
        }
    }
}

static void run_all(Bench *bench)
{
    BlockLoop *loop = block_runtime_main(block_graph_runtime(bench->img->tool.graph));
    do {
        block_loop_plug(loop);
        start_all(bench);
        block_loop_unplug(loop);
        if (bench->in_flight || bench->flushing) {
            block_loop_poll(loop, true);
        }
    } while (bench->in_flight || bench->flushing || (bench->started < bench->count && !bench->failed));
}

/* Arguments */

typedef struct Number {
    const char *text, *name;
    uint64_t usual, least, most, *value;
} Number;

static bool parse_number(const Img *img, const Number *number)
{
    *number->value = number->usual;
    if (!number->text) {
        return true;
    }
    bool ok = text_to_size(number->text, 1, number->value, NULL);
    if (!ok && !tool_is_number(number->text)) {
        tool_error(&img->tool, "Invalid %s specified: '%s'.", number->name, number->text);
        return false;
    }
    if (!ok || *number->value < number->least || *number->value > number->most) {
        tool_error(&img->tool, "Invalid %s specified. Must be between %llu and %llu.", number->name,
                   (unsigned long long)number->least, (unsigned long long)number->most);
        return false;
    }
    return true;
}

static bool parse_arguments(Bench *bench, const ImgArguments *arguments, ToolOpen *open)
{
    const Tool *tool = &bench->img->tool;
    AUTO_ERROR(error);
    const Number numbers[] = {
        { arguments->count, "request count", USUAL_COUNT, 1, INT_MAX, &bench->count },
        { arguments->depth, "queue depth", USUAL_DEPTH, 1, INT_MAX, &bench->depth },
        { arguments->buffer_size, "buffer size", USUAL_SIZE, 1, INT_MAX, &bench->bytes },
        { arguments->start_offset, "offset", 0, 0, INT64_MAX, &bench->offset },
        { arguments->step, "step size", 0, 0, INT_MAX, &bench->step },
        { arguments->pattern, "pattern byte", 0, 0, UINT8_MAX, &bench->pattern },
        { arguments->flush_interval, "flush interval", 0, 0, INT_MAX, &bench->flush_interval },
    };
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
        if (!parse_number(bench->img, &numbers[i])) {
            return false;
        }
    }
    const char *aio = arguments->native ? "native" : arguments->aio;
    if (aio && !block_parse_aio(aio, &open->flags)) {
        tool_error(tool, "Invalid aio option: %s", aio);
        return false;
    }
    if (arguments->cache && !block_parse_cache_mode(arguments->cache, &open->flags, &open->write_through, &error)) {
        tool_error(tool, "Invalid cache mode");
        return false;
    }
    bench->write = arguments->write;
    bench->drains = !arguments->no_drain;
    bench->step = bench->step ? bench->step : bench->bytes;
    if (!bench->write && bench->flush_interval) {
        tool_error(tool, "--flush-interval is only available in write tests");
        return false;
    }
    if (bench->flush_interval && bench->flush_interval < bench->depth) {
        tool_error(tool, "Flush interval can't be smaller than depth");
        return false;
    }
    return true;
}

static bool make_requests(Bench *bench)
{
    void *memory = NULL;
    uint64_t most = MIN(bench->depth, bench->count);
    bench->depth = most;
    if (bench->bytes > LARGEST_MEMORY || posix_memalign(&memory, 4096, bench->bytes) != 0) {
        tool_error(&bench->img->tool, "there is no memory for %llu bytes", (unsigned long long)bench->bytes);
        return false;
    }
    memset(memory, (int)bench->pattern, bench->bytes);
    bench->memory = memory;
    bench->piece = (struct iovec){ memory, bench->bytes };
    bench->requests = mem_alloc_array(most, sizeof *bench->requests);
    bench->free = mem_alloc_array(most, sizeof *bench->free);
    for (; bench->free_count < most; bench->free_count++) {
        bench->free[bench->free_count] = &bench->requests[bench->free_count];
    }
    return true;
}

static bool measure(Bench *bench)
{
    bench->size = block_node_size(block_edge_node(bench->edge));
    printf("Sending %llu %s requests, %llu bytes each, %llu in parallel (starting at offset %llu, step size %llu)\n",
           (unsigned long long)bench->count, bench->write ? "write" : "read", (unsigned long long)bench->bytes,
           (unsigned long long)bench->depth, (unsigned long long)bench->offset, (unsigned long long)bench->step);
    if (bench->flush_interval) {
        printf("Sending flush every %llu requests\n", (unsigned long long)bench->flush_interval);
    }
    if (!make_requests(bench)) {
        return false;
    }
    int64_t before = host_monotonic_ns();
    run_all(bench);
    if (!bench->failed) {
        printf("Run completed in %3.3f seconds.\n", (double)(host_monotonic_ns() - before) / 1e9);
    }
    return !bench->failed;
}

static int run(Img *img, ImgArguments *arguments)
{
    Bench bench = { .img = img };
    unsigned writes = arguments->write ? BLOCK_PERMISSION_WRITE : 0;
    ToolOpen open = { .format = arguments->format, .image_opts = arguments->image_opts,
                      .flags = arguments->write ? BLOCK_OPEN_WRITE : 0,
                      .permissions = BLOCK_PERMISSION_READ | writes,
                      .shared = BLOCK_PERMISSION_READ | BLOCK_PERMISSION_WRITE_UNCHANGED };
    if (arguments->names != 1) {
        return img_usage_error(img, "Expecting one image file name");
    }
    if (!parse_arguments(&bench, arguments, &open)) {
        return 1;
    }
    if (arguments->force_share) {
        open.flags |= BLOCK_OPEN_FORCE_SHARE;
        open.shared = BLOCK_PERMISSION_ALL;
    }
    open.name = arguments->name[0];
    bench.edge = tool_open(&img->tool, &open);
    bool ok = bench.edge && measure(&bench);
    block_detach(bench.edge);
    free(bench.memory);
    free(bench.requests);
    free(bench.free);
    return ok ? 0 : 1;
}

const ImgCommand img_bench = {
    "bench", "Run simple image benchmark",
    "[-f FMT | --image-opts] [-t CACHE] [-c COUNT] [-d DEPTH]\n"
    "        [-o OFFSET] [-s BUFFER_SIZE] [-S STEP_SIZE] [-i AIO] [-n]\n"
    "        [-w [--pattern PATTERN] [--flush-interval INTERVAL [--no-drain]]] FILENAME",
    options, run,
};
