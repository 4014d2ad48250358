/* Traps: entry and return, delegation, vectors. */
#include "test.h"

.macro CHECK_BITS register, mask, value
    li t6, \mask
    and a2, \register, t6
    CHECK a2, \value
.endm

/* mstatus over a trap into machine mode and mret. */
TEST machine_entry
    csrsi mstatus, MSTATUS_MIE
    TRY ecall
    CHECK s2, 11
    CHECK_BITS s5, MSTATUS_MIE | MSTATUS_MPIE | MSTATUS_MPP, MSTATUS_MPIE | MSTATUS_MPP
    csrr t0, mstatus        /* after mret: interrupts as before, MPIE set, MPP the least */
    CHECK_BITS t0, MSTATUS_MIE | MSTATUS_MPIE | MSTATUS_MPP, MSTATUS_MIE | MSTATUS_MPIE
    csrci mstatus, MSTATUS_MIE
    TRY ecall
    CHECK_BITS s5, MSTATUS_MIE | MSTATUS_MPIE | MSTATUS_MPP, MSTATUS_MPP
    ENTER MSTATUS_MPP_S
    LEAVE
    CHECK s2, 9
    CHECK_BITS s5, MSTATUS_MPP, MSTATUS_MPP_S
    ENTER 0
    LEAVE
    CHECK s2, 8
    CHECK_BITS s5, MSTATUS_MPP, 0
    END

/* mret to a lower privilege ends MPRV; to machine mode it does not. */
TEST mret_mprv
    li t0, MSTATUS_MPRV
    csrs mstatus, t0
    ENTER 0
    LEAVE
    CHECK_BITS s5, MSTATUS_MPRV, 0
    li t0, MSTATUS_MPP
    csrs mstatus, t0
    li t0, MSTATUS_MPRV
    csrs mstatus, t0
    la t0, 1f
    csrw mepc, t0
    mret
1:  csrr t0, mstatus
    CHECK_BITS t0, MSTATUS_MPRV, MSTATUS_MPRV
    li t0, MSTATUS_MPRV
    csrc mstatus, t0
    END

TEST sret
    li t0, MSTATUS_SPIE | MSTATUS_SPP
    csrs mstatus, t0
    csrci mstatus, MSTATUS_SIE
    ENTER MSTATUS_MPP_S
    la t0, 1f
    csrw sepc, t0
    sret
1:  LEAVE
    CHECK s2, 9             /* still supervisor */
    CHECK_BITS s5, MSTATUS_SPP | MSTATUS_SPIE | MSTATUS_SIE, MSTATUS_SPIE | MSTATUS_SIE
    csrci mstatus, MSTATUS_SIE
    li t0, MSTATUS_SPIE | MSTATUS_SPP
    csrc mstatus, t0
    la t0, 2f
    csrw sepc, t0
    sret                    /* machine mode may, too */
2:  LEAVE
    CHECK s2, 8
    CHECK_BITS s5, MSTATUS_SPP | MSTATUS_SPIE | MSTATUS_SIE, MSTATUS_SPIE
    END

/* Exceptions of lower privileges that are delegated; those of machine mode never are. */
TEST delegated
    li t0, 0xb1ff           /* but the calls that the supervisor's handler makes */
    csrw medeleg, t0
    TRAPS 11, 0, ecall
    ILLEGAL .word 0xffffffff
    csrsi mstatus, MSTATUS_SIE
    ENTER 0
    la s11, 1f
    la s1, 2f
2:  ecall                   /* to supervisor mode, whose handler calls machine mode */
1:  CHECK s6, 8
    CHECK_SAME s8, s1
    CHECK s7, 0
    CHECK s2, 9
    CHECK_BITS s9, MSTATUS_SPP | MSTATUS_SPIE | MSTATUS_SIE, MSTATUS_SPIE
    ENTER MSTATUS_MPP_S
    csrci sstatus, MSTATUS_SIE
    la s11, 1f
    la s1, 2f
2:  .word 0xffffffff
1:  CHECK s6, 2
    CHECK_SAME s8, s1
    li t0, 0xffffffff
    CHECK_SAME s7, t0
    CHECK_BITS s9, MSTATUS_SPP | MSTATUS_SPIE | MSTATUS_SIE, MSTATUS_SPP
    li t0, 0x100            /* only calls from user mode */
    csrw medeleg, t0
    ENTER MSTATUS_MPP_S
    TRY .word 0xffffffff
    CHECK s2, 2
    csrr a2, scause
    CHECK a2, 2             /* as it was */
    END

/* Illegal instructions of every kind, with what mtval shows. */
TEST illegal
    ILLEGAL .word 0x00000000
    ILLEGAL .word 0xffffffff
    ILLEGAL .word 0x0000707f
    ILLEGAL .word 0x02007033    | 7 << 25
    ILLEGAL .word 0x00007003    /* a load of eight bytes, unsigned */
    ILLEGAL .word 0x00004023    /* a store of an unknown size */
    ILLEGAL .word 0x00002063    /* a branch that is none */
    ILLEGAL .word 0x00001067    /* jalr with funct3 */
    ILLEGAL .word 0x0000402f    /* an AMO of an unknown size */
    ILLEGAL .word 0x1010202f    /* lr.w with rs2 */
    ILLEGAL .word 0x0000000b    /* custom-0 */
    ILLEGAL .word 0x00000057    /* vectors */
    ILLEGAL .word 0x00004073    /* system */
#if __riscv_xlen == 32
    ILLEGAL .word 0x00003003    /* ld */
    ILLEGAL .word 0x00006003    /* lwu */
    ILLEGAL .word 0x00003023    /* sd */
    ILLEGAL .word 0x0000001b    /* addiw */
    ILLEGAL .word 0x0000003b    /* addw */
    ILLEGAL .word 0x02001013    /* slli by 32 */
    ILLEGAL .word 0x0000302f    /* amoadd.d */
    ILLEGAL .word 0xe2000053    /* fmv.x.d */
    ILLEGAL .word 0xc0200053    /* fcvt.l.s */
#else
    ILLEGAL .word 0x0200101b    /* slliw by 32 */
#endif
    END

/* A jump to a place without access: the exception is that of the target. */
TEST fetch_fault
    la s11, 1f
    li t0, 0x1000000
    jr t0
1:  CHECK s2, 1
    CHECK s3, 0x1000000
    CHECK s4, 0x1000000
    la s11, 2f
    jalr a2, 2(t0)
2:  CHECK s2, 1
    CHECK s3, 0x1000002
    END

/* Vectored: exceptions go to the base. */
TEST vectored_exception
    la t0, vectors + 1
    csrw mtvec, t0
    li a4, 0
    TRY ecall
    CHECK s2, 11
    CHECK a4, 1
    END
    .align 7
vectors:
    li a4, 1
    j trap_handler
