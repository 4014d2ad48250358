/*
 * Triggers: breakpoints, watchpoints, single steps and traps that raise an exception (Sdtrig, "The RISC-V Debug
 * Specification" 1.0, chapter "Sdtrig"). There are a few triggers, each of any type: address matches (mcontrol,
 * mcontrol6), counts of instructions (icount), interrupts (itrigger) and exceptions (etrigger).
 *
 * What nothing waits for costs nothing: instructions ask before they run (MODE_STEP) where a trigger waits for code or
 * counts, loads and stores (cpu->watches, and TLB entries that lead to the slow path) where one waits for data.
 *
 * Not here: Debug Mode, and so no other action than the exception; matches of data (select) and of what an access has
 * done (timing, uncertain); tcontrol. Handlers are protected from themselves in the first of the manual's ways: in
 * machine mode nothing fires while mstatus.MIE is clear, in supervisor mode while sstatus.SIE is and breakpoints are
 * delegated. A store-conditional that has its reservation counts as a load too.
 */
#include "guest/riscv/csr.h"

typedef enum TriggerType {
    TRIGGER_ADDRESS_OLD = 2, /* mcontrol */
    TRIGGER_COUNT = 3,       /* icount */
    TRIGGER_INTERRUPT = 4,   /* itrigger */
    TRIGGER_EXCEPTION = 5,   /* etrigger */
    TRIGGER_ADDRESS = 6,     /* mcontrol6 */
    TRIGGER_DISABLED = 15,
} TriggerType;

/* Fields of tdata1, some of them of one type alone. */
enum {
    TYPE_BITS = 4,
    MATCH_LOAD = 1 << 0,
    MATCH_STORE = 1 << 1,
    MATCH_EXECUTE = 1 << 2,
    ADDRESS_USER = 1 << 3,
    ADDRESS_SUPERVISOR = 1 << 4,
    ADDRESS_MACHINE = 1 << 6,
    MATCH_SHIFT = 7,
    MATCH_BITS = 4,
    MATCH_FIELD = 15 << MATCH_SHIFT,
    CHAIN = 1 << 11,
    SIZE_SHIFT = 16,
    SIZE_LOW = 3 << SIZE_SHIFT,  /* of mcontrol; the high part is not next to it */
    SIZE_HIGH_SHIFT = 21,
    SIZE_HIGH = 3 << SIZE_HIGH_SHIFT,
    SIZE = 7 << SIZE_SHIFT,      /* of mcontrol6 */
    OLD_HIT = 1 << 20,
    HIT_BEFORE = 1 << 22,        /* hit0 of mcontrol6 */
    OTHER_USER = 1 << 6,
    OTHER_SUPERVISOR = 1 << 7,
    COUNT_PENDING = 1 << 8,
    OTHER_MACHINE = 1 << 9,
    COUNT_SHIFT = 10,
    COUNT_ONE = 1 << COUNT_SHIFT,
    COUNT = 0x3fff << COUNT_SHIFT,
    COUNT_HIT = 1 << 24,
    OLD_RANGE_BITS = 6, /* maskmax */
};

typedef enum MatchKind {
    MATCH_EQUAL = 0,
    MATCH_POWER_OF_2 = 1,
    MATCH_FROM = 2,
    MATCH_BELOW = 3,
    MATCH_LOW_HALF = 4,
    MATCH_HIGH_HALF = 5,
    MATCH_NOT = 8, /* of all but FROM and BELOW */
} MatchKind;
enum { LEGAL_MATCHES = 0x3f | 3 << MATCH_NOT | 3 << (MATCH_NOT + MATCH_LOW_HALF) };

/* What happens: an instruction begins, and maybe accesses memory. */
typedef struct Event {
    uint64_t pc;
    unsigned length; /* of the instruction; 0: not known */
    bool data;
    MmuAccess access;
    uint64_t address;
    unsigned size;
} Event;

static TriggerType type_of(const RiscvConfig *config, uint64_t tdata1)
{
    return (TriggerType)(tdata1 >> (config->xlen - TYPE_BITS));
}

