/*
 * The frame of a random privileged program: privileged_compare.py makes "privileged.inc", which has STEPS and TABLES.
 * Steps run in machine mode; an excursion enters a lower mode. Each step ends in a trap, which is recorded with what
 * the registers hold, and goes on behind `s11`.
 */
#include "test.h"
#include "privileged.inc"

#define UART 0x10000000
#define USER_ALIAS 0x40000000

/* Goes to the code behind in a lower mode: user mode sees it elsewhere, where addresses are translated. */
.macro EXCURSION mpp
    li t0, MSTATUS_MPP
    csrc mstatus, t0
    li t0, \mpp
    csrs mstatus, t0
    la t0, .Lin\@
    .if \mpp == 0
    csrr t1, satp
    srli t1, t1, PAGING_SHIFT
    beqz t1, .Lphysical\@
    li t1, USER_ALIAS
    add t0, t0, t1
.Lphysical\@:
    .endif
    csrw mepc, t0
    mret
    .balign 4
.Lin\@:
.endm

    .section .start, "ax"
    .globl _start
_start:
    la t0, record
    csrw mtvec, t0
    la t0, supervisor
    csrw stvec, t0
    li t0, -1
    csrw pmpaddr15, t0
    li t0, 0x1f << (__riscv_xlen - 8)
#if __riscv_xlen == 64
    csrw pmpcfg2, t0
#else
    csrw pmpcfg3, t0
#endif
    li t0, MSTATUS_FS
    csrs mstatus, t0
    li t0, CLINT_MTIMECMP
    li t1, -1
    SX t1, (t0)
#if __riscv_xlen == 32
    sw t1, 4(t0)
#endif
    csrw CSR_STIMECMP, t1
#if __riscv_xlen == 32
    csrw CSR_STIMECMPH, t1
#endif
    la s10, records
    .irp n, 10, 11, 12, 13, 14, 15
    li x\n, 0
    .endr
    STEPS
finish:
    li t0, MSTATUS_MPRV | MSTATUS_MIE
    csrc mstatus, t0
    la s0, output
    la s1, output_end
    li s2, UART
    la s3, digits
1:  lbu t0, (s0)
    srli t1, t0, 4
    andi t0, t0, 15
    add t1, t1, s3
    add t0, t0, s3
    lbu t1, (t1)
    sb t1, (s2)
    lbu t0, (t0)
    sb t0, (s2)
    addi s0, s0, 1
    bne s0, s1, 1b
    li t0, FINISHER
    li t1, 0x5555
    sw t1, (t0)
1:  j 1b

    .balign 4
record:
    csrr t0, mcause
    SX t0, (0 * XBYTES)(s10)
    bgez t0, 1f
    csrw mie, zero
    csrw mip, zero
1:  csrr t0, mepc
    SX t0, (1 * XBYTES)(s10)
    csrr t0, mtval
    SX t0, (2 * XBYTES)(s10)
    csrr t0, mstatus
    SX t0, (3 * XBYTES)(s10)
    csrr t0, scause
    SX t0, (4 * XBYTES)(s10)
    csrr t0, sepc
    SX t0, (5 * XBYTES)(s10)
    csrr t0, stval
    SX t0, (6 * XBYTES)(s10)
    SX a0, (7 * XBYTES)(s10)
    addi s10, s10, 8 * XBYTES
    la t0, records_end
    bgeu s10, t0, finish
    csrw mepc, s11
    li t0, MSTATUS_MPP
    csrs mstatus, t0
    mret

/* Of what is delegated: machine mode records that too. */
    .balign 4
supervisor:
    ecall

    .data
    .balign 8
digits:
    .ascii "0123456789abcdef"
    .balign 4096
output:
records:
    .skip 192 * 8 * XBYTES
records_end:
    .balign 4096
TABLES
    .globl pages
pages:
    .rept 4 * 512
    .dword 0x1234000056780000 /* no jump, wherever one gets in */
    .endr
output_end:
