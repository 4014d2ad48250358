/*
 * Flash with Intel's command set: modes, programming, erasing, locking, mistakes in sequences, banks of one chip and of
 * several, the drive behind it, saved state. Sequences are those of Linux's cfi_cmdset_0001.c.
 */
#include "bench.h"

#include "base/error.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "block/block.h"
#include "block/graph.h"
#include "core/loop.h"
#include "core/state.h"

#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

enum { BLOCK = 64 * 1024, BLOCKS = 4, SIZE = BLOCK * BLOCKS };
enum { READY = 0x80, LOCKED = 0x02, VOLTAGE = 0x08, PROGRAM = 0x10, ERASE = 0x20 };

typedef struct Rig {
    Bench *bench;
    Device *device;
    uint64_t base;
    unsigned width, chips;
    char *path;
    Disk *disk;
} Rig;

static Disk *open_file(Bench *bench, const char *path, bool read_only)
{
    AUTO_ERROR(error);
    Disk *disk = disk_open(bench->machine->root, bench->files, bench->loop,
                           &(DiskOptions){ .id = "f0", .filename = path,
                                           .flags = read_only ? 0 : BLOCK_OPEN_WRITE }, &error);

    if (!disk) {
        g_error("%s", error_message(error));
    }
    return disk;
}

static char *make_file(size_t size)
{
    char *path = NULL;
    g_autofree uint8_t *bytes = g_malloc(size);
    int fd = g_file_open_tmp("myna-flash-XXXXXX", &path, NULL);

    for (size_t i = 0; i < size; i++) {
        bytes[i] = (uint8_t)(i * 3 + 0x40);
    }
    g_assert_cmpint(write(fd, bytes, size), ==, size);
    close(fd);
    return path;
}

static char *geometry(unsigned width, unsigned device_width)
{
    return g_strdup_printf("num-blocks=%d,sector-length=%d,width=%u,device-width=%u,id0=0x89,id1=0x18,name=flash",
                           BLOCKS, BLOCK, width, device_width);
}

static Rig rig_make(unsigned width, unsigned device_width, bool drive, bool read_only)
{
    Rig rig = { .bench = bench_new(), .width = width, .chips = width / device_width };
    g_autofree char *plain = geometry(width, device_width);
    g_autofree char *all = g_strconcat(plain, drive ? ",drive=f0" : NULL, NULL);

    if (drive) {
        rig.path = make_file(SIZE);
        rig.disk = open_file(rig.bench, rig.path, read_only);
    }
    rig.device = bench_add(rig.bench, "cfi.pflash01", all);
    rig.base = bench_address(rig.device, 0);
    bench_start(rig.bench);
    return rig;
}

static void rig_free(Rig *rig)
{
    bench_free(rig->bench);
    if (rig->path) {
        g_remove(rig->path);
        g_free(rig->path);
    }
}

/* A word of the bank in which each chip sees `value`. */
static uint64_t repeat(const Rig *rig, uint64_t value)
{
    uint64_t all = 0;

    for (unsigned i = 0; i < rig->chips; i++) {
        all |= value << 8 * i * (rig->width / rig->chips);
    }
    return all;
}

static void command(Rig *rig, uint64_t offset, uint8_t value)
{
    bench_write(rig->bench, rig->base + offset, rig->width, repeat(rig, value));
}

static void put(Rig *rig, uint64_t offset, uint64_t value)
{
    bench_write(rig->bench, rig->base + offset, rig->width, value & mask_bits(8 * rig->width));
}

static uint64_t get(Rig *rig, uint64_t offset) { return bench_read(rig->bench, rig->base + offset, rig->width); }
static uint64_t byte(Rig *rig, uint64_t offset) { return bench_read(rig->bench, rig->base + offset, 1); }

static void read_array(Rig *rig) { command(rig, 0, 0xff); }

static void expect_status(Rig *rig, uint8_t status)
{
    command(rig, 0, 0x70);
    g_assert_cmphex(get(rig, 8), ==, repeat(rig, status));
    command(rig, 0, 0x50);
    command(rig, 0, 0x70);
    g_assert_cmphex(get(rig, 8), ==, repeat(rig, READY));
    read_array(rig);
}

static void program(Rig *rig, uint64_t offset, uint64_t value)
{
    command(rig, offset, 0x40);
    put(rig, offset, value);
}

static void erase(Rig *rig, uint64_t offset)
{
    command(rig, offset, 0x20);
    command(rig, offset, 0xd0);
}

/* With a drive, or erased. */
static Rig rig_with(unsigned width, unsigned device_width, bool drive, bool read_only)
{
    Rig rig = rig_make(width, device_width, drive, read_only);

    for (unsigned i = 0; i < BLOCKS && !drive; i++) {
        erase(&rig, i * BLOCK);
    }
    read_array(&rig);
    return rig;
}

/* As the virt board has it: two chips of 16 bits. */
static Rig rig_new(void) { return rig_with(4, 2, false, false); }

/* Modes */

static void test_array(void)
{
    Rig rig = rig_make(4, 2, true, false);

    for (unsigned size = 1; size <= 8; size *= 2) {
        uint64_t expected = 0;
        for (unsigned i = 0; i < size; i++) {
            expected |= (uint64_t)(uint8_t)((1000 + i) * 3 + 0x40) << 8 * i;
        }
        g_assert_cmphex(bench_read(rig.bench, rig.base + 1000, size), ==, expected);
    }
    rig_free(&rig);
    rig = rig_make(4, 2, false, false); /* nothing where there is no drive */
    g_assert_cmphex(get(&rig, 0), ==, 0);
    g_assert_cmphex(get(&rig, SIZE - 4), ==, 0);
    rig_free(&rig);
}

static const unsigned banks[][2] = { { 4, 2 }, { 4, 4 }, { 2, 2 }, { 2, 1 }, { 1, 1 }, { 4, 1 } };

static void test_status(void)
{
    for (unsigned i = 0; i < ARRAY_SIZE(banks); i++) {
        Rig rig = rig_with(banks[i][0], banks[i][1], false, false);
        command(&rig, 0, 0x70);
        for (uint64_t at = 0; at < 64; at += rig.width) {
            g_assert_cmphex(get(&rig, at), ==, repeat(&rig, READY)); /* at every address */
        }
        g_assert_cmphex(byte(&rig, 0), ==, READY);
        read_array(&rig);
        g_assert_cmphex(get(&rig, 0), ==, mask_bits(8 * rig.width));
        rig_free(&rig);
    }
}

static void test_identifier(void)
{
    for (unsigned i = 0; i < ARRAY_SIZE(banks); i++) {
        Rig rig = rig_with(banks[i][0], banks[i][1], false, false);
        command(&rig, 0, 0x90);
        for (unsigned block = 0; block < 2; block++) {
            uint64_t at = block * BLOCK;
            g_assert_cmphex(get(&rig, at), ==, repeat(&rig, 0x89));
            g_assert_cmphex(get(&rig, at + rig.width), ==, repeat(&rig, 0x18));
            g_assert_cmphex(get(&rig, at + 2 * rig.width), ==, 0); /* not locked */
            g_assert_cmphex(get(&rig, at + 3 * rig.width), ==, 0);
        }
        rig_free(&rig);
    }
}

static uint8_t query(Rig *rig, unsigned at)
{
    uint64_t value = get(rig, at * rig->width);

    g_assert_cmphex(value, ==, repeat(rig, value & 0xff)); /* all chips say the same */
    return (uint8_t)value;
}

/* What drivers read: cfi_probe.c, cfi_cmdset_0001.c. */
static void test_query(void)
{
    for (unsigned i = 0; i < ARRAY_SIZE(banks); i++) {
        Rig rig = rig_with(banks[i][0], banks[i][1], false, false);
        command(&rig, 0x55 * rig.width, 0x98);
        g_assert_cmpint(query(&rig, 0x10), ==, 'Q');
        g_assert_cmpint(query(&rig, 0x11), ==, 'R');
        g_assert_cmpint(query(&rig, 0x12), ==, 'Y');
        g_assert_cmphex(query(&rig, 0x13) | query(&rig, 0x14) << 8, ==, 1); /* Intel's extended command set */
        unsigned table = query(&rig, 0x15) | query(&rig, 0x16) << 8;
        g_assert_cmphex(1u << query(&rig, 0x27), ==, SIZE / rig.chips);
        g_assert_cmphex(query(&rig, 0x2c), ==, 1);
        g_assert_cmphex(query(&rig, 0x2d) | query(&rig, 0x2e) << 8, ==, BLOCKS - 1);
        g_assert_cmphex((query(&rig, 0x2f) | query(&rig, 0x30) << 8) * 256, ==, BLOCK / rig.chips);
        unsigned buffer = 1u << query(&rig, 0x2a);
        g_assert_cmphex(buffer, <=, rig.width / rig.chips == 1 ? 256 : 0x10000); /* words that a count can ask for */
        g_assert_cmpint(query(&rig, table), ==, 'P');
        g_assert_cmpint(query(&rig, table + 1), ==, 'R');
        g_assert_cmpint(query(&rig, table + 2), ==, 'I');
        g_assert_cmpint(query(&rig, table + 3), ==, '1');
        g_assert_cmphex(query(&rig, table + 5), ==, 0x0e); /* suspending erase and program; legacy lock bits */
        g_assert_cmphex(query(&rig, table + 9), ==, 1);    /* programming while erasing is suspended */
        g_assert_cmphex(query(&rig, 0x40), ==, 0); /* behind the end */
        g_assert_cmphex(get(&rig, SIZE - rig.width), ==, 0);
        command(&rig, 0, 0xf0); /* drivers try both resets */
        g_assert_cmphex(get(&rig, 0), ==, mask_bits(8 * rig.width));
        rig_free(&rig);
    }
}

static void test_unknown_command(void)
{
    Rig rig = rig_new();

    command(&rig, 0, 0x70);
    command(&rig, 0, 0x77);
    g_assert_cmphex(get(&rig, 0), ==, UINT32_MAX); /* the array */
    expect_status(&rig, READY);
    rig_free(&rig);
}

/* Programming */

static void test_program(void)
{
    for (unsigned i = 0; i < ARRAY_SIZE(banks); i++) {
        Rig rig = rig_with(banks[i][0], banks[i][1], false, false);
        uint64_t all = mask_bits(8 * rig.width);
        program(&rig, 16, 0xa5a5f0f0);
        g_assert_cmphex(get(&rig, 16), ==, repeat(&rig, READY)); /* the status follows */
        read_array(&rig);
        g_assert_cmphex(get(&rig, 16), ==, 0xa5a5f0f0 & all);
        program(&rig, 16, 0x0ff00fff); /* ones cannot be had back */
        read_array(&rig);
        g_assert_cmphex(get(&rig, 16), ==, 0x05a000f0 & all);
        g_assert_cmphex(get(&rig, 16 + rig.width), ==, all);
        g_assert_cmphex(get(&rig, 16 - rig.width), ==, all);
        command(&rig, SIZE - rig.width, 0x10); /* the other way to say it, and the last word */
        put(&rig, SIZE - rig.width, 0);
        expect_status(&rig, READY);
        g_assert_cmphex(get(&rig, SIZE - rig.width), ==, 0);
        rig_free(&rig);
    }
}

/* A word narrower than the bank. */
static void test_program_narrow(void)
{
    Rig rig = rig_new();

    command(&rig, 0, 0x40);
    bench_write(rig.bench, rig.base + 6, 1, 0x12);
    command(&rig, 0, 0x40);
    bench_write(rig.bench, rig.base + 8, 2, 0x3456);
    read_array(&rig);
    g_assert_cmphex(get(&rig, 4), ==, 0xff12ffff);
    g_assert_cmphex(get(&rig, 8), ==, 0xffff3456);
    rig_free(&rig);
}

static unsigned buffer_words(Rig *rig)
{
    command(rig, 0, 0x98);
    unsigned words = (1u << query(rig, 0x2a)) * rig->chips / rig->width;
    read_array(rig);
    return words;
}

static void buffered(Rig *rig, uint64_t offset, unsigned words, unsigned written)
{
    command(rig, offset, 0xe8);
    g_assert_cmphex(get(rig, offset), ==, repeat(rig, READY)); /* the buffer is free */
    put(rig, offset, repeat(rig, words - 1));
    for (unsigned i = 0; i < written; i++) {
        put(rig, offset + i * rig->width, 0x01010101u * (uint8_t)(i + 1));
    }
}

static void test_buffer(void)
{
    for (unsigned i = 0; i < ARRAY_SIZE(banks); i++) {
        Rig rig = rig_with(banks[i][0], banks[i][1], false, false);
        unsigned words = buffer_words(&rig), bytes = words * rig.width;
        uint64_t at = 2 * bytes, all = mask_bits(8 * rig.width);
        buffered(&rig, at, words, words);
        command(&rig, at, 0xd0);
        expect_status(&rig, READY);
        for (unsigned n = 0; n < words; n++) {
            g_assert_cmphex(get(&rig, at + n * rig.width), ==, (0x01010101u * (uint8_t)(n + 1)) & all);
        }
        g_assert_cmphex(get(&rig, at - rig.width), ==, all);
        g_assert_cmphex(get(&rig, at + bytes), ==, all);
        uint64_t inside = SIZE - bytes + 4 * rig.width; /* a few words in the midst of the last buffer */
        buffered(&rig, inside, 3, 3);
        command(&rig, inside, 0xd0);
        expect_status(&rig, READY);
        g_assert_cmphex(get(&rig, inside - rig.width), ==, all);
        g_assert_cmphex(get(&rig, inside), ==, 0x01010101 & all);
        g_assert_cmphex(get(&rig, inside + 2 * rig.width), ==, 0x03030303 & all);
        g_assert_cmphex(get(&rig, inside + 3 * rig.width), ==, all);
        rig_free(&rig);
    }
}

static void test_buffer_mistakes(void)
{
    Rig rig = rig_new();
    unsigned words = buffer_words(&rig);

    command(&rig, 0, 0xe8);
    put(&rig, 0, repeat(&rig, words)); /* one too many */
    expect_status(&rig, READY | PROGRAM | ERASE);
    buffered(&rig, 0, 2, 1);
    put(&rig, words * 4, 0); /* outside the buffer */
    expect_status(&rig, READY | PROGRAM | ERASE);
    buffered(&rig, 4096, 2, 1);
    put(&rig, 0, 0); /* below it */
    expect_status(&rig, READY | PROGRAM | ERASE);
    buffered(&rig, 0, 2, 2);
    command(&rig, 0, 0xff); /* no confirmation */
    expect_status(&rig, READY | PROGRAM | ERASE);
    for (unsigned i = 0; i < 8192; i += 4) {
        g_assert_cmphex(get(&rig, i), ==, UINT32_MAX); /* nothing of it was programmed */
    }
    rig_free(&rig);
}

static void test_erase(void)
{
    for (unsigned i = 0; i < ARRAY_SIZE(banks); i++) {
        Rig rig = rig_with(banks[i][0], banks[i][1], false, false);
        uint64_t all = mask_bits(8 * rig.width);
        for (unsigned block = 0; block < 3; block++) {
            program(&rig, block * BLOCK, 0);
            program(&rig, (block + 1) * BLOCK - rig.width, 0);
        }
        erase(&rig, BLOCK + 5 * rig.width); /* any address in it */
        g_assert_cmphex(get(&rig, 0), ==, repeat(&rig, READY));
        expect_status(&rig, READY);
        g_assert_cmphex(get(&rig, BLOCK), ==, all);
        g_assert_cmphex(get(&rig, 2 * BLOCK - rig.width), ==, all);
        g_assert_cmphex(get(&rig, BLOCK - rig.width), ==, 0);
        g_assert_cmphex(get(&rig, 2 * BLOCK), ==, 0);
        rig_free(&rig);
    }
}

