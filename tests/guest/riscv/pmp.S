/* Physical memory protection: entry 15 opens everything, the ones before it are tried. */
#include "test.h"

#define R 1
#define W 2
#define X 4
#define TOR 8
#define NA4 16
#define NAPOT 24
#define LOCKED 0x80

/* Configuration byte of entries 0 to 3. Changes t5 and t6. */
.macro SET_CONFIG entry, value
    csrr t5, pmpcfg0
    li t6, ~(0xff << (8 * (\entry)))
    and t5, t5, t6
    li t6, (\value) << (8 * (\entry))
    or t5, t5, t6
    csrw pmpcfg0, t5
.endm

.macro GET_CONFIG register, entry
    csrr \register, pmpcfg0
    srli \register, \register, 8 * (\entry)
    andi \register, \register, 0xff
.endm

.macro SET_UP
    li t0, -1
    csrw pmpaddr15, t0
#if __riscv_xlen == 64
    li t0, (R | W | X | NAPOT) << 56
    csrw pmpcfg2, t0
#else
    li t0, (R | W | X | NAPOT) << 24
    csrw pmpcfg3, t0
#endif
    csrw pmpcfg0, zero
    csrw pmpaddr0, zero
    la s0, page
    la s7, page + 8
    li t0, 0x11111111
    sw t0, 0(s0)
    sw t0, 4(s0)
    sw t0, 8(s0)
.endm

/* s2 is -1 where it works. */
.macro SUPERVISOR insn:vararg
    ENTER MSTATUS_MPP_S
    TRY \insn
    li t6, -1
    bne s2, t6, .Ltrapped\@
    LEAVE
    li s2, -1
.Ltrapped\@:
.endm

.macro FAULTS cause, register
    CHECK s2, \cause
    CHECK_SAME s3, \register
.endm

/* An instruction in machine mode, with its address in a register. */
.macro TRAPS_AT cause, register, insn:vararg
    TRY \insn
    FAULTS \cause, \register
.endm

/* Which bits can be written. */
TEST registers
    SET_UP
    li t0, -1
    csrw pmpaddr3, t0
    csrr a2, pmpaddr3
#if __riscv_xlen == 64
    CHECK a2, 0x3fffffffffffff
#else
    CHECK a2, -1
#endif
    csrw pmpaddr3, zero
    csrr a2, pmpaddr3
    CHECK a2, 0
    SET_CONFIG 1, 0x7f
    GET_CONFIG a2, 1
    CHECK a2, 0x1f
    SET_CONFIG 1, 0
    GET_CONFIG a2, 1
    CHECK a2, 0
    END

/* Four bytes, in the middle of a page. */
TEST four_bytes
    SET_UP
    addi s8, s0, 4
    srli t0, s8, 2
    csrw pmpaddr0, t0
    SET_CONFIG 0, NA4
    SUPERVISOR lw a2, 0(s0)
    CHECK s2, -1
    SUPERVISOR lw a2, 4(s0)
    FAULTS 5, s8
    SUPERVISOR lw a2, 8(s0)
    CHECK s2, -1
    SUPERVISOR sw a2, 4(s0)
    FAULTS 7, s8
    SUPERVISOR sb a2, 4(s0)
    FAULTS 7, s8
    SUPERVISOR amoadd.w a2, a2, (s8)
    FAULTS 7, s8
    SUPERVISOR lr.w a2, (s8)
    FAULTS 5, s8
    lw a2, 4(s0)            /* it does not bind machine mode */
    CHECK a2, 0x11111111
    SET_CONFIG 0, NA4 | R
    SUPERVISOR lw a2, 4(s0)
    CHECK s2, -1
    SUPERVISOR sw a2, 4(s0)
    FAULTS 7, s8
    SET_CONFIG 0, NA4 | R | W
    SUPERVISOR sw a2, 4(s0)
    CHECK s2, -1
    SUPERVISOR jr s8
    FAULTS 1, s8
    END

/* An access that only partly lies in the region fails. */
TEST partly_inside
    SET_UP
    addi s8, s0, 4
    srli t0, s8, 2
    csrw pmpaddr0, t0
    SET_CONFIG 0, NA4
    SUPERVISOR lw a2, 2(s0)
    CHECK s2, 5
    SUPERVISOR sh a2, 3(s0)
    CHECK s2, 7
    lw a2, 0(s0)
    CHECK a2, 0x11111111
    SUPERVISOR lh a2, 7(s0)
    CHECK s2, 5
#if __riscv_xlen == 64
    SUPERVISOR ld a2, 0(s0)
    FAULTS 5, s0
    SUPERVISOR sd a2, 0(s0)
    FAULTS 7, s0
    SUPERVISOR amoadd.d a2, a2, (s0)
    FAULTS 7, s0
    SUPERVISOR lr.d a2, (s0)
    FAULTS 5, s0
    SUPERVISOR fld fa0, 0(s0)
    FAULTS 5, s0
    SUPERVISOR fsd fa0, 0(s0)
    FAULTS 7, s0
    SUPERVISOR ld a2, 8(s0)
    CHECK s2, -1
    lw a2, 0(s0)
    CHECK a2, 0x11111111
