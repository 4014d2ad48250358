/*
 * From an IR block to code for the interpreter: one prepared instruction for each that does something, with the places
 * of interp_places.c as operands. A `set` right behind the instruction that makes its value, where nothing else uses
 * that, becomes that instruction's result place; a `cmp` and the `branch` on it become one. insn marks become a table.
 *
 * Nothing is reordered, removed or computed here but for that: the interpreter stays the reference for optimisers.
 */
#include "base/vec.h"
#include "jit/interp_places.h"

#include <stdlib.h>
#include <string.h>

typedef struct Prepare {
    Places places;
    VEC(InterpInst) insts;
    VEC(InterpMark) marks;
    VEC(uint32_t) fixups; /* branches and jumps: c is a label until the end */
    uint32_t *label_index, *label_mark, *label_insns;
    uint32_t mark, insns; /* where we are: index into marks, insns begun */
    uint32_t links;
} Prepare;

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
    const GuestRegister *reg = register_of(&p->places, inst);
    uint64_t value;

    if (ir_is_const(p->places.block, inst->a, &value) && places_takes_immediate(&p->places, inst, 0)) {
        InterpInst *out = emit(p, reg->bits == 64 ? INTERP_const_64 : INTERP_const_32, inst);
        out->d = (int32_t)reg->offset;
        out->imm = (int64_t)value;
        return;
    }
    unsigned value_bits = ir_type_bits(inst->type);
    emit_copy(p, inst, (int32_t)reg->offset, reg->bits, place_of(&p->places, inst->a), MIN(value_bits, reg->bits));
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
    out->a = place_of(&p->places, inst->a);
    out->b = inst->op == IR_OP_store ? place_of(&p->places, inst->b_) : 0;
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
    bool immediate = ir_is_const(p->places.block, inst->b, &value);
    InterpInst *out = emit(p, handler + wide + (immediate ? 2 : 0), inst);

    out->a = place_of(&p->places, inst->a);
    if (immediate) {
        out->imm = (int64_t)value;
    } else {
        out->b = place_of(&p->places, inst->b);
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

    emit_jump(p, emit_immediate_form(p, INTERP_branch_EQ_32 + condition * 4, cmp, cmp->aux >> 8 == IR_I64),
              branch->aux);
}

static unsigned width_code(const Prepare *p, IrRef ref)
{
    unsigned bits = ref ? ir_type_bits(inst_at(&p->places, ref)->type) : 0;
    return bits == 64 ? CALL_64 : bits == 32 ? CALL_32 : bits == 16 ? CALL_16 : CALL_NONE;
}

static InterpInst *emit_arguments(Prepare *p, unsigned handler, const IrInst *inst)
{
    InterpInst *out = emit(p, handler, inst);

    out->a = place_of(&p->places, inst->a);
    out->b = place_of(&p->places, inst->b);
    out->c = place_of(&p->places, inst->c);
    out->aux = (uint16_t)(width_code(p, inst->a) | width_code(p, inst->b) << 2 | width_code(p, inst->c) << 4);
    return out;
}

static void emit_call(Prepare *p, const IrInst *inst, int32_t d)
{
    const Helper *helper = &p->places.guest->helpers[inst->aux];
    bool six = inst[-1].op == IR_OP_args;
    unsigned result = inst->type == IR_I64 ? CALL_64 : inst->type == IR_I32 ? CALL_32 : CALL_NONE;
    InterpInst *out = emit_arguments(p, INTERP_call, inst);

    out->d = d;
    out->aux |= (uint16_t)(result << CALL_RESULT_SHIFT);
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
    out->a = place_of(&p->places, inst->a);
}

static void emit_select(Prepare *p, const IrInst *inst, int32_t d)
{
    unsigned bits = ir_type_bits(inst->type), condition = inst_at(&p->places, inst->a)->type == IR_I64;
    bool small = bits == 32 || bits == 64;
    InterpInst *out = emit(p, small ? INTERP_select_32_32 + condition * 2 + (bits == 64) : INTERP_function, inst);

    out->d = d;
    out->a = place_of(&p->places, inst->a);
    out->b = place_of(&p->places, inst->b);
    out->c = place_of(&p->places, inst->c);
    if (!small) {
        out->function = interp_value_function(inst);
        out->aux = inst_at(&p->places, inst->a)->type;
    }
}

