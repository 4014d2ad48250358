/* fw_cfg: items and files, the data register in every width, DMA, errors, saved state. */
#include "bench.h"

#include "base/bytes.h"
#include "base/error.h"
#include "base/strbuf.h"
#include "core/state.h"
#include "hw/firmware/fw_cfg.h"

#include <string.h>

#define RAM UINT64_C(0x80000000)
enum { RAM_SIZE = 64 * 1024, DATA = 0, SELECTOR = 8, DMA = 16 };
enum { DMA_ERROR = 1, DMA_READ = 2, DMA_SKIP = 4, DMA_SELECT = 8, DMA_WRITE = 16 };
enum { DESCRIPTOR = 0x100, KEY = 0x1234 };

typedef struct Rig {
    Bench *bench;
    Device *device;
    uint64_t base;
    uint8_t *ram;
} Rig;

static Rig rig_with(const char *properties)
{
    Rig rig = { .bench = bench_new() };

    rig.ram = bench_add_ram(rig.bench, RAM, RAM_SIZE);
    rig.device = bench_add(rig.bench, "fw_cfg_mem", properties);
    rig.base = bench_address(rig.device, 0);
    fw_cfg_add_bytes(rig.device, KEY, "0123456789abcdef", 16);
    bench_start(rig.bench);
    return rig;
}

static Rig rig_new(void) { return rig_with(NULL); }

static void rig_free(Rig *rig) { bench_free(rig->bench); }

/* The selector is big-endian. */
static void choose(Rig *rig, uint16_t key) { bench_write(rig->bench, rig->base + SELECTOR, 2, __builtin_bswap16(key)); }
static uint64_t data(Rig *rig, unsigned size) { return bench_read(rig->bench, rig->base + DATA, size); }

static void read_bytes(Rig *rig, uint16_t key, void *bytes, size_t count)
{
    choose(rig, key);
    for (size_t i = 0; i < count; i++) {
        ((uint8_t *)bytes)[i] = (uint8_t)data(rig, 1);
    }
}

static void expect_item(Rig *rig, uint16_t key, const void *bytes, size_t count)
{
    g_autofree uint8_t *found = g_malloc(count + 4);

    read_bytes(rig, key, found, count + 4);
    g_assert_cmpmem(found, count, bytes, count);
    g_assert_cmpmem(found + count, 4, "\0\0\0\0", 4); /* behind the end */
}

static void test_fixed_items(void)
{
    Rig rig = rig_new();

    expect_item(&rig, FW_CFG_SIGNATURE, "QEMU", 4);
    expect_item(&rig, FW_CFG_ID, "\3\0\0\0", 4); /* traditional interface and DMA */
    expect_item(&rig, FW_CFG_FILE_DIR, "\0\0\0\0", 4);
    fw_cfg_add_integer(rig.device, FW_CFG_NB_CPUS, 2, 0x1234);
    expect_item(&rig, FW_CFG_NB_CPUS, "\x34\x12", 2);
    fw_cfg_add_integer(rig.device, FW_CFG_RAM_SIZE, 8, UINT64_C(0x1122334455667788));
    expect_item(&rig, FW_CFG_RAM_SIZE, "\x88\x77\x66\x55\x44\x33\x22\x11", 8);
    fw_cfg_add_text(rig.device, FW_CFG_CMDLINE_DATA, "quiet");
    expect_item(&rig, FW_CFG_CMDLINE_DATA, "quiet", 6);
    fw_cfg_add_text(rig.device, FW_CFG_CMDLINE_DATA, "no"); /* replaces */
    expect_item(&rig, FW_CFG_CMDLINE_DATA, "no", 3);
    fw_cfg_add_bytes(rig.device, FW_CFG_UUID, NULL, 0);
    expect_item(&rig, FW_CFG_UUID, NULL, 0);
    expect_item(&rig, 0x7f, NULL, 0); /* there is none */
    expect_item(&rig, 0xffff, NULL, 0);
    rig_free(&rig);
}

