/* Files to load: ELF headers that lie, files that end too early, gzip that does not end. */
#include "board/elf.h"

#include "base/bytes.h"
#include "base/error.h"
#include "base/files.h"

#include <glib.h>
#include <glib/gstdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

enum { SEGMENT_AT = 0x1000, SEGMENT_SIZE = 0x100, FILE_SIZE = SEGMENT_AT + SEGMENT_SIZE };

/* A good executable of one segment, 0x80000000 to 0x80000fff, in either class and byte order. */
typedef struct Sample {
    uint8_t bytes[FILE_SIZE];
    size_t size;
    bool wide, big;
} Sample;

static void put(Sample *sample, unsigned offset, unsigned size, uint64_t value)
{
    store_le(sample->bytes + offset, size, sample->big ? swap_bytes(value, size) : value);
}

static unsigned word(const Sample *sample) { return sample->wide ? 8 : 4; }
static unsigned headers(const Sample *sample) { return sample->wide ? 64 : 52; }

/* Fields by their places in the two classes; those of the first program header follow the file's header. */
enum Field { TYPE, MACHINE, ENTRY, PROGRAM_OFFSET, PROGRAM_SIZE, PROGRAM_COUNT, SEGMENT_TYPE, OFFSET, VIRTUAL, PHYSICAL,
             IN_FILE, IN_MEMORY };
static void set(Sample *sample, enum Field field, uint64_t value)
{
    static const struct {
        uint8_t narrow, wide, size;
        bool program;
    } fields[] = {
        [TYPE] = { 16, 16, 2 },          [MACHINE] = { 18, 18, 2 },       [ENTRY] = { 24, 24 },
        [PROGRAM_OFFSET] = { 28, 32 },   [PROGRAM_SIZE] = { 42, 54, 2 },  [PROGRAM_COUNT] = { 44, 56, 2 },
        [SEGMENT_TYPE] = { 0, 0, 4, true }, [OFFSET] = { 4, 8, 0, true }, [VIRTUAL] = { 8, 16, 0, true },
        [PHYSICAL] = { 12, 24, 0, true }, [IN_FILE] = { 16, 32, 0, true }, [IN_MEMORY] = { 20, 40, 0, true },
    };
    unsigned offset = sample->wide ? fields[field].wide : fields[field].narrow;

    put(sample, offset + (fields[field].program ? headers(sample) : 0),
        fields[field].size ? fields[field].size : word(sample), value);
}

static Sample sample_new(bool wide, bool big)
{
    Sample sample = { .size = FILE_SIZE, .wide = wide, .big = big };

    memcpy(sample.bytes, "\177ELF", 4);
    sample.bytes[4] = wide ? 2 : 1;
    sample.bytes[5] = big ? 2 : 1;
    sample.bytes[6] = 1;
    set(&sample, TYPE, 2);
    set(&sample, MACHINE, ELF_MACHINE_RISCV);
    set(&sample, ENTRY, 0x80000010);
    set(&sample, PROGRAM_OFFSET, headers(&sample));
    set(&sample, PROGRAM_SIZE, wide ? 56 : 32);
    set(&sample, PROGRAM_COUNT, 1);
    set(&sample, SEGMENT_TYPE, 1);
    set(&sample, OFFSET, SEGMENT_AT);
    set(&sample, VIRTUAL, 0x80000000);
    set(&sample, PHYSICAL, 0x80000000);
    set(&sample, IN_FILE, SEGMENT_SIZE);
    set(&sample, IN_MEMORY, 0x1000);
    return sample;
}

static bool parse(const Sample *sample, Elf *elf, Error **error)
{
    ImageFile *file = image_file_from_bytes("sample", sample->bytes, sample->size);
    bool ok = elf_parse(file, elf, error);

    image_file_unref(file);
    return ok;
}

static void expect_error(const Sample *sample, const char *words)
{
    AUTO_ERROR(error);
    Elf elf;

    g_assert_false(parse(sample, &elf, &error));
    g_test_message("%s", error_message(error));
    g_assert_nonnull(strstr(error_message(error), "sample"));
    g_assert_nonnull(strstr(error_message(error), words));
    g_assert_null(elf.segments);
}

static void test_good(void)
{
    for (unsigned kind = 0; kind < 4; kind++) {
        Sample sample = sample_new(kind & 1, kind & 2);
        Elf elf;
        g_assert_true(parse(&sample, &elf, NULL));
        g_assert_cmpuint(elf.class, ==, kind & 1 ? ELF_CLASS_64 : ELF_CLASS_32);
        g_assert_cmpint(elf.big_endian, ==, kind >> 1);
        g_assert_cmphex(elf.entry, ==, 0x80000010);
        g_assert_cmpuint(elf.segment_count, ==, 1);
        g_assert_cmphex(elf.segments[0].physical, ==, 0x80000000);
        g_assert_cmphex(elf.segments[0].file_size, ==, SEGMENT_SIZE);
        g_assert_cmphex(elf.segments[0].memory_size, ==, 0x1000);
        free(elf.segments);
    }
}

/* Cut anywhere, a file is an error, never an access behind its end. */
static void test_truncated(void)
{
    for (unsigned kind = 0; kind < 4; kind++) {
        Sample sample = sample_new(kind & 1, kind & 2);
        for (sample.size = 1; sample.size < FILE_SIZE; sample.size++) {
            expect_error(&sample, "ends at byte");
        }
    }
}

static void test_lies(void)
{
    static const struct {
        enum Field field;
        uint64_t value;
        const char *words;
    } lies[] = {
        { PROGRAM_COUNT, 0, "nothing to load" },
        { PROGRAM_COUNT, 0xffff, "impossible size" },
        { PROGRAM_SIZE, 1, "impossible size" },
        { PROGRAM_OFFSET, UINT64_MAX, "ends at byte" },
        { PROGRAM_OFFSET, FILE_SIZE - 8, "ends at byte" },
        { SEGMENT_TYPE, 7, "nothing to load" },
        { OFFSET, UINT64_MAX - 8, "ends at byte" },
        { IN_FILE, UINT64_MAX, "ends at byte" },
        { IN_MEMORY, SEGMENT_SIZE - 1, "impossible sizes" },
        { IN_MEMORY, UINT64_MAX, "impossible sizes" },
        { IN_MEMORY, 0, "nothing to load" },
        { PHYSICAL, UINT64_MAX - 0xffe, "impossible sizes" },
        { VIRTUAL, UINT64_MAX - 0xffe, "impossible sizes" },
    };

    for (unsigned kind = 0; kind < 4; kind++) {
        for (unsigned i = 0; i < ARRAY_SIZE(lies); i++) {
            Sample sample = sample_new(kind & 1, kind & 2);
            set(&sample, lies[i].field, lies[i].value);
            expect_error(&sample, lies[i].words);
        }
    }
}

static void test_last_bytes(void)
{
    Sample sample = sample_new(false, false);
    Elf elf;

    set(&sample, PHYSICAL, UINT32_MAX - 0xfff);
    set(&sample, VIRTUAL, UINT32_MAX - 0xfff);
    g_assert_true(parse(&sample, &elf, NULL));
    free(elf.segments);
}

static void test_overlap(void)
{
    Sample sample = sample_new(true, false);

    set(&sample, PROGRAM_COUNT, 2);
    memcpy(sample.bytes + 64 + 56, sample.bytes + 64, 56);
    put(&sample, 64 + 56 + 24, 8, 0x80000fff);
    expect_error(&sample, "overlap");
}

static void test_magic(void)
{
    Sample sample = sample_new(true, false);

    for (unsigned i = 0; i < 7; i++) {
        Sample changed = sample;
        changed.bytes[i] ^= 0x40;
        expect_error(&changed, "not an ELF file");
    }
}

static void test_foreign(void)
{
    static const struct {
        bool wide, big;
        uint16_t machine, type;
        const char *words;
    } foreign[] = {
        { true, false, 62, 2, "64-bit little-endian x86-64" },
        { true, true, ELF_MACHINE_RISCV, 2, "64-bit big-endian RISC-V" },
        { false, false, ELF_MACHINE_RISCV, 2, "32-bit little-endian RISC-V" },
        { true, false, 0x1234, 2, "unknown" },
        { true, false, ELF_MACHINE_RISCV, 1, "no executable" },
        { true, false, ELF_MACHINE_RISCV, 4, "no executable" },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(foreign); i++) {
        AUTO_ERROR(error);
        Elf elf;
        Sample sample = sample_new(foreign[i].wide, foreign[i].big);
        set(&sample, MACHINE, foreign[i].machine);
        set(&sample, TYPE, foreign[i].type);
        ImageFile *file = image_file_from_bytes("sample", sample.bytes, sample.size);
        g_assert_true(elf_parse(file, &elf, NULL));
        g_assert_false(elf_check_machine(file, &elf, ELF_MACHINE_RISCV, ELF_CLASS_64, false, &error));
        g_test_message("%s", error_message(error));
        g_assert_nonnull(strstr(error_message(error), foreign[i].words));
        free(elf.segments);
        image_file_unref(file);
    }
}

/* Files */

static ImageFile *open_as(const char *what, const char *path, uint64_t limit, Error **error)
{
    Files *files = files_new();
    ImageFile *file = image_file_open(files, what, path, limit, error);

    files_free(files);
    return file;
}

