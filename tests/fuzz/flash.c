/*
 * Flash: accesses of any size, first of all the commands' bytes. However a sequence goes wrong, the array is to be read
 * again after "read array", and the status says ready.
 */
#include "../hw/bench.h"
#include "steps.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BLOCK = 64 * 1024, BLOCKS = 2, FLASH = BLOCK * BLOCKS, READ_ARRAY = 0xff, READ_STATUS = 0x70, READY = 0x80 };

static uint64_t load(Bench *bench, uint64_t address, unsigned size)
{
    uint64_t value;
    address_space_load(bench->machine->address_space, NULL, address, size, &value);
    return value;
}

static void store(Bench *bench, uint64_t address, unsigned size, uint64_t value)
{
    address_space_store(bench->machine->address_space, NULL, address, size, value);
}

/* Commands that take data end within a buffer's bytes. */
static void check_status(Bench *bench, uint64_t base)
{
    for (unsigned i = 0; i < 4096; i++) {
        store(bench, base, 1, READ_ARRAY);
    }
    store(bench, base, 1, READ_STATUS);
    if (!(load(bench, base, 1) & READY)) {
        abort();
    }
    store(bench, base, 1, READ_ARRAY);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const shapes[] = { "width=1,device-width=1", "width=4,device-width=2",
                                          "width=4,device-width=4" };
    if (size < 1 + STEP_BYTES) {
        return 0;
    }
    Bench *bench = bench_new();
    g_autofree char *properties = g_strdup_printf("num-blocks=%d,sector-length=%d,id0=0x89,id1=0x18,name=f,%s", BLOCKS,
                                                  BLOCK, shapes[data[0] % G_N_ELEMENTS(shapes)]);
    uint64_t base = bench_address(bench_add(bench, "cfi.pflash01", properties), 0);
    bench_start(bench);
    for (size_t at = 1, n = 0; size - at >= STEP_BYTES && n < STEPS; at += STEP_BYTES, n++) {
        Step step = step_at(data + at);
        uint64_t address = base + (step.place * 5u) % (FLASH - 7);
        if (step.kind & 1) {
            uint64_t repeated = (uint8_t)step.value * UINT64_C(0x01010101);
            store(bench, address, step.size, step.kind & 2 ? step_value(&step) : repeated);
        } else {
            load(bench, address, step.size);
        }
    }
    check_status(bench, base);
    bench_free(bench);
    return 0;
}
