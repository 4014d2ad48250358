/* Event counters: what they count, in which modes, and what happens where they overflow. */
#include "test.h"

#define CYCLES 1
#define INSTRUCTIONS 2
#define LOAD_MISS 0x10019
#define STORE_MISS 0x1001b
#define FETCH_MISS 0x10021

#define MCOUNTINHIBIT 0x320
#define MCYCLECFG 0x321
#define MCYCLECFGH 0x721
#define MINSTRETCFG 0x322
#define MINSTRETCFGH 0x722
#define SCOUNTOVF 0xda0
#define OVERFLOW_IRQ 13

/* Bits of the upper half. */
#define OF 0x80000000
#define MINH 0x40000000
#define SINH 0x20000000
#define UINH 0x10000000

/* The upper half of mhpmevent3 becomes these bits, its event this one. Changes t0 to t2. */
.macro SET_EVENT event, flags=0
#if __riscv_xlen == 64
    li t0, (\flags) << 32 | (\event)
    csrw mhpmevent3, t0
#else
    li t0, \flags
    csrw 0x723, t0
    li t0, \event
    csrw mhpmevent3, t0
#endif
.endm

.macro GET_FLAGS register
#if __riscv_xlen == 64
    csrr \register, mhpmevent3
    srli \register, \register, 32
#else
    csrr \register, 0x723
#endif
.endm

/* mhpmcounter3 = -value: so many more until it overflows. */
.macro SET_LEFT value
    li t0, -(\value)
#if __riscv_xlen == 32
    li t1, -1
    csrw mhpmcounter3h, t1
#endif
    csrw mhpmcounter3, t0
.endm

.macro SET_FILTER csr, upper, flags
#if __riscv_xlen == 64
    li t0, (\flags) << 32
    csrw \csr, t0
#else
    li t0, \flags
    csrw \upper, t0
#endif
.endm

TEST instructions
    SET_EVENT INSTRUCTIONS
    csrw mhpmcounter3, zero
    nop
    nop
    csrr a2, mhpmcounter3
    CHECK a2, 2
    SET_EVENT CYCLES
    csrwi mhpmcounter3, 10
    csrr a2, mhpmcounter3
    CHECK a2, 10
    SET_EVENT 0                 /* nothing */
    csrwi mhpmcounter3, 5
    nop
    csrr a2, mhpmcounter3
    CHECK a2, 5
    li t0, 0x12345              /* what it does not know */
    csrw mhpmevent3, t0
    csrr a2, mhpmevent3
    CHECK_SAME a2, t0
    csrr a2, mhpmcounter3
    CHECK a2, 5
    END

/* An instruction that starts or stops counting is counted as things were before it. */
TEST inhibit
    SET_EVENT INSTRUCTIONS
    li t0, 8
    csrw mhpmcounter3, zero
    csrs MCOUNTINHIBIT, t0
    nop
    csrr a2, mhpmcounter3
    CHECK a2, 1
    csrw mhpmcounter3, zero
    csrc MCOUNTINHIBIT, t0
    nop
    csrr a2, mhpmcounter3
    CHECK a2, 1
    csrw minstret, zero         /* the others go on */
    csrs MCOUNTINHIBIT, t0
    csrc MCOUNTINHIBIT, t0
    csrr a2, minstret
    CHECK a2, 2
    END

TEST writable
    li t0, -1
    csrw MCOUNTINHIBIT, t0
    csrr a2, MCOUNTINHIBIT
    CHECK a2, 0x7fffd           /* by pmu-mask: counters 3 to 18 */
    csrw mhpmcounter18, t0
    csrr a2, mhpmcounter18
    CHECK a2, -1
    csrw mhpmcounter19, t0
    csrr a2, mhpmcounter19
    CHECK a2, 0
    csrw mhpmevent19, t0
    csrr a2, mhpmevent19
    CHECK a2, 0
    csrw MCOUNTINHIBIT, zero
    SET_FILTER MCYCLECFG, MCYCLECFGH, 0xffffffff
#if __riscv_xlen == 64
    csrr a2, MCYCLECFG
    srli a2, a2, 32
#else
    csrr a2, MCYCLECFGH
#endif
    CHECK a2, MINH | SINH | UINH
    SET_FILTER MCYCLECFG, MCYCLECFGH, 0
    END

/* Three instructions in each of the lower modes. */
.macro COUNT_MODES
    csrw mhpmcounter3, zero
    ENTER MSTATUS_MPP_S
    nop
    nop
    nop
    LEAVE
    ENTER 0
    nop
    nop
    nop
    LEAVE
    csrr a2, mhpmcounter3
.endm

TEST filters
    SET_EVENT INSTRUCTIONS, MINH
    COUNT_MODES
    CHECK a2, 10                /* those above, and two of LEAVE's, whose ecall does not retire */
    SET_EVENT INSTRUCTIONS, MINH | SINH
    COUNT_MODES
    CHECK a2, 5
    SET_EVENT INSTRUCTIONS, MINH | SINH | UINH
    COUNT_MODES
    CHECK a2, 0
    SET_EVENT INSTRUCTIONS, MINH | UINH
    COUNT_MODES
    CHECK a2, 5
    END

/* What leaves a mode is counted there. */
TEST fixed_filters
    SET_FILTER MINSTRETCFG, MINSTRETCFGH, MINH
    csrw minstret, zero
    nop
    csrr a2, minstret
    CHECK a2, 0
    ENTER MSTATUS_MPP_S
    nop
    LEAVE
    csrr a2, minstret
    CHECK a2, 3
    SET_FILTER MCYCLECFG, MCYCLECFGH, MINH | SINH | UINH
    csrw mcycle, zero
    nop
    csrr a2, mcycle
    CHECK a2, 0
    SET_FILTER MCYCLECFG, MCYCLECFGH, 0
    csrw mcycle, zero
    nop
    csrr a2, mcycle
    CHECK a2, 1
    END

