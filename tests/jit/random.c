/*
 * Random valid blocks: the interpreter and reference.c, from the same state, end in the same state. And random damage
 * to such blocks: what the verifier lets pass runs without harm.
 */
#include "harness.h"

#include "base/bytes.h"
#include "base/error.h"
#include "base/strbuf.h"

#include <glib.h>
#include <inttypes.h>
#include <string.h>

enum { VALUES = 200 };

typedef struct Generator {
    IrBuilder b;
    uint64_t seed;
    IrRef values[VALUES]; /* usable ones, of any type */
    unsigned count;
    unsigned labels[4], open_labels; /* branched to, not placed */
    unsigned visible;                /* how many values there were at the first of those branches */
    uint64_t pc;
} Generator;

static const IrType all_types[] = { IR_I32, IR_I64, IR_I128, IR_F16, IR_BF16, IR_F32, IR_F64, IR_F80, IR_F128 };

static unsigned pick(Generator *g, unsigned limit)
{
    return (unsigned)((random_next(&g->seed) >> 20) % limit);
}

static IrRef keep(Generator *g, IrRef ref)
{
    if (g->count < VALUES) {
        g->values[g->count++] = ref;
    }
    return ref;
}

static unsigned register_for(Generator *g, IrType type)
{
    switch (type_bits(type)) {
    case 128:
        return R_Q0 + pick(g, 4);
    case 80:
        return R_T0 + pick(g, 2);
    default:
        return pick(g, 3) ? R_X0 + pick(g, 8) : R_X0 + pick(g, R_FLAGS - R_X0);
    }
}

static bool register_fits(unsigned reg, IrType type)
{
    unsigned bits = test_guest.registers[reg].bits;
    return type_bits(type) > 64 ? bits == type_bits(type) : is_power_of_2(bits);
}

static IrRef get(Generator *g, IrType type)
{
    unsigned reg;

    do {
        reg = register_for(g, type);
    } while (!register_fits(reg, type));
    return keep(g, ir_get(&g->b, type, reg));
}

/* A value of the type: one there is, a constant, a register. */
static IrRef any(Generator *g, IrType type)
{
    for (unsigned tries = 0; tries < 8 && g->count && pick(g, 4); tries++) {
        IrRef ref = g->values[pick(g, g->count)];
        if (ir_type_of(g->b.block, ref) == type) {
            return ref;
        }
    }
    if (type_bits(type) <= 64 && !pick(g, 3)) {
        return ir_const(&g->b, type, random_edgy(&g->seed));
    }
    return get(g, type);
}

static IrType any_int(Generator *g) { return pick(g, 3) ? IR_I64 : IR_I32; }

/* Mostly inside of memory, often aligned. */
static IrRef any_address(Generator *g)
{
    IrRef value = ir_binary_const(&g->b, IR_OP_and, IR_I64, any(g, IR_I64), TEST_MEMORY - 1);
    if (pick(g, 12)) { /* off the pages that cannot be written */
        value = ir_binary_const(&g->b, IR_OP_or, IR_I64, value, 1 << TEST_PAGE_BITS);
    }
    if (pick(g, 4)) {
        value = ir_binary_const(&g->b, IR_OP_andn, IR_I64, value, 15);
    }
    return keep(g, ir_binary_const(&g->b, IR_OP_add, IR_I64, value, TEST_BASE));
}

static MemOp any_access(Generator *g, unsigned largest)
{
    static const MemOp orders[] = { MEM_RELAXED, MEM_RELAXED, MEM_ACQUIRE, MEM_RELEASE,
                                    MEM_ACQ_REL, MEM_SEQ_CST, MEM_TSO };

    return (MemOp)(pick(g, largest + 1) | (pick(g, 4) ? 0 : MEM_BIG_ENDIAN) | (pick(g, 12) ? 0 : MEM_ALIGNED) |
                   orders[pick(g, ARRAY_SIZE(orders))] | pick(g, 16) << MEM_MODE_SHIFT);
}

static void emit_load(Generator *g)
{
    IrType type = all_types[pick(g, ARRAY_SIZE(all_types))];
    MemOp op = any_access(g, type == IR_I64 ? MEM_64 : MEM_32);

    if (type == IR_F80) {
        return;
    }
    if (type != IR_I32 && type != IR_I64) {
        op = (MemOp)((op & ~MEM_SIZE_MASK) | (unsigned)__builtin_ctz(type_bits(type) / 8));
    } else if (pick(g, 2)) {
        op |= MEM_SIGNED;
    }
    keep(g, ir_load(&g->b, type, op, any_address(g), pick(g, 2) ? 0 : (int32_t)pick(g, 64) - 32));
}

