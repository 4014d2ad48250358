/*
 * The interpreter's loop. Each handler does one prepared instruction and jumps to the next one's; the rest is called
 * by its function. Loads and stores probe the TLB here and leave what it does not hold, misaligned ones included, to
 * exec->memory.
 */
#include "base/bytes.h"
#include "jit/interp_internal.h"

static void set_pc_register(const Exec *exec, uint64_t pc)
{
    const GuestRegister *reg = &exec->guest->registers[exec->guest->pc_register];

    if (reg->bits == 64) {
        *(uint64_t *)(exec->state + reg->offset) = pc;
    } else {
        *(uint32_t *)(exec->state + reg->offset) = (uint32_t)pc;
    }
}

static int leave(const InterpFrame *f, uint64_t insns, int reason)
{
    f->exec->insns = insns;
    f->exec->budget = (int64_t)(f->limit - insns);
    return reason;
}

/* At the instruction itself, which was not completed. */
static int leave_at(const InterpFrame *f, const InterpInst *i, int reason)
{
    interp_sync(f, i);
    set_pc_register(f->exec, f->exec->pc);
    return reason;
}

static int leave_for(const InterpFrame *f, const InterpInst *i, int reason)
{
    if (reason == IR_EXIT_EXCEPTION || reason == IR_EXIT_DEBUG) {
        return leave_at(f, i, reason);
    }
    return leave(f, f->insns + (uint32_t)i->b, reason);
}

static void enter(InterpFrame *f, const InterpCode *code)
{
    f->code = code;
    f->address_mask = code->address_mask;
    atomic_signal_fence(memory_order_seq_cst);
}

static const uint64_t call_masks[] = { 0, UINT16_MAX, UINT32_MAX, UINT64_MAX };

static inline uint64_t argument(const InterpFrame *f, int32_t place, unsigned width)
{
    return load_le64(f->state + place) & call_masks[width & 3];
}

static inline uint64_t call_three(const InterpFrame *f, const InterpInst *i)
{
    interp_sync(f, i);
    return i->helper(f->cpu, argument(f, i->a, i->aux), argument(f, i->b, i->aux >> 2), argument(f, i->c, i->aux >> 4));
}

/* The instruction before has the last three arguments. */
static uint64_t call_six(const InterpFrame *f, const InterpInst *i)
{
    const InterpInst *more = i - 1;

    interp_sync(f, i);
    return i->helper6(f->cpu, argument(f, i->a, i->aux), argument(f, i->b, i->aux >> 2), argument(f, i->c, i->aux >> 4),
                      argument(f, more->a, more->aux), argument(f, more->b, more->aux >> 2),
                      argument(f, more->c, more->aux >> 4));
}

/* False: the helper raised. */
static inline bool called(const InterpFrame *f, const InterpInst *i, uint64_t result)
{
    if (i->aux & CALL_RAISES && UNLIKELY(f->exec->exception.pending)) {
        return false;
    }
    if ((i->aux >> CALL_RESULT_SHIFT & 3) == CALL_64) {
        AT(uint64_t, i->d) = result;
    } else if ((i->aux >> CALL_RESULT_SHIFT & 3) == CALL_32) {
        AT(uint32_t, i->d) = (uint32_t)result;
    }
    return true;
}

#define NEXT \
    do { \
        i++; \
        goto *handlers[i->handler]; \
    } while (0)

/* Operand b of a shift may be an I32, of which only the low bits count, in a register of 32 bits. */
#define BINARY(name, expression) \
    name##_32: PLACE(uint32_t, i->d) = eval_##name##_32(PLACE(uint32_t, i->a), PLACE(uint32_t, i->b), i->aux); \
    NEXT; \
    name##_64: PLACE(uint64_t, i->d) = eval_##name##_64(PLACE(uint64_t, i->a), load_le64(state + i->b), i->aux); \
    NEXT; \
    name##_32i: PLACE(uint32_t, i->d) = eval_##name##_32(PLACE(uint32_t, i->a), (uint32_t)i->imm, i->aux); \
    NEXT; \
    name##_64i: PLACE(uint64_t, i->d) = eval_##name##_64(PLACE(uint64_t, i->a), (uint64_t)i->imm, i->aux); \
    NEXT;
