/*
 * The parts of host code that the cache and the run loop stand on, each alone: links, the return ring, the table of
 * targets, guards, the attention word, the budget, and the state at a fault. Blocks are linked here by hand.
 */
#include "harness.h"

#include "jit/host.h"

#include <glib.h>
#include <signal.h>
#include <string.h>
#include <ucontext.h>

enum { PAGE = 1 << TEST_PAGE_BITS, FETCH_MODE = 3 };

typedef struct Fixture {
    TestMachine *machine;
    IrBlock ir;
    IrBuilder b;
    TlbEntry fetch[16];
} Fixture;

static void set_up(Fixture *f, gconstpointer data)
{
    f->machine = machine_new();
    ir_block_init(&f->ir);
    machine_prepare(f->machine);
    memset(f->fetch, 0xff, sizeof f->fetch);
    f->machine->exec.tlb[FETCH_MODE] = (TlbTable){ f->fetch, 15, 15 * sizeof(TlbEntry) };
}

static void tear_down(Fixture *f, gconstpointer data)
{
    ir_block_free(&f->ir);
    machine_free(f->machine);
}

static uint64_t *reg(Fixture *f, unsigned i) { return &((TestState *)f->machine->exec.state)->x[i]; }
static uint64_t pc_of(Fixture *f)
{
    uint64_t pc;
    memcpy(&pc, f->machine->exec.state + test_guest.registers[R_PC].offset, sizeof pc);
    return pc;
}

static IrBuilder *begin(Fixture *f, uint64_t pc)
{
    ir_builder_init(&f->b, &f->ir, &test_guest, pc, 64);
    ir_insn(&f->b, pc, 4);
    return &f->b;
}

static void add(IrBuilder *b, unsigned i, uint64_t value)
{
    ir_set(b, R_X0 + i, ir_binary_const(b, IR_OP_add, IR_I64, ir_get(b, IR_I64, R_X0 + i), value));
}

/* What stands in the builder as a block that stays. */
static void finish(Fixture *f, CodeBlock *code, unsigned flags)
{
    const CodeBlock wanted = *code;
    /* machine_compile fills in the rest: guards and the fetch TLB are ours. */
    g_assert_cmpint(machine_compile_as(f->machine, &f->ir, flags, &wanted, code), ==, COMPILE_DONE);
    machine_keep(f->machine);
}

/* x`i` += 1, then to `target`. */
static void make_step(Fixture *f, CodeBlock *code, uint64_t pc, unsigned i, uint64_t target, unsigned flags)
{
    IrBuilder *b = begin(f, pc);
    add(b, i, 1);
    ir_goto(b, target);
    *code = (CodeBlock){ .fetch_mmu_mode = FETCH_MODE };
    finish(f, code, flags);
}

/* x`i` += 1, then out. */
static void make_end(Fixture *f, CodeBlock *code, uint64_t pc, unsigned i)
{
    IrBuilder *b = begin(f, pc);
    add(b, i, 1);
    ir_exit(b, IR_EXIT_RECHECK);
    *code = (CodeBlock){ .fetch_mmu_mode = FETCH_MODE };
    finish(f, code, 0);
}

static void join(CodeLink *link, const CodeBlock *to, uintptr_t addend)
{
    link->addend = addend;
    atomic_store(&link->target, to->code);
}

static void part(CodeLink *link) { atomic_store(&link->target, link->stub); }

/* It left by the link's stub, to go on at the link's pc. */
static void check_left(Fixture *f, int reason, CodeLink *link)
{
    g_assert_cmpint(reason, ==, IR_EXIT_CONTINUE);
    g_assert_true(f->machine->exec.code_link == link);
    g_assert_cmphex(pc_of(f), ==, link->pc);
}

static void test_links(Fixture *f, gconstpointer data)
{
    CodeBlock first, second;

    make_step(f, &first, 0x1000, 1, 0x1040, 0);
    make_end(f, &second, 0x1040, 2);
    g_assert_cmpuint(first.link_count, ==, 1);
    g_assert_false(first.links[0].cross_page);
    check_left(f, machine_enter(f->machine, &first), &first.links[0]);
    join(&first.links[0], &second, 0);
    g_assert_cmpint(machine_enter(f->machine, &first), ==, IR_EXIT_RECHECK);
    g_assert_null(f->machine->exec.code_link);
    g_assert_cmpuint(*reg(f, 1), ==, 2);
    g_assert_cmpuint(*reg(f, 2), ==, 1);
    part(&first.links[0]);
    check_left(f, machine_enter(f->machine, &first), &first.links[0]);
    g_assert_cmpuint(*reg(f, 2), ==, 1);
}

