/*
 * The host's code for guest instructions, for host_code.py to compare with what is on record:
 *
 *     host_code MODEL < encodings in hexadecimal, one a line     "soft CODE" and "direct CODE" for each, in hexadecimal
 *
 * One instruction is a block; what it does not end goes on to the next address.
 */
#include "machine.h"

#include "base/error.h"
#include "cpu/cpu_internal.h"
#include "guest/riscv/internal.h"
#include "jit/x64/internal.h"

#include <glib.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/mman.h>

enum { CODE_MEMORY = 1 << 20 };

static CodeSpace space_of(uint8_t *memory, size_t code_used, size_t data_used)
{
    const size_t half = CODE_MEMORY / 2;

    return (CodeSpace){ .code_write = memory + code_used, .code = memory + code_used, .code_room = half - code_used,
                        .data = memory + half + data_used, .data_room = half - data_used };
}

/* The same features wherever this runs. */
static void choose_features(X64Common *common)
{
    common->features = (X64Features){ .bmi1 = true, .bmi2 = true, .lzcnt = true, .popcnt = true,
                                       .movbe = true, .pclmul = true };
    common->float_host.host.fma = common->float_host.host.f16c = true;
    common->float_host.host.avx512 = false;
}

static void print_code(TestMachine *machine, const char *title, unsigned flags)
{
    Cpu *cpu = machine->cpu;
    const CodeLayout layout = { .exec = (int32_t)((uint8_t *)&cpu->exec - cpu->exec.state),
                                .cpu = (int32_t)((uint8_t *)cpu - cpu->exec.state),
                                .page_bits = (uint8_t)cpu->exec.page_bits };
    uint8_t *memory = mmap(NULL, CODE_MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CodeSpace space = space_of(memory, 0, 0);
    Translation translation = { 0 };
    IrBlock optimised;
    void *common = NULL;

    g_assert_true(memory != MAP_FAILED && x64_host.prepare(&space, &cpu->guest->ir, &layout, &common, NULL));
    choose_features(common);
    ir_block_init(&translation.ir);
    translation.first = *tlb_lookup(cpu, TEST_RAM_BASE, MMU_EXECUTE, cpu->guest->fetch_mmu_mode(cpu));
    g_assert_true(translate(cpu, &translation, 1));
    CodeBlock block = { .flags = flags, .pc = TEST_RAM_BASE };
    space = space_of(memory, align_up(space.code_used, 64), align_up(space.data_used, 64));
    ir_block_init(&optimised);
    g_assert_true(x64_host.optimise(common, &optimised, &translation.ir, &cpu->guest->ir));
    CompileResult result = x64_host.compile(&space, common, &optimised, &cpu->guest->ir, &block);
    g_assert_true(result == COMPILE_DONE || result == COMPILE_CANNOT);
    printf("%s ", title);
    for (uint32_t i = 0; i < block.code_bytes && result == COMPILE_DONE; i++) {
        printf("%02x", ((const uint8_t *)block.code)[i]);
    }
    printf("\n");
    ir_block_free(&translation.ir);
    ir_block_free(&optimised);
    munmap(memory, CODE_MEMORY);
}

int main(int argc, char **argv)
{
    uint32_t bits;

    g_assert_cmpint(argc, ==, 2);
    TestMachine *machine = test_machine_new(argv[1]);
    riscv_state(machine->cpu)->fs = FS_DIRTY;
    machine->cpu->exec.mode = machine->cpu->guest->mode(machine->cpu);
    while (scanf("%" SCNx32, &bits) == 1) {
        memcpy(machine->ram, &bits, sizeof bits);
        print_code(machine, "soft", 0);
        print_code(machine, "direct", CODE_DIRECT);
    }
    test_machine_free(machine);
    return 0;
}
