/* Several vCPUs on threads of their own: atomics, load-linked pairs, exclusive sections, flushes, waking up. Made to
 * run under ThreadSanitizer. */
#include "toy.h"

#include "base/bytes.h"
#include "base/host/host.h"
#include "base/thread.h"

#include <glib.h>

enum { CPUS = 4 };

typedef struct Runner {
    Cpu *cpu;
    Thread thread;
    bool wait; /* sleeps while halted, until it is stopped */
    CpuExit exit;
} Runner;

static void *run(void *argument)
{
    Runner *runner = argument;

    for (;;) {
        runner->exit = cpu_run(runner->cpu, INT64_MAX);
        if (runner->exit != CPU_EXIT_HALTED || !runner->wait) {
            return NULL;
        }
        cpu_wait(runner->cpu, INT64_MAX);
    }
}

static void start(ToyMachine *machine, Runner runners[CPUS], bool wait)
{
    for (unsigned i = 0; i < machine->cpu_count; i++) {
        runners[i] = (Runner){ .cpu = machine->cpus[i], .wait = wait };
        g_assert_true(thread_start(&runners[i].thread, "vcpu", run, &runners[i], NULL));
    }
}

static void join(ToyMachine *machine, Runner runners[CPUS])
{
    for (unsigned i = 0; i < machine->cpu_count; i++) {
        thread_join(&runners[i].thread);
    }
}

/* Each vCPU runs `body` (which r1 counts), r2 times. */
static ToyMachine *hammer(const uint32_t *body, unsigned length, uint64_t rounds)
{
    ToyMachine *machine = toy_new(CPUS);
    Runner runners[CPUS];
    uint32_t tail[] = { TOY(TOY_ADDI, 1, 1, 1), TOY(TOY_BNE, 1, 2, -2 * (int)(length + 1)),
                        TOY(TOY_SYSTEM, 0, 0, TOY_HALT) };

    toy_code(machine, 0x1000, body, length);
    toy_code(machine, 0x1000 + 4 * length, tail, ARRAY_SIZE(tail));
    for (unsigned i = 0; i < CPUS; i++) {
        ToyState *s = toy_state(machine, i);
        s->r[2] = rounds;
        s->r[9] = 0x8000;
        s->r[10] = 1;
    }
    start(machine, runners, false);
    join(machine, runners);
    return machine;
}
#define HAMMER(rounds, ...) \
    hammer((const uint32_t[]){ __VA_ARGS__ }, ARRAY_SIZE(((const uint32_t[]){ __VA_ARGS__ })), rounds)

static void test_add(void)
{
    ToyMachine *machine = HAMMER(20000, TOY(TOY_AMOADD, 3, 9, 10));
    g_assert_cmpuint(load_le64(machine->ram + 0x8000), ==, CPUS * 20000);
    toy_free(machine);
}

/* A load-linked pair that is tried again until it holds. */
static void test_linked(void)
{
    ToyMachine *machine = HAMMER(5000, TOY(TOY_LR, 3, 9, 0), TOY(TOY_ADDI, 3, 3, 1), TOY(TOY_SC, 4, 9, 3),
                                 TOY(TOY_BNE, 4, 0, -6));
    g_assert_cmpuint(load_le64(machine->ram + 0x8000), ==, CPUS * 5000);
    toy_free(machine);
}

/* Across a page's edge, in exclusive sections, mixed with aligned ones on the bytes beside. */
static void test_misaligned(void)
{
    ToyMachine *machine =
        HAMMER(1000, TOY(TOY_ADDI, 11, 9, 0xffe), TOY(TOY_AMOADD4, 3, 11, 10), TOY(TOY_AMOADD, 3, 9, 10));
    g_assert_cmpuint(load_le32(machine->ram + 0x8ffe), ==, CPUS * 1000);
    g_assert_cmpuint(load_le64(machine->ram + 0x8000), ==, CPUS * 1000);
    toy_free(machine);
}

