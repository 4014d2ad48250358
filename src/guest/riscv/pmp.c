/*
 * Physical memory protection: "Physical Memory Protection" of the privileged manual. Entries are kept as written; what
 * they come to, a list of address ranges in order of priority, is derived at each write. mseccfg is after "PMP
 * Enhancements for memory access and execution prevention in Machine mode" (Smepmp).
 */
#include "guest/riscv/internal.h"

enum {
    PMP_READ = 1,
    PMP_WRITE = 2,
    PMP_EXECUTE = 4,
    PMP_MATCH_SHIFT = 3,
    PMP_MATCH = 3 << PMP_MATCH_SHIFT,
    PMP_LOCKED = 0x80,
    PMP_GRAIN_BITS = 2, /* the smallest region: four bytes */
};
typedef enum PmpMatch { PMP_OFF, PMP_TOP_OF_RANGE, PMP_FOUR_BYTES, PMP_POWER_OF_2 } PmpMatch;

static PmpMatch match_of(uint8_t config)
{
    return (PmpMatch)((config & PMP_MATCH) >> PMP_MATCH_SHIFT);
}

/* False: the entry is off, or an empty range. */
static bool entry_range(const RiscvState *state, unsigned entry, struct RiscvPmpRange *range)
{
    uint64_t address = state->pmpaddr[entry];

    range->config = state->pmpcfg[entry];
    switch (match_of(range->config)) {
    case PMP_OFF:
        return false;
    case PMP_TOP_OF_RANGE:
        range->first = entry ? state->pmpaddr[entry - 1] << 2 : 0;
        range->last = (address << 2) - 1;
        return address << 2 > range->first;
    case PMP_FOUR_BYTES:
        range->first = address << 2;
        range->last = range->first + 3;
        return true;
    case PMP_POWER_OF_2: {
        uint64_t ones = address ^ (address + 1); /* the trailing ones and the zero above */
        range->first = (address & ~ones) << 2;
        range->last = ((address | ones) << 2) + 3;
        return true;
    }
    }
    return false;
}

void riscv_pmp_derive(Cpu *cpu)
{
    RiscvHart *hart = riscv_hart(cpu);

    hart->pmp_count = 0;
    for (unsigned i = 0; i < riscv_config(cpu)->pmp_count; i++) {
        if (entry_range(riscv_state(cpu), i, &hart->pmp[hart->pmp_count])) {
            hart->pmp_count++;
        }
    }
    riscv_protection_changed(cpu);
}

/* The largest block of at most *page_bits around `physical`, and the longest stretch from there on, that `boundary`
 * does not cut. */
static void cut_page(uint64_t physical, uint64_t boundary, uint8_t *page_bits, uint64_t *extent)
{
    uint64_t first = align_down(physical, BIT(*page_bits));

    if (boundary > physical) {
        *extent = MIN(*extent, boundary - physical);
    }
    while (*page_bits > PMP_GRAIN_BITS && boundary > first && boundary - first < BIT(*page_bits)) {
        --*page_bits;
        first = align_down(physical, BIT(*page_bits));
    }
}

enum { ALL_PERMISSIONS = MMU_PERM_READ | MMU_PERM_WRITE | MMU_PERM_EXECUTE };

static uint8_t plain_permissions(uint8_t config)
{
    return (config & PMP_READ ? MMU_PERM_READ : 0) | (config & PMP_WRITE ? MMU_PERM_WRITE : 0) |
           (config & PMP_EXECUTE ? MMU_PERM_EXECUTE : 0);
}

/* Under mseccfg.MML, by the low three bits of the entry's configuration. */
typedef struct LockedDown {
    uint8_t machine, lower;
} LockedDown;

static LockedDown locked_down(uint8_t config)
{
    enum { R = MMU_PERM_READ, W = MMU_PERM_WRITE, X = MMU_PERM_EXECUTE };
    static const LockedDown open[] = { { 0, 0 }, { 0, R },     { R | W, R },     { 0, R | W },
                                       { 0, X }, { 0, R | X }, { R | W, R | W }, { 0, R | W | X } };
    static const LockedDown locked[] = { { 0, 0 }, { R, 0 },     { X, X },     { R | W, 0 },
                                         { X, 0 }, { R | X, 0 }, { R | X, X }, { R, R } };
    return (config & PMP_LOCKED ? locked : open)[config & (PMP_READ | PMP_WRITE | PMP_EXECUTE)];
}

