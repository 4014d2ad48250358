/*
 * What tests of paging share. LEVELS comes from the build. Tables: one per level, `tables` + 4096 * level; the root is
 * the highest level's. The page under test is at VIRTUAL; the low gigabytes, where code and data are, are
 * identity-mapped by a leaf of the highest level but one, or of the highest.
 */
#include "test.h"

#if __riscv_xlen == 64
#define ENTRY_BYTES 8
#define INDEX_1 0 /* of VIRTUAL at level 1 */
#define LE ld
#define SE sd
#else
#define ENTRY_BYTES 4
#define INDEX_1 0x100
#define LE lw
#define SE sw
#endif

#define V 1
#define R 2
#define W 4
#define X 8
#define U 16
#define G 32
#define A 64
#define D 128

#define VIRTUAL 0x40000000
#define FETCH_FAULT 12
#define LOAD_FAULT 13
#define STORE_FAULT 15

.macro SET_ADUE
#if __riscv_xlen == 64
    li t0, 1 << 61
    csrs CSR_MENVCFG, t0
#else
    li t0, 1 << 29
    csrs CSR_MENVCFGH, t0
#endif
.endm

.macro CLEAR_ADUE
#if __riscv_xlen == 64
    li t0, 1 << 61
    csrc CSR_MENVCFG, t0
#else
    li t0, 1 << 29
    csrc CSR_MENVCFGH, t0
#endif
.endm

/* a0 = a page table of this level. */
.macro TABLE register, level
    la \register, tables
    li t6, 4096 * (\level)
    add \register, \register, t6
.endm

/* Entry `index` of a table: physical page of `register` and flags. Changes t4 to t6. */
.macro SET_ENTRY level, index, register, flags
    TABLE t5, \level
    li t6, (\index) * ENTRY_BYTES
    add t5, t5, t6
    srli t4, \register, 2
    li t6, ~0x3ff
    and t4, t4, t6
    ori t4, t4, (\flags) & 0x3ff
    SE t4, (t5)
.endm

/* The leaf of 4 KiB for VIRTUAL. */
.macro SET_LEAF register, flags
    SET_ENTRY 0, 0, \register, \flags
    sfence.vma
.endm

.macro GET_LEAF_FLAGS register
    TABLE t5, 0
    LE \register, (t5)
    andi \register, \register, 0x3ff
.endm

/* Everything but the leaf; paging is on afterwards for the lower privileges. */
.macro SET_UP
    SET_ADUE
    csrw satp, zero
#if __riscv_xlen == 64
    /* The index of VIRTUAL is 1 at level 2 (1 GiB), 0 above and below. */
    .if LEVELS > 4
    TABLE t0, 3
    SET_ENTRY 4, 0, t0, V
    .endif
    .if LEVELS > 3
    TABLE t0, 2
    SET_ENTRY 3, 0, t0, V
    .endif
    li t0, 0x80000000
    SET_ENTRY 2, 2, t0, V | R | W | X | A | D
    TABLE t0, 1
    SET_ENTRY 2, 1, t0, V
    TABLE t0, 0
    SET_ENTRY 1, 0, t0, V
    TABLE t0, LEVELS - 1
    srli t0, t0, 12
    li t1, (LEVELS + 5) << 60
    or t0, t0, t1
#else
    /* 4 MiB a leaf of level 1: VIRTUAL's is 0x100, RAM's 0x200. */
    li t0, 0x80000000
    SET_ENTRY 1, 0x200, t0, V | R | W | X | A | D
    TABLE t0, 0
    SET_ENTRY 1, 0x100, t0, V
    TABLE t0, 1
    srli t0, t0, 12
    li t1, 0x80000000
    or t0, t0, t1
#endif
    csrw satp, t0
    sfence.vma
    la s0, page
    li t0, 0x12345678
    sw t0, (s0)
    li a4, VIRTUAL
.endm

/* In supervisor mode. s2 is -1 where it works. */
.macro SUPERVISOR insn:vararg
    ENTER MSTATUS_MPP_S
    TRY \insn
    li t6, -1
    bne s2, t6, .Ltrapped\@
    LEAVE
    li s2, -1
.Ltrapped\@:
.endm

/* The same in user mode, whose code needs a page of its own: at VIRTUAL + 4096, `user_code`. s10: what to do. */
.macro USER what
    la t0, user_code
    SET_ENTRY 0, 1, t0, V | R | X | U | A
    sfence.vma
    li s2, -1
    la s11, .Lback\@
    li t6, MSTATUS_MPP
    csrc mstatus, t6
    li t6, VIRTUAL + 4096 + (\what) * 16
    csrw mepc, t6
    mret
.Lback\@:
    addi t6, s2, -8
    bnez t6, .Ltrapped\@
    li s2, -1
.Ltrapped\@:
.endm
#define USER_LOAD 0
#define USER_STORE 1
#define USER_FETCH 2

.macro FAULTS cause, address
    CHECK s2, \cause
    CHECK s3, \address
.endm

    .bss
    .balign 65536
page:
    .skip 65536
    .balign 4096
tables:
    .skip 4096 * 5
    .text
