/*
 * For test programs in assembly. A program is a set of tests; each ends by reporting to the finisher of the machine,
 * and starts on a fresh one: in machine mode, floating point on, all of memory open to lower privileges, traps going to
 * trap_handler (see start.S). gp counts the checks of a test, and is reported where one fails.
 */
#if __riscv_xlen == 64
#define LX ld
#define SX sd
#define XWORD .dword
#define XBYTES 8
#define X_MIN 0x8000000000000000
#else
#define LX lw
#define SX sw
#define XWORD .word
#define XBYTES 4
#define X_MIN 0x80000000
#endif
#define INTERRUPT X_MIN

#define FINISHER 0x100000
#define CLINT_MSIP 0x2000000
#define CLINT_MTIMECMP 0x2004000
#define CLINT_MTIME 0x200bff8

#define MSTATUS_SIE 0x2
#define MSTATUS_MIE 0x8
#define MSTATUS_SPIE 0x20
#define MSTATUS_MPIE 0x80
#define MSTATUS_SPP 0x100
#define MSTATUS_MPP 0x1800
#define MSTATUS_MPP_S 0x800
#define MSTATUS_FS 0x6000
#define MSTATUS_MPRV 0x20000
#define MSTATUS_SUM 0x40000
#define MSTATUS_MXR 0x80000
#define MSTATUS_TVM 0x100000
#define MSTATUS_TW 0x200000
#define MSTATUS_TSR 0x400000

/* Registers newer than the assembler's default architecture. */
#define CSR_MENVCFG 0x30a
#define CSR_MENVCFGH 0x31a
#define CSR_SENVCFG 0x10a
#define CSR_STIMECMP 0x14d
#define CSR_STIMECMPH 0x15d

    .option norelax
    .option nopic

.macro TEST name
    .text
    .globl test_\name
    .align 2
test_\name:
.endm

.macro END
    j test_pass
.endm

/* The register holds the number. t6 is used. */
.macro CHECK register, value
    addi gp, gp, 1
    li t6, \value
    beq \register, t6, .Lequal\@
    mv a0, \register
    mv a1, t6
    j test_fail
.Lequal\@:
.endm

/* ... or what the other register holds. */
.macro CHECK_SAME register, other
    addi gp, gp, 1
    beq \register, \other, .Lequal\@
    mv a0, \register
    mv a1, \other
    j test_fail
.Lequal\@:
.endm

/* The instruction traps to machine mode, which goes on behind it with s2 = mcause, s3 = mtval, s4 = mepc, s5 = mstatus;
 * s1 is its address, s2 is -1 where nothing happened. */
.macro TRY insn:vararg
    li s2, -1
    la s11, .Lafter\@
    la s1, .Ltry\@
.Ltry\@:
    \insn
.Lafter\@:
    li s11, 0
.endm

/* It traps with this cause and value. */
.macro TRAPS cause, value, insn:vararg
    TRY \insn
    CHECK s2, \cause
    CHECK s3, \value
    CHECK_SAME s4, s1
.endm

/* An illegal instruction: mtval has its bits. */
.macro ILLEGAL insn:vararg
    TRY \insn
    CHECK s2, 2
    CHECK_SAME s4, s1
    lhu t5, 0(s1)
    andi t4, t5, 3
    addi t4, t4, -3
    bnez t4, .Lshort\@
    lhu t4, 2(s1)
    slli t4, t4, 16
    or t5, t5, t4
.Lshort\@:
    CHECK_SAME s3, t5
.endm

/* It does not trap. */
.macro WORKS insn:vararg
    TRY \insn
    CHECK s2, -1
.endm

/* Goes on in a lower privilege: 0 or MSTATUS_MPP_S. t6 is used. */
.macro ENTER mpp
    li t6, MSTATUS_MPP
    csrc mstatus, t6
    li t6, \mpp
    csrs mstatus, t6
    la t6, .Linside\@
    csrw mepc, t6
    mret
.Linside\@:
.endm

/* ... and back in machine mode. s2 to s5 are overwritten. */
.macro LEAVE
    la s11, .Loutside\@
    ecall
.Loutside\@:
    li s11, 0
.endm
