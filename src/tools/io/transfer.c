/* Commands of the io program that move data: read, write, their vector and asynchronous forms, and discard. */
#include "base/host/host.h"
#include "base/text.h"
#include "tools/io/io.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

enum { SECTOR = 512, USUAL_PATTERN = 0xcd, READ_FILL = 0xab, LARGEST = 2147483136, MISALIGNMENT = 16 };

/* One request, with what the options say of it. */
typedef struct Transfer {
    Io *io;
    const char *name; /* of the command */
    BlockRequest request;
    struct iovec *pieces;
    uint8_t *memory, *bytes; /* `bytes` in `memory` */
    uint64_t offset, count;
    unsigned flags;
    bool machine, quiet, dumps, zeroes, has_pattern, has_part, asynchronous, invalid, state;
    uint8_t pattern;
    uint64_t check_from, check_count;
    const char *source; /* -s: a file with the pattern */
    int64_t started;
} Transfer;

static void transfer_free(Transfer *transfer)
{
    free(transfer->pieces);
    free(transfer->memory);
    free(transfer);
}

/* What is printed */

static void print_report(const Transfer *transfer, const char *done)
{
    double seconds = (double)MAX(host_monotonic_ns() - transfer->started, 1) / 1e9;
    AUTO_FREE char *size = io_size_text((double)transfer->count);
    AUTO_FREE char *rate = io_size_text((double)transfer->count / seconds);
    unsigned hundredths = (unsigned)(seconds * 100);
    if (transfer->quiet) {
        return;
    }
    if (transfer->machine) {
        printf("%llu,%d,%u:%02u:%02u.%02u,%.3f,%.3f\n", (unsigned long long)transfer->count, 1,
               hundredths / 360000, hundredths / 6000 % 60, hundredths / 100 % 60, hundredths % 100,
               (double)transfer->count / seconds, 1 / seconds);
        return;
    }
    printf("%s %llu/%llu bytes at offset %llu\n%s, %d ops; %02u.%02u sec (%s/sec and %.4f ops/sec)\n", done,
           (unsigned long long)transfer->count, (unsigned long long)transfer->count,
           (unsigned long long)transfer->offset, size, 1, hundredths / 100 % 60, hundredths % 100, rate, 1 / seconds);
}

static void dump(const Transfer *transfer)
{
    for (uint64_t at = 0; at < transfer->count; at += 16) {
        uint64_t length = MIN(16, transfer->count - at);
        printf("%08llx:  ", (unsigned long long)(transfer->offset + at));
        for (uint64_t i = 0; i < length; i++) {
            printf("%02x ", transfer->bytes[at + i]);
        }
        printf(" ");
        for (uint64_t i = 0; i < length; i++) {
            printf("%c", isalnum(transfer->bytes[at + i]) ? transfer->bytes[at + i] : '.');
        }
        printf("\n");
    }
}

static bool verify(const Transfer *transfer)
{
    uint64_t from = transfer->check_from, count = transfer->has_part ? transfer->check_count : transfer->count;
    for (uint64_t i = 0; transfer->has_pattern && i < count; i++) {
        if (transfer->bytes[from + i] != transfer->pattern) {
            printf("Pattern verification failed at offset %llu, %llu bytes\n",
                   (unsigned long long)(transfer->offset + from), (unsigned long long)count);
            return false;
        }
    }
    return true;
}

static const char *const failed[] = { [BLOCK_READ] = "read failed", [BLOCK_WRITE] = "write failed",
                                      [BLOCK_WRITE_ZEROES] = "write failed", [BLOCK_DISCARD] = "discard failed" };
static const char *const aio_failed[] = { [BLOCK_READ] = "readv failed", [BLOCK_WRITE] = "aio_write failed",
                                          [BLOCK_WRITE_ZEROES] = "aio_write failed",
                                          [BLOCK_DISCARD] = "aio_discard failed" };
static const char *const finished[] = { [BLOCK_READ] = "read", [BLOCK_WRITE] = "wrote", [BLOCK_WRITE_ZEROES] = "wrote",
                                        [BLOCK_DISCARD] = "discard" };
static const char *const aio_finished[] = { [BLOCK_READ] = "read", [BLOCK_WRITE] = "wrote",
                                            [BLOCK_WRITE_ZEROES] = "wrote", [BLOCK_DISCARD] = "discarded " };

