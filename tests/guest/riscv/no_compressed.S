/* Without C, instructions are four bytes long and jump targets that are not multiples of four raise an exception. */
#include "test.h"

TEST misaligned_targets
    la t0, target + 2
    li a2, 1
    TRY jalr a2, 0(t0)
    CHECK s2, 0
    CHECK_SAME s3, t0
    CHECK_SAME s4, s1
    CHECK a2, 1                 /* the link register is not written */
    TRY jalr a2, 1(t0)
    CHECK s2, 0
    CHECK_SAME s3, t0
    la t0, target
    TRY jalr a2, 2(t0)
    CHECK s2, 0
    TRY .word 0x0060066f        /* jal a2, 6 */
    CHECK s2, 0
    addi s1, s1, 6
    CHECK_SAME s3, s1
    CHECK a2, 1
    TRY .word 0x00000363        /* beq x0, x0, 6 */
    CHECK s2, 0
    addi s1, s1, 6
    CHECK_SAME s3, s1
    WORKS .word 0x00001363      /* bne x0, x0, 6: not taken */
    WORKS .word 0x00000263      /* beq x0, x0, 4 */
    la t0, 1f
    jalr a2, 1(t0)              /* bit 0 is dropped */
    j test_fail
1:  END

/* mepc and sepc show multiples of four. */
TEST epc
    li t0, -1
    csrw mepc, t0
    csrr a2, mepc
    CHECK a2, -4
    csrw sepc, t0
    csrr a2, sepc
    CHECK a2, -4
    la t0, 1f
    ori t0, t0, 3
    csrw mepc, t0
    li t0, MSTATUS_MPP
    csrs mstatus, t0
    mret
    j test_fail
1:  csrr a2, misa
    andi a2, a2, 4
    CHECK a2, 0
    END

TEST compressed_are_illegal
    la t0, target
    la s11, 1f
    jr t0
1:  CHECK s2, 2
    CHECK s3, 0x4505
    CHECK_SAME s4, t0
    END
    .align 2
target:
    .2byte 0x4505, 0x4505
