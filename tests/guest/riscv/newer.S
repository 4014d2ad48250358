/* Instructions that assemblers of the day do not know, by their encodings. */
#include "test.h"

.macro CZERO funct3, rd, rs1, rs2
    .insn r 0x33, \funct3, 7, \rd, \rs1, \rs2
.endm

TEST czero_eqz
    li a2, 5
    li a3, X_MIN
    CZERO 5, a4, a2, a3
    CHECK a4, 5
    CZERO 5, a4, a2, zero
    CHECK a4, 0
    CZERO 5, a2, a2, a2
    CHECK a2, 5
    END

TEST czero_nez
    li a2, 5
    li a3, X_MIN
    CZERO 7, a4, a2, a3
    CHECK a4, 0
    CZERO 7, a4, a2, zero
    CHECK a4, 5
    CZERO 7, a2, a2, a2
    CHECK a2, 0
    END

/* They write zero, whatever they read; c.mop writes nothing. */
TEST mop
    li a2, 5
    li a3, 6
    .4byte 0x81c5c673 /* mop.r.0 a2, a1 */
    CHECK a2, 0
    li a2, 5
    .4byte 0xcdf5c673 /* mop.r.31 a2, a1 */
    CHECK a2, 0
    li a2, 5
    .4byte 0x82d5c673 /* mop.rr.0 a2, a1, a3 */
    CHECK a2, 0
    li a2, 5
    .4byte 0xced5c673 /* mop.rr.7 a2, a1, a3 */
    CHECK a2, 0
    li ra, 5
    .2byte 0x6081 /* c.mop.1 */
    .2byte 0x6781 /* c.mop.15 */
    CHECK ra, 5
    ILLEGAL .2byte 0x6001 /* c.lui x0, 0 */
    END

/* A NaN that has just been made is the default one to what reads it as a narrower number. */
TEST nan_as_half
    la a2, nan
    fmv.w.x fs3, zero
    fld fa0, (a2)
    fcvt.s.d fa4, fa0
    .4byte 0x253715d3 /* fsgnjn.h fa1, fa4, fs3 */
    fmv.x.w a3, fa1
    CHECK a3, -0x200 /* 0x7e00 negated, in its box */
    END

TEST c_lbu_c_lhu_c_lh
    la a2, bytes
    .2byte 0x8214 /* c.lbu a3, 0(a2) */
    CHECK a3, 0x81
    .2byte 0x8274 /* c.lbu a3, 3(a2) */
    CHECK a3, 0x84
    .2byte 0x8254 /* c.lbu a3, 1(a2) */
    CHECK a3, 0x82
    .2byte 0x8614 /* c.lhu a3, 0(a2) */
    CHECK a3, 0x8281
    .2byte 0x8634 /* c.lhu a3, 2(a2) */
    CHECK a3, 0x8483
    .2byte 0x8654 /* c.lh a3, 0(a2) */
    CHECK a3, -0x7d7f
    .2byte 0x8674 /* c.lh a3, 2(a2) */
    CHECK a3, -0x7b7d
    END

TEST c_sb_c_sh
    la a2, target
    li a3, 0x12345678
    .2byte 0x8a14 /* c.sb a3, 0(a2) */
    .2byte 0x8a54 /* c.sb a3, 1(a2) */
    .2byte 0x8e34 /* c.sh a3, 2(a2) */
    lw a4, (a2)
    CHECK a4, 0x56787878
    END

TEST c_zext_c_sext
    li a2, 0x9ab4
    .2byte 0x9e61 /* c.zext.b a2 */
    CHECK a2, 0xb4
    .2byte 0x9e65 /* c.sext.b a2 */
    CHECK a2, -0x4c
    .2byte 0x9e69 /* c.zext.h a2 */
    CHECK a2, 0xffb4
    .2byte 0x9e6d /* c.sext.h a2 */
    CHECK a2, -0x4c
#if __riscv_xlen == 64
    .2byte 0x9e71 /* c.zext.w a2 */
    CHECK a2, 0xffffffb4
#else
    ILLEGAL .2byte 0x9e71
#endif
    li a2, 1
    .2byte 0x9e75 /* c.not a2 */
    CHECK a2, -2
    li a3, 21
    .2byte 0x9e55 /* c.mul a2, a3 */
    CHECK a2, -42
    ILLEGAL .2byte 0x9e79
    ILLEGAL .2byte 0x9e7d
    END

/* funct5, funct3, what memory holds, the register, both afterwards (the result sign-extended). */
.macro AMO funct5, funct3, before, value, after
    la a2, target
    li a3, \before
    sw a3, (a2)
    li a4, \value
    .insn r 0x2f, \funct3, \funct5 << 2, a5, a2, a4
    lw a3, (a2)
    CHECK a3, \after
    li a3, \before
    slli a3, a3, __riscv_xlen - (8 << \funct3)
    srai a3, a3, __riscv_xlen - (8 << \funct3)
    CHECK_SAME a5, a3
.endm

