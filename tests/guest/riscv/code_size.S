/* Zcmp and Zcmt, which assemblers of the day do not know; Zfinx behind state enables. */
#include "test.h"

#define CSR_JVT 0x017
#define CSR_MSTATEEN0 0x30c
#define CSR_MSTATEEN0H 0x31c
#define CSR_SSTATEEN0 0x10c

.macro PUSH list, more=0
    .2byte 0xb802 | (\list) << 4 | (\more) << 2
.endm
.macro POP list, more=0
    .2byte 0xba02 | (\list) << 4 | (\more) << 2
.endm
.macro POPRETZ list, more=0
    .2byte 0xbc02 | (\list) << 4 | (\more) << 2
.endm
.macro POPRET list, more=0
    .2byte 0xbe02 | (\list) << 4 | (\more) << 2
.endm
.macro MVSA01 first, second
    .2byte 0xac22 | (\first) << 7 | (\second) << 2
.endm
.macro MVA01S first, second
    .2byte 0xac62 | (\first) << 7 | (\second) << 2
.endm
.macro JT index /* cm.jalt from 32 on */
    .2byte 0xa002 | (\index) << 2
.endm

/* All that can be pushed gets \base and its own number. */
.macro FILL base
    .irp number, 1, 8, 9, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27
    li x\number, \base + \number
    .endr
.endm

/* Pushes with this list: memory below sp, the stack pointer; then pops into other values. t0 to t6 and a registers. */
.macro ROUND_TRIP list, count, adjustment64, adjustment32, more
    la a2, stack
    la a3, stack_end
    li a4, -1
1:  SX a4, (a2)
    addi a2, a2, XBYTES
    bne a2, a3, 1b
    FILL 0x100
    la sp, stack_end - 64
    PUSH \list, \more
#if __riscv_xlen == 64
    li a5, \adjustment64 + 16 * \more
#else
    li a5, \adjustment32 + 16 * \more
#endif
    la a2, stack_end - 64
    sub a3, a2, a5
    CHECK_SAME sp, a3
    la a4, moved + (13 - \count)
    li a6, \count
2:  addi a2, a2, -XBYTES
    LX a0, (a2)
    lbu a1, (a4)
    addi a1, a1, 0x100
    CHECK_SAME a0, a1
    addi a4, a4, 1
    addi a6, a6, -1
    bnez a6, 2b
    LX a0, -XBYTES(a2)
    CHECK a0, -1
    LX a0, stack_end - 64
    CHECK a0, -1
    FILL 0x200
    POP \list, \more
    la a2, stack_end - 64
    CHECK_SAME sp, a2
    la a2, dump
    .irp number, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 9, 8, 1
    SX x\number, (a2)
    addi a2, a2, XBYTES
    .endr
    la a2, dump
    la a4, moved
    li a6, 13
3:  LX a0, (a2)
    lbu a1, (a4)
    addi a1, a1, 0x200
    li a3, \count
    bgtu a6, a3, 4f
    addi a1, a1, -0x100
4:  CHECK_SAME a0, a1
    addi a2, a2, XBYTES
    addi a4, a4, 1
    addi a6, a6, -1
    bnez a6, 3b
.endm

TEST push_pop_1
    ROUND_TRIP 4, 1, 16, 16, 0
    END
TEST push_pop_2
    ROUND_TRIP 5, 2, 16, 16, 1
    END
TEST push_pop_3
    ROUND_TRIP 6, 3, 32, 16, 2
    END
TEST push_pop_4
    ROUND_TRIP 7, 4, 32, 16, 3
    END
TEST push_pop_5
    ROUND_TRIP 8, 5, 48, 32, 0
    END
TEST push_pop_6
    ROUND_TRIP 9, 6, 48, 32, 3
    END
TEST push_pop_7
    ROUND_TRIP 10, 7, 64, 32, 0
    END
TEST push_pop_8
    ROUND_TRIP 11, 8, 64, 32, 1
    END
TEST push_pop_9
    ROUND_TRIP 12, 9, 80, 48, 0
    END
TEST push_pop_10
    ROUND_TRIP 13, 10, 80, 48, 0
    END
TEST push_pop_11
    ROUND_TRIP 14, 11, 96, 48, 0
    END
TEST push_pop_13
    ROUND_TRIP 15, 13, 112, 64, 3
    END

/* ra is at the lowest address: with s0 above it. */
TEST popret
    la sp, stack_end - 32
    la a2, 1f
    ori a2, a2, 1
    SX a2, 32 - 2 * XBYTES(sp)
    li a3, 77
    SX a3, 32 - XBYTES(sp)
    li a0, 5
    POPRET 5, 1
    j test_fail