#endif
    END

#if __riscv_xlen == 64
/* ... whatever the entries allow, and in machine mode too: no entry matches all of it. */
TEST cut
    SET_UP
    srli t0, s0, 2
    csrw pmpaddr0, t0
    SET_CONFIG 0, NA4 | R | W
    SUPERVISOR ld a2, 0(s0)
    FAULTS 5, s0
    SUPERVISOR sd zero, 0(s0)
    FAULTS 7, s0
    SUPERVISOR lw a2, 0(s0)
    CHECK s2, -1
    SUPERVISOR lw a2, 4(s0)
    CHECK s2, -1
    TRAPS_AT 5, s0, ld a2, 0(s0)
    TRAPS_AT 7, s0, sd zero, 0(s0)
    TRAPS_AT 7, s0, amoswap.d a2, zero, (s0)
    ld a2, 8(s0)
    lw a2, 0(s0)
    CHECK a2, 0x11111111
    lw a2, 4(s0)
    CHECK a2, 0x11111111
    csrw pmpaddr0, zero
    ld a2, 0(s0)
    END

/* An entry of a page table that an edge cuts cannot be read. */
TEST cut_table_entry
    SET_UP
    la t0, table
    li t1, (0x80000000 >> 2) | 0xcf
    sd t1, 16(t0)
    srli t1, t0, 12
    li t2, 8 << 60
    or t1, t1, t2
    csrw satp, t1
    addi t0, t0, 16
    srli t0, t0, 2
    csrw pmpaddr0, t0
    sfence.vma
    SUPERVISOR lw a2, (s0)
    CHECK s2, -1
    SET_CONFIG 0, NA4 | R | W | X
    sfence.vma
    la s11, 1f
    ENTER MSTATUS_MPP_S
    j test_fail
1:  CHECK s2, 1
    csrw satp, zero
    END
#endif

/* Regions of powers of two. */
TEST power_of_two
    SET_UP
    srli t0, s0, 2
    csrw pmpaddr0, t0       /* eight bytes */
    SET_CONFIG 0, NAPOT
    SUPERVISOR lw a2, 0(s0)
    FAULTS 5, s0
    SUPERVISOR lw a2, 4(s0)
    CHECK s2, 5
    SUPERVISOR lw a2, 8(s0)
    CHECK s2, -1
    srli t0, s0, 2
    ori t0, t0, 0x1ff       /* a page */
    csrw pmpaddr0, t0
    SUPERVISOR lw a2, 8(s0)
    FAULTS 5, s7
    li t0, 4096
    add s8, s0, t0
    SUPERVISOR lw a2, -4(s8)
    CHECK s2, 5
    SUPERVISOR lw a2, (s8)
    CHECK s2, -1
    SUPERVISOR lw a2, -4(s0)
    CHECK s2, -1
    END

/* From one entry's address to the next one's. */
TEST top_of_range
    SET_UP
    addi s8, s0, 4
    srli t0, s8, 2
    csrw pmpaddr0, t0
    addi t0, t0, 2
    csrw pmpaddr1, t0
    SET_CONFIG 1, TOR | R
    SUPERVISOR lw a2, 0(s0)
    CHECK s2, -1
    SUPERVISOR lw a2, 4(s0)
    CHECK s2, -1
    SUPERVISOR sw a2, 0(s0)
    CHECK s2, -1
    SUPERVISOR sw a2, 4(s0)
    FAULTS 7, s8
    SUPERVISOR sw a2, 8(s0)
    FAULTS 7, s7
    SUPERVISOR sw a2, 12(s0)
    CHECK s2, -1
    csrw pmpaddr1, zero     /* the end before the start: nothing */
    SUPERVISOR sw a2, 4(s0)
    CHECK s2, -1
    SET_CONFIG 1, 0
    srli t0, s8, 2          /* the first entry starts at zero */
    csrw pmpaddr0, t0
    SET_CONFIG 0, TOR | R | X
    SUPERVISOR sw a2, 0(s0)
    FAULTS 7, s0
    SUPERVISOR sw a2, 4(s0)
    CHECK s2, -1
    END

/* The lowest entry that matches decides. */
TEST priority
    SET_UP
    srli t0, s0, 2
    csrw pmpaddr0, t0
    ori t0, t0, 0x1ff
    csrw pmpaddr1, t0
    SET_CONFIG 0, NA4 | R
    SET_CONFIG 1, NAPOT | R | W
    SUPERVISOR sw a2, 0(s0)
    FAULTS 7, s0
    SUPERVISOR sw a2, 4(s0)
    CHECK s2, -1
    SET_CONFIG 0, NAPOT | R | W
    SET_CONFIG 1, NAPOT | R
    SUPERVISOR sw a2, 4(s0)
    CHECK s2, -1
    SUPERVISOR sw a2, 8(s0)
    FAULTS 7, s7
    END

