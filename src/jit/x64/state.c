/* Guest registers and helpers. */
#include "jit/x64/internal.h"

void store_pinned(X64Code *code, const X64Common *common, uint64_t registers)
{
    for (unsigned i = 0; i < common->pinned_count; i++) {
        const GuestRegister *guest = &common->guest->registers[common->pinned_guest[i]];
        if (registers & BIT(common->pinned_register[i])) {
            x64_rm(code, common->pinned_register[i] < X64_XMM0 ? X64_MOV_MR : X64_VMOVQ_MR, guest->bits / 8,
                   common->pinned_register[i], state_operand(guest->offset));
        }
    }
}

void load_pinned(X64Code *code, const X64Common *common, uint64_t registers)
{
    for (unsigned i = 0; i < common->pinned_count; i++) {
        const GuestRegister *guest = &common->guest->registers[common->pinned_guest[i]];
        if (registers & BIT(common->pinned_register[i])) {
            x64_rm(code, common->pinned_register[i] < X64_XMM0 ? X64_MOV_RM : X64_VMOVQ_RM, guest->bits / 8,
                   common->pinned_register[i], state_operand(guest->offset));
        }
    }
}

/* The pinned registers that a guest register shares bytes with. */
static uint64_t overlapped(const Compiler *c, unsigned guest)
{
    const GuestRegister *reg = &c->guest->registers[guest];
    uint64_t found = 0;

    for (unsigned i = 0; i < c->common->pinned_count; i++) {
        const GuestRegister *other = &c->guest->registers[c->common->pinned_guest[i]];
        if (reg->offset < other->offset + other->bits / 8u && other->offset < reg->offset + reg->bits / 8u) {
            found |= BIT(c->common->pinned_register[i]);
        }
    }
    return found;
}

/* Brings memory up to date with them. */
static void store_overlapped(Compiler *c, unsigned guest)
{
    uint64_t registers = overlapped(c, guest);

    for (uint64_t left = registers & FLOAT_REGISTERS; left; left &= left - 1) {
        float_settle(c, (unsigned)__builtin_ctzll(left));
    }
    store_pinned(&c->code, c->common, registers);
}

/* get */

static void get_wide(Compiler *c, const IrInst *inst)
{
    const GuestRegister *reg = &c->guest->registers[inst->aux];
    unsigned temporary = scratch_register(c), slot = bind_slots(c);

    x64_rm(&c->code, X64_MOV_RM, 8, temporary, state_operand(reg->offset));
    x64_rm(&c->code, X64_MOV_MR, 8, temporary, slot_operand(slot));
    if (reg->bits == 80) {
        x64_rm(&c->code, X64_MOVZX_16, 4, temporary, state_operand(reg->offset + 8));
    } else {
        x64_rm(&c->code, X64_MOV_RM, 8, temporary, state_operand(reg->offset + 8));
    }
    x64_rm(&c->code, X64_MOV_MR, 8, temporary, slot_operand(slot + 1));
}

/* Into a general register, zero-extended. */
static void load_guest(Compiler *c, unsigned reg, const GuestRegister *guest, unsigned type_bits)
{
    unsigned bits = MIN(guest->bits, type_bits);
    X64Operand from = state_operand(guest->offset);

    if (bits <= 16) {
        x64_rm(&c->code, bits == 8 ? X64_MOVZX_8 : X64_MOVZX_16, 4, reg, from);
    } else {
        x64_rm(&c->code, X64_MOV_RM, MIN(bits, 64u) / 8, reg, from);
    }
}