static void test_files(void)
{
    g_autofree char *directory = g_dir_make_tmp("myna-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(directory, "file", NULL);
    static const char *const expected[] = { "No such file", "is empty", "is a directory" };
    const char *paths[] = { "/nonexistent/file", path, directory };

    g_assert_true(g_file_set_contents(path, "", 0, NULL));
    for (unsigned i = 0; i < ARRAY_SIZE(paths); i++) {
        AUTO_ERROR(error);
        g_assert_null(open_as("kernel", paths[i], 100, &error));
        g_test_message("%s", error_message(error));
        g_assert_true(g_str_has_prefix(error_message(error), "kernel"));
        g_assert_nonnull(strstr(error_message(error), expected[i]));
    }
    g_assert_true(g_file_set_contents(path, "12345", 5, NULL));
    ImageFile *file = open_as("kernel", path, 1, NULL);
    char bytes[5];
    g_assert_true(image_file_read(file, 1, bytes, 4, NULL));
    g_assert_cmpmem(bytes, 4, "2345", 4);
    g_assert_false(image_file_read(file, 2, bytes, 4, NULL));
    g_assert_false(image_file_read(file, UINT64_MAX, bytes, 2, NULL));
    AUTO_ERROR(error);
    g_assert_true(g_file_set_contents(path, "x", 1, NULL)); /* another file of that name: ours stays */
    g_assert_true(image_file_read(file, 0, bytes, 5, NULL));
    image_file_unref(file);
    file = open_as("kernel", path, 1, NULL);
    g_assert_cmpint(truncate(path, 0), ==, 0);
    g_assert_false(image_file_read(file, 0, bytes, 1, &error));
    g_assert_nonnull(strstr(error_message(error), "shorter"));
    image_file_unref(file);
    g_unlink(path);
    g_rmdir(directory);
}

static void test_pipe(void)
{
    for (unsigned limit = 3; limit <= 6; limit += 3) {
        AUTO_ERROR(error);
        int ends[2];
        g_assert_cmpint(pipe(ends), ==, 0);
        g_assert_cmpint(write(ends[1], "12345", 5), ==, 5);
        close(ends[1]);
        g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", ends[0]);
        ImageFile *file = open_as("initrd", path, limit, &error);
        close(ends[0]);
        g_assert_cmpint(file != NULL, ==, limit == 6);
        g_assert_true(file || strstr(error_message(error), "do not fit"));
        g_assert_true(!file || file->size == 5);
        image_file_unref(file);
    }
}

/* gzip */

static GBytes *pack(const void *bytes, size_t count)
{
    z_stream stream = { 0 };
    size_t room = count + 1024;
    uint8_t *packed = g_malloc(room);

    g_assert_cmpint(deflateInit2(&stream, 9, Z_DEFLATED, 16 + MAX_WBITS, 9, Z_DEFAULT_STRATEGY), ==, Z_OK);
    stream.next_in = (uint8_t *)bytes;
    stream.avail_in = (uInt)count;
    stream.next_out = packed;
    stream.avail_out = (uInt)room;
    g_assert_cmpint(deflate(&stream, Z_FINISH), ==, Z_STREAM_END);
    size_t size = room - stream.avail_out;
    deflateEnd(&stream);
    return g_bytes_new_take(packed, size);
}

static ImageFile *inflate_bytes(const uint8_t *packed, size_t size, uint64_t limit, Error **error)
{
    ImageFile *file = image_file_from_bytes("packed", packed, size);
    ImageFile *unpacked = image_file_inflate(file, 0, size, limit, error);

    image_file_unref(file);
    return unpacked;
}

static void test_gzip(void)
{
    enum { SIZE = 3 * 1024 * 1024 };
    g_autofree uint8_t *bytes = g_malloc0(SIZE);
    for (size_t i = 0; i < SIZE; i += 97) {
        bytes[i] = (uint8_t)(i >> 3);
    }
    GBytes *packed = pack(bytes, SIZE);
    size_t size;
    const uint8_t *data = g_bytes_get_data(packed, &size);
    ImageFile *unpacked = inflate_bytes(data, size, SIZE, NULL);

    g_assert_nonnull(unpacked);
    g_assert_cmpmem(unpacked->bytes, unpacked->size, bytes, SIZE);
    image_file_unref(unpacked);
    AUTO_ERROR(large);
    g_assert_null(inflate_bytes(data, size, SIZE - 1, &large));
    g_assert_nonnull(strstr(error_message(large), "do not fit"));
    for (size_t cut = 1; cut < size; cut += 1 + cut / 8) {
        AUTO_ERROR(error);
        g_assert_null(inflate_bytes(data, cut, SIZE, &error));
        g_assert_nonnull(strstr(error_message(error), "ends too early"));
    }
    AUTO_ERROR(damaged);
    g_autofree uint8_t *copy = g_memdup2(data, size);
    copy[size / 2] ^= 0x55;
    g_assert_null(inflate_bytes(copy, size, SIZE, &damaged));
    g_bytes_unref(packed);
}

/* A thousandfold: stops where the limit is, whatever follows. */
static void test_bomb(void)
{
    enum { SIZE = 64 * 1024 * 1024, LIMIT = 1024 * 1024 };
    AUTO_ERROR(error);
    uint8_t *zeroes = g_malloc0(SIZE);
    GBytes *packed = pack(zeroes, SIZE);
    size_t size;
    const uint8_t *data = g_bytes_get_data(packed, &size);

    g_free(zeroes);
    g_assert_null(inflate_bytes(data, size, LIMIT, &error));
    g_assert_nonnull(strstr(error_message(error), "do not fit"));
    g_bytes_unref(packed);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/elf/good", test_good);
    g_test_add_func("/elf/truncated", test_truncated);
    g_test_add_func("/elf/lies", test_lies);
    g_test_add_func("/elf/last-bytes", test_last_bytes);
    g_test_add_func("/elf/overlap", test_overlap);
    g_test_add_func("/elf/magic", test_magic);
    g_test_add_func("/elf/foreign", test_foreign);
    g_test_add_func("/image-file/files", test_files);
    g_test_add_func("/image-file/pipe", test_pipe);
    g_test_add_func("/image-file/gzip", test_gzip);
    g_test_add_func("/image-file/bomb", test_bomb);
    return g_test_run();
}
