/*
 * Two machines of different guests in one process, by turns: saved at instructions that nobody chose, loaded into
 * second machines, run on and compared with the first ones, which ran on too. And streams that are damaged.
 */
#include "code.h"
#include "rig.h"

#include "base/error.h"
#include "base/strbuf.h"
#include "core/state.h"

#include <unistd.h>

enum { ROUNDS = 6, MTVEC = 0x305, MIE = 0x304, MSTATUS = 0x300, T3 = 28, T4 = 29, T5 = 30 };
#define CSRW(csr, rs1) RV_I(0x73, 1, ZERO, rs1, csr)
#define CSRSI(csr, bits) RV_I(0x73, 6, ZERO, bits, csr)
#define MUL(rd, rs1, rs2) RV_I(0x33, 0, rd, rs1, 0x20 | (rs2))
#define MRET 0x30200073
#define WFI 0x10500073
#define JUMP_BACK(distance) \
    (0x80000000u | ((uint32_t)-(distance) >> 1 & 0x3ff) << 21 | ((uint32_t)-(distance) >> 11 & 1) << 20 | \
     ((uint32_t)-(distance) >> 12 & 0xff) << 12 | 0x6f)

/* Counts, multiplies and stores; the timer interrupts it every 20 us for a dot on the UART. */
static const uint32_t ticking[] = {
    AUIPC(A0, 0), ADDI(T0, A0, 80), CSRW(MTVEC, T0),                 /*  0 */
    LUI(T0, 0x10000), LUI(T3, 0x2004), ADDI(T4, ZERO, 200),          /*  c */
    SW(T4, 0, T3), SW(ZERO, 4, T3),                                  /* 18 */
    ADDI(T2, ZERO, 0x80), CSRW(MIE, T2), CSRSI(MSTATUS, 8),          /* 20 */
    AUIPC(A1, 0x100), ADDI(A6, ZERO, 3),                             /* 2c */
    ADDI(A7, A7, 1), MUL(A6, A6, A7), ADDI(A6, A6, 1), SW(A6, 0, A1), /* 34: the loop */
    LW(T5, 4, A1), SW(A7, 4, A1), JUMP_BACK(24),                     /* 44 */
    ADDI(T4, T4, 200), SW(T4, 0, T3), PUT('.'), MRET,                /* 50: the handler */
};

typedef struct Subject {
    const char *target;
    MachineOptions options;
} Subject;

static Rig *start(const Subject *subject)
{
    Rig *rig = rig_new(subject->target, "virt", &subject->options);
    char *message = rig_start(rig);

    if (message) {
        g_error("%s: %s", subject->target, message);
    }
    return rig;
}

static void run(Rig *rig, uint64_t instructions) { rig_run(rig, NULL, instructions); }

static void save(Rig *rig, StrBuf *stream)
{
    AUTO_ERROR(error);

    machine_park(rig->machine);
    bool ok = state_save(rig->machine, stream, &error);
    machine_unpark(rig->machine);
    if (!ok) {
        g_error("%s", error_message(error));
    }
}

static Rig *load(const Subject *subject, const StrBuf *stream)
{
    AUTO_ERROR(error);
    Rig *rig = start(subject);

    if (!state_load(rig->machine, stream->data, stream->length, &error)) {
        g_error("%s: %s", subject->target, error_message(error));
    }
    return rig;
}

static void assert_alike(Rig *a, Rig *b)
{
    AUTO_STRBUF(of_a);
    AUTO_STRBUF(of_b);

    save(a, &of_a);
    save(b, &of_b);
    for (size_t i = 0; i < MIN(of_a.length, of_b.length); i++) {
        if (of_a.data[i] != of_b.data[i]) {
            g_error("the machines differ from byte %zu of their saved state", i);
        }
    }
    g_assert_cmpuint(of_a.length, ==, of_b.length);
}

