/*
 * Less to do in a block: in a pass forwards that finds what values are the same as others, one backwards that finds who
 * looks at what of them, and one that writes the block anew.
 *
 * - A register that was set in the block is not read again, and of several sets in a row only the last is made where
 *   nothing between them can leave the block or look at the guest's state; the others are "unseen".
 * - A 64-bit operation of which no more than the low half is looked at is one of 32 bits, and an extension in front of
 *   it is none: what RV64's word instructions and their temporaries come to.
 * - What registers hold as constants is computed with.
 * - Two shifts that are an extension or a rotation together become that.
 *
 * Guest memory, calls and marks stay what and where they are; so does floating point.
 */
#include "jit/ir_optimise.h"

#include "base/vec.h"
#include "jit/ir_eval.h"
#include "jit/ir_internal.h"

#include <string.h>

enum { MAXIMUM = 4096, REGISTERS = 512 };

/* How much of a value is looked at. */
typedef enum Demand { NOTHING, LOW_HALF, ALL } Demand;

typedef struct Optimiser {
    const IrGuest *guest;
    const uint8_t *keeps;
    const IrBlock *from;
    IrBlock *to;
    IrRef floor;             /* of `to`: what stands before this may have been jumped over */
    unsigned registers; /* of the guest, up to REGISTERS */
    bool any_known, any_pending;
    IrRef known[REGISTERS];  /* the value that the register has; 0: whatever */
    IrRef known_half[REGISTERS]; /* a get of its low half */
    bool pending[REGISTERS]; /* it will be set before anybody sees it */
    IrInst insts[MAXIMUM];   /* of `from`, rewritten */
    IrRef same[MAXIMUM];     /* another value that it is the same as, or itself */
    uint16_t home[MAXIMUM];  /* the register that the value is made for, plus 1 */
    bool extended[MAXIMUM];  /* an I64 that is its low half, sign-extended */
    IrRef whole[MAXIMUM];    /* the sign-extension of an I32, if it was made behind the last label */
    IrRef last_label;
    bool unseen[MAXIMUM];    /* a set */
    uint8_t demand[MAXIMUM];
    IrRef made[MAXIMUM]; /* in `to`: an I32 where the low half is enough */
    IrRef half[MAXIMUM]; /* in `to`: the low half of one that was made as a whole */
} Optimiser;

static bool is_pure(const IrInst *inst)
{
    return ir_op_info[inst->op].effects[0] == 'P' || inst->op == IR_OP_get;
}

/* A mark or a constant: nothing comes to it. They are two of five. */
static bool is_plain(const IrInst *inst)
{
    return inst->op == IR_OP_insn || inst->op == IR_OP_const;
}

static bool const_of(const Optimiser *o, IrRef ref, uint64_t *value)
{
    *value = (uint64_t)o->insts[ref].imm;
    return o->insts[ref].op == IR_OP_const;
}

static IrKeep keep_of(const Optimiser *o, unsigned reg)
{
    return reg < REGISTERS ? (IrKeep)o->keeps[reg] : IR_KEEP_ANY;
}

static bool helper_has(const Optimiser *o, const IrInst *inst, unsigned effects)
{
    return o->guest->helpers[inst->aux].effects & effects;
}

/* Forwards: what is the same. */

/* A left and a right shift by the same amount are an extension. */
static void rewrite_right_shift(const Optimiser *o, IrInst *inst)
{
    const IrInst *left = &o->insts[inst->a];
    unsigned bits = ir_type_bits((IrType)inst->type);
    uint64_t right_amount, left_amount;

    if (left->op != IR_OP_shl || left->type != inst->type || !const_of(o, inst->b, &right_amount) ||
        !const_of(o, left->b, &left_amount) || right_amount != left_amount || left_amount >= bits) {
        return;
    }
    unsigned rest = bits - (unsigned)left_amount;
    if (rest == 8 || rest == 16 || (rest == 32 && bits == 64)) {
        *inst = (IrInst){ .op = inst->op == IR_OP_shr ? IR_OP_zext : IR_OP_sext, .type = inst->type,
                          .aux = (uint16_t)rest, .a = left->a };
    }
}

