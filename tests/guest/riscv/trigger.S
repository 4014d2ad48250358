/* Triggers (Sdtrig). */
#include "test.h"

#define CSR_MCONTEXT 0x7a8
#define CSR_SCONTEXT 0x5a8

#define TYPE(n) ((n) << (__riscv_xlen - 4))
#define LOAD 1
#define STORE 2
#define EXECUTE 4
#define USER 8
#define SUPERVISOR 0x10
#define MACHINE 0x40
#define ALL_MODES (USER | SUPERVISOR | MACHINE)
#define MATCH(n) ((n) << 7)
#define CHAIN (1 << 11)
#define OLD_SIZE(n) ((n) << 16)
#define SIZE(n) ((n) << 16)
#define OLD_HIT (1 << 20)
#define HIT (1 << 22)
#define OTHER_USER 0x40
#define OTHER_SUPERVISOR 0x80
#define OTHER_MACHINE 0x200
#define COUNT(n) ((n) << 10)
#define COUNT_PENDING (1 << 8)
#define COUNT_HIT (1 << 24)
#define TRAP_HIT (1 << (__riscv_xlen - 6))
#if __riscv_xlen == 64
#define MAXIMUM_RANGE (63 << 53)
#define MCONTEXT_FIELD(n) ((n) << 51 | 4 << 48)
#define SCONTEXT_MASK(n) ((n) << 36)
#else
#define MAXIMUM_RANGE (32 << 21)
#define MCONTEXT_FIELD(n) ((n) << 26 | 4 << 23)
#define SCONTEXT_MASK(n) ((n) << 18)
#endif
#define SCONTEXT_FIELD(n) ((n) << 2 | 1)
#define ASID_FIELD(n) ((n) << 2 | 2)

/* In machine mode nothing fires while interrupts are off. */
.macro SET_UP
    csrsi mstatus, MSTATUS_MIE
    la s0, data
    la s7, data + 4096
.endm

.macro TRIGGER number, value, register
    csrwi tselect, \number
    csrw tdata1, zero
    csrw tdata2, \register
    csrw tdata3, zero
    li t6, \value
    csrw tdata1, t6
.endm

.macro CHECK_TRIGGER number, value
    csrwi tselect, \number
    csrr a2, tdata1
    CHECK a2, \value
.endm

/* The instruction is stopped, with this value. */
.macro STOPS register, insn:vararg
    TRY \insn
    CHECK s2, 3
    CHECK_SAME s3, \register
    CHECK_SAME s4, s1
.endm

/* In a lower privilege; s2 is -1 where it works. */
.macro LOWER mpp, insn:vararg
    ENTER \mpp
    TRY \insn
    li t6, -1
    bne s2, t6, .Ltrapped\@
    LEAVE
    li s2, -1
.Ltrapped\@:
.endm

TEST registers
    csrwi tselect, 3
    csrr a2, tselect
    CHECK a2, 3
    li t0, -1
    csrw tselect, t0            /* there is no such trigger */
    csrr a2, tselect
    CHECK a2, 3
    csrwi tselect, 4
    csrr a2, tselect
    CHECK a2, 3
    csrr a2, tinfo
    CHECK a2, 0x100807c
    csrw tinfo, zero
    csrr a2, tinfo
    CHECK a2, 0x100807c
    .irp number, 0, 1, 2, 3
    CHECK_TRIGGER \number, TYPE(15)
    .endr
    csrwi tselect, 0
    csrw tdata1, zero
    csrr a2, tdata1
    CHECK a2, TYPE(15)
    li t0, TYPE(7)
    csrw tdata1, t0
    csrr a2, tdata1
    CHECK a2, TYPE(15)
    li t0, -1
    csrw tdata2, t0
    csrr a2, tdata2
    CHECK a2, -1
    csrwi tselect, 1
    csrr a2, tdata2
    CHECK a2, 0
    ILLEGAL csrr a2, 0x7a5
    ENTER MSTATUS_MPP_S
    ILLEGAL csrr a2, tdata1
    ENTER MSTATUS_MPP_S
    csrr a2, CSR_SCONTEXT
    LEAVE
    ENTER 0
    ILLEGAL csrr a2, CSR_SCONTEXT
    END

