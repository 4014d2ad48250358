/*
 * From an IR block to code for the interpreter. Three walks in order:
 *
 * - uses: how often and how late each value is used. Values that are a part of another one (trunc, high, some bitcasts
 *   and extensions) share its place.
 * - gets: a `get` whose register stays as it is until the value's last use needs no copy: its place is the register.
 * - emission: one prepared instruction for each that does something, operands resolved to places, and slots given out
 *   from first to last use. A `set` right behind the instruction that makes its value, where nothing else uses that,
 *   becomes that instruction's result place; a `cmp` and the `branch` on it become one. insn marks become a table.
 *
 * Nothing is reordered, removed or computed here but for that: the interpreter stays the reference for optimisers.
 */
#include "base/vec.h"
#include "jit/interp_internal.h"
#include "jit/ir_internal.h"

#include <stdlib.h>
#include <string.h>

enum { SLOTS = EXEC_SCRATCH / 8 };

typedef struct Value {
    IrRef root;        /* the value whose place this one shares; itself at first */
    uint32_t skew;     /* how far into it, in bytes */
    uint32_t uses;     /* of a root: of it and all that share its place */
    IrRef last_use;    /* of a root */
    bool in_register;  /* of a get: its place is the register */
    bool fused;        /* a cmp that its branch does, a branch that its cmp did, a set that was done by what came before */
    int32_t place;     /* of a root, once it is made */
} Value;

typedef struct Prepare {
    const IrBlock *block;
    const IrGuest *guest;
    Value *values;
    uint64_t free_slots[SLOTS / 64];
    VEC(InterpInst) insts;
    VEC(InterpMark) marks;
    VEC(uint32_t) fixups; /* branches and jumps: c is a label until the end */
    uint32_t *label_index, *label_mark, *label_insns;
    uint32_t mark, insns; /* where we are: index into marks, insns begun */
    uint32_t links;
    bool failed;
} Prepare;

static const IrInst *inst_at(const Prepare *p, IrRef ref)
{
    return &p->block->insts[ref];
}

static bool is_const(const Prepare *p, IrRef ref)
{
    return inst_at(p, ref)->op == IR_OP_const;
}

static const GuestRegister *register_of(const Prepare *p, const IrInst *inst)
{
    return &p->guest->registers[inst->aux];
}

static bool is_binary(IrOp op)
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

/* Whether a constant as operand `position` stands in the prepared instruction. */
static bool takes_immediate(const Prepare *p, const IrInst *inst, unsigned position)
{
    if (inst->op == IR_OP_set) {
        unsigned bits = register_of(p, inst)->bits;
        return bits == 32 || bits == 64;
    }
    return position == 1 && (is_binary((IrOp)inst->op) || inst->op == IR_OP_cmp);
}

/* Whether the result is bytes of operand a, from `*skew` on, as they stand. */
static bool shares_place(const Prepare *p, const IrInst *inst, uint32_t *skew)
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

static void use(Prepare *p, const IrInst *inst, unsigned position, IrRef operand, IrRef at)
{
    Value *root = &p->values[p->values[operand].root];

    if (operand && !(is_const(p, operand) && takes_immediate(p, inst, position))) {
        root->uses++;
        root->last_use = at;
    }
}

static void find_uses(Prepare *p)
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

/* Decides Value.in_register of each get. `open` holds those whose register is unchanged so far. */
static void find_register_places(Prepare *p)
{
    VEC(IrRef) open = { 0 };

    for (IrRef ref = 1; ref < p->block->count; ref++) {
        const IrInst *inst = inst_at(p, ref);
        if (inst->op == IR_OP_get && ir_type_bits(inst->type) <= register_of(p, inst)->bits) {
            p->values[ref].in_register = true;
            vec_push(&open, ref);
            continue;
        }
        bool all = inst->op == IR_OP_call && p->guest->helpers[inst->aux].effects & HELPER_WRITES;
        if (!all && inst->op != IR_OP_set) {
            continue;
        }
        size_t kept = 0;
        for (size_t i = 0; i < open.count; i++) {
            IrRef get = open.items[i];
            bool changed = all || overlap(register_of(p, inst), register_of(p, inst_at(p, get)));
            if (changed && p->values[get].last_use > ref) {
                p->values[get].in_register = false;
            }
            if (!changed) {
                open.items[kept++] = get;
            }
        }
        open.count = kept;
    }
    vec_free(&open);
}

