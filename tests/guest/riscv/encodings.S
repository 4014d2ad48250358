/*
 * Which encodings are illegal: encodings_compare.py makes "encodings.bin", a word for each. Each is executed in user
 * mode from a page that holds nothing else but ebreak, the only one there is, so that whatever it does ends in a trap.
 * For two at a time a character is written: '0' + 3 * first + second, where 0 is no illegal instruction, 1 one with the
 * right mepc and mtval, 2 another. NO_FCSR: without floating point.
 */
#include "test.h"

#define UART 0x10000000
#define CODE 0x10000
#define NOWHERE 0x20000
#define EBREAK 0x00100073
#define PTE_TABLE 1
#define PTE_PAGE 0xdf
#define PTE_BYTES XBYTES
#if __riscv_xlen == 64
#define SATP_MODE (8 << 60)
#else
#define SATP_MODE (1 << 31)
#endif

.macro SET_ENTRY table, index, target, flags
    la t0, \target
    srli t0, t0, 2
    addi t0, t0, \flags
    la t1, \table
    SX t0, (\index * PTE_BYTES)(t1)
.endm

    .section .start, "ax"
    .globl _start
_start:
    la t0, skip
    csrw mtvec, t0
    li t0, -1
    csrw pmpaddr0, t0
    li t0, 0x1f
    csrw pmpcfg0, t0
    li t0, 0xf1
    csrw CSR_MENVCFG, t0
    csrw CSR_SENVCFG, t0
    li t0, -1
    csrw 0x30c, t0 /* mstateen0 */
    csrw 0x31c, t0
    csrw 0x10c, t0 /* sstateen0 */
    li t0, MSTATUS_FS | MSTATUS_TW
    csrs mstatus, t0
#if __riscv_xlen == 64
    SET_ENTRY root, 0, middle, PTE_TABLE
    SET_ENTRY middle, 0, leaf, PTE_TABLE
#else
    SET_ENTRY root, 0, leaf, PTE_TABLE
#endif
    SET_ENTRY leaf, 16, code, PTE_PAGE
    la t0, root
    srli t0, t0, 12
    li t1, SATP_MODE
    or t0, t0, t1
    csrw satp, t0
    sfence.vma
    la t0, code
    li t1, 4096
    add t1, t1, t0
    li t2, EBREAK
1:  sw t2, (t0)
    addi t0, t0, 4
    bne t0, t1, 1b
    la t0, trap
    csrw mtvec, t0

next:
    la t0, cursor
    LX t1, (t0)
    la t2, encodings_end
    beq t1, t2, finish
    lw t3, (t1)
    addi t1, t1, 4
    SX t1, (t0)
    la t0, code
    li t4, EBREAK & 0xffff
    li t5, EBREAK >> 16
    sh t3, (t0)
    andi t2, t3, 3
    addi t2, t2, -3
    beqz t2, 1f
    sh t4, 2(t0)
    sh t5, 4(t0)
    j 2f
1:  srli t3, t3, 16
    sh t3, 2(t0)
    sh t4, 4(t0)
    sh t5, 6(t0)
2:  fence.i
#ifndef NO_FCSR
    csrw fcsr, zero
#endif
    li t0, MSTATUS_MPP
    csrc mstatus, t0
    li t0, CODE
    csrw mepc, t0
    .irp x, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    li x\x, NOWHERE
    .endr
    mret

    .balign 4
trap:
    csrr t0, mcause
    addi t0, t0, -2
    li t1, 0
    bnez t0, 1f
    li t1, 2
    csrr t0, mepc
    li t2, CODE
    bne t0, t2, 1f
    la t2, cursor
    LX t2, (t2)
    lw t2, -4(t2)
    andi t3, t2, 3
    addi t3, t3, -3
    beqz t3, 2f
    slli t2, t2, XBYTES * 8 - 16
    srli t2, t2, XBYTES * 8 - 16
2:
#if __riscv_xlen == 64
    slli t2, t2, 32
    srli t2, t2, 32
#endif
    csrr t0, mtval
    bne t0, t2, 1f
    li t1, 1
1:  la t2, half
    lw t0, (t2)
    bltz t0, 3f
    slli t3, t0, 1
    add t0, t0, t3
    add t0, t0, t1
    addi t0, t0, 48
    li t3, UART
    sb t0, (t3)
    li t1, -1
3:  sw t1, (t2)
    j next

    .balign 4
skip:
    csrr t0, mepc
    addi t0, t0, 4
    csrw mepc, t0
    li t0, MSTATUS_MPP
    csrs mstatus, t0
    li t0, -1
    mret

finish:
    li t0, FINISHER
    li t1, 0x5555
    sw t1, (t0)
1:  j 1b

    .data
    .balign 4096
root:
    .skip 4096
middle:
    .skip 4096
leaf:
    .skip 4096
code:
    .skip 4096
cursor:
    XWORD encodings
half:
    .word -1
    .balign 8
encodings:
    .incbin "encodings.bin"
encodings_end:
