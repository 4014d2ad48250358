/* The frame of a random program: random_compare.py makes "random.inc", which has BODY, and the data at `values`. */
#include "test.h"
#include "random.inc"

#define UART 0x10000000
#define EXCEPT_0_AND_2 \
    1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31

    .section .start, "ax"
    .globl _start
_start:
    la t0, skip
    csrw mtvec, t0
    la t0, trap_save
    csrw mscratch, t0
    li t0, MSTATUS_FS
    csrs mstatus, t0
    li t0, FCSR
    csrw fcsr, t0
    la sp, values
#ifndef NO_DOUBLES
    .irp n, 0, 2, EXCEPT_0_AND_2
    fld f\n, 8 * \n(sp)
    .endr
#endif
    .irp n, EXCEPT_0_AND_2
    LX x\n, 256 + 8 * \n(sp)
    .endr
    .balign 4
again:
    la sp, memory + 4096
BODY
    la sp, times_left
    SX t0, 8(sp)
    lw t0, (sp)
    addi t0, t0, -1
    sw t0, (sp)
    beqz t0, 1f
    LX t0, 8(sp)
    j again
1:  LX t0, 8(sp)
    la sp, results
    .irp n, EXCEPT_0_AND_2
    SX x\n, 8 * \n(sp)
    .endr
#ifndef NO_DOUBLES
    .irp n, 0, 2, EXCEPT_0_AND_2
    fsd f\n, 256 + 8 * \n(sp)
    .endr
#endif
    csrr t0, fcsr
    sw t0, (sp)
    la s0, results_before
    la s1, results_end
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

/* An instruction that traps is left out; its cause and value are summed up. */
    .balign 4
skip:
    csrrw sp, mscratch, sp
    SX t0, 0(sp)
    SX t1, 8(sp)
    csrr t0, mcause
    LX t1, 16(sp)
    add t1, t1, t0
    csrr t0, mtval
    add t1, t1, t0
    SX t1, 16(sp)
    csrr t0, mepc
    lhu t1, (t0)
    andi t1, t1, 3
    addi t1, t1, -3
    addi t0, t0, 2
    bnez t1, 1f
    addi t0, t0, 2
1:  csrw mepc, t0
    LX t0, 0(sp)
    LX t1, 8(sp)
    csrrw sp, mscratch, sp
    mret

    .data
    .balign 8
times_left:
    .dword 3, 0
digits:
    .ascii "0123456789abcdef"
trap_save: /* and what follows is the handler's */
    .skip 16
results_before:
    .skip 8 /* sums of traps */
results:
    .skip 512
    .balign 4096
memory:
    .rept 512
    .dword 0x0123456789abcdef, 0xfedcba9876543210
    .endr
results_end:
    .balign 8
values:
VALUES
