/* The run loop: budgets, exceptions, interrupts, fetching across pages, code that changes, steps, logs. */
#include "toy.h"

#include "base/bytes.h"
#include "base/error.h"

#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>

static void restart(ToyMachine *machine, uint64_t pc)
{
    machine->cpus[0]->halted = false;
    toy_state(machine, 0)->pc = pc;
}

/* r1 counts to r2; then a system call. */
static ToyMachine *loop_machine(uint64_t limit)
{
    ToyMachine *machine = toy_new(1);

    TOY_CODE(machine, 0x1000, TOY(TOY_ADDI, 1, 1, 1), TOY(TOY_BNE, 1, 2, -2), TOY(TOY_SYSTEM, 0, 0, TOY_SYSCALL));
    toy_state(machine, 0)->r[2] = limit;
    machine->cpus[0]->exceptions_exit = true;
    return machine;
}

static void check_insns(const Cpu *cpu, uint64_t expected)
{
    if (toy_counts()) {
        g_assert_cmpuint(cpu->exec.insns, ==, expected);
    }
}

static void test_loop(void)
{
    ToyMachine *machine = loop_machine(1000000);

    g_assert_cmpint(cpu_run(machine->cpus[0], INT64_MAX), ==, CPU_EXIT_EXCEPTION);
    g_assert_cmpuint(machine->cpus[0]->exec.exception.code, ==, TOY_E_SYSCALL);
    g_assert_cmpuint(machine->cpus[0]->exec.exception.value, ==, 1000000);
    check_insns(machine->cpus[0], 2000000);
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
            check_insns(machine->cpus[0], i * (uint64_t)budget);
            g_assert_cmpint(machine->cpus[0]->exec.budget, ==, 0);
            g_assert_cmpuint(toy_state(machine, 0)->r[1], ==, (i * (uint64_t)budget + 1) / 2);
            g_assert_cmpuint(toy_state(machine, 0)->pc, ==, 0x1000 + i * (uint64_t)budget % 2 * 4);
        }
        toy_free(machine);
    }
}

/* Whatever the budgets, the same instructions leave the same state: a loop with branches, memory and system calls. */
static void build_program(ToyMachine *machine)
{
    TOY_CODE(machine, 0x100, TOY(TOY_ADDI, 8, 8, 1), TOY(TOY_SYSTEM, 0, 0, TOY_READ_CAUSE), TOY(TOY_ADDI, 3, 3, 4),
             TOY(TOY_JUMP, 0, 3, 0));
    TOY_CODE(machine, 0x1000, TOY(TOY_ADDI, 5, 5, 1), TOY(TOY_ADD, 6, 6, 5), TOY(TOY_STORE, 6, 9, TOY_ACCESS(0, 3)),
             TOY(TOY_LOAD, 7, 9, TOY_ACCESS(3, 0)), TOY(TOY_ADD, 6, 6, 7), TOY(TOY_SYSTEM, 0, 0, TOY_SYSCALL),
             TOY(TOY_BNE, 7, 0, 4), TOY(TOY_ADDI, 4, 4, 3), TOY(TOY_BNE, 5, 10, -16), TOY(TOY_SYSTEM, 0, 0, TOY_HALT));
    toy_state(machine, 0)->r[9] = 0x8000;
    toy_state(machine, 0)->r[10] = 300;
}

static void test_budget_cuts(void)
{
    ToyMachine *whole = toy_new(1);

    build_program(whole);
    g_assert_cmpint(cpu_run(whole->cpus[0], INT64_MAX), ==, CPU_EXIT_HALTED);
    for (int64_t piece = 1; piece < 40; piece += 3) {
        ToyMachine *cut = toy_new(1);
        CpuExit exit;
        build_program(cut);
        do {
            exit = cpu_run(cut->cpus[0], piece);
        } while (exit == CPU_EXIT_BUDGET);
        g_assert_cmpint(exit, ==, CPU_EXIT_HALTED);
        check_insns(cut->cpus[0], whole->cpus[0]->exec.insns);
        g_assert_cmpmem(toy_state(cut, 0), sizeof(ToyState), toy_state(whole, 0), sizeof(ToyState));
        toy_free(cut);
    }
    g_assert_cmpuint(toy_state(whole, 0)->r[8], ==, 300); /* system calls */
    toy_free(whole);
}