static uint64_t type_field(const RiscvConfig *config, TriggerType type)
{
    return (uint64_t)type << (config->xlen - TYPE_BITS);
}

static bool is_address_type(TriggerType type)
{
    return type == TRIGGER_ADDRESS || type == TRIGGER_ADDRESS_OLD;
}

static uint64_t trap_hit(const RiscvConfig *config)
{
    return BIT(config->xlen - TYPE_BITS - 2);
}

/* Whether the trigger is for the privilege. */
static bool is_for(const RiscvConfig *config, uint64_t tdata1, RiscvPrivilege privilege)
{
    static const uint16_t bits[][4] = {
        { [RISCV_USER] = OTHER_USER, [RISCV_SUPERVISOR] = OTHER_SUPERVISOR, [RISCV_MACHINE] = OTHER_MACHINE },
        { [RISCV_USER] = ADDRESS_USER, [RISCV_SUPERVISOR] = ADDRESS_SUPERVISOR, [RISCV_MACHINE] = ADDRESS_MACHINE },
    };
    TriggerType type = type_of(config, tdata1);

    return type != TRIGGER_DISABLED && tdata1 & bits[is_address_type(type)][privilege];
}

/* tdata3: the contexts that it is for. */

typedef struct Extra {
    unsigned machine_shift, machine_bits, machine_select_shift, mask_shift, mask_bits, value_shift, value_bits;
} Extra;
static const Extra extra_32 = { 26, 6, 23, 18, 2, 2, 16 }, extra_64 = { 51, 13, 48, 36, 4, 2, 32 };
enum { EXTRA_SELECT = 3, SELECT_SCONTEXT = 1, SELECT_ASID = 2, SELECT_MCONTEXT = 4, MACHINE_SELECT_BITS = 3 };

static const Extra *extra_of(const RiscvConfig *config)
{
    return config->xlen == 64 ? &extra_64 : &extra_32;
}

static bool supervisor_context_fits(const Cpu *cpu, const Extra *extra, uint64_t tdata3)
{
    const RiscvState *state = riscv_state(cpu);
    uint64_t value = bits_extract(tdata3, extra->value_shift, extra->value_bits), ignored = 0;
    unsigned asid_shift = riscv_config(cpu)->xlen == 64 ? 44 : 22, asid_bits = riscv_config(cpu)->xlen == 64 ? 16 : 9;

    switch (tdata3 & EXTRA_SELECT) {
    case SELECT_SCONTEXT:
        for (unsigned i = 0; i < extra->mask_bits; i++) {
            ignored |= tdata3 >> (extra->mask_shift + i) & 1 ? UINT64_C(0xff) << i * 8 : 0;
        }
        return !((value ^ state->scontext) & ~ignored & mask_bits(extra->value_bits));
    case SELECT_ASID:
        return bits_extract(state->satp, asid_shift, asid_bits) == (value & mask_bits(asid_bits));
    default:
        return true;
    }
}

static bool context_fits(const Cpu *cpu, uint64_t tdata3)
{
    const Extra *extra = extra_of(riscv_config(cpu));
    uint64_t select = bits_extract(tdata3, extra->machine_select_shift, MACHINE_SELECT_BITS);
    uint64_t value = bits_extract(tdata3, extra->machine_shift, extra->machine_bits);

    return (select != SELECT_MCONTEXT || value == riscv_state(cpu)->mcontext) &&
           supervisor_context_fits(cpu, extra, tdata3);
}

/* Whether an exception by a trigger could be taken here without its handler's state being lost. */
static bool may_fire(const Cpu *cpu)
{
    const RiscvState *state = riscv_state(cpu);

    switch (state->privilege) {
    case RISCV_MACHINE:
        return state->mstatus & MSTATUS_MIE && !riscv_in_nmi(cpu);
    case RISCV_SUPERVISOR:
        return state->mstatus & MSTATUS_SIE || !(state->medeleg >> CAUSE_BREAKPOINT & 1);
    default:
        return true;
    }
}

