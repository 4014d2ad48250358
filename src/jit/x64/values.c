/*
 * Where the values of a block are while it is translated. A value is made in a temporary, or at once in the pinned
 * register that the next instruction sets; a `get` is an alias of the register for as long as that is unchanged. What
 * is needed longer than that, or than there are temporaries, moves to a slot.
 */
#include "jit/x64/internal.h"

#include <string.h>

static bool is_temporary(unsigned reg)
{
    return reg < HOST_REGISTERS && (TEMPORARIES | FLOAT_TEMPORARIES) & BIT(reg);
}

static bool lives_behind(const Value *value, IrRef last)
{
    return value->last_use > last;
}

static void note_use(Compiler *c, IrRef ref, IrRef at)
{
    Value *value = &c->values[ref];

    value->uses++;
    value->last_use = MAX(value->last_use, at);
}

/* A cmp whose only use is the branch or select behind it is done there. */
static bool fuses(const Compiler *c, IrRef ref)
{
    const IrInst *next = inst_of(c, ref) + 1;

    return inst_of(c, ref)->op == IR_OP_cmp && ref + 1 < c->ir->count && c->values[ref].uses == 1 &&
           !c->values[ref + 1].dead &&
           (next->op == IR_OP_branch || (next->op == IR_OP_select && !is_float((IrType)next->type) &&
                                         !is_wide((IrType)next->type))) && next->a == ref;
}

/* A negation whose only use is a fused multiplication and addition that can do it. */
static bool fuses_negation(const Compiler *c, IrRef ref)
{
    const IrInst *user = inst_of(c, c->values[ref].last_use);

    return inst_of(c, ref)->op == IR_OP_fneg && c->values[ref].uses == 1 && user->op == IR_OP_ffma &&
           user->b != ref && float_negates(c, user);
}

/* Where the operands of an instruction are used. */
static IrRef place_of_use(const Compiler *c, IrRef ref)
{
    IrOp op = (IrOp)inst_of(c, ref)->op;

    if (c->values[ref].fused) {
        return c->values[ref].last_use;
    }
    return op == IR_OP_args ? ref + 1 : ref; /* what args takes is used by the call behind it */
}

void values_init(Compiler *c)
{
    memset(c->values, 0, c->ir->count * sizeof *c->values);
    memset(c->host, 0, sizeof c->host);
    memset(c->floats, 0, sizeof c->floats);
    c->flags_restored = 0;
    memset(c->free_slots, 0xff, sizeof c->free_slots);
    c->left_count = 0;
    c->in_guest = 0;
    c->first_alive = 1;
    c->has_floats = false;
    for (IrRef ref = c->ir->count - 1; ref > 0; ref--) {
        const IrInst *inst = inst_of(c, ref);
        Value *value = &c->values[ref];
        const IrRef operands[3] = { inst->a, inst->b, inst->c };
        char effect = ir_op_info[inst->op].effects[0];
        value->type = inst->type;
        c->has_floats |= is_float((IrType)inst->type);
        value->root = ref;
        value->where = inst->op == IR_OP_const ? WHERE_CONST : WHERE_NOWHERE;
        value->dead = !value->uses && (effect == 'P' || inst->op == IR_OP_get);
        value->fused = !value->dead && (fuses(c, ref) || fuses_negation(c, ref));
        for (unsigned i = 0; i < ir_operand_count[inst->op] && !value->dead; i++) {
            note_use(c, operands[i], place_of_use(c, ref));
        }
    }
}

Value *value_of(Compiler *c, IrRef ref)
{
    return &c->values[c->values[ref].root];
}

bool value_const(Compiler *c, IrRef ref, uint64_t *value)
{
    const IrInst *inst = inst_of(c, c->values[ref].root);

    if (inst->op != IR_OP_const) {
        return false;
    }
    unsigned bits = MIN(ir_type_bits((IrType)inst->type), ir_type_bits((IrType)inst_of(c, ref)->type));
    *value = (uint64_t)sign_extend((uint64_t)inst->imm, bits);
    if (inst->type == IR_I32 && inst_of(c, ref)->type == IR_I64) { /* an alias that extends */
        *value = (uint32_t)*value;
    }
    return true;
}

/* Slots. */

unsigned slot_alloc(Compiler *c, unsigned count)
{
    for (unsigned i = 0; i < SLOTS / 64; i++) {
        uint64_t free = c->free_slots[i];
        free &= count == 2 ? free >> 1 & 0x5555555555555555 : UINT64_MAX;
        if (free) {
            unsigned bit = (unsigned)__builtin_ctzll(free);
            c->free_slots[i] &= ~((BIT(count) - 1) << bit);
            return i * 64 + bit;
        }
    }
    c->failed = true;
    return 0;
}

/* It may be read by this instruction yet: nothing else goes there before the next one. */
static void slot_leave(Compiler *c, unsigned slot)
{
    c->left_slots[c->left_count++] = (uint16_t)slot;
}

void slots_free(Compiler *c)
{
    while (c->left_count) {
        unsigned slot = c->left_slots[--c->left_count];
        c->free_slots[slot / 64] |= BIT(slot % 64);
    }
}

static void store_to_slot(Compiler *c, unsigned reg, unsigned slot)
{
    if (reg >= X64_XMM0) {
        float_settle(c, reg);
        x64_rm(&c->code, X64_MOVQ_MR, 8, reg, slot_operand(slot));
    } else {
        x64_rm(&c->code, X64_MOV_MR, 8, reg, slot_operand(slot));
    }
}

/* Chains of pinned registers and of guest registers in memory. */

static void chain(Compiler *c, IrRef *head, IrRef ref)
{
    c->values[ref].next = *head;
    *head = ref;
}

void place_in_guest(Compiler *c, IrRef ref, unsigned guest)
{
    Value *value = &c->values[ref];

    value->where = WHERE_GUEST;
    value->guest = (uint16_t)guest;
    if (!value->in_guest) {
        value->in_guest = true;
        chain(c, &c->in_guest, ref);
    }
}

/* Temporaries. */

static bool fits_guest(const Compiler *c, const Value *value, unsigned guest)
{
    return c->guest->registers[guest].bits == 64 && (value->type == IR_I64 || value->type == IR_F64);
}

/* The value of a temporary goes where it costs least; the temporary is free then. */
static void evict(Compiler *c, unsigned reg)
{
    HostRegister *host = &c->host[reg];
    IrRef ref = host->owner;
    Value *value = &c->values[ref];

    host->owner = 0;
    if (!ref || !lives_behind(value, c->now - 1)) {
        host->cached = 0;
        return;
    }
    if (inst_of(c, ref)->op == IR_OP_const) {
        value->where = WHERE_CONST;
    } else if (value->slot) {
        value->where = WHERE_SLOT;
    } else if (host->cached && fits_guest(c, value, host->cached - 1u)) {
        place_in_guest(c, ref, host->cached - 1u);
    } else {
        value->slot = (uint16_t)(slot_alloc(c, 1) + 1);
        store_to_slot(c, reg, value->slot - 1u);
        value->where = WHERE_SLOT;
    }
    host->cached = 0;
}

static bool is_free(Compiler *c, unsigned reg)
{
    return !c->host[reg].owner && !(c->locked & BIT(reg));
}

/* One of `candidates`: free and not a cache, free, or the one whose value is needed last. */
static unsigned choose(Compiler *c, uint64_t candidates)
{
    unsigned best = X64_NO_REGISTER;
    IrRef latest = 0;

    candidates &= ~c->locked;
    for (uint64_t left = candidates; left; left &= left - 1) {
        unsigned reg = (unsigned)__builtin_ctzll(left);
        if (is_free(c, reg) && !c->host[reg].cached) {
            return reg;
        }
        IrRef use = c->host[reg].owner ? c->values[c->host[reg].owner].last_use : UINT32_MAX;
        if (use >= latest) {
            latest = use;
            best = reg;
        }
    }
    if (best == X64_NO_REGISTER) {
        c->failed = true;
        return RAX;
    }
    evict(c, best);
    return best;
}

static unsigned allocate(Compiler *c, uint64_t candidates)
{
    unsigned reg = choose(c, candidates);

    c->host[reg].cached = 0;
    c->locked |= BIT(reg);
    if (reg >= X64_XMM0) {
        c->floats[reg & 15] = (FloatState){ 0 };
    }
    return reg;
}

unsigned scratch_register(Compiler *c) { return allocate(c, TEMPORARIES); }
unsigned scratch_float(Compiler *c) { return allocate(c, FLOAT_TEMPORARIES); }

