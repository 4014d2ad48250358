/* The run loop: budgets, exceptions, interrupts, fetching across pages, code that changes, steps, logs. */
#include "toy.h"

#include "base/bytes.h"

#include <glib.h>
#include <inttypes.h>

/* r1 counts to r2; then a system call. */
static ToyMachine *loop_machine(uint64_t limit)
{
    ToyMachine *machine = toy_new(1);

    TOY_CODE(machine, 0x1000, TOY(TOY_ADDI, 1, 1, 1), TOY(TOY_BNE, 1, 2, -2), TOY(TOY_SYSTEM, 0, 0, TOY_SYSCALL));
    toy_state(machine, 0)->r[2] = limit;
    machine->cpus[0]->exceptions_exit = true;
    return machine;
}

static void test_loop(void)
{
    ToyMachine *machine = loop_machine(1000000);

    g_assert_cmpint(cpu_run(machine->cpus[0], INT64_MAX), ==, CPU_EXIT_EXCEPTION);
    g_assert_cmpuint(machine->cpus[0]->exec.exception.code, ==, TOY_E_SYSCALL);
    g_assert_cmpuint(machine->cpus[0]->exec.exception.value, ==, 1000000);
    g_assert_cmpuint(machine->cpus[0]->exec.insns, ==, 2000000);
    g_assert_cmpuint(machine->cpus[0]->exec.pc, ==, 0x1008);
    g_assert_cmpuint(toy_state(machine, 0)->pc, ==, 0x1008);
    toy_free(machine);
}

static void test_budget(void)
{
    for (int64_t budget = 0; budget < 200; budget++) {
        ToyMachine *machine = loop_machine(1000);
        for (uint64_t i = 1; i < 5; i++) {
            g_assert_cmpint(cpu_run(machine->cpus[0], budget), ==, CPU_EXIT_BUDGET);
            g_assert_cmpuint(machine->cpus[0]->exec.insns, ==, i * (uint64_t)budget);
            g_assert_cmpint(machine->cpus[0]->exec.budget, ==, 0);
            g_assert_cmpuint(toy_state(machine, 0)->r[1], ==, (i * (uint64_t)budget + 1) / 2);
            g_assert_cmpuint(toy_state(machine, 0)->pc, ==, 0x1000 + i * (uint64_t)budget % 2 * 4);
        }
        toy_free(machine);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/cpu/run/loop", test_loop);
    g_test_add_func("/cpu/run/budget", test_budget);
    return g_test_run();
}
