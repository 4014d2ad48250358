/* Every value operation in every type it has: interpreted, with an immediate, folded, and as reference.c has it. */
#include "harness.h"

#include "base/error.h"

#include <glib.h>
#include <string.h>

typedef struct Case {
    IrOp op;
    IrType type;
    IrType operands[3];
    unsigned aux;
} Case;

static const IrType integers[] = { IR_I32, IR_I64 };
static const IrType floats[] = { IR_F16, IR_BF16, IR_F32, IR_F64, IR_F80, IR_F128 };

enum { ROUNDS = 200 };

/* q0 to q2 are large enough for operands of all types: a value is made of their bits. */
static IrRef operand(IrBuilder *b, IrType type, unsigned n)
{
    IrRef wide = ir_get(b, IR_I128, R_Q0 + n);

    switch (type) {
    case IR_I128:
        return wide;
    case IR_F80:
    case IR_F128:
        return ir_unary(b, IR_OP_bitcast, type, wide);
    case IR_I64:
    case IR_I32:
        return ir_trunc(b, type, wide);
    case IR_F64:
        return ir_unary(b, IR_OP_bitcast, type, ir_trunc(b, IR_I64, wide));
    default:
        return ir_unary(b, IR_OP_bitcast, type, ir_trunc(b, IR_I32, wide));
    }
}

static void put_result(IrBuilder *b, IrType type, IrRef value)
{
    if (type == IR_F80) {
        ir_set(b, R_T0, value);
    } else if (type == IR_I128 || type == IR_F128) {
        ir_set(b, R_Q0 + 3, value);
    } else {
        ir_set(b, R_X0 + 7, value);
    }
}

static U128 result_of(const TestMachine *machine, IrType type)
{
    if (type == IR_F80) {
        return (U128)machine->state.t[0].sign_exponent << 64 | machine->state.t[0].significand;
    }
    return type == IR_I128 || type == IR_F128 ? machine->state.q[3] : machine->state.x[7];
}

static U128 cut(U128 value, IrType type)
{
    unsigned bits = type_bits(type);
    return bits >= 128 ? value : value & (((U128)1 << bits) - 1);
}

/* Operands as values, or `constants` (bit n: operand n) in them. */
static bool build(IrBuilder *b, const Case *test, const U128 values[3], unsigned constants)
{
    IrRef refs[3] = { 0 };

    ir_insn(b, 0x1000, 4);
    for (unsigned i = 0; i < 3 && test->operands[i]; i++) {
        bool constant = constants & 1u << i;
        if (constant && type_bits(test->operands[i]) > 64) {
            return false;
        }
        refs[i] = constant ? ir_const(b, test->operands[i], (uint64_t)values[i]) : operand(b, test->operands[i], i);
    }
    put_result(b, test->type, ir_emit(b, test->op, test->type, test->aux, refs[0], refs[1], refs[2]));
    ir_goto(b, 0x1004);
    return true;
}

static void check_value(TestMachine *machine, const Case *test, const U128 values[3], unsigned constants, U128 expected,
                        const FpContext *fp)
{
    IrBlock block;
    IrBuilder builder;

    ir_block_init(&block);
    ir_builder_init(&builder, &block, &test_guest, 0x1000, 64);
    bool possible = build(&builder, test, values, constants);
    for (unsigned engine = 0; possible && engine < ENGINES; engine++) {
        machine->engine = (TestEngine)engine;
        FpContext before = machine->state.fp[0];
        g_assert_cmpint(machine_run(machine, &block), ==, IR_EXIT_CONTINUE);
        if (result_of(machine, test->type) != expected) {
            g_error("engine %u: %s.%s aux %x constants %u of %016lx%016lx %016lx%016lx: %016lx%016lx, not %016lx%016lx",
                    engine, ir_op_info[test->op].name, ir_type_name(test->type), test->aux, constants,
                    (uint64_t)(values[0] >> 64), (uint64_t)values[0], (uint64_t)(values[1] >> 64), (uint64_t)values[1],
                    (uint64_t)(result_of(machine, test->type) >> 64), (uint64_t)result_of(machine, test->type),
                    (uint64_t)(expected >> 64), (uint64_t)expected);
        }
        machine->state.fp[0].flags &= COMMON_FP_FLAGS;
        g_assert_cmpmem(&machine->state.fp[0], sizeof *fp, fp, sizeof *fp);
        machine->state.fp[0] = before;
    }
    ir_block_free(&block);
}