/* Which bits each type keeps. Privileges are left out: what is written must not fire. */
TEST fields
    csrwi tselect, 0
    li t0, (TYPE(6) | 0x7ffffff) & ~(ALL_MODES | MATCH(15))
    csrw tdata1, t0
    csrr a2, tdata1
    CHECK a2, TYPE(6) | HIT | SIZE(7) | CHAIN | LOAD | STORE | EXECUTE
    .irp kind, 0, 1, 2, 3, 4, 5, 8, 9, 12, 13
    li t0, TYPE(6) | MATCH(\kind)
    csrw tdata1, t0
    csrr a2, tdata1
    CHECK_SAME a2, t0
    .endr
    .irp kind, 6, 7, 10, 11, 14, 15
    li t0, TYPE(6) | MATCH(\kind)
    csrw tdata1, t0
    csrr a2, tdata1
    CHECK a2, TYPE(6)
    .endr
    li t0, TYPE(2) | OLD_HIT | OLD_SIZE(3) | CHAIN | 1 << 12 | 1 << 18 | 1 << 19
    csrw tdata1, t0
    csrr a2, tdata1
    CHECK a2, TYPE(2) | MAXIMUM_RANGE | OLD_HIT | OLD_SIZE(3) | CHAIN
    li t0, TYPE(3) | COUNT_HIT | COUNT(0x3fff) | COUNT_PENDING | 3 << 25 | 0x3f
    csrw tdata1, t0
    csrr a2, tdata1
    CHECK a2, TYPE(3) | COUNT_HIT | COUNT(0x3fff) | COUNT_PENDING
    li t0, TYPE(4) | TRAP_HIT | 0x1c3f
    csrw tdata1, t0
    csrr a2, tdata1
    CHECK a2, TYPE(4) | TRAP_HIT
    li t0, TYPE(5) | TRAP_HIT | 0x1c3f
    csrw tdata1, t0
    csrr a2, tdata1
    CHECK a2, TYPE(5) | TRAP_HIT
    csrwi tselect, 3            /* there is none that it could be chained to */
    li t0, TYPE(6) | CHAIN
    csrw tdata1, t0
    csrr a2, tdata1
    CHECK a2, TYPE(6)
    li t0, -1                   /* selectors that are not there are zero */
    csrw tdata3, t0
    csrr a2, tdata3
#if __riscv_xlen == 64
    CHECK a2, 0xfff800f3fffffffc
#else
    CHECK a2, 0xfc0ffffc & ~0x3f00000
#endif
    csrw CSR_MCONTEXT, t0
    csrr a2, CSR_MCONTEXT
    csrw CSR_SCONTEXT, t0
    csrr a3, CSR_SCONTEXT
#if __riscv_xlen == 64
    CHECK a2, 0x1fff
    CHECK a3, 0xffffffff
#else
    CHECK a2, 0x3f
    CHECK a3, 0xffff
#endif
    END

TEST execute
    SET_UP
    .irp type, 2, 6
    la t0, 1f
    TRIGGER 0, TYPE(\type) | ALL_MODES | EXECUTE, t0
    la s11, 2f
1:  j test_fail
2:  CHECK s2, 3
    la t0, 1b
    CHECK_SAME s3, t0
    CHECK_SAME s4, t0
    .endr
    CHECK_TRIGGER 0, TYPE(6) | ALL_MODES | EXECUTE | HIT
    csrci mstatus, MSTATUS_MIE  /* not now */
    la t0, 1f
    csrw tdata2, t0
1:  csrsi mstatus, MSTATUS_MIE
    la t0, 1f                   /* not here */
    TRIGGER 0, TYPE(2) | USER | SUPERVISOR | EXECUTE, t0
1:  nop
    la t0, 1f                   /* of this size */
    TRIGGER 0, TYPE(2) | MACHINE | EXECUTE | OLD_SIZE(2), t0
    .option push
    .option norvc
1:  nop
    .option pop
    la t0, 1f
    TRIGGER 0, TYPE(2) | MACHINE | EXECUTE | OLD_SIZE(2), t0
    la s11, 2f
1:  c.nop
    j test_fail
2:  CHECK s2, 3
    CHECK_TRIGGER 0, TYPE(2) | MAXIMUM_RANGE | MACHINE | EXECUTE | OLD_SIZE(2) | OLD_HIT
    END

/* In lower privileges. Where breakpoints are delegated, supervisor mode needs its interrupts on. */
TEST execute_lower
    SET_UP
    la s8, 1f
    TRIGGER 1, TYPE(6) | USER | SUPERVISOR | EXECUTE, s8
    la s11, 2f
    ENTER 0
1:  j test_fail
2:  CHECK s2, 3
    CHECK_SAME s3, s8
    la s11, 3f
    ENTER MSTATUS_MPP_S
    jr s8
3:  CHECK s2, 3
    csrsi medeleg, 8
    csrci sstatus, MSTATUS_SIE
    la s8, 4f
    csrw tdata2, s8
    ENTER MSTATUS_MPP_S
4:  LEAVE
    CHECK s2, 9
    csrsi sstatus, MSTATUS_SIE
    li s6, -1
    la s11, 5f
    ENTER MSTATUS_MPP_S
    jr s8
5:  CHECK s6, 3
    CHECK_SAME s7, s8
    CHECK_SAME s8, s8
    csrci medeleg, 8
    END

/* It comes before what is wrong with the fetch, and before what is wrong with the instruction. */
TEST execute_first
    SET_UP
    la s8, 1f
    TRIGGER 0, TYPE(6) | MACHINE | EXECUTE, s8
    la s11, 2f
1:  .4byte 0
2:  CHECK s2, 3
    CHECK_SAME s3, s8
    li s8, 0x4000
    TRIGGER 0, TYPE(6) | MACHINE | EXECUTE, s8
    TRY jr s8
    CHECK s2, 3
    CHECK_SAME s3, s8
    CHECK_SAME s4, s8
    csrw tdata1, zero
    TRY jr s8
    CHECK s2, 1
    END

/* Each byte that an access touches counts. */
TEST data
    SET_UP
    addi s8, s0, 6
    .irp type, 2, 6
    TRIGGER 0, TYPE(\type) | ALL_MODES | LOAD, s8
    addi s9, s0, 4
    STOPS s9, lw a2, 4(s0)
    STOPS s8, lbu a2, 6(s0)
    STOPS s8, lh a2, 6(s0)
    addi s9, s0, 5
    STOPS s9, lh a2, 5(s0)
    STOPS s9, lw a2, 5(s0)
    WORKS lw a2, 0(s0)
    WORKS lw a2, 8(s0)
    WORKS lb a2, 5(s0)
    WORKS lb a2, 7(s0)
    WORKS sw a2, 4(s0)
    WORKS flw fa0, 0(s0)
    addi s9, s0, 4
    STOPS s9, flw fa0, 4(s0)
    STOPS s0, fld fa0, 0(s0)
    STOPS s9, lr.w a2, (s9)
    STOPS s9, amoadd.w a2, zero, (s9)
    TRIGGER 0, TYPE(\type) | ALL_MODES | STORE, s8
    STOPS s9, sw a2, 4(s0)
    STOPS s9, amoadd.w a2, zero, (s9)
    STOPS s8, sb a2, 6(s0)
    WORKS lw a2, 4(s0)
    WORKS lr.w a2, (s9)
    STOPS s9, sc.w a2, zero, (s9)
    TRIGGER 0, TYPE(\type) | USER | LOAD | STORE, s8
    WORKS lw a2, 4(s0)
    LOWER 0, lw a2, 4(s0)
    CHECK s2, 3
    LOWER MSTATUS_MPP_S, lw a2, 4(s0)
    CHECK s2, -1
    .endr
    csrw tdata1, zero
    lw a2, 4(s0)
    END

