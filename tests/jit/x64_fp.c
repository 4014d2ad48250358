/*
 * Floating point by host code (jit/x64/fp.c) against ir_fp_exact, and that against reference.c: results and flags, in
 * all rounding modes, for operations compiled alone into a function with fixed registers. f16 exhaustively where there
 * is one operand.
 */
#include "../fpu/operands.h"
#include "jit/fp_exact.h"
#include "jit/x64/fp.h"

#include <cpuid.h>
#include <glib.h>
#include <string.h>
#include <sys/mman.h>

#define random_next harness_random_next
#include "harness.h"
#undef random_next

/* What the compiled function works on: rbx holds its address. */
typedef struct Cell {
    uint64_t a, b, c, result;
    uint32_t mxcsr, mxcsr_after, mxcsr_default;
    FpContext context;
} Cell;

enum { XMM = X64_XMM0 };
enum { CODE_ROOM = 4096 };

typedef struct Row {
    IrOp op;
    IrType type, from;
    unsigned rule, operands;
} Row;

typedef struct Rules {
    const char *name;
    FpContext context;
    bool exact;
} Rules;

static const Rules all_rules[] = {
    { "default NaN", { 0 }, false },
    { "x86", { .nan_rule = FP_NAN_X86_SSE, .default_nan_negative = true, .fma_invalid_keeps_nan = true,
               .int_invalid_indefinite = true }, false },
    { "x86, flushing", { .nan_rule = FP_NAN_X86_SSE, .default_nan_negative = true, .fma_invalid_keeps_nan = true,
                         .int_invalid_indefinite = true, .flush_inputs = true, .flush_outputs = true }, true },
    { "arm", { .nan_rule = FP_NAN_ARM, .tiny_before_rounding = true, .int_invalid_zero_nan = true }, true },
    { "old mips", { .nan_rule = FP_NAN_ARM, .nan_signal_bit_inverted = true, .default_nan_all_ones = true }, true },
};

#define FORMATS(X) X(IR_F16) X(IR_F32) X(IR_F64)
#define ARITHMETIC(T) \
    { IR_OP_fadd, T, T, 0, 2 }, { IR_OP_fsub, T, T, 0, 2 }, { IR_OP_fmul, T, T, 0, 2 }, { IR_OP_fdiv, T, T, 0, 2 }, \
    { IR_OP_fsqrt, T, T, 0, 1 }, { IR_OP_ffma, T, T, 0, 3 }, { IR_OP_fround_int, T, T, 0, 1 }, \
    { IR_OP_fround_int, T, T, 1, 1 },
#define MINMAX(T) \
    { IR_OP_fmin, T, T, FP_MINMAX_NUMBER, 2 }, { IR_OP_fmax, T, T, FP_MINMAX_NUMBER, 2 }, \
    { IR_OP_fmin, T, T, FP_MINMAX_NAN, 2 }, { IR_OP_fmax, T, T, FP_MINMAX_2008, 2 }, \
    { IR_OP_fmin, T, T, FP_MINMAX_X86, 2 }, { IR_OP_fmax, T, T, FP_MINMAX_X86, 2 },
#define COMPARISONS(T) \
    { IR_OP_fcmp, IR_I64, T, IR_FP_EQ_QUIET, 2 }, { IR_OP_fcmp, IR_I32, T, IR_FP_LT, 2 }, \
    { IR_OP_fcmp, IR_I64, T, IR_FP_LE, 2 }, { IR_OP_fcmp, IR_I64, T, IR_FP_LT_QUIET, 2 }, \
    { IR_OP_fcmp, IR_I64, T, IR_FP_LE_QUIET, 2 }, { IR_OP_fcmp, IR_I64, T, IR_FP_EQ, 2 }, \
    { IR_OP_fcmp, IR_I64, T, IR_FP_UNORDERED_QUIET, 2 }, { IR_OP_fclass, IR_I64, T, 0, 1 },
#define INTEGERS(T) \
    { IR_OP_f_to_s, IR_I32, T, 0, 1 }, { IR_OP_f_to_s, IR_I64, T, 0, 1 }, { IR_OP_f_to_u, IR_I32, T, 0, 1 }, \
    { IR_OP_f_to_u, IR_I64, T, 0, 1 }, { IR_OP_s_to_f, T, IR_I32, 0, 1 }, { IR_OP_s_to_f, T, IR_I64, 0, 1 }, \
    { IR_OP_u_to_f, T, IR_I32, 0, 1 }, { IR_OP_u_to_f, T, IR_I64, 0, 1 },
