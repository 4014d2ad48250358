/* How many guest instructions a second the interpreter runs: a few loops of the toy guest of tests/cpu. */
#include "../tests/cpu/toy.h"

#include "base/host/host.h"

#include <stdio.h>

typedef struct Loop {
    const char *name;
    uint32_t code[16];
} Loop;

/* Each counts r1 up to r2, then makes a system call. */
static const Loop loops[] = {
    { "count", { TOY(TOY_ADDI, 1, 1, 1), TOY(TOY_BNE, 1, 2, -2), TOY(TOY_SYSTEM, 0, 0, TOY_SYSCALL) } },
    { "add", { TOY(TOY_ADD, 3, 3, 1), TOY(TOY_ADD, 4, 4, 3), TOY(TOY_ADD, 5, 3, 4), TOY(TOY_ADD, 6, 6, 5),
               TOY(TOY_ADD, 7, 6, 6), TOY(TOY_ADD, 8, 8, 7), TOY(TOY_ADDI, 1, 1, 1), TOY(TOY_BNE, 1, 2, -14),
               TOY(TOY_SYSTEM, 0, 0, TOY_SYSCALL) } },
    { "memory", { TOY(TOY_LOAD, 3, 9, TOY_ACCESS(0, 3)), TOY(TOY_ADDI, 3, 3, 1), TOY(TOY_STORE, 3, 9, TOY_ACCESS(0, 3)),
                  TOY(TOY_LOAD, 4, 9, TOY_ACCESS(8, 2)), TOY(TOY_ADD, 4, 4, 3), TOY(TOY_STORE, 4, 9, TOY_ACCESS(8, 2)),
                  TOY(TOY_ADDI, 1, 1, 1), TOY(TOY_BNE, 1, 2, -14), TOY(TOY_SYSTEM, 0, 0, TOY_SYSCALL) } },
    { "call", { TOY(TOY_CALL, 10, 0, 8), TOY(TOY_ADDI, 1, 1, 1), TOY(TOY_BNE, 1, 2, -4),
                TOY(TOY_SYSTEM, 0, 0, TOY_SYSCALL), TOY(TOY_ADDI, 3, 3, 1), TOY(TOY_JUMP, 0, 10, 0) } },
    { "atomic", { TOY(TOY_AMOADD, 3, 9, 5), TOY(TOY_LR, 3, 9, 0), TOY(TOY_SC, 4, 9, 3), TOY(TOY_ADDI, 1, 1, 1),
                  TOY(TOY_BNE, 1, 2, -8), TOY(TOY_SYSTEM, 0, 0, TOY_SYSCALL) } },
};

int main(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(loops); i++) {
        ToyMachine *machine = toy_new(1);
        Cpu *cpu = machine->cpus[0];
        toy_code(machine, 0x1000, loops[i].code, ARRAY_SIZE(loops[i].code));
        toy_state(machine, 0)->r[2] = 30000000;
        toy_state(machine, 0)->r[9] = 0x8000;
        cpu->exceptions_exit = true;
        int64_t start = host_monotonic_ns();
        cpu_run(cpu, INT64_MAX);
        double seconds = (double)(host_monotonic_ns() - start) / 1e9;
        printf("%-8s %7.1f million instructions a second\n", loops[i].name, (double)cpu->exec.insns / seconds / 1e6);
        toy_free(machine);
    }
    return 0;
}