static TlbEntry *fetch_entry(Fixture *f, uint64_t pc) { return &f->fetch[pc >> TEST_PAGE_BITS & 15]; }

/* A link to another page holds while the fetch TLB has that page where it was. */
static void test_cross_page_links(Fixture *f, gconstpointer data)
{
    CodeBlock first, second;
    const uint64_t target = 0x1000 + 2 * PAGE + 8;
    const uintptr_t addend = 0x5550000;
    TlbEntry *entry = fetch_entry(f, target);

    make_step(f, &first, 0x1000, 1, target, 0);
    make_end(f, &second, target, 2);
    g_assert_true(first.links[0].cross_page);
    join(&first.links[0], &second, addend);
    check_left(f, machine_enter(f->machine, &first), &first.links[0]); /* the TLB is empty */
    entry->execute = target & -(uint64_t)PAGE;
    entry->addend = addend;
    g_assert_cmpint(machine_enter(f->machine, &first), ==, IR_EXIT_RECHECK);
    entry->addend = addend + PAGE; /* other memory there */
    check_left(f, machine_enter(f->machine, &first), &first.links[0]);
    entry->addend = addend;
    entry->execute |= TLB_SLOW;
    check_left(f, machine_enter(f->machine, &first), &first.links[0]);
    g_assert_cmpuint(*reg(f, 2), ==, 1);
    /* Where memory is reached directly there is no TLB to ask. */
    make_step(f, &first, 0x1000, 1, target, CODE_DIRECT);
    g_assert_false(first.links[0].cross_page);
}

static void test_no_links(Fixture *f, gconstpointer data)
{
    CodeBlock block;

    make_step(f, &block, 0x1000, 1, 0x1040, CODE_NO_LINKS);
    g_assert_cmpuint(block.link_count, ==, 0);
    g_assert_cmpint(machine_enter(f->machine, &block), ==, IR_EXIT_CONTINUE);
    g_assert_null(f->machine->exec.code_link);
    g_assert_cmphex(pc_of(f), ==, 0x1040);
}

/* Every way backwards asks whether attention is wanted. */
static void test_attention(Fixture *f, gconstpointer data)
{
    CodeBlock first, second;

    make_step(f, &first, 0x1040, 1, 0x1000, 0);
    make_end(f, &second, 0x1000, 2);
    join(&first.links[0], &second, 0);
    atomic_store(&f->machine->exec.attention, 1);
    check_left(f, machine_enter(f->machine, &first), &first.links[0]);
    atomic_store(&f->machine->exec.attention, 0);
    g_assert_cmpint(machine_enter(f->machine, &first), ==, IR_EXIT_RECHECK);
    g_assert_cmpuint(*reg(f, 2), ==, 1);
}

/* A block that counts runs if the budget holds all of it, round its own loop too. */
static void test_budget(Fixture *f, gconstpointer data)
{
    CodeBlock block;
    IrBuilder *b = begin(f, 0x1000);
    Exec *exec = &f->machine->exec;

    add(b, 1, 1);
    ir_insn(b, 0x1004, 4);
    ir_insn(b, 0x1008, 4);
    ir_goto(b, 0x1000);
    block = (CodeBlock){ 0 };
    finish(f, &block, CODE_COUNTED);
    exec->budget = 2;
    g_assert_cmpint(machine_enter(f->machine, &block), ==, IR_EXIT_CONTINUE);
    g_assert_cmphex(pc_of(f), ==, 0x1000);
    g_assert_cmpint(exec->budget, ==, 2);
    g_assert_cmpuint(*reg(f, 1), ==, 0);
    exec->budget = 3 * 5 + 1;
    g_assert_cmpint(machine_enter(f->machine, &block), ==, IR_EXIT_CONTINUE);
    g_assert_cmphex(pc_of(f), ==, 0x1000);
    g_assert_cmpint(exec->budget, ==, 1);
    g_assert_cmpuint(exec->insns, ==, 15);
    g_assert_cmpuint(*reg(f, 1), ==, 5);
}

