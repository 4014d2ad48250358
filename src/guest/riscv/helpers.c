/* Functions that translated code calls, beside those of csr.c and trap.c. */
#include "guest/riscv/internal.h"

enum { RS1_SHIFT = 15, RS2_SHIFT = 20 };

static uint64_t helper_raise(Cpu *cpu, uint64_t cause, uint64_t tval, uint64_t unused)
{
    cpu_raise(cpu, (uint32_t)cause, tval);
    return 0;
}

/* Refuses to wait where a higher privilege forbids it. */
static uint64_t helper_wfi(Cpu *cpu, uint64_t bits, uint64_t unused_b, uint64_t unused_c)
{
    const RiscvState *state = riscv_state(cpu);
    bool timeout_wait = state->mstatus & MSTATUS_TW && state->privilege != RISCV_MACHINE;

    if (timeout_wait || (state->privilege == RISCV_USER && riscv_config(cpu)->s)) {
        cpu_raise(cpu, CAUSE_ILLEGAL_INSTRUCTION, bits);
    }
    return 0;
}

static uint64_t helper_sfence_vma(Cpu *cpu, uint64_t bits, uint64_t address, uint64_t space)
{
    const RiscvState *state = riscv_state(cpu);
    const uint64_t *one_page = bits >> RS1_SHIFT & 31 ? &address : NULL;
    const uint64_t *one_space = bits >> RS2_SHIFT & 31 ? &space : NULL;

    if (state->privilege == RISCV_SUPERVISOR && state->mstatus & MSTATUS_TVM) {
        cpu_raise(cpu, CAUSE_ILLEGAL_INSTRUCTION, bits);
    } else {
        riscv_fence(cpu, one_page, one_space);
    }
    return 0;
}

#define EVERYTHING (HELPER_READS | HELPER_WRITES | HELPER_RAISES)

const Helper riscv_helpers[RISCV_HELPER_COUNT] = {
    [RISCV_HELPER_RAISE] = { "raise", helper_raise, NULL, HELPER_RAISES },
    [RISCV_HELPER_CSR] = { "csr", riscv_helper_csr, NULL, EVERYTHING },
    [RISCV_HELPER_MRET] = { "mret", riscv_helper_mret, NULL, EVERYTHING },
    [RISCV_HELPER_SRET] = { "sret", riscv_helper_sret, NULL, EVERYTHING },
    [RISCV_HELPER_WFI] = { "wfi", helper_wfi, NULL, HELPER_READS | HELPER_RAISES },
    [RISCV_HELPER_SFENCE_VMA] = { "sfence_vma", helper_sfence_vma, NULL, HELPER_READS | HELPER_RAISES },
};
