/*
 * The verifier: is the block one that executions may rely on? It walks once in order and stops at the first fault. What
 * it tracks across labels: which values are defined on every way there, and which insn mark the way comes out of.
 */
#include "base/error.h"
#include "base/vec.h"
#include "fpu/fpu.h"
#include "jit/ir_internal.h"

#include <stdlib.h>
#include <string.h>

enum {
    INTS = BIT(IR_I32) | BIT(IR_I64),
    FLOATS = BIT(IR_F16) | BIT(IR_BF16) | BIT(IR_F32) | BIT(IR_F64) | BIT(IR_F80) | BIT(IR_F128),
    ALL = INTS | BIT(IR_I128) | FLOATS,
    UP_TO_64 = INTS | BIT(IR_F16) | BIT(IR_BF16) | BIT(IR_F32) | BIT(IR_F64),
};

/* Types that an instruction may have (of a set: that its operand may have). */
static const uint16_t result_types[IR_OP_COUNT] = {
    [IR_OP_const] = UP_TO_64,
    [IR_OP_get] = ALL,
    [IR_OP_set] = ALL,
    [IR_OP_trunc] = INTS,
    [IR_OP_high] = BIT(IR_I64),
    [IR_OP_pair] = BIT(IR_I128),
    [IR_OP_sext... IR_OP_zext] = INTS,
    [IR_OP_bitcast... IR_OP_select] = ALL,
    [IR_OP_add... IR_OP_cmp] = INTS,
    [IR_OP_load] = ALL,
    [IR_OP_load_linked] = INTS | BIT(IR_I128),
    [IR_OP_store_conditional... IR_OP_atomic_max_u] = INTS,
    [IR_OP_atomic_cas] = INTS | BIT(IR_I128),
    [IR_OP_fadd... IR_OP_fmax] = FLOATS,
    [IR_OP_fcmp... IR_OP_fclass] = INTS,
    [IR_OP_fconvert] = FLOATS,
    [IR_OP_f_to_s... IR_OP_f_to_u] = INTS,
    [IR_OP_s_to_f... IR_OP_fround_int] = FLOATS,
    [IR_OP_fbox] = BIT(IR_F32) | BIT(IR_F64),
    [IR_OP_funbox] = BIT(IR_F16) | BIT(IR_BF16) | BIT(IR_F32),
    [IR_OP_call] = INTS | BIT(IR_VOID),
};

typedef struct Label {
    IrRef first_branch; /* 0: none yet */
    IrRef mark;         /* of the instruction that the first branch is part of */
    bool placed;
} Label;

typedef struct Verifier {
    const IrBlock *block;
    const IrGuest *guest;
    Label *labels;
    bool *usable;   /* by IrRef: has a value that is defined here */
    IrRef mark;     /* the insn instruction we are behind; 0: none yet */
    bool reachable;
    uint32_t insns;
    Error **error;
} Verifier;