#define UNARY(name, expression) \
    name##_32: PLACE(uint32_t, i->d) = eval_##name##_32(PLACE(uint32_t, i->a), 0, i->aux); \
    NEXT; \
    name##_64: PLACE(uint64_t, i->d) = eval_##name##_64(PLACE(uint64_t, i->a), 0, i->aux); \
    NEXT;
#define CMP(name, expression) \
    cmp_##name##_32: PLACE(uint64_t, i->d) = eval_##name##_32(PLACE(uint32_t, i->a), PLACE(uint32_t, i->b), 0); \
    NEXT; \
    cmp_##name##_64: PLACE(uint64_t, i->d) = eval_##name##_64(PLACE(uint64_t, i->a), PLACE(uint64_t, i->b), 0); \
    NEXT; \
    cmp_##name##_32i: PLACE(uint64_t, i->d) = eval_##name##_32(PLACE(uint32_t, i->a), (uint32_t)i->imm, 0); \
    NEXT; \
    cmp_##name##_64i: PLACE(uint64_t, i->d) = eval_##name##_64(PLACE(uint64_t, i->a), (uint64_t)i->imm, 0); \
    NEXT;
#define BRANCH_IF(condition) \
    if (condition) { \
        i = f->code->insts + i->c; \
        goto *handlers[i->handler]; \
    } \
    NEXT;
#define BRANCH(name, expression) \
    branch_##name##_32: BRANCH_IF(eval_##name##_32(PLACE(uint32_t, i->a), PLACE(uint32_t, i->b), 0)) \
    branch_##name##_64: BRANCH_IF(eval_##name##_64(PLACE(uint64_t, i->a), PLACE(uint64_t, i->b), 0)) \
    branch_##name##_32i: BRANCH_IF(eval_##name##_32(PLACE(uint32_t, i->a), (uint32_t)i->imm, 0)) \
    branch_##name##_64i: BRANCH_IF(eval_##name##_64(PLACE(uint64_t, i->a), (uint64_t)i->imm, 0))
#define CONVERSION(name, To, From) \
    name: PLACE(To, i->d) = PLACE(From, i->a); \
    NEXT;
#define SELECT(name, Condition, Value) \
    name: PLACE(Value, i->d) = PLACE(Condition, i->a) ? PLACE(Value, i->b) : PLACE(Value, i->c); \
    NEXT;

/* Sets `address` and `entry`; true where the access may be done in place. A misaligned address never matches. */
#define HIT(access, size) \
    (address = (PLACE(uint64_t, i->a) + (uint64_t)i->imm) & f->address_mask, \
     table = &exec->tlb[mem_mode(i->aux)], \
     entry = &table->entries[address >> page_bits & table->index_mask], \
     LIKELY(entry->access == (address & (page_mask | ((size)-1)))))
/* For interp_run, if the host faults. */
#define NOTE (*(const InterpInst *volatile *)&f->current = i)
#define LOAD(name, To, Memory) \
    name: if (HIT(read, sizeof(Memory))) { \
        NOTE; \
        PLACE(To, i->d) = __atomic_load_n((Memory *)(entry->addend + address), __ATOMIC_ACQUIRE); \
        NEXT; \
    } \
    goto load_slow;
#define STORE(name, Memory) \
    name: if (HIT(write, sizeof(Memory))) { \
        NOTE; \
        __atomic_store_n((Memory *)(entry->addend + address), PLACE(Memory, i->b), __ATOMIC_RELEASE); \
        NEXT; \
    } \
    goto store_slow;
#define OR_RAISE(completed) \
    if (UNLIKELY(!(completed))) { \
        return leave_at(f, i, IR_EXIT_EXCEPTION); \
    } \
    NEXT;
