/* Sv32, Sv39, Sv48 and Sv57: each test runs for one scheme of the width. */
#include "paging.h"

TEST translate
    SET_UP
    SET_LEAF s0, V | R | W | A | D
    SUPERVISOR lw a2, (a4)
    CHECK s2, -1
    CHECK a2, 0x12345678
    li a2, 77
    SUPERVISOR sw a2, 4(a4)
    CHECK s2, -1
    lw a2, 4(s0)
    CHECK a2, 77
    la t1, page + 4096          /* another page in its place */
    li t2, 99
    sw t2, (t1)
    SET_LEAF t1, V | R | A
    SUPERVISOR lw a2, (a4)
    CHECK a2, 99
    la t1, page                 /* a fence for the address alone does */
    SET_ENTRY 0, 0, t1, V | R | A
    sfence.vma a4
    SUPERVISOR lw a2, (a4)
    CHECK a2, 0x12345678
    END

TEST permissions
    SET_UP
    SET_LEAF s0, 0                          /* nothing there */
    SUPERVISOR lw a2, 4(a4)
    FAULTS LOAD_FAULT, VIRTUAL + 4
    SUPERVISOR sb a2, 3(a4)
    FAULTS STORE_FAULT, VIRTUAL + 3
    SUPERVISOR amoadd.w a2, a2, (a4)
    FAULTS STORE_FAULT, VIRTUAL
    SUPERVISOR lr.w a2, (a4)
    FAULTS LOAD_FAULT, VIRTUAL
    SUPERVISOR jr a4
    FAULTS FETCH_FAULT, VIRTUAL
    CHECK s4, VIRTUAL
    SET_LEAF s0, R | W | X | A | D          /* not valid */
    SUPERVISOR lw a2, (a4)
    FAULTS LOAD_FAULT, VIRTUAL
    SET_LEAF s0, V | R | A | D              /* to be read */
    SUPERVISOR lw a2, (a4)
    CHECK s2, -1
    SUPERVISOR sw a2, (a4)
    FAULTS STORE_FAULT, VIRTUAL
    SUPERVISOR amoor.w a2, a2, (a4)
    FAULTS STORE_FAULT, VIRTUAL
    SUPERVISOR jr a4
    FAULTS FETCH_FAULT, VIRTUAL
    SET_LEAF s0, V | X | A                  /* to be executed */
    SUPERVISOR lw a2, (a4)
    FAULTS LOAD_FAULT, VIRTUAL
    SET_LEAF s0, V | W | A | D              /* reserved: writable, not readable */
    SUPERVISOR sw a2, (a4)
    FAULTS STORE_FAULT, VIRTUAL
    SET_LEAF s0, V | W | X | A | D
    SUPERVISOR jr a4
    FAULTS FETCH_FAULT, VIRTUAL
    SET_LEAF s0, V                          /* a pointer, where there are no more levels */
    SUPERVISOR lw a2, (a4)
    FAULTS LOAD_FAULT, VIRTUAL
    END

/* Code in a page, and a jump out of it. */
TEST fetch
    SET_UP
    la t1, supervisor_code
    SET_LEAF t1, V | X | A
    la s11, 1f
    ENTER MSTATUS_MPP_S
    jr a4
1:  CHECK s2, 9
    CHECK s4, VIRTUAL + 4
    CHECK a5, 5
    END

TEST user_pages
    SET_UP
    SET_LEAF s0, V | R | W | X | A | D      /* a supervisor's page */
    USER USER_LOAD
    FAULTS LOAD_FAULT, VIRTUAL
    USER USER_STORE
    FAULTS STORE_FAULT, VIRTUAL
    USER USER_FETCH
    FAULTS FETCH_FAULT, VIRTUAL
    SET_LEAF s0, V | R | W | U | A | D      /* a user's */
    USER USER_LOAD
    CHECK s2, -1
    CHECK a2, 0x12345678
    USER USER_STORE
    CHECK s2, -1
    SUPERVISOR lw a2, (a4)
    FAULTS LOAD_FAULT, VIRTUAL
    SUPERVISOR sw a2, (a4)
    FAULTS STORE_FAULT, VIRTUAL
    li t1, MSTATUS_SUM                      /* lets the supervisor read and write it */
    csrs mstatus, t1
    SUPERVISOR lw a2, (a4)
    CHECK s2, -1
    SUPERVISOR sw a2, (a4)
    CHECK s2, -1
    la t1, supervisor_code
    SET_LEAF t1, V | R | X | U | A          /* but never execute */
    SUPERVISOR jr a4
    FAULTS FETCH_FAULT, VIRTUAL
    li t1, MSTATUS_SUM
    csrc mstatus, t1
    SUPERVISOR lw a2, (a4)
    FAULTS LOAD_FAULT, VIRTUAL
    USER USER_FETCH
    CHECK s2, -1
    CHECK a5, 5
    END