/* get_chip() and put_chip(): suspend, wait, read and program elsewhere, resume, wait. */
static void test_suspend(void)
{
    Rig rig = rig_new();

    program(&rig, BLOCK, 0);
    erase(&rig, BLOCK);
    command(&rig, BLOCK, 0xb0);
    command(&rig, BLOCK, 0x70);
    g_assert_cmphex(get(&rig, BLOCK), ==, repeat(&rig, READY)); /* it was done before it could be suspended */
    read_array(&rig);
    g_assert_cmphex(get(&rig, 0), ==, UINT32_MAX);
    program(&rig, 8, 0x12345678);
    command(&rig, 8, 0xb0);
    command(&rig, 8, 0xd0);
    read_array(&rig);
    g_assert_cmphex(get(&rig, 8), ==, 0x12345678);
    command(&rig, BLOCK, 0xd0);
    command(&rig, BLOCK, 0x70);
    g_assert_cmphex(get(&rig, BLOCK), ==, repeat(&rig, READY));
    expect_status(&rig, READY);
    g_assert_cmphex(get(&rig, BLOCK), ==, UINT32_MAX);
    g_assert_cmphex(get(&rig, 8), ==, 0x12345678); /* the confirmation erased nothing else */
    rig_free(&rig);
}

static void test_sequence_mistakes(void)
{
    static const uint8_t starts[] = { 0x20, 0x60 };
    Rig rig = rig_new();

    program(&rig, 0, 0x12345678);
    for (unsigned i = 0; i < ARRAY_SIZE(starts); i++) {
        command(&rig, 0, starts[i]);
        command(&rig, 0, 0x70); /* not what must follow */
        expect_status(&rig, READY | PROGRAM | ERASE);
        g_assert_cmphex(get(&rig, 0), ==, 0x12345678);
    }
    command(&rig, 0, 0xb0); /* nothing to suspend, nothing to resume */
    g_assert_cmphex(get(&rig, 0), ==, repeat(&rig, READY));
    command(&rig, 0, 0xd0);
    expect_status(&rig, READY);
    rig_free(&rig);
}

/* Errors stay until they are cleared. */
static void test_status_stays(void)
{
    Rig rig = rig_new();

    command(&rig, 0, 0x20);
    command(&rig, 0, 0xff);
    program(&rig, 0, 0);
    command(&rig, 0, 0x70);
    g_assert_cmphex(get(&rig, 0), ==, repeat(&rig, READY | PROGRAM | ERASE));
    expect_status(&rig, READY | PROGRAM | ERASE);
    rig_free(&rig);
}

/* Locks */

static bool is_locked(Rig *rig, unsigned block)
{
    command(rig, block * BLOCK, 0x90);
    uint64_t value = get(rig, block * BLOCK + 2 * rig->width);
    g_assert_true(value == 0 || value == repeat(rig, 1));
    read_array(rig);
    return value;
}

static void lock(Rig *rig, unsigned block)
{
    command(rig, block * BLOCK, 0x60);
    command(rig, block * BLOCK, 0x01);
}

static void test_lock(void)
{
    Rig rig = rig_new();

    lock(&rig, 1);
    lock(&rig, 3);
    expect_status(&rig, READY);
    for (unsigned i = 0; i < BLOCKS; i++) {
        g_assert_cmpint(is_locked(&rig, i), ==, i % 2);
    }
    program(&rig, BLOCK + 4, 0);
    expect_status(&rig, READY | PROGRAM | LOCKED);
    erase(&rig, 3 * BLOCK);
    expect_status(&rig, READY | ERASE | LOCKED);
    buffered(&rig, BLOCK, 1, 1);
    command(&rig, BLOCK, 0xd0);
    expect_status(&rig, READY | PROGRAM | LOCKED);
    g_assert_cmphex(get(&rig, BLOCK), ==, UINT32_MAX);
    g_assert_cmphex(get(&rig, BLOCK + 4), ==, UINT32_MAX);
    program(&rig, 2 * BLOCK, 5);
    expect_status(&rig, READY);
    g_assert_cmphex(get(&rig, 2 * BLOCK), ==, 5);
    bench_reset(rig.bench, RESET_WARM); /* lock bits are kept */
    g_assert_true(is_locked(&rig, 1));
    command(&rig, 0, 0x60); /* unlocks all */
    command(&rig, 0, 0xd0);
    for (unsigned i = 0; i < BLOCKS; i++) {
        g_assert_false(is_locked(&rig, i));
    }
    program(&rig, BLOCK + 4, 7);
    expect_status(&rig, READY);
    g_assert_cmphex(get(&rig, BLOCK + 4), ==, 7);
    rig_free(&rig);
}

/* The drive */

static void expect_file(Rig *rig, size_t changed, const void *bytes, size_t count)
{
    g_autofree char *file = NULL;
    size_t length;

    g_assert_true(g_file_get_contents(rig->path, &file, &length, NULL));
    g_assert_cmpuint(length, ==, SIZE);
    for (size_t i = 0; i < SIZE; i++) {
        uint8_t expected = (uint8_t)(i * 3 + 0x40);
        if (i >= changed && i < changed + count) {
            expected = ((const uint8_t *)bytes)[i - changed];
        }
        g_assert_cmphex((uint8_t)file[i], ==, expected);
    }
}

static bool nothing_to_do(void *data)
{
    Rig *rig = data;

    bench_drain(rig->bench);
    disk_drain(rig->disk);
    return true;
}

static void test_drive(void)
{
    Rig rig = rig_with(4, 2, true, false);
    uint8_t *blank = g_malloc(BLOCK);

    memset(blank, 0xff, BLOCK);
    erase(&rig, 2 * BLOCK);
    nothing_to_do(&rig);
    expect_file(&rig, 2 * BLOCK, blank, BLOCK);
    for (unsigned i = 0; i < 16; i++) { /* while the write before is on its way */
        program(&rig, 2 * BLOCK + 4 * i, 0x11111111 * i);
        memset(blank + 4 * i, (int)(0x11 * i), 4);
        loop_iterate(rig.bench->loop, 0);
    }
    nothing_to_do(&rig);
    expect_file(&rig, 2 * BLOCK, blank, BLOCK);
    g_free(blank);
    rig_free(&rig);
}

/* What was programmed last is in the file when the machine stops, and when it ends. */
static void test_drive_at_the_end(void)
{
    Rig rig = rig_with(4, 2, true, false);
    g_assert_true(machine_run(rig.bench->machine, NULL));
    program(&rig, 0, 0);
    machine_stop(rig.bench->machine, RUN_STATE_PAUSED);
    expect_file(&rig, 0, "\0\0\0\0", 4);
    program(&rig, 4, 0);
    char *path = rig.path;
    rig.path = NULL;
    rig_free(&rig);
    rig.path = path;
    expect_file(&rig, 0, "\0\0\0\0\0\0\0\0", 8);
    g_remove(path);
    g_free(path);
}

static void test_read_only_drive(void)
{
    Rig rig = rig_with(4, 2, true, true);

    program(&rig, 0, 0);
    expect_status(&rig, READY | PROGRAM | VOLTAGE);
    erase(&rig, 0);
    expect_status(&rig, READY | ERASE | VOLTAGE);
    g_assert_cmphex(get(&rig, 0), ==, 0x49464340);
    nothing_to_do(&rig);
    expect_file(&rig, 0, NULL, 0);
    rig_free(&rig);
}

static void expect_refusal(const char *properties, size_t file_size, const char *text)
{
    Bench *bench = bench_new();
    g_autofree char *path = make_file(file_size);

    open_file(bench, path, false);
    g_autofree char *message = bench_add_error(bench, "cfi.pflash01", properties);
    if (!strstr(message, text)) {
        g_error("'%s' does not say '%s'", message, text);
    }
    if (strstr(text, "bytes")) {
        g_assert_nonnull(strstr(message, path));
    }
    g_autofree char *right = geometry(4, 2);
    bench_add(bench, "cfi.pflash01", right); /* the bench is as it was */
    bench_free(bench);
    g_remove(path);
}

