/*
 * Traps: delivery of exceptions and interrupts, returns from them, and the supervisor's timer (Sstc). After
 * "Machine-Level ISA" and "Supervisor-Level ISA" of the privileged manual.
 */
#include "guest/riscv/internal.h"

#include "base/log.h"

#include <inttypes.h>

static const char *const exception_names[] = {
    [CAUSE_FETCH_MISALIGNED] = "misaligned_fetch",
    [CAUSE_FETCH_ACCESS] = "fault_fetch",
    [CAUSE_ILLEGAL_INSTRUCTION] = "illegal_instruction",
    [CAUSE_BREAKPOINT] = "breakpoint",
    [CAUSE_LOAD_MISALIGNED] = "misaligned_load",
    [CAUSE_LOAD_ACCESS] = "fault_load",
    [CAUSE_STORE_MISALIGNED] = "misaligned_store",
    [CAUSE_STORE_ACCESS] = "fault_store",
    [CAUSE_USER_ECALL + RISCV_USER] = "user_ecall",
    [CAUSE_USER_ECALL + RISCV_SUPERVISOR] = "supervisor_ecall",
    [CAUSE_USER_ECALL + RISCV_MACHINE] = "machine_ecall",
    [CAUSE_FETCH_PAGE_FAULT] = "exec_page_fault",
    [CAUSE_LOAD_PAGE_FAULT] = "load_page_fault",
    [CAUSE_STORE_PAGE_FAULT] = "store_page_fault",
};
static const char *const interrupt_names[] = {
    [IRQ_SUPERVISOR_SOFTWARE] = "s_software",
    [IRQ_MACHINE_SOFTWARE] = "m_software",
    [IRQ_SUPERVISOR_TIMER] = "s_timer",
    [IRQ_MACHINE_TIMER] = "m_timer",
    [IRQ_SUPERVISOR_EXTERNAL] = "s_external",
    [IRQ_MACHINE_EXTERNAL] = "m_external",
    [IRQ_COUNTER_OVERFLOW] = "counter_overflow",
};

typedef struct Trap {
    unsigned cause;
    bool interrupt;
    uint64_t epc, tval;
} Trap;

static void log_trap(Cpu *cpu, const Trap *trap)
{
    const char *name = trap->interrupt ? interrupt_names[trap->cause] : exception_names[trap->cause];

    if (cpu->log && log_enabled(cpu->log, LOG_INT)) {
        log_write(cpu->log, "hart %u: %s, cause %u, epc 0x%" PRIx64 ", tval 0x%" PRIx64 ": %s\n", cpu->index,
                  trap->interrupt ? "interrupt" : "exception", trap->cause, trap->epc, trap->tval, name);
    }
}

static uint64_t cause_register(const RiscvConfig *config, const Trap *trap)
{
    return trap->cause | (trap->interrupt ? BIT(config->xlen - 1) : 0);
}

/* The base, or where this interrupt's entry is. */
static uint64_t vector(const RiscvConfig *config, uint64_t tvec, const Trap *trap)
{
    bool vectored = tvec & 1 && trap->interrupt;
    return riscv_truncate(config, (tvec & ~UINT64_C(3)) + (vectored ? 4 * trap->cause : 0));
}

static void trap_to_supervisor(Cpu *cpu, const Trap *trap)
{
    RiscvState *state = riscv_state(cpu);
    uint64_t status = state->mstatus & ~(uint64_t)(MSTATUS_SPP | MSTATUS_SPIE | MSTATUS_SIE);

    status |= state->privilege == RISCV_SUPERVISOR ? MSTATUS_SPP : 0;
    status |= state->mstatus & MSTATUS_SIE ? MSTATUS_SPIE : 0;
    state->mstatus = status;
    state->scause = cause_register(riscv_config(cpu), trap);
    state->sepc = trap->epc;
    state->stval = trap->tval;
    riscv_set_privilege(cpu, RISCV_SUPERVISOR, 0);
    state->pc = vector(riscv_config(cpu), state->stvec, trap);
}

