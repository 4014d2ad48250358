/*
 * What a RISC-V processor is: its extensions and limits. Filled from a model's row, changed by properties, checked and
 * completed by riscv_config_check; constant afterwards. Public: boards read it for the device tree.
 */
#pragma once

#include "base/compiler.h"

typedef struct Error Error;
typedef struct GuestModel GuestModel;
typedef struct Property Property;
typedef struct StrBuf StrBuf;

/* X(member, description): extensions of one letter, and the modes; in the order of an ISA string. */
#define RISCV_LETTERS(X) \
    X(i, "Base integer instruction set") \
    X(e, "Base integer instruction set (embedded)") \
    X(m, "Integer multiplication and division") \
    X(a, "Atomic instructions") \
    X(f, "Single-precision float point") \
    X(d, "Double-precision float point") \
    X(c, "Compressed instructions") \
    X(b, "Bit manipulation (Zba_Zbb_Zbs)") \
    X(s, "Supervisor-level instructions") \
    X(u, "User-level instructions") \
    X(g, "General purpose (IMAFD_Zicsr_Zifencei)")

/* X(member, first privileged specification, description): the others, in the order of an ISA string. */
#define RISCV_EXTENSIONS(X) \
    X(zicbom, RISCV_PRIV_1_12, "Cache-block management") \
    X(zicbop, RISCV_PRIV_1_12, "Cache-block prefetch hints") \
    X(zicboz, RISCV_PRIV_1_12, "Cache-block zero") \
    X(zicond, RISCV_PRIV_1_12, "Integer conditional operations") \
    X(zicntr, RISCV_PRIV_1_10, "Base counters and timers") \
    X(zicsr, RISCV_PRIV_1_10, "Control and status registers") \
    X(zifencei, RISCV_PRIV_1_10, "Instruction-fetch fence") \
    X(zihintntl, RISCV_PRIV_1_10, "Non-temporal locality hints") \
    X(zihintpause, RISCV_PRIV_1_10, "Pause hint") \
    X(zihpm, RISCV_PRIV_1_10, "Hardware performance counters") \
    X(zimop, RISCV_PRIV_1_13, "May-be operations") \
    X(zmmul, RISCV_PRIV_1_10, "Multiplication without division") \
    X(zaamo, RISCV_PRIV_1_10, "Atomic memory operations") \
    X(zabha, RISCV_PRIV_1_13, "Atomic memory operations on bytes and halfwords") \
    X(zacas, RISCV_PRIV_1_12, "Atomic compare and swap") \
    X(zama16b, RISCV_PRIV_1_13, "Misaligned accesses within 16 bytes are atomic") \
    X(zalrsc, RISCV_PRIV_1_10, "Load-reserved and store-conditional") \
    X(zawrs, RISCV_PRIV_1_12, "Wait on a reservation set") \
    X(zfa, RISCV_PRIV_1_12, "More floating-point instructions") \
    X(zfbfmin, RISCV_PRIV_1_12, "Conversions of bf16") \
    X(zfh, RISCV_PRIV_1_11, "Half-precision floating point") \
    X(zfhmin, RISCV_PRIV_1_11, "Half-precision loads, stores and conversions") \
    X(zfinx, RISCV_PRIV_1_12, "Single-precision floating point in integer registers") \
    X(zdinx, RISCV_PRIV_1_12, "Double-precision floating point in integer registers") \
    X(zca, RISCV_PRIV_1_10, "Compressed instructions without floating point") \
    X(zcb, RISCV_PRIV_1_12, "More compressed instructions") \
    X(zcf, RISCV_PRIV_1_10, "Compressed single-precision loads and stores") \
    X(zcd, RISCV_PRIV_1_10, "Compressed double-precision loads and stores") \
    X(zce, RISCV_PRIV_1_12, "Instructions for small code (Zca_Zcb_Zcmp_Zcmt, and Zcf on RV32 with F)") \
    X(zcmop, RISCV_PRIV_1_13, "Compressed may-be operations") \
    X(zcmp, RISCV_PRIV_1_12, "Compressed pushes, pops and moves of two registers") \
    X(zcmt, RISCV_PRIV_1_12, "Compressed jumps by a table") \
    X(zba, RISCV_PRIV_1_12, "Address generation") \
    X(zbb, RISCV_PRIV_1_12, "Basic bit manipulation") \
    X(zbc, RISCV_PRIV_1_12, "Carry-less multiplication") \
    X(zbkb, RISCV_PRIV_1_12, "Bit manipulation for cryptography") \
    X(zbkc, RISCV_PRIV_1_12, "Carry-less multiplication for cryptography") \
    X(zbkx, RISCV_PRIV_1_12, "Crossbar permutations") \
    X(zbs, RISCV_PRIV_1_12, "Single-bit instructions") \
    X(zk, RISCV_PRIV_1_12, "NIST's algorithms, entropy and timing (Zkn_Zkr_Zkt)") \
    X(zkn, RISCV_PRIV_1_12, "NIST's algorithms (Zbkb_Zbkc_Zbkx_Zkne_Zknd_Zknh)") \
    X(zknd, RISCV_PRIV_1_12, "AES decryption") \
    X(zkne, RISCV_PRIV_1_12, "AES encryption") \
    X(zknh, RISCV_PRIV_1_12, "SHA-2 hashes") \
    X(zkr, RISCV_PRIV_1_12, "Entropy source: the seed register") \
    X(zks, RISCV_PRIV_1_12, "ShangMi algorithms (Zbkb_Zbkc_Zbkx_Zksed_Zksh)") \
    X(zksed, RISCV_PRIV_1_12, "SM4 cipher") \
    X(zksh, RISCV_PRIV_1_12, "SM3 hash") \
    X(zkt, RISCV_PRIV_1_12, "Timing that does not depend on data, as far as the host's does not") \
    X(ztso, RISCV_PRIV_1_12, "Total store order") \
    X(zhinx, RISCV_PRIV_1_12, "Half-precision floating point in integer registers") \
    X(zhinxmin, RISCV_PRIV_1_12, "Half-precision conversions in integer registers") \
    X(smcntrpmf, RISCV_PRIV_1_12, "Cycles and instructions counted by privilege") \
    X(smdbltrp, RISCV_PRIV_1_13, "Machine mode notices a trap within a trap") \
    X(smepmp, RISCV_PRIV_1_12, "Memory protection from machine mode too") \
    X(smrnmi, RISCV_PRIV_1_12, "Interrupts that cannot be masked") \
    X(smstateen, RISCV_PRIV_1_12, "State that is opened to lower privileges bit by bit") \
    X(sscofpmf, RISCV_PRIV_1_12, "Interrupts of counters that overflow, and counting by privilege") \
    X(ssdbltrp, RISCV_PRIV_1_13, "Supervisor mode notices a trap within a trap") \
    X(ssstateen, RISCV_PRIV_1_12, "The supervisor's part of smstateen") \
    X(sstc, RISCV_PRIV_1_12, "Supervisor timer interrupts") \
    X(svade, RISCV_PRIV_1_11, "Page faults where accessed and dirty bits need to be set") \
    X(svadu, RISCV_PRIV_1_12, "Hardware updating of accessed and dirty bits") \
    X(svinval, RISCV_PRIV_1_12, "Fine-grained invalidation of translations") \
    X(svnapot, RISCV_PRIV_1_12, "Naturally aligned blocks of pages") \
    X(svpbmt, RISCV_PRIV_1_12, "Memory types by page") \
    X(svvptc, RISCV_PRIV_1_13, "Newly valid page-table entries are seen without a fence")

