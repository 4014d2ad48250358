/*
 * Slow paths of translated code, and its registers brought to the guest's state. An operation that translated code does
 * not do itself is the interpreter's: it finds its operands in slots, which are the interpreter's scratch.
 */
#include "jit/x64/internal.h"

static uint64_t settled(const X64Common *common, const CodeBlock *block, const CodePoint *point, unsigned vector,
                        const CodeRegisters *registers)
{
    static const FpContext zero = { 0 };
    const IrGuest *guest = common->guest;
    uint64_t value = registers->vector[vector][0];

    if (!(point->unsettled & (BIT(vector) | BIT(16 + vector)))) {
        return value;
    }
    const FpContext *rules = guest->fp_rules ? guest->fp_rules(block->mode, 0) : &zero;
    if (point->unsettled & BIT(vector)) {
        return x64_fp_settled(rules, IR_F64, value);
    }
    return x64_fp_settled(rules, IR_F32, value);
}

/* By constant sizes: the host copies a variable number of bytes slowly. */
static void set_register(uint8_t *state, const GuestRegister *reg, uint64_t value)
{
    if (reg->bits == 64) {
        memcpy(state + reg->offset, &value, 8);
    } else {
        memcpy(state + reg->offset, &value, reg->bits / 8);
    }
}

/* All but the guest's pc register: what a slow path needs. */
static void restore(const X64Common *common, Exec *exec, const CodeBlock *block, const CodePoint *point,
                    const CodeRegisters *registers)
{
    for (unsigned i = 0; i < common->pinned_count; i++) {
        const GuestRegister *reg = &common->guest->registers[common->pinned_guest[i]];
        unsigned host = common->pinned_register[i];
        uint64_t value = host < X64_XMM0 ? registers->integer[host]
                                         : settled(common, block, point, host - X64_XMM0, registers);
        set_register(exec->state, reg, value);
    }
    exec->pc = block->pc + point->pc_offset;
    if (block->flags & CODE_COUNTED) {
        int64_t ahead = (int64_t)block->insn_count - point->insn;
        exec->budget += ahead;
        exec->insns -= (uint64_t)ahead;
    }
}

static void set_pc_register(const X64Common *common, const Exec *exec)
{
    const GuestRegister *pc = &common->guest->registers[common->guest->pc_register];
    set_register(exec->state, pc, exec->pc);
}

void x64_restore(const void *common, Exec *exec, const CodeBlock *block, const CodePoint *point,
                 const CodeRegisters *registers)
{
    restore(common, exec, block, point, registers);
    set_pc_register(common, exec);
}

static void count_again(Exec *exec, const CodeBlock *block, const CodePoint *point)
{
    if (block->flags & CODE_COUNTED) {
        int64_t ahead = (int64_t)block->insn_count - point->insn;
        exec->budget -= ahead;
        exec->insns += (uint64_t)ahead;
    }
}

static uint64_t *register_at(CodeRegisters *registers, unsigned reg)
{
    return reg >= X64_XMM0 ? registers->vector[reg - X64_XMM0] : &registers->integer[reg];
}

static bool load(Exec *exec, Cpu *cpu, CodeRegisters *registers, const X64Slow *slow, uint64_t address)
{
    uint64_t value[8] = { 0 };
    unsigned size = mem_size(slow->memop);

    if (!exec->memory->load(cpu, address, slow->memop, value)) {
        return false;
    }
    if (slow->memop & MEM_SIGNED && size < 8) {
        value[0] = (uint64_t)sign_extend(value[0], size * 8);
    }
    if (slow->type == IR_I32) {
        value[0] = (uint32_t)value[0];
    }
    *register_at(registers, slow->data) = value[0];
    return true;
}

static bool store(Exec *exec, Cpu *cpu, CodeRegisters *registers, const X64Slow *slow, uint64_t address)
{
    const uint64_t value[8] = { *register_at(registers, slow->data) & mask_bits(mem_size(slow->memop) * 8) };

    return exec->memory->store(cpu, address, slow->memop, value);
}

static bool run_function(Exec *exec, Cpu *cpu, const X64Slow *slow, uint8_t *state)
{
    InterpMark mark = { exec->pc, 0 };
    const InterpCode code = { .address_mask = slow->narrow ? UINT32_MAX : UINT64_MAX, .marks = &mark };
    InterpFrame frame = { exec, cpu, state, &code, code.address_mask, exec->insns,
                          exec->insns + (uint64_t)exec->budget };

    return interp_call(&frame, slow->inst);
}

static bool run_atomic(Exec *exec, Cpu *cpu, CodeRegisters *registers, const X64Slow *slow, uint64_t address)
{
    SlowPlaces places = { .address = address,
                          .data = { *register_at(registers, slow->data) },
                          .expected = { *register_at(registers, slow->expected) } };

    if (!run_function(exec, cpu, slow, (uint8_t *)&places)) {
        return false;
    }
    *register_at(registers, slow->result) = places.result[0];
    return true;
}

bool x64_slow(const X64Common *common, CodeRegisters *registers, const X64Slow *slow)
{
    uint8_t *state = (uint8_t *)registers->integer[RBP] - STATE_BIAS;
    Exec *exec = (Exec *)(state + common->layout.exec);
    Cpu *cpu = (Cpu *)(state + common->layout.cpu);
    uint64_t address = registers->integer[slow->address] + (uint64_t)(int64_t)slow->displacement;
    bool ok;

    restore(common, exec, slow->block, &slow->point, registers);
    switch (slow->kind) {
    case SLOW_LOAD:
        ok = load(exec, cpu, registers, slow, address);
        break;
    case SLOW_STORE:
        ok = store(exec, cpu, registers, slow, address);
        break;
    case SLOW_ZERO:
        ok = interp_zero(exec, cpu, address, slow->memop);
        break;
    case SLOW_ATOMIC:
        ok = run_atomic(exec, cpu, registers, slow, address);
        break;
    default:
        ok = run_function(exec, cpu, slow, exec->state);
    }
    if (ok) {
        count_again(exec, slow->block, &slow->point);
    } else {
        set_pc_register(common, exec);
    }
    return ok;
}