/* Addresses. */

static bool matches_value(const RiscvConfig *config, MatchKind kind, uint64_t tdata2, uint64_t value)
{
    unsigned half = config->xlen / 2;
    uint64_t mask = tdata2 >> half, wanted = tdata2 & mask_bits(half);

    switch (kind & (MATCH_NOT - 1)) {
    case MATCH_EQUAL:
        return value == tdata2;
    case MATCH_POWER_OF_2:
        return !((value ^ tdata2) & ~(tdata2 ^ (tdata2 + 1)));
    case MATCH_FROM:
        return value >= tdata2;
    case MATCH_BELOW:
        return value < tdata2;
    case MATCH_LOW_HALF:
        return (value & mask & mask_bits(half)) == wanted;
    default:
        return (value >> half & mask) == wanted;
    }
}

static MatchKind match_kind(uint64_t tdata1)
{
    return (MatchKind)bits_extract(tdata1, MATCH_SHIFT, MATCH_BITS);
}

/* One of the `size` bytes from `address` on. */
static bool matches_bytes(const Cpu *cpu, unsigned trigger, uint64_t address, unsigned size)
{
    const RiscvConfig *config = riscv_config(cpu);
    MatchKind kind = match_kind(riscv_state(cpu)->tdata1[trigger]);
    bool any = false;

    for (unsigned i = 0; i < size && !any; i++) {
        any = matches_value(config, kind, riscv_state(cpu)->tdata2[trigger], riscv_truncate(config, address + i));
    }
    return any == !(kind & MATCH_NOT);
}

/* 0: any; 1, 2, 3: 1, 2 or 4 bytes; 4: 6; from 5 on: 8, 16 ... */
static bool has_size(const RiscvConfig *config, uint64_t tdata1, unsigned size)
{
    static const uint8_t sizes[] = { 0, 1, 2, 4, 6, 8, 16, 0 };
    uint64_t code = type_of(config, tdata1) == TRIGGER_ADDRESS
                        ? (tdata1 & SIZE) >> SIZE_SHIFT
                        : (tdata1 & SIZE_LOW) >> SIZE_SHIFT |
                              (config->xlen == 64 ? (tdata1 & SIZE_HIGH) >> SIZE_HIGH_SHIFT << 2 : 0);
    return code == 0 || (size && code < ARRAY_SIZE(sizes) && sizes[code] == size);
}

static bool matches_event(const Cpu *cpu, unsigned trigger, const Event *event)
{
    const RiscvConfig *config = riscv_config(cpu);
    const RiscvState *state = riscv_state(cpu);
    uint64_t tdata1 = state->tdata1[trigger];

    if (!is_address_type(type_of(config, tdata1)) || !is_for(config, tdata1, (RiscvPrivilege)state->privilege) ||
        !context_fits(cpu, state->tdata3[trigger])) {
        return false;
    }
    uint64_t wanted = event->access == MMU_WRITE ? MATCH_STORE : MATCH_LOAD;
    bool data = event->data && tdata1 & wanted && has_size(config, tdata1, event->size) &&
                matches_bytes(cpu, trigger, event->address, event->size);
    return data || (tdata1 & MATCH_EXECUTE && has_size(config, tdata1, event->length) &&
                    matches_bytes(cpu, trigger, event->pc, 1));
}

/* Whether the triggers before, where they are chained to this one, match too. */
static bool chain_holds(const Cpu *cpu, unsigned trigger, uint32_t matched)
{
    while (trigger > 0 && riscv_state(cpu)->tdata1[trigger - 1] & CHAIN &&
           is_address_type(type_of(riscv_config(cpu), riscv_state(cpu)->tdata1[trigger - 1]))) {
        trigger--;
        if (!(matched >> trigger & 1)) {
            return false;
        }
    }
    return true;
}