/* MXR: executable pages can be read. */
TEST make_executable_readable
    SET_UP
    SET_LEAF s0, V | X | A
    li t1, MSTATUS_MXR
    csrs mstatus, t1
    SUPERVISOR lw a2, (a4)
    CHECK s2, -1
    SUPERVISOR sw a2, (a4)
    FAULTS STORE_FAULT, VIRTUAL
    SET_LEAF s0, V | X | U | A
    SUPERVISOR lw a2, (a4)
    FAULTS LOAD_FAULT, VIRTUAL
    USER USER_LOAD
    CHECK s2, -1
    li t1, MSTATUS_MXR
    csrc mstatus, t1
    USER USER_LOAD
    FAULTS LOAD_FAULT, VIRTUAL
    END

/* MPRV: machine mode loads and stores as the mode in MPP; fetches stay. */
TEST modify_privilege
    SET_UP
    SET_LEAF s0, V | R | U | A
    li t1, MSTATUS_MPP
    csrc mstatus, t1
    li t2, MSTATUS_MPRV
    csrs mstatus, t2
    lw a2, (a4)                             /* as user */
    csrc mstatus, t2
    CHECK a2, 0x12345678
    li t1, MSTATUS_MPP_S
    csrs mstatus, t1
    csrs mstatus, t2
    TRY lw a2, (a4)                         /* as supervisor */
    li t2, MSTATUS_MPRV
    csrc mstatus, t2
    FAULTS LOAD_FAULT, VIRTUAL
    li t1, MSTATUS_MPP
    csrc mstatus, t1
    li t1, MSTATUS_MPP_S
    csrs mstatus, t1
    li t1, MSTATUS_SUM
    csrs mstatus, t1
    csrs mstatus, t2
    lw a2, (a4)
    csrc mstatus, t2
    CHECK a2, 0x12345678
    li t1, MSTATUS_MPP                      /* as machine: no translation, nothing there */
    csrs mstatus, t1
    csrs mstatus, t2
    li t3, 0x1000000
    TRY lw a2, (t3)
    li t2, MSTATUS_MPRV
    csrc mstatus, t2
    CHECK s2, 5
    END

/* Accessed and dirty bits, set by hardware. */
TEST hardware_updates
    SET_UP
    SET_LEAF s0, V | R | W | X
    SUPERVISOR lw a2, (a4)
    CHECK s2, -1
    GET_LEAF_FLAGS a2
    CHECK a2, V | R | W | X | A
    SUPERVISOR sw a2, (a4)
    CHECK s2, -1
    GET_LEAF_FLAGS a2
    CHECK a2, V | R | W | X | A | D
    SET_LEAF s0, V | R | W | X
    SUPERVISOR amoadd.w a2, a2, (a4)
    GET_LEAF_FLAGS a2
    CHECK a2, V | R | W | X | A | D
    SET_LEAF s0, V | R | A                  /* a refused write leaves no mark */
    SUPERVISOR sw a2, (a4)
    FAULTS STORE_FAULT, VIRTUAL
    GET_LEAF_FLAGS a2
    CHECK a2, V | R | A
    la t1, supervisor_code
    SET_LEAF t1, V | X
    la s11, 1f
    ENTER MSTATUS_MPP_S
    jr a4
1:  GET_LEAF_FLAGS a2
    CHECK a2, V | X | A
    END