/* Into an xmm register of its own, boxed. */
static void load_float(Compiler *c, const IrInst *inst, unsigned host)
{
    const GuestRegister *guest = &c->guest->registers[inst->aux];
    unsigned bits = MIN(guest->bits, ir_type_bits((IrType)inst->type)), to;

    if (host < HOST_REGISTERS && host >= X64_XMM0) {
        float_settle(c, host);
        to = define_register(c, 0);
        x64_rr(&c->code, X64_VMOVQ_RM, 8, to, host);
    } else if (host < HOST_REGISTERS) {
        to = define_register(c, 0);
        x64_rr(&c->code, X64_VMOVD_RM, 8, to, host);
    } else if (bits < 32) {
        unsigned temporary = scratch_register(c);
        load_guest(c, temporary, guest, bits);
        to = define_register(c, 0);
        x64_rr(&c->code, X64_VMOVD_RM, 4, to, temporary);
    } else {
        to = define_register(c, 0);
        x64_rm(&c->code, bits == 32 ? X64_VMOVD_RM : X64_VMOVQ_RM, 4, to, state_operand(guest->offset));
    }
    bind_result(c, to, false);
    float_box(c, (IrType)inst->type, to);
}

/* Bits of a float register: they stay there for a store. */
static void get_bits_of_float(Compiler *c, const IrInst *inst, unsigned host)
{
    const Value *value = &c->values[c->now];
    const IrInst *user = inst_of(c, value->last_use);
    unsigned size = MIN(c->guest->registers[inst->aux].bits, ir_type_bits((IrType)inst->type)) / 8u;

    float_settle(c, host);
    if (value->uses == 1 && user->op == IR_OP_store && user->b_ == c->now && user->a != c->now &&
        mem_size(user->aux) >= 4 && !(user->aux & MEM_BIG_ENDIAN)) {
        bind_result(c, host, false);
        return;
    }
    unsigned to = define_register(c, 0);
    x64_rr(&c->code, X64_VMOVD_MR, size, host, to);
    bind_result(c, to, true);
}

/* The value stays in memory until somebody needs it in a register. */
static void get_from_memory(Compiler *c, const IrInst *inst, IrType whole)
{
    unsigned cached = whole ? find_cached(c, inst->aux, is_float(whole)) : X64_NO_REGISTER;
    IrRef owner = cached == X64_NO_REGISTER ? 0 : c->host[cached].owner;

    if (owner && c->values[owner].type == whole) {
        bind_alias(c, owner);
    } else if (cached != X64_NO_REGISTER && !owner) {
        FloatState state = c->floats[cached & 15];
        bind_result(c, cached, false);
        c->floats[cached & 15] = state;
    } else {
        c->values[c->now].extended = inst->type == IR_I32;
        place_in_guest(c, c->now, inst->aux);
    }
}

void lower_get(Compiler *c, const IrInst *inst)
{
    const GuestRegister *guest = &c->guest->registers[inst->aux];
    unsigned host = c->common->host_of[inst->aux], bits = ir_type_bits((IrType)inst->type);
    bool floating = is_float((IrType)inst->type);

    if (inst->aux == c->common->flags_register) {
        float_get_flags(c);
        return;
    }
    if (host == HOST_OVERLAPS) {
        store_overlapped(c, inst->aux);
    }
    if (bits > 64) {
        get_wide(c, inst);
    } else if (floating && !(inst->type == IR_F64 && guest->bits == 64)) {
        load_float(c, inst, host);
    } else if (host < HOST_REGISTERS && floating != (host >= X64_XMM0)) {
        floating ? load_float(c, inst, host) : get_bits_of_float(c, inst, host);
    } else if (host < HOST_REGISTERS && floating) {
        FloatState state = c->floats[host & 15];
        bind_result(c, host, false);
        c->floats[host & 15] = state;
    } else if (host < HOST_REGISTERS) {
        bind_result(c, host, guest->bits == 32 && bits == 32);
    } else if (host == X64_NO_REGISTER && guest->bits >= bits && guest->bits <= 64) {
        get_from_memory(c, inst, guest->bits == 64 ? floating ? IR_F64 : IR_I64 : IR_VOID);
    } else {
        unsigned to = define_register(c, 0);
        load_guest(c, to, guest, bits);
        bind_result(c, to, true);
    }
}

/* set */