static const Row rows[] = {
    FORMATS(ARITHMETIC) FORMATS(MINMAX) FORMATS(COMPARISONS) FORMATS(INTEGERS)
    { IR_OP_fconvert, IR_F16, IR_F32, 0, 1 }, { IR_OP_fconvert, IR_F16, IR_F64, 0, 1 },
    { IR_OP_fconvert, IR_F32, IR_F16, 0, 1 }, { IR_OP_fconvert, IR_F32, IR_F64, 0, 1 },
    { IR_OP_fconvert, IR_F64, IR_F16, 0, 1 }, { IR_OP_fconvert, IR_F64, IR_F32, 0, 1 },
    { IR_OP_fconvert, IR_BF16, IR_F32, 0, 1 }, { IR_OP_fconvert, IR_F32, IR_BF16, 0, 1 },
    { IR_OP_fadd, IR_BF16, IR_BF16, 0, 2 },
};

static bool is_integer(IrType type) { return type == IR_I32 || type == IR_I64; }

static const FpFormat *format_of(IrType type)
{
    return type == IR_F16 ? &f16_format : type == IR_BF16 ? &bf16_format : type == IR_F32 ? &f32_format : &f64_format;
}

static bool has_f16c(void)
{
    unsigned a = 0, b = 0, c = 0, d = 0;

    return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C) && __builtin_cpu_supports("avx");
}

static X64FpHost host_features(void)
{
    return (X64FpHost){ .fma = __builtin_cpu_supports("fma"), .f16c = has_f16c(),
                        .avx512 = __builtin_cpu_supports("avx512f") };
}

/* ---- Compiling ---- */

static X64Operand cell_at(size_t offset) { return x64_memory(RBX, (int64_t)offset); }

static void load_operand(X64Code *code, bool integer, X64Operand to, size_t offset)
{
    if (!to.memory) {
        x64_rm(code, integer ? X64_MOV_RM : X64_VMOVD_RM, 8, to.base, cell_at(offset));
    }
}

/* The function and what it needs, in one mapping. */
typedef struct Room {
    uint8_t code[CODE_ROOM], thunk[CODE_ROOM];
    X64FpConstants constants;
} Room;

/* void function(Cell *) */
static X64FpOutcome compile(Room *room, const Rules *rules, X64FpHost *host, const X64FpOperation *o)
{
    X64FpFrame frame = { .state = RBX, .context_offset = offsetof(Cell, context) };
    X64Code code = { room->code, room->code + CODE_ROOM, 0 };
    X64FpCold cold;

    frame.thunk = room->thunk;
    X64Code thunk = { room->thunk, room->thunk + CODE_ROOM, 0 };
    x64_fp_emit_thunk(&thunk, &frame);

    host->constants = &room->constants;
    x64_r(&code, X64_PUSH, 4, RBX, 0); /* rsp is a multiple of 16 now */
    x64_rr(&code, X64_MOV_RM, 8, RBX, RDI);
    load_operand(&code, is_integer(o->from), x64_register(o->a), offsetof(Cell, a));
    load_operand(&code, false, o->b, offsetof(Cell, b));
    load_operand(&code, false, x64_register(o->c), offsetof(Cell, c));
    x64_m(&code, X64_LDMXCSR, 4, cell_at(offsetof(Cell, mxcsr)), 0);
    X64FpOutcome outcome = x64_fp_emit(&code, host, &rules->context, rules->exact, o, &cold);
    if (outcome == X64_FP_CALL) {
        x64_fp_emit_call(&code, &frame, o);
    }
    x64_rm(&code, is_integer(o->type) ? X64_MOV_MR : X64_VMOVD_MR, 8, o->result, cell_at(offsetof(Cell, result)));
    x64_m(&code, X64_STMXCSR, 4, cell_at(offsetof(Cell, mxcsr_after)), 0);
    x64_m(&code, X64_LDMXCSR, 4, cell_at(offsetof(Cell, mxcsr_default)), 0);
    x64_r(&code, X64_POP, 4, RBX, 0);
    x64_return(&code);
    x64_fp_emit_cold(&code, &frame, &rules->context, o, &cold);
    g_assert_true(code.at <= code.end);
    return outcome;
}

/* ---- Comparing ---- */

static uint64_t boxed(IrType type, uint64_t bits)
{
    return is_integer(type) || type == IR_F64 ? bits
           : type == IR_F32                   ? bits | ~(uint64_t)UINT32_MAX
                                              : bits | ~(uint64_t)UINT16_MAX;
}

typedef struct Run {
    const Row *row;
    const Rules *rules;
    X64FpOperation operation;
    X64FpOutcome outcome;
    void (*function)(Cell *cell);
} Run;

