/*
 * Guest memory. Loads and stores of up to 8 bytes are made in place (numbers in the host's byte order alone): with the
 * soft TLB after a comparison with the page's entry, else at the guest's address (plus the gs base). All others, and
 * what misses, go through x64_slow. The host orders all but a store before a later load: that takes a fence where the
 * guest asks for it.
 */
#include "jit/x64/internal.h"

#include <stddef.h>

static bool is_plain(const IrInst *inst, IrType type)
{
    return !is_wide(type) && mem_size(inst->aux) <= 8 && !(inst->aux & MEM_EXECUTE) &&
           !(inst->aux & MEM_BIG_ENDIAN && is_float(type));
}

/* Of more bytes than one in the other order than the host's. */
static bool is_swapped(const IrInst *inst)
{
    return inst->aux & MEM_BIG_ENDIAN && mem_size(inst->aux) > 1;
}

static void full_fence(Compiler *c)
{
    x64_lock(&c->code);
    x64_alu_immediate(&c->code, X64_OR, 4, x64_memory(RSP, 0), 0);
}

void lower_fence(Compiler *c, const IrInst *inst)
{
    if (inst->aux & IR_FENCE_WRITE_READ) {
        full_fence(c);
    }
}

X64Slow *new_slow(Compiler *c, const IrInst *inst, SlowKind kind)
{
    X64Slow *slow = data_alloc(c, sizeof *slow);

    if (slow) {
        *slow = (X64Slow){ .block = c->block, .memop = inst->aux, .kind = (uint8_t)kind, .type = inst->type,
                           .displacement = inst->displacement, .narrow = c->ir->address_bits == 32 };
        fill_point(c, &slow->point);
    }
    return slow;
}

Place place_of(Compiler *c, const IrInst *inst)
{
    uint64_t locked = c->locked;
    Place place = { use_register(c, inst->a), inst->displacement };

    if (c->ir->address_bits == 32) {
        unsigned address = scratch_register(c);
        x64_rm(&c->code, X64_LEA, 4, address, x64_memory(place.base, place.displacement));
        c->locked = locked | BIT(address); /* the base may go */
        return (Place){ address, 0 };
    }
    return place;
}

/* What the tag is compared with: the page, and where it must be zero what lies below the size. */
static void masked_address(Compiler *c, unsigned to, Place place, MemOp op)
{
    unsigned size = mem_size(op);
    int64_t page = -(int64_t)BIT(c->common->layout.page_bits);
    bool aligned = op & (MEM_ALIGNED | MEM_ATOMIC);

    x64_rm(&c->code, X64_LEA, 8, to, x64_memory(place.base, place.displacement + (aligned ? 0 : (int32_t)size - 1)));
    x64_alu_immediate(&c->code, X64_AND, 8, x64_register(to), aligned ? page | (size - 1) : page);
}

void emit_tlb_entry(Compiler *c, Place place, unsigned mode, unsigned entry)
{
    size_t table = offsetof(Exec, tlb) + mode * sizeof(TlbTable);

    x64_rm(&c->code, X64_LEA, 8, entry, x64_memory(place.base, place.displacement));
    x64_r(&c->code, X64_SHR_I, 8, entry, c->common->layout.page_bits - 5);
    x64_alu(&c->code, X64_AND, 8, entry, exec_operand(c->common, table + offsetof(TlbTable, offset_mask)));
    x64_alu(&c->code, X64_ADD, 8, entry, exec_operand(c->common, table + offsetof(TlbTable, entries)));
}
_Static_assert(sizeof(TlbEntry) == 32, "the page's number is shifted by 5 for its entry's offset");

X64Operand soft_operand(Compiler *c, Place place, MemOp op, SoftTags tags, unsigned entry, unsigned tag,
                        uint8_t *misses[2])
{
    c->probe.base = 0; /* its slow path renews nothing */
    emit_tlb_entry(c, place, mem_mode(op), entry);
    masked_address(c, tag, place, op);
    x64_alu(&c->code, X64_CMP, 8, tag, x64_memory(entry, (int64_t)tags.first));
    misses[0] = x64_branch_forward(&c->code, X64_NE);
    if (tags.second != tags.first) {
        x64_alu(&c->code, X64_CMP, 8, tag, x64_memory(entry, (int64_t)tags.second));
        misses[1] = x64_branch_forward(&c->code, X64_NE);
    }
    x64_rm(&c->code, X64_MOV_RM, 8, entry, x64_memory(entry, offsetof(TlbEntry, addend)));
    return x64_indexed(place.base, entry, 0, place.displacement);
}

/* Loads and stores leave the entry where the next access may find it. */

/* The register with the entry that the access `shares`, kept for this instruction. None: it is to find its own, in a
 * register that is chosen when the operands have theirs. */