static void rewrite_mask(const Optimiser *o, IrInst *inst)
{
    uint64_t mask;

    if (const_of(o, inst->b, &mask) && (mask == UINT8_MAX || mask == UINT16_MAX)) {
        *inst = (IrInst){ .op = IR_OP_zext, .type = inst->type, .aux = mask == UINT8_MAX ? 8 : 16, .a = inst->a };
    }
}

/* Nothing added, shifted by nothing. */
static bool is_neutral(const Optimiser *o, const IrInst *inst)
{
    uint64_t value;

    switch (inst->op) {
    case IR_OP_add:
    case IR_OP_sub:
    case IR_OP_or:
    case IR_OP_xor:
    case IR_OP_shl:
    case IR_OP_shr:
    case IR_OP_sar:
        return const_of(o, inst->b, &value) && !value;
    default:
        return false;
    }
}

/* The value that an extension, a truncation or a mask does not change, or 0. */
static IrRef unchanged_by(Optimiser *o, IrRef ref)
{
    const IrInst *inst = &o->insts[ref];
    const IrInst *of = &o->insts[inst->a];
    uint64_t mask, before;
    bool widened = (of->op == IR_OP_sext || of->op == IR_OP_zext) && of->aux == 32 && of->type == IR_I64;

    if (inst->op == IR_OP_trunc && inst->type == IR_I32 && widened && o->insts[of->a].type == IR_I32) {
        return of->a;
    }
    if (inst->op == IR_OP_and && of->op == IR_OP_and && const_of(o, inst->b, &mask) && const_of(o, of->b, &before)) {
        return before & ~mask ? 0 : inst->a;
    }
    if (inst->op == IR_OP_sext && inst->aux == 32 && inst->type == IR_I64) {
        IrRef whole = of->op == IR_OP_trunc && of->type == IR_I32 ? of->a : inst->a;
        if (o->extended[whole]) {
            return whole;
        }
        if (of->type == IR_I32 && o->whole[inst->a] > o->last_label) {
            return o->whole[inst->a];
        }
        o->whole[inst->a] = ref;
    }
    return is_neutral(o, inst) ? inst->a : 0;
}

static bool is_constant_extended(const IrInst *inst)
{
    return inst->type == IR_I64 && inst->imm == (int32_t)inst->imm;
}

static bool is_extended(const Optimiser *o, const IrInst *inst)
{
    uint64_t value;

    switch (inst->op) {
    case IR_OP_const:
        return is_constant_extended(inst);
    case IR_OP_sext:
        return inst->aux <= 32;
    case IR_OP_zext:
        return inst->aux < 32;
    case IR_OP_cmp:
        return true;
    case IR_OP_load:
        return mem_size(inst->aux) < 4 || (mem_size(inst->aux) == 4 && inst->aux & MEM_SIGNED);
    case IR_OP_and:
        return (const_of(o, inst->b, &value) && value <= INT32_MAX) || (o->extended[inst->a] && o->extended[inst->b]);
    case IR_OP_or:
    case IR_OP_xor:
        return o->extended[inst->a] && o->extended[inst->b];
    case IR_OP_shr:
        return const_of(o, inst->b, &value) && value > 32 && value < 64;
    case IR_OP_sar:
    case IR_OP_not:
        return o->extended[inst->a];
    case IR_OP_select:
        return o->extended[inst->b] && o->extended[inst->c];
    default:
        return false;
    }
}

/* Whether a get or set is of the register's own width. */
static bool is_whole(const Optimiser *o, const IrInst *inst)
{
    return ir_type_is_int((IrType)inst->type) &&
           ir_type_bits((IrType)inst->type) == o->guest->registers[inst->aux].bits;
}

/* A value that stays in the host's register for the guest's own may be read there; of another register's it is not
 * known for how long it stays. */
static IrRef known_after(Optimiser *o, const IrInst *set)
{
    const IrInst *value = &o->insts[set->a];

    if (!is_whole(o, set)) {
        return 0;
    }
    if (keep_of(o, set->aux) == IR_KEEP_MEMORY || value->op == IR_OP_const) {
        return set->a;
    }
    if (value->op == IR_OP_get || (o->home[set->a] && o->home[set->a] != set->aux + 1)) {
        return 0;
    }
    o->home[set->a] = (uint16_t)(set->aux + 1);
    return set->a;
}

static void forget_known(Optimiser *o)
{
    memset(o->known, 0, o->registers * sizeof *o->known);
    memset(o->known_half, 0, o->registers * sizeof *o->known_half);
    o->any_known = false;
}

static void note_effects(Optimiser *o, IrInst *inst)
{
    if (inst->op == IR_OP_set && keep_of(o, inst->aux) != IR_KEEP_ANY && o->known[inst->aux] == inst->a) {
        inst->op = IR_OP_NONE; /* it is that already */
    } else if (inst->op == IR_OP_set && keep_of(o, inst->aux) != IR_KEEP_ANY) {
        o->known[inst->aux] = known_after(o, inst);
        o->known_half[inst->aux] = 0;
        o->any_known = true;
    } else if (o->any_known && (inst->op == IR_OP_set || inst->op == IR_OP_label ||
                                (inst->op == IR_OP_call && helper_has(o, inst, HELPER_WRITES)))) {
        forget_known(o);
    }
}

/* The value that a get finds known, or 0: it is the one that is known then. */
static IrRef resolve_get(Optimiser *o, IrRef ref)
{
    IrInst *inst = &o->insts[ref];
    unsigned reg = inst->aux;
    bool half = inst->type == IR_I32 && o->guest->registers[reg].bits == 64;
    IrRef *known = half ? o->known_half : o->known;

    if (keep_of(o, reg) == IR_KEEP_ANY || !(half || is_whole(o, inst))) {
        return 0;
    }
    if (known[reg]) {
        return o->same[known[reg]];
    }
    if (half && o->known[reg]) {
        *inst = (IrInst){ .op = IR_OP_trunc, .type = IR_I32, .a = o->known[reg] };
    }
    known[reg] = ref;
    o->any_known = true;
    return 0;
}

/* An operation whose operands turn out to be constants is one, too. */
static void fold(const Optimiser *o, IrInst *inst)
{
    const IrRef operands[3] = { inst->a, inst->b, inst->c };
    unsigned count = ir_operand_count[inst->op];
    IrType types[3] = { 0 };
    uint64_t values[3] = { 0 }, result;

    for (unsigned i = 0; i < count; i++) {
        types[i] = (IrType)o->insts[operands[i]].type;
        if (!const_of(o, operands[i], &values[i])) {
            return;
        }
    }
    if (count && ir_evaluate((IrOp)inst->op, (IrType)inst->type, inst->aux, types, values, &result)) {
        *inst = (IrInst){ .op = IR_OP_const, .type = inst->type,
                          .imm = (int64_t)(result & mask_bits(ir_type_bits((IrType)inst->type))) };
    }
}

static void resolve(Optimiser *o, IrRef ref)
{
    IrInst *inst = &o->insts[ref];
    IrRef *const operands[3] = { &inst->a, &inst->b, &inst->c };
    IrRef same = 0;

    *inst = o->from->insts[ref];
    if (is_plain(inst)) {
        o->same[ref] = ref;
        o->extended[ref] = is_constant_extended(inst);
        return;
    }
    for (unsigned i = 0; i < ir_operand_count[inst->op]; i++) {
        *operands[i] = o->same[*operands[i]];
    }
    if (is_pure(inst) && inst->op != IR_OP_get) {
        fold(o, inst);
    }
    if (inst->op == IR_OP_get) {
        same = resolve_get(o, ref);
    } else if (inst->op == IR_OP_shr || inst->op == IR_OP_sar) {
        rewrite_right_shift(o, inst);
    } else if (inst->op == IR_OP_and) {
        rewrite_mask(o, inst);
    }
    same = same ? same : unchanged_by(o, ref);
    o->last_label = inst->op == IR_OP_label ? ref : o->last_label;
    o->same[ref] = same ? same : ref;
    o->extended[ref] = inst->type == IR_I64 && is_extended(o, inst);
    note_effects(o, inst);
}

/* Backwards: what is looked at. */

/* Whether the instruction may leave the block, be left in the middle, or look at registers that it does not name. */
static bool is_observer(const Optimiser *o, const IrInst *inst)
{
    switch (inst->op) {
    case IR_OP_load... IR_OP_fence:
    case IR_OP_label:
    case IR_OP_jump:
    case IR_OP_branch:
    case IR_OP_goto:
    case IR_OP_goto_value:
    case IR_OP_exit:
        return true;
    case IR_OP_call:
        return helper_has(o, inst, ~0u);
    case IR_OP_get:
    case IR_OP_set:
        return keep_of(o, inst->aux) == IR_KEEP_ANY; /* it may share bytes with any */
    default:
        return false;
    }
}

static void note_registers(Optimiser *o, IrRef ref)
{
    const IrInst *inst = &o->insts[ref];

    if (is_observer(o, inst)) {
        if (o->any_pending) {
            memset(o->pending, false, o->registers);
            o->any_pending = false;
        }
    } else if (inst->op == IR_OP_get && o->same[ref] == ref) {
        o->pending[inst->aux] = false;
    } else if (inst->op == IR_OP_set) {
        o->unseen[ref] = o->pending[inst->aux];
        o->pending[inst->aux] = o->any_pending = true;
    }
}

/* Whether the low half of the result comes of the operands' low halves alone, by the same operation. */
static bool is_narrowable(const Optimiser *o, const IrInst *inst)
{
    uint64_t amount;

    switch (inst->op) {
    case IR_OP_add:
    case IR_OP_sub:
    case IR_OP_neg:
    case IR_OP_mul:
    case IR_OP_and:
    case IR_OP_or:
    case IR_OP_xor:
    case IR_OP_not:
    case IR_OP_andn:
        return inst->type == IR_I64;
    case IR_OP_shl:
        return inst->type == IR_I64 && const_of(o, inst->b, &amount) && amount < 32;
    default:
        return false;
    }
}

static bool becomes_narrow(const Optimiser *o, IrRef ref)
{
    return o->demand[ref] == LOW_HALF && is_narrowable(o, &o->insts[ref]);
}

/* A 32-bit shift whose low half this is, behind extensions that do not change it. */
static const IrInst *shift_behind(const Optimiser *o, IrRef ref, unsigned bits)
{
    const IrInst *inst = &o->insts[ref];
    uint64_t amount;

    while (bits == 32 && ((inst->op == IR_OP_trunc && inst->type == IR_I32) ||
                          ((inst->op == IR_OP_sext || inst->op == IR_OP_zext) && inst->aux >= 32))) {
        inst = &o->insts[inst->a];
    }
    bool fits = (inst->op == IR_OP_shl || inst->op == IR_OP_shr) && ir_type_bits((IrType)inst->type) == bits;
    return fits && const_of(o, inst->b, &amount) && amount < bits ? inst : NULL;
}

/* Two shifts of one value, one each way, by the whole width together. */
static void rewrite_rotation(Optimiser *o, IrRef ref)
{
    IrInst *inst = &o->insts[ref];
    unsigned bits = o->demand[ref] == LOW_HALF ? 32 : ir_type_bits((IrType)inst->type);
    const IrInst *left = shift_behind(o, inst->a, bits), *right = shift_behind(o, inst->b, bits);
    uint64_t left_amount, right_amount;

    if (left && left->op == IR_OP_shr) {
        const IrInst *other = left;
        left = right;
        right = other;
    }
    if (!left || !right || left->op != IR_OP_shl || right->op != IR_OP_shr || left->a != right->a) {
        return;
    }
    if (const_of(o, left->b, &left_amount) && const_of(o, right->b, &right_amount) &&
        left_amount + right_amount == bits) {
        *inst = (IrInst){ .op = IR_OP_rotl, .type = left->type, .a = left->a, .b = left->b };
    }
}

static void note_demand(Optimiser *o, IrRef ref, Demand demand)
{
    if (demand > o->demand[ref]) {
        o->demand[ref] = (uint8_t)demand;
    }
}

/* How much of operand `i` is looked at. */
static Demand demand_of_operand(const Optimiser *o, IrRef ref, unsigned i)
{
    const IrInst *inst = &o->insts[ref];

    switch (inst->op) {
    case IR_OP_trunc:
        return inst->type == IR_I32 ? LOW_HALF : ALL;
    case IR_OP_sext:
    case IR_OP_zext:
        return inst->aux <= 32 ? LOW_HALF : ALL;
    case IR_OP_store:
        return i == 1 && mem_size(inst->aux) <= 4 ? LOW_HALF : ALL;
    case IR_OP_set:
        return o->unseen[ref] ? NOTHING : ALL;
    case IR_OP_shl:
        return i == 0 && becomes_narrow(o, ref) ? LOW_HALF : ALL;
    default:
        return becomes_narrow(o, ref) ? LOW_HALF : ALL;
    }
}

static void demand_operands(Optimiser *o, IrRef ref)
{
    IrInst *inst = &o->insts[ref];

    if (is_plain(inst)) {
        return;
    }
    note_registers(o, ref);
    if (is_pure(inst) && !o->demand[ref]) {
        return;
    }
    bool joins = inst->op == IR_OP_or || inst->op == IR_OP_xor || inst->op == IR_OP_add;
    if (joins && ir_type_is_int((IrType)inst->type)) {
        rewrite_rotation(o, ref);
    }
    const IrRef operands[3] = { inst->a, inst->b, inst->c };
    for (unsigned i = 0; i < ir_operand_count[inst->op]; i++) {
        note_demand(o, operands[i], demand_of_operand(o, ref, i));
    }
}

/* Writing it anew. */

static IrRef append(Optimiser *o, IrInst inst)
{
    IrBlock *to = o->to;

    if (to->count == to->capacity) {
        size_t capacity = to->capacity;
        to->insts = vec_grow(to->insts, &capacity, (size_t)to->count + 1, sizeof *to->insts);
        to->capacity = (uint32_t)capacity;
    }
    to->insts[to->count] = inst;
    return to->count++;
}

/* The I32 that is the value's low half. */
static IrRef half_of(Optimiser *o, IrRef ref)
{
    IrRef made = o->made[ref];
    const IrInst inst = o->to->insts[made];

    if (inst.type == IR_I32) {
        return made;
    }
    if (o->half[ref] < o->floor) {
        o->half[ref] = inst.op == IR_OP_const
                           ? append(o, (IrInst){ .op = IR_OP_const, .type = IR_I32, .imm = (uint32_t)inst.imm })
                           : append(o, (IrInst){ .op = IR_OP_trunc, .type = IR_I32, .a = made });
    }
    return o->half[ref];
}

/* The low half of what needs no more. */
static IrRef make_narrow(Optimiser *o, const IrInst *inst)
{
    IrInst narrow = { .op = inst->op, .type = IR_I32, .aux = inst->aux };

    narrow.a = half_of(o, inst->a);
    if (ir_operand_count[inst->op] > 1) {
        narrow.b = half_of(o, inst->b);
    }
    return append(o, narrow);
}

static IrRef make_as_it_is(Optimiser *o, const IrInst *inst)
{
    IrInst copy = *inst;
    IrRef *const operands[3] = { &copy.a, &copy.b, &copy.c };

    for (unsigned i = 0; i < ir_operand_count[inst->op]; i++) {
        *operands[i] = o->made[*operands[i]];
    }
    if (inst->op == IR_OP_set) {
        copy.type = o->to->insts[copy.a].type;
    }
    if (inst->op == IR_OP_rotl) {
        copy.a = inst->type == IR_I32 ? half_of(o, inst->a) : copy.a;
    }
    return append(o, copy);
}