/* 16 bytes at a time: both halves count together, whoever reads them. */
static void test_wide(void)
{
    ToyMachine *machine =
        HAMMER(500, TOY(TOY_LOAD16, 4, 9, 0), TOY(TOY_BNE, 4, 5, 20), TOY(TOY_ADDI, 6, 4, 1), TOY(TOY_ADDI, 7, 5, 1),
               TOY(TOY_CAS, 11, 9, 4), TOY(TOY_BNE, 11, 4, -10), TOY(TOY_BNE, 12, 5, -12), TOY(TOY_BEQ, 0, 0, 8),
               TOY(TOY_SYSTEM, 0, 0, TOY_HALT), TOY(TOY_SYSTEM, 0, 0, TOY_HALT), TOY(TOY_SYSTEM, 0, 0, TOY_HALT));
    g_assert_cmpuint(load_le64(machine->ram + 0x8000), ==, CPUS * 500);
    g_assert_cmpuint(load_le64(machine->ram + 0x8008), ==, CPUS * 500);
    toy_free(machine);
}

/* One writes code, through another mapping, and says so; the other one, told of changes, runs nothing older. */
static void test_code_by_another(void)
{
    enum { ROUNDS = 1000, WRITER = 0x1000, RUNNER = 0x2000, CODE = 0x3000, WINDOW = 0x6000, SAID = 0x8000 };
    ToyMachine *machine = toy_new(2);
    Runner runners[CPUS];

    TOY_CODE(machine, WRITER, TOY(TOY_ADD, 6, 6, 7), TOY(TOY_ADDI, 8, 8, 1), TOY(TOY_STORE, 6, 13, TOY_ACCESS(0, 2)),
             TOY(TOY_STORE, 8, 9, TOY_ACCESS(0, 3)), TOY(TOY_LOAD, 3, 9, TOY_ACCESS(8, 3)),
             TOY(TOY_SYSTEM, 0, 0, TOY_YIELD), TOY(TOY_BNE, 3, 8, -4), TOY(TOY_BNE, 8, 2, -14),
             TOY(TOY_SYSTEM, 0, 0, TOY_HALT));
    TOY_CODE(machine, RUNNER, TOY(TOY_LOAD, 3, 9, TOY_ACCESS(0, 3)), TOY(TOY_SYSTEM, 0, 0, TOY_YIELD),
             TOY(TOY_BEQ, 3, 8, -4), TOY(TOY_ADDI, 8, 3, 0), TOY(TOY_SYSTEM, 0, 0, TOY_CODE_CHANGED),
             TOY(TOY_CALL, 10, 0, (CODE - RUNNER - 20) / 2), TOY(TOY_BEQ, 5, 8, 4), TOY(TOY_ADDI, 15, 15, 1),
             TOY(TOY_STORE, 8, 9, TOY_ACCESS(8, 3)), TOY(TOY_BNE, 8, 2, -18), TOY(TOY_SYSTEM, 0, 0, TOY_HALT));
    TOY_CODE(machine, CODE, TOY(TOY_ADDI, 5, 0, 0), TOY(TOY_JUMP, 0, 10, 0));
    machine->pages[WINDOW / TOY_PAGE] = CODE | 7;
    for (unsigned i = 0; i < 2; i++) {
        ToyState *s = toy_state(machine, i);
        s->pc = i ? RUNNER : WRITER;
        s->r[2] = ROUNDS;
        s->r[6] = TOY(TOY_ADDI, 5, 0, 0);
        s->r[7] = 0x10000; /* one more of the immediate */
        s->r[9] = SAID;
        s->r[13] = WINDOW;
    }
    start(machine, runners, false);
    join(machine, runners);
    g_assert_cmpuint(toy_state(machine, 1)->r[8], ==, ROUNDS);
    g_assert_cmpuint(toy_state(machine, 1)->r[15], ==, 0); /* times that something older ran */
    toy_free(machine);
}

/* Exclusive sections. */

typedef struct Section {
    unsigned inside, runs; /* not atomic: nobody else may be here */
} Section;

static void nested_body(Cpu *cpu, void *data)
{
    Section *section = data;
    section->runs++;
}

static void section_body(Cpu *cpu, void *data)
{
    Section *section = data;

    g_assert_cmpuint(section->inside++, ==, 0);
    section->runs++;
    cpu_exclusive(cpu, nested_body, section);
    section->inside--;
}

static void post_section(Cpu *cpu, void *data)
{
    cpu_exclusive(cpu, section_body, data);
}

/* Asked for within posted work of vCPUs that run and that halt, and by a vCPU that nobody runs. */
static void test_exclusive(void)
{
    ToyMachine *machine = toy_new(CPUS);
    Runner runners[CPUS];
    Section section = { 0 };

    TOY_CODE(machine, 0x1000, TOY(TOY_AMOADD4, 3, 9, 10), TOY(TOY_BEQ, 0, 0, -2));
    TOY_CODE(machine, 0x2000, TOY(TOY_SYSTEM, 0, 0, TOY_HALT));
    for (unsigned i = 0; i < CPUS; i++) {
        toy_state(machine, i)->r[9] = 0x8001; /* misaligned: each of them a section too */
        toy_state(machine, i)->r[10] = 1;
        toy_state(machine, i)->pc = i < 2 ? 0x1000 : 0x2000;
    }
    machine->cpu_count = CPUS - 1; /* the last one is this thread's */
    start(machine, runners, true);
    for (unsigned round = 0; round < 100; round++) {
        for (unsigned i = 0; i < CPUS - 1; i++) {
            cpu_post(machine->cpus[i], post_section, &section);
        }
        cpu_exclusive(machine->cpus[CPUS - 1], section_body, &section);
    }
    for (unsigned i = 0; i < CPUS - 1; i++) {
        cpu_stop(machine->cpus[i]);
    }
    join(machine, runners);
    for (unsigned i = 0; i < CPUS - 1; i++) { /* what was posted last may have met the stop */
        cpu_run(machine->cpus[i], 0);
    }
    g_assert_cmpuint(section.runs, ==, CPUS * 100 * 2);
    machine->cpu_count = CPUS;
    toy_free(machine);
}

/* Once a flush has been asked for, a vCPU that goes on to another block sees the new page. */
static void test_flush(void)
{
    ToyMachine *machine = toy_new(CPUS);
    Runner runners[CPUS];

    /* Load from the page that changes, publish, count. */
    TOY_CODE(machine, 0x1000, TOY(TOY_LOAD, 3, 9, TOY_ACCESS(0, 3)), TOY(TOY_STORE, 3, 8, TOY_ACCESS(0, 3)),
             TOY(TOY_ADDI, 1, 1, 1), TOY(TOY_STORE, 1, 8, TOY_ACCESS(8, 3)), TOY(TOY_BEQ, 0, 0, -8));
    for (uint64_t i = 0; i < 2; i++) {
        store_le64(machine->ram + 0xa000 + i * TOY_PAGE, i);
    }
    for (unsigned i = 0; i < CPUS; i++) {
        toy_state(machine, i)->r[9] = 0x20000;
        toy_state(machine, i)->r[8] = 0x8000 + 64 * i;
    }
    machine->pages[0x20] = 0xa000 | 7;
    start(machine, runners, false);
    for (uint64_t round = 1; round < 40; round++) {
        machine->pages[0x20] = (0xa000 + round % 2 * TOY_PAGE) | 7;
        cpu_group_tlb_flush(machine->group);
        for (unsigned i = 0; i < CPUS; i++) {
            uint64_t *count = (uint64_t *)(machine->ram + 0x8008 + 64 * i);
            uint64_t before = __atomic_load_n(count, __ATOMIC_ACQUIRE);
            while (__atomic_load_n(count, __ATOMIC_ACQUIRE) < before + 2) { /* one block may have been under way */
                g_thread_yield();
            }
            g_assert_cmpuint(__atomic_load_n((uint64_t *)(machine->ram + 0x8000 + 64 * i), __ATOMIC_ACQUIRE), ==,
                             round % 2);
        }
    }
    for (unsigned i = 0; i < CPUS; i++) {
        cpu_stop(machine->cpus[i]);
    }
    join(machine, runners);
    toy_free(machine);
}

enum { FUNCTIONS = 6, FUNCTION_BYTES = 32, RING = 0x6000 };

/* At `page`: function n puts `value` + n where r8 says, counts, and goes back. */
static void write_functions(ToyMachine *machine, uint64_t page, unsigned value)
{
    for (unsigned i = 0; i < FUNCTIONS; i++) {
        TOY_CODE(machine, page + i * FUNCTION_BYTES, TOY(TOY_ADDI, 3, 0, value + i),
                 TOY(TOY_STORE, 3, 8, TOY_ACCESS(8 * i, 3)), TOY(TOY_ADDI, 1, 1, 1),
                 TOY(TOY_STORE, 1, 8, TOY_ACCESS(56, 3)), TOY(TOY_JUMP, 0, 11, 0));
    }
}