/* An instruction asks how many there were before it. */
static void test_count(void)
{
    ToyMachine *machine = toy_new(1);

    TOY_CODE(machine, 0x1000, TOY(TOY_ADDI, 2, 2, 1), TOY(TOY_ADDI, 2, 2, 1), TOY(TOY_SYSTEM, 0, 0, TOY_COUNT),
             TOY(TOY_SYSTEM, 0, 0, TOY_HALT));
    cpu_run(machine->cpus[0], 100);
    g_assert_cmpuint(toy_state(machine, 0)->r[1], ==, 2);
    check_insns(machine->cpus[0], 4);
    toy_free(machine);
}

static void test_six_arguments(void)
{
    ToyMachine *machine = toy_new(1);

    TOY_CODE(machine, 0x1000, TOY(TOY_SYSTEM, 0, 0, TOY_SUM6), TOY(TOY_SYSTEM, 0, 0, TOY_HALT));
    for (unsigned i = 1; i <= 6; i++) {
        toy_state(machine, 0)->r[i] = i;
    }
    cpu_run(machine->cpus[0], INT64_MAX);
    g_assert_cmpuint(toy_state(machine, 0)->r[1], ==, 654321);
    toy_free(machine);
}

/* An exception goes to the handler with cause, value and the instruction's address, and is no instruction itself. */
static void expect_exception(ToyMachine *machine, unsigned cause, uint64_t value, uint64_t epc)
{
    ToyState *s = toy_state(machine, 0);

    TOY_CODE(machine, 0x100, TOY(TOY_SYSTEM, 0, 0, TOY_HALT));
    g_assert_cmpint(cpu_run(machine->cpus[0], INT64_MAX), ==, CPU_EXIT_HALTED);
    g_assert_cmpuint(s->cause, ==, cause);
    g_assert_cmphex(s->value, ==, value);
    g_assert_cmphex(s->epc, ==, epc);
    g_assert_cmphex(s->pc, ==, 0x104);
}

static void test_exceptions(void)
{
    static const struct {
        uint32_t code;
        unsigned cause;
        uint64_t r2, value;
    } rows[] = {
        { TOY(TOY_OPS, 0, 0, 0), TOY_E_ILLEGAL, 0, TOY_OPS },
        { TOY(TOY_LOAD, 1, 2, TOY_ACCESS(4, 3)), TOY_E_READ, 0x300000, 0x300004 },
        { TOY(TOY_STORE, 1, 2, TOY_ACCESS(4, 2)), TOY_E_WRITE, 0x300000, 0x300004 },
        { TOY(TOY_LOAD, 1, 2, TOY_ACCESS(0, 3 | 8)), TOY_E_ALIGN_READ, 0x8004, 0x8004 },
        { TOY(TOY_STORE, 1, 2, TOY_ACCESS(1, 1 | 8)), TOY_E_ALIGN_WRITE, 0x8004, 0x8005 },
        { TOY(TOY_AMOADD, 1, 2, 3), TOY_E_ALIGN_WRITE, 0x8004, 0x8004 },
        { TOY(TOY_AMOADD, 1, 2, 3), TOY_E_WRITE, 0x300000, 0x300000 },
        { TOY(TOY_JUMP, 0, 2, 0), TOY_E_FETCH, 0x300000, 0x300000 },
        { TOY(TOY_JUMP, 0, 2, 0), TOY_E_FETCH, UINT64_MAX, UINT64_MAX },
        { TOY(TOY_LOAD, 1, 2, TOY_ACCESS(0, 3)), TOY_E_BUS_READ, 0x110000, 0x110000 },
        { TOY(TOY_STORE, 1, 2, TOY_ACCESS(0, 3)), TOY_E_BUS_WRITE, 0x110008, 0x110008 },
        { TOY(TOY_JUMP, 0, 2, 0), TOY_E_BUS_FETCH, 0x110010, 0x110010 },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        ToyMachine *machine = toy_new(1);
        bool jump = (rows[i].code & 0xff) == TOY_JUMP;
        machine->pages[0x110] = TOY_IO + TOY_PAGE + 7; /* mapped to where nothing is */
        TOY_CODE(machine, 0x1000, TOY(TOY_ADDI, 4, 4, 1), rows[i].code);
        toy_state(machine, 0)->r[2] = rows[i].r2;
        expect_exception(machine, rows[i].cause, rows[i].value, jump ? rows[i].r2 : 0x1004);
        check_insns(machine->cpus[0], jump ? 3 : 2); /* with the handler's one */
        toy_free(machine);
    }
}