/* An unseen set is worth its while where it gives the value a place that is free: right behind what makes it. */
static bool gives_a_place(const Optimiser *o, const IrInst *set)
{
    IrRef made = o->made[set->a];
    IrOp op = (IrOp)o->to->insts[made].op;

    return keep_of(o, set->aux) == IR_KEEP_REGISTER && made && made + 1 == o->to->count && op != IR_OP_get &&
           op != IR_OP_const && op != IR_OP_trunc;
}

static void make(Optimiser *o, IrRef ref)
{
    const IrInst *inst = &o->insts[ref];
    bool extends = inst->op == IR_OP_sext || inst->op == IR_OP_zext;

    if (inst->op == IR_OP_NONE || o->same[ref] != ref || (is_pure(inst) && !o->demand[ref]) ||
        (inst->op == IR_OP_set && o->unseen[ref] && !gives_a_place(o, inst))) {
        return;
    }
    if (inst->op == IR_OP_label) {
        o->made[ref] = make_as_it_is(o, inst);
        o->floor = o->to->count;
    } else if (inst->op == IR_OP_const && inst->type == IR_I64 && o->demand[ref] == LOW_HALF) {
        o->made[ref] = append(o, (IrInst){ .op = IR_OP_const, .type = IR_I32, .imm = (uint32_t)inst->imm });
    } else if (inst->op == IR_OP_trunc && inst->type == IR_I32 && o->from->insts[inst->a].type == IR_I64) {
        o->made[ref] = half_of(o, inst->a);
    } else if (extends && inst->type == IR_I64 && o->demand[ref] == LOW_HALF && inst->aux <= 32) {
        o->made[ref] = inst->aux == 32 ? half_of(o, inst->a) : make_narrow(o, inst);
    } else if (becomes_narrow(o, ref)) {
        o->made[ref] = make_narrow(o, inst);
    } else {
        o->made[ref] = make_as_it_is(o, inst);
    }
}

static void begin(Optimiser *o)
{
    size_t count = o->from->count;

    o->registers = MIN(o->guest->register_count, (unsigned)REGISTERS);
    forget_known(o);
    memset(o->pending, 0, o->registers);
    o->any_pending = false;
    memset(o->home, 0, count * sizeof *o->home);
    memset(o->whole, 0, count * sizeof *o->whole);
    o->last_label = 0;
    memset(o->unseen, 0, count * sizeof *o->unseen);
    memset(o->demand, 0, count * sizeof *o->demand);
    memset(o->made, 0, count * sizeof *o->made);
    memset(o->half, 0, count * sizeof *o->half);
    o->same[0] = 0;
    o->insts[0] = (IrInst){ .op = IR_OP_NONE };
    o->extended[0] = false;
    o->floor = 1;
    o->to->count = 0;
    o->to->label_count = o->from->label_count;
    o->to->insn_count = o->from->insn_count;
    o->to->address_bits = o->from->address_bits;
    o->to->pc = o->from->pc;
    o->to->bytes = o->from->bytes;
    append(o, o->insts[0]);
}

bool ir_optimise(IrBlock *to, const IrBlock *from, const IrGuest *guest, const uint8_t *keeps)
{
    Optimiser optimiser, *o = &optimiser; /* what is used of the arrays is set by begin and resolve */

    if (from->count > MAXIMUM) {
        return false;
    }
    o->guest = guest;
    o->keeps = keeps;
    o->from = from;
    o->to = to;
    begin(o);
    for (IrRef ref = 1; ref < from->count; ref++) {
        resolve(o, ref);
    }
    for (IrRef ref = from->count - 1; ref > 0; ref--) {
        demand_operands(o, ref);
    }
    for (IrRef ref = 1; ref < from->count; ref++) {
        make(o, ref);
    }
    return true;
}
