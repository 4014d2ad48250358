/* fcsr, mstatus.FS, rounding modes that do not exist. */
#include "test.h"

.macro SET_FS state
    li t6, MSTATUS_FS
    csrc mstatus, t6
    li t6, \state << 13
    csrs mstatus, t6
.endm

.macro CHECK_FS state
    csrr a2, mstatus
    srli a3, a2, 13
    andi a3, a3, 3
    CHECK a3, \state
    srli a2, a2, __riscv_xlen - 1   /* SD says so too */
    CHECK a2, (\state) / 3
.endm

TEST fcsr
    li t0, -1
    csrw fcsr, t0
    csrr a2, fcsr
    CHECK a2, 0xff
    csrr a2, fflags
    CHECK a2, 0x1f
    csrr a2, frm
    CHECK a2, 7
    csrw fflags, zero
    csrr a2, fcsr
    CHECK a2, 0xe0
    csrrwi a2, frm, 2
    CHECK a2, 7
    csrrsi a2, fflags, 5
    CHECK a2, 0
    csrr a2, fcsr
    CHECK a2, 0x45
    csrrci a2, fcsr, 1
    CHECK a2, 0x45
    csrr a2, fcsr
    CHECK a2, 0x44
    fsrmi 0
    frflags a2
    CHECK a2, 4
    END

/* Flags gather. */
TEST sticky_flags
    csrw fcsr, zero
    li t0, 1
    fcvt.s.w fa0, t0
    fmv.w.x fa1, zero
    fdiv.s fa2, fa0, fa1
    frflags a2
    CHECK a2, 8
    fadd.s fa2, fa0, fa0
    frflags a2
    CHECK a2, 8
    fdiv.s fa2, fa1, fa1
    frflags a2
    CHECK a2, 0x18
    END

/* Off: every floating-point instruction and register is illegal. */
TEST off
    SET_FS 0
    ILLEGAL csrr a2, fflags
    ILLEGAL csrr a2, frm
    ILLEGAL csrr a2, fcsr
    ILLEGAL csrwi fcsr, 0
    ILLEGAL fadd.s fa0, fa0, fa0
    ILLEGAL fadd.d fa0, fa0, fa0
    ILLEGAL fmadd.d fa0, fa0, fa0, fa0
    ILLEGAL fsqrt.s fa0, fa0
    ILLEGAL fsgnj.s fa0, fa0, fa1
    ILLEGAL fmin.d fa0, fa0, fa1
    ILLEGAL feq.s a2, fa0, fa0
    ILLEGAL fclass.d a2, fa0
    ILLEGAL fcvt.w.s a2, fa0
    ILLEGAL fcvt.d.wu fa0, a2
    ILLEGAL fcvt.s.d fa0, fa0
    ILLEGAL fmv.x.w a2, fa0
    ILLEGAL fmv.w.x fa0, a2
    la t0, scratch
    ILLEGAL flw fa0, (t0)
    ILLEGAL fsd fa0, (t0)
    ILLEGAL c.fldsp fa0, 0(sp)
    CHECK_FS 0
    END

.macro DIRTIES insn:vararg
    SET_FS 1
    \insn
    CHECK_FS 3
    SET_FS 2
    \insn
    CHECK_FS 3
.endm

.macro KEEPS_CLEAN insn:vararg
    SET_FS 2
    \insn
    CHECK_FS 2
.endm

TEST dirty
    la t0, scratch
    li a3, 1
    DIRTIES fadd.s fa0, fa0, fa0
    DIRTIES fmv.w.x fa0, a3
    DIRTIES flw fa0, (t0)
    DIRTIES fld fa0, (t0)
    DIRTIES fsgnj.d fa0, fa1, fa1
    DIRTIES fcvt.d.w fa0, a3
    DIRTIES csrw fflags, a3
    DIRTIES csrw frm, x0
    DIRTIES csrw fcsr, x0
    /* Twice in one block, and after a store in between. */
    SET_FS 2
    fadd.d fa0, fa0, fa0
    fsd fa0, (t0)
    fadd.d fa0, fa0, fa0
    CHECK_FS 3
    KEEPS_CLEAN fsw fa0, (t0)
    KEEPS_CLEAN fsd fa0, (t0)
    KEEPS_CLEAN fmv.x.w a4, fa0
    KEEPS_CLEAN csrr a4, fcsr
    END

/* Rounding modes 5 and 6 in an instruction; 5 to 7 in frm, for those that ask it. */
TEST bad_rounding
    ILLEGAL .word 0x00b55553 /* fadd.s fa0, fa0, fa1, 5 */
    ILLEGAL .word 0x02b56553 /* fadd.d fa0, fa0, fa1, 6 */
    ILLEGAL .word 0xc0055653 /* fcvt.w.s a2, fa0, 5 */
    li a3, 5
1:  csrw frm, a3
    csrr a2, frm
    CHECK_SAME a2, a3
    ILLEGAL fadd.s fa0, fa0, fa1
    ILLEGAL fcvt.w.d a2, fa0
    ILLEGAL fmadd.s fa0, fa0, fa0, fa0
    ILLEGAL fsqrt.d fa0, fa0
    WORKS fadd.s fa0, fa0, fa1, rtz
    WORKS fmin.s fa0, fa0, fa1
    WORKS feq.s a2, fa0, fa0
    WORKS fsgnj.s fa0, fa0, fa1
    WORKS flw fa0, (sp)
    addi a3, a3, 1
    li a4, 8
    bne a3, a4, 1b
    csrwi frm, 4
    WORKS fadd.s fa0, fa0, fa1
    END

    .data
    .align 3
scratch:
    .dword 0