/* Each vCPU has done what it was at, and all that there is to do once more. */
static void wait_for_rounds(ToyMachine *machine, unsigned functions)
{
    for (unsigned i = 0; i < machine->cpu_count; i++) {
        uint64_t *count = (uint64_t *)(machine->ram + 0x8038 + 64 * i);
        uint64_t before = __atomic_load_n(count, __ATOMIC_ACQUIRE);
        while (__atomic_load_n(count, __ATOMIC_ACQUIRE) < before + functions + 2) {
            g_thread_yield();
        }
    }
}

static void check_rounds(ToyMachine *machine, unsigned functions, uint64_t value)
{
    wait_for_rounds(machine, functions);
    for (unsigned i = 0; i < machine->cpu_count * functions; i++) {
        uint64_t *seen = (uint64_t *)(machine->ram + 0x8000 + 64 * (i / functions) + 8 * (i % functions));
        g_assert_cmpuint(__atomic_load_n(seen, __ATOMIC_ACQUIRE), ==, value + i % functions);
    }
}

/* One indirect jump of several vCPUs has few targets or many; they are mapped elsewhere, and change. */
static void jump_around(unsigned functions)
{
    ToyMachine *machine = toy_new(CPUS);
    Runner runners[CPUS];

    TOY_CODE(machine, 0x1000, TOY(TOY_LOAD, 6, 9, TOY_ACCESS(0, 3)), TOY(TOY_LOAD, 9, 9, TOY_ACCESS(8, 3)),
             TOY(TOY_JUMP, 0, 6, 0));
    for (unsigned i = 0; i < functions; i++) {
        store_le64(machine->ram + RING + 16 * i, 0x20000 + i * FUNCTION_BYTES);
        store_le64(machine->ram + RING + 16 * i + 8, RING + 16 * ((i + 1) % functions));
    }
    for (unsigned i = 0; i < CPUS; i++) {
        toy_state(machine, i)->r[8] = 0x8000 + 64 * i;
        toy_state(machine, i)->r[9] = RING;
        toy_state(machine, i)->r[11] = 0x1000;
    }
    write_functions(machine, 0xa000, 100);
    write_functions(machine, 0xb000, 200);
    machine->pages[0x20] = 0xa000 | 7;
    start(machine, runners, false);
    check_rounds(machine, functions, 100);
    for (unsigned round = 0; round < 20; round++) {
        machine->pages[0x20] = 0xb000 | 7;
        cpu_group_tlb_flush(machine->group);
        check_rounds(machine, functions, 200 + round);
        machine->pages[0x20] = 0xa000 | 7;
        cpu_group_tlb_flush(machine->group);
        check_rounds(machine, functions, 100);
        write_functions(machine, 0xb000, 201 + round); /* nobody is there */
        cpu_group_code_changed(machine->group);
    }
    for (unsigned i = 0; i < CPUS; i++) {
        cpu_stop(machine->cpus[i]);
    }
    join(machine, runners);
    toy_free(machine);
}

static void test_sites(void)
{
    jump_around(1);
    jump_around(3);
    jump_around(FUNCTIONS);
}

/* One vCPU changes code, others run it: each comes to run the new one after it was told. */
static void test_code(void)
{
    ToyMachine *machine = toy_new(2);
    Runner runners[CPUS];
    uint64_t *seen = (uint64_t *)(machine->ram + 0x8000);

    TOY_CODE(machine, 0x1000, TOY(TOY_ADDI, 3, 0, 1), TOY(TOY_STORE, 3, 8, TOY_ACCESS(0, 3)), TOY(TOY_BEQ, 0, 0, -4));
    toy_state(machine, 0)->r[8] = toy_state(machine, 1)->r[8] = 0x8000;
    start(machine, runners, false);
    for (unsigned round = 1; round < 20; round++) {
        __atomic_store_n((uint32_t *)(machine->ram + 0x1000), TOY(TOY_ADDI, 3, 0, round), __ATOMIC_RELEASE);
        cpu_group_code_changed(machine->group);
        while (__atomic_load_n(seen, __ATOMIC_ACQUIRE) != round) {
            g_thread_yield();
        }
    }
    cpu_stop(machine->cpus[0]);
    cpu_stop(machine->cpus[1]);
    join(machine, runners);
    toy_free(machine);
}