static unsigned probe_register(Compiler *c, const IrInst *inst, bool *shares)
{
    const Probe *probe = &c->probe;
    const HostRegister *host = &c->host[probe->entry];
    int64_t distance = (int64_t)inst->displacement - probe->displacement;

    *shares = probe->base && probe->base == c->values[inst->a].root && probe->mode == mem_mode(inst->aux) &&
              host->cached == CACHED_PROBE && !host->owner && distance > -PROBE_REACH && distance < PROBE_REACH;
    if (*shares) {
        c->locked |= BIT(probe->entry);
        return probe->entry;
    }
    return X64_NO_REGISTER;
}

/* As soft_operand, but that the entry stays and the tag goes. */
static X64Operand probe_operand(Compiler *c, const IrInst *inst, size_t tag_offset, Cold *cold)
{
    Place place = cold->place;

    cold->mode = (uint8_t)mem_mode(inst->aux);
    cold->tag_offset = (uint8_t)tag_offset;
    if (!cold->shares) {
        emit_tlb_entry(c, place, cold->mode, cold->entry);
    }
    masked_address(c, cold->tag, place, inst->aux);
    x64_alu(&c->code, X64_CMP, 8, cold->tag, x64_memory(cold->entry, (int64_t)tag_offset));
    cold->from = x64_branch_forward(&c->code, X64_NE);
    cold->hit = x64_here(&c->code);
    x64_rm(&c->code, X64_MOV_RM, 8, cold->tag, x64_memory(cold->entry, offsetof(TlbEntry, addend)));
    return x64_indexed(place.base, cold->tag, 0, place.displacement);
}

/* The access is made; its slow path is `cold`. */
static void note_probe(Compiler *c, const IrInst *inst, Cold *cold)
{
    Probe *probe = &c->probe;

    if (cold->shares) {
        for (uint32_t i = probe->first_cold; i < c->cold_count; i++) {
            c->cold[i].renews = c->cold[i].kind == COLD_SLOW;
        }
    } else {
        *probe = (Probe){ c->values[inst->a].root, cold->entry, cold->mode, inst->displacement, c->cold_count };
    }
    c->host[cold->entry].cached = CACHED_PROBE;
    cold->back = c->code.at;
    cold_add(c, *cold);
}

X64Operand direct_operand(Compiler *c, Place place)
{
    X64Operand operand = x64_memory(place.base, place.displacement);

    operand.gs = c->flags & CODE_BASE;
    if (c->point_count < MAXIMUM_POINTS) {
        CodePoint *point = &c->points[c->point_count++];
        fill_point(c, point);
        point->offset = (uint32_t)(c->code.at - c->start);
    } else {
        c->failed = true;
    }
    return operand;
}

/* Turns the low bytes around; of two, what is above them is lost. */
static void swap_bytes(Compiler *c, unsigned reg, unsigned size)
{
    if (size == 2) {
        x64_r(&c->code, X64_ROL_I, 2, reg, 8);
    } else {
        x64_bswap(&c->code, size, reg);
    }
}

static void load_swapped(Compiler *c, const IrInst *inst, unsigned to, X64Operand from)
{
    unsigned size = mem_size(inst->aux);
    bool wide = inst->type == IR_I64, is_signed = inst->aux & MEM_SIGNED;

    if (c->common->features.movbe) {
        x64_rm(&c->code, X64_MOVBE_RM, size, to, from);
    } else {
        x64_rm(&c->code, X64_MOV_RM, size, to, from);
        swap_bytes(c, to, size);
    }
    if (size == 2) {
        x64_rr(&c->code, is_signed ? X64_MOVSX_16 : X64_MOVZX_16, is_signed && wide ? 8 : 4, to, to);
    } else if (size == 4 && is_signed && wide) {
        x64_rr(&c->code, X64_MOVSXD, 8, to, to);
    }
}

static void emit_load(Compiler *c, const IrInst *inst, unsigned to, X64Operand from)
{
    bool wide = ir_type_bits((IrType)inst->type) == 64;

    if (is_swapped(inst)) {
        load_swapped(c, inst, to, from);
        return;
    }

    if (to >= X64_XMM0 && mem_size(inst->aux) == 2) { /* above it is what boxing puts there */
        x64_encode(&c->code, X64_VPINSRW, 4, to, to, from, 0);
        return;
    }
    if (to >= X64_XMM0) {
        x64_rm(&c->code, X64_MOVD_RM, mem_size(inst->aux), to, from);
        return;
    }
    switch (inst->aux & (MEM_SIZE_MASK | MEM_SIGNED)) {
    case MEM_8:
        x64_rm(&c->code, X64_MOVZX_8, 4, to, from);
        break;
    case MEM_16:
        x64_rm(&c->code, X64_MOVZX_16, 4, to, from);
        break;
    case MEM_8 | MEM_SIGNED:
        x64_rm(&c->code, X64_MOVSX_8, wide ? 8 : 4, to, from);
        break;
    case MEM_16 | MEM_SIGNED:
        x64_rm(&c->code, X64_MOVSX_16, wide ? 8 : 4, to, from);
        break;
    case MEM_32 | MEM_SIGNED:
        x64_rm(&c->code, wide ? X64_MOVSXD : X64_MOV_RM, wide ? 8 : 4, to, from);
        break;
    default:
        x64_rm(&c->code, X64_MOV_RM, mem_size(inst->aux), to, from);
    }
}

