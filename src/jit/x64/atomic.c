/*
 * Atomic operations of up to 8 bytes on aligned memory that the TLB knows for reading and writing, or that is reached
 * directly. What the host has no instruction for is a loop of compare-and-exchange. Not here, but by the interpreter's
 * functions: those of 16 bytes, of the other byte order, and what misses.
 */
#include "jit/x64/internal.h"

/* An access that is being made: what the miss has to know, and the memory. */
typedef struct Access {
    Place place;
    unsigned entry, tag; /* temporaries; `tag` is free behind the comparison */
    unsigned size;
    unsigned expected; /* the register of what a compare-and-swap expects */
    uint8_t *misses[2];
    X64Operand memory;
} Access;

static bool is_pinned(Compiler *c, IrRef ref)
{
    unsigned where = value_of(c, ref)->where;
    return where < HOST_REGISTERS && !(TEMPORARIES & BIT(where));
}

/* Checks that it is aligned and in the TLB. */
static void begin_access(Compiler *c, const IrInst *inst, Access *access, SoftTags tags)
{
    MemOp op = (MemOp)(inst->aux | MEM_ALIGNED);

    access->size = mem_size(op);
    if (c->flags & CODE_DIRECT) {
        if (access->size > 1) {
            x64_r(&c->code, X64_TEST_MI, 1, access->place.base, access->size - 1);
            access->misses[0] = x64_branch_forward(&c->code, X64_NE);
        }
        return;
    }
    access->memory = soft_operand(c, access->place, op, tags, access->entry, access->tag, access->misses);
}

/* The memory, for the next instruction. */
static X64Operand memory_of(Compiler *c, const Access *access)
{
    return c->flags & CODE_DIRECT ? direct_operand(c, access->place) : access->memory;
}

/* Behind the access, with its result in a register. `data` is the value's register, or any. */
static void end_access(Compiler *c, const IrInst *inst, const Access *access, unsigned data, unsigned result)
{
    X64Slow *slow = new_slow(c, inst, SLOW_ATOMIC);
    InterpInst *function = data_alloc(c, sizeof *function);

    if (!slow || !function) {
        return;
    }
    *function = (InterpInst){ .aux = inst->aux, .type = inst->type, .op = inst->op,
                              .function = interp_memory_function(inst) };
    function->a = offsetof(SlowPlaces, address);
    function->b = offsetof(SlowPlaces, data);
    function->c = offsetof(SlowPlaces, expected);
    function->d = offsetof(SlowPlaces, result);
    slow->inst = function;
    slow->address = (uint8_t)access->place.base;
    slow->displacement = 0;
    slow->data = (uint8_t)data;
    slow->result = (uint8_t)result;
    slow->expected = (uint8_t)access->expected;
    if (access->misses[0]) {
        cold_add(c, (Cold){ .kind = COLD_SLOW, .from = access->misses[0], .also = access->misses[1], .back = c->code.at,
                            .data = slow });
    }
}

/* What memory held, as the access says, for a register of the result's type. */
static void extend_result(Compiler *c, const IrInst *inst, unsigned reg)
{
    bool wide = inst->type == IR_I64, is_signed = inst->aux & MEM_SIGNED;

    switch (inst->aux & MEM_SIZE_MASK) {
    case MEM_8:
        x64_rr(&c->code, is_signed ? X64_MOVSX_8 : X64_MOVZX_8, is_signed && wide ? 8 : 4, reg, reg);
        break;
    case MEM_16:
        x64_rr(&c->code, is_signed ? X64_MOVSX_16 : X64_MOVZX_16, is_signed && wide ? 8 : 4, reg, reg);
        break;
    case MEM_32:
        x64_rr(&c->code, is_signed && wide ? X64_MOVSXD : X64_MOV_RM, is_signed && wide ? 8 : 4, reg, reg);
        break;
    default:
        break;
    }
}

static void bind(Compiler *c, unsigned reg)
{
    c->locked = 0;
    release_operands(c);
    bind_result(c, reg, true);
}

/* By one instruction that gives what was there before. */
static void lower_exchange(Compiler *c, const IrInst *inst, X64Op op)
{
    Access access = { 0 };
    unsigned value = use_register(c, inst->b);

    access.place = place_of(c, inst);
    access.entry = scratch_register(c);
    access.tag = scratch_register(c);
    begin_access(c, inst, &access, soft_both);
    x64_rr(&c->code, X64_MOV_RM, 8, access.tag, value);
    X64Operand memory = memory_of(c, &access);
    x64_lock(&c->code);
    x64_rm(&c->code, op, access.size, access.tag, memory);
    extend_result(c, inst, access.tag);
    end_access(c, inst, &access, value, access.tag);
    bind(c, access.tag);
}

/* `reg` is what memory holds; it becomes what it shall hold. */
static void combine(Compiler *c, const IrInst *inst, unsigned reg, unsigned value, unsigned size)
{
    static const struct {
        X64Alu alu;
        X64Condition condition; /* for cmov, where value is to be taken instead */
    } rows[IR_OP_COUNT] = {
        [IR_OP_atomic_and] = { X64_AND, 0 },          [IR_OP_atomic_or] = { X64_OR, 0 },
        [IR_OP_atomic_xor] = { X64_XOR, 0 },          [IR_OP_atomic_min_s] = { X64_CMP, X64_G },
        [IR_OP_atomic_min_u] = { X64_CMP, X64_A },    [IR_OP_atomic_max_s] = { X64_CMP, X64_L },
        [IR_OP_atomic_max_u] = { X64_CMP, X64_B },
    };

    x64_alu(&c->code, rows[inst->op].alu, size, reg, x64_register(value));
    if (rows[inst->op].alu == X64_CMP) {
        x64_cmov(&c->code, rows[inst->op].condition, MAX(size, 4u), reg, x64_register(value));
    }
}

/* By a loop: rax is what memory held. */
static void lower_modify(Compiler *c, const IrInst *inst)
{
    Access access = { .tag = RAX };

    take_register(c, RAX);
    unsigned value = use_register(c, inst->b);
    access.place = place_of(c, inst);
    access.entry = scratch_register(c);
    unsigned wanted = scratch_register(c);
    begin_access(c, inst, &access, soft_both);
    x64_rm(&c->code, X64_MOV_RM, access.size, RAX, memory_of(c, &access));
    const uint8_t *again = x64_here(&c->code);
    x64_rr(&c->code, X64_MOV_RM, 8, wanted, RAX);
    combine(c, inst, wanted, value, access.size);
    X64Operand memory = memory_of(c, &access);
    x64_lock(&c->code);
    x64_rm(&c->code, X64_CMPXCHG, access.size, wanted, memory);
    x64_branch(&c->code, X64_NE, again);
    extend_result(c, inst, RAX);
    end_access(c, inst, &access, value, RAX);
    bind(c, RAX);
}

/* The reservation is the address, the size and what was there. */
static void lower_load_linked(Compiler *c, const IrInst *inst)
{
    Access access = { 0 };

    access.place = place_of(c, inst);
    access.entry = scratch_register(c);
    access.tag = scratch_register(c);
    begin_access(c, inst, &access, soft_read);
    x64_rm(&c->code, X64_MOV_RM, access.size, access.tag, memory_of(c, &access));
    x64_rm(&c->code, X64_MOV_MR, 8, access.place.base, EXEC(c, reservation_address));
    x64_rm(&c->code, X64_MOV_MR, 8, access.tag, EXEC(c, reservation_value[0]));
    x64_m(&c->code, X64_MOV_MI, 8, EXEC(c, reservation_value[1]), 0);
    x64_m(&c->code, X64_MOV_MI, 4, EXEC(c, reservation_size), access.size);
    extend_result(c, inst, access.tag);
    end_access(c, inst, &access, access.tag, access.tag);
    bind(c, access.tag);
}