/* Nothing is stored. */
TEST data_unchanged
    SET_UP
    li t0, 0x12345678
    sw t0, 0(s7)
    sw t0, -4(s7)
    TRIGGER 2, TYPE(6) | MACHINE | STORE, s7
    addi s9, s7, -2
    STOPS s9, sw zero, -2(s7)
    STOPS s7, sw zero, (s7)
    STOPS s7, amoswap.w a2, zero, (s7)
    csrw tdata1, zero
    lw a2, 0(s7)
    CHECK a2, 0x12345678
    lw a2, -4(s7)
    CHECK a2, 0x12345678
    END

TEST data_sizes
    SET_UP
    TRIGGER 0, TYPE(6) | MACHINE | LOAD | SIZE(2), s0
    STOPS s0, lh a2, (s0)
    WORKS lb a2, (s0)
    WORKS lw a2, (s0)
    TRIGGER 0, TYPE(6) | MACHINE | LOAD | SIZE(5), s0
    WORKS lw a2, (s0)
    STOPS s0, fld fa0, (s0)
    TRIGGER 0, TYPE(2) | MACHINE | LOAD | OLD_SIZE(1), s0
    STOPS s0, lb a2, (s0)
    WORKS lh a2, (s0)
#if __riscv_xlen == 64
    TRIGGER 0, TYPE(2) | MACHINE | LOAD | OLD_SIZE(1) | 1 << 21, s0
    STOPS s0, ld a2, (s0)
    WORKS lb a2, (s0)
#endif
    END

/* How addresses are compared. */
TEST data_ranges
    SET_UP
    addi s9, s0, 16
    addi t0, s0, 16 + 7         /* 16 bytes from s9 on */
    TRIGGER 0, TYPE(6) | MACHINE | LOAD | MATCH(1), t0
    WORKS lw a2, 12(s0)
    STOPS s9, lw a2, 16(s0)
    addi s10, s0, 28
    STOPS s10, lw a2, 28(s0)
    WORKS lw a2, 32(s0)
    addi s10, s0, 14
    STOPS s10, lw a2, 14(s0)
    TRIGGER 0, TYPE(6) | MACHINE | LOAD | MATCH(9), t0
    WORKS lw a2, 16(s0)
    STOPS s0, lw a2, 0(s0)
    TRIGGER 0, TYPE(6) | MACHINE | LOAD | MATCH(2), s9
    WORKS lw a2, 12(s0)
    WORKS lw a2, 0(sp)
    STOPS s9, lw a2, 16(s0)
    addi s10, s0, 13
    STOPS s10, lw a2, 13(s0)
    TRIGGER 0, TYPE(6) | MACHINE | LOAD | MATCH(3), s9
    WORKS lw a2, 16(s0)
    addi s10, s0, 15
    STOPS s10, lw a2, 15(s0)
    STOPS sp, lw a2, 0(sp)
    TRIGGER 0, TYPE(6) | MACHINE | LOAD | MATCH(8), s9
    WORKS lw a2, 16(s0)
    STOPS s0, lw a2, 0(s0)
    END

/* Half of the address under a mask. */
TEST data_masks
    SET_UP
#if __riscv_xlen == 64
    li t0, 0xfff << 32 | 0x120
#define MASKED_OFFSET 0x120
#else
    li t0, 0xff0 << 16 | 0x120
#define MASKED_OFFSET 0x120
#endif
    TRIGGER 0, TYPE(6) | MACHINE | LOAD | MATCH(4), t0
    addi s9, s0, MASKED_OFFSET
    STOPS s9, lb a2, (s9)
    WORKS lb a2, -1(s9)
    li t1, 4096
    add s10, s9, t1
    STOPS s10, lb a2, (s10)
    TRIGGER 0, TYPE(6) | MACHINE | LOAD | MATCH(12), t0
    WORKS lb a2, (s9)
    STOPS s0, lb a2, (s0)
#if __riscv_xlen == 64
    li t0, 1 << 32              /* bit 32 of the address is clear in RAM */
    TRIGGER 0, TYPE(6) | MACHINE | LOAD | MATCH(5), t0
    STOPS s0, lb a2, (s0)
    li t0, 1 << 32 | 1
    TRIGGER 0, TYPE(6) | MACHINE | LOAD | MATCH(5), t0
    WORKS lb a2, (s0)
