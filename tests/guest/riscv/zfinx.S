/* Floating point in integer registers: what the rows do not show (x0, odd registers, the same register twice,
 * mstatus.FS, instructions that are not there). */
#include "test.h"

TEST fs_is_off
    li t0, MSTATUS_FS
    csrs mstatus, t0
    csrr a2, mstatus
    and a2, a2, t0
    CHECK a2, 0
    li a2, 0x3f800000
    fadd.s a3, a2, a2
    CHECK a3, 0x40000000
    li a2, 0x00800001
    fmul.s a3, a2, a2
    csrr a4, fflags
    CHECK a4, 3
    csrr a2, mstatus
    and a2, a2, t0
    CHECK a2, 0
    csrr a2, misa
    andi a2, a2, 0x28
    CHECK a2, 0
    END

TEST lower_privileges
    ENTER 0
    li a2, 0x3f800000
    fadd.s a3, a2, a2
    csrr a4, fcsr
    LEAVE
    CHECK a3, 0x40000000
    CHECK a4, 0
    END

TEST x0
    li a2, 0x3f800000
    fadd.s a3, a2, x0
    CHECK_SAME a3, a2
    fadd.s x0, a2, a2
    CHECK zero, 0
    fdiv.s x0, a2, x0
    csrr a4, fflags
    CHECK a4, 8
    END

/* Sign-extended, whatever the sign is of. */
TEST sign_extension
    li a2, 0xbf800000
    fsgnj.s a3, a2, a2
    CHECK a3, -0x40800000
    li a2, 0xbc00
    fsgnj.h a3, a2, a2
    CHECK a3, -0x4400
    li a2, 0x3c00
    fsgnjn.h a3, a2, a2
    CHECK a3, -0x4400
    fcvt.s.h a3, a3
    CHECK a3, -0x40800000
    END

TEST bad_rounding
    csrwi frm, 5
    ILLEGAL fadd.s a3, a2, a2
    ILLEGAL fadd.d a4, a2, a2
    WORKS fadd.s a3, a2, a2, rtz
    WORKS fmin.s a3, a2, a2
    END

/* Moves between the kinds of registers, loads and stores. */
TEST missing
    ILLEGAL .4byte 0xe0050553 /* fmv.x.w a0, fa0 */
    ILLEGAL .4byte 0xf0050553 /* fmv.w.x fa0, a0 */
    ILLEGAL .4byte 0xe2050553 /* fmv.x.d a0, fa0 */
    ILLEGAL .4byte 0xf2050553 /* fmv.d.x fa0, a0 */
    ILLEGAL .4byte 0xe4050553 /* fmv.x.h a0, fa0 */
    ILLEGAL .4byte 0xf4050553 /* fmv.h.x fa0, a0 */
    ILLEGAL .4byte 0x00012507 /* flw fa0, 0(sp) */
    ILLEGAL .4byte 0x00013507 /* fld fa0, 0(sp) */
    ILLEGAL .4byte 0x00011507 /* flh fa0, 0(sp) */
    ILLEGAL .4byte 0x00a12027 /* fsw fa0, 0(sp) */
    ILLEGAL .4byte 0x00a13027 /* fsd fa0, 0(sp) */
    ILLEGAL .4byte 0x00a11027 /* fsh fa0, 0(sp) */
    ILLEGAL .2byte 0x2502 /* c.fldsp fa0, 0(sp) */
    ILLEGAL .2byte 0xa02a /* c.fsdsp fa0, 0(sp) */
    ILLEGAL .4byte 0xf0108553 /* fli.s fa0, min */
    END

#if __riscv_xlen == 32
/* Pairs: 1.0 and 2.0. */
.macro LOAD_PAIRS
    li a2, 0
    li a3, 0x3ff00000
    li a4, 0
    li a5, 0x40000000
.endm

TEST pairs
    LOAD_PAIRS
    fadd.d a6, a2, a4
    CHECK a6, 0
    CHECK a7, 0x40080000
    fadd.d a2, a2, a4   /* over the first operand */
    CHECK a2, 0
    CHECK a3, 0x40080000
    LOAD_PAIRS
    fadd.d a4, a2, a4
    CHECK a4, 0
    CHECK a5, 0x40080000
    fcvt.s.d a4, a4     /* ... half of it */
    CHECK a4, 0x40400000
    CHECK a5, 0x40080000
    fcvt.d.s a4, a4
    CHECK a4, 0
    CHECK a5, 0x40080000
    END

TEST pair_of_x0
    LOAD_PAIRS
    li ra, 0x12345678
    fadd.d a6, a2, x0
    CHECK a6, 0
    CHECK a7, 0x3ff00000
    fadd.d x0, a2, a2
    CHECK zero, 0
    CHECK ra, 0x12345678
    fcvt.d.w x0, a3
    CHECK ra, 0x12345678
    fmadd.d a6, a2, a4, x0
    CHECK a7, 0x40000000
    fle.d a6, x0, a2
    CHECK a6, 1
    END

TEST odd_registers
    LOAD_PAIRS
    ILLEGAL .4byte 0x02e6f853 /* fadd.d a6, a3, a4 */
    ILLEGAL .4byte 0x02f67853 /* fadd.d a6, a2, a5 */
    ILLEGAL .4byte 0x02e678d3 /* fadd.d a7, a2, a4 */
    ILLEGAL .4byte 0x7ae67843 /* fmadd.d a6, a2, a4, a5 */
    ILLEGAL .4byte 0x5a06f853 /* fsqrt.d a6, a3 */
    ILLEGAL .4byte 0xa2e6a853 /* feq.d a6, a3, a4 */
    ILLEGAL .4byte 0xe2069853 /* fclass.d a6, a3 */
    ILLEGAL .4byte 0xc206f853 /* fcvt.w.d a6, a3 */
    ILLEGAL .4byte 0xd20608d3 /* fcvt.d.w a7, a2 */
    ILLEGAL .4byte 0x4016f853 /* fcvt.s.d a6, a3 */
    ILLEGAL .4byte 0x420608d3 /* fcvt.d.s a7, a2 */
    ILLEGAL .4byte 0x4416f853 /* fcvt.h.d a6, a3 */
    ILLEGAL .4byte 0x422608d3 /* fcvt.d.h a7, a2 */
    WORKS feq.d a7, a2, a4
    WORKS fclass.d a7, a2
    WORKS fcvt.w.d a7, a2
    WORKS fcvt.d.w a6, a3
    WORKS fcvt.s.d a7, a2
    WORKS fcvt.d.s a6, a3
    END
#else
TEST odd_registers
    li a3, 0x3ff0000000000000
    fadd.d a5, a3, a3
    CHECK a5, 0x4000000000000000
    fcvt.s.d a5, a5
    CHECK a5, 0x40000000
    END
#endif
