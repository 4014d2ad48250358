/*
 * Machines of two guests in one process, by libmyna's header alone: run by turns, saved at an instruction that nobody
 * chose, loaded into second machines, run on and compared with the first ones, which ran on, too.
 */
#include "lib/myna.h"

#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

enum { RAM = 0x80000000u, RAM_SIZE = 8 << 20 };

/* -- the guest's program ---------------------------------------------------------------------------------------- */

/* Both guests run it: a counter and a hash of it in memory, a dot on the UART at each timer interrupt, an echo of
 * input; after so many dots the machine is switched off. Assembled from the instructions' formats. */
enum { ZERO = 0, A0 = 10, A1, A2, A3, A4, A5, A6, A7, T0 = 5, T1 = 6, T2 = 7, S2 = 18, S3, S4 };
enum { MSTATUS = 0x300, MIE = 0x304, MTVEC = 0x305 };

static uint32_t op_i(unsigned opcode, unsigned function, unsigned rd, unsigned rs1, int value)
{
    return (uint32_t)value << 20 | rs1 << 15 | function << 12 | rd << 7 | opcode;
}
static uint32_t op_r(unsigned opcode, unsigned function, unsigned rd, unsigned rs1, unsigned rs2, unsigned high)
{
    return high << 25 | rs2 << 20 | rs1 << 15 | function << 12 | rd << 7 | opcode;
}
static uint32_t op_s(unsigned function, unsigned rs2, unsigned rs1, int value)
{
    return ((uint32_t)value >> 5 & 0x7f) << 25 | rs2 << 20 | rs1 << 15 | function << 12 |
           ((uint32_t)value & 31) << 7 | 0x23;
}
static uint32_t op_b(unsigned function, unsigned rs1, unsigned rs2, int distance)
{
    uint32_t d = (uint32_t)distance;
    return (d >> 12 & 1) << 31 | (d >> 5 & 0x3f) << 25 | rs2 << 20 | rs1 << 15 | function << 12 | (d >> 1 & 15) << 8 |
           (d >> 11 & 1) << 7 | 0x63;
}
static uint32_t lui(unsigned rd, uint32_t value) { return value << 12 | rd << 7 | 0x37; }
static uint32_t auipc(unsigned rd, uint32_t pages) { return pages << 12 | rd << 7 | 0x17; }
static uint32_t addi(unsigned rd, unsigned rs1, int value) { return op_i(0x13, 0, rd, rs1, value); }
static uint32_t csrw(unsigned csr, unsigned rs1) { return op_i(0x73, 1, 0, rs1, csr); }
static uint32_t lw(unsigned rd, unsigned rs1, int offset) { return op_i(0x03, 2, rd, rs1, offset); }
static uint32_t lbu(unsigned rd, unsigned rs1, int offset) { return op_i(0x03, 4, rd, rs1, offset); }
static uint32_t sw(unsigned rs2, unsigned rs1, int offset) { return op_s(2, rs2, rs1, offset); }
static uint32_t sb(unsigned rs2, unsigned rs1, int offset) { return op_s(0, rs2, rs1, offset); }
static uint32_t bne(unsigned rs1, unsigned rs2, int distance) { return op_b(1, rs1, rs2, distance); }
static uint32_t beq(unsigned rs1, unsigned rs2, int distance) { return op_b(0, rs1, rs2, distance); }

enum { TICKS = 150, DOTS = 2000, HANDLER = 0x80, OFF = 0xc0, MRET = 0x30200073 };

static void assemble(uint32_t *code)
{
    const uint32_t start[] = {
        auipc(A0, 0), addi(T0, A0, HANDLER), csrw(MTVEC, T0),
        lui(S2, 0x10000), lui(S3, 0x2004), lui(S4, 0x100), /* UART, mtimecmp, test finisher */
        addi(A4, ZERO, TICKS), sw(A4, S3, 0), sw(ZERO, S3, 4),
        addi(A5, ZERO, DOTS & 0x7ff),
        addi(T0, ZERO, 0x80), csrw(MIE, T0), addi(T0, ZERO, 8), csrw(MSTATUS, T0),
        auipc(A1, 1), addi(A6, ZERO, 3),
        /* 0x40: the loop */
        addi(A7, A7, 1), op_r(0x33, 0, A6, A6, A7, 1), addi(A6, A6, 1), sw(A6, A1, 0), lw(T1, A1, 4), sw(A7, A1, 4),
        bne(ZERO, A0, -24),
    };
    const uint32_t handler[] = {
        addi(A4, A4, TICKS), sw(A4, S3, 0), addi(T2, ZERO, '.'),
        lbu(T0, S2, 5), op_i(0x13, 7, T0, T0, 1), beq(T0, ZERO, 8), lbu(T2, S2, 0), /* what was typed in its place */
        sb(T2, S2, 0), addi(A5, A5, -1), bne(A5, ZERO, 8), op_b(0, ZERO, ZERO, OFF - HANDLER - 40), MRET,
    };
    const uint32_t off[] = { lui(T0, 0x5), addi(T0, T0, 0x555), sw(T0, S4, 0), op_b(0, ZERO, ZERO, 0) };
    memcpy(code, start, sizeof start);
    memcpy(code + HANDLER / 4, handler, sizeof handler);
    memcpy(code + OFF / 4, off, sizeof off);
}

static char *program_file(void)
{
    uint32_t code[64] = { 0 };
    char *path = NULL;
    int fd = g_file_open_tmp("myna-lib-XXXXXX", &path, NULL);
    assemble(code);
    g_assert_cmpint(write(fd, code, sizeof code), ==, sizeof code);
    close(fd);
    return path;
}

/* -- machines --------------------------------------------------------------------------------------------------- */

typedef struct Subject {
    MynaMachine *machine;
    GString *output, *events;
} Subject;

static void on_output(void *data, const uint8_t *bytes, size_t count)
{
    g_string_append_len(((Subject *)data)->output, (const char *)bytes, count);
}

static void on_event(void *data, const char *name, const char *json)
{
    g_string_append_printf(((Subject *)data)->events, "%s %s\n", name, json);
}

static char *firmware;

static void subject_init(Subject *subject, const char *guest)
{
    const char *options[] = { "-M", "virt", "-m", "8M", "-bios", firmware, "-seed", "7" };
    char *error = NULL;
    subject->output = g_string_new("");
    subject->events = g_string_new("");
    subject->machine = myna_new(guest, G_N_ELEMENTS(options), options,
                                &(MynaHooks){ .output = on_output, .event = on_event, .data = subject }, &error);
    if (!subject->machine) {
        g_error("%s: %s", guest, error);
    }
}

static void subject_finish(Subject *subject)
{
    myna_free(subject->machine);
    g_string_free(subject->output, TRUE);
    g_string_free(subject->events, TRUE);
}

static void assert_alike(Subject *a, Subject *b, size_t ram_size)
{
    const char *name;
    for (size_t i = 0; (name = myna_register_name(a->machine, 0, i)); i++) {
        uint64_t of_a = 0, of_b = 1;
        g_assert_true(myna_register_read(a->machine, 0, name, &of_a));
        g_assert_true(myna_register_read(b->machine, 0, name, &of_b));
        if (of_a != of_b) {
            g_error("%s: %#" G_GINT64_MODIFIER "x and %#" G_GINT64_MODIFIER "x", name, of_a, of_b);
        }
    }
    g_autofree uint8_t *ram_a = g_malloc(ram_size), *ram_b = g_malloc(ram_size);
    g_assert_true(myna_memory_read(a->machine, RAM, ram_a, ram_size));
    g_assert_true(myna_memory_read(b->machine, RAM, ram_b, ram_size));
    g_assert_cmpint(memcmp(ram_a, ram_b, ram_size), ==, 0);
}

/* Saves `first` as it stands, and gives a second machine that goes on from there. */
static void fork_subject(Subject *first, Subject *second, const char *guest)
{
    void *bytes;
    size_t size;
    char *error = NULL;
    if (!myna_save(first->machine, &bytes, &size, &error)) {
        g_error("%s", error);
    }
    subject_init(second, guest);
    if (!myna_load(second->machine, bytes, size, &error)) {
        g_error("%s", error);
    }
    myna_free_text(bytes);
    g_string_assign(second->output, first->output->str);
    assert_alike(first, second, RAM_SIZE);
}

static void step_both(Subject *a, Subject *b, uint64_t instructions)
{
    g_assert_cmpuint(myna_step(a->machine, instructions), ==, myna_step(b->machine, instructions));
    assert_alike(a, b, RAM_SIZE);
    g_assert_cmpstr(a->output->str, ==, b->output->str);
}

static void test_two_machines(void)
{
    static const char *const names[] = { "riscv64", "riscv32" };
    Subject first[2], second[2];
    for (unsigned i = 0; i < 2; i++) {
        subject_init(&first[i], names[i]);
    }
    for (unsigned round = 0; round < 4; round++) {
        for (unsigned i = 0; i < 2; i++) {
            uint64_t count = g_test_rand_int_range(1000, 400000);
            g_assert_cmpuint(myna_step(first[i].machine, count), ==, count);
            fork_subject(&first[i], &second[i], names[i]);
        }
        for (unsigned turn = 0; turn < 4; turn++) {
            for (unsigned i = 0; i < 2; i++) {
                step_both(&first[i], &second[i], g_test_rand_int_range(1, 100000));
            }
        }
        for (unsigned i = 0; i < 2; i++) {
            g_assert_cmpuint(first[i].output->len, >, 0);
            subject_finish(&second[i]);
        }
    }
    for (unsigned i = 0; i < 2; i++) {
        subject_finish(&first[i]);
    }
}

static void test_end(void)
{
    Subject subject;
    int status = -1;
    subject_init(&subject, "riscv64");
    g_assert_false(myna_ended(subject.machine, NULL));
    myna_run(subject.machine);
    g_assert_true(myna_ended(subject.machine, &status));
    g_assert_cmpint(status, ==, 0);
    g_assert_cmpuint(subject.output->len, ==, DOTS & 0x7ff);
    g_assert_nonnull(strstr(subject.events->str, "SHUTDOWN {\"guest\": true, \"reason\": \"guest-shutdown\"}"));
    g_assert_cmpuint(myna_step(subject.machine, 1000), ==, 0);
    subject_finish(&subject);
}

static void test_repeatable(void)
{
    Subject a, b;
    subject_init(&a, "riscv32");
    subject_init(&b, "riscv32");
    myna_step(a.machine, 300000);
    for (unsigned i = 0; i < 3000; i++) {
        myna_step(b.machine, 100);
    }
    assert_alike(&a, &b, RAM_SIZE);
    g_assert_cmpstr(a.output->str, ==, b.output->str);
    subject_finish(&a);
    subject_finish(&b);
}

static void test_input(void)
{
    Subject subject;
    subject_init(&subject, "riscv64");
    myna_step(subject.machine, 100000);
    g_assert_cmpuint(myna_input(subject.machine, "typed", 5), ==, 5);
    myna_step(subject.machine, 100000);
    g_assert_nonnull(strstr(subject.output->str, ".typed."));
    subject_finish(&subject);
}

static void test_registers(void)
{
    Subject subject;
    uint64_t value;
    subject_init(&subject, "riscv64");
    g_assert_cmpuint(myna_cpu_count(subject.machine), ==, 1);
    g_assert_true(myna_register_read(subject.machine, 0, "pc", &value));
    g_assert_cmphex(value, ==, 0x1000);
    g_assert_false(myna_register_read(subject.machine, 0, "nothing", &value));
    g_assert_false(myna_register_read(subject.machine, 1, "pc", &value));
    g_assert_null(myna_register_name(subject.machine, 1, 0));
    const uint32_t code[] = { addi(A0, A0, 1), addi(A0, A0, 2), op_b(0, ZERO, ZERO, 0) };
    g_assert_true(myna_memory_write(subject.machine, RAM + 0x100000, code, sizeof code));
    g_assert_true(myna_register_write(subject.machine, 0, "pc", RAM + 0x100000));
    g_assert_true(myna_register_write(subject.machine, 0, "a0", 40));
    myna_step(subject.machine, 2);
    g_assert_true(myna_register_read(subject.machine, 0, "a0", &value));
    g_assert_cmpuint(value, ==, 43);
    g_assert_false(myna_memory_read(subject.machine, 0x40000000, &value, sizeof value));
    subject_finish(&subject);
}