/* What raises in the middle gives back what was not run. */
static void test_budget_of_exceptions(Fixture *f, gconstpointer data)
{
    CodeBlock block;
    IrBuilder *b = begin(f, 0x1000);
    Exec *exec = &f->machine->exec;

    add(b, 1, 1);
    ir_insn(b, 0x1004, 4);
    ir_store(b, MEM_64, ir_const(b, IR_I64, 0x10), 0, ir_get(b, IR_I64, R_X0 + 1));
    add(b, 1, 1);
    ir_insn(b, 0x1008, 4);
    ir_goto(b, 0x100c);
    block = (CodeBlock){ 0 };
    finish(f, &block, CODE_COUNTED);
    exec->budget = 10;
    g_assert_cmpint(machine_enter(f->machine, &block), ==, IR_EXIT_EXCEPTION);
    g_assert_cmpint(exec->budget, ==, 9);
    g_assert_cmpuint(exec->insns, ==, 1);
    g_assert_cmphex(exec->pc, ==, 0x1004);
    g_assert_cmphex(pc_of(f), ==, 0x1004);
    g_assert_cmpuint(*reg(f, 1), ==, 1);
}

/* ---- Indirect jumps ---- */

static void make_jump_as(Fixture *f, CodeBlock *code, uint64_t pc, IrJumpHint hint, unsigned flags, bool asks_table)
{
    IrBuilder *b = begin(f, pc);
    ir_goto_value(b, ir_get(b, IR_I64, R_X0 + 1), hint);
    *code = (CodeBlock){ .fetch_mmu_mode = FETCH_MODE, .asks_table = asks_table };
    finish(f, code, flags);
}

static void make_jump(Fixture *f, CodeBlock *code, uint64_t pc, IrJumpHint hint)
{
    make_jump_as(f, code, pc, hint, 0, false);
}

static ExecTarget *entry_of(Fixture *f, uint64_t pc) { return &f->machine->exec.targets->table[exec_target_index(pc)]; }

/* As the run loop has it where nothing is known yet; there is code already. */
static void empty_targets(Fixture *f)
{
    const void *nowhere = atomic_load(&x64_host.nowhere(f->machine->code_common)->target);
    const ExecTarget none = { EXEC_NO_PC, nowhere };
    ExecTargets *targets = f->machine->exec.targets;

    memset(targets->table, 0, sizeof targets->table);
    *entry_of(f, 0) = none;
    for (unsigned i = 0; i < EXEC_SITES; i++) {
        targets->sites[i] = (ExecSite){ .patience = EXEC_PATIENCE };
        for (unsigned way = 0; way < EXEC_WAYS; way++) {
            targets->sites[i].ways[way] = none;
        }
        targets->touched[i] = 0;
    }
}

/* Whether `jump` finds the way to `target`; it leaves for there else. */
static bool finds(Fixture *f, const CodeBlock *jump, uint64_t target)
{
    Exec *exec = &f->machine->exec;
    uint64_t before = *reg(f, 2);

    *reg(f, 1) = target;
    int reason = machine_enter(f->machine, jump);
    if (reason == IR_EXIT_RECHECK) {
        g_assert_cmpuint(*reg(f, 2), ==, before + 1);
        return true;
    }
    g_assert_cmpint(reason, ==, IR_EXIT_CONTINUE);
    g_assert_cmphex(pc_of(f), ==, target);
    g_assert_null(exec->code_link);
    g_assert_cmpuint(*reg(f, 2), ==, before);
    return false;
}

static void test_targets(Fixture *f, gconstpointer data)
{
    CodeBlock jump, end;
    Exec *exec = &f->machine->exec;
    const uint64_t target = 0x7654321098;
    ExecTarget *entry = entry_of(f, target);

    make_jump_as(f, &jump, 0x1000, IR_JUMP_PLAIN, 0, true);
    make_end(f, &end, target, 2);
    empty_targets(f);
    g_assert_false(finds(f, &jump, target));
    *entry = (ExecTarget){ target, end.code };
    g_assert_true(finds(f, &jump, target));
    entry->pc = target + 0x100000000; /* another one that falls there */
    g_assert_false(finds(f, &jump, target));
    entry->pc = target;
    atomic_store(&exec->attention, 1);
    g_assert_false(finds(f, &jump, target));
    /* A guest may jump to where empty entries say that they are. */
    atomic_store(&exec->attention, 0);
    g_assert_false(finds(f, &jump, EXEC_NO_PC));
    g_assert_false(finds(f, &jump, 0));
    for (unsigned i = 0; i < EXEC_SITES; i++) {
        g_assert_cmpuint(exec->targets->touched[i], ==, 0);
    }
}