static void test_widths(void)
{
    Rig rig = rig_new();

    choose(&rig, KEY);
    g_assert_cmphex(data(&rig, 1), ==, '0'); /* the first byte at the lowest address */
    g_assert_cmphex(data(&rig, 2), ==, '1' | '2' << 8);
    g_assert_cmphex(data(&rig, 4), ==, '3' | '4' << 8 | '5' << 16 | '6' << 24);
    g_assert_cmphex(data(&rig, 8), ==, UINT64_C(0x6564636261393837)); /* "789abcde" */
    g_assert_cmphex(data(&rig, 4), ==, 'f'); /* what is missing is zero */
    g_assert_cmphex(data(&rig, 8), ==, 0);
    choose(&rig, KEY); /* begins anew */
    g_assert_cmphex(bench_read(rig.bench, rig.base + DATA + 4, 4), ==, 0x33323130); /* any part of the register */
    g_assert_cmphex(bench_read(rig.bench, rig.base + DATA + 7, 1), ==, '4');
    rig_free(&rig);
}

static void test_writes(void)
{
    Rig rig = rig_new();

    choose(&rig, KEY);
    for (unsigned size = 1; size <= 8; size *= 2) {
        bench_write(rig.bench, rig.base + DATA, size, UINT64_MAX); /* obsolete: nothing happens */
    }
    choose(&rig, KEY | 0x4000); /* the old bit of writing */
    bench_write(rig.bench, rig.base + DATA, 1, 'x');
    expect_item(&rig, KEY, "0123456789abcdef", 16);
    g_assert_cmphex(bench_read(rig.bench, rig.base + SELECTOR, 2), ==, 0);
    rig_free(&rig);
}

/* A debugger's look has no side effects. */
static void test_debugger(void)
{
    Rig rig = rig_new();
    Access access = { .debug = true, .requester_kind = REQUESTER_DEBUGGER };
    uint64_t value;

    choose(&rig, KEY);
    address_space_load(rig.bench->machine->address_space, &access, rig.base + DATA, 8, &value);
    g_assert_cmphex(data(&rig, 1), ==, '0');
    rig_free(&rig);
}

/* Files */

static void test_files(void)
{
    static const char *const names[] = { "opt/z", "etc/b", "etc/a/c", "bootorder", "etc/a" };
    static const char *const sorted[] = { "bootorder", "etc/a", "etc/a/c", "etc/b", "opt/z" };
    Rig rig = rig_new();
    uint8_t directory[4 + 5 * 64];

    for (unsigned i = 0; i < 5; i++) {
        g_assert_true(fw_cfg_add_file(rig.device, names[i], names[i], (uint32_t)strlen(names[i]), NULL));
    }
    g_assert_true(fw_cfg_add_file(rig.device, "etc/b", "other", 5, NULL)); /* replaces */
    read_bytes(&rig, FW_CFG_FILE_DIR, directory, sizeof directory);
    g_assert_cmpuint(load_be32(directory), ==, 5);
    for (unsigned i = 0; i < 5; i++) {
        const uint8_t *entry = directory + 4 + 64 * i;
        const char *content = i == 3 ? "other" : sorted[i];
        g_assert_cmpstr((const char *)entry + 8, ==, sorted[i]);
        g_assert_cmpuint(load_be32(entry), ==, strlen(content));
        g_assert_cmpuint(load_be16(entry + 4), >=, FW_CFG_FILE_FIRST);
        g_assert_cmpuint(load_be16(entry + 6), ==, 0);
        expect_item(&rig, load_be16(entry + 4), content, strlen(content));
    }
    rig_free(&rig);
}

static void test_file_names(void)
{
    Rig rig = rig_new();
    char longest[57];
    uint8_t directory[68];
    AUTO_ERROR(error);

    memset(longest, 'n', 56);
    longest[56] = 0;
    g_assert_false(fw_cfg_add_file(rig.device, longest, "", 0, &error));
    g_assert_nonnull(strstr(error_message(error), longest));
    g_assert_false(fw_cfg_add_file(rig.device, "", "", 0, NULL));
    longest[55] = 0;
    g_assert_true(fw_cfg_add_file(rig.device, longest, "", 0, NULL));
    read_bytes(&rig, FW_CFG_FILE_DIR, directory, sizeof directory);
    g_assert_cmpstr((const char *)directory + 12, ==, longest);
    rig_free(&rig);
}

/* DMA */

static uint32_t dma_at(Rig *rig, uint64_t descriptor, uint32_t control, uint32_t length, uint64_t address)
{
    uint8_t *fields = rig->ram + (descriptor - RAM);

    store_be32(fields, control);
    store_be32(fields + 4, length);
    store_be64(fields + 8, address);
    bench_write(rig->bench, rig->base + DMA, 8, __builtin_bswap64(descriptor));
    return load_be32(fields);
}

