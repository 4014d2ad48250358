/* The code cache: what is translated once, linked, dropped and taken back. With TOY_ENGINE=code alone. */
#include "fake_host.h"
#include "toy.h"

#include "base/thread.h"
#include "cpu/code.h"

#include <glib.h>

static void restart(ToyMachine *machine, unsigned index, uint64_t pc)
{
    machine->cpus[index]->halted = false;
    toy_state(machine, index)->pc = pc;
}

static void free_machine(ToyMachine *machine)
{
    toy_free(machine);
    fake_host_free();
}

/* Runs from pc on until it halts; how many blocks had to be made. */
static unsigned run(ToyMachine *machine, unsigned index, uint64_t pc)
{
    unsigned before = fake_host_compiled();

    restart(machine, index, pc);
    g_assert_cmpint(cpu_run(machine->cpus[index], INT64_MAX), ==, CPU_EXIT_HALTED);
    return fake_host_compiled() - before;
}

static void count_loop(ToyMachine *machine, uint64_t address)
{
    TOY_CODE(machine, address, TOY(TOY_ADDI, 1, 1, 1), TOY(TOY_BNE, 1, 2, -2), TOY(TOY_SYSTEM, 0, 0, TOY_HALT));
}

/* Each vCPU finds what another has made. */
static void test_shared(void)
{
    ToyMachine *machine = toy_new(2);

    count_loop(machine, 0x1000);
    toy_state(machine, 0)->r[2] = toy_state(machine, 1)->r[2] = 100;
    g_assert_cmpuint(run(machine, 0, 0x1000), >, 0);
    g_assert_cmpuint(run(machine, 1, 0x1000), ==, 0);
    g_assert_cmpuint(toy_state(machine, 1)->r[1], ==, 100);
    free_machine(machine);
}

/* Told of changes, a vCPU drops what changed and keeps the rest. */
static void test_changes(void)
{
    ToyMachine *machine = toy_new(1);
    Cpu *cpu = machine->cpus[0];

    TOY_CODE(machine, 0x1000, TOY(TOY_CALL, 10, 0, 0x800), TOY(TOY_SYSTEM, 0, 0, TOY_HALT));
    TOY_CODE(machine, 0x2000, TOY(TOY_ADDI, 1, 1, 1), TOY(TOY_JUMP, 0, 10, 0));
    unsigned all = run(machine, 0, 0x1000);
    g_assert_cmpuint(run(machine, 0, 0x1000), ==, 0);
    cpu_code_changed(cpu);
    g_assert_cmpuint(run(machine, 0, 0x1000), ==, 0);
    g_assert_cmpuint(toy_state(machine, 0)->r[1], ==, 3);
    TOY_CODE(machine, 0x2000, TOY(TOY_ADDI, 1, 1, 100));
    cpu_code_changed(cpu);
    unsigned again = run(machine, 0, 0x1000);
    g_assert_cmpuint(again, ==, 1);
    g_assert_cmpuint(again, <, all);
    g_assert_cmpuint(toy_state(machine, 0)->r[1], ==, 103);
    free_machine(machine);
}

/* Predictions stay where what they rely on is as it was, and go where it is not, whoever finds that first. */
static void test_fences(void)
{
    ToyMachine *machine = toy_new(2);
    const CodeLookups *lookups = code_lookups(machine->cpus[0]);

    TOY_CODE(machine, 0x1000, TOY(TOY_CALL, 10, 0, 0x800), TOY(TOY_SYSTEM, 0, 0, TOY_HALT));
    TOY_CODE(machine, 0x2000, TOY(TOY_ADDI, 1, 1, 1), TOY(TOY_JUMP, 0, 10, 0));
    run(machine, 0, 0x1000);
    run(machine, 0, 0x1000);
    uint64_t forgotten = lookups->forgotten, found = lookups->found, linked = lookups->linked;
    for (unsigned i = 0; i < 10; i++) {
        cpu_code_changed(machine->cpus[0]);
        run(machine, 0, 0x1000);
    }
    g_assert_cmpuint(lookups->forgotten, ==, forgotten);
    g_assert_cmpuint(lookups->found + lookups->linked, ==, found + linked);
    TOY_CODE(machine, 0x2000, TOY(TOY_ADDI, 1, 1, 100));
    cpu_code_changed(machine->cpus[1]);
    g_assert_cmpuint(run(machine, 1, 0x1000), ==, 1); /* this one finds it, and drops the block */
    g_assert_cmpuint(toy_state(machine, 1)->r[1], ==, 100);
    toy_state(machine, 0)->r[1] = 0;
    cpu_code_changed(machine->cpus[0]);
    g_assert_cmpuint(run(machine, 0, 0x1000), ==, 0);
    g_assert_cmpuint(toy_state(machine, 0)->r[1], ==, 100);
    g_assert_cmpuint(lookups->forgotten, ==, forgotten + 1);
    free_machine(machine);
}

