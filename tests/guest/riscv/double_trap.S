/* Smdbltrp, Ssdbltrp and Smrnmi: traps within traps. */
#include "test.h"

#define CSR_MTVAL2 0x34b
#define CSR_MNSCRATCH 0x740
#define CSR_MNEPC 0x741
#define CSR_MNCAUSE 0x742
#define CSR_MNSTATUS 0x744
#define MNRET .4byte 0x70200073
#define NMIE 8
#define SDT (1 << 24)
#if __riscv_xlen == 64
#define MDT (1 << 42)
#define DTE (1 << 59)
#define CSR_MDT mstatus
#define CSR_DTE CSR_MENVCFG
#else
#define MDT (1 << 10)
#define DTE (1 << 27)
#define CSR_MDT 0x310
#define CSR_DTE CSR_MENVCFGH
#endif

.macro SET csr, bits
    li t6, \bits
    csrs \csr, t6
.endm
.macro CLEAR csr, bits
    li t6, \bits
    csrc \csr, t6
.endm
.macro CHECK_BITS csr, bits, value
    csrr a2, \csr
    li t6, \bits
    and a2, a2, t6
    CHECK a2, \value
.endm

/* Where the processor's properties say that the handlers are; they work wherever they stand. */
#define NMI_VECTOR 0x80200000
#define NMI_EXCEPTION_VECTOR 0x80200100

.macro PLACE handler, address
    la t0, \handler
    li t1, \address
    .irp offset, 0, 4, 8, 12, 16, 20, 24, 28
    lw t2, \offset(t0)
    sw t2, \offset(t1)
    .endr
    fence.i
.endm

    .option push
    .option norvc
    .balign 4
nmi_handler:
    csrr s2, CSR_MNCAUSE
    csrr s4, CSR_MNEPC
    csrr s5, CSR_MNSTATUS
    csrr t6, CSR_MNSCRATCH
    csrw CSR_MNEPC, t6
    MNRET
nmi_exception_handler:
    li a6, 0x222
    csrr t6, CSR_MNSCRATCH
    jr t6
    .skip 32
    .option pop

/* Set after a reset; while it is, interrupts are off. */
TEST machine_bit
    csrwi CSR_MNSTATUS, NMIE
    CHECK_BITS CSR_MDT, MDT, MDT
    SET mstatus, MSTATUS_MIE
    CHECK_BITS mstatus, MSTATUS_MIE, 0
    CLEAR CSR_MDT, MDT
    CHECK_BITS CSR_MDT, MDT, 0
    SET mstatus, MSTATUS_MIE
    CHECK_BITS mstatus, MSTATUS_MIE, MSTATUS_MIE
    SET CSR_MDT, MDT
    CHECK_BITS mstatus, MSTATUS_MIE, 0
    CLEAR CSR_MDT, MDT
    la t0, 1f               /* a trap sets it, mret and sret clear it */
    csrw mtvec, t0
    ebreak
    .balign 4
1:  CHECK_BITS CSR_MDT, MDT, MDT
    la t0, 2f
    csrw mepc, t0
    mret
2:  CHECK_BITS CSR_MDT, MDT, 0
    SET CSR_MDT, MDT
    la t0, 3f
    csrw sepc, t0
    SET mstatus, MSTATUS_SPP
    la t0, 4f
    csrw mtvec, t0
    sret
    .balign 4
3:  ecall
    .balign 4
4:  csrr a2, mcause
    CHECK a2, 9
    END

/* Where interrupts that cannot be masked are on, their handler is told. */
TEST machine_to_handler
    PLACE nmi_handler, NMI_VECTOR
    csrwi CSR_MNSTATUS, NMIE
    la t0, 1f
    csrw CSR_MNSCRATCH, t0
    li s7, 0
    la s8, 2f
2:  .4byte 0
    li s7, 1
1:  CHECK s7, 0
    CHECK_SAME s4, s8
    CHECK s2, 2             /* as mcause would have been */
    CHECK s5, 3 << 11
    CHECK_BITS CSR_MNSTATUS, NMIE, NMIE
    CHECK_BITS CSR_MDT, MDT, MDT
    END

/* mnstatus: on by software, off by the trap alone. */
TEST nmi_registers
    CHECK_BITS CSR_MNSTATUS, NMIE, 0
    csrwi CSR_MNSTATUS, NMIE
    csrw CSR_MNSTATUS, zero
    csrr a2, CSR_MNSTATUS
    CHECK a2, NMIE
    li t0, 3 << 11
    csrw CSR_MNSTATUS, t0
    csrr a2, CSR_MNSTATUS
    CHECK a2, 3 << 11 | NMIE
    li t0, 2 << 11          /* there is no such privilege */
    csrw CSR_MNSTATUS, t0
    csrr a2, CSR_MNSTATUS
    CHECK a2, 3 << 11 | NMIE
    li t0, -1
    csrw CSR_MNEPC, t0
    csrr a2, CSR_MNEPC
    CHECK a2, -2
    csrw CSR_MNCAUSE, t0
    csrr a2, CSR_MNCAUSE
    CHECK a2, -1
    CLEAR CSR_MDT, MDT
    ENTER MSTATUS_MPP_S
    ILLEGAL csrr a2, CSR_MNSTATUS
    ENTER MSTATUS_MPP_S
    ILLEGAL MNRET
    END

