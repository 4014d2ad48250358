/* What the files of guest/riscv share. */
#pragma once

#include "cpu/cpu.h"
#include "guest/riscv/state.h"
#include "object/object.h"

static inline RiscvState *riscv_state(const Cpu *cpu) { return cpu_state(cpu); }
static inline const RiscvConfig *riscv_config(const Cpu *cpu) { return cpu->config; }

/* Derived from CSRs; cpu->guest_data. */
typedef struct RiscvHart {
    unsigned pmp_count; /* entries that are on, in order of their numbers */
    struct RiscvPmpRange {
        uint64_t first, last; /* physical addresses, both inclusive */
        uint8_t config;       /* of pmpcfg */
    } pmp[RISCV_PMP_MAXIMUM];
    uint32_t counting;                /* counters that count */
    bool filtered;                    /* ... or may, by the privilege */
    uint64_t zero_at[RISCV_COUNTERS]; /* of a counter of instructions: how many have run where it overflows */
    /* Triggers. Bit n: in privilege n, one waits for instructions, or for data. */
    uint8_t stepping, watching;
    bool counts_steps, waits_for_traps;
    uint32_t step_counted; /* the triggers that counted the present instruction */
    unsigned step_length;  /* of that instruction, in bytes */
    uint64_t step_at;      /* its number, from 1, once it has been counted */
} RiscvHart;
static inline RiscvHart *riscv_hart(const Cpu *cpu) { return cpu->guest_data; }

/* An address or register value as wide as the hart has it. */
static inline uint64_t riscv_truncate(const RiscvConfig *config, uint64_t value)
{
    return config->xlen == 64 ? value : (uint32_t)value;
}

/* config.c */
extern const GuestModel riscv64_models[], riscv32_models[];
extern const Property riscv64_properties[], riscv32_properties[];

/* check.c */
bool riscv_privilege_exists(const RiscvConfig *config, uint64_t privilege);
bool riscv_check_state(const Cpu *cpu, Error **error);

/* mmu.c */
unsigned riscv_data_mmu_mode(const Cpu *cpu);
unsigned riscv_fetch_mmu_mode(const Cpu *cpu);
uint64_t riscv_space(const Cpu *cpu);
bool riscv_walk(Cpu *cpu, uint64_t address, MmuAccess access, unsigned mmu_mode, bool probe, MmuResult *result);
void riscv_bus_error(Cpu *cpu, uint64_t address, uint64_t physical, MmuAccess access);
void riscv_misaligned(Cpu *cpu, uint64_t address, MmuAccess access);
/* info mem: what satp's tables map, whatever mode the hart is in. */
void riscv_print_mappings(Cpu *cpu, StrBuf *buffer);
/* What follows changes of the tables, of the registers that choose between them, and of those that decide about all
 * accesses. */
/* sfence.vma: for one page, one address space, or all where NULL. */
void riscv_fence(Cpu *cpu, const uint64_t *address, const uint64_t *space);
void riscv_satp_changed(Cpu *cpu);
void riscv_translation_changed(Cpu *cpu);
void riscv_protection_changed(Cpu *cpu);
unsigned riscv_satp_mode(const RiscvConfig *config, uint64_t satp);
bool riscv_satp_mode_supported(const RiscvConfig *config, unsigned mode);

/* pmp.c */
/* What `privilege` may do at `physical`, as MMU_PERM bits; *page_bits is lowered to the size of the block around it
 * that has one answer, *extent is how many bytes from there on belong to the same entry. */
uint8_t riscv_pmp_permissions(const Cpu *cpu, uint64_t physical, RiscvPrivilege privilege, uint8_t *page_bits,
                              uint64_t *extent);
uint8_t riscv_pmp_config(const Cpu *cpu, unsigned entry);
void riscv_pmp_set_config(Cpu *cpu, unsigned entry, uint8_t value);
void riscv_pmp_set_address(Cpu *cpu, unsigned entry, uint64_t value);
void riscv_pmp_derive(Cpu *cpu);
void riscv_pmp_set_mseccfg(Cpu *cpu, uint64_t value);

/* trigger.c */
void riscv_trigger_reset(Cpu *cpu);
/* The registers changed. */
void riscv_trigger_derive(Cpu *cpu);
/* Guest.watch; and whether a page of data holds something that it has to be asked about. */
bool riscv_watch(Cpu *cpu, uint64_t address, unsigned size, MmuAccess access);
bool riscv_page_watched(const Cpu *cpu, uint64_t address);
/* Where the instruction at pc cannot be fetched. False: a trigger comes first, and its exception is pending. */
bool riscv_fetch_passes(Cpu *cpu);
/* Called in front of each instruction where the mode word says so. */
uint64_t riscv_helper_step(Cpu *cpu, uint64_t pc, uint64_t length, uint64_t unused);
/* A trap is about to be taken at `pc`; it was taken, out of `from`: true if the handler's first instruction traps. */
void riscv_trigger_before_trap(Cpu *cpu, uint64_t pc);
bool riscv_trigger_trap(Cpu *cpu, RiscvPrivilege from, bool interrupt, unsigned cause);

/* counters.c */
void riscv_counters_reset(Cpu *cpu);
/* The state came out of a file. */
void riscv_counters_settle(Cpu *cpu);
/* An address was not in the TLB. */
void riscv_count_miss(Cpu *cpu, MmuAccess access);
void riscv_alarm(Cpu *cpu);
/* The one way to another privilege. `done`: 1 if the instruction under way is one of the old privilege's. */
void riscv_set_privilege(Cpu *cpu, RiscvPrivilege privilege, unsigned done);

/* trap.c */
void riscv_deliver(Cpu *cpu);
bool riscv_interrupt(Cpu *cpu);
bool riscv_has_work(const Cpu *cpu);
void riscv_timer(Cpu *cpu, unsigned timer);
/* mip as a read of it shows: what software set, the lines, and the supervisor timer. */
uint64_t riscv_pending(const Cpu *cpu);
/* Moves pulses of lines into mip. */
void riscv_latch_edges(Cpu *cpu);
/* stimecmp or what enables it changed. */
void riscv_update_timer(Cpu *cpu);
/* stateen.c: whether mstateen0, and sstateen0 where it has the bit, leave the present privilege what the bit is for. */
bool riscv_state_enabled(const Cpu *cpu, uint64_t bit);

/* Whether Smrnmi keeps all interrupts off, and mstatus.MPRV without effect. */
bool riscv_in_nmi(const Cpu *cpu);
/* Returns: the new pc; an exception may be pending instead. */
uint64_t riscv_helper_mret(Cpu *cpu, uint64_t bits, uint64_t unused_b, uint64_t unused_c);
uint64_t riscv_helper_sret(Cpu *cpu, uint64_t bits, uint64_t unused_b, uint64_t unused_c);
uint64_t riscv_helper_mnret(Cpu *cpu, uint64_t bits, uint64_t unused_b, uint64_t unused_c);

/* helpers.c: whether menvcfg, and senvcfg where it has a say, leave the present privilege what the field is for. */
bool riscv_environment_allows(const Cpu *cpu, uint64_t field);

/* csr.c */
void riscv_set_frm(RiscvState *state, unsigned frm);
/* What the CSR instruction `bits` is, when it is translated for `privilege`. */
typedef struct RiscvCsrUse {
    unsigned row; /* for the helper */
    bool exists;  /* for this processor and privilege, and writable where it is written; may still be refused later */
    bool ends;    /* it changes how code is translated, or which interrupts are taken */
} RiscvCsrUse;
RiscvCsrUse riscv_csr_use(const Cpu *cpu, uint32_t bits, RiscvPrivilege privilege);
/* Appends the name, or the number where there is no such register. */
void riscv_csr_name(const RiscvConfig *config, unsigned number, StrBuf *buffer);
/* For monitors and tests: no side effects but those of the register itself; false where there is no such register. */
bool riscv_csr_read(Cpu *cpu, unsigned number, uint64_t *value);
bool riscv_csr_write(Cpu *cpu, unsigned number, uint64_t value);
/* For debuggers: those by their numbers, and behind them the privilege mode, "priv". */
enum { RISCV_SYSTEM_REGISTERS = 4097 };
bool riscv_system_register(const Cpu *cpu, unsigned number, char name[24], unsigned *bits);
bool riscv_get_system_register(Cpu *cpu, unsigned number, uint64_t *value);
bool riscv_set_system_register(Cpu *cpu, unsigned number, uint64_t value);
/* `bits`: the instruction, with the row of riscv_csr_use in the upper half. `operand`: rs1's value or the immediate. */
uint64_t riscv_helper_csr(Cpu *cpu, uint64_t bits, uint64_t operand, uint64_t unused);