/* Halted vCPUs are woken by their line, run their handler, and halt again. */
static void test_wake(void)
{
    ToyMachine *machine = toy_new(CPUS);
    Runner runners[CPUS];

    TOY_CODE(machine, 0x100, TOY(TOY_AMOADD, 3, 9, 10), TOY(TOY_LOAD, 4, 11, TOY_ACCESS(0, 3)), TOY(TOY_BNE, 4, 12, -2),
             TOY(TOY_ADDI, 12, 12, 1), TOY(TOY_SYSTEM, 0, 0, TOY_RETURN));
    TOY_CODE(machine, 0x1000, TOY(TOY_SYSTEM, 0, 0, TOY_INTERRUPTS_ON), TOY(TOY_SYSTEM, 0, 0, TOY_HALT),
             TOY(TOY_BEQ, 0, 0, -2));
    for (unsigned i = 0; i < CPUS; i++) {
        ToyState *s = toy_state(machine, i);
        s->r[9] = 0x8000;   /* counts interrupts */
        s->r[10] = 1;
        s->r[11] = 0x8008;  /* the handler waits until this is r12: its line is down again then */
        s->r[12] = 1;
    }
    start(machine, runners, true);
    uint64_t *count = (uint64_t *)(machine->ram + 0x8000), *done = (uint64_t *)(machine->ram + 0x8008);
    for (uint64_t round = 1; round <= 20; round++) {
        for (unsigned i = 0; i < CPUS; i++) {
            cpu_line_set(machine->cpus[i], i, true);
        }
        while (__atomic_load_n(count, __ATOMIC_ACQUIRE) != round * CPUS) {
            g_thread_yield();
        }
        for (unsigned i = 0; i < CPUS; i++) {
            cpu_line_set(machine->cpus[i], i, false);
        }
        __atomic_store_n(done, round, __ATOMIC_RELEASE);
    }
    for (unsigned i = 0; i < CPUS; i++) {
        cpu_stop(machine->cpus[i]);
    }
    join(machine, runners);
    toy_free(machine);
}

/* A stop always comes through, whether the vCPU runs, sleeps or is about to. */
static void test_stop(void)
{
    ToyMachine *machine = toy_new(CPUS);
    Runner runners[CPUS];

    TOY_CODE(machine, 0x1000, TOY(TOY_BEQ, 0, 0, 0));
    TOY_CODE(machine, 0x2000, TOY(TOY_SYSTEM, 0, 0, TOY_HALT));
    for (unsigned round = 0; round < 30; round++) {
        for (unsigned i = 0; i < CPUS; i++) {
            toy_state(machine, i)->pc = i % 2 ? 0x1000 : 0x2000;
        }
        start(machine, runners, true);
        for (unsigned i = 0; i < CPUS; i++) {
            cpu_stop(machine->cpus[i]);
        }
        join(machine, runners);
        for (unsigned i = 0; i < CPUS; i++) {
            g_assert_cmpint(runners[i].exit, ==, CPU_EXIT_STOPPED);
        }
    }
    toy_free(machine);
}

static void test_wait_deadline(void)
{
    ToyMachine *machine = toy_new(1);
    int64_t begin = host_monotonic_ns();

    machine->cpus[0]->halted = true;
    cpu_wait(machine->cpus[0], begin + 5000000);
    g_assert_cmpint(host_monotonic_ns(), >=, begin + 5000000);
    cpu_kick(machine->cpus[0], CPU_ATTENTION_INTERRUPT);
    cpu_wait(machine->cpus[0], INT64_MAX);
    toy_free(machine);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, function) g_test_add_func("/cpu/threads/" name, function)
    ADD("add", test_add);
    ADD("linked", test_linked);
    ADD("misaligned", test_misaligned);
    ADD("wide", test_wide);
    ADD("exclusive", test_exclusive);
    ADD("flush", test_flush);
    ADD("code", test_code);
    ADD("sites", test_sites);
    ADD("code-by-another", test_code_by_another);
    ADD("wake", test_wake);
    ADD("stop", test_stop);
    ADD("wait-deadline", test_wait_deadline);
    return g_test_run();
}