static void add_slow(Compiler *c, X64Slow *slow, uint8_t *miss)
{
    cold_add(c, (Cold){ .kind = COLD_SLOW, .from = miss, .back = c->code.at, .data = slow });
}

static void bind_loaded(Compiler *c, const IrInst *inst, unsigned reg)
{
    bind_result(c, reg, (inst->aux & (MEM_SIGNED | MEM_SIZE_MASK)) <= MEM_32);
    if (reg >= X64_XMM0) {
        float_box(c, (IrType)inst->type, reg);
    }
}

void lower_load(Compiler *c, const IrInst *inst)
{
    bool half = ir_type_bits((IrType)inst->type) == 16;

    if (!is_plain(inst, (IrType)inst->type) || (half && !c->common->float_host.avx)) {
        lower_function(c, inst);
        return;
    }
    bool shares = false;
    unsigned entry = c->flags & CODE_DIRECT ? 0 : probe_register(c, inst, &shares);
    Place place = place_of(c, inst);
    if (c->flags & CODE_DIRECT) {
        release_operands(c);
        unsigned dst = define_register(c, 0);
        emit_load(c, inst, dst, direct_operand(c, place));
        bind_loaded(c, inst, dst);
        return;
    }
    entry = entry == X64_NO_REGISTER ? scratch_register(c) : entry;
    unsigned tag = scratch_register(c);
    X64Slow *slow = new_slow(c, inst, SLOW_LOAD);
    if (!slow) {
        return;
    }
    c->locked &= ~BIT(tag); /* may be the result */
    release_operands(c);
    c->locked |= BIT(entry) | (BIT(place.base) & TEMPORARIES);
    unsigned dst = define_register(c, 0);
    if (dst != tag) { /* the tag is needed all the same */
        take_register(c, tag);
    }
    Cold cold = { .kind = COLD_SLOW, .data = slow, .shares = shares, .entry = (uint8_t)entry, .tag = (uint8_t)tag,
                  .place = place };
    emit_load(c, inst, dst, probe_operand(c, inst, offsetof(TlbEntry, read), &cold));
    slow->address = (uint8_t)place.base;
    slow->displacement = place.displacement;
    slow->data = (uint8_t)dst;
    note_probe(c, inst, &cold);
    bind_loaded(c, inst, dst);
}

static void emit_store(Compiler *c, const IrInst *inst, unsigned from, X64Operand to, bool immediate, int64_t value)
{
    unsigned size = mem_size(inst->aux);

    if (immediate) {
        x64_m(&c->code, X64_MOV_MI, size, to, value);
    } else if (is_swapped(inst) && c->common->features.movbe) {
        x64_rm(&c->code, X64_MOVBE_MR, size, from, to);
    } else if (from >= X64_XMM0) {
        x64_rm(&c->code, X64_MOVD_MR, size, from, to);
    } else {
        x64_rm(&c->code, X64_MOV_MR, size, from, to);
    }
}

void lower_store(Compiler *c, const IrInst *inst)
{
    IrType type = (IrType)inst_of(c, inst->b_)->type;
    int64_t immediate = 0;

    if (!is_plain(inst, type) || ir_type_bits(type) == 16) {
        lower_function(c, inst);
        return;
    }
    bool swapped = is_swapped(inst);
    if (swapped && !c->common->features.movbe) {
        lower_function(c, inst);
        return;
    }
    bool shares = false;
    unsigned entry = c->flags & CODE_DIRECT ? 0 : probe_register(c, inst, &shares);
    bool constant = c->flags & CODE_DIRECT && !swapped && !is_float(type) && use_immediate(c, inst->b_, &immediate);
    unsigned from = constant ? 0 : use_any_register(c, inst->b_);
    if (from >= X64_XMM0) {
        float_settle(c, from);
    }
    Place place = place_of(c, inst);
    if (c->flags & CODE_DIRECT) {
        emit_store(c, inst, from, direct_operand(c, place), constant, immediate);
    } else {
        X64Slow *slow = new_slow(c, inst, SLOW_STORE);
        if (!slow) {
            return;
        }
        entry = entry == X64_NO_REGISTER ? scratch_register(c) : entry;
        unsigned tag = scratch_register(c);
        Cold cold = { .kind = COLD_SLOW, .data = slow, .shares = shares, .entry = (uint8_t)entry, .tag = (uint8_t)tag,
                      .place = place };
        emit_store(c, inst, from, probe_operand(c, inst, offsetof(TlbEntry, write), &cold), false, 0);
        slow->address = (uint8_t)place.base;
        slow->displacement = place.displacement;
        slow->data = (uint8_t)from;
        note_probe(c, inst, &cold);
    }
    if ((inst->aux & MEM_ORDER_MASK) == MEM_SEQ_CST) {
        full_fence(c);
    }
}