static void emit_end(Prepare *p, const IrInst *inst)
{
    const GuestRegister *pc = &p->places.guest->registers[p->places.guest->pc_register];
    bool wide = pc->bits == 64;
    InterpInst *out;

    if (inst->op == IR_OP_goto) {
        out = emit(p, wide ? INTERP_goto_64 : INTERP_goto_32, inst);
        out->imm = inst->imm;
        out->aux = (uint16_t)p->links++;
    } else if (inst->op == IR_OP_goto_value) {
        out = emit(p, wide ? INTERP_goto_value_64 : INTERP_goto_value_32, inst);
        out->a = place_of(&p->places, inst->a);
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
    out->function =
        function ? function : interp_fp_function(inst, inst->a ? inst_at(&p->places, inst->a)->type : IR_VOID);
    assert(out->function);
    out->d = d;
    out->a = place_of(&p->places, inst->a);
    out->b = place_of(&p->places, inst->b);
    out->c = place_of(&p->places, inst->c);
}

/* Operations with a result, by number; those that are not here have a function. d is the result's place. */

typedef void Emit(Prepare *p, const IrInst *inst, int32_t d);

static void emit_const(Prepare *p, const IrInst *inst, int32_t d)
{
    InterpInst *out = emit(p, INTERP_const_64, inst);

    out->d = d;
    out->imm = inst->imm;
}

static void emit_get(Prepare *p, const IrInst *inst, int32_t d)
{
    const GuestRegister *reg = register_of(&p->places, inst);
    unsigned bits = ir_type_bits(inst->type);

    emit_copy(p, inst, d, bits, (int32_t)reg->offset, MIN(reg->bits, bits));
}

static void emit_bitcast(Prepare *p, const IrInst *inst, int32_t d)
{
    unsigned from_bits = ir_type_bits(inst_at(&p->places, inst->a)->type);

    emit_copy(p, inst, d, ir_type_bits(inst->type), place_of(&p->places, inst->a), from_bits);
}

static void emit_binary(Prepare *p, const IrInst *inst, int32_t d)
{
    emit_immediate_form(p, integer_handlers[inst->op], inst, inst->type == IR_I64)->d = d;
}

static void emit_unary(Prepare *p, const IrInst *inst, int32_t d)
{
    InterpInst *out = emit(p, integer_handlers[inst->op] + (inst->type == IR_I64), inst);

    out->d = d;
    out->a = place_of(&p->places, inst->a);
}

static Emit *const emitters[IR_OP_COUNT] = {
    [IR_OP_const] = emit_const,
    [IR_OP_get] = emit_get,
    [IR_OP_cmp] = emit_cmp,
    [IR_OP_sext] = emit_extend,
    [IR_OP_zext] = emit_extend,
    [IR_OP_bitcast] = emit_bitcast,
    [IR_OP_select] = emit_select,
    [IR_OP_load] = emit_access,
    [IR_OP_call] = emit_call,
#define ROW(name, expression) [IR_OP_##name] = emit_binary,
    EVAL_BINARY(ROW)
#undef ROW
#define ROW(name, expression) [IR_OP_##name] = emit_unary,
    EVAL_UNARY(ROW)
#undef ROW
};

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
    const IrInst *inst = inst_at(&p->places, ref), *next = inst + 1;
    bool has_next = ref + 1 < p->places.block->count;

    if (has_next && next->op == IR_OP_set && next->a == ref && p->places.values[ref].uses == 1 &&
        writes_exactly(inst) && register_of(&p->places, next)->bits == ir_type_bits(inst->type)) {
        p->places.values[ref + 1].fused = true;
        return (int32_t)register_of(&p->places, next)->offset;
    }
    return places_new_slot(&p->places, ref);
}

static bool fuses_with_branch(const Prepare *p, IrRef ref)
{
    const IrInst *inst = inst_at(&p->places, ref);

    return inst->op == IR_OP_cmp && ref + 1 < p->places.block->count && inst[1].op == IR_OP_branch &&
           inst[1].a == ref && p->places.values[ref].uses == 1;
}

/* Operands give up their slots before the result gets one, so that it may be one of theirs. */
static void prepare_value(Prepare *p, IrRef ref)
{
    const IrInst *inst = inst_at(&p->places, ref);
    Value *value = &p->places.values[ref];

    if (value->root != ref || (inst->op == IR_OP_const && !value->uses)) {
        return;
    }
    if (value->in_register) {
        value->place = (int32_t)register_of(&p->places, inst)->offset;
        return;
    }
    places_release_operands(&p->places, inst, ref);
    if (inst->op == IR_OP_call && inst[-1].op == IR_OP_args) {
        places_release_operands(&p->places, inst - 1, ref);
    }
    if (fuses_with_branch(p, ref)) {
        p->places.values[ref + 1].fused = true;
        emit_cmp_branch(p, inst, inst + 1);
        return;
    }
    int32_t d = inst->type == IR_VOID ? 0 : result_place(p, ref);
    (emitters[inst->op] ? emitters[inst->op] : emit_function)(p, inst, d);
}

/* Operations without a result. */