static void check(const Run *run, unsigned rounding, const uint64_t operands[3])
{
    enum { SEEN = 0xff & ~FP_INPUT_SUBNORMAL }; /* x86's DE is not looked at */
    const X64FpOperation *o = &run->operation;
    IrType other = is_integer((IrType)o->from) ? IR_F64 : (IrType)o->from;
    FpContext expected_context = run->rules->context;
    Cell cell = { .a = boxed((IrType)o->from, operands[0]), .b = boxed(other, operands[1]),
                  .c = boxed(other, operands[2]), .mxcsr_default = 0x1f80, .context = run->rules->context };

    expected_context.rounding = cell.context.rounding = (uint8_t)rounding;
    cell.mxcsr = x64_fp_control(&cell.context);
    uint64_t expected = ir_fp_exact(&expected_context, IR_FP_EXACT(o->op, o->type, o->from, o->rounding, o->rule),
                                    cell.a, cell.b, cell.c);
    run->function(&cell);
    uint64_t result = run->outcome == X64_FP_UNSETTLED
                          ? x64_fp_settled(&run->rules->context, (IrType)o->type, cell.result)
                          : cell.result;
    unsigned flags = cell.context.flags | x64_fp_flags(cell.mxcsr_after);
    if (result != expected || (flags & SEEN) != (expected_context.flags & SEEN)) {
        g_test_message("%s %s from %s, rule %u, rounding %u %u, %s: %#lx %#lx %#lx gives %#lx flags %#x, not %#lx %#x",
                       ir_op_info[o->op].name, ir_type_name((IrType)o->type), ir_type_name((IrType)o->from), o->rule,
                       o->rounding, rounding, run->rules->name, cell.a, cell.b, cell.c, result, flags, expected,
                       expected_context.flags);
        g_test_fail();
    }
}

static const unsigned host_roundings[] = { FP_ROUND_NEAREST_EVEN, FP_ROUND_TOWARD_ZERO, FP_ROUND_DOWN, FP_ROUND_UP };

static void check_roundings(const Run *run, const uint64_t operands[3])
{
    for (unsigned i = 0; i < ARRAY_SIZE(host_roundings) && !g_test_failed(); i++) {
        check(run, host_roundings[i], operands);
    }
}

static void check_specials(const Run *run)
{
    Uint128 values[SPECIALS_MAX];
    const FpFormat *format = format_of(is_integer(run->row->from) ? run->row->type : run->row->from);
    unsigned count = special_operands(format, values), counts[3];

    for (unsigned i = 0; i < 3; i++) {
        counts[i] = i < run->row->operands ? count : 1;
    }
    unsigned step = run->row->operands == 3 ? 5 : 1;
    for (unsigned i = 0; i < counts[0]; i++) {
        for (unsigned j = 0; j < counts[1]; j++) {
            for (unsigned k = (i + j) % step; k < counts[2]; k += step) {
                check(run, host_roundings[(i + j + k) % 4],
                      (uint64_t[]){ (uint64_t)values[i], (uint64_t)values[j], (uint64_t)values[k] });
            }
        }
    }
}

static void check_random(const Run *run, Random *random, unsigned count)
{
    const Row *row = run->row;
    const FpFormat *format = format_of(is_integer(row->from) ? row->type : row->from);
    Uint128 values[3];

    while (count-- && !g_test_failed()) {
        random_operands(random, format, values);
        if (is_integer(row->from)) {
            values[0] = (uint64_t)((int64_t)random_next(random) >> random_below(random, 64));
        }
        check_roundings(run, (uint64_t[]){ (uint64_t)values[0], (uint64_t)values[1], (uint64_t)values[2] });
    }
}

static void check_every_half(const Run *run)
{
    for (unsigned i = 0; i < 65536 && !g_test_failed(); i++) {
        check_roundings(run, (uint64_t[]){ i, 0, 0 });
    }
}

/* The result in a register of its own, or in that of an operand. */
static X64FpOperation allocate(const Row *row, unsigned rounding, unsigned alias, bool in_memory)
{
    X64FpOperation o = { .op = (uint8_t)row->op, .type = (uint8_t)row->type, .from = (uint8_t)row->from,
                         .rounding = (uint8_t)rounding, .rule = (uint8_t)row->rule, .a = XMM + 4,
                         .b = x64_register(XMM + 9),
                         .c = XMM + 6, .result = XMM + 12, .scratch = { XMM + 1, XMM + 11 }, .integer_scratch = R10 };

    if (is_integer(row->from)) {
        o.a = RSI;
    }
    if (is_integer(row->type)) {
        o.result = alias ? RSI : R9;
    } else if (!is_integer(row->from) && alias) {
        o.result = alias == 1 ? o.a : alias == 2 ? o.b.base : o.c;
    }
    if (in_memory) {
        o.b = cell_at(offsetof(Cell, b));
    }
    return o;
}

static void test_row(const Row *row, const Rules *rules, X64FpHost *host, Room *room)
{
    static const unsigned roundings[] = { IR_ROUND_DYNAMIC, IR_ROUND_DYNAMIC, IR_ROUND_DYNAMIC, IR_ROUND_DYNAMIC,
                                          FP_ROUND_NEAREST_EVEN, FP_ROUND_TOWARD_ZERO, FP_ROUND_DOWN, FP_ROUND_UP,
                                          FP_ROUND_NEAREST_AWAY };
    Random random = { 3 };

    for (unsigned i = 0; i < ARRAY_SIZE(roundings) && !g_test_failed(); i++) {
        Run run = { .row = row, .rules = rules };
        bool in_memory = i & 1 && row->type != IR_F16 && x64_fp_takes_memory(row->op);
        run.operation = allocate(row, roundings[i], i % (row->operands + 1), in_memory);
        run.outcome = compile(room, rules, host, &run.operation);
        *(void **)&run.function = room->code;
        check_random(&run, &random, test_repetitions(1500));
        if (i < 4) {
            check_specials(&run);
        }
        if (i == 0) {
            if (row->from == IR_F16 && row->operands == 1) {
                check_every_half(&run);
            }
        }
    }
}

static void test_rules(const void *data)
{
    const Rules *rules = data;
    X64FpHost host = host_features(), plain = { 0 };
    Room *room = mmap(NULL, sizeof *room, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    g_assert_true(room != MAP_FAILED);
    x64_fp_constants_init(&room->constants);
    for (unsigned i = 0; i < ARRAY_SIZE(rows) && !g_test_failed(); i++) {
        test_row(&rows[i], rules, &host, room);
        test_row(&rows[i], rules, &plain, room);
    }
    munmap(room, sizeof *room);
}

/* That the host's unit does what it can: a lowering that always called would pass all else. */
static void test_lowered(void)
{
    static const struct {
        IrOp op;
        IrType type, from;
        unsigned rounding;
        X64FpOutcome outcome;
    } expected[] = {
        { IR_OP_fadd, IR_F64, IR_F64, IR_ROUND_DYNAMIC, X64_FP_UNSETTLED },
        { IR_OP_fdiv, IR_F32, IR_F32, IR_ROUND_DYNAMIC, X64_FP_UNSETTLED },
        { IR_OP_fsqrt, IR_F64, IR_F64, IR_ROUND_DYNAMIC, X64_FP_UNSETTLED },
        { IR_OP_fmin, IR_F64, IR_F64, IR_ROUND_DYNAMIC, X64_FP_DONE },
        { IR_OP_fcmp, IR_I64, IR_F32, IR_ROUND_DYNAMIC, X64_FP_DONE },
        { IR_OP_f_to_s, IR_I32, IR_F64, FP_ROUND_TOWARD_ZERO, X64_FP_DONE },
        { IR_OP_f_to_u, IR_I64, IR_F64, FP_ROUND_TOWARD_ZERO, X64_FP_DONE },
        { IR_OP_s_to_f, IR_F64, IR_I32, FP_ROUND_NEAREST_EVEN, X64_FP_DONE },
        { IR_OP_f_to_s, IR_I64, IR_F64, FP_ROUND_DOWN, X64_FP_DONE },
        { IR_OP_s_to_f, IR_F32, IR_I64, FP_ROUND_UP, X64_FP_DONE },
        { IR_OP_u_to_f, IR_F32, IR_I64, IR_ROUND_DYNAMIC, X64_FP_DONE },
        { IR_OP_fconvert, IR_F32, IR_F64, IR_ROUND_DYNAMIC, X64_FP_UNSETTLED },
        { IR_OP_fneg, IR_F32, IR_F32, IR_ROUND_DYNAMIC, X64_FP_DONE },
        { IR_OP_fadd, IR_F64, IR_F64, FP_ROUND_NEAREST_AWAY, X64_FP_CALL },
        { IR_OP_fadd, IR_BF16, IR_BF16, IR_ROUND_DYNAMIC, X64_FP_CALL },
    };
    X64FpConstants constants = { 0 };
    X64FpHost host = { .constants = &constants };
    FpContext rules = { 0 };
    uint8_t bytes[256];

    for (unsigned i = 0; i < ARRAY_SIZE(expected); i++) {
        Row row = { expected[i].op, expected[i].type, expected[i].from, 0, 2 };
        X64FpOperation o = allocate(&row, expected[i].rounding, 0, false);
        X64Code code = { bytes, bytes + sizeof bytes, 0 };
        X64FpCold cold;
        g_assert_cmpint(x64_fp_emit(&code, &host, &rules, false, &o, &cold), ==, expected[i].outcome);
        g_assert_true((expected[i].outcome == X64_FP_CALL) == (code.at == bytes));
    }
}

/* ir_fp_exact itself, against reference.c. */
static void test_exact(void)
{
    Random random = { 9 };
    static const unsigned roundings[] = { 0, 1, 2, 3, 4, IR_ROUND_DYNAMIC };

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        const Row *row = &rows[i];
        const IrType types[3] = { row->from, row->from, row->from };
        for (unsigned n = test_repetitions(3000); n; n--) {
            unsigned rounding = roundings[n % ARRAY_SIZE(roundings)];
            IrInst inst = { .op = (uint8_t)row->op, .type = (uint8_t)row->type,
                            .aux = IR_FP(0, rounding, row->rule, row->from) };
            Uint128 values[3];
            FpContext one = { .rounding = (uint8_t)(n % 5) }, two = one;
            one.rounding = rounding == IR_ROUND_DYNAMIC ? one.rounding : (uint8_t)rounding;
            random_operands(&random, format_of(is_integer(row->from) ? row->type : row->from), values);
            if (row->from == IR_I32) {
                values[0] &= UINT32_MAX;
            }
            uint64_t expected = (uint64_t)reference_value(&inst, types, values, &one);
            uint64_t result = ir_fp_exact(&two, ir_fp_exact_what(&inst, row->from), (uint64_t)values[0],
                                          (uint64_t)values[1], (uint64_t)values[2]);
            g_assert_true(ir_fp_is_exact(&inst, row->from));
            g_assert_cmphex(result, ==, boxed(row->type, expected));
            g_assert_cmphex(two.flags, ==, one.flags);
            g_assert_cmpint(two.rounding, ==, n % 5);
        }
    }
}

