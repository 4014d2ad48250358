/*
 * The interpreter's memory operations beyond the loads and stores that hit the TLB. Atomic ones are done by one atomic
 * instruction of the host where exec->memory gives a host address, else in an exclusive section.
 */
#include "jit/interp_internal.h"
#include "jit/ir_internal.h"

#include <string.h>

static uint64_t address_of(const InterpFrame *f, const InterpInst *i)
{
    return (AT(uint64_t, i->a) + (uint64_t)i->imm) & f->address_mask;
}

/* Operations with a function have no displacement: its place holds the function. */
static uint64_t plain_address_of(const InterpFrame *f, const InterpInst *i)
{
    return AT(uint64_t, i->a) & f->address_mask;
}

/* A value as memory held it, sign- or zero-extended into the result's place. */
static void write_loaded(const InterpFrame *f, const InterpInst *i, uint64_t low, uint64_t high)
{
    unsigned size = mem_size(i->aux), width = ir_type_bits(i->type) / 8;
    uint64_t value[2] = { low, high };

    if (i->aux & MEM_SIGNED && size < 8) {
        value[0] = (uint64_t)sign_extend(low, size * 8);
    }
    memcpy(f->state + i->d, value, width);
}

static bool load(const InterpFrame *f, const InterpInst *i, uint64_t address)
{
    uint64_t value[8] = { 0 };

    interp_sync(f, i);
    if (!f->exec->memory->load(f->cpu, address, i->aux, value)) {
        return false;
    }
    write_loaded(f, i, value[0], value[1]);
    return true;
}

static bool store(const InterpFrame *f, const InterpInst *i, uint64_t address)
{
    uint64_t value[8] = { 0 };

    memcpy(value, f->state + i->b, mem_size(i->aux));
    interp_sync(f, i);
    return f->exec->memory->store(f->cpu, address, i->aux, value);
}

bool interp_load(InterpFrame *f, const InterpInst *i) { return load(f, i, address_of(f, i)); }
bool interp_store(InterpFrame *f, const InterpInst *i) { return store(f, i, address_of(f, i)); }

/* The orders and sizes that the handlers do not do; c is the displacement. */
static bool run_load(InterpFrame *f, const InterpInst *i)
{
    return load(f, i, (AT(uint64_t, i->a) + (uint64_t)(int64_t)i->c) & f->address_mask);
}

static bool run_store(InterpFrame *f, const InterpInst *i)
{
    return store(f, i, (AT(uint64_t, i->a) + (uint64_t)(int64_t)i->c) & f->address_mask);
}

bool interp_zero(Exec *exec, Cpu *cpu, uint64_t address, MemOp op)
{
    static const uint64_t zeroes[8];

    if (!exec->memory->store(cpu, align_down(address, mem_size(op)), op, zeroes)) {
        exec->exception.value = address;
        return false;
    }
    return true;
}

static bool run_zero(InterpFrame *f, const InterpInst *i)
{
    interp_sync(f, i);
    return interp_zero(f->exec, f->cpu, plain_address_of(f, i), i->aux);
}

static bool run_fence(InterpFrame *f, const InterpInst *i)
{
    __sync_synchronize();
    return true;
}

/* Where memory lies that may be read and written in place: aligned, and in the TLB for both. NULL: ask exec->memory. */
static void *find_direct(const InterpFrame *f, uint64_t address, MemOp op)
{
    const TlbTable *table = &f->exec->tlb[mem_mode(op)];
    const TlbEntry *entry = &table->entries[address >> f->exec->page_bits & table->index_mask];
    uint64_t wanted = address & (~mask_bits(f->exec->page_bits) | (mem_size(op) - 1));

    return entry->read == wanted && entry->write == wanted ? (void *)(entry->addend + address) : NULL;
}

static bool run_load_linked(InterpFrame *f, const InterpInst *i)
{
    uint64_t address = plain_address_of(f, i), value[8] = { 0 };
    Exec *exec = f->exec;

    interp_sync(f, i);
    if (!exec->memory->load(f->cpu, address, i->aux, value)) {
        return false;
    }
    exec->reservation_address = address;
    exec->reservation_size = mem_size(i->aux);
    memcpy(exec->reservation_value, value, sizeof exec->reservation_value);
    write_loaded(f, i, value[0], value[1]);
    return true;
}