#else
    li t0, 0x80008000
    TRIGGER 0, TYPE(6) | MACHINE | LOAD | MATCH(5), t0
    STOPS s0, lb a2, (s0)
    li t0, 0x80000000
    TRIGGER 0, TYPE(6) | MACHINE | LOAD | MATCH(5), t0
    WORKS lb a2, (s0)
#endif
    END

/* Before what is wrong with the access. */
TEST data_first
    SET_UP
    li s8, 0x4000
    TRIGGER 0, TYPE(6) | MACHINE | LOAD | STORE, s8
    STOPS s8, lw a2, (s8)
    STOPS s8, sw a2, (s8)
    addi s9, s8, -2
    STOPS s9, lr.w a2, (s9)
    STOPS s9, amoadd.w a2, a2, (s9)
    csrw tdata1, zero
    TRAPS 5, 0x4000, lw a2, (s8)
    TRAPS 4, 0x3ffe, lr.w a2, (s9)
    END

/* All of a chain at once; the last one's turn it is. */
TEST chain
    SET_UP
    addi s8, s0, 16
    addi s9, s0, 32
    TRIGGER 1, TYPE(6) | MACHINE | LOAD | MATCH(2) | CHAIN, s8
    TRIGGER 2, TYPE(6) | MACHINE | LOAD | MATCH(3), s9
    WORKS lw a2, 12(s0)
    WORKS lw a2, 32(s0)
    STOPS s8, lw a2, 16(s0)
    CHECK_TRIGGER 1, TYPE(6) | MACHINE | LOAD | MATCH(2) | CHAIN | HIT
    CHECK_TRIGGER 2, TYPE(6) | MACHINE | LOAD | MATCH(3) | HIT
    TRIGGER 0, TYPE(6) | MACHINE | LOAD | CHAIN, s0
    WORKS lw a2, 16(s0)
    WORKS lw a2, (s0)
    csrw tdata1, zero
    STOPS s8, lw a2, 16(s0)
    csrwi tselect, 1
    csrw tdata1, zero
    la t0, 1f                   /* an instruction, where it loads from there */
    TRIGGER 0, TYPE(6) | MACHINE | EXECUTE | CHAIN, t0
    TRIGGER 1, TYPE(6) | MACHINE | LOAD, s8
    csrwi tselect, 2
    csrw tdata1, zero
    lw a2, 16(s0)
    mv a3, s0
    j 1f
2:  mv a3, s8
    la s11, 3f
1:  lw a2, (a3)
    bne a3, s8, 2b
    j test_fail
3:  CHECK s2, 3
    CHECK_SAME s3, s8
    la t0, 1b
    CHECK_SAME s4, t0
    END

/* For some contexts alone. */
TEST contexts
    SET_UP
    TRIGGER 0, TYPE(6) | MACHINE | LOAD, s0
    li t0, MCONTEXT_FIELD(5)
    csrw tdata3, t0
    WORKS lw a2, (s0)
    csrwi CSR_MCONTEXT, 5
    STOPS s0, lw a2, (s0)
    li t0, SCONTEXT_FIELD(0x123)
    csrw tdata3, t0
    WORKS lw a2, (s0)
    li t0, 0x123
    csrw CSR_SCONTEXT, t0
    STOPS s0, lw a2, (s0)
    li t0, 0x145
    csrw CSR_SCONTEXT, t0
    WORKS lw a2, (s0)
    li t0, SCONTEXT_FIELD(0x123) | SCONTEXT_MASK(1)
    csrw tdata3, t0
    STOPS s0, lw a2, (s0)
    li t0, 0x245
    csrw CSR_SCONTEXT, t0
    WORKS lw a2, (s0)
    li t0, ASID_FIELD(3)
    csrw tdata3, t0
    WORKS lw a2, (s0)
#if __riscv_xlen == 64
    li t0, 8 << 60 | 3 << 44
#else
    li t0, 1 << 31 | 3 << 22
#endif
    csrw satp, t0
    STOPS s0, lw a2, (s0)
    csrw satp, zero
    WORKS lw a2, (s0)
    END