static void test_files(void)
{
    Subject first, second;
    char *error = NULL;
    g_autofree char *path = NULL;
    close(g_file_open_tmp("myna-lib-XXXXXX", &path, NULL));
    subject_init(&first, "riscv32");
    subject_init(&second, "riscv32");
    myna_step(first.machine, 12345);
    g_assert_true(myna_save_file(first.machine, path, NULL));
    g_assert_true(myna_load_file(second.machine, path, NULL));
    assert_alike(&first, &second, RAM_SIZE);
    Subject other;
    subject_init(&other, "riscv64");
    g_assert_false(myna_load_file(other.machine, path, &error));
    g_assert_nonnull(error);
    myna_free_text(error);
    error = NULL;
    g_assert_false(myna_load(second.machine, "nonsense", 8, &error));
    g_assert_nonnull(error);
    myna_free_text(error);
    g_assert_false(myna_load_file(second.machine, "/nowhere/state", NULL));
    subject_finish(&other);
    subject_finish(&first);
    subject_finish(&second);
    g_unlink(path);
}

static void assert_reply(Subject *subject, const char *request, const char *words)
{
    char *reply = myna_qmp(subject->machine, request);
    if (!strstr(reply, words)) {
        g_error("%s: %s", request, reply);
    }
    myna_free_text(reply);
}

static void test_qmp(void)
{
    Subject subject;
    subject_init(&subject, "riscv64");
    assert_reply(&subject, "{'execute': 'query-target', 'id': 7}", "{\"return\": {\"arch\": \"riscv64\"}, \"id\": 7}");
    assert_reply(&subject, "{'execute': 'query-status'}", "\"prelaunch\"");
    g_assert_cmpuint(myna_step(subject.machine, 10), ==, 10);
    assert_reply(&subject, "{'execute': 'query-status'}", "\"running\"");
    assert_reply(&subject, "{'execute': 'nothing'}", "CommandNotFound");
    assert_reply(&subject, "nonsense", "GenericError");
    assert_reply(&subject, "{'execute': 'stop'}", "{\"return\": {}}");
    g_assert_cmpuint(myna_step(subject.machine, 1000), ==, 0);
    assert_reply(&subject, "{'execute': 'cont'}", "{\"return\": {}}");
    g_assert_cmpuint(myna_step(subject.machine, 1000), ==, 1000);
    assert_reply(&subject, "{'execute': 'quit'}", "{\"return\": {}}");
    g_assert_true(myna_ended(subject.machine, NULL));
    g_assert_cmpstr(subject.events->str, ==,
                    "RESUME {}\nSTOP {}\nRESUME {}\nSHUTDOWN {\"guest\": false, \"reason\": \"host-qmp-quit\"}\n");
    subject_finish(&subject);
}

static void test_refused(void)
{
    static const struct {
        const char *guest, *options[2], *words;
    } rows[] = {
        { "riscv46", { "-M", "virt" }, "'riscv64'" },
        { "riscv64", { "-M", "vrit" }, "'virt'" },
        { "riscv64", { "-pidfile", "/tmp/x" }, "for the program" },
        { "riscv64", { "-serail", "null" }, "serial" },
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        char *error = NULL;
        g_assert_null(myna_new(rows[i].guest, 2, rows[i].options, NULL, &error));
        if (!strstr(error, rows[i].words)) {
            g_error("%s", error);
        }
        myna_free_text(error);
    }
    g_assert_cmpstr(myna_guest(0), ==, "riscv32");
    g_assert_cmpstr(myna_guest(1), ==, "riscv64");
    g_assert_null(myna_guest(2));
    g_assert_true(g_ascii_isdigit(myna_version()[0]));
}

static void *stop_later(void *machine)
{
    g_usleep(50000);
    myna_stop(machine);
    return NULL;
}

static void test_stop(void)
{
    static const uint32_t forever = 0x6f;
    Subject subject;
    subject_init(&subject, "riscv64");
    g_assert_true(myna_memory_write(subject.machine, RAM, &forever, sizeof forever));
    GThread *thread = g_thread_new("stop", stop_later, subject.machine);
    myna_run(subject.machine);
    g_thread_join(thread);
    g_assert_false(myna_ended(subject.machine, NULL));
    subject_finish(&subject);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    firmware = program_file();
    g_test_add_func("/lib/two-machines", test_two_machines);
    g_test_add_func("/lib/end", test_end);
    g_test_add_func("/lib/repeatable", test_repeatable);
    g_test_add_func("/lib/input", test_input);
    g_test_add_func("/lib/registers", test_registers);
    g_test_add_func("/lib/files", test_files);
    g_test_add_func("/lib/qmp", test_qmp);
    g_test_add_func("/lib/refused", test_refused);
    g_test_add_func("/lib/stop", test_stop);
    int status = g_test_run();
    g_unlink(firmware);
    g_free(firmware);
    return status;
}
