/*
 * Counters: cycles and retired instructions (Zicntr), events (Zihpm), the modes they count in (Smcntrpmf, Sscofpmf) and
 * interrupts where they overflow (Sscofpmf). After "Machine-Level ISA" of the privileged manual; events are numbered as
 * the SBI's PMU extension does, so that firmware needs no table of them. A cycle is an instruction.
 *
 * A counter of instructions is stored as its value less how many have run, so that counting costs nothing; all others,
 * and those that do not count now, as they are. Whatever changes which of them count folds the instructions in before
 * and takes them out after. Not here: events beyond cycles, instructions and TLB misses; they count nothing.
 */
#include "guest/riscv/csr.h"

enum {
    EVENT_CYCLES = 0x1,
    EVENT_INSTRUCTIONS = 0x2,
    EVENT_LOAD_MISS = 0x10019,
    EVENT_STORE_MISS = 0x1001b,
    EVENT_FETCH_MISS = 0x10021,
};

#define EVENT_OVERFLOW BIT(63)
#define EVENT_NOT_IN_MACHINE BIT(62)
#define EVENT_NOT_IN_SUPERVISOR BIT(61)
#define EVENT_NOT_IN_USER BIT(60)
#define EVENT_FILTERS (EVENT_NOT_IN_MACHINE | EVENT_NOT_IN_SUPERVISOR | EVENT_NOT_IN_USER)
#define EVENT_NUMBER mask_bits(56)

typedef enum Source { SOURCE_NONE, SOURCE_INSTRUCTIONS, SOURCE_MISSES } Source; /* and MmuAccess: which misses */

/* The only place that looks at how many instructions ran. `done`: of the one under way, whether it counts already. */
static uint64_t instructions(const Cpu *cpu, unsigned done)
{
    return cpu->exec.insns + done;
}

static Source source_of(const RiscvState *state, unsigned counter)
{
    if (counter < RISCV_FIRST_EVENT_COUNTER) {
        return SOURCE_INSTRUCTIONS;
    }
    switch (state->mhpmevent[counter] & EVENT_NUMBER) {
    case EVENT_CYCLES:
    case EVENT_INSTRUCTIONS:
        return SOURCE_INSTRUCTIONS;
    case EVENT_LOAD_MISS:
        return (Source)(SOURCE_MISSES + MMU_READ);
    case EVENT_STORE_MISS:
        return (Source)(SOURCE_MISSES + MMU_WRITE);
    case EVENT_FETCH_MISS:
        return (Source)(SOURCE_MISSES + MMU_EXECUTE);
    default:
        return SOURCE_NONE;
    }
}

static uint64_t source_value(const Cpu *cpu, unsigned counter, unsigned done)
{
    return source_of(riscv_state(cpu), counter) == SOURCE_INSTRUCTIONS ? instructions(cpu, done) : 0;
}

static uint32_t existing_counters(const RiscvConfig *config)
{
    return RISCV_FIXED_COUNTERS | (config->zihpm ? config->pmu_mask : 0);
}

/* Those that count as things stand. */
static uint32_t active_counters(const Cpu *cpu)
{
    static const uint64_t filters[] = { [RISCV_USER] = EVENT_NOT_IN_USER,
                                        [RISCV_SUPERVISOR] = EVENT_NOT_IN_SUPERVISOR,
                                        [RISCV_MACHINE] = EVENT_NOT_IN_MACHINE };
    const RiscvState *state = riscv_state(cpu);
    uint32_t active = 0;

    for (uint32_t left = existing_counters(riscv_config(cpu)) & ~state->mcountinhibit; left; left &= left - 1) {
        unsigned counter = (unsigned)__builtin_ctz(left);
        bool filtered = state->mhpmevent[counter] & filters[state->privilege];
        active |= !filtered && source_of(state, counter) != SOURCE_NONE ? left & -left : 0;
    }
    return active;
}

/* Overflows. */

static bool may_overflow(const Cpu *cpu, unsigned counter)
{
    return counter >= RISCV_FIRST_EVENT_COUNTER && riscv_config(cpu)->sscofpmf &&
           !(riscv_state(cpu)->mhpmevent[counter] & EVENT_OVERFLOW);
}

