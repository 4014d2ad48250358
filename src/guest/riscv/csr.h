/* A row of the CSR table. */
#pragma once

#include "guest/riscv/internal.h"

typedef struct CsrRow CsrRow;

enum {
    CSR_ENDS = 1,     /* a write may change the mode word, or which interrupts are taken */
    CSR_DISABLES = 2, /* ... but not where it clears some of the low five bits: that only keeps interrupts off */
    CSR_UPPER = 4,    /* bits 63:32 of what its storage or hooks hold; RV32 alone */
    CSR_EXCHANGE = 16, /* an instruction that does not write it is illegal */
    CSR_HOOKED = 8,   /* partial writes merge with what the read hook says, not with the storage; no hook: zero */
};

/* Hooks see the whole of a register pair at once; `index` counts within the row. */
struct CsrRow {
    uint16_t number;
    uint8_t count; /* numbers that the row stands for; 0 is 1 */
    uint8_t flags;
    const char *name;
    uint8_t first_index; /* where count is not 0: the number behind the first one's name */
    uint16_t offset;     /* in RiscvState, of uint64_t; of each further one behind */
    uint64_t writable;   /* bits that a write without a hook changes */
    bool (*exists)(const RiscvConfig *config, unsigned index); /* NULL: always */
    bool (*allowed)(const Cpu *cpu, unsigned number);          /* as things stand now; NULL: always */
    uint64_t (*read)(Cpu *cpu, const CsrRow *row, unsigned index);
    void (*write)(Cpu *cpu, const CsrRow *row, unsigned index, uint64_t value);
};

static inline uint64_t *riscv_csr_storage(Cpu *cpu, const CsrRow *row, unsigned index)
{
    return (uint64_t *)((char *)riscv_state(cpu) + row->offset) + index;
}

/* Sorted by number. */
extern const CsrRow riscv_csr_rows[];
extern const unsigned riscv_csr_row_count;

/* Hooks: counters.c, stateen.c, trigger.c */
typedef bool CsrExists(const RiscvConfig *config, unsigned index);
typedef bool CsrAllowed(const Cpu *cpu, unsigned number);
typedef uint64_t CsrRead(Cpu *cpu, const CsrRow *row, unsigned index);
typedef void CsrWrite(Cpu *cpu, const CsrRow *row, unsigned index, uint64_t value);
CsrRead riscv_csr_read_counter, riscv_csr_read_mhpmevent, riscv_csr_read_fixed_filter, riscv_csr_read_scountovf,
    riscv_csr_read_time, riscv_csr_read_sstateen, riscv_csr_read_tdata1, riscv_csr_read_tdata2, riscv_csr_read_tdata3,
    riscv_csr_read_tinfo;
CsrWrite riscv_csr_write_counter, riscv_csr_write_mhpmevent, riscv_csr_write_fixed_filter,
    riscv_csr_write_counteren, riscv_csr_write_mcountinhibit, riscv_csr_write_mstateen, riscv_csr_write_sstateen,
    riscv_csr_write_tselect,
    riscv_csr_write_tdata1, riscv_csr_write_tdata2, riscv_csr_write_tdata3, riscv_csr_write_mcontext,
    riscv_csr_write_scontext;
CsrExists riscv_csr_has_mstateen, riscv_csr_has_sstateen;
CsrAllowed riscv_csr_allowed_sstateen, riscv_csr_allowed_senvcfg, riscv_csr_allowed_jvt,
    riscv_csr_allowed_scontext;
