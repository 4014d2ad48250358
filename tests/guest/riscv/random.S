/*
 * The frame of random programs: random_program.py makes "random.inc", which has PROGRAMS (each between PROGRAM and
 * PROGRAM_END) and, behind VALUES, what their registers hold at first. A program runs three times over. Then a line is
 * written: a sum of its registers, its memory and the traps that it took; with FULL all of them, for one program alone.
 *
 * In a machine it starts in machine mode; what traps is left out. LINUX: a program of Linux, where signals come
 * instead. EMBEDDED: there are 16 registers; NO_DOUBLES: no registers f of 64 bits; TABLE_JUMPS: jvt; RESUMABLE: NMIs,
 * off at first.
 */
#include "test.h"
#include "random.inc"

#define UART 0x10000000
#define CSR_JVT 0x17
#define CSR_MNSTATUS 0x744
#define MNSTATUS_NMIE 8
#ifdef EMBEDDED
#define EXCEPT_0_AND_2 1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
#else
#define EXCEPT_0_AND_2 \
    1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
#endif
#define FLOATS \
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31

.macro PROGRAM n, fcsr
    jal ra, prepare
    li t0, \fcsr
    csrw fcsr, t0
#ifdef TABLE_JUMPS
    la t0, table_\n
    csrw CSR_JVT, t0
#endif
    la sp, values_\n
#ifndef NO_DOUBLES
    .irp f, FLOATS
    fld f\f, 8 * \f(sp)
    .endr
#endif
    .irp x, EXCEPT_0_AND_2
    LX x\x, 256 + 8 * \x(sp)
    .endr
again_\n:
    la sp, memory + 4096
.endm

.macro PROGRAM_END n
    la sp, times_left
    SX t0, 8(sp)
    lw t0, (sp)
    addi t0, t0, -1
    sw t0, (sp)
    beqz t0, 1f
    LX t0, 8(sp)
    j again_\n
1:  LX t0, 8(sp)
    la sp, results
    .irp x, EXCEPT_0_AND_2
    SX x\x, 8 * \x(sp)
    .endr
#ifndef NO_DOUBLES
    .irp f, FLOATS
    fsd f\f, 256 + 8 * \f(sp)
    .endr
#endif
    csrr t0, fcsr
    sw t0, (sp)
    jal ra, report
.endm

    .section .start, "ax"
    .globl _start
_start:
#ifdef LINUX
    la s0, signals
1:  lw a0, (s0)
    beqz a0, 1f
    la a1, action
    li a2, 0
    li a3, 8
    li a7, 134 /* rt_sigaction */
    ecall
    addi s0, s0, 4
    j 1b
1:  la a0, signal_stack
    li a1, 0
    li a7, 132 /* sigaltstack */
    ecall
#else
    la t0, skip
    csrw mtvec, t0
    la t0, trap_save
    csrw mscratch, t0
    li t0, MSTATUS_FS
    csrs mstatus, t0
#ifdef RESUMABLE
    csrsi CSR_MNSTATUS, MNSTATUS_NMIE
#endif
    li t0, -1
    csrw pmpaddr0, t0
    li t0, 0x1f
    csrw pmpcfg0, t0
#endif
PROGRAMS
#ifdef LINUX
    li a0, 0
    li a7, 93 /* exit */
    ecall
#else
    li t0, FINISHER
    li t1, 0x5555
    sw t1, (t0)
1:  j 1b
#endif

/* Memory, traps and the count of rounds as at the start. */
prepare:
    la t0, times_left
    li t1, 3
    sw t1, (t0)
    la t0, results_before
    la t1, memory
1:  sw zero, (t0)
    addi t0, t0, 4
    bne t0, t1, 1b
    la t1, results_end
    li a0, 0x01234567
1:  sw a0, (t0)
    slli a1, a0, 5
    add a0, a0, a1
    addi a0, a0, 0x123
    addi t0, t0, 4
    bne t0, t1, 1b
    ret

report:
    la s0, results_before
    la s1, results_end
    la a0, line
#ifdef FULL
1:  lbu a1, (s0)
    li a2, 8
    addi s0, s0, 1
#else
    li a1, 0
1:  LX t0, (s0)
    add a1, a1, t0
    slli t0, a1, 10
    add a1, a1, t0
    srli t0, a1, 6
    xor a1, a1, t0
    addi s0, s0, XBYTES
    bne s0, s1, 1b
    li a2, 8 * XBYTES
#endif
2:  addi a2, a2, -4
    srl t0, a1, a2
    andi t0, t0, 15
    la t1, digits
    add t1, t1, t0
    lbu t1, (t1)
    sb t1, (a0)
    addi a0, a0, 1
    bnez a2, 2b
    bne s0, s1, 1b
    li t1, 10
    sb t1, (a0)
    addi a0, a0, 1
    la a1, line
#ifdef LINUX
    sub a2, a0, a1
    li a0, 1
    li a7, 64 /* write */
    ecall
#else
    li t0, UART
1:  lbu t1, (a1)
    sb t1, (t0)
    addi a1, a1, 1
    bne a0, a1, 1b
#endif
    ret

#ifdef LINUX
/* An instruction that raises a signal is left out; number, code and address are summed up. */
#define CONTEXT_PC (16 * ((5 * XBYTES + 128 + 15) / 16))
on_signal:
    la t0, results_before
    LX t1, (t0)
    add t1, t1, a0
    lw t2, 8(a1)
    add t1, t1, t2
    LX t2, 8 + XBYTES(a1)
    add t1, t1, t2
    SX t1, (t0)
    LX t0, CONTEXT_PC(a2)
    lhu t1, (t0)
    andi t1, t1, 3
    addi t1, t1, -3
    addi t0, t0, 2
    bnez t1, 1f
    addi t0, t0, 2
1:  SX t0, CONTEXT_PC(a2)
    ret
#else
/* An instruction that traps is left out; its cause and value are summed up. Machine mode goes on. */
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
    li t0, MSTATUS_MPP
    csrs mstatus, t0
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
#endif

    .data
    .balign 8
times_left:
    .dword 3, 0
digits:
    .ascii "0123456789abcdef"
#ifdef LINUX
    .balign 8
signals:
    .word 4, 5, 7, 11, 0 /* SIGILL, SIGTRAP, SIGBUS, SIGSEGV */
    .balign 8
action:
    XWORD on_signal, 0x08000004, 0, 0 /* SA_ONSTACK, SA_SIGINFO */
signal_stack:
    XWORD signal_stack_area, 0, 65536
    .bss
    .balign 16
signal_stack_area:
    .skip 65536
    .data
#endif
    .balign 4096
trap_save: /* and what follows is the handler's */
    .skip 16
results_before:
    .skip 8 /* sums of traps */
results:
    .skip 512
    .balign 4096
memory:
    .skip 8192
results_end:
line:
    .skip 32768
    .balign 8
VALUES