static uint32_t matched_triggers(const Cpu *cpu, const Event *event)
{
    uint32_t matched = 0;

    for (unsigned i = 0; i < RISCV_TRIGGERS; i++) {
        matched |= matches_event(cpu, i, event) ? 1u << i : 0;
    }
    return matched;
}

static void note_hit(Cpu *cpu, unsigned trigger)
{
    const RiscvConfig *config = riscv_config(cpu);
    uint64_t *tdata1 = &riscv_state(cpu)->tdata1[trigger];
    TriggerType type = type_of(config, *tdata1);

    *tdata1 |= type == TRIGGER_ADDRESS       ? HIT_BEFORE
               : type == TRIGGER_ADDRESS_OLD ? OLD_HIT
               : type == TRIGGER_COUNT       ? COUNT_HIT
                                             : trap_hit(config);
}

/* Marks the last trigger of a chain, and those in front of it. */
static void note_chain(Cpu *cpu, unsigned trigger)
{
    note_hit(cpu, trigger);
    while (trigger > 0 && riscv_state(cpu)->tdata1[trigger - 1] & CHAIN &&
           is_address_type(type_of(riscv_config(cpu), riscv_state(cpu)->tdata1[trigger - 1]))) {
        note_hit(cpu, --trigger);
    }
}

/* False: a trigger fired, and the exception is pending. */
static bool pass(Cpu *cpu, const Event *event)
{
    const RiscvState *state = riscv_state(cpu);
    uint32_t matched = may_fire(cpu) ? matched_triggers(cpu, event) : 0;
    bool fired = false;

    for (unsigned i = 0; i < RISCV_TRIGGERS; i++) {
        bool ends = !(state->tdata1[i] & CHAIN);
        if (matched >> i & 1 && ends && chain_holds(cpu, i, matched)) {
            note_chain(cpu, i);
            fired = true;
        }
    }
    if (fired) {
        cpu_raise(cpu, CAUSE_BREAKPOINT, event->data ? event->address : event->pc);
    }
    return !fired;
}

bool riscv_watch(Cpu *cpu, uint64_t address, unsigned size, MmuAccess access)
{
    const RiscvHart *hart = riscv_hart(cpu);
    Event event = { .pc = cpu->exec.pc, .length = hart->step_length, .data = true, .access = access,
                    .address = address, .size = size };

    return !(hart->watching >> riscv_state(cpu)->privilege & 1) || pass(cpu, &event);
}

bool riscv_page_watched(const Cpu *cpu, uint64_t address)
{
    const RiscvState *state = riscv_state(cpu);
    uint64_t page = mask_bits(12);
    bool watched = false;

    for (unsigned i = 0; riscv_hart(cpu)->watching && i < RISCV_TRIGGERS; i++) {
        uint64_t tdata1 = state->tdata1[i], tdata2 = state->tdata2[i];
        MatchKind kind = match_kind(tdata1);
        uint64_t ignored = kind == MATCH_EQUAL        ? page
                           : kind == MATCH_POWER_OF_2 ? page | (tdata2 ^ (tdata2 + 1))
                                                      : UINT64_MAX;
        watched |= is_address_type(type_of(riscv_config(cpu), tdata1)) && tdata1 & (MATCH_LOAD | MATCH_STORE) &&
                   !((address ^ tdata2) & ~ignored);
    }
    return watched;
}

/* Counts. */

/* One instruction, or one trap, of the present privilege. */
static void count(Cpu *cpu, const Event *event)
{
    const RiscvConfig *config = riscv_config(cpu);
    RiscvState *state = riscv_state(cpu);
    RiscvHart *hart = riscv_hart(cpu);
    uint32_t matched = may_fire(cpu) ? matched_triggers(cpu, event) : 0;

    hart->step_counted = 0;
    for (unsigned i = 0; i < RISCV_TRIGGERS; i++) {
        uint64_t *tdata1 = &state->tdata1[i];
        if (type_of(config, *tdata1) != TRIGGER_COUNT || !is_for(config, *tdata1, (RiscvPrivilege)state->privilege) ||
            !(*tdata1 & COUNT) || !may_fire(cpu) || !context_fits(cpu, state->tdata3[i]) ||
            !chain_holds(cpu, i, matched)) {
            continue;
        }
        *tdata1 -= COUNT_ONE;
        *tdata1 |= *tdata1 & COUNT ? 0 : COUNT_PENDING;
        hart->step_counted |= 1u << i;
    }
}