enum { MANY = EXEC_WAYS + 1 };

/* A jump that leads to `ends`, which the table knows. */
static void make_site(Fixture *f, CodeBlock *jump, CodeBlock ends[MANY], unsigned flags)
{
    make_jump_as(f, jump, 0x1000, IR_JUMP_CALL, flags, false);
    for (unsigned i = 0; i < MANY; i++) {
        make_end(f, &ends[i], 0x2000 + i * 8, 2);
    }
    empty_targets(f);
    for (unsigned i = 0; i < MANY; i++) {
        *entry_of(f, ends[i].pc) = (ExecTarget){ ends[i].pc, ends[i].code };
    }
}

/* What the table had is found by the site from then on, up to as many as it has ways. */
static void test_sites(Fixture *f, gconstpointer data)
{
    CodeBlock jump, other, ends[MANY];
    ExecTargets *targets = f->machine->exec.targets;
    unsigned index = exec_site_index(0x1000);

    make_site(f, &jump, ends, 0);
    make_jump(f, &other, 0x1004, IR_JUMP_PLAIN);
    for (unsigned i = 0; i < EXEC_WAYS; i++) {
        g_assert_true(finds(f, &jump, ends[i].pc));
        g_assert_cmpuint(targets->sites[index].patience, ==, EXEC_PATIENCE - i - 1);
        entry_of(f, ends[i].pc)->pc = EXEC_NO_PC;
    }
    g_assert_cmpuint(targets->touched[index], !=, 0);
    for (unsigned i = 0; i < EXEC_WAYS; i++) {
        g_assert_true(finds(f, &jump, ends[i].pc));
        g_assert_false(finds(f, &other, ends[i].pc)); /* has a site of its own */
    }
    g_assert_cmpuint(targets->sites[index].patience, ==, EXEC_PATIENCE - EXEC_WAYS);
    g_assert_true(finds(f, &jump, ends[EXEC_WAYS].pc)); /* one more: the first has to go */
    g_assert_false(finds(f, &jump, ends[0].pc));
    for (unsigned i = 1; i < MANY; i++) {
        g_assert_true(finds(f, &jump, ends[i].pc));
    }
    atomic_store(&f->machine->exec.attention, 1);
    g_assert_false(finds(f, &jump, ends[1].pc));
    atomic_store(&f->machine->exec.attention, 0);
    empty_targets(f);
    g_assert_false(finds(f, &jump, ends[1].pc));
    g_assert_false(finds(f, &jump, EXEC_NO_PC));
    g_assert_false(finds(f, &jump, 0));
    g_assert_null(f->machine->exec.tired_block);
}

/* The run loop is told of a site that goes elsewhere too often, and where to go on. */
static void test_tired_sites(Fixture *f, gconstpointer data)
{
    CodeBlock jump, ends[MANY];
    Exec *exec = &f->machine->exec;

    make_site(f, &jump, ends, 0);
    for (unsigned i = 0; i < EXEC_PATIENCE; i++) {
        g_assert_true(finds(f, &jump, ends[i % MANY].pc));
        g_assert_null(exec->tired_block);
    }
    g_assert_false(finds(f, &jump, ends[EXEC_PATIENCE % MANY].pc));
    g_assert_true(exec->tired_block == &jump);
    g_assert_true(exec->tired_site == &exec->targets->sites[exec_site_index(0x1000)]);
}

static void check_counts(Fixture *f, uint64_t sites, uint64_t first, uint64_t second, uint64_t table, uint64_t found)
{
    uint64_t *counts = f->machine->exec.jump_counts;

    g_assert_cmpuint(counts[JUMPS_SITE], ==, sites);
    g_assert_cmpuint(counts[JUMPS_SITE_HIT], ==, first);
    g_assert_cmpuint(counts[JUMPS_SITE_HIT + 1], ==, second);
    g_assert_cmpuint(counts[JUMPS_TABLE], ==, table);
    g_assert_cmpuint(counts[JUMPS_TABLE_HIT], ==, found);
}

