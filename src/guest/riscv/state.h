/*
 * Registers of a RISC-V hart, and the bits of those that the rest of this folder works with. Names are the manual's.
 */
#pragma once

#include "fpu/fpu.h"
#include "guest/riscv/config.h"

typedef enum RiscvPrivilege { RISCV_USER = 0, RISCV_SUPERVISOR = 1, RISCV_MACHINE = 3 } RiscvPrivilege;

enum {
    RISCV_STATEENS = 4,
    RISCV_TRIGGERS = 4,
    RISCV_COUNTERS = 32,
    RISCV_COUNTER_CYCLE = 0,
    RISCV_COUNTER_INSTRET = 2,
    RISCV_FIRST_EVENT_COUNTER = 3,
    RISCV_FIXED_COUNTERS = 1 << RISCV_COUNTER_CYCLE | 1 << RISCV_COUNTER_INSTRET, /* a mask */
};

/* Covered whole by the register tables in registers.c. On RV32 the upper halves of x and pc are zero; a CSR pair
 * (mstatus and mstatush) is one member. */
typedef struct RiscvState {
    uint64_t x[32];
    uint64_t pc;
    uint64_t f[32]; /* narrower values are NaN-boxed */
    FpContext fp;   /* its flags are fflags; its rounding follows frm */
    uint8_t frm;    /* as written: 5 to 7 are kept */
    uint8_t fs;     /* mstatus.FS: off, initial, clean, dirty */
    uint8_t privilege;
    bool stimer; /* time has reached stimecmp: not saved */
    uint64_t mstatus; /* without FS and SD */
    uint64_t medeleg, mideleg, mie, mip; /* mip: the bits that software sets */
    uint64_t mtvec, mscratch, mepc, mcause, mtval, mtval2;
    uint64_t mnscratch, mnepc, mncause, mnstatus;
    uint64_t mcounteren, mcountinhibit, menvcfg;
    uint64_t stvec, sscratch, sepc, scause, stval;
    uint64_t mseccfg;
    uint64_t scounteren, senvcfg, satp, stimecmp;
    uint64_t jvt;
    uint64_t mstateen[RISCV_STATEENS], sstateen[RISCV_STATEENS];
    uint64_t tselect, tdata1[RISCV_TRIGGERS], tdata2[RISCV_TRIGGERS], tdata3[RISCV_TRIGGERS];
    uint64_t mcontext, scontext;
    uint64_t counter[RISCV_COUNTERS];   /* mcycle, none, minstret, mhpmcounter3...: see counters.c */
    uint64_t mhpmevent[RISCV_COUNTERS]; /* the first and the third are mcyclecfg and minstretcfg */
    uint64_t pmpaddr[RISCV_PMP_MAXIMUM];
    uint8_t pmpcfg[RISCV_PMP_MAXIMUM];
} RiscvState;

/* Indices of the register table. */
enum {
    RISCV_REGISTER_X0 = 0,
    RISCV_REGISTER_PC = 32,
    RISCV_REGISTER_F0 = 33,
    RISCV_REGISTER_FS = 65,
    RISCV_REGISTER_FFLAGS = 66,
    RISCV_REGISTER_FRM = 67,
};

enum {
    MSTATUS_SIE = 1 << 1,
    MSTATUS_MIE = 1 << 3,
    MSTATUS_SPIE = 1 << 5,
    MSTATUS_MPIE = 1 << 7,
    MSTATUS_SPP = 1 << 8,
    MSTATUS_MPP_SHIFT = 11,
    MSTATUS_MPP = 3 << MSTATUS_MPP_SHIFT,
    MSTATUS_FS_SHIFT = 13,
    MSTATUS_FS = 3 << MSTATUS_FS_SHIFT,
    MSTATUS_MPRV = 1 << 17,
    MSTATUS_SUM = 1 << 18,
    MSTATUS_MXR = 1 << 19,
    MSTATUS_TVM = 1 << 20,
    MSTATUS_TW = 1 << 21,
    MSTATUS_TSR = 1 << 22,
    MSTATUS_SDT = 1 << 24,
};
#define MSTATUS_MDT BIT(42)
#define MSTATUS_UXL_64 (UINT64_C(2) << 32)
#define MSTATUS_SXL_64 (UINT64_C(2) << 34)

enum { FS_OFF, FS_INITIAL, FS_CLEAN, FS_DIRTY };

