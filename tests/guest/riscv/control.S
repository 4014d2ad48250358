/* lui, auipc, jumps, branches, fences, environment calls. */
#include "test.h"

TEST lui
    lui a2, 0
    CHECK a2, 0
    lui a2, 0x12345
    CHECK a2, 0x12345000
    lui a2, 0x80000
#if __riscv_xlen == 64
    CHECK a2, 0xffffffff80000000
#else
    CHECK a2, 0x80000000
#endif
    lui a2, 0xfffff
    CHECK a2, -4096
    lui x0, 5
    CHECK x0, 0
    END

TEST auipc
    la t0, 1f
1:  auipc a2, 0
    CHECK_SAME a2, t0
    la t0, 1f
1:  auipc a2, 0x12345
    li t1, 0x12345000
    add t0, t0, t1
    CHECK_SAME a2, t0
    la t0, 1f
1:  auipc a2, 0xfffff
    addi t0, t0, -2048
    addi t0, t0, -2048
    CHECK_SAME a2, t0
    END

TEST jal
    la t0, 1f
    jal a2, 2f
1:  j test_fail
2:  CHECK_SAME a2, t0
    li a3, 0
    j 4f            /* forward */
3:  addi a3, a3, 1
    j 5f
4:  j 3b            /* backward */
5:  CHECK a3, 1
    jal x0, 6f
6:  CHECK x0, 0
    END

TEST jalr
    la t0, 2f
    la t1, 1f
    jalr a2, 0(t0)
1:  j test_fail
2:  CHECK_SAME a2, t1
    la t0, 4f + 16  /* an offset, and bit 0 is dropped */
    jalr a2, -15(t0)
    j test_fail
4:  la t0, 6f
    la t1, 5f
    jalr t0, 0(t0)  /* target and link in one register */
5:  j test_fail
6:  CHECK_SAME t0, t1
    la t0, 7f
    jalr x0, 0(t0)
    j test_fail
7:  CHECK x0, 0
    END

TEST call_and_return
    li a2, 0
    li a3, 1000
1:  call leaf
    call t0_leaf
    addi a3, a3, -1
    bnez a3, 1b
    CHECK a2, 3000
    END
leaf:
    addi a2, a2, 1
    ret
t0_leaf:
    mv a4, ra
    jal t0, 1f
    mv ra, a4
    ret
1:  addi a2, a2, 2
    jr t0

/* Both ways of a branch, with operands for which it is taken and for which it is not. */
.macro BRANCH insn, taken_a, taken_b, not_a, not_b
    addi gp, gp, 1
    li t0, \taken_a
    li t1, \taken_b
    \insn t0, t1, .Ltaken\@
    j test_fail
.Lback\@:
    addi gp, gp, 1
    li t0, \not_a
    li t1, \not_b
    \insn t0, t1, .Lwrong\@
    j .Ldone\@
.Lwrong\@:
    j test_fail
.Ltaken\@:
    li t0, \taken_a
    li t1, \taken_b
    \insn t0, t1, .Lback\@
    j test_fail
.Ldone\@:
.endm

TEST beq
    BRANCH beq, 1, 1, 1, 2
    BRANCH beq, -1, -1, -1, 1
    BRANCH beq, X_MIN, X_MIN, X_MIN, 0
    BRANCH beq, 0, 0, 0, X_MIN
    END

TEST bne
    BRANCH bne, 1, 2, 1, 1
    BRANCH bne, 0, X_MIN, -1, -1
    END

TEST blt
    BRANCH blt, -1, 0, 0, -1
    BRANCH blt, X_MIN, 1, 1, X_MIN
    BRANCH blt, 1, 2, 2, 2
    END

TEST bge
    BRANCH bge, 0, -1, -1, 0
    BRANCH bge, 2, 2, 1, 2
    BRANCH bge, 1, X_MIN, X_MIN, 1
    END

TEST bltu
    BRANCH bltu, 0, -1, -1, 0
    BRANCH bltu, 1, X_MIN, X_MIN, 1
    BRANCH bltu, 1, 2, 2, 2
    END

TEST bgeu
    BRANCH bgeu, -1, 0, 0, -1
    BRANCH bgeu, 2, 2, 1, 2
    BRANCH bgeu, X_MIN, 1, 1, X_MIN
    END

/* The farthest that a branch reaches, both ways. */
TEST branch_reach
    beqz x0, 2f
1:  END
    .skip 4080
2:  bnez x0, 1b
    beqz x0, 1b
    j test_fail

TEST fence
    fence
    fence rw, w
    fence r, r
    fence.tso
    .word 0x0000000f /* no set at all */
    .word 0x1230000f /* a reserved fm */
    .word 0x0ff5850f /* rs1 and rd are ignored */
    .word 0x0100000f /* pause */
    CHECK x0, 0
    END

/* Code that was changed is executed after fence.i. */
TEST fence_i
    li a3, 0
    la t0, patched
    call patched
    CHECK a2, 1
    lw t1, replacement
    sw t1, (t0)
    fence.i
    call patched
    CHECK a2, 2
    la t0, 1f       /* ahead of the program counter, in the same block */
    lw t1, replacement
    sw t1, (t0)
    fence.i
    .option push
    .option norvc
    .align 2
1:  li a2, 1
    .option pop
    CHECK a2, 2
    END
    .option push
    .option norvc
    .align 2
patched:
    li a2, 1
    ret
    .align 2
replacement:
    li a2, 2
    .option pop

TEST ecall
    TRAPS 11, 0, ecall
    END

/* mtval may be the address, or zero. */
TEST ebreak
    .option push
    .option norvc
    TRY ebreak
    .option pop
    CHECK s2, 3
    CHECK_SAME s4, s1
    beqz s3, 1f
    CHECK_SAME s3, s1
1:  END