/* crypto.c */
enum { CRYPTO_BYTE = 3, AES_DECRYPT = 4, AES_MIDDLE = 8, SM4_KEY = 4 }; /* a third argument: byte number and these */
uint64_t riscv_helper_zip(Cpu *cpu, uint64_t value, uint64_t unused_b, uint64_t unused_c);
uint64_t riscv_helper_unzip(Cpu *cpu, uint64_t value, uint64_t unused_b, uint64_t unused_c);
uint64_t riscv_helper_xperm(Cpu *cpu, uint64_t table, uint64_t indices, uint64_t width);
uint64_t riscv_helper_aes32(Cpu *cpu, uint64_t sum, uint64_t source, uint64_t how);
uint64_t riscv_helper_aes64(Cpu *cpu, uint64_t low, uint64_t high, uint64_t how);
uint64_t riscv_helper_aes64im(Cpu *cpu, uint64_t columns, uint64_t unused_b, uint64_t unused_c);
uint64_t riscv_helper_aes64ks1i(Cpu *cpu, uint64_t key, uint64_t round, uint64_t unused);
uint64_t riscv_helper_sm4(Cpu *cpu, uint64_t sum, uint64_t source, uint64_t how);

/* translate_fa.c: a double's bits to an integer modulo 2^32 */
uint64_t riscv_helper_fcvtmod(Cpu *cpu, uint64_t bits, uint64_t unused_b, uint64_t unused_c);

/* translate_code_size.c: an entry of jvt's table; `bits` are the instruction's */
uint64_t riscv_helper_table_jump(Cpu *cpu, uint64_t index, uint64_t bits, uint64_t unused);

/* helpers.c: the guest's helper table, and its indices */
enum {
    RISCV_HELPER_RAISE,
    RISCV_HELPER_CSR,
    RISCV_HELPER_MRET,
    RISCV_HELPER_SRET,
    RISCV_HELPER_MNRET,
    RISCV_HELPER_WFI,
    RISCV_HELPER_WRS_NTO,
    RISCV_HELPER_SFENCE_VMA,
    RISCV_HELPER_ZIP,
    RISCV_HELPER_UNZIP,
    RISCV_HELPER_XPERM,
    RISCV_HELPER_AES32,
    RISCV_HELPER_AES64,
    RISCV_HELPER_AES64IM,
    RISCV_HELPER_AES64KS1I,
    RISCV_HELPER_SM4,
    RISCV_HELPER_CACHE_BLOCK,
    RISCV_HELPER_FCVTMOD,
    RISCV_HELPER_TABLE_JUMP,
    RISCV_HELPER_STEP,
    RISCV_HELPER_COUNT
};
extern const Helper riscv_helpers[RISCV_HELPER_COUNT];

/* registers.c */
enum { RISCV_REGISTER_COUNT = 259 };
extern const GuestRegister riscv64_registers[RISCV_REGISTER_COUNT], riscv32_registers[RISCV_REGISTER_COUNT];
extern const char *const riscv_x_names[32], *const riscv_f_names[32];
void riscv_print_registers(const Cpu *cpu, bool with_fp, StrBuf *buffer);

/* translate.c, disassemble.c */
void riscv_translate(Translator *t);
unsigned riscv_disassemble(const Cpu *cpu, uint64_t pc, const uint8_t *bytes, unsigned count, StrBuf *buffer);