/* A handler that cannot be fetched traps for ever, without an instruction: the budget ends it all the same. */
static void test_endless_traps(void)
{
    ToyMachine *machine = toy_new(1);

    toy_state(machine, 0)->vector = 0x300000;
    toy_state(machine, 0)->pc = 0x300000;
    g_assert_cmpint(cpu_run(machine->cpus[0], 1000), ==, CPU_EXIT_BUDGET);
    check_insns(machine->cpus[0], 0);
    toy_free(machine);
}

/* The instruction at the end of a page goes on to the next one: only when it is due is that page looked at. */
static void test_fetch_across_pages(void)
{
    ToyMachine *machine = toy_new(1);
    ToyState *s = toy_state(machine, 0);

    for (unsigned i = 0; i < 4; i++) {
        TOY_CODE(machine, 0x3ff2 + 4 * i, TOY(TOY_ADDI, 1, 1, 1)); /* the last at 0x3ffe */
    }
    TOY_CODE(machine, 0x4002, TOY(TOY_SYSTEM, 0, 0, TOY_HALT));
    restart(machine, 0x3ff2);
    machine->pages[4] = 0;
    expect_exception(machine, TOY_E_FETCH, 0x4000, 0x3ffe);
    g_assert_cmpuint(s->r[1], ==, 3);

    restart(machine, 0x3ff2);
    machine->pages[4] = 0x4000 | 7;
    cpu_run(machine->cpus[0], INT64_MAX);
    g_assert_cmpuint(s->r[1], ==, 7);
    g_assert_cmphex(s->pc, ==, 0x4006);

    /* Another page there, then none: what was translated across the edge does not outlive it. */
    TOY_CODE(machine, 0x9000, TOY(TOY_ADDI, 2, 2, 5) >> 16, TOY(TOY_SYSTEM, 0, 0, TOY_HALT) << 16);
    store_le16(machine->ram + 0x9000, 100); /* the upper half of an ADDI: adds 100 */
    store_le32(machine->ram + 0x9002, TOY(TOY_SYSTEM, 0, 0, TOY_HALT));
    machine->pages[4] = 0x9000 | 7;
    cpu_tlb_flush(machine->cpus[0], UINT32_MAX);
    restart(machine, 0x3ff2);
    s->r[1] = 0;
    cpu_run(machine->cpus[0], INT64_MAX);
    g_assert_cmpuint(s->r[1], ==, 103);
    machine->pages[4] = 0;
    cpu_tlb_flush_page(machine->cpus[0], 0x4123, UINT32_MAX);
    restart(machine, 0x3ff2);
    expect_exception(machine, TOY_E_FETCH, 0x4000, 0x3ffe);
    toy_free(machine);
}

/* Code in I/O runs, one instruction at a time, and is fetched again each time. */
static void test_fetch_from_device(void)
{
    ToyMachine *machine = toy_new(1);

    machine->pages[0x110] = TOY_IO | 7;
    toy_state(machine, 0)->pc = 0x110000;
    machine->cpus[0]->exceptions_exit = true;
    g_assert_cmpint(cpu_run(machine->cpus[0], INT64_MAX), ==, CPU_EXIT_EXCEPTION);
    g_assert_cmphex(machine->cpus[0]->exec.exception.value, ==, 0x22ff22ff);
    g_assert_cmpuint(machine->io_count, ==, 2);
    machine->cpus[0]->exec.exception.pending = false;
    cpu_run(machine->cpus[0], INT64_MAX);
    g_assert_cmpuint(machine->io_count, ==, 4);
    toy_free(machine);
}

/* Code is changed by itself: the old one may run until CODE_CHANGED, the new one must from then on. */
static void test_self_modifying(void)
{
    ToyMachine *machine = toy_new(1);
    ToyState *s = toy_state(machine, 0);

    TOY_CODE(machine, 0x1000, TOY(TOY_CALL, 10, 0, 0x800), /* 0x2000 */
             TOY(TOY_STORE, 4, 5, TOY_ACCESS(0, 2)), TOY(TOY_SYSTEM, 0, 0, TOY_CODE_CHANGED),
             TOY(TOY_CALL, 10, 0, (0x2000 - 0x100c) / 2), TOY(TOY_SYSTEM, 0, 0, TOY_HALT));
    TOY_CODE(machine, 0x2000, TOY(TOY_ADDI, 1, 1, 1), TOY(TOY_JUMP, 0, 10, 0));
    s->r[4] = TOY(TOY_ADDI, 1, 1, 100);
    s->r[5] = 0x2000;
    cpu_run(machine->cpus[0], INT64_MAX);
    g_assert_cmpuint(s->r[1], ==, 101);

    /* By a debugger. */
    uint32_t code = TOY(TOY_ADDI, 1, 1, 1000);
    g_assert_true(cpu_debug_write(machine->cpus[0], 0x2000, &code, sizeof code));
    restart(machine, 0x100c);
    cpu_run(machine->cpus[0], INT64_MAX);
    g_assert_cmpuint(s->r[1], ==, 1101);
    toy_free(machine);
}