/* False: a count had run out, and the exception is pending. */
static bool counts_pass(Cpu *cpu)
{
    const RiscvConfig *config = riscv_config(cpu);
    RiscvState *state = riscv_state(cpu);
    bool fired = false;

    for (unsigned i = 0; i < RISCV_TRIGGERS; i++) {
        uint64_t *tdata1 = &state->tdata1[i];
        if (type_of(config, *tdata1) == TRIGGER_COUNT && *tdata1 & COUNT_PENDING && may_fire(cpu) &&
            is_for(config, *tdata1, (RiscvPrivilege)state->privilege) && context_fits(cpu, state->tdata3[i])) {
            *tdata1 &= ~(uint64_t)COUNT_PENDING;
            note_hit(cpu, i);
            fired = true;
        }
    }
    if (fired) {
        cpu_raise(cpu, CAUSE_BREAKPOINT, 0);
    }
    return !fired;
}

bool riscv_fetch_passes(Cpu *cpu)
{
    const RiscvState *state = riscv_state(cpu);
    Event event = { .pc = state->pc };

    return !(riscv_hart(cpu)->stepping >> state->privilege & 1) || (counts_pass(cpu) && pass(cpu, &event));
}

/* An instruction that is begun anew after it has been counted is not counted again. */
uint64_t riscv_helper_step(Cpu *cpu, uint64_t pc, uint64_t length, uint64_t unused)
{
    RiscvHart *hart = riscv_hart(cpu);
    Event event = { .pc = pc, .length = (unsigned)length };

    if (hart->counts_steps && !cpu_count(cpu)) {
        return 0;
    }
    hart->step_length = (unsigned)length;
    if (counts_pass(cpu) && pass(cpu, &event) && hart->counts_steps && hart->step_at != cpu->exec.insns + 1) {
        count(cpu, &event);
        hart->step_at = cpu->exec.insns + 1;
    }
    return 0;
}

void riscv_trigger_before_trap(Cpu *cpu, uint64_t pc)
{
    RiscvHart *hart = riscv_hart(cpu);

    if (hart->counts_steps && hart->step_at != cpu->exec.insns + 1) {
        count(cpu, &(Event){ .pc = pc });
    }
    hart->step_at = 0;
    hart->step_counted = 0;
}

bool riscv_trigger_trap(Cpu *cpu, RiscvPrivilege from, bool interrupt, unsigned cause)
{
    const RiscvConfig *config = riscv_config(cpu);
    const RiscvState *state = riscv_state(cpu);
    bool fired = false;

    for (unsigned i = 0; riscv_hart(cpu)->waits_for_traps && i < RISCV_TRIGGERS; i++) {
        uint64_t tdata1 = state->tdata1[i];
        if (type_of(config, tdata1) == (interrupt ? TRIGGER_INTERRUPT : TRIGGER_EXCEPTION) &&
            is_for(config, tdata1, from) && state->tdata2[i] >> cause & 1 && context_fits(cpu, state->tdata3[i]) &&
            chain_holds(cpu, i, 0) && may_fire(cpu)) {
            note_hit(cpu, i);
            fired = true;
        }
    }
    return fired;
}

/* What the rest has to ask for. */

