/*
 * A page-table entry that one hart changes while another one marks it accessed and dirty: no change is lost, and no
 * mark is made in an entry that is not there any more.
 */
#include "hostile.h"

#include "base/bytes.h"
#include "base/thread.h"
#include "guest/riscv/internal.h"

#include <glib.h>

enum { ROUNDS = 20000, PAGE = 4096, TABLE = 0x80010000, DATA = 0x80020000, FLAG = 0x80030000, VIRTUAL = 0x40000000 };
enum { READER = 0x80000000, WRITER = 0x80000100, MARKS = 0xc0 };

/* a0: the page, a1: the flag that ends it. */
static const uint32_t reader_code[] = {
    0x00053603, /* ld a2, (a0) */
    0x00c53423, /* sd a2, 8(a0) */
    0x12000073, /* sfence.vma */
    0x0005b283, /* ld t0, (a1) */
    0xfe0288e3, /* beqz t0, .-16 */
    0x00100073, /* ebreak */
};
/* a0: the entry, which is s0; t2: the other one, a2: how they differ; a1: all bits but marks; a3: the flag; t0: rounds;
 * s1: counts entries that were neither. */
static const uint32_t writer_code[] = {
    0x0e75332f, /* amoswap.d.aqrl t1, t2, (a0) */
    0x00b37333, /* and t1, t1, a1 */
    0x00830463, /* beq t1, s0, .+8 */
    0x00148493, /* addi s1, s1, 1 */
    0x00038413, /* mv s0, t2 */
    0x00c3c3b3, /* xor t2, t2, a2 */
    0xfff28293, /* addi t0, t0, -1 */
    0xfe0292e3, /* bnez t0, .-28 */
    0x00b6b023, /* sd a1, (a3) */
    0x00100073, /* ebreak */
};

static void store(TestMachine *machine, uint64_t address, uint64_t value)
{
    uint8_t bytes[8];

    store_le64(bytes, value);
    test_machine_write(machine, address, bytes, sizeof bytes);
}

static void *run(void *argument)
{
    CpuExit exit = cpu_run(argument, INT64_MAX);
    return GINT_TO_POINTER(exit);
}

static Cpu *second_cpu(TestMachine *machine, const char *model)
{
    const Guest *guest;
    RiscvConfig config;

    g_assert_true(test_config(model, &guest, &config, NULL));
    config.resetvec = TEST_RAM_BASE;
    Cpu *cpu = cpu_new(guest, &config, 1, machine->group, machine->cpu->bus, machine, NULL, NULL);
    g_assert_nonnull(cpu);
    return cpu;
}

/* Sv39: the page at VIRTUAL, and all of RAM where it is. Loads and stores of machine mode are the supervisor's. */
static void set_up_reader(TestMachine *machine, uint64_t entry)
{
    RiscvState *state = riscv_state(machine->cpu);

    store(machine, TABLE + 8, (TABLE + PAGE) >> 2 | 1);
    store(machine, TABLE + 16, TEST_RAM_BASE >> 2 | 0xcf);
    store(machine, TABLE + PAGE, (TABLE + 2 * PAGE) >> 2 | 1);
    store(machine, TABLE + 2 * PAGE, entry);
    state->pmpcfg[0] = 0x1f;
    state->pmpaddr[0] = mask_bits(54);
    riscv_pmp_derive(machine->cpu);
    state->menvcfg = MENVCFG_ADUE;
    state->satp = (uint64_t)SATP_SV39 << 60 | TABLE >> 12;
    riscv_satp_changed(machine->cpu);
    state->mstatus |= MSTATUS_MPRV | 1 << MSTATUS_MPP_SHIFT;
    state->x[10] = VIRTUAL;
    state->x[11] = FLAG;
    machine->cpu->guest->set_pc(machine->cpu, READER);
}

static void set_up_writer(Cpu *cpu, uint64_t entry, uint64_t other)
{
    RiscvState *state = riscv_state(cpu);

    state->x[5] = ROUNDS;
    state->x[7] = other;
    state->x[8] = entry;
    state->x[10] = TABLE + 2 * PAGE;
    state->x[11] = ~(uint64_t)MARKS;
    state->x[12] = entry ^ other;
    state->x[13] = FLAG;
    cpu->guest->set_pc(cpu, WRITER);
}

static void test_marks(const void *engine)
{
    static const char model[] = "rv64";
    const uint64_t entry = DATA >> 2 | 7, other = (DATA + PAGE) >> 2 | 7; /* read, write */
    Cpu *cpus[2];
    Thread threads[2];

    g_setenv("MYNA_TEST_ENGINE", engine, true);
    TestMachine *machine = test_machine_new(model);
    g_unsetenv("MYNA_TEST_ENGINE");
    cpus[0] = machine->cpu;
    cpus[1] = second_cpu(machine, model);
    test_machine_write(machine, READER, reader_code, sizeof reader_code);
    test_machine_write(machine, WRITER, writer_code, sizeof writer_code);
    set_up_reader(machine, entry);
    set_up_writer(cpus[1], entry, other);
    for (unsigned i = 0; i < 2; i++) {
        cpus[i]->exceptions_exit = true;
        g_assert_true(thread_start(&threads[i], "vcpu", run, cpus[i], NULL));
    }
    for (unsigned i = 0; i < 2; i++) {
        thread_join(&threads[i]);
        g_assert_cmpuint(cpus[i]->exec.exception.code, ==, CAUSE_BREAKPOINT);
    }
    g_assert_cmpuint(riscv_state(cpus[1])->x[5], ==, 0);
    g_assert_cmpuint(riscv_state(cpus[1])->x[9], ==, 0);
    cpu_free(cpus[1]);
    test_machine_free(machine);
}

void hostile_add_thread_tests(void)
{
    g_test_add_data_func("/guest/riscv/hostile/marks/interp", "interp", test_marks);
    g_test_add_data_func("/guest/riscv/hostile/marks/tcg", "tcg", test_marks);
}