/* The block around a place, by the host's widest usual stores. `addend`: X64_NO_REGISTER, or what is added. */
static void emit_zeroes(Compiler *c, Place place, unsigned zero, unsigned block, unsigned addend, unsigned size)
{
    x64_rrr(&c->code, X64_VXORPS, zero, zero, zero);
    x64_rm(&c->code, X64_LEA, 8, block, x64_memory(place.base, place.displacement));
    x64_alu_immediate(&c->code, X64_AND, 8, x64_register(block), -(int64_t)size);
    for (unsigned done = 0; done < size; done += 16) {
        X64Operand to = addend == X64_NO_REGISTER ? direct_operand(c, (Place){ block, (int32_t)done })
                                                  : x64_indexed(block, addend, 0, (int32_t)done);
        x64_rm(&c->code, X64_MOVUPS_MR, 4, zero, to);
    }
}

void lower_zero(Compiler *c, const IrInst *inst)
{
    unsigned size = mem_size(inst->aux);

    if (size < 16 || !c->common->float_host.avx) {
        lower_function(c, inst);
        return;
    }
    Place place = place_of(c, inst);
    unsigned entry = scratch_register(c), zero = scratch_float(c);
    if (c->flags & CODE_DIRECT) { /* faults at the address itself first */
        x64_m(&c->code, X64_MOV_MI, 1, direct_operand(c, place), 0);
        emit_zeroes(c, place, zero, entry, X64_NO_REGISTER, size);
        return;
    }
    unsigned tag = scratch_register(c);
    X64Slow *slow = new_slow(c, inst, SLOW_ZERO);
    uint8_t *misses[2] = { NULL };
    if (!slow) {
        return;
    }
    soft_operand(c, place, (MemOp)((inst->aux & ~MEM_SIZE_MASK) | MEM_8), soft_write, entry, tag, misses);
    emit_zeroes(c, place, zero, tag, entry, size);
    slow->address = (uint8_t)place.base;
    slow->displacement = place.displacement;
    add_slow(c, slow, misses[0]);
}

/* By the interpreter's functions. */

static InterpFunction *function_of(const Compiler *c, const IrInst *inst)
{
    InterpFunction *function = interp_memory_function(inst);

    function = function ? function : interp_value_function(inst);
    return function ? function
                    : interp_fp_function(inst, inst->a ? (IrType)inst_of(c, inst->a)->type : IR_VOID);
}

static int32_t slot_place(unsigned slot)
{
    return (int32_t)slot * 8 - EXEC_SCRATCH;
}

static int32_t operand_place(Compiler *c, IrRef ref)
{
    return ref ? slot_place(use_slot(c, ref)) : 0;
}

/* Operands and result lie in slots, which are the interpreter's scratch. */
void lower_function(Compiler *c, const IrInst *inst)
{
    bool access = inst->op == IR_OP_load || inst->op == IR_OP_store;
    c->probe.base = 0; /* its slow path renews nothing */
    X64Slow *slow = new_slow(c, inst, SLOW_FUNCTION);
    InterpInst *out = data_alloc(c, sizeof *out);

    if (!slow || !out) {
        return;
    }
    out->aux = inst->aux;
    out->type = inst->type;
    out->op = inst->op;
    out->function = function_of(c, inst);
    out->a = operand_place(c, inst->a);
    c->locked = 0;
    out->b = operand_place(c, inst->b);
    c->locked = 0;
    out->c = access ? inst->displacement : operand_place(c, inst->c);
    c->locked = 0;
    if (inst->op == IR_OP_select) {
        out->aux = inst_of(c, inst->a)->type;
    }
    slow->inst = out;
    if (inst->type != IR_VOID) {
        out->d = slot_place(bind_slots(c));
    }
    uint8_t *place = x64_jump_forward(&c->code);
    add_slow(c, slow, place);
    if (inst->type == IR_I32) {
        c->values[c->now].extended = false;
    }
}