static void trap_to_machine(Cpu *cpu, const Trap *trap)
{
    RiscvState *state = riscv_state(cpu);
    uint64_t status = state->mstatus & ~(uint64_t)(MSTATUS_MPP | MSTATUS_MPIE | MSTATUS_MIE);

    status |= (uint64_t)state->privilege << MSTATUS_MPP_SHIFT;
    status |= state->mstatus & MSTATUS_MIE ? MSTATUS_MPIE : 0;
    state->mstatus = status;
    state->mcause = cause_register(riscv_config(cpu), trap);
    state->mepc = trap->epc;
    state->mtval = trap->tval;
    riscv_set_privilege(cpu, RISCV_MACHINE, 0);
    state->pc = vector(riscv_config(cpu), state->mtvec, trap);
}

static void take_trap(Cpu *cpu, const Trap *trap)
{
    RiscvState *state = riscv_state(cpu);
    uint64_t delegated = trap->interrupt ? state->mideleg : state->medeleg;

    log_trap(cpu, trap);
    if (state->privilege != RISCV_MACHINE && delegated >> trap->cause & 1) {
        trap_to_supervisor(cpu, trap);
    } else {
        trap_to_machine(cpu, trap);
    }
}

void riscv_deliver(Cpu *cpu)
{
    const RiscvConfig *config = riscv_config(cpu);
    const ExecException *exception = &cpu->exec.exception;
    Trap trap = { .cause = exception->code,
                  .epc = riscv_truncate(config, cpu->exec.pc),
                  .tval = riscv_truncate(config, exception->value) };

    cpu->exec.exception.pending = false;
    take_trap(cpu, &trap);
}

static bool supervisor_timer_enabled(const Cpu *cpu)
{
    return riscv_config(cpu)->sstc && riscv_state(cpu)->menvcfg & MENVCFG_STCE;
}

/* The supervisor software interrupt is told by a pulse (ACLINT's SSWI), which sets its bit in mip. */
#define EDGES BIT(IRQ_SUPERVISOR_SOFTWARE)

void riscv_latch_edges(Cpu *cpu)
{
    if (atomic_load_explicit(&cpu->edges, memory_order_relaxed) & EDGES) {
        riscv_state(cpu)->mip |= atomic_fetch_and(&cpu->edges, ~EDGES) & EDGES;
    }
}

uint64_t riscv_pending(const Cpu *cpu)
{
    const uint64_t lines = BIT(IRQ_MACHINE_SOFTWARE) | BIT(IRQ_MACHINE_TIMER) | BIT(IRQ_SUPERVISOR_EXTERNAL) |
                           BIT(IRQ_MACHINE_EXTERNAL);
    const RiscvState *state = riscv_state(cpu);
    uint64_t pending = state->mip;

    if (supervisor_timer_enabled(cpu)) {
        pending &= ~BIT(IRQ_SUPERVISOR_TIMER);
        pending |= state->stimer ? BIT(IRQ_SUPERVISOR_TIMER) : 0;
    }
    pending |= atomic_load_explicit(&((Cpu *)cpu)->edges, memory_order_acquire) & EDGES;
    return pending | (atomic_load_explicit(&((Cpu *)cpu)->lines, memory_order_acquire) & lines);
}

/* The interrupts among `pending` that are taken now: those of the highest privilege that has any. */
static uint64_t taken_now(const RiscvState *state, uint64_t pending)
{
    uint64_t machine = pending & ~state->mideleg, supervisor = pending & state->mideleg;

    if (machine && (state->privilege != RISCV_MACHINE || state->mstatus & MSTATUS_MIE)) {
        return machine;
    }
    bool supervisor_open = state->privilege == RISCV_USER ||
                           (state->privilege == RISCV_SUPERVISOR && state->mstatus & MSTATUS_SIE);
    return supervisor_open ? supervisor : 0;
}

bool riscv_interrupt(Cpu *cpu)
{
    static const uint8_t priority[] = { IRQ_MACHINE_EXTERNAL,    IRQ_MACHINE_SOFTWARE,    IRQ_MACHINE_TIMER,
                                        IRQ_SUPERVISOR_EXTERNAL, IRQ_SUPERVISOR_SOFTWARE, IRQ_SUPERVISOR_TIMER,
                                        IRQ_COUNTER_OVERFLOW };
    const RiscvState *state = riscv_state(cpu);

    riscv_latch_edges(cpu);
    uint64_t taken = taken_now(state, riscv_pending(cpu) & state->mie);

    for (unsigned i = 0; taken && i < ARRAY_SIZE(priority); i++) {
        if (taken >> priority[i] & 1) {
            take_trap(cpu, &(Trap){ .cause = priority[i], .interrupt = true, .epc = state->pc });
            return true;
        }
    }
    return false;
}

bool riscv_has_work(const Cpu *cpu)
{
    return riscv_pending(cpu) & riscv_state(cpu)->mie;
}

void riscv_update_timer(Cpu *cpu)
{
    RiscvState *state = riscv_state(cpu);
    bool enabled = supervisor_timer_enabled(cpu);

    state->stimer = enabled && cpu_time(cpu) >= state->stimecmp;
    cpu_timer_set(cpu, 0, enabled && !state->stimer ? state->stimecmp : UINT64_MAX);
}

void riscv_timer(Cpu *cpu, unsigned timer)
{
    riscv_update_timer(cpu);
    if (riscv_state(cpu)->stimer) {
        cpu_kick(cpu, CPU_ATTENTION_INTERRUPT);
    }
}

/* Returns. */

static uint64_t return_address(const Cpu *cpu, uint64_t epc)
{
    return epc & (riscv_config(cpu)->zca ? ~UINT64_C(1) : ~UINT64_C(3));
}

static void leave_to(Cpu *cpu, RiscvPrivilege privilege)
{
    RiscvState *state = riscv_state(cpu);

    if (privilege != RISCV_MACHINE && riscv_config(cpu)->priv_spec >= RISCV_PRIV_1_12) {
        state->mstatus &= ~(uint64_t)MSTATUS_MPRV;
    }
    riscv_set_privilege(cpu, privilege, 1);
}

uint64_t riscv_helper_mret(Cpu *cpu, uint64_t bits, uint64_t unused_b, uint64_t unused_c)
{
    RiscvState *state = riscv_state(cpu);
    RiscvPrivilege previous = (RiscvPrivilege)((state->mstatus & MSTATUS_MPP) >> MSTATUS_MPP_SHIFT);
    RiscvPrivilege least = riscv_config(cpu)->u ? RISCV_USER : RISCV_MACHINE;
    uint64_t status = state->mstatus & ~(uint64_t)(MSTATUS_MPP | MSTATUS_MIE);

    status |= state->mstatus & MSTATUS_MPIE ? MSTATUS_MIE : 0;
    state->mstatus = status | MSTATUS_MPIE | (uint64_t)least << MSTATUS_MPP_SHIFT;
    leave_to(cpu, previous);
    return return_address(cpu, state->mepc);
}

uint64_t riscv_helper_sret(Cpu *cpu, uint64_t bits, uint64_t unused_b, uint64_t unused_c)
{
    RiscvState *state = riscv_state(cpu);
    uint64_t status = state->mstatus & ~(uint64_t)(MSTATUS_SPP | MSTATUS_SIE);

    if (state->privilege == RISCV_SUPERVISOR && state->mstatus & MSTATUS_TSR) {
        cpu_raise(cpu, CAUSE_ILLEGAL_INSTRUCTION, bits);
        return 0;
    }
    RiscvPrivilege previous = state->mstatus & MSTATUS_SPP ? RISCV_SUPERVISOR : RISCV_USER;
    status |= state->mstatus & MSTATUS_SPIE ? MSTATUS_SIE : 0;
    state->mstatus = status | MSTATUS_SPIE;
    leave_to(cpu, previous);
    return return_address(cpu, state->sepc);
}
