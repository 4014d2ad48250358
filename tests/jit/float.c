/*
 * Blocks of floating-point operations on host code and on the interpreter, from the same state: the same registers
 * and flags after them. Chains of operations, results of one being operands of the next.
 */
#include "harness.h"

#include "base/strbuf.h"
#ifdef __x86_64__
#include "jit/x64/internal.h"
#endif

#include <glib.h>
#include <inttypes.h>
#include <string.h>

enum { OPERATIONS = 16 };

static unsigned pick(uint64_t *seed, unsigned limit) { return (unsigned)((random_next(seed) >> 20) % limit); }

static IrType any_format(uint64_t *seed)
{
    static const IrType formats[] = { IR_F16, IR_F32, IR_F32, IR_F64, IR_F64, IR_F64 };
    return formats[pick(seed, ARRAY_SIZE(formats))];
}

static IrRef operand(IrBuilder *b, uint64_t *seed, IrType type) { return ir_get(b, type, R_X0 + pick(seed, 8)); }

/* Negated on its way, as compilers have it. */
static void emit_fused(IrBuilder *b, uint64_t *seed)
{
    IrType type = pick(seed, 2) ? IR_F32 : IR_F64;
    IrRef values[3];

    for (unsigned i = 0; i < 3; i++) {
        values[i] = operand(b, seed, type);
        values[i] = pick(seed, 2) ? ir_unary(b, IR_OP_fneg, type, values[i]) : values[i];
    }
    IrRef result = ir_emit(b, IR_OP_ffma, type, IR_FP(0, IR_ROUND_DYNAMIC, 0, type), values[0], values[1], values[2]);
    ir_set(b, R_X0 + pick(seed, 8), result);
}

static void emit_operation(IrBuilder *b, uint64_t *seed)
{
    static const IrOp operations[] = {
        IR_OP_fadd, IR_OP_fsub, IR_OP_fmul, IR_OP_fdiv, IR_OP_fsqrt, IR_OP_ffma, IR_OP_fneg, IR_OP_fabs,
        IR_OP_fcopysign, IR_OP_fmin, IR_OP_fmax, IR_OP_fcmp, IR_OP_fclass, IR_OP_fconvert, IR_OP_f_to_s, IR_OP_f_to_u,
        IR_OP_s_to_f, IR_OP_u_to_f, IR_OP_fround_int, IR_OP_fbox, IR_OP_funbox,
    };
    IrOp op = operations[pick(seed, ARRAY_SIZE(operations))];
    const char *operands = ir_op_info[op].operands;
    IrType integer = pick(seed, 2) ? IR_I32 : IR_I64, format = any_format(seed), type = format, from = format;
    unsigned rules = op == IR_OP_fcmp ? IR_FP_UNORDERED_QUIET + 1 : op == IR_OP_fround_int ? 2 : 1;
    unsigned rule = pick(seed, rules);

    if (op == IR_OP_fcmp || op == IR_OP_fclass || op == IR_OP_f_to_s || op == IR_OP_f_to_u) {
        type = integer;
    } else if (op == IR_OP_s_to_f || op == IR_OP_u_to_f) {
        from = integer;
    } else if (op == IR_OP_fconvert) {
        from = format == IR_F32 ? IR_F64 : IR_F32;
    } else if (op == IR_OP_fbox || op == IR_OP_funbox) {
        IrType narrow = pick(seed, 3) ? IR_F32 : IR_F16;
        type = op == IR_OP_fbox ? IR_F64 : narrow;
        from = op == IR_OP_fbox ? narrow : IR_F64;
    }
    IrRef a = operand(b, seed, from), second = operands[1] ? operand(b, seed, from) : 0;
    IrRef third = operands[1] && operands[2] ? operand(b, seed, from) : 0;
    unsigned rounding = pick(seed, 3) ? IR_ROUND_DYNAMIC : pick(seed, 5);
    IrRef result = ir_emit(b, op, type, IR_FP(!pick(seed, 8), rounding, rule, from), a, second, third);
    ir_set(b, R_X0 + pick(seed, 8), result);
    if (!pick(seed, 4)) {
        ir_set(b, R_X0 + pick(seed, 8), result);
    }
}

/* Registers and memory; every eighth access faults. */
static void emit_access(IrBuilder *b, uint64_t *seed)
{
    static const struct {
        IrType type;
        unsigned op;
    } kinds[] = { { IR_I64, MEM_64 }, { IR_I32, MEM_32 }, { IR_F64, MEM_64 }, { IR_F32, MEM_32 }, { IR_F16, MEM_16 } };
    unsigned kind = pick(seed, ARRAY_SIZE(kinds)), reg = R_X0 + pick(seed, 8);
    bool writes = pick(seed, 2);
    uint64_t place = pick(seed, 8) ? 0x100 + 8 * pick(seed, 8) : TEST_MEMORY + 1;
    IrRef address = ir_const(b, IR_I64, TEST_BASE + place);

    if (writes) {
        ir_store(b, (MemOp)kinds[kind].op, address, 0, ir_get(b, kinds[kind].type, reg));
        return;
    }
    IrRef value = ir_load(b, kinds[kind].type, (MemOp)kinds[kind].op, address, 0);
    if (kinds[kind].type == IR_F32 || kinds[kind].type == IR_F16) {
        value = ir_emit(b, IR_OP_fbox, IR_F64, IR_FP(0, 0, 0, kinds[kind].type), value, 0, 0);
    }
    ir_set(b, reg, value);
}

