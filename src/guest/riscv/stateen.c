/*
 * State enables: Smstateen and Ssstateen ("State Enable Extension" of the privileged manual). What a higher privilege
 * has not enabled is an illegal instruction to lower ones. Bits of extensions that are not there stay zero; of those
 * there are fcsr of Zfinx, jvt, senvcfg, and the registers themselves.
 */
#include "guest/riscv/csr.h"

enum { CSR_MSTATEEN0 = 0x30c, CSR_SSTATEEN0 = 0x10c, STATEEN_NUMBER = 3 };

static bool has_sstateen(const RiscvConfig *config)
{
    return config->s && (config->smstateen || config->ssstateen);
}

bool riscv_csr_has_mstateen(const RiscvConfig *config, unsigned index)
{
    return config->smstateen;
}

bool riscv_csr_has_sstateen(const RiscvConfig *config, unsigned index)
{
    return has_sstateen(config);
}

bool riscv_state_enabled(const Cpu *cpu, uint64_t bit)
{
    const RiscvConfig *config = riscv_config(cpu);
    const RiscvState *state = riscv_state(cpu);

    if (state->privilege == RISCV_MACHINE) {
        return true;
    }
    bool by_machine = !config->smstateen || state->mstateen[0] & bit;
    bool asks_supervisor = state->privilege == RISCV_USER && has_sstateen(config);
    return by_machine && (!asks_supervisor || state->sstateen[0] & bit);
}

/* mstateenN.SE opens sstateenN to supervisor mode. */
bool riscv_csr_allowed_sstateen(const Cpu *cpu, unsigned number)
{
    const RiscvState *state = riscv_state(cpu);

    return state->privilege == RISCV_MACHINE || !riscv_config(cpu)->smstateen ||
           state->mstateen[number & STATEEN_NUMBER] & STATEEN_SE;
}

bool riscv_csr_allowed_senvcfg(const Cpu *cpu, unsigned number)
{
    return riscv_state_enabled(cpu, STATEEN_ENVCFG);
}

/* The bits that the first of the supervisor's registers has. */
static uint64_t sstateen_bits(const RiscvConfig *config, unsigned index)
{
    return index ? 0 : (config->zfinx ? STATEEN_FCSR : 0) | (config->zcmt ? STATEEN_JVT : 0);
}

bool riscv_csr_allowed_jvt(const Cpu *cpu, unsigned number)
{
    return riscv_state_enabled(cpu, STATEEN_JVT);
}

void riscv_csr_write_mstateen(Cpu *cpu, const CsrRow *row, unsigned index, uint64_t value)
{
    const RiscvConfig *config = riscv_config(cpu);
    uint64_t writable = sstateen_bits(config, index) | (config->s ? STATEEN_SE : 0);

    if (index == 0 && config->s) {
        writable |= (config->priv_spec >= RISCV_PRIV_1_12 ? STATEEN_ENVCFG : 0) | (config->debug ? STATEEN_CONTEXT : 0);
    }
    riscv_state(cpu)->mstateen[index] = value & writable;
}

/* A bit that is clear in mstateen reads as zero, and cannot be written. */
static uint64_t opened(const Cpu *cpu, unsigned index)
{
    return riscv_config(cpu)->smstateen ? riscv_state(cpu)->mstateen[index] : UINT64_MAX;
}

uint64_t riscv_csr_read_sstateen(Cpu *cpu, const CsrRow *row, unsigned index)
{
    return riscv_state(cpu)->sstateen[index] & opened(cpu, index);
}

void riscv_csr_write_sstateen(Cpu *cpu, const CsrRow *row, unsigned index, uint64_t value)
{
    uint64_t writable = sstateen_bits(riscv_config(cpu), index) & opened(cpu, index);
    uint64_t *stored = &riscv_state(cpu)->sstateen[index];

    *stored = (*stored & ~writable) | (value & writable);
}
