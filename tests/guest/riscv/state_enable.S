/* Smstateen and Ssstateen: what machine mode opens to the lower privileges. */
#include "test.h"

#define CSR_SSTATEEN0 0x10c
#define CSR_SSTATEEN3 0x10f
#define CSR_MSTATEEN0 0x30c
#define CSR_MSTATEEN3 0x30f
#define CSR_MSTATEEN0H 0x31c
#define CSR_MSTATEEN3H 0x31f

#if __riscv_xlen == 64
#define HIGH(csr, csrh) csr
#define HIGH_BIT(n) (1 << (n))
#else
#define HIGH(csr, csrh) csrh
#define HIGH_BIT(n) (1 << ((n) - 32))
#endif
#define MSTATEEN0_HIGH HIGH(CSR_MSTATEEN0, CSR_MSTATEEN0H)
#define MSTATEEN3_HIGH HIGH(CSR_MSTATEEN3, CSR_MSTATEEN3H)

/* All are closed after a reset. */
TEST registers
    .irp csr, 0x30c, 0x30d, 0x30e, 0x30f, 0x10c, 0x10d, 0x10e, 0x10f
    csrr a2, \csr
    CHECK a2, 0
    .endr
    li t0, -1
    .irp csr, 0x30c, 0x30d, 0x30e, 0x30f
    csrw \csr, t0
    .endr
#if __riscv_xlen == 64
    csrr a2, CSR_MSTATEEN0
    li t1, HIGH_BIT(63) | HIGH_BIT(62)
    and a2, a2, t1
    CHECK_SAME a2, t1
    .irp csr, 0x30d, 0x30e, 0x30f
    csrr a2, \csr
    CHECK a2, 0x8000000000000000
    .endr
    ILLEGAL csrr a2, CSR_MSTATEEN0H
#else
    .irp csr, 0x31c, 0x31d, 0x31e, 0x31f
    csrr a2, \csr
    CHECK a2, 0
    csrw \csr, t0
    .endr
    .irp csr, 0x31d, 0x31e, 0x31f
    csrr a2, \csr
    CHECK a2, 0x80000000
    .endr
#endif
    .irp csr, 0x10d, 0x10e, 0x10f
    csrw \csr, t0
    csrr a2, \csr
    CHECK a2, 0
    .endr
    END

/* Bit 63 is that of sstateen. */
TEST supervisor_registers
    ENTER MSTATUS_MPP_S
    ILLEGAL csrr a2, CSR_SSTATEEN0
    ENTER MSTATUS_MPP_S
    ILLEGAL csrw CSR_SSTATEEN3, zero
    ENTER 0
    ILLEGAL csrr a2, CSR_SSTATEEN0
    li t0, HIGH_BIT(63)
    csrw MSTATEEN3_HIGH, t0
    ENTER MSTATUS_MPP_S
    csrw CSR_SSTATEEN3, zero
    csrr a2, CSR_SSTATEEN3
    ILLEGAL csrr a2, CSR_SSTATEEN0
    csrw MSTATEEN0_HIGH, t0
    ENTER MSTATUS_MPP_S
    csrr a2, CSR_SSTATEEN0
    ILLEGAL csrr a2, CSR_MSTATEEN0
    ENTER 0
    ILLEGAL csrr a2, CSR_SSTATEEN0
    END

TEST environment
    ENTER MSTATUS_MPP_S
    ILLEGAL csrr a2, CSR_SENVCFG
    ENTER MSTATUS_MPP_S
    ILLEGAL csrw CSR_SENVCFG, zero
    WORKS csrw CSR_SENVCFG, zero
    li t0, HIGH_BIT(62)
    csrw MSTATEEN0_HIGH, t0
    ENTER MSTATUS_MPP_S
    csrwi CSR_SENVCFG, 1
    csrr a2, CSR_SENVCFG
    LEAVE
    CHECK s2, 9
    CHECK a2, 1
    csrw MSTATEEN0_HIGH, zero
    ENTER MSTATUS_MPP_S
    ILLEGAL csrr a2, CSR_SENVCFG
    END