static void test_jump_counts(Fixture *f, gconstpointer data)
{
    CodeBlock jump, back, ends[MANY];
    uint64_t *counts = f->machine->exec.jump_counts;

    make_site(f, &jump, ends, CODE_COUNT_JUMPS);
    make_jump_as(f, &back, 0x1040, IR_JUMP_RETURN, CODE_COUNT_JUMPS, false);
    g_assert_true(finds(f, &jump, ends[0].pc));
    check_counts(f, 1, 0, 0, 1, 1);
    g_assert_true(finds(f, &jump, ends[0].pc));
    check_counts(f, 2, 1, 0, 1, 1);
    g_assert_true(finds(f, &jump, ends[1].pc));
    g_assert_true(finds(f, &jump, ends[0].pc));
    check_counts(f, 4, 1, 1, 2, 2);
    g_assert_false(finds(f, &jump, 0x5000));
    check_counts(f, 5, 1, 1, 3, 2);
    g_assert_true(finds(f, &back, ends[0].pc)); /* the ring does not know it, but the table */
    check_counts(f, 5, 1, 1, 4, 3);
    g_assert_cmpuint(counts[JUMPS_RETURN], ==, 1);
    g_assert_cmpuint(counts[JUMPS_RETURN_HIT], ==, 0);
}

/* A call tells where it returns to; the ring holds the last ones. */
static void make_call(Fixture *f, CodeBlock *code, uint64_t pc, uint64_t target)
{
    IrBuilder *b = begin(f, pc);
    ir_set(b, R_X0 + 1, ir_const(b, IR_I64, pc + 4));
    ir_push_return(b, pc + 4);
    ir_goto(b, target);
    *code = (CodeBlock){ .fetch_mmu_mode = FETCH_MODE };
    finish(f, code, 0);
}

static CodeLink *link_to(CodeBlock *block, uint64_t pc)
{
    for (unsigned i = 0; i < block->link_count; i++) {
        if (block->links[i].pc == pc) {
            return &block->links[i];
        }
    }
    return NULL;
}

static void test_returns(Fixture *f, gconstpointer data)
{
    CodeBlock call, back, end;
    Exec *exec = &f->machine->exec;

    make_call(f, &call, 0x1000, 0x1080);
    make_jump(f, &back, 0x1080, IR_JUMP_RETURN);
    make_end(f, &end, 0x1004, 2);
    join(link_to(&call, 0x1080), &back, 0);
    check_left(f, machine_enter(f->machine, &call), link_to(&call, 0x1004)); /* no block there yet */
    join(link_to(&call, 0x1004), &end, 0);
    g_assert_cmpint(machine_enter(f->machine, &call), ==, IR_EXIT_RECHECK);
    g_assert_cmpuint(*reg(f, 2), ==, 1);
    /* Returning elsewhere is an indirect jump like any other. */
    *reg(f, 1) = 0x2000;
    g_assert_cmpint(machine_enter(f->machine, &back), ==, IR_EXIT_CONTINUE);
    g_assert_cmphex(pc_of(f), ==, 0x2000);
    g_assert_null(exec->code_link);
    g_assert_cmpuint(*reg(f, 2), ==, 1);
}