/* The machines' own clocks are all they see of the time. */
static void test_run_on(void)
{
    static const char firmware[] = "/usr/lib/riscv64-linux-gnu/opensbi/generic/fw_dynamic.bin";
    g_autofree char *code = rig_file(ticking, sizeof ticking);
    bool has_firmware = !access(firmware, R_OK);
    const Subject subjects[2] = {
        { "riscv64", { .bios = has_firmware ? firmware : code, .cpus = 2, .ram_size = 16 * MIB } },
        { "riscv32", { .bios = code, .ram_size = 16 * MIB } },
    };
    Rig *rigs[2] = { start(&subjects[0]), start(&subjects[1]) };
    GRand *random = g_rand_new_with_seed(2025);

    for (unsigned round = 0; round < ROUNDS; round++) {
        for (unsigned i = 0; i < 2; i++) {
            AUTO_STRBUF(stream);
            run(rigs[i], (uint64_t)g_rand_int_range(random, 1, 2000000));
            save(rigs[i], &stream);
            Rig *second = load(&subjects[i], &stream);
            uint64_t on = (uint64_t)g_rand_int_range(random, 1, 2000000);
            size_t said = rigs[i]->output->len;
            run(rigs[i], on);
            run(second, on);
            g_assert_cmpstr(rigs[i]->output->str + said, ==, second->output->str);
            assert_alike(rigs[i], second);
            rig_free(second);
        }
    }
    g_assert_cmpuint(rigs[1]->output->len, >, 100);
    g_assert_true(!has_firmware || strstr(rigs[0]->output->str, "OpenSBI v"));
    g_rand_free(random);
    rig_free(rigs[0]);
    rig_free(rigs[1]);
}

/* Cut or changed, a stream is refused or loaded, and the process lives on. */
static void test_damaged(void)
{
    g_autofree char *code = rig_file(ticking, sizeof ticking);
    Subject subject = { "riscv32", { .bios = code, .ram_size = 4 * MIB } };
    AUTO_STRBUF(stream);
    GRand *random = g_rand_new_with_seed(7);
    Rig *rig = start(&subject);

    run(rig, 100000);
    save(rig, &stream);
    rig_free(rig);
    for (unsigned i = 0; i < 30; i++) {
        AUTO_ERROR(error);
        g_autofree char *damaged = g_memdup2(stream.data, stream.length);
        size_t length = i % 2 ? stream.length : (size_t)g_rand_int_range(random, 0, (gint32)stream.length);
        for (unsigned n = 0; i % 2 && n < 4; n++) {
            size_t at = (size_t)g_rand_int_range(random, 0, (gint32)MIN(stream.length, 20000));
            damaged[at] ^= (char)(1 << g_rand_int_range(random, 0, 8));
        }
        rig = start(&subject);
        bool ok = state_load(rig->machine, damaged, length, &error);
        g_assert_true(ok == !error);
        g_assert_true(i % 2 || !ok);
        if (ok) {
            run(rig, 10000);
        }
        rig_free(rig);
    }
    g_rand_free(random);
}

/* A stream is for the machine that it was saved from. */
static void test_other_machine(void)
{
    g_autofree char *code = rig_file(ticking, sizeof ticking);
    const Subject saved = { "riscv64", { .bios = code, .cpus = 2, .ram_size = 4 * MIB } };
    const Subject others[] = {
        { "riscv32", { .bios = code, .cpus = 2, .ram_size = 4 * MIB } },
        { "riscv64", { .bios = code, .cpus = 1, .ram_size = 4 * MIB } },
        { "riscv64", { .bios = code, .cpus = 2, .ram_size = 8 * MIB } },
    };
    AUTO_STRBUF(stream);
    Rig *rig = start(&saved);

    save(rig, &stream);
    rig_free(rig);
    for (unsigned i = 0; i < ARRAY_SIZE(others); i++) {
        AUTO_ERROR(error);
        rig = start(&others[i]);
        g_assert_false(state_load(rig->machine, stream.data, stream.length, &error));
        g_test_message("%s", error_message(error));
        rig_free(rig);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/two/run-on", test_run_on);
    g_test_add_func("/two/damaged", test_damaged);
    g_test_add_func("/two/other-machine", test_other_machine);
    int status = g_test_run();
    rig_remove_files();
    return status;
}