enum {
    ENVCFG_FIOM = 1,
    ENVCFG_CBIE = 3 << 4,
    ENVCFG_CBIE_RESERVED = 2 << 4,
    ENVCFG_CBCFE = 1 << 6,
    ENVCFG_CBZE = 1 << 7,
};
#define MENVCFG_DTE BIT(59)
#define MENVCFG_ADUE BIT(61)
#define MENVCFG_PBMTE BIT(62)
#define MENVCFG_STCE BIT(63)

enum { MNSTATUS_NMIE = 1 << 3, MNSTATUS_MNPP_SHIFT = 11, MNSTATUS_MNPP = 3 << MNSTATUS_MNPP_SHIFT };

#define STATEEN_FCSR BIT(1) /* floating point in integer registers */
#define STATEEN_JVT BIT(2)
#define STATEEN_CONTEXT BIT(57)
#define STATEEN_ENVCFG BIT(62)
#define STATEEN_SE BIT(63)

enum {
    MSECCFG_MML = 1,  /* machine mode lock-down */
    MSECCFG_MMWP = 2, /* ... whitelist policy */
    MSECCFG_RLB = 4,  /* rule locking bypass */
    MSECCFG_USEED = 1 << 8, /* user mode may read seed */
    MSECCFG_SSEED = 1 << 9, /* supervisor mode */
};

/* Bits of mip and mie; numbers of interrupt causes. */
enum {
    IRQ_SUPERVISOR_SOFTWARE = 1,
    IRQ_MACHINE_SOFTWARE = 3,
    IRQ_SUPERVISOR_TIMER = 5,
    IRQ_MACHINE_TIMER = 7,
    IRQ_SUPERVISOR_EXTERNAL = 9,
    IRQ_MACHINE_EXTERNAL = 11,
    IRQ_COUNTER_OVERFLOW = 13,
};

/* Lines of the vCPU: those of interrupts have the numbers above. From this one on are those that cannot be masked. */
enum { RISCV_NMI_LINE = 48, RISCV_NMI_LINES = 16 };

typedef enum RiscvCause {
    CAUSE_FETCH_MISALIGNED = 0,
    CAUSE_FETCH_ACCESS = 1,
    CAUSE_ILLEGAL_INSTRUCTION = 2,
    CAUSE_BREAKPOINT = 3,
    CAUSE_LOAD_MISALIGNED = 4,
    CAUSE_LOAD_ACCESS = 5,
    CAUSE_STORE_MISALIGNED = 6,
    CAUSE_STORE_ACCESS = 7,
    CAUSE_USER_ECALL = 8, /* plus the privilege */
    CAUSE_FETCH_PAGE_FAULT = 12,
    CAUSE_LOAD_PAGE_FAULT = 13,
    CAUSE_STORE_PAGE_FAULT = 15,
    CAUSE_DOUBLE_TRAP = 16,
} RiscvCause;

/* satp.MODE */
enum { SATP_BARE = 0, SATP_SV32 = 1, SATP_SV39 = 8, SATP_SV48 = 9, SATP_SV57 = 10 };

/*
 * MMU modes: whose permissions an access has. Each has a TLB of its own, so that changes of privilege, SUM, MXR and
 * MPRV drop nothing. Bit 3 is left for two-stage translation.
 */
enum {
    MMU_MODE_USER = 0,
    MMU_MODE_SUPERVISOR = 1,
    MMU_MODE_SUPERVISOR_SUM = 2, /* may read and write user pages */
    MMU_MODE_MACHINE = 3,
    MMU_MODE_PRIVILEGE = 3, /* mask of the above */
    MMU_MODE_MXR = 4,       /* executable pages are readable; of data, not of machine mode */
    MMU_MODES_TRANSLATED = 0x77,
    MMU_MODES_ALL = 0xff,
};

/* The mode word of translated code. */
enum {
    MODE_MMU = 15,             /* MMU mode of loads and stores */
    MODE_PRIVILEGE_SHIFT = 4,
    MODE_PRIVILEGE = 3 << MODE_PRIVILEGE_SHIFT,
    MODE_FP = 1 << 6,          /* mstatus.FS is not off */
    MODE_BAD_ROUNDING = 1 << 7, /* frm holds no rounding mode */
    MODE_NEAREST_AWAY = 1 << 8, /* frm is RMM */
    MODE_FP_DIRTY = 1 << 9,    /* mstatus.FS is dirty: nothing is to be marked */
    MODE_CACHE_ZERO = 1 << 10, /* cbo.zero is allowed */
    MODE_STEP = 1 << 16,       /* each instruction asks the triggers first */
};
