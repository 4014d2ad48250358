/* Smepmp: what entries mean once machine mode is locked down, and what can still be changed then. */
#include "test.h"

#define MSECCFG 0x747
#define MML 1
#define MMWP 2
#define RLB 4

/* a4 gets the bit where the access works. */
.macro ACCESS bit, insn:vararg
    TRY \insn
    bgez s2, .Lrefused\@
    ori a4, a4, \bit
.Lrefused\@:
.endm

/* Entry 1: the code, for machine mode to read and execute; entry 0: the page at s0, off. Locked down, with a bypass. */
.macro SET_UP
    csrwi MSECCFG, RLB
    li t0, 0x80000000 >> 2 | 0x1fff
    csrw pmpaddr1, t0
    la s0, guarded
    srli t0, s0, 2
    ori t0, t0, 0x1ff
    csrw pmpaddr0, t0
    li t0, 0x9d00
    csrw pmpcfg0, t0
    csrwi MSECCFG, RLB | MML
.endm

/* All sixteen combinations: reads and writes of machine mode, then of user mode. */
TEST meanings
    SET_UP
    la a5, expected
    li s10, 0
1:  li t0, 0x9d18
    andi t1, s10, 7
    or t0, t0, t1
    andi t1, s10, 8
    slli t1, t1, 4
    or t0, t0, t1
    csrw pmpcfg0, t0
    csrr t1, pmpcfg0
    CHECK_SAME t1, t0
    li a4, 0
    ACCESS 1, lw a2, (s0)
    ACCESS 2, sw a2, (s0)
    li t0, MSTATUS_MPP
    csrc mstatus, t0
    li t0, MSTATUS_MPRV
    csrs mstatus, t0
    ACCESS 4, lw a2, (s0)
    ACCESS 8, sw a2, (s0)
    li t0, MSTATUS_MPRV
    csrc mstatus, t0
    lbu t1, (a5)
    CHECK_SAME a4, t1
    addi a5, a5, 1
    addi s10, s10, 1
    li t0, 16
    bne s10, t0, 1b
    END
expected: /* by X, W, R, from the highest bit; unlocked, locked */
    .byte 0, 4, 7, 12, 0, 4, 15, 12
    .byte 0, 1, 0, 3, 0, 1, 1, 5
    .balign 4

/* What machine mode may execute: nothing without an entry for it. */
TEST fetches
    SET_UP
    li t0, 0x00008067           /* ret */
    sw t0, (s0)
    fence.i
    la s11, 1f
    mv ra, s11
    jr s0                       /* no entry */
    j test_fail
1:  CHECK s2, 1
    CHECK_SAME s4, s0
    li t0, 0x9d9c               /* execute only */
    csrw pmpcfg0, t0
    la ra, 2f
    jr s0
2:  WORKS nop
    TRY lw a2, (s0)
    CHECK s2, 5
    END

/* Bits of mseccfg that stay, and entries that cannot come. */
TEST sticky
    SET_UP
    csrwi MSECCFG, 0
    csrr a2, MSECCFG
    CHECK a2, MML               /* the bypass may be given up */
    csrwi MSECCFG, RLB
    csrr a2, MSECCFG
    CHECK a2, MML               /* ... but not be had again */
    li t1, 0x9c                 /* executable by machine mode: X, WX, W, RX */
    csrw pmpcfg0, t1
    csrr a2, pmpcfg0
    CHECK a2, 0x9d00
    li t1, 0x9e
    csrw pmpcfg0, t1
    csrr a2, pmpcfg0
    CHECK a2, 0x9d00
    li t1, 0x9a
    csrw pmpcfg0, t1
    csrr a2, pmpcfg0
    CHECK a2, 0x9d00
    li t1, 0x1c                 /* by user mode alone: it may */
    csrw pmpcfg0, t1
    csrr a2, pmpcfg0
    CHECK a2, 0x9d1c
    li t1, 0x99                 /* to read alone: so may this, once */
    csrw pmpcfg0, t1
    csrw pmpcfg0, zero
    csrr a2, pmpcfg0
    CHECK a2, 0x9d99
    END

/* Nothing but what entries name; the finisher has one. */
TEST whitelist
    SET_UP
    li t0, FINISHER >> 2 | 0x1ff
    csrw pmpaddr2, t0
    li t0, 0x9b9d00
    csrw pmpcfg0, t0
    WORKS lw a2, (s0)
    csrwi MSECCFG, MMWP
    csrr a2, MSECCFG
    CHECK a2, MML | MMWP
    TRY lw a2, (s0)
    CHECK s2, 5
    CHECK_SAME s3, s0
    TRY sw a2, (s0)
    CHECK s2, 7
    END

    .bss
    .balign 65536
    .skip 65536
guarded:
    .skip 4096