static void emit_store(Generator *g)
{
    IrType type = all_types[pick(g, ARRAY_SIZE(all_types))];
    MemOp op = any_access(g, type == IR_I64 ? MEM_64 : MEM_32);

    if (type == IR_F80) {
        return;
    }
    if (type != IR_I32 && type != IR_I64) {
        op = (MemOp)((op & ~MEM_SIZE_MASK) | (unsigned)__builtin_ctz(type_bits(type) / 8));
    }
    IrRef address = any_address(g);
    ir_store(&g->b, op, address, pick(g, 2) ? 0 : (int32_t)pick(g, 64), any(g, type));
}

static void emit_zero(Generator *g)
{
    ir_zero(&g->b, (MemOp)(pick(g, MEM_512 + 1) | pick(g, 16) << MEM_MODE_SHIFT), any_address(g));
}

static void emit_atomic(Generator *g)
{
    IrOp op = (IrOp)(IR_OP_load_linked + pick(g, IR_OP_atomic_cas - IR_OP_load_linked + 1));
    bool may_be_wide = op == IR_OP_load_linked || op == IR_OP_atomic_cas;
    IrType type = may_be_wide && !pick(g, 3) ? IR_I128 : any_int(g);
    MemOp access = any_access(g, type == IR_I64 ? MEM_64 : MEM_32);
    IrRef address = any_address(g), value = op == IR_OP_load_linked ? 0 : any(g, type);

    access = type == IR_I128 ? (MemOp)((access & ~MEM_SIZE_MASK) | MEM_128) : access;
    if (type != IR_I128 && op != IR_OP_store_conditional && pick(g, 2)) {
        access |= MEM_SIGNED;
    }
    keep(g, ir_atomic(&g->b, op, type, access, address, value, op == IR_OP_atomic_cas ? any(g, type) : 0));
    if (op == IR_OP_load_linked && type != IR_I128 && pick(g, 2)) {
        keep(g, ir_atomic(&g->b, IR_OP_store_conditional, type, access & (MemOp)~MEM_SIGNED, address, any(g, type), 0));
    }
}

static unsigned any_field(Generator *g, IrType type)
{
    unsigned start = pick(g, type_bits(type)), length = 1 + pick(g, type_bits(type) - start);
    return start | length << 8;
}

static void emit_integer(Generator *g)
{
    IrOp op = (IrOp)(IR_OP_add + pick(g, IR_OP_deposit - IR_OP_add + 1));
    const char *operands = ir_op_info[op].operands;
    IrType type = any_int(g);
    unsigned aux = op == IR_OP_extract || op == IR_OP_deposit ? any_field(g, type)
                   : op == IR_OP_div_s || op == IR_OP_div_u   ? pick(g, 2)
                                                              : 0;
    IrRef x = any(g, type);

    keep(g, ir_emit(&g->b, op, type, aux, x, operands[1] ? any(g, operands[1] == 'I' ? any_int(g) : type) : 0, 0));
}

static void emit_width(Generator *g)
{
    IrType to = any_int(g), from = any_int(g);
    unsigned bits = 8u << pick(g, 4);

    switch (pick(g, 6)) {
    case 0:
        keep(g, ir_trunc(&g->b, to, any(g, IR_I128)));
        break;
    case 1:
        keep(g, ir_unary(&g->b, IR_OP_high, IR_I64, any(g, IR_I128)));
        break;
    case 2: {
        IrRef low = any(g, IR_I64);
        keep(g, ir_binary(&g->b, IR_OP_pair, IR_I128, low, any(g, IR_I64)));
        break;
    }
    case 3:
        keep(g, ir_trunc(&g->b, IR_I32, any(g, IR_I64)));
        break;
    default:
        if (bits <= type_bits(to) && bits <= type_bits(from)) {
            keep(g, ir_emit(&g->b, pick(g, 2) ? IR_OP_sext : IR_OP_zext, to, bits, any(g, from), 0, 0));
        }
    }
}

static void emit_choice(Generator *g)
{
    IrType type = any_int(g), result = any_int(g), chosen = all_types[pick(g, ARRAY_SIZE(all_types))];

    IrRef x = any(g, type);
    IrRef condition = keep(g, ir_compare(&g->b, (IrCondition)pick(g, IR_TEST_NE + 1), result, x, any(g, type)));
    if (pick(g, 2)) {
        IrRef if_true = any(g, chosen);
        keep(g, ir_select(&g->b, chosen, pick(g, 2) ? condition : any(g, any_int(g)), if_true, any(g, chosen)));
    }
}

static void emit_float(Generator *g)
{
    static const IrType formats[] = { IR_F16, IR_BF16, IR_F32, IR_F64, IR_F80, IR_F128 };
    static const IrOp arithmetic[] = { IR_OP_fadd, IR_OP_fmul, IR_OP_fneg, IR_OP_fabs, IR_OP_fcopysign, IR_OP_fmin };
    IrType type = formats[pick(g, ARRAY_SIZE(formats))];
    IrOp op = arithmetic[pick(g, ARRAY_SIZE(arithmetic))];
    unsigned aux = IR_FP(pick(g, 2), IR_ROUND_DYNAMIC, 0, type);
    IrRef x = any(g, type);

    switch (pick(g, 6)) {
    case 0:
        keep(g, ir_emit(&g->b, IR_OP_fcmp, any_int(g), aux, x, any(g, type), 0));
        break;
    case 1:
        keep(g, ir_emit(&g->b, IR_OP_fclass, any_int(g), 0, x, 0, 0));
        break;
    case 2:
        if (type == IR_F32 || type == IR_F16) {
            keep(g, ir_emit(&g->b, IR_OP_fbox, IR_F64, aux, x, 0, 0));
        } else {
            IrRef f64 = any(g, IR_F64);
            keep(g, ir_emit(&g->b, IR_OP_funbox, IR_F32, IR_FP(0, 0, 0, IR_F64), f64, 0, 0));
        }
        break;
    case 3:
        keep(g, ir_emit(&g->b, IR_OP_bitcast,
                        type == IR_F64         ? IR_I64
                        : type_bits(type) > 64 ? IR_I128
                                               : IR_I32,
                        0, x, 0, 0));
        break;
    default:
        keep(g, ir_emit(&g->b, op, type, aux, x, ir_op_info[op].operands[1] ? any(g, type) : 0, 0));
    }
}

static void emit_set(Generator *g)
{
    IrType type = pick(g, 3) ? any_int(g) : all_types[pick(g, ARRAY_SIZE(all_types))];
    unsigned reg;

    do {
        reg = register_for(g, type);
    } while (!register_fits(reg, type));
    ir_set(&g->b, reg,
           g->count && ir_type_of(g->b.block, g->values[g->count - 1]) == type ? g->values[g->count - 1]
                                                                               : any(g, type));
}

/* A register as it is, or its low half. */
static IrRef word_of(Generator *g)
{
    return ir_get(&g->b, IR_I32, R_X0 + pick(g, 5));
}

/* As instructions on words of a wider guest: registers are set again and again, few of them are read as a whole. */
static void emit_word(Generator *g)
{
    static const IrOp operations[] = { IR_OP_add, IR_OP_sub, IR_OP_mul, IR_OP_and,  IR_OP_or,
                                       IR_OP_xor, IR_OP_shl, IR_OP_shr, IR_OP_andn, IR_OP_not };
    IrOp op = operations[pick(g, ARRAY_SIZE(operations))];
    bool unary = op == IR_OP_not, wide = pick(g, 3) == 0;
    IrType type = wide ? IR_I64 : IR_I32;
    IrRef x = wide ? ir_get(&g->b, IR_I64, R_X0 + pick(g, 5)) : word_of(g);
    IrRef y = unary         ? 0
              : pick(g, 2) ? ir_const(&g->b, type, pick(g, 4) ? pick(g, 40) : random_edgy(&g->seed))
              : wide       ? ir_get(&g->b, IR_I64, R_X0 + pick(g, 5))
                           : word_of(g);
    IrRef result = unary ? ir_unary(&g->b, op, type, x) : ir_binary(&g->b, op, type, x, y);

    result = wide ? result : ir_extend(&g->b, pick(g, 4) ? IR_OP_sext : IR_OP_zext, IR_I64, 8u << pick(g, 3), result);
    ir_set(&g->b, R_X0 + pick(g, 5), result);
}

/* Two shifts that may be an extension or a rotation together. */
static void emit_shifts(Generator *g)
{
    static const IrOp joins[] = { IR_OP_or, IR_OP_xor, IR_OP_add };
    IrType type = any_int(g);
    unsigned bits = type_bits(type), amount = pick(g, 2) ? bits - (8u << pick(g, 3)) : pick(g, bits);
    unsigned back = pick(g, 8) ? bits - amount : pick(g, bits);
    IrRef x = pick(g, 3) ? ir_get(&g->b, type, R_X0 + pick(g, 3)) : any(g, type);
    IrRef left = ir_binary_const(&g->b, IR_OP_shl, type, x, amount & (bits - 1)), right, result;

    if (pick(g, 2)) {
        result = ir_binary_const(&g->b, pick(g, 2) ? IR_OP_shr : IR_OP_sar, type, left,
                                 pick(g, 8) ? amount & (bits - 1) : back & (bits - 1));
    } else {
        right = ir_binary_const(&g->b, IR_OP_shr, type, x, back & (bits - 1));
        if (type == IR_I32 && pick(g, 2)) {
            left = ir_extend(&g->b, IR_OP_sext, IR_I64, 32, left);
            right = ir_extend(&g->b, IR_OP_sext, IR_I64, 32, right);
            type = IR_I64;
        }
        bool swapped = pick(g, 2);
        result = ir_binary(&g->b, joins[pick(g, ARRAY_SIZE(joins))], type, swapped ? right : left,
                           swapped ? left : right);
    }
    if (type == IR_I64 && pick(g, 2)) {
        result = ir_extend(&g->b, IR_OP_sext, IR_I64, 32, ir_trunc(&g->b, IR_I32, result));
    }
    keep(g, result);
    if (pick(g, 2)) {
        ir_set(&g->b, R_X0 + pick(g, 5), result);
    }
}

static void emit_call(Generator *g)
{
    static const IrType types[] = { IR_I32, IR_I64, IR_I64, IR_F16, IR_F32, IR_F64 };
    unsigned helper = pick(g, H_COUNT), count = helper == H_SUM6 ? 4 + pick(g, 3) : pick(g, 4);
    IrType result = pick(g, 3) ? any_int(g) : IR_VOID;
    IrRef arguments[6] = { 0 };

    if ((helper == H_RAISE || helper == H_RAISE_IF) && pick(g, 6)) {
        return;
    }
    for (unsigned i = 0; i < count; i++) {
        arguments[i] = any(g, types[pick(g, ARRAY_SIZE(types))]);
    }
    IrRef ref = ir_call(&g->b, helper, result, arguments, count);
    if (result != IR_VOID) {
        keep(g, ref);
    }
}

static void emit_branch(Generator *g)
{
    if (g->open_labels == ARRAY_SIZE(g->labels)) {
        return;
    }
    unsigned label = ir_label_new(&g->b);
    IrType type = any_int(g);
    IrRef x = any(g, type);
    IrRef condition = pick(g, 2) ? ir_compare(&g->b, (IrCondition)pick(g, IR_TEST_NE + 1), any_int(g), x, any(g, type))
                                 : any(g, any_int(g));

    ir_branch(&g->b, condition, label);
    g->visible = g->open_labels ? g->visible : g->count;
    g->labels[g->open_labels++] = label;
}

/* Places the labels that are open; values since the first branch are gone. */
static void close_labels(Generator *g)
{
    while (g->open_labels) {
        ir_label(&g->b, g->labels[--g->open_labels]);
        g->count = g->visible;
    }
}

static void emit_end(Generator *g)
{
    switch (pick(g, 4)) {
    case 0:
        ir_goto(&g->b, random_next(&g->seed) & ~(uint64_t)3);
        break;
    case 1:
        ir_goto_value(&g->b, ir_binary_const(&g->b, IR_OP_and, IR_I64, any(g, IR_I64), ~UINT64_C(3)), IR_JUMP_PLAIN);
        break;
    default:
        ir_exit(&g->b, (IrExit)pick(g, IR_EXIT_DEBUG + 1));
    }
}

static void next_insn(Generator *g)
{
    close_labels(g);
    ir_insn(&g->b, g->pc, 4);
    g->pc += 4;
}

static void generate(Generator *g, IrBlock *block, uint64_t seed)
{
    static void (*const emitters[])(Generator *) = {
        emit_integer, emit_integer, emit_integer, emit_set,    emit_set,  emit_set, emit_load, emit_store, emit_width,
        emit_width,   emit_choice,  emit_call,    emit_float,  emit_word, emit_word, emit_word, emit_shifts,
        emit_atomic,
        emit_branch,  emit_zero,
    };

    *g = (Generator){ .seed = seed * 0x9e3779b97f4a7c15 + 1, .pc = 0x1000 };
    ir_builder_init(&g->b, block, &test_guest, g->pc, 64);
    block->address_bits = pick(g, 4) ? 64 : 32;
    next_insn(g);
    for (unsigned length = 3 + pick(g, 60); length; length--) {
        if (!pick(g, 5)) {
            next_insn(g);
        }
        emitters[pick(g, ARRAY_SIZE(emitters))](g);
        if (g->open_labels && !pick(g, 6)) { /* an end in the middle */
            emit_end(g);
            ir_label(&g->b, g->labels[--g->open_labels]);
            g->count = g->visible;
        }
    }
    close_labels(g);
    if (!pick(g, 3)) {
        ir_fence(&g->b, IR_FENCE_ALL);
    }
    emit_end(g);
}

static void fill_state(TestMachine *machine, uint64_t seed)
{
    uint8_t *bytes = (uint8_t *)&machine->state;

    for (size_t i = 0; i + 8 <= offsetof(TestState, fp); i += 8) {
        uint64_t value = random_edgy(&seed);
        memcpy(bytes + i, &value, 8);
    }
    for (size_t i = 0; i < TEST_MEMORY; i += 8) {
        uint64_t value = random_edgy(&seed);
        memcpy(machine->memory + i, &value, 8);
    }
    memset(machine->state.fp, 0, sizeof machine->state.fp);
    machine->exec.insns = 1000;
    machine->exec.exception = (ExecException){ 0 };
    machine->exec.reservation_size = 0;
    machine->io = seed & 4;
    machine_map(machine, seed & 8 && !machine->io);
}

static void compare(const TestMachine *a, const TestMachine *b, int exit_a, int exit_b)
{
    g_assert_cmpint(exit_a, ==, exit_b);
    g_assert_cmpuint(a->exec.insns, ==, b->exec.insns);
    for (unsigned i = 0; i < R_FLAGS; i++) {
        const GuestRegister *reg = &test_guest.registers[i];
        if (memcmp(a->exec.state + reg->offset, b->exec.state + reg->offset, reg->bits / 8)) {
            g_test_message("%s differs: %" PRIx64 ", not %" PRIx64, reg->name, load_le64(a->exec.state + reg->offset),
                           load_le64(b->exec.state + reg->offset));
        }
        g_assert_cmpmem(a->exec.state + reg->offset, reg->bits / 8, b->exec.state + reg->offset, reg->bits / 8);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(a->state.fp); i++) {
        g_assert_cmphex(a->state.fp[i].flags & COMMON_FP_FLAGS, ==, b->state.fp[i].flags & COMMON_FP_FLAGS);
    }
    g_assert_cmpmem(a->memory, TEST_MEMORY, b->memory, TEST_MEMORY);
    g_assert_cmpint(a->exec.exception.pending, ==, b->exec.exception.pending);
    if (a->exec.exception.pending) {
        g_assert_cmpuint(a->exec.exception.code, ==, b->exec.exception.code);
        g_assert_cmphex(a->exec.exception.value, ==, b->exec.exception.value);
        g_assert_cmphex(a->exec.pc, ==, b->exec.pc);
    }
    g_assert_cmpuint(a->exec.reservation_size, ==, b->exec.reservation_size);
}

/* More of them on request: MYNA_TEST_BLOCKS. */
static uint64_t block_count(void)
{
    const char *count = g_getenv("MYNA_TEST_BLOCKS");
    return count ? g_ascii_strtoull(count, NULL, 10) : 30000;
}

enum { PLAIN_HOST = 256 };