/* Counts instructions of user mode, traps out of it among them. */
TEST count
    SET_UP
    TRIGGER 0, TYPE(3) | OTHER_USER | COUNT(1), zero
    la s11, 2f
    la s8, 1f
    ENTER 0
    nop
1:  j test_fail
2:  CHECK s2, 3
    CHECK s3, 0
    CHECK_SAME s4, s8
    CHECK_TRIGGER 0, TYPE(3) | OTHER_USER | COUNT_HIT
    la s11, 3f                  /* that was all */
    ENTER 0
    nop
    nop
    ecall
3:  CHECK s2, 8
    TRIGGER 0, TYPE(3) | OTHER_USER | COUNT(4), zero
    la s11, 4f
    ENTER 0
    nop
    ecall
    j test_fail
4:  CHECK s2, 8
    CHECK_TRIGGER 0, TYPE(3) | OTHER_USER | COUNT(2)
    la s11, 6f
    la s8, 5f
    ENTER 0
    nop
    nop
5:  j test_fail
6:  CHECK s2, 3
    CHECK_SAME s4, s8
    TRIGGER 0, TYPE(3) | OTHER_USER | COUNT(1), zero
    la s11, 7f                  /* where the last one traps, it is due when user mode goes on */
    ENTER 0
    ecall
7:  CHECK s2, 8
    CHECK_TRIGGER 0, TYPE(3) | OTHER_USER | COUNT_PENDING
    la s11, 9f
    la s8, 8f
    ENTER 0
8:  j test_fail
9:  CHECK s2, 3
    CHECK_SAME s4, s8
    END

/* A loop that looks at a counter. */
TEST count_machine
    SET_UP
    la s8, 3f
    la s11, 2f
    li a3, 0
    TRIGGER 3, TYPE(3) | OTHER_MACHINE | COUNT(31), zero
1:  lw a2, (s0)
    csrr a5, minstret
    addi a3, a3, 1
3:  j 1b
2:  CHECK s2, 3
    CHECK a3, 8
    CHECK_SAME s4, s8
    csrwi tselect, 3            /* reading does not count what reads */
    li t0, TYPE(3) | OTHER_MACHINE | COUNT(9)
    csrw tdata1, t0
    csrr a2, tdata1
    csrr a3, tdata1
    csrw tdata1, zero
    CHECK a2, TYPE(3) | OTHER_MACHINE | COUNT(9)
    CHECK a3, TYPE(3) | OTHER_MACHINE | COUNT(8)
    END

/* A trap to supervisor mode: the first instruction of its handler is stopped. */
TEST exception
    SET_UP
    li t0, 1 << 2
    csrw medeleg, t0
    li t0, 1 << 2 | 1 << 8
    TRIGGER 0, TYPE(5) | OTHER_USER, t0
    la s8, supervisor_trap_handler
    li s6, -1
    la s11, 1f
    ENTER 0
    .4byte 0
1:  CHECK s2, 3
    CHECK s3, 0
    CHECK_SAME s4, s8
    CHECK s6, -1
    csrr a2, scause
    CHECK a2, 2
    CHECK_TRIGGER 0, TYPE(5) | OTHER_USER | TRAP_HIT
    la s11, 2f
    ENTER MSTATUS_MPP_S         /* of user mode alone */
    .4byte 0
2:  CHECK s6, 2
    la s11, 3f
    ENTER 0                     /* to machine mode: interrupts are off there */
    ecall
3:  CHECK s2, 8
    csrw medeleg, zero
    END

TEST interrupt
    SET_UP
    csrwi mideleg, 2
    csrwi mie, 2
    li t0, 1 << 1
    TRIGGER 0, TYPE(4) | OTHER_USER, t0
    la s8, supervisor_trap_handler
    la s11, 1f
    csrwi mip, 2
    ENTER 0
    j test_fail
1:  CHECK s2, 3
    CHECK_SAME s4, s8
    csrr a2, scause
    CHECK a2, INTERRUPT | 1
    CHECK_TRIGGER 0, TYPE(4) | OTHER_USER | TRAP_HIT
    csrw mip, zero
    csrw mideleg, zero
    END

    .bss
    .balign 4096
data:
    .skip 12288