/* As a guest's front-end has it: leaves, or goes on behind the label. */
static void emit_side_exit(IrBuilder *b, uint64_t *seed)
{
    unsigned label = ir_label_new(b);
    IrRef x = operand(b, seed, IR_F64), y = operand(b, seed, IR_F64);

    ir_branch(b, ir_emit(b, IR_OP_fcmp, IR_I32, IR_FP(0, 0, pick(seed, 7), IR_F64), x, y, 0), label);
    ir_goto(b, 0x2000);
    ir_label(b, label);
}

static void emit_moves(IrBuilder *b, uint64_t *seed)
{
    IrType format = pick(seed, 2) ? IR_F64 : IR_F32, bits = format == IR_F64 ? IR_I64 : IR_I32;
    IrRef value = operand(b, seed, format);

    ir_set(b, R_X0 + pick(seed, 8), ir_emit(b, IR_OP_bitcast, bits, 0, value, 0, 0));
    ir_set(b, R_X0 + pick(seed, 8), ir_emit(b, IR_OP_bitcast, format, 0, ir_get(b, bits, R_X0 + pick(seed, 8)), 0, 0));
    if (!pick(seed, 3)) {
        const IrRef arguments[] = { value, operand(b, seed, bits), value };
        ir_set(b, R_X0 + pick(seed, 8), ir_call(b, pick(seed, 2) ? H_SUM3 : H_SWAP, IR_I64, arguments, 3));
    }
}

/* Seen in the middle of a block, cleared, restored. */
static void emit_flags(IrBuilder *b, uint64_t *seed)
{
    IrType type = pick(seed, 2) ? IR_I64 : IR_I32;
    IrRef seen = ir_binary_const(b, IR_OP_and, type, ir_get(b, type, R_FLAGS), COMMON_FP_FLAGS);

    ir_set(b, R_X0 + pick(seed, 8), seen);
    if (pick(seed, 2)) {
        IrRef other = ir_binary_const(b, IR_OP_and, type, operand(b, seed, type), COMMON_FP_FLAGS);
        ir_set(b, R_FLAGS, pick(seed, 2) ? other : ir_const(b, type, 0));
    }
}

/* Saved, compared, restored: as compilers have a comparison that raises nothing. Sometimes it is not quite that. */
static void emit_silent_comparison(IrBuilder *b, uint64_t *seed)
{
    unsigned saved = R_X0 + pick(seed, 8), result = R_X0 + pick(seed, 8);
    IrType type = pick(seed, 3) ? IR_F64 : IR_F32;
    IrRef mask = ir_const(b, IR_I64, COMMON_FP_FLAGS);

    ir_set(b, saved, ir_binary(b, IR_OP_and, IR_I64, ir_get(b, IR_I64, R_FLAGS), mask));
    IrRef x = operand(b, seed, type), y = operand(b, seed, type);
    unsigned rule = pick(seed, IR_FP_UNORDERED_QUIET + 1);
    ir_set(b, result, ir_emit(b, IR_OP_fcmp, IR_I64, IR_FP(0, IR_ROUND_DYNAMIC, rule, type), x, y, 0));
    if (!pick(seed, 8)) {
        emit_operation(b, seed);
    }
    ir_set(b, R_FLAGS, ir_binary(b, IR_OP_and, IR_I64, ir_get(b, IR_I64, saved), mask));
}

static void emit_any(IrBuilder *b, uint64_t *seed)
{
    switch (pick(seed, 15)) {
    case 14:
        emit_silent_comparison(b, seed);
        break;
    case 13:
        emit_fused(b, seed);
        break;
    case 12:
        emit_flags(b, seed);
        break;
    case 0:
    case 1:
        emit_access(b, seed);
        break;
    case 2:
        emit_side_exit(b, seed);
        break;
    case 3:
        emit_moves(b, seed);
        break;
    default:
        emit_operation(b, seed);
    }
}

static uint64_t any_value(uint64_t *seed)
{
    static const uint64_t edges[] = { 0x7ff0000000000000, 0xfff0000000000001, 0x7ff8000000000000, 0x8000000000000000,
                                      0xffffffff7f800001, 0xffffffffffc00000, 0xffffffff80000001, 0xffffffffffff7c01,
                                      0x43e0000000000000, 0x41dfffffffc00000, 0xffffffff3f800000, 0x3ff0000000000000 };
    return pick(seed, 3) ? random_edgy(seed) : edges[pick(seed, ARRAY_SIZE(edges))];
}