static void test_equal(gconstpointer data)
{
    TestEngine engine = (TestEngine)(GPOINTER_TO_INT(data) & ~PLAIN_HOST);
    TestMachine *one = machine_new(), *two = machine_new();
    unsigned counts[256] = { 0 };
    IrBlock block;
    Generator *g = g_new0(Generator, 1);

    one->engine = engine;
    one->plain_host = GPOINTER_TO_INT(data) & PLAIN_HOST;
    ir_block_init(&block);
    for (uint64_t seed = 1; seed <= block_count(); seed++) {
        generate(g, &block, seed);
        fill_state(one, seed * 77 + 5);
        fill_state(two, seed * 77 + 5);
        int exit_one = machine_run(one, &block), exit_two = reference_run(two, &block);
        counts[exit_one]++;
        if (memcmp(one->memory, two->memory, TEST_MEMORY) ||
            memcmp(&one->state, &two->state, offsetof(TestState, t)) || exit_one != exit_two ||
            one->exec.exception.value != two->exec.exception.value) {
            AUTO_STRBUF(text);
            ir_dump(&block, &test_guest, &text);
            if (engine != ENGINE_INTERPRETER) {
                ir_dump(&one->optimised, &test_guest, &text);
            }
            g_test_message("seed %" G_GUINT64_FORMAT ": exits %d and %d, pc %" PRIx64 ", exception %u value %" PRIx64
                           "\n%s", seed, exit_one, exit_two, one->exec.pc, one->exec.exception.code,
                           one->exec.exception.value, strbuf_text(&text));
        }
        if (engine == ENGINE_HOST) {
            one->exec.insns = two->exec.insns; /* not counted */
        }
        compare(one, two, exit_one, exit_two);
    }
    g_test_message("%u exceptions, %u to the end", counts[IR_EXIT_EXCEPTION], counts[IR_EXIT_CONTINUE]);
    /* All kinds of end were seen, and not too many were exceptions. */
    for (int exit = IR_EXIT_RECHECK; exit <= IR_EXIT_DEBUG; exit++) {
        g_assert_cmpuint(counts[exit], >, 300);
    }
    g_assert_cmpuint(counts[IR_EXIT_CONTINUE], >, 3000);
    ir_block_free(&block);
    g_free(g);
    machine_free(one);
    machine_free(two);
}

/* One instruction gets random bytes, or fields of another one. */
static void damage(IrBlock *block, uint64_t *seed)
{
    IrInst *inst = &block->insts[1 + random_next(seed) % (block->count - 1)];
    const IrInst *other = &block->insts[1 + random_next(seed) % (block->count - 1)];

    switch (random_next(seed) >> 30 & 7) {
    case 0:
        inst->op = (uint8_t)random_next(seed);
        break;
    case 1:
        inst->type = (uint8_t)(random_next(seed) & 15);
        break;
    case 2:
        inst->aux = (uint16_t)random_next(seed);
        break;
    case 3:
        inst->a = (uint32_t)(random_next(seed) >> (random_next(seed) & 63));
        break;
    case 4:
        inst->imm = (int64_t)random_next(seed);
        break;
    case 5:
        *inst = *other;
        break;
    case 6:
        inst->b = other->a;
        break;
    default:
        block->label_count = (uint16_t)(random_next(seed) & 7);
    }
}

static void test_damage(void)
{
    TestMachine *machine = machine_new();
    IrBlock block;
    Generator *g = g_new0(Generator, 1);
    unsigned passed = 0, refused = 0;

    ir_block_init(&block);
    for (uint64_t seed = 1; seed <= 30000; seed++) {
        uint64_t random = seed * 0x9e3779b97f4a7c15;
        generate(g, &block, seed);
        for (unsigned i = 0; i < 1 + seed % 3; i++) {
            damage(&block, &random);
        }
        AUTO_STRBUF(text);
        ir_dump(&block, &test_guest, &text);
        AUTO_ERROR(error);
        if (!ir_verify(&block, &test_guest, &error)) {
            refused++;
            continue;
        }
        passed++;
        fill_state(machine, seed);
        machine_run(machine, &block);
    }
    g_assert_cmpuint(passed, >, 1000);
    g_assert_cmpuint(refused, >, 1000);
    ir_block_free(&block);
    g_free(g);
    machine_free(machine);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_data_func("/jit/random/equal", GINT_TO_POINTER(ENGINE_INTERPRETER), test_equal);
    g_test_add_data_func("/jit/random/equal_host", GINT_TO_POINTER(ENGINE_HOST), test_equal);
    g_test_add_data_func("/jit/random/equal_host_counted", GINT_TO_POINTER(ENGINE_HOST_COUNTED), test_equal);
    g_test_add_data_func("/jit/random/equal_plain_host", GINT_TO_POINTER(ENGINE_HOST | PLAIN_HOST), test_equal);
    g_test_add_func("/jit/random/damage", test_damage);
    return g_test_run();
}