/* Exactly where the counter gets to zero; once. */
TEST overflow
    SET_EVENT INSTRUCTIONS
    li t2, 1 << OVERFLOW_IRQ
    csrs mie, t2
    la s11, 1f
    csrsi mstatus, MSTATUS_MIE
    SET_LEFT 3
    nop
    nop
    nop
2:  nop
    j test_fail
1:  CHECK s2, INTERRUPT | OVERFLOW_IRQ
    la t0, 2b
    CHECK_SAME s4, t0
    csrr a2, SCOUNTOVF
    CHECK a2, 8
    GET_FLAGS a2
    CHECK a2, OF
    csrr a2, mip
    CHECK a2, 1 << OVERFLOW_IRQ
    csrc mip, t2
    csrr a2, mip
    CHECK a2, 0
    SET_LEFT 3                  /* while OF is set there is no more */
    nop
    nop
    nop
    nop
    csrr a2, mip
    CHECK a2, 0
    SET_EVENT INSTRUCTIONS      /* cleared */
    SET_LEFT 2
    nop
    nop
    csrr a2, mip
    CHECK a2, 1 << OVERFLOW_IRQ
    END

/* ... in a loop, in whose middle blocks link. */
TEST overflow_in_loop
    SET_EVENT INSTRUCTIONS
    li t2, 1 << OVERFLOW_IRQ
    csrs mie, t2
    la s11, 1f
    csrsi mstatus, MSTATUS_MIE
    li t3, 0
    SET_LEFT 1000
2:  addi t3, t3, 1
    addi t3, t3, 1
    addi t3, t3, 1
    j 2b
1:  CHECK s2, INTERRUPT | OVERFLOW_IRQ
    CHECK t3, 750
    END

TEST overflow_delegated
    SET_EVENT INSTRUCTIONS
    li t2, 1 << OVERFLOW_IRQ
    csrw mideleg, t2
    csrr a2, mideleg
    CHECK_SAME a2, t2
    csrs mie, t2
    csrr a2, sie
    CHECK_SAME a2, t2
    SET_LEFT 1
    nop
    csrr a2, sip
    CHECK_SAME a2, t2
    la s11, 1f
    ENTER 0
    nop
    j test_fail
1:  CHECK s2, 9                 /* the supervisor's handler ends in ecall */
    CHECK s6, INTERRUPT | OVERFLOW_IRQ
    csrc sip, t2
    csrr a2, mip
    CHECK a2, 0
    END

TEST overflow_seen_by_supervisor
    SET_EVENT INSTRUCTIONS, OF
    csrw mcounteren, zero
    ENTER MSTATUS_MPP_S
    csrr a2, SCOUNTOVF
    LEAVE
    CHECK a2, 0
    csrwi mcounteren, 8
    ENTER MSTATUS_MPP_S
    csrr a2, SCOUNTOVF
    LEAVE
    CHECK a2, 8
    ENTER 0
    ILLEGAL csrr a2, SCOUNTOVF
    END

/* It is the last in order of priority. */
TEST priority
    SET_EVENT INSTRUCTIONS
    SET_LEFT 1
    nop
    li t2, 1 << OVERFLOW_IRQ | 0x222
    csrs mie, t2
    li t0, 0x20
    csrs mip, t0
    la s11, 1f
    csrsi mstatus, MSTATUS_MIE
    j test_fail
1:  CHECK s2, INTERRUPT | 5
    csrc mip, t0
    la s11, 1f
    csrsi mstatus, MSTATUS_MIE
    j test_fail
1:  CHECK s2, INTERRUPT | OVERFLOW_IRQ
    END

/* A load from a page that was not used before misses once. */
TEST tlb_misses
    la a3, far
    csrw satp, zero
    sfence.vma
    SET_EVENT LOAD_MISS
    csrw mhpmcounter3, zero
    li t0, MSTATUS_MPRV         /* machine mode keeps its entries: loads are supervisor mode's, and dropped */
    li t1, MSTATUS_MPP
    csrc mstatus, t1
    li t1, MSTATUS_MPP_S
    csrs mstatus, t1
    sfence.vma
    csrs mstatus, t0
    lw a2, (a3)
    lw a2, 4(a3)
    csrc mstatus, t0
    csrr a2, mhpmcounter3
    CHECK a2, 1
    SET_EVENT STORE_MISS
    csrw mhpmcounter3, zero
    sfence.vma
    csrs mstatus, t0
    sw a2, (a3)
    csrc mstatus, t0
    csrr a2, mhpmcounter3
    CHECK a2, 1
    SET_EVENT FETCH_MISS
    csrw mhpmcounter3, zero
    sfence.vma
    ENTER MSTATUS_MPP_S
    nop
    LEAVE
    csrr a2, mhpmcounter3
    CHECK a2, 1
    SET_EVENT LOAD_MISS         /* and overflows */
    SET_LEFT 1
    sfence.vma
    li t1, MSTATUS_MPP
    csrc mstatus, t1
    li t1, MSTATUS_MPP_S | MSTATUS_MPRV
    csrs mstatus, t1
    lw a2, (a3)
    csrc mstatus, t1
    csrr a2, mip
    CHECK a2, 1 << OVERFLOW_IRQ
    END

    .bss
    .balign 4096
far:
    .skip 4096
