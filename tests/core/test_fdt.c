#include "core/fdt.h"

#include "base/bytes.h"
#include "base/error.h"

#include <glib.h>
#include <libfdt.h>
#include <stdlib.h>
#include <string.h>

static void *sample(size_t *size)
{
    FdtWriter *fdt = fdt_writer_new();
    fdt_text(fdt, "compatible", "riscv-virtio");
    fdt_begin(fdt, "soc");
    fdt_u32(fdt, "#address-cells", 2);
    for (unsigned i = 0; i < 3; i++) {
        fdt_begin(fdt, "device@%x", 0x1000 * i);
        fdt_reg(fdt, (const uint64_t[]){ 0x1000 * i, 0x1000 }, 1);
        fdt_texts(fdt, "compatible", (const char *const[]){ "a", "bc" }, 2);
        fdt_u32(fdt, "phandle", fdt_phandle_new(fdt));
        fdt_end(fdt);
    }
    fdt_u64(fdt, "wide", UINT64_C(0x123456789abcdef0));
    fdt_empty(fdt, "ranges");
    fdt_end(fdt);
    fdt_begin(fdt, "soc"); /* the same one again */
    fdt_u32(fdt, "#address-cells", 1);
    fdt_end(fdt);
    char *long_text = g_strnfill(100000, 'x'); /* the blob must grow */
    fdt_text(fdt, "long", long_text);
    g_free(long_text);
    void *blob = fdt_writer_take(fdt, size);
    fdt_writer_free(fdt);
    return blob;
}

static void check_sample(const void *blob, size_t size)
{
    g_assert_cmpint(fdt_check_full(blob, size), ==, 0);
    int soc = fdt_path_offset(blob, "/soc");
    g_assert_cmpint(soc, >, 0);
    int length;
    const void *cells = fdt_getprop(blob, soc, "#address-cells", &length);
    g_assert_cmpint(length, ==, 4);
    g_assert_cmpuint(load_be32(cells), ==, 1);
    g_assert_cmphex(load_be64(fdt_getprop(blob, soc, "wide", &length)), ==, UINT64_C(0x123456789abcdef0));
    g_assert_nonnull(fdt_getprop(blob, soc, "ranges", &length));
    g_assert_cmpint(length, ==, 0);
    unsigned index = 0;
    int child;
    fdt_for_each_subnode(child, blob, soc)
    {
        const uint8_t *reg = fdt_getprop(blob, child, "reg", &length);
        g_assert_cmpint(length, ==, 16);
        g_assert_cmphex(load_be64(reg), ==, 0x1000 * index);
        g_assert_cmpuint(fdt_get_phandle(blob, child), ==, ++index);
        g_assert_cmpmem(fdt_getprop(blob, child, "compatible", &length), length, "a\0bc", 5);
    }
    g_assert_cmpuint(index, ==, 3);
}

static void test_write(void)
{
    size_t size;
    void *blob = sample(&size);
    check_sample(blob, size);
    free(blob);
}

static void test_load(void)
{
    size_t size;
    void *blob = sample(&size);
    FdtWriter *fdt = fdt_writer_load(blob, size, NULL);
    g_assert_nonnull(fdt);
    g_assert_cmpuint(fdt_phandle_new(fdt), ==, 4);
    size_t again_size;
    void *again = fdt_writer_take(fdt, &again_size);
    check_sample(again, again_size);
    g_assert_cmpuint(again_size, ==, size);
    fdt_writer_free(fdt);
    free(again);
    free(blob);
}

static void test_load_bad(void)
{
    AUTO_ERROR(error);
    g_assert_null(fdt_writer_load("\x7f" "ELF and more, long enough for a header of a tree", 40, &error));
    g_assert_cmpstr(error_message(error), ==, "not a flattened device tree");
    size_t size;
    uint8_t *blob = sample(&size);
    for (size_t cut = 0; cut < 200; cut++) {
        g_assert_null(fdt_writer_load(blob, cut, NULL));
    }
    g_assert_null(fdt_writer_load(blob, size - 1, NULL));
    /* Any one byte of the structure wrong: refused or read, but never a crash. */
    uint8_t *copy = g_malloc(size);
    for (size_t i = 0; i < 600; i++) {
        memcpy(copy, blob, size);
        copy[i] ^= 0xff;
        fdt_writer_free(fdt_writer_load(copy, size, NULL));
    }
    g_free(copy);
    free(blob);
}

static void test_many_names(void)
{
    FdtWriter *fdt = fdt_writer_new();
    for (unsigned i = 0; i < 2000; i++) {
        fdt_begin(fdt, "n%u", i);
        fdt_end(fdt);
    }
    size_t size;
    void *blob = fdt_writer_take(fdt, &size);
    fdt_writer_free(fdt);
    g_assert_cmpint(fdt_check_full(blob, size), ==, 0);
    g_assert_cmpint(fdt_path_offset(blob, "/n1999"), >, 0);
    free(blob);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/core/fdt/write", test_write);
    g_test_add_func("/core/fdt/load", test_load);
    g_test_add_func("/core/fdt/load-bad", test_load_bad);
    g_test_add_func("/core/fdt/many-names", test_many_names);
    return g_test_run();
}
