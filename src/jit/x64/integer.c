/* Integer operations. Those without an instruction worth having are calls of the functions of ir_eval.h. */
#include "jit/x64/internal.h"

static unsigned size_of(const IrInst *inst)
{
    return operand_size((IrType)inst->type);
}

static uint64_t reg_bit(X64Operand operand)
{
    return operand.memory ? 0 : BIT(operand.base);
}

/* dst becomes a, unless it is. */
static void copy(Compiler *c, unsigned size, unsigned dst, unsigned from)
{
    if (dst != from) {
        x64_rr(&c->code, X64_MOV_RM, size, dst, from);
    }
}

/* The same, from wherever. */
static void bring(Compiler *c, unsigned size, unsigned dst, X64Operand from)
{
    if (from.memory) {
        x64_rm(&c->code, X64_MOV_RM, size, dst, from);
    } else {
        copy(c, size, dst, from.base);
    }
}

/* add, or, and, sub, xor */

static void alu_immediate(Compiler *c, const IrInst *inst, X64Alu alu, int64_t immediate)
{
    unsigned size = size_of(inst);
    bool adds = alu == X64_ADD || (alu == X64_SUB && immediate != INT32_MIN);
    X64Operand a = use_operand(c, inst->a);

    release_operands(c);
    unsigned dst = define_register(c, 0);
    if (!a.memory && dst != a.base && adds) {
        x64_rm(&c->code, X64_LEA, size, dst, x64_memory(a.base, alu == X64_ADD ? immediate : -immediate));
    } else {
        bring(c, size, dst, a);
        x64_alu_immediate(&c->code, alu, size, x64_register(dst), immediate);
    }
    bind_result(c, dst, true);
}

static bool is_in_register(Compiler *c, IrRef ref) { return value_of(c, ref)->where < HOST_REGISTERS; }

static void lower_alu(Compiler *c, const IrInst *inst, X64Alu alu)
{
    unsigned size = size_of(inst);
    IrRef first = inst->a, second = inst->b;
    int64_t immediate;

    if (use_immediate(c, second, &immediate)) {
        alu_immediate(c, inst, alu, immediate);
        return;
    }
    if (alu != X64_SUB && use_immediate(c, first, &immediate)) {
        first = second;
        const IrInst swapped = { .op = inst->op, .type = inst->type, .a = inst->b, .b = inst->a };
        alu_immediate(c, &swapped, alu, immediate);
        return;
    }
    if (alu != X64_SUB && !is_in_register(c, first) && is_in_register(c, second)) { /* the other may stay in memory */
        IrRef other = first;
        first = second;
        second = other;
    }
    unsigned a = use_register(c, first);
    X64Operand b = use_operand(c, second);
    release_operands(c);
    unsigned dst = define_register(c, alu == X64_SUB && reg_bit(b) != BIT(a) ? reg_bit(b) : 0);
    if (alu == X64_ADD && dst != a && !b.memory && dst != b.base) {
        x64_rm(&c->code, X64_LEA, size, dst, x64_indexed(a, b.base, 0, 0));
    } else if (dst != a && !b.memory && dst == b.base) { /* only where they may change places */
        x64_alu(&c->code, alu, size, dst, x64_register(a));
    } else {
        copy(c, size, dst, a);
        x64_alu(&c->code, alu, size, dst, b);
    }
    bind_result(c, dst, true);
}

static void lower_add(Compiler *c, const IrInst *inst) { lower_alu(c, inst, X64_ADD); }
static void lower_sub(Compiler *c, const IrInst *inst) { lower_alu(c, inst, X64_SUB); }
static void lower_and(Compiler *c, const IrInst *inst) { lower_alu(c, inst, X64_AND); }
static void lower_or(Compiler *c, const IrInst *inst) { lower_alu(c, inst, X64_OR); }
static void lower_xor(Compiler *c, const IrInst *inst) { lower_alu(c, inst, X64_XOR); }

