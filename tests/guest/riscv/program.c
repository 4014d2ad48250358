/*
 * Runs a test program (see test.h): each of its symbols test_NAME is a test of its own, on a fresh machine.
 *
 *     program MODEL FILE.bin FILE.symbols [g_test's options]
 */
#include "machine.h"

#include "base/bytes.h"

#include <glib.h>
#include <string.h>

enum { INSTRUCTION_LIMIT = 2000000, PASSED = 0x5555 };

typedef struct Program {
    const char *model;
    char *bytes;
    size_t size;
    uint64_t selected; /* the address of the program's variable */
} Program;

typedef struct Test {
    const Program *program;
    uint64_t address;
} Test;

static void report_failure(TestMachine *machine)
{
    const uint64_t *x = cpu_state(machine->cpu); /* the integer registers are the state's first member */

    if (!machine->finished) {
        g_test_message("not finished; pc %#" G_GINT64_MODIFIER "x", machine->cpu->guest->pc(machine->cpu));
    } else {
        g_test_message("check %u: is %#" G_GINT64_MODIFIER "x, should be %#" G_GINT64_MODIFIER "x; last trap: cause %#"
                       G_GINT64_MODIFIER "x, value %#" G_GINT64_MODIFIER "x, at %#" G_GINT64_MODIFIER "x",
                       machine->status >> 16, x[10], x[11], x[18], x[19], x[20]);
    }
    g_test_fail();
}

static void run(const void *data)
{
    const Test *test = data;
    TestMachine *machine = test_machine_new(test->program->model);
    uint8_t address[8];

    test_machine_write(machine, TEST_RAM_BASE, test->program->bytes, test->program->size);
    store_le64(address, test->address);
    test_machine_write(machine, test->program->selected, address, sizeof address);
    test_machine_run(machine, INSTRUCTION_LIMIT);
    if (!machine->finished || machine->status != PASSED) {
        report_failure(machine);
    }
    test_machine_free(machine);
}

static void add_test(const Program *program, const char *file, const char *name, uint64_t address)
{
    Test *test = g_new(Test, 1);
    g_autofree char *base = g_path_get_basename(file);
    g_autofree char *path = g_strdup_printf("/guest/riscv/%s/%s", base, name);

    *test = (Test){ program, address };
    g_test_add_data_func_full(path, test, run, g_free);
}

/* From nm's lines: "0000000080000000 T test_add". */
static unsigned add_tests(Program *program, const char *file, char **lines)
{
    unsigned count = 0;

    for (char **line = lines; *line; line++) {
        g_auto(GStrv) words = g_strsplit(*line, " ", 3);
        if (g_strv_length(words) != 3) {
            continue;
        }
        uint64_t address = g_ascii_strtoull(words[0], NULL, 16);
        if (!strcmp(words[2], "selected")) {
            program->selected = address;
        } else if (g_str_has_prefix(words[2], "test_") && strcmp(words[2], "test_pass") &&
                   strcmp(words[2], "test_fail")) {
            add_test(program, file, words[2] + strlen("test_"), address);
            count++;
        }
    }
    return count;
}

int main(int argc, char **argv)
{
    g_autofree char *symbols = NULL;
    Program program = { 0 };

    g_test_init(&argc, &argv, NULL);
    g_assert_cmpint(argc, ==, 4);
    program.model = argv[1];
    g_assert_true(g_file_get_contents(argv[2], &program.bytes, &program.size, NULL));
    g_assert_true(g_file_get_contents(argv[3], &symbols, NULL, NULL));
    g_auto(GStrv) lines = g_strsplit(symbols, "\n", -1);
    g_assert_cmpuint(add_tests(&program, argv[2], lines), >, 0);
    int status = g_test_run();
    g_free(program.bytes);
    return status;
}