static void set_wide(Compiler *c, const IrInst *inst, const GuestRegister *guest)
{
    unsigned slot = use_slot(c, inst->a), temporary = scratch_register(c);

    x64_rm(&c->code, X64_MOV_RM, 8, temporary, slot_operand(slot));
    x64_rm(&c->code, X64_MOV_MR, 8, temporary, state_operand(guest->offset));
    x64_rm(&c->code, X64_MOV_RM, 8, temporary, slot_operand(slot + 1));
    x64_rm(&c->code, X64_MOV_MR, guest->bits == 80 ? 2 : 8, temporary, state_operand(guest->offset + 8));
}

static bool is_extended(Compiler *c, IrRef ref)
{
    const Value *value = value_of(c, ref);
    return value->type == IR_I32 && value->extended;
}

/* Into memory; the value's high part is zero where the register is wider. */
static void set_memory(Compiler *c, const IrInst *inst, const GuestRegister *guest)
{
    unsigned bits = ir_type_bits((IrType)inst->type), size = guest->bits / 8;
    X64Operand to = state_operand(guest->offset);
    uint64_t constant;

    if (value_const(c, inst->a, &constant) && guest->bits <= 64) {
        constant &= mask_bits(bits);
        if (size < 8 || (int64_t)constant == (int32_t)constant) {
            x64_m(&c->code, X64_MOV_MI, size, to, (int64_t)constant);
            return;
        }
    }
    unsigned from = use_register(c, inst->a);
    if (from >= X64_XMM0 && bits == 64 && guest->bits == 64) {
        float_settle(c, from);
        x64_rm(&c->code, X64_VMOVQ_MR, 8, from, to);
        if (value_of(c, inst->a)->type == IR_F64) {
            cache_guest(c, from, inst->aux);
        }
        return;
    }
    if (from >= X64_XMM0) {
        float_settle(c, from);
        unsigned temporary = scratch_register(c);
        x64_rr(&c->code, X64_MOVD_MR, 8, from, temporary);
        from = temporary;
    }
    if (guest->bits > bits && bits < 64 && !is_extended(c, inst->a)) {
        unsigned temporary = from;
        if (!is_float((IrType)inst->type)) {
            temporary = scratch_register(c);
        }
        x64_rr(&c->code, bits == 16 ? X64_MOVZX_16 : X64_MOV_RM, 4, temporary, from);
        from = temporary;
    }
    x64_rm(&c->code, X64_MOV_MR, MIN(size, 8u), from, to);
    if (guest->bits > 64) {
        x64_m(&c->code, X64_MOV_MI, 8, state_operand(guest->offset + 8), 0);
    }
    if (guest->bits == 64 && bits == 64 && value_of(c, inst->a)->where == from) {
        cache_guest(c, from, inst->aux);
    }
}

/* Into a general register, zero-extended to 64 bits, the low `bits`. */
static void extend_to(Compiler *c, unsigned to, IrRef ref, unsigned bits)
{
    move_to_register(c, to, ref, bits == 64 ? 8 : 4);
    if (bits == 16) {
        x64_rr(&c->code, X64_MOVZX_16, 4, to, to);
    }
}

static void set_pinned_float(Compiler *c, const IrInst *inst, unsigned host)
{
    unsigned bits = ir_type_bits((IrType)inst->type);
    Value *value = value_of(c, inst->a);

    if (value->where == host && bits == 64) {
        return;
    }
    if (bits == 64 && is_float((IrType)inst->type)) {
        unsigned from = use_register(c, inst->a);
        leave_register(c, host, c->now - 1);
        float_move(c, host, from);
        return;
    }
    unsigned temporary = scratch_register(c);
    extend_to(c, temporary, inst->a, bits);
    leave_register(c, host, c->now - 1);
    x64_rr(&c->code, X64_VMOVD_RM, 8, host, temporary);
    c->floats[host & 15] = (FloatState){ 0 };
}