static void test_properties(void)
{
    static const struct {
        const char *properties, *text;
    } cases[] = {
        { "", "width" },
        { "num-blocks=4,sector-length=65536,width=3,name=f", "width" },
        { "num-blocks=4,sector-length=65536,width=2,device-width=4,name=f", "width" },
        { "num-blocks=4,sector-length=65536,width=8,name=f", "width" },
        { "num-blocks=4,sector-length=60000,width=4,name=f", "sector-length" },
        { "num-blocks=4,sector-length=32768,width=4,name=f", "sector-length" },
        { "num-blocks=4,sector-length=16777216,width=4,name=f", "sector-length" },
        { "num-blocks=3,sector-length=65536,width=4,name=f", "num-blocks" },
        { "num-blocks=0,sector-length=65536,width=4,name=f", "num-blocks" },
        { "num-blocks=65536,sector-length=65536,width=4,name=f", "num-blocks" },
        { "num-blocks=4294967295,sector-length=65536,width=4,name=f", "num-blocks" },
        { "num-blocks=4,sector-length=65536,width=4", "name" },
        { "num-blocks=4,sector-length=65536,width=4,name=f,drive=f1", "f1" },
    };
    g_autofree char *right = geometry(4, 2);
    g_autofree char *drive = g_strconcat(right, ",drive=f0", NULL);

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        expect_refusal(cases[i].properties, SIZE, cases[i].text);
    }
    expect_refusal(drive, SIZE - 512, "requires 262144 bytes");
    expect_refusal(drive, SIZE + 512, "provides 262656 bytes"); /* its own size */
}

/* Saved state */

static void check_saved_state(void (*before)(Rig *rig), void (*after)(Rig *rig))
{
    Rig rig = rig_with(4, 2, true, false), second = rig_with(4, 2, true, false);
    AUTO_STRBUF(stream);
    AUTO_ERROR(error);

    before(&rig);
    g_assert_true(state_save(rig.bench->machine, &stream, NULL));
    if (!state_load(second.bench->machine, stream.data, stream.length, &error)) {
        g_error("%s", error_message(error));
    }
    after(&second);
    rig_free(&rig);
    rig_free(&second);
}

static void enter_query(Rig *rig) { command(rig, 0, 0x98); }
static void expect_query(Rig *rig) { g_assert_cmpint(query(rig, 0x10), ==, 'Q'); }

static void half_a_buffer(Rig *rig)
{
    erase(rig, 0);
    lock(rig, 2);
    buffered(rig, 4096, 3, 2);
}

static void the_other_half(Rig *rig)
{
    static const uint8_t expected[] = { 1, 1, 1, 1, 2, 2, 2, 2, 0x33, 0x33, 0x33, 0x33 };
    uint8_t *blank = g_malloc(BLOCK);

    put(rig, 4096 + 8, 0x33333333);
    command(rig, 4096, 0xd0);
    expect_status(rig, READY);
    g_assert_true(is_locked(rig, 2));
    g_assert_cmphex(get(rig, 4096 + 4), ==, 0x02020202);
    g_assert_cmphex(get(rig, 0), ==, UINT32_MAX);
    nothing_to_do(rig);
    memset(blank, 0xff, BLOCK);
    memcpy(blank + 4096, expected, sizeof expected);
    expect_file(rig, 0, blank, BLOCK); /* the drive follows what was loaded */
    g_free(blank);
}

static void test_saved_state(void)
{
    check_saved_state(enter_query, expect_query);
    check_saved_state(half_a_buffer, the_other_half);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/pflash/array", test_array);
    g_test_add_func("/pflash/status", test_status);
    g_test_add_func("/pflash/identifier", test_identifier);
    g_test_add_func("/pflash/query", test_query);
    g_test_add_func("/pflash/unknown-command", test_unknown_command);
    g_test_add_func("/pflash/program", test_program);
    g_test_add_func("/pflash/program-narrow", test_program_narrow);
    g_test_add_func("/pflash/buffer", test_buffer);
    g_test_add_func("/pflash/buffer-mistakes", test_buffer_mistakes);
    g_test_add_func("/pflash/erase", test_erase);
    g_test_add_func("/pflash/suspend", test_suspend);
    g_test_add_func("/pflash/sequence-mistakes", test_sequence_mistakes);
    g_test_add_func("/pflash/status-stays", test_status_stays);
    g_test_add_func("/pflash/lock", test_lock);
    g_test_add_func("/pflash/drive", test_drive);
    g_test_add_func("/pflash/drive-at-the-end", test_drive_at_the_end);
    g_test_add_func("/pflash/read-only-drive", test_read_only_drive);
    g_test_add_func("/pflash/properties", test_properties);
    g_test_add_func("/pflash/saved-state", test_saved_state);
    return g_test_run();
}