/* ... or by the page fault's handler, where menvcfg.ADUE is clear. */
TEST software_updates
    SET_UP
    CLEAR_ADUE
    SET_LEAF s0, V | R | W | X | D
    SUPERVISOR lw a2, (a4)
    FAULTS LOAD_FAULT, VIRTUAL
    SUPERVISOR jr a4
    FAULTS FETCH_FAULT, VIRTUAL
    GET_LEAF_FLAGS a2
    CHECK a2, V | R | W | X | D
    SET_LEAF s0, V | R | W | A
    SUPERVISOR lw a2, (a4)
    CHECK s2, -1
    SUPERVISOR sw a2, (a4)
    FAULTS STORE_FAULT, VIRTUAL
    SET_LEAF s0, V | R | W | A | D
    SUPERVISOR sw a2, (a4)
    CHECK s2, -1
    END

/* Leaves of higher levels; their physical address must be aligned. */
TEST superpages
    SET_UP
    li t1, 0x80000000
    SET_ENTRY 1, INDEX_1, t1, V | R | W | A | D
    sfence.vma
    la t1, page
    li t2, VIRTUAL - 0x80000000
    add a4, t1, t2
    SUPERVISOR lw a2, (a4)
    CHECK s2, -1
    CHECK a2, 0x12345678
    li t1, 0x80001000                       /* misaligned */
    SET_ENTRY 1, INDEX_1, t1, V | R | W | A | D
    sfence.vma
    SUPERVISOR lw a2, (a4)
    CHECK s2, LOAD_FAULT
    SUPERVISOR sw a2, (a4)
    CHECK s2, STORE_FAULT
#if __riscv_xlen == 64
    li t1, 0x80000000
    SET_ENTRY 2, 1, t1, V | R | W | A | D   /* a gigabyte */
    sfence.vma
    SUPERVISOR lw a2, (a4)
    CHECK s2, -1
    CHECK a2, 0x12345678
    li t1, 0x80200000
    SET_ENTRY 2, 1, t1, V | R | W | A | D
    sfence.vma
    SUPERVISOR lw a2, (a4)
    CHECK s2, LOAD_FAULT
#endif
    END

/* A fence for any address in a large page drops all of it. */
TEST superpage_fence
    SET_UP
    li t1, 0x80000000
    SET_ENTRY 1, INDEX_1, t1, V | R | W | A | D
    sfence.vma
    la t1, page
    li t2, VIRTUAL - 0x80000000
    add a4, t1, t2
    SUPERVISOR lw a2, (a4)
    CHECK s2, -1
    li t1, 0x80000000
    SET_ENTRY 1, INDEX_1, t1, 0
    li t1, VIRTUAL
    sfence.vma t1
    SUPERVISOR lw a2, (a4)
    CHECK s2, LOAD_FAULT
    END

/* Bits that are reserved in entries. */
TEST reserved_bits
    SET_UP
    TABLE t1, 0
    SET_ENTRY 1, INDEX_1, t1, V | D    /* in a pointer: dirty, accessed, user */
    sfence.vma
    SET_LEAF s0, V | R | W | A | D
    SUPERVISOR lw a2, (a4)
    FAULTS LOAD_FAULT, VIRTUAL
    TABLE t1, 0
    SET_ENTRY 1, INDEX_1, t1, V | A
    sfence.vma
    SUPERVISOR lw a2, (a4)
    FAULTS LOAD_FAULT, VIRTUAL
    TABLE t1, 0
    SET_ENTRY 1, INDEX_1, t1, V | U
    sfence.vma
    SUPERVISOR lw a2, (a4)
    FAULTS LOAD_FAULT, VIRTUAL
    TABLE t1, 0
    SET_ENTRY 1, INDEX_1, t1, V | G    /* global is fine, and so are the bits for software */
    SET_LEAF s0, V | R | A | D | G | 0x300
    SUPERVISOR lw a2, (a4)
    CHECK s2, -1
#if __riscv_xlen == 64
    li t2, 54
1:  TABLE t5, 0
    LE t1, (t5)
    li t3, 1
    sll t3, t3, t2
    or t1, t1, t3
    SE t1, (t5)
    sfence.vma
    SUPERVISOR lw a2, (a4)
    FAULTS LOAD_FAULT, VIRTUAL
    SET_LEAF s0, V | R | A | D
    addi t2, t2, 1
    li t3, 64
    bne t2, t3, 1b
