/*
 * What translation costs: a file of RISC-V code, such as a program's .text, becomes host code from end to end, a block
 * where the one before ends. Prints guest instructions a second and host bytes for each guest byte, with the soft TLB
 * and with memory reached directly.
 */
#include "base/error.h"
#include "cpu/cpu_internal.h"
#include "jit/host.h"
#include "../tests/guest/riscv/machine.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum { SPACE = 64 << 20, LIMIT = 64, ROUNDS = 5 };

typedef struct Totals {
    uint64_t insns, guest_bytes, host_bytes, blocks;
    double seconds;
} Totals;

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static CodeSpace space_of(uint8_t *memory, size_t code, size_t data)
{
    return (CodeSpace){ .code_write = memory + code, .code = memory + code, .code_room = SPACE / 2 - code,
                        .data = memory + SPACE / 2 + data, .data_room = SPACE / 2 - data };
}

/* The block at `address`; how many bytes of the guest's it took. */
static uint64_t translate_block(Cpu *cpu, const CodeHost *host, void *common, CodeSpace *space, uint64_t address,
                                unsigned flags, Translation *translation, Totals *totals)
{
    const TlbSource *source;
    CodeBlock block = { .flags = flags, .pc = address };

    cpu->guest->set_pc(cpu, address);
    source = tlb_lookup(cpu, address, MMU_EXECUTE, cpu->guest->fetch_mmu_mode(cpu));
    if (!source) {
        return 2;
    }
    translation->first = *source;
    if (!translate(cpu, translation, LIMIT)) {
        return 2;
    }
    bool less = host->optimise && host->optimise(common, &translation->optimised, &translation->ir, &cpu->guest->ir);
    const IrBlock *ir = less ? &translation->optimised : &translation->ir;
    if (host->compile(space, common, ir, &cpu->guest->ir, &block) != COMPILE_DONE) {
        return 2;
    }
    totals->blocks++;
    totals->insns += translation->ir.insn_count;
    totals->guest_bytes += translation->ir.bytes;
    totals->host_bytes += block.code_bytes;
    return MAX(translation->ir.bytes, 2u);
}

static void run(TestMachine *machine, size_t bytes, unsigned flags, Totals *totals)
{
    const CodeHost *host = code_host_native();
    Cpu *cpu = machine->cpu;
    const CodeLayout layout = { .exec = (int32_t)((uint8_t *)&cpu->exec - cpu->exec.state),
                                .cpu = (int32_t)((uint8_t *)cpu - cpu->exec.state),
                                .page_bits = (uint8_t)cpu->exec.page_bits };
    uint8_t *memory = mmap(NULL, SPACE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    Translation translation = { 0 };
    void *common;

    CodeSpace space = space_of(memory, 0, 0);
    if (memory == MAP_FAILED || !host || !host->prepare(&space, &cpu->guest->ir, &layout, &common, NULL)) {
        return;
    }
    ir_block_init(&translation.ir);
    ir_block_init(&translation.optimised);
    size_t code = align_up(space.code_used, 64), data = align_up(space.data_used, 64);
    double begun = now();
    for (uint64_t at = 0; at + 4 <= bytes;) {
        space = space_of(memory, code, data);
        space.code_used = space.data_used = 0;
        at += translate_block(cpu, host, common, &space, TEST_RAM_BASE + at, flags, &translation, totals);
        code = align_up(code + space.code_used, 64);
        data = align_up(data + space.data_used, 16);
    }
    totals->seconds += now() - begun;
    ir_block_free(&translation.ir);
    ir_block_free(&translation.optimised);
    munmap(memory, SPACE);
}

static void report(TestMachine *machine, size_t bytes, const char *title, unsigned flags)
{
    Totals totals = { 0 };

    for (unsigned i = 0; i < ROUNDS; i++) {
        run(machine, bytes, flags, &totals);
    }
    if (!totals.blocks) {
        printf("%-22s there is no translator for this processor\n", title);
        return;
    }
    printf("%-22s %9.0f thousand guest instructions/s, %5.2f host bytes per guest byte, %5.1f instructions a block\n",
           title, (double)totals.insns / totals.seconds / 1e3, (double)totals.host_bytes / (double)totals.guest_bytes,
           (double)totals.insns / (double)totals.blocks);
}

int main(int argc, char **argv)
{
    FILE *file = argc == 2 ? fopen(argv[1], "rb") : NULL;

    if (!file) {
        fprintf(stderr, "usage: bench-translate FILE of RISC-V code\n");
        return 2;
    }
    TestMachine *machine = test_machine_new("rv64");
    machine->cpu->exec.mode = machine->cpu->guest->mode(machine->cpu);
    size_t bytes = fread(machine->ram, 1, TEST_RAM_SIZE - 4096, file);
    fclose(file);
    report(machine, bytes, "translation, soft TLB", 0);
    report(machine, bytes, "translation, direct", CODE_DIRECT);
    test_machine_free(machine);
    return 0;
}