static int conclude(const Transfer *transfer, int error)
{
    BlockOperation operation = transfer->request.operation;
    if (error) {
        printf("%s: %s\n", (transfer->asynchronous ? aio_failed : failed)[operation], strerror(error));
        return -error;
    }
    bool good = operation != BLOCK_READ || verify(transfer);
    if (transfer->dumps) {
        dump(transfer);
    }
    print_report(transfer, (transfer->asynchronous ? aio_finished : finished)[operation]);
    return good ? 0 : -EINVAL;
}

/* Options */

static bool parse_pattern(Transfer *transfer, const char *text)
{
    uint64_t value;
    if (!text_to_uint64(text, &value, NULL) || value > UINT8_MAX) {
        printf("%s is not a valid pattern byte\n", text);
        return false;
    }
    transfer->pattern = (uint8_t)value;
    transfer->has_pattern = true;
    return true;
}

static bool parse_option(Transfer *transfer, int letter)
{
    bool read = transfer->request.operation == BLOCK_READ;
    switch (letter) {
    case 'C':
        transfer->machine = true;
        return true;
    case 'q':
        transfer->quiet = true;
        return true;
    case 'v':
        transfer->dumps = true;
        return true;
    case 'P':
        return parse_pattern(transfer, optarg);
    case 's':
        transfer->source = optarg;
        transfer->has_part = read;
        return !read || io_parse_number(optarg, &transfer->check_from);
    case 'l':
        transfer->has_part = true;
        return io_parse_number(optarg, &transfer->check_count);
    case 'z':
        transfer->zeroes = true;
        return true;
    case 'b':
        transfer->state = true;
        return true;
    case 'i':
        transfer->invalid = true;
        return true;
    case 'c':
    case 'f':
    case 'n':
    case 'u':
        transfer->flags |= letter == 'c'   ? BLOCK_COMPRESSED
                           : letter == 'f' ? BLOCK_FUA
                           : letter == 'n' ? BLOCK_NO_FALLBACK
                                           : BLOCK_MAY_UNMAP;
        return true;
    case 'p':
    case 'r':
        return true; /* for the sake of old scripts: memory needs no registering here */
    default:
        io_print_usage(transfer->name);
        return false;
    }
}

static bool check_options(const Transfer *transfer)
{
    if (transfer->flags & (BLOCK_MAY_UNMAP | BLOCK_NO_FALLBACK) && !transfer->zeroes) {
        printf("-%c requires -z to be specified\n", transfer->flags & BLOCK_NO_FALLBACK ? 'n' : 'u');
        return false;
    }
    bool from_file = transfer->source && !transfer->has_part;
    if (transfer->state && transfer->zeroes) {
        printf("-b and -z cannot be specified at the same time\n");
        return false;
    }
    if (transfer->flags & BLOCK_FUA && (transfer->flags & BLOCK_COMPRESSED || transfer->state)) {
        printf("-f and -b or -c cannot be specified at the same time\n");
        return false;
    }
    if (transfer->request.operation == BLOCK_READ && transfer->has_part && !transfer->has_pattern) {
        io_print_usage(transfer->name);
        return false;
    }
    if (transfer->zeroes + transfer->has_pattern + from_file > 1) {
        printf("Only one of -z, -P, and -s can be specified at the same time\n");
        return false;
    }
    return true;
}

/* Offset, and one or more lengths, one piece of memory each. */
static bool parse_places(Transfer *transfer, char **words, int count, bool vector)
{
    if (count < 2 || (!vector && count > 2)) {
        io_print_usage(transfer->name);
        return false;
    }
    if (!io_parse_number(words[0], &transfer->offset)) {
        return false;
    }
    transfer->pieces = mem_alloc_array((size_t)count, sizeof *transfer->pieces);
    for (int i = 1; i < count; i++) {
        uint64_t length;
        if (!io_parse_number(words[i], &length)) {
            return false;
        }
        if (length > LARGEST - transfer->count) {
            printf("length cannot exceed %d, given %s\n", LARGEST, words[i]);
            return false;
        }
        transfer->pieces[i - 1].iov_len = length;
        transfer->count += length;
    }
    transfer->request.vectors.count = (unsigned)count - 1;
    if (transfer->zeroes && count > 2) {
        printf("-z supports only a single length parameter\n");
        return false;
    }
    if (transfer->flags & BLOCK_COMPRESSED && (transfer->offset | transfer->count) % SECTOR) {
        bool count_is_wrong = transfer->offset % SECTOR == 0;
        printf("%llu is not a sector-aligned value for '%s'\n",
               (unsigned long long)(count_is_wrong ? transfer->count : transfer->offset),
               count_is_wrong ? "count" : "offset");
        return false;
    }
    return true;
}

