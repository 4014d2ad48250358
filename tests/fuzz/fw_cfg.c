/*
 * fw_cfg: accesses of any size to its registers, and descriptors for its DMA in memory. A descriptor that was taken is
 * answered: done, or an error.
 */
#include "../hw/bench.h"
#include "hw/firmware/fw_cfg.h"
#include "steps.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define RAM UINT64_C(0x80000000)
enum { RAM_SIZE = 8192, REGISTERS = 24, DMA = 16, DMA_ERROR = 1 };

static void start_dma(Bench *bench, uint64_t base, uint8_t *ram, const Step *step)
{
    uint32_t place = step->place % (RAM_SIZE - 16u);
    store_be32(ram + place, step->value & 0xffff001f);
    store_be32(ram + place + 4, step->kind & 0x80 ? step->value : step->value % 300);
    store_be64(ram + place + 8, step->kind & 0x40 ? step_value(step) : RAM + step->value % RAM_SIZE);
    address_space_store(bench->machine->address_space, NULL, base + DMA, 8, __builtin_bswap64(RAM + place));
    if (!(step->kind & 0xc0) && load_be32(ram + place) & ~(uint32_t)DMA_ERROR) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Bench *bench = bench_new();
    uint8_t *ram = bench_add_ram(bench, RAM, RAM_SIZE);
    Device *device = bench_add(bench, "fw_cfg_mem", NULL);
    uint64_t base = bench_address(device, 0), value;
    fw_cfg_add_bytes(device, 0x10, "0123456789abcdef", 16);
    bench_start(bench);
    for (size_t at = 0, n = 0; size - at >= STEP_BYTES && n < STEPS; at += STEP_BYTES, n++) {
        Step step = step_at(data + at);
        uint64_t address = base + step.place % REGISTERS;
        if (step.kind % 3 == 0) {
            address_space_store(bench->machine->address_space, NULL, address, step.size, step_value(&step));
        } else if (step.kind % 3 == 1) {
            address_space_load(bench->machine->address_space, NULL, address, step.size, &value);
        } else {
            start_dma(bench, base, ram, &step);
        }
    }
    bench_free(bench);
    return 0;
}