static void lower_store_conditional(Compiler *c, const IrInst *inst)
{
    Access access = { .tag = RAX };
    uint8_t *fails[2];

    take_register(c, RAX);
    unsigned value = use_register(c, inst->b);
    access.place = place_of(c, inst);
    access.entry = scratch_register(c);
    begin_access(c, inst, &access, soft_both);
    x64_alu_immediate(&c->code, X64_CMP, 4, EXEC(c, reservation_size), access.size);
    fails[0] = x64_branch_short(&c->code, X64_NE);
    x64_alu(&c->code, X64_CMP, 8, access.place.base, EXEC(c, reservation_address));
    fails[1] = x64_branch_short(&c->code, X64_NE);
    x64_rm(&c->code, X64_MOV_RM, 8, RAX, EXEC(c, reservation_value[0]));
    X64Operand memory = memory_of(c, &access);
    x64_lock(&c->code);
    x64_rm(&c->code, X64_CMPXCHG, access.size, value, memory);
    x64_land_short(&c->code, fails[0]);
    x64_land_short(&c->code, fails[1]);
    x64_set(&c->code, X64_NE, RAX);
    x64_rr(&c->code, X64_MOVZX_8, 4, RAX, RAX);
    x64_m(&c->code, X64_MOV_MI, 4, EXEC(c, reservation_size), 0);
    end_access(c, inst, &access, value, RAX);
    bind(c, RAX);
}

static void lower_compare_and_swap(Compiler *c, const IrInst *inst)
{
    Access access = { .tag = RAX };

    take_register(c, RAX);
    access.expected = use_register(c, inst->c);
    unsigned value = use_register(c, inst->b);
    /* Its third operand stands where others have a displacement. */
    access.place = place_of(c, &(IrInst){ .a = inst->a });
    access.entry = scratch_register(c);
    begin_access(c, inst, &access, soft_both);
    x64_rr(&c->code, X64_MOV_RM, 8, RAX, access.expected);
    X64Operand memory = memory_of(c, &access);
    x64_lock(&c->code);
    x64_rm(&c->code, X64_CMPXCHG, access.size, value, memory);
    extend_result(c, inst, RAX);
    end_access(c, inst, &access, value, RAX);
    bind(c, RAX);
}

/* Of the operands, how many take a temporary each. */
static unsigned temporaries_for(Compiler *c, const IrInst *inst)
{
    bool narrow = c->ir->address_bits == 32; /* then the address does in any case */
    unsigned count = !is_pinned(c, inst->b) + (narrow || !is_pinned(c, inst->a));

    return count + (inst->op == IR_OP_atomic_cas && !is_pinned(c, inst->c));
}

static bool is_by_function(Compiler *c, const IrInst *inst)
{
    unsigned size = mem_size(inst->aux);
    bool loops = inst->op >= IR_OP_atomic_and && inst->op <= IR_OP_atomic_max_u;

    if (is_wide((IrType)inst->type) || size > 8 || inst->aux & MEM_BIG_ENDIAN) {
        return true;
    }
    if (inst->op == IR_OP_atomic_cas) { /* of four temporaries it needs two for itself */
        return temporaries_for(c, inst) > 2;
    }
    if (loops) { /* it needs three, and does no comparisons of bytes and half-words */
        return size < 4 || temporaries_for(c, inst) > 1;
    }
    return inst->op == IR_OP_load_linked && size < 4;
}

void lower_atomic(Compiler *c, const IrInst *inst)
{
    if (is_by_function(c, inst)) {
        lower_function(c, inst);
    } else if (inst->op == IR_OP_load_linked) {
        lower_load_linked(c, inst);
    } else if (inst->op == IR_OP_store_conditional) {
        lower_store_conditional(c, inst);
    } else if (inst->op == IR_OP_atomic_cas) {
        lower_compare_and_swap(c, inst);
    } else if (inst->op == IR_OP_atomic_swap || inst->op == IR_OP_atomic_add) {
        lower_exchange(c, inst, inst->op == IR_OP_atomic_swap ? X64_XCHG : X64_XADD);
    } else {
        lower_modify(c, inst);
    }
}
