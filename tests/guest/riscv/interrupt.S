/* Interrupts: enabling, priority, delegation, vectors, waiting, both timers. */
#include "test.h"

#define MSIP 3
#define MTIP 7
#define SSIP 1
#define STIP 5
#define SEIP 9

/* An interrupt is taken at once behind what enables it; s2 is its cause. */
.macro INTERRUPTED cause, insn:vararg
    li s2, -1
    la s11, .Lafter\@
    \insn
    nop
    nop
    j .Lafter\@
.Lafter\@:
    csrci mstatus, MSTATUS_MIE
    li s11, 0
    li t5, INTERRUPT + \cause
    CHECK_SAME s2, t5
.endm

.macro NOT_INTERRUPTED insn:vararg
    li s2, -1
    la s11, .Lafter\@
    \insn
    nop
    nop
.Lafter\@:
    csrci mstatus, MSTATUS_MIE
    li s11, 0
    CHECK s2, -1
.endm

TEST machine_software
    li t0, 1 << MSIP
    csrw mie, t0
    li t1, CLINT_MSIP
    li t2, 1
    sw t2, (t1)
    csrr a2, mip
    andi a2, a2, 1 << MSIP
    CHECK a2, 1 << MSIP
    INTERRUPTED MSIP, csrsi mstatus, MSTATUS_MIE
    CHECK s3, 0
    csrw mip, zero              /* only the device can take it back */
    csrr a2, mip
    andi a2, a2, 1 << MSIP
    CHECK a2, 1 << MSIP
    csrw mie, zero
    NOT_INTERRUPTED csrsi mstatus, MSTATUS_MIE
    csrw mie, t0
    sw zero, (t1)
    NOT_INTERRUPTED csrsi mstatus, MSTATUS_MIE
    csrsi mstatus, MSTATUS_MIE
    INTERRUPTED MSIP, sw t2, (t1)
    csrw mie, zero
    csrsi mstatus, MSTATUS_MIE
    INTERRUPTED MSIP, csrw mie, t0
    sw zero, (t1)
    END

.macro SET_MTIMECMP high, low
    li t1, CLINT_MTIMECMP
    li t2, -1
    sw t2, 4(t1)
    li t2, \low
    sw t2, 0(t1)
    li t2, \high
    sw t2, 4(t1)
.endm

TEST machine_timer
    li t0, 1 << MTIP
    csrw mie, t0
    SET_MTIMECMP -1, -1
    csrr a2, mip
    andi a2, a2, 1 << MTIP
    CHECK a2, 0
    SET_MTIMECMP 0, 0
    csrr a2, mip
    andi a2, a2, 1 << MTIP
    CHECK a2, 1 << MTIP
    INTERRUPTED MTIP, csrsi mstatus, MSTATUS_MIE
    li t1, CLINT_MTIME
    lw t3, (t1)
    li t4, 3000
    add t3, t3, t4
    li t1, CLINT_MTIMECMP       /* in a while: the high half of the time is zero all the test */
    li t2, -1
    sw t2, 4(t1)
    sw t3, 0(t1)
    sw zero, 4(t1)
    csrsi mstatus, MSTATUS_MIE
    la s11, 2f
    li s2, -1
1:  j 1b
2:  li t5, INTERRUPT + MTIP
    CHECK_SAME s2, t5
    csrr a2, time
    bltu a2, t3, test_fail
    SET_MTIMECMP -1, -1
    END

/* All at once: external before software before timer, machine before supervisor. */
TEST priority
    li t0, 1 << SSIP | 1 << STIP | 1 << SEIP
    csrw mip, t0
    li t1, CLINT_MSIP
    li t2, 1
    sw t2, (t1)
    SET_MTIMECMP 0, 0
    li t0, -1
    csrw mie, t0
    INTERRUPTED MSIP, csrsi mstatus, MSTATUS_MIE
    li t1, CLINT_MSIP
    sw zero, (t1)
    INTERRUPTED MTIP, csrsi mstatus, MSTATUS_MIE
    SET_MTIMECMP -1, -1
    INTERRUPTED SEIP, csrsi mstatus, MSTATUS_MIE
    li t0, 1 << SEIP
    csrc mip, t0
    INTERRUPTED SSIP, csrsi mstatus, MSTATUS_MIE
    csrci mip, 1 << SSIP
    INTERRUPTED STIP, csrsi mstatus, MSTATUS_MIE
    li t0, 1 << STIP
    csrc mip, t0
    NOT_INTERRUPTED csrsi mstatus, MSTATUS_MIE
    END

/* Machine interrupts are taken in lower privileges whatever MIE says. */
TEST lower_privilege
    csrci mstatus, MSTATUS_MIE
    li t0, 1 << MSIP
    csrw mie, t0
    li t1, CLINT_MSIP
    li t2, 1
    sw t2, (t1)
    la s11, 1f
    ENTER MSTATUS_MPP_S
    j test_fail
1:  li t5, INTERRUPT + MSIP
    CHECK_SAME s2, t5
    la s11, 1f
    ENTER 0
    j test_fail
1:  CHECK_SAME s2, t5
    sw zero, (t1)
    END

/* Delegated ones: to supervisor mode, from supervisor mode with SIE and from user mode; never in machine mode. */
TEST delegated
    li t0, 1 << SSIP | 1 << STIP | 1 << SEIP
    csrw mideleg, t0
    csrw mie, t0
    csrw mip, t0
    NOT_INTERRUPTED csrsi mstatus, MSTATUS_MIE
    csrci mstatus, MSTATUS_SIE
    ENTER MSTATUS_MPP_S
    nop
    la s11, 1f
    la s1, 2f
    csrsi sstatus, MSTATUS_SIE
2:  nop
    ecall
1:  li t5, INTERRUPT + SEIP
    CHECK_SAME s6, t5
    CHECK_SAME s8, s1
    CHECK s7, 0
    li t0, 1 << SEIP
    csrc mip, t0
    csrci mstatus, MSTATUS_SIE
    la s11, 1f
    ENTER 0
    ecall
1:  li t5, INTERRUPT + SSIP
    CHECK_SAME s6, t5
    li t0, 1 << SSIP | 1 << STIP
    csrc mip, t0
    csrw mideleg, zero
    END

/* A delegated and a machine interrupt: the machine's first, in machine mode alone. */
TEST machine_before_delegated
    li t0, 1 << SEIP
    csrw mideleg, t0
    li t0, 1 << SEIP | 1 << SSIP
    csrw mie, t0
    csrw mip, t0
    csrsi mstatus, MSTATUS_SIE
    la s11, 1f
    ENTER 0
    ecall
1:  li t5, INTERRUPT + SSIP
    CHECK_SAME s2, t5
    csrw mip, zero
    END

TEST vectored
    la t0, vectors + 1
    csrw mtvec, t0
    li t0, 1 << SSIP | 1 << MSIP
    csrw mie, t0
    csrsi mip, 1 << SSIP
    li a4, 0
    INTERRUPTED SSIP, csrsi mstatus, MSTATUS_MIE
    CHECK a4, 1
    csrci mip, 1 << SSIP
    li t1, CLINT_MSIP
    li t2, 1
    sw t2, (t1)
    INTERRUPTED MSIP, csrsi mstatus, MSTATUS_MIE
    CHECK a4, 3
    sw zero, (t1)
    END
    .option push
    .option norvc
    .align 7
vectors:
    j test_fail
    j 1f
    j test_fail
    j 3f
    j test_fail
1:  li a4, 1
    j trap_handler
3:  li a4, 3
    j trap_handler
    .option pop

/* wfi ends with a pending interrupt that is enabled in mie, though MIE or the delegation keep it from being taken. */
TEST wfi
    csrci mstatus, MSTATUS_MIE
    li t0, 1 << SSIP
    csrw mie, t0
    csrw mip, t0
    WORKS wfi
    csrw mip, zero
    li t0, 1 << MTIP
    csrw mie, t0
    li t1, CLINT_MTIME
    lw t3, (t1)
    li t4, 5000
    add t3, t3, t4
    li t1, CLINT_MTIMECMP
    li t2, -1
    sw t2, 4(t1)
    sw t3, 0(t1)
    sw zero, 4(t1)
    wfi
    csrr a2, time
    bltu a2, t3, test_fail
    INTERRUPTED MTIP, csrsi mstatus, MSTATUS_MIE
    SET_MTIMECMP -1, -1
    li t1, CLINT_MTIME
    lw t3, (t1)
    li t4, 5000
    add t3, t3, t4
    li t1, CLINT_MTIMECMP
    sw t3, 0(t1)
    sw zero, 4(t1)
    la s11, 3f                      /* where it is taken, mepc is behind the wfi */
    la s1, 2f
    csrsi mstatus, MSTATUS_MIE
    wfi
2:  nop
    j test_fail
3:  CHECK_SAME s4, s1
    li t5, INTERRUPT + MTIP
    CHECK_SAME s2, t5
    SET_MTIMECMP -1, -1
    END

.macro SET_STIMECMP high, low
#if __riscv_xlen == 64
    li t2, \high << 32 | \low
    csrw CSR_STIMECMP, t2
#else
    li t2, -1
    csrw CSR_STIMECMPH, t2
    li t2, \low
    csrw CSR_STIMECMP, t2
    li t2, \high
    csrw CSR_STIMECMPH, t2
#endif
.endm

.macro SET_STCE operation
#if __riscv_xlen == 64
    li t2, 1 << 63
    \operation CSR_MENVCFG, t2
#else
    li t2, 0x80000000
    \operation CSR_MENVCFGH, t2
#endif
.endm

/* Sstc: the supervisor's own timer. */
TEST supervisor_timer
    SET_STCE csrs
    SET_STIMECMP 0x7fffffff, 0
    csrr a2, mip
    andi a2, a2, 1 << STIP
    CHECK a2, 0
    li t0, 1 << STIP            /* software does not set it then */
    csrs mip, t0
    csrr a2, mip
    andi a2, a2, 1 << STIP
    CHECK a2, 0
    SET_STIMECMP 0, 1
    csrr a2, mip
    andi a2, a2, 1 << STIP
    CHECK a2, 1 << STIP
    csrw mie, t0
    INTERRUPTED STIP, csrsi mstatus, MSTATUS_MIE
    csrw mideleg, t0
    csrr a2, sip
    CHECK a2, 1 << STIP
    csrsi mstatus, MSTATUS_SIE
    la s11, 1f
    ENTER 0
    j test_fail
1:  li t5, INTERRUPT + STIP
    CHECK_SAME s6, t5
    SET_STIMECMP 0x7fffffff, 0  /* a later one takes it back */
    csrr a2, mip
    andi a2, a2, 1 << STIP
    CHECK a2, 0
    csrr t3, time               /* in a while */
    li t4, 3000
    add t3, t3, t4
#if __riscv_xlen == 64
    csrw CSR_STIMECMP, t3
#else
    csrw CSR_STIMECMP, t3
    csrw CSR_STIMECMPH, zero
#endif
    la s11, 2f
    ENTER 0
1:  j 1b
2:  CHECK_SAME s6, t5
    csrr a2, time
    bltu a2, t3, test_fail
    SET_STCE csrc               /* without STCE the bit is software's again */
    csrw mip, zero
    csrr a2, mip
    andi a2, a2, 1 << STIP
    CHECK a2, 0
    END

/* Supervisor mode reaches stimecmp if menvcfg and mcounteren let it. */
TEST stimecmp_access
    csrwi mcounteren, 2
    SET_STCE csrc
    ENTER MSTATUS_MPP_S
    ILLEGAL csrr a2, CSR_STIMECMP
    SET_STCE csrs
    csrwi mcounteren, 0
    ENTER MSTATUS_MPP_S
    ILLEGAL csrw CSR_STIMECMP, zero
    csrwi mcounteren, 2
    ENTER MSTATUS_MPP_S
    li t0, -1
    csrw CSR_STIMECMP, t0
    csrr a2, CSR_STIMECMP
    CHECK a2, -1
    LEAVE
    CHECK s2, 9
    ENTER 0
    ILLEGAL csrr a2, CSR_STIMECMP
    END