/* The same page under two addresses and in two modes: each block is of its address and mode. */
static void test_modes(void)
{
    ToyMachine *machine = toy_new(1);
    ToyState *s = toy_state(machine, 0);

    TOY_CODE(machine, 0x1000, TOY(TOY_ADDI, 1, 1, 5), TOY(TOY_SYSTEM, 0, 0, TOY_SWITCH_MODE), TOY(TOY_BNE, 1, 2, -4),
             TOY(TOY_SYSTEM, 0, 0, TOY_HALT));
    s->r[2] = 5; /* the first addition is enough */
    cpu_run(machine->cpus[0], INT64_MAX);
    g_assert_cmpuint(s->r[1], ==, 5);
    restart(machine, 0x1000);
    s->r[2] = 0; /* the mode is the other one now: subtracts */
    cpu_run(machine->cpus[0], INT64_MAX);
    g_assert_cmpuint(s->r[1], ==, 0);
    check_insns(machine->cpus[0], 8);

    machine->pages[0x20] = 0x1000 | 7;
    TOY_CODE(machine, 0x1000, TOY(TOY_CALL, 6, 0, 2), TOY(TOY_SYSTEM, 0, 0, TOY_HALT));
    cpu_code_changed(machine->cpus[0]);
    restart(machine, 0x1000);
    cpu_run(machine->cpus[0], INT64_MAX);
    g_assert_cmphex(s->r[6], ==, 0x1004);
    restart(machine, 0x20000);
    cpu_run(machine->cpus[0], INT64_MAX);
    g_assert_cmphex(s->r[6], ==, 0x20004);
    toy_free(machine);
}

static void test_interrupts(void)
{
    ToyMachine *machine = toy_new(1);
    ToyState *s = toy_state(machine, 0);
    Cpu *cpu = machine->cpus[0];

    TOY_CODE(machine, 0x100, TOY(TOY_ADDI, 7, 7, 1), TOY(TOY_SYSTEM, 0, 0, TOY_HALT));
    TOY_CODE(machine, 0x1000, TOY(TOY_SYSTEM, 0, 0, TOY_INTERRUPTS_ON), TOY(TOY_ADDI, 1, 1, 1),
             TOY(TOY_SYSTEM, 0, 0, TOY_HALT), TOY(TOY_ADDI, 1, 1, 1), TOY(TOY_SYSTEM, 0, 0, TOY_HALT));
    g_assert_cmpint(cpu_run(cpu, INT64_MAX), ==, CPU_EXIT_HALTED);
    g_assert_cmpuint(s->r[1], ==, 1);
    g_assert_false(cpu_has_work(cpu));
    g_assert_cmpint(cpu_run(cpu, INT64_MAX), ==, CPU_EXIT_HALTED);
    g_assert_cmpuint(s->r[1], ==, 1);
    cpu_line_set(cpu, 1, true);
    g_assert_true(cpu_has_work(cpu));
    g_assert_cmpint(cpu_run(cpu, 2), ==, CPU_EXIT_BUDGET); /* the handler's two; it halts, but the line is still up */
    g_assert_cmpuint(s->cause, ==, TOY_E_INTERRUPT + 1);
    g_assert_cmphex(s->epc, ==, 0x100c);
    g_assert_cmpuint(s->r[7], ==, 1);
    cpu_line_set(cpu, 1, false);

    /* Taken as soon as they are allowed, in front of the next instruction. */
    restart(machine, 0x1000);
    s->status = 0;
    s->r[1] = 0;
    cpu_line_set(cpu, 0, true);
    g_assert_cmpint(cpu_run(cpu, 2), ==, CPU_EXIT_BUDGET);
    g_assert_cmphex(s->epc, ==, 0x1004);
    g_assert_cmpuint(s->r[1], ==, 0);
    g_assert_cmpuint(s->r[7], ==, 2);
    toy_free(machine);
}

