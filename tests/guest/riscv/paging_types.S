/* Svnapot, Svpbmt and Svinval: blocks of 64 KiB, memory types, and translations dropped one by one. */
#include "paging.h"

#define N 1 << 63
#define MEMORY_TYPE(n) (n) << 61

/* Sixteen entries alike, for VIRTUAL and what follows, with these flags in their upper bits too. */
.macro SET_BLOCK register, flags
    srli t0, \register, 2
    li t1, \flags
    or t0, t0, t1
    TABLE t1, 0
    li t2, 16
.Lentry\@:
    SE t0, (t1)
    addi t1, t1, ENTRY_BYTES
    addi t2, t2, -1
    bnez t2, .Lentry\@
    sfence.vma
.endm

/* The entry of this index at a level gets further bits. */
.macro ADD_BITS level, index, bits
    TABLE t5, \level
    li t6, (\index) * ENTRY_BYTES
    add t5, t5, t6
    LE t4, (t5)
    li t6, \bits
    or t4, t4, t6
    SE t4, (t5)
    sfence.vma
.endm

.macro ALLOW_TYPES
    li t0, 1 << 62
    csrs CSR_MENVCFG, t0
.endm

#if __riscv_xlen == 64
TEST block
    SET_UP
    li t0, 0x11111111
    li t1, 0x22222222
    li t3, 0xfffc
    add t3, t3, s0
    sw t0, (s0)
    sw t1, (t3)
    li t3, 0x8000               /* the page number's low bits: 1000 */
    add t3, t3, s0
    SET_BLOCK t3, N | V | R | A | D
    SUPERVISOR lw a2, (a4)
    CHECK s2, -1
    CHECK a2, 0x11111111
    li a4, VIRTUAL + 0xfffc
    SUPERVISOR lw a2, (a4)
    CHECK s2, -1
    CHECK a2, 0x22222222
    SUPERVISOR sw a2, (a4)
    FAULTS STORE_FAULT, VIRTUAL + 0xfffc
    li a4, VIRTUAL + 0x10000    /* behind it there is nothing */
    SUPERVISOR lw a2, (a4)
    FAULTS LOAD_FAULT, VIRTUAL + 0x10000
    END

/* Another page of it than the first used one is dropped with it. */
TEST block_fence
    SET_UP
    li t3, 0x8000
    add t3, t3, s0
    SET_BLOCK t3, N | V | R | A | D
    SUPERVISOR lw a2, (a4)
    CHECK s2, -1
    la t0, tables
    li t1, 16
1:  SE zero, (t0)
    addi t0, t0, ENTRY_BYTES
    addi t1, t1, -1
    bnez t1, 1b
    li t0, VIRTUAL + 0x3000
    sfence.vma t0
    li t0, VIRTUAL
    sfence.vma t0
    SUPERVISOR lw a2, (a4)
    FAULTS LOAD_FAULT, VIRTUAL
    END

/* Other sizes than 64 KiB, and blocks of larger pages, are reserved. */
TEST block_reserved
    SET_UP
    li s10, 0
1:  slli t3, s10, 12
    add t3, t3, s0
    SET_BLOCK t3, N | V | R | A | D
    SUPERVISOR lw a2, (a4)
    li t0, 8
    beq s10, t0, 2f
    FAULTS LOAD_FAULT, VIRTUAL
    j 3f
2:  CHECK s2, -1
3:  addi s10, s10, 1
    li t0, 16
    bne s10, t0, 1b
    li t3, 0x8000
    add t3, t3, s0
    SET_BLOCK t3, N | V | R | A | D
    ADD_BITS 1, INDEX_1, N      /* in a pointer */
    SUPERVISOR lw a2, (a4)
    FAULTS LOAD_FAULT, VIRTUAL
    li t3, 0x80000000           /* in a larger page */
    SET_ENTRY 1, INDEX_1, t3, V | R | A | D
    sfence.vma
    SUPERVISOR lw a2, (a4)
    CHECK s2, -1
    ADD_BITS 1, INDEX_1, N | 1 << 13
    SUPERVISOR lw a2, (a4)
    FAULTS LOAD_FAULT, VIRTUAL
    END

/* The three types, with and without permission to use them; the fourth. */
TEST memory_types
    SET_UP
    csrr a2, CSR_MENVCFG        /* allowed after a reset */
    li t0, 1 << 62
    and a2, a2, t0
    CHECK_SAME a2, t0
    csrc CSR_MENVCFG, t0
    SET_LEAF s0, V | R | W | A | D
    ADD_BITS 0, 0, MEMORY_TYPE(1)
    SUPERVISOR lw a2, (a4)
    FAULTS LOAD_FAULT, VIRTUAL
    ALLOW_TYPES                 /* seen without a fence */
    SUPERVISOR lw a2, (a4)
    CHECK s2, -1
    CHECK a2, 0x12345678
    li t0, 1 << 62
    csrc CSR_MENVCFG, t0
    SUPERVISOR lw a2, (a4)
    FAULTS LOAD_FAULT, VIRTUAL
    ALLOW_TYPES
    SET_LEAF s0, V | R | W | A | D
    ADD_BITS 0, 0, MEMORY_TYPE(2)
    SUPERVISOR sw a2, (a4)
    CHECK s2, -1
    ADD_BITS 0, 0, MEMORY_TYPE(3)
    SUPERVISOR sw a2, (a4)
    FAULTS STORE_FAULT, VIRTUAL
    SET_LEAF s0, V | R | W | A | D
    SUPERVISOR lw a2, (a4)
    CHECK s2, -1
    ADD_BITS 1, INDEX_1, MEMORY_TYPE(1) /* in a pointer */
    SUPERVISOR lw a2, (a4)
    FAULTS LOAD_FAULT, VIRTUAL
    END
#endif

TEST invalidate
    SET_UP
    SET_LEAF s0, V | R | A | D
    SUPERVISOR lw a2, (a4)
    CHECK a2, 0x12345678
    la t1, page + 4096
    li t2, 99
    sw t2, (t1)
    SET_ENTRY 0, 0, t1, V | R | A | D
    .4byte 0x18000073           /* sfence.w.inval */
    .4byte 0x160700f3 & ~0xf80  /* sinval.vma a4, zero */
    .4byte 0x18100073           /* sfence.inval.ir */
    SUPERVISOR lw a2, (a4)
    CHECK a2, 99
    END

/* Not for user mode; sinval.vma may be kept from supervisor mode, like sfence.vma. */
TEST invalidate_privilege
    ENTER 0
    ILLEGAL .4byte 0x18000073
    ENTER 0
    ILLEGAL .4byte 0x18100073
    ENTER 0
    ILLEGAL .4byte 0x16000073
    ENTER MSTATUS_MPP_S
    WORKS .4byte 0x18000073
    WORKS .4byte 0x18100073
    WORKS .4byte 0x16000073
    LEAVE
    li t0, MSTATUS_TVM
    csrs mstatus, t0
    ENTER MSTATUS_MPP_S
    WORKS .4byte 0x18000073
    WORKS .4byte 0x18100073
    ILLEGAL .4byte 0x16000073
    WORKS .4byte 0x16000073     /* machine mode */
    END