/* mnret goes to where mnstatus says, and clears what does not belong there. */
TEST nmi_return
    csrw CSR_MNSTATUS, zero
    SET mstatus, MSTATUS_MPRV
    la t0, 1f
    csrw CSR_MNEPC, t0
    la s11, 2f
    MNRET
1:  ecall
2:  CHECK s2, 8
    li s11, 0
    CHECK_BITS CSR_MNSTATUS, NMIE, NMIE
    CHECK_BITS mstatus, MSTATUS_MPRV, 0
    END

/* While one is taken, MPRV has no effect, and exceptions go to a place of their own. */
TEST nmi_exceptions
    PLACE nmi_exception_handler, NMI_EXCEPTION_VECTOR
    CLEAR CSR_MDT, MDT
    la t0, 1f
    csrw CSR_MNSCRATCH, t0
    CLEAR mstatus, MSTATUS_MPP
    SET mstatus, MSTATUS_MPRV
    csrw pmpcfg0, zero
    lw a2, (sp)             /* user mode could not */
    .4byte 0
    j test_fail
    .balign 4
1:  CHECK a6, 0x222
    csrr a2, mcause
    CHECK a2, 2
    CHECK_BITS mstatus, MSTATUS_MPP, MSTATUS_MPP
    END

/* sstatus.SDT is there while menvcfg.DTE is set. */
TEST supervisor_bit
    csrwi CSR_MNSTATUS, NMIE
    CLEAR CSR_MDT, MDT
    SET sstatus, SDT
    CHECK_BITS sstatus, SDT, 0
    SET CSR_DTE, DTE
    SET mstatus, MSTATUS_SIE
    SET sstatus, SDT
    CHECK_BITS mstatus, SDT | MSTATUS_SIE, SDT
    SET sstatus, MSTATUS_SIE
    CHECK_BITS sstatus, MSTATUS_SIE, 0
    CLEAR sstatus, SDT
    SET sstatus, MSTATUS_SIE
    CHECK_BITS sstatus, SDT | MSTATUS_SIE, MSTATUS_SIE
    SET sstatus, SDT
    CLEAR CSR_DTE, DTE
    CHECK_BITS mstatus, SDT, 0
    END

/* A delegated trap sets it; the next one goes to machine mode. */
TEST supervisor_double
    csrwi CSR_MNSTATUS, NMIE
    CLEAR CSR_MDT, MDT
    SET CSR_DTE, DTE
    SET medeleg, 1 << 2 | 1 << 3
    CHECK_BITS medeleg, 1 << 3, 1 << 3
    SET medeleg, 1 << 16 | 1 << 3
    CHECK_BITS medeleg, 1 << 16, 0
    la t0, 1f
    csrw stvec, t0
    la s11, 2f
    la s8, 3f
    ENTER MSTATUS_MPP_S
    ebreak
    .balign 4
1:  CHECK_BITS sstatus, SDT, SDT
3:  .4byte 0
2:  CHECK s2, 16
    CHECK s3, 0
    CHECK_SAME s4, s8
    csrr a2, CSR_MTVAL2
    CHECK a2, 2
    li t0, MSTATUS_MPP
    and a2, s5, t0
    CHECK a2, MSTATUS_MPP_S
    CLEAR CSR_MDT, MDT
    TRY ebreak              /* any other trap leaves zero */
    csrr a2, CSR_MTVAL2
    CHECK a2, 0
    END

/* sret clears it, and so does mret to user mode. */
TEST supervisor_return
    csrwi CSR_MNSTATUS, NMIE
    CLEAR CSR_MDT, MDT
    SET CSR_DTE, DTE
    SET sstatus, SDT
    la t0, 1f
    csrw sepc, t0
    CLEAR mstatus, MSTATUS_SPP
    ENTER MSTATUS_MPP_S
    sret
1:  LEAVE
    CHECK_BITS mstatus, SDT, 0
    CLEAR CSR_MDT, MDT
    SET sstatus, SDT
    ENTER 0
    LEAVE
    CHECK_BITS mstatus, SDT, 0
    CLEAR CSR_MDT, MDT
    SET sstatus, SDT
    ENTER MSTATUS_MPP_S
    LEAVE
    CHECK_BITS mstatus, SDT, SDT
    END