void take_register(Compiler *c, unsigned reg)
{
    IrRef ref = c->host[reg].owner;

    /* Locked by an operand that is used here: keep it in another temporary. */
    if (ref && lives_behind(&c->values[ref], c->now - 1)) {
        uint64_t others = TEMPORARIES & ~BIT(reg) & ~c->locked;
        for (; others; others &= others - 1) {
            unsigned other = (unsigned)__builtin_ctzll(others);
            if (!c->host[other].owner) {
                x64_rr(&c->code, X64_MOV_RM, 8, other, reg);
                c->host[other] = c->host[reg];
                c->host[reg] = (HostRegister){ 0 };
                c->values[ref].where = (uint8_t)other;
                break;
            }
        }
    }
    evict(c, reg);
    c->host[reg].cached = 0;
    c->locked |= BIT(reg);
}

/* Operands. */

static void load_slot(Compiler *c, unsigned reg, const Value *value)
{
    if (reg >= X64_XMM0) {
        x64_rm(&c->code, X64_MOVQ_RM, 8, reg, slot_operand(value->slot - 1u));
        float_box(c, (IrType)value->type, reg); /* a function may have left just the number there */
    } else {
        x64_rm(&c->code, X64_MOV_RM, 8, reg, slot_operand(value->slot - 1u));
    }
}

static void load_float_constant(Compiler *c, unsigned reg, IrType type, uint64_t bits)
{
    if (ir_type_bits(type) < 64) {
        bits |= ~mask_bits(ir_type_bits(type));
        c->floats[reg & 15].boxed = (uint8_t)type;
    }
    unsigned temporary = scratch_register(c);

    x64_load_constant(&c->code, temporary, bits);
    x64_rr(&c->code, X64_MOVD_RM, 8, reg, temporary);
    c->locked &= ~BIT(temporary);
}

/* Brings a value from wherever to a temporary of its own. */
static unsigned fetch(Compiler *c, IrRef root)
{
    Value *value = &c->values[root];
    bool floating = is_float((IrType)value->type);
    unsigned reg = allocate(c, floating ? FLOAT_TEMPORARIES : TEMPORARIES);
    const IrInst *inst = inst_of(c, root);

    if (value->where == WHERE_SLOT) {
        load_slot(c, reg, value);
    } else if (value->where == WHERE_GUEST) {
        x64_rm(&c->code, floating ? X64_VMOVQ_RM : X64_MOV_RM, operand_size((IrType)value->type), reg,
               guest_operand(c->guest, value->guest));
        if (c->guest->registers[value->guest].bits == ir_type_bits((IrType)value->type)) {
            c->host[reg].cached = (uint16_t)(value->guest + 1);
        }
    } else if (floating) {
        load_float_constant(c, reg, (IrType)value->type, (uint64_t)inst->imm);
    } else {
        x64_load_constant(&c->code, reg, (uint64_t)inst->imm);
        value->extended = true;
    }
    value->where = (uint8_t)reg;
    c->host[reg].owner = root;
    return reg;
}

unsigned use_register(Compiler *c, IrRef ref)
{
    IrRef root = c->values[ref].root;
    Value *value = &c->values[root];
    unsigned reg = value->where < HOST_REGISTERS ? value->where : fetch(c, root);

    c->locked |= BIT(reg);
    c->read |= BIT(reg);
    return reg;
}

unsigned use_any_register(Compiler *c, IrRef ref)
{
    unsigned where = value_of(c, ref)->where;

    if (where >= X64_XMM0 && where < HOST_REGISTERS) {
        c->locked |= BIT(where);
        c->read |= BIT(where);
        return where;
    }
    return use_register(c, ref);
}

X64Operand use_operand(Compiler *c, IrRef ref)
{
    Value *value = value_of(c, ref);
    bool last = value->last_use <= c->now;

    if (value->where == WHERE_GUEST && last && ir_type_bits((IrType)value->type) >= 32) {
        return guest_operand(c->guest, value->guest);
    }
    if (value->where == WHERE_SLOT && last && !is_wide((IrType)value->type)) {
        return slot_operand(value->slot - 1u);
    }
    return x64_register(use_register(c, ref));
}

bool use_immediate(Compiler *c, IrRef ref, int64_t *immediate)
{
    uint64_t value;

    if (!value_const(c, ref, &value) || (int64_t)value != (int32_t)value) {
        return false;
    }
    *immediate = (int64_t)value;
    return true;
}

unsigned use_slot(Compiler *c, IrRef ref)
{
    IrRef root = c->values[ref].root;
    Value *value = &c->values[root];

    if (!value->slot) {
        unsigned reg = value->where < HOST_REGISTERS ? value->where : fetch(c, root);
        value->slot = (uint16_t)(slot_alloc(c, 1) + 1);
        store_to_slot(c, reg, value->slot - 1u);
    }
    return value->slot - 1u;
}

/* Results. */

static void release(Compiler *c, IrRef ref)
{
    IrRef root = c->values[ref].root;
    Value *value = &c->values[root];

    if (lives_behind(value, c->now)) {
        return;
    }
    if (is_temporary(value->where) && c->host[value->where].owner == root) {
        c->host[value->where].owner = 0;
        c->locked &= ~BIT(value->where);
    }
    if (value->slot) {
        slot_leave(c, value->slot - 1u);
        if (is_wide((IrType)value->type)) {
            slot_leave(c, value->slot);
        }
        value->slot = 0;
    }
}

static void release_of(Compiler *c, const IrInst *inst)
{
    const IrRef operands[3] = { inst->a, inst->b, inst->c };

    for (unsigned i = 0; i < ir_operand_count[inst->op]; i++) {
        if (operands[i] && c->values[operands[i]].root) {
            release(c, operands[i]);
        }
    }
}

static void release_negated(Compiler *c, IrRef ref)
{
    if (c->values[ref].fused) {
        release_of(c, inst_of(c, ref));
    }
}

void release_operands(Compiler *c)
{
    const IrInst *inst = inst_of(c, c->now);

    release_of(c, inst);
    if (inst->op == IR_OP_ffma) {
        release_negated(c, inst->a);
        release_negated(c, inst->c);
    }
    if (c->values[c->now - 1].fused || inst[-1].op == IR_OP_args) {
        release_of(c, inst - 1);
    }
    if (inst->type != IR_VOID && inst->op != IR_OP_set && inst->op != IR_OP_const) {
        release(c, c->now); /* a result that nobody uses */
    }
}

/* The pinned register that the next instruction gives this one's result, boxed perhaps, or none. `*at`: the one that
 * does. */
static unsigned wanted_register(const Compiler *c, IrRef *at)
{
    const IrInst *inst = inst_of(c, c->now), *next = inst + 1;
    bool boxed = is_float((IrType)inst->type) && next->op == IR_OP_fbox && next->type == IR_F64 && next->a == c->now;
    IrRef value = c->now + boxed;

    next += boxed;
    *at = value + 1;
    if (*at >= c->ir->count || next->op != IR_OP_set || next->a != value) {
        return X64_NO_REGISTER;
    }
    unsigned reg = c->common->host_of[next->aux], bits = ir_type_bits((IrType)inst_of(c, value)->type);
    bool fits = is_float((IrType)inst->type) ? reg >= X64_XMM0 && bits == 64
                                             : reg < X64_XMM0 && c->guest->registers[next->aux].bits >= bits;
    return reg < HOST_REGISTERS && fits ? reg : X64_NO_REGISTER;
}

/* Of temporaries those that operands of this instruction have left: the result need not be moved there. */
static uint64_t free_operands(Compiler *c)
{
    uint64_t found = 0;

    for (uint64_t left = TEMPORARIES & c->read & ~c->locked; left; left &= left - 1) {
        unsigned reg = (unsigned)__builtin_ctzll(left);
        found |= c->host[reg].owner ? 0 : BIT(reg);
    }
    return found;
}

unsigned define_register(Compiler *c, uint64_t avoid)
{
    IrRef at;
    unsigned wanted = wanted_register(c, &at);
    bool floating = is_float((IrType)inst_of(c, c->now)->type);

    if (wanted != X64_NO_REGISTER && !(avoid & BIT(wanted))) {
        leave_register(c, wanted, at);
        return wanted;
    }
    c->locked |= avoid & (TEMPORARIES | FLOAT_TEMPORARIES);
    if (floating) {
        return allocate(c, FLOAT_TEMPORARIES);
    }
    if (inst_of(c, c->now)[1].op == IR_OP_goto_value && !c->host[RAX].owner && !(c->locked & BIT(RAX))) {
        return allocate(c, BIT(RAX)); /* where that takes it */
    }
    uint64_t left = free_operands(c);
    return allocate(c, left ? left : TEMPORARIES);
}