static void prepare_insn(Prepare *p, const IrInst *inst)
{
    vec_push(&p->marks, (InterpMark){ (uint64_t)inst->imm, p->insns });
    p->mark = (uint32_t)p->marks.count - 1;
    p->insns++;
}

/* Here we are where the ways to the label came from, unless it is only fallen into. */
static void prepare_label(Prepare *p, const IrInst *inst)
{
    p->label_index[inst->aux] = (uint32_t)p->insts.count;
    if (p->label_mark[inst->aux] != UINT32_MAX) {
        p->mark = p->label_mark[inst->aux];
        p->insns = p->label_insns[inst->aux];
    }
}

static void prepare_jump(Prepare *p, const IrInst *inst)
{
    emit_jump(p, emit(p, INTERP_jump, inst), inst->aux);
}

static void prepare_branch(Prepare *p, const IrInst *inst)
{
    bool wide = inst_at(&p->places, inst->a)->type == IR_I64;
    InterpInst *out = emit(p, wide ? INTERP_branch_64 : INTERP_branch_32, inst);

    out->a = place_of(&p->places, inst->a);
    emit_jump(p, out, inst->aux);
}

static void prepare_store(Prepare *p, const IrInst *inst)
{
    emit_access(p, inst, 0);
}

/* Without a result. */
static void prepare_function(Prepare *p, const IrInst *inst)
{
    emit_function(p, inst, 0);
}

/* The call that follows is done from here. */
static void prepare_args(Prepare *p, const IrInst *inst)
{
    emit_arguments(p, INTERP_call6, inst);
}

/* A hint that the interpreter has no use for. */
static void prepare_hint(Prepare *p, const IrInst *inst)
{
}

static void (*const preparers[IR_OP_COUNT])(Prepare *p, const IrInst *inst) = {
    [IR_OP_set] = emit_set,
    [IR_OP_store] = prepare_store,
    [IR_OP_zero] = prepare_function,
    [IR_OP_fence] = prepare_function,
    [IR_OP_insn] = prepare_insn,
    [IR_OP_args] = prepare_args,
    [IR_OP_label] = prepare_label,
    [IR_OP_jump] = prepare_jump,
    [IR_OP_branch] = prepare_branch,
    [IR_OP_push_return] = prepare_hint,
    [IR_OP_goto] = emit_end,
    [IR_OP_goto_value] = emit_end,
    [IR_OP_exit] = emit_end,
};

static void prepare_inst(Prepare *p, IrRef ref)
{
    const IrInst *inst = inst_at(&p->places, ref);

    if (!preparers[inst->op]) {
        prepare_value(p, ref);
    } else if (!p->places.values[ref].fused) {
        preparers[inst->op](p, inst);
        places_release_operands(&p->places, inst, ref);
    }
}

static InterpCode *finish(Prepare *p)
{
    size_t insts = p->insts.count * sizeof(InterpInst), marks = p->marks.count * sizeof(InterpMark);
    size_t size = sizeof(InterpCode) + insts + marks + p->links * sizeof(ExecLink);
    InterpCode *code = mem_alloc0(size);

    for (size_t i = 0; i < p->fixups.count; i++) {
        InterpInst *inst = &p->insts.items[p->fixups.items[i]];
        inst->c = (int32_t)p->label_index[inst->c];
    }
    code->address_mask = mask_bits(p->places.block->address_bits);
    code->insn_count = p->places.block->insn_count;
    code->size = (uint32_t)size;
    memcpy(code->insts, p->insts.items, insts);
    code->marks = (InterpMark *)((char *)code->insts + insts);
    memcpy(code->marks, p->marks.items, marks);
    code->links = (ExecLink *)((char *)code->marks + marks);
    return code;
}

InterpCode *interp_prepare(const IrBlock *block, const IrGuest *guest)
{
    size_t labels = (size_t)block->label_count + 1;
    Prepare p = {
        .label_index = mem_alloc0(labels * sizeof(uint32_t)),
        .label_mark = mem_alloc(labels * sizeof(uint32_t)),
        .label_insns = mem_alloc0(labels * sizeof(uint32_t)),
    };

    memset(p.label_mark, 0xff, labels * sizeof(uint32_t));
    places_init(&p.places, block, guest);
    for (IrRef ref = 1; ref < block->count && !p.places.failed; ref++) {
        prepare_inst(&p, ref);
    }
    InterpCode *code = p.places.failed ? NULL : finish(&p);
    places_free(&p.places);
    vec_free(&p.insts);
    vec_free(&p.marks);
    vec_free(&p.fixups);
    free(p.label_index);
    free(p.label_mark);
    free(p.label_insns);
    return code;
}

void interp_free(InterpCode *code)
{
    free(code);
}

unsigned interp_insn_count(const InterpCode *code) { return code->insn_count; }
size_t interp_size(const InterpCode *code) { return code->size; }
