/* What a run of blocks leaves behind: counts, pc, links; load-linked; code with more values than fit. */
#include "harness.h"

#include <glib.h>

typedef struct Fixture {
    TestMachine *machine;
    IrBlock block;
    IrBuilder b;
} Fixture;

static void begin(Fixture *f, uint64_t pc)
{
    ir_builder_init(&f->b, &f->block, &test_guest, pc, 64);
    ir_insn(&f->b, pc, 4);
}

static void set_up(Fixture *f, gconstpointer data)
{
    f->machine = machine_new();
    ir_block_init(&f->block);
    begin(f, 0x1000);
}

static void tear_down(Fixture *f, gconstpointer data)
{
    ir_block_free(&f->block);
    machine_free(f->machine);
}

/* Four instructions; the third one faults: two are counted, their registers changed, those of the third are not. */
static void test_fault_place(Fixture *f, gconstpointer data)
{
    IrBuilder *b = &f->b;

    ir_set(b, R_X0, ir_const(b, IR_I64, 1));
    ir_insn(b, 0x1004, 4);
    ir_set(b, R_X0 + 1, ir_const(b, IR_I64, 2));
    ir_insn(b, 0x1008, 4);
    IrRef address = ir_get(b, IR_I64, R_X0 + 3);
    ir_set(b, R_X0, ir_load(b, IR_I64, MEM_64, address, 16));
    ir_insn(b, 0x100c, 4);
    ir_set(b, R_X0 + 1, ir_const(b, IR_I64, 3));
    ir_goto(b, 0x1010);
    for (int direct = 0; direct < 2; direct++) {
        machine_map(f->machine, direct);
        f->machine->state.x[3] = 0x666;
        f->machine->exec.insns = 0;
        f->machine->exec.exception.pending = false;
        g_assert_cmpint(machine_run(f->machine, &f->block), ==, IR_EXIT_EXCEPTION);
        g_assert_cmpuint(f->machine->exec.insns, ==, 2);
        g_assert_cmphex(f->machine->exec.pc, ==, 0x1008);
        g_assert_cmphex(f->machine->state.pc, ==, 0x1008);
        g_assert_cmphex(f->machine->exec.exception.value, ==, 0x676);
        g_assert_cmpuint(f->machine->state.x[0], ==, 1);
        g_assert_cmpuint(f->machine->state.x[1], ==, 2);
    }
}

/* Helpers see how many instructions came before theirs. */
static void test_count_in_helper(Fixture *f, gconstpointer data)
{
    ir_insn(&f->b, 0x1004, 4);
    ir_insn(&f->b, 0x1008, 4);
    ir_set(&f->b, R_X0, ir_call(&f->b, H_COUNT, IR_I64, NULL, 0));
    ir_goto(&f->b, 0x100c);
    f->machine->exec.insns = 40;
    g_assert_cmpint(machine_run(f->machine, &f->block), ==, IR_EXIT_CONTINUE);
    g_assert_cmpuint(f->machine->state.x[0], ==, 42);
    g_assert_cmpuint(f->machine->exec.insns, ==, 43);
}

/* Addresses and jumps of a 32-bit guest wrap. */
static void test_wrap(Fixture *f, gconstpointer data)
{
    f->block.address_bits = 32;
    IrRef x = ir_get(&f->b, IR_I64, R_X0);
    ir_set(&f->b, R_X0 + 1, ir_load(&f->b, IR_I64, MEM_8, x, 0x100));
    ir_goto_value(&f->b, x, IR_JUMP_PLAIN);
    f->machine->state.x[0] = UINT64_C(0xffffffff00000000) + TEST_BASE - 0x100;
    f->machine->memory[0] = 0x5a;
    g_assert_cmpint(machine_run(f->machine, &f->block), ==, IR_EXIT_CONTINUE);
    g_assert_cmphex(f->machine->state.x[1], ==, 0x5a);
    g_assert_cmphex(f->machine->state.pc, ==, TEST_BASE - 0x100);
}

static InterpCode *prepare(Fixture *f)
{
    return interp_prepare(&f->block, &test_guest);
}

