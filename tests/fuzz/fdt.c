/* Device trees that a user gives (-dtb): read, changed as a board changes them, written, and read again. */
#include "core/fdt.h"

#include "base/error.h"

#include <libfdt.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "does not hold: %s\n", what);
        abort();
    }
}

/* By its whole name: libfdt takes "chosen@" for it too. */
static int find_chosen(const void *blob)
{
    int node;

    fdt_for_each_subnode(node, blob, 0) {
        if (!strcmp(fdt_get_name(blob, node, NULL), "chosen")) {
            return node;
        }
    }
    return -1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Error *error = NULL;
    FdtWriter *fdt = fdt_writer_load(data, size, &error);

    must(!fdt == (error != NULL), "a tree or an error");
    error_free(error);
    if (!fdt) {
        return 0;
    }
    fdt_begin(fdt, "chosen");
    fdt_text(fdt, "bootargs", "console=ttyS0");
    fdt_u64(fdt, "linux,initrd-start", UINT64_C(0x84200000));
    fdt_end(fdt);
    size_t count;
    void *blob = fdt_writer_take(fdt, &count);
    fdt_writer_free(fdt);
    must(fdt_check_full(blob, count) == 0, "what is written is a good tree");
    const char *arguments = fdt_getprop(blob, find_chosen(blob), "bootargs", NULL);
    must(arguments && !strcmp(arguments, "console=ttyS0"), "what was set is there");
    fdt = fdt_writer_load(blob, count, NULL);
    must(fdt, "what is written can be read");
    fdt_writer_free(fdt);
    free(blob);
    return 0;
}