/* X(member): what is not built. The properties are there, for those who turn them off: they cannot be on. */
#define RISCV_ABSENT(X) \
    X(h) X(v) X(smaia) X(smcdeleg) X(smcsrind) X(smctr) X(smmpm) X(smnpm) X(ssaia) X(ssccfg) X(sscsrind) X(ssctr) \
    X(ssnpm) X(sspm) X(supm) X(xtheadba) X(xtheadbb) X(xtheadbs) X(xtheadcmo) X(xtheadcondmov) X(xtheadfmemidx) \
    X(xtheadfmv) X(xtheadmac) X(xtheadmemidx) X(xtheadmempair) X(xtheadsync) X(xventanacondops) X(zicfilp) X(zicfiss) \
    X(zvbb) X(zvbc) X(zve32f) X(zve32x) X(zve64d) X(zve64f) X(zve64x) X(zvfbfmin) X(zvfbfwma) X(zvfh) X(zvfhmin) \
    X(zvkb) X(zvkg) X(zvkn) X(zvknc) X(zvkned) X(zvkng) X(zvknha) X(zvknhb) X(zvks) X(zvksc) X(zvksed) X(zvksg) \
    X(zvksh) X(zvkt)

typedef enum RiscvPriv { RISCV_PRIV_1_10, RISCV_PRIV_1_11, RISCV_PRIV_1_12, RISCV_PRIV_1_13 } RiscvPriv;

enum { RISCV_PMP_MAXIMUM = 64, RISCV_GIVEN_SIZE = 256 };

typedef struct RiscvConfig {
    uint8_t xlen; /* 32 or 64 */
#define X(name, ...) bool name;
    RISCV_LETTERS(X)
    RISCV_EXTENSIONS(X)
    RISCV_ABSENT(X)
#undef X
    bool mmu, pmp, debug;
    bool rva22u64, rva22s64;
    bool sv32, sv39, sv48, sv57;
    int priv_spec; /* RiscvPriv */
    uint16_t cbom_blocksize, cbop_blocksize, cboz_blocksize; /* bytes: powers of two */
    uint32_t mvendorid;
    uint64_t marchid, mimpid;
    uint64_t resetvec, rnmi_interrupt_vector, rnmi_exception_vector;
    uint8_t pmu_num;              /* older: how many counters of events there are, from 3 on */
    uint32_t pmu_mask;            /* counters of events that are there: bits 3 to 31 */
    uint8_t pmp_count;            /* entries, 0 to RISCV_PMP_MAXIMUM */
    uint8_t paging_levels;        /* of the deepest tables: 0, 2 (Sv32), 3 to 5 */
    bool given[RISCV_GIVEN_SIZE]; /* by offset in this struct: whether the user set the member */
    bool dropped[RISCV_GIVEN_SIZE]; /* ... whether the model has it, but not in this version */
    bool profiles_wanted[2];      /* as in profile.c's list */
} RiscvConfig;

void riscv_config_init(const GuestModel *model, void *config);
void riscv_config_given(void *config, const Property *property);
bool riscv_config_check(const GuestModel *model, void *config, Error **error);
/* Appends lines about a checked configuration that stands, but may not be what was wanted. */
void riscv_config_warnings(const void *config, unsigned index, StrBuf *lines);

/* "rv64imafdc_zicntr_zicsr...", for the device tree's riscv,isa. Owned by the caller. */
char *riscv_isa_string(const void *config);
/* "i", "m", ... each with its NUL, one after the other: riscv,isa-extensions. Owned by the caller. */
char *riscv_isa_extensions(const RiscvConfig *config, size_t *size);
/* riscv,isa-base: "rv64i". */
const char *riscv_isa_base(const RiscvConfig *config);
/* mmu-type: "riscv,sv48". */
const char *riscv_mmu_type(const RiscvConfig *config);