/* Two blocks linked to each other run until the budget does not hold the next one whole. */
static void test_links(Fixture *f, gconstpointer data)
{
    Exec *exec = &f->machine->exec;

    ir_insn(&f->b, 0x1004, 4);
    ir_insn(&f->b, 0x1008, 4);
    ir_goto(&f->b, 0x2000);
    InterpCode *first = prepare(f);
    begin(f, 0x2000);
    ir_set(&f->b, R_X0, ir_binary_const(&f->b, IR_OP_add, IR_I64, ir_get(&f->b, IR_I64, R_X0), 1));
    ir_goto_value(&f->b, ir_get(&f->b, IR_I64, R_X0 + 1), IR_JUMP_PLAIN);
    InterpCode *second = prepare(f);
    f->machine->state.x[1] = 0x1000;
    g_assert_cmpuint(interp_insn_count(first), ==, 3);

    exec->budget = 1000;
    g_assert_cmpint(interp_run(exec, machine_cpu(f->machine), first), ==, IR_EXIT_CONTINUE);
    g_assert_cmpuint(exec->insns, ==, 3);
    g_assert_nonnull(exec->link);
    *exec->link = (ExecLink){ second, exec->epoch };
    *exec_jump(exec, 0x1000) = (ExecJump){ 0x1000, exec->mode, { first, exec->epoch } };
    g_assert_cmpint(interp_run(exec, machine_cpu(f->machine), first), ==, IR_EXIT_CONTINUE);
    g_assert_cmpuint(exec->insns, ==, 999); /* 3, then 249 times 4 */
    g_assert_cmpint(exec->budget, ==, 1);
    g_assert_cmpuint(f->machine->state.x[0], ==, 249);
    g_assert_cmphex(f->machine->state.pc, ==, 0x1000);

    /* Attention, another mode and another epoch each end the chain. */
    exec->budget = 1000;
    exec->attention = 1;
    interp_run(exec, machine_cpu(f->machine), first);
    g_assert_cmpint(exec->budget, ==, 997);
    exec->attention = 0;
    exec->mode = 1;
    interp_run(exec, machine_cpu(f->machine), second);
    g_assert_cmpint(exec->budget, ==, 996);
    g_assert_null(exec->link);
    exec->mode = 0;
    exec->epoch++;
    interp_run(exec, machine_cpu(f->machine), first);
    g_assert_cmpint(exec->budget, ==, 993);
    interp_free(first);
    interp_free(second);
}

/* load_linked and store_conditional on one address. */
static int run_pair(Fixture *f, unsigned change, MemOp second)
{
    IrBuilder *b = &f->b;

    begin(f, 0x1000);
    IrRef address = ir_get(b, IR_I64, R_X0), other = ir_get(b, IR_I64, R_X0 + 1);
    ir_set(b, R_X0 + 2, ir_atomic(b, IR_OP_load_linked, IR_I64, MEM_32 | MEM_SIGNED | MEM_ALIGNED, address, 0, 0));
    if (change) {
        ir_store(b, MEM_8, address, 0, ir_const(b, IR_I64, change));
    }
    ir_set(b, R_X0 + 3, ir_atomic(b, IR_OP_store_conditional, IR_I64, second, other, ir_const(b, IR_I64, 0x1234), 0));
    ir_goto(b, 0x1004);
    f->machine->exec.exception.pending = false;
    return machine_run(f->machine, &f->block);
}

static void test_reservation(Fixture *f, gconstpointer data)
{
    TestState *s = &f->machine->state;
    uint32_t *word = (uint32_t *)(f->machine->memory + 0x104);

    for (int io = 0; io < 2; io++) {
        f->machine->io = io;
        machine_map(f->machine, !io);
        s->x[0] = s->x[1] = TEST_BASE + 0x104;
        *word = 0x80000001;
        g_assert_cmpint(run_pair(f, 0, MEM_32 | MEM_ALIGNED), ==, IR_EXIT_CONTINUE);
        g_assert_cmphex(s->x[2], ==, 0xffffffff80000001);
        g_assert_cmpuint(s->x[3], ==, 0);
        g_assert_cmphex(*word, ==, 0x1234);
        g_assert_cmpuint(f->machine->exec.reservation_size, ==, 0);

        run_pair(f, 0x77, MEM_32 | MEM_ALIGNED); /* the value changed */
        g_assert_cmpuint(s->x[3], ==, 1);
        g_assert_cmphex(*word, ==, 0x1277);
        run_pair(f, 0, MEM_64); /* another size */
        g_assert_cmpuint(s->x[3], ==, 1);
        s->x[1] += 4; /* another address */
        run_pair(f, 0, MEM_32 | MEM_ALIGNED);
        g_assert_cmpuint(s->x[3], ==, 1);
        s->x[1] += 1; /* without a reservation a misaligned one raises all the same */
        g_assert_cmpint(run_pair(f, 0, MEM_32 | MEM_ALIGNED), ==, IR_EXIT_EXCEPTION);
        g_assert_cmpuint(f->machine->exec.exception.code, ==, E_ALIGN);
        g_assert_cmphex(*word, ==, 0x1277);
    }
    g_assert_cmpuint(f->machine->exclusives, >, 0);
}

/* More values at a time than the scratch has room for: the caller is told to make the block shorter. */
static void test_too_many_values(Fixture *f, gconstpointer data)
{
    IrRef values[EXEC_SCRATCH / 8 + 1], sum = 0;

    for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
        values[i] = ir_load(&f->b, IR_I64, MEM_8, ir_get(&f->b, IR_I64, R_X0), (int32_t)i);
    }
    for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
        sum = i ? ir_binary(&f->b, IR_OP_add, IR_I64, sum, values[i]) : values[0];
    }
    ir_set(&f->b, R_X0, sum);
    ir_goto(&f->b, 0x1004);
    g_assert_true(ir_verify(&f->block, &test_guest, NULL));
    g_assert_null(prepare(f));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, function) g_test_add("/jit/exec/" name, Fixture, NULL, set_up, function, tear_down)
    ADD("fault-place", test_fault_place);
    ADD("count-in-helper", test_count_in_helper);
    ADD("wrap", test_wrap);
    ADD("links", test_links);
    ADD("reservation", test_reservation);
    ADD("too-many-values", test_too_many_values);
    return g_test_run();
}