static bool fill_from_file(Transfer *transfer)
{
    FILE *file = fopen(transfer->source, "rb");
    AUTO_FREE uint8_t *pattern = mem_alloc(MAX(transfer->count, 1));
    size_t got = file ? fread(pattern, 1, transfer->count, file) : 0;
    if (file) {
        fclose(file);
    }
    if (got == 0) {
        fprintf(stderr, "%s: %s\n", transfer->source, file ? "the file is empty" : strerror(errno));
        return false;
    }
    for (uint64_t i = 0; i < transfer->count; i++) {
        transfer->bytes[i] = pattern[i % got];
    }
    return true;
}

static bool make_buffer(Transfer *transfer)
{
    bool read = transfer->request.operation == BLOCK_READ;
    void *memory = NULL;
    if (transfer->zeroes || transfer->request.operation == BLOCK_DISCARD) {
        transfer->request.operation = transfer->zeroes ? BLOCK_WRITE_ZEROES : BLOCK_DISCARD;
        return true;
    }
    size_t shift = transfer->io->misalign ? MISALIGNMENT : 0;
    if (posix_memalign(&memory, 4096, transfer->count + shift + 1) != 0) {
        printf("there is no memory for %llu bytes\n", (unsigned long long)transfer->count);
        return false;
    }
    transfer->memory = memory;
    transfer->bytes = transfer->memory + shift;
    int fill = read ? READ_FILL : transfer->has_pattern ? transfer->pattern : USUAL_PATTERN;
    memset(transfer->bytes, fill, transfer->count);
    uint8_t *at = transfer->bytes;
    for (unsigned i = 0; i < transfer->request.vectors.count; i++) {
        transfer->pieces[i].iov_base = at;
        at += transfer->pieces[i].iov_len;
    }
    return read || !transfer->source || fill_from_file(transfer);
}

static bool check_part(Transfer *transfer)
{
    transfer->check_count = transfer->check_count ? transfer->check_count : transfer->count - transfer->check_from;
    if (transfer->has_part && transfer->request.operation == BLOCK_READ &&
        (transfer->check_from > transfer->count || transfer->check_count > transfer->count - transfer->check_from)) {
        printf("pattern verification range exceeds end of read data\n");
        return false;
    }
    return true;
}

static Transfer *parse(Io *io, BlockOperation operation, const char *letters, bool vector, int count, char **words)
{
    Transfer *transfer = NEW(Transfer);
    bool ok = operation == BLOCK_READ || io_may_write(io);
    transfer->io = io;
    transfer->name = words[0];
    transfer->request.operation = operation;
    optind = 0;
    for (int letter; ok && (letter = getopt(count, words, letters)) != -1;) {
        ok = parse_option(transfer, letter);
    }
    ok = ok && check_options(transfer) && parse_places(transfer, words + optind, count - optind, vector) &&
         check_part(transfer) && make_buffer(transfer);
    if (!ok) {
        transfer_free(transfer);
        return NULL;
    }
    transfer->request.vectors.items = transfer->pieces;
    transfer->request.offset = transfer->offset;
    transfer->request.bytes = transfer->count;
    transfer->request.flags = transfer->flags;
    transfer->started = host_monotonic_ns();
    return transfer;
}

/* Running */

static int perform(const Transfer *transfer)
{
    const BlockRequest *request = &transfer->request;
    if (transfer->state) {
        return block_state(transfer->io->edge, request->operation == BLOCK_WRITE, request->offset, request->bytes,
                           request->vectors);
    }
    switch (request->operation) {
    case BLOCK_READ:
        return block_readv(transfer->io->edge, request->offset, request->bytes, request->vectors);
    case BLOCK_WRITE:
        return block_writev(transfer->io->edge, request->offset, request->bytes, request->vectors, request->flags);
    case BLOCK_WRITE_ZEROES:
        return block_write_zeroes(transfer->io->edge, request->offset, request->bytes, request->flags);
    default:
        return block_discard(transfer->io->edge, request->offset, request->bytes);
    }
}

static int run_now(Transfer *transfer)
{
    int result = transfer ? conclude(transfer, perform(transfer)) : -EINVAL;
    if (transfer) {
        transfer_free(transfer);
    }
    return result;
}