TEST amo_b
    AMO 1, 0, 0x11223384, 0xabcd, 0x112233cd
    AMO 0, 0, 0x112233f0, 0x111, 0x11223301
    AMO 4, 0, 0x112233f0, 0x1ff, 0x1122330f
    AMO 12, 0, 0x112233f0, 0x1f, 0x11223310
    AMO 8, 0, 0x112233f0, 0x1f, 0x112233ff
    AMO 16, 0, 0x11223380, 0x17f, 0x11223380
    AMO 20, 0, 0x11223380, 0x17f, 0x1122337f
    AMO 24, 0, 0x11223380, 0x17f, 0x1122337f
    AMO 28, 0, 0x11223380, 0x17f, 0x11223380
    END

TEST amo_h
    AMO 1, 1, 0x11228384, 0xabcdef01, 0x1122ef01
    AMO 0, 1, 0x1122fff0, 0x111, 0x11220101
    AMO 4, 1, 0x1122f0f0, 0x1ffff, 0x11220f0f
    AMO 12, 1, 0x1122f0f0, 0x1ff, 0x112200f0
    AMO 8, 1, 0x1122f0f0, 0xf, 0x1122f0ff
    AMO 16, 1, 0x11228000, 0x17fff, 0x11228000
    AMO 20, 1, 0x11228000, 0x17fff, 0x11227fff
    AMO 24, 1, 0x11228000, 0x17fff, 0x11227fff
    AMO 28, 1, 0x11228000, 0x17fff, 0x11228000
    la a2, target + 1
    li a5, 6
    .insn r 0x2f, 0, 0, a5, a2, a4 /* of bytes: always aligned */
    TRY .insn r 0x2f, 1, 0, a5, a2, a4
    CHECK s2, 6
    CHECK_SAME s3, a2
    END

.macro CAS funct3, rd, rs2
    .insn r 0x2f, \funct3, 5 << 2, \rd, a2, \rs2
.endm

TEST amocas_b_h_w
    la a2, target
    li a3, 0x80c0a0f0
    sw a3, (a2)
    li a4, 0x112
    li a5, 0x1f0
    CAS 0, a5, a4
    CHECK a5, -0x10
    lw a3, (a2)
    CHECK a3, -0x7f3f5fee /* 0x80c0a012 */
    CAS 0, a5, a4
    CHECK a5, 0x12
    li a5, 0x1a012
    CAS 1, a5, a4
    CHECK a5, -0x5fee
    lhu a3, (a2)
    CHECK a3, 0x112
    li a5, 0x80c00113
    CAS 2, a5, a4
    CHECK a5, -0x7f3ffeee
    CAS 2, a5, zero
    lw a3, (a2)
    CHECK a3, 0
    END

#if __riscv_xlen == 64
TEST amocas_d
    la a2, target
    li a3, X_MIN
    sd a3, (a2)
    li a5, 1
    CAS 3, a5, sp
    CHECK a5, X_MIN
    CAS 3, a5, sp
    ld a3, (a2)
    CHECK_SAME a3, sp
    END

#define PAIR 4
#else
#define PAIR 3
#endif

TEST amocas_pair
    la a2, target
    li a4, 1
    li a5, 2
    SX a4, (a2)
    SX a5, XBYTES(a2)
    li a6, 1
    li a7, 3
    li s2, 4
    li s3, 5
    CAS PAIR, a6, s2        /* the upper half differs */
    CHECK a6, 1
    CHECK a7, 2
    LX a3, XBYTES(a2)
    CHECK a3, 2
    CAS PAIR, a6, s2
    LX a3, (a2)
    CHECK a3, 4
    LX a3, XBYTES(a2)
    CHECK a3, 5
    CHECK a6, 1
    li ra, 77
    CAS PAIR, zero, a6      /* x0 is a pair of zeroes, and x1 is not touched */
    CHECK ra, 77
    SX zero, (a2)
    SX zero, XBYTES(a2)
    CAS PAIR, zero, a6
    LX a3, XBYTES(a2)
    CHECK a3, 2
    mv a6, a6
    CAS PAIR, a6, zero
    LX a3, XBYTES(a2)
    CHECK a3, 0
    ILLEGAL .insn r 0x2f, PAIR, 5 << 2, a7, a2, s2
    ILLEGAL .insn r 0x2f, PAIR, 5 << 2, a6, a2, s3
    addi a2, a2, XBYTES
    TRY .insn r 0x2f, PAIR, 5 << 2, a6, a2, s2
    CHECK s2, 6
    CHECK_SAME s3, a2
#if __riscv_xlen == 32
    ILLEGAL .insn r 0x2f, 4, 5 << 2, a6, a2, s2
#endif
    END

TEST wrs
    lr.w a3, (sp)
    .4byte 0x00d00073 /* wrs.nto */
    .4byte 0x01d00073 /* wrs.sto */
    ILLEGAL .4byte 0x02d00073
    li t0, MSTATUS_TW           /* who may not wait may not wait for long either */
    csrs mstatus, t0
    .4byte 0x00d00073
    ENTER MSTATUS_MPP_S
    ILLEGAL .4byte 0x00d00073
    ENTER 0
    ILLEGAL .4byte 0x00d00073
    ENTER MSTATUS_MPP_S
    .4byte 0x01d00073
    LEAVE
    CHECK s2, 9
    li t0, MSTATUS_TW
    csrc mstatus, t0
    ENTER 0
    .4byte 0x00d00073
    LEAVE
    CHECK s2, 8
    END

