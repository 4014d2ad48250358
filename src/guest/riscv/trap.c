/*
 * Traps: delivery of exceptions and interrupts, returns from them, traps within traps (Smdbltrp, Ssdbltrp), interrupts
 * that cannot be masked (Smrnmi), and the supervisor's timer (Sstc). After "Machine-Level ISA", "Supervisor-Level ISA"
 * and the extensions' chapters of the privileged manual.
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
    [CAUSE_DOUBLE_TRAP] = "double_trap",
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
    uint64_t epc, tval, tval2;
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
    status |= state->menvcfg & MENVCFG_DTE ? MSTATUS_SDT : 0;
    state->mstatus = status;
    state->scause = cause_register(riscv_config(cpu), trap);
    state->sepc = trap->epc;
    state->stval = trap->tval;
    riscv_set_privilege(cpu, RISCV_SUPERVISOR, 0);
    state->pc = vector(riscv_config(cpu), state->stvec, trap);
}

bool riscv_in_nmi(const Cpu *cpu)
{
    return riscv_config(cpu)->smrnmi && !(riscv_state(cpu)->mnstatus & MNSTATUS_NMIE);
}

/* Takes what cannot be masked; mnret goes back. */
static void take_nmi(Cpu *cpu, uint64_t cause, uint64_t epc)
{
    RiscvState *state = riscv_state(cpu);

    state->mnepc = epc;
    state->mncause = cause;
    state->mnstatus = (uint64_t)state->privilege << MNSTATUS_MNPP_SHIFT;
    riscv_set_privilege(cpu, RISCV_MACHINE, 0);
    state->pc = riscv_config(cpu)->rnmi_interrupt_vector;
}

/* A trap to machine mode before it has saved what the last one left. Where nothing else serves, the hart is in the
 * critical-error state: it ceases to execute until a reset. */
static void double_trap_in_machine(Cpu *cpu, const Trap *trap)
{
    const RiscvConfig *config = riscv_config(cpu);

    if (config->smrnmi && !riscv_in_nmi(cpu)) {
        take_nmi(cpu, cause_register(config, trap), trap->epc);
        return;
    }
    riscv_state(cpu)->pc = trap->epc;
    cpu_power_off(cpu);
    if (cpu->log) {
        log_write(cpu->log, "hart %u: critical error: a trap within a trap at 0x%" PRIx64 ", cause %u\n", cpu->index,
                  trap->epc, trap->cause);
    }
}

static void trap_to_machine(Cpu *cpu, const Trap *trap)
{
    RiscvState *state = riscv_state(cpu);
    uint64_t status = state->mstatus & ~(uint64_t)(MSTATUS_MPP | MSTATUS_MPIE | MSTATUS_MIE);
    bool in_nmi = riscv_in_nmi(cpu) && state->privilege == RISCV_MACHINE;

    if (state->mstatus & MSTATUS_MDT) {
        double_trap_in_machine(cpu, trap);
        return;
    }

    status |= (uint64_t)state->privilege << MSTATUS_MPP_SHIFT;
    status |= state->mstatus & MSTATUS_MIE ? MSTATUS_MPIE : 0;
    status |= riscv_config(cpu)->smdbltrp ? MSTATUS_MDT : 0;
    state->mstatus = status;
    state->mcause = cause_register(riscv_config(cpu), trap);
    state->mepc = trap->epc;
    state->mtval = trap->tval;
    state->mtval2 = trap->tval2;
    riscv_set_privilege(cpu, RISCV_MACHINE, 0);
    state->pc = in_nmi ? riscv_config(cpu)->rnmi_exception_vector : vector(riscv_config(cpu), state->mtvec, trap);
}