static void test_deep_returns(Fixture *f, gconstpointer data)
{
    enum { DEPTH = EXEC_RETURNS + 3 };
    CodeBlock calls[DEPTH], back, end;
    Exec *exec = &f->machine->exec;
    unsigned found = 0;

    make_jump(f, &back, 0x1080, IR_JUMP_RETURN);
    make_end(f, &end, 0x10c0, 2);
    for (unsigned i = 0; i < DEPTH; i++) {
        make_call(f, &calls[i], 0x1000 + i * 8, 0x10c0);
        join(link_to(&calls[i], 0x1004 + i * 8), &end, 0);
        g_assert_cmpint(machine_enter(f->machine, &calls[i]), ==, IR_EXIT_CONTINUE);
    }
    for (unsigned i = DEPTH; i-- > 0;) {
        *reg(f, 1) = 0x1004 + i * 8;
        found += machine_enter(f->machine, &back) == IR_EXIT_RECHECK;
    }
    g_assert_cmpuint(found, ==, EXEC_RETURNS); /* the newest */
    g_assert_cmpuint(exec->return_top, <, EXEC_RETURNS * sizeof(ExecReturn));
    /* Emptied, it knows none of them. */
    g_assert_cmpint(machine_enter(f->machine, &calls[0]), ==, IR_EXIT_CONTINUE);
    for (unsigned i = 0; i < EXEC_RETURNS; i++) {
        exec->returns[i] = (ExecReturn){ EXEC_NO_PC, x64_host.nowhere(f->machine->code_common) };
    }
    *reg(f, 1) = 0x1004;
    g_assert_cmpint(machine_enter(f->machine, &back), ==, IR_EXIT_CONTINUE);
    g_assert_cmphex(pc_of(f), ==, 0x1004);
}

/* ---- Guards ---- */

static void test_guard(Fixture *f, gconstpointer data)
{
    const uint64_t pc = 0x1000 + PAGE - 2, second = 0x1000 + PAGE;
    TlbEntry *entry = fetch_entry(f, second);
    CodeBlock block = { .fetch_mmu_mode = FETCH_MODE, .guarded = true, .guard_pc = second, .guard_addend = 0x123000 };
    IrBuilder *b = begin(f, pc);

    add(b, 1, 1);
    ir_exit(b, IR_EXIT_RECHECK);
    finish(f, &block, 0);
    for (unsigned i = 0; i < 3; i++) { /* nothing there; other memory; what it was made from */
        entry->execute = i ? second : TLB_INVALID;
        entry->addend = i == 2 ? 0x123000 : 0x456000;
        g_assert_cmpint(machine_enter(f->machine, &block), ==, i == 2 ? IR_EXIT_RECHECK : IR_EXIT_CONTINUE);
        g_assert_true(i == 2 || pc_of(f) == pc);
        g_assert_cmpuint(*reg(f, 1), ==, i == 2);
    }
}

/* ---- Faults ---- */

static TestMachine *faulting; /* a handler of signals has no argument of ours */
static const CodeBlock *faulting_block;

static void on_fault(int number, siginfo_t *info, void *context)
{
    CodeRegisters registers;
    const void *pc;

    x64_host.context_registers(context, &registers, &pc);
    size_t offset = (size_t)((const uint8_t *)pc - (const uint8_t *)faulting_block->code);
    for (unsigned i = 0; i < faulting_block->point_count; i++) {
        if (faulting_block->points[i].offset == offset) {
            x64_host.restore(faulting->code_common, &faulting->exec, faulting_block, &faulting_block->points[i],
                             &registers);
            x64_host.context_leave(faulting->code_common, context, IR_EXIT_EXCEPTION);
            return;
        }
    }
    g_error("a fault where none can be");
}

/* The state is that of the instruction in front: registers that stand in the host's too, counts as well. */
static void test_fault(Fixture *f, gconstpointer data)
{
    struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO }, before;
    CodeBlock block = { 0 };
    IrBuilder *b = begin(f, 0x1000);
    Exec *exec = &f->machine->exec;

    for (unsigned i = 1; i < 8; i++) { /* in registers and in memory */
        add(b, i, i);
    }
    ir_insn(b, 0x1004, 4);
    IrRef loaded = ir_load(b, IR_I64, MEM_64, ir_const(b, IR_I64, 16), 0);
    ir_set(b, R_X0 + 2, loaded);
    ir_insn(b, 0x1008, 4);
    ir_goto(b, 0x100c);
    finish(f, &block, CODE_DIRECT | CODE_COUNTED);
    faulting = f->machine;
    faulting_block = &block;
    exec->budget = 100;
    sigaction(SIGSEGV, &action, &before);
    int reason = machine_enter(f->machine, &block);
    sigaction(SIGSEGV, &before, NULL);
    g_assert_cmpint(reason, ==, IR_EXIT_EXCEPTION);
    for (unsigned i = 1; i < 8; i++) {
        g_assert_cmpuint(*reg(f, i), ==, i);
    }
    g_assert_cmphex(exec->pc, ==, 0x1004);
    g_assert_cmphex(pc_of(f), ==, 0x1004);
    g_assert_cmpuint(exec->insns, ==, 1);
    g_assert_cmpint(exec->budget, ==, 99);
}