/* Hints: nothing happens, wherever they point. */
TEST prefetch
    li a2, 1
    .4byte 0xfe066013 /* prefetch.i -32(a2) */
    .4byte 0x02166013 /* prefetch.r 32(a2) */
    .4byte 0x02366013 /* prefetch.w 32(a2) */
    CHECK a2, 1
    END

#define CBO_INVAL .4byte 0x0006200f /* (a2) */
#define CBO_CLEAN .4byte 0x0016200f
#define CBO_FLUSH .4byte 0x0026200f
#define CBO_ZERO .4byte 0x0046200f

TEST cbo
    la a2, block + 70
    li a3, -1
    SX a3, block + 60, t0
    sb a3, block + 64, t0
    sb a3, block + 127, t0
    sb a3, block + 128, t0
    CBO_INVAL
    CBO_CLEAN
    CBO_FLUSH
    lbu a4, block + 127
    CHECK a4, 0xff
    CBO_ZERO
    lbu a4, block + 64
    CHECK a4, 0
    lbu a4, block + 127
    CHECK a4, 0
    lbu a4, block + 63
    CHECK a4, 0xff
    lbu a4, block + 128
    CHECK a4, 0xff
    ILLEGAL .4byte 0x0036200f
    END

/* menvcfg closes them to lower privileges, senvcfg to user mode; a reserved CBIE is not kept. */
TEST cbo_envcfg
    la a2, block
    csrw CSR_MENVCFG, zero
    ENTER MSTATUS_MPP_S
    ILLEGAL CBO_INVAL
    LEAVE
    ENTER MSTATUS_MPP_S
    ILLEGAL CBO_CLEAN
    LEAVE
    ENTER MSTATUS_MPP_S
    ILLEGAL CBO_ZERO
    LEAVE
    li a3, 0xd0
    csrw CSR_MENVCFG, a3
    li a3, 0xe0
    csrw CSR_MENVCFG, a3
    csrr a3, CSR_MENVCFG
    CHECK a3, 0xd0
    ENTER MSTATUS_MPP_S
    CBO_INVAL
    CBO_FLUSH
    CBO_ZERO
    LEAVE
    ENTER 0
    ILLEGAL CBO_ZERO
    LEAVE
    ENTER 0
    ILLEGAL CBO_FLUSH
    LEAVE
    li a3, 0xd0
    csrw CSR_SENVCFG, a3
    ENTER 0
    CBO_INVAL
    CBO_CLEAN
    CBO_ZERO
    LEAVE
    END

#define CSR_SEED 0x015
#define CSR_MSECCFG 0x747

/* Each read gives 16 bits, and must be by an instruction that writes. */
TEST seed
    csrrw a2, CSR_SEED, zero
    srli a3, a2, 30
    CHECK a3, 2
    srli a3, a2, 16
    CHECK a3, 0x8000
    li a4, 1000
1:  csrrwi a3, CSR_SEED, 31
    bne a2, a3, 2f
    addi a4, a4, -1
    bnez a4, 1b
    j test_fail
2:  WORKS csrrs a2, CSR_SEED, a4
    WORKS csrrci a2, CSR_SEED, 1
    WORKS csrrw zero, CSR_SEED, zero
    ILLEGAL csrr a2, CSR_SEED
    ILLEGAL csrrc a2, CSR_SEED, zero
    ILLEGAL csrrsi a2, CSR_SEED, 0
    ILLEGAL csrrci a2, CSR_SEED, 0
    END

TEST seed_by_privilege
    li a2, -1
    csrw CSR_MSECCFG, a2
    csrr a2, CSR_MSECCFG
    CHECK a2, 0x300
    csrw CSR_MSECCFG, zero
    ENTER MSTATUS_MPP_S
    ILLEGAL csrrw a2, CSR_SEED, zero
    LEAVE
    ENTER 0
    ILLEGAL csrrw a2, CSR_SEED, zero
    LEAVE
    li a2, 0x200
    csrw CSR_MSECCFG, a2
    ENTER MSTATUS_MPP_S
    csrrw a2, CSR_SEED, zero
    LEAVE
    srli a2, a2, 30
    CHECK a2, 2
    ENTER 0
    ILLEGAL csrrw a2, CSR_SEED, zero
    LEAVE
    li a2, 0x100
    csrw CSR_MSECCFG, a2
    ENTER 0
    csrrw a2, CSR_SEED, zero
    LEAVE
    srli a2, a2, 30
    CHECK a2, 2
    ENTER MSTATUS_MPP_S
    ILLEGAL csrrw a2, CSR_SEED, zero
    LEAVE
    END

    .data
    .align 8
block:
    .skip 256
target:
    .skip 32
bytes:
    .byte 0x81, 0x82, 0x83, 0x84
    .align 3
nan:
    .dword 0xffffe00000000000