/* Slots. */

static int32_t slot_place(unsigned slot)
{
    return (int32_t)slot * 8 - EXEC_SCRATCH;
}

/* One slot, or two that begin at an even one. */
static int32_t slot_new(Prepare *p, unsigned count)
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

static unsigned slots_of(IrType type)
{
    return ir_type_bits(type) > 64 ? 2 : 1;
}

static void release(Prepare *p, IrRef operand, IrRef at)
{
    IrRef root = p->values[operand].root;
    const Value *value = &p->values[root];

    if (root && value->last_use == at && !value->in_register && value->uses) {
        unsigned slot = (unsigned)(value->place + EXEC_SCRATCH) / 8;
        p->free_slots[slot / 64] |= mask_bits(slots_of((IrType)inst_at(p, root)->type)) << slot % 64;
    }
}

/* Operands whose last use was at `at` give their slots back; one that stands there twice does so once or twice alike. */
static void release_operands(Prepare *p, const IrInst *inst, IrRef at)
{
    const char *operands = ir_op_info[inst->op].operands;
    const IrRef refs[3] = { inst->a, inst->b, inst->c };

    for (unsigned i = 0; operands[i]; i++) {
        if (refs[i] && !(is_const(p, refs[i]) && takes_immediate(p, inst, i))) {
            release(p, refs[i], at);
        }
    }
}

static int32_t place_of(const Prepare *p, IrRef ref)
{
    const Value *value = &p->values[ref];
    return ref ? p->values[value->root].place + (int32_t)value->skew : 0;
}

/* Emission. */

static InterpInst *emit(Prepare *p, unsigned handler, const IrInst *inst)
{
    vec_push(&p->insts, (InterpInst){
        .handler = (uint16_t)handler, .aux = inst->aux, .mark = (uint16_t)p->mark, .type = inst->type, .op = inst->op
    });
    return &p->insts.items[p->insts.count - 1];
}

static const uint16_t integer_handlers[IR_OP_COUNT] = {
#define ROW(name, expression) [IR_OP_##name] = INTERP_##name##_32,
    EVAL_BINARY(ROW) EVAL_UNARY(ROW)
#undef ROW
};

static void emit_copy(Prepare *p, const IrInst *inst, int32_t to, unsigned to_bits, int32_t from, unsigned from_bits)
{
    unsigned handler = to_bits == from_bits && to_bits == 64 ? INTERP_mov_64
                       : to_bits == from_bits && to_bits == 32 ? INTERP_mov_32
                       : to_bits == 64 && from_bits == 32      ? INTERP_zext_32_64
                                                               : INTERP_function;
    InterpInst *out = emit(p, handler, inst);

    out->d = to;
    out->a = from;
    if (handler == INTERP_function) {
        out->function = interp_convey;
        out->b = (int32_t)to_bits / 8;
        out->c = (int32_t)MIN(to_bits, from_bits) / 8;
    }
}

static void emit_set(Prepare *p, const IrInst *inst)
{
    const GuestRegister *reg = register_of(p, inst);
    uint64_t value;

    if (ir_is_const(p->block, inst->a, &value) && takes_immediate(p, inst, 0)) {
        InterpInst *out = emit(p, reg->bits == 64 ? INTERP_const_64 : INTERP_const_32, inst);
        out->d = (int32_t)reg->offset;
        out->imm = (int64_t)value;
        return;
    }
    unsigned value_bits = ir_type_bits(inst->type);
    emit_copy(p, inst, (int32_t)reg->offset, reg->bits, place_of(p, inst->a), MIN(value_bits, reg->bits));
}

/* The handler of a load or store that is all of what handlers do: not big-endian, no total order, up to 8 bytes. */
static unsigned access_handler(const Prepare *p, const IrInst *inst)
{
    static const uint16_t loads[2][2][4] = {
        /* result of 32 bits, of 64; zero-extended, sign-extended; by size */
        { { INTERP_load_u8_32, INTERP_load_u16_32, INTERP_load_u32_32 },
          { INTERP_load_s8_32, INTERP_load_s16_32, INTERP_load_u32_32 } },
        { { INTERP_load_u8_64, INTERP_load_u16_64, INTERP_load_u32_64, INTERP_load_u64_64 },
          { INTERP_load_s8_64, INTERP_load_s16_64, INTERP_load_s32_64, INTERP_load_u64_64 } },
    };
    static const uint16_t stores[4] = { INTERP_store_8, INTERP_store_16, INTERP_store_32, INTERP_store_64 };
    unsigned size = inst->aux & MEM_SIZE_MASK, bits = ir_type_bits(inst->type);

    if (inst->aux & (MEM_BIG_ENDIAN | MEM_EXECUTE) || (inst->aux & MEM_ORDER_MASK) == MEM_SEQ_CST || size > MEM_64 ||
        (inst->op == IR_OP_load && bits != 32 && bits != 64)) {
        return INTERP_function;
    }
    return inst->op == IR_OP_store ? stores[size] : loads[bits == 64][!!(inst->aux & MEM_SIGNED)][size];
}

static void emit_access(Prepare *p, const IrInst *inst, int32_t d)
{
    InterpInst *out = emit(p, access_handler(p, inst), inst);

    out->d = d;
    out->a = place_of(p, inst->a);
    out->b = inst->op == IR_OP_store ? place_of(p, inst->b_) : 0;
    if (out->handler == INTERP_function) {
        out->function = interp_memory_function(inst);
        out->c = inst->displacement;
    } else {
        out->imm = inst->displacement;
    }
}

/* Operands a and b of an operation that has forms with an immediate: `handler` is its form of 32 bits. */
static InterpInst *emit_immediate_form(Prepare *p, unsigned handler, const IrInst *inst, bool wide)
{
    uint64_t value;
    bool immediate = ir_is_const(p->block, inst->b, &value);
    InterpInst *out = emit(p, handler + wide + (immediate ? 2 : 0), inst);

    out->a = place_of(p, inst->a);
    if (immediate) {
        out->imm = (int64_t)value;
    } else {
        out->b = place_of(p, inst->b);
    }
    return out;
}

static void emit_cmp(Prepare *p, const IrInst *inst, int32_t d)
{
    unsigned condition = inst->aux & 0xff;

    emit_immediate_form(p, INTERP_cmp_EQ_32 + condition * 4, inst, inst->aux >> 8 == IR_I64)->d = d;
}

static void emit_jump(Prepare *p, InterpInst *out, unsigned label)
{
    vec_push(&p->fixups, (uint32_t)(out - p->insts.items));
    out->c = (int32_t)label;
    p->label_mark[label] = p->mark;
    p->label_insns[label] = p->insns;
}

static void emit_cmp_branch(Prepare *p, const IrInst *cmp, const IrInst *branch)
{
    unsigned condition = cmp->aux & 0xff;

    emit_jump(p, emit_immediate_form(p, INTERP_branch_EQ_32 + condition * 4, cmp, cmp->aux >> 8 == IR_I64), branch->aux);
}

static unsigned width_code(const Prepare *p, IrRef ref)
{
    unsigned bits = ref ? ir_type_bits(inst_at(p, ref)->type) : 0;
    return bits == 64 ? CALL_64 : bits == 32 ? CALL_32 : bits == 16 ? CALL_16 : CALL_NONE;
}

static InterpInst *emit_arguments(Prepare *p, unsigned handler, const IrInst *inst)
{
    InterpInst *out = emit(p, handler, inst);

    out->a = place_of(p, inst->a);
    out->b = place_of(p, inst->b);
    out->c = place_of(p, inst->c);
    out->aux = (uint16_t)(width_code(p, inst->a) | width_code(p, inst->b) << 2 | width_code(p, inst->c) << 4);
    return out;
}