static void lower_andn(Compiler *c, const IrInst *inst)
{
    unsigned size = size_of(inst), a = use_register(c, inst->a), b = use_register(c, inst->b);

    if (c->common->features.bmi1) {
        release_operands(c);
        unsigned dst = define_register(c, 0);
        x64_encode(&c->code, X64_ANDN, size, dst, b, x64_register(a), 0);
        bind_result(c, dst, true);
        return;
    }
    release_operands(c);
    unsigned dst = define_register(c, BIT(a));
    copy(c, size, dst, b);
    x64_r(&c->code, X64_NOT, size, dst, 0);
    x64_alu(&c->code, X64_AND, size, dst, x64_register(a));
    bind_result(c, dst, true);
}

static void lower_unary(Compiler *c, const IrInst *inst, X64Op op)
{
    unsigned size = size_of(inst);
    X64Operand a = use_operand(c, inst->a);

    release_operands(c);
    unsigned dst = define_register(c, 0);
    bring(c, size, dst, a);
    x64_r(&c->code, op, size, dst, 0);
    bind_result(c, dst, true);
}

static void lower_not(Compiler *c, const IrInst *inst) { lower_unary(c, inst, X64_NOT); }
static void lower_neg(Compiler *c, const IrInst *inst) { lower_unary(c, inst, X64_NEG); }

static void lower_mul(Compiler *c, const IrInst *inst)
{
    unsigned size = size_of(inst), a = use_register(c, inst->a);
    int64_t immediate;

    if (use_immediate(c, inst->b, &immediate)) {
        release_operands(c);
        unsigned dst = define_register(c, 0);
        x64_encode(&c->code, X64_IMUL_RMI, size, dst, 0, x64_register(a), immediate);
        bind_result(c, dst, true);
        return;
    }
    X64Operand b = use_operand(c, inst->b);
    release_operands(c);
    unsigned dst = define_register(c, 0);
    if (!b.memory && dst == b.base) {
        x64_rr(&c->code, X64_IMUL_RM, size, dst, a);
    } else {
        copy(c, size, dst, a);
        x64_rm(&c->code, X64_IMUL_RM, size, dst, b);
    }
    bind_result(c, dst, true);
}

/* Shifts. */

static void shift_immediate(Compiler *c, const IrInst *inst, X64Op op, uint64_t amount)
{
    unsigned size = size_of(inst);
    X64Operand a = use_operand(c, inst->a);

    amount &= size * 8 - 1;
    release_operands(c);
    unsigned dst = define_register(c, 0);
    bring(c, size, dst, a);
    if (amount) {
        x64_r(&c->code, op, size, dst, (int64_t)amount);
    } else if (size == 4 && !a.memory && dst == a.base) {
        x64_rr(&c->code, X64_MOV_RM, 4, dst, dst);
    }
    bind_result(c, dst, true);
}

typedef struct ShiftRow {
    X64Op immediate, by_cl, three; /* three: with BMI2; 0: there is none */
} ShiftRow;

static void lower_shift(Compiler *c, const IrInst *inst, ShiftRow row)
{
    unsigned size = size_of(inst);
    uint64_t amount;

    if (value_const(c, inst->b, &amount)) {
        shift_immediate(c, inst, row.immediate, amount);
        return;
    }
    if (row.three && c->common->features.bmi2) {
        unsigned a = use_register(c, inst->a), b = use_register(c, inst->b);
        release_operands(c);
        unsigned dst = define_register(c, 0);
        x64_encode(&c->code, row.three, size, dst, b, x64_register(a), 0);
        bind_result(c, dst, true);
        return;
    }
    take_register(c, RCX);
    unsigned a = use_register(c, inst->a);
    move_to_register(c, RCX, inst->b, 4);
    unsigned dst = define_register(c, BIT(RCX) | BIT(a));
    copy(c, size, dst, a);
    x64_r(&c->code, row.by_cl, size, dst, 0);
    c->locked = 0;
    release_operands(c);
    bind_result(c, dst, true);
}

static void lower_shl(Compiler *c, const IrInst *inst)
{
    lower_shift(c, inst, (ShiftRow){ X64_SHL_I, X64_SHL_CL, X64_SHLX });
}
static void lower_shr(Compiler *c, const IrInst *inst)
{
    lower_shift(c, inst, (ShiftRow){ X64_SHR_I, X64_SHR_CL, X64_SHRX });
}
static void lower_sar(Compiler *c, const IrInst *inst)
{
    lower_shift(c, inst, (ShiftRow){ X64_SAR_I, X64_SAR_CL, X64_SARX });
}

/* To the right, by a constant. */
static void rotate_immediate(Compiler *c, const IrInst *inst, uint64_t amount)
{
    unsigned size = size_of(inst);
    X64Operand a = use_operand(c, inst->a);

    release_operands(c);
    unsigned dst = define_register(c, 0);
    x64_encode(&c->code, X64_RORX, size, dst, 0, a, (int64_t)(amount & (size * 8 - 1)));
    bind_result(c, dst, true);
}

static void lower_rotl(Compiler *c, const IrInst *inst)
{
    uint64_t amount;

    if (c->common->features.bmi2 && value_const(c, inst->b, &amount)) {
        rotate_immediate(c, inst, -amount);
    } else {
        lower_shift(c, inst, (ShiftRow){ X64_ROL_I, X64_ROL_CL, 0 });
    }
}

static void lower_rotr(Compiler *c, const IrInst *inst)
{
    uint64_t amount;

    if (c->common->features.bmi2 && value_const(c, inst->b, &amount)) {
        rotate_immediate(c, inst, amount);
    } else {
        lower_shift(c, inst, (ShiftRow){ X64_ROR_I, X64_ROR_CL, 0 });
    }
}

/* Widths. */

static void lower_trunc(Compiler *c, const IrInst *inst)
{
    if (inst_of(c, inst->a)->type != IR_I128) {
        bind_alias(c, inst->a);
        return;
    }
    unsigned slot = use_slot(c, inst->a), dst = define_register(c, 0);
    x64_rm(&c->code, X64_MOV_RM, size_of(inst), dst, slot_operand(slot));
    bind_result(c, dst, true);
}

static void lower_high(Compiler *c, const IrInst *inst)
{
    unsigned slot = use_slot(c, inst->a), dst = define_register(c, 0);

    x64_rm(&c->code, X64_MOV_RM, 8, dst, slot_operand(slot + 1));
    bind_result(c, dst, true);
}

static void lower_pair(Compiler *c, const IrInst *inst)
{
    unsigned low = use_register(c, inst->a), high = use_register(c, inst->b), slot = bind_slots(c);

    x64_rm(&c->code, X64_MOV_MR, 8, low, slot_operand(slot));
    x64_rm(&c->code, X64_MOV_MR, 8, high, slot_operand(slot + 1));
}

static void extend(Compiler *c, const IrInst *inst, X64Op op, unsigned size)
{
    X64Operand a = use_operand(c, inst->a);

    release_operands(c);
    unsigned dst = define_register(c, 0);
    x64_rm(&c->code, op, size, dst, a);
    bind_result(c, dst, size == 4);
}

static void lower_sext(Compiler *c, const IrInst *inst)
{
    unsigned size = size_of(inst);

    if (inst->aux == 64 || (inst->aux == 32 && size == 4)) {
        extend(c, inst, X64_MOV_RM, size);
    } else {
        extend(c, inst, inst->aux == 8 ? X64_MOVSX_8 : inst->aux == 16 ? X64_MOVSX_16 : X64_MOVSXD, size);
    }
}

static void lower_zext(Compiler *c, const IrInst *inst)
{
    if (inst->aux >= 32) {
        extend(c, inst, X64_MOV_RM, inst->aux == 64 ? 8 : 4);
    } else {
        extend(c, inst, inst->aux == 8 ? X64_MOVZX_8 : X64_MOVZX_16, 4);
    }
    c->values[c->now].extended = true;
}

static void lower_extract(Compiler *c, const IrInst *inst)
{
    unsigned start = inst->aux & 0xff, length = inst->aux >> 8, size = size_of(inst), a = use_register(c, inst->a);

    release_operands(c);
    unsigned dst = define_register(c, 0);
    if (start + length == size * 8) {
        copy(c, size, dst, a);
        if (start) {
            x64_r(&c->code, X64_SHR_I, size, dst, start);
        }
    } else {
        copy(c, size, dst, a);
        x64_r(&c->code, X64_SHL_I, size, dst, size * 8 - start - length);
        x64_r(&c->code, X64_SHR_I, size, dst, size * 8 - length);
    }
    bind_result(c, dst, false);
}

/* Comparisons. */

static X64Condition host_condition(unsigned condition)
{
    static const uint8_t conditions[] = {
        [IR_EQ] = X64_E,    [IR_NE] = X64_NE,   [IR_LT_S] = X64_L, [IR_GE_S] = X64_GE,   [IR_LE_S] = X64_LE,
        [IR_GT_S] = X64_G,  [IR_LT_U] = X64_B,  [IR_GE_U] = X64_AE, [IR_LE_U] = X64_BE,  [IR_GT_U] = X64_A,
        [IR_TEST_EQ] = X64_E, [IR_TEST_NE] = X64_NE,
    };
    return (X64Condition)conditions[condition];
}

X64Condition lower_compare(Compiler *c, const IrInst *cmp)
{
    unsigned condition = cmp->aux & 0xff, size = operand_size((IrType)(cmp->aux >> 8));
    bool test = condition == IR_TEST_EQ || condition == IR_TEST_NE;
    int64_t immediate;

    if (!test && !is_in_register(c, cmp->a) && use_immediate(c, cmp->b, &immediate)) {
        x64_alu_immediate(&c->code, X64_CMP, size, use_operand(c, cmp->a), immediate);
        return host_condition(condition);
    }
    unsigned a = use_register(c, cmp->a);
    if (use_immediate(c, cmp->b, &immediate)) {
        if (test) {
            x64_r(&c->code, X64_TEST_MI, size, a, immediate);
        } else if (immediate == 0) {
            x64_rr(&c->code, X64_TEST_MR, size, a, a);
        } else {
            x64_alu_immediate(&c->code, X64_CMP, size, x64_register(a), immediate);
        }
    } else if (test) {
        x64_rr(&c->code, X64_TEST_MR, size, use_register(c, cmp->b), a);
    } else {
        x64_alu(&c->code, X64_CMP, size, a, use_operand(c, cmp->b));
    }
    return host_condition(condition);
}

static void lower_cmp(Compiler *c, const IrInst *inst)
{
    X64Condition condition = lower_compare(c, inst);

    release_operands(c);
    unsigned dst = define_register(c, 0);
    x64_set(&c->code, condition, dst);
    x64_rr(&c->code, X64_MOVZX_8, 4, dst, dst);
    bind_result(c, dst, true);
}

/* cmov where values are integers; those of 128 bits and floating point by a jump. */
static void lower_select(Compiler *c, const IrInst *inst)
{
    unsigned size = size_of(inst);
    X64Condition condition = X64_NE;

    if (is_wide((IrType)inst->type) || is_float((IrType)inst->type)) {
        lower_function(c, inst);
        return;
    }
    unsigned b = use_register(c, inst->b), third = use_register(c, inst->c);
    if (c->values[inst->a].fused) {
        condition = lower_compare(c, inst_of(c, inst->a));
    } else {
        unsigned a = use_register(c, inst->a);
        x64_rr(&c->code, X64_TEST_MR, operand_size((IrType)inst_of(c, inst->a)->type), a, a);
    }
    c->locked = BIT(b) | BIT(third); /* what was compared may go */
    release_operands(c);
    unsigned dst = define_register(c, b == third ? 0 : BIT(b));
    copy(c, size, dst, third);
    x64_cmov(&c->code, condition, size, dst, x64_register(b));
    bind_result(c, dst, size == 4 && dst != third);
}

static void lower_minmax(Compiler *c, const IrInst *inst, X64Condition condition)
{
    unsigned size = size_of(inst), a = use_register(c, inst->a), b = use_register(c, inst->b);

    release_operands(c);
    unsigned dst = define_register(c, a == b ? 0 : BIT(b));
    x64_alu(&c->code, X64_CMP, size, a, x64_register(b));
    copy(c, size, dst, a);
    x64_cmov(&c->code, condition, size, dst, x64_register(b));
    bind_result(c, dst, false);
}

static void lower_min_s(Compiler *c, const IrInst *inst) { lower_minmax(c, inst, X64_G); }
static void lower_min_u(Compiler *c, const IrInst *inst) { lower_minmax(c, inst, X64_A); }
static void lower_max_s(Compiler *c, const IrInst *inst) { lower_minmax(c, inst, X64_L); }
static void lower_max_u(Compiler *c, const IrInst *inst) { lower_minmax(c, inst, X64_B); }

/* Counting bits, byte order. */

static void by_one_instruction(Compiler *c, const IrInst *inst, X64Op op)
{
    unsigned a = use_register(c, inst->a);

    release_operands(c);
    unsigned dst = define_register(c, 0);
    x64_rr(&c->code, op, size_of(inst), dst, a);
    bind_result(c, dst, true);
}

/* Functions, for what remains. */

#define DEFINE_BINARY(name, expression) \
    static uint64_t run_##name##_32(uint64_t a, uint64_t b, uint64_t aux) \
    { \
        return eval_##name##_32((uint32_t)a, (uint32_t)b, (unsigned)aux); \
    } \
    static uint64_t run_##name##_64(uint64_t a, uint64_t b, uint64_t aux) \
    { \
        return eval_##name##_64(a, b, (unsigned)aux); \
    }
EVAL_BINARY(DEFINE_BINARY)
EVAL_UNARY(DEFINE_BINARY)

typedef uint64_t PureFunction(uint64_t a, uint64_t b, uint64_t aux);
static PureFunction *const pure_functions[IR_OP_COUNT][2] = {
#define ROW(name, expression) [IR_OP_##name] = { run_##name##_32, run_##name##_64 },
    EVAL_BINARY(ROW) EVAL_UNARY(ROW)
#undef ROW
};

static void save_operand(Compiler *c, IrRef ref)
{
    if (ref && inst_of(c, c->values[ref].root)->op != IR_OP_const) {
        use_slot(c, ref);
    }
}

static void lower_by_function(Compiler *c, const IrInst *inst)
{
    unsigned size = size_of(inst);

    save_operand(c, inst->a);
    save_operand(c, inst->b);
    leave_temporaries(c, false);
    store_pinned(&c->code, c->common, CALLER_SAVED);
    static const uint8_t registers[] = { RDI, RSI };
    const IrRef operands[] = { inst->a, inst->b };
    for (unsigned i = 0; i < 2; i++) {
        uint64_t constant;
        if (operands[i] && value_const(c, operands[i], &constant)) {
            x64_load_constant(&c->code, registers[i], constant);
        } else if (operands[i]) {
            unsigned slot = value_of(c, operands[i])->slot - 1u;
            x64_rm(&c->code, X64_MOV_RM, inst_of(c, operands[i])->type == IR_I64 ? 8 : 4, registers[i],
                   slot_operand(slot));
        }
    }
    x64_load_constant(&c->code, RDX, inst->aux);
    x64_load_constant(&c->code, RAX, (uintptr_t)pure_functions[inst->op][size == 8]);
    x64_r(&c->code, X64_CALL, 4, RAX, 0);
    load_pinned(&c->code, c->common, CALLER_SAVED);
    c->locked = 0;
    release_operands(c);
    bind_result(c, RAX, true);
}

static void lower_clz(Compiler *c, const IrInst *inst)
{
    c->common->features.lzcnt ? by_one_instruction(c, inst, X64_LZCNT) : lower_by_function(c, inst);
}

static void lower_ctz(Compiler *c, const IrInst *inst)
{
    c->common->features.bmi1 ? by_one_instruction(c, inst, X64_TZCNT) : lower_by_function(c, inst);
}

static void lower_popcount(Compiler *c, const IrInst *inst)
{
    c->common->features.popcnt ? by_one_instruction(c, inst, X64_POPCNT) : lower_by_function(c, inst);
}

/* bswap is 0F C8+r, a form of its own. */
static void lower_bswap(Compiler *c, const IrInst *inst)
{
    unsigned size = size_of(inst), a = use_register(c, inst->a);

    release_operands(c);
    unsigned dst = define_register(c, 0);
    copy(c, size, dst, a);
    x64_bswap(&c->code, size, dst);
    bind_result(c, dst, true);
}

/* The top bit of each byte says whether the byte is not zero: the others add up to it. Then 0x100 - 1 for each. */
static void lower_orc_bytes(Compiler *c, const IrInst *inst)
{
    const uint64_t low_bits = UINT64_C(0x7f7f7f7f7f7f7f7f);
    unsigned size = size_of(inst), a = use_register(c, inst->a), mask = scratch_register(c);

    unsigned dst = define_register(c, BIT(a) | BIT(mask));
    x64_load_constant(&c->code, mask, size == 8 ? low_bits : (uint32_t)low_bits);
    x64_rr(&c->code, X64_MOV_RM, size, dst, a);
    x64_alu(&c->code, X64_AND, size, dst, x64_register(mask));
    x64_alu(&c->code, X64_ADD, size, dst, x64_register(mask));
    x64_alu(&c->code, X64_OR, size, dst, x64_register(a));
    x64_r(&c->code, X64_NOT, size, mask, 0);
    x64_alu(&c->code, X64_AND, size, dst, x64_register(mask));
    x64_rr(&c->code, X64_MOV_RM, size, mask, dst);
    x64_r(&c->code, X64_SHR_I, size, mask, 7);
    x64_alu(&c->code, X64_ADD, size, dst, x64_register(dst));
    x64_alu(&c->code, X64_SUB, size, dst, x64_register(mask));
    c->locked = 0;
    release_operands(c);
    bind_result(c, dst, true);
}

/* Into an xmm register, zero-extended. */
static void move_to_vector(Compiler *c, unsigned xmm, unsigned reg, unsigned size)
{
    x64_rr(&c->code, X64_MOVD_RM, size, xmm, reg);
}

static void lower_clmul(Compiler *c, const IrInst *inst)
{
    unsigned size = size_of(inst);
    bool high = inst->op == IR_OP_clmulh;

    if (!c->common->features.pclmul) {
        lower_by_function(c, inst);
        return;
    }
    unsigned a = use_register(c, inst->a), b = use_register(c, inst->b), x = scratch_float(c), y = scratch_float(c);
    release_operands(c);
    unsigned dst = define_register(c, 0);
    move_to_vector(c, x, a, size);
    move_to_vector(c, y, b, size);
    x64_encode(&c->code, X64_PCLMULQDQ, 4, x, 0, x64_register(y), 0);
    if (high && size == 8) {
        x64_encode(&c->code, X64_PSHUFD, 4, x, 0, x64_register(x), 0xee); /* the upper half */
    }
    x64_rr(&c->code, X64_MOVD_MR, high ? 8 : size, x, dst);
    if (high && size == 4) {
        x64_r(&c->code, X64_SHR_I, 8, dst, 32);
    }
    bind_result(c, dst, true);
}

/* Products and quotients in rdx:rax. */

static void widen(Compiler *c, unsigned reg, IrRef ref, bool is_signed)
{
    move_to_register(c, reg, ref, 4);
    if (is_signed) {
        x64_rr(&c->code, X64_MOVSXD, 8, reg, reg);
    }
}

static void high_of_32(Compiler *c, const IrInst *inst, bool signed_a, bool signed_b)
{
    unsigned b = scratch_register(c), a = scratch_register(c);

    widen(c, a, inst->a, signed_a);
    widen(c, b, inst->b, signed_b);
    x64_rr(&c->code, X64_IMUL_RM, 8, a, b);
    x64_r(&c->code, X64_SHR_I, 8, a, 32);
    c->locked = 0;
    release_operands(c);
    bind_result(c, a, true);
}

static void high_of_64(Compiler *c, const IrInst *inst, X64Op op)
{
    take_register(c, RAX);
    take_register(c, RDX);
    unsigned b = use_register(c, inst->b);
    move_to_register(c, RAX, inst->a, 8);
    x64_r(&c->code, op, 8, b, 0);
    if (inst->op == IR_OP_mulh_su) { /* a counts as 2^64 more than it is where it is negative */
        move_to_register(c, RAX, inst->a, 8);
        x64_r(&c->code, X64_SAR_I, 8, RAX, 63);
        x64_alu(&c->code, X64_AND, 8, RAX, x64_register(b));
        x64_alu(&c->code, X64_SUB, 8, RDX, x64_register(RAX));
    }
    c->locked = 0;
    release_operands(c);
    bind_result(c, RDX, false);
}

static void lower_mulh(Compiler *c, const IrInst *inst)
{
    if (inst->type == IR_I32) {
        high_of_32(c, inst, inst->op != IR_OP_mulh_u, inst->op == IR_OP_mulh_s);
    } else {
        high_of_64(c, inst, inst->op == IR_OP_mulh_s ? X64_IMUL : X64_MUL);
    }
}

static void sign_extend_rax(Compiler *c, unsigned size)
{
    x64_rr(&c->code, X64_MOV_RM, size, RDX, RAX);
    x64_r(&c->code, X64_SAR_I, size, RDX, size * 8 - 1);
}

/* The host traps where the guest does not: by zero, and the minimum by -1. */
static void lower_division(Compiler *c, const IrInst *inst)
{
    unsigned size = size_of(inst);
    bool is_signed = inst->op == IR_OP_div_s || inst->op == IR_OP_rem_s;
    bool remainder = inst->op == IR_OP_rem_s || inst->op == IR_OP_rem_u;
    uint8_t *minus = NULL, *done[2] = { 0 };

    take_register(c, RAX);
    take_register(c, RDX);
    unsigned b = use_register(c, inst->b);
    move_to_register(c, RAX, inst->a, size);
    x64_rr(&c->code, X64_TEST_MR, size, b, b);
    uint8_t *zero = x64_branch_short(&c->code, X64_E);
    if (is_signed) {
        x64_alu_immediate(&c->code, X64_CMP, size, x64_register(b), -1);
        minus = x64_branch_short(&c->code, X64_E);
        sign_extend_rax(c, size);
        x64_r(&c->code, X64_IDIV, size, b, 0);
    } else {
        x64_alu(&c->code, X64_XOR, 4, RDX, x64_register(RDX));
        x64_r(&c->code, X64_DIV, size, b, 0);
    }
    done[0] = x64_jump_short(&c->code);
    if (minus) {
        x64_land_short(&c->code, minus);
        x64_r(&c->code, X64_NEG, size, RAX, 0);
        x64_load_constant(&c->code, RDX, 0);
        done[1] = x64_jump_short(&c->code);
    }
    x64_land_short(&c->code, zero);
    x64_rr(&c->code, X64_MOV_RM, size, RDX, RAX);
    x64_load_constant(&c->code, RAX, inst->aux == 1 ? UINT64_MAX : 0);
    x64_land_short(&c->code, done[0]);
    if (minus) {
        x64_land_short(&c->code, done[1]);
    }
    c->locked = 0;
    release_operands(c);
    bind_result(c, remainder ? RDX : RAX, false);
}

/* The bits above the 80 are undefined in an F80's slots. */
static void float80_bits(Compiler *c, const IrInst *inst)
{
    unsigned from = use_slot(c, inst->a), to = bind_slots(c), temporary = scratch_register(c);

    x64_rm(&c->code, X64_MOV_RM, 8, temporary, slot_operand(from));
    x64_rm(&c->code, X64_MOV_MR, 8, temporary, slot_operand(to));
    x64_rm(&c->code, X64_MOVZX_16, 4, temporary, slot_operand(from + 1));
    x64_rm(&c->code, X64_MOV_MR, 8, temporary, slot_operand(to + 1));
}

/* The same bits in the other kind of register, or in the same slots. */
static void lower_bitcast(Compiler *c, const IrInst *inst)
{
    IrType from = (IrType)inst_of(c, inst->a)->type, to = (IrType)inst->type;

    if (is_wide(to)) {
        from == IR_F80 ? float80_bits(c, inst) : bind_alias(c, inst->a);
        return;
    }
    unsigned a = use_register(c, inst->a), size = ir_type_bits(from) == 64 ? 8 : 4;
    release_operands(c);
    unsigned dst = define_register(c, 0);
    if (is_float(to)) {
        x64_rr(&c->code, X64_MOVD_RM, size, dst, a);
        bind_result(c, dst, false);
        float_box(c, to, dst);
        return;
    }
    float_settle(c, a);
    x64_rr(&c->code, X64_MOVD_MR, size, a, dst);
    if (ir_type_bits(from) == 16) {
        x64_rr(&c->code, X64_MOVZX_16, 4, dst, dst);
    }
    bind_result(c, dst, size == 4);
}

Lower *const integer_lowerings[IR_OP_COUNT] = {
    [IR_OP_trunc] = lower_trunc,
    [IR_OP_high] = lower_high,
    [IR_OP_pair] = lower_pair,
    [IR_OP_sext] = lower_sext,
    [IR_OP_zext] = lower_zext,
    [IR_OP_bitcast] = lower_bitcast,
    [IR_OP_select] = lower_select,
    [IR_OP_add] = lower_add,
    [IR_OP_sub] = lower_sub,
    [IR_OP_neg] = lower_neg,
    [IR_OP_mul] = lower_mul,
    [IR_OP_mulh_s... IR_OP_mulh_su] = lower_mulh,
    [IR_OP_div_s... IR_OP_rem_u] = lower_division,
    [IR_OP_and] = lower_and,
    [IR_OP_or] = lower_or,
    [IR_OP_xor] = lower_xor,
    [IR_OP_not] = lower_not,
    [IR_OP_andn] = lower_andn,
    [IR_OP_shl] = lower_shl,
    [IR_OP_shr] = lower_shr,
    [IR_OP_sar] = lower_sar,
    [IR_OP_rotl] = lower_rotl,
    [IR_OP_rotr] = lower_rotr,
    [IR_OP_clz] = lower_clz,
    [IR_OP_ctz] = lower_ctz,
    [IR_OP_popcount] = lower_popcount,
    [IR_OP_bswap] = lower_bswap,
    [IR_OP_bitrev] = lower_by_function,
    [IR_OP_bitrev_bytes] = lower_by_function,
    [IR_OP_orc_bytes] = lower_orc_bytes,
    [IR_OP_clmul] = lower_clmul,
    [IR_OP_clmulh] = lower_clmul,
    [IR_OP_min_s] = lower_min_s,
    [IR_OP_min_u] = lower_min_u,
    [IR_OP_max_s] = lower_max_s,
    [IR_OP_max_u] = lower_max_u,
    [IR_OP_extract] = lower_extract,
    [IR_OP_deposit] = lower_by_function,
    [IR_OP_cmp] = lower_cmp,
};
