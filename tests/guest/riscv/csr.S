/* Control and status registers: which exist, what can be written, who may. */
#include "test.h"

/* Writing all ones, then zero, leaves these values. */
.macro WRITABLE csr, ones, zeroes=0
    csrr s0, \csr
    li t0, -1
    csrw \csr, t0
    csrr a2, \csr
    CHECK a2, \ones
    csrw \csr, zero
    csrr a2, \csr
    CHECK a2, \zeroes
    csrw \csr, s0
.endm

/* All six instructions, on a register that holds anything. */
TEST instructions
    li t0, 0x555
    csrw mscratch, t0
    li t1, 0x0f0
    csrrw a2, mscratch, t1
    CHECK a2, 0x555
    csrrs a2, mscratch, t0
    CHECK a2, 0x0f0
    csrrc a2, mscratch, t1
    CHECK a2, 0x5f5
    csrrwi a2, mscratch, 31
    CHECK a2, 0x505
    csrrsi a2, mscratch, 0
    CHECK a2, 31
    csrrci a2, mscratch, 3
    CHECK a2, 31
    csrrsi a2, mscratch, 1
    CHECK a2, 28
    csrrs a2, mscratch, x0
    CHECK a2, 29
    csrrw t0, mscratch, t0      /* one register */
    CHECK t0, 29
    csrr a2, mscratch
    CHECK a2, 0x555
    csrrw x0, mscratch, x0
    CHECK x0, 0
    csrr a2, mscratch
    CHECK a2, 0
    END

TEST machine_registers
    WRITABLE mscratch, -1
    WRITABLE mtval, -1
    WRITABLE mcause, -1
    WRITABLE mepc, -2
    WRITABLE mie, 0xaaa
    WRITABLE mideleg, 0x222
    li t0, -1
    csrw mcounteren, t0
    csrr a2, mcounteren
    andi a2, a2, 7              /* cycle, time, instret */
    CHECK a2, 7
    csrw mcounteren, zero
    csrr a2, mcounteren
    CHECK a2, 0
    csrr s0, mtvec
    li t0, 0x80000101
    csrw mtvec, t0
    csrr a2, mtvec
    CHECK_SAME a2, t0
    csrw mtvec, s0
    END

TEST supervisor_registers
    WRITABLE sscratch, -1
    WRITABLE stval, -1
    WRITABLE scause, -1
    WRITABLE sepc, -2
    li t0, -1
    csrw scounteren, t0
    csrr a2, scounteren
    andi a2, a2, 7              /* cycle, time, instret */
    CHECK a2, 7
    csrw scounteren, zero
    csrr a2, scounteren
    CHECK a2, 0
    li t0, 0x80000101
    csrw stvec, t0
    csrr a2, stvec
    CHECK_SAME a2, t0
    END

TEST misa
    csrr a2, misa
#if __riscv_xlen == 64
    li t0, 0x8000000000141125 | 8
#else
    li t0, 0x40141125 | 8
#endif
    and a3, a2, t0
    CHECK_SAME a3, t0
    csrw misa, zero
    csrr a3, misa
    CHECK_SAME a3, a2
    END

TEST identity
    csrr a2, mhartid
    CHECK a2, 0
    csrr a2, mvendorid
    csrr a2, marchid
    csrr a2, mimpid
    csrr a2, 0xf15
    CHECK a2, 0
    ILLEGAL csrw mhartid, zero
    ILLEGAL csrrs a2, mvendorid, a2
    ILLEGAL csrrci a2, marchid, 1
    WORKS csrrs a2, mvendorid, x0
    WORKS csrrci a2, marchid, 0
    END

TEST mstatus
    csrr s0, mstatus
    li t0, -1
    csrw mstatus, t0
    csrr a2, mstatus
#if __riscv_xlen == 64
    CHECK a2, 0x8000000a007e79aa
#else
    CHECK a2, 0x807e79aa
#endif
    csrw mstatus, zero
    csrr a2, mstatus
#if __riscv_xlen == 64
    CHECK a2, 0xa00000000
#else
    CHECK a2, 0
    csrr a2, 0x310
    CHECK a2, 0
#endif
    li t0, 0x800                /* MPP: S exists, 2 does not: then it stays */
    csrs mstatus, t0
    csrr a2, mstatus
    li t0, 0x1800
    and a2, a2, t0
    CHECK a2, 0x800
    csrw mstatus, zero
    li t0, 0x1000
    csrs mstatus, t0
    csrr a2, mstatus
    li t0, 0x1800
    and a2, a2, t0
    CHECK a2, 0
    csrw mstatus, s0
    END

TEST sstatus
    csrr s0, mstatus
    csrw mstatus, zero
    li t0, -1
    csrw sstatus, t0
    csrr a2, mstatus
#if __riscv_xlen == 64
    CHECK a2, 0x8000000a000c6122
    csrr a2, sstatus
    CHECK a2, 0x80000002000c6122