/* Where no entry matches, lower privileges have nothing. */
TEST no_match
    SET_UP
#if __riscv_xlen == 64
    csrw pmpcfg2, zero
#else
    csrw pmpcfg3, zero
#endif
    la s11, 1f
    ENTER MSTATUS_MPP_S
    j test_fail
1:  CHECK s2, 1
    lw a2, 0(s0)
    CHECK a2, 0x11111111
    END

/* Code, and an instruction across the edge. */
TEST execute
    SET_UP
    la s8, code
    srli t0, s8, 2
    ori t0, t0, 1           /* sixteen bytes */
    csrw pmpaddr0, t0
    SET_CONFIG 0, NAPOT | R | W
    SUPERVISOR jr s8
    FAULTS 1, s8
    CHECK_SAME s4, s8
    SET_CONFIG 0, NAPOT | X
    SUPERVISOR jr s8
    CHECK s2, 9
    SUPERVISOR lw a2, (s8)
    FAULTS 5, s8
    END

/* MPRV: machine mode is checked as the mode in MPP. */
TEST modify_privilege
    SET_UP
    srli t0, s0, 2
    csrw pmpaddr0, t0
    SET_CONFIG 0, NA4
    li t0, MSTATUS_MPP
    csrc mstatus, t0
    li t1, MSTATUS_MPRV
    csrs mstatus, t1
    TRY lw a2, (s0)
    li t1, MSTATUS_MPRV
    csrc mstatus, t1
    FAULTS 5, s0
    END

/* Page tables are read with the supervisor's rights. */
TEST page_walk
    SET_UP
    la t0, table
    srli t1, t0, 2
    ori t1, t1, 0x1ff
    csrw pmpaddr0, t1
    li t1, (0x80000000 >> 2) | 0xcf
#if __riscv_xlen == 64
    sd t1, 16(t0)
    srli t0, t0, 12
    li t1, 8 << 60
#else
    li t2, 2048
    add t2, t2, t0
    sw t1, (t2)
    srli t0, t0, 12
    li t1, 0x80000000
#endif
    or t0, t0, t1
    csrw satp, t0
    sfence.vma
    SUPERVISOR lw a2, (s0)
    CHECK s2, -1
    SET_CONFIG 0, NAPOT
    sfence.vma
    la s11, 1f
    ENTER MSTATUS_MPP_S     /* already the fetch fails */
    j test_fail
1:  CHECK s2, 1
    li t0, MSTATUS_MPP
    csrc mstatus, t0
    li t0, MSTATUS_MPP_S
    csrs mstatus, t0
    li t1, MSTATUS_MPRV
    csrs mstatus, t1
    TRY sw a2, (s0)
    li t1, MSTATUS_MPRV
    csrc mstatus, t1
    FAULTS 7, s0
    csrw satp, zero
    END

/* Locked entries bind machine mode, and stay. */
TEST locked
    SET_UP
    srli t0, s0, 2
    csrw pmpaddr1, t0
    SET_CONFIG 1, NA4 | LOCKED | R
    lw a2, (s0)
    CHECK a2, 0x11111111
    TRY sw a2, (s0)
    FAULTS 7, s0
    TRY jr s0
    FAULTS 1, s0
    SET_CONFIG 1, NA4 | R | W
    GET_CONFIG a2, 1
    CHECK a2, NA4 | LOCKED | R
    csrr s8, pmpaddr1
    csrw pmpaddr1, zero
    csrr a2, pmpaddr1
    CHECK_SAME a2, s8
    TRY sw a2, (s0)
    FAULTS 7, s0
    sw a2, 4(s0)
    SET_CONFIG 0, NA4 | R   /* another one can be changed */
    GET_CONFIG a2, 0
    CHECK a2, NA4 | R
    END

/* A locked range locks the address that it starts at. */
TEST locked_range
    SET_UP
    srli t0, s0, 2
    csrw pmpaddr2, t0
    addi t1, t0, 2
    csrw pmpaddr3, t1
    SET_CONFIG 3, TOR | LOCKED
    csrw pmpaddr2, zero
    csrr a2, pmpaddr2
    CHECK_SAME a2, t0
    TRY lw a2, 4(s0)
    CHECK s2, 5
    SET_CONFIG 2, NA4 | R
    GET_CONFIG a2, 2
    CHECK a2, NA4 | R
    END

    .option push
    .option norvc
    .balign 16
code:
    li a5, 3
    ecall
    .balign 16
    .option pop

    .bss
    .balign 4096
table:
    .skip 4096
page:
    .skip 8192
