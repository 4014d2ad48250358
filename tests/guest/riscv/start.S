/*
 * The start of every test program, its trap handlers and its end. Whoever runs it stores the address of one test in
 * `selected` first.
 */
#include "test.h"

    .section .start, "ax"
    .globl _start
_start:
    la t0, trap_handler
    csrw mtvec, t0
#ifndef MACHINE_ONLY
    la t0, supervisor_trap_handler
    csrw stvec, t0
#endif
    li t0, -1
    csrw pmpaddr0, t0
    li t0, 0x1f /* all addresses, read, write and execute */
    csrw pmpcfg0, t0
    li t0, MSTATUS_FS
    csrc mstatus, t0
    li t0, 0x2000
    csrs mstatus, t0
    csrw fcsr, zero
    la sp, stack_top
    li gp, 0
    li s11, 0
    la t0, selected
    LX t0, (t0)
    jr t0

    .text
    .globl test_pass, test_fail
test_pass:
    li t0, FINISHER
    li t1, 0x5555
    sw t1, (t0)
1:  j 1b

/* Machine mode, or tests that let user mode reach the finisher. */
test_fail:
    li t1, 255
    bleu gp, t1, 1f
    mv gp, t1
1:  slli t1, gp, 16
    li t0, 0x3333
    or t1, t1, t0
    li t0, FINISHER
    sw t1, (t0)
1:  j 1b

/* Where s11 is zero nobody expected a trap. */
    .align 2
    .globl trap_handler
trap_handler:
    csrr s2, mcause
    csrr s3, mtval
    csrr s4, mepc
    csrr s5, mstatus
    beqz s11, test_fail
    csrw mepc, s11
    bgez s2, 1f
    li s11, MSTATUS_MPIE /* what interrupted stays pending */
    csrc mstatus, s11
1:  li s11, MSTATUS_MPP
    csrs mstatus, s11
    li s11, 0
    mret

/* Of traps that machine mode delegated: s6 = scause, s7 = stval, s8 = sepc, s9 = sstatus; then to machine mode. */
    .align 2
    .globl supervisor_trap_handler
supervisor_trap_handler:
    csrr s6, scause
    csrr s7, stval
    csrr s8, sepc
    csrr s9, sstatus
    ecall

    .data
    .align 3
    .globl selected
selected:
    .dword 0
    .bss
    .align 4
    .skip 4096
stack_top:
