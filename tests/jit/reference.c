/*
 * What IR means, written a second time as plainly as can be: a loop over the instructions with every value as 128 bits.
 * Shares no code with src/jit; floating point is fpu's on both sides.
 */
#include "harness.h"

#include <glib.h>
#include <string.h>

unsigned type_bits(IrType type)
{
    static const unsigned bits[IR_TYPE_COUNT] = {
        [IR_I32] = 32, [IR_I64] = 64, [IR_I128] = 128, [IR_F16] = 16, [IR_BF16] = 16,
        [IR_F32] = 32, [IR_F64] = 64, [IR_F80] = 80,   [IR_F128] = 128,
    };
    return bits[type];
}

static U128 cut(U128 value, unsigned bits)
{
    return bits >= 128 ? value : value & (((U128)1 << bits) - 1);
}

static __int128 number(U128 value, unsigned bits)
{
    U128 sign = (U128)1 << (bits - 1);
    return (__int128)((cut(value, bits) ^ sign) - sign);
}

static unsigned bit(U128 value, unsigned n) { return (unsigned)(value >> n) & 1; }

static U128 count_bits(U128 value, unsigned bits)
{
    unsigned count = 0;
    for (unsigned i = 0; i < bits; i++) {
        count += bit(value, i);
    }
    return count;
}

static U128 leading_zeroes(U128 value, unsigned bits)
{
    unsigned count = 0;
    while (count < bits && !bit(value, bits - 1 - count)) {
        count++;
    }
    return count;
}

static U128 trailing_zeroes(U128 value, unsigned bits)
{
    unsigned count = 0;
    while (count < bits && !bit(value, count)) {
        count++;
    }
    return count;
}

/* Bit i of the result is bit `from(i)` of the value. */
static U128 permute(U128 value, unsigned bits, unsigned (*from)(unsigned i, unsigned bits))
{
    U128 result = 0;
    for (unsigned i = 0; i < bits; i++) {
        result |= (U128)bit(value, from(i, bits)) << i;
    }
    return result;
}
static unsigned from_swapped_byte(unsigned i, unsigned bits) { return (bits / 8 - 1 - i / 8) * 8 + i % 8; }
static unsigned from_reversed(unsigned i, unsigned bits) { return bits - 1 - i; }
static unsigned from_reversed_in_byte(unsigned i, unsigned bits) { return i / 8 * 8 + 7 - i % 8; }

static U128 or_bytes(U128 value, unsigned bits)
{
    U128 result = 0;
    for (unsigned i = 0; i < bits; i += 8) {
        result |= (value >> i & 0xff ? (U128)0xff : 0) << i;
    }
    return result;
}

static U128 carryless(U128 a, U128 b, unsigned bits)
{
    U128 sum = 0;
    for (unsigned i = 0; i < bits; i++) {
        sum ^= bit(b, i) ? a << i : 0;
    }
    return sum;
}

static U128 divide(const IrInst *inst, U128 a, U128 b, unsigned bits)
{
    bool is_signed = inst->op == IR_OP_div_s || inst->op == IR_OP_rem_s;
    bool remainder = inst->op == IR_OP_rem_s || inst->op == IR_OP_rem_u;

    if (b == 0) {
        return remainder ? a : inst->aux ? ~(U128)0 : 0;
    }
    if (!is_signed) {
        return remainder ? a % b : a / b;
    }
    __int128 x = number(a, bits), y = number(b, bits);
    return (U128)(remainder ? x % y : x / y);
}

static U128 shift(IrOp op, U128 a, U128 b, unsigned bits)
{
    unsigned amount = (unsigned)b % bits;

    switch (op) {
    case IR_OP_shl:
        return a << amount;
    case IR_OP_shr:
        return a >> amount;
    case IR_OP_sar:
        return (U128)(number(a, bits) >> amount);
    case IR_OP_rotl:
        return amount ? a << amount | a >> (bits - amount) : a;
    default:
        return amount ? a >> amount | a << (bits - amount) : a;
    }
}

static bool compare(IrCondition condition, U128 a, U128 b, unsigned bits)
{
    __int128 x = number(a, bits), y = number(b, bits);

    switch (condition) {
    case IR_EQ:
        return a == b;
    case IR_NE:
        return a != b;
    case IR_LT_S:
        return x < y;
    case IR_GE_S:
        return x >= y;
    case IR_LE_S:
        return x <= y;
    case IR_GT_S:
        return x > y;
    case IR_LT_U:
        return a < b;
    case IR_GE_U:
        return a >= b;
    case IR_LE_U:
        return a <= b;
    case IR_GT_U:
        return a > b;
    case IR_TEST_EQ:
        return !(a & b);
    case IR_TEST_NE:
        return a & b;
    }
    g_assert_not_reached();
}

/* Integer operations; a and b are zero-extended from their types. */
static U128 integer(const IrInst *inst, U128 a, U128 b, unsigned bits)
{
    __int128 x = number(a, bits), y = number(b, bits);
    unsigned start = inst->aux & 0xff, length = inst->aux >> 8;

    switch (inst->op) {
    case IR_OP_add:
        return a + b;
    case IR_OP_sub:
        return a - b;
    case IR_OP_neg:
        return -a;
    case IR_OP_mul:
        return a * b;
    case IR_OP_mulh_s:
        return (U128)(x * y >> bits);
    case IR_OP_mulh_u:
        return a * b >> bits;
    case IR_OP_mulh_su:
        return (U128)(x * (__int128)b >> bits);
    case IR_OP_div_s:
    case IR_OP_div_u:
    case IR_OP_rem_s:
    case IR_OP_rem_u:
        return divide(inst, a, b, bits);
    case IR_OP_and:
        return a & b;
    case IR_OP_or:
        return a | b;
    case IR_OP_xor:
        return a ^ b;
    case IR_OP_not:
        return ~a;
    case IR_OP_andn:
        return a & ~b;
    case IR_OP_clz:
        return leading_zeroes(a, bits);
    case IR_OP_ctz:
        return trailing_zeroes(a, bits);
    case IR_OP_popcount:
        return count_bits(a, bits);
    case IR_OP_bswap:
        return permute(a, bits, from_swapped_byte);
    case IR_OP_bitrev:
        return permute(a, bits, from_reversed);
    case IR_OP_bitrev_bytes:
        return permute(a, bits, from_reversed_in_byte);
    case IR_OP_orc_bytes:
        return or_bytes(a, bits);
    case IR_OP_clmul:
        return carryless(a, b, bits);
    case IR_OP_clmulh:
        return carryless(a, b, bits) >> bits;
    case IR_OP_min_s:
        return x < y ? a : b;
    case IR_OP_max_s:
        return x < y ? b : a;
    case IR_OP_min_u:
        return a < b ? a : b;
    case IR_OP_max_u:
        return a < b ? b : a;
    case IR_OP_extract:
        return cut(a >> start, length);
    case IR_OP_deposit:
        for (unsigned i = 0; i < length; i++) {
            a = (a & ~((U128)1 << (start + i))) | (U128)bit(b, i) << (start + i);
        }
        return a;
    default:
        return shift((IrOp)inst->op, a, b, bits);
    }
}

static U128 from_float80(Float80 value) { return (U128)value.sign_exponent << 64 | value.significand; }
static Float80 to_float80(U128 value) { return (Float80){ (uint64_t)value, (uint16_t)(value >> 64) }; }
static uint16_t to_16(U128 value) { return (uint16_t)value; }
static uint32_t to_32(U128 value) { return (uint32_t)value; }
static uint64_t to_64(U128 value) { return (uint64_t)value; }
static U128 same(U128 value) { return value; }

static bool fp_holds(unsigned condition, FpCompare order)
{
    bool less = order == FP_LESS, equal = order == FP_EQUAL;
    const bool table[] = { equal, less, less || equal, less, less || equal, equal, order == FP_UNORDERED };
    return table[condition];
}

static bool fp_signals(unsigned condition)
{
    return condition == IR_FP_LT || condition == IR_FP_LE || condition == IR_FP_EQ;
}

/* Arithmetic of one format. `in` and `out` are between its C type and bits. */
#define DEFINE_FORMAT(format, in, out) \
    static U128 format##_arithmetic(const IrInst *inst, const U128 v[3], FpContext *fp) \
    { \
        unsigned rule = ir_fp_rule(inst->aux); \
        bool wide = inst->type == IR_I64, from_wide = ir_fp_from(inst->aux) == IR_I64; \
        switch (inst->op) { \
        case IR_OP_fadd: \
            return out(format##_add(in(v[0]), in(v[1]), fp)); \
        case IR_OP_fsub: \
            return out(format##_sub(in(v[0]), in(v[1]), fp)); \
        case IR_OP_fmul: \
            return out(format##_mul(in(v[0]), in(v[1]), fp)); \
        case IR_OP_fdiv: \
            return out(format##_div(in(v[0]), in(v[1]), fp)); \
        case IR_OP_fsqrt: \
            return out(format##_sqrt(in(v[0]), fp)); \
        case IR_OP_ffma: \
            return out(format##_fma(in(v[0]), in(v[1]), in(v[2]), fp)); \
        case IR_OP_fmin: \
            return out(format##_minmax(in(v[0]), in(v[1]), false, (FpMinMax)rule, fp)); \
        case IR_OP_fmax: \
            return out(format##_minmax(in(v[0]), in(v[1]), true, (FpMinMax)rule, fp)); \
        case IR_OP_fround_int: \
            return out(format##_round_to_integral(in(v[0]), rule == 1, fp)); \
        case IR_OP_fcmp: \
            return fp_holds(rule, format##_compare(in(v[0]), in(v[1]), fp_signals(rule), fp)); \
        case IR_OP_fclass: \
            return (U128)1 << format##_class(in(v[0])); \
        case IR_OP_f_to_s: \
            return wide ? (U128)format##_to_i64(in(v[0]), fp) : (U128)format##_to_i32(in(v[0]), fp); \
        case IR_OP_f_to_u: \
            return wide ? (U128)format##_to_u64(in(v[0]), fp) : (U128)format##_to_u32(in(v[0]), fp); \
        case IR_OP_s_to_f: \
            return out(from_wide ? format##_from_i64((int64_t)v[0], fp) : format##_from_i32((int32_t)v[0], fp)); \
        case IR_OP_u_to_f: \
            return out(from_wide ? format##_from_u64((uint64_t)v[0], fp) : format##_from_u32((uint32_t)v[0], fp)); \
        default: \
            g_assert_not_reached(); \
        } \
    }
DEFINE_FORMAT(f16, to_16, same)
DEFINE_FORMAT(bf16, to_16, same)
DEFINE_FORMAT(f32, to_32, same)
DEFINE_FORMAT(f64, to_64, same)
DEFINE_FORMAT(f80, to_float80, from_float80)
DEFINE_FORMAT(f128, same, same)

#define CONVERSION(to, to_out, from, from_in) \
    if (!strcmp(ir_type_name(to_type), #to) && !strcmp(ir_type_name(from_type), #from)) { \
        return to_out(to##_from_##from(from_in(value), fp)); \
    }

static U128 convert(IrType to_type, IrType from_type, U128 value, FpContext *fp)
{
    CONVERSION(f16, same, bf16, to_16)
    CONVERSION(f16, same, f32, to_32)
    CONVERSION(f16, same, f64, to_64)
    CONVERSION(f16, same, f80, to_float80)
    CONVERSION(f16, same, f128, same)
    CONVERSION(bf16, same, f16, to_16)
    CONVERSION(bf16, same, f32, to_32)
    CONVERSION(bf16, same, f64, to_64)
    CONVERSION(bf16, same, f80, to_float80)
    CONVERSION(bf16, same, f128, same)
    CONVERSION(f32, same, f16, to_16)
    CONVERSION(f32, same, bf16, to_16)
    CONVERSION(f32, same, f64, to_64)
    CONVERSION(f32, same, f80, to_float80)
    CONVERSION(f32, same, f128, same)
    CONVERSION(f64, same, f16, to_16)
    CONVERSION(f64, same, bf16, to_16)
    CONVERSION(f64, same, f32, to_32)
    CONVERSION(f64, same, f80, to_float80)
    CONVERSION(f64, same, f128, same)
    CONVERSION(f80, from_float80, f16, to_16)
    CONVERSION(f80, from_float80, bf16, to_16)
    CONVERSION(f80, from_float80, f32, to_32)
    CONVERSION(f80, from_float80, f64, to_64)
    CONVERSION(f80, from_float80, f128, same)
    CONVERSION(f128, same, f16, to_16)
    CONVERSION(f128, same, bf16, to_16)
    CONVERSION(f128, same, f32, to_32)
    CONVERSION(f128, same, f64, to_64)
    CONVERSION(f128, same, f80, to_float80)
    g_assert_not_reached();
}

static U128 floating(const IrInst *inst, IrType format, const U128 values[3], FpContext *fp)
{
    switch (format) {
    case IR_F16:
        return f16_arithmetic(inst, values, fp);
    case IR_BF16:
        return bf16_arithmetic(inst, values, fp);
    case IR_F32:
        return f32_arithmetic(inst, values, fp);
    case IR_F64:
        return f64_arithmetic(inst, values, fp);
    case IR_F80:
        return f80_arithmetic(inst, values, fp);
    case IR_F128:
        return f128_arithmetic(inst, values, fp);
    default:
        g_assert_not_reached();
    }
}

static bool is_float(IrType type) { return type >= IR_F16 && type <= IR_F128; }

static U128 default_nan(IrType type)
{
    return type == IR_F32 ? 0x7fc00000 : type == IR_BF16 ? 0x7fc0 : 0x7e00;
}

U128 reference_value(const IrInst *inst, const IrType types[3], const U128 values[3], FpContext *fp)
{
    unsigned bits = type_bits(inst->type), from_bits = type_bits(types[0]);
    U128 a = values[0], b = values[1], sign = (U128)1 << (bits - 1), result;

    switch (inst->op) {
    case IR_OP_trunc:
    case IR_OP_bitcast:
        result = a;
        break;
    case IR_OP_high:
        result = a >> 64;
        break;
    case IR_OP_pair:
        result = b << 64 | a;
        break;
    case IR_OP_sext:
        result = (U128)number(a, inst->aux);
        break;
    case IR_OP_zext:
        result = cut(a, inst->aux);
        break;
    case IR_OP_select:
        result = a ? b : values[2];
        break;
    case IR_OP_cmp:
        result = compare((IrCondition)(inst->aux & 0xff), a, b, from_bits);
        break;
    case IR_OP_fneg:
        result = a ^ sign;
        break;
    case IR_OP_fabs:
        result = a & ~sign;
        break;
    case IR_OP_fcopysign:
        result = (a & ~sign) | (b & sign);
        break;
    case IR_OP_fbox:
        result = a | ~(U128)0 << from_bits;
        break;
    case IR_OP_funbox:
        result = a >> bits == cut(~(U128)0, from_bits - bits) ? a : default_nan(inst->type);
        break;
    case IR_OP_fconvert:
        result = convert(inst->type, types[0], a, fp);
        break;
    default:
        result = ir_op_info[inst->op].effects[0] == 'F' || inst->op == IR_OP_fclass
                     ? floating(inst, is_float(inst->type) ? inst->type : types[0], values, fp)
                     : integer(inst, a, b, bits);
    }
    return cut(result, bits);
}

/* Whole blocks. */

typedef struct Run {
    TestMachine *machine;
    const IrBlock *block;
    U128 *values;
    uint64_t pc, insns; /* of the current instruction; completed before it */
    bool started;
    int exit;
} Run;

static U128 get_register(const Run *run, const IrInst *inst)
{
    const GuestRegister *reg = &test_guest.registers[inst->aux];
    U128 value = 0;

    memcpy(&value, run->machine->exec.state + reg->offset, reg->bits / 8);
    return cut(value, type_bits(inst->type));
}

static void set_register(const Run *run, const IrInst *inst)
{
    const GuestRegister *reg = &test_guest.registers[inst->aux];
    memcpy(run->machine->exec.state + reg->offset, &run->values[inst->a], reg->bits / 8);
}

static uint64_t address_of(const Run *run, const IrInst *inst)
{
    bool displaced = inst->op == IR_OP_load || inst->op == IR_OP_store;
    uint64_t address = (uint64_t)run->values[inst->a] + (displaced ? (uint64_t)(int64_t)inst->displacement : 0);

    return run->block->address_bits == 32 ? (uint32_t)address : address;
}

static bool check_aligned(Run *run, uint64_t address, MemOp op)
{
    if (op & MEM_ALIGNED && address % mem_size(op)) {
        run->machine->exec.exception = (ExecException){ true, E_ALIGN, address, 0 };
        return false;
    }
    return true;
}

static bool read_memory(Run *run, uint64_t address, MemOp op, U128 *value)
{
    unsigned size = mem_size(op);
    uint8_t bytes[16];

    if (!check_aligned(run, address, op) || !memory_read(run->machine, address, size, bytes)) {
        return false;
    }
    *value = 0;
    for (unsigned i = 0; i < size; i++) {
        *value |= (U128)bytes[op & MEM_BIG_ENDIAN ? size - 1 - i : i] << 8 * i;
    }
    return true;
}

static bool write_memory(Run *run, uint64_t address, MemOp op, U128 value)
{
    unsigned size = mem_size(op);
    uint8_t bytes[16];

    for (unsigned i = 0; i < size; i++) {
        bytes[op & MEM_BIG_ENDIAN ? size - 1 - i : i] = (uint8_t)(value >> 8 * i);
    }
    return check_aligned(run, address, op) && memory_write(run->machine, address, size, bytes);
}

static bool zero_memory(Run *run, uint64_t address, MemOp op)
{
    static const uint8_t zeroes[64];
    unsigned size = mem_size(op);

    if (!memory_write(run->machine, address - address % size, size, zeroes)) {
        run->machine->exec.exception.value = address;
        return false;
    }
    return true;
}

static U128 extend_loaded(const IrInst *inst, U128 value)
{
    unsigned size_bits = 8 * mem_size(inst->aux);
    return cut(inst->aux & MEM_SIGNED ? (U128)number(value, size_bits) : value, type_bits(inst->type));
}

static U128 modified(const IrInst *inst, U128 before, U128 operand, U128 expected)
{
    unsigned bits = 8 * mem_size(inst->aux);
    __int128 x = number(before, bits), y = number(operand, bits);

    operand = cut(operand, bits);
    switch (inst->op) {
    case IR_OP_atomic_swap:
        return operand;
    case IR_OP_atomic_add:
        return before + operand;
    case IR_OP_atomic_and:
        return before & operand;
    case IR_OP_atomic_or:
        return before | operand;
    case IR_OP_atomic_xor:
        return before ^ operand;
    case IR_OP_atomic_min_s:
        return x < y ? before : operand;
    case IR_OP_atomic_max_s:
        return x > y ? before : operand;
    case IR_OP_atomic_min_u:
        return before < operand ? before : operand;
    case IR_OP_atomic_max_u:
        return before > operand ? before : operand;
    default:
        return before == cut(expected, bits) ? operand : before;
    }
}

/* An atomic access faults as a store, before it reads. */
static bool modify_memory(Run *run, IrRef ref)
{
    const IrInst *inst = &run->block->insts[ref];
    uint64_t address = address_of(run, inst);
    uint8_t bytes[16];
    U128 before;

    if (!check_aligned(run, address, inst->aux)) {
        return false;
    }
    if (memory_read(run->machine, address, mem_size(inst->aux), bytes) &&
        !memory_write(run->machine, address, mem_size(inst->aux), bytes)) {
        return false;
    }
    if (run->machine->exec.exception.pending) {
        run->machine->exec.exception.code = E_FAULT_WRITE;
        return false;
    }
    read_memory(run, address, inst->aux, &before);
    write_memory(run, address, inst->aux, modified(inst, before, run->values[inst->b], run->values[inst->c]));
    run->values[ref] = extend_loaded(inst, before);
    return true;
}

static bool load_linked(Run *run, IrRef ref)
{
    const IrInst *inst = &run->block->insts[ref];
    Exec *exec = &run->machine->exec;
    U128 value;

    if (!read_memory(run, address_of(run, inst), inst->aux, &value)) {
        return false;
    }
    exec->reservation_address = address_of(run, inst);
    exec->reservation_size = mem_size(inst->aux);
    memcpy(exec->reservation_value, &value, sizeof value);
    run->values[ref] = extend_loaded(inst, value);
    return true;
}

static bool store_conditional(Run *run, IrRef ref)
{
    const IrInst *inst = &run->block->insts[ref];
    Exec *exec = &run->machine->exec;
    uint64_t address = address_of(run, inst);
    U128 reserved, now;
    bool fits = exec->reservation_size == mem_size(inst->aux) && exec->reservation_address == address;

    memcpy(&reserved, exec->reservation_value, sizeof reserved);
    exec->reservation_size = 0;
    run->values[ref] = 1;
    if (!check_aligned(run, address, inst->aux)) {
        return false;
    }
    if (!fits) {
        return true;
    }
    if (!read_memory(run, address, inst->aux, &now)) {
        return false;
    }
    if (!write_memory(run, address, inst->aux, now == reserved ? run->values[inst->b] : now)) {
        return false;
    }
    run->values[ref] = now != reserved;
    return true;
}

static void note_place(const Run *run)
{
    run->machine->exec.pc = run->pc;
    run->machine->exec.insns = run->insns;
}

static bool call(Run *run, IrRef ref)
{
    const IrInst *inst = &run->block->insts[ref], *more = inst - 1;
    const Helper *helper = &test_guest.helpers[inst->aux];
    const U128 *v = run->values;

    note_place(run);
    uint64_t result = more->op == IR_OP_args
                          ? helper->function6(machine_cpu(run->machine), (uint64_t)v[inst->a], (uint64_t)v[inst->b],
                                              (uint64_t)v[inst->c], (uint64_t)v[more->a], (uint64_t)v[more->b],
                                              (uint64_t)v[more->c])
                          : helper->function(machine_cpu(run->machine), (uint64_t)v[inst->a], (uint64_t)v[inst->b],
                                             (uint64_t)v[inst->c]);
    run->values[ref] = inst->type == IR_VOID ? 0 : cut(result, type_bits(inst->type));
    return !(helper->effects & HELPER_RAISES && run->machine->exec.exception.pending);
}

static void value(Run *run, IrRef ref)
{
    const IrInst *inst = &run->block->insts[ref];
    const IrRef refs[3] = { inst->a, inst->b, inst->c };
    TestState *state = (TestState *)run->machine->exec.state;
    FpContext *fp = &state->fp[ir_fp_context(inst->aux) % 2];
    uint8_t rounding = fp->rounding;
    IrType types[3] = { 0 };
    U128 values[3] = { 0 };

    for (unsigned i = 0; ir_op_info[inst->op].operands[i]; i++) {
        types[i] = (IrType)run->block->insts[refs[i]].type;
        values[i] = run->values[refs[i]];
    }
    if (ir_op_info[inst->op].effects[0] == 'F' && ir_fp_rounding(inst->aux) != IR_ROUND_DYNAMIC) {
        fp->rounding = (uint8_t)ir_fp_rounding(inst->aux);
    }
    run->values[ref] = reference_value(inst, types, values, fp);
    fp->rounding = rounding;
}

static IrRef find_label(const IrBlock *block, unsigned label)
{
    IrRef ref = 1;
    while (block->insts[ref].op != IR_OP_label || block->insts[ref].aux != label) {
        ref++;
    }
    return ref;
}

static IrRef end(Run *run, int reason)
{
    note_place(run);
    run->machine->exec.insns += run->started;
    run->exit = reason;
    return 0;
}

/* Leaves at the current instruction. */
static IrRef leave(Run *run, int reason)
{
    TestState *state = (TestState *)run->machine->exec.state;

    note_place(run);
    state->pc = run->pc;
    run->exit = reason;
    return 0;
}

/* The next instruction; 0: the block ended. */
static IrRef step(Run *run, IrRef ref)
{
    const IrInst *inst = &run->block->insts[ref];
    TestState *state = (TestState *)run->machine->exec.state;
    U128 loaded;
    bool ok = true;

    switch (inst->op) {
    case IR_OP_const:
        run->values[ref] = (uint64_t)inst->imm;
        break;
    case IR_OP_get:
        run->values[ref] = get_register(run, inst);
        break;
    case IR_OP_set:
        set_register(run, inst);
        break;
    case IR_OP_load:
        ok = read_memory(run, address_of(run, inst), inst->aux, &loaded);
        run->values[ref] = ok ? extend_loaded(inst, loaded) : 0;
        break;
    case IR_OP_store:
        ok = write_memory(run, address_of(run, inst), inst->aux, run->values[inst->b_]);
        break;
    case IR_OP_zero:
        ok = zero_memory(run, address_of(run, inst), inst->aux);
        break;
    case IR_OP_load_linked:
        ok = load_linked(run, ref);
        break;
    case IR_OP_store_conditional:
        ok = store_conditional(run, ref);
        break;
    case IR_OP_fence:
    case IR_OP_push_return:
    case IR_OP_args:
    case IR_OP_label:
        break;
    case IR_OP_insn:
        run->insns += run->started;
        run->started = true;
        run->pc = (uint64_t)inst->imm;
        break;
    case IR_OP_call:
        ok = call(run, ref);
        break;
    case IR_OP_jump:
        return find_label(run->block, inst->aux);
    case IR_OP_branch:
        return run->values[inst->a] ? find_label(run->block, inst->aux) : ref + 1;
    case IR_OP_goto:
        state->pc = (uint64_t)inst->imm;
        return end(run, IR_EXIT_CONTINUE);
    case IR_OP_goto_value:
        state->pc = (uint64_t)run->values[inst->a];
        state->pc = run->block->address_bits == 32 ? (uint32_t)state->pc : state->pc;
        return end(run, IR_EXIT_CONTINUE);
    case IR_OP_exit:
        return inst->aux == IR_EXIT_EXCEPTION || inst->aux == IR_EXIT_DEBUG ? leave(run, inst->aux)
                                                                            : end(run, inst->aux);
    default:
        if (inst->op >= IR_OP_atomic_swap && inst->op <= IR_OP_atomic_cas) {
            ok = modify_memory(run, ref);
        } else {
            value(run, ref);
        }
    }
    return ok ? ref + 1 : leave(run, IR_EXIT_EXCEPTION);
}

int reference_run(TestMachine *machine, const IrBlock *block)
{
    Run run = { .machine = machine, .block = block, .insns = machine->exec.insns };

    run.values = g_new0(U128, block->count);
    for (IrRef ref = 1; ref;) {
        ref = step(&run, ref);
    }
    g_free(run.values);
    return run.exit;
}