/* ---- Accesses off one base ---- */

enum { ACCESSES = 4, ACCESS_PAGES = 2 };
static struct Moving {
    TestMachine *machine;
    TlbEntry tables[2][16];
    uint8_t decoy[ACCESS_PAGES * PAGE], memory[ACCESS_PAGES * PAGE];
    unsigned calls;
} moving; /* the slow path has no argument of ours */

/* Entries of both pages of memory. */
static void map_pages(TlbEntry entries[16], const uint8_t *memory)
{
    for (unsigned i = 0; i < ACCESS_PAGES; i++) {
        uint64_t page = TEST_BASE + i * PAGE;
        entries[page >> TEST_PAGE_BITS & 15] = (TlbEntry){ page, page, page, (uintptr_t)memory - TEST_BASE };
    }
}

/* Another table takes the place of the one that there was, in which from now on everything is wrong. */
static bool moving_load(Cpu *cpu, uint64_t address, MemOp op, uint64_t value[8])
{
    Exec *exec = &moving.machine->exec;
    bool second = exec->tlb[0].entries == moving.tables[1];

    memset(moving.tables[!second], 0xff, sizeof moving.tables[0]);
    map_pages(moving.tables[second], moving.decoy);
    exec->tlb[0].entries = moving.tables[!second];
    moving.calls++;
    memcpy(value, &moving.memory[address - TEST_BASE], 8);
    return true;
}

static void test_shared_probes(Fixture *f, gconstpointer data)
{
    static const ExecMemory memory = { .load = moving_load };
    CodeBlock block = { 0 };
    IrBuilder *b = begin(f, 0x1000);
    Exec *exec = &f->machine->exec;

    IrRef base = ir_get(b, IR_I64, R_X0 + 1);
    for (unsigned i = 0; i < ACCESSES; i++) {
        ir_set(b, R_X0 + 2 + i, ir_load(b, IR_I64, MEM_64, base, (int32_t)i * 8));
    }
    ir_exit(b, IR_EXIT_RECHECK);
    finish(f, &block, 0);
    moving.machine = f->machine;
    exec->memory = &memory;
    for (unsigned i = 0; i < sizeof moving.memory; i++) {
        moving.memory[i] = (uint8_t)(i / 8);
        moving.decoy[i] = 0xdd;
    }
    for (unsigned known = 0; known < 2; known++) { /* nothing is in the TLB; both pages are */
        for (unsigned at = 0; at + ACCESSES * 8 <= sizeof moving.memory; at += 8) {
            memset(moving.tables, 0xff, sizeof moving.tables);
            exec->tlb[0] = (TlbTable){ moving.tables[0], 15, 15 * sizeof(TlbEntry) };
            if (known) {
                map_pages(moving.tables[0], moving.memory);
            }
            moving.calls = 0;
            *reg(f, 1) = TEST_BASE + at;
            g_assert_cmpint(machine_enter(f->machine, &block), ==, IR_EXIT_RECHECK);
            g_assert_cmpuint(moving.calls, ==, known ? 0 : ACCESSES);
            for (unsigned i = 0; i < ACCESSES; i++) {
                g_assert_cmphex(*reg(f, 2 + i), ==, (at / 8 + i) % 256 * UINT64_C(0x0101010101010101));
            }
        }
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, function) g_test_add("/jit/links/" name, Fixture, NULL, set_up, function, tear_down)
    ADD("links", test_links);
    ADD("cross-page", test_cross_page_links);
    ADD("none", test_no_links);
    ADD("attention", test_attention);
    ADD("budget", test_budget);
    ADD("budget-of-exceptions", test_budget_of_exceptions);
    ADD("targets", test_targets);
    ADD("sites", test_sites);
    ADD("tired-sites", test_tired_sites);
    ADD("jump-counts", test_jump_counts);
    ADD("returns", test_returns);
    ADD("deep-returns", test_deep_returns);
    ADD("guard", test_guard);
    ADD("fault", test_fault);
    ADD("shared-probes", test_shared_probes);
    return g_test_run();
}