#else
    CHECK a2, 0x800c6122
    csrr a2, sstatus
    CHECK a2, 0x800c6122
#endif
    li t0, -1
    csrw mstatus, t0
    csrw sstatus, zero
    csrr a2, mstatus
#if __riscv_xlen == 64
    CHECK a2, 0xa00721888
#else
    CHECK a2, 0x00721888
#endif
    csrw mstatus, s0
    END

/* sie and sip show what is delegated. */
TEST sie_sip
    li t0, 0xaaa
    csrw mie, t0
    csrw mideleg, zero
    csrr a2, sie
    CHECK a2, 0
    li t0, 0x220
    csrw mideleg, t0
    csrr a2, sie
    CHECK a2, 0x220
    csrw sie, zero
    csrr a2, mie
    CHECK a2, 0x88a
    li t0, 2
    csrw mip, t0
    csrr a2, sip
    CHECK a2, 0
    li t0, 0x222
    csrw mideleg, t0
    csrr a2, sip
    CHECK a2, 2
    csrw sip, zero
    csrr a2, mip
    andi a2, a2, 2
    CHECK a2, 0
    csrsi sip, 2
    csrr a2, mip
    andi a2, a2, 2
    CHECK a2, 2
    csrw mip, zero
    li t0, 0x222        /* software may set these three in mip, only the first in sip */
    csrw sip, t0
    csrr a2, mip
    andi a2, a2, 0x222
    CHECK a2, 2
    csrw mip, t0
    csrr a2, mip
    andi a2, a2, 0x222
    CHECK a2, 0x222
    csrw mip, zero
    END

TEST delegation
    li t0, -1
    csrw medeleg, t0
    csrr a2, medeleg
    li t0, 0xb1ff               /* what supervisor mode can want */
    and a2, a2, t0
    CHECK_SAME a2, t0
    csrr a2, medeleg
    li t0, 0x800                /* calls from machine mode cannot be delegated */
    and a2, a2, t0
    CHECK a2, 0
    csrw medeleg, zero
    END

TEST satp
    csrw satp, zero
#if __riscv_xlen == 64
    li t0, 8 << 60 | 0x1234 << 44 | 0xabcdef
    csrw satp, t0
    csrr a2, satp
    CHECK_SAME a2, t0
    csrw satp, zero
    li t0, 1 << 60 | 5          /* reserved: nothing is written */
    csrw satp, t0
    csrr a2, satp
    CHECK a2, 0
    li t0, 11 << 60 | 5
    csrw satp, t0
    csrr a2, satp
    CHECK a2, 0
#else
    li t0, 0x92345678
    csrw satp, t0
    csrr a2, satp
    CHECK_SAME a2, t0
#endif
    csrw satp, zero
    END

TEST tvec_modes
    csrr s0, mtvec
    la t0, trap_handler
    ori t1, t0, 1
    csrw mtvec, t1
    csrr a2, mtvec
    CHECK_SAME a2, t1
    ori t1, t0, 2               /* reserved modes are not taken on */
    csrw mtvec, t1
    csrr a2, mtvec
    andi a2, a2, 2
    CHECK a2, 0
    csrw mtvec, s0
    END

TEST envcfg
    csrr a2, CSR_SENVCFG
    WORKS csrwi CSR_MENVCFG, 1
    csrr a2, CSR_MENVCFG
    andi a2, a2, 1
    CHECK a2, 1
    csrci CSR_MENVCFG, 1
    WORKS csrwi CSR_SENVCFG, 1
    csrr a2, CSR_SENVCFG
    andi a2, a2, 1
    CHECK a2, 1
    csrw CSR_SENVCFG, zero
    END

/* Registers that are not there, of every privilege. */
TEST missing
    ILLEGAL csrr a2, 0x004
    ILLEGAL csrw 0x005, zero
    ILLEGAL csrr a2, 0x1ff
    ILLEGAL csrr a2, 0x34f
    ILLEGAL csrw 0x3ff, zero
    ILLEGAL csrr a2, 0x800
    ILLEGAL csrr a2, 0xfff
    ILLEGAL csrr a2, 0xb01
    ILLEGAL csrr a2, 0x7b0
#if __riscv_xlen == 64
    ILLEGAL csrr a2, 0x310
    ILLEGAL csrr a2, 0xc80
    ILLEGAL csrr a2, 0xb80
    ILLEGAL csrr a2, 0x3a1
    ILLEGAL csrr a2, 0x15d
    ILLEGAL csrr a2, 0x31a
#endif
    END

