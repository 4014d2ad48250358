/* Zama16b: misaligned accesses, atomic ones too, within 16 bytes and beyond them. */
#include "test.h"

.macro AMO funct5, funct3, rd, rs2
    .insn r 0x2f, \funct3, \funct5 << 2, \rd, a2, \rs2
.endm

.macro REFUSED cause, insn:vararg
    TRY \insn
    CHECK s2, \cause
    CHECK_SAME s3, a2
.endm

TEST loads_and_stores
    la a2, area
    li a3, 0x12345678
    .irp offset, 0, 1, 2, 3, 5, 7, 11, 13, 14, 15
    sw a3, \offset(a2)
    lw a4, \offset(a2)
    CHECK_SAME a3, a4
    sh a3, \offset(a2)
    lh a4, \offset(a2)
    CHECK a4, 0x5678
    addi a3, a3, 77 << 3
    addi a3, a3, -(77 << 3)
    fsd fa0, \offset(a2)
    fld fa0, \offset(a2)
    .endr
    END

TEST amo
    la a2, area + 1
    li a3, 0x7ffffff0
    sw a3, (a2)
    li a4, 0x20
    amoadd.w a5, a4, (a2)
    CHECK_SAME a5, a3
    lw a5, (a2)
    CHECK a5, -0x7ffffff0
    amoswap.w.aqrl a5, a4, (a2)
    CHECK a5, -0x7ffffff0
    amomaxu.w a5, a3, (a2)
    CHECK a5, 0x20
    lw a5, (a2)
    CHECK_SAME a5, a3
    li a4, 5
    AMO 5, 2, a5, a4    /* amocas.w */
    lw a5, (a2)
    CHECK a5, 5
    AMO 0, 1, a5, a4    /* amoadd.h */
    lw a5, (a2)
    CHECK a5, 10
    .irp offset, 13, 14, 15     /* across 16 bytes */
    la a2, area + \offset
    sw a3, (a2)
    REFUSED 6, amoadd.w a5, a4, (a2)
    REFUSED 6, AMO 5, 2, a5, a4
    lw a5, (a2)
    CHECK_SAME a5, a3
    .endr
    REFUSED 6, AMO 0, 1, a5, a4 /* amoadd.h */
    la a2, area + 13
    lh a3, (a2)
    AMO 0, 1, a5, a4
    CHECK_SAME a5, a3
    END

/* These must be aligned all the same. */
TEST reservations
    la a2, area + 2
    TRY lr.w a5, (a2)
    CHECK s2, 4
    CHECK_SAME s3, a2
    TRY sc.w a5, a4, (a2)
    CHECK s2, 6
    CHECK_SAME s3, a2
#if __riscv_xlen == 64
    TRY AMO 5, 4, a4, a6
#else
    TRY AMO 5, 3, a4, a6
#endif
    CHECK s2, 6
    CHECK_SAME s3, a2
    END

/* An edge of protection refuses all of an access within 16 bytes; beyond them its parts are checked alone. */
TEST protection
    la s0, area + 12
    srli t0, s0, 2
    csrw pmpaddr0, t0
    la s0, area
    li a3, 0x11223344
    .irp offset, 4, 8, 12, 16
    sw a3, \offset(s0)
    .endr
    li t0, 0x13             /* 4 bytes, readable and writable */
    csrw pmpcfg0, t0
    .irp offset, 9, 10, 11
    addi a2, s0, \offset
    REFUSED 5, lw a4, (a2)
    REFUSED 7, sw zero, (a2)
    REFUSED 7, amoswap.w a4, zero, (a2)
    .endr
    lhu a4, 10(s0)          /* none of these is cut */
    CHECK a4, 0x1122
    lhu a4, 13(s0)
    CHECK a4, 0x2233
    lw a4, 6(s0)
    CHECK a4, 0x33441122
    lw a4, 14(s0)
    CHECK a4, 0x33441122
    csrw pmpcfg0, zero
    lw a4, 10(s0)
    CHECK a4, 0x33441122
    lw a4, 12(s0)
    CHECK_SAME a4, a3
    END

    .data
    .align 6
area:
    .skip 64
