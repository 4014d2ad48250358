/* What the verifier refuses, and what it says. */
#include "harness.h"

#include "base/error.h"

#include <glib.h>
#include <string.h>

/* Builds a block around the fault that `n` of a test's table stands for. */
typedef void Build(IrBuilder *b);

static void begin(IrBuilder *b)
{
    ir_insn(b, 0x1000, 4);
}

static void finish(IrBuilder *b)
{
    ir_goto(b, 0x1004);
}

static IrInst *last(IrBuilder *b)
{
    return &b->block->insts[b->block->count - 1];
}

static void no_end(IrBuilder *b)
{
    begin(b);
    ir_set(b, R_X0, ir_get(b, IR_I64, R_X0 + 1));
}

static void empty(IrBuilder *b)
{
}

static void two_ends(IrBuilder *b)
{
    begin(b);
    finish(b);
    finish(b);
}

static void end_before_insn(IrBuilder *b)
{
    finish(b);
}

static void operand_later(IrBuilder *b)
{
    begin(b);
    ir_set(b, R_X0, ir_get(b, IR_I64, R_X0));
    last(b)->a += 2;
    ir_set(b, R_X0, ir_get(b, IR_I64, R_X0));
    finish(b);
}

static void operand_without_value(IrBuilder *b)
{
    begin(b);
    ir_set(b, R_X0, ir_get(b, IR_I64, R_X0));
    last(b)->a = 1;
    finish(b);
}

static void operand_type(IrBuilder *b)
{
    begin(b);
    IrRef x = ir_get(b, IR_I64, R_X0);
    ir_binary(b, IR_OP_add, IR_I64, x, ir_get(b, IR_I32, R_W0));
    finish(b);
}

static void operand_missing(IrBuilder *b)
{
    begin(b);
    ir_unary(b, IR_OP_add, IR_I64, ir_get(b, IR_I64, R_X0));
    finish(b);
}

static void operand_too_many(IrBuilder *b)
{
    begin(b);
    IrRef x = ir_get(b, IR_I64, R_X0);
    ir_binary(b, IR_OP_neg, IR_I64, x, x);
    finish(b);
}

static void type_of_operation(IrBuilder *b)
{
    begin(b);
    IrRef x = ir_get(b, IR_F64, R_X0);
    ir_binary(b, IR_OP_add, IR_F64, x, x);
    finish(b);
}

static void vector(IrBuilder *b)
{
    begin(b);
    ir_get(b, IR_V128, R_Q0);
    finish(b);
}

static void float_address(IrBuilder *b)
{
    begin(b);
    ir_load(b, IR_I64, MEM_64, ir_get(b, IR_I32, R_W0), 0);
    finish(b);
}

static void wide_load(IrBuilder *b)
{
    begin(b);
    ir_load(b, IR_I32, MEM_64, ir_get(b, IR_I64, R_X0), 0);
    finish(b);
}

static void narrow_float_load(IrBuilder *b)
{
    begin(b);
    ir_load(b, IR_F64, MEM_32, ir_get(b, IR_I64, R_X0), 0);
    finish(b);
}

static void wide_store(IrBuilder *b)
{
    begin(b);
    IrRef address = ir_get(b, IR_I64, R_X0);
    ir_store(b, MEM_64, address, 0, ir_get(b, IR_I32, R_W0));
    finish(b);
}

static void huge_access(IrBuilder *b)
{
    begin(b);
    ir_load(b, IR_I64, MEM_512, ir_get(b, IR_I64, R_X0), 0);
    finish(b);
}

static void access_order(IrBuilder *b)
{
    begin(b);
    ir_load(b, IR_I64, MEM_64 | 7 << 7, ir_get(b, IR_I64, R_X0), 0);
    finish(b);
}

static void no_register(IrBuilder *b)
{
    begin(b);
    ir_get(b, IR_I64, REGISTERS);
    finish(b);
}

static void narrow_register(IrBuilder *b)
{
    begin(b);
    ir_get(b, IR_I128, R_X0);
    finish(b);
}

static void field(IrBuilder *b)
{
    begin(b);
    ir_emit(b, IR_OP_extract, IR_I32, 20 | 13 << 8, ir_get(b, IR_I32, R_W0), 0, 0);
    finish(b);
}

static void extension(IrBuilder *b)
{
    begin(b);
    ir_emit(b, IR_OP_sext, IR_I64, 64, ir_get(b, IR_I32, R_W0), 0, 0);
    finish(b);
}

static void condition(IrBuilder *b)
{
    begin(b);
    IrRef x = ir_get(b, IR_I64, R_X0);
    ir_compare(b, (IrCondition)20, IR_I64, x, x);
    finish(b);
}

static void casts(IrBuilder *b)
{
    begin(b);
    ir_unary(b, IR_OP_bitcast, IR_F64, ir_get(b, IR_I32, R_W0));
    finish(b);
}

static void helper(IrBuilder *b)
{
    begin(b);
    ir_call(b, HELPERS, IR_VOID, NULL, 0);
    finish(b);
}

static void helper_arguments(IrBuilder *b)
{
    begin(b);
    IrRef x = ir_get(b, IR_I64, R_X0);
    ir_call(b, H_SUM3, IR_I64, (const IrRef[]){ x, x, x, x }, 4);
    finish(b);
}

static void helper_wide(IrBuilder *b)
{
    begin(b);
    ir_call(b, H_SUM3, IR_I64, (const IrRef[]){ ir_get(b, IR_I128, R_Q0) }, 1);
    finish(b);
}

static void args_alone(IrBuilder *b)
{
    begin(b);
    ir_emit(b, IR_OP_args, IR_VOID, 0, 0, 0, 0);
    finish(b);
}

static void fp_context(IrBuilder *b)
{
    begin(b);
    IrRef x = ir_get(b, IR_F64, R_X0);
    ir_emit(b, IR_OP_fadd, IR_F64, IR_FP(2, 0, 0, 0), x, x, 0);
    finish(b);
}

static void fp_rounding(IrBuilder *b)
{
    begin(b);
    IrRef x = ir_get(b, IR_F64, R_X0);
    ir_emit(b, IR_OP_fadd, IR_F64, IR_FP(0, 6, 0, 0), x, x, 0);
    finish(b);
}

static void fp_from(IrBuilder *b)
{
    begin(b);
    ir_emit(b, IR_OP_f_to_s, IR_I64, IR_FP(0, 0, 0, IR_F32), ir_get(b, IR_F64, R_X0), 0, 0);
    finish(b);
}

static void fp_box(IrBuilder *b)
{
    begin(b);
    ir_emit(b, IR_OP_fbox, IR_F32, IR_FP(0, 0, 0, IR_F64), ir_get(b, IR_F64, R_X0), 0, 0);
    finish(b);
}

static void backwards(IrBuilder *b)
{
    unsigned label = ir_label_new(b);

    begin(b);
    ir_label(b, label);
    ir_branch(b, ir_get(b, IR_I64, R_X0), label);
    finish(b);
}

static void label_unknown(IrBuilder *b)
{
    begin(b);
    ir_branch(b, ir_get(b, IR_I64, R_X0), 3);
    finish(b);
}

static void label_not_placed(IrBuilder *b)
{
    begin(b);
    ir_branch(b, ir_get(b, IR_I64, R_X0), ir_label_new(b));
    finish(b);
}

static void label_unreachable(IrBuilder *b)
{
    begin(b);
    finish(b);
    ir_label(b, ir_label_new(b));
    finish(b);
}

static void value_skipped(IrBuilder *b)
{
    unsigned label = ir_label_new(b);

    begin(b);
    IrRef x = ir_get(b, IR_I64, R_X0);
    ir_branch(b, x, label);
    IrRef y = ir_unary(b, IR_OP_neg, IR_I64, x);
    ir_label(b, label);
    ir_set(b, R_X0, y);
    finish(b);
}

static void mark_skipped(IrBuilder *b)
{
    unsigned label = ir_label_new(b);

    begin(b);
    ir_branch(b, ir_get(b, IR_I64, R_X0), label);
    ir_insn(b, 0x1004, 4);
    ir_label(b, label);
    finish(b);
}

static void behind_jump(IrBuilder *b)
{
    unsigned label = ir_label_new(b);

    begin(b);
    ir_jump(b, label);
    ir_set(b, R_X0, ir_const(b, IR_I64, 1));
    ir_label(b, label);
    finish(b);
}

static void exit_reason(IrBuilder *b)
{
    begin(b);
    ir_exit(b, (IrExit)9);
}

static void insn_count(IrBuilder *b)
{
    begin(b);
    finish(b);
    b->block->insn_count = 2;
}

static const struct {
    const char *name;
    Build *build;
    const char *message; /* part of it */
} faults[] = {
    { "empty", empty, "without instructions" },
    { "no-end", no_end, "without an end" },
    { "two-ends", two_ends, "nothing leads here" },
    { "end-before-insn", end_before_insn, "before the first insn" },
    { "operand-later", operand_later, "not a value defined here" },
    { "operand-without-value", operand_without_value, "not a value defined here" },
    { "operand-type", operand_type, "operand b is of type i32" },
    { "operand-missing", operand_missing, "operand b, 0, is not a value" },
    { "operand-too-many", operand_too_many, "operands that it does not take" },
    { "type", type_of_operation, "(add): cannot be of type f64" },
    { "vector", vector, "cannot be of type v128" },
    { "address", float_address, "operand a is of type i32" },
    { "wide-load", wide_load, "8 bytes do not make i32" },
    { "narrow-float-load", narrow_float_load, "4 bytes do not make f64" },
    { "wide-store", wide_store, "i32 does not make 8 bytes" },
    { "huge-access", huge_access, "64 bytes, 16 is the most" },
    { "memory-order", access_order, "unknown memory order" },
    { "no-register", no_register, "no register" },
    { "narrow-register", narrow_register, "x0 has 64 bits" },
    { "field", field, "no field of 13 bits at 20" },
    { "extension", extension, "cannot extend 64 bits of i32" },
    { "condition", condition, "unknown condition 20" },
    { "casts", casts, "not from i32 to f64" },
    { "helper", helper, "no helper" },
    { "helper-arguments", helper_arguments, "sum3 does not take six" },
    { "helper-wide", helper_wide, "wider than 64 bits" },
    { "args-alone", args_alone, "no call follows" },
    { "fp-context", fp_context, "no FP context 2" },
    { "fp-rounding", fp_rounding, "unknown rounding 6" },
    { "fp-from", fp_from, "of type f64, is not the f32" },
    { "fp-box", fp_box, "of type f64, is not the f64" },
    { "backwards", backwards, "jumps backwards" },
    { "label-unknown", label_unknown, "no such label" },
    { "label-not-placed", label_not_placed, "jumped to but not placed" },
    { "label-unreachable", label_unreachable, "nothing leads here" },
    { "value-skipped", value_skipped, "not a value defined here" },
    { "mark-skipped", mark_skipped, "from another guest instruction" },
    { "behind-jump", behind_jump, "nothing leads here" },
    { "exit-reason", exit_reason, "unknown reason 9" },
    { "insn-count", insn_count, "says that it has 2" },
};

static void test_fault(gconstpointer data)
{
    size_t n = GPOINTER_TO_SIZE(data);
    AUTO_ERROR(error);
    IrBlock block;
    IrBuilder b;

    ir_block_init(&block);
    ir_builder_init(&b, &block, &test_guest, 0x1000, 64);
    faults[n].build(&b);
    g_assert_false(ir_verify(&block, &test_guest, &error));
    g_assert_nonnull(error);
    if (!strstr(error_message(error), faults[n].message)) {
        g_error("'%s' lacks '%s'", error_message(error), faults[n].message);
    }
    ir_block_free(&block);
}

/* A value from before the branch is good after the label; ends may stand before labels; a label may be fallen into. */
static void test_good(void)
{
    AUTO_ERROR(error);
    IrBlock block;
    IrBuilder b;

    ir_block_init(&block);
    ir_builder_init(&b, &block, &test_guest, 0x1000, 64);
    unsigned taken = ir_label_new(&b), fallen = ir_label_new(&b), side = ir_label_new(&b);
    ir_insn(&b, 0x1000, 4);
    IrRef x = ir_get(&b, IR_I64, R_X0);
    ir_branch(&b, x, side);
    ir_insn(&b, 0x1004, 4);
    ir_branch(&b, x, taken);
    ir_goto(&b, 0x2000);
    ir_label(&b, taken);
    ir_label(&b, fallen);
    ir_set(&b, R_X0 + 1, x);
    ir_goto(&b, 0x1008);
    ir_label(&b, side);
    ir_set(&b, R_X0 + 2, x);
    ir_goto(&b, 0x100c);
    g_assert_true(ir_verify(&block, &test_guest, &error));

    /* The side exit has completed one instruction, the others two. */
    TestMachine *machine = machine_new();
    machine->state.x[0] = 0;
    g_assert_cmpint(machine_run(machine, &block), ==, IR_EXIT_CONTINUE);
    g_assert_cmpuint(machine->exec.insns, ==, 2);
    g_assert_cmphex(machine->state.pc, ==, 0x2000);
    machine->state.x[0] = 5;
    machine_run(machine, &block);
    g_assert_cmpuint(machine->exec.insns, ==, 3);
    g_assert_cmphex(machine->state.pc, ==, 0x100c);
    g_assert_cmpuint(machine->state.x[2], ==, 5);
    machine_free(machine);
    ir_block_free(&block);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(faults); i++) {
        g_autofree char *path = g_strdup_printf("/jit/verify/%s", faults[i].name);
        g_test_add_data_func(path, GSIZE_TO_POINTER(i), test_fault);
    }
    g_test_add_func("/jit/verify/good", test_good);
    return g_test_run();
}