#endif
    END

#if __riscv_xlen == 64
/* The upper bits of an address repeat the highest one that is translated. */
TEST canonical
    SET_UP
    SET_LEAF s0, V | R | W | X | A | D
    li s7, 1
    slli s7, s7, 12 + 9 * LEVELS            /* the first address beyond */
    or a4, a4, s7
    SUPERVISOR lw a2, (a4)
    CHECK s2, LOAD_FAULT
    CHECK_SAME s3, a4
    SUPERVISOR sw a2, (a4)
    CHECK s2, STORE_FAULT
    SUPERVISOR jr a4
    CHECK s2, FETCH_FAULT
    CHECK_SAME s3, a4
    li a4, VIRTUAL
    li t0, X_MIN
    or a4, a4, t0
    SUPERVISOR lw a2, (a4)
    CHECK s2, LOAD_FAULT
    li a4, VIRTUAL
    SUPERVISOR lw a2, (a4)
    CHECK s2, -1
    END
#endif

/* An access across two pages: faults on the second, and stores nothing on the first. */
TEST across_pages
    SET_UP
    SET_LEAF s0, V | R | W | A | D
    la t1, page + 4096
    SET_ENTRY 0, 1, t1, V | R | W | A | D
    sfence.vma
    la s0, page + 4092
    sw zero, (s0)
    li a4, VIRTUAL + 4094
    li a3, 0x11223344
    SUPERVISOR sw a3, (a4)
    CHECK s2, -1
    SUPERVISOR lw a2, (a4)
    CHECK a2, 0x11223344
    la t1, page + 4096
    SET_ENTRY 0, 1, t1, V | R | A
    sfence.vma
    li a3, -1
    SUPERVISOR sw a3, (a4)
    FAULTS STORE_FAULT, VIRTUAL + 4096
    lhu a2, 2(s0)
    CHECK a2, 0x3344
    SET_ENTRY 0, 1, t1, 0
    sfence.vma
    SUPERVISOR lw a3, (a4)
    FAULTS LOAD_FAULT, VIRTUAL + 4096
    CHECK a3, -1
    END

/* An instruction across two pages: the fault's address is that of the second. */
TEST fetch_across_pages
    SET_UP
    la t1, split_code
    SET_LEAF t1, V | X | A
    la t1, split_code + 4096
    SET_ENTRY 0, 1, t1, 0
    sfence.vma
    li a4, VIRTUAL + 4094
    li a5, 0
    SUPERVISOR jr a4
    FAULTS FETCH_FAULT, VIRTUAL + 4096
    CHECK s4, VIRTUAL + 4094
    CHECK a5, 0
    la t1, split_code + 4096
    SET_ENTRY 0, 1, t1, V | X | A
    sfence.vma
    SUPERVISOR jr a4
    CHECK s2, 9
    CHECK s4, VIRTUAL + 4098
    CHECK a5, 7
    END

/* Where nothing answers behind a page: the address is the virtual one, of the part that is there no more. */
#define HOLE 0x4000
TEST holes
    SET_UP
    SET_LEAF s0, V | R | W | X | A | D
    li t1, HOLE
    SET_ENTRY 0, 1, t1, V | R | W | X | A | D
    sfence.vma
    li a5, VIRTUAL + 4096
    SUPERVISOR lw a2, (a5)
    FAULTS 5, VIRTUAL + 4096
    SUPERVISOR sw a2, (a5)
    FAULTS 7, VIRTUAL + 4096
    SUPERVISOR amoadd.w a2, a2, (a5)
    FAULTS 7, VIRTUAL + 4096
    SUPERVISOR lr.w a2, (a5)
    FAULTS 5, VIRTUAL + 4096
    SUPERVISOR jr a5
    FAULTS 1, VIRTUAL + 4096
    CHECK s4, VIRTUAL + 4096
    li a4, VIRTUAL + 4094           /* across the edge */
    SUPERVISOR lw a2, (a4)
    FAULTS 5, VIRTUAL + 4096
    la t0, page + 4092
    li t1, 0x0013abcd               /* the first half of a nop that goes on in the hole */
    sw t1, (t0)
    fence.i
    SUPERVISOR jr a4
    FAULTS 1, VIRTUAL + 4096
    CHECK s4, VIRTUAL + 4094
    li a4, HOLE                     /* machine mode, without tables */
    TRY jr a4
    FAULTS 1, HOLE
    CHECK s4, HOLE
    TRY lw a2, 2(a4)
    FAULTS 5, HOLE + 2
    END