static void set_pinned(Compiler *c, const IrInst *inst, unsigned host)
{
    unsigned guest_bits = c->guest->registers[inst->aux].bits, bits = ir_type_bits((IrType)inst->type);
    unsigned size = MIN(guest_bits, bits) == 64 ? 8 : 4;
    Value *value = value_of(c, inst->a);

    if (value->where == host) {
        if (size == 4 && !(bits == 32 && is_extended(c, inst->a))) {
            leave_register(c, host, c->now);
            x64_rr(&c->code, X64_MOV_RM, 4, host, host);
        } else {
            /* The register stays the value's; others in the chain have been moved or are the same. */
        }
        return;
    }
    leave_register(c, host, c->now - 1);
    extend_to(c, host, inst->a, size == 8 ? 64 : bits == 16 ? 16 : 32);
    if (size == 8) {
        settle_in(c, inst->a, host);
    }
}

void lower_set(Compiler *c, const IrInst *inst)
{
    const GuestRegister *guest = &c->guest->registers[inst->aux];
    unsigned host = c->common->host_of[inst->aux];
    uint64_t pinned = host == HOST_OVERLAPS ? overlapped(c, inst->aux) : 0;

    if (inst->aux == c->common->flags_register) {
        float_set_flags(c, inst);
        return;
    }
    if (host < HOST_REGISTERS) {
        host < X64_XMM0 ? set_pinned(c, inst, host) : set_pinned_float(c, inst, host);
        return;
    }
    for (uint64_t left = pinned; left; left &= left - 1) {
        leave_register(c, (unsigned)__builtin_ctzll(left), c->now - 1);
    }
    if (pinned) {
        store_overlapped(c, inst->aux);
    }
    leave_guest(c, inst->aux);
    if (is_wide((IrType)inst->type)) {
        set_wide(c, inst, guest);
    } else {
        set_memory(c, inst, guest);
    }
    load_pinned(&c->code, c->common, pinned);
    for (uint64_t left = pinned & FLOAT_REGISTERS; left; left &= left - 1) {
        c->floats[__builtin_ctzll(left) - X64_XMM0] = (FloatState){ 0 };
    }
}

/* Helpers. */

/* Counted code has taken the whole block off the budget: gives back what lies ahead, or takes it again. */
void adjust_counts(Compiler *c, bool give_back)
{
    int64_t ahead = (int64_t)c->ir->insn_count - (int64_t)(c->begun - 1);

    if (c->flags & CODE_COUNTED && ahead) {
        x64_alu_immediate(&c->code, give_back ? X64_ADD : X64_SUB, 8, EXEC(c, budget), ahead);
        x64_alu_immediate(&c->code, give_back ? X64_SUB : X64_ADD, 8, EXEC(c, insns), ahead);
    }
}

void store_constant(Compiler *c, X64Operand to, uint64_t value, unsigned temporary)
{
    if ((int64_t)value == (int32_t)value) {
        x64_m(&c->code, X64_MOV_MI, 8, to, (int64_t)value);
    } else {
        x64_load_constant(&c->code, temporary, value);
        x64_rm(&c->code, X64_MOV_MR, 8, temporary, to);
    }
}

static const uint8_t argument_registers[] = { RSI, RDX, RCX, R8, R9 };

/* An argument that is not there is 0. */
static void pass_zero(Compiler *c, unsigned position)
{
    if (position < ARRAY_SIZE(argument_registers)) {
        x64_load_constant(&c->code, argument_registers[position], 0);
    } else {
        x64_m(&c->code, X64_MOV_MI, 8, x64_memory(RSP, 0), 0);
    }
}