/* The same of so many pages that they are not all compared at once. */
static void test_fences_of_many(void)
{
    enum { PAGES = 100 };
    ToyMachine *machine = toy_new(1);

    for (unsigned i = 0; i < PAGES; i++) {
        TOY_CODE(machine, 0x10000 + i * 0x1000, TOY(TOY_ADDI, 1, 1, 1), TOY(TOY_CALL, 10, 0, 0x7fe));
    }
    TOY_CODE(machine, 0x10000 + PAGES * 0x1000, TOY(TOY_SYSTEM, 0, 0, TOY_HALT));
    run(machine, 0, 0x10000);
    for (unsigned i = 0; i < PAGES; i++) {
        TOY_CODE(machine, 0x10000 + i * 0x1000, TOY(TOY_ADDI, 1, 1, 1 + i));
        cpu_code_changed(machine->cpus[0]);
        toy_state(machine, 0)->r[1] = 0;
        g_assert_cmpuint(run(machine, 0, 0x10000), ==, !!i);
        g_assert_cmpuint(toy_state(machine, 0)->r[1], ==, PAGES + i * (i + 1) / 2);
    }
    free_machine(machine);
}

/* A new space knows the code on the pages that all have, until such a page goes. */
static void test_shared_pages(void)
{
    ToyMachine *machine = toy_new(1);
    Cpu *cpu = machine->cpus[0];
    const CodeLookups *lookups = code_lookups(cpu);

    TOY_CODE(machine, 0x1000, TOY(TOY_ADDI, 11, 0, 0x2000), TOY(TOY_ADDI, 10, 0, 0x100c), TOY(TOY_JUMP, 0, 11, 0),
             TOY(TOY_SYSTEM, 0, 0, TOY_HALT));
    TOY_CODE(machine, 0x2000, TOY(TOY_ADDI, 1, 1, 1), TOY(TOY_JUMP, 0, 10, 0));
    TOY_CODE(machine, 0x3000, TOY(TOY_ADDI, 1, 1, 10), TOY(TOY_JUMP, 0, 10, 0));
    machine->pages[1] |= TOY_GLOBAL;
    machine->pages[2] |= TOY_GLOBAL;
    run(machine, 0, 0x1000);
    uint64_t found = lookups->found + lookups->linked;
    for (uint64_t space = 1; space < 12; space++) {
        machine->space = space;
        cpu_tlb_select(cpu);
        g_assert_cmpuint(run(machine, 0, 0x1000), ==, 0);
        cpu_tlb_drop(cpu, &(TlbScope){ .modes = UINT32_MAX, .one_space = true, .space = space,
                                       .space_mask = UINT64_MAX });
        g_assert_cmpuint(run(machine, 0, 0x1000), ==, 0);
    }
    g_assert_cmpuint(lookups->found + lookups->linked, ==, found);
    machine->pages[2] = 0x3000 | 7 | TOY_GLOBAL;
    cpu_tlb_flush_page(cpu, 0x2000, UINT32_MAX);
    for (uint64_t space = 0; space < 12; space++) {
        machine->space = space;
        cpu_tlb_select(cpu);
        toy_state(machine, 0)->r[1] = 0;
        run(machine, 0, 0x1000);
        g_assert_cmpuint(toy_state(machine, 0)->r[1], ==, 10);
    }
    free_machine(machine);
}

/* A link across pages holds while the page is mapped as it was, and no longer. */
static void test_remapped(void)
{
    ToyMachine *machine = toy_new(1);
    Cpu *cpu = machine->cpus[0];

    TOY_CODE(machine, 0x1000, TOY(TOY_CALL, 10, 0, 0x800), TOY(TOY_BNE, 1, 2, -2), TOY(TOY_SYSTEM, 0, 0, TOY_HALT));
    TOY_CODE(machine, 0x2000, TOY(TOY_ADDI, 1, 1, 1), TOY(TOY_JUMP, 0, 10, 0));
    TOY_CODE(machine, 0x3000, TOY(TOY_ADDI, 1, 1, 10), TOY(TOY_JUMP, 0, 10, 0));
    toy_state(machine, 0)->r[2] = 50;
    run(machine, 0, 0x1000);
    for (unsigned i = 0; i < 6; i++) {
        bool other = i % 2;
        machine->pages[2] = (other ? 0x3000 : 0x2000) | 7;
        cpu_tlb_flush_page(cpu, 0x2000, UINT32_MAX);
        toy_state(machine, 0)->r[1] = 0;
        unsigned made = run(machine, 0, 0x1000);
        g_assert_cmpuint(toy_state(machine, 0)->r[1], ==, 50);
        g_assert_cmpuint(made, ==, i == 1); /* each once */
    }
    free_machine(machine);
}

/* Programs at the same addresses in spaces of their own call each their own page, whatever was predicted in another. */
static void test_spaces(void)
{
    ToyMachine *machine = toy_new(1);
    Cpu *cpu = machine->cpus[0];

    TOY_CODE(machine, 0x1000, TOY(TOY_CALL, 10, 0, 0x800), TOY(TOY_BNE, 1, 2, -2), TOY(TOY_SYSTEM, 0, 0, TOY_HALT));
    for (uint64_t space = 0; space < 3; space++) {
        TOY_CODE(machine, 0x3000 + space * 0x1000, TOY(TOY_ADDI, 1, 1, 1 + (unsigned)space * 2),
                 TOY(TOY_JUMP, 0, 10, 0));
    }
    toy_state(machine, 0)->r[2] = 45;
    for (unsigned i = 0; i < 9; i++) {
        machine->space = i % 3;
        machine->pages[2] = (0x3000 + machine->space * 0x1000) | 7;
        cpu_tlb_select(cpu);
        toy_state(machine, 0)->r[1] = 0;
        unsigned made = run(machine, 0, 0x1000);
        g_assert_cmpuint(toy_state(machine, 0)->r[1], ==, 45);
        g_assert_true(i < 3 ? made : !made);
    }
    free_machine(machine);
}

/* What a user program unmaps. */
static void test_dropped_range(void)
{
    ToyMachine *machine = toy_new(1);
    BusPage page;

    count_loop(machine, 0x1000);
    count_loop(machine, 0x5000);
    toy_state(machine, 0)->r[2] = 4;
    g_assert_cmpuint(run(machine, 0, 0x1000), >, 0);
    toy_state(machine, 0)->r[1] = 0;
    g_assert_cmpuint(run(machine, 0, 0x5000), >, 0);
    machine->cpus[0]->bus->page(machine->cpus[0], 0x1000, 12, &page);
    cpu_group_drop_code(machine->group, page.ram, page.ram_offset, page.ram_offset);
    toy_state(machine, 0)->r[1] = 0;
    g_assert_cmpuint(run(machine, 0, 0x5000), ==, 0);
    toy_state(machine, 0)->r[1] = 0;
    g_assert_cmpuint(run(machine, 0, 0x1000), >, 0);
    free_machine(machine);
}

/* More code than the cache holds, on several vCPUs at once: the oldest goes, and nothing is run that went. */
enum { CPUS = 4, ROUTINES = 200, ROUTINE_BYTES = 0x400 };

static void *run_thread(void *argument)
{
    Cpu *cpu = argument;
    return (void *)(uintptr_t)cpu_run(cpu, INT64_MAX);
}

static void build_routines(ToyMachine *machine, unsigned count)
{
    uint64_t at = 0x10000;

    for (unsigned i = 0; i < count; i++, at += ROUTINE_BYTES) { /* each adds its number, and goes on to the next */
        int64_t next = ROUTINE_BYTES;
        TOY_CODE(machine, at, TOY(TOY_ADDI, 3, 3, i), TOY(TOY_CALL, 10, 0, (next - 4) / 2));
    }
    TOY_CODE(machine, at, TOY(TOY_ADDI, 1, 1, 1), TOY(TOY_SYSTEM, 0, 0, TOY_YIELD), TOY(TOY_BEQ, 1, 2, 4),
             TOY(TOY_JUMP, 0, 4, 0), TOY(TOY_SYSTEM, 0, 0, TOY_HALT));
}

static void test_eviction(void)
{
    ToyMachine *machine = toy_new(CPUS);
    Thread threads[CPUS];

    fake_host_set_size(20000);
    build_routines(machine, ROUTINES);
    for (unsigned i = 0; i < CPUS; i++) {
        toy_state(machine, i)->r[2] = 20;
        toy_state(machine, i)->r[4] = 0x10000;
        toy_state(machine, i)->pc = 0x10000;
        g_assert_true(thread_start(&threads[i], "vcpu", run_thread, machine->cpus[i], NULL));
    }
    for (unsigned i = 0; i < CPUS; i++) {
        g_assert_cmpint((uintptr_t)thread_join(&threads[i]), ==, CPU_EXIT_HALTED);
        g_assert_cmpuint(toy_state(machine, i)->r[3], ==, 20 * (ROUTINES * (ROUTINES - 1) / 2));
    }
    g_assert_cmpuint(fake_host_compiled(), >, ROUTINES); /* all of it does not fit: some was translated again */
    fake_host_set_size(64);
    free_machine(machine);
}

/* What is looked up again and again stays while other code comes and goes in a circle that is too large; and that does
 * not come each time: it is interpreted meanwhile. */
static void test_often_used(void)
{
    enum { COUNT = 18, ROUNDS = 1000, BYTES = 0x100, HOT = 0x8000, COLD = 0x10000 };
    ToyMachine *machine = toy_new(1);
    ToyState *s = toy_state(machine, 0);

    fake_host_set_size(20000); /* each block in a chunk of its own, and there are fewer than COUNT */
    TOY_CODE(machine, HOT, TOY(TOY_ADDI, 5, 5, 1), TOY(TOY_JUMP, 0, 10, 0));
    for (unsigned i = 0; i < COUNT; i++) {
        unsigned at = COLD + i * BYTES;
        TOY_CODE(machine, at, TOY(TOY_CALL, 10, 0, (int)(HOT - at) / 2), TOY(TOY_CALL, 11, 0, (BYTES - 4) / 2));
    }
    TOY_CODE(machine, COLD + COUNT * BYTES, TOY(TOY_ADDI, 1, 1, 1), TOY(TOY_BEQ, 1, 2, 4), TOY(TOY_JUMP, 0, 4, 0),
             TOY(TOY_SYSTEM, 0, 0, TOY_HALT));
    s->r[2] = ROUNDS;
    s->r[4] = COLD;
    unsigned made = run(machine, 0, COLD);
    g_assert_cmpuint(s->r[5], ==, ROUNDS * COUNT);
    g_assert_cmpuint(made, >, 4 * COUNT); /* it is too large */
    g_assert_cmpuint(made, <, ROUNDS);
    g_assert_cmpuint(code_lookups(machine->cpus[0])->cold, >, ROUNDS);
    fake_host_set_size(64);
    free_machine(machine);
}

/* Where the host does not take long blocks they are made shorter. */
static void test_short_blocks(void)
{
    ToyMachine *machine = toy_new(1);
    uint32_t code[41];

    for (unsigned i = 0; i < 40; i++) {
        code[i] = TOY(TOY_ADDI, 1, 1, 1);
    }
    code[40] = TOY(TOY_SYSTEM, 0, 0, TOY_HALT);
    toy_code(machine, 0x1000, code, ARRAY_SIZE(code));
    fake_host_set_limit(5);
    g_assert_cmpuint(run(machine, 0, 0x1000), >=, 9);
    g_assert_cmpuint(toy_state(machine, 0)->r[1], ==, 40);
    fake_host_set_limit(64);
    free_machine(machine);
}

/* Nothing counts before the guest looks; then everything does, up to a reset. */
static void test_counting(void)
{
    ToyMachine *machine = toy_new(1);
    Cpu *cpu = machine->cpus[0];
    ToyState *s = toy_state(machine, 0);

    TOY_CODE(machine, 0x1000, TOY(TOY_ADDI, 2, 2, 1), TOY(TOY_SYSTEM, 0, 0, TOY_HALT));
    TOY_CODE(machine, 0x2000, TOY(TOY_SYSTEM, 0, 0, TOY_COUNT), TOY(TOY_ADD, 3, 1, 4), TOY(TOY_ADDI, 2, 2, 1),
             TOY(TOY_SYSTEM, 0, 0, TOY_COUNT), TOY(TOY_SYSTEM, 0, 0, TOY_HALT));
    run(machine, 0, 0x1000);
    g_assert_false(cpu->counts);
    uint64_t before = cpu->exec.insns;
    run(machine, 0, 0x2000);
    g_assert_true(cpu->counts);
    g_assert_cmpuint(s->r[3], >=, before);
    g_assert_cmpuint(s->r[1] - s->r[3], ==, 3);
    g_assert_cmpuint(cpu->exec.insns - s->r[3], ==, 5);
    run(machine, 0, 0x1000);
    g_assert_true(cpu->counts);
    cpu_reset(cpu);
    run(machine, 0, 0x1000);
    g_assert_false(cpu->counts);
    free_machine(machine);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/cpu/code/shared", test_shared);
    g_test_add_func("/cpu/code/changes", test_changes);
    g_test_add_func("/cpu/code/fences", test_fences);
    g_test_add_func("/cpu/code/fences-of-many", test_fences_of_many);
    g_test_add_func("/cpu/code/shared-pages", test_shared_pages);
    g_test_add_func("/cpu/code/remapped", test_remapped);
    g_test_add_func("/cpu/code/spaces", test_spaces);
    g_test_add_func("/cpu/code/dropped-range", test_dropped_range);
    g_test_add_func("/cpu/code/eviction", test_eviction);
    g_test_add_func("/cpu/code/often-used", test_often_used);
    g_test_add_func("/cpu/code/short-blocks", test_short_blocks);
    g_test_add_func("/cpu/code/counting", test_counting);
    return g_test_run();
}