/* A read-modify-write of up to 16 bytes; store_conditional is a compare-and-swap with what load_linked saw. */
typedef struct Atomic {
    const InterpFrame *frame;
    uint64_t address;
    uint64_t operand[2], expected[2];
    uint64_t before[2]; /* result: what memory held */
    bool ok;            /* result: no exception */
    MemOp access;
    IrOp op;
} Atomic;

static bool compares(IrOp op)
{
    return op == IR_OP_atomic_cas || op == IR_OP_store_conditional;
}

/* What memory shall hold, from a number and an operand of `size` bytes. */
static uint64_t combine(IrOp op, unsigned size, uint64_t before, uint64_t operand)
{
    int64_t a = sign_extend(before, size * 8), b = sign_extend(operand, size * 8);

    switch (op) {
    case IR_OP_atomic_add:
        return before + operand;
    case IR_OP_atomic_and:
        return before & operand;
    case IR_OP_atomic_or:
        return before | operand;
    case IR_OP_atomic_xor:
        return before ^ operand;
    case IR_OP_atomic_min_s:
        return a < b ? before : operand;
    case IR_OP_atomic_min_u:
        return before < operand ? before : operand;
    case IR_OP_atomic_max_s:
        return a > b ? before : operand;
    case IR_OP_atomic_max_u:
        return before > operand ? before : operand;
    default: /* atomic_swap */
        return operand;
    }
}

/* On aligned host memory of one size, by the host's own instruction where it has one, else by compare-and-swap. */
#define DEFINE_ON_HOST(bits, swap) \
    static uint##bits##_t on_host_##bits(uint##bits##_t *memory, const Atomic *atomic) \
    { \
        bool swapped = atomic->access & MEM_BIG_ENDIAN; \
        uint##bits##_t operand = (uint##bits##_t)atomic->operand[0], value; \
        uint##bits##_t before = (uint##bits##_t)atomic->expected[0]; \
        if (compares(atomic->op)) { \
            before = swapped ? swap(before) : before; \
            value = swapped ? swap(operand) : operand; \
            __atomic_compare_exchange_n(memory, &before, value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); \
            return swapped ? swap(before) : before; \
        } \
        switch (swapped ? IR_OP_NONE : atomic->op) { \
        case IR_OP_atomic_swap: \
            return __atomic_exchange_n(memory, operand, __ATOMIC_SEQ_CST); \
        case IR_OP_atomic_add: \
            return __atomic_fetch_add(memory, operand, __ATOMIC_SEQ_CST); \
        case IR_OP_atomic_and: \
            return __atomic_fetch_and(memory, operand, __ATOMIC_SEQ_CST); \
        case IR_OP_atomic_or: \
            return __atomic_fetch_or(memory, operand, __ATOMIC_SEQ_CST); \
        case IR_OP_atomic_xor: \
            return __atomic_fetch_xor(memory, operand, __ATOMIC_SEQ_CST); \
        default: \
            break; \
        } \
        before = __atomic_load_n(memory, __ATOMIC_RELAXED); \
        do { \
            value = (uint##bits##_t)combine(atomic->op, bits / 8, swapped ? swap(before) : before, operand); \
            value = swapped ? swap(value) : value; \
        } while (!__atomic_compare_exchange_n(memory, &before, value, true, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)); \
        return swapped ? swap(before) : before; \
    }
#define NO_SWAP(value) (value)
DEFINE_ON_HOST(8, NO_SWAP)
DEFINE_ON_HOST(16, __builtin_bswap16)
DEFINE_ON_HOST(32, __builtin_bswap32)
DEFINE_ON_HOST(64, __builtin_bswap64)

static void on_host(Atomic *atomic, void *memory)
{
    switch (atomic->access & MEM_SIZE_MASK) {
    case MEM_8:
        atomic->before[0] = on_host_8(memory, atomic);
        break;
    case MEM_16:
        atomic->before[0] = on_host_16(memory, atomic);
        break;
    case MEM_32:
        atomic->before[0] = on_host_32(memory, atomic);
        break;
    default:
        atomic->before[0] = on_host_64(memory, atomic);
        break;
    }
    atomic->ok = true;
}

/* While no other vCPU runs: plain accesses. A comparison that fails writes back what was there, as hosts do. */
static void in_exclusive(Cpu *cpu, void *data)
{
    Atomic *atomic = data;
    Exec *exec = atomic->frame->exec;
    unsigned size = mem_size(atomic->access);
    uint64_t value[8] = { 0 };

    exec->read_modify_write = true;
    atomic->ok = exec->memory->load(cpu, atomic->address, atomic->access, value);
    exec->read_modify_write = false;
    if (!atomic->ok) {
        return;
    }
    memcpy(atomic->before, value, sizeof atomic->before);
    if (!compares(atomic->op)) {
        value[0] = combine(atomic->op, size, value[0], atomic->operand[0]);
    } else if (!memcmp(atomic->before, atomic->expected, sizeof atomic->before)) {
        memcpy(value, atomic->operand, sizeof atomic->operand);
    }
    atomic->ok = exec->memory->store(cpu, atomic->address, atomic->access, value);
}

static bool run_atomic(const InterpFrame *f, Atomic *atomic)
{
    Exec *exec = f->exec;
    unsigned size = mem_size(atomic->access);
    void *host = find_direct(f, atomic->address, atomic->access);

    if (!host) {
        host = exec->memory->atomic(f->cpu, atomic->address, atomic->access);
        if (exec->exception.pending) {
            return false;
        }
    }
    if (size < 8) {
        atomic->operand[0] &= mask_bits(size * 8);
        atomic->expected[0] &= mask_bits(size * 8);
    }
    if (host && size <= 8) {
        on_host(atomic, host);
    } else {
        atomic->access &= (MemOp)~MEM_ALIGNED; /* has been checked */
        exec->memory->exclusive(f->cpu, in_exclusive, atomic);
    }
    return atomic->ok;
}

static Atomic atomic_new(const InterpFrame *f, const InterpInst *i)
{
    Atomic atomic = {
        .frame = f, .address = plain_address_of(f, i), .access = i->aux, .op = (IrOp)i->op
    };

    memcpy(atomic.operand, f->state + i->b, mem_size(i->aux));
    return atomic;
}

static bool run_modify(InterpFrame *f, const InterpInst *i)
{
    Atomic atomic = atomic_new(f, i);

    if (atomic.op == IR_OP_atomic_cas) {
        memcpy(atomic.expected, f->state + i->c, mem_size(i->aux));
    }
    interp_sync(f, i);
    if (!run_atomic(f, &atomic)) {
        return false;
    }
    write_loaded(f, i, atomic.before[0], atomic.before[1]);
    return true;
}

/* Without a reservation that fits, memory is not looked at; a misaligned address raises all the same. */
static bool run_store_conditional(InterpFrame *f, const InterpInst *i)
{
    Exec *exec = f->exec;
    Atomic atomic = atomic_new(f, i);
    unsigned size = mem_size(i->aux);
    bool reserved = exec->reservation_size == size && exec->reservation_address == atomic.address;

    interp_sync(f, i);
    exec->reservation_size = 0;
    if (reserved || (i->aux & MEM_ALIGNED && atomic.address & (size - 1))) {
        memcpy(atomic.expected, exec->reservation_value, sizeof atomic.expected);
        if (!run_atomic(f, &atomic)) {
            return false;
        }
        reserved = !memcmp(atomic.before, exec->reservation_value, sizeof atomic.before);
    }
    uint64_t failed = !reserved;
    memcpy(f->state + i->d, &failed, ir_type_bits(i->type) / 8);
    return true;
}

bool interp_call(InterpFrame *f, const InterpInst *i)
{
    Exec *exec = f->exec;
    ExecGuard guard, *outer = exec->guard;

    if (!exec->guarded) {
        return i->function(f, i);
    }
    exec->guard = &guard;
    bool caught = _setjmp(guard.place), ok = !caught && i->function(f, i);
    exec->guard = outer;
    if (caught) {
        exec->memory->fault(f->cpu);
    }
    return ok;
}

InterpFunction *interp_memory_function(const IrInst *inst)
{
    switch (inst->op) {
    case IR_OP_load:
        return run_load;
    case IR_OP_store:
        return run_store;
    case IR_OP_zero:
        return run_zero;
    case IR_OP_load_linked:
        return run_load_linked;
    case IR_OP_store_conditional:
        return run_store_conditional;
    case IR_OP_fence:
        return run_fence;
    default:
        return inst->op >= IR_OP_atomic_swap && inst->op <= IR_OP_atomic_cas ? run_modify : NULL;
    }
}