static void request_done(BlockRequest *request, int error)
{
    Transfer *transfer = request->data;
    conclude(transfer, error);
    transfer->io->pending--;
    transfer_free(transfer);
}

static int run_later(Transfer *transfer)
{
    if (!transfer) {
        return -EINVAL;
    }
    if (transfer->invalid) { /* there are no counts of such */
        printf("injecting invalid %s request\n", transfer->request.operation == BLOCK_READ ? "read" : "write");
        transfer_free(transfer);
        return 0;
    }
    transfer->asynchronous = true;
    transfer->request.done = request_done;
    transfer->request.data = transfer;
    transfer->io->pending++;
    block_submit(transfer->io->edge, &transfer->request);
    return 0;
}

static int run_read(Io *io, int count, char **words)
{
    return run_now(parse(io, BLOCK_READ, "bCl:pP:qrs:v", false, count, words));
}

static int run_readv(Io *io, int count, char **words)
{
    return run_now(parse(io, BLOCK_READ, "CP:qrv", true, count, words));
}

static int run_write(Io *io, int count, char **words)
{
    return run_now(parse(io, BLOCK_WRITE, "bcCfnpP:qrs:uz", false, count, words));
}

static int run_writev(Io *io, int count, char **words)
{
    return run_now(parse(io, BLOCK_WRITE, "CfP:qr", true, count, words));
}

static int run_discard(Io *io, int count, char **words)
{
    return run_now(parse(io, BLOCK_DISCARD, "Cq", false, count, words));
}

static int run_aio_read(Io *io, int count, char **words)
{
    return run_later(parse(io, BLOCK_READ, "CP:iqrv", true, count, words));
}

static int run_aio_write(Io *io, int count, char **words)
{
    return run_later(parse(io, BLOCK_WRITE, "CfP:iqruz", true, count, words));
}

static int run_aio_discard(Io *io, int count, char **words)
{
    return run_later(parse(io, BLOCK_DISCARD, "Cq", false, count, words));
}

#define REPORTING " -C the numbers alone, separated by commas; -q nothing of them\n"
#define READING " -P checks that it is all this byte; -v prints it; -r is there for old scripts\n"
#define WRITING " -P of this byte; -f on stable storage when it is done; -r is there for old scripts\n"
#define ZEROING " -z zeroes, without writing them where that can be; -u with -z, the space may be given back\n"
#define STATE " -b the state of a machine, not the disk\n"
#define LATER " Whether it went well is said when it ends; aio_flush waits for all.\n"

const IoCommand io_transfer_commands[] = {
    { "aio_discard", 2, -1, true, "[-Cq] off len", "asynchronously discards a number of bytes", run_aio_discard,
      "\n" REPORTING LATER "\n" },
    { "aio_read", 2, -1, true, "[-Ciqrv] [-P pattern] off len [len..]", "asynchronously reads a number of bytes",
      run_aio_read,
      "\n" REPORTING READING " -i is counted as invalid\n" LATER "\n" },
    { "aio_write", 2, -1, true, "[-Cfiqruz] [-P pattern] off len [len..]", "asynchronously writes a number of bytes",
      run_aio_write,
      "\n" REPORTING WRITING ZEROING " -i is counted as invalid\n" LATER "\n" },
    { "discard", 2, -1, true, "[-Cq] off len", "discards a number of bytes at a specified offset", run_discard,
      "\n" REPORTING "\n" },
    { "read", 2, -1, true, "[-bCqrv] [-P pattern [-s off] [-l len]] off len",
      "reads a number of bytes at a specified offset", run_read,
      "\n" REPORTING READING " -s, -l where in what is read -P begins, and how long\n" STATE "\n" },
    { "readv", 2, -1, true, "[-Cqrv] [-P pattern] off len [len..]", "reads a number of bytes at a specified offset",
      run_readv,
      "\n" REPORTING READING "\n" },
    { "write", 2, -1, true, "[-bcCfnqruz] [-P pattern | -s source_file] off len",
      "writes a number of bytes at a specified offset", run_write,
      "\n" REPORTING WRITING ZEROING " -s the bytes of a file, again and again; -c compressed\n"
      " -n with -z, fails where that takes as long as writing\n" STATE "\n" },
    { "writev", 2, -1, true, "[-Cfqr] [-P pattern] off len [len..]", "writes a number of bytes at a specified offset",
      run_writev,
      "\n" REPORTING WRITING "\n" },
    { 0 },
};
