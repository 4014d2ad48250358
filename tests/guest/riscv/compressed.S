/* C: each instruction in its short form, by its encoding's assembly name. */
#include "test.h"

TEST c_addi4spn
    mv a4, sp
    c.addi4spn a2, sp, 4
    sub a2, a2, sp
    CHECK a2, 4
    c.addi4spn s0, sp, 1020
    sub s0, s0, sp
    CHECK s0, 1020
    c.addi4spn a5, sp, 512
    sub a5, a5, sp
    CHECK a5, 512
    END

TEST c_lw_c_sw
    la a2, words
    c.lw a3, 0(a2)
    CHECK a3, 0x11111111
    c.lw s1, 124(a2)
    CHECK s1, -1
    c.lw a3, 4(a2)
    CHECK a3, 0x22222222
    c.lw a3, 64(a2)
    CHECK a3, 0x33333333
    la a4, target
    li s0, 0x44444444
    c.sw s0, 0(a4)
    c.sw s0, 124(a4)
    lw a3, 0(a4)
    CHECK a3, 0x44444444
    lw a3, 124(a4)
    CHECK a3, 0x44444444
    END

#if __riscv_xlen == 64
TEST c_ld_c_sd
    la a2, words
    c.ld a3, 0(a2)
    CHECK a3, 0x2222222211111111
    c.ld a3, 248(a2)
    CHECK a3, 0x5555555566666666
    c.ld s0, 64(a2)
    CHECK s0, 0x33333333
    la a4, target
    li s1, 0x123456789abcdef0
    c.sd s1, 0(a4)
    c.sd s1, 248(a4)
    ld a3, 0(a4)
    CHECK a3, 0x123456789abcdef0
    ld a3, 248(a4)
    CHECK a3, 0x123456789abcdef0
    END

TEST c_addiw
    li a2, 0x7fffffff
    c.addiw a2, 1
    CHECK a2, 0xffffffff80000000
    c.addiw a2, -32
    CHECK a2, 0x7fffffe0
    li t0, 0x123456789
    c.addiw t0, 0
    CHECK t0, 0x23456789
    END

TEST c_subw_c_addw
    li s0, 0
    li a2, 1
    c.subw s0, a2
    CHECK s0, -1
    li a5, 0x7fffffff
    c.addw a5, a2
    CHECK a5, 0xffffffff80000000
    li s1, 0x100000005
    c.addw s1, a2
    CHECK s1, 6
    END
#else
TEST c_jal
    la t0, 1f
    c.jal 2f
1:  j test_fail
2:  CHECK_SAME ra, t0
    END

TEST c_flw_c_fsw
    la a2, words
    c.flw fa3, 4(a2)
    fmv.x.w a3, fa3
    CHECK a3, 0x22222222
    c.flw fs0, 124(a2)
    fmv.x.w a3, fs0
    CHECK a3, -1
    la a4, target
    c.fsw fa3, 64(a4)
    lw a3, 64(a4)
    CHECK a3, 0x22222222
    END

TEST c_flwsp_c_fswsp
    mv a5, sp
    la sp, words
    c.flwsp ft11, 4(sp)
    la sp, target
    c.fswsp ft11, 252(sp)
    lw a3, 252(sp)
    mv sp, a5
    CHECK a3, 0x22222222
    END
#endif

TEST c_fld_c_fsd
    la a2, words
    c.fld fa4, 248(a2)
    la a3, target
    c.fsd fa4, 240(a3)
    lw a4, 240(a3)
    CHECK a4, 0x66666666
    lw a4, 244(a3)
    CHECK a4, 0x55555555
    END

TEST c_addi
    li a2, 5
    c.addi a2, -6
    CHECK a2, -1
    c.addi a2, 31
    CHECK a2, 30
    c.addi a2, -32
    CHECK a2, -2
    c.nop
    .2byte 0x0015 /* hints: c.nop with a number ... */
    .2byte 0x0601 /* ... c.addi of 0 to a2 */
    CHECK a2, -2
    END

TEST c_li
    c.li a2, -32
    CHECK a2, -32
    c.li t6, 31
    mv a2, t6
    CHECK a2, 31
    .2byte 0x4015 /* a hint: to x0 */
    CHECK x0, 0
    END

TEST c_addi16sp
    mv a5, sp
    c.addi16sp sp, 496
    sub a2, sp, a5
    CHECK a2, 496
    mv sp, a5
    c.addi16sp sp, -512
    sub a2, sp, a5
    CHECK a2, -512
    mv sp, a5
    c.addi16sp sp, 16
    sub a2, sp, a5
    CHECK a2, 16
    mv sp, a5
    END

TEST c_lui
    c.lui a2, 1
    CHECK a2, 0x1000
    c.lui t0, 0x1f
    CHECK t0, 0x1f000
    c.lui a2, 0xfffe0
    CHECK a2, -0x20000
    c.lui ra, 0xfffff
    CHECK ra, -0x1000
    .2byte 0x6005 /* a hint: to x0 */
    CHECK x0, 0
    END

TEST c_srli_c_srai_c_slli
    li s0, X_MIN
    c.srai s0, 1
    li a2, X_MIN
    srli a2, a2, 1
    li a3, X_MIN
    or a2, a2, a3
    CHECK_SAME s0, a2
    li a5, X_MIN
    c.srli a5, __riscv_xlen - 1
    CHECK a5, 1
    li a5, X_MIN
    c.srai a5, __riscv_xlen - 1
    CHECK a5, -1
    li t0, 1
    c.slli t0, __riscv_xlen - 1
    CHECK t0, X_MIN
    li t0, 3
    c.slli t0, 4
    CHECK t0, 48
    li a5, -1
    c.srli a5, 5
    srli a5, a5, 0
    li a2, -1
    srli a2, a2, 5
    CHECK_SAME a5, a2
    END