static void overflow(Cpu *cpu, unsigned counter)
{
    riscv_state(cpu)->mhpmevent[counter] |= EVENT_OVERFLOW;
    riscv_state(cpu)->mip |= BIT(IRQ_COUNTER_OVERFLOW);
    cpu_kick(cpu, CPU_ATTENTION_INTERRUPT);
}

/* Asks to be called when the next counter of instructions gets to zero; one that is there has been. */
static void set_alarm(Cpu *cpu, unsigned done)
{
    RiscvHart *hart = riscv_hart(cpu);
    uint64_t first = UINT64_MAX;

    for (uint32_t left = hart->counting & ~RISCV_FIXED_COUNTERS; left; left &= left - 1) {
        unsigned counter = (unsigned)__builtin_ctz(left);
        bool counts = source_of(riscv_state(cpu), counter) == SOURCE_INSTRUCTIONS && may_overflow(cpu, counter);
        uint64_t zero = 0 - riscv_state(cpu)->counter[counter];
        hart->zero_at[counter] = counts && zero > instructions(cpu, done) ? zero : UINT64_MAX;
        first = MIN(first, hart->zero_at[counter]);
    }
    cpu_set_alarm(cpu, first);
}

static void find_overflows(Cpu *cpu, unsigned done)
{
    const RiscvHart *hart = riscv_hart(cpu);

    for (uint32_t left = hart->counting & ~RISCV_FIXED_COUNTERS; left; left &= left - 1) {
        unsigned counter = (unsigned)__builtin_ctz(left);
        if (hart->zero_at[counter] <= instructions(cpu, done)) {
            overflow(cpu, counter);
        }
    }
}

void riscv_alarm(Cpu *cpu)
{
    find_overflows(cpu, 0);
    set_alarm(cpu, 0);
}

void riscv_count_miss(Cpu *cpu, MmuAccess access)
{
    RiscvState *state = riscv_state(cpu);

    for (uint32_t left = riscv_hart(cpu)->counting & ~RISCV_FIXED_COUNTERS; left; left &= left - 1) {
        unsigned counter = (unsigned)__builtin_ctz(left);
        bool counted = source_of(state, counter) == SOURCE_MISSES + access;
        if (counted && ++state->counter[counter] == 0 && may_overflow(cpu, counter)) {
            overflow(cpu, counter);
        }
    }
}

/* Which ones count. */

static void fold(Cpu *cpu, unsigned done)
{
    find_overflows(cpu, done);
    for (uint32_t left = riscv_hart(cpu)->counting; left; left &= left - 1) {
        unsigned counter = (unsigned)__builtin_ctz(left);
        riscv_state(cpu)->counter[counter] += source_value(cpu, counter, done);
    }
    riscv_hart(cpu)->counting = 0;
}

static void unfold(Cpu *cpu, unsigned done)
{
    RiscvHart *hart = riscv_hart(cpu);

    hart->counting = active_counters(cpu);
    for (uint32_t left = hart->counting; left; left &= left - 1) {
        unsigned counter = (unsigned)__builtin_ctz(left);
        riscv_state(cpu)->counter[counter] -= source_value(cpu, counter, done);
    }
    set_alarm(cpu, done);
}

static void note_filters(Cpu *cpu)
{
    RiscvHart *hart = riscv_hart(cpu);

    hart->filtered = false;
    for (unsigned i = 0; i < RISCV_COUNTERS; i++) {
        hart->filtered |= riscv_state(cpu)->mhpmevent[i] & EVENT_FILTERS;
    }
}

void riscv_counters_reset(Cpu *cpu)
{
    riscv_hart(cpu)->counting = 0;
    riscv_hart(cpu)->filtered = false;
    unfold(cpu, 0);
}

void riscv_counters_settle(Cpu *cpu)
{
    note_filters(cpu);
    riscv_hart(cpu)->counting = active_counters(cpu);
    set_alarm(cpu, 0);
}

void riscv_set_privilege(Cpu *cpu, RiscvPrivilege privilege, unsigned done)
{
    RiscvState *state = riscv_state(cpu);
    bool refold = riscv_hart(cpu)->filtered && state->privilege != privilege;

    if (refold) {
        fold(cpu, done);
    }
    state->privilege = privilege;
    if (refold) {
        unfold(cpu, done);
    }
}

/* The registers. An instruction that writes counts by what held before it. */