static void fill(TestMachine *machine, unsigned mode, uint64_t seed)
{
    uint8_t rounding = (uint8_t)pick(&seed, 4);

    for (unsigned i = 0; i < 8; i++) {
        machine->state.x[i] = any_value(&seed);
    }
    for (unsigned i = 0; i < 8; i++) {
        uint64_t value = any_value(&seed);
        memcpy(machine->memory + 0x100 + 8 * i, &value, sizeof value);
    }
    machine->exec.exception.pending = false;
    machine->exec.mode = mode;
    machine->state.fp[0] = machine->state.fp[1] = test_fp_rules[mode];
    machine->state.fp[0].rounding = machine->state.fp[1].rounding = rounding;
}

static void compare(const TestMachine *one, const TestMachine *two, uint64_t seed, const IrBlock *block)
{
    bool same = !memcmp(one->state.x, two->state.x, sizeof one->state.x) &&
                !memcmp(one->memory, two->memory, TEST_MEMORY) && one->state.pc == two->state.pc &&
                !((one->state.fp[0].flags ^ two->state.fp[0].flags) & COMMON_FP_FLAGS) &&
                !((one->state.fp[1].flags ^ two->state.fp[1].flags) & COMMON_FP_FLAGS);
    if (!same) {
        AUTO_STRBUF(text);
        ir_dump(block, &test_guest, &text);
        for (unsigned i = 0; i < 8; i++) {
            strbuf_printf(&text, "x%u %#" PRIx64 " %#" PRIx64 "\n", i, one->state.x[i], two->state.x[i]);
        }
        g_test_message("seed %" G_GUINT64_FORMAT ", flags %#x %#x\n%s", seed, one->state.fp[0].flags,
                       two->state.fp[0].flags,
                       strbuf_text(&text));
        g_test_fail();
    }
}

static void build(IrBlock *block, uint64_t random)
{
    IrBuilder b;

    ir_builder_init(&b, block, &test_guest, 0x1000, 64);
    for (unsigned i = 0; i < OPERATIONS; i++) {
        ir_insn(&b, 0x1000 + 4 * i, 4);
        emit_any(&b, &random);
    }
    ir_exit(&b, IR_EXIT_RECHECK);
}

static void test_blocks(gconstpointer data)
{
    unsigned mode = GPOINTER_TO_UINT(data);
    TestMachine *one = machine_new(), *two = machine_new();
    IrBlock block;

    ir_block_init(&block);
    for (uint64_t seed = 1; seed <= 20000 && !g_test_failed(); seed++) {
        build(&block, seed * 0x9e3779b97f4a7c15 + 1);
        machine_map(one, seed & 2);
        machine_map(two, seed & 2);
        two->engine = seed & 1 ? ENGINE_HOST : ENGINE_HOST_COUNTED;
        for (unsigned state = 0; state < 4; state++) {
            fill(one, mode, seed * 4 + state + 77);
            fill(two, mode, seed * 4 + state + 77);
            int reason = machine_run(one, &block);
            g_assert_cmpint(machine_run(two, &block), ==, reason);
            compare(one, two, seed, &block);
        }
    }
    ir_block_free(&block);
    machine_free(one);
    machine_free(two);
}

#ifdef __x86_64__
/* A host without AVX leaves numbers to the interpreter, and does all else. */
static void test_old_host(void)
{
    TestMachine *machine = machine_new();
    IrBlock block;
    IrBuilder b;
    CodeBlock code;

    machine_prepare(machine);
    ((X64Common *)machine->code_common)->float_host.avx = false;
    ir_block_init(&block);
    for (unsigned with_numbers = 0; with_numbers < 2; with_numbers++) {
        ir_builder_init(&b, &block, &test_guest, 0x1000, 64);
        ir_insn(&b, 0x1000, 4);
        IrType type = with_numbers ? IR_F64 : IR_I64;
        ir_set(&b, R_X0 + 1, ir_get(&b, type, R_X0 + 4));
        ir_exit(&b, IR_EXIT_RECHECK);
        g_assert_cmpint(machine_compile(machine, &block, 0, &code), ==, with_numbers ? COMPILE_CANNOT : COMPILE_DONE);
    }
    ir_block_free(&block);
    machine_free(machine);
}
#endif

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (unsigned mode = 0; mode < TEST_MODES; mode++) {
        g_autofree char *path = g_strdup_printf("/jit/float/blocks/%u", mode);
        g_test_add_data_func(path, GUINT_TO_POINTER(mode), test_blocks);
    }
#ifdef __x86_64__
    g_test_add_func("/jit/float/old-host", test_old_host);
#endif
    return g_test_run();
}