#define FAULT(v, ref, format, ...) \
    error_set((v)->error, "IR instruction %u (%s): " format, ref, op_name((v)->block->insts[ref].op), ##__VA_ARGS__)

static const char *op_name(unsigned op)
{
    return op < IR_OP_COUNT ? ir_op_info[op].name : "?";
}

static bool has_type(const Verifier *v, IrRef ref, unsigned types)
{
    return BIT(v->block->insts[ref].type) & types;
}

static IrType operand_type(const Verifier *v, IrRef ref)
{
    return (IrType)v->block->insts[ref].type;
}

static bool check_operand(Verifier *v, IrRef ref, unsigned position, IrRef operand)
{
    const IrInst *inst = &v->block->insts[ref];
    char kind = ir_op_info[inst->op].operands[position];
    bool optional = inst->op == IR_OP_call || inst->op == IR_OP_args;

    if (!operand && optional) {
        return true;
    }
    if (operand == 0 || operand >= ref || !v->usable[operand]) {
        return FAULT(v, ref, "operand %c, %u, is not a value defined here", 'a' + position, operand);
    }
    IrType type = operand_type(v, operand);
    if (kind == 'T' ? type != inst->type : kind == 'I' ? !(BIT(type) & INTS) : kind == 'A' && type != IR_I64) {
        return FAULT(v, ref, "operand %c is of type %s", 'a' + position, ir_type_name(type));
    }
    return true;
}

static bool check_operands(Verifier *v, IrRef ref)
{
    const IrInst *inst = &v->block->insts[ref];
    const char *operands = ir_op_info[inst->op].operands;
    const IrRef refs[3] = { inst->a, inst->b, inst->c };

    for (unsigned i = 0; operands[i]; i++) {
        if (!check_operand(v, ref, i, refs[i])) {
            return false;
        }
    }
    return true;
}

/* Fields behind the operands that an operation takes are zero, but for imm and displacement. */
static bool check_unused(Verifier *v, IrRef ref)
{
    const IrInst *inst = &v->block->insts[ref];
    size_t count = ir_operand_count[inst->op];
    bool has_imm =
        inst->op == IR_OP_const || inst->op == IR_OP_insn || inst->op == IR_OP_goto || inst->op == IR_OP_push_return;
    bool has_displacement = inst->op == IR_OP_load || inst->op == IR_OP_store;

    if ((count < 1 && inst->a) || (count < 2 && !has_imm && inst->b) ||
        (count < 3 && !has_imm && !has_displacement && inst->c)) {
        return FAULT(v, ref, "has operands that it does not take");
    }
    return true;
}

static bool check_type(Verifier *v, IrRef ref)
{
    const IrInst *inst = &v->block->insts[ref];
    bool typed = ir_op_info[inst->op].result != '-' || inst->op == IR_OP_set;
    unsigned allowed = typed ? result_types[inst->op] : BIT(IR_VOID);

    if (inst->type >= IR_TYPE_COUNT || !(BIT(inst->type) & allowed)) {
        return FAULT(v, ref, "cannot be of type %s", ir_type_name(inst->type));
    }
    return true;
}

/* From here on: the rules of single operations, beyond their row in ir.def. Types of operands have been checked. */

typedef bool CheckOp(Verifier *v, IrRef ref, const IrInst *inst);

static bool check_register(Verifier *v, IrRef ref, const IrInst *inst)
{
    if (inst->aux >= v->guest->register_count) {
        return FAULT(v, ref, "the guest has no register %u", inst->aux);
    }
    unsigned bits = v->guest->registers[inst->aux].bits, type_bits = ir_type_bits(inst->type);
    if (type_bits > 64 ? bits != type_bits : bits < 8 || bits > 128 || !is_power_of_2(bits)) {
        return FAULT(v, ref, "%s has %u bits", v->guest->registers[inst->aux].name, bits);
    }
    return true;
}

static bool check_const(Verifier *v, IrRef ref, const IrInst *inst)
{
    return (uint64_t)inst->imm & ~mask_bits(ir_type_bits(inst->type)) ? FAULT(v, ref, "value is too wide") : true;
}

static bool check_trunc(Verifier *v, IrRef ref, const IrInst *inst)
{
    return has_type(v, inst->a, INTS | BIT(IR_I128)) &&
                   ir_type_bits(operand_type(v, inst->a)) > ir_type_bits(inst->type)
               ? true
               : FAULT(v, ref, "the operand is not a wider integer");
}

static bool check_high(Verifier *v, IrRef ref, const IrInst *inst)
{
    return has_type(v, inst->a, BIT(IR_I128)) ? true : FAULT(v, ref, "the operand is not an i128");
}

static bool check_pair(Verifier *v, IrRef ref, const IrInst *inst)
{
    return has_type(v, inst->a, BIT(IR_I64)) && has_type(v, inst->b, BIT(IR_I64)) ? true
                                                                                  : FAULT(v, ref, "takes i64 halves");
}

static bool check_extend(Verifier *v, IrRef ref, const IrInst *inst)
{
    unsigned bits = inst->aux, limit = ir_type_bits(operand_type(v, inst->a));

    if (!has_type(v, inst->a, INTS) || (bits != 8 && bits != 16 && bits != 32 && bits != 64) || bits > limit ||
        bits > ir_type_bits(inst->type)) {
        return FAULT(v, ref, "cannot extend %u bits of %s", bits, ir_type_name(operand_type(v, inst->a)));
    }
    return true;
}

static bool check_bitcast(Verifier *v, IrRef ref, const IrInst *inst)
{
    static const struct {
        uint8_t integer, floating;
    } pairs[] = {
        { IR_I32, IR_F16 }, { IR_I32, IR_BF16 },  { IR_I32, IR_F32 },
        { IR_I64, IR_F64 }, { IR_I128, IR_F128 }, { IR_I128, IR_F80 },
    };
    IrType from = operand_type(v, inst->a);

    for (unsigned i = 0; i < ARRAY_SIZE(pairs); i++) {
        if ((from == pairs[i].integer && inst->type == pairs[i].floating) ||
            (from == pairs[i].floating && inst->type == pairs[i].integer)) {
            return true;
        }
    }
    return FAULT(v, ref, "not from %s to %s", ir_type_name(from), ir_type_name(inst->type));
}

static bool check_field(Verifier *v, IrRef ref, const IrInst *inst)
{
    unsigned start = inst->aux & 0xff, length = inst->aux >> 8;

    return length && start + length <= ir_type_bits(inst->type)
               ? true
               : FAULT(v, ref, "no field of %u bits at %u", length, start);
}

static bool check_division(Verifier *v, IrRef ref, const IrInst *inst)
{
    return inst->aux <= 1 ? true : FAULT(v, ref, "unknown rule %u", inst->aux);
}

static bool check_cmp(Verifier *v, IrRef ref, const IrInst *inst)
{
    IrType type = (IrType)(inst->aux >> 8);

    if ((inst->aux & 0xff) > IR_TEST_NE) {
        return FAULT(v, ref, "unknown condition %u", inst->aux & 0xff);
    }
    if (!ir_type_is_int(type) || operand_type(v, inst->a) != type || operand_type(v, inst->b) != type) {
        return FAULT(v, ref, "operands are not both of type %s", ir_type_name(type));
    }
    return true;
}

static bool check_memop(Verifier *v, IrRef ref, MemOp op)
{
    if ((op & MEM_SIZE_MASK) > MEM_128) {
        return FAULT(v, ref, "accesses %u bytes, 16 is the most", mem_size(op));
    }
    return (op & MEM_ORDER_MASK) <= MEM_TSO ? true : FAULT(v, ref, "unknown memory order");
}

/* Whether memory of the size can be read to, or written from, a value of the type. */
static bool access_fits(IrType type, MemOp op)
{
    unsigned bits = ir_type_bits(type), memory_bits = mem_size(op) * 8;

    if (ir_type_is_int(type)) {
        return memory_bits <= bits;
    }
    return memory_bits == bits && !(op & MEM_SIGNED); /* so never an F80 */
}

static bool check_load(Verifier *v, IrRef ref, const IrInst *inst)
{
    return check_memop(v, ref, inst->aux) &&
           (access_fits(inst->type, inst->aux) ||
            FAULT(v, ref, "%u bytes do not make %s", mem_size(inst->aux), ir_type_name(inst->type)));
}

static bool check_store(Verifier *v, IrRef ref, const IrInst *inst)
{
    IrType type = operand_type(v, inst->b);

    return check_memop(v, ref, inst->aux) && (access_fits(type, inst->aux & ~MEM_SIGNED) ||
                                              FAULT(v, ref, "%s does not make %u bytes", ir_type_name(type),
                                                    mem_size(inst->aux)));
}

static bool check_zero(Verifier *v, IrRef ref, const IrInst *inst)
{
    return !(inst->aux & ~(MEM_SIZE_MASK | MEM_MODE_MASK)) && (inst->aux & MEM_SIZE_MASK) <= MEM_512
               ? true
               : FAULT(v, ref, "0x%x is not a size and an MMU mode", inst->aux);
}

static bool check_atomic(Verifier *v, IrRef ref, const IrInst *inst)
{
    bool linked = inst->op == IR_OP_load_linked;

    if (!linked && operand_type(v, inst->b) != (IrType)inst->type) {
        return FAULT(v, ref, "the value is not of type %s", ir_type_name(inst->type));
    }
    if (inst->op == IR_OP_atomic_cas && operand_type(v, inst->c) != (IrType)inst->type) {
        return FAULT(v, ref, "the expected value is not of type %s", ir_type_name(inst->type));
    }
    return check_load(v, ref, inst);
}

static bool check_fence(Verifier *v, IrRef ref, const IrInst *inst)
{
    return inst->aux & ~(IR_FENCE_ALL | IR_FENCE_IO) ? FAULT(v, ref, "unknown bits 0x%x", inst->aux) : true;
}

static bool check_fp(Verifier *v, IrRef ref, const IrInst *inst)
{
    unsigned rounding = ir_fp_rounding(inst->aux);

    if (ir_fp_context(inst->aux) >= v->guest->fp_context_count) {
        return FAULT(v, ref, "the guest has no FP context %u", ir_fp_context(inst->aux));
    }
    return rounding <= FP_ROUND_ODD || rounding == IR_ROUND_DYNAMIC ? true
                                                                    : FAULT(v, ref, "unknown rounding %u", rounding);
}

static bool check_minmax(Verifier *v, IrRef ref, const IrInst *inst)
{
    return ir_fp_rule(inst->aux) > FP_MINMAX_X86 ? FAULT(v, ref, "unknown rule") : check_fp(v, ref, inst);
}

/* The operand is of the type that aux names, one of `types`. */
static bool check_from(Verifier *v, IrRef ref, const IrInst *inst, unsigned types)
{
    IrType from = ir_fp_from(inst->aux);

    if (!(BIT(from) & types) || operand_type(v, inst->a) != from) {
        return FAULT(v, ref, "the operand, of type %s, is not the %s that it says",
                     ir_type_name(operand_type(v, inst->a)), ir_type_name(from));
    }
    return true;
}

static bool check_fcmp(Verifier *v, IrRef ref, const IrInst *inst)
{
    if (ir_fp_rule(inst->aux) > IR_FP_UNORDERED_QUIET || operand_type(v, inst->b) != ir_fp_from(inst->aux)) {
        return FAULT(v, ref, "unknown condition, or operands of two types");
    }
    return check_from(v, ref, inst, FLOATS) && check_fp(v, ref, inst);
}

static bool check_fclass(Verifier *v, IrRef ref, const IrInst *inst)
{
    return has_type(v, inst->a, FLOATS) ? true : FAULT(v, ref, "the operand is not floating point");
}

static bool check_from_float(Verifier *v, IrRef ref, const IrInst *inst)
{
    if (ir_fp_from(inst->aux) == inst->type) {
        return FAULT(v, ref, "converts to the same type");
    }
    return check_from(v, ref, inst, FLOATS) && check_fp(v, ref, inst);
}

static bool check_from_int(Verifier *v, IrRef ref, const IrInst *inst)
{
    return check_from(v, ref, inst, INTS) && check_fp(v, ref, inst);
}

static bool check_fbox(Verifier *v, IrRef ref, const IrInst *inst)
{
    unsigned from = BIT(IR_F16) | BIT(IR_BF16) | (inst->type == IR_F64 ? BIT(IR_F32) : 0);
    return check_from(v, ref, inst, from);
}

static bool check_funbox(Verifier *v, IrRef ref, const IrInst *inst)
{
    return check_from(v, ref, inst, BIT(IR_F64) | (inst->type == IR_F32 ? 0 : BIT(IR_F32)));
}

static bool check_insn(Verifier *v, IrRef ref, const IrInst *inst)
{
    v->mark = ref;
    v->insns++;
    return true;
}

static bool check_args(Verifier *v, IrRef ref, const IrInst *inst)
{
    return ref + 1 < v->block->count && v->block->insts[ref + 1].op == IR_OP_call ? true
                                                                                  : FAULT(v, ref, "no call follows");
}

static bool check_call(Verifier *v, IrRef ref, const IrInst *inst)
{
    bool six = v->block->insts[ref - 1].op == IR_OP_args;
    const IrRef refs[3] = { inst->a, inst->b, inst->c };
    const IrInst *more = &v->block->insts[ref - 1];
    const IrRef more_refs[3] = { more->a, more->b, more->c };

    if (inst->aux >= v->guest->helper_count) {
        return FAULT(v, ref, "the guest has no helper %u", inst->aux);
    }
    const Helper *helper = &v->guest->helpers[inst->aux];
    if (six ? !helper->function6 : !helper->function) {
        return FAULT(v, ref, "%s does not take %s arguments", helper->name, six ? "six" : "three");
    }
    for (unsigned i = 0; i < 3; i++) {
        if ((refs[i] && !has_type(v, refs[i], UP_TO_64)) ||
            (six && more_refs[i] && !has_type(v, more_refs[i], UP_TO_64))) {
            return FAULT(v, ref, "an argument of %s is wider than 64 bits", helper->name);
        }
    }
    return true;
}

/* Both kinds of way to a label: they come out of one guest instruction. */
static bool reach_label(Verifier *v, IrRef ref, Label *label)
{
    if (label->first_branch && label->mark != v->mark) {
        return FAULT(v, ref, "the label is reached from another guest instruction too");
    }
    if (!label->first_branch) {
        label->first_branch = ref;
        label->mark = v->mark;
    }
    return true;
}

static bool check_branch(Verifier *v, IrRef ref, const IrInst *inst)
{
    if (inst->aux >= v->block->label_count) {
        return FAULT(v, ref, "no such label");
    }
    if (v->labels[inst->aux].placed) {
        return FAULT(v, ref, "jumps backwards");
    }
    return reach_label(v, ref, &v->labels[inst->aux]);
}

static bool check_label(Verifier *v, IrRef ref, const IrInst *inst)
{
    if (inst->aux >= v->block->label_count || v->labels[inst->aux].placed) {
        return FAULT(v, ref, "no such label, or placed before");
    }
    Label *label = &v->labels[inst->aux];
    label->placed = true;
    if (!label->first_branch && !v->reachable) {
        return FAULT(v, ref, "nothing leads here");
    }
    if (v->reachable && label->first_branch && label->mark != v->mark) {
        return FAULT(v, ref, "the label is reached from another guest instruction too");
    }
    for (IrRef i = label->first_branch + 1; label->first_branch && i < ref; i++) {
        v->usable[i] = false;
    }
    v->mark = label->first_branch ? label->mark : v->mark;
    v->reachable = true;
    return true;
}

static bool check_exit(Verifier *v, IrRef ref, const IrInst *inst)
{
    return inst->aux <= IR_EXIT_DEBUG ? true : FAULT(v, ref, "unknown reason %u", inst->aux);
}

static bool check_hint(Verifier *v, IrRef ref, const IrInst *inst)
{
    return inst->aux <= IR_JUMP_RETURN ? true : FAULT(v, ref, "unknown hint %u", inst->aux);
}

static CheckOp *const checks[IR_OP_COUNT] = {
    [IR_OP_const] = check_const,
    [IR_OP_get... IR_OP_set] = check_register,
    [IR_OP_trunc] = check_trunc,
    [IR_OP_high] = check_high,
    [IR_OP_pair] = check_pair,
    [IR_OP_sext... IR_OP_zext] = check_extend,
    [IR_OP_bitcast] = check_bitcast,
    [IR_OP_div_s... IR_OP_div_u] = check_division,
    [IR_OP_extract... IR_OP_deposit] = check_field,
    [IR_OP_cmp] = check_cmp,
    [IR_OP_load] = check_load,
    [IR_OP_store] = check_store,
    [IR_OP_zero] = check_zero,
    [IR_OP_load_linked] = check_atomic,
    [IR_OP_store_conditional] = check_store,
    [IR_OP_atomic_swap... IR_OP_atomic_cas] = check_atomic,
    [IR_OP_fence] = check_fence,
    [IR_OP_fadd... IR_OP_ffma] = check_fp,
    [IR_OP_fmin... IR_OP_fmax] = check_minmax,
    [IR_OP_fcmp] = check_fcmp,
    [IR_OP_fclass] = check_fclass,
    [IR_OP_fconvert... IR_OP_f_to_u] = check_from_float,
    [IR_OP_s_to_f... IR_OP_u_to_f] = check_from_int,
    [IR_OP_fround_int] = check_fp,
    [IR_OP_fbox] = check_fbox,
    [IR_OP_funbox] = check_funbox,
    [IR_OP_insn] = check_insn,
    [IR_OP_args] = check_args,
    [IR_OP_call] = check_call,
    [IR_OP_label] = check_label,
    [IR_OP_jump... IR_OP_branch] = check_branch,
    [IR_OP_goto_value] = check_hint,
    [IR_OP_exit] = check_exit,
};

static bool check_inst(Verifier *v, IrRef ref)
{
    const IrInst *inst = &v->block->insts[ref];

    if (inst->op == IR_OP_NONE || inst->op >= IR_OP_COUNT) {
        return FAULT(v, ref, "no such operation");
    }
    const char *effects = ir_op_info[inst->op].effects;
    if (!v->reachable && inst->op != IR_OP_label) {
        return FAULT(v, ref, "nothing leads here");
    }
    if (!v->mark && (strpbrk(effects, "XE") || inst->op == IR_OP_branch || inst->op == IR_OP_jump)) {
        return FAULT(v, ref, "stands before the first insn");
    }
    if (v->block->insts[ref - 1].op == IR_OP_args && inst->op != IR_OP_call) {
        return FAULT(v, ref, "stands between args and call");
    }
    if (!check_type(v, ref) || !check_operands(v, ref) || !check_unused(v, ref) ||
        (checks[inst->op] && !checks[inst->op](v, ref, inst))) {
        return false;
    }
    v->usable[ref] = inst->type != IR_VOID && inst->op != IR_OP_set;
    if (effects[0] == 'E' || inst->op == IR_OP_jump) {
        v->reachable = false;
    }
    return true;
}

static bool verify(Verifier *v)
{
    const IrBlock *block = v->block;

    if (block->count < 2 || block->insts[0].op != IR_OP_NONE) {
        return error_set(v->error, "an IR block without instructions");
    }
    if (block->address_bits != 32 && block->address_bits != 64) {
        return error_set(v->error, "an IR block with addresses of %u bits", block->address_bits);
    }
    for (IrRef ref = 1; ref < block->count; ref++) {
        if (!check_inst(v, ref)) {
            return false;
        }
    }
    for (unsigned i = 0; i < block->label_count; i++) {
        if (v->labels[i].first_branch && !v->labels[i].placed) {
            return error_set(v->error, "label %u of an IR block is jumped to but not placed", i);
        }
    }
    if (v->insns != block->insn_count) {
        return error_set(v->error, "an IR block of %u insns says that it has %u", v->insns, block->insn_count);
    }
    return !v->reachable || error_set(v->error, "an IR block without an end");
}

bool ir_verify(const IrBlock *block, const IrGuest *guest, Error **error)
{
    Verifier v = {
        .block = block,
        .guest = guest,
        .reachable = true,
        .labels = mem_alloc0(((size_t)block->label_count + 1) * sizeof(Label)),
        .usable = mem_alloc0((size_t)block->count + 1),
        .error = error,
    };
    bool ok = verify(&v);

    free(v.labels);
    free(v.usable);
    return ok;
}
