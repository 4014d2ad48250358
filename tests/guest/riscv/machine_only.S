/* A hart with machine mode alone. */
#include "test.h"

TEST registers
    ILLEGAL csrr a2, sstatus
    ILLEGAL csrr a2, stvec
    ILLEGAL csrr a2, satp
    ILLEGAL csrr a2, medeleg
    ILLEGAL csrr a2, mideleg
    ILLEGAL csrr a2, mcounteren
    ILLEGAL csrr a2, CSR_MENVCFG
    ILLEGAL csrr a2, CSR_STIMECMP
    ILLEGAL sret
    ILLEGAL sfence.vma
    csrr a2, misa
    li t0, 0x140000             /* S and U */
    and a2, a2, t0
    CHECK a2, 0
    END

TEST mstatus
    li t0, -1
    csrw mstatus, t0
    csrr a2, mstatus
#if __riscv_xlen == 64
    CHECK a2, 0x8000000000007888
#else
    CHECK a2, 0x80007888
#endif
    li t0, MSTATUS_MPP | MSTATUS_MIE
    csrc mstatus, t0
    csrr a2, mstatus
    li t0, MSTATUS_MPP
    and a2, a2, t0
    CHECK_SAME a2, t0
    la t0, 1f
    csrw mepc, t0
    csrw mie, zero
    mret
1:  csrr a2, mstatus
    li t0, MSTATUS_MPP
    and a2, a2, t0
    CHECK_SAME a2, t0
    li t0, -1
    csrw mie, t0
    csrr a2, mie
    CHECK a2, 0x888
    csrw mie, zero
    TRAPS 11, 0, ecall
    END