/* Arguments come from where no other argument's register is: slots, the state, constants, callee-saved registers. */
static void pass_argument(Compiler *c, IrRef ref, unsigned position)
{
    unsigned reg = position < ARRAY_SIZE(argument_registers) ? argument_registers[position] : RAX;
    Value *value = value_of(c, ref);
    IrType type = (IrType)inst_of(c, ref)->type;
    unsigned bits = ir_type_bits(type), size = bits == 64 ? 8 : 4;

    if (value->where < HOST_REGISTERS && CALLER_SAVED & BIT(value->where) &&
        inst_of(c, c->values[ref].root)->op != IR_OP_const) {
        for (unsigned i = 0; i < c->common->pinned_count; i++) {
            if (c->common->pinned_register[i] == value->where) {
                unsigned guest = c->common->pinned_guest[i];
                x64_rm(&c->code, X64_MOV_RM, MIN(size, c->guest->registers[guest].bits / 8u), reg,
                       guest_operand(c->guest, guest));
            }
        }
    } else {
        move_to_register(c, reg, ref, size);
    }
    if (bits == 16) {
        x64_rr(&c->code, X64_MOVZX_16, 4, reg, reg);
    }
    if (position >= ARRAY_SIZE(argument_registers)) {
        x64_rm(&c->code, X64_MOV_MR, 8, RAX, x64_memory(RSP, 0));
    }
}

static void save_argument(Compiler *c, IrRef ref)
{
    if (ref && value_of(c, ref)->where < HOST_REGISTERS &&
        (TEMPORARIES | FLOAT_TEMPORARIES) & BIT(value_of(c, ref)->where) &&
        inst_of(c, c->values[ref].root)->op != IR_OP_const) {
        use_slot(c, ref);
    }
}

/* Values that are in a register alone get slots; then those registers are free. */
static void save_values(Compiler *c, const IrRef arguments[6], bool all)
{
    for (unsigned i = 0; i < 6; i++) {
        save_argument(c, arguments[i]);
    }
    leave_temporaries(c, all);
    for (unsigned i = 0; i < 6; i++) {
        Value *value = arguments[i] ? value_of(c, arguments[i]) : NULL;
        if (value && value->slot) {
            value->where = WHERE_SLOT;
        }
    }
}

void lower_call(Compiler *c, const IrInst *inst)
{
    const Helper *helper = &c->guest->helpers[inst->aux];
    bool six = inst[-1].op == IR_OP_args;
    const IrRef arguments[6] = { inst->a, inst->b, inst->c, six ? inst[-1].a : 0, six ? inst[-1].b : 0,
                                 six ? inst[-1].c : 0 };
    unsigned effects = helper->effects;
    bool state = effects & (HELPER_READS | HELPER_WRITES | HELPER_RAISES);

    save_values(c, arguments, effects & HELPER_WRITES);
    if (effects) {
        float_settle_all(c);
    }
    store_pinned(&c->code, c->common, state ? ALL_PINNED : CALLER_SAVED);
    adjust_counts(c, true);
    if (effects) {
        store_constant(c, EXEC(c, pc), c->insn_pc, RAX);
    }
    if (effects) {
        float_before_helper(c);
    }
    for (unsigned i = six ? 6 : 3; i-- > 0;) {
        if (arguments[i]) {
            pass_argument(c, arguments[i], i);
        } else {
            pass_zero(c, i);
        }
    }
    x64_rm(&c->code, X64_LEA, 8, RDI, state_operand(c->common->layout.cpu));
    x64_load_constant(&c->code, RAX, six ? (uintptr_t)helper->function6 : (uintptr_t)helper->function);
    x64_r(&c->code, X64_CALL, 4, RAX, 0);
    if (effects) {
        float_after_helper(c, effects & HELPER_WRITES);
    }
    if (effects & HELPER_RAISES) {
        x64_alu_immediate(&c->code, X64_CMP, 1, exec_operand(c->common, offsetof(Exec, exception.pending)), 0);
        x64_branch(&c->code, X64_NE, c->common->exit_raised);
    }
    adjust_counts(c, false);
    load_pinned(&c->code, c->common, effects & HELPER_WRITES ? ALL_PINNED : CALLER_SAVED);
    if (effects & HELPER_WRITES) {
        float_forget(c);
    }
    c->locked = 0;
    release_operands(c);
    if (inst->type != IR_VOID) {
        bind_result(c, RAX, false);
    }
}

/* The call behind it takes them. */
void lower_args(Compiler *c, const IrInst *inst)
{
}