static uint32_t dma(Rig *rig, uint32_t control, uint32_t length, uint64_t address)
{
    return dma_at(rig, RAM + DESCRIPTOR, control, length, address);
}

static void test_dma_signature(void)
{
    Rig rig = rig_new();
    static const uint8_t expected[] = "QEMU CFG";

    g_assert_cmphex(bench_read(rig.bench, rig.base + DMA, 8), ==, load_le64(expected));
    g_assert_cmphex(bench_read(rig.bench, rig.base + DMA, 4), ==, load_le32(expected));
    g_assert_cmphex(bench_read(rig.bench, rig.base + DMA + 4, 4), ==, load_le32(expected + 4));
    rig_free(&rig);
    rig = rig_with("dma_enabled=off");
    expect_item(&rig, FW_CFG_ID, "\1\0\0\0", 4);
    g_assert_cmphex(bench_read(rig.bench, rig.base + DMA, 8), ==, 0);
    g_assert_cmphex(dma(&rig, DMA_READ | DMA_SELECT | KEY << 16, 4, RAM), ==, DMA_READ | DMA_SELECT | KEY << 16);
    rig_free(&rig);
}

static void test_dma_read(void)
{
    Rig rig = rig_new();

    memset(rig.ram, 0xee, 64);
    g_assert_cmphex(dma(&rig, DMA_READ | DMA_SELECT | KEY << 16, 4, RAM), ==, 0);
    g_assert_cmpmem(rig.ram, 6, "0123\xee\xee", 6);
    g_assert_cmphex(dma(&rig, DMA_READ, 2, RAM + 8), ==, 0); /* goes on */
    g_assert_cmpmem(rig.ram + 8, 3, "45\xee", 3);
    g_assert_cmphex(dma(&rig, DMA_SKIP, 3, 0), ==, 0);
    g_assert_cmphex(data(&rig, 1), ==, '9'); /* one place for both ways */
    g_assert_cmphex(dma(&rig, DMA_READ, 10, RAM + 16), ==, 0);
    g_assert_cmpmem(rig.ram + 16, 11, "abcdef\0\0\0\0\xee", 11);
    g_assert_cmphex(dma(&rig, DMA_READ, 8, RAM + 32), ==, 0);
    g_assert_cmpmem(rig.ram + 32, 9, "\0\0\0\0\0\0\0\0\xee", 9);
    g_assert_cmphex(dma(&rig, DMA_SELECT | KEY << 16, 0, 0), ==, 0); /* no more than to select */
    g_assert_cmphex(data(&rig, 1), ==, '0');
    g_assert_cmphex(dma(&rig, DMA_SKIP | DMA_SELECT | KEY << 16, UINT32_MAX, 0), ==, 0);
    g_assert_cmphex(data(&rig, 1), ==, 0);
    g_assert_cmphex(dma(&rig, DMA_READ | DMA_SELECT | 0x7fu << 16, 4, RAM + 16), ==, 0); /* no such item: zeroes */
    g_assert_cmpmem(rig.ram + 16, 5, "\0\0\0\0e", 5);
    g_assert_cmphex(dma(&rig, DMA_READ | DMA_SELECT | KEY << 16, 0, 0), ==, 0);
    g_assert_cmphex(dma(&rig, 0, 4, RAM), ==, 0);
    rig_free(&rig);
}

static void test_dma_errors(void)
{
    Rig rig = rig_new();
    uint32_t read = DMA_READ | DMA_SELECT | KEY << 16;

    g_assert_cmphex(dma(&rig, read, 4, 0x1000), ==, DMA_ERROR); /* no memory */
    g_assert_cmphex(dma(&rig, read, 16, RAM + RAM_SIZE - 8), ==, DMA_ERROR);
    g_assert_cmphex(dma(&rig, read, UINT32_MAX, RAM + 0x1000), ==, DMA_ERROR); /* the zeroes would not fit */
    g_assert_cmphex(dma(&rig, read, 4, UINT64_MAX - 1), ==, DMA_ERROR);
    g_assert_cmphex(dma(&rig, read, 8, rig.base), ==, DMA_ERROR); /* its own registers */
    g_assert_cmphex(dma(&rig, DMA_WRITE | DMA_SELECT | KEY << 16, 4, RAM), ==, DMA_ERROR); /* no item can be written */
    expect_item(&rig, KEY, "0123456789abcdef", 16);
    g_assert_cmphex(dma(&rig, read, 4, RAM), ==, 0); /* and it goes on */
    rig_free(&rig);
}