static void emit_call(Prepare *p, IrRef ref, int32_t d)
{
    const IrInst *inst = inst_at(p, ref);
    const Helper *helper = &p->guest->helpers[inst->aux];
    bool six = inst[-1].op == IR_OP_args;
    InterpInst *out = emit_arguments(p, INTERP_call, inst);

    out->d = d;
    out->aux |= (uint16_t)((inst->type == IR_I64 ? CALL_64 : inst->type == IR_I32 ? CALL_32 : CALL_NONE) << CALL_RESULT_SHIFT);
    out->aux |= helper->effects & HELPER_RAISES ? CALL_RAISES : 0;
    if (six) {
        out->helper6 = helper->function6;
    } else {
        out->helper = helper->function;
    }
}

static void emit_extend(Prepare *p, const IrInst *inst, int32_t d)
{
    static const uint16_t handlers[2][2][3] = {
        { { INTERP_zext_8_32, INTERP_zext_16_32 }, { INTERP_zext_8_64, INTERP_zext_16_64, INTERP_zext_32_64 } },
        { { INTERP_sext_8_32, INTERP_sext_16_32 }, { INTERP_sext_8_64, INTERP_sext_16_64, INTERP_sext_32_64 } },
    };
    unsigned size = inst->aux == 8 ? 0 : inst->aux == 16 ? 1 : 2;
    InterpInst *out = emit(p, handlers[inst->op == IR_OP_sext][inst->type == IR_I64][size], inst);

    out->d = d;
    out->a = place_of(p, inst->a);
}

static void emit_select(Prepare *p, const IrInst *inst, int32_t d)
{
    unsigned bits = ir_type_bits(inst->type), condition = inst_at(p, inst->a)->type == IR_I64;
    bool small = bits == 32 || bits == 64;
    InterpInst *out = emit(p, small ? INTERP_select_32_32 + condition * 2 + (bits == 64) : INTERP_function, inst);

    out->d = d;
    out->a = place_of(p, inst->a);
    out->b = place_of(p, inst->b);
    out->c = place_of(p, inst->c);
    if (!small) {
        out->function = interp_value_function(inst);
        out->aux = inst_at(p, inst->a)->type;
    }
}

static void emit_end(Prepare *p, const IrInst *inst)
{
    const GuestRegister *pc = &p->guest->registers[p->guest->pc_register];
    bool wide = pc->bits == 64;
    InterpInst *out;

    if (inst->op == IR_OP_goto) {
        out = emit(p, wide ? INTERP_goto_64 : INTERP_goto_32, inst);
        out->imm = inst->imm;
        out->aux = (uint16_t)p->links++;
    } else if (inst->op == IR_OP_goto_value) {
        out = emit(p, wide ? INTERP_goto_value_64 : INTERP_goto_value_32, inst);
        out->a = place_of(p, inst->a);
    } else {
        out = emit(p, INTERP_leave, inst);
    }
    out->d = (int32_t)pc->offset;
    out->b = (int32_t)p->insns;
}

/* Whatever has a function: operands to places, as many as there are. */
static void emit_function(Prepare *p, const IrInst *inst, int32_t d)
{
    InterpInst *out = emit(p, INTERP_function, inst);
    InterpFunction *function = interp_memory_function(inst);

    function = function ? function : interp_value_function(inst);
    out->function = function ? function : interp_fp_function(inst, inst->a ? inst_at(p, inst->a)->type : IR_VOID);
    assert(out->function);
    out->d = d;
    out->a = place_of(p, inst->a);
    out->b = place_of(p, inst->b);
    out->c = place_of(p, inst->c);
}

static void begin_insn(Prepare *p, const IrInst *inst)
{
    vec_push(&p->marks, (InterpMark){ (uint64_t)inst->imm, p->insns });
    p->mark = (uint32_t)p->marks.count - 1;
    p->insns++;
}