1:  CHECK a0, 5
    CHECK s0, 77
    CHECK_SAME ra, a2
    la a2, stack_end
    CHECK_SAME sp, a2
    END

TEST popretz
    la sp, stack_end - 16
    la a2, 1f
    SX a2, 16 - XBYTES(sp)
    li a0, 5
    POPRETZ 4
    j test_fail
1:  CHECK a0, 0
    CHECK_SAME ra, a2
    la a2, stack_end
    CHECK_SAME sp, a2
    END

/* Calls and returns, often enough to be predicted. */
TEST calls
    la sp, stack_end
    li s0, 0
    li s1, 100
1:  jal ra, 2f
    CHECK a0, 0
    addi s0, s0, 1
    bne s0, s1, 1b
    la a2, stack_end
    CHECK_SAME sp, a2
    END
2:  PUSH 6
    li s0, 1
    li s1, 2
    jal ra, 3f
    POPRETZ 6
3:  PUSH 4
    li a0, 1
    POPRET 4

TEST misaligned_stack
    la sp, stack_end - 31
    li ra, 0x1234567
    li s0, -2
    PUSH 5
    li ra, 0
    li s0, 0
    POP 5
    CHECK ra, 0x1234567
    CHECK s0, -2
    END

TEST moves
    li a0, 10
    li a1, 11
    .irp first, 0, 1, 2, 3, 4, 5, 6, 7
    .irp second, 0, 1, 2, 3, 4, 5, 6, 7
    .if \first != \second
    MVSA01 \first, \second
    CHECK s\first, 10
    CHECK s\second, 11
    .else
    .if \first != 0
    li s\first, 3
    .endif
    .endif
    .endr
    .endr
    .irp number, 0, 1, 2, 3, 4, 5, 6, 7
    li s\number, \number + 50
    .endr
    .irp first, 0, 1, 2, 3, 4, 5, 6, 7
    .irp second, 0, 1, 2, 3, 4, 5, 6, 7
    MVA01S \first, \second
    CHECK a0, \first + 50
    CHECK a1, \second + 50
    .endr
    .endr
    END

TEST reserved
    .irp list, 0, 1, 2, 3
    ILLEGAL PUSH \list
    ILLEGAL POP \list
    ILLEGAL POPRET \list
    ILLEGAL POPRETZ \list
    .endr
    .irp number, 0, 1, 2, 3, 4, 5, 6, 7
    ILLEGAL MVSA01 \number, \number
    .endr
    ILLEGAL .2byte 0xa402 /* 101 001 */
    ILLEGAL .2byte 0xa802 /* 101 010 */
    ILLEGAL .2byte 0xac06 /* 101 011, neither of the moves */
    ILLEGAL .2byte 0xac46
    ILLEGAL .2byte 0xb042 /* 101 100 */
    ILLEGAL .2byte 0xb442 /* 101 101 */
    ILLEGAL .2byte 0xb942 /* 101 11001 */
    ILLEGAL .2byte 0xbb42
    ILLEGAL .2byte 0xbd42
    ILLEGAL .2byte 0xbf42
    END

/* The page `denied` may be \permissions only, by machine mode too; the rest everything. */
.macro PROTECT permissions
    li t0, -1
    csrw pmpaddr1, t0
    la t0, denied + 0x7ff
    srli t0, t0, 2
    csrw pmpaddr0, t0
    li t0, 0x1f98 | (\permissions)
    csrw pmpcfg0, t0
.endm

/* Half way through nothing has changed. */
TEST pop_faults
    PROTECT 0
    FILL 0x100
    la sp, denied + 4096 - 24
    mv a2, sp
    TRY POP 8
    CHECK s2, 5
    la a3, denied + 4096 - XBYTES
    CHECK_SAME s3, a3
    CHECK_SAME s4, s1
    CHECK_SAME sp, a2
    CHECK ra, 0x101
    CHECK s0, 0x108
    li a0, 3
    TRY POPRETZ 8
    CHECK s2, 5
    CHECK a0, 3
    CHECK ra, 0x101
    CHECK s0, 0x108
    CHECK_SAME sp, a2
    END

TEST push_faults
    PROTECT 1
    FILL 0x100
    la sp, denied + 4096 + 3 * XBYTES
    mv a2, sp
    TRY PUSH 8
    CHECK s2, 7
    la a3, denied + 4096 - XBYTES
    CHECK_SAME s3, a3
    CHECK_SAME s4, s1
    CHECK_SAME sp, a2
    LX a4, denied + 4096 - XBYTES
    CHECK a4, 0
    END