/* Descriptors that cannot be read: nothing happens. */
static void test_dma_descriptors(void)
{
    static const uint64_t nowhere[] = { 0, 0x1000, RAM + RAM_SIZE - 8, RAM + RAM_SIZE, UINT64_MAX, UINT64_MAX - 15 };
    Rig rig = rig_new();

    for (unsigned i = 0; i < ARRAY_SIZE(nowhere); i++) {
        bench_write(rig.bench, rig.base + DMA, 8, __builtin_bswap64(nowhere[i]));
    }
    bench_write(rig.bench, rig.base + DMA, 8, __builtin_bswap64(rig.base)); /* its own registers */
    g_assert_cmphex(dma_at(&rig, RAM + RAM_SIZE - 16, DMA_READ | DMA_SELECT | KEY << 16, 4, RAM), ==, 0);
    g_assert_cmphex(dma_at(&rig, RAM + 3, DMA_READ | DMA_SELECT | KEY << 16, 4, RAM + 64), ==, 0); /* at any place */
    g_assert_cmpmem(rig.ram + 64, 4, "0123", 4);
    rig_free(&rig);
}

/* The address in two halves: the low one starts it. The high one counts once. */
static void test_dma_halves(void)
{
    Rig rig = rig_new();
    uint8_t *fields = rig.ram + DESCRIPTOR;

    store_be32(fields, DMA_READ | DMA_SELECT | KEY << 16);
    store_be32(fields + 4, 4);
    store_be64(fields + 8, RAM);
    bench_write(rig.bench, rig.base + DMA, 4, __builtin_bswap32(1));
    g_assert_cmphex(load_be32(fields), !=, 0);
    bench_write(rig.bench, rig.base + DMA + 4, 4, __builtin_bswap32((uint32_t)RAM + DESCRIPTOR));
    g_assert_cmphex(load_be32(fields), !=, 0); /* that was 4 GiB further up */
    bench_write(rig.bench, rig.base + DMA + 4, 4, __builtin_bswap32((uint32_t)RAM + DESCRIPTOR));
    g_assert_cmphex(load_be32(fields), ==, 0);
    rig_free(&rig);
}

static void test_reset(void)
{
    Rig rig = rig_new();

    choose(&rig, KEY);
    data(&rig, 4);
    bench_reset(rig.bench, RESET_WARM);
    g_assert_cmphex(data(&rig, 4), ==, load_le32("QEMU"));
    rig_free(&rig);
}

static void test_saved_state(void)
{
    Rig rig = rig_new(), second = rig_new();
    AUTO_STRBUF(stream);

    choose(&rig, KEY);
    data(&rig, 4);
    g_assert_true(state_save(rig.bench->machine, &stream, NULL));
    g_assert_true(state_load(second.bench->machine, stream.data, stream.length, NULL));
    g_assert_cmphex(data(&second, 4), ==, load_le32("4567"));
    rig_free(&rig);
    rig_free(&second);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/fw-cfg/fixed-items", test_fixed_items);
    g_test_add_func("/fw-cfg/widths", test_widths);
    g_test_add_func("/fw-cfg/writes", test_writes);
    g_test_add_func("/fw-cfg/debugger", test_debugger);
    g_test_add_func("/fw-cfg/files", test_files);
    g_test_add_func("/fw-cfg/file-names", test_file_names);
    g_test_add_func("/fw-cfg/dma-signature", test_dma_signature);
    g_test_add_func("/fw-cfg/dma-read", test_dma_read);
    g_test_add_func("/fw-cfg/dma-errors", test_dma_errors);
    g_test_add_func("/fw-cfg/dma-descriptors", test_dma_descriptors);
    g_test_add_func("/fw-cfg/dma-halves", test_dma_halves);
    g_test_add_func("/fw-cfg/reset", test_reset);
    g_test_add_func("/fw-cfg/saved-state", test_saved_state);
    return g_test_run();
}