static void take_trap(Cpu *cpu, const Trap *trap)
{
    RiscvState *state = riscv_state(cpu);
    uint64_t delegated = trap->interrupt ? state->mideleg : state->medeleg;
    RiscvPrivilege from = (RiscvPrivilege)state->privilege;

    log_trap(cpu, trap);
    riscv_trigger_before_trap(cpu, trap->epc);
    if (state->privilege == RISCV_MACHINE || !(delegated >> trap->cause & 1)) {
        trap_to_machine(cpu, trap);
    } else if (state->mstatus & MSTATUS_SDT) {
        trap_to_machine(cpu, &(Trap){ CAUSE_DOUBLE_TRAP, false, trap->epc, trap->tval, .tval2 = trap->cause });
    } else {
        trap_to_supervisor(cpu, trap);
    }
    if (riscv_trigger_trap(cpu, from, trap->interrupt, trap->cause)) {
        take_trap(cpu, &(Trap){ .cause = CAUSE_BREAKPOINT, .epc = state->pc });
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

/* Bit n: that of line n of theirs, which is its cause too. None while one is taken. */
static uint64_t pending_nmis(const Cpu *cpu)
{
    if (!riscv_config(cpu)->smrnmi || riscv_in_nmi(cpu)) {
        return 0;
    }
    uint64_t lines = atomic_load_explicit(&((Cpu *)cpu)->lines, memory_order_acquire);
    return bits_extract(lines, RISCV_NMI_LINE, RISCV_NMI_LINES);
}

bool riscv_interrupt(Cpu *cpu)
{
    static const uint8_t priority[] = { IRQ_MACHINE_EXTERNAL,    IRQ_MACHINE_SOFTWARE,    IRQ_MACHINE_TIMER,
                                        IRQ_SUPERVISOR_EXTERNAL, IRQ_SUPERVISOR_SOFTWARE, IRQ_SUPERVISOR_TIMER,
                                        IRQ_COUNTER_OVERFLOW };
    const RiscvState *state = riscv_state(cpu);
    uint64_t unmasked = pending_nmis(cpu);

    riscv_latch_edges(cpu);
    if (unmasked) {
        take_nmi(cpu, BIT(riscv_config(cpu)->xlen - 1) | (uint64_t)__builtin_ctzll(unmasked), state->pc);
        return true;
    }
    if (riscv_in_nmi(cpu)) {
        return false;
    }
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
    return riscv_pending(cpu) & riscv_state(cpu)->mie || pending_nmis(cpu);
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
    uint64_t status = state->mstatus & ~(MSTATUS_MPP | MSTATUS_MIE | MSTATUS_MDT);

    status &= previous == RISCV_USER ? ~(uint64_t)MSTATUS_SDT : UINT64_MAX;
    status |= state->mstatus & MSTATUS_MPIE ? MSTATUS_MIE : 0;
    state->mstatus = status | MSTATUS_MPIE | (uint64_t)least << MSTATUS_MPP_SHIFT;
    leave_to(cpu, previous);
    return return_address(cpu, state->mepc);
}

uint64_t riscv_helper_sret(Cpu *cpu, uint64_t bits, uint64_t unused_b, uint64_t unused_c)
{
    RiscvState *state = riscv_state(cpu);
    uint64_t status = state->mstatus & ~(uint64_t)(MSTATUS_SPP | MSTATUS_SIE | MSTATUS_SDT);

    if (state->privilege == RISCV_SUPERVISOR && state->mstatus & MSTATUS_TSR) {
        cpu_raise(cpu, CAUSE_ILLEGAL_INSTRUCTION, bits);
        return 0;
    }
    RiscvPrivilege previous = state->mstatus & MSTATUS_SPP ? RISCV_SUPERVISOR : RISCV_USER;
    status |= state->mstatus & MSTATUS_SPIE ? MSTATUS_SIE : 0;
    status &= state->privilege == RISCV_MACHINE ? ~MSTATUS_MDT : UINT64_MAX;
    state->mstatus = status | MSTATUS_SPIE;
    leave_to(cpu, previous);
    return return_address(cpu, state->sepc);
}

uint64_t riscv_helper_mnret(Cpu *cpu, uint64_t bits, uint64_t unused_b, uint64_t unused_c)
{
    RiscvState *state = riscv_state(cpu);
    RiscvPrivilege previous = (RiscvPrivilege)((state->mnstatus & MNSTATUS_MNPP) >> MNSTATUS_MNPP_SHIFT);

    state->mnstatus |= MNSTATUS_NMIE;
    state->mstatus &= previous == RISCV_MACHINE ? UINT64_MAX : ~MSTATUS_MDT;
    state->mstatus &= previous == RISCV_USER ? ~(uint64_t)MSTATUS_SDT : UINT64_MAX;
    leave_to(cpu, previous);
    return return_address(cpu, state->mnepc);
}