/* Tables that lead to themselves come to an end. */
TEST tables_in_circles
    SET_UP
    TABLE t0, LEVELS - 1
#if __riscv_xlen == 64
    SET_ENTRY LEVELS - 1, 0x1ff, t0, V
    li a4, -16
#else
    SET_ENTRY LEVELS - 1, 0x3ff, t0, V
    li a4, -16
#endif
    sfence.vma
    SUPERVISOR lw a2, (a4)
    FAULTS LOAD_FAULT, -16
    SUPERVISOR sw a2, (a4)
    FAULTS STORE_FAULT, -16
    SUPERVISOR jr a4
    FAULTS FETCH_FAULT, -16
    CHECK s4, -16
    END

/* A program that writes its own tables: each change is seen after a fence, also of the page that is executed. */
TEST tables_that_map_themselves
    SET_UP
    TABLE t0, 0
    SET_ENTRY 0, 0, t0, V | R | W | A | D
    sfence.vma
    li a4, VIRTUAL                  /* entry 2 becomes the page */
    srli t0, s0, 2
    ori t0, t0, V | R | W | A | D
    ENTER MSTATUS_MPP_S
    SE t0, 2 * ENTRY_BYTES(a4)
    sfence.vma
    li a5, VIRTUAL + 2 * 4096
    lw a2, (a5)
    SE zero, 2 * ENTRY_BYTES(a4)
    sfence.vma
    TRY lw a3, (a5)
    FAULTS LOAD_FAULT, VIRTUAL + 2 * 4096
    CHECK a2, 0x12345678
    ENTER MSTATUS_MPP_S
    SE zero, (a4)                   /* and its own entry goes */
    sfence.vma
    TRY SE zero, (a4)
    FAULTS STORE_FAULT, VIRTUAL
    END

/* Tables in a place where nothing answers: an access fault of the access's kind. */
TEST table_access_fault
    SET_UP
    li t1, 0x1000000
    SET_ENTRY 1, INDEX_1, t1, V
    sfence.vma
    SUPERVISOR lw a2, (a4)
    FAULTS 5, VIRTUAL
    SUPERVISOR sw a2, (a4)
    FAULTS 7, VIRTUAL
    SUPERVISOR jr a4
    FAULTS 1, VIRTUAL
    END

/* satp bare: addresses are physical again. */
TEST bare
    SET_UP
    SET_LEAF s0, V | R | A
    SUPERVISOR lw a2, (a4)
    CHECK s2, -1
    csrw satp, zero
    li a4, 0x1000000
    SUPERVISOR lw a2, (a4)
    CHECK s2, 5
    SUPERVISOR lw a2, (s0)
    CHECK s2, -1
    CHECK a2, 0x12345678
    END

/* Page faults that are delegated go to the supervisor with the address. */
TEST delegated_fault
    SET_UP
    SET_LEAF s0, 0
    li t0, 0xb000
    csrw medeleg, t0
    la s11, 1f
    ENTER MSTATUS_MPP_S
    lw a2, 12(a4)
1:  CHECK s6, LOAD_FAULT
    CHECK s7, VIRTUAL + 12
    CHECK s2, 9
    csrw medeleg, zero
    END

    .option push
    .option norvc
    .balign 4096
supervisor_code:
    li a5, 5
    ecall
    .balign 4096
user_code:          /* runs at VIRTUAL + 4096 */
    li t0, VIRTUAL
    lw a2, (t0)
    ecall
    .balign 16
    li t0, VIRTUAL
    sw a2, (t0)
    ecall
    .balign 16
    li t0, VIRTUAL
    jr t0
    .balign 4096
split_code:
    .skip 4094
    .4byte 0x00700793 /* li a5, 7 */
    ecall
    .option pop
