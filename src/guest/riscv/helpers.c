/* Functions that translated code calls, beside those of csr.c and trap.c. */
#include "guest/riscv/internal.h"

enum { RS1_SHIFT = 15, RS2_SHIFT = 20, IMMEDIATE_SHIFT = 20 };

/* The immediate of cbo instructions. */
typedef enum RiscvCacheOperation { CACHE_INVAL, CACHE_CLEAN, CACHE_FLUSH, CACHE_ZERO = 4 } RiscvCacheOperation;

static uint64_t helper_raise(Cpu *cpu, uint64_t cause, uint64_t tval, uint64_t unused)
{
    cpu_raise(cpu, (uint32_t)cause, tval);
    return 0;
}

/* Refuses to wait where a higher privilege forbids it: for the shortest time that the manual lets waiting have. */
static bool may_wait(const Cpu *cpu)
{
    const RiscvState *state = riscv_state(cpu);
    return state->privilege == RISCV_MACHINE || !(state->mstatus & MSTATUS_TW);
}

static uint64_t helper_wfi(Cpu *cpu, uint64_t bits, uint64_t unused_b, uint64_t unused_c)
{
    if (!may_wait(cpu) || (riscv_state(cpu)->privilege == RISCV_USER && riscv_config(cpu)->s)) {
        cpu_raise(cpu, CAUSE_ILLEGAL_INSTRUCTION, bits);
    }
    return 0;
}

static uint64_t helper_wrs_nto(Cpu *cpu, uint64_t bits, uint64_t unused_b, uint64_t unused_c)
{
    if (!may_wait(cpu)) {
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

/* Cache blocks (Zicbom, Zicboz). */

bool riscv_environment_allows(const Cpu *cpu, uint64_t field)
{
    const RiscvState *state = riscv_state(cpu);
    bool denied = (state->privilege != RISCV_MACHINE && !(state->menvcfg & field)) ||
                  (state->privilege == RISCV_USER && riscv_config(cpu)->s && !(state->senvcfg & field));
    return !denied;
}

static bool cache_operation_allowed(const Cpu *cpu, RiscvCacheOperation operation)
{
    uint64_t field = operation == CACHE_INVAL ? ENVCFG_CBIE : operation == CACHE_ZERO ? ENVCFG_CBZE : ENVCFG_CBCFE;
    return riscv_environment_allows(cpu, field);
}

/* What may not be done to a block is a fault of a store, and names the address that was given. */
static void blame_store(Cpu *cpu, uint64_t address)
{
    uint32_t *code = &cpu->exec.exception.code;

    *code = *code == CAUSE_LOAD_PAGE_FAULT ? CAUSE_STORE_PAGE_FAULT
            : *code == CAUSE_LOAD_ACCESS   ? CAUSE_STORE_ACCESS
                                           : *code;
    cpu->exec.exception.value = address;
}

/* Stores zeroes to the block around the address; what is raised names the address itself. */
static void zero_block(Cpu *cpu, uint64_t address, unsigned mode, unsigned size)
{
    static const uint64_t zeroes[8];
    uint64_t start = align_down(address, size);
    unsigned step = MIN(size, 64);
    MemOp op = (MemOp)((unsigned)__builtin_ctz(step) | mode << MEM_MODE_SHIFT);

    for (uint64_t at = start; at - start < size; at += step) {
        if (!cpu->exec.memory->store(cpu, at, op, zeroes)) {
            blame_store(cpu, address);
            return;
        }
    }
}

/* Guest memory is coherent: nothing is to be done but to check, whatever protects parts of the block. What may be read
 * may be managed, and nothing may be written that may not be read. Vacant addresses are not told from devices: neither
 * faults. */
static void manage_block(Cpu *cpu, uint64_t address, unsigned mode, unsigned size)
{
    uint64_t start = align_down(address, size), step;
    MmuResult result;

    for (uint64_t at = start; at - start < size; at += step) {
        if (!riscv_walk(cpu, at, MMU_READ, mode, false, &result)) {
            blame_store(cpu, address);
            return;
        }
        step = MIN(result.extent, BIT(cpu->exec.page_bits) - (at & mask_bits(cpu->exec.page_bits)));
    }
}

static uint64_t helper_cache_block(Cpu *cpu, uint64_t bits, uint64_t address, uint64_t mode)
{
    RiscvCacheOperation operation = (RiscvCacheOperation)(bits >> IMMEDIATE_SHIFT);

    if (!cache_operation_allowed(cpu, operation)) {
        cpu_raise(cpu, CAUSE_ILLEGAL_INSTRUCTION, bits);
    } else if (operation == CACHE_ZERO) {
        zero_block(cpu, address, (unsigned)mode, riscv_config(cpu)->cboz_blocksize);
    } else {
        manage_block(cpu, address, (unsigned)mode, riscv_config(cpu)->cbom_blocksize);
    }
    return 0;
}

#define EVERYTHING (HELPER_READS | HELPER_WRITES | HELPER_RAISES)

const Helper riscv_helpers[RISCV_HELPER_COUNT] = {
    [RISCV_HELPER_RAISE] = { "raise", helper_raise, NULL, HELPER_RAISES },
    [RISCV_HELPER_CSR] = { "csr", riscv_helper_csr, NULL, EVERYTHING },
    [RISCV_HELPER_MRET] = { "mret", riscv_helper_mret, NULL, EVERYTHING },
    [RISCV_HELPER_SRET] = { "sret", riscv_helper_sret, NULL, EVERYTHING },
    [RISCV_HELPER_MNRET] = { "mnret", riscv_helper_mnret, NULL, EVERYTHING },
    [RISCV_HELPER_STEP] = { "step", riscv_helper_step, NULL, EVERYTHING },
    [RISCV_HELPER_WFI] = { "wfi", helper_wfi, NULL, HELPER_READS | HELPER_RAISES },
    [RISCV_HELPER_WRS_NTO] = { "wrs_nto", helper_wrs_nto, NULL, HELPER_READS | HELPER_RAISES },
    [RISCV_HELPER_SFENCE_VMA] = { "sfence_vma", helper_sfence_vma, NULL, HELPER_READS | HELPER_RAISES },
    [RISCV_HELPER_ZIP] = { "zip", riscv_helper_zip, NULL, HELPER_PURE },
    [RISCV_HELPER_UNZIP] = { "unzip", riscv_helper_unzip, NULL, HELPER_PURE },
    [RISCV_HELPER_XPERM] = { "xperm", riscv_helper_xperm, NULL, HELPER_PURE },
    [RISCV_HELPER_AES32] = { "aes32", riscv_helper_aes32, NULL, HELPER_PURE },
    [RISCV_HELPER_AES64] = { "aes64", riscv_helper_aes64, NULL, HELPER_PURE },
    [RISCV_HELPER_AES64IM] = { "aes64im", riscv_helper_aes64im, NULL, HELPER_PURE },
    [RISCV_HELPER_AES64KS1I] = { "aes64ks1i", riscv_helper_aes64ks1i, NULL, HELPER_PURE },
    [RISCV_HELPER_SM4] = { "sm4", riscv_helper_sm4, NULL, HELPER_PURE },
    [RISCV_HELPER_CACHE_BLOCK] = { "cache_block", helper_cache_block, NULL,
                                   HELPER_READS | HELPER_RAISES | HELPER_MEMORY },
    [RISCV_HELPER_FCVTMOD] = { "fcvtmod", riscv_helper_fcvtmod, NULL, HELPER_PURE },
    [RISCV_HELPER_TABLE_JUMP] = { "table_jump", riscv_helper_table_jump, NULL,
                                  HELPER_READS | HELPER_RAISES | HELPER_MEMORY },
};