static void test_timer(void)
{
    ToyMachine *machine = toy_new(1);
    Cpu *cpu = machine->cpus[0];

    TOY_CODE(machine, 0x1000, TOY(TOY_SYSTEM, 0, 0, TOY_HALT), TOY(TOY_SYSTEM, 0, 0, TOY_HALT));
    g_assert_cmpint(cpu_run(cpu, INT64_MAX), ==, CPU_EXIT_HALTED);
    machine->time = 100;
    g_assert_cmpuint(cpu_time(cpu), ==, 100);
    cpu_timer_set(cpu, 1, 150);
    g_assert_cmpuint(machine->deadline, ==, 150);
    cpu_kick(cpu, CPU_ATTENTION_TIMER); /* too early */
    g_assert_cmpint(cpu_run(cpu, INT64_MAX), ==, CPU_EXIT_HALTED);
    g_assert_cmpuint(machine->timer_calls, ==, 0);
    machine->time = 150;
    cpu_kick(cpu, CPU_ATTENTION_TIMER);
    g_assert_cmpint(cpu_run(cpu, 1), ==, CPU_EXIT_BUDGET);
    cpu_kick(cpu, CPU_ATTENTION_TIMER);
    cpu_run(cpu, 0);
    g_assert_cmpuint(machine->timer_calls, ==, 1);
    g_assert_cmpuint(atomic_load(&cpu->lines), ==, 2);
    toy_free(machine);
}

static void test_step(void)
{
    ToyMachine *machine = loop_machine(3);
    Cpu *cpu = machine->cpus[0];
    static const uint64_t pcs[] = { 0x1004, 0x1000, 0x1004, 0x1000, 0x1004, 0x1008, 0x100 };

    cpu->single_step = true;
    cpu->exceptions_exit = false;
    for (unsigned i = 0; i < ARRAY_SIZE(pcs); i++) {
        g_assert_cmpint(cpu_run(cpu, INT64_MAX), ==, CPU_EXIT_DEBUG);
        g_assert_cmphex(toy_state(machine, 0)->pc, ==, pcs[i]);
    }
    check_insns(cpu, 6);
    toy_free(machine);
}

static void test_breakpoint(void)
{
    ToyMachine *machine = toy_new(1);

    TOY_CODE(machine, 0x1000, TOY(TOY_ADDI, 1, 1, 1), TOY(TOY_SYSTEM, 0, 0, TOY_BREAK));
    g_assert_cmpint(cpu_run(machine->cpus[0], INT64_MAX), ==, CPU_EXIT_DEBUG);
    g_assert_cmphex(toy_state(machine, 0)->pc, ==, 0x1004);
    check_insns(machine->cpus[0], 1);
    toy_free(machine);
}

static void test_stop(void)
{
    ToyMachine *machine = loop_machine(UINT64_MAX);

    cpu_stop(machine->cpus[0]);
    g_assert_cmpint(cpu_run(machine->cpus[0], INT64_MAX), ==, CPU_EXIT_STOPPED);
    check_insns(machine->cpus[0], 0);
    g_assert_cmpint(cpu_run(machine->cpus[0], 10), ==, CPU_EXIT_BUDGET);
    toy_free(machine);
}

static void set_pc(Cpu *cpu, void *data)
{
    ((ToyState *)cpu_state(cpu))->pc = (uintptr_t)data;
}

static void test_power(void)
{
    ToyMachine *machine = toy_new(1);
    Cpu *cpu = machine->cpus[0];

    TOY_CODE(machine, 0x1000, TOY(TOY_SYSTEM, 0, 0, TOY_POWER_OFF), TOY(TOY_ADDI, 1, 1, 1));
    TOY_CODE(machine, 0x2000, TOY(TOY_ADDI, 1, 1, 7), TOY(TOY_SYSTEM, 0, 0, TOY_HALT));
    g_assert_cmpint(cpu_run(cpu, INT64_MAX), ==, CPU_EXIT_HALTED);
    check_insns(cpu, 1);
    cpu_line_set(cpu, 0, true);
    g_assert_cmpint(cpu_run(cpu, INT64_MAX), ==, CPU_EXIT_HALTED);
    g_assert_false(cpu_has_work(cpu));
    check_insns(cpu, 1);
    cpu_line_set(cpu, 0, false);
    cpu_power_on(cpu, set_pc, (void *)(uintptr_t)0x2000);
    g_assert_true(cpu_has_work(cpu));
    g_assert_cmpint(cpu_run(cpu, INT64_MAX), ==, CPU_EXIT_HALTED);
    g_assert_cmpuint(toy_state(machine, 0)->r[1], ==, 7);
    toy_free(machine);
}