TEST c_andi
    li a2, -1
    c.andi a2, 15
    CHECK a2, 15
    c.andi a2, -2
    CHECK a2, 14
    c.andi a2, -32
    CHECK a2, 0
    END

TEST c_sub_c_xor_c_or_c_and
    li a2, 5
    li s1, 12
    c.sub a2, s1
    CHECK a2, -7
    li a3, 12
    li a4, 10
    c.xor a3, a4
    CHECK a3, 6
    c.or a3, a4
    CHECK a3, 14
    c.and a3, a4
    CHECK a3, 10
    END

TEST c_j
    c.j 2f
1:  c.j 3f
2:  c.j 1b
    j test_fail
3:  CHECK x0, 0
    c.j 5f
4:  END
    .skip 1900
5:  c.j 4b

TEST c_beqz_c_bnez
    li s0, 0
    c.beqz s0, 1f
    j test_fail
1:  c.bnez s0, 2f
    li a5, 1
    c.bnez a5, 3f
2:  j test_fail
3:  c.beqz a5, 2b
    li a5, 3
4:  addi a5, a5, -1
    c.bnez a5, 4b
    CHECK a5, 0
    END

TEST c_lwsp_c_swsp
    mv a5, sp
    la sp, words
    c.lwsp t0, 4(sp)
    c.lwsp t1, 252(sp)
    la sp, target
    c.swsp t0, 252(sp)
    c.swsp x0, 0(sp)
    lw a2, 252(sp)
    mv sp, a5
    CHECK t0, 0x22222222
    CHECK t1, 0x55555555
    CHECK a2, 0x22222222
    END

TEST c_fldsp_c_fsdsp
    mv a5, sp
    la sp, words
    c.fldsp ft10, 248(sp)
    la sp, target
    c.fsdsp ft10, 504(sp)
    lw a2, 504(sp)
    lw a3, 508(sp)
    c.fsdsp ft10, 8(sp)
    lw a4, 8(sp)
    mv sp, a5
    CHECK a2, 0x66666666
    CHECK a3, 0x55555555
    CHECK a4, 0x66666666
    END

#if __riscv_xlen == 64
TEST c_ldsp_c_sdsp
    mv a5, sp
    la sp, words
    c.ldsp t0, 248(sp)
    la sp, target
    c.sdsp t0, 504(sp)
    ld a2, 504(sp)
    mv sp, a5
    CHECK t0, 0x5555555566666666
    CHECK a2, 0x5555555566666666
    END
#endif

TEST c_jr
    la t0, 1f
    c.jr t0
    j test_fail
1:  CHECK x0, 0
    END

TEST c_jalr
    la t0, 2f
    la t1, 1f
    c.jalr t0
1:  j test_fail
2:  CHECK_SAME ra, t1
    la ra, 4f
    la t1, 3f
    c.jalr ra
3:  j test_fail
4:  CHECK_SAME ra, t1
    END

TEST c_mv_c_add
    li t0, 77
    c.mv t1, t0
    CHECK t1, 77
    c.add t1, t0
    CHECK t1, 154
    .2byte 0x8016 /* hints: c.mv and c.add to x0 */
    .2byte 0x9016
    CHECK x0, 0
    END

TEST c_ebreak
    TRY c.ebreak
    CHECK s2, 3
    CHECK_SAME s4, s1
    END

/* Encodings that are illegal or reserved; mtval has 16 bits. */
.macro RESERVED bits
    .align 2
    TRY .2byte \bits
    CHECK s2, 2
    CHECK s3, \bits
    CHECK_SAME s4, s1
.endm

TEST reserved
    RESERVED 0x0000 /* defined illegal */
    RESERVED 0x0004 /* c.addi4spn of 0 */
    RESERVED 0x6081 /* c.lui of 0 */
    RESERVED 0x6101 /* c.addi16sp of 0 */
    RESERVED 0x4002 /* c.lwsp to x0 */
    RESERVED 0x8002 /* c.jr x0 */
#if __riscv_xlen == 64
    RESERVED 0x2001 /* c.addiw to x0 */
    RESERVED 0x6002 /* c.ldsp to x0 */
    RESERVED 0x9c41 /* beside c.subw and c.addw */
    RESERVED 0x9c61
#else
    RESERVED 0x9001 /* shifts by 32 and more */
    RESERVED 0x9401
    RESERVED 0x1082
    RESERVED 0x9c01 /* c.subw */
    RESERVED 0x9c21 /* c.addw */
#endif
    END

/* A four-byte instruction across the end of a page. */
TEST across_pages
    la t0, page_end
    jalr t0
    CHECK a2, 0x123
    END
    .align 12
    .skip 4092
    .option push
    .option norvc
page_end:
    .option rvc
    c.nop
    .option norvc
    li a2, 0x123
    ret
    .option pop

    .data
    .align 4
words:
    .word 0x11111111, 0x22222222, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
    .word 0x33333333, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, -1
    .word 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
    .word 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x66666666, 0x55555555
    .bss
    .align 4
target:
    .skip 1024