static uint8_t matched_permissions(const Cpu *cpu, uint8_t config, RiscvPrivilege privilege)
{
    if (riscv_state(cpu)->mseccfg & MSECCFG_MML) {
        LockedDown both = locked_down(config);
        return privilege == RISCV_MACHINE ? both.machine : both.lower;
    }
    return privilege == RISCV_MACHINE && !(config & PMP_LOCKED) ? ALL_PERMISSIONS : plain_permissions(config);
}

static uint8_t unmatched_permissions(const Cpu *cpu, RiscvPrivilege privilege)
{
    uint64_t mseccfg = riscv_state(cpu)->mseccfg;

    if (privilege != RISCV_MACHINE) {
        return riscv_config(cpu)->pmp_count ? 0 : ALL_PERMISSIONS;
    }
    return mseccfg & MSECCFG_MMWP ? 0
           : mseccfg & MSECCFG_MML ? MMU_PERM_READ | MMU_PERM_WRITE
                                   : ALL_PERMISSIONS;
}

uint8_t riscv_pmp_permissions(const Cpu *cpu, uint64_t physical, RiscvPrivilege privilege, uint8_t *page_bits,
                              uint64_t *extent)
{
    const RiscvHart *hart = riscv_hart(cpu);

    *extent = UINT64_MAX;
    for (unsigned i = 0; i < hart->pmp_count; i++) {
        const struct RiscvPmpRange *range = &hart->pmp[i];
        cut_page(physical, range->first, page_bits, extent);
        cut_page(physical, range->last + 1, page_bits, extent);
        if (physical >= range->first && physical <= range->last) {
            return matched_permissions(cpu, range->config, privilege);
        }
    }
    return unmatched_permissions(cpu, privilege);
}

static bool is_locked(const RiscvState *state, unsigned entry)
{
    return state->pmpcfg[entry] & PMP_LOCKED && !(state->mseccfg & MSECCFG_RLB);
}

uint8_t riscv_pmp_config(const Cpu *cpu, unsigned entry)
{
    return entry < riscv_config(cpu)->pmp_count ? riscv_state(cpu)->pmpcfg[entry] : 0;
}

/* Reserved: writable but not readable. Under MML that means something, but no entry may be added that lets machine mode
 * execute. */
static bool may_become(const RiscvState *state, uint8_t value)
{
    if (!(state->mseccfg & MSECCFG_MML)) {
        return (value & (PMP_READ | PMP_WRITE)) != PMP_WRITE;
    }
    return state->mseccfg & MSECCFG_RLB || !(value & PMP_LOCKED) || !(locked_down(value).machine & MMU_PERM_EXECUTE);
}

/* A locked entry stays. */
void riscv_pmp_set_config(Cpu *cpu, unsigned entry, uint8_t value)
{
    RiscvState *state = riscv_state(cpu);

    if (entry >= riscv_config(cpu)->pmp_count || is_locked(state, entry) || !may_become(state, value)) {
        return;
    }
    state->pmpcfg[entry] = value & (PMP_READ | PMP_WRITE | PMP_EXECUTE | PMP_MATCH | PMP_LOCKED);
}

/* A locked range from one address to the next locks both. */
void riscv_pmp_set_address(Cpu *cpu, unsigned entry, uint64_t value)
{
    RiscvState *state = riscv_state(cpu);
    unsigned count = riscv_config(cpu)->pmp_count;
    bool next_locked = entry + 1 < count && is_locked(state, entry + 1) &&
                       match_of(state->pmpcfg[entry + 1]) == PMP_TOP_OF_RANGE;

    if (entry < count && !is_locked(state, entry) && !next_locked) {
        state->pmpaddr[entry] = value & mask_bits(riscv_config(cpu)->xlen == 64 ? 54 : 32);
    }
}

/* MML and MMWP stay once they are set; RLB stays clear once an entry is locked. The other bits are left alone. */
void riscv_pmp_set_mseccfg(Cpu *cpu, uint64_t value)
{
    RiscvState *state = riscv_state(cpu);
    uint64_t once = MSECCFG_MML | MSECCFG_MMWP, others = state->mseccfg & ~(once | MSECCFG_RLB);
    bool locked = false;

    for (unsigned i = 0; i < riscv_config(cpu)->pmp_count; i++) {
        locked |= state->pmpcfg[i] & PMP_LOCKED;
    }
    uint64_t bypass = locked && !(state->mseccfg & MSECCFG_RLB) ? 0 : value & MSECCFG_RLB;
    state->mseccfg = others | ((state->mseccfg | value) & once) | bypass;
    riscv_protection_changed(cpu);
}