static bool claim_read(Cpu *cpu, void *owner, uint32_t number, uint64_t *value)
{
    *value = *(uint64_t *)owner + number;
    return number != 12;
}

static bool claim_write(Cpu *cpu, void *owner, uint32_t number, uint64_t value)
{
    *(uint64_t *)owner = value;
    return true;
}

static void test_claims(void)
{
    ToyMachine *machine = toy_new(1);
    Cpu *cpu = machine->cpus[0];
    uint64_t owner = 100, value;

    cpu_claim_registers(cpu, &(CpuRegisterClaim){ 10, 12, claim_read, claim_write, &owner });
    cpu_claim_registers(cpu, &(CpuRegisterClaim){ 20, 20, claim_read, NULL, &owner });
    g_assert_false(cpu_claimed_read(cpu, 9, &value));
    g_assert_true(cpu_claimed_read(cpu, 11, &value));
    g_assert_cmpuint(value, ==, 111);
    g_assert_false(cpu_claimed_read(cpu, 12, &value));
    g_assert_false(cpu_claimed_read(cpu, 13, &value));
    g_assert_true(cpu_claimed_write(cpu, 10, 7));
    g_assert_false(cpu_claimed_write(cpu, 20, 8));
    g_assert_cmpuint(owner, ==, 7);
    toy_free(machine);
}

static void test_registry(void)
{
    AUTO_ERROR(error);
    g_assert_true(guest_find("toy", NULL) == &toy_guest);
    g_assert_null(guest_find("to", &error));
    g_assert_cmpstr(error_message(error), ==, "there is no guest 'to' in this build; did you mean 'toy'?");
}

/* What -d shows: code, IR, each block that runs. */
static void test_logs(void)
{
    ToyMachine *machine = loop_machine(3);
    g_autofree char *name = g_build_filename(g_get_tmp_dir(), "cpu-log-XXXXXX", NULL), *text = NULL;
    int fd = g_mkstemp(name);

    g_assert_cmpint(fd, >=, 0);
    g_close(fd, NULL);
    g_assert_true(log_set_file(machine->log, name, NULL));
    g_assert_true(log_set_items(machine->log, "in_asm,op,exec,cpu", NULL));
    cpu_run(machine->cpus[0], INT64_MAX);
    log_set_items(machine->log, "none", NULL);
    g_assert_true(log_set_file(machine->log, NULL, NULL));
    g_assert_true(g_file_get_contents(name, &text, NULL, NULL));
    g_assert_nonnull(strstr(text, "IN:\n0x0000000000001000:  00011100          op 0\n"));
    g_assert_nonnull(strstr(text, "block 0x1000: 2 insns, 8 bytes\n"));
    g_assert_nonnull(strstr(text, "branch %"));
    unsigned traces = 0;
    for (const char *at = text; (at = strstr(at, "Trace 0: 0x0000000000001000")); at++) {
        traces++;
    }
    g_assert_cmpuint(traces, ==, 3);
    g_assert_nonnull(strstr(text, "pc 1000 r1 2\n"));
    g_unlink(name);
    toy_free(machine);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, function) g_test_add_func("/cpu/run/" name, function)
    ADD("loop", test_loop);
    ADD("budget", test_budget);
    ADD("budget-cuts", test_budget_cuts);
    ADD("count", test_count);
    ADD("six-arguments", test_six_arguments);
    ADD("exceptions", test_exceptions);
    ADD("endless-traps", test_endless_traps);
    ADD("fetch-across-pages", test_fetch_across_pages);
    ADD("fetch-from-device", test_fetch_from_device);
    ADD("self-modifying", test_self_modifying);
    ADD("modes", test_modes);
    ADD("interrupts", test_interrupts);
    ADD("timer", test_timer);
    ADD("step", test_step);
    ADD("breakpoint", test_breakpoint);
    ADD("stop", test_stop);
    ADD("power", test_power);
    ADD("claims", test_claims);
    ADD("registry", test_registry);
    ADD("logs", test_logs);
    return g_test_run();
}
