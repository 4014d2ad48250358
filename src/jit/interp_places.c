/*
 * Which place each value of a block gets. Two walks in order before anything is emitted:
 *
 * - uses: how often and how late each value is used. Values that are a part of another one (trunc, high, some bitcasts
 *   and extensions) share its place.
 * - gets: a `get` whose register stays as it is until the value's last use needs no copy: its place is the register.
 *
 * All others get slots, which are free again after the last use.
 */
#include "jit/interp_places.h"

#include "base/vec.h"

#include <stdlib.h>
#include <string.h>

static bool is_const(const Places *p, IrRef ref)
{
    return inst_at(p, ref)->op == IR_OP_const;
}

static bool is_binary(IrOp op) /* of EVAL_BINARY */
{
    switch (op) {
#define CASE(name, expression) case IR_OP_##name:
        EVAL_BINARY(CASE)
        return true;
#undef CASE
    default:
        return false;
    }
}

bool places_takes_immediate(const Places *p, const IrInst *inst, unsigned position)
{
    if (inst->op == IR_OP_set) {
        unsigned bits = register_of(p, inst)->bits;
        return bits == 32 || bits == 64;
    }
    return position == 1 && (is_binary((IrOp)inst->op) || inst->op == IR_OP_cmp);
}

/* Whether the result is bytes of operand a, from `*skew` on, as they stand. */
static bool shares_place(const Places *p, const IrInst *inst, uint32_t *skew)
{
    IrType from = (IrType)inst_at(p, inst->a)->type, to = (IrType)inst->type;

    *skew = 0;
    switch (inst->op) {
    case IR_OP_high:
        *skew = 8;
        return true;
    case IR_OP_trunc:
        return true;
    case IR_OP_bitcast:
        return ir_type_bits(from) >= ir_type_bits(to);
    case IR_OP_sext:
    case IR_OP_zext:
        return inst->aux == ir_type_bits(to);
    default:
        return false;
    }
}

static void use(Places *p, const IrInst *inst, unsigned position, IrRef operand, IrRef at)
{
    Value *root = &p->values[p->values[operand].root];

    if (operand && !(is_const(p, operand) && places_takes_immediate(p, inst, position))) {
        root->uses++;
        root->last_use = at;
    }
}

static void find_uses(Places *p)
{
    for (IrRef ref = 1; ref < p->block->count; ref++) {
        const IrInst *inst = inst_at(p, ref);
        const char *operands = ir_op_info[inst->op].operands;
        const IrRef refs[3] = { inst->a, inst->b, inst->c };
        Value *value = &p->values[ref];

        value->root = ref;
        if (operands[0] && refs[0] && shares_place(p, inst, &value->skew)) {
            value->skew += p->values[inst->a].skew;
            value->root = p->values[inst->a].root;
            continue;
        }
        for (unsigned i = 0; operands[i]; i++) {
            use(p, inst, i, refs[i], inst->op == IR_OP_args ? ref + 1 : ref);
        }
    }
}

static bool overlap(const GuestRegister *x, const GuestRegister *y)
{
    return x->offset < y->offset + y->bits / 8 && y->offset < x->offset + x->bits / 8;
}

typedef VEC(IrRef) Refs;

/* `ref` changes one register, or `all`: the gets of it are closed, and need a copy where they are used later. */
static void close_gets(Places *p, Refs *open, IrRef ref, bool all)
{
    size_t kept = 0;

    for (size_t i = 0; i < open->count; i++) {
        IrRef get = open->items[i];
        bool changed = all || overlap(register_of(p, inst_at(p, ref)), register_of(p, inst_at(p, get)));
        if (changed && p->values[get].last_use > ref) {
            p->values[get].in_register = false;
        }
        if (!changed) {
            open->items[kept++] = get;
        }
    }
    open->count = kept;
}

/* Decides Value.in_register of each get. `open` holds those whose register is unchanged so far. */
static void find_register_places(Places *p)
{
    Refs open = { 0 };

    for (IrRef ref = 1; ref < p->block->count; ref++) {
        const IrInst *inst = inst_at(p, ref);
        if (inst->op == IR_OP_get && ir_type_bits(inst->type) <= register_of(p, inst)->bits) {
            p->values[ref].in_register = true;
            vec_push(&open, ref);
        }
        bool all = inst->op == IR_OP_call && p->guest->helpers[inst->aux].effects & HELPER_WRITES;
        if (all || inst->op == IR_OP_set) {
            close_gets(p, &open, ref, all);
        }
    }
    vec_free(&open);
}

/* Slots. */

static int32_t slot_place(unsigned slot)
{
    return (int32_t)slot * 8 - EXEC_SCRATCH;
}

static unsigned slots_of(IrType type)
{
    return ir_type_bits(type) > 64 ? 2 : 1;
}

/* Two begin at an even one. */
static int32_t find_slots(Places *p, unsigned count)
{
    uint64_t wanted = count == 2 ? UINT64_C(0x5555555555555555) : UINT64_MAX;

    for (unsigned i = 0; i < SLOTS / 64; i++) {
        uint64_t found = p->free_slots[i] & wanted & (count == 2 ? p->free_slots[i] >> 1 : UINT64_MAX);
        if (found) {
            unsigned bit = (unsigned)__builtin_ctzll(found);
            p->free_slots[i] &= ~(mask_bits(count) << bit);
            return slot_place(i * 64 + bit);
        }
    }
    p->failed = true;
    return slot_place(0);
}

/* To a value that nobody uses, its definition is the last use. */
static void release(Places *p, IrRef operand, IrRef at)
{
    IrRef root = p->values[operand].root;
    const Value *value = &p->values[root];

    if (root && value->last_use == at && !value->in_register) {
        unsigned slot = (unsigned)(value->place + EXEC_SCRATCH) / 8;
        p->free_slots[slot / 64] |= mask_bits(slots_of((IrType)inst_at(p, root)->type)) << slot % 64;
    }
}

void places_release_operands(Places *p, const IrInst *inst, IrRef at)
{
    const char *operands = ir_op_info[inst->op].operands;
    const IrRef refs[3] = { inst->a, inst->b, inst->c };

    for (unsigned i = 0; operands[i]; i++) {
        if (refs[i] && !(is_const(p, refs[i]) && places_takes_immediate(p, inst, i))) {
            release(p, refs[i], at);
        }
    }
}

int32_t places_new_slot(Places *p, IrRef ref)
{
    Value *value = &p->values[ref];

    value->place = find_slots(p, slots_of((IrType)inst_at(p, ref)->type));
    if (!value->uses) {
        value->last_use = ref;
        release(p, ref, ref);
    }
    return value->place;
}

void places_init(Places *p, const IrBlock *block, const IrGuest *guest)
{
    *p = (Places){ .block = block, .guest = guest, .values = mem_alloc0((size_t)block->count * sizeof(Value)) };
    memset(p->free_slots, 0xff, sizeof p->free_slots);
    find_uses(p);
    find_register_places(p);
}

void places_free(Places *p)
{
    free(p->values);
}