#define GOTO(name, Address) \
    name: PLACE(Address, i->d) = (Address)i->imm; \
    link = &f->code->links[i->aux]; \
    goto follow;
#define GOTO_VALUE(name, Address) \
    name: address = PLACE(uint64_t, i->a) & f->address_mask; \
    PLACE(Address, i->d) = (Address)address; \
    goto jump_to_address;
#define CONST(name, To) \
    name: PLACE(To, i->d) = (To)i->imm; \
    NEXT;

__attribute__((noinline)) static int run(InterpFrame *f, const InterpCode *code)
{
    static const void *const handlers[INTERP_HANDLER_COUNT] = {
#define X(name) [INTERP_##name] = &&name,
        INTERP_HANDLERS
#undef X
    };
    Exec *const exec = f->exec;
    uint8_t *const state = f->state;
    const unsigned page_bits = exec->page_bits;
    const uint64_t page_mask = ~mask_bits(page_bits);
    const InterpInst *i = code->insts;
    const TlbTable *table;
    const TlbEntry *entry;
    ExecJump *known;
    ExecLink *link;
    uint64_t address;

    enter(f, code);
    goto *handlers[i->handler];

    EVAL_BINARY(BINARY)
    EVAL_UNARY(UNARY)
    EVAL_CONDITIONS(CMP)
    EVAL_CONDITIONS(BRANCH)
    INTERP_CONVERSIONS(CONVERSION)
    INTERP_SELECTS(SELECT)
    INTERP_LOADS(LOAD)
    INTERP_STORES(STORE)

    CONST(const_32, uint32_t)
    CONST(const_64, uint64_t)
    branch_32: BRANCH_IF(PLACE(uint32_t, i->a))
    branch_64: BRANCH_IF(PLACE(uint64_t, i->a))
    jump: BRANCH_IF(true)
    load_slow: OR_RAISE(interp_load(f, i))
    store_slow: OR_RAISE(interp_store(f, i))
    function: NOTE; OR_RAISE(i->function(f, i))
    call: OR_RAISE(called(f, i, call_three(f, i)))
    call6: i++; OR_RAISE(called(f, i, call_six(f, i)))
    GOTO(goto_32, uint32_t)
    GOTO(goto_64, uint64_t)
    GOTO_VALUE(goto_value_32, uint32_t)
    GOTO_VALUE(goto_value_64, uint64_t)

jump_to_address:
    known = exec_jump(exec, address);
    if (UNLIKELY(known->pc != address || known->mode != exec->mode)) {
        exec->link = NULL;
        return leave(f, f->insns + (uint32_t)i->b, IR_EXIT_CONTINUE);
    }
    link = &known->link;
follow:
    f->insns += (uint32_t)i->b;
    if (UNLIKELY(link->epoch != exec->epoch || atomic_load_explicit(&exec->attention, memory_order_relaxed) ||
                 link->code->insn_count > f->limit - f->insns)) {
        exec->link = link;
        return leave(f, f->insns, IR_EXIT_CONTINUE);
    }
    enter(f, link->code);
    i = link->code->insts;
    goto *handlers[i->handler];

leave:
    return leave_for(f, i, i->aux);
}

int interp_run(Exec *exec, Cpu *cpu, InterpCode *code)
{
    InterpFrame f = { exec, cpu, exec->state, .insns = exec->insns, .limit = exec->insns + (uint64_t)exec->budget };
    ExecGuard guard, *outer = exec->guard;
    int reason;

    if (!exec->guarded) {
        return run(&f, code);
    }
    exec->guard = &guard;
    if (!_setjmp(guard.place)) {
        reason = run(&f, code);
    } else {
        interp_sync(&f, f.current);
        exec->memory->fault(cpu);
        reason = leave_at(&f, f.current, IR_EXIT_EXCEPTION);
    }
    exec->guard = outer;
    return reason;
}