static void note_trigger(RiscvHart *hart, const RiscvConfig *config, uint64_t tdata1)
{
    TriggerType type = type_of(config, tdata1);
    bool address = is_address_type(type), steps = type == TRIGGER_COUNT || (address && tdata1 & MATCH_EXECUTE);
    bool watches = address && tdata1 & (MATCH_LOAD | MATCH_STORE);

    for (unsigned privilege = RISCV_USER; privilege <= RISCV_MACHINE; privilege++) {
        if (is_for(config, tdata1, (RiscvPrivilege)privilege)) {
            hart->stepping |= (uint8_t)(steps << privilege);
            hart->watching |= (uint8_t)(watches << privilege);
        }
    }
    hart->counts_steps |= type == TRIGGER_COUNT;
    hart->waits_for_traps |= type == TRIGGER_INTERRUPT || type == TRIGGER_EXCEPTION;
}

void riscv_trigger_derive(Cpu *cpu)
{
    RiscvHart *hart = riscv_hart(cpu);
    bool watched = hart->watching;

    hart->stepping = hart->watching = 0;
    hart->counts_steps = hart->waits_for_traps = false;
    for (unsigned i = 0; i < RISCV_TRIGGERS; i++) {
        note_trigger(hart, riscv_config(cpu), riscv_state(cpu)->tdata1[i]);
    }
    cpu->watches = hart->watching;
    if (watched || hart->watching) {
        riscv_protection_changed(cpu);
    }
}

void riscv_trigger_reset(Cpu *cpu)
{
    const RiscvConfig *config = riscv_config(cpu);

    for (unsigned i = 0; i < RISCV_TRIGGERS; i++) {
        riscv_state(cpu)->tdata1[i] = config->debug ? type_field(config, TRIGGER_DISABLED) : 0;
    }
    riscv_hart(cpu)->step_at = 0;
    riscv_trigger_derive(cpu);
}

/* The registers. */

void riscv_csr_write_tselect(Cpu *cpu, const CsrRow *row, unsigned index, uint64_t value)
{
    if (value < RISCV_TRIGGERS) {
        riscv_state(cpu)->tselect = value;
    }
}

/* Bits of a type's tdata1 that are kept. */
static uint64_t writable_bits(const RiscvConfig *config, TriggerType type)
{
    uint64_t address = MATCH_LOAD | MATCH_STORE | MATCH_EXECUTE | MATCH_FIELD | CHAIN | ADDRESS_MACHINE |
                       (config->s ? ADDRESS_SUPERVISOR : 0) | (config->u ? ADDRESS_USER : 0);
    uint64_t other = OTHER_MACHINE | (config->s ? OTHER_SUPERVISOR : 0) | (config->u ? OTHER_USER : 0);

    switch (type) {
    case TRIGGER_ADDRESS_OLD:
        return address | SIZE_LOW | (config->xlen == 64 ? SIZE_HIGH : 0) | OLD_HIT;
    case TRIGGER_ADDRESS:
        return address | SIZE | HIT_BEFORE;
    case TRIGGER_COUNT:
        return other | COUNT | COUNT_HIT | COUNT_PENDING;
    case TRIGGER_INTERRUPT:
    case TRIGGER_EXCEPTION:
        return other | trap_hit(config);
    default:
        return 0;
    }
}

/* A type that is not there disables the trigger, as zero does. */
static uint64_t legal_tdata1(const RiscvConfig *config, unsigned trigger, uint64_t value)
{
    TriggerType type = type_of(config, value);
    uint64_t legal = value & writable_bits(config, type);

    if (!writable_bits(config, type)) {
        return type_field(config, TRIGGER_DISABLED);
    }
    if (is_address_type(type)) {
        bool known = LEGAL_MATCHES >> match_kind(legal) & 1, last = trigger == RISCV_TRIGGERS - 1;
        legal &= ~((known ? 0 : (uint64_t)MATCH_FIELD) | (last ? CHAIN : 0));
    }
    if (type == TRIGGER_ADDRESS_OLD) {
        uint64_t largest = config->xlen == 64 ? 63 : 32; /* maskmax: of ranges, as a power of two */
        legal |= largest << (config->xlen - TYPE_BITS - 1 - OLD_RANGE_BITS);
    }
    return type_field(config, type) | legal;
}

/* A count as it is before the instruction that reads it is through. */
uint64_t riscv_csr_read_tdata1(Cpu *cpu, const CsrRow *row, unsigned index)
{
    const RiscvHart *hart = riscv_hart(cpu);
    unsigned trigger = (unsigned)riscv_state(cpu)->tselect;
    uint64_t tdata1 = riscv_state(cpu)->tdata1[trigger];
    bool counted = hart->counts_steps && hart->step_at == cpu->exec.insns + 1 && hart->step_counted >> trigger & 1;

    return counted ? (tdata1 + COUNT_ONE) & ~(uint64_t)COUNT_PENDING : tdata1;
}

void riscv_csr_write_tdata1(Cpu *cpu, const CsrRow *row, unsigned index, uint64_t value)
{
    unsigned trigger = (unsigned)riscv_state(cpu)->tselect;

    riscv_state(cpu)->tdata1[trigger] = legal_tdata1(riscv_config(cpu), trigger, value);
    riscv_hart(cpu)->step_counted &= ~(1u << trigger);
    riscv_trigger_derive(cpu);
}

uint64_t riscv_csr_read_tdata2(Cpu *cpu, const CsrRow *row, unsigned index)
{
    return riscv_state(cpu)->tdata2[riscv_state(cpu)->tselect];
}

void riscv_csr_write_tdata2(Cpu *cpu, const CsrRow *row, unsigned index, uint64_t value)
{
    riscv_state(cpu)->tdata2[riscv_state(cpu)->tselect] = value;
    riscv_trigger_derive(cpu);
}

uint64_t riscv_csr_read_tdata3(Cpu *cpu, const CsrRow *row, unsigned index)
{
    return riscv_state(cpu)->tdata3[riscv_state(cpu)->tselect];
}

void riscv_csr_write_tdata3(Cpu *cpu, const CsrRow *row, unsigned index, uint64_t value)
{
    const RiscvConfig *config = riscv_config(cpu);
    const Extra *extra = extra_of(config);
    uint64_t machine = mask_bits(extra->machine_bits) << extra->machine_shift;
    uint64_t select = mask_bits(MACHINE_SELECT_BITS) << extra->machine_select_shift;
    uint64_t legal = value & (machine | select);

    if (bits_extract(value, extra->machine_select_shift, MACHINE_SELECT_BITS) != SELECT_MCONTEXT) {
        legal &= ~select;
    }
    if (config->s) {
        uint64_t supervisor = mask_bits(extra->mask_bits) << extra->mask_shift |
                              mask_bits(extra->value_bits) << extra->value_shift | EXTRA_SELECT;
        legal |= value & supervisor;
        legal &= (value & EXTRA_SELECT) == EXTRA_SELECT ? ~(uint64_t)EXTRA_SELECT : UINT64_MAX;
    }
    riscv_state(cpu)->tdata3[riscv_state(cpu)->tselect] = legal;
}

/* Version 1 of the specification, and the types that a trigger can be of. */
uint64_t riscv_csr_read_tinfo(Cpu *cpu, const CsrRow *row, unsigned index)
{
    return 1 << 24 | 1 << TRIGGER_ADDRESS_OLD | 1 << TRIGGER_COUNT | 1 << TRIGGER_INTERRUPT | 1 << TRIGGER_EXCEPTION |
           1 << TRIGGER_ADDRESS | 1 << TRIGGER_DISABLED;
}

void riscv_csr_write_mcontext(Cpu *cpu, const CsrRow *row, unsigned index, uint64_t value)
{
    riscv_state(cpu)->mcontext = value & mask_bits(extra_of(riscv_config(cpu))->machine_bits);
}

void riscv_csr_write_scontext(Cpu *cpu, const CsrRow *row, unsigned index, uint64_t value)
{
    riscv_state(cpu)->scontext = value & mask_bits(extra_of(riscv_config(cpu))->value_bits);
}

bool riscv_csr_allowed_scontext(const Cpu *cpu, unsigned number)
{
    return riscv_state_enabled(cpu, STATEEN_CONTEXT);
}
