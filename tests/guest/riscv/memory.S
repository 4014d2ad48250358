/* Loads and stores, aligned and not, of integers and floating point. */
#include "test.h"

.macro LOAD insn, offset, value
    la t0, pattern + 8
    \insn a2, \offset(t0)
    CHECK a2, \value
    addi t0, t0, 64
    \insn t0, (\offset - 64)(t0) /* the address register is overwritten */
    CHECK_SAME t0, a2
    la t0, pattern + 8
    \insn x0, \offset(t0)
    CHECK x0, 0
.endm

TEST lb
    LOAD lb, 0, 0x78
    LOAD lb, -1, 0x01
    LOAD lb, 4, -16
    LOAD lb, 7, -128
    END

TEST lbu
    LOAD lbu, 4, 0xf0
    LOAD lbu, 7, 0x80
    LOAD lbu, 0, 0x78
    END

TEST lh
    LOAD lh, 0, 0x5678
    LOAD lh, 4, -0x4310
    LOAD lh, 6, -0x7f57
    LOAD lh, 5, -0x5644         /* misaligned */
    LOAD lh, -1, 0x7801
    END

TEST lhu
    LOAD lhu, 4, 0xbcf0
    LOAD lhu, 5, 0xa9bc
    END

TEST lw
    LOAD lw, 0, 0x12345678
    LOAD lw, 4, -0x7f564310
    LOAD lw, 3, -0x56430fee     /* misaligned */
    LOAD lw, -2, 0x56780123
    END

#if __riscv_xlen == 64
TEST lwu
    LOAD lwu, 4, 0x80a9bcf0
    LOAD lwu, 3, 0xa9bcf012
    END

TEST ld
    LOAD ld, 0, 0x80a9bcf012345678
    LOAD ld, -8, 0x0123456789abcdef
    LOAD ld, -3, 0xf012345678012345
    END
#endif

TEST load_offsets
    la t0, pattern + 8
    li t1, 2047
    sub t0, t0, t1
    lw a2, 2047(t0)
    CHECK a2, 0x12345678
    la t0, pattern + 8 + 2048
    lw a2, -2048(t0)
    CHECK a2, 0x12345678
    END

    .data
    .align 3
pattern:
    .dword 0x0123456789abcdef
    .dword 0x80a9bcf012345678
    .dword 0

    .text
/* Around what is stored nothing changes. */
.macro STORE insn, offset, value, word0, word1, word2
    la t0, target
    li t1, -1
    sw t1, 0(t0)
    sw t1, 4(t0)
    sw t1, 8(t0)
    li t1, \value
    \insn t1, \offset(t0)
    lw a2, 0(t0)
    CHECK a2, \word0
    lw a2, 4(t0)
    CHECK a2, \word1
    lw a2, 8(t0)
    CHECK a2, \word2
.endm

TEST sb
    STORE sb, 0, 0x12345678, -136, -1, -1
    STORE sb, 3, 0, 0x00ffffff, -1, -1
    STORE sb, 7, -256, -1, 0x00ffffff, -1
    END

TEST sh
    STORE sh, 0, 0x12345678, -0xa988, -1, -1
    STORE sh, 6, 0, -1, 0x0000ffff, -1
    STORE sh, 3, 0x5678, 0x78ffffff, -170, -1
    END

TEST sw
    STORE sw, 4, 0x12345678, -1, 0x12345678, -1
    STORE sw, 2, 0x12345678, 0x5678ffff, -0xedcc, -1
    END

#if __riscv_xlen == 64
TEST sd
    STORE sd, 0, 0x0123456712345678, 0x12345678, 0x01234567, -1
    STORE sd, 2, 0x0123456712345678, 0x5678ffff, 0x45671234, -0xfedd
    END
#endif

TEST store_offsets
    la t0, target + 2048
    li t1, 7
    sw t1, -2048(t0)
    lw a2, target
    CHECK a2, 7
    END

/* Across the end of a page. */
TEST across_pages
    la t0, pages + 4094
    li t1, 0x11223344
    sw t1, (t0)
    lw a2, (t0)
    CHECK a2, 0x11223344
    lhu a2, (t0)
    CHECK a2, 0x3344
    lhu a2, 2(t0)
    CHECK a2, 0x1122
    lhu a2, 1(t0)
    CHECK a2, 0x2233
    END

TEST flw
    la t0, pattern
    flw fa0, 8(t0)
    fmv.x.w a2, fa0
    CHECK a2, 0x12345678
    la t1, target
    fsd fa0, (t1)       /* boxed */
    lw a2, 4(t1)
    CHECK a2, -1
    flw fa0, 13(t0)     /* misaligned */
    fmv.x.w a2, fa0
    CHECK a2, 0x0080a9bc
    END

TEST fsw
    la t0, pattern
    fld fa0, 8(t0)
    la t1, target
    sw zero, 4(t1)
    fsw fa0, (t1)       /* the low half, boxed or not */
    lw a2, (t1)
    CHECK a2, 0x12345678
    lw a2, 4(t1)
    CHECK a2, 0
    END

TEST fld
    la t0, pattern
    fld fa0, 8(t0)
    la t1, target
    fsd fa0, 8(t1)
    lw a2, 8(t1)
    CHECK a2, 0x12345678
    lw a2, 12(t1)
    CHECK a2, -0x7f564310
    fld fa0, 1(t0)      /* misaligned */
    fsd fa0, 3(t1)
    lw a2, 3(t1)
    CHECK a2, 0x6789abcd
    lw a2, 7(t1)
    CHECK a2, 0x78012345
    END

TEST fsd
    la t0, pattern
    la t1, target
    fld fs11, (t0)
    fsd fs11, (t1)
    lw a2, (t1)
    CHECK a2, -0x76543211
    lw a2, 4(t1)
    CHECK a2, 0x01234567
    END

/* Where nothing answers. */
TEST access_faults
    li t0, 0x1000000
    TRY lw a2, 4(t0)
    CHECK s2, 5
    CHECK s3, 0x1000004
    CHECK_SAME s4, s1
    TRY sb a2, 1(t0)
    CHECK s2, 7
    CHECK s3, 0x1000001
    TRY amoadd.w a2, a2, (t0)
    CHECK s2, 7
    CHECK s3, 0x1000000
    la s11, 1f
    jr t0
1:  CHECK s2, 1
    CHECK s3, 0x1000000
    CHECK s4, 0x1000000
    END

/* An instruction that faults changes nothing: not even where it loads into its own address register. */
TEST precise
    li t0, 0x1000000
    TRY lw t0, (t0)
    CHECK s2, 5
    CHECK t0, 0x1000000
    li t1, 1
    TRY amoswap.w t0, t1, (t0)
    CHECK s2, 7
    CHECK t0, 0x1000000
    CHECK t1, 1
    li t1, 0x2000
    csrs mstatus, t1
    li t1, 0x4000
    csrc mstatus, t1
    fmv.w.x fa0, zero
    li t1, 0x4000
    csrc mstatus, t1        /* FS clean or initial: a load that faults leaves it so */
    TRY flw fa0, (t0)
    CHECK s2, 5
    csrr a2, mstatus
    li t1, MSTATUS_FS
    and a2, a2, t1
    CHECK a2, 0x2000
    END

    .bss
    .align 12
target:
    .skip 4096
pages:
    .skip 8192