/* Whether the prepared instruction writes just the bytes of its type, and so may write a guest register. */
static bool writes_exactly(const IrInst *inst)
{
    switch (inst->op) {
    case IR_OP_cmp:
        return inst->type == IR_I64;
    case IR_OP_get:
    case IR_OP_const:
        return false;
    default:
        return ir_type_bits(inst->type) == 32 || ir_type_bits(inst->type) == 64;
    }
}

/* The place of the result of `ref`: the register that the next instruction sets, or a slot. */
static int32_t result_place(Prepare *p, IrRef ref)
{
    const IrInst *inst = inst_at(p, ref), *next = inst + 1;
    Value *value = &p->values[ref];
    bool has_next = ref + 1 < p->block->count;

    if (has_next && next->op == IR_OP_set && next->a == ref && value->uses == 1 && writes_exactly(inst) &&
        register_of(p, next)->bits == ir_type_bits(inst->type)) {
        p->values[ref + 1].fused = true;
        return (int32_t)register_of(p, next)->offset;
    }
    value->place = slot_new(p, slots_of((IrType)inst->type));
    if (!value->uses) { /* nobody reads it: the slot is free again at once */
        value->uses = 1;
        value->last_use = ref;
        release(p, ref, ref);
        value->uses = 0;
    }
    return value->place;
}

static bool fuses_with_branch(const Prepare *p, IrRef ref)
{
    const IrInst *inst = inst_at(p, ref);

    return inst->op == IR_OP_cmp && ref + 1 < p->block->count && inst[1].op == IR_OP_branch && inst[1].a == ref &&
           p->values[ref].uses == 1;
}

/* Instructions with a result. Operands give up their slots first, so that the result may take one of them. */
static void prepare_value(Prepare *p, IrRef ref)
{
    const IrInst *inst = inst_at(p, ref);
    Value *value = &p->values[ref];

    if (value->root != ref || (inst->op == IR_OP_const && !value->uses)) {
        return;
    }
    if (value->in_register) {
        value->place = (int32_t)register_of(p, inst)->offset;
        return;
    }
    if (fuses_with_branch(p, ref)) {
        p->values[ref + 1].fused = true;
        emit_cmp_branch(p, inst, inst + 1);
        release_operands(p, inst, ref);
        return;
    }
    release_operands(p, inst, ref);
    if (inst->op == IR_OP_call && inst[-1].op == IR_OP_args) {
        release_operands(p, inst - 1, ref);
    }
    int32_t d = inst->type == IR_VOID ? 0 : result_place(p, ref);
    switch (inst->op) {
    case IR_OP_const: {
        InterpInst *out = emit(p, INTERP_const_64, inst);
        out->d = d;
        out->imm = inst->imm;
        break;
    }
    case IR_OP_get:
        emit_copy(p, inst, d, ir_type_bits(inst->type), (int32_t)register_of(p, inst)->offset,
                  MIN(register_of(p, inst)->bits, ir_type_bits(inst->type)));
        break;
    case IR_OP_cmp:
        emit_cmp(p, inst, d);
        break;
    case IR_OP_sext:
    case IR_OP_zext:
        emit_extend(p, inst, d);
        break;
    case IR_OP_bitcast:
        emit_copy(p, inst, d, ir_type_bits(inst->type), place_of(p, inst->a), ir_type_bits(inst_at(p, inst->a)->type));
        break;
    case IR_OP_select:
        emit_select(p, inst, d);
        break;
    case IR_OP_load:
        emit_access(p, inst, d);
        break;
    case IR_OP_call:
        emit_call(p, ref, d);
        break;
    default:
        if (is_binary((IrOp)inst->op)) {
            emit_immediate_form(p, integer_handlers[inst->op], inst, inst->type == IR_I64)->d = d;
        } else if (integer_handlers[inst->op]) {
            InterpInst *out = emit(p, integer_handlers[inst->op] + (inst->type == IR_I64), inst);
            out->d = d;
            out->a = place_of(p, inst->a);
        } else {
            emit_function(p, inst, d);
        }
    }
}