static void test_settle(void)
{
    FpContext rules = { 0 };

    g_assert_cmphex(x64_fp_settled(&rules, IR_F64, 0xfff8000000000000), ==, 0x7ff8000000000000);
    g_assert_cmphex(x64_fp_settled(&rules, IR_F64, 0xfff0000000000000), ==, 0xfff0000000000000);
    g_assert_cmphex(x64_fp_settled(&rules, IR_F32, 0xffffffffffc00000), ==, 0xffffffff7fc00000);
    g_assert_cmphex(x64_fp_settled(&rules, IR_F32, 0xffffffffff800000), ==, 0xffffffffff800000);
    rules.default_nan_negative = true;
    g_assert_cmphex(x64_fp_settled(&rules, IR_F32, 0xffffffff7fc00001), ==, 0xffffffffffc00000);
}

/* Guests whose rules are all zeroes need no exact variants: the fast one has their flags. Others do. */
static void test_variants(void)
{
    const FpContext zero = { 0 }, early = { .tiny_before_rounding = true }, flushing = { .flush_outputs = true };

    for (IrOp op = IR_OP_fadd; op <= IR_OP_fround_int; op++) {
        for (unsigned narrows = 0; narrows < 2; narrows++) {
            g_assert_cmpint(x64_fp_treatment(&zero, op, narrows, false), ==,
                            x64_fp_treatment(&zero, op, narrows, true));
        }
    }
    g_assert_cmpint(x64_fp_treatment(&early, IR_OP_fmul, false, false), <, FP_TREAT_EXACT);
    g_assert_cmpint(x64_fp_treatment(&early, IR_OP_fmul, false, true), ==, FP_TREAT_EXACT);
    g_assert_cmpint(x64_fp_treatment(&flushing, IR_OP_fadd, false, false), <, FP_TREAT_EXACT);
    g_assert_cmpint(x64_fp_treatment(&flushing, IR_OP_fadd, false, true), ==, FP_TREAT_EXACT);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/jit/x64/fp/exact", test_exact);
    g_test_add_func("/jit/x64/fp/settle", test_settle);
    g_test_add_func("/jit/x64/fp/variants", test_variants);
    if (!__builtin_cpu_supports("avx")) {
        return g_test_run();
    }
    g_test_add_func("/jit/x64/fp/lowered", test_lowered);
    for (unsigned i = 0; i < ARRAY_SIZE(all_rules); i++) {
        g_autofree char *path = g_strdup_printf("/jit/x64/fp/%s", all_rules[i].name);
        g_test_add_data_func(path, &all_rules[i], test_rules);
    }
    return g_test_run();
}