/* Each privilege has its own and those of the lower ones. */
TEST privilege
    ENTER MSTATUS_MPP_S
    ILLEGAL csrr a2, mstatus
    ENTER MSTATUS_MPP_S
    ILLEGAL csrw mscratch, zero
    ENTER MSTATUS_MPP_S
    ILLEGAL csrr a2, mhartid
    ENTER MSTATUS_MPP_S
    csrr a2, sstatus
    csrw sscratch, zero
    LEAVE
    CHECK s2, 9
    ENTER 0
    ILLEGAL csrr a2, sstatus
    ENTER 0
    ILLEGAL csrw sscratch, zero
    ENTER 0
    ILLEGAL csrr a2, mscratch
    ENTER 0
    csrr a2, fcsr
    LEAVE
    CHECK s2, 8
    END

/* TVM keeps supervisor mode from satp and sfence.vma, TSR from sret, TW from waiting. */
TEST trapped_supervisor
    li t0, MSTATUS_TVM | MSTATUS_TSR | MSTATUS_TW
    csrs mstatus, t0
    ENTER MSTATUS_MPP_S
    ILLEGAL csrr a2, satp
    ENTER MSTATUS_MPP_S
    ILLEGAL csrw satp, zero
    ENTER MSTATUS_MPP_S
    ILLEGAL sfence.vma
    ENTER MSTATUS_MPP_S
    ILLEGAL sfence.vma a2, a3
    ENTER MSTATUS_MPP_S
    ILLEGAL sret
    ENTER MSTATUS_MPP_S
    ILLEGAL wfi
    WORKS csrr a2, satp
    WORKS sfence.vma
    li t0, MSTATUS_TVM | MSTATUS_TSR | MSTATUS_TW
    csrc mstatus, t0
    ENTER MSTATUS_MPP_S
    csrr a2, satp
    csrw satp, zero
    sfence.vma
    LEAVE
    CHECK s2, 9
    END

TEST privileged_instructions
    ENTER 0
    ILLEGAL mret
    ENTER 0
    ILLEGAL sret
    ENTER 0
    ILLEGAL sfence.vma
    ENTER 0
    ILLEGAL wfi
    ENTER MSTATUS_MPP_S
    ILLEGAL mret
    ILLEGAL .word 0x7b200073 /* dret */
    ILLEGAL .word 0x00200073 /* uret */
    ILLEGAL .word 0x30200f73 /* mret with a destination */
    ILLEGAL .word 0x12000173 /* sfence.vma with a destination */
    END

TEST counters
    csrr a2, mcycle
    csrr a3, minstret
    nop
    nop
    csrr a4, minstret
    csrr a5, mcycle
    sub a4, a4, a3
    CHECK a4, 3
    bltu a5, a2, test_fail
    li t0, 1000
    csrw minstret, t0
    csrr a2, minstret           /* the write itself does not count */
    csrr a3, minstret
    CHECK a2, 1000
    CHECK a3, 1001
    csrwi 0x320, 4              /* mcountinhibit.IR */
    csrr a2, minstret
    nop
    csrr a3, minstret
    CHECK_SAME a2, a3
    csrr a2, instret
    CHECK_SAME a2, a3
    csrwi 0x320, 0
    csrr a2, minstret
    csrr a4, minstret
    CHECK_SAME a2, a3
    addi a3, a3, 1
    CHECK_SAME a4, a3
#if __riscv_xlen == 32
    li t0, -1
    csrw minstret, t0
    csrw minstreth, zero
    nop
    csrr a2, minstreth          /* the low half wraps */
    CHECK a2, 1
    csrw mcycleh, zero
#endif
    csrr a2, time
    csrr a3, time
    bltu a3, a2, test_fail
    csrr a2, mhpmcounter3
    csrr a2, mhpmevent31
    csrr a2, hpmcounter31
    ILLEGAL csrw cycle, zero
    ILLEGAL csrw instret, zero
    ILLEGAL csrw time, zero
    END

/* mcounteren and scounteren open the counters to lower privileges. */
TEST counter_enables
    csrw mcounteren, zero
    li t0, -1
    csrw scounteren, t0
    ENTER MSTATUS_MPP_S
    ILLEGAL csrr a2, cycle
    ENTER MSTATUS_MPP_S
    ILLEGAL csrr a2, time
    ENTER MSTATUS_MPP_S
    ILLEGAL csrr a2, instret
    ENTER 0
    ILLEGAL csrr a2, instret
    csrwi mcounteren, 5
    ENTER MSTATUS_MPP_S
    csrr a2, cycle
    csrr a2, instret
    LEAVE
    ENTER MSTATUS_MPP_S
    ILLEGAL csrr a2, time
    ENTER 0
    csrr a2, cycle
    csrr a2, instret
    LEAVE
    csrwi scounteren, 1
    ENTER 0
    csrr a2, cycle
    LEAVE
    ENTER 0
    ILLEGAL csrr a2, instret
    csrwi mcounteren, 7
    csrwi scounteren, 2
    ENTER 0
    csrr a2, time
    LEAVE
    END

TEST triggers
    csrw tselect, zero
    csrr a2, tselect
    CHECK a2, 0
    END