static void prepare_inst(Prepare *p, IrRef ref)
{
    const IrInst *inst = inst_at(p, ref);

    switch (inst->op) {
    case IR_OP_set:
        if (!p->values[ref].fused) {
            emit_set(p, inst);
        }
        break;
    case IR_OP_store:
        emit_access(p, inst, 0);
        break;
    case IR_OP_fence:
        emit_function(p, inst, 0);
        break;
    case IR_OP_insn:
        begin_insn(p, inst);
        return;
    case IR_OP_args: /* the call that follows is done from here */
        emit_arguments(p, INTERP_call6, inst);
        return;
    case IR_OP_push_return:
        return;
    case IR_OP_label:
        p->label_index[inst->aux] = (uint32_t)p->insts.count;
        if (p->label_mark[inst->aux] != UINT32_MAX) {
            p->mark = p->label_mark[inst->aux];
            p->insns = p->label_insns[inst->aux];
        }
        return;
    case IR_OP_jump:
        emit_jump(p, emit(p, INTERP_jump, inst), inst->aux);
        return;
    case IR_OP_branch:
        if (!p->values[ref].fused) {
            InterpInst *out = emit(p, inst_at(p, inst->a)->type == IR_I64 ? INTERP_branch_64 : INTERP_branch_32, inst);
            out->a = place_of(p, inst->a);
            emit_jump(p, out, inst->aux);
            break;
        }
        return;
    case IR_OP_goto:
    case IR_OP_goto_value:
    case IR_OP_exit:
        emit_end(p, inst);
        break;
    default:
        prepare_value(p, ref);
        return;
    }
    if (!p->values[ref].fused) {
        release_operands(p, inst, ref);
    }
}

static InterpCode *finish(Prepare *p, void *owner)
{
    size_t insts = p->insts.count * sizeof(InterpInst), marks = p->marks.count * sizeof(InterpMark);
    size_t size = sizeof(InterpCode) + insts + marks + p->links * sizeof(ExecLink);
    InterpCode *code = mem_alloc0(size);

    for (size_t i = 0; i < p->fixups.count; i++) {
        InterpInst *inst = &p->insts.items[p->fixups.items[i]];
        inst->c = (int32_t)p->label_index[inst->c];
    }
    code->owner = owner;
    code->address_mask = mask_bits(p->block->address_bits);
    code->insn_count = p->block->insn_count;
    code->size = (uint32_t)size;
    memcpy(code->insts, p->insts.items, insts);
    code->marks = (InterpMark *)((char *)code->insts + insts);
    memcpy(code->marks, p->marks.items, marks);
    code->links = (ExecLink *)((char *)code->marks + marks);
    return code;
}

InterpCode *interp_prepare(const IrBlock *block, const IrGuest *guest, void *owner)
{
    size_t labels = (size_t)block->label_count + 1;
    Prepare p = {
        .block = block,
        .guest = guest,
        .values = mem_alloc0((size_t)block->count * sizeof(Value)),
        .label_index = mem_alloc0(labels * sizeof(uint32_t)),
        .label_mark = mem_alloc(labels * sizeof(uint32_t)),
        .label_insns = mem_alloc0(labels * sizeof(uint32_t)),
    };
    InterpCode *code = NULL;

    memset(p.label_mark, 0xff, labels * sizeof(uint32_t));
    memset(p.free_slots, 0xff, sizeof p.free_slots);
    find_uses(&p);
    find_register_places(&p);
    for (IrRef ref = 1; ref < block->count && !p.failed; ref++) {
        prepare_inst(&p, ref);
    }
    if (!p.failed) {
        code = finish(&p, owner);
    }
    vec_free(&p.insts);
    vec_free(&p.marks);
    vec_free(&p.fixups);
    free(p.values);
    free(p.label_index);
    free(p.label_mark);
    free(p.label_insns);
    return code;
}

void interp_free(InterpCode *code)
{
    free(code);
}

void *interp_owner(const InterpCode *code) { return code->owner; }
unsigned interp_insn_count(const InterpCode *code) { return code->insn_count; }
size_t interp_size(const InterpCode *code) { return code->size; }