static unsigned counter_number(const CsrRow *row, unsigned index)
{
    return (row->number + index) & 31;
}

uint64_t riscv_csr_read_counter(Cpu *cpu, const CsrRow *row, unsigned index)
{
    unsigned counter = counter_number(row, index);
    bool counting = riscv_hart(cpu)->counting >> counter & 1;

    return riscv_state(cpu)->counter[counter] + (counting ? source_value(cpu, counter, 0) : 0);
}

void riscv_csr_write_counter(Cpu *cpu, const CsrRow *row, unsigned index, uint64_t value)
{
    unsigned counter = counter_number(row, index);

    if (existing_counters(riscv_config(cpu)) >> counter & 1) {
        bool counting = riscv_hart(cpu)->counting >> counter & 1;
        find_overflows(cpu, 1);
        riscv_state(cpu)->counter[counter] = value - (counting ? source_value(cpu, counter, 1) : 0);
        set_alarm(cpu, 1);
    }
}

/* mcounteren and scounteren. */
void riscv_csr_write_counteren(Cpu *cpu, const CsrRow *row, unsigned index, uint64_t value)
{
    const uint64_t time = BIT(1);
    *riscv_csr_storage(cpu, row, 0) = value & (existing_counters(riscv_config(cpu)) | time);
}

void riscv_csr_write_mcountinhibit(Cpu *cpu, const CsrRow *row, unsigned index, uint64_t value)
{
    fold(cpu, 1);
    riscv_state(cpu)->mcountinhibit = value & existing_counters(riscv_config(cpu));
    unfold(cpu, 1);
}

static void write_event(Cpu *cpu, unsigned counter, uint64_t value)
{
    fold(cpu, 1);
    riscv_state(cpu)->mhpmevent[counter] = value;
    note_filters(cpu);
    unfold(cpu, 1);
}

static uint64_t existing_filters(const RiscvConfig *config)
{
    return EVENT_NOT_IN_MACHINE | (config->s ? EVENT_NOT_IN_SUPERVISOR : 0) | (config->u ? EVENT_NOT_IN_USER : 0);
}

uint64_t riscv_csr_read_mhpmevent(Cpu *cpu, const CsrRow *row, unsigned index)
{
    return riscv_state(cpu)->mhpmevent[counter_number(row, index)];
}

void riscv_csr_write_mhpmevent(Cpu *cpu, const CsrRow *row, unsigned index, uint64_t value)
{
    const RiscvConfig *config = riscv_config(cpu);
    unsigned counter = counter_number(row, index);
    uint64_t flags = config->sscofpmf ? EVENT_OVERFLOW | existing_filters(config) : 0;

    if (existing_counters(config) >> counter & 1) {
        write_event(cpu, counter, value & (EVENT_NUMBER | flags));
    }
}

/* mcyclecfg and minstretcfg have the places of the events that their counters do not have. */
static unsigned fixed_counter(const CsrRow *row)
{
    return row->number & 1 ? RISCV_COUNTER_CYCLE : RISCV_COUNTER_INSTRET;
}

uint64_t riscv_csr_read_fixed_filter(Cpu *cpu, const CsrRow *row, unsigned index)
{
    return riscv_state(cpu)->mhpmevent[fixed_counter(row)];
}

void riscv_csr_write_fixed_filter(Cpu *cpu, const CsrRow *row, unsigned index, uint64_t value)
{
    write_event(cpu, fixed_counter(row), value & existing_filters(riscv_config(cpu)));
}

/* A counter that supervisor mode may not read shows no overflow there. */
uint64_t riscv_csr_read_scountovf(Cpu *cpu, const CsrRow *row, unsigned index)
{
    const RiscvState *state = riscv_state(cpu);
    uint64_t overflows = 0;

    for (unsigned i = RISCV_FIRST_EVENT_COUNTER; i < RISCV_COUNTERS; i++) {
        overflows |= state->mhpmevent[i] & EVENT_OVERFLOW ? BIT(i) : 0;
    }
    return overflows & (state->privilege == RISCV_MACHINE ? UINT32_MAX : state->mcounteren);
}

uint64_t riscv_csr_read_time(Cpu *cpu, const CsrRow *row, unsigned index)
{
    return cpu_time(cpu);
}