TEST jvt
    li a2, -1
    csrw CSR_JVT, a2
    csrr a2, CSR_JVT
    CHECK a2, -64
    csrw CSR_JVT, zero
    csrr a2, CSR_JVT
    CHECK a2, 0
    END

TEST table_jumps
    la a2, table
    csrw CSR_JVT, a2
    li ra, 3
    JT 0
    j test_fail
1:  CHECK ra, 3
    JT 31
    j test_fail
2:  CHECK ra, 3
    la a3, 4f
    JT 32
4:  j test_fail
3:  CHECK_SAME ra, a3
    la a3, 6f
    JT 255
6:  j test_fail
5:  CHECK_SAME ra, a3
    li a4, 50
7:  la a3, 8f
    JT 100
8:  CHECK_SAME ra, a3
    addi a4, a4, -1
    bnez a4, 7b
    li a4, 0    /* the same instruction by another table */
9:  JT 1
    j test_fail
10: addi a4, a4, 1
    la a2, other_table
    csrw CSR_JVT, a2
    j 9b
11: CHECK a4, 1
    END
20: jr ra

    .pushsection .text
    .balign 64
table:
    XWORD 1b + 1, 10b
    .skip 29 * XBYTES
    XWORD 2b, 3b
    .skip 67 * XBYTES
    XWORD 20b
    .skip 154 * XBYTES
    XWORD 5b
    .balign 64
other_table:
    XWORD 0, 11b
    .popsection

/* An entry is fetched: it must be executable, and need not be readable. */
TEST table_not_executable
    la a2, denied
    csrw CSR_JVT, a2
    PROTECT 3
    TRY JT 2
    CHECK s2, 1
    la a3, denied + 2 * XBYTES
    CHECK_SAME s3, a3
    CHECK_SAME s4, s1
    li ra, 3
    TRY JT 200
    CHECK s2, 1
    la a3, denied + 200 * XBYTES
    CHECK_SAME s3, a3
    CHECK ra, 3
    END

TEST table_execute_only
    la a2, denied
    csrw CSR_JVT, a2
    la a3, 1f
    SX a3, 5 * XBYTES(a2)
    PROTECT 4
    JT 5
    j test_fail
1:  END

TEST table_nowhere
    li a2, 0x10000000
    csrw CSR_JVT, a2
    TRY JT 0
    CHECK s2, 1
    CHECK_SAME s3, a2
    CHECK_SAME s4, s1
    END

/* Bit 2 of the state enables is jvt's, with cm.jt and cm.jalt. */
.macro ALLOW bits
    li t0, \bits
    csrw CSR_MSTATEEN0, t0
#if __riscv_xlen == 32
    li t1, 0x80000000
    csrw CSR_MSTATEEN0H, t1
#else
    li t1, 0x8000000000000000
    csrs CSR_MSTATEEN0, t1
#endif
    csrw CSR_SSTATEEN0, t0
.endm

TEST state_enable_jvt
    la a2, table
    csrw CSR_JVT, a2
    ENTER MSTATUS_MPP_S
    ILLEGAL csrr a3, CSR_JVT
    LEAVE
    ENTER 0
    ILLEGAL JT 0
    LEAVE
    ENTER 0
    ILLEGAL JT 100
    LEAVE
    ALLOW 4
    csrr a3, CSR_SSTATEEN0
    CHECK a3, 4
    ENTER 0
    csrr a3, CSR_JVT
    JT 100
    LEAVE
    CHECK_SAME a2, a3
    csrw CSR_SSTATEEN0, zero
    ENTER MSTATUS_MPP_S
    csrr a3, CSR_JVT
    LEAVE
    ENTER 0
    ILLEGAL csrr a3, CSR_JVT
    LEAVE
    END

/* Bit 1: floating point in integer registers. */
TEST state_enable_fcsr
    fadd.s a3, a2, a2
    ENTER MSTATUS_MPP_S
    ILLEGAL fadd.s a3, a2, a2
    LEAVE
    ENTER 0
    ILLEGAL csrr a3, fcsr
    LEAVE
    ALLOW 2
    ENTER 0
    fadd.s a3, a2, a2
    csrr a3, fcsr
    LEAVE
    csrw CSR_SSTATEEN0, zero
    ENTER MSTATUS_MPP_S
    fclass.s a3, zero
    LEAVE
    CHECK a3, 16
    ENTER 0
    ILLEGAL fclass.s a3, zero
    LEAVE
    END

    .data
/* Registers from the highest address down. */
moved:
    .byte 27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 9, 8, 1
    .balign 8
dump:
    .skip 13 * 8
    .balign 16
stack:
    .skip 512
stack_end:
    .skip 64
    .balign 4096
denied:
    .skip 4096
    .skip 64