static void run_case(const Case *test)
{
    TestMachine *machine = machine_new();
    uint64_t seed = 0x1234567 + test->op * 977u + test->type * 31u + test->aux;
    unsigned count = 0;

    while (count < 3 && test->operands[count]) {
        count++;
    }
    for (unsigned round = 0; round < ROUNDS; round++) {
        U128 values[3];
        for (unsigned i = 0; i < 3; i++) {
            U128 raw = (U128)random_edgy(&seed) << 64 | random_edgy(&seed);
            machine->state.q[i] = raw;
            values[i] = cut(raw, test->operands[i]);
        }
        machine->state.fp[0].rounding = (uint8_t)(round % 4);
        machine->state.fp[0].flags = (uint8_t)(round % 3);
        const IrInst inst = { .op = (uint8_t)test->op, .type = (uint8_t)test->type, .aux = (uint16_t)test->aux };
        FpContext fp = machine->state.fp[0];
        bool fixed = ir_op_info[test->op].effects[0] == 'F' && ir_fp_rounding(test->aux) != IR_ROUND_DYNAMIC;
        fp.rounding = fixed ? (uint8_t)ir_fp_rounding(test->aux) : fp.rounding;
        U128 expected = reference_value(&inst, test->operands, values, &fp);
        fp.rounding = machine->state.fp[0].rounding;
        fp.flags &= COMMON_FP_FLAGS;
        for (unsigned constants = 0; constants < 1u << count; constants++) {
            check_value(machine, test, values, constants, expected, &fp);
        }
    }
    machine_free(machine);
}

static void test_binary(void)
{
    for (unsigned op = IR_OP_add; op <= IR_OP_max_u; op++) {
        const char *operands = ir_op_info[op].operands;
        for (unsigned i = 0; i < 2; i++) {
            IrType type = integers[i];
            for (unsigned j = 0; j < (operands[1] == 'I' ? 2u : 1u); j++) {
                IrType second = operands[1] == 'I' ? integers[j] : operands[1] ? type : IR_VOID;
                run_case(&(Case){ (IrOp)op, type, { type, second }, 0 });
                if (op == IR_OP_div_s || op == IR_OP_div_u) {
                    run_case(&(Case){ (IrOp)op, type, { type, second }, 1 });
                }
            }
        }
    }
}

static void test_fields(void)
{
    static const uint8_t fields[][2] = { { 0, 1 },  { 0, 8 },  { 0, 32 }, { 5, 7 },  { 16, 16 },
                                         { 31, 1 }, { 0, 64 }, { 63, 1 }, { 12, 40 } };

    for (unsigned i = 0; i < ARRAY_SIZE(fields); i++) {
        for (unsigned j = 0; j < 2; j++) {
            IrType type = integers[j];
            unsigned aux = fields[i][0] | fields[i][1] << 8;
            if (fields[i][0] + fields[i][1] <= (int)type_bits(type)) {
                run_case(&(Case){ IR_OP_extract, type, { type }, aux });
                run_case(&(Case){ IR_OP_deposit, type, { type, type }, aux });
            }
        }
    }
}

static void test_conversions(void)
{
    for (unsigned bits = 8; bits <= 64; bits *= 2) {
        for (unsigned i = 0; i < 4; i++) {
            IrType to = integers[i / 2], from = integers[i % 2];
            if (bits <= type_bits(to) && bits <= type_bits(from)) {
                run_case(&(Case){ IR_OP_sext, to, { from }, bits });
                run_case(&(Case){ IR_OP_zext, to, { from }, bits });
            }
        }
    }
    run_case(&(Case){ IR_OP_trunc, IR_I32, { IR_I64 }, 0 });
    run_case(&(Case){ IR_OP_trunc, IR_I32, { IR_I128 }, 0 });
    run_case(&(Case){ IR_OP_trunc, IR_I64, { IR_I128 }, 0 });
    run_case(&(Case){ IR_OP_high, IR_I64, { IR_I128 }, 0 });
    run_case(&(Case){ IR_OP_pair, IR_I128, { IR_I64, IR_I64 }, 0 });
    static const uint8_t casts[][2] = { { IR_I32, IR_F32 }, { IR_I64, IR_F64 }, { IR_I32, IR_F16 },
                                        { IR_I32, IR_BF16 }, { IR_I128, IR_F80 }, { IR_I128, IR_F128 } };
    for (unsigned i = 0; i < ARRAY_SIZE(casts); i++) {
        run_case(&(Case){ IR_OP_bitcast, casts[i][0], { casts[i][1] }, 0 });
        run_case(&(Case){ IR_OP_bitcast, casts[i][1], { casts[i][0] }, 0 });
    }
}

static void test_select(void)
{
    static const IrType types[] = { IR_I32, IR_I64, IR_I128, IR_F16, IR_BF16, IR_F32, IR_F64, IR_F80, IR_F128 };

    for (unsigned i = 0; i < ARRAY_SIZE(types); i++) {
        run_case(&(Case){ IR_OP_select, types[i], { IR_I32, types[i], types[i] }, 0 });
        run_case(&(Case){ IR_OP_select, types[i], { IR_I64, types[i], types[i] }, 0 });
    }
}

static void test_compare(void)
{
    for (unsigned condition = IR_EQ; condition <= IR_TEST_NE; condition++) {
        for (unsigned i = 0; i < 4; i++) {
            IrType type = integers[i / 2];
            run_case(&(Case){ IR_OP_cmp, integers[i % 2], { type, type }, condition | (unsigned)type << 8 });
        }
    }
}

static void test_float_arithmetic(void)
{
    static const IrOp ops[] = { IR_OP_fadd,  IR_OP_fsub, IR_OP_fmul,      IR_OP_fdiv,
                                IR_OP_fsqrt, IR_OP_ffma, IR_OP_fround_int };

    for (unsigned i = 0; i < ARRAY_SIZE(floats); i++) {
        IrType type = floats[i];
        for (unsigned j = 0; j < ARRAY_SIZE(ops); j++) {
            unsigned count = (unsigned)strlen(ir_op_info[ops[j]].operands);
            Case test = { ops[j], type, { type, count > 1 ? type : IR_VOID, count > 2 ? type : IR_VOID }, 0 };
            for (unsigned rounding = 0; rounding <= IR_ROUND_DYNAMIC; rounding++) {
                test.aux = IR_FP(0, rounding, rounding & 1, 0);
                if (rounding != 6) {
                    run_case(&test);
                }
            }
        }
        for (unsigned rule = FP_MINMAX_NUMBER; rule <= FP_MINMAX_X86; rule++) {
            run_case(&(Case){ IR_OP_fmin, type, { type, type }, IR_FP(0, IR_ROUND_DYNAMIC, rule, 0) });
            run_case(&(Case){ IR_OP_fmax, type, { type, type }, IR_FP(0, IR_ROUND_DYNAMIC, rule, 0) });
        }
    }
}

static void test_float_bits(void)
{
    for (unsigned i = 0; i < ARRAY_SIZE(floats); i++) {
        IrType type = floats[i];
        run_case(&(Case){ IR_OP_fneg, type, { type }, 0 });
        run_case(&(Case){ IR_OP_fabs, type, { type }, 0 });
        run_case(&(Case){ IR_OP_fcopysign, type, { type, type }, 0 });
        run_case(&(Case){ IR_OP_fclass, IR_I32, { type }, 0 });
        run_case(&(Case){ IR_OP_fclass, IR_I64, { type }, 0 });
    }
    static const uint8_t boxes[][2] = {
        { IR_F64, IR_F32 }, { IR_F64, IR_F16 }, { IR_F64, IR_BF16 }, { IR_F32, IR_F16 }, { IR_F32, IR_BF16 }
    };
    for (unsigned i = 0; i < ARRAY_SIZE(boxes); i++) {
        run_case(&(Case){ IR_OP_fbox, boxes[i][0], { boxes[i][1] }, IR_FP(0, 0, 0, boxes[i][1]) });
        run_case(&(Case){ IR_OP_funbox, boxes[i][1], { boxes[i][0] }, IR_FP(0, 0, 0, boxes[i][0]) });
    }
}

static void test_float_conversions(void)
{
    for (unsigned i = 0; i < ARRAY_SIZE(floats); i++) {
        IrType type = floats[i];
        for (unsigned j = 0; j < ARRAY_SIZE(floats); j++) {
            if (i != j) {
                run_case(&(Case){ IR_OP_fconvert, type, { floats[j] }, IR_FP(0, IR_ROUND_DYNAMIC, 0, floats[j]) });
            }
        }
        for (unsigned j = 0; j < 2; j++) {
            for (unsigned rounding = 0; rounding < 6; rounding++) {
                run_case(&(Case){ IR_OP_f_to_s, integers[j], { type }, IR_FP(0, rounding, 0, type) });
                run_case(&(Case){ IR_OP_f_to_u, integers[j], { type }, IR_FP(0, rounding, 0, type) });
                run_case(&(Case){ IR_OP_s_to_f, type, { integers[j] }, IR_FP(0, rounding, 0, integers[j]) });
                run_case(&(Case){ IR_OP_u_to_f, type, { integers[j] }, IR_FP(0, rounding, 0, integers[j]) });
            }
            for (unsigned condition = 0; condition <= IR_FP_UNORDERED_QUIET; condition++) {
                run_case(&(Case){ IR_OP_fcmp, integers[j], { type, type }, IR_FP(0, 0, condition, type) });
            }
        }
    }
}

/* Constants that are equal are one; others are not; what is not pure is left alone. */
static void test_constants(void)
{
    IrBlock block;
    IrBuilder b;

    ir_block_init(&block);
    ir_builder_init(&b, &block, &test_guest, 0, 64);
    IrRef five = ir_const(&b, IR_I64, 5);
    g_assert_cmpuint(ir_const(&b, IR_I64, 5), ==, five);
    g_assert_cmpuint(ir_const(&b, IR_I32, 5), !=, five);
    g_assert_cmpuint(ir_binary_const(&b, IR_OP_sub, IR_I64, ir_const(&b, IR_I64, 8), 3), ==, five);
    uint64_t value;
    g_assert_true(ir_is_const(&block, ir_const(&b, IR_I32, UINT64_MAX), &value));
    g_assert_cmpuint(value, ==, UINT32_MAX);
    g_assert_false(ir_is_const(&block, ir_get(&b, IR_I64, R_X0), &value));
    unsigned label = ir_label_new(&b);
    ir_label(&b, label);
    g_assert_cmpuint(ir_const(&b, IR_I64, 5), !=, five); /* the label's other ways may not pass the first one */
    g_assert_cmpuint(ir_trunc(&b, IR_I64, five), ==, five);
    g_assert_cmpuint(ir_extend(&b, IR_OP_sext, IR_I64, 64, five), ==, five);
    ir_block_free(&block);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/jit/ops/binary", test_binary);
    g_test_add_func("/jit/ops/fields", test_fields);
    g_test_add_func("/jit/ops/conversions", test_conversions);
    g_test_add_func("/jit/ops/select", test_select);
    g_test_add_func("/jit/ops/compare", test_compare);
    g_test_add_func("/jit/ops/float-arithmetic", test_float_arithmetic);
    g_test_add_func("/jit/ops/float-bits", test_float_bits);
    g_test_add_func("/jit/ops/float-conversions", test_float_conversions);
    g_test_add_func("/jit/ops/constants", test_constants);
    return g_test_run();
}