void bind_result(Compiler *c, unsigned reg, bool extended)
{
    Value *value = &c->values[c->now];

    value->where = (uint8_t)reg;
    value->extended = extended;
    if (reg >= X64_XMM0) {
        c->floats[reg & 15] = (FloatState){ 0 };
    }
    if (is_temporary(reg)) {
        c->host[reg].owner = value->uses ? c->now : 0;
    } else {
        chain(c, &c->host[reg].owner, c->now);
    }
}

void settle_in(Compiler *c, IrRef ref, unsigned reg)
{
    IrRef root = c->values[ref].root;
    Value *value = &c->values[root];

    if (is_temporary(value->where) && value->where < X64_XMM0 && !value->in_guest &&
        inst_of(c, root)->op != IR_OP_const) {
        c->host[value->where].owner = 0;
        value->where = (uint8_t)reg;
        chain(c, &c->host[reg].owner, root);
    }
}

void bind_alias(Compiler *c, IrRef of)
{
    Value *value = &c->values[c->now];
    Value *root = value_of(c, of);

    value->root = c->values[of].root;
    root->last_use = MAX(root->last_use, value->last_use);
}

unsigned bind_slots(Compiler *c)
{
    Value *value = &c->values[c->now];

    value->slot = (uint16_t)(slot_alloc(c, is_wide((IrType)value->type) ? 2 : 1) + 1);
    value->where = WHERE_SLOT;
    return value->slot - 1u;
}

/* Moving away. */

static void move_between(Compiler *c, unsigned to, unsigned from)
{
    if (from < X64_XMM0) {
        x64_rr(&c->code, X64_MOV_RM, 8, to, from);
    } else {
        float_move(c, to, from);
    }
}

static void move_away(Compiler *c, IrRef ref, unsigned from)
{
    Value *value = &c->values[ref];

    if (value->slot) {
        value->where = WHERE_SLOT;
        return;
    }
    uint64_t class = from < X64_XMM0 ? TEMPORARIES : is_float((IrType)value->type) ? FLOAT_TEMPORARIES : 0;
    for (uint64_t left = class & ~c->locked & ~c->read; left; left &= left - 1) {
        unsigned reg = (unsigned)__builtin_ctzll(left);
        if (!c->host[reg].owner) {
            move_between(c, reg, from);
            c->host[reg] = (HostRegister){ .owner = ref };
            value->where = (uint8_t)reg;
            return;
        }
    }
    value->slot = (uint16_t)(slot_alloc(c, 1) + 1);
    store_to_slot(c, from, value->slot - 1u);
    value->where = WHERE_SLOT;
}

void leave_register(Compiler *c, unsigned reg, IrRef last)
{
    IrRef next;

    for (IrRef ref = c->host[reg].owner; ref; ref = next) {
        next = c->values[ref].next;
        if (c->values[ref].where == reg && lives_behind(&c->values[ref], last)) {
            move_away(c, ref, reg);
        }
    }
    c->host[reg].owner = 0;
}

bool overlap(const IrGuest *guest, unsigned a, unsigned b)
{
    const GuestRegister *x = &guest->registers[a], *y = &guest->registers[b];
    return x->offset < y->offset + y->bits / 8u && y->offset < x->offset + x->bits / 8u;
}

/* No temporary is taken for a copy of the guest register, or of what shares bytes with it, any more. */
static void forget_cached(Compiler *c, unsigned guest)
{
    for (unsigned reg = 0; reg < HOST_REGISTERS; reg++) {
        uint16_t *cached = &c->host[reg].cached;
        if (*cached && *cached != CACHED_PROBE && overlap(c->guest, *cached - 1u, guest)) {
            *cached = 0;
        }
    }
}

void leave_guest(Compiler *c, unsigned guest)
{
    IrRef *link = &c->in_guest;

    forget_cached(c, guest); /* first: what is evicted below is not to come back to where it leaves */
    while (*link) {
        IrRef ref = *link;
        Value *value = &c->values[ref];
        bool stays = value->where == WHERE_GUEST && !overlap(c->guest, value->guest, guest);
        if (stays) {
            link = &value->next;
            continue;
        }
        *link = value->next;
        value->in_guest = false;
        if (value->where == WHERE_GUEST && lives_behind(value, c->now - 1)) {
            unsigned reg = fetch(c, ref);
            c->locked &= ~BIT(reg);
            c->host[reg].cached = 0;
        }
    }
}

static void leave_chain(Compiler *c, IrRef *head)
{
    for (IrRef ref = *head; ref; ref = c->values[ref].next) {
        Value *value = &c->values[ref];
        value->in_guest = false;
        if (lives_behind(value, c->now) && value->where != WHERE_SLOT && value->where != WHERE_CONST) {
            use_slot(c, ref);
        }
        if (value->slot) {
            if (is_temporary(value->where)) {
                c->host[value->where].owner = 0;
            }
            value->where = WHERE_SLOT;
        }
    }
    *head = 0;
}

void leave_temporaries(Compiler *c, bool all)
{
    for (unsigned i = 0; all && i < c->common->pinned_count; i++) {
        leave_chain(c, &c->host[c->common->pinned_register[i]].owner);
    }
    if (all) {
        leave_chain(c, &c->in_guest);
    }
    for (uint64_t left = TEMPORARIES | FLOAT_TEMPORARIES; left; left &= left - 1) {
        unsigned reg = (unsigned)__builtin_ctzll(left);
        IrRef ref = c->host[reg].owner;
        if (ref && lives_behind(&c->values[ref], c->now)) {
            if (inst_of(c, ref)->op == IR_OP_const) {
                c->values[ref].where = WHERE_CONST;
            } else {
                use_slot(c, ref);
                c->values[ref].where = WHERE_SLOT;
            }
        }
        c->host[reg] = (HostRegister){ 0 };
    }
}

/* Values that nobody looks at any more stay so: those before the first other one are looked at no more. */
static IrRef first_alive(Compiler *c)
{
    while (c->first_alive < c->now && (c->values[c->first_alive].root != c->first_alive ||
                                       !lives_behind(&c->values[c->first_alive], c->now - 1))) {
        c->first_alive++;
    }
    return c->first_alive;
}

void save_for_label(Compiler *c, IrRef last)
{
    for (IrRef ref = first_alive(c); ref < c->now; ref++) {
        Value *value = &c->values[ref];
        if (value->root == ref && lives_behind(value, last) && value->where < WHERE_NOWHERE &&
            inst_of(c, ref)->op != IR_OP_const && !value->slot) {
            use_slot(c, ref);
            c->locked = 0;
        }
    }
}

void arrive_at_label(Compiler *c)
{
    for (IrRef ref = first_alive(c); ref < c->now; ref++) {
        Value *value = &c->values[ref];
        value->in_guest = false;
        if (value->root != ref || !lives_behind(value, c->now)) {
            continue;
        }
        bool constant = inst_of(c, ref)->op == IR_OP_const;
        if (constant && value->slot) { /* on another way here it was not put there */
            slot_leave(c, value->slot - 1u);
            value->slot = 0;
        }
        value->where = constant ? WHERE_CONST : value->slot ? WHERE_SLOT : WHERE_NOWHERE;
    }
    memset(c->host, 0, sizeof c->host);
    c->in_guest = 0;
}

void cache_guest(Compiler *c, unsigned reg, unsigned guest)
{
    if (is_temporary(reg)) {
        c->host[reg].cached = (uint16_t)(guest + 1);
    }
}

/* A temporary that holds the guest register's whole value. */
unsigned find_cached(Compiler *c, unsigned guest, bool floating)
{
    for (uint64_t left = floating ? FLOAT_TEMPORARIES : TEMPORARIES; left; left &= left - 1) {
        unsigned reg = (unsigned)__builtin_ctzll(left);
        if (c->host[reg].cached == guest + 1) {
            return reg;
        }
    }
    return X64_NO_REGISTER;
}

void move_to_register(Compiler *c, unsigned reg, IrRef ref, unsigned size)
{
    Value *value = value_of(c, ref);
    uint64_t constant;

    if (value_const(c, ref, &constant)) {
        x64_load_constant(&c->code, reg, size == 4 ? (uint32_t)constant : constant);
    } else if (value->where == WHERE_GUEST) {
        x64_rm(&c->code, X64_MOV_RM, size, reg, guest_operand(c->guest, value->guest));
    } else if (value->where == WHERE_SLOT) {
        x64_rm(&c->code, X64_MOV_RM, size, reg, slot_operand(value->slot - 1u));
    } else if (value->where >= X64_XMM0) {
        float_settle(c, value->where);
        x64_rr(&c->code, X64_MOVD_MR, size, value->where, reg);
    } else if (value->where != reg || size == 4) {
        x64_rr(&c->code, X64_MOV_RM, size, reg, value->where);
    }
}
