/*
 * Whether a hart's registers are such as it can have: asked of those that come out of a file, before anything runs on
 * them. What is only data may hold anything; these decide how the hart goes on.
 */
#include "guest/riscv/internal.h"

#include "base/error.h"

#include <inttypes.h>

bool riscv_privilege_exists(const RiscvConfig *config, uint64_t privilege)
{
    return privilege == RISCV_MACHINE || (privilege == RISCV_SUPERVISOR && config->s) ||
           (privilege == RISCV_USER && config->u);
}

static bool satp_is_legal(const RiscvConfig *config, uint64_t satp)
{
    return riscv_satp_mode_supported(config, riscv_satp_mode(config, satp));
}

bool riscv_check_state(const Cpu *cpu, Error **error)
{
    const RiscvConfig *config = riscv_config(cpu);
    const RiscvState *state = riscv_state(cpu);
    uint64_t previous = (state->mstatus & MSTATUS_MPP) >> MSTATUS_MPP_SHIFT;
    uint64_t interrupted = (state->mnstatus & MNSTATUS_MNPP) >> MNSTATUS_MNPP_SHIFT;
    const struct {
        const char *name;
        uint64_t value;
        bool legal;
    } registers[] = {
        { "zero", state->x[0], !state->x[0] },
        { "pc", state->pc, !(state->pc & 1) },
        { "privilege", state->privilege, riscv_privilege_exists(config, state->privilege) },
        { "mstatus", state->mstatus, riscv_privilege_exists(config, previous) },
        { "mstatus.fs", state->fs, state->fs <= FS_DIRTY && (config->f || !state->fs) },
        { "frm", state->frm, state->frm <= 7 },
        { "tselect", state->tselect, state->tselect < RISCV_TRIGGERS },
        { "satp", state->satp, satp_is_legal(config, state->satp) },
        { "mtvec", state->mtvec, (state->mtvec & 3) <= 1 },
        { "stvec", state->stvec, (state->stvec & 3) <= 1 },
        { "mnstatus", state->mnstatus, !config->smrnmi || riscv_privilege_exists(config, interrupted) },
        { "mnepc", state->mnepc, !(state->mnepc & 1) },
        { "mepc", state->mepc, !(state->mepc & 1) },
        { "sepc", state->sepc, !(state->sepc & 1) },
    };
    for (size_t i = 0; i < ARRAY_SIZE(registers); i++) {
        if (!registers[i].legal) {
            return error_set(error, "'%s' cannot be 0x%" PRIx64 " in this processor", registers[i].name,
                             registers[i].value);
        }
    }
    return true;
}
